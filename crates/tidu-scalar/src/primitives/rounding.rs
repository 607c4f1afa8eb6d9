//! Rounding to integers: constant but for steps, so ẏ = 0 everywhere, at the steps too.
//!
//! Edges: ±0, ±∞ and NaN stay what they are.

use crate::bytecode::Opcode;
use crate::definition::Eval::Unary;
use crate::definition::{Definition, Jvp};

/// The largest integer up to x
pub(super) static FLOOR: Definition = rounding("floor", f64::floor).lowered(Opcode::Floor);

/// The smallest integer from x on
pub(super) static CEIL: Definition = rounding("ceil", f64::ceil).lowered(Opcode::Ceil);

/// The integer nearest to x, of two the one farther from 0
pub(super) static ROUND: Definition = rounding("round", f64::round).lowered(Opcode::Round);

/// The integer nearest to x, of two the even one
pub(super) static ROUND_TIES_EVEN: Definition =
    rounding("round_ties_even", f64::round_ties_even).lowered(Opcode::RoundTiesEven);

/// The integer next to x on the side of 0
pub(super) static TRUNC: Definition = rounding("trunc", f64::trunc).lowered(Opcode::Trunc);

const fn rounding(name: &'static str, f: fn(f64) -> f64) -> Definition {
    Definition::new(name, Unary(f), Jvp::Zero)
}
