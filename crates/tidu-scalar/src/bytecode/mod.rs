//! What programs of scalars consist of, as data: for other back ends, that write source code or machine code.
//!
//! [`CompileScalar::lower_scalar`](crate::CompileScalar::lower_scalar) lowers a function to instructions over values,
//! each of which is made once; [`ScalarProgram::bytecode`](crate::ScalarProgram::bytecode) are those over few registers
//! that the program runs. Both are [`Bytecode`]. What an [`Opcode`] computes is a [`Formula`]: the interpreters are
//! generated from the same table, so that a back end that keeps to it yields the same bits.
//!
//! # Example
//!
//! A function as text:
//!
//! ```
//! use tidu_scalar::bytecode::{Formula, Operator};
//! use tidu_scalar::{CompileScalar, ProgramOptions};
//!
//! fn text(formula: &Formula, operands: &[u32]) -> String {
//!     match formula {
//!         Formula::Operand(at) => format!("v{}", operands[*at]),
//!         Formula::Number(number) => format!("{number:?}"),
//!         Formula::Apply(Operator::Add, of) => {
//!             format!("({} + {})", text(&of[0], operands), text(&of[1], operands))
//!         }
//!         Formula::Apply(Operator::Mul, of) => {
//!             format!("({} * {})", text(&of[0], operands), text(&of[1], operands))
//!         }
//!         other => todo!("{other:?}"),
//!     }
//! }
//!
//! let f = tidu_scalar::function(["x", "y"], |[x, y]| [(&x * &y + 2.5) * x])?;
//! let code = f.lower_scalar(ProgramOptions::default())?;
//! let mut lines = Vec::new();
//! for (value, number) in code.constants() {
//!     lines.push(format!("v{value} = {number:?};"));
//! }
//! for instruction in code.instructions() {
//!     let formula = &instruction.opcode().formulas()[0];
//!     lines.push(format!("v{} = {};", instruction.result(), text(formula, instruction.operands())));
//! }
//! assert_eq!(lines, ["v3 = 2.5;", "v4 = ((v0 * v1) + v3);", "v5 = (v4 * v0);"]);
//! # Ok::<(), tidu_scalar::ProgramError>(())
//! ```

mod formula;
mod listing;
mod opcode;

use std::sync::Arc;

pub use formula::{Formula, Operator};
pub use opcode::Opcode;

pub(crate) use formula::numbers;
pub(crate) use opcode::{values, with_arithmetic};

/// Instructions, one after the other, over numbered slots: the first ones hold the inputs, some the constants, the
/// others are written by instructions. It prints as a listing.
///
/// In what is [lowered](crate::CompileScalar::lower_scalar), a slot is a value: nothing is written twice. In what a
/// program [runs](crate::ScalarProgram::bytecode), a slot is a register, which is written again when the value that it
/// held is dead, also by the instruction that reads it last.
#[derive(Clone, Debug)]
pub struct Bytecode {
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) constants: Vec<(u32, f64)>,
    pub(crate) outputs: Vec<u32>,
    pub(crate) slots: usize,
    pub(crate) functions: Functions,
    pub(crate) input_names: Arc<[String]>,
    pub(crate) output_names: Arc<[String]>,
}

impl Bytecode {
    /// The instructions, in the order in which they run.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The slots that hold a number from the beginning, with the number.
    pub fn constants(&self) -> &[(u32, f64)] {
        &self.constants
    }

    /// The slots in which the outputs are in the end, in order.
    pub fn outputs(&self) -> &[u32] {
        &self.outputs
    }

    /// The number of slots.
    pub fn slot_count(&self) -> usize {
        self.slots
    }

    /// The names of the inputs, in order; they are in the first slots.
    pub fn input_names(&self) -> &[String] {
        &self.input_names
    }

    /// The names of the outputs, in order.
    pub fn output_names(&self) -> &[String] {
        &self.output_names
    }

    /// The name of the function that an instruction calls, which is that of the primitive in print, and the function
    /// itself; `None` if it calls none. A primitive that holds a number, as `powf` does, takes it as the first operand.
    pub fn callee(&self, instruction: &Instruction) -> Option<(&'static str, Callee)> {
        let at = instruction.operands[FUNCTION] as usize;
        let functions = &self.functions;
        match instruction.opcode {
            Opcode::CallUnary => functions.unary.at(at, Callee::Unary),
            Opcode::CallBinary => functions.binary.at(at, Callee::Binary),
            Opcode::CallTernary => functions.ternary.at(at, Callee::Ternary),
            _ => None,
        }
    }
}

/// A function that an instruction calls, by the number of its operands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Callee {
    /// f(a)
    Unary(fn(f64) -> f64),
    /// f(a, b)
    Binary(fn(f64, f64) -> f64),
    /// f(a, b, c)
    Ternary(fn(f64, f64, f64) -> f64),
}

/// An instruction of a [`Bytecode`].
#[derive(Clone, Copy, Debug)]
pub struct Instruction<Index = u32> {
    pub(crate) opcode: Opcode,
    /// The operands. Behind them: for a call, in [`FUNCTION`], which function; for two results, in
    /// [`SECOND`], where the second one goes.
    pub(crate) operands: [Index; 4],
    pub(crate) result: Index,
}

/// Where an instruction that calls says what it calls, and one of two results where the second one goes.
pub(crate) const FUNCTION: usize = 3;
pub(crate) const SECOND: usize = 3;

impl<Index: Copy> Instruction<Index> {
    /// What it does.
    pub fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The slots that it reads.
    pub fn operands(&self) -> &[Index] {
        &self.operands[..self.opcode.operand_count()]
    }

    /// The slot that it writes: the first one, if there are two results.
    pub fn result(&self) -> Index {
        self.result
    }

    /// The slot of the second result, if there is one.
    pub fn second_result(&self) -> Option<Index> {
        let has = self.opcode.has_second_result();
        has.then(|| self.operands[SECOND])
    }
}

impl Instruction {
    /// The same with short indices, for what has no more slots than these can name.
    pub(crate) fn narrow(&self) -> Instruction<u16> {
        Instruction {
            opcode: self.opcode,
            operands: self.operands.map(|index| index as u16),
            result: self.result as u16,
        }
    }
}

/// The functions that are called, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions {
    pub unary: FunctionList<fn(f64) -> f64>,
    pub binary: FunctionList<fn(f64, f64) -> f64>,
    pub ternary: FunctionList<fn(f64, f64, f64) -> f64>,
}

/// Functions of one kind, with their names.
#[derive(Clone, Debug)]
pub(crate) struct FunctionList<F>(pub Vec<(&'static str, F)>);

impl<F: Copy> FunctionList<F> {
    /// The position of a function, which is known by its name.
    pub fn position(&mut self, name: &'static str, function: F) -> u32 {
        let known = self.0.iter().position(|(known, _)| *known == name);
        let position = known.unwrap_or_else(|| {
            self.0.push((name, function));
            self.0.len() - 1
        });
        position as u32
    }

    fn at(&self, position: usize, of_kind: fn(F) -> Callee) -> Option<(&'static str, Callee)> {
        let (name, function) = self.0[position];
        Some((name, of_kind(function)))
    }
}

impl<F> Default for FunctionList<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
