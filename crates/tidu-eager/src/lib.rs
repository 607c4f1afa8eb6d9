//! Eager reverse-mode differentiation: record calls as they happen, then go backward.
//!
//! This crate is a layer of [tidu](https://docs.rs/tidu). It is for authors of runtimes that compute
//! at once (tensor libraries, simulators): the runtime computes, tells a [`Recorder`] what it
//! computed, and later asks [`try_backward`] for gradients, which it computes itself through a
//! [`BackwardExecutor`]. Who has no runtime yet takes a [`Tape`], which computes itself. The crate holds
//! no derivative rule; those come from `tidu-ad`.
//!
//! # The pieces
//!
//! | piece | what it is |
//! |---|---|
//! | [`RecordedGraph`] | the graph of one call: a primitive, or several as one node |
//! | [`Recorder`], [`KeySource`] | records calls; names values |
//! | [`EagerInput`], [`EagerOutput`] | eager values around a call |
//! | [`Trace`] | the history of a value |
//! | [`try_backward`], [`BackwardExecutor`] | gradients of all leaves, in one pass |
//! | [`EvalExecutor`] | an executor for any operation set that can evaluate its operations |
//! | [`Tape`], [`Var`] | operations run and recorded; gradients of any order, checkpoints, forward mode |
//!
//! # Example
//!
//! Recording a negation, with the scalar primitives of `tidu-scalar`:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//! use tidu_eager::{EagerInput, RecordedGraph, Recorder};
//! use tidu_graph::ValueKey;
//! use tidu_scalar::{ScalarKey, ScalarOp};
//!
//! let mut names = 0;
//! let mut recorder = Recorder::new(|| {
//!     names += 1;
//!     ScalarKey::fresh(names)
//! });
//! let x = EagerInput {
//!     key: ValueKey::Input(ScalarKey::from("x")),
//!     trace: None,
//!     requires_grad: true,
//!     data: Arc::new(3.0),
//! };
//! let keys = recorder.fresh_input_keys::<ScalarOp>(1);
//! let call = RecordedGraph::from_primitive(ScalarOp::Neg, keys);
//! let y = recorder.record_graph(call, &[x], &[Arc::new(-3.0)], HashMap::new());
//! assert!(y[0].trace.is_some());
//! ```
//!
//! Going backward takes an executor; the tutorial *Eager reverse mode* writes one.
//!
//! # Guarantees
//!
//! Linear time and constant stack for recording, going backward and dropping, however long the
//! trace; every sum of cotangents in a fixed order.

#![warn(clippy::unwrap_used)]

mod backward;
mod error;
mod executor;
mod recorded_graph;
mod recorder;
mod shared;
mod tape;
mod trace;

pub use backward::{BackwardExecutor, try_backward};
pub use error::{EagerError, Side};
pub use executor::EvalExecutor;
pub use recorded_graph::RecordedGraph;
pub use recorder::{EagerInput, EagerOutput, KeySource, Recorder};
pub use tape::{Dual, Gradients, Mark, Tape, Var};
pub use trace::Trace;
