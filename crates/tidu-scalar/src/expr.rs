//! Functions written with operators.

use std::borrow::Borrow;
use std::fmt::{self, Debug};
use std::iter::{Product, Sum};
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
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

    /// 1 / x
    pub fn recip(&self) -> Self {
        Self::apply(ScalarOp::Recip, [self])
    }

    /// |x|; slope 0 at 0
    pub fn abs(&self) -> Self {
        Self::apply(ScalarOp::Abs, [self])
    }

    /// -1, 0 or 1, for x below, at or above 0; its slope is 0
    pub fn sign(&self) -> Self {
        Self::apply(ScalarOp::Sign, [self])
    }

    /// The largest integer up to x; its slope is 0
    pub fn floor(&self) -> Self {
        Self::apply(ScalarOp::Floor, [self])
    }

    /// The smallest integer from x on; its slope is 0
    pub fn ceil(&self) -> Self {
        Self::apply(ScalarOp::Ceil, [self])
    }

    /// The integer nearest to x, of two the one farther from 0; its slope is 0
    pub fn round(&self) -> Self {
        Self::apply(ScalarOp::Round, [self])
    }

    /// The integer nearest to x, of two the even one; its slope is 0
    pub fn round_ties_even(&self) -> Self {
        Self::apply(ScalarOp::RoundTiesEven, [self])
    }

    /// The integer next to x on the side of 0; its slope is 0
    pub fn trunc(&self) -> Self {
        Self::apply(ScalarOp::Trunc, [self])
    }

    /// √x
    pub fn sqrt(&self) -> Self {
        Self::apply(ScalarOp::Sqrt, [self])
    }

    /// ∛x
    pub fn cbrt(&self) -> Self {
        Self::apply(ScalarOp::Cbrt, [self])
    }

    /// eˣ
    pub fn exp(&self) -> Self {
        Self::apply(ScalarOp::Exp, [self])
    }

    /// 2ˣ
    pub fn exp2(&self) -> Self {
        Self::apply(ScalarOp::Exp2, [self])
    }

    /// eˣ - 1, accurate near 0
    pub fn exp_m1(&self) -> Self {
        Self::apply(ScalarOp::Expm1, [self])
    }

    /// exp(-x²), accurate where x is large
    pub fn exp_neg_square(&self) -> Self {
        Self::apply(ScalarOp::ExpNegSquare, [self])
    }

    /// ln x
    pub fn ln(&self) -> Self {
        Self::apply(ScalarOp::Ln, [self])
    }

    /// log₂ x
    pub fn log2(&self) -> Self {
        Self::apply(ScalarOp::Log2, [self])
    }

    /// log₁₀ x
    pub fn log10(&self) -> Self {
        Self::apply(ScalarOp::Log10, [self])
    }

    /// ln (1 + x), accurate near 0
    pub fn ln_1p(&self) -> Self {
        Self::apply(ScalarOp::Log1p, [self])
    }

    /// σ(x) = 1 / (1 + e⁻ˣ)
    pub fn sigmoid(&self) -> Self {
        Self::apply(ScalarOp::Sigmoid, [self])
    }

    /// ln (1 + eˣ), without overflow
    pub fn softplus(&self) -> Self {
        Self::apply(ScalarOp::Softplus, [self])
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

    /// tan x, x in radians
    pub fn tan(&self) -> Self {
        Self::apply(ScalarOp::Tan, [self])
    }

    /// arcsin x
    pub fn asin(&self) -> Self {
        Self::apply(ScalarOp::Asin, [self])
    }

    /// arccos x
    pub fn acos(&self) -> Self {
        Self::apply(ScalarOp::Acos, [self])
    }

    /// arctan x
    pub fn atan(&self) -> Self {
        Self::apply(ScalarOp::Atan, [self])
    }

    /// sinh x
    pub fn sinh(&self) -> Self {
        Self::apply(ScalarOp::Sinh, [self])
    }

    /// cosh x
    pub fn cosh(&self) -> Self {
        Self::apply(ScalarOp::Cosh, [self])
    }

    /// tanh x
    pub fn tanh(&self) -> Self {
        Self::apply(ScalarOp::Tanh, [self])
    }

    /// 1 / cosh² x, without underflow where it fits
    pub fn sech_square(&self) -> Self {
        Self::apply(ScalarOp::SechSquare, [self])
    }

    /// arsinh x
    pub fn asinh(&self) -> Self {
        Self::apply(ScalarOp::Asinh, [self])
    }

    /// arcosh x
    pub fn acosh(&self) -> Self {
        Self::apply(ScalarOp::Acosh, [self])
    }

    /// artanh x
    pub fn atanh(&self) -> Self {
        Self::apply(ScalarOp::Atanh, [self])
    }

    /// erf x
    pub fn erf(&self) -> Self {
        Self::apply(ScalarOp::Erf, [self])
    }

    /// 1 - erf x, accurate where that is small
    pub fn erfc(&self) -> Self {
        Self::apply(ScalarOp::Erfc, [self])
    }

    /// ln |Γ(x)|
    pub fn lgamma(&self) -> Self {
        Self::apply(ScalarOp::Lgamma, [self])
    }

    /// ψ(x), the derivative of ln |Γ(x)|
    pub fn digamma(&self) -> Self {
        Self::apply(ScalarOp::Digamma, [self])
    }

    /// x, taken for a constant by derivatives
    pub fn stop_gradient(&self) -> Self {
        Self::apply(ScalarOp::StopGradient, [self])
    }

    /// xⁿ
    pub fn powi(&self, n: i32) -> Self {
        Self::apply(ScalarOp::Powi(n), [self])
    }

    /// xᶜ
    pub fn powf(&self, c: f64) -> Self {
        Self::apply(ScalarOp::powf(c), [self])
    }

    /// The n-th derivative of ψ(x)
    pub fn polygamma(&self, n: u32) -> Self {
        Self::apply(ScalarOp::Polygamma(n), [self])
    }

    /// The smaller of x and y, NaN if either is; slopes 1/2 at ties
    pub fn min(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Min, [self, &other.into()])
    }

    /// The larger of x and y, NaN if either is; slopes 1/2 at ties
    pub fn max(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Max, [self, &other.into()])
    }

    /// √(x² + y²), without overflow; slopes 0 at the origin
    pub fn hypot(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Hypot, [self, &other.into()])
    }

    /// x / √(x² + y²); 0 at the origin
    pub fn direction(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Direction, [self, &other.into()])
    }

    /// x to the power of an expression; see also [`powi`](Self::powi) and [`powf`](Self::powf)
    pub fn pow(&self, exponent: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Pow, [self, &exponent.into()])
    }

    /// The angle of the point (x, y), where this is y, as of [`f64::atan2`]
    pub fn atan2(&self, x: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Atan2, [self, &x.into()])
    }

    /// ln (eˣ + eʸ), without overflow
    pub fn logaddexp(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Logaddexp, [self, &other.into()])
    }

    /// σ(x - y), the share of eˣ in eˣ + eʸ
    pub fn sigmoid_sub(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::SigmoidSub, [self, &other.into()])
    }

    /// 1 where x < y, 0 elsewhere
    pub fn less(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Lt, [self, &other.into()])
    }

    /// 1 where x ≤ y, 0 elsewhere
    pub fn less_equal(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Le, [self, &other.into()])
    }

    /// 1 where x > y, 0 elsewhere
    pub fn greater(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Gt, [self, &other.into()])
    }

    /// 1 where x ≥ y, 0 elsewhere
    pub fn greater_equal(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Ge, [self, &other.into()])
    }

    /// 1 where x = y, 0 elsewhere
    pub fn equal(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Eq, [self, &other.into()])
    }

    /// 1 where x ≠ y, 0 elsewhere
    pub fn not_equal(&self, other: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Ne, [self, &other.into()])
    }

    /// This where `condition` is not 0, and 0 elsewhere
    pub fn keep_if(&self, condition: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::KeepIf, [&condition.into(), self])
    }

    /// x·y + z, rounded once
    pub fn mul_add(&self, y: impl Into<Self>, z: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::MulAdd, [self, &y.into(), &z.into()])
    }

    /// `a` where this is not 0, and `b` where it is
    ///
    /// What is not taken has no influence, even if it is a NaN:
    ///
    /// ```
    /// let f = tidu_scalar::function(["x"], |[x]| [x.greater(0.0).select(x.ln(), 0.0)])?;
    /// assert_eq!(f.grad("x")?.compile().call(&[-1.0])?, [0.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn select(&self, a: impl Into<Self>, b: impl Into<Self>) -> Self {
        Self::apply(ScalarOp::Select, [self, &a.into(), &b.into()])
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
operator!(Rem, rem, ScalarOp::Rem);

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
