//! How many units in the last place values and derivatives are off, against numbers of many digits.
//!
//! `cargo test -p tidu-scalar accuracy -- --nocapture` prints the table of `docs/scalar.md`;
//! with the environment variable `TIDU_POINTS=2000`, more points are drawn.

use std::f64::consts::{FRAC_PI_2, PI};

use crate::support::exact::{self, Big, big, derivatives, mixed_derivative, ulps};
use crate::support::random::Random;
use crate::support::{alone, backward, forward};
use tidu_ad::{Function, FunctionProgram};
use tidu_scalar::ScalarOp;

/// What is allowed, in ulp: of the value, of first and of second derivatives.
type Bounds = [f64; 3];

const USUAL: Bounds = [2.0, 4.0, 16.0];

/// What ψ⁽ⁿ⁾ may be off by, for n ≥ 1, which is the derivative of another, too.
const POLYGAMMA: f64 = 4.0;

/// Second derivatives that are smaller or larger are left out: with little room to either side, a
/// factor of theirs may over- or underflow.
const ROOM: std::ops::Range<f64> = 1e-290..1e290;

/// On which scale a function varies near x, at least: this says how small a step is small enough.
#[derive(Clone, Copy)]
enum Scale {
    /// max(1, |x|), for what is smooth at 0.
    Unit,
    /// |x|
    Own,
}

impl Scale {
    fn at(self, x: f64) -> f64 {
        match self {
            Scale::Unit => x.abs().max(1.0),
            Scale::Own => x.abs(),
        }
    }
}

/// Where functions are tried.
type Points = fn(&mut Random) -> f64;

struct Unary {
    op: ScalarOp,
    f: fn(&Big) -> Big,
    scale: Scale,
    /// Binary digits, more where a function comes close to its limits.
    digits: usize,
    points: Points,
    /// Points where things go wrong, if they do.
    adversarial: &'static [f64],
    bounds: Bounds,
    /// Whether the second derivative has zeros where it cancels: it is then measured by f' / scale
    /// where that is larger.
    cancels: bool,
}

/// Enough where nothing cancels.
const DIGITS: usize = 420;
/// Enough where what is left of 1 is as small as doubles get.
const MANY: usize = 1500;

fn unary(op: ScalarOp, f: fn(&Big) -> Big, scale: Scale, points: Points) -> Unary {
    Unary {
        op,
        f,
        scale,
        digits: DIGITS,
        points,
        adversarial: &[],
        bounds: USUAL,
        cancels: false,
    }
}

impl Unary {
    fn also(mut self, adversarial: &'static [f64]) -> Self {
        self.adversarial = adversarial;
        self
    }

    fn digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }

    fn cancelling(mut self) -> Self {
        self.cancels = true;
        self
    }

    fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }
}

fn one(x: &Big) -> Big {
    big(1.0, x.precision())
}

fn positive(random: &mut Random) -> f64 {
    match random.bits() % 3 {
        0 => random.between(0.4, 2.5),
        1 => random.magnitude(1e-6, 1e6),
        _ => random.magnitude(1e-300, 1e300),
    }
}

/// In (-1, 1), also close to either end and to 0.
fn inside_one(random: &mut Random) -> f64 {
    match random.bits() % 3 {
        0 => random.between(-1.0, 1.0),
        1 => random.signed(1e-12, 1.0),
        _ => (1.0 - random.magnitude(1e-16, 1.0)) * if random.bits() & 1 == 0 { 1.0 } else { -1.0 },
    }
}

const NEAR_ONE: &[f64] = &[
    1.0 - f64::EPSILON / 2.0,
    -1.0 + f64::EPSILON / 2.0,
    1.0 - 3.0 * f64::EPSILON,
    0.5,
    -0.5,
    0.75,
    1e-8,
];

fn unary_cases() -> Vec<Unary> {
    use ScalarOp::*;
    use Scale::{Own, Unit};
    let exponential = |random: &mut Random| random.signed(1e-12, 700.0);
    let angles = |random: &mut Random| match random.bits() % 2 {
        0 => random.between(-7.0, 7.0),
        _ => random.signed(1e-12, 1e9),
    };
    vec![
        unary(
            Recip,
            |x| one(x) / x,
            Own,
            |random| random.signed(1e-100, 1e100),
        ),
        unary(Sqrt, Big::sqrt, Own, positive),
        unary(Cbrt, |x| x.nth_root(3), Own, positive),
        unary(
            Powi(2),
            |x| x * x,
            Own,
            |random| random.signed(1e-100, 1e100),
        ),
        unary(
            Powi(3),
            |x| x * x * x,
            Own,
            |random| random.signed(1e-90, 1e90),
        ),
        unary(
            Powi(17),
            |x| x.powi(17.into()),
            Own,
            |random| random.signed(1e-16, 1e16),
        ),
        unary(
            Powi(-5),
            |x| x.powi((-5).into()),
            Own,
            |random| random.signed(1e-40, 1e40),
        ),
        unary(
            Powi(-901),
            |x| x.powi((-901).into()),
            Own,
            |random| random.signed(0.5, 2.0),
        ),
        unary(
            ScalarOp::powf(2.5),
            |x| x.powf(&big(2.5, 53)),
            Own,
            |random| random.magnitude(1e-100, 1e100),
        ),
        unary(
            ScalarOp::powf(0.3),
            |x| x.powf(&big(0.3, 53)),
            Own,
            positive,
        ),
        unary(
            ScalarOp::powf(-0.1),
            |x| x.powf(&big(-0.1, 53)),
            Own,
            positive,
        ),
        unary(
            ScalarOp::powf(-3.3),
            |x| x.powf(&big(-3.3, 53)),
            Own,
            |random| random.magnitude(1e-60, 1e60),
        ),
        unary(Exp, Big::exp, Unit, exponential),
        unary(
            Exp2,
            |x| (x * (one(x) + one(x)).ln()).exp(),
            Unit,
            |random| random.signed(1e-12, 1000.0),
        ),
        unary(Expm1, Big::exp_m1, Unit, exponential)
            .digits(MANY)
            .also(&[1e-8, -1e-8, -36.9, -37.1, -40.0, -100.0, -700.0]),
        unary(
            ExpNegSquare,
            |x| (-(x * x)).exp(),
            Unit,
            |random| random.signed(1e-12, 26.0),
        )
        .also(&[26.4, -26.4, 5.5, 1e-8])
        .cancelling(),
        unary(Ln, Big::ln, Own, positive).also(&[1.0 + 1e-12, 1.0 - 1e-12]),
        unary(Log2, |x| x.ln() / (one(x) + one(x)).ln(), Own, positive),
        unary(
            Log10,
            |x| x.ln() / big(10.0, x.precision()).ln(),
            Own,
            positive,
        ),
        unary(Log1p, Big::ln_1p, Unit, |random| match random.bits() % 2 {
            0 => inside_one(random),
            _ => random.magnitude(1e-12, 1e150),
        })
        .also(NEAR_ONE),
        unary(Sigmoid, exact::sigmoid, Unit, exponential)
            .digits(MANY)
            .also(&[1e-8, -1e-8, 36.0, 38.0, -38.0, 700.0, -700.0]),
        unary(Softplus, exact::softplus, Unit, exponential)
            .digits(MANY)
            .also(&[1e-8, 36.0, 38.0, -38.0, 700.0, -700.0]),
        unary(Sin, Big::sin, Unit, angles).also(&[PI, 2.0 * PI, 1e22, 1e-9]),
        unary(Cos, Big::cos, Unit, angles).also(&[FRAC_PI_2, 3.0 * FRAC_PI_2, 1e22, 1e-9]),
        unary(Tan, Big::tan, Unit, angles).also(&[FRAC_PI_2, PI, 3.0 * FRAC_PI_2, 1e22, 1e-9]),
        unary(Asin, Big::asin, Unit, inside_one).also(NEAR_ONE),
        unary(Acos, Big::acos, Unit, inside_one).also(NEAR_ONE),
        unary(Atan, Big::atan, Unit, |random| random.signed(1e-12, 1e50)),
        unary(Sinh, Big::sinh, Unit, exponential),
        unary(Cosh, Big::cosh, Unit, exponential),
        unary(Tanh, Big::tanh, Unit, |random| random.signed(1e-12, 350.0))
            .digits(MANY)
            .also(&[1e-8, 18.0, 19.0, 20.0, 100.0, 354.0, -354.0]),
        unary(
            SechSquare,
            |x| one(x) / (x.cosh() * x.cosh()),
            Unit,
            |random| random.signed(1e-12, 350.0),
        )
        .also(&[1e-8, 354.0])
        .cancelling()
        .within([3.0, 4.0, 16.0]),
        unary(Asinh, Big::asinh, Unit, |random| random.signed(1e-12, 1e90)),
        unary(Acosh, Big::acosh, Unit, |random| {
            1.0 + random.magnitude(1e-15, 1e90)
        })
        .also(&[1.0 + f64::EPSILON, 1.0 + 3.0 * f64::EPSILON, 2.0]),
        unary(Atanh, Big::atanh, Unit, inside_one).also(NEAR_ONE),
        unary(Erf, exact::erf, Unit, |random| random.signed(1e-12, 26.0))
            .digits(MANY)
            .also(&[5.9, 6.0, 26.4, -26.4]),
        unary(
            Erfc,
            |x| one(x) - exact::erf(x),
            Unit,
            |random| random.signed(1e-12, 26.0),
        )
        .digits(MANY)
        .also(&[5.9, 6.0, 26.4, -26.4]),
        unary(Lgamma, exact::lgamma, Own, gamma_points),
        unary(Digamma, |x| exact::polygamma(0, x), Own, gamma_points)
            .within([3.0, POLYGAMMA, 16.0]),
        unary(Polygamma(1), |x| exact::polygamma(1, x), Own, gamma_points)
            .within([POLYGAMMA, POLYGAMMA, 16.0]),
        unary(Polygamma(3), |x| exact::polygamma(3, x), Own, gamma_points)
            .within([POLYGAMMA, POLYGAMMA, 16.0]),
        unary(
            Polygamma(10),
            |x| exact::polygamma(10, x),
            Own,
            gamma_points,
        )
        .within([POLYGAMMA, POLYGAMMA, 16.0]),
    ]
}

fn gamma_points(random: &mut Random) -> f64 {
    match random.bits() % 3 {
        0 => random.between(0.5, 3.0),
        1 => random.between(0.1, 40.0),
        _ => random.magnitude(1e-6, 1e9),
    }
}

type Derive = fn(&Function<ScalarOp>) -> Function<ScalarOp>;

/// The functions f, f' and f'' by reverse mode, and by forward mode.
struct Orders {
    value: FunctionProgram<ScalarOp>,
    first: [FunctionProgram<ScalarOp>; 2],
    second: [FunctionProgram<ScalarOp>; 2],
}

impl Orders {
    fn new(f: &Function<ScalarOp>) -> Self {
        let orders: [Derive; 2] = [backward, forward];
        Self {
            value: f.compile(),
            first: orders.map(|derive| derive(f).compile()),
            second: orders.map(|derive| derive(&derive(f)).compile()),
        }
    }
}

fn points_wanted() -> usize {
    let wanted = std::env::var("TIDU_POINTS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// The largest error by order, and where it is.
#[derive(Clone, Copy, Default)]
struct Worst([(f64, [f64; 2]); 3]);

impl Worst {
    fn note(&mut self, order: usize, found: f64, exact: &Big, at: [f64; 2]) {
        self.note_by(order, found, exact, exact.to_f64().value(), at);
    }

    fn note_by(&mut self, order: usize, found: f64, exact: &Big, size: f64, at: [f64; 2]) {
        let error = ulps(found, exact, size).unwrap_or(0.0);
        if error > self.0[order].0 {
            self.0[order] = (error, at);
        }
    }

    /// A second derivative, by its own size or, if that is larger, by this one.
    fn note_second(&mut self, found: f64, exact: &Big, size: f64, at: [f64; 2]) {
        let own = exact.to_f64().value().abs();
        if ROOM.contains(&own) {
            self.note_by(2, found, exact, own.max(size), at);
        }
    }

    fn check(&self, name: &str, bounds: Bounds, misses: &mut Vec<String>) {
        let [value, first, second] = self.0;
        println!(
            "{name:16} {:8.2} {:8.2} {:8.2}   {:?} {:?}",
            value.0, first.0, second.0, first.1, second.1
        );
        for (order, ((error, at), bound)) in self.0.into_iter().zip(bounds).enumerate() {
            if error > bound {
                misses.push(format!(
                    "{name}, order {order}: {error:.1} ulp at {at:?}, {bound} allowed"
                ));
            }
        }
    }
}

#[test]
fn functions_of_one_number_are_accurate_to_second_order() {
    let mut misses = Vec::new();
    for case in unary_cases() {
        let orders = Orders::new(&alone(&case.op));
        let mut random = Random::new(0x5eed_1234_abcd);
        let drawn = (0..points_wanted()).map(|_| (case.points)(&mut random));
        let mut worst = Worst::default();
        for x in case.adversarial.iter().copied().chain(drawn) {
            let exact = derivatives(case.f, x, case.scale.at(x), case.digits);
            let call =
                |program: &FunctionProgram<ScalarOp>| program.call(&[x]).expect("one input")[0];
            worst.note(0, call(&orders.value), &exact[0], [x, 0.0]);
            for program in &orders.first {
                worst.note(1, call(program), &exact[1], [x, 0.0]);
            }
            let slope = exact[1].to_f64().value().abs();
            let size = if case.cancels {
                slope / case.scale.at(x)
            } else {
                0.0
            };
            for program in &orders.second {
                worst.note_second(call(program), &exact[2], size, [x, 0.0]);
            }
        }
        worst.check(
            &crate::support::Name(&case.op).to_string(),
            case.bounds,
            &mut misses,
        );
    }
    assert!(misses.is_empty(), "{misses:#?}");
}

struct Binary {
    op: ScalarOp,
    f: fn(&Big, &Big) -> Big,
    scale: fn([f64; 2]) -> [f64; 2],
    digits: usize,
    points: fn(&mut Random) -> [f64; 2],
    adversarial: &'static [[f64; 2]],
    bounds: Bounds,
    /// As for functions of one number.
    cancels: bool,
}

fn binary_cases() -> Vec<Binary> {
    use ScalarOp::*;
    let own = |x: [f64; 2]| x.map(f64::abs);
    let unit = |x: [f64; 2]| x.map(|x| x.abs().max(1.0));
    let plane = |random: &mut Random| match random.bits() % 2 {
        0 => [random.signed(1e-3, 1e3), random.signed(1e-3, 1e3)],
        _ => [random.signed(1e-70, 1e70), random.signed(1e-70, 1e70)],
    };
    vec![
        Binary {
            op: Div,
            f: |x, y| x / y,
            scale: own,
            digits: DIGITS,
            points: plane,
            adversarial: &[],
            bounds: USUAL,
            cancels: false,
        },
        Binary {
            op: Hypot,
            f: |x, y| (x * x + y * y).sqrt(),
            scale: own,
            digits: MANY,
            points: plane,
            adversarial: &[[3.0, 4.0], [1.0, 1e-9], [1e150, 1e150], [1e-150, 1e-150]],
            bounds: USUAL,
            cancels: false,
        },
        Binary {
            op: Direction,
            f: |x, y| x / (x * x + y * y).sqrt(),
            scale: own,
            digits: MANY,
            points: plane,
            adversarial: &[[3.0, 4.0], [1.0, 1e-9], [1e-9, 1.0]],
            bounds: [2.0, 5.0, 16.0],
            cancels: true,
        },
        Binary {
            op: Atan2,
            f: |y, x| y.atan2(x),
            scale: own,
            digits: MANY,
            points: plane,
            adversarial: &[[1.0, 1.0], [1e-9, -1.0], [1.0, 1e-9]],
            bounds: USUAL,
            cancels: true,
        },
        Binary {
            op: Pow,
            f: |x, y| x.powf(y),
            scale: |[x, y]| [x, y.abs().max(1.0)],
            digits: DIGITS + 100,
            points: |random| match random.bits() % 3 {
                0 => [random.magnitude(1e-2, 1e2), random.signed(1e-2, 60.0)],
                1 => [random.magnitude(1e-200, 1e200), random.signed(1e-3, 1.2)],
                _ => [random.between(0.9, 1.1), random.signed(1.0, 3e3)],
            },
            adversarial: &[[2.0, 0.5], [1e300, 0.3], [1e-300, -0.7], [1.5, 1000.3]],
            bounds: USUAL,
            cancels: true,
        },
        Binary {
            op: Logaddexp,
            f: |x, y| {
                let larger = if x > y { x } else { y };
                let smaller = if x > y { y } else { x };
                larger + (smaller - larger).exp().ln_1p()
            },
            scale: unit,
            digits: MANY,
            points: |random| match random.bits() % 2 {
                0 => [random.signed(1e-6, 600.0), random.signed(1e-6, 600.0)],
                _ => {
                    let x = random.signed(1.0, 1e6);
                    [x, x + random.signed(1e-6, 30.0)]
                }
            },
            adversarial: &[[1000.3, 299.7], [-1e5, -1e5 - 0.3], [0.1, 640.7]],
            // The value has zeros, along exp x + exp y = 1.
            bounds: [f64::INFINITY, 4.0, 16.0],
            cancels: false,
        },
        Binary {
            op: SigmoidSub,
            f: |x, y| exact::sigmoid(&(x - y)),
            scale: unit,
            digits: MANY,
            points: |random| [random.signed(1e-6, 300.0), random.signed(1e-6, 300.0)],
            adversarial: &[[1000.3, 299.7], [0.1, 640.7]],
            bounds: USUAL,
            cancels: true,
        },
    ]
}

#[test]
fn functions_of_two_numbers_are_accurate_to_second_order() {
    let mut misses = Vec::new();
    for case in binary_cases() {
        let f = alone(&case.op);
        let value = f.compile();
        let gradient = f.grad(..).expect("a gradient").compile();
        let jacobian = f.jacobian(..).expect("a Jacobian").compile();
        let hessian = f.hessian(..).expect("a Hessian").compile();
        let mut random = Random::new(0xfeed_4321);
        let drawn = (0..points_wanted()).map(|_| (case.points)(&mut random));
        let mut worst = Worst::default();
        for at in case.adversarial.iter().copied().chain(drawn) {
            let [x, y] = at.map(|x| big(x, case.digits));
            let scale = (case.scale)(at);
            let by_x = derivatives(|x| (case.f)(x, &y), at[0], scale[0], case.digits);
            let by_y = derivatives(|y| (case.f)(&x, y), at[1], scale[1], case.digits);
            let mixed = mixed_derivative(case.f, at, scale, case.digits);
            worst.note(0, value.call(&at).expect("two inputs")[0], &by_x[0], at);
            for program in [&gradient, &jacobian] {
                let found = program.call(&at).expect("two inputs");
                worst.note(1, found[0], &by_x[1], at);
                worst.note(1, found[1], &by_y[1], at);
            }
            let found = hessian.call(&at).expect("two inputs");
            let size = |slope: &Big, scale: f64| match case.cancels {
                true => slope.to_f64().value().abs() / scale,
                false => 0.0,
            };
            let across = size(&by_x[1], scale[1]).max(size(&by_y[1], scale[0]));
            let exact = [
                (&by_x[2], size(&by_x[1], scale[0])),
                (&mixed, across),
                (&mixed, across),
                (&by_y[2], size(&by_y[1], scale[1])),
            ];
            for (found, (exact, size)) in found.into_iter().zip(exact) {
                worst.note_second(found, exact, size, at);
            }
        }
        worst.check(
            &crate::support::Name(&case.op).to_string(),
            case.bounds,
            &mut misses,
        );
    }
    assert!(misses.is_empty(), "{misses:#?}");
}
