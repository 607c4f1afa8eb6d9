//! What can be written with operators and methods, said once for everything that stands for a number.

use std::fmt::Debug;
use std::iter::{Product, Sum};
use std::ops::{
    Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign,
};

use tidu_graph::text::{counted, operation_label};
use tidu_graph::{EvaluableGraphOperation, GraphOperation};

use crate::definition::{Definition, Eval};
use crate::op::ScalarOp;

/// A method for each primitive: of a type, which has [`Value`] by it, and of that trait. The type has `apply`, from
/// an operation and references to its operands, `apply_pair` for an operation of two results, and is made from
/// numbers and references by `into`.
macro_rules! methods {
    ([$($generics:tt)*] $Type:ty) => {
        impl $($generics)* $Type {
            methods!(@each pub fn);
        }

        impl $($generics)* crate::front::Value for $Type {
            #[inline]
            #[track_caller]
            fn apply<const N: usize>(op: crate::op::ScalarOp, operands: [&Self; N]) -> Self {
                crate::front::check(&op, N, 1);
                <$Type>::apply(op, operands)
            }

            #[inline]
            #[track_caller]
            fn apply_pair<const N: usize>(
                op: crate::op::ScalarOp,
                operands: [&Self; N],
            ) -> (Self, Self) {
                crate::front::check(&op, N, 2);
                <$Type>::apply_pair(op, operands)
            }
        }
    };
    (@each $vis:vis fn) => {
        /// 1 / x
        #[inline]
        #[track_caller]
        $vis fn recip(&self) -> Self {
            Self::apply(ScalarOp::Recip, [self])
        }

        /// |x|; slope 0 at 0, and second derivative 0 everywhere
        ///
        /// So what is smooth for another reason has no right second derivative at 0: |-x²| has 0 there, not 2.
        #[inline]
        #[track_caller]
        $vis fn abs(&self) -> Self {
            Self::apply(ScalarOp::Abs, [self])
        }

        /// -1, 0 or 1, for x below, at or above 0; its slope is 0
        #[inline]
        #[track_caller]
        $vis fn sign(&self) -> Self {
            Self::apply(ScalarOp::Sign, [self])
        }

        /// The largest integer up to x; its slope is 0
        #[inline]
        #[track_caller]
        $vis fn floor(&self) -> Self {
            Self::apply(ScalarOp::Floor, [self])
        }

        /// The smallest integer from x on; its slope is 0
        #[inline]
        #[track_caller]
        $vis fn ceil(&self) -> Self {
            Self::apply(ScalarOp::Ceil, [self])
        }

        /// The integer nearest to x, of two the one farther from 0; its slope is 0
        #[inline]
        #[track_caller]
        $vis fn round(&self) -> Self {
            Self::apply(ScalarOp::Round, [self])
        }

        /// The integer nearest to x, of two the even one; its slope is 0
        #[inline]
        #[track_caller]
        $vis fn round_ties_even(&self) -> Self {
            Self::apply(ScalarOp::RoundTiesEven, [self])
        }

        /// The integer next to x on the side of 0; its slope is 0
        #[inline]
        #[track_caller]
        $vis fn trunc(&self) -> Self {
            Self::apply(ScalarOp::Trunc, [self])
        }

        /// √x
        #[inline]
        #[track_caller]
        $vis fn sqrt(&self) -> Self {
            Self::apply(ScalarOp::Sqrt, [self])
        }

        /// ∛x
        #[inline]
        #[track_caller]
        $vis fn cbrt(&self) -> Self {
            Self::apply(ScalarOp::Cbrt, [self])
        }

        /// eˣ
        #[inline]
        #[track_caller]
        $vis fn exp(&self) -> Self {
            Self::apply(ScalarOp::Exp, [self])
        }

        /// 2ˣ
        #[inline]
        #[track_caller]
        $vis fn exp2(&self) -> Self {
            Self::apply(ScalarOp::Exp2, [self])
        }

        /// eˣ - 1, accurate near 0
        #[inline]
        #[track_caller]
        $vis fn exp_m1(&self) -> Self {
            Self::apply(ScalarOp::Expm1, [self])
        }

        /// exp(-x²), accurate where x is large
        #[inline]
        #[track_caller]
        $vis fn exp_neg_square(&self) -> Self {
            Self::apply(ScalarOp::ExpNegSquare, [self])
        }

        /// ln x
        #[inline]
        #[track_caller]
        $vis fn ln(&self) -> Self {
            Self::apply(ScalarOp::Ln, [self])
        }

        /// log₂ x
        #[inline]
        #[track_caller]
        $vis fn log2(&self) -> Self {
            Self::apply(ScalarOp::Log2, [self])
        }

        /// log₁₀ x
        #[inline]
        #[track_caller]
        $vis fn log10(&self) -> Self {
            Self::apply(ScalarOp::Log10, [self])
        }

        /// ln (1 + x), accurate near 0
        #[inline]
        #[track_caller]
        $vis fn ln_1p(&self) -> Self {
            Self::apply(ScalarOp::Log1p, [self])
        }

        /// σ(x) = 1 / (1 + e⁻ˣ)
        #[inline]
        #[track_caller]
        $vis fn sigmoid(&self) -> Self {
            Self::apply(ScalarOp::Sigmoid, [self])
        }

        /// ln (1 + eˣ), without overflow
        #[inline]
        #[track_caller]
        $vis fn softplus(&self) -> Self {
            Self::apply(ScalarOp::Softplus, [self])
        }

        /// sin x, x in radians
        #[inline]
        #[track_caller]
        $vis fn sin(&self) -> Self {
            Self::apply(ScalarOp::Sin, [self])
        }

        /// cos x, x in radians
        #[inline]
        #[track_caller]
        $vis fn cos(&self) -> Self {
            Self::apply(ScalarOp::Cos, [self])
        }

        /// (sin x, cos x), x in radians, as one operation
        #[inline]
        #[track_caller]
        $vis fn sin_cos(&self) -> (Self, Self) {
            Self::apply_pair(ScalarOp::SinCos, [self])
        }

        /// tan x, x in radians
        #[inline]
        #[track_caller]
        $vis fn tan(&self) -> Self {
            Self::apply(ScalarOp::Tan, [self])
        }

        /// arcsin x
        #[inline]
        #[track_caller]
        $vis fn asin(&self) -> Self {
            Self::apply(ScalarOp::Asin, [self])
        }

        /// arccos x
        #[inline]
        #[track_caller]
        $vis fn acos(&self) -> Self {
            Self::apply(ScalarOp::Acos, [self])
        }

        /// arctan x
        #[inline]
        #[track_caller]
        $vis fn atan(&self) -> Self {
            Self::apply(ScalarOp::Atan, [self])
        }

        /// sinh x
        #[inline]
        #[track_caller]
        $vis fn sinh(&self) -> Self {
            Self::apply(ScalarOp::Sinh, [self])
        }

        /// cosh x
        #[inline]
        #[track_caller]
        $vis fn cosh(&self) -> Self {
            Self::apply(ScalarOp::Cosh, [self])
        }

        /// tanh x
        #[inline]
        #[track_caller]
        $vis fn tanh(&self) -> Self {
            Self::apply(ScalarOp::Tanh, [self])
        }

        /// 1 / cosh² x, without underflow where it fits
        #[inline]
        #[track_caller]
        $vis fn sech_square(&self) -> Self {
            Self::apply(ScalarOp::SechSquare, [self])
        }

        /// arsinh x
        #[inline]
        #[track_caller]
        $vis fn asinh(&self) -> Self {
            Self::apply(ScalarOp::Asinh, [self])
        }

        /// arcosh x
        #[inline]
        #[track_caller]
        $vis fn acosh(&self) -> Self {
            Self::apply(ScalarOp::Acosh, [self])
        }

        /// artanh x
        #[inline]
        #[track_caller]
        $vis fn atanh(&self) -> Self {
            Self::apply(ScalarOp::Atanh, [self])
        }

        /// erf x
        #[inline]
        #[track_caller]
        $vis fn erf(&self) -> Self {
            Self::apply(ScalarOp::Erf, [self])
        }

        /// 1 - erf x, accurate where that is small
        #[inline]
        #[track_caller]
        $vis fn erfc(&self) -> Self {
            Self::apply(ScalarOp::Erfc, [self])
        }

        /// ln |Γ(x)|
        #[inline]
        #[track_caller]
        $vis fn lgamma(&self) -> Self {
            Self::apply(ScalarOp::Lgamma, [self])
        }

        /// ψ(x), the derivative of ln |Γ(x)|
        #[inline]
        #[track_caller]
        $vis fn digamma(&self) -> Self {
            Self::apply(ScalarOp::Digamma, [self])
        }

        /// x, taken for a constant by derivatives
        #[inline]
        #[track_caller]
        $vis fn stop_gradient(&self) -> Self {
            Self::apply(ScalarOp::StopGradient, [self])
        }

        /// xⁿ
        #[inline]
        #[track_caller]
        $vis fn powi(&self, n: i32) -> Self {
            Self::apply(ScalarOp::Powi(n), [self])
        }

        /// xᶜ
        #[inline]
        #[track_caller]
        $vis fn powf(&self, c: f64) -> Self {
            Self::apply(ScalarOp::powf(c), [self])
        }

        /// The n-th derivative of ψ(x)
        #[inline]
        #[track_caller]
        $vis fn polygamma(&self, n: u32) -> Self {
            Self::apply(ScalarOp::Polygamma(n), [self])
        }

        /// The smaller of x and y, NaN if either is; slopes 1/2 at ties, and second derivatives 0 everywhere
        ///
        /// So what is smooth for another reason has no right second derivative at ties.
        #[inline]
        #[track_caller]
        $vis fn min(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Min, [self, &other.into()])
        }

        /// The larger of x and y, NaN if either is; slopes 1/2 at ties, and second derivatives 0 everywhere
        ///
        /// So what is smooth for another reason has no right second derivative at ties.
        #[inline]
        #[track_caller]
        $vis fn max(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Max, [self, &other.into()])
        }

        /// √(x² + y²), without overflow; slopes 0 at the origin, second derivatives NaN there
        #[inline]
        #[track_caller]
        $vis fn hypot(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Hypot, [self, &other.into()])
        }

        /// x / √(x² + y²); 0 at the origin, with slopes NaN
        #[inline]
        #[track_caller]
        $vis fn direction(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Direction, [self, &other.into()])
        }

        /// x to the power of an expression; see also [`powi`](Self::powi) and [`powf`](Self::powf)
        #[inline]
        #[track_caller]
        $vis fn pow(&self, exponent: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Pow, [self, &exponent.into()])
        }

        /// The angle of the point (x, y), where this is y, as of [`f64::atan2`]
        #[inline]
        #[track_caller]
        $vis fn atan2(&self, x: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Atan2, [self, &x.into()])
        }

        /// ln (eˣ + eʸ), without overflow
        #[inline]
        #[track_caller]
        $vis fn logaddexp(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Logaddexp, [self, &other.into()])
        }

        /// σ(x - y), the share of eˣ in eˣ + eʸ
        #[inline]
        #[track_caller]
        $vis fn sigmoid_sub(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::SigmoidSub, [self, &other.into()])
        }

        /// 1 where x < y, 0 elsewhere
        #[inline]
        #[track_caller]
        $vis fn less(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Lt, [self, &other.into()])
        }

        /// 1 where x ≤ y, 0 elsewhere
        #[inline]
        #[track_caller]
        $vis fn less_equal(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Le, [self, &other.into()])
        }

        /// 1 where x > y, 0 elsewhere
        #[inline]
        #[track_caller]
        $vis fn greater(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Gt, [self, &other.into()])
        }

        /// 1 where x ≥ y, 0 elsewhere
        #[inline]
        #[track_caller]
        $vis fn greater_equal(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Ge, [self, &other.into()])
        }

        /// 1 where x = y, 0 elsewhere
        #[inline]
        #[track_caller]
        $vis fn equal(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Eq, [self, &other.into()])
        }

        /// 1 where x ≠ y, 0 elsewhere
        #[inline]
        #[track_caller]
        $vis fn not_equal(&self, other: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Ne, [self, &other.into()])
        }

        /// This where `condition` is not 0, and 0 elsewhere
        #[inline]
        #[track_caller]
        $vis fn keep_if(&self, condition: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::KeepIf, [&condition.into(), self])
        }

        /// x·y + z, rounded once
        #[inline]
        #[track_caller]
        $vis fn mul_add(&self, y: impl Into<Self>, z: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::MulAdd, [self, &y.into(), &z.into()])
        }

        /// `a` where this is not 0, and `b` where it is
        ///
        /// What is not taken has no influence on values and derivatives, even if it or its slope is infinite or
        /// a NaN:
        ///
        /// ```
        /// let f = tidu_scalar::function(["x"], |[x]| [x.greater(0.0).select(x.ln(), 0.0)])?;
        /// assert_eq!(f.grad("x")?.compile().call(&[-1.0])?, [0.0]);
        /// # Ok::<(), tidu_ad::FunctionError>(())
        /// ```
        #[inline]
        #[track_caller]
        $vis fn select(&self, a: impl Into<Self>, b: impl Into<Self>) -> Self {
            Self::apply(ScalarOp::Select, [self, &a.into(), &b.into()])
        }
    };
}

/// An operator for every pairing of values, references and numbers, sums and products. The type also has
/// `constant`.
///
/// Of the types of integers there is `i32` alone: with two, the compiler would not know which `2 * x` means.
macro_rules! operators {
    ([$($generics:tt)*] $Type:ty) => {
        operators!(@one [$($generics)*] $Type, Add, add, AddAssign, add_assign);
        operators!(@one [$($generics)*] $Type, Sub, sub, SubAssign, sub_assign);
        operators!(@one [$($generics)*] $Type, Mul, mul, MulAssign, mul_assign);
        operators!(@one [$($generics)*] $Type, Div, div, DivAssign, div_assign);
        operators!(@one [$($generics)*] $Type, Rem, rem, RemAssign, rem_assign);
        impl $($generics)* From<i32> for $Type {
            #[inline]
            fn from(value: i32) -> Self {
                Self::constant(f64::from(value))
            }
        }

        operators!(@neg [$($generics)*] $Type, $Type);
        operators!(@neg [$($generics)*] $Type, &$Type);
        operators!(@fold [$($generics)*] $Type, Sum, sum, +, 0.0, "From left to right; 0 without terms.");
        operators!(@fold [$($generics)*] $Type, Product, product, *, 1.0, "From left to right; 1 without factors.");
    };
    (@one [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident, $Assign:ident, $assign:ident) => {
        operators!(@pair [$($generics)*] $Type, $Trait, $method, $Type, $Type);
        operators!(@pair [$($generics)*] $Type, $Trait, $method, $Type, &$Type);
        operators!(@pair [$($generics)*] $Type, $Trait, $method, &$Type, $Type);
        operators!(@pair [$($generics)*] $Type, $Trait, $method, &$Type, &$Type);
        operators!(@with_number [$($generics)*] $Type, $Trait, $method, $Type, f64);
        operators!(@with_number [$($generics)*] $Type, $Trait, $method, &$Type, f64);
        operators!(@with_number [$($generics)*] $Type, $Trait, $method, $Type, i32);
        operators!(@with_number [$($generics)*] $Type, $Trait, $method, &$Type, i32);
        operators!(@assign [$($generics)*] $Type, $Trait, $method, $Assign, $assign, $Type);
        operators!(@assign [$($generics)*] $Type, $Trait, $method, $Assign, $assign, &$Type);
        operators!(@assign [$($generics)*] $Type, $Trait, $method, $Assign, $assign, f64);
        operators!(@assign [$($generics)*] $Type, $Trait, $method, $Assign, $assign, i32);
    };
    (@pair [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident, $Left:ty, $Right:ty) => {
        impl $($generics)* std::ops::$Trait<$Right> for $Left {
            type Output = $Type;

            #[inline]
            #[track_caller]
            fn $method(self, other: $Right) -> $Type {
                use std::borrow::Borrow;
                let operands = [Borrow::<$Type>::borrow(&self), Borrow::<$Type>::borrow(&other)];
                <$Type>::apply(crate::op::ScalarOp::$Trait, operands)
            }
        }
    };
    (@with_number [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident, $Operand:ty, $Number:ty) => {
        impl $($generics)* std::ops::$Trait<$Number> for $Operand {
            type Output = $Type;

            #[inline]
            #[track_caller]
            fn $method(self, other: $Number) -> $Type {
                std::ops::$Trait::$method(self, <$Type>::constant(other.into()))
            }
        }

        impl $($generics)* std::ops::$Trait<$Operand> for $Number {
            type Output = $Type;

            #[inline]
            #[track_caller]
            fn $method(self, other: $Operand) -> $Type {
                std::ops::$Trait::$method(<$Type>::constant(self.into()), other)
            }
        }
    };
    (@assign [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident, $Assign:ident, $assign:ident, $Right:ty) => {
        impl $($generics)* std::ops::$Assign<$Right> for $Type {
            #[inline]
            #[track_caller]
            fn $assign(&mut self, other: $Right) {
                *self = std::ops::$Trait::$method(&*self, other);
            }
        }
    };
    (@neg [$($generics:tt)*] $Type:ty, $Operand:ty) => {
        impl $($generics)* std::ops::Neg for $Operand {
            type Output = $Type;

            #[inline]
            #[track_caller]
            fn neg(self) -> $Type {
                use std::borrow::Borrow;
                <$Type>::apply(crate::op::ScalarOp::Neg, [Borrow::<$Type>::borrow(&self)])
            }
        }
    };
    (@fold [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident, $operator:tt, $unit:expr, $doc:literal) => {
        #[doc = $doc]
        impl $($generics)* std::iter::$Trait for $Type {
            #[track_caller]
            fn $method<I: Iterator<Item = Self>>(terms: I) -> Self {
                let result = terms.reduce(|result, term| result $operator term);
                result.unwrap_or_else(|| Self::constant($unit))
            }
        }
    };
}

pub(crate) use {methods, operators};

/// Something that stands for a real number: an `f64`, a [`Var`](crate::Var) on a tape, or an
/// [`Expr`](crate::Expr) of a function that is being written. What is written for any such thing runs on all three.
///
/// Operators take a value on the left, and a value, a reference or an `f64` on the right. (A number on the left,
/// `2.0 * x`, takes a concrete type; of any it is `x * 2.0`, `-x + 2.0`, or `V::from(2.0) - x`. Where both sides are
/// references, the left one is cloned, which costs next to nothing.) Methods are those of the primitives, to the
/// bit: of a NaN, for instance, `max` is NaN, where that of `f64` itself would be the other operand. They take
/// values and numbers. Comparisons yield 1 and 0, for [`select`](Self::select): an expression has no value to branch
/// on.
///
/// On an `f64`, a method that `f64` has itself goes before the one from here. In what is written for any `Value`, it
/// is always the one from here.
///
/// # Example
///
/// The energy of a spring, as a number, with its slope on a tape, and as a function that can be derived:
///
/// ```
/// use tidu_scalar::{Tape, Value, function};
///
/// fn energy<V: Value>(mass: f64, x: V, v: V) -> V {
///     v.powi(2) * (0.5 * mass) + x.powi(2) * 0.5
/// }
///
/// assert_eq!(energy(2.0, 3.0, 4.0), 20.5);
///
/// let tape = Tape::new();
/// let [x, v] = tape.vars([3.0, 4.0]);
/// let gradients = energy(2.0, x, v).backward()?;
/// assert_eq!((gradients[x], gradients[v]), (3.0, 8.0));
///
/// let f = function(["x", "v"], |[x, v]| energy(2.0, x, v))?;
/// assert_eq!(f.hessian(..)?.compile().call(&[3.0, 4.0])?, [1.0, 0.0, 0.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The sum of no numbers is -0 of `f64`, by the standard library, and 0 of the others.
pub trait Value:
    Clone
    + Debug
    + From<f64>
    + From<i32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Rem<Output = Self>
    + Neg<Output = Self>
    + for<'a> Add<&'a Self, Output = Self>
    + for<'a> Sub<&'a Self, Output = Self>
    + for<'a> Mul<&'a Self, Output = Self>
    + for<'a> Div<&'a Self, Output = Self>
    + for<'a> Rem<&'a Self, Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
    + Rem<f64, Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + RemAssign
    + for<'a> AddAssign<&'a Self>
    + for<'a> SubAssign<&'a Self>
    + for<'a> MulAssign<&'a Self>
    + for<'a> DivAssign<&'a Self>
    + for<'a> RemAssign<&'a Self>
    + AddAssign<f64>
    + SubAssign<f64>
    + MulAssign<f64>
    + DivAssign<f64>
    + RemAssign<f64>
    + Sum
    + Product
    + for<'a> Sum<&'a Self>
    + for<'a> Product<&'a Self>
{
    /// The result of an operation of one result.
    ///
    /// # Panics
    ///
    /// For another number of operands than the operation takes, and for an operation of two results.
    fn apply<const N: usize>(op: ScalarOp, operands: [&Self; N]) -> Self;

    /// The results of an operation of two.
    ///
    /// # Panics
    ///
    /// For another number of operands than the operation takes, and for an operation of one result.
    fn apply_pair<const N: usize>(op: ScalarOp, operands: [&Self; N]) -> (Self, Self);

    /// A number.
    fn constant(value: f64) -> Self {
        Self::from(value)
    }

    methods!(@each fn);
}

/// Numbers at once, without derivatives.
impl Value for f64 {
    #[inline]
    #[track_caller]
    fn apply<const N: usize>(op: ScalarOp, operands: [&Self; N]) -> Self {
        check(&op, N, 1);
        // Known where the operation is, so that nothing is looked up.
        let value = op
            .definition()
            .and_then(|definition| definition.eval.one(&op, &operands));
        value.unwrap_or_else(|| op.eval(&mut (), &operands)[0])
    }

    #[inline]
    #[track_caller]
    fn apply_pair<const N: usize>(op: ScalarOp, operands: [&Self; N]) -> (Self, Self) {
        check(&op, N, 2);
        if let Some(Definition {
            eval: Eval::Pair(f),
            ..
        }) = op.definition()
        {
            return f(*operands[0]);
        }
        let results = op.eval(&mut (), &operands);
        (results[0], results[1])
    }
}

/// Fails, at the caller, for an operation of other numbers of operands and results.
#[inline]
#[track_caller]
pub(crate) fn check(op: &ScalarOp, operands: usize, results: usize) {
    let shape = (op.input_count(), op.output_count());
    if shape != (operands, results) {
        misapplied(op, operands, results);
    }
}

#[cold]
#[track_caller]
fn misapplied(op: &ScalarOp, operands: usize, results: usize) -> ! {
    let method = if results == 1 { "apply" } else { "apply_pair" };
    panic!(
        "`{method}` of {}, which has {} and {}, found {} for {}",
        operation_label(op),
        counted(op.input_count(), "input"),
        counted(op.output_count(), "output"),
        counted(operands, "operand"),
        counted(results, "result"),
    );
}
