//! Evaluation copies no operand and keeps none longer than it is needed; going backward returns the
//! gradients of leaves and nothing else.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use tidu::eager::{EagerInput, KeySource, RecordedGraph, Recorder, try_backward};
use tidu::graph::{
    EvaluableGraphOperation, GraphBuilder, GraphOperation, OperationRole, ValueKey, ValueRef,
    compile, materialize_merge, resolve,
};
use tidu::scalar::{ScalarKey, ScalarOp};

use crate::support::{Names, Runtime, input};

thread_local! {
    static COPIES: Cell<usize> = const { Cell::new(0) };
    static ALIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// A number that counts its copies and those alive, on this thread.
struct Counted(f64);

impl Counted {
    fn new(value: f64) -> Self {
        ALIVE.set(ALIVE.get() + 1);
        PEAK.set(PEAK.get().max(ALIVE.get()));
        Self(value)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        COPIES.set(COPIES.get() + 1);
        Self::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.set(ALIVE.get() - 1);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    /// (x, 1)
    WithOne,
}

impl GraphOperation for Op {
    type Operand = Counted;
    type Context = ();
    type InputKey = &'static str;

    fn input_count(&self) -> usize {
        match self {
            Op::Add => 2,
            Op::WithOne => 1,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Op::Add => 1,
            Op::WithOne => 2,
        }
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _ctx: &mut (), inputs: &[&Counted]) -> Vec<Counted> {
        match self {
            Op::Add => vec![Counted::new(inputs[0].0 + inputs[1].0)],
            Op::WithOne => vec![Counted::new(inputs[0].0), Counted::new(1.0)],
        }
    }
}

struct Measured {
    results: Vec<f64>,
    copies: usize,
    /// Alive at once, beyond the inputs.
    peak: usize,
}

/// Evaluates a graph of one input, which is 1.
fn measure(build: impl FnOnce(&mut GraphBuilder<Op>, usize) -> Vec<usize>) -> Measured {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input("x");
    let outputs = build(&mut builder, x);
    let keys: Vec<_> = outputs
        .iter()
        .map(|&id| builder.global_key(id).clone())
        .collect();
    let view = resolve(vec![Arc::new(builder.build())]);
    let program = compile(&materialize_merge(&view, &keys));

    let x = Counted::new(1.0);
    COPIES.set(0);
    PEAK.set(ALIVE.get());
    let before = ALIVE.get();
    let inputs = vec![&x; program.input_slots.len()];
    let results = program.eval(&mut (), &inputs);
    assert_eq!(
        ALIVE.get(),
        before + results.len(),
        "only the results survive"
    );
    Measured {
        results: results.iter().map(|value| value.0).collect(),
        copies: COPIES.get(),
        peak: PEAK.get() - before,
    }
}

fn add(builder: &mut GraphBuilder<Op>, a: usize, b: usize) -> usize {
    let operands = vec![ValueRef::Local(a), ValueRef::Local(b)];
    builder.add_operation(Op::Add, operands, OperationRole::Primary)[0]
}

#[test]
fn a_chain_keeps_two_operands() {
    let chain =
        |builder: &mut GraphBuilder<Op>, x| vec![(0..50).fold(x, |y, _| add(builder, y, x))];
    let found = measure(chain);
    assert_eq!(
        (found.results, found.copies, found.peak),
        (vec![51.0], 0, 2)
    );
}

#[test]
fn doubling_keeps_two_operands() {
    let found = measure(|builder, x| vec![(0..50).fold(x, |y, _| add(builder, y, y))]);
    assert_eq!(
        (found.results, found.copies, found.peak),
        (vec![2.0_f64.powi(50)], 0, 2)
    );
}

#[test]
fn results_that_nothing_uses_are_not_kept() {
    let found = measure(|builder, x| {
        let step = |builder: &mut GraphBuilder<Op>, y| {
            let operand = vec![ValueRef::Local(y)];
            builder.add_operation(Op::WithOne, operand, OperationRole::Primary)[0]
        };
        vec![(0..50).fold(x, |y, _| step(builder, y))]
    });
    assert_eq!((found.results, found.copies, found.peak), (vec![1.0], 0, 3));
}

#[test]
fn outputs_are_kept_and_copied_only_when_asked_for_twice() {
    let found = measure(|builder, x| {
        let two = add(builder, x, x);
        let three = add(builder, two, x);
        let four = add(builder, three, x);
        vec![two, four, two, x]
    });
    // One copy of `two`, and one of the caller's x.
    assert_eq!((found.results, found.copies), (vec![2.0, 4.0, 2.0, 1.0], 2));
}

/// y = ((x·k)·k)·… : the gradient is that of x alone, whatever lies between, and not that of k.
#[test]
fn backward_returns_leaves_only() {
    let mut recorder = Recorder::new(Names::default());
    let leaf = |name: &str, value, requires_grad| EagerInput::<ScalarOp> {
        key: input(name),
        trace: None,
        requires_grad,
        data: Arc::new(value),
    };
    let x = leaf("x", 3.0, true);
    let k = leaf("k", 2.0, false);
    let unused = leaf("unused", 2.0, true);
    let mut y = x.clone();
    let mut multiply = |a: &EagerInput<ScalarOp>, b: &EagerInput<ScalarOp>| {
        let keys = recorder.fresh_input_keys::<ScalarOp>(2);
        let call = RecordedGraph::from_primitive(ScalarOp::Mul, keys);
        let data = Arc::new(*a.data * *b.data);
        let inputs = [a.clone(), b.clone()];
        let results = [Arc::clone(&data)];
        let output = recorder
            .record_graph(call, &inputs, &results, HashMap::new())
            .remove(0);
        EagerInput {
            key: output.key,
            trace: output.trace,
            requires_grad: output.requires_grad,
            data,
        }
    };
    for _ in 0..10 {
        y = multiply(&y, &k);
    }
    multiply(&y, &unused);
    let kk = multiply(&k, &k);
    assert!(kk.trace.is_none() && !kk.requires_grad);

    let backward = |of: &EagerInput<ScalarOp>| {
        let seed = Arc::new(1.0);
        try_backward(&of.key, of.trace.as_ref(), seed, &mut Runtime, &mut ()).unwrap()
    };
    let gradient = |of| {
        let gradient = backward(of).into_iter();
        gradient
            .map(|(key, value)| (key, *value))
            .collect::<Vec<_>>()
    };
    assert_eq!(gradient(&y), [(input("x"), 1024.0)]);
    // A leaf is its own gradient.
    assert_eq!(gradient(&x), [(input("x"), 1.0)]);
    // y² twice over: one accumulator a leaf.
    let square = multiply(&y, &y);
    let both = multiply(&square, &x);
    assert_eq!(gradient(&both), [(input("x"), 3.0 * 9.0 * 1024.0 * 1024.0)]);
}

/// Names are given out by the caller's source, one an input or output and no more.
#[test]
fn recording_takes_one_name_an_output() {
    let mut recorder = Recorder::new(Names::default());
    let keys = recorder.fresh_input_keys::<ScalarOp>(1);
    let call = RecordedGraph::from_primitive(ScalarOp::SinCos, keys);
    let x = EagerInput {
        key: input("x"),
        trace: None,
        requires_grad: true,
        data: Arc::new(0.0),
    };
    let outputs =
        recorder.record_graph(call, &[x], &[Arc::new(0.0), Arc::new(1.0)], HashMap::new());
    let next: ScalarKey = KeySource::<ScalarOp>::fresh_input_key(recorder.key_source_mut());
    assert_eq!(next, ScalarKey::fresh(4));
    let key = |number| ValueKey::Input(ScalarKey::fresh(number));
    assert_eq!([&outputs[0].key, &outputs[1].key], [&key(2), &key(3)]);
    assert_eq!([outputs[0].output_slot, outputs[1].output_slot], [0, 1]);
}
