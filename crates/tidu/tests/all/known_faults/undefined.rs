//! What no graph defines is an error, not a constant: a derivative that is silently zero would be
//! the alternative.

use std::collections::HashMap;
use std::f64::consts::E;
use std::sync::Arc;

use tidu::eager::{EagerError, EagerInput, RecordedGraph, Recorder, try_backward};
use tidu::graph::{
    Graph, GraphBuilder, GraphError, OperationRole, ValueKey, ValueRef, resolve,
    try_materialize_merge,
};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{ADRuleError, ADRuleKind, ADRuleResult, LinearizedGraph, try_linearize};

use crate::support::{Layout, Names, Problem, Runtime, Sketch, assert_exactly, input};

type Key = ValueKey<ScalarOp>;

fn linearize(
    roots: &[Arc<Graph<ScalarOp>>],
    outputs: &[Key],
) -> ADRuleResult<LinearizedGraph<ScalarOp>> {
    let view = resolve(roots.to_vec());
    try_linearize(&view, outputs, &["x".into()], 1, &mut (), &HashMap::new())
}

/// Both passes that need the value name its user, the operand and the key.
#[track_caller]
fn assert_undefined(
    roots: &[Arc<Graph<ScalarOp>>],
    outputs: &[Key],
    user: &str,
    at: usize,
    what: &str,
) {
    let expected = GraphError::UndefinedValue {
        operation: user.into(),
        operand: at,
        key: what.into(),
    };
    let materialized = try_materialize_merge(&resolve(roots.to_vec()), outputs);
    assert_eq!(materialized.unwrap_err(), expected);
    let error = linearize(roots, outputs).unwrap_err();
    let rule = ADRuleKind::Jvp;
    let source = expected;
    assert_eq!(error, ADRuleError::Graph { rule, source });
    let text = error.to_string();
    assert!(
        text.contains(&format!("operand {at} of {user} is {what}")),
        "{text}"
    );
}

/// x, over steps in graphs 0, 1, 2, without parents: eˣ, then (sin eˣ, cos eˣ), then x·cos eˣ.
fn three_graphs() -> (Vec<Arc<Graph<ScalarOp>>>, Key) {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(ScalarOp::Exp, [x]);
    let sin = f.apply(ScalarOp::SinCos, [e]);
    let y = f.apply(ScalarOp::Mul, [x, sin + 1]);
    let layout = Layout {
        graph_of: vec![0, 1, 2],
        repeat_inputs: true,
        ..Layout::single()
    };
    let (graphs, keys) = f.graphs(&layout);
    (graphs, keys[y].clone())
}

#[test]
fn an_external_of_a_graph_that_is_not_there() {
    let (graphs, y) = three_graphs();
    assert!(linearize(&graphs, std::slice::from_ref(&y)).is_ok());
    let without = |i: usize| {
        let mut graphs = graphs.clone();
        graphs.remove(i);
        graphs
    };
    let y = [y];
    assert_undefined(&without(0), &y, "SinCos", 0, "output 0 of Exp");
    assert_undefined(&without(1), &y, "Mul", 1, "output 1 of SinCos");
    assert_undefined(&graphs[2..], &y, "Mul", 1, "output 1 of SinCos");
}

#[test]
fn an_external_input_that_no_graph_has() {
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let x = builder.add_input("x".into());
    let operands = vec![ValueRef::Local(x), ValueRef::External(input("z"))];
    let y = builder.add_operation(ScalarOp::Add, operands, OperationRole::Primary)[0];
    let twice = vec![ValueRef::Local(y), ValueRef::Local(y)];
    let z = builder.add_operation(ScalarOp::Mul, twice, OperationRole::Primary)[0];
    let keys = [x, z].map(|id| builder.global_key(id).clone());
    let graph = Arc::new(builder.build());
    assert_undefined(&[graph], &keys, "Add", 1, "input z");
}

/// Also where no tangent comes near it: the value would be missing all the same.
#[test]
fn an_external_off_the_path() {
    let elsewhere = Sketch::<ScalarOp>::new(["q"]);
    let (mut f, [q]) = elsewhere;
    let e = f.apply(ScalarOp::Exp, [q]);
    let (_, keys) = f.graphs(&Layout::single());
    let mut builder = GraphBuilder::<ScalarOp>::new();
    builder.add_input("x".into());
    let operand = vec![ValueRef::External(keys[e].clone())];
    let y = builder.add_operation(ScalarOp::Neg, operand, OperationRole::Primary)[0];
    let y = builder.global_key(y).clone();
    assert_undefined(
        &[Arc::new(builder.build())],
        &[y],
        "Neg",
        0,
        "output 0 of Exp",
    );
}

/// A graph that refers to its own future: the first reader is what misses it.
#[test]
fn a_derivative_of_a_derivative_without_the_primal() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(ScalarOp::Exp, [x]);
    let problem = f.returning([e]).at(&[1.0]);
    let linear = problem.linearize();
    let tangent = linear.as_graph().values()[linear.tangent_outputs()[0].unwrap()]
        .key
        .clone();
    let mut alone = GraphBuilder::<ScalarOp>::new();
    let seed = alone.add_input("seed".into());
    let operands = vec![ValueRef::Local(seed), ValueRef::External(tangent)];
    let y = alone.add_operation(ScalarOp::Mul, operands, OperationRole::Primary)[0];
    let y = alone.global_key(y).clone();
    let roots = [Arc::new(alone.build())];
    assert_undefined(&roots, &[y], "Mul", 1, "output 0 of linearized Mul");
}

/// So that a derivative can be put into a view alone, and nothing is missing.
#[test]
fn derived_graphs_have_the_graphs_they_came_from_as_parents() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(ScalarOp::Exp, [x]);
    let xe = f.apply(ScalarOp::Mul, [x, e]);
    let f = f.returning([xe]);
    for parents in [false, true] {
        let layout = Layout {
            graph_of: vec![0, 1],
            parents,
            ..Layout::single()
        };
        let problem = f.laid_out(&layout, &[1.0]);
        for mut derived in [problem.forward(&[1.0]), problem.reverse(&[1.0])] {
            derived.roots.drain(..derived.roots.len() - 1);
            assert_exactly(&derived.evaluate(), &[2.0 * E]);
            assert_exactly(&derived.forward(&[1.0]).evaluate(), &[3.0 * E]);
        }
    }
}

#[track_caller]
fn assert_unknown_output(problem: &Problem<ScalarOp>, outputs: &[Key], at: usize, what: &str) {
    let expected = GraphError::UnknownOutput {
        position: at,
        key: what.into(),
    };
    let materialized = try_materialize_merge(&problem.view(), outputs);
    assert_eq!(materialized.unwrap_err(), expected);
    let error = linearize(&problem.roots, outputs).unwrap_err();
    let rule = ADRuleKind::Jvp;
    let source = expected;
    assert_eq!(error, ADRuleError::Graph { rule, source });
    let text = error.to_string();
    assert!(text.contains(&format!("output {at}, {what},")), "{text}");
}

#[test]
fn an_output_key_that_the_view_does_not_know() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(ScalarOp::Exp, [x]);
    let problem = f.clone().returning([e]).at(&[1.0]);
    let known = problem.outputs[0].clone().unwrap();
    let sin = f.apply(ScalarOp::SinCos, [e]);
    let (_, keys) = f.graphs(&Layout::single());
    let unknown = keys[sin + 1].clone();
    assert_unknown_output(&problem, &[input("y")], 0, "input y");
    assert_unknown_output(
        &problem,
        &[known.clone(), unknown.clone()],
        1,
        "output 1 of SinCos",
    );
    assert_unknown_output(
        &problem,
        &[known.clone(), input("x"), unknown],
        2,
        "output 1 of SinCos",
    );
    // Something refers to eˣ, but nothing there computes it.
    let (graphs, _) = three_graphs();
    let mut without = problem;
    without.roots = graphs[1..].to_vec();
    assert_unknown_output(&without, &[known], 0, "output 0 of Exp");
}

#[test]
fn an_input_that_nothing_depends_on_is_no_error() {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let e = f.apply(ScalarOp::Exp, [y]);
    let problem = f.returning([e, x]).at(&[1.0, 0.0]).wrt(["nowhere", "y"]);
    assert_eq!(problem.jvp(&[1.0, 2.0]), [Some(2.0), None]);
    assert_eq!(problem.vjp(&[3.0, 5.0]), [None, Some(3.0)]);
    assert_eq!(
        problem.vjp_by_builder(&[Some(3.0), Some(5.0)]),
        [None, Some(3.0)]
    );
    let nothing = problem.wrt([]);
    assert_eq!(nothing.jvp(&[]), [None, None]);
    assert_eq!(nothing.vjp(&[3.0, 5.0]), []);
}

fn leaf(name: &str, value: f64) -> EagerInput<ScalarOp> {
    EagerInput {
        key: input(name),
        trace: None,
        requires_grad: true,
        data: Arc::new(value),
    }
}

#[track_caller]
fn eager_error(error: &ADRuleError) -> &EagerError {
    match error {
        ADRuleError::Runtime { source, .. } => source.downcast_ref().expect("an eager error"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_eager_call_that_refers_to_what_is_not_there() {
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let x = builder.add_input("x".into());
    let operands = vec![ValueRef::Local(x), ValueRef::External(input("z"))];
    let y = builder.add_operation(ScalarOp::Mul, operands, OperationRole::Primary)[0];
    let key = builder.global_key(y).clone();
    builder.set_outputs(vec![y]);
    let call = RecordedGraph::new(Arc::new(builder.build()), vec!["x".into()], vec![key]);
    let mut recorder = Recorder::new(Names::default());
    let retained = HashMap::from([(input("z"), Arc::new(2.0))]);
    let y = recorder.record_graph(call, &[leaf("a", 3.0)], &[Arc::new(6.0)], retained);
    let error = try_backward(
        &y[0].key,
        y[0].trace.as_ref(),
        Arc::new(1.0),
        &mut Runtime,
        &mut (),
    )
    .unwrap_err();
    let source = GraphError::UndefinedValue {
        operation: "Mul".into(),
        operand: 1,
        key: "input z".into(),
    };
    assert_eq!(
        error,
        ADRuleError::Graph {
            rule: ADRuleKind::Jvp,
            source
        }
    );
}

/// eˣ without its result retained.
#[test]
fn an_eager_value_that_was_not_retained() {
    let mut recorder = Recorder::new(Names::default());
    let call = RecordedGraph::from_primitive(ScalarOp::Exp, vec![ScalarKey::from("x")]);
    let y = recorder.record_graph(call, &[leaf("a", 0.0)], &[Arc::new(1.0)], HashMap::new());
    let error = try_backward(
        &y[0].key,
        y[0].trace.as_ref(),
        Arc::new(1.0),
        &mut Runtime,
        &mut (),
    )
    .unwrap_err();
    let expected = EagerError::MissingRetained {
        primitive: "Exp".into(),
        key: "output 0 of Exp".into(),
    };
    assert_eq!(*eager_error(&error), expected);
    assert!(
        error.to_string().contains("going backward through Exp"),
        "{error}"
    );
}

#[test]
fn an_eager_key_that_the_trace_does_not_produce() {
    let mut recorder = Recorder::new(Names::default());
    let call = RecordedGraph::from_primitive(ScalarOp::Neg, vec![ScalarKey::from("x")]);
    let y = recorder.record_graph(
        call.clone(),
        &[leaf("a", 2.0)],
        &[Arc::new(-2.0)],
        HashMap::new(),
    );
    let trace = y[0].trace.as_ref();
    let error = try_backward(&input("q"), trace, Arc::new(1.0), &mut Runtime, &mut ()).unwrap_err();
    let expected = EagerError::KeyNotInTrace {
        key: "input q".into(),
        place: "the value to differentiate".into(),
    };
    assert_eq!(*eager_error(&error), expected);

    let stranger = EagerInput {
        trace: trace.cloned(),
        ..leaf("q", -2.0)
    };
    let error = recorder
        .try_record_graph(call, &[stranger], &[Arc::new(2.0)], HashMap::new())
        .unwrap_err();
    let expected = EagerError::KeyNotInTrace {
        key: "input q".into(),
        place: "input 0".into(),
    };
    assert_eq!(error, expected);
}
