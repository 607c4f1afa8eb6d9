//! One derivative being made: a linear map, and what glues it to the function.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use tidu_graph::text::input_label;
use tidu_graph::{Exactness, Graph, GraphBuilder, LocalValueId, ValueKey, ValueRef, resolve};

use super::missing::{Mode, explain};
use super::{Derive, Function, FunctionError, Nonzero, Wrt};
use crate::linearize::{free_pass, try_linearize};
use crate::linearized_graph::LinearizedGraph;
use crate::masks::{Cotangent, Mask, Masks};
use crate::rules::{
    ADKey, ADRuleKind, Primitive, PrimitiveBuilder, PrimitiveValue, RuleScope, note_mask_type,
};
use crate::transpose::{Unobserved, transpose_masked, try_linear_transpose_with_builder};

/// A function, a linear map, and a graph that glues to them what a derivative needs besides: seeds,
/// zeros, transposed operations.
pub(super) struct Stage<'a, Op: Primitive> {
    function: &'a Function<Op>,
    /// Positions among the function's inputs.
    pub wrt: Vec<usize>,
    inputs: Vec<Op::InputKey>,
    outputs: Vec<ValueKey<Op>>,
    linear: LinearizedGraph<Op>,
    glue: GraphBuilder<Op>,
    ctx: &'a mut Op::ADContext,
}

/// An output of a derivative; without a value, a symbolic zero.
pub(super) struct Part<Op: Primitive> {
    pub value: Option<ValueKey<Op>>,
    /// What lives in the same space.
    like: ValueKey<Op>,
    pub name: String,
}

/// Cotangents, and the masks of those that have one, with names.
type MaskedParts<Op> = (Vec<Part<Op>>, Vec<Option<(ValueKey<Op>, String)>>);

/// A number that the operation set supplies.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// [`Primitive::one_like`]
    One,
    /// [`Primitive::basis_like`]
    Basis,
    /// [`Primitive::zero_like`]
    Zero,
}

impl<'a, Op: Primitive> Stage<'a, Op> {
    /// The function with its derivative by some of its inputs, in a mode, or inside a rule.
    pub fn linearize(
        function: &'a Function<Op>,
        wrt: &Wrt,
        mode: Option<Mode>,
        ctx: &'a mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        function.note_types(ctx)?;
        let wrt = wrt.positions(function)?;
        let inputs = function.input_keys();
        let keys: Vec<Op::InputKey> = wrt.iter().map(|&at| inputs[at].clone()).collect();
        let outputs = function.output_keys();
        let view = resolve(vec![Arc::new(function.as_graph().clone())]);
        let pass = free_pass(&view, &keys, outputs.len())?;
        let linear = try_linearize(&view, &outputs, &keys, pass, ctx, &HashMap::new())
            .map_err(|error| explain(error, function, &wrt, mode, ctx))?;
        Ok(Self::of_linear(function, wrt, linear, ctx))
    }

    /// The function with a linear map of some of its inputs.
    pub fn of_linear(
        function: &'a Function<Op>,
        wrt: Vec<usize>,
        linear: LinearizedGraph<Op>,
        ctx: &'a mut Op::ADContext,
    ) -> Self {
        let mut glue = GraphBuilder::new();
        glue.add_parent(Arc::new(linear.as_graph().clone()));
        Self {
            function,
            wrt,
            inputs: function.input_keys(),
            outputs: function.output_keys(),
            linear,
            glue,
            ctx,
        }
    }

    /// The outputs of the function.
    pub fn primal(&self) -> Vec<(ValueKey<Op>, String)> {
        let names = self.function.output_names().iter().cloned();
        self.outputs.iter().cloned().zip(names).collect()
    }

    /// The names of the tangents of `wrt`.
    pub fn tangent_keys(&self) -> Vec<Op::InputKey> {
        let graph = self.linear.as_graph();
        let inputs = self.linear.tangent_inputs().iter();
        inputs.map(|&(_, id)| graph.input_key(id).clone()).collect()
    }

    /// One name for the cotangent of each output, active or not.
    pub fn seed_keys(&self) -> Vec<Op::InputKey> {
        let first = self.tangent_keys().swap_remove(0);
        let outputs = 0..self.outputs.len();
        outputs.map(|output| first.cotangent_of(output)).collect()
    }

    /// The tangents of the outputs.
    pub fn tangents(&self) -> Vec<Part<Op>> {
        let graph = self.linear.as_graph();
        let tangents = self.linear.tangent_outputs().iter();
        let keys = tangents.map(|id| id.map(|id| graph.values()[id].key.clone()));
        self.tangent_parts(keys)
    }

    /// The derivatives of the outputs by the only one of `wrt`, in forward mode.
    pub fn column(&mut self) -> Result<Vec<Part<Op>>, FunctionError> {
        let input = self.inputs[self.wrt[0]].clone();
        let name = input_label::<Op>(&input);
        let basis = self.unit(Unit::Basis, &ValueKey::Input(input), &name)?;
        let graph = self.linear.as_graph();
        let active = self.glue.try_inline(graph, &[ValueRef::Local(basis)])?;
        let active = active.into_iter().map(|tangent| match tangent {
            ValueRef::Local(id) => self.glue.global_key(id).clone(),
            ValueRef::External(key) => key,
        });
        let mut active: Vec<ValueKey<Op>> = active.collect();
        active.reverse();
        let tangents = self.linear.tangent_outputs().iter();
        let keys: Vec<_> = tangents.map(|id| id.and_then(|_| active.pop())).collect();
        Ok(self.tangent_parts(keys.into_iter()))
    }

    /// The cotangents of `wrt` for cotangents of all outputs.
    pub fn cotangents(
        &mut self,
        seeds: &[LocalValueId],
        prefix: &str,
    ) -> Result<Vec<Part<Op>>, FunctionError> {
        let active = self.linear.tangent_outputs().iter().zip(seeds);
        let active: Vec<Option<LocalValueId>> = active
            .filter_map(|(tangent, seed)| tangent.map(|_| Some(*seed)))
            .collect();
        let (linear, glue) = (&self.linear, &mut self.glue);
        let cotangents = try_linear_transpose_with_builder(linear, glue, &active, self.ctx)
            .map_err(|error| {
                explain(
                    error,
                    self.function,
                    &self.wrt,
                    Some(Mode::Reverse),
                    self.ctx,
                )
            })?;
        let parts = cotangents.into_iter().zip(&self.wrt);
        let parts = parts.map(|(cotangent, &at)| Part {
            value: cotangent.map(|id| self.glue.global_key(id).clone()),
            like: ValueKey::Input(self.inputs[at].clone()),
            name: format!("{prefix}.{}", input_label::<Op>(&self.inputs[at])),
        });
        Ok(parts.collect())
    }

    /// The cotangents of `wrt` for inputs of the derivative as seeds.
    pub fn seeded_cotangents(
        &mut self,
        seeds: Vec<Op::InputKey>,
    ) -> Result<Vec<Part<Op>>, FunctionError> {
        let seeds = seeds.into_iter().map(|key| self.glue.add_input(key));
        let seeds: Vec<LocalValueId> = seeds.collect();
        self.cotangents(&seeds, "ct")
    }

    /// The cotangents of `wrt` for inputs of the derivative as seeds, of which some have a mask, and their
    /// own masks, by which they have been kept.
    pub fn masked_cotangents(
        &mut self,
        seeds: &[Op::InputKey],
        masked: &[bool],
        mask_keys: &[Op::InputKey],
    ) -> Result<MaskedParts<Op>, FunctionError> {
        let mut masks = Masks::new();
        let mut mask_keys = mask_keys.iter();
        let mut cotangents = Vec::with_capacity(seeds.len());
        for ((seed, &masked), like) in seeds.iter().zip(masked).zip(&self.outputs) {
            let value = self.glue.add_input(seed.clone());
            let key = if masked { mask_keys.next() } else { None };
            let mask = key.map(|key| self.glue.add_input(key.clone()));
            if let Some(mask) = mask {
                note_mask_type(self.glue.global_key(mask), like, self.ctx)?;
            }
            let mask = mask.map(|mask| Mask {
                id: masks.given(mask),
                is_kept: true,
            });
            cotangents.push(Cotangent { value, mask });
        }
        let active = self.linear.tangent_outputs().iter().zip(cotangents);
        let active = active.filter_map(|(tangent, seed)| tangent.map(|_| Some(seed)));
        let active: Vec<Option<Cotangent>> = active.collect();
        let (linear, glue, ctx) = (&self.linear, &mut self.glue, &mut *self.ctx);
        let found = transpose_masked(linear, glue, &active, &mut masks, ctx, &mut Unobserved)?;
        let mut parts = Vec::with_capacity(found.len());
        let mut of_parts = Vec::with_capacity(found.len());
        for (found, &at) in found.into_iter().zip(&self.wrt) {
            let input = &self.inputs[at];
            let label = input_label::<Op>(input);
            let (mut value, mut mask) = (None, None);
            if let Some(found) = found {
                let kept = masks.kept(found, &mut self.glue, self.ctx)?;
                value = Some(self.glue.global_key(kept.value).clone());
                if let Some(Mask { id, .. }) = kept.mask {
                    let key = match masks.value(id, &mut self.glue, self.ctx)? {
                        PrimitiveValue::Local(id) => self.glue.global_key(id).clone(),
                        PrimitiveValue::External(key) => key,
                    };
                    mask = Some((key, format!("mask.{label}")));
                }
            }
            let like = ValueKey::Input(input.clone());
            let name = format!("ct.{label}");
            parts.push(Part { value, like, name });
            of_parts.push(mask);
        }
        Ok((parts, of_parts))
    }

    /// The derivatives of the only output by `wrt`, in reverse mode.
    pub fn row(&mut self, seed: Unit) -> Result<Vec<Part<Op>>, FunctionError> {
        let name = self.function.output_names()[0].clone();
        let seed = self.unit(seed, &self.outputs[0].clone(), &name)?;
        self.cotangents(&[seed], "d")
    }

    /// The values of parts, with symbolic zeros made real.
    pub fn fill(
        &mut self,
        parts: Vec<Part<Op>>,
    ) -> Result<Vec<(ValueKey<Op>, String)>, FunctionError> {
        let filled = parts.into_iter().map(|part| {
            let value = match part.value {
                Some(value) => value,
                None => {
                    let zero = self.unit(Unit::Zero, &part.like, &part.name)?;
                    self.glue.global_key(zero).clone()
                }
            };
            Ok((value, part.name))
        });
        filled.collect()
    }

    /// A function of values of the stage.
    pub fn close(
        self,
        inputs: &[Op::InputKey],
        outputs: Vec<(ValueKey<Op>, String)>,
        level: Option<Exactness>,
    ) -> Result<Function<Op>, FunctionError> {
        let graphs = vec![Arc::new(self.glue.build())];
        let function = Function::close(graphs, inputs, outputs, level)?;
        Ok(function.typed_in(self.ctx))
    }

    /// Every graph of the stage.
    pub fn finish(self) -> Vec<Arc<Graph<Op>>> {
        vec![Arc::new(self.glue.build())]
    }

    fn tangent_parts(&self, values: impl Iterator<Item = Option<ValueKey<Op>>>) -> Vec<Part<Op>> {
        let parts = values.zip(&self.outputs).zip(self.function.output_names());
        let parts = parts.map(|((value, like), name)| Part {
            value,
            like: like.clone(),
            name: format!("d.{name}"),
        });
        parts.collect()
    }

    fn unit(
        &mut self,
        unit: Unit,
        like: &ValueKey<Op>,
        name: &str,
    ) -> Result<LocalValueId, FunctionError> {
        emit_unit(unit, &mut self.glue, like, name, self.ctx)
    }
}

/// Derivatives for operation sets whose rules have a context, which may know something of each value.
impl<Op: Primitive> Derive<'_, Op> {
    /// [`jvp`](Self::jvp)
    pub(super) fn staged_jvp(
        self,
        wrt: Vec<usize>,
        names: Vec<String>,
    ) -> Result<Function<Op>, FunctionError> {
        let (function, level) = (self.function, self.level);
        let wrt = &Wrt::At(wrt);
        let mut stage = Stage::linearize(function, wrt, Some(Mode::Forward), self.ctx)?;
        let mut outputs = stage.primal();
        outputs.extend(stage.fill(called(stage.tangents(), names))?);
        let mut inputs = function.input_keys();
        inputs.extend(stage.tangent_keys());
        stage
            .close(&inputs, outputs, level)?
            .without_tangents(level)
    }

    /// [`vjp`](Self::vjp)
    pub(super) fn staged_vjp(
        self,
        wrt: Vec<usize>,
        names: Vec<String>,
    ) -> Result<Function<Op>, FunctionError> {
        let (function, level) = (self.function, self.level);
        let wrt = &Wrt::At(wrt);
        let mut stage = Stage::linearize(function, wrt, Some(Mode::Reverse), self.ctx)?;
        let mut inputs = function.input_keys();
        inputs.extend(stage.seed_keys());
        let cotangents = stage.seeded_cotangents(stage.seed_keys())?;
        let mut outputs = stage.primal();
        outputs.extend(stage.fill(called(cotangents, names))?);
        stage.close(&inputs, outputs, level)
    }

    /// [`nonzero_jvp`](Self::nonzero_jvp)
    pub(super) fn staged_nonzero_jvp(self, wrt: &Wrt) -> Result<Nonzero<Op>, FunctionError> {
        let (function, level) = (self.function, self.level);
        let stage = Stage::linearize(function, wrt, Some(Mode::Forward), self.ctx)?;
        let mut inputs = function.input_keys();
        inputs.extend(stage.tangent_keys());
        let parts = stage.tangents().into_iter();
        Nonzero::new(parts.map(|part| (part.value, part.name)), |outputs| {
            stage
                .close(&inputs, outputs, level)?
                .without_tangents(level)
        })
    }

    /// The derivatives of all outputs by these inputs, by rows, called by these names; the outputs
    /// before them, if they are wanted. Rows are seeded with `seed`.
    pub(super) fn staged_matrix(
        &mut self,
        mode: Mode,
        columns: &[usize],
        seed: Unit,
        names: &[String],
        with_value: bool,
    ) -> Result<Function<Op>, FunctionError> {
        let function = self.function;
        let rows = function.output_names().len();
        let mut entries = vec![None; rows * columns.len()];
        let mut graphs = vec![Arc::new(function.as_graph().clone())];
        match mode {
            Mode::Forward => {
                for (j, &column) in columns.iter().enumerate() {
                    let wrt = Wrt::At(vec![column]);
                    let mut stage = Stage::linearize(function, &wrt, Some(mode), self.ctx)?;
                    let column = stage.column()?;
                    for (i, (entry, _)) in stage.fill(column)?.into_iter().enumerate() {
                        entries[i * columns.len() + j] = Some(entry);
                    }
                    graphs.extend(stage.finish());
                }
            }
            Mode::Reverse => {
                let wrt = Wrt::At(columns.to_vec());
                for i in 0..rows {
                    let selected = match rows {
                        1 => function.clone(),
                        _ => function.select_at(&[i])?,
                    };
                    let mut stage = Stage::linearize(&selected, &wrt, Some(mode), self.ctx)?;
                    let row = stage.row(seed)?;
                    for (j, (entry, _)) in stage.fill(row)?.into_iter().enumerate() {
                        entries[i * columns.len() + j] = Some(entry);
                    }
                    graphs.extend(stage.finish());
                }
            }
        }
        let mut outputs = Vec::with_capacity(rows + names.len());
        if with_value {
            let names = function.output_names().iter().cloned();
            outputs.extend(function.output_keys().into_iter().zip(names));
        }
        let entries = entries.into_iter().flatten();
        outputs.extend(entries.zip(names.iter().cloned()));
        let matrix = Function::close(graphs, &function.input_keys(), outputs, self.level)?;
        matrix.typed_like(function).without_tangents(self.level)
    }
}

/// Parts with names in the place of theirs.
fn called<Op: Primitive>(parts: Vec<Part<Op>>, names: Vec<String>) -> Vec<Part<Op>> {
    let parts = parts.into_iter().zip(names);
    parts.map(|(part, name)| Part { name, ..part }).collect()
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
        Unit::Zero => Op::zero_like(&mut scope, like, ctx),
    };
    let emitted = scope.finish(1, vec![emitted])?;
    if emitted[0].is_none() {
        // Not knowing the type may be why.
        Op::type_of(like, ctx)?;
    }
    emitted[0].ok_or_else(|| unit.missing(name))
}

impl Unit {
    fn missing(self, name: &str) -> FunctionError {
        let value = name.to_owned();
        match self {
            Unit::One => FunctionError::NoUnit { value },
            Unit::Basis => FunctionError::NoBasis { value },
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
            Unit::Zero => "zero_like",
        })
    }
}
