//! A random function of a few inputs, at a point, with a direction.

use std::fmt;

use tidu::Function;
use tidu::scalar::ScalarOp;

use crate::support::tame::tame_function;
use crate::support::{Layout, Random, Sketch};

pub struct Case {
    pub seed: u64,
    /// Has one output.
    pub f: Sketch<ScalarOp>,
    pub x: Vec<f64>,
    /// The direction of Hessian-vector products.
    pub v: Vec<f64>,
}

impl Case {
    /// One seed, one case.
    pub fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let inputs = 1 + random.below(3);
        let numbers = |random: &mut Random| (0..inputs).map(|_| 1.5 * random.unit()).collect();
        let (x, v): (Vec<f64>, _) = (numbers(&mut random), numbers(&mut random));
        let steps = 1 + random.below(9);
        let mut choices: Vec<(usize, u16, u16)> = Vec::new();
        for at in 0..steps {
            let mut operand = || random.below(inputs + at) as u16;
            let operands = (operand(), operand());
            let choice = match choices.len() {
                // Work that was done before, with its operands exchanged: equal for a sum.
                earlier @ 1.. if random.below(4) == 0 => {
                    let (kind, a, b) = choices[random.below(earlier)];
                    (kind, b, a)
                }
                _ => (random.below(11), operands.0, operands.1),
            };
            choices.push(choice);
        }
        // Late values are the interesting ones.
        let output = random.below(6) as u16;
        let f = tame_function(&x, &choices, &[output]);
        Self { seed, f, x, v }
    }

    pub fn function(&self) -> Function<ScalarOp> {
        let (graphs, keys) = self.f.graphs(&Layout::single());
        let outputs = [keys[self.f.outputs[0]].clone()];
        Function::from_graphs(graphs, &self.f.inputs, &outputs).expect("the sketch is well-formed")
    }

    /// x, then v.
    pub fn point_and_direction(&self) -> Vec<f64> {
        [&self.x[..], &self.v].concat()
    }
}

/// The function, and the steps that it was made of if they are more: what was merged may be the fault.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = self.function();
        if function.as_graph().operations().len() < self.f.steps.len() {
            writeln!(f, "{}\nas", self.f.graphs(&Layout::single()).0[0])?;
        }
        write!(f, "{function}\nat {:?} in direction {:?}", self.x, self.v)
    }
}
