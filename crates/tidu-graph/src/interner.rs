//! Dense ids for keys.

use crate::GraphOperation;
use crate::base::{ValueId, unwrap_or_panic};
use crate::error::GraphError;
use crate::key::ValueKey;
use crate::table::ValueTable;

/// The id of an interned key. Ids of one interner are equal exactly where the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueKeyId(ValueId);

/// Gives equal keys equal ids, so that maps over keys can be vectors.
///
/// # Example
///
/// ```
/// # use tidu_graph::{GraphOperation, ValueKey, ValueKeyInterner};
/// # #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// # struct Neg;
/// # impl GraphOperation for Neg {
/// #     type Operand = f64;
/// #     type Context = ();
/// #     type InputKey = &'static str;
/// #     fn input_count(&self) -> usize { 1 }
/// #     fn output_count(&self) -> usize { 1 }
/// # }
/// let mut interner = ValueKeyInterner::<Neg>::new();
/// let x = interner.intern(ValueKey::Input("x"));
/// assert_eq!(interner.intern(ValueKey::Input("x")), x);
/// assert_eq!(interner.get(&ValueKey::Input("y")), None);
/// assert_eq!(interner.resolve(x), &ValueKey::Input("x"));
/// ```
pub struct ValueKeyInterner<Op: GraphOperation> {
    table: ValueTable<Op>,
    /// By value: its key, if it was interned itself, not only as a part of another.
    keys: Vec<Option<ValueKey<Op>>>,
}

impl<Op: GraphOperation> ValueKeyInterner<Op> {
    /// An empty interner.
    pub fn new() -> Self {
        Self {
            table: ValueTable::new(),
            keys: Vec::new(),
        }
    }

    /// The id of a key, a new one if the key is new.
    ///
    /// # Panics
    ///
    /// Where [`try_intern`](Self::try_intern) returns an error, with the same text.
    #[track_caller]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the signature is a published one"
    )]
    pub fn intern(&mut self, key: ValueKey<Op>) -> ValueKeyId {
        unwrap_or_panic(self.try_intern(&key))
    }

    /// The id of a key, a new one if the key is new.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnknownOutputSlot`] for a result that the operation does not have.
    ///
    /// # Complexity
    ///
    /// O(1) for a key that was seen by address, linear in its distinct new nodes otherwise.
    pub fn try_intern(&mut self, key: &ValueKey<Op>) -> Result<ValueKeyId, GraphError> {
        let id = self.table.intern(key)?;
        self.keys.resize(self.table.value_count(), None);
        self.keys[id.index()].get_or_insert_with(|| key.clone());
        Ok(ValueKeyId(id))
    }

    /// The id of a key that was interned.
    pub fn get(&self, key: &ValueKey<Op>) -> Option<ValueKeyId> {
        let id = self.table.find(key)?;
        let interned = self.keys[id.index()].as_ref();
        interned.map(|_| ValueKeyId(id))
    }

    /// The key of an id that this interner gave out.
    ///
    /// # Panics
    ///
    /// For an id that another interner gave out and this one did not.
    #[track_caller]
    pub fn resolve(&self, id: ValueKeyId) -> &ValueKey<Op> {
        match self.keys.get(id.0.index()) {
            Some(Some(key)) => key,
            _ => panic!("this id was given out by another interner"),
        }
    }
}

impl<Op: GraphOperation> Default for ValueKeyInterner<Op> {
    fn default() -> Self {
        Self::new()
    }
}
