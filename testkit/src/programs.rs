//! The programs that tests and benchmarks run, always the same, so that figures can be compared.

use tidu_graph::{
    Graph, GraphBuilder, GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef,
};
use tidu_scalar::{ScalarKey, ScalarOp};

/// A function of named inputs, with a point to evaluate it at.
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// The number of primal operations, but for a constant.
    pub operations: usize,
    /// The inputs, with the point.
    pub inputs: Vec<(ScalarKey, f64)>,
    build: fn(usize) -> Graph<ScalarOp>,
}

/// v = x; n/3 times v = v + y·sin v. The gradient stays near 1 at any depth.
pub fn chain(operations: usize) -> Workload {
    Workload {
        name: "chain",
        operations: operations / 3 * 3,
        inputs: vec![("x".into(), 0.3), ("y".into(), 1e-6)],
        build: |operations| {
            let mut builder = GraphBuilder::new();
            let mut v = builder.add_input("x".into());
            let y = builder.add_input("y".into());
            for _ in 0..operations / 3 {
                let sin = apply(&mut builder, ScalarOp::Sin, &[v])[0];
                let product = apply(&mut builder, ScalarOp::Mul, &[y, sin])[0];
                v = apply(&mut builder, ScalarOp::Add, &[v, product])[0];
            }
            builder.set_outputs(vec![v]);
            builder.build()
        },
    }
}

/// s = 0; for each i of n/5: s = s + exp(-(xᵢ·xᵢ))·xᵢ₊₁.
pub fn wide(operations: usize) -> Workload {
    let inputs = operations / 5;
    Workload {
        name: "wide",
        operations: inputs * 5,
        inputs: (0..inputs)
            .map(|i| (ScalarKey::fresh(i as u64), 0.01 + 0.1 * (i % 7) as f64))
            .collect(),
        build: |operations| {
            let mut builder = GraphBuilder::new();
            let x: Vec<LocalValueId> = (0..operations / 5)
                .map(|i| builder.add_input(ScalarKey::fresh(i as u64)))
                .collect();
            let mut s = apply(&mut builder, ScalarOp::constant(0.0), &[])[0];
            for i in 0..x.len() {
                let square = apply(&mut builder, ScalarOp::Mul, &[x[i], x[i]])[0];
                let negated = apply(&mut builder, ScalarOp::Neg, &[square])[0];
                let exp = apply(&mut builder, ScalarOp::Exp, &[negated])[0];
                let product = apply(&mut builder, ScalarOp::Mul, &[exp, x[(i + 1) % x.len()]])[0];
                s = apply(&mut builder, ScalarOp::Add, &[s, product])[0];
            }
            builder.set_outputs(vec![s]);
            builder.build()
        },
    }
}

impl Workload {
    /// The graph, built anew.
    pub fn graph(&self) -> Graph<ScalarOp> {
        (self.build)(self.operations)
    }

    /// The keys of the inputs.
    pub fn wrt(&self) -> Vec<ScalarKey> {
        self.inputs.iter().map(|(key, _)| key.clone()).collect()
    }
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
    (0..depth).fold(x, |v, _| apply(builder, ScalarOp::Mul, &[v, v])[0])
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
