//! The emitted map of cotangents is the transpose of the map of tangents.

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::probe::{Coordinates, Probe, active_positions};
use super::random::Random;
use super::space::{inner, show_all};

/// Checks ⟨c, J·t⟩ = ⟨Jᵀ·c, t⟩ for random c and t, and that transposing twice gives back J·t.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Checked {
    if probe.wrt.is_empty() {
        return Ok(Verdict::NotApplicable);
    }
    let y = probe.coordinates()?;
    let y: Coordinates = y.into_iter().map(Option::unwrap_or_default).collect();
    let t = probe.random_tangents(random);
    let c = probe.random_cotangents(random)?;
    let map = probe.forward(&t)?;
    if map.outputs.iter().all(Option::is_none) {
        return Ok(Verdict::NotApplicable);
    }
    let jt = map.coordinates_like(&y)?;
    let transposed = probe.reverse(&c)?;
    let jc = transposed.coordinates_like(&probe.point())?;
    let (left, right) = (inner(&c, &jt), inner(&jc, &t));
    let magnitude = map.magnitude()?.max(transposed.magnitude()?);
    if !probe.setting.near(&[left], &[right], magnitude) {
        return Err(Fault::new("⟨c, J·t⟩ is not ⟨Jᵀ·c, t⟩")
            .expected(format!("⟨c, J·t⟩ = {left:?}, with J·t = {}", show_all(&jt)))
            .found(format!(
                "⟨Jᵀ·c, t⟩ = {right:?}, with Jᵀ·c = {}",
                show_all(&jc)
            ))
            .along("t", &t)
            .along("c", &c));
    }
    let twice = transposed_twice(probe, &t, &y)?;
    if !probe.setting.all_near(&jt, &twice, magnitude) {
        return Err(Fault::new("the transpose of the transpose is not J")
            .expected(format!("J·t = {}", show_all(&jt)))
            .found(show_all(&twice))
            .along("t", &t));
    }
    Ok(Verdict::Holds)
}

/// (Jᵀ)ᵀ·t
fn transposed_twice<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    t: &Coordinates,
    y: &Coordinates,
) -> Result<Coordinates, Box<Fault>> {
    let linear = probe.linearize()?;
    let once = probe.transpose(&linear)?;
    let tangents = probe.wrt.iter().zip(t);
    let tangents = tangents.map(|(&at, t)| probe.setting.space.operand(&probe.values[at], t));
    let active = once.tangent_outputs().iter().zip(tangents);
    let seeds: Vec<Op::Operand> = active.filter_map(|(active, t)| active.map(|_| t)).collect();
    let twice = probe.transpose_like(&once, &seeds.iter().collect::<Vec<_>>())?;
    let back = active_positions(twice.tangent_outputs());
    let mut back = back.into_iter();
    let outputs = linear.tangent_outputs().iter();
    let outputs = outputs.map(|active| active.and_then(|_| back.next().flatten()));
    let outputs = outputs.collect();
    let twice = probe.derived(twice.as_graph(), seeds, outputs);
    twice
        .and_then(|twice| twice.coordinates_like(y))
        .map_err(|fault| fault.within("the transpose of the transpose"))
}
