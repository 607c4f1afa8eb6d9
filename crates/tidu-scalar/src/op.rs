//! The primitives: what they are and what they compute.

use std::fmt;

use tidu_ad::Composite;
use tidu_graph::{EvaluableGraphOperation, GraphOperation, Rewrite};

use crate::key::ScalarKey;
use crate::names::plain_name;
use crate::simplify;

/// A primitive on `f64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScalarOp {
    /// A constant, an operation without operands.
    Constant(Constant),
    /// x + y
    Add,
    /// x - y
    Sub,
    /// x·y
    Mul,
    /// x / y
    Div,
    /// -x
    Neg,
    /// eˣ
    Exp,
    /// ln x; -∞ at 0, NaN below
    Ln,
    /// sin x, x in radians
    Sin,
    /// cos x, x in radians
    Cos,
    /// (sin x, cos x), x in radians
    SinCos,
    /// x, with a derivative of zero
    StopGradient,
    /// A function of scalars, with derivative rules of its own.
    Composite(Composite<ScalarOp>),
}

impl ScalarOp {
    /// The operation that yields `value`.
    pub fn constant(value: f64) -> Self {
        Self::Constant(Constant(value.to_bits()))
    }
}

/// A number that compares by its bits, so that 0 and -0 are two constants and NaN is one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Constant(u64);

impl Constant {
    /// The number.
    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// The number as `f64` prints it, which reads back exactly; a NaN with its bits.
impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            nan if nan.is_nan() => write!(f, "NaN.{:016x}", self.0),
            number => write!(f, "{number:?}"),
        }
    }
}

impl GraphOperation for ScalarOp {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Self::Constant(_) => 0,
            Self::Neg
            | Self::Exp
            | Self::Ln
            | Self::Sin
            | Self::Cos
            | Self::SinCos
            | Self::StopGradient => 1,
            Self::Composite(function) => function.input_count(),
            Self::Add | Self::Sub | Self::Mul | Self::Div => 2,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Self::SinCos => 2,
            Self::Composite(function) => function.output_count(),
            _ => 1,
        }
    }

    fn commutes(&self) -> bool {
        matches!(self, Self::Add | Self::Mul)
    }

    fn fold(&self, operands: &[&Self]) -> Option<Vec<Self>> {
        simplify::fold(self, operands)
    }

    fn rewrites(&self) -> &'static [Rewrite<Self>] {
        simplify::rules_of(self)
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(constant) => write!(f, "const {constant:?}"),
            Self::Composite(function) => write!(f, "{function}"),
            plain => f.write_str(plain_name(plain).unwrap_or("?")),
        }
    }

    fn fmt_input_name(key: &ScalarKey, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(key, f)
    }
}

impl EvaluableGraphOperation for ScalarOp {
    fn eval(&self, ctx: &mut (), inputs: &[&f64]) -> Vec<f64> {
        let mut results = Vec::with_capacity(self.output_count());
        self.eval_into(ctx, inputs, &mut results);
        results
    }

    fn constant_of(value: &f64) -> Option<Self> {
        Some(Self::constant(*value))
    }

    fn eval_into(&self, ctx: &mut (), inputs: &[&f64], out: &mut Vec<f64>) {
        match (self, inputs) {
            (Self::Composite(function), _) => out.extend(function.eval(ctx, inputs)),
            (Self::Constant(constant), []) => out.push(constant.value()),
            (Self::Add, [x, y]) => out.push(*x + *y),
            (Self::Sub, [x, y]) => out.push(*x - *y),
            (Self::Mul, [x, y]) => out.push(*x * *y),
            (Self::Div, [x, y]) => out.push(*x / *y),
            (Self::Neg, [x]) => out.push(-*x),
            (Self::Exp, [x]) => out.push(x.exp()),
            (Self::Ln, [x]) => out.push(x.ln()),
            (Self::Sin, [x]) => out.push(x.sin()),
            (Self::Cos, [x]) => out.push(x.cos()),
            (Self::SinCos, [x]) => out.extend([x.sin(), x.cos()]),
            (Self::StopGradient, [x]) => out.push(**x),
            _ => panic!(
                "{self:?} takes {} operands, found {}",
                self.input_count(),
                inputs.len()
            ),
        }
    }
}
