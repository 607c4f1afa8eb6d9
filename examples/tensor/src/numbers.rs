//! Functions of real and complex numbers that hold over the whole range of exponents: what is squared, divided or
//! exponentiated on the way neither overflows nor vanishes where the result does not. (Those of num-complex are the
//! textbook forms, which do.)
//!
//! W. Kahan, Branch cuts for complex elementary functions, or much ado about nothing's sign bit (1987); M. Baudin and
//! R. L. Smith, A robust complex division in Scilab (2012); products that are added with one rounding are Kahan's,
//! after C.-P. Jeannerod, N. Louvet and J.-M. Muller (2013). Edges are those of annex G of the C standard.

use libm::{frexp, ldexp};
use num_complex::Complex64;

const INFINITY: f64 = f64::INFINITY;

/// The number, and one NaN for all of them. Which of two NaN an operation takes is not said: with it, a sum is the
/// same to the bit if its operands change places.
pub fn canonical(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x }
}

/// a + b
pub fn add(a: Complex64, b: Complex64) -> Complex64 {
    Complex64::new(canonical(a.re + b.re), canonical(a.im + b.im))
}

/// a·b
pub fn mul(a: Complex64, b: Complex64) -> Complex64 {
    let y = product(a, b, |x, y| x * y);
    if y.is_finite() {
        return y;
    }
    if a.is_finite() && b.is_finite() {
        let [e, f] = [exponent(a), exponent(b)];
        let y = product(scaled(a, -e), scaled(b, -f), |x, y| x * y);
        return scaled(y, e + f);
    }
    // A number without an imaginary part, say, multiplies the parts of another one, infinite ones too.
    let is_zero = a == Complex64::ZERO || b == Complex64::ZERO;
    let y = product(a, b, |x, y| match (x * y).is_nan() && !is_zero {
        true if x == 0.0 && y.is_infinite() => 0.0,
        true if y == 0.0 && x.is_infinite() => 0.0,
        _ => x * y,
    });
    Complex64::new(canonical(y.re), canonical(y.im))
}

/// a / b
pub fn div(a: Complex64, b: Complex64) -> Complex64 {
    if b.im == 0.0 {
        return Complex64::new(a.re / b.re, a.im / b.re);
    }
    if b.re == 0.0 {
        return Complex64::new(a.im / b.im, -a.re / b.im);
    }
    if !(a.is_finite() && b.is_finite()) {
        return div_at_infinity(a, b);
    }
    let [e, f] = [a, b].map(excess);
    let [a, b] = [scaled(a, -e), scaled(b, -f)];
    let size = b.re * b.re + b.im * b.im;
    let re = sum_of_products([a.re, b.re], [a.im, b.im]) / size;
    let im = sum_of_products([a.im, b.re], [-a.re, b.im]) / size;
    scaled(Complex64::new(re, im), e - f)
}

/// z / |z|; 0 at 0
pub fn sign(z: Complex64) -> Complex64 {
    if z.is_finite() {
        let z = scaled(z, -excess(z));
        let size = abs(z);
        return if size == 0.0 { z } else { z / size };
    }
    if z.is_nan() {
        return nan();
    }
    let z = at_infinity(z);
    z / abs(z)
}

/// |z|
pub fn abs(z: Complex64) -> f64 {
    z.re.hypot(z.im)
}

/// The root of which the real part is not negative
pub fn sqrt(z: Complex64) -> Complex64 {
    if z == Complex64::ZERO {
        return Complex64::new(0.0, z.im);
    }
    if z.im.is_infinite() {
        return Complex64::new(INFINITY, z.im);
    }
    if z.re.is_infinite() {
        let nothing = if z.im.is_nan() { z.im } else { 0.0 };
        return match z.re > 0.0 {
            true => Complex64::new(z.re, nothing.copysign(z.im)),
            false => Complex64::new(nothing, INFINITY.copysign(z.im)),
        };
    }
    if z.is_nan() {
        return nan();
    }
    let e = excess(z) / 2;
    let w = scaled(z, -2 * e);
    let larger = ldexp((0.5 * (w.re.abs() + abs(w))).sqrt(), e);
    let smaller = 0.5 * (z.im.abs() / larger);
    match z.re >= 0.0 {
        true => Complex64::new(larger, smaller.copysign(z.im)),
        false => Complex64::new(smaller, larger.copysign(z.im)),
    }
}

/// eᶻ
pub fn exp(z: Complex64) -> Complex64 {
    if z.im == 0.0 {
        return Complex64::new(z.re.exp(), z.im);
    }
    if z.re == f64::NEG_INFINITY && !z.im.is_finite() {
        return Complex64::ZERO;
    }
    if z.re == INFINITY && !z.im.is_finite() {
        return Complex64::new(INFINITY, f64::NAN);
    }
    let (sin, cos) = z.im.sin_cos();
    Complex64::new(times_exp(cos, z.re), times_exp(sin, z.re))
}

/// The logarithm of which the imaginary part is between -π and π
pub fn ln(z: Complex64) -> Complex64 {
    Complex64::new(ln_abs(z), z.im.atan2(z.re))
}

/// sin z
pub fn sin(z: Complex64) -> Complex64 {
    let (sin, cos) = z.re.sin_cos();
    Complex64::new(times_cosh(sin, z.im), times_sinh(cos, z.im))
}

/// cos z
pub fn cos(z: Complex64) -> Complex64 {
    let (sin, cos) = z.re.sin_cos();
    Complex64::new(times_cosh(cos, z.im), -times_sinh(sin, z.im))
}

/// tanh z
pub fn tanh(z: Complex64) -> Complex64 {
    let (sin, cos) = z.im.sin_cos();
    if z.im == 0.0 {
        return Complex64::new(z.re.tanh(), z.im);
    }
    // Beyond, the real part is 1 to the last digit, and the imaginary part sin 2y / (2·cosh² x) is sin 2y·2·e⁻²ˣ.
    if z.re.abs() > 20.0 {
        let both = match z.im.is_finite() {
            true => sin * cos,
            false => 0.0,
        };
        let im = times_exp(4.0 * both, -2.0 * z.re.abs());
        return Complex64::new(1.0_f64.copysign(z.re), im);
    }
    let (tan, sinh) = (z.im.tan(), z.re.sinh());
    let sec_square = 1.0 + tan * tan;
    let size = 1.0 + sec_square * sinh * sinh;
    let re = sec_square * (1.0 + sinh * sinh).sqrt() * sinh;
    Complex64::new(re / size, tan / size)
}

/// 1 / cosh² x, which underflows only where the result does
pub fn real_sech_square(x: f64) -> f64 {
    let e = (-2.0 * x.abs()).exp();
    let sum = 1.0 + e;
    4.0 * e / (sum * sum)
}

/// 1 / cosh² z
pub fn sech_square(z: Complex64) -> Complex64 {
    if z.im == 0.0 || z.re.is_infinite() {
        return Complex64::from(real_sech_square(z.re));
    }
    let (sin, cos) = z.im.sin_cos();
    // Beyond, cosh z is e^(x + i·y) / 2 to the last digit, with y turned round where x is negative.
    if z.re.abs() > 20.0 {
        let [re, im] = [4.0 * (cos - sin) * (cos + sin), 8.0 * sin * cos];
        let im = -im.copysign(im * z.re);
        let size = -2.0 * z.re.abs();
        return Complex64::new(times_exp(re, size), times_exp(im, size));
    }
    let cosh = Complex64::new(cos * z.re.cosh(), sin * z.re.sinh());
    let sech = div(Complex64::ONE, cosh);
    let re = sum_of_products([sech.re, sech.re], [-sech.im, sech.im]);
    Complex64::new(re, 2.0 * sech.re * sech.im)
}

/// The principal value of zᶜ; by products where c, or 2·c, is an integer of no great size
pub fn power(z: Complex64, c: f64) -> Complex64 {
    const LARGEST: f64 = 1e9;
    if c == 0.0 {
        return Complex64::ONE;
    }
    let whole = c.floor();
    if c == whole && c.abs() < LARGEST {
        return integer_power(z, c as i32);
    }
    if c == whole + 0.5 && c.abs() < LARGEST {
        let root = if c < 0.0 {
            div(Complex64::ONE, sqrt(z))
        } else {
            sqrt(z)
        };
        return mul(root, integer_power(z, c.trunc() as i32));
    }
    if z == Complex64::ZERO {
        return Complex64::from(0.0_f64.powf(c));
    }
    let e = match z.is_finite() && excess(z) != 0 {
        true => exponent(z) - 1,
        false => 0,
    };
    let size = abs(scaled(z, -e)).powf(c) * f64::from(e).exp2().powf(c);
    let (sin, cos) = (c * z.im.atan2(z.re)).sin_cos();
    Complex64::new(size * cos, size * sin)
}

/// By squaring; if infinite squares meet on the way to what is more than the largest number, once more with powers of
/// two apart, which leave the directions.
fn integer_power(z: Complex64, c: i32) -> Complex64 {
    const FEW: u32 = 600;
    let y = by_squaring(z, c);
    if !y.is_nan() || !z.is_finite() || c.unsigned_abs() > FEW {
        return y;
    }
    let e = exponent(z);
    scaled(by_squaring(scaled(z, -e), c), e * c)
}

fn by_squaring(z: Complex64, c: i32) -> Complex64 {
    let mut square = if c < 0 { div(Complex64::ONE, z) } else { z };
    let mut rest = c.unsigned_abs();
    let mut power: Option<Complex64> = None;
    while rest > 0 {
        if rest % 2 == 1 {
            power = Some(power.map_or(square, |power| mul(power, square)));
        }
        rest /= 2;
        if rest > 0 {
            square = mul(square, square);
        }
    }
    power.unwrap_or(Complex64::ONE)
}

/// ln |z|, also where |z| is near 1, or more than the largest number.
fn ln_abs(z: Complex64) -> f64 {
    let [x, y] = [z.re.abs(), z.im.abs()];
    let [large, small] = if x >= y { [x, y] } else { [y, x] };
    if large.is_infinite() || x.is_infinite() {
        return INFINITY;
    }
    if large == 0.0 {
        return f64::NEG_INFINITY;
    }
    if (0.5..2.0).contains(&large) {
        return 0.5 * square_less_one(large, small).ln_1p();
    }
    let ratio = small / large;
    large.ln() + 0.5 * (ratio * ratio).ln_1p()
}

/// x² + y² - 1 as if with twice the digits, for an x between ½ and 2 and a y that is not larger.
fn square_less_one(x: f64, y: f64) -> f64 {
    let [p, q] = [x * x, y * y];
    let rest = x.mul_add(x, -p) + y.mul_add(y, -q);
    let less_one = p - 1.0;
    // What the two sums lose in rounding (Dekker's and Knuth's).
    let of_one = p - (less_one + 1.0);
    let sum = less_one + q;
    let again = sum - less_one;
    let of_sum = (less_one - (sum - again)) + (q - again);
    sum + (rest + of_one + of_sum)
}

/// t·eˣ
fn times_exp(t: f64, x: f64) -> f64 {
    times_scaled_exp(t, x, 1.0)
}

/// t·c·eˣ, for a c near 1
fn times_scaled_exp(t: f64, x: f64, c: f64) -> f64 {
    if t == 0.0 {
        return t;
    }
    // In parts that are not larger than the largest number, nor smaller than the smallest one.
    let parts = match x.abs() {
        0.0..=700.0 => 1,
        700.0..=1400.0 => 2,
        _ => 4,
    };
    let part = (x / f64::from(parts)).exp();
    (1..parts).fold(t, |product, _| product * part) * (c * part)
}

/// t·cosh x
fn times_cosh(t: f64, x: f64) -> f64 {
    match x.abs() > 700.0 {
        true => times_scaled_exp(t, x.abs(), 0.5),
        false => t * x.cosh(),
    }
}

/// t·sinh x
fn times_sinh(t: f64, x: f64) -> f64 {
    match x.abs() > 700.0 {
        true => times_scaled_exp(t * 1.0_f64.copysign(x), x.abs(), 0.5),
        false => t * x.sinh(),
    }
}

/// For an infinite number among the two, in some part.
fn div_at_infinity(a: Complex64, b: Complex64) -> Complex64 {
    let factor = match (is_infinite(a), is_infinite(b)) {
        (true, _) if b.is_finite() => INFINITY,
        (_, true) if a.is_finite() => 0.0,
        _ => return nan(),
    };
    let [a, b] = [at_infinity(a), at_infinity(b)];
    Complex64::new(
        factor * (a.re * b.re + a.im * b.im),
        factor * (a.im * b.re - a.re * b.im),
    )
}

/// In which direction an infinite number is: ±1 for infinite parts, ±0 for others. Other numbers as they are.
fn at_infinity(z: Complex64) -> Complex64 {
    if !is_infinite(z) {
        return z;
    }
    let direction = |x: f64| f64::from(u8::from(x.is_infinite())).copysign(x);
    Complex64::new(direction(z.re), direction(z.im))
}

fn is_infinite(z: Complex64) -> bool {
    z.re.is_infinite() || z.im.is_infinite()
}

fn nan() -> Complex64 {
    Complex64::new(f64::NAN, f64::NAN)
}

/// By the textbook form, which is the same to the bit if a and b change places.
fn product(a: Complex64, b: Complex64, times: impl Fn(f64, f64) -> f64) -> Complex64 {
    Complex64::new(
        times(a.re, b.re) - times(a.im, b.im),
        times(a.re, b.im) + times(a.im, b.re),
    )
}

/// a₀·a₁ + b₀·b₁, right to the last digits also where the two cancel.
fn sum_of_products(a: [f64; 2], b: [f64; 2]) -> f64 {
    let second = b[0] * b[1];
    let rest = b[0].mul_add(b[1], -second);
    a[0].mul_add(a[1], second) + rest
}

/// z·2ᵉ
fn scaled(z: Complex64, e: i32) -> Complex64 {
    match e {
        0 => z,
        e => Complex64::new(ldexp(z.re, e), ldexp(z.im, e)),
    }
}

/// e, for a finite number of which the larger part is between 2ᵉ⁻¹ and 2ᵉ.
fn exponent(z: Complex64) -> i32 {
    frexp(z.re.abs().max(z.im.abs())).1
}

/// The [`exponent`] of a number that is so large or small that squares might overflow or vanish; 0 of others.
fn excess(z: Complex64) -> i32 {
    const MODERATE: i32 = 300;
    match exponent(z) {
        exponent if exponent.abs() <= MODERATE => 0,
        exponent => exponent,
    }
}
