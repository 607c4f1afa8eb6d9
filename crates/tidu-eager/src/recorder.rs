//! Recording calls as they happen.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use tidu_ad::Primitive;
use tidu_graph::{GraphOperation, ValueKey, describe_key};

use crate::error::{EagerError, Side, check_count, unwrap_or_panic};
use crate::recorded_graph::RecordedGraph;
use crate::trace::{Edge, Memo, OutputKeys, Trace, TraceNode};

/// An eager value, as an input of a call.
pub struct EagerInput<Op: GraphOperation> {
    /// The name under which the value's gradient is found.
    pub key: ValueKey<Op>,
    /// The history of the value; `None` for one that no recorded call produced.
    pub trace: Option<Trace<Op>>,
    /// Whether gradients are to flow into the value.
    pub requires_grad: bool,
    /// The value.
    pub data: Arc<Op::Operand>,
}

/// An eager value, as an output of a call.
pub struct EagerOutput<Op: GraphOperation> {
    /// The name of the value.
    pub key: ValueKey<Op>,
    /// The history of the value; `None` if no input of the call requires gradients.
    pub trace: Option<Trace<Op>>,
    /// Whether any input of the call requires gradients.
    pub requires_grad: bool,
    /// Which output of the call it is.
    pub output_slot: usize,
}

/// Where names for eager values come from; a closure that returns keys is one.
pub trait KeySource<Op: GraphOperation> {
    /// A key that was never given out before.
    fn fresh_input_key(&mut self) -> Op::InputKey;
}

impl<Op: GraphOperation, F: FnMut() -> Op::InputKey> KeySource<Op> for F {
    fn fresh_input_key(&mut self) -> Op::InputKey {
        self()
    }
}

/// Records calls as they happen.
#[derive(Clone, Debug, Default)]
pub struct Recorder<K> {
    key_source: K,
}

impl<K> Recorder<K> {
    /// A recorder that names values with keys of `key_source`.
    pub fn new(key_source: K) -> Self {
        Self { key_source }
    }

    /// The source of names.
    pub fn key_source_mut(&mut self) -> &mut K {
        &mut self.key_source
    }

    /// The source of names, for another recorder to go on with.
    pub fn into_key_source(self) -> K {
        self.key_source
    }

    /// This many fresh keys, for the inputs of a graph that is to be recorded.
    pub fn fresh_input_keys<Op>(&mut self, count: usize) -> Vec<Op::InputKey>
    where
        Op: GraphOperation,
        K: KeySource<Op>,
    {
        (0..count)
            .map(|_| self.key_source.fresh_input_key())
            .collect()
    }

    /// Records that `graph` was called on `inputs` and returned `outputs`.
    ///
    /// # Panics
    ///
    /// Where [`try_record_graph`](Self::try_record_graph) returns an error, with the same text.
    #[track_caller]
    pub fn record_graph<Op>(
        &mut self,
        graph: RecordedGraph<Op>,
        inputs: &[EagerInput<Op>],
        outputs: &[Arc<Op::Operand>],
        retained_values: HashMap<ValueKey<Op>, Arc<Op::Operand>>,
    ) -> Vec<EagerOutput<Op>>
    where
        Op: Primitive,
        K: KeySource<Op>,
    {
        unwrap_or_panic(self.try_record_graph(graph, inputs, outputs, retained_values))
    }

    /// Records that `graph` was called on `inputs` and returned `outputs`.
    ///
    /// `retained_values` holds, by keys of the graph, the values besides the inputs that going
    /// backward may need (the result of an exponential, say). Nothing is recorded if no input
    /// requires gradients.
    ///
    /// # Errors
    ///
    /// [`EagerError::WrongValueCount`]; [`EagerError::KeyNotInTrace`] for an input that its trace
    /// does not produce. No key is then taken from the source.
    ///
    /// # Complexity
    ///
    /// Linear in the number of inputs, outputs and retained values.
    pub fn try_record_graph<Op>(
        &mut self,
        graph: RecordedGraph<Op>,
        inputs: &[EagerInput<Op>],
        outputs: &[Arc<Op::Operand>],
        retained_values: HashMap<ValueKey<Op>, Arc<Op::Operand>>,
    ) -> Result<Vec<EagerOutput<Op>>, EagerError>
    where
        Op: Primitive,
        K: KeySource<Op>,
    {
        let describe = || graph.describe();
        let expected = [graph.input_keys().len(), graph.output_count()];
        check_count(describe, Side::Inputs, expected[0], inputs.len())?;
        check_count(describe, Side::Outputs, expected[1], outputs.len())?;
        let requires_grad = inputs.iter().any(|input| input.requires_grad);
        let edges = inputs
            .iter()
            .enumerate()
            .map(|(position, input)| edge(input, position))
            .collect::<Result<SmallVec<_>, _>>()?;
        let output_keys: SmallVec<[ValueKey<Op>; 1]> = outputs
            .iter()
            .map(|_| ValueKey::Input(self.key_source.fresh_input_key()))
            .collect();
        let trace = requires_grad.then(|| Trace {
            node: Arc::new(TraceNode {
                data: inputs.iter().map(|input| Arc::clone(&input.data)).collect(),
                retained: retained_values,
                saved: OnceLock::new(),
                graph,
                output_keys: OutputKeys::new(output_keys.clone()),
                edges,
                memo: Memo::new(),
            }),
        });
        Ok(output_keys
            .into_iter()
            .enumerate()
            .map(|(output_slot, key)| EagerOutput {
                key,
                trace: trace.clone(),
                requires_grad,
                output_slot,
            })
            .collect())
    }
}

impl<Op: GraphOperation> Clone for EagerInput<Op> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            trace: self.trace.clone(),
            requires_grad: self.requires_grad,
            data: Arc::clone(&self.data),
        }
    }
}

impl<Op: GraphOperation> Clone for EagerOutput<Op> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            trace: self.trace.clone(),
            requires_grad: self.requires_grad,
            output_slot: self.output_slot,
        }
    }
}

impl<Op: GraphOperation> Debug for EagerInput<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EagerInput")
            .field("key", &self.key)
            .field("trace", &self.trace)
            .field("requires_grad", &self.requires_grad)
            .finish_non_exhaustive()
    }
}

impl<Op: GraphOperation> Debug for EagerOutput<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EagerOutput")
            .field("key", &self.key)
            .field("trace", &self.trace)
            .field("requires_grad", &self.requires_grad)
            .field("output_slot", &self.output_slot)
            .finish()
    }
}

/// Finds the producer of an input now, so that going backward needs no keys.
fn edge<Op: GraphOperation>(
    input: &EagerInput<Op>,
    position: usize,
) -> Result<Edge<Op>, EagerError> {
    match &input.trace {
        _ if !input.requires_grad => Ok(Edge::Inactive),
        None => Ok(Edge::Leaf(input.key.clone())),
        Some(trace) => {
            let node = Arc::clone(&trace.node);
            let slot = node.slot_of(&input.key, || format!("input {position}"))?;
            Ok(Edge::Output { node, slot })
        }
    }
}

impl<Op: GraphOperation> TraceNode<Op> {
    /// Which of the call's results has this key.
    pub(crate) fn slot_of(
        &self,
        key: &ValueKey<Op>,
        place: impl FnOnce() -> String,
    ) -> Result<usize, EagerError> {
        let slot = self.output_keys.slot_of(key);
        slot.ok_or_else(|| EagerError::KeyNotInTrace {
            key: describe_key(key),
            place: place(),
        })
    }
}
