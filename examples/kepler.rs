//! Derivatives through a simulation: ten thousand steps of an orbit, differentiated on a tape that keeps
//! every hundredth, and goes through the others again, a hundred at a time, on its way back.
//!
//! A planet around a sun, q̈ = -q/|q|³, stepped by the leapfrog method. The derivative of where it is in
//! the end by where it started is asked for twice: to see that it is right, since that of a leapfrog
//! method preserves areas in phase space exactly; and to aim, by Newton's method, at a point that the
//! planet is to pass.

use std::error::Error;

use tidu::scalar::{Tape, Var};

/// A small step: drift for half of it, kick, drift for the other half.
fn leapfrog<'t>(state: &[Var<'t>], h: f64) -> Vec<Var<'t>> {
    let [x, y, u, v] = [state[0], state[1], state[2], state[3]];
    let (x, y) = (x + 0.5 * h * u, y + 0.5 * h * v);
    let pull = (x * x + y * y).powf(-1.5);
    let (u, v) = (u - h * pull * x, v - h * pull * y);
    vec![x + 0.5 * h * u, y + 0.5 * h * v, u, v]
}

/// Where a planet is in the end, how that depends on where it started, and what it took to find out.
struct Flow {
    end: [f64; 4],
    /// ∂endᵢ/∂startⱼ, a row for each number of the end.
    derivative: [[f64; 4]; 4],
    /// What the tape held.
    bytes: usize,
}

/// Follows a planet from `start` for a time, in so many steps.
fn flow(
    start: [f64; 4],
    time: f64,
    steps: usize,
    checkpoints: bool,
) -> Result<Flow, Box<dyn Error>> {
    let tape = Tape::new();
    let start = tape.vars(start);
    let h = time / steps as f64;
    let end = match checkpoints {
        true => tape.iterate(steps, &start, move |state, _| leapfrog(state, h))?,
        false => (0..steps).fold(start.to_vec(), |state, _| leapfrog(&state, h)),
    };
    let mut derivative = [[0.0; 4]; 4];
    for (row, end) in derivative.iter_mut().zip(&end) {
        row.copy_from_slice(&end.backward()?.wrt(&start)?);
    }
    Ok(Flow {
        end: [0, 1, 2, 3].map(|at| end[at].value()),
        derivative,
        bytes: tape.memory(),
    })
}

/// The largest entry of MᵀΩM - Ω, which is zero for the derivative M of a map that preserves areas.
fn asymplecticity(m: &[[f64; 4]; 4]) -> f64 {
    let area = |a: usize, b: usize| {
        let pair = |q: usize| m[q][a] * m[q + 2][b] - m[q + 2][a] * m[q][b];
        pair(0) + pair(1)
    };
    let expected = |a: usize, b: usize| match (a, b) {
        (0, 2) | (1, 3) => 1.0,
        (2, 0) | (3, 1) => -1.0,
        _ => 0.0,
    };
    let entries = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
    entries.fold(0.0, |worst, (a, b)| {
        f64::max(worst, (area(a, b) - expected(a, b)).abs())
    })
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    // An ellipse of eccentricity 0.6, from the point nearest to the sun; it comes round after 2π.
    let start = [0.4, 0.0, 0.0, 2.0];
    let period = std::f64::consts::TAU;

    println!("steps    bytes kept: all    with checkpoints");
    for steps in [1_000, 10_000] {
        let all = flow(start, period, steps, false)?;
        let few = flow(start, period, steps, true)?;
        println!("{steps:>6} {:>16} {:>19}", all.bytes, few.bytes);
        assert_eq!(all.end, few.end);
        assert_eq!(all.derivative, few.derivative, "the same to the last bit");
        assert!(few.bytes * 10 < all.bytes);
        assert!(asymplecticity(&few.derivative) < 1e-9);
    }

    // Which way, and how fast, to leave in order to be at a point after a third of the time?
    let target = flow(start, period / 3.0, 3_000, true)?.end;
    let mut aim = [0.1, 1.9];
    println!("\nstep   misses by   leaving with");
    for step in 0..8 {
        let from = [start[0], start[1], aim[0], aim[1]];
        let Flow {
            end, derivative: m, ..
        } = flow(from, period / 3.0, 3_000, true)?;
        let miss = [end[0] - target[0], end[1] - target[1]];
        println!("{step:>4}   {:9.2e}   {aim:.9?}", miss[0].hypot(miss[1]));
        // Newton's method with the block ∂(x, y)/∂(u, v) of the derivative.
        let [[a, b], [c, d]] = [[m[0][2], m[0][3]], [m[1][2], m[1][3]]];
        let determinant = a * d - b * c;
        aim[0] -= (d * miss[0] - b * miss[1]) / determinant;
        aim[1] -= (a * miss[1] - c * miss[0]) / determinant;
    }
    assert!((aim[0] - start[2]).abs() < 1e-9 && (aim[1] - start[3]).abs() < 1e-9);
    Ok(())
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
