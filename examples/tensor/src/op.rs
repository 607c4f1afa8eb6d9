//! The primitives as values.

use std::fmt::{self, Debug};

use tidu::ValueType;
use tidu::graph::{EvaluableGraphOperation, GraphOperation, Operands, SubFunction};
use tidu::scalar::ScalarKey;

use crate::context::{Args, Context};
use crate::definition::Definition;
use crate::primitives::Meaning;
pub use crate::primitives::TensorOp;
use crate::shape::{ShapeError, check_size};
use crate::tensor::{Literal, Tensor};

impl TensorOp {
    /// The operation that yields `value`.
    pub fn constant(value: impl Into<Tensor>) -> Self {
        Self::from(Literal::from(value.into()))
    }

    /// Sees to it that it takes operands of these types; of a function with rules of its own, nothing is said.
    pub(crate) fn check(&self, x: &[&ValueType]) -> Result<(), ShapeError> {
        match self.meaning() {
            Meaning::Defined(definition) => types(definition, x).map(|_| ()),
            Meaning::Composite(_) => Ok(()),
        }
    }

    /// The result of an operator of two operands, in the memory of the first, if nobody else has it and its type is
    /// that of the result.
    pub(crate) fn eval_over(&self, first: Tensor, second: &Tensor) -> Tensor {
        let ctx = &mut Context::default();
        let mut results = match self.meaning() {
            Meaning::Defined(definition) => definition.eval(&mut Args::taking(first, second, ctx)),
            Meaning::Composite(function) => function.eval(ctx, &[&first, second]),
        };
        results.swap_remove(0)
    }
}

impl GraphOperation for TensorOp {
    type Operand = Tensor;
    type Context = Context;
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self.meaning() {
            Meaning::Defined(definition) => definition.arity(),
            Meaning::Composite(function) => function.input_count(),
        }
    }

    fn output_count(&self) -> usize {
        match self.meaning() {
            Meaning::Defined(definition) => definition.results(),
            Meaning::Composite(function) => function.output_count(),
        }
    }

    fn functions(&self) -> &[SubFunction<Self>] {
        match self.meaning() {
            Meaning::Defined(_) => &[],
            Meaning::Composite(function) => function.functions(),
        }
    }

    fn commutes(&self) -> bool {
        match self.meaning() {
            Meaning::Defined(definition) => definition.commutes(),
            Meaning::Composite(_) => false,
        }
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meaning() {
            Meaning::Defined(definition) => {
                f.write_str(definition.name())?;
                definition.fmt_parameters(f)
            }
            Meaning::Composite(function) => write!(f, "{function}"),
        }
    }

    fn fmt_input_name(key: &ScalarKey, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(key, f)
    }

    fn infer_types(&self, x: &[&ValueType]) -> Result<Option<Vec<ValueType>>, AnyError> {
        match self.meaning() {
            Meaning::Defined(definition) => Ok(Some(types(definition, x)?)),
            Meaning::Composite(function) => Ok(Some(function.infer_types(x)?)),
        }
    }

    fn type_of_operand(operand: &Tensor) -> Option<ValueType> {
        Some(operand.value_type())
    }
}

/// The name.
impl Debug for TensorOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_name(f)
    }
}

impl EvaluableGraphOperation for TensorOp {
    fn eval(&self, ctx: &mut Context, inputs: &[&Tensor]) -> Vec<Tensor> {
        match self.meaning() {
            Meaning::Defined(definition) => definition.eval(&mut Args::borrowed(inputs, ctx)),
            Meaning::Composite(function) => function.eval(ctx, inputs),
        }
    }

    fn eval_one(&self, ctx: &mut Context, x: &mut Operands<'_, Tensor>) -> Option<Tensor> {
        match self.meaning() {
            Meaning::Defined(definition) if definition.results() == 1 => {
                definition.eval(&mut Args::of_program(x, ctx)).pop()
            }
            _ => None,
        }
    }

    fn constant_of(value: &Tensor) -> Option<Self> {
        Some(Self::constant(value.clone()))
    }
}

/// What is wrong with the types of operands: of a primitive, or of a function that has rules of its own.
type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The types of the results, of which there is memory for each, and for each operand.
fn types(definition: &dyn Definition, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
    let (expected, found) = (definition.arity(), x.len());
    if expected != found {
        return Err(ShapeError::Operands { expected, found });
    }
    x.iter().try_for_each(|x| check_size(x.dims()))?;
    let results = definition.types(x)?;
    results.iter().try_for_each(|y| check_size(y.dims()))?;
    Ok(results)
}
