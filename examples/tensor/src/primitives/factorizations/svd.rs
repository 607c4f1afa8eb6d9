//! The singular value decomposition.

use tidu::ValueType;
use tidu::rules::Term;

use super::{diagonal, evaluated, imaginary, matrix, off_diagonal_inverse, turning};
use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Notation, Tangent};
use crate::op::TensorOp;
use crate::shape::{REAL, ShapeError};
use crate::tensor::Tensor;

/// (U, s, Vᴴ) of x = U·diag(s)·Vᴴ, where Uᴴ·U = Vᴴ·V = 1, and s ≥ 0 descends, as long as the shorter side of x
///
/// With S = diag(s), M = Uᴴ·ẋ·V, and E_ij = 1/(s_j² - s_i²) but 0 on the diagonal:
///
/// - ṡ = Re diag M
/// - U̇ = U·(E∘(M·S + S·Mᴴ) - i·diag(θ)) + (ẋ·V - U·M)·S⁻¹
/// - V̇ = V·(E∘(S·M + Mᴴ·S) - i·diag(θ) - i·S⁻¹·Im diag M) + (ẋᴴ·U - V·Mᴴ)·S⁻¹
///
/// of which the last terms of U̇ and V̇ are there if x has more rows, or more columns, than singular values.
///
/// Of each left singular vector, the leading component is real and positive, as of the eigenvectors of
/// [`Eigh`](super::eigh::Eigh); θ, which is 0 for real matrices, keeps it real.
///
/// Edges: for equal singular values, what is said there of equal eigenvalues. At s = 0, ṡ is that of one side, and
/// terms with S⁻¹ are ±∞ or NaN.
///
/// M. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation (2008);
/// Z.-Q. Wan and S.-X. Zhang, Automatic differentiation for complex valued SVD (2019). `svd` with
/// `full_matrices=False` in JAX, where the diagonal of Uᴴ·U̇ and that of Vᴴ·V̇ share i·S⁻¹·Im diag M, and θ = 0.
pub(crate) struct Svd;

impl Definition for Svd {
    fn name(&self) -> &'static str {
        "svd"
    }

    fn results(&self) -> usize {
        3
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let [m, n] = matrix(0, x)?;
        let (kind, k) = (x[0].kind(), m.min(n));
        Ok(vec![
            ValueType::new(kind, [m, k]),
            ValueType::new(REAL, [k]),
            ValueType::new(kind, [k, n]),
        ])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        evaluated!(svd, x)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let [u, s, v] = [at.y[0], at.y[1], at.y[2].h()];
        let (m, n) = (at.dims(0)[0], at.dims(0)[1]);
        let k = m.min(n);
        let rows = s.reshape([k, 1]);
        let e = off_diagonal_inverse(at, k, (s - rows) * (s + rows));
        let uha = u.h().matmul(dx[0]);
        let relative = uha.matmul(v);
        let (right, left) = (relative * s, rows * relative);
        let mut du = u.matmul(e * (right + right.h()));
        let mut dv = v.matmul(e * (left + left.h()));
        if m > k {
            du = du + (dx[0].matmul(v) - u.matmul(relative)) / s;
        }
        if n > k {
            dv = dv + (uha.h() - v.matmul(relative.h())) / s;
        }
        let diagonal = diagonal(at, k, relative);
        if at.is_complex(0) {
            let turn = turning(at, m, u, du);
            let between = imaginary(at, diagonal.then(TensorOp::Im) / s);
            du = du - u * turn;
            dv = dv - v * (turn + between);
        }
        vec![du, diagonal.re(), dv.h()]
    }
}
