//! Which rules a derivative needs that are not there.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_graph::{Graph, GraphBuilder, LocalValueId, resolve};

use super::{Function, FunctionError};
use crate::linearize::{free_pass, linearize_unverified};
use crate::rules::{
    ADKey, ADRuleError, ADRuleResult, MissingRule, MissingRules, Primitive, listed,
};
use crate::transpose::{Observer, transpose_into};

/// The two ways through a chain of derivatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// From the inputs to the outputs, by JVP rules: one input after the other.
    Forward,
    /// From the outputs to the inputs, by transpose rules of what JVP rules emit: one output after the
    /// other.
    Reverse,
}

/// An error of a derivative; where a rule is missing, one that lists all that are.
///
/// Without a mode, the derivative is one that a rule of a function makes. If it fails for want of a
/// rule inside a rule again, what is listed there has to do: to look once more at each level would
/// take time exponential in their number.
pub(super) fn explain<Op: Primitive>(
    error: ADRuleError,
    function: &Function<Op>,
    wrt: &[usize],
    mode: Option<Mode>,
    ctx: &mut Op::ADContext,
) -> FunctionError {
    let mode = match (listed(&error), mode) {
        (None, _) if !matches!(error, ADRuleError::Unsupported { .. }) => return error.into(),
        (None, mode) => mode.unwrap_or(Mode::Forward),
        (Some(_), Some(mode)) => mode,
        (Some(missing), None) => {
            let missing = missing.to_vec();
            return FunctionError::MissingRules { missing };
        }
    };
    match survey(function, wrt, mode, ctx) {
        Ok(missing) if !missing.is_empty() => FunctionError::MissingRules { missing },
        _ => error.into(),
    }
}

/// Every rule that is missing, each once, in the order in which a derivative would come to them.
///
/// The walks are those of a derivative, on graphs that are thrown away: where a rule is missing, some
/// tangent or cotangent takes the place of what it would have made.
pub(super) fn survey<Op: Primitive>(
    function: &Function<Op>,
    wrt: &[usize],
    mode: Mode,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<Vec<MissingRule>> {
    function.note_types(ctx)?;
    let keys = function.input_keys();
    let keys: Vec<Op::InputKey> = wrt.iter().map(|&at| keys[at].clone()).collect();
    let outputs = function.output_keys();
    let view = resolve(vec![Arc::new(function.as_graph().clone())]);
    let pass = free_pass(&view, &keys, outputs.len())?;
    let mut missing = Noted::default();
    let aliases = HashMap::new();
    let noted = Some(&mut missing.rules);
    let (linear, _) = linearize_unverified(&view, &outputs, &keys, pass, ctx, &aliases, noted)?;
    if mode == Mode::Reverse {
        let mut scratch = GraphBuilder::new();
        let seeds = seeds(linear.as_graph(), &keys[0].tangent_of(pass), &mut scratch);
        transpose_into(&linear, &mut scratch, &seeds, ctx, &mut missing)?;
    }
    Ok(missing.rules.into_list())
}

/// Inputs of the scratch graph, named after a tangent.
fn seeds<Op: Primitive>(
    linear: &Graph<Op>,
    tangent: &Op::InputKey,
    scratch: &mut GraphBuilder<Op>,
) -> Vec<Option<LocalValueId>> {
    let outputs = 0..linear.outputs().len();
    let seeds = outputs.map(|output| Some(scratch.add_input(tangent.cotangent_of(output))));
    seeds.collect()
}

#[derive(Default)]
struct Noted {
    rules: MissingRules,
}

impl<Op: Primitive> Observer<Op, GraphBuilder<Op>> for Noted {
    fn failed(&mut self, error: ADRuleError) -> ADRuleResult<()> {
        self.rules.note(error)
    }
}
