//! The interpreter of a block of points: each instruction for all of them.
#![allow(
    clippy::needless_range_loop,
    reason = "what is indexed by a chunk is indexed by a register first"
)]

use fearless_simd::Simd;

use super::vector_math;
use crate::bytecode::numbers::*;
use crate::bytecode::{FUNCTION, Functions, Instruction, Opcode, with_arithmetic};

/// As many numbers as the widest vectors hold.
pub(super) const WIDTH: usize = 8;

/// A register of a block: `C` chunks.
pub(super) type Row<const C: usize> = [[f64; WIDTH]; C];

/// Executes all instructions for a block. Inlined into a function that is compiled for a level.
#[inline(always)]
pub(super) fn execute<S: Simd, const C: usize>(
    simd: S,
    instructions: &[Instruction],
    functions: &Functions,
    rows: &mut [Row<C>],
    vector_math: bool,
) {
    for instruction in instructions {
        let opcode = instruction.opcode;
        let [a, b, c, d] = instruction.operands.map(|operand| operand as usize);
        let result = instruction.result as usize;
        let function = instruction.operands[FUNCTION] as usize;
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
                    $(Opcode::$unary => lanes1(rows, [a], result, |$ua| $uf),)*
                    $(Opcode::$binary => lanes2(rows, [a, b], result, |$ba, $bb| $bf),)*
                    $(Opcode::$ternary => {
                        lanes3(rows, [a, b, c], result, |$ta, $tb, $tc| $tf);
                    })*
                    $(Opcode::$quaternary => {
                        lanes4(rows, [a, b, c, d], result, |$qa, $qb, $qc, $qd| $qf);
                    })*
                    Opcode::Copy => rows[result] = rows[a],
                    Opcode::Exp if vector_math => chunks(rows, a, result, |x| vector_math::exp(simd, x)),
                    Opcode::Ln if vector_math => chunks(rows, a, result, |x| vector_math::ln(simd, x)),
                    Opcode::Sin if vector_math => chunks(rows, a, result, |x| vector_math::sin(simd, x)),
                    Opcode::Cos if vector_math => chunks(rows, a, result, |x| vector_math::cos(simd, x)),
                    Opcode::SinCos if vector_math => {
                        for chunk in 0..C {
                            let (sin, cos) = vector_math::sin_cos(simd, rows[a][chunk]);
                            rows[result][chunk] = sin;
                            rows[d][chunk] = cos;
                        }
                    }
                    $(Opcode::$function => each1(rows, a, result, |$fa| $ff),)*
                    Opcode::SinCos => each_pair(rows, a, [result, d], f64::sin_cos),
                    Opcode::CallUnary => each1(rows, a, result, functions.unary.0[function].1),
                    Opcode::CallBinary => {
                        each2(rows, [a, b], result, functions.binary.0[function].1);
                    }
                    Opcode::CallTernary => {
                        each3(rows, [a, b, c], result, functions.ternary.0[function].1);
                    }
                }
            };
        }
        with_arithmetic!(execute);
    }
}

/// Arithmetic of one operand, for all lanes. A result may stand where an operand was, so a chunk is
/// read before it is written.
#[inline(always)]
fn lanes1<const C: usize>(
    rows: &mut [Row<C>],
    [a]: [usize; 1],
    result: usize,
    f: impl Fn(f64) -> f64,
) {
    for chunk in 0..C {
        let a = rows[a][chunk];
        let mut values = [0.0; WIDTH];
        for lane in 0..WIDTH {
            values[lane] = f(a[lane]);
        }
        rows[result][chunk] = values;
    }
}

#[inline(always)]
fn lanes2<const C: usize>(
    rows: &mut [Row<C>],
    [a, b]: [usize; 2],
    result: usize,
    f: impl Fn(f64, f64) -> f64,
) {
    for chunk in 0..C {
        let (a, b) = (rows[a][chunk], rows[b][chunk]);
        let mut values = [0.0; WIDTH];
        for lane in 0..WIDTH {
            values[lane] = f(a[lane], b[lane]);
        }
        rows[result][chunk] = values;
    }
}

#[inline(always)]
fn lanes3<const C: usize>(
    rows: &mut [Row<C>],
    [a, b, c]: [usize; 3],
    result: usize,
    f: impl Fn(f64, f64, f64) -> f64,
) {
    for chunk in 0..C {
        let (a, b, c) = (rows[a][chunk], rows[b][chunk], rows[c][chunk]);
        let mut values = [0.0; WIDTH];
        for lane in 0..WIDTH {
            values[lane] = f(a[lane], b[lane], c[lane]);
        }
        rows[result][chunk] = values;
    }
}

#[inline(always)]
fn lanes4<const C: usize>(
    rows: &mut [Row<C>],
    [a, b, c, d]: [usize; 4],
    result: usize,
    f: impl Fn(f64, f64, f64, f64) -> f64,
) {
    for chunk in 0..C {
        let (a, b) = (rows[a][chunk], rows[b][chunk]);
        let (c, d) = (rows[c][chunk], rows[d][chunk]);
        let mut values = [0.0; WIDTH];
        for lane in 0..WIDTH {
            values[lane] = f(a[lane], b[lane], c[lane], d[lane]);
        }
        rows[result][chunk] = values;
    }
}

/// A function of eight numbers at once.
#[inline(always)]
fn chunks<const C: usize>(
    rows: &mut [Row<C>],
    a: usize,
    result: usize,
    f: impl Fn([f64; WIDTH]) -> [f64; WIDTH],
) {
    for chunk in 0..C {
        rows[result][chunk] = f(rows[a][chunk]);
    }
}

/// A function that is called for each lane. Not inlined: it is the same at all levels.
#[inline(never)]
fn each1<const C: usize>(rows: &mut [Row<C>], a: usize, result: usize, f: fn(f64) -> f64) {
    lanes1(rows, [a], result, f);
}

#[inline(never)]
fn each2<const C: usize>(
    rows: &mut [Row<C>],
    operands: [usize; 2],
    result: usize,
    f: fn(f64, f64) -> f64,
) {
    lanes2(rows, operands, result, f);
}

#[inline(never)]
fn each3<const C: usize>(
    rows: &mut [Row<C>],
    operands: [usize; 3],
    result: usize,
    f: fn(f64, f64, f64) -> f64,
) {
    lanes3(rows, operands, result, f);
}

#[inline(never)]
fn each_pair<const C: usize>(
    rows: &mut [Row<C>],
    a: usize,
    [first, second]: [usize; 2],
    f: fn(f64) -> (f64, f64),
) {
    for chunk in 0..C {
        let a = rows[a][chunk];
        for lane in 0..WIDTH {
            let (x, y) = f(a[lane]);
            rows[first][chunk][lane] = x;
            rows[second][chunk][lane] = y;
        }
    }
}
