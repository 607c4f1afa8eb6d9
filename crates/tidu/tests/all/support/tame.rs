//! Random functions of any number of inputs whose values and derivatives stay tame, and nested dual
//! numbers that work at any depth.

use tidu::scalar::ScalarOp;

use super::dual::{Dual, Number};
use super::sketch::Sketch;
use super::{TestKey, TestOp};

/// Turns choices into a function all of whose values at x are of moderate size, so that rounding
/// stays far from what is being tested: where an operation would lead too far, a sine takes its place.
/// Late values are the likely outputs, but any value may be one, and more than once.
pub fn tame_function(
    x: &[f64],
    choices: &[(usize, u16, u16)],
    outputs: &[u16],
) -> Sketch<ScalarOp> {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut f = Sketch {
        inputs: names[..x.len()].iter().map(|n| TestKey::named(n)).collect(),
        steps: Vec::new(),
        outputs: Vec::new(),
        values: x.len(),
    };
    let mut values = x.to_vec();
    for &(kind, a, b) in choices {
        let (a, b) = (usize::from(a) % values.len(), usize::from(b) % values.len());
        let (va, vb) = (values[a], values[b]);
        let (op, operands) = match kind % 11 {
            0 => (ScalarOp::constant(f64::from(a as u8) / 4.0 - 1.0), vec![]),
            1 if (va + vb).abs() < 3.0 => (ScalarOp::Add, vec![a, b]),
            2 if (va - vb).abs() < 3.0 => (ScalarOp::Sub, vec![a, b]),
            3 | 4 if (va * vb).abs() < 2.0 => (ScalarOp::Mul, vec![a, b]),
            5 if vb.abs() > 0.8 && va.abs() < 2.0 => (ScalarOp::Div, vec![a, b]),
            6 => (ScalarOp::Neg, vec![a]),
            7 if va < 0.7 => (ScalarOp::Exp, vec![a]),
            8 if va > 0.8 => (ScalarOp::Ln, vec![a]),
            9 => (ScalarOp::Cos, vec![a]),
            10 => (ScalarOp::SinCos, vec![b]),
            _ => (ScalarOp::Sin, vec![b]),
        };
        let operand_values: Vec<&f64> = operands.iter().map(|&id| &values[id]).collect();
        let results = op.run(&operand_values);
        f.push(op, operands);
        values.extend(results);
    }
    let output = |&choice: &u16| {
        let distance = usize::from(choice) % (values.len() + 4);
        values.len() - 1 - distance.saturating_sub(4)
    };
    f.outputs = outputs.iter().map(output).collect();
    f
}

/// Dual numbers four deep, with the nilpotent units ε₀ to ε₃: the coefficient of a product of units
/// stands where the bits of its index say.
pub type Dual4 = Dual<Dual<Dual<Dual<f64>>>>;

/// Numbers as their coefficients.
pub trait Coefficients: Number {
    fn read(&self) -> Vec<f64>;
    fn write(coefficients: &[f64]) -> Self;
}

impl Coefficients for f64 {
    fn read(&self) -> Vec<f64> {
        vec![*self]
    }

    fn write(coefficients: &[f64]) -> Self {
        coefficients[0]
    }
}

/// The unit of the outermost dual is the highest bit.
impl<T: Coefficients> Coefficients for Dual<T> {
    fn read(&self) -> Vec<f64> {
        [self.value.read(), self.tangent.read()].concat()
    }

    fn write(coefficients: &[f64]) -> Self {
        let (value, tangent) = coefficients.split_at(coefficients.len() / 2);
        Self {
            value: T::write(value),
            tangent: T::write(tangent),
        }
    }
}

/// x + t·εₖ
pub fn lift<N: Coefficients>(x: N, t: N, unit: usize) -> N {
    let (mut sum, t) = (x.read(), t.read());
    for at in (0..sum.len()).filter(|at| at & 1 << unit != 0) {
        sum[at] += t[at ^ 1 << unit];
    }
    N::write(&sum)
}

/// (a, b) of a + b·εₖ
pub fn split<N: Coefficients>(number: N, unit: usize) -> (N, N) {
    let all = number.read();
    let without = |at: &usize| at & 1 << unit == 0;
    let part = |shift: usize| {
        let pick = |at: usize| if without(&at) { all[at | shift] } else { 0.0 };
        N::write(&(0..all.len()).map(pick).collect::<Vec<_>>())
    };
    (part(0), part(1 << unit))
}
