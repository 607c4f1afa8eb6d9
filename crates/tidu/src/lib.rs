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
//! The gradient of f(x, y) = x·y + x at (2, 3), backward through the graph:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//! use tidu::graph::{
//!     GraphBuilder, OperationRole, ValueKey, ValueRef, compile, materialize_merge, resolve,
//! };
//! use tidu::scalar::{ScalarKey, ScalarOp};
//! use tidu::{linear_transpose, linearize};
//!
//! let mut builder = GraphBuilder::new();
//! let x = ValueRef::Local(builder.add_input(ScalarKey::from("x")));
//! let y = ValueRef::Local(builder.add_input(ScalarKey::from("y")));
//! let xy = builder.add_operation(ScalarOp::Mul, vec![x.clone(), y], OperationRole::Primary)[0];
//! let f = builder.add_operation(ScalarOp::Add, vec![ValueRef::Local(xy), x], OperationRole::Primary)[0];
//! let f_key = builder.global_key(f).clone();
//! builder.set_outputs(vec![f]);
//!
//! // One linearization, one transposition: a graph from the seed of f to cotangents of x and y.
//! let primal = resolve(vec![Arc::new(builder.build())]);
//! let wrt = ["x".into(), "y".into()];
//! let linear = linearize(&primal, &[f_key], &wrt, 1, &mut (), &HashMap::new());
//! let gradient = Arc::new(linear_transpose(&linear, &mut ()).into_graph());
//!
//! // A transposed graph knows the graphs it came from: resolving it resolves them too.
//! let outputs: Vec<_> =
//!     gradient.outputs().iter().map(|&id| gradient.values()[id].key.clone()).collect();
//! let seed = gradient.values()[gradient.inputs()[0]].key.clone();
//! let flat = materialize_merge(&resolve(vec![gradient]), &outputs);
//! let values = HashMap::from([
//!     (ValueKey::Input("x".into()), 2.0),
//!     (ValueKey::Input("y".into()), 3.0),
//!     (seed, 1.0),
//! ]);
//! let inputs: Vec<&f64> = flat.inputs.iter().map(|key| &values[key]).collect();
//! assert_eq!(compile(&flat).eval(&mut (), &inputs), [4.0, 2.0]);
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
