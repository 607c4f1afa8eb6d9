//! Programs of scalars: a bytecode over registers.

mod allocate;
mod batch;
mod error;
mod fuse;
pub(crate) mod instruction;
mod lanes;
mod listing;
mod lower;
mod run;
mod scan;
mod vector_math;

use std::sync::Arc;

use tidu_ad::Function;
use tidu_graph::text::name_list;
use tidu_graph::{MaterializedGraph, ValueKey};

pub use batch::{Batch, BatchWorkspace};
pub use error::ProgramError;
pub use scan::{Scan, ScanCotangents, ScanInputs, ScanOutputs, ScanPullback};

use crate::key::ScalarKey;
use crate::op::ScalarOp;
use allocate::allocate;
use instruction::{Functions, Instruction, Lowered};
use lower::lower;
use run::{FEW, MANY, run};

/// What can be made into a [`ScalarProgram`].
pub trait CompileScalar {
    /// Makes a program that computes, to the bit, what the generic program does.
    ///
    /// # Errors
    ///
    /// [`ProgramError::TooLarge`] past 2³² values.
    ///
    /// # Complexity
    ///
    /// Linear, with constant stack.
    ///
    /// # Example
    ///
    /// ```
    /// use tidu_scalar::CompileScalar;
    ///
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [&x * y.exp() + &y])?;
    /// let program = f.value_and_grad(..)?.compile_scalar()?;
    /// assert_eq!(program.call(&[2.0, 0.0])?, [2.0, 1.0, 3.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn compile_scalar(&self) -> Result<ScalarProgram, ProgramError> {
        self.compile_scalar_with(ProgramOptions::default())
    }

    /// Makes a program, with choices.
    ///
    /// # Errors
    ///
    /// As for [`compile_scalar`](Self::compile_scalar).
    fn compile_scalar_with(&self, options: ProgramOptions) -> Result<ScalarProgram, ProgramError>;
}

/// Choices for [`CompileScalar::compile_scalar_with`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgramOptions {
    fused: bool,
}

impl ProgramOptions {
    /// Whether a product that is added to something else, and used nowhere else, is rounded once with
    /// the sum, not twice. That changes last bits; off by default.
    pub fn fused(mut self, fused: bool) -> Self {
        self.fused = fused;
        self
    }
}

/// A program of scalars, made by [`CompileScalar`]: instructions over numbered registers.
///
/// It runs without allocation in a [`Workspace`], at one point or at many. Immutable; many threads may
/// run it at once, each in a workspace of its own. It prints as a listing.
#[derive(Clone, Debug)]
pub struct ScalarProgram {
    code: Code,
    functions: Functions,
    /// What is put into the registers behind the inputs.
    constants: Vec<f64>,
    /// The registers of the outputs.
    outputs: Vec<u32>,
    registers: usize,
    input_names: Arc<[String]>,
    output_names: Arc<[String]>,
}

/// Instructions, with indices as short as the number of registers allows.
#[derive(Clone, Debug)]
enum Code {
    Narrow(Vec<Instruction<u16>>),
    Wide(Vec<Instruction<u32>>),
}

/// The registers of a running program. Any program can run in any workspace; one that needs more room
/// than the workspace has makes more, the first time.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    registers: Vec<f64>,
}

impl CompileScalar for Function<ScalarOp> {
    fn compile_scalar_with(&self, options: ProgramOptions) -> Result<ScalarProgram, ProgramError> {
        let lowered = match lower(self.as_dense(), options.fused)? {
            Some(lowered) => lowered,
            None => lower_expanded(self, options)?,
        };
        let names = self.output_names().iter().cloned().collect();
        ScalarProgram::new(lowered, self.input_names().into(), names)
    }
}

/// Its inputs are in the order of [`MaterializedGraph::inputs`]; outputs are called `out0`, `out1`, and
/// so on.
impl CompileScalar for MaterializedGraph<ScalarOp> {
    fn compile_scalar_with(&self, options: ProgramOptions) -> Result<ScalarProgram, ProgramError> {
        let keys = self.inputs.iter().filter_map(|key| match key {
            ValueKey::Input(key) => Some(key.clone()),
            ValueKey::Derived { .. } => None,
        });
        let keys: Vec<ScalarKey> = keys.collect();
        let lowered = match lower(&self.closed_over(&keys)?, options.fused)? {
            Some(lowered) => lowered,
            None => {
                let outputs = self.outputs.iter().cloned();
                let outputs = outputs.map(|key| (key, String::new()));
                let function = Function::from_keys(&keys, outputs.collect())?;
                lower_expanded(&function, options)?
            }
        };
        let input_names = keys.iter().map(ToString::to_string).collect();
        let output_names = (0..self.outputs.len()).map(|at| format!("out{at}"));
        ScalarProgram::new(lowered, input_names, output_names.collect())
    }
}

fn lower_expanded(
    function: &Function<ScalarOp>,
    options: ProgramOptions,
) -> Result<Lowered, ProgramError> {
    let expanded = function.expanded()?;
    let lowered = lower(expanded.as_dense(), options.fused)?;
    Ok(lowered.expect("no composite is left of an expanded function"))
}

impl ScalarProgram {
    fn new(
        mut lowered: Lowered,
        input_names: Arc<[String]>,
        output_names: Arc<[String]>,
    ) -> Result<Self, ProgramError> {
        let mut allocated = allocate(&mut lowered);
        let code = match allocated.registers <= MANY {
            true => Code::Narrow(allocated.instructions.iter().map(narrow).collect()),
            false => {
                allocated.instructions.shrink_to_fit();
                Code::Wide(allocated.instructions)
            }
        };
        let constants = lowered.constants.iter();
        Ok(Self {
            code,
            functions: lowered.functions,
            constants: constants.map(|&(_, number)| number).collect(),
            outputs: allocated.outputs,
            registers: allocated.registers,
            input_names,
            output_names,
        })
    }

    /// The names of the inputs, in order.
    pub fn input_names(&self) -> &[String] {
        &self.input_names
    }

    /// The names of the outputs, in order.
    pub fn output_names(&self) -> &[String] {
        &self.output_names
    }

    /// The number of instructions.
    pub fn instruction_count(&self) -> usize {
        match &self.code {
            Code::Narrow(instructions) => instructions.len(),
            Code::Wide(instructions) => instructions.len(),
        }
    }

    /// The number of registers, those of inputs and constants included.
    pub fn register_count(&self) -> usize {
        self.registers
    }

    /// The size of the program in memory, in bytes, without the names.
    pub fn size(&self) -> usize {
        let code = match &self.code {
            Code::Narrow(instructions) => size_of_val(&**instructions),
            Code::Wide(instructions) => size_of_val(&**instructions),
        };
        code + size_of_val(&*self.constants) + size_of_val(&*self.outputs)
    }

    /// Computes the outputs, given the inputs in order.
    ///
    /// # Errors
    ///
    /// [`ProgramError::WrongInputCount`].
    pub fn call(&self, inputs: &[f64]) -> Result<Vec<f64>, ProgramError> {
        let mut outputs = vec![0.0; self.outputs.len()];
        match &self.code {
            Code::Narrow(code) if self.registers <= FEW => {
                self.check_inputs(inputs.len())?;
                self.run(code, &mut [0.0; FEW], inputs, &mut outputs);
            }
            _ => self.eval_into(&mut Workspace::default(), inputs, &mut outputs)?,
        }
        Ok(outputs)
    }

    /// Computes the outputs into `outputs`, given the inputs in order. Allocates nothing but room for
    /// registers, once for a workspace.
    ///
    /// # Errors
    ///
    /// [`ProgramError::WrongInputCount`], [`ProgramError::WrongOutputCount`].
    pub fn eval_into(
        &self,
        workspace: &mut Workspace,
        inputs: &[f64],
        outputs: &mut [f64],
    ) -> Result<(), ProgramError> {
        self.check_inputs(inputs.len())?;
        self.check_outputs(outputs.len())?;
        match &self.code {
            Code::Narrow(code) if self.registers <= FEW => {
                self.run(code, workspace.array::<FEW>(), inputs, outputs);
            }
            Code::Narrow(code) => self.run(code, workspace.array::<MANY>(), inputs, outputs),
            Code::Wide(code) => self.run(code, workspace.slice(self.registers), inputs, outputs),
        }
        Ok(())
    }

    fn run<R>(&self, code: &[Instruction<R::Index>], r: &mut R, inputs: &[f64], outputs: &mut [f64])
    where
        R: run::Registers + AsMut<[f64]> + ?Sized,
    {
        let registers = r.as_mut();
        let (of_inputs, others) = registers.split_at_mut(inputs.len());
        of_inputs.copy_from_slice(inputs);
        others[..self.constants.len()].copy_from_slice(&self.constants);
        run(code, &self.functions, r);
        let registers = r.as_mut();
        for (output, &register) in outputs.iter_mut().zip(&self.outputs) {
            *output = registers[register as usize];
        }
    }

    fn check_inputs(&self, found: usize) -> Result<(), ProgramError> {
        let expected = self.input_names.len();
        if found == expected {
            return Ok(());
        }
        Err(ProgramError::WrongInputCount {
            expected,
            found,
            known: name_list(&self.input_names),
        })
    }

    fn check_outputs(&self, found: usize) -> Result<(), ProgramError> {
        let expected = self.outputs.len();
        if found == expected {
            return Ok(());
        }
        Err(ProgramError::WrongOutputCount {
            expected,
            found,
            known: name_list(&self.output_names),
        })
    }
}

impl Workspace {
    /// Room for so many registers.
    fn slice(&mut self, registers: usize) -> &mut [f64] {
        if self.registers.len() < registers {
            // Not resized: fresh zeros need not be written.
            self.registers = vec![0.0; registers];
        }
        &mut self.registers[..registers]
    }

    fn array<const N: usize>(&mut self) -> &mut [f64; N] {
        let registers = self.slice(N).first_chunk_mut();
        registers.expect("there is room for so many registers")
    }
}

/// The same with short indices, for what has no more registers than these can name.
fn narrow(instruction: &Instruction<u32>) -> Instruction<u16> {
    Instruction {
        opcode: instruction.opcode,
        operands: instruction.operands.map(|index| index as u16),
        result: instruction.result as u16,
    }
}
