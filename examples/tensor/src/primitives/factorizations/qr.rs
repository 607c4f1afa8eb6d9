//! The QR factorization.

use tidu::ValueType;
use tidu::rules::Times;

use super::solves::TriangularSolve;
use super::{evaluated, half_upper, matrix};
use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Notation, Tangent};
use crate::shape::ShapeError;
use crate::tensor::Tensor;

/// (Q, R) of x = Q·R, where x has at least as many rows as columns, Qᴴ·Q = 1, and R is upper triangular
///
/// Ṙ = C·R, Q̇ = ẋ·R⁻¹ - Q·C, with M = Qᴴ·ẋ·R⁻¹ and C = Φ(M + Mᴴ), where Φ takes the upper triangle and half of the
/// diagonal.
///
/// The diagonal of R is real and positive, which makes both factors unique if x has full rank. Edges: if it has
/// not, R has a 0 on the diagonal, or what rounding makes of it, and derivatives are NaN, or large numbers without
/// meaning.
///
/// S. Walter and L. Lehmann, Algorithmic differentiation of linear algebra functions (2010). `qr` in JAX, where
/// signs and phases are left to LAPACK.
pub(crate) struct Qr;

impl Definition for Qr {
    fn name(&self) -> &'static str {
        "qr"
    }

    fn results(&self) -> usize {
        2
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let [rows, columns] = matrix(0, x)?;
        let found = vec![rows, columns];
        match rows >= columns {
            true => Ok(vec![
                x[0].clone(),
                ValueType::new(x[0].kind(), [columns, columns]),
            ]),
            false => Err(ShapeError::Tall { found }),
        }
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        evaluated!(qr, x)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let [q, r] = [at.y[0], at.y[1]];
        let relative = r.with(TriangularSolve::upper().adjoint().into(), dx[0].h());
        let relative = relative.h();
        let m = q.h().matmul(relative);
        let c = half_upper(at, at.dims(0)[1], m + m.h());
        vec![relative - q.matmul(c), c.matmul(r)]
    }
}
