//! Whatever a caller or an executor gets wrong is a typed error that says where, and the short form
//! says the same; nothing is half recorded, and no name is spent.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{
    Executor, Names, Session, apply, as_input, backward, composite, detached, leaf, named,
    output_keys, panic_text,
};
use tidu_ad::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, LinearizedGraph, Primitive,
    PrimitiveBuilder, PrimitiveGraph, PrimitiveValue,
};
use tidu_eager::{
    BackwardExecutor, EagerError, EagerInput, KeySource, RecordedGraph, Recorder, Side,
    try_backward,
};
use tidu_graph::{
    Graph, GraphBuilder, GraphError, GraphOperation, LocalValueId, OperationRole, ValueKey,
};
use tidu_scalar::{ScalarKey, ScalarOp};

/// Asserts that a graph is not taken with these keys, and that the short form says the same.
fn check_keys(
    graph: &Arc<Graph<ScalarOp>>,
    inputs: &[ScalarKey],
    outputs: &[ValueKey<ScalarOp>],
    error: &EagerError,
    text: &str,
) {
    let make = || (Arc::clone(graph), inputs.to_vec(), outputs.to_vec());
    let (a, b, c) = make();
    let result = RecordedGraph::try_new(a, b, c);
    assert_eq!(&result.expect_err("the keys do not fit"), error);
    assert_eq!(error.to_string(), text);
    let (a, b, c) = make();
    assert_eq!(panic_text(|| RecordedGraph::new(a, b, c)), text);
}

/// (x, y) ↦ (x·y, sin(x·y)), with its keys.
fn two_by_two() -> (
    Arc<Graph<ScalarOp>>,
    [ScalarKey; 2],
    Vec<ValueKey<ScalarOp>>,
) {
    let keys = ["x", "y"].map(ScalarKey::from);
    let mut builder = GraphBuilder::new();
    let ids = keys.clone().map(|key| builder.add_input(key));
    let product = apply(&mut builder, ScalarOp::Mul, &ids)[0];
    let sin = apply(&mut builder, ScalarOp::Sin, &[product])[0];
    builder.set_outputs(vec![product, sin]);
    let graph = Arc::new(builder.build());
    let outputs = output_keys(&graph);
    (graph, keys, outputs)
}

#[test]
fn the_wrong_number_of_keys() {
    let (graph, inputs, outputs) = two_by_two();
    check_keys(
        &graph,
        &inputs[..1],
        &outputs,
        &EagerError::WrongKeyCount {
            side: Side::Inputs,
            expected: 2,
            found: 1,
        },
        "the recorded graph has 2 inputs, found 1 keys",
    );
    check_keys(
        &graph,
        &inputs,
        &[outputs.clone(), outputs.clone()].concat(),
        &EagerError::WrongKeyCount {
            side: Side::Outputs,
            expected: 2,
            found: 4,
        },
        "the recorded graph has 2 outputs, found 4 keys",
    );
}

#[test]
fn keys_in_the_wrong_order() {
    let (graph, [x, y], outputs) = two_by_two();
    check_keys(
        &graph,
        &[y.clone(), x.clone()],
        &outputs,
        &EagerError::MismatchedKey {
            side: Side::Inputs,
            position: 0,
            expected: "input x".into(),
            found: "input y".into(),
        },
        "key 0 of the recorded graph's inputs must be input x, found input y",
    );
    let swapped = [outputs[1].clone(), outputs[0].clone()];
    check_keys(
        &graph,
        &[x, y],
        &swapped,
        &EagerError::MismatchedKey {
            side: Side::Outputs,
            position: 0,
            expected: "output 0 of Mul".into(),
            found: "output 0 of Sin".into(),
        },
        "key 0 of the recorded graph's outputs must be output 0 of Mul, found output 0 of Sin",
    );
}

#[test]
fn keys_of_something_else() {
    let (graph, [x, _], outputs) = two_by_two();
    check_keys(
        &graph,
        &[x.clone(), "z".into()],
        &outputs,
        &EagerError::MismatchedKey {
            side: Side::Inputs,
            position: 1,
            expected: "input y".into(),
            found: "input z".into(),
        },
        "key 1 of the recorded graph's inputs must be input y, found input z",
    );
    check_keys(
        &graph,
        &[x, "y".into()],
        &[outputs[0].clone(), named("y")],
        &EagerError::MismatchedKey {
            side: Side::Outputs,
            position: 1,
            expected: "output 0 of Sin".into(),
            found: "input y".into(),
        },
        "key 1 of the recorded graph's outputs must be output 0 of Sin, found input y",
    );
}

#[test]
fn inputs_of_one_name() {
    let mut builder = GraphBuilder::new();
    let names = ["a", "b", "a"].map(ScalarKey::from);
    let ids = names.clone().map(|key| builder.add_input(key));
    let sum = apply(&mut builder, ScalarOp::Add, &ids[1..]);
    builder.set_outputs(sum);
    let graph = Arc::new(builder.build());
    let outputs = output_keys(&graph);
    let error = EagerError::RepeatedInputKey {
        first: 0,
        second: 2,
        key: "a".into(),
    };
    let text = "inputs 0 and 2 of the recorded graph have the same key a";
    check_keys(&graph, &names, &outputs, &error, text);

    let twice = || vec![ScalarKey::from("a"); 2];
    let error = RecordedGraph::try_from_primitive(ScalarOp::Mul, twice());
    assert_eq!(
        error.expect_err("both are called a"),
        EagerError::RepeatedInputKey {
            first: 0,
            second: 1,
            key: "a".into(),
        }
    );
    assert_eq!(
        panic_text(|| RecordedGraph::from_primitive(ScalarOp::Mul, twice())),
        "inputs 0 and 1 of the recorded graph have the same key a"
    );
}

#[test]
fn the_wrong_number_of_keys_for_a_primitive() {
    let key = || vec![ScalarKey::from("a")];
    let error = RecordedGraph::try_from_primitive(ScalarOp::Mul, key());
    assert_eq!(
        error.expect_err("a product has two factors"),
        EagerError::Graph {
            source: GraphError::WrongArity {
                operation: "Mul".into(),
                expected: 2,
                found: 1,
            }
        }
    );
    assert_eq!(
        panic_text(|| RecordedGraph::from_primitive(ScalarOp::Mul, key())),
        "Mul takes 2 operands, found 1"
    );
}

/// Asserts that a call is not recorded, that the short form says the same, and that neither takes a
/// name.
fn check_record(
    graph: &RecordedGraph<ScalarOp>,
    inputs: &[EagerInput<ScalarOp>],
    outputs: &[f64],
    error: &EagerError,
    text: &str,
) {
    let outputs: Vec<_> = outputs.iter().copied().map(Arc::new).collect();
    let mut recorder = Recorder::new(Names(100));
    let result = recorder.try_record_graph(graph.clone(), inputs, &outputs, HashMap::new());
    assert_eq!(&result.expect_err("the call must not be recorded"), error);
    assert_eq!(error.to_string(), text);
    let panic =
        panic_text(|| recorder.record_graph(graph.clone(), inputs, &outputs, HashMap::new()));
    assert_eq!(panic, text);
    assert_eq!(recorder.into_key_source(), Names(100));
}

#[test]
fn the_wrong_number_of_values() {
    let mul = RecordedGraph::from_primitive(ScalarOp::Mul, vec!["a".into(), "b".into()]);
    let x = leaf("x", 2.0);
    let wrong = |side, expected, found| EagerError::WrongValueCount {
        primitive: "Mul".into(),
        side,
        expected,
        found,
    };
    check_record(
        &mul,
        std::slice::from_ref(&x),
        &[4.0],
        &wrong(Side::Inputs, 2, 1),
        "a call of Mul has 2 inputs, found 1 values",
    );
    check_record(
        &mul,
        &[x.clone(), x.clone()],
        &[],
        &wrong(Side::Outputs, 1, 0),
        "a call of Mul has 1 outputs, found 0 values",
    );
    // Also where nothing would be recorded.
    check_record(
        &mul,
        &[detached(&x), detached(&x)],
        &[4.0, 4.0],
        &wrong(Side::Outputs, 1, 2),
        "a call of Mul has 1 outputs, found 2 values",
    );
    let (graph, keys, outputs) = two_by_two();
    let graph = RecordedGraph::new(graph, keys.to_vec(), outputs);
    check_record(
        &graph,
        &[],
        &[4.0, 4.0],
        &EagerError::WrongValueCount {
            primitive: "a graph of 2 operations".into(),
            side: Side::Inputs,
            expected: 2,
            found: 0,
        },
        "a call of a graph of 2 operations has 2 inputs, found 0 values",
    );
}

#[test]
fn an_input_that_its_trace_does_not_produce() {
    let mut session = Session::default();
    let x = leaf("x", 2.0);
    let y = session.apply(ScalarOp::Exp, &[&x]);
    let stranger = EagerInput {
        key: named("stranger"),
        ..y.clone()
    };
    let mul = RecordedGraph::from_primitive(ScalarOp::Mul, vec!["a".into(), "b".into()]);
    check_record(
        &mul,
        &[y, stranger],
        &[1.0],
        &EagerError::KeyNotInTrace {
            key: "input stranger".into(),
            place: "input 1".into(),
        },
        "input stranger (input 1) is not a value that its trace produces",
    );
}

/// Asserts that an error is an eager one, with this text.
#[track_caller]
fn check_eager<T>(result: ADRuleResult<T>, expected: &EagerError, text: &str) {
    let Err(error) = result else {
        panic!("going backward must fail");
    };
    assert_eq!(error.to_string(), text);
    assert_eq!(error.rule(), ADRuleKind::Transpose);
    let ADRuleError::Runtime { source, .. } = &error else {
        panic!("{error:?} is not a runtime's error");
    };
    assert_eq!(source.downcast_ref::<EagerError>(), Some(expected));
    assert_eq!(error, ADRuleError::from(expected.clone()));
}

#[test]
fn an_output_that_its_trace_does_not_produce() {
    let mut session = Session::default();
    let x = leaf("x", 2.0);
    let y = session.apply(ScalarOp::Exp, &[&x]);
    let z = session.apply(ScalarOp::Exp, &[&y]);
    // The leaf, an earlier value, and a stranger.
    for key in [&x.key, &y.key, &named("stranger")] {
        let mut executor = Executor::new();
        let result = try_backward(key, z.trace.as_ref(), Arc::new(1.0), &mut executor, &mut ());
        let ValueKey::Input(name) = key else {
            unreachable!("eager values are named by inputs");
        };
        check_eager(
            result,
            &EagerError::KeyNotInTrace {
                key: format!("input {name}"),
                place: "the value to differentiate".into(),
            },
            &format!(
                "input {name} (the value to differentiate) is not a value that its trace produces"
            ),
        );
        assert_eq!(executor.forward_calls, 0);
    }
}

#[test]
fn a_value_that_was_not_retained() {
    let mut recorder = Recorder::new(Names::default());
    let keys = recorder.fresh_input_keys::<ScalarOp>(1);
    let exp = RecordedGraph::from_primitive(ScalarOp::Exp, keys);
    let data = Arc::new(1.0_f64.exp());
    // The rule of the exponential needs its result.
    let output = recorder
        .record_graph(exp, &[leaf("x", 1.0)], &[Arc::clone(&data)], HashMap::new())
        .remove(0);
    let y = as_input(output, data);
    let mut executor = Executor::new();
    let trace = y.trace.as_ref();
    let result = try_backward(&y.key, trace, Arc::new(1.0), &mut executor, &mut ());
    check_eager(
        result,
        &EagerError::MissingRetained {
            primitive: "Exp".into(),
            key: "output 0 of Exp".into(),
        },
        "going backward through Exp needs output 0 of Exp, which was not retained: \
         pass it to `record_graph` among the retained values",
    );
    assert_eq!((executor.forward_calls, executor.transpose_calls), (0, 0));
}

#[test]
fn an_inner_value_that_was_not_retained() {
    let graph = composite("p", 2, |b, p| {
        let product = apply(b, ScalarOp::Mul, p)[0];
        apply(b, ScalarOp::Sin, &[product])
    });
    let mut recorder = Recorder::new(Names::default());
    let inputs = [leaf("x", 2.0), leaf("y", 3.0)];
    let output = recorder
        .record_graph(graph, &inputs, &[Arc::new(6.0_f64.sin())], HashMap::new())
        .remove(0);
    let mut executor = Executor::new();
    let trace = output.trace.as_ref();
    let result = try_backward(&output.key, trace, Arc::new(1.0), &mut executor, &mut ());
    check_eager(
        result,
        &EagerError::MissingRetained {
            primitive: "a graph of 2 operations".into(),
            key: "output 0 of Mul".into(),
        },
        "going backward through a graph of 2 operations needs output 0 of Mul, \
         which was not retained: pass it to `record_graph` among the retained values",
    );
    assert_eq!(executor.forward_calls, 0);
}

#[test]
fn what_is_not_needed_need_not_be_retained() {
    // A sum needs nothing, a product its inputs, which are always kept.
    let mut recorder = Recorder::new(Names::default());
    let mut v = leaf("x", 3.0);
    for op in [ScalarOp::Mul, ScalarOp::Add] {
        let keys = recorder.fresh_input_keys::<ScalarOp>(2);
        let value = match op {
            ScalarOp::Mul => *v.data * *v.data,
            _ => *v.data + *v.data,
        };
        let call = RecordedGraph::from_primitive(op, keys);
        let inputs = [v.clone(), v];
        let outputs = recorder.record_graph(call, &inputs, &[Arc::new(value)], HashMap::new());
        v = as_input(
            outputs.into_iter().next().expect("one output"),
            Arc::new(value),
        );
    }
    assert_eq!(backward(&v).0.of("x"), Some(12.0));
}

#[test]
fn an_executor_that_returns_the_wrong_number_of_cotangents() {
    let mut session = Session::default();
    let y = session.apply(ScalarOp::Mul, &[&leaf("x", 2.0), &leaf("y", 3.0)]);
    for surplus in [-2, -1, 1] {
        let mut executor = Executor::new();
        executor.surplus = surplus;
        let found = 2_usize.saturating_add_signed(surplus);
        let trace = y.trace.as_ref();
        let result = try_backward(&y.key, trace, Arc::new(1.0), &mut executor, &mut ());
        check_eager(
            result,
            &EagerError::WrongCotangentCount {
                primitive: "Mul".into(),
                expected: 2,
                found,
            },
            &format!("the executor must return 2 cotangents for Mul, found {found}"),
        );
    }
}

/// An operation without rules, named by keys that name every tangent the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Opaque;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Number(u64),
    Tangent,
}

impl ADKey for Key {
    fn tangent_of(&self, _pass: DiffPassId) -> Self {
        Key::Tangent
    }
}

impl GraphOperation for Opaque {
    type Operand = f64;
    type Context = ();
    type InputKey = Key;

    fn input_count(&self) -> usize {
        1
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl Primitive for Opaque {
    type ADContext = ();

    fn add() -> Self {
        Opaque
    }

    fn jvp_rule(
        &self,
        _builder: &mut impl PrimitiveBuilder<Self>,
        _primal_inputs: &[ValueKey<Self>],
        _primal_outputs: &[ValueKey<Self>],
        _tangent_inputs: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        vec![None]
    }

    fn try_jvp_rule(
        &self,
        _builder: &mut impl PrimitiveBuilder<Self>,
        _primal_inputs: &[ValueKey<Self>],
        _primal_outputs: &[ValueKey<Self>],
        _tangent_inputs: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        Err(ADRuleError::unsupported("opaque", ADRuleKind::Jvp))
    }

    fn transpose_rule(
        &self,
        _builder: &mut impl PrimitiveBuilder<Self>,
        _cotangent_outputs: &[Option<LocalValueId>],
        _inputs: &[PrimitiveValue<Self>],
        _role: &OperationRole,
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        vec![None]
    }
}

struct Numbers(u64);

impl KeySource<Opaque> for Numbers {
    fn fresh_input_key(&mut self) -> Key {
        self.0 += 1;
        Key::Number(self.0)
    }
}

/// An executor that must not be called.
struct Idle;

impl BackwardExecutor<Opaque> for Idle {
    fn execute_forward(
        &mut self,
        _graph: PrimitiveGraph<'_, Opaque>,
        _initial_data: &crate::support::Values<Opaque>,
    ) -> crate::support::Values<Opaque> {
        unreachable!("there is nothing to execute")
    }

    fn run_transposed_linear(
        &mut self,
        _linear: &LinearizedGraph<Opaque>,
        _cotangent_out: &[Option<Arc<f64>>],
        _external_data: &crate::support::Values<Opaque>,
        _ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<Arc<f64>>>> {
        unreachable!("there is nothing to execute")
    }

    fn add_operands(&mut self, _a: &Arc<f64>, _b: &Arc<f64>) -> Arc<f64> {
        unreachable!("there is nothing to add")
    }
}

/// Goes backward through a call of `Opaque` on an input of this key.
fn backward_through_opaque(key: Key) -> ADRuleResult<crate::support::Values<Opaque>> {
    let mut recorder = Recorder::new(Numbers(0));
    let x = EagerInput {
        key: ValueKey::Input(Key::Number(100)),
        trace: None,
        requires_grad: true,
        data: Arc::new(1.0),
    };
    let call = RecordedGraph::from_primitive(Opaque, vec![key]);
    let outputs = recorder.record_graph(call, &[x], &[Arc::new(1.0)], HashMap::new());
    let trace = outputs[0].trace.as_ref();
    try_backward(&outputs[0].key, trace, Arc::new(1.0), &mut Idle, &mut ())
}

#[test]
fn a_missing_rule_is_reported_as_such() {
    let result = backward_through_opaque(Key::Number(1));
    assert_eq!(
        result.expect_err("there is no rule"),
        ADRuleError::unsupported("opaque", ADRuleKind::Jvp)
    );
}

#[test]
fn a_key_type_that_leaves_no_pass_free() {
    // Every pass names the tangent like the input; looking for another must come to an end.
    let result = backward_through_opaque(Key::Tangent);
    assert!(
        matches!(result, Err(ADRuleError::PassReused { .. })),
        "{result:?}"
    );
}
