//! f(x) = exp(x²)·sin x to the eighth derivative: what it is, and how many operations it takes.

use tidu::graph::Exactness;
use tidu::scalar::ScalarOp;
use tidu::{Function, Mode};

use super::series::Taylor;
use crate::support::Number;

/// Operations of the derivatives of order 1 to 8, by mode and level. Fewer are welcome, more are a
/// regression.
const RECORDED: [(Option<Mode>, Option<Exactness>, [usize; 8]); 8] = [
    (None, None, [12, 23, 34, 47, 62, 79, 98, 119]),
    (None, Some(Exactness::Exact), FORWARD),
    (None, Some(Exactness::FiniteOnly), FORWARD),
    (None, Some(Exactness::RealOnly), FORWARD),
    (Some(Mode::Forward), Some(Exactness::Exact), FORWARD),
    (
        Some(Mode::Reverse),
        Some(Exactness::Exact),
        [9, 18, 31, 58, 106, 192, 333, 569],
    ),
    (
        Some(Mode::Reverse),
        Some(Exactness::FiniteOnly),
        [9, 18, 31, 58, 106, 192, 333, 569],
    ),
    (
        Some(Mode::Reverse),
        Some(Exactness::RealOnly),
        [9, 18, 29, 56, 96, 176, 317, 548],
    ),
];
const FORWARD: [usize; 8] = [9, 16, 24, 34, 46, 60, 76, 94];

/// Operations of value and all derivatives to order 8, as one function.
const SERIES: usize = 231;

fn f() -> Function<ScalarOp> {
    let text = "function {
        input %0 = x
        %1 = mul %0, %0
        %2 = exp %1
        %3 = sin %0
        %4 = mul %2, %3
        output %4 -> f
    }";
    text.parse().unwrap()
}

/// f and its derivatives to order 8, by arithmetic on Taylor polynomials.
fn reference(x: f64) -> [f64; 9] {
    let x = Taylor::line(x, 1.0);
    let product = x.mul(x).exp().mul(x.sin());
    std::array::from_fn(|k| product.derivative(k))
}

/// By hand: f' = eˣˣ·(2x·sin x + cos x), f'' = eˣˣ·((4x² + 1)·sin x + 4x·cos x).
#[test]
fn taylor_arithmetic_is_right() {
    let x = 0.7_f64;
    let (sin, cos) = x.sin_cos();
    let e = (x * x).exp();
    let expected = [
        e * sin,
        e * (2.0 * x * sin + cos),
        e * ((4.0 * x * x + 1.0) * sin + 4.0 * x * cos),
    ];
    for (found, expected) in reference(x).iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-14 * expected.abs());
    }
}

#[track_caller]
fn assert_near(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
        "{what}: {found} against {expected}"
    );
}

#[test]
fn eight_derivatives_of_exp_xx_sin_x() {
    for (mode, level, recorded) in RECORDED {
        let mut derivative = f();
        for order in 1..=8 {
            let ctx = &mut ();
            let mut derive = match level {
                Some(level) => derivative.within(ctx).simplify(level),
                None => derivative.within(ctx).unsimplified(),
            };
            if let Some(mode) = mode {
                derive = derive.mode(mode);
            }
            derivative = derive.grad("x").unwrap();
            assert_eq!(derivative.input_names(), ["x"]);
            let program = derivative.compile();
            let what = format!("order {order}, {mode:?}, {level:?}");
            for x in [0.7, -0.3, 1.2] {
                let found = program.call(&[x]).unwrap();
                assert_eq!(found.len(), 1);
                assert_near(found[0], reference(x)[order], &what);
            }
            let count = derivative.as_graph().operations().len();
            assert!(count <= recorded[order - 1], "{what}: {count} operations");
        }
    }
}

#[test]
fn all_derivatives_at_once() {
    let series = f().jvp_to_order(8, "x").unwrap();
    for x in [0.7, -0.3, 1.2] {
        let found = series.compile().call(&[x, 1.0]).unwrap();
        for (order, (found, expected)) in found.iter().zip(reference(x)).enumerate() {
            assert_near(*found, expected, &format!("order {order}"));
        }
    }
    let count = series.as_graph().operations().len();
    assert!(count <= SERIES, "{count} operations");
}
