//! The operands of an operation that a program runs.

use std::ops::Index;

use smallvec::SmallVec;

use crate::base::LIMIT;

/// The operands of an operation that a program runs: to be looked at, or taken.
///
/// `operands[0]` is the first one.
#[derive(Debug)]
pub struct Operands<'a, T> {
    inputs: &'a [&'a T],
    registers: &'a mut [Option<T>],
    /// What is read for the last time is marked with [`LAST`].
    slots: &'a [u32],
    /// The slots that stand twice, ascending: made where many operands are asked for.
    repeated: Option<Vec<u32>>,
}

/// At most this many operands are looked through for one that stands twice.
const FEW: usize = 8;

/// Marks a slot that no later instruction reads, where the operand stands for the last time.
pub(crate) const LAST: u32 = LIMIT;

impl<'a, T> Operands<'a, T> {
    pub(crate) fn new(
        inputs: &'a [&'a T],
        registers: &'a mut [Option<T>],
        slots: &'a [u32],
    ) -> Self {
        Self {
            inputs,
            registers,
            slots,
            repeated: None,
        }
    }

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
        let (slot, is_last) = (self.slots[at] & !LAST, self.slots[at] & LAST != 0);
        if !is_last || self.stands_twice(slot) {
            return None;
        }
        self.registers[slot as usize - self.inputs.len()].take()
    }

    /// Whether a slot stands twice; for all slots of an operation together, in no more than the time to sort them.
    fn stands_twice(&mut self, slot: u32) -> bool {
        let slots = self.slots.iter().map(|slot| slot & !LAST);
        if self.slots.len() <= FEW {
            return slots.filter(|other| *other == slot).count() > 1;
        }
        let repeated = self.repeated.get_or_insert_with(|| {
            let mut sorted: Vec<u32> = slots.collect();
            sorted.sort_unstable();
            let pairs = sorted.windows(2).filter(|pair| pair[0] == pair[1]);
            pairs.map(|pair| pair[0]).collect()
        });
        repeated.binary_search(&slot).is_ok()
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
