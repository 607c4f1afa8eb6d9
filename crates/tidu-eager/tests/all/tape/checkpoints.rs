//! Segments that going backward runs again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidu_eager::{EagerError, Side};
use tidu_scalar::ScalarOp;

use super::own::{Counted, Own, OwnTape, OwnVar, numbers, own_tape};
use super::program::{Program, Random};
use super::{Scalar, Scalars, assert_near, one, scalars};

/// x ↦ p·sin x + x / 2
fn step(tape: &mut Scalars, x: &Scalar, p: &Scalar) -> Result<Scalar, EagerError> {
    let sin = tape.apply_one(ScalarOp::Sin, &[x])?;
    let product = tape.apply_one(ScalarOp::Mul, &[p, &sin])?;
    let half = tape.apply_one(ScalarOp::Mul, &[x, &Scalar::constant(0.5)])?;
    tape.apply_one(ScalarOp::Add, &[&product, &half])
}

/// The end of this many steps from x, and its derivatives by x and p.
fn steps_in_duals(steps: usize, x: f64, p: f64) -> [f64; 3] {
    (0..steps).fold([x, 1.0, 0.0], |[x, by_x, by_p], _| {
        let slope = p * x.cos() + 0.5;
        [p * x.sin() + 0.5 * x, slope * by_x, slope * by_p + x.sin()]
    })
}

#[test]
fn random_programs_to_the_last_bit() {
    for seed in 0..150 {
        let mut random = Random(9000 + seed);
        let calls = 3 + random.below(25);
        let program = Arc::new(Program::random(&mut random, 3, calls));
        let last = program.value_count() - 1;
        let run = |segment: bool| {
            let mut tape = scalars();
            let leaves: Vec<Scalar> = program.leaves.iter().map(|&x| tape.leaf(x)).collect();
            let constants: Vec<Scalar> = program
                .constants
                .iter()
                .map(|&c| Scalar::constant(c))
                .collect();
            // The first leaf is captured, the others and the constants are given.
            let (captured, inner) = (leaves[0], Arc::clone(&program));
            let body = move |tape: &mut Scalars, given: &[Scalar]| {
                let mut values = vec![captured];
                values.extend_from_slice(given);
                inner.record_calls(tape, &mut values);
                Ok(vec![values[last], values[last - 1]])
            };
            let given: Vec<Scalar> = leaves[1..].iter().chain(&constants).cloned().collect();
            let operands: Vec<&Scalar> = given.iter().collect();
            let ends = if segment {
                tape.checkpoint(&operands, body)
            } else {
                body(&mut tape, &given)
            };
            let ends = ends.expect("fine");
            let values = [&ends[0], &ends[1]].map(|end| end.value().to_bits());
            let outputs: Vec<_> = ends.iter().filter(|end| end.requires_grad()).collect();
            let seeds = [0.7, -1.3];
            let pairs: Vec<_> = outputs.into_iter().zip(seeds).collect();
            let by: Vec<&Scalar> = leaves.iter().collect();
            let kept = tape.backward_keeping(&pairs, &by).expect("fine");
            let found = tape.backward(&pairs, &by).expect("fine");
            assert_eq!(kept, found);
            let found: Vec<_> = found.iter().map(|g| g.map(f64::to_bits)).collect();
            (values, found)
        };
        let active = program.active[last] && program.active[last - 1] && program.calls.len() > 1;
        if active {
            assert_eq!(run(true), run(false), "program {seed}");
        }
    }
}

#[test]
fn recurrences_of_any_length() {
    for steps in [0, 1, 2, 3, 97, 100] {
        let (x, p) = (0.9, 1.1);
        let expected = steps_in_duals(steps, x, p);
        let mut tape = scalars();
        let (start, parameter) = (tape.leaf(x), tape.leaf(p));
        let mut plain = start;
        for _ in 0..steps {
            plain = step(&mut tape, &plain, &parameter).expect("fine");
        }
        let captured = parameter;
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let end = tape.iterate(steps, &[&start], move |tape, state, at| {
            // Steps are numbered in order, forward.
            let _ = count.compare_exchange(at, at + 1, Ordering::Relaxed, Ordering::Relaxed);
            Ok(vec![step(tape, &state[0], &captured)?])
        });
        let end = end.expect("fine").remove(0);
        assert_eq!(seen.load(Ordering::Relaxed), steps);
        assert_eq!(end.value().to_bits(), plain.value().to_bits());
        // The parameter as part of the state instead.
        let both = tape.iterate(steps, &[&start, &parameter], |tape, state, _| {
            Ok(vec![step(tape, &state[0], &state[1])?, state[1]])
        });
        let both = both.expect("fine").remove(0);
        let mut gradients = [&plain, &end, &both].map(|end| {
            let found = tape
                .backward(&[(end, 1.0)], &[&start, &parameter])
                .expect("fine");
            [found[0].unwrap_or(0.0), found[1].unwrap_or(0.0)]
        });
        for at in 0..2 {
            assert_near(gradients[0][at], expected[1 + at]);
        }
        let bits = gradients.each_mut().map(|g| g.map(f64::to_bits));
        assert_eq!(bits[0], bits[1], "{steps} steps");
        assert_eq!(bits[0], bits[2], "{steps} steps");
    }
}

#[test]
fn second_order_through_segments() {
    // The gradient by x of the gradient by x, by central differences of the closed first one.
    for steps in [1, 7] {
        let (x, p) = (0.4, 0.8);
        let mut tape = scalars();
        let (start, parameter) = (tape.leaf(x), tape.leaf(p));
        let captured = parameter;
        let end = tape.iterate(steps, &[&start], move |tape, state, _| {
            // A segment in a segment.
            let captured = captured;
            tape.checkpoint(&[&state[0]], move |tape, x| {
                Ok(vec![step(tape, &x[0], &captured)?])
            })
        });
        let end = end.expect("fine").remove(0);
        let first = tape.backward_recorded(&[(&end, Scalar::constant(1.0))], &[&start]);
        let first = first.expect("fine").remove(0).expect("a path");
        assert_near(*first.value(), steps_in_duals(steps, x, p)[1]);
        let found = tape
            .backward(&[(&first, 1.0)], &[&start, &parameter])
            .expect("fine");
        let h = 1e-5;
        let slope = |dx: f64, dp: f64| steps_in_duals(steps, x + dx, p + dp)[1];
        let expected = [
            (slope(h, 0.0) - slope(-h, 0.0)) / (2.0 * h),
            (slope(0.0, h) - slope(0.0, -h)) / (2.0 * h),
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found.expect("a path") - expected).abs() < 1e-7,
                "{found:?}, {expected}"
            );
        }
    }
}

#[test]
fn segments_in_segments() {
    fn nest(
        tape: &mut Scalars,
        depth: usize,
        x: &Scalar,
        p: &Scalar,
    ) -> Result<Scalar, EagerError> {
        let captured = *p;
        let inner = move |tape: &mut Scalars, x: &[Scalar]| {
            let y = step(tape, &x[0], &captured)?;
            let y = match depth {
                1 => y,
                _ => nest(tape, depth - 1, &y, &captured)?,
            };
            Ok(vec![step(tape, &y, &captured)?])
        };
        Ok(tape.checkpoint(&[x], inner)?.remove(0))
    }
    let mut tape = scalars();
    let (x, p) = (tape.leaf(0.9), tape.leaf(1.1));
    let end = nest(&mut tape, 4, &x, &p).expect("fine");
    let expected = steps_in_duals(8, 0.9, 1.1);
    assert_near(*end.value(), expected[0]);
    let found = tape.backward(&[(&end, 1.0)], &[&x, &p]).expect("fine");
    assert_near(found[0].expect("a path"), expected[1]);
    assert_near(found[1].expect("a path"), expected[2]);
}

#[test]
fn what_a_body_returns() {
    let mut tape = scalars();
    let (x, y) = (tape.leaf(2.0), tape.leaf(3.0));
    let outer = y;
    let results = tape.checkpoint(&[&x], move |tape, x| {
        let product = tape.apply_one(ScalarOp::Mul, &[&x[0], &outer])?;
        // A result twice, an operand, something from outside, a constant, and a leaf of its own.
        let own = tape.leaf(8.0);
        let results = [
            &product,
            &product,
            &x[0],
            &outer,
            &Scalar::constant(7.0),
            &own,
        ];
        Ok(results.map(Clone::clone).to_vec())
    });
    let results = results.expect("fine");
    let values: Vec<f64> = results.iter().map(|result| *result.value()).collect();
    assert_eq!(values, [6.0, 6.0, 2.0, 3.0, 7.0, 8.0]);
    let seeds = [1.0, 10.0, 100.0, 1000.0, 5.0, 6.0];
    let pairs: Vec<_> = results.iter().zip(seeds).collect();
    let found = tape.backward_keeping(&pairs, &[&x, &y]).expect("fine");
    assert_eq!(found, [Some(33.0 + 100.0), Some(22.0 + 1000.0)]);
    for (at, expected) in [
        (0, [Some(3.0), Some(2.0)]),
        (2, [Some(1.0), None]),
        (3, [None, Some(1.0)]),
        (4, [None, None]),
    ] {
        let found = tape.backward_keeping(&[(&results[at], 1.0)], &[&x, &y]);
        assert_eq!(found.expect("fine"), expected, "result {at}");
    }
    // Unused, it does not run.
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    tape.checkpoint(&[&x], move |tape, x| {
        count.fetch_add(1, Ordering::Relaxed);
        tape.apply(ScalarOp::Sin, &[&x[0]])
    })
    .expect("fine");
    let z = one(&mut tape, ScalarOp::Neg, &[&x]);
    assert_eq!(
        tape.backward(&[(&z, 1.0)], &[&x]).expect("fine"),
        [Some(-1.0)]
    );
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_body_that_fails_the_second_time() {
    for another_count in [false, true] {
        let mut tape = scalars();
        let x = tape.leaf(0.5);
        let before = one(&mut tape, ScalarOp::Sin, &[&x]);
        let times = AtomicUsize::new(0);
        let other = Scalar::constant(1.0);
        let y = tape
            .checkpoint(&[&before], move |tape, x| {
                let mut results = tape.apply(ScalarOp::Exp, &[&x[0]])?;
                match (times.fetch_add(1, Ordering::Relaxed), another_count) {
                    (1, true) => results.push(other),
                    (1, false) => return tape.apply(ScalarOp::Add, &[&x[0]]),
                    _ => {}
                }
                Ok(results)
            })
            .expect("fine the first time");
        let after = one(&mut tape, ScalarOp::Neg, &[&y[0]]);
        let error = tape.backward_keeping(&[(&after, 1.0)], &[&x]).unwrap_err();
        let (primitive, side, expected, found) = if another_count {
            ("a `checkpoint` or `iterate`", Side::Outputs, 1, 2)
        } else {
            ("add", Side::Inputs, 2, 1)
        };
        let primitive = primitive.to_owned();
        assert_eq!(
            error,
            EagerError::WrongValueCount {
                primitive,
                side,
                expected,
                found
            }
        );
        // The third time it works again, and so does everything else.
        let more = one(&mut tape, ScalarOp::Mul, &[&after, &x]);
        let found = tape.backward(&[(&more, 1.0)], &[&x]).expect("fine");
        let e = 0.5_f64.sin().exp();
        assert_near(found[0].expect("a path"), -e * (1.0 + 0.5 * 0.5_f64.cos()));
    }
}

#[test]
fn a_body_that_returns_what_is_not_of_this_tape() {
    let mut other = scalars();
    let mut foreign = other.leaf(1.0);
    for _ in 0..100 {
        foreign = one(&mut other, ScalarOp::Neg, &[&foreign]);
    }
    let mut tape = scalars();
    let mark = tape.mark();
    let stale = tape.leaf(1.0);
    tape.rewind(mark).expect("fine");
    let x = tape.leaf(2.0);
    let square = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    for (captured, is_foreign) in [(foreign, true), (stale, false)] {
        let result = tape.checkpoint(&[&x], move |_, _| Ok(vec![captured]));
        let error = match result {
            Err(error) => error,
            Ok(results) => tape
                .backward_keeping(&[(&results[0], 1.0)], &[&x])
                .unwrap_err(),
        };
        if is_foreign {
            assert!(matches!(error, EagerError::ForeignVar { .. }), "{error}");
        } else {
            assert!(matches!(error, EagerError::StaleVar { .. }), "{error}");
        }
    }
    assert_eq!(
        tape.backward(&[(&square, 1.0)], &[&x]).expect("fine"),
        [Some(4.0)]
    );
}

/// What came before is out of reach while a body runs again, so that it is refused from the start.
#[test]
fn a_body_neither_goes_back_nor_cuts_the_tape() {
    let mut tape = scalars();
    let mark = tape.mark();
    let x = tape.leaf(2.0);
    let outer = tape.apply_one(ScalarOp::Mul, &[&x, &x]).unwrap();
    let within = outer;
    let backward = tape.checkpoint(&[&x], move |tape, x| {
        tape.backward_keeping(&[(&within, 1.0)], &[&x[0]])?;
        Ok(x.to_vec())
    });
    let rewind = tape.checkpoint(&[&x], move |tape, x| {
        tape.rewind(mark)?;
        Ok(x.to_vec())
    });
    for (result, what) in [(backward, "go backward"), (rewind, "rewind the tape")] {
        let error = result.unwrap_err();
        assert_eq!(error, EagerError::InSegment { what });
        assert_eq!(
            error.to_string(),
            format!(
                "cannot {what} in the body of a `checkpoint` or `iterate`, which runs again on the way back: do it \
                 outside"
            )
        );
    }
    let gradient = tape.backward(&[(&outer, 1.0)], &[&x]).unwrap();
    assert_eq!(gradient, [Some(4.0)]);
}

/// In a body that runs for the first time all are constants, which is not what is wrong.
#[test]
fn what_is_said_of_derivatives_inside_a_body() {
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let seed = Scalar::constant(1.0);
    type Body = fn(&mut Scalars, &Scalar, Scalar) -> Result<(), EagerError>;
    let bodies: [(Body, &str); 4] = [
        (
            |tape, x, seed| tape.backward_recorded(&[(x, seed)], &[x]).map(drop),
            "go backward",
        ),
        (
            |tape, x, _| tape.backward(&[(x, 1.0)], &[]).map(drop),
            "go backward",
        ),
        (
            |tape, x, _| tape.backward_all(&[(x, 1.0)]).map(drop),
            "go backward",
        ),
        (
            |tape, x, _| tape.tangents(&[(x, 1.0)], &[x]).map(drop),
            "go forward",
        ),
    ];
    for (body, what) in bodies {
        let result = tape.checkpoint(&[&x], move |tape, x| {
            let y = tape.apply_one(ScalarOp::Sin, &[&x[0]])?;
            body(tape, &y, seed)?;
            Ok(vec![y])
        });
        assert_eq!(result.unwrap_err(), EagerError::InSegment { what });
    }
}

#[test]
fn a_body_that_computes_something_else_the_second_time() {
    // What is not a number is the same as itself.
    for (at, first) in [(1, 0.5), (0, f64::NAN)] {
        for forward in [false, true] {
            let mut tape = scalars();
            let x = tape.leaf(first);
            let times = AtomicUsize::new(0);
            let results = tape.checkpoint(&[&x], move |tape, x| {
                let drawn = times.fetch_add(1, Ordering::Relaxed).min(1) * at;
                let drawn = Scalar::constant(drawn as f64);
                let y = tape.apply_one(ScalarOp::Mul, &[&x[0], &drawn])?;
                let sin = tape.apply_one(ScalarOp::Sin, &[&x[0]])?;
                Ok(vec![sin, y])
            });
            let results = results.expect("fine");
            let found = if forward {
                tape.tangents(&[(&x, 1.0)], &[&results[0]])
            } else {
                tape.backward(&[(&results[0], 1.0)], &[&x])
            };
            match at {
                0 => assert!(found.expect("the same")[0].expect("a path").is_nan()),
                _ => {
                    let error = found.unwrap_err();
                    assert_eq!(error, EagerError::SegmentChanged { position: 1 });
                    assert!(error.to_string().contains("among its operands"), "{error}");
                }
            }
            // The tape goes on.
            let z = one(&mut tape, ScalarOp::Neg, &[&x]);
            let found = tape.backward(&[(&z, 1.0)], &[&x]).expect("fine");
            assert_eq!(found, [Some(-1.0)]);
        }
    }
}

#[test]
fn segments_can_be_gone_through_once() {
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y = tape.checkpoint(&[&x], |tape, x| tape.apply(ScalarOp::Mul, &[&x[0], &x[0]]));
    let y = y.expect("fine").remove(0);
    assert_eq!(
        tape.backward(&[(&y, 1.0)], &[&x]).expect("fine"),
        [Some(4.0)]
    );
    let error = tape.backward(&[(&y, 1.0)], &[&x]).unwrap_err();
    assert_eq!(
        error,
        EagerError::Freed {
            operation: "a `checkpoint` or `iterate`".into()
        }
    );
    let z = one(&mut tape, ScalarOp::Neg, &[&x]);
    assert_eq!(
        tape.backward(&[(&z, 1.0)], &[&x]).expect("fine"),
        [Some(-1.0)]
    );
}

#[test]
fn without_recording_there_is_no_segment() {
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y =
        tape.no_grad(|tape| tape.checkpoint(&[&x], |tape, x| tape.apply(ScalarOp::Exp, &[&x[0]])));
    let y = y.expect("fine").remove(0);
    assert!(!y.requires_grad());
    assert!(format!("{tape:?}").contains("residuals: 0"), "{tape:?}");
}

#[test]
fn memory_grows_like_the_root_of_the_number_of_steps() {
    let peaks = [2_500, 10_000].map(|steps: usize| {
        let (mut tape, census, _) = own_tape();
        let x = tape.leaf(Counted::new(0.5, &census));
        let c = OwnVar::constant(Counted::new(0.999, &census));
        let body = move |tape: &mut OwnTape, state: &[OwnVar], _: usize| {
            let sin = tape.apply_one(Own::Sin, &[&state[0]])?;
            tape.apply(Own::Mul, &[&sin, &c])
        };
        let end = tape.iterate(steps, &[&x], body).expect("fine").remove(0);
        let (mut value, mut by_x) = (0.5_f64, 1.0);
        for _ in 0..steps {
            by_x *= 0.999 * value.cos();
            value = value.sin() * 0.999;
        }
        let found = tape
            .backward(&[(&end, Counted::new(1.0, &census))], &[&x])
            .expect("fine");
        let found = numbers(&found)[0].expect("a path");
        assert!(
            (found - by_x).abs() <= 1e-12 * by_x.abs(),
            "{found}, not {by_x}"
        );
        assert!(census.live() < 10, "{} operands are left", census.live());
        census.peak()
    });
    assert!(peaks[1] < 1_000, "{peaks:?}");
    assert!(peaks[1] < 5 * peaks[0] / 2, "{peaks:?}");
}
