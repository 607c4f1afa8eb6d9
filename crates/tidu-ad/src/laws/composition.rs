//! Random functions made of the operations of a set.

use std::sync::Arc;

use tidu_graph::{
    EvaluableGraphOperation, GraphBuilder, LocalValueId, OperationRole, ValueKey, ValueRef,
};

use crate::function::Function;
use crate::rules::Primitive;

use super::case::{About, Case};
use super::fault::Fault;
use super::random::Random;
use super::setting::Setting;
use super::space::norm;
use super::subject::{Subject, single};

/// Results beyond this are not used: what is made of them soon overflows, or loses all digits.
const TAME: f64 = 8.0;

/// A function of `steps` operations at a point, or fewer where operations do not fit together.
///
/// Each step draws operands as the case of its operation does, and replaces some of them by values
/// that are there and have as many coordinates. Where the result is then not finite or large, the
/// operands are kept as drawn, as inputs of the function.
pub(super) fn random_composition<Op: Primitive + EvaluableGraphOperation>(
    setting: &Setting<Op>,
    cases: &[Case<Op>],
    steps: usize,
    random: &mut Random,
) -> Result<Option<Subject<Op>>, Box<Fault>> {
    let operations: Vec<(&Op, &Case<Op>)> = cases
        .iter()
        .filter_map(|case| match &case.about {
            About::Operation(operation) if operation.output_count() > 0 => Some((operation, case)),
            _ => None,
        })
        .collect();
    if operations.is_empty() {
        return Ok(None);
    }
    let mut sketch = Sketch {
        setting,
        builder: GraphBuilder::new(),
        values: Vec::new(),
        keys: Vec::new(),
        inputs: Vec::new(),
        inactive: Vec::new(),
    };
    for _ in 0..steps {
        let (operation, case) = operations[random.below(operations.len())];
        sketch.step(operation, case, random)?;
    }
    sketch.finish(random)
}

/// A function that is being made.
struct Sketch<'a, Op: Primitive + EvaluableGraphOperation> {
    setting: &'a Setting<Op>,
    builder: GraphBuilder<Op>,
    /// All values with what they are at the point.
    values: Vec<(LocalValueId, Op::Operand)>,
    keys: Vec<Op::InputKey>,
    inputs: Vec<Op::Operand>,
    inactive: Vec<usize>,
}

impl<Op: Primitive + EvaluableGraphOperation> Sketch<'_, Op> {
    fn step(
        &mut self,
        operation: &Op,
        case: &Case<Op>,
        random: &mut Random,
    ) -> Result<(), Box<Fault>> {
        let drawn = (case.draw)(random);
        let alone = single(operation, &self.setting.key)?.compile();
        let reused: Vec<Option<usize>> = drawn
            .iter()
            .enumerate()
            .map(|(position, operand)| self.choose(case, position, operand, random))
            .collect();
        let nothing = vec![None; drawn.len()];
        for reused in [reused, nothing] {
            let operands = reused.iter().zip(&drawn);
            let operands = operands.map(|(reused, drawn)| match reused {
                Some(at) => self.values[*at].1.clone(),
                None => drawn.clone(),
            });
            let operands: Vec<Op::Operand> = operands.collect();
            let results = self.setting.run(&alone, &operands)?;
            if results.iter().all(|result| self.is_tame(result)) {
                self.push(operation, case, &reused, operands, results)?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// A value to use in place of a drawn operand, if one is to be used.
    fn choose(
        &self,
        case: &Case<Op>,
        position: usize,
        drawn: &Op::Operand,
        random: &mut Random,
    ) -> Option<usize> {
        let dimension = self.setting.space.dimension(drawn);
        if dimension == 0 || case.inactive.contains(&position) || random.below(4) == 0 {
            return None;
        }
        let fits = |at: &usize| self.setting.space.dimension(&self.values[*at].1) == dimension;
        let fitting: Vec<usize> = (0..self.values.len()).filter(fits).collect();
        match fitting.len() {
            0 => None,
            count => Some(fitting[random.below(count)]),
        }
    }

    fn is_tame(&self, result: &Op::Operand) -> bool {
        norm(&self.setting.space.coordinates(result)) <= TAME
    }

    fn push(
        &mut self,
        operation: &Op,
        case: &Case<Op>,
        reused: &[Option<usize>],
        operands: Vec<Op::Operand>,
        results: Vec<Op::Operand>,
    ) -> Result<(), Box<Fault>> {
        let mut ids = Vec::with_capacity(operands.len());
        for (position, (reused, operand)) in reused.iter().zip(operands).enumerate() {
            let id = match reused {
                Some(at) => self.values[*at].0,
                None => {
                    let is_inactive = case.inactive.contains(&position);
                    self.add_input(operand, is_inactive)
                }
            };
            ids.push(ValueRef::Local(id));
        }
        let role = OperationRole::Primary;
        let outputs = self
            .builder
            .try_add_operation(operation.clone(), ids, role)
            .map_err(|error| Fault::new(error.to_string()))?;
        self.values.extend(outputs.into_iter().zip(results));
        Ok(())
    }

    fn add_input(&mut self, operand: Op::Operand, is_inactive: bool) -> LocalValueId {
        let position = self.keys.len();
        let key = (self.setting.key)(position);
        let id = self.builder.add_input(key.clone());
        self.keys.push(key);
        self.inputs.push(operand.clone());
        match is_inactive {
            true => self.inactive.push(position),
            // An input that must not be active is not used where it would be.
            false => self.values.push((id, operand)),
        }
        id
    }

    /// The last value and one other as outputs.
    fn finish(self, random: &mut Random) -> Result<Option<Subject<Op>>, Box<Fault>> {
        let Some((last, _)) = self.values.last() else {
            return Ok(None);
        };
        let (other, _) = self.values[random.below(self.values.len())];
        let outputs = [*last, other].map(|id| self.builder.global_key(id).clone());
        let outputs: Vec<ValueKey<Op>> = outputs.to_vec();
        let graphs = vec![Arc::new(self.builder.build())];
        Ok(Some(Subject {
            function: Function::from_graphs(graphs, &self.keys, &outputs)?,
            values: self.inputs,
            inactive: self.inactive,
        }))
    }
}
