//! Dense ids for keys.

use crate::GraphOperation;
use crate::builder::unwrap_or_panic;
use crate::error::GraphError;
use crate::key::ValueKey;
use crate::table::{ValueId, ValueTable};

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
    interned: Vec<bool>,
}

impl<Op: GraphOperation> ValueKeyInterner<Op> {
    /// An empty interner.
    pub fn new() -> Self {
        Self {
            table: ValueTable::new(),
            interned: Vec::new(),
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
        self.interned.resize(self.table.value_count(), false);
        self.interned[id.index()] = true;
        Ok(ValueKeyId(id))
    }

    /// The id of a key that was interned.
    pub fn get(&self, key: &ValueKey<Op>) -> Option<ValueKeyId> {
        let id = self.table.find(key)?;
        self.interned[id.index()].then_some(ValueKeyId(id))
    }

    /// The key of an id that this interner gave out.
    ///
    /// # Panics
    ///
    /// For an id that another, larger interner gave out.
    #[track_caller]
    pub fn resolve(&self, id: ValueKeyId) -> &ValueKey<Op> {
        assert!(
            id.0.index() < self.table.value_count(),
            "this id was given out by another interner"
        );
        self.table.key(id.0)
    }
}

impl<Op: GraphOperation> Default for ValueKeyInterner<Op> {
    fn default() -> Self {
        Self::new()
    }
}
