//! From values to registers: few, so that little is held at once.

use crate::base::{OperationId, Packed, to_u32};

/// Chooses registers for the values of a straight program: one is used again as soon as its value is dead, the one
/// that was freed last first. For back ends: what an instruction is, it does not know.
///
/// Values and instructions are numbered from 0 on. A back end says first which values each instruction reads
/// ([`new`](Self::new)), and [places](Self::place) those that are there before the first one. Then it goes through the
/// instructions in order: all [reads](Self::read) of an instruction, then what it [defines](Self::define), which may
/// go where an operand was that is read for the last time.
///
/// # Complexity
///
/// Linear: each call takes constant time.
///
/// # Example
///
/// d = (a + b)·b, with values a, b, a + b and d:
///
/// ```
/// let reads = [[0, 1], [2, 1]];
/// let mut registers = tidu_graph::Registers::new(4, reads, [3]);
/// assert_eq!([registers.place(0), registers.place(1)], [0, 1]);
/// assert_eq!((registers.read(0, 0), registers.read(1, 0)), ((0, true), (1, false)));
/// assert_eq!(registers.define(2), Some(0));
/// assert_eq!((registers.read(2, 1), registers.read(1, 1)), ((0, true), (1, true)));
/// assert_eq!((registers.define(3), registers.count()), (Some(1), 2));
/// ```
#[derive(Clone, Debug)]
pub struct Registers {
    values: Vec<Held>,
    free: Vec<u32>,
    count: usize,
    end: Packed<OperationId>,
}

/// What is known of a value while registers are chosen.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Where it is, once it has been placed or defined.
    register: u32,
    /// The last instruction that reads it, if one does. The end of the program, which is past all of them, reads
    /// what is kept, and what has been freed.
    last_use: Packed<OperationId>,
}

impl Registers {
    /// For this many values, by what each instruction reads; those that are `kept` stay to the end.
    pub fn new<Reads: IntoIterator<Item = u32>>(
        values: usize,
        instructions: impl IntoIterator<Item = Reads>,
        kept: impl IntoIterator<Item = u32>,
    ) -> Self {
        let unread = Held {
            register: 0,
            last_use: Packed::NONE,
        };
        let mut values = vec![unread; values];
        let mut end = 0;
        for reads in instructions {
            for value in reads {
                values[value as usize].last_use = OperationId(end).into();
            }
            end += 1;
        }
        let end = Packed::from(OperationId(end));
        for value in kept {
            values[value as usize].last_use = end;
        }
        Self {
            values,
            free: Vec::new(),
            count: 0,
            end,
        }
    }

    /// A register for a value that is there before the first instruction, whether or not one reads it.
    #[inline]
    pub fn place(&mut self, value: u32) -> u32 {
        let register = self.free.pop().unwrap_or_else(|| self.fresh());
        self.values[value as usize].register = register;
        register
    }

    /// A register for a result of the instruction whose operands have been read; `None` if nothing reads the result.
    #[inline]
    pub fn define(&mut self, value: u32) -> Option<u32> {
        let is_read = !self.values[value as usize].last_use.is_none();
        is_read.then(|| self.place(value))
    }

    /// The register of an operand of an instruction, and whether that reads it for the last time: the register is free
    /// then. Of an operand that stands twice, the first to be asked for is the last one.
    #[inline]
    pub fn read(&mut self, value: u32, instruction: usize) -> (u32, bool) {
        let held = &mut self.values[value as usize];
        let is_last = held.last_use.known().index() == instruction;
        if is_last {
            held.last_use = self.end;
            self.free.push(held.register);
        }
        (held.register, is_last)
    }

    /// The register of a value that is kept.
    #[inline]
    pub fn register(&self, value: u32) -> u32 {
        self.values[value as usize].register
    }

    /// A register that holds nothing, for a result that nothing reads and that must go somewhere.
    pub fn spare(&mut self) -> u32 {
        let spare = self.free.last().copied();
        spare.unwrap_or_else(|| {
            let fresh = self.fresh();
            self.free.push(fresh);
            fresh
        })
    }

    /// The number of registers so far.
    pub fn count(&self) -> usize {
        self.count
    }

    fn fresh(&mut self) -> u32 {
        self.count += 1;
        to_u32(self.count - 1)
    }
}
