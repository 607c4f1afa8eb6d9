//! Why a derivative is zero, and why a value must be saved.

use std::collections::HashMap;

use thiserror::Error;
use tidu_graph::text::operation_label;
use tidu_graph::{
    GraphBuilder, LocalOperationId, OperationKey, ResolvedView, TableOperation, ValueId, ValueKey,
};

use crate::linearize::{TangentIds, free_pass, linearize_unverified};
use crate::linearized_graph::LinearizedGraph;
use crate::rules::{ADRuleError, ADRuleResult, Primitive};
use crate::transpose::{Observer, transpose_into};
use crate::verify::emitter;
use crate::walk::{WalkStep, depends_on, needed_for};

/// Why the derivative by an input is a symbolic zero, or that it is not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WhyZero {
    /// It is not.
    #[error("the derivative is not a symbolic zero")]
    NotZero,
    /// The outputs do not depend on the input.
    #[error("no path leads from the input to an output")]
    NoPath,
    /// A JVP rule returned `None` for outputs on the way, although an operand has a tangent.
    #[error("the jvp rule of {operation} returned no tangent")]
    JvpRule {
        /// The first such operation, in topological order.
        operation: String,
    },
    /// A transpose rule returned `None` for an operand that depends on the tangent.
    #[error(
        "the transpose rule of {operation} returned no cotangent for operand {operand} of `{line}`"
    )]
    TransposeRule {
        /// The first such operation that the cotangent meets on its way back.
        operation: String,
        /// The operand.
        operand: usize,
        /// The operation in the printed linear map.
        line: String,
    },
    /// An operand depends on the tangent but is not marked active.
    #[error("{reason}")]
    Inactive {
        /// The first such operation that the cotangent meets on its way back, its operand, and whose
        /// rule emitted it.
        reason: String,
    },
}

/// Asks why the derivative of `outputs` by `input` is a symbolic zero: names the first place where
/// tangent or cotangent died.
///
/// Follows the tangent forward, and if it arrives, a cotangent back, as
/// [`linearize`](crate::linearize) and [`linear_transpose`](crate::linear_transpose) do.
///
/// # Errors
///
/// Those of the two transforms, but for what it explains.
///
/// # Complexity
///
/// That of the two transforms.
pub fn why_zero<Op: Primitive>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
    input: &Op::InputKey,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<WhyZero> {
    let wrt = std::slice::from_ref(input);
    let pass = free_pass(view, wrt, outputs.len())?;
    let no_aliases = HashMap::new();
    let (linear, tangents) = linearize_unverified(view, outputs, wrt, pass, ctx, &no_aliases)?;
    if linear.tangent_outputs().iter().all(Option::is_none) {
        return Ok(why_no_tangent(view, outputs, input, &tangents));
    }
    let mut builder = GraphBuilder::new();
    let seeds = linear.as_graph().outputs().iter();
    let seeds: Vec<_> = seeds
        .enumerate()
        .map(|(position, _)| Some(builder.add_input(seed_name(&linear, position))))
        .collect();
    let mut first_death = FirstDeath(None);
    match transpose_into(&linear, &mut builder, &seeds, ctx, &mut first_death) {
        Ok(cotangents) if cotangents[0].is_some() => Ok(WhyZero::NotZero),
        Ok(_) => Ok(first_death.explain(&linear)),
        Err(error @ ADRuleError::NotLinear { value, .. }) => {
            let producer = linear.as_graph().values()[value].producer;
            let emitter = producer.and_then(|(id, _)| emitter(&linear, id));
            let emitter = emitter.unwrap_or_else(|| "emitted by no rule".into());
            Ok(WhyZero::Inactive {
                reason: format!("{error}; {emitter}"),
            })
        }
        Err(error) => Err(error),
    }
}

/// Why a value must be saved for a linear map.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhySaved {
    /// The first operation of the map that uses the value.
    pub operation: LocalOperationId,
    /// That operation as it is printed.
    pub used_by: String,
    /// The printed name of the operation whose rule asked for the value; `None` in a map that was
    /// read from text.
    pub asked_by: Option<String>,
}

/// Asks why a value must be saved to run a linear map: names the first operation that uses it, or
/// `None` if there is no such operation.
///
/// # Complexity
///
/// Linear in the map.
pub fn why_saved<Op: Primitive>(
    linear: &LinearizedGraph<Op>,
    value: &ValueKey<Op>,
) -> Option<WhySaved> {
    let listing = linear.listing();
    let operation = listing.first_use(value)?;
    let asked_by = linear.emitted_by(operation);
    Some(WhySaved {
        operation,
        used_by: listing.operation_line(operation).text,
        asked_by: asked_by.map(|key: &OperationKey<Op>| operation_label(key.operation())),
    })
}

/// Seeds of a transposition that nobody sees need only be there.
fn seed_name<Op: Primitive>(linear: &LinearizedGraph<Op>, position: usize) -> Op::InputKey {
    use crate::rules::ADKey;
    linear.tangent_inputs()[0].0.cotangent_of(position)
}

/// The first operation on a path from the input to an output that has a tangent going in and none
/// coming out.
fn why_no_tangent<Op: Primitive>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
    input: &Op::InputKey,
    tangents: &TangentIds,
) -> WhyZero {
    let on_path = on_path(view, outputs, input);
    let has_tangent = |value: usize| tangents[value].is_some();
    let died = |step: &TableOperation<'_, Op>| {
        WalkStep::operands(step).any(has_tangent)
            && step
                .results()
                .any(|value| on_path[value] && !has_tangent(value))
    };
    let mut steps = view.operation_ids().map(|id| view.operation(id));
    match steps.find(died) {
        None => WhyZero::NoPath,
        Some(step) => WhyZero::JvpRule {
            operation: operation_label(step.key().operation()),
        },
    }
}

/// By view value: whether it lies on a path from the input to an output.
fn on_path<Op: Primitive>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
    input: &Op::InputKey,
) -> Vec<bool> {
    let steps = || view.operation_ids().map(|id| view.operation(id));
    let input = view.find(&ValueKey::Input(input.clone()));
    let outputs = view.find_all(outputs).into_iter().flatten();
    let [input, outputs] = [input.into_iter().collect(), outputs.collect::<Vec<_>>()];
    let indices = |ids: Vec<ValueId>| ids.into_iter().map(ValueId::index);
    let from_input = depends_on(steps(), view.value_count(), indices(input));
    let to_output = needed_for(steps(), view.value_count(), indices(outputs));
    let both = from_input.into_iter().zip(to_output);
    both.map(|(from_input, to_output)| from_input && to_output)
        .collect()
}

struct FirstDeath(Option<(LocalOperationId, usize)>);

impl<Op: Primitive, B> Observer<Op, B> for FirstDeath {
    fn died(&mut self, operation: LocalOperationId, operand: usize) {
        self.0.get_or_insert((operation, operand));
    }
}

impl FirstDeath {
    fn explain<Op: Primitive>(self, linear: &LinearizedGraph<Op>) -> WhyZero {
        match self.0 {
            None => WhyZero::NoPath,
            Some((operation, operand)) => WhyZero::TransposeRule {
                operation: operation_label(&linear.as_graph().operations()[operation].operation),
                operand,
                line: linear.listing().operation_line(operation).text,
            },
        }
    }
}
