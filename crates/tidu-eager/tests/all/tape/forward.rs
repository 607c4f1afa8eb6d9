//! Tangents that ride along, and what was recorded as a function.

use tidu_eager::{Dual, EagerError};
use tidu_scalar::{ScalarKey, ScalarOp};

use super::{Scalar, Scalars, assert_near, scalars};

/// f = sin(x·y) / y, recorded with tangents.
fn f(tape: &mut Scalars, x: &Dual<ScalarOp>, y: &Dual<ScalarOp>) -> Dual<ScalarOp> {
    let mut apply = |op: ScalarOp, operands: &[&Dual<ScalarOp>]| {
        tape.apply_forward(op, operands).unwrap().remove(0)
    };
    let product = apply(ScalarOp::Mul, &[x, y]);
    let sin = apply(ScalarOp::Sin, &[&product]);
    apply(ScalarOp::Div, &[&sin, y])
}

/// df/dx = cos(x·y), d²f/dx² = -y·sin(x·y), d²f/dxdy = -x·sin(x·y).
#[test]
fn tangents_are_derivatives_and_are_recorded() {
    let (x, y) = (0.7, 1.9);
    let mut tape = scalars();
    let (at_x, at_y) = (tape.leaf(x), tape.leaf(y));
    let moving = Dual {
        primal: at_x,
        tangent: Some(Scalar::constant(2.0)),
    };
    let result = f(&mut tape, &moving, &Dual::constant(at_y));
    assert_near(*result.primal.value(), (x * y).sin() / y);
    let slope = result.tangent.unwrap();
    assert_near(*slope.value(), 2.0 * (x * y).cos());
    let second = tape.backward(&[(&slope, 1.0)], &[&at_x, &at_y]).unwrap();
    assert_near(second[0].unwrap(), -2.0 * y * (x * y).sin());
    assert_near(second[1].unwrap(), -2.0 * x * (x * y).sin());
}

/// ∂f/∂y = x·cos(x·y)/y - sin(x·y)/y²
#[test]
fn without_recording_forward_mode_stands_alone() {
    let (x, y) = (0.7_f64, 1.9_f64);
    let mut tape = scalars();
    let at_x = tape.leaf(x);
    let moving = Dual {
        primal: Scalar::constant(y),
        tangent: Some(Scalar::constant(1.0)),
    };
    let result = tape.no_grad(|tape| f(tape, &Dual::constant(at_x), &moving));
    let slope = result.tangent.unwrap();
    assert!(!slope.requires_grad() && !result.primal.requires_grad());
    assert_near(
        *slope.value(),
        x * (x * y).cos() / y - (x * y).sin() / (y * y),
    );
}

#[test]
fn what_does_not_move_has_no_tangent() {
    let mut tape = scalars();
    let x = Dual::constant(tape.leaf(0.5));
    let result = f(&mut tape, &x, &x);
    assert!(result.tangent.is_none());
}

#[test]
fn a_recording_is_a_function_with_the_same_derivatives() {
    let mut tape = scalars();
    tape.keep_structure().unwrap();
    let (x, c) = (tape.leaf(0.7), tape.leaf(3.0));
    let (sin, cos) = {
        let both = tape.apply(ScalarOp::SinCos, &[&x]).unwrap();
        (both[0], both[1])
    };
    let scaled = tape.apply_one(ScalarOp::Mul, &[&sin, &c]).unwrap();
    let shifted = tape
        .apply_one(ScalarOp::Add, &[&scaled, &Scalar::constant(5.0)])
        .unwrap();
    let function = tape
        .to_function(&[(ScalarKey::from("x"), &x)], &[&shifted, &cos])
        .unwrap();
    assert_eq!(function.input_names(), ["x"]);
    let at = 1.3_f64;
    let found = function.compile().call(&[at]).unwrap();
    assert_near(found[0], 3.0 * at.sin() + 5.0);
    assert_near(found[1], at.cos());
    let slopes = function
        .jacobian("x")
        .unwrap()
        .compile()
        .call(&[at])
        .unwrap();
    assert_near(slopes[0], 3.0 * at.cos());
    assert_near(slopes[1], -at.sin());
}

#[test]
fn what_is_not_kept_is_no_function() {
    let mut tape = scalars();
    let x = tape.leaf(0.7);
    let y = tape.apply_one(ScalarOp::Exp, &[&x]).unwrap();
    let names = [(ScalarKey::from("x"), &x)];
    let error = tape.to_function(&names, &[&y]).unwrap_err();
    assert!(matches!(error, EagerError::StructureNotKept { .. }));
    assert_eq!(
        error.to_string(),
        "the tape does not remember what calls were applied to: call `keep_structure` on it before anything else, \
         and compute there"
    );
    let error = tape.keep_structure().unwrap_err();
    assert!(matches!(error, EagerError::StructureNotKept { .. }));

    let mut tape = scalars();
    tape.keep_structure().unwrap();
    let x = tape.leaf(0.7);
    let y = tape.checkpoint(&[&x], |_, x| Ok(x.to_vec())).unwrap();
    let names = [(ScalarKey::from("x"), &x)];
    let error = tape.to_function(&names, &[&y[0]]).unwrap_err();
    assert!(error.to_string().contains("segment"), "{error}");
}
