//! The derivatives of a single operation, for runtimes that apply operations one at a time.

use std::sync::Arc;

use tidu_graph::{
    Exactness, GraphBuilder, LocalValueId, OperationKey, OperationRole, Shade, ValueKey,
};

use crate::function::{Function, FunctionError};
use crate::linearized_graph::{Emissions, LinearizedGraph, OutputLabels};
use crate::rules::{ADKey, ADRuleError, ADRuleKind, Primitive, RuleScope, note_same_type};
use crate::transpose::try_linear_transpose_with_builder;
use crate::verify::verified;

/// The VJP of an operation y = f(x), at any x: (x, y, ȳ) ↦ x̄.
///
/// Results are given rather than computed again, so that what the function takes is what has to be
/// kept from going forward: the residuals.
#[derive(Clone, Debug)]
pub struct OperationVjp<Op: Primitive> {
    /// Inputs: all operands, all results, then the cotangents of the seeded results. Outputs: those
    /// cotangents of active operands that are not symbolic zeros.
    pub function: Function<Op>,
    /// By operand: which output of the function is its cotangent; `None` for a symbolic zero, and for
    /// an operand that is not active.
    pub cotangents: Vec<Option<usize>>,
}

/// The JVP of an operation y = f(x), at any x: (x, y, ẋ) ↦ ẏ.
#[derive(Clone, Debug)]
pub struct OperationJvp<Op: Primitive> {
    /// Inputs: all operands, all results, then the tangents of active operands. Outputs: those tangents
    /// of results that are not symbolic zeros.
    pub function: Function<Op>,
    /// By result: which output of the function is its tangent; `None` for a symbolic zero.
    pub tangents: Vec<Option<usize>>,
}

/// The linear map of an operation y = f(x), at any x, which both derivatives are made from.
pub(crate) struct OperationLinearization<Op: Primitive> {
    /// What inputs are named after.
    name: Op::InputKey,
    /// The names of operands and results.
    keys: Vec<Op::InputKey>,
    active: Vec<bool>,
    linear: LinearizedGraph<Op>,
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
        let linearization = OperationLinearization::derive(operation, name, active, ctx)?;
        linearization.jvp(Some(Exactness::Exact))
    }
}

impl<Op: Primitive> OperationVjp<Op> {
    /// Derives the VJP by operands that are `active`, from cotangents of results that are `seeded`. Any
    /// `name` will do: inputs are named after it, as those of [`OperationJvp::derive`].
    ///
    /// # Errors
    ///
    /// [`FunctionError::Rule`]: what a rule returns or does wrong.
    pub fn derive(
        operation: &Op,
        name: &Op::InputKey,
        active: &[bool],
        seeded: &[bool],
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let linearization = OperationLinearization::derive(operation, name, active, ctx)?;
        linearization.vjp(seeded, Some(Exactness::Exact), ctx)
    }
}

impl<Op: Primitive> OperationLinearization<Op> {
    /// Linearizes an operation, by the operands that are `active`.
    pub fn derive(
        operation: &Op,
        name: &Op::InputKey,
        active: &[bool],
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let count = operation.input_count() + operation.output_count();
        let keys: Vec<Op::InputKey> = (0..count).map(|at| name.residual_of(at)).collect();
        let linear = linearized(operation, &keys, active, ctx)?;
        Ok(Self {
            name: name.clone(),
            keys,
            active: active.to_vec(),
            linear: verified(linear, ADRuleKind::Jvp)?,
        })
    }

    /// By result: whether its tangent is anything but a symbolic zero.
    pub fn live(&self) -> impl Iterator<Item = bool> {
        let tangents = self.linear.tangent_outputs().iter();
        tangents.map(Option::is_some)
    }

    /// The JVP, as simple as a level permits.
    pub fn jvp(&self, level: Option<Exactness>) -> Result<OperationJvp<Op>, FunctionError> {
        let graph = self.linear.as_graph();
        let mut inputs = self.keys.clone();
        let tangents = self.linear.tangent_inputs().iter();
        inputs.extend(tangents.map(|(key, _)| key.tangent_of(0)));
        let mut outputs = Vec::new();
        let tangents = self.linear.tangent_outputs().iter().map(|tangent| {
            let key = graph.values()[(*tangent)?].key.clone();
            outputs.push((key, format!("d.{}", outputs.len())));
            Some(outputs.len() - 1)
        });
        let tangents = tangents.collect();
        let graphs = vec![Arc::new(graph.clone())];
        let function = Function::close(graphs, &inputs, outputs, level)?;
        Ok(OperationJvp {
            function: function.without_tangents(level)?,
            tangents,
        })
    }

    /// The VJP from cotangents of results that are `seeded`, as simple as a level permits.
    pub fn vjp(
        &self,
        seeded: &[bool],
        level: Option<Exactness>,
        ctx: &mut Op::ADContext,
    ) -> Result<OperationVjp<Op>, FunctionError> {
        let mut glue = GraphBuilder::new();
        glue.add_parent(Arc::new(self.linear.as_graph().clone()));
        let mut inputs = self.keys.clone();
        let mut seeds = Vec::new();
        for (output, tangent) in self.linear.tangent_outputs().iter().enumerate() {
            let key = self.name.cotangent_of(output);
            let seed = seeded[output].then(|| glue.add_input(key.clone()));
            if seeded[output] {
                inputs.push(key);
            }
            if tangent.is_some() {
                seeds.push(seed);
            }
        }
        let found = try_linear_transpose_with_builder(&self.linear, &mut glue, &seeds, ctx)?;
        let mut found = found.into_iter();
        let mut outputs = Vec::new();
        let cotangents = self.active.iter().enumerate().map(|(operand, active)| {
            let id = active.then(|| found.next().flatten()).flatten()?;
            outputs.push((glue.global_key(id).clone(), format!("ct.{operand}")));
            Some(outputs.len() - 1)
        });
        let cotangents = cotangents.collect();
        let graphs = vec![Arc::new(glue.build())];
        Ok(OperationVjp {
            function: Function::close(graphs, &inputs, outputs, level)?,
            cotangents,
        })
    }
}

/// The linear map of an operation whose operands and results are inputs of these names.
fn linearized<Op: Primitive>(
    operation: &Op,
    keys: &[Op::InputKey],
    active: &[bool],
    ctx: &mut Op::ADContext,
) -> Result<LinearizedGraph<Op>, FunctionError> {
    let mut primal = GraphBuilder::new();
    for key in keys {
        primal.add_input(key.clone());
    }
    let primal = Arc::new(primal.build());
    let mut builder = GraphBuilder::new();
    builder.set_shade(Shade::Linear);
    builder.add_parent(Arc::clone(&primal));
    let values: Vec<ValueKey<Op>> = keys.iter().cloned().map(ValueKey::Input).collect();
    let (operands, results) = values.split_at(operation.input_count());
    let mut tangent_inputs = Vec::new();
    let tangents = active.iter().zip(keys).map(|(active, key)| {
        let id = active.then(|| builder.add_input(key.tangent_of(0)))?;
        tangent_inputs.push((key.clone(), id));
        Some(id)
    });
    let tangents: Vec<Option<LocalValueId>> = tangents.collect();
    let mut emissions = Emissions::default();
    let role = OperationRole::Primary;
    let key =
        OperationKey::try_new(operation.clone(), operands.to_vec(), role).map_err(|source| {
            ADRuleError::Graph {
                rule: ADRuleKind::Jvp,
                source,
            }
        })?;
    let key = Arc::new(key);
    emissions.begin(&builder, &key);
    for (slot, result) in results.iter().enumerate() {
        let computed = ValueKey::Derived {
            operation: Arc::clone(&key),
            output_slot: slot as u8,
        };
        note_same_type(result, &computed, ctx)?;
    }
    for (primal, id) in &tangent_inputs {
        let primal = ValueKey::Input(primal.clone());
        note_same_type(builder.global_key(*id), &primal, ctx)?;
    }
    let mut scope = RuleScope::new(&mut builder, operation, ADRuleKind::Jvp, &tangents);
    let returned = operation.try_jvp_rule(&mut scope, operands, results, &tangents, ctx)?;
    let outputs = scope.finish(results.len(), returned)?;
    builder.set_outputs(outputs.iter().copied().flatten().collect());
    Ok(LinearizedGraph::new(
        builder.build(),
        vec![primal],
        tangent_inputs,
        outputs,
        OutputLabels::Tangents,
        emissions,
    ))
}
