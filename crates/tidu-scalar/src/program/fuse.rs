//! Two operations in one instruction, where only the second one uses what the first one yields.
//!
//! That spares a dispatch, a store and a load, and changes no bit, unless rounding once is asked for.

use crate::bytecode::{Bytecode, Instruction, Opcode};

/// An instruction that is gone.
const GONE: Opcode = Opcode::Copy;

/// How many instructions the first operation may stand before the second: what it reads must stay
/// in registers until then.
const WINDOW: usize = 32;

const NEVER: u32 = u32::MAX;

/// Drops dead instructions and fuses what can be.
///
/// # Complexity
///
/// Linear.
pub(super) fn fuse(code: &mut Bytecode, rounded_once: bool) {
    let mut pass = Fusion {
        uses: count_uses(code),
        definition: vec![NEVER; code.slots],
        instructions: &mut code.instructions,
        rounded_once,
    };
    for index in 0..pass.instructions.len() {
        pass.fuse_at(index);
        let instruction = &pass.instructions[index];
        if is_arithmetic(instruction.opcode) {
            pass.definition[instruction.result as usize] = index as u32;
        }
    }
    code.instructions
        .retain(|instruction| instruction.opcode != GONE);
}

/// What can stand first.
fn is_arithmetic(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Add | Opcode::Sub | Opcode::Mul)
}

/// By value, how often it is used; what is not used at all is gone.
fn count_uses(code: &mut Bytecode) -> Vec<u32> {
    let mut uses = vec![0_u32; code.slots];
    for &output in &code.outputs {
        uses[output as usize] += 1;
    }
    for instruction in code.instructions.iter_mut().rev() {
        let second = instruction.second_result();
        let results = [Some(instruction.result), second];
        let mut results = results.into_iter().flatten();
        if results.all(|result| uses[result as usize] == 0) {
            instruction.opcode = GONE;
            continue;
        }
        for &operand in instruction.operands() {
            uses[operand as usize] += 1;
        }
    }
    uses
}

struct Fusion<'a> {
    /// By value, how often it is used.
    uses: Vec<u32>,
    /// By value, the sum, difference or product that it is.
    definition: Vec<u32>,
    instructions: &'a mut [Instruction],
    rounded_once: bool,
}

impl Fusion<'_> {
    fn fuse_at(&mut self, index: usize) {
        let Instruction {
            opcode,
            operands: [x, y, ..],
            result,
        } = self.instructions[index];
        let fused = match opcode {
            Opcode::Add => self.add(index, x, y),
            Opcode::Sub => self.sub(index, x, y),
            Opcode::Mul => self.mul(index, x, y),
            Opcode::Neg => self.neg(index, x),
            _ => None,
        };
        if let Some((opcode, operands)) = fused {
            self.instructions[index] = Instruction {
                opcode,
                operands,
                result,
            };
        }
    }

    fn add(&mut self, index: usize, x: u32, y: u32) -> Option<(Opcode, [u32; 4])> {
        let (first, second) = (self.candidate(index, x), self.candidate(index, y));
        if x != y
            && let (Some((i, Opcode::Mul, [a, b])), Some((j, Opcode::Mul, [c, d]))) =
                (first, second)
        {
            self.take([i, j]);
            let opcode = match self.rounded_once {
                false => Opcode::ProductSum,
                true => Opcode::FusedProductSum,
            };
            return Some((opcode, [a, b, c, d]));
        }
        let (candidate, other) = later(
            first.map(|first| (first, y)),
            second.map(|second| (second, x)),
        )?;
        let (i, inner, [a, b]) = candidate;
        let opcode = match inner {
            Opcode::Add => Opcode::AddThenAdd,
            Opcode::Sub => Opcode::SubThenAdd,
            _ if self.rounded_once => Opcode::MulAdd,
            _ => Opcode::MulThenAdd,
        };
        self.take([i]);
        Some((opcode, [a, b, other, 0]))
    }

    fn sub(&mut self, index: usize, x: u32, y: u32) -> Option<(Opcode, [u32; 4])> {
        let (first, second) = (self.candidate(index, x), self.candidate(index, y));
        if x != y
            && let (Some((i, Opcode::Mul, [a, b])), Some((j, Opcode::Mul, [c, d]))) =
                (first, second)
        {
            self.take([i, j]);
            let opcode = match self.rounded_once {
                false => Opcode::ProductDifference,
                true => Opcode::FusedProductDifference,
            };
            return Some((opcode, [a, b, c, d]));
        }
        let first = first.map(|(i, inner, operands)| {
            let opcode = match inner {
                Opcode::Add => Opcode::AddThenSub,
                Opcode::Sub => Opcode::SubThenSub,
                _ if self.rounded_once => Opcode::FusedMulSub,
                _ => Opcode::MulThenSub,
            };
            ((i, opcode, operands), y)
        });
        let second = second.map(|(i, inner, operands)| {
            let opcode = match inner {
                Opcode::Add => Opcode::SubOfAdd,
                Opcode::Sub => Opcode::SubOfSub,
                _ if self.rounded_once => Opcode::FusedSubOfMul,
                _ => Opcode::SubOfMul,
            };
            ((i, opcode, operands), x)
        });
        let ((i, opcode, [a, b]), other) = later(first, second)?;
        self.take([i]);
        Some((opcode, [a, b, other, 0]))
    }

    fn mul(&mut self, index: usize, x: u32, y: u32) -> Option<(Opcode, [u32; 4])> {
        let first = self.candidate(index, x).map(|first| (first, y));
        let second = self.candidate(index, y).map(|second| (second, x));
        let ((i, inner, [a, b]), other) = later(first, second)?;
        let opcode = match inner {
            Opcode::Add => Opcode::AddThenMul,
            Opcode::Sub => Opcode::SubThenMul,
            _ => Opcode::MulThenMul,
        };
        self.take([i]);
        Some((opcode, [a, b, other, 0]))
    }

    fn neg(&mut self, index: usize, x: u32) -> Option<(Opcode, [u32; 4])> {
        let (i, Opcode::Mul, [a, b]) = self.candidate(index, x)? else {
            return None;
        };
        self.take([i]);
        Some((Opcode::NegMul, [a, b, 0, 0]))
    }

    /// What makes a value, if that is arithmetic of two operands, not far before, for this use only.
    fn candidate(&self, index: usize, value: u32) -> Option<Candidate> {
        let definition = self.definition[value as usize];
        if definition == NEVER || self.uses[value as usize] != 1 {
            return None;
        }
        let definition = definition as usize;
        let instruction = &self.instructions[definition];
        let near = index - definition <= WINDOW && is_arithmetic(instruction.opcode);
        near.then(|| {
            let [a, b, ..] = instruction.operands;
            (definition, instruction.opcode, [a, b])
        })
    }

    fn take<const N: usize>(&mut self, taken: [usize; N]) {
        for index in taken {
            self.instructions[index].opcode = GONE;
        }
    }
}

/// An instruction, its opcode, and its operands.
type Candidate = (usize, Opcode, [u32; 2]);

/// Of two choices the one that stands later.
fn later(
    first: Option<(Candidate, u32)>,
    second: Option<(Candidate, u32)>,
) -> Option<(Candidate, u32)> {
    match (first, second) {
        (Some(first), Some(second)) if first.0.0 < second.0.0 => Some(second),
        (first, second) => first.or(second),
    }
}
