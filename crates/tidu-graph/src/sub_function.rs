//! Functions that operations hold: the body of a call, of a loop, of a branch.

use std::fmt::{self, Debug};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::GraphOperation;
use crate::dense::DenseGraph;
use crate::key::FixedState;

/// A function that an operation holds: the body of a call, of a loop, of a branch. (JAX: a sub-jaxpr.)
///
/// Immutable and shared: a clone takes constant time. Two are equal if they compute the same by the same operations; their
/// names do not count, which serve to print them. `==`, `Hash`, `Debug` and `Drop` take constant stack however deep
/// functions hold functions, provided that their operations [say](GraphOperation::functions) which they hold. Where an
/// operation cannot be [rebuilt](GraphOperation::with_functions), it is the same within two functions only if it holds the
/// same clones.
///
/// # Complexity
///
/// `Hash` takes constant time. So does `==` of clones and of what differs in the hash; otherwise it is linear in all that
/// both hold, each distinct function once.
///
/// # Example
///
/// ```
/// use tidu_graph::{DenseGraph, SubFunction};
/// use tidu_scalar::ScalarOp;
///
/// let mut square = DenseGraph::new(1);
/// let x = square.input(0);
/// let product = square.push(ScalarOp::Mul, &[x, x])?.start();
/// square.try_set_outputs(vec![product])?;
///
/// let square = SubFunction::new("square", square);
/// assert_eq!((square.name(), square.depth()), ("square", 1));
/// # Ok::<(), tidu_graph::GraphError>(())
/// ```
#[derive(Clone)]
pub struct SubFunction<Op: GraphOperation> {
    content: Arc<Content<Op>>,
}

struct Content<Op: GraphOperation> {
    name: String,
    graph: Arc<DenseGraph<Op>>,
    fingerprint: u64,
    depth: usize,
}

impl<Op: GraphOperation> SubFunction<Op> {
    /// A function of this name.
    ///
    /// # Complexity
    ///
    /// Linear in the graph, without what the functions in it hold.
    pub fn new(name: impl Into<String>, graph: impl Into<Arc<DenseGraph<Op>>>) -> Self {
        let graph = graph.into();
        let held = held_by(&graph).map(SubFunction::depth).max();
        let depth = 1 + held.unwrap_or(0);
        let content = Content {
            name: name.into(),
            fingerprint: fingerprint(&graph, depth),
            depth,
            graph,
        };
        Self {
            content: Arc::new(content),
        }
    }

    /// What it is called in print.
    pub fn name(&self) -> &str {
        &self.content.name
    }

    /// What it computes.
    pub fn graph(&self) -> &DenseGraph<Op> {
        &self.content.graph
    }

    /// How deep functions stand in one another here: 1 for one that holds none.
    pub fn depth(&self) -> usize {
        self.content.depth
    }

    /// The numbers of its inputs and outputs.
    pub fn arity(&self) -> (usize, usize) {
        let graph = self.graph();
        (graph.input_count(), graph.outputs().len())
    }

    /// All functions that operations hold, and those within these, each once, in the order of first use: a function
    /// stands after those that it holds.
    ///
    /// # Complexity
    ///
    /// Linear in the operations and the distinct functions, with constant stack.
    pub fn all_in<'a>(operations: impl IntoIterator<Item = &'a Op>) -> Vec<Self> {
        SubFunctions::of(operations).list
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.content).addr()
    }

    /// Whether the two are clones.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
    }
}

/// The functions that operations of a graph hold, in order.
fn held_by<Op: GraphOperation>(graph: &DenseGraph<Op>) -> impl Iterator<Item = &SubFunction<Op>> {
    graph.nodes().flat_map(|node| node.operation.functions())
}

fn fingerprint<Op: GraphOperation>(graph: &DenseGraph<Op>, depth: usize) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    depth.hash(&mut hasher);
    graph.input_count().hash(&mut hasher);
    for node in graph.nodes() {
        node.operation.hash(&mut hasher);
        node.operands.hash(&mut hasher);
    }
    graph.outputs().hash(&mut hasher);
    hasher.finish()
}

/// The depth of the functions that an operation holds: 0 if it holds none.
pub(crate) fn depth_of<Op: GraphOperation>(operation: &Op) -> usize {
    let depths = operation.functions().iter().map(SubFunction::depth);
    depths.max().unwrap_or(0)
}

/// The operation with these functions in place of its own, if it can be rebuilt: one of another shape does not count.
pub(crate) fn rebuilt<Op: GraphOperation>(
    operation: &Op,
    functions: Vec<SubFunction<Op>>,
) -> Option<Op> {
    let shape = |operation: &Op| {
        let functions = operation.functions().len();
        (operation.input_count(), operation.output_count(), functions)
    };
    let rebuilt = operation.with_functions(functions)?;
    (shape(&rebuilt) == shape(operation)).then_some(rebuilt)
}

/// Whether an operation holds functions, and can be rebuilt with others.
pub(crate) fn can_be_rebuilt<Op: GraphOperation>(operation: &Op) -> bool {
    let functions = operation.functions();
    !functions.is_empty() && rebuilt(operation, functions.to_vec()).is_some()
}

/// Distinct functions, in the order in which they were first met: each after those that it holds.
pub(crate) struct SubFunctions<Op: GraphOperation> {
    list: Vec<SubFunction<Op>>,
    /// By address: each one that was met, so that no other one takes its place in memory, and its position in the list,
    /// where it may be one that is equal.
    positions: HashMap<usize, (SubFunction<Op>, usize), FixedState>,
    /// By fingerprint: positions in the list.
    alike: HashMap<u64, Vec<usize>, FixedState>,
    /// Into the functions of which operations to go.
    enters: fn(&Op) -> bool,
}

impl<Op: GraphOperation> SubFunctions<Op> {
    /// None yet; those of operations that `enters` does not hold for are left out.
    pub fn new(enters: fn(&Op) -> bool) -> Self {
        Self {
            list: Vec::new(),
            positions: HashMap::default(),
            alike: HashMap::default(),
            enters,
        }
    }

    /// All that these operations hold.
    pub fn of<'a>(operations: impl IntoIterator<Item = &'a Op>) -> Self {
        let mut functions = Self::new(|_| true);
        functions.add_all(operations);
        functions
    }

    pub fn add_all<'a>(&mut self, operations: impl IntoIterator<Item = &'a Op>) {
        for operation in operations {
            if (self.enters)(operation) {
                for function in operation.functions() {
                    self.add(function);
                }
            }
        }
    }

    pub fn list(&self) -> &[SubFunction<Op>] {
        &self.list
    }

    /// Where a function that was met stands in the list, or one that is equal.
    pub fn position(&self, function: &SubFunction<Op>) -> Option<usize> {
        let met = self.positions.get(&function.address());
        met.map(|(_, position)| *position)
    }

    /// Adds a function and all that it holds, those first.
    pub fn add(&mut self, function: &SubFunction<Op>) -> usize {
        // The stack of a walk in depth: functions, and of those that they hold the ones to come, the next one last.
        let mut open: Vec<(SubFunction<Op>, Vec<SubFunction<Op>>)> = Vec::new();
        let mut next = Some(function.clone());
        loop {
            match next {
                Some(inner) if self.position(&inner).is_none() => {
                    let held = self.held_by(&inner);
                    open.push((inner, held));
                }
                _ => {}
            }
            let Some((_, held)) = open.last_mut() else {
                break;
            };
            next = held.pop();
            if next.is_none()
                && let Some((done, _)) = open.pop()
            {
                self.insert(done);
            }
        }
        let position = self.position(function);
        position.expect("it has just been added")
    }

    /// What a function holds itself, the first one last.
    fn held_by(&self, function: &SubFunction<Op>) -> Vec<SubFunction<Op>> {
        if function.depth() == 1 {
            return Vec::new();
        }
        let operations = function.graph().nodes().rev().map(|node| node.operation);
        let entered = operations.filter(|operation| (self.enters)(operation));
        let held = entered.flat_map(|operation| operation.functions().iter().rev());
        held.cloned().collect()
    }

    /// Adds a function after all that it holds.
    fn insert(&mut self, function: SubFunction<Op>) {
        let alike = self.alike.get(&function.content.fingerprint);
        let mut alike = alike.into_iter().flatten();
        let known = alike.find(|&&at| self.is_same(&self.list[at], &function));
        let position = known.copied().unwrap_or(self.list.len());
        if position == self.list.len() {
            let alike = self.alike.entry(function.content.fingerprint);
            alike.or_default().push(position);
            self.list.push(function.clone());
        }
        let met = (function.address(), (function, position));
        self.positions.extend([met]);
    }

    /// Whether two functions are equal, given which of those that they hold are.
    pub fn is_same(&self, a: &SubFunction<Op>, b: &SubFunction<Op>) -> bool {
        let (a, b) = (a.graph(), b.graph());
        let same_types = || {
            let values = a
                .inputs()
                .chain(a.nodes().flat_map(|node| node.results.iter()));
            a.has_types() == b.has_types()
                && values.into_iter().all(|id| a.type_of(id) == b.type_of(id))
        };
        (a.input_count(), a.value_count(), a.operation_count())
            == (b.input_count(), b.value_count(), b.operation_count())
            && a.outputs() == b.outputs()
            && a.nodes().zip(b.nodes()).all(|(a, b)| {
                a.operands == b.operands
                    && a.results == b.results
                    && self.is_same_operation(a.operation, b.operation)
            })
            && same_types()
    }

    fn is_same_operation(&self, a: &Op, b: &Op) -> bool {
        let (held, others) = (a.functions(), b.functions());
        if held.len() != others.len() {
            return false;
        }
        let mut pairs = held.iter().zip(others);
        if pairs.clone().all(|(a, b)| a.is(b)) {
            return a == b;
        }
        let are_same = pairs.all(|(a, b)| {
            let position = self.position(a);
            a.is(b) || (position.is_some() && position == self.position(b))
        });
        // With the same clones on both sides, comparing operations does not look into functions.
        are_same && rebuilt(b, held.to_vec()).is_some_and(|b| *a == b)
    }
}

impl<Op: GraphOperation> PartialEq for SubFunction<Op> {
    fn eq(&self, other: &Self) -> bool {
        if self.is(other) {
            return true;
        }
        let (a, b) = (&self.content, &other.content);
        if (a.fingerprint, a.depth) != (b.fingerprint, b.depth) {
            return false;
        }
        let mut functions = SubFunctions::new(|_| true);
        functions.add(self) == functions.add(other)
    }
}

impl<Op: GraphOperation> Eq for SubFunction<Op> {}

impl<Op: GraphOperation> Hash for SubFunction<Op> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.content.fingerprint);
    }
}

/// Its name alone: `@body`.
impl<Op: GraphOperation> Debug for SubFunction<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.name())
    }
}

/// Takes the functions within apart with a list of its own, because the drop that the compiler would write recurses as
/// deep as functions hold functions.
impl<Op: GraphOperation> Drop for Content<Op> {
    fn drop(&mut self) {
        let mut orphans: Vec<Arc<Self>> = Vec::new();
        self.abandon_functions(&mut orphans);
        while let Some(orphan) = orphans.pop() {
            if let Some(mut last) = Arc::into_inner(orphan) {
                last.abandon_functions(&mut orphans);
            }
        }
    }
}

impl<Op: GraphOperation> Content<Op> {
    /// Drops the graph, but none of the functions that it holds.
    fn abandon_functions(&mut self, orphans: &mut Vec<Arc<Self>>) {
        if self.depth == 1 {
            return;
        }
        let graph = std::mem::replace(&mut self.graph, DenseGraph::new(0).into());
        orphans.extend(held_by(&graph).map(|function| Arc::clone(&function.content)));
        self.depth = 1;
    }
}
