//! What backward frees, what clearing and rewinding make stale.

use std::sync::{Arc, Mutex};

use tidu_eager::{EagerError, Forgotten};
use tidu_scalar::ScalarOp;

use super::own::{Counted, Own, OwnTape, OwnVar, numbers, own_tape};
use super::{Scalar, Scalars, assert_near, one, scalars};

fn own(tape: &mut OwnTape, operation: Own, operands: &[&OwnVar]) -> OwnVar {
    tape.apply_one(operation, operands).expect("fine")
}

#[test]
fn a_second_time_is_an_error_that_names_the_operation() {
    let mut tape = scalars();
    let (x, y) = (tape.leaf(2.0), tape.leaf(3.0));
    let shared = one(&mut tape, ScalarOp::Exp, &[&x]);
    let first = one(&mut tape, ScalarOp::Mul, &[&shared, &y]);
    let second = one(&mut tape, ScalarOp::Sin, &[&shared]);
    let apart = one(&mut tape, ScalarOp::Mul, &[&y, &y]);
    let found = tape
        .backward_keeping(&[(&second, 1.0)], &[&x])
        .expect("kept");
    let e = 2.0_f64.exp();
    assert_near(found[0].expect("a path"), e * e.cos());
    tape.backward(&[(&first, 1.0)], &[&x, &y])
        .expect("the first time");
    for (output, named) in [(&first, "mul"), (&second, "exp")] {
        let error = tape.backward_keeping(&[(output, 1.0)], &[&x]).unwrap_err();
        let operation = named.to_owned();
        assert_eq!(error, EagerError::Freed { operation });
        assert!(error.to_string().contains(named), "{error}");
    }
    // Calls that were not gone through are there; what is freed does not matter if it is not visited.
    let found = tape.backward_keeping(&[(&apart, 1.0), (&second, 1.0)], &[&y, &second]);
    assert_eq!(found.expect("fine"), [Some(6.0), Some(1.0)]);
    let again = one(&mut tape, ScalarOp::Neg, &[&shared]);
    assert_eq!(
        tape.backward(&[(&again, 1.0)], &[&shared]).expect("fine"),
        [Some(-1.0)]
    );
    // Also for operations of which nothing was kept.
    let sum = one(&mut tape, ScalarOp::Add, &[&x, &y]);
    tape.backward(&[(&sum, 1.0)], &[&x])
        .expect("the first time");
    let error = tape.backward(&[(&sum, 1.0)], &[&x]).unwrap_err();
    assert_eq!(
        error,
        EagerError::Freed {
            operation: "add".into()
        }
    );
}

#[test]
fn backward_frees_what_was_kept() {
    let (mut tape, census, _) = own_tape();
    let x = tape.leaf(Counted::new(0.5, &census));
    let mut y = x.clone();
    for _ in 0..100 {
        y = own(&mut tape, Own::Sin, &[&y]);
    }
    let before = census.live();
    assert!(before >= 100, "{before}");
    for _ in 0..2 {
        tape.backward_keeping(&[(&y, Counted::new(1.0, &census))], &[&x])
            .map(drop)
            .expect("fine");
        assert_eq!(census.live(), before);
    }
    let seed = Counted::new(1.0, &census);
    tape.backward(&[(&y, seed)], &[&x]).map(drop).expect("fine");
    // The two variables.
    assert_eq!(census.live(), 2);
    drop((x, y));
    assert_eq!(census.live(), 0);
}

#[test]
fn only_residuals_are_kept() {
    let (mut tape, census, _) = own_tape();
    let x = tape.leaf(Counted::new(0.5, &census));
    let mut y = x.clone();
    for _ in 0..100 {
        y = own(&mut tape, Own::Add, &[&y, &x]);
        y = own(&mut tape, Own::Scale(1), &[&y]);
    }
    assert_eq!(census.live(), 2);
    let c = OwnVar::constant(Counted::new(2.0, &census));
    y = own(&mut tape, Own::Mul, &[&c, &y]);
    // Of a product with a constant, the constant alone.
    assert_eq!(census.live(), 4);
    tape.clear();
    drop((x, y, c));
    assert_eq!(census.live(), 0);
}

#[test]
fn an_error_on_the_way_drops_what_it_had() {
    let (mut tape, census, _) = own_tape();
    let x = tape.leaf(Counted::new(0.5, &census));
    let bad = own(&mut tape, Own::TangentReturns(2), &[&x]);
    let y = own(&mut tape, Own::Mul, &[&bad, &bad]);
    let before = census.live();
    let seed = Counted::new(1.0, &census);
    let error = tape.backward_keeping(&[(&y, seed)], &[&x]).err();
    assert!(matches!(error, Some(EagerError::WrongValueCount { .. })));
    assert_eq!(census.live(), before);
}

#[test]
fn cleared_variables_are_stale() {
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let constant = Scalar::constant(1.0);
    tape.clear();
    let fresh = tape.leaf(3.0);
    for stale in [&x, &y] {
        let errors = [
            tape.apply(ScalarOp::Sin, &[stale]).map(drop).unwrap_err(),
            tape.apply(ScalarOp::Add, &[&fresh, stale])
                .map(drop)
                .unwrap_err(),
            tape.backward(&[(stale, 1.0)], &[&fresh])
                .map(drop)
                .unwrap_err(),
            tape.backward(&[(&fresh, 1.0)], &[stale])
                .map(drop)
                .unwrap_err(),
            tape.backward_recorded(&[(&fresh, *stale)], &[&fresh])
                .map(drop)
                .unwrap_err(),
            tape.hook(stale, |_| None).unwrap_err(),
            tape.checkpoint(&[stale], |_, x| Ok(x.to_vec()))
                .map(drop)
                .unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, EagerError::StaleVar { .. }), "{error}");
            let cause = "is forgotten by the tape: it was made before `clear`, which derivatives of closures call \
                         too; make it again after that";
            assert!(error.to_string().ends_with(cause), "{error}");
        }
    }
    // Its value can still be used as a constant.
    let z = one(&mut tape, ScalarOp::Mul, &[&fresh, &x.detach()]);
    let z = one(&mut tape, ScalarOp::Mul, &[&z, &constant]);
    assert_eq!(
        tape.backward(&[(&z, 1.0)], &[&fresh]).expect("fine"),
        [Some(2.0)]
    );
}

/// The last cut is the cause, and it is known for marks, too.
#[test]
fn how_variables_were_forgotten() {
    let mut tape = scalars();
    let outer = tape.leaf(1.0);
    let mark = tape.mark();
    let inner = tape.leaf(2.0);
    let late = tape.mark();
    tape.end_scope(mark).expect("fine");
    let said = |tape: &mut Scalars, var: &Scalar| {
        let error = tape.apply(ScalarOp::Exp, &[var]).unwrap_err();
        let EagerError::StaleVar { place, cause } = &error else {
            panic!("{error}")
        };
        assert_eq!(
            error.to_string(),
            format!("{place} is forgotten by the tape: {cause}")
        );
        *cause
    };
    assert_eq!(said(&mut tape, &inner), Forgotten::ScopeEnded);
    assert_eq!(
        tape.rewind(late).unwrap_err().to_string(),
        "the mark to go back to is forgotten by the tape: the `scope` in which it was made has ended; return its \
         value from there, or use it inside"
    );
    let again = tape.leaf(3.0);
    assert!(tape.apply(ScalarOp::Exp, &[&outer]).is_ok());
    assert!(tape.apply(ScalarOp::Exp, &[&again]).is_ok());
    tape.rewind(mark).expect("fine");
    assert_eq!(said(&mut tape, &again), Forgotten::Rewound);
    tape.clear();
    for gone in [&outer, &inner, &again] {
        assert_eq!(said(&mut tape, gone), Forgotten::Cleared);
    }
    // What is left of a body.
    let x = tape.leaf(1.0);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let y = tape.checkpoint(&[&x], move |tape, x| {
        let y = tape.apply_one(ScalarOp::Sin, &[&x[0]])?;
        keep.lock().expect("one thread").push(y);
        Ok(vec![y])
    });
    let y = y.expect("fine").remove(0);
    tape.backward(&[(&y, 1.0)], &[&x]).expect("fine");
    let inside = kept
        .lock()
        .expect("one thread")
        .pop()
        .expect("it ran again");
    assert_eq!(said(&mut tape, &inside), Forgotten::PassEnded);
}

#[test]
fn marks_cut_a_tape_back() {
    let mut tape = scalars();
    let start = tape.mark();
    let x = tape.leaf(2.0);
    let square = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let mark = tape.mark();
    for at in 0..5 {
        let factor = Scalar::constant(f64::from(at));
        let y = one(&mut tape, ScalarOp::Mul, &[&square, &factor]);
        let found = tape.backward_keeping(&[(&y, 1.0)], &[&x]).expect("fine");
        assert_eq!(found, [Some(4.0 * f64::from(at))]);
        let inner = tape.mark();
        let z = one(&mut tape, ScalarOp::Sin, &[&y]);
        tape.rewind(mark).expect("fine");
        for gone in [&y, &z] {
            let error = tape.apply(ScalarOp::Neg, &[gone]).unwrap_err();
            let place = "operand 0 (counted from 0) of neg".to_owned();
            let cause = Forgotten::Rewound;
            assert_eq!(error, EagerError::StaleVar { place, cause });
        }
        assert!(matches!(
            tape.rewind(inner),
            Err(EagerError::StaleVar { .. })
        ));
        // Also once as many values are there again.
        let again: Vec<_> = (0..3)
            .map(|_| one(&mut tape, ScalarOp::Neg, &[&square]))
            .collect();
        assert!(matches!(
            tape.rewind(inner),
            Err(EagerError::StaleVar { .. })
        ));
        assert!(tape.apply(ScalarOp::Neg, &[&z]).is_err());
        let found = tape.backward_keeping(&[(&again[2], 1.0)], &[&square]);
        assert_eq!(found.expect("fine"), [Some(-1.0)]);
        tape.rewind(mark).expect("fine");
    }
    let mut other = scalars();
    let error = other.rewind(mark).unwrap_err();
    assert!(matches!(error, EagerError::ForeignVar { .. }), "{error}");
    assert!(matches!(
        other.rewind(start),
        Err(EagerError::ForeignVar { .. })
    ));
    assert_eq!(
        tape.backward(&[(&square, 1.0)], &[&x]).expect("fine"),
        [Some(4.0)]
    );
    tape.rewind(start).expect("fine");
    assert!(matches!(
        tape.rewind(mark),
        Err(EagerError::StaleVar { .. })
    ));
    assert!(matches!(
        tape.backward(&[(&square, 1.0)], &[&x]),
        Err(EagerError::StaleVar { .. })
    ));
}

#[test]
fn marks_after_calls_without_results() {
    let (mut tape, census, _) = own_tape();
    let x = tape.leaf(Counted::new(2.0, &census));
    let y = own(&mut tape, Own::Mul, &[&x, &x]);
    let before = tape.mark();
    assert!(tape.apply(Own::Sink, &[&x]).expect("fine").is_empty());
    assert!(
        tape.checkpoint(&[&x, &y], |_, _| Ok(vec![]))
            .expect("fine")
            .is_empty()
    );
    let after = tape.mark();
    tape.rewind(before).expect("fine");
    let z = own(&mut tape, Own::Scale(5), &[&y]);
    let w = own(&mut tape, Own::Mul, &[&z, &y]);
    // Nothing lies between the two marks that could have gone; either way, the tape must hold
    // together.
    if tape.rewind(after).is_err() {
        tape.rewind(before).expect("fine");
    }
    assert!(tape.apply(Own::Neg, &[&w]).is_err());
    let z = own(&mut tape, Own::Sin, &[&y]);
    let found = tape
        .backward(&[(&z, Counted::new(1.0, &census))], &[&x])
        .expect("fine");
    assert_near(numbers(&found)[0].expect("a path"), 4.0 * 4.0_f64.cos());
}

#[test]
fn rewinding_returns_memory() {
    let (mut tape, census, _) = own_tape();
    let x = tape.leaf(Counted::new(0.5, &census));
    let mark = tape.mark();
    for _ in 0..3 {
        let mut y = x.clone();
        for _ in 0..50 {
            y = own(&mut tape, Own::Sin, &[&y]);
        }
        tape.rewind(mark).expect("fine");
        drop(y);
        assert_eq!(census.live(), 1);
    }
}

#[test]
fn what_is_not_recorded() {
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y = tape.no_grad(|tape| {
        let y = one(tape, ScalarOp::Mul, &[&x, &x]);
        // Scopes nest.
        tape.no_grad(|_| ());
        let z = one(tape, ScalarOp::Exp, &[&x]);
        assert!(!y.requires_grad() && !z.requires_grad());
        y
    });
    assert_eq!(*y.value(), 4.0);
    // An error inside ends the scope too.
    assert!(
        tape.no_grad(|tape| tape.apply(ScalarOp::Add, &[&x]))
            .is_err()
    );
    let z = one(&mut tape, ScalarOp::Mul, &[&x, &y]);
    let w = one(&mut tape, ScalarOp::Mul, &[&z, &x.detach()]);
    // 4·2·x
    assert_eq!(
        tape.backward(&[(&w, 1.0)], &[&x]).expect("fine"),
        [Some(8.0)]
    );
    let error = tape.backward(&[(&y, 1.0)], &[&x]).unwrap_err();
    assert!(matches!(error, EagerError::ConstantVar { .. }), "{error}");
}

#[test]
fn going_back_within_a_scope_that_does_not_record() {
    let mut tape = scalars();
    let x = tape.leaf(3.0);
    let y = tape.checkpoint(&[&x], |tape, x| tape.apply(ScalarOp::Mul, &[&x[0], &x[0]]));
    let y = y.expect("fine").remove(0);
    let found = tape.no_grad(|tape| tape.backward(&[(&y, 1.0)], &[&x]));
    assert_eq!(found.expect("fine"), [Some(6.0)]);
}
