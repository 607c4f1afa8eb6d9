//! The reference primitive set of [tidu](https://docs.rs/tidu): elementary functions on `f64`.
//!
//! For programs on real numbers, and for authors of primitive sets to read: [`ScalarOp`] shows what
//! a set looks like, its two rules standing as a table. It is not for arrays; an operation of this
//! set works on one number.
//!
//! # Example
//!
//! The derivative of sin x at 0, forward:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//! use tidu_ad::linearize;
//! use tidu_graph::{GraphBuilder, OperationRole, ValueRef, compile, materialize_merge, resolve};
//! use tidu_scalar::{ScalarKey, ScalarOp};
//!
//! let mut builder = GraphBuilder::new();
//! let x = builder.add_input(ScalarKey::from("x"));
//! let sin = builder.add_operation(ScalarOp::Sin, vec![ValueRef::Local(x)], OperationRole::Primary);
//! let sin_key = builder.global_key(sin[0]).clone();
//! builder.set_outputs(sin);
//! let primal = Arc::new(builder.build());
//!
//! let view = resolve(vec![primal]);
//! let linear = linearize(&view, &[sin_key], &["x".into()], 1, &mut (), &HashMap::new());
//! let graph = Arc::new(linear.into_graph());
//! let output = graph.values()[graph.outputs()[0]].key.clone();
//! let flat = materialize_merge(&resolve(vec![graph]), &[output]);
//! let inputs: Vec<String> = flat.inputs.iter().map(|key| format!("{key:?}")).collect();
//! assert_eq!(inputs, ["Input(x)", "Input(d1.x)"]);
//! assert_eq!(compile(&flat).eval(&mut (), &[&0.0, &1.0]), [1.0]);
//! ```

#![warn(clippy::unwrap_used)]

mod key;
mod names;
mod op;
mod rules;

pub use key::ScalarKey;
pub use op::{Constant, ScalarOp};
