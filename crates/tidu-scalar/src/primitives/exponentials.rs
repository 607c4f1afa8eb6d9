//! Exponentials, logarithms, and the smooth steps made of them.

use std::f64::consts::{LN_2, LN_10};

use crate::bytecode::Opcode;
use crate::definition::Definition;
use crate::notation::{Term, Times};
use crate::op::ScalarOp::{self, Exp, Ln};
use crate::simplify::Rule;

/// y = eˣ
///
/// ẏ = y·ẋ. Edges: 0 at -∞; ∞ from 709.79 on.
pub(super) static EXP: Definition = Definition::unary("exp", f64::exp, |_, y, dx| y * dx)
    .rewritten(EXP_RULES)
    .lowered(Opcode::Exp);

const EXP_RULES: &[Rule] = &[Rule::real_only("exp (ln x) = x", |t, _, x| {
    let [x] = t.operands(x[0], &Ln)?;
    Some(x)
})];

/// y = 2ˣ
///
/// ẏ = ln 2·y·ẋ. Edges: 0 at -∞; ∞ from 1024 on.
pub(super) static EXP2: Definition = Definition::unary("exp2", f64::exp2, |_, y, dx| LN_2 * y * dx);

/// y = eˣ - 1, without cancellation near 0
///
/// ẏ = eˣ·ẋ; y + 1 has no correct digit left where x < -37. Edges: -1 at -∞.
pub(super) static EXPM1: Definition =
    Definition::unary("expm1", f64::exp_m1, |x, _, dx| x.then(Exp) * dx);

/// y = exp(-x²), with x² to twice the digits
///
/// ẏ = -2·(x·y)·ẋ. Edges: 0 at ±∞, with slope ∞·0, NaN. The slope of erf is made of it: e to the rounded
/// -x² would be off by x² / 2 ulp.
pub(super) static EXP_NEG_SQUARE: Definition =
    Definition::unary("exp_neg_square", exp_neg_square, |x, y, dx| {
        // 2x would overflow where y is 0.
        let product = x * y;
        -((product + product) * dx)
    });

/// y = ln x, for x ≥ 0
///
/// ẏ = ẋ / x. Edges: -∞ at 0, with slope ∞; NaN below.
pub(super) static LN: Definition = Definition::unary("ln", f64::ln, |x, _, dx| dx / x)
    .rewritten(LN_RULES)
    .lowered(Opcode::Ln);

const LN_RULES: &[Rule] = &[Rule::real_only("ln (exp x) = x", |t, _, x| {
    let [x] = t.operands(x[0], &Exp)?;
    Some(x)
})];

/// y = log₂ x, for x ≥ 0
///
/// ẏ = ẋ / (ln 2·x). Edges: those of ln.
pub(super) static LOG2: Definition =
    Definition::unary("log2", f64::log2, |x, _, dx| dx / (LN_2 * x));

/// y = log₁₀ x, for x ≥ 0
///
/// ẏ = ẋ / (ln 10·x). Edges: those of ln.
pub(super) static LOG10: Definition =
    Definition::unary("log10", libm::log10, |x, _, dx| dx / (LN_10 * x));

/// y = ln (1 + x), without cancellation near 0, for x ≥ -1
///
/// ẏ = ẋ / (1 + x). Edges: -∞ at -1, with slope ∞; NaN below.
pub(super) static LOG1P: Definition =
    Definition::unary("log1p", f64::ln_1p, |x, _, dx| dx / (1.0 + x));

/// y = ln (exp x₀ + exp x₁), which overflows nowhere
///
/// ∂₀ = σ(x₀ - x₁), ∂₁ = σ(x₁ - x₀), by [`SIGMOID_SUB`].
///
/// Edges: -∞ for -∞ twice; where x₀ = x₁, infinite or not, both slopes are 1/2.
pub(super) static LOGADDEXP: Definition = Definition::binary(
    "logaddexp",
    log_add_exp,
    [
        |x0, x1, _, dx| x0.with(ScalarOp::SigmoidSub, x1) * dx,
        |x0, x1, _, dx| x1.with(ScalarOp::SigmoidSub, x0) * dx,
    ],
)
.commuting();

/// y = σ(x) = 1 / (1 + e⁻ˣ)
///
/// ẏ = ẋ / (4·cosh² x/2). (y·(1 - y), the better known form, has lost all digits of 1 - y at x = 37,
/// and cancels in the second derivative near 0.) Edges: 0 at -∞, 1 at ∞.
pub(super) static SIGMOID: Definition = Definition::unary("sigmoid", sigmoid, |x, _, dx| {
    0.25 * (0.5 * x).then(ScalarOp::SechSquare) * dx
});

/// y = σ(x₀ - x₁), the difference not rounded: the share of exp x₀ in exp x₀ + exp x₁
///
/// ∂₀ = σ(x₀ - x₁)·σ(x₁ - x₀), ∂₁ = -∂₀. Edges: 1/2 wherever x₀ = x₁, infinite or not.
pub(super) static SIGMOID_SUB: Definition = Definition::binary(
    "sigmoid_sub",
    sigmoid_of_difference,
    [
        |x0, x1, y, dx| y * x1.with(ScalarOp::SigmoidSub, x0) * dx,
        |x0, x1, y, dx| -(y * x1.with(ScalarOp::SigmoidSub, x0) * dx),
    ],
);

/// y = ln (1 + eˣ), which overflows nowhere
///
/// ẏ = σ(x)·ẋ. Edges: 0 at -∞, ∞ at ∞.
pub(super) static SOFTPLUS: Definition = Definition::unary("softplus", softplus, |x, _, dx| {
    x.then(ScalarOp::Sigmoid) * dx
});

fn exp_neg_square(x: f64) -> f64 {
    let square = x * x;
    if square > 750.0 {
        return 0.0;
    }
    // exp(-(s + r)) = exp(-s)·(1 - r), for a rounding error r.
    let rest = x.mul_add(x, -square);
    let y = (-square).exp();
    rest.mul_add(-y, y)
}

fn log_add_exp(x: f64, y: f64) -> f64 {
    if x == y {
        return x + LN_2;
    }
    let larger = if x > y { x } else { y };
    larger + (-(x - y).abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

fn sigmoid_of_difference(x: f64, y: f64) -> f64 {
    if x == y {
        return 0.5;
    }
    let difference = x - y;
    let value = sigmoid(difference);
    // What x - y lost in rounding (Knuth's TwoSum), and σ' = σ·(1 - σ).
    let again = difference + y;
    let rest = (x - again) - (y - (again - difference));
    if rest.is_finite() {
        (rest * sigmoid(-difference)).mul_add(value, value)
    } else {
        value
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
