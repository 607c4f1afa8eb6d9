//! What factorizations are evaluated with: [`faer`], in the gauges that the definitions state.

use faer::linalg::solvers::Solve;
use faer::traits::ComplexField;
use faer::traits::math_utils::{abs, conj, from_real, is_finite, nan, real, zero};
use faer::{Mat, MatRef, Side};
use ndarray::{Array1, Array2, ArrayD, IxDyn, LinalgScalar};
use num_complex::Complex64;

use super::solves::TriangularSolve;
use crate::tensor::{Element, Shared};

/// Components of a vector that are this near to the largest one count as equally large, so that rounding does not
/// decide between them.
pub(super) const NEARLY: f64 = 1.0 - 1e-6;

/// Real and complex numbers.
pub(super) trait Number: Element + LinalgScalar + ComplexField<Real = f64> {}

impl Number for f64 {}
impl Number for Complex64 {}

/// L of ½·(A + Aᴴ) = L·Lᴴ.
pub(super) fn cholesky<T: Number>(a: &Shared<T>) -> ArrayD<T> {
    let found = usable(hermitian(a)).and_then(|a| a.llt(Side::Lower).ok());
    let Some(found) = found else {
        return nans(a.shape());
    };
    let mut l = array(found.L());
    // Of complex numbers, rounding leaves something imaginary.
    (0..a.shape()[0]).for_each(|i| l[[i, i]] = from_real(&real(&l[[i, i]])));
    l
}

/// Q and R of A = Q·R.
pub(super) fn qr<T: Number>(a: &Shared<T>) -> [ArrayD<T>; 2] {
    let [m, n] = [a.shape()[0], a.shape()[1]];
    let Some(found) = usable(matrix(a)).map(|a| a.qr()) else {
        return [nans(&[m, n]), nans(&[n, n])];
    };
    let (q, r) = (found.compute_thin_Q(), found.thin_R());
    let phases: Vec<T> = (0..n).map(|j| phase(&r[(j, j)])).collect();
    let q = Array2::from_shape_fn((m, n), |(i, j)| q[(i, j)] * phases[j]);
    let r = Array2::from_shape_fn((n, n), |(i, j)| match i.cmp(&j) {
        std::cmp::Ordering::Less => conj(&phases[i]) * r[(i, j)],
        std::cmp::Ordering::Equal => from_real(&abs(&r[(i, i)])),
        std::cmp::Ordering::Greater => zero(),
    });
    [q.into_dyn(), r.into_dyn()]
}

/// The eigenvalues and eigenvectors of ½·(A + Aᴴ).
pub(super) fn eigh<T: Number>(a: &Shared<T>) -> (ArrayD<f64>, ArrayD<T>) {
    let n = a.shape()[0];
    let found = usable(hermitian(a)).and_then(|a| a.self_adjoint_eigen(Side::Lower).ok());
    let Some(found) = found else {
        return (nans(&[n]), nans(&[n, n]));
    };
    let values = found.S().column_vector();
    let values = Array1::from_shape_fn(n, |i| real(&values[i]));
    let leading = leading(found.U());
    let vectors = turned(found.U(), &leading, true);
    (values.into_dyn(), vectors.into_dyn())
}

/// U, s and Vᴴ of A = U·diag(s)·Vᴴ.
pub(super) fn svd<T: Number>(a: &Shared<T>) -> (ArrayD<T>, ArrayD<f64>, ArrayD<T>) {
    let [m, n] = [a.shape()[0], a.shape()[1]];
    let k = m.min(n);
    let Some(found) = usable(matrix(a)).and_then(|a| a.thin_svd().ok()) else {
        return (nans(&[m, k]), nans(&[k]), nans(&[k, n]));
    };
    let values = found.S().column_vector();
    let values = Array1::from_shape_fn(k, |i| real(&values[i]));
    let leading = leading(found.U());
    let u = turned(found.U(), &leading, true);
    let v = turned(found.V(), &leading, false);
    let vh = v.t().mapv(|v| conj(&v));
    (u.into_dyn(), values.into_dyn(), vh.into_dyn())
}

/// T⁻¹·B or T⁻ᴴ·B.
pub(super) fn triangular_solve<T: Number>(
    op: TriangularSolve,
    t: &Shared<T>,
    b: &Shared<T>,
) -> ArrayD<T> {
    let is_singular = !op.unit && (0..t.shape()[0]).any(|i| t[[i, i]] == zero());
    if is_singular {
        return nans(b.shape());
    }
    let t = match op.adjoint {
        true => adjoint(t),
        false => matrix(t),
    };
    let mut x = matrix(b);
    match (op.lower != op.adjoint, op.unit) {
        (true, false) => t.solve_lower_triangular_in_place(&mut x),
        (false, false) => t.solve_upper_triangular_in_place(&mut x),
        (true, true) => t.solve_unit_lower_triangular_in_place(&mut x),
        (false, true) => t.solve_unit_upper_triangular_in_place(&mut x),
    }
    array(x.as_ref())
}

/// A⁻¹·B or A⁻ᴴ·B.
pub(super) fn solve<T: Number>(is_adjoint: bool, a: &Shared<T>, b: &Shared<T>) -> ArrayD<T> {
    let a = match is_adjoint {
        true => adjoint(a),
        false => matrix(a),
    };
    let found = usable(a).map(|a| a.partial_piv_lu());
    let is_regular = |u: MatRef<'_, T>| (0..u.nrows()).all(|i| u[(i, i)] != zero());
    match found.filter(|found| is_regular(found.U())) {
        Some(found) => array(found.solve(matrix(b)).as_ref()),
        None => nans(b.shape()),
    }
}

/// det A / |det A| and ln |det A|.
pub(super) fn log_determinant<T: Number>(a: &Shared<T>) -> (T, f64) {
    if a.is_empty() {
        return (from_real(&1.0), 0.0);
    }
    let Some(found) = usable(matrix(a)).map(|a| a.partial_piv_lu()) else {
        return (nan(), f64::NAN);
    };
    let pivots: Vec<T> = (0..a.shape()[0]).map(|i| found.U()[(i, i)]).collect();
    if pivots.contains(&zero()) {
        return (zero(), f64::NEG_INFINITY);
    }
    let (rows, _) = found.P().arrays();
    let sign = from_real(&if is_odd(rows) { -1.0 } else { 1.0 });
    let sign = pivots.iter().fold(sign, |sign, pivot| sign * phase(pivot));
    (sign, pivots.iter().map(|pivot| abs(pivot).ln()).sum())
}

/// Whether a permutation takes an odd number of exchanges.
fn is_odd(permutation: &[usize]) -> bool {
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

/// Of each column, the component that is made real and positive: the first of the largest ones.
fn leading<T: Number>(v: MatRef<'_, T>) -> Vec<T> {
    let columns = v.col_iter().map(|column| {
        let largest = column.iter().map(|x| abs(x)).fold(0.0, f64::max);
        let mut large = column.iter().filter(|x| abs(*x) >= NEARLY * largest);
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
        size => *x / from_real::<T>(&size),
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
        half * (a[[i, j]] + conj(&a[[j, i]]))
    })
}

/// The matrix, if it has elements, and all are finite. Of no elements, NaN is right everywhere.
fn usable<T: Number>(a: Mat<T>) -> Option<Mat<T>> {
    let all_are = a
        .col_iter()
        .all(|column| column.iter().all(|x| is_finite(x)));
    (all_are && a.nrows() > 0 && a.ncols() > 0).then_some(a)
}

fn array<T: Number>(a: MatRef<'_, T>) -> ArrayD<T> {
    Array2::from_shape_fn((a.nrows(), a.ncols()), |(i, j)| a[(i, j)]).into_dyn()
}

fn nans<T: Number>(dims: &[usize]) -> ArrayD<T> {
    ArrayD::from_elem(IxDyn(dims), nan())
}
