//! A tape: runs operations as it records them, and goes backward through what it recorded.

mod backward;
mod engine;
mod forward;
mod hooks;
mod places;
mod segment;
mod storage;
mod structure;
mod tangents;
mod template;
mod types;
mod watch;

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;

use smallvec::SmallVec;
use tidu_ad::rules::checked_with_residuals;
use tidu_ad::{Derivatives, Function, Primitive};
use tidu_graph::text::{name_list, operation_label};
use tidu_graph::{EvaluableGraphOperation, GraphOperation, RuntimeError};

pub use backward::Gradients;
pub use forward::Dual;
pub use hooks::{HeldByTape, HookId};
pub use places::Mark;
pub use segment::RunsAgain;

use self::hooks::Hooks;
use self::places::Places;
use self::segment::Inside;
use self::storage::{Argument, Storage};
use self::template::{Callee, Deriver, Flags, Residual, Template, Templates};
use self::types::{Types, are_of_types, types_of};
use self::watch::Watch;
use crate::Side;
use crate::error::{EagerError, cannot_derive, check_count, failed, wrong_results};
use crate::recorder::KeySource;

/// Runs operations as it records them, and goes backward through what it recorded.
///
/// For each operation with a set of active operands, the tape derives the VJP from the rules once and
/// keeps it as a few instructions. Of a call it then keeps the residuals that the VJP names, and
/// nothing else: none of a sum, the result of an exponential.
///
/// A [`Var`] is a value with a place on the tape, if it has one: constants, results of constants, and
/// all that is computed under [`no_grad`](Self::no_grad) have none and record nothing.
///
/// Operands are cloned when they become residuals, so they should be cheap to clone.
///
/// # Example
///
/// ```
/// use tidu_eager::Tape;
/// use tidu_scalar::{ScalarKey, ScalarOp};
///
/// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
/// let x = tape.leaf(2.0);
/// let y = tape.leaf(0.0);
/// let exp_y = tape.apply_one(ScalarOp::Exp, &[&y])?;
/// let f = tape.apply_one(ScalarOp::Mul, &[&x, &exp_y])?;
/// assert_eq!(*f.value(), 2.0);
/// assert_eq!(tape.backward(&[(&f, 1.0)], &[&x, &y])?, [Some(1.0), Some(2.0)]);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub struct Tape<Op: Primitive + EvaluableGraphOperation> {
    places: Places,
    storage: Storage<Op>,
    /// A pass backward shares the list, and templates are added to it on the way: the list is copied
    /// then, which deriving a template costs more than.
    templates: Templates<Op>,
    /// The operations that have templates.
    known: Vec<Known<Op>>,
    /// By operation and types of operands: where in `known` it is.
    by_operation: HashMap<(Op, Types), SmallVec<[u32; 2]>>,
    /// Where in `known` the operation applied last is.
    last: usize,
    /// By address of what a function computes: its templates.
    by_function: HashMap<usize, Vec<u32>>,
    derivatives: Derivatives<Op>,
    /// What inputs of derived functions are named after.
    name: Op::InputKey,
    paused: bool,
    /// Whether something was computed of variables while recording was paused.
    touched: bool,
    /// What is running: the body of a segment, or a hook.
    inside: Option<Inside>,
    watch: Option<Watch<Op>>,
    hooks: Hooks<Op>,
    /// The recorded gradients that hooks put in the place of others, by index of a value, ascending, and where
    /// these hooks were added.
    replaced: Vec<(u32, &'static Location<'static>)>,
    ctx: Op::Context,
    ad_ctx: Op::ADContext,
    /// Where operations put their results.
    results: Vec<Op::Operand>,
    /// Memory for going backward; of what it holds, everything is `None`.
    spare: Vec<Option<Op::Operand>>,
}

/// What recording a call of an operation takes.
#[derive(Clone)]
struct Known<Op: GraphOperation> {
    operation: Op,
    /// What is applied in its place, if that returns residuals.
    extended: Option<Op>,
    /// Which operands are active.
    signature: Signature,
    template: u32,
    outputs: u32,
    /// How many of these a caller is given.
    visible: u32,
    residuals: Box<[Residual]>,
    /// What was applied after it, the last time and another time. Programs repeat themselves, so one of
    /// the two nearly always comes again.
    next: [usize; 2],
}

/// Which operands are active: a one, and a bit each. Zero where there are too many of them.
type Signature = u64;

/// A value, and its place on a tape if it has one.
pub struct Var<Op: GraphOperation> {
    value: Op::Operand,
    place: Place,
}

/// Where on which tape a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// An index among the tape's values; [`CONSTANT`] for none.
    index: u32,
    /// 0 for a constant, unless it counts as computed on a tape.
    tape: u32,
    epoch: u32,
}

const CONSTANT: u32 = u32::MAX;

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// An empty tape, with contexts of its own. One key is asked for: what derived functions name their
    /// inputs after.
    pub fn new(keys: impl KeySource<Op>) -> Self
    where
        Op::Context: Default,
    {
        Self::with_contexts(keys, Op::Context::default(), Op::ADContext::default())
    }

    /// An empty tape that evaluates operations in `ctx` and gives rules `ad_ctx`.
    pub fn with_contexts(
        mut keys: impl KeySource<Op>,
        ctx: Op::Context,
        ad_ctx: Op::ADContext,
    ) -> Self {
        Self {
            places: Places::new(),
            storage: Storage::new(0),
            templates: Templates::default(),
            known: Vec::new(),
            by_operation: HashMap::new(),
            last: 0,
            by_function: HashMap::new(),
            derivatives: Derivatives::default(),
            name: keys.fresh_input_key(),
            paused: false,
            touched: false,
            inside: None,
            watch: None,
            hooks: Hooks::new(),
            replaced: Vec::new(),
            ctx,
            ad_ctx,
            results: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// An empty tape, with contexts of its own, that knows the derivatives which this one has derived: for
    /// another thread, or for work of the same kind that is to be recorded apart.
    ///
    /// What either derives from then on, the other does not learn. Hooks and
    /// [`watch`](Self::watch) stay with this tape.
    ///
    /// # Example
    ///
    /// Derived once, used on four threads:
    ///
    /// ```
    /// use tidu_eager::Tape;
    /// use tidu_scalar::{ScalarKey, ScalarOp};
    ///
    /// let slope = |tape: &mut Tape<ScalarOp>, x: f64| {
    ///     let x = tape.leaf(x);
    ///     let y = tape.apply_one(ScalarOp::Sin, &[&x])?;
    ///     Ok::<_, tidu_eager::EagerError>(tape.backward(&[(&y, 1.0)], &[&x])?[0])
    /// };
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// slope(&mut tape, 0.0)?;
    /// std::thread::scope(|scope| {
    ///     for at in [0.25_f64, 0.5, 0.75, 1.0] {
    ///         let mut tape = tape.sibling();
    ///         scope.spawn(move || assert_eq!(slope(&mut tape, at), Ok(Some(at.cos()))));
    ///     }
    /// });
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn sibling(&self) -> Self
    where
        Op::Context: Default,
    {
        self.sibling_with_contexts(Op::Context::default(), Op::ADContext::default())
    }

    /// [`sibling`](Self::sibling), with the contexts of [`with_contexts`](Self::with_contexts).
    pub fn sibling_with_contexts(&self, ctx: Op::Context, ad_ctx: Op::ADContext) -> Self {
        Self {
            templates: Arc::clone(&self.templates),
            known: self.known.clone(),
            by_operation: self.by_operation.clone(),
            last: self.last,
            by_function: self.by_function.clone(),
            derivatives: self.derivatives.clone(),
            ..Self::with_contexts(|| self.name.clone(), ctx, ad_ctx)
        }
    }

    /// Keeps derivatives of operations in this cache, and takes them from it, where otherwise the tape has one of its
    /// own, which it shares with its [siblings](Self::sibling).
    pub fn sharing(mut self, derivatives: &Derivatives<Op>) -> Self {
        self.derivatives = derivatives.clone();
        self
    }

    /// Where derivatives of operations are kept.
    pub fn derivatives(&self) -> &Derivatives<Op> {
        &self.derivatives
    }

    /// What operations are evaluated in: a device, a pool of buffers, a counter.
    pub fn context(&self) -> &Op::Context {
        &self.ctx
    }

    /// [`context`](Self::context), to change it.
    pub fn context_mut(&mut self) -> &mut Op::Context {
        &mut self.ctx
    }

    /// A value to differentiate by.
    pub fn leaf(&mut self, value: Op::Operand) -> Var<Op> {
        let index = self.storage.push_leaf();
        if self.storage.keeps_structure {
            let value = Argument::Constant(value.clone());
            self.storage.arguments.push(value);
        }
        Var {
            value,
            place: self.places.place(index),
        }
    }

    /// A constant that counts as computed on this tape: going backward from it finds no gradient, where from
    /// a [`Var::constant`], or a value that was cut off, it is an error.
    ///
    /// Recorded gradients that depend on nothing are of this kind, and so is what is computed of such
    /// constants alone. So a loop over orders may go on past the last that a polynomial has.
    ///
    /// ```
    /// # use tidu_eager::{Tape, Var};
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// let x = tape.leaf(3.0);
    /// let mut y = tape.apply_one(ScalarOp::Mul, &[&x, &x])?;
    /// let mut orders = Vec::new();
    /// for _ in 0..4 {
    ///     let slope = tape.backward_recorded(&[(&y, Var::constant(1.0))], &[&x])?.remove(0);
    ///     y = slope.unwrap_or_else(|| tape.constant(0.0));
    ///     orders.push(*y.value());
    /// }
    /// assert_eq!(orders, [6.0, 2.0, 0.0, 0.0]);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn constant(&self, value: Op::Operand) -> Var<Op> {
        Var {
            value,
            place: self.places.constant(),
        }
    }

    /// The results of an operation.
    ///
    /// # Errors
    ///
    /// [`EagerError::WrongValueCount`] for the wrong number of operands, or of results from `eval`;
    /// [`EagerError::Failed`] for an operation that cannot be evaluated; [`EagerError::ForeignVar`] and
    /// [`EagerError::StaleVar`] for an operand of another tape, or one whose place is gone;
    /// [`EagerError::Derive`] for an operation whose rules fail; [`EagerError::Anomaly`]. Nothing is then
    /// recorded, and the tape goes on.
    #[track_caller]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "an operation is made for the call"
    )]
    pub fn apply(
        &mut self,
        operation: Op,
        operands: &[&Var<Op>],
    ) -> Result<Vec<Var<Op>>, EagerError> {
        self.apply_at(&operation, operands, Location::caller())
    }

    /// The result of an operation that has one.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply); [`EagerError::NotOneResult`] for an operation that does not have one
    /// result.
    #[track_caller]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "an operation is made for the call"
    )]
    pub fn apply_one(
        &mut self,
        operation: Op,
        operands: &[&Var<Op>],
    ) -> Result<Var<Op>, EagerError> {
        let index = self.run(&operation, operands, true, Location::caller())?;
        let value = self
            .results
            .pop()
            .expect("the number of results was checked");
        let place = match index {
            CONSTANT => self.constant_place(operands),
            index => self.places.place(index),
        };
        Ok(Var { value, place })
    }

    /// The results of a function, recorded as one call. What it computes inside is not kept but for its
    /// residuals. Going backward uses the VJP of a function with rules of its own ([`tidu_ad::Rules`]), going
    /// forward its JVP, also where such a function is called inside.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply).
    #[doc(alias = "apply_graph")]
    #[track_caller]
    pub fn apply_function(
        &mut self,
        function: &Function<Op>,
        operands: &[&Var<Op>],
    ) -> Result<Vec<Var<Op>>, EagerError> {
        self.call(function, operands, false)
    }

    /// [`apply_function`](Self::apply_function), with residuals computed again going backward: only the
    /// operands are kept.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply).
    #[track_caller]
    pub fn checkpoint_function(
        &mut self,
        function: &Function<Op>,
        operands: &[&Var<Op>],
    ) -> Result<Vec<Var<Op>>, EagerError> {
        self.call(function, operands, true)
    }

    /// Runs `body` without recording: what it computes are constants.
    pub fn no_grad<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        let paused = std::mem::replace(&mut self.paused, true);
        // Also if it panics: a tape that went on without recording would give no gradients.
        let result = catch_unwind(AssertUnwindSafe(|| body(self)));
        self.paused = paused;
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Switches recording on or off, and says whether it was on. Where a closure will do,
    /// [`no_grad`](Self::no_grad) cannot be left switched off by mistake.
    pub fn set_recording(&mut self, on: bool) -> bool {
        !std::mem::replace(&mut self.paused, !on)
    }

    /// [`apply`](Self::apply), as of a place in the user's program.
    fn apply_at(
        &mut self,
        operation: &Op,
        operands: &[&Var<Op>],
        location: &'static Location<'static>,
    ) -> Result<Vec<Var<Op>>, EagerError> {
        let first = self.run(operation, operands, false, location)?;
        Ok(self.take_results(first, usize::MAX, operands))
    }

    /// Computes the results of an operation into `results` and returns the index of the first, or
    /// [`CONSTANT`]. With `single`, one result is expected.
    #[inline]
    fn run(
        &mut self,
        operation: &Op,
        operands: &[&Var<Op>],
        single: bool,
        location: &'static Location<'static>,
    ) -> Result<u32, EagerError> {
        let Some((signature, any_active)) = self.signature(operands) else {
            return Err(self.operand_fault(operation, operands));
        };
        if !any_active || self.paused {
            return self.run_constant(operation, operands, single, location);
        }
        let known = match self.guess(operation, signature, operands) {
            Some(known) => known,
            None => match self.look_up(operation, signature, operands, location)? {
                Some(known) => known,
                None => return self.run_constant(operation, operands, single, location),
            },
        };
        self.last = known;
        let known = &self.known[known];
        let applied = known.extended.as_ref().unwrap_or(operation);
        evaluate(
            applied,
            operands,
            location,
            &mut self.ctx,
            &mut self.results,
        )?;
        let found = self.results.len();
        if found != known.outputs as usize || (single && known.visible != 1) {
            return Err(self.result_fault(applied, single.then_some(operation)));
        }
        if self.watch.is_some() {
            self.check_results(|| operation_label(applied), found, location)?;
        }
        let results = &self.results;
        let storage = &mut self.storage;
        let first = storage.push_call(
            known.template,
            known.outputs,
            &known.residuals,
            operands,
            results,
        );
        if known.visible != known.outputs {
            self.results.truncate(known.visible as usize);
        }
        self.annotate(operands, location);
        Ok(first)
    }

    /// [`run`](Self::run) without recording.
    fn run_constant(
        &mut self,
        operation: &Op,
        operands: &[&Var<Op>],
        single: bool,
        location: &'static Location<'static>,
    ) -> Result<u32, EagerError> {
        self.touched |= operands.iter().any(|operand| operand.requires_grad());
        self.check_arity(operation, operands)?;
        let outputs = operation.output_count();
        if single && outputs != 1 {
            return Err(not_one_result(operation, outputs));
        }
        evaluate(
            operation,
            operands,
            location,
            &mut self.ctx,
            &mut self.results,
        )?;
        self.check_results(|| operation_label(operation), outputs, location)?;
        Ok(CONSTANT)
    }

    /// Which operands are active, and whether any is; `None` if one is no variable of this tape.
    #[inline]
    fn signature(&self, operands: &[&Var<Op>]) -> Option<(Signature, bool)> {
        let mut signature = 1;
        let mut any_active = false;
        for operand in operands {
            let active = operand.requires_grad();
            if active && self.places.check(operand.place).is_err() {
                return None;
            }
            any_active |= active;
            signature = signature << 1 | Signature::from(active);
        }
        let fits = operands.len() < Signature::BITS as usize;
        Some((if fits { signature } else { 0 }, any_active))
    }

    /// Where in `known` an operation is, if it came after the last one before.
    #[inline]
    fn guess(&self, operation: &Op, signature: Signature, operands: &[&Var<Op>]) -> Option<usize> {
        let last = self.known.get(self.last)?;
        let mut guesses = last.next.into_iter();
        guesses.find(|&guess| self.is_known(guess, operation, signature, operands))
    }

    #[inline(always)]
    fn is_known(
        &self,
        at: usize,
        operation: &Op,
        signature: Signature,
        operands: &[&Var<Op>],
    ) -> bool {
        let known = &self.known[at];
        known.signature == signature
            && known.operation == *operation
            && are_of_types::<Op>(
                values_of(operands),
                &self.templates[known.template as usize].types,
            )
            && (signature != 0 || {
                let active = operands.iter().map(|operand| operand.requires_grad());
                let template = &self.templates[known.template as usize];
                template.active.iter().copied().eq(active)
            })
    }

    /// Where in `known` an operation is, derived if it is not there; `None` for one that has no results.
    /// Such a call is not recorded: nothing flows back through it, and marks before and after it could
    /// not be told apart.
    fn look_up(
        &mut self,
        operation: &Op,
        signature: Signature,
        operands: &[&Var<Op>],
        location: &'static Location<'static>,
    ) -> Result<Option<usize>, EagerError> {
        let is_this = |at: &usize| self.is_known(*at, operation, signature, operands);
        // Hashing an operation takes longer than comparing it with a few.
        let found = (0..self.known.len().min(16)).find(is_this).or_else(|| {
            let wanted = (operation.clone(), types_of::<Op>(values_of(operands)));
            let known = self.by_operation.get(&wanted).into_iter().flatten();
            known.map(|&at| at as usize).find(is_this)
        });
        let at = match found {
            Some(at) => at,
            None => {
                self.check_arity(operation, operands)?;
                if operation.output_count() == 0 {
                    return Ok(None);
                }
                self.learn(operation, signature, operands, location)?
            }
        };
        if let Some(last) = self.known.get_mut(self.last) {
            last.next = [at, last.next[0]];
        }
        Ok(Some(at))
    }

    /// Derives an operation with some operands active.
    fn learn(
        &mut self,
        operation: &Op,
        signature: Signature,
        operands: &[&Var<Op>],
        location: &'static Location<'static>,
    ) -> Result<usize, EagerError> {
        let active = operands.iter().map(|operand| operand.requires_grad());
        let active: Flags = active.collect();
        let types = types_of::<Op>(values_of(operands));
        let key = (operation.clone(), types.clone());
        let deriver = Deriver {
            derivatives: &self.derivatives,
            name: &self.name,
            ctx: &mut self.ad_ctx,
        };
        let extended = checked_with_residuals(operation, &active);
        let extended = extended.map_err(|source| {
            cannot_derive(operation_label(operation), Some(location), source.into())
        })?;
        let visible = operation.output_count();
        let applied = extended.as_ref().unwrap_or(operation);
        let template = Template::of_operation(applied, visible, active, types, location, deriver)?;
        let at = self.known.len();
        self.by_operation.entry(key).or_default().push(at as u32);
        self.known.push(Known {
            operation: operation.clone(),
            extended,
            signature,
            template: self.templates.len() as u32,
            outputs: template.outputs,
            visible: template.visible,
            residuals: template.residuals.as_slice().into(),
            next: [at; 2],
        });
        self.add_template(template);
        Ok(at)
    }

    /// Adds to a call that was just recorded what a tape may be asked to remember besides.
    #[inline]
    fn annotate(&mut self, operands: &[&Var<Op>], location: &'static Location<'static>) {
        if self.storage.keeps_structure {
            self.storage.push_arguments(operands);
        }
        if self.watch.as_ref().is_some_and(|watch| !watch.quiet) {
            self.storage.locate(location);
        }
    }

    fn check_arity(&self, operation: &Op, operands: &[&Var<Op>]) -> Result<(), EagerError> {
        let (expected, found) = (operation.input_count(), operands.len());
        check_count(|| operation_label(operation), Side::Inputs, expected, found)
    }

    /// Why an operation cannot be applied to these operands.
    #[cold]
    fn operand_fault(&self, operation: &Op, operands: &[&Var<Op>]) -> EagerError {
        let checked = self.check_arity(operation, operands);
        let checked =
            checked.and_then(|()| self.check_places(|| operation_label(operation), operands));
        checked.expect_err("an operand was found to be no variable of this tape")
    }

    /// What is wrong with the number of results.
    #[cold]
    fn result_fault(&self, applied: &Op, single: Option<&Op>) -> EagerError {
        match single {
            Some(operation) if operation.output_count() != 1 => {
                not_one_result(operation, operation.output_count())
            }
            _ => wrong_results(applied, applied.output_count(), self.results.len()),
        }
    }

    #[track_caller]
    fn call(
        &mut self,
        function: &Function<Op>,
        operands: &[&Var<Op>],
        recomputes: bool,
    ) -> Result<Vec<Var<Op>>, EagerError> {
        let graph = function.as_dense();
        let describe = || describe_function(function);
        check_count(describe, Side::Inputs, graph.input_count(), operands.len())?;
        self.check_places(describe, operands)?;
        let any_active = operands.iter().any(|operand| operand.requires_grad());
        let values: Vec<&Op::Operand> = operands.iter().map(|var| &var.value).collect();
        let location = Location::caller();
        let cannot_run = |source| EagerError::Failed {
            operation: describe(),
            derivative_of: None,
            location: Some(location),
            source: RuntimeError::new(source),
        };
        if !any_active || self.paused || graph.outputs().is_empty() {
            self.touched |= any_active;
            let results = function.compile().call_in(&mut self.ctx, &values);
            self.results = results.map_err(cannot_run)?;
            self.check_results(describe, graph.outputs().len(), location)?;
            return Ok(self.take_results(CONSTANT, usize::MAX, operands));
        }
        let template = self.function_template(function, operands, recomputes, location)?;
        let known = &self.templates[template as usize];
        let (outputs, visible) = (known.outputs as usize, known.visible as usize);
        let Callee::Function(call) = &known.callee else {
            unreachable!("the template of a function");
        };
        let results = call.program.call_in(&mut self.ctx, &values);
        self.results = results.map_err(cannot_run)?;
        self.check_results(describe, outputs, location)?;
        let known = &self.templates[template as usize];
        let first = self.storage.push_call(
            template,
            known.outputs,
            &known.residuals,
            operands,
            &self.results,
        );
        self.annotate(operands, location);
        Ok(self.take_results(first, visible, operands))
    }

    /// Fails for an operand that is no variable of this tape.
    fn check_places(
        &self,
        describe: impl Fn() -> String,
        operands: &[&Var<Op>],
    ) -> Result<(), EagerError> {
        for (position, operand) in operands.iter().enumerate() {
            if operand.requires_grad()
                && let Err(fault) = self.places.check(operand.place)
            {
                return Err(fault.of(format!(
                    "operand {position} (counted from 0) of {}",
                    describe()
                )));
            }
        }
        Ok(())
    }

    fn check_results(
        &self,
        describe: impl Fn() -> String,
        expected: usize,
        location: &'static Location<'static>,
    ) -> Result<(), EagerError> {
        check_count(&describe, Side::Outputs, expected, self.results.len())?;
        if let Some(watch) = &self.watch
            && !watch.quiet
        {
            for (slot, result) in self.results.iter().enumerate() {
                let what = || format!("result {slot}");
                watch.check(result, what, &describe, Some(location))?;
            }
        }
        Ok(())
    }

    fn take_results(&mut self, first: u32, count: usize, operands: &[&Var<Op>]) -> Vec<Var<Op>> {
        let constant = match first {
            CONSTANT => self.constant_place(operands),
            _ => Place::NONE,
        };
        let places = &self.places;
        let results = self.results.drain(..).take(count).enumerate();
        let results = results.map(|(at, value)| Var {
            value,
            place: match first {
                CONSTANT => constant,
                first => places.place(first + at as u32),
            },
        });
        results.collect()
    }

    /// The place of a constant that is computed of `operands`: one of the tape's own, if one of them is.
    fn constant_place(&self, operands: &[&Var<Op>]) -> Place {
        let mut operands = operands.iter();
        let is_own = !self.paused && operands.any(|var| self.places.is_own_constant(var.place));
        if is_own {
            self.places.constant()
        } else {
            Place::NONE
        }
    }

    fn function_template(
        &mut self,
        function: &Function<Op>,
        operands: &[&Var<Op>],
        recomputes: bool,
        location: &'static Location<'static>,
    ) -> Result<u32, EagerError> {
        let active: Flags = operands
            .iter()
            .map(|operand| operand.requires_grad())
            .collect();
        let is_this = |at: &&u32| {
            let template = &self.templates[**at as usize];
            matches!(&template.callee, Callee::Function(call)
                if call.recomputes == recomputes && call.function.is_clone_of(function))
                && template.active == active
                && are_of_types::<Op>(values_of(operands), &template.types)
        };
        let address = address_of(function);
        let known = self.by_function.get(&address).into_iter().flatten();
        if let Some(known) = known.into_iter().find(is_this) {
            return Ok(*known);
        }
        let ctx = &mut self.ad_ctx;
        let types = types_of::<Op>(values_of(operands));
        let template = Template::of_function(function, active, types, recomputes, location, ctx)?;
        let at = self.add_template(template);
        self.by_function.entry(address).or_default().push(at);
        Ok(at)
    }

    /// Forgets what was derived, once functions have come and gone by the hundred. The tape must be empty.
    fn forget_functions(&mut self) {
        const MANY: usize = 256;
        if self.by_function.len() > MANY {
            self.templates = Templates::default();
            self.by_function.clear();
            self.known.clear();
            self.by_operation.clear();
            self.last = 0;
        }
    }

    /// Adds to what is derived of an operation.
    fn derive_more(
        &mut self,
        template: usize,
        derive: impl FnOnce(&mut Template<Op>, Deriver<'_, Op>) -> Result<usize, EagerError>,
    ) -> Result<usize, EagerError> {
        let templates = Arc::make_mut(&mut self.templates);
        let deriver = Deriver {
            derivatives: &self.derivatives,
            name: &self.name,
            ctx: &mut self.ad_ctx,
        };
        derive(Arc::make_mut(&mut templates[template]), deriver)
    }

    fn add_template(&mut self, template: Template<Op>) -> u32 {
        let templates = Arc::make_mut(&mut self.templates);
        templates.push(Arc::new(template));
        templates.len() as u32 - 1
    }
}

impl<Op: GraphOperation> Var<Op> {
    /// A value that no gradient flows to.
    pub fn constant(value: Op::Operand) -> Self {
        Self {
            value,
            place: Place::NONE,
        }
    }

    /// The value.
    pub fn value(&self) -> &Op::Operand {
        &self.value
    }

    /// Whether a gradient can flow to the value.
    pub fn requires_grad(&self) -> bool {
        self.place.index != CONSTANT
    }

    fn index(&self) -> u32 {
        self.place.index
    }

    /// The same value as a constant.
    pub fn detach(&self) -> Self {
        Self::constant(self.value.clone())
    }
}

impl Place {
    const NONE: Self = Self {
        index: CONSTANT,
        tape: 0,
        epoch: 0,
    };
}

/// Computes the results of an operation into a list.
#[inline(always)]
fn evaluate<Op: EvaluableGraphOperation>(
    operation: &Op,
    operands: &[&Var<Op>],
    location: &'static Location<'static>,
    ctx: &mut Op::Context,
    results: &mut Vec<Op::Operand>,
) -> Result<(), EagerError> {
    results.clear();
    // The usual numbers of operands need no list.
    let evaluated = match *operands {
        [x] => operation.try_eval_into(ctx, &[&x.value], results),
        [x, y] => operation.try_eval_into(ctx, &[&x.value, &y.value], results),
        _ => {
            let values: Vec<&Op::Operand> = values_of(operands).collect();
            operation.try_eval_into(ctx, &values, results)
        }
    };
    evaluated.map_err(|source| failed(operation, Some(location), source))
}

fn values_of<'a, Op: GraphOperation>(
    operands: &'a [&Var<Op>],
) -> impl Iterator<Item = &'a Op::Operand> {
    operands.iter().map(|var| &var.value)
}

fn not_one_result<Op: GraphOperation>(operation: &Op, results: usize) -> EagerError {
    let operation = operation_label(operation);
    EagerError::NotOneResult { operation, results }
}

/// A function, as errors name it.
fn describe_function<Op: Primitive>(function: &Function<Op>) -> String {
    format!("a function of {}", name_list(&function.input_names()))
}

/// What functions are looked up by: clones share what they compute.
fn address_of<Op: Primitive>(function: &Function<Op>) -> usize {
    std::ptr::from_ref(function.as_dense()).addr()
}

impl<Op: GraphOperation> Clone for Var<Op> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            place: self.place,
        }
    }
}

impl<Op: GraphOperation<Operand: Copy>> Copy for Var<Op> {}

impl<Op: GraphOperation<Operand: Debug>> Debug for Var<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Var")
            .field("value", &self.value)
            .field("requires_grad", &self.requires_grad())
            .finish()
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Debug for Tape<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("calls", &self.storage.nodes.len())
            .field("residuals", &self.storage.residuals.len())
            .finish_non_exhaustive()
    }
}
