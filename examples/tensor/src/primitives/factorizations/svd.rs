//! The singular value decomposition.

use tidu::ValueType;
use tidu::rules::Term;

use super::{diagonal, diagonal_ones, evaluated, imaginary, matrix, over_gaps, turning};
use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Fixed, Notation, Tangent};
use crate::op::TensorOp;
use crate::shape::{REAL, ShapeError};
use crate::tensor::Tensor;

/// (U, s, Vᴴ) of x = U·diag(s)·Vᴴ, where Uᴴ·U = Vᴴ·V = 1, and s ≥ 0 descends, as long as the shorter side of x
///
/// With S = diag(s), M = Uᴴ·ẋ·V, F_ij = 1/(s_j - s_i) but 0 on the diagonal, and the shares R_ij = s_j/(s_i + s_j) and
/// L = 1 - R = Rᵀ:
///
/// - ṡ = Re diag M
/// - U̇ = U·(F∘(R∘M + L∘Mᴴ) - i·diag(θ)) + (ẋ·V - U·M)·S⁻¹
/// - V̇ = V·(F∘(L∘M + R∘Mᴴ) - i·diag(θ) - i·S⁻¹·Im diag M) + (ẋᴴ·U - V·Mᴴ)·S⁻¹
///
/// (The better known form has (M·S + S·Mᴴ) / (s_j² - s_i²), of which the squares overflow, or vanish.) The the last terms of U̇ and V̇ are there if x has more rows, or more columns, than singular values.
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
        let [rows, columns] = [at.dims(0)[0], at.dims(0)[1]];
        let k = rows.min(columns);
        let uha = u.h().matmul(dx[0]);
        let m = uha.matmul(v);
        let mh = m.h();
        let [right, left] = shares(at, k, s);
        let mut du = u.matmul(over_gaps(at, k, s, right * m + left * mh));
        let mut dv = v.matmul(over_gaps(at, k, s, left * m + right * mh));
        if rows > k {
            du = du + (dx[0].matmul(v) - u.matmul(m)) / s;
        }
        if columns > k {
            dv = dv + (uha.h() - v.matmul(mh)) / s;
        }
        let diagonal = diagonal(at, k, m);
        // Of no rows there is no leading one.
        if at.is_complex(0) && k > 0 {
            let turn = turning(rows, u, du);
            let between = imaginary(diagonal.then(TensorOp::Im) / s);
            du = du - u * turn;
            dv = dv - v * (turn + between);
        }
        vec![du, diagonal.re(), dv.h()]
    }
}

/// s_j / (s_i + s_j) and s_i / (s_i + s_j), off the diagonal.
fn shares<'a>(at: &Point<'a>, k: usize, s: Fixed<'a>) -> [Fixed<'a>; 2] {
    // Of halves, the sum is finite.
    let half = 0.5 * s;
    let halves = half.reshape([k, 1]);
    let sum = half + halves + diagonal_ones(at, k);
    [half / sum, halves / sum]
}
