//! Functions written with operators.

use std::fmt::{self, Debug};
use std::iter::{Product, Sum};
use std::sync::Arc;

use tidu_ad::{Function, FunctionError, FunctionScope};
use tidu_graph::{OperationKey, OperationRole, ValueKey};

use crate::front::{methods, operators};
use crate::key::ScalarKey;
use crate::op::ScalarOp;

/// Makes a function of named inputs; `body` is given the inputs and returns the outputs, which are
/// called `out0`, `out1`, and so on: one expression, or an array, a vector or an iterator of them ([`IntoOutputs`]).
///
/// For names that are made at run time, there is [`function_of`].
///
/// A function is closed: what it computes depends on its inputs alone. A body may make functions, derive
/// them and [call](Expr::call) them; but an expression of another function, finished or still being written,
/// has to be passed to it as an input. That is so whatever the inputs are called.
///
/// # Errors
///
/// [`FunctionError::RepeatedInput`] for a name that stands twice; [`FunctionError::Graph`] if `body`
/// uses an input of another function.
///
/// # Example
///
/// ```
/// let norm = tidu_scalar::function(["x", "y"], |[x, y]| &x * &x + &y * &y)?;
/// assert_eq!(norm.grad(..)?.compile().call(&[3.0, 4.0])?, [6.0, 8.0]);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
///
/// x·d(x + y)/dy at y = 1, which is x: the inner function has x as an input, too.
///
/// ```
/// use tidu_scalar::{Expr, function};
///
/// let f = function(["x"], |[x]| {
///     let inner = function(["y", "x"], |[y, x]| x + y).unwrap();
///     let slope = inner.grad("y").unwrap();
///     &x * &Expr::call(&slope, &[Expr::constant(1.0), x.clone()]).unwrap()[0]
/// })?;
/// assert_eq!(f.grad("x")?.compile().call(&[3.0])?, [1.0]);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
pub fn function<const N: usize, Outputs: IntoOutputs>(
    inputs: [&str; N],
    body: impl FnOnce([Expr; N]) -> Outputs,
) -> Result<Function<ScalarOp>, FunctionError> {
    function_of(inputs, |expressions| {
        body(std::array::from_fn(|at| expressions[at].clone()))
    })
}

/// [`function`] of as many inputs as there happen to be, with names made at run time: a vector or a slice of
/// strings, an iterator, keys.
///
/// # Errors
///
/// Those of [`function`].
///
/// # Example
///
/// Σ xᵢ², of a hundred inputs:
///
/// ```
/// use tidu_scalar::{Expr, function_of};
///
/// let names: Vec<String> = (0..100).map(|i| format!("x{i}")).collect();
/// let f = function_of(&names, |x| x.iter().map(|x| x.powi(2)).sum::<Expr>())?;
/// assert_eq!(f.grad("x7")?.compile().call(&[0.5; 100])?, [1.0]);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
pub fn function_of<Name: Into<ScalarKey>, Outputs: IntoOutputs>(
    inputs: impl IntoIterator<Item = Name>,
    body: impl FnOnce(&[Expr]) -> Outputs,
) -> Result<Function<ScalarOp>, FunctionError> {
    let scope = FunctionScope::new(inputs.into_iter().map(Into::into).collect());
    let expressions: Vec<Expr> = scope.inputs().map(|key| Expr { key }).collect();
    let outputs = body(&expressions).into_outputs();
    let named = outputs.into_iter().enumerate();
    let named = named.map(|(position, output)| (output.key, format!("out{position}")));
    scope.close(named.collect())
}

/// What the body of a [`function`] may return: one expression, or anything that yields expressions, such as an
/// array, a vector, an option or an iterator.
///
/// A `Result` is an iterator, too, but of nothing where it is an error, which is then lost. So a body calls `unwrap`
/// or `expect` rather than return one.
///
/// ```
/// use tidu_scalar::{Expr, function};
///
/// let one = function(["x", "y"], |[x, y]| x * y)?;
/// let two = function(["x", "y"], |[x, y]| [&x + &y, x * y])?;
/// let many = function(["x"], |[x]| (1..=5).map(move |n| x.powi(n)))?;
/// let constant = function([], |[]| Expr::constant(2.0))?;
/// let outputs = [one, two, many, constant].map(|f| f.output_names().len());
/// assert_eq!(outputs, [1, 2, 5, 1]);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the body of a function may not return `{Self}`",
    label = "not an expression, nor a collection of expressions",
    note = "return one `Expr`, an array `[a, b]`, a `Vec<Expr>`, or an iterator of `Expr`",
    note = "a number is `Expr::constant(2.0)`, a reference is cloned, and a tuple `(a, b)` is written `[a, b]`"
)]
pub trait IntoOutputs {
    /// The outputs, in order.
    fn into_outputs(self) -> Vec<Expr>;
}

impl IntoOutputs for Expr {
    fn into_outputs(self) -> Vec<Expr> {
        vec![self]
    }
}

#[diagnostic::do_not_recommend]
impl<Outputs: IntoIterator<Item = Expr>> IntoOutputs for Outputs {
    fn into_outputs(self) -> Vec<Expr> {
        self.into_iter().collect()
    }
}

/// A scalar expression: an input, a number, or what an operation makes of others.
///
/// A cheap handle on a shared, immutable description. Operators take expressions by value or by
/// reference, and numbers on either side. Two are equal if they describe the same computation of the same
/// inputs; inputs of two functions are never the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Expr {
    key: ValueKey<ScalarOp>,
}

impl Expr {
    /// The input of this name of whichever function is made of the expression: a free input, which belongs to
    /// no function yet.
    ///
    /// Where functions are written inside one another, the innermost that has an input of this name takes it.
    ///
    /// ```
    /// use tidu_scalar::{Expr, function};
    ///
    /// let square = Expr::input("x") * Expr::input("x");
    /// let f = function(["x", "y"], |[_, y]| [&square * y])?;
    /// assert_eq!(f.compile().call(&[3.0, 2.0])?, [18.0]);
    /// assert!(function(["y"], |[y]| [square * y]).is_err());
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn input(name: &str) -> Self {
        Self {
            key: ValueKey::Input(name.into()),
        }
    }

    /// A number.
    pub fn constant(value: f64) -> Self {
        Self::apply(ScalarOp::constant(value), [])
    }

    /// The outputs of a function at these arguments.
    ///
    /// # Errors
    ///
    /// [`FunctionError::WrongInputCount`].
    ///
    /// ```
    /// use tidu_scalar::{Expr, function};
    ///
    /// let square = function(["v"], |[v]| [&v * &v])?;
    /// let f = function(["x"], |[x]| Expr::call(&square, &[x.sin()]).unwrap())?;
    /// assert_eq!(f.compile().call(&[2.0])?, [2.0_f64.sin() * 2.0_f64.sin()]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn call(
        function: &Function<ScalarOp>,
        arguments: &[Self],
    ) -> Result<Vec<Self>, FunctionError> {
        let arguments: Vec<_> = arguments.iter().map(|x| x.key.clone()).collect();
        let results = function.apply(&arguments)?;
        Ok(results.into_iter().map(|key| Self { key }).collect())
    }

    fn apply<const N: usize>(op: ScalarOp, operands: [&Self; N]) -> Self {
        Self::output(&Arc::new(key(op, operands)), 0)
    }

    fn apply_pair<const N: usize>(op: ScalarOp, operands: [&Self; N]) -> (Self, Self) {
        let operation = Arc::new(key(op, operands));
        (Self::output(&operation, 0), Self::output(&operation, 1))
    }

    fn output(operation: &Arc<OperationKey<ScalarOp>>, output_slot: u8) -> Self {
        Self {
            key: ValueKey::Derived {
                operation: Arc::clone(operation),
                output_slot,
            },
        }
    }
}

methods!([] Expr);
operators!([] Expr);

/// Every caller gives as many operands as the operation takes, so this does not panic.
fn key<const N: usize>(op: ScalarOp, operands: [&Expr; N]) -> OperationKey<ScalarOp> {
    let operands = operands.map(|operand| operand.key.clone());
    OperationKey::new(op, operands.to_vec(), OperationRole::Primary)
}

impl<'a> Sum<&'a Self> for Expr {
    fn sum<I: Iterator<Item = &'a Self>>(terms: I) -> Self {
        terms.cloned().sum()
    }
}

impl<'a> Product<&'a Self> for Expr {
    fn product<I: Iterator<Item = &'a Self>>(factors: I) -> Self {
        factors.cloned().product()
    }
}

impl From<&Expr> for Expr {
    fn from(expr: &Self) -> Self {
        expr.clone()
    }
}

impl From<f64> for Expr {
    fn from(value: f64) -> Self {
        Self::constant(value)
    }
}

impl Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}
