//! How programs are printed.

use std::fmt::{self, Display, Formatter};

use super::instruction::{FUNCTION, Instruction, Opcode, TERNARY_FUNCTION};
use super::{Code, ScalarProgram};

/// One line an instruction; registers are called `r0`, `r1`, and so on. Two operations in one
/// instruction stand as a formula, whose letters are the operands.
impl Display for ScalarProgram {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "program {{")?;
        for (register, name) in self.input_names.iter().enumerate() {
            writeln!(f, "    input r{register} = {name}")?;
        }
        for (position, constant) in self.constants.iter().enumerate() {
            let register = self.input_names.len() + position;
            writeln!(f, "    const r{register} = {constant:?}")?;
        }
        match &self.code {
            Code::Narrow(code) => {
                for instruction in code {
                    let operands = instruction.operands.map(u32::from);
                    let result = instruction.result.into();
                    let opcode = instruction.opcode;
                    self.write(
                        f,
                        Instruction {
                            opcode,
                            operands,
                            result,
                        },
                    )?;
                }
            }
            Code::Wide(code) => {
                for &instruction in code {
                    self.write(f, instruction)?;
                }
            }
        }
        for (register, name) in self.outputs.iter().zip(&*self.output_names) {
            writeln!(f, "    output r{register} -> {name}")?;
        }
        f.write_str("}")
    }
}

impl ScalarProgram {
    fn write(&self, f: &mut Formatter<'_>, instruction: Instruction<u32>) -> fmt::Result {
        write!(f, "    r{}", instruction.result)?;
        if let Some(second) = instruction.second_result() {
            write!(f, ", r{second}")?;
        }
        let name = self.name(instruction);
        if !name.contains(' ') {
            write!(f, " = {name}")?;
            let operands = instruction.operands().iter().enumerate();
            for (position, register) in operands {
                let separator = if position == 0 { "" } else { "," };
                write!(f, "{separator} r{register}")?;
            }
            return writeln!(f);
        }
        let (function, formula) = match name.strip_prefix("fma") {
            Some(formula) => ("fma", formula),
            None => ("", name),
        };
        write!(f, " = {function}")?;
        for letter in formula.chars() {
            match "abcd".find(letter) {
                Some(operand) => write!(f, "r{}", instruction.operands[operand])?,
                None => write!(f, "{letter}")?,
            }
        }
        writeln!(f)
    }

    fn name(&self, instruction: Instruction<u32>) -> &'static str {
        let position = |at: usize| instruction.operands[at] as usize;
        let functions = &self.functions;
        match instruction.opcode {
            Opcode::CallUnary => functions.unary.names[position(FUNCTION)],
            Opcode::CallBinary => functions.binary.names[position(FUNCTION)],
            Opcode::CallTernary => functions.ternary.names[position(TERNARY_FUNCTION)],
            Opcode::CallPair => functions.pair.names[position(FUNCTION)],
            opcode => opcode.name().unwrap_or_default(),
        }
    }
}
