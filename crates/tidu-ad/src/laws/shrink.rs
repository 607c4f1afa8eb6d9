//! The smallest part of a function that still fails.

use std::sync::Arc;

use tidu_graph::{EvaluableGraphOperation, GraphBuilder, LocalValueId, ValueKey, ValueRef};

use crate::function::Function;
use crate::rules::Primitive;

use super::fault::Fault;
use super::probe::output_keys;
use super::setting::Setting;
use super::subject::Subject;

/// Makes a subject smaller, step by step, as long as it fails.
///
/// A step asks for one output only, ends at an earlier operation, makes an input of an operation's
/// results, or lets an operand stand for a result. The first step that leaves something that fails
/// is taken; the order is fixed, so the same failure always ends at the same subject.
///
/// # Complexity
///
/// At most one call of `fails` for each operation, operand and output, for each step taken; a step
/// makes the subject smaller.
pub(super) fn shrink<Op: Primitive + EvaluableGraphOperation>(
    setting: &Setting<Op>,
    subject: &Subject<Op>,
    fails: impl Fn(&Subject<Op>) -> bool,
) -> Subject<Op> {
    let mut smallest = subject.clone();
    while let Some(smaller) = smaller(setting, &smallest, &fails) {
        smallest = smaller;
    }
    smallest
}

fn smaller<Op: Primitive + EvaluableGraphOperation>(
    setting: &Setting<Op>,
    subject: &Subject<Op>,
    fails: &impl Fn(&Subject<Op>) -> bool,
) -> Option<Subject<Op>> {
    let cutter = Cutter::new(setting, subject).ok()?;
    let size = size(subject);
    let cuts = cutter.cuts().into_iter();
    let mut candidates = cuts.filter_map(|cut| cutter.apply(&cut).ok());
    candidates.find(|candidate| self::size(candidate) < size && fails(candidate))
}

fn size<Op: Primitive>(subject: &Subject<Op>) -> (usize, usize, usize) {
    let graph = subject.function.as_graph();
    let [operations, outputs] = [graph.operations().len(), graph.outputs().len()];
    (operations, outputs, graph.inputs().len())
}

/// A way to make a function smaller.
struct Cut {
    outputs: Vec<LocalValueId>,
    /// What stands for results of an operation.
    instead: Vec<(LocalValueId, Instead)>,
}

enum Instead {
    NewInput,
    Value(LocalValueId),
}

struct Cutter<'a, Op: Primitive + EvaluableGraphOperation> {
    setting: &'a Setting<Op>,
    subject: &'a Subject<Op>,
    /// By local value: what it is at the point.
    values: Vec<Op::Operand>,
}

impl<'a, Op: Primitive + EvaluableGraphOperation> Cutter<'a, Op> {
    fn new(setting: &'a Setting<Op>, subject: &'a Subject<Op>) -> Result<Self, Box<Fault>> {
        let graph = subject.function.as_graph();
        let all: Vec<ValueKey<Op>> = graph.values().iter().map(|node| node.key.clone()).collect();
        let inputs = subject.function.input_keys();
        let whole = Function::from_graphs(vec![Arc::new(graph.clone())], &inputs, &all)?;
        let values = setting.run(&whole.compile(), &subject.values)?;
        Ok(Self {
            setting,
            subject,
            values,
        })
    }

    fn cuts(&self) -> Vec<Cut> {
        let graph = self.subject.function.as_graph();
        let outputs = graph.outputs().to_vec();
        let mut cuts = Vec::new();
        for node in graph.operations() {
            cuts.push(Cut {
                outputs: node.outputs.to_vec(),
                instead: Vec::new(),
            });
        }
        for &output in &outputs {
            cuts.push(Cut {
                outputs: vec![output],
                instead: Vec::new(),
            });
        }
        for node in graph.operations().iter().rev() {
            let instead = node.outputs.iter().map(|&id| (id, Instead::NewInput));
            cuts.push(Cut {
                outputs: outputs.clone(),
                instead: instead.collect(),
            });
        }
        for node in graph.operations() {
            for operand in &*node.inputs {
                cuts.extend(self.bypass(&outputs, &node.outputs, operand));
            }
        }
        // Inputs that nothing needs.
        cuts.push(Cut {
            outputs,
            instead: Vec::new(),
        });
        cuts
    }

    fn bypass(
        &self,
        outputs: &[LocalValueId],
        results: &[LocalValueId],
        operand: &ValueRef<Op>,
    ) -> Option<Cut> {
        let (ValueRef::Local(operand), [result]) = (operand, results) else {
            return None;
        };
        let dimension = |id: LocalValueId| self.setting.space.dimension(&self.values[id]);
        (dimension(*operand) == dimension(*result)).then(|| Cut {
            outputs: outputs.to_vec(),
            instead: vec![(*result, Instead::Value(*operand))],
        })
    }

    fn apply(&self, cut: &Cut) -> Result<Subject<Op>, Box<Fault>> {
        let graph = self.subject.function.as_graph();
        let mut builder = GraphBuilder::new();
        let mut here: Vec<Option<LocalValueId>> = vec![None; graph.values().len()];
        let mut inputs: Vec<(Op::InputKey, Op::Operand, bool)> = Vec::new();
        let keys = self.subject.function.input_keys();
        for (position, (&id, key)) in graph.inputs().iter().zip(keys).enumerate() {
            here[id] = Some(builder.add_input(key.clone()));
            let is_inactive = self.subject.inactive.contains(&position);
            inputs.push((key, self.subject.values[position].clone(), is_inactive));
        }
        for (id, instead) in &cut.instead {
            if let Instead::NewInput = instead {
                let key = self.fresh_key(&inputs);
                here[*id] = Some(builder.add_input(key.clone()));
                inputs.push((key, self.values[*id].clone(), false));
            }
        }
        for node in graph.operations() {
            let operands = node.inputs.iter().map(|operand| match operand {
                ValueRef::Local(id) => here[*id].map(ValueRef::Local),
                external @ ValueRef::External(_) => Some(external.clone()),
            });
            let operands = operands.collect::<Option<Vec<_>>>();
            let operands = operands.ok_or_else(|| Fault::new("an operand was cut away"))?;
            let results = builder
                .try_add_operation(node.operation.clone(), operands, node.role.clone())
                .map_err(|error| Fault::new(error.to_string()))?;
            for (&id, result) in node.outputs.iter().zip(results) {
                let instead = cut.instead.iter().find(|(replaced, _)| *replaced == id);
                match instead {
                    None => here[id] = Some(result),
                    Some((_, Instead::NewInput)) => {}
                    Some((_, Instead::Value(other))) => here[id] = here[*other],
                }
            }
        }
        let outputs = cut.outputs.iter().filter_map(|&id| here[id]);
        let outputs = outputs.map(|id| builder.global_key(id).clone());
        let outputs: Vec<ValueKey<Op>> = outputs.collect();
        close(builder, inputs, &outputs)
    }

    fn fresh_key(&self, taken: &[(Op::InputKey, Op::Operand, bool)]) -> Op::InputKey {
        let mut position = taken.len();
        loop {
            let key = (self.setting.key)(position);
            if taken.iter().all(|(other, ..)| *other != key) {
                return key;
            }
            position += 1;
        }
    }
}

/// The function of what outputs need, with the inputs that they need.
fn close<Op: Primitive>(
    builder: GraphBuilder<Op>,
    inputs: Vec<(Op::InputKey, Op::Operand, bool)>,
    outputs: &[ValueKey<Op>],
) -> Result<Subject<Op>, Box<Fault>> {
    let keys: Vec<Op::InputKey> = inputs.iter().map(|(key, ..)| key.clone()).collect();
    let whole = Function::from_graphs(vec![Arc::new(builder.build())], &keys, outputs)?;
    let graph = whole.as_graph();
    let mut is_used = vec![false; graph.values().len()];
    graph.outputs().iter().for_each(|&id| is_used[id] = true);
    for node in graph.operations() {
        for operand in &*node.inputs {
            if let ValueRef::Local(id) = operand {
                is_used[*id] = true;
            }
        }
    }
    let used = graph.inputs().iter().map(|&id| is_used[id]);
    let used: Vec<_> = inputs.into_iter().zip(used).collect();
    let used = used
        .into_iter()
        .filter_map(|(input, is_used)| is_used.then_some(input));
    let used: Vec<_> = used.collect();
    let keys: Vec<Op::InputKey> = used.iter().map(|(key, ..)| key.clone()).collect();
    let graphs = vec![Arc::new(graph.clone())];
    let inactive = used
        .iter()
        .enumerate()
        .filter(|(_, (.., inactive))| *inactive);
    Ok(Subject {
        function: Function::from_graphs(graphs, &keys, &output_keys(graph))?,
        inactive: inactive.map(|(at, _)| at).collect(),
        values: used.iter().map(|(_, value, _)| value.clone()).collect(),
    })
}
