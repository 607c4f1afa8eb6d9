//! The eager path: a runtime that records, and an executor for going backward.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tidu::eager::{
    BackwardExecutor, EagerInput, KeySource, RecordedGraph, Recorder, Trace, try_backward,
};
use tidu::graph::{GraphBuilder, GraphOperation, OperationRole, ValueKey, ValueRef};
use tidu::{ADRuleResult, LinearizedGraph, PrimitiveGraph, try_linear_transpose_with_builder};

use super::interpreter::Interpreter;
use super::sketch::Sketch;
use super::{TestKey, TestOp};

type Values<Op> = HashMap<ValueKey<Op>, Arc<<Op as GraphOperation>::Operand>>;

/// (∂y/∂x)ᵀ·ȳ for the only output y of a sketch, by input; `None` where there is none.
///
/// The steps are recorded `chunk` at a time, each chunk as one call.
pub fn eager_gradient<Op: TestOp>(
    sketch: &Sketch<Op>,
    x: &[Op::Operand],
    wrt: &[usize],
    seed: &Op::Operand,
    chunk: usize,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<Vec<Option<Op::Operand>>> {
    eager_gradient_by(sketch, x, wrt, seed, chunk, ctx, &mut Runtime)
}

/// [`eager_gradient`], with this executor.
pub fn eager_gradient_by<Op: TestOp>(
    sketch: &Sketch<Op>,
    x: &[Op::Operand],
    wrt: &[usize],
    seed: &Op::Operand,
    chunk: usize,
    ctx: &mut Op::ADContext,
    executor: &mut impl BackwardExecutor<Op>,
) -> ADRuleResult<Vec<Option<Op::Operand>>> {
    let [output] = sketch.outputs[..] else {
        panic!("going backward starts from one value");
    };
    let mut run = Run::new(sketch, x, wrt);
    let mut start = 0;
    while start < sketch.steps.len() {
        let end = sketch.steps.len().min(start + chunk);
        match chunk {
            1 => run.record_step(start, ctx),
            _ => run.record_steps(start..end, ctx),
        }
        start = end;
    }
    let y = &run.values[output];
    let seed = Arc::new(seed.clone());
    let cotangents = try_backward(&y.key, y.trace.as_ref(), seed, executor, ctx)?;
    let of_input = |&i: &usize| {
        let key = ValueKey::Input(sketch.inputs[i].clone());
        cotangents.get(&key).map(|cotangent| (**cotangent).clone())
    };
    Ok(wrt.iter().map(of_input).collect())
}

/// A sketch while it runs eagerly.
struct Run<'a, Op: TestOp> {
    sketch: &'a Sketch<Op>,
    recorder: Recorder<Names>,
    values: Vec<EagerInput<Op>>,
}

impl<'a, Op: TestOp> Run<'a, Op> {
    fn new(sketch: &'a Sketch<Op>, x: &[Op::Operand], wrt: &[usize]) -> Self {
        let leaf = |(i, key): (usize, &Op::InputKey)| EagerInput {
            key: ValueKey::Input(key.clone()),
            trace: None::<Trace<Op>>,
            requires_grad: wrt.contains(&i),
            data: Arc::new(x[i].clone()),
        };
        Self {
            sketch,
            recorder: Recorder::new(Names(0)),
            values: sketch.inputs.iter().enumerate().map(leaf).collect(),
        }
    }

    /// One step as one call, an operand that stands twice being two inputs of it.
    fn record_step(&mut self, position: usize, ctx: &mut Op::ADContext) {
        let step = &self.sketch.steps[position];
        let keys = self.recorder.fresh_input_keys::<Op>(step.operands.len());
        let call = RecordedGraph::from_primitive(step.op.clone(), keys);
        self.record(call, &step.operands, ctx);
    }

    /// Several steps as one call, each value from outside being one input of it.
    fn record_steps(&mut self, steps: Range<usize>, ctx: &mut Op::ADContext) {
        let mut builder = GraphBuilder::<Op>::new();
        let mut local: HashMap<usize, usize> = HashMap::new();
        let (mut input_keys, mut inputs, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for step in &self.sketch.steps[steps] {
            let mut operands = Vec::new();
            for &id in &step.operands {
                let local = *local.entry(id).or_insert_with(|| {
                    let key = KeySource::<Op>::fresh_input_key(self.recorder.key_source_mut());
                    inputs.push(id);
                    input_keys.push(key.clone());
                    builder.add_input(key)
                });
                operands.push(ValueRef::Local(local));
            }
            let results = builder.add_operation(step.op.clone(), operands, OperationRole::Primary);
            for (slot, &result) in results.iter().enumerate() {
                local.insert(step.first_result + slot, result);
            }
            outputs.extend(results);
        }
        let output_keys = outputs.iter().map(|&id| builder.global_key(id).clone());
        let output_keys = output_keys.collect();
        builder.set_outputs(outputs);
        let call = RecordedGraph::new(Arc::new(builder.build()), input_keys, output_keys);
        self.record(call, &inputs, ctx);
    }

    fn record(&mut self, call: RecordedGraph<Op>, inputs: &[usize], ctx: &mut Op::ADContext) {
        let inputs: Vec<_> = inputs.iter().map(|&id| self.values[id].clone()).collect();
        let keys = call.input_keys().iter().cloned().map(ValueKey::Input);
        let mut values: Values<Op> = keys
            .zip(inputs.iter().map(|input| Arc::clone(&input.data)))
            .collect();
        for (key, value) in &values {
            Op::register(ctx, key, value);
        }
        compute(call.as_graph(), &mut values);
        let results: Vec<_> = call
            .output_keys()
            .iter()
            .map(|key| Arc::clone(&values[key]))
            .collect();
        let outputs = self.recorder.record_graph(call, &inputs, &results, values);
        self.values.extend(
            outputs
                .into_iter()
                .zip(results)
                .map(|(output, data)| EagerInput {
                    key: output.key,
                    trace: output.trace,
                    requires_grad: output.requires_grad,
                    data,
                }),
        );
    }
}

/// The executor that any operation set can use.
pub struct Runtime;

impl<Op: TestOp> BackwardExecutor<Op> for Runtime {
    /// Tangent inputs are left out, and what depends on them: no coefficient of a linear map does.
    fn execute_forward(
        &mut self,
        graph: PrimitiveGraph<'_, Op>,
        initial_data: &Values<Op>,
    ) -> Values<Op> {
        let mut values = initial_data.clone();
        compute(graph.as_graph(), &mut values);
        values
    }

    fn run_transposed_linear(
        &mut self,
        linear: &LinearizedGraph<Op>,
        cotangent_out: &[Option<Arc<Op::Operand>>],
        external_data: &Values<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Vec<Option<Arc<Op::Operand>>>> {
        for (wrt, id) in linear.tangent_inputs() {
            let tangent = &linear.as_graph().values()[*id].key;
            let like = &external_data[&ValueKey::Input(wrt.clone())];
            Op::register(ctx, tangent, like);
        }
        let mut runtime = Interpreter::new(|key: &ValueKey<Op>| match external_data.get(key) {
            Some(value) => (**value).clone(),
            None => panic!("{key:?} was not computed"),
        });
        let seeds: Vec<_> = cotangent_out
            .iter()
            .map(|seed| seed.as_ref().map(|seed| (**seed).clone()))
            .collect();
        let seeds = runtime.seed(&seeds);
        let cotangents = try_linear_transpose_with_builder(linear, &mut runtime, &seeds, ctx)?;
        let values = runtime.read(&cotangents).into_iter();
        Ok(values.map(|value| value.map(Arc::new)).collect())
    }

    fn add_operands(&mut self, a: &Arc<Op::Operand>, b: &Arc<Op::Operand>) -> Arc<Op::Operand> {
        Arc::new(Op::add().run(&[a, b]).swap_remove(0))
    }
}

/// Computes all of a graph for which there are operands.
fn compute<Op: TestOp>(graph: &tidu::graph::Graph<Op>, values: &mut Values<Op>) {
    for node in graph.operations() {
        let key = |operand: &ValueRef<Op>| match operand {
            ValueRef::Local(id) => graph.values()[*id].key.clone(),
            ValueRef::External(key) => key.clone(),
        };
        let operands = node.inputs.iter().map(|operand| values.get(&key(operand)));
        let Some(operands) = operands.collect::<Option<Vec<_>>>() else {
            continue;
        };
        let operands: Vec<&Op::Operand> = operands.into_iter().map(|operand| &**operand).collect();
        let results = node.operation.run(&operands);
        for (&id, result) in node.outputs.iter().zip(results) {
            values.insert(graph.values()[id].key.clone(), Arc::new(result));
        }
    }
}

/// Numbers for names.
#[derive(Default)]
pub struct Names(pub u64);

impl<Op: TestOp> KeySource<Op> for Names {
    fn fresh_input_key(&mut self) -> Op::InputKey {
        self.0 += 1;
        TestKey::numbered(self.0)
    }
}
