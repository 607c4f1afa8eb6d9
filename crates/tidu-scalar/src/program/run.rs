//! The interpreter of one point.

use crate::bytecode::numbers::*;
use crate::bytecode::{FUNCTION, Functions, Instruction, Opcode, SECOND, with_arithmetic};

/// Where the values of a running program are.
pub(super) trait Registers {
    type Index: Copy + Into<u32>;

    fn get(&self, index: Self::Index) -> f64;
    fn set(&mut self, index: Self::Index, value: f64);
}

/// Few registers: the index is taken modulo their number, which spares a check of bounds and
/// changes nothing, as no program that runs here has more of them.
impl Registers for [f64; FEW] {
    type Index = u16;

    #[inline(always)]
    fn get(&self, index: u16) -> f64 {
        self[usize::from(index) % FEW]
    }

    #[inline(always)]
    fn set(&mut self, index: u16, value: f64) {
        self[usize::from(index) % FEW] = value;
    }
}

/// As many registers as an index can name, so that there is no check of bounds.
impl Registers for [f64; MANY] {
    type Index = u16;

    #[inline(always)]
    fn get(&self, index: u16) -> f64 {
        self[usize::from(index)]
    }

    #[inline(always)]
    fn set(&mut self, index: u16, value: f64) {
        self[usize::from(index)] = value;
    }
}

/// Any number of registers.
impl Registers for [f64] {
    type Index = u32;

    #[inline(always)]
    fn get(&self, index: u32) -> f64 {
        self[index as usize]
    }

    #[inline(always)]
    fn set(&mut self, index: u32, value: f64) {
        self[index as usize] = value;
    }
}

/// Up to so many registers are kept on the stack.
pub(super) const FEW: usize = 256;
/// Up to so many registers have short indices.
pub(super) const MANY: usize = 1 << 16;

/// Executes all instructions.
pub(super) fn run<R: Registers + ?Sized>(
    instructions: &[Instruction<R::Index>],
    functions: &Functions,
    r: &mut R,
) {
    for instruction in instructions {
        let Instruction {
            opcode,
            operands,
            result,
        } = *instruction;
        let [a, b, c, d] = operands;
        let function = || operands[FUNCTION].into() as usize;
        macro_rules! execute {
            (
                unary { $($unary:ident $un:literal |$ua:ident| $uf:expr;)* }
                binary { $($binary:ident $bn:literal |$ba:ident, $bb:ident| $bf:expr;)* }
                ternary { $($ternary:ident $tn:literal
                    |$ta:ident, $tb:ident, $tc:ident| $tf:expr;)* }
                quaternary { $($quaternary:ident $qn:literal
                    |$qa:ident, $qb:ident, $qc:ident, $qd:ident| $qf:expr;)* }
                function { $($function:ident $fn:literal |$fa:ident| $ff:expr;)* }
            ) => {
                match opcode {
                    $(Opcode::$unary => {
                        let $ua = r.get(a);
                        r.set(result, $uf);
                    })*
                    $(Opcode::$binary => {
                        let ($ba, $bb) = (r.get(a), r.get(b));
                        r.set(result, $bf);
                    })*
                    $(Opcode::$ternary => {
                        let ($ta, $tb, $tc) = (r.get(a), r.get(b), r.get(c));
                        r.set(result, $tf);
                    })*
                    $(Opcode::$quaternary => {
                        let ($qa, $qb, $qc, $qd) = (r.get(a), r.get(b), r.get(c), r.get(d));
                        r.set(result, $qf);
                    })*
                    $(Opcode::$function => {
                        let $fa = r.get(a);
                        r.set(result, $ff);
                    })*
                    Opcode::Copy => r.set(result, r.get(a)),
                    Opcode::SinCos => {
                        let (sin, cos) = r.get(a).sin_cos();
                        r.set(result, sin);
                        r.set(operands[SECOND], cos);
                    }
                    Opcode::CallUnary => {
                        let (_, f) = functions.unary.0[function()];
                        r.set(result, f(r.get(a)));
                    }
                    Opcode::CallBinary => {
                        let (_, f) = functions.binary.0[function()];
                        r.set(result, f(r.get(a), r.get(b)));
                    }
                    Opcode::CallTernary => {
                        let (_, f) = functions.ternary.0[function()];
                        r.set(result, f(r.get(a), r.get(b), r.get(c)));
                    }
                }
            };
        }
        with_arithmetic!(execute);
    }
}
