//! Programs of scalars: a bytecode over registers.

mod allocate;
mod batch;
mod error;
mod fuse;
mod lanes;
mod lower;
mod run;
mod scan;
mod vector_math;

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use tidu_ad::Function;
use tidu_graph::text::name_list;
use tidu_graph::{CallError, MaterializedGraph, ValueKey};

pub use batch::{Batch, BatchWorkspace};
pub use error::ProgramError;
pub use scan::{Scan, ScanCotangents, ScanInputs, ScanOutputs, ScanPullback};

use crate::bytecode::{Bytecode, Instruction};
use crate::key::ScalarKey;
use crate::op::ScalarOp;
use allocate::allocate;
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
    fn compile_scalar_with(&self, options: ProgramOptions) -> Result<ScalarProgram, ProgramError> {
        Ok(ScalarProgram::new(self.lower_scalar(options)?))
    }

    /// Makes instructions over values, for other back ends: of what a program is made before registers are chosen.
    ///
    /// # Errors
    ///
    /// As for [`compile_scalar`](Self::compile_scalar).
    fn lower_scalar(&self, options: ProgramOptions) -> Result<Bytecode, ProgramError>;
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
    code: Bytecode,
    /// The instructions with short indices, if there are no more registers than these can name.
    narrow: Option<Vec<Instruction<u16>>>,
}

/// The memory that programs of scalars run in.
pub type Workspace = tidu_graph::Workspace<f64>;

impl CompileScalar for Function<ScalarOp> {
    fn lower_scalar(&self, options: ProgramOptions) -> Result<Bytecode, ProgramError> {
        let names = [&self.input_names().into(), &self.output_names().into()];
        if let Some(code) = lower(self.as_dense(), names, options.fused)? {
            return Ok(code);
        }
        let expanded = self.expanded()?;
        let code = lower(expanded.as_dense(), names, options.fused)?;
        Ok(code.expect("no composite is left of an expanded function"))
    }
}

/// Its inputs are in the order of [`MaterializedGraph::inputs`]; outputs are called `out0`, `out1`, and
/// so on.
impl CompileScalar for MaterializedGraph<ScalarOp> {
    fn lower_scalar(&self, options: ProgramOptions) -> Result<Bytecode, ProgramError> {
        let keys = self.inputs.iter().filter_map(|key| match key {
            ValueKey::Input(key) => Some(key.clone()),
            ValueKey::Derived { .. } => None,
        });
        let keys: Vec<ScalarKey> = keys.collect();
        let inputs = keys.iter().map(ToString::to_string).collect();
        let outputs = (0..self.outputs.len()).map(|at| format!("out{at}"));
        let outputs: Arc<[String]> = outputs.collect();
        let flat = self.closed_over(&keys)?;
        if let Some(code) = lower(&flat, [&inputs, &outputs], options.fused)? {
            return Ok(code);
        }
        let outputs = self.outputs.iter().cloned().zip(outputs.iter().cloned());
        Function::from_keys(&keys, outputs.collect())?.lower_scalar(options)
    }
}

impl ScalarProgram {
    fn new(mut code: Bytecode) -> Self {
        allocate(&mut code);
        code.instructions.shrink_to_fit();
        let is_narrow = code.slots <= MANY;
        let narrow = || code.instructions.iter().map(Instruction::narrow).collect();
        Self {
            narrow: is_narrow.then(narrow),
            code,
        }
    }

    /// What the program runs, as data.
    pub fn bytecode(&self) -> &Bytecode {
        &self.code
    }

    /// The names of the inputs, in order.
    pub fn input_names(&self) -> &[String] {
        self.code.input_names()
    }

    /// The names of the outputs, in order.
    pub fn output_names(&self) -> &[String] {
        self.code.output_names()
    }

    /// The number of instructions.
    pub fn instruction_count(&self) -> usize {
        self.code.instructions.len()
    }

    /// The number of registers, those of inputs and constants included.
    pub fn register_count(&self) -> usize {
        self.code.slots
    }

    /// The size of the program in memory, in bytes, without the names.
    pub fn size(&self) -> usize {
        let code = &self.code;
        size_of_val(&*code.instructions)
            + self.narrow.as_deref().map_or(0, size_of_val)
            + size_of_val(&*code.constants)
            + size_of_val(&*code.outputs)
    }

    /// Computes the outputs, given the inputs in order.
    ///
    /// # Errors
    ///
    /// [`ProgramError::WrongInputCount`].
    pub fn call(&self, inputs: &[f64]) -> Result<Vec<f64>, ProgramError> {
        let mut outputs = vec![0.0; self.code.outputs.len()];
        match &self.narrow {
            Some(code) if self.code.slots <= FEW => {
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
        match &self.narrow {
            Some(code) if self.code.slots <= FEW => {
                self.run(code, array::<FEW>(workspace), inputs, outputs);
            }
            Some(code) => self.run(code, array::<MANY>(workspace), inputs, outputs),
            None => {
                let registers = workspace.plain(self.code.slots);
                self.run(&self.code.instructions, registers, inputs, outputs);
            }
        }
        Ok(())
    }

    fn run<R>(&self, code: &[Instruction<R::Index>], r: &mut R, inputs: &[f64], outputs: &mut [f64])
    where
        R: run::Registers + AsMut<[f64]> + ?Sized,
    {
        let registers = r.as_mut();
        registers[..inputs.len()].copy_from_slice(inputs);
        for &(register, constant) in &self.code.constants {
            registers[register as usize] = constant;
        }
        run(code, &self.code.functions, r);
        let registers = r.as_mut();
        for (output, &register) in outputs.iter_mut().zip(&self.code.outputs) {
            *output = registers[register as usize];
        }
    }

    fn check_inputs(&self, found: usize) -> Result<(), CallError> {
        let names = self.input_names();
        CallError::check_inputs(names.len(), found, || name_list(names))
    }

    fn check_outputs(&self, found: usize) -> Result<(), CallError> {
        let names = self.output_names();
        CallError::check_outputs(names.len(), found, || name_list(names))
    }
}

impl Display for ScalarProgram {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.code, f)
    }
}

fn array<const N: usize>(workspace: &mut Workspace) -> &mut [f64; N] {
    let registers = workspace.plain(N).first_chunk_mut();
    registers.expect("there is room for so many registers")
}
