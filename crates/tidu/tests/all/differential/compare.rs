//! When results agree: to the last bit, as numbers, or as far as rounding lets them.

use super::case::Case;
use crate::support::{Bounded, Dual};

/// How many times the bound on the error of the dual numbers another order of operations may be off.
const SLACK: f64 = 64.0;

/// Below this, relative to 1, nothing is told apart.
const FLOOR: f64 = 1e-14;

/// What nested dual numbers say, with bounds on their errors.
pub struct Judge {
    pub value: Vec<Bounded>,
    pub gradient: Vec<Bounded>,
    /// The Hessian times the direction of the case.
    pub hvp: Vec<Bounded>,
}

impl Judge {
    pub fn of(case: &Case) -> Self {
        let inputs = 0..case.x.len();
        // Along eᵢ and v at once: ∂ᵢ in the outer tangent, ∂ᵥ in the inner one.
        let along = |i: usize| {
            let lifted = inputs.clone().map(|at| Dual {
                value: Dual {
                    value: Bounded::exact(case.x[at]),
                    tangent: Bounded::exact(case.v[at]),
                },
                tangent: Dual {
                    value: Bounded::exact(f64::from(u8::from(at == i))),
                    tangent: Bounded::exact(0.0),
                },
            });
            case.f.over(&lifted.collect::<Vec<_>>())[0]
        };
        let along: Vec<_> = inputs.clone().map(along).collect();
        Self {
            value: vec![along[0].value.value],
            gradient: along.iter().map(|y| y.tangent.value).collect(),
            hvp: along.iter().map(|y| y.tangent.tangent).collect(),
        }
    }

    /// Whether all numbers are finite, as they are unless shrinking has led out of a domain.
    pub fn is_sound(&self) -> bool {
        let numbers = self.value.iter().chain(&self.gradient).chain(&self.hvp);
        let mut errors = numbers.map(|number| number.value.abs() + number.error);
        errors.all(f64::is_finite)
    }
}

/// Agreement but for rounding.
pub fn close(path: &str, found: &[f64], expected: &[Bounded]) -> Result<(), String> {
    let close = |(found, expected): (&f64, &Bounded)| {
        let tolerance = SLACK * expected.error + FLOOR;
        // Written so that a NaN fails.
        (found - expected.value).abs() <= tolerance
    };
    let agree = found.len() == expected.len() && found.iter().zip(expected).all(close);
    match agree {
        true => Ok(()),
        false => Err(format!(
            "{path}: found {found:?}, dual numbers say {expected:?}"
        )),
    }
}

/// Agreement to the last bit: the same operations on the same operands.
pub fn same_bits(path: &str, found: &[f64], expected: &[f64]) -> Result<(), String> {
    let bits = |numbers: &[f64]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
    match bits(found) == bits(expected) {
        true => Ok(()),
        false => Err(format!(
            "{path}: found {found:?}, expected the bits of {expected:?}"
        )),
    }
}

/// Agreement of numbers, whatever the sign of a zero.
pub fn same_numbers(path: &str, found: &[f64], expected: &[f64]) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!(
            "{path}: found {found:?}, expected just {expected:?}"
        )),
    }
}
