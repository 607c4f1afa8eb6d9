//! A runtime of a few lines: computes at once what it is asked to add.

use std::collections::HashMap;
use std::sync::Arc;

use tidu::PrimitiveBuilder;
use tidu::graph::{GraphOperation, LocalValueId, OperationKey, OperationRole, ValueKey, ValueRef};

use super::{Point, TestOp};

/// A builder that computes. `external` finds the values that keys name.
pub struct Interpreter<Op: TestOp, F> {
    pub values: Vec<Op::Operand>,
    pub external: F,
}

impl<Op: TestOp, F: FnMut(&ValueKey<Op>) -> Op::Operand> Interpreter<Op, F> {
    pub fn new(external: F) -> Self {
        Self {
            values: Vec::new(),
            external,
        }
    }

    /// Takes in the values that are there, and returns their ids.
    pub fn seed(&mut self, seeds: &[Option<Op::Operand>]) -> Vec<Option<LocalValueId>> {
        let ids = seeds.iter().map(|seed| {
            seed.as_ref().map(|seed| {
                self.values.push(seed.clone());
                self.values.len() - 1
            })
        });
        ids.collect()
    }

    /// The values of ids.
    pub fn read(&self, ids: &[Option<LocalValueId>]) -> Vec<Option<Op::Operand>> {
        let values = ids.iter().map(|id| id.map(|id| self.values[id].clone()));
        values.collect()
    }
}

impl<Op, F> PrimitiveBuilder<Op> for Interpreter<Op, F>
where
    Op: TestOp,
    F: FnMut(&ValueKey<Op>) -> Op::Operand,
{
    fn add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<ValueRef<Op>>,
        _role: OperationRole,
    ) -> Vec<LocalValueId> {
        let operands: Vec<Op::Operand> = inputs
            .iter()
            .map(|input| match input {
                ValueRef::Local(id) => self.values[*id].clone(),
                ValueRef::External(key) => (self.external)(key),
            })
            .collect();
        let start = self.values.len();
        self.values
            .extend(op.run(&operands.iter().collect::<Vec<_>>()));
        (start..self.values.len()).collect()
    }
}

/// Evaluates keys as the expressions that they are: without graphs, views or programs.
pub struct KeyEvaluator<'a, Op: TestOp> {
    point: &'a Point<Op>,
    /// By address; the keys are kept so that no address is used again.
    known: HashMap<*const OperationKey<Op>, Known<Op>>,
}

type Known<Op> = (Arc<OperationKey<Op>>, Vec<<Op as GraphOperation>::Operand>);

impl<'a, Op: TestOp> KeyEvaluator<'a, Op> {
    pub fn new(point: &'a Point<Op>) -> Self {
        Self {
            point,
            known: HashMap::new(),
        }
    }

    pub fn value(&mut self, key: &ValueKey<Op>) -> Op::Operand {
        match key {
            ValueKey::Input(_) => match self.point.get(key) {
                Some(value) => value.clone(),
                None => panic!("{key:?} has no value"),
            },
            ValueKey::Derived {
                operation,
                output_slot,
            } => {
                let address = Arc::as_ptr(operation);
                if !self.known.contains_key(&address) {
                    let operands: Vec<_> = operation
                        .inputs()
                        .iter()
                        .map(|key| self.value(key))
                        .collect();
                    let results = operation
                        .operation()
                        .run(&operands.iter().collect::<Vec<_>>());
                    self.known.insert(address, (Arc::clone(operation), results));
                }
                self.known[&address].1[usize::from(*output_slot)].clone()
            }
        }
    }
}
