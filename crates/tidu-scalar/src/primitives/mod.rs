//! The table of all primitives.

mod arithmetic;
mod comparisons;
mod exponentials;
mod hyperbolic;
mod powers;
mod rounding;
mod special;
mod trigonometric;

use crate::definition::Meaning;
use crate::op::ScalarOp;

/// From a primitive to its definition; those that hold a number first.
macro_rules! table {
    (
        $($numbered:pat => $numbered_definition:path,)*
        ;
        $($plain:ident => $definition:path,)*
    ) => {
        impl ScalarOp {
            /// Every primitive that holds no number.
            pub const PLAIN: &'static [ScalarOp] = &[$(ScalarOp::$plain),*];

            /// What the operation is. Inlined, it is known where the operation is.
            #[inline]
            pub(crate) fn meaning(&self) -> Meaning<'_> {
                Meaning::Defined(match self {
                    ScalarOp::Composite(function) => return Meaning::Composite(function),
                    $($numbered => &$numbered_definition,)*
                    $(ScalarOp::$plain => &$definition,)*
                })
            }
        }
    };
}

table! {
    ScalarOp::Constant(_) => arithmetic::CONSTANT,
    ScalarOp::Powi(_) => powers::POWI,
    ScalarOp::Powf(_) => powers::POWF,
    ScalarOp::PowPartial(_) => powers::POW_PARTIAL,
    ScalarOp::Polygamma(_) => special::POLYGAMMA,
    ;
    Add => arithmetic::ADD,
    Sub => arithmetic::SUB,
    Mul => arithmetic::MUL,
    Div => arithmetic::DIV,
    Neg => arithmetic::NEG,
    Recip => arithmetic::RECIP,
    MulAdd => arithmetic::MUL_ADD,
    Rem => arithmetic::REM,
    Select => arithmetic::SELECT,
    KeepIf => arithmetic::KEEP_IF,
    StopGradient => arithmetic::STOP_GRADIENT,
    Lt => comparisons::LT,
    Le => comparisons::LE,
    Gt => comparisons::GT,
    Ge => comparisons::GE,
    Eq => comparisons::EQ,
    Ne => comparisons::NE,
    Min => comparisons::MIN,
    Max => comparisons::MAX,
    Abs => comparisons::ABS,
    Sign => comparisons::SIGN,
    Floor => rounding::FLOOR,
    Ceil => rounding::CEIL,
    Round => rounding::ROUND,
    RoundTiesEven => rounding::ROUND_TIES_EVEN,
    Trunc => rounding::TRUNC,
    Sqrt => powers::SQRT,
    Cbrt => powers::CBRT,
    Hypot => powers::HYPOT,
    Direction => powers::DIRECTION,
    Pow => powers::POW,
    Exp => exponentials::EXP,
    Exp2 => exponentials::EXP2,
    Expm1 => exponentials::EXPM1,
    ExpNegSquare => exponentials::EXP_NEG_SQUARE,
    Ln => exponentials::LN,
    Log2 => exponentials::LOG2,
    Log10 => exponentials::LOG10,
    Log1p => exponentials::LOG1P,
    Logaddexp => exponentials::LOGADDEXP,
    Sigmoid => exponentials::SIGMOID,
    SigmoidSub => exponentials::SIGMOID_SUB,
    Softplus => exponentials::SOFTPLUS,
    Sin => trigonometric::SIN,
    Cos => trigonometric::COS,
    SinCos => trigonometric::SIN_COS,
    Tan => trigonometric::TAN,
    Asin => trigonometric::ASIN,
    Acos => trigonometric::ACOS,
    Atan => trigonometric::ATAN,
    Atan2 => trigonometric::ATAN2,
    Sinh => hyperbolic::SINH,
    Cosh => hyperbolic::COSH,
    Tanh => hyperbolic::TANH,
    SechSquare => hyperbolic::SECH_SQUARE,
    Asinh => hyperbolic::ASINH,
    Acosh => hyperbolic::ACOSH,
    Atanh => hyperbolic::ATANH,
    Erf => special::ERF,
    Erfc => special::ERFC,
    Lgamma => special::LGAMMA,
    Digamma => special::DIGAMMA,
}
