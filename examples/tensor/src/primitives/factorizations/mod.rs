//! Factorizations of matrices, and solutions of linear equations: all on single matrices, real or complex.
//!
//! Where a factorization is not unique, its definition says which one is meant, so that each is a function of
//! the matrix, and its rule is the derivative of that function. No evaluation panics: where there is no
//! factorization, every element of every result is NaN; so it is if an element of the matrix is not finite. Rules
//! are formulas of linear operations, of which the transposes are made; only those are said here.

pub(crate) mod cholesky;
pub(crate) mod determinant;
pub(crate) mod eigh;
pub(crate) mod qr;
pub(crate) mod solves;
pub(crate) mod svd;
mod values;

use num_complex::Complex64;
use tidu::ValueType;
use tidu::rules::{Term, Times};

use crate::definition::Point;
use crate::notation::{Fixed, Notation, Tangent};
use crate::op::TensorOp;
use crate::primitives::indexing::OneHot;
use crate::primitives::reductions::{ArgMax, Axes, Max};
use crate::shape::{ShapeError, number_kind};
use crate::tensor::Tensor;
use values::LARGE;

/// What a function of [`values`] makes of operands, with real or with complex numbers.
macro_rules! evaluated {
    ($function:ident, $x:ident $(, $parameter:expr)?) => {
        match $x.kind() {
            crate::shape::COMPLEX => {
                super::values::$function::<num_complex::Complex64>($x $(, $parameter)?)
            }
            _ => super::values::$function::<f64>($x $(, $parameter)?),
        }
    };
}

use evaluated;

/// The numbers of rows and columns of an operand that must be a matrix of numbers.
fn matrix(operand: usize, x: &[&ValueType]) -> Result<[usize; 2], ShapeError> {
    number_kind(x)?;
    let dims = x[operand].dims();
    <[usize; 2]>::try_from(dims).map_err(|_| ShapeError::Rank {
        operand,
        expected: 2,
        found: dims.len(),
    })
}

/// The number of rows and columns of the first operand, which must be as many.
fn square(x: &[&ValueType]) -> Result<usize, ShapeError> {
    match matrix(0, x)? {
        [rows, columns] if rows == columns => Ok(rows),
        found => Err(ShapeError::Square {
            found: found.to_vec(),
        }),
    }
}

/// ½·(x + xᴴ)
fn hermitian_part(x: Tangent<'_>) -> Tangent<'_> {
    0.5 * (x + x.h())
}

/// The diagonal of a square matrix of n rows, as a vector.
fn diagonal<'a>(at: &Point<'a>, n: usize, x: Tangent<'a>) -> Tangent<'a> {
    x.where_not_zero(weights(at, n, |i, j| f64::from(i == j)))
        .sum(&[1])
}

/// A constant matrix of n rows and columns.
fn weights<'a>(at: &Point<'a>, n: usize, weight: impl Fn(usize, usize) -> f64) -> Fixed<'a> {
    at.constant(ndarray::Array2::from_shape_fn((n, n), |(i, j)| {
        weight(i, j)
    }))
}

/// 1 above the diagonal, ½ on it, and 0 below.
fn half_upper<'a>(at: &Point<'a>, n: usize) -> Fixed<'a> {
    weights(at, n, |i, j| if i == j { 0.5 } else { f64::from(i < j) })
}

/// 1 / (x_j - x_i) of a vector, and 0 for i = j. ±∞ where elements are equal.
fn inverse_gaps<'a>(at: &Point<'a>, n: usize, x: Fixed<'a>) -> Fixed<'a> {
    off_diagonal_inverse(at, n, x - x.reshape([n, 1]))
}

/// 1 / x_ij, and 0 for i = j.
fn off_diagonal_inverse<'a>(at: &Point<'a>, n: usize, x: Fixed<'a>) -> Fixed<'a> {
    let off_diagonal = weights(at, n, |i, j| f64::from(i != j));
    off_diagonal / (x + weights(at, n, |i, j| f64::from(i == j)))
}

/// i·θ, for columns v of which the leading component is real and positive, and changes d of them: d - i·θ·v
/// leaves it real.
fn turning<'a>(at: &Point<'a>, rows: usize, v: Fixed<'a>, d: Tangent<'a>) -> Tangent<'a> {
    let is_leading = leading(rows, v);
    let leading_v = (is_leading * v.re()).sum(&[0]);
    let leading_d = (is_leading * d.then(TensorOp::Im)).sum(&[0]);
    imaginary(at, leading_d / leading_v)
}

/// i·x, of real numbers.
fn imaginary<'a>(at: &Point<'a>, x: Tangent<'a>) -> Tangent<'a> {
    at.constant(Complex64::I) * x
}

/// 1 where the leading component of a column stands, and 0 elsewhere: as [`values`] finds it.
fn leading(rows: usize, v: Fixed<'_>) -> Fixed<'_> {
    let size = v.then(TensorOp::StopGradient).then(TensorOp::Abs);
    let largest = size.then(Max(Axes::kept(&[0])).into());
    let is_large = size.with(TensorOp::GreaterEqual, LARGE * largest);
    is_large
        .then(ArgMax(0).into())
        .then(OneHot(rows).into())
        .t()
}

/// The unit matrix.
pub(crate) fn unit(n: usize) -> Tensor {
    ndarray::Array2::<f64>::eye(n).into()
}
