//! A time loop: how far an angle of a double pendulum moves at the end when the start or gravity is changed.
//!
//! The equations are written once, for whatever stands for numbers, and differentiated in several ways: recorded
//! on a tape, recorded with checkpoints (`iterate`), recorded as one compiled call a step (`apply_function`), and
//! not recorded at all (`Scan`). All give the same numbers; what they take is printed beside what the values
//! alone take.

use std::error::Error;
use std::hint::black_box;
use std::ops::{Add, Div, Mul, Sub};
use std::time::{Duration, Instant};

use tidu::scalar::{Expr, ScalarOp, Scan, ScanInputs, Tape, Var, function};
use tidu::{Function, FunctionError};

/// How many steps there are.
pub const STEPS: usize = 2_000;
/// The length of a step.
const H: f64 = 2e-3;
/// Two angles from below, in radians, and how fast they change.
pub const START: [f64; 4] = [1.2, -0.7, 0.0, 0.3];
/// The acceleration, in units of which an arm has length 1.
pub const GRAVITY: f64 = 9.81;

/// What stands for numbers.
trait Number:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Mul<f64, Output = Self>
    + Add<f64, Output = Self>
{
    fn sine(&self) -> Self;
    fn cosine(&self) -> Self;
}

impl Number for f64 {
    fn sine(&self) -> Self {
        self.sin()
    }

    fn cosine(&self) -> Self {
        self.cos()
    }
}

impl Number for Expr {
    fn sine(&self) -> Self {
        self.sin()
    }

    fn cosine(&self) -> Self {
        self.cos()
    }
}

impl Number for Var<'_> {
    fn sine(&self) -> Self {
        self.sin()
    }

    fn cosine(&self) -> Self {
        self.cos()
    }
}

/// How fast the state changes, for arms of length 1 with equal masses at their ends.
fn slope<T: Number>([a, b, u, v]: &[T; 4], gravity: &T) -> [T; 4] {
    let apart = a.clone() - b.clone();
    let (sine, cosine) = (apart.sine(), apart.cosine());
    let (u_squared, v_squared) = (u.clone() * u.clone(), v.clone() * v.clone());
    // 3 - cos 2(a - b)
    let inertia = sine.clone() * sine.clone() * 2.0 + 2.0;
    let pull = a.sine() * 3.0 + (a.clone() - b.clone() * 2.0).sine();
    let swing = v_squared.clone() + u_squared.clone() * cosine.clone();
    let by_u = gravity.clone() * pull * -1.0 - sine.clone() * swing * 2.0;
    let lift = u_squared * 2.0 + gravity.clone() * a.cosine() * 2.0 + v_squared * cosine;
    let by_v = sine * lift * 2.0;
    [u.clone(), v.clone(), by_u / inertia.clone(), by_v / inertia]
}

/// A step of the classical Runge-Kutta method.
fn step<T: Number>(state: &[T; 4], gravity: &T) -> [T; 4] {
    let after = |change: &[T; 4], h: f64| -> [T; 4] {
        std::array::from_fn(|i| state[i].clone() + change[i].clone() * h)
    };
    let first = slope(state, gravity);
    let second = slope(&after(&first, 0.5 * H), gravity);
    let third = slope(&after(&second, 0.5 * H), gravity);
    let fourth = slope(&after(&third, H), gravity);
    let sum: [T; 4] = std::array::from_fn(|i| {
        let middle = second[i].clone() + third[i].clone();
        first[i].clone() + middle * 2.0 + fourth[i].clone()
    });
    after(&sum, H / 6.0)
}

/// The first angle at the end.
pub fn end(start: [f64; 4], gravity: f64) -> f64 {
    (0..STEPS).fold(start, |state, _| step(&state, &gravity))[0]
}

/// The derivatives of the first angle at the end by the state at the start and by gravity.
pub type Way = fn() -> Result<[f64; 5], Box<dyn Error>>;

/// Each of them, by name.
pub const WAYS: [(&str, Way); 5] = [
    ("tape", on_a_tape),
    ("iterate", iterated),
    ("apply_function", as_calls),
    ("scan", scanned),
    ("scan, all kept", scanned_keeping_all),
];

/// Every operation of every step is recorded.
fn on_a_tape() -> Result<[f64; 5], Box<dyn Error>> {
    let tape = Tape::new();
    let (start, gravity) = (tape.vars(START), tape.var(GRAVITY));
    let end = (0..STEPS).fold(start, |state, _| step(&state, &gravity));
    let gradients = end[0].backward()?;
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
