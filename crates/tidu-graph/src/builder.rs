//! How a graph is made: operation by operation, or of a closed computation.

use std::fmt::{self, Debug};
use std::sync::Arc;

use crate::base::{GraphKind, unwrap_or_panic};
use crate::dense::DenseGraph;
use crate::error::{GraphError, describe_operation};
use crate::graph::{Content, Graph, LocalValueId, OperationNode, StepOperand, ValueNode, ValueRef};
use crate::key::{OperationKey, ValueKey};
use crate::operation::{check_arity, check_outputs, count_outputs};
use crate::role::Roles;
use crate::{GraphOperation, InlineSlice, OperationRole};

/// Makes a [`Graph`], operation by operation.
///
/// # Example
///
/// The product of two inputs, on an operation set with a single operation:
///
/// ```
/// use tidu_graph::{GraphBuilder, GraphOperation, OperationRole, ValueRef};
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// struct Mul;
///
/// impl GraphOperation for Mul {
///     type Operand = f64;
///     type Context = ();
///     type InputKey = &'static str;
///     fn input_count(&self) -> usize { 2 }
///     fn output_count(&self) -> usize { 1 }
/// }
///
/// let mut builder = GraphBuilder::new();
/// let x = builder.add_input("x");
/// let y = builder.add_input("y");
/// let xy = builder.add_operation(
///     Mul,
///     vec![ValueRef::Local(x), ValueRef::Local(y)],
///     OperationRole::Primary,
/// );
/// builder.set_outputs(xy);
///
/// assert_eq!(builder.build().to_string(), "graph {
///     input %0 = x
///     input %1 = y
///     %2 = Mul %0, %1
///     output %2
/// }");
/// ```
pub struct GraphBuilder<Op: GraphOperation> {
    content: Content<Op>,
    roles: Roles,
}

impl<Op: GraphOperation> GraphBuilder<Op> {
    /// An empty graph to add to.
    pub fn new() -> Self {
        Self {
            content: Content::with_capacity(0, 0, 0),
            roles: Roles::default(),
        }
    }

    /// Makes room for this many more operations of one result each.
    pub fn reserve(&mut self, operations: usize) {
        self.content.values.reserve(operations);
        self.content.steps.reserve(operations);
    }

    /// Adds an input. Two inputs of one name are two occurrences of one value.
    pub fn add_input(&mut self, key: Op::InputKey) -> LocalValueId {
        let id = self.content.values.len();
        self.content.values.push(ValueNode::input(key));
        self.content.inputs.push(id);
        id
    }

    /// Adds an operation and returns the ids of its results, by output slot.
    ///
    /// # Panics
    ///
    /// Where [`try_add_operation`](Self::try_add_operation) returns an error, with the same text.
    #[track_caller]
    pub fn add_operation(
        &mut self,
        operation: Op,
        inputs: Vec<ValueRef<Op>>,
        role: OperationRole,
    ) -> Vec<LocalValueId> {
        unwrap_or_panic(self.try_add_operation(operation, inputs, role))
    }

    /// Adds an operation and returns the ids of its results, by output slot.
    ///
    /// # Errors
    ///
    /// [`GraphError::WrongArity`], [`GraphError::UnknownLocal`], [`GraphError::UnknownOutputSlot`]
    /// (of an external operand) and [`GraphError::TooManyOutputs`]. The builder is then as it was.
    /// Whether an external operand exists is only known once graphs are resolved together.
    pub fn try_add_operation(
        &mut self,
        operation: Op,
        inputs: Vec<ValueRef<Op>>,
        role: OperationRole,
    ) -> Result<Vec<LocalValueId>, GraphError> {
        self.check_operands(&operation, &inputs)?;
        check_arity(&operation, inputs.len())?;
        let outputs = count_outputs(&operation)?;
        let content = &mut self.content;
        let operands = InlineSlice::map(inputs, |operand| {
            content.steps.push_operand(&operand);
            match operand {
                ValueRef::Local(id) => content.values[id].key.clone(),
                ValueRef::External(key) => key,
            }
        });
        let role = self.roles.share(role);
        let birthplace = Some(content.birthplace());
        let key = OperationKey::new_unchecked(operation, operands, role, birthplace);
        Ok(content.push(key, outputs).collect())
    }

    /// Adds the operations of a graph, applied to `arguments` in place of its inputs, and returns what
    /// its outputs are then: an output that is an input is the argument itself.
    ///
    /// What the graph uses of other graphs, it uses here too.
    ///
    /// # Errors
    ///
    /// [`GraphError::WrongInputCount`]; [`GraphError::UnknownLocalId`] for an argument. The builder is
    /// then as it was.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn try_inline(
        &mut self,
        graph: &Graph<Op>,
        arguments: &[ValueRef<Op>],
    ) -> Result<Vec<ValueRef<Op>>, GraphError> {
        if arguments.len() != graph.inputs().len() {
            return Err(GraphError::WrongInputCount {
                expected: graph.inputs().len(),
                found: arguments.len(),
            });
        }
        for argument in arguments {
            if let ValueRef::Local(id) = argument {
                self.try_global_key(*id)?;
            }
        }
        // Overwritten before it is read, since a graph is in topological order.
        let mut here = vec![ValueRef::Local(0); graph.values().len()];
        for (&input, argument) in graph.inputs().iter().zip(arguments) {
            here[input] = argument.clone();
        }
        for step in graph.steps() {
            let operands = step.operands().map(|operand| match operand {
                StepOperand::Local(id) => here[id].clone(),
                StepOperand::External(key) => ValueRef::External(key.clone()),
            });
            let operands = operands.collect();
            let (operation, role) = (step.key.operation(), step.key.role());
            let results = self.try_add_operation(operation.clone(), operands, role.clone())?;
            for (id, result) in step.results().zip(results) {
                here[id] = ValueRef::Local(result);
            }
        }
        Ok(graph.outputs().iter().map(|&id| here[id].clone()).collect())
    }

    /// Says which values the graph is for, replacing what was said before. An id may stand twice.
    ///
    /// # Panics
    ///
    /// Where [`try_set_outputs`](Self::try_set_outputs) returns an error, with the same text.
    #[track_caller]
    pub fn set_outputs(&mut self, outputs: Vec<LocalValueId>) {
        unwrap_or_panic(self.try_set_outputs(outputs));
    }

    /// Says which values the graph is for, replacing what was said before. An id may stand twice.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnknownOutputId`]. The builder is then as it was.
    pub fn try_set_outputs(&mut self, outputs: Vec<LocalValueId>) -> Result<(), GraphError> {
        check_outputs(outputs.iter().copied(), self.content.values.len())?;
        self.content.outputs = outputs;
        Ok(())
    }

    /// Adds a graph whose values this one may refer to.
    pub fn add_parent(&mut self, parent: Arc<Graph<Op>>) {
        self.content.parents.push(parent);
    }

    /// Says what the graph is for, as pictures show it; primal unless said otherwise.
    pub fn set_kind(&mut self, kind: GraphKind) {
        self.content.kind = kind;
    }

    /// The key of a value that was added.
    ///
    /// # Panics
    ///
    /// Where [`try_global_key`](Self::try_global_key) returns an error, with the same text.
    #[track_caller]
    pub fn global_key(&self, id: LocalValueId) -> &ValueKey<Op> {
        unwrap_or_panic(self.try_global_key(id))
    }

    /// The key of a value that was added.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnknownLocalId`].
    pub fn try_global_key(&self, id: LocalValueId) -> Result<&ValueKey<Op>, GraphError> {
        let node = self.content.values.get(id);
        node.map(|node| &node.key)
            .ok_or(GraphError::UnknownLocalId {
                id,
                available: self.content.values.len(),
            })
    }

    /// The values that were added so far, indexed by [`LocalValueId`].
    pub fn values(&self) -> &[ValueNode<Op>] {
        &self.content.values
    }

    /// The operations that were added so far.
    ///
    /// # Complexity
    ///
    /// Linear in the graph when called for the first time since something was added.
    pub fn operations(&self) -> &[OperationNode<Op>] {
        self.content.steps.nodes()
    }

    /// How many operations were added so far.
    pub fn operation_count(&self) -> usize {
        self.content.steps.len()
    }

    /// The inputs that were added so far.
    pub fn inputs(&self) -> &[LocalValueId] {
        &self.content.inputs
    }

    /// The outputs as they are set now.
    pub fn outputs(&self) -> &[LocalValueId] {
        &self.content.outputs
    }

    /// The parents that were added so far.
    pub fn parents(&self) -> &[Arc<Graph<Op>>] {
        &self.content.parents
    }

    /// The finished graph.
    pub fn build(self) -> Graph<Op> {
        Graph::new(self.content)
    }

    /// Fails for operands that do not exist.
    fn check_operands(&self, operation: &Op, inputs: &[ValueRef<Op>]) -> Result<(), GraphError> {
        let available = self.content.values.len();
        for (operand, input) in inputs.iter().enumerate() {
            match input {
                ValueRef::Local(id) if *id >= available => {
                    return Err(GraphError::UnknownLocal {
                        operation: describe_operation(operation),
                        operand,
                        id: *id,
                        available,
                    });
                }
                ValueRef::Local(_) => {}
                ValueRef::External(key) => key.check_slot()?,
            }
        }
        Ok(())
    }
}

impl<Op: GraphOperation> DenseGraph<Op> {
    /// The same as a closed [`Graph`] with inputs of these names and operations that are all
    /// [`Primary`](crate::OperationRole::Primary).
    ///
    /// # Panics
    ///
    /// If there is not one name per input.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn to_graph(&self, inputs: &[Op::InputKey]) -> Graph<Op> {
        assert_eq!(inputs.len(), self.input_count(), "one name per input");
        let (values, operations) = (self.value_count(), self.operation_count());
        let mut content = Content::with_capacity(values, operations, self.operand_count());
        content.inputs = (0..inputs.len()).collect();
        content.outputs = self.outputs().iter().map(|id| id.index()).collect();
        let input_values = inputs.iter().cloned().map(ValueNode::input);
        content.values.extend(input_values);
        for node in self.nodes() {
            let operands = node.operands.iter().map(|id| {
                content.steps.push_operand(&ValueRef::Local(id.index()));
                content.values[id.index()].key.clone()
            });
            let operands = operands.collect();
            let birthplace = Some(content.birthplace());
            let key = OperationKey::primary(node.operation, operands, birthplace);
            content.push(key, node.results.len());
        }
        Graph::new(content)
    }
}

impl<Op: GraphOperation> Debug for GraphBuilder<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphBuilder")
            .field("values", &self.content.values.len())
            .field("operations", &self.operation_count())
            .finish_non_exhaustive()
    }
}

impl<Op: GraphOperation> Default for GraphBuilder<Op> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    //! Graphs that have one number, as after four billion of them.

    use super::*;
    use crate::operation::toy::Toy;
    use crate::{materialize_merge, resolve};

    #[test]
    fn a_number_that_two_graphs_have_misleads_nobody() {
        let mut sin = GraphBuilder::new();
        let mut cos = GraphBuilder::new();
        cos.content.number = sin.content.number;
        let keys = [(&mut sin, Toy::Sin), (&mut cos, Toy::Cos)].map(|(builder, operation)| {
            let x = ValueRef::Local(builder.add_input("x"));
            let y = builder.add_operation(operation, vec![x], OperationRole::Primary);
            builder.global_key(y[0]).clone()
        });
        let mut last = GraphBuilder::new();
        let results = keys.clone().map(|key| {
            let operand = vec![ValueRef::External(key)];
            let y = last.add_operation(Toy::Neg, operand, OperationRole::Primary);
            last.global_key(y[0]).clone()
        });
        let graphs = [sin.build(), cos.build(), last.build()];
        let view = resolve(graphs.map(Arc::new).to_vec());
        // Taken for one another, they would be one operation, and so would what is applied to them.
        let flat = materialize_merge(&view, &results);
        assert_eq!(flat.as_dense().operation_count(), 4);
    }
}
