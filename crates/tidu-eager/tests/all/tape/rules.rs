//! Operation sets that go wrong, and how often rules are asked.

use tidu_eager::{EagerError, Side};

use super::own::{Counted, Own, OwnTape, OwnVar, numbers, own_tape};
use crate::support::panic_text;

/// Whether d(x·y) still comes out right on a tape that has seen an error.
#[track_caller]
fn still_works(tape: &mut OwnTape, like: &OwnVar) {
    let census = &like.value().census;
    let (x, y) = (
        tape.leaf(Counted::new(3.0, census)),
        tape.leaf(Counted::new(5.0, census)),
    );
    let z = tape.apply_one(Own::Mul, &[&x, &y]).expect("fine");
    let found = tape.backward(&[(&z, Counted::new(2.0, census))], &[&x, &y]);
    assert_eq!(numbers(&found.expect("fine")), [Some(10.0), Some(6.0)]);
}

#[test]
fn rules_that_fail_are_named_where_the_operation_is_applied() {
    let cases = [
        (Own::NoJvp, "unsupported jvp AD rule for no-jvp"),
        (
            Own::NoTranspose,
            "unsupported transpose AD rule for no-transpose",
        ),
        (Own::TwoTangents, "must return 1 values, found 2"),
        (Own::NoCotangents, "must return 1 values, found 0"),
    ];
    for (operation, text) in cases {
        let (mut tape, census, _) = own_tape();
        let x = tape.leaf(Counted::new(2.0, &census));
        let error = tape.apply(operation.clone(), &[&x]).unwrap_err();
        assert!(
            matches!(&error, EagerError::Derive { operation: named, .. } if *named == format!("{operation:?}")),
            "{error}"
        );
        assert!(error.to_string().contains(text), "{error}");
        still_works(&mut tape, &x);
        // What is not differentiated needs no rule.
        let y = tape
            .apply_one(operation.clone(), &[&x.detach()])
            .expect("no rule is needed");
        assert_eq!((y.value().value, y.requires_grad()), (2.0, false));
        tape.no_grad(|tape| tape.apply(operation, &[&x]))
            .expect("no rule is needed");
    }
}

#[test]
fn rules_that_fail_on_the_way_back_are_named_where_the_operation_was_applied() {
    for watched in [false, true] {
        let (mut tape, census, _) = own_tape();
        if watched {
            tape.watch(|_| None);
        }
        let (x, y) = (
            tape.leaf(Counted::new(2.0, &census)),
            tape.leaf(Counted::new(3.0, &census)),
        );
        let (_, first) = (tape.apply_one(Own::BothOrNone, &[&x, &y]), line!());
        let (second, line) = (tape.apply_one(Own::BothOrNone, &[&x, &y]), line!());
        let second = second.expect("both are active");
        let seed = Counted::new(1.0, &census);
        let error = tape.backward_keeping(&[(&second, seed.clone())], &[&x]);
        // Where exactly is known only of a tape that is watched; where first, of every one.
        let expected = if watched { line } else { first };
        let error = error.unwrap_err();
        let text = error.to_string();
        let EagerError::Derive {
            operation,
            location: Some(location),
            ..
        } = error
        else {
            panic!("{text}");
        };
        assert_eq!(operation, "BothOrNone");
        assert!(location.file().ends_with("rules.rs"), "{text}");
        assert_eq!(location.line(), expected, "{text}");
        assert!(text.contains(&format!("rules.rs:{expected}")), "{text}");
        assert!(text.contains("unsupported jvp AD rule for half"), "{text}");
        still_works(&mut tape, &x);
        let found = tape.backward(&[(&second, seed)], &[&x, &y]).expect("fine");
        assert_eq!(numbers(&found), [Some(1.0), Some(1.0)]);
        // Forward, with one that moves.
        let again = tape.apply_one(Own::BothOrNone, &[&x, &y]).expect("fine");
        let moving = [(&x, Counted::new(1.0, &census))];
        let error = tape.tangents(&moving, &[&again]).unwrap_err();
        assert!(
            error.to_string().contains("BothOrNone, applied at"),
            "{error}"
        );
    }
}

#[test]
fn evaluation_of_a_wrong_count_is_named() {
    for count in [0, 2] {
        let (mut tape, census, _) = own_tape();
        let x = tape.leaf(Counted::new(2.0, &census));
        let operation = Own::Returns(count);
        let expected = EagerError::WrongValueCount {
            primitive: format!("{operation:?}"),
            side: Side::Outputs,
            expected: 1,
            found: count,
        };
        assert_eq!(
            tape.apply_one(operation.clone(), &[&x]).unwrap_err(),
            expected
        );
        assert_eq!(
            tape.apply(operation.clone(), &[&x.detach()]).unwrap_err(),
            expected
        );
        still_works(&mut tape, &x);
        // The same going backward, with gradients and with variables.
        let y = tape
            .apply_one(Own::TangentReturns(count), &[&x])
            .expect("fine");
        let seed = Counted::new(1.0, &census);
        let recorded = tape.backward_recorded(&[(&y, OwnVar::constant(seed.clone()))], &[&x]);
        assert_eq!(recorded.unwrap_err(), expected);
        still_works(&mut tape, &x);
        assert_eq!(tape.backward(&[(&y, seed)], &[&x]).err(), Some(expected));
        still_works(&mut tape, &x);
    }
}

#[test]
fn a_panic_of_an_operation_leaves_the_tape_as_it_was() {
    let (mut tape, census, _) = own_tape();
    let x = tape.leaf(Counted::new(-2.0, &census));
    let square = tape.apply_one(Own::Mul, &[&x, &x]).expect("fine");
    panic_text(|| tape.apply(Own::Panics, &[&x]));
    still_works(&mut tape, &x);
    panic_text(|| tape.no_grad(|tape| tape.apply(Own::Panics, &[&x])));
    still_works(&mut tape, &x);
    let checkpoint = |tape: &mut OwnTape, operands: &[OwnVar]| {
        tape.apply(Own::Panics, operands.iter().collect::<Vec<_>>().as_slice())
    };
    panic_text(|| tape.checkpoint(&[&x], checkpoint));
    still_works(&mut tape, &x);
    // Going backward.
    let y = tape.apply_one(Own::TangentPanics, &[&x]).expect("fine");
    for _ in 0..2 {
        panic_text(|| tape.backward_keeping(&[(&y, Counted::new(-1.0, &census))], &[&x]));
        still_works(&mut tape, &x);
    }
    let found = tape.backward(&[(&square, Counted::new(1.0, &census))], &[&x]);
    assert_eq!(numbers(&found.expect("fine")), [Some(-4.0)]);
}

#[test]
fn a_panic_inside_a_segment_that_runs_again() {
    let (mut tape, census, _) = own_tape();
    let x = tape.leaf(Counted::new(2.0, &census));
    let square = tape.apply_one(Own::Mul, &[&x, &x]).expect("fine");
    let y = tape
        .checkpoint(&[&x], |tape, x| {
            let y = tape.apply_one(Own::Mul, &[&x[0], &x[0]])?;
            tape.apply(Own::TangentPanics, &[&y])
        })
        .expect("fine");
    panic_text(|| tape.backward_keeping(&[(&y[0], Counted::new(-1.0, &census))], &[&x]));
    still_works(&mut tape, &x);
    let found = tape.backward(&[(&square, Counted::new(1.0, &census))], &[&x]);
    assert_eq!(numbers(&found.expect("fine")), [Some(4.0)]);
    let found = tape.backward(&[(&y[0], Counted::new(1.0, &census))], &[&x]);
    assert_eq!(numbers(&found.expect("fine")), [Some(4.0)]);
}

#[test]
fn three_results_of_which_one_depends_on_nothing() {
    let (mut tape, census, _) = own_tape();
    let [x, y] = [2.0, 5.0].map(|value| tape.leaf(Counted::new(value, &census)));
    for seeds in 0..8 {
        let results = tape.apply(Own::Three, &[&x, &y]).expect("fine");
        let of = [1.0, 10.0, 100.0];
        let chosen = (0..3).filter(|at| seeds >> at & 1 == 1);
        let pairs: Vec<_> = chosen
            .map(|at| (&results[at], Counted::new(of[at], &census)))
            .collect();
        let found = numbers(&tape.backward(&pairs, &[&x, &y]).expect("fine"));
        let (product, sum) = (f64::from(seeds & 1), 10.0 * f64::from(seeds >> 1 & 1));
        let expected = [5.0 * product + sum, 2.0 * product + sum];
        match seeds & 3 {
            0 => assert_eq!(found, [None, None]),
            _ => assert_eq!(found, expected.map(Some)),
        }
    }
}

#[test]
fn rules_are_asked_once_for_each_operation_and_active_operands() {
    let run = |steps: usize| {
        let (mut tape, census, calls) = own_tape();
        let x = tape.leaf(Counted::new(0.3, &census));
        let c = OwnVar::constant(Counted::new(0.9, &census));
        let mut y = x.clone();
        for _ in 0..steps {
            y = tape.apply_one(Own::Sin, &[&y]).expect("fine");
            y = tape.apply_one(Own::Mul, &[&y, &c]).expect("fine");
            y = tape.apply_one(Own::Mul, &[&c, &y]).expect("fine");
            y = tape.apply_one(Own::Mul, &[&x, &y]).expect("fine");
            // One of two cotangents, and one of three seeds.
            y = tape.apply(Own::Three, &[&y, &y]).expect("fine").remove(0);
        }
        let forward = calls.get();
        for _ in 0..3 {
            let seed = Counted::new(1.0, &census);
            tape.backward_keeping(&[(&y, seed)], &[&x]).expect("fine");
        }
        (forward, calls.get())
    };
    let once = run(1);
    // Sin, three kinds of products, and Three: one JVP each.
    assert_eq!(once.0[0], 5);
    assert_eq!(run(500), once);
}

#[test]
fn operations_by_the_ten_thousand_are_found_again() {
    let (mut tape, census, calls) = own_tape();
    let x = tape.leaf(Counted::new(1.0, &census));
    let mut total = x.clone();
    for _ in 0..2 {
        for c in 1..=20_000 {
            let y = tape.apply_one(Own::Scale(c), &[&x]).expect("fine");
            total = tape.apply_one(Own::Add, &[&total, &y]).expect("fine");
        }
    }
    assert_eq!(calls.get()[0], 20_001);
    let found = tape.backward(&[(&total, Counted::new(1.0, &census))], &[&x]);
    assert_eq!(numbers(&found.expect("fine")), [Some(400_020_001.0)]);
}
