//! Derivatives can be differentiated.

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::probe::{Coordinates, Probe};
use super::random::Random;

/// Derives in all sequences of forward and reverse of the length that is set, each time by all inputs
/// there are by then, and runs everything.
///
/// # Complexity
///
/// k·2ᵏ derivatives for order k.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Checked {
    if probe.wrt.is_empty() {
        return Ok(Verdict::NotApplicable);
    }
    let order = probe.setting.order;
    for path in 0..1_usize << order {
        let mut derived = probe.clone();
        let mut name = String::from("f");
        for step in 0..order {
            let is_reverse = path >> step & 1 == 1;
            name = format!(
                "{} over {name}",
                if is_reverse { "reverse" } else { "forward" }
            );
            let next = match is_reverse {
                true => derive_reverse(&derived, random),
                false => derive_forward(&derived, random),
            };
            derived = next.map_err(|fault| fault.within(&name))?;
        }
    }
    Ok(Verdict::Holds)
}

fn derive_forward<'a, Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'a, Op>,
    random: &mut Random,
) -> Result<Probe<'a, Op>, Box<Fault>> {
    let y = probe.coordinates()?;
    let y: Coordinates = y.into_iter().map(Option::unwrap_or_default).collect();
    let mut derived = probe.forward(&probe.random_tangents(random))?;
    derived.coordinates_like(&y)?;
    derived.wrt = derived.active_inputs();
    Ok(derived)
}

fn derive_reverse<'a, Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'a, Op>,
    random: &mut Random,
) -> Result<Probe<'a, Op>, Box<Fault>> {
    let mut derived = probe.reverse(&probe.random_cotangents(random)?)?;
    derived.coordinates_like(&probe.point())?;
    derived.wrt = derived.active_inputs();
    Ok(derived)
}
