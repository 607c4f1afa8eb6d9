//! What can be written with operators and methods, said once for expressions and variables.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use tidu::ValueType;

use crate::op::TensorOp;
use crate::primitives::constants::Full;
use crate::primitives::elementwise::Power;
use crate::primitives::factorizations::determinant::Cofactors;
use crate::primitives::factorizations::solves::{Solve, TriangularSolve};
use crate::primitives::factorizations::unit;
use crate::primitives::indexing::{Gather, OneHot, ScatterAdd};
use crate::primitives::products::Einsum;
use crate::primitives::reductions::{ArgMax, Axes, LogSoftmax, LogSumExp, Max, Softmax};
use crate::primitives::shapes::{Concatenate, Pad, Slice, Window};
use crate::shape::{Misuse, REAL, ShapeError, broadcast, check_product, counted_axis, stack_of};
use crate::tensor::Tensor;

/// Something that stands for a tensor: an [`Expr`](crate::Expr) of a function that is being made, a
/// [`Var`](crate::Var) on a tape, or a [`Tensor`] itself. A model that is written for any such thing runs on all
/// three.
///
/// Operators take values and references on the right, and numbers too. On the left of an operator, references and
/// numbers stand with concrete types only: for a `V: Value`, write `x.clone() * y` and `x * 2.0`. What does not depend
/// on anything becomes a value by `into`, from numbers and tensors. Shapes are broadcast as in NumPy; real numbers become complex where they meet complex ones.
/// Axes are counted from 0; negative ones from the end.
///
/// ```
/// use tidu_tensor::{Tape, Tensor, Value, function, types};
///
/// /// Σ (tanh (x·w) - y)²
/// fn loss<V: Value>(x: &V, w: &V, y: &V) -> V {
///     (x.matmul(w).tanh() - y).square().sum_all()
/// }
///
/// let [x, w] = [Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([0.5, -0.5])];
/// let y = Tensor::from([1.0, 0.0]);
///
/// let inputs = [("x", types::real([2, 2])), ("w", types::real([2])), ("y", types::real([2]))];
/// let f = function(inputs, |[x, w, y]| [loss(&x, &w, &y)])?;
/// let slope = f.grad("w")?.compile().call(&[x.clone(), w.clone(), y.clone()])?;
///
/// // Without derivatives, and with those of a tape.
/// let value = loss(&x, &w, &y);
/// let tape = Tape::new();
/// let w = tape.var(w);
/// let recorded = loss(&x.into(), &w, &y.into());
/// assert_eq!(recorded.value(), &value);
/// assert_eq!(recorded.backward()?.get(&w)?, Some(&slope[0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Value:
    Clone
    + Sized
    + From<f64>
    + From<Tensor>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + for<'a> Add<&'a Self, Output = Self>
    + for<'a> Sub<&'a Self, Output = Self>
    + for<'a> Mul<&'a Self, Output = Self>
    + for<'a> Div<&'a Self, Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// The results of an operation, or what is wrong with the method that asks for one.
    #[track_caller]
    fn apply(operation: Result<TensorOp, Misuse>, operands: &[&Self]) -> Vec<Self>;

    /// The type; of what went wrong, that of a single number.
    fn value_type(&self) -> ValueType;

    /// The sizes of the axes.
    fn dims(&self) -> Vec<usize> {
        self.value_type().dims().to_vec()
    }

    /// The result of an operation that has one.
    #[track_caller]
    fn apply_one(operation: Result<TensorOp, Misuse>, operands: &[&Self]) -> Self {
        let mut results = Self::apply(operation, operands);
        results.swap_remove(0)
    }

    /// An operation of one operand.
    #[track_caller]
    fn then(&self, operation: TensorOp) -> Self {
        Self::apply_one(Ok(operation), &[self])
    }

    /// An operation of two operands.
    #[track_caller]
    fn with(&self, operation: TensorOp, other: &Self) -> Self {
        Self::apply_one(Ok(operation), &[self, other])
    }

    /// √x
    #[track_caller]
    fn sqrt(&self) -> Self {
        self.then(TensorOp::Sqrt)
    }

    /// eˣ
    #[track_caller]
    fn exp(&self) -> Self {
        self.then(TensorOp::Exp)
    }

    /// ln x
    #[track_caller]
    fn ln(&self) -> Self {
        self.then(TensorOp::Ln)
    }

    /// ln (1 + x), of real numbers, accurate near 0
    #[track_caller]
    fn ln_1p(&self) -> Self {
        self.then(TensorOp::Ln1p)
    }

    /// eˣ - 1, of real numbers, accurate near 0
    #[track_caller]
    fn exp_m1(&self) -> Self {
        self.then(TensorOp::ExpM1)
    }

    /// sin x
    #[track_caller]
    fn sin(&self) -> Self {
        self.then(TensorOp::Sin)
    }

    /// cos x
    #[track_caller]
    fn cos(&self) -> Self {
        self.then(TensorOp::Cos)
    }

    /// tanh x
    #[track_caller]
    fn tanh(&self) -> Self {
        self.then(TensorOp::Tanh)
    }

    /// 1 / (1 + e⁻ˣ), of real numbers
    #[track_caller]
    fn sigmoid(&self) -> Self {
        self.then(TensorOp::Sigmoid)
    }

    /// max (x, 0), of real numbers; at 0 all derivatives are 0
    #[track_caller]
    fn relu(&self) -> Self {
        self.then(TensorOp::Relu)
    }

    /// ln (1 + eˣ), of real numbers, without overflow; smooth everywhere
    #[track_caller]
    fn softplus(&self) -> Self {
        self.then(TensorOp::Softplus)
    }

    /// |x|, which is real; slope 0 at 0
    ///
    /// Second derivatives see nothing of the corner at a real 0: that of |f(x)| is 0 where f(x) = 0, also where |f(x)|
    /// is smooth, as |-x²| = x² is. At a complex 0 they are NaN. Where this matters, write x² for |x|².
    #[track_caller]
    fn abs(&self) -> Self {
        self.then(TensorOp::Abs)
    }

    /// x / |x|; 0 at 0, with slope 0 at a real 0, where it jumps, and NaN at a complex one
    #[track_caller]
    fn sign(&self) -> Self {
        self.then(TensorOp::Sign)
    }

    /// x²
    #[track_caller]
    fn square(&self) -> Self {
        self.ask("square", TensorOp::from(Power::new(2.0)))
    }

    /// xᶜ
    #[doc(alias("pow", "powf"))]
    #[track_caller]
    fn power(&self, exponent: f64) -> Self {
        self.then(TensorOp::from(Power::new(exponent)))
    }

    /// The larger of x and y, of real numbers; half of each slope where they are equal, and second derivatives there
    /// those of the mean of x and y, without the corner: those of (max (x, -x))² at 0 are 0
    #[track_caller]
    fn maximum(&self, other: &Self) -> Self {
        self.with(TensorOp::Maximum, other)
    }

    /// The smaller of x and y, of real numbers; where they are equal, see [`maximum`](Self::maximum)
    #[track_caller]
    fn minimum(&self, other: &Self) -> Self {
        self.with(TensorOp::Minimum, other)
    }

    /// 1 where x > y, 0 elsewhere
    #[track_caller]
    fn greater(&self, other: &Self) -> Self {
        self.with(TensorOp::Greater, other)
    }

    /// 1 where x ≥ y, 0 elsewhere
    #[track_caller]
    fn greater_equal(&self, other: &Self) -> Self {
        self.with(TensorOp::GreaterEqual, other)
    }

    /// 1 where x = y, 0 elsewhere
    #[track_caller]
    fn equal(&self, other: &Self) -> Self {
        self.with(TensorOp::Equal, other)
    }

    /// `a` where this is not 0, and `b` where it is; what is not taken has no influence, even if it is a NaN
    #[track_caller]
    fn select(&self, a: &Self, b: &Self) -> Self {
        Self::apply_one(Ok(TensorOp::Select), &[self, a, b])
    }

    /// This where `condition` is not 0, and 0 elsewhere
    #[track_caller]
    fn keep_if(&self, condition: &Self) -> Self {
        condition.with(TensorOp::KeepIf, self)
    }

    /// x, taken for a constant by derivatives
    #[track_caller]
    fn stop_gradient(&self) -> Self {
        self.then(TensorOp::StopGradient)
    }

    /// Indices as real numbers
    #[track_caller]
    fn to_real(&self) -> Self {
        self.then(TensorOp::ToReal)
    }

    /// The conjugate
    #[track_caller]
    fn conj(&self) -> Self {
        self.then(TensorOp::Conj)
    }

    /// The real part
    #[track_caller]
    fn re(&self) -> Self {
        self.then(TensorOp::Re)
    }

    /// The imaginary part
    #[track_caller]
    fn im(&self) -> Self {
        self.then(TensorOp::Im)
    }

    /// This + i·`im`, of real numbers
    #[track_caller]
    fn complex(&self, im: &Self) -> Self {
        self.with(TensorOp::Complex, im)
    }

    /// Σ x over axes
    #[track_caller]
    fn sum<const N: usize>(&self, axes: [isize; N]) -> Self {
        self.over("sum", axes, |axes| Axes::dropped(&axes).into())
    }

    /// Σ x over axes, which keep one element
    #[track_caller]
    fn sum_kept<const N: usize>(&self, axes: [isize; N]) -> Self {
        self.over("sum_kept", axes, |axes| Axes::kept(&axes).into())
    }

    /// Σ x over all axes
    #[track_caller]
    fn sum_all(&self) -> Self {
        self.ask("sum_all", over_all(&self.dims()))
    }

    /// The mean over axes; NaN for no elements
    #[track_caller]
    fn mean<const N: usize>(&self, axes: [isize; N]) -> Self {
        self.over("mean", axes, |axes| Axes::dropped(&axes).into()) / self.count(axes)
    }

    /// The mean over axes, which keep one element
    #[track_caller]
    fn mean_kept<const N: usize>(&self, axes: [isize; N]) -> Self {
        self.over("mean_kept", axes, |axes| Axes::kept(&axes).into()) / self.count(axes)
    }

    /// The mean over all axes
    #[track_caller]
    fn mean_all(&self) -> Self {
        self.ask("mean_all", over_all(&self.dims())) / number_of(self.dims())
    }

    /// max x over axes, of real numbers; ties share, and derivatives there are those of their mean; -∞ for no elements
    #[track_caller]
    fn max<const N: usize>(&self, axes: [isize; N]) -> Self {
        self.over("max", axes, |axes| Max(Axes::dropped(&axes)).into())
    }

    /// min x over axes, of real numbers; ties as of [`max`](Self::max); ∞ for no elements
    #[track_caller]
    fn min<const N: usize>(&self, axes: [isize; N]) -> Self {
        let largest = self.axes(axes).map(|axes| Max(Axes::dropped(&axes)).into());
        match asked("min", largest, &[self.value_type()]) {
            Ok(largest) => -(-self.clone()).then(largest),
            Err(error) => Self::apply_one(Err(error), &[self]),
        }
    }

    /// The index along an axis of the largest element; an axis without elements does not fit
    #[track_caller]
    fn argmax(&self, axis: isize) -> Self {
        self.over("argmax", [axis], |axes| ArgMax(axes[0]).into())
    }

    /// ln Σ eˣ over axes, of real numbers, without overflow
    #[track_caller]
    fn logsumexp<const N: usize>(&self, axes: [isize; N]) -> Self {
        self.over("logsumexp", axes, |axes| {
            LogSumExp(Axes::dropped(&axes)).into()
        })
    }

    /// eˣ / Σ eˣ over axes, of real numbers, without overflow
    #[track_caller]
    fn softmax<const N: usize>(&self, axes: [isize; N]) -> Self {
        self.over("softmax", axes, |axes| Softmax(axes).into())
    }

    /// ln (eˣ / Σ eˣ) over axes, of real numbers, without overflow
    #[track_caller]
    fn log_softmax<const N: usize>(&self, axes: [isize; N]) -> Self {
        self.over("log_softmax", axes, |axes| LogSoftmax(axes).into())
    }

    /// The product of matrices, stacks of matrices and vectors, as of NumPy's `matmul`: stacks of two shapes are
    /// stretched to one
    #[track_caller]
    fn matmul(&self, other: &Self) -> Self {
        let [left, right] = [self.dims(), other.dims()];
        let (ranks, stacks) = (
            [left.len(), right.len()],
            [stack_of(&left), stack_of(&right)],
        );
        let stack = match check_product(&left, &right).and_then(|()| broadcast(stacks)) {
            Ok(stack) => stack,
            Err(error) => return Self::ask_both("matmul", Err(error), self, other),
        };
        if stacks.iter().any(|stack| stack.is_empty()) || stacks[0] == stacks[1] {
            let product = Einsum::matmul(ranks[0], ranks[1]);
            return Self::ask_both("matmul", Ok(product.into()), self, other);
        }
        let stretched = |x: &Self, dims: &[usize]| {
            x.broadcast_to([stack.as_slice(), &dims[dims.len() - 2..]].concat())
        };
        let rank = stack.len() + 2;
        let product = TensorOp::from(Einsum::matmul(rank, rank));
        stretched(self, &left).with(product, &stretched(other, &right))
    }

    /// A product summed over labels: `a.einsum("ij,jk->ik", &b)` is a product of matrices.
    #[track_caller]
    fn einsum(&self, labels: &str, other: &Self) -> Self {
        let contraction = Einsum::parse(labels).map_err(|source| Misuse {
            method: "einsum",
            source,
        });
        Self::apply_one(contraction.map(TensorOp::from), &[self, other])
    }

    /// The same elements, from first to last, in another shape
    #[track_caller]
    fn reshape(&self, dims: impl IntoIterator<Item = usize>) -> Self {
        self.then(TensorOp::reshape(dims))
    }

    /// A new axis of one element, which is `axis` of the result
    #[track_caller]
    fn expand(&self, axis: isize) -> Self {
        let mut dims = self.dims();
        let expanded = counted_axis(axis, dims.len() + 1).map(|axis| {
            dims.insert(axis, 1);
            TensorOp::reshape(dims)
        });
        Self::apply_one(asked("expand", expanded, &[self.value_type()]), &[self])
    }

    /// Axis i of the result is axis `axes[i]` of this.
    #[track_caller]
    fn permute(&self, axes: impl IntoIterator<Item = isize>) -> Self {
        let rank = self.dims().len();
        let axes = axes.into_iter().map(|axis| counted_axis(axis, rank));
        let axes: Result<Vec<usize>, ShapeError> = axes.collect();
        let permuted = asked("permute", axes.map(TensorOp::permute), &[self.value_type()]);
        Self::apply_one(permuted, &[self])
    }

    /// The matrix, or each of a stack of them, transposed
    #[doc(alias = "transpose")]
    #[track_caller]
    fn t(&self) -> Self {
        let rank = self.dims().len();
        let mut axes: Vec<usize> = (0..rank).collect();
        if rank >= 2 {
            axes.swap(rank - 2, rank - 1);
        }
        self.then(TensorOp::permute(axes))
    }

    /// Repeated along axes that are missing in front, or have one element
    #[track_caller]
    fn broadcast_to(&self, dims: impl IntoIterator<Item = usize>) -> Self {
        let dims: Vec<usize> = dims.into_iter().collect();
        self.then(TensorOp::broadcast_to(&dims))
    }

    /// The elements `start..end` along an axis; none if the range runs backward
    #[track_caller]
    fn slice(&self, axis: isize, range: std::ops::Range<usize>) -> Self {
        let mut windows: Vec<Window> = self.dims().into_iter().map(Window::all).collect();
        self.over("slice", [axis], |axes| {
            windows[axes[0]] = Window {
                start: range.start,
                count: range.len(),
                step: 1,
            };
            Slice(windows).into()
        })
    }

    /// What windows show, one an axis
    #[track_caller]
    fn windows(&self, windows: impl IntoIterator<Item = Window>) -> Self {
        self.ask("windows", Slice(windows.into_iter().collect()).into())
    }

    /// With zeros around: for each axis, how many before and after
    #[track_caller]
    fn pad(&self, around: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let around: Vec<(usize, usize)> = around.into_iter().collect();
        let padded = asked("pad", padded(&self.dims(), &around), &[self.value_type()]);
        Self::apply_one(padded, &[self])
    }

    /// One after another along an axis
    #[track_caller]
    fn concatenate(values: &[&Self], axis: isize) -> Self {
        let count = values.len();
        let joined = match values.first() {
            None => Err(ShapeError::NoOperands),
            Some(first) => counted_axis(axis, first.dims().len())
                .map(|axis| TensorOp::from(Concatenate { axis, count })),
        };
        let types: Vec<ValueType> = values.iter().map(|value| value.value_type()).collect();
        Self::apply_one(asked("concatenate", joined, &types), values)
    }

    /// The elements at indices along an axis, as of NumPy's `take`
    #[track_caller]
    fn gather(&self, axis: isize, indices: &Self) -> Self {
        let or_zero = false;
        let gather = self.axes([axis]).map(|axes| Gather {
            axis: axes[0],
            or_zero,
        });
        Self::ask_both("gather", gather.map(TensorOp::from), self, indices)
    }

    /// Sums of elements that have one index, along an axis of some size: `axis` of the result
    #[track_caller]
    fn scatter_add(&self, axis: isize, indices: &Self, size: usize) -> Self {
        // The axes of the indices are one axis of the result.
        let rank = (self.dims().len() + 1).saturating_sub(indices.dims().len());
        let sums = counted_axis(axis, rank).map(|axis| ScatterAdd { axis, size });
        Self::ask_both("scatter_add", sums.map(TensorOp::from), self, indices)
    }

    /// 1 at the index, and 0 elsewhere, along a new last axis
    #[track_caller]
    fn one_hot(&self, size: usize) -> Self {
        self.then(TensorOp::from(OneHot(size)))
    }

    /// One real number everywhere
    #[track_caller]
    fn full(dims: impl IntoIterator<Item = usize>, number: f64) -> Self {
        let full = Full::new(&ValueType::new(REAL, dims), number);
        match full {
            Some(full) => {
                let full = asked("full", Ok(TensorOp::from(full)), &[]);
                Self::apply_one(full, &[])
            }
            None => Self::from(number),
        }
    }

    /// The result of an operation that a method of this name makes of this.
    #[doc(hidden)]
    #[track_caller]
    fn ask(&self, method: &'static str, operation: TensorOp) -> Self {
        let operation = asked(method, Ok(operation), &[self.value_type()]);
        Self::apply_one(operation, &[self])
    }

    /// The same of an operation of two operands.
    #[doc(hidden)]
    #[track_caller]
    fn ask_both(
        method: &'static str,
        operation: Result<TensorOp, ShapeError>,
        left: &Self,
        right: &Self,
    ) -> Self {
        let operation = asked(method, operation, &[left.value_type(), right.value_type()]);
        Self::apply_one(operation, &[left, right])
    }

    /// The same of an operation over axes.
    #[doc(hidden)]
    #[track_caller]
    fn over<const N: usize>(
        &self,
        method: &'static str,
        axes: [isize; N],
        operation: impl FnOnce(Vec<usize>) -> TensorOp,
    ) -> Self {
        let operation = self.axes(axes).map(operation);
        Self::apply_one(asked(method, operation, &[self.value_type()]), &[self])
    }

    #[doc(hidden)]
    fn axes<const N: usize>(&self, axes: [isize; N]) -> Result<Vec<usize>, ShapeError> {
        let rank = self.dims().len();
        let axes = axes.into_iter();
        axes.map(|axis| counted_axis(axis, rank)).collect()
    }

    /// How many elements are reduced to one; 1 where there is an error anyway.
    #[doc(hidden)]
    fn count<const N: usize>(&self, axes: [isize; N]) -> f64 {
        let (dims, axes) = (self.dims(), self.axes(axes).unwrap_or_default());
        number_of(axes.into_iter().map(|axis| dims[axis]))
    }

    // Linear algebra.

    /// L of this = L·Lᴴ, lower triangular; of a Hermitian positive definite matrix, and otherwise of its Hermitian
    /// part, or NaN
    #[track_caller]
    fn cholesky(&self) -> Self {
        self.then(TensorOp::Cholesky)
    }

    /// (Q, R) of this = Q·R, with a positive diagonal of R
    #[track_caller]
    fn qr(&self) -> (Self, Self) {
        Self::apply_all(TensorOp::Qr, self).into()
    }

    /// (w, V) of this = V·diag(w)·Vᴴ: eigenvalues, which ascend, and eigenvectors, in columns, of a Hermitian matrix
    #[track_caller]
    fn eigh(&self) -> (Self, Self) {
        Self::apply_all(TensorOp::Eigh, self).into()
    }

    /// (U, s, Vᴴ) of this = U·diag(s)·Vᴴ, reduced: singular vectors, and singular values, which descend
    #[track_caller]
    fn svd(&self) -> (Self, Self, Self) {
        Self::apply_all(TensorOp::Svd, self).into()
    }

    /// (σ, l) of det this = σ·eˡ, where |σ| = 1; for a singular matrix (0, -∞), with derivatives NaN
    #[track_caller]
    fn log_determinant(&self) -> (Self, Self) {
        Self::apply_all(TensorOp::LogDeterminant, self).into()
    }

    /// det this: a polynomial of the elements, with derivatives that are polynomials, for matrices of every rank
    #[track_caller]
    fn determinant(&self) -> Self {
        self.then(TensorOp::Determinant)
    }

    /// The derivatives of the determinant by each element: this⁻ᵀ·det this, if there is an inverse
    #[track_caller]
    fn cofactors(&self) -> Self {
        self.then(Cofactors::new().into())
    }

    /// this⁻¹·b, of a matrix or a vector b
    #[track_caller]
    fn solve(&self, b: &Self) -> Self {
        let adjoint = false;
        self.solve_by("solve", Solve { adjoint }.into(), b)
    }

    /// T⁻¹·b or T⁻ᴴ·b, of a triangle T of this, and a matrix or a vector b
    #[track_caller]
    fn triangular_solve(&self, triangle: TriangularSolve, b: &Self) -> Self {
        self.solve_by("triangular_solve", triangle.into(), b)
    }

    /// this⁻¹; `a.solve(b)` is faster and nearer than `a.inverse().matmul(b)`
    #[track_caller]
    fn inverse(&self) -> Self {
        let adjoint = false;
        let this = self.value_type();
        // Before there is a unit matrix, which no memory might hold.
        match asked(
            "inverse",
            Ok(Solve { adjoint }.into()),
            &[this.clone(), this],
        ) {
            Ok(solve) => self.with(solve, &unit(self.dims()[0]).into()),
            Err(error) => Self::apply_one(Err(error), &[self]),
        }
    }

    #[doc(hidden)]
    #[track_caller]
    fn solve_by(&self, method: &'static str, solve: TensorOp, b: &Self) -> Self {
        let right = b.value_type();
        let n = match *right.dims() {
            [n] => n,
            _ => return Self::ask_both(method, Ok(solve), self, b),
        };
        let column = ValueType::new(right.kind(), [n, 1]);
        let solve = asked(method, Ok(solve), &[self.value_type(), column]);
        match solve.map_err(|error| error.of_vector(n)) {
            Ok(solve) => self.with(solve, &b.reshape([n, 1])).reshape([n]),
            Err(error) => Self::apply_one(Err(error), &[self, b]),
        }
    }

    #[doc(hidden)]
    #[track_caller]
    fn apply_all<const N: usize>(operation: TensorOp, operand: &Self) -> [Self; N] {
        let results = Self::apply(Ok(operation), &[operand]).try_into();
        results.unwrap_or_else(|results: Vec<Self>| panic!("{} results for {N}", results.len()))
    }
}

/// The operation, if it takes operands of these types; otherwise it is the method that was asked for the wrong thing.
fn asked(
    method: &'static str,
    operation: Result<TensorOp, ShapeError>,
    operands: &[ValueType],
) -> Result<TensorOp, Misuse> {
    let operands: Vec<&ValueType> = operands.iter().collect();
    let checked = operation.and_then(|operation| operation.check(&operands).map(|()| operation));
    checked.map_err(|source| Misuse { method, source })
}

/// Σ x over all axes
fn over_all(dims: &[usize]) -> TensorOp {
    let axes: Vec<usize> = (0..dims.len()).collect();
    Axes::dropped(&axes).into()
}

/// The product of sizes, which may be more than a `usize` holds.
fn number_of(sizes: impl IntoIterator<Item = usize>) -> f64 {
    sizes.into_iter().map(|size| size as f64).product()
}

/// Elements of a shape with others around them.
fn padded(dims: &[usize], around: &[(usize, usize)]) -> Result<TensorOp, ShapeError> {
    let (expected, found) = (dims.len(), around.len());
    if expected != found {
        let what = "pair";
        return Err(ShapeError::PerAxis {
            what,
            expected,
            found,
        });
    }
    let axes = dims.iter().zip(around).map(|(&count, &(start, after))| {
        let window = Window {
            start,
            count,
            step: 1,
        };
        // More than there can be is refused, as any shape of that size is.
        (window, start.saturating_add(count).saturating_add(after))
    });
    let (windows, dims) = axes.unzip();
    Ok(TensorOp::from(Pad { windows, dims }))
}

/// An operator for every pairing of values, references and numbers.
macro_rules! operators {
    ([$($generics:tt)*] $Type:ty) => {
        operators!(@one [$($generics)*] $Type, Add, add);
        operators!(@one [$($generics)*] $Type, Sub, sub);
        operators!(@one [$($generics)*] $Type, Mul, mul);
        operators!(@one [$($generics)*] $Type, Div, div);
        operators!(@neg [$($generics)*] $Type, $Type);
        operators!(@neg [$($generics)*] $Type, &$Type);
    };
    (@one [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident) => {
        operators!(@pair [$($generics)*] $Type, $Trait, $method, $Type, $Type);
        operators!(@pair [$($generics)*] $Type, $Trait, $method, $Type, &$Type);
        operators!(@pair [$($generics)*] $Type, $Trait, $method, &$Type, $Type);
        operators!(@pair [$($generics)*] $Type, $Trait, $method, &$Type, &$Type);
        operators!(@number [$($generics)*] $Type, $Trait, $method, $Type);
        operators!(@number [$($generics)*] $Type, $Trait, $method, &$Type);
    };
    (@pair [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident, $Left:ty, $Right:ty) => {
        impl $($generics)* std::ops::$Trait<$Right> for $Left {
            type Output = $Type;

            #[track_caller]
            fn $method(self, other: $Right) -> $Type {
                let operands = [
                    std::borrow::Borrow::<$Type>::borrow(&self),
                    std::borrow::Borrow::<$Type>::borrow(&other),
                ];
                <$Type as crate::front::Value>::apply_one(Ok(crate::op::TensorOp::$Trait), &operands)
            }
        }
    };
    (@number [$($generics:tt)*] $Type:ty, $Trait:ident, $method:ident, $Operand:ty) => {
        impl $($generics)* std::ops::$Trait<f64> for $Operand {
            type Output = $Type;

            #[track_caller]
            fn $method(self, other: f64) -> $Type {
                std::ops::$Trait::$method(self, <$Type>::from(other))
            }
        }

        impl $($generics)* std::ops::$Trait<$Operand> for f64 {
            type Output = $Type;

            #[track_caller]
            fn $method(self, other: $Operand) -> $Type {
                std::ops::$Trait::$method(<$Type>::from(self), other)
            }
        }
    };
    (@neg [$($generics:tt)*] $Type:ty, $Operand:ty) => {
        impl $($generics)* std::ops::Neg for $Operand {
            type Output = $Type;

            #[track_caller]
            fn neg(self) -> $Type {
                let operand = std::borrow::Borrow::<$Type>::borrow(&self);
                <$Type as crate::front::Value>::apply_one(Ok(crate::op::TensorOp::Neg), &[operand])
            }
        }
    };
}

/// An operator that puts its result in the place of the left side.
macro_rules! assignments {
    ([$($generics:tt)*] $Type:ty) => {
        assignments!(@one [$($generics)*] $Type, AddAssign, add_assign, Add, add);
        assignments!(@one [$($generics)*] $Type, SubAssign, sub_assign, Sub, sub);
        assignments!(@one [$($generics)*] $Type, MulAssign, mul_assign, Mul, mul);
        assignments!(@one [$($generics)*] $Type, DivAssign, div_assign, Div, div);
    };
    (@one [$($generics:tt)*] $Type:ty, $Assign:ident, $assign:ident, $Trait:ident, $method:ident) => {
        assignments!(@pair [$($generics)*] $Type, $Assign, $assign, $Trait, $method, $Type);
        assignments!(@pair [$($generics)*] $Type, $Assign, $assign, $Trait, $method, &$Type);
        assignments!(@pair [$($generics)*] $Type, $Assign, $assign, $Trait, $method, f64);
    };
    (@pair [$($generics:tt)*] $Type:ty, $Assign:ident, $assign:ident, $Trait:ident, $method:ident, $Other:ty) => {
        impl $($generics)* std::ops::$Assign<$Other> for $Type {
            #[track_caller]
            fn $assign(&mut self, other: $Other) {
                *self = std::ops::$Trait::$method(&*self, other);
            }
        }
    };
}

pub(crate) use {assignments, operators};
