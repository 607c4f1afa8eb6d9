//! What the tests of this crate share: an executor for any operation set that can be evaluated,
//! names, and a front end that records as it computes.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

use std::collections::HashMap;
use std::sync::Arc;

use tidu_ad::{
    ADRuleResult, LinearizedGraph, Primitive, PrimitiveBuilder, PrimitiveGraph, PrimitiveValue,
    try_linear_transpose_with_builder,
};
use tidu_eager::{
    BackwardExecutor, EagerInput, EagerOutput, KeySource, RecordedGraph, Recorder, Trace,
    try_backward,
};
use tidu_graph::{
    EvaluableGraphOperation, GraphBuilder, LocalValueId, OperationRole, ValueKey, ValueRef,
};
use tidu_scalar::{ScalarKey, ScalarOp};
pub use tidu_testkit::{apply, on_small_stack, output_keys, panic_text};

pub type Values<Op> = HashMap<ValueKey<Op>, Arc<<Op as tidu_graph::GraphOperation>::Operand>>;

/// Computes the graphs of an operation set with its own `eval`, and counts what it is asked.
pub struct Executor<Op: EvaluableGraphOperation> {
    pub context: Op::Context,
    /// What tangent inputs are filled with.
    pub zero: Op::Operand,
    pub forward_calls: usize,
    pub transpose_calls: usize,
    pub additions: usize,
    /// What is added to the number of cotangents that are returned.
    pub surplus: isize,
    /// The number of operations of each linear graph that was run, in order.
    pub sizes: Vec<usize>,
}

impl Executor<ScalarOp> {
    pub fn new() -> Self {
        Self {
            context: (),
            zero: 0.0,
            forward_calls: 0,
            transpose_calls: 0,
            additions: 0,
            surplus: 0,
            sizes: Vec::new(),
        }
    }
}

impl<Op: EvaluableGraphOperation + Primitive> Executor<Op> {
    fn eval_one(&mut self, op: &Op, operands: &[Arc<Op::Operand>]) -> Vec<Arc<Op::Operand>> {
        let operands: Vec<&Op::Operand> = operands.iter().map(|operand| &**operand).collect();
        let results = op.eval(&mut self.context, &operands);
        results.into_iter().map(Arc::new).collect()
    }
}

impl<Op: EvaluableGraphOperation + Primitive> BackwardExecutor<Op> for Executor<Op> {
    fn execute_forward(
        &mut self,
        graph: PrimitiveGraph<'_, Op>,
        initial_data: &Values<Op>,
    ) -> Values<Op> {
        self.forward_calls += 1;
        let graph = graph.as_graph();
        let mut values = initial_data.clone();
        for &id in graph.inputs() {
            let zero = Arc::new(self.zero.clone());
            values.entry(graph.values()[id].key.clone()).or_insert(zero);
        }
        for node in graph.operations() {
            let operands: Vec<_> = node
                .inputs
                .iter()
                .map(|operand| match operand {
                    ValueRef::Local(id) => Arc::clone(&values[&graph.values()[*id].key]),
                    ValueRef::External(key) => Arc::clone(&values[key]),
                })
                .collect();
            let results = self.eval_one(&node.operation, &operands);
            for (&id, result) in node.outputs.iter().zip(results) {
                values.insert(graph.values()[id].key.clone(), result);
            }
        }
        values
    }

    fn run_transposed_linear(
        &mut self,
        linear: &LinearizedGraph<Op>,
        cotangent_out: &[Option<Arc<Op::Operand>>],
        external_data: &Values<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Vec<Option<Arc<Op::Operand>>>> {
        self.transpose_calls += 1;
        self.sizes.push(linear.as_graph().operations().len());
        let mut runtime = Runtime {
            executor: self,
            locals: Vec::new(),
            external_data,
        };
        let seeds: Vec<_> = cotangent_out
            .iter()
            .map(|seed| seed.as_ref().map(|seed| runtime.push(Arc::clone(seed))))
            .collect();
        let ids = try_linear_transpose_with_builder(linear, &mut runtime, &seeds, ctx)?;
        let found = |id: Option<LocalValueId>| id.map(|id| Arc::clone(&runtime.locals[id]));
        let mut cotangents: Vec<_> = ids.into_iter().map(found).collect();
        let surplus = self.surplus;
        cotangents.resize(cotangents.len().saturating_add_signed(surplus), None);
        Ok(cotangents)
    }

    fn add_operands(&mut self, a: &Arc<Op::Operand>, b: &Arc<Op::Operand>) -> Arc<Op::Operand> {
        self.additions += 1;
        let operands = [Arc::clone(a), Arc::clone(b)];
        self.eval_one(&Op::add(), &operands).remove(0)
    }
}

/// A builder that computes what it is given.
struct Runtime<'a, Op: EvaluableGraphOperation> {
    executor: &'a mut Executor<Op>,
    locals: Vec<Arc<Op::Operand>>,
    external_data: &'a Values<Op>,
}

impl<Op: EvaluableGraphOperation> Runtime<'_, Op> {
    fn push(&mut self, operand: Arc<Op::Operand>) -> LocalValueId {
        self.locals.push(operand);
        self.locals.len() - 1
    }
}

impl<Op: EvaluableGraphOperation + Primitive> PrimitiveBuilder<Op> for Runtime<'_, Op> {
    fn add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        _role: OperationRole,
    ) -> Vec<LocalValueId> {
        let operands: Vec<_> = inputs
            .iter()
            .map(|operand| match operand {
                PrimitiveValue::Local(id) => Arc::clone(&self.locals[*id]),
                PrimitiveValue::External(key) => Arc::clone(&self.external_data[key]),
            })
            .collect();
        let results = self.executor.eval_one(&op, &operands);
        results
            .into_iter()
            .map(|result| self.push(result))
            .collect()
    }
}

/// Names from a counter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names(pub u64);

impl KeySource<ScalarOp> for Names {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}

pub fn named(name: &str) -> ValueKey<ScalarOp> {
    ValueKey::Input(ScalarKey::from(name))
}

/// A value that no call produced.
pub fn leaf(name: &str, value: f64) -> EagerInput<ScalarOp> {
    EagerInput {
        key: named(name),
        trace: None,
        requires_grad: true,
        data: Arc::new(value),
    }
}

/// The same value, through which no gradient flows.
pub fn detached(value: &EagerInput<ScalarOp>) -> EagerInput<ScalarOp> {
    EagerInput {
        requires_grad: false,
        ..value.clone()
    }
}

/// Computes at once, and records.
#[derive(Default)]
pub struct Session {
    pub recorder: Recorder<Names>,
}

impl Session {
    /// Calls a primitive; every result is retained.
    pub fn call(
        &mut self,
        op: ScalarOp,
        inputs: &[EagerInput<ScalarOp>],
    ) -> Vec<EagerInput<ScalarOp>> {
        let keys = self.recorder.fresh_input_keys::<ScalarOp>(inputs.len());
        self.call_graph(RecordedGraph::from_primitive(op, keys), inputs)
    }

    /// Calls a primitive of one result.
    pub fn apply(
        &mut self,
        op: ScalarOp,
        inputs: &[&EagerInput<ScalarOp>],
    ) -> EagerInput<ScalarOp> {
        let inputs: Vec<_> = inputs.iter().copied().cloned().collect();
        self.call(op, &inputs).remove(0)
    }

    /// Calls a graph as one node; every value of it is retained.
    pub fn call_graph(
        &mut self,
        graph: RecordedGraph<ScalarOp>,
        inputs: &[EagerInput<ScalarOp>],
    ) -> Vec<EagerInput<ScalarOp>> {
        let keys = graph.input_keys().iter().cloned().map(ValueKey::Input);
        let data = inputs.iter().map(|input| Arc::clone(&input.data));
        let whole = PrimitiveGraph::new(graph.as_graph());
        let values = Executor::new().execute_forward(whole, &keys.zip(data).collect());
        let data: Vec<_> = graph
            .output_keys()
            .iter()
            .map(|key| Arc::clone(&values[key]))
            .collect();
        let outputs = self.recorder.record_graph(graph, inputs, &data, values);
        outputs
            .into_iter()
            .zip(data)
            .map(|(output, data)| as_input(output, data))
            .collect()
    }
}

pub fn as_input(output: EagerOutput<ScalarOp>, data: Arc<f64>) -> EagerInput<ScalarOp> {
    EagerInput {
        key: output.key,
        trace: output.trace,
        requires_grad: output.requires_grad,
        data,
    }
}

/// A graph to be recorded as one node: what `build` makes of this many inputs, named from `prefix`.
pub fn composite(
    prefix: &str,
    inputs: usize,
    build: impl FnOnce(&mut GraphBuilder<ScalarOp>, &[LocalValueId]) -> Vec<LocalValueId>,
) -> RecordedGraph<ScalarOp> {
    let keys: Vec<ScalarKey> = (0..inputs)
        .map(|i| ScalarKey::from(format!("{prefix}{i}")))
        .collect();
    let mut builder = GraphBuilder::new();
    let ids: Vec<_> = keys
        .iter()
        .map(|key| builder.add_input(key.clone()))
        .collect();
    let outputs = build(&mut builder, &ids);
    builder.set_outputs(outputs);
    let graph = builder.build();
    let output_keys = output_keys(&graph);
    RecordedGraph::new(Arc::new(graph), keys, output_keys)
}

/// The gradients of a value with seed 1, and the executor that computed them.
pub fn backward(value: &EagerInput<ScalarOp>) -> (Gradients, Executor<ScalarOp>) {
    let mut executor = Executor::new();
    let trace: Option<&Trace<ScalarOp>> = value.trace.as_ref();
    let seed = Arc::new(1.0);
    let result = try_backward(&value.key, trace, seed, &mut executor, &mut ());
    (Gradients(result.expect("nothing is wrong")), executor)
}

pub struct Gradients(pub Values<ScalarOp>);

impl Gradients {
    /// The gradient of a leaf, if it has one.
    pub fn of(&self, name: &str) -> Option<f64> {
        self.0.get(&named(name)).map(|value| **value)
    }

    /// The names of the leaves that have one.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.keys().map(|key| format!("{key:?}")).collect();
        names.sort();
        names
    }
}
