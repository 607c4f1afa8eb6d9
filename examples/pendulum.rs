//! Physics written once: a double pendulum, run as plain numbers, recorded on a tape, and derived as a function.
//!
//! Two masses of 1 hang on rods of length 1, one below the other. The state is (θ₁, θ₂, ω₁, ω₂), angles from the
//! vertical and their velocities. Numbers alone follow the motion. The energy as a function has a gradient, which
//! is orthogonal to the motion: that is how energy is kept. And how the state in the end depends on the one at the
//! start comes from a tape, from Jacobians of single steps, and, for a check, from differences.

use std::error::Error;

use tidu::scalar::{Tape, Value, function};

const GRAVITY: f64 = 9.81;

type State<V> = [V; 4];

/// Kinetic and potential energy.
fn energy<V: Value>([a, b, u, v]: State<V>) -> V {
    let kinetic = u.powi(2) + v.powi(2) * 0.5 + u * v * (a.clone() - &b).cos();
    kinetic - (a.cos() * 2.0 + b.cos()) * GRAVITY
}

/// How the state changes: the equations of motion, solved for the accelerations.
fn motion<V: Value>([a, b, u, v]: State<V>) -> State<V> {
    let (sin, cos) = (a.clone() - &b).sin_cos();
    let force_a = -(v.powi(2) * &sin) - a.sin() * (2.0 * GRAVITY);
    let force_b = u.powi(2) * &sin - b.sin() * GRAVITY;
    let determinant = -cos.powi(2) + 2.0;
    let of_u = (force_a.clone() - cos.clone() * &force_b) / &determinant;
    let of_v = (force_b * 2.0 - cos * &force_a) / &determinant;
    [u, v, of_u, of_v]
}

/// The state after a small time, by the classical method of Runge and Kutta.
fn step<V: Value>(state: &State<V>, h: f64) -> State<V> {
    let along = |slope: &State<V>, h: f64| -> State<V> {
        std::array::from_fn(|i| slope[i].clone() * h + &state[i])
    };
    let k1 = motion(state.clone());
    let k2 = motion(along(&k1, 0.5 * h));
    let k3 = motion(along(&k2, 0.5 * h));
    let k4 = motion(along(&k3, h));
    std::array::from_fn(|i| {
        let mean = (k2[i].clone() + &k3[i]) * 2.0 + &k1[i] + &k4[i];
        mean * (h / 6.0) + &state[i]
    })
}

fn run<V: Value>(start: State<V>, steps: usize, h: f64) -> State<V> {
    (0..steps).fold(start, |state, _| step(&state, h))
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let start = [1.2, -0.4, 0.3, 0.0];
    let (steps, h) = (400, 0.0025);

    // Plain numbers.
    let end = run(start, steps, h);
    println!("after {:.1} s: {end:.6?}", steps as f64 * h);
    let lost = energy(end) - energy(start);
    println!("energy: {:.6}, lost {lost:.1e}", energy(start));
    assert!(lost.abs() < 1e-8);

    // A function: the energy does not change along the motion.
    let gradient = function(["a", "b", "u", "v"], energy)?.grad(..)?.compile();
    let slopes = gradient.call(&end)?;
    let change: f64 = slopes.iter().zip(motion(end)).map(|(g, dx)| g * dx).sum();
    assert!(change.abs() < 1e-12, "{change}");

    // A tape: how the state in the end depends on the one at the start, by rows.
    let tape = Tape::new();
    let vars = tape.vars(start);
    let recorded = run(vars, steps, h);
    assert_eq!(recorded.map(|x| x.value()), end, "the same to the last bit");
    let by_tape: [Vec<f64>; 4] = [
        recorded[0].backward()?.wrt(&vars)?,
        recorded[1].backward()?.wrt(&vars)?,
        recorded[2].backward()?.wrt(&vars)?,
        recorded[3].backward()?.wrt(&vars)?,
    ];

    // The same, forward, from the Jacobian of one step: M becomes J·M at each.
    let names = ["a", "b", "u", "v"];
    let both = function(names, |state| step(&state, h))?.value_and_jacobian(..)?;
    let program = both.compile();
    let mut state = start.to_vec();
    let mut m: [[f64; 4]; 4] = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(i == j)));
    for _ in 0..steps {
        let found = program.call(&state)?;
        let (value, jacobian) = found.split_at(4);
        let entry = |i: usize, j: usize| (0..4).map(|k| jacobian[4 * i + k] * m[k][j]).sum();
        m = std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)));
        state = value.to_vec();
    }
    assert_eq!(state, end, "the same to the last bit");

    println!("\n∂end/∂start, by a tape, by Jacobians of steps, and by differences:");
    for j in 0..4 {
        let moved = |by: f64| {
            let mut start = start;
            start[j] += by;
            run(start, steps, h)
        };
        let (more, less) = (moved(1e-5), moved(-1e-5));
        for (i, (more, less)) in more.iter().zip(less).enumerate() {
            let difference = (more - less) / 2e-5;
            println!(
                "{:>12.8} {:>12.8} {difference:>12.8}",
                by_tape[i][j], m[i][j]
            );
            assert!((by_tape[i][j] - m[i][j]).abs() < 1e-10);
            assert!((by_tape[i][j] - difference).abs() < 1e-6);
        }
    }
    Ok(())
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
