//! Functions applied: to values of a graph that is being built, and by rules.

use tidu_graph::{
    GraphBuilder, GraphOperation, LocalValueId, OperationNode, OperationRole, ValueKey, ValueRef,
};

use super::linear::{Partial, depends_on, local_operands};
use super::{Function, FunctionError};
use crate::rules::{Primitive, PrimitiveBuilder, PrimitiveValue};

impl<Op: GraphOperation> Function<Op> {
    /// The outputs of this function at values that keys describe: for front ends whose expressions are
    /// keys.
    ///
    /// # Errors
    ///
    /// [`FunctionError::Graph`] for the wrong number of arguments.
    pub fn apply(&self, arguments: &[ValueKey<Op>]) -> Result<Vec<ValueKey<Op>>, FunctionError> {
        let mut builder = GraphBuilder::new();
        let arguments = arguments.iter().cloned();
        let arguments: Vec<ValueRef<Op>> = arguments.map(ValueRef::External).collect();
        let results = builder.try_inline(&self.graph, &arguments)?;
        Ok(keys_of(&builder, results))
    }

    /// The function with each operation replaced: `replace` is given a builder, the operation and the
    /// operands that stand for its own, and returns what stands for its results.
    pub(super) fn rebuild(
        &self,
        mut replace: impl FnMut(
            &mut GraphBuilder<Op>,
            &OperationNode<Op>,
            Vec<ValueRef<Op>>,
        ) -> Result<Vec<ValueRef<Op>>, FunctionError>,
    ) -> Result<Self, FunctionError> {
        let mut builder = GraphBuilder::new();
        let mut here: Vec<Option<ValueRef<Op>>> = vec![None; self.graph.values().len()];
        let keys = self.input_keys();
        for (&id, key) in self.graph.inputs().iter().zip(&keys) {
            here[id] = Some(ValueRef::Local(builder.add_input(key.clone())));
        }
        let known = |here: &[Option<ValueRef<Op>>], id: LocalValueId| {
            let value = here[id].clone();
            value.expect("a graph is in topological order")
        };
        for node in self.graph.operations() {
            let operands = local_operands(node).map(|id| known(&here, id)).collect();
            let results = replace(&mut builder, node, operands)?;
            for (&id, result) in node.outputs.iter().zip(results) {
                here[id] = Some(result);
            }
        }
        let outputs = self.graph.outputs().iter().map(|&id| known(&here, id));
        let outputs = keys_of(&builder, outputs.collect());
        let outputs = outputs.into_iter().zip(self.output_names.iter().cloned());
        let outputs = outputs.collect();
        Self::close(vec![builder.build().into()], &keys, outputs, None)
    }
}

/// Emits a function as a rule would: applied to `operands`, the work that depends on those that are
/// `active` marked so.
pub(super) fn emit_call<Op: Primitive>(
    builder: &mut impl PrimitiveBuilder<Op>,
    partial: &Partial<Op>,
    operands: &[PrimitiveValue<Op>],
    active: &[bool],
) -> Vec<Option<LocalValueId>> {
    let graph = &partial.function.graph;
    let positions: Vec<usize> = (0..active.len()).filter(|&at| active[at]).collect();
    let depends = depends_on(graph, &positions);
    let mut here: Vec<Option<PrimitiveValue<Op>>> = vec![None; graph.values().len()];
    for (&id, operand) in graph.inputs().iter().zip(operands) {
        here[id] = Some(operand.clone());
    }
    for node in graph.operations() {
        let inputs = local_operands(node).map(|id| {
            let value = here[id].clone();
            value.expect("a graph is in topological order")
        });
        let role = OperationRole::Linearized {
            active_mask: local_operands(node).map(|id| depends[id]).collect(),
        };
        let results = builder.add_primitive(node.operation.clone(), inputs.collect(), role);
        for (&id, result) in node.outputs.iter().zip(results) {
            here[id] = Some(PrimitiveValue::Local(result));
        }
    }
    let mut results = graph.outputs().iter();
    let results = partial.present.iter().map(|present| {
        let id = present.then(|| results.next()).flatten()?;
        match here[*id] {
            Some(PrimitiveValue::Local(result)) => Some(result),
            // What is present depends on an active operand, and these are local.
            _ => None,
        }
    });
    results.collect()
}

/// What builder values are called.
pub(super) fn keys_of<Op: GraphOperation>(
    builder: &GraphBuilder<Op>,
    values: Vec<ValueRef<Op>>,
) -> Vec<ValueKey<Op>> {
    let keys = values.into_iter().map(|value| match value {
        ValueRef::Local(id) => builder.global_key(id).clone(),
        ValueRef::External(key) => key,
    });
    keys.collect()
}
