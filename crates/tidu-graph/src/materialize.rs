//! One flat graph of what chosen outputs need.

use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::builder::unwrap_or_panic;
use crate::error::{GraphError, describe_operation};
use crate::graph::{Content, Graph, OperationNode, ValueNode, ValueRef};
use crate::key::{FixedState, OperationKey, OperationSpec, ValueKey};
use crate::picture::Shade;
use crate::table::{OperationId, ValueId, ValueOrigin, describe_key};
use crate::view::ResolvedView;
use crate::{GraphOperation, ShortList};

/// One flat graph of what chosen outputs need: no parents, no duplicates, no dead operations.
#[derive(Clone)]
pub struct MaterializedGraph<Op: GraphOperation> {
    /// All values; operations refer to them by index.
    pub values: Vec<MaterializedValue<Op>>,
    /// All operations, each after those that it uses.
    pub operations: Vec<MaterializedOperation<Op>>,
    /// The inputs that the outputs need, in the order in which a walk from the outputs first meets
    /// them.
    pub inputs: Vec<ValueKey<Op>>,
    /// The outputs, as they were asked for.
    pub outputs: Vec<ValueKey<Op>>,
    pub(crate) input_values: Vec<usize>,
    pub(crate) output_values: Vec<usize>,
}

/// A value of a flat graph.
#[derive(Clone, Debug)]
pub struct MaterializedValue<Op: GraphOperation> {
    /// What the value is.
    pub key: ValueKey<Op>,
    /// The index of the operation that makes it and the output slot; `None` for an input.
    pub producer: Option<(usize, usize)>,
}

/// An operation of a flat graph. Reads like a structure that also has the fields `operation` and
/// `role`.
#[derive(Clone)]
pub struct MaterializedOperation<Op: GraphOperation> {
    /// The indices of its operands in [`MaterializedGraph::values`].
    pub inputs: ShortList<usize>,
    /// The indices of its results.
    pub outputs: ShortList<usize>,
    key: Arc<OperationKey<Op>>,
}

impl<Op: GraphOperation> MaterializedOperation<Op> {
    pub(crate) fn new(
        key: Arc<OperationKey<Op>>,
        inputs: ShortList<usize>,
        outputs: ShortList<usize>,
    ) -> Self {
        Self {
            inputs,
            outputs,
            key,
        }
    }
}

impl<Op: GraphOperation> Deref for MaterializedOperation<Op> {
    type Target = OperationSpec<Op>;

    fn deref(&self) -> &OperationSpec<Op> {
        self.key.spec()
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

    /// The same as a closed [`Graph`] with exactly these inputs, in this order, whether anything needs
    /// them or not.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnlistedInput`] for an input that something needs and that is not listed.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn to_graph(&self, inputs: &[Op::InputKey]) -> Result<Graph<Op>, GraphError> {
        let mut content = Content {
            values: Vec::with_capacity(self.values.len()),
            operations: Vec::with_capacity(self.operations.len()),
            inputs: (0..inputs.len()).collect(),
            outputs: Vec::with_capacity(self.outputs.len()),
            parents: Vec::new(),
            shade: Shade::Primal,
        };
        content.values.extend(inputs.iter().map(|key| ValueNode {
            key: ValueKey::Input(key.clone()),
            producer: None,
        }));
        let position: HashMap<&Op::InputKey, usize, FixedState> = inputs.iter().zip(0..).collect();
        let mut local = vec![0; self.values.len()];
        for (&value, key) in self.input_values.iter().zip(&self.inputs) {
            let listed = match key {
                ValueKey::Input(input) => position.get(input),
                ValueKey::Derived { .. } => None,
            };
            local[value] = *listed.ok_or_else(|| GraphError::UnlistedInput {
                key: describe_key(key),
            })?;
        }
        for (index, node) in self.operations.iter().enumerate() {
            let operands = node.inputs.iter();
            let operands = operands.map(|&value| ValueRef::Local(local[value]));
            let operands = operands.collect();
            for (slot, &value) in node.outputs.iter().enumerate() {
                local[value] = content.values.len();
                content.values.push(ValueNode {
                    key: self.values[value].key.clone(),
                    producer: Some((index, slot)),
                });
            }
            let outputs = node.outputs.iter().map(|&value| local[value]).collect();
            let key = Arc::clone(&node.key);
            content
                .operations
                .push(OperationNode::new(key, operands, outputs));
        }
        let outputs = self.output_values.iter().map(|&value| local[value]);
        content.outputs.extend(outputs);
        Ok(Graph::new(content))
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
        flat_value: vec![None; view.value_count()],
        graph: MaterializedGraph {
            values: Vec::new(),
            operations: Vec::new(),
            inputs: Vec::new(),
            outputs: outputs.to_vec(),
            input_values: Vec::new(),
            output_values: Vec::with_capacity(outputs.len()),
        },
    };
    let ids = view.find_all(outputs);
    for (position, (id, key)) in ids.into_iter().zip(outputs).enumerate() {
        let id = id.ok_or_else(|| GraphError::UnknownOutput {
            position,
            key: describe_key(key),
        })?;
        let value = pass.visit(id)?;
        pass.graph.output_values.push(value);
    }
    Ok(pass.graph)
}

struct Materializer<'a, Op: GraphOperation> {
    view: &'a ResolvedView<Op>,
    /// By view value: its index in the flat graph, once it is there.
    flat_value: Vec<Option<usize>>,
    graph: MaterializedGraph<Op>,
}

impl<Op: GraphOperation> Materializer<'_, Op> {
    /// Puts a value and all that it needs into the flat graph, with a stack of its own.
    fn visit(&mut self, target: ValueId) -> Result<usize, GraphError> {
        let mut open: Vec<(OperationId, usize)> = Vec::new();
        open.extend(self.enter(target));
        while let Some((operation, next_operand)) = open.last_mut() {
            let operation = *operation;
            match self.view.operation(operation).operands().get(*next_operand) {
                Some(&operand) => {
                    self.check_defined(operation, *next_operand, operand)?;
                    *next_operand += 1;
                    open.extend(self.enter(operand));
                }
                None => {
                    self.push_operation(operation);
                    open.pop();
                }
            }
        }
        Ok(self.flat(target))
    }

    /// What to open before a value can be used; an input needs nothing.
    fn enter(&mut self, id: ValueId) -> Option<(OperationId, usize)> {
        if self.flat_value[id.index()].is_some() {
            return None;
        }
        match self.view.origin(id) {
            ValueOrigin::Output { operation, .. } => Some((operation, 0)),
            ValueOrigin::Input => {
                let value = self.push_value(id, None);
                self.graph.input_values.push(value);
                self.graph.inputs.push(self.view.key(id));
                None
            }
        }
    }

    fn push_operation(&mut self, id: OperationId) {
        let entry = self.view.operation(id);
        let index = self.graph.operations.len();
        let inputs = entry.operands().iter().map(|&id| self.flat(id)).collect();
        let outputs = (0..entry.key().operation().output_count())
            .map(|slot| self.push_value(entry.output(slot), Some((index, slot))))
            .collect();
        let operation = MaterializedOperation::new(Arc::clone(entry.key()), inputs, outputs);
        self.graph.operations.push(operation);
    }

    fn push_value(&mut self, id: ValueId, producer: Option<(usize, usize)>) -> usize {
        let value = self.graph.values.len();
        self.graph.values.push(MaterializedValue {
            key: self.view.key(id),
            producer,
        });
        self.flat_value[id.index()] = Some(value);
        value
    }

    fn flat(&self, id: ValueId) -> usize {
        self.flat_value[id.index()].expect("a walk in post-order meets operands first")
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
            .field("values", &self.values.len())
            .field("operations", &self.operations.len())
            .field("inputs", &self.inputs.len())
            .field("outputs", &self.outputs.len())
            .finish()
    }
}

impl<Op: GraphOperation> Debug for MaterializedOperation<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaterializedOperation")
            .field("operation", &self.operation)
            .field("role", &self.role)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish()
    }
}
