//! What is said about each primitive, once: its name, its values, its two rules.

use tidu_ad::{Composite, Linearity};
use tidu_graph::{LocalValueId, Rewrite, ValueKey};

use crate::bytecode::Opcode;
use crate::notation::{Fixed, Tangent, Work};
use crate::op::ScalarOp;

/// A primitive.
pub(crate) struct Definition {
    /// The name in print; an operation that holds a number prints it after a space.
    pub name: &'static str,
    /// What it computes.
    pub eval: Eval,
    /// What happens to tangents.
    pub jvp: Jvp,
    /// In which operands it is linear.
    pub linearity: Linearity,
    /// What happens to cotangents, where it is linear.
    pub transpose: Option<Transpose>,
    /// Whether its two operands may change places.
    pub commutes: bool,
    /// What may be written more simply.
    pub rewrites: &'static [Rewrite<ScalarOp>],
    /// The instruction of scalar programs that does the same, to the bit; they call the values if
    /// there is none.
    pub opcode: Option<Opcode>,
}

/// What an operation is: one of the set, or a function made of them.
pub(crate) enum Meaning<'a> {
    Defined(&'static Definition),
    Composite(&'a Composite<ScalarOp>),
}

/// The values of a primitive, by how many operands it takes. An operation that holds a number is
/// given that first.
#[derive(Clone, Copy)]
pub(crate) enum Eval {
    /// The number itself.
    Constant,
    /// y = f(x)
    Unary(fn(f64) -> f64),
    /// y = f(n, x)
    Numbered(fn(f64, f64) -> f64),
    /// y = f(x₀, x₁)
    Binary(fn(f64, f64) -> f64),
    /// y = f(n, x₀, x₁)
    NumberedBinary(fn(f64, f64, f64) -> f64),
    /// y = f(x₀, x₁, x₂)
    Ternary(fn(f64, f64, f64) -> f64),
    /// (y₀, y₁) = f(x)
    Pair(fn(f64) -> (f64, f64)),
}

/// ẏ of y = f(x), from x, y and ẋ.
type UnaryJvp = for<'a> fn(Fixed<'a>, Fixed<'a>, Tangent<'a>) -> Tangent<'a>;
/// ẏ of y = f(n, x), from n, x, y and ẋ.
type NumberedJvp = for<'a> fn(f64, Fixed<'a>, Fixed<'a>, Tangent<'a>) -> Tangent<'a>;
/// The part of ẏ that comes from an operand of y = f(x₀, x₁), from x₀, x₁, y and that operand's tangent.
type PartJvp = for<'a> fn(Fixed<'a>, Fixed<'a>, Fixed<'a>, Tangent<'a>) -> Tangent<'a>;

/// The part of ẏ that comes from an operand of y = f(n, x₀, x₁), from n, x₀, x₁ and that operand's tangent.
type NumberedPartJvp = for<'a> fn(f64, Fixed<'a>, Fixed<'a>, Tangent<'a>) -> Tangent<'a>;

/// What happens to tangents.
pub(crate) enum Jvp {
    /// ẏ = 0: a constant, or constant but for steps.
    Zero,
    /// ẏ = f'(x)·ẋ
    Unary(UnaryJvp),
    /// ẏ = f'(x)·ẋ
    Numbered(NumberedJvp),
    /// ẏ = ∂₀f(x)·ẋ₀ + ∂₁f(x)·ẋ₁
    Binary([PartJvp; 2]),
    /// ẏ = ∂₀f(x)·ẋ₀ + ∂₁f(x)·ẋ₁
    NumberedBinary([NumberedPartJvp; 2]),
    /// Anything else of one result, from the primal values and ẋ.
    Own(for<'a> fn(Primal<'a>, &[Tangent<'a>]) -> Tangent<'a>),
    /// (ẏ₀, ẏ₁), from the primal values and ẋ.
    Pair(for<'a> fn(Primal<'a>, Tangent<'a>) -> [Tangent<'a>; 2]),
}

/// What happens to the cotangent of the result: the cotangent of an active operand, from the operands, which
/// one it is, and ȳ.
pub(crate) type Transpose = for<'a> fn(&[Fixed<'a>], usize, Tangent<'a>) -> Tangent<'a>;

/// The operands and results of an operation at the point of linearization.
#[derive(Clone, Copy)]
pub(crate) struct Primal<'a> {
    pub work: &'a Work<'a>,
    pub inputs: &'a [ValueKey<ScalarOp>],
    pub outputs: &'a [ValueKey<ScalarOp>],
}

impl Definition {
    /// Not linear, of one operand.
    pub const fn unary(name: &'static str, f: fn(f64) -> f64, jvp: UnaryJvp) -> Self {
        Self::new(name, Eval::Unary(f), Jvp::Unary(jvp))
    }

    /// Not linear, of one operand and a number that the operation holds.
    pub const fn numbered(name: &'static str, f: fn(f64, f64) -> f64, jvp: NumberedJvp) -> Self {
        Self::new(name, Eval::Numbered(f), Jvp::Numbered(jvp))
    }

    /// Not linear, of two operands.
    pub const fn binary(name: &'static str, f: fn(f64, f64) -> f64, jvp: [PartJvp; 2]) -> Self {
        Self::new(name, Eval::Binary(f), Jvp::Binary(jvp))
    }

    /// Without a transpose.
    pub const fn new(name: &'static str, eval: Eval, jvp: Jvp) -> Self {
        Self {
            name,
            eval,
            jvp,
            linearity: Linearity::Never,
            transpose: None,
            commutes: false,
            rewrites: &[],
            opcode: None,
        }
    }

    /// With an instruction of its own in scalar programs.
    pub const fn lowered(mut self, opcode: Opcode) -> Self {
        self.opcode = Some(opcode);
        self
    }

    /// Linear, with a transpose.
    pub const fn linear(mut self, linearity: Linearity, transpose: Transpose) -> Self {
        self.linearity = linearity;
        self.transpose = Some(transpose);
        self
    }

    /// The same, to the bit, with its two operands exchanged.
    pub const fn commuting(mut self) -> Self {
        self.commutes = true;
        self
    }

    /// With rules of simplification.
    pub const fn rewritten(mut self, rewrites: &'static [Rewrite<ScalarOp>]) -> Self {
        self.rewrites = rewrites;
        self
    }
}

impl Eval {
    /// The numbers of operands and results.
    pub const fn shape(self) -> (usize, usize) {
        match self {
            Eval::Constant => (0, 1),
            Eval::Unary(_) | Eval::Numbered(_) => (1, 1),
            Eval::Binary(_) | Eval::NumberedBinary(_) => (2, 1),
            Eval::Ternary(_) => (3, 1),
            Eval::Pair(_) => (1, 2),
        }
    }

    /// The result of an operation that has one; `None` for another, and for the wrong number of operands.
    #[inline]
    pub fn one(&self, op: &ScalarOp, x: &[&f64]) -> Option<f64> {
        match (self, x) {
            (Eval::Constant, []) => Some(op.number()),
            (Eval::Unary(f), [x]) => Some(f(**x)),
            (Eval::Numbered(f), [x]) => Some(f(op.number(), **x)),
            (Eval::Binary(f), [x, y]) => Some(f(**x, **y)),
            (Eval::NumberedBinary(f), [x, y]) => Some(f(op.number(), **x, **y)),
            (Eval::Ternary(f), [x, y, z]) => Some(f(**x, **y, **z)),
            _ => None,
        }
    }

    /// Appends the results of an operation; `false` for the wrong number of operands.
    #[inline]
    pub fn call(&self, op: &ScalarOp, x: &[&f64], out: &mut Vec<f64>) -> bool {
        match (self, x) {
            (Eval::Pair(f), [x]) => out.extend(<[f64; 2]>::from(f(**x))),
            _ => match self.one(op, x) {
                Some(result) => out.push(result),
                None => return false,
            },
        }
        true
    }
}

impl Jvp {
    /// ẏ, from the number that the operation holds, the primal values, and ẋ.
    pub fn tangents<'a>(
        &self,
        number: f64,
        primal: Primal<'a>,
        dx: &[Tangent<'a>],
    ) -> Vec<Option<LocalValueId>> {
        let dy = match self {
            Jvp::Zero => return vec![None; primal.outputs.len()],
            Jvp::Pair(jvp) => return jvp(primal, dx[0]).map(Tangent::id).into(),
            Jvp::Unary(jvp) => jvp(primal.x(0), primal.y(0), dx[0]),
            Jvp::Numbered(jvp) => jvp(number, primal.x(0), primal.y(0), dx[0]),
            Jvp::Binary(parts) => {
                let (x0, x1, y) = (primal.x(0), primal.x(1), primal.y(0));
                sum_of_parts(dx, |i| parts[i](x0, x1, y, dx[i]))
            }
            Jvp::NumberedBinary(parts) => {
                let (x0, x1) = (primal.x(0), primal.x(1));
                sum_of_parts(dx, |i| parts[i](number, x0, x1, dx[i]))
            }
            Jvp::Own(rule) => rule(primal, dx),
        };
        vec![dy.id()]
    }
}

/// The parts of ẏ that come from two operands. A slope that no tangent meets is no work.
fn sum_of_parts<'a>(dx: &[Tangent<'a>], part: impl Fn(usize) -> Tangent<'a>) -> Tangent<'a> {
    let part = |i: usize| {
        if dx[i].is_zero() { dx[i] } else { part(i) }
    };
    part(0) + part(1)
}

impl<'a> Primal<'a> {
    /// An operand.
    pub fn x(self, i: usize) -> Fixed<'a> {
        self.work.primal(&self.inputs[i])
    }

    /// A result.
    pub fn y(self, i: usize) -> Fixed<'a> {
        self.work.primal(&self.outputs[i])
    }
}
