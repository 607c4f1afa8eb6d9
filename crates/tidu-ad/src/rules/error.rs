//! What can go wrong with a derivative, and where.

use std::error::Error as StdError;
use std::fmt;

use thiserror::Error;
use tidu_graph::{GraphError, Report};

use super::{DiffPassId, RuntimeError, TypeError, ValueType};

/// The result of everything that calls rules.
pub type ADRuleResult<T> = Result<T, ADRuleError>;

/// Which of a primitive's rules, or which of the two transforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ADRuleKind {
    /// The JVP rule; linearization.
    Jvp,
    /// The transpose rule; transposition.
    Transpose,
}

impl ADRuleKind {
    /// The name in lower case: `"jvp"` or `"transpose"`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ADRuleKind::Jvp => "jvp",
            ADRuleKind::Transpose => "transpose",
        }
    }
}

impl fmt::Display for ADRuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can go wrong with a derivative, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ADRuleError {
    /// A primitive does not have the rule.
    #[error("unsupported {rule} AD rule for {op}")]
    Unsupported {
        /// The primitive, as its author names it.
        op: String,
        /// The missing rule.
        rule: ADRuleKind,
    },
    /// A rule returned too few or too many values.
    #[error("the {rule} rule of {op} must return {expected} values, found {found}")]
    WrongRuleResultCount {
        /// The primitive.
        op: String,
        /// The rule.
        rule: ADRuleKind,
        /// One value an output for a JVP, one an operand for a transpose.
        expected: usize,
        /// How many it returned.
        found: usize,
    },
    /// A rule returned a tangent or cotangent of another type than its value.
    #[error("the {rule} rule of {op} made {found}, where {place} is {expected}")]
    WrongRuleResultType {
        /// The primitive.
        op: String,
        /// The rule.
        rule: ADRuleKind,
        /// The operand or result that it belongs to.
        place: String,
        /// The type of that.
        expected: Box<ValueType>,
        /// The type of what was returned.
        found: Box<ValueType>,
    },
    /// A rule returned, or used as an operand, a local id that it was neither given nor made.
    #[error(
        "the {rule} rule of {op} uses local value %{id} as {place}, but was neither given nor made it"
    )]
    UnknownRuleValue {
        /// The primitive.
        op: String,
        /// The rule.
        rule: ADRuleKind,
        /// Where it is used.
        place: String,
        /// The id.
        id: usize,
    },
    /// A rule emitted an operation whose active mask does not match its operands.
    #[error(
        "the {rule} rule of {op} emits {emitted} with an active mask of {found} flags, expected {expected}"
    )]
    WrongActiveMask {
        /// The primitive.
        op: String,
        /// The rule.
        rule: ADRuleKind,
        /// The emitted operation.
        emitted: String,
        /// The number of its operands.
        expected: usize,
        /// The length of the mask.
        found: usize,
    },
    /// A rule emitted an operation that cannot stand in a graph.
    #[error("the {rule} rule of {op} emits a wrong operation: {source}")]
    InvalidEmission {
        /// The primitive.
        op: String,
        /// The rule.
        rule: ADRuleKind,
        /// What is wrong with it.
        source: GraphError,
    },
    /// A caller's builder returned too few or too many ids for an operation.
    #[error(
        "the builder must return {expected} ids for an operation that the {rule} rule of {op} emits, found {found}"
    )]
    WrongBuilderResultCount {
        /// The primitive.
        op: String,
        /// The rule.
        rule: ADRuleKind,
        /// The number of its outputs.
        expected: usize,
        /// How many ids came back.
        found: usize,
    },
    /// An operation with residuals takes other operands than the one that it stands in for, or returns less.
    #[error(
        "{op} has {} operands and {} results, and {extended}, which is to return residuals besides, has {} and {}",
        expected.0, expected.1, found.0, found.1
    )]
    WrongResiduals {
        /// The primitive.
        op: String,
        /// What [`Primitive::with_residuals`](super::Primitive::with_residuals) returned.
        extended: String,
        /// The numbers of operands and results of the primitive.
        expected: (usize, usize),
        /// Those of the other.
        found: (usize, usize),
    },
    /// `Primitive::add` is not an addition.
    #[error(
        "`Primitive::add` must be an operation of 2 operands and 1 result, but {op} has {inputs} and {outputs}"
    )]
    InvalidAdd {
        /// What it is.
        op: String,
        /// The number of its operands.
        inputs: usize,
        /// The number of its results.
        outputs: usize,
    },
    /// A value that a transform needs is not defined.
    #[error("{source}")]
    Graph {
        /// The transform.
        rule: ADRuleKind,
        /// What is missing.
        source: GraphError,
    },
    /// An input is listed twice among those to differentiate by.
    #[error(
        "input {key} is listed twice among those to differentiate by, again at position {position}"
    )]
    RepeatedInput {
        /// The second position.
        position: usize,
        /// The input.
        key: String,
    },
    /// A pass id is used for a second differentiation of the same graph.
    #[error(
        "pass {pass} is in use: the graph has an input {key} already; give each linearization a pass id of its own"
    )]
    PassReused {
        /// The pass.
        pass: DiffPassId,
        /// The tangent input or cotangent seed that it would name again.
        key: String,
    },
    /// A pass id of the reserved range.
    #[error("pass {pass} is reserved for cotangent seeds: use values below 2^63")]
    ReservedPass {
        /// The pass.
        pass: DiffPassId,
    },
    /// Two names that an [`ADKey`](super::ADKey) makes are the same.
    #[error(
        "the key type gives the name {key} to two different {rule} inputs: `tangent_of` and `cotangent_of` must be injective"
    )]
    NameCollision {
        /// Tangents of a linearization or seeds of a transposition.
        rule: ADRuleKind,
        /// The name.
        key: String,
    },
    /// An alias stands for a value that neither the view nor the inputs to differentiate by know.
    #[error("input {input} is an alias of {target}, which no graph of the view defines")]
    UnknownAliasTarget {
        /// The aliased input.
        input: String,
        /// What it stands for.
        target: String,
    },
    /// An input is, through aliases, the same value as something computed from it.
    #[error("input {input} is an alias of a value that depends on it")]
    AliasCycle {
        /// An input on the cycle.
        input: String,
    },
    /// The number of cotangent seeds is not that of the linear map's active outputs.
    #[error("the linear graph has {expected} active outputs, found {found} cotangent seeds")]
    WrongSeedCount {
        /// The number of active outputs.
        expected: usize,
        /// How many seeds were given.
        found: usize,
    },
    /// An operation to be transposed is not linear in what depends on a tangent.
    #[error("cannot transpose {op}, which makes %{value}: {reason}")]
    NotLinear {
        /// The operation.
        op: String,
        /// The local id of its first result in the linear graph.
        value: usize,
        /// Which operand, and why.
        reason: String,
    },
    /// A derived graph is not linear: what [`verify_linear`](crate::verify_linear) found.
    #[error("the derived graph is not linear:\n{report}")]
    Unverified {
        /// The transform that derived it.
        rule: ADRuleKind,
        /// All findings.
        report: Report,
    },
    /// The type of a value that is not known, or does not fit.
    #[error("{source}")]
    Type {
        /// The transform during which it was asked for.
        rule: ADRuleKind,
        /// What is wrong.
        source: TypeError,
    },
    /// An error of a layer above, or of a rule's own, carried through unchanged.
    #[error("{source}")]
    Runtime {
        /// The transform during which it happened.
        rule: ADRuleKind,
        /// The error.
        source: RuntimeError,
    },
}

impl ADRuleError {
    /// A primitive does not have the rule.
    pub fn unsupported(op: impl Into<String>, rule: ADRuleKind) -> Self {
        Self::Unsupported {
            op: op.into(),
            rule,
        }
    }

    /// Carries an error of another kind through: a rule's own, or a runtime's.
    ///
    /// ```
    /// use tidu_ad::{ADRuleError, ADRuleKind};
    ///
    /// let error = ADRuleError::runtime(std::fmt::Error, ADRuleKind::Jvp);
    /// let ADRuleError::Runtime { source, .. } = error else { unreachable!() };
    /// assert!(source.downcast_ref::<std::fmt::Error>().is_some());
    /// ```
    pub fn runtime(error: impl StdError + Send + Sync + 'static, rule: ADRuleKind) -> Self {
        Self::Runtime {
            rule,
            source: RuntimeError::new(error),
        }
    }

    /// The same error as one of this transform: who converts a [`TypeError`] cannot know it.
    pub(crate) fn during(self, rule: ADRuleKind) -> Self {
        match self {
            Self::Type { source, .. } => Self::Type { rule, source },
            error => error,
        }
    }

    /// The rule, or the transform, that failed.
    pub const fn rule(&self) -> ADRuleKind {
        match self {
            Self::Unsupported { rule, .. }
            | Self::WrongRuleResultCount { rule, .. }
            | Self::WrongRuleResultType { rule, .. }
            | Self::UnknownRuleValue { rule, .. }
            | Self::WrongActiveMask { rule, .. }
            | Self::InvalidEmission { rule, .. }
            | Self::WrongBuilderResultCount { rule, .. }
            | Self::Graph { rule, .. }
            | Self::NameCollision { rule, .. }
            | Self::Unverified { rule, .. }
            | Self::Type { rule, .. }
            | Self::Runtime { rule, .. } => *rule,
            Self::RepeatedInput { .. }
            | Self::PassReused { .. }
            | Self::ReservedPass { .. }
            | Self::UnknownAliasTarget { .. }
            | Self::AliasCycle { .. }
            | Self::WrongResiduals { .. } => ADRuleKind::Jvp,
            Self::InvalidAdd { .. } | Self::WrongSeedCount { .. } | Self::NotLinear { .. } => {
                ADRuleKind::Transpose
            }
        }
    }
}

/// For rules, which are asked by a transform that knows which it is.
impl From<TypeError> for ADRuleError {
    fn from(source: TypeError) -> Self {
        Self::Type {
            rule: ADRuleKind::Jvp,
            source,
        }
    }
}

/// A rule that a derivative needs and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MissingRule {
    /// The primitive, as its author names it.
    pub op: String,
    /// Which of its rules.
    pub rule: ADRuleKind,
}

impl fmt::Display for MissingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.rule, self.op)
    }
}
