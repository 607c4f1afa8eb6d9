//! A graph: values in topological order, and the operations that make them.

use std::fmt::{self, Debug};
use std::num::NonZeroU32;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashSet;

use crate::base::{GraphKind, LIMIT, to_u32};
use crate::key::{Birthplace, FixedState, OperationKey, ValueKey};
use crate::{GraphOperation, InlineSlice, OperationSpec};

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

impl<Op: GraphOperation> ValueRef<Op> {
    /// Its place, unless another graph owns it.
    pub(crate) fn local(&self) -> Option<LocalValueId> {
        match self {
            ValueRef::Local(id) => Some(*id),
            ValueRef::External(_) => None,
        }
    }
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

impl<Op: GraphOperation> ValueNode<Op> {
    pub(crate) fn input(key: Op::InputKey) -> Self {
        Self {
            key: ValueKey::Input(key),
            producer: None,
        }
    }

    /// This many results of an operation.
    #[inline]
    pub(crate) fn results(
        key: &Arc<OperationKey<Op>>,
        operation: LocalOperationId,
        count: usize,
    ) -> impl Iterator<Item = Self> {
        (0..count).map(move |slot| Self {
            key: ValueKey::result(key, slot),
            producer: Some((operation, slot)),
        })
    }
}

/// An operation of a graph.
///
/// Reads like a structure with the fields `operation`, `role`, `inputs` and `outputs`; the first two
/// live in the shared key, so that a graph stores them once. A graph makes these when someone asks for
/// them; [`Step`] says the same without.
#[derive(Clone)]
pub struct OperationNode<Op: GraphOperation, Operand = ValueRef<Op>> {
    /// What it is applied to.
    pub inputs: InlineSlice<Operand>,
    /// The local values that it makes, by output slot.
    pub outputs: InlineSlice<LocalValueId>,
    key: Arc<OperationKey<Op>>,
}

impl<Op: GraphOperation, Operand> OperationNode<Op, Operand> {
    pub(crate) fn new(
        key: Arc<OperationKey<Op>>,
        inputs: InlineSlice<Operand>,
        outputs: InlineSlice<LocalValueId>,
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

impl<Op: GraphOperation, Operand> Deref for OperationNode<Op, Operand> {
    type Target = OperationSpec<Op>;

    fn deref(&self) -> &OperationSpec<Op> {
        self.key.spec()
    }
}

impl<Op: GraphOperation, Operand: Debug> OperationNode<Op, Operand> {
    pub(crate) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("operation", &self.operation)
            .field("role", &self.role)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish()
    }
}

impl<Op: GraphOperation> Debug for OperationNode<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("OperationNode", f)
    }
}

/// An immutable computation graph, made by a [`GraphBuilder`](crate::GraphBuilder).
///
/// Values and operations are in topological order: an operation comes after everything that it
/// uses. A graph may refer to values of other graphs by key; its *parents* are graphs that are to
/// be looked at together with it. The content is shared: cloning a graph is O(1).
#[derive(Clone)]
pub struct Graph<Op: GraphOperation> {
    content: Arc<Content<Op>>,
}

pub(crate) struct Content<Op: GraphOperation> {
    /// Tells keys that were made for this graph from others.
    pub number: NonZeroU32,
    pub values: Vec<ValueNode<Op>>,
    pub steps: Steps<Op>,
    pub inputs: Vec<LocalValueId>,
    pub outputs: Vec<LocalValueId>,
    pub parents: Vec<Arc<Graph<Op>>>,
    pub kind: GraphKind,
}

/// The operations of a graph, in the form in which passes read them.
pub(crate) struct Steps<Op: GraphOperation> {
    entries: Vec<Entry<Op>>,
    operands: Vec<Place>,
    /// The graphs that made keys of external operands, as far as there are few.
    neighbours: Vec<NonZeroU32>,
    /// The same for readers who want structures, once one has asked.
    nodes: OnceLock<Vec<OperationNode<Op>>>,
}

struct Entry<Op: GraphOperation> {
    key: Arc<OperationKey<Op>>,
    first_operand: u32,
    first_result: u32,
}

/// Where an operand is: a local id; or, marked with `EXTERNAL`, what is known of the birthplace of its key,
/// so that whoever looks for the operand need not look into its key.
#[derive(Clone, Copy, Debug)]
struct Place(u32);

impl Place {
    const EXTERNAL: u32 = LIMIT;
    /// An external operand of which no more is known.
    const UNKNOWN: Self = Self(u32::MAX);
    /// The number of a neighbour stands above the operation's.
    const NEIGHBOUR: u32 = 28;
    /// At most this many neighbours have numbers.
    const NEIGHBOURS: usize = 7;

    fn born(neighbour: usize, operation: u32) -> Self {
        match operation >> Self::NEIGHBOUR {
            0 => Self(Self::EXTERNAL | (neighbour as u32) << Self::NEIGHBOUR | operation),
            _ => Self::UNKNOWN,
        }
    }

    fn local(self) -> Option<LocalValueId> {
        (self.0 & Self::EXTERNAL == 0).then_some(self.0 as LocalValueId)
    }

    fn birthplace(self, neighbours: &[NonZeroU32]) -> Option<Birthplace> {
        let neighbour = (self.0 & !Self::EXTERNAL) >> Self::NEIGHBOUR;
        Some(Birthplace {
            graph: *neighbours.get(neighbour as usize)?,
            operation: self.0 & ((1 << Self::NEIGHBOUR) - 1),
        })
    }
}

/// An operation of a graph, as passes read it.
#[derive(Clone)]
pub struct Step<'a, Op: GraphOperation> {
    /// What is computed of which values, in which role.
    pub key: &'a Arc<OperationKey<Op>>,
    operands: &'a [Place],
    neighbours: &'a [NonZeroU32],
    first_result: u32,
}

/// An operand of a [`Step`]: like a [`ValueRef`], borrowed.
#[derive(Clone, Debug)]
pub enum StepOperand<'a, Op: GraphOperation> {
    /// A value of the same graph.
    Local(LocalValueId),
    /// A value of another graph.
    External(&'a ValueKey<Op>),
}

impl<'a, Op: GraphOperation> Step<'a, Op> {
    /// The operands, in order.
    #[inline]
    pub fn operands(
        &self,
    ) -> impl ExactSizeIterator<Item = StepOperand<'a, Op>> + DoubleEndedIterator + use<'a, Op>
    {
        let operands = self.operands.iter().zip(self.key.inputs());
        operands.map(|(place, key)| match place.local() {
            None => StepOperand::External(key),
            Some(local) => StepOperand::Local(local),
        })
    }

    /// By operand: where its key was made, if it is external and that is known.
    #[inline]
    pub(crate) fn birthplaces(&self) -> impl Iterator<Item = Option<Birthplace>> + use<'a, Op> {
        let neighbours = self.neighbours;
        let places = self.operands.iter();
        places.map(|place| place.birthplace(neighbours))
    }

    /// The local values that it makes, by output slot: they follow one another.
    #[inline]
    pub fn results(&self) -> Range<LocalValueId> {
        let first = self.first_result();
        first..first + self.key.operation().output_count()
    }

    #[inline]
    pub(crate) fn first_result(&self) -> LocalValueId {
        self.first_result as LocalValueId
    }
}

impl<Op: GraphOperation> Debug for Step<'_, Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("key", &self.key)
            .field("results", &self.results())
            .finish_non_exhaustive()
    }
}

impl<Op: GraphOperation> Copy for Step<'_, Op> {}

impl<Op: GraphOperation> Copy for StepOperand<'_, Op> {}

impl<Op: GraphOperation> Steps<Op> {
    pub fn with_capacity(operations: usize, operands: usize) -> Self {
        Self {
            entries: Vec::with_capacity(operations),
            operands: Vec::with_capacity(operands),
            neighbours: Vec::new(),
            nodes: OnceLock::new(),
        }
    }

    /// What only a reader of structures sees, be it wrong.
    #[cfg(test)]
    pub fn of_nodes(nodes: Vec<OperationNode<Op>>) -> Self {
        Self {
            nodes: OnceLock::from(nodes),
            ..Self::with_capacity(0, 0)
        }
    }

    pub fn reserve(&mut self, operations: usize) {
        self.entries.reserve(operations);
        self.operands.reserve(operations);
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Notes the next operand of the operation that will be [pushed](Self::push) next.
    #[inline]
    pub fn push_operand(&mut self, operand: &ValueRef<Op>) {
        let place = match operand {
            ValueRef::Local(id) => Place(to_u32(*id)),
            ValueRef::External(key) => self.place_of(key),
        };
        self.operands.push(place);
    }

    fn place_of(&mut self, key: &ValueKey<Op>) -> Place {
        let Some(born) = key.maker().and_then(|(made, _)| made.birthplace()) else {
            return Place::UNKNOWN;
        };
        let mut neighbours = self.neighbours.iter();
        match neighbours.position(|known| *known == born.graph) {
            Some(neighbour) => Place::born(neighbour, born.operation),
            None if self.neighbours.len() == Place::NEIGHBOURS => Place::UNKNOWN,
            None => {
                self.neighbours.push(born.graph);
                Place::born(self.neighbours.len() - 1, born.operation)
            }
        }
    }

    /// Adds an operation whose operands have been pushed and whose results are numbered from here.
    #[inline]
    pub fn push(&mut self, key: Arc<OperationKey<Op>>, first_result: LocalValueId) {
        let first_operand = self.operands.len() - key.inputs().len();
        self.entries.push(Entry {
            key,
            first_operand: to_u32(first_operand),
            first_result: to_u32(first_result),
        });
        self.nodes.take();
    }

    #[inline]
    pub fn get(&self, id: LocalOperationId) -> Step<'_, Op> {
        let entry = &self.entries[id];
        let first = entry.first_operand as usize;
        Step {
            key: &entry.key,
            operands: &self.operands[first..first + entry.key.inputs().len()],
            neighbours: &self.neighbours,
            first_result: entry.first_result,
        }
    }

    pub fn key(&self, id: LocalOperationId) -> Option<&Arc<OperationKey<Op>>> {
        self.entries.get(id).map(|entry| &entry.key)
    }

    pub fn nodes(&self) -> &[OperationNode<Op>] {
        self.nodes.get_or_init(|| {
            let steps = (0..self.len()).map(|id| self.get(id));
            let nodes = steps.map(|step| {
                let operands = step.operands().map(|operand| match operand {
                    StepOperand::Local(id) => ValueRef::Local(id),
                    StepOperand::External(key) => ValueRef::External(key.clone()),
                });
                let key = Arc::clone(step.key);
                OperationNode::new(key, operands.collect(), step.results().collect())
            });
            nodes.collect()
        })
    }
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
    ///
    /// # Complexity
    ///
    /// Linear in the graph when first called: passes use [`steps`](Self::steps).
    pub fn operations(&self) -> &[OperationNode<Op>] {
        self.content.steps.nodes()
    }

    /// How many operations there are.
    pub fn operation_count(&self) -> usize {
        self.content.steps.len()
    }

    /// An operation, as passes read it.
    ///
    /// # Panics
    ///
    /// For an id that the graph does not have.
    #[inline]
    pub fn step(&self, id: LocalOperationId) -> Step<'_, Op> {
        self.content.steps.get(id)
    }

    /// All operations, as passes read them.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = Step<'_, Op>> + DoubleEndedIterator {
        (0..self.operation_count()).map(|id| self.step(id))
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
    pub fn kind(&self) -> GraphKind {
        self.content.kind
    }

    /// The name of an input.
    ///
    /// # Panics
    ///
    /// For a value that is no input of the graph.
    #[track_caller]
    pub fn input_key(&self, id: LocalValueId) -> &Op::InputKey {
        self.values()[id].key.input()
    }

    /// What tells keys that were made for this graph from others.
    pub(crate) fn number(&self) -> NonZeroU32 {
        self.content.number
    }

    /// The key of an operation, if the graph has it.
    pub(crate) fn operation_key(&self, id: LocalOperationId) -> Option<&Arc<OperationKey<Op>>> {
        self.content.steps.key(id)
    }

    /// What tells shared content apart. Only compared, never shown.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.content).addr()
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
            .field("operations", &self.operation_count())
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

impl<Op: GraphOperation> Content<Op> {
    /// An empty graph with a number of its own.
    pub fn with_capacity(values: usize, operations: usize, operands: usize) -> Self {
        Self {
            number: next_number(),
            values: Vec::with_capacity(values),
            steps: Steps::with_capacity(operations, operands),
            inputs: Vec::new(),
            outputs: Vec::new(),
            parents: Vec::new(),
            kind: GraphKind::Primal,
        }
    }

    /// Where the key of the next operation is made.
    #[inline]
    pub fn birthplace(&self) -> Birthplace {
        Birthplace {
            graph: self.number,
            operation: to_u32(self.steps.len()),
        }
    }

    /// Adds an operation whose operands have been pushed, and this many values for its results.
    #[inline]
    pub fn push(&mut self, key: OperationKey<Op>, results: usize) -> Range<LocalValueId> {
        let key = Arc::new(key);
        let first = self.values.len();
        let operation = self.steps.len();
        for value in ValueNode::results(&key, operation, results) {
            self.values.push(value);
        }
        self.steps.push(key, first);
        first..first + results
    }
}

/// A number that no graph has, as far as there are numbers: whoever finds something by one must see
/// whether it is what was looked for.
fn next_number() -> NonZeroU32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let next = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    NonZeroU32::new(next).unwrap_or(NonZeroU32::MIN)
}
