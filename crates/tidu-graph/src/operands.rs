//! The operands of an operation that a program runs.

use std::ops::Index;

use smallvec::SmallVec;

use crate::base::LIMIT;

/// The operands of an operation that a program runs: to be looked at, or taken.
///
/// `operands[0]` is the first one.
#[derive(Debug)]
pub struct Operands<'a, T> {
    pub(crate) inputs: &'a [&'a T],
    pub(crate) registers: &'a mut [Option<T>],
    /// What is read for the last time is marked with [`LAST`].
    pub(crate) slots: &'a [u32],
}

/// Marks a slot that no later instruction reads, where the operand stands for the last time.
pub(crate) const LAST: u32 = LIMIT;

impl<T> Operands<'_, T> {
    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "an operation knows its arity")]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// All of them, borrowed.
    pub fn all(&self) -> SmallVec<[&T; 4]> {
        (0..self.len()).map(|at| &self[at]).collect()
    }

    /// An operand by value, if nothing else needs it: its memory may become that of the result. It is
    /// gone then.
    ///
    /// `None` for an input of the program, an output, an operand that a later operation reads, and one
    /// that stands twice among these.
    pub fn take(&mut self, at: usize) -> Option<T> {
        let slot = self.slots[at];
        let stands_here = |other: &&u32| **other & !LAST == slot & !LAST;
        if slot & LAST == 0 || self.slots.iter().filter(stands_here).count() > 1 {
            return None;
        }
        self.registers[(slot & !LAST) as usize - self.inputs.len()].take()
    }
}

impl<T> Index<usize> for Operands<'_, T> {
    type Output = T;

    /// # Panics
    ///
    /// For an operand that there is not, or that was taken.
    #[inline]
    fn index(&self, at: usize) -> &T {
        let slot = (self.slots[at] & !LAST) as usize;
        match self.inputs.get(slot) {
            Some(input) => input,
            None => match &self.registers[slot - self.inputs.len()] {
                Some(operand) => operand,
                None => panic!("operand {at} was taken"),
            },
        }
    }
}
