//! What is said about each primitive, once: its name, its types, its values, its two rules.

use std::fmt;

use tidu::rules::MaskFlow;
use tidu::{Linearity, ValueType};

use crate::context::Args;
use crate::notation::{Fixed, Notation, Tangent, Work};
use crate::op::TensorOp;
use crate::shape::{COMPLEX, INDEX, REAL, ShapeError, broadcast, check_kind, number_kind};
use crate::tensor::Tensor;

/// A primitive.
pub(crate) trait Definition {
    /// The name in print.
    fn name(&self) -> &'static str;

    /// Writes what the operation holds besides, with a space before it.
    fn fmt_parameters(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }

    /// The number of operands.
    fn arity(&self) -> usize {
        1
    }

    /// The number of results.
    fn results(&self) -> usize {
        1
    }

    /// The types of the results.
    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError>;

    /// The results.
    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor>;

    /// ẏ, from what is known at the point of linearization, and ẋ. For a linear operation it is the
    /// operation, applied to tangents.
    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let by_linearity = || at.work.by_linearity(at.op, self.linearity(), &at.x, dx);
        (0..self.results()).map(|_| by_linearity()).collect()
    }

    /// In which operands it is linear. Operations of several results are not declared linear: their cotangents
    /// would have to be told apart.
    fn linearity(&self) -> Linearity {
        Linearity::Never
    }

    /// x̄ᵢ, for an operand in which it is linear, from the cotangent of the result. Of the operands that
    /// are active, only the types are known.
    fn transpose<'a>(&self, at: &Point<'a>, _i: usize, _ct: Tangent<'a>) -> Tangent<'a> {
        at.work.zero()
    }

    /// Whether it leaves elements of operands out ([`Primitive::selects`](tidu::Primitive::selects)).
    fn selects(&self) -> bool {
        false
    }

    /// What it lets through of masks of cotangents, to that of an operand, where it is linear; from the types
    /// of the operands.
    fn mask_flow(&self, _x: &[ValueType], _i: usize) -> MaskFlow {
        MaskFlow::Lost
    }

    /// The mask of the cotangent of an operand, from that of the result: where a sum of positive numbers goes.
    fn mask<'a>(&self, at: &Point<'a>, i: usize, mask: Tangent<'a>) -> Tangent<'a> {
        self.transpose(at, i, mask)
    }

    /// x̄ᵢ, where the cotangent of the result is zero wherever a mask is. What it is a product of there may be
    /// infinite, and must not come into a sum.
    fn masked_transpose<'a>(
        &self,
        at: &Point<'a>,
        i: usize,
        ct: Tangent<'a>,
        _mask: Fixed<'a>,
    ) -> Tangent<'a> {
        self.transpose(at, i, ct)
    }

    /// Whether operands are stretched to one shape, and real ones become complex where they meet complex
    /// ones. Cotangents are then summed over what was stretched, and tangents stretched, by the caller of
    /// the rules.
    fn broadcasts(&self) -> bool {
        false
    }

    /// Whether its two operands may change places.
    fn commutes(&self) -> bool {
        false
    }
}

/// What rules know: operands, results, types.
pub(crate) struct Point<'a> {
    pub work: &'a Work<'a>,
    pub op: &'a TensorOp,
    /// The operands.
    pub x: Vec<Fixed<'a>>,
    /// The results; none in a transpose rule.
    pub y: Vec<Fixed<'a>>,
    /// The types of the operands.
    pub types: Vec<ValueType>,
}

impl<'a> Point<'a> {
    /// The sizes of the axes of an operand.
    pub fn dims(&self, i: usize) -> &[usize] {
        self.types[i].dims()
    }

    /// Whether an operand is complex.
    pub fn is_complex(&self, i: usize) -> bool {
        self.types[i].kind() == COMPLEX
    }

    /// A constant: a mask, say.
    pub fn constant(&self, value: impl Into<Tensor>) -> Fixed<'a> {
        self.work.fixed(TensorOp::constant(value), [])
    }
}

/// A primitive that makes an element of the result of the elements of the operands that stand in the same
/// place, after these have been broadcast.
pub(crate) struct Pointwise {
    name: &'static str,
    arity: usize,
    domain: Domain,
    values: fn(&mut Args<'_, '_>) -> Tensor,
    jvp: Option<PointwiseJvp>,
    linearity: Linearity,
    transpose: PointwiseTranspose,
    selects: bool,
    commutes: bool,
}

/// ẏ, from x, y and ẋ.
type PointwiseJvp = for<'a> fn(&[Fixed<'a>], Fixed<'a>, &[Tangent<'a>]) -> Tangent<'a>;
/// x̄ᵢ, from x, i and ȳ.
type PointwiseTranspose = for<'a> fn(&[Fixed<'a>], usize, Tangent<'a>) -> Tangent<'a>;

/// Which elements a primitive takes, and which it makes.
#[derive(Clone, Copy)]
pub(crate) enum Domain {
    /// Real and complex numbers, of which it makes the same.
    Numbers,
    /// Real numbers, of which it makes the same.
    Reals,
    /// Real and complex numbers, of which it makes real ones.
    ToReals,
    /// Real numbers, or indices, of which it makes real numbers.
    Comparable,
    /// Anything, of which it makes the same.
    Anything,
    /// A real condition, and otherwise numbers.
    Conditional,
    /// Real and complex numbers, of which it makes complex ones.
    ToComplex,
    /// Real numbers, of which it makes complex ones.
    Parts,
}

impl Pointwise {
    /// Not linear, with the derivative ẏ.
    pub const fn new(
        name: &'static str,
        arity: usize,
        values: fn(&mut Args<'_, '_>) -> Tensor,
        jvp: PointwiseJvp,
    ) -> Self {
        Self {
            jvp: Some(jvp),
            ..Self::step(name, arity, values)
        }
    }

    /// Constant but for steps.
    pub const fn step(
        name: &'static str,
        arity: usize,
        values: fn(&mut Args<'_, '_>) -> Tensor,
    ) -> Self {
        Self {
            name,
            arity,
            domain: Domain::Numbers,
            values,
            jvp: None,
            linearity: Linearity::Never,
            transpose: |_, _, ct| ct,
            selects: false,
            commutes: false,
        }
    }

    /// Linear, with the transpose x̄ᵢ.
    pub const fn linear(mut self, linearity: Linearity, transpose: PointwiseTranspose) -> Self {
        self.linearity = linearity;
        self.transpose = transpose;
        self
    }

    /// Linear, and zero or not as operand 0 says.
    pub const fn selecting(mut self) -> Self {
        self.selects = true;
        self
    }

    /// For other elements than numbers.
    pub const fn on(mut self, domain: Domain) -> Self {
        self.domain = domain;
        self
    }

    /// The same, to the bit, with its two operands exchanged.
    pub const fn commuting(mut self) -> Self {
        self.commutes = true;
        self
    }
}

impl Definition for Pointwise {
    fn name(&self) -> &'static str {
        self.name
    }

    fn arity(&self) -> usize {
        self.arity
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let kind = self.domain.result(x)?;
        let dims = broadcast(x.iter().map(|x| x.dims()))?;
        Ok(vec![ValueType::new(kind, dims)])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![(self.values)(x)]
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        vec![match self.jvp {
            Some(rule) => rule(&at.x, at.y[0], dx),
            None => at.work.by_linearity(at.op, self.linearity, &at.x, dx),
        }]
    }

    fn linearity(&self) -> Linearity {
        self.linearity
    }

    fn transpose<'a>(&self, at: &Point<'a>, i: usize, ct: Tangent<'a>) -> Tangent<'a> {
        (self.transpose)(&at.x, i, ct)
    }

    fn selects(&self) -> bool {
        self.selects
    }

    fn mask_flow(&self, x: &[ValueType], i: usize) -> MaskFlow {
        let dims = broadcast(x.iter().map(ValueType::dims)).unwrap_or_default();
        match x[i].dims() == dims {
            false => MaskFlow::Summed,
            true if self.selects => MaskFlow::Moved,
            true => MaskFlow::Kept,
        }
    }

    fn mask<'a>(&self, at: &Point<'a>, i: usize, mask: Tangent<'a>) -> Tangent<'a> {
        if self.selects {
            self.transpose(at, i, mask)
        } else {
            mask
        }
    }

    fn masked_transpose<'a>(
        &self,
        at: &Point<'a>,
        i: usize,
        ct: Tangent<'a>,
        mask: Fixed<'a>,
    ) -> Tangent<'a> {
        self.transpose(at, i, ct).where_not_zero(mask)
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn commutes(&self) -> bool {
        self.commutes
    }
}

impl Domain {
    /// The kind of the result.
    fn result(self, x: &[&ValueType]) -> Result<&'static str, ShapeError> {
        let all_are = |kinds: &[&str], expected| {
            let mut operands = x.iter().enumerate();
            operands.try_for_each(|(operand, x)| check_kind(operand, x, kinds, expected))
        };
        match self {
            Self::Numbers => number_kind(x),
            Self::ToReals => number_kind(x).map(|_| REAL),
            Self::Reals => all_are(&[REAL], "real numbers").map(|()| REAL),
            Self::Comparable => {
                let kind = x[0].kind();
                check_kind(0, x[0], &[REAL, INDEX], "real numbers or indices")?;
                all_are(&[kind], "what operand 0 holds").map(|()| REAL)
            }
            Self::ToComplex => number_kind(x).map(|_| COMPLEX),
            Self::Parts => all_are(&[REAL], "real numbers").map(|()| COMPLEX),
            Self::Anything => Ok(x[0].kind()),
            Self::Conditional => {
                check_kind(0, x[0], &[REAL], "a real condition")?;
                let kind = x[1].kind();
                match kind == INDEX {
                    true => {
                        let mut rest = x.iter().enumerate().skip(1);
                        rest.try_for_each(|(at, x)| check_kind(at, x, &[kind], "indices too"))?;
                        Ok(kind)
                    }
                    false => number_kind(&x[1..]),
                }
            }
        }
    }
}

/// The values of a primitive on real and on complex numbers, by two functions or one formula.
macro_rules! numbers {
    ($of_real:expr, $of_complex:expr) => {
        |args| match args.kind() {
            crate::shape::COMPLEX => args.map($of_complex),
            _ => args.map($of_real),
        }
    };
    (|$x:ident| $y:expr) => {
        |args| match args.kind() {
            crate::shape::COMPLEX => args.map(|$x: num_complex::Complex64| $y),
            _ => args.map(|$x: f64| $y),
        }
    };
    (|$a:ident, $b:ident| $y:expr) => {
        |args| match args.kind() {
            crate::shape::COMPLEX => args.zip_complex(|$a, $b| $y),
            _ => args.zip(|$a: f64, $b: f64| $y),
        }
    };
}

/// The values of a primitive on real numbers.
macro_rules! reals {
    (|$x:ident| $y:expr) => {
        |args| args.map(|$x: f64| $y)
    };
    (|$a:ident, $b:ident| $y:expr) => {
        |args| args.zip(|$a: f64, $b: f64| $y)
    };
}

/// The values of a primitive that says whether two elements are in some order.
macro_rules! comparison {
    (|$a:ident, $b:ident| $y:expr) => {
        |args| match args.kind() {
            crate::shape::INDEX => args.zip_to(|$a: i64, $b: i64| f64::from(u8::from($y))),
            _ => args.zip(|$a: f64, $b: f64| f64::from(u8::from($y))),
        }
    };
}

pub(crate) use {comparison, numbers, reals};
