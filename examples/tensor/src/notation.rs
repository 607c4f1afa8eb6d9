//! What rules of tensors are written with, besides operators: the methods of coefficients and tangents.

use tidu::ValueType;
use tidu::rules::{self, Arithmetic, Term, Times};

use crate::op::TensorOp;
use crate::primitives::products::Einsum;
use crate::primitives::reductions::Axes;
use crate::primitives::shapes::{Pad, Slice};
use crate::shape::{COMPLEX, REAL, stretched, without};

pub(crate) type Work<'a> = rules::Work<'a, TensorOp>;
pub(crate) type Fixed<'a> = rules::Fixed<'a, TensorOp>;
pub(crate) type Tangent<'a> = rules::Tangent<'a, TensorOp>;

impl Arithmetic for TensorOp {
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

/// The methods of coefficients and tangents alike. Of a tangent, all are linear.
pub(crate) trait Notation<'a>: Term<'a, TensorOp> {
    /// The conjugate; nothing is emitted for what is known to be real.
    fn conj(self) -> Self {
        match self.is_real() {
            true => self,
            false => self.then(TensorOp::Conj),
        }
    }

    /// The real part; nothing is emitted for what is known to be real.
    fn re(self) -> Self {
        match self.is_real() {
            true => self,
            false => self.then(TensorOp::Re),
        }
    }

    /// Whether it is known to be real.
    fn is_real(self) -> bool {
        self.value_type().is_ok_and(|known| known.kind() == REAL)
    }

    /// The sum over axes, which are left out.
    fn sum(self, axes: &[usize]) -> Self {
        self.then(TensorOp::from(Axes::dropped(axes)))
    }

    /// The sum over axes, which keep one element.
    fn sum_kept(self, axes: &[usize]) -> Self {
        self.then(TensorOp::from(Axes::kept(axes)))
    }

    /// The same elements in another shape.
    fn reshape(self, dims: impl IntoIterator<Item = usize>) -> Self {
        self.then(TensorOp::reshape(dims))
    }

    /// The axes in another order.
    fn permute(self, axes: impl IntoIterator<Item = usize>) -> Self {
        self.then(TensorOp::permute(axes))
    }

    /// Stretched to a shape.
    fn broadcast_to(self, dims: &[usize]) -> Self {
        self.then(TensorOp::broadcast_to(dims))
    }

    /// A part.
    fn slice(self, part: Slice) -> Self {
        self.then(TensorOp::from(part))
    }

    /// In its place, and 0 elsewhere.
    fn pad(self, place: Pad) -> Self {
        self.then(TensorOp::from(place))
    }

    /// What was reduced over `axes` of a tensor of shape `dims`, repeated along them.
    fn repeat_over(self, axes: &Axes, dims: &[usize]) -> Self {
        let kept = match axes.keep {
            true => self,
            false => self.reshape(without(dims, &axes.axes, true)),
        };
        kept.broadcast_to(dims)
    }

    /// Stretched to a type, as operands of [`Definition::broadcasts`](crate::definition::Definition::broadcasts)
    /// are.
    fn stretched_to(self, to: &ValueType) -> Self {
        let known = self.value_type().ok();
        let (kind, dims) = known.map_or((None, None), |known| {
            (Some(known.kind()), Some(known.dims().to_vec()))
        });
        let complex = match to.kind() == COMPLEX && kind != Some(COMPLEX) {
            true => self.then(TensorOp::ToComplex),
            false => self,
        };
        match dims.as_deref() == Some(to.dims()) {
            true => complex,
            false => complex.broadcast_to(to.dims()),
        }
    }

    /// The transpose of [`stretched_to`](Self::stretched_to): a cotangent of type `from`, for an operand of
    /// type `to`. The sum over what was stretched, and the real part of what was real.
    fn gathered_to(self, from: &ValueType, to: &ValueType) -> Self {
        let real = match (from.kind(), to.kind()) {
            (COMPLEX, REAL) => self.then(TensorOp::Re),
            _ => self,
        };
        let axes = stretched(to.dims(), from.dims());
        let missing = from.dims().len() - to.dims().len();
        let summed = match axes.is_empty() {
            true => real,
            false if axes.len() == missing => real.sum(&axes),
            false => real.sum_kept(&axes),
        };
        match axes.len() == missing || missing == 0 {
            true => summed,
            false => summed.reshape(to.dims().iter().copied()),
        }
    }

    /// 1 where this is c, and 0 elsewhere.
    fn equals(self, c: f64) -> Fixed<'a>
    where
        Self: Times<'a, TensorOp, Fixed<'a>, Product = Fixed<'a>>,
    {
        self.with(TensorOp::Equal, self.work().number(c))
    }

    /// This where a condition is not 0, and 0 elsewhere.
    fn where_not_zero(self, condition: Fixed<'a>) -> Self
    where
        Fixed<'a>: Times<'a, TensorOp, Self, Product = Self>,
    {
        condition.with(TensorOp::KeepIf, self)
    }

    /// This where a condition of the rule's own is not 0, and 0 elsewhere.
    fn part_where(self, condition: Fixed<'a>) -> Self
    where
        Fixed<'a>: Times<'a, TensorOp, Self, Product = Self>,
    {
        condition.with(TensorOp::KeepPart, self)
    }

    /// A contraction with another term.
    fn einsum<Other>(self, contraction: Einsum, other: Other) -> Self::Product
    where
        Self: Times<'a, TensorOp, Other>,
    {
        self.with(TensorOp::from(contraction), other)
    }

    /// The product of two matrices, or of stacks of them.
    fn matmul<Other>(self, other: Other) -> Self::Product
    where
        Self: Times<'a, TensorOp, Other>,
    {
        self.einsum(Einsum::matrices(), other)
    }

    /// The transposed matrix.
    fn t(self) -> Self {
        self.permute([1, 0])
    }

    /// The conjugate of the transposed matrix.
    fn h(self) -> Self {
        self.t().conj()
    }
}

impl<'a, T: Term<'a, TensorOp>> Notation<'a> for T {}
