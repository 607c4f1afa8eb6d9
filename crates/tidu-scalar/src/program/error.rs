//! What can go wrong with a program, and where.

use thiserror::Error;
use tidu_ad::FunctionError;
use tidu_graph::text::counted;
use tidu_graph::{CallError, GraphError};

/// What can go wrong with a scalar program, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The wrong number of inputs.
    #[error("the program takes {}, found {found}; its inputs are {known}", counted(*expected, "input"))]
    WrongInputCount {
        /// The number of inputs of the program.
        expected: usize,
        /// How many were given.
        found: usize,
        /// The names that there are.
        known: String,
    },
    /// Room for the wrong number of outputs.
    #[error("the program has {}, found room for {found}; its outputs are {known}", counted(*expected, "output"))]
    WrongOutputCount {
        /// The number of outputs of the program.
        expected: usize,
        /// For how many there was room.
        found: usize,
        /// The names that there are.
        known: String,
    },
    /// An input or output of a batch with a number of points unlike that of the first one.
    #[error("{name} has {}, expected {expected}, as {first} has", counted(*found, "point"))]
    WrongPointCount {
        /// The input or output.
        name: String,
        /// The number of points of the first input.
        expected: usize,
        /// How many points this one has.
        found: usize,
        /// The first input; the first output of a program without inputs.
        first: String,
    },
    /// A function of more values than can be numbered.
    #[error("a program has fewer than 2^32 values, found {values}")]
    TooLarge {
        /// The number of values of the function.
        values: usize,
    },
    /// A step of a loop that does not return all that it carries.
    #[error(
        "the step carries {} ({carry}), whose next values must be its first outputs, found {} ({outputs})",
        counted(*expected, "input"),
        counted(*found, "output")
    )]
    WrongStep {
        /// How many inputs of the step are carried.
        expected: usize,
        /// Their names.
        carry: String,
        /// The number of outputs of the step.
        found: usize,
        /// Their names.
        outputs: String,
    },
    /// A loop that carries nothing from step to step.
    #[error(
        "nothing is carried from step to step: name the inputs of the step whose next values it returns"
    )]
    NothingCarried,
    /// An input of a loop's step that is carried, and was to be read anew in each step too.
    #[error(
        "{name} is carried from step to step, so it cannot be among the xs, which are read anew in each"
    )]
    CarriedAlready {
        /// Its name.
        name: String,
    },
    /// A loop with the wrong number of what it takes.
    #[error("{what}: the scan takes {expected} ({names}), found {found}")]
    WrongScanCount {
        /// What it takes.
        what: &'static str,
        /// How many.
        expected: usize,
        /// Their names.
        names: String,
        /// How many were given.
        found: usize,
    },
    /// A slice that does not have a number for each step.
    #[error(
        "{name} has {} for {}: it takes one number for each step",
        counted(*found, "number"),
        counted(*expected, "step")
    )]
    WrongScanLength {
        /// The input or output of the step.
        name: String,
        /// The number of steps.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },
    /// A composite that could not be expanded, or a derivative of the step of a loop.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// A graph that is not closed.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl From<CallError> for ProgramError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::WrongInputCount {
                expected,
                found,
                known,
            } => Self::WrongInputCount {
                expected,
                found,
                known,
            },
            CallError::WrongOutputCount {
                expected,
                found,
                known,
            } => Self::WrongOutputCount {
                expected,
                found,
                known,
            },
            error => Self::Graph(error.into()),
        }
    }
}
