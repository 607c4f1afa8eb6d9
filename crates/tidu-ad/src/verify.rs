//! Checking that a linear graph is linear.

use std::fmt;

use tidu_graph::text::operation_label;
use tidu_graph::{
    Finding, GraphOperation, LocalOperationId, OperationRole, Report, Step, StepOperand,
    verify_structure,
};

use crate::linearized_graph::LinearizedGraph;
use crate::rules::{ADRuleError, ADRuleKind, ADRuleResult, Linearity, Primitive};
use crate::walk::depends_on;

/// Checks that a linear graph is linear and reports everything that is wrong with it.
///
/// Besides the structural checks of [`tidu_graph::verify`] (but for `dangling-external`):
///
/// | check | what it finds |
/// |---|---|
/// | `primal-role` | an operation that depends on a tangent but is not marked as linear |
/// | `inactive-tangent` | an operand that depends on a tangent but is not marked active |
/// | `not-linear` | an operation marked active in operands in which it is not linear |
/// | `affine` | an active operand, or an output, that does not depend on a tangent, so that the map is not zero at zero |
///
/// `not-linear` and `affine` go by what the operation set declares
/// ([`Primitive::linearity`](crate::Primitive::linearity)); an operation that declares nothing is
/// believed.
///
/// [`try_linearize`](crate::try_linearize) and [`try_linear_transpose`](crate::try_linear_transpose)
/// run this themselves in builds with debug assertions, for operations that declare something.
///
/// # Complexity
///
/// Linear in the graph.
pub fn verify_linear<Op: Primitive>(linear: &LinearizedGraph<Op>) -> Report {
    let graph = linear.as_graph();
    let mut report = verify_structure(graph);
    let depends = depends_on_tangent(linear);
    for (id, step) in graph.steps().enumerate() {
        check_operation(id, step, &depends, &mut report);
    }
    for finding in &mut report.findings {
        finding.note = finding.operation.and_then(|id| emitter(linear, id));
    }
    for (position, output) in linear.tangent_outputs().iter().enumerate() {
        if let Some(value) = output.filter(|value| !depends[*value])
            && is_declared(linear, value)
        {
            report.push_line(
                "affine",
                format!("output {position} does not depend on a tangent"),
                format!("output %{value}"),
                "return `None` for a tangent that is zero",
            );
            let producer = graph.values()[value].producer;
            if let Some(finding) = report.findings.last_mut() {
                finding.note = producer.and_then(|(id, _)| emitter(linear, id));
            }
        }
    }
    report.print_lines(|| linear.listing());
    report
}

/// Whose rule emitted an operation, in words.
pub(crate) fn emitter<Op: GraphOperation>(
    linear: &LinearizedGraph<Op>,
    id: LocalOperationId,
) -> Option<String> {
    let primitive = operation_label(linear.emitted_by(id)?.operation());
    Some(format!(
        "emitted by the {} rule of {primitive}",
        linear.rule()
    ))
}

/// What a transform does with its result before it returns it: nothing in release builds, and nothing
/// about operations that declare nothing, whose authors may run a map forward without ever
/// transposing it.
pub(crate) fn verified<Op: Primitive>(
    linear: LinearizedGraph<Op>,
    rule: ADRuleKind,
) -> ADRuleResult<LinearizedGraph<Op>> {
    if cfg!(debug_assertions) {
        let mut report = verify_linear(&linear);
        let operations = linear.as_graph().operations();
        let is_declared = |id: usize| operations[id].operation.linearity() != Linearity::Undeclared;
        let concerns = |finding: &Finding| finding.operation.is_none_or(is_declared);
        report.findings.retain(concerns);
        if !report.is_clean() {
            return Err(ADRuleError::Unverified { rule, report });
        }
    }
    Ok(linear)
}

/// By local value: whether it depends on a tangent input, in whichever way.
pub(crate) fn depends_on_tangent<Op: GraphOperation>(linear: &LinearizedGraph<Op>) -> Vec<bool> {
    let graph = linear.as_graph();
    let tangents = linear.tangent_inputs().iter().map(|&(_, id)| id);
    depends_on(graph.steps(), graph.values().len(), tangents)
}

/// The operands that depend on a tangent but are not marked active; the reason for which an
/// operation cannot be transposed.
pub(crate) fn inactive_tangents<'a, Op: GraphOperation>(
    step: Step<'a, Op>,
    depends: &'a [bool],
) -> impl Iterator<Item = usize> + 'a {
    let active_mask: &[bool] = match step.key.role() {
        OperationRole::Primary => &[],
        OperationRole::Linearized { active_mask } => active_mask,
    };
    let operands = step.operands().enumerate();
    operands
        .filter(move |(at, operand)| {
            is_tangent(*operand, depends) && active_mask.get(*at) != Some(&true)
        })
        .map(|(at, _)| at)
}

fn check_operation<Op: Primitive>(
    id: LocalOperationId,
    step: Step<'_, Op>,
    depends: &[bool],
    report: &mut Report,
) {
    let inactive: Vec<usize> = inactive_tangents(step, depends).collect();
    let OperationRole::Linearized { active_mask } = step.key.role() else {
        if !inactive.is_empty() {
            report.push(
                "primal-role",
                "this operation depends on a tangent but has the role of a primal operation".into(),
                (id, &inactive),
                "emit it as `Linearized`, with the operands that it is linear in marked active",
            );
        }
        return;
    };
    if !inactive.is_empty() {
        report.push(
            "inactive-tangent",
            "an operand depends on a tangent but is not marked active".into(),
            (id, &inactive),
            "mark it active if the operation is linear in it; use primal values as coefficients",
        );
    }
    let linearity = step.key.operation().linearity();
    let flags = active_mask.iter().enumerate();
    let active: Vec<usize> = flags
        .filter(|(_, active)| **active)
        .map(|(at, _)| at)
        .collect();
    if !linearity.permits(active_mask) {
        report.push(
            "not-linear",
            format!("this operation is not linear in {}", list_operands(&active)),
            (id, &active),
            remedy(linearity),
        );
    }
    let constant = |operand: &usize| {
        let operand = step.operands().nth(*operand);
        operand.is_some_and(|operand| !is_tangent(operand, depends))
    };
    let constants: Vec<usize> = active.into_iter().filter(constant).collect();
    if linearity != Linearity::Undeclared && !constants.is_empty() {
        report.push(
            "affine",
            "an active operand does not depend on a tangent".into(),
            (id, &constants),
            "mark it inactive if it is a coefficient; leave it out if it is a zero tangent",
        );
    }
}

fn remedy(linearity: Linearity) -> &'static str {
    match linearity {
        Linearity::Joint => {
            "it is linear in all operands together only: leave out those that are fixed"
        }
        Linearity::Each => {
            "emit one operation for each operand that it is linear in, and add them up"
        }
        Linearity::In(_) => "mark a set of operands active in which it is declared linear",
        Linearity::Never | Linearity::Undeclared => "emit operations that are linear",
    }
}

fn list_operands(operands: &[usize]) -> impl fmt::Display {
    let list: Vec<String> = operands.iter().map(usize::to_string).collect();
    match list.len() {
        1 => format!("operand {}", list[0]),
        _ => format!("operands {} together", list.join(", ")),
    }
}

fn is_tangent<Op: GraphOperation>(operand: StepOperand<'_, Op>, depends: &[bool]) -> bool {
    matches!(operand, StepOperand::Local(id) if depends[id])
}

fn is_declared<Op: Primitive>(linear: &LinearizedGraph<Op>, value: usize) -> bool {
    let graph = linear.as_graph();
    match graph.values()[value].producer {
        Some((operation, _)) => {
            graph.step(operation).key.operation().linearity() != Linearity::Undeclared
        }
        None => true,
    }
}
