//! Powers and roots.

use crate::bytecode::Opcode;
use crate::definition::{Definition, Eval, Jvp};
use crate::notation::{Notation, Term, Times};
use crate::op::{PowerOrders, ScalarOp};

/// y = √x, for x ≥ 0
///
/// ẏ = ẋ / 2y. Edges: ±0 at ±0, with slope ±∞; NaN below 0.
pub(super) static SQRT: Definition =
    Definition::unary("sqrt", f64::sqrt, |_, y, dx| dx / (y + y)).lowered(Opcode::Sqrt);

/// y = ∛x
///
/// ẏ = r²·ẋ / 3 with r = 1 / y, which is ∞ at 0 and 0 at ∞, to any order. Edges: ±0 at ±0, with slope ∞.
pub(super) static CBRT: Definition = Definition::unary("cbrt", libm::cbrt, |_, y, dx| {
    let r = y.then(ScalarOp::Recip);
    r * r / 3.0 * dx
});

/// y = √(x₀² + x₁²), which overflows only if y does
///
/// ∂₀ = x₀ / y, ∂₁ = x₁ / y, by [`DIRECTION`].
///
/// Edges: slopes 0 at the origin, where y has a kink; second derivatives are NaN there. ∞ if an operand is
/// ±∞, even if the other is a NaN, with slope ±1 by an infinite operand if the other is finite, and NaN by
/// two infinite ones.
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
/// where the angle is small.)
///
/// Edges: 0 at the origin, with slopes NaN, as it jumps there; ±1 at x₀ = ±∞ for finite x₁; NaN for two
/// infinite operands, and if either operand is a NaN.
pub(super) static DIRECTION: Definition = Definition::binary(
    "direction",
    direction,
    [
        |x0, x1, _, dx| {
            let v = x1.with(ScalarOp::Direction, x0);
            v * (v / x0.with(ScalarOp::Hypot, x1)) * dx
        },
        |x0, x1, y, dx| {
            let v = x1.with(ScalarOp::Direction, x0);
            -(y * (v / x0.with(ScalarOp::Hypot, x1)) * dx)
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
/// ẏ = c·xᶜ⁻¹·ẋ. Where c - 1 is rounded, xᶜ⁻¹ is off by |ln x| / 4 ulp and more, so that [`POW_PARTIAL`]
/// has to do it.
///
/// Edges: x⁰ = 1 for every x, with slope 0; ±∞ is the slope at 0 if c < 1; NaN where x < 0 and c is
/// no integer.
pub(super) static POWF: Definition = Definition::numbered(
    "powf",
    |c, x| x.powf(c),
    |c, x, _, dx| {
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
            x.with(ScalarOp::pow_partial(1, 0), x.number(c)) * dx
        }
    },
);

/// y = x₀ to the power of x₁, for x₀ ≥ 0, and for x₀ < 0 if x₁ is an integer
///
/// ∂₀ = x₁·x₀^(x₁ - 1), ∂₁ = y·ln x₀, by [`POW_PARTIAL`], which says what they are at the edges.
///
/// Edges: 1 where x₁ = 0 or x₀ = 1; so slopes (0, 0) at 0⁰. NaN where x₀ < 0 and x₁ is no integer;
/// ∂₁ is NaN wherever x₀ < 0.
pub(super) static POW: Definition = Definition::binary(
    "pow",
    f64::powf,
    [
        |x, c, _, dx| x.with(ScalarOp::pow_partial(1, 0), c) * dx,
        |x, c, _, dx| x.with(ScalarOp::pow_partial(0, 1), c) * dx,
    ],
);

/// y = ∂ⁿ/∂xⁿ ∂ᵐ/∂cᵐ xᶜ, of x = x₀ and c = x₁
///
/// ∂₀ is the same with n + 1, ∂₁ with m + 1: a family of its own, as a product of c and xᶜ⁻¹ has no value
/// at (0, 0), and a choice of a constant there would have no slope by c. With L = ln x, the falling
/// factorial P(c) = c·(c - 1)·…·(c - n + 1), and k from 0 to m,
///
/// y = xᶜ⁻ⁿ·Σ (m over k)·P⁽ᵏ⁾(c)·Lᵐ⁻ᵏ.
///
/// Edges: for m = 0, y = 0 wherever a factor of P(c) is 0, whatever x is; so all derivatives of x⁰, x¹, x²,
/// … by x are those of polynomials, at 0 also. NaN where x < 0, if m > 0. At x = 0 and x = ∞, y is the
/// limit from inside for this c, but for n = 0 and m > 0: 0ᶜ is taken for constant in c ≥ 0, with
/// derivatives 0, and has none for c < 0.
pub(super) static POW_PARTIAL: Definition = Definition::new(
    "pow_partial",
    Eval::NumberedBinary(partial_of_power),
    Jvp::NumberedBinary([
        |orders, x, c, dx| {
            let PowerOrders { n, m } = PowerOrders::from_number(orders);
            x.with(ScalarOp::pow_partial(n.saturating_add(1), m), c) * dx
        },
        |orders, x, c, dx| {
            let PowerOrders { n, m } = PowerOrders::from_number(orders);
            x.with(ScalarOp::pow_partial(n, m.saturating_add(1)), c) * dx
        },
    ]),
);

fn direction(x: f64, y: f64) -> f64 {
    if x.is_infinite() && y.is_finite() {
        x.signum()
    } else if x == 0.0 && !y.is_nan() {
        x
    } else if x.abs() < SMALL && y.abs() < SMALL {
        // A subnormal h has few digits.
        let (x, y) = (x / SMALL, y / SMALL);
        x / x.hypot(y)
    } else {
        x / x.hypot(y)
    }
}

/// A power of two, 2⁻⁹⁶⁰.
const SMALL: f64 = f64::from_bits((1023 - 960) << 52);

fn integer_power(n: f64, x: f64) -> f64 {
    match n as i32 {
        2 => x * x,
        3 => x * x * x,
        // Repeated multiplication, as of `f64::powi`, rounds as often as it multiplies.
        _ => x.powf(n),
    }
}

fn partial_of_power(orders: f64, x: f64, c: f64) -> f64 {
    let orders = PowerOrders::from_number(orders);
    let (n, m) = (u32::from(orders.n), usize::from(orders.m));
    if x < 0.0 && x.is_finite() && c != c.trunc() {
        // c - n may be rounded to an integer.
        return f64::NAN;
    }
    if m == 0 {
        let falling = (0..n).fold(1.0, |product, i| product * (c - f64::from(i)));
        return times_power(falling, x, c, n);
    }
    if x < 0.0 || x.is_nan() || c.is_nan() {
        return f64::NAN;
    }
    let (mut few, mut many) = ([0.0; FEW_ORDERS], Vec::new());
    let taylor = match few.get_mut(..=m) {
        Some(few) => few,
        None => {
            many.resize(m + 1, 0.0);
            &mut many[..]
        }
    };
    falling_factorial(n, c, taylor);
    if x == 0.0 || x == f64::INFINITY {
        return partial_at_edge(x, c, n, taylor);
    }
    let logarithm = x.ln();
    // m! / (m - k)!·P⁽ᵏ⁾(c) / k!, by powers of L.
    let (mut sum, mut binomial) = (taylor[0], 1.0);
    for (k, coefficient) in taylor.iter().enumerate().skip(1) {
        binomial *= (m + 1 - k) as f64;
        sum = sum.mul_add(logarithm, binomial * coefficient);
    }
    times_power(sum, x, c, n)
}

/// Derivatives by the exponent up to this order need no memory.
const FEW_ORDERS: usize = 8;

/// P⁽ᵏ⁾(c) / k! by k, of P(c) = c·(c - 1)·…·(c - n + 1). What is given is 0.
fn falling_factorial(n: u32, c: f64, taylor: &mut [f64]) {
    taylor[0] = 1.0;
    for i in 0..n {
        let factor = c - f64::from(i);
        for k in (1..taylor.len()).rev() {
            taylor[k] = taylor[k].mul_add(factor, taylor[k - 1]);
        }
        taylor[0] *= factor;
    }
}

/// The limit of xᶜ⁻ⁿ·Σ …, at x = 0 and ∞, by the highest power of ln x that stands there.
fn partial_at_edge(x: f64, c: f64, n: u32, taylor: &[f64]) -> f64 {
    if n == 0 && x == 0.0 {
        return if c >= 0.0 { 0.0 } else { f64::NAN };
    }
    let power = c - f64::from(n);
    let vanishes = if x == 0.0 { power > 0.0 } else { power < 0.0 };
    if vanishes {
        return 0.0;
    }
    // P has no double zeros. At x⁰ it has none, so that a logarithm is left.
    let (lead, logarithms) = match taylor[0] {
        0.0 => (taylor[1], taylor.len() - 2),
        lead => (lead, taylor.len() - 1),
    };
    let falls = x == 0.0 && logarithms % 2 == 1;
    lead.signum()
        * if falls {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        }
}

/// k·xᶜ⁻ⁿ; 0 if k is.
///
/// xᶜ⁻ⁿ is best by itself, unless c - n is rounded, or the power overflows or underflows where the product
/// need not.
fn times_power(k: f64, x: f64, c: f64, n: u32) -> f64 {
    if k == 0.0 {
        return 0.0;
    }
    let lower = c - f64::from(n);
    let power = x.powf(lower);
    let is_exact = lower + f64::from(n) == c;
    if k.is_infinite() && power == 0.0 && c.abs() > 1e30 {
        // No product of few numbers outgrows an exponential.
        return 0.0;
    }
    let above = x.powf(c);
    if (is_exact && power.is_normal()) || !above.is_normal() || x == 0.0 || x.is_infinite() {
        k * power
    } else {
        (0..n).fold(k * above, |product, _| product / x)
    }
}
