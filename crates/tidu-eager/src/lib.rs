//! Eager reverse-mode differentiation: record calls as they happen, then go backward.
//!
//! This crate is a layer of `tidu`. It is for authors of runtimes that compute
//! at once (tensor libraries, simulators): the runtime computes, tells a [`Recorder`] what it
//! computed, and later asks [`try_backward`] for gradients, which it computes itself through a
//! [`BackwardExecutor`]. Who has no runtime yet takes a [`Tape`], which computes itself. It is not for
//! those who know their computation before it runs: `tidu-ad` derives that once, for all points. The
//! crate holds no derivative rule; those come from `tidu-ad`.
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
//! f(x, y) = x·eʸ at (2, 0), on a tape, with the scalar primitives of `tidu-scalar`:
//!
//! ```
//! use tidu_eager::Tape;
//! use tidu_scalar::{ScalarKey, ScalarOp};
//!
//! let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
//! let (x, y) = (tape.leaf(2.0), tape.leaf(0.0));
//! let exp_y = tape.apply_one(ScalarOp::Exp, &[&y])?;
//! let f = tape.apply_one(ScalarOp::Mul, &[&x, &exp_y])?;
//! assert_eq!(*f.value(), 2.0);
//! assert_eq!(tape.backward(&[(&f, 1.0)], &[&x, &y])?, [Some(1.0), Some(2.0)]);
//! # Ok::<(), tidu_eager::EagerError>(())
//! ```
//!
//! How a runtime that computes by itself is recorded, [`EvalExecutor`] shows.
//!
//! # Guarantees
//!
//! Linear time and constant stack for recording, going backward and dropping, however long the
//! trace; every sum of cotangents in a fixed order.

#![cfg_attr(
    book,
    doc = "# In the book

[Tape](../book/tape.html), [Eager reverse mode](../book/tutorials/eager-reverse-mode.html), a tutorial with a runtime
of one's own."
)]
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
pub use error::{EagerError, Forgotten, Side};
pub use executor::EvalExecutor;
pub use recorded_graph::RecordedGraph;
pub use recorder::{EagerInput, EagerOutput, KeySource, Recorder};
pub use tape::{Dual, Gradients, HeldByTape, HookId, Mark, RunsAgain, Tape, Var};
pub use trace::Trace;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
