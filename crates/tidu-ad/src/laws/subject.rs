//! What a check is about: a function, and where.

use tidu_graph::{GraphBuilder, GraphOperation, OperationRole, ValueRef};

use crate::function::{Function, FunctionError};

/// A function at a point, and what may be differentiated.
pub(super) struct Subject<Op: GraphOperation> {
    pub function: Function<Op>,
    /// By input.
    pub values: Vec<Op::Operand>,
    /// Inputs that are never differentiated by.
    pub inactive: Vec<usize>,
}

impl<Op: GraphOperation> Clone for Subject<Op> {
    fn clone(&self) -> Self {
        Self {
            function: self.function.clone(),
            values: self.values.clone(),
            inactive: self.inactive.clone(),
        }
    }
}

/// The function of one operation.
pub(super) fn single<Op: GraphOperation>(
    operation: &Op,
    key: impl Fn(usize) -> Op::InputKey,
) -> Result<Function<Op>, FunctionError> {
    let keys: Vec<Op::InputKey> = (0..operation.input_count()).map(key).collect();
    let mut builder = GraphBuilder::new();
    let operands = keys.iter().cloned();
    let operands = operands.map(|key| ValueRef::Local(builder.add_input(key)));
    let operands = operands.collect();
    let results = builder.try_add_operation(operation.clone(), operands, OperationRole::Primary)?;
    let outputs = results.iter().map(|&id| builder.global_key(id).clone());
    let outputs: Vec<_> = outputs.collect();
    Function::from_graphs(vec![std::sync::Arc::new(builder.build())], &keys, &outputs)
}
