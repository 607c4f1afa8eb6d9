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
    /// Two tangents, and the second derivatives of the results along them.
    Second([Vec<T>; 2], Vec<T>),
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

    /// Expects these second derivatives of the results, along one tangent for each operand that has
    /// tangents and then along another, whichever modes they are made by: at a kink or an end of a
    /// domain, where one mode may find a NaN and another a number, and both may be wrong.
    ///
    /// Made in reverse, they are sums over coordinates, of which those are left out in which the tangent
    /// is 0: an infinite derivative along another coordinate takes no part.
    #[must_use]
    pub fn second(
        mut self,
        first: impl Into<Vec<T>>,
        then: impl Into<Vec<T>>,
        results: impl Into<Vec<T>>,
    ) -> Self {
        let expectation = Expectation::Second([first.into(), then.into()], results.into());
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
            Expectation::Second([u, v], results) => {
                let (u, v) = (coordinates(u), coordinates(v));
                check_count("tangents", probe.wrt.len(), u.len())?;
                check_count("tangents", probe.wrt.len(), v.len())?;
                check_second(probe, &u, &v, &coordinates(results))
                    .map_err(|fault| fault.along("u", &u).along("v", &v))?;
            }
        }
    }
    Ok(Verdict::Holds)
}

/// Checks the second derivative along u and then v, by all ways: forward twice as it is, the others for each
/// coordinate of the results.
fn check_second<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    u: &Coordinates,
    v: &Coordinates,
    expected: &Coordinates,
) -> Result<(), Box<Fault>> {
    check_count("results", probe.outputs.len(), expected.len())?;
    let setting = probe.setting;
    let x = probe.point();
    let forward = probe.forward(u)?;
    for (name, second) in [
        ("forward over forward", forward.forward(v)?),
        (
            "forward over forward, v before u",
            probe.forward(v)?.forward(u)?,
        ),
    ] {
        let found = second.coordinates_like(expected)?;
        compare(
            setting,
            &format!("the second derivative by {name}"),
            expected,
            &found,
        )?;
    }
    for (output, coordinates) in expected.iter().enumerate() {
        for (at, expected) in coordinates.iter().enumerate() {
            let mut c: Coordinates = probe.coordinates()?.into_iter().flatten().collect();
            c.iter_mut().for_each(|c| c.fill(0.0));
            c[output][at] = 1.0;
            let reverse = probe.reverse(&c)?;
            for (name, along, second) in [
                ("forward over reverse", u, reverse.forward(v)?),
                ("reverse over forward", v, forward.reverse(&c)?),
                ("reverse over reverse", v, reverse.reverse(u)?),
            ] {
                let found = along_nonzero(along, &second.coordinates_like(&x)?);
                let (expected, found) = (vec![vec![*expected]], vec![vec![found]]);
                compare(
                    setting,
                    &format!("the second derivative by {name}"),
                    &expected,
                    &found,
                )?;
            }
        }
    }
    Ok(())
}

/// An inner product without the terms in which the tangent is 0.
fn along_nonzero(tangent: &Coordinates, found: &Coordinates) -> f64 {
    let pairs = tangent.iter().flatten().zip(found.iter().flatten());
    let terms = pairs.filter(|(t, _)| **t != 0.0).map(|(t, x)| t * x);
    terms.sum()
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
