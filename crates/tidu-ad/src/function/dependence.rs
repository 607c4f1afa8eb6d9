//! What depends on which inputs.

use tidu_graph::{DenseGraph, GraphOperation};

use super::Function;
use crate::walk;

/// By value: whether it depends on some of the inputs.
pub(super) fn depends_on<Op: GraphOperation>(
    dense: &DenseGraph<Op>,
    inputs: &[usize],
) -> Vec<bool> {
    let inputs = inputs.iter().map(|&at| dense.input(at).index());
    walk::depends_on(dense.nodes(), dense.value_count(), inputs)
}

impl<Op: GraphOperation> Function<Op> {
    /// By output: whether it depends on some of these inputs, given by position.
    pub(super) fn outputs_that_depend_on(&self, inputs: &[usize]) -> Vec<bool> {
        let dense = self.as_dense();
        let depends = depends_on(dense, inputs);
        let outputs = dense.outputs().iter();
        outputs.map(|id| depends[id.index()]).collect()
    }
}
