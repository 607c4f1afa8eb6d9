//! What the tape says of wrong calls. It can be used afterwards.

use tidu_eager::{EagerError, Side};
use tidu_scalar::ScalarOp;

use super::{Scalar, one, scalars};

#[test]
fn wrong_calls() {
    let mut other = scalars();
    let foreign = other.leaf(1.0);
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let constant = Scalar::constant(3.0);
    let arity = |expected, found| EagerError::WrongValueCount {
        primitive: "Add".into(),
        side: Side::Inputs,
        expected,
        found,
    };
    let at = |place: &str| place.to_owned();
    let cases = [
        (
            tape.apply(ScalarOp::Add, &[&x]).map(drop),
            arity(2, 1),
            "2 inputs, found 1",
        ),
        (
            tape.apply_one(ScalarOp::Add, &[]).map(drop),
            arity(2, 0),
            "found 0",
        ),
        (
            tape.apply(ScalarOp::Add, &[&x, &x, &x]).map(drop),
            arity(2, 3),
            "found 3",
        ),
        (
            tape.apply_one(ScalarOp::SinCos, &[&x]).map(drop),
            EagerError::NotOneResult {
                operation: "SinCos".into(),
                results: 2,
            },
            "SinCos has 2 results where one is wanted: `Tape::apply` returns all of them",
        ),
        (
            tape.apply(ScalarOp::Add, &[&x, &foreign]).map(drop),
            EagerError::ForeignVar {
                place: at("operand 1 of Add"),
            },
            "operand 1 of Add is a variable of another tape",
        ),
        (
            tape.no_grad(|tape| tape.apply(ScalarOp::Neg, &[&foreign]).map(drop)),
            EagerError::ForeignVar {
                place: at("operand 0 of Neg"),
            },
            "another tape",
        ),
        (
            tape.backward(&[(&y, 1.0), (&constant, 1.0)], &[&x])
                .map(drop),
            EagerError::ConstantVar {
                place: at("output 1"),
            },
            "output 1 is a constant",
        ),
        (
            tape.backward(&[(&foreign, 1.0)], &[&x]).map(drop),
            EagerError::ForeignVar {
                place: at("output 0"),
            },
            "output 0 is a variable of another tape",
        ),
        (
            tape.backward_keeping(&[(&y, 1.0)], &[&x, &constant])
                .map(drop),
            EagerError::ConstantVar {
                place: at("input 1"),
            },
            "input 1 is a constant",
        ),
        (
            tape.backward(&[(&y, 1.0)], &[&foreign]).map(drop),
            EagerError::ForeignVar {
                place: at("input 0"),
            },
            "input 0 is a variable of another tape",
        ),
        (
            tape.backward_recorded(&[(&y, foreign)], &[&x]).map(drop),
            EagerError::ForeignVar {
                place: at("seed 0"),
            },
            "seed 0 is a variable of another tape",
        ),
        (
            tape.checkpoint(&[&x, &foreign], |_, x| Ok(x.to_vec()))
                .map(drop),
            EagerError::ForeignVar {
                place: at("operand 1 of a segment"),
            },
            "segment",
        ),
        (
            tape.iterate(3, &[&x], |_, _, _| Ok(vec![])).map(drop),
            EagerError::WrongValueCount {
                primitive: at("a step"),
                side: Side::Outputs,
                expected: 1,
                found: 0,
            },
            "a step has 1 outputs, found 0",
        ),
    ];
    for (result, expected, text) in cases {
        let error = result.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error, expected);
    }
    let found = tape.backward_keeping(&[(&y, 1.0)], &[&x]).expect("fine");
    assert_eq!(found, [Some(4.0)]);
    let z = one(&mut tape, ScalarOp::Neg, &[&y]);
    assert_eq!(
        tape.backward(&[(&z, 1.0)], &[&x]).expect("fine"),
        [Some(-4.0)]
    );
}

#[test]
fn a_captured_variable_of_another_tape() {
    let mut other = scalars();
    let foreign = other.leaf(1.0);
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let error = tape.checkpoint(&[&x], move |tape, x| {
        tape.apply(ScalarOp::Mul, &[&x[0], &foreign])
    });
    assert!(matches!(error, Err(EagerError::ForeignVar { .. })));
    let y = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    assert_eq!(
        tape.backward(&[(&y, 1.0)], &[&x]).expect("fine"),
        [Some(4.0)]
    );
}

#[test]
fn an_error_while_recording_gradients_leaves_nothing_behind() {
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y = one(&mut tape, ScalarOp::Exp, &[&x]);
    tape.backward(&[(&y, 1.0)], &[&x]).expect("fine");
    let z = one(&mut tape, ScalarOp::Sin, &[&y]);
    let before = format!("{tape:?}");
    let seed = Scalar::constant(1.0);
    let error = tape.backward_recorded(&[(&z, seed)], &[&x]).unwrap_err();
    assert_eq!(
        error,
        EagerError::Freed {
            operation: "Exp".into()
        }
    );
    assert_eq!(format!("{tape:?}"), before);
    assert!(tape.backward(&[(&z, 1.0)], &[&y]).is_ok());
}
