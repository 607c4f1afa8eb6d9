//! A closed computation by positions: what remains of a graph once nothing refers to it by key.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::ops::Range;

use crate::GraphOperation;
use crate::base::{DenseId, OperationId, Packed, TypeId, to_u32, unwrap_or_panic};
use crate::error::{GraphError, TypeError, describe_operation};
use crate::inference::ValueTypes;
use crate::operation::{check_arity, check_outputs, count_outputs};
use crate::value_type::ValueType;

/// A closed computation by positions: operations in topological order, on numbered values.
///
/// The first values are the inputs, which have no names here; the others are the results of the
/// operations, one operation after the other. There are no keys and no roles, and nothing is
/// allocated for an operation by itself, so that a pass goes over plain vectors: an operation costs
/// its own size, eight bytes, and four bytes per operand. Where the types of the inputs are
/// [known](Self::with_types), each value has a type, for four bytes more.
///
/// It [prints and reads back](crate::text), is [verified](Self::verify) and [drawn](crate::Picture::of_dense), and
/// becomes a [program](Self::compile).
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
    /// Of all values, or of none.
    types: Option<Box<ValueTypes>>,
}

/// What the types of a graph's values are in another one. See [`DenseGraph::import_types`].
#[derive(Clone, Debug, Default)]
pub struct ImportedTypes {
    /// By type of the former; empty if it has none.
    here: Vec<TypeId>,
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
#[derive(Clone, Debug)]
pub struct DenseNode<'a, Op: GraphOperation> {
    /// What is computed.
    pub operation: &'a Op,
    /// What it is applied to.
    pub operands: &'a [DenseId],
    /// What it makes, by output slot.
    pub results: DenseRange,
}

impl<Op: GraphOperation> Copy for DenseNode<'_, Op> {}

impl DenseRange {
    pub(crate) const EMPTY: Self = Self { first: 0, end: 0 };

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
    /// A graph of this many inputs, to add to.
    pub fn new(inputs: usize) -> Self {
        Self::with_capacity(inputs, 0, 0)
    }

    /// [`new`](Self::new), with room for this many operations and operands.
    pub fn with_capacity(inputs: usize, operations: usize, operands: usize) -> Self {
        Self {
            inputs: to_u32(inputs),
            values: to_u32(inputs),
            nodes: Vec::with_capacity(operations),
            operands: Vec::with_capacity(operands),
            outputs: Vec::new(),
            types: None,
        }
    }

    /// A graph of inputs of these types, to add to, with room for this many operations and operands. What is added
    /// has types, too.
    pub fn of_types(
        inputs: impl IntoIterator<Item = ValueType>,
        operations: usize,
        operands: usize,
    ) -> Self {
        let types = ValueTypes::of(inputs);
        let mut graph = Self::with_capacity(types.ids().len(), operations, operands);
        graph.types = Some(Box::new(types));
        graph
    }

    /// The same graph for inputs of these types, where every value has a type; without types, if an operation does
    /// not say of what types its results are ([`GraphOperation::infer_types`]).
    ///
    /// # Errors
    ///
    /// [`TypeError::WrongCount`]; [`TypeError::Operation`] and [`TypeError::WrongResultCount`] for an operation on
    /// the way.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn with_types(
        mut self,
        inputs: impl IntoIterator<Item = ValueType>,
    ) -> Result<Self, TypeError> {
        self.types = None;
        let mut types = ValueTypes::of(inputs);
        let (expected, found) = (self.input_count(), types.ids().len());
        if expected != found {
            return Err(TypeError::WrongCount { expected, found });
        }
        let inferred = self.nodes().try_for_each(|node| {
            let operands = node.operands.iter().map(|id| id.index());
            types.infer(node.operation, operands)
        });
        match inferred {
            Ok(()) => self.types = Some(Box::new(types)),
            Err(TypeError::NotInferred { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// A graph of the same inputs and nothing else, to add to.
    pub fn inputs_alone(&self) -> Self {
        self.of_inputs_like(self.inputs(), Self::with_capacity(0, 0, 0))
    }

    /// A graph of this many inputs and nothing else, in the memory of this one.
    fn emptied(mut self, inputs: usize) -> Self {
        self.nodes.clear();
        self.operands.clear();
        self.outputs.clear();
        Self {
            inputs: to_u32(inputs),
            values: to_u32(inputs),
            types: None,
            ..self
        }
    }

    /// Adds an operation and returns its results.
    ///
    /// # Errors
    ///
    /// [`GraphError::WrongArity`], [`GraphError::UnknownLocal`], [`GraphError::TooManyOutputs`]; of a graph of which
    /// the types are known, [`GraphError::Type`].
    pub fn push(&mut self, operation: Op, operands: &[DenseId]) -> Result<DenseRange, GraphError> {
        let results = self.check(&operation, operands)?;
        if self.has_types() {
            self.infer(&operation, operands)?;
        }
        Ok(self.push_unchecked(operation, operands.iter().copied(), results))
    }

    /// How many results an operation has, if it can be applied to these operands.
    #[inline]
    fn check(&self, operation: &Op, operands: &[DenseId]) -> Result<usize, GraphError> {
        check_arity(operation, operands.len())?;
        if let Some(operand) = operands.iter().position(|id| id.0 >= self.values) {
            return Err(GraphError::UnknownLocal {
                operation: describe_operation(operation),
                operand,
                id: operands[operand].index(),
                available: self.value_count(),
            });
        }
        count_outputs(operation)
    }

    /// [`push`](Self::push), of an operation whose one result is of the type of its first operand, as is a sum of values
    /// of one type: nothing has to be inferred.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push); nobody asks for the types of the other operands.
    pub fn push_like_first(
        &mut self,
        operation: Op,
        operands: &[DenseId],
    ) -> Result<DenseId, GraphError> {
        let results = self.check(&operation, operands)?;
        if self.has_types() {
            match operands {
                [first, ..] if results == 1 => self.note_types(self.type_id(*first)),
                _ => self.infer(&operation, operands)?,
            }
        }
        let results = self.push_unchecked(operation, operands.iter().copied(), results);
        Ok(results.start())
    }

    /// Notes the types of what is about to be inlined, or has none from here on.
    fn inline_types(&mut self, other: &Self, types: &ImportedTypes, here: &[DenseId]) {
        let (Some(own), Some(others)) = (&mut self.types, &other.types) else {
            self.types = None;
            return;
        };
        let (inputs, results) = others.ids().split_at(here.len());
        let mut arguments = here.iter().zip(inputs);
        if arguments.all(|(id, input)| own.id_of(id.index()) == types.here[input.index()]) {
            results
                .iter()
                .for_each(|id| own.push(types.here[id.index()]));
        } else {
            self.types = None;
        }
    }

    /// Notes the types of the results of an operation that is about to be pushed, if this graph has types.
    #[inline(never)]
    pub(crate) fn infer(&mut self, operation: &Op, operands: &[DenseId]) -> Result<(), GraphError> {
        let Some(types) = &mut self.types else {
            return Ok(());
        };
        let inferred = types.infer(operation, operands.iter().map(|id| id.index()));
        inferred.map_err(|error| GraphError::Type(Box::new(error)))
    }

    /// Notes that an operation is about to be pushed whose results are of these types, of which this graph knows,
    /// if it has types.
    #[inline]
    pub(crate) fn note_types(&mut self, results: impl IntoIterator<Item = TypeId>) {
        if let Some(types) = &mut self.types {
            results.into_iter().for_each(|id| types.push(id));
        }
    }

    /// A graph of inputs of the types of these values, and nothing else yet.
    pub(crate) fn of_inputs_like(
        &self,
        inputs: impl ExactSizeIterator<Item = DenseId>,
        room: Self,
    ) -> Self {
        let mut graph = room.emptied(inputs.len());
        if let Some(types) = &self.types {
            let mut of_inputs = types.of_none(types.ids().len());
            inputs.for_each(|id| of_inputs.push(types.id_of(id.index())));
            graph.types = Some(Box::new(of_inputs));
        }
        graph
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

    /// Puts other operations, of the same numbers of operands and results, in the place of those for which there is one.
    pub(crate) fn replace_operations(&mut self, replacement: impl Fn(&Op) -> Option<Op>) {
        for node in &mut self.nodes {
            if let Some(operation) = replacement(&node.operation) {
                node.operation = operation;
            }
        }
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
    /// Where [`try_set_outputs`](Self::try_set_outputs) returns an error, with the same text.
    #[track_caller]
    pub fn set_outputs(&mut self, outputs: Vec<DenseId>) {
        unwrap_or_panic(self.try_set_outputs(outputs));
    }

    /// Says which values are the outputs, in order, replacing what was said before. A value may stand twice.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnknownOutputId`]. The graph is then as it was.
    pub fn try_set_outputs(&mut self, outputs: Vec<DenseId>) -> Result<(), GraphError> {
        check_outputs(outputs.iter().map(|id| id.index()), self.value_count())?;
        self.outputs = outputs;
        Ok(())
    }

    /// An input, by position.
    ///
    /// # Panics
    ///
    /// Where there are at most `position` inputs.
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
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = DenseId> + Clone + use<Op> {
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

    /// Whether values have types.
    #[inline]
    pub fn has_types(&self) -> bool {
        self.types.is_some()
    }

    /// The type of a value, if this graph has types.
    #[inline]
    pub fn type_of(&self, value: DenseId) -> Option<&ValueType> {
        let types = self.types.as_ref()?;
        Some(types.get(types.id_of(value.index())))
    }

    /// The number of the type of a value, if this graph has types.
    #[inline]
    pub fn type_id(&self, value: DenseId) -> Option<TypeId> {
        let types = self.types.as_ref()?;
        Some(types.id_of(value.index()))
    }

    /// The numbers of the types of all values, if this graph has types.
    pub(crate) fn all_type_ids(&self) -> &[TypeId] {
        self.types.as_ref().map_or(&[], |types| types.ids())
    }

    /// The type of this number, if this graph has types.
    pub(crate) fn type_named(&self, id: TypeId) -> Option<&ValueType> {
        self.types.as_ref().map(|types| types.get(id))
    }

    /// The types of these values, if this graph has types.
    pub fn types_of(&self, values: impl IntoIterator<Item = DenseId>) -> Option<Vec<ValueType>> {
        let types = values.into_iter().map(|value| self.type_of(value).cloned());
        self.has_types().then(|| types.collect())?
    }

    /// How many operations there are.
    pub fn operation_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many operands all operations have together.
    pub fn operand_count(&self) -> usize {
        self.operands.len()
    }

    /// The operation of this id.
    ///
    /// # Panics
    ///
    /// For an id that the graph does not have.
    #[inline]
    pub fn node(&self, id: OperationId) -> DenseNode<'_, Op> {
        self.node_at(id.index())
    }

    #[inline]
    fn node_at(&self, index: usize) -> DenseNode<'_, Op> {
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

    /// The ids of all operations, each after those that it uses.
    pub fn operation_ids(
        &self,
    ) -> impl ExactSizeIterator<Item = OperationId> + DoubleEndedIterator + use<Op> {
        (0..self.nodes.len() as u32).map(OperationId)
    }

    /// All operations, each after those that it uses.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = DenseNode<'_, Op>> + DoubleEndedIterator {
        (0..self.nodes.len()).map(|index| self.node_at(index))
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
        let part = self.part(self.inputs(), outputs);
        part.expect("every input is given")
    }

    /// What `outputs` compute of `inputs`, which may be any values, each once; if these have types, so has the new
    /// graph. (JAX: what `jax.linearize` cuts a jaxpr into.)
    ///
    /// # Errors
    ///
    /// An input of this graph that is needed and not among `inputs`.
    ///
    /// # Panics
    ///
    /// For an input or output that is no value of the graph.
    ///
    /// # Complexity
    ///
    /// Linear in the graph, with constant stack.
    pub fn cut(&self, inputs: &[DenseId], outputs: &[DenseId]) -> Result<Self, DenseId> {
        self.part(inputs.iter().copied(), outputs)
    }

    fn part(
        &self,
        inputs: impl ExactSizeIterator<Item = DenseId> + Clone,
        outputs: &[DenseId],
    ) -> Result<Self, DenseId> {
        let producers = self.producers();
        let room = Self::with_capacity(0, self.operation_count(), self.operand_count());
        extract(self, inputs, outputs, |value| producers.of(value), room)
    }

    /// Adds another graph's operations, applied to these values, and returns what its outputs are here.
    ///
    /// This graph has types afterwards if both have, and if each argument is of the type of its input.
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
        let types = self.import_types(other);
        self.inline_into(other, &types, &mut here);
        other.outputs.iter().map(|id| here[id.index()]).collect()
    }

    /// What the types of another graph's values are in this one, if this one has types: for
    /// [`inline_into`](Self::inline_into), any number of times.
    pub fn import_types(&mut self, other: &Self) -> ImportedTypes {
        let here = match (&mut self.types, &other.types) {
            (Some(types), Some(others)) => types.import(others),
            _ => Vec::new(),
        };
        ImportedTypes { here }
    }

    /// [`inline`](Self::inline), without an allocation: `here` holds the arguments, and by value of the
    /// other graph what it is in this one in the end. `types` are those of the other one, imported.
    ///
    /// # Panics
    ///
    /// As for [`inline`](Self::inline).
    pub fn inline_into(&mut self, other: &Self, types: &ImportedTypes, here: &mut Vec<DenseId>) {
        assert_eq!(here.len(), other.input_count(), "one argument per input");
        let known = here.iter().all(|id| id.0 < self.values);
        assert!(known, "an argument is a value of the graph");
        self.inline_types(other, types, here);
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
    /// The operation that makes a value; `None` for an input.
    #[inline]
    pub fn of(&self, value: DenseId) -> Option<OperationId> {
        self.by_value[value.index()].get()
    }
}

/// What `outputs` need of a graph beyond `inputs`, given which operation makes a value, in the memory of another
/// graph, whose content goes. The error is an input of the graph that is needed and not given.
pub(crate) fn extract<Op: GraphOperation>(
    from: &DenseGraph<Op>,
    inputs: impl ExactSizeIterator<Item = DenseId> + Clone,
    outputs: &[DenseId],
    producer: impl Fn(DenseId) -> Option<OperationId>,
    room: DenseGraph<Op>,
) -> Result<DenseGraph<Op>, DenseId> {
    let mut graph = from.of_inputs_like(inputs.clone(), room);
    // By value: what it is in the new graph, once it is there.
    let mut here = vec![Packed::NONE; from.value_count()];
    for (value, input) in inputs.zip(graph.inputs()) {
        here[value.index()] = input.into();
    }
    // The stack of a walk in depth: operations, and how many of their operands have been seen to.
    let mut open: Vec<(OperationId, u32)> = Vec::new();
    for &output in outputs {
        if here[output.index()].is_none() {
            open.push((producer(output).ok_or(output)?, 0));
        }
        'walk: while let Some((operation, seen)) = open.last_mut() {
            let node = from.node(*operation);
            for (at, operand) in node.operands.iter().enumerate().skip(*seen as usize) {
                if here[operand.index()].is_none() {
                    *seen = at as u32 + 1;
                    open.push((producer(*operand).ok_or(*operand)?, 0));
                    continue 'walk;
                }
            }
            let operands = node.operands.iter().map(|id| here[id.index()].known());
            let results =
                graph.push_unchecked(node.operation.clone(), operands, node.results.len());
            if let Some(types) = &from.types {
                graph.note_types(types.ids()[node.results.indices()].iter().copied());
            }
            for (from, to) in node.results.indices().zip(results.iter()) {
                // A result may be given though its operation has to be there for another.
                if here[from].is_none() {
                    here[from] = to.into();
                }
            }
            open.pop();
        }
    }
    graph.outputs = outputs.iter().map(|id| here[id.index()].known()).collect();
    shrink(&mut graph.nodes);
    shrink(&mut graph.operands);
    Ok(graph)
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

#[cfg(test)]
mod tests {
    //! A graph that nobody could build.

    use super::*;
    use crate::operation::toy::Toy;

    #[test]
    fn an_output_that_is_no_value_is_found() {
        let mut graph: DenseGraph<Toy> = DenseGraph::new(1);
        graph.outputs = vec![DenseId(0), DenseId(1)];
        assert_eq!(
            graph.verify().to_string(),
            "error[unknown-output]: output 1 is no value of the graph\n  |\n  |  output %1\n  \
             = help: set outputs with `try_set_outputs`\n\n1 finding"
        );
    }
}
