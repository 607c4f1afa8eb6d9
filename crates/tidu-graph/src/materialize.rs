//! One flat graph of what chosen outputs need.

use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;

use crate::base::{DenseId, OperationId, ValueId, unwrap_or_panic};
use crate::dense::DenseGraph;
use crate::error::{GraphError, describe_operation};
use crate::graph::{OperationNode, ValueNode};
use crate::key::{FixedState, OperationKey, ValueKey, describe_key};
use crate::table::ValueOrigin;
use crate::view::ResolvedView;
use crate::{GraphOperation, OperationRole};

/// One flat graph of what chosen outputs need: no parents, no duplicates, no dead operations.
///
/// Reads like a structure that also has the fields `values` and `operations`; these lists
/// ([`MaterializedLists`]) are made when someone first looks at them.
#[derive(Clone)]
pub struct MaterializedGraph<Op: GraphOperation> {
    /// The inputs that the outputs need, in the order in which a walk from the outputs first meets
    /// them.
    pub inputs: Vec<ValueKey<Op>>,
    /// The outputs, as they were asked for.
    pub outputs: Vec<ValueKey<Op>>,
    dense: DenseGraph<Op>,
    /// By operation.
    keys: Vec<Arc<OperationKey<Op>>>,
    lists: OnceLock<MaterializedLists<Op>>,
}

/// What a flat graph consists of.
#[derive(Clone)]
pub struct MaterializedLists<Op: GraphOperation> {
    /// All values, the inputs first; operations refer to them by index.
    pub values: Vec<MaterializedValue<Op>>,
    /// All operations, each after those that it uses.
    pub operations: Vec<MaterializedOperation<Op>>,
}

/// A value of a flat graph: `producer` is an index into the graph's operations.
pub type MaterializedValue<Op> = ValueNode<Op>;

/// An operation of a flat graph: its operands and results are indices of values.
pub type MaterializedOperation<Op> = OperationNode<Op, usize>;

impl<Op: GraphOperation> Deref for MaterializedGraph<Op> {
    type Target = MaterializedLists<Op>;

    fn deref(&self) -> &MaterializedLists<Op> {
        self.lists.get_or_init(|| self.list())
    }
}

impl<Op: GraphOperation> MaterializedGraph<Op> {
    /// What `outputs` compute, as their keys describe them.
    ///
    /// Keys describe computations completely, so no graph is needed.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnknownOutputSlot`].
    ///
    /// # Complexity
    ///
    /// Linear in the distinct nodes of the keys.
    pub fn from_keys(outputs: &[ValueKey<Op>]) -> Result<Self, GraphError> {
        try_materialize_merge(&ResolvedView::of_keys(outputs)?, outputs)
    }

    /// The computation without names and roles. Its inputs are [`inputs`](Self::inputs), its outputs
    /// [`outputs`](Self::outputs).
    pub fn as_dense(&self) -> &DenseGraph<Op> {
        &self.dense
    }

    /// The computation as one of exactly these inputs, in this order, whether anything needs them or
    /// not.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnlistedInput`] for an input that something needs and that is not listed.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn closed_over(&self, inputs: &[Op::InputKey]) -> Result<DenseGraph<Op>, GraphError> {
        let position: HashMap<&Op::InputKey, usize, FixedState> = inputs.iter().zip(0..).collect();
        self.closed_by(inputs.len(), |input| position.get(input).copied())
    }

    /// The computation as one of this many inputs, where `position` says which of them stands for an input of
    /// this one. Several may have the same place.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnlistedInput`] for an input that something needs and that has no place among them.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn closed_by(
        &self,
        inputs: usize,
        position: impl Fn(&Op::InputKey) -> Option<usize>,
    ) -> Result<DenseGraph<Op>, GraphError> {
        let dense = &self.dense;
        let mut closed =
            DenseGraph::with_capacity(inputs, dense.operation_count(), dense.operand_count());
        let arguments = self.inputs.iter().map(|key| {
            let listed = position(key.input()).filter(|position| *position < inputs);
            let listed = listed.ok_or_else(|| GraphError::UnlistedInput {
                key: describe_key(key),
            });
            listed.map(|position| closed.input(position))
        });
        let arguments = arguments.collect::<Result<Vec<_>, GraphError>>()?;
        let outputs = closed.inline(dense, &arguments);
        closed.set_outputs(outputs);
        Ok(closed)
    }

    /// The roles of the operations, in order.
    pub(crate) fn roles(&self) -> impl ExactSizeIterator<Item = &OperationRole> {
        self.keys.iter().map(|key| key.role())
    }

    fn list(&self) -> MaterializedLists<Op> {
        let mut values = Vec::with_capacity(self.dense.value_count());
        let inputs = self.inputs.iter().map(|key| key.input().clone());
        values.extend(inputs.map(ValueNode::input));
        let nodes = self.dense.nodes().zip(&self.keys).enumerate();
        let operations = nodes.map(|(index, (node, key))| {
            values.extend(ValueNode::results(key, index, node.results.len()));
            let operands = node.operands.iter().map(|id| id.index());
            let results = node.results.indices();
            OperationNode::new(Arc::clone(key), operands.collect(), results.collect())
        });
        let operations = operations.collect();
        MaterializedLists { values, operations }
    }
}

/// Flattens what `outputs` need.
///
/// # Panics
///
/// Where [`try_materialize_merge`] returns an error, with the same text.
#[track_caller]
pub fn materialize_merge<Op: GraphOperation>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
) -> MaterializedGraph<Op> {
    unwrap_or_panic(try_materialize_merge(view, outputs))
}

/// Flattens what `outputs` need: structurally equal operations become one, what no output needs
/// goes.
///
/// Operations stand in the order of a walk in depth from the first output to the last, operands
/// from left to right.
///
/// # Errors
///
/// [`GraphError::UnknownOutput`] and [`GraphError::UndefinedValue`], for values that no graph of
/// the view defines.
///
/// # Complexity
///
/// Linear in the view, with constant stack.
pub fn try_materialize_merge<Op: GraphOperation>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
) -> Result<MaterializedGraph<Op>, GraphError> {
    let mut pass = Materializer {
        view,
        met: vec![false; view.value_count()],
        inputs: Vec::new(),
        operations: Vec::new(),
        open: Vec::new(),
    };
    let ids = view.find_all(outputs);
    let ids = ids.into_iter().zip(outputs).enumerate();
    let ids = ids.map(|(position, (id, key))| {
        id.ok_or_else(|| GraphError::UnknownOutput {
            position,
            key: describe_key(key),
        })
    });
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    for &id in &ids {
        pass.visit(id)?;
    }
    Ok(pass.number(&ids, outputs))
}

/// Finds out what is needed, and in which order; numbers come after that.
struct Materializer<'a, Op: GraphOperation> {
    view: &'a ResolvedView<Op>,
    /// By view value: whether the walk has met it.
    met: Vec<bool>,
    inputs: Vec<ValueId>,
    operations: Vec<OperationId>,
    /// The walk's stack: operations and the next operand of each.
    open: Vec<(OperationId, usize)>,
}

impl<Op: GraphOperation> Materializer<'_, Op> {
    /// Walks to all that a value needs, with a stack of its own.
    fn visit(&mut self, target: ValueId) -> Result<(), GraphError> {
        self.enter(target);
        while let Some((operation, next_operand)) = self.open.last_mut() {
            let (operation, at) = (*operation, *next_operand);
            match self.view.operation(operation).operands().get(at) {
                Some(&operand) => {
                    *next_operand += 1;
                    self.check_defined(operation, at, operand)?;
                    self.enter(operand);
                }
                None => {
                    self.operations.push(operation);
                    self.open.pop();
                }
            }
        }
        Ok(())
    }

    /// Opens what has to come before a value, if the walk has not met it.
    fn enter(&mut self, id: ValueId) {
        if self.met[id.index()] {
            return;
        }
        match self.view.origin(id) {
            ValueOrigin::Input => {
                self.met[id.index()] = true;
                self.inputs.push(id);
            }
            ValueOrigin::Output { operation, .. } => {
                let entry = self.view.operation(operation);
                let first = entry.output(0).index();
                let results = entry.key().operation().output_count();
                self.met[first..first + results].fill(true);
                self.open.push((operation, 0));
            }
        }
    }

    fn number(self, ids: &[ValueId], outputs: &[ValueKey<Op>]) -> MaterializedGraph<Op> {
        let view = self.view;
        // Most of what a view holds is needed, as a rule.
        let mut dense = DenseGraph::with_capacity(
            self.inputs.len(),
            self.operations.len(),
            2 * self.operations.len(),
        );
        let mut here = vec![DenseId::new(0); view.value_count()];
        for (id, position) in self.inputs.iter().zip(dense.inputs()) {
            here[id.index()] = position;
        }
        let keys = self.operations.iter().map(|&id| {
            let entry = view.operation(id);
            let operation = entry.key().operation();
            let operands = entry.operands().iter().map(|id| here[id.index()]);
            let count = operation.output_count();
            let results = dense.push_unchecked(operation.clone(), operands, count);
            for (slot, result) in results.iter().enumerate() {
                here[entry.output(slot).index()] = result;
            }
            Arc::clone(entry.key())
        });
        let keys = keys.collect();
        dense.set_outputs(ids.iter().map(|id| here[id.index()]).collect());
        MaterializedGraph {
            inputs: self.inputs.iter().map(|&id| view.key(id)).collect(),
            outputs: outputs.to_vec(),
            dense,
            keys,
            lists: OnceLock::new(),
        }
    }

    fn check_defined(
        &self,
        operation: OperationId,
        operand: usize,
        id: ValueId,
    ) -> Result<(), GraphError> {
        if self.view.is_defined(id) {
            return Ok(());
        }
        Err(GraphError::UndefinedValue {
            operation: describe_operation(self.view.operation(operation).key().operation()),
            operand,
            key: describe_key(&self.view.key(id)),
        })
    }
}

/// Sizes only; a flat graph's content is read with its own tools.
impl<Op: GraphOperation> Debug for MaterializedGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaterializedGraph")
            .field("values", &self.dense.value_count())
            .field("operations", &self.dense.operation_count())
            .field("inputs", &self.inputs.len())
            .field("outputs", &self.outputs.len())
            .finish()
    }
}

impl<Op: GraphOperation> Debug for MaterializedOperation<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("MaterializedOperation", f)
    }
}
