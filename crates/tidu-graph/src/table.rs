//! The hash-consing table behind [`ResolvedView`](crate::ResolvedView) and
//! [`ValueKeyInterner`](crate::ValueKeyInterner): equal structures get one dense id.
//!
//! Invariant: the operands of an operation are in the table before it. Equality inside the table is
//! therefore one level deep: same operation, same role, same operand ids.

use std::num::NonZeroU32;
use std::sync::Arc;

use hashbrown::{HashMap, HashTable};
use smallvec::SmallVec;

use crate::GraphOperation;
use crate::base::{LIMIT, OperationId, Packed, ValueId, to_u32};
use crate::error::GraphError;
use crate::graph::{Graph, StepOperand};
use crate::key::{Birthplace, FixedState, OperationKey, ValueKey, hash_one};
use crate::operation_index::{OperationIndex, Place};

/// How a value comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// A graph input.
    Input,
    /// A result of an operation.
    Output {
        /// The operation.
        operation: OperationId,
        /// Which of its results.
        slot: usize,
    },
}

/// An operation of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableOperation<'a, Op: GraphOperation> {
    key: &'a Arc<OperationKey<Op>>,
    operands: &'a [ValueId],
    first_output: ValueId,
}

impl<'a, Op: GraphOperation> TableOperation<'a, Op> {
    /// The structural identity.
    pub fn key(&self) -> &'a Arc<OperationKey<Op>> {
        self.key
    }

    /// The operands, in order.
    pub fn operands(&self) -> &'a [ValueId] {
        self.operands
    }

    /// The id of the result in `slot`; results have consecutive ids.
    pub fn output(&self, slot: usize) -> ValueId {
        ValueId::new(self.first_output.index() + slot)
    }
}

pub(crate) struct ValueTable<Op: GraphOperation> {
    values: Vec<Value>,
    inputs: Vec<Op::InputKey>,
    operations: Vec<Operation<Op>>,
    operands: Vec<ValueId>,
    /// Indices into `inputs`, with the value.
    inputs_by_hash: HashTable<(u32, ValueId)>,
    /// Finds an operation by structure.
    index: OperationIndex,
    /// Find an operation by its very description: the graphs that were added, by their numbers, and
    /// descriptions from elsewhere.
    graphs: HashMap<NonZeroU32, AddedGraph<Op>, FixedState>,
    by_fingerprint: HashTable<OperationId>,
    /// Found once, a twin is never walked again: without this, interning the keys of a graph that
    /// was built a second time, one after the other, would walk each one's whole history.
    twins: Twins,
    /// Keeps the twins alive, so that an address stands for one description only.
    kept: Vec<Arc<OperationKey<Op>>>,
}

/// A value says no more than where it comes from; keys are made when they are asked for, so that
/// a table does not hold a counted reference for each of its values.
#[derive(Clone, Copy)]
struct Value {
    /// An operation, or an index into the inputs that is marked with `INPUT`.
    origin: u32,
    /// The last operation in its list.
    last: Packed<OperationId>,
}

/// Marks the index of an input.
const INPUT: u32 = LIMIT;

struct Operation<Op: GraphOperation> {
    key: Arc<OperationKey<Op>>,
    first_operand: u32,
    first_output: ValueId,
}

/// A graph whose operations are in the table.
struct AddedGraph<Op: GraphOperation> {
    graph: Graph<Op>,
    /// By operation of the graph, as far as it has been added.
    ids: Vec<OperationId>,
}

type OperandIds = SmallVec<[ValueId; 4]>;

/// Descriptions, by address, that equal one in the table but are not it.
type Twins = HashMap<usize, OperationId, FixedState>;

/// What one look-up of several keys found out, by address; `None` for what the table does not have.
/// Without the latter, keys that are unknown for the same reason would each walk down to it.
type Verdicts = HashMap<usize, Option<OperationId>, FixedState>;

/// What looking at an operation's operands came to.
enum Operands {
    Known(OperandIds),
    /// Some must be looked up first.
    Pending,
    /// Some are not in the table.
    Unknown,
}

impl<Op: GraphOperation> ValueTable<Op> {
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// A table for about this many operations.
    pub fn with_capacity(operations: usize) -> Self {
        Self {
            values: Vec::with_capacity(operations),
            inputs: Vec::new(),
            operations: Vec::with_capacity(operations),
            operands: Vec::with_capacity(operations),
            inputs_by_hash: HashTable::new(),
            index: OperationIndex::with_capacity(operations),
            graphs: HashMap::default(),
            by_fingerprint: HashTable::new(),
            twins: Twins::default(),
            kept: Vec::new(),
        }
    }

    /// Adds all values of a graph, and what they refer to; by local id, the ids of the former.
    pub fn add_graph(&mut self, graph: &Graph<Op>) -> Vec<ValueId> {
        // Overwritten before it is read, since a graph is in topological order.
        let mut here = vec![ValueId(0); graph.values().len()];
        for &input in graph.inputs() {
            here[input] = self.intern_input(graph.input_key(input));
        }
        let mut added = AddedGraph {
            graph: graph.clone(),
            ids: Vec::with_capacity(graph.operation_count()),
        };
        let mut operands = Vec::new();
        for step in graph.steps() {
            operands.clear();
            for (operand, birthplace) in step.operands().zip(step.birthplaces()) {
                operands.push(match operand {
                    StepOperand::Local(local) => here[local],
                    StepOperand::External(key) => match self.find_born(key, birthplace) {
                        Some(known) => known,
                        None => self
                            .intern(key)
                            .expect("a builder admits well-formed operands only"),
                    },
                });
            }
            let outputs = step.key.operation().output_count();
            let id = match self.find_structure(step.key, &operands) {
                Ok(known) => known,
                Err(place) => self.push(step.key, &operands, outputs, place),
            };
            added.ids.push(id);
            let first = self.operations[id.index()].first_output.0;
            let here = &mut here[step.first_result()..][..outputs];
            for (here, output) in here.iter_mut().zip(first..) {
                *here = ValueId(output);
            }
        }
        self.graphs.insert(graph.number(), added);
        here
    }

    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    pub fn operation_count(&self) -> usize {
        self.operations.len()
    }

    /// All operations, operands before users.
    pub fn operation_ids(&self) -> impl DoubleEndedIterator<Item = OperationId> + use<Op> {
        (0..self.operations.len()).map(OperationId::new)
    }

    /// The operations that were added since there were `known` of them.
    pub fn operation_ids_since(&self, known: usize) -> impl Iterator<Item = OperationId> + use<Op> {
        (known..self.operations.len()).map(OperationId::new)
    }

    /// All values, operands before results.
    pub fn value_ids(&self) -> impl DoubleEndedIterator<Item = ValueId> + use<Op> {
        (0..self.values.len()).map(ValueId::new)
    }

    /// The key of a value, in the first description that was seen of its structure.
    pub fn key(&self, id: ValueId) -> ValueKey<Op> {
        match self.origin(id) {
            ValueOrigin::Input => {
                let index = self.values[id.index()].origin & !INPUT;
                ValueKey::Input(self.inputs[index as usize].clone())
            }
            ValueOrigin::Output { operation, slot } => {
                ValueKey::result(self.operation(operation).key, slot)
            }
        }
    }

    #[inline]
    pub fn origin(&self, id: ValueId) -> ValueOrigin {
        let origin = self.values[id.index()].origin;
        if origin & INPUT != 0 {
            return ValueOrigin::Input;
        }
        let first = self.operations[origin as usize].first_output;
        ValueOrigin::Output {
            operation: OperationId(origin),
            slot: id.index() - first.index(),
        }
    }

    pub fn operation(&self, id: OperationId) -> TableOperation<'_, Op> {
        let entry = &self.operations[id.index()];
        let end = match self.operations.get(id.index() + 1) {
            Some(next) => next.first_operand as usize,
            None => self.operands.len(),
        };
        TableOperation {
            key: &entry.key,
            operands: &self.operands[entry.first_operand as usize..end],
            first_output: entry.first_output,
        }
    }

    /// The ids of keys, where the table has their structure.
    ///
    /// O(1) for a key that the table has seen by address; for the others together, linear in their
    /// distinct nodes.
    pub fn find_all(&self, keys: &[ValueKey<Op>]) -> Vec<Option<ValueId>> {
        let mut verdicts = Verdicts::default();
        keys.iter()
            .map(|key| self.find_with(key, &mut verdicts))
            .collect()
    }

    pub fn find(&self, key: &ValueKey<Op>) -> Option<ValueId> {
        self.find_with(key, &mut Verdicts::default())
    }

    fn find_with(&self, key: &ValueKey<Op>, verdicts: &mut Verdicts) -> Option<ValueId> {
        let Some((target, slot)) = key.maker() else {
            return self.find_input(key.input());
        };
        key.check_slot().ok()?;
        let mut pending = vec![target];
        while let Some(&next) = pending.last() {
            if self.verdict(next, verdicts).is_none() {
                let known = |key: &Arc<_>| self.verdict(key, verdicts);
                let found = match self.operands_of(next, known, &mut pending) {
                    Operands::Pending => continue,
                    Operands::Unknown => None,
                    Operands::Known(ids) => self.find_structure(next, &ids).ok(),
                };
                verdicts.insert(Arc::as_ptr(next).addr(), found);
            }
            pending.pop();
        }
        let operation = self.verdict(target, verdicts)??;
        Some(self.operation(operation).output(slot))
    }

    /// The id of a key, which is added if the table does not have its structure.
    pub fn intern(&mut self, key: &ValueKey<Op>) -> Result<ValueId, GraphError> {
        let Some((target, slot)) = key.maker() else {
            return Ok(self.intern_input(key.input()));
        };
        key.check_slot()?;
        // As a rule, the key was taken from a graph that is in the table.
        if let Some(operation) = self.find_seen(target) {
            return Ok(self.operation(operation).output(slot));
        }
        let mut pending = vec![target];
        while let Some(&next) = pending.last() {
            if self.find_seen(next).is_none() {
                for operand in next.inputs() {
                    if let ValueKey::Input(input) = operand {
                        self.intern_input(input);
                    }
                }
                let known = |key: &Arc<_>| self.find_seen(key).map(Some);
                if let Operands::Known(ids) = self.operands_of(next, known, &mut pending) {
                    self.intern_operation(next, &ids);
                } else {
                    continue;
                }
            }
            pending.pop();
        }
        let operation = self
            .find_seen(target)
            .expect("the loop above ends once the target is in the table");
        Ok(self.operation(operation).output(slot))
    }

    /// The id of an input, which is added if it is new.
    pub fn intern_input(&mut self, input: &Op::InputKey) -> ValueId {
        if let Some(known) = self.find_input(input) {
            return known;
        }
        let id = ValueId::new(self.values.len());
        let index = to_u32(self.inputs.len());
        let inputs = &self.inputs;
        self.inputs_by_hash
            .insert_unique(hash_one(input), (index, id), |(index, _)| {
                hash_one(&inputs[*index as usize])
            });
        self.inputs.push(input.clone());
        self.push_value(INPUT | index);
        id
    }

    /// The id of a description from elsewhere whose operands are in the table, which is added if its
    /// structure is new.
    fn intern_operation(&mut self, key: &Arc<OperationKey<Op>>, operands: &[ValueId]) {
        match self.find_structure(key, operands) {
            Ok(known) => {
                let address = Arc::as_ptr(key).addr();
                if self.twins.insert(address, known).is_none() {
                    self.kept.push(Arc::clone(key));
                }
            }
            Err(place) => {
                let outputs = key.operation().output_count();
                let id = self.push(key, operands, outputs, place);
                let operations = &self.operations;
                self.by_fingerprint
                    .insert_unique(key.fingerprint(), id, |id| {
                        operations[id.index()].key.fingerprint()
                    });
            }
        }
    }

    /// Adds an operation that is not there.
    fn push(
        &mut self,
        key: &Arc<OperationKey<Op>>,
        operands: &[ValueId],
        outputs: usize,
        place: Place,
    ) -> OperationId {
        let id = OperationId::new(self.operations.len());
        self.operations.push(Operation {
            key: Arc::clone(key),
            first_operand: to_u32(self.operands.len()),
            first_output: ValueId::new(self.values.len()),
        });
        self.operands.extend_from_slice(operands);
        let youngest = self.youngest(operands);
        let last = youngest.map(|youngest| &mut self.values[youngest.index()].last);
        self.index.put(id, place, last);
        for _ in 0..outputs {
            self.push_value(id.0);
        }
        id
    }

    /// The operand in whose list an operation is: the youngest; or, if that is an input, which may be an
    /// operand of many, the youngest result.
    fn youngest(&self, operands: &[ValueId]) -> Option<ValueId> {
        let is_result = |id: &ValueId| self.values[id.index()].origin & INPUT == 0;
        let youngest = operands.iter().max()?;
        if is_result(youngest) {
            return Some(*youngest);
        }
        let results = operands.iter().filter(|id| is_result(id));
        results.max().or(Some(youngest)).copied()
    }

    fn push_value(&mut self, origin: u32) {
        self.values.push(Value {
            origin,
            last: Packed::NONE,
        });
    }

    fn find_input(&self, input: &Op::InputKey) -> Option<ValueId> {
        let same = |(index, _): &(u32, ValueId)| self.inputs[*index as usize] == *input;
        let found = self.inputs_by_hash.find(hash_one(input), same);
        found.map(|(_, id)| *id)
    }

    /// Finds a value by where its key was made, without a look into the key, whose slot must be right.
    fn find_born(&self, key: &ValueKey<Op>, birthplace: Option<Birthplace>) -> Option<ValueId> {
        let (operation, slot) = key.maker()?;
        let id = self.find_made(operation, birthplace?)?;
        let first = self.operations[id.index()].first_output;
        Some(ValueId(first.0 + slot as u32))
    }

    /// Where an operation is, if a graph that was added made its key in this place.
    fn find_made(
        &self,
        key: &Arc<OperationKey<Op>>,
        birthplace: Birthplace,
    ) -> Option<OperationId> {
        let added = self.graphs.get(&birthplace.graph)?;
        let place = birthplace.operation as usize;
        let made = added.graph.operation_key(place)?;
        Arc::ptr_eq(made, key).then(|| added.ids[place])
    }

    /// Finds an operation whose very description was seen before.
    fn find_seen(&self, key: &Arc<OperationKey<Op>>) -> Option<OperationId> {
        if let Some(birthplace) = key.birthplace()
            && let Some(id) = self.find_made(key, birthplace)
        {
            return Some(id);
        }
        let same = |id: &OperationId| Arc::ptr_eq(&self.operations[id.index()].key, key);
        let found = self.by_fingerprint.find(key.fingerprint(), same);
        found
            .or_else(|| self.twins.get(&Arc::as_ptr(key).addr()))
            .copied()
    }

    /// Whether a key cannot be here, found out without a walk. Most that are not fail this.
    fn is_strange(&self, key: &OperationKey<Op>) -> bool {
        let same =
            |id: &OperationId| self.operations[id.index()].key.fingerprint() == key.fingerprint();
        self.graphs.is_empty() && self.by_fingerprint.find(key.fingerprint(), same).is_none()
    }

    /// What is known of a description without looking at its operands.
    fn verdict(
        &self,
        key: &Arc<OperationKey<Op>>,
        verdicts: &Verdicts,
    ) -> Option<Option<OperationId>> {
        let seen = self.find_seen(key).map(Some);
        seen.or_else(|| verdicts.get(&Arc::as_ptr(key).addr()).copied())
            .or_else(|| self.is_strange(key).then_some(None))
    }

    /// Finds an operation by structure, one level deep; or where to put it.
    fn find_structure(
        &self,
        key: &Arc<OperationKey<Op>>,
        operands: &[ValueId],
    ) -> Result<OperationId, Place> {
        let is_same = |id: OperationId| {
            let known = self.operation(id);
            known.operands == operands
                && (Arc::ptr_eq(known.key, key)
                    || (known.key.fingerprint() == key.fingerprint()
                        && known.key.spec() == key.spec()))
        };
        let youngest = self.youngest(operands);
        let last = youngest.map(|youngest| self.values[youngest.index()].last);
        self.index.find(last, is_same, || key.fingerprint())
    }

    /// The ids of an operation's operands, as far as `known` tells: it is `None` for what must be
    /// looked up first, `Some(None)` for what the table does not have. The former are pushed to
    /// `pending`, all at once, so that an operation is looked at no more than twice.
    fn operands_of<'k>(
        &self,
        key: &'k OperationKey<Op>,
        known: impl Fn(&Arc<OperationKey<Op>>) -> Option<Option<OperationId>>,
        pending: &mut Vec<&'k Arc<OperationKey<Op>>>,
    ) -> Operands {
        let mut ids = OperandIds::with_capacity(key.inputs().len());
        let already_pending = pending.len();
        let mut unknown = false;
        for operand in key.inputs() {
            match operand.maker() {
                None => match self.find_input(operand.input()) {
                    Some(id) => ids.push(id),
                    None => unknown = true,
                },
                Some((operation, slot)) => match known(operation) {
                    Some(Some(id)) => ids.push(self.operation(id).output(slot)),
                    Some(None) => unknown = true,
                    None => pending.push(operation),
                },
            }
        }
        if unknown {
            pending.truncate(already_pending);
            Operands::Unknown
        } else if pending.len() > already_pending {
            Operands::Pending
        } else {
            Operands::Known(ids)
        }
    }
}
