//! What going backward computes with: operands alone, or variables whose making is recorded.

use tidu_ad::Primitive;
use tidu_graph::EvaluableGraphOperation;

use super::{CONSTANT, Place, Tape, Var};
use crate::error::EagerError;

/// What going backward computes with.
pub(super) trait Engine<Op: Primitive> {
    type Value: Clone;

    /// A value that was kept, whose index on the tape is `index`.
    fn residual(&self, value: Op::Operand, index: impl FnOnce() -> u32) -> Self::Value;

    /// Appends the results of an operation.
    fn apply(
        &mut self,
        operation: &Op,
        operands: &[&Self::Value],
        results: &mut Vec<Self::Value>,
    ) -> Result<(), EagerError>;

    /// What deriving takes: a name for inputs, and what rules are given.
    fn derivation(&mut self) -> (&Op::InputKey, &mut Op::ADContext);
}

/// Computes.
pub(super) struct Evaluate<'a, Op: Primitive> {
    pub ctx: &'a mut Op::Context,
    pub name: &'a Op::InputKey,
    pub ad_ctx: &'a mut Op::ADContext,
}

/// Computes and records.
pub(super) struct Record<'a, Op: Primitive + EvaluableGraphOperation> {
    pub tape: &'a mut Tape<Op>,
}

impl<Op: Primitive + EvaluableGraphOperation> Engine<Op> for Evaluate<'_, Op> {
    type Value = Op::Operand;

    #[inline]
    fn residual(&self, value: Op::Operand, _index: impl FnOnce() -> u32) -> Op::Operand {
        value
    }

    #[inline]
    fn apply(
        &mut self,
        operation: &Op,
        operands: &[&Op::Operand],
        results: &mut Vec<Op::Operand>,
    ) -> Result<(), EagerError> {
        operation.eval_into(self.ctx, operands, results);
        Ok(())
    }

    fn derivation(&mut self) -> (&Op::InputKey, &mut Op::ADContext) {
        (self.name, self.ad_ctx)
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Engine<Op> for Record<'_, Op> {
    type Value = Var<Op>;

    fn residual(&self, value: Op::Operand, index: impl FnOnce() -> u32) -> Var<Op> {
        let place = match index() {
            CONSTANT => Place::NONE,
            index => self.tape.life.place_at(index),
        };
        Var { value, place }
    }

    fn apply(
        &mut self,
        operation: &Op,
        operands: &[&Var<Op>],
        results: &mut Vec<Var<Op>>,
    ) -> Result<(), EagerError> {
        results.extend(self.tape.apply(operation.clone(), operands)?);
        Ok(())
    }

    fn derivation(&mut self) -> (&Op::InputKey, &mut Op::ADContext) {
        (&self.tape.name, &mut self.tape.ad_ctx)
    }
}
