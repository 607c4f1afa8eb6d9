//! A small operation set with its rules, and what is measured on it, written against names that this
//! library and its ancestor both have. Compiled once for each: `super::names` says for which.

use std::collections::HashMap;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use tidu_testkit::{Arithmetic, Workload};

use super::names::*;
use crate::clock::{Measurement, measure};

/// From nothing to a program for value and gradient: build, resolve, linearize, transpose, resolve,
/// materialize, compile.
pub fn pipeline(workload: &Workload) -> Measurement {
    measure(workload.operations, 1, || {
        let graph = build(workload);
        let derived = derived(&graph, workload);
        (graph, derived)
    })
}

/// The same from the built graph on.
pub fn derive(workload: &Workload) -> Measurement {
    let graph = build(workload);
    measure(workload.operations, 1, || derived(&graph, workload))
}

/// Value and gradient by the compiled program.
pub fn evaluate(workload: &Workload) -> Measurement {
    let graph = build(workload);
    let derived = derived(&graph, workload);
    let values = values(workload);
    // What is no input of the workload is the seed.
    let inputs = derived.flat.inputs.iter();
    let inputs: Vec<&f64> = inputs.map(|key| values.get(key).unwrap_or(&1.0)).collect();
    measure(workload.operations, 1, || {
        derived.program.eval(&mut (), black_box(&inputs))
    })
}

/// Recording one call per operation, and going backward.
pub fn recorder(workload: &Workload) -> Measurement {
    let point = workload.point();
    measure(workload.operations, 1, || {
        let mut calls = Calls(Recorder::new(Names(0)));
        let inputs: Vec<Value> = point.iter().map(|&x| calls.input(x, true)).collect();
        let output = workload.write(&mut calls, &inputs).remove(0);
        let trace = output.trace.as_ref();
        let gradients = try_backward(&output.key, trace, Arc::new(1.0), &mut Executor, &mut ());
        (output, gradients.expect("the set has all rules"))
    })
}

/// What derivation makes, all of it alive as long as somebody may look at it.
struct Derived {
    _views: [Box<dyn std::any::Any>; 2],
    flat: MaterializedGraph<Op>,
    program: CompiledProgram<Op>,
}

fn derived(graph: &Arc<Graph<Op>>, workload: &Workload) -> Derived {
    let key_of = |graph: &Graph<Op>, id: usize| graph.values()[id].key.clone();
    let output = key_of(graph, graph.outputs()[0]);
    let wrt: Vec<Key> = (0..workload.inputs.len()).map(Key::Input).collect();
    let view = resolve(vec![Arc::clone(graph)]);
    let outputs = std::slice::from_ref(&output);
    let linear = linearize(&view, outputs, &wrt, 1, &mut (), &HashMap::new());
    let transposed = linear_transpose(&linear, &mut ());
    let cotangents = transposed.tangent_outputs().iter().flatten();
    let cotangents = cotangents.map(|&id| key_of(transposed.as_graph(), id));
    let outputs: Vec<ValueKey<Op>> = std::iter::once(output).chain(cotangents).collect();
    let (linear, transposed) = (linear.into_graph(), transposed.into_graph());
    let all = resolve(vec![
        Arc::clone(graph),
        Arc::new(linear),
        Arc::new(transposed),
    ]);
    let flat = materialize_merge(&all, &outputs);
    let program = compile(&flat);
    Derived {
        _views: [Box::new(view), Box::new(all)],
        flat,
        program,
    }
}

fn build(workload: &Workload) -> Arc<Graph<Op>> {
    let mut builder = GraphBuilder::new();
    let inputs = 0..workload.inputs.len();
    let inputs: Vec<LocalValueId> = inputs.map(|at| builder.add_input(Key::Input(at))).collect();
    let outputs = workload.write(&mut Building(&mut builder), &inputs);
    builder.set_outputs(outputs);
    Arc::new(builder.build())
}

fn values(workload: &Workload) -> HashMap<ValueKey<Op>, f64> {
    let inputs = workload.inputs.iter().enumerate();
    inputs
        .map(|(at, (_, value))| (ValueKey::Input(Key::Input(at)), *value))
        .collect()
}

// The operation set.

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Input(usize),
    Fresh(u64),
    Tangent { of: Box<Key>, pass: DiffPassId },
}

impl ADKey for Key {
    fn tangent_of(&self, pass: DiffPassId) -> Self {
        let of = Box::new(self.clone());
        Key::Tangent { of, pass }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A number, by its bits.
    Constant(u64),
    Add,
    Mul,
    Neg,
    Sin,
    Cos,
    Exp,
}

impl GraphOperation for Op {
    type Operand = f64;
    type Context = ();
    type InputKey = Key;

    fn input_count(&self) -> usize {
        match self {
            Op::Constant(_) => 0,
            Op::Neg | Op::Sin | Op::Cos | Op::Exp => 1,
            Op::Add | Op::Mul => 2,
        }
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _ctx: &mut (), inputs: &[&f64]) -> Vec<f64> {
        vec![match self {
            Op::Constant(bits) => f64::from_bits(*bits),
            Op::Add => inputs[0] + inputs[1],
            Op::Mul => inputs[0] * inputs[1],
            Op::Neg => -inputs[0],
            Op::Sin => inputs[0].sin(),
            Op::Cos => inputs[0].cos(),
            Op::Exp => inputs[0].exp(),
        }]
    }
}

type Id = Option<LocalValueId>;

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        t: &[Id],
        _ctx: &mut (),
    ) -> Vec<Id> {
        vec![match self {
            Op::Constant(_) => None,
            Op::Add => sum(builder, t[0], t[1]),
            Op::Mul => {
                let first = t[0].map(|t| scaled(builder, x[1].clone().into_operand(), t));
                let second = t[1].map(|t| scaled(builder, x[0].clone().into_operand(), t));
                sum(builder, first, second)
            }
            Op::Neg => {
                t[0].map(|t| emit(builder, Op::Neg, vec![PrimitiveValue::Local(t)], &[true]))
            }
            Op::Sin => t[0].map(|t| {
                let operand = vec![x[0].clone().into_operand()];
                let cos = emit(builder, Op::Cos, operand, &[false]);
                scaled(builder, PrimitiveValue::Local(cos), t)
            }),
            Op::Exp => t[0].map(|t| scaled(builder, y[0].clone().into_operand(), t)),
            Op::Cos => unimplemented!("no workload here has a cosine"),
        }]
    }

    fn transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Id],
        inputs: &[PrimitiveValue<Self>],
        _role: &OperationRole,
        _ctx: &mut (),
    ) -> Vec<Id> {
        let ct = cotangents[0].expect("called for an output that has one");
        match self {
            Op::Add => vec![Some(ct), Some(ct)],
            Op::Neg => {
                let operand = vec![PrimitiveValue::Local(ct)];
                vec![Some(emit(builder, Op::Neg, operand, &[true]))]
            }
            // The rules above put the tangent second.
            Op::Mul => vec![None, Some(scaled(builder, inputs[0].clone(), ct))],
            _ => unreachable!("{self:?} is not emitted as linear"),
        }
    }
}

trait IntoOperand {
    fn into_operand(self) -> PrimitiveValue<Op>;
}

impl IntoOperand for ValueKey<Op> {
    fn into_operand(self) -> PrimitiveValue<Op> {
        PrimitiveValue::External(self)
    }
}

/// c·t, linear in t
fn scaled(
    builder: &mut impl PrimitiveBuilder<Op>,
    coefficient: PrimitiveValue<Op>,
    t: LocalValueId,
) -> LocalValueId {
    let operands = vec![coefficient, PrimitiveValue::Local(t)];
    emit(builder, Op::Mul, operands, &[false, true])
}

fn sum(builder: &mut impl PrimitiveBuilder<Op>, a: Id, b: Id) -> Id {
    let (Some(first), Some(second)) = (a, b) else {
        return a.or(b);
    };
    let operands = vec![PrimitiveValue::Local(first), PrimitiveValue::Local(second)];
    Some(emit(builder, Op::Add, operands, &[true, true]))
}

fn emit(
    builder: &mut impl PrimitiveBuilder<Op>,
    op: Op,
    operands: Vec<PrimitiveValue<Op>>,
    active: &[bool],
) -> LocalValueId {
    let active_mask = active.to_vec();
    builder.add_primitive(op, operands, OperationRole::Linearized { active_mask })[0]
}

/// The operations that the workloads have, by `$apply(self, operation, operands)`; the others are
/// needed by none that is measured on this set.
macro_rules! operations {
    ($apply:expr) => {
        operations!(@all $apply, neg(x) Neg, sin(x) Sin, cos(x) Cos, exp(x) Exp, add(x, y) Add, mul(x, y) Mul);

        fn sqrt(&mut self, _: &Self::Value) -> Self::Value {
            unimplemented!("no workload here has a root")
        }

        fn sub(&mut self, _: &Self::Value, _: &Self::Value) -> Self::Value {
            unimplemented!("no workload here has a difference")
        }

        fn div(&mut self, _: &Self::Value, _: &Self::Value) -> Self::Value {
            unimplemented!("no workload here has a quotient")
        }
    };
    (@all $apply:expr, $($method:ident($($x:ident),*) $Op:ident),*) => {$(
        fn $method(&mut self, $($x: &Self::Value),*) -> Self::Value {
            $apply(self, Op::$Op, &[$($x),*])
        }
    )*};
}

struct Building<'a>(&'a mut GraphBuilder<Op>);

impl Building<'_> {
    fn apply(&mut self, op: Op, operands: &[&LocalValueId]) -> LocalValueId {
        let operands = operands.iter().map(|&&id| ValueRef::Local(id)).collect();
        self.0.add_operation(op, operands, OperationRole::Primary)[0]
    }
}

impl Arithmetic for Building<'_> {
    type Value = LocalValueId;

    operations!(Self::apply);

    fn constant(&mut self, value: f64) -> LocalValueId {
        self.apply(Op::Constant(value.to_bits()), &[])
    }
}

// The runtime that records.

/// Shared, since not every version of the input can be cloned.
type Value = Rc<EagerInput<Op>>;

struct Names(u64);

impl KeySource<Op> for Names {
    fn fresh_input_key(&mut self) -> Key {
        self.0 += 1;
        Key::Fresh(self.0)
    }
}

struct Calls(Recorder<Names>);

impl Calls {
    fn input(&mut self, value: f64, requires_grad: bool) -> Value {
        Rc::new(EagerInput {
            key: ValueKey::Input(self.0.key_source_mut().fresh_input_key()),
            trace: None,
            requires_grad,
            data: Arc::new(value),
        })
    }

    fn apply(&mut self, op: Op, operands: &[&Value]) -> Value {
        let numbers: Vec<&f64> = operands.iter().map(|operand| &*operand.data).collect();
        let result = Arc::new(op.eval(&mut (), &numbers)[0]);
        let uses_result = matches!(op, Op::Exp);
        let keys = self.0.fresh_input_keys::<Op>(operands.len());
        let call = RecordedGraph::from_primitive(op, keys);
        let mut retained = HashMap::new();
        if uses_result {
            retained.insert(call.output_keys()[0].clone(), Arc::clone(&result));
        }
        let operands: Vec<EagerInput<Op>> = operands
            .iter()
            .map(|operand| EagerInput {
                key: operand.key.clone(),
                trace: operand.trace.clone(),
                requires_grad: operand.requires_grad,
                data: Arc::clone(&operand.data),
            })
            .collect();
        let results = [Arc::clone(&result)];
        let output = self
            .0
            .record_graph(call, &operands, &results, retained)
            .remove(0);
        Rc::new(EagerInput {
            key: output.key,
            trace: output.trace,
            requires_grad: output.requires_grad,
            data: result,
        })
    }
}

impl Arithmetic for Calls {
    type Value = Value;

    operations!(Self::apply);

    fn constant(&mut self, value: f64) -> Value {
        self.input(value, false)
    }
}

type Data = HashMap<ValueKey<Op>, Arc<f64>>;

/// An executor as a runtime writes it by hand.
struct Executor;

impl BackwardExecutor<Op> for Executor {
    fn execute_forward(&mut self, graph: PrimitiveGraph<'_, Op>, known: &Data) -> Data {
        let graph = graph.as_graph();
        let mut data = known.clone();
        for &id in graph.inputs() {
            // Going backward needs coefficients, not tangents: any tangent will do.
            let key = &graph.values()[id].key;
            data.entry(key.clone()).or_insert_with(|| Arc::new(0.0));
        }
        for node in graph.operations() {
            let operands = node.inputs.iter().map(|operand| match operand {
                ValueRef::Local(id) => &*data[&graph.values()[*id].key],
                ValueRef::External(key) => &*data[key],
            });
            let operands: Vec<&f64> = operands.collect();
            let result = node.operation.eval(&mut (), &operands)[0];
            let key = graph.values()[node.outputs[0]].key.clone();
            data.insert(key, Arc::new(result));
        }
        data
    }

    fn run_transposed_linear(
        &mut self,
        linear: &LinearizedGraph<Op>,
        seeds: &[Option<Arc<f64>>],
        known: &Data,
        ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<Arc<f64>>>> {
        let mut runtime = Runtime {
            values: Vec::new(),
            known,
        };
        let seeds = seeds.iter();
        let seeds: Vec<Id> = seeds
            .map(|seed| {
                seed.as_ref().map(|seed| {
                    runtime.values.push(Arc::clone(seed));
                    runtime.values.len() - 1
                })
            })
            .collect();
        let cotangents = try_linear_transpose_with_builder(linear, &mut runtime, &seeds, ctx)?;
        let values = cotangents.into_iter();
        Ok(values
            .map(|id| id.map(|id| Arc::clone(&runtime.values[id])))
            .collect())
    }

    fn add_operands(&mut self, a: &Arc<f64>, b: &Arc<f64>) -> Arc<f64> {
        Arc::new(**a + **b)
    }
}

/// Computes at once what a transpose rule emits.
struct Runtime<'a> {
    values: Vec<Arc<f64>>,
    known: &'a Data,
}

impl PrimitiveBuilder<Op> for Runtime<'_> {
    fn add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        _role: OperationRole,
    ) -> Vec<LocalValueId> {
        let operands = inputs.iter().map(|operand| match operand {
            PrimitiveValue::Local(id) => &*self.values[*id],
            PrimitiveValue::External(key) => &*self.known[key],
        });
        let operands: Vec<&f64> = operands.collect();
        let result = op.eval(&mut (), &operands)[0];
        self.values.push(Arc::new(result));
        vec![self.values.len() - 1]
    }
}
