//! Functions written with operators.

use std::fmt::{self, Debug};
use std::panic::Location;
use std::sync::Arc;

use thiserror::Error;
use tidu::eager::EagerError;
use tidu::graph::{GraphOperation, OperationKey, OperationRole, ValueKey, result_types};
use tidu::scalar::ScalarKey;
use tidu::{Function, FunctionError, FunctionScope, TypeError, ValueType};

use crate::front::{Value, assignments, operators};
use crate::op::TensorOp;
use crate::shape::{Misuse, REAL, ShapeError};
use crate::tensor::Tensor;

/// Makes a function of named inputs of these types; `body` is given the inputs and returns the output, or several in
/// an array or a vector, which are called `out0`, `out1`, and so on.
///
/// A function is closed: an expression of another function, finished or still being written, has to be passed to
/// it as an input, whatever the inputs are called.
///
/// # Errors
///
/// [`ModelError::Shape`] for the first operation on the way to an output whose operands do not fit, with the
/// place where it is written; [`ModelError::Function`] for a name that stands twice, and an input of another
/// function.
///
/// # Example
///
/// ```
/// use tidu_tensor::{Tensor, Value, function, types};
///
/// let f = function([("x", types::real([3]))], |[x]| x.exp().sum([0]))?;
/// let x = Tensor::from([0.0, 1.0, 2.0]);
/// let gradient = f.grad("x")?.compile().call(&[x.clone()])?;
/// assert_eq!(gradient[0], Tensor::from([0.0_f64, 1.0, 2.0].map(f64::exp)));
///
/// let wrong = function([("x", types::real([3])), ("y", types::real([2]))], |[x, y]| [x + y]);
/// assert!(wrong.unwrap_err().to_string().ends_with(
///     "add of f64[3] and f64[2]: [3] and [2] do not broadcast: of two sizes that differ, one must be 1"
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[allow(
    clippy::needless_pass_by_value,
    reason = "they are written where they are used"
)]
pub fn function<const N: usize, Outputs: IntoOutputs>(
    inputs: [(&str, ValueType); N],
    body: impl FnOnce([Expr; N]) -> Outputs,
) -> Result<Function<TensorOp>, ModelError> {
    function_of(&inputs, |expressions| {
        body(std::array::from_fn(|at| expressions[at].clone()))
    })
}

/// [`function`] of as many inputs as there happen to be.
///
/// # Errors
///
/// Those of [`function`].
///
/// # Example
///
/// ```
/// use tidu_tensor::{Tensor, Value, function_of, types};
///
/// let names = ["a", "b", "c"];
/// let inputs = names.map(|name| (name, types::real([2])));
/// let sum = function_of(&inputs, |terms| {
///     terms.iter().cloned().reduce(|sum, term| sum + term)
/// })?;
/// let ones = vec![Tensor::full(&[2], 1.0); 3];
/// assert_eq!(sum.compile().call(&ones)?, [Tensor::full(&[2], 3.0)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn function_of<Outputs: IntoOutputs>(
    inputs: &[(&str, ValueType)],
    body: impl FnOnce(&[Expr]) -> Outputs,
) -> Result<Function<TensorOp>, ModelError> {
    let names = inputs.iter().map(|(name, _)| ScalarKey::from(*name));
    let free_names = inputs
        .iter()
        .map(|(name, value_type)| free_name(name, value_type));
    let scope = FunctionScope::new(names.collect()).with_free_names(free_names.collect());
    let expressions = scope.inputs().zip(inputs).map(|(key, (_, value_type))| {
        let value_type = value_type.clone();
        let known = Ok(Known { key, value_type });
        Expr { known }
    });
    let expressions: Vec<Expr> = expressions.collect();
    let named = body(&expressions).into_outputs().into_iter().enumerate();
    let named = named.map(|(at, output)| Ok((output.known?.key, format!("out{at}"))));
    let named = named.collect::<Result<_, ModelError>>()?;
    let function = scope.close(named)?;
    let types = inputs.iter().map(|(_, value_type)| value_type.clone());
    Ok(function.with_types(types)?)
}

/// What the body of a [`function`] may return: an expression, or any array, vector or iterator of them.
#[diagnostic::on_unimplemented(
    message = "a function of tensors cannot return `{Self}`",
    note = "return an `Expr`, or an array, a vector or an iterator of them: `|[x, y]| [x + y]`"
)]
pub trait IntoOutputs {
    /// The outputs, in order.
    fn into_outputs(self) -> Vec<Expr>;
}

impl<Outputs: IntoIterator<Item = Expr>> IntoOutputs for Outputs {
    fn into_outputs(self) -> Vec<Expr> {
        self.into_iter().collect()
    }
}

impl IntoOutputs for Expr {
    fn into_outputs(self) -> Vec<Expr> {
        vec![self]
    }
}

/// What can be wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// An operation whose operands do not fit.
    #[error("{location}: {source}")]
    Shape {
        /// Where it is written: file, line and column.
        location: String,
        /// The operation, the types, and what is wrong with them.
        source: TypeError,
    },
    /// A method that was asked for what no operation does: an axis that there is not, labels, shapes.
    #[error("{location}: {method} of {}: {source}", list(operands))]
    Argument {
        /// Where it is written: file, line and column.
        location: String,
        /// The name of the method.
        method: &'static str,
        /// The types of what it was called with.
        operands: Vec<ValueType>,
        /// What is wrong.
        source: Box<ShapeError>,
    },
    /// A seed, or a tangent, that is not of the type of what it is for.
    #[error("{place} must be {expected}, as what it is for is, found {found}")]
    WrongType {
        /// Which one.
        place: String,
        /// The type that it must have.
        expected: Box<ValueType>,
        /// The type that it has.
        found: Box<ValueType>,
    },
    /// A result that does not fit in the place of the left side.
    #[error(
        "{location}: {operation} of {this} and {other} is {result}, which does not fit in the place of {this}: write \
         `x = x + y`, with the operator that is meant, for a result of another type"
    )]
    InPlace {
        /// Where it is written: file, line and column.
        location: String,
        /// The operation.
        operation: String,
        /// The type of the left side.
        this: Box<ValueType>,
        /// That of the right side.
        other: Box<ValueType>,
        /// That of the result.
        result: Box<ValueType>,
    },
    /// The gradient of a result of many numbers.
    #[error(
        "a gradient is of a single number, and the function returns {found}: sum it up (`sum_all`, `mean_all`), or \
         say how much each number counts (`Tape::backward_all`)"
    )]
    NotANumber {
        /// The type of the result.
        found: Box<ValueType>,
    },
    /// A tape that refuses an operation.
    #[error(transparent)]
    Eager(#[from] EagerError),
    /// Anything else.
    #[error(transparent)]
    Function(#[from] FunctionError),
}

/// A tensor of a function that is being written: an input, a constant, or what an operation makes of others.
///
/// A cheap handle on a shared, immutable description, which knows its type. What is made of an expression
/// whose operands do not fit carries that error on, to [`function`].
#[derive(Clone)]
pub struct Expr {
    known: Result<Known, ModelError>,
}

#[derive(Clone)]
struct Known {
    key: ValueKey<TensorOp>,
    value_type: ValueType,
}

impl Expr {
    /// The input of this name and type of whichever function is made of the expression: a free input, which
    /// belongs to no function yet.
    ///
    /// Where functions are written inside one another, the innermost that has such an input takes it; one of
    /// another type is another input.
    pub fn input(name: &str, value_type: ValueType) -> Self {
        let key = ValueKey::Input(free_name(name, &value_type));
        let known = Ok(Known { key, value_type });
        Self { known }
    }

    /// The outputs of a function at these arguments.
    ///
    /// # Errors
    ///
    /// [`ModelError::Function`] for the wrong number of arguments, or of the wrong types; the error of an
    /// argument.
    pub fn call(
        function: &Function<TensorOp>,
        arguments: &[Self],
    ) -> Result<Vec<Self>, ModelError> {
        let known = arguments.iter().map(|argument| argument.known.clone());
        let known: Vec<Known> = known.collect::<Result<_, _>>()?;
        let keys: Vec<_> = known.iter().map(|known| known.key.clone()).collect();
        let results = function.apply(&keys)?;
        let typed = function.with_types(known.into_iter().map(|known| known.value_type))?;
        let types = typed.output_types()?.unwrap_or_default();
        let known = results.into_iter().zip(types);
        let known = known.map(|(key, value_type)| Ok(Known { key, value_type }));
        Ok(known.map(|known| Self { known }).collect())
    }

    /// The error of this expression, if there is one.
    pub fn error(&self) -> Option<&ModelError> {
        self.known.as_ref().err()
    }
}

impl Value for Expr {
    #[track_caller]
    fn apply(operation: Result<TensorOp, Misuse>, operands: &[&Self]) -> Vec<Self> {
        let count = operation.as_ref().map_or(1, TensorOp::output_count);
        applied(operation, operands, Location::caller())
            .unwrap_or_else(|error| vec![Self { known: Err(error) }; count])
    }

    fn value_type(&self) -> ValueType {
        match &self.known {
            Ok(known) => known.value_type.clone(),
            Err(_) => ValueType::new(REAL, []),
        }
    }
}

/// What a free input is called, with its type, so that it is not taken for one of another type.
fn free_name(name: &str, value_type: &ValueType) -> ScalarKey {
    format!("{name}: {value_type}").into()
}

/// An operation that takes operands of these types, and the types of its results.
pub(crate) fn fitting(
    operation: Result<TensorOp, Misuse>,
    operands: &[&ValueType],
    location: &Location<'_>,
) -> Result<(TensorOp, Vec<ValueType>), ModelError> {
    let location = || location.to_string();
    let operation = operation.map_err(|misuse| ModelError::Argument {
        location: location(),
        method: misuse.method,
        operands: operands.iter().copied().cloned().collect(),
        source: Box::new(misuse.source),
    })?;
    let types = result_types(&operation, operands);
    let types = types.map_err(|source| ModelError::Shape {
        location: location(),
        source,
    })?;
    Ok((operation, types.unwrap_or_default()))
}

fn list(types: &[ValueType]) -> String {
    let types: Vec<String> = types.iter().map(ValueType::to_string).collect();
    if types.is_empty() {
        "nothing".into()
    } else {
        types.join(" and ")
    }
}

fn applied(
    operation: Result<TensorOp, Misuse>,
    operands: &[&Expr],
    location: &Location<'_>,
) -> Result<Vec<Expr>, ModelError> {
    let operands = operands.iter().map(|operand| operand.known.as_ref());
    let operands = operands
        .collect::<Result<Vec<_>, _>>()
        .map_err(Clone::clone)?;
    let types: Vec<&ValueType> = operands.iter().map(|known| &known.value_type).collect();
    let (operation, types) = fitting(operation, &types, location)?;
    let keys = operands.iter().map(|known| known.key.clone()).collect();
    let operation = Arc::new(OperationKey::new(operation, keys, OperationRole::Primary));
    let results = types.into_iter().zip(0..).map(|(value_type, output_slot)| {
        let operation = Arc::clone(&operation);
        let key = ValueKey::Derived {
            operation,
            output_slot,
        };
        let known = Ok(Known { key, value_type });
        Expr { known }
    });
    Ok(results.collect())
}

operators!([] Expr);
assignments!([] Expr);

impl From<f64> for Expr {
    #[track_caller]
    fn from(number: f64) -> Self {
        Self::apply_one(Ok(TensorOp::constant(number)), &[])
    }
}

impl From<Tensor> for Expr {
    #[track_caller]
    fn from(tensor: Tensor) -> Self {
        Self::apply_one(Ok(TensorOp::constant(tensor)), &[])
    }
}

impl From<&Self> for Expr {
    fn from(expr: &Self) -> Self {
        expr.clone()
    }
}

impl Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.known {
            Ok(known) => write!(f, "{:?}: {}", known.key, known.value_type),
            Err(error) => Debug::fmt(error, f),
        }
    }
}
