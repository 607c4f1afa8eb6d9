//! Second derivatives where hooks replace gradients: right, or an error that says which hook.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidu_ad::Function;
use tidu_eager::EagerError;
use tidu_scalar::{ScalarOp, function};

use super::own::{Counted, Own, OwnVar, numbers, own_tape};
use super::{Scalar, Scalars, assert_near, one, scalars};

/// y² for y = x², with x and y: x⁴, of which the derivatives are 4x³ and 12x².
fn fourth_power(tape: &mut Scalars, value: f64) -> [Scalar; 3] {
    let x = tape.leaf(value);
    let y = one(tape, ScalarOp::Mul, &[&x, &x]);
    let z = one(tape, ScalarOp::Mul, &[&y, &y]);
    [x, y, z]
}

#[track_caller]
fn slope(tape: &mut Scalars, y: &Scalar, x: &Scalar) -> Scalar {
    let found = tape.backward_recorded(&[(y, Scalar::constant(1.0))], &[x]);
    found.expect("fine").remove(0).expect("a path")
}

/// The derivative by x of what was recorded, backward and forward.
#[track_caller]
fn both_ways(tape: &mut Scalars, slope: &Scalar, x: &Scalar) -> [f64; 2] {
    let back = tape.backward_keeping(&[(slope, 1.0)], &[x]).expect("fine");
    let forward = tape.tangents(&[(x, 1.0)], &[slope]).expect("fine");
    [back, forward].map(|found| found[0].expect("a path"))
}

#[test]
fn what_is_replaced_by_itself_stays_differentiable() {
    type Hook = fn(&f64) -> Option<f64>;
    let hooks: [Hook; 3] = [|g| Some(*g), |g| Some(g.clamp(-1e6, 1e6)), |_| None];
    for hook in hooks {
        let mut tape = scalars();
        let [x, y, z] = fourth_power(&mut tape, 3.0);
        tape.hook(&y, hook).expect("a variable");
        let first = slope(&mut tape, &z, &x);
        assert_eq!(*first.value(), 108.0);
        assert_eq!(both_ways(&mut tape, &first, &x), [108.0; 2]);
        let second = slope(&mut tape, &first, &x);
        assert_eq!(both_ways(&mut tape, &second, &x), [72.0; 2]);
    }
    // Also a NaN, which is not equal to itself.
    let mut tape = scalars();
    let [x, y, z] = fourth_power(&mut tape, f64::NAN);
    tape.hook(&y, |g| Some(*g)).expect("a variable");
    let first = slope(&mut tape, &z, &x);
    let found = both_ways(&mut tape, &first, &x);
    assert!(found.iter().all(|found| found.is_nan()), "{found:?}");
}

#[track_caller]
fn assert_replaced<T: std::fmt::Debug>(found: Result<T, EagerError>, line: u32) {
    let error = found.expect_err("nobody knows the derivative");
    let EagerError::ReplacedGradient { location } = error else {
        panic!("{error}");
    };
    assert_eq!((location.file(), location.line()), (file!(), line));
    assert!(error.to_string().contains("hook_recorded"), "{error}");
}

#[test]
fn what_is_replaced_by_something_else_is_not_differentiable() {
    let mut tape = scalars();
    let w = tape.leaf(0.5);
    let [x, y, z] = fourth_power(&mut tape, 3.0);
    let line = line!() + 1;
    tape.hook(&y, |g| Some(2.0 * g)).expect("a variable");
    let sin = one(&mut tape, ScalarOp::Sin, &[&w]);
    let end = one(&mut tape, ScalarOp::Mul, &[&z, &sin]);
    let first = tape.backward_recorded(&[(&end, Scalar::constant(1.0))], &[&x, &w]);
    let first: Vec<Scalar> = first.expect("fine").into_iter().flatten().collect();
    let (s, c) = 0.5_f64.sin_cos();
    // 2·4x³·sin w, and x⁴·cos w, on the way to which there is no y.
    assert_near(*first[0].value(), 216.0 * s);
    assert_near(*first[1].value(), 81.0 * c);
    let refused = |tape: &mut Scalars| {
        assert_replaced(tape.backward_keeping(&[(&first[0], 1.0)], &[&x]), line);
        assert_replaced(tape.backward_keeping(&[(&first[0], 1.0)], &[&w]), line);
        assert_replaced(tape.backward_all(&[(&first[0], 1.0)]), line);
        let seed = Scalar::constant(1.0);
        assert_replaced(tape.backward_recorded(&[(&first[0], seed)], &[&x]), line);
        assert_replaced(tape.tangents(&[(&x, 1.0)], &[&first[0]]), line);
        assert_replaced(tape.tangents(&[(&w, 1.0)], &[&first[1], &first[0]]), line);
    };
    refused(&mut tape);
    // What does not come from there is as good as ever: -x⁴·sin w.
    let found = tape.backward_keeping(&[(&first[1], 1.0)], &[&w]);
    assert_near(found.expect("fine")[0].expect("a path"), -81.0 * s);
    let found = tape.tangents(&[(&w, 1.0)], &[&first[1], &end]);
    let found: Vec<f64> = found.expect("fine").into_iter().flatten().collect();
    assert_near(found[0], -81.0 * s);
    assert_near(found[1], 81.0 * c);
    refused(&mut tape);
    // Nor by a value behind which nothing was replaced: 2·4x³·s is 2x times what was put there.
    let after = one(&mut tape, ScalarOp::Neg, &[&first[0]]);
    let found = tape.backward_keeping(&[(&after, 1.0)], &[&first[0]]);
    assert_eq!(found.expect("fine"), [Some(-1.0)]);
    assert_replaced(tape.backward(&[(&after, 1.0)], &[&x]), line);
}

#[test]
fn through_functions_and_segments() {
    let line = line!() + 4;
    let replaced = |tape: &mut Scalars| {
        let [x, y, z] = fourth_power(tape, 3.0);
        let hook = |g: &f64| Some(2.0 * g);
        tape.hook(&y, hook).expect("a variable");
        let first = slope(tape, &z, &x);
        (x, first)
    };
    let sin: Function<ScalarOp> = function(["x"], |[x]| [x.sin()]).expect("a function");
    type Way<'a> = &'a dyn Fn(&mut Scalars, &Scalar) -> Scalar;
    let captured = |tape: &mut Scalars, x: &Scalar| {
        let x = *x;
        let found = tape.checkpoint(&[], move |tape, _| tape.apply(ScalarOp::Sin, &[&x]));
        found.expect("fine").remove(0)
    };
    let given = |tape: &mut Scalars, x: &Scalar| {
        let found = tape.checkpoint(&[x], |tape, x| tape.apply(ScalarOp::Sin, &[&x[0]]));
        found.expect("fine").remove(0)
    };
    let called =
        |tape: &mut Scalars, x: &Scalar| tape.apply_function(&sin, &[x]).expect("fine").remove(0);
    let ways: [Way<'_>; 3] = [&captured, &given, &called];
    for way in ways {
        let mut tape = scalars();
        let (x, first) = replaced(&mut tape);
        let end = way(&mut tape, &first);
        assert_replaced(tape.tangents(&[(&x, 1.0)], &[&end]), line);
        assert_replaced(tape.backward_keeping(&[(&end, 1.0)], &[&x]), line);
        let found = tape.backward(&[(&end, 1.0)], &[&first]).expect("fine");
        assert_near(found[0].expect("a path"), 216.0_f64.cos());
    }
}

#[test]
fn of_operands_that_cannot_be_compared() {
    let (mut tape, census, _) = own_tape();
    let leaf = |value| Counted::new(value, &census);
    let x = tape.leaf(leaf(3.0));
    let own = |tape: &mut super::own::OwnTape, x: &OwnVar| {
        tape.apply_one(Own::Mul, &[x, x]).expect("fine")
    };
    let y = own(&mut tape, &x);
    let line = line!() + 1;
    tape.hook(&y, |g| Some(g.clone())).expect("a variable");
    let z = own(&mut tape, &y);
    let seed = OwnVar::constant(leaf(1.0));
    let first = tape.backward_recorded(&[(&z, seed)], &[&x]).expect("fine");
    let first = first[0].as_ref().expect("a path");
    assert_eq!(first.value().value, 108.0);
    assert_replaced(tape.backward(&[(first, leaf(1.0))], &[&x]).map(drop), line);
    // A gradient that depends on nothing may be replaced: 5·2x.
    let (mut tape, census, _) = own_tape();
    let x = tape.leaf(Counted::new(3.0, &census));
    let y = own(&mut tape, &x);
    let five = Counted::new(5.0, &census);
    tape.hook(&y, move |_| Some(five.clone()))
        .expect("a variable");
    let seed = OwnVar::constant(Counted::new(1.0, &census));
    let first = tape.backward_recorded(&[(&y, seed)], &[&x]).expect("fine");
    let first = first[0].as_ref().expect("a path");
    let found = tape.tangents(&[(&x, Counted::new(1.0, &census))], &[first]);
    assert_eq!(numbers(&found.expect("fine")), [Some(10.0)]);
}

#[test]
fn what_was_recorded_up_to_a_replaced_gradient() {
    let mut tape = scalars();
    tape.keep_structure().expect("nothing is on it");
    let [x, y, z] = fourth_power(&mut tape, 3.0);
    tape.hook(&y, |g| Some(2.0 * g)).expect("a variable");
    let first = slope(&mut tape, &z, &x);
    let f = tape.to_function(&[("x".into(), &x)], &[&z]).expect("fine");
    assert_eq!(f.compile().call(&[3.0]).expect("runs"), [81.0]);
    let error = tape
        .to_function(&[("x".into(), &x)], &[&z, &first])
        .unwrap_err();
    assert!(
        error.to_string().contains("that a hook replaced"),
        "{error}"
    );
}

/// Doubles the gradient by y.
fn doubling(tape: &mut Scalars, y: &Scalar) {
    let double = |tape: &mut Scalars, gradient: &Scalar| {
        tape.apply_one(ScalarOp::Add, &[gradient, gradient])
            .map(Some)
    };
    tape.hook_recorded(y, double).expect("a variable");
}

#[test]
fn hooks_that_are_part_of_the_gradient() {
    let mut tape = scalars();
    let [x, y, z] = fourth_power(&mut tape, 3.0);
    doubling(&mut tape, &y);
    let before = format!("{tape:?}");
    let found = tape
        .backward_keeping(&[(&z, 1.0)], &[&x, &y])
        .expect("fine");
    assert_eq!(found, [Some(216.0), Some(36.0)]);
    assert_eq!(format!("{tape:?}"), before, "nothing is recorded");
    // 8x³ and, forward, its derivative 24x²; backward the hook acts once more: 8x² + 32x². So it does in
    // PyTorch 2.
    let first = slope(&mut tape, &z, &x);
    assert_eq!(*first.value(), 216.0);
    assert_eq!(both_ways(&mut tape, &first, &x), [360.0, 216.0]);
}

#[test]
fn recorded_hooks_beside_others_and_in_segments() {
    for deep in [false, true] {
        let mut tape = scalars();
        let x = tape.leaf(3.0);
        // y² with the gradient by y clipped (where it is not too large), doubled, squared: (2·2y)²·2x
        let body = |tape: &mut Scalars, x: &[Scalar]| {
            let y = one(tape, ScalarOp::Mul, &[&x[0], &x[0]]);
            tape.hook(&y, |g| Some(g.min(1e6)))?;
            tape.hook_recorded(&y, |tape, g| {
                tape.apply_one(ScalarOp::Add, &[g, g]).map(Some)
            })?;
            tape.hook_recorded(&y, |_, _| Ok(None))?;
            tape.hook_recorded(&y, |tape, g| {
                tape.apply_one(ScalarOp::Mul, &[g, g]).map(Some)
            })?;
            tape.apply(ScalarOp::Mul, &[&y, &y])
        };
        let z = if deep {
            tape.checkpoint(&[&x], body)
        } else {
            body(&mut tape, &[x])
        };
        let z = z.expect("fine").remove(0);
        let first = slope(&mut tape, &z, &x);
        // 32x⁵, and 160x⁴
        assert_eq!(*first.value(), 32.0 * 243.0);
        let found = tape.tangents(&[(&x, 1.0)], &[&first]).expect("fine");
        assert_eq!(found, [Some(160.0 * 81.0)]);
        let found = tape.backward(&[(&z, 1.0)], &[&x]).expect("fine");
        assert_eq!(found, [Some(32.0 * 243.0)]);
    }
}

#[test]
fn what_hooks_may_not_do() {
    let mut other = scalars();
    let foreign = other.leaf(1.0);
    let mut tape = scalars();
    let [x, y, z] = fourth_power(&mut tape, 3.0);
    let mark = tape.mark();
    let times = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&times);
    tape.hook_recorded(&y, move |tape, gradient| {
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => tape.backward_keeping(&[(&z, 1.0)], &[&x]).map(|_| None),
            1 => tape.tangents(&[(&x, 1.0)], &[&z]).map(|_| None),
            2 => tape.rewind(mark).map(|()| None),
            3 => Ok(Some(foreign)),
            4 => panic!("a hook's own"),
            _ => Ok(Some(*gradient)),
        }
    })
    .expect("a variable");
    let seed = Scalar::constant(1.0);
    for what in ["go backward", "go forward", "rewind the tape"] {
        let error = tape.backward_recorded(&[(&z, seed)], &[&x]).unwrap_err();
        assert_eq!(error, EagerError::InHook { what });
        assert!(error.to_string().contains("in a hook"), "{error}");
    }
    let error = tape.backward_recorded(&[(&z, seed)], &[&x]).unwrap_err();
    let place = "what a hook returned".to_owned();
    assert_eq!(error, EagerError::ForeignVar { place });
    let panics = AssertUnwindSafe(|| tape.backward_keeping(&[(&z, 1.0)], &[&x]));
    assert!(catch_unwind(panics).is_err());
    // It is still there, and the tape as it was.
    let first = slope(&mut tape, &z, &x);
    assert_eq!(both_ways(&mut tape, &first, &x), [108.0; 2]);
    assert_eq!(times.load(Ordering::Relaxed), 7);
}
