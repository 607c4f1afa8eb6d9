//! Numbers that the operation set supplies for a value: seeds, and zeros in place of symbolic ones.

use std::fmt::{self, Debug};
use std::iter;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use tidu_graph::{
    DenseGraph, DenseId, GraphBuilder, ImportedTypes, LocalValueId, TypeId, ValueKey, ValueType,
};

use super::FunctionError;
use crate::operation_derivative::context_of_operands;
use crate::rules::{ADKey, ADRuleKind, Primitive, PrimitiveBuilder, RuleScope};

/// A number that the operation set supplies.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unit {
    /// [`Primitive::one_like`]
    One,
    /// [`Primitive::basis_like`]
    Basis,
    /// [`Primitive::basis_at`]
    BasisAt(usize),
    /// [`Primitive::zero_like`]
    Zero,
}

/// What has been emitted into a graph, each once for values of one type.
pub(super) struct Units<Op: Primitive> {
    made: HashMap<(Unit, Option<TypeId>), Emitted<Op>, FixedState>,
}

/// A graph of one value, and what its types are where it has been put.
type Emitted<Op> = (DenseGraph<Op>, ImportedTypes);

impl<Op: Primitive> Units<Op> {
    pub fn new() -> Self {
        Self {
            made: HashMap::default(),
        }
    }

    /// Emits into `graph` what belongs to its value `like`, which `emit` makes if nothing is known of this type.
    pub fn emit(
        &mut self,
        unit: Unit,
        of_type: Option<TypeId>,
        like: DenseId,
        graph: &mut DenseGraph<Op>,
        emit: impl FnOnce() -> Result<DenseGraph<Op>, FunctionError>,
    ) -> Result<DenseId, FunctionError> {
        let (emitted, types) = match self.made.entry((unit, of_type)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let emitted = emit()?;
                let types = graph.import_types(&emitted);
                place.insert((emitted, types))
            }
        };
        let mut values = vec![like];
        graph.inline_into(emitted, types, &mut values);
        Ok(values[emitted.outputs()[0].index()])
    }
}

/// What an operation set emits for a value, of this type if it has one, as a graph with that value for its input.
/// Rules are told that it is called `like`.
pub(super) fn unit_graph<Op: Primitive>(
    unit: Unit,
    like: &ValueKey<Op>,
    name: &str,
    value_type: Option<&ValueType>,
    ctx: &mut Op::ADContext,
) -> Result<DenseGraph<Op>, FunctionError> {
    let mut own = Op::ADContext::default();
    let ctx = match value_type {
        Some(value_type) => {
            Op::note_type(like, value_type, &mut own)?;
            &mut own
        }
        None => ctx,
    };
    let mut builder = GraphBuilder::new();
    let emitted = emit_unit(unit, &mut builder, like, name, ctx)?;
    let output = builder.global_key(emitted).clone();
    let graph = DenseGraph::of_fragments(1, [(like, 0)], &[&builder.build()], &[output])?;
    match value_type {
        Some(value_type) => Ok(graph.with_types([value_type.clone()])?),
        None => Ok(graph),
    }
}

/// Has the operation set emit a number for the value `like`, called `name` in errors.
pub(super) fn emit_unit<Op: Primitive>(
    unit: Unit,
    builder: &mut impl PrimitiveBuilder<Op>,
    like: &ValueKey<Op>,
    name: &str,
    ctx: &mut Op::ADContext,
) -> Result<LocalValueId, FunctionError> {
    let mut scope = RuleScope::new(builder, &unit, ADRuleKind::Transpose, &[]);
    let emitted = match unit {
        Unit::One => Op::one_like(&mut scope, like, ctx),
        Unit::Basis => Op::basis_like(&mut scope, like, ctx),
        Unit::BasisAt(element) => Op::basis_at(&mut scope, like, element, ctx),
        Unit::Zero => Op::zero_like(&mut scope, like, ctx),
    };
    let emitted = scope.finish(1, vec![emitted])?;
    if emitted[0].is_none() {
        // Not knowing the type may be why.
        Op::type_of(like, ctx)?;
    }
    emitted[0].ok_or_else(|| unit.missing(name))
}

/// What an operation set puts together of this many values of a type, as a graph with these for its inputs.
pub(super) fn stack_graph<Op: Primitive>(
    of: &ValueType,
    parts: usize,
    axis: usize,
    to: &ValueType,
    root: &Op::InputKey,
) -> Result<DenseGraph<Op>, FunctionError> {
    let keys = (0..parts).map(|at| ValueKey::Input(root.residual_of(at)));
    let keys: Vec<ValueKey<Op>> = keys.collect();
    let types = iter::repeat_n(of, parts);
    let mut ctx = context_of_operands::<Op>(types.clone(), root)?;
    let mut builder = GraphBuilder::new();
    let mut scope = RuleScope::new(&mut builder, &"stack", ADRuleKind::Transpose, &[]);
    let emitted = Op::stack(&mut scope, &keys, axis, to, &mut ctx);
    let emitted = scope.finish(1, vec![emitted])?[0];
    let emitted = emitted.ok_or_else(|| FunctionError::NoStack {
        value_type: Box::new(to.clone()),
    })?;
    let output = builder.global_key(emitted).clone();
    let given = keys.iter().zip(0..);
    let graph = DenseGraph::of_fragments(parts, given, &[&builder.build()], &[output])?;
    Ok(graph.with_types(types.cloned())?)
}

impl Unit {
    fn missing(self, name: &str) -> FunctionError {
        let value = name.to_owned();
        match self {
            Unit::One => FunctionError::NoUnit { value },
            Unit::Basis | Unit::BasisAt(_) => FunctionError::NoBasis { value },
            Unit::Zero => FunctionError::NoZero { value },
        }
    }
}

/// As errors name it.
impl Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::One => "one_like",
            Unit::Basis => "basis_like",
            Unit::BasisAt(_) => "basis_at",
            Unit::Zero => "zero_like",
        })
    }
}
