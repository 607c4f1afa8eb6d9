//! Where a rule puts what it emits.

use tidu_graph::{
    GraphBuilder, GraphError, GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef,
};

use super::Primitive;

/// What an emitted operation is applied to: a value that the rule was given or made, by id, or a
/// value of the primal graph, by key.
pub type PrimitiveValue<Op> = ValueRef<Op>;

/// An operand with its activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleOperand<Op: GraphOperation> {
    /// A tangent or cotangent: the emitted operation is linear in it.
    Active(LocalValueId),
    /// A coefficient.
    Fixed(PrimitiveValue<Op>),
}

/// Where a rule puts the operations that it emits: into a graph, or straight into the arms of a
/// runtime that computes them.
pub trait PrimitiveBuilder<Op: GraphOperation> {
    /// Adds an operation and returns one id an output.
    fn add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        role: OperationRole,
    ) -> Vec<LocalValueId>;

    /// Adds an operation, for builders that can say what is wrong with it.
    ///
    /// # Errors
    ///
    /// The default never fails: it calls [`add_primitive`](Self::add_primitive).
    fn try_add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        role: OperationRole,
    ) -> Result<Vec<LocalValueId>, GraphError> {
        Ok(self.add_primitive(op, inputs, role))
    }

    /// The key of a value that was added, for rules that note something about it in their context (a
    /// shape, say). `None` from a builder that keeps no keys, as one that computes at once.
    fn key_of(&self, _id: LocalValueId) -> Option<ValueKey<Op>> {
        None
    }

    /// Adds an operation of one result that is linear in its active operands, jointly.
    ///
    /// # Panics
    ///
    /// For an operation that has no results.
    fn emit_linear(
        &mut self,
        op: Op,
        operands: impl IntoIterator<Item = RuleOperand<Op>>,
    ) -> LocalValueId
    where
        Self: Sized,
    {
        let (inputs, role) = RuleOperand::split(operands);
        self.add_primitive(op, inputs, role)[0]
    }

    /// Adds work of one result that depends on no tangent or cotangent.
    ///
    /// # Panics
    ///
    /// For an operation that has no results.
    fn emit_fixed(
        &mut self,
        op: Op,
        operands: impl IntoIterator<Item = PrimitiveValue<Op>>,
    ) -> PrimitiveValue<Op>
    where
        Self: Sized,
    {
        let operands = operands.into_iter().map(RuleOperand::Fixed);
        PrimitiveValue::Local(self.emit_linear(op, operands))
    }

    /// Adds up the terms that are there, from left to right.
    fn emit_sum(
        &mut self,
        terms: impl IntoIterator<Item = Option<LocalValueId>>,
    ) -> Option<LocalValueId>
    where
        Self: Sized,
        Op: Primitive,
    {
        let terms = terms.into_iter().flatten();
        terms.reduce(|sum, term| {
            self.emit_linear(
                Op::add(),
                [RuleOperand::Active(sum), RuleOperand::Active(term)],
            )
        })
    }
}

impl<Op: GraphOperation> PrimitiveBuilder<Op> for GraphBuilder<Op> {
    fn add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        role: OperationRole,
    ) -> Vec<LocalValueId> {
        self.add_operation(op, inputs, role)
    }

    fn try_add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        role: OperationRole,
    ) -> Result<Vec<LocalValueId>, GraphError> {
        self.try_add_operation(op, inputs, role)
    }

    fn key_of(&self, id: LocalValueId) -> Option<ValueKey<Op>> {
        self.try_global_key(id).ok().cloned()
    }
}

impl<Op: GraphOperation> RuleOperand<Op> {
    /// The operands, and the role in which an operation is linear in those that are active. Both lists are
    /// made in one piece: memory is most of what a rule costs.
    pub(crate) fn split(
        operands: impl IntoIterator<Item = Self>,
    ) -> (Vec<PrimitiveValue<Op>>, OperationRole) {
        let operands = operands.into_iter();
        let count = operands.size_hint().0;
        let (mut inputs, mut active_mask) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for operand in operands {
            let (input, is_active) = match operand {
                Self::Active(id) => (PrimitiveValue::Local(id), true),
                Self::Fixed(value) => (value, false),
            };
            inputs.push(input);
            active_mask.push(is_active);
        }
        (inputs, OperationRole::Linearized { active_mask })
    }
}

impl<Op: GraphOperation> From<PrimitiveValue<Op>> for RuleOperand<Op> {
    fn from(value: PrimitiveValue<Op>) -> Self {
        RuleOperand::Fixed(value)
    }
}

impl<Op: GraphOperation> From<ValueKey<Op>> for RuleOperand<Op> {
    fn from(key: ValueKey<Op>) -> Self {
        RuleOperand::Fixed(PrimitiveValue::External(key))
    }
}
