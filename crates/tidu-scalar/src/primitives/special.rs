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
/// ẏ = ψ(x)·ẋ. Edges: ∞ at 0, -1, -2, …, and at ±∞.
pub(super) static LGAMMA: Definition = Definition::unary("lgamma", libm::lgamma, |x, _, dx| {
    x.then(ScalarOp::Digamma) * dx
});

/// y = ψ(x), the derivative of ln |Γ(x)|
///
/// ẏ = ψ′(x)·ẋ. Edges: ∓∞ at ±0; NaN at -1, -2, …, and at -∞; ∞ at ∞.
pub(super) static DIGAMMA: Definition = Definition::unary("digamma", cephes64::psi, |x, _, dx| {
    x.then(ScalarOp::Polygamma(1)) * dx
});

/// y = ψ⁽ⁿ⁾(x), the n-th derivative of ψ(x), for n ≤ 170
///
/// ẏ = ψ⁽ⁿ⁺¹⁾(x)·ẋ. Edges: ±∞ at 0, -1, -2, …, with the sign that it has right of 0; 0 at ∞, NaN
/// at -∞.
pub(super) static POLYGAMMA: Definition =
    Definition::numbered("polygamma", polygamma, |n, x, _, dx| {
        x.then(ScalarOp::Polygamma((n as u32).saturating_add(1))) * dx
    });

/// For n ≥ 1, by Hurwitz' zeta function: ψ⁽ⁿ⁾(x) = (-1)ⁿ⁺¹·n!·ζ(n + 1, x).
fn polygamma(n: f64, x: f64) -> f64 {
    if n == 0.0 {
        return cephes64::psi(x);
    }
    let sign = if n % 2.0 == 0.0 { -1.0 } else { 1.0 };
    if x < 0.0 && x != x.floor() {
        // The derivative of the reflection formula, ψ(1 - x) - ψ(x) = π·cot πx.
        let n = n.min(171.0);
        return -sign * polygamma(n, 1.0 - x) - nth_derivative_of_pi_cot_pi(n as usize, x);
    }
    if x == f64::NEG_INFINITY {
        return f64::NAN;
    }
    let factorial: f64 = (2..=n.min(171.0) as u32).map(f64::from).product();
    sign * factorial * cephes64::zeta(n + 1.0, x)
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
    let (sin, cos) = (PI * (x - x.round())).sin_cos();
    let cot = cos / sin;
    let value = coefficients.iter().rev().fold(0.0, |sum, c| sum * cot + c);
    (0..=n).fold(value, |product, _| product * PI)
}
