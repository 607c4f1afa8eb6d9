//! Points that the author of an operation lists, with what is to come out there.

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::probe::{Coordinates, Probe};
use super::setting::Setting;
use super::space::show_all;

/// A point with expected values and derivatives: at the edge of a domain, at a tie, at infinity.
///
/// What is expected may be infinite or NaN; an expected NaN is met by any NaN, and an expected zero
/// by exact zero, of either sign, only. Symbolic zeros count as zeros.
///
/// # Example
///
/// |x| at 0, where the derivative is agreed to be 0:
///
/// ```
/// use tidu_ad::laws::SpecialPoint;
///
/// let point = SpecialPoint::at([0.0])
///     .value([0.0])
///     .jvp([1.0], [0.0])
///     .vjp([1.0], [0.0]);
/// # let _ = point;
/// ```
#[derive(Clone, Debug)]
pub struct SpecialPoint<T> {
    pub(super) operands: Vec<T>,
    expectations: Vec<Expectation<T>>,
}

#[derive(Clone, Debug)]
enum Expectation<T> {
    Value(Vec<T>),
    /// Tangents, and the tangents of the results.
    Jvp(Vec<T>, Vec<T>),
    /// Cotangents of the results, and the cotangents.
    Vjp(Vec<T>, Vec<T>),
}

impl<T> SpecialPoint<T> {
    /// The point, by all operands.
    pub fn at(operands: impl Into<Vec<T>>) -> Self {
        Self {
            operands: operands.into(),
            expectations: Vec::new(),
        }
    }

    /// Expects these results.
    #[must_use]
    pub fn value(mut self, results: impl Into<Vec<T>>) -> Self {
        self.expectations.push(Expectation::Value(results.into()));
        self
    }

    /// Expects these tangents of the results, for one tangent for each operand that has tangents.
    #[must_use]
    pub fn jvp(mut self, tangents: impl Into<Vec<T>>, results: impl Into<Vec<T>>) -> Self {
        let expectation = Expectation::Jvp(tangents.into(), results.into());
        self.expectations.push(expectation);
        self
    }

    /// Expects these cotangents of the operands that have tangents, for one cotangent for each result.
    #[must_use]
    pub fn vjp(mut self, cotangents: impl Into<Vec<T>>, results: impl Into<Vec<T>>) -> Self {
        let expectation = Expectation::Vjp(cotangents.into(), results.into());
        self.expectations.push(expectation);
        self
    }
}

/// Checks everything that is expected at the point of the probe.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    point: &SpecialPoint<Op::Operand>,
) -> Checked {
    let space = &probe.setting.space;
    let coordinates = |operands: &[Op::Operand]| -> Coordinates {
        operands.iter().map(|x| space.coordinates(x)).collect()
    };
    for expectation in &point.expectations {
        match expectation {
            Expectation::Value(results) => {
                let found = probe.coordinates()?.into_iter().flatten();
                let found = found.collect::<Coordinates>();
                compare(probe.setting, "the value", &coordinates(results), &found)?;
            }
            Expectation::Jvp(tangents, results) => {
                let (t, expected) = (coordinates(tangents), coordinates(results));
                check_count("tangents", probe.wrt.len(), t.len())?;
                let found = probe.forward(&t)?.coordinates_like(&expected)?;
                compare(probe.setting, "J·t", &expected, &found)
                    .map_err(|fault| fault.along("t", &t))?;
            }
            Expectation::Vjp(cotangents, results) => {
                let (c, expected) = (coordinates(cotangents), coordinates(results));
                check_count("cotangents", probe.outputs.len(), c.len())?;
                let found = probe.reverse(&c)?.coordinates_like(&expected)?;
                compare(probe.setting, "Jᵀ·c", &expected, &found)
                    .map_err(|fault| fault.along("c", &c))?;
            }
        }
    }
    Ok(Verdict::Holds)
}

fn compare<Op: Primitive + EvaluableGraphOperation>(
    setting: &Setting<Op>,
    what: &str,
    expected: &Coordinates,
    found: &Coordinates,
) -> Result<(), Box<Fault>> {
    check_count("results", found.len(), expected.len())?;
    let pairs = expected.iter().zip(found);
    let mut same = pairs.map(|(expected, found)| {
        let entries = expected.iter().zip(found);
        let near = |(expected, found): (&f64, &f64)| {
            (expected.is_nan() && found.is_nan()) || setting.near(&[*expected], &[*found], 0.0)
        };
        expected.len() == found.len() && entries.into_iter().all(near)
    });
    match same.all(|same| same) {
        true => Ok(()),
        false => Err(Fault::new(format!("{what} is not as listed"))
            .expected(show_all(expected))
            .found(show_all(found))),
    }
}

fn check_count(what: &str, expected: usize, listed: usize) -> Result<(), Box<Fault>> {
    match expected == listed {
        true => Ok(()),
        false => Err(
            Fault::new(format!("the point lists the wrong number of {what}"))
                .expected(expected.to_string())
                .found(listed.to_string()),
        ),
    }
}
