//! Segments: parts of a computation of which only the ends are kept.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tidu_ad::Primitive;
use tidu_graph::EvaluableGraphOperation;

use super::{CONSTANT, Place, Tape, Var};
use crate::Side;
use crate::error::{EagerError, check_count};

/// A part of a computation that going backward runs again.
pub(super) struct Segment<Op: Primitive + EvaluableGraphOperation> {
    /// `None` once going backward has used it.
    pub body: Option<Arc<Body<Op>>>,
    pub operands: u32,
    pub outputs: u32,
    /// What it computed, as far as values can be compared.
    results: Box<[Option<Op>]>,
}

/// What a tape is in the middle of, so that it can neither be gone through nor cut back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// The body of a segment.
    Segment {
        /// Whether it runs for the first time, without recording.
        first: bool,
        /// Whether it runs again, or stands in one that does.
        again: bool,
    },
    Hook,
}

/// What a tape keeps of a computation to run it again on the way back: it must be of any thread, and hold on to
/// nothing that may be gone by then. Whatever can be, is.
#[diagnostic::on_unimplemented(
    message = "this closure runs again on the way back, and cannot hold on to what it captures",
    label = "captures a variable with operators (`scalar::Var`), a `Tape`, an `Rc` or a `Cell`",
    note = "a parameter of the steps of `iterate` is a part of the state that steps return as it is: \
            `tape.iterate(n, &[x, rate], |state, _| vec![state[0] * state[1], state[1]])`",
    note = "a parameter of a `checkpoint` is one of its operands: \
            `tape.checkpoint(&[x, rate], |of| vec![of[0] * of[1]])`",
    note = "numbers may be captured: write `move |…|`, and `let rate = rate.value();` before it for a constant"
)]
pub trait RunsAgain: Send + Sync + 'static {}

// Without this, what is said is which part of what is captured is not `Sync`.
#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> RunsAgain for T {}

/// What its author wrote, in errors.
pub(super) const SEGMENT: &str = "a `checkpoint` or `iterate`";

pub(super) type Body<Op> =
    dyn Fn(&mut Tape<Op>, &[Var<Op>]) -> Result<Vec<Var<Op>>, EagerError> + Send + Sync;

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// Runs a part of a computation and keeps nothing of it but its operands: going backward runs it
    /// again, recording, and goes backward through that. Gradients are the same to the last bit.
    ///
    /// `body` is given `operands` and returns results; it may also use other variables of the tape. It
    /// must compute the same each time, and can neither go backward nor cut the tape back. (JAX:
    /// `jax.checkpoint`.)
    ///
    /// Whether it computed the same is seen from its results, to the last bit, where operands can be held by
    /// operations ([`EvaluableGraphOperation::constant_of`]): going through it is
    /// [`EagerError::SegmentChanged`] otherwise. Of other operands nothing can be said, and gradients are
    /// then those of what ran last.
    ///
    /// # Errors
    ///
    /// Those of `body`; [`EagerError::ForeignVar`], [`EagerError::StaleVar`].
    ///
    /// # Complexity
    ///
    /// The computation once more, going backward; memory for the operands only.
    pub fn checkpoint(
        &mut self,
        operands: &[&Var<Op>],
        body: impl Fn(&mut Self, &[Var<Op>]) -> Result<Vec<Var<Op>>, EagerError> + RunsAgain,
    ) -> Result<Vec<Var<Op>>, EagerError> {
        self.run_segment(operands, Arc::new(body))
    }

    /// Repeats a step: state ↦ step(state, i) for i = 0, …, `steps` - 1, and returns the last state. Every
    /// √steps steps are a [`checkpoint`](Self::checkpoint), so that memory grows like √steps only.
    ///
    /// A parameter of the step may be captured, as other variables of the tape may, or be a part of the state
    /// that each step returns as it is. Variables with operators (`scalar::Var`) cannot be captured
    /// ([`RunsAgain`]).
    ///
    /// # Errors
    ///
    /// As for [`checkpoint`](Self::checkpoint); [`EagerError::WrongStateCount`] for a step that returns
    /// another number of values than it is given.
    ///
    /// # Example
    ///
    /// x ↦ x + h·sin x, a thousand times:
    ///
    /// ```
    /// # use tidu_eager::{Tape, Var};
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// let start = tape.leaf(0.5);
    /// let h = Var::constant(1e-3);
    /// let end = tape.iterate(1000, &[&start], move |tape, state, _| {
    ///     let slope = tape.apply_one(ScalarOp::Sin, &[&state[0]])?;
    ///     let change = tape.apply_one(ScalarOp::Mul, &[&h, &slope])?;
    ///     Ok(vec![tape.apply_one(ScalarOp::Add, &[&state[0], &change])?])
    /// })?;
    /// let gradient = tape.backward(&[(&end[0], 1.0)], &[&start])?[0].unwrap();
    /// // d(end)/d(start) → sin(end)/sin(start) as h → 0.
    /// assert!((gradient - end[0].value().sin() / 0.5_f64.sin()).abs() < 1e-3);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn iterate(
        &mut self,
        steps: usize,
        state: &[&Var<Op>],
        step: impl Fn(&mut Self, &[Var<Op>], usize) -> Result<Vec<Var<Op>>, EagerError> + RunsAgain,
    ) -> Result<Vec<Var<Op>>, EagerError> {
        let step = Arc::new(step);
        let count = state.len();
        let mut state: Vec<Var<Op>> = state.iter().map(|var| (*var).clone()).collect();
        let length = steps.isqrt().max(1);
        for first in (0..steps).step_by(length) {
            let step = Arc::clone(&step);
            let body = move |tape: &mut Self, start: &[Var<Op>]| {
                let mut state = start.to_vec();
                for at in first..steps.min(first + length) {
                    state = step(tape, &state, at)?;
                    if state.len() != count {
                        return Err(EagerError::WrongStateCount {
                            expected: count,
                            found: state.len(),
                        });
                    }
                }
                Ok(state)
            };
            let operands: Vec<&Var<Op>> = state.iter().collect();
            state = self.run_segment(&operands, Arc::new(body))?;
        }
        Ok(state)
    }

    fn run_segment(
        &mut self,
        operands: &[&Var<Op>],
        body: Arc<Body<Op>>,
    ) -> Result<Vec<Var<Op>>, EagerError> {
        for (position, operand) in operands.iter().enumerate() {
            if operand.requires_grad() {
                self.check(operand, || {
                    format!("operand {position} (counted from 0) of {SEGMENT}")
                })?;
            }
        }
        let given: Vec<Var<Op>> = operands.iter().map(|var| (*var).clone()).collect();
        let touched = std::mem::replace(&mut self.touched, false);
        let inside = Inside::Segment {
            first: true,
            again: matches!(self.inside, Some(Inside::Segment { again: true, .. })),
        };
        let first = |tape: &mut Self| tape.run_inside(inside, |tape| body(tape, &given));
        let results = self.no_grad(first);
        let depends = self.touched || operands.iter().any(|operand| operand.requires_grad());
        self.touched |= touched;
        let results = results?;
        self.check_segment_results(&results)?;
        let depends = depends || results.iter().any(Var::requires_grad);
        if self.paused || results.is_empty() || !depends {
            self.touched |= depends;
            let place = self.constant_place(operands);
            let results = results.into_iter().map(|result| Var {
                value: result.value,
                place,
            });
            return Ok(results.collect());
        }
        for operand in operands {
            self.storage.operands.push(operand.index());
            self.storage.residuals.push(Some(operand.value().clone()));
        }
        let first = self.storage.push_segment(Segment {
            body: Some(body),
            operands: operands.len() as u32,
            outputs: results.len() as u32,
            results: results
                .iter()
                .map(|result| Op::constant_of(result.value()))
                .collect(),
        });
        let places = (first..).map(|index| self.places.place(index));
        let results = results.into_iter().zip(places);
        Ok(results
            .map(|(result, place)| Var {
                value: result.value,
                place,
            })
            .collect())
    }

    /// Fails for what a body returns, when it runs again, that is not what it returned the first time, or
    /// not of this tape.
    pub(super) fn check_segment(
        &self,
        segment: &Segment<Op>,
        results: &[Var<Op>],
    ) -> Result<(), EagerError> {
        let (expected, found) = (segment.outputs as usize, results.len());
        check_count(|| SEGMENT.into(), Side::Outputs, expected, found)?;
        for (position, (known, result)) in segment.results.iter().zip(results).enumerate() {
            if known.is_some() && *known != Op::constant_of(result.value()) {
                return Err(EagerError::SegmentChanged { position });
            }
        }
        self.check_segment_results(results)
    }

    /// Fails for what a body returns that is not of this tape.
    fn check_segment_results(&self, results: &[Var<Op>]) -> Result<(), EagerError> {
        let active = results.iter().enumerate();
        for (position, result) in active.filter(|(_, result)| result.requires_grad()) {
            self.check(result, || {
                format!("result {position} (counted from 0) of {SEGMENT}")
            })?;
        }
        Ok(())
    }

    /// Runs what is not to go through the tape, nor to cut it back.
    pub(super) fn run_inside<T>(&mut self, what: Inside, body: impl FnOnce(&mut Self) -> T) -> T {
        let outside = self.inside.replace(what);
        // A panic must not leave the tape inside.
        let result = catch_unwind(AssertUnwindSafe(|| body(self)));
        self.inside = outside;
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Fails inside a segment, where what came before is out of reach while it runs again, and inside a hook,
    /// while it is being gone through.
    pub(super) fn check_outside(&self, what: &'static str) -> Result<(), EagerError> {
        match self.inside {
            None => Ok(()),
            Some(Inside::Segment { .. }) => Err(EagerError::InSegment { what }),
            Some(Inside::Hook) => Err(EagerError::InHook { what }),
        }
    }

    /// The place of a value that is there already, or of a constant.
    pub(super) fn place_at(&self, index: u32) -> Place {
        match index {
            CONSTANT => Place::NONE,
            index => self.places.place_at(index),
        }
    }
}
