//! Functions as operations, with derivative rules of their own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Debug, Display};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tidu_graph::{
    CompiledProgram, DenseGraph, DenseId, EvalError, EvaluableGraphOperation, Exactness,
    GraphOperation, LocalValueId, OperationId, OperationKey, OperationRole, SubFunction, ValueKey,
};

use super::call::emit_call;
use super::dependence::depends_on;
use super::linear::{Partial, check_linear};
use super::unit::{Unit, emit_unit};
use super::{Function, FunctionError, FunctionProgram};
use crate::rules::{
    ADRuleError, ADRuleKind, ADRuleResult, Primitive, PrimitiveBuilder, PrimitiveValue, TypeError,
    ValueType,
};
use crate::walk::needed_for;

/// Derivative rules for a whole function y = f(x), to stand in place of those that would be derived.
///
/// For f of n inputs and m outputs, a JVP is a function (x, ẋ) ↦ ẏ of 2n inputs and m outputs, linear
/// in ẋ; a VJP is a function (x, ȳ) ↦ x̄ of n + m inputs and n outputs. (JAX: `jax.custom_jvp` and
/// `jax.custom_vjp`.)
///
/// Either one serves both modes: a JVP is transposed to go backward, a VJP that is linear in ȳ to go
/// forward. Given both, each mode uses its own. A VJP that is not linear in ȳ (one that clips, say)
/// serves backward only.
///
/// What a VJP chooses with `select` and its like is not known outside of it: going backward, a zero for what it did not
/// take is a number like any other, and 0·∞ is NaN behind it. A JVP that chooses has no such limit.
///
/// Nobody checks that two rules are of one derivative. Where they are not, a number depends on the mode:
///
/// | forward, by the JVP | in reverse, by the VJP |
/// |---|---|
/// | [`jvp`](Function::jvp), [`linearize`](Function::linearize) and the transpose of its linear function | [`vjp`](Function::vjp), [`Derive::pullback`](crate::Derive::pullback) |
/// | [`jacobian`](Function::jacobian) by no more inputs than there are outputs, as by one input | `jacobian` by more; [`grad`](Function::grad), [`value_and_grad`](Function::value_and_grad), by any number |
/// | the second derivative of [`hvp`](Function::hvp) and [`hessian`](Function::hessian) | their first one |
/// | [`Derive::mode`](crate::Derive::mode) with [`Mode::Forward`](crate::Mode::Forward) | with [`Mode::Reverse`](crate::Mode::Reverse) |
/// | tangents on a tape | every way to go backward on a tape |
///
/// Rules may call functions with rules of their own. As linear maps, of ẋ or of ȳ, they are what they
/// compute: the rules of a function that is given something that depends on ẋ or ȳ do not count when the map is
/// transposed.
#[derive(Clone, Debug)]
pub struct Rules<Op: GraphOperation> {
    jvp: Option<Function<Op>>,
    vjp: Option<Function<Op>>,
}

impl<Op: GraphOperation> Rules<Op> {
    /// A JVP for both modes.
    pub fn jvp(jvp: Function<Op>) -> Self {
        Self {
            jvp: Some(jvp),
            vjp: None,
        }
    }

    /// A VJP for both modes.
    pub fn vjp(vjp: Function<Op>) -> Self {
        Self {
            jvp: None,
            vjp: Some(vjp),
        }
    }

    /// A JVP for forward mode and a VJP for reverse mode.
    pub fn both(jvp: Function<Op>, vjp: Function<Op>) -> Self {
        Self {
            jvp: Some(jvp),
            vjp: Some(vjp),
        }
    }
}

/// A function as one operation, with derivative rules of its own: what an operation set wraps to
/// have functions among its operations ([`Primitive::composite`]).
///
/// Every method of the operation set's traits hands over to the method of the same name here. Two
/// composites are equal only if one is a clone of the other.
///
/// Made by [`Function::with_rules`]. It prints as `call` and its name, or `tangent of` and its name. A call holds the
/// function that it calls ([`functions`](Self::functions)), so that passes look into it, but cannot be rebuilt with another
/// one, to which the rules would not belong.
pub struct Composite<Op: GraphOperation> {
    content: Arc<Content<Op>>,
}

struct Content<Op: GraphOperation> {
    definition: Arc<Definition<Op>>,
    part: Part,
}

/// What a composite computes of its function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// x ↦ y
    Value,
    /// (x, ẋ) ↦ ẏ, where ẋ stands for those inputs only that are active. Made for functions with a VJP
    /// of their own, so that transposition finds it.
    Tangent { active: Vec<bool> },
}

struct Definition<Op: GraphOperation> {
    name: String,
    value: Function<Op>,
    program: FunctionProgram<Op>,
    jvp: Option<Function<Op>>,
    vjp: Option<Vjp<Op>>,
    /// How deep composites stand in one another here, as evaluation goes. The operation set may not say which functions
    /// its operations hold.
    depth: usize,
    /// What the operation says that it holds: `value`, by its name.
    function: SubFunction<Op>,
    /// The last field, as fields are dropped in this order.
    held: Held<Op>,
}

/// The composites that stand in the functions of a definition. Dropped after these, with a list of its own: as deep as
/// composites stand in one another, the stack does not grow.
struct Held<Op: GraphOperation>(Vec<Composite<Op>>);

impl<Op: GraphOperation> Drop for Held<Op> {
    fn drop(&mut self) {
        let mut orphans = std::mem::take(&mut self.0);
        while let Some(orphan) = orphans.pop() {
            let content = Arc::into_inner(orphan.content);
            let definition = content.and_then(|content| Arc::into_inner(content.definition));
            if let Some(mut last) = definition {
                orphans.append(&mut last.held.0);
            }
        }
    }
}

struct Vjp<Op: GraphOperation> {
    /// As a map of its seeds, to be transposed and restricted: what it calls for them is written out.
    function: Function<Op>,
    /// As it was given, with its zeros made symbolic.
    partial: Partial<Op>,
    /// Whether it is linear in its seeds, as far as can be seen.
    is_linear: bool,
}

impl<Op: Primitive> Definition<Op> {
    /// By output: whether its tangent is anything but zero, as far as can be seen of the JVP or the VJP. What
    /// only one of two rules takes for zero is not, as each mode uses its own.
    fn live(&self, vjp: &Vjp<Op>, active: &[bool]) -> Vec<bool> {
        let (inputs, outputs) = (active.len(), self.value.output_names().len());
        let chosen = || (0..inputs).filter(|&at| active[at]);
        // From the cotangents that are wanted to the seeds that they are made of.
        let dense = vjp.function.as_dense();
        let wanted = chosen().map(|at| dense.outputs()[at].index());
        let needed = needed_for(dense.nodes(), dense.value_count(), wanted);
        let mut live: Vec<bool> = (0..outputs)
            .map(|output| needed[dense.input(inputs + output).index()])
            .collect();
        if let Some(jvp) = &self.jvp {
            let tangents: Vec<usize> = chosen().map(|at| inputs + at).collect();
            let depends = depends_on(jvp.as_dense(), &tangents);
            for (live, id) in live.iter_mut().zip(jvp.as_dense().outputs()) {
                *live |= depends[id.index()];
            }
        }
        live
    }
}

impl<Op: Primitive> Vjp<Op> {
    fn new(function: &Function<Op>, seeds: &[usize]) -> Result<Self, FunctionError> {
        let ctx = &mut Op::ADContext::default();
        let partial = Partial::new(function, seeds, ctx)?;
        let function = function.written_out_for(seeds)?;
        Ok(Self {
            partial,
            is_linear: check_linear(&function, seeds, ctx).is_ok(),
            function,
        })
    }

    /// These of its outputs for those seeds only that are there, the others being zero: nothing is
    /// emitted for a zero then. `None` where that cannot be, for it is not linear. Seeds come after the
    /// first `inputs` inputs.
    fn restricted(
        &self,
        outputs: &[usize],
        inputs: usize,
        seeds: &[Option<LocalValueId>],
        ctx: &mut Op::ADContext,
    ) -> Option<Result<Partial<Op>, FunctionError>> {
        if !self.is_linear {
            return None;
        }
        let mut own = own_context(&self.function);
        let ctx = own.as_mut().unwrap_or(ctx);
        let live = (0..seeds.len()).filter(|&slot| seeds[slot].is_some());
        let live: Vec<usize> = live.map(|slot| inputs + slot).collect();
        let function = self.function.select_at(outputs);
        let restricted =
            function.and_then(|function| function.within(ctx).partial_linear(&live, inputs));
        match restricted {
            Err(FunctionError::NotLinear { .. }) => None,
            restricted => Some(restricted),
        }
    }
}

impl<Op: Primitive> Function<Op> {
    /// This function as a single operation that is differentiated by rules of its own.
    ///
    /// # Errors
    ///
    /// [`FunctionError::WrongRuleArity`] for a rule that is no JVP or VJP of this function by its
    /// counts; [`FunctionError::NotLinear`] for a JVP that is not linear in its tangents, as
    /// [`transpose`](Self::transpose) finds it, and for a rule whose output depends on no tangent or
    /// seed and is not zero; [`FunctionError::NoComposite`] where the operation set cannot hold functions.
    ///
    /// # Example
    ///
    /// ln(1 + eˣ) overflows from x = 710 on, and so would its derivative, 1 / (1 + e⁻ˣ), if it were
    /// derived from it:
    ///
    /// ```
    /// use tidu_ad::Rules;
    ///
    /// let f = tidu_scalar::function(["x"], |[x]| [(1.0 + x.exp()).ln()])?;
    /// let jvp = tidu_scalar::function(["x", "dx"], |[x, dx]| [dx / (1.0 + (-x).exp())])?;
    /// let softplus = f.with_rules("softplus", Rules::jvp(jvp))?;
    ///
    /// assert!(f.grad("x")?.compile().call(&[800.0])?[0].is_nan());
    /// assert_eq!(softplus.grad("x")?.compile().call(&[800.0])?, [1.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn with_rules(&self, name: &str, rules: Rules<Op>) -> Result<Self, FunctionError> {
        let (inputs, outputs) = counts(self);
        let rules = self.typed_rules(Rules {
            jvp: rules.jvp.map(|jvp| jvp.apart()),
            vjp: rules.vjp.map(|vjp| vjp.apart()),
        })?;
        if let Some(jvp) = &rules.jvp {
            check_counts(name, "JVP", jvp, (2 * inputs, outputs))?;
        }
        if let Some(vjp) = &rules.vjp {
            check_counts(name, "VJP", vjp, (inputs + outputs, inputs))?;
        }
        let tangents: Vec<usize> = (inputs..2 * inputs).collect();
        let jvp = rules.jvp.map(|jvp| jvp.written_out_for(&tangents));
        let jvp = jvp.transpose()?;
        if let Some(jvp) = &jvp {
            check_linear(jvp, &tangents, &mut Op::ADContext::default())
                .map_err(|error| of_rule(error, name, "JVP"))?;
        }
        let seeds: Vec<usize> = (inputs..inputs + outputs).collect();
        let vjp = rules.vjp.map(|vjp| Vjp::new(&vjp, &seeds)).transpose();
        let vjp = vjp.map_err(|error| of_rule(error, name, "VJP"))?;
        let of_vjp = vjp
            .iter()
            .flat_map(|vjp| [&vjp.function, &vjp.partial.function]);
        let functions = [self].into_iter().chain(&jvp).chain(of_vjp);
        let called = composites_of(self).map(|composite| composite.content.definition.depth);
        let definition = Definition {
            name: name.into(),
            value: self.apart(),
            program: self.compile(),
            depth: 1 + called.max().unwrap_or(0),
            held: Held(functions.flat_map(composites_of).collect()),
            function: SubFunction::new(name, Arc::clone(&self.content.dense)),
            vjp,
            jvp,
        };
        let composite = Composite::new(Arc::new(definition), Part::Value);
        let operation = Op::composite(composite)
            .ok_or_else(|| FunctionError::NoComposite { name: name.into() })?;
        self.called(operation)
    }

    /// Rules for this function, for inputs of the types that follow from its own. Rules of the wrong
    /// arity are left alone.
    fn typed_rules(&self, rules: Rules<Op>) -> Result<Rules<Op>, FunctionError> {
        let (Some(inputs), Some(outputs)) = (self.input_types(), self.output_types()?) else {
            return Ok(rules);
        };
        let typed = |rule: Option<Function<Op>>, seeds: &[ValueType]| match rule {
            Some(rule) if rule.as_dense().input_count() == inputs.len() + seeds.len() => rule
                .with_types(inputs.iter().chain(seeds).cloned())
                .map(Some),
            rule => Ok(rule),
        };
        Ok(Rules {
            jvp: typed(rules.jvp, inputs)?,
            vjp: typed(rules.vjp, &outputs)?,
        })
    }

    /// The function of these inputs and outputs that is one operation.
    fn called(&self, operation: Op) -> Result<Self, FunctionError> {
        let mut dense = self.as_dense().inputs_alone();
        let inputs: Vec<DenseId> = dense.inputs().collect();
        let outputs = dense.push(operation, &inputs)?.iter().collect();
        dense.set_outputs(outputs);
        let names = Arc::clone(&self.content.output_names);
        let called = Self::settle(dense, self.input_keys(), names, None)?;
        called.typed_like(self)
    }

    /// The function with the bodies of all composites in their place: as it would be without rules of
    /// their own.
    ///
    /// # Errors
    ///
    /// None in practice: those of a derivative that cannot go forward, which stands in no function that
    /// the library makes.
    pub fn expanded(&self) -> Result<Self, FunctionError> {
        let expanded = self.written_out(&[], |_, _| true)?;
        Ok(expanded.unwrap_or_else(|| self.clone()))
    }

    /// The function with the bodies of those composites in their place that are given what depends on these
    /// inputs: for a function that is linear in them. As a linear map it is what it computes, whatever rules
    /// the functions that it calls have.
    pub(super) fn written_out_for(&self, inputs: &[usize]) -> Result<Self, FunctionError> {
        let written_out = self.written_out(inputs, |composite, is_given_some| {
            is_given_some && composite.content.part == Part::Value
        })?;
        Ok(written_out.unwrap_or_else(|| self.clone()))
    }

    /// The function with every composite's tangent replaced by what computes it.
    pub(crate) fn without_tangents(self, level: Option<Exactness>) -> Result<Self, FunctionError> {
        let expanded =
            self.written_out(&[], |composite, _| composite.content.part != Part::Value)?;
        match (expanded, level) {
            (None, _) => Ok(self),
            (Some(expanded), None) => Ok(expanded),
            (Some(expanded), Some(level)) => expanded.simplify(level),
        }
    }

    /// The function with the bodies of those composites in their place that are `chosen`, given whether an operand
    /// depends on these inputs; so it is within bodies. `None` if none of its own is.
    ///
    /// # Complexity
    ///
    /// Linear in the operations of the calls that are written out, however deep they stand in one another; calls of one
    /// function on the same operands are one.
    fn written_out(
        &self,
        inputs: &[usize],
        chosen: impl Fn(&Composite<Op>, bool) -> bool,
    ) -> Result<Option<Self>, FunctionError> {
        if !composites_of(self).any(|composite| chosen(&composite, true)) {
            return Ok(None);
        }
        let mut whole = DenseGraph::new(self.as_dense().input_count());
        // By value of the whole.
        let mut depends = vec![false; whole.input_count()];
        inputs.iter().for_each(|&at| depends[at] = true);
        let mut results_of: HashMap<Application<Op>, Vec<DenseId>> = HashMap::new();
        let mut bodies: HashMap<Op, Self> = HashMap::new();
        let mut any = false;
        let mut calls = vec![Call::new(self.clone(), whole.inputs().collect(), None)];
        while let Some(call) = calls.last_mut() {
            let dense = call.function.as_dense();
            // A call that is done says what its operation results in: whoever made it looks there.
            let Some(&next) = call.to_come.last() else {
                let outputs = dense.outputs().iter().map(|id| call.here[id.index()]);
                let outputs: Vec<DenseId> = outputs.collect();
                match calls.pop().and_then(|done| done.of) {
                    Some(application) => results_of.insert(application, outputs),
                    None => {
                        whole.set_outputs(outputs);
                        break;
                    }
                };
                continue;
            };
            // What has been met on the same operands is there.
            let node = dense.node(next);
            let operands = node.operands.iter().map(|id| call.here[id.index()]);
            let application = (node.operation.clone(), operands.collect::<Vec<_>>());
            if let Some(results) = results_of.get(&application) {
                call.here.extend(results);
                call.to_come.pop();
                continue;
            }
            // All else is made: by the operation, or by what it is written out to.
            let (operation, operands) = &application;
            let is_given_some = operands.iter().any(|id| depends[id.index()]);
            let composite = operation.as_composite();
            match composite.filter(|composite| chosen(composite, is_given_some)) {
                Some(composite) => {
                    any = true;
                    let body = match bodies.entry(operation.clone()) {
                        Entry::Occupied(known) => known.get().clone(),
                        Entry::Vacant(new) => new.insert(composite.body()?).clone(),
                    };
                    calls.push(Call::new(body, operands.clone(), Some(application)));
                }
                None => {
                    let results = whole.push(operation.clone(), operands)?;
                    depends.resize(whole.value_count(), is_given_some);
                    results_of.insert(application, results.iter().collect());
                }
            }
        }
        if !any {
            return Ok(None);
        }
        let names = Arc::clone(&self.content.output_names);
        let written_out = Self::settle(whole, self.input_keys(), names, None)?;
        written_out.typed_like(self).map(Some)
    }
}

/// An operation and what it is applied to.
type Application<Op> = (Op, Vec<DenseId>);

/// A function that is being written out, in the place of an operation.
struct Call<Op: GraphOperation> {
    function: Function<Op>,
    /// By value, as far as it has been gone through: what it is in the whole.
    here: Vec<DenseId>,
    /// The operations that are left, the next one last.
    to_come: Vec<OperationId>,
    of: Option<Application<Op>>,
}

impl<Op: GraphOperation> Call<Op> {
    fn new(function: Function<Op>, operands: Vec<DenseId>, of: Option<Application<Op>>) -> Self {
        Self {
            to_come: function.as_dense().operation_ids().rev().collect(),
            here: operands,
            function,
            of,
        }
    }
}

impl<Op: GraphOperation> Composite<Op> {
    fn new(definition: Arc<Definition<Op>>, part: Part) -> Self {
        Self {
            content: Arc::new(Content { definition, part }),
        }
    }

    /// The name that was given to the function.
    pub fn name(&self) -> &str {
        &self.content.definition.name
    }

    /// Why an operation that prints like a function with rules of its own is none that can be read: for
    /// [`ParseNames::explain_name`](tidu_graph::text::ParseNames::explain_name).
    pub fn explain_name(text: &str) -> Option<String> {
        let name = text
            .strip_prefix("call ")
            .or_else(|| text.strip_prefix("tangent of "))?;
        Some(format!(
            "{name}, a function with rules of its own, which prints by its name and cannot be read back: print \
             what it is `expanded` to"
        ))
    }

    /// The number of operands: for [`GraphOperation::input_count`].
    pub fn input_count(&self) -> usize {
        let inputs = self.content.definition.value.as_dense().input_count();
        match &self.content.part {
            Part::Value => inputs,
            Part::Tangent { active } => inputs + active.iter().filter(|active| **active).count(),
        }
    }

    /// The function that is called: for [`GraphOperation::functions`]. A tangent holds none, as it is derived when it is
    /// needed.
    pub fn functions(&self) -> &[SubFunction<Op>] {
        match self.content.part {
            Part::Value => std::slice::from_ref(&self.content.definition.function),
            Part::Tangent { .. } => &[],
        }
    }

    /// The number of results: for [`GraphOperation::output_count`].
    pub fn output_count(&self) -> usize {
        self.content.definition.value.output_names().len()
    }
}

impl<Op: Primitive> Composite<Op> {
    /// For [`Primitive::try_jvp_rule`].
    ///
    /// # Errors
    ///
    /// Those of the rules that the function's own JVP needs, and [`ADRuleError::Runtime`] for one that
    /// is not linear in its tangents.
    pub fn try_jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Op>,
        primal_inputs: &[ValueKey<Op>],
        tangent_inputs: &[Option<LocalValueId>],
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let definition = &self.content.definition;
        let mut own = own_context(&definition.value);
        let ctx = own.as_mut().unwrap_or(ctx);
        let active: Vec<bool> = tangent_inputs.iter().map(Option::is_some).collect();
        let externals = primal_inputs.iter().cloned().map(PrimitiveValue::External);
        let tangents = tangent_inputs.iter().copied().flatten();
        let tangents = tangents.map(PrimitiveValue::Local);
        let operands: Vec<PrimitiveValue<Op>> = externals.chain(tangents).collect();
        let mask = mask_after(primal_inputs.len(), operands.len());
        let jvp = match (&self.content.part, &definition.vjp) {
            (Part::Value, Some(vjp)) => {
                let live = definition.live(vjp, &active);
                if !live.contains(&true) {
                    return Ok(vec![None; live.len()]);
                }
                let tangent = Composite::new(Arc::clone(definition), Part::Tangent { active });
                let operation = tangent.wrap()?;
                let role = OperationRole::Linearized { active_mask: mask };
                let tangents = builder.add_primitive(operation, operands, role);
                let tangents = tangents.into_iter().zip(live);
                return Ok(tangents.map(|(id, live)| live.then_some(id)).collect());
            }
            (Part::Value, None) => self.forward(&active, ctx),
            (Part::Tangent { .. }, _) => self.body().and_then(|body| {
                let wrt: Vec<usize> = (0..active.len()).filter(|&at| active[at]).collect();
                let derive = body.within(ctx);
                derive.partial_linear(&wrt, primal_inputs.len())
            }),
        };
        let jvp = jvp.map_err(|error| carry(ADRuleKind::Jvp, error))?;
        Ok(emit_call(builder, &jvp, &operands, &mask))
    }

    /// For [`Primitive::try_linear_transpose_rule`].
    ///
    /// # Errors
    ///
    /// [`ADRuleError::Unsupported`] for a composite that is not a tangent. [`ADRuleError::Runtime`] where
    /// a cotangent is a symbolic zero, the VJP is not linear, and the operation set has no zero for it.
    pub fn try_linear_transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Op>,
        cotangent_outputs: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Op>],
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let definition = &self.content.definition;
        let (Part::Tangent { active }, Some(vjp)) = (&self.content.part, &definition.vjp) else {
            return Err(ADRuleError::unsupported(
                self.to_string(),
                ADRuleKind::Transpose,
            ));
        };
        let primal_inputs = &inputs[..active.len()];
        let wanted: Vec<usize> = (0..active.len()).filter(|&at| active[at]).collect();
        let mut operands = primal_inputs.to_vec();
        let live = cotangent_outputs.iter().flatten();
        operands.extend(live.map(|&cotangent| PrimitiveValue::Local(cotangent)));
        let vjp = if operands.len() == active.len() + cotangent_outputs.len() {
            vjp.partial.select(wanted.into_iter())
        } else if let Some(vjp) = vjp.restricted(&wanted, active.len(), cotangent_outputs, ctx) {
            vjp
        } else {
            operands.truncate(active.len());
            for (slot, cotangent) in cotangent_outputs.iter().enumerate() {
                let cotangent = match cotangent {
                    Some(cotangent) => *cotangent,
                    None => self.zero(builder, primal_inputs, slot, ctx)?,
                };
                operands.push(PrimitiveValue::Local(cotangent));
            }
            vjp.partial.select(wanted.into_iter())
        };
        let vjp = vjp.map_err(|error| carry(ADRuleKind::Transpose, error))?;
        let mask = mask_after(primal_inputs.len(), operands.len());
        let cotangents = emit_call(builder, &vjp, &operands, &mask);
        let of_primal = primal_inputs.iter().map(|_| None);
        Ok(of_primal.chain(cotangents).collect())
    }

    /// The types of the results, for operands of these types: for
    /// [`GraphOperation::infer_types`]. They are those that the function was made for
    /// ([`Function::with_types`]).
    ///
    /// # Errors
    ///
    /// Where the function was made for others, or for none.
    pub fn infer_types(&self, operands: &[&ValueType]) -> Result<Vec<ValueType>, FunctionError> {
        let value = &self.content.definition.value;
        let known = value.input_types().unwrap_or_default();
        for ((known, found), name) in known.iter().zip(operands).zip(value.names()) {
            if known != *found {
                return Err(FunctionError::Type(TypeError::Conflict {
                    value: format!("input {name} of {self}"),
                    known: Box::new(known.clone()),
                    found: Box::new((*found).clone()),
                }));
            }
        }
        let unknown = || TypeError::Unknown {
            input: value.names().join(", "),
        };
        Ok(value.output_types()?.ok_or_else(unknown)?)
    }

    /// Whether this can be linear in these operands: a tangent is in all its tangents, jointly, and in
    /// nothing else; about a function, only its transpose rule could say.
    pub(super) fn permits(&self, active_mask: &[bool]) -> bool {
        match &self.content.part {
            Part::Value => true,
            Part::Tangent { active } => {
                active_mask == mask_after(active.len(), active_mask.len()).as_slice()
            }
        }
    }

    /// The function that this is.
    fn body(&self) -> Result<Function<Op>, FunctionError> {
        let definition = &self.content.definition;
        let Part::Tangent { active } = &self.content.part else {
            return Ok(definition.value.clone());
        };
        let ctx = &mut Op::ADContext::default();
        let tangent = self.forward(active, ctx)?;
        tangent.fill(&definition.value, ctx)
    }

    /// (x, ẋ) ↦ ẏ, with the active tangents only.
    fn forward(
        &self,
        active: &[bool],
        ctx: &mut Op::ADContext,
    ) -> Result<Partial<Op>, FunctionError> {
        let inputs = active.len();
        let active = (0..inputs).filter(|&at| active[at]);
        let definition = &self.content.definition;
        if let Some(jvp) = &definition.jvp {
            let tangents: Vec<usize> = active.map(|at| inputs + at).collect();
            let tangent = jvp.within(ctx).partial_linear(&tangents, inputs);
            return tangent.map_err(|error| self.locate(error, "JVP"));
        }
        let vjp = definition.vjp.as_ref();
        let vjp = &vjp.expect("a composite has one of the two rules").function;
        let vjp = vjp.select_at(&active.collect::<Vec<_>>())?;
        let seeds: Vec<usize> = (inputs..vjp.as_dense().input_count()).collect();
        let tangent = vjp.within(ctx).partial_transpose(&seeds);
        tangent.map_err(|error| self.locate(error, "VJP, which forward mode has to transpose"))
    }

    /// An error that says whose rule is not linear.
    fn locate(&self, error: FunctionError, rule: &str) -> FunctionError {
        of_rule(error, self.name(), rule)
    }

    /// The zero cotangent of an output.
    fn zero(
        &self,
        builder: &mut impl PrimitiveBuilder<Op>,
        primal_inputs: &[PrimitiveValue<Op>],
        slot: usize,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<LocalValueId> {
        let definition = &self.content.definition;
        let value = Composite::new(Arc::clone(definition), Part::Value).wrap()?;
        let inputs = primal_inputs.iter().filter_map(|input| match input {
            PrimitiveValue::External(key) => Some(key.clone()),
            PrimitiveValue::Local(id) => builder.key_of(*id),
        });
        let key = OperationKey::try_new(value, inputs.collect(), OperationRole::Primary);
        let key = key.map_err(|error| carry(ADRuleKind::Transpose, error.into()))?;
        let output = ValueKey::Derived {
            operation: Arc::new(key),
            output_slot: slot as u8,
        };
        let name = format!(
            "{} of {}",
            definition.value.output_names()[slot],
            self.name()
        );
        let zero = emit_unit(Unit::Zero, builder, &output, &name, ctx);
        zero.map_err(|error| carry(ADRuleKind::Transpose, error))
    }

    fn wrap(self) -> ADRuleResult<Op> {
        let name = self.to_string();
        Op::composite(self).ok_or_else(|| ADRuleError::unsupported(name, ADRuleKind::Jvp))
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Composite<Op> {
    /// For [`EvaluableGraphOperation::try_eval`]. A tangent is derived at each call: [`Function`]s do
    /// not hold any, but linear graphs made by [`linearize`](crate::linearize) do.
    ///
    /// # Errors
    ///
    /// Where an operation inside fails or returns too few results, and for the tangent of a function whose VJP is not
    /// linear, which cannot go forward. [`FunctionError::NestedTooDeep`], before anything runs, where functions with rules
    /// stand in one another deeper than [`CompiledProgram::DEPTH_LIMIT`].
    pub fn try_eval(
        &self,
        ctx: &mut Op::Context,
        inputs: &[&Op::Operand],
    ) -> Result<Vec<Op::Operand>, EvalError> {
        let (depth, limit) = (
            self.content.definition.depth,
            CompiledProgram::<Op>::DEPTH_LIMIT,
        );
        if depth > limit {
            let name = self.name().to_owned();
            return Err(FunctionError::NestedTooDeep { name, depth, limit }.into());
        }
        let results = match self.content.part {
            Part::Value => self.content.definition.program.call_in(ctx, inputs),
            Part::Tangent { .. } => {
                let body = self.body();
                body.and_then(|body| body.compile().call_in(ctx, inputs))
            }
        };
        Ok(results?)
    }

    /// For [`EvaluableGraphOperation::eval`]: [`try_eval`](Self::try_eval), without results where that fails, which
    /// whoever evaluates finds by their number.
    pub fn eval(&self, ctx: &mut Op::Context, inputs: &[&Op::Operand]) -> Vec<Op::Operand> {
        self.try_eval(ctx, inputs).unwrap_or_default()
    }
}

/// A context to derive a function in, if it has types: other functions may have told the one at hand
/// something else under the same names.
fn own_context<Op: Primitive>(function: &Function<Op>) -> Option<Op::ADContext> {
    let types = function.input_types();
    types.map(|_| Op::ADContext::default())
}

/// The numbers of inputs and outputs.
fn counts<Op: GraphOperation>(function: &Function<Op>) -> (usize, usize) {
    let dense = function.as_dense();
    (dense.input_count(), dense.outputs().len())
}

fn check_counts<Op: GraphOperation>(
    name: &str,
    rule: &'static str,
    function: &Function<Op>,
    expected: (usize, usize),
) -> Result<(), FunctionError> {
    let found = counts(function);
    if found == expected {
        return Ok(());
    }
    Err(FunctionError::WrongRuleArity {
        name: name.into(),
        rule,
        expected,
        found,
    })
}

/// An error that says whose rule is not linear.
fn of_rule(error: FunctionError, name: &str, rule: &str) -> FunctionError {
    match error {
        FunctionError::NotLinear { wrt, reason } => FunctionError::NotLinear {
            wrt,
            reason: format!("{reason}; it is {name}'s {rule}"),
        },
        error => error,
    }
}

/// An error of a function as one of a rule.
fn carry(rule: ADRuleKind, error: FunctionError) -> ADRuleError {
    match error {
        FunctionError::Rule(error) => error,
        error => ADRuleError::runtime(error, rule),
    }
}

/// Active is what comes after the first operands.
fn mask_after(first: usize, operands: usize) -> Vec<bool> {
    (0..operands).map(|at| at >= first).collect()
}

/// The composites that stand in a function.
fn composites_of<Op: Primitive>(
    function: &Function<Op>,
) -> impl Iterator<Item = Composite<Op>> + '_ {
    let nodes = function.as_dense().nodes();
    let composites = nodes.filter_map(|node| node.operation.as_composite());
    composites.cloned()
}

impl<Op: GraphOperation> Clone for Composite<Op> {
    fn clone(&self) -> Self {
        Self {
            content: Arc::clone(&self.content),
        }
    }
}

/// The same part of the same definition: derivatives make new composites for it.
impl<Op: GraphOperation> PartialEq for Composite<Op> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
            || (Arc::ptr_eq(&self.content.definition, &other.content.definition)
                && self.content.part == other.content.part)
    }
}

impl<Op: GraphOperation> Eq for Composite<Op> {}

/// By name and what is computed, which is the same in every run.
impl<Op: GraphOperation> Hash for Composite<Op> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
        self.content.definition.function.hash(state);
        self.content.part.hash(state);
    }
}

impl<Op: GraphOperation> Display for Composite<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content.part {
            Part::Value => write!(f, "call {}", self.name()),
            Part::Tangent { .. } => write!(f, "tangent of {}", self.name()),
        }
    }
}

impl<Op: GraphOperation> Debug for Composite<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}
