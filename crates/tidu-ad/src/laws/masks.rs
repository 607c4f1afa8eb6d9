//! What is declared of masks is true: they leave out nothing that is there.

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::fault::Fault;
use super::probe::{Coordinates, Probe};
use super::random::Random;
use super::space::show_all;

/// Checks that cotangents of an operation's results that are zero in places give the same cotangents of its
/// operands, whether or not it is said where.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Result<(), Box<Fault>> {
    if Op::masking().is_none() || !masks_are_like_values(probe)? {
        return Ok(());
    }
    let c = probe.random_cotangents(random)?;
    let masks: Coordinates = c
        .iter()
        .map(|c| c.iter().map(|_| random.below(2) as f64).collect())
        .collect();
    let kept = |(c, mask): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
        c.iter().zip(mask).map(|(c, mask)| c * mask).collect()
    };
    let c: Coordinates = c.iter().zip(&masks).map(kept).collect();
    let plain = probe.pulled_back(&c, None)?;
    let masked = probe.pulled_back(&c, Some(&masks))?;
    if probe.setting.all_near(&plain, &masked, 0.0) {
        return Ok(());
    }
    let fault =
        Fault::new("a mask leaves out what is there: `mask_flow` and `mask_rule` say too much")
            .expected(format!("Jᵀ·c = {}", show_all(&plain)))
            .found(format!("with the mask m: {}", show_all(&masked)));
    Err(fault.along("c", &c).along("m", &masks))
}

/// Whether the coordinates of values are also those of masks of them.
fn masks_are_like_values<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
) -> Result<bool, Box<Fault>> {
    let is_like = |value: &Op::Operand| {
        let value_type = Op::type_of_operand(value);
        let has_mask = value_type.is_none_or(|known| Op::mask_type(&known) == known);
        has_mask && probe.setting.space.dimension(value) > 0
    };
    let results = probe.results()?;
    let operands = probe.wrt.iter().map(|&at| &probe.values[at]);
    Ok(results.iter().chain(operands).all(is_like))
}
