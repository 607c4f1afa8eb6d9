//! Comparisons, which yield 1 for true and 0 for false, and what is made of them: min, max, |x|.
//!
//! Derivatives, of any order, are those of the pieces, and where pieces meet the mean of theirs. So second
//! derivatives are 0 everywhere, at kinks and ties too, where there is none: a symbolic zero, so that steps
//! cost nothing and nothing infinite is multiplied. A smooth function that is written with a kink has
//! a wrong second derivative there: |-x²| has 0 at 0, not 2.

use crate::bytecode::{Opcode, values};
use crate::definition::Eval::{Binary, Unary};
use crate::definition::{Definition, Jvp};
use crate::notation::{Fixed, Term, Times};
use crate::op::ScalarOp;

/// x₀ < x₁; ẏ = 0. False with a NaN, as all but [`NE`] are.
pub(super) static LT: Definition = comparison("lt", values::Lt).lowered(Opcode::Lt);

/// x₀ ≤ x₁; ẏ = 0
pub(super) static LE: Definition = comparison("le", values::Le).lowered(Opcode::Le);

/// x₀ > x₁; ẏ = 0
pub(super) static GT: Definition = comparison("gt", values::Gt).lowered(Opcode::Gt);

/// x₀ ≥ x₁; ẏ = 0
pub(super) static GE: Definition = comparison("ge", values::Ge).lowered(Opcode::Ge);

/// x₀ = x₁; ẏ = 0. 0 equals -0.
pub(super) static EQ: Definition = comparison("eq", values::Eq).commuting().lowered(Opcode::Eq);

/// x₀ ≠ x₁; ẏ = 0. True with a NaN.
pub(super) static NE: Definition = comparison("ne", values::Ne).commuting().lowered(Opcode::Ne);

/// The smaller of x₀ and x₁
///
/// ∂ᵢ = 1 where xᵢ is the smaller, 1/2 at ties, 0 where it is the larger.
///
/// Edges: -0 is smaller than 0; NaN if either operand is, with slope 0. Second derivatives are 0, at ties too, as the
/// module says.
pub(super) static MIN: Definition = Definition::binary(
    "min",
    values::Min,
    [
        |x0, x1, _, dx| share(x0, ScalarOp::Lt, x1) * dx,
        |x0, x1, _, dx| share(x0, ScalarOp::Gt, x1) * dx,
    ],
)
.commuting()
.lowered(Opcode::Min);

/// The larger of x₀ and x₁
///
/// ∂ᵢ = 1 where xᵢ is the larger, 1/2 at ties, 0 where it is the smaller.
///
/// Edges: 0 is larger than -0; NaN if either operand is, with slope 0. Second derivatives are 0, at ties too, as the
/// module says.
pub(super) static MAX: Definition = Definition::binary(
    "max",
    values::Max,
    [
        |x0, x1, _, dx| share(x0, ScalarOp::Gt, x1) * dx,
        |x0, x1, _, dx| share(x0, ScalarOp::Lt, x1) * dx,
    ],
)
.commuting()
.lowered(Opcode::Max);

/// y = |x|
///
/// ẏ = sign x·ẋ; slope 0 at 0. (JAX has 1 there.) The second derivative is 0, at 0 too, as the module says.
pub(super) static ABS: Definition =
    Definition::unary("abs", f64::abs, |x, _, dx| x.then(ScalarOp::Sign) * dx).lowered(Opcode::Abs);

/// y = -1, x or 1, for x below, at or above 0
///
/// ẏ = 0, at its step too, as the module says. Edges: ±0 at ±0, NaN at NaN.
pub(super) static SIGN: Definition =
    Definition::new("sign", Unary(values::Sign), Jvp::Zero).lowered(Opcode::Sign);

const fn comparison(name: &'static str, f: fn(f64, f64) -> f64) -> Definition {
    Definition::new(name, Binary(f), Jvp::Zero)
}

/// 1 where x₀ compares so with x₁, 1/2 where they are equal, 0 elsewhere.
fn share<'a>(x0: Fixed<'a>, than: ScalarOp, x1: Fixed<'a>) -> Fixed<'a> {
    x0.with(than, x1) + 0.5 * x0.with(ScalarOp::Eq, x1)
}
