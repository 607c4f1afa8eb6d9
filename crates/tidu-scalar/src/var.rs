//! Numbers that remember what they were computed from: the eager front end.

use std::cell::{RefCell, RefMut};
use std::cmp::Ordering;
use std::fmt::{self, Debug, Display};
use std::iter::{Product, Sum};
use std::ops::Index;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tidu_ad::Function;
use tidu_eager::{EagerError, HeldByTape, HookId, RunsAgain, Tape as EagerTape, Var as EagerVar};
use tidu_graph::EvaluableGraphOperation;

use crate::front::{methods, operators};
use crate::key::ScalarKey;
use crate::op::ScalarOp;

/// Where variables are recorded: [`tidu_eager::Tape`] for numbers, with operators.
///
/// Variables borrow the tape, so that one whose place is gone does not compile:
///
/// ```compile_fail
/// let mut tape = tidu_scalar::Tape::new();
/// let x = tape.var(1.0);
/// tape.clear();
/// println!("{}", x + 1.0);
/// ```
///
/// # Example
///
/// f(x, y) = x·eʸ at (2, 0):
///
/// ```
/// use tidu_scalar::Tape;
///
/// let tape = Tape::new();
/// let [x, y] = tape.vars([2.0, 0.0]);
/// let f = x * y.exp();
/// assert_eq!(f.value(), 2.0);
/// let gradients = f.backward()?;
/// assert_eq!((gradients[x], gradients[y]), (1.0, 2.0));
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
#[derive(Debug)]
pub struct Tape {
    tape: RefCell<EagerTape<ScalarOp>>,
}

/// A number, with its place on a [`Tape`] if it has one.
///
/// Numbers alone (`From<f64>`, [`constant`](Self::constant)) and what is computed of them have none: they
/// are recorded nowhere, and nothing is differentiated by them. Variables compare by value, like the
/// numbers that they stand for.
///
/// # Panics
///
/// Operators and methods of this type panic if operands are of different tapes. The text is that of the
/// error which [`try_apply`](Self::try_apply) returns.
#[derive(Clone, Copy)]
pub struct Var<'t> {
    var: EagerVar<ScalarOp>,
    tape: Option<&'t Tape>,
}

/// The gradients of one number by everything that it was computed from. See [`Var::backward`].
#[derive(Debug)]
pub struct Gradients {
    gradients: tidu_eager::Gradients<ScalarOp>,
}

/// What a tape names inputs of derived functions after.
fn name() -> ScalarKey {
    ScalarKey::from("v")
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self {
            tape: RefCell::new(EagerTape::new(name)),
        }
    }

    /// A number to differentiate by.
    pub fn var(&self, value: f64) -> Var<'_> {
        let var = self.lock().leaf(value);
        self.here(var)
    }

    /// Numbers to differentiate by.
    pub fn vars<const N: usize>(&self, values: [f64; N]) -> [Var<'_>; N] {
        values.map(|value| self.var(value))
    }

    /// Numbers to differentiate by, as many as there are.
    pub fn vars_of(&self, values: &[f64]) -> Vec<Var<'_>> {
        values.iter().map(|&value| self.var(value)).collect()
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
    ///
    /// # Example
    ///
    /// Newton's method, on the memory of one step:
    ///
    /// ```
    /// let tape = tidu_scalar::Tape::new();
    /// let mut x = 1.0;
    /// for _ in 0..6 {
    ///     x = tape.scope(|| {
    ///         let at = tape.var(x);
    ///         let f = at * at - 2.0;
    ///         Ok::<_, tidu_eager::EagerError>(x - f.value() / f.backward()?[at])
    ///     })??;
    /// }
    /// assert!((x - 2.0_f64.sqrt()).abs() < 1e-15);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn scope<T>(&self, body: impl FnOnce() -> T) -> Result<T, EagerError> {
        let mark = self.lock().mark();
        let result = catch_unwind(AssertUnwindSafe(body));
        let rewound = self.lock().end_scope(mark);
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        rewound.map(|()| result)
    }

    /// Runs `body` without recording: what it computes are constants.
    pub fn no_grad<T>(&self, body: impl FnOnce() -> T) -> T {
        let was_on = self.lock().set_recording(false);
        let result = catch_unwind(AssertUnwindSafe(body));
        self.lock().set_recording(was_on);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The bytes of memory that the tape holds for what it records.
    pub fn memory(&self) -> usize {
        self.lock().memory()
    }

    /// Runs a part of a computation and keeps nothing of it but its operands; going backward runs it
    /// again. See [`tidu_eager::Tape::checkpoint`].
    ///
    /// The body is given variables of a tape that is there while it runs. Those outside are of another, so it
    /// cannot capture any ([`RunsAgain`]): what it needs is given as an operand. Numbers can be captured.
    ///
    /// ```compile_fail,E0277
    /// let tape = tidu_scalar::Tape::new();
    /// let [x, rate] = tape.vars([0.5, 2.0]);
    /// let y = tape.checkpoint(&[x], move |x| vec![x[0] * rate]);
    /// ```
    ///
    /// # Errors
    ///
    /// [`EagerError::ForeignVar`].
    ///
    /// # Example
    ///
    /// ```
    /// let tape = tidu_scalar::Tape::new();
    /// let x = tape.var(0.5);
    /// let y = tape.checkpoint(&[x], |x| vec![x[0].sin().exp()])?[0];
    /// assert_eq!(y.backward()?[x], 0.5_f64.cos() * 0.5_f64.sin().exp());
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn checkpoint(
        &self,
        operands: &[Var<'_>],
        body: impl for<'s> Fn(&[Var<'s>]) -> Vec<Var<'s>> + RunsAgain,
    ) -> Result<Vec<Var<'_>>, EagerError> {
        let operands: Vec<&EagerVar<ScalarOp>> = operands.iter().map(|var| &var.var).collect();
        let mut tape = self.lock();
        let results = tape.checkpoint(&operands, move |tape, operands| {
            Ok(lend(tape, operands, |operands| body(operands)))
        })?;
        Ok(results.into_iter().map(|var| self.here(var)).collect())
    }

    /// Repeats a step: state ↦ step(state, i) for i = 0, …, `steps` - 1, on memory that grows like √steps.
    /// See [`tidu_eager::Tape::iterate`]; and [`Scan`](crate::Scan), which does the same with a compiled step, ten times
    /// as fast.
    ///
    /// A step cannot capture variables: a parameter is a part of the state, which each step returns as it is.
    ///
    /// ```
    /// let tape = tidu_scalar::Tape::new();
    /// let [x, rate] = tape.vars([1.0, 0.5]);
    /// let h = 1e-3;
    /// let end = tape.iterate(1_000, &[x, rate], move |state, _| {
    ///     let [x, rate] = [state[0], state[1]];
    ///     vec![x + h * rate * x, rate]
    /// })?;
    /// let gradients = end[0].backward()?;
    /// // x·(1 + h·rate)ⁿ
    /// assert!((gradients[x] - 1.0005_f64.powi(1_000)).abs() < 1e-12);
    /// assert!((gradients[rate] - 1.0005_f64.powi(999)).abs() < 1e-12);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    ///
    /// Captured, it does not compile:
    ///
    /// ```compile_fail,E0277
    /// let tape = tidu_scalar::Tape::new();
    /// let [x, rate] = tape.vars([1.0, 0.5]);
    /// let end = tape.iterate(1_000, &[x], move |state, _| vec![state[0] * rate]);
    /// ```
    ///
    /// # Errors
    ///
    /// [`EagerError::ForeignVar`]; [`EagerError::WrongStateCount`] for a step that returns another number
    /// of values than it is given.
    pub fn iterate(
        &self,
        steps: usize,
        state: &[Var<'_>],
        step: impl for<'s> Fn(&[Var<'s>], usize) -> Vec<Var<'s>> + RunsAgain,
    ) -> Result<Vec<Var<'_>>, EagerError> {
        let state: Vec<&EagerVar<ScalarOp>> = state.iter().map(|var| &var.var).collect();
        let mut tape = self.lock();
        let results = tape.iterate(steps, &state, move |tape, state, at| {
            Ok(lend(tape, state, |state| step(state, at)))
        })?;
        Ok(results.into_iter().map(|var| self.here(var)).collect())
    }

    /// The results of a function, recorded as one call. See [`tidu_eager::Tape::apply_function`].
    ///
    /// # Errors
    ///
    /// [`EagerError::WrongValueCount`], [`EagerError::ForeignVar`].
    #[track_caller]
    pub fn apply_function(
        &self,
        function: &Function<ScalarOp>,
        operands: &[Var<'_>],
    ) -> Result<Vec<Var<'_>>, EagerError> {
        let operands: Vec<&EagerVar<ScalarOp>> = operands.iter().map(|var| &var.var).collect();
        let results = self.lock().apply_function(function, &operands)?;
        Ok(results.into_iter().map(|var| self.here(var)).collect())
    }

    /// Gives access to the tape behind the operators, for hooks, watching, and what else there is.
    ///
    /// # Panics
    ///
    /// If `body` uses a variable of this tape with operators.
    #[track_caller]
    pub fn with<T>(&self, body: impl FnOnce(&mut EagerTape<ScalarOp>) -> T) -> T {
        body(&mut self.lock())
    }

    /// The tape, which [`with`](Self::with) may have lent.
    #[inline]
    #[track_caller]
    fn lock(&self) -> RefMut<'_, EagerTape<ScalarOp>> {
        match self.tape.try_borrow_mut() {
            Ok(tape) => tape,
            Err(_) => panic!(
                "the tape is in use by `Tape::with`: in there, compute with the tape that the closure is given"
            ),
        }
    }

    #[inline]
    fn here(&self, var: EagerVar<ScalarOp>) -> Var<'_> {
        Var {
            var,
            tape: Some(self),
        }
    }
}

/// Runs `body` with variables on `tape`, which is moved for as long as they live.
fn lend(
    tape: &mut EagerTape<ScalarOp>,
    operands: &[EagerVar<ScalarOp>],
    body: impl for<'s> FnOnce(&[Var<'s>]) -> Vec<Var<'s>>,
) -> Vec<EagerVar<ScalarOp>> {
    let moved = std::mem::replace(tape, EagerTape::new(name));
    let lent = Tape {
        tape: RefCell::new(moved),
    };
    let results = catch_unwind(AssertUnwindSafe(|| {
        let operands: Vec<Var<'_>> = operands.iter().map(|&var| lent.here(var)).collect();
        let results = body(&operands).into_iter();
        results.map(|var| var.var).collect()
    }));
    *tape = lent.tape.into_inner();
    results.unwrap_or_else(|panic| resume_unwind(panic))
}

impl<'t> Var<'t> {
    /// A number that nothing is differentiated by.
    #[inline]
    pub fn constant(value: f64) -> Self {
        Self {
            var: EagerVar::constant(value),
            tape: None,
        }
    }

    /// The number.
    #[inline]
    pub fn value(&self) -> f64 {
        *self.var.value()
    }

    /// Whether a gradient can flow to the number.
    pub fn requires_grad(&self) -> bool {
        self.var.requires_grad()
    }

    /// The same number as a constant.
    pub fn detach(&self) -> Self {
        Self {
            var: self.var.detach(),
            tape: self.tape,
        }
    }

    /// The result of an operation that has one.
    ///
    /// # Errors
    ///
    /// [`EagerError::ForeignVar`] for operands of different tapes; [`EagerError::WrongValueCount`].
    #[inline]
    #[track_caller]
    pub fn try_apply(op: ScalarOp, operands: &[Self]) -> Result<Self, EagerError> {
        let operands: Vec<&Self> = operands.iter().collect();
        let vars: Vec<&EagerVar<ScalarOp>> = operands.iter().map(|var| &var.var).collect();
        match tape_of(&operands) {
            Some(tape) => {
                let var = tape.lock().apply_one(op, &vars)?;
                Ok(tape.here(var))
            }
            None => {
                let var = EagerTape::new(name).apply_one(op, &vars)?;
                Ok(Self { var, tape: None })
            }
        }
    }

    /// The gradients of this number by everything that it was computed from. The tape remains as it is:
    /// one can go backward again, from this or another number.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant; [`EagerError::Derive`].
    ///
    /// # Complexity
    ///
    /// Linear in the tape.
    pub fn backward(&self) -> Result<Gradients, EagerError> {
        let mut tape = self.tape()?.lock();
        let gradients = tape.backward_all(&[(&self.var, 1.0)])?;
        Ok(Gradients { gradients })
    }

    /// The gradient of this number by each of `wrt`, recorded itself: derivatives of it can be had in
    /// turn. It is 0 where nothing depends on the variable, and so is the gradient of a gradient that
    /// depends on nothing: a loop over orders may go on past the last of a polynomial.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a number that was never on the tape or was cut off
    /// ([`detach`](Self::detach), [`Tape::no_grad`]); [`EagerError::ForeignVar`], [`EagerError::Derive`];
    /// [`EagerError::InSegment`] in the body of a [`checkpoint`](Tape::checkpoint);
    /// [`EagerError::ReplacedGradient`] for a recorded gradient that a [`hook`](Self::hook) replaced.
    ///
    /// # Example
    ///
    /// d²/dx² x³ = 6·x:
    ///
    /// ```
    /// let tape = tidu_scalar::Tape::new();
    /// let x = tape.var(2.0);
    /// let slope = (x * x * x).gradient(&[x])?[0];
    /// assert_eq!(slope.value(), 12.0);
    /// assert_eq!(slope.backward()?[x], 12.0);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn gradient(&self, wrt: &[Self]) -> Result<Vec<Self>, EagerError> {
        let tape = self.tape()?;
        let wrt: Vec<&EagerVar<ScalarOp>> = wrt.iter().map(|var| &var.var).collect();
        let seed = EagerVar::constant(1.0);
        let mut eager = tape.lock();
        let found = eager.backward_recorded(&[(&self.var, seed)], &wrt)?;
        let found = found.into_iter();
        Ok(found
            .map(|found| tape.here(found.unwrap_or_else(|| eager.constant(0.0))))
            .collect())
    }

    /// Has `hook` called with the gradient by this variable whenever going backward has found it; what
    /// it returns, if anything, takes its place. In second derivatives it is called in both passes.
    ///
    /// How a number that takes the place of another depends on it, nobody knows, so a recorded
    /// [`gradient`](Self::gradient) that was replaced by another number cannot be differentiated: second
    /// derivatives ([`hessian`](crate::hessian), [`hvp`](crate::hvp)) are then
    /// [`EagerError::ReplacedGradient`]. See [`tidu_eager::Tape::hook`], and
    /// [`hook_recorded`](Self::hook_recorded), which has no such limit.
    ///
    /// A hook cannot capture variables ([`HeldByTape`]):
    ///
    /// ```compile_fail,E0277
    /// let tape = tidu_scalar::Tape::new();
    /// let x = tape.var(3.0);
    /// (x * x).hook(move |gradient| Some(gradient * x.value()));
    /// ```
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant.
    #[track_caller]
    pub fn hook(
        &self,
        mut hook: impl FnMut(f64) -> Option<f64> + HeldByTape,
    ) -> Result<HookId, EagerError> {
        let mut tape = self.tape()?.lock();
        tape.hook(&self.var, move |gradient| hook(*gradient))
    }

    /// [`hook`](Self::hook) with a gradient to compute with: where gradients are recorded, so is what takes
    /// its place, and derivatives go through it. See [`tidu_eager::Tape::hook_recorded`].
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant.
    ///
    /// # Example
    ///
    /// A gradient that is clipped softly:
    ///
    /// ```
    /// let tape = tidu_scalar::Tape::new();
    /// let x = tape.var(3.0);
    /// let y = x * 1.0;
    /// y.hook_recorded(|gradient| Some(gradient.tanh()))?;
    /// let slope = (y * y).gradient(&[x])?[0];
    /// assert_eq!(slope.value(), 6.0_f64.tanh());
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    #[track_caller]
    pub fn hook_recorded(
        &self,
        mut hook: impl for<'s> FnMut(Var<'s>) -> Option<Var<'s>> + HeldByTape,
    ) -> Result<HookId, EagerError> {
        let mut tape = self.tape()?.lock();
        tape.hook_recorded(&self.var, move |tape, gradient| {
            let found = lend(tape, &[*gradient], |given| Vec::from_iter(hook(given[0])));
            Ok(found.into_iter().next())
        })
    }

    pub(crate) fn eager(&self) -> &EagerVar<ScalarOp> {
        &self.var
    }

    fn tape(&self) -> Result<&'t Tape, EagerError> {
        self.tape.ok_or_else(|| EagerError::ConstantVar {
            place: "the number to differentiate".into(),
        })
    }

    #[inline]
    #[track_caller]
    fn apply<const N: usize>(op: ScalarOp, operands: [&Self; N]) -> Self {
        let vars = operands.map(|var| &var.var);
        let Some(tape) = tape_of(&operands) else {
            return evaluate(&op, &operands.map(|var| var.var.value()));
        };
        match tape.lock().apply_one(op, &vars) {
            Ok(var) => tape.here(var),
            Err(error) => fail(&error),
        }
    }

    #[track_caller]
    fn apply_pair<const N: usize>(op: ScalarOp, operands: [&Self; N]) -> (Self, Self) {
        let vars = operands.map(|var| &var.var);
        let tape = tape_of(&operands);
        let results = match tape {
            Some(tape) => tape.lock().apply(op, &vars),
            None => EagerTape::new(name).apply(op, &vars),
        };
        let results = results.unwrap_or_else(|error| fail(&error));
        let [first, second] = [0, 1].map(|at: usize| Self {
            var: results[at],
            tape,
        });
        (first, second)
    }
}

/// The tape of the first operand to which a gradient can flow, or else of the first that has one: constants may
/// come from anywhere. The tape itself sees if another variable is of another one.
#[inline]
fn tape_of<'t>(operands: &[&Var<'t>]) -> Option<&'t Tape> {
    let active = operands.iter().find(|var| var.requires_grad());
    match active {
        Some(active) => active.tape,
        None => operands.iter().find_map(|var| var.tape),
    }
}

/// What an operation of one result makes of numbers alone.
fn evaluate<'t>(op: &ScalarOp, operands: &[&f64]) -> Var<'t> {
    let results = op.eval(&mut (), operands);
    Var::constant(results[0])
}

#[cold]
#[track_caller]
fn fail(error: &EagerError) -> ! {
    panic!("{error}")
}

methods!([<'t>] Var<'t>);
operators!([<'t>] Var<'t>);

impl Gradients {
    /// The gradient by a variable; 0 if nothing depends on it.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`] for a constant, [`EagerError::ForeignVar`] for a variable of another tape,
    /// [`EagerError::StaleVar`] for one that the tape had forgotten.
    pub fn get(&self, var: Var<'_>) -> Result<f64, EagerError> {
        let gradient = self.gradients.get(&var.var)?;
        Ok(gradient.copied().unwrap_or(0.0))
    }

    /// The gradients by several variables.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn wrt(&self, vars: &[Var<'_>]) -> Result<Vec<f64>, EagerError> {
        vars.iter().map(|&var| self.get(var)).collect()
    }
}

/// As [`get`](Self::get).
///
/// # Panics
///
/// Where `get` returns an error, with the same text.
impl Index<Var<'_>> for Gradients {
    type Output = f64;

    #[track_caller]
    fn index(&self, var: Var<'_>) -> &f64 {
        match self.gradients.get(&var.var) {
            Ok(gradient) => gradient.unwrap_or(&0.0),
            Err(error) => fail(&error),
        }
    }
}

impl Default for Tape {
    fn default() -> Self {
        Self::new()
    }
}

impl From<f64> for Var<'_> {
    #[inline]
    fn from(value: f64) -> Self {
        Self::constant(value)
    }
}

impl From<&Self> for Var<'_> {
    #[inline]
    fn from(var: &Self) -> Self {
        *var
    }
}

impl PartialEq for Var<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

// Not the other way round: with two types that `f64` compares with, nobody's `assert_eq!(numbers, [])` would
// be inferred any more.
impl PartialEq<f64> for Var<'_> {
    fn eq(&self, other: &f64) -> bool {
        self.value() == *other
    }
}

impl PartialOrd for Var<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value().partial_cmp(&other.value())
    }
}

impl PartialOrd<f64> for Var<'_> {
    fn partial_cmp(&self, other: &f64) -> Option<Ordering> {
        self.value().partial_cmp(other)
    }
}

impl<'a, 't> Sum<&'a Var<'t>> for Var<'t> {
    #[track_caller]
    fn sum<I: Iterator<Item = &'a Self>>(terms: I) -> Self {
        terms.copied().sum()
    }
}

impl<'a, 't> Product<&'a Var<'t>> for Var<'t> {
    #[track_caller]
    fn product<I: Iterator<Item = &'a Self>>(factors: I) -> Self {
        factors.copied().product()
    }
}

impl Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.var.fmt(f)
    }
}

/// The number.
impl Display for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.value(), f)
    }
}
