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
    let along_v = forward.forward(&v)?;
    let expected = inner(&c, &along_v.coordinates_like(&y)?);
    let mut magnitude = along_v.magnitude()?;
    let reverse = probe.reverse(&c);
    let ways: [(
        &str,
        Result<Probe<'_, Op>, Box<Fault>>,
        &Coordinates,
        &Coordinates,
    ); 4] = [
        (
            "forward over forward, v before u",
            probe.forward(&v).and_then(|first| first.forward(&u)),
            &c,
            &y,
        ),
        (
            "forward over reverse",
            reverse.clone().and_then(|first| first.forward(&v)),
            &u,
            &x,
        ),
        ("reverse over forward", forward.reverse(&c), &v, &x),
        (
            "reverse over reverse",
            reverse.and_then(|first| first.reverse(&u)),
            &v,
            &x,
        ),
    ];
    for (way, second, with, like) in ways {
        let second = second.map_err(|fault| place(fault, way).along("c", &c))?;
        let found = inner(with, &second.coordinates_like(like)?);
        magnitude = magnitude.max(second.magnitude()?);
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
