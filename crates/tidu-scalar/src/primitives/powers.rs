//! Powers and roots.

use crate::definition::Definition;
use crate::notation::{Coefficient, Fixed, Notation, Term, Times};
use crate::op::ScalarOp;
use crate::program::Opcode;

/// y = √x, for x ≥ 0
///
/// ẏ = ẋ / 2y. Edges: ±0 at ±0, with slope ±∞; NaN below 0.
pub(super) static SQRT: Definition =
    Definition::unary("sqrt", f64::sqrt, |_, y, dx| dx / (y + y)).lowered(Opcode::Sqrt);

/// y = ∛x
///
/// ẏ = ẋ / 3y². Edges: ±0 at ±0, with slope ∞. (y / 3x, with a rounding less, has no slope there.)
pub(super) static CBRT: Definition =
    Definition::unary("cbrt", libm::cbrt, |_, y, dx| dx / (3.0 * (y * y)));

/// y = √(x₀² + x₁²), which overflows only if y does
///
/// ∂₀ = x₀ / y, ∂₁ = x₁ / y, by [`DIRECTION`]. Edges: slopes 0 at the origin; ∞ if an operand is ±∞,
/// even if the other is a NaN.
pub(super) static HYPOT: Definition = Definition::binary(
    "hypot",
    f64::hypot,
    [
        |x0, x1, _, dx| x0.with(ScalarOp::Direction, x1) * dx,
        |x0, x1, _, dx| x1.with(ScalarOp::Direction, x0) * dx,
    ],
)
.commuting();

/// y = x₀ / h with h = √(x₀² + x₁²): the cosine of the angle of the point (x₀, x₁)
///
/// ∂₀ = v² / h, ∂₁ = -y·v / h, with v = x₁ / h, the sine. (The derivative of the quotient cancels
/// where the angle is small.) Edges: 0 at the origin, with slopes 0; NaN for infinite x₀.
pub(super) static DIRECTION: Definition = Definition::binary(
    "direction",
    |x, y| if x == 0.0 { x } else { x / x.hypot(y) },
    [
        |x0, x1, _, dx| {
            let v = x1.with(ScalarOp::Direction, x0);
            v * (v / one_at_zero(x0.with(ScalarOp::Hypot, x1))) * dx
        },
        |x0, x1, y, dx| {
            let v = x1.with(ScalarOp::Direction, x0);
            -(y * (v / one_at_zero(x0.with(ScalarOp::Hypot, x1))) * dx)
        },
    ],
);

/// y = xⁿ, for an integer n; all x, but for 0 if n < 0
///
/// ẏ = n·xⁿ⁻¹·ẋ. Edges: x⁰ = 1 for every x, with slope 0.
pub(super) static POWI: Definition = Definition::numbered("powi", integer_power, |n, x, _, dx| {
    if n == 0.0 {
        dx.work().zero()
    } else if n == 1.0 {
        dx
    } else if n == 2.0 {
        (x + x) * dx
    } else {
        let lower = n - 1.0;
        let op = match lower >= f64::from(i32::MIN) {
            true => ScalarOp::Powi(lower as i32),
            false => ScalarOp::powf(lower),
        };
        n * x.then(op) * dx
    }
});

/// y = xᶜ, for x ≥ 0, and for x < 0 if c is an integer
///
/// ẏ = c·w·ẋ with w = xᶜ⁻¹. Where c - 1 is rounded, xᶜ⁻¹ is off by |ln x| / 4 ulp and more, and
/// w = y / x is better; 0 and ∞ still have w = xᶜ⁻¹.
///
/// Edges: x⁰ = 1 for every x, with slope 0; ±∞ is the slope at 0 if c < 1; NaN where x < 0 and c is
/// no integer.
pub(super) static POWF: Definition = Definition::numbered(
    "powf",
    |c, x| x.powf(c),
    |c, x, y, dx| {
        let lower = c - 1.0;
        if c == 0.0 {
            dx.work().zero()
        } else if c == 1.0 {
            dx
        } else if c == 2.0 {
            (x + x) * dx
        } else if lower + 1.0 == c {
            c * x.then(ScalarOp::powf(lower)) * dx
        } else {
            let inside = is_finite_not_zero(x);
            let quotient = c * y / inside.select(x, x.number(1.0));
            let power = c * x.then(ScalarOp::powf(lower));
            inside.select(quotient, power) * dx
        }
    },
);

/// y = x₀ to the power of x₁, for x₀ ≥ 0, and for x₀ < 0 if x₁ is an integer
///
/// ∂₀ = x₁·w with w = x₀ to the power of x₁ - 1, and 0 where x₁ = 0. Where x₁ < 1/2, x₁ - 1 may be
/// rounded, and w = y / x₀ is better, unless x₀ is 0 or ∞.
/// ∂₁ = y·ln x₀, with 1 in place of x₀ where x₀ = 0.
///
/// Edges: 1 where x₁ = 0 or x₀ = 1; so slopes (0, 0) at 0⁰. NaN where x₀ < 0 and x₁ is no integer;
/// ∂₁ is NaN wherever x₀ < 0.
pub(super) static POW: Definition = Definition::binary(
    "pow",
    f64::powf,
    [
        |x, c, y, dx| {
            let by_quotient = is_finite_not_zero(x) * c.with(ScalarOp::Lt, c.number(0.5));
            let quotient = c * y / by_quotient.select(x, x.number(1.0));
            let power = c * x.with(ScalarOp::Pow, c - c.number(1.0));
            let slope = by_quotient.select(quotient, power);
            c.is(0.0).select(c.number(0.0), slope) * dx
        },
        |x, _, y, dx| y * one_at_zero(x).then(ScalarOp::Ln) * dx,
    ],
);

fn integer_power(n: f64, x: f64) -> f64 {
    match n as i32 {
        2 => x * x,
        3 => x * x * x,
        // Repeated multiplication, as of `f64::powi`, rounds as often as it multiplies.
        _ => x.powf(n),
    }
}

/// x, and 1 in place of 0: what is not taken must not be a NaN either, or else it would come back
/// as 0·NaN when a derivative is transposed.
fn one_at_zero(x: Fixed<'_>) -> Fixed<'_> {
    x.is(0.0).select(x.number(1.0), x)
}

/// 0 and ±∞ are the numbers that equal their double.
fn is_finite_not_zero(x: Fixed<'_>) -> Fixed<'_> {
    x.with(ScalarOp::Ne, x + x)
}
