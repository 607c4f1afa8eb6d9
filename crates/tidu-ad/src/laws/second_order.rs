//! Second derivatives: true, symmetric, and the same whichever modes they are made by.

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::jvp;
use super::probe::{Coordinates, Probe};
use super::random::Random;
use super::space::inner;

/// Checks the second derivative of ⟨c, f⟩ along random u and v.
///
/// What is derived forward twice is held against differences of J·u; the other ways, and the other
/// order of u and v, against that.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Checked {
    if probe.wrt.is_empty() {
        return Ok(Verdict::NotApplicable);
    }
    let (u, v) = (probe.random_tangents(random), probe.random_tangents(random));
    let c = probe.random_cotangents(random)?;
    let forward = probe.forward(&u)?;
    if forward.outputs.iter().all(Option::is_none) {
        return Ok(Verdict::NotApplicable);
    }
    let place = |fault: Box<Fault>, place| fault.within(place).along("u", &u).along("v", &v);
    jvp::check_along(&forward, &v)
        .map_err(|fault| place(fault, "of f replaced by its derivative along u, and t by v"))?;

    let y = probe.coordinates()?;
    let y: Coordinates = y.into_iter().map(Option::unwrap_or_default).collect();
    let x = probe.point();
    let second = |first: &Probe<'_, Op>, v: &Coordinates| {
        let second = first.forward(v)?.coordinates_like(&y)?;
        Ok::<_, Box<Fault>>(inner(&c, &second))
    };
    let (expected, mut magnitude) = second(&forward, &v)?;
    let swapped = second(&probe.forward(&v)?, &u);
    let reverse = probe.reverse(&c);
    let forward_over_reverse = reverse.clone().and_then(|reverse| {
        let tangent = reverse.forward(&v)?.coordinates_like(&x)?;
        Ok(inner(&u, &tangent))
    });
    let reverse_over_forward = forward.reverse(&c).and_then(|reverse| {
        let cotangent = reverse.coordinates_like(&x)?;
        Ok(inner(&v, &cotangent))
    });
    let reverse_over_reverse = reverse.and_then(|reverse| {
        let cotangent = reverse.reverse(&u)?.coordinates_like(&x)?;
        Ok(inner(&v, &cotangent))
    });
    let ways = [
        ("forward over forward, v before u", swapped),
        ("forward over reverse", forward_over_reverse),
        ("reverse over forward", reverse_over_forward),
        ("reverse over reverse", reverse_over_reverse),
    ];
    for (way, found) in ways {
        let (found, terms) = found.map_err(|fault| place(fault, way).along("c", &c))?;
        magnitude = magnitude.max(terms);
        if !probe.setting.near(&[expected], &[found], magnitude) {
            let message = "the second derivative of ⟨c, f⟩ along u and v is not the same by";
            return Err(Fault::new(format!("{message} {way}"))
                .expected(format!("{expected:?} (forward over forward)"))
                .found(format!("{found:?} ({way})"))
                .along("u", &u)
                .along("v", &v)
                .along("c", &c));
        }
    }
    Ok(Verdict::Holds)
}
