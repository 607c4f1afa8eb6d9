//! Functions split into a primal and a linear part, and functions that are linear themselves.

use std::sync::Arc;

use tidu_graph::text::{input_label, name_list, operation_label};
use tidu_graph::{
    DenseGraph, DenseId, Exactness, GraphBuilder, GraphError, GraphKind, GraphOperation,
    LocalValueId, OperationNode, OperationRole, Producers, ValueKey, ValueRef,
};

use super::derive::names_apart;
use super::stage::{Part, Stage, Unit, emit_unit};
use super::{Derive, Function, FunctionError, Nonzero, Wrt};
use crate::linearized_graph::{Emissions, LinearizedGraph, OutputLabels};
use crate::rules::{ADKey, Primitive, note_same_type};

/// A function at a point, split from its linear map there. See [`Derive::linearize`].
#[derive(Clone, Debug)]
pub struct Linearization<Op: GraphOperation> {
    /// x ↦ (f(x), r), where the residuals r are all that the linear map needs to know of x. They are
    /// called `r0`, `r1`, and so on, or `r_2.0`, `r_2.1`, and so on, if f has an output of such a name.
    pub primal: Function<Op>,
    /// (r, ẋ) ↦ J(x)·ẋ
    pub linear: Function<Op>,
}

/// A function at a point, split from what goes backward from there. See [`Derive::pullback`].
#[derive(Clone, Debug)]
pub struct Pullback<Op: Primitive> {
    /// x ↦ (f(x), r), where the residuals r are all that going backward needs to know of x. They are
    /// called `r0`, `r1`, and so on.
    pub primal: Function<Op>,
    /// (r, ȳ) ↦ J(x)ᵀ·ȳ, with the masks of these cotangents.
    pub pullback: Nonzero<Op>,
}

/// A function some of whose outputs may be symbolic zeros.
pub(super) struct Partial<Op: GraphOperation> {
    /// With the outputs that are there, in order.
    pub function: Function<Op>,
    /// By output: whether it is there.
    pub present: Vec<bool>,
}

impl<'a, Op: Primitive> Derive<'a, Op> {
    /// Splits the derivative: what can be computed from x, once, and what remains to be computed for
    /// each ẋ. (JAX: `jax.linearize`; the split is partial evaluation of the JVP.)
    ///
    /// The linear function takes the residuals, in the order in which the primal function returns
    /// them, then the tangents; [`transpose`](Self::transpose) it with respect to the tangents to go
    /// backward. Constants are no residuals.
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp). An input of a type that has no derivatives may stand among `wrt`, as long as
    /// no derivative depends on it.
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x"], |[x]| [x.sin()])?;
    /// let split = f.linearize("x")?;
    /// assert_eq!(split.primal.output_names(), ["out0", "r0"]);
    /// assert_eq!(split.linear.to_string(), "function {
    ///     input %0 = r0.d0.x
    ///     input %1 = d0.x
    ///     %2 = mul %0, %1
    ///     output %2 -> d.out0
    /// }");
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn linearize(mut self, wrt: impl Into<Wrt>) -> Result<Linearization<Op>, FunctionError> {
        let (inputs, outputs) = (
            self.function.input_keys(),
            self.function.output_names().len(),
        );
        let jvp = self.again(self.function).jvp(wrt)?;
        let (primal, linear) = split(&jvp, inputs.len(), outputs, self.ctx)?;
        Ok(Linearization { primal, linear })
    }

    /// Splits the VJP: what can be computed from x, once, and what remains to be computed for each ȳ. (JAX:
    /// `jax.vjp`, which returns the value and such a function.)
    ///
    /// The pullback takes the residuals, in the order in which the primal function returns them, then a
    /// cotangent for each output. Its cotangents are those of [`linearize`](Self::linearize) and
    /// [`transpose`](Self::transpose), unless a function inside has a VJP of its own: this one uses it, and
    /// that VJP need not be linear. Zeros are symbolic, and what a selection does not take is told by masks
    /// ([`Masking`](crate::rules::Masking)).
    ///
    /// # Errors
    ///
    /// As for [`vjp`](Self::vjp), but for [`FunctionError::NoZero`].
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [x.sin() + y.floor()])?;
    /// let split = f.within(&mut ()).pullback(..)?;
    /// assert_eq!(split.primal.output_names(), ["out0", "r0"]);
    /// assert_eq!(split.pullback.places[..2], [Some(0), None]);
    /// assert_eq!(split.pullback.function.to_string(), "function {
    ///     input %0 = r0.r0.d0.x
    ///     input %1 = r0.d0.x
    ///     %2 = mul %0, %1
    ///     output %2 -> ct.x
    /// }");
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn pullback(mut self, wrt: impl Into<Wrt>) -> Result<Pullback<Op>, FunctionError> {
        let function = self.function;
        let wrt = wrt.into().positions(function)?;
        let inputs = function.as_dense().input_count();
        let outputs = function.output_names().len();
        let values: Vec<usize> = (0..outputs).collect();
        let no_masks = vec![false; outputs];
        let vjp = self.again(function).vjp_beside(&values, &wrt, &no_masks)?;
        let (primal, pullback) = split(&vjp.function, inputs, outputs, self.ctx)?;
        Ok(Pullback {
            primal,
            pullback: Nonzero {
                function: pullback,
                places: vjp.places,
            },
        })
    }

    /// The transpose of a function y = A·t + 0 that is linear in some of its inputs, t, jointly: the
    /// others come first, then a cotangent for each output; the outputs are Aᵀ·ȳ, one for each of
    /// `wrt`, called `ct.` and its name. (JAX: `jax.linear_transpose`.)
    ///
    /// It is the transpose of what is computed: where something that depends on t is given to a function with
    /// rules of its own, these do not count, as they do for [`vjp`](Self::vjp).
    ///
    /// # Errors
    ///
    /// [`FunctionError::NotLinear`] for an operation that is not linear in what depends on `wrt`, as far
    /// as the operation set declares it ([`Primitive::linearity`]), and for an output that does not
    /// depend on `wrt` and is not the zero of the operation set. Otherwise as for
    /// [`jvp`](Self::jvp).
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["a", "t"], |[a, t]| [&a * &t, &t - &a * 3.0 * &t])?;
    /// let transposed = f.transpose("t")?;
    /// // At a = 2: ⟨(ȳ₀, ȳ₁), (2t, -5t)⟩ = ⟨2ȳ₀ - 5ȳ₁, t⟩.
    /// assert_eq!(transposed.compile().call(&[2.0, 10.0, 1.0])?, [15.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn transpose(mut self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let (function, level) = (self.function, self.level);
        let wrt = wrt.into().positions(function)?;
        function.check_inputs(&wrt, self.ctx)?;
        let written_out = function.written_out_for(&wrt)?;
        let derive = self.again(&written_out);
        let (mut stage, inputs) = derive.transposed(&Wrt::At(wrt))?;
        let cotangents = stage.seeded_cotangents(stage.seed_keys())?;
        let outputs = stage.fill(cotangents)?;
        stage.close(&inputs, outputs, level)
    }

    /// The transpose with symbolic zeros.
    pub(super) fn partial_transpose(self, wrt: &Wrt) -> Result<Partial<Op>, FunctionError> {
        let keys = self.function.input_keys();
        let (mut stage, inputs) = self.transposed(wrt)?;
        let cotangents = stage.seeded_cotangents(stage.seed_keys())?;
        let gone = stage.wrt.iter().map(|&at| keys[at].clone());
        let gone: Vec<Op::InputKey> = gone.collect();
        let closed = Partial::close(stage, &inputs, cotangents);
        closed.map_err(|error| not_linear_after_all::<Op>(error, &gone))
    }

    /// The derivative by `wrt`, with symbolic zeros, of a function that is linear in its inputs from
    /// `first` on: itself, restricted to some of these. Inputs: those before `first`, then `wrt`.
    pub(super) fn partial_linear(
        self,
        wrt: &Wrt,
        first: usize,
    ) -> Result<Partial<Op>, FunctionError> {
        let function = self.function;
        let stage = Stage::linearize(function, wrt, None, self.ctx)?;
        let mut inputs = function.input_keys();
        let others = inputs.split_off(first);
        inputs.extend(stage.tangent_keys());
        let tangents = stage.tangents();
        let closed = Partial::close(stage, &inputs, tangents);
        closed.map_err(|error| not_linear_after_all::<Op>(error, &others))
    }

    /// The transposition, ready to be seeded, and the inputs of the result.
    fn transposed(self, wrt: &Wrt) -> Result<(Stage<'a, Op>, Vec<Op::InputKey>), FunctionError> {
        let Self { function, ctx, .. } = self;
        function.note_types(ctx)?;
        let wrt = wrt.positions(function)?;
        let linear = checked_linear_graph(function, &wrt, ctx)?;
        let mut inputs = function.input_keys();
        let mut taken = vec![false; inputs.len()];
        wrt.iter().for_each(|&at| taken[at] = true);
        let mut taken = taken.into_iter();
        inputs.retain(|_| taken.next() != Some(true));
        let stage = Stage::of_linear(function, wrt, linear, ctx);
        inputs.extend(stage.seed_keys());
        Ok((stage, inputs))
    }
}

impl<Op: Primitive> Partial<Op> {
    /// A function that is zero wherever it does not depend on `wrt`.
    pub fn new(
        function: &Function<Op>,
        wrt: &[usize],
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let depends = depends_on(function.as_dense(), wrt);
        let outputs = function.as_dense().outputs().iter();
        let present: Vec<bool> = outputs.map(|id| depends[id.index()]).collect();
        check_zeros(function, wrt, &present, ctx)?;
        let there: Vec<usize> = (0..present.len()).filter(|&at| present[at]).collect();
        Ok(Self {
            function: function.select_at(&there)?,
            present,
        })
    }

    /// With zeros in place of symbolic ones; output i lives in the space of that of `like`.
    pub fn fill(
        self,
        like: &Function<Op>,
        ctx: &mut Op::ADContext,
    ) -> Result<Function<Op>, FunctionError> {
        like.note_types(ctx)?;
        let mut builder = GraphBuilder::new();
        let mut there = self.function.output_keys().into_iter();
        let outputs = self.present.iter().enumerate().map(|(at, present)| {
            let name = format!("d.{}", like.output_names()[at]);
            if let Some(value) = present.then(|| there.next()).flatten() {
                return Ok((value, name));
            }
            let zero = emit_unit(
                Unit::Zero,
                &mut builder,
                &like.output_keys()[at],
                &name,
                ctx,
            )?;
            Ok((builder.global_key(zero).clone(), name))
        });
        let outputs = outputs.collect::<Result<_, FunctionError>>()?;
        let graphs = vec![
            Arc::new(self.function.as_graph().clone()),
            Arc::new(builder.build()),
        ];
        let filled = Function::close(graphs, &self.function.input_keys(), outputs, None)?;
        filled.typed_like(&self.function)
    }

    /// With these of its outputs.
    pub fn select(&self, outputs: impl Iterator<Item = usize>) -> Result<Self, FunctionError> {
        let mut place = 0;
        let places = self.present.iter().map(|&present| {
            place += usize::from(present);
            present.then(|| place - 1)
        });
        let places: Vec<Option<usize>> = places.collect();
        let chosen: Vec<Option<usize>> = outputs.map(|at| places[at]).collect();
        let there: Vec<usize> = chosen.iter().copied().flatten().collect();
        Ok(Self {
            function: self.function.select_at(&there)?,
            present: chosen.iter().map(Option::is_some).collect(),
        })
    }

    /// Closes a stage over what is there.
    fn close(
        stage: Stage<'_, Op>,
        inputs: &[Op::InputKey],
        parts: Vec<Part<Op>>,
    ) -> Result<Self, FunctionError> {
        let present = parts.iter().map(|part| part.value.is_some()).collect();
        let there = parts.into_iter();
        let there = there.filter_map(|part| part.value.map(|value| (value, part.name)));
        let function = stage.close(inputs, there.collect(), Some(Exactness::Exact))?;
        Ok(Self { function, present })
    }
}

/// Splits a JVP, or a VJP, between what depends on its first `inputs` inputs only, and the rest, which
/// depends on tangents or seeds too. The first `outputs` outputs must be of the former kind.
fn split<Op: Primitive>(
    whole: &Function<Op>,
    inputs: usize,
    outputs: usize,
    ctx: &mut Op::ADContext,
) -> Result<(Function<Op>, Function<Op>), FunctionError> {
    let keys = whole.input_keys();
    let (primal_keys, tangent_keys) = keys.split_at(inputs);
    let dense = whole.as_dense();
    let tangents = (inputs..keys.len()).collect::<Vec<_>>();
    let depends = depends_on(dense, &tangents);
    let producers = dense.producers();
    let derivatives = &dense.outputs()[outputs..];
    let residuals = residuals_of(dense, &producers, &depends, derivatives);

    let mut linear_keys: Vec<Op::InputKey> = Vec::with_capacity(residuals.len() + tangents.len());
    linear_keys.extend((0..residuals.len()).map(|at| tangent_keys[0].residual_of(at)));
    linear_keys.extend_from_slice(tangent_keys);
    let taken = residuals.iter().copied().chain(dense.inputs().skip(inputs));
    let mut linear = match dense.types_of(taken.clone()) {
        Some(types) => DenseGraph::of_types(types, dense.operation_count(), dense.operand_count()),
        None => DenseGraph::new(linear_keys.len()),
    };
    let mut here: Vec<Option<DenseId>> = vec![None; dense.value_count()];
    for (value, input) in taken.zip(linear.inputs()) {
        here[value.index()] = Some(input);
    }
    // What does not depend on a tangent and is no residual is a constant, to be made again.
    for node in dense.nodes() {
        let is_constant = node.operands.is_empty();
        if is_constant || node.results.indices().any(|value| depends[value]) {
            let operands = node.operands.iter().map(|id| here[id.index()]);
            let operands: Option<Vec<DenseId>> = operands.collect();
            let operands = operands.expect("a residual is there from the start");
            let results = linear.push(node.operation.clone(), &operands)?;
            for (value, result) in node.results.indices().zip(results.iter()) {
                here[value] = Some(result);
            }
        }
    }
    let outputs_here = derivatives.iter().map(|id| here[id.index()]);
    let outputs_here: Option<Vec<DenseId>> = outputs_here.collect();
    linear.set_outputs(outputs_here.expect("a residual is there from the start"));

    let mut values = dense.outputs()[..outputs].to_vec();
    values.extend_from_slice(&residuals);
    let needed = dense.needed_for(&values);
    let mut primal = DenseGraph::new(inputs);
    // Nothing that is needed depends on a tangent: what stands for these does not matter.
    let arguments = (0..keys.len()).map(|at| primal.input(at.min(inputs - 1)));
    let arguments: Vec<DenseId> = arguments.collect();
    let values = primal.inline(&needed, &arguments);
    primal.set_outputs(values);
    let mut names = whole.output_names()[..outputs].to_vec();
    let residual_names = names_apart(&names, |mark| {
        let dot = if mark.is_empty() { "" } else { "." };
        let numbers = 0..residuals.len();
        numbers.map(|at| format!("r{mark}{dot}{at}")).collect()
    });
    names.extend(residual_names);
    if whole.types.is_some() && !dense.has_types() {
        note_residuals(whole, &residuals, &linear_keys, ctx)?;
    }
    let linear = Function::settle(linear, linear_keys, &whole.output_names()[outputs..], None)?;
    let primal = Function::new(primal, primal_keys.to_vec(), names.into());
    let primal = match whole.input_types() {
        Some(types) => primal.of_types(types[..inputs].to_vec())?,
        None => primal,
    };
    Ok((primal.typed_in(ctx)?, linear.typed_in(ctx)?))
}

/// Tells the context that inputs of a linear function are of the types of the values that they stand for.
fn note_residuals<Op: Primitive>(
    whole: &Function<Op>,
    residuals: &[DenseId],
    keys: &[Op::InputKey],
    ctx: &mut Op::ADContext,
) -> Result<(), FunctionError> {
    let of_residuals = whole
        .as_dense()
        .needed_for(residuals)
        .to_graph(&whole.input_keys());
    let values = of_residuals.outputs().iter();
    for (&value, key) in values.zip(keys) {
        let key = ValueKey::Input(key.clone());
        note_same_type(&key, &of_residuals.values()[value].key, ctx)?;
    }
    Ok(())
}

/// What the part of a function that depends on tangents needs of the rest, constants excepted, in the
/// order of need.
fn residuals_of<Op: GraphOperation>(
    dense: &DenseGraph<Op>,
    producers: &Producers,
    depends: &[bool],
    derivatives: &[DenseId],
) -> Vec<DenseId> {
    let mut met = vec![false; dense.value_count()];
    let linear = dense.nodes().filter(|node| {
        let mut results = node.results.indices();
        results.any(|value| depends[value])
    });
    let operands = linear.flat_map(|node| node.operands);
    let needed = operands.chain(derivatives).copied().filter(|value| {
        let producer = producers.of(*value).map(|id| dense.node(id));
        let is_constant = producer.is_some_and(|node| node.operands.is_empty());
        !depends[value.index()] && !is_constant && !std::mem::replace(&mut met[value.index()], true)
    });
    needed.collect()
}

/// [`linear_graph`], if the function is zero wherever it does not depend on `wrt`.
pub(super) fn checked_linear_graph<Op: Primitive>(
    function: &Function<Op>,
    wrt: &[usize],
    ctx: &mut Op::ADContext,
) -> Result<LinearizedGraph<Op>, FunctionError> {
    let linear = linear_graph(function, wrt)?;
    let outputs = linear.tangent_outputs().iter();
    let present: Vec<bool> = outputs.map(Option::is_some).collect();
    check_zeros(function, wrt, &present, ctx)?;
    Ok(linear)
}

/// A function as a linear map of some of its inputs, every operation marked with the operands that
/// depend on them.
fn linear_graph<Op: Primitive>(
    function: &Function<Op>,
    wrt: &[usize],
) -> Result<LinearizedGraph<Op>, FunctionError> {
    let (graph, keys) = (function.as_graph(), function.input_keys());
    let primal = Arc::new(graph.clone());
    let mut builder = GraphBuilder::new();
    builder.set_kind(GraphKind::Linear);
    builder.add_parent(Arc::clone(&primal));
    let mut here: Vec<Option<LocalValueId>> = vec![None; graph.values().len()];
    let mut tangent_inputs = Vec::with_capacity(wrt.len());
    for &at in wrt {
        let id = builder.add_input(keys[at].clone());
        here[graph.inputs()[at]] = Some(id);
        tangent_inputs.push((keys[at].clone(), id));
    }
    let mut emissions = Emissions::default();
    for node in graph.operations() {
        let active_mask: Vec<bool> = local_operands(node).map(|id| here[id].is_some()).collect();
        if !active_mask.contains(&true) {
            continue;
        }
        let permitted = match node.operation.as_composite() {
            Some(composite) => composite.permits(&active_mask),
            None => node.operation.linearity().permits(&active_mask),
        };
        if !permitted {
            return Err(FunctionError::NotLinear {
                wrt: list_inputs(function, wrt),
                reason: format!(
                    "{} (%{}) is not linear in those of its operands that depend on them",
                    operation_label(&node.operation),
                    node.outputs[0]
                ),
            });
        }
        let operands = local_operands(node).map(|id| match here[id] {
            Some(local) => ValueRef::Local(local),
            None => ValueRef::External(graph.values()[id].key.clone()),
        });
        let operands = operands.collect();
        emissions.begin(&builder, node.key());
        let role = OperationRole::Linearized { active_mask };
        let results = builder.try_add_operation(node.operation.clone(), operands, role)?;
        for (&id, result) in node.outputs.iter().zip(results) {
            here[id] = Some(result);
        }
    }
    let outputs: Vec<_> = graph.outputs().iter().map(|&id| here[id]).collect();
    builder.try_set_outputs(outputs.iter().copied().flatten().collect())?;
    Ok(LinearizedGraph::new(
        builder.build(),
        vec![primal],
        tangent_inputs,
        outputs,
        OutputLabels::Tangents,
        emissions,
    ))
}

/// Fails for an output that is not `present` and yet not what the operation set calls the zero of its
/// space.
fn check_zeros<Op: Primitive>(
    function: &Function<Op>,
    wrt: &[usize],
    present: &[bool],
    ctx: &mut Op::ADContext,
) -> Result<(), FunctionError> {
    let absent: Vec<usize> = (0..present.len()).filter(|&at| !present[at]).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let not_zero = |at: usize| FunctionError::NotLinear {
        wrt: list_inputs(function, wrt),
        reason: format!(
            "output {} does not depend on them, and is not a zero",
            function.output_names()[at]
        ),
    };
    function.note_types(ctx)?;
    let outputs = function.output_keys();
    let mut builder = GraphBuilder::new();
    let mut compared = Vec::with_capacity(3 * absent.len());
    for &at in &absent {
        let (output, name) = (&outputs[at], &function.output_names()[at]);
        let zero = match emit_unit(Unit::Zero, &mut builder, output, name, ctx) {
            Ok(zero) => zero,
            Err(FunctionError::NoZero { .. }) => return Err(not_zero(at)),
            Err(error) => return Err(error),
        };
        // There may be more than one zero, as 0 and -0. What changes nothing when added is one.
        let terms = vec![ValueRef::Local(zero), ValueRef::External(output.clone())];
        let sum = builder.try_add_operation(Op::add(), terms, OperationRole::Primary)?;
        let sum = sum.first().copied().unwrap_or(zero);
        let keys = [zero, sum].map(|id| builder.global_key(id).clone());
        let keys = keys.into_iter().chain([output.clone()]);
        compared.extend(keys.map(|key| (key, String::new())));
    }
    let graphs = vec![
        Arc::new(function.as_graph().clone()),
        Arc::new(builder.build()),
    ];
    let inputs = function.input_keys();
    let compared = Function::close(graphs, &inputs, compared, Some(Exactness::Exact))?;
    let mut found = absent.iter().zip(compared.as_dense().outputs().chunks(3));
    match found.find(|(_, values)| !values[1..].contains(&values[0])) {
        None => Ok(()),
        Some((&at, _)) => Err(not_zero(at)),
    }
}

/// By value: whether it depends on some of the inputs.
pub(super) fn depends_on<Op: GraphOperation>(
    dense: &DenseGraph<Op>,
    inputs: &[usize],
) -> Vec<bool> {
    let mut depends = vec![false; dense.value_count()];
    for &at in inputs {
        depends[dense.input(at).index()] = true;
    }
    for node in dense.nodes() {
        if node.operands.iter().any(|id| depends[id.index()]) {
            depends[node.results.indices()].fill(true);
        }
    }
    depends
}

/// The operands of an operation of a closed graph.
fn local_operands<Op: GraphOperation>(
    node: &OperationNode<Op>,
) -> impl Iterator<Item = LocalValueId> {
    node.inputs.iter().map(|operand| match operand {
        ValueRef::Local(id) => *id,
        ValueRef::External(_) => unreachable!("a function's graph is closed"),
    })
}

/// What a derivative still needs, a function is not linear in.
fn not_linear_after_all<Op: GraphOperation>(
    error: FunctionError,
    inputs: &[Op::InputKey],
) -> FunctionError {
    match error {
        FunctionError::Graph(GraphError::UnlistedInput { .. }) => {
            let names: Vec<String> = inputs.iter().map(input_label::<Op>).collect();
            FunctionError::NotLinear {
                wrt: name_list(&names),
                reason: "its derivative depends on them".into(),
            }
        }
        error => error,
    }
}

fn list_inputs<Op: GraphOperation>(function: &Function<Op>, wrt: &[usize]) -> String {
    let names = function.input_names();
    let names: Vec<String> = wrt.iter().map(|&at| names[at].clone()).collect();
    name_list(&names)
}
