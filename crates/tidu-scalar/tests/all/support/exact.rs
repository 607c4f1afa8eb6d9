//! Values and derivatives to hundreds of digits, by mathematics that the library does not know of:
//! functions are computed from their definitions, derivatives are differences over a tiny step.

use std::sync::OnceLock;

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;

/// A number of many binary digits.
pub type Big = FBig<HalfEven, 2>;

/// A double, exactly, to compute with to so many digits.
pub fn big(x: f64, digits: usize) -> Big {
    let exact = Big::try_from(x).expect("a finite number");
    exact.with_precision(digits).value()
}

/// The distance from `found` to `exact` in units in the last place of `size`, which is `exact` itself or
/// what it is a difference of; `None` where `exact` is 0 or subnormal, or overflows.
pub fn ulps(found: f64, exact: &Big, size: f64) -> Option<f64> {
    if !exact.to_f64().value().is_normal() {
        return None;
    }
    if !found.is_finite() {
        return Some(f64::INFINITY);
    }
    let error = exact - big(found, exact.precision());
    let power_of_two = f64::from_bits(size.abs().to_bits() & !((1 << 52) - 1));
    // In two steps, as the unit itself may be subnormal.
    let unit = big(power_of_two, 53) * big(f64::EPSILON, 53);
    Some((error / unit).to_f64().value().abs())
}

/// A step for differences: so small against the scale on which the function varies that what is left
/// out (its square) is below 2⁻⁹⁰, even for scales of an ulp.
const STEP_BITS: isize = -100;

/// The first and second differences of a function of one number.
pub fn derivatives(f: impl Fn(&Big) -> Big, x: f64, scale: f64, digits: usize) -> [Big; 3] {
    let (x, h) = (big(x, digits), big(scale, digits) << STEP_BITS);
    let (above, here, below) = (f(&(&x + &h)), f(&x), f(&(&x - &h)));
    let first = known(&above - &below, &here) / (&h * big(2.0, digits));
    let second = known(above + below - &here * big(2.0, digits), &here) / (&h * &h);
    [here, first, second]
}

/// A difference of values of this size; 0 if nothing but rounding is left of it.
fn known(difference: Big, size: &Big) -> Big {
    let digits = size.precision();
    let noise = size.clone() >> (digits as isize - 80);
    if &difference * &difference < &noise * &noise {
        big(0.0, digits)
    } else {
        difference
    }
}

/// ∂₀∂₁ of a function of two numbers.
pub fn mixed_derivative(
    f: impl Fn(&Big, &Big) -> Big,
    x: [f64; 2],
    scale: [f64; 2],
    digits: usize,
) -> Big {
    let [x, y] = x.map(|x| big(x, digits));
    let [h, k] = scale.map(|scale| big(scale, digits) << STEP_BITS);
    let (right, left) = (&x + &h, &x - &h);
    let (above, below) = (&y + &k, &y - &k);
    let difference = f(&right, &above) - f(&right, &below) - f(&left, &above) + f(&left, &below);
    known(difference, &f(&x, &y)) / (h * k * big(4.0, digits))
}

fn number_like(x: &Big, number: usize) -> Big {
    big(number as f64, x.precision())
}

/// 1 / (1 + e⁻ˣ)
pub fn sigmoid(x: &Big) -> Big {
    let one = number_like(x, 1);
    &one / (&one + (-x).exp())
}

/// ln (1 + eˣ)
pub fn softplus(x: &Big) -> Big {
    x.exp().ln_1p()
}

/// erf x = 2/√π·e^(-x²)·Σ 2ⁿ·x²ⁿ⁺¹ / (1·3·…·(2n+1)) (Abramowitz and Stegun 7.1.6), which has no signs
/// and so no cancellation.
pub fn erf(x: &Big) -> Big {
    let digits = x.precision();
    let square = x * x;
    let double = &square * number_like(x, 2);
    let (mut term, mut sum) = (x.clone(), x.clone());
    let least = big(1.0, digits) >> digits as isize;
    let mut n = 0;
    loop {
        n += 1;
        term = term * &double / number_like(x, 2 * n + 1);
        sum += &term;
        let ratio = (&term / &sum) << 1;
        if ratio.clone() * &ratio < &least * &least && n as f64 > square.to_f64().value() {
            break;
        }
    }
    sum * number_like(x, 2) / Big::pi(digits).sqrt() * (-square).exp()
}

/// How far the argument of Stirling's series is shifted, and how many terms it has: together good for
/// 500 bits.
const SHIFT: f64 = 80.0;
const TERMS: usize = 100;

/// ln |Γ(x)|, by recurrence, reflection and Stirling's series.
pub fn lgamma(x: &Big) -> Big {
    let one = number_like(x, 1);
    let zero = number_like(x, 0);
    let pi = Big::pi(x.precision());
    if *x < zero {
        let sin = (x * &pi).sin();
        let sin = if sin < zero { -sin } else { sin };
        return (pi / sin).ln() - lgamma(&(one - x));
    }
    let (mut z, mut product) = (x.clone(), one.clone());
    while z < big(SHIFT, 53) {
        product *= &z;
        z += &one;
    }
    let half = big(0.5, x.precision());
    let mut sum = (&z - &half) * z.ln() - &z + (pi * number_like(x, 2)).ln() * half - product.ln();
    let square = &z * &z;
    let mut power = z;
    for (k, bernoulli) in bernoulli_numbers().iter().enumerate() {
        let n = 2 * (k + 1);
        sum += bernoulli / (number_like(x, n * (n - 1)) * &power);
        power *= &square;
    }
    sum
}

/// ψ⁽ⁿ⁾(x) for x > 0, by recurrence and the derivatives of Stirling's series.
pub fn polygamma(n: usize, x: &Big) -> Big {
    let one = number_like(x, 1);
    let factorial = |n: usize| (1..=n).fold(one.clone(), |product, i| product * number_like(x, i));
    let power = |z: &Big, n: usize| (0..n).fold(one.clone(), |product, _| product * z);
    let mut z = x.clone();
    // Without the common sign (-1)ⁿ⁺¹.
    let mut sum = number_like(x, 0);
    while z < big(SHIFT, 53) {
        sum += factorial(n) / power(&z, n + 1);
        z += &one;
    }
    sum += factorial(n) / (power(&z, n + 1) * number_like(x, 2));
    sum += match n {
        0 => -z.ln(),
        _ => factorial(n - 1) / power(&z, n),
    };
    let square = &z * &z;
    let mut divisor = power(&z, n + 2);
    for (k, bernoulli) in bernoulli_numbers().iter().enumerate() {
        let m = 2 * (k + 1);
        // (m + n - 1)! / m!
        let rising = match n {
            0 => &one / number_like(x, m),
            _ => (m + 1..m + n).fold(one.clone(), |product, i| product * number_like(x, i)),
        };
        sum += bernoulli * rising / &divisor;
        divisor *= &square;
    }
    if n.is_multiple_of(2) { -sum } else { sum }
}

/// B₂, B₄, …, by Σ (m+1 over k)·Bₖ = 0.
fn bernoulli_numbers() -> &'static [Big] {
    static NUMBERS: OnceLock<Vec<Big>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        let number = |n: usize| big(n as f64, 2500);
        let mut all = vec![number(1)];
        for m in 1..=2 * TERMS {
            let mut sum = number(0);
            let mut binomial = number(1);
            for (k, bernoulli) in all.iter().enumerate() {
                sum += &binomial * bernoulli;
                binomial = binomial * number(m + 1 - k) / number(k + 1);
            }
            all.push(-sum / number(m + 1));
        }
        let even = all.into_iter().skip(2).step_by(2);
        even.map(|number| number.with_precision(520).value())
            .collect()
    })
}
