//! Derivatives of all orders along a line, against arithmetic on Taylor polynomials.

use tidu::graph::Exactness;
use tidu::scalar::{Expr, ScalarOp, function};
use tidu::{Function, FunctionError, Wrt};

use crate::support::tame::tame_function;
use crate::support::{Layout, Number, Random, Sketch, assert_close};

type F = Function<ScalarOp>;

/// The order that polynomials are cut after.
const LAST: usize = 8;

/// A Taylor polynomial in one variable, by its coefficients.
#[derive(Clone, Copy, Debug)]
pub struct Taylor(pub [f64; LAST + 1]);

impl Taylor {
    /// x + v·t
    pub fn line(x: f64, v: f64) -> Self {
        let mut line = [0.0; LAST + 1];
        line[..2].copy_from_slice(&[x, v]);
        Self(line)
    }

    /// The kth derivative at 0.
    pub fn derivative(&self, k: usize) -> f64 {
        self.0[k] * (1..=k).map(|i| i as f64).product::<f64>()
    }

    /// k·cₖ for k from 1, the coefficients of t·c′.
    fn slope(&self, k: usize) -> f64 {
        k as f64 * self.0[k]
    }

    /// (sin, cos): s′ = c·a′, c′ = -s·a′, so that k·sₖ = Σᵢ i·aᵢ·cₖ₋ᵢ.
    fn sin_and_cos(self) -> [Self; 2] {
        let (mut s, mut c) = ([0.0; LAST + 1], [0.0; LAST + 1]);
        (s[0], c[0]) = self.0[0].sin_cos();
        for k in 1..=LAST {
            let sum = |other: &[f64]| (1..=k).map(|i| self.slope(i) * other[k - i]).sum::<f64>();
            let (by_c, by_s) = (sum(&c), sum(&s));
            s[k] = by_c / k as f64;
            c[k] = -by_s / k as f64;
        }
        [Self(s), Self(c)]
    }
}

impl Number for Taylor {
    fn constant(value: f64) -> Self {
        Self::line(value, 0.0)
    }
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|k| self.0[k] + other.0[k]))
    }
    fn mul(self, other: Self) -> Self {
        let coefficient = |k: usize| (0..=k).map(|i| self.0[i] * other.0[k - i]).sum();
        Self(std::array::from_fn(coefficient))
    }
    fn neg(self) -> Self {
        Self(self.0.map(|c| -c))
    }
    /// r·a = 1, so a₀·rₖ = -Σᵢ aᵢ·rₖ₋ᵢ.
    fn recip(self) -> Self {
        let mut r = [0.0; LAST + 1];
        r[0] = 1.0 / self.0[0];
        for k in 1..=LAST {
            let sum: f64 = (1..=k).map(|i| self.0[i] * r[k - i]).sum();
            r[k] = -sum / self.0[0];
        }
        Self(r)
    }
    /// e′ = a′·e, so k·eₖ = Σᵢ i·aᵢ·eₖ₋ᵢ.
    fn exp(self) -> Self {
        let mut e = [0.0; LAST + 1];
        e[0] = self.0[0].exp();
        for k in 1..=LAST {
            let sum: f64 = (1..=k).map(|i| self.slope(i) * e[k - i]).sum();
            e[k] = sum / k as f64;
        }
        Self(e)
    }
    /// l′·a = a′, so k·a₀·lₖ = k·aₖ - Σᵢ i·lᵢ·aₖ₋ᵢ for 0 < i < k.
    fn ln(self) -> Self {
        let mut l = [0.0; LAST + 1];
        l[0] = self.0[0].ln();
        for k in 1..=LAST {
            let sum: f64 = (1..k).map(|i| i as f64 * l[i] * self.0[k - i]).sum();
            l[k] = (self.slope(k) - sum) / (k as f64 * self.0[0]);
        }
        Self(l)
    }
    fn sin(self) -> Self {
        self.sin_and_cos()[0]
    }
    fn cos(self) -> Self {
        self.sin_and_cos()[1]
    }
}

/// The derivatives of a sketch along x + t·v: first all values, then all first derivatives, and so on.
fn expected(f: &Sketch<ScalarOp>, x: &[f64], v: &[f64], order: usize) -> Vec<f64> {
    let line = x.iter().zip(v).map(|(&x, &v)| Taylor::line(x, v));
    let results = f.over(&line.collect::<Vec<_>>());
    let of_order = |k: usize| results.iter().map(move |y| y.derivative(k));
    (0..=order).flat_map(of_order).collect()
}

fn call(f: &F, x: &[f64]) -> Vec<f64> {
    f.compile().call(x).unwrap()
}

/// By closed forms: of eˣ, sin, cos, 1/x and ln.
#[test]
fn taylor_arithmetic_is_right() {
    let x = Taylor::line(0.7, 2.0);
    let (sin, cos) = 0.7_f64.sin_cos();
    let sines = [sin, cos, -sin, -cos];
    let mut factorial = 1.0;
    for k in 0..=LAST {
        let power = 2.0_f64.powi(k as i32);
        let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
        let close = |found: f64, expected: f64| assert_close(&[found / expected], &[1.0]);
        close(x.exp().derivative(k), power * 0.7_f64.exp());
        close(x.sin().derivative(k), power * sines[k % 4]);
        close(x.cos().derivative(k), power * sines[(k + 1) % 4]);
        close(
            x.recip().derivative(k),
            power * sign * factorial / 0.7_f64.powi(k as i32 + 1),
        );
        let ln = match k {
            0 => 0.7_f64.ln(),
            _ => -power * sign * factorial / (k as f64 * 0.7_f64.powi(k as i32)),
        };
        close(x.ln().derivative(k), ln);
        factorial *= (k + 1) as f64;
    }
}

fn case(random: &mut Random, steps: usize) -> (F, Sketch<ScalarOp>, Vec<f64>) {
    let x: Vec<f64> = (0..3).map(|_| 1.2 * random.unit()).collect();
    let mut choice = || random.bits() as u16;
    let choices: Vec<_> = (0..steps)
        .map(|_| (usize::from(choice()), choice(), choice()))
        .collect();
    let outputs: Vec<u16> = (0..3).map(|_| choice()).collect();
    let sketch = tame_function(&x, &choices, &outputs);
    let (graphs, keys) = sketch.graphs(&Layout::single());
    let outputs: Vec<_> = sketch.outputs.iter().map(|&id| keys[id].clone()).collect();
    let f = F::from_graphs(graphs, &sketch.inputs, &outputs).unwrap();
    (f, sketch, x)
}

/// Random functions of three inputs and outputs along random lines, to order 8.
#[test]
fn every_order_of_random_functions() {
    let random = &mut Random(0x7365_7269_6573);
    for round in 0..60 {
        let (f, sketch, x) = case(random, 8);
        let wrt: Vec<usize> = [vec![0, 1, 2], vec![2], vec![1, 0]][round % 3].clone();
        let t: Vec<f64> = wrt.iter().map(|_| random.unit()).collect();
        let mut v = vec![0.0; 3];
        wrt.iter().zip(&t).for_each(|(&at, t)| v[at] = *t);
        for order in [0, 1, 2, 3, 5, 8] {
            let series = f.jvp_to_order(order, &wrt[..]).unwrap();
            let found = call(&series, &[&x[..], &t].concat());
            let expected = expected(&sketch, &x, &v, order);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.chunks(3).zip(expected.chunks(3)) {
                assert_close(found, expected);
            }
        }
    }
}

#[test]
fn every_level_gives_the_same_derivatives() {
    let random = &mut Random(0x6c65_7665_6c73);
    for _ in 0..25 {
        let (f, sketch, x) = case(random, 10);
        let v: Vec<f64> = (0..3).map(|_| random.unit()).collect();
        let expected = expected(&sketch, &x, &v, 5);
        let levels = [Exactness::Exact, Exactness::FiniteOnly, Exactness::RealOnly];
        for level in levels.map(Some).into_iter().chain([None]) {
            let ctx = &mut ();
            let derive = match level {
                Some(level) => f.within(ctx).simplify(level),
                None => f.within(ctx).unsimplified(),
            };
            let series = derive.jvp_to_order(5, ..).unwrap();
            let found = call(&series, &[&x[..], &v].concat());
            for (found, expected) in found.chunks(3).zip(expected.chunks(3)) {
                assert_close(found, expected);
            }
        }
    }
}

#[test]
fn inputs_and_outputs_of_a_series() {
    let f = function(["x", "y"], |[x, y]| [&x * &y, y.exp(), Expr::constant(4.0)]).unwrap();
    let series = f.jvp_to_order(3, ["y", "x"]).unwrap();
    assert_eq!(series.input_names(), ["x", "y", "d0.y", "d0.x"]);
    assert_eq!(
        series.output_names(),
        [
            "out0", "out1", "out2", "d.out0", "d.out1", "d.out2", "d2.out0", "d2.out1", "d2.out2",
            "d3.out0", "d3.out1", "d3.out2"
        ]
    );
    // Along (x + 10t, y + t): xy, 10y + x, 20, 0; eʸ.
    let found = call(&series, &[2.0, 0.0, 1.0, 10.0]);
    assert_eq!(
        found,
        [0.0, 1.0, 4.0, 2.0, 1.0, 0.0, 20.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    );
    // To order 0 and by an input that nothing depends on.
    let value = f.jvp_to_order(0, "x").unwrap();
    assert_eq!(value.input_names(), ["x", "y", "d0.x"]);
    assert_eq!(value.output_names(), f.output_names());
    let flat = function(["x", "y"], |[x, _]| [x]).unwrap();
    let series = flat.jvp_to_order(2, "y").unwrap();
    assert_eq!(call(&series, &[5.0, 6.0, 7.0]), [5.0, 0.0, 0.0]);
    let none = f.select_at(&[]).unwrap().jvp_to_order(3, "x").unwrap();
    assert_eq!(call(&none, &[1.0, 2.0, 3.0]), [0.0; 0]);
    for wrt in [Wrt::from("z"), ["x", "x"].into(), Wrt::At(vec![])] {
        for order in [0, 1, 4] {
            let error = f.jvp_to_order(order, wrt.clone()).unwrap_err();
            assert!(
                matches!(
                    error,
                    FunctionError::UnknownInput { .. }
                        | FunctionError::RepeatedInput { .. }
                        | FunctionError::NoInputs
                ),
                "{error}"
            );
        }
    }
}

/// A series of a series: ∂ᵥ²∂ᵤ²f, in which u and v are inputs like any other.
#[test]
fn series_of_series() -> Result<(), FunctionError> {
    // f = eˣ·y, along u = (1, 0) and then v = (0, 1) and (1, 0).
    let f = function(["x", "y"], |[x, y]| [x.exp() * y])?;
    let first = f.jvp_to_order(2, ..)?;
    let second = first.jvp_to_order(2, [0, 1])?;
    let e = 0.3_f64.exp();
    let along_y = call(&second, &[0.3, 2.0, 1.0, 0.0, 0.0, 1.0]);
    let along_x = call(&second, &[0.3, 2.0, 1.0, 0.0, 1.0, 0.0]);
    assert_close(
        &along_y,
        &[2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0].map(|c| c * e),
    );
    assert_close(&along_x, &[2.0 * e; 9]);
    // By the direction itself: ∂ᵤ²f is quadratic in u.
    let by_u = first.select_at(&[2])?.jvp_to_order(3, 2)?;
    let found = call(&by_u, &[0.3, 2.0, 5.0, 0.0, 1.0]);
    assert_close(&found, &[50.0, 20.0, 4.0, 0.0].map(|c| c * e));
    Ok(())
}

/// Differentiating again and again would be exponential; this is a polynomial in the order.
#[test]
fn series_do_not_blow_up() {
    let f = function(["x"], |[x]| {
        [x.sin().exp() * x.cos().exp() / (x.exp() + 2.0)]
    })
    .unwrap();
    let count = |order| {
        f.jvp_to_order(order, "x")
            .unwrap()
            .as_graph()
            .operations()
            .len()
    };
    let counts = [4, 8, 16].map(count);
    assert!(
        counts[1] <= 8 * counts[0] && counts[2] <= 8 * counts[1],
        "{counts:?}"
    );
}
