//! An executor for any operation set that can evaluate its operations.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_ad::{
    ADRuleResult, LinearizedGraph, Primitive, PrimitiveBuilder, PrimitiveGraph, PrimitiveValue,
    try_linear_transpose_with_builder,
};
use tidu_graph::text::operation_label;
use tidu_graph::{
    CallError, EvaluableGraphOperation, GraphError, GraphOperation, LocalValueId, OperationRole,
    RuntimeError, ValueKey, ValueRef, describe_key, describe_operation,
};

use crate::backward::BackwardExecutor;
use crate::error::unwrap_or_panic;

/// Computes what going backward needs with the operations' own
/// [`try_eval`](EvaluableGraphOperation::try_eval), so that a runtime without wishes of its own need not write a
/// [`BackwardExecutor`].
///
/// # Panics
///
/// If a value that coefficients of linear maps are made of, or a sum of cotangents, cannot be evaluated: an executor
/// can return an error only where it transposes. The text says which operation failed, and why.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Arc;
/// use tidu_eager::{EagerInput, EvalExecutor, RecordedGraph, Recorder, try_backward};
/// use tidu_graph::ValueKey;
/// use tidu_scalar::{ScalarKey, ScalarOp};
///
/// let mut names = 0;
/// let mut recorder = Recorder::new(|| {
///     names += 1;
///     ScalarKey::fresh(names)
/// });
/// let x = EagerInput {
///     key: ValueKey::Input(ScalarKey::from("x")),
///     trace: None,
///     requires_grad: true,
///     data: Arc::new(3.0),
/// };
/// let keys = recorder.fresh_input_keys::<ScalarOp>(2);
/// let square = RecordedGraph::from_primitive(ScalarOp::Mul, keys);
/// let y = recorder.record_graph(square, &[x.clone(), x.clone()], &[Arc::new(9.0)], HashMap::new());
///
/// let (seed, mut executor) = (Arc::new(1.0), EvalExecutor::default());
/// let gradients = try_backward(&y[0].key, y[0].trace.as_ref(), seed, &mut executor, &mut ())?;
/// assert_eq!(*gradients[&x.key], 6.0);
/// # Ok::<(), tidu_ad::ADRuleError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EvalExecutor<Context> {
    /// What evaluation is given.
    pub context: Context,
}

type Values<Op> = HashMap<ValueKey<Op>, Arc<<Op as GraphOperation>::Operand>>;

impl<Op, Context> BackwardExecutor<Op> for EvalExecutor<Context>
where
    Op: Primitive + EvaluableGraphOperation<Context = Context>,
{
    /// What depends on a tangent is left out: nothing that goes backward uses it, and so no zero is
    /// needed.
    fn execute_forward(
        &mut self,
        graph: PrimitiveGraph<'_, Op>,
        initial_data: &Values<Op>,
    ) -> Values<Op> {
        let graph = graph.as_graph();
        let mut values = initial_data.clone();
        for (instruction, node) in graph.operations().iter().enumerate() {
            let operands: Option<Vec<&Op::Operand>> = node
                .inputs
                .iter()
                .map(|operand| match operand {
                    ValueRef::Local(id) => values.get(&graph.values()[*id].key),
                    ValueRef::External(key) => values.get(key),
                })
                .map(|value| value.map(|value| &**value))
                .collect();
            let Some(operands) = operands else { continue };
            let results = evaluate(&node.operation, instruction, &mut self.context, &operands);
            for (&id, result) in node.outputs.iter().zip(unwrap_or_panic(results)) {
                values.insert(graph.values()[id].key.clone(), Arc::new(result));
            }
        }
        values
    }

    fn run_transposed_linear(
        &mut self,
        linear: &LinearizedGraph<Op>,
        cotangent_out: &[Option<Arc<Op::Operand>>],
        external_data: &Values<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Vec<Option<Arc<Op::Operand>>>> {
        let mut runtime = Runtime {
            context: &mut self.context,
            values: Vec::new(),
            instructions: 0,
            external_data,
        };
        let seeds = cotangent_out.iter();
        let seeds: Vec<Option<LocalValueId>> = seeds
            .map(|seed| seed.as_ref().map(|seed| runtime.push(Arc::clone(seed))))
            .collect();
        let cotangents = try_linear_transpose_with_builder(linear, &mut runtime, &seeds, ctx)?;
        let cotangents = cotangents.into_iter();
        Ok(cotangents
            .map(|id| id.map(|id| Arc::clone(&runtime.values[id])))
            .collect())
    }

    fn add_operands(&mut self, a: &Arc<Op::Operand>, b: &Arc<Op::Operand>) -> Arc<Op::Operand> {
        let sum = evaluate(&Op::add(), 0, &mut self.context, &[&**a, &**b]);
        Arc::new(unwrap_or_panic(sum).remove(0))
    }
}

/// The results of an operation, as many as it has.
fn evaluate<Op: EvaluableGraphOperation>(
    operation: &Op,
    instruction: usize,
    context: &mut Op::Context,
    operands: &[&Op::Operand],
) -> Result<Vec<Op::Operand>, GraphError> {
    let results = operation.try_eval(context, operands);
    let results = results.map_err(|source| CallError::Failed {
        operation: operation_label(operation),
        instruction,
        source: RuntimeError::new(source),
    })?;
    let (expected, found) = (operation.output_count(), results.len());
    if expected != found {
        return Err(GraphError::WrongResultCount {
            operation: operation_label(operation),
            instruction,
            expected,
            found,
        });
    }
    Ok(results)
}

/// Computes whatever a rule emits.
struct Runtime<'a, Op: EvaluableGraphOperation> {
    context: &'a mut Op::Context,
    values: Vec<Arc<Op::Operand>>,
    /// How many operations were evaluated.
    instructions: usize,
    external_data: &'a Values<Op>,
}

impl<Op: EvaluableGraphOperation> Runtime<'_, Op> {
    fn push(&mut self, value: Arc<Op::Operand>) -> LocalValueId {
        self.values.push(value);
        self.values.len() - 1
    }

    fn find(
        &self,
        op: &Op,
        operand: usize,
        value: &PrimitiveValue<Op>,
    ) -> Result<Arc<Op::Operand>, GraphError> {
        match value {
            PrimitiveValue::Local(id) => {
                let found = self.values.get(*id);
                found.cloned().ok_or_else(|| GraphError::UnknownLocal {
                    operation: describe_operation(op),
                    operand,
                    id: *id,
                    available: self.values.len(),
                })
            }
            PrimitiveValue::External(key) => {
                let found = self.external_data.get(key);
                found.cloned().ok_or_else(|| GraphError::UndefinedValue {
                    operation: describe_operation(op),
                    operand,
                    key: describe_key(key),
                })
            }
        }
    }
}

impl<Op: EvaluableGraphOperation> PrimitiveBuilder<Op> for Runtime<'_, Op> {
    fn add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        role: OperationRole,
    ) -> Vec<LocalValueId> {
        unwrap_or_panic(self.try_add_primitive(op, inputs, role))
    }

    fn try_add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        _role: OperationRole,
    ) -> Result<Vec<LocalValueId>, GraphError> {
        let operands = inputs.iter().enumerate();
        let operands = operands.map(|(operand, value)| self.find(&op, operand, value));
        let operands = operands.collect::<Result<Vec<_>, _>>()?;
        let operands: Vec<&Op::Operand> = operands.iter().map(|operand| &**operand).collect();
        let results = evaluate(&op, self.instructions, self.context, &operands)?;
        self.instructions += 1;
        Ok(results
            .into_iter()
            .map(|result| self.push(Arc::new(result)))
            .collect())
    }
}
