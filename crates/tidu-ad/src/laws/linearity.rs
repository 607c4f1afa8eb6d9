//! The emitted map of tangents is linear.

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::probe::Probe;
use super::random::Random;
use super::space::{combine, show_all};

/// Checks J·0 = 0 exactly, and J·(a·t) = a·J·t and J·(t + u) = J·t + J·u to rounding, for random a, t
/// and u.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Checked {
    if probe.wrt.is_empty() {
        return Ok(Verdict::NotApplicable);
    }
    let y = probe.coordinates()?;
    let y = y.into_iter().map(Option::unwrap_or_default).collect();
    let (t, u) = (probe.random_tangents(random), probe.random_tangents(random));
    let map = probe.forward(&t)?;
    if map.outputs.iter().all(Option::is_none) {
        return Ok(Verdict::NotApplicable);
    }
    let zero = combine(&t, -1.0, &t);
    let at_zero = map.applied_to(&zero, &y)?;
    if at_zero.iter().flatten().any(|entry| *entry != 0.0) {
        return Err(Fault::new("J·0 is not zero")
            .expected(show_all(&combine(&at_zero, -1.0, &at_zero)))
            .found(show_all(&at_zero)));
    }
    let (jt, ju) = (map.applied_to(&t, &y)?, map.applied_to(&u, &y)?);
    let magnitude = map.magnitude()?;
    // Not a power of two, of which a map may be homogeneous without being linear.
    let factor = -random.between(2.0, 4.0);
    let scaled = map.applied_to(&combine(&zero, factor, &t), &y)?;
    let expected = combine(&at_zero, factor, &jt);
    if !probe.setting.all_near(&expected, &scaled, magnitude) {
        return Err(Fault::new(format!("J·(a·t) is not a·J·t for a = {factor}"))
            .expected(show_all(&expected))
            .found(show_all(&scaled))
            .along("t", &t));
    }
    let sum = map.applied_to(&combine(&t, 1.0, &u), &y)?;
    let expected = combine(&jt, 1.0, &ju);
    if !probe.setting.all_near(&expected, &sum, magnitude) {
        return Err(Fault::new("J·(t + u) is not J·t + J·u")
            .expected(show_all(&expected))
            .found(show_all(&sum))
            .along("t", &t)
            .along("u", &u));
    }
    Ok(Verdict::Holds)
}
