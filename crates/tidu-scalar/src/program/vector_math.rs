//! Elementary functions of eight numbers at once, where one unit in the last place is allowed.
//!
//! The ways are the classical ones: an argument is reduced to a small one (Cody and Waite 1980, with the
//! constants in pieces of 33 bits, so that products with small integers are exact), and a Taylor
//! polynomial taken that is cut off below the last digit.
//!
//! Nothing is computed with fused operations, which not every machine has, and nothing depends on
//! neighbours: a number gives the same bits at all widths of vectors, and everywhere. Numbers for which
//! the reduction does not hold go to the standard library one by one.

use std::f64::consts::{FRAC_2_PI, LOG2_E};

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f64x8, i64x8, mask64x8};

type Lanes = [f64; 8];

/// Added to a small number and taken away again, it leaves the nearest integer; the last bits of
/// the sum are that integer.
const ROUNDER: f64 = 1.5 * (1_u64 << 52) as f64;

/// ln 2, in two pieces.
const LN_2: [f64; 2] = [
    f64::from_bits(0x3fe6_2e42_fef0_0000),
    f64::from_bits(0x3dd4_73de_6af2_78ed),
];

/// π/2, in three pieces.
const FRAC_PI_2: [f64; 3] = [
    f64::from_bits(0x3ff9_21fb_5440_0000),
    f64::from_bits(0x3dd0_b461_1a60_0000),
    f64::from_bits(0x3ba3_198a_2e03_7073),
];

/// Up to this size angles are reduced with enough digits.
const LARGEST_ANGLE: f64 = 4096.0;

/// Up to this size e to the power is far from overflow and from subnormal numbers.
const LARGEST_EXPONENT: f64 = 700.0;

/// eˣ = 2ᵏ·eʳ, with |r| ≤ ln 2 / 2.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, lanes: Lanes) -> Lanes {
    let x = f64x8::simd_from(simd, lanes);
    let shifted = x * LOG2_E + ROUNDER;
    let k = shifted - ROUNDER;
    let r = (x - k * LN_2[0]) - k * LN_2[1];
    let tail = polynomial(simd, r, &INVERSE_FACTORIALS[2..14]);
    let value = (r * r * tail + r) + 1.0;
    let exponent: i64x8<S> = shifted.bitcast();
    let scale: f64x8<S> = simd.shl_i64x8(exponent + 1023, 52).bitcast();
    let is_inside = x.abs().simd_le(LARGEST_EXPONENT);
    mend(lanes, (value * scale).into(), is_inside, f64::exp)
}

/// ln x = k·ln 2 + ln (1 + f), with 1 + f between √½ and √2; and with s = f / (2 + f),
/// ln (1 + f) = 2·artanh s = f - (f²/2 - s·(f²/2 + R)), where R = 2·(s²/3 + s⁴/5 + …).
#[inline(always)]
pub(super) fn ln<S: Simd>(simd: S, lanes: Lanes) -> Lanes {
    const SQRT_HALF: i64 = std::f64::consts::FRAC_1_SQRT_2.to_bits() as i64;
    let x = f64x8::simd_from(simd, lanes);
    let bits: i64x8<S> = x.bitcast();
    let exponent = simd.shr_i64x8(bits - SQRT_HALF, 52);
    let f: f64x8<S> = (bits - simd.shl_i64x8(exponent, 52)).bitcast();
    let f = f - 1.0;
    let k: f64x8<S> = (exponent + ROUNDER.to_bits() as i64).bitcast();
    let k = k - ROUNDER;
    let s = f / (f + 2.0);
    let square = s * s;
    let rest = square * polynomial(simd, square, &ODD_INVERSES);
    let half = f * f * 0.5;
    let tail = half - (s * (half + rest) + k * LN_2[1]);
    let value = k * LN_2[0] - (tail - f);
    let is_inside = x.simd_ge(f64::MIN_POSITIVE) & x.simd_le(f64::MAX);
    mend(lanes, value.into(), is_inside, f64::ln)
}

/// sin x
#[inline(always)]
pub(super) fn sin<S: Simd>(simd: S, lanes: Lanes) -> Lanes {
    let (sin, _, is_inside) = reduced_sin_cos(simd, lanes);
    mend(lanes, sin, is_inside, f64::sin)
}

/// cos x
#[inline(always)]
pub(super) fn cos<S: Simd>(simd: S, lanes: Lanes) -> Lanes {
    let (_, cos, is_inside) = reduced_sin_cos(simd, lanes);
    mend(lanes, cos, is_inside, f64::cos)
}

/// (sin x, cos x)
#[inline(always)]
pub(super) fn sin_cos<S: Simd>(simd: S, lanes: Lanes) -> (Lanes, Lanes) {
    let (sin, cos, is_inside) = reduced_sin_cos(simd, lanes);
    let sin = mend(lanes, sin, is_inside, f64::sin);
    let cos = mend(lanes, cos, is_inside, f64::cos);
    (sin, cos)
}

/// With x = n·π/2 + r, |r| ≤ π/4, the sine and cosine of r, exchanged and with signs as n demands; and
/// where that holds.
#[inline(always)]
fn reduced_sin_cos<S: Simd>(simd: S, lanes: Lanes) -> (Lanes, Lanes, mask64x8<S>) {
    let x = f64x8::simd_from(simd, lanes);
    let shifted = x * FRAC_2_PI + ROUNDER;
    let n = shifted - ROUNDER;
    // r + low, where low is what rounding r left out.
    let first = x - n * FRAC_PI_2[0];
    let piece = n * FRAC_PI_2[1];
    let second = first - piece;
    let again = second + piece;
    let low = (first - again) + (again - second - piece);
    let rest = low - n * FRAC_PI_2[2];
    let r = second + rest;
    let low = (second - r) + rest;

    let square = r * r;
    let tail = r * square * polynomial(simd, square, &SINE_TAIL);
    let half = square * 0.5;
    let sin = r + (tail + low * (simd.splat_f64x8(1.0) - half));
    let tail = square * square * polynomial(simd, square, &COSINE_TAIL);
    let main = simd.splat_f64x8(1.0) - half;
    let cos = main + (((simd.splat_f64x8(1.0) - main) - half) + (tail - r * low));

    let quadrant: i64x8<S> = shifted.bitcast();
    let is_odd = simd.simd_ne_i64x8(quadrant & 1, simd.splat_i64x8(0));
    let with_sign = |value: f64x8<S>, quadrant: i64x8<S>| -> f64x8<S> {
        let sign = simd.shl_i64x8(quadrant & 2, 62);
        let bits: i64x8<S> = value.bitcast();
        (bits ^ sign).bitcast()
    };
    let signed_sin = with_sign(simd.select_f64x8(is_odd, cos, sin), quadrant);
    let signed_cos = with_sign(simd.select_f64x8(is_odd, sin, cos), quadrant + 1);
    // The sign of a zero is lost above.
    let is_inside = x.abs().simd_le(LARGEST_ANGLE) & x.simd_ne(0.0);
    (signed_sin.into(), signed_cos.into(), is_inside)
}

/// Σ cᵢ·xⁱ, by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd>(simd: S, x: f64x8<S>, coefficients: &[f64]) -> f64x8<S> {
    let mut sum = simd.splat_f64x8(0.0);
    for &coefficient in coefficients.iter().rev() {
        sum = sum * x + coefficient;
    }
    sum
}

/// Replaces what is outside of a domain.
#[inline(always)]
fn mend<S: Simd>(x: Lanes, mut y: Lanes, is_inside: mask64x8<S>, f: fn(f64) -> f64) -> Lanes {
    if !is_inside.all_true() {
        replace(&x, &mut y, is_inside.to_bitmask(), f);
    }
    y
}

#[cold]
#[inline(never)]
fn replace(x: &Lanes, y: &mut Lanes, is_inside: u64, f: fn(f64) -> f64) {
    for lane in 0..8 {
        if is_inside >> lane & 1 == 0 {
            y[lane] = f(x[lane]);
        }
    }
}

/// 1/n!
const INVERSE_FACTORIALS: [f64; 20] = {
    let mut inverses = [1.0; 20];
    let (mut n, mut factorial) = (1, 1_u64);
    while n < 20 {
        factorial *= n as u64;
        inverses[n] = 1.0 / factorial as f64;
        n += 1;
    }
    inverses
};

/// (-1)ⁿ/(2n + 1)!, from n = 1 on.
const SINE_TAIL: [f64; 8] = {
    let mut tail = [0.0; 8];
    let mut n = 0;
    while n < 8 {
        let sign = if n % 2 == 0 { -1.0 } else { 1.0 };
        tail[n] = sign * INVERSE_FACTORIALS[2 * n + 3];
        n += 1;
    }
    tail
};

/// (-1)ⁿ/(2n)!, from n = 2 on.
const COSINE_TAIL: [f64; 7] = {
    let mut tail = [0.0; 7];
    let mut n = 0;
    while n < 7 {
        let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
        tail[n] = sign * INVERSE_FACTORIALS[2 * n + 4];
        n += 1;
    }
    tail
};

/// 2/(2n + 1), from n = 1 on.
const ODD_INVERSES: [f64; 11] = {
    let mut inverses = [0.0; 11];
    let mut n = 0;
    while n < 11 {
        inverses[n] = 2.0 / (2 * n + 3) as f64;
        n += 1;
    }
    inverses
};
