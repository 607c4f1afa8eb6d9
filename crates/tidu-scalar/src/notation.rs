//! What rules of scalars are written with, besides operators.

use tidu_ad::rules::{self, Arithmetic};

pub(crate) use tidu_ad::rules::{Term, Times};

use crate::op::ScalarOp;

pub(crate) type Work<'a> = rules::Work<'a, ScalarOp>;
pub(crate) type Fixed<'a> = rules::Fixed<'a, ScalarOp>;
pub(crate) type Tangent<'a> = rules::Tangent<'a, ScalarOp>;

impl Arithmetic for ScalarOp {
    fn sub() -> Self {
        Self::Sub
    }

    fn mul() -> Self {
        Self::Mul
    }

    fn div() -> Self {
        Self::Div
    }

    fn neg() -> Self {
        Self::Neg
    }

    fn number(value: f64) -> Self {
        Self::constant(value)
    }
}

/// What else can be done with terms.
pub(crate) trait Notation<'a>: Term<'a, ScalarOp> {
    /// c
    fn number(self, c: f64) -> Fixed<'a> {
        self.work().number(c)
    }

    /// This where c is not 0, and 0 elsewhere.
    fn keep_if(self, c: Fixed<'a>) -> Self
    where
        Fixed<'a>: Times<'a, ScalarOp, Self, Product = Self>,
    {
        c.with(ScalarOp::KeepIf, self)
    }
}

impl<'a, T: Term<'a, ScalarOp>> Notation<'a> for T {}

/// What else can be done with coefficients.
pub(crate) trait Coefficient<'a> {
    /// x·y + c, rounded once
    fn mul_add(self, y: Fixed<'a>, c: f64) -> Self;

    /// 1 where this equals c, and 0 elsewhere
    fn is(self, c: f64) -> Self;
}

impl<'a> Coefficient<'a> for Fixed<'a> {
    fn mul_add(self, y: Self, c: f64) -> Self {
        let c = self.number(c);
        self.work().fixed(ScalarOp::MulAdd, [self, y, c])
    }

    fn is(self, c: f64) -> Self {
        self.with(ScalarOp::Eq, self.number(c))
    }
}
