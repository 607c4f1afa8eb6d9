//! One call of a rule: rules are user code, so what they emit and return is checked here.

use std::collections::HashSet;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Range;

use tidu_graph::{
    GraphError, LocalValueId, MAX_OUTPUTS, OperationRole, ValueKey, describe_operation,
};

use super::{ADRuleError, ADRuleKind, ADRuleResult, Primitive, PrimitiveBuilder, PrimitiveValue};

/// The builder that a rule sees: passes checked operations on to the real one.
///
/// `add_primitive` cannot fail, so the first error is kept, and what the rule emits after it goes
/// nowhere; [`finish`](Self::finish) reports it.
pub(crate) struct RuleScope<'a, Op, B> {
    builder: &'a mut B,
    /// Whose rule it is, for messages.
    primitive: &'a dyn Debug,
    rule: ADRuleKind,
    known: IdSet<'a>,
    error: Option<ADRuleError>,
    emits: PhantomData<Op>,
}

/// Stands for the results of an operation that was refused.
const REFUSED: LocalValueId = LocalValueId::MAX;

impl<'a, Op: Primitive, B: PrimitiveBuilder<Op>> RuleScope<'a, Op, B> {
    pub fn new(
        builder: &'a mut B,
        primitive: &'a dyn Debug,
        rule: ADRuleKind,
        given: &'a [Option<LocalValueId>],
    ) -> Self {
        Self {
            builder,
            primitive,
            rule,
            known: IdSet::new(given),
            error: None,
            emits: PhantomData,
        }
    }

    /// Lets the rule use one more value.
    pub fn give(&mut self, id: LocalValueId) {
        self.known.insert(id);
    }

    /// Checks what the rule returned.
    pub fn finish(
        self,
        expected: usize,
        returned: Vec<Option<LocalValueId>>,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if returned.len() != expected {
            return Err(ADRuleError::WrongRuleResultCount {
                op: describe_operation(&self.primitive),
                rule: self.rule,
                expected,
                found: returned.len(),
            });
        }
        for (position, id) in returned.iter().enumerate() {
            if let Some(id) = id.filter(|id| !self.known.contains(*id)) {
                return Err(self.unknown_value(id, format!("result {position}")));
            }
        }
        Ok(returned)
    }

    /// Emits an operation, if it is one that the rule may.
    pub fn try_emit(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        role: OperationRole,
    ) -> ADRuleResult<Vec<LocalValueId>> {
        self.check_operands(&op, &inputs, &role)?;
        let outputs = op.output_count();
        let ids = match self.builder.try_add_primitive(op, inputs, role) {
            Ok(ids) => ids,
            Err(source) => return Err(self.invalid_emission(source)),
        };
        if ids.len() != outputs {
            return Err(ADRuleError::WrongBuilderResultCount {
                op: describe_operation(&self.primitive),
                rule: self.rule,
                expected: outputs,
                found: ids.len(),
            });
        }
        ids.iter().for_each(|&id| self.known.insert(id));
        Ok(ids)
    }

    fn check_operands(
        &self,
        op: &Op,
        inputs: &[PrimitiveValue<Op>],
        role: &OperationRole,
    ) -> ADRuleResult<()> {
        if inputs.len() != op.input_count() {
            return Err(self.invalid_emission(GraphError::WrongArity {
                operation: describe_operation(op),
                expected: op.input_count(),
                found: inputs.len(),
            }));
        }
        if op.output_count() > MAX_OUTPUTS {
            return Err(self.invalid_emission(GraphError::TooManyOutputs {
                operation: describe_operation(op),
                found: op.output_count(),
                limit: MAX_OUTPUTS,
            }));
        }
        if let OperationRole::Linearized { active_mask } = role
            && active_mask.len() != inputs.len()
        {
            return Err(ADRuleError::WrongActiveMask {
                op: describe_operation(&self.primitive),
                rule: self.rule,
                emitted: describe_operation(op),
                expected: inputs.len(),
                found: active_mask.len(),
            });
        }
        for (operand, input) in inputs.iter().enumerate() {
            if let PrimitiveValue::Local(id) = *input
                && !self.known.contains(id)
            {
                let place = format!("operand {operand} of {}", describe_operation(op));
                return Err(self.unknown_value(id, place));
            }
        }
        Ok(())
    }

    fn invalid_emission(&self, source: GraphError) -> ADRuleError {
        ADRuleError::InvalidEmission {
            op: describe_operation(&self.primitive),
            rule: self.rule,
            source,
        }
    }

    fn unknown_value(&self, id: LocalValueId, place: String) -> ADRuleError {
        ADRuleError::UnknownRuleValue {
            op: describe_operation(&self.primitive),
            rule: self.rule,
            place,
            id,
        }
    }
}

impl<Op: Primitive, B: PrimitiveBuilder<Op>> PrimitiveBuilder<Op> for RuleScope<'_, Op, B> {
    fn add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        role: OperationRole,
    ) -> Vec<LocalValueId> {
        let outputs = op.output_count();
        if self.error.is_none() {
            match self.try_emit(op, inputs, role) {
                Ok(ids) => return ids,
                Err(error) => self.error = Some(error),
            }
        }
        vec![REFUSED; outputs.clamp(1, MAX_OUTPUTS)]
    }

    fn key_of(&self, id: LocalValueId) -> Option<ValueKey<Op>> {
        self.builder.key_of(id)
    }
}

/// The primitive's own addition, if it is one.
pub(crate) fn checked_add<Op: Primitive>() -> ADRuleResult<Op> {
    let add = Op::add();
    match (add.input_count(), add.output_count()) {
        (2, 1) => Ok(add),
        (inputs, outputs) => Err(ADRuleError::InvalidAdd {
            op: describe_operation(&add),
            inputs,
            outputs,
        }),
    }
}

/// Adds two cotangents with the primitive's own addition.
pub(crate) fn emit_sum<Op: Primitive>(
    builder: &mut impl PrimitiveBuilder<Op>,
    terms: [LocalValueId; 2],
) -> ADRuleResult<LocalValueId> {
    let add = checked_add::<Op>()?;
    let given = terms.map(Some);
    let mut scope = RuleScope::new(builder, &add, ADRuleKind::Transpose, &given);
    let role = OperationRole::Linearized {
        active_mask: vec![true, true],
    };
    let operands = terms.map(PrimitiveValue::Local).to_vec();
    let sum = scope.try_emit(add.clone(), operands, role)?;
    Ok(sum[0])
}

/// The local ids that a rule may use: those that it was given, and those that were made for it, which
/// builders nearly always number upwards. The rest goes into a set.
struct IdSet<'a> {
    given: &'a [Option<LocalValueId>],
    /// The same, ascending, if they are many.
    sorted: Vec<Option<LocalValueId>>,
    made: Range<LocalValueId>,
    others: Option<HashSet<LocalValueId>>,
}

/// So many are looked through from first to last.
const FEW: usize = 8;

impl<'a> IdSet<'a> {
    fn new(given: &'a [Option<LocalValueId>]) -> Self {
        let mut sorted = Vec::new();
        if given.len() > FEW {
            sorted.extend_from_slice(given);
            sorted.sort_unstable();
        }
        Self {
            given,
            sorted,
            made: 0..0,
            others: None,
        }
    }

    fn insert(&mut self, id: LocalValueId) {
        if self.made.is_empty() {
            self.made = id..id.saturating_add(1);
        } else if id == self.made.end {
            self.made.end = id.saturating_add(1);
        } else if !self.contains(id) {
            self.others.get_or_insert_default().insert(id);
        }
    }

    fn contains(&self, id: LocalValueId) -> bool {
        self.made.contains(&id)
            || match self.given.len() {
                ..=FEW => self.given.contains(&Some(id)),
                _ => self.sorted.binary_search(&Some(id)).is_ok(),
            }
            || self.others.as_ref().is_some_and(|set| set.contains(&id))
    }
}
