//! Derivatives of factorizations do not depend on the unit that elements are measured in.

use tidu_tensor::{Expr, Tensor, TriangularSolve, Value};

use super::{KINDS, assert_close, gradient, hermitian, matrix, of_kind, plain, positive};

const SCALES: [f64; 8] = [1e-305, 1e-250, 1e-170, 1e-154, 1e154, 1e170, 1e250, 1e305];

/// U·S·Vᴴ = x, Q·R = x, V·diag(w)·Vᴴ = x and L·Lᴴ = x, with weights: the gradient of the sum is the weights.
#[test]
fn products_of_factors_have_the_slope_of_the_matrix() {
    for kind in KINDS {
        for dims in [[2, 2], [3, 3], [4, 2], [2, 4], [1, 3], [3, 1]] {
            let x = matrix(&plain(61, kind, dims));
            let weights = plain(62, kind, dims);
            let on = |y: Expr| (y * Expr::from(weights.clone()).conj()).re().sum_all();
            let by_svd = |x: &Expr| {
                let (u, s, vh) = x.svd();
                on((u * s).matmul(&vh))
            };
            let by_qr = |x: &Expr| {
                let (q, r) = x.qr();
                on(q.matmul(&r))
            };
            for scale in SCALES {
                let x = of_kind(kind, &x.mapv(|z| z * scale));
                assert_close(&matrix(&gradient(&x, by_svd)), &matrix(&weights));
                if dims[0] >= dims[1] {
                    assert_close(&matrix(&gradient(&x, by_qr)), &matrix(&weights));
                }
            }
        }
    }
}

#[test]
fn hermitian_matrices_of_every_size() {
    for kind in KINDS {
        let a = matrix(&hermitian(63, kind, 3));
        let p = matrix(&positive(64, kind, 3));
        let weights = hermitian(65, kind, 3);
        let on = |y: Expr| (y * Expr::from(weights.clone()).conj()).re().sum_all();
        let by_eigh = |x: &Expr| {
            let (w, v) = x.eigh();
            on((v.clone() * w).matmul(&v.t().conj()))
        };
        let by_cholesky = |x: &Expr| {
            let l = x.cholesky();
            on(l.matmul(&l.t().conj()))
        };
        for scale in SCALES {
            let x = of_kind(kind, &a.mapv(|z| z * scale));
            assert_close(&matrix(&gradient(&x, by_eigh)), &matrix(&weights));
            let x = of_kind(kind, &p.mapv(|z| z * scale));
            assert_close(&matrix(&gradient(&x, by_cholesky)), &matrix(&weights));
        }
        // Where numbers have few digits.
        for scale in [1e-310, 1e-312] {
            let near = |found: &Tensor| {
                let error = matrix(found) - matrix(&weights);
                assert!(error.iter().all(|z| z.norm() < 1e-8), "{scale} {error}");
            };
            near(&gradient(&of_kind(kind, &a.mapv(|z| z * scale)), by_eigh));
            near(&gradient(
                &of_kind(kind, &p.mapv(|z| z * scale)),
                by_cholesky,
            ));
        }
    }
}

/// Singular values and vectors by themselves, the second derivative too: f(c·x) has slope f'(x) / c for vectors.
#[test]
fn vectors_scale_with_their_matrix() {
    for kind in KINDS {
        for dims in [[3, 3], [4, 2], [2, 4]] {
            let x = matrix(&plain(66, kind, dims));
            let [c, d] = [67, 68].map(|seed| plain(seed, kind, dims));
            let f = |x: &Expr| {
                let (u, _, vh) = x.svd();
                let [m, n] = [dims[0], dims[1]];
                let [c, d] = [&c, &d].map(|c| Expr::from(c.clone()));
                let k = m.min(n);
                let of_u = u * c.slice(0, 0..m).slice(1, 0..k);
                let of_v = vh * d.slice(0, 0..k).slice(1, 0..n);
                (of_u.sum_all() + of_v.sum_all()).re()
            };
            let expected = matrix(&gradient(&of_kind(kind, &x), f));
            let along = plain(69, kind, dims);
            let bend = matrix(&super::hvp(&of_kind(kind, &x), &along, f));
            for scale in [1e-150, 1e-140, 1e120, 1e150] {
                let scaled = of_kind(kind, &x.mapv(|z| z * scale));
                let found = matrix(&gradient(&scaled, f)).mapv(|z| z * scale);
                assert_close(&found, &expected);
                let along = of_kind(kind, &matrix(&along).mapv(|z| z * scale));
                let found = matrix(&super::hvp(&scaled, &along, f)).mapv(|z| z * scale);
                let error = (&found - &bend)
                    .iter()
                    .map(|z| z.norm())
                    .fold(0.0, f64::max);
                let size = bend.iter().map(|z| z.norm()).fold(1.0, f64::max);
                assert!(error < 1e-11 * size, "{scale}: {found}, expected {bend}");
            }
        }
    }
}

#[test]
fn solutions_of_every_size() {
    for kind in KINDS {
        let a = matrix(&plain(70, kind, [3, 3]));
        let b = plain(71, kind, [3, 2]);
        let solve = |x: &Expr| (x.solve(&Expr::from(b.clone()))).re().sum_all();
        let triangle = |x: &Expr| {
            let b = Expr::from(b.clone());
            x.triangular_solve(TriangularSolve::upper(), &b)
                .re()
                .sum_all()
        };
        let of = |scale: f64, f: &dyn Fn(&Expr) -> Expr| {
            // A solution is as 1 / scale, and its slope as 1 / scale².
            let x = of_kind(kind, &a.mapv(|z| z * scale));
            matrix(&gradient(&x, f)).mapv(|z| z * scale * scale)
        };
        for scale in [1e-150, 1e-100, 1e100, 1e150] {
            assert_close(&(of(scale, &solve) / 10.0), &(of(1.0, &solve) / 10.0));
            assert_close(&(of(scale, &triangle) / 10.0), &(of(1.0, &triangle) / 10.0));
        }
    }
}

/// The ends of the range: A⁻¹·b, ln |det A| and T⁻¹·b are what they are for numbers near 1.
#[test]
fn solutions_at_the_ends_of_the_range() {
    use num_complex::Complex64;
    use support_near as near;
    use tidu_tensor::Var;

    fn support_near(found: &Tensor, expected: &Tensor) {
        let [found, expected] = [found, expected].map(crate::support::coordinates);
        assert_eq!(found.len(), expected.len());
        for (x, y) in found.iter().zip(&expected) {
            assert!(
                (x - y).abs() <= 1e-14 * y.abs(),
                "{found:?} for {expected:?}"
            );
        }
    }
    let of = |tensor: Tensor| Var::from(tensor);
    for scale in [1e308, 1e-308, 1e200, 1.0] {
        let a = of(Tensor::from(
            ndarray::arr2(&[[scale, scale], [-scale, scale]]).into_dyn(),
        ));
        let b = of(Tensor::from([scale, 0.0]));
        near(a.solve(&b).value(), &Tensor::from([0.5, 0.5]));
        let (sign, log) = a.log_determinant();
        near(sign.value(), &Tensor::from(1.0));
        let expected = 2.0 * scale.ln() + 2.0_f64.ln();
        near(log.value(), &Tensor::from(expected));
        let inverse = a.inverse() * of(Tensor::from(scale));
        let half = ndarray::arr2(&[[0.5, -0.5], [0.5, 0.5]]).into_dyn();
        near(inverse.value(), &Tensor::from(half));
    }
    for size in [1.7e308, 1e-308, 1.0] {
        let z = Complex64::new(size, size);
        let a = of(Tensor::from(ndarray::arr2(&[[z]]).into_dyn()));
        let one = Tensor::from(ndarray::arr2(&[[Complex64::ONE]]).into_dyn());
        near(a.solve(&a).value(), &one);
        let lower = TriangularSolve {
            lower: true,
            unit: false,
            adjoint: false,
        };
        near(a.triangular_solve(lower, &a).value(), &one);
        let (_, log) = a.log_determinant();
        near(log.value(), &Tensor::from(size.ln() + 0.5 * 2.0_f64.ln()));
    }
}

/// A gap between eigenvalues that is larger than any number.
#[test]
fn gaps_beyond_the_range() {
    let x = Tensor::new(vec![2, 2], vec![1e308, 0.0, 0.0, -1e308]).unwrap();
    let by_eigh = |x: &Expr| {
        let (w, v) = x.eigh();
        let product = (v.clone() * w).matmul(&v.t());
        product.slice(0, 0..1).slice(1, 1..2).sum_all()
    };
    let expected = Tensor::new(vec![2, 2], vec![0.0, 0.5, 0.5, 0.0]).unwrap();
    assert_close(&matrix(&gradient(&x, by_eigh)), &matrix(&expected));
}

/// Minors are polynomials: of large singular matrices too.
#[test]
fn cofactors_of_large_singular_matrices() {
    let elements = [1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 3.0, 6.0, 9.0].map(|x| 1e160 * x);
    let x = Tensor::new(vec![3, 3], elements.to_vec()).unwrap();
    let found = gradient(&x, |x: &Expr| x.determinant());
    // Rounded, the elements are multiples of each other to the last place only.
    let found = matrix(&found);
    assert!(
        found.iter().all(|z| z.re.abs() <= 1e306 && !z.re.is_nan()),
        "{found}"
    );
}
