//! From a graph to the linear map of its tangents.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_graph::{
    GraphBuilder, GraphError, GraphKind, LocalValueId, OperationId, ResolvedView, ValueId,
    ValueKey, ValueOrigin, describe_key, describe_operation,
};

use crate::linearized_graph::{Emissions, LinearizedGraph, OutputLabels};
use crate::rules::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, FIRST_RESERVED_PASS, Primitive,
    RuleScope, note_same_type,
};
use crate::verify::verified;

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

/// The walk itself, and by view value the tangents that it found.
pub(crate) fn linearize_unverified<Op: Primitive>(
    view: &ResolvedView<Op>,
    outputs: &[ValueKey<Op>],
    wrt: &[Op::InputKey],
    pass: DiffPassId,
    ctx: &mut Op::ADContext,
    aliases: &HashMap<Op::InputKey, ValueKey<Op>>,
) -> ADRuleResult<(LinearizedGraph<Op>, Vec<State>)> {
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

    let mut pass = Linearizer {
        view,
        aliases: resolve_aliases(view, aliases, &tangent_inputs),
        state: initial_state(view, &tangent_inputs),
        builder,
        emissions: Emissions::default(),
        tangents: Vec::new(),
        output_keys: Vec::new(),
        ctx,
    };
    let mut tangent_outputs = Vec::with_capacity(outputs.len());
    for id in output_ids {
        tangent_outputs.push(pass.visit(id)?);
    }
    let mut builder = pass.builder;
    builder.set_outputs(tangent_outputs.iter().copied().flatten().collect());
    let linear = LinearizedGraph::new(
        builder.build(),
        view.roots().to_vec(),
        tangent_inputs,
        tangent_outputs,
        OutputLabels::Tangents,
        pass.emissions,
    );
    Ok((linear, pass.state))
}

struct Linearizer<'a, Op: Primitive> {
    view: &'a ResolvedView<Op>,
    aliases: HashMap<ValueId, Alias>,
    /// By view value.
    state: Vec<State>,
    builder: GraphBuilder<Op>,
    emissions: Emissions<Op>,
    /// What a rule is given, here to use their memory again.
    tangents: Vec<Option<LocalValueId>>,
    output_keys: Vec<ValueKey<Op>>,
    ctx: &'a mut Op::ADContext,
}

#[derive(Clone, Copy)]
pub(crate) enum State {
    Unvisited,
    /// An aliased input whose target is being visited.
    Open,
    /// The tangent is known; `None` is a symbolic zero.
    Done(Option<LocalValueId>),
}

/// What an aliased input stands for.
#[derive(Clone)]
enum Alias {
    Value(ValueId),
    /// An input to differentiate by that stands in no graph of the view.
    Tangent(LocalValueId),
    Unknown {
        input: String,
        target: String,
    },
}

/// A step of the walk that waits for others.
enum Frame {
    Operation {
        id: OperationId,
        next_operand: usize,
    },
    AliasedInput {
        input: ValueId,
        target: ValueId,
    },
}

impl<Op: Primitive> Linearizer<'_, Op> {
    /// The tangent of a value, after those of all that it depends on, with a stack of its own.
    fn visit(&mut self, target: ValueId) -> ADRuleResult<Option<LocalValueId>> {
        let mut open = Vec::new();
        open.extend(self.enter(target)?);
        while let Some(frame) = open.last_mut() {
            let next = match frame {
                Frame::Operation { id, next_operand } => {
                    let operand = *next_operand;
                    *next_operand += 1;
                    match self.view.operation(*id).operands().get(operand) {
                        Some(&value) => {
                            self.check_defined(*id, operand, value)?;
                            value
                        }
                        None => {
                            self.apply_rule(*id)?;
                            open.pop();
                            continue;
                        }
                    }
                }
                Frame::AliasedInput { input, target } => match self.state[target.index()] {
                    State::Done(tangent) => {
                        self.state[input.index()] = State::Done(tangent);
                        open.pop();
                        continue;
                    }
                    State::Unvisited | State::Open => *target,
                },
            };
            open.extend(self.enter(next)?);
        }
        Ok(self.tangent(target))
    }

    /// What to wait for before a value's tangent is known, if it is not yet.
    fn enter(&mut self, id: ValueId) -> ADRuleResult<Option<Frame>> {
        match (self.state[id.index()], self.view.origin(id)) {
            (State::Done(_), _) => Ok(None),
            (State::Open, _) => Err(ADRuleError::AliasCycle {
                input: self.describe_input(id),
            }),
            (State::Unvisited, ValueOrigin::Output { operation, .. }) => {
                Ok(Some(Frame::Operation {
                    id: operation,
                    next_operand: 0,
                }))
            }
            (State::Unvisited, ValueOrigin::Input) => self.enter_input(id),
        }
    }

    fn enter_input(&mut self, id: ValueId) -> ADRuleResult<Option<Frame>> {
        match self.aliases.get(&id) {
            None => {
                self.state[id.index()] = State::Done(None);
                Ok(None)
            }
            Some(Alias::Tangent(tangent)) => {
                self.state[id.index()] = State::Done(Some(*tangent));
                Ok(None)
            }
            Some(Alias::Value(target)) => {
                self.state[id.index()] = State::Open;
                Ok(Some(Frame::AliasedInput {
                    input: id,
                    target: *target,
                }))
            }
            Some(Alias::Unknown { input, target }) => Err(ADRuleError::UnknownAliasTarget {
                input: input.clone(),
                target: target.clone(),
            }),
        }
    }

    /// Emits the tangents of an operation whose operands' tangents are known.
    fn apply_rule(&mut self, id: OperationId) -> ADRuleResult<()> {
        let entry = self.view.operation(id);
        let operation = entry.key().operation();
        let outputs = operation.output_count();
        let mut tangents = std::mem::take(&mut self.tangents);
        tangents.clear();
        tangents.extend(entry.operands().iter().map(|&id| self.tangent(id)));
        let tangents_out = if tangents.iter().all(Option::is_none) {
            vec![None; outputs]
        } else {
            let output_keys = &mut self.output_keys;
            output_keys.clear();
            output_keys.extend((0..outputs).map(|slot| ValueKey::Derived {
                operation: Arc::clone(entry.key()),
                output_slot: slot as u8,
            }));
            self.emissions.begin(&self.builder, entry.key());
            let mut scope =
                RuleScope::new(&mut self.builder, operation, ADRuleKind::Jvp, &tangents);
            let inputs = entry.key().inputs();
            let returned =
                operation.try_jvp_rule(&mut scope, inputs, output_keys, &tangents, self.ctx);
            scope.finish(outputs, returned?)?
        };
        for (slot, tangent) in tangents_out.into_iter().enumerate() {
            self.state[entry.output(slot).index()] = State::Done(tangent);
        }
        self.tangents = tangents;
        Ok(())
    }

    fn tangent(&self, id: ValueId) -> Option<LocalValueId> {
        match self.state[id.index()] {
            State::Done(tangent) => tangent,
            State::Unvisited | State::Open => {
                unreachable!("a walk in post-order knows the tangents of operands first")
            }
        }
    }

    fn check_defined(&self, user: OperationId, operand: usize, id: ValueId) -> ADRuleResult<()> {
        if self.view.is_defined(id) {
            return Ok(());
        }
        Err(ADRuleError::Graph {
            rule: ADRuleKind::Jvp,
            source: GraphError::UndefinedValue {
                operation: describe_operation(self.view.operation(user).key().operation()),
                operand,
                key: describe_key(&self.view.key(id)),
            },
        })
    }

    fn describe_input(&self, id: ValueId) -> String {
        match self.view.key(id) {
            ValueKey::Input(key) => describe_operation(&key),
            derived => describe_key(&derived),
        }
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

fn initial_state<Op: Primitive>(
    view: &ResolvedView<Op>,
    tangent_inputs: &[(Op::InputKey, LocalValueId)],
) -> Vec<State> {
    let mut state = vec![State::Unvisited; view.value_count()];
    for (key, tangent) in tangent_inputs {
        if let Some(id) = view.find(&ValueKey::Input(key.clone())) {
            state[id.index()] = State::Done(Some(*tangent));
        }
    }
    state
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
