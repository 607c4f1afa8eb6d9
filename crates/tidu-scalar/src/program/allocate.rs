//! From values to registers: few, so that they stay in the cache.

use super::instruction::{Instruction, Lowered, SECOND};

/// Instructions over registers. The inputs are in the first registers, the constants in the next.
pub(super) struct Allocated {
    pub instructions: Vec<Instruction<u32>>,
    pub outputs: Vec<u32>,
    pub registers: usize,
}

const NEVER: u32 = u32::MAX;
/// An output, or a value whose register is free.
const KEPT: u32 = u32::MAX - 1;

/// Chooses registers: one is used again as soon as its value is dead, the one that was freed last
/// first.
///
/// # Complexity
///
/// Linear.
pub(super) fn allocate(lowered: &mut Lowered) -> Allocated {
    let mut registers = Registers::new(lowered);
    let mut instructions = std::mem::take(&mut lowered.instructions);
    for (index, instruction) in (0..).zip(&mut instructions) {
        let operands = instruction.opcode.operand_count();
        // Operands are read before results are written, so that the two may share registers.
        let mut values = [0; 4];
        for (operand, value) in instruction.operands[..operands].iter_mut().zip(&mut values) {
            *value = *operand;
            *operand = registers.register[*value as usize];
        }
        for &value in &values[..operands] {
            registers.release(value, index);
        }
        let second = instruction.second_result();
        let result = instruction.result;
        instruction.result = registers.allocate(result);
        if let Some(second) = second {
            instruction.operands[SECOND] = registers.allocate(second);
            registers.release_unused(second);
        }
        registers.release_unused(result);
    }
    let outputs = lowered.outputs.iter();
    Allocated {
        outputs: outputs
            .map(|&value| registers.register[value as usize])
            .collect(),
        registers: registers.count as usize,
        instructions,
    }
}

struct Registers {
    /// By value.
    register: Vec<u32>,
    /// By value, the last instruction that reads it.
    last_use: Vec<u32>,
    free: Vec<u32>,
    count: u32,
}

impl Registers {
    fn new(lowered: &mut Lowered) -> Self {
        let [register, mut last_use] = std::mem::take(&mut lowered.scratch);
        last_use.fill(NEVER);
        for (index, instruction) in (0..).zip(&lowered.instructions) {
            for &operand in instruction.operands() {
                last_use[operand as usize] = index;
            }
        }
        for &output in &lowered.outputs {
            last_use[output as usize] = KEPT;
        }
        let mut registers = Self {
            register,
            last_use,
            free: Vec::new(),
            count: 0,
        };
        for input in 0..lowered.inputs as u32 {
            registers.allocate(input);
        }
        for &(constant, _) in &lowered.constants {
            registers.allocate(constant);
        }
        registers
    }

    fn allocate(&mut self, value: u32) -> u32 {
        let register = self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        self.register[value as usize] = register;
        register
    }

    fn release(&mut self, value: u32, instruction: u32) {
        let last_use = &mut self.last_use[value as usize];
        if *last_use == instruction {
            *last_use = KEPT;
            self.free.push(self.register[value as usize]);
        }
    }

    fn release_unused(&mut self, value: u32) {
        if self.last_use[value as usize] == NEVER {
            self.free.push(self.register[value as usize]);
        }
    }
}
