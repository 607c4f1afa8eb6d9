//! A function as a list of steps: written once, built as one graph, as several, or recorded eagerly.

use std::collections::HashMap;
use std::sync::Arc;

use tidu::graph::{Graph, GraphBuilder, OperationRole, ValueKey, ValueRef};
use tidu::scalar::ScalarOp;

use super::problem::Problem;
use super::{Point, TestKey, TestOp};

/// A function as a list of steps. Values are numbered: first the inputs, then the results of the
/// steps.
#[derive(Clone, Debug)]
pub struct Sketch<Op: TestOp> {
    pub inputs: Vec<Op::InputKey>,
    pub steps: Vec<Step<Op>>,
    pub outputs: Vec<usize>,
    pub values: usize,
}

/// An operation on earlier values.
#[derive(Clone, Debug)]
pub struct Step<Op> {
    pub op: Op,
    pub operands: Vec<usize>,
    pub first_result: usize,
}

/// How steps are spread over graphs.
#[derive(Clone, Debug)]
pub struct Layout {
    /// By step: the graph that it goes to. Steps beyond the end go to graph 0.
    pub graph_of: Vec<usize>,
    /// Whether a graph has those before it as parents. If so, steps go to graphs in ascending order.
    pub parents: bool,
    /// Whether every graph has the inputs as its own, or only the first one.
    pub repeat_inputs: bool,
    /// Whether operands of the same graph are named by key, too.
    pub by_key: bool,
}

impl Layout {
    /// All steps in one graph.
    pub fn single() -> Self {
        Self {
            graph_of: Vec::new(),
            parents: false,
            repeat_inputs: false,
            by_key: false,
        }
    }

    fn graph_of(&self, step: usize) -> usize {
        self.graph_of.get(step).copied().unwrap_or(0)
    }
}

impl<Op: TestOp> Sketch<Op> {
    /// A function of named inputs.
    pub fn new<const N: usize>(inputs: [&str; N]) -> (Self, [usize; N]) {
        let sketch = Self {
            inputs: inputs.iter().map(|&name| TestKey::named(name)).collect(),
            steps: Vec::new(),
            outputs: Vec::new(),
            values: N,
        };
        (sketch, std::array::from_fn(|i| i))
    }

    /// Adds a step and returns its first result.
    pub fn apply<const N: usize>(&mut self, op: Op, operands: [usize; N]) -> usize {
        self.push(op, operands.to_vec())
    }

    /// Adds a step and returns its first result; the others follow.
    pub fn push(&mut self, op: Op, operands: Vec<usize>) -> usize {
        let first_result = self.values;
        self.values += op.output_count();
        self.steps.push(Step {
            op,
            operands,
            first_result,
        });
        first_result
    }

    /// The same steps, for these outputs.
    pub fn returning(mut self, outputs: impl Into<Vec<usize>>) -> Self {
        self.outputs = outputs.into();
        self
    }

    /// The point x, by key.
    pub fn point(&self, x: &[Op::Operand]) -> Point<Op> {
        assert_eq!(x.len(), self.inputs.len());
        let keys = self.inputs.iter().cloned().map(ValueKey::Input);
        keys.zip(x.iter().cloned()).collect()
    }

    /// The function at x, as one graph, to be differentiated by all inputs.
    pub fn at(&self, x: &[Op::Operand]) -> Problem<Op> {
        self.laid_out(&Layout::single(), x)
    }

    /// The function at x, over several graphs, to be differentiated by all inputs.
    pub fn laid_out(&self, layout: &Layout, x: &[Op::Operand]) -> Problem<Op> {
        let (roots, keys) = self.graphs(layout);
        let outputs = self.outputs.iter().map(|&id| keys[id].clone()).collect();
        Problem::new(roots, outputs, self.inputs.clone(), self.point(x))
    }

    /// The values by number, all of them, at x.
    pub fn values_at(&self, x: &[Op::Operand]) -> Vec<Op::Operand> {
        let mut values = x.to_vec();
        for step in &self.steps {
            let operands: Vec<_> = step.operands.iter().map(|&id| &values[id]).collect();
            let results = step.op.run(&operands);
            values.extend(results);
        }
        values
    }

    /// The outputs at x.
    pub fn value_at(&self, x: &[Op::Operand]) -> Vec<Op::Operand> {
        let values = self.values_at(x);
        self.outputs.iter().map(|&id| values[id].clone()).collect()
    }

    /// The roots to resolve, and the key of every value.
    pub fn graphs(&self, layout: &Layout) -> (Vec<Arc<Graph<Op>>>, Vec<ValueKey<Op>>) {
        let count = (0..self.steps.len()).map(|step| layout.graph_of(step) + 1);
        let mut drafts: Vec<Draft<Op>> = (0..count.max().unwrap_or(1))
            .map(|_| Draft::default())
            .collect();
        let mut keys: Vec<ValueKey<Op>> = Vec::new();
        for (id, key) in self.inputs.iter().enumerate() {
            keys.push(ValueKey::Input(key.clone()));
            let owners = if layout.repeat_inputs {
                drafts.len()
            } else {
                1
            };
            for draft in &mut drafts[..owners] {
                let local = draft.builder.add_input(key.clone());
                draft.local.insert(id, local);
            }
        }
        for (position, step) in self.steps.iter().enumerate() {
            drafts[layout.graph_of(position)].add(step, layout.by_key, &mut keys);
        }
        (build(drafts, layout.parents), keys)
    }
}

impl Sketch<ScalarOp> {
    /// Σₖ cₖ·yₖ as the only output.
    pub fn weighted(&self, c: &[f64]) -> Self {
        let mut sketch = self.clone();
        let mut sum = sketch.push(ScalarOp::constant(0.0), Vec::new());
        for (&output, &c) in self.outputs.iter().zip(c) {
            let c = sketch.push(ScalarOp::constant(c), Vec::new());
            let term = sketch.apply(ScalarOp::Mul, [output, c]);
            sum = sketch.apply(ScalarOp::Add, [sum, term]);
        }
        sketch.returning([sum])
    }
}

/// A graph that grows, and which of the sketch's values it has.
struct Draft<Op: TestOp> {
    builder: GraphBuilder<Op>,
    local: HashMap<usize, usize>,
}

impl<Op: TestOp> Draft<Op> {
    fn add(&mut self, step: &Step<Op>, by_key: bool, keys: &mut Vec<ValueKey<Op>>) {
        let operands = step.operands.iter().map(|id| match self.local.get(id) {
            Some(&local) if !by_key => ValueRef::Local(local),
            _ => ValueRef::External(keys[*id].clone()),
        });
        let operands = operands.collect();
        let results = self
            .builder
            .add_operation(step.op.clone(), operands, OperationRole::Primary);
        for (slot, local) in results.into_iter().enumerate() {
            self.local.insert(step.first_result + slot, local);
            keys.push(self.builder.global_key(local).clone());
        }
    }
}

impl<Op: TestOp> Default for Draft<Op> {
    fn default() -> Self {
        Self {
            builder: GraphBuilder::new(),
            local: HashMap::new(),
        }
    }
}

/// With parents, the last graph is root enough.
fn build<Op: TestOp>(drafts: Vec<Draft<Op>>, parents: bool) -> Vec<Arc<Graph<Op>>> {
    let mut graphs: Vec<Arc<Graph<Op>>> = Vec::new();
    for mut draft in drafts {
        if parents {
            for graph in &graphs {
                draft.builder.add_parent(Arc::clone(graph));
            }
        }
        graphs.push(Arc::new(draft.builder.build()));
    }
    if parents {
        graphs.drain(..graphs.len() - 1);
    }
    graphs
}
