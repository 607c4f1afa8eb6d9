//! Automatic differentiation of computation graphs, from two local rules per operation.
//!
//! This crate is the middle layer of `tidu`. You bring an operation set that
//! implements [`Primitive`]: for each operation, what happens to tangents (its JVP rule) and what
//! happens to cotangents (its transpose rule). [`linearize`] and [`linear_transpose`] derive the
//! rest as graphs: directional derivatives, gradients, derivatives of derivatives. It is for
//! authors of operation sets and of front ends. It is not for those who want derivatives of code on
//! numbers (`tidu-scalar` has the operations), nor for those who want to record what a program does
//! (`tidu-eager`).
//!
//! # The pieces
//!
//! | piece | what it is |
//! |---|---|
//! | [`Function`] | a closed graph whose derivatives are functions again |
//! | [`rules`] | the contract with an operation set |
//! | [`TypeTable`], [`ValueType`] | shapes, for rules that ask for them |
//! | [`linearize`], [`try_linearize`] | x ↦ f(x) to ẋ ↦ J(x)·ẋ |
//! | [`linear_transpose`], [`try_linear_transpose`] | ẋ ↦ J·ẋ to ȳ ↦ Jᵀ·ȳ |
//! | [`try_linear_transpose_with_builder`] | the same, straight into a runtime |
//! | [`LinearizedGraph`] | a linear map as a graph |
//! | [`verify_linear`], [`Linearity`] | is it linear, and if not, where not |
//! | [`Receipt`] | what a derivative costs |
//! | [`why_zero`], [`why_saved`] | why a derivative is zero, why a value must be saved |
//! | [`sparse`] | patterns of sparse matrices, and how few products give all their entries |
//! | `laws`, behind the feature of that name | a kit that checks the rules of an operation set |
//!
//! # Example
//!
//! The gradient of f(x, y) = x·eʸ at (2, 0), with the scalar primitives of `tidu-scalar`:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//! use tidu_ad::{linear_transpose, linearize};
//! use tidu_graph::{GraphBuilder, OperationRole, ValueKey, ValueRef, compile, materialize_merge, resolve};
//! use tidu_scalar::{ScalarKey, ScalarOp};
//!
//! let mut builder = GraphBuilder::new();
//! let x = builder.add_input(ScalarKey::from("x"));
//! let y = builder.add_input(ScalarKey::from("y"));
//! let mut apply = |op, operands: Vec<usize>| {
//!     let operands = operands.into_iter().map(ValueRef::Local).collect();
//!     builder.add_operation(op, operands, OperationRole::Primary)[0]
//! };
//! let exp_y = apply(ScalarOp::Exp, vec![y]);
//! let f = apply(ScalarOp::Mul, vec![x, exp_y]);
//! builder.set_outputs(vec![f]);
//! let primal = Arc::new(builder.build());
//! let f = primal.values()[f].key.clone();
//!
//! // ẋ, ẏ ↦ ḟ, and its transpose f̄ ↦ x̄, ȳ.
//! let wrt = [ScalarKey::from("x"), ScalarKey::from("y")];
//! let view = resolve(vec![primal.clone()]);
//! let linear = linearize(&view, &[f], &wrt, 1, &mut (), &HashMap::new());
//! let transposed = linear_transpose(&linear, &mut ());
//!
//! let gradient = transposed.into_graph();
//! let outputs: Vec<_> = gradient.outputs().iter().map(|&id| gradient.values()[id].key.clone()).collect();
//! let seed = gradient.values()[gradient.inputs()[0]].key.clone();
//! let view = resolve(vec![primal, Arc::new(linear.into_graph()), Arc::new(gradient)]);
//! let flat = materialize_merge(&view, &outputs);
//! let inputs: Vec<&f64> = flat.inputs.iter().map(|key| match key {
//!     key if *key == seed => &1.0,
//!     key if *key == ValueKey::Input(ScalarKey::from("x")) => &2.0,
//!     _ => &0.0,
//! }).collect();
//! assert_eq!(compile(&flat).eval(&mut (), &inputs), [1.0, 2.0]);
//! ```
//!
//! # Guarantees
//!
//! - Every operation is linearized once, every cotangent belongs to one occurrence of a value, seeds
//!   and rule results meet in one accumulator.
//! - Linear time and constant stack, whatever the depth; no dependence on hash order.
//! - Rules are user code: what they emit and return is checked, and an error names primitive, rule
//!   and place.

#![cfg_attr(
    book,
    doc = "# In the book

[Write and prove your own primitive](../book/prove-your-own-primitive.html), [Functions](../book/functions.html),
[Types and shapes](../book/types.html), [Proving rules right](../book/laws.html),
[Linearizing your own primitives](../book/tutorials/primitive-linearization.html)."
)]
#![warn(clippy::unwrap_used)]

mod cotangents;
mod derivatives;
mod function;
#[cfg(feature = "laws")]
pub mod laws;
mod linearize;
mod linearized_graph;
mod masks;
mod operation_derivative;
mod receipt;
pub mod rules;
pub mod sparse;
mod transpose;
mod verify;
mod walk;
mod why;

pub use cotangents::{CotangentMask, CotangentSum, Cotangents, MaskedCotangent, Seed};
pub use derivatives::{DerivativeCounts, Derivatives};
pub use function::{
    Composite, Derive, Function, FunctionError, FunctionProgram, FunctionScope, LinearParts,
    Linearization, Mode, Nonzero, Pullback, ResidualOrigin, Rules, Saving, SparseDerivative,
    SparseReceipt, Way, Wrt, WrtKeys,
};
pub use linearize::{free_pass, linearize, try_linearize};
pub use linearized_graph::{LinearizedGraph, PrimitiveGraph};
pub use operation_derivative::{OperandMask, OperationJvp, OperationVjp, context_of_operands};
pub use receipt::{Receipt, Residual};
pub use rules::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, Linearity, MissingRule, Primitive,
    PrimitiveBuilder, PrimitiveValue, RuleOperand, RuntimeError, StringKey, TypeError, TypeTable,
    ValueType,
};
pub use transpose::{linear_transpose, try_linear_transpose, try_linear_transpose_with_builder};
pub use verify::verify_linear;
pub use walk::{Symbolic, WalkStep, pull_back, push_forward};
pub use why::{WhySaved, WhyZero, why_saved, why_zero};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
