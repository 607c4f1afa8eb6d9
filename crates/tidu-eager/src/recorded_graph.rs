//! The graph of one eager call.

use std::collections::HashMap;
use std::fmt::{self, Debug, Display};
use std::sync::{Arc, OnceLock};

use tidu_graph::text::Listing;
use tidu_graph::{
    Graph, GraphBuilder, GraphError, GraphKind, GraphOperation, LocalValueId, OperationRole,
    Picture, ValueKey, ValueRef, describe_key, describe_operation,
};

use crate::error::{EagerError, Side, unwrap_or_panic};

/// The graph of one eager call: a single primitive, or several recorded as one node.
///
/// Values of the graph's parents, and of other graphs that it names, are constants of the call: no
/// gradient flows into them.
#[derive(Clone)]
pub struct RecordedGraph<Op: GraphOperation> {
    /// The operation, if the graph is one operation applied to all inputs in order, with all results in
    /// order. Such a graph need not be there until somebody looks at it.
    primitive: Option<Op>,
    input_keys: Vec<Op::InputKey>,
    built: OnceLock<Built<Op>>,
}

#[derive(Clone)]
struct Built<Op: GraphOperation> {
    graph: Arc<Graph<Op>>,
    output_keys: Vec<ValueKey<Op>>,
}

impl<Op: GraphOperation> RecordedGraph<Op> {
    /// Takes a graph with the keys of its inputs and outputs, in the graph's order.
    ///
    /// # Panics
    ///
    /// Where [`try_new`](Self::try_new) returns an error, with the same text.
    #[track_caller]
    pub fn new(
        graph: Arc<Graph<Op>>,
        input_keys: Vec<Op::InputKey>,
        output_keys: Vec<ValueKey<Op>>,
    ) -> Self {
        unwrap_or_panic(Self::try_new(graph, input_keys, output_keys))
    }

    /// Takes a graph with the keys of its inputs and outputs, in the graph's order.
    ///
    /// # Errors
    ///
    /// [`EagerError::WrongKeyCount`], [`EagerError::MismatchedKey`],
    /// [`EagerError::RepeatedInputKey`].
    pub fn try_new(
        graph: Arc<Graph<Op>>,
        input_keys: Vec<Op::InputKey>,
        output_keys: Vec<ValueKey<Op>>,
    ) -> Result<Self, EagerError> {
        let inputs = input_keys.iter().cloned().map(ValueKey::Input);
        check_keys(&graph, graph.inputs(), inputs, Side::Inputs)?;
        check_keys(
            &graph,
            graph.outputs(),
            output_keys.iter().cloned(),
            Side::Outputs,
        )?;
        check_distinct(&input_keys)?;
        let built = Built { graph, output_keys };
        Ok(Self {
            primitive: only_operation(&built.graph).cloned(),
            input_keys,
            built: OnceLock::from(built),
        })
    }

    /// The graph of a single primitive, applied to inputs of the given keys.
    ///
    /// # Panics
    ///
    /// Where [`try_from_primitive`](Self::try_from_primitive) returns an error, with the same text.
    #[track_caller]
    pub fn from_primitive(op: Op, input_keys: Vec<Op::InputKey>) -> Self {
        unwrap_or_panic(Self::try_from_primitive(op, input_keys))
    }

    /// The graph of a single primitive, applied to inputs of the given keys.
    ///
    /// # Errors
    ///
    /// [`EagerError::Graph`] for the wrong number of keys, [`EagerError::RepeatedInputKey`].
    pub fn try_from_primitive(op: Op, input_keys: Vec<Op::InputKey>) -> Result<Self, EagerError> {
        check_distinct(&input_keys)?;
        let (inputs, outputs) = (op.input_count(), op.output_count());
        // A graph that can be made will be when it is asked for; one that cannot is, to learn why.
        let can_wait = inputs == input_keys.len() && outputs <= usize::from(u8::MAX);
        let built = if can_wait {
            OnceLock::new()
        } else {
            OnceLock::from(Built::of(&op, &input_keys)?)
        };
        Ok(Self {
            primitive: Some(op),
            input_keys,
            built,
        })
    }

    /// The graph.
    pub fn as_graph(&self) -> &Graph<Op> {
        &self.built().graph
    }

    /// The keys of the graph's inputs, in order.
    pub fn input_keys(&self) -> &[Op::InputKey] {
        &self.input_keys
    }

    /// The keys of the graph's outputs, in order.
    pub fn output_keys(&self) -> &[ValueKey<Op>] {
        &self.built().output_keys
    }

    /// The graph as a picture.
    pub fn picture(&self) -> Picture {
        Picture::of_graphs(&[("recorded", GraphKind::Primal, self.as_graph())])
    }

    /// The operation, if the graph is nothing but one.
    pub(crate) fn primitive(&self) -> Option<&Op> {
        self.primitive.as_ref()
    }

    pub(crate) fn output_count(&self) -> usize {
        match &self.primitive {
            Some(operation) => operation.output_count(),
            None => self.output_keys().len(),
        }
    }

    pub(crate) fn shared_graph(&self) -> &Arc<Graph<Op>> {
        &self.built().graph
    }

    fn built(&self) -> &Built<Op> {
        self.built.get_or_init(|| {
            let operation = self.primitive.as_ref();
            let operation = operation.expect("a graph that is not there yet is of one operation");
            let built = Built::of(operation, &self.input_keys);
            built.expect("the operation was checked against its operands")
        })
    }

    /// The call as an error names it.
    pub(crate) fn describe(&self) -> String {
        if let Some(operation) = &self.primitive {
            return describe_operation(operation);
        }
        match self.as_graph().operations() {
            [only] => describe_operation(&only.operation),
            several => format!("a graph of {} operations", several.len()),
        }
    }
}

impl<Op: GraphOperation> Built<Op> {
    /// The graph of one operation.
    fn of(operation: &Op, input_keys: &[Op::InputKey]) -> Result<Self, GraphError> {
        let mut builder = GraphBuilder::new();
        let operands = input_keys
            .iter()
            .map(|key| ValueRef::Local(builder.add_input(key.clone())))
            .collect();
        let role = OperationRole::Primary;
        let outputs = builder.try_add_operation(operation.clone(), operands, role)?;
        let output_keys = outputs
            .iter()
            .map(|&id| builder.global_key(id).clone())
            .collect();
        builder.set_outputs(outputs);
        Ok(Self {
            graph: Arc::new(builder.build()),
            output_keys,
        })
    }
}

/// The operation of a graph that is nothing but one, applied to all inputs in order, with all results
/// in order.
fn only_operation<Op: GraphOperation>(graph: &Graph<Op>) -> Option<&Op> {
    let [only] = graph.operations() else {
        return None;
    };
    let inputs = graph.inputs().iter().map(|&id| ValueRef::Local(id));
    let is_plain = only.inputs.iter().cloned().eq(inputs)
        && graph.outputs() == &*only.outputs
        && graph.parents().is_empty()
        && only.role == OperationRole::Primary;
    is_plain.then_some(&only.operation)
}

impl<Op: GraphOperation> Display for RecordedGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Listing::new("recorded", self.as_graph()).fmt(f)
    }
}

impl<Op: GraphOperation> Debug for RecordedGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedGraph")
            .field("graph", self.as_graph())
            .field("call", &self.describe())
            .finish()
    }
}

fn check_keys<Op: GraphOperation>(
    graph: &Graph<Op>,
    ids: &[LocalValueId],
    keys: impl ExactSizeIterator<Item = ValueKey<Op>>,
    side: Side,
) -> Result<(), EagerError> {
    if ids.len() != keys.len() {
        return Err(EagerError::WrongKeyCount {
            side,
            expected: ids.len(),
            found: keys.len(),
        });
    }
    for (position, (&id, found)) in ids.iter().zip(keys).enumerate() {
        let expected = &graph.values()[id].key;
        if *expected != found {
            return Err(EagerError::MismatchedKey {
                side,
                position,
                expected: describe_key(expected),
                found: describe_key(&found),
            });
        }
    }
    Ok(())
}

fn check_distinct<Key: std::hash::Hash + Eq + Debug>(keys: &[Key]) -> Result<(), EagerError> {
    // Most calls have one operand or two.
    if let [] | [_] = keys {
        return Ok(());
    }
    if let [a, b] = keys
        && a != b
    {
        return Ok(());
    }
    let mut seen = HashMap::with_capacity(keys.len());
    for (second, key) in keys.iter().enumerate() {
        if let Some(first) = seen.insert(key, second) {
            let key = describe_operation(key);
            return Err(EagerError::RepeatedInputKey { first, second, key });
        }
    }
    Ok(())
}
