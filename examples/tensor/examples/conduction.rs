//! Differentiating through the solution of equations: how well a rod conducts heat, place by place, is found from
//! how warm it is. The temperatures u solve A(θ)·u = b; their derivatives by θ go through the solution.
//!
//! The rod is heated evenly and kept at 0 at both ends: -(k·u')' = 1, in differences over equal cells.

use std::error::Error;

use ndarray::{Array1, Array2};
use tidu_tensor::{Expr, Tensor, Value, function, types};

const CELLS: usize = 30;
/// Logarithms of conductivities at equal distances; in between, lines.
const KNOTS: usize = 5;

/// How much each knot counts in each cell.
fn hats() -> Array2<f64> {
    Array2::from_shape_fn([CELLS, KNOTS], |(cell, knot)| {
        let place = (cell as f64 + 0.5) / CELLS as f64 * (KNOTS - 1) as f64;
        f64::max(0.0, 1.0 - (place - knot as f64).abs())
    })
}

/// Slopes in the cells, of temperatures between them.
fn differences() -> Array2<f64> {
    Array2::from_shape_fn([CELLS, CELLS - 1], |(cell, point)| match point {
        _ if point == cell => CELLS as f64,
        _ if point + 1 == cell => -(CELLS as f64),
        _ => 0.0,
    })
}

fn constant<V: Value>(numbers: Array2<f64>) -> V {
    Tensor::from(numbers).into()
}

/// The temperatures between cells whose conductivities have these logarithms at the knots.
fn temperatures<V: Value>(knots: &V) -> V {
    let conductivities = constant::<V>(hats()).matmul(knots).exp();
    let slopes = constant::<V>(differences());
    let flows = slopes.clone() * conductivities.expand(1);
    slopes.t().matmul(&flows).solve(&V::full([CELLS - 1], 1.0))
}

/// Solves for the temperatures once more, by elimination in a matrix of three diagonals.
fn eliminate(conductivities: &[f64], heat: &[f64]) -> Vec<f64> {
    let scale = (CELLS * CELLS) as f64;
    let k = |cell: usize| scale * conductivities[cell];
    let (mut pivots, mut values) = (vec![k(0) + k(1)], vec![heat[0]]);
    for at in 1..CELLS - 1 {
        let factor = -k(at) / pivots[at - 1];
        pivots.push(k(at) + k(at + 1) + factor * k(at));
        values.push(heat[at] - factor * values[at - 1]);
    }
    for at in (0..CELLS - 1).rev() {
        let next = values.get(at + 1).map_or(0.0, |next| k(at + 1) * next);
        values[at] = (values[at] + next) / pivots[at];
    }
    values
}

/// The gradient of ½·|u - measured|² by the adjoint method, by hand: with A·λ = u - measured, the slope by the
/// conductivity of a cell is -λ'·u' there.
fn adjoint_gradient(knots: &[f64], measured: &[f64]) -> Vec<f64> {
    let conductivities = hats()
        .dot(&Array1::from_iter(knots.iter().copied()))
        .mapv(f64::exp);
    let conductivities = conductivities.to_vec();
    let u = eliminate(&conductivities, &[1.0; CELLS - 1]);
    let misses: Vec<f64> = u
        .iter()
        .zip(measured)
        .map(|(u, measured)| u - measured)
        .collect();
    let lambda = eliminate(&conductivities, &misses);
    let [u, lambda] = [u, lambda].map(|values| differences().dot(&Array1::from(values)));
    let by_logarithm = -lambda * u * Array1::from(conductivities);
    hats().t().dot(&by_logarithm).to_vec()
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let knot_types = [("knots", types::real([KNOTS]))];
    let model = function(knot_types.clone(), |[knots]| [temperatures(&knots)])?;
    let program = model.compile();

    // A rod that conducts evenly: u = x·(1 - x) / 2k, which differences have exactly.
    let even = numbers(&program.call(&[Tensor::full(&[KNOTS], 2.0_f64.ln())])?[0]);
    for (at, u) in (1..).zip(even) {
        let x = f64::from(at) / CELLS as f64;
        assert!((u - x * (1.0 - x) / 4.0).abs() < 1e-14);
    }

    let truth = [0.3, -0.4, 0.9, -0.2, 0.5];
    let measured = program.call(&[truth.into()])?.swap_remove(0);

    // The gradient of the misfit, by the rules and by hand.
    let misfit = function(knot_types, |[knots]| {
        [(temperatures(&knots) - Expr::from(measured.clone()))
            .square()
            .sum_all()
            * 0.5]
    })?;
    let start = [0.0; KNOTS];
    let slope = numbers(&misfit.grad("knots")?.compile().call(&[start.into()])?[0]);
    let by_hand = adjoint_gradient(&start, &numbers(&measured));
    println!("knot   slope of the misfit   by hand");
    for (knot, (slope, by_hand)) in slope.iter().zip(&by_hand).enumerate() {
        println!("{knot:>4} {slope:>21.12} {by_hand:>21.12}");
        assert!((slope - by_hand).abs() < 1e-12);
    }

    println!("\nstep      misfit   worst knot is off by");
    let both = model.value_and_jacobian("knots")?.compile();
    let mut knots = Tensor::from(start);
    let mut worst = f64::MAX;
    for step in 0..8 {
        let found = both.call(std::slice::from_ref(&knots))?;
        let (misses, matrix) = (&found[0] - &measured, &found[1]);
        worst = (&knots - Tensor::from(truth))
            .abs()
            .max([0])
            .item()
            .unwrap_or(f64::NAN);
        let misfit = misses.square().sum_all().item().unwrap_or(f64::NAN).sqrt();
        println!("{step:>4} {misfit:>11.1e} {worst:>11.1e}");
        // Gauss and Newton: the least squares of misses, taken for linear.
        knots -= matrix.t().matmul(matrix).solve(&matrix.t().matmul(&misses));
    }
    assert!(worst < 1e-10);
    Ok(())
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.elements().unwrap_or_default()
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
