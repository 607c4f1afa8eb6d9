//! Determinants and cofactors, and derivatives of these, as the polynomials that they are.
//!
//! By the rule of Leibniz, det A is the sum over permutations p of ±Π A[i, p(i)]. A derivative along matrices M₁, …, Mₖ
//! takes k of the factors from these, in every way, and one along the element that a cofactor belongs to takes another
//! one out. Up to three rows that is what is evaluated. Beyond, A = U·diag(s)·Vᴴ leaves of the factors from A those on
//! the diagonal: sums over k + 1 rows, with products of all other s, are left (of the cofactors themselves, adj A =
//! det (U·Vᴴ)·V·adj diag(s)·Uᴴ). Nothing is divided by.
//!
//! G. W. Stewart, On the adjugate matrix (1998). The determinant of JAX has, by cofactors too, the first derivative.

use faer::Mat;
use faer::traits::math_utils::{abs, conj, from_real, is_finite, nan, real, zero};
use libm::frexp;
use ndarray::{Array2, Ix2, arr0};

use super::values::{Number, excess, is_odd, sign_and_pivots, usable};
use crate::context::Args;
use crate::tensor::{Shared, Tensor};

/// How many rows are few enough for all permutations.
const FEW: usize = 3;

/// det A
pub(super) fn determinant<T: Number>(x: &mut Args<'_, '_>) -> Vec<Tensor> {
    let a = T::of(x, 0);
    let y = match balanced(&a) {
        Some(balanced) => determinant_of(&balanced),
        None if a.is_empty() => from_real(&1.0),
        None => nan(),
    };
    vec![x.fresh(arr0(y).into_dyn())]
}

fn determinant_of<T: Number>(a: &Balanced<T>) -> T {
    let (sign, pivots) = sign_and_pivots(&a.matrix);
    // Those after a pivot 0 are NaN.
    if pivots.contains(&zero()) {
        return zero();
    }
    let product = pivots
        .iter()
        .fold(Scaled::one(), |y, pivot| y.times(abs(pivot)));
    let exponent = product.exponent + a.exponent();
    times_power_of_two(sign * from_real::<T>(&product.number), exponent)
}

/// Dᵏ C(A)[M₁, …, Mₖ], of A and the M.
pub(super) fn cofactors<T: Number>(x: &mut Args<'_, '_>) -> Vec<Tensor> {
    let a = T::of(x, 0);
    let along: Vec<Shared<T>> = (1..x.len()).map(|at| T::of(x, at)).collect();
    let n = a.shape()[0];
    let found = match n {
        0..=FEW => {
            let along: Vec<Array2<T>> = along.iter().map(of_two_axes).collect();
            Some(by_permutations_in_range(&of_two_axes(&a), &along))
        }
        _ => by_singular_values(&a, &along),
    };
    let found = found.unwrap_or_else(|| Array2::from_elem((n, n), nan()));
    vec![x.fresh(found.into_dyn())]
}

/// [`by_permutations`], with an A nearer to 1 where terms overflow: their sum, a polynomial of degree n - 1 - k in A,
/// need not.
fn by_permutations_in_range<T: Number>(a: &Array2<T>, along: &[Array2<T>]) -> Array2<T> {
    let found = by_permutations(a, along);
    let exponent = excess(a.iter(), 250);
    if exponent <= 0 || found.iter().all(|y| is_finite(y)) {
        return found;
    }
    let degree = (a.nrows() as i64 - 1 - along.len() as i64).max(0);
    let small = a.mapv(|x| times_power_of_two(x, -exponent));
    let found = by_permutations(&small, along);
    found.mapv(|y| times_power_of_two(y, exponent * degree))
}

/// The sum over all permutations, and over all choices of a row for the cofactor and of one for each M.
fn by_permutations<T: Number>(a: &Array2<T>, along: &[Array2<T>]) -> Array2<T> {
    let n = a.nrows();
    let mut y = Array2::from_elem((n, n), zero::<T>());
    let permutations = arrangements(n, n);
    for_each_arrangement(n, 1 + along.len(), |rows| {
        for columns in &permutations {
            let of_along = rows[1..].iter().zip(along);
            let mut term = sign_of::<T>(columns);
            for (&row, m) in of_along {
                term *= m[[row, columns[row]]];
            }
            for row in (0..n).filter(|row| !rows.contains(row)) {
                term *= a[[row, columns[row]]];
            }
            let at = [rows[0], columns[rows[0]]];
            y[at] += term;
        }
    });
    y
}

/// `None` where there are no singular values.
fn by_singular_values<T: Number>(a: &Shared<T>, along: &[Shared<T>]) -> Option<Array2<T>> {
    let n = a.shape()[0];
    let order = along.len();
    let balanced = balanced(a)?;
    let along: Vec<(Array2<T>, i64)> = along
        .iter()
        .map(|m| balanced.direction(m))
        .collect::<Option<_>>()?;
    if order + 1 > n {
        return Some(Array2::from_elem((n, n), zero()));
    }
    let found = balanced.matrix.thin_svd().ok()?;
    let s = found.S().column_vector();
    let s: Vec<f64> = (0..n).map(|i| real(&s[i])).collect();
    let [u, v] = [found.U(), found.V()].map(|v| Array2::from_shape_fn((n, n), |(i, j)| v[(i, j)]));
    let [uh, vt] = [u.t().mapv(|z| conj(&z)), v.t().to_owned()];
    let inside: Vec<Array2<T>> = along.iter().map(|(m, _)| uh.dot(m).dot(&v)).collect();
    // The largest product of n - k - 1 singular values, which descend.
    let rest = |rows: &[usize]| {
        let others = (0..n).filter(|row| !rows.contains(row));
        others.fold(Scaled::one(), |y, row| y.times(s[row]))
    };
    let last: Vec<usize> = (n - 1 - order..n).collect();
    let largest = rest(&last).exponent;
    let mut y = Array2::from_elem((n, n), zero::<T>());
    let permutations = arrangements(1 + order, 1 + order);
    for_each_arrangement(n, 1 + order, |rows| {
        let rest = rest(rows);
        let rest = times_power_of_two(rest.number, rest.exponent - largest);
        for places in &permutations {
            let mut term = sign_of::<T>(places) * from_real::<T>(&rest);
            for (at, m) in inside.iter().enumerate() {
                term *= m[[rows[at + 1], rows[places[at + 1]]]];
            }
            let at = [rows[0], rows[places[0]]];
            y[at] += term;
        }
    });
    let [of_u, of_v] = [&u, &v].map(|v| {
        let matrix = Mat::from_fn(n, n, |i, j| v[[i, j]]);
        sign_and_pivots(&matrix).0
    });
    let turned = u.mapv(|z| conj(&z)).dot(&y).dot(&vt);
    let phase = of_u * conj(&of_v);
    let exponent =
        largest + balanced.exponent() + along.iter().map(|(_, exponent)| exponent).sum::<i64>();
    Some(Array2::from_shape_fn((n, n), |(i, j)| {
        let exponent = exponent - balanced.rows[i] - balanced.columns[j];
        times_power_of_two(phase * turned[[i, j]], exponent)
    }))
}

/// A matrix with rows and columns of about one size, and the powers of two that these were divided by: what is small
/// in some of them is then not lost beside what is large in others.
struct Balanced<T: Number> {
    matrix: Mat<T>,
    rows: Vec<i64>,
    columns: Vec<i64>,
}

impl<T: Number> Balanced<T> {
    /// That of the determinant.
    fn exponent(&self) -> i64 {
        self.rows.iter().chain(&self.columns).sum()
    }

    /// A change of the matrix, divided likewise, and by a power of two of its own, which is returned.
    fn direction(&self, m: &Shared<T>) -> Option<(Array2<T>, i64)> {
        let m = of_two_axes(m);
        let less = |i: usize, j: usize| self.rows[i] + self.columns[j];
        let mut largest: Option<i64> = None;
        for ((i, j), z) in m.indexed_iter() {
            if !is_finite(z) {
                return None;
            }
            if *z != zero() {
                let exponent = exponent_of(z) - less(i, j);
                largest = Some(largest.map_or(exponent, |largest| largest.max(exponent)));
            }
        }
        let own = largest.unwrap_or(0);
        let divided = Array2::from_shape_fn(m.dim(), |(i, j)| {
            times_power_of_two(m[[i, j]], -less(i, j) - own)
        });
        Some((divided, own))
    }
}

/// `None` for a matrix that has no elements, or some that are not finite.
fn balanced<T: Number>(a: &Shared<T>) -> Option<Balanced<T>> {
    let n = a.shape()[0];
    let mut matrix = usable(Mat::from_fn(n, n, |i, j| a[[i, j]]))?;
    let largest = |elements: &mut dyn Iterator<Item = T>| {
        let exponents = elements.filter(|z| *z != zero()).map(|z| exponent_of(&z));
        exponents.max().unwrap_or(0)
    };
    let mut rows = Vec::with_capacity(n);
    for i in 0..n {
        let exponent = largest(&mut (0..n).map(|j| matrix[(i, j)]));
        (0..n).for_each(|j| matrix[(i, j)] = times_power_of_two(matrix[(i, j)], -exponent));
        rows.push(exponent);
    }
    let mut columns = Vec::with_capacity(n);
    for j in 0..n {
        let exponent = largest(&mut (0..n).map(|i| matrix[(i, j)]));
        (0..n).for_each(|i| matrix[(i, j)] = times_power_of_two(matrix[(i, j)], -exponent));
        columns.push(exponent);
    }
    Some(Balanced {
        matrix,
        rows,
        columns,
    })
}

/// A product of numbers that are not negative, of any size: number·2^exponent.
#[derive(Clone, Copy)]
struct Scaled {
    number: f64,
    exponent: i64,
}

impl Scaled {
    fn one() -> Self {
        Self {
            number: 1.0,
            exponent: 0,
        }
    }

    fn times(self, factor: f64) -> Self {
        let (factor, of_factor) = frexp(factor);
        let (number, of_product) = frexp(self.number * factor);
        let exponent = self.exponent + i64::from(of_factor) + i64::from(of_product);
        Self { number, exponent }
    }
}

/// e, for a finite number of a size between 2ᵉ⁻¹ and 2ᵉ, which may be more than the largest number.
fn exponent_of<T: Number>(z: &T) -> i64 {
    const ASIDE: i64 = 100;
    let size = abs(z);
    match size > 1.0 {
        true => i64::from(frexp(abs(&times_power_of_two(*z, -ASIDE))).1) + ASIDE,
        false => i64::from(frexp(size).1),
    }
}

/// x·2ᵉ
pub(super) fn times_power_of_two<T: Number>(x: T, exponent: i64) -> T {
    // Beyond, everything is 0 or infinite.
    const FAR: i64 = 5000;
    const STEP: i64 = 1000;
    let mut rest = exponent.clamp(-FAR, FAR);
    let mut y = x;
    while rest != 0 {
        let step = rest.clamp(-STEP, STEP);
        y *= from_real::<T>(&(step as f64).exp2());
        rest -= step;
    }
    y
}

/// ±1
fn sign_of<T: Number>(permutation: &[usize]) -> T {
    from_real(&if is_odd(permutation) { -1.0 } else { 1.0 })
}

/// Every way to choose k of n, one after another.
fn arrangements(n: usize, k: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    for_each_arrangement(n, k, |chosen| all.push(chosen.to_vec()));
    all
}

/// As if counting with k digits of base n, without the numbers in which a digit repeats.
fn for_each_arrangement(n: usize, k: usize, mut f: impl FnMut(&[usize])) {
    if k > n {
        return;
    }
    let mut chosen: Vec<usize> = (0..k).collect();
    loop {
        f(&chosen);
        // The last digit that can be raised to one that is free, and after it the least ones.
        let raised = (0..k).rev().find_map(|at| {
            let next = (chosen[at] + 1..n).find(|next| !chosen[..at].contains(next))?;
            Some((at, next))
        });
        let Some((at, next)) = raised else {
            return;
        };
        chosen.truncate(at);
        chosen.push(next);
        for free in 0..n {
            if chosen.len() < k && !chosen.contains(&free) {
                chosen.push(free);
            }
        }
    }
}

fn of_two_axes<T: Number>(a: &Shared<T>) -> Array2<T> {
    let a = a.to_owned().into_dimensionality::<Ix2>();
    a.unwrap_or_else(|error| panic!("types forbid it: {error}"))
}
