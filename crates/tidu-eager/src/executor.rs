//! An executor for any operation set that can evaluate its operations.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_ad::{
    ADRuleResult, LinearizedGraph, Primitive, PrimitiveBuilder, PrimitiveGraph, PrimitiveValue,
    try_linear_transpose_with_builder,
};
use tidu_graph::{
    EvaluableGraphOperation, GraphError, GraphOperation, LocalValueId, OperationRole, ValueKey,
    ValueRef, describe_key, describe_operation,
};

use crate::backward::BackwardExecutor;
use crate::error::{Side, wrong_count};

/// Computes what going backward needs with the operations' own
/// [`eval`](EvaluableGraphOperation::eval), so that a runtime without wishes of its own need not write a
/// [`BackwardExecutor`].
///
/// # Panics
///
/// If an operation's `eval` returns the wrong number of results.
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
        for node in graph.operations() {
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
            let results = node.operation.eval(&mut self.context, &operands);
            check_results(&node.operation, node.outputs.len(), results.len());
            for (&id, result) in node.outputs.iter().zip(results) {
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
        let mut sum = Op::add().eval(&mut self.context, &[&**a, &**b]);
        check_results(&Op::add(), 1, sum.len());
        Arc::new(sum.remove(0))
    }
}

/// Panics where the signature of an executor leaves no room for an error.
fn check_results<Op: GraphOperation>(operation: &Op, expected: usize, found: usize) {
    if expected != found {
        let operation = describe_operation(operation);
        panic!("{}", wrong_count(operation, Side::Outputs, expected, found));
    }
}

/// Computes whatever a rule emits.
struct Runtime<'a, Op: EvaluableGraphOperation> {
    context: &'a mut Op::Context,
    values: Vec<Arc<Op::Operand>>,
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
        match self.try_add_primitive(op, inputs, role) {
            Ok(ids) => ids,
            Err(error) => panic!("{error}"),
        }
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
        let results = op.eval(self.context, &operands);
        Ok(results
            .into_iter()
            .map(|result| self.push(Arc::new(result)))
            .collect())
    }
}
