//! A time loop: how far an angle of a double pendulum moves at the end when the start or gravity is changed.
//!
//! The physics is written once, for any [`Value`]. It runs on plain numbers, becomes functions, and is differentiated
//! in several ways: recorded on a tape, recorded with checkpoints (`iterate`), recorded as one compiled call a step
//! (`apply_function`), not recorded at all (`Scan`), and forward by the Jacobian of each step. All give the same
//! numbers; what they take is printed beside what the values alone take.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use tidu::scalar::{CompileScalar, ScalarOp, Scan, ScanInputs, Tape, Value, function};
use tidu::{Function, FunctionError};

/// How many steps there are.
pub const STEPS: usize = 2_000;
/// The length of a step.
const H: f64 = 2e-3;
/// Two angles from below, in radians, and how fast they change.
pub const START: [f64; 4] = [1.2, -0.7, 0.0, 0.3];
/// The acceleration, in units of which an arm has length 1.
pub const GRAVITY: f64 = 9.81;

type State<V> = [V; 4];

/// Kinetic and potential energy, for two masses of 1 on arms of length 1.
fn energy<V: Value>([a, b, u, v]: State<V>, gravity: &V) -> V {
    let kinetic = u.powi(2) + v.powi(2) * 0.5 + u * v * (a.clone() - &b).cos();
    kinetic - (a.cos() * 2.0 + b.cos()) * gravity
}

/// How fast the state changes: the equations of motion, solved for the accelerations.
fn slope<V: Value>([a, b, u, v]: State<V>, gravity: &V) -> State<V> {
    let (sin, cos) = (a.clone() - &b).sin_cos();
    let force_a = -(v.powi(2) * &sin) - a.sin() * gravity * 2.0;
    let force_b = u.powi(2) * &sin - b.sin() * gravity;
    let determinant = -cos.powi(2) + 2.0;
    let of_u = (force_a.clone() - cos.clone() * &force_b) / &determinant;
    let of_v = (force_b * 2.0 - cos * &force_a) / &determinant;
    [u, v, of_u, of_v]
}

/// A step of the classical Runge-Kutta method.
fn step<V: Value>(state: &State<V>, gravity: &V) -> State<V> {
    let after = |slope: &State<V>, h: f64| -> State<V> {
        std::array::from_fn(|i| slope[i].clone() * h + &state[i])
    };
    let first = slope(state.clone(), gravity);
    let second = slope(after(&first, 0.5 * H), gravity);
    let third = slope(after(&second, 0.5 * H), gravity);
    let fourth = slope(after(&third, H), gravity);
    let sum =
        std::array::from_fn(|i| (second[i].clone() + &third[i]) * 2.0 + &first[i] + &fourth[i]);
    after(&sum, H / 6.0)
}

fn run<V: Value>(start: State<V>, gravity: &V) -> State<V> {
    (0..STEPS).fold(start, |state, _| step(&state, gravity))
}

/// The first angle at the end.
pub fn end(start: State<f64>, gravity: f64) -> f64 {
    run(start, &gravity)[0]
}

/// The derivatives of the first angle at the end by the state at the start and by gravity.
pub type Way = fn() -> Result<[f64; 5], Box<dyn Error>>;

/// Each of them, by name.
pub const WAYS: [(&str, Way); 6] = [
    ("tape", on_a_tape),
    ("iterate", iterated),
    ("apply_function", as_calls),
    ("scan", scanned),
    ("scan, all kept", scanned_keeping_all),
    ("Jacobians", by_jacobians),
];

/// Every operation of every step is recorded.
fn on_a_tape() -> Result<[f64; 5], Box<dyn Error>> {
    let tape = Tape::new();
    let (start, gravity) = (tape.vars(START), tape.var(GRAVITY));
    let gradients = run(start, &gravity)[0].backward()?;
    let [a, b, u, v] = start.map(|var| gradients[var]);
    Ok([a, b, u, v, gradients[gravity]])
}

/// Every √n steps are recorded when they are needed. Gravity is a part of the state: a step captures no variable.
fn iterated() -> Result<[f64; 5], Box<dyn Error>> {
    let tape = Tape::new();
    let [a, b, u, v] = START;
    let start = tape.vars([a, b, u, v, GRAVITY]);
    let end = tape.iterate(STEPS, &start, |state, _| {
        let [a, b, u, v, gravity] = [0, 1, 2, 3, 4].map(|at: usize| state[at]);
        let mut next = step(&[a, b, u, v], &gravity).to_vec();
        next.push(gravity);
        next
    })?;
    let gradients = end[0].backward()?;
    Ok(start.map(|var| gradients[var]))
}

fn step_function() -> Result<Function<ScalarOp>, FunctionError> {
    function(["a", "b", "u", "v", "gravity"], |[a, b, u, v, gravity]| {
        step(&[a, b, u, v], &gravity)
    })
}

/// Every step is recorded as one call of a function.
fn as_calls() -> Result<[f64; 5], Box<dyn Error>> {
    let step = step_function()?;
    let tape = Tape::new();
    let (start, gravity) = (tape.vars(START), tape.var(GRAVITY));
    let mut state = start.to_vec();
    for _ in 0..STEPS {
        state.push(gravity);
        state = tape.apply_function(&step, &state)?;
    }
    let gradients = state[0].backward()?;
    let [a, b, u, v] = start.map(|var| gradients[var]);
    Ok([a, b, u, v, gradients[gravity]])
}

/// Nothing is recorded: the step and its VJP are compiled, and the loop over them is written already. It keeps every
/// √n-th state, and runs the steps in between again.
fn scanned() -> Result<[f64; 5], Box<dyn Error>> {
    gradient_of(&scan()?)
}

/// The same, with every state kept.
fn scanned_keeping_all() -> Result<[f64; 5], Box<dyn Error>> {
    gradient_of(&scan()?.checkpoint_every(1))
}

/// Forward: each step with its Jacobian J at once, and the derivatives M so far become J·M.
fn by_jacobians() -> Result<[f64; 5], Box<dyn Error>> {
    let program = step_function()?.value_and_jacobian(..)?.compile_scalar()?;
    let mut inputs = [START[0], START[1], START[2], START[3], GRAVITY];
    // By rows; the last, gravity's own, stays.
    let mut m: [[f64; 5]; 5] = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(i == j)));
    for _ in 0..STEPS {
        let found = program.call(&inputs)?;
        let (values, jacobian) = found.split_at(4);
        let before = m;
        for (row, by) in m.iter_mut().zip(jacobian.chunks_exact(5)) {
            *row = std::array::from_fn(|j| (0..5).map(|k| by[k] * before[k][j]).sum());
        }
        inputs[..4].copy_from_slice(values);
    }
    Ok(m[0])
}

fn scan() -> Result<Scan, Box<dyn Error>> {
    Ok(Scan::new(&step_function()?, ["a", "b", "u", "v"])?)
}

fn gradient_of(scan: &Scan) -> Result<[f64; 5], Box<dyn Error>> {
    let inputs = ScanInputs {
        carry: &START,
        params: &[GRAVITY],
        ..Default::default()
    };
    let (_, pullback) = scan.vjp(STEPS, inputs)?;
    let cotangents = pullback.call(&[1.0, 0.0, 0.0, 0.0], &[])?;
    let [a, b, u, v] = [0, 1, 2, 3].map(|at: usize| cotangents.carry[at]);
    Ok([a, b, u, v, cotangents.params[0]])
}

/// The least of five times, and the result.
fn timed<T>(mut body: impl FnMut() -> T) -> (Duration, T) {
    let mut run = || {
        let begin = Instant::now();
        let found = black_box(body());
        (begin.elapsed(), found)
    };
    let first = run();
    let others: Vec<(Duration, T)> = (0..4).map(|_| run()).collect();
    let faster =
        |best: (Duration, T), other: (Duration, T)| if other.0 < best.0 { other } else { best };
    others.into_iter().fold(first, faster)
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let (plain, angle) = timed(|| end(black_box(START), black_box(GRAVITY)));
    println!(
        "the first angle is {angle:.6} after {STEPS} steps; the values alone take {plain:.1?}"
    );

    // The energy as a function: its gradient is orthogonal to the motion, which is how energy is kept.
    let names = ["a", "b", "u", "v"];
    let slopes = function(names, |state| energy(state, &GRAVITY.into()))?.grad(..)?;
    let slopes = slopes.compile().call(&START)?;
    let change: f64 = slopes
        .iter()
        .zip(slope(START, &GRAVITY))
        .map(|(g, dx)| g * dx)
        .sum();
    let lost = energy(run(START, &GRAVITY), &GRAVITY) - energy(START, &GRAVITY);
    println!("the energy changes by {change:.0e} a second, and in all that time by {lost:.0e}");
    assert!(change.abs() < 1e-12 && lost.abs() < 1e-5);

    // What all ways have to find, from differences.
    let expected: [f64; 5] = std::array::from_fn(|at| {
        let moved = |h: f64| {
            let mut start = START;
            let mut gravity = GRAVITY;
            match start.get_mut(at) {
                Some(start) => *start += h,
                None => gravity += h,
            }
            end(start, gravity)
        };
        (moved(1e-5) - moved(-1e-5)) / 2e-5
    });

    println!("its gradient, {expected:.4?}, takes");
    for (name, way) in WAYS {
        let (time, gradient) = timed(way);
        let ratio = time.as_secs_f64() / plain.as_secs_f64();
        println!("    {name:14} {time:>8.1?}, {ratio:.0} times as long");
        for (found, expected) in gradient?.into_iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(
                error < 1e-5 * (1.0 + expected.abs()),
                "{name}: {found}, not {expected}"
            );
        }
    }
    Ok(())
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
