//! What going backward computes with: operands alone, or variables whose making is recorded.

use std::panic::Location;

use tidu_ad::Primitive;
use tidu_graph::{EvaluableGraphOperation, describe_operation};

use super::template::Template;
use super::watch::Watch;
use super::{Tape, Var};
use crate::error::EagerError;

/// What going backward computes with.
pub(super) trait Engine<Op: Primitive + EvaluableGraphOperation> {
    type Value: Clone;

    /// Whether what is computed is part of the tape afterwards.
    const RECORDS: bool;

    /// A value that was kept, whose index on the tape is `index`.
    fn residual(&self, value: Op::Operand, index: impl FnOnce() -> u32) -> Self::Value;

    /// A value that depends on nothing.
    fn constant(&self, value: Op::Operand) -> Self::Value;

    fn operand<'a>(&self, value: &'a Self::Value) -> &'a Op::Operand;

    /// Appends the results of an operation. If they are recorded, then as of `location`.
    fn apply(
        &mut self,
        operation: &Op,
        operands: &[&Self::Value],
        results: &mut Vec<Self::Value>,
        location: Option<&'static Location<'static>>,
    ) -> Result<(), EagerError>;

    /// What the tape is to stop at.
    fn watch(&self) -> Option<&Watch<Op>>;

    /// Fails for a value that the tape is to stop at.
    #[inline]
    fn check(
        &self,
        computed: &Self::Value,
        instruction: &Op,
        template: &Template<Op>,
        location: Option<&'static Location<'static>>,
    ) -> Result<(), EagerError> {
        match self.watch() {
            None => Ok(()),
            Some(watch) => watch.check_cotangent(
                self.operand(computed),
                || describe_operation(instruction),
                || template.describe(),
                location,
            ),
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

/// Computes and records.
pub(super) struct Record<'a, Op: Primitive + EvaluableGraphOperation>(pub &'a mut Tape<Op>);

impl<Op: Primitive + EvaluableGraphOperation> Engine<Op> for Evaluate<'_, Op> {
    type Value = Op::Operand;
    const RECORDS: bool = false;

    #[inline]
    fn residual(&self, value: Op::Operand, _index: impl FnOnce() -> u32) -> Op::Operand {
        value
    }

    fn constant(&self, value: Op::Operand) -> Op::Operand {
        value
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
        _location: Option<&'static Location<'static>>,
    ) -> Result<(), EagerError> {
        operation.eval_into(&mut self.0.ctx, operands, results);
        Ok(())
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

    fn constant(&self, value: Op::Operand) -> Var<Op> {
        Var::constant(value)
    }

    fn operand<'a>(&self, value: &'a Var<Op>) -> &'a Op::Operand {
        value.value()
    }

    fn apply(
        &mut self,
        operation: &Op,
        operands: &[&Var<Op>],
        results: &mut Vec<Var<Op>>,
        location: Option<&'static Location<'static>>,
    ) -> Result<(), EagerError> {
        let calls = self.0.storage.nodes.len();
        self.0.set_quiet(true);
        let found = self.0.apply(operation.clone(), operands);
        self.0.set_quiet(false);
        results.extend(found?);
        if let Some(location) = location
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
