//! Functions applied: to values of a graph that is being built, and by rules.

use tidu_graph::text::name_list;
use tidu_graph::{
    CallError, GraphBuilder, GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef,
};

use super::dependence::depends_on;
use super::linear::Partial;
use super::{Function, FunctionError};
use crate::rules::{Primitive, PrimitiveBuilder, PrimitiveValue};

impl<Op: GraphOperation> Function<Op> {
    /// The outputs of this function at values that keys describe: for front ends whose expressions are
    /// keys.
    ///
    /// # Errors
    ///
    /// [`FunctionError::WrongInputCount`].
    pub fn apply(&self, arguments: &[ValueKey<Op>]) -> Result<Vec<ValueKey<Op>>, FunctionError> {
        self.check_input_count(arguments.len())?;
        let mut builder = GraphBuilder::new();
        let arguments = arguments.iter().cloned();
        let arguments: Vec<ValueRef<Op>> = arguments.map(ValueRef::External).collect();
        let results = builder.try_inline(self.as_graph(), &arguments)?;
        Ok(keys_of(&builder, results))
    }

    /// Fails for another number of values than there are inputs.
    fn check_input_count(&self, found: usize) -> Result<(), FunctionError> {
        let names = || name_list(self.names());
        Ok(CallError::check_inputs(
            self.as_dense().input_count(),
            found,
            names,
        )?)
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
    let dense = partial.function.as_dense();
    let positions: Vec<usize> = (0..active.len()).filter(|&at| active[at]).collect();
    let depends = depends_on(dense, &positions);
    let mut here = operands.to_vec();
    for node in dense.nodes() {
        let inputs = node.operands.iter().map(|id| here[id.index()].clone());
        let inputs = inputs.collect();
        let role = OperationRole::Linearized {
            active_mask: node.operands.iter().map(|id| depends[id.index()]).collect(),
        };
        let results = builder.add_primitive(node.operation.clone(), inputs, role);
        assert_eq!(
            results.len(),
            node.results.len(),
            "a builder returns one id per result"
        );
        here.extend(results.into_iter().map(PrimitiveValue::Local));
    }
    let mut results = dense.outputs().iter();
    let results = partial.present.iter().map(|present| {
        let id = present.then(|| results.next()).flatten()?;
        match here[id.index()] {
            PrimitiveValue::Local(result) => Some(result),
            // What is present depends on an active operand, and these are local.
            PrimitiveValue::External(_) => None,
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
