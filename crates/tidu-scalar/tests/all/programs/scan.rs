//! Loops: values and derivatives against closed forms, tapes and each other; bits against spacings of
//! checkpoints; and what is said of wrong calls.

use std::ops::{Add, Mul, Sub};

use tidu_ad::{Function, FunctionError};
use tidu_scalar::{
    Expr, ProgramError, ScalarOp, Scan, ScanCotangents, ScanInputs, ScanOutputs, Tape, Var,
    function,
};

use crate::support::random::Random;

const STEPS: [usize; 7] = [0, 1, 2, 3, 13, 97, 10_000];

fn inputs<'a>(carry: &'a [f64], params: &'a [f64]) -> ScanInputs<'a> {
    ScanInputs {
        carry,
        params,
        xs: &[],
    }
}

fn scan<const N: usize>(step: &Function<ScalarOp>, carry: [&str; N]) -> Scan {
    Scan::new(step, carry).expect("a loop")
}

/// What comes out, and what goes back from these cotangents of what is carried.
fn there_and_back(
    scan: &Scan,
    steps: usize,
    given: ScanInputs<'_>,
    seed: &[f64],
) -> (Vec<f64>, ScanCotangents) {
    let (outputs, pullback) = scan.vjp(steps, given).expect("fits");
    assert_eq!(outputs, scan.call(steps, given).expect("fits"));
    (outputs.carry, pullback.call(seed, &[]).expect("fits"))
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(
            error <= tolerance * (1.0 + expected.abs()),
            "{found}, not {expected}"
        );
    }
}

fn assert_same_bits(found: &ScanCotangents, expected: &ScanCotangents, what: &str) {
    let bits = |all: &ScanCotangents| -> Vec<u64> {
        let xs = all.xs.iter().flatten();
        let numbers = all.carry.iter().chain(&all.params).chain(xs);
        numbers.map(|number| number.to_bits()).collect()
    };
    assert_eq!(bits(found), bits(expected), "{what}");
}

/// z ↦ w·z for complex z = x + i·y and w = a + i·b
fn rotation() -> Function<ScalarOp> {
    let step = function(["a", "x", "b", "y"], |[a, x, b, y]| {
        [&b * &x + &a * &y, &a * &x - &b * &y]
    });
    step.expect("a function")
}

/// (re, im) of w times z
fn times([a, b]: [f64; 2], [x, y]: [f64; 2]) -> [f64; 2] {
    [a * x - b * y, a * y + b * x]
}

/// zₙ = wⁿ·z, whose derivative by z is wⁿ and by w is n·wⁿ⁻¹·z; the adjoint of a product with a complex number
/// is that with its conjugate.
#[test]
fn powers_of_a_matrix() {
    let scan = scan(&rotation(), ["y", "x"]);
    assert_eq!(scan.carry_names(), ["y", "x"]);
    assert_eq!(scan.param_names(), ["a", "b"]);
    let (angle, z, seed): (f64, _, _) = (0.37, [0.6, -1.1], [0.3, 1.7]);
    let power = |n: f64| [(n * angle).cos(), (n * angle).sin()];
    let [a, b] = power(1.0);
    for steps in STEPS {
        let n = steps as f64;
        let params = [a, b];
        let given = inputs(&[-1.1, 0.6], &params);
        let (end, back) = there_and_back(&scan, steps, given, &[seed[1], seed[0]]);
        let tolerance = 1e-14 * (10.0 + n);
        let [x, y] = times(power(n), z);
        assert_near(&end, &[y, x], tolerance);
        let conjugate = |[x, y]: [f64; 2]| [x, -y];
        let [x, y] = times(conjugate(power(n)), seed);
        assert_near(&back.carry, &[y, x], tolerance);
        let by_w = times(conjugate(times(power(n - 1.0), z)), seed);
        assert_near(&back.params, &by_w.map(|part| n * part), tolerance);
    }
}

/// xₙ = sin²(2ⁿ·θ) for x = sin² θ under x ↦ 4·x·(1 - x): a state of one number and no parameters.
#[test]
fn the_logistic_map() {
    let step = function(["x"], |[x]| [4.0 * &x * (1.0 - &x)]).expect("a function");
    let scan = scan(&step, ["x"]);
    assert!(scan.param_names().is_empty());
    let angle = 0.4_f64;
    let start = angle.sin().powi(2);
    for steps in [0, 1, 2, 3, 7, 11] {
        let (end, back) = there_and_back(&scan, steps, inputs(&[start], &[]), &[1.0]);
        let scale = 2.0_f64.powi(steps as i32);
        let tolerance = 1e-15 * scale * 10.0;
        assert_near(&end, &[(scale * angle).sin().powi(2)], tolerance);
        let slope = scale * (2.0 * scale * angle).sin() / (2.0 * angle).sin();
        assert_near(&back.carry, &[slope], tolerance * scale);
        assert!(back.params.is_empty() && back.xs.is_empty());
    }
}

/// What the step below is written for: expressions and variables.
trait Number:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Mul<f64, Output = Self>
{
    fn sine(&self) -> Self;
}

impl Number for Expr {
    fn sine(&self) -> Self {
        self.sin()
    }
}

impl Number for Var<'_> {
    fn sine(&self) -> Self {
        self.sin()
    }
}

/// A pendulum with friction and a force, by the classical Runge-Kutta method.
fn swing<T: Number>([q, p]: [T; 2], friction: &T, force: &T) -> [T; 2] {
    const H: f64 = 0.05;
    let slope = |[q, p]: [T; 2]| [p.clone(), force.clone() - q.sine() - friction.clone() * p];
    let after = |[k, l]: &[T; 2], h: f64| [q.clone() + k.clone() * h, p.clone() + l.clone() * h];
    let first = slope([q.clone(), p.clone()]);
    let second = slope(after(&first, 0.5 * H));
    let third = slope(after(&second, 0.5 * H));
    let fourth = slope(after(&third, H));
    let mean = |at: usize| {
        let middle = second[at].clone() + third[at].clone();
        (first[at].clone() + middle * 2.0 + fourth[at].clone()) * (1.0 / 6.0)
    };
    after(&[mean(0), mean(1)], H)
}

/// (q, force, p, friction) ↦ (q', p', q'·p', q')
fn pendulum() -> Function<ScalarOp> {
    let step = function(
        ["q", "force", "p", "friction"],
        |[q, force, p, friction]| {
            let [q, p] = swing([q, p], &friction, &force);
            let product = &q * &p;
            [q.clone(), p, product, q]
        },
    );
    step.expect("a function")
}

/// Everything at once against the same on a tape: forcing, parameters, and a loss of all states.
#[test]
fn a_pendulum_as_on_a_tape() {
    let scan = scan(&pendulum(), ["q", "p"])
        .with_xs("force")
        .expect("an input");
    assert_eq!(
        (scan.xs_names(), scan.ys_names().len()),
        (vec!["force".to_owned()], 2)
    );
    let steps = 131;
    let mut random = Random::new(5);
    let mut numbers = |count: usize| Vec::from_iter((0..count).map(|_| random.between(-1.0, 1.0)));
    let (force, weights, others, seed) =
        (numbers(steps), numbers(steps), numbers(steps), numbers(2));

    let given = ScanInputs {
        carry: &[0.9, -0.2],
        xs: &[&force],
        params: &[0.15],
    };
    let (outputs, pullback) = scan.vjp(steps, given).expect("fits");
    let back = pullback.call(&seed, &[&weights, &others]).expect("fits");

    let tape = Tape::new();
    let [start_q, start_p, friction] = tape.vars([0.9, -0.2, 0.15]);
    let forces = tape.vars_of(&force);
    let (mut q, mut p, mut loss) = (start_q, start_p, Var::constant(0.0));
    for at in 0..steps {
        [q, p] = swing([q, p], &friction, &forces[at]);
        assert_near(
            &[outputs.ys[0][at], outputs.ys[1][at]],
            &[(q * p).value(), q.value()],
            1e-13,
        );
        loss += weights[at] * q * p + others[at] * q;
    }
    assert_near(&outputs.carry, &[q.value(), p.value()], 1e-13);
    let gradients = (loss + seed[0] * q + seed[1] * p)
        .backward()
        .expect("a gradient");
    assert_near(
        &back.carry,
        &[gradients[start_q], gradients[start_p]],
        1e-12,
    );
    assert_near(&back.params, &[gradients[friction]], 1e-12);
    let by_force = gradients.wrt(&forces).expect("variables of the tape");
    assert_near(&back.xs[0], &by_force, 1e-12);
}

/// ⟨s, J·t⟩ = ⟨Jᵀ·s, t⟩ with random s and t, and J·t against a quotient of differences.
#[test]
fn forward_and_backward_are_adjoint() {
    let scan = scan(&pendulum(), ["q", "p"]).with_xs(1).expect("an input");
    let forward = scan.jvp().expect("a JVP");
    assert_eq!(forward.carry_names().len(), 4);
    let mut random = Random::new(8);
    for steps in [0, 1, 2, 29, 64] {
        let mut numbers =
            |count: usize| Vec::from_iter((0..count).map(|_| random.between(-1.0, 1.0)));
        let (carry, force, params) = (numbers(2), numbers(steps), numbers(1));
        let (d_carry, d_force, d_params) = (numbers(2), numbers(steps), numbers(1));
        let (s_carry, s_product, s_q) = (numbers(2), numbers(steps), numbers(steps));
        let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };

        let given = ScanInputs {
            carry: &[&carry[..], &d_carry].concat(),
            xs: &[&force, &d_force],
            params: &[params[0], d_params[0]],
        };
        let tangents = forward.call(steps, given).expect("fits");
        let (values, moved) = tangents.carry.split_at(2);
        let along =
            dot(moved, &s_carry) + dot(&tangents.ys[2], &s_product) + dot(&tangents.ys[3], &s_q);

        let given = ScanInputs {
            carry: &carry,
            xs: &[&force],
            params: &params,
        };
        let (outputs, pullback) = scan.vjp(steps, given).expect("fits");
        assert_near(values, &outputs.carry, 0.0);
        assert_eq!(tangents.ys[..2], outputs.ys);
        let back = pullback.call(&s_carry, &[&s_product, &s_q]).expect("fits");
        let across =
            dot(&back.carry, &d_carry) + dot(&back.xs[0], &d_force) + dot(&back.params, &d_params);
        assert_near(&[across], &[along], 1e-12);

        let at = |h: f64| {
            let moved = |x: &[f64], d: &[f64]| -> Vec<f64> {
                x.iter().zip(d).map(|(x, d)| x + h * d).collect()
            };
            let given = ScanInputs {
                carry: &moved(&carry, &d_carry),
                xs: &[&moved(&force, &d_force)],
                params: &moved(&params, &d_params),
            };
            let ScanOutputs { carry, ys } = scan.call(steps, given).expect("fits");
            dot(&carry, &s_carry) + dot(&ys[0], &s_product) + dot(&ys[1], &s_q)
        };
        let quotient = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert_near(&[along], &[quotient], 1e-7);
    }
}

/// xₙ = aⁿ·x: its second derivatives by a in a direction, going backward through the JVP.
#[test]
fn second_derivatives() {
    let step = function(["x", "a"], |[x, a]| [x * a]).expect("a function");
    let forward = scan(&step, ["x"]).jvp().expect("a JVP");
    let (a, x) = (1.01_f64, 0.7);
    for n in [0, 1, 2, 3, 40] {
        let (carry, params) = ([x, 0.0], [a, 1.0]);
        let given = inputs(&carry, &params);
        let (end, back) = there_and_back(&forward, n as usize, given, &[0.0, 1.0]);
        let power = |k: i32| a.powi(n - k) * x;
        let (first, second) = (f64::from(n), f64::from(n * (n - 1)));
        assert_near(&end, &[power(0), first * power(1)], 1e-13);
        assert_near(&back.params, &[second * power(2), first * power(1)], 1e-12);
        assert_near(&back.carry, &[first * a.powi(n - 1), a.powi(n)], 1e-13);
    }
}

/// Where checkpoints are changes nothing, and a pullback may be called again.
#[test]
fn spacings_of_checkpoints_give_the_same_bits() {
    let mut random = Random::new(9);
    for steps in [0, 1, 2, 13, 36] {
        let mut numbers =
            |count: usize| Vec::from_iter((0..count).map(|_| random.between(-1.0, 1.0)));
        let (force, weights) = (numbers(steps), numbers(steps));
        let given = ScanInputs {
            carry: &[0.3, 1.1],
            xs: &[&force],
            params: &[0.2],
        };
        let ys: [&[f64]; 2] = [&weights, &force];
        let scan = scan(&pendulum(), ["q", "p"])
            .with_xs("force")
            .expect("an input");
        let (_, pullback) = scan.vjp(steps, given).expect("fits");
        let expected = pullback.call(&[1.0, -2.0], &ys).expect("fits");
        let again = pullback.call(&[1.0, -2.0], &ys).expect("fits");
        assert_same_bits(&again, &expected, "called again");
        for every in (0..=steps + 1).chain([usize::MAX]) {
            let scan = scan.clone().checkpoint_every(every);
            let (_, pullback) = scan.vjp(steps, given).expect("fits");
            let found = pullback.call(&[1.0, -2.0], &ys).expect("fits");
            assert_same_bits(&found, &expected, &format!("{steps} steps, every {every}"));
        }
    }
}

#[test]
fn what_has_no_influence_and_what_is_no_number() {
    let step = function(["x", "unused", "a"], |[x, _, a]| [x * a]).expect("a function");
    let scan = scan(&step, ["x"]);
    let (end, back) = there_and_back(&scan, 5, inputs(&[1.0], &[f64::NAN, 2.0]), &[1.0]);
    assert_eq!((end[0], back.carry[0]), (32.0, 32.0));
    assert_eq!(back.params, [0.0, 80.0]);
    for given in [
        inputs(&[f64::NAN], &[0.0, 2.0]),
        inputs(&[1.0], &[0.0, f64::NAN]),
    ] {
        let (outputs, pullback) = scan.vjp(5, given).expect("fits");
        let back = pullback.call(&[1.0], &[]).expect("fits");
        assert!(outputs.carry[0].is_nan() && back.params[1].is_nan());
        assert_eq!(back.params[0], 0.0);
    }
    let (_, pullback) = scan.vjp(5, inputs(&[1.0], &[0.0, 2.0])).expect("fits");
    let back = pullback.call(&[f64::NAN], &[]).expect("fits");
    assert!(back.carry[0].is_nan() && back.params[1].is_nan());
}

/// A step that hands on an input as it is, or forgets what it is given.
#[test]
fn steps_that_copy_and_forget() {
    let step = function(["x", "a"], |[x, a]| [a, x]).expect("a function");
    let scan = scan(&step, ["x"]);
    let (outputs, pullback) = scan.vjp(3, inputs(&[7.0], &[2.0])).expect("fits");
    assert_eq!(outputs.carry, [2.0]);
    assert_eq!(outputs.ys, [[7.0, 2.0, 2.0]]);
    let back = pullback
        .call(&[10.0], &[&[1.0, 20.0, 300.0]])
        .expect("fits");
    assert_eq!((back.carry, back.params), (vec![1.0], vec![330.0]));
}

#[test]
fn loops_are_shared_by_threads() {
    let scan = scan(&rotation(), ["y", "x"]);
    let back =
        |scan: &Scan| there_and_back(scan, 50, inputs(&[1.0, 2.0], &[0.8, 0.6]), &[1.0, 1.0]);
    let expected = back(&scan);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(back(&scan), expected));
        }
    });
}

#[test]
fn wrong_loops() {
    let step = rotation();
    let error = |found: Result<Scan, ProgramError>| found.unwrap_err();
    let cases = [
        (
            error(Scan::new(&step, ["y", "x", "a"])),
            "the step carries 3 inputs (y, x, a), whose next values must be its first outputs, found 2 \
             outputs (out0, out1)",
        ),
        (
            error(Scan::new(&step, ["y", "z"])),
            "the function has no input z; its inputs are a, x, b, y",
        ),
        (
            error(Scan::new(&step, ["y", "y"])),
            "input y is named twice",
        ),
        (
            error(Scan::new(&step, Vec::<usize>::new())),
            "nothing is carried from step to step: name the inputs of the step whose next values it returns",
        ),
        (
            error(scan(&step, ["y", "x"]).with_xs(["a", "y"])),
            "y is carried from step to step, so it cannot be among the xs, which are read anew in each",
        ),
        (
            error(scan(&step, ["y", "x"]).with_xs(9)),
            "the function has no input at position 9; its inputs are a, x, b, y",
        ),
    ];
    for (error, text) in cases {
        assert_eq!(error.to_string(), text);
    }
    let repeated = FunctionError::RepeatedInput { name: "y".into() };
    assert_eq!(error(Scan::new(&step, ["y", "y"])), repeated.into());
    // No xs at all is no mistake.
    let none = scan(&step, ["y", "x"]).with_xs(Vec::<usize>::new());
    assert!(none.expect("a loop").xs_names().is_empty());
}

#[test]
fn wrong_inputs() {
    let scan = scan(&pendulum(), ["q", "p"])
        .with_xs("force")
        .expect("an input");
    let fine = ScanInputs {
        carry: &[0.0, 1.0],
        xs: &[&[0.5, 0.25]],
        params: &[0.1],
    };
    let said = |found: Result<ScanOutputs, ProgramError>| found.unwrap_err().to_string();
    let (carry, xs, params) = (&[0.0][..], &[][..], &[0.1, 0.2][..]);
    assert_eq!(
        said(scan.call(2, ScanInputs { carry, ..fine })),
        "numbers to carry: the scan takes 2 (q, p), found 1"
    );
    assert_eq!(
        said(scan.call(2, ScanInputs { xs, ..fine })),
        "slices of xs: the scan takes 1 (force), found 0"
    );
    assert_eq!(
        said(scan.call(2, ScanInputs { params, ..fine })),
        "parameters: the scan takes 1 (friction), found 2"
    );
    assert_eq!(
        said(scan.call(3, fine)),
        "force has 2 numbers for 3 steps: it takes one number for each step"
    );
    let error = scan.vjp(3, fine).unwrap_err();
    assert_eq!(
        error,
        ProgramError::WrongScanLength {
            name: "force".into(),
            expected: 3,
            found: 2
        }
    );
    let (_, pullback) = scan.vjp(2, fine).expect("fits");
    let said = |carry: &[f64], ys: &[&[f64]]| pullback.call(carry, ys).unwrap_err().to_string();
    assert_eq!(
        said(&[], &[&[0.0; 2], &[0.0; 2]]),
        "cotangents of what is carried: the scan takes 2 (q, p), found 0"
    );
    assert_eq!(
        said(&[0.0; 2], &[]),
        "slices of cotangents of ys: the scan takes 2 (out2, out3), found 0"
    );
    assert_eq!(
        said(&[0.0; 2], &[&[0.0; 2], &[0.0]]),
        "out3 has 1 number for 2 steps: it takes one number for each step"
    );
}

/// Names are cut where there are many.
#[test]
fn many_names() {
    let names: Vec<String> = (0..40).map(|at| format!("x{at}")).collect();
    let lines: Vec<String> = (0..40)
        .map(|at| format!("    input %{at} = x{at}\n"))
        .collect();
    let step = format!("function {{\n{}    output %0 -> y\n}}", lines.concat());
    let step: Function<ScalarOp> = step.parse().expect("a function");
    let error = Scan::new(&step, names).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the step carries 40 inputs (x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 and 28 more), whose next \
         values must be its first outputs, found 1 output (y)"
    );
}
