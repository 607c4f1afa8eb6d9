//! Functions split into a primal and a linear part, and functions that are linear themselves.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use tidu_graph::text::{name_list, operation_label};
use tidu_graph::{
    DenseGraph, DenseId, DenseNode, Exactness, GraphError, GraphOperation, Producers, ValueKey,
    try_simplify,
};

use super::dependence::depends_on;
use super::derivation::{Derivation, Linear};
use super::derive::names_apart;
use super::saving::Saving;
use super::unit::{Unit, unit_graph};
use super::{Derive, Function, FunctionError, Nonzero, Wrt};
use crate::derivatives::LinearMap;
use crate::rules::{ADKey, Primitive, note_same_type};

/// A function at a point, split from its linear map there. See [`Derive::linearize`].
#[derive(Clone, Debug)]
pub struct Linearization<Op: GraphOperation> {
    /// x ↦ (f(x), r), where the residuals r are all that the linear map needs to know of x. They are
    /// called `r0`, `r1`, and so on, or `r_2.0`, `r_2.1`, and so on, if f has an output of such a name.
    pub primal: Function<Op>,
    /// (r, ẋ) ↦ J(x)·ẋ
    pub linear: Function<Op>,
    /// By residual, what it is: whoever has the inputs and outputs of f at hand need not have it returned as well.
    pub residuals: Vec<ResidualOrigin>,
}

/// A function at a point, split from what goes backward from there. See [`Derive::pullback`].
#[derive(Clone, Debug)]
pub struct Pullback<Op: Primitive> {
    /// x ↦ (f(x), r), where the residuals r are all that going backward needs to know of x. They are
    /// called `r0`, `r1`, and so on.
    pub primal: Function<Op>,
    /// (r, ȳ) ↦ J(x)ᵀ·ȳ, with the masks of these cotangents.
    pub pullback: Nonzero<Op>,
    /// By residual, what it is.
    pub residuals: Vec<ResidualOrigin>,
}

/// What a residual is besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResidualOrigin {
    /// The input of the function at this position.
    Input(usize),
    /// The output of the function at this position.
    Output(usize),
    /// Something that the function computes on the way.
    Computed,
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
        let parts = split(&jvp, inputs.len(), outputs, self.saving, self.ctx)?;
        Ok(Linearization {
            primal: parts.primal,
            linear: parts.linear,
            residuals: parts.residuals,
        })
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
        let parts = split(&vjp.function, inputs, outputs, self.saving, self.ctx)?;
        Ok(Pullback {
            primal: parts.primal,
            pullback: Nonzero {
                function: parts.linear,
                places: vjp.places,
            },
            residuals: parts.residuals,
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
        let function = self.function;
        let wrt = wrt.into().positions(function)?;
        function.check_inputs(&wrt, self.ctx)?;
        let written_out = function.written_out_for(&wrt)?;
        let names = function.names();
        let names = wrt.iter().map(|&at| format!("ct.{}", names[at])).collect();
        let (mut derivation, cotangents) = self.again(&written_out).transposed(&wrt)?;
        let outputs = derivation.filled_cotangents(cotangents, names)?;
        derivation.finish_without(&wrt, outputs)
    }

    /// The transpose by some inputs, given by position, with symbolic zeros.
    pub(super) fn partial_transpose(self, wrt: &[usize]) -> Result<Partial<Op>, FunctionError> {
        let (derivation, cotangents) = self.transposed(wrt)?;
        Partial::close(derivation, wrt, cotangents)
    }

    /// The derivative by some inputs, given by position, with symbolic zeros, of a function that is linear in its
    /// inputs from `first` on: itself, restricted to some of these. Inputs: those before `first`, then `wrt`.
    pub(super) fn partial_linear(
        self,
        wrt: &[usize],
        first: usize,
    ) -> Result<Partial<Op>, FunctionError> {
        let linear: Vec<usize> = (first..self.function.as_dense().input_count()).collect();
        let (derivation, tangents) = self.pushed_forward(wrt, None)?;
        Partial::close(derivation, &linear, tangents)
    }

    /// The transposition, before it is a function.
    fn transposed<'b>(self, wrt: &'b [usize]) -> Result<(Derivation<'b, Op>, Linear), FunctionError>
    where
        'a: 'b,
    {
        check_linear(self.function, wrt, self.ctx)?;
        let first = self.function.content.input_keys[wrt[0]].clone();
        self.pulled_back(wrt, &first, LinearMap::Itself)
    }
}

impl<Op: Primitive> Partial<Op> {
    /// A function that is zero wherever it does not depend on `wrt`.
    pub fn new(
        function: &Function<Op>,
        wrt: &[usize],
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let present = function.outputs_that_depend_on(wrt);
        check_zeros(function, wrt, &present, ctx)?;
        let there: Vec<usize> = (0..present.len()).filter(|&at| present[at]).collect();
        Ok(Self {
            function: function.select_at(&there)?,
            present,
        })
    }

    /// With zeros in place of symbolic ones; output i lives in the space of that of `like`, whose inputs are the first
    /// ones of this.
    pub fn fill(
        self,
        like: &Function<Op>,
        ctx: &mut Op::ADContext,
    ) -> Result<Function<Op>, FunctionError> {
        like.note_types(ctx)?;
        let (own, spaces) = (self.function.as_dense(), like.as_dense());
        let mut dense = own.inputs_alone();
        let inputs: Vec<DenseId> = dense.inputs().collect();
        let mut there = dense.inline(own, &inputs).into_iter();
        let values = dense.inline(spaces, &inputs[..spaces.input_count()]);
        let mut outputs = Vec::with_capacity(values.len());
        let mut names = Vec::with_capacity(values.len());
        for (at, present) in self.present.iter().enumerate() {
            let name = format!("d.{}", like.output_names()[at]);
            let value = present.then(|| there.next()).flatten();
            outputs.push(match value {
                Some(value) => value,
                None => {
                    let value_type = spaces.type_of(spaces.outputs()[at]);
                    let key = like.key_for_unit(at);
                    let zero = unit_graph(Unit::Zero, &key, &name, value_type, ctx)?;
                    dense.inline(&zero, &[values[at]])[0]
                }
            });
            names.push(name);
        }
        dense.set_outputs(outputs);
        let filled = Function::settle(dense, self.function.input_keys(), names, None)?;
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

    /// Closes a derivation over those values that are there, without these inputs, in which it is linear.
    fn close(
        derivation: Derivation<'_, Op>,
        linear: &[usize],
        values: Linear,
    ) -> Result<Self, FunctionError> {
        let present: Vec<bool> = values.iter().map(Option::is_some).collect();
        let there = values.into_iter().flatten();
        let there = there
            .enumerate()
            .map(|(at, value)| (value, format!("out{at}")));
        let names = list_inputs(&derivation.function, linear);
        match derivation.finish_without(linear, there.collect()) {
            Ok(function) => Ok(Self { function, present }),
            Err(FunctionError::Graph(GraphError::UnlistedInput { .. })) => {
                Err(FunctionError::NotLinear {
                    wrt: names,
                    reason: "its derivative depends on them".into(),
                })
            }
            Err(error) => Err(error),
        }
    }
}

/// A function split in two.
struct Parts<Op: GraphOperation> {
    primal: Function<Op>,
    linear: Function<Op>,
    residuals: Vec<ResidualOrigin>,
}

/// Splits a JVP, or a VJP, between what depends on its first `inputs` inputs only, and the rest, which
/// depends on tangents or seeds too. The first `outputs` outputs must be of the former kind.
fn split<Op: Primitive>(
    whole: &Function<Op>,
    inputs: usize,
    outputs: usize,
    saving: Saving<'_, Op>,
    ctx: &mut Op::ADContext,
) -> Result<Parts<Op>, FunctionError> {
    let keys = whole.input_keys();
    let (primal_keys, tangent_keys) = keys.split_at(inputs);
    let dense = whole.as_dense();
    let tangents = (inputs..keys.len()).collect::<Vec<_>>();
    let depends = depends_on(dense, &tangents);
    let producers = dense.producers();
    let derivatives = &dense.outputs()[outputs..];
    let residuals = residuals_of(dense, &producers, &depends, derivatives, saving);

    let mut linear_keys: Vec<Op::InputKey> = Vec::with_capacity(residuals.len() + tangents.len());
    linear_keys.extend((0..residuals.len()).map(|at| tangent_keys[0].residual_of(at)));
    linear_keys.extend_from_slice(tangent_keys);
    let taken = residuals.iter().copied().chain(dense.inputs().skip(inputs));
    let taken: Vec<DenseId> = taken.collect();
    // What does not depend on a tangent and is no residual is a constant, to be made again.
    let linear = dense.cut(&taken, derivatives);
    let linear = linear.expect("a residual stands for whatever depends on no tangent");

    let mut values = dense.outputs()[..outputs].to_vec();
    values.extend_from_slice(&residuals);
    let primal_inputs: Vec<DenseId> = dense.inputs().take(inputs).collect();
    let primal = dense.cut(&primal_inputs, &values);
    let primal = primal.expect("nothing that is saved depends on a tangent");
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
    let values = &dense.outputs()[..outputs];
    let positions: HashMap<DenseId, usize, FixedState> = values.iter().copied().zip(0..).collect();
    let origins = residuals.iter().map(|value| match positions.get(value) {
        _ if value.index() < inputs => ResidualOrigin::Input(value.index()),
        Some(&at) => ResidualOrigin::Output(at),
        None => ResidualOrigin::Computed,
    });
    Ok(Parts {
        primal: primal.typed_in(ctx)?,
        linear: linear.typed_in(ctx)?,
        residuals: origins.collect(),
    })
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

/// What has to be saved for the part of a function that depends on tangents, in the order of need. Constants are made
/// again.
fn residuals_of<Op: GraphOperation>(
    dense: &DenseGraph<Op>,
    producers: &Producers,
    depends: &[bool],
    derivatives: &[DenseId],
    saving: Saving<'_, Op>,
) -> Vec<DenseId> {
    let mut met = vec![false; dense.value_count()];
    let linear = dense.nodes().filter(|node| {
        let mut results = node.results.indices();
        results.any(|value| depends[value])
    });
    let operands = linear.flat_map(|node| node.operands);
    let mut residuals = Vec::new();
    let mut open = Vec::new();
    for needed in operands.chain(derivatives) {
        open.push(*needed);
        while let Some(value) = open.pop() {
            if depends[value.index()] || std::mem::replace(&mut met[value.index()], true) {
                continue;
            }
            match producers.of(value).map(|id| dense.node(id)) {
                Some(node) if node.operands.is_empty() => {}
                Some(node) if !saving.saves(node.operation, dense.type_of(value)) => {
                    open.extend(node.operands.iter().rev());
                }
                _ => residuals.push(value),
            }
        }
    }
    residuals
}

/// Fails for a function that is not linear in `wrt`, as far as the operation set declares it, or is not zero where it
/// does not depend on `wrt`.
pub(super) fn check_linear<Op: Primitive>(
    function: &Function<Op>,
    wrt: &[usize],
    ctx: &mut Op::ADContext,
) -> Result<(), FunctionError> {
    let dense = function.as_dense();
    let depends = depends_on(dense, wrt);
    for node in dense.nodes() {
        let active = node.operands.iter().map(|id| depends[id.index()]);
        let active: SmallVec<[bool; 4]> = active.collect();
        if active.contains(&true) {
            check_permitted(function, node, &active, wrt)?;
        }
    }
    check_zeros(function, wrt, &function.outputs_that_depend_on(wrt), ctx)
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
    let mut dense = function.as_dense().clone();
    let mut compared = Vec::with_capacity(3 * absent.len());
    for &at in &absent {
        let (output, name) = (dense.outputs()[at], &function.output_names()[at]);
        let value_type = dense.type_of(output).cloned();
        let key = function.key_for_unit(at);
        let zero = unit_graph(Unit::Zero, &key, name, value_type.as_ref(), ctx);
        let zero = match zero {
            Ok(zero) => dense.inline(&zero, &[output])[0],
            Err(FunctionError::NoZero { .. }) => return Err(not_zero(at)),
            Err(error) => return Err(error),
        };
        // There may be more than one zero, as 0 and -0. What changes nothing when added is one.
        let sum = dense.push(Op::add(), &[zero, output])?;
        compared.extend([zero, sum.get(0).unwrap_or(zero), output]);
    }
    dense.set_outputs(compared);
    let compared = try_simplify(dense, Exactness::Exact)?;
    let mut found = absent.iter().zip(compared.outputs().chunks(3));
    match found.find(|(_, values)| !values[1..].contains(&values[0])) {
        None => Ok(()),
        Some((&at, _)) => Err(not_zero(at)),
    }
}

/// Fails for an operation that is not linear in its active operands, in a function that is to be.
fn check_permitted<Op: Primitive>(
    function: &Function<Op>,
    node: DenseNode<'_, Op>,
    active: &[bool],
    wrt: &[usize],
) -> Result<(), FunctionError> {
    let permitted = match node.operation.as_composite() {
        Some(composite) => composite.permits(active),
        None => node.operation.linearity().permits(active),
    };
    if permitted {
        return Ok(());
    }
    Err(FunctionError::NotLinear {
        wrt: list_inputs(function, wrt),
        reason: format!(
            "{} (%{}) is not linear in those of its operands that depend on them",
            operation_label(node.operation),
            node.results.start().index()
        ),
    })
}

fn list_inputs<Op: Primitive>(function: &Function<Op>, inputs: &[usize]) -> String {
    let names = function.names();
    let names: Vec<String> = inputs.iter().map(|&at| names[at].clone()).collect();
    name_list(&names)
}
