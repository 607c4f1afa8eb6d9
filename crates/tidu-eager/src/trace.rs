//! What a recorded value remembers: the calls that it came from.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use tidu_ad::LinearizedGraph;
use tidu_graph::{GraphOperation, ValueKey};

use crate::recorded_graph::RecordedGraph;

/// The history of a recorded value: the call that produced it, and the traces of that call's inputs.
///
/// Cheap to clone, shared, immutable. Dropping the last clone frees the history that nothing else
/// refers to, in constant stack.
pub struct Trace<Op: GraphOperation> {
    pub(crate) node: Arc<TraceNode<Op>>,
}

impl<Op: GraphOperation> Trace<Op> {
    /// What was kept of the call that produced the value, by keys of its recorded graph: the data of
    /// the inputs, and the retained values.
    pub fn saved_values(&self) -> &HashMap<ValueKey<Op>, Arc<Op::Operand>> {
        self.node.saved_values()
    }
}

impl<Op: GraphOperation> Clone for Trace<Op> {
    fn clone(&self) -> Self {
        Self {
            node: Arc::clone(&self.node),
        }
    }
}

impl<Op: GraphOperation> Debug for Trace<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("call", &self.node.graph.describe())
            .field("saved_values", &self.node.saved_values().len())
            .finish()
    }
}

/// One recorded call.
pub(crate) struct TraceNode<Op: GraphOperation> {
    pub graph: RecordedGraph<Op>,
    /// The eager keys of the results.
    pub output_keys: OutputKeys<Op>,
    /// The data of the inputs.
    pub data: SmallVec<[Arc<Op::Operand>; 2]>,
    /// What was retained besides, by keys of the graph.
    pub retained: HashMap<ValueKey<Op>, Arc<Op::Operand>>,
    /// Both, if somebody has asked.
    pub saved: OnceLock<Box<Values<Op>>>,
    pub edges: SmallVec<[Edge<Op>; 2]>,
    pub memo: Memo<Op>,
}

/// Values by key.
pub(crate) type Values<Op> = HashMap<ValueKey<Op>, Arc<<Op as GraphOperation>::Operand>>;

impl<Op: GraphOperation> TraceNode<Op> {
    /// All that was kept of the call, by keys of its graph.
    pub fn saved_values(&self) -> &Values<Op> {
        self.saved.get_or_init(|| {
            let mut saved = self.retained.clone();
            let keys = self.graph.input_keys().iter().cloned();
            saved.extend(keys.map(ValueKey::Input).zip(self.data.iter().cloned()));
            Box::new(saved)
        })
    }
}

/// What going backward found out about a call, for the next time.
///
/// Most traces are gone over once and dropped, and a linear graph is several times as large as the
/// call it belongs to. So the first time leaves a mark only, and the second one keeps what it derives.
pub(crate) struct Memo<Op: GraphOperation> {
    visited: AtomicBool,
    linear: OnceLock<Box<Linearization<Op>>>,
}

/// The linear graph of a call from its active inputs to some of its outputs.
pub(crate) struct Linearization<Op: GraphOperation> {
    pub slots: SmallVec<[usize; 2]>,
    pub linear: Arc<LinearizedGraph<Op>>,
}

impl<Op: GraphOperation> Memo<Op> {
    pub fn new() -> Self {
        Self {
            visited: AtomicBool::new(false),
            linear: OnceLock::new(),
        }
    }

    /// The linear graph for these output slots, if it is known.
    pub fn recall(&self, slots: &[usize]) -> Option<Arc<LinearizedGraph<Op>>> {
        let known = self.linear.get().filter(|known| known.slots[..] == *slots);
        known.map(|known| Arc::clone(&known.linear))
    }

    /// Offers a linear graph to be kept.
    pub fn offer(&self, slots: SmallVec<[usize; 2]>, linear: &Arc<LinearizedGraph<Op>>) {
        if self.visited.swap(true, Ordering::Relaxed) {
            let linear = Arc::clone(linear);
            // Whoever comes first is kept: all derive the same.
            self.linear
                .get_or_init(|| Box::new(Linearization { slots, linear }));
        }
    }
}

/// An input of a recorded call.
pub(crate) enum Edge<Op: GraphOperation> {
    /// Takes no part in differentiation.
    Inactive,
    /// A value that no recorded call produced.
    Leaf(ValueKey<Op>),
    /// A result of a recorded call.
    Output {
        node: Arc<TraceNode<Op>>,
        slot: usize,
    },
}

/// The keys of a call's results. Most calls have one or two; a search through the keys of one that
/// has thousands, for each of its users, would be quadratic.
pub(crate) struct OutputKeys<Op: GraphOperation> {
    keys: SmallVec<[ValueKey<Op>; 1]>,
    /// There where there are more than `SEARCHED` keys.
    slots: Option<HashMap<ValueKey<Op>, usize>>,
}

impl<Op: GraphOperation> OutputKeys<Op> {
    const SEARCHED: usize = 8;

    pub fn new(keys: SmallVec<[ValueKey<Op>; 1]>) -> Self {
        let numbered = keys.iter().cloned().zip(0..);
        let slots = (keys.len() > Self::SEARCHED).then(|| numbered.collect());
        Self { keys, slots }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn slot_of(&self, key: &ValueKey<Op>) -> Option<usize> {
        match &self.slots {
            None => self.keys.iter().position(|output| output == key),
            Some(slots) => slots.get(key).copied(),
        }
    }
}

/// Takes the history apart with a list of its own: a drop written by the compiler recurses as deep
/// as the trace is long.
impl<Op: GraphOperation> Drop for TraceNode<Op> {
    fn drop(&mut self) {
        let mut orphans: Vec<Edge<Op>> = Vec::new();
        orphans.extend(std::mem::take(&mut self.edges));
        while let Some(orphan) = orphans.pop() {
            if let Edge::Output { node, .. } = orphan
                && let Some(mut last) = Arc::into_inner(node)
            {
                orphans.extend(std::mem::take(&mut last.edges));
            }
        }
    }
}
