//! A closed computation by positions: what remains of a graph once nothing refers to it by key.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::ops::Range;

use crate::GraphOperation;
use crate::base::{DenseId, OperationId, Packed, to_u32};
use crate::error::{GraphError, describe_operation};
use crate::operation::{check_arity, count_outputs};

/// A closed computation by positions: operations in topological order, on numbered values.
///
/// The first values are the inputs, which have no names here; the others are the results of the
/// operations, one operation after the other. There are no keys and no roles, and nothing is
/// allocated for an operation by itself, so that a pass goes over plain vectors: an operation costs
/// its own size, eight bytes, and four bytes per operand.
///
/// # Example
///
/// ```
/// use tidu_graph::DenseGraph;
/// use tidu_scalar::ScalarOp;
///
/// // sin(x)·y
/// let mut graph = DenseGraph::new(2);
/// let [x, y] = [graph.input(0), graph.input(1)];
/// let sin = graph.push(ScalarOp::Sin, &[x])?.start();
/// let product = graph.push(ScalarOp::Mul, &[sin, y])?.start();
/// graph.set_outputs(vec![product]);
/// assert_eq!(graph.operation_count(), 2);
/// # Ok::<(), tidu_graph::GraphError>(())
/// ```
#[derive(Clone)]
pub struct DenseGraph<Op: GraphOperation> {
    inputs: u32,
    values: u32,
    nodes: Vec<Node<Op>>,
    operands: Vec<DenseId>,
    outputs: Vec<DenseId>,
}

#[derive(Clone)]
struct Node<Op> {
    operation: Op,
    first_operand: u32,
    first_result: u32,
}

/// The results of an operation: values that follow one another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DenseRange {
    first: u32,
    end: u32,
}

/// An operation of a [`DenseGraph`].
#[derive(Debug)]
pub struct DenseNode<'a, Op: GraphOperation> {
    /// What is computed.
    pub operation: &'a Op,
    /// What it is applied to.
    pub operands: &'a [DenseId],
    /// What it makes, by output slot.
    pub results: DenseRange,
}

impl<Op: GraphOperation> Copy for DenseNode<'_, Op> {}

impl<Op: GraphOperation> Clone for DenseNode<'_, Op> {
    fn clone(&self) -> Self {
        *self
    }
}

impl DenseRange {
    /// A single value.
    pub(crate) fn of(value: DenseId) -> Self {
        Self {
            first: value.0,
            end: value.0 + 1,
        }
    }

    /// The first of the values.
    ///
    /// # Panics
    ///
    /// For the results of an operation that has none.
    #[inline]
    pub fn start(self) -> DenseId {
        assert!(self.first < self.end, "the operation has no results");
        DenseId(self.first)
    }

    /// How many there are.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "this is no collection")]
    pub fn len(self) -> usize {
        (self.end - self.first) as usize
    }

    /// The value of an output slot, if there is such a slot.
    #[inline]
    pub fn get(self, slot: usize) -> Option<DenseId> {
        (slot < self.len()).then(|| DenseId(self.first + slot as u32))
    }

    /// All of them, by output slot.
    pub fn iter(self) -> impl ExactSizeIterator<Item = DenseId> + DoubleEndedIterator {
        (self.first..self.end).map(DenseId)
    }

    /// Their positions, to index vectors with.
    #[inline]
    pub fn indices(self) -> Range<usize> {
        self.first as usize..self.end as usize
    }
}

impl<Op: GraphOperation> DenseGraph<Op> {
    /// A graph of so many inputs, to add to.
    pub fn new(inputs: usize) -> Self {
        Self::with_capacity(inputs, 0, 0)
    }

    /// [`new`](Self::new), with room for so many operations and operands.
    pub fn with_capacity(inputs: usize, operations: usize, operands: usize) -> Self {
        Self {
            inputs: to_u32(inputs),
            values: to_u32(inputs),
            nodes: Vec::with_capacity(operations),
            operands: Vec::with_capacity(operands),
            outputs: Vec::new(),
        }
    }

    /// A graph of so many inputs and nothing else, in the memory of this one.
    fn emptied(mut self, inputs: usize) -> Self {
        self.nodes.clear();
        self.operands.clear();
        self.outputs.clear();
        Self {
            inputs: to_u32(inputs),
            values: to_u32(inputs),
            ..self
        }
    }

    /// Adds an operation and returns its results.
    ///
    /// # Errors
    ///
    /// [`GraphError::WrongArity`], [`GraphError::UnknownLocal`], [`GraphError::TooManyOutputs`].
    pub fn push(&mut self, operation: Op, operands: &[DenseId]) -> Result<DenseRange, GraphError> {
        check_arity(&operation, operands.len())?;
        if let Some(operand) = operands.iter().position(|id| id.0 >= self.values) {
            return Err(GraphError::UnknownLocal {
                operation: describe_operation(&operation),
                operand,
                id: operands[operand].index(),
                available: self.value_count(),
            });
        }
        let results = count_outputs(&operation)?;
        Ok(self.push_unchecked(operation, operands.iter().copied(), results))
    }

    /// [`push`](Self::push), of an operation that came from a graph already.
    #[inline]
    pub(crate) fn push_unchecked(
        &mut self,
        operation: Op,
        operands: impl IntoIterator<Item = DenseId>,
        results: usize,
    ) -> DenseRange {
        self.nodes.push(Node {
            operation,
            first_operand: to_u32(self.operands.len()),
            first_result: self.values,
        });
        self.operands.extend(operands);
        self.push_results(results)
    }

    /// Numbers values.
    #[inline]
    pub(crate) fn push_results(&mut self, count: usize) -> DenseRange {
        let first = self.values;
        self.values = to_u32(first as usize + count);
        DenseRange {
            first,
            end: self.values,
        }
    }

    /// Says which values are the outputs, in order.
    ///
    /// # Panics
    ///
    /// For a value that the graph does not have.
    #[track_caller]
    pub fn set_outputs(&mut self, outputs: Vec<DenseId>) {
        let known = outputs.iter().all(|id| id.0 < self.values);
        assert!(known, "an output is a value of the graph");
        self.outputs = outputs;
    }

    /// An input, by position.
    ///
    /// # Panics
    ///
    /// Where there are not so many.
    #[track_caller]
    pub fn input(&self, position: usize) -> DenseId {
        assert!(
            position < self.input_count(),
            "a graph of {} inputs has none at position {position}",
            self.inputs
        );
        DenseId(position as u32)
    }

    /// All inputs, in order.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = DenseId> + use<Op> {
        (0..self.inputs).map(DenseId)
    }

    /// The outputs, in order.
    pub fn outputs(&self) -> &[DenseId] {
        &self.outputs
    }

    /// How many inputs there are.
    pub fn input_count(&self) -> usize {
        self.inputs as usize
    }

    /// How many values there are, inputs included.
    pub fn value_count(&self) -> usize {
        self.values as usize
    }

    /// How many operations there are.
    pub fn operation_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many operands all operations have together.
    pub fn operand_count(&self) -> usize {
        self.operands.len()
    }

    /// An operation, by position.
    ///
    /// # Panics
    ///
    /// Where there are not so many.
    #[inline]
    pub fn node(&self, index: usize) -> DenseNode<'_, Op> {
        let node = &self.nodes[index];
        let (end, last) = match self.nodes.get(index + 1) {
            Some(next) => (next.first_operand as usize, next.first_result),
            None => (self.operands.len(), self.values),
        };
        DenseNode {
            operation: &node.operation,
            operands: &self.operands[node.first_operand as usize..end],
            results: DenseRange {
                first: node.first_result,
                end: last,
            },
        }
    }

    /// All operations, each after those that it uses.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = DenseNode<'_, Op>> + DoubleEndedIterator {
        (0..self.nodes.len()).map(|index| self.node(index))
    }

    /// By value: the operation that makes it; `None` for an input.
    pub fn producers(&self) -> Producers {
        let mut by_value = Vec::with_capacity(self.value_count());
        by_value.resize(self.input_count(), Packed::NONE);
        for (index, node) in self.nodes().enumerate() {
            by_value.resize(node.results.end as usize, OperationId::new(index).into());
        }
        Producers { by_value }
    }

    /// What `outputs` need, and nothing else, as a graph of the same inputs.
    ///
    /// Operations stand in the order of a walk in depth from the first output to the last, operands from
    /// left to right.
    ///
    /// # Panics
    ///
    /// For an output that is no value of the graph.
    ///
    /// # Complexity
    ///
    /// Linear in the graph, with constant stack.
    pub fn needed_for(&self, outputs: &[DenseId]) -> Self {
        let producers = self.producers();
        let producer = |value| producers.of(value).expect("an input needs nothing");
        let room = Self::with_capacity(0, self.operation_count(), self.operand_count());
        extract(self, outputs, producer, room)
    }

    /// Adds another graph's operations, applied to these values, and returns what its outputs are here.
    ///
    /// # Panics
    ///
    /// If there is not one argument per input, or one is no value of this graph.
    ///
    /// # Complexity
    ///
    /// Linear in the other graph.
    pub fn inline(&mut self, other: &Self, arguments: &[DenseId]) -> Vec<DenseId> {
        let mut here = Vec::with_capacity(other.value_count());
        here.extend_from_slice(arguments);
        self.inline_into(other, &mut here);
        other.outputs.iter().map(|id| here[id.index()]).collect()
    }

    /// [`inline`](Self::inline), without an allocation: `here` holds the arguments, and by value of the
    /// other graph what it is in this one in the end.
    ///
    /// # Panics
    ///
    /// If there is not one argument per input, or one is no value of this graph.
    pub fn inline_into(&mut self, other: &Self, here: &mut Vec<DenseId>) {
        assert_eq!(here.len(), other.input_count(), "one argument per input");
        let known = here.iter().all(|id| id.0 < self.values);
        assert!(known, "an argument is a value of the graph");
        for node in other.nodes() {
            let operands = node.operands.iter().map(|id| here[id.index()]);
            let results = self.push_unchecked(node.operation.clone(), operands, node.results.len());
            here.extend(results.iter());
        }
    }
}

impl<'a, Op: GraphOperation> From<&'a DenseGraph<Op>> for Cow<'a, DenseGraph<Op>> {
    fn from(graph: &'a DenseGraph<Op>) -> Self {
        Cow::Borrowed(graph)
    }
}

impl<Op: GraphOperation> From<DenseGraph<Op>> for Cow<'_, DenseGraph<Op>> {
    fn from(graph: DenseGraph<Op>) -> Self {
        Cow::Owned(graph)
    }
}

/// By value of a dense graph: which operation makes it.
pub struct Producers {
    by_value: Vec<Packed<OperationId>>,
}

impl Producers {
    /// The position of the operation that makes a value; `None` for an input.
    #[inline]
    pub fn of(&self, value: DenseId) -> Option<usize> {
        self.by_value[value.index()].get().map(OperationId::index)
    }
}

/// What `outputs` need of a graph, given which operation makes a value that is no input, in the memory of
/// another graph, whose content goes.
pub(crate) fn extract<Op: GraphOperation>(
    from: &DenseGraph<Op>,
    outputs: &[DenseId],
    producer: impl Fn(DenseId) -> usize,
    room: DenseGraph<Op>,
) -> DenseGraph<Op> {
    let mut graph = room.emptied(from.input_count());
    // By value: what it is in the new graph, once it is there.
    let mut here = vec![Packed::NONE; from.value_count()];
    for input in from.inputs() {
        here[input.index()] = input.into();
    }
    // The stack of a walk in depth: operations, and how many of their operands have been seen to.
    let mut open: Vec<(u32, u32)> = Vec::new();
    for &output in outputs {
        if here[output.index()].is_none() {
            open.push((producer(output) as u32, 0));
        }
        'walk: while let Some((operation, seen)) = open.last_mut() {
            let node = from.node(*operation as usize);
            for (at, operand) in node.operands.iter().enumerate().skip(*seen as usize) {
                if here[operand.index()].is_none() {
                    *seen = at as u32 + 1;
                    open.push((producer(*operand) as u32, 0));
                    continue 'walk;
                }
            }
            let operands = node.operands.iter().map(|id| here[id.index()].known());
            let results =
                graph.push_unchecked(node.operation.clone(), operands, node.results.len());
            for (from, to) in node.results.indices().zip(results.iter()) {
                here[from] = to.into();
            }
            open.pop();
        }
    }
    graph.outputs = outputs.iter().map(|id| here[id.index()].known()).collect();
    shrink(&mut graph.nodes);
    shrink(&mut graph.operands);
    graph
}

/// Gives memory back if much of it is not used. What is cut off a large allocation is taken from the system
/// anew when something of the old size is allocated next, which costs more than a little room does.
fn shrink<T>(items: &mut Vec<T>) {
    if items.capacity() > items.len() / 2 * 3 {
        items.shrink_to_fit();
    }
}

/// As a list.
impl Debug for DenseRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Sizes only.
impl<Op: GraphOperation> Debug for DenseGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenseGraph")
            .field("values", &self.value_count())
            .field("operations", &self.operation_count())
            .field("inputs", &self.input_count())
            .field("outputs", &self.outputs.len())
            .finish()
    }
}
