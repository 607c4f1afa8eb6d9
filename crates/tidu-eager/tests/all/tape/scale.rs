//! Long tapes, on a stack of 2 MiB.

use tidu_scalar::ScalarOp;

use super::{Scalar, Scalars, one, scalars};
use crate::support::on_small_stack;

#[test]
fn a_million_calls() {
    on_small_stack(|| {
        let mut tape = scalars();
        let x = tape.leaf(0.5);
        let h = Scalar::constant(1e-6);
        let mut y = x;
        let (mut value, mut by_x) = (0.5_f64, 1.0);
        for _ in 0..333_334 {
            let slope = one(&mut tape, ScalarOp::Sin, &[&y]);
            let change = one(&mut tape, ScalarOp::Mul, &[&h, &slope]);
            y = one(&mut tape, ScalarOp::Add, &[&y, &change]);
            by_x *= 1.0 + 1e-6 * value.cos();
            value += 1e-6 * value.sin();
        }
        assert_eq!(*y.value(), value);
        let found = tape.backward(&[(&y, 1.0)], &[&x]).expect("fine");
        let found = found[0].expect("a path");
        assert!((found - by_x).abs() < 1e-9 * by_x, "{found}, not {by_x}");
        let text = format!("{tape:?}");
        assert!(text.len() < 300, "{text}");
    });
}

#[test]
fn long_chains_of_segments() {
    on_small_stack(|| {
        let mut tape = scalars();
        let x = tape.leaf(1.0);
        let mut y = x;
        for _ in 0..100_000 {
            y = tape
                .checkpoint(&[&y], |tape, y| tape.apply(ScalarOp::Neg, &[&y[0]]))
                .expect("fine")
                .remove(0);
        }
        assert_eq!(
            tape.backward(&[(&y, 1.0)], &[&x]).expect("fine"),
            [Some(1.0)]
        );
    });
}

#[test]
fn a_value_used_a_hundred_thousand_times() {
    on_small_stack(|| {
        let mut tape: Scalars = scalars();
        let x = tape.leaf(2.0);
        let mut sum = x;
        for _ in 0..100_000 {
            sum = one(&mut tape, ScalarOp::Add, &[&sum, &x]);
        }
        let found = tape.backward(&[(&sum, 1.0)], &[&x]).expect("fine");
        assert_eq!(found, [Some(100_001.0)]);
    });
}
