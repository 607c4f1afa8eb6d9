//! How bytecode is printed.

use std::fmt::{self, Display, Formatter};

use super::{Bytecode, Instruction};

/// One line an instruction; slots are called `r0`, `r1`, and so on. Two operations in one
/// instruction stand as a formula, whose letters are the operands.
impl Display for Bytecode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "program {{")?;
        for (slot, name) in self.input_names.iter().enumerate() {
            writeln!(f, "    input r{slot} = {name}")?;
        }
        for (slot, constant) in &self.constants {
            writeln!(f, "    const r{slot} = {constant:?}")?;
        }
        for instruction in &self.instructions {
            self.write(f, instruction)?;
        }
        for (slot, name) in self.outputs.iter().zip(&*self.output_names) {
            writeln!(f, "    output r{slot} -> {name}")?;
        }
        f.write_str("}")
    }
}

impl Bytecode {
    fn write(&self, f: &mut Formatter<'_>, instruction: &Instruction) -> fmt::Result {
        write!(f, "    r{}", instruction.result)?;
        if let Some(second) = instruction.second_result() {
            write!(f, ", r{second}")?;
        }
        let callee = self.callee(instruction).map(|(name, _)| name);
        let name = instruction.opcode.name().or(callee).unwrap_or_default();
        if !name.contains(' ') {
            write!(f, " = {name}")?;
            let operands = instruction.operands().iter().enumerate();
            for (position, slot) in operands {
                let separator = if position == 0 { "" } else { "," };
                write!(f, "{separator} r{slot}")?;
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
}
