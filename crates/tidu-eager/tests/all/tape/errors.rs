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
        primitive: "add".into(),
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
                operation: "sin_cos".into(),
                results: 2,
            },
            "sin_cos has 2 results where one is wanted: `Tape::apply` returns all of them",
        ),
        (
            tape.apply(ScalarOp::Add, &[&x, &foreign]).map(drop),
            EagerError::ForeignVar {
                place: at("operand 1 (counted from 0) of add"),
            },
            "operand 1 (counted from 0) of add is of another tape: make on one tape what is used together, or take \
             its value alone, as a constant (`detach`)",
        ),
        (
            tape.no_grad(|tape| tape.apply(ScalarOp::Neg, &[&foreign]).map(drop)),
            EagerError::ForeignVar {
                place: at("operand 0 (counted from 0) of neg"),
            },
            "another tape",
        ),
        (
            tape.backward(&[(&y, 1.0), (&constant, 1.0)], &[&x])
                .map(drop),
            EagerError::ConstantVar {
                place: at("output 1"),
            },
            "output 1 is a constant, to which no gradient flows: it was not computed of variables that a tape made \
             to be differentiated by, or it was cut off by `detach` or `no_grad`",
        ),
        (
            tape.backward(&[(&foreign, 1.0)], &[&x]).map(drop),
            EagerError::ForeignVar {
                place: at("output 0"),
            },
            "output 0 is of another tape: ",
        ),
        (
            tape.backward_keeping(&[(&y, 1.0)], &[&x, &constant])
                .map(drop),
            EagerError::ConstantVar {
                place: at("`wrt[1]`"),
            },
            "`wrt[1]` is a constant",
        ),
        (
            tape.backward(&[(&y, 1.0)], &[&foreign]).map(drop),
            EagerError::ForeignVar {
                place: at("`wrt[0]`"),
            },
            "`wrt[0]` is of another tape: ",
        ),
        (
            tape.backward_recorded(&[(&y, foreign)], &[&x]).map(drop),
            EagerError::ForeignVar {
                place: at("seed 0"),
            },
            "seed 0 is of another tape: ",
        ),
        (
            tape.checkpoint(&[&x, &foreign], |_, x| Ok(x.to_vec()))
                .map(drop),
            EagerError::ForeignVar {
                place: at("operand 1 (counted from 0) of a `checkpoint` or `iterate`"),
            },
            "operand 1 (counted from 0) of a `checkpoint` or `iterate` is of another tape: ",
        ),
        (
            tape.iterate(3, &[&x], |_, _, _| Ok(vec![])).map(drop),
            EagerError::WrongStateCount {
                expected: 1,
                found: 0,
            },
            "a step of `iterate` is given a state of 1 value, and returned 0: it must return all of the next \
             state, also what it leaves as it is",
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
            operation: "exp".into()
        }
    );
    assert_eq!(format!("{tape:?}"), before);
    assert!(tape.backward(&[(&z, 1.0)], &[&y]).is_ok());
}
