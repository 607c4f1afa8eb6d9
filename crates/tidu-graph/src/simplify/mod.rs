//! Simplification: equal work done once, dead work dropped, and rules that the operation set supplies.

mod functions;
mod terms;

use std::borrow::Cow;

use functions::simplify_functions;

pub use terms::{AppliedRewrite, Apply, Exactness, Rewrite, Term, Terms};

use crate::GraphOperation;
use crate::dense::DenseGraph;
use crate::error::GraphError;

/// Does equal work once and drops what no output needs, and nothing else.
///
/// Work is equal in either order of operands for operations that
/// [commute](GraphOperation::commutes). Operations stand in the order of
/// [`DenseGraph::needed_for`].
///
/// So it is within the functions that operations [hold](GraphOperation::functions), each distinct one once, where operations
/// can be [rebuilt](GraphOperation::with_functions). Operations that hold equal functions are equal.
///
/// # Complexity
///
/// Linear in the graph and the distinct functions, with constant stack.
///
/// A graph that is given away gives its memory to the result.
pub fn merge<'a, Op: GraphOperation>(graph: impl Into<Cow<'a, DenseGraph<Op>>>) -> DenseGraph<Op> {
    match simplified(graph.into(), None) {
        Ok(merged) => merged,
        Err(error) => unreachable!("without rules, no rule can go wrong: {error}"),
    }
}

/// [`merge`], and what the rules of the operation set permit at a level: all
/// [`rewrites`](GraphOperation::rewrites) that are at least as exact, and
/// [folding](GraphOperation::fold) of operations on constants; within functions, too.
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
/// Linear in the graph and the distinct functions, with constant stack.
///
/// A graph that is given away gives its memory to the result.
pub fn try_simplify<'a, Op: GraphOperation>(
    graph: impl Into<Cow<'a, DenseGraph<Op>>>,
    level: Exactness,
) -> Result<DenseGraph<Op>, GraphError> {
    simplified(graph.into(), Some(level))
}

fn simplified<Op: GraphOperation>(
    graph: Cow<'_, DenseGraph<Op>>,
    level: Option<Exactness>,
) -> Result<DenseGraph<Op>, GraphError> {
    let graph = simplify_functions(graph, level)?;
    Terms::of(&graph, level).rebuild(graph)
}

/// [`try_simplify`], and what it did, in order, told of inputs of these names.
///
/// Every step can be replayed: evaluate `before` and `after` of each at the same operands. Steps within functions are not
/// told.
///
/// # Errors
///
/// Those of [`try_simplify`].
///
/// # Panics
///
/// If there is not one name per input.
pub fn try_simplify_logged<Op: GraphOperation>(
    graph: &DenseGraph<Op>,
    inputs: &[Op::InputKey],
    level: Exactness,
) -> Result<(DenseGraph<Op>, Vec<AppliedRewrite<Op>>), GraphError> {
    let graph = simplify_functions(Cow::Borrowed(graph), Some(level))?;
    let mut terms = Terms::of(&graph, Some(level)).logged();
    let simplified = terms.rebuild(graph)?;
    Ok((simplified, terms.take_log(inputs)))
}
