//! Random programs, and what they compute in hyper-dual numbers: the independent witness.

use tidu_scalar::{Expr, ScalarOp};
pub use tidu_testkit::Random;

use super::{Scalar, Scalars};

/// v + a·α + b·β + ab·αβ with α² = β² = 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyper {
    pub v: f64,
    pub a: f64,
    pub b: f64,
    pub ab: f64,
}

impl Hyper {
    pub fn real(v: f64) -> Self {
        Self {
            v,
            a: 0.0,
            b: 0.0,
            ab: 0.0,
        }
    }

    /// f(x), given f, f′ and f″ at the real part.
    fn lift(self, [f, df, ddf]: [f64; 3]) -> Self {
        Self {
            v: f,
            a: df * self.a,
            b: df * self.b,
            ab: df * self.ab + ddf * self.a * self.b,
        }
    }

    fn plus(self, other: Self, factor: f64) -> Self {
        Self {
            v: self.v + factor * other.v,
            a: self.a + factor * other.a,
            b: self.b + factor * other.b,
            ab: self.ab + factor * other.ab,
        }
    }

    fn times(self, other: Self) -> Self {
        Self {
            v: self.v * other.v,
            a: self.a * other.v + self.v * other.a,
            b: self.b * other.v + self.v * other.b,
            ab: self.ab * other.v + self.a * other.b + self.b * other.a + self.v * other.ab,
        }
    }
}

fn compute(operation: &ScalarOp, x: &[Hyper]) -> Vec<Hyper> {
    let v = x[0].v;
    let (s, c, e) = (v.sin(), v.cos(), v.exp());
    let (sin, cos) = ([s, c, -s], [c, -s, -c]);
    match operation {
        ScalarOp::Add => vec![x[0].plus(x[1], 1.0)],
        ScalarOp::Sub => vec![x[0].plus(x[1], -1.0)],
        ScalarOp::Mul => vec![x[0].times(x[1])],
        ScalarOp::Div => {
            let y = x[1].v;
            let inverse = x[1].lift([1.0 / y, -1.0 / (y * y), 2.0 / (y * y * y)]);
            vec![x[0].times(inverse)]
        }
        ScalarOp::Neg => vec![x[0].lift([-v, -1.0, 0.0])],
        ScalarOp::Exp => vec![x[0].lift([e, e, e])],
        ScalarOp::Ln => vec![x[0].lift([v.ln(), 1.0 / v, -1.0 / (v * v)])],
        ScalarOp::Sin => vec![x[0].lift(sin)],
        ScalarOp::Cos => vec![x[0].lift(cos)],
        ScalarOp::SinCos => vec![x[0].lift(sin), x[0].lift(cos)],
        other => panic!("{other:?} is not part of random programs"),
    }
}

/// Calls, each of operands among the values so far: first the leaves, then the constants, then
/// results.
pub struct Program {
    pub leaves: Vec<f64>,
    pub constants: Vec<f64>,
    pub calls: Vec<(ScalarOp, Vec<usize>)>,
    /// By value: whether some leaf reaches it.
    pub active: Vec<bool>,
}

impl Program {
    pub fn random(random: &mut Random, leaves: usize, calls: usize) -> Self {
        let leaves: Vec<f64> = (0..leaves).map(|_| 1.5 * random.unit()).collect();
        let constants = vec![0.75, -1.25];
        let mut values: Vec<Hyper> = leaves
            .iter()
            .chain(&constants)
            .copied()
            .map(Hyper::real)
            .collect();
        let mut active = vec![true; leaves.len()];
        active.resize(values.len(), false);
        let mut program = Vec::new();
        while program.len() < calls {
            // The last values are chosen more often, so that programs are deep too.
            let mut pick = || match random.below(2) {
                0 => random.below(values.len()),
                _ => values.len() - 1 - random.below(values.len().min(4)),
            };
            let (x, y) = (pick(), pick());
            let (v, w) = (values[x].v, values[y].v);
            let (operation, operands) = match random.below(11) {
                0 => (ScalarOp::Add, vec![x, y]),
                1 => (ScalarOp::Sub, vec![x, y]),
                2 | 3 => (ScalarOp::Mul, vec![x, y]),
                4 if w.abs() > 0.4 => (ScalarOp::Div, vec![x, y]),
                5 => (ScalarOp::Neg, vec![x]),
                6 if v.abs() < 1.5 => (ScalarOp::Exp, vec![x]),
                7 if v > 0.4 => (ScalarOp::Ln, vec![x]),
                8 => (ScalarOp::Sin, vec![x]),
                9 => (ScalarOp::Cos, vec![x]),
                10 => (ScalarOp::SinCos, vec![x]),
                _ => continue,
            };
            let inputs: Vec<Hyper> = operands.iter().map(|&at| values[at]).collect();
            let results = compute(&operation, &inputs);
            if results.iter().any(|result| result.v.abs() > 4.0) {
                continue;
            }
            let is_active = operands.iter().any(|&at| active[at]);
            active.resize(active.len() + results.len(), is_active);
            values.extend(results);
            program.push((operation, operands));
        }
        Self {
            leaves,
            constants,
            calls: program,
            active,
        }
    }

    pub fn value_count(&self) -> usize {
        self.active.len()
    }

    /// All values, with α added to value `by_a` and β to value `by_b`.
    pub fn run(&self, by_a: Option<usize>, by_b: Option<usize>) -> Vec<Hyper> {
        let given = self.leaves.iter().chain(&self.constants);
        let mut values: Vec<Hyper> = given.copied().map(Hyper::real).collect();
        let perturb = |values: &mut Vec<Hyper>, from: usize| {
            for (at, value) in values.iter_mut().enumerate().skip(from) {
                value.a += f64::from(by_a == Some(at));
                value.b += f64::from(by_b == Some(at));
            }
        };
        perturb(&mut values, 0);
        for (operation, operands) in &self.calls {
            let inputs: Vec<Hyper> = operands.iter().map(|&at| values[at]).collect();
            let from = values.len();
            values.extend(compute(operation, &inputs));
            perturb(&mut values, from);
        }
        values
    }

    /// By value: whether it depends on value `from`, itself included.
    pub fn dependents(&self, from: usize) -> Vec<bool> {
        let mut depends: Vec<bool> = (0..self.leaves.len() + self.constants.len())
            .map(|at| at == from)
            .collect();
        for (operation, operands) in &self.calls {
            let any = operands.iter().any(|&at| depends[at]);
            let results = if *operation == ScalarOp::SinCos { 2 } else { 1 };
            for _ in 0..results {
                depends.push(any || depends.len() == from);
            }
        }
        depends
    }

    /// All values, as variables of a tape.
    pub fn record(&self, tape: &mut Scalars) -> Vec<Scalar> {
        let mut values: Vec<Scalar> = self.leaves.iter().map(|&x| tape.leaf(x)).collect();
        values.extend(self.constants.iter().map(|&c| Scalar::constant(c)));
        self.record_calls(tape, &mut values);
        values
    }

    /// Appends the results of all calls to the values before.
    pub fn record_calls(&self, tape: &mut Scalars, values: &mut Vec<Scalar>) {
        for (operation, operands) in &self.calls {
            let operands: Vec<&Scalar> = operands.iter().map(|&at| &values[at]).collect();
            let results = tape.apply(operation.clone(), &operands);
            values.extend(results.expect("nothing is wrong"));
        }
    }

    /// All values, as expressions of these leaves.
    pub fn expressions(&self, leaves: &[Expr]) -> Vec<Expr> {
        let mut values = leaves.to_vec();
        values.extend(self.constants.iter().map(|&c| Expr::constant(c)));
        for (operation, operands) in &self.calls {
            let x = &values[operands[0]];
            let y = &values[operands[operands.len() - 1]];
            let result = match operation {
                ScalarOp::Add => x + y,
                ScalarOp::Sub => x - y,
                ScalarOp::Mul => x * y,
                ScalarOp::Div => x / y,
                ScalarOp::Neg => -x,
                ScalarOp::Exp => x.exp(),
                ScalarOp::Ln => x.ln(),
                ScalarOp::Sin => x.sin(),
                ScalarOp::Cos => x.cos(),
                _ => {
                    let (s, c) = x.sin_cos();
                    values.push(s);
                    c
                }
            };
            values.push(result);
        }
        values
    }
}

/// Some of the values that leaves reach, with repetitions.
pub fn choose(random: &mut Random, program: &Program, count: usize) -> Vec<usize> {
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let at = random.below(program.value_count());
        if program.active[at] {
            chosen.push(at);
        }
    }
    chosen
}
