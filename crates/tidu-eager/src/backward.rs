//! Going backward over a trace.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;
use tidu_ad::{
    ADRuleError, ADRuleResult, CotangentSum, Cotangents, LinearizedGraph, Primitive,
    PrimitiveGraph, WalkStep, pull_back,
};
use tidu_graph::{GraphOperation, ValueKey};

use crate::error::EagerError;
use crate::shared::{SharedMaps, Slots, check_retained, linearize_seeded};
use crate::trace::{Edge, Trace, TraceNode};

/// How a downstream runtime computes what going backward needs.
pub trait BackwardExecutor<Op: Primitive> {
    /// Computes the values of a graph.
    ///
    /// `graph` is the linearized graph of one call. `initial_data` holds what was saved of the call, under
    /// the keys that the graph uses. Where rules have no context, calls of one operation share a graph,
    /// which names inputs as the first of them did: a key says where in `initial_data` to find a value,
    /// and nothing about which call it is of.
    ///
    /// The result must hold that and the values of the graph, with zero for tangent inputs. What
    /// [`run_transposed_linear`](Self::run_transposed_linear) is given as `external_data` is this
    /// result.
    fn execute_forward(
        &mut self,
        graph: PrimitiveGraph<'_, Op>,
        initial_data: &HashMap<ValueKey<Op>, Arc<Op::Operand>>,
    ) -> HashMap<ValueKey<Op>, Arc<Op::Operand>>;

    /// Applies the transpose of a linear graph to cotangents, usually through
    /// [`try_linear_transpose_with_builder`](tidu_ad::try_linear_transpose_with_builder).
    ///
    /// `cotangent_out` holds one cotangent per active output of `linear`; the result must hold one per
    /// input of it, `None` for zero.
    ///
    /// # Errors
    ///
    /// What the runtime sees fit.
    fn run_transposed_linear(
        &mut self,
        linear: &LinearizedGraph<Op>,
        cotangent_out: &[Option<Arc<Op::Operand>>],
        external_data: &HashMap<ValueKey<Op>, Arc<Op::Operand>>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Vec<Option<Arc<Op::Operand>>>>;

    /// Adds two cotangents.
    fn add_operands(&mut self, a: &Arc<Op::Operand>, b: &Arc<Op::Operand>) -> Arc<Op::Operand>;
}

/// Computes the gradients of the leaves that a recorded value depends on.
///
/// For a value y with the trace of its history and the cotangent `seed` ȳ, the result holds
/// (∂y/∂x)ᵀ·ȳ for every leaf x with `requires_grad`, by the leaf's key. A leaf that y does not depend
/// on is not in it. A value without a trace is a leaf itself, and its gradient the seed.
///
/// One pass in reverse order of recording: each call is linearized once, with respect to those inputs
/// that require gradients, and for those outputs that have a cotangent; cotangents of values in
/// between are dropped once used. A call that is gone over a second time keeps its linear graph for
/// later times, if its rules have no context to keep state in.
///
/// # Errors
///
/// What rules and executor return; [`EagerError`], as [`ADRuleError::Runtime`], for a key that the
/// trace does not produce, a value that was not retained, and the wrong number of cotangents.
///
/// # Complexity
///
/// Linear in the size of the recorded graphs, with constant stack.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the signature is a published one"
)]
pub fn try_backward<Op: Primitive>(
    output_key: &ValueKey<Op>,
    output_trace: Option<&Trace<Op>>,
    seed: Arc<Op::Operand>,
    executor: &mut impl BackwardExecutor<Op>,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<HashMap<ValueKey<Op>, Arc<Op::Operand>>> {
    let Some(trace) = output_trace else {
        return Ok(HashMap::from([(output_key.clone(), seed)]));
    };
    let slot = trace
        .node
        .slot_of(output_key, || "the value to differentiate".into())?;
    let (order, positions) = topological_order(&trace.node);
    let values = order.iter().map(|(node, _)| node.output_keys.len()).sum();
    let mut cotangents = Cotangents::new(values, Vec::new());
    let mut pass = Backward {
        positions: &positions,
        leaves: HashMap::new(),
        shared: SharedMaps::new(),
        executor,
        ctx,
    };
    let last = first_of(&positions, &trace.node);
    pass.accumulate(last + slot, seed, &mut cotangents);
    let calls = order.into_iter().map(|(node, first)| Call {
        node,
        first,
        positions: &positions,
    });
    pull_back(calls, &mut cotangents, |call, cotangents| {
        pass.visit(&call, cotangents)
    })?;
    let leaves = pass.leaves.into_iter();
    Ok(leaves
        .filter_map(|(key, at)| Some((key, cotangents.take(at)?)))
        .collect())
}

/// By result of a call, then by leaf.
type Gathered<Op> = Cotangents<Arc<<Op as GraphOperation>::Operand>, Infallible>;

/// A call as the walk sees it.
struct Call<'a, Op: GraphOperation> {
    node: &'a TraceNode<Op>,
    /// The position of its first result.
    first: usize,
    positions: &'a Positions,
}

impl<Op: GraphOperation> WalkStep for Call<'_, Op> {
    fn operands(&self) -> impl Iterator<Item = usize> {
        self.node.edges.iter().filter_map(|edge| match edge {
            Edge::Output { node, slot } => Some(first_of(self.positions, node) + slot),
            Edge::Leaf(_) | Edge::Inactive => None,
        })
    }

    fn results(&self) -> Range<usize> {
        self.first..self.first + self.node.output_keys.len()
    }
}

struct Backward<'a, Op: Primitive, E> {
    positions: &'a Positions,
    /// Where in the list each is.
    leaves: HashMap<ValueKey<Op>, usize>,
    shared: SharedMaps<Op>,
    executor: &'a mut E,
    ctx: &'a mut Op::ADContext,
}

/// Adds cotangents as an executor does; none of them has a mask.
struct Sum<'a, Op, E> {
    executor: &'a mut E,
    of: PhantomData<Op>,
}

impl<Op: Primitive, E: BackwardExecutor<Op>> CotangentSum for Sum<'_, Op, E> {
    type Value = Arc<Op::Operand>;
    type Mask = Infallible;
    type Error = Infallible;

    fn add(&mut self, [a, b]: [&Self::Value; 2]) -> Result<Self::Value, Infallible> {
        Ok(self.executor.add_operands(a, b))
    }

    fn keep(&mut self, _: &Self::Value, mask: &Infallible) -> Result<Self::Value, Infallible> {
        match *mask {}
    }

    fn either(&mut self, [mask, _]: [&Infallible; 2]) -> Result<Infallible, Infallible> {
        Ok(*mask)
    }
}

impl<Op: Primitive, E: BackwardExecutor<Op>> Backward<'_, Op, E> {
    fn visit(&mut self, call: &Call<'_, Op>, all: &mut Gathered<Op>) -> ADRuleResult<()> {
        let node = call.node;
        let seeded = call.results().enumerate();
        let seeded = seeded.filter_map(|(slot, at)| Some((slot, Some(all.take(at)?))));
        let (slots, seeds): (Slots, Seeds<Op>) = seeded.unzip();
        let own;
        let (linear, saved) = match self.shared.find(node, &slots, self.ctx)? {
            Some(shared) => (&*shared.linear, &shared.values),
            None => {
                own = linearize_seeded(node, slots, self.ctx)?;
                check_retained(node, &own, node.saved_values())?;
                (&*own, node.saved_values())
            }
        };
        let seeds = linear.tangent_outputs().iter().zip(seeds);
        let active = seeds.filter_map(|(tangent, seed)| tangent.map(|_| seed));
        let seeds: Seeds<Op> = active.collect();
        if seeds.is_empty() {
            return Ok(());
        }
        let graph = PrimitiveGraph::new(linear.as_graph());
        let values = self.executor.execute_forward(graph, saved);
        let cotangents = self
            .executor
            .run_transposed_linear(linear, &seeds, &values, self.ctx)?;
        if cotangents.len() != linear.tangent_inputs().len() {
            return Err(ADRuleError::from(EagerError::WrongCotangentCount {
                primitive: node.graph.describe(),
                expected: linear.tangent_inputs().len(),
                found: cotangents.len(),
            }));
        }
        for (edge, cotangent) in node.active_edges().zip(cotangents) {
            if let Some(cotangent) = cotangent
                && let Some(to) = self.position_of(edge, all)
            {
                self.accumulate(to, cotangent, all);
            }
        }
        Ok(())
    }

    /// Where the cotangent of an input is added up.
    fn position_of(&mut self, edge: &Edge<Op>, all: &mut Gathered<Op>) -> Option<usize> {
        match edge {
            Edge::Inactive => None,
            Edge::Output { node, slot } => Some(first_of(self.positions, node) + slot),
            Edge::Leaf(key) => Some(match self.leaves.get(key) {
                Some(known) => *known,
                None => {
                    let at = all.len();
                    all.resize(at + 1);
                    self.leaves.insert(key.clone(), at);
                    at
                }
            }),
        }
    }

    fn accumulate(&mut self, to: usize, cotangent: Arc<Op::Operand>, all: &mut Gathered<Op>) {
        let mut sum = Sum {
            executor: &mut *self.executor,
            of: PhantomData::<Op>,
        };
        let Ok(()) = all.add(to, cotangent, None, &mut sum);
    }
}

/// Cotangents of some results of a call.
type Seeds<Op> = SmallVec<[Option<Arc<<Op as GraphOperation>::Operand>>; 1]>;

impl<Op: GraphOperation> TraceNode<Op> {
    fn active_edges(&self) -> impl Iterator<Item = &Edge<Op>> {
        let edges = self.edges.iter();
        edges.filter(|edge| !matches!(edge, Edge::Inactive))
    }
}

/// By address of a node: the position of its first result among all. Only looked up, never iterated.
type Positions = HashMap<usize, usize, BuildHasherDefault<AddressHasher>>;

fn first_of<Op: GraphOperation>(positions: &Positions, node: &TraceNode<Op>) -> usize {
    positions[&std::ptr::from_ref(node).addr()]
}

/// The calls that a node depends on through active inputs, and itself, inputs first, each with the position of its
/// first result.
fn topological_order<Op: GraphOperation>(
    last: &Arc<TraceNode<Op>>,
) -> (Vec<(&TraceNode<Op>, usize)>, Positions) {
    let mut positions = Positions::default();
    positions.insert(Arc::as_ptr(last).addr(), 0);
    let mut values = last.output_keys.len();
    let mut order = Vec::new();
    let mut open: Vec<(&TraceNode<Op>, usize, usize)> = vec![(&**last, 0, 0)];
    while let Some((node, first, next_edge)) = open.last_mut() {
        match node.edges.get(*next_edge) {
            Some(edge) => {
                *next_edge += 1;
                let Edge::Output { node, .. } = edge else {
                    continue;
                };
                if let Entry::Vacant(vacant) = positions.entry(Arc::as_ptr(node).addr()) {
                    vacant.insert(values);
                    open.push((&**node, values, 0));
                    values += node.output_keys.len();
                }
            }
            None => {
                order.push((*node, *first));
                open.pop();
            }
        }
    }
    (order, positions)
}

/// Spreads addresses, of which the lowest bits are the same, over all bits of a digest.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, address: usize) {
        let product = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }
}
