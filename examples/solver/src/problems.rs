//! Two problems that people know.

use std::f64::consts::PI;
use std::iter::{once, zip};

use tidu::FunctionError;
use tidu::scalar::{Expr, function_of};

use crate::Problem;

const FREE: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];
const ZERO: [f64; 2] = [0.0; 2];

/// The load on the beam.
const LOAD: f64 = 350.0;

/// The clamped beam under a load that bends it, between walls that it must not touch (`clnlbeam`): Maurer, Mittelmann, The nonlinear beam via optimal
/// control with bounded state variables, 1991, as CUTEst discretises it.
///
/// Minimise ∫ u² + 350·cos t over 0 ≤ s ≤ 1, where t′ = u, x′ = sin t, |x| ≤ 0.05, |t| ≤ 1, and t = x = 0 at both ends: by the
/// trapezoidal rule, in `steps` steps. The variables are angle t, deflection x and bending u of each node.
pub fn beam(steps: usize) -> Result<Problem, FunctionError> {
    let nodes = || 0..=steps;
    let step = 1.0 / steps as f64;
    let names = nodes().flat_map(|node| ["t", "x", "u"].map(|name| format!("{name}{node}")));
    let function = function_of(names, |variables| {
        let part = |at: usize| variables.iter().skip(at).step_by(3);
        let [angles, deflections, bendings] = [0, 1, 2].map(part);
        let energies: Vec<Expr> = zip(angles.clone(), bendings.clone())
            .map(|(angle, bending)| bending.powi(2) + LOAD * angle.cos())
            .collect();
        let angles: Vec<&Expr> = angles.collect();
        let bendings: Vec<&Expr> = bendings.collect();
        let deflections: Vec<&Expr> = deflections.collect();
        let slopes: Vec<Expr> = angles.iter().map(|angle| angle.sin()).collect();

        let mean = |a: &Expr, b: &Expr| (0.5 * step) * (a + b);
        let means = energies.windows(2).map(|pair| mean(&pair[0], &pair[1]));
        let energy: Expr = means.sum();
        let rates = (0..steps).flat_map(|k| {
            [
                deflections[k + 1] - deflections[k] - mean(&slopes[k], &slopes[k + 1]),
                angles[k + 1] - angles[k] - mean(bendings[k], bendings[k + 1]),
            ]
        });
        once(energy).chain(rates).collect::<Vec<_>>()
    })?;
    let bounds = |node| match node {
        0 => [ZERO, ZERO, FREE],
        last if last == steps => [ZERO, ZERO, FREE],
        _ => [[-1.0, 1.0], [-0.05, 0.05], FREE],
    };
    let start = |node: usize| {
        let bent = 0.05 * (node as f64 * step).cos();
        [bent, bent, 0.0]
    };
    Ok(Problem {
        function,
        variables: nodes().flat_map(bounds).collect(),
        constraints: vec![ZERO; 2 * steps],
        start: nodes().flat_map(start).collect(),
    })
}

/// The fold of Bratu's problem, on a grid.
pub struct Bratu {
    /// Variables are u, row by row, and λ.
    pub problem: Problem,
    /// How many inner points the grid has along each side.
    pub side: usize,
}

/// The largest λ for which −Δu = λ·eᵘ has a solution on the unit square that is zero at its edge, with the five-point
/// stencil on `side` by `side` inner points: how hot a body may become until it explodes (Bratu, Liouville, Gelfand). The
/// variable λ is in every equation, and no grid is needed to know that the matrix has an arrowhead.
pub fn bratu(side: usize) -> Result<Bratu, FunctionError> {
    let step = 1.0 / (side + 1) as f64;
    let points = || (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
    let names = points().map(|(row, column)| format!("u{row}_{column}"));
    let function = function_of(names.chain(["lambda".into()]), |variables| {
        let (u, lambda) = variables.split_at(side * side);
        let at = |row: usize, column: usize| &u[row * side + column];
        let sources = step * step * &lambda[0];
        let equations = points().map(|(row, column)| {
            let mut balance = 4.0 * at(row, column) - &sources * at(row, column).exp();
            let beside = [
                (row.checked_sub(1), Some(column)),
                (row.checked_add(1), Some(column)),
                (Some(row), column.checked_sub(1)),
                (Some(row), column.checked_add(1)),
            ];
            for (row, column) in beside {
                if let (Some(row), Some(column)) = (row, column)
                    && row.max(column) < side
                {
                    balance -= at(row, column);
                }
            }
            balance
        });
        once(-&lambda[0]).chain(equations).collect::<Vec<_>>()
    })?;
    let hill = |at: usize| (PI * (at + 1) as f64 * step).sin();
    let start = points().map(|(row, column)| hill(row) * hill(column));
    let problem = Problem {
        function,
        variables: vec![FREE; side * side + 1],
        constraints: vec![ZERO; side * side],
        start: start.chain([6.0]).collect(),
    };
    Ok(Bratu { problem, side })
}
