//! Elements chosen by index.

use std::fmt;
use std::ops::Add;

use ndarray::{Array, ArrayD, Axis, IxDyn};
use num_complex::Complex64;
use tidu::rules::{MaskFlow, Times};
use tidu::{Linearity, ValueType};

use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::Tangent;
use crate::op::TensorOp;
use crate::shape::{COMPLEX, INDEX, REAL, ShapeError, check_axes, check_kind, number_kind};
use crate::tensor::{Element, Shared, Tensor};

impl TensorOp {
    /// What [`Gather`] is of tangents.
    fn gather_or_zero(axis: usize) -> Self {
        let or_zero = true;
        Self::from(Gather { axis, or_zero })
    }
}

/// y = the elements of x₀ at the indices x₁ along an axis: `y[a, i, b] = x₀[a, x₁[i], b]`, where i runs over all
/// axes of x₁
///
/// ẏ = the elements of ẋ₀; x̄₀ = Σ ȳ over elements that have one index ([`ScatterAdd`]). Linear in x₀. Edges: an
/// index below 0 counts from the end; one that is outside finds NaN, or 0 among tangents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gather {
    /// Along which axis.
    pub axis: usize,
    /// Whether an index that is outside finds 0.
    pub or_zero: bool,
}

impl Definition for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_zero = if self.or_zero { " or 0" } else { "" };
        write!(f, " {}{or_zero}", self.axis)
    }

    fn arity(&self) -> usize {
        2
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let kind = number_kind(&x[..1])?;
        check_kind(1, x[1], &[INDEX], "indices")?;
        check_axes(&[self.axis], x[0].dims().len())?;
        let (before, after) = x[0].dims().split_at(self.axis);
        let dims = [before, x[1].dims(), &after[1..]].concat();
        Ok(vec![ValueType::new(kind, dims)])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let outside = if self.or_zero { 0.0 } else { f64::NAN };
        vec![match x[0].kind() {
            COMPLEX => x.fresh(self.gather(x.array(0), x.array(1), Complex64::from(outside))),
            _ => x.fresh(self.gather(x.array(0), x.array(1), outside)),
        }]
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        vec![dx[0].with(TensorOp::gather_or_zero(self.axis), at.x[1])]
    }

    fn linearity(&self) -> Linearity {
        Linearity::In(&[&[true, false]])
    }

    fn selects(&self) -> bool {
        true
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Summed
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        let (axis, size) = (self.axis, at.dims(0)[self.axis]);
        ct.with(TensorOp::from(ScatterAdd { axis, size }), at.x[1])
    }
}

impl Gather {
    fn gather<T: Element>(&self, x: &Shared<T>, indices: &Shared<i64>, nothing: T) -> ArrayD<T> {
        let (axis, size) = (Axis(self.axis), x.shape()[self.axis]);
        let mut dims = x.shape().to_vec();
        dims[self.axis] = indices.len();
        let mut result = ArrayD::from_elem(IxDyn(&dims), nothing);
        for (mut to, &index) in result.axis_iter_mut(axis).zip(indices) {
            if let Some(index) = place(index, size) {
                to.assign(&x.index_axis(axis, index));
            }
        }
        let (before, after) = x.shape().split_at(self.axis);
        let dims = [before, indices.shape(), &after[1..]].concat();
        in_shape(result, &dims)
    }
}

/// y = 0, of some size along an axis, and at the indices x₁ the sums of the elements of x₀ that have one
/// index: `y[a, k, b] = Σ x₀[a, i, b]` over `x₁[i] = k`
///
/// x̄₀ = ȳ at the indices ([`Gather`]). Linear in x₀. Edges: those of [`Gather`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterAdd {
    /// Which axis the indices are along.
    pub axis: usize,
    /// Its size.
    pub size: usize,
}

impl Definition for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} of {}", self.axis, self.size)
    }

    fn arity(&self) -> usize {
        2
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let kind = number_kind(&x[..1])?;
        check_kind(1, x[1], &[INDEX], "indices")?;
        let (found, indices) = (x[0].dims(), x[1].dims());
        let end = self.axis.saturating_add(indices.len());
        match found.get(self.axis..end) == Some(indices) {
            true => {
                let dims = [&found[..self.axis], &[self.size], &found[end..]].concat();
                Ok(vec![ValueType::new(kind, dims)])
            }
            false => Err(ShapeError::Indices {
                axis: self.axis,
                indices: indices.to_vec(),
                found: found.to_vec(),
            }),
        }
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![match x[0].kind() {
            COMPLEX => x.fresh(self.scatter(x.array(0), x.array(1), Complex64::default())),
            _ => x.fresh(self.scatter(x.array(0), x.array(1), 0.0)),
        }]
    }

    fn linearity(&self) -> Linearity {
        Linearity::In(&[&[true, false]])
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Moved
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        ct.with(TensorOp::gather_or_zero(self.axis), at.x[1])
    }
}

impl ScatterAdd {
    fn scatter<T>(&self, x: &Shared<T>, indices: &Shared<i64>, zero: T) -> ArrayD<T>
    where
        T: Element + Add<Output = T>,
    {
        let end = self.axis + indices.ndim();
        let (before, after) = (&x.shape()[..self.axis], &x.shape()[end..]);
        let flat = [before, &[indices.len()], after].concat();
        let flat = x.to_shape(flat).unwrap_or_else(|error| panic!("{error}"));
        let dims = [before, &[self.size], after].concat();
        let mut result = ArrayD::from_elem(IxDyn(&dims), zero);
        for (from, &index) in flat.axis_iter(Axis(self.axis)).zip(indices) {
            if let Some(index) = place(index, self.size) {
                let mut to = result.index_axis_mut(Axis(self.axis), index);
                to.zip_mut_with(&from, |to, &from| *to = *to + from);
            }
        }
        result
    }
}

/// y = 1 at the index, and 0 elsewhere, along a new last axis: `y[i, k] = 1` where `x[i] = k`
///
/// Edges: an index that is outside has no 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OneHot(pub usize);

impl Definition for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        check_kind(0, x[0], &[INDEX], "indices")?;
        let dims = [x[0].dims(), &[self.0]].concat();
        Ok(vec![ValueType::new(REAL, dims)])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let indices = x.array::<i64>(0);
        let dims = [indices.shape(), &[self.0]].concat();
        let mut rows = Array::zeros((indices.len(), self.0));
        for (mut row, &index) in rows.outer_iter_mut().zip(indices) {
            if let Some(at) = place(index, self.0) {
                row[at] = 1.0;
            }
        }
        let result = in_shape(rows.into_dyn(), &dims);
        vec![x.fresh(result)]
    }
}

/// From an index to a place on an axis.
fn place(index: i64, size: usize) -> Option<usize> {
    let from_end = if index < 0 { size as i64 } else { 0 };
    let at = usize::try_from(index.checked_add(from_end)?).ok()?;
    (at < size).then_some(at)
}

/// An array that was just made, in order, of as many elements.
fn in_shape<T: Element>(array: ArrayD<T>, dims: &[usize]) -> ArrayD<T> {
    let result = array.into_shape_with_order(dims);
    result.unwrap_or_else(|error| panic!("{error}"))
}
