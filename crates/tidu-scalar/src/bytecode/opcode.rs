//! Opcodes, and the one table of what they compute.

use super::formula::{Formula, Position, formulas};

/// Hands the table of all arithmetic that has an opcode of its own to a macro: by the number of
/// operands; opcode, name in print, and value, written of the operators of formulas. Last come the functions that
/// may be computed for several numbers at once.
///
/// The interpreter of one point, that of many, and the formulas are generated from it, so that they cannot
/// differ. What is of two operations is rounded twice, as the two would be.
macro_rules! with_arithmetic {
    ($then:ident) => {
        $then! {
            unary {
                Neg "neg" |a| neg(a);
                Recip "recip" |a| div(1.0, a);
                Sqrt "sqrt" |a| sqrt(a);
                Abs "abs" |a| abs(a);
                Sign "sign" |a| select(gt(a, 0.0), 1.0, select(lt(a, 0.0), -1.0, a));
                Floor "floor" |a| floor(a);
                Ceil "ceil" |a| ceil(a);
                Round "round" |a| round(a);
                RoundTiesEven "round_ties_even" |a| round_ties_even(a);
                Trunc "trunc" |a| trunc(a);
            }
            binary {
                Add "add" |a, b| add(a, b);
                Sub "sub" |a, b| sub(a, b);
                Mul "mul" |a, b| mul(a, b);
                Div "div" |a, b| div(a, b);
                KeepIf "keep_if" |a, b| select(a, b, 0.0);
                Lt "lt" |a, b| lt(a, b);
                Le "le" |a, b| le(a, b);
                Gt "gt" |a, b| gt(a, b);
                Ge "ge" |a, b| ge(a, b);
                Eq "eq" |a, b| eq(a, b);
                Ne "ne" |a, b| ne(a, b);
                // As of IEEE 754-2019, where `f64::min` and `f64::max` ignore a NaN.
                Min "min" |a, b| select(
                    lt(a, b),
                    a,
                    select(
                        eq(a, b),
                        select(lt(copysign(1.0, a), 0.0), a, b),
                        select(gt(a, b), b, add(a, b))
                    )
                );
                Max "max" |a, b| select(
                    gt(a, b),
                    a,
                    select(
                        eq(a, b),
                        select(lt(copysign(1.0, a), 0.0), b, a),
                        select(lt(a, b), b, add(a, b))
                    )
                );
                NegMul "-(a * b)" |a, b| neg(mul(a, b));
            }
            ternary {
                MulAdd "mul_add" |a, b, c| mul_add(a, b, c);
                Select "select" |a, b, c| select(a, b, c);
                AddThenAdd "(a + b) + c" |a, b, c| add(add(a, b), c);
                SubThenAdd "(a - b) + c" |a, b, c| add(sub(a, b), c);
                MulThenAdd "(a * b) + c" |a, b, c| add(mul(a, b), c);
                AddThenSub "(a + b) - c" |a, b, c| sub(add(a, b), c);
                SubThenSub "(a - b) - c" |a, b, c| sub(sub(a, b), c);
                MulThenSub "(a * b) - c" |a, b, c| sub(mul(a, b), c);
                SubOfAdd "c - (a + b)" |a, b, c| sub(c, add(a, b));
                SubOfSub "c - (a - b)" |a, b, c| sub(c, sub(a, b));
                SubOfMul "c - (a * b)" |a, b, c| sub(c, mul(a, b));
                AddThenMul "(a + b) * c" |a, b, c| mul(add(a, b), c);
                SubThenMul "(a - b) * c" |a, b, c| mul(sub(a, b), c);
                MulThenMul "(a * b) * c" |a, b, c| mul(mul(a, b), c);
                FusedMulSub "fma(a, b, -c)" |a, b, c| mul_add(a, b, neg(c));
                FusedSubOfMul "fma(-a, b, c)" |a, b, c| mul_add(neg(a), b, c);
            }
            quaternary {
                ProductSum "(a * b) + (c * d)" |a, b, c, d| add(mul(a, b), mul(c, d));
                ProductDifference "(a * b) - (c * d)" |a, b, c, d| sub(mul(a, b), mul(c, d));
                FusedProductSum "fma(a, b, c * d)" |a, b, c, d| mul_add(a, b, mul(c, d));
                FusedProductDifference "fma(a, b, -(c * d))" |a, b, c, d| {
                    mul_add(a, b, neg(mul(c, d)))
                };
            }
            function {
                Exp "exp" |a| exp(a);
                Ln "ln" |a| ln(a);
                Sin "sin" |a| sin(a);
                Cos "cos" |a| cos(a);
            }
        }
    };
}
pub(crate) use with_arithmetic;

macro_rules! define_opcodes {
    (
        unary { $($unary:ident $unary_name:literal |$ua:ident| $uf:expr;)* }
        binary { $($binary:ident $binary_name:literal |$ba:ident, $bb:ident| $bf:expr;)* }
        ternary { $($ternary:ident $ternary_name:literal
            |$ta:ident, $tb:ident, $tc:ident| $tf:expr;)* }
        quaternary { $($quaternary:ident $quaternary_name:literal
            |$qa:ident, $qb:ident, $qc:ident, $qd:ident| $qf:expr;)* }
        function { $($function:ident $function_name:literal |$fa:ident| $ff:expr;)* }
    ) => {
        /// What an instruction does. All but calls say it by [formulas](Self::formulas).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Opcode {
            $(#[doc = $unary_name] $unary,)*
            $(#[doc = $binary_name] $binary,)*
            $(#[doc = $ternary_name] $ternary,)*
            $(#[doc = $quaternary_name] $quaternary,)*
            $(#[doc = $function_name] $function,)*
            /// sin a, and cos a
            SinCos,
            /// a; no bytecode contains it
            Copy,
            /// f(a)
            CallUnary,
            /// f(a, b)
            CallBinary,
            /// f(a, b, c)
            CallTernary,
        }

        impl Opcode {
            /// All that there are.
            pub const ALL: &'static [Self] = &[
                $(Self::$unary,)* $(Self::$binary,)* $(Self::$ternary,)* $(Self::$quaternary,)*
                $(Self::$function,)*
                Self::SinCos, Self::Copy, Self::CallUnary, Self::CallBinary, Self::CallTernary,
            ];

            /// The number of operands.
            pub const fn operand_count(self) -> usize {
                match self {
                    $(Self::$unary)|* => 1,
                    $(Self::$binary)|* => 2,
                    $(Self::$ternary)|* => 3,
                    $(Self::$quaternary)|* => 4,
                    $(Self::$function)|* => 1,
                    Self::SinCos | Self::Copy | Self::CallUnary => 1,
                    Self::CallBinary => 2,
                    Self::CallTernary => 3,
                }
            }

            /// The name in print: a word, or a formula of the operands a, b, c and d. `None` for a call, which is
            /// named by its [function](super::Bytecode::callee).
            pub const fn name(self) -> Option<&'static str> {
                Some(match self {
                    $(Self::$unary => $unary_name,)*
                    $(Self::$binary => $binary_name,)*
                    $(Self::$ternary => $ternary_name,)*
                    $(Self::$quaternary => $quaternary_name,)*
                    $(Self::$function => $function_name,)*
                    Self::SinCos => "sin_cos",
                    Self::Copy => "copy",
                    Self::CallUnary | Self::CallBinary | Self::CallTernary => return None,
                })
            }

            /// What is computed of the operands: a formula for each result. None for a call, of whose
            /// [function](super::Bytecode::callee) only the name and the values are known.
            pub fn formulas(self) -> Vec<Formula> {
                use formulas::*;

                vec![match self {
                    $(Self::$unary => {
                        let $ua = Position(0);
                        $uf
                    })*
                    $(Self::$binary => {
                        let [$ba, $bb] = [0, 1].map(Position);
                        $bf
                    })*
                    $(Self::$ternary => {
                        let [$ta, $tb, $tc] = [0, 1, 2].map(Position);
                        $tf
                    })*
                    $(Self::$quaternary => {
                        let [$qa, $qb, $qc, $qd] = [0, 1, 2, 3].map(Position);
                        $qf
                    })*
                    $(Self::$function => {
                        let $fa = Position(0);
                        $ff
                    })*
                    Self::Copy => Formula::Operand(0),
                    Self::SinCos => return vec![sin(Position(0)), cos(Position(0))],
                    Self::CallUnary | Self::CallBinary | Self::CallTernary => return Vec::new(),
                }]
            }
        }

        /// The values of opcodes, by their names.
        #[allow(non_snake_case, dead_code, reason = "of all opcodes, and called like them")]
        pub(crate) mod values {
            use super::super::formula::numbers::*;

            $(pub fn $unary($ua: f64) -> f64 { $uf })*
            $(pub fn $binary($ba: f64, $bb: f64) -> f64 { $bf })*
        }
    };
}
with_arithmetic!(define_opcodes);

impl Opcode {
    /// Whether there are two results.
    pub const fn has_second_result(self) -> bool {
        matches!(self, Self::SinCos)
    }
}
