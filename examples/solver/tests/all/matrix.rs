//! Patterns with values and faer's matrices.

use faer::Col;
use tidu::sparse::Pattern;
use tidu_solver::matrix::{from_faer, to_faer};
use tidu_solver::{Derivatives, Error, beam, bratu};

#[test]
fn a_matrix_leads_there_and_back() -> Result<(), Error> {
    let entries = [(2, 0), (0, 1), (2, 3), (0, 0), (1, 3)];
    let pattern = Pattern::from_entries(3, 4, entries)?;
    let values = [1.0, 2.0, 3.0, 4.0, 5.0];
    let matrix = to_faer(&pattern, &values);
    let dense = matrix.to_dense();
    for (position, (row, column)) in pattern.entries().enumerate() {
        assert_eq!(dense[(row, column)], values[position]);
    }
    assert_eq!(
        dense
            .row_iter()
            .flat_map(|row| row.iter().copied().collect::<Vec<_>>())
            .sum::<f64>(),
        15.0
    );
    assert_eq!(from_faer(&matrix)?, (pattern, values.to_vec()));

    let empty = Pattern::from_entries(2, 3, [])?;
    assert_eq!(from_faer(&to_faer(&empty, &[]))?, (empty, vec![]));
    Ok(())
}

#[test]
#[should_panic(expected = "a value per entry")]
fn values_that_are_too_few_are_refused() {
    let pattern = Pattern::dense(2, 2).expect("it is small");
    to_faer(&pattern, &[1.0]);
}

/// J·v is how g changes along v.
#[test]
fn a_product_in_faer_is_a_directional_derivative() -> Result<(), Error> {
    for problem in [beam(9)?, bratu(4)?.problem] {
        let mut derivatives = Derivatives::of(&problem)?;
        let count = problem.variables.len();
        let x: Vec<f64> = (0..count).map(|k| (k as f64).sin() / 3.0).collect();
        let along = Col::from_fn(count, |k| (2.0 * k as f64).cos());
        let pattern = derivatives.jacobian.pattern.clone();
        let product = to_faer(&pattern, derivatives.jacobian(&x)?) * &along;

        let mut beside = |step: f64| -> Result<Vec<f64>, Error> {
            let x: Vec<f64> = (0..count).map(|k| x[k] + step * along[k]).collect();
            let mut values = vec![0.0; problem.constraints.len()];
            derivatives.constraints(&x, &mut values)?;
            Ok(values)
        };
        let (after, before) = (beside(1e-5)?, beside(-1e-5)?);
        for row in 0..after.len() {
            let expected = (after[row] - before[row]) / 2e-5;
            assert!(
                (product[row] - expected).abs() < 1e-7,
                "{row}: {}, {expected}",
                product[row]
            );
        }
    }
    Ok(())
}
