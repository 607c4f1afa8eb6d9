//! Tapes on threads.

use tidu_scalar::{ScalarOp, function};

use super::own::{Counted, Own, OwnTape, OwnVar, numbers, own_tape};
use super::program::{Program, Random};
use super::{Scalar, Scalars, assert_near, one, scalars};

fn is_send<T: Send>(_: &T) {}

#[test]
fn a_tape_moves_between_threads() {
    let mut tape = scalars();
    tape.watch(|x| x.is_nan().then(|| "NaN".into()));
    let x = tape.leaf(0.5);
    tape.hook(&x, |_| None).expect("fine");
    let y = tape.checkpoint(&[&x], |tape, x| tape.apply(ScalarOp::Sin, &[&x[0]]));
    let y = y.expect("fine").remove(0);
    is_send(&tape);
    let there = std::thread::spawn(move || {
        let z = one(&mut tape, ScalarOp::Exp, &[&y]);
        (tape, z)
    });
    let (mut tape, z) = there.join().expect("no panic");
    let found = tape.backward(&[(&z, 1.0)], &[&x]).expect("fine");
    assert_near(
        found[0].expect("a path"),
        0.5_f64.sin().exp() * 0.5_f64.cos(),
    );
}

#[test]
fn many_tapes_at_once_agree_to_the_last_bit() {
    let f = function(["x", "y"], |[x, y]| [(&x * &y).sin() + x.exp(), y]).expect("a function");
    let work = |seed: u64| {
        let mut bits = Vec::new();
        for seed in seed..seed + 20 {
            let mut random = Random(seed);
            let program = Program::random(&mut random, 3, 20);
            let mut tape: Scalars = scalars();
            let vars = program.record(&mut tape);
            let last = vars
                .iter()
                .rfind(|var| var.requires_grad())
                .expect("a leaf");
            let kept = tape.apply_function(&f, &[&vars[0], last]).expect("fine");
            let again = tape
                .checkpoint_function(&f, &[last, &vars[1]])
                .expect("fine");
            let pairs: Vec<_> = kept.iter().chain(&again).map(|var| (var, 0.3)).collect();
            let by: Vec<&Scalar> = vars[..3].iter().collect();
            let found = tape.backward(&pairs, &by).expect("fine");
            bits.extend(found.iter().map(|g| g.map(f64::to_bits)));
        }
        bits
    };
    let alone = work(40);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| work(40))).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), alone);
        }
    });
}

/// What one tape has derived, its siblings know, each on a thread of its own: no rule is asked again. What
/// they derive besides, they keep to themselves.
#[test]
fn siblings_share_what_was_derived() {
    let (mut first, census, calls) = own_tape();
    // x·sin(x)·0.9, backward through all of it and again through the recorded gradient.
    let second_derivative = |tape: &mut OwnTape, x: f64| {
        let x = tape.leaf(Counted::new(x, &census));
        let c = OwnVar::constant(Counted::new(0.9, &census));
        let sin = tape.apply_one(Own::Sin, &[&x]).expect("fine");
        let product = tape.apply_one(Own::Mul, &[&x, &sin]).expect("fine");
        let y = tape.apply_one(Own::Mul, &[&product, &c]).expect("fine");
        let one = OwnVar::constant(Counted::new(1.0, &census));
        let slope = tape.backward_recorded(&[(&y, one)], &[&x]).expect("fine");
        let slope = slope[0].as_ref().expect("a path");
        let seed = Counted::new(1.0, &census);
        numbers(&tape.backward(&[(slope, seed)], &[&x]).expect("fine"))[0].expect("a path")
    };
    let closed_form = |x: f64| 0.9 * (2.0 * x.cos() - x * x.sin());
    assert_near(second_derivative(&mut first, 0.5), closed_form(0.5));
    let derived = calls.get();
    std::thread::scope(|scope| {
        for at in 0..4 {
            let mut tape = first.sibling_with_contexts((), calls.clone());
            scope.spawn(move || {
                let x = 0.3 * f64::from(at);
                assert_near(second_derivative(&mut tape, x), closed_form(x));
            });
        }
    });
    assert_eq!(calls.get(), derived);

    let mut sibling = first.sibling();
    let x = sibling.leaf(Counted::new(1.0, &census));
    let y = sibling.apply_one(Own::Scale(3), &[&x]).expect("fine");
    let error = first.apply_one(Own::Neg, &[&y]).expect_err("another tape");
    assert_eq!(
        error.to_string(),
        "operand 0 (counted from 0) of Neg is of another tape: make on one tape what is used together, or take \
         its value alone, as a constant (`detach`)"
    );
    let seed = Counted::new(1.0, &census);
    let found = sibling.backward(&[(&y, seed)], &[&x]).expect("fine");
    assert_eq!(numbers(&found), [Some(3.0)]);
}
