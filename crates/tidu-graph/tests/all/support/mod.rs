//! What the tests of this crate share: small programs, a misshapen operation, a small stack, and
//! the text of a panic.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

use std::sync::Arc;

use tidu_graph::{EvaluableGraphOperation, Graph, GraphOperation, ValueKey};
use tidu_scalar::{ScalarKey, ScalarOp};
pub use tidu_testkit::{append_square, apply, on_small_stack, output_keys, panic_text, square};

pub fn input(name: &str) -> ValueKey<ScalarOp> {
    ValueKey::Input(ScalarKey::from(name))
}

/// v = x; `steps` times: v = v + y·sin v. Three operations a step.
pub fn chain(steps: usize) -> Graph<ScalarOp> {
    tidu_testkit::chain(3 * steps).graph()
}

/// What [`chain`] computes.
pub fn chain_value(steps: usize, x: f64, y: f64) -> f64 {
    (0..steps).fold(x, |v, _| v + y * v.sin())
}

/// An operation of any shape. It returns `returned` results: the sum of its operands plus the slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    pub name: &'static str,
    pub inputs: usize,
    pub outputs: usize,
    pub returned: usize,
}

impl Block {
    /// A block that returns what it promises.
    pub fn new(name: &'static str, inputs: usize, outputs: usize) -> Self {
        Self {
            name,
            inputs,
            outputs,
            returned: outputs,
        }
    }
}

impl GraphOperation for Block {
    type Operand = f64;
    type Context = ();
    type InputKey = u32;

    fn input_count(&self) -> usize {
        self.inputs
    }

    fn output_count(&self) -> usize {
        self.outputs
    }
}

impl EvaluableGraphOperation for Block {
    fn eval(&self, _ctx: &mut (), inputs: &[&f64]) -> Vec<f64> {
        let sum: f64 = inputs.iter().copied().sum();
        (0..self.returned).map(|slot| sum + slot as f64).collect()
    }
}

/// A graph as views take it.
pub fn shared<Op: GraphOperation>(graph: Graph<Op>) -> Arc<Graph<Op>> {
    Arc::new(graph)
}
