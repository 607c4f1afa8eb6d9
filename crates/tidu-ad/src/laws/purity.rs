//! Rules and evaluation are functions of their arguments alone.

use tidu_graph::EvaluableGraphOperation;

use crate::linearized_graph::LinearizedGraph;
use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::probe::{Coordinates, Probe, output_keys};
use super::space::show_all;

/// Checks that two probes of one subject, which share no AD context, derive the same graphs, and that
/// one evaluation is like the next.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    again: &Probe<'_, Op>,
    operation: Option<&Op>,
) -> Checked {
    if let Some(operation) = operation {
        check_ways_to_evaluate(probe, operation)?;
    }
    let values = |probe: &Probe<'_, Op>| {
        let values = probe.coordinates()?;
        Ok::<Coordinates, Box<Fault>>(values.into_iter().flatten().collect())
    };
    let (first, second) = (values(probe)?, values(again)?);
    if bits(&first) != bits(&second) {
        return Err(
            Fault::new("`eval` does not yield the same for the same operands")
                .expected(format!("{} (the first time)", show_all(&first)))
                .found(format!("{} (the second time)", show_all(&second))),
        );
    }
    if probe.wrt.is_empty() {
        return Ok(Verdict::Holds);
    }
    let (linear, linear_again) = (probe.linearize()?, again.linearize()?);
    same_graph("JVP", &linear, &linear_again)?;
    let transposed = probe.transpose(&linear)?;
    // Of the same map, so that what differs is the transpose rules' own doing.
    same_graph("transpose", &transposed, &again.transpose(&linear)?)?;
    Ok(Verdict::Holds)
}

/// Checks that `eval`, `eval_into` and what programs call yield the same bits.
fn check_ways_to_evaluate<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    operation: &Op,
) -> Result<(), Box<Fault>> {
    let setting = probe.setting;
    let inputs: Vec<&Op::Operand> = probe.values.iter().collect();
    let coordinates = |results: &[Op::Operand]| -> Coordinates {
        let results = results.iter();
        results
            .map(|result| setting.space.coordinates(result))
            .collect()
    };
    let mut context = setting.context.borrow_mut();
    let expected = coordinates(&operation.eval(&mut context, &inputs));
    let mut pushed = Vec::new();
    operation.eval_into(&mut context, &inputs, &mut pushed);
    drop(context);
    let in_program = probe.coordinates()?.into_iter().flatten().collect();
    let ways = [
        ("`eval_into` does not yield", coordinates(&pushed)),
        ("a program, by `eval_one`, does not yield", in_program),
    ];
    for (way, found) in ways {
        if bits(&found) != bits(&expected) {
            let fault = Fault::new(format!("{way} what `eval` yields"));
            return Err(fault.expected(show_all(&expected)).found(show_all(&found)));
        }
    }
    Ok(())
}

fn bits(values: &Coordinates) -> Vec<u64> {
    values.iter().flatten().map(|x| x.to_bits()).collect()
}

fn same_graph<Op: Primitive>(
    rule: &str,
    first: &LinearizedGraph<Op>,
    second: &LinearizedGraph<Op>,
) -> Result<(), Box<Fault>> {
    let (before, after) = (first.to_string(), second.to_string());
    // Operations that differ may print alike.
    let same_keys = output_keys(first.as_graph()) == output_keys(second.as_graph());
    if before == after && same_keys {
        return Ok(());
    }
    Err(Fault::new(format!(
        "the {rule} rules do not emit the same graph for the same arguments"
    ))
    .expected(format!("{before} (the first time)"))
    .found(format!("{after} (the second time)")))
}
