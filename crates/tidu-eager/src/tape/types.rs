//! Types of operands, for operation sets whose rules ask for them: what two calls must have in common
//! besides their operation for one derivative to serve both.

use tidu_ad::{Primitive, ValueType};

/// By operand; `None` for operation sets whose rules do not ask.
pub(super) type Types = Option<Box<[ValueType]>>;

pub(super) fn types_of<'a, Op: Primitive>(
    operands: impl Iterator<Item = &'a Op::Operand>,
) -> Types {
    if Op::rules_look_into_context() {
        operands.map(Op::type_of_operand).collect()
    } else {
        None
    }
}

#[inline(always)]
pub(super) fn are_of_types<'a, Op: Primitive>(
    operands: impl Iterator<Item = &'a Op::Operand>,
    types: &Types,
) -> bool {
    !Op::rules_look_into_context()
        || match types {
            None => true,
            Some(types) => {
                let found = operands.map(Op::type_of_operand);
                found.eq(types.iter().cloned().map(Some))
            }
        }
}
