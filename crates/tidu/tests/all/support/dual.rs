//! Dual numbers, written from scratch as the witness for every derivative.

use tidu::scalar::ScalarOp;

use super::sketch::Sketch;

/// What a sketch on scalars can be evaluated over.
pub trait Number: Copy {
    fn constant(value: f64) -> Self;
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn neg(self) -> Self;
    fn recip(self) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
}

impl Number for f64 {
    fn constant(value: f64) -> Self {
        value
    }
    fn add(self, other: Self) -> Self {
        self + other
    }
    fn mul(self, other: Self) -> Self {
        self * other
    }
    fn neg(self) -> Self {
        -self
    }
    fn recip(self) -> Self {
        1.0 / self
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
    fn ln(self) -> Self {
        f64::ln(self)
    }
    fn sin(self) -> Self {
        f64::sin(self)
    }
    fn cos(self) -> Self {
        f64::cos(self)
    }
}

/// a + b·ε with ε² = 0. Over itself: a + b·ε₁ + (c + d·ε₁)·ε₂, where d is the second derivative in
/// two directions.
#[derive(Clone, Copy, Debug)]
pub struct Dual<T> {
    pub value: T,
    pub tangent: T,
}

impl<T: Number> Dual<T> {
    /// f(a + b·ε) = f(a) + b·f′(a)·ε
    fn chain(self, value: T, slope: T) -> Self {
        let tangent = self.tangent.mul(slope);
        Self { value, tangent }
    }
}

impl<T: Number> Number for Dual<T> {
    fn constant(value: f64) -> Self {
        Self {
            value: T::constant(value),
            tangent: T::constant(0.0),
        }
    }
    fn add(self, other: Self) -> Self {
        Self {
            value: self.value.add(other.value),
            tangent: self.tangent.add(other.tangent),
        }
    }
    fn mul(self, other: Self) -> Self {
        let left = self.tangent.mul(other.value);
        let right = self.value.mul(other.tangent);
        Self {
            value: self.value.mul(other.value),
            tangent: left.add(right),
        }
    }
    fn neg(self) -> Self {
        self.chain(self.value.neg(), T::constant(-1.0))
    }
    fn recip(self) -> Self {
        let recip = self.value.recip();
        self.chain(recip, recip.mul(recip).neg())
    }
    fn exp(self) -> Self {
        self.chain(self.value.exp(), self.value.exp())
    }
    fn ln(self) -> Self {
        self.chain(self.value.ln(), self.value.recip())
    }
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    fn cos(self) -> Self {
        self.chain(self.value.cos(), self.value.sin().neg())
    }
}

impl Sketch<ScalarOp> {
    /// The outputs at x, over any numbers.
    pub fn over<N: Number>(&self, x: &[N]) -> Vec<N> {
        let mut values = x.to_vec();
        for step in &self.steps {
            let results = apply(&step.op, &step.operands, &values);
            values.extend(results);
        }
        self.outputs.iter().map(|&id| values[id]).collect()
    }

    /// J(x)·t, by dual numbers.
    pub fn dual_jvp(&self, x: &[f64], t: &[f64]) -> Vec<f64> {
        let x = x.iter().zip(t);
        let x: Vec<_> = x
            .map(|(&value, &tangent)| Dual { value, tangent })
            .collect();
        self.over(&x).iter().map(|y| y.tangent).collect()
    }

    /// J(x)ᵀ·c, column by column.
    pub fn dual_vjp(&self, x: &[f64], c: &[f64]) -> Vec<f64> {
        let column = |i| self.dual_jvp(x, &basis(x.len(), i));
        (0..x.len()).map(|i| dot(&column(i), c)).collect()
    }

    /// ∂²f(x)[t, u], by dual numbers over dual numbers.
    pub fn dual_second(&self, x: &[f64], t: &[f64], u: &[f64]) -> Vec<f64> {
        let lift = |i: usize| Dual {
            value: Dual {
                value: x[i],
                tangent: t[i],
            },
            tangent: Dual {
                value: u[i],
                tangent: 0.0,
            },
        };
        let x: Vec<_> = (0..x.len()).map(lift).collect();
        self.over(&x).iter().map(|y| y.tangent.tangent).collect()
    }

    /// (Σₖ cₖ·∂²fₖ(x))·t, by dual numbers over dual numbers.
    pub fn dual_hvp(&self, x: &[f64], c: &[f64], t: &[f64]) -> Vec<f64> {
        let entry = |i| dot(&self.dual_second(x, t, &basis(x.len(), i)), c);
        (0..x.len()).map(entry).collect()
    }
}

fn apply<N: Number>(op: &ScalarOp, operands: &[usize], values: &[N]) -> Vec<N> {
    let x = |i: usize| values[operands[i]];
    match op {
        ScalarOp::Constant(constant) => vec![N::constant(constant.value())],
        ScalarOp::Add => vec![x(0).add(x(1))],
        ScalarOp::Sub => vec![x(0).add(x(1).neg())],
        ScalarOp::Mul => vec![x(0).mul(x(1))],
        ScalarOp::Div => vec![x(0).mul(x(1).recip())],
        ScalarOp::Neg => vec![x(0).neg()],
        ScalarOp::Exp => vec![x(0).exp()],
        ScalarOp::Ln => vec![x(0).ln()],
        ScalarOp::Sin => vec![x(0).sin()],
        ScalarOp::Cos => vec![x(0).cos()],
        ScalarOp::SinCos => vec![x(0).sin(), x(0).cos()],
        other => panic!("teach the dual numbers {other:?}"),
    }
}

fn basis(len: usize, i: usize) -> Vec<f64> {
    (0..len).map(|j| f64::from(u8::from(i == j))).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
