//! Types of operands, for operation sets whose rules ask for them: what two calls must have in common
//! besides their operation for one derivative to serve both.

use tidu_ad::{ADRuleResult, Primitive, ValueType, context_of_operands};

/// By operand; `None` for operation sets whose rules do not ask.
pub(super) type Types = Option<Box<[ValueType]>>;

pub(super) fn types_of<'a, Op: Primitive>(
    operands: impl Iterator<Item = &'a Op::Operand>,
) -> Types {
    match has_context::<Op>() {
        true => operands.map(Op::type_of_operand).collect(),
        false => None,
    }
}

#[inline(always)]
pub(super) fn are_of_types<'a, Op: Primitive>(
    operands: impl Iterator<Item = &'a Op::Operand>,
    types: &Types,
) -> bool {
    !has_context::<Op>()
        || match types {
            None => true,
            Some(types) => {
                let found = operands.map(Op::type_of_operand);
                found.eq(types.iter().cloned().map(Some))
            }
        }
}

/// A context that knows the operands of an operation, as a derivative of it names them. One that has
/// seen other calls might know something else under the same names.
pub(super) fn context_of_operation<Op: Primitive>(
    types: &Types,
    name: &Op::InputKey,
) -> ADRuleResult<Option<Op::ADContext>> {
    let Some(types) = types else {
        return Ok(None);
    };
    Ok(Some(context_of_operands::<Op>(types.iter(), name)?))
}

/// Rules without a context have nothing to ask.
const fn has_context<Op: Primitive>() -> bool {
    size_of::<Op::ADContext>() > 0
}
