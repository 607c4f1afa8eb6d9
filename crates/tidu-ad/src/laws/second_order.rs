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
    let ways = [
        Way {
            name: "forward over forward, v before u",
            second: probe.forward(&v).and_then(|first| first.forward(&u)),
            with: &c,
            like: &y,
        },
        Way {
            name: "forward over reverse",
            second: reverse.clone().and_then(|first| first.forward(&v)),
            with: &u,
            like: &x,
        },
        Way {
            name: "reverse over forward",
            second: forward.reverse(&c),
            with: &v,
            like: &x,
        },
        Way {
            name: "reverse over reverse",
            second: reverse.and_then(|first| first.reverse(&u)),
            with: &v,
            like: &x,
        },
    ];
    for way in ways {
        let name = way.name;
        let second = way.second;
        let second = second.map_err(|fault| place(fault, name).along("c", &c))?;
        let found = inner(way.with, &second.coordinates_like(way.like)?);
        magnitude = magnitude.max(second.magnitude()?);
        if !probe.setting.near(&[expected], &[found], magnitude) {
            let message = "the second derivative of ⟨c, f⟩ along u and v is not the same by";
            return Err(Fault::new(format!("{message} {name}"))
                .expected(format!("{expected:?} (forward over forward)"))
                .found(format!("{found:?} ({name})"))
                .along("u", &u)
                .along("v", &v)
                .along("c", &c));
        }
    }
    Ok(Verdict::Holds)
}

/// A way to a second derivative: what is derived, and the inner product with what is the number.
struct Way<'a, 'p, Op: Primitive + EvaluableGraphOperation> {
    name: &'static str,
    second: Result<Probe<'p, Op>, Box<Fault>>,
    with: &'a Coordinates,
    /// The dimensions of what is derived.
    like: &'a Coordinates,
}
