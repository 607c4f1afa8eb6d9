//! Factorizations and solutions of linear equations: they obey the laws, give back the matrix, keep to their gauge,
//! and say what is wrong.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod determinants;
mod scales;

use std::error::Error;

use crate::support::{Kind, Kind::Complex, Kind::Real, assert_near, laws, tensor};
use ndarray::{Array1, Array2, Axis, Ix2};
use num_complex::Complex64;
use tidu::ValueType;
use tidu::laws::{Case, Laws, Random};
use tidu_tensor::TensorOp::{self, *};
use tidu_tensor::{Expr, Solve, Tape, Tensor, TriangularSolve, Value, Var, function, types};

type Matrix = Array2<Complex64>;

const KINDS: [Kind; 2] = [Real, Complex];

/// A matrix with well separated singular values, eigenvalues of its Hermitian part and pivots, all positive.
fn spread(random: &mut Random, kind: Kind, dims: &[usize]) -> Tensor {
    let noise = matrix(&tensor(random, kind, dims, -0.4, 0.4));
    let spread = Array2::from_shape_fn(noise.dim(), |(i, j)| {
        let size = if i == j { 1.5 + 1.5 * i as f64 } else { 0.0 };
        noise[[i, j]] + size
    });
    of_kind(kind, &spread)
}

/// A matrix without structure, of full rank.
fn plain(seed: u64, kind: Kind, dims: [usize; 2]) -> Tensor {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    };
    let numbers = Array2::from_shape_simple_fn(dims, || Complex64::new(draw(), draw()));
    of_kind(kind, &numbers)
}

fn of_kind(kind: Kind, matrix: &Matrix) -> Tensor {
    match kind {
        Real => matrix.mapv(|z| z.re).into(),
        Complex => matrix.clone().into(),
    }
}

fn matrix(tensor: &Tensor) -> Matrix {
    let complex = match tensor {
        Tensor::Real(array) => array.mapv(Complex64::from),
        Tensor::Complex(array) => array.to_owned(),
        Tensor::Index(_) => panic!("indices"),
    };
    complex.into_dimensionality::<Ix2>().unwrap()
}

fn h(a: &Matrix) -> Matrix {
    a.t().mapv(|z| z.conj())
}

/// A diagonal matrix of real numbers.
fn diagonal(numbers: &Tensor) -> Matrix {
    let numbers = numbers.elements::<f64>().unwrap();
    let numbers: Array1<Complex64> = numbers.into_iter().map(Complex64::from).collect();
    Array2::from_diag(&numbers)
}

fn value(tensor: &Tensor) -> Var<'static> {
    tensor.clone().into()
}

#[track_caller]
fn assert_close(found: &Matrix, expected: &Matrix) {
    assert_eq!(found.dim(), expected.dim());
    let error = (found - expected)
        .iter()
        .map(|z| z.norm())
        .fold(0.0, f64::max);
    assert!(error < 1e-13, "found {found}, expected {expected}");
}

fn all_are(tensor: &Tensor, is: impl Fn(f64) -> bool) -> bool {
    crate::support::coordinates(tensor).into_iter().all(is)
}

fn all(cases: impl IntoIterator<Item = Case<TensorOp>>) {
    let laws: Laws<TensorOp> = cases
        .into_iter()
        .fold(laws().points(2).order(2), Laws::case);
    laws.check().assert();
}

/// A case for a matrix, and perhaps a right side of a number of columns.
fn case(
    op: impl Into<TensorOp>,
    kinds: [Kind; 2],
    dims: &[usize],
    columns: &[usize],
) -> Case<TensorOp> {
    let (op, dims) = (op.into(), dims.to_vec());
    let name = format!("{op:?} {kinds:?} {dims:?} {columns:?}");
    let columns = columns.to_vec();
    Case::operation(op, move |random| {
        let matrix = spread(random, kinds[0], &dims);
        let right = columns.iter();
        let right = right.map(|&columns| tensor(random, kinds[1], &[dims[0], columns], -1.0, 1.0));
        let right: Vec<Tensor> = right.collect();
        [vec![matrix], right].concat()
    })
    .named(name)
}

#[test]
fn solutions_obey_the_laws() {
    let triangles = [TriangularSolve::lower(), TriangularSolve::upper()];
    let triangles = triangles.map(|of| [of, of.adjoint(), of.unit(), of.unit().adjoint()]);
    let solves = [false, true].map(|adjoint| TensorOp::from(Solve { adjoint }));
    let ops = triangles.into_iter().flatten().map(TensorOp::from);
    for op in ops.chain(solves) {
        for kinds in KINDS
            .into_iter()
            .flat_map(|left| KINDS.map(|right| [left, right]))
        {
            all([case(op.clone(), kinds, &[2, 2], &[3])]);
        }
        for kind in KINDS {
            all([case(op.clone(), [kind; 2], &[1, 1], &[1])]);
        }
    }
}

#[test]
fn factorizations_of_square_matrices_obey_the_laws() {
    for op in [Cholesky, Eigh, LogDeterminant, Determinant] {
        for kind in KINDS {
            all([1, 2, 3].map(|n| case(op.clone(), [kind; 2], &[n, n], &[])));
        }
    }
}

#[test]
fn qr_obeys_the_laws() {
    for kind in KINDS {
        all([[1, 1], [3, 1], [2, 2], [3, 2]].map(|dims| case(Qr, [kind; 2], &dims, &[])));
    }
}

#[test]
fn svd_obeys_the_laws() {
    for kind in KINDS {
        let shapes = [[1, 1], [2, 1], [1, 2], [2, 2], [3, 2], [2, 3]];
        all(shapes.map(|dims| case(Svd, [kind; 2], &dims, &[])));
    }
}

#[test]
fn functions_of_several_factors_obey_the_laws() {
    for kind in KINDS {
        let types = [(
            "a",
            ValueType::new(of_kind(kind, &Matrix::eye(1)).kind(), [2, 2]),
        )];
        let f = function(types, |[a]| {
            let ((q, r), (w, v), (u, s, vh)) = (a.qr(), a.eigh(), a.svd());
            let product = q.matmul(&(vh * w)) + u.matmul(&r.solve(&v));
            [product, r.clone(), s, r]
        });
        let draw = move |random: &mut Random| vec![spread(random, kind, &[2, 2])];
        all([Case::function(format!("{kind:?}"), f.unwrap(), draw)]);
    }
}

#[test]
fn vectors_with_components_of_one_size_obey_the_laws() {
    for kind in KINDS {
        let symmetric = move |random: &mut Random| {
            let z = matrix(&tensor(random, kind, &[1, 1], 0.5, 1.0))[[0, 0]];
            let rows = [[2.0.into(), z], [z.conj(), 2.0.into()]];
            vec![of_kind(
                kind,
                &Array2::from_shape_fn([2, 2], |(i, j)| rows[i][j]),
            )]
        };
        all([Eigh, Svd].map(|op| Case::operation(op, symmetric).named(format!("{kind:?}"))));
    }
}

#[test]
fn factors_give_back_the_matrix() {
    for (seed, kind) in (0..).zip(KINDS) {
        for [m, n] in [
            [1, 1],
            [2, 2],
            [5, 5],
            [40, 40],
            [7, 3],
            [3, 7],
            [1, 4],
            [4, 1],
        ] {
            let x = plain(seed, kind, [m, n]);
            let a = matrix(&x);
            let (u, s, vh) = value(&x).svd();
            let [u, vh] = [&u, &vh].map(|factor| matrix(factor.value()));
            assert_close(&u.dot(&diagonal(s.value())).dot(&vh), &a);
            assert_close(&h(&u).dot(&u), &Matrix::eye(m.min(n)));
            assert_close(&vh.dot(&h(&vh)), &Matrix::eye(m.min(n)));
            let s = s.value().elements::<f64>().unwrap();
            assert!(s.is_sorted_by(|a, b| a >= b) && s.iter().all(|&s| s > 0.0));
            assert_leading(&u);
            if m >= n {
                let (q, r) = value(&x).qr();
                let [q, r] = [&q, &r].map(|factor| matrix(factor.value()));
                assert_close(&q.dot(&r), &a);
                assert_close(&h(&q).dot(&q), &Matrix::eye(n));
                assert_triangular(&r.t().to_owned());
            }
            if m == n {
                square_factors_give_back(&x);
            }
        }
    }
}

fn square_factors_give_back(x: &Tensor) {
    let a = matrix(x);
    let hermitian = (&a + &h(&a)).mapv(|z| 0.5 * z);
    let (w, v) = value(x).eigh();
    let v = matrix(v.value());
    assert_close(&v.dot(&diagonal(w.value())).dot(&h(&v)), &hermitian);
    assert_close(&h(&v).dot(&v), &Matrix::eye(a.nrows()));
    assert!(w.value().elements::<f64>().unwrap().is_sorted());
    assert_leading(&v);

    let positive = a.dot(&h(&a)) + Matrix::eye(a.nrows());
    let kind = if x.kind() == "f64" { Real } else { Complex };
    let l = value(&of_kind(kind, &positive)).cholesky();
    let l = matrix(l.value());
    assert_close(&(l.dot(&h(&l)) / 10.0), &(positive / 10.0));
    assert_triangular(&l);

    let inverse = value(x).inverse();
    let near = matrix(inverse.value()).dot(&a) - Matrix::eye(a.nrows());
    assert!(near.iter().all(|z| z.norm() < 1e-11));
    let product = w
        .value()
        .elements::<f64>()
        .unwrap()
        .into_iter()
        .product::<f64>();
    let determinant = value(&of_kind(kind, &hermitian)).determinant();
    let determinant = crate::support::coordinates(determinant.value());
    assert!((determinant[0] / product - 1.0).abs() < 1e-11);
}

/// 0 above the diagonal, and real and positive on it.
#[track_caller]
fn assert_triangular(l: &Matrix) {
    for ((i, j), z) in l.indexed_iter() {
        assert!(i >= j || *z == Complex64::ZERO, "{l}");
        assert!(i != j || (z.re > 0.0 && z.im == 0.0), "{l}");
    }
}

/// Of each column, the first component that is not much smaller than the largest one is real and positive.
#[track_caller]
fn assert_leading(v: &Matrix) {
    for column in v.columns() {
        let largest = column.iter().map(|z| z.norm()).fold(0.0, f64::max);
        let first = column.iter().find(|z| z.norm() >= 0.45 * largest);
        let first = first.unwrap();
        assert!(first.re > 0.0 && first.im == 0.0, "{column}");
    }
}

#[test]
fn closed_forms() {
    let near = |found: &Var<'_>, expected: Tensor| assert_near(found.value(), &expected, 1e-15);
    let i = Complex64::I;
    let half = 0.5_f64.sqrt();

    near(
        &Var::from(Tensor::from([[4.0, 2.0], [2.0, 5.0]])).cholesky(),
        Tensor::from([[2.0, 0.0], [1.0, 2.0]]),
    );
    let complex = Tensor::from([[4.0.into(), 2.0 * i], [-2.0 * i, 5.0.into()]]);
    let root = [[2.0.into(), 0.0.into()], [-i, 2.0.into()]];
    near(&value(&complex).cholesky(), Tensor::from(root));

    let x = Tensor::from([[3.0, 0.0], [4.0, 5.0]]);
    let (q, r) = value(&x).qr();
    near(&q, Tensor::from([[0.6, -0.8], [0.8, 0.6]]));
    near(&r, Tensor::from([[5.0, 4.0], [0.0, 3.0]]));
    let (u, s, vh) = value(&x).svd();
    let [short, long] = [1.0, 3.0].map(|x| x / 10.0_f64.sqrt());
    near(&u, Tensor::from([[short, long], [long, -short]]));
    near(&s, Tensor::from([45.0_f64.sqrt(), 5.0_f64.sqrt()]));
    near(&vh, Tensor::from([[half, half], [half, -half]]));

    let (w, v) = Var::from(Tensor::from([[2.0, 1.0], [1.0, 2.0]])).eigh();
    near(&w, Tensor::from([1.0, 3.0]));
    near(&v, Tensor::from([[half, half], [-half, half]]));
    let pauli = Tensor::from([[0.0.into(), -i], [i, 0.0.into()]]);
    let (w, v) = value(&pauli).eigh();
    near(&w, Tensor::from([-1.0, 1.0]));
    near(
        &v,
        Tensor::from([[half.into(), half.into()], [-i * half, i * half]]),
    );

    near(
        &value(&x).solve(&Tensor::from([6.0, 3.0]).into()),
        Tensor::from([2.0, -1.0]),
    );
    near(
        &value(&x).inverse(),
        Tensor::from([[5.0 / 15.0, 0.0], [-4.0 / 15.0, 3.0 / 15.0]]),
    );
    near(
        &Var::from(Tensor::from([[0.0, 2.0], [3.0, 0.0]])).determinant(),
        Tensor::from(-6.0),
    );
    near(
        &value(&pauli).log_determinant().0,
        Tensor::from(Complex64::new(-1.0, 0.0)),
    );

    let full = Var::from(Tensor::from([[2.0, 8.0], [4.0, 5.0]]));
    let b = Var::from(Tensor::from([2.0, 9.0]));
    let solved = |triangle, x: [f64; 2]| near(&full.triangular_solve(triangle, &b), x.into());
    solved(TriangularSolve::lower(), [1.0, 1.0]);
    solved(TriangularSolve::lower().adjoint(), [-2.6, 1.8]);
    solved(TriangularSolve::lower().unit(), [2.0, 1.0]);
    solved(TriangularSolve::upper(), [-6.2, 1.8]);
    solved(TriangularSolve::upper().unit(), [-70.0, 9.0]);
    solved(TriangularSolve::upper().unit().adjoint(), [2.0, -7.0]);
}

/// The gradient by the only input.
fn gradient(x: &Tensor, f: impl Fn(&Expr) -> Expr) -> Tensor {
    let f = function([("x", x.value_type())], |[x]| [f(&x)]).unwrap();
    f.grad("x")
        .unwrap()
        .compile()
        .call(std::slice::from_ref(x))
        .unwrap()
        .remove(0)
}

/// The derivative of the gradient along v.
fn hvp(x: &Tensor, v: &Tensor, f: impl Fn(&Expr) -> Expr) -> Tensor {
    let f = function([("x", x.value_type())], |[x]| [f(&x)]).unwrap();
    let hvp = f.hvp("x").unwrap().compile();
    hvp.call(&[x.clone(), v.clone()]).unwrap().remove(0)
}

fn hermitian(seed: u64, kind: Kind, n: usize) -> Tensor {
    let a = matrix(&plain(seed, kind, [n, n]));
    of_kind(kind, &(&a + &h(&a)))
}

fn positive(seed: u64, kind: Kind, n: usize) -> Tensor {
    let a = matrix(&plain(seed, kind, [n, n]));
    of_kind(kind, &(a.dot(&h(&a)) + Matrix::eye(n)))
}

#[test]
fn log_det_has_the_inverse_for_gradient() {
    fn by_lu<V: Value>(a: &V) -> V {
        a.log_determinant().1
    }
    fn by_cholesky<V: Value>(a: &V) -> V {
        let n = a.dims()[0];
        let unit = V::from(Tensor::from(Array2::<f64>::eye(n)));
        (a.cholesky().re() * unit).sum([1]).ln().sum_all() * 2.0
    }
    for kind in KINDS {
        let (a, t) = (positive(3, kind, 4), hermitian(4, kind, 4));
        let inverse = matrix(value(&a).inverse().value());
        let curvature = -inverse.dot(&matrix(&t)).dot(&inverse);
        for f in [by_lu::<Expr>, by_cholesky::<Expr>] {
            assert_close(&matrix(&gradient(&a, f)), &inverse);
            assert_close(&matrix(&hvp(&a, &t, f)), &curvature);
        }
    }
}

#[test]
fn log_det_of_any_matrix_has_the_adjoint_of_the_inverse_for_gradient() {
    for kind in KINDS {
        let a = plain(5, kind, [3, 3]);
        let inverse = matrix(value(&a).inverse().value());
        assert_close(
            &matrix(&gradient(&a, |a| a.log_determinant().1)),
            &h(&inverse),
        );
    }
    // ∂det/∂x_ij is a cofactor.
    let a = Tensor::from([[1.0, 2.0], [3.0, 5.0]]);
    let cofactors = Tensor::from([[5.0, -3.0], [-2.0, 1.0]]);
    assert_near(&gradient(&a, |a| a.determinant()), &cofactors, 1e-14);
    let i = Complex64::I;
    let found = Var::from(Tensor::from([[1.0 + i, 2.0.into()], [i, 3.0 - i]])).determinant();
    assert_near(found.value(), &Tensor::from(4.0 + 0.0 * i), 1e-15);
}

#[test]
fn the_adjoint_of_a_solution() {
    for kind in KINDS {
        let [a, b, c] = [[3, 3], [3, 2], [3, 2]].map(|dims| plain(6, kind, dims));
        let inputs = [("a", a.value_type()), ("b", b.value_type())];
        let f = function(inputs, |[a, b]| {
            let x = a.solve(&b);
            [(x * Expr::from(c.clone()).conj()).re().sum_all()]
        });
        let f = f.unwrap().value_and_grad(["a", "b"]).unwrap();
        let found = f.compile().call(&[a.clone(), b.clone()]).unwrap();
        let inverse = matrix(value(&a).inverse().value());
        let x = inverse.dot(&matrix(&b));
        let b_bar = h(&inverse).dot(&matrix(&c));
        assert_close(&matrix(&found[2]), &b_bar);
        assert_close(&matrix(&found[1]), &-b_bar.dot(&h(&x)));
    }
}

#[test]
fn second_derivatives_of_solutions() {
    // f = ½·bᴴ·A⁻¹·b has, for Hermitian A and x = A⁻¹·b, the gradient -½·x·xᴴ, and along T, with y = A⁻¹·T·x, the
    // derivative of it ½·(y·xᴴ + x·yᴴ).
    for kind in KINDS {
        let (a, t) = (positive(7, kind, 3), hermitian(8, kind, 3));
        let b = plain(9, kind, [3, 1]);
        let inverse = matrix(value(&a).inverse().value());
        let x = inverse.dot(&matrix(&b));
        let y = inverse.dot(&matrix(&t)).dot(&x);
        let slope = x.dot(&h(&x)).mapv(|z| -0.5 * z);
        let curvature = (y.dot(&h(&x)) + x.dot(&h(&y))).mapv(|z| 0.5 * z);
        let by_lu = |a: &Expr| {
            let b = Expr::from(b.clone());
            let energy = (b.conj() * a.solve(&b)).re();
            energy.sum_all() * 0.5
        };
        let by_cholesky = |a: &Expr| {
            let half = a
                .cholesky()
                .triangular_solve(TriangularSolve::lower(), &b.clone().into());
            half.abs().square().sum_all() * 0.5
        };
        assert_close(&matrix(&gradient(&a, by_lu)), &slope);
        assert_close(&matrix(&hvp(&a, &t, by_lu)), &curvature);
        assert_close(&matrix(&gradient(&a, by_cholesky)), &slope);
        assert_close(&matrix(&hvp(&a, &t, by_cholesky)), &curvature);
    }
}

#[test]
fn the_smallest_eigenvalue_has_the_projector_for_gradient() {
    for kind in KINDS {
        let a = hermitian(10, kind, 4);
        let (w, v) = value(&a).eigh();
        let v = matrix(v.value());
        let smallest = v.column(0).insert_axis(Axis(1)).to_owned();
        let found = gradient(&a, |a| a.eigh().0.slice(0, 0..1).sum_all());
        assert_close(&matrix(&found), &smallest.dot(&h(&smallest)));

        // Along T, of second order: 2·Σ |vₖᴴ·T·v₀|² / (w₀ - wₖ), from perturbation theory.
        let t = hermitian(11, kind, 4);
        let couplings = h(&v).dot(&matrix(&t)).dot(&smallest);
        let w = w.value().elements::<f64>().unwrap();
        let terms = (1..4).map(|k| 2.0 * couplings[[k, 0]].norm_sqr() / (w[0] - w[k]));
        let curvature = matrix(&hvp(&a, &t, |a| a.eigh().0.slice(0, 0..1).sum_all()));
        let along = (curvature * matrix(&t).mapv(|z| z.conj())).sum().re;
        assert!((along - terms.sum::<f64>()).abs() < 1e-12);
    }
}

/// |c₀ᴴ·v·vᴴ·c₁|², of a vector v in a column.
fn projection<V: Value>(v: &V, [c0, c1]: &[Tensor; 2]) -> V {
    let on = |c: &Tensor| (v.conj() * V::from(c.clone())).sum_all().abs().square();
    on(c0) * on(c1)
}

/// The projector on the eigenvector of a Hermitian 2×2 matrix with the larger eigenvalue, from its coefficients.
fn larger_projector(a: &Matrix) -> Matrix {
    let mean = 0.5 * (a[[0, 0]] + a[[1, 1]]).re;
    let half_gap = (0.25 * (a[[0, 0]] - a[[1, 1]]).re.powi(2) + a[[0, 1]].norm_sqr()).sqrt();
    let smaller = Matrix::eye(2).mapv(|z| z * (mean - half_gap));
    (a - &smaller).mapv(|z| z / (2.0 * half_gap))
}

#[test]
fn invariant_functions_of_vectors_have_the_slopes_of_closed_forms() {
    for kind in KINDS {
        let c = [12, 13].map(|seed| plain(seed, kind, [2, 1]));
        let on = |p: &Matrix| -> f64 {
            let on = |c: &Tensor| h(&matrix(c)).dot(p).dot(&matrix(c))[[0, 0]].re;
            on(&c[0]) * on(&c[1])
        };
        let hermitian = hermitian(14, kind, 2);
        let found = gradient(&hermitian, |a| projection(&a.eigh().1.slice(1, 1..2), &c));
        assert_slopes(&hermitian, &found, |a| {
            on(&larger_projector(&(a + h(a)).mapv(|z| 0.5 * z)))
        });
        for dims in [[2, 2], [2, 3]] {
            let x = plain(15, kind, dims);
            let found = gradient(&x, |a| projection(&a.svd().0.slice(1, 0..1), &c));
            assert_slopes(&x, &found, |a| on(&larger_projector(&a.dot(&h(a)))));
        }
        for dims in [[2, 2], [3, 2]] {
            let x = plain(16, kind, dims);
            let found = gradient(&x, |a| projection(&a.svd().2.t().conj().slice(1, 0..1), &c));
            assert_slopes(&x, &found, |a| on(&larger_projector(&h(a).dot(a))));
        }
        // Both sides at once, on which the phase between them has an influence: Re c₀ᴴ·u·vᴴ·c₁.
        let x = plain(17, kind, [2, 2]);
        let found = gradient(&x, |a| {
            let (u, _, vh) = a.svd();
            let [c0, c1] = c.clone().map(Expr::from);
            let left = (u.slice(1, 0..1) * c0.conj()).sum_all();
            let right = vh.slice(0, 0..1).matmul(&c1).sum_all();
            (left * right).re()
        });
        assert_slopes(&x, &found, |a| {
            // u·vᴴ = u·uᴴ·A / s
            let p = larger_projector(&a.dot(&h(a)));
            let s = (p.dot(&a.dot(&h(a)))).diag().sum().re.sqrt();
            h(&matrix(&c[0])).dot(&p).dot(a).dot(&matrix(&c[1]))[[0, 0]].re / s
        });
    }
}

/// Holds a gradient against central differences of a function of plain numbers.
#[track_caller]
fn assert_slopes(x: &Tensor, gradient: &Tensor, f: impl Fn(&Matrix) -> f64) {
    let (a, gradient) = (matrix(x), matrix(gradient));
    let directions = [Complex64::ONE, Complex64::I];
    let directions = &directions[..if x.kind() == "f64" { 1 } else { 2 }];
    for (at, _) in a.indexed_iter() {
        for direction in directions {
            let moved = |step: f64| {
                let mut a = a.clone();
                a[at] += step * direction;
                f(&a)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let slope = (direction.conj() * gradient[at]).re;
            assert!(
                (difference - slope).abs() < 1e-8 * (1.0 + slope.abs()),
                "{difference} {slope}"
            );
        }
    }
}

#[test]
fn eigenvalues_alone_take_no_work_for_eigenvectors() -> Result<(), Box<dyn Error>> {
    let f = function([("a", types::real([3, 3]))], |[a]| {
        [a.eigh().0.square().sum_all()]
    })?;
    let slope = f.grad("a")?.to_string();
    assert!(!slope.contains("div"), "{slope}");
    let both = function([("a", types::real([3, 3]))], |[a]| [a.eigh().1.sum_all()])?;
    assert!(both.grad("a")?.to_string().contains("div"));
    Ok(())
}

#[test]
fn the_sum_of_equal_eigenvalues_has_a_derivative_and_vectors_have_none() {
    let two = Tensor::from([[2.0, 0.0], [0.0, 2.0]]);
    let unit = Tensor::from([[1.0, 0.0], [0.0, 1.0]]);
    assert_near(&gradient(&two, |a| a.eigh().0.sum_all()), &unit, 1e-15);
    assert_near(&gradient(&two, |a| a.svd().1.sum_all()), &unit, 1e-15);
    let tape = Tape::new();
    let leaf = tape.var(two.clone());
    let slope = leaf.eigh().0.sum_all().backward().unwrap();
    assert_near(slope.get(&leaf).unwrap().unwrap(), &unit, 1e-15);
    let weights = Tensor::from([[1.0, 2.0], [4.0, 8.0]]);
    let along = |v: &Expr| (v * Expr::from(weights.clone())).sum_all();
    assert!(!all_are(
        &gradient(&two, |a| along(&a.eigh().1)),
        f64::is_finite
    ));
    assert!(!all_are(
        &gradient(&two, |a| along(&a.svd().0)),
        f64::is_finite
    ));
    assert!(!all_are(
        &gradient(&two, |a| along(&a.svd().2)),
        f64::is_finite
    ));
    assert!(!all_are(
        &hvp(&two, &weights, |a| a.eigh().0.square().sum_all()),
        f64::is_finite
    ));
}

#[test]
fn matrices_without_full_rank() {
    let flat = Tensor::from([[1.0, 1.0], [0.0, 0.0]]);
    let (q, r) = value(&flat).qr();
    assert_eq!(r.value(), &Tensor::from([[1.0, 1.0], [0.0, 0.0]]));
    assert!(all_are(q.value(), f64::is_finite));
    assert!(!all_are(
        &gradient(&flat, |a| a.qr().0.sum_all()),
        f64::is_finite
    ));

    // A singular value 0 leaves derivatives of a square matrix as they are, and those of others without value.
    assert!(all_are(
        &gradient(&flat, |a| a.svd().0.sum_all()),
        f64::is_finite
    ));
    let zeros = Tensor::from([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]);
    assert!(!all_are(
        &gradient(&zeros, |a| a.svd().0.sum_all()),
        f64::is_finite
    ));
    assert_eq!(value(&zeros).svd().1.value(), &Tensor::from([1.0, 0.0]));

    let singular = Tensor::from([[1.0, 2.0], [2.0, 4.0]]);
    let b = Var::from(Tensor::from([1.0, 1.0]));
    assert!(all_are(value(&singular).solve(&b).value(), f64::is_nan));
    assert!(all_are(value(&singular).inverse().value(), f64::is_nan));
    let (sign, log) = value(&singular).log_determinant();
    assert_eq!(
        [sign.item(), log.item()],
        [Some(0.0), Some(f64::NEG_INFINITY)]
    );
    assert_eq!(value(&singular).determinant().item(), Some(0.0));
    assert!(all_are(
        &gradient(&singular, |a| a.log_determinant().1),
        f64::is_nan
    ));
    let with_zero = value(&flat).triangular_solve(TriangularSolve::upper(), &b);
    assert!(all_are(with_zero.value(), f64::is_nan));
    let unit = value(&flat).triangular_solve(TriangularSolve::upper().unit(), &b);
    assert_eq!(unit.value(), &Tensor::from([0.0, 1.0]));
}

#[test]
fn nothing_is_read_outside_of_the_triangle() {
    let nan = f64::NAN;
    let tape = Tape::new();
    let t = tape.var([[2.0, nan], [1.0, 4.0]]);
    let x = t.triangular_solve(TriangularSolve::lower(), &Tensor::from([2.0, 5.0]).into());
    assert_eq!(x.value(), &Tensor::from([1.0, 1.0]));
    let slope = x.sum_all().backward().unwrap();
    // -T⁻ᴴ·c·xᴴ, in the triangle
    let expected = Tensor::from([[-0.375, 0.0], [-0.25, -0.25]]);
    assert_eq!(slope.get(&t).unwrap(), Some(&expected));
}

#[test]
fn what_has_no_factorization_is_nan() {
    let indefinite = Tensor::from([[1.0, 2.0], [2.0, 1.0]]);
    let l = value(&indefinite).cholesky();
    assert_eq!(l.value().dims(), [2, 2]);
    assert!(all_are(l.value(), f64::is_nan));
    let slope = gradient(&indefinite, |a| a.cholesky().sum_all());
    assert!(all_are(&slope, f64::is_nan));
    for bad in [f64::NAN, f64::INFINITY] {
        for kind in KINDS {
            let mut a = matrix(&plain(18, kind, [3, 3]));
            a[[1, 2]] = bad.into();
            let x = value(&of_kind(kind, &a));
            let ((q, r), (w, v), (u, s, vh)) = (x.qr(), x.eigh(), x.svd());
            let results = [
                x.cholesky(),
                q,
                r,
                w,
                v,
                u,
                s,
                vh,
                x.inverse(),
                x.log_determinant().1,
            ];
            assert!(results.iter().all(|y| all_are(y.value(), f64::is_nan)));
            let right = value(&plain(19, kind, [3, 2]));
            let solved = x.triangular_solve(TriangularSolve::upper(), &right);
            assert!(!all_are(solved.value(), f64::is_finite));
        }
    }
}

#[test]
fn elements_far_from_one() {
    for kind in KINDS {
        let plain = matrix(&plain(21, kind, [4, 4]));
        let hermitian = (&plain + &h(&plain)).mapv(|z| 0.5 * z);
        let positive = plain.dot(&h(&plain)) + Matrix::eye(4);
        let run = |scale: f64| {
            let x = value(&of_kind(kind, &plain.mapv(|z| z * scale)));
            let ((q, r), (w, v), (u, s, vh)) = (x.qr(), x.eigh(), x.svd());
            let l = value(&of_kind(kind, &positive.mapv(|z| z * scale))).cholesky();
            let triangle = x.triangular_solve(TriangularSolve::upper(), &x);
            let [inverse, triangle, l] = [x.inverse(), triangle, l].map(|y| matrix(y.value()));
            let log = x.log_determinant().1.item().unwrap() - 4.0 * scale.ln();
            let [q, r, v, u, vh] = [q, r, v, u, vh].map(|factor| matrix(factor.value()));
            let [w, s] = [w, s].map(|factor| diagonal(factor.value()));
            let of_hermitian = v.dot(&w).dot(&h(&v));
            let same = [q.dot(&r), u.dot(&s).dot(&vh), of_hermitian, l.dot(&h(&l))];
            let same = same.map(|a| a.mapv(|z| z / scale));
            (same, inverse.mapv(|z| z * scale), triangle, log)
        };
        for scale in [1e-300, 1e-170, 1e-20, 1e20, 1e170, 1e300] {
            let ([by_qr, by_svd, by_eigh, by_cholesky], inverse, triangle, log) = run(scale);
            assert_close(&by_qr, &plain);
            assert_close(&by_svd, &plain);
            assert_close(&by_eigh, &hermitian);
            assert_close(&by_cholesky, &positive);
            let (_, expected, expected_triangle, expected_log) = run(1.0);
            assert_close(&inverse, &expected);
            assert_close(&triangle, &expected_triangle);
            assert!((log - expected_log).abs() < 1e-12);
        }
        for scale in [0.0, 5e-324, 1e-310, 1e307] {
            run(scale);
        }
    }
}

#[test]
fn matrices_without_elements() {
    for kind in KINDS {
        let none = value(&plain(0, kind, [0, 0]));
        let ((q, r), (w, v), (u, s, vh)) = (none.qr(), none.eigh(), none.svd());
        let results = [none.cholesky(), q, r, w, v, u, s, vh, none.inverse()];
        assert!(results.iter().all(|y| y.value().is_empty()));
        assert_eq!(none.log_determinant().1.item(), Some(0.0));
        let tall = value(&plain(0, kind, [3, 0]));
        assert_eq!(tall.qr().0.dims(), [3, 0]);
        assert_eq!(tall.svd().2.dims(), [0, 0]);
        let solved =
            value(&plain(0, kind, [2, 2])).solve(&tall.t().reshape([0, 3]).t().slice(0, 0..2));
        assert_eq!(solved.dims(), [2, 0]);
    }
}

type Model<'a> = dyn Fn(&Expr, &Expr) -> Expr + 'a;

#[test]
fn shapes_that_do_not_fit_are_said() {
    let text = |f: &Model<'_>, x: ValueType, y: ValueType| {
        let error = function([("x", x), ("y", y)], |[x, y]| [f(&x, &y)]).unwrap_err();
        let text = error.to_string();
        let (place, text) = text.split_once(": ").unwrap();
        assert!(place.contains("factorizations.rs:"), "{place}");
        text.to_string()
    };
    let [wide, deep, vector] = [
        types::real([2, 3]),
        types::real([2, 2, 2]),
        types::real([3]),
    ];
    let square = types::complex([2, 2]);
    let index = types::index([2, 2]);
    let cases: [(&Model<'_>, &ValueType, &ValueType, &str); 10] = [
        (
            &|x, _| x.cholesky(),
            &wide,
            &wide,
            "cholesky of f64[2, 3]: a square matrix is needed, found [2, 3]",
        ),
        (
            &|x, _| x.eigh().1,
            &wide,
            &wide,
            "eigh of f64[2, 3]: a square matrix is needed, found [2, 3]",
        ),
        (
            &|x, _| x.qr().0,
            &wide,
            &wide,
            "qr of f64[2, 3]: a matrix of at least as many rows as columns is needed, found [2, 3]",
        ),
        (
            &|x, _| x.svd().2,
            &deep,
            &wide,
            "svd of f64[2, 2, 2]: operand 0 has 3 axes, and must have 2",
        ),
        (
            &|x, _| x.determinant(),
            &wide,
            &wide,
            "determinant of f64[2, 3]: a square matrix is needed, found [2, 3]",
        ),
        (
            &|x, _| x.inverse(),
            &wide,
            &wide,
            "inverse of f64[2, 3]: a square matrix is needed, found [2, 3]",
        ),
        (
            &|x, y| x.solve(y),
            &square,
            &vector,
            "solve of c128[2, 2] and f64[3]: the right side must have 2 rows as the matrix has, found [3]",
        ),
        (
            &|x, y| x.triangular_solve(TriangularSolve::lower().adjoint().unit(), y),
            &square,
            &deep,
            "triangular_solve of c128[2, 2] and f64[2, 2, 2]: operand 1 has 3 axes, and must have 2",
        ),
        (
            &|x, _| x.cholesky(),
            &index,
            &wide,
            "cholesky of i64[2, 2]: operand 0 holds i64, and must hold numbers (`to_real` makes numbers of indices; `1.0` is a number, and `1` an index)",
        ),
        (
            &|x, y| x.solve(y),
            &square,
            &index,
            "solve of c128[2, 2] and i64[2, 2]: operand 1 holds i64, and must hold numbers (`to_real` makes numbers of indices; `1.0` is a number, and `1` an index)",
        ),
    ];
    for (f, x, y, expected) in cases {
        assert_eq!(text(f, x.clone(), y.clone()), expected);
    }
}

/// Something of every factorization.
fn of_factors<V: Value>(a: &V) -> Vec<V> {
    let ((q, r), (w, v), (u, s, vh)) = (a.qr(), a.eigh(), a.svd());
    let (sign, log) = a.log_determinant();
    let positive = a.matmul(&a.t().conj()) + V::from(Tensor::from(Array2::<f64>::eye(3)));
    let of_each = [
        q * r.exp(),
        v.exp() * w,
        (u * s).exp() * vh,
        sign * log,
        positive.cholesky().exp(),
        a.inverse().exp(),
        a.triangular_solve(TriangularSolve::upper(), &a.t()),
    ];
    of_each.map(|y| y.re().sum_all()).to_vec()
}

#[test]
fn tapes_and_graphs_give_the_same_bits() -> Result<(), Box<dyn Error>> {
    let bits = |tensor: &Tensor| {
        let coordinates = crate::support::coordinates(tensor).into_iter();
        coordinates.map(f64::to_bits).collect::<Vec<_>>()
    };
    for kind in KINDS {
        let x = plain(20, kind, [3, 3]);
        let tape = Tape::new();
        let leaf = tape.var(x.clone());
        for (at, y) in of_factors(&leaf).into_iter().enumerate() {
            let f = function([("x", x.value_type())], |[x]| {
                [of_factors(&x).swap_remove(at)]
            })?;
            let program = f.value_and_grad(["x"])?.compile();
            let by_graph = program.call(std::slice::from_ref(&x))?;
            let by_tape = y.backward()?;
            assert_eq!(bits(y.value()), bits(&by_graph[0]), "{f}");
            assert_eq!(
                bits(by_tape.get(&leaf)?.unwrap()),
                bits(&by_graph[1]),
                "{f}"
            );
            assert!(all_are(&by_graph[1], f64::is_finite));
        }
    }
    Ok(())
}
