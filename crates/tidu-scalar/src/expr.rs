//! Functions written with operators.

use std::borrow::Borrow;
use std::fmt::{self, Debug};
use std::iter::{Product, Sum};
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::Arc;

use tidu_ad::{Function, FunctionError};
use tidu_graph::{OperationKey, OperationRole, ValueKey};

use crate::key::ScalarKey;
use crate::op::ScalarOp;

/// Makes a function of named inputs; `body` is given the inputs and returns the outputs, which are
/// called `out0`, `out1`, and so on.
///
/// # Errors
///
/// [`FunctionError::RepeatedInput`] for a name that stands twice; [`FunctionError::Graph`] if `body`
/// uses an input of another function.
///
/// # Example
///
/// ```
/// let norm = tidu_scalar::function(["x", "y"], |[x, y]| [&x * &x + &y * &y])?;
/// assert_eq!(norm.grad(..)?.compile().call(&[3.0, 4.0])?, [6.0, 8.0]);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
pub fn function<const N: usize, Outputs: IntoIterator<Item = Expr>>(
    inputs: [&str; N],
    body: impl FnOnce([Expr; N]) -> Outputs,
) -> Result<Function<ScalarOp>, FunctionError> {
    let outputs = body(inputs.map(Expr::input)).into_iter();
    let named = outputs.enumerate();
    let named = named.map(|(position, output)| (output.key, format!("out{position}")));
    Function::from_keys(&inputs.map(ScalarKey::from), named.collect())
}

/// A scalar expression: an input, a number, or what an operation makes of others.
///
/// A cheap handle on a shared, immutable description. Operators take expressions by value or by
/// reference, and numbers on either side.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Expr {
    key: ValueKey<ScalarOp>,
}

impl Expr {
    /// The input of this name.
    pub fn input(name: &str) -> Self {
        Self {
            key: ValueKey::Input(name.into()),
        }
    }

    /// A number.
    pub fn constant(value: f64) -> Self {
        Self::apply(ScalarOp::constant(value), [])
    }

    /// eˣ
    pub fn exp(&self) -> Self {
        Self::apply(ScalarOp::Exp, [self])
    }

    /// ln x
    pub fn ln(&self) -> Self {
        Self::apply(ScalarOp::Ln, [self])
    }

    /// sin x, x in radians
    pub fn sin(&self) -> Self {
        Self::apply(ScalarOp::Sin, [self])
    }

    /// cos x, x in radians
    pub fn cos(&self) -> Self {
        Self::apply(ScalarOp::Cos, [self])
    }

    /// (sin x, cos x), x in radians, as one operation
    pub fn sin_cos(&self) -> (Self, Self) {
        let operation = Arc::new(key(ScalarOp::SinCos, [self]));
        (Self::output(&operation, 0), Self::output(&operation, 1))
    }

    /// x, with a derivative of zero
    pub fn stop_gradient(&self) -> Self {
        Self::apply(ScalarOp::StopGradient, [self])
    }

    /// The outputs of a function at these arguments.
    ///
    /// # Errors
    ///
    /// [`FunctionError::Graph`] for the wrong number of arguments.
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

    fn output(operation: &Arc<OperationKey<ScalarOp>>, output_slot: u8) -> Self {
        Self {
            key: ValueKey::Derived {
                operation: Arc::clone(operation),
                output_slot,
            },
        }
    }
}

/// Every caller gives as many operands as the operation takes, so this does not panic.
fn key<const N: usize>(op: ScalarOp, operands: [&Expr; N]) -> OperationKey<ScalarOp> {
    let operands = operands.map(|operand| operand.key.clone());
    OperationKey::new(op, operands.to_vec(), OperationRole::Primary)
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

impl Neg for &Expr {
    type Output = Expr;

    fn neg(self) -> Expr {
        Expr::apply(ScalarOp::Neg, [self])
    }
}

impl Neg for Expr {
    type Output = Expr;

    fn neg(self) -> Expr {
        -&self
    }
}

/// An operator for every pairing of values, references and numbers.
macro_rules! operator {
    ($Trait:ident, $method:ident, $op:expr) => {
        operator!(@pair $Trait, $method, $op, Expr, Expr);
        operator!(@pair $Trait, $method, $op, Expr, &Expr);
        operator!(@pair $Trait, $method, $op, &Expr, Expr);
        operator!(@pair $Trait, $method, $op, &Expr, &Expr);
        operator!(@with_number $Trait, $method, Expr);
        operator!(@with_number $Trait, $method, &Expr);
    };
    (@pair $Trait:ident, $method:ident, $op:expr, $Left:ty, $Right:ty) => {
        impl $Trait<$Right> for $Left {
            type Output = Expr;

            fn $method(self, other: $Right) -> Expr {
                Expr::apply($op, [Borrow::<Expr>::borrow(&self), Borrow::<Expr>::borrow(&other)])
            }
        }
    };
    (@with_number $Trait:ident, $method:ident, $Expr:ty) => {
        impl $Trait<f64> for $Expr {
            type Output = Expr;

            fn $method(self, other: f64) -> Expr {
                self.$method(Expr::constant(other))
            }
        }

        impl $Trait<$Expr> for f64 {
            type Output = Expr;

            fn $method(self, other: $Expr) -> Expr {
                Expr::constant(self).$method(other)
            }
        }
    };
}

operator!(Add, add, ScalarOp::Add);
operator!(Sub, sub, ScalarOp::Sub);
operator!(Mul, mul, ScalarOp::Mul);
operator!(Div, div, ScalarOp::Div);

/// From left to right; 0 without terms.
impl Sum for Expr {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        let sum = terms.reduce(|sum, term| sum + term);
        sum.unwrap_or_else(|| Self::constant(0.0))
    }
}

/// From left to right; 1 without factors.
impl Product for Expr {
    fn product<I: Iterator<Item = Self>>(factors: I) -> Self {
        let product = factors.reduce(|product, factor| product * factor);
        product.unwrap_or_else(|| Self::constant(1.0))
    }
}
