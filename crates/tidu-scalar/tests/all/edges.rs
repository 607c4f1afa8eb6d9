//! What values and slopes are at the edges: at 0, at ties, at ±∞, at the ends of domains, next to
//! underflow.

mod exactness;
mod gamma;
mod powers;
mod special_points;

use crate::support::{alone, backward, forward};
use tidu_scalar::{Expr, ScalarOp, function};

use ScalarOp::*;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
/// The smallest positive number.
const TINY: f64 = 5e-324;

/// Whether two numbers are the same, signs of zeros included; NaNs are all the same.
fn same(found: f64, expected: f64) -> bool {
    found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan())
}

#[track_caller]
fn assert_same(found: &[f64], expected: &[f64], what: &str) {
    let all = found.iter().zip(expected).all(|(f, e)| same(*f, *e));
    assert!(
        all && found.len() == expected.len(),
        "{what}: {found:?}, not {expected:?}"
    );
}

/// The value at a point, and the slopes, as `grad` and as `jacobian` derive them, and for one number
/// by either mode.
#[track_caller]
fn check(op: &ScalarOp, at: &[f64], value: f64, slopes: &[f64]) {
    let f = alone(op);
    let name = format!("{} at {at:?}", crate::support::Name(op));
    let found = f.compile().call(at).expect("as many inputs");
    assert_same(&found, &[value], &name);
    let gradient = f.grad(..).expect("a gradient").compile();
    let found = gradient.call(at).expect("as many inputs");
    // The sign of a slope of zero is of no interest.
    let plain = |slopes: &[f64]| -> Vec<f64> { slopes.iter().map(|slope| slope + 0.0).collect() };
    assert_same(&plain(&found), slopes, &format!("gradient of {name}"));
    let jacobian = f.jacobian(..).expect("a Jacobian").compile();
    let found = jacobian.call(at).expect("as many inputs");
    assert_same(&plain(&found), slopes, &format!("Jacobian of {name}"));
    if let [x] = at {
        for derive in [backward, forward] {
            let found = derive(&f).compile().call(&[*x]).expect("one input");
            assert_same(&plain(&found), slopes, &format!("derivative of {name}"));
        }
    }
}

fn check_all(op: &ScalarOp, cases: &[(f64, f64, f64)]) {
    for (x, value, slope) in cases {
        check(op, &[*x], *value, &[*slope]);
    }
}

fn check_pairs(op: &ScalarOp, cases: &[([f64; 2], f64, [f64; 2])]) {
    for (x, value, slopes) in cases {
        check(op, x, *value, slopes);
    }
}

#[test]
fn absolute_values_and_signs_have_slope_zero_at_zero() {
    check_all(
        &Abs,
        &[
            (0.0, 0.0, 0.0),
            (-0.0, 0.0, 0.0),
            (-3.0, 3.0, -1.0),
            (TINY, TINY, 1.0),
            (-INF, INF, -1.0),
            (NAN, NAN, NAN),
        ],
    );
    check_all(
        &Sign,
        &[
            (0.0, 0.0, 0.0),
            (-0.0, -0.0, 0.0),
            (-TINY, -1.0, 0.0),
            (INF, 1.0, 0.0),
            (NAN, NAN, 0.0),
        ],
    );
}

#[test]
fn minima_and_maxima_share_ties_and_keep_nans() {
    check_pairs(
        &Max,
        &[
            ([2.0, 1.0], 2.0, [1.0, 0.0]),
            ([1.0, 2.0], 2.0, [0.0, 1.0]),
            ([2.0, 2.0], 2.0, [0.5, 0.5]),
            ([0.0, -0.0], 0.0, [0.5, 0.5]),
            ([-0.0, 0.0], 0.0, [0.5, 0.5]),
            ([INF, INF], INF, [0.5, 0.5]),
            ([-INF, 3.0], 3.0, [0.0, 1.0]),
            ([NAN, 1.0], NAN, [0.0, 0.0]),
            ([1.0, NAN], NAN, [0.0, 0.0]),
        ],
    );
    check_pairs(
        &Min,
        &[
            ([2.0, 1.0], 1.0, [0.0, 1.0]),
            ([1.0, 2.0], 1.0, [1.0, 0.0]),
            ([2.0, 2.0], 2.0, [0.5, 0.5]),
            ([0.0, -0.0], -0.0, [0.5, 0.5]),
            ([-0.0, 0.0], -0.0, [0.5, 0.5]),
            ([-INF, 3.0], -INF, [1.0, 0.0]),
            ([NAN, 1.0], NAN, [0.0, 0.0]),
            ([1.0, NAN], NAN, [0.0, 0.0]),
        ],
    );
}

#[test]
fn roundings_and_comparisons_have_slope_zero_everywhere() {
    // Of 2.5, -2.5, -0.5, ±0, ±∞.
    let points = [2.5, -2.5, -0.5, 0.0, -0.0, INF, -INF];
    for (op, values) in [
        (Floor, [2.0, -3.0, -1.0, 0.0, -0.0, INF, -INF]),
        (Ceil, [3.0, -2.0, -0.0, 0.0, -0.0, INF, -INF]),
        (Round, [3.0, -3.0, -1.0, 0.0, -0.0, INF, -INF]),
        (RoundTiesEven, [2.0, -2.0, -0.0, 0.0, -0.0, INF, -INF]),
        (Trunc, [2.0, -2.0, -0.0, 0.0, -0.0, INF, -INF]),
    ] {
        for (x, value) in points.into_iter().zip(values) {
            check(&op, &[x], value, &[0.0]);
        }
    }
    // Of (1, 2), (2, 1), (1, 1), (0, -0), and with a NaN.
    let points = [[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [0.0, -0.0], [1.0, NAN]];
    for (op, values) in [
        (Lt, [1.0, 0.0, 0.0, 0.0, 0.0]),
        (Le, [1.0, 0.0, 1.0, 1.0, 0.0]),
        (Gt, [0.0, 1.0, 0.0, 0.0, 0.0]),
        (Ge, [0.0, 1.0, 1.0, 1.0, 0.0]),
        (Eq, [0.0, 0.0, 1.0, 1.0, 0.0]),
        (Ne, [1.0, 1.0, 0.0, 0.0, 1.0]),
    ] {
        for (x, value) in points.into_iter().zip(values) {
            check(&op, &x, value, &[0.0, 0.0]);
        }
    }
}

#[test]
fn roots_and_logarithms_are_steep_at_zero() {
    check_all(
        &Sqrt,
        &[
            (0.0, 0.0, INF),
            (-0.0, -0.0, -INF),
            (-1.0, NAN, NAN),
            (INF, INF, 0.0),
        ],
    );
    check_all(
        &Cbrt,
        &[
            (0.0, 0.0, INF),
            (-0.0, -0.0, INF),
            (-8.0, -2.0, 1.0 / 12.0),
            (-INF, -INF, 0.0),
        ],
    );
    check_all(
        &Ln,
        &[
            (0.0, -INF, INF),
            (-1.0, NAN, -1.0),
            (INF, INF, 0.0),
            (1.0, 0.0, 1.0),
        ],
    );
    check_all(
        &Log2,
        &[
            (0.0, -INF, INF),
            (INF, INF, 0.0),
            (8.0, 3.0, (8.0 * 2_f64.ln()).recip()),
        ],
    );
    check_all(
        &Log10,
        &[
            (0.0, -INF, INF),
            (INF, INF, 0.0),
            (1e3, 3.0, (1e3 * 10_f64.ln()).recip()),
        ],
    );
    check_all(
        &Log1p,
        &[
            (0.0, 0.0, 1.0),
            (-0.0, -0.0, 1.0),
            (-1.0, -INF, INF),
            (INF, INF, 0.0),
            (TINY, TINY, 1.0),
        ],
    );
    check_all(
        &Recip,
        &[
            (0.0, INF, -INF),
            (-0.0, -INF, -INF),
            (INF, 0.0, 0.0),
            (-4.0, -0.25, -0.0625),
        ],
    );
}

#[test]
fn powers_of_zero_and_of_negative_numbers() {
    // x⁰ is 1, whatever x is, and so its slope is 0.
    for op in [Powi(0), ScalarOp::powf(0.0)] {
        check_all(
            &op,
            &[
                (0.0, 1.0, 0.0),
                (-2.0, 1.0, 0.0),
                (NAN, 1.0, 0.0),
                (INF, 1.0, 0.0),
            ],
        );
    }
    for op in [Powi(1), ScalarOp::powf(1.0)] {
        check_all(&op, &[(0.0, 0.0, 1.0), (-2.0, -2.0, 1.0), (INF, INF, 1.0)]);
    }
    for op in [Powi(2), ScalarOp::powf(2.0)] {
        check_all(
            &op,
            &[(0.0, 0.0, 0.0), (-3.0, 9.0, -6.0), (1e200, INF, 2e200)],
        );
    }
    for op in [Powi(-1), ScalarOp::powf(-1.0)] {
        check_all(
            &op,
            &[(0.0, INF, -INF), (-2.0, -0.5, -0.25), (INF, 0.0, 0.0)],
        );
    }
    check_all(&Powi(3), &[(-2.0, -8.0, 12.0), (0.0, 0.0, 0.0)]);
    check_all(
        &Powi(i32::MIN),
        &[(1.0, 1.0, f64::from(i32::MIN)), (2.0, 0.0, 0.0)],
    );
    check_all(
        &ScalarOp::powf(0.5),
        &[(0.0, 0.0, INF), (4.0, 2.0, 0.25), (-1.0, NAN, NAN)],
    );
    check_all(
        &ScalarOp::powf(0.3),
        &[(0.0, 0.0, INF), (INF, INF, 0.0), (-1.0, NAN, NAN)],
    );
    check_all(
        &ScalarOp::powf(-0.3),
        &[(0.0, INF, -INF), (INF, 0.0, 0.0), (1.0, 1.0, -0.3)],
    );
    check_all(&ScalarOp::powf(1.5), &[(0.0, 0.0, 0.0), (4.0, 8.0, 3.0)]);
    check_pairs(
        &Pow,
        &[
            ([0.0, 0.0], 1.0, [0.0, 0.0]),
            ([0.0, 1.0], 0.0, [1.0, 0.0]),
            ([0.0, 2.0], 0.0, [0.0, 0.0]),
            ([0.0, 0.25], 0.0, [INF, 0.0]),
            ([0.0, -1.0], INF, [-INF, NAN]),
            ([-2.0, 3.0], -8.0, [12.0, NAN]),
            ([-2.0, -2.0], 0.25, [0.25, NAN]),
            ([-2.0, 0.0], 1.0, [0.0, NAN]),
            ([-2.0, 0.5], NAN, [NAN, NAN]),
            ([1.0, INF], 1.0, [INF, 0.0]),
            ([INF, 2.0], INF, [INF, INF]),
            ([INF, -2.0], 0.0, [0.0, 0.0]),
            ([1.0, 7.0], 1.0, [7.0, 0.0]),
        ],
    );
    // Second derivatives at 0 of x² and x³, in which nothing comes back from what is not taken.
    for (exponent, second) in [(2.0, 2.0), (3.0, 0.0)] {
        let f = function(["x"], |[x]| [x.pow(exponent)]).expect("a function");
        for derive in [backward, forward] {
            let twice = derive(&derive(&f)).compile();
            assert_eq!(twice.call(&[0.0]).expect("one input"), [second]);
        }
    }
}

#[test]
fn a_root_of_a_rounded_exponent_flattens_at_infinity() {
    let root = alone(&ScalarOp::powf(0.3));
    for derive in [backward, forward] {
        let twice = derive(&derive(&root)).compile();
        assert_eq!(twice.call(&[INF]).expect("one input"), [0.0]);
    }
}

#[test]
fn exponentials_and_steps_level_off() {
    check_all(
        &Exp,
        &[
            (-INF, 0.0, 0.0),
            (INF, INF, INF),
            (710.0, INF, INF),
            (-745.2, 0.0, 0.0),
        ],
    );
    check_all(
        &Exp2,
        &[(-INF, 0.0, 0.0), (1024.0, INF, INF), (-1074.0, TINY, TINY)],
    );
    check_all(
        &Expm1,
        &[
            (0.0, 0.0, 1.0),
            (-0.0, -0.0, 1.0),
            (-INF, -1.0, 0.0),
            (TINY, TINY, 1.0),
        ],
    );
    check_all(
        &ExpNegSquare,
        &[
            (0.0, 1.0, 0.0),
            (INF, 0.0, NAN),
            (40.0, 0.0, 0.0),
            (1e200, 0.0, 0.0),
            (f64::MAX, 0.0, 0.0),
            (-1e308, 0.0, 0.0),
        ],
    );
    check_all(
        &Sigmoid,
        &[
            (0.0, 0.5, 0.25),
            (-INF, 0.0, 0.0),
            (INF, 1.0, 0.0),
            (-800.0, 0.0, 0.0),
        ],
    );
    check_all(
        &Softplus,
        &[
            (-INF, 0.0, 0.0),
            (INF, INF, 1.0),
            (1e300, 1e300, 1.0),
            (-800.0, 0.0, 0.0),
        ],
    );
    check_all(
        &Tanh,
        &[
            (0.0, 0.0, 1.0),
            (-INF, -1.0, 0.0),
            (INF, 1.0, 0.0),
            (1e300, 1.0, 0.0),
        ],
    );
    check_all(
        &SechSquare,
        &[(0.0, 1.0, 0.0), (-INF, 0.0, 0.0), (800.0, 0.0, 0.0)],
    );
    check_all(
        &Erf,
        &[
            (INF, 1.0, 0.0),
            (-INF, -1.0, 0.0),
            (-0.0, -0.0, std::f64::consts::FRAC_2_SQRT_PI),
        ],
    );
    check_all(
        &Erfc,
        &[
            (INF, 0.0, 0.0),
            (-INF, 2.0, 0.0),
            (0.0, 1.0, -std::f64::consts::FRAC_2_SQRT_PI),
        ],
    );
    // Values between underflow and 0 are still there: e⁻⁷⁴⁰, and four times e⁻⁷⁴⁰.
    let subnormal = (-740.0_f64).exp();
    check(&Sigmoid, &[-740.0], subnormal, &[subnormal]);
    check(&SechSquare, &[-370.0], 4.0 * subnormal, &[8.0 * subnormal]);
}

#[test]
fn logaddexp_and_hypot_do_not_overflow() {
    let ln2 = std::f64::consts::LN_2;
    check_pairs(
        &Logaddexp,
        &[
            ([0.0, 0.0], ln2, [0.5, 0.5]),
            ([-INF, 3.0], 3.0, [0.0, 1.0]),
            ([3.0, INF], INF, [0.0, 1.0]),
            ([-INF, -INF], -INF, [0.5, 0.5]),
            ([INF, INF], INF, [0.5, 0.5]),
            ([1e300, -1e300], 1e300, [1.0, 0.0]),
            ([f64::MAX, -f64::MAX], f64::MAX, [1.0, 0.0]),
            ([800.0, 800.0], 800.0 + ln2, [0.5, 0.5]),
            ([NAN, 1.0], NAN, [NAN, NAN]),
        ],
    );
    check_pairs(
        &Hypot,
        &[
            ([0.0, 0.0], 0.0, [0.0, 0.0]),
            ([3.0, 4.0], 5.0, [0.6, 0.8]),
            ([0.0, -2.0], 2.0, [0.0, -1.0]),
            ([3e300, 4e300], 5e300, [0.6, 0.8]),
            ([3e-320, 0.0], 3e-320, [1.0, 0.0]),
            ([2.0, INF], INF, [0.0, 1.0]),
            ([2.0, -INF], INF, [0.0, -1.0]),
            ([INF, INF], INF, [NAN, NAN]),
            ([0.0, NAN], NAN, [NAN, NAN]),
            ([INF, NAN], INF, [NAN, NAN]),
        ],
    );
    check_pairs(
        &Direction,
        &[
            ([0.0, 0.0], 0.0, [NAN, NAN]),
            ([0.0, -2.0], 0.0, [0.5, 0.0]),
            ([0.0, NAN], NAN, [NAN, NAN]),
            ([INF, 2.0], 1.0, [0.0, 0.0]),
        ],
    );
}

#[test]
fn angles_and_their_inverses() {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    for op in [Sin, Cos, Tan] {
        check_all(&op, &[(INF, NAN, NAN), (NAN, NAN, NAN)]);
    }
    check_all(&Sin, &[(-0.0, -0.0, 1.0), (TINY, TINY, 1.0)]);
    check_all(&Tan, &[(-0.0, -0.0, 1.0), (TINY, TINY, 1.0)]);
    check_all(
        &Asin,
        &[
            (1.0, FRAC_PI_2, INF),
            (-1.0, -FRAC_PI_2, INF),
            (1.5, NAN, NAN),
        ],
    );
    check_all(
        &Acos,
        &[(1.0, 0.0, -INF), (-1.0, PI, -INF), (-1.5, NAN, NAN)],
    );
    check_all(
        &Atan,
        &[
            (INF, FRAC_PI_2, 0.0),
            (-INF, -FRAC_PI_2, 0.0),
            (0.0, 0.0, 1.0),
        ],
    );
    check_pairs(
        &Atan2,
        &[
            ([0.0, 0.0], 0.0, [NAN, NAN]),
            ([0.0, -0.0], PI, [NAN, NAN]),
            ([-0.0, -0.0], -PI, [NAN, NAN]),
            ([0.0, 2.0], 0.0, [0.5, 0.0]),
            ([0.0, -2.0], PI, [-0.5, 0.0]),
            ([2.0, 0.0], FRAC_PI_2, [0.0, -0.5]),
            ([INF, INF], FRAC_PI_4, [NAN, NAN]),
        ],
    );
    // Neither h² nor its inverse fits here.
    let gradient = alone(&Atan2).grad(..).expect("a gradient").compile();
    for size in [1e200, 1e-200] {
        let found = gradient.call(&[size, size]).expect("two inputs");
        for (found, expected) in found.into_iter().zip([0.5 / size, -0.5 / size]) {
            assert!((found / expected - 1.0).abs() < 1e-15, "{found}");
        }
    }
}

#[test]
fn hyperbolic_functions_and_their_inverses() {
    check_all(
        &Sinh,
        &[
            (-0.0, -0.0, 1.0),
            (INF, INF, INF),
            (-INF, -INF, INF),
            (711.0, INF, INF),
        ],
    );
    check_all(&Cosh, &[(0.0, 1.0, 0.0), (-INF, INF, -INF)]);
    check_all(
        &Asinh,
        &[(-0.0, -0.0, 1.0), (INF, INF, 0.0), (-INF, -INF, 0.0)],
    );
    check_all(&Acosh, &[(1.0, 0.0, INF), (0.5, NAN, NAN), (INF, INF, 0.0)]);
    check_all(
        &Atanh,
        &[(1.0, INF, INF), (-1.0, -INF, INF), (-0.0, -0.0, 1.0)],
    );
    assert!(alone(&Atanh).compile().call(&[1.5]).expect("one input")[0].is_nan());
    // x² would overflow.
    let slope = |op: &ScalarOp| alone(op).grad("x").expect("a gradient").compile();
    for op in [Asinh, Acosh] {
        let found = slope(&op).call(&[1e200]).expect("one input")[0];
        assert!((found / 1e-200 - 1.0).abs() < 1e-15, "{op:?}: {found}");
    }
}

#[test]
fn gamma_functions_at_their_poles() {
    let (zero, minus_zero) = (0.0, -0.0);
    check_all(
        &Lgamma,
        &[
            (zero, INF, -INF),
            (minus_zero, INF, INF),
            (-2.0, INF, NAN),
            (INF, INF, INF),
        ],
    );
    check_all(
        &Digamma,
        &[
            (zero, -INF, INF),
            (minus_zero, INF, INF),
            (-2.0, NAN, INF),
            (INF, INF, 0.0),
        ],
    );
    check_all(
        &Polygamma(1),
        &[
            (zero, INF, -INF),
            (-2.0, INF, -INF),
            (INF, 0.0, 0.0),
            (-INF, NAN, NAN),
        ],
    );
    check_all(&Polygamma(2), &[(zero, -INF, INF), (INF, -0.0, 0.0)]);
    // ψ⁽ⁿ⁾(1/2 - k) = (-1)ⁿ·ψ⁽ⁿ⁾(1/2 + k) - dⁿ/dxⁿ π·cot πx, where cot πx = 0: ψ'(1/2) = π²/2 and
    // ψ'(-1/2) = π²/2 + 4; ψ''(1/2) = -14·ζ(3), ψ''(-1/2) = 16 - 14·ζ(3).
    let pi_square = std::f64::consts::PI.powi(2);
    let zeta_3 = 1.202_056_903_159_594_3;
    for (op, x, expected) in [
        (Digamma, -0.5, 0.036_489_973_978_576_52),
        (Polygamma(1), -0.5, pi_square / 2.0 + 4.0),
        (
            Polygamma(1),
            -2.5,
            pi_square / 2.0 + 4.0 + 4.0 / 9.0 + 4.0 / 25.0,
        ),
        (Polygamma(2), -0.5, 16.0 - 14.0 * zeta_3),
        (Polygamma(1), -1e9 - 0.5, pi_square),
    ] {
        let found = alone(&op).compile().call(&[x]).expect("one input")[0];
        let error = (found - expected).abs();
        assert!(
            error < 1e-8 * expected.abs(),
            "{op:?} at {x}: {found}, not {expected}"
        );
    }
}

#[test]
fn remainders_count_whole_quotients() {
    check_pairs(
        &Rem,
        &[
            ([7.5, 2.0], 1.5, [1.0, -3.0]),
            ([-7.5, 2.0], -1.5, [1.0, 3.0]),
            ([7.5, -2.0], 1.5, [1.0, 3.0]),
            ([6.0, 2.0], 0.0, [1.0, -3.0]),
            ([-6.0, 2.0], -0.0, [1.0, 3.0]),
            ([1.5, INF], 1.5, [1.0, 0.0]),
            ([INF, 2.0], NAN, [1.0, NAN]),
            ([1.0, 0.0], NAN, [1.0, NAN]),
        ],
    );
    // x is a little less than q·y, but x / y rounds to q.
    let gradient = alone(&Rem).grad(..).expect("a gradient").compile();
    let y = 0.1;
    let rounded_down = (1..200).map(|q| (f64::from(q), f64::from(q) * y));
    let rounded_down: Vec<_> = rounded_down
        .filter(|(q, x)| x / y == *q && x % y > y / 2.0)
        .collect();
    assert!(rounded_down.len() > 10);
    for (q, x) in rounded_down {
        assert_eq!(gradient.call(&[x, y]).expect("two inputs"), [1.0, 1.0 - q]);
    }
}

#[test]
fn what_select_does_not_take_does_not_leak() {
    check(&Select, &[1.0, 2.0, NAN], 2.0, &[0.0, 1.0, 0.0]);
    check(&Select, &[0.0, NAN, 3.0], 3.0, &[0.0, 0.0, 1.0]);
    check(&Select, &[-0.0, NAN, 3.0], 3.0, &[0.0, 0.0, 1.0]);
    check(&Select, &[NAN, 2.0, 3.0], 2.0, &[0.0, 1.0, 0.0]);
    check(&KeepIf, &[0.0, NAN], 0.0, &[0.0, 0.0]);
    check(&KeepIf, &[TINY, INF], INF, &[0.0, 1.0]);

    // A branch whose value is a NaN; whether its operand is shared with the other branch or not.
    let shared = function(["x", "y"], |[x, y]| {
        [x.greater(0.0).select(x.ln(), x.acosh() * &y) + &x * 3.0]
    });
    let shared = shared.expect("a function");
    let at = [2.0, NAN];
    let found = shared.compile().call(&at).expect("two inputs");
    assert_eq!(found, [2.0_f64.ln() + 6.0]);
    // ∂y is exactly zero, and so is the cotangent of the branch: x̄ through acosh is 0·NaN only
    // because y, a coefficient there, is a NaN.
    let by_y = shared.grad("y").expect("a gradient").compile();
    assert_eq!(by_y.call(&at).expect("two inputs"), [0.0]);
    let jvp = shared.jvp("x").expect("a JVP").compile();
    assert_eq!(jvp.call(&[2.0, NAN, 1.0]).expect("three inputs")[1], 3.5);

    // A tangent that is infinite or a NaN, in one branch alone.
    let jvp = |wrt: &str| {
        let f = function(["c", "a", "b"], |[c, a, b]| [c.select(a, b)]).expect("a function");
        f.jvp(wrt).expect("a JVP").compile()
    };
    for tangent in [INF, NAN] {
        for (wrt, c, expected) in [
            ("a", 1.0, tangent),
            ("a", 0.0, 0.0),
            ("b", 1.0, 0.0),
            ("b", 0.0, tangent),
        ] {
            let found = jvp(wrt).call(&[c, 2.0, 3.0, tangent]).expect("four inputs");
            assert_same(
                &found[1..],
                &[expected],
                &format!("tangent of select by {wrt}"),
            );
        }
    }

    // The cotangents of the branches themselves, where the other is infinitely steep.
    let branches = function(["c", "a", "b"], |[c, a, b]| [c.select(&a, &b)]).expect("a function");
    let vjp = branches.vjp(["a", "b"]).expect("a VJP").compile();
    for cotangent in [INF, NAN, 5.0] {
        let found = vjp.call(&[1.0, 2.0, 3.0, cotangent]).expect("four inputs");
        assert_same(&found[1..], &[cotangent, 0.0], "cotangents of select");
        let found = vjp.call(&[0.0, 2.0, 3.0, cotangent]).expect("four inputs");
        assert_same(&found[1..], &[0.0, cotangent], "cotangents of select");
    }
}

#[test]
fn a_stopped_gradient_is_zero() {
    check(&StopGradient, &[7.0], 7.0, &[0.0]);
    let f = function(["x"], |[x]| [&x * x.stop_gradient()]).expect("a function");
    let gradient = f.grad("x").expect("a gradient");
    assert_eq!(gradient.compile().call(&[3.0]).expect("one input"), [3.0]);
    let second = gradient.grad("x").expect("a gradient").compile();
    assert_eq!(second.call(&[3.0]).expect("one input"), [0.0]);
}

#[test]
fn products_that_are_added_are_rounded_once() {
    let x = 1.0 + f64::EPSILON;
    check(
        &MulAdd,
        &[x, x, -1.0],
        2.0 * f64::EPSILON + f64::EPSILON.powi(2),
        &[x, x, 1.0],
    );
    check(&MulAdd, &[1e200, 1e200, -INF], -INF, &[1e200, 1e200, 1.0]);
    check(&Div, &[1.0, 0.0], INF, &[INF, -INF]);
    check(&Div, &[0.0, 0.0], NAN, &[INF, NAN]);
}

#[test]
fn a_gradient_of_nothing_but_edges_is_what_its_parts_are() {
    // Leaky steps and clamps, as they are written with these.
    let clamp = |x: &Expr| x.max(-1.0).min(1.0);
    let f = function(["x"], |[x]| [clamp(&x)]).expect("a function");
    let gradient = f.grad("x").expect("a gradient").compile();
    for (x, slope) in [(-3.0, 0.0), (-1.0, 0.5), (0.2, 1.0), (1.0, 0.5), (2.0, 0.0)] {
        assert_eq!(gradient.call(&[x]).expect("one input"), [slope]);
    }
}
