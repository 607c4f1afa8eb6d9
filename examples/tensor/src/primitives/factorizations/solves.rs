//! Solutions of linear equations, which are linear in the right side: what the rules of factorizations are made of.

use std::fmt;

use tidu::rules::Times;
use tidu::{Linearity, ValueType};

use super::{evaluated, matrix, square, weights};
use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Notation, Tangent};
use crate::op::TensorOp;
use crate::shape::{ShapeError, number_kind};
use crate::tensor::Tensor;

/// y = T⁻¹·x₁, or T⁻ᴴ·x₁ if `adjoint`, where T is a triangle of x₀
///
/// ẏ = T⁻¹·(ẋ₁ - Ṫ·y), and the same with adjoints; x̄₁ = T⁻ᴴ·ȳ. Linear in x₁.
///
/// Nothing outside of the triangle is read, and the derivative there is 0; if `unit`, this is so on the diagonal
/// too. Edges: NaN everywhere for a 0 on the diagonal; infinities and NaN spread as arithmetic has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TriangularSolve {
    /// Whether T is the lower triangle, not the upper one.
    pub lower: bool,
    /// Whether to solve with Tᴴ.
    pub adjoint: bool,
    /// Whether the diagonal is taken to be 1.
    pub unit: bool,
}

impl TriangularSolve {
    /// T⁻¹·x₁ for the lower triangle.
    pub fn lower() -> Self {
        let [lower, adjoint, unit] = [true, false, false];
        Self {
            lower,
            adjoint,
            unit,
        }
    }

    /// T⁻¹·x₁ for the upper triangle.
    pub fn upper() -> Self {
        let lower = false;
        Self {
            lower,
            ..Self::lower()
        }
    }

    /// T⁻ᴴ·x₁ in the place of T⁻¹·x₁, and the other way round.
    #[must_use]
    pub fn adjoint(mut self) -> Self {
        self.adjoint = !self.adjoint;
        self
    }

    /// With ones on the diagonal, whatever stands there.
    #[must_use]
    pub fn unit(mut self) -> Self {
        self.unit = true;
        self
    }

    fn reads(self, i: usize, j: usize) -> bool {
        (i == j && !self.unit) || (if self.lower { i > j } else { i < j })
    }
}

impl Definition for TriangularSolve {
    fn name(&self) -> &'static str {
        "triangular_solve"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let triangle = if self.lower { "lower" } else { "upper" };
        let adjoint = if self.adjoint { " adjoint" } else { "" };
        let unit = if self.unit { " unit" } else { "" };
        write!(f, " {triangle}{adjoint}{unit}")
    }

    fn arity(&self) -> usize {
        2
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        type_of_solution(x)
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        evaluated!(triangular_solve, x, *self)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let is_read = |i, j| f64::from(self.reads(i, j));
        let dt = match dx[0].is_zero() {
            true => dx[0],
            false => dx[0].part_where(weights(at, at.dims(0)[0], is_read)),
        };
        vec![change(at, self.adjoint, dt, dx[1])]
    }

    fn linearity(&self) -> Linearity {
        IN_THE_RIGHT_SIDE
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        transposed(at, self.adjoint().into(), ct)
    }
}

/// y = x₀⁻¹·x₁, or x₀⁻ᴴ·x₁ if `adjoint`
///
/// ẏ = x₀⁻¹·(ẋ₁ - ẋ₀·y), and the same with adjoints; x̄₁ = x₀⁻ᴴ·ȳ. Linear in x₁.
///
/// By LU factorization with exchange of rows. Edges: NaN everywhere if a pivot is 0 or x₀ is not finite. Rounding makes pivots small
/// rather than 0 for most singular matrices; what comes out is then large, and means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Solve {
    /// Whether to solve with the adjoint of x₀.
    pub adjoint: bool,
}

impl Definition for Solve {
    fn name(&self) -> &'static str {
        "solve"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.adjoint { " adjoint" } else { "" })
    }

    fn arity(&self) -> usize {
        2
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        type_of_solution(x)
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        evaluated!(solve, x, self.adjoint)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        vec![change(at, self.adjoint, dx[0], dx[1])]
    }

    fn linearity(&self) -> Linearity {
        IN_THE_RIGHT_SIDE
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        let adjoint = !self.adjoint;
        transposed(at, Self { adjoint }.into(), ct)
    }
}

const IN_THE_RIGHT_SIDE: Linearity = Linearity::In(&[&[false, true]]);

/// The type of a solution: that of the right side, but complex if the matrix is.
fn type_of_solution(x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
    let n = square(x)?;
    let [found, columns] = matrix(1, x)?;
    match found == n {
        true => Ok(vec![ValueType::new(number_kind(x)?, [n, columns])]),
        false => Err(ShapeError::Rows {
            expected: n,
            found: x[1].dims().to_vec(),
        }),
    }
}

/// ẏ = A⁻¹·(Ḃ - Ȧ·y), or A⁻ᴴ·(Ḃ - Ȧᴴ·y)
fn change<'a>(at: &Point<'a>, is_adjoint: bool, da: Tangent<'a>, db: Tangent<'a>) -> Tangent<'a> {
    let da = if is_adjoint { da.h() } else { da };
    at.x[0].with(at.op.clone(), db - da.matmul(at.y[0]))
}

/// The cotangent of the right side.
fn transposed<'a>(at: &Point<'a>, adjoint: TensorOp, ct: Tangent<'a>) -> Tangent<'a> {
    let ct = at.x[0].with(adjoint, ct);
    match at.is_complex(1) {
        true => ct,
        false => ct.re(),
    }
}
