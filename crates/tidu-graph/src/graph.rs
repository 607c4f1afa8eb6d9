//! A graph: values in topological order, and the operations that make them.

use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::Arc;

use hashbrown::HashSet;

use crate::key::{FixedState, OperationKey, OperationSpec, ValueKey};
use crate::picture::Shade;
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

impl<Op: GraphOperation> From<ValueKey<Op>> for ValueRef<Op> {
    fn from(key: ValueKey<Op>) -> Self {
        ValueRef::External(key)
    }
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
/// be looked at together with it. The content is shared: cloning a graph is O(1).
pub struct Graph<Op: GraphOperation> {
    content: Arc<Content<Op>>,
}

pub(crate) struct Content<Op: GraphOperation> {
    pub values: Vec<ValueNode<Op>>,
    pub operations: Vec<OperationNode<Op>>,
    pub inputs: Vec<LocalValueId>,
    pub outputs: Vec<LocalValueId>,
    pub parents: Vec<Arc<Graph<Op>>>,
    pub shade: Shade,
}

impl<Op: GraphOperation> Graph<Op> {
    pub(crate) fn new(content: Content<Op>) -> Self {
        Self {
            content: Arc::new(content),
        }
    }

    /// Whether this is a clone of the other, or the other way round.
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
    }

    /// All values, indexed by [`LocalValueId`].
    pub fn values(&self) -> &[ValueNode<Op>] {
        &self.content.values
    }

    /// All operations, indexed by [`LocalOperationId`].
    pub fn operations(&self) -> &[OperationNode<Op>] {
        &self.content.operations
    }

    /// The inputs, in the order in which they were added.
    pub fn inputs(&self) -> &[LocalValueId] {
        &self.content.inputs
    }

    /// The outputs, in the order in which they were set.
    pub fn outputs(&self) -> &[LocalValueId] {
        &self.content.outputs
    }

    /// The graphs whose values this one may refer to.
    pub fn parents(&self) -> &[Arc<Graph<Op>>] {
        &self.content.parents
    }

    /// What the graph is for, as pictures show it.
    pub fn shade(&self) -> Shade {
        self.content.shade
    }

    /// What tells shared content apart. Only compared, never shown.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.content).addr()
    }
}

impl<Op: GraphOperation> Clone for Graph<Op> {
    fn clone(&self) -> Self {
        Self {
            content: Arc::clone(&self.content),
        }
    }
}

/// The graphs and all their parents, each once, parents before children, in a fixed order.
///
/// # Complexity
///
/// Linear in the number of graphs and of their parents, with constant stack.
pub fn with_parents<'a, Op: GraphOperation>(
    roots: impl IntoIterator<Item = &'a Graph<Op>>,
) -> Vec<&'a Graph<Op>> {
    let mut seen: HashSet<usize, FixedState> = HashSet::default();
    let mut order = Vec::new();
    for root in roots {
        let mut open: Vec<(&Graph<Op>, usize)> = Vec::new();
        if seen.insert(root.address()) {
            open.push((root, 0));
        }
        while let Some((graph, next_parent)) = open.last_mut() {
            match graph.parents().get(*next_parent) {
                Some(parent) => {
                    *next_parent += 1;
                    if seen.insert(parent.address()) {
                        open.push((parent, 0));
                    }
                }
                None => {
                    order.push(*graph);
                    open.pop();
                }
            }
        }
    }
    order
}

/// Sizes only: a graph's content is read with its own tools, and parents may be many.
impl<Op: GraphOperation> Debug for Graph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("values", &self.values().len())
            .field("operations", &self.operations().len())
            .field("inputs", &self.inputs().len())
            .field("outputs", &self.outputs().len())
            .field("parents", &self.parents().len())
            .finish()
    }
}

/// Takes a chain of parents apart with a list of its own: a drop written by the compiler recurses
/// as deep as the chain.
impl<Op: GraphOperation> Drop for Content<Op> {
    fn drop(&mut self) {
        let mut orphans = std::mem::take(&mut self.parents);
        while let Some(orphan) = orphans.pop() {
            if let Some(last) = Arc::into_inner(orphan)
                && let Some(mut content) = Arc::into_inner(last.content)
            {
                orphans.append(&mut content.parents);
            }
        }
    }
}
