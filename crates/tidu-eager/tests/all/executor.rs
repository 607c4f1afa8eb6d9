//! The ready-made executor against one written by hand.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{Executor, Session, composite, leaf, named};
use tidu_eager::{EvalExecutor, try_backward};
use tidu_scalar::ScalarOp;

#[test]
fn agrees_with_one_written_by_hand_and_with_mathematics() {
    let mut session = Session::default();
    let (x, y) = (leaf("x", 0.7), leaf("y", 1.3));
    // (s, c) = sin_cos(x·y); u = s / y + x as one node; f = u·c + ln y
    let product = session.apply(ScalarOp::Mul, &[&x, &y]);
    let sin_cos = session.call(ScalarOp::SinCos, &[product]);
    let node = composite("p", 3, |b, p| {
        let quotient = crate::support::apply(b, ScalarOp::Div, &[p[0], p[1]]);
        crate::support::apply(b, ScalarOp::Add, &[quotient[0], p[2]])
    });
    let inputs = [sin_cos[0].clone(), y.clone(), x.clone()];
    let u = session.call_graph(node, &inputs).remove(0);
    let uc = session.apply(ScalarOp::Mul, &[&u, &sin_cos[1]]);
    let ln = session.apply(ScalarOp::Ln, &[&y]);
    let f = session.apply(ScalarOp::Add, &[&uc, &ln]);

    let seed = Arc::new(-2.0);
    let trace = f.trace.as_ref();
    let mut ready = EvalExecutor::default();
    let found = try_backward(&f.key, trace, Arc::clone(&seed), &mut ready, &mut ());
    let mut by_hand = Executor::new();
    let other = try_backward(&f.key, trace, seed, &mut by_hand, &mut ());
    let bits =
        |gradients: &HashMap<_, Arc<f64>>| ["x", "y"].map(|name| gradients[&named(name)].to_bits());
    let found = found.expect("fine");
    assert_eq!(bits(&found), bits(&other.expect("fine")));

    let (a, b) = (0.7_f64, 1.3_f64);
    let (s, c) = (a * b).sin_cos();
    let u = s / b + a;
    let by_x = (c + 1.0) * c - u * s * b;
    let by_y = (c * a / b - s / (b * b)) * c - u * s * a + 1.0 / b;
    for (name, expected) in [("x", by_x), ("y", by_y)] {
        let found = *found[&named(name)];
        assert!((found + 2.0 * expected).abs() < 1e-13, "{name}: {found}");
    }
}
