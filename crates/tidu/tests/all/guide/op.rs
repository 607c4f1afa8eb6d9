// A part of docs/prove-your-own-primitive.md: the operations.
use std::fmt;

use tidu::StringKey;
use tidu::graph::{EvaluableGraphOperation, GraphOperation};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    /// A number, by its bits: operations are compared and hashed.
    Const(u64),
    Add,
    Mul,
    Tanh,
    /// (sinh x, cosh x)
    SinhCosh,
}

fn number(value: f64) -> Op {
    Op::Const(value.to_bits())
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        match self {
            Op::Const(bits) => vec![f64::from_bits(*bits)],
            Op::Add => vec![x[0] + x[1]],
            Op::Mul => vec![x[0] * x[1]],
            Op::Tanh => vec![x[0].tanh()],
            Op::SinhCosh => vec![x[0].sinh(), x[0].cosh()],
        }
    }
}
