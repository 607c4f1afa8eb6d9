//! The circular functions, of radians, and their inverses.
//!
//! 1 - x² is a fused -x·x + 1: rounded once, it does not cancel, and neither does its derivative, as
//! that of (1 - x)·(1 + x) does near 0.

use crate::bytecode::Opcode;
use crate::definition::Eval::Pair;
use crate::definition::{Definition, Jvp};
use crate::notation::{Coefficient, Term, Times};
use crate::op::ScalarOp;

/// y = sin x
///
/// ẏ = cos x·ẋ. Edges: NaN at ±∞.
pub(super) static SIN: Definition =
    Definition::unary("sin", f64::sin, |x, _, dx| x.then(ScalarOp::Cos) * dx).lowered(Opcode::Sin);

/// y = cos x
///
/// ẏ = -(sin x·ẋ). Edges: NaN at ±∞.
pub(super) static COS: Definition =
    Definition::unary("cos", f64::cos, |x, _, dx| -(x.then(ScalarOp::Sin) * dx))
        .lowered(Opcode::Cos);

/// (s, c) = (sin x, cos x)
///
/// (ṡ, ċ) = (c·ẋ, -(s·ẋ)). Edges: NaN at ±∞.
pub(super) static SIN_COS: Definition = Definition::new(
    "sin_cos",
    Pair(f64::sin_cos),
    Jvp::Pair(|p, dx| [p.y(1) * dx, -(p.y(0) * dx)]),
)
.lowered(Opcode::SinCos);

/// y = tan x; its poles lie between the floating-point numbers
///
/// ẏ = (y² + 1)·ẋ. Edges: NaN at ±∞.
pub(super) static TAN: Definition =
    Definition::unary("tan", f64::tan, |_, y, dx| y.mul_add(y, 1.0) * dx);

/// y = arcsin x, for |x| ≤ 1
///
/// ẏ = ẋ / √(1 - x²). Edges: slope ∞ at ±1; NaN beyond.
pub(super) static ASIN: Definition = Definition::unary("asin", f64::asin, |x, _, dx| {
    dx / (-x).mul_add(x, 1.0).then(ScalarOp::Sqrt)
});

/// y = arccos x, for |x| ≤ 1
///
/// ẏ = -(ẋ / √(1 - x²)). Edges: slope -∞ at ±1; NaN beyond.
pub(super) static ACOS: Definition = Definition::unary("acos", f64::acos, |x, _, dx| {
    -(dx / (-x).mul_add(x, 1.0).then(ScalarOp::Sqrt))
});

/// y = arctan x
///
/// ẏ = ẋ / (x² + 1), which is 0 from 1.4e154 on, where its true value is subnormal. Edges: ±π/2 at ±∞, with
/// slope 0; the second derivative, 0 in truth, is NaN there, from ∞·0. (√(x² + 1) twice would do better, at
/// the price of digits everywhere else.)
pub(super) static ATAN: Definition =
    Definition::unary("atan", f64::atan, |x, _, dx| dx / x.mul_add(x, 1.0));

/// y = the angle of the point (x₁, x₀), in [-π, π]
///
/// ∂₀ = u / h, ∂₁ = -v / h, with h = √(x₀² + x₁²), the cosine u = x₁ / h and the sine v = x₀ / h, by
/// [`DIRECTION`](super::powers::DIRECTION), so that nothing overflows or underflows before the slope does, and
/// second derivatives are made of such numbers, too.
///
/// Edges: 0 or ±π at the origin, by the signs of the zeros, with slopes NaN; multiples of π/4 for
/// infinite operands, with slopes 0, and NaN if both are infinite. Where second derivatives overflow, they may be
/// NaN in one mode and ∞ in another.
pub(super) static ATAN2: Definition = Definition::binary(
    "atan2",
    f64::atan2,
    [
        |x0, x1, _, dx| {
            let cos = x1.with(ScalarOp::Direction, x0);
            cos / x0.with(ScalarOp::Hypot, x1) * dx
        },
        |x0, x1, _, dx| {
            let sin = x0.with(ScalarOp::Direction, x1);
            -(sin / x0.with(ScalarOp::Hypot, x1) * dx)
        },
    ],
);
