//! The determinant, by its logarithm.

use tidu::ValueType;

use super::solves::Solve;
use super::{evaluated, imaginary, square, unit};
use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Notation, Tangent};
use crate::op::TensorOp;
use crate::shape::{REAL, ShapeError};
use crate::tensor::Tensor;
use tidu::rules::{Term, Times};

/// (σ, l) of det x = σ·eˡ, where |σ| = 1
///
/// l̇ = Re tr x⁻¹·ẋ; σ̇ = i·σ·Im tr x⁻¹·ẋ, which is 0 for real matrices.
///
/// By LU factorization with exchange of rows. Edges: (0, -∞) if a pivot is 0, with derivatives NaN. `slogdet` in
/// JAX and NumPy.
pub(crate) struct LogDeterminant;

impl Definition for LogDeterminant {
    fn name(&self) -> &'static str {
        "log_determinant"
    }

    fn results(&self) -> usize {
        2
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        square(x)?;
        Ok(vec![
            ValueType::new(x[0].kind(), []),
            ValueType::new(REAL, []),
        ])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        evaluated!(log_determinant, x)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let unit = at.constant(unit(at.dims(0)[0]));
        let adjoint = false;
        let inverse = at.x[0].with(Solve { adjoint }.into(), unit);
        let trace = (inverse.t() * dx[0]).sum(&[0, 1]);
        let sign = match at.is_complex(0) {
            true => at.y[0] * imaginary(at, trace.then(TensorOp::Im)),
            false => at.work.zero(),
        };
        vec![sign, trace.re()]
    }
}
