//! Simplification within the functions that operations hold.

use std::borrow::Cow;

use super::terms::{Exactness, Terms};
use crate::GraphOperation;
use crate::dense::DenseGraph;
use crate::error::GraphError;
use crate::sub_function::{SubFunction, SubFunctions, can_be_rebuilt, rebuilt};

/// The graph with the functions that its operations hold, and those within these, in simplified form. Each distinct one
/// is simplified once, after those that it holds; what is equal then is one function. Operations that cannot be rebuilt
/// keep theirs.
pub(super) fn simplify_functions<'a, Op: GraphOperation>(
    graph: Cow<'a, DenseGraph<Op>>,
    level: Option<Exactness>,
) -> Result<Cow<'a, DenseGraph<Op>>, GraphError> {
    if !has_to_rebuild(&graph) {
        return Ok(graph);
    }
    let mut simplified = Simplified::of(&graph);
    for position in 0..simplified.before.list().len() {
        let function = simplified.before.list()[position].clone();
        let body = simplified.rebuild(Cow::Borrowed(function.graph()));
        let body = Terms::of(&body, level).rebuild(body)?;
        simplified.put(&function, body);
    }
    Ok(simplified.rebuild(graph))
}

fn has_to_rebuild<Op: GraphOperation>(graph: &DenseGraph<Op>) -> bool {
    let mut nodes = graph.nodes();
    nodes.any(|node| can_be_rebuilt(node.operation))
}

/// Functions, and what they became.
struct Simplified<Op: GraphOperation> {
    before: SubFunctions<Op>,
    after: SubFunctions<Op>,
    /// By position of the former: what it became.
    became: Vec<SubFunction<Op>>,
}

impl<Op: GraphOperation> Simplified<Op> {
    fn of(graph: &DenseGraph<Op>) -> Self {
        let mut before = SubFunctions::new(can_be_rebuilt);
        before.add_all(graph.nodes().map(|node| node.operation));
        Self {
            became: Vec::with_capacity(before.list().len()),
            before,
            after: SubFunctions::new(can_be_rebuilt),
        }
    }

    /// Says what the next function became.
    fn put(&mut self, function: &SubFunction<Op>, body: DenseGraph<Op>) {
        let after = SubFunction::new(function.name(), body);
        // One that stays as it is stays a clone, which is found to be equal without a look into it.
        let is_same = self.after.is_same(function, &after);
        let position = self.after.add(if is_same { function } else { &after });
        self.became.push(self.after.list()[position].clone());
    }

    /// The graph whose operations hold what their functions became.
    fn rebuild<'a>(&self, mut graph: Cow<'a, DenseGraph<Op>>) -> Cow<'a, DenseGraph<Op>> {
        if has_to_rebuild(&graph) {
            graph.to_mut().replace_operations(|operation| {
                let functions = operation.functions().iter();
                let positions = functions.map(|function| self.before.position(function));
                let functions = positions.map(|at| at.map(|at| self.became[at].clone()));
                rebuilt(operation, functions.collect::<Option<_>>()?)
            });
        }
        graph
    }
}
