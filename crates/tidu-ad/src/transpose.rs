//! From a linear map to its adjoint.

use std::collections::HashSet;
use std::sync::Arc;

use smallvec::SmallVec;
use tidu_graph::{
    Graph, GraphBuilder, GraphKind, LocalOperationId, LocalValueId, OperationKey, OperationRole,
    Step, StepOperand, describe_operation,
};

use crate::cotangents::Cotangents;
use crate::linearized_graph::{Emissions, LinearizedGraph, OutputLabels};
use crate::masks::{Cotangent, Mask, MaskId, Masks, Passed};
use crate::rules::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleScope, note_same_type,
};
use crate::verify::{depends_on_tangent, inactive_tangents, verified};
use crate::walk::pull_back;

/// Transposes a linear map.
///
/// # Panics
///
/// Where [`try_linear_transpose`] returns an error, with the same text.
#[track_caller]
pub fn linear_transpose<Op: Primitive>(
    linear: &LinearizedGraph<Op>,
    ctx: &mut Op::ADContext,
) -> LinearizedGraph<Op> {
    match try_linear_transpose(linear, ctx) {
        Ok(transposed) => transposed,
        Err(error) => panic!("{error}"),
    }
}

/// Transposes a linear map.
///
/// For the map ẋ ↦ J·ẋ, the result is the graph of ȳ ↦ Jᵀ·ȳ: ⟨ȳ, J·ẋ⟩ = ⟨Jᵀ·ȳ, ẋ⟩ with respect to the
/// inner product ⟨a, b⟩ = Re(conj(a)·b), summed over components. (JAX: `jax.linear_transpose`.)
///
/// - `tangent_inputs()` of the result are the cotangent seeds of the map's active outputs, in order;
///   `tangent_outputs()` follow the map's `tangent_inputs()`, `None` being a symbolic zero.
/// - Seeds are named after the map's first tangent input ([`ADKey::cotangent_of`]), which carries
///   the pass: maps of different passes never share a seed.
/// - The result may refer to values of the linear graph (work there that no tangent enters), which
///   is its parent, and through it to the primal graph.
///
/// # Errors
///
/// What a rule returns or does wrong; [`ADRuleError::NotLinear`], [`ADRuleError::InvalidAdd`],
/// [`ADRuleError::NameCollision`]; [`ADRuleError::Unverified`] in builds with debug assertions.
///
/// # Complexity
///
/// Linear in the size of the map plus what the rules emit, with constant stack.
pub fn try_linear_transpose<Op: Primitive>(
    linear: &LinearizedGraph<Op>,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<LinearizedGraph<Op>> {
    let mut builder = GraphBuilder::new();
    builder.reserve(linear.as_graph().operation_count());
    builder.set_kind(GraphKind::Transposed);
    builder.add_parent(Arc::new(linear.as_graph().clone()));
    let seeds: Vec<(Op::InputKey, LocalValueId)> = seed_keys(linear)?
        .into_iter()
        .map(|key| (key.clone(), builder.add_input(key)))
        .collect();
    let seed_ids: Vec<_> = seeds.iter().map(|(_, id)| Some(*id)).collect();
    let mut emissions = Emissions::default();
    let cotangents = transpose_into(linear, &mut builder, &seed_ids, ctx, &mut emissions)?;
    builder.set_outputs(cotangents.iter().copied().flatten().collect());
    let inputs = linear.tangent_inputs().iter();
    let labels = OutputLabels::Cotangents(inputs.map(|(key, _)| key.clone()).collect());
    let transposed = LinearizedGraph::new(
        builder.build(),
        linear.primal().to_vec(),
        seeds,
        cotangents,
        labels,
        emissions,
    );
    verified(transposed, ADRuleKind::Transpose)
}

/// Transposes a linear map straight into a builder: a graph, or a runtime that computes what it is
/// given.
///
/// `cotangent_seeds` holds one id of `builder` an active output of the map, in order; `None` is a
/// symbolic zero. The result holds one an input of the map, in order.
///
/// Operations are visited in reverse order, each once, and only if they lie on a path from a tangent
/// input to a seeded output. Cotangents that meet are added in the order in which they arise.
///
/// # Errors
///
/// As for [`try_linear_transpose`], and [`ADRuleError::WrongSeedCount`].
///
/// # Complexity
///
/// Linear in the size of the map plus what the rules emit, with constant stack.
pub fn try_linear_transpose_with_builder<Op: Primitive>(
    linear: &LinearizedGraph<Op>,
    builder: &mut impl PrimitiveBuilder<Op>,
    cotangent_seeds: &[Option<LocalValueId>],
    ctx: &mut Op::ADContext,
) -> ADRuleResult<Vec<Option<LocalValueId>>> {
    transpose_into(linear, builder, cotangent_seeds, ctx, &mut Unobserved)
}

/// Is told how a transposition goes.
pub(crate) trait Observer<Op: Primitive, B> {
    /// The rule of an operation is about to be called.
    fn enter(&mut self, _operation: &Arc<OperationKey<Op>>, _builder: &B) {}

    /// The rule of an operation returned a symbolic zero for an operand that depends on a tangent.
    fn died(&mut self, _operation: LocalOperationId, _operand: usize) {}

    /// A rule failed. Unless this fails too, some cotangent takes the place of those that the rule
    /// would have returned, and the walk goes on.
    fn failed(&mut self, error: ADRuleError) -> ADRuleResult<()> {
        Err(error)
    }
}

pub(crate) struct Unobserved;

impl<Op: Primitive, B> Observer<Op, B> for Unobserved {}

/// Attributes what is emitted into a graph to the operation whose rule emits it.
impl<Op: Primitive> Observer<Op, GraphBuilder<Op>> for Emissions<Op> {
    fn enter(&mut self, operation: &Arc<OperationKey<Op>>, builder: &GraphBuilder<Op>) {
        self.begin(builder, operation);
    }
}

/// Transposes with seeds of which nothing is known.
pub(crate) fn transpose_into<Op: Primitive, B: PrimitiveBuilder<Op>>(
    linear: &LinearizedGraph<Op>,
    builder: &mut B,
    cotangent_seeds: &[Option<LocalValueId>],
    ctx: &mut Op::ADContext,
    observer: &mut impl Observer<Op, B>,
) -> ADRuleResult<Vec<Option<LocalValueId>>> {
    let mut masks = Masks::new();
    let seeds = cotangent_seeds
        .iter()
        .map(|seed| seed.map(|value| Cotangent { value, mask: None }));
    let seeds: Vec<_> = seeds.collect();
    let found = transpose_masked(linear, builder, &seeds, &mut masks, ctx, observer)?;
    let kept = found.into_iter().map(|found| match found {
        Some(cotangent) => Ok(Some(masks.kept(cotangent, builder, ctx)?.value)),
        None => Ok(None),
    });
    kept.collect()
}

/// Transposes with seeds that may have masks, and returns cotangents with theirs.
pub(crate) fn transpose_masked<Op: Primitive, B: PrimitiveBuilder<Op>>(
    linear: &LinearizedGraph<Op>,
    builder: &mut B,
    seeds: &[Option<Cotangent>],
    masks: &mut Masks<Op>,
    ctx: &mut Op::ADContext,
    observer: &mut impl Observer<Op, B>,
) -> ADRuleResult<Vec<Option<Cotangent>>> {
    let graph = linear.as_graph();
    if seeds.len() != graph.outputs().len() {
        return Err(ADRuleError::WrongSeedCount {
            expected: graph.outputs().len(),
            found: seeds.len(),
        });
    }
    // A cotangent belongs to an occurrence, not to a structure: two equal operations each have their own.
    let mut cotangents = Cotangents::new(graph.values().len(), Vec::new());
    let mut transposer = Transposer {
        graph,
        on_tangent: depends_on_tangent(linear),
        operands: Vec::new(),
        masks,
        builder,
        ctx,
    };
    for (&output, &seed) in graph.outputs().iter().zip(seeds) {
        let Some(Cotangent { value, mask }) = seed else {
            continue;
        };
        transposer
            .note_seed(output, value)
            .map_err(|error| error.during(ADRuleKind::Transpose))?;
        transposer.accumulate(output, value, mask, &mut cotangents)?;
    }
    let steps = graph.steps().enumerate().map(|(id, step)| (step, id));
    pull_back(steps, &mut cotangents, |(step, id), cotangents| {
        transposer.transpose(id, step, cotangents, observer)
    })?;
    let inputs = linear.tangent_inputs().iter();
    Ok(inputs.map(|(_, id)| cotangents.get(*id)).collect())
}

/// By local value.
type CotangentIds = Cotangents<LocalValueId, MaskId>;

struct Transposer<'a, Op: Primitive, B> {
    graph: &'a Graph<Op>,
    /// By local value: whether it depends on a tangent input.
    on_tangent: Vec<bool>,
    /// Those that a rule is given, here to use their memory again.
    operands: Vec<PrimitiveValue<Op>>,
    masks: &'a mut Masks<Op>,
    builder: &'a mut B,
    ctx: &'a mut Op::ADContext,
}

impl<Op: Primitive, B: PrimitiveBuilder<Op>> Transposer<'_, Op, B> {
    /// Tells the context that a seed is of the type of its output.
    fn note_seed(&mut self, output: LocalValueId, seed: LocalValueId) -> ADRuleResult<()> {
        match self.builder.key_of(seed) {
            Some(seed) => note_same_type(&seed, &self.graph.values()[output].key, self.ctx),
            None => Ok(()),
        }
    }

    /// Adds to the cotangent of a value, be it by a seed or by a rule's result.
    #[inline]
    fn accumulate(
        &mut self,
        value: LocalValueId,
        new: LocalValueId,
        mask: Option<Mask>,
        cotangents: &mut CotangentIds,
    ) -> ADRuleResult<()> {
        if !self.on_tangent[value] {
            return Ok(());
        }
        let mut sum = self.masks.sum(self.builder, self.ctx);
        cotangents.add(value, new, mask, &mut sum)
    }

    /// Hands an operation's cotangents on to its operands.
    fn transpose(
        &mut self,
        id: LocalOperationId,
        step: Step<'_, Op>,
        all: &mut CotangentIds,
        observer: &mut impl Observer<Op, B>,
    ) -> ADRuleResult<()> {
        self.check_linear(step)?;
        observer.enter(step.key, self.builder);
        let masks = if !all.has_masks() && !self.masks.come_from(step.key.operation()) {
            None
        } else {
            self.pass_masks(step, all)?
        };
        let cotangents = all.values(step.results());
        let (operation, keys) = (step.key.operation(), step.key.inputs());
        let operands = &mut self.operands;
        operands.clear();
        operands.extend(keys.iter().cloned().map(PrimitiveValue::External));
        let mut scope = RuleScope::new(self.builder, operation, ADRuleKind::Transpose, cotangents);
        let role = step.key.role();
        let of_results = masks.as_ref().and_then(|masks| masks.of_results.as_ref());
        if let Some(&PrimitiveValue::Local(mask)) = of_results {
            scope.give(mask);
        }
        let ctx = &mut *self.ctx;
        let returned = match of_results {
            None => {
                operation.try_linear_transpose_rule(&mut scope, cotangents, operands, role, ctx)
            }
            Some(mask) => operation
                .try_masked_transpose_rule(&mut scope, cotangents, mask, operands, role, ctx),
        };
        let returned = match returned {
            Ok(returned) => scope.finish(keys.len(), returned)?,
            Err(error) => {
                observer.failed(error.during(ADRuleKind::Transpose))?;
                let any = cotangents.iter().copied().flatten().next();
                vec![any; keys.len()]
            }
        };
        for (at, (operand, cotangent)) in step.operands().zip(returned).enumerate() {
            let StepOperand::Local(value) = operand else {
                continue;
            };
            match cotangent {
                Some(cotangent) => {
                    let mask = masks.as_ref().and_then(|masks| masks.of_operands[at]);
                    self.accumulate(value, cotangent, mask, all)?;
                }
                None if self.on_tangent[value] => observer.died(id, at),
                None => {}
            }
        }
        Ok(())
    }

    /// The masks that go through an operation: none where nothing is selected.
    #[cold]
    fn pass_masks(
        &mut self,
        step: Step<'_, Op>,
        all: &mut CotangentIds,
    ) -> ADRuleResult<Option<Passed<Op>>> {
        let results = step.results();
        let cotangents = results.clone().map(|value| all.get(value));
        let mut cotangents: SmallVec<[_; 2]> = cotangents.collect();
        let mut arriving = cotangents.iter().flatten();
        let arrive = arriving.any(|cotangent| cotangent.mask.is_some());
        if !arrive && !self.masks.come_from(step.key.operation()) {
            return Ok(None);
        }
        let OperationRole::Linearized { active_mask } = step.key.role() else {
            return Ok(None);
        };
        let (masks, builder) = (&mut *self.masks, &mut *self.builder);
        let passed = masks.pass(step.key, active_mask, &mut cotangents, builder, self.ctx)?;
        for (value, cotangent) in results.zip(cotangents) {
            if let Some(cotangent) = cotangent {
                all.set(value, cotangent);
            }
        }
        Ok(Some(passed))
    }

    /// Fails if an operand that depends on a tangent is not marked active.
    fn check_linear(&self, step: Step<'_, Op>) -> ADRuleResult<()> {
        let not_linear = |reason: String| {
            Err(ADRuleError::NotLinear {
                op: describe_operation(step.key.operation()),
                value: step.results().start,
                reason,
            })
        };
        if *step.key.role() == OperationRole::Primary {
            return not_linear("it has the role of a primal operation".into());
        }
        let Some(operand) = inactive_tangents(step, &self.on_tangent).next() else {
            return Ok(());
        };
        let place = match step.operands().nth(operand) {
            Some(StepOperand::Local(id)) => format!("operand {operand}, %{id},"),
            _ => format!("operand {operand}"),
        };
        not_linear(format!(
            "{place} depends on a tangent but is not marked active"
        ))
    }
}

/// One name an active output, none of them given twice, nor that of an input of the map: seeds and
/// tangents may meet in one view.
fn seed_keys<Op: Primitive>(linear: &LinearizedGraph<Op>) -> ADRuleResult<Vec<Op::InputKey>> {
    let graph = linear.as_graph();
    let mut taken: HashSet<&Op::InputKey> = HashSet::with_capacity(graph.inputs().len());
    taken.extend(
        linear
            .tangent_inputs()
            .iter()
            .map(|&(_, id)| graph.input_key(id)),
    );
    let Some(&(_, first)) = linear.tangent_inputs().first() else {
        // Without tangent inputs no output is active.
        return Ok(Vec::new());
    };
    let first = graph.input_key(first);
    let keys: Vec<_> = (0..graph.outputs().len())
        .map(|output| first.cotangent_of(output))
        .collect();
    match keys.iter().find(|&key| !taken.insert(key)) {
        None => Ok(keys),
        Some(key) => Err(ADRuleError::NameCollision {
            rule: ADRuleKind::Transpose,
            key: describe_operation(key),
        }),
    }
}
