//! What can go wrong with functions.

use std::collections::HashSet;

use thiserror::Error;
use tidu_graph::text::input_label;
use tidu_graph::{GraphError, GraphOperation};

use crate::rules::ADRuleError;

/// What can go wrong with functions.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// A rule, or a transform of the graph below.
    #[error(transparent)]
    Rule(#[from] ADRuleError),
    /// A graph that is not closed, or cannot run.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An input that the function does not have.
    #[error("the function has no input {name}; its inputs are {known}")]
    UnknownInput {
        /// What was asked for: a name, or a position.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// An output that the function does not have.
    #[error("the function has no output {name}; its outputs are {known}")]
    UnknownOutput {
        /// What was asked for: a name, or a position.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A name that several outputs have.
    #[error("the function has several outputs {name}: select them by position")]
    AmbiguousOutput {
        /// The name.
        name: String,
    },
    /// An input that is named twice.
    #[error("input {name} is named twice")]
    RepeatedInput {
        /// The name.
        name: String,
    },
    /// An input that is not given a value.
    #[error("input {name} is given no value")]
    MissingInput {
        /// The name.
        name: String,
    },
    /// A derivative with respect to nothing.
    #[error("nothing to differentiate by: name at least one input, or `..` for all")]
    NoInputs,
    /// The gradient of a function that does not have one output.
    #[error(
        "a gradient needs a function of one output, this one has {outputs}: \
         use `jacobian` for all derivatives, `vjp` for a weighted sum of them, or `select` an output"
    )]
    NotScalar {
        /// The number of outputs.
        outputs: usize,
    },
    /// The operation set has no unit for a value.
    #[error(
        "the operation set has no one like {value}, which may not be a single number: \
         use `vjp` or `jvp`, which leave the seed to you"
    )]
    NoUnit {
        /// The name of the value.
        value: String,
    },
    /// The operation set has no zero for a value.
    #[error(
        "the derivative {value} is zero, and the operation set has no zero to return: \
         implement `Primitive::zero_like`"
    )]
    NoZero {
        /// The name of the derivative.
        value: String,
    },
    /// Two functions that cannot be composed.
    #[error("the outer function takes {expected} inputs, the inner one has {found} outputs")]
    WrongArity {
        /// The number of inputs of the outer function.
        expected: usize,
        /// The number of outputs of the inner function.
        found: usize,
    },
}

pub(super) fn check_distinct<Op: GraphOperation>(
    keys: &[Op::InputKey],
) -> Result<(), FunctionError> {
    let mut seen = HashSet::with_capacity(keys.len());
    match keys.iter().find(|key| !seen.insert(*key)) {
        None => Ok(()),
        Some(key) => Err(FunctionError::RepeatedInput {
            name: input_label::<Op>(key),
        }),
    }
}
