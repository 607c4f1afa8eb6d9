//! What can go wrong with a graph, and where.

use std::fmt::{self, Debug, Write};

use thiserror::Error;

use crate::runtime_error::RuntimeError;
use crate::value_type::ValueType;

/// What can go wrong with a graph, and where.
///
/// Operations and keys appear as short text: an error never carries, or prints, a whole structure.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An operation that cannot be applied to operands of these types.
    #[error(transparent)]
    Type(#[from] Box<TypeError>),
    /// An operation was applied to the wrong number of operands.
    #[error("{operation} takes {}, found {found}", counted(*expected, "operand"))]
    WrongArity {
        /// The operation.
        operation: String,
        /// What its `input_count` says.
        expected: usize,
        /// How many operands were given.
        found: usize,
    },
    /// An operation holds a function of the wrong numbers of inputs and outputs.
    #[error(
        "{operation} holds @{function} of {} and {}, and needs a function of {} and {}",
        counted(found.0, "input"), counted(found.1, "output"),
        counted(expected.0, "input"), counted(expected.1, "output")
    )]
    WrongFunctionArity {
        /// The operation.
        operation: String,
        /// The name of the function.
        function: String,
        /// The numbers of inputs and outputs that its [`function_arity`](crate::GraphOperation::function_arity) says.
        expected: (usize, usize),
        /// What the function has.
        found: (usize, usize),
    },
    /// An operand names a local value that does not exist yet.
    #[error(
        "operand {operand} of {operation} is local value %{id}, but the graph has {} so far",
        counted(*available, "value")
    )]
    UnknownLocal {
        /// The operation.
        operation: String,
        /// The position of the operand.
        operand: usize,
        /// The id that was given.
        id: usize,
        /// Ids below this exist.
        available: usize,
    },
    /// A local id that the graph does not have.
    #[error("local value %{id} does not exist: the graph has {}", counted(*available, "value"))]
    UnknownLocalId {
        /// The id that was given.
        id: usize,
        /// Ids below this exist.
        available: usize,
    },
    /// A graph output names a local value that does not exist.
    #[error(
        "graph output {position} is local value %{id}, but the graph has {}",
        counted(*available, "value")
    )]
    UnknownOutputId {
        /// The position in the list of outputs.
        position: usize,
        /// The id that was given.
        id: usize,
        /// Ids below this exist.
        available: usize,
    },
    /// An operation has more results than a key can number.
    #[error("{operation} has {found} outputs, the limit is {limit}")]
    TooManyOutputs {
        /// The operation.
        operation: String,
        /// What its `output_count` says.
        found: usize,
        /// The largest number allowed.
        limit: usize,
    },
    /// A key names a result that its operation does not have.
    #[error("{operation} has {}, there is no output slot {slot}", counted(*outputs, "output"))]
    UnknownOutputSlot {
        /// The operation.
        operation: String,
        /// The slot that the key names.
        slot: usize,
        /// What its `output_count` says.
        outputs: usize,
    },
    /// A requested output is not defined by any graph of the view.
    #[error(
        "requested output {position}, {key}, is not defined by any graph of the view: \
         pass the graph that computes it to `resolve`"
    )]
    UnknownOutput {
        /// The position in the list of requested outputs.
        position: usize,
        /// The key, in short.
        key: String,
    },
    /// An operand refers to a value that no graph of the view defines.
    #[error(
        "operand {operand} of {operation} is {key}, which no graph of the view defines: \
         pass the graph that computes it to `resolve`, or add it as a parent"
    )]
    UndefinedValue {
        /// The operation that needs the value.
        operation: String,
        /// The position of the operand.
        operand: usize,
        /// The key, in short.
        key: String,
    },
    /// A graph that is to be closed needs an input that is not among those listed.
    #[error(
        "{key} is needed but not listed among the inputs: what comes from outside has to be passed as an input"
    )]
    UnlistedInput {
        /// The input, in short.
        key: String,
    },
    /// A simplification rule that makes no sense.
    #[error("{rule} of {operation} is wrong: {reason}")]
    InvalidRewrite {
        /// The operation.
        operation: String,
        /// What went wrong: a rule, or folding.
        rule: String,
        /// What it did, and what it should have done.
        reason: String,
    },
    /// A program was called with the wrong number of operands.
    #[error("the program takes {}, found {found}", counted(*expected, "input"))]
    WrongInputCount {
        /// The number of inputs of the program, or of the graph to be inlined.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// An evaluation returned the wrong number of results.
    #[error(
        "`eval` of {operation} (instruction {instruction}) returned {found} results, expected {expected}"
    )]
    WrongResultCount {
        /// The operation.
        operation: String,
        /// The position of the instruction in the program.
        instruction: usize,
        /// What its `output_count` says.
        expected: usize,
        /// How many results came back.
        found: usize,
    },
    /// Anything else that goes wrong in a call of a program.
    #[error(transparent)]
    Call(CallError),
}

/// What can go wrong with a call of a program, whichever back end made it. Errors of back ends have variants of their
/// own for what they had before there was this one; all are made of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
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
    /// An operand that is not of the type of its input.
    #[error("input {name} is {expected}, found {found}")]
    WrongType {
        /// The input.
        name: String,
        /// What the program was made for.
        expected: Box<ValueType>,
        /// What was given.
        found: Box<ValueType>,
    },
    /// An operation that returned the wrong number of results.
    #[error(
        "`eval` of {operation} (instruction {instruction}) returned {found} results, expected {expected}"
    )]
    WrongResultCount {
        /// The operation.
        operation: String,
        /// The position of the instruction in the program.
        instruction: usize,
        /// What its `output_count` says.
        expected: usize,
        /// How many results came back.
        found: usize,
    },
    /// An operation that holds functions within functions, deeper than a stack bears: evaluating it goes down into them.
    #[error(
        "{operation} (instruction {instruction}) holds functions {depth} deep in one another, and at most {limit} can be evaluated"
    )]
    NestedTooDeep {
        /// The operation.
        operation: String,
        /// The position of the instruction in the program.
        instruction: usize,
        /// How deep the functions stand in one another.
        depth: usize,
        /// How deep they may ([`CompiledProgram::DEPTH_LIMIT`](crate::CompiledProgram::DEPTH_LIMIT)).
        limit: usize,
    },
    /// An operation that could not be evaluated on its operands.
    #[error("{operation} (instruction {instruction}) failed: {source}")]
    Failed {
        /// The operation.
        operation: String,
        /// The position of the instruction in the program.
        instruction: usize,
        /// What the operation set says ([`try_eval`](crate::EvaluableGraphOperation::try_eval)).
        source: RuntimeError,
    },
}

impl CallError {
    /// Fails for another number of inputs than the program takes; `names` lists those that it has.
    #[inline]
    pub fn check_inputs(
        expected: usize,
        found: usize,
        names: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        let wrong = || Self::WrongInputCount {
            expected,
            found,
            known: names(),
        };
        (found == expected).then_some(()).ok_or_else(wrong)
    }

    /// Fails for room for another number of outputs than the program has; `names` lists those that it has.
    #[inline]
    pub fn check_outputs(
        expected: usize,
        found: usize,
        names: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        let wrong = || Self::WrongOutputCount {
            expected,
            found,
            known: names(),
        };
        (found == expected).then_some(()).ok_or_else(wrong)
    }
}

/// A program whose inputs have no names says how many there are.
impl From<CallError> for GraphError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::WrongInputCount {
                expected, found, ..
            } => Self::WrongInputCount { expected, found },
            CallError::WrongResultCount {
                operation,
                instruction,
                expected,
                found,
            } => Self::WrongResultCount {
                operation,
                instruction,
                expected,
                found,
            },
            error => Self::Call(error),
        }
    }
}

/// What can be wrong with types.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TypeError {
    /// An input of which nobody said anything.
    #[error(
        "the type of input {input} is not known: note it in the AD context, or give the function the types of its inputs (`Function::with_types`)"
    )]
    Unknown {
        /// The input.
        input: String,
    },
    /// A value that is said to be of two types.
    #[error(
        "{value} is {known}, and cannot be {found} too: give each function an AD context of its own"
    )]
    Conflict {
        /// The value.
        value: String,
        /// What is known.
        known: Box<ValueType>,
        /// What is said now.
        found: Box<ValueType>,
    },
    /// An operation that cannot be applied to operands of these types.
    #[error("{op} of {}: {source}", list(operands))]
    Operation {
        /// The operation.
        op: String,
        /// The types of its operands.
        operands: Vec<ValueType>,
        /// What the operation set says ([`infer_types`](crate::GraphOperation::infer_types)).
        source: RuntimeError,
    },
    /// An operation that does not say of each result of what type it is.
    #[error("{op} has {expected} results, but types were inferred for {found}")]
    WrongResultCount {
        /// The operation.
        op: String,
        /// The number of its results.
        expected: usize,
        /// How many types there were.
        found: usize,
    },
    /// An operation that does not say of what types its results are.
    #[error("{op} does not say of what types its results are: its set needs `infer_types`")]
    NotInferred {
        /// The operation.
        op: String,
    },
    /// A number of types that is not the number of inputs.
    #[error("the function has {}, found {}", counted(*expected, "input"), counted(*found, "type"))]
    WrongCount {
        /// The number of inputs.
        expected: usize,
        /// How many types were given.
        found: usize,
    },
    /// A value of which nobody keeps the type.
    #[error(
        "the type of a value is not known: it is zero, or its builder keeps no keys, or the operation set has no types"
    )]
    Untracked,
    /// A key that is none.
    #[error(transparent)]
    Graph(Box<GraphError>),
}

impl TypeError {
    /// Whether nobody said anything, rather than something wrong.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::NotInferred { .. })
    }
}

impl From<GraphError> for TypeError {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Type(error) => *error,
            error => Self::Graph(Box::new(error)),
        }
    }
}

fn list(types: &[ValueType]) -> String {
    if types.is_empty() {
        return "nothing".into();
    }
    let types: Vec<String> = types.iter().map(ValueType::to_string).collect();
    types.join(" and ")
}

/// An operation as an error names it: its `Debug`, on one line, and cut where it gets long.
pub fn describe_operation(operation: &impl Debug) -> String {
    let mut line = Line::default();
    // An error means that the line is full; the rest of a large constant is then never formatted.
    let _ = write!(line, "{operation:?}");
    line.text
}

/// A number of things for a message: `counted(1, "input")` is `1 input`, `counted(2, "input")` is `2 inputs`.
pub fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[derive(Default)]
struct Line {
    text: String,
    length: usize,
}

impl Line {
    /// Enough for any name, and for the first fields of a large constant.
    const LIMIT: usize = 96;
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match self.length {
                ..Self::LIMIT if character.is_control() => self.text.push(' '),
                ..Self::LIMIT => self.text.push(character),
                Self::LIMIT => self.text.push('…'),
                _ => return Err(fmt::Error),
            }
            self.length += 1;
        }
        Ok(())
    }
}
