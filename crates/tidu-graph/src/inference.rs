//! The types of results from those of operands.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::base::TypeId;
use crate::error::{TypeError, describe_operation};
use crate::operation::GraphOperation;
use crate::runtime_error::RuntimeError;
use crate::value_type::ValueType;

/// The types of an operation's results, for operands of these types: what
/// [`GraphOperation::infer_types`] says, checked by count, with an error that names the operation and the types.
/// `None` if the operation set does not say.
///
/// # Errors
///
/// [`TypeError::Operation`], [`TypeError::WrongResultCount`].
pub fn result_types<Op: GraphOperation>(
    operation: &Op,
    operands: &[&ValueType],
) -> Result<Option<Vec<ValueType>>, TypeError> {
    let results = operation.infer_types(operands);
    let results = results.map_err(|source| TypeError::Operation {
        op: describe_operation(operation),
        operands: operands.iter().copied().cloned().collect(),
        source: RuntimeError::new(source),
    })?;
    let Some(results) = results else {
        return Ok(None);
    };
    let (expected, found) = (operation.output_count(), results.len());
    if expected != found {
        return Err(TypeError::WrongResultCount {
            op: describe_operation(operation),
            expected,
            found,
        });
    }
    Ok(Some(results))
}

/// [`result_types`], of a set that has to say.
pub(crate) fn known_result_types<Op: GraphOperation>(
    operation: &Op,
    operands: &[&ValueType],
) -> Result<Vec<ValueType>, TypeError> {
    result_types(operation, operands)?.ok_or_else(|| TypeError::NotInferred {
        op: describe_operation(operation),
    })
}

/// The types of the values of a graph, each kept once: a value costs four bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValueTypes {
    distinct: Vec<ValueType>,
    by_hash: HashTable<TypeId>,
    by_value: Vec<TypeId>,
}

impl ValueTypes {
    /// Those of the first values.
    pub fn of(types: impl IntoIterator<Item = ValueType>) -> Self {
        let mut values = Self::default();
        types
            .into_iter()
            .for_each(|value_type| values.add(value_type));
        values
    }

    /// The same types, of no values.
    pub fn of_none(&self, room: usize) -> Self {
        Self {
            distinct: self.distinct.clone(),
            by_hash: self.by_hash.clone(),
            by_value: Vec::with_capacity(room),
        }
    }

    pub fn get(&self, id: TypeId) -> &ValueType {
        &self.distinct[id.index()]
    }

    /// The type of a value, by its position.
    #[inline]
    pub fn id_of(&self, value: usize) -> TypeId {
        self.by_value[value]
    }

    /// Those of values in a row.
    pub fn ids(&self) -> &[TypeId] {
        &self.by_value
    }

    /// Says of what type the next value is.
    #[inline]
    pub fn push(&mut self, id: TypeId) {
        self.by_value.push(id);
    }

    /// [`push`](Self::push), of a type that may be new.
    pub fn add(&mut self, value_type: ValueType) {
        let id = self.intern(value_type);
        self.push(id);
    }

    fn intern(&mut self, value_type: ValueType) -> TypeId {
        // A graph has few, and the one that came last comes again.
        if let Some(last) = self.distinct.last()
            && *last == value_type
        {
            return TypeId::new(self.distinct.len() - 1);
        }
        let hash = hash(&value_type);
        let distinct = &mut self.distinct;
        let is_same = |id: &TypeId| distinct[id.index()] == value_type;
        if let Some(known) = self.by_hash.find(hash, is_same) {
            return *known;
        }
        let id = TypeId::new(distinct.len());
        distinct.push(value_type);
        let rehash = |id: &TypeId| self::hash(&distinct[id.index()]);
        self.by_hash.insert_unique(hash, id, rehash);
        id
    }

    /// What the types of other values are here.
    pub fn import(&mut self, other: &Self) -> Vec<TypeId> {
        let types = other.distinct.iter().cloned();
        types.map(|value_type| self.intern(value_type)).collect()
    }

    /// Infers the types of an operation's results from those of its operands, and says of what type the next values
    /// are.
    pub fn infer<Op: GraphOperation>(
        &mut self,
        operation: &Op,
        operands: impl Iterator<Item = usize>,
    ) -> Result<(), TypeError> {
        let operands: SmallVec<[&ValueType; 4]> = operands
            .map(|operand| &self.distinct[self.by_value[operand].index()])
            .collect();
        let results = known_result_types(operation, &operands)?;
        drop(operands);
        results.into_iter().for_each(|result| self.add(result));
        Ok(())
    }
}

fn hash(value_type: &ValueType) -> u64 {
    FixedState::default().hash_one(value_type)
}
