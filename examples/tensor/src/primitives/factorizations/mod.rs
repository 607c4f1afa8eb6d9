//! Factorizations of matrices, and solutions of linear equations: all on single matrices, real or complex.
//!
//! Where a factorization is not unique, its definition says which one is meant, so that each is a function of
//! the matrix, and its rule is the derivative of that function. No evaluation panics: where there is no
//! factorization, every element of every result is NaN; so it is if an element of the matrix is not finite. Rules
//! are formulas of linear operations, of which the transposes are made; only those are said here.

pub(crate) mod cholesky;
pub(crate) mod determinant;
pub(crate) mod eigh;
mod minors;
pub(crate) mod qr;
pub(crate) mod solves;
pub(crate) mod svd;
mod values;

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

/// [`evaluated`], by a function of [`minors`](self::minors).
macro_rules! polynomial {
    ($function:ident, $x:ident) => {
        match $x.kind() {
            crate::shape::COMPLEX => super::minors::$function::<num_complex::Complex64>($x),
            _ => super::minors::$function::<f64>($x),
        }
    };
}

use polynomial;

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
    x.part_where(weights(at, n, |i, j| f64::from(i == j)))
        .sum(&[1])
}

/// A constant matrix of n rows and columns.
fn weights<'a>(at: &Point<'a>, n: usize, weight: impl Fn(usize, usize) -> f64) -> Fixed<'a> {
    at.constant(ndarray::Array2::from_shape_fn((n, n), |(i, j)| {
        weight(i, j)
    }))
}

/// Φ: what is above the diagonal, half of what is on it, and 0 below.
fn half_upper<'a>(at: &Point<'a>, n: usize, x: Tangent<'a>) -> Tangent<'a> {
    let half_diagonal = weights(at, n, |i, j| if i == j { 0.5 } else { 1.0 });
    (half_diagonal * x).part_where(weights(at, n, |i, j| f64::from(i <= j)))
}

/// What is below the diagonal, half of what is on it, and 0 above.
fn half_lower<'a>(at: &Point<'a>, n: usize, x: Tangent<'a>) -> Tangent<'a> {
    half_upper(at, n, x.t()).t()
}

/// m_ij / (x_j - x_i) for a vector x, and 0 for i = j. ±∞ or NaN where elements are equal. (To multiply by 1 / (x_j -
/// x_i) would overflow for small elements, and x_j - x_i itself may, so that it is half of that.)
fn over_gaps<'a>(at: &Point<'a>, n: usize, x: Fixed<'a>, m: Tangent<'a>) -> Tangent<'a> {
    let half = 0.5 * x;
    let half_gaps = (half - half.reshape([n, 1])) + diagonal_ones(at, n);
    let off_diagonal = weights(at, n, |i, j| f64::from(i != j));
    0.5 * (m / half_gaps).part_where(off_diagonal)
}

/// The unit matrix: added to what is 0 on the diagonal, where nothing is asked for, it may be divided by.
fn diagonal_ones<'a>(at: &Point<'a>, n: usize) -> Fixed<'a> {
    weights(at, n, |i, j| f64::from(i == j))
}

/// i·θ, for columns v of which the leading component is real and positive, and changes d of them: d - i·θ·v
/// leaves it real.
fn turning<'a>(rows: usize, v: Fixed<'a>, d: Tangent<'a>) -> Tangent<'a> {
    let is_leading = leading(rows, v);
    let leading_v = v.re().part_where(is_leading).sum(&[0]);
    let leading_d = d.then(TensorOp::Im).part_where(is_leading);
    imaginary(leading_d.sum(&[0]) / leading_v)
}

/// i·x
fn imaginary(x: Tangent<'_>) -> Tangent<'_> {
    x.then(TensorOp::ToImaginary)
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
