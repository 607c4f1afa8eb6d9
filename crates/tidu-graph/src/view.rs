//! Several graphs seen as one.

use std::fmt::{self, Debug};
use std::sync::Arc;

use crate::base::{OperationId, ValueId};
use crate::error::GraphError;
use crate::graph::{Graph, with_parents};
use crate::key::ValueKey;
use crate::table::{TableOperation, ValueOrigin, ValueTable};
use crate::{GraphOperation, OperationRole};

/// Several graphs seen as one: every value once, whichever graph it stands in.
///
/// Made by [`resolve`]. Values have dense ids ([`ValueId`]), so that passes can keep what they know
/// in plain vectors.
pub struct ResolvedView<Op: GraphOperation> {
    roots: Vec<Arc<Graph<Op>>>,
    table: ValueTable<Op>,
    /// By value id: whether a graph of the view defines the value, or something only refers to it.
    defined: Vec<bool>,
}

/// What a value of a view is.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueDef<Op: GraphOperation> {
    /// A graph input.
    Input {
        /// Its name.
        key: Op::InputKey,
    },
    /// A result of an operation.
    Produced {
        /// The operation.
        operation: Op,
        /// What it is applied to.
        input_keys: Vec<ValueKey<Op>>,
        /// The part it plays.
        role: OperationRole,
        /// Which of its results.
        output_slot: usize,
    },
}

/// Looks at graphs and all their parents as one.
///
/// Structurally equal values become one. Graphs may be given in any order, and more than once.
/// A reference to a value that none of them defines is kept as such; it is an error only for a pass
/// that needs the value.
///
/// # Complexity
///
/// Linear in the number of values of all graphs, in time and memory.
pub fn resolve<Op: GraphOperation>(roots: Vec<Arc<Graph<Op>>>) -> ResolvedView<Op> {
    let graphs = with_parents(roots.iter().map(|root| &**root));
    let operations = graphs.iter().map(|graph| graph.operation_count()).sum();
    let mut view = ResolvedView {
        table: ValueTable::with_capacity(operations),
        defined: Vec::new(),
        roots: Vec::new(),
    };
    for graph in graphs {
        view.add(graph);
    }
    view.roots = roots;
    view
}

impl<Op: GraphOperation> ResolvedView<Op> {
    /// Everything that keys describe, taken as defined.
    pub(crate) fn of_keys(keys: &[ValueKey<Op>]) -> Result<Self, GraphError> {
        let mut table = ValueTable::new();
        for key in keys {
            table.intern(key)?;
        }
        Ok(Self {
            defined: vec![true; table.value_count()],
            table,
            roots: Vec::new(),
        })
    }

    /// What a value is, or `None` if no graph of the view defines it.
    pub fn resolve_value(&self, key: &ValueKey<Op>) -> Option<ValueDef<Op>> {
        self.find(key).map(|id| self.definition(id))
    }

    /// The graphs that the view was made from.
    pub fn roots(&self) -> &[Arc<Graph<Op>>] {
        &self.roots
    }

    /// One more than the largest index of a [`ValueId`].
    pub fn value_count(&self) -> usize {
        self.table.value_count()
    }

    /// One more than the largest index of an [`OperationId`].
    pub fn operation_count(&self) -> usize {
        self.table.operation_count()
    }

    /// All values: operands before what is made of them.
    pub fn value_ids(&self) -> impl DoubleEndedIterator<Item = ValueId> + use<Op> {
        self.table.value_ids()
    }

    /// All operations: each after those that it uses.
    pub fn operation_ids(&self) -> impl DoubleEndedIterator<Item = OperationId> + use<Op> {
        self.table.operation_ids()
    }

    /// The id of a value, or `None` if no graph of the view defines it.
    ///
    /// # Complexity
    ///
    /// O(1) for a key that was taken from one of the graphs, linear in the key's distinct nodes
    /// otherwise.
    pub fn find(&self, key: &ValueKey<Op>) -> Option<ValueId> {
        self.table.find(key).filter(|id| self.is_defined(*id))
    }

    /// [`find`](Self::find) for several keys, which may share structure.
    pub fn find_all(&self, keys: &[ValueKey<Op>]) -> Vec<Option<ValueId>> {
        let mut found = self.table.find_all(keys);
        for id in &mut found {
            *id = id.filter(|id| self.is_defined(*id));
        }
        found
    }

    /// Whether a graph of the view defines the value; otherwise something only refers to it.
    pub fn is_defined(&self, id: ValueId) -> bool {
        self.defined[id.index()]
    }

    /// How a value comes about.
    pub fn origin(&self, id: ValueId) -> ValueOrigin {
        self.table.origin(id)
    }

    /// The key of a value.
    pub fn key(&self, id: ValueId) -> ValueKey<Op> {
        self.table.key(id)
    }

    /// An operation of the view.
    pub fn operation(&self, id: OperationId) -> TableOperation<'_, Op> {
        self.table.operation(id)
    }

    fn definition(&self, id: ValueId) -> ValueDef<Op> {
        let key = self.key(id);
        match key.maker() {
            None => ValueDef::Input {
                key: key.input().clone(),
            },
            Some((made, output_slot)) => ValueDef::Produced {
                operation: made.operation().clone(),
                input_keys: made.inputs().to_vec(),
                role: made.role().clone(),
                output_slot,
            },
        }
    }

    fn add(&mut self, graph: &Graph<Op>) {
        let ids = self.table.add_graph(graph);
        self.defined.resize(self.table.value_count(), false);
        for id in ids {
            self.defined[id.index()] = true;
        }
    }
}

impl<Op: GraphOperation> Debug for ResolvedView<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedView")
            .field("roots", &self.roots.len())
            .field("values", &self.value_count())
            .field("operations", &self.operation_count())
            .finish()
    }
}
