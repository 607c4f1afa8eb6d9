//! The hyperbolic functions and their inverses.

use crate::definition::Definition;
use crate::notation::{Coefficient, Notation, Term, Times};
use crate::op::ScalarOp;

/// y = sinh x
///
/// ẏ = cosh x·ẋ. Edges: ±∞ from ±710.48 on.
pub(super) static SINH: Definition =
    Definition::unary("sinh", f64::sinh, |x, _, dx| x.then(ScalarOp::Cosh) * dx);

/// y = cosh x
///
/// ẏ = sinh x·ẋ. Edges: ∞ from ±710.48 on.
pub(super) static COSH: Definition =
    Definition::unary("cosh", f64::cosh, |x, _, dx| x.then(ScalarOp::Sinh) * dx);

/// y = tanh x
///
/// ẏ = ẋ / cosh² x, by [`SECH_SQUARE`]. (1 - y² and (1 - y)·(1 + y), which reuse y, have lost all
/// digits of 1 - y at x = 19, and cancel in the second derivative near 0. cosh x, squared and divided
/// by, underflows when a second derivative is transposed.) Edges: ±1 at ±∞.
pub(super) static TANH: Definition = Definition::unary("tanh", f64::tanh, |x, _, dx| {
    x.then(ScalarOp::SechSquare) * dx
});

/// y = 1 / cosh² x, which underflows only if y does
///
/// ẏ = -2·tanh x·y·ẋ. Edges: 0 at ±∞.
pub(super) static SECH_SQUARE: Definition =
    Definition::unary("sech_square", sech_square, |x, y, dx| {
        let tanh = x.then(ScalarOp::Tanh);
        -((tanh + tanh) * y * dx)
    });

/// y = arsinh x
///
/// ẏ = ẋ / √(x² + 1), the root by hypot, which does not overflow. Edges: ±∞ at ±∞.
pub(super) static ASINH: Definition = Definition::unary("asinh", libm::asinh, |x, _, dx| {
    dx / x.with(ScalarOp::Hypot, x.number(1.0))
});

/// y = arcosh x, for x ≥ 1
///
/// ẏ = ẋ / √(x - 1) / √(x + 1); x² - 1 would overflow, and the derivative of the product of roots is NaN at 1
/// and at ∞. Edges: 0 at 1, with slope ∞; NaN below.
pub(super) static ACOSH: Definition = Definition::unary("acosh", libm::acosh, |x, _, dx| {
    let one = x.number(1.0);
    dx / (x - one).then(ScalarOp::Sqrt) / (x + one).then(ScalarOp::Sqrt)
});

/// y = artanh x, for |x| ≤ 1
///
/// ẏ = ẋ / (1 - x²), fused. Edges: ±∞ at ±1, with slope ∞; NaN beyond, where the slope is that of the formula.
pub(super) static ATANH: Definition =
    Definition::unary("atanh", libm::atanh, |x, _, dx| dx / (-x).mul_add(x, 1.0));

/// With e = exp(-2|x|): 4e / (1 + e)².
fn sech_square(x: f64) -> f64 {
    let e = (-2.0 * x.abs()).exp();
    let sum = 1.0 + e;
    4.0 * e / (sum * sum)
}
