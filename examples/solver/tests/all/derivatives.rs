//! Derivatives beside differences of values.

use std::iter::zip;

use tidu::sparse::Pattern;
use tidu_solver::{Derivatives, Error, Problem, beam, bratu};

/// Small problems, each at a point where nothing is zero by chance.
fn problems() -> Result<Vec<(Problem, Vec<f64>)>, Error> {
    let problems = [beam(6)?, bratu(3)?.problem];
    let with_point = problems.map(|problem| {
        let point = (0..problem.variables.len()).map(|k| 0.3 + (1.7 * k as f64).sin() / 2.0);
        let point = point.collect();
        (problem, point)
    });
    Ok(with_point.into())
}

/// Rows of the derivative of a vector by x, from central differences: an error of some 10⁻¹⁰ where values are about 1.
fn differences(
    x: &[f64],
    mut values: impl FnMut(&[f64]) -> Result<Vec<f64>, Error>,
) -> Result<Vec<Vec<f64>>, Error> {
    let width = 1e-5;
    let mut columns = Vec::new();
    for at in 0..x.len() {
        let mut beside = |step: f64| {
            let mut x = x.to_vec();
            x[at] += step;
            values(&x)
        };
        let (after, before) = (beside(width)?, beside(-width)?);
        columns.push(
            zip(after, before)
                .map(|(a, b)| (a - b) / (2.0 * width))
                .collect(),
        );
    }
    let rows = columns.first().map_or(0, Vec::len);
    Ok((0..rows)
        .map(|row| {
            columns
                .iter()
                .map(|column: &Vec<f64>| column[row])
                .collect()
        })
        .collect())
}

/// Entries are these, and what is no entry is zero.
fn check(
    pattern: &Pattern,
    entries: &[f64],
    expected: &[Vec<f64>],
    is_entry: impl Fn(usize, usize) -> bool,
) {
    for (row, expected) in expected.iter().enumerate() {
        for (column, &expected) in expected
            .iter()
            .enumerate()
            .filter(|&(column, _)| is_entry(row, column))
        {
            let found = pattern
                .position_of(row, column)
                .map_or(0.0, |at| entries[at]);
            let scale = expected.abs().max(1.0);
            assert!(
                (found - expected).abs() < 1e-6 * scale,
                "({row}, {column}): {found}, {expected}"
            );
        }
    }
}

#[test]
fn gradients_and_jacobians_are_those_of_differences() -> Result<(), Error> {
    for (problem, x) in problems()? {
        let mut derivatives = Derivatives::of(&problem)?;
        let mut gradient = vec![0.0; x.len()];
        derivatives.gradient(&x, &mut gradient)?;
        let expected = differences(&x, |x| Ok(vec![derivatives.objective(x)?]))?;
        check(
            &Pattern::dense(1, x.len())?,
            &gradient,
            &expected,
            |_, _| true,
        );

        let expected = differences(&x, |x| {
            let mut values = vec![0.0; problem.constraints.len()];
            derivatives.constraints(x, &mut values)?;
            Ok(values)
        })?;
        let pattern = derivatives.jacobian.pattern.clone();
        let entries = derivatives.jacobian(&x)?;
        check(&pattern, entries, &expected, |_, _| true);
    }
    Ok(())
}

#[test]
fn hessians_are_differences_of_the_gradient_of_the_lagrangian() -> Result<(), Error> {
    for (problem, x) in problems()? {
        let mut derivatives = Derivatives::of(&problem)?;
        let sigma = 0.7;
        let lambda: Vec<f64> = (0..problem.constraints.len())
            .map(|k| (k as f64).cos() + 0.1)
            .collect();
        // σ·∇f + Jᵀ·λ
        let expected = differences(&x, |x| {
            let mut slope = vec![0.0; x.len()];
            derivatives.gradient(x, &mut slope)?;
            slope.iter_mut().for_each(|slope| *slope *= sigma);
            let pattern = derivatives.jacobian.pattern.clone();
            for ((row, column), value) in zip(pattern.entries(), derivatives.jacobian(x)?) {
                slope[column] += lambda[row] * value;
            }
            Ok(slope)
        })?;
        let pattern = derivatives.hessian.pattern.clone();
        let entries = derivatives.hessian(&x, sigma, &lambda)?;
        check(&pattern, entries, &expected, |row, column| row >= column);
    }
    Ok(())
}

/// 6 of the 8 entries that a step has in the Jacobian do not change: all but those by the angle in x′ = sin t.
#[test]
fn what_is_constant_is_not_computed_again() -> Result<(), Error> {
    let derivatives = Derivatives::of(&beam(6)?)?;
    assert_eq!(derivatives.jacobian.pattern.len(), 8 * 6);
    assert_eq!(derivatives.jacobian.changing.len(), 2 * 6);
    Ok(())
}
