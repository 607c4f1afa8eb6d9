//! Derivatives of functions.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_graph::text::input_label;
use tidu_graph::{Exactness, GraphBuilder, LocalValueId, ValueKey, ValueRef, resolve};

use super::{Function, FunctionError, Wrt};
use crate::linearize::{free_pass, try_linearize};
use crate::linearized_graph::LinearizedGraph;
use crate::rules::{ADKey, Primitive};
use crate::transpose::try_linear_transpose_with_builder;

/// The transforms of a function, with the AD context that rules are given. See
/// [`Function::within`].
pub struct Derive<'a, Op: Primitive> {
    function: &'a Function<Op>,
    ctx: &'a mut Op::ADContext,
    level: Option<Exactness>,
}

impl<'a, Op: Primitive> Derive<'a, Op> {
    pub(super) fn new(function: &'a Function<Op>, ctx: &'a mut Op::ADContext) -> Self {
        Self {
            function,
            ctx,
            level: Some(Exactness::Exact),
        }
    }

    /// Simplifies the derivative by rules that are at least as exact as this, where otherwise it would
    /// be by exact ones only.
    pub fn simplify(mut self, level: Exactness) -> Self {
        self.level = Some(level);
        self
    }

    /// Leaves the derivative as the rules emit it, but for equal work, which is done once, and dead
    /// work, which goes.
    pub fn unsimplified(mut self) -> Self {
        self.level = None;
        self
    }

    /// Forward mode: (x, ẋ) ↦ (f(x), J(x)·ẋ).
    ///
    /// Inputs: those of the function, then a tangent for each of `wrt`. Outputs: those of the
    /// function, then the tangent of each, called `d.` and its name. (JAX: `jax.jvp`.)
    ///
    /// # Errors
    ///
    /// Those of `wrt`: [`FunctionError::UnknownInput`], [`FunctionError::RepeatedInput`],
    /// [`FunctionError::NoInputs`]. [`FunctionError::NoZero`] for an output that does not depend on
    /// `wrt`, where the operation set cannot make a zero. [`FunctionError::Rule`].
    pub fn jvp(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let mut stage = Stage::linearize(self.function, &wrt.into(), self.ctx, self.level)?;
        let mut outputs = stage.primal_outputs();
        for (position, &tangent) in stage.linear.tangent_outputs().to_vec().iter().enumerate() {
            let name = format!("d.{}", self.function.output_names[position]);
            let key = match tangent {
                Some(id) => stage.linear.as_graph().values()[id].key.clone(),
                None => stage.zero_like(&stage.outputs[position].clone(), &name)?,
            };
            outputs.push((key, name));
        }
        let mut inputs = self.function.input_keys();
        inputs.extend(stage.tangent_keys());
        stage.close(&inputs, outputs)
    }

    /// Reverse mode: (x, ȳ) ↦ (f(x), J(x)ᵀ·ȳ).
    ///
    /// Inputs: those of the function, then a cotangent seed for each output. Outputs: those of the
    /// function, then a cotangent for each of `wrt`, called `ct.` and its name. (JAX: `jax.vjp`.)
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp).
    pub fn vjp(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let mut stage = Stage::linearize(self.function, &wrt.into(), self.ctx, self.level)?;
        let mut inputs = self.function.input_keys();
        let seed_keys = stage.seed_keys();
        inputs.extend(seed_keys.iter().cloned());
        let seeds: Vec<LocalValueId> = seed_keys
            .into_iter()
            .map(|key| stage.glue.add_input(key))
            .collect();
        let mut outputs = stage.primal_outputs();
        outputs.extend(stage.cotangents(&seeds, "ct")?);
        stage.close(&inputs, outputs)
    }

    /// The gradient x ↦ ∇f(x) of a function of one output: one output for each of `wrt`, called `d.`
    /// and its name. (JAX: `jax.grad`.)
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp); [`FunctionError::NotScalar`], [`FunctionError::NoUnit`].
    pub fn grad(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let mut stage = Stage::linearize(self.function, &wrt.into(), self.ctx, self.level)?;
        let gradient = stage.gradient()?;
        stage.close(&self.function.input_keys(), gradient)
    }

    /// Value and gradient of a function of one output: the output, then the outputs of
    /// [`grad`](Self::grad). (JAX: `jax.value_and_grad`.)
    ///
    /// # Errors
    ///
    /// As for [`grad`](Self::grad).
    pub fn value_and_grad(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let mut stage = Stage::linearize(self.function, &wrt.into(), self.ctx, self.level)?;
        let mut outputs = stage.primal_outputs();
        outputs.extend(stage.gradient()?);
        stage.close(&self.function.input_keys(), outputs)
    }

    /// The Hessian-vector product (x, v) ↦ ∇²f(x)·v of a function of one output, forward over
    /// reverse.
    ///
    /// Inputs: those of the function, then a component of v for each of `wrt`. Outputs: one for each
    /// of `wrt`. (JAX: `jax.jvp` of `jax.grad`.)
    ///
    /// # Errors
    ///
    /// As for [`grad`](Self::grad).
    pub fn hvp(mut self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let wrt = wrt.into();
        let gradient = self.again(self.function).grad(wrt.clone())?;
        let jvp = self.again(&gradient).jvp(wrt)?;
        let components = gradient.output_names().len();
        let tangents: Vec<usize> = (components..2 * components).collect();
        jvp.select_at(&tangents)
    }

    /// All first derivatives: output (i, j), in the order of rows, is ∂fᵢ/∂xⱼ for j in `wrt`, called
    /// `d.`, the name of the output, a dot, and the name of the input. (JAX: `jax.jacfwd` where there
    /// are no more inputs than outputs, `jax.jacrev` otherwise.)
    ///
    /// # Errors
    ///
    /// As for [`grad`](Self::grad), but for any number of outputs.
    pub fn jacobian(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let names = self.function.input_names();
        let columns = wrt.into().positions(&names)?;
        let rows = self.function.output_names.len();
        let by_columns = columns.len() <= rows;
        let mut entries = vec![None; rows * columns.len()];
        let mut graphs = Vec::new();
        if by_columns {
            for (j, &column) in columns.iter().enumerate() {
                let mut stage =
                    Stage::linearize(self.function, &Wrt::At(vec![column]), self.ctx, None)?;
                for (i, entry) in stage.column()?.into_iter().enumerate() {
                    entries[i * columns.len() + j] = Some(entry);
                }
                graphs.extend(stage.finish());
            }
        } else {
            let wrt = Wrt::At(columns.clone());
            for i in 0..rows {
                let row = self.function.select_at(&[i])?;
                let mut stage = Stage::linearize(&row, &wrt, self.ctx, None)?;
                let gradient = stage.gradient()?.into_iter();
                for (j, (key, _)) in gradient.enumerate() {
                    entries[i * columns.len() + j] = Some(key);
                }
                graphs.extend(stage.finish());
            }
        }
        let outputs = entries.into_iter().flatten().enumerate();
        let outputs = outputs.map(|(at, key)| {
            let row = &self.function.output_names[at / columns.len()];
            (
                key,
                format!("d.{row}.{}", names[columns[at % columns.len()]]),
            )
        });
        let inputs = self.function.input_keys();
        Function::close(graphs, &inputs, outputs.collect(), self.level)
    }

    /// All second derivatives of a function of one output: the Jacobian of its gradient, forward over
    /// reverse. (JAX: `jax.hessian`.)
    ///
    /// # Errors
    ///
    /// As for [`grad`](Self::grad).
    pub fn hessian(mut self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let wrt = wrt.into();
        let gradient = self.again(self.function).grad(wrt.clone())?;
        self.again(&gradient).jacobian(wrt)
    }

    /// The transforms of another function, in the same way.
    fn again<'b>(&'b mut self, function: &'b Function<Op>) -> Derive<'b, Op> {
        Derive {
            function,
            ctx: self.ctx,
            level: self.level,
        }
    }
}

/// A function, its linear map, and a graph that glues what a derivative needs besides: seeds, zeros,
/// transposed operations.
struct Stage<'a, Op: Primitive> {
    function: &'a Function<Op>,
    /// Positions among the function's inputs.
    wrt: Vec<usize>,
    /// The function's inputs and outputs.
    inputs: Vec<Op::InputKey>,
    outputs: Vec<ValueKey<Op>>,
    linear: LinearizedGraph<Op>,
    glue: GraphBuilder<Op>,
    ctx: &'a mut Op::ADContext,
    level: Option<Exactness>,
}

impl<'a, Op: Primitive> Stage<'a, Op> {
    fn linearize(
        function: &'a Function<Op>,
        wrt: &Wrt,
        ctx: &'a mut Op::ADContext,
        level: Option<Exactness>,
    ) -> Result<Self, FunctionError> {
        let wrt = wrt.positions(&function.input_names())?;
        let inputs = function.input_keys();
        let keys: Vec<Op::InputKey> = wrt.iter().map(|&at| inputs[at].clone()).collect();
        let outputs = function.output_keys();
        let view = resolve(vec![Arc::new(function.graph.clone())]);
        let pass = free_pass(&view, &keys, outputs.len())?;
        let linear = try_linearize(&view, &outputs, &keys, pass, ctx, &HashMap::new())?;
        let mut glue = GraphBuilder::new();
        glue.add_parent(Arc::new(linear.as_graph().clone()));
        Ok(Self {
            function,
            wrt,
            inputs,
            outputs,
            linear,
            glue,
            ctx,
            level,
        })
    }

    fn primal_outputs(&self) -> Vec<(ValueKey<Op>, String)> {
        let names = self.function.output_names.iter().cloned();
        self.outputs.iter().cloned().zip(names).collect()
    }

    fn tangent_keys(&self) -> Vec<Op::InputKey> {
        let graph = self.linear.as_graph();
        let inputs = self.linear.tangent_inputs().iter();
        let keys = inputs.map(|&(_, id)| match &graph.values()[id].key {
            ValueKey::Input(key) => key.clone(),
            ValueKey::Derived { .. } => unreachable!("a tangent input is an input"),
        });
        keys.collect()
    }

    /// One name for the seed of each output, active or not.
    fn seed_keys(&self) -> Vec<Op::InputKey> {
        let first = self.tangent_keys().swap_remove(0);
        let outputs = 0..self.outputs.len();
        outputs.map(|output| first.cotangent_of(output)).collect()
    }

    /// The cotangents of `wrt` for seeds of all outputs, with names.
    fn cotangents(
        &mut self,
        seeds: &[LocalValueId],
        prefix: &str,
    ) -> Result<Vec<(ValueKey<Op>, String)>, FunctionError> {
        let active = self.linear.tangent_outputs().iter().zip(seeds);
        let active: Vec<Option<LocalValueId>> = active
            .filter_map(|(tangent, seed)| tangent.map(|_| Some(*seed)))
            .collect();
        let cotangents =
            try_linear_transpose_with_builder(&self.linear, &mut self.glue, &active, self.ctx)?;
        let mut named = Vec::with_capacity(cotangents.len());
        for (cotangent, at) in cotangents.into_iter().zip(self.wrt.clone()) {
            let name = format!("{prefix}.{}", input_label::<Op>(&self.inputs[at]));
            let key = match cotangent {
                Some(id) => self.glue.global_key(id).clone(),
                None => self.zero_like(&ValueKey::Input(self.inputs[at].clone()), &name)?,
            };
            named.push((key, name));
        }
        Ok(named)
    }

    /// The gradient of the only output.
    fn gradient(&mut self) -> Result<Vec<(ValueKey<Op>, String)>, FunctionError> {
        let [output] = &self.outputs[..] else {
            return Err(FunctionError::NotScalar {
                outputs: self.outputs.len(),
            });
        };
        let one = self.one_like(&output.clone(), &self.function.output_names[0])?;
        self.cotangents(&[one], "d")
    }

    /// The derivatives of all outputs by the only one of `wrt`.
    fn column(&mut self) -> Result<Vec<ValueKey<Op>>, FunctionError> {
        let input = self.inputs[self.wrt[0]].clone();
        let name = input_label::<Op>(&input);
        let one = self.one_like(&ValueKey::Input(input), &name)?;
        let tangents = self
            .glue
            .try_inline(self.linear.as_graph(), &[ValueRef::Local(one)])?;
        let mut tangents = tangents.into_iter();
        let mut column = Vec::with_capacity(self.outputs.len());
        for (position, active) in self
            .linear
            .tangent_outputs()
            .to_vec()
            .into_iter()
            .enumerate()
        {
            let active = active.and_then(|_| tangents.next());
            column.push(match active {
                Some(ValueRef::Local(id)) => self.glue.global_key(id).clone(),
                Some(ValueRef::External(key)) => key,
                None => {
                    let name = format!("d.{}", self.function.output_names[position]);
                    self.zero_like(&self.outputs[position].clone(), &name)?
                }
            });
        }
        Ok(column)
    }

    fn one_like(&mut self, like: &ValueKey<Op>, name: &str) -> Result<LocalValueId, FunctionError> {
        let one = Op::one_like(&mut self.glue, like, self.ctx);
        let one = one.ok_or_else(|| FunctionError::NoUnit { value: name.into() })?;
        // The id is the operation set's word only.
        self.glue.try_global_key(one)?;
        Ok(one)
    }

    fn zero_like(
        &mut self,
        like: &ValueKey<Op>,
        name: &str,
    ) -> Result<ValueKey<Op>, FunctionError> {
        let zero = Op::zero_like(&mut self.glue, like, self.ctx);
        let zero = zero.ok_or_else(|| FunctionError::NoZero { value: name.into() })?;
        Ok(self.glue.try_global_key(zero)?.clone())
    }

    fn close(
        self,
        inputs: &[Op::InputKey],
        outputs: Vec<(ValueKey<Op>, String)>,
    ) -> Result<Function<Op>, FunctionError> {
        let level = self.level;
        Function::close(self.finish(), inputs, outputs, level)
    }

    /// Every graph of the stage.
    fn finish(self) -> Vec<Arc<tidu_graph::Graph<Op>>> {
        vec![Arc::new(self.glue.build())]
    }
}
