//! The error function, the gamma function, and their kin.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

use spec_math::cephes64;

use crate::definition::Definition;
use crate::notation::Term;
use crate::op::ScalarOp;

/// y = erf x = 2/√π·∫₀ˣ exp(-t²) dt
///
/// ẏ = 2/√π·exp(-x²)·ẋ. Edges: ±1 at ±∞.
pub(super) static ERF: Definition = Definition::unary("erf", libm::erf, |x, _, dx| {
    FRAC_2_SQRT_PI * x.then(ScalarOp::ExpNegSquare) * dx
});

/// y = erfc x = 1 - erf x, without cancellation
///
/// ẏ = -2/√π·exp(-x²)·ẋ. Edges: 2 at -∞, 0 at ∞.
pub(super) static ERFC: Definition = Definition::unary("erfc", libm::erfc, |x, _, dx| {
    -(FRAC_2_SQRT_PI * x.then(ScalarOp::ExpNegSquare) * dx)
});

/// y = ln |Γ(x)|
///
/// ẏ = ψ(x)·ẋ. Edges: ∞ at 0, -1, -2, …, and at ±∞; the slope is ∓∞ at ±0, NaN at the other poles.
pub(super) static LGAMMA: Definition = Definition::unary("lgamma", libm::lgamma, |x, _, dx| {
    x.then(ScalarOp::Digamma) * dx
});

/// y = ψ(x), the derivative of ln |Γ(x)|
///
/// ẏ = ψ′(x)·ẋ. Edges: ∓∞ at ±0; NaN at -1, -2, …, and at -∞; ∞ at ∞.
pub(super) static DIGAMMA: Definition = Definition::unary("digamma", digamma, |x, _, dx| {
    x.then(ScalarOp::Polygamma(1)) * dx
});

/// y = ψ⁽ⁿ⁾(x), the n-th derivative of ψ(x), for n ≤ 170
///
/// ẏ = ψ⁽ⁿ⁺¹⁾(x)·ẋ. Edges: ±∞ at 0, -1, -2, …, with the sign that it has right of them; ∞ at -0; 0 at ∞,
/// NaN at -∞. NaN for n > 170, where n! is no double.
pub(super) static POLYGAMMA: Definition =
    Definition::numbered("polygamma", polygamma, |n, x, _, dx| {
        x.then(ScalarOp::Polygamma((n as u32).saturating_add(1))) * dx
    });

/// For negative x by reflection, ψ(1 - x) - ψ(x) = π·cot πx, of the exact distance to the nearest integer.
fn digamma(x: f64) -> f64 {
    if x < 0.0 && x != x.floor() {
        cephes64::psi(1.0 - x) - PI / (PI * (x - x.round())).tan()
    } else {
        cephes64::psi(x)
    }
}

/// For n ≥ 1, ψ⁽ⁿ⁾(x) = (-1)ⁿ⁺¹·Σ n! / (x + k)ⁿ⁺¹ over k ≥ 0.
fn polygamma(n: f64, x: f64) -> f64 {
    if n == 0.0 {
        return digamma(x);
    }
    if n > MOST_DERIVATIVES || x.is_nan() || x == f64::NEG_INFINITY {
        return f64::NAN;
    }
    let sign = if n % 2.0 == 0.0 { -1.0 } else { 1.0 };
    if x < 0.0 && x != x.floor() {
        // The derivative of the reflection formula.
        -sign * polygamma(n, 1.0 - x) - nth_derivative_of_pi_cot_pi(n as usize, x)
    } else if x == 0.0 && x.is_sign_negative() {
        f64::INFINITY
    } else if x <= 0.0 {
        sign * f64::INFINITY
    } else if x == f64::INFINITY {
        sign * 0.0
    } else {
        sign * sum_of_inverse_powers(n, x)
    }
}

/// The largest n whose factorial is a double.
const MOST_DERIVATIVES: f64 = 170.0;

/// B₂ₖ / (2k)!, for k from 1 on.
const BERNOULLI: [f64; 12] = [
    0.08333333333333333,
    -0.001388888888888889,
    3.306878306878307e-05,
    -8.267195767195768e-07,
    2.08767569878681e-08,
    -5.284190138687493e-10,
    1.3382536530684679e-11,
    -3.3896802963225827e-13,
    8.586062056277845e-15,
    -2.174868698558062e-16,
    5.5090028283602295e-18,
    -1.3954464685812522e-19,
];

/// Σ n! / (x + k)ⁿ⁺¹ over k ≥ 0, for 0 < x < ∞ and n ≥ 1: the first terms one by one, the others by
/// Euler and Maclaurin's formula, which wants a large argument.
///
/// Terms are taken relative to the first one, as e^(-(n + 1)·ln (1 + k / x)): that is off by its exponent,
/// and so off by little where it counts; a rounded power of a rounded quotient would be off by n ulp.
fn sum_of_inverse_powers(n: f64, x: f64) -> f64 {
    let enough = n + 15.0;
    if x >= enough {
        return factorial_over_power(n as u32 - 1, x) * rest_of_sum(n, x);
    }
    let term = |k: f64| (-(n + 1.0) * (k / x).ln_1p()).exp();
    let count = (enough - x).ceil();
    let far = x + count;
    let mut sum = term(count) * (far / n) * rest_of_sum(n, far);
    let mut k = count;
    while k > 1.0 {
        k -= 1.0;
        sum += term(k);
    }
    // Where x is tiny, the first term is all that is left, and may be infinite.
    factorial_over_power(n as u32, x) * (1.0 + sum)
}

/// Σ n! / (z + k)ⁿ⁺¹ over k ≥ 0 by its leading term (n - 1)! / zⁿ:
/// 1 + n / 2z + Σ B₂ₖ / (2k)!·n·(n + 1)·…·(n + 2k - 1) / z²ᵏ.
fn rest_of_sum(n: f64, z: f64) -> f64 {
    let (mut rising, mut sum) = (1.0, 0.0);
    for (k, coefficient) in BERNOULLI.iter().enumerate() {
        let first = n + 2.0 * k as f64;
        rising *= (first / z) * ((first + 1.0) / z);
        sum += coefficient * rising;
    }
    1.0 + (0.5 * n / z + sum)
}

/// m! / xᵐ⁺¹ to the last place or so, wherever that is a double: with twice the digits, and the exponent of
/// two apart.
fn factorial_over_power(m: u32, x: f64) -> f64 {
    let (half, above_half) = libm::frexp(x);
    // 1 ≤ fraction < 2, so that neither product nor quotient leaves the range: 170! does not.
    let (fraction, exponent) = (2.0 * half, above_half - 1);
    let by = |(high, low): (f64, f64), factor: f64| {
        let product = high * factor;
        let rest = high.mul_add(factor, -product) + low * factor;
        let sum = product + rest;
        (sum, rest - (sum - product))
    };
    let above = (1..=m).fold((1.0, 0.0), |product, i| by(product, f64::from(i)));
    let below = (0..=m).fold((1.0, 0.0), |product, _| by(product, fraction));
    let quotient = above.0 / below.0;
    let rest = (-quotient).mul_add(below.0, above.0) + above.1 - quotient * below.1;
    let power = i64::from(exponent) * (i64::from(m) + 1);
    let power = power.clamp(-100_000, 100_000) as i32;
    libm::scalbn(quotient + rest / below.0, -power)
}

/// dⁿ/dxⁿ π·cot πx = πⁿ⁺¹·Pₙ(cot πx), where P₀(c) = c and Pₙ₊₁(c) = -(1 + c²)·Pₙ′(c).
fn nth_derivative_of_pi_cot_pi(n: usize, x: f64) -> f64 {
    let mut coefficients = vec![0.0, 1.0];
    for _ in 0..n {
        let mut next = vec![0.0; coefficients.len() + 1];
        for (power, coefficient) in coefficients.iter().enumerate().skip(1) {
            let slope = power as f64 * coefficient;
            next[power - 1] -= slope;
            next[power + 1] -= slope;
        }
        coefficients = next;
    }
    let distance = x - x.round();
    if distance.abs() < 1e-9 {
        // The pole is all there is: (-1)ⁿ·n! / distanceⁿ⁺¹.
        // For odd n the power is even, and has no sign of its own.
        let sign = if n % 2 == 1 { -1.0 } else { distance.signum() };
        return sign * factorial_over_power(n as u32, distance.abs());
    }
    let (sin, cos) = (PI * distance).sin_cos();
    let cot = cos / sin;
    let value = coefficients.iter().rev().fold(0.0, |sum, c| sum * cot + c);
    (0..=n).fold(value, |product, _| product * PI)
}
