//! Automatic differentiation for anybody's primitives.
//!
//! You bring an operation set with two local rules per operation: what happens to tangents (JVP) and
//! what happens to cotangents (transpose). tidu (梯度, *gradient*) derives the rest, as graphs: linear
//! maps, their transposes, gradients, derivatives of derivatives, and eager backward passes.
//!
//! It is for authors of numerical crates: tensor libraries, simulators, optimisers, probabilistic
//! programs. If you only want gradients of functions on real numbers, the primitives in [`scalar`]
//! are ready to use. It is not an array library and not a neural network library, and it does not
//! differentiate Rust code as such: only what is built of, or recorded from, an operation set.
//!
//! # Map
//!
//! | module | crate | what it is |
//! |---|---|---|
//! | [`graph`] | `tidu-graph` | graphs, keys, views, programs |
//! | [`rules`] | `tidu-ad` | the contract with an operation set |
//! | this root | `tidu-ad` | [`Function`]; [`linearize`], [`linear_transpose`] and what they return |
//! | [`eager`] | `tidu-eager` | recording and going backward |
//! | [`scalar`] | `tidu-scalar` | elementary functions on `f64` |
//! | `laws` | `tidu-ad` | a kit that checks the rules of an operation set, behind the feature `laws` |
//!
//! This crate holds no code of its own; each layer can be used alone.
//!
//! Features, both off unless asked for: `laws`, for the tests of an operation set, and `rayon`, for
//! batches of scalar programs on many threads.
//!
//! # Example
//!
//! f(x, y) = x·eʸ: its gradient at (2, 0), the gradient as a graph, and ∂²f/∂y²:
//!
//! ```
//! let f = tidu::scalar::function(["x", "y"], |[x, y]| [&x * y.exp()]).unwrap();
//!
//! let gradient = f.grad(..).unwrap();
//! assert_eq!(gradient.compile().call(&[2.0, 0.0]).unwrap(), [1.0, 2.0]);
//! assert_eq!(gradient.to_string(), "function {
//!     input %0 = x
//!     input %1 = y
//!     %2 = exp %1
//!     %3 = mul %0, %2
//!     output %2 -> d.x
//!     output %3 -> d.y
//! }");
//!
//! let second = f.grad("y").unwrap().grad("y").unwrap();
//! let second = second.compile().call_named(&[("x", 3.0), ("y", 0.0)]);
//! assert_eq!(second.unwrap(), [3.0]);
//! ```

#![cfg_attr(
    book,
    doc = "# The book

Begin with [what it is, and when not to use it](../book/index.html), or with [ten minutes](../book/start.html) at the
keyboard. [Questions and answers](../book/questions.html) take up what usually goes wrong."
)]

#[cfg(feature = "laws")]
pub use tidu_ad::laws;
pub use tidu_ad::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, Composite, CotangentMask, CotangentSum,
    Cotangents, DerivativeCounts, Derivatives, Derive, DiffPassId, Function, FunctionError,
    FunctionProgram, FunctionScope, LinearParts, Linearity, Linearization, LinearizedGraph,
    MaskedCotangent, MissingRule, Mode, Nonzero, OperandMask, OperationJvp, OperationVjp,
    Primitive, PrimitiveBuilder, PrimitiveGraph, PrimitiveValue, Pullback, Receipt, Residual,
    ResidualOrigin, RuleOperand, Rules, RuntimeError, Saving, Seed, SparseDerivative,
    SparseReceipt, StringKey, Symbolic, TypeError, TypeTable, ValueType, WalkStep, Way, WhySaved,
    WhyZero, Wrt, WrtKeys, context_of_operands, free_pass, linear_transpose, linearize, pull_back,
    push_forward, rules, sparse, try_linear_transpose, try_linear_transpose_with_builder,
    try_linearize, verify_linear, why_saved, why_zero,
};
pub use tidu_eager as eager;
pub use tidu_graph as graph;
pub use tidu_scalar as scalar;

// The pages of the book whose code is not taken from an example are compiled here.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod package_readme {}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/introduction.md")]
mod introduction {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/start.md")]
mod start {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/vocabulary.md")]
mod vocabulary {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/functions.md")]
mod functions {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/higher-order.md")]
mod higher_order {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/sparse.md")]
mod sparse_derivatives {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/types.md")]
mod types {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/questions.md")]
mod questions {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/design.md")]
mod design {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrating.md")]
mod migrating {}

#[cfg(all(doctest, feature = "laws"))]
#[doc = include_str!("../../../docs/laws.md")]
mod laws_of_rules {}

#[cfg(all(doctest, feature = "laws"))]
#[doc = include_str!("../../../docs/prove-your-own-primitive.md")]
mod prove_your_own_primitive {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/tape.md")]
mod tape {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/scalar.md")]
mod scalar_primitives {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/scalar-programs.md")]
mod scalar_programs {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/text-form.md")]
mod text_form {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/complex.md")]
mod complex {}
