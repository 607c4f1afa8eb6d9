//! A graph: values in topological order, and the operations that make them.

use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::Arc;

use crate::key::{OperationKey, OperationSpec, ValueKey};
use crate::{GraphOperation, ShortList};

/// The index of a value in its graph: says *which occurrence*, where a key says *what*.
pub type LocalValueId = usize;

/// The index of an operation in its graph.
pub type LocalOperationId = usize;

/// How an operand is named: by its place in the same graph, or by its key where another graph owns
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueRef<Op: GraphOperation> {
    /// A value of the same graph.
    Local(LocalValueId),
    /// A value of another graph.
    External(ValueKey<Op>),
}

/// A value of a graph.
#[derive(Clone, Debug)]
pub struct ValueNode<Op: GraphOperation> {
    /// What the value is.
    pub key: ValueKey<Op>,
    /// The operation that makes it and the output slot; `None` for a graph input.
    pub producer: Option<(LocalOperationId, usize)>,
}

/// An operation of a graph.
///
/// Reads like a structure with the fields `operation`, `role`, `inputs` and `outputs`; the first two
/// live in the shared key, so that a graph stores them once.
#[derive(Clone)]
pub struct OperationNode<Op: GraphOperation> {
    /// What it is applied to.
    pub inputs: ShortList<ValueRef<Op>>,
    /// The local values that it makes, by output slot.
    pub outputs: ShortList<LocalValueId>,
    key: Arc<OperationKey<Op>>,
}

impl<Op: GraphOperation> OperationNode<Op> {
    pub(crate) fn new(
        key: Arc<OperationKey<Op>>,
        inputs: ShortList<ValueRef<Op>>,
        outputs: ShortList<LocalValueId>,
    ) -> Self {
        Self {
            inputs,
            outputs,
            key,
        }
    }

    /// The structural identity of this computation.
    pub fn key(&self) -> &Arc<OperationKey<Op>> {
        &self.key
    }
}

impl<Op: GraphOperation> Deref for OperationNode<Op> {
    type Target = OperationSpec<Op>;

    fn deref(&self) -> &OperationSpec<Op> {
        self.key.spec()
    }
}

impl<Op: GraphOperation> Debug for OperationNode<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationNode")
            .field("operation", &self.operation)
            .field("role", &self.role)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish()
    }
}

/// An immutable computation graph, made by a [`GraphBuilder`](crate::GraphBuilder).
///
/// Values and operations are in topological order: an operation comes after everything that it
/// uses. A graph may refer to values of other graphs by key; its *parents* are graphs that are to
/// be looked at together with it.
pub struct Graph<Op: GraphOperation> {
    pub(crate) values: Vec<ValueNode<Op>>,
    pub(crate) operations: Vec<OperationNode<Op>>,
    pub(crate) inputs: Vec<LocalValueId>,
    pub(crate) outputs: Vec<LocalValueId>,
    pub(crate) parents: Vec<Arc<Graph<Op>>>,
}

impl<Op: GraphOperation> Graph<Op> {
    /// All values, indexed by [`LocalValueId`].
    pub fn values(&self) -> &[ValueNode<Op>] {
        &self.values
    }

    /// All operations, indexed by [`LocalOperationId`].
    pub fn operations(&self) -> &[OperationNode<Op>] {
        &self.operations
    }

    /// The inputs, in the order in which they were added.
    pub fn inputs(&self) -> &[LocalValueId] {
        &self.inputs
    }

    /// The outputs, in the order in which they were set.
    pub fn outputs(&self) -> &[LocalValueId] {
        &self.outputs
    }

    /// The graphs whose values this one may refer to.
    pub fn parents(&self) -> &[Arc<Graph<Op>>] {
        &self.parents
    }
}

/// Sizes only: a graph's content is read with its own tools, and parents may be many.
impl<Op: GraphOperation> Debug for Graph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("values", &self.values.len())
            .field("operations", &self.operations.len())
            .field("inputs", &self.inputs.len())
            .field("outputs", &self.outputs.len())
            .field("parents", &self.parents.len())
            .finish()
    }
}

/// Takes a chain of parents apart with a list of its own: a drop written by the compiler recurses
/// as deep as the chain.
impl<Op: GraphOperation> Drop for Graph<Op> {
    fn drop(&mut self) {
        let mut orphans = std::mem::take(&mut self.parents);
        while let Some(orphan) = orphans.pop() {
            if let Some(mut last) = Arc::into_inner(orphan) {
                orphans.append(&mut last.parents);
            }
        }
    }
}
