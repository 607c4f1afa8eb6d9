//! The hyperbolic functions and their inverses.

use crate::definition::Definition;
use crate::fixed::Slope::{Over, Times};
use crate::op::ScalarOp;

/// y = sinh x
///
/// ẏ = cosh x·ẋ. Edges: ±∞ from ±710.48 on.
pub(super) static SINH: Definition =
    Definition::unary("sinh", f64::sinh, |x, _| Times(x.then(ScalarOp::Cosh)));

/// y = cosh x
///
/// ẏ = sinh x·ẋ. Edges: ∞ from ±710.48 on.
pub(super) static COSH: Definition =
    Definition::unary("cosh", f64::cosh, |x, _| Times(x.then(ScalarOp::Sinh)));

/// y = tanh x
///
/// ẏ = ẋ / cosh² x. (1 - y² and (1 - y)·(1 + y), which reuse y, have lost all digits of 1 - y at
/// x = 19, and cancel in the second derivative near 0.) Edges: ±1 at ±∞, with slope 0, which is
/// reached at ±355.6, where the true slope is subnormal.
pub(super) static TANH: Definition = Definition::unary("tanh", f64::tanh, |x, _| {
    let cosh = x.then(ScalarOp::Cosh);
    Over(cosh * cosh)
});

/// y = arsinh x
///
/// ẏ = ẋ / √(x² + 1), the root by hypot, which does not overflow. Edges: ±∞ at ±∞.
pub(super) static ASINH: Definition = Definition::unary("asinh", libm::asinh, |x, _| {
    Over(x.with(ScalarOp::Hypot, x.number(1.0)))
});

/// y = arcosh x, for x ≥ 1
///
/// ẏ = ẋ / (√(x - 1)·√(x + 1)); x² - 1 would overflow. Edges: 0 at 1, with slope ∞; NaN below.
pub(super) static ACOSH: Definition = Definition::unary("acosh", libm::acosh, |x, _| {
    let one = x.number(1.0);
    Over((x - one).then(ScalarOp::Sqrt) * (x + one).then(ScalarOp::Sqrt))
});

/// y = artanh x, for |x| ≤ 1
///
/// ẏ = ẋ / (1 - x²), fused. Edges: ±∞ at ±1, with slope ∞; NaN beyond.
pub(super) static ATANH: Definition =
    Definition::unary("atanh", libm::atanh, |x, _| Over((-x).mul_add(x, 1.0)));
