//! Numbers with operators: fit a model to data by Newton's method, with derivatives of plain Rust code.
//!
//! The model is logistic growth, dp/dt = r·p·(1 - p/k), stepped by Euler's method. Rate r, capacity k and
//! start p₀ are found again from ten measurements.

use std::error::Error;

use tidu::scalar::{Tape, Var};

const STEPS: usize = 20;
const H: f64 = 0.05;

/// The population at the times of measurement.
fn grow<'t>(parameters: &[Var<'t>]) -> Vec<Var<'t>> {
    let [rate, capacity, start] = [parameters[0], parameters[1], parameters[2]];
    let mut population = start;
    let mut measured = Vec::new();
    for _ in 0..10 {
        for _ in 0..STEPS {
            population += H * rate * population * (1.0 - population / capacity);
        }
        measured.push(population);
    }
    measured
}

/// The sum of squares of what the model gets wrong.
fn misfit<'t>(parameters: &[Var<'t>], data: &[f64]) -> Var<'t> {
    let model = grow(parameters).into_iter();
    model
        .zip(data)
        .map(|(model, data)| (model - *data).powi(2))
        .sum()
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let truth = [1.3, 5.0, 0.4];
    let data: Vec<f64> = grow(&truth.map(Var::constant))
        .iter()
        .map(Var::value)
        .collect();

    // One tape for all steps: its memory, and what it has derived, are used again.
    let mut tape = Tape::new();
    let mut found = [1.2, 4.8, 0.45];
    for step in 0..8 {
        let (value, gradient) = tape.value_and_grad(|p| misfit(p, &data), &found)?;
        let hessian = tape.hessian(|p| misfit(p, &data), &found)?;
        println!("step {step}: misfit {value:.3e} at {found:.6?}");
        let change = solve(&hessian, &gradient);
        for (found, change) in found.iter_mut().zip(change) {
            *found -= change;
        }
    }
    for (found, truth) in found.iter().zip(truth) {
        assert!((found - truth).abs() < 1e-9, "{found}, not {truth}");
    }
    Ok(())
}

/// Cramer's rule for three equations.
fn solve(a: &[Vec<f64>], b: &[f64]) -> [f64; 3] {
    let determinant = |column: usize| {
        let entry = |i: usize, j: usize| if j == column { b[i] } else { a[i][j] };
        let minor = |j: usize, k: usize| entry(1, j) * entry(2, k) - entry(1, k) * entry(2, j);
        entry(0, 0) * minor(1, 2) - entry(0, 1) * minor(0, 2) + entry(0, 2) * minor(0, 1)
    };
    // No column is replaced by the fourth.
    [0, 1, 2].map(|column| determinant(column) / determinant(3))
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
