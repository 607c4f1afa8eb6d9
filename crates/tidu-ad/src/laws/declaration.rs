//! What is declared of linearity and of types is true, and what is emitted keeps to it.

use tidu_graph::EvaluableGraphOperation;

use crate::linearized_graph::LinearizedGraph;
use crate::rules::{Linearity, Primitive, checked_with_residuals};
use crate::verify::verify_linear;

use super::fault::{Checked, Fault, Verdict};
use super::masks;
use super::patterns::patterns;
use super::probe::{Coordinates, Probe};
use super::random::Random;
use super::space::{combine, norm_of_all, show_all};
use super::subject::single;

/// Checks the types that are inferred, the roles and masks of first and second derivatives, and of a single operation the
/// masks that it declares to be linear in, and the operation that returns residuals besides.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    operation: Option<&Op>,
    random: &mut Random,
) -> Checked {
    check_types("", probe)?;
    if let Some(operation) = operation {
        check_masks(probe, operation, random)?;
    }
    if probe.wrt.is_empty() {
        return match operation.map(Primitive::linearity) {
            None | Some(Linearity::Undeclared) => Ok(Verdict::NotApplicable),
            Some(_) => Ok(Verdict::Holds),
        };
    }
    if let Some(operation) = operation {
        check_residuals(probe, operation)?;
        masks::check(probe, random)?;
    }
    check_maps("", probe)?;
    let forward = probe.forward(&probe.random_tangents(random))?;
    check_types("forward: ", &forward)?;
    check_maps("second derivatives, forward first: ", &forward)?;
    let reverse = probe.reverse(&probe.random_cotangents(random)?)?;
    check_types("in reverse: ", &reverse)?;
    check_maps("second derivatives, reverse first: ", &reverse)?;
    Ok(Verdict::Holds)
}

/// Checks that the results are of the types that are inferred for them.
fn check_types<Op: Primitive + EvaluableGraphOperation>(
    place: &str,
    probe: &Probe<'_, Op>,
) -> Result<(), Box<Fault>> {
    let operands: Vec<&Op::Operand> = probe.values.iter().collect();
    let typed = probe.function.with_types_of(&operands);
    let inferred = typed.and_then(|typed| typed.output_types());
    let inferred = inferred.map_err(|error| {
        let fault = Fault::new(format!(
            "{place}operands have results, but no types are inferred"
        ));
        fault
            .expected("the types of the results")
            .found(error.to_string())
    })?;
    let results = probe.evaluate()?;
    for (output, (at, result)) in probe.outputs.iter().zip(results).enumerate() {
        let (Some(inferred), Some(at), Some(result)) = (&inferred, at, result) else {
            continue;
        };
        let found = Op::type_of_operand(&result);
        if found.as_ref().is_some_and(|found| *found != inferred[*at]) {
            let fault = Fault::new(format!(
                "{place}result {output} is not of the type that is inferred"
            ));
            let found = found.map(|found| found.to_string());
            return Err(fault
                .expected(inferred[*at].to_string())
                .found(found.unwrap_or_default()));
        }
    }
    Ok(())
}

/// Checks that the operation with residuals begins with the results of the one without.
fn check_residuals<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    operation: &Op,
) -> Result<(), Box<Fault>> {
    let active: Vec<bool> = (0..probe.values.len())
        .map(|at| probe.wrt.contains(&at))
        .collect();
    let Some(extended) = checked_with_residuals(operation, &active)? else {
        return Ok(());
    };
    let keys = probe.function.input_keys();
    let function = single(&extended, |at| keys[at].clone())?;
    let coordinates = |value: &Op::Operand| probe.setting.space.coordinates(value);
    let results = probe.results()?;
    let expected: Coordinates = results.iter().map(coordinates).collect();
    let found = probe.setting.run(&function.compile(), &probe.values)?;
    let found: Coordinates = found[..results.len()].iter().map(coordinates).collect();
    if probe
        .setting
        .all_near(&expected, &found, norm_of_all(&expected))
    {
        return Ok(());
    }
    let fault = Fault::new("the operation with residuals has other results");
    Err(fault.expected(show_all(&expected)).found(show_all(&found)))
}

fn check_maps<Op: Primitive + EvaluableGraphOperation>(
    place: &str,
    probe: &Probe<'_, Op>,
) -> Result<(), Box<Fault>> {
    let linear = probe.linearize()?;
    check_map(&format!("{place}the map of tangents"), &linear)?;
    let transposed = probe.transpose(&linear)?;
    check_map(&format!("{place}the map of cotangents"), &transposed)
}

fn check_map<Op: Primitive>(place: &str, map: &LinearizedGraph<Op>) -> Result<(), Box<Fault>> {
    let report = verify_linear(map);
    match report.is_clean() {
        true => Ok(()),
        false => Err(Fault::new(format!("{place} is not well-formed"))
            .expected("no findings of `verify_linear`")
            .found(report.to_string())),
    }
}

/// Checks that the operation is linear in each set of operands that it declares to be linear in, the
/// others being fixed.
fn check_masks<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    operation: &Op,
    random: &mut Random,
) -> Result<(), Box<Fault>> {
    let linearity = operation.linearity();
    if linearity == Linearity::Undeclared {
        return Ok(());
    }
    let operands = probe.values.len();
    for active in patterns(&probe.wrt, random) {
        let mask: Vec<bool> = (0..operands).map(|at| active.contains(&at)).collect();
        if linearity.permits(&mask) {
            check_mask(&probe.by(&active), random).map_err(|mut fault| {
                fault.message = format!(
                    "the operation is declared linear in operands {active:?}, but {}",
                    fault.message
                );
                fault
            })?;
        }
    }
    Ok(())
}

/// Checks that the operation itself is linear in the inputs of `probe.wrt`.
fn check_mask<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Result<(), Box<Fault>> {
    let (t, u) = (probe.random_tangents(random), probe.random_tangents(random));
    let zero = combine(&t, -1.0, &t);
    let factor = -random.between(2.0, 4.0);
    let apply = |active: &Coordinates| {
        let mut values = probe.values.clone();
        for (&at, active) in probe.wrt.iter().zip(active) {
            values[at] = probe.setting.space.operand(&values[at], active);
        }
        let results = probe.coordinates_at(&values)?;
        Ok::<Coordinates, Box<Fault>>(results.into_iter().flatten().collect())
    };
    let fault = |message: &str, expected: &Coordinates, found: &Coordinates| {
        let fault = Fault::new(message).expected(show_all(expected));
        Err(fault.found(show_all(found)).along("t", &t).along("u", &u))
    };
    let at_zero = apply(&zero)?;
    let nothing = combine(&at_zero, -1.0, &at_zero);
    if at_zero.iter().flatten().any(|entry| *entry != 0.0) {
        return fault("not zero at zero", &nothing, &at_zero);
    }
    let (at_t, at_u) = (apply(&t)?, apply(&u)?);
    let magnitude = norm_of_all(&at_t) + norm_of_all(&at_u);
    let (expected, found) = (
        combine(&nothing, factor, &at_t),
        apply(&combine(&zero, factor, &t))?,
    );
    if !probe.setting.all_near(&expected, &found, magnitude) {
        let message = format!("f(a·t) is not a·f(t) for a = {factor}");
        return fault(&message, &expected, &found);
    }
    let (expected, found) = (combine(&at_t, 1.0, &at_u), apply(&combine(&t, 1.0, &u))?);
    if !probe.setting.all_near(&expected, &found, magnitude) {
        return fault("f(t + u) is not f(t) + f(u)", &expected, &found);
    }
    Ok(())
}
