//! What has no derivative: constants, and what is taken for one.

use std::fmt;

use ndarray::Array;
use num_complex::Complex64;
use tidu::{Linearity, ValueType};

use crate::context::Args;
use crate::definition::{Definition, Domain, Point, Pointwise};
use crate::notation::Tangent;
use crate::shape::{COMPLEX, INDEX, REAL, ShapeError};
use crate::tensor::{Literal, Tensor};

/// The tensor that the operation holds.
impl Definition for Literal {
    fn name(&self) -> &'static str {
        "const"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {self:?}")
    }

    fn arity(&self) -> usize {
        0
    }

    fn types(&self, _: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        Ok(vec![self.tensor().value_type()])
    }

    fn eval(&self, _: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![self.tensor().clone()]
    }

    fn jvp<'a>(&self, at: &Point<'a>, _: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        vec![at.work.zero()]
    }
}

/// One number everywhere, of a type that the operation holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Full {
    value_type: ValueType,
    number: u64,
}

impl Full {
    /// A real number; `None` if the type is that of indices, which have no vector space.
    pub fn new(value_type: &ValueType, number: f64) -> Option<Self> {
        (value_type.kind() != INDEX).then(|| Self {
            value_type: value_type.clone(),
            number: number.to_bits(),
        })
    }
}

impl Definition for Full {
    fn name(&self) -> &'static str {
        "full"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:?} {}", f64::from_bits(self.number), self.value_type)
    }

    fn arity(&self) -> usize {
        0
    }

    fn types(&self, _: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        Ok(vec![self.value_type.clone()])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let (dims, number) = (self.value_type.dims(), f64::from_bits(self.number));
        vec![match self.value_type.kind() {
            COMPLEX => x.fresh(Array::from_elem(dims, Complex64::from(number))),
            _ => x.fresh(Array::from_elem(dims, number)),
        }]
    }

    fn jvp<'a>(&self, at: &Point<'a>, _: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        vec![at.work.zero()]
    }
}

/// y = x, taken for a constant
///
/// ẏ = 0
pub(crate) static STOP_GRADIENT: Pointwise =
    Pointwise::step("stop_gradient", 1, |args| args[0].clone()).on(Domain::Anything);

/// y = x, of indices or real numbers
///
/// ẏ = ẋ for real numbers; x̄ = ȳ. Linear.
pub(crate) static TO_REAL: Pointwise = Pointwise::step("to_real", 1, |args| match args.kind() {
    INDEX => args.convert(|at: i64| at as f64),
    REAL => args[0].clone(),
    kind => unreachable!("types forbid {kind}"),
})
.linear(Linearity::Joint, |_, _, ct| ct)
.on(Domain::Comparable);
