//! The determinant, which is a polynomial, and its logarithm, which is none.

use std::fmt;

use tidu::rules::{RuleOperand, Term, Times};
use tidu::{Linearity, ValueType};

use super::solves::Solve;
use super::{evaluated, imaginary, polynomial, square, unit};
use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Notation, Tangent};
use crate::op::TensorOp;
use crate::shape::{REAL, ShapeError, number_kind};
use crate::tensor::Tensor;

/// y = det x
///
/// ẏ = Σ C∘ẋ, where C are the [`Cofactors`] of x: a polynomial too, and right where x has no inverse. Edges: of no
/// elements 1; NaN if an element is not finite.
pub(crate) struct Determinant;

impl Definition for Determinant {
    fn name(&self) -> &'static str {
        "determinant"
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        square(x)?;
        Ok(vec![ValueType::new(x[0].kind(), [])])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        polynomial!(determinant, x)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let cofactors = at.x[0].then(Cofactors::new().into());
        vec![(cofactors * dx[0]).sum(&[0, 1])]
    }
}

/// C, of which C_ij is the derivative of det x by x_ij: without row i and column j, the determinant of what is left,
/// with a sign. Or, of order k, the derivative of C along k matrices M₁, …, Mₖ, which are operands too:
///
/// y = Dᵏ C(x)[M₁, …, Mₖ]
///
/// ẏ = Dᵏ⁺¹ C(x)[M₁, …, Mₖ, ẋ] + Dᵏ C(x)[Ṁ₁, M₂, …] + …; M̄ᵢ = conj Dᵏ C(x)[…, conj ȳ, …], since Σ N∘y does not change
/// where N and an M change places: it is a derivative of the determinant. Linear in each M.
///
/// A polynomial in all operands, of degree n - 1 - k in x, and evaluated as one, not by way of an inverse: right for
/// matrices of every rank. The derivative of order 8, that of order 9 of the determinant, is NaN where it is not 0.
/// Takes some nᵏ⁺¹·(k + 1)! products, beside a singular value decomposition for more than three rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cofactors {
    order: u8,
}

impl Cofactors {
    /// The cofactors themselves.
    pub fn new() -> Self {
        Self::default()
    }

    fn order(self) -> usize {
        usize::from(self.order)
    }

    fn next(self) -> Option<Self> {
        let order = self.order + 1;
        (usize::from(order) < OPERANDS).then_some(Self { order })
    }
}

impl Definition for Cofactors {
    fn name(&self) -> &'static str {
        "cofactors"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.order {
            0 => Ok(()),
            order => write!(f, " of order {order}"),
        }
    }

    fn arity(&self) -> usize {
        1 + self.order()
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        square(x)?;
        let expected = x[0].dims();
        for (operand, x) in x.iter().enumerate() {
            if x.dims() != expected {
                return Err(ShapeError::Unlike {
                    operand,
                    expected: expected.to_vec(),
                    found: x.dims().to_vec(),
                });
            }
        }
        Ok(vec![ValueType::new(
            number_kind(x)?,
            expected.iter().copied(),
        )])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        polynomial!(cofactors, x)
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let along = at.work.by_linearity(at.op, self.linearity(), &at.x, dx);
        vec![along + self.moved(at, dx[0])]
    }

    fn linearity(&self) -> Linearity {
        Linearity::In(&EACH_DIRECTION[self.order()][..self.order()])
    }

    fn transpose<'a>(&self, at: &Point<'a>, i: usize, ct: Tangent<'a>) -> Tangent<'a> {
        let Some(ct) = ct.conj().as_operand() else {
            return ct;
        };
        let mut operands: Vec<RuleOperand<TensorOp>> =
            at.x.iter().map(|x| x.into_operand()).collect();
        operands[i] = ct;
        let found = at.work.linear(at.op.clone(), operands).conj();
        match at.is_complex(i) {
            true => found,
            false => found.re(),
        }
    }
}

impl Cofactors {
    /// What a change of x makes of the result.
    fn moved<'a>(self, at: &Point<'a>, dx: Tangent<'a>) -> Tangent<'a> {
        let degree = at.dims(0)[0].saturating_sub(1 + self.order());
        if degree == 0 {
            return at.work.zero();
        }
        let Some(next) = self.next() else {
            return f64::NAN * dx;
        };
        match dx.as_operand() {
            None => dx,
            Some(dx) => {
                let operands = at.x.iter().map(|x| x.into_operand());
                let operands: Vec<_> = operands.chain([dx]).collect();
                at.work.linear(next.into(), operands)
            }
        }
    }
}

/// How many operands there are at most.
const OPERANDS: usize = 8;

/// By the number of directions, in which operands the cofactors are linear: each direction.
static EACH_DIRECTION: [[&[bool]; OPERANDS - 1]; OPERANDS] = {
    static ONE: [[bool; OPERANDS]; OPERANDS] = {
        let mut one = [[false; OPERANDS]; OPERANDS];
        let mut at = 0;
        while at < OPERANDS {
            one[at][at] = true;
            at += 1;
        }
        one
    };
    let mut masks: [[&[bool]; OPERANDS - 1]; OPERANDS] = [[&[]; OPERANDS - 1]; OPERANDS];
    let mut order = 0;
    while order < OPERANDS {
        let mut direction = 1;
        while direction < OPERANDS {
            masks[order][direction - 1] = ONE[direction].split_at(order + 1).0;
            direction += 1;
        }
        order += 1;
    }
    masks
};

/// (σ, l) of det x = σ·eˡ, where |σ| = 1
///
/// l̇ = Re tr x⁻¹·ẋ; σ̇ = i·σ·Im tr x⁻¹·ẋ, which is 0 for real matrices.
///
/// By LU factorization with exchange of rows. Edges: (0, -∞) if a pivot is 0, with derivatives NaN: the logarithm has
/// none there, unlike the [`Determinant`]. `slogdet` in
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
            true => at.y[0] * imaginary(trace.then(TensorOp::Im)),
            false => at.work.zero(),
        };
        vec![sign, trace.re()]
    }
}
