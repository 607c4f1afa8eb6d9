//! The derivatives of a single operation, for runtimes that apply operations one at a time.

use std::sync::Arc;

use tidu_graph::{
    Exactness, Graph, GraphBuilder, GraphError, GraphKind, GraphOperation, LocalValueId,
    OperationKey, OperationRole, ValueKey, ValueRef, ValueType, describe_operation,
};

use crate::cotangents::Seed;
use crate::function::{Function, FunctionError};
use crate::linearized_graph::{Emissions, LinearizedGraph, OutputLabels};
use crate::masks::{Cotangent, Mask, Masks};
use crate::rules::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, Primitive, PrimitiveValue, RuleScope,
    note_mask_type, note_same_type,
};
use crate::transpose::{Observer, Unobserved, transpose_masked};
use crate::verify::verified;

/// The VJP of an operation y = f(x), at any x: (x, y, ȳ) ↦ x̄.
///
/// Results are given rather than computed again, so that what the function takes is what has to be
/// kept from going forward: the residuals.
///
/// A cotangent may have a mask, which says where it is zero for certain ([`Masking`](crate::rules::Masking)).
#[derive(Clone, Debug)]
pub struct OperationVjp<Op: GraphOperation> {
    /// Inputs: all operands, all results, then the cotangents of the seeded results, then the masks of
    /// those that have one. Outputs: those cotangents of active operands that are not symbolic zeros, and
    /// masks of them.
    pub function: Function<Op>,
    /// By operand: which output of the function is its cotangent; `None` for a symbolic zero, and for
    /// an operand that is not active.
    pub cotangents: Vec<Option<usize>>,
    /// By operand: the mask of its cotangent, if it has one.
    pub masks: Vec<Option<OperandMask>>,
}

/// The mask of an operand's cotangent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperandMask {
    /// Which output of the function it is.
    pub output: usize,
    /// Whether the cotangent has been kept by it.
    pub is_kept: bool,
}

/// The JVP of an operation y = f(x), at any x: (x, y, ẋ) ↦ ẏ.
#[derive(Clone, Debug)]
pub struct OperationJvp<Op: GraphOperation> {
    /// Inputs: all operands, all results, then the tangents of active operands. Outputs: those tangents
    /// of results that are not symbolic zeros.
    pub function: Function<Op>,
    /// By result: which output of the function is its tangent; `None` for a symbolic zero.
    pub tangents: Vec<Option<usize>>,
}

/// A context that knows of what types the operands of an operation are, as a derivative of it with this name calls
/// them. One that has seen other operations might know something else under the same names.
///
/// # Errors
///
/// What is wrong with a type, in the eyes of the operation set.
pub fn context_of_operands<'a, Op: Primitive>(
    types: impl IntoIterator<Item = &'a ValueType>,
    name: &Op::InputKey,
) -> ADRuleResult<Op::ADContext> {
    let mut ctx = Op::ADContext::default();
    for (at, value_type) in types.into_iter().enumerate() {
        Op::note_type(&ValueKey::Input(name.residual_of(at)), value_type, &mut ctx)?;
    }
    Ok(ctx)
}

/// What rules call the operands and results of an operation.
pub(crate) struct OperationNames<Op: Primitive> {
    /// What tangents, seeds and masks are named after, and all inputs of derivatives.
    root: Op::InputKey,
    /// Of operands, then of results.
    values: Vec<ValueKey<Op>>,
}

/// The linear map of an operation y = f(x), at any x, which both derivatives are made from.
pub(crate) struct OperationLinearization<Op: Primitive> {
    /// As errors name it.
    operation: String,
    names: OperationNames<Op>,
    active: Vec<bool>,
    /// Of operands and results, if the context knows them.
    types: Option<Vec<ValueType>>,
    linear: LinearizedGraph<Op>,
    /// Whether the map is the operation itself, so that what its tangents are called are its operands.
    is_itself: bool,
}

impl<Op: Primitive> OperationNames<Op> {
    /// Names that tell nothing of where the operation stands.
    pub fn apart(operation: &Op, root: &Op::InputKey) -> Self {
        let values = 0..operation.input_count() + operation.output_count();
        Self {
            values: values
                .map(|at| ValueKey::Input(root.residual_of(at)))
                .collect(),
            root: root.clone(),
        }
    }

    /// The keys that operands and results have where the operation stands.
    pub fn in_place(root: Op::InputKey, values: Vec<ValueKey<Op>>) -> Self {
        Self { root, values }
    }

    fn tangent(&self, operand: usize) -> Op::InputKey {
        self.root.residual_of(operand).tangent_of(0)
    }
}

impl<Op: Primitive> OperationJvp<Op> {
    /// Derives the JVP for tangents of operands that are `active`. Any `name` will do: inputs are named
    /// after it, operands and results [`residual_of`](ADKey::residual_of) 0, 1 and so on, for an AD
    /// context that is to know the types of operands.
    ///
    /// # Errors
    ///
    /// [`FunctionError::Rule`]: what a rule returns or does wrong.
    pub fn derive(
        operation: &Op,
        name: &Op::InputKey,
        active: &[bool],
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let names = OperationNames::apart(operation, name);
        let linearization = OperationLinearization::derive(operation, names, active, ctx)?;
        linearization.jvp(Some(Exactness::Exact))
    }
}

impl<Op: Primitive> OperationVjp<Op> {
    /// Derives the VJP by operands that are `active`, from cotangents of results as `seeds` tells. Any
    /// `name` will do: inputs are named after it, as those of [`OperationJvp::derive`].
    ///
    /// # Errors
    ///
    /// [`FunctionError::Rule`]: what a rule returns or does wrong.
    pub fn derive(
        operation: &Op,
        name: &Op::InputKey,
        active: &[bool],
        seeds: &[Seed],
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let names = OperationNames::apart(operation, name);
        let linearization = OperationLinearization::derive(operation, names, active, ctx)?;
        linearization.vjp(seeds, Some(Exactness::Exact), ctx)
    }
}

impl<Op: Primitive> OperationLinearization<Op> {
    /// Linearizes an operation, by the operands that are `active`.
    pub fn derive(
        operation: &Op,
        names: OperationNames<Op>,
        active: &[bool],
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let linear = linearized(operation, &names, active, ctx, |builder, tangents, ctx| {
            let (operands, results) = names.values.split_at(operation.input_count());
            let mut scope = RuleScope::new(builder, operation, ADRuleKind::Jvp, tangents);
            let returned = operation.try_jvp_rule(&mut scope, operands, results, tangents, ctx)?;
            scope.finish(results.len(), returned)
        })?;
        let linear = verified(linear, ADRuleKind::Jvp)?;
        Ok(Self::new(operation, names, active, linear, false, ctx))
    }

    /// The linear map that an operation is itself, of the operands that are `active`.
    pub fn itself(
        operation: &Op,
        names: OperationNames<Op>,
        active: &[bool],
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let linear = linearized(operation, &names, active, ctx, |builder, tangents, _| {
            let operands = tangents.iter().zip(&names.values);
            let operands = operands.map(|(tangent, key)| match *tangent {
                Some(id) => ValueRef::Local(id),
                None => ValueRef::External(key.clone()),
            });
            let role = OperationRole::Linearized {
                active_mask: active.to_vec(),
            };
            let results = builder.try_add_operation(operation.clone(), operands.collect(), role);
            let results = results.map_err(jvp_error)?;
            Ok(results.into_iter().map(Some).collect())
        })?;
        Ok(Self::new(operation, names, active, linear, true, ctx))
    }

    fn new(
        operation: &Op,
        names: OperationNames<Op>,
        active: &[bool],
        linear: LinearizedGraph<Op>,
        is_itself: bool,
        ctx: &mut Op::ADContext,
    ) -> Self {
        let types = names.values.iter().map(|key| Op::type_of(key, ctx));
        Self {
            operation: describe_operation(operation),
            types: types.map(|known| known.ok().flatten()).collect(),
            names,
            active: active.to_vec(),
            linear,
            is_itself,
        }
    }

    /// By result: whether its tangent is anything but a symbolic zero.
    pub fn live(&self) -> impl Iterator<Item = bool> {
        let tangents = self.linear.tangent_outputs().iter();
        tangents.map(Option::is_some)
    }

    /// The JVP, as simple as a level permits.
    pub fn jvp(&self, level: Option<Exactness>) -> Result<OperationJvp<Op>, FunctionError> {
        let graph = self.linear.as_graph();
        let tangents = self.linear.tangent_inputs().iter();
        let tangents = tangents.map(|&(_, id)| graph.input_key(id).clone());
        let mut outputs = Vec::new();
        let of_results = self.linear.tangent_outputs().iter().map(|tangent| {
            let key = graph.values()[(*tangent)?].key.clone();
            outputs.push((key, format!("d.{}", outputs.len())));
            Some(outputs.len() - 1)
        });
        let of_results: Vec<Option<usize>> = of_results.collect();
        let function = self.close(tangents.collect(), &[graph], outputs, level)?;
        let function = function.without_tangents(level)?;
        let operands = self.active.len();
        let active = (0..operands).filter(|&at| self.active[at]);
        let function = self.typed(function, active.map(|at| (at, false)))?;
        let made = of_results.iter().zip(operands..);
        let made = made.filter_map(|(output, at)| Some(((*output)?, at)));
        self.check_types(&function, ADRuleKind::Jvp, made)?;
        Ok(OperationJvp {
            function,
            tangents: of_results,
        })
    }

    /// The VJP from cotangents of results as `seeds` tells, as simple as a level permits.
    pub fn vjp(
        &self,
        seeds: &[Seed],
        level: Option<Exactness>,
        ctx: &mut Op::ADContext,
    ) -> Result<OperationVjp<Op>, FunctionError> {
        let mut glue = GraphBuilder::new();
        let mut masks = Masks::new();
        let mut more = Vec::new();
        let cotangents = self.seeds(seeds, &mut more, &mut glue, &mut masks, ctx)?;
        let by_operand =
            self.pull_back(&cotangents, &mut glue, &mut masks, ctx, &mut Unobserved)?;
        let mut outputs = Vec::new();
        let mut output = |key: ValueKey<Op>, name: String| {
            outputs.push((key, name));
            outputs.len() - 1
        };
        let of_operands = by_operand.iter().enumerate().map(|(operand, cotangent)| {
            let key = glue.global_key(cotangent.as_ref()?.value).clone();
            Some(output(key, format!("ct.{operand}")))
        });
        let of_operands: Vec<Option<usize>> = of_operands.collect();
        let mut operand_masks = Vec::with_capacity(by_operand.len());
        for (operand, cotangent) in by_operand.iter().enumerate() {
            operand_masks.push(match cotangent.and_then(|cotangent| cotangent.mask) {
                Some(Mask { mask, is_kept }) => {
                    let key = match masks.value(mask, &mut glue, ctx)? {
                        PrimitiveValue::Local(id) => glue.global_key(id).clone(),
                        PrimitiveValue::External(key) => key,
                    };
                    let output = output(key, format!("mask.{operand}"));
                    Some(OperandMask { output, is_kept })
                }
                None => None,
            });
        }
        let graphs = [self.linear.as_graph(), &glue.build()];
        let function = self.close(more, &graphs, outputs, level)?;
        let operands = self.active.len();
        let result = |slot: usize| operands + slot;
        let there = (0..seeds.len()).filter(|&slot| seeds[slot].is_there());
        let masked = (0..seeds.len()).filter(|&slot| seeds[slot].is_masked());
        let there = there.map(|slot| (result(slot), false));
        let function = self.typed(
            function,
            there.chain(masked.map(|slot| (result(slot), true))),
        )?;
        let made = of_operands.iter().enumerate();
        let made = made.filter_map(|(operand, output)| Some(((*output)?, operand)));
        self.check_types(&function, ADRuleKind::Transpose, made)?;
        Ok(OperationVjp {
            function,
            cotangents: of_operands,
            masks: operand_masks,
        })
    }

    /// By operand: whether it has a cotangent, if these results have one. Rules that are missing on the way are told
    /// to the observer.
    pub fn reached(
        &self,
        seeds: &[Seed],
        ctx: &mut Op::ADContext,
        observer: &mut impl Observer<Op, GraphBuilder<Op>>,
    ) -> Result<Vec<bool>, FunctionError> {
        let mut glue = GraphBuilder::new();
        let mut masks = Masks::new();
        let cotangents = self.seeds(seeds, &mut Vec::new(), &mut glue, &mut masks, ctx)?;
        let found = self.pull_back(&cotangents, &mut glue, &mut masks, ctx, observer)?;
        Ok(found.iter().map(Option::is_some).collect())
    }

    /// The cotangents of operands.
    fn pull_back(
        &self,
        seeds: &[Option<Cotangent>],
        glue: &mut GraphBuilder<Op>,
        masks: &mut Masks<Op>,
        ctx: &mut Op::ADContext,
        observer: &mut impl Observer<Op, GraphBuilder<Op>>,
    ) -> ADRuleResult<Vec<Option<Cotangent>>> {
        let tangents = self.linear.tangent_outputs().iter().zip(seeds);
        let live = tangents.filter_map(|(tangent, seed)| tangent.map(|_| *seed));
        let live: Vec<Option<Cotangent>> = live.collect();
        let found = transpose_masked(&self.linear, glue, &live, masks, ctx, observer)?;
        let mut found = found.into_iter();
        let by_operand = self.active.iter();
        let by_operand = by_operand.map(|active| active.then(|| found.next().flatten()).flatten());
        Ok(by_operand.collect())
    }

    /// A function of operands, results, and more inputs of these names.
    fn close(
        &self,
        more: Vec<Op::InputKey>,
        graphs: &[&Graph<Op>],
        outputs: Vec<(ValueKey<Op>, String)>,
        level: Option<Exactness>,
    ) -> Result<Function<Op>, FunctionError> {
        let values = &self.names.values;
        let inputs = (0..values.len()).map(|at| self.names.root.residual_of(at));
        let inputs: Vec<Op::InputKey> = inputs.chain(more).collect();
        let more = inputs[values.len()..].iter().cloned();
        let more: Vec<ValueKey<Op>> = more.map(ValueKey::Input).collect();
        let mut tangents = Vec::new();
        if self.is_itself {
            let named = (0..self.active.len()).map(|at| ValueKey::Input(self.names.tangent(at)));
            tangents.extend(named);
        }
        let given = tangents.iter().zip(0..);
        let given = given.chain(values.iter().chain(&more).zip(0..));
        Function::of_fragments(inputs.clone(), given, graphs, outputs, level)
    }

    /// A derivative, with types, if those of operands and results are known: its inputs are these, then values like
    /// those that `more` names by position, or masks of them.
    fn typed(
        &self,
        derivative: Function<Op>,
        more: impl Iterator<Item = (usize, bool)>,
    ) -> Result<Function<Op>, FunctionError> {
        let Some(types) = &self.types else {
            return Ok(derivative);
        };
        let more = more.map(|(at, is_mask)| {
            if is_mask {
                Op::mask_type(&types[at])
            } else {
                types[at].clone()
            }
        });
        let inputs = types.iter().cloned().chain(more).collect();
        Ok(derivative.of_types(inputs)?)
    }

    /// Fails where an output of a derivative is of another type than the operand or result that it belongs to.
    fn check_types(
        &self,
        derivative: &Function<Op>,
        rule: ADRuleKind,
        mut made: impl Iterator<Item = (usize, usize)>,
    ) -> ADRuleResult<()> {
        let (Some(types), dense) = (&self.types, derivative.as_dense()) else {
            return Ok(());
        };
        let found = |output: usize| dense.type_of(dense.outputs()[output]);
        let wrong =
            made.find(|&(output, at)| found(output).is_some_and(|found| *found != types[at]));
        let Some((output, at)) = wrong else {
            return Ok(());
        };
        let operands = self.active.len();
        let place = if at < operands {
            format!("operand {at}")
        } else {
            format!("result {}", at - operands)
        };
        Err(ADRuleError::WrongRuleResultType {
            op: self.operation.clone(),
            rule,
            place,
            expected: Box::new(types[at].clone()),
            found: found(output)
                .map(|found| Box::new(found.clone()))
                .expect("it was found"),
        })
    }

    /// The cotangents of results, of which some have masks, as further inputs of a VJP.
    fn seeds(
        &self,
        seeds: &[Seed],
        more: &mut Vec<Op::InputKey>,
        glue: &mut GraphBuilder<Op>,
        masks: &mut Masks<Op>,
        ctx: &mut Op::ADContext,
    ) -> Result<Vec<Option<Cotangent>>, FunctionError> {
        let mut cotangents = Vec::with_capacity(seeds.len());
        for (result, seed) in seeds.iter().enumerate() {
            let cotangent = seed.is_there().then(|| {
                let key = self.names.root.cotangent_of(result);
                more.push(key.clone());
                let value = glue.add_input(key);
                Cotangent { value, mask: None }
            });
            cotangents.push(cotangent);
        }
        for (result, (seed, cotangent)) in seeds.iter().zip(&mut cotangents).enumerate() {
            let (Seed::Masked { is_kept }, Some(cotangent)) = (*seed, cotangent) else {
                continue;
            };
            let key = self
                .names
                .root
                .residual_of(self.names.values.len() + result);
            more.push(key.clone());
            let value = glue.add_input(key);
            let of = &self.names.values[self.active.len() + result];
            note_mask_type(glue.global_key(value), of, ctx)?;
            let mask = masks.given(value);
            cotangent.mask = Some(Mask { mask, is_kept });
        }
        Ok(cotangents)
    }
}

/// The linear map of an operation, as `emit` makes it of the tangents of operands.
fn linearized<Op: Primitive>(
    operation: &Op,
    names: &OperationNames<Op>,
    active: &[bool],
    ctx: &mut Op::ADContext,
    emit: impl FnOnce(
        &mut GraphBuilder<Op>,
        &[Option<LocalValueId>],
        &mut Op::ADContext,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>>,
) -> ADRuleResult<LinearizedGraph<Op>> {
    let mut builder = GraphBuilder::new();
    builder.set_kind(GraphKind::Linear);
    let (operands, results) = names.values.split_at(operation.input_count());
    let mut tangent_inputs = Vec::new();
    let tangents = active.iter().enumerate().map(|(at, active)| {
        let id = active.then(|| builder.add_input(names.tangent(at)))?;
        tangent_inputs.push((names.root.residual_of(at), id));
        Some(id)
    });
    let tangents: Vec<Option<LocalValueId>> = tangents.collect();
    let mut emissions = Emissions::default();
    let role = OperationRole::Primary;
    let key = OperationKey::try_new(operation.clone(), operands.to_vec(), role);
    let key = Arc::new(key.map_err(jvp_error)?);
    emissions.begin(&builder, &key);
    for (slot, result) in results.iter().enumerate() {
        let computed = ValueKey::Derived {
            operation: Arc::clone(&key),
            output_slot: slot as u8,
        };
        note_same_type(result, &computed, ctx)?;
    }
    for (id, operand) in tangents.iter().zip(operands) {
        if let Some(id) = *id {
            note_same_type(builder.global_key(id), operand, ctx)?;
        }
    }
    let outputs = emit(&mut builder, &tangents, ctx)?;
    builder.set_outputs(outputs.iter().copied().flatten().collect());
    Ok(LinearizedGraph::new(
        builder.build(),
        Vec::new(),
        tangent_inputs,
        outputs,
        OutputLabels::Tangents,
        emissions,
    ))
}

fn jvp_error(source: GraphError) -> ADRuleError {
    ADRuleError::Graph {
        rule: ADRuleKind::Jvp,
        source,
    }
}
