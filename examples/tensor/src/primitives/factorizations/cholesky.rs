//! The Cholesky factorization.

use tidu::ValueType;
use tidu::rules::{Term, Times};

use super::solves::TriangularSolve;
use super::{evaluated, half_lower, hermitian_part, square};
use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Fixed, Notation, Tangent};
use crate::op::TensorOp;
use crate::primitives::reductions::{Axes, Max};
use crate::shape::ShapeError;
use crate::tensor::Tensor;

/// y = L, lower triangular with a real, positive diagonal, of H = L·Lᴴ, where H = ½·(x + xᴴ) is positive definite
///
/// L̇ = L·Φ(L⁻¹·Ḣ·L⁻ᴴ), where Φ takes the lower triangle and half of the diagonal.
///
/// The matrix is read through its Hermitian part, so that derivatives by it are Hermitian too: that of ln det x is
/// x⁻¹, and no triangle of it counts for more than the other. Edges: NaN if H is not positive definite.
///
/// M. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation (2008);
/// I. Murray, Differentiation of the Cholesky decomposition (2016). `cholesky` with `symmetrize_input` in JAX.
pub(crate) struct Cholesky;

impl Definition for Cholesky {
    fn name(&self) -> &'static str {
        "cholesky"
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        square(x)?;
        Ok(vec![x[0].clone()])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        evaluated!(cholesky, x)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let l = at.y[0];
        let solve = |l: Fixed<'a>, x: Tangent<'a>| l.with(TriangularSolve::lower().into(), x);
        // With L / c for one of the two L⁻¹, and for L, nothing overflows where H is small. Any c will do.
        let size = l.then(TensorOp::StopGradient).then(TensorOp::Abs);
        let unit = l / size.then(Max(Axes::kept(&[0, 1])).into());
        let relative = solve(unit, solve(l, hermitian_part(dx[0])).h());
        vec![unit.matmul(half_lower(at, at.dims(0)[0], relative))]
    }
}
