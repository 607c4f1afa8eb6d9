//! Derivatives of functions.

use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use tidu_graph::text::name_list;
use tidu_graph::{DenseGraph, DenseId, Exactness, GraphBuilder, ValueKey};

use super::derivation::{Basis, Choices, Derivation, Linear, NewInput, elements};
use super::error::with_type;
use super::missing::Mode;
use super::saving::Saving;
use super::unit::{Unit, emit_unit};
use super::{Function, FunctionError, Wrt};
use crate::derivatives::{Derivatives, LinearMap};
use crate::linearize::free_names;
use crate::rules::{ADKey, MissingRule, Primitive};

/// The transforms of a function, with the AD context that rules are given, and with choices. See
/// [`Function::within`].
pub struct Derive<'a, Op: Primitive> {
    pub(super) function: &'a Function<Op>,
    pub(super) ctx: &'a mut Op::ADContext,
    pub(super) level: Option<Exactness>,
    pub(super) mode: Option<Mode>,
    /// Whether the caller wants it so, where it need not be.
    in_place: bool,
    pub(super) derivatives: Derivatives<Op>,
    pub(super) saving: Saving<'a, Op>,
}

/// A derivative from which symbolic zeros are left out. See [`Derive::nonzero_jvp`].
#[derive(Clone, Debug)]
pub struct Nonzero<Op: Primitive> {
    /// The derivative, with what is not zero for outputs.
    pub function: Function<Op>,
    /// By tangent of an output, or by cotangent of an input and then by mask of each: which output of the
    /// function it is; `None` for a symbolic zero, and where there is no mask.
    pub places: Vec<Option<usize>>,
}

impl<Op: Primitive> Nonzero<Op> {
    /// Closes over what is there.
    pub(super) fn new<Value>(
        parts: impl Iterator<Item = (Option<Value>, String)>,
        close: impl FnOnce(Vec<(Value, String)>) -> Result<Function<Op>, FunctionError>,
    ) -> Result<Self, FunctionError> {
        let mut there = Vec::new();
        let places = parts.map(|(value, name)| {
            there.push((value?, name));
            Some(there.len() - 1)
        });
        let places = places.collect();
        Ok(Self {
            function: close(there)?,
            places,
        })
    }
}

impl<'a, Op: Primitive> Derive<'a, Op> {
    pub(super) fn new(function: &'a Function<Op>, ctx: &'a mut Op::ADContext) -> Self {
        Self {
            function,
            ctx,
            level: Some(Exactness::Exact),
            mode: None,
            in_place: false,
            derivatives: function.derivatives(),
            saving: Saving::Everything,
        }
    }

    /// Calls rules wherever an operation stands, with the keys of its operands there, rather than once
    /// for all operations that are alike: for operation sets whose rules look into keys. So it is anyway
    /// where rules [look into a context](Primitive::rules_look_into_context), unless the function has
    /// [types](Function::with_types) that the operation set infers.
    pub fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// Keeps derivatives of operations in this cache, and takes them from it, where otherwise it would be the
    /// function's own. Functions that are made hand it on.
    pub fn sharing(mut self, derivatives: &Derivatives<Op>) -> Self {
        self.derivatives = derivatives.clone();
        self
    }

    /// Has [`linearize`](Self::linearize) and [`pullback`](Self::pullback) save this, where otherwise it would be
    /// [everything](Saving::Everything).
    pub fn saving(mut self, saving: Saving<'a, Op>) -> Self {
        self.saving = saving;
        self
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

    /// Goes this way in [`grad`](Self::grad), [`value_and_grad`](Self::value_and_grad),
    /// [`jacobian`](Self::jacobian) and [`value_and_jacobian`](Self::value_and_jacobian), where otherwise it would
    /// be the cheaper one.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Forward mode: (x, ẋ) ↦ (f(x), J(x)·ẋ).
    ///
    /// Inputs: those of the function, then a tangent for each of `wrt`. Outputs: those of the
    /// function, then the tangent of each, called `d.` and its name. (JAX: `jax.jvp`.)
    ///
    /// Where the function has an output of such a name already, as a JVP has, `d_2.` stands before all the
    /// names instead, or `d_3.` and so on; likewise `ct_2.` in [`vjp`](Self::vjp). So no two outputs of a
    /// derivative have the same name, unless two of the function have.
    ///
    /// # Errors
    ///
    /// Those of `wrt`: [`FunctionError::UnknownInput`], [`FunctionError::RepeatedInput`],
    /// [`FunctionError::NoInputs`], and [`FunctionError::InputWithoutDerivative`] for one of a type that has no
    /// derivatives ([`Primitive::is_differentiable`]). [`FunctionError::OutputWithoutDerivative`].
    /// [`FunctionError::NoZero`] for an output that does not depend on
    /// `wrt`, where the operation set cannot make a zero. [`FunctionError::MissingRules`],
    /// [`FunctionError::Rule`].
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x"], |[x]| [x.sin()])?;
    /// let second = f.jvp("x")?.jvp("x")?;
    /// assert_eq!(second.output_names(), ["out0", "d.out0", "d_2.out0", "d_2.d.out0"]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn jvp(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let wrt = wrt.into();
        let function = self.function;
        let wrt = wrt.positions(function)?;
        function.check_inputs(&wrt, self.ctx)?;
        function.check_outputs(self.ctx)?;
        let names = function.output_names();
        let names = names_apart(names, |mark| with_prefix(&format!("d{mark}."), names));
        let (mut derivation, tangents) = self.pushed_forward(&wrt, Some(Mode::Forward))?;
        let mut outputs = derivation.primal();
        for (at, (tangent, name)) in tangents.into_iter().zip(names).enumerate() {
            let tangent = derivation.or_zero_of_output(tangent, at, || name.clone())?;
            outputs.push((tangent, name));
        }
        derivation.finish(outputs)
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
        let (inputs, count) = (
            function.as_graph().inputs().len(),
            function.output_names().len(),
        );
        let wrt = Wrt::At(wrt.into().positions(function)?);
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
        let mut dense = jvp.as_dense().inputs_alone();
        let arguments: Vec<DenseId> = dense.inputs().collect();
        let mut outputs = Vec::with_capacity(orders.len() * count);
        for derivatives in &orders {
            outputs.extend(dense.inline(derivatives.as_dense(), &arguments));
        }
        dense.set_outputs(outputs);
        let names = function.output_names();
        let of_order = |order: usize, mark: &str| match order {
            1 => with_prefix(&format!("d{mark}."), names),
            _ => with_prefix(&format!("d{order}{mark}."), names),
        };
        let derivatives = names_apart(names, |mark| {
            let orders = 1..orders.len();
            orders.flat_map(|order| of_order(order, mark)).collect()
        });
        let names = [names, &derivatives].concat();
        let series = Function::settle(dense, keys, names, self.level)?;
        series.typed_like(&jvp)
    }

    /// Reverse mode: (x, ȳ) ↦ (f(x), J(x)ᵀ·ȳ).
    ///
    /// Inputs: those of the function, then a cotangent seed for each output. Outputs: those of the
    /// function, then a cotangent for each of `wrt`, called `ct.` and its name. (JAX: `jax.vjp`.)
    ///
    /// An output of a type that has no derivatives has a seed too, of its type, which has no influence.
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp), but for those of outputs.
    pub fn vjp(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        let wrt = wrt.into();
        let function = self.function;
        let inputs = function.names();
        let wrt = wrt.positions(function)?;
        function.check_inputs(&wrt, self.ctx)?;
        let names = names_apart(function.output_names(), |mark| {
            with_prefix(&format!("ct{mark}."), wrt.iter().map(|&at| &inputs[at]))
        });
        let first = tangent_names(function, &wrt)?.swap_remove(0);
        let (mut derivation, cotangents) = self.pulled_back(&wrt, &first, LinearMap::Derivative)?;
        let mut outputs = derivation.primal();
        outputs.extend(derivation.filled_cotangents(cotangents, names)?);
        derivation.finish(outputs)
    }

    /// (x, ẋ) ↦ J(x)·ẋ without symbolic zeros: for runtimes whose operation sets need not be able to make
    /// any. Inputs are those of [`jvp`](Self::jvp).
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp), but for [`FunctionError::NoZero`].
    pub fn nonzero_jvp(self, wrt: impl Into<Wrt>) -> Result<Nonzero<Op>, FunctionError> {
        let wrt = wrt.into();
        let function = self.function;
        let wrt = wrt.positions(function)?;
        let (derivation, tangents) = self.pushed_forward(&wrt, Some(Mode::Forward))?;
        let names = function.output_names().iter();
        let named = tangents
            .into_iter()
            .zip(names.map(|name| format!("d.{name}")));
        Nonzero::new(named, |outputs| derivation.finish(outputs))
    }

    /// The gradient x ↦ ∇f(x) of a function of one output: one output for each of `wrt`, called `d.`
    /// and its name. (JAX: `jax.grad`.)
    ///
    /// Outputs of types that have no derivatives ([`Primitive::is_differentiable`]) do not count: there may be
    /// any number beside the one.
    ///
    /// In reverse mode, but for the derivative of a real number by a single real number
    /// ([`Primitive::basis_like`]): that costs the same forward, and derivatives of it cost less. A
    /// function with a VJP of its own is always gone through in reverse.
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp); [`FunctionError::NotScalar`], [`FunctionError::NoUnit`].
    pub fn grad(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        self.gradient(&wrt.into(), false, "grad")
    }

    /// Value and gradient of a function of one output: the output, then the outputs of
    /// [`grad`](Self::grad). (JAX: `jax.value_and_grad`.)
    ///
    /// If there are others of types that have no derivatives, indices say, all outputs come first. (JAX:
    /// `has_aux`.)
    ///
    /// # Errors
    ///
    /// As for [`grad`](Self::grad).
    pub fn value_and_grad(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        self.gradient(&wrt.into(), true, "value_and_grad")
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
        let gradient = self.again(self.function).gradient(&wrt, false, "hvp")?;
        let jvp = self.again(&gradient).jvp(wrt)?;
        let components = gradient.output_names().len();
        let tangents: Vec<usize> = (components..2 * components).collect();
        jvp.select_at(&tangents)
    }

    /// All first derivatives: output (i, j), in the order of rows, is ∂fᵢ/∂xⱼ for j in `wrt`, called
    /// `d.`, the name of the output, a dot, and the name of the input. Inputs and outputs are to be
    /// real numbers ([`Primitive::basis_like`]), or, in a function that [has types](Function::with_types), arrays of
    /// them ([`Primitive::basis_at`]): then ∂fᵢ/∂xⱼ has the axes of fᵢ, followed by those of xⱼ.
    ///
    /// Forward where there are no more numbers among the inputs than among the outputs, in reverse otherwise, unless a
    /// [`mode`](Self::mode) is asked for. (JAX: `jax.jacfwd`, `jax.jacrev`.)
    ///
    /// # Errors
    ///
    /// As for [`jvp`](Self::jvp); [`FunctionError::NoBasis`]; [`FunctionError::NoStack`] for arrays of an operation set
    /// that does not put them together.
    ///
    /// # Complexity
    ///
    /// The function is gone through once for each number of the inputs, or of the outputs: a Jacobian by n numbers has
    /// n times as many operations as a derivative. By many, [`linearize`](Self::linearize) and apply the linear
    /// function to one vector after the other.
    pub fn jacobian(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        self.all_derivatives(&wrt.into(), false)
    }

    /// Values and all first derivatives, which share their work: the outputs of the function, then those of
    /// [`jacobian`](Self::jacobian), by rows.
    ///
    /// For whatever needs both at one point, as Newton's and Gauss–Newton's method do. (JAX has none of this
    /// name; it is to `jacobian` what [`value_and_grad`](Self::value_and_grad) is to `grad`.)
    ///
    /// # Errors
    ///
    /// As for [`jacobian`](Self::jacobian).
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [&x * &y, &x + &y, x.powi(2)])?;
    /// let both = f.value_and_jacobian(..)?;
    /// assert_eq!(
    ///     both.output_names(),
    ///     ["out0", "out1", "out2", "d.out0.x", "d.out0.y", "d.out1.x", "d.out1.y", "d.out2.x", "d.out2.y"]
    /// );
    /// let numbers = both.compile().call(&[3.0, 5.0])?;
    /// let (values, rows) = numbers.split_at(3);
    /// assert_eq!(values, [15.0, 8.0, 9.0]);
    /// assert_eq!(rows, [5.0, 3.0, 1.0, 1.0, 6.0, 0.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn value_and_jacobian(self, wrt: impl Into<Wrt>) -> Result<Function<Op>, FunctionError> {
        self.all_derivatives(&wrt.into(), true)
    }

    /// All second derivatives of a function of one output: the Jacobian of its gradient. (JAX:
    /// `jax.hessian`.)
    ///
    /// Each row is derived by itself, so the two entries of a pair can differ in their last bits. A solver that needs
    /// them equal reads one triangle.
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
        let gradient = gradient.gradient(&wrt, false, "hessian")?;
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
        let wrt = wrt.into().positions(self.function)?;
        let map = LinearMap::Derivative;
        Derivation::new(self.function, self.choices(), &wrt, &[], map, None)?.missing_rules(mode)
    }

    /// Jacobian, after the outputs, if they are wanted.
    fn all_derivatives(
        mut self,
        wrt: &Wrt,
        with_value: bool,
    ) -> Result<Function<Op>, FunctionError> {
        let function = self.function;
        let names = function.names();
        let columns = wrt.positions(function)?;
        function.check_inputs(&columns, self.ctx)?;
        function.check_outputs(self.ctx)?;
        let rows = function.output_names();
        let entries = names_apart(if with_value { rows } else { &[] }, |mark| {
            let entries = rows.iter().flat_map(|row| {
                let columns = columns.iter().map(|&column| &names[column]);
                columns.map(move |column| format!("d{mark}.{row}.{column}"))
            });
            entries.collect()
        });
        let dense = function.as_dense();
        let count = |value| elements(dense, value).unwrap_or(1);
        let inputs: usize = columns.iter().map(|&at| count(dense.input(at))).sum();
        let outputs: usize = dense.outputs().iter().map(|&id| count(id)).sum();
        let [cheaper, other] = if inputs <= outputs {
            [Mode::Forward, Mode::Reverse]
        } else {
            [Mode::Reverse, Mode::Forward]
        };
        let asked_for = self.mode;
        let mode = asked_for.unwrap_or(cheaper);
        let first = self.matrix(mode, &columns, Unit::Basis, &entries, with_value);
        match (first, asked_for) {
            (Err(FunctionError::NoBasis { value }), None) => {
                match self.matrix(other, &columns, Unit::Basis, &entries, with_value) {
                    Err(FunctionError::NoBasis { .. }) => Err(FunctionError::NoBasis { value }),
                    second => second,
                }
            }
            (first, _) => first,
        }
    }

    /// The gradient, after the outputs, if they are wanted, for the transform of this name.
    fn gradient(
        mut self,
        wrt: &Wrt,
        with_value: bool,
        transform: &'static str,
    ) -> Result<Function<Op>, FunctionError> {
        let function = self.function;
        function.note_types(self.ctx)?;
        let inputs = function.names();
        let columns = wrt.positions(function)?;
        function.check_inputs(&columns, self.ctx)?;
        let names = function.output_names();
        let entries = names_apart(if with_value { names } else { &[] }, |mark| {
            with_prefix(&format!("d{mark}."), columns.iter().map(|&at| &inputs[at]))
        });
        let Some(loss) = self.loss_beside_others(transform)? else {
            if names.len() != 1 {
                return Err(not_scalar(transform, names));
            }
            let mode = self.mode.unwrap_or_else(|| self.cheaper_way_to(&columns));
            return self.matrix(mode, &columns, Unit::One, &entries, with_value);
        };
        let gradient = self.again(&loss).gradient(wrt, false, transform)?;
        if with_value {
            function.beside(&gradient, &entries, self.level)
        } else {
            Ok(gradient)
        }
    }

    /// The function with the one output that has derivatives, if there are others that have none.
    fn loss_beside_others(
        &mut self,
        transform: &'static str,
    ) -> Result<Option<Function<Op>>, FunctionError> {
        let function = self.function;
        let without = function.outputs_without_derivative(self.ctx)?;
        if without.iter().all(Option::is_none) {
            return Ok(None);
        }
        let with: Vec<usize> = (0..without.len())
            .filter(|&at| without[at].is_none())
            .collect();
        match with.len() {
            0 => function.check_outputs(self.ctx).map(|()| None),
            1 => function.select_at(&with).map(Some),
            _ => {
                let names = with.iter().map(|&at| function.output_names()[at].clone());
                Err(not_scalar(transform, &names.collect::<Vec<_>>()))
            }
        }
    }

    /// The derivative of one real number by another costs the same either way, and derivatives of it
    /// less if it goes forward. But a function with rules of its own may have a VJP.
    fn cheaper_way_to(&mut self, columns: &[usize]) -> Mode {
        let &[column] = columns else {
            return Mode::Reverse;
        };
        let mut nodes = self.function.as_dense().nodes();
        if nodes.any(|node| node.operation.as_composite().is_some()) {
            return Mode::Reverse;
        }
        let input: ValueKey<Op> = ValueKey::Input(self.function.input_keys().swap_remove(column));
        match emit_unit(Unit::Basis, &mut GraphBuilder::new(), &input, "", self.ctx) {
            Ok(_) => Mode::Forward,
            Err(_) => Mode::Reverse,
        }
    }

    /// The derivatives of all outputs by these inputs, by rows, called by these names; the outputs
    /// before them, if they are wanted. Rows are seeded with `seed`.
    fn matrix(
        &mut self,
        mode: Mode,
        columns: &[usize],
        seed: Unit,
        names: &[String],
        with_value: bool,
    ) -> Result<Function<Op>, FunctionError> {
        let matrix = self.untyped_matrix(mode, columns, seed, names, with_value);
        matrix.map_err(|error| match error {
            FunctionError::NoUnit { value } => {
                let value_type = self.function.type_named(&value, self.ctx);
                FunctionError::no_unit(value, value_type)
            }
            FunctionError::NoBasis { value } => {
                let value_type = self.function.type_named(&value, self.ctx);
                let value = with_type(value, value_type.as_ref());
                FunctionError::NoBasis { value }
            }
            error => error,
        })
    }

    /// [`matrix`](Self::matrix), whose errors do not say of what type something is.
    fn untyped_matrix(
        &mut self,
        mode: Mode,
        columns: &[usize],
        seed: Unit,
        names: &[String],
        with_value: bool,
    ) -> Result<Function<Op>, FunctionError> {
        let function = self.function;
        let (rows, input_names) = (function.output_names(), function.names());
        let mut entries = vec![None; names.len()];
        let again = self.again(function);
        let map = LinearMap::Derivative;
        let mut derivation =
            Derivation::new(function, again.choices(), columns, &[], map, Some(mode))?;
        match mode {
            Mode::Forward => {
                for (j, &column) in columns.iter().enumerate() {
                    let basis = derivation.basis_of_input(column, &input_names[column])?;
                    let mut found = vec![Vec::new(); rows.len()];
                    for seed in basis.vectors() {
                        let tangents = derivation.push_forward(&[(column, *seed)])?;
                        for (i, tangent) in tangents.into_iter().enumerate() {
                            let name = || format!("d.{}", rows[i]);
                            found[i].push(derivation.or_zero_of_output(tangent, i, name)?);
                        }
                    }
                    for (i, found) in found.iter().enumerate() {
                        entries[i * columns.len() + j] = Some(match basis {
                            Basis::Single(_) => found[0],
                            Basis::OfElements(_) => derivation.of_columns(found, i, column)?,
                        });
                    }
                }
            }
            Mode::Reverse => {
                let activity = derivation.activity()?;
                for i in 0..rows.len() {
                    let basis = match seed {
                        Unit::One => Basis::Single(derivation.one(i)?),
                        _ => derivation.basis_of_output(i)?,
                    };
                    let mut found = vec![Vec::new(); columns.len()];
                    for seed in basis.vectors() {
                        let cotangents = derivation.pull_back(&activity, &[(i, *seed)])?;
                        for (j, cotangent) in cotangents.into_iter().enumerate() {
                            let column = columns[j];
                            let name = || format!("d.{}", input_names[column]);
                            found[j].push(derivation.or_zero_of_input(cotangent, column, name)?);
                        }
                    }
                    for (j, found) in found.iter().enumerate() {
                        entries[i * columns.len() + j] = Some(match basis {
                            Basis::Single(_) => found[0],
                            Basis::OfElements(_) => derivation.of_rows(found, i, columns[j])?,
                        });
                    }
                }
            }
        }
        let mut outputs = match with_value {
            true => derivation.primal(),
            false => Vec::new(),
        };
        let entries = entries.into_iter().flatten();
        outputs.extend(entries.zip(names.iter().cloned()));
        derivation.finish(outputs)
    }

    /// The tangents of the outputs, for inputs of the derivative as those of `wrt`.
    pub(super) fn pushed_forward<'b>(
        self,
        wrt: &'b [usize],
        mode: Option<Mode>,
    ) -> Result<(Derivation<'b, Op>, Linear), FunctionError>
    where
        'a: 'b,
    {
        let names = tangent_names(self.function, wrt)?;
        let inputs = wrt.iter().copied().map(NewInput::Input);
        let more: Vec<_> = inputs.zip(names).collect();
        let map = LinearMap::Derivative;
        let mut derivation = Derivation::new(self.function, self.choices(), wrt, &more, map, mode)?;
        let seeds = wrt.iter().enumerate();
        let seeds = seeds.map(|(new, &input)| (input, derivation.new_input(new)));
        let seeds: Vec<_> = seeds.collect();
        let tangents = derivation.push_forward(&seeds)?;
        Ok((derivation, tangents))
    }

    /// The cotangents of `wrt`, for inputs of the derivative as those of all outputs, called after its first tangent.
    pub(super) fn pulled_back<'b>(
        self,
        wrt: &'b [usize],
        first: &Op::InputKey,
        map: LinearMap,
    ) -> Result<(Derivation<'b, Op>, Linear), FunctionError>
    where
        'a: 'b,
    {
        let count = self.function.output_names().len();
        let more = (0..count).map(|at| (NewInput::Output(at), first.cotangent_of(at)));
        let more: Vec<_> = more.collect();
        let mut derivation = Derivation::new(
            self.function,
            self.choices(),
            wrt,
            &more,
            map,
            Some(Mode::Reverse),
        )?;
        let seeds = (0..count).map(|output| (output, derivation.new_input(output)));
        let seeds: Vec<_> = seeds.collect();
        let activity = derivation.activity()?;
        let cotangents = derivation.pull_back(&activity, &seeds)?;
        Ok((derivation, cotangents))
    }

    pub(super) fn choices(self) -> Choices<'a, Op> {
        Choices {
            ctx: self.ctx,
            level: self.level,
            in_place: self.in_place,
            derivatives: self.derivatives,
        }
    }

    /// The transforms of another function, with the same choices.
    pub(super) fn again<'b>(&'b mut self, function: &'b Function<Op>) -> Derive<'b, Op> {
        Derive {
            function,
            ctx: self.ctx,
            level: self.level,
            mode: self.mode,
            in_place: self.in_place,
            derivatives: self.derivatives.clone(),
            saving: self.saving,
        }
    }
}

fn not_scalar(transform: &'static str, names: &[String]) -> FunctionError {
    FunctionError::NotScalar {
        transform,
        outputs: names.len(),
        known: name_list(names),
    }
}

/// Names of derivatives, all with the same mark, none of which is among those that there are: without a mark if
/// that will do, or with `_2`, `_3` and so on.
pub(super) fn names_apart(there: &[String], names: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let known: HashSet<&String, FixedState> = there.iter().collect();
    let marks = (2_usize..).map(|number| format!("_{number}"));
    let marks = std::iter::once(String::new()).chain(marks);
    let mut candidates = marks.map(|mark| names(&mark));
    let apart = candidates.find(|names| !names.iter().any(|name| known.contains(name)));
    apart.expect("some number is in no name that there is")
}

fn with_prefix<'a>(prefix: &str, names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let names = names.into_iter();
    names.map(|name| [prefix, name].concat()).collect()
}

/// The names of the tangents of `wrt`.
fn tangent_names<Op: Primitive>(
    function: &Function<Op>,
    wrt: &[usize],
) -> Result<Vec<Op::InputKey>, FunctionError> {
    let inputs = &function.content.input_keys;
    let known: HashSet<&Op::InputKey, FixedState> = inputs.iter().collect();
    let wrt: Vec<Op::InputKey> = wrt.iter().map(|&at| inputs[at].clone()).collect();
    let outputs = function.output_names().len();
    let (_, names) = free_names(&wrt, outputs, inputs.len(), |name| known.contains(name))?;
    Ok(names)
}

/// A function of `inputs` and more: what is more is the same as these of `inputs`.
fn repeat_inputs<Op: Primitive>(
    function: &Function<Op>,
    inputs: &[Op::InputKey],
    same: Range<usize>,
) -> Result<Function<Op>, FunctionError> {
    let dense = DenseGraph::new(inputs.len());
    let mut arguments: Vec<DenseId> = dense.inputs().collect();
    arguments.extend_from_within(same);
    function.applied(dense, &arguments, inputs.to_vec())
}
