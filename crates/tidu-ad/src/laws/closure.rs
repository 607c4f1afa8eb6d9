//! Derivatives can be differentiated.

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::probe::{Coordinates, Probe};
use super::random::Random;

/// Derives forward and reverse, and forward and reverse of both, and so on to the order that is set,
/// each time by all inputs there are by then, and runs everything.
///
/// # Complexity
///
/// 2ᵏ⁺¹ derivatives for order k.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Checked {
    if probe.wrt.is_empty() {
        return Ok(Verdict::NotApplicable);
    }
    let mut frontier = vec![(String::from("f"), probe.clone())];
    for _ in 0..probe.setting.order {
        let mut next = Vec::new();
        for (name, probe) in frontier {
            let forward = format!("forward over {name}");
            let derived = derive_forward(&probe, random);
            next.push((
                forward.clone(),
                derived.map_err(|fault| fault.within(&forward))?,
            ));
            let reverse = format!("reverse over {name}");
            let derived = derive_reverse(&probe, random);
            next.push((
                reverse.clone(),
                derived.map_err(|fault| fault.within(&reverse))?,
            ));
        }
        frontier = next;
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
