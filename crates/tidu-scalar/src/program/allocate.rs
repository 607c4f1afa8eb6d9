//! From values to registers: few, so that they stay in the cache.

use tidu_graph::Registers;

use crate::bytecode::{Bytecode, SECOND};

/// Puts registers in the place of values: the inputs into the first ones, the constants into the next.
///
/// # Complexity
///
/// Linear.
pub(super) fn allocate(code: &mut Bytecode) {
    let instructions = code.instructions.iter();
    let reads = instructions.map(|instruction| instruction.operands().iter().copied());
    let mut registers = Registers::new(code.slots, reads, code.outputs.iter().copied());
    for input in 0..code.input_names.len() {
        registers.place(input as u32);
    }
    for (slot, _) in &mut code.constants {
        *slot = registers.place(*slot);
    }
    for (index, instruction) in code.instructions.iter_mut().enumerate() {
        let second = instruction.second_result();
        let operands = instruction.opcode.operand_count();
        for operand in &mut instruction.operands[..operands] {
            (*operand, _) = registers.read(*operand, index);
        }
        // A result that nothing reads goes where nothing is, beside the other one.
        let result = registers.define(instruction.result);
        let second = second.map(|value| registers.define(value));
        instruction.result = result.unwrap_or_else(|| registers.spare());
        if let Some(second) = second {
            instruction.operands[SECOND] = second.unwrap_or_else(|| registers.spare());
        }
    }
    for output in &mut code.outputs {
        *output = registers.register(*output);
    }
    code.slots = registers.count();
}
