//! Variables with operators: every operator and method against difference quotients of the same thing
//! written on numbers, orders against closed forms, and what is said when something is wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidu_ad::{Function, Mode, Rules};
use tidu_eager::{EagerError, Forgotten};
use tidu_scalar::{
    ScalarOp, Tape, Var, derivative, function, grad, hessian, hvp, jacobian, jacobian_in, jvp,
    value_and_grad, value_and_jacobian, value_and_jacobian_in,
};

type OnVars = for<'t> fn(Var<'t>, Var<'t>) -> Var<'t>;
type OnNumbers = fn(f64, f64) -> f64;

#[track_caller]
fn assert_near(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= tolerance * (1.0 + expected.abs()),
        "{found}, not {expected}"
    );
}

/// f′(x) from four points, of fourth order.
fn quotient(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-3;
    let pair = |h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
    (4.0 * pair(h) - pair(2.0 * h)) / 3.0
}

#[track_caller]
fn check(name: &str, on_vars: OnVars, on_numbers: OnNumbers, [x, y]: [f64; 2]) {
    let tape = Tape::new();
    let [a, b] = tape.vars([x, y]);
    let found = on_vars(a, b);
    let expected = on_numbers(x, y);
    assert_near(found.value(), expected, 1e-14);
    let gradients = found.backward().expect(name);
    let by_x = quotient(|x| on_numbers(x, y), x);
    let by_y = quotient(|y| on_numbers(x, y), y);
    let found = gradients.wrt(&[a, b]).expect(name);
    assert!(
        (found[0] - by_x).abs() < 1e-7 * (1.0 + by_x.abs()),
        "{name} by x: {found:?}, not {by_x}"
    );
    assert!(
        (found[1] - by_y).abs() < 1e-7 * (1.0 + by_y.abs()),
        "{name} by y: {found:?}, not {by_y}"
    );
    // Forward mode, in a direction with unequal parts.
    let (value, slope) = jvp(|x| on_vars(x[0], x[1]), &[x, y], &[0.7, -1.9]).expect(name);
    assert_near(value, expected, 1e-14);
    assert_near(slope, 0.7 * by_x - 1.9 * by_y, 1e-6);
}

#[test]
#[allow(clippy::op_ref, reason = "what is tested")]
fn operators() {
    let cases: [(&str, OnVars, OnNumbers); 40] = [
        ("x + y", |x, y| x + y, |x, y| x + y),
        ("x + &y", |x, y| x + &y, |x, y| x + y),
        ("&x + y", |x, y| &x + y, |x, y| x + y),
        ("&x + &y", |x, y| &x + &y, |x, y| x + y),
        ("x - y", |x, y| x - y, |x, y| x - y),
        ("&x - &y", |x, y| &x - &y, |x, y| x - y),
        ("x * y", |x, y| x * y, |x, y| x * y),
        ("&x * y", |x, y| &x * y, |x, y| x * y),
        ("x / y", |x, y| x / y, |x, y| x / y),
        ("x / &y", |x, y| x / &y, |x, y| x / y),
        ("x % y", |x, y| x % y, |x, y| x % y),
        ("-x", |x, _| -x, |x, _| -x),
        ("-&x", |x, _| -&x, |x, _| -x),
        ("x + 2", |x, _| x + 2.5, |x, _| x + 2.5),
        ("2 + x", |x, _| 2.5 + x, |x, _| 2.5 + x),
        ("x - 2", |x, _| x - 2.5, |x, _| x - 2.5),
        ("2 - x", |x, _| 2.5 - x, |x, _| 2.5 - x),
        ("x * 2", |x, _| x * 2.5, |x, _| x * 2.5),
        ("2 * &x", |x, _| 2.5 * &x, |x, _| 2.5 * x),
        ("x / 2", |x, _| x / 2.5, |x, _| x / 2.5),
        ("2 / x", |x, _| 2.5 / x, |x, _| 2.5 / x),
        ("&x % 0.4", |x, _| &x % 0.4, |x, _| x % 0.4),
        (
            "x += y",
            |mut x, y| {
                x += y;
                x
            },
            |x, y| x + y,
        ),
        (
            "x += &y",
            |mut x, y| {
                x += &y;
                x
            },
            |x, y| x + y,
        ),
        (
            "x += 2",
            |mut x, _| {
                x += 2.5;
                x
            },
            |x, _| x + 2.5,
        ),
        (
            "x -= y",
            |mut x, y| {
                x -= y;
                x
            },
            |x, y| x - y,
        ),
        (
            "x -= 2",
            |mut x, _| {
                x -= 2.5;
                x
            },
            |x, _| x - 2.5,
        ),
        (
            "x *= y",
            |mut x, y| {
                x *= y;
                x
            },
            |x, y| x * y,
        ),
        (
            "x *= x",
            |mut x, _| {
                x *= x;
                x
            },
            |x, _| x * x,
        ),
        (
            "x /= y",
            |mut x, y| {
                x /= y;
                x
            },
            |x, y| x / y,
        ),
        (
            "x /= 2",
            |mut x, _| {
                x /= 2.5;
                x
            },
            |x, _| x / 2.5,
        ),
        (
            "x %= y",
            |mut x, y| {
                x %= y;
                x
            },
            |x, y| x % y,
        ),
        (
            "sum",
            |x, y| [x, y, x].into_iter().sum(),
            |x, y| 2.0 * x + y,
        ),
        (
            "sum of references",
            |x, y| [x, y, x].iter().sum(),
            |x, y| 2.0 * x + y,
        ),
        (
            "product",
            |x, y| [x, y, x].into_iter().product(),
            |x, y| x * y * x,
        ),
        (
            "product of references",
            |x, y| [x, y].iter().product(),
            |x, y| x * y,
        ),
        (
            "constants on both sides",
            |x, _| Var::from(2.0) * 3.0 * x,
            |x, _| 6.0 * x,
        ),
        (
            "pair",
            |x, y| {
                let (s, c) = x.sin_cos();
                s * y + c
            },
            |x, y| x.sin() * y + x.cos(),
        ),
        (
            "used twice",
            |x, y| x.exp() + x * x.exp() * y,
            |x, y| x.exp() + x * x.exp() * y,
        ),
        ("detached", |x, y| x * y + 0.0 * x.detach(), |x, y| x * y),
    ];
    for (name, on_vars, on_numbers) in cases {
        check(name, on_vars, on_numbers, [0.7, 1.3]);
        check(name, on_vars, on_numbers, [1.9, -0.45]);
    }
}

#[test]
#[allow(
    clippy::needless_borrows_for_generic_args,
    reason = "references become operands too"
)]
fn methods() {
    let cases: [(&str, OnVars, OnNumbers); 51] = [
        ("recip", |x, _| x.recip(), |x, _| 1.0 / x),
        ("abs", |x, _| (-x).abs(), |x, _| x.abs()),
        ("sign", |x, y| x.sign() * y, |_, y| y),
        ("floor", |x, y| x.floor() + y, |x, y| x.floor() + y),
        ("ceil", |x, y| x.ceil() + y, |x, y| x.ceil() + y),
        ("round", |x, y| x.round() + y, |x, y| x.round() + y),
        (
            "round_ties_even",
            |x, y| x.round_ties_even() + y,
            |x, y| x.round_ties_even() + y,
        ),
        ("trunc", |x, y| x.trunc() + y, |x, y| x.trunc() + y),
        ("sqrt", |x, _| x.sqrt(), |x, _| x.sqrt()),
        ("cbrt", |x, _| x.cbrt(), |x, _| x.cbrt()),
        ("exp", |x, _| x.exp(), |x, _| x.exp()),
        ("exp2", |x, _| x.exp2(), |x, _| x.exp2()),
        ("exp_m1", |x, _| x.exp_m1(), |x, _| x.exp_m1()),
        (
            "exp_neg_square",
            |x, _| x.exp_neg_square(),
            |x, _| (-x * x).exp(),
        ),
        ("ln", |x, _| x.ln(), |x, _| x.ln()),
        ("log2", |x, _| x.log2(), |x, _| x.log2()),
        ("log10", |x, _| x.log10(), |x, _| x.log10()),
        ("ln_1p", |x, _| x.ln_1p(), |x, _| x.ln_1p()),
        (
            "sigmoid",
            |x, _| x.sigmoid(),
            |x, _| 1.0 / (1.0 + (-x).exp()),
        ),
        ("softplus", |x, _| x.softplus(), |x, _| x.exp().ln_1p()),
        ("sin", |x, _| x.sin(), |x, _| x.sin()),
        ("cos", |x, _| x.cos(), |x, _| x.cos()),
        ("tan", |x, _| x.tan(), |x, _| x.tan()),
        ("asin", |x, _| x.asin(), |x, _| x.asin()),
        ("acos", |x, _| x.acos(), |x, _| x.acos()),
        ("atan", |x, _| x.atan(), |x, _| x.atan()),
        ("sinh", |x, _| x.sinh(), |x, _| x.sinh()),
        ("cosh", |x, _| x.cosh(), |x, _| x.cosh()),
        ("tanh", |x, _| x.tanh(), |x, _| x.tanh()),
        (
            "sech_square",
            |x, _| x.sech_square(),
            |x, _| x.cosh().powi(-2),
        ),
        ("asinh", |x, _| x.asinh(), |x, _| x.asinh()),
        ("acosh", |x, _| (x + 1.0).acosh(), |x, _| (x + 1.0).acosh()),
        ("atanh", |x, _| x.atanh(), |x, _| x.atanh()),
        (
            "stop_gradient",
            |x, y| x.stop_gradient() + y,
            |_, y| 0.6 + y,
        ),
        ("powi", |x, _| x.powi(3), |x, _| x.powi(3)),
        ("powf", |x, _| x.powf(1.7), |x, _| x.powf(1.7)),
        (
            "min",
            |x, y| x.min(y) + y.min(2.0),
            |x, y| x.min(y) + y.min(2.0),
        ),
        (
            "max",
            |x, y| x.max(&y) + y.max(2.0),
            |x, y| x.max(y) + y.max(2.0),
        ),
        ("hypot", |x, y| x.hypot(y), |x, y| x.hypot(y)),
        ("direction", |x, y| x.direction(y), |x, y| x / x.hypot(y)),
        ("pow", |x, y| x.pow(y), |x, y| x.powf(y)),
        ("atan2", |x, y| x.atan2(y), |x, y| x.atan2(y)),
        (
            "logaddexp",
            |x, y| x.logaddexp(y),
            |x, y| (x.exp() + y.exp()).ln(),
        ),
        (
            "sigmoid_sub",
            |x, y| x.sigmoid_sub(y),
            |x, y| 1.0 / (1.0 + (y - x).exp()),
        ),
        (
            "mul_add",
            |x, y| x.mul_add(y, 2.0),
            |x, y| x.mul_add(y, 2.0),
        ),
        (
            "mul_add 2",
            |x, y| x.mul_add(3.0, y),
            |x, y| x.mul_add(3.0, y),
        ),
        ("less", |x, y| x.less(y) * x + y.less_equal(x), |x, _| x),
        (
            "greater",
            |x, y| x.greater(y) + y.greater_equal(x) * y,
            |_, y| y,
        ),
        ("equal", |x, y| x.equal(x) * y + x.not_equal(x), |_, y| y),
        (
            "keep_if",
            |x, y| x.keep_if(y.greater(x)) + x.keep_if(0.0),
            |x, _| x,
        ),
        (
            "select",
            |x, y| x.less(y).select(x.sin(), y.exp()),
            |x, _| x.sin(),
        ),
    ];
    for (name, on_vars, on_numbers) in cases {
        // stop_gradient stands for the number at 0.6.
        check(name, on_vars, on_numbers, [0.6, 1.3]);
    }
    // Slopes in closed form: the values have none on numbers.
    let slope = |f: fn(Var<'_>) -> Var<'_>| derivative(f, 0.5).expect("a derivative");
    let at_half = 2.0 / std::f64::consts::PI.sqrt() * (-0.25_f64).exp();
    assert_near(slope(|x| x.erf()), at_half, 1e-14);
    assert_near(slope(|x| x.erfc()), -at_half, 1e-14);
    // ψ(1/2) = -γ - 2·ln 2, ψ′(1/2) = π²/2, ψ″(1/2) = -14·ζ(3)
    let euler = 0.577_215_664_901_532_9;
    assert_near(slope(|x| x.lgamma()), -euler - 2.0 * 2.0_f64.ln(), 1e-14);
    assert_near(
        slope(|x| x.digamma()),
        std::f64::consts::PI.powi(2) / 2.0,
        1e-14,
    );
    let zeta = 1.202_056_903_159_594_2;
    assert_near(slope(|x| x.polygamma(1)), -14.0 * zeta, 1e-14);
}

#[test]
fn values_compare_like_numbers() {
    let tape = Tape::new();
    let [x, y] = tape.vars([1.0, 2.0]);
    assert!(x < y && x <= 1.0 && y > 1.5 && x != y && x == 1.0 && y == 2.0);
    assert!(x.partial_cmp(&f64::NAN).is_none());
    assert_eq!((format!("{x}"), y.value()), ("1".into(), 2.0));
    // Choosing by value takes the branch that is then differentiated.
    let larger = if x > y { x * 3.0 } else { y * 5.0 };
    let gradients = larger.backward().expect("a path");
    assert_eq!((gradients[x], gradients[y]), (0.0, 5.0));
}

#[test]
fn gradients_by_any_variable() {
    let tape = Tape::new();
    let [x, y, unused] = tape.vars([0.5, 2.0, 9.0]);
    let sin = x.sin();
    let z = sin * sin * y;
    let later = z.exp();
    let gradients = z.backward().expect("a path");
    assert_near(
        gradients[x],
        2.0 * 0.5_f64.sin() * 0.5_f64.cos() * 2.0,
        1e-15,
    );
    assert_near(gradients[sin], 2.0 * 0.5_f64.sin() * 2.0, 1e-15);
    assert_eq!(
        (gradients[z], gradients[unused], gradients[later]),
        (1.0, 0.0, 0.0)
    );
    assert_eq!(gradients[tape.var(1.0)], 0.0);
    // Again, and from elsewhere: nothing was freed.
    assert_eq!(z.backward().expect("again")[x], gradients[x]);
    assert_eq!(sin.backward().expect("a path")[x], 0.5_f64.cos());
}

#[test]
fn higher_orders() {
    // x·sin x, up to order four.
    let tape = Tape::new();
    let v = 0.8_f64;
    let x = tape.var(v);
    let (s, c) = (v.sin(), v.cos());
    let mut f = x * x.sin();
    for expected in [
        s + v * c,
        2.0 * c - v * s,
        -3.0 * s - v * c,
        -4.0 * c + v * s,
    ] {
        f = f.gradient(&[x]).expect("a derivative")[0];
        assert_near(f.value(), expected, 1e-14);
    }
    // A gradient inside of a function that is differentiated: d/dx (d/dy x²y³)² at (2, 3).
    let [x, y] = tape.vars([2.0, 3.0]);
    let inner = (x * x * y.powi(3)).gradient(&[y]).expect("a path")[0];
    let gradients = (inner * inner).backward().expect("a path");
    // (3x²y²)² = 9x⁴y⁴
    assert_near(gradients[x], 36.0 * 8.0 * 81.0, 1e-14);
    assert_near(gradients[y], 36.0 * 16.0 * 27.0, 1e-14);
}

fn linear<'t>(x: &[Var<'t>]) -> Var<'t> {
    3.0 * x[0] - x[1]
}

/// A function with all second derivatives different: x²y + sin(y·z) + z³x
fn polynomial<'t>(x: &[Var<'t>]) -> Var<'t> {
    x[0] * x[0] * x[1] + (x[1] * x[2]).sin() + x[2].powi(3) * x[0]
}

#[test]
fn closures() {
    let at = [1.5, -0.5, 0.25];
    let [x, y, z]: [f64; 3] = at;
    let (s, c) = ((y * z).sin(), (y * z).cos());
    let gradient = [
        2.0 * x * y + z.powi(3),
        x * x + z * c,
        y * c + 3.0 * z * z * x,
    ];
    let second = [
        [2.0 * y, 2.0 * x, 3.0 * z * z],
        [2.0 * x, -z * z * s, c - y * z * s],
        [3.0 * z * z, c - y * z * s, 6.0 * z * x - y * y * s],
    ];
    let direction = [0.3, -1.1, 2.3];
    let along = |row: &[f64; 3]| row.iter().zip(&direction).map(|(a, b)| a * b).sum::<f64>();

    let (value, found) = value_and_grad(polynomial, &at).expect("fine");
    assert_near(value, x * x * y + s + z.powi(3) * x, 1e-15);
    for (found, expected) in found.iter().zip(gradient) {
        assert_near(*found, expected, 1e-14);
    }
    assert_eq!(grad(polynomial, &at).expect("fine"), found);
    let (_, slope) = jvp(polynomial, &at, &direction).expect("fine");
    assert_near(slope, along(&gradient), 1e-14);
    let mut tape = Tape::new();
    for _ in 0..2 {
        let products = tape.hvp(polynomial, &at, &direction).expect("fine");
        let rows = tape.hessian(polynomial, &at).expect("fine");
        for ((product, row), expected) in products.iter().zip(&rows).zip(&second) {
            assert_near(*product, along(expected), 1e-14);
            for (found, expected) in row.iter().zip(expected) {
                assert_near(*found, *expected, 1e-14);
            }
        }
    }
    assert_eq!(hvp(polynomial, &at, &direction).expect("fine").len(), 3);
    assert_eq!(hessian(linear, &[1.0, 2.0]).expect("fine"), [[0.0; 2]; 2]);
    assert_eq!(
        hvp(linear, &[1.0, 2.0], &[1.0, 1.0]).expect("fine"),
        [0.0; 2]
    );
    let rows = jacobian(|x| vec![x[0] * x[1], Var::constant(7.0), x[1]], &[2.0, 3.0]);
    assert_eq!(rows.expect("fine"), [[3.0, 2.0], [0.0, 0.0], [0.0, 1.0]]);
    assert_eq!(grad(|_| Var::constant(1.0), &[2.0]).expect("fine"), [0.0]);
    assert_eq!(
        jvp(|_| Var::constant(1.0), &[2.0], &[1.0]).expect("fine"),
        (1.0, 0.0)
    );
    assert_eq!(grad(|_| Var::constant(1.0), &[]).expect("fine"), [0.0; 0]);
}

/// Logistic growth, v ↦ v + h·v·(1 - v), on anything.
fn step<'t>(v: Var<'t>) -> Var<'t> {
    v + 0.01 * v * (1.0 - v)
}

#[test]
fn checkpoints() {
    let (steps, start) = (400, 0.1);
    let tape = Tape::new();
    let x = tape.var(start);
    let plain = (0..steps).fold(x, |v, _| step(v));
    let expected = plain.backward().expect("a path")[x];
    // d/dv of a step is 1 + h·(1 - 2v).
    let by_hand = (0..steps).fold((start, 1.0), |(v, dv), _| {
        (
            v + 0.01 * v * (1.0 - v),
            dv * (1.0 + 0.01 * (1.0 - 2.0 * v)),
        )
    });
    assert_near(expected, by_hand.1, 1e-13);

    let repeated = tape
        .iterate(steps, &[x], |v, _| vec![step(v[0])])
        .expect("fine");
    assert_eq!(repeated[0].value().to_bits(), plain.value().to_bits());
    let found = repeated[0].backward().expect("a path")[x];
    assert_eq!(found.to_bits(), expected.to_bits());
    let (_, forward) =
        jvp(|x| (0..steps).fold(x[0], |v, _| step(v)), &[start], &[2.0]).expect("fine");
    assert_near(forward, 2.0 * by_hand.1, 1e-13);
    // Forward over segments, and forward over gradients of segments.
    let halves = tape
        .checkpoint(&[x], |x| vec![x[0].sin() * x[0], x[0].cos()])
        .expect("fine");
    let y = halves[0] * halves[1];
    let moving = tape.with(|tape| {
        let mark = tape.mark();
        let leaf = tape.leaf(0.1);
        let y = tape.checkpoint(&[&leaf], |tape, x| tape.apply(ScalarOp::Sin, &[&x[0]]))?;
        let found = tape.tangents(&[(&leaf, 3.0)], &[&y[0]])?;
        tape.rewind(mark)?;
        Ok::<_, EagerError>(found)
    });
    assert_near(
        moving.expect("fine")[0].expect("a path"),
        3.0 * 0.1_f64.cos(),
        1e-15,
    );
    let (s, c) = (start.sin(), start.cos());
    let slope = y.gradient(&[x]).expect("a path")[0];
    assert_near(slope.value(), s * c + start * (c * c - s * s), 1e-14);
}

#[test]
fn a_panic_inside_a_checkpoint_leaves_the_tape_as_it_was() {
    let tape = Tape::new();
    let x = tape.var(0.5);
    let y = x.sin();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        tape.checkpoint(&[y], |_| panic!("on purpose"))
    }));
    assert!(caught.is_err());
    let caught = catch_unwind(AssertUnwindSafe(|| tape.no_grad(|| panic!("on purpose"))));
    assert!(caught.is_err());
    let z = y * y;
    let expected = 2.0 * 0.5_f64.sin() * 0.5_f64.cos();
    assert_near(z.backward().expect("a path")[x], expected, 1e-15);
}

#[test]
fn memory_is_used_again() {
    let mut tape = Tape::new();
    let mut held = Vec::new();
    for _ in 0..3 {
        tape.clear();
        let x = tape.var(0.3);
        let y = (0..1000).fold(x, |v, _| v + 1e-3 * v.sin());
        y.backward().expect("a path");
        held.push(tape.memory());
    }
    assert_eq!(held[1], held[2]);
    let inside = Tape::new();
    let x = inside.var(1.0);
    for _ in 0..100 {
        let slope = inside.scope(|| (x * x * x).backward().expect("a path")[x]);
        assert_eq!(slope.expect("fine"), 3.0);
    }
    assert!(inside.memory() < 4000, "{}", inside.memory());
    assert_eq!((x * x).backward().expect("a path")[x], 2.0);
}

#[test]
fn constants_record_nothing() {
    let tape = Tape::new();
    let x = tape.var(2.0);
    let before = format!("{tape:?}");
    let c = Var::constant(3.0) * 2.0 + tape.no_grad(|| x * x) - x.detach().exp();
    assert!(!c.requires_grad());
    assert_eq!(c.value(), 10.0 - 2.0_f64.exp());
    assert_eq!(format!("{tape:?}"), before);
    let (s, _) = Var::constant(0.5).sin_cos();
    assert_eq!(s.value(), 0.5_f64.sin());
    // A number beside a variable takes a call, and no call of its own.
    let _ = 2.0 * x;
    assert!(format!("{tape:?}").contains("calls: 2"), "{tape:?}");
}

#[test]
fn functions_are_applied() {
    let square = function(["v"], |[v]| [&v * &v]).expect("a function");
    let tape = Tape::new();
    let x = tape.var(0.7);
    let y = tape.apply_function(&square, &[x.sin()]).expect("fine")[0];
    let expected = 2.0 * 0.7_f64.sin() * 0.7_f64.cos();
    assert_near(y.backward().expect("a path")[x], expected, 1e-15);
}

#[test]
fn hooks() {
    let tape = Tape::new();
    let x = tape.var(3.0);
    let double = x * 2.0;
    double
        .hook(|gradient| Some(gradient * 10.0))
        .expect("a variable");
    assert_eq!(
        (double * double).backward().expect("a path")[x],
        2.0 * 10.0 * 12.0
    );
}

#[test]
fn hooks_and_second_derivatives() {
    // x⁴, its gradient by y = x² looked at, clipped where it is not too large, or doubled
    type Hook = fn(f64) -> Option<f64>;
    for hook in [(|_| None) as Hook, |g| Some(g), |g| Some(g.min(1e6))] {
        let found = hessian(|x| with_hook(x[0], hook), &[3.0]).expect("fine");
        assert_eq!(found, [[108.0]]);
        let found = hvp(|x| with_hook(x[0], hook), &[3.0], &[0.5]).expect("fine");
        assert_eq!(found, [54.0]);
    }
    let double: Hook = |g| Some(2.0 * g);
    let errors = [
        hessian(|x| with_hook(x[0], double), &[3.0]).expect_err("unknown"),
        hvp(|x| with_hook(x[0], double), &[3.0], &[1.0]).expect_err("unknown"),
    ];
    for error in errors {
        assert!(
            matches!(error, EagerError::ReplacedGradient { location } if location.file() == file!()),
            "{error}"
        );
    }
    assert_eq!(grad(|x| with_hook(x[0], double), &[3.0]), Ok(vec![216.0]));
    // As a part of the gradient: 8x³, which is 24x² forward; backward, the hook acts again.
    let found = hvp(|x| doubled(x[0]), &[3.0], &[1.0]).expect("fine");
    assert_eq!(found, [216.0]);
    let found = hessian(|x| doubled(x[0]), &[3.0]).expect("fine");
    assert_eq!(found, [[360.0]]);
}

fn with_hook(x: Var<'_>, hook: fn(f64) -> Option<f64>) -> Var<'_> {
    let y = x * x;
    y.hook(hook).expect("a variable");
    y * y
}

fn doubled(x: Var<'_>) -> Var<'_> {
    let y = x * x;
    y.hook_recorded(|g| Some(g + g)).expect("a variable");
    y * y
}

#[test]
fn orders_of_polynomials_do_not_end() {
    let tape = Tape::new();
    let x = tape.var(5.0);
    let mut y = x * x * x + 2.0 * x;
    let mut found = Vec::new();
    for k in 1..=6 {
        y = y.gradient(&[x]).expect("a number of the tape")[0] / f64::from(k);
        found.push(y.value());
    }
    assert_eq!(found, [77.0, 15.0, 1.0, 0.0, 0.0, 0.0]);
    let y = 2.0 * x;
    let slope = y.gradient(&[x]).expect("a path")[0];
    assert_eq!(slope.backward().expect("a number of the tape")[x], 0.0);
    let error = slope.detach().backward().expect_err("cut off");
    assert!(matches!(error, EagerError::ConstantVar { .. }), "{error}");
}

#[test]
fn derivatives_inside_a_checkpoint_are_refused() {
    let tape = Tape::new();
    let x = tape.var(0.5);
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let y = tape.checkpoint(&[x], move |x| {
        let y = x[0].sin();
        let inside = [y.gradient(&[x[0]]).map(drop), y.backward().map(drop)];
        for result in inside {
            assert!(
                matches!(result, Err(EagerError::InSegment { .. })),
                "{result:?}"
            );
            count.fetch_add(1, Ordering::Relaxed);
        }
        y.hook(|g| Some(10.0 * g))
            .expect("on the way back it is there");
        vec![y]
    });
    let gradient = y.expect("fine")[0].backward().expect("a path")[x];
    assert_eq!(gradient, 10.0 * 0.5_f64.cos());
    assert_eq!(refused.load(Ordering::Relaxed), 4);
}

/// The number of values that a Jacobian has computed besides those of the function.
fn values_computed(mode: Option<Mode>, inputs: usize, results: usize) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let mut tape = Tape::new();
    let counter = Arc::clone(&count);
    tape.with(|tape| {
        tape.watch(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            None
        });
    });
    let start = Arc::clone(&count);
    let x = vec![0.1; inputs];
    let found = match mode {
        None => tape.jacobian(|x| sines(x, results, &start), &x),
        Some(mode) => tape.jacobian_in(mode, |x| sines(x, results, &start), &x),
    };
    let found = found.expect("fine");
    let (mut value, mut slope) = (0.1 * inputs as f64, 1.0);
    for row in &found {
        slope *= value.cos();
        value = value.sin();
        assert_eq!(row.len(), inputs);
        row.iter()
            .for_each(|entry| assert_near(*entry, slope, 1e-12));
    }
    assert_eq!(found.len(), results);
    count.load(Ordering::Relaxed)
}

/// sin s, sin sin s, and so on, for the sum s; what is computed from then on is counted from 0.
fn sines<'t>(x: &[Var<'t>], results: usize, count: &AtomicUsize) -> Vec<Var<'t>> {
    let mut y: Var<'t> = x.iter().sum();
    let results = (0..results).map(|_| {
        y = y.sin();
        y
    });
    let results = results.collect();
    count.store(0, Ordering::Relaxed);
    results
}

#[test]
fn jacobians_by_rows_or_by_columns() {
    // A sine takes two operations forward or backward, a sum none backward and none forward but for an
    // addition where both terms move.
    for results in [100, 200, 400] {
        let found = values_computed(None, 1, results);
        assert!(found <= 3 * results, "{found} for {results} results");
        let forward = values_computed(Some(Mode::Forward), 1, results);
        assert_eq!(found, forward);
        let reverse = values_computed(Some(Mode::Reverse), 1, results);
        assert!(reverse > results * results / 2, "{reverse} for {results}");
    }
    for inputs in [100, 200, 400] {
        let found = values_computed(None, inputs, 2);
        assert!(found <= 20, "{found} for {inputs} inputs");
        assert_eq!(found, values_computed(Some(Mode::Reverse), inputs, 2));
        assert!(values_computed(Some(Mode::Forward), inputs, 2) > found * 10);
    }
    // Results that are constants, or none, and no inputs.
    for mode in [Mode::Forward, Mode::Reverse] {
        let found = jacobian_in(
            mode,
            |x| vec![x[0] * x[1], Var::constant(3.0), x[1]],
            &[2.0, 5.0],
        );
        assert_eq!(found.expect("fine"), [[5.0, 2.0], [0.0, 0.0], [0.0, 1.0]]);
        let none = jacobian_in(mode, |_| vec![], &[2.0]).expect("fine");
        assert!(none.is_empty());
        let found = jacobian_in(mode, |_| vec![Var::constant(3.0)], &[]).expect("fine");
        assert_eq!(found, [[0.0; 0]]);
    }
}

#[test]
fn values_with_jacobians() {
    // More results than inputs, as many, and fewer: polar coordinates, and what depends on nothing.
    let polar = |x: &[Var<'_>]| -> Vec<f64> { vec![x[0].value(), x[1].value()] };
    let point = [2.0, 0.75];
    let (sin, cos) = 0.75_f64.sin_cos();
    let rows = [
        (2.0 * cos, [cos, -2.0 * sin]),
        (2.0 * sin, [sin, 2.0 * cos]),
        (7.0, [0.0, 0.0]),
        (2.0, [1.0, 0.0]),
    ];
    for modes in [None, Some(Mode::Forward), Some(Mode::Reverse)] {
        for results in 0..=rows.len() {
            let mut seen = Vec::new();
            let f = for_all(|x| {
                seen.push(polar(x));
                let all = [
                    x[0] * x[1].cos(),
                    x[0] * x[1].sin(),
                    Var::constant(7.0),
                    x[0],
                ];
                all[..results].to_vec()
            });
            let found = match modes {
                None => value_and_jacobian(f, &point),
                Some(mode) => value_and_jacobian_in(mode, f, &point),
            };
            let (values, jacobian) = found.expect("fine");
            assert_eq!((values.len(), jacobian.len()), (results, results));
            for (at, (value, row)) in rows[..results].iter().enumerate() {
                assert_near(values[at], *value, 1e-15);
                assert_near(jacobian[at][0], row[0], 1e-15);
                assert_near(jacobian[at][1], row[1], 1e-15);
            }
            // In one evaluation.
            assert_eq!(seen, [point.to_vec()]);
        }
    }
    let mut tape = Tape::new();
    let (values, jacobian) = tape
        .value_and_jacobian(|x| vec![x[0].exp()], &[0.0])
        .expect("fine");
    assert_eq!((values, jacobian), (vec![1.0], vec![vec![1.0]]));
}

/// A closure that takes variables of any tape.
fn for_all<F: for<'t> FnOnce(&[Var<'t>]) -> Vec<Var<'t>>>(f: F) -> F {
    f
}

#[test]
fn jacobians_with_hooks_and_rules_of_their_own() {
    // Hooks act on the way back only.
    let c = 0.5_f64.cos();
    let found = jacobian(|x| hooked_sines(x[0]), &[0.5]).expect("fine");
    assert_eq!(found, [[2.0 * c]; 3]);
    for (mode, factor) in [(Mode::Reverse, 2.0), (Mode::Forward, 1.0)] {
        let found = jacobian_in(mode, |x| hooked_sines(x[0]), &[0.5]).expect("fine");
        assert_eq!(found, [[factor * c]; 3]);
    }
    // Ten times the slope forward, a hundred times backward.
    let sin = function(["x"], |[x]| [x.sin()]).expect("a function");
    let rule =
        |factor: f64| function(["x", "t"], |[x, t]| [factor * x.cos() * t]).expect("a function");
    let both = sin.with_rules("both", Rules::both(rule(10.0), rule(100.0)));
    let both = operation_of(&both.expect("rules"));
    for (mode, factor) in [(Mode::Reverse, 100.0), (Mode::Forward, 10.0)] {
        let found = jacobian_in(mode, |x| vec![applied(&both, x[0])], &[0.5]).expect("fine");
        assert_near(found[0][0], factor * c, 1e-15);
    }
    // Backward alone, by what is not linear: found without being asked for.
    let clip = function(["x", "t"], |[_, t]| [t.max(-0.5).min(0.5)]).expect("a function");
    let clipped = sin.with_rules("clip", Rules::vjp(clip)).expect("rules");
    let clipped = operation_of(&clipped);
    let found = jacobian(|x| vec![applied(&clipped, x[0])], &[0.5]).expect("fine");
    assert_eq!(found, [[0.5]]);
    let error = jacobian_in(Mode::Forward, |x| vec![applied(&clipped, x[0])], &[0.5]);
    let error = error.expect_err("it has no forward mode");
    assert!(matches!(error, EagerError::Derive { .. }), "{error}");
}

fn operation_of(function: &Function<ScalarOp>) -> ScalarOp {
    function.as_graph().operations()[0].operation.clone()
}

fn applied<'t>(operation: &ScalarOp, x: Var<'t>) -> Var<'t> {
    Var::try_apply(operation.clone(), &[x]).expect("one operand")
}

fn hooked_sines(x: Var<'_>) -> Vec<Var<'_>> {
    let y = x * 1.0;
    y.hook(|g| Some(2.0 * g)).expect("a variable");
    vec![y.sin(); 3]
}

#[test]
fn what_is_said_when_something_is_wrong() {
    let (one, other) = (Tape::new(), Tape::new());
    let (x, foreign) = (one.var(1.0), other.var(2.0));
    let constant = Var::constant(1.0);
    let error = Var::try_apply(ScalarOp::Mul, &[x, foreign]).expect_err("two tapes");
    assert_eq!(
        error.to_string(),
        "operand 1 (counted from 0) of mul is of another tape: make on one tape what is used together, or take \
         its value alone, as a constant (`detach`)"
    );
    let count = Var::try_apply(ScalarOp::Mul, &[x]).expect_err("one operand");
    assert!(
        matches!(count, EagerError::WrongValueCount { .. }),
        "{count}"
    );
    let pair = Var::try_apply(ScalarOp::SinCos, &[constant]).expect_err("two results");
    assert!(matches!(pair, EagerError::NotOneResult { .. }), "{pair}");
    assert_eq!(
        Var::try_apply(ScalarOp::Neg, &[constant])
            .expect("fine")
            .value(),
        -1.0
    );

    let gradients = (x * x).backward().expect("a path");
    assert!(matches!(
        gradients.get(foreign),
        Err(EagerError::ForeignVar { .. })
    ));
    assert!(matches!(
        gradients.get(constant),
        Err(EagerError::ConstantVar { .. })
    ));
    assert!(matches!(
        constant.backward(),
        Err(EagerError::ConstantVar { .. })
    ));
    assert!(matches!(
        x.detach().backward(),
        Err(EagerError::ConstantVar { .. })
    ));
    assert!(matches!(
        x.gradient(&[foreign]),
        Err(EagerError::ForeignVar { .. })
    ));
    assert!(matches!(
        x.gradient(&[constant]),
        Err(EagerError::ConstantVar { .. })
    ));
    assert!(matches!(
        constant.hook(|_| None),
        Err(EagerError::ConstantVar { .. })
    ));
    assert!(matches!(
        one.checkpoint(&[foreign], |x| x.to_vec()),
        Err(EagerError::ForeignVar { .. })
    ));
    assert_eq!(
        one.iterate(3, &[x, x], |x, _| vec![x[0]])
            .expect_err("a half")
            .to_string(),
        "a step of `iterate` is given a state of 2 values, and returned 1: it must return all of the next state, \
         also what it leaves as it is"
    );
    let square = function(["u", "v"], |[u, v]| [u * v]).expect("a function");
    assert_eq!(
        one.apply_function(&square, &[x])
            .expect_err("one operand")
            .to_string(),
        "a call of a function of u, v has 2 inputs, found 1 values"
    );
    assert_eq!(
        constant.backward().expect_err("a constant").to_string(),
        "the number to differentiate is a constant, to which no gradient flows: it was not computed of variables \
         that a tape made to be differentiated by, or it was cut off by `detach` or `no_grad`"
    );
    let short = jvp(|x| x[0], &[1.0, 2.0], &[1.0]).expect_err("a short direction");
    assert_eq!(
        short.to_string(),
        "the direction has 1 component, and the point 2"
    );
    assert!(hvp(|x| x[0], &[1.0], &[1.0, 1.0]).is_err());
    let stale = one.scope(|| x * 2.0).expect("fine");
    let stale = Var::try_apply(ScalarOp::Neg, &[stale]).expect_err("forgotten");
    let place = "operand 0 (counted from 0) of neg".to_owned();
    let cause = Forgotten::ScopeEnded;
    assert_eq!(stale, EagerError::StaleVar { place, cause });
    assert_eq!(
        stale.to_string(),
        "operand 0 (counted from 0) of neg is forgotten by the tape: the `scope` in which it was made has ended; \
         return its value from there, or use it inside"
    );
    // All is well afterwards.
    assert_eq!((x * x).backward().expect("a path")[x], 2.0);
}

#[test]
#[should_panic(expected = "operand 1 (counted from 0) of add is of another tape: make on one tape")]
fn operators_on_two_tapes_panic() {
    let (one, other) = (Tape::new(), Tape::new());
    let _ = one.var(1.0) + other.var(2.0);
}

#[test]
#[should_panic(
    expected = "of sin is forgotten by the tape: the `scope` in which it was made has ended"
)]
fn methods_on_what_is_forgotten_panic() {
    let tape = Tape::new();
    let stale = tape.scope(|| tape.var(1.0)).expect("fine");
    let _ = stale.sin();
}

#[test]
#[should_panic(
    expected = "the tape is in use by `Tape::with`: in there, compute with the tape that the closure"
)]
fn operators_inside_with_panic() {
    let tape = Tape::new();
    let x = tape.var(1.0);
    tape.with(|_| x + 1.0);
}

/// Constants may come from any tape, on either side, also those that were computed.
#[test]
fn constants_of_another_tape_are_numbers() {
    let (one, other) = (Tape::new(), Tape::new());
    let (x, y) = (one.var(3.0), other.var(5.0));
    let constants = [y.detach(), y.detach() * 1.0, other.no_grad(|| y * 1.0)];
    for five in constants {
        for product in [five * x, x * five] {
            assert_eq!(product.backward().expect("a path")[x], 5.0);
        }
        let (sin, cos) = (five + x).sin_cos();
        let slope = (sin * cos).backward().expect("a path")[x];
        assert_near(slope, 16.0_f64.cos(), 1e-15);
    }
    assert!(other.no_grad(|| y * 2.0).backward().is_err());
}

#[test]
fn a_tape_moves_between_threads() {
    let tape = Tape::new();
    let there = std::thread::spawn(move || {
        let x = tape.var(0.5);
        x.sin().backward().expect("a path")[x]
    });
    assert_eq!(there.join().expect("no panic"), 0.5_f64.cos());
}
