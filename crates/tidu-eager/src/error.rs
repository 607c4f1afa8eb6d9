//! What can go wrong while recording or going backward, and where.

use std::panic::Location;

use thiserror::Error;
use tidu_ad::{ADRuleError, ADRuleKind, FunctionError};
use tidu_graph::text::{counted, operation_label};
use tidu_graph::{EvalError, GraphError, GraphOperation, RuntimeError};

/// What can go wrong while recording or going backward, and where.
///
/// [`try_backward`](crate::try_backward) returns it inside an [`ADRuleError::Runtime`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EagerError {
    /// The graph of a recorded call cannot be made.
    #[error("{source}")]
    Graph {
        /// What is wrong with it.
        #[from]
        source: GraphError,
    },
    /// A recorded graph was given the wrong number of keys.
    #[error("the recorded graph has {expected} {side}, found {found} keys")]
    WrongKeyCount {
        /// Inputs or outputs.
        side: Side,
        /// The number that the graph has.
        expected: usize,
        /// The number of keys.
        found: usize,
    },
    /// A key of a recorded graph is not that of the graph's input or output in its place.
    #[error("key {position} of the recorded graph's {side} must be {expected}, found {found}")]
    MismatchedKey {
        /// Inputs or outputs.
        side: Side,
        /// The position in the list of keys.
        position: usize,
        /// The key of the graph's value, in short.
        expected: String,
        /// The key that was given, in short.
        found: String,
    },
    /// Two inputs of a recorded graph have the same key, so that their gradients cannot be told
    /// apart.
    #[error("inputs {first} and {second} of the recorded graph have the same key {key}")]
    RepeatedInputKey {
        /// The first position.
        first: usize,
        /// The second position.
        second: usize,
        /// The key.
        key: String,
    },
    /// A call was recorded with the wrong number of operands or results.
    #[error("a call of {primitive} has {expected} {side}, found {found} values")]
    WrongValueCount {
        /// The call.
        primitive: String,
        /// Inputs or outputs.
        side: Side,
        /// The number that the graph has.
        expected: usize,
        /// The number of values.
        found: usize,
    },
    /// A step of a loop that returns another number of values than it is given.
    #[error(
        "a step of `iterate` is given a state of {}, and returned {found}: it must return all of the next state, \
         also what it leaves as it is",
        counted(*expected, "value")
    )]
    WrongStateCount {
        /// The number of values of the state.
        expected: usize,
        /// How many a step returned.
        found: usize,
    },
    /// A direction of another dimension than the point.
    #[error("the direction has {}, and the point {expected}", counted(*found, "component"))]
    WrongDirection {
        /// The dimension of the point.
        expected: usize,
        /// The number of components of the direction.
        found: usize,
    },
    /// An operation of several results, or of none, where one is wanted.
    #[error(
        "{operation} has {results} results where one is wanted: `Tape::apply` returns all of them"
    )]
    NotOneResult {
        /// The operation.
        operation: String,
        /// How many it has.
        results: usize,
    },
    /// A value comes with a trace that did not produce it.
    #[error("{key} ({place}) is not a value that its trace produces")]
    KeyNotInTrace {
        /// The key, in short.
        key: String,
        /// An input of a call, or the value to differentiate.
        place: String,
    },
    /// Going backward needs a value that was not retained when the call was recorded.
    #[error(
        "going backward through {primitive} needs {key}, which was not retained: \
         pass it to `record_graph` among the retained values"
    )]
    MissingRetained {
        /// The call.
        primitive: String,
        /// The value, in short.
        key: String,
    },
    /// A variable of another tape.
    #[error(
        "{place} is of another tape: make on one tape what is used together, or take its value alone, as a \
         constant (`detach`)"
    )]
    ForeignVar {
        /// Where it stands.
        place: String,
    },
    /// A variable whose place on the tape was cleared or rewound, or a mark.
    #[error("{place} is forgotten by the tape: {cause}")]
    StaleVar {
        /// Where it stands.
        place: String,
        /// How it came about.
        cause: Forgotten,
    },
    /// Going backward from, or by, a value that no gradient flows to.
    #[error(
        "{place} is a constant, to which no gradient flows: it was not computed of variables that a tape made to \
         be differentiated by, or it was cut off by `detach` or `no_grad`"
    )]
    ConstantVar {
        /// Where it stands.
        place: String,
    },
    /// Going backward a second time through a call.
    #[error(
        "going backward through {operation} a second time: its residuals were freed the first time, \
         use `backward_keeping` the first time"
    )]
    Freed {
        /// The operation.
        operation: String,
    },
    /// A result, or a cotangent, that is not a number as it should be.
    #[error("{what} of {operation}{} is {value}", at(location))]
    Anomaly {
        /// A result, going forward, or a cotangent, going backward.
        what: String,
        /// The operation, as it was applied going forward.
        operation: String,
        /// Where it was applied.
        location: Option<&'static Location<'static>>,
        /// What it is instead.
        value: String,
    },
    /// Something that cannot be done in the body of a checkpoint.
    #[error(
        "cannot {what} in the body of a `checkpoint` or `iterate`, which runs again on the way back: do it outside"
    )]
    InSegment {
        /// What was to be done.
        what: &'static str,
    },
    /// Something that cannot be done inside a hook.
    #[error("cannot {what} in a hook, which is called on the way back: do it outside")]
    InHook {
        /// What was to be done.
        what: &'static str,
    },
    /// Differentiating through a recorded gradient that a hook replaced by a value of its own: how that value
    /// depends on the gradient, nobody has said.
    #[error(
        "the hook added at {location} replaced a recorded gradient by a value whose derivative is not known: \
         use `hook_recorded`, which records what takes the gradient's place"
    )]
    ReplacedGradient {
        /// Where the hook was added.
        location: &'static Location<'static>,
    },
    /// A value of a type without derivatives, as indices are, that is differentiated, or differentiated by.
    #[error("{place} is of type {value_type}, which has no derivatives")]
    WithoutDerivative {
        /// Which value it is.
        place: String,
        /// Its type.
        value_type: String,
    },
    /// A segment that computed something else when it ran again.
    #[error(
        "result {position} of a `checkpoint` or `iterate` is not what it was the first time: the body runs again on \
         the way back and must compute the same, so what changes (random numbers, say) must be among its operands"
    )]
    SegmentChanged {
        /// The result.
        position: usize,
    },
    /// A function of what was recorded needs something that the tape does not remember.
    #[error(
        "the tape does not remember {what}: call `keep_structure` on it before anything else, and compute there"
    )]
    StructureNotKept {
        /// What is missing.
        what: String,
    },
    /// An operation, or a function, that could not be evaluated.
    #[error(
        "{operation}{}{} failed: {source}",
        within(derivative_of),
        at(location)
    )]
    Failed {
        /// The operation.
        operation: String,
        /// What it is a part of the derivative of; `None` for one that was applied itself, and for the sum of what
        /// cotangents, or tangents, were given for one variable.
        derivative_of: Option<String>,
        /// Where that was applied, as for [`Derive`](Self::Derive), or the hook was added on whose account the operation
        /// was evaluated.
        location: Option<&'static Location<'static>>,
        /// What the operation set says ([`try_eval`](tidu_graph::EvaluableGraphOperation::try_eval)).
        source: RuntimeError,
    },
    /// The derivative of an operation cannot be derived.
    #[error("{operation}{} cannot be differentiated: {source}", at(location))]
    Derive {
        /// The operation.
        operation: String,
        /// Where it was applied going forward. A tape that is not watched does not remember it of each
        /// call; it is where the operation was applied for the first time then.
        location: Option<&'static Location<'static>>,
        /// What is wrong.
        source: Box<FunctionError>,
    },
    /// A rule that uses more values for fewer cotangents.
    #[error(
        "the rules of {operation}{} use a value for cotangents of some results that they do not use for \
         those of all, so it was not kept",
        at(location)
    )]
    ResidualNotKept {
        /// The operation.
        operation: String,
        /// Where it was applied, as for [`Derive`](Self::Derive).
        location: Option<&'static Location<'static>>,
    },
    /// An executor returned the wrong number of cotangents.
    #[error("the executor must return {expected} cotangents for {primitive}, found {found}")]
    WrongCotangentCount {
        /// The call.
        primitive: String,
        /// The number of inputs of the linear graph that it was given.
        expected: usize,
        /// How many it returned.
        found: usize,
    },
}

/// How a tape came to forget a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forgotten {
    /// By [`Tape::clear`](crate::Tape::clear).
    Cleared,
    /// By [`Tape::rewind`](crate::Tape::rewind).
    Rewound,
    /// The scope in which it was made has ended: [`Tape::end_scope`](crate::Tape::end_scope).
    ScopeEnded,
    /// The body of a checkpoint, or a pass over the tape, in which it was made has ended.
    PassEnded,
}

impl std::fmt::Display for Forgotten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Forgotten::Cleared => {
                "it was made before `clear`, which derivatives of closures call too; make it again after that"
            }
            Forgotten::Rewound => {
                "it was made after the mark that `rewind` went back to; set the mark later, or make it again"
            }
            Forgotten::ScopeEnded => {
                "the `scope` in which it was made has ended; return its value from there, or use it inside"
            }
            Forgotten::PassEnded => {
                "the body of a `checkpoint`, or the hook, in which it was made has ended; use it inside"
            }
        })
    }
}

/// Fails for a call, or an operation, with the wrong number of operands or results.
#[inline]
pub(crate) fn check_count(
    describe: impl FnOnce() -> String,
    side: Side,
    expected: usize,
    found: usize,
) -> Result<(), EagerError> {
    if expected == found {
        return Ok(());
    }
    Err(EagerError::WrongValueCount {
        primitive: describe(),
        side,
        expected,
        found,
    })
}

/// An operation with the wrong number of results.
#[cold]
pub(crate) fn wrong_results<Op: GraphOperation>(
    operation: &Op,
    expected: usize,
    found: usize,
) -> EagerError {
    EagerError::WrongValueCount {
        primitive: operation_label(operation),
        side: Side::Outputs,
        expected,
        found,
    }
}

/// An operation whose derivative cannot be derived.
pub(crate) fn cannot_derive(
    operation: String,
    location: Option<&'static Location<'static>>,
    source: FunctionError,
) -> EagerError {
    EagerError::Derive {
        operation,
        location,
        source: Box::new(source),
    }
}

/// An operation that could not be evaluated.
#[cold]
pub(crate) fn failed<Op: GraphOperation>(
    operation: &Op,
    location: Option<&'static Location<'static>>,
    source: EvalError,
) -> EagerError {
    EagerError::Failed {
        operation: operation_label(operation),
        derivative_of: None,
        location,
        source: RuntimeError::new(source),
    }
}

impl EagerError {
    /// With where the operation was applied, if that is known better.
    pub(crate) fn applied_at(mut self, known: Option<&'static Location<'static>>) -> Self {
        if let Self::Derive { location, .. }
        | Self::ResidualNotKept { location, .. }
        | Self::Failed { location, .. } = &mut self
        {
            *location = known.or(*location);
        }
        self
    }
}

fn within(derivative_of: &Option<String>) -> String {
    match derivative_of {
        Some(operation) => format!(" in the derivative of {operation}"),
        None => String::new(),
    }
}

fn at(location: &Option<&'static Location<'static>>) -> String {
    match location {
        Some(location) => format!(", applied at {location},"),
        None => String::new(),
    }
}

/// Which end of a recorded call an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What goes in.
    Inputs,
    /// What comes out.
    Outputs,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Side::Inputs => "inputs",
            Side::Outputs => "outputs",
        })
    }
}

impl From<EagerError> for ADRuleError {
    fn from(error: EagerError) -> Self {
        ADRuleError::runtime(error, ADRuleKind::Transpose)
    }
}

/// The short form of every fallible call: the same text, at the caller's place.
#[track_caller]
pub(crate) fn unwrap_or_panic<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
