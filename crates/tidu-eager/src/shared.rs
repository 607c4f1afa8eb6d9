//! The linear maps of calls, and which of them many calls of a trace have in common.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;
use tidu_ad::{ADRuleError, ADRuleResult, LinearizedGraph, Primitive, free_pass, try_linearize};
use tidu_graph::{GraphOperation, ValueKey, ValueRef, describe_key, resolve};

use crate::error::EagerError;
use crate::trace::{Edge, TraceNode, Values};

/// Output slots of a call.
pub(crate) type Slots = SmallVec<[usize; 2]>;

/// The linear maps of the operations that one pass has come across. Two calls of an operation, with the
/// same inputs active, the same outputs seeded and the same results retained, have the same map but
/// for the names of what it uses; so the second is given that of the first, and its values under the
/// names of the first.
pub(crate) struct SharedMaps<Op: GraphOperation> {
    maps: Vec<SharedMap<Op>>,
    by_operation: HashMap<Op, SmallVec<[usize; 2]>>,
}

/// A linear map, and the values of the call at hand, under the names of the first such call.
pub(crate) struct SharedMap<Op: GraphOperation> {
    pub linear: Arc<LinearizedGraph<Op>>,
    pub values: Values<Op>,
    kind: CallKind,
    /// What each of the values is, in the order in which the table yields them.
    sources: Vec<Source>,
}

/// What the linear map of an operation depends on.
#[derive(PartialEq, Eq)]
struct CallKind {
    active: SmallVec<[bool; 4]>,
    slots: Slots,
    /// Those of the results that were retained.
    retained: SmallVec<[usize; 2]>,
}

#[derive(Clone, Copy)]
enum Source {
    Input(usize),
    Output(usize),
}

impl<Op: Primitive> SharedMaps<Op> {
    pub fn new() -> Self {
        Self {
            maps: Vec::new(),
            by_operation: HashMap::new(),
        }
    }

    /// The map of a call for these output slots, with the values of the call; `None` for one that has
    /// nothing in common with others: a graph of several operations, rules with a context to keep
    /// state in, and anything retained besides results and operands.
    pub fn find(
        &mut self,
        node: &TraceNode<Op>,
        slots: &Slots,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Option<&SharedMap<Op>>> {
        let Some(operation) = node
            .graph
            .primitive()
            .filter(|_| !Op::rules_look_into_context())
        else {
            return Ok(None);
        };
        let Some(retained) = retained_results(node) else {
            return Ok(None);
        };
        let edges = node.edges.iter();
        let kind = CallKind {
            active: edges.map(|edge| !matches!(edge, Edge::Inactive)).collect(),
            slots: slots.clone(),
            retained,
        };
        let known = self.by_operation.get(operation).into_iter().flatten();
        let known = known.copied().find(|&at| self.maps[at].kind == kind);
        let at = match known {
            Some(at) => at,
            None => {
                let map = SharedMap::of(node, kind, ctx)?;
                let of_operation = self.by_operation.entry(operation.clone()).or_default();
                of_operation.push(self.maps.len());
                self.maps.push(map);
                self.maps.len() - 1
            }
        };
        self.maps[at].load(node);
        Ok(Some(&self.maps[at]))
    }
}

impl<Op: Primitive> SharedMap<Op> {
    fn of(node: &TraceNode<Op>, kind: CallKind, ctx: &mut Op::ADContext) -> ADRuleResult<Self> {
        let linear = linearize_seeded(node, kind.slots.clone(), ctx)?;
        let mut values = node.saved_values().clone();
        // An executor adds the values of the graph to a copy, which then has room for them.
        values.reserve(linear.as_graph().values().len());
        check_retained(node, &linear, &values)?;
        let inputs = node.graph.input_keys().iter().cloned();
        let inputs = inputs.map(ValueKey::Input).zip((0..).map(Source::Input));
        let results = kind.retained.iter();
        let results = results.map(|&slot| {
            let key = node.graph.output_keys()[slot].clone();
            (key, Source::Output(slot))
        });
        // An input that is retained as well is an input.
        let sources: HashMap<ValueKey<Op>, Source> = results.chain(inputs).collect();
        let sources = values.keys().map(|key| sources[key]).collect();
        Ok(Self {
            linear,
            values,
            kind,
            sources,
        })
    }

    /// Puts the values of a call in place of those of the call before.
    fn load(&mut self, node: &TraceNode<Op>) {
        for (value, source) in self.values.values_mut().zip(&self.sources) {
            let found = match *source {
                Source::Input(at) => &node.data[at],
                Source::Output(slot) => &node.retained[&node.graph.output_keys()[slot]],
            };
            *value = Arc::clone(found);
        }
    }
}

/// Which results of a call were retained; `None` if something else was, but for operands, which are kept
/// anyway.
fn retained_results<Op: GraphOperation>(node: &TraceNode<Op>) -> Option<SmallVec<[usize; 2]>> {
    if node.retained.is_empty() {
        return Some(SmallVec::new());
    }
    let outputs = node.graph.output_keys().iter().enumerate();
    let retained: SmallVec<[usize; 2]> = outputs
        .filter(|(_, key)| node.retained.contains_key(key))
        .map(|(slot, _)| slot)
        .collect();
    let inputs = node.graph.input_keys().iter();
    let inputs = inputs.filter(|key| {
        let key = ValueKey::Input((*key).clone());
        node.retained.contains_key(&key)
    });
    let known = retained.len() + inputs.count();
    (known == node.retained.len()).then_some(retained)
}

/// The linear graph of a call from its active inputs to its seeded outputs.
pub(crate) fn linearize_seeded<Op: Primitive>(
    node: &TraceNode<Op>,
    slots: Slots,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<Arc<LinearizedGraph<Op>>> {
    if let Some(linear) = node.memo.recall(&slots) {
        return Ok(linear);
    }
    let linear = Arc::new(linearize_slots(node, &slots, ctx)?);
    if !Op::rules_look_into_context() {
        node.memo.offer(slots, &linear);
    }
    Ok(linear)
}

fn linearize_slots<Op: Primitive>(
    node: &TraceNode<Op>,
    slots: &[usize],
    ctx: &mut Op::ADContext,
) -> ADRuleResult<LinearizedGraph<Op>> {
    let inputs = node.graph.input_keys().iter().zip(&node.edges);
    let wrt: Vec<Op::InputKey> = inputs
        .filter(|(_, edge)| !matches!(edge, Edge::Inactive))
        .map(|(key, _)| key.clone())
        .collect();
    let keys = node.graph.output_keys();
    let outputs: Vec<ValueKey<Op>> = slots.iter().map(|&slot| keys[slot].clone()).collect();
    let view = resolve(vec![Arc::clone(node.graph.shared_graph())]);
    // A recorded graph may itself hold tangents of earlier passes. These never leave the node.
    let pass = free_pass(&view, &wrt, outputs.len())?;
    try_linearize(&view, &outputs, &wrt, pass, ctx, &HashMap::new())
}

/// Fails if the linear graph needs a value that was not saved.
pub(crate) fn check_retained<Op: Primitive>(
    node: &TraceNode<Op>,
    linear: &LinearizedGraph<Op>,
    saved: &Values<Op>,
) -> ADRuleResult<()> {
    for operation in linear.as_graph().operations() {
        for operand in &operation.inputs {
            if let ValueRef::External(key) = operand
                && !saved.contains_key(key)
            {
                return Err(ADRuleError::from(EagerError::MissingRetained {
                    primitive: node.graph.describe(),
                    key: describe_key(key),
                }));
            }
        }
    }
    Ok(())
}
