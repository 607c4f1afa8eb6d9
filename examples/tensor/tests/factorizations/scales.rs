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
