//! Operands as vectors of a real inner product space, and how results are compared.

use num_complex::Complex64;

/// A vector of a real inner product space.
pub trait Operand: Clone + std::fmt::Debug + PartialEq {
    /// ⟨a, b⟩ = Re(conj(a)·b), summed over components.
    fn inner(&self, other: &Self) -> f64;

    /// The real coordinates.
    fn coordinates(&self) -> Vec<f64>;
}

impl Operand for f64 {
    fn inner(&self, other: &Self) -> f64 {
        self * other
    }

    fn coordinates(&self) -> Vec<f64> {
        vec![*self]
    }
}

impl Operand for Complex64 {
    fn inner(&self, other: &Self) -> f64 {
        (self.conj() * other).re
    }

    fn coordinates(&self) -> Vec<f64> {
        vec![self.re, self.im]
    }
}

impl Operand for Vec<f64> {
    fn inner(&self, other: &Self) -> f64 {
        assert_eq!(self.len(), other.len(), "an inner product of two spaces");
        self.iter().zip(other).map(|(a, b)| a * b).sum()
    }

    fn coordinates(&self) -> Vec<f64> {
        self.clone()
    }
}

/// Σₖ ⟨aₖ, bₖ⟩, a symbolic zero counting as zero.
pub fn inner<T: Operand>(a: &[Option<T>], b: &[T]) -> f64 {
    assert_eq!(a.len(), b.len());
    let terms = a.iter().zip(b);
    terms
        .filter_map(|(a, b)| a.as_ref().map(|a| a.inner(b)))
        .sum()
}

/// The numbers, a symbolic zero counting as 0.
pub fn or_zero(values: &[Option<f64>]) -> Vec<f64> {
    values.iter().map(|value| value.unwrap_or(0.0)).collect()
}

/// Equal up to the rounding that a short computation on tame numbers may accumulate: 1e-9, relative
/// to the largest number that takes part.
#[track_caller]
pub fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(
        found.len(),
        expected.len(),
        "{found:?} against {expected:?}"
    );
    let numbers = found.iter().chain(expected);
    let scale = numbers.fold(1.0, |scale: f64, number| scale.max(number.abs()));
    for (a, b) in found.iter().zip(expected) {
        // Written so that a NaN fails.
        let close = (a - b).abs() <= 1e-9 * scale;
        assert!(close, "found {found:?}, expected {expected:?}");
    }
}

/// Every one is there and close to what is expected.
#[track_caller]
pub fn assert_exactly(found: &[Option<f64>], expected: &[f64]) {
    let all = found.iter().copied().collect::<Option<Vec<f64>>>();
    match all {
        Some(all) => assert_close(&all, expected),
        None => panic!("a symbolic zero in {found:?}, expected {expected:?}"),
    }
}
