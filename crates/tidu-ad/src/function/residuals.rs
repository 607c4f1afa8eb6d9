//! Operations that return residuals, in the place of those that do not.

use std::sync::Arc;

use tidu_graph::{DenseId, describe_operation};

use super::{Function, FunctionError};
use crate::rules::{ADRuleError, ADRuleKind, Primitive, checked_with_residuals};
use crate::walk::depends_on;

/// A function in which operations that depend on some inputs, by position, return what derivatives by these can use
/// besides, if they know how to.
pub(super) fn with_residuals<Op: Primitive>(
    function: &Function<Op>,
    wrt: &[usize],
) -> Result<Function<Op>, FunctionError> {
    let from = function.as_dense();
    if !from.nodes().any(|node| may_have_residuals(node.operation)) {
        return Ok(function.clone());
    }
    let depends = depends_on(from.nodes(), from.value_count(), wrt.iter().copied());
    let mut active = Vec::new();
    let mut extended = Vec::new();
    for (at, node) in from.nodes().enumerate() {
        active.clear();
        active.extend(node.operands.iter().map(|id| depends[id.index()]));
        if active.contains(&true)
            && let Some(operation) = checked_with_residuals(node.operation, &active)?
        {
            extended.push((at, operation));
        }
    }
    let mut extended = extended.into_iter().peekable();
    let mut dense = from.inputs_alone();
    let mut here: Vec<DenseId> = dense.inputs().collect();
    for (at, node) in from.nodes().enumerate() {
        let operands = node.operands.iter().map(|id| here[id.index()]);
        let operands: Vec<DenseId> = operands.collect();
        let operation = extended.next_if(|(place, _)| *place == at);
        let operation = operation.map_or_else(|| node.operation.clone(), |(_, it)| it);
        let results = dense.push(operation, &operands)?;
        for (own, result) in node.results.iter().zip(results.iter()) {
            let types = [from.type_of(own), dense.type_of(result)];
            if let [Some(expected), Some(found)] = types
                && expected != found
            {
                return Err(ADRuleError::WrongRuleResultType {
                    op: describe_operation(node.operation),
                    rule: ADRuleKind::Jvp,
                    place: format!("result {} of it without residuals", own.index()),
                    expected: Box::new(expected.clone()),
                    found: Box::new(found.clone()),
                }
                .into());
            }
            here.push(result);
        }
    }
    let outputs = from.outputs().iter().map(|id| here[id.index()]);
    dense.set_outputs(outputs.collect());
    let names = Arc::clone(&function.content.output_names);
    let extended = Function::settle(dense, function.input_keys(), names, None)?;
    extended.typed_like(function)
}

/// Whether an operation has residuals if it is differentiated by all operands.
#[inline]
fn may_have_residuals<Op: Primitive>(operation: &Op) -> bool {
    const FEW: usize = 8;
    let operands = operation.input_count();
    if operands == 0 {
        false
    } else if operands <= FEW {
        operation.with_residuals(&[true; FEW][..operands]).is_some()
    } else {
        operation.with_residuals(&vec![true; operands]).is_some()
    }
}
