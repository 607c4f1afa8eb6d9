//! Loops: a compiled step that runs many times, and going backward through what it did.

use std::sync::OnceLock;

use tidu_ad::{Function, FunctionError, Wrt};
use tidu_graph::text::name_list;

use super::{CompileScalar, ProgramError, ScalarProgram, Workspace};
use crate::op::ScalarOp;

/// A loop over a step, ready to run: for i = 0, …, n - 1
///
/// > (carryᵢ₊₁, yᵢ) = step(carryᵢ, xᵢ, params)
///
/// The step is a [`Function`]. Of its inputs, some are *carried*: their next values are its first outputs, in
/// the same order. Some may be read anew in each step ([`with_xs`](Self::with_xs): forcing, data). All others
/// are *parameters*, the same in each step. Of its outputs, those after the carried ones are the `ys`: a number
/// each in each step. (JAX: `jax.lax.scan`, whose closed-over values are the parameters here.)
///
/// The step is compiled to a [`ScalarProgram`], and so is its VJP when it is first needed. Going backward keeps
/// every √n-th carry and runs the steps in between again. That takes a tenth of the time of recording
/// the same operations on a [`Tape`](crate::Tape).
///
/// Between steps a cotangent is a number, also where it is zero. So where a slope is infinite, what nothing depends on
/// is 0·∞, a NaN, while a tape, which knows what is zero for certain, finds the right number: where a state that is
/// written over in each step was √x at 0, say, or where a seed of 0 meets it. The same goes for tangents of
/// [`jvp`](Self::jvp). (In JAX's `scan` too.)
///
/// Immutable; many threads may run it at once.
///
/// # Example
///
/// A mass m on a spring, n steps of length h: x at the end, and its derivatives by the state at the start and
/// by the parameters k / m and h.
///
/// ```
/// use tidu_scalar::{Scan, ScanInputs, function};
///
/// let step = function(["x", "v", "stiffness", "h"], |[x, v, stiffness, h]| {
///     let v = v - &h * stiffness * &x;
///     [x + h * &v, v]
/// })?;
/// let scan = Scan::new(&step, ["x", "v"])?;
/// let inputs = ScanInputs { carry: &[1.0, 0.0], params: &[4.0, 1e-3], ..Default::default() };
///
/// let (end, pullback) = scan.vjp(2_000, inputs)?;
/// assert!((end.carry[0] - 4.0_f64.cos()).abs() < 1e-2);
///
/// let cotangents = pullback.call(&[1.0, 0.0], &[])?;
/// // x = cos(√stiffness · t) at t = 2
/// assert!((cotangents.carry[0] - 4.0_f64.cos()).abs() < 1e-2);
/// assert!((cotangents.params[0] + 4.0_f64.sin() / 2.0).abs() < 1e-2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "fori_loop")]
#[doc(alias = "loop")]
#[doc(alias = "time step")]
#[derive(Clone, Debug)]
pub struct Scan {
    step: Function<ScalarOp>,
    program: ScalarProgram,
    /// From inputs and cotangents of outputs to a cotangent for each input. Made when it is first needed.
    vjp: OnceLock<ScalarProgram>,
    roles: Roles,
    /// `None` for the square root of the number of steps.
    checkpoint_every: Option<usize>,
}

/// Which inputs of the step are what, by position.
#[derive(Clone, Debug)]
struct Roles {
    carry: Vec<usize>,
    xs: Vec<usize>,
    params: Vec<usize>,
}

/// What a [`Scan`] is given: numbers, in the order of its names.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanInputs<'a> {
    /// What the first step is given of what is carried.
    pub carry: &'a [f64],
    /// What is read anew in each step: a slice each, with a number for each step.
    pub xs: &'a [&'a [f64]],
    /// What is the same in each step.
    pub params: &'a [f64],
}

/// What a [`Scan`] returns.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanOutputs {
    /// What the last step returns of what is carried.
    pub carry: Vec<f64>,
    /// What steps return besides: a list each, with a number for each step.
    pub ys: Vec<Vec<f64>>,
}

/// The cotangents of [`ScanInputs`]. See [`ScanPullback::call`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScanCotangents {
    /// By what the first step was given of what is carried.
    pub carry: Vec<f64>,
    /// By what was read anew in each step: a list each, with a number for each step.
    pub xs: Vec<Vec<f64>>,
    /// By what was the same in each step: the sums over all steps.
    pub params: Vec<f64>,
}

/// The way back through a [`Scan`] that has run. See [`Scan::vjp`].
#[derive(Clone, Debug)]
pub struct ScanPullback<'a> {
    scan: &'a Scan,
    vjp: &'a ScalarProgram,
    steps: usize,
    inputs: ScanInputs<'a>,
    /// The steps from one checkpoint to the next.
    every: usize,
    /// What is carried before the first step and before each `every` steps after it, one after the other.
    checkpoints: Vec<f64>,
}

impl Scan {
    /// A loop over `step` that carries these inputs of it, by name or by position, in this order; all others
    /// are parameters.
    ///
    /// # Errors
    ///
    /// [`ProgramError::WrongStep`] for a step with fewer outputs than it carries inputs;
    /// [`ProgramError::NothingCarried`]; [`FunctionError::UnknownInput`] and [`FunctionError::RepeatedInput`],
    /// in [`ProgramError::Function`].
    pub fn new(step: &Function<ScalarOp>, carry: impl Into<Wrt>) -> Result<Self, ProgramError> {
        let names = step.input_names();
        let carry = carry.into().positions(step).map_err(|error| match error {
            FunctionError::NoInputs => ProgramError::NothingCarried,
            error => error.into(),
        })?;
        let found = step.output_names().len();
        if found < carry.len() {
            return Err(ProgramError::WrongStep {
                expected: carry.len(),
                carry: name_list(
                    &carry
                        .iter()
                        .map(|&at| names[at].clone())
                        .collect::<Vec<_>>(),
                ),
                found,
                outputs: name_list(step.output_names()),
            });
        }
        Self::of(step.clone(), Roles::new(carry, Vec::new(), names.len()))
    }

    /// Reads these inputs of the step anew in each step, by name or by position, in this order. They take the place of
    /// those of an earlier call.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new); [`ProgramError::CarriedAlready`].
    ///
    /// # Example
    ///
    /// A sum of squares of what a recurrence leaves of data, and its gradient by the data:
    ///
    /// ```
    /// use tidu_scalar::{Scan, ScanInputs, function};
    ///
    /// let step = function(["level", "datum", "rate"], |[level, datum, rate]| {
    ///     let error = datum - &level;
    ///     [level + rate * &error, &error * &error]
    /// })?;
    /// let scan = Scan::new(&step, "level")?.with_xs("datum")?;
    /// let inputs = ScanInputs { carry: &[0.0], xs: &[&[1.0, 3.0]], params: &[0.5] };
    /// let (outputs, pullback) = scan.vjp(2, inputs)?;
    /// assert_eq!(outputs.ys, [[1.0, 6.25]]);
    /// // The loss d₀² + (d₁ - d₀/2)²
    /// let cotangents = pullback.call(&[0.0], &[&[1.0, 1.0]])?;
    /// assert_eq!(cotangents.xs, [[-0.5, 5.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_xs(self, xs: impl Into<Wrt>) -> Result<Self, ProgramError> {
        let names = self.step.input_names();
        let xs = match xs.into().positions(&self.step) {
            Err(FunctionError::NoInputs) => Vec::new(),
            found => found?,
        };
        let mut is_carried = vec![false; names.len()];
        for &at in &self.roles.carry {
            is_carried[at] = true;
        }
        if let Some(&both) = xs.iter().find(|at| is_carried[**at]) {
            let name = names[both].clone();
            return Err(ProgramError::CarriedAlready { name });
        }
        let roles = Roles::new(self.roles.carry, xs, names.len());
        Ok(Self { roles, ..self })
    }

    /// Keeps what is carried every so many steps on the way forward, where otherwise it is every √n: `1` keeps
    /// all of it, and then no step runs a second time. Results are the same to the bit. 0 counts as 1.
    pub fn checkpoint_every(mut self, steps: usize) -> Self {
        self.checkpoint_every = Some(steps.max(1));
        self
    }

    /// Forward mode: the loop over the step's JVP.
    ///
    /// What it carries are the values, then their tangents; and likewise xs, parameters and ys. It can be
    /// differentiated in turn: going backward through it makes products with a Hessian.
    ///
    /// # Errors
    ///
    /// Those of [`Function::jvp`], in [`ProgramError::Function`].
    ///
    /// # Example
    ///
    /// x ↦ a·x, three times: a³·x, whose derivative by a is 3·a²·x.
    ///
    /// ```
    /// use tidu_scalar::{Scan, ScanInputs, function};
    ///
    /// let scan = Scan::new(&function(["x", "a"], |[x, a]| [x * a])?, "x")?.jvp()?;
    /// let inputs = ScanInputs { carry: &[5.0, 0.0], params: &[2.0, 1.0], ..Default::default() };
    /// assert_eq!(scan.call(3, inputs)?.carry, [40.0, 60.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn jvp(&self) -> Result<Self, ProgramError> {
        let (inputs, outputs) = (
            self.step.input_names().len(),
            self.step.output_names().len(),
        );
        let carried = self.roles.carry.len();
        // A JVP returns all values, then all tangents.
        let carry = (0..carried).chain(outputs..outputs + carried);
        let ys = (carried..outputs).chain(outputs + carried..2 * outputs);
        let order: Vec<usize> = carry.chain(ys).collect();
        let with_tangents = |positions: &[usize]| {
            let tangents = positions.iter().map(|at| at + inputs);
            positions.iter().copied().chain(tangents).collect()
        };
        let roles = Roles {
            carry: with_tangents(&self.roles.carry),
            xs: with_tangents(&self.roles.xs),
            params: with_tangents(&self.roles.params),
        };
        let scan = Self::of(self.step.jvp(..)?.select_at(&order)?, roles)?;
        Ok(Self {
            checkpoint_every: self.checkpoint_every,
            ..scan
        })
    }

    /// Runs so many steps. None at all returns what it is given.
    ///
    /// # Errors
    ///
    /// [`ProgramError::WrongScanCount`] and [`ProgramError::WrongScanLength`] for inputs that do not fit.
    ///
    /// # Complexity
    ///
    /// Nothing is allocated in a step, but for what grows of ys.
    pub fn call(&self, steps: usize, inputs: ScanInputs<'_>) -> Result<ScanOutputs, ProgramError> {
        self.run(steps, inputs, |_, _| ())
    }

    /// Runs so many steps, and returns besides what goes backward from there: linear in the cotangents of its
    /// outputs, to be called as often as is needed. (JAX: `jax.vjp`.) It borrows the inputs, since it runs steps
    /// again: `params: &[k, h]` inside the call is gone after it (the compiler's E0716), unless it is bound by `let`
    /// before.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call); those of [`Function::vjp`], in [`ProgramError::Function`].
    ///
    /// # Complexity
    ///
    /// With k numbers carried and a checkpoint every m steps (√n unless
    /// [`checkpoint_every`](Self::checkpoint_every) says otherwise), 8·k·(n / m) bytes are kept, and 8·k·m more
    /// while going backward. That runs m - 1 of m steps again, and the VJP of each step once.
    pub fn vjp<'a>(
        &'a self,
        steps: usize,
        inputs: ScanInputs<'a>,
    ) -> Result<(ScanOutputs, ScanPullback<'a>), ProgramError> {
        let vjp = self.compiled_vjp()?;
        let every = self.checkpoint_every.unwrap_or(steps.isqrt().max(1));
        let mut checkpoints = Vec::new();
        let outputs = self.run(steps, inputs, |at, carry| {
            if at % every == 0 {
                checkpoints.extend_from_slice(carry);
            }
        })?;
        let pullback = ScanPullback {
            scan: self,
            vjp,
            steps,
            inputs,
            every,
            checkpoints,
        };
        Ok((outputs, pullback))
    }

    /// The names of what is carried, in order.
    pub fn carry_names(&self) -> Vec<String> {
        self.names(&self.roles.carry)
    }

    /// The names of what is read anew in each step, in order.
    pub fn xs_names(&self) -> Vec<String> {
        self.names(&self.roles.xs)
    }

    /// The names of what is the same in each step, in order.
    pub fn param_names(&self) -> Vec<String> {
        self.names(&self.roles.params)
    }

    /// The names of what steps return besides what is carried, in order.
    pub fn ys_names(&self) -> &[String] {
        &self.step.output_names()[self.roles.carry.len()..]
    }

    fn of(step: Function<ScalarOp>, roles: Roles) -> Result<Self, ProgramError> {
        Ok(Self {
            program: step.compile_scalar()?,
            step,
            vjp: OnceLock::new(),
            roles,
            checkpoint_every: None,
        })
    }

    fn names(&self, positions: &[usize]) -> Vec<String> {
        let names = self.program.input_names();
        positions.iter().map(|&at| names[at].clone()).collect()
    }

    fn compiled_vjp(&self) -> Result<&ScalarProgram, ProgramError> {
        if let Some(vjp) = self.vjp.get() {
            return Ok(vjp);
        }
        let vjp = self.step.vjp(..)?;
        let values = self.step.output_names().len();
        let cotangents: Vec<usize> = (values..vjp.output_names().len()).collect();
        let program = vjp.select_at(&cotangents)?.compile_scalar()?;
        Ok(self.vjp.get_or_init(|| program))
    }

    /// Runs all steps; `visit` is told what is carried before each.
    fn run(
        &self,
        steps: usize,
        inputs: ScanInputs<'_>,
        mut visit: impl FnMut(usize, &[f64]),
    ) -> Result<ScanOutputs, ProgramError> {
        self.check(steps, inputs)?;
        let mut runner = Runner::new(&self.program, &self.roles, inputs);
        let mut carry = inputs.carry.to_vec();
        let mut ys = vec![Vec::new(); self.ys_names().len()];
        for at in 0..steps {
            visit(at, &carry);
            let (next, y) = runner.step(at, &carry)?.split_at(carry.len());
            carry.copy_from_slice(next);
            for (ys, &y) in ys.iter_mut().zip(y) {
                ys.push(y);
            }
        }
        Ok(ScanOutputs { carry, ys })
    }

    fn check(&self, steps: usize, inputs: ScanInputs<'_>) -> Result<(), ProgramError> {
        let Roles { carry, xs, params } = &self.roles;
        let names = |positions: &[usize]| self.names(positions);
        check_count("numbers to carry", &names(carry), inputs.carry.len())?;
        check_count("slices of xs", &names(xs), inputs.xs.len())?;
        check_count("parameters", &names(params), inputs.params.len())?;
        check_lengths(&names(xs), inputs.xs, steps)
    }
}

impl ScanPullback<'_> {
    /// The cotangents of what the loop was given, from those of what it returned: of the last carry, and of the
    /// ys, a slice each with a number for each step. (`&[]` if there are no ys.)
    ///
    /// Those of parameters are added up from the last step to the first.
    ///
    /// # Errors
    ///
    /// [`ProgramError::WrongScanCount`] and [`ProgramError::WrongScanLength`] for cotangents that do not fit.
    pub fn call(&self, carry: &[f64], ys: &[&[f64]]) -> Result<ScanCotangents, ProgramError> {
        self.check(carry, ys)?;
        let roles = &self.scan.roles;
        let count = carry.len();
        let mut forward = Runner::new(&self.scan.program, roles, self.inputs);
        let mut backward = Runner::new(self.vjp, roles, self.inputs);
        let mut found = ScanCotangents {
            carry: carry.to_vec(),
            xs: vec![vec![0.0; self.steps]; roles.xs.len()],
            params: vec![0.0; roles.params.len()],
        };
        let mut states = Vec::new();
        for (segment, start) in self.checkpoints.chunks_exact(count).enumerate().rev() {
            let first = segment * self.every;
            let end = self.steps.min(first.saturating_add(self.every));
            states.clear();
            states.extend_from_slice(start);
            for at in first..end - 1 {
                let next = forward.step(at, &states[states.len() - count..])?;
                states.extend_from_slice(&next[..count]);
            }
            for (at, state) in (first..end).zip(states.chunks_exact(count)).rev() {
                backward.seed(at, &found.carry, ys);
                let cotangents = backward.step(at, state)?;
                for (slot, &input) in found.carry.iter_mut().zip(&roles.carry) {
                    *slot = cotangents[input];
                }
                for (slot, &input) in found.xs.iter_mut().zip(&roles.xs) {
                    slot[at] = cotangents[input];
                }
                for (sum, &input) in found.params.iter_mut().zip(&roles.params) {
                    *sum += cotangents[input];
                }
            }
        }
        Ok(found)
    }

    fn check(&self, carry: &[f64], ys: &[&[f64]]) -> Result<(), ProgramError> {
        let (carry_names, ys_names) = (self.scan.carry_names(), self.scan.ys_names());
        check_count("cotangents of what is carried", &carry_names, carry.len())?;
        check_count("slices of cotangents of ys", ys_names, ys.len())?;
        check_lengths(ys_names, ys, self.steps)
    }
}

impl Roles {
    /// All inputs that are neither carried nor among `xs` are parameters.
    fn new(carry: Vec<usize>, xs: Vec<usize>, inputs: usize) -> Self {
        let mut is_param = vec![true; inputs];
        for &at in carry.iter().chain(&xs) {
            is_param[at] = false;
        }
        let params = (0..inputs).filter(|&at| is_param[at]).collect();
        Self { carry, xs, params }
    }
}

/// A program that takes the inputs of a step, and memory to run it in.
struct Runner<'a> {
    program: &'a ScalarProgram,
    roles: &'a Roles,
    xs: &'a [&'a [f64]],
    inputs: Vec<f64>,
    outputs: Vec<f64>,
    workspace: Workspace,
}

impl<'a> Runner<'a> {
    fn new(program: &'a ScalarProgram, roles: &'a Roles, given: ScanInputs<'a>) -> Self {
        let mut inputs = vec![0.0; program.input_names().len()];
        for (&at, &param) in roles.params.iter().zip(given.params) {
            inputs[at] = param;
        }
        Self {
            program,
            roles,
            xs: given.xs,
            inputs,
            outputs: vec![0.0; program.output_names().len()],
            workspace: Workspace::default(),
        }
    }

    /// The outputs of a step.
    fn step(&mut self, step: usize, carry: &[f64]) -> Result<&[f64], ProgramError> {
        for (&at, &number) in self.roles.carry.iter().zip(carry) {
            self.inputs[at] = number;
        }
        for (&at, x) in self.roles.xs.iter().zip(self.xs) {
            self.inputs[at] = x[step];
        }
        self.program
            .eval_into(&mut self.workspace, &self.inputs, &mut self.outputs)?;
        Ok(&self.outputs)
    }

    /// Puts the cotangents of what a step returns behind its inputs.
    fn seed(&mut self, step: usize, carry: &[f64], ys: &[&[f64]]) {
        let seeds = carry.iter().copied().chain(ys.iter().map(|y| y[step]));
        let first = self.inputs.len() - carry.len() - ys.len();
        for (slot, seed) in self.inputs[first..].iter_mut().zip(seeds) {
            *slot = seed;
        }
    }
}

fn check_count(what: &'static str, names: &[String], found: usize) -> Result<(), ProgramError> {
    let expected = names.len();
    if expected == found {
        return Ok(());
    }
    Err(ProgramError::WrongScanCount {
        what,
        expected,
        names: name_list(names),
        found,
    })
}

fn check_lengths(names: &[String], slices: &[&[f64]], steps: usize) -> Result<(), ProgramError> {
    let mut named = names.iter().zip(slices);
    match named.find(|(_, slice)| slice.len() != steps) {
        None => Ok(()),
        Some((name, slice)) => Err(ProgramError::WrongScanLength {
            name: name.clone(),
            expected: steps,
            found: slice.len(),
        }),
    }
}
