//! Computation graphs over anybody's operations.
//!
//! This crate is the bottom layer of `tidu`: it knows what a graph is, how
//! graphs that were built apart are seen as one, and how a graph becomes a program that runs. It
//! knows nothing about derivatives. It is for authors of graph transformations and runtimes; if you
//! want gradients, start from the `tidu` crate.
//!
//! # The pieces
//!
//! | piece | what it is |
//! |---|---|
//! | [`GraphOperation`], [`EvaluableGraphOperation`] | what your operation type must say about itself |
//! | [`GraphBuilder`] → [`Graph`] | values and operations in topological order |
//! | [`ValueKey`], [`OperationKey`] | structural identity: *what* a value is, across graphs |
//! | [`LocalValueId`] | *which occurrence* it is, in one graph |
//! | [`resolve`] → [`ResolvedView`] | several graphs seen as one, with dense ids |
//! | [`materialize_merge`] → [`MaterializedGraph`] | one flat graph of what chosen outputs need |
//! | [`DenseGraph`] | a closed computation by positions, without names and roles |
//! | [`SubFunction`] | a function that an operation holds, as the body of a call, a loop, a branch |
//! | [`compile`] → [`CompiledProgram`] | a list of instructions, to be run many times |
//! | [`ValueKeyInterner`] | dense ids for keys of your own |
//! | [`text`] | graphs as text, printed and parsed |
//! | [`Picture`] | graphs as pictures, for Graphviz and Mermaid |
//! | [`verify`], [`DenseGraph::verify`] | everything that is wrong with a graph, in the manner of a compiler |
//!
//! # Example
//!
//! x·y + x, with an operation set of two:
//!
//! ```
//! use std::sync::Arc;
//! use tidu_graph::{
//!     EvaluableGraphOperation, GraphBuilder, GraphOperation, OperationRole, ValueRef, compile,
//!     materialize_merge, resolve,
//! };
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! enum Op {
//!     Add,
//!     Mul,
//! }
//!
//! impl GraphOperation for Op {
//!     type Operand = f64;
//!     type Context = ();
//!     type InputKey = &'static str;
//!     fn input_count(&self) -> usize { 2 }
//!     fn output_count(&self) -> usize { 1 }
//! }
//!
//! impl EvaluableGraphOperation for Op {
//!     fn eval(&self, _: &mut (), inputs: &[&f64]) -> Vec<f64> {
//!         match self {
//!             Op::Add => vec![inputs[0] + inputs[1]],
//!             Op::Mul => vec![inputs[0] * inputs[1]],
//!         }
//!     }
//! }
//!
//! let mut builder = GraphBuilder::new();
//! let x = ValueRef::Local(builder.add_input("x"));
//! let y = ValueRef::Local(builder.add_input("y"));
//! let xy = builder.add_operation(Op::Mul, vec![x.clone(), y], OperationRole::Primary)[0];
//! let f = builder.add_operation(Op::Add, vec![ValueRef::Local(xy), x], OperationRole::Primary)[0];
//! let f_key = builder.global_key(f).clone();
//! builder.set_outputs(vec![f]);
//!
//! let view = resolve(vec![Arc::new(builder.build())]);
//! let program = compile(&materialize_merge(&view, &[f_key]));
//! assert_eq!(program.eval(&mut (), &[&2.0, &3.0]), [8.0]);
//! ```
//!
//! # Guarantees
//!
//! - Every pass is linear in the number of distinct values and runs in constant stack, `Drop`,
//!   `Debug` and `==` included, however deep a graph is and however much it shares.
//! - Nothing observable depends on hash order, addresses or threads.
//! - What a caller can get wrong is a [`GraphError`] from a `try_` form; the short forms panic with
//!   the same text.

#![cfg_attr(
    book,
    doc = "# In the book

[Vocabulary](../book/vocabulary.html), [Reading and reviewing graphs](../book/text-form.html)."
)]
#![warn(clippy::unwrap_used)]

mod base;
mod builder;
mod dense;
mod error;
mod fragment;
mod graph;
mod inference;
mod inline_slice;
mod interner;
mod key;
mod materialize;
mod operands;
mod operation;
mod operation_index;
mod picture;
mod program;
mod registers;
mod role;
mod runtime_error;
mod simplify;
mod sub_function;
mod table;
pub mod text;
mod value_type;
mod verify;
mod view;
mod workspace;

pub use base::{DenseId, GraphKind, MAX_OUTPUTS, OperationId, TypeId, ValueId};
pub use builder::GraphBuilder;
pub use dense::{DenseGraph, DenseNode, DenseRange, ImportedTypes, Producers};
pub use error::{CallError, GraphError, TypeError, describe_operation};
pub use graph::{
    Graph, LocalOperationId, LocalValueId, OperationNode, Step, StepOperand, ValueNode, ValueRef,
    with_parents,
};
pub use inference::result_types;
pub use inline_slice::InlineSlice;
pub use interner::{ValueKeyId, ValueKeyInterner};
pub use key::{OperationKey, ValueKey, describe_key};
pub use materialize::{
    MaterializedGraph, MaterializedLists, MaterializedOperation, MaterializedValue,
    materialize_merge, try_materialize_merge,
};
pub use operands::Operands;
pub use operation::{EvalError, EvaluableGraphOperation, GraphOperation, OperationRole};
pub use picture::Picture;
pub use program::{CompiledProgram, Instruction, compile};
pub use registers::Registers;
pub use role::{OperationSpec, Part};
pub use runtime_error::RuntimeError;
pub use simplify::{
    AppliedRewrite, Apply, Exactness, Rewrite, Term, Terms, merge, try_simplify,
    try_simplify_logged,
};
pub use sub_function::SubFunction;
pub use table::{TableOperation, ValueOrigin};
pub use value_type::ValueType;
pub use verify::{Finding, Report, verify, verify_structure};
pub use view::{ResolvedView, ValueDef, resolve};
pub use workspace::Workspace;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
