//! Watching for values that are not numbers.

use std::panic::Location;

use tidu_ad::Function;
use tidu_eager::EagerError;
use tidu_scalar::{ScalarOp, function};

use super::{Scalar, Scalars, one, scalars};

fn watched() -> Scalars {
    let mut tape = scalars();
    tape.watch(|x| (!x.is_finite()).then(|| x.to_string()));
    tape
}

/// What was found wrong, of what operation, and where.
#[track_caller]
fn anomaly(error: EagerError) -> (String, String, Option<&'static Location<'static>>) {
    match error {
        EagerError::Anomaly {
            what,
            operation,
            location,
            ..
        } => (what, operation, location),
        other => panic!("{other}"),
    }
}

fn is_here(found: Option<&Location<'_>>, line: u32) {
    let found = found.expect("a location");
    assert!(found.file().ends_with("watched.rs"), "{found}");
    assert_eq!(found.line(), line);
}

#[test]
fn going_forward() {
    let mut tape = watched();
    let x = tape.leaf(0.0);
    let error = (tape.apply(ScalarOp::Ln, &[&x]).unwrap_err(), line!());
    let text = error.0.to_string();
    assert!(
        text.contains("ln, applied at") && text.contains("watched.rs") && text.contains("-inf"),
        "{text}"
    );
    let (what, operation, location) = anomaly(error.0);
    assert_eq!((&*what, &*operation), ("result 0", "ln"));
    is_here(location, error.1);
    // Constants are watched too, and functions.
    let zero = Scalar::constant(0.0);
    assert!(tape.apply_one(ScalarOp::Div, &[&zero, &zero]).is_err());
    let f: Function<ScalarOp> = function(["x"], |[x]| [x.ln()]).expect("a function");
    let error = (tape.apply_function(&f, &[&x]).unwrap_err(), line!());
    is_here(anomaly(error.0).2, error.1);
    let line = line!() + 1;
    let body = |tape: &mut Scalars, x: &[Scalar]| tape.apply(ScalarOp::Ln, &[&x[0]]);
    let error = tape.checkpoint(&[&x], body).unwrap_err();
    is_here(anomaly(error).2, line);
    // Nothing was recorded, and it goes on.
    let y = one(&mut tape, ScalarOp::Exp, &[&x]);
    assert_eq!(
        tape.backward(&[(&y, 1.0)], &[&x]).expect("fine"),
        [Some(1.0)]
    );
    tape.unwatch();
    assert_eq!(
        *one(&mut tape, ScalarOp::Ln, &[&x]).value(),
        f64::NEG_INFINITY
    );
}

/// x / y with y so small that by y it is not finite.
fn steep(tape: &mut Scalars) -> (Scalar, Scalar, u32) {
    let (x, y) = (tape.leaf(1e-200), tape.leaf(1e-200));
    let (quotient, line) = (one(tape, ScalarOp::Div, &[&x, &y]), line!());
    // ȳ = -(x/y)/y·z̄: 1e200, times 1e200 is too much.
    let scaled = one(tape, ScalarOp::Mul, &[&quotient, &Scalar::constant(1e200)]);
    (y, scaled, line)
}

#[test]
fn going_backward() {
    let mut tape = watched();
    let (y, end, line) = steep(&mut tape);
    let error = tape.backward_keeping(&[(&end, 1.0)], &[&y]).unwrap_err();
    let (what, operation, location) = anomaly(error);
    assert!(what.contains("derivative"), "{what}");
    assert_eq!(operation, "div");
    is_here(location, line);
    tape.unwatch();
    let found = tape.backward(&[(&end, 1.0)], &[&y]).expect("fine");
    assert_eq!(found, [Some(f64::NEG_INFINITY)]);
}

#[test]
fn going_backward_with_gradients_recorded() {
    let mut tape = watched();
    let (y, end, line) = steep(&mut tape);
    let seed = Scalar::constant(1.0);
    let error = tape.backward_recorded(&[(&end, seed)], &[&y]).unwrap_err();
    let (what, operation, location) = anomaly(error);
    assert!(what.contains("derivative"), "{what}");
    assert_eq!(operation, "div");
    is_here(location, line);
}

#[test]
fn inside_a_segment_that_runs_again() {
    let mut tape = watched();
    let y = tape.leaf(1e-200);
    let tiny = Scalar::constant(1e-200);
    let line = line!() + 1;
    let body = move |tape: &mut Scalars, y: &[Scalar]| tape.apply(ScalarOp::Div, &[&tiny, &y[0]]);
    let end = tape.checkpoint(&[&y], body).expect("finite").remove(0);
    let error = tape.backward(&[(&end, 1e200)], &[&y]).unwrap_err();
    let (_, operation, location) = anomaly(error);
    assert_eq!(operation, "div");
    is_here(location, line);
}

#[test]
fn sums_of_cotangents() {
    let mut tape = watched();
    let x = tape.leaf(1e-200);
    let c = Scalar::constant(1e308);
    let uses = [0; 2].map(|_| one(&mut tape, ScalarOp::Mul, &[&c, &x]));
    let pairs = [(&uses[0], 1.0), (&uses[1], 1.0)];
    let error = tape.backward(&pairs, &[&x]).unwrap_err();
    assert_eq!(anomaly(error).1, "mul");
}

#[test]
fn watched_too_late_to_know_where() {
    let mut tape = scalars();
    let (y, end, _) = steep(&mut tape);
    tape.watch(|x| (!x.is_finite()).then(|| x.to_string()));
    let error = tape.backward_keeping(&[(&end, 1.0)], &[&y]).unwrap_err();
    assert_eq!(anomaly(error).2, None);
    let (y, end, line) = steep(&mut tape);
    let error = tape.backward(&[(&end, 1.0)], &[&y]).unwrap_err();
    is_here(anomaly(error).2, line);
}
