//! The programs that all benchmarks run, so that figures can be compared.

use std::sync::Arc;

use tidu::graph::{Graph, GraphBuilder, LocalValueId, OperationRole, ValueRef};
use tidu::scalar::{ScalarKey, ScalarOp};

/// A function of named inputs, with a point to evaluate it at.
pub struct Workload {
    pub name: &'static str,
    /// The number of primal operations.
    pub operations: usize,
    pub inputs: Vec<(ScalarKey, f64)>,
    pub build: fn(usize) -> Graph<ScalarOp>,
}

/// v = x; n/3 times v = v + y·sin v. The gradient stays near 1 at any depth.
pub fn chain(operations: usize) -> Workload {
    Workload {
        name: "chain",
        operations: operations / 3 * 3,
        inputs: vec![("x".into(), 0.3), ("y".into(), 1e-6)],
        build: |operations| {
            let mut program = Program::default();
            let (x, y) = (program.input("x".into()), program.input("y".into()));
            let mut v = x;
            for _ in 0..operations / 3 {
                let sin = program.apply(ScalarOp::Sin, &[v]);
                let product = program.apply(ScalarOp::Mul, &[y, sin]);
                v = program.apply(ScalarOp::Add, &[v, product]);
            }
            program.finish(v)
        },
    }
}

/// s = 0; for each of n/5 inputs: s = s + exp(-(xᵢ·xᵢ))·xᵢ₊₁.
pub fn wide(operations: usize) -> Workload {
    let inputs = operations / 5;
    Workload {
        name: "wide",
        operations: inputs * 5,
        inputs: (0..inputs)
            .map(|i| (ScalarKey::fresh(i as u64), 0.01 + 0.1 * (i % 7) as f64))
            .collect(),
        build: |operations| {
            let mut program = Program::default();
            let x: Vec<_> = (0..operations / 5)
                .map(|i| program.input(ScalarKey::fresh(i as u64)))
                .collect();
            let mut s = program.apply(ScalarOp::constant(0.0), &[]);
            for i in 0..x.len() {
                let square = program.apply(ScalarOp::Mul, &[x[i], x[i]]);
                let negated = program.apply(ScalarOp::Neg, &[square]);
                let exp = program.apply(ScalarOp::Exp, &[negated]);
                let product = program.apply(ScalarOp::Mul, &[exp, x[(i + 1) % x.len()]]);
                s = program.apply(ScalarOp::Add, &[s, product]);
            }
            program.finish(s)
        },
    }
}

impl Workload {
    pub fn graph(&self) -> Arc<Graph<ScalarOp>> {
        Arc::new((self.build)(self.operations))
    }

    pub fn wrt(&self) -> Vec<ScalarKey> {
        self.inputs.iter().map(|(key, _)| key.clone()).collect()
    }
}

#[derive(Default)]
struct Program {
    builder: GraphBuilder<ScalarOp>,
}

impl Program {
    fn input(&mut self, key: ScalarKey) -> LocalValueId {
        self.builder.add_input(key)
    }

    fn apply(&mut self, op: ScalarOp, operands: &[LocalValueId]) -> LocalValueId {
        let operands = operands.iter().map(|&id| ValueRef::Local(id)).collect();
        self.builder
            .add_operation(op, operands, OperationRole::Primary)[0]
    }

    fn finish(mut self, output: LocalValueId) -> Graph<ScalarOp> {
        self.builder.set_outputs(vec![output]);
        self.builder.build()
    }
}
