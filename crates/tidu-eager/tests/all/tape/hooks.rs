//! Hooks: when they are called, with what, and what they replace.

use std::sync::{Arc, Mutex};

use tidu_eager::{EagerError, HookId, Tape, Var};
use tidu_scalar::{ScalarKey, ScalarOp};

use super::{Scalar, one, scalars};

type Log = Arc<Mutex<Vec<(&'static str, f64)>>>;

fn note(
    log: &Log,
    name: &'static str,
    factor: Option<f64>,
) -> impl FnMut(&f64) -> Option<f64> + Send + use<> {
    let log = Arc::clone(log);
    move |gradient| {
        log.lock().expect("no panic").push((name, *gradient));
        factor.map(|factor| factor * gradient)
    }
}

#[test]
fn from_the_end_to_the_start_and_in_order() {
    let log = Log::default();
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let z = one(&mut tape, ScalarOp::Mul, &[&y, &Scalar::constant(3.0)]);
    let unused = one(&mut tape, ScalarOp::Neg, &[&x]);
    tape.hook(&z, note(&log, "z", None)).expect("fine");
    tape.hook(&x, note(&log, "x", None)).expect("fine");
    tape.hook(&y, note(&log, "y doubles", Some(2.0)))
        .expect("fine");
    tape.hook(&y, note(&log, "y looks", None)).expect("fine");
    tape.hook(&y, note(&log, "y times ten", Some(10.0)))
        .expect("fine");
    tape.hook(&unused, note(&log, "unused", None))
        .expect("fine");
    let expected = vec![
        ("z", 1.0),
        ("y doubles", 3.0),
        ("y looks", 6.0),
        ("y times ten", 6.0),
        ("x", 240.0),
    ];
    let found = tape
        .backward_keeping(&[(&z, 1.0)], &[&x, &y])
        .expect("fine");
    assert_eq!(found, [Some(240.0), Some(60.0)]);
    assert_eq!(
        std::mem::take(&mut *log.lock().expect("no panic")),
        expected
    );
    // With recorded gradients, a replacement is a constant: 60·2x is linear in x.
    let seed = Scalar::constant(1.0);
    let found = tape.backward_recorded(&[(&z, seed)], &[&x]).expect("fine");
    let first = found[0].expect("a path");
    assert_eq!(*first.value(), 240.0);
    assert_eq!(
        std::mem::take(&mut *log.lock().expect("no panic")),
        expected
    );
    assert_eq!(
        tape.backward(&[(&first, 1.0)], &[&x]).expect("fine"),
        [Some(120.0)]
    );
}

#[test]
fn once_for_the_whole_gradient() {
    // x has three uses, and is an output itself.
    let log = Log::default();
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    tape.hook(&x, note(&log, "x", None)).expect("fine");
    let y = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let z = one(&mut tape, ScalarOp::Add, &[&y, &x]);
    let found = tape
        .backward(&[(&z, 1.0), (&x, 7.0), (&x, 0.5)], &[&x])
        .expect("fine");
    assert_eq!(found, [Some(12.5)]);
    assert_eq!(*log.lock().expect("no panic"), [("x", 12.5)]);
}

#[test]
fn cut_off_with_the_value() {
    let log = Log::default();
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let mark = tape.mark();
    let y = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    tape.hook(&y, note(&log, "y", Some(0.0))).expect("fine");
    tape.rewind(mark).expect("fine");
    let z = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    assert_eq!(
        tape.backward(&[(&z, 1.0)], &[&x]).expect("fine"),
        [Some(4.0)]
    );
    assert!(log.lock().expect("no panic").is_empty());
}

#[test]
fn on_values_inside_a_segment() {
    let log = Log::default();
    let inner = Arc::clone(&log);
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y = tape.checkpoint(&[&x], move |tape, x| {
        let y = tape.apply_one(ScalarOp::Mul, &[&x[0], &x[0]])?;
        // Only when it runs again is there anything to hook, and until then it is no error.
        tape.hook(&y, note(&inner, "inside", Some(10.0)))?;
        tape.apply(ScalarOp::Neg, &[&y])
    });
    let y = y.expect("fine").remove(0);
    tape.hook(&y, note(&log, "result", None)).expect("fine");
    let found = tape.backward(&[(&y, 1.0)], &[&x]).expect("fine");
    assert_eq!(found, [Some(-40.0)]);
    let expected = [("result", 1.0), ("inside", -1.0)];
    assert_eq!(
        std::mem::take(&mut *log.lock().expect("no panic")),
        expected
    );
    // It is gone with what it hung on, whatever comes to stand there.
    let mut z = x;
    for _ in 0..4 {
        z = one(&mut tape, ScalarOp::Neg, &[&z]);
    }
    assert_eq!(
        tape.backward(&[(&z, 1.0)], &[&x]).expect("fine"),
        [Some(1.0)]
    );
    assert!(log.lock().expect("no panic").is_empty());
}

#[test]
fn on_values_from_outside_of_a_segment_once() {
    let log = Log::default();
    let (first, second) = (Arc::clone(&log), Arc::clone(&log));
    let mut tape = scalars();
    let (x, p) = (tape.leaf(2.0), tape.leaf(3.0));
    // An operand and what was captured, also one level further in.
    let y = tape.checkpoint(&[&x], move |tape, x| {
        tape.hook(&x[0], note(&first, "x", Some(10.0)))?;
        let square = tape.apply_one(ScalarOp::Mul, &[&x[0], &x[0]])?;
        let second = Arc::clone(&second);
        tape.checkpoint(&[&square], move |tape, square| {
            tape.hook(&p, note(&second, "p", Some(100.0)))?;
            tape.hook(&square[0], note(&second, "square", Some(2.0)))?;
            tape.apply(ScalarOp::Mul, &[&square[0], &p])
        })
    });
    let y = y.expect("fine").remove(0);
    let expected = vec![("square", 3.0), ("p", 4.0), ("x", 24.0)];
    for _ in 0..3 {
        let seen = |found: Vec<Option<f64>>| {
            assert_eq!(found, [Some(240.0), Some(400.0)]);
            let mut log = std::mem::take(&mut *log.lock().expect("no panic"));
            log.sort_by(|one, other| one.1.total_cmp(&other.1));
            assert_eq!(log, expected);
        };
        let found = tape.backward_keeping(&[(&y, 1.0)], &[&x, &p]);
        seen(found.expect("fine"));
        tape.tangents(&[(&x, 1.0)], &[&y]).expect("fine");
        let seed = Scalar::constant(1.0);
        let found = tape.backward_recorded(&[(&y, seed)], &[&x, &p]);
        let found = found.expect("fine").into_iter();
        seen(
            found
                .map(|found| found.map(|found| *found.value()))
                .collect(),
        );
    }
}

#[test]
fn not_on_constants() {
    let mut tape = scalars();
    let error = tape.hook(&Scalar::constant(1.0), |_| None).unwrap_err();
    assert!(matches!(error, EagerError::ConstantVar { .. }), "{error}");
    let mut other = scalars();
    let foreign = other.leaf(1.0);
    let error = tape.hook(&foreign, |_| None).unwrap_err();
    assert!(matches!(error, EagerError::ForeignVar { .. }), "{error}");
}

/// Many hooks, added from the last value to the first, and taken away in between, also by one of them.
#[test]
fn hooks_are_taken_away() {
    let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    let x = tape.leaf(1.0);
    let mut chain = vec![x];
    for _ in 0..20_000 {
        let next = tape.apply_one(ScalarOp::Neg, &[&chain[chain.len() - 1]]);
        chain.push(next.unwrap());
    }
    let called = Arc::new(Mutex::new(Vec::new()));
    let hooks: Vec<HookId> = (0..chain.len())
        .rev()
        .map(|at| {
            let called = Arc::clone(&called);
            let tell = move |_: &f64| {
                called.lock().unwrap().push(at);
                None
            };
            tape.hook(&chain[at], tell).unwrap()
        })
        .collect();
    for hook in hooks.iter().step_by(2) {
        assert!(tape.remove_hook(*hook));
        assert!(!tape.remove_hook(*hook));
    }
    let last = chain.last().unwrap();
    tape.backward_keeping(&[(last, 1.0)], &[&x]).unwrap();
    let kept: Vec<usize> = (0..chain.len()).rev().skip(1).step_by(2).collect();
    assert_eq!(*called.lock().unwrap(), kept);

    // Of another tape, and of what the tape has forgotten.
    let mut other: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    let y = other.leaf(1.0);
    let foreign = other.hook(&y, |_| None).unwrap();
    assert!(!tape.remove_hook(foreign));
    assert!(other.has_hooks());
    other.clear();
    assert!(!other.has_hooks());
    assert!(!other.remove_hook(foreign));

    // By one that is being called, itself and the one after it.
    let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    let x = tape.leaf(3.0);
    let ids = Arc::new(Mutex::new(Vec::new()));
    let to_remove = Arc::clone(&ids);
    let first = tape.hook_recorded(&x, move |tape, gradient| {
        for id in to_remove.lock().unwrap().drain(..) {
            assert!(tape.remove_hook(id));
        }
        tape.apply_one(ScalarOp::Neg, &[gradient]).map(Some)
    });
    let second = tape.hook(&x, |gradient| Some(gradient * 100.0)).unwrap();
    tape.hook(&x, |gradient| Some(gradient * 2.0)).unwrap();
    ids.lock().unwrap().extend([first.unwrap(), second]);
    let y = tape.apply_one(ScalarOp::Mul, &[&x, &x]).unwrap();
    let once = tape.backward_keeping(&[(&y, 1.0)], &[&x]).unwrap();
    assert_eq!(once, [Some(-12.0)]);
    let again = tape.backward_keeping(&[(&y, 1.0)], &[&x]).unwrap();
    assert_eq!(again, [Some(12.0)]);
}

/// Clipping, where it does not clip, changes nothing, also where a selection has left a slope that is infinite behind.
#[test]
fn hooks_leave_what_is_zero_for_certain() {
    for hook in [|gradient: f64| gradient, |gradient: f64| gradient.min(10.0)] {
        let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
        let x = tape.leaf(0.0);
        let root = tape.apply_one(ScalarOp::Sqrt, &[&x]).unwrap();
        tape.hook(&root, move |gradient| Some(hook(*gradient)))
            .unwrap();
        let zero = Var::constant(0.0);
        let is_positive = tape.apply_one(ScalarOp::Gt, &[&x, &zero]).unwrap();
        let y = tape
            .apply_one(ScalarOp::Select, &[&is_positive, &root, &x])
            .unwrap();
        assert_eq!(
            tape.backward_keeping(&[(&y, 1.0)], &[&x]).unwrap(),
            [Some(1.0)]
        );
        let seed = Var::constant(1.0);
        let slope = tape.backward_recorded(&[(&y, seed)], &[&x]).unwrap();
        assert_eq!(slope[0].as_ref().map(|slope| *slope.value()), Some(1.0));
    }
}
