//! What an opcode computes, as data.

/// What an [opcode](super::Opcode) computes of its operands.
///
/// Each operator rounds its result on its own, to an `f64`, as the programs do: a writer of source code that keeps
/// to the formula, and keeps its compiler from contracting or reordering it, gets the same bits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Formula {
    /// An operand of the instruction, by position.
    Operand(usize),
    /// A number.
    Number(f64),
    /// An operator on what other formulas yield, as many as it takes.
    Apply(Operator, Vec<Formula>),
}

/// An operand while a formula is written.
#[derive(Clone, Copy)]
pub(super) struct Position(pub usize);

impl From<Position> for Formula {
    fn from(operand: Position) -> Self {
        Self::Operand(operand.0)
    }
}

impl From<f64> for Formula {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// From a table of operators: what they are, and functions of their names on numbers and on formulas, so that what is
/// written of these is both.
macro_rules! operators {
    ($($meaning:literal $Operator:ident = $name:ident($($x:ident),*) $value:expr;)*) => {
        /// What [formulas](Formula) are made of: the operations of IEEE 754 and those of a mathematical library, which
        /// are those of Rust's `f64`. What is true is 1, what is not is 0.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operator {
            $(#[doc = $meaning] $Operator,)*
        }

        /// The operators on numbers.
        pub(crate) mod numbers {
            $(
                #[inline(always)]
                pub fn $name($($x: f64),*) -> f64 {
                    $value
                }
            )*
        }

        /// The operators on formulas.
        pub(super) mod formulas {
            use super::{Formula, Operator};

            $(
                pub fn $name($($x: impl Into<Formula>),*) -> Formula {
                    Formula::Apply(Operator::$Operator, vec![$($x.into()),*])
                }
            )*
        }
    };
}

operators! {
    "-a" Neg = neg(a) -a;
    "a + b" Add = add(a, b) a + b;
    "a - b" Sub = sub(a, b) a - b;
    "a × b" Mul = mul(a, b) a * b;
    "a ÷ b" Div = div(a, b) a / b;
    "a × b + c, rounded once: `fma` of C" MulAdd = mul_add(a, b, c) a.mul_add(b, c);
    "√a" Sqrt = sqrt(a) a.sqrt();
    "|a|" Abs = abs(a) a.abs();
    "|a| with the sign of b, also that of a zero" Copysign = copysign(a, b) a.copysign(b);
    "The largest integer up to a" Floor = floor(a) a.floor();
    "The smallest integer from a on" Ceil = ceil(a) a.ceil();
    "The integer nearest to a, of two the one farther from 0" Round = round(a) a.round();
    "The integer nearest to a, of two the even one" RoundTiesEven = round_ties_even(a) a.round_ties_even();
    "The integer next to a on the side of 0" Trunc = trunc(a) a.trunc();
    "eᵃ" Exp = exp(a) a.exp();
    "ln a" Ln = ln(a) a.ln();
    "sin a" Sin = sin(a) a.sin();
    "cos a" Cos = cos(a) a.cos();
    "a < b" Lt = lt(a, b) f64::from(u8::from(a < b));
    "a ≤ b" Le = le(a, b) f64::from(u8::from(a <= b));
    "a > b" Gt = gt(a, b) f64::from(u8::from(a > b));
    "a ≥ b" Ge = ge(a, b) f64::from(u8::from(a >= b));
    "a = b" Eq = eq(a, b) f64::from(u8::from(a == b));
    "a ≠ b" Ne = ne(a, b) f64::from(u8::from(a != b));
    "b where a is not 0, as a NaN is not; else c" Select = select(a, b, c) if a != 0.0 { b } else { c };
}
