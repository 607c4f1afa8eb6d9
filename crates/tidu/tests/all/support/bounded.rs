//! Numbers that know how much rounding they may have seen, so that a tolerance follows from how
//! sensitive a result is and not from a guess.

use super::dual::Number;

/// A number, and a bound on its error to first order (running error analysis: Higham, *Accuracy and
/// Stability of Numerical Algorithms*, section 3.3). What cancels out of the number stays in the bound.
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    pub value: f64,
    pub error: f64,
}

impl Bounded {
    /// A number that is exact.
    pub fn exact(value: f64) -> Self {
        Self { value, error: 0.0 }
    }

    /// A result with the error that its operands bring, and its own rounding.
    fn rounded(value: f64, inherited: f64) -> Self {
        let error = inherited + f64::EPSILON * value.abs();
        Self { value, error }
    }
}

impl Number for Bounded {
    fn constant(value: f64) -> Self {
        Self::exact(value)
    }
    fn add(self, other: Self) -> Self {
        Self::rounded(self.value + other.value, self.error + other.error)
    }
    fn mul(self, other: Self) -> Self {
        let inherited = self.value.abs() * other.error + other.value.abs() * self.error;
        Self::rounded(self.value * other.value, inherited)
    }
    fn neg(self) -> Self {
        let value = -self.value;
        Self { value, ..self }
    }
    fn recip(self) -> Self {
        let value = self.value.recip();
        Self::rounded(value, value * value * self.error)
    }
    fn exp(self) -> Self {
        let value = self.value.exp();
        Self::rounded(value, value * self.error)
    }
    fn ln(self) -> Self {
        Self::rounded(self.value.ln(), self.error / self.value.abs())
    }
    fn sin(self) -> Self {
        Self::rounded(self.value.sin(), self.value.cos().abs() * self.error)
    }
    fn cos(self) -> Self {
        Self::rounded(self.value.cos(), self.value.sin().abs() * self.error)
    }
}
