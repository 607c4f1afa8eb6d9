//! Going backward over one trace many times: what is derived once is kept, where rules have no state,
//! and the numbers stay what they were.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use tidu_ad::{
    ADRuleResult, LinearizedGraph, Primitive, PrimitiveBuilder, PrimitiveGraph, PrimitiveValue,
    RuleOperand, try_linear_transpose_with_builder,
};
use tidu_eager::{
    BackwardExecutor, EagerInput, EagerOutput, KeySource, RecordedGraph, Recorder, try_backward,
};
use tidu_graph::{GraphOperation, LocalValueId, OperationRole, ValueKey};
use tidu_scalar::ScalarKey;

thread_local! {
    static JVP_CALLS: Cell<usize> = const { Cell::new(0) };
}

/// Linear operations whose JVP counts its calls, with an AD context of the given type.
macro_rules! operation_set {
    ($Op:ident, $Context:ty) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        enum $Op {
            Add,
            /// x ↦ (x, x + x)
            Fork,
        }

        impl GraphOperation for $Op {
            type Operand = f64;
            type Context = ();
            type InputKey = ScalarKey;

            fn input_count(&self) -> usize {
                match self {
                    Self::Add => 2,
                    Self::Fork => 1,
                }
            }

            fn output_count(&self) -> usize {
                match self {
                    Self::Add => 1,
                    Self::Fork => 2,
                }
            }
        }

        impl Primitive for $Op {
            type ADContext = $Context;

            fn add() -> Self {
                Self::Add
            }

            fn jvp_rule(
                &self,
                builder: &mut impl PrimitiveBuilder<Self>,
                _x: &[ValueKey<Self>],
                _y: &[ValueKey<Self>],
                dx: &[Option<LocalValueId>],
                _ctx: &mut $Context,
            ) -> Vec<Option<LocalValueId>> {
                JVP_CALLS.set(JVP_CALLS.get() + 1);
                match self {
                    Self::Add => vec![builder.emit_sum([dx[0], dx[1]])],
                    Self::Fork => {
                        let twice = dx[0].map(|dx| {
                            let both = [RuleOperand::Active(dx), RuleOperand::Active(dx)];
                            builder.emit_linear(Self::Add, both)
                        });
                        vec![dx[0], twice]
                    }
                }
            }

            fn transpose_rule(
                &self,
                _builder: &mut impl PrimitiveBuilder<Self>,
                ct: &[Option<LocalValueId>],
                _x: &[PrimitiveValue<Self>],
                _role: &OperationRole,
                _ctx: &mut $Context,
            ) -> Vec<Option<LocalValueId>> {
                vec![ct[0]; self.input_count()]
            }
        }
    };
}

operation_set!(Stateless, ());
operation_set!(Stateful, usize);

/// Adds, which is all that there is to compute.
struct Adder(Vec<f64>);

impl<Op: Primitive<Operand = f64>> PrimitiveBuilder<Op> for Adder {
    fn add_primitive(
        &mut self,
        _op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        _role: OperationRole,
    ) -> Vec<LocalValueId> {
        let operands = inputs.iter().map(|input| match input {
            PrimitiveValue::Local(id) => self.0[*id],
            PrimitiveValue::External(key) => panic!("{key:?} is not needed"),
        });
        let sum = operands.sum();
        self.0.push(sum);
        vec![self.0.len() - 1]
    }
}

impl<Op: Primitive<Operand = f64>> BackwardExecutor<Op> for Adder {
    fn execute_forward(
        &mut self,
        _graph: PrimitiveGraph<'_, Op>,
        initial_data: &HashMap<ValueKey<Op>, Arc<f64>>,
    ) -> HashMap<ValueKey<Op>, Arc<f64>> {
        initial_data.clone()
    }

    fn run_transposed_linear(
        &mut self,
        linear: &LinearizedGraph<Op>,
        cotangent_out: &[Option<Arc<f64>>],
        _external_data: &HashMap<ValueKey<Op>, Arc<f64>>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Vec<Option<Arc<f64>>>> {
        self.0 = cotangent_out.iter().flatten().map(|seed| **seed).collect();
        let seeds: Vec<_> = (0..self.0.len()).map(Some).collect();
        let ids = try_linear_transpose_with_builder(linear, self, &seeds, ctx)?;
        let values = ids.into_iter().map(|id| id.map(|id| Arc::new(self.0[id])));
        Ok(values.collect())
    }

    fn add_operands(&mut self, a: &Arc<f64>, b: &Arc<f64>) -> Arc<f64> {
        Arc::new(**a + **b)
    }
}

struct Names(u64);

impl<Op: GraphOperation<InputKey = ScalarKey>> KeySource<Op> for Names {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}

fn call<Op>(
    recorder: &mut Recorder<Names>,
    op: Op,
    inputs: &[EagerInput<Op>],
) -> Vec<EagerOutput<Op>>
where
    Op: Primitive<Operand = f64, InputKey = ScalarKey>,
{
    let outputs: Vec<_> = (0..op.output_count()).map(|_| Arc::new(0.0)).collect();
    let keys = recorder.fresh_input_keys::<Op>(inputs.len());
    let graph = RecordedGraph::from_primitive(op, keys);
    recorder.record_graph(graph, inputs, &outputs, HashMap::new())
}

fn leaf<Op: GraphOperation<Operand = f64, InputKey = ScalarKey>>() -> EagerInput<Op> {
    EagerInput {
        key: ValueKey::Input("x".into()),
        trace: None,
        requires_grad: true,
        data: Arc::new(0.0),
    }
}

fn as_input<Op: GraphOperation<Operand = f64>>(output: &EagerOutput<Op>) -> EagerInput<Op> {
    EagerInput {
        key: output.key.clone(),
        trace: output.trace.clone(),
        requires_grad: output.requires_grad,
        data: Arc::new(0.0),
    }
}

/// The gradient of a value by the leaf x, and how many JVP rules were called for it.
fn gradient<Op>(value: &EagerOutput<Op>, seed: f64) -> (f64, usize)
where
    Op: Primitive<Operand = f64, InputKey = ScalarKey>,
{
    let before = JVP_CALLS.get();
    let mut ctx = Op::ADContext::default();
    let trace = value.trace.as_ref();
    let cotangents = try_backward(
        &value.key,
        trace,
        Arc::new(seed),
        &mut Adder(vec![]),
        &mut ctx,
    );
    let cotangents = cotangents.expect("nothing is wrong");
    let x = ValueKey::Input("x".into());
    (*cotangents[&x], JVP_CALLS.get() - before)
}

/// (u, v) = fork x, and w = u + v = 3x.
fn record<Op>(fork: Op, add: Op) -> [EagerOutput<Op>; 3]
where
    Op: Primitive<Operand = f64, InputKey = ScalarKey>,
{
    let mut recorder = Recorder::new(Names(0));
    let mut forked = call(&mut recorder, fork, &[leaf()]);
    let (v, u) = (forked.remove(1), forked.remove(0));
    let w = call(&mut recorder, add, &[as_input(&u), as_input(&v)]).remove(0);
    [u, v, w]
}

#[test]
fn from_the_third_time_on_nothing_is_derived() {
    let [_, _, w] = record(Stateless::Fork, Stateless::Add);
    let times: Vec<_> = (1..=5).map(|seed| gradient(&w, f64::from(seed))).collect();
    assert_eq!(times, [(3.0, 2), (6.0, 2), (9.0, 0), (12.0, 0), (15.0, 0)]);
}

#[test]
fn other_outputs_are_derived_for_themselves() {
    let [u, v, w] = record(Stateless::Fork, Stateless::Add);
    for _ in 0..3 {
        assert_eq!(gradient(&w, 1.0).0, 3.0);
        assert_eq!(gradient(&v, 1.0).0, 2.0);
        assert_eq!(gradient(&u, 1.0).0, 1.0);
    }
}

#[test]
fn rules_with_a_context_are_called_each_time() {
    let [_, _, w] = record(Stateful::Fork, Stateful::Add);
    let times: Vec<_> = (0..4).map(|_| gradient(&w, 1.0)).collect();
    assert_eq!(times, [(3.0, 2); 4]);
}
