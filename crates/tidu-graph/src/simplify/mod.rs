//! Simplification: equal work done once, dead work dropped, and rules that the operation set supplies.

mod terms;

use std::borrow::Cow;
use std::fmt::{self, Debug};

pub use terms::{Term, Terms};

use crate::GraphOperation;
use crate::dense::DenseGraph;
use crate::error::GraphError;
use crate::key::ValueKey;

/// How faithful a rewrite is to what was written, from the most to the least. Also how much of that a
/// caller of [`try_simplify`] puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exactness {
    /// The same bits for all operands, infinities and signed zeros included; a NaN remains a NaN, be
    /// it another one. For instance x·1 = x.
    Exact,
    /// The same number as long as every number on either side is finite; a zero may change its sign.
    /// For instance x·0 = 0.
    FiniteOnly,
    /// The same over the real numbers; rounding may differ, and a domain may grow. For instance
    /// x·y + x·z = x·(y + z).
    RealOnly,
}

/// A rule of an operation set: what an operation may be replaced by.
///
/// See [`GraphOperation::rewrites`].
pub struct Rewrite<Op: GraphOperation> {
    /// The equation, as a reader would write it: `x·1 = x`.
    pub equation: &'static str,
    /// How far it holds.
    pub exactness: Exactness,
    /// Whether it only concerns operations that have a constant among their operands: it is not tried on
    /// others.
    pub needs_constant: bool,
    apply: Apply<Op>,
}

/// What a rule does: given the operation and its operands, the term that may stand for its result.
pub type Apply<Op> = fn(&mut Terms<Op>, &Op, &[Term]) -> Option<Term>;

/// A rewrite that was made: `before` and `after` are to be equal, as far as `exactness` says.
#[derive(Clone, Debug, PartialEq)]
pub struct AppliedRewrite<Op: GraphOperation> {
    /// The equation of the rule; `folding` and `exchange` for what needs none.
    pub equation: &'static str,
    /// How far `before` and `after` are equal: as far as the rule holds, or less where what it makes
    /// was simplified in turn by rules that are less exact.
    pub exactness: Exactness,
    /// What stood there, its operands being simplified already.
    pub before: ValueKey<Op>,
    /// What stands there now.
    pub after: ValueKey<Op>,
}

impl<Op: GraphOperation> Rewrite<Op> {
    /// A rule that keeps every bit.
    pub const fn exact(equation: &'static str, apply: Apply<Op>) -> Self {
        Self::new(equation, Exactness::Exact, apply)
    }

    /// A rule for finite numbers.
    pub const fn finite_only(equation: &'static str, apply: Apply<Op>) -> Self {
        Self::new(equation, Exactness::FiniteOnly, apply)
    }

    /// A rule for real numbers.
    pub const fn real_only(equation: &'static str, apply: Apply<Op>) -> Self {
        Self::new(equation, Exactness::RealOnly, apply)
    }

    const fn new(equation: &'static str, exactness: Exactness, apply: Apply<Op>) -> Self {
        Self {
            equation,
            exactness,
            needs_constant: false,
            apply,
        }
    }

    /// The same rule, for operations that have a constant among their operands only: to find that out
    /// takes less time than to try it.
    pub const fn for_constants(mut self) -> Self {
        self.needs_constant = true;
        self
    }
}

/// Does equal work once and drops what no output needs, and nothing else.
///
/// Work is equal in either order of operands for operations that
/// [commute](GraphOperation::commutes). Operations stand in the order of
/// [`DenseGraph::needed_for`].
///
/// # Complexity
///
/// Linear in the graph, with constant stack.
///
/// A graph that is given away gives its memory to the result.
pub fn merge<'a, Op: GraphOperation>(graph: impl Into<Cow<'a, DenseGraph<Op>>>) -> DenseGraph<Op> {
    let graph = graph.into();
    match Terms::of(&graph, None).rebuild(graph) {
        Ok(merged) => merged,
        Err(error) => unreachable!("without rules, no rule can go wrong: {error}"),
    }
}

/// [`merge`], and what the rules of the operation set permit at a level: all
/// [`rewrites`](GraphOperation::rewrites) that are at least as exact, and
/// [folding](GraphOperation::fold) of operations on constants.
///
/// One pass from the inputs to the outputs: the operands of an operation are simplified before it, and
/// what a rule makes is simplified in turn, in 64 steps at most for each operation of `graph`.
///
/// # Errors
///
/// [`GraphError::InvalidRewrite`] for a rule that applies an operation to the wrong number of operands,
/// or a folding that does not yield constants.
///
/// # Complexity
///
/// Linear in the graph, with constant stack.
///
/// A graph that is given away gives its memory to the result.
pub fn try_simplify<'a, Op: GraphOperation>(
    graph: impl Into<Cow<'a, DenseGraph<Op>>>,
    level: Exactness,
) -> Result<DenseGraph<Op>, GraphError> {
    let graph = graph.into();
    Terms::of(&graph, Some(level)).rebuild(graph)
}

/// [`try_simplify`], and what it did, in order, told of inputs of these names.
///
/// Every step can be replayed: evaluate `before` and `after` of each at the same operands.
///
/// # Errors
///
/// As there.
///
/// # Panics
///
/// If there is not one name an input.
pub fn try_simplify_logged<Op: GraphOperation>(
    graph: &DenseGraph<Op>,
    inputs: &[Op::InputKey],
    level: Exactness,
) -> Result<(DenseGraph<Op>, Vec<AppliedRewrite<Op>>), GraphError> {
    let mut terms = Terms::of(graph, Some(level)).logged();
    let simplified = terms.rebuild(graph.into())?;
    Ok((simplified, terms.take_log(inputs)))
}

impl<Op: GraphOperation> Copy for Rewrite<Op> {}

impl<Op: GraphOperation> Clone for Rewrite<Op> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Op: GraphOperation> Debug for Rewrite<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.exactness, self.equation)
    }
}
