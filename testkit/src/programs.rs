//! The programs that tests and benchmarks run, always the same, so that figures can be compared.

use tidu_ad::Function;
use tidu_eager::{EagerInput, Tape, Var};
use tidu_graph::{
    Graph, GraphBuilder, GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef,
};
use tidu_scalar::{ScalarKey, ScalarOp};

use crate::arithmetic::{Arithmetic, Building, Calls, Counting, Keys, Numbers, Recording};
use crate::{reprojection, sparse};

/// A function of named inputs, with a point to evaluate it at.
#[derive(Clone)]
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// The number of primal operations, but for constants.
    pub operations: usize,
    /// The inputs, with the point.
    pub inputs: Vec<(ScalarKey, f64)>,
    /// How many of the inputs, from the first on, one differentiates by.
    pub parameters: usize,
    program: Program,
}

#[derive(Clone, Copy)]
pub(crate) enum Program {
    Chain { steps: usize },
    Wide,
    Square { depth: usize },
    BundleAdjustment,
    Rosenbrock,
    Arrowhead,
    Bratu { side: usize },
    BratuEnergy { side: usize },
    Clnlbeam { steps: usize },
}

/// v = x; n/3 times v = v + y·sin v. The gradient stays near 1 at any depth.
pub fn chain(operations: usize) -> Workload {
    let steps = operations / 3;
    let inputs = vec![("x".into(), 0.3), ("y".into(), 1e-6)];
    Workload::new("chain", inputs, Program::Chain { steps })
}

/// s = 0; for each i of n/5: s = s + exp(-(xᵢ·xᵢ))·xᵢ₊₁.
pub fn wide(operations: usize) -> Workload {
    let point = (0..operations / 5).map(|i| 0.01 + 0.1 * (i % 7) as f64);
    let names = (0..).map(ScalarKey::fresh);
    Workload::new("wide", names.zip(point).collect(), Program::Wide)
}

/// v = x; `depth` times v = v·v. Written out, a tree of 2^depth.
pub fn squares(depth: usize) -> Workload {
    let inputs = vec![("x".into(), 1.0)];
    Workload::new("square", inputs, Program::Square { depth })
}

/// The reprojection error of one observation.
pub fn bundle_adjustment() -> Workload {
    let point = reprojection::observations(1)[0];
    let names = reprojection::INPUTS.map(ScalarKey::from);
    let inputs = names.into_iter().zip(point).collect();
    let workload = Workload::new("bundle adjustment", inputs, Program::BundleAdjustment);
    Workload {
        parameters: reprojection::PARAMETERS,
        ..workload
    }
}

impl Workload {
    pub(crate) fn new(name: &'static str, inputs: Vec<(ScalarKey, f64)>, program: Program) -> Self {
        let mut workload = Self {
            name,
            operations: 0,
            parameters: inputs.len(),
            inputs,
            program,
        };
        let mut counting = Counting::default();
        workload.write(&mut counting, &vec![(); workload.inputs.len()]);
        workload.operations = counting.operations;
        workload
    }

    /// The program, written in whatever `a` makes of it; returns the outputs.
    pub fn write<A: Arithmetic>(&self, a: &mut A, inputs: &[A::Value]) -> Vec<A::Value> {
        match self.program {
            Program::Chain { steps } => write_chain(a, &inputs[0], &inputs[1], steps),
            Program::Wide => write_wide(a, inputs),
            Program::Square { depth } => write_square(a, &inputs[0], depth),
            Program::BundleAdjustment => reprojection::write(a, inputs),
            Program::Rosenbrock => sparse::write_rosenbrock(a, inputs),
            Program::Arrowhead => sparse::write_arrowhead(a, inputs),
            Program::Bratu { side } => sparse::write_bratu(a, inputs, side),
            Program::BratuEnergy { side } => sparse::write_bratu_energy(a, inputs, side),
            Program::Clnlbeam { steps } => sparse::write_clnlbeam(a, inputs, steps),
        }
    }

    /// The graph, built anew.
    pub fn graph(&self) -> Graph<ScalarOp> {
        let mut builder = GraphBuilder::new();
        let inputs = self.inputs.iter();
        let inputs: Vec<LocalValueId> = inputs
            .map(|(key, _)| builder.add_input(key.clone()))
            .collect();
        let outputs = self.write(&mut Building(&mut builder), &inputs);
        builder.set_outputs(outputs);
        builder.build()
    }

    /// The function, built as a graph.
    pub fn function(&self) -> Function<ScalarOp> {
        let function = Function::build(self.keys(), |builder, inputs| {
            self.write(&mut Building(builder), inputs)
        });
        function.expect("a workload is closed")
    }

    /// The function, made of keys.
    pub fn function_of_keys(&self) -> Function<ScalarOp> {
        let keys = self.keys();
        let inputs: Vec<_> = keys.iter().cloned().map(ValueKey::Input).collect();
        let outputs = self.write(&mut Keys, &inputs).into_iter().enumerate();
        let outputs = outputs.map(|(at, key)| (key, format!("out{at}"))).collect();
        Function::from_keys(&keys, outputs).expect("a workload is closed")
    }

    /// The function and its Jacobian as one: the values, then each row of the Jacobian.
    pub fn values_and_jacobian(&self) -> Function<ScalarOp> {
        let function = self.function();
        let jacobian = function.jacobian(&*self.wrt_positions());
        let inputs: Vec<_> = self.keys().into_iter().map(ValueKey::Input).collect();
        let outputs = [Ok(function), jacobian].into_iter().flat_map(|part| {
            let part = part.and_then(|part| part.apply(&inputs));
            part.expect("the set has all rules")
        });
        let named = outputs
            .enumerate()
            .map(|(at, key)| (key, format!("out{at}")));
        let joined = Function::from_keys(&self.keys(), named.collect());
        joined.expect("both have the same inputs")
    }

    /// Records the program on a tape; returns the parameters and the outputs. What one does not
    /// differentiate by is a constant.
    pub fn record(&self, tape: &mut Tape<ScalarOp>) -> (Vec<Var<ScalarOp>>, Vec<Var<ScalarOp>>) {
        let inputs = self.inputs.iter().enumerate();
        let mut inputs: Vec<Var<ScalarOp>> = inputs
            .map(|(at, &(_, value))| match at < self.parameters {
                true => tape.leaf(value),
                false => Var::constant(value),
            })
            .collect();
        let outputs = self.write(&mut Recording(tape), &inputs);
        inputs.truncate(self.parameters);
        (inputs, outputs)
    }

    /// Records the program as one call per operation; returns the outputs.
    pub fn record_calls(&self, calls: &mut Calls) -> Vec<EagerInput<ScalarOp>> {
        let inputs = self.inputs.iter().enumerate();
        let inputs: Vec<_> = inputs
            .map(|(at, &(_, value))| calls.input(value, at < self.parameters))
            .collect();
        self.write(calls, &inputs)
    }

    /// The outputs in plain arithmetic.
    pub fn values(&self, inputs: &[f64]) -> Vec<f64> {
        self.write(&mut Numbers, inputs)
    }

    /// The values of the inputs.
    pub fn point(&self) -> Vec<f64> {
        self.inputs.iter().map(|(_, value)| *value).collect()
    }

    /// The keys of the inputs.
    pub fn keys(&self) -> Vec<ScalarKey> {
        self.inputs.iter().map(|(key, _)| key.clone()).collect()
    }

    /// The keys of the inputs that one differentiates by.
    pub fn wrt(&self) -> Vec<ScalarKey> {
        let parameters = self.inputs[..self.parameters].iter();
        parameters.map(|(key, _)| key.clone()).collect()
    }

    /// The positions of the inputs that one differentiates by.
    pub fn wrt_positions(&self) -> Vec<usize> {
        (0..self.parameters).collect()
    }
}

fn write_chain<A: Arithmetic>(
    a: &mut A,
    x: &A::Value,
    y: &A::Value,
    steps: usize,
) -> Vec<A::Value> {
    let mut v = x.clone();
    for _ in 0..steps {
        let sin = a.sin(&v);
        let product = a.mul(y, &sin);
        v = a.add(&v, &product);
    }
    vec![v]
}

fn write_wide<A: Arithmetic>(a: &mut A, x: &[A::Value]) -> Vec<A::Value> {
    let mut s = a.constant(0.0);
    for i in 0..x.len() {
        let square = a.mul(&x[i], &x[i]);
        let negated = a.neg(&square);
        let exp = a.exp(&negated);
        let product = a.mul(&exp, &x[(i + 1) % x.len()]);
        s = a.add(&s, &product);
    }
    vec![s]
}

fn write_square<A: Arithmetic>(a: &mut A, x: &A::Value, depth: usize) -> Vec<A::Value> {
    vec![(0..depth).fold(x.clone(), |v, _| a.mul(&v, &v))]
}

/// v = the input `name`; `depth` times: v = v·v. Written out, a tree of 2^depth.
pub fn square(name: &str, depth: usize) -> Graph<ScalarOp> {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(name.into());
    let v = append_square(&mut builder, x, depth);
    builder.set_outputs(vec![v]);
    builder.build()
}

/// `depth` times v = v·v, from a value on.
pub fn append_square(
    builder: &mut GraphBuilder<ScalarOp>,
    x: LocalValueId,
    depth: usize,
) -> LocalValueId {
    write_square(&mut Building(builder), &x, depth)[0]
}

/// Adds a primal operation on local values and returns its results.
pub fn apply<Op: GraphOperation>(
    builder: &mut GraphBuilder<Op>,
    op: Op,
    operands: &[LocalValueId],
) -> Vec<LocalValueId> {
    let operands = operands.iter().copied().map(ValueRef::Local).collect();
    builder.add_operation(op, operands, OperationRole::Primary)
}

/// The keys of a graph's outputs.
pub fn output_keys<Op: GraphOperation>(graph: &Graph<Op>) -> Vec<ValueKey<Op>> {
    let outputs = graph.outputs().iter();
    outputs.map(|&id| graph.values()[id].key.clone()).collect()
}
