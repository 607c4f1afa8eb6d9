//! Derivatives of functions.

use std::ops::Range;
use std::sync::Arc;

use tidu_graph::{Exactness, Graph, GraphBuilder, ValueKey, ValueRef};

use super::missing::{Mode, survey};
use super::stage::{Stage, Unit, emit_unit};
use super::{Function, FunctionError, Wrt};
use crate::rules::{MissingRule, Primitive};

/// The transforms of a function, with the AD context that rules are given, and with choices. See
/// [`Function::within`].
pub struct Derive<'a, Op: Primitive> {
    pub(super) function: &'a Function<Op>,
    pub(super) ctx: &'a mut Op::ADContext,
    pub(super) level: Option<Exactness>,
    mode: Option<Mode>,
}

impl<'a, Op: Primitive> Derive<'a, Op> {
    pub(super) fn new(function: &'a Function<Op>, ctx: &'a mut Op::ADContext) -> Self {
        Self {
            function,
            ctx,
            level: Some(Exactness::Exact),
            mode: None,
        }
    }

    /// Simplifies derivatives by rules that are at least as exact as this, where otherwise it would be
    /// by exact ones only.
    pub fn simplify(mut self, level: Exactness) -> Self {
        self.level = Some(level);
        self
    }

    /// Leaves derivatives as the rules emit them, but for equal work, which is done once, and dead
    /// work, which goes.
    pub fn unsimplified(mut self) -> Self {
        self.level = None;
        self
    }

    /// Goes this way in [`grad`](Self::grad), [`value_and_grad`](Self::value_and_grad) and
    /// [`jacobian`](Self::jacobian), where otherwise it would be the cheaper one.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
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
    /// `wrt`, where the operation set cannot make a zero. [`FunctionError::MissingRules`],
    /// [`FunctionError::Rule`].
    pub fn jvp(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let mut stage =
            Stage::linearize(self.function, &wrt.into(), Some(Mode::Forward), self.ctx)?;
        let mut outputs = stage.primal();
        outputs.extend(stage.fill(stage.tangents())?);
        let mut inputs = self.function.input_keys();
        inputs.extend(stage.tangent_keys());
        stage
            .close(&inputs, outputs, self.level)?
            .without_tangents(self.level)
    }

    /// Forward mode to order n: (x, v) ↦ (f(x), ∂ᵥf(x), …, ∂ᵥⁿf(x)), where ∂ᵥᵏf(x) is the kth derivative
    /// of t ↦ f(x + t·v) at 0.
    ///
    /// Inputs: those of the function, then a component of v for each of `wrt`. Outputs: those of the
    /// function, then the first derivatives, called `d.` and their names, the second ones, called
    /// `d2.` and so on, and all others. (JAX: `jax.experimental.jet`, for a straight line.)
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp).
    ///
    /// # Complexity
    ///
    /// An operation of f becomes O(k²) operations of order k, and O(n³) of all orders: what the terms of
    /// one order have in common stands once. (Differentiating n times without that: O(2ⁿ).)
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x"], |[x]| [x.exp() * &x])?;
    /// // (x + k)·eˣ, for k = 0, …, 4, at 0
    /// let series = f.jvp_to_order(4, "x")?;
    /// assert_eq!(series.compile().call(&[0.0, 1.0])?, [0.0, 1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(series.output_names(), ["out0", "d.out0", "d2.out0", "d3.out0", "d4.out0"]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn jvp_to_order(
        mut self,
        order: usize,
        wrt: impl Into<Wrt>,
    ) -> Result<Function<Op>, FunctionError> {
        let function = self.function;
        let (inputs, count) = (function.graph.inputs().len(), function.output_names.len());
        let wrt = Wrt::At(wrt.into().positions(&function.input_names())?);
        let jvp = self.again(function).jvp(wrt.clone())?;
        let keys = jvp.input_keys();
        let (values, tangents) = (0..count, count..2 * count);
        let (values, tangents): (Vec<_>, Vec<_>) = (values.collect(), tangents.collect());
        let mut orders = vec![jvp.select_at(&values)?, jvp.select_at(&tangents)?];
        orders.truncate(order + 1);
        for _ in 1..order {
            let last = &orders[orders.len() - 1];
            let next = self.again(last).jvp(wrt.clone())?;
            let next = next.select_at(&tangents)?;
            orders.push(repeat_inputs(&next, &keys, inputs..keys.len())?);
        }
        let graphs = orders.iter().map(|order| Arc::new(order.graph.clone()));
        let outputs = orders.iter().enumerate().flat_map(|(order, derivatives)| {
            let names = function.output_names.iter().map(move |name| match order {
                0 => name.clone(),
                1 => format!("d.{name}"),
                _ => format!("d{order}.{name}"),
            });
            derivatives.output_keys().into_iter().zip(names)
        });
        Function::close(graphs.collect(), &keys, outputs.collect(), self.level)
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
        let mut stage =
            Stage::linearize(self.function, &wrt.into(), Some(Mode::Reverse), self.ctx)?;
        let mut inputs = self.function.input_keys();
        inputs.extend(stage.seed_keys());
        let cotangents = stage.seeded_cotangents(stage.seed_keys())?;
        let mut outputs = stage.primal();
        outputs.extend(stage.fill(cotangents)?);
        stage.close(&inputs, outputs, self.level)
    }

    /// The gradient x ↦ ∇f(x) of a function of one output: one output for each of `wrt`, called `d.`
    /// and its name. (JAX: `jax.grad`.)
    ///
    /// In reverse mode, but for the derivative of a real number by a single real number
    /// ([`Primitive::basis_like`]): that costs the same forward, and derivatives of it cost less. A
    /// function with a VJP of its own is always gone through in reverse.
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp); [`FunctionError::NotScalar`], [`FunctionError::NoUnit`].
    pub fn grad(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        self.gradient(&wrt.into(), false)
    }

    /// Value and gradient of a function of one output: the output, then the outputs of
    /// [`grad`](Self::grad). (JAX: `jax.value_and_grad`.)
    ///
    /// # Errors
    ///
    /// As for [`grad`](Self::grad).
    pub fn value_and_grad(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        self.gradient(&wrt.into(), true)
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
    /// `d.`, the name of the output, a dot, and the name of the input. Inputs and outputs are to be
    /// real numbers ([`Primitive::basis_like`]).
    ///
    /// Forward where there are no more inputs than outputs, in reverse otherwise, unless a
    /// [`mode`](Self::mode) is asked for. (JAX: `jax.jacfwd`, `jax.jacrev`.)
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp); [`FunctionError::NoBasis`].
    pub fn jacobian(mut self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let function = self.function;
        let names = function.input_names();
        let columns = wrt.into().positions(&names)?;
        let rows = function.output_names.len();
        let [cheaper, other] = match columns.len() <= rows {
            true => [Mode::Forward, Mode::Reverse],
            false => [Mode::Reverse, Mode::Forward],
        };
        let first = self.entries(self.mode.unwrap_or(cheaper), &columns, Unit::Basis);
        let derived = match (first, self.mode) {
            (Err(FunctionError::NoBasis { value }), None) => {
                match self.entries(other, &columns, Unit::Basis) {
                    Err(FunctionError::NoBasis { .. }) => Err(FunctionError::NoBasis { value }),
                    second => second,
                }
            }
            (first, _) => first,
        };
        let (graphs, entries) = derived?;
        let outputs = entries.into_iter().enumerate().map(|(at, key)| {
            let row = &function.output_names[at / columns.len()];
            let column = &names[columns[at % columns.len()]];
            (key, format!("d.{row}.{column}"))
        });
        let inputs = function.input_keys();
        Function::close(graphs, &inputs, outputs.collect(), self.level)?
            .without_tangents(self.level)
    }

    /// All second derivatives of a function of one output: the Jacobian of its gradient. (JAX:
    /// `jax.hessian`.)
    ///
    /// # Errors
    ///
    /// As for [`grad`](Self::grad) and [`jacobian`](Self::jacobian).
    pub fn hessian(mut self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let wrt = wrt.into();
        let gradient = Derive {
            mode: None,
            ..self.again(self.function)
        };
        let gradient = gradient.grad(wrt.clone())?;
        self.again(&gradient).jacobian(wrt)
    }

    /// The rules that derivatives in a mode need and that are not there, each once; found before
    /// anything is derived. Empty if all are there.
    ///
    /// # Errors
    ///
    /// Those of `wrt`, and what else rules return or do wrong.
    ///
    /// # Complexity
    ///
    /// That of a derivative.
    pub fn missing_rules(
        self,
        wrt: impl Into<Wrt>,
        mode: Mode,
    ) -> Result<Vec<MissingRule>, FunctionError> {
        let wrt = wrt.into().positions(&self.function.input_names())?;
        Ok(survey(self.function, &wrt, mode, self.ctx)?)
    }

    fn gradient(mut self, wrt: &Wrt, with_value: bool) -> Result<Function<Op>, FunctionError> {
        let function = self.function;
        let names = function.input_names();
        let columns = wrt.positions(&names)?;
        let outputs = function.output_names.len();
        if outputs != 1 {
            return Err(FunctionError::NotScalar { outputs });
        }
        let mode = self.mode.unwrap_or_else(|| self.cheaper_way_to(&columns));
        let (graphs, entries) = self.entries(mode, &columns, Unit::One)?;
        let mut outputs = Vec::with_capacity(1 + entries.len());
        if with_value {
            let value = function.output_keys().swap_remove(0);
            outputs.push((value, function.output_names[0].clone()));
        }
        let derivatives = entries.into_iter().zip(&columns);
        outputs.extend(derivatives.map(|(key, &at)| (key, format!("d.{}", names[at]))));
        let gradient = Function::close(graphs, &function.input_keys(), outputs, self.level)?;
        gradient.without_tangents(self.level)
    }

    /// The derivative of one real number by another costs the same either way, and derivatives of it
    /// less if it goes forward. But a function with rules of its own may have a VJP.
    fn cheaper_way_to(&mut self, columns: &[usize]) -> Mode {
        let &[column] = columns else {
            return Mode::Reverse;
        };
        let mut operations = self.function.graph.operations().iter();
        if operations.any(|node| node.operation.as_composite().is_some()) {
            return Mode::Reverse;
        }
        let input: ValueKey<Op> = ValueKey::Input(self.function.input_keys().swap_remove(column));
        match emit_unit(Unit::Basis, &mut GraphBuilder::new(), &input, "", self.ctx) {
            Ok(_) => Mode::Forward,
            Err(_) => Mode::Reverse,
        }
    }

    /// The derivatives of all outputs by these inputs, by rows, and the graphs that define them. Rows
    /// are seeded with `seed`.
    fn entries(
        &mut self,
        mode: Mode,
        columns: &[usize],
        seed: Unit,
    ) -> Result<Entries<Op>, FunctionError> {
        let rows = self.function.output_names.len();
        let mut entries = vec![None; rows * columns.len()];
        let mut graphs = Vec::new();
        match mode {
            Mode::Forward => {
                for (j, &column) in columns.iter().enumerate() {
                    let wrt = Wrt::At(vec![column]);
                    let mut stage = Stage::linearize(self.function, &wrt, Some(mode), self.ctx)?;
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
                        1 => self.function.clone(),
                        _ => self.function.select_at(&[i])?,
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
        Ok((graphs, entries.into_iter().flatten().collect()))
    }

    /// The transforms of another function, with the same choices.
    fn again<'b>(&'b mut self, function: &'b Function<Op>) -> Derive<'b, Op> {
        Derive {
            function,
            ctx: self.ctx,
            level: self.level,
            mode: self.mode,
        }
    }
}

/// Graphs, and values in them.
type Entries<Op> = (Vec<Arc<Graph<Op>>>, Vec<ValueKey<Op>>);

/// A function of `inputs` and more: what is more is the same as these of `inputs`.
fn repeat_inputs<Op: Primitive>(
    function: &Function<Op>,
    inputs: &[Op::InputKey],
    same: Range<usize>,
) -> Result<Function<Op>, FunctionError> {
    let mut builder = GraphBuilder::new();
    let ids = inputs.iter().map(|key| builder.add_input(key.clone()));
    let ids: Vec<ValueRef<Op>> = ids.map(ValueRef::Local).collect();
    let arguments = [&ids[..], &ids[same]].concat();
    function.apply_in(builder, &arguments, inputs)
}
