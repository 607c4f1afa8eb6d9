//! The determinant and its derivatives are polynomials: right for matrices of every rank and size.

use num_complex::Complex64;
use tidu::Function;
use tidu_tensor::{Cofactors, Expr, Tape, Tensor, TensorOp, Value, function, types};

use super::{KINDS, Matrix, all, case, gradient, hvp, matrix, of_kind, plain};
use crate::support::{Kind, assert_near};

/// The determinant by the rule of Leibniz, of a polynomial in t of each element: the coefficients of the result.
fn leibniz(
    rows: &[usize],
    columns: &[usize],
    element: &dyn Fn(usize, usize) -> Vec<Complex64>,
) -> Vec<Complex64> {
    let [first, rest @ ..] = rows else {
        return vec![Complex64::ONE];
    };
    let mut sum = vec![Complex64::ZERO; 8];
    for (at, &column) in columns.iter().enumerate() {
        let others: Vec<usize> = columns
            .iter()
            .copied()
            .filter(|&other| other != column)
            .collect();
        let sign = if at % 2 == 0 { 1.0 } else { -1.0 };
        let minor = leibniz(rest, &others, element);
        for (i, x) in element(*first, column).iter().enumerate() {
            for (j, y) in minor.iter().enumerate().filter(|(j, _)| i + j < 8) {
                sum[i + j] += sign * x * y;
            }
        }
    }
    sum
}

/// det (a + t·m) as a polynomial of t.
fn along(a: &Matrix, m: &Matrix) -> Vec<Complex64> {
    let all: Vec<usize> = (0..a.nrows()).collect();
    leibniz(&all, &all, &|i, j| vec![a[[i, j]], m[[i, j]]])
}

/// The derivatives of order 0 to 4 of det (a + t·m) at t = 0, by the rules, in forward mode.
fn derivatives(a: &Tensor, m: &Tensor) -> Vec<Complex64> {
    let inputs = [("t", types::real([]))];
    let f = function(inputs, |[t]| {
        let [a, m] = [a, m].map(|x| Expr::from(x.clone()));
        [(a + m * t).determinant()]
    });
    let mut f: Function<TensorOp> = f.unwrap();
    let mut found = Vec::new();
    for _ in 0..5 {
        let value = f.compile().call(&[0.0.into()]).unwrap().pop().unwrap();
        let parts = crate::support::coordinates(&value);
        found.push(Complex64::new(
            parts[0],
            parts.get(1).copied().unwrap_or_default(),
        ));
        let jvp = f.jvp("t").unwrap();
        f = function([("t", types::real([]))], |[t]| {
            [Expr::call(&jvp, &[t, 1.0.into()]).unwrap().pop().unwrap()]
        })
        .unwrap();
    }
    found
}

/// A matrix of n rows and of some rank, of small integers.
fn of_rank(seed: u64, kind: Kind, n: usize, rank: usize) -> Tensor {
    let whole = |dims| {
        matrix(&plain(seed + dims as u64, kind, [n, n]))
            .mapv(|z| Complex64::new((3.0 * z.re).round(), (3.0 * z.im).round()))
    };
    let [left, right] = [whole(1), whole(2)];
    let few = Matrix::from_shape_fn([n, n], |(i, j)| match j < rank {
        true => left[[i, j]],
        false => Complex64::ZERO,
    });
    of_kind(kind, &few.dot(&right))
}

#[test]
fn derivatives_of_all_orders_are_those_of_the_polynomial() {
    for kind in KINDS {
        for n in 1..=5 {
            for rank in 0..=n {
                let a = of_rank(31, kind, n, rank);
                let m = of_rank(41, kind, n, n);
                let expected = along(&matrix(&a), &matrix(&m));
                let size = |power: usize| {
                    let norm =
                        |x: &Tensor| matrix(x).iter().map(|z| z.norm_sqr()).sum::<f64>().sqrt();
                    1.0 + norm(&a).powi(n.saturating_sub(power) as i32)
                        * norm(&m).powi(power as i32)
                };
                let mut factorial = 1.0;
                for (order, found) in derivatives(&a, &m).into_iter().enumerate() {
                    factorial *= order.max(1) as f64;
                    let expected = expected.get(order).copied().unwrap_or_default() * factorial;
                    let error = (found - expected).norm();
                    assert!(
                        error <= 1e-13 * size(order) * factorial,
                        "{kind:?} {n} of rank {rank}, order {order}: {found}, right {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn cofactors_obey_the_laws() {
    for op in [TensorOp::Determinant, Cofactors::new().into()] {
        for kind in KINDS {
            all([1, 2, 3, 4].map(|n| case(op.clone(), [kind; 2], &[n, n], &[])));
        }
    }
}

#[test]
fn gradients_at_singular_matrices() {
    let det = |x: &Expr| x.determinant();
    assert_eq!(
        gradient(&Tensor::from([[1.0, 2.0], [2.0, 4.0]]), det),
        Tensor::from([[4.0, -2.0], [-2.0, 1.0]])
    );
    assert_eq!(gradient(&Tensor::from([[0.0]]), det), Tensor::from([[1.0]]));
    assert_eq!(
        gradient(&Tensor::full(&[3, 3], 0.0), det),
        Tensor::full(&[3, 3], 0.0)
    );
    assert_eq!(
        gradient(&Tensor::full(&[2, 2], 0.0), det),
        Tensor::full(&[2, 2], 0.0)
    );
    let i = Complex64::I;
    // By a complex number z that is not 0, the gradient is the conjugate of the derivative.
    let f = function([("x", types::complex([2, 2]))], |[x]| {
        [x.determinant().re()]
    })
    .unwrap();
    let singular = Tensor::from([[1.0 + i, 2.0 * i], [1.0.into(), 1.0 + i]]);
    let found = f.grad("x").unwrap().compile().call(&[singular]).unwrap();
    assert_eq!(
        found[0],
        Tensor::from([[1.0 - i, (-1.0).into()], [2.0 * i, 1.0 - i]])
    );
    // A tape.
    let tape = Tape::new();
    let x = tape.var([[1.0, 2.0], [2.0, 4.0]]);
    let slope = x.determinant().gradient(&[&x]).unwrap().remove(0);
    assert_eq!(slope.value(), &Tensor::from([[4.0, -2.0], [-2.0, 1.0]]));
    let second = (slope * &Tensor::from([[1.0, 10.0], [100.0, 1000.0]]).into())
        .sum_all()
        .backward()
        .unwrap();
    assert_eq!(
        second.get(&x).unwrap(),
        Some(&Tensor::from([[1000.0, -100.0], [-10.0, 1.0]]))
    );
    // det x = ε·x₀ᵢ·x₁ⱼ·x₂ₖ: second derivatives of 3×3 are elements, third are signs.
    let x = Tensor::from([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]]);
    let v = Tensor::from([[1.0, 0.0, 0.0], [0.0; 3], [0.0; 3]]);
    let expected = Tensor::from([[0.0, 0.0, 0.0], [0.0, 9.0, -6.0], [0.0, -6.0, 4.0]]);
    assert_eq!(hvp(&x, &v, det), expected);
    let zeros = Tensor::full(&[3, 3], 0.0);
    assert_eq!(hvp(&zeros, &v, det), zeros);
    // Of Σ C∘E₂₂, the derivative along E₀₀ is what x₁₁ has: third derivatives where first and second ones are 0.
    let third = hvp(&zeros, &v, |x| {
        let last = Tensor::from([[0.0; 3], [0.0; 3], [0.0, 0.0, 1.0]]);
        (x.cofactors() * Expr::from(last)).sum_all()
    });
    assert_eq!(third, Tensor::from([[0.0; 3], [0.0, 1.0, 0.0], [0.0; 3]]));
    assert_eq!(
        hvp(&Tensor::from([[0.0]]), &Tensor::from([[1.0]]), det),
        Tensor::from([[0.0]])
    );
}

#[test]
fn gradients_of_large_and_small_matrices() {
    for kind in KINDS {
        for n in [2, 3, 4, 5] {
            let a = matrix(&plain(51, kind, [n, n]));
            let cofactors = matrix(super::value(&of_kind(kind, &a)).cofactors().value());
            let regular = matrix(super::value(&of_kind(kind, &a)).inverse().value());
            let det =
                crate::support::coordinates(super::value(&of_kind(kind, &a)).determinant().value());
            let det = Complex64::new(det[0], det.get(1).copied().unwrap_or_default());
            super::assert_close(&cofactors, &regular.t().mapv(|z| z * det));
            for exponent in [-900, -600, -250, 250, 500] {
                // Rows by one power of two, columns by another, which cancel.
                let [up, down] = [exponent, -exponent].map(|e| f64::from(e).exp2());
                let scaled = Matrix::from_shape_fn([n, n], |(i, j)| {
                    a[[i, j]] * if i == 0 { up } else { 1.0 } * if j == 1 { down } else { 1.0 }
                });
                let found = super::value(&of_kind(kind, &scaled));
                let near = crate::support::coordinates(found.determinant().value());
                assert!(
                    (near[0] - det.re).abs() < 1e-13,
                    "{n} {exponent}: {near:?} {det}"
                );
                let found = matrix(found.cofactors().value());
                let back = Matrix::from_shape_fn([n, n], |(i, j)| {
                    found[[i, j]] * if i == 0 { up } else { 1.0 } * if j == 1 { down } else { 1.0 }
                });
                super::assert_close(&back, &cofactors);
            }
        }
    }
    let det = |x: &Expr| x.determinant();
    let small = Tensor::from([[3e-200, 1e-200], [1e-200, 1e-200]]);
    assert_eq!(super::value(&small).determinant().item(), Some(0.0));
    assert_eq!(
        gradient(&small, det),
        Tensor::from([[1e-200, -1e-200], [-1e-200, 3e-200]])
    );
    let large = Tensor::from([[3e200, 1e200], [1e200, 1e200]]);
    assert_eq!(
        gradient(&large, det),
        Tensor::from([[1e200, -1e200], [-1e200, 3e200]])
    );
    // 4 rows, where cofactors are products of three: 1e-300, and their derivatives products of two: 1e-200.
    let x = Tensor::from(ndarray::Array2::<f64>::from_diag(&ndarray::arr1(&[
        1e-100, 2e-100, 3e-100, 0.0,
    ])));
    let found = gradient(&x, det);
    let mut expected = ndarray::Array2::<f64>::zeros((4, 4));
    expected[[3, 3]] = 6e-300;
    assert!(
        (&matrix(&found) - &expected.mapv(Complex64::from))
            .iter()
            .all(|z| z.norm() < 1e-314)
    );
    let mut v = ndarray::Array2::<f64>::zeros((4, 4));
    v[[0, 0]] = 1.0;
    let found = matrix(&hvp(&x, &v.into(), det));
    expected[[3, 3]] = 6e-200;
    assert!(
        (&found - &expected.mapv(Complex64::from))
            .iter()
            .all(|z| z.norm() < 1e-214),
        "{found}"
    );
    // Of no elements, and of others than numbers.
    let none = Tensor::full(&[0, 0], 1.0);
    assert_eq!(super::value(&none).determinant().item(), Some(1.0));
    assert_near(&gradient(&none, det), &none, 0.0);
    for n in [2, 4] {
        let mut a = ndarray::Array2::<f64>::eye(n);
        a[[0, 1]] = f64::NAN;
        let found = super::value(&a.into());
        assert!(found.determinant().item().unwrap().is_nan());
    }
}
