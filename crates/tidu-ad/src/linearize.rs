//! From a graph to the linear map of its tangents.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tidu_graph::{
    GraphBuilder, GraphError, GraphKind, GraphOperation, LocalValueId, ResolvedView,
    TableOperation, ValueId, ValueKey, ValueOrigin, describe_key, describe_operation,
};

use crate::linearized_graph::{Emissions, LinearizedGraph, OutputLabels};
use crate::rules::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, FIRST_RESERVED_PASS, Primitive,
    RuleScope, note_same_type,
};
use crate::verify::verified;
use crate::walk::{WalkStep, push_forward};

/// Derives the linear map from tangents of `wrt` to tangents of `outputs`.
///
/// # Panics
///
/// Where [`try_linearize`] returns an error, with the same text.
#[track_caller]
#[allow(clippy::implicit_hasher, reason = "the signature is a published one")]
pub fn linearize<Op: Primitive>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
    wrt: &[Op::InputKey],
    pass: DiffPassId,
    ctx: &mut Op::ADContext,
    aliases: &HashMap<Op::InputKey, ValueKey<Op>>,
) -> LinearizedGraph<Op> {
    match try_linearize(view, outputs, wrt, pass, ctx, aliases) {
        Ok(linear) => linear,
        Err(error) => panic!("{error}"),
    }
}

/// Derives the linear map from tangents of `wrt` to tangents of `outputs`.
///
/// For the function y = f(x) that the view computes from the inputs `wrt` = (x₁, …, xₙ) to `outputs`
/// = (y₁, …, yₘ), the result is the graph of ẋ ↦ J(x)·ẋ, where J is the Jacobian of f. (JAX:
/// `jax.linearize`.)
///
/// - `tangent_inputs()` of the result follow `wrt`, `tangent_outputs()` follow `outputs`. An output
///   that depends on none of `wrt` has the symbolic zero `None`; so an input that no output depends
///   on is no error.
/// - Each primal operation that the outputs need is linearized once, in the order of a walk in depth
///   from the first output to the last. The rule of an operation none of whose operands depends on
///   `wrt` is not called.
/// - `pass` tells these tangents from those of other passes: a view that has this pass's tangents
///   among its inputs already is refused.
/// - `aliases` says that an input *is* another value: the input then has that value's tangent. An
///   input of `wrt` keeps its own.
///
/// # Errors
///
/// What a rule returns or does wrong; [`ADRuleError::Graph`] for an output or operand that no graph
/// of the view defines; [`ADRuleError::RepeatedInput`], [`ADRuleError::PassReused`],
/// [`ADRuleError::ReservedPass`], [`ADRuleError::NameCollision`],
/// [`ADRuleError::UnknownAliasTarget`], [`ADRuleError::AliasCycle`]; [`ADRuleError::Unverified`] in
/// builds with debug assertions.
///
/// # Complexity
///
/// Linear in the size of the view plus what the rules emit, with constant stack.
#[allow(clippy::implicit_hasher, reason = "the signature is a published one")]
pub fn try_linearize<Op: Primitive>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
    wrt: &[Op::InputKey],
    pass: DiffPassId,
    ctx: &mut Op::ADContext,
    aliases: &HashMap<Op::InputKey, ValueKey<Op>>,
) -> ADRuleResult<LinearizedGraph<Op>> {
    let (linear, _) = linearize_unverified(view, outputs, wrt, pass, ctx, aliases)?;
    verified(linear, ADRuleKind::Jvp)
}

/// A pass that no tangent of the view's inputs, nor a later cotangent seed, is in the way of: for
/// differentiations whose tangents nobody names.
///
/// # Errors
///
/// [`ADRuleError::RepeatedInput`], [`ADRuleError::NameCollision`]; [`ADRuleError::PassReused`] for a
/// key type whose names leave no pass free.
///
/// # Complexity
///
/// One look-up for each of `wrt` and `outputs` in the usual case that the view holds no tangents.
pub fn free_pass<Op: Primitive>(
    view: &ResolvedView<Op>,
    wrt: &[Op::InputKey],
    outputs: usize,
) -> ADRuleResult<DiffPassId> {
    let taken = |name: &Op::InputKey| view.find(&ValueKey::Input(name.clone())).is_some();
    // Names being injective, each value of the view is in the way of one pass at most.
    let (pass, _) = free_names(wrt, outputs, view.value_count(), taken)?;
    Ok(pass)
}

/// The first pass whose names for the tangents of `wrt`, and for cotangents of so many `outputs`, are
/// not taken, with those of the tangents. At most `last` passes may have names that are.
pub(crate) fn free_names<Key: ADKey>(
    wrt: &[Key],
    outputs: usize,
    last: usize,
    taken: impl Fn(&Key) -> bool,
) -> ADRuleResult<(DiffPassId, Vec<Key>)> {
    for pass in 0..last as DiffPassId {
        match tangent_keys(wrt, outputs, pass, &taken) {
            Err(ADRuleError::PassReused { .. }) => {}
            found => return found.map(|keys| (pass, keys)),
        }
    }
    let pass = last as DiffPassId;
    let keys = tangent_keys(wrt, outputs, pass, &taken)?;
    Ok((pass, keys))
}

/// The linear map before it is verified, and by view value the tangents that were found.
pub(crate) fn linearize_unverified<Op: Primitive>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
    wrt: &[Op::InputKey],
    pass: DiffPassId,
    ctx: &mut Op::ADContext,
    aliases: &HashMap<Op::InputKey, ValueKey<Op>>,
) -> ADRuleResult<(LinearizedGraph<Op>, TangentIds)> {
    let output_ids = find_outputs(view, outputs)?;
    let taken = |name: &Op::InputKey| view.find(&ValueKey::Input(name.clone())).is_some();
    let tangent_keys = tangent_keys(wrt, outputs.len(), pass, &taken)?;
    let mut builder = GraphBuilder::new();
    builder.set_kind(GraphKind::Linear);
    // Two products and a sum for a product, a product for most others.
    builder.reserve(2 * view.operation_count());
    for root in view.roots() {
        builder.add_parent(Arc::clone(root));
    }
    let tangent_inputs: Vec<(Op::InputKey, LocalValueId)> = wrt
        .iter()
        .zip(tangent_keys)
        .map(|(key, tangent)| (key.clone(), builder.add_input(tangent)))
        .collect();

    for (key, tangent) in &tangent_inputs {
        let primal = ValueKey::Input(key.clone());
        note_same_type(builder.global_key(*tangent), &primal, ctx)?;
    }

    let aliases = resolve_aliases(view, aliases, &tangent_inputs);
    let mut tangents = known_tangents(view, &tangent_inputs, &aliases);
    let steps = ordered_steps(view, &output_ids, &tangents, aliases)?;
    let mut linearizer = Linearizer {
        builder,
        emissions: Emissions::default(),
        tangents: Vec::new(),
        output_keys: Vec::new(),
        ctx,
    };
    push_forward(steps, &mut tangents, |step, tangents| {
        linearizer.apply_rule(&step, tangents)
    })?;
    let tangent_outputs = output_ids.iter().map(|id| tangents[id.index()]);
    let tangent_outputs: Vec<Option<LocalValueId>> = tangent_outputs.collect();
    let mut builder = linearizer.builder;
    builder.set_outputs(tangent_outputs.iter().copied().flatten().collect());
    let linear = LinearizedGraph::new(
        builder.build(),
        view.roots().to_vec(),
        tangent_inputs,
        tangent_outputs,
        OutputLabels::Tangents,
        linearizer.emissions,
    );
    Ok((linear, tangents))
}

/// By view value: its tangent, if it has one.
pub(crate) type TangentIds = Vec<Option<LocalValueId>>;

struct Linearizer<'a, Op: Primitive> {
    builder: GraphBuilder<Op>,
    emissions: Emissions<Op>,
    /// What a rule is given, here to use their memory again.
    tangents: TangentIds,
    output_keys: Vec<ValueKey<Op>>,
    ctx: &'a mut Op::ADContext,
}

impl<Op: Primitive> Linearizer<'_, Op> {
    /// Emits the tangents of an operation some of whose operands have tangents.
    fn apply_rule(&mut self, step: &ViewStep<'_, Op>, all: &mut TangentIds) -> ADRuleResult<()> {
        let entry = match step {
            ViewStep::Operation(entry) => entry,
            ViewStep::Alias { input, target } => {
                all[input.index()] = all[target.index()];
                return Ok(());
            }
        };
        let operation = entry.key().operation();
        let outputs = operation.output_count();
        let (tangents, output_keys) = (&mut self.tangents, &mut self.output_keys);
        tangents.clear();
        tangents.extend(step.operands().map(|value| all[value]));
        output_keys.clear();
        output_keys.extend((0..outputs).map(|slot| ValueKey::Derived {
            operation: Arc::clone(entry.key()),
            output_slot: slot as u8,
        }));
        self.emissions.begin(&self.builder, entry.key());
        let mut scope = RuleScope::new(&mut self.builder, operation, ADRuleKind::Jvp, tangents);
        let inputs = entry.key().inputs();
        let returned = operation.try_jvp_rule(&mut scope, inputs, output_keys, tangents, self.ctx);
        let returned = scope.finish(outputs, returned?)?;
        all[step.results()].copy_from_slice(&returned);
        Ok(())
    }
}

/// What stands in a view and has tangents if its operands have.
enum ViewStep<'a, Op: GraphOperation> {
    Operation(TableOperation<'a, Op>),
    /// An input that is another value.
    Alias {
        input: ValueId,
        target: ValueId,
    },
}

impl<Op: GraphOperation> WalkStep for ViewStep<'_, Op> {
    fn operands(&self) -> impl Iterator<Item = usize> {
        let operands = match self {
            Self::Operation(entry) => entry.operands(),
            Self::Alias { target, .. } => std::slice::from_ref(target),
        };
        operands.iter().map(|id| id.index())
    }

    fn results(&self) -> Range<usize> {
        let (first, count) = match self {
            Self::Operation(entry) => (entry.output(0), entry.key().operation().output_count()),
            Self::Alias { input, .. } => (*input, 1),
        };
        first.index()..first.index() + count
    }
}

/// What an aliased input stands for.
enum Alias {
    Value(ValueId),
    /// An input to differentiate by that stands in no graph of the view.
    Tangent(LocalValueId),
    Unknown {
        input: String,
        target: String,
    },
}

/// Everything that outputs are computed from, each after what it is computed from itself: in the order of a walk in depth
/// from the first output to the last. What has a tangent already needs nothing else.
fn ordered_steps<'a, Op: Primitive>(
    view: &'a ResolvedView<Op>,
    outputs: &[ValueId],
    tangents: &TangentIds,
    aliases: HashMap<ValueId, Alias>,
) -> ADRuleResult<Vec<ViewStep<'a, Op>>> {
    let is_known = tangents.iter().map(Option::is_some);
    let mut search = DepthFirst {
        view,
        aliases,
        state: is_known
            .map(|known| if known { State::Done } else { State::Unvisited })
            .collect(),
        open: Vec::new(),
        steps: Vec::with_capacity(view.operation_count()),
    };
    for &output in outputs {
        search.visit(output)?;
    }
    Ok(search.steps)
}

struct DepthFirst<'a, Op: GraphOperation> {
    view: &'a ResolvedView<Op>,
    aliases: HashMap<ValueId, Alias>,
    /// By view value.
    state: Vec<State>,
    open: Vec<Frame<'a, Op>>,
    steps: Vec<ViewStep<'a, Op>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Unvisited,
    /// An aliased input whose target is being visited.
    Open,
    Done,
}

/// A step that waits for others.
struct Frame<'a, Op: GraphOperation> {
    step: ViewStep<'a, Op>,
    next_operand: usize,
}

impl<Op: Primitive> DepthFirst<'_, Op> {
    /// Everything that a value is computed from, with a stack of its own.
    fn visit(&mut self, target: ValueId) -> ADRuleResult<()> {
        self.enter(target)?;
        while let Some(Frame { step, next_operand }) = self.open.last_mut() {
            let position = *next_operand;
            *next_operand += 1;
            let next = match step {
                ViewStep::Operation(entry) => match entry.operands().get(position) {
                    Some(&operand) if !self.view.is_defined(operand) => {
                        return Err(undefined(self.view, entry, position));
                    }
                    next => next.copied(),
                },
                ViewStep::Alias { target, .. } => (position == 0).then_some(*target),
            };
            if let Some(next) = next {
                self.enter(next)?;
            } else if let Some(Frame { step, .. }) = self.open.pop() {
                self.state[step.results()].fill(State::Done);
                self.steps.push(step);
            }
        }
        Ok(())
    }

    /// Has a value wait for what it is computed from, if it has not been visited.
    fn enter(&mut self, id: ValueId) -> ADRuleResult<()> {
        match self.state[id.index()] {
            State::Done => return Ok(()),
            State::Open => {
                let input = describe_input(self.view, id);
                return Err(ADRuleError::AliasCycle { input });
            }
            State::Unvisited => {}
        }
        let step = match (self.view.origin(id), self.aliases.get(&id)) {
            (ValueOrigin::Output { operation, .. }, _) => {
                ViewStep::Operation(self.view.operation(operation))
            }
            (ValueOrigin::Input, Some(Alias::Value(target))) => {
                self.state[id.index()] = State::Open;
                let (input, target) = (id, *target);
                ViewStep::Alias { input, target }
            }
            (ValueOrigin::Input, Some(Alias::Unknown { input, target })) => {
                return Err(ADRuleError::UnknownAliasTarget {
                    input: input.clone(),
                    target: target.clone(),
                });
            }
            (ValueOrigin::Input, Some(Alias::Tangent(_)) | None) => {
                self.state[id.index()] = State::Done;
                return Ok(());
            }
        };
        self.open.push(Frame {
            step,
            next_operand: 0,
        });
        Ok(())
    }
}

fn undefined<Op: Primitive>(
    view: &ResolvedView<Op>,
    user: &TableOperation<'_, Op>,
    operand: usize,
) -> ADRuleError {
    ADRuleError::Graph {
        rule: ADRuleKind::Jvp,
        source: GraphError::UndefinedValue {
            operation: describe_operation(user.key().operation()),
            operand,
            key: describe_key(&view.key(user.operands()[operand])),
        },
    }
}

fn describe_input<Op: Primitive>(view: &ResolvedView<Op>, id: ValueId) -> String {
    match view.key(id) {
        ValueKey::Input(key) => describe_operation(&key),
        derived => describe_key(&derived),
    }
}

fn find_outputs<Op: Primitive>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
) -> ADRuleResult<Vec<ValueId>> {
    let found = view.find_all(outputs);
    match found.iter().position(Option::is_none) {
        None => Ok(found.into_iter().flatten().collect()),
        Some(position) => Err(ADRuleError::Graph {
            rule: ADRuleKind::Jvp,
            source: GraphError::UnknownOutput {
                position,
                key: describe_key(&outputs[position]),
            },
        }),
    }
}

/// The names of the tangents of `wrt`, none of which, nor of the cotangent seeds of a later
/// transposition, may be taken.
fn tangent_keys<Key: ADKey>(
    wrt: &[Key],
    outputs: usize,
    pass: DiffPassId,
    taken: &impl Fn(&Key) -> bool,
) -> ADRuleResult<Vec<Key>> {
    if pass >= FIRST_RESERVED_PASS {
        return Err(ADRuleError::ReservedPass { pass });
    }
    let mut seen = HashMap::with_capacity(wrt.len());
    let mut names = HashMap::with_capacity(wrt.len());
    let mut keys = Vec::with_capacity(wrt.len());
    for (position, key) in wrt.iter().enumerate() {
        if seen.insert(key, position).is_some() {
            return Err(ADRuleError::RepeatedInput {
                position,
                key: describe_operation(key),
            });
        }
        let tangent = key.tangent_of(pass);
        if names.insert(tangent.clone(), position).is_some() {
            return Err(ADRuleError::NameCollision {
                rule: ADRuleKind::Jvp,
                key: describe_operation(&tangent),
            });
        }
        keys.push(tangent);
    }
    let seeds = keys.first().into_iter();
    let seeds = seeds.flat_map(|first| (0..outputs).map(|output| first.cotangent_of(output)));
    for name in keys.iter().cloned().chain(seeds) {
        if taken(&name) {
            return Err(ADRuleError::PassReused {
                pass,
                key: describe_operation(&name),
            });
        }
    }
    Ok(keys)
}

/// The tangents of what is differentiated by, and of inputs that are that.
fn known_tangents<Op: Primitive>(
    view: &ResolvedView<Op>,
    tangent_inputs: &[(Op::InputKey, LocalValueId)],
    aliases: &HashMap<ValueId, Alias>,
) -> TangentIds {
    let mut tangents = vec![None; view.value_count()];
    for (id, alias) in aliases {
        if let Alias::Tangent(tangent) = alias {
            tangents[id.index()] = Some(*tangent);
        }
    }
    for (key, tangent) in tangent_inputs {
        if let Some(id) = view.find(&ValueKey::Input(key.clone())) {
            tangents[id.index()] = Some(*tangent);
        }
    }
    tangents
}

/// What the aliased inputs of the view stand for. The order of the map is not observed.
fn resolve_aliases<Op: Primitive>(
    view: &ResolvedView<Op>,
    aliases: &HashMap<Op::InputKey, ValueKey<Op>>,
    tangent_inputs: &[(Op::InputKey, LocalValueId)],
) -> HashMap<ValueId, Alias> {
    if aliases.is_empty() {
        return HashMap::new();
    }
    let tangents: HashMap<&Op::InputKey, LocalValueId> =
        tangent_inputs.iter().map(|(key, id)| (key, *id)).collect();
    let targets: Vec<ValueKey<Op>> = aliases.values().cloned().collect();
    let found = aliases.iter().zip(view.find_all(&targets));
    found
        .filter_map(|((input, target), target_id)| {
            let input_id = view.find(&ValueKey::Input(input.clone()));
            let alias = match (target_id, target) {
                (Some(id), _) => Alias::Value(id),
                (None, ValueKey::Input(key)) if tangents.contains_key(key) => {
                    Alias::Tangent(tangents[key])
                }
                (None, _) => Alias::Unknown {
                    input: describe_operation(input),
                    target: describe_key(target),
                },
            };
            input_id.map(|id| (id, alias))
        })
        .collect()
}
