//! Eigenvalues and eigenvectors of Hermitian matrices.

use tidu::ValueType;

use super::{diagonal, evaluated, hermitian_part, over_gaps, square, turning};
use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Notation, Tangent};
use crate::shape::{REAL, ShapeError};
use crate::tensor::Tensor;

/// (w, V) of H = V·diag(w)·Vᴴ, where H = ½·(x + xᴴ), Vᴴ·V = 1, and w ascends
///
/// ẇ = diag M, V̇ = V·(F∘M - i·diag(θ)), with M = Vᴴ·Ḣ·V, and F_ij = 1/(w_j - w_i) but 0 on the diagonal: divided
/// by, not multiplied, so that it does not overflow by itself.
///
/// Of each eigenvector, the leading component, which is the first that is at least 0.45 times as large as the
/// largest one, is real and positive; θ, which is 0 for real matrices, keeps it real. So the derivative is that of
/// what is evaluated, also of functions on which signs and phases have an influence; where another component
/// becomes the leading one, the vector jumps, and the derivative does not see it. For functions on which signs and
/// phases have no influence, it is that of any other choice.
///
/// The matrix is read through its Hermitian part, as by the Cholesky factorization. Edges: eigenvectors of equal
/// eigenvalues are some orthonormal basis of what they span; their derivatives are ±∞ or NaN, and so are second
/// derivatives of the eigenvalues. First derivatives of the eigenvalues are finite: right for symmetric functions
/// of the equal ones, as their sum, and otherwise of that basis. Where rounding separates equal eigenvalues, what
/// would be ∞ is large.
///
/// M. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation (2008).
/// `eigh` with `symmetrize_input` in JAX, with θ = 0 also for complex matrices.
pub(crate) struct Eigh;

impl Definition for Eigh {
    fn name(&self) -> &'static str {
        "eigh"
    }

    fn results(&self) -> usize {
        2
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let n = square(x)?;
        Ok(vec![ValueType::new(REAL, [n]), x[0].clone()])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        evaluated!(eigh, x)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let [w, v] = [at.y[0], at.y[1]];
        let n = at.dims(0)[0];
        let m = v.h().matmul(hermitian_part(dx[0])).matmul(v);
        let dv = v.matmul(over_gaps(at, n, w, m));
        // Of no rows there is no leading one.
        let dv = match at.is_complex(0) && n > 0 {
            true => dv - v * turning(n, v, dv),
            false => dv,
        };
        vec![diagonal(at, n, m).re(), dv]
    }
}
