//! Calls of one operation share what is derived of it; each must be given its own numbers all the same.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{Names, Session, as_input, backward, detached, leaf};
use tidu_ad::ADRuleError;
use tidu_eager::{EagerError, EagerInput, EvalExecutor, RecordedGraph, Recorder, try_backward};
use tidu_graph::{EvaluableGraphOperation, ValueKey};
use tidu_scalar::ScalarOp;
use tidu_testkit::Random;

type Input = EagerInput<ScalarOp>;

/// A value and its derivatives by x and y.
#[derive(Clone, Copy)]
struct Dual(f64, f64, f64);

impl Dual {
    fn of(self, value: f64, slope: f64) -> Self {
        Self(value, slope * self.1, slope * self.2)
    }
}

/// The same operations with all sorts of activity, seeded outputs, and retained values.
#[test]
fn random_traces_against_dual_numbers() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut session = Session::default();
        let mut values = vec![
            (leaf("x", 0.7), Dual(0.7, 1.0, 0.0)),
            (leaf("y", -0.4), Dual(-0.4, 0.0, 1.0)),
        ];
        for _ in 0..40 {
            let mut pick = || {
                let (value, dual) = values[random.below(values.len())].clone();
                match random.below(4) {
                    0 => (detached(&value), Dual(dual.0, 0.0, 0.0)),
                    _ => (value, dual),
                }
            };
            let ((a, da), (b, db)) = (pick(), pick());
            let sum = Dual(da.0 + db.0, da.1 + db.1, da.2 + db.2);
            let product = Dual(
                da.0 * db.0,
                da.1 * db.0 + da.0 * db.1,
                da.2 * db.0 + da.0 * db.2,
            );
            let (sin, cos) = da.0.sin_cos();
            let (operation, operands, duals) = match random.below(5) {
                0 => (ScalarOp::Add, vec![a, b], vec![sum]),
                1 => (ScalarOp::Mul, vec![a, b], vec![product]),
                2 => (ScalarOp::Sin, vec![a], vec![da.of(sin, cos)]),
                3 => (ScalarOp::Tanh, vec![a], {
                    let tanh = da.0.tanh();
                    vec![da.of(tanh, 1.0 - tanh * tanh)]
                }),
                _ => (
                    ScalarOp::SinCos,
                    vec![a],
                    vec![da.of(sin, cos), da.of(cos, -sin)],
                ),
            };
            let results = match random.below(2) {
                0 => session.call(operation, &operands),
                _ => retaining_results(&mut session, operation, &operands),
            };
            let fits = duals.iter().all(|dual| dual.0.abs() < 3.0);
            values.extend(results.into_iter().zip(duals).filter(|_| fits));
        }
        let (last, dual) = values.pop().expect("leaves at least");
        let (found, _) = backward(&last);
        for (name, expected) in [("x", dual.1), ("y", dual.2)] {
            let found = found.of(name).unwrap_or(0.0);
            let error = (found - expected).abs();
            assert!(
                error < 1e-11 * (1.0 + expected.abs()),
                "{seed}: {found}, not {expected}"
            );
        }
    }
}

/// Records with the results alone retained.
fn retaining_results(session: &mut Session, operation: ScalarOp, operands: &[Input]) -> Vec<Input> {
    let data: Vec<&f64> = operands.iter().map(|operand| &*operand.data).collect();
    let results: Vec<Arc<f64>> = operation
        .eval(&mut (), &data)
        .into_iter()
        .map(Arc::new)
        .collect();
    let keys = session
        .recorder
        .fresh_input_keys::<ScalarOp>(operands.len());
    let graph = RecordedGraph::from_primitive(operation, keys);
    let retained = graph
        .output_keys()
        .iter()
        .cloned()
        .zip(results.iter().cloned())
        .collect();
    let outputs = session
        .recorder
        .record_graph(graph, operands, &results, retained);
    outputs
        .into_iter()
        .zip(results)
        .map(|(output, data)| as_input(output, data))
        .collect()
}

/// Two exponentials, of which the second does not retain its result: the first must not lend it its own.
#[test]
fn what_one_call_retained_is_not_there_for_another() {
    let mut recorder = Recorder::new(Names::default());
    let x = leaf("x", 0.5);
    let mut exp = |x: &Input, retains: bool| {
        let keys = recorder.fresh_input_keys::<ScalarOp>(1);
        let graph = RecordedGraph::from_primitive(ScalarOp::Exp, keys);
        let y = Arc::new(x.data.exp());
        let mut retained = HashMap::new();
        if retains {
            retained.insert(graph.output_keys()[0].clone(), Arc::clone(&y));
        }
        let outputs =
            recorder.record_graph(graph, std::slice::from_ref(x), &[Arc::clone(&y)], retained);
        as_input(outputs.into_iter().next().expect("one result"), y)
    };
    let run = |y: &Input| {
        let mut executor = EvalExecutor::default();
        try_backward(
            &y.key,
            y.trace.as_ref(),
            Arc::new(1.0),
            &mut executor,
            &mut (),
        )
    };
    let first = exp(&x, false);
    let both = exp(&first, true);
    let error = run(&both).expect_err("the first call retained nothing");
    let ADRuleError::Runtime { source, .. } = &error else {
        panic!("{error}");
    };
    let source = source
        .downcast_ref::<EagerError>()
        .expect("an error of this crate");
    assert!(
        matches!(source, EagerError::MissingRetained { .. }),
        "{source}"
    );
    let first = exp(&x, true);
    let both = exp(&first, true);
    let found = run(&both).expect("all is there");
    let y = 0.5_f64.exp();
    let slope = *found[&x.key];
    assert!((slope - y * y.exp()).abs() < 1e-14, "{slope}");
}

/// A graph with the same operation twice over, and one whose operand stands twice, are not that
/// operation.
#[test]
fn graphs_that_look_like_an_operation() {
    let mut session = Session::default();
    let x = leaf("x", 3.0);
    let squared = crate::support::composite("p", 1, |b, p| {
        crate::support::apply(b, ScalarOp::Mul, &[p[0], p[0]])
    });
    let swapped = crate::support::composite("q", 2, |b, q| {
        crate::support::apply(b, ScalarOp::Sub, &[q[1], q[0]])
    });
    let plain = crate::support::composite("r", 2, |b, r| {
        crate::support::apply(b, ScalarOp::Sub, &[r[0], r[1]])
    });
    let square = session
        .call_graph(squared, std::slice::from_ref(&x))
        .remove(0);
    let product = session.apply(ScalarOp::Mul, &[&square, &x]);
    let difference = session.call_graph(swapped, &[x.clone(), product]).remove(0);
    let again = session
        .call_graph(plain, &[difference, x.clone()])
        .remove(0);
    let third = session.apply(ScalarOp::Sub, &[&again, &x]);
    // x³ - x - x - x
    let (found, _) = backward(&third);
    assert_eq!(found.of("x"), Some(27.0 - 3.0));
    assert!(matches!(third.key, ValueKey::Input(_)));
}
