//! One pass id for two derivatives would make two tangents one, silently.

use std::collections::HashMap;
use std::sync::Arc;

use tidu::eager::{EagerInput, RecordedGraph, Recorder, try_backward};
use tidu::graph::{GraphBuilder, OperationRole, ValueKey, ValueRef, resolve};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{ADKey, ADRuleError, ADRuleKind, DiffPassId, linearize};

use crate::support::{KeyEvaluator, Names, Point, Problem, Runtime, Sketch, assert_exactly};

/// x·x·y at (2, 3)
fn problem() -> Problem<ScalarOp> {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let xx = f.apply(ScalarOp::Mul, [x, x]);
    let xxy = f.apply(ScalarOp::Mul, [xx, y]);
    f.returning([xxy]).at(&[2.0, 3.0])
}

#[track_caller]
fn assert_reused(problem: &Problem<ScalarOp>, pass: DiffPassId) {
    let error = problem.try_linearize(pass).unwrap_err();
    assert!(
        matches!(error, ADRuleError::PassReused { pass: found, .. } if found == pass),
        "{error:?}"
    );
    assert_eq!(error.rule(), ADRuleKind::Jvp);
    let text = error.to_string();
    assert!(text.contains(&format!("pass {pass} is in use")), "{text}");
    assert!(text.contains("x") || text.contains("y"), "{text}");
}

#[test]
fn forward_over_forward() {
    assert_reused(&problem().forward(&[1.0, 0.0]), 1);
}

#[test]
fn forward_or_reverse_over_reverse() {
    // A reverse derivative begins by linearizing too, so one error serves both.
    assert_reused(&problem().reverse(&[1.0]), 1);
}

#[test]
fn over_a_transposed_graph_without_its_linear_graph() {
    let mut gradient = problem().reverse(&[1.0]);
    let linear = gradient.roots.len() - 2;
    gradient.roots.remove(linear);
    assert_reused(&gradient, 1);
    assert_exactly(&gradient.forward(&[5.0, 7.0]).evaluate(), &[58.0, 20.0]);
}

#[test]
fn over_two_orders() {
    let second = problem().forward(&[1.0, 0.0]).reverse(&[1.0]);
    assert_reused(&second, 1);
    assert_reused(&second, 2);
    assert!(second.try_linearize(3).is_ok());
    assert!(second.try_linearize(0).is_ok());
}

#[test]
fn by_some_of_the_inputs() {
    let gradient = problem().reverse(&[1.0]);
    assert_reused(&gradient.clone().wrt(["y"]), 1);
    assert_reused(&gradient.wrt(["y", "x"]), 1);
    let by_y = problem().wrt(["y"]).forward(&[1.0]);
    assert_reused(&by_y.wrt(["x", "y"]), 1);
}

#[test]
fn through_parents_only() {
    let mut tangent = problem().forward(&[1.0, 0.0]);
    tangent.roots.drain(..tangent.roots.len() - 1);
    assert_reused(&tangent, 1);
}

#[test]
fn passes_may_come_in_any_order() {
    let problem = problem();
    for [first, second] in [[1, 2], [2, 1], [0, 1], [7, (1 << 63) - 1]] {
        let linear = problem.try_linearize(first).unwrap();
        let mut tangent = problem.clone();
        let output = linear.as_graph().values()[linear.tangent_outputs()[0].unwrap()]
            .key
            .clone();
        tangent.outputs = vec![Some(output)];
        tangent.roots.push(Arc::new(linear.into_graph()));
        assert_reused(&tangent, first);
        assert!(tangent.try_linearize(second).is_ok());
    }
}

#[test]
fn the_reserved_range() {
    for pass in [1 << 63, (1 << 63) + 1, DiffPassId::MAX] {
        let error = problem().try_linearize(pass).unwrap_err();
        assert_eq!(error, ADRuleError::ReservedPass { pass });
        assert_eq!(error.rule(), ADRuleKind::Jvp);
    }
    assert!(problem().try_linearize((1 << 63) - 1).is_ok());
}

#[test]
fn an_input_listed_twice() {
    let error = problem().wrt(["x", "y", "x"]).try_linearize(1).unwrap_err();
    assert!(
        matches!(&error, ADRuleError::RepeatedInput { position: 2, key } if key == "x"),
        "{error:?}"
    );
}

#[test]
#[should_panic(expected = "pass 1 is in use")]
fn the_short_form_says_the_same() {
    let tangent = problem().forward(&[1.0, 0.0]);
    let view = resolve(tangent.roots.clone());
    let outputs: Vec<_> = tangent.outputs.iter().flatten().cloned().collect();
    linearize(&view, &outputs, &tangent.wrt, 1, &mut (), &HashMap::new());
}

/// A recorded call that itself works on tangents, x²·d₀·d₁·…: going backward takes a pass of its own.
#[test]
fn eager_calls_that_hold_tangents() {
    for passes in 0..3 {
        let x = ScalarKey::from("x");
        let tangents = (0..passes).map(|pass| x.tangent_of(pass));
        let names: Vec<ScalarKey> = std::iter::once(x.clone()).chain(tangents).collect();
        let mut builder = GraphBuilder::<ScalarOp>::new();
        let locals = names.iter().map(|name| builder.add_input(name.clone()));
        let locals: Vec<_> = locals.collect();
        let mut multiply = |a, b| {
            let operands = vec![ValueRef::Local(a), ValueRef::Local(b)];
            builder.add_operation(ScalarOp::Mul, operands, OperationRole::Primary)[0]
        };
        let square = multiply(locals[0], locals[0]);
        let y = locals[1..].iter().fold(square, |y, &d| multiply(y, d));
        builder.set_outputs(vec![y]);
        let graph = Arc::new(builder.build());

        let value = |i: usize| if i == 0 { 3.0 } else { 2.0 };
        let leaf = |i: usize| EagerInput {
            key: ValueKey::Input(ScalarKey::fresh(1000 + i as u64)),
            trace: None,
            requires_grad: true,
            data: Arc::new(value(i)),
        };
        let leaves: Vec<EagerInput<ScalarOp>> = (0..names.len()).map(leaf).collect();
        let keys = names.iter().cloned().map(ValueKey::Input);
        let point: Point<ScalarOp> = keys.zip((0..names.len()).map(value)).collect();
        let mut evaluator = KeyEvaluator::new(&point);
        let keys = graph.values().iter().map(|node| node.key.clone());
        let retained: HashMap<_, _> = keys
            .map(|key| (key.clone(), Arc::new(evaluator.value(&key))))
            .collect();

        let output = graph.values()[y].key.clone();
        let result = Arc::clone(&retained[&output]);
        let call = RecordedGraph::new(graph, names, vec![output]);
        let mut recorder = Recorder::new(Names::default());
        let y = recorder.record_graph(call, &leaves, &[result], retained);
        let (key, trace) = (&y[0].key, y[0].trace.as_ref());
        let gradient = try_backward(key, trace, Arc::new(1.0), &mut Runtime, &mut ()).unwrap();
        let twos = 2.0_f64.powi(passes as i32);
        assert_eq!(*gradient[&leaves[0].key], 6.0 * twos);
        for leaf in &leaves[1..] {
            assert_eq!(*gradient[&leaf.key], 9.0 * twos / 2.0);
        }
    }
}
