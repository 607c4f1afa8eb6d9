//! Automatic differentiation for anybody's primitives.
//!
//! You bring an operation set with two local rules per operation: what happens to tangents (JVP) and
//! what happens to cotangents (transpose). tidu (梯度, *gradient*) derives the rest, as graphs: linear
//! maps, their transposes, gradients, derivatives of derivatives, and eager backward passes.
//!
//! It is for authors of numerical crates: tensor libraries, simulators, optimisers, probabilistic
//! programs. If you only want gradients of functions on real numbers, the primitives in [`scalar`]
//! are ready to use.
//!
//! # Map
//!
//! | module | crate | what it is |
//! |---|---|---|
//! | [`graph`] | `tidu-graph` | graphs, keys, views, programs |
//! | [`rules`] | `tidu-ad` | the contract with an operation set |
//! | this root | `tidu-ad` | [`linearize`], [`linear_transpose`] and what they return |
//! | [`eager`] | `tidu-eager` | recording and going backward |
//! | [`scalar`] | `tidu-scalar` | elementary functions on `f64` |
//!
//! This crate holds no code of its own; each layer can be used alone.
//!
//! # Example
//!
//! The gradient of f(x, y) = x·eʸ at (2, 0), backward through the graph:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//! use tidu::graph::{Graph, ValueKey, compile, materialize_merge, resolve};
//! use tidu::scalar::ScalarOp;
//! use tidu::{linear_transpose, linearize};
//!
//! // f(x, y) = x·eʸ, as text; a `GraphBuilder` makes the same graph in code.
//! let f: Graph<ScalarOp> = "graph {
//!     input %0 = x
//!     input %1 = y
//!     %2 = exp %1
//!     %3 = mul %0, %2
//!     output %3
//! }".parse().unwrap();
//! let f_key = f.values()[3].key.clone();
//!
//! // The linear map ẋ, ẏ ↦ ḟ, and its transpose f̄ ↦ x̄, ȳ.
//! let view = resolve(vec![Arc::new(f)]);
//! let linear = linearize(&view, &[f_key], &["x".into(), "y".into()], 1, &mut (), &HashMap::new());
//! let gradient = linear_transpose(&linear, &mut ()).into_graph();
//! assert_eq!(gradient.to_string(), "graph {
//!     external @x
//!     external @0 = exp @y
//!     input %0 = ct0.d1.x
//!     %1 = mul @x, ~%0
//!     %2 = mul @0, ~%0
//!     %3 = mul @0, ~%1
//!     output %2
//!     output %3
//! }");
//!
//! // A program for both components at (2, 0), with the seed f̄ = 1.
//! let outputs: Vec<_> = gradient.outputs().iter().map(|&id| gradient.values()[id].key.clone()).collect();
//! let flat = materialize_merge(&resolve(vec![Arc::new(gradient)]), &outputs);
//! let inputs = flat.inputs.iter().map(|key| match key {
//!     ValueKey::Input(name) if *name == "x".into() => &2.0,
//!     ValueKey::Input(name) if *name == "y".into() => &0.0,
//!     _ => &1.0,
//! });
//! assert_eq!(compile(&flat).eval(&mut (), &inputs.collect::<Vec<_>>()), [1.0, 2.0]);
//! ```

pub use tidu_ad::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, Linearity, LinearizedGraph,
    Primitive, PrimitiveBuilder, PrimitiveGraph, PrimitiveValue, Receipt, Residual, RuleOperand,
    RuntimeError, WhySaved, WhyZero, free_pass, linear_transpose, linearize, rules,
    try_linear_transpose, try_linear_transpose_with_builder, try_linearize, verify_linear,
    why_saved, why_zero,
};
pub use tidu_eager as eager;
pub use tidu_graph as graph;
pub use tidu_scalar as scalar;

// The pages of the book whose code is not taken from an example are compiled here.

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/introduction.md")]
mod introduction {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/vocabulary.md")]
mod vocabulary {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/text-form.md")]
mod text_form {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/complex.md")]
mod complex {}
