#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | file | what it holds |
//! |---|---|
//! | `tensor.rs`, `shape.rs`, `types.rs` | operands; how shapes fit together, and what is said when they do not |
//! | `definition.rs` | what is said about each primitive, once |
//! | `primitives/*.rs` | the definitions, by family; `mod.rs` is the table of all |
//! | `notation.rs` | what rules are written with |
//! | `numbers.rs` | functions of complex numbers, over the whole range of exponents |
//! | `rules.rs`, `op.rs` | the traits of tidu, from the definitions |
//! | `context.rs` | operands that are evaluated, and written over |
//! | `model.rs` | what models that learn are made of |
//! | `front.rs`, `expr.rs`, `var.rs`, `plain.rs` | methods and operators; functions; variables on a tape; tensors without either |

#![warn(clippy::unwrap_used)]

mod context;
mod definition;
mod expr;
mod front;
pub mod model;
mod notation;
mod numbers;
mod op;
mod plain;
mod primitives;
mod rules;
mod shape;
mod tensor;
pub mod types;
mod var;

pub use context::Context;
pub use expr::{Expr, IntoOutputs, ModelError, function, function_of};
pub use front::Value;
pub use op::TensorOp;
pub use primitives::elementwise::Power;
pub use primitives::factorizations::determinant::Cofactors;
pub use primitives::factorizations::solves::{Solve, TriangularSolve};
pub use primitives::indexing::{Gather, OneHot, ScatterAdd};
pub use primitives::products::Einsum;
pub use primitives::reductions::{ArgMax, Axes, LogSoftmax, LogSumExp, Max, Softmax, SumOthers};
pub use primitives::shapes::{BroadcastTo, Concatenate, Pad, Permute, Reshape, Slice, Window};
pub use shape::{Misuse, ShapeError};
pub use tensor::{Element, Shared, Tensor};
pub use var::{Gradients, Tape, Var};

// A page of the book, compiled here since the facade knows nothing of tensors.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/tensors.md")]
mod page_of_the_book {}
