//! What factorizations are evaluated with: [`faer`], in the gauges that the definitions state.

use std::cmp::Ordering;
use std::f64::consts::LN_2;
use std::ops::Div;

use faer::linalg::solvers::Solve;
use faer::traits::ComplexField;
use faer::traits::math_utils::{abs, conj, from_real, imag, is_finite, mul_real, nan, real, zero};
use faer::{Mat, MatRef, Side};
use libm::frexp;
use ndarray::{Array1, Array2, ArrayD, IxDyn, LinalgScalar, arr0};
use num_complex::Complex64;

use super::minors::times_power_of_two;
use super::solves::TriangularSolve;
use crate::context::Args;
use crate::tensor::{Element, Shared, Tensor};

/// How large a component of a vector must be beside the largest one to be its leading component. The largest one
/// itself would not do: vectors of matrices with a symmetry often have several, and rounding would choose. This is a
/// number that such vectors have no reason to meet.
pub(super) const LARGE: f64 = 0.45;

/// Real and complex numbers.
pub(super) trait Number:
    Element + LinalgScalar + ComplexField<Real = f64> + Div<f64, Output = Self>
{
    /// The elements of an operand as such numbers.
    fn of(x: &Args<'_, '_>, at: usize) -> Shared<Self>;
}

impl Number for f64 {
    fn of(x: &Args<'_, '_>, at: usize) -> Shared<Self> {
        x.reals(at)
    }
}

impl Number for Complex64 {
    fn of(x: &Args<'_, '_>, at: usize) -> Shared<Self> {
        x.complex(at)
    }
}

/// L of ½·(A + Aᴴ) = L·Lᴴ.
pub(super) fn cholesky<T: Number>(x: &mut Args<'_, '_>) -> Vec<Tensor> {
    let a = T::of(x, 0);
    let found = usable(hermitian(&a)).and_then(|a| a.llt(Side::Lower).ok());
    let Some(found) = found else {
        return vec![x.fresh(nans::<T>(a.shape()))];
    };
    let mut l = array(found.L());
    // Of complex numbers, rounding leaves something imaginary.
    (0..a.shape()[0]).for_each(|i| l[[i, i]] = from_real(&real(&l[[i, i]])));
    vec![x.fresh(l)]
}

/// Q and R of A = Q·R.
pub(super) fn qr<T: Number>(x: &mut Args<'_, '_>) -> Vec<Tensor> {
    let a = T::of(x, 0);
    let [m, n] = [a.shape()[0], a.shape()[1]];
    let Some((a, size)) = usable(matrix(&a)).map(scaled) else {
        return vec![x.fresh(nans::<T>(&[m, n])), x.fresh(nans::<T>(&[n, n]))];
    };
    let found = a.qr();
    let (q, r) = (found.compute_thin_Q(), found.thin_R());
    let phases: Vec<T> = (0..n).map(|j| phase(&r[(j, j)])).collect();
    let q = Array2::from_shape_fn((m, n), |(i, j)| q[(i, j)] * phases[j]);
    let r = Array2::from_shape_fn((n, n), |(i, j)| match i.cmp(&j) {
        Ordering::Less => mul_real(&(conj(&phases[i]) * r[(i, j)]), &size),
        Ordering::Equal => from_real(&(abs(&r[(i, i)]) * size)),
        Ordering::Greater => zero(),
    });
    vec![x.fresh(q.into_dyn()), x.fresh(r.into_dyn())]
}

/// The eigenvalues and eigenvectors of ½·(A + Aᴴ).
pub(super) fn eigh<T: Number>(x: &mut Args<'_, '_>) -> Vec<Tensor> {
    let a = T::of(x, 0);
    let n = a.shape()[0];
    let found = usable(hermitian(&a)).map(scaled);
    let found = found.and_then(|(a, size)| Some((a.self_adjoint_eigen(Side::Lower).ok()?, size)));
    let Some((found, size)) = found else {
        return vec![x.fresh(nans::<f64>(&[n])), x.fresh(nans::<T>(&[n, n]))];
    };
    let values = found.S().column_vector();
    let values = Array1::from_shape_fn(n, |i| real(&values[i]) * size);
    let leading = leading(found.U());
    let vectors = turned(found.U(), &leading, true);
    vec![x.fresh(values.into_dyn()), x.fresh(vectors.into_dyn())]
}

/// U, s and Vᴴ of A = U·diag(s)·Vᴴ.
pub(super) fn svd<T: Number>(x: &mut Args<'_, '_>) -> Vec<Tensor> {
    let a = T::of(x, 0);
    let [m, n] = [a.shape()[0], a.shape()[1]];
    let k = m.min(n);
    let found = usable(matrix(&a)).map(scaled);
    let found = found.and_then(|(a, size)| Some((a.thin_svd().ok()?, size)));
    let Some((found, size)) = found else {
        let (u, vh) = (nans::<T>(&[m, k]), nans::<T>(&[k, n]));
        return vec![x.fresh(u), x.fresh(nans::<f64>(&[k])), x.fresh(vh)];
    };
    let values = found.S().column_vector();
    let values = Array1::from_shape_fn(k, |i| real(&values[i]) * size);
    let leading = leading(found.U());
    let u = turned(found.U(), &leading, true);
    let v = turned(found.V(), &leading, false);
    let vh = v.t().mapv(|v| conj(&v));
    let values = x.fresh(values.into_dyn());
    vec![x.fresh(u.into_dyn()), values, x.fresh(vh.into_dyn())]
}

/// T⁻¹·B or T⁻ᴴ·B.
pub(super) fn triangular_solve<T: Number>(
    x: &mut Args<'_, '_>,
    op: TriangularSolve,
) -> Vec<Tensor> {
    let (t, b) = (T::of(x, 0), T::of(x, 1));
    if !op.unit && (0..t.shape()[0]).any(|i| t[[i, i]] == zero()) {
        return vec![x.fresh(nans::<T>(b.shape()))];
    }
    let t = match op.adjoint {
        true => adjoint(&t),
        false => matrix(&t),
    };
    let is_read = |i: usize, j: usize| i == j || (i > j) == (op.lower != op.adjoint);
    let elements = (0..t.nrows()).flat_map(|i| (0..t.ncols()).map(move |j| (i, j)));
    let elements = elements.filter(|&(i, j)| is_read(i, j)).map(|at| &t[at]);
    // The diagonal 1 that is not read cannot be scaled.
    let of_t = if op.unit { 0 } else { excess(elements, RANGE) };
    let t = shifted(t, of_t);
    let (mut y, of_b) = in_range(matrix(&b));
    match (op.lower != op.adjoint, op.unit) {
        (true, false) => t.solve_lower_triangular_in_place(&mut y),
        (false, false) => t.solve_upper_triangular_in_place(&mut y),
        (true, true) => t.solve_unit_lower_triangular_in_place(&mut y),
        (false, true) => t.solve_unit_upper_triangular_in_place(&mut y),
    }
    vec![x.fresh(array(shifted(y, of_t - of_b).as_ref()))]
}

/// A⁻¹·B or A⁻ᴴ·B.
pub(super) fn solve<T: Number>(x: &mut Args<'_, '_>, is_adjoint: bool) -> Vec<Tensor> {
    let (a, b) = (T::of(x, 0), T::of(x, 1));
    let a = match is_adjoint {
        true => adjoint(&a),
        false => matrix(&a),
    };
    let found = usable(a).map(in_range);
    let found = found.map(|(a, of_a)| (a.partial_piv_lu(), of_a));
    let is_regular = |u: MatRef<'_, T>| (0..u.nrows()).all(|i| u[(i, i)] != zero());
    let y = match found.filter(|(found, _)| is_regular(found.U())) {
        Some((found, of_a)) => {
            let (b, of_b) = in_range(matrix(&b));
            array(shifted(found.solve(b), of_a - of_b).as_ref())
        }
        None => nans(b.shape()),
    };
    vec![x.fresh(y)]
}

/// det A / |det A| and ln |det A|.
pub(super) fn log_determinant<T: Number>(x: &mut Args<'_, '_>) -> Vec<Tensor> {
    let (sign, log) = sign_and_log::<T>(&T::of(x, 0));
    vec![
        x.fresh(arr0(sign).into_dyn()),
        x.fresh(arr0(log).into_dyn()),
    ]
}

fn sign_and_log<T: Number>(a: &Shared<T>) -> (T, f64) {
    if a.is_empty() {
        return (from_real(&1.0), 0.0);
    }
    let Some((a, exponent)) = usable(matrix(a)).map(in_range) else {
        return (nan(), f64::NAN);
    };
    let (sign, pivots) = sign_and_pivots(&a);
    if pivots.contains(&zero()) {
        return (zero(), f64::NEG_INFINITY);
    }
    let shift = exponent as f64 * LN_2;
    let logarithms = pivots.iter().map(|pivot| abs(pivot).ln() + shift);
    (sign, logarithms.sum())
}

/// The pivots of the LU factorization of a matrix of finite elements, and det A / |det A|, of which that of a pivot 0
/// is taken for 1.
pub(super) fn sign_and_pivots<T: Number>(a: &Mat<T>) -> (T, Vec<T>) {
    let found = a.partial_piv_lu();
    let pivots: Vec<T> = (0..a.nrows()).map(|i| found.U()[(i, i)]).collect();
    let (rows, _) = found.P().arrays();
    let sign = from_real(&if is_odd(rows) { -1.0 } else { 1.0 });
    let sign = pivots.iter().fold(sign, |sign, pivot| sign * phase(pivot));
    (sign, pivots)
}

/// Whether a permutation takes an odd number of exchanges.
pub(super) fn is_odd(permutation: &[usize]) -> bool {
    let mut permutation = permutation.to_vec();
    let mut exchanges = 0;
    for at in 0..permutation.len() {
        while permutation[at] != at {
            let to = permutation[at];
            permutation.swap(at, to);
            exchanges += 1;
        }
    }
    exchanges % 2 == 1
}

/// Of each column, the component that is made real and positive: the first large one.
fn leading<T: Number>(v: MatRef<'_, T>) -> Vec<T> {
    let columns = v.col_iter().map(|column| {
        let largest = column.iter().map(|x| abs(x)).fold(0.0, f64::max);
        let mut large = column.iter().filter(|x| abs(*x) >= LARGE * largest);
        large.next().map_or(zero(), |x| *x)
    });
    columns.collect()
}

/// Columns, each turned by what makes its leading component real and positive. If these `own` the components, what
/// is turned there is set to what it is without rounding.
fn turned<T: Number>(v: MatRef<'_, T>, leading: &[T], own: bool) -> Array2<T> {
    Array2::from_shape_fn((v.nrows(), v.ncols()), |(i, j)| {
        match own && v[(i, j)] == leading[j] {
            true => from_real(&abs(&leading[j])),
            false => v[(i, j)] * conj(&phase(&leading[j])),
        }
    })
}

/// x / |x|; 1 at 0
fn phase<T: Number>(x: &T) -> T {
    match abs(x) {
        0.0 => from_real(&1.0),
        size => *x / size,
    }
}

fn matrix<T: Number>(a: &Shared<T>) -> Mat<T> {
    Mat::from_fn(a.shape()[0], a.shape()[1], |i, j| a[[i, j]])
}

fn adjoint<T: Number>(a: &Shared<T>) -> Mat<T> {
    Mat::from_fn(a.shape()[1], a.shape()[0], |i, j| conj(&a[[j, i]]))
}

/// ½·(A + Aᴴ)
fn hermitian<T: Number>(a: &Shared<T>) -> Mat<T> {
    let half = from_real::<T>(&0.5);
    Mat::from_fn(a.shape()[0], a.shape()[1], |i, j| {
        let (x, y) = (a[[i, j]], conj(&a[[j, i]]));
        // Half of small numbers may lose a digit, the sum of large ones be infinite.
        match is_finite(&(x + y)) {
            true => half * (x + y),
            false => half * x + half * y,
        }
    })
}

/// The matrix, if it has elements, and all are finite. Of no elements, NaN is right everywhere.
pub(super) fn usable<T: Number>(a: Mat<T>) -> Option<Mat<T>> {
    let all_are = a
        .col_iter()
        .all(|column| column.iter().all(|x| is_finite(x)));
    (all_are && a.nrows() > 0 && a.ncols() > 0).then_some(a)
}

/// Beyond 2 to this power, up or down, elements are brought nearer to 1: of complex ones, squares are taken.
const RANGE: i64 = 400;

/// A matrix whose elements are not beyond the range, and by which power of two it was divided. It is no more than is
/// needed, so that small elements beside large ones keep their digits.
fn in_range<T: Number>(a: Mat<T>) -> (Mat<T>, i64) {
    let elements = a.col_iter().flat_map(|column| column.iter());
    let exponent = excess(elements, RANGE);
    (shifted(a, exponent), exponent)
}

/// A·2⁻ᵉ
fn shifted<T: Number>(mut a: Mat<T>, exponent: i64) -> Mat<T> {
    if exponent != 0 {
        let elements = a.col_iter_mut().flat_map(|column| column.iter_mut());
        elements.for_each(|x| *x = times_power_of_two(*x, -exponent));
    }
    a
}

/// By which power of two the largest of some numbers is beyond 2 to the power of ±`range`; 0 if not, or if one is not
/// finite.
pub(super) fn excess<'a, T: Number>(elements: impl Iterator<Item = &'a T>, range: i64) -> i64 {
    let mut largest = 0.0_f64;
    for x in elements {
        if !is_finite(x) {
            return 0;
        }
        largest = largest.max(real(x).abs()).max(imag(x).abs());
    }
    let exponent = if largest == 0.0 {
        0
    } else {
        i64::from(frexp(largest).1)
    };
    exponent - exponent.clamp(-range, range)
}

/// A matrix with elements, or parts of complex ones, up to 2, and the power of two that it was divided by. Squares of them, which some
/// factorizations sum, then neither vanish nor overflow.
fn scaled<T: Number>(mut a: Mat<T>) -> (Mat<T>, f64) {
    let columns = a.col_iter().flat_map(|column| column.iter());
    let parts = columns.flat_map(|x| [real(x).abs(), imag(x).abs()]);
    let largest = parts.fold(0.0, f64::max);
    let size = match largest {
        0.0 => 1.0,
        largest => largest.log2().floor().exp2(),
    };
    let elements = a.col_iter_mut().flat_map(|column| column.iter_mut());
    elements.for_each(|x| *x = *x / size);
    (a, size)
}

fn array<T: Number>(a: MatRef<'_, T>) -> ArrayD<T> {
    Array2::from_shape_fn((a.nrows(), a.ncols()), |(i, j)| a[(i, j)]).into_dyn()
}

fn nans<T: Number>(dims: &[usize]) -> ArrayD<T> {
    ArrayD::from_elem(IxDyn(dims), nan())
}
