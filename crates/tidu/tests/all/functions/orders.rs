//! Mixed partial derivatives, in every order of inputs and by every mode.

use tidu::Function;
use tidu::scalar::ScalarOp;

use super::linearize::recombined;

const MODES: [Mode; 7] = [
    Mode::Grad,
    Mode::Jvp,
    Mode::Vjp,
    Mode::Linearize,
    Mode::Transpose,
    Mode::GradForward,
    Mode::GradReverse,
];
const ORDERS: [[&str; 3]; 6] = [
    ["x", "y", "z"],
    ["x", "z", "y"],
    ["y", "x", "z"],
    ["y", "z", "x"],
    ["z", "x", "y"],
    ["z", "y", "x"],
];

#[derive(Clone, Copy, Debug)]
enum Mode {
    Grad,
    Jvp,
    Vjp,
    /// Split, and put together again.
    Linearize,
    /// The same, with the linear part transposed.
    Transpose,
    GradForward,
    GradReverse,
}

impl Mode {
    /// The derivative of a function of one output by one input, with the inputs that it has.
    fn derive(self, f: &Function<ScalarOp>, input: &str) -> Function<ScalarOp> {
        let both = match self {
            Mode::Grad => return f.grad(input).unwrap(),
            Mode::Jvp => f.jvp(input).unwrap(),
            Mode::Vjp => f.vjp(input).unwrap(),
            Mode::Linearize => recombined(&f.linearize(input).unwrap(), false),
            Mode::Transpose => recombined(&f.linearize(input).unwrap(), true),
            Mode::GradForward | Mode::GradReverse => {
                let way = match self {
                    Mode::GradForward => tidu::Mode::Forward,
                    _ => tidu::Mode::Reverse,
                };
                return f.within(&mut ()).mode(way).grad(input).unwrap();
            }
        };
        let derivative = both.select_at(&[1]).unwrap();
        let seed = derivative.input_names().pop().unwrap();
        derivative.bind(&seed, ScalarOp::constant(1.0)).unwrap()
    }
}

fn parse(text: &str) -> Function<ScalarOp> {
    text.parse().unwrap()
}

/// All ∂³f/∂x∂y∂z at a point, by every choice of modes, in every order of inputs for the first three
/// modes and in two orders for all.
fn third_derivatives(f: &Function<ScalarOp>, at: &[f64]) -> Vec<f64> {
    let mut found = Vec::new();
    let all = (0..343).map(|choice| [choice % 7, choice / 7 % 7, choice / 49]);
    for (number, choice) in all.enumerate() {
        let modes = choice.map(|mode| MODES[mode]);
        let first_three = choice.iter().all(|mode| *mode < 3);
        for (position, order) in ORDERS.into_iter().enumerate() {
            if !first_three && position % 3 != number % 3 {
                continue;
            }
            let steps = modes.iter().zip(order);
            let third = steps.fold(f.clone(), |f, (mode, input)| mode.derive(&f, input));
            assert_eq!(third.input_names(), ["x", "y", "z"]);
            found.extend(third.compile().call(at).unwrap());
        }
    }
    assert_eq!(found.len(), 2 * 343 + 4 * 27);
    found
}

#[track_caller]
fn assert_all(found: &[f64], expected: f64) {
    for value in found {
        assert!(
            (value - expected).abs() <= 1e-10 * expected.abs(),
            "{value} against {expected}"
        );
    }
}

/// f = exp(x·y·z): f_xyz = (1 + 3s + s²)·eˢ with s = x·y·z.
#[test]
fn of_an_exponential() {
    let f = parse(
        "function {
            input %0 = x
            input %1 = y
            input %2 = z
            %3 = mul %0, %1
            %4 = mul %3, %2
            %5 = exp %4
            output %5 -> f
        }",
    );
    let (x, y, z) = (0.7_f64, -1.1, 0.9);
    let s = x * y * z;
    assert_all(
        &third_derivatives(&f, &[x, y, z]),
        (1.0 + 3.0 * s + s * s) * s.exp(),
    );
}

/// f = sin(x·z)·ln(y) / (y + z), through every kind of rule.
///
/// With S = sin(x·z): S_x = z·cos(x·z), S_xz = cos(x·z) - x·z·sin(x·z); with L = ln(y)/(y + z):
/// L_y = 1/(y(y+z)) - ln y/(y+z)², and L_yz = -1/(y(y+z)²) + 2·ln y/(y+z)³. f_xyz = S_xz·L_y + S_x·L_yz.
#[test]
fn of_a_quotient() {
    let f = parse(
        "function {
            input %0 = x
            input %1 = y
            input %2 = z
            %3 = mul %0, %2
            %4, %5 = sin_cos %3
            %6 = ln %1
            %7 = mul %4, %6
            %8 = add %1, %2
            %9 = div %7, %8
            output %9 -> f
        }",
    );
    let (x, y, z) = (0.8_f64, 1.7_f64, 0.6_f64);
    let (sin, cos) = (x * z).sin_cos();
    let sum = y + z;
    let (s_x, s_xz) = (z * cos, cos - x * z * sin);
    let l_y = 1.0 / (y * sum) - y.ln() / sum.powi(2);
    let l_yz = -1.0 / (y * sum.powi(2)) + 2.0 * y.ln() / sum.powi(3);
    assert_all(&third_derivatives(&f, &[x, y, z]), s_xz * l_y + s_x * l_yz);
}

/// f = x²·y·z + cos(x), where most orders meet a zero on the way: f_xyz = 2x.
#[test]
fn of_a_polynomial() {
    let f = parse(
        "function {
            input %0 = x
            input %1 = y
            input %2 = z
            %3 = mul %0, %0
            %4 = mul %3, %1
            %5 = mul %4, %2
            %6 = cos %0
            %7 = sub %5, %6
            output %7 -> f
        }",
    );
    assert_all(&third_derivatives(&f, &[1.3, -0.4, 2.5]), 2.6);
    // And the derivative by y once more, which is zero.
    let fourth = Mode::Jvp.derive(&f.grad("y").unwrap(), "y");
    assert_eq!(fourth.compile().call(&[1.0, 2.0, 3.0]).unwrap(), [0.0]);
}

/// f = exp(x·y): ∂⁴f/∂x²∂y² = (2 + 4s + s²)·eˢ with s = x·y, by every choice of the first five modes.
#[test]
fn four_deep_in_every_mode() {
    let f = parse(
        "function {
            input %0 = x
            input %1 = y
            %2 = mul %0, %1
            %3 = exp %2
            output %3 -> f
        }",
    );
    let (x, y) = (0.7_f64, -1.3);
    let s = x * y;
    let mut found = Vec::new();
    for choice in 0..625 {
        let modes = [1, 5, 25, 125].map(|place| MODES[choice / place % 5]);
        let order = ["xxyy", "xyxy", "xyyx", "yyxx", "yxyx"][choice % 5];
        let inputs = (0..4).map(|at| &order[at..=at]);
        let steps = modes.iter().zip(inputs);
        let fourth = steps.fold(f.clone(), |f, (mode, input)| mode.derive(&f, input));
        found.extend(fourth.compile().call(&[x, y]).unwrap());
    }
    // ∂ₓ²f = y²·eˢ; ∂ᵧ of it (2y + x·y²)·eˢ; again (2 + 2s + 2s + s²)·eˢ.
    assert_all(&found, (2.0 + 4.0 * s + s * s) * s.exp());
}
