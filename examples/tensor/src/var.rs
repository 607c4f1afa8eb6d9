//! Tensors that remember what they were computed from: the eager front end.

use std::cell::{RefCell, RefMut};
use std::fmt::{self, Debug, Display};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use num_complex::Complex64;
use tidu::eager::{self, EagerError, HookId};
use tidu::scalar::ScalarKey;
use tidu::{Function, TypeTable, ValueType};

use crate::context::Context;
use crate::expr::{ModelError, fitting};
use crate::front::{Value, assignments, operators};
use crate::op::TensorOp;
use crate::shape::{INDEX, Misuse};
use crate::tensor::Tensor;

/// Where variables are recorded: [`tidu::eager::Tape`] for tensors, with operators.
///
/// # Example
///
/// ```
/// use tidu_tensor::{Tape, Tensor, Value};
///
/// let tape = Tape::new();
/// let x = tape.var([3.0, 4.0]);
/// let y = x.square().sum([0]);
/// assert_eq!(y.value(), &Tensor::from(25.0));
/// assert_eq!(y.backward()?.get(&x)?, Some(&Tensor::from([6.0, 8.0])));
/// # Ok::<(), tidu::eager::EagerError>(())
/// ```
#[derive(Debug)]
pub struct Tape {
    tape: RefCell<eager::Tape<TensorOp>>,
}

/// A tensor, with its place on a [`Tape`] if it has one. Tensors alone ([`From`]) and what is computed of them
/// have none: nothing is differentiated by them.
///
/// # Panics
///
/// Operators and methods of this type panic if operands do not fit together, or are of different tapes. The
/// text is that of the error which [`try_apply`](Self::try_apply) returns.
#[derive(Clone)]
pub struct Var<'t> {
    var: eager::Var<TensorOp>,
    tape: Option<&'t Tape>,
}

/// The gradients of one number by everything that it was computed from. See [`Var::backward`].
#[derive(Debug)]
pub struct Gradients {
    gradients: eager::Gradients<TensorOp>,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self {
            tape: RefCell::new(empty()),
        }
    }

    /// A tensor to differentiate by.
    pub fn var(&self, value: impl Into<Tensor>) -> Var<'_> {
        let var = self.recorder().leaf(value.into());
        self.here(var)
    }

    /// Tensors to differentiate by.
    pub fn vars<const N: usize>(&self, values: [Tensor; N]) -> [Var<'_>; N] {
        values.map(|value| self.var(value))
    }

    /// Tensors to differentiate by, as many as there are.
    pub fn vars_of(&self, values: &[Tensor]) -> Vec<Var<'_>> {
        values.iter().map(|value| self.var(value.clone())).collect()
    }

    /// Forgets everything and keeps the memory for what comes next.
    pub fn clear(&mut self) {
        self.tape.get_mut().clear();
    }

    /// Forgets, after `body` has run, what it recorded. Variables from before remain good.
    ///
    /// # Errors
    ///
    /// [`EagerError::InSegment`] inside a [`checkpoint`](Self::checkpoint).
    pub fn scope<T>(&self, body: impl FnOnce() -> T) -> Result<T, EagerError> {
        let mark = self.tape.borrow().mark();
        let result = catch_unwind(AssertUnwindSafe(body));
        let rewound = self.recorder().rewind(mark);
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        rewound.map(|()| result)
    }

    /// Runs `body` without recording: what it computes are constants.
    pub fn no_grad<T>(&self, body: impl FnOnce() -> T) -> T {
        let was_on = self.recorder().set_recording(false);
        let result = catch_unwind(AssertUnwindSafe(body));
        self.recorder().set_recording(was_on);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The bytes of memory that the tape holds for what it records, without those of the tensors themselves.
    pub fn memory(&self) -> usize {
        self.tape.borrow().memory()
    }

    /// The value of a function at some tensors, and its gradients by them, 0 where nothing depends on one. Forgets
    /// what was recorded, and keeps what was derived for the next time. (JAX: `jax.value_and_grad`.)
    ///
    /// # Errors
    ///
    /// [`ModelError::NotANumber`] for a result that is more than a number; [`ModelError::Eager`] with
    /// [`EagerError::WithoutDerivative`] by indices, and [`EagerError::ForeignVar`] for a result of another tape.
    ///
    /// # Example
    ///
    /// Gradient descent to the least of |x - 1|²:
    ///
    /// ```
    /// use tidu_tensor::{Tape, Tensor, Value};
    ///
    /// let mut tape = Tape::new();
    /// let mut x = [Tensor::from([3.0, -5.0])];
    /// for _ in 0..60 {
    ///     let (_, slopes) = tape.value_and_grad(|x| (&x[0] - 1.0).square().sum_all(), &x)?;
    ///     x[0] -= &slopes[0] * 0.25;
    /// }
    /// assert_eq!(x[0], Tensor::from([1.0, 1.0]));
    /// # Ok::<(), tidu_tensor::ModelError>(())
    /// ```
    pub fn value_and_grad(
        &mut self,
        f: impl for<'t> FnOnce(&[Var<'t>]) -> Var<'t>,
        at: &[Tensor],
    ) -> Result<(Tensor, Vec<Tensor>), ModelError> {
        for (position, value) in at.iter().enumerate() {
            check_moves(position, value)?;
        }
        self.clear();
        let vars = self.vars_of(at);
        let y = f(&vars);
        if !y.value().dims().is_empty() {
            let found = Box::new(y.value_type());
            return Err(ModelError::NotANumber { found });
        }
        let slopes = if y.requires_grad() {
            y.backward()?.wrt(&vars.iter().collect::<Vec<_>>())?
        } else {
            at.iter().map(Tensor::zeros_like).collect()
        };
        Ok((y.value().clone(), slopes))
    }

    /// The gradients of Σᵢ ⟨seedᵢ, yᵢ⟩ by everything that was recorded, for pairs (yᵢ, seedᵢ). The tape remains as it
    /// is. See [`tidu::eager::Tape::backward_all`], and [`Var::backward`], whose seed is 1.
    ///
    /// # Errors
    ///
    /// [`ModelError::WrongType`] for a seed that is not of the type of its output; [`ModelError::Eager`] as there.
    ///
    /// # Example
    ///
    /// A row of the Jacobian of x²:
    ///
    /// ```
    /// use tidu_tensor::{Tape, Tensor, Value};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0, 4.0]);
    /// let gradients = tape.backward_all(&[(&x.square(), [0.0, 1.0].into())])?;
    /// assert_eq!(gradients.get(&x)?, Some(&Tensor::from([0.0, 8.0])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backward_all(&self, outputs: &[(&Var<'_>, Tensor)]) -> Result<Gradients, ModelError> {
        for (position, (output, seed)) in outputs.iter().enumerate() {
            check_like("seed", position, output.value(), seed)?;
        }
        let outputs = outputs
            .iter()
            .map(|(output, seed)| (&output.var, seed.clone()));
        let outputs: Vec<_> = outputs.collect();
        let gradients = self.recorder().backward_all(&outputs)?;
        Ok(Gradients { gradients })
    }

    /// The gradients of Σᵢ ⟨seedᵢ, yᵢ⟩ by each of `wrt`, recorded themselves; `None` for one that no output depends
    /// on. See [`tidu::eager::Tape::backward_recorded`], and [`Var::gradient`], whose seed is 1.
    ///
    /// # Errors
    ///
    /// As for [`backward_all`](Self::backward_all).
    pub fn backward_recorded(
        &self,
        outputs: &[(&Var<'_>, &Var<'_>)],
        wrt: &[&Var<'_>],
    ) -> Result<Vec<Option<Var<'_>>>, ModelError> {
        for (position, (output, seed)) in outputs.iter().enumerate() {
            check_like("seed", position, output.value(), seed.value())?;
        }
        let outputs = outputs
            .iter()
            .map(|(output, seed)| (&output.var, seed.var.clone()));
        let outputs: Vec<_> = outputs.collect();
        let wrt: Vec<_> = wrt.iter().map(|var| &var.var).collect();
        let found = self.recorder().backward_recorded(&outputs, &wrt)?;
        let found = found
            .into_iter()
            .map(|found| found.map(|var| self.here(var)));
        Ok(found.collect())
    }

    /// The tangents of `outputs` when variables move, for `inputs` of pairs (xᵢ, ẋᵢ): Σᵢ ∂y/∂xᵢ·ẋᵢ each; `None` for
    /// an output that depends on none of them. Forward mode, over what was recorded. See
    /// [`tidu::eager::Tape::tangents`]; to have tangents ride along as values are computed, use
    /// [`apply_forward`](tidu::eager::Tape::apply_forward) by [`with`](Self::with).
    ///
    /// # Errors
    ///
    /// [`ModelError::WrongType`] for a tangent that is not of the type of its input; [`ModelError::Eager`] as there.
    ///
    /// # Example
    ///
    /// ```
    /// use tidu_tensor::{Tape, Tensor, Value};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0, 4.0]);
    /// let (square, sum) = (x.square(), x.sum_all());
    /// let tangents = tape.tangents(&[(&x, [1.0, 0.5].into())], &[&square, &sum])?;
    /// assert_eq!(tangents, [Some(Tensor::from([6.0, 4.0])), Some(Tensor::from(1.5))]);
    /// # Ok::<(), tidu_tensor::ModelError>(())
    /// ```
    pub fn tangents(
        &self,
        inputs: &[(&Var<'_>, Tensor)],
        outputs: &[&Var<'_>],
    ) -> Result<Vec<Option<Tensor>>, ModelError> {
        for (position, (input, tangent)) in inputs.iter().enumerate() {
            check_moves(position, input.value())?;
            check_like("tangent", position, input.value(), tangent)?;
        }
        let inputs = inputs
            .iter()
            .map(|(input, tangent)| (&input.var, tangent.clone()));
        let inputs: Vec<_> = inputs.collect();
        let outputs: Vec<_> = outputs.iter().map(|var| &var.var).collect();
        Ok(self.recorder().tangents(&inputs, &outputs)?)
    }

    /// Runs a part of a computation and keeps nothing of it but its operands; going backward runs it again. See
    /// [`tidu::eager::Tape::checkpoint`].
    ///
    /// A body is called with variables that live for one run. It cannot hold other variables: tensors that it needs
    /// are captured as they are, and what is differentiated by is among the operands.
    ///
    /// # Errors
    ///
    /// [`EagerError::ForeignVar`].
    ///
    /// # Example
    ///
    /// ```
    /// use tidu_tensor::{Tape, Tensor, Value};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([0.5, 1.0]);
    /// let scale = Tensor::from([1.0, 3.0]);
    /// let y = tape.checkpoint(&[&x], move |x| vec![(x[0].sin() * Var::from(scale.clone())).sum_all()])?;
    /// let expected = Tensor::from([0.5_f64.cos(), 3.0 * 1.0_f64.cos()]);
    /// assert_eq!(y[0].backward()?.get(&x)?, Some(&expected));
    /// # use tidu_tensor::Var;
    /// # Ok::<(), tidu::eager::EagerError>(())
    /// ```
    pub fn checkpoint(
        &self,
        operands: &[&Var<'_>],
        body: impl for<'s> Fn(&[Var<'s>]) -> Vec<Var<'s>> + Send + Sync + 'static,
    ) -> Result<Vec<Var<'_>>, EagerError> {
        let operands: Vec<_> = operands.iter().map(|var| &var.var).collect();
        let mut tape = self.recorder();
        let results = tape.checkpoint(&operands, move |tape, operands| {
            Ok(lend(tape, operands, |operands| body(operands)))
        })?;
        Ok(results.into_iter().map(|var| self.here(var)).collect())
    }

    /// Repeats a step: state ↦ step(state, i) for i = 0, …, `steps` - 1, on memory that grows like √steps. See
    /// [`tidu::eager::Tape::iterate`]; what holds of the body of a [`checkpoint`](Self::checkpoint) holds of a step:
    /// parameters to differentiate by are a part of the state, which the step returns as they are.
    ///
    /// # Errors
    ///
    /// [`EagerError::ForeignVar`]; [`EagerError::WrongValueCount`] for a step that returns another number of values
    /// than it is given.
    pub fn iterate(
        &self,
        steps: usize,
        state: &[&Var<'_>],
        step: impl for<'s> Fn(&[Var<'s>], usize) -> Vec<Var<'s>> + Send + Sync + 'static,
    ) -> Result<Vec<Var<'_>>, EagerError> {
        let state: Vec<_> = state.iter().map(|var| &var.var).collect();
        let mut tape = self.recorder();
        let results = tape.iterate(steps, &state, move |tape, state, at| {
            Ok(lend(tape, state, |state| step(state, at)))
        })?;
        Ok(results.into_iter().map(|var| self.here(var)).collect())
    }

    /// The results of a function, recorded as one call.
    ///
    /// # Errors
    ///
    /// Those of [`tidu::eager::Tape::apply_function`].
    #[track_caller]
    pub fn apply_function(
        &self,
        function: &Function<TensorOp>,
        operands: &[&Var<'_>],
    ) -> Result<Vec<Var<'_>>, EagerError> {
        let operands: Vec<_> = operands.iter().map(|var| &var.var).collect();
        let results = self.recorder().apply_function(function, &operands)?;
        Ok(results.into_iter().map(|var| self.here(var)).collect())
    }

    /// Gives access to the tape behind the operators, for watching, marks, tangents that ride along, and what else
    /// there is. Its variables are those of [`Var::eager`], and become variables with operators by
    /// [`adopt`](Self::adopt).
    ///
    /// # Panics
    ///
    /// If `body` uses a variable of this tape with operators.
    ///
    /// # Example
    ///
    /// d sin x along (1, 2), as sin x is computed; and, going backward from that, d² by x:
    ///
    /// ```
    /// use tidu::eager::{self, Dual};
    /// use tidu_tensor::{Tape, Tensor, TensorOp, Value};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([0.0, 0.5]);
    /// let direction = eager::Var::constant(Tensor::from([1.0, 2.0]));
    /// let moving = Dual { primal: x.eager().clone(), tangent: Some(direction) };
    /// let sin = tape.with(|tape| tape.apply_forward(TensorOp::Sin, &[&moving]))?;
    /// let slope = tape.adopt(sin[0].tangent.clone().unwrap());
    /// assert_eq!(slope.value(), &Tensor::from([1.0, 2.0 * 0.5_f64.cos()]));
    /// let expected = Tensor::from([0.0, -2.0 * 0.5_f64.sin()]);
    /// assert_eq!(slope.sum_all().backward()?.get(&x)?, Some(&expected));
    /// # Ok::<(), tidu::eager::EagerError>(())
    /// ```
    pub fn with<T>(&self, body: impl FnOnce(&mut eager::Tape<TensorOp>) -> T) -> T {
        body(&mut self.recorder())
    }

    /// A variable of the tape behind the operators, with operators. (One of another tape is found out when it is
    /// used.)
    pub fn adopt(&self, var: eager::Var<TensorOp>) -> Var<'_> {
        self.here(var)
    }

    /// # Panics
    ///
    /// Inside [`with`](Self::with), where the tape is lent.
    #[track_caller]
    fn recorder(&self) -> RefMut<'_, eager::Tape<TensorOp>> {
        match self.tape.try_borrow_mut() {
            Ok(recorder) => recorder,
            Err(_) => panic!(
                "the tape is lent to the body of `Tape::with`, which must use that and variables without operators"
            ),
        }
    }

    fn here(&self, var: eager::Var<TensorOp>) -> Var<'_> {
        let tape = Some(self);
        Var { var, tape }
    }
}

/// A tape that names inputs of derived functions after a word.
fn empty() -> eager::Tape<TensorOp> {
    let name = || ScalarKey::from("v");
    eager::Tape::with_contexts(name, Context::default(), TypeTable::default())
}

/// Runs `body` with variables on `tape`, which is moved for as long as they live.
fn lend(
    tape: &mut eager::Tape<TensorOp>,
    operands: &[eager::Var<TensorOp>],
    body: impl for<'s> FnOnce(&[Var<'s>]) -> Vec<Var<'s>>,
) -> Vec<eager::Var<TensorOp>> {
    let lent = Tape {
        tape: RefCell::new(std::mem::replace(tape, empty())),
    };
    let results = catch_unwind(AssertUnwindSafe(|| {
        let operands: Vec<Var<'_>> = operands.iter().map(|var| lent.here(var.clone())).collect();
        let results = body(&operands).into_iter();
        results.map(|var| var.var).collect()
    }));
    *tape = lent.tape.into_inner();
    results.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Sees to it that there are derivatives by an input.
fn check_moves(position: usize, value: &Tensor) -> Result<(), EagerError> {
    if value.kind() != INDEX {
        return Ok(());
    }
    Err(EagerError::WithoutDerivative {
        place: format!("input {position}"),
        value_type: value.value_type().to_string(),
    })
}

/// Sees to it that a seed or a tangent is of the type of its value. (Of indices there is none, and another error.)
fn check_like(
    what: &str,
    position: usize,
    value: &Tensor,
    found: &Tensor,
) -> Result<(), ModelError> {
    let (expected, found) = (value.value_type(), found.value_type());
    if expected == found || value.kind() == INDEX {
        return Ok(());
    }
    Err(ModelError::WrongType {
        place: format!("{what} {position}"),
        expected: Box::new(expected),
        found: Box::new(found),
    })
}

impl<'t> Var<'t> {
    /// A tensor that nothing is differentiated by.
    pub fn constant(value: impl Into<Tensor>) -> Self {
        Self {
            var: eager::Var::constant(value.into()),
            tape: None,
        }
    }

    /// The tensor.
    pub fn value(&self) -> &Tensor {
        self.var.value()
    }

    /// The number, of a tensor of one real number.
    pub fn item(&self) -> Option<f64> {
        self.value().item()
    }

    /// Whether a gradient can flow to the tensor.
    pub fn requires_grad(&self) -> bool {
        self.var.requires_grad()
    }

    /// The same tensor as a constant.
    pub fn detach(&self) -> Self {
        self.value().clone().into()
    }

    /// The variable behind the operators, for [`Tape::with`].
    pub fn eager(&self) -> &eager::Var<TensorOp> {
        &self.var
    }

    /// The results of an operation.
    ///
    /// # Errors
    ///
    /// [`ModelError::Shape`] for operands that do not fit; [`ModelError::Eager`] for operands of different tapes.
    #[track_caller]
    pub fn try_apply(operation: TensorOp, operands: &[&Self]) -> Result<Vec<Self>, ModelError> {
        Self::fit_and_apply(Ok(operation), operands)
    }

    #[track_caller]
    fn fit_and_apply(
        operation: Result<TensorOp, Misuse>,
        operands: &[&Self],
    ) -> Result<Vec<Self>, ModelError> {
        let Some(tape) = operands.iter().find_map(|var| var.tape) else {
            let values: Vec<&Tensor> = operands.iter().map(|var| var.value()).collect();
            let results = Tensor::fit_and_apply(operation, &values)?;
            return Ok(results.into_iter().map(Self::constant).collect());
        };
        let types: Vec<ValueType> = operands.iter().map(|var| var.value_type()).collect();
        let types: Vec<&ValueType> = types.iter().collect();
        let (operation, _) = fitting(operation, &types, Location::caller())?;
        let vars: Vec<_> = operands.iter().map(|var| &var.var).collect();
        let results = tape.recorder().apply(operation, &vars)?;
        Ok(results.into_iter().map(|var| tape.here(var)).collect())
    }

    /// The gradients of this number (of a larger tensor, the sum of its elements; of a complex one, its real
    /// part) by everything that it was computed from. The tape remains as it is: one
    /// can go backward again, from this or another number.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant; [`EagerError::WithoutDerivative`] for indices;
    /// [`EagerError::Derive`].
    pub fn backward(&self) -> Result<Gradients, EagerError> {
        let seed = self.one();
        let mut tape = self.tape()?.recorder();
        let gradients = tape.backward_all(&[(&self.var, seed)])?;
        Ok(Gradients { gradients })
    }

    /// The gradient of this number by each of `wrt`, recorded itself: derivatives of it can be had in turn. It
    /// is 0 where nothing depends on the variable.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`], [`EagerError::ForeignVar`], [`EagerError::WithoutDerivative`] by indices,
    /// [`EagerError::Derive`].
    pub fn gradient(&self, wrt: &[&Self]) -> Result<Vec<Self>, EagerError> {
        let tape = self.tape()?;
        let vars: Vec<_> = wrt.iter().map(|var| &var.var).collect();
        let seed = eager::Var::constant(self.one());
        let mut recorder = tape.recorder();
        let found = recorder.backward_recorded(&[(&self.var, seed)], &vars)?;
        let found = found.into_iter().zip(wrt).map(|(found, var)| match found {
            Some(found) => tape.here(found),
            // A constant of the tape's own, so that a loop over orders may go on.
            None => tape.here(recorder.constant(var.value().zeros_like())),
        });
        Ok(found.collect())
    }

    /// Has `hook` called with the gradient by this variable whenever going backward has found it; what it returns, if
    /// anything, takes its place, and must be of its type. See [`tidu::eager::Tape::hook`].
    ///
    /// How a tensor that takes the place of another depends on it, nobody knows, so a recorded
    /// [`gradient`](Self::gradient) that was replaced cannot be differentiated ([`EagerError::ReplacedGradient`]);
    /// [`hook_recorded`](Self::hook_recorded) has no such limit.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant.
    ///
    /// # Panics
    ///
    /// Going backward, if what `hook` returns is of another type.
    ///
    /// # Example
    ///
    /// A gradient that is clipped:
    ///
    /// ```
    /// use tidu_tensor::{Tape, Tensor, Value};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0, 0.25]);
    /// x.hook(|gradient| Some(gradient.minimum(&1.0.into())))?;
    /// let gradients = x.square().sum_all().backward()?;
    /// assert_eq!(gradients.get(&x)?, Some(&Tensor::from([1.0, 0.5])));
    /// # Ok::<(), tidu::eager::EagerError>(())
    /// ```
    #[track_caller]
    pub fn hook(
        &self,
        mut hook: impl FnMut(&Tensor) -> Option<Tensor> + Send + 'static,
    ) -> Result<HookId, EagerError> {
        let location = Location::caller();
        let mut tape = self.tape()?.recorder();
        tape.hook(&self.var, move |gradient| {
            hook(gradient).inspect(|found| check_replacement(gradient, found, location))
        })
    }

    /// [`hook`](Self::hook) with a gradient to compute with: where gradients are recorded, so is what takes its place,
    /// and derivatives go through it. See [`tidu::eager::Tape::hook_recorded`].
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant.
    ///
    /// # Panics
    ///
    /// As for [`hook`](Self::hook).
    ///
    /// # Example
    ///
    /// A gradient that is clipped softly:
    ///
    /// ```
    /// use tidu_tensor::{Tape, Tensor, Value};
    ///
    /// let tape = Tape::new();
    /// let x = tape.var([3.0]);
    /// let y = x.clone() * 1.0;
    /// y.hook_recorded(|gradient| Some(gradient.tanh()))?;
    /// let slope = y.square().sum_all().gradient(&[&x])?;
    /// assert_eq!(slope[0].value(), &Tensor::from([6.0_f64.tanh()]));
    /// # Ok::<(), tidu::eager::EagerError>(())
    /// ```
    #[track_caller]
    pub fn hook_recorded(
        &self,
        mut hook: impl for<'s> FnMut(Var<'s>) -> Option<Var<'s>> + Send + 'static,
    ) -> Result<HookId, EagerError> {
        let location = Location::caller();
        let mut tape = self.tape()?.recorder();
        tape.hook_recorded(&self.var, move |tape, gradient| {
            let given = std::slice::from_ref(gradient);
            let found = lend(tape, given, |given| Vec::from_iter(hook(given[0].clone())));
            let found = found.into_iter().next();
            Ok(found.inspect(|found| check_replacement(gradient.value(), found.value(), location)))
        })
    }

    /// The seed of a gradient: 1, everywhere.
    fn one(&self) -> Tensor {
        match self.value() {
            Tensor::Complex(array) => Tensor::full(array.shape(), Complex64::ONE),
            value => Tensor::full(value.dims(), 1.0),
        }
    }

    fn tape(&self) -> Result<&'t Tape, EagerError> {
        self.tape.ok_or_else(|| EagerError::ConstantVar {
            place: "the number to differentiate".into(),
        })
    }
}

/// # Panics
///
/// If what takes the place of a gradient is not of its type.
fn check_replacement(gradient: &Tensor, found: &Tensor, location: &Location<'_>) {
    let (expected, found) = (gradient.value_type(), found.value_type());
    assert!(
        found == expected,
        "the hook added at {location} puts {found} in the place of a gradient, which is {expected}"
    );
}

impl Value for Var<'_> {
    #[track_caller]
    fn apply(operation: Result<TensorOp, Misuse>, operands: &[&Self]) -> Vec<Self> {
        match Self::fit_and_apply(operation, operands) {
            Ok(results) => results,
            Err(error) => panic!("{error}"),
        }
    }

    fn value_type(&self) -> ValueType {
        self.value().value_type()
    }
}

operators!([<'t>] Var<'t>);
assignments!([<'t>] Var<'t>);

impl Gradients {
    /// The gradient by a variable; `None` if nothing depends on it.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant, [`EagerError::ForeignVar`] for a variable of another tape,
    /// [`EagerError::StaleVar`] for one that the tape had forgotten.
    pub fn get(&self, var: &Var<'_>) -> Result<Option<&Tensor>, EagerError> {
        self.gradients.get(&var.var)
    }

    /// The gradients by several variables, 0 where nothing depends on one.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn wrt(&self, vars: &[&Var<'_>]) -> Result<Vec<Tensor>, EagerError> {
        let found = vars.iter().map(|var| {
            let found = self.get(var)?.cloned();
            Ok(found.unwrap_or_else(|| var.value().zeros_like()))
        });
        found.collect()
    }
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl From<f64> for Var<'_> {
    fn from(number: f64) -> Self {
        Tensor::from(number).into()
    }
}

impl From<Tensor> for Var<'_> {
    fn from(tensor: Tensor) -> Self {
        Self::constant(tensor)
    }
}

impl From<&Self> for Var<'_> {
    fn from(var: &Self) -> Self {
        var.clone()
    }
}

impl Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.var, f)
    }
}

/// The tensor.
impl Display for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self.value(), f)
    }
}
