//! Long traces and shared histories, on a stack of 2 MiB.

use crate::support::{Session, backward, leaf, on_small_stack};
use tidu_scalar::ScalarOp;
use tidu_testkit::cases;

/// Steps of three operations.
const STEPS: usize = 100_000;

#[test]
fn a_trace_of_three_hundred_thousand_calls() {
    on_small_stack(|| {
        let mut session = Session::default();
        let (x, y) = (leaf("x", 0.3), leaf("y", 1e-6));
        let mut v = x;
        // The value, and its derivatives by x and y along the way.
        let mut expected = [0.3_f64, 1.0, 0.0];
        let steps = cases(STEPS);
        for _ in 0..steps {
            let sin = session.apply(ScalarOp::Sin, &[&v]);
            let product = session.apply(ScalarOp::Mul, &[&y, &sin]);
            v = session.apply(ScalarOp::Add, &[&v, &product]);
            let [value, by_x, by_y] = expected;
            let slope = 1.0 + 1e-6 * value.cos();
            expected = [
                value + 1e-6 * value.sin(),
                slope * by_x,
                slope * by_y + value.sin(),
            ];
        }
        assert_eq!(*v.data, expected[0]);
        let text = format!("{v:?}");
        assert!(text.len() < 300 && text.lines().count() == 1, "{text}");

        let (gradients, executor) = backward(&v);
        assert_eq!(executor.forward_calls, 3 * steps);
        for (name, expected) in [("x", expected[1]), ("y", expected[2])] {
            let found = gradients.of(name).expect("a leaf");
            assert!(
                (found - expected).abs() < 1e-9 * expected,
                "{found}, not {expected}"
            );
        }
    });
}

#[test]
fn long_traces_drop_in_any_order() {
    on_small_stack(|| {
        let record = || {
            let mut session = Session::default();
            let mut values = vec![leaf("x", 0.5)];
            for _ in 0..cases(60_000) {
                let next = session.apply(ScalarOp::Neg, &[&values[values.len() - 1]]);
                values.push(next);
            }
            values
        };
        // From the last to the first, from the first to the last, and the last value alone.
        let mut values = record();
        while values.pop().is_some() {}
        record().into_iter().for_each(drop);
        let last = record().pop().expect("values");
        let other_end = last.trace.clone();
        drop(last);
        drop(other_end);
    });
}

#[test]
fn a_history_that_meets_again_at_each_of_64_levels() {
    on_small_stack(|| {
        let mut session = Session::default();
        let mut v = leaf("x", 1.0);
        for _ in 0..64 {
            v = session.apply(ScalarOp::Mul, &[&v, &v]);
        }
        let (gradients, executor) = backward(&v);
        assert_eq!(gradients.of("x"), Some(2.0_f64.powi(64)));
        assert_eq!((executor.forward_calls, executor.transpose_calls), (64, 64));
        // Each call's two cotangents are added once.
        assert_eq!(executor.additions, 64);
    });
}

#[test]
fn a_call_costs_the_same_however_long_the_trace() {
    let additions_and_calls = |steps: usize| {
        let mut session = Session::default();
        let (mut v, y) = (leaf("x", 0.3), leaf("y", 1e-6));
        for _ in 0..steps {
            let sin = session.apply(ScalarOp::Sin, &[&v]);
            let product = session.apply(ScalarOp::Mul, &[&y, &sin]);
            v = session.apply(ScalarOp::Add, &[&v, &product]);
        }
        let (_, executor) = backward(&v);
        let operations: usize = executor.sizes.iter().sum();
        [executor.forward_calls, executor.transpose_calls, operations]
    };
    let small = additions_and_calls(100);
    let large = additions_and_calls(10_000);
    assert_eq!(large, small.map(|count| 100 * count));
}

#[test]
fn a_call_of_a_long_graph() {
    on_small_stack(|| {
        let graph = crate::support::composite("p", 1, |b, p| {
            (0..100_000).fold(p.to_vec(), |v, _| {
                crate::support::apply(b, ScalarOp::Neg, &v)
            })
        });
        let mut session = Session::default();
        let outputs = session.call_graph(graph, &[leaf("x", 2.0)]);
        let (gradients, executor) = backward(&outputs[0]);
        assert_eq!(gradients.of("x"), Some(1.0));
        assert_eq!(executor.forward_calls, 1);
    });
}
