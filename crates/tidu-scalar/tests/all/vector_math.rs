//! How far sin, cos, exp and ln of many points at once are from the true values, and that nothing
//! about the batch changes them.

use crate::support::exact::{Big, big, ulps};
use crate::support::random::Random;
use tidu_scalar::{CompileScalar, ScalarOp, ScalarProgram};

/// A function, how it is computed to many digits, and where it is to be tried.
struct Case {
    op: ScalarOp,
    exact: fn(&Big) -> Big,
    points: Vec<f64>,
    /// What the book promises, in units in the last place.
    bound: f64,
}

const INF: f64 = f64::INFINITY;

fn cases() -> Vec<Case> {
    let mut random = Random::new(1);
    let mut points = |count: usize, draw: fn(&mut Random) -> f64| -> Vec<f64> {
        (0..count).map(|_| draw(&mut random)).collect()
    };
    let mut exponents = points(3000, |random| random.between(-700.0, 700.0));
    exponents.extend(points(1000, |random| random.signed(1e-18, 1.0)));
    let mut arguments = points(3000, |random| random.magnitude(1e-300, 1e300));
    arguments.extend(points(3000, |random| random.between(0.5, 2.0)));
    arguments.extend(points(1000, |random| 1.0 + random.signed(1e-16, 1e-2)));
    let mut angles = points(3000, |random| random.between(-4096.0, 4096.0));
    angles.extend(points(2000, |random| random.between(-4.0, 4.0)));
    angles.extend(points(1000, |random| random.signed(1e-18, 1.0)));
    // Next to the zeros, where all digits of a coarse reduction are lost.
    angles.extend((1..2600).map(|n| f64::from(n) * std::f64::consts::FRAC_PI_2));
    vec![
        Case {
            op: ScalarOp::Exp,
            exact: Big::exp,
            points: exponents,
            bound: 1.0,
        },
        Case {
            op: ScalarOp::Ln,
            exact: Big::ln,
            points: arguments,
            bound: 1.0,
        },
        Case {
            op: ScalarOp::Sin,
            exact: Big::sin,
            points: angles.clone(),
            bound: 1.0,
        },
        Case {
            op: ScalarOp::Cos,
            exact: Big::cos,
            points: angles,
            bound: 1.0,
        },
    ]
}

fn program(op: &ScalarOp) -> ScalarProgram {
    crate::support::alone(op)
        .compile_scalar()
        .expect("a program")
}

fn values(op: &ScalarOp, points: &[f64], bits: usize) -> Vec<f64> {
    let mut values = vec![0.0; points.len()];
    let program = program(op);
    let batch = program.batch().vector_math(true).vector_bits(bits);
    batch.eval(&[points], &mut [&mut values]).expect("a batch");
    values
}

#[test]
fn errors_are_within_what_the_book_states() {
    for case in cases() {
        let found = values(&case.op, &case.points, 512);
        let mut worst = (0.0, 0.0);
        for (x, y) in case.points.iter().zip(&found) {
            let exact = (case.exact)(&big(*x, 200));
            let error = ulps(*y, &exact, exact.to_f64().value()).unwrap_or(0.0);
            if error > worst.0 {
                worst = (error, *x);
            }
        }
        let (error, x) = worst;
        println!("{:?}: {error:.3} ulp at {x:e}", case.op);
        assert!(error <= case.bound, "{:?}: {error} ulp at {x:e}", case.op);
    }
}

#[test]
fn widths_of_vectors_and_places_change_nothing() {
    for case in cases() {
        let mut points = case.points;
        points.extend([
            0.0,
            -0.0,
            INF,
            -INF,
            f64::NAN,
            5e-324,
            -1.0,
            1e300,
            710.0,
            -745.0,
        ]);
        let widest = values(&case.op, &points, 512);
        for bits in [128, 256] {
            assert_same(&values(&case.op, &points, bits), &widest, &case.op);
        }
        // Shifted, so that each has other neighbours and some stand in a tail.
        for shift in [1, 3, 61] {
            let shifted = values(&case.op, &points[shift..], 512);
            assert_same(&shifted, &widest[shift..], &case.op);
        }
        let alone: Vec<f64> = points
            .iter()
            .flat_map(|x| values(&case.op, &[*x], 512))
            .collect();
        assert_same(&alone, &widest, &case.op);
    }
}

#[test]
fn outside_of_their_domains_they_are_those_of_the_standard_library() {
    let points = [
        0.0,
        -0.0,
        INF,
        -INF,
        f64::NAN,
        5e-324,
        -5e-324,
        -1.0,
        1e300,
        720.0,
        -745.0,
        -720.0,
    ];
    type Function = fn(f64) -> f64;
    let standard: [(ScalarOp, Function); 4] = [
        (ScalarOp::Exp, f64::exp),
        (ScalarOp::Ln, f64::ln),
        (ScalarOp::Sin, f64::sin),
        (ScalarOp::Cos, f64::cos),
    ];
    for (op, f) in standard {
        for x in points {
            let found = values(&op, &[x], 512)[0];
            let near = (found - f(x)).abs() <= 2.0 * f64::EPSILON * f(x).abs();
            assert!(
                near || same(found, f(x)),
                "{op:?} {x}: {found}, not {}",
                f(x)
            );
        }
    }
    assert!(values(&ScalarOp::Sin, &[-0.0], 512)[0].is_sign_negative());
}

fn same(x: f64, y: f64) -> bool {
    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
}

#[track_caller]
fn assert_same(found: &[f64], expected: &[f64], op: &ScalarOp) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            same(*found, *expected),
            "{op:?}: {found:e}, not {expected:e}"
        );
    }
}
