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
//! The gradient of f(x, y) = x·y at (2, 3), backward through the graph:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//! use tidu::graph::{GraphBuilder, OperationRole, ValueRef, compile, materialize_merge, resolve};
//! use tidu::scalar::{ScalarKey, ScalarOp};
//! use tidu::{linear_transpose, linearize};
//!
//! // f(x, y) = x·y, as a graph.
//! let mut builder = GraphBuilder::new();
//! let x = ValueRef::Local(builder.add_input(ScalarKey::from("x")));
//! let y = ValueRef::Local(builder.add_input(ScalarKey::from("y")));
//! let f = builder.add_operation(ScalarOp::Mul, vec![x, y], OperationRole::Primary);
//! let f_key = builder.global_key(f[0]).clone();
//! builder.set_outputs(f);
//!
//! // The linear map ẋ, ẏ ↦ ḟ, and its transpose f̄ ↦ x̄, ȳ.
//! let view = resolve(vec![Arc::new(builder.build())]);
//! let wrt = ["x".into(), "y".into()];
//! let linear = linearize(&view, &[f_key], &wrt, 1, &mut (), &HashMap::new());
//! let gradient = Arc::new(linear_transpose(&linear, &mut ()).into_graph());
//!
//! // A program for both components. It asks for the seed f̄ and for y and x, in this order.
//! let outputs = gradient.outputs().iter().map(|&id| gradient.values()[id].key.clone());
//! let outputs: Vec<_> = outputs.collect();
//! let graphs = vec![Arc::new(linear.into_graph()), gradient];
//! let program = compile(&materialize_merge(&resolve(graphs), &outputs));
//! assert_eq!(program.eval(&mut (), &[&1.0, &3.0, &2.0]), [3.0, 2.0]);
//! ```

pub use tidu_ad::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, Linearity, LinearizedGraph,
    Primitive, PrimitiveBuilder, PrimitiveGraph, PrimitiveValue, RuleOperand, RuntimeError,
    linear_transpose, linearize, rules, try_linear_transpose, try_linear_transpose_with_builder,
    try_linearize, verify_linear, why_saved, why_zero,
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
#[doc = include_str!("../../../docs/complex.md")]
mod complex {}
