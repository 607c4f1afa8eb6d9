//! What can be written with operators and methods, said once for everything that stands for a number.

/// A method for each primitive. The type has `apply`, from an operation and references to its operands,
/// `apply_pair` for an operation of two results, and is made from numbers and references by `into`.
macro_rules! methods {
    ([$($generics:tt)*] $Type:ty) => {
        impl $($generics)* $Type {
            /// 1 / x
            #[inline]
            #[track_caller]
            pub fn recip(&self) -> Self {
                Self::apply(ScalarOp::Recip, [self])
            }

            /// |x|; slope 0 at 0, and second derivative 0 everywhere
            ///
            /// So what is smooth for another reason has no right second derivative at 0: |-x²| has 0 there, not 2.
            #[inline]
            #[track_caller]
            pub fn abs(&self) -> Self {
                Self::apply(ScalarOp::Abs, [self])
            }

            /// -1, 0 or 1, for x below, at or above 0; its slope is 0
            #[inline]
            #[track_caller]
            pub fn sign(&self) -> Self {
                Self::apply(ScalarOp::Sign, [self])
            }

            /// The largest integer up to x; its slope is 0
            #[inline]
            #[track_caller]
            pub fn floor(&self) -> Self {
                Self::apply(ScalarOp::Floor, [self])
            }

            /// The smallest integer from x on; its slope is 0
            #[inline]
            #[track_caller]
            pub fn ceil(&self) -> Self {
                Self::apply(ScalarOp::Ceil, [self])
            }

            /// The integer nearest to x, of two the one farther from 0; its slope is 0
            #[inline]
            #[track_caller]
            pub fn round(&self) -> Self {
                Self::apply(ScalarOp::Round, [self])
            }

            /// The integer nearest to x, of two the even one; its slope is 0
            #[inline]
            #[track_caller]
            pub fn round_ties_even(&self) -> Self {
                Self::apply(ScalarOp::RoundTiesEven, [self])
            }

            /// The integer next to x on the side of 0; its slope is 0
            #[inline]
            #[track_caller]
            pub fn trunc(&self) -> Self {
                Self::apply(ScalarOp::Trunc, [self])
            }

            /// √x
            #[inline]
            #[track_caller]
            pub fn sqrt(&self) -> Self {
                Self::apply(ScalarOp::Sqrt, [self])
            }

            /// ∛x
            #[inline]
            #[track_caller]
            pub fn cbrt(&self) -> Self {
                Self::apply(ScalarOp::Cbrt, [self])
            }

            /// eˣ
            #[inline]
            #[track_caller]
            pub fn exp(&self) -> Self {
                Self::apply(ScalarOp::Exp, [self])
            }

            /// 2ˣ
            #[inline]
            #[track_caller]
            pub fn exp2(&self) -> Self {
                Self::apply(ScalarOp::Exp2, [self])
            }

            /// eˣ - 1, accurate near 0
            #[inline]
            #[track_caller]
            pub fn exp_m1(&self) -> Self {
                Self::apply(ScalarOp::Expm1, [self])
            }

            /// exp(-x²), accurate where x is large
            #[inline]
            #[track_caller]
            pub fn exp_neg_square(&self) -> Self {
                Self::apply(ScalarOp::ExpNegSquare, [self])
            }

            /// ln x
            #[inline]
            #[track_caller]
            pub fn ln(&self) -> Self {
                Self::apply(ScalarOp::Ln, [self])
            }

            /// log₂ x
            #[inline]
            #[track_caller]
            pub fn log2(&self) -> Self {
                Self::apply(ScalarOp::Log2, [self])
            }

            /// log₁₀ x
            #[inline]
            #[track_caller]
            pub fn log10(&self) -> Self {
                Self::apply(ScalarOp::Log10, [self])
            }

            /// ln (1 + x), accurate near 0
            #[inline]
            #[track_caller]
            pub fn ln_1p(&self) -> Self {
                Self::apply(ScalarOp::Log1p, [self])
            }

            /// σ(x) = 1 / (1 + e⁻ˣ)
            #[inline]
            #[track_caller]
            pub fn sigmoid(&self) -> Self {
                Self::apply(ScalarOp::Sigmoid, [self])
            }

            /// ln (1 + eˣ), without overflow
            #[inline]
            #[track_caller]
            pub fn softplus(&self) -> Self {
                Self::apply(ScalarOp::Softplus, [self])
            }

            /// sin x, x in radians
            #[inline]
            #[track_caller]
            pub fn sin(&self) -> Self {
                Self::apply(ScalarOp::Sin, [self])
            }

            /// cos x, x in radians
            #[inline]
            #[track_caller]
            pub fn cos(&self) -> Self {
                Self::apply(ScalarOp::Cos, [self])
            }

            /// (sin x, cos x), x in radians, as one operation
            #[inline]
            #[track_caller]
            pub fn sin_cos(&self) -> (Self, Self) {
                Self::apply_pair(ScalarOp::SinCos, [self])
            }

            /// tan x, x in radians
            #[inline]
            #[track_caller]
            pub fn tan(&self) -> Self {
                Self::apply(ScalarOp::Tan, [self])
            }

            /// arcsin x
            #[inline]
            #[track_caller]
            pub fn asin(&self) -> Self {
                Self::apply(ScalarOp::Asin, [self])
            }

            /// arccos x
            #[inline]
            #[track_caller]
            pub fn acos(&self) -> Self {
                Self::apply(ScalarOp::Acos, [self])
            }

            /// arctan x
            #[inline]
            #[track_caller]
            pub fn atan(&self) -> Self {
                Self::apply(ScalarOp::Atan, [self])
            }

            /// sinh x
            #[inline]
            #[track_caller]
            pub fn sinh(&self) -> Self {
                Self::apply(ScalarOp::Sinh, [self])
            }

            /// cosh x
            #[inline]
            #[track_caller]
            pub fn cosh(&self) -> Self {
                Self::apply(ScalarOp::Cosh, [self])
            }

            /// tanh x
            #[inline]
            #[track_caller]
            pub fn tanh(&self) -> Self {
                Self::apply(ScalarOp::Tanh, [self])
            }

            /// 1 / cosh² x, without underflow where it fits
            #[inline]
            #[track_caller]
            pub fn sech_square(&self) -> Self {
                Self::apply(ScalarOp::SechSquare, [self])
            }

            /// arsinh x
            #[inline]
            #[track_caller]
            pub fn asinh(&self) -> Self {
                Self::apply(ScalarOp::Asinh, [self])
            }

            /// arcosh x
            #[inline]
            #[track_caller]
            pub fn acosh(&self) -> Self {
                Self::apply(ScalarOp::Acosh, [self])
            }

            /// artanh x
            #[inline]
            #[track_caller]
            pub fn atanh(&self) -> Self {
                Self::apply(ScalarOp::Atanh, [self])
            }

            /// erf x
            #[inline]
            #[track_caller]
            pub fn erf(&self) -> Self {
                Self::apply(ScalarOp::Erf, [self])
            }

            /// 1 - erf x, accurate where that is small
            #[inline]
            #[track_caller]
            pub fn erfc(&self) -> Self {
                Self::apply(ScalarOp::Erfc, [self])
            }

            /// ln |Γ(x)|
            #[inline]
            #[track_caller]
            pub fn lgamma(&self) -> Self {
                Self::apply(ScalarOp::Lgamma, [self])
            }

            /// ψ(x), the derivative of ln |Γ(x)|
            #[inline]
            #[track_caller]
            pub fn digamma(&self) -> Self {
                Self::apply(ScalarOp::Digamma, [self])
            }

            /// x, taken for a constant by derivatives
            #[inline]
            #[track_caller]
            pub fn stop_gradient(&self) -> Self {
                Self::apply(ScalarOp::StopGradient, [self])
            }

            /// xⁿ
            #[inline]
            #[track_caller]
            pub fn powi(&self, n: i32) -> Self {
                Self::apply(ScalarOp::Powi(n), [self])
            }

            /// xᶜ
            #[inline]
            #[track_caller]
            pub fn powf(&self, c: f64) -> Self {
                Self::apply(ScalarOp::powf(c), [self])
            }

            /// The n-th derivative of ψ(x)
            #[inline]
            #[track_caller]
            pub fn polygamma(&self, n: u32) -> Self {
                Self::apply(ScalarOp::Polygamma(n), [self])
            }

            /// The smaller of x and y, NaN if either is; slopes 1/2 at ties, and second derivatives 0 everywhere
            ///
            /// So what is smooth for another reason has no right second derivative at ties.
            #[inline]
            #[track_caller]
            pub fn min(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Min, [self, &other.into()])
            }

            /// The larger of x and y, NaN if either is; slopes 1/2 at ties, and second derivatives 0 everywhere
            ///
            /// So what is smooth for another reason has no right second derivative at ties.
            #[inline]
            #[track_caller]
            pub fn max(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Max, [self, &other.into()])
            }

            /// √(x² + y²), without overflow; slopes 0 at the origin, second derivatives NaN there
            #[inline]
            #[track_caller]
            pub fn hypot(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Hypot, [self, &other.into()])
            }

            /// x / √(x² + y²); 0 at the origin, with slopes NaN
            #[inline]
            #[track_caller]
            pub fn direction(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Direction, [self, &other.into()])
            }

            /// x to the power of an expression; see also [`powi`](Self::powi) and [`powf`](Self::powf)
            #[inline]
            #[track_caller]
            pub fn pow(&self, exponent: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Pow, [self, &exponent.into()])
            }

            /// The angle of the point (x, y), where this is y, as of [`f64::atan2`]
            #[inline]
            #[track_caller]
            pub fn atan2(&self, x: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Atan2, [self, &x.into()])
            }

            /// ln (eˣ + eʸ), without overflow
            #[inline]
            #[track_caller]
            pub fn logaddexp(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Logaddexp, [self, &other.into()])
            }

            /// σ(x - y), the share of eˣ in eˣ + eʸ
            #[inline]
            #[track_caller]
            pub fn sigmoid_sub(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::SigmoidSub, [self, &other.into()])
            }

            /// 1 where x < y, 0 elsewhere
            #[inline]
            #[track_caller]
            pub fn less(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Lt, [self, &other.into()])
            }

            /// 1 where x ≤ y, 0 elsewhere
            #[inline]
            #[track_caller]
            pub fn less_equal(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Le, [self, &other.into()])
            }

            /// 1 where x > y, 0 elsewhere
            #[inline]
            #[track_caller]
            pub fn greater(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Gt, [self, &other.into()])
            }

            /// 1 where x ≥ y, 0 elsewhere
            #[inline]
            #[track_caller]
            pub fn greater_equal(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Ge, [self, &other.into()])
            }

            /// 1 where x = y, 0 elsewhere
            #[inline]
            #[track_caller]
            pub fn equal(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Eq, [self, &other.into()])
            }

            /// 1 where x ≠ y, 0 elsewhere
            #[inline]
            #[track_caller]
            pub fn not_equal(&self, other: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Ne, [self, &other.into()])
            }

            /// This where `condition` is not 0, and 0 elsewhere
            #[inline]
            #[track_caller]
            pub fn keep_if(&self, condition: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::KeepIf, [&condition.into(), self])
            }

            /// x·y + z, rounded once
            #[inline]
            #[track_caller]
            pub fn mul_add(&self, y: impl Into<Self>, z: impl Into<Self>) -> Self {
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
            pub fn select(&self, a: impl Into<Self>, b: impl Into<Self>) -> Self {
                Self::apply(ScalarOp::Select, [self, &a.into(), &b.into()])
            }
        }
    };
}

/// An operator for every pairing of values, references and numbers, sums and products. The type also has
/// `constant`.
macro_rules! operators {
    ([$($generics:tt)*] $Type:ty) => {
        operators!(@one [$($generics)*] $Type, Add, add, AddAssign, add_assign);
        operators!(@one [$($generics)*] $Type, Sub, sub, SubAssign, sub_assign);
        operators!(@one [$($generics)*] $Type, Mul, mul, MulAssign, mul_assign);
        operators!(@one [$($generics)*] $Type, Div, div, DivAssign, div_assign);
        operators!(@one [$($generics)*] $Type, Rem, rem, RemAssign, rem_assign);
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
        operators!(@with_number [$($generics)*] $Type, $Trait, $method, $Type);
        operators!(@with_number [$($generics)*] $Type, $Trait, $method, &$Type);
        operators!(@assign [$($generics)*] $Type, $Trait, $method, $Assign, $assign, $Type);
        operators!(@assign [$($generics)*] $Type, $Trait, $method, $Assign, $assign, &$Type);
        operators!(@assign [$($generics)*] $Type, $Trait, $method, $Assign, $assign, f64);
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
    (@with_number [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident, $Operand:ty) => {
        impl $($generics)* std::ops::$Trait<f64> for $Operand {
            type Output = $Type;

            #[inline]
            #[track_caller]
            fn $method(self, other: f64) -> $Type {
                std::ops::$Trait::$method(self, <$Type>::constant(other))
            }
        }

        impl $($generics)* std::ops::$Trait<$Operand> for f64 {
            type Output = $Type;

            #[inline]
            #[track_caller]
            fn $method(self, other: $Operand) -> $Type {
                std::ops::$Trait::$method(<$Type>::constant(self), other)
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
