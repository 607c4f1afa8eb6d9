//! Running functions.

use std::fmt::{self, Debug};
use std::sync::Arc;

use tidu_graph::text::name_list;
use tidu_graph::{CallError, CompiledProgram, EvaluableGraphOperation, GraphOperation, ValueType};

use super::select::positions_of;
use super::{Function, FunctionError};

/// A function made ready to run, many times and on many threads at once.
pub struct FunctionProgram<Op: GraphOperation> {
    program: CompiledProgram<Op>,
    input_names: Vec<String>,
    output_names: Arc<[String]>,
    types: Option<Arc<[ValueType]>>,
}

impl<Op: GraphOperation> Function<Op> {
    /// Makes the function ready to run.
    ///
    /// # Complexity
    ///
    /// Linear in the function.
    pub fn compile(&self) -> FunctionProgram<Op> {
        FunctionProgram {
            program: self.as_dense().compile(),
            input_names: self.input_names(),
            output_names: Arc::clone(&self.content.output_names),
            types: self.types.clone(),
        }
    }
}

impl<Op: GraphOperation> FunctionProgram<Op> {
    /// The program below.
    pub fn as_program(&self) -> &CompiledProgram<Op> {
        &self.program
    }

    /// How many bytes a run needs at most, beside its inputs, if the function has types: see
    /// [`CompiledProgram::peak_bytes`].
    pub fn peak_bytes(&self) -> Option<usize> {
        self.program.peak_bytes()
    }

    /// The names of the inputs, in order.
    pub fn input_names(&self) -> &[String] {
        &self.input_names
    }

    /// The names of the outputs, in order.
    pub fn output_names(&self) -> &[String] {
        &self.output_names
    }
}

impl<Op: EvaluableGraphOperation> FunctionProgram<Op> {
    /// Computes the outputs, given the inputs in order.
    ///
    /// # Errors
    ///
    /// [`FunctionError::WrongInputCount`]; [`FunctionError::WrongType`] where the function has types;
    /// [`FunctionError::Graph`] for an operation whose `eval` returns the wrong number of results, or that
    /// [fails](CallError::Failed).
    pub fn call(&self, inputs: &[Op::Operand]) -> Result<Vec<Op::Operand>, FunctionError>
    where
        Op::Context: Default,
    {
        let inputs: Vec<&Op::Operand> = inputs.iter().collect();
        self.call_in(&mut Op::Context::default(), &inputs)
    }

    /// Computes the outputs, given the inputs by name, in any order.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call); [`FunctionError::UnknownInput`],
    /// [`FunctionError::RepeatedInput`], [`FunctionError::MissingInput`].
    pub fn call_named(
        &self,
        inputs: &[(&str, Op::Operand)],
    ) -> Result<Vec<Op::Operand>, FunctionError>
    where
        Op::Context: Default,
    {
        let names: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
        let mut ordered = vec![None; self.input_names.len()];
        for (at, (name, value)) in positions_of(&names, &self.input_names)?
            .into_iter()
            .zip(inputs)
        {
            if ordered[at].replace(value).is_some() {
                return Err(FunctionError::RepeatedInput {
                    name: (*name).to_owned(),
                });
            }
        }
        let mut operands: Vec<&Op::Operand> = Vec::with_capacity(ordered.len());
        for (value, name) in ordered.into_iter().zip(&self.input_names) {
            let missing = || FunctionError::MissingInput { name: name.clone() };
            operands.push(value.ok_or_else(missing)?);
        }
        self.call_in(&mut Op::Context::default(), &operands)
    }

    /// Computes the outputs in a context of the caller's, given the inputs in order.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub fn call_in(
        &self,
        ctx: &mut Op::Context,
        inputs: &[&Op::Operand],
    ) -> Result<Vec<Op::Operand>, FunctionError> {
        let names = || name_list(&self.input_names);
        CallError::check_inputs(self.input_names.len(), inputs.len(), names)?;
        self.check_types(inputs)?;
        Ok(self.program.try_eval(ctx, inputs)?)
    }

    /// Fails for an operand of another type than its input.
    fn check_types(&self, inputs: &[&Op::Operand]) -> Result<(), CallError> {
        let types = self.types.iter().flat_map(|types| types.iter());
        for ((expected, name), operand) in types.zip(&self.input_names).zip(inputs) {
            if let Some(found) = Op::type_of_operand(operand)
                && found != *expected
            {
                return Err(CallError::WrongType {
                    name: name.clone(),
                    expected: Box::new(expected.clone()),
                    found: Box::new(found),
                });
            }
        }
        Ok(())
    }
}

impl From<CallError> for FunctionError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::WrongInputCount {
                expected,
                found,
                known,
            } => Self::WrongInputCount {
                expected,
                found,
                known,
            },
            CallError::WrongType {
                name,
                expected,
                found,
            } => Self::WrongType {
                name,
                expected,
                found,
            },
            error => Self::Graph(error.into()),
        }
    }
}

impl<Op: GraphOperation> Clone for FunctionProgram<Op> {
    fn clone(&self) -> Self {
        Self {
            program: self.program.clone(),
            input_names: self.input_names.clone(),
            output_names: Arc::clone(&self.output_names),
            types: self.types.clone(),
        }
    }
}

impl<Op: GraphOperation> Debug for FunctionProgram<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionProgram")
            .field("inputs", &self.input_names)
            .field("outputs", &self.output_names)
            .field("instructions", &self.program.instructions.len())
            .finish()
    }
}
