//! Finding an operation by what it applies to what, without a hash.

use hashbrown::HashTable;

use crate::base::{OperationId, Packed};

/// Where operations are, by what they apply to what.
///
/// Each is in the list of the youngest of its operands: work that belongs together lies together in memory, and
/// is found without a hash. Past a few, and where there are no operands, a table takes the rest, so that a
/// look-up is O(1) however many operations share an operand. Which operation is the last in the list of a value
/// is kept by whoever keeps the values.
pub(crate) struct OperationIndex {
    /// By operation: the one before it in the same list.
    before: Vec<Packed<OperationId>>,
    rest: HashTable<Hashed>,
}

/// An operation with its hash, which may take as long as the operation is large: a constant of many numbers is
/// not hashed again when the table grows, nor compared with others.
struct Hashed {
    hash: u64,
    operation: OperationId,
}

/// Where an operation belongs that is not there yet.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// In the list of the youngest of its operands.
    List,
    /// It is in the table, by this hash.
    Table(u64),
}

/// At most this many operations are in the list of a value.
const MOST: usize = 8;

impl OperationIndex {
    pub fn with_capacity(operations: usize) -> Self {
        Self {
            before: Vec::with_capacity(operations),
            rest: HashTable::new(),
        }
    }

    /// The operation for which `is_same` holds, or where to put it.
    ///
    /// `last` is the last one in the list of the youngest operand, if there is an operand.
    #[inline]
    pub fn find(
        &self,
        last: Option<Packed<OperationId>>,
        is_same: impl Fn(OperationId) -> bool,
        hash: impl FnOnce() -> u64,
    ) -> Result<OperationId, Place> {
        if let Some(mut last) = last {
            let mut listed = 0;
            while let Some(operation) = last.get() {
                if is_same(operation) {
                    return Ok(operation);
                }
                listed += 1;
                last = self.before[operation.index()];
            }
            if listed < MOST {
                return Err(Place::List);
            }
        }
        let hash = hash();
        let is_same = |known: &Hashed| known.hash == hash && is_same(known.operation);
        let found = self.rest.find(hash, is_same);
        found.map(|known| known.operation).ok_or(Place::Table(hash))
    }

    /// Puts the next operation into its place. `last` is that of the youngest operand, if there is one.
    #[inline]
    pub fn put(
        &mut self,
        operation: OperationId,
        place: Place,
        last: Option<&mut Packed<OperationId>>,
    ) {
        match (place, last) {
            (Place::List, Some(last)) => {
                self.before.push(std::mem::replace(last, operation.into()));
            }
            (Place::List, None) => unreachable!("what has no operands is in the table"),
            (Place::Table(hash), _) => {
                self.before.push(Packed::NONE);
                let known = Hashed { hash, operation };
                self.rest.insert_unique(hash, known, |known| known.hash);
            }
        }
    }
}
