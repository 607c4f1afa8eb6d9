//! Eager reverse mode: record x·x at x = 3 as it is computed, go backward, find the gradient 6.
//!
//! The file holds all that a downstream crate brings: four operations with their rules, a name
//! for each input, and a runtime. The tutorial *Eager reverse mode* walks through it.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tidu::eager::{self, BackwardExecutor, EagerInput, KeySource, RecordedGraph, Recorder};
use tidu::graph::{
    EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef,
};
use tidu::rules::{ADKey, ADRuleResult, DiffPassId, Primitive, PrimitiveBuilder, PrimitiveValue};
use tidu::{
    LinearizedGraph, PrimitiveGraph, try_linear_transpose, try_linear_transpose_with_builder,
};

/// y = x·x at x = 3.
fn run() -> Result<(), Box<dyn Error>> {
    // The runtime computes; the recorder is told what was computed.
    let x = Arc::new(3.0);
    let y = Arc::new(*x * *x);

    // x is a leaf: it has a name, but no history.
    let x = EagerInput {
        key: input_key("x"),
        trace: None,
        requires_grad: true,
        data: x,
    };
    let mut recorder = Recorder::new(ExampleKeySource::default());
    let keys = recorder.fresh_input_keys::<ScalarOp>(2);
    let call = RecordedGraph::from_primitive(ScalarOp::Mul, keys);
    println!("{call}");
    let outputs = recorder.record_graph(call, &[x.clone(), x], &[y], HashMap::new());

    // Backward from y with cotangent 1. The executor does the arithmetic.
    let seed = Arc::new(1.0);
    let mut executor = ExampleExecutor;
    let cotangents = eager::try_backward(
        &outputs[0].key,
        outputs[0].trace.as_ref(),
        seed,
        &mut executor,
        &mut (),
    )?;

    let gradient = cotangents.get(&input_key("x")).ok_or("no gradient at x")?;
    println!("gradient of x·x at x = 3: {gradient}");
    assert_eq!(**gradient, 6.0);
    Ok(())
}

/// y = exp(-x) at x = 0.5, as two calls: the second one's history is the first.
fn run_two_calls() -> Result<(), Box<dyn Error>> {
    let mut recorder = Recorder::new(ExampleKeySource::default());
    let x = EagerInput {
        key: input_key("x"),
        trace: None,
        requires_grad: true,
        data: Arc::new(0.5),
    };

    let keys = recorder.fresh_input_keys::<ScalarOp>(1);
    let negation = RecordedGraph::from_primitive(ScalarOp::Neg, keys);
    let minus_x = [Arc::new(-0.5)];
    let negated = recorder.record_graph(negation, &[x], &minus_x, HashMap::new());

    // A result goes into the next call with the key and the trace it came with.
    let minus_x = EagerInput {
        key: negated[0].key.clone(),
        trace: negated[0].trace.clone(),
        requires_grad: negated[0].requires_grad,
        data: minus_x[0].clone(),
    };
    let keys = recorder.fresh_input_keys::<ScalarOp>(1);
    let exponential = RecordedGraph::from_primitive(ScalarOp::Exp, keys);
    let y = Arc::new(minus_x.data.exp());
    // The JVP rule of Exp uses the result, which is not among the inputs: it must be retained.
    let retained = HashMap::from([(exponential.output_keys()[0].clone(), y.clone())]);
    let outputs = recorder.record_graph(exponential, &[minus_x], &[y], retained);

    let cotangents = eager::try_backward(
        &outputs[0].key,
        outputs[0].trace.as_ref(),
        Arc::new(1.0),
        &mut ExampleExecutor,
        &mut (),
    )?;
    let gradient = cotangents.get(&input_key("x")).ok_or("no gradient at x")?;
    println!("gradient of exp(-x) at x = 0.5: {gradient}");
    assert_eq!(**gradient, -(-0.5_f64).exp());
    Ok(())
}

/// Public for the test that compares what is printed with what the tutorial shows.
pub fn main() -> Result<(), Box<dyn Error>> {
    run()?;
    run_two_calls()
}

// The operation set: what there is, and what it computes.

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ScalarOp {
    Add,
    Mul,
    Neg,
    Exp,
}

impl GraphOperation for ScalarOp {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            ScalarOp::Add | ScalarOp::Mul => 2,
            ScalarOp::Neg | ScalarOp::Exp => 1,
        }
    }

    fn output_count(&self) -> usize {
        1
    }

    // How graphs are printed. There is a default here too, which is `Debug`.
    fn fmt_input_name(key: &ScalarKey, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match key {
            ScalarKey::User(name) => f.write_str(name),
            ScalarKey::Fresh(number) => write!(f, "v{number}"),
            ScalarKey::Tangent { of, pass } => {
                write!(f, "d{pass}.")?;
                Self::fmt_input_name(of, f)
            }
            ScalarKey::Cotangent { of, output } => {
                write!(f, "ct{output}.")?;
                Self::fmt_input_name(of, f)
            }
        }
    }
}

impl EvaluableGraphOperation for ScalarOp {
    fn eval(&self, _ctx: &mut (), inputs: &[&f64]) -> Vec<f64> {
        vec![match self {
            ScalarOp::Add => inputs[0] + inputs[1],
            ScalarOp::Mul => inputs[0] * inputs[1],
            ScalarOp::Neg => -inputs[0],
            ScalarOp::Exp => inputs[0].exp(),
        }]
    }
}

/// The name of an input. Tangents and cotangent seeds are inputs too, and need names of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ScalarKey {
    User(String),
    Fresh(u64),
    Tangent {
        of: Box<ScalarKey>,
        pass: DiffPassId,
    },
    Cotangent {
        of: Box<ScalarKey>,
        output: usize,
    },
}

impl ADKey for ScalarKey {
    fn tangent_of(&self, pass: DiffPassId) -> Self {
        let of = Box::new(self.clone());
        ScalarKey::Tangent { of, pass }
    }

    // There is a default, which makes seeds of tangents; a variant of their own reads better.
    fn cotangent_of(&self, output: usize) -> Self {
        let of = Box::new(self.clone());
        ScalarKey::Cotangent { of, output }
    }
}

// The two rules of each operation. Everything else is derived from them.

impl Primitive for ScalarOp {
    type ADContext = ();

    fn add() -> Self {
        ScalarOp::Add
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        primal_inputs: &[ValueKey<Self>],
        primal_outputs: &[ValueKey<Self>],
        tangent_inputs: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let tangent = match self {
            ScalarOp::Add => sum(builder, tangent_inputs[0], tangent_inputs[1]),
            ScalarOp::Mul => {
                // dx·y is linear in dx alone, x·dy in dy alone.
                let dx_y = tangent_inputs[0].map(|dx| {
                    builder.add_primitive(
                        ScalarOp::Mul,
                        vec![
                            PrimitiveValue::Local(dx),
                            PrimitiveValue::External(primal_inputs[1].clone()),
                        ],
                        OperationRole::Linearized {
                            active_mask: vec![true, false],
                        },
                    )[0]
                });
                let x_dy = tangent_inputs[1].map(|dy| {
                    builder.add_primitive(
                        ScalarOp::Mul,
                        vec![
                            PrimitiveValue::External(primal_inputs[0].clone()),
                            PrimitiveValue::Local(dy),
                        ],
                        OperationRole::Linearized {
                            active_mask: vec![false, true],
                        },
                    )[0]
                });
                sum(builder, dx_y, x_dy)
            }
            ScalarOp::Neg => tangent_inputs[0].map(|dx| negate(builder, dx)),
            // The derivative of eˣ is eˣ, which the primal graph has computed already.
            ScalarOp::Exp => tangent_inputs[0].map(|dx| {
                builder.add_primitive(
                    ScalarOp::Mul,
                    vec![
                        PrimitiveValue::Local(dx),
                        PrimitiveValue::External(primal_outputs[0].clone()),
                    ],
                    OperationRole::Linearized {
                        active_mask: vec![true, false],
                    },
                )[0]
            }),
        };
        vec![tangent]
    }

    fn transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangent_outputs: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let Some(ct) = cotangent_outputs[0] else {
            return vec![None; self.input_count()];
        };
        let OperationRole::Linearized { active_mask } = role else {
            panic!("{self:?} is not part of a linear map");
        };
        match (self, active_mask.as_slice()) {
            (ScalarOp::Add, _) => vec![Some(ct), Some(ct)],
            // The transpose of a product with a number is the product with that number.
            (ScalarOp::Mul, [true, false]) => {
                let product = builder.add_primitive(
                    ScalarOp::Mul,
                    vec![PrimitiveValue::Local(ct), inputs[1].clone()],
                    OperationRole::Linearized {
                        active_mask: vec![true, false],
                    },
                );
                vec![Some(product[0]), None]
            }
            (ScalarOp::Mul, [false, true]) => {
                let product = builder.add_primitive(
                    ScalarOp::Mul,
                    vec![inputs[0].clone(), PrimitiveValue::Local(ct)],
                    OperationRole::Linearized {
                        active_mask: vec![false, true],
                    },
                );
                vec![None, Some(product[0])]
            }
            (ScalarOp::Neg, _) => vec![Some(negate(builder, ct))],
            _ => panic!("{self:?} is not linear in operands {active_mask:?}"),
        }
    }
}

/// Adds the terms that exist: a term that is `None` is zero, and costs nothing.
fn sum(
    builder: &mut impl PrimitiveBuilder<ScalarOp>,
    a: Option<LocalValueId>,
    b: Option<LocalValueId>,
) -> Option<LocalValueId> {
    let (Some(a), Some(b)) = (a, b) else {
        return a.or(b);
    };
    let sum = builder.add_primitive(
        ScalarOp::Add,
        vec![PrimitiveValue::Local(a), PrimitiveValue::Local(b)],
        OperationRole::Linearized {
            active_mask: vec![true, true],
        },
    );
    Some(sum[0])
}

fn negate(builder: &mut impl PrimitiveBuilder<ScalarOp>, t: LocalValueId) -> LocalValueId {
    builder.add_primitive(
        ScalarOp::Neg,
        vec![PrimitiveValue::Local(t)],
        OperationRole::Linearized {
            active_mask: vec![true],
        },
    )[0]
}

// The runtime: names for recorded values, and the arithmetic of going backward.

#[derive(Default)]
struct ExampleKeySource {
    next: u64,
}

impl KeySource<ScalarOp> for ExampleKeySource {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.next += 1;
        ScalarKey::Fresh(self.next)
    }
}

/// Computes at once what a transpose rule emits, so that no transposed graph is ever built.
struct EvalBuilder {
    locals: Vec<Arc<f64>>,
    external_data: HashMap<ValueKey<ScalarOp>, Arc<f64>>,
}

impl PrimitiveBuilder<ScalarOp> for EvalBuilder {
    fn add_primitive(
        &mut self,
        op: ScalarOp,
        inputs: Vec<PrimitiveValue<ScalarOp>>,
        _role: OperationRole,
    ) -> Vec<LocalValueId> {
        let operands: Vec<&f64> = inputs
            .iter()
            .map(|input| match input {
                PrimitiveValue::Local(id) => &*self.locals[*id],
                PrimitiveValue::External(key) => &*self.external_data[key],
            })
            .collect();
        let results = op.eval(&mut (), &operands);
        let start = self.locals.len();
        self.locals.extend(results.into_iter().map(Arc::new));
        let end = self.locals.len();
        (start..end).collect()
    }
}

struct ExampleExecutor;

impl BackwardExecutor<ScalarOp> for ExampleExecutor {
    fn execute_forward(
        &mut self,
        graph: PrimitiveGraph<'_, ScalarOp>,
        initial_data: &HashMap<ValueKey<ScalarOp>, Arc<f64>>,
    ) -> HashMap<ValueKey<ScalarOp>, Arc<f64>> {
        let graph = graph.as_graph();
        let mut data = initial_data.clone();
        for &id in graph.inputs() {
            let key = &graph.values()[id].key;
            if data.contains_key(key) {
                continue;
            }
            match key {
                // Going backward needs coefficients, not tangents: any tangent will do.
                ValueKey::Input(ScalarKey::Tangent { .. }) => {
                    data.insert(key.clone(), Arc::new(0.0));
                }
                _ => panic!("no data for {key:?}"),
            }
        }
        for node in graph.operations() {
            let operands: Vec<&f64> = node
                .inputs
                .iter()
                .map(|input| match input {
                    ValueRef::Local(id) => &*data[&graph.values()[*id].key],
                    ValueRef::External(key) => &*data[key],
                })
                .collect();
            let results = node.operation.eval(&mut (), &operands);
            for (&id, result) in node.outputs.iter().zip(results) {
                data.insert(graph.values()[id].key.clone(), Arc::new(result));
            }
        }
        data
    }

    fn run_transposed_linear(
        &mut self,
        linear: &LinearizedGraph<ScalarOp>,
        cotangent_out: &[Option<Arc<f64>>],
        external_data: &HashMap<ValueKey<ScalarOp>, Arc<f64>>,
        ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<Arc<f64>>>> {
        // Only to show it: what follows runs the same transposition without making a graph.
        println!("{linear}");
        println!("{}", try_linear_transpose(linear, ctx)?);

        let mut builder = EvalBuilder {
            locals: Vec::new(),
            external_data: external_data.clone(),
        };
        let seed_ids: Vec<Option<LocalValueId>> = cotangent_out
            .iter()
            .map(|seed| {
                seed.as_ref().map(|seed| {
                    builder.locals.push(seed.clone());
                    builder.locals.len() - 1
                })
            })
            .collect();
        let cotangents = try_linear_transpose_with_builder(linear, &mut builder, &seed_ids, ctx)?;
        Ok(cotangents
            .into_iter()
            .map(|id| id.map(|id| builder.locals[id].clone()))
            .collect())
    }

    fn add_operands(&mut self, a: &Arc<f64>, b: &Arc<f64>) -> Arc<f64> {
        Arc::new(**a + **b)
    }
}

// Helpers of this program.

fn input_key(name: &str) -> ValueKey<ScalarOp> {
    ValueKey::Input(ScalarKey::User(name.into()))
}

#[test]
fn rules_obey_the_laws() {
    tidu::laws::Laws::on_reals(|position| ScalarKey::User(format!("x{position}")))
        .operations([ScalarOp::Add, ScalarOp::Mul], |random| {
            random.many_between(2, -2.0, 2.0)
        })
        .operations([ScalarOp::Neg, ScalarOp::Exp], |random| {
            random.many_between(1, -2.0, 2.0)
        })
        .compositions(20, 6)
        .check()
        .assert();
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
