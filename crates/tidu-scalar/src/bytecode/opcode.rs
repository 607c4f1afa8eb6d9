//! What a program is made of: opcodes, and instructions over registers.

/// Hands the table of all arithmetic that has an opcode of its own to a macro: by the number of
/// operands; opcode, name in print, and value.
///
/// The interpreter of one point and that of many are both generated from it, so that they cannot
/// differ. What is of two operations is rounded twice, as the two would be.
macro_rules! with_arithmetic {
    ($then:ident) => {
        $then! {
            unary {
                Neg "neg" |a| -a;
                Recip "recip" |a| 1.0 / a;
                Sqrt "sqrt" |a| a.sqrt();
                Abs "abs" |a| a.abs();
                Sign "sign" |a| sign(a);
                Floor "floor" |a| a.floor();
                Ceil "ceil" |a| a.ceil();
                Round "round" |a| a.round();
                RoundTiesEven "round_ties_even" |a| a.round_ties_even();
                Trunc "trunc" |a| a.trunc();
            }
            binary {
                Add "add" |a, b| a + b;
                Sub "sub" |a, b| a - b;
                Mul "mul" |a, b| a * b;
                Div "div" |a, b| a / b;
                KeepIf "keep_if" |a, b| if a != 0.0 { b } else { 0.0 };
                Lt "lt" |a, b| truth(a < b);
                Le "le" |a, b| truth(a <= b);
                Gt "gt" |a, b| truth(a > b);
                Ge "ge" |a, b| truth(a >= b);
                Eq "eq" |a, b| truth(a == b);
                Ne "ne" |a, b| truth(a != b);
                Min "min" |a, b| minimum(a, b);
                Max "max" |a, b| maximum(a, b);
                NegMul "-(a * b)" |a, b| -(a * b);
            }
            ternary {
                MulAdd "mul_add" |a, b, c| a.mul_add(b, c);
                Select "select" |a, b, c| if a != 0.0 { b } else { c };
                AddThenAdd "(a + b) + c" |a, b, c| (a + b) + c;
                SubThenAdd "(a - b) + c" |a, b, c| (a - b) + c;
                MulThenAdd "(a * b) + c" |a, b, c| (a * b) + c;
                AddThenSub "(a + b) - c" |a, b, c| (a + b) - c;
                SubThenSub "(a - b) - c" |a, b, c| (a - b) - c;
                MulThenSub "(a * b) - c" |a, b, c| (a * b) - c;
                SubOfAdd "c - (a + b)" |a, b, c| c - (a + b);
                SubOfSub "c - (a - b)" |a, b, c| c - (a - b);
                SubOfMul "c - (a * b)" |a, b, c| c - (a * b);
                AddThenMul "(a + b) * c" |a, b, c| (a + b) * c;
                SubThenMul "(a - b) * c" |a, b, c| (a - b) * c;
                MulThenMul "(a * b) * c" |a, b, c| (a * b) * c;
                FusedMulSub "fma(a, b, -c)" |a, b, c| a.mul_add(b, -c);
                FusedSubOfMul "fma(-a, b, c)" |a, b, c| (-a).mul_add(b, c);
            }
            quaternary {
                ProductSum "(a * b) + (c * d)" |a, b, c, d| (a * b) + (c * d);
                ProductDifference "(a * b) - (c * d)" |a, b, c, d| (a * b) - (c * d);
                FusedProductSum "fma(a, b, c * d)" |a, b, c, d| a.mul_add(b, c * d);
                FusedProductDifference "fma(a, b, -(c * d))" |a, b, c, d| a.mul_add(b, -(c * d));
            }
        }
    };
}
pub(super) use with_arithmetic;

macro_rules! define_opcodes {
    (
        unary { $($unary:ident $unary_name:literal |$ua:ident| $uf:expr;)* }
        binary { $($binary:ident $binary_name:literal |$ba:ident, $bb:ident| $bf:expr;)* }
        ternary { $($ternary:ident $ternary_name:literal
            |$ta:ident, $tb:ident, $tc:ident| $tf:expr;)* }
        quaternary { $($quaternary:ident $quaternary_name:literal
            |$qa:ident, $qb:ident, $qc:ident, $qd:ident| $qf:expr;)* }
    ) => {
        /// What an instruction does. Those that are not arithmetic call a function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Opcode {
            $(#[doc = $unary_name] $unary,)*
            $(#[doc = $binary_name] $binary,)*
            $(#[doc = $ternary_name] $ternary,)*
            $(#[doc = $quaternary_name] $quaternary,)*
            /// eᵃ
            Exp,
            /// ln a
            Ln,
            /// sin a
            Sin,
            /// cos a
            Cos,
            /// sin a, and cos a
            SinCos,
            /// a; no program contains it
            Copy,
            /// f(a)
            CallUnary,
            /// f(a, b)
            CallBinary,
            /// f(a, b, c)
            CallTernary,
            /// The two results of f(a)
            CallPair,
        }

        impl Opcode {
            /// The number of operands.
            pub fn operand_count(self) -> usize {
                match self {
                    $(Opcode::$unary)|* => 1,
                    $(Opcode::$binary)|* => 2,
                    $(Opcode::$ternary)|* => 3,
                    $(Opcode::$quaternary)|* => 4,
                    Opcode::Exp | Opcode::Ln | Opcode::Sin | Opcode::Cos | Opcode::SinCos => 1,
                    Opcode::Copy | Opcode::CallUnary | Opcode::CallPair => 1,
                    Opcode::CallBinary => 2,
                    Opcode::CallTernary => 3,
                }
            }

            /// The name in print; `None` for a call, which is named by its function.
            pub fn name(self) -> Option<&'static str> {
                Some(match self {
                    $(Opcode::$unary => $unary_name,)*
                    $(Opcode::$binary => $binary_name,)*
                    $(Opcode::$ternary => $ternary_name,)*
                    $(Opcode::$quaternary => $quaternary_name,)*
                    Opcode::Exp => "exp",
                    Opcode::Ln => "ln",
                    Opcode::Sin => "sin",
                    Opcode::Cos => "cos",
                    Opcode::SinCos => "sin_cos",
                    Opcode::Copy => "copy",
                    _ => return None,
                })
            }
        }
    };
}
with_arithmetic!(define_opcodes);

impl Opcode {
    /// Whether there are two results.
    pub fn has_second_result(self) -> bool {
        matches!(self, Opcode::SinCos | Opcode::CallPair)
    }
}

/// The index of a value or register.
pub(crate) trait Index: Copy {
    fn position(self) -> usize;
}

impl Index for u16 {
    #[inline(always)]
    fn position(self) -> usize {
        usize::from(self)
    }
}

impl Index for u32 {
    #[inline(always)]
    fn position(self) -> usize {
        self as usize
    }
}

/// An instruction: over the values of a function while it is made, over registers when it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction<Index> {
    pub opcode: Opcode,
    /// The operands. Behind them: for a call, in [`FUNCTION`], which function; for two results, in
    /// [`SECOND`], where the second one goes.
    pub operands: [Index; 4],
    pub result: Index,
}

/// Where an instruction that calls says what it calls.
pub(super) const FUNCTION: usize = 2;
/// The same for functions of three operands.
pub(super) const TERNARY_FUNCTION: usize = 3;
/// Where an instruction of two results says where the second one goes.
pub(super) const SECOND: usize = 3;

impl<Index: Copy> Instruction<Index> {
    pub fn operands(&self) -> &[Index] {
        &self.operands[..self.opcode.operand_count()]
    }

    pub fn second_result(&self) -> Option<Index> {
        let has = self.opcode.has_second_result();
        has.then(|| self.operands[SECOND])
    }
}

/// Instructions over values, which are numbered: inputs first, each with one definition.
pub(super) struct Lowered {
    pub instructions: Vec<Instruction<u32>>,
    pub inputs: usize,
    /// The values that are constants, with what they are.
    pub constants: Vec<(u32, f64)>,
    pub outputs: Vec<u32>,
    /// The number of values.
    pub values: usize,
    pub functions: Functions,
    /// Memory that passes use, a number for each value, and leave to the next one.
    pub scratch: [Vec<u32>; 2],
}

/// An instruction that is gone.
pub(super) const GONE: Opcode = Opcode::Copy;

/// The functions that a program calls, by kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Functions {
    pub unary: FunctionList<fn(f64) -> f64>,
    pub binary: FunctionList<fn(f64, f64) -> f64>,
    pub ternary: FunctionList<fn(f64, f64, f64) -> f64>,
    pub pair: FunctionList<fn(f64) -> (f64, f64)>,
}

/// Functions of one kind, with their names.
#[derive(Clone, Debug)]
pub(super) struct FunctionList<F> {
    pub functions: Vec<F>,
    pub names: Vec<&'static str>,
}

impl<F> FunctionList<F> {
    /// The position of a function, which is known by its name.
    pub fn position(&mut self, name: &'static str, function: F) -> u32 {
        let known = self.names.iter().position(|known| *known == name);
        let position = known.unwrap_or_else(|| {
            self.functions.push(function);
            self.names.push(name);
            self.names.len() - 1
        });
        position as u32
    }
}

impl<F> Default for FunctionList<F> {
    fn default() -> Self {
        Self {
            functions: Vec::new(),
            names: Vec::new(),
        }
    }
}

#[inline(always)]
pub(crate) fn truth(truth: bool) -> f64 {
    f64::from(u8::from(truth))
}

/// As of IEEE 754-2019; `f64::min` ignores a NaN.
#[inline(always)]
pub(crate) fn minimum(x: f64, y: f64) -> f64 {
    if x < y || (x == y && x.is_sign_negative()) {
        x
    } else if x >= y {
        y
    } else {
        x + y
    }
}

/// As of IEEE 754-2019.
#[inline(always)]
pub(crate) fn maximum(x: f64, y: f64) -> f64 {
    -minimum(-x, -y)
}

#[inline(always)]
pub(crate) fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}
