//! Recording and going backward: the right gradients, of the right leaves, with each call visited
//! once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{
    Executor, Names, Session, apply, as_input, backward, composite, detached, leaf, named,
    output_keys,
};
use tidu_ad::ADKey;
use tidu_eager::{EagerInput, RecordedGraph, Recorder, try_backward};
use tidu_graph::{GraphBuilder, ValueKey};
use tidu_scalar::{ScalarKey, ScalarOp};

#[track_caller]
fn assert_close(found: Option<f64>, expected: f64) {
    let found = found.expect("the leaf has a gradient");
    let error = (found - expected).abs();
    assert!(error <= 1e-14 * expected.abs(), "{found}, not {expected}");
}

#[test]
fn the_square_of_three() {
    let mut session = Session::default();
    let x = leaf("x", 3.0);
    let y = session.apply(ScalarOp::Mul, &[&x, &x]);
    assert_eq!(*y.data, 9.0);
    let (gradients, executor) = backward(&y);
    assert_eq!(gradients.of("x"), Some(6.0));
    assert_eq!(gradients.names(), ["Input(x)"]);
    assert_eq!((executor.forward_calls, executor.transpose_calls), (1, 1));
}

#[test]
fn several_calls_in_a_row() {
    // ln(sin(x·y))
    let mut session = Session::default();
    let (x, y) = (leaf("x", 0.7), leaf("y", 1.9));
    let product = session.apply(ScalarOp::Mul, &[&x, &y]);
    let sin = session.apply(ScalarOp::Sin, &[&product]);
    let ln = session.apply(ScalarOp::Ln, &[&sin]);
    let (gradients, executor) = backward(&ln);
    let cotangent = (0.7_f64 * 1.9).tan().recip();
    assert_close(gradients.of("x"), 1.9 * cotangent);
    assert_close(gradients.of("y"), 0.7 * cotangent);
    assert_eq!(executor.forward_calls, 3);
}

#[test]
fn the_seed_scales_the_gradient() {
    let mut session = Session::default();
    let x = leaf("x", 0.5);
    let y = session.apply(ScalarOp::Exp, &[&x]);
    let mut executor = Executor::new();
    let trace = y.trace.as_ref();
    let result = try_backward(&y.key, trace, Arc::new(-3.0), &mut executor, &mut ());
    let gradient = *result.expect("nothing is wrong")[&named("x")];
    assert_close(Some(gradient), -3.0 * 0.5_f64.exp());
}

#[test]
fn a_value_that_fans_out_adds_up() {
    // u = eˣ; u·sin u + u
    let mut session = Session::default();
    let x = leaf("x", 0.3);
    let u = session.apply(ScalarOp::Exp, &[&x]);
    let sin = session.apply(ScalarOp::Sin, &[&u]);
    let product = session.apply(ScalarOp::Mul, &[&u, &sin]);
    let sum = session.apply(ScalarOp::Add, &[&product, &u]);
    let (gradients, executor) = backward(&sum);
    let u = 0.3_f64.exp();
    assert_close(gradients.of("x"), u * (u.sin() + u * u.cos() + 1.0));
    // u has three users.
    assert_eq!((executor.forward_calls, executor.additions), (4, 2));
}

#[test]
fn a_leaf_of_several_calls_adds_up() {
    let mut session = Session::default();
    let x = leaf("x", 2.0);
    let square = session.apply(ScalarOp::Mul, &[&x, &x]);
    let cube = session.apply(ScalarOp::Mul, &[&square, &x]);
    let sum = session.apply(ScalarOp::Add, &[&cube, &x]);
    assert_eq!(backward(&sum).0.of("x"), Some(13.0));
}

#[test]
fn any_subset_of_the_results_of_a_call() {
    for (by_sin, by_cos) in [(false, true), (true, false), (true, true)] {
        let mut session = Session::default();
        let x = leaf("x", 0.4);
        let both = session.call(ScalarOp::SinCos, std::slice::from_ref(&x));
        let y = match (by_sin, by_cos) {
            (true, true) => session.apply(ScalarOp::Mul, &[&both[0], &both[1]]),
            (true, false) => session.apply(ScalarOp::Exp, &[&both[0]]),
            _ => session.apply(ScalarOp::Exp, &[&both[1]]),
        };
        let (sin, cos) = 0.4_f64.sin_cos();
        let expected = match (by_sin, by_cos) {
            (true, true) => cos * cos - sin * sin,
            (true, false) => cos * sin.exp(),
            _ => -sin * cos.exp(),
        };
        let (gradients, executor) = backward(&y);
        let gradient = gradients.of("x").expect("x has a gradient");
        assert!((gradient - expected).abs() < 1e-14);
        assert_eq!(executor.forward_calls, 2);
    }
}

#[test]
fn a_result_may_be_differentiated_itself() {
    let mut session = Session::default();
    let x = leaf("x", 0.4);
    let both = session.call(ScalarOp::SinCos, std::slice::from_ref(&x));
    assert_close(backward(&both[0]).0.of("x"), 0.4_f64.cos());
    assert_close(backward(&both[1]).0.of("x"), -0.4_f64.sin());
}

#[test]
fn a_composite_graph_is_one_node() {
    // (a·b, sin(a·b), a)
    let graph = composite("p", 2, |b, p| {
        let product = apply(b, ScalarOp::Mul, p)[0];
        vec![product, apply(b, ScalarOp::Sin, &[product])[0], p[0]]
    });
    let mut session = Session::default();
    let (x, y) = (leaf("x", 0.6), leaf("y", -1.1));
    let outputs = session.call_graph(graph, &[x, y]);
    let slots: Vec<f64> = outputs.iter().map(|output| *output.data).collect();
    assert_eq!(slots, [-0.66, (-0.66_f64).sin(), 0.6]);
    let (gradients, executor) = backward(&outputs[1]);
    assert_close(gradients.of("x"), -1.1 * 0.66_f64.cos());
    assert_close(gradients.of("y"), 0.6 * 0.66_f64.cos());
    assert_eq!(executor.forward_calls, 1);
    // A result that is an input, and does not depend on the other.
    let (gradients, _) = backward(&outputs[2]);
    assert_eq!(gradients.of("x"), Some(1.0));
    assert_eq!(gradients.names(), ["Input(x)"]);

    // All three together.
    let sum = session.apply(ScalarOp::Add, &[&outputs[0], &outputs[1]]);
    let sum = session.apply(ScalarOp::Add, &[&sum, &outputs[2]]);
    let (gradients, executor) = backward(&sum);
    let slope = 1.0 + 0.66_f64.cos();
    assert_close(gradients.of("x"), -1.1 * slope + 1.0);
    assert_close(gradients.of("y"), 0.6 * slope);
    assert_eq!(executor.forward_calls, 3);
}

#[test]
fn a_composite_graph_may_repeat_an_output() {
    let graph = composite("p", 1, |b, p| {
        let sin = apply(b, ScalarOp::Sin, p)[0];
        vec![sin, sin]
    });
    let mut session = Session::default();
    let outputs = session.call_graph(graph, &[leaf("x", 0.2)]);
    let three = leaf("three", 3.0);
    let scaled = session.apply(ScalarOp::Mul, &[&outputs[1], &detached(&three)]);
    let sum = session.apply(ScalarOp::Add, &[&outputs[0], &scaled]);
    assert_close(backward(&sum).0.of("x"), 4.0 * 0.2_f64.cos());
}

#[test]
fn an_input_that_requires_no_gradient_gets_none() {
    let mut session = Session::default();
    let (x, c) = (leaf("x", 2.0), detached(&leaf("c", 5.0)));
    let product = session.apply(ScalarOp::Mul, &[&x, &c]);
    let (gradients, executor) = backward(&product);
    assert_eq!(gradients.of("x"), Some(5.0));
    assert_eq!(gradients.names(), ["Input(x)"]);
    // One product: nothing is spent on c.
    assert_eq!(executor.sizes, [1]);
}

#[test]
fn nothing_is_recorded_where_no_gradient_is_required() {
    let mut session = Session::default();
    let c = detached(&leaf("c", 5.0));
    let product = session.apply(ScalarOp::Mul, &[&c, &c]);
    assert!(product.trace.is_none() && !product.requires_grad);
    assert_eq!(*product.data, 25.0);
}

#[test]
fn a_detached_value_keeps_its_trace_but_stops_gradients() {
    // y = x·x; z = y·stop(y)
    let mut session = Session::default();
    let x = leaf("x", 3.0);
    let y = session.apply(ScalarOp::Mul, &[&x, &x]);
    let stopped = detached(&y);
    assert!(stopped.trace.is_some());
    let z = session.apply(ScalarOp::Mul, &[&y, &stopped]);
    assert_eq!(backward(&z).0.of("x"), Some(9.0 * 6.0));
    let w = session.apply(ScalarOp::Add, &[&stopped, &x]);
    let (gradients, executor) = backward(&w);
    assert_eq!(gradients.of("x"), Some(1.0));
    // The call behind the detached value is not visited.
    assert_eq!(executor.forward_calls, 1);
}

#[test]
fn a_shared_history_is_visited_once() {
    let mut session = Session::default();
    let x = leaf("x", 0.1);
    let top = session.apply(ScalarOp::Sin, &[&x]);
    let left = session.apply(ScalarOp::Exp, &[&top]);
    let right = session.apply(ScalarOp::Cos, &[&top]);
    let bottom = session.apply(ScalarOp::Mul, &[&left, &right]);
    let (gradients, executor) = backward(&bottom);
    let sin = 0.1_f64.sin();
    assert_close(
        gradients.of("x"),
        0.1_f64.cos() * sin.exp() * (sin.cos() - sin.sin()),
    );
    assert_eq!((executor.forward_calls, executor.transpose_calls), (4, 4));
}

#[test]
fn only_leaves_are_returned() {
    let mut session = Session::default();
    let (x, y) = (leaf("x", 0.1), leaf("y", 0.2));
    let unused = session.apply(ScalarOp::Exp, &[&leaf("z", 1.0)]);
    assert!(unused.trace.is_some());
    let mut v = session.apply(ScalarOp::Mul, &[&x, &y]);
    for _ in 0..5 {
        v = session.apply(ScalarOp::Sin, &[&v]);
    }
    assert_eq!(backward(&v).0.names(), ["Input(x)", "Input(y)"]);
}

#[test]
fn a_value_without_a_trace_is_its_own_leaf() {
    let x = leaf("x", 3.0);
    let (gradients, executor) = backward(&x);
    assert_eq!(gradients.of("x"), Some(1.0));
    assert_eq!(gradients.names(), ["Input(x)"]);
    assert_eq!(executor.forward_calls, 0);
}

#[test]
fn a_call_without_a_derivative_path_stops_gradients() {
    // The output is a constant of the composite graph.
    let graph = composite("p", 1, |b, _| apply(b, ScalarOp::constant(4.0), &[]));
    let mut session = Session::default();
    let outputs = session.call_graph(graph, &[leaf("x", 1.0)]);
    assert!(outputs[0].requires_grad);
    let (gradients, executor) = backward(&outputs[0]);
    assert_eq!(gradients.names(), [] as [&str; 0]);
    assert_eq!(executor.forward_calls, 0);
}

#[test]
fn a_derived_key_may_name_a_leaf() {
    let mut session = Session::default();
    let key = output_keys(composite("q", 1, |b, q| apply(b, ScalarOp::Exp, q)).as_graph());
    let x = EagerInput {
        key: key[0].clone(),
        ..leaf("x", 3.0)
    };
    let y = session.apply(ScalarOp::Mul, &[&x, &x]);
    assert_eq!(*backward(&y).0.0[&key[0]], 6.0);
}

#[test]
fn a_recorded_graph_may_hold_tangents_of_earlier_passes() {
    // The recorded call is itself a linear graph, with tangents of passes 0 and 1 among its inputs.
    let mut builder = GraphBuilder::new();
    let x = ScalarKey::from("x");
    let keys = [x.clone(), x.tangent_of(0), x.tangent_of(1)];
    let ids: Vec<_> = keys
        .iter()
        .map(|key| builder.add_input(key.clone()))
        .collect();
    let first = apply(&mut builder, ScalarOp::Mul, &ids[..2])[0];
    let second = apply(&mut builder, ScalarOp::Mul, &[first, ids[2]]);
    builder.set_outputs(second);
    let graph = Arc::new(builder.build());
    let outputs = output_keys(&graph);
    let call = RecordedGraph::new(graph, keys.to_vec(), outputs);
    let mut session = Session::default();
    let inputs = [leaf("a", 2.0), leaf("b", 3.0), leaf("c", 5.0)];
    let product = session.call_graph(call, &inputs).remove(0);
    assert_eq!(*product.data, 30.0);
    let (gradients, _) = backward(&product);
    let found = ["a", "b", "c"].map(|name| gradients.of(name));
    assert_eq!(found, [Some(15.0), Some(10.0), Some(6.0)]);
}

#[test]
fn the_recorder_hands_its_names_on() {
    let mut recorder = Recorder::new(Names(10));
    let keys = recorder.fresh_input_keys::<ScalarOp>(2);
    assert_eq!(keys, [ScalarKey::fresh(11), ScalarKey::fresh(12)]);
    assert_eq!(*recorder.key_source_mut(), Names(12));
    let call = RecordedGraph::from_primitive(ScalarOp::Neg, vec![keys[0].clone()]);
    let outputs = recorder.record_graph(call, &[leaf("x", 1.0)], &[Arc::new(-1.0)], HashMap::new());
    assert_eq!(outputs[0].key, ValueKey::Input(ScalarKey::fresh(13)));
    assert_eq!(
        (outputs[0].output_slot, outputs[0].requires_grad),
        (0, true)
    );
    assert_eq!(recorder.into_key_source(), Names(13));
}

#[test]
fn a_trace_keeps_the_inputs_and_what_is_to_be_retained() {
    let mut recorder = Recorder::new(Names::default());
    let keys = recorder.fresh_input_keys::<ScalarOp>(1);
    let call = RecordedGraph::from_primitive(ScalarOp::Exp, keys.clone());
    let result = call.output_keys()[0].clone();
    let data = Arc::new(1.0_f64.exp());
    let retained = HashMap::from([(result.clone(), Arc::clone(&data))]);
    let output = recorder
        .record_graph(call, &[leaf("x", 1.0)], &[Arc::clone(&data)], retained)
        .remove(0);
    let trace = output.trace.clone().expect("x requires a gradient");
    assert_eq!(trace.saved_values().len(), 2);
    assert_eq!(
        *trace.saved_values()[&ValueKey::Input(keys[0].clone())],
        1.0
    );
    assert!(Arc::ptr_eq(&trace.saved_values()[&result], &data));
    assert_eq!(
        format!("{trace:?}"),
        "Trace { call: \"Exp\", saved_values: 2 }"
    );
    let (gradients, _) = backward(&as_input(output, data));
    assert_close(gradients.of("x"), 1.0_f64.exp());
}

#[test]
fn going_backward_twice_gives_the_same_bits() {
    let mut session = Session::default();
    let (x, y) = (leaf("x", 0.3), leaf("y", 0.9));
    let mut v = x;
    for _ in 0..20 {
        let sin = session.apply(ScalarOp::Sin, &[&v]);
        let product = session.apply(ScalarOp::Mul, &[&y, &sin]);
        v = session.apply(ScalarOp::Add, &[&v, &product]);
    }
    let gradient = || {
        let (gradients, _) = backward(&v);
        ["x", "y"].map(|name| gradients.of(name).expect("a leaf").to_bits())
    };
    assert_eq!(gradient(), gradient());
}
