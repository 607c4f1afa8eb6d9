//! How long places on a tape are good for.

use std::sync::atomic::{AtomicU32, Ordering};

use super::storage::{Cursor, Storage};
use super::{Place, Tape};
use crate::error::{EagerError, Forgotten, unwrap_or_panic};
use tidu_ad::Primitive;
use tidu_graph::EvaluableGraphOperation;

/// A position on a tape, to cut it back to. See [`Tape::mark`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    cursor: Cursor,
    /// Of the last value before it, so that a mark that was itself cut off is recognised.
    place: Place,
}

/// Which places are good.
///
/// Cutting a tape back begins a new epoch; a place is good if the epoch in which it was made is still the
/// one to which its index belongs.
#[derive(Clone)]
pub(super) struct Places {
    tape: u32,
    /// The epochs that have indices, ascending.
    epochs: Vec<Epoch>,
    /// The present epoch, and its first index.
    epoch: u32,
    first: u32,
}

#[derive(Clone, Copy)]
struct Epoch {
    /// Its first index.
    first: u32,
    number: u32,
    /// Why what had its indices before is gone.
    cause: Forgotten,
}

/// Why a place is not good.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    Foreign,
    Stale(Forgotten),
}

/// Tapes are told apart by number. Nothing else depends on it.
static TAPES: AtomicU32 = AtomicU32::new(1);

impl Places {
    pub fn new() -> Self {
        Self {
            tape: TAPES.fetch_add(1, Ordering::Relaxed),
            epochs: vec![Epoch {
                first: 0,
                number: 0,
                cause: Forgotten::Cleared,
            }],
            epoch: 0,
            first: 0,
        }
    }

    pub fn place(&self, index: u32) -> Place {
        Place {
            index,
            tape: self.tape,
            epoch: self.epoch,
        }
    }

    /// The place of a constant that counts as computed on the tape.
    pub fn constant(&self) -> Place {
        Place {
            tape: self.tape,
            ..Place::NONE
        }
    }

    /// Whether a place is that of a constant which counts as computed on the tape.
    pub fn is_own_constant(&self, place: Place) -> bool {
        place == self.constant()
    }

    /// The place of a value that is there already.
    pub fn place_at(&self, index: u32) -> Place {
        Place {
            epoch: self.epoch_of(index).number,
            ..self.place(index)
        }
    }

    /// Whether a place, which is not that of a constant, is good.
    #[inline]
    pub fn check(&self, place: Place) -> Result<(), Fault> {
        let is_present = place.epoch == self.epoch && place.index >= self.first;
        match is_present && place.tape == self.tape {
            true => Ok(()),
            false => self.check_earlier(place),
        }
    }

    fn check_earlier(&self, place: Place) -> Result<(), Fault> {
        if place.tape != self.tape {
            return Err(Fault::Foreign);
        }
        let epoch = self.epoch_of(place.index);
        if epoch.number == place.epoch {
            Ok(())
        } else {
            Err(Fault::Stale(epoch.cause))
        }
    }

    /// Whether a place of this tape was made in a later epoch.
    pub fn is_after(&self, place: Place) -> bool {
        place.tape == self.tape && place.epoch > self.epoch
    }

    fn epoch_of(&self, index: u32) -> Epoch {
        let after = self.epochs.partition_point(|epoch| epoch.first <= index);
        self.epochs[after - 1]
    }

    /// Indices from here on are given out again.
    pub fn cut(&mut self, values: u32, cause: Forgotten) {
        let is_gone = |epoch: &mut Epoch| epoch.first >= values;
        while self.epochs.pop_if(is_gone).is_some() {}
        self.epoch += 1;
        self.first = values;
        self.epochs.push(Epoch {
            first: values,
            number: self.epoch,
            cause,
        });
    }
}

impl Fault {
    pub fn of(self, place: String) -> EagerError {
        match self {
            Fault::Foreign => EagerError::ForeignVar { place },
            Fault::Stale(cause) => EagerError::StaleVar { place, cause },
        }
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// The present end of the tape.
    pub fn mark(&self) -> Mark {
        let cursor = self.storage.end();
        let last = cursor.values.saturating_sub(1);
        Mark {
            cursor,
            place: self.places.place_at(last),
        }
    }

    /// Forgets everything that came after a mark; variables from there on are stale. Memory is kept
    /// for what comes next.
    ///
    /// # Errors
    ///
    /// [`EagerError::ForeignVar`] and [`EagerError::StaleVar`] for a mark of another tape, or one that was
    /// itself forgotten; [`EagerError::InSegment`].
    pub fn rewind(&mut self, mark: Mark) -> Result<(), EagerError> {
        self.rewind_for(mark, Forgotten::Rewound)
    }

    /// [`rewind`](Self::rewind) to the mark that was set where a scope began. Of variables that were made in
    /// between, errors say that their scope has ended.
    ///
    /// # Errors
    ///
    /// As for [`rewind`](Self::rewind).
    pub fn end_scope(&mut self, mark: Mark) -> Result<(), EagerError> {
        self.rewind_for(mark, Forgotten::ScopeEnded)
    }

    fn rewind_for(&mut self, mark: Mark, cause: Forgotten) -> Result<(), EagerError> {
        self.check_outside("rewind the tape")?;
        let is_start = mark.cursor.values == 0 && mark.place.tape == self.places.tape;
        if !is_start {
            let checked = self.places.check(mark.place);
            checked.map_err(|fault| fault.of("the mark to go back to".into()))?;
        }
        self.cut(mark.cursor, cause);
        Ok(())
    }

    /// Forgets everything. All variables are stale, but for constants.
    ///
    /// # Panics
    ///
    /// Inside a segment, where [`rewind`](Self::rewind) returns an error, with the same text.
    #[track_caller]
    pub fn clear(&mut self) {
        unwrap_or_panic(self.check_outside("clear the tape"));
        self.cut(Cursor::default(), Forgotten::Cleared);
        self.forget_functions();
    }

    /// The bytes of memory that the tape holds for what it records, and for going backward through it. Not
    /// counted are what operands hold themselves (the numbers of an array), what was derived of
    /// operations, hooks, and the bodies of segments.
    pub fn memory(&self) -> usize {
        let spare = self.spare.capacity() * size_of::<Option<Op::Operand>>();
        self.storage.memory() + spare
    }

    /// Puts back what was set aside, and forgets what came after it.
    pub(super) fn restore(&mut self, past: Storage<Op>) {
        self.storage = past;
        self.cut(self.storage.end(), Forgotten::PassEnded);
    }

    fn cut(&mut self, to: Cursor, cause: Forgotten) {
        self.storage.truncate(to);
        self.hooks.forget(to.values);
        let replaced = self
            .replaced
            .partition_point(|(value, _)| *value < to.values);
        self.replaced.truncate(replaced);
        self.places.cut(to.values, cause);
    }
}
