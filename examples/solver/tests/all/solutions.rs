//! What is known of the solutions.

use faer::Col;
use faer::prelude::Solve;
use faer::sparse::{SparseColMat, Triplet};
use tidu_solver::{Derivatives, Error, Outcome, Problem, beam, bratu, solve, solve_by_differences};

fn solved(problem: &Problem) -> Result<Outcome, Error> {
    solve(problem, Derivatives::of(problem)?)
}

/// CUTEst lists, by number of steps, 344.8674 (50), 344.8802 (100), 344.8749 (500), 344.8788 (1000): points of rest, of
/// which there are many close by. They lie within 0.007 of what finer and finer grids lead to.
#[test]
fn a_beam_costs_what_is_published() -> Result<(), Error> {
    for (steps, published) in [
        (50, 344.8673691861),
        (100, 344.8801831150),
        (1000, 344.8788169123),
    ] {
        let found = solved(&beam(steps)?)?.objective;
        assert!((found - published).abs() < 0.005, "{steps}: {found}");
        assert!((found - 344.87613).abs() < 0.008, "{steps}: {found}");
    }
    Ok(())
}

/// A straight beam is a point of rest, too, whose cost is the load.
#[test]
fn a_beam_bends_to_both_walls() -> Result<(), Error> {
    let found = solved(&beam(100)?)?;
    let deflections = || found.x.iter().skip(1).step_by(3).copied();
    let greatest = deflections().fold(0.0, f64::max);
    let least = deflections().fold(0.0, f64::min);
    assert!(
        (greatest - 0.05).abs() < 1e-6 && (least + 0.05).abs() < 1e-6,
        "{least}, {greatest}"
    );
    assert!(found.objective < 350.0);
    Ok(())
}

/// λ and the greatest u.
fn fold(side: usize) -> Result<[f64; 2], Error> {
    let found = solved(&bratu(side)?.problem)?;
    Ok([found.x[side * side], found.x[side * side / 2]])
}

/// The fold is at λ = 6.808124423, where u is 1.39166 at most. A stencil errs by c·h² and less, so that of two grids a better value follows.
#[test]
fn bratu_folds_where_it_is_known_to() -> Result<(), Error> {
    let [coarse, fine] = [fold(15)?, fold(31)?];
    let [lambda, greatest] = [0, 1].map(|at| fine[at] + (fine[at] - coarse[at]) / 3.0);
    assert!((lambda - 6.808124423).abs() < 1e-4, "{lambda}");
    assert!((greatest - 1.39166).abs() < 2e-4, "{greatest}");
    Ok(())
}

/// −Δ − λ·eᵘ on a grid, times h², written by hand, and what is left of the equation.
fn stencil(side: usize, u: &[f64], lambda: f64) -> (SparseColMat<u32, f64>, Vec<f64>) {
    let source = lambda / ((side + 1) as f64).powi(2);
    let beside = |at: usize| {
        let (row, column) = (at / side, at % side);
        [
            (row > 0).then(|| at - side),
            (row + 1 < side).then(|| at + side),
            (column > 0).then(|| at - 1),
            (column + 1 < side).then(|| at + 1),
        ]
        .into_iter()
        .flatten()
    };
    let mut triplets = Vec::new();
    let mut left = Vec::new();
    for at in 0..side * side {
        triplets.push(Triplet::new(
            at as u32,
            at as u32,
            4.0 - source * u[at].exp(),
        ));
        triplets.extend(beside(at).map(|other| Triplet::new(at as u32, other as u32, -1.0)));
        let neighbours: f64 = beside(at).map(|other| u[other]).sum();
        left.push(4.0 * u[at] - neighbours - source * u[at].exp());
    }
    let size = side * side;
    let matrix = SparseColMat::try_new_from_triplets(size, size, &triplets);
    (matrix.expect("entries are on the grid"), left)
}

/// At a fold the equation holds, and its Jacobian by u has a vector that it takes to zero: the multipliers.
#[test]
fn bratu_has_what_makes_a_fold() -> Result<(), Error> {
    let side = 12;
    let found = solved(&bratu(side)?.problem)?;
    let (u, lambda) = found.x.split_at(side * side);
    let (matrix, left) = stencil(side, u, lambda[0]);
    assert!(left.iter().all(|left| left.abs() < 1e-9), "{left:?}");
    let size = found
        .lambda
        .iter()
        .fold(0.0, |size: f64, value| size.max(value.abs()));
    assert!(size > 1e-3);
    let null = Col::from_fn(side * side, |at| found.lambda[at] / size);
    let product = &matrix * &null;
    assert!(
        product.iter().all(|value| value.abs() < 1e-7),
        "{product:?}"
    );
    Ok(())
}

/// Newton's method by hand finds a solution just below the fold, and none just above.
#[test]
fn newton_finds_solutions_below_the_fold_only() -> Result<(), Error> {
    let side = 12;
    let [lambda, greatest] = {
        let found = solved(&bratu(side)?.problem)?;
        let u = &found.x[..side * side];
        [found.x[side * side], u.iter().copied().fold(0.0, f64::max)]
    };
    let newton = |lambda: f64| {
        let mut u = vec![0.0; side * side];
        for _ in 0..60 {
            let (matrix, left) = stencil(side, &u, lambda);
            if left.iter().all(|left| left.abs() < 1e-12) {
                return Some(u);
            }
            let lu = matrix.sp_lu().ok()?;
            let step = lu.solve(Col::from_fn(side * side, |at| left[at]));
            u.iter_mut()
                .zip(step.iter())
                .for_each(|(u, step)| *u -= step);
        }
        None
    };
    let below = newton(lambda - 1e-5).expect("there is a solution");
    // Near a fold u changes as the root of the distance in λ.
    let below = below.iter().copied().fold(0.0, f64::max);
    assert!(
        below < greatest && greatest - below < 0.01,
        "{below}, {greatest}"
    );
    assert!(newton(lambda + 1e-5).is_none());
    Ok(())
}

#[test]
fn differences_find_the_same_and_take_longer() -> Result<(), Error> {
    let problem = bratu(6)?.problem;
    let (exact, other) = (solved(&problem)?, solve_by_differences(&problem)?);
    assert!((exact.objective - other.objective).abs() < 1e-6);
    assert!(exact.iterations < other.iterations);
    assert!(exact.evaluations < other.evaluations);
    Ok(())
}
