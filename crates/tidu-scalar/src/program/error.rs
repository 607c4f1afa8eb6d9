//! What can go wrong with a program, and where.

use thiserror::Error;
use tidu_ad::FunctionError;
use tidu_graph::GraphError;
use tidu_graph::text::counted;

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
    /// A composite that could not be expanded.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// A graph that is not closed.
    #[error(transparent)]
    Graph(#[from] GraphError),
}
