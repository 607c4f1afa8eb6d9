//! Tapes on threads.

use tidu_scalar::{ScalarOp, function};

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
