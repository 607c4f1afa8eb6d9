//! Looking for all rules that a derivative lacks, where one was found to be missing.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tidu_graph::GraphBuilder;

use super::FunctionError;
use super::derivation::Derivation;
use super::missing::Mode;
use crate::cotangents::Seed;
use crate::rules::{ADRuleError, ADRuleResult, MissingRule, MissingRules, Primitive};
use crate::transpose::Observer;
use crate::walk::{WalkStep, pull_back, push_forward};

/// Missing rules of a transposition, noted where they are found.
#[derive(Default)]
struct Noted {
    rules: MissingRules,
}

impl<Op: Primitive> Observer<Op, GraphBuilder<Op>> for Noted {
    fn failed(&mut self, error: ADRuleError) -> ADRuleResult<()> {
        self.rules.note(error)
    }
}

impl<Op: Primitive> Derivation<'_, Op> {
    /// The rules that a derivative needs and that are not there, each once, in the order in which it would come to
    /// them. Where a rule is missing, every tangent or cotangent that it might have made is taken to be there.
    pub fn missing_rules(mut self, mode: Mode) -> Result<Vec<MissingRule>, FunctionError> {
        let function = self.function.clone();
        let dense = function.as_dense();
        let mut missing = Noted::default();
        let mut active = vec![false; dense.value_count()];
        self.wrt.iter().for_each(|&input| active[input] = true);
        let mut derivative = vec![None; dense.operation_count()];
        let nodes = dense.nodes().zip(&mut derivative);
        push_forward(nodes, &mut active, |(node, place), active| {
            let operands: Vec<bool> = node.operands().map(|at| active[at]).collect();
            match self.derive(node, &operands) {
                Ok(at) => {
                    let live = self.operations.derived[at].derivatives.live();
                    active[node.results()].copy_from_slice(live);
                    *place = Some(at);
                }
                Err(FunctionError::Rule(error)) => {
                    missing.rules.note(error)?;
                    active[node.results()].fill(true);
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        if mode == Mode::Reverse {
            self.note_missing_transposes(&active, &derivative, &mut missing)?;
        }
        Ok(missing.rules.into_list())
    }

    fn note_missing_transposes(
        &mut self,
        active: &[bool],
        derivative: &[Option<usize>],
        missing: &mut Noted,
    ) -> Result<(), FunctionError> {
        let function = self.function.clone();
        let dense = function.as_dense();
        let mut reached = vec![false; dense.value_count()];
        for id in dense.outputs() {
            reached[id.index()] = active[id.index()];
        }
        let mut known: HashMap<(usize, Vec<Seed>), Vec<bool>, FixedState> = HashMap::default();
        let nodes = dense.nodes().zip(derivative);
        pull_back(nodes, &mut reached, |(node, &at), reached| {
            let seeds = reached[node.results()].iter();
            let seeds = seeds.map(|&reached| if reached { Seed::Full } else { Seed::Zero });
            let seeds: Vec<Seed> = seeds.collect();
            let operands = match at {
                // Its rule is missing: what it does not return may be anything.
                None => vec![true; node.operands.len()],
                Some(at) => match known.get(&(at, seeds.clone())) {
                    Some(known) => known.clone(),
                    None => {
                        let derivatives = &mut self.operations.derived[at].derivatives;
                        let root = &self.function.content.input_keys[0];
                        let found = derivatives.reached(&seeds, root, self.ctx, missing)?;
                        known.insert((at, seeds), found.clone());
                        found
                    }
                },
            };
            for (value, is_reached) in node.operands().zip(operands) {
                reached[value] |= is_reached && active[value];
            }
            Ok(())
        })
    }
}
