//! What going backward computes with: operands alone, or variables whose making is recorded.

use std::panic::Location;

use tidu_ad::Primitive;
use tidu_graph::text::operation_label;
use tidu_graph::{EvalError, EvaluableGraphOperation};

use super::hooks::HookOfVariables;
use super::segment::Inside;
use super::template::Origin;
use super::watch::Watch;
use super::{Tape, Var};
use crate::error::{EagerError, failed, wrong_results};

/// What going backward computes with.
pub(super) trait Engine<Op: Primitive + EvaluableGraphOperation> {
    type Value: Clone;

    /// Whether what is computed is part of the tape afterwards.
    const RECORDS: bool;

    /// A value that was kept, whose index on the tape is `index`.
    fn residual(&self, value: Op::Operand, index: impl FnOnce() -> u32) -> Self::Value;

    /// What takes the place of a gradient, by a hook that was added at `location`.
    fn replaced(
        &mut self,
        gradient: &Self::Value,
        by: Op::Operand,
        location: &'static Location<'static>,
    ) -> Self::Value;

    /// What a hook has take the place of a gradient.
    fn call_hook(
        &mut self,
        hook: &mut HookOfVariables<Op>,
        gradient: &Self::Value,
    ) -> Result<Option<Self::Value>, EagerError>;

    fn operand<'a>(&self, value: &'a Self::Value) -> &'a Op::Operand;

    /// Appends the results of an operation, which is a part of the derivative of a call.
    fn apply(
        &mut self,
        operation: &Op,
        operands: &[&Self::Value],
        results: &mut Vec<Self::Value>,
        from: Option<Origin<'_, Op>>,
    ) -> Result<(), EagerError>;

    /// What the tape is to stop at.
    fn watch(&self) -> Option<&Watch<Op>>;

    /// Fails for a value that the tape is to stop at.
    #[inline]
    fn check(
        &self,
        computed: &Self::Value,
        instruction: &Op,
        (template, location): Origin<'_, Op>,
    ) -> Result<(), EagerError> {
        match self.watch() {
            None => Ok(()),
            Some(watch) => {
                let made = || operation_label(instruction);
                let what = || format!("what {} computes in the derivative", made());
                let operation = || template.describe();
                watch.check(self.operand(computed), what, operation, location)
            }
        }
    }

    fn tape(&mut self) -> &mut Tape<Op>;

    /// An empty list, on memory of an earlier pass if there is some; it may hold any number of `None`.
    fn take_spare(&mut self) -> Vec<Option<Self::Value>> {
        Vec::new()
    }

    /// Gives a list back that holds nothing but `None`.
    fn give_spare(&mut self, _spare: Vec<Option<Self::Value>>) {}
}

/// Computes.
pub(super) struct Evaluate<'a, Op: Primitive + EvaluableGraphOperation>(pub &'a mut Tape<Op>);

/// Computes and records, as of this place in the user's program where no call is known for which.
pub(super) struct Record<'a, Op: Primitive + EvaluableGraphOperation>(
    pub &'a mut Tape<Op>,
    pub &'static Location<'static>,
);

impl<Op: Primitive + EvaluableGraphOperation> Engine<Op> for Evaluate<'_, Op> {
    type Value = Op::Operand;
    const RECORDS: bool = false;

    #[inline]
    fn residual(&self, value: Op::Operand, _index: impl FnOnce() -> u32) -> Op::Operand {
        value
    }

    fn replaced(
        &mut self,
        _gradient: &Op::Operand,
        by: Op::Operand,
        _location: &'static Location<'static>,
    ) -> Op::Operand {
        by
    }

    fn call_hook(
        &mut self,
        hook: &mut HookOfVariables<Op>,
        gradient: &Op::Operand,
    ) -> Result<Option<Op::Operand>, EagerError> {
        let gradient = Var::constant(gradient.clone());
        let run = |tape: &mut Tape<Op>| tape.no_grad(|tape| hook(tape, &gradient));
        let found = self.0.run_inside(Inside::Hook, run)?;
        Ok(found.map(|found| found.value))
    }

    #[inline]
    fn operand<'a>(&self, value: &'a Op::Operand) -> &'a Op::Operand {
        value
    }

    #[inline(always)]
    fn apply(
        &mut self,
        operation: &Op,
        operands: &[&Op::Operand],
        results: &mut Vec<Op::Operand>,
        from: Option<Origin<'_, Op>>,
    ) -> Result<(), EagerError> {
        let found = operation.try_eval_into(&mut self.0.ctx, operands, results);
        found.map_err(|source| failed_in(operation, from, source))
    }

    #[inline]
    fn watch(&self) -> Option<&Watch<Op>> {
        self.0.watch.as_ref()
    }

    #[inline]
    fn tape(&mut self) -> &mut Tape<Op> {
        self.0
    }

    fn take_spare(&mut self) -> Vec<Option<Op::Operand>> {
        std::mem::take(&mut self.0.spare)
    }

    fn give_spare(&mut self, spare: Vec<Option<Op::Operand>>) {
        self.0.spare = spare;
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Engine<Op> for Record<'_, Op> {
    type Value = Var<Op>;
    const RECORDS: bool = true;

    fn residual(&self, value: Op::Operand, index: impl FnOnce() -> u32) -> Var<Op> {
        Var {
            value,
            place: self.0.place_at(index()),
        }
    }

    fn replaced(
        &mut self,
        gradient: &Var<Op>,
        by: Op::Operand,
        location: &'static Location<'static>,
    ) -> Var<Op> {
        if is_same::<Op>(gradient.value(), &by) {
            return gradient.clone();
        }
        let tape = &mut *self.0;
        if !gradient.requires_grad() {
            return tape.constant(by);
        }
        let index = tape.storage.push_replaced(gradient.index());
        tape.replaced.push((index, location));
        Var {
            value: by,
            place: tape.places.place(index),
        }
    }

    fn call_hook(
        &mut self,
        hook: &mut HookOfVariables<Op>,
        gradient: &Var<Op>,
    ) -> Result<Option<Var<Op>>, EagerError> {
        let run = |tape: &mut Tape<Op>| hook(tape, gradient);
        let found = self.0.run_inside(Inside::Hook, run)?;
        if let Some(found) = found.as_ref().filter(|found| found.requires_grad()) {
            self.0.check(found, || "what a hook returned".into())?;
        }
        Ok(found)
    }

    fn operand<'a>(&self, value: &'a Var<Op>) -> &'a Op::Operand {
        value.value()
    }

    fn apply(
        &mut self,
        operation: &Op,
        operands: &[&Var<Op>],
        results: &mut Vec<Var<Op>>,
        from: Option<Origin<'_, Op>>,
    ) -> Result<(), EagerError> {
        let calls = self.0.storage.nodes.len();
        let location = from.map_or(self.1, |(template, known)| {
            known.unwrap_or(template.location)
        });
        self.0.set_quiet(true);
        let found = self.0.apply_at(operation, operands, location);
        self.0.set_quiet(false);
        results.extend(found.map_err(|error| of_derivative(error, from))?);
        if let Some((_, Some(location))) = from
            && self.0.storage.nodes.len() > calls
        {
            self.0.storage.locate(location);
        }
        Ok(())
    }

    fn watch(&self) -> Option<&Watch<Op>> {
        self.0.watch.as_ref()
    }

    fn tape(&mut self) -> &mut Tape<Op> {
        self.0
    }
}

/// The one result of an operation, by way of an empty list.
#[inline(always)]
pub(super) fn apply_one<Op: Primitive + EvaluableGraphOperation, E: Engine<Op>>(
    operation: &Op,
    operands: [&E::Value; 2],
    results: &mut Vec<E::Value>,
    from: Option<Origin<'_, Op>>,
    engine: &mut E,
) -> Result<E::Value, EagerError> {
    engine.apply(operation, &operands, results, from)?;
    let found = results.len();
    let result = results.pop().filter(|_| found == 1);
    result.ok_or_else(|| wrong_results(operation, 1, found))
}

/// An operation of a derivative that could not be evaluated.
#[cold]
#[inline(never)]
fn failed_in<Op: Primitive + EvaluableGraphOperation>(
    operation: &Op,
    from: Option<Origin<'_, Op>>,
    source: EvalError,
) -> EagerError {
    of_derivative(failed(operation, None, source), from)
}

/// With what call an operation is a part of the derivative of.
#[cold]
fn of_derivative<Op: Primitive + EvaluableGraphOperation>(
    error: EagerError,
    from: Option<Origin<'_, Op>>,
) -> EagerError {
    let Some((template, location)) = from else {
        return error;
    };
    let mut error = error.applied_at(location.or(Some(template.location)));
    if let EagerError::Failed { derivative_of, .. } = &mut error {
        *derivative_of = Some(template.describe());
    }
    error
}

/// Whether two operands are the same to the last bit, as far as can be seen.
pub(super) fn is_same<Op: EvaluableGraphOperation>(one: &Op::Operand, other: &Op::Operand) -> bool {
    let one = Op::constant_of(one);
    one.is_some() && one == Op::constant_of(other)
}
