//! A tape: runs operations as it records them, and goes backward through what it recorded.

mod backward;
mod engine;
mod forward;
mod life;
mod segment;
mod storage;
mod structure;
mod template;
mod watch;

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;

use smallvec::SmallVec;
use tidu_ad::{Function, Primitive};
use tidu_graph::{EvaluableGraphOperation, GraphOperation, describe_operation};

pub use forward::Dual;
pub use life::Mark;

use self::forward::Jvp;
use self::life::Life;
use self::storage::Storage;
use self::structure::Argument;
use self::template::{Callee, Flags, Residual, Template};
use self::watch::{Hook, Watch};
use crate::Side;
use crate::error::{EagerError, wrong_count};
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
/// # use tidu_eager::KeySource;
/// use tidu_eager::Tape;
/// use tidu_scalar::{ScalarKey, ScalarOp};
///
/// # struct Names(u64);
/// # impl KeySource<ScalarOp> for Names {
/// #     fn fresh_input_key(&mut self) -> ScalarKey {
/// #         self.0 += 1;
/// #         ScalarKey::fresh(self.0)
/// #     }
/// # }
/// let mut tape: Tape<ScalarOp> = Tape::new(Names(0));
/// let x = tape.leaf(2.0);
/// let y = tape.leaf(0.0);
/// let exp_y = tape.apply_one(ScalarOp::Exp, &[&y])?;
/// let f = tape.apply_one(ScalarOp::Mul, &[&x, &exp_y])?;
/// assert_eq!(*f.value(), 2.0);
/// assert_eq!(tape.backward(&[(&f, 1.0)], &[&x, &y])?, [Some(1.0), Some(2.0)]);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub struct Tape<Op: Primitive + EvaluableGraphOperation> {
    life: Life,
    storage: Storage<Op>,
    templates: Vec<Arc<Template<Op>>>,
    /// The templates of each operation, for what is not among those used last.
    by_operation: HashMap<Op, SmallVec<[u32; 2]>>,
    /// The templates that were used last, the latest first.
    recent: Vec<u32>,
    jvps: Vec<Arc<Jvp<Op>>>,
    /// What inputs of derived functions are named after.
    name: Op::InputKey,
    paused: bool,
    /// Whether the body of a segment is running.
    in_segment: bool,
    watch: Option<Watch<Op>>,
    /// By index of a value, ascending.
    hooks: Vec<(u32, Hook<Op>)>,
    ctx: Op::Context,
    ad_ctx: Op::ADContext,
    /// Where operations put their results.
    results: Vec<Op::Operand>,
}

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
    tape: u32,
    epoch: u32,
}

const CONSTANT: u32 = u32::MAX;

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// An empty tape, with contexts of its own.
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
            life: Life::new(),
            storage: Storage::new(0),
            templates: Vec::new(),
            by_operation: HashMap::new(),
            recent: Vec::new(),
            jvps: Vec::new(),
            name: keys.fresh_input_key(),
            paused: false,
            in_segment: false,
            watch: None,
            hooks: Vec::new(),
            ctx,
            ad_ctx,
            results: Vec::new(),
        }
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
            place: self.life.place(index),
        }
    }

    /// The results of an operation.
    ///
    /// # Errors
    ///
    /// [`EagerError::WrongValueCount`] for the wrong number of operands, or of results from `eval`;
    /// [`EagerError::ForeignVar`] and [`EagerError::StaleVar`] for an operand of another tape, or one
    /// whose place is gone; [`EagerError::Derive`] for an operation whose rules fail;
    /// [`EagerError::Anomaly`]. Nothing is then recorded, and the tape goes on.
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
        let first = self.run(&operation, operands)?;
        Ok(self.take_results(first, usize::MAX))
    }

    /// The result of an operation that has one.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply); [`EagerError::WrongValueCount`] for an operation that does not have
    /// one result.
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
        let outputs = operation.output_count();
        if outputs != 1 {
            let operation = describe_operation(&operation);
            return Err(wrong_count(operation, Side::Outputs, 1, outputs));
        }
        let index = self.run(&operation, operands)?;
        let value = self
            .results
            .pop()
            .expect("the number of results was checked");
        let place = match index {
            CONSTANT => Place::NONE,
            index => self.life.place(index),
        };
        Ok(Var { value, place })
    }

    /// The results of a function, recorded as one call. What it computes inside is not kept but for its
    /// residuals.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply).
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

    /// Computes the results of an operation into `results` and returns the index of the first, or
    /// [`CONSTANT`].
    #[track_caller]
    fn run(&mut self, operation: &Op, operands: &[&Var<Op>]) -> Result<u32, EagerError> {
        let describe = || describe_operation(operation);
        let records = self.check_operands(
            describe,
            operation.input_count(),
            operands,
            operation.output_count(),
        )?;
        let template = match records {
            true => Some(self.template(operation, operands)?),
            false => None,
        };
        self.results.clear();
        // The usual numbers of operands need no list.
        match *operands {
            [x] => operation.eval_into(&mut self.ctx, &[&x.value], &mut self.results),
            [x, y] => {
                operation.eval_into(&mut self.ctx, &[&x.value, &y.value], &mut self.results);
            }
            _ => {
                let values: Vec<&Op::Operand> = operands.iter().map(|var| &var.value).collect();
                operation.eval_into(&mut self.ctx, &values, &mut self.results);
            }
        }
        self.check_results(describe, operation.output_count())?;
        match template {
            None => Ok(CONSTANT),
            Some(template) => Ok(self.record(template, operands)),
        }
    }

    #[track_caller]
    fn call(
        &mut self,
        function: &Function<Op>,
        operands: &[&Var<Op>],
        recomputes: bool,
    ) -> Result<Vec<Var<Op>>, EagerError> {
        let graph = function.as_graph();
        let describe = || "a function".to_owned();
        let records = self.check_operands(
            describe,
            graph.inputs().len(),
            operands,
            graph.outputs().len(),
        )?;
        let values: Vec<&Op::Operand> = operands.iter().map(|var| &var.value).collect();
        let cannot_run = |source| EagerError::Derive {
            operation: describe(),
            source: Box::new(source),
        };
        if !records {
            let results = function.compile().call_in(&mut self.ctx, &values);
            self.results = results.map_err(cannot_run)?;
            self.check_results(describe, graph.outputs().len())?;
            return Ok(self.take_results(CONSTANT, usize::MAX));
        }
        let template = self.function_template(function, operands, recomputes)?;
        let known = &self.templates[template as usize];
        let (outputs, visible) = (known.outputs as usize, known.visible as usize);
        let Callee::Function(call) = &known.callee else {
            unreachable!("the template of a function");
        };
        let results = call.program.call_in(&mut self.ctx, &values);
        self.results = results.map_err(cannot_run)?;
        self.check_results(describe, outputs)?;
        let first = self.record(template, operands);
        Ok(self.take_results(first, visible))
    }

    /// Whether the call is to be recorded. One without results is not: nothing flows back through it,
    /// and marks before and after it could not be told apart.
    #[inline]
    fn check_operands(
        &self,
        describe: impl Fn() -> String,
        expected: usize,
        operands: &[&Var<Op>],
        results: usize,
    ) -> Result<bool, EagerError> {
        if operands.len() != expected {
            let found = operands.len();
            return Err(wrong_count(describe(), Side::Inputs, expected, found));
        }
        let mut any_active = false;
        for (position, operand) in operands.iter().enumerate() {
            if operand.requires_grad() {
                any_active = true;
                if let Err(fault) = self.life.check(operand.place) {
                    return Err(fault.of(format!("operand {position} of {}", describe())));
                }
            }
        }
        Ok(any_active && !self.paused && results > 0)
    }

    #[inline]
    #[track_caller]
    fn check_results(
        &self,
        describe: impl Fn() -> String,
        expected: usize,
    ) -> Result<(), EagerError> {
        let found = self.results.len();
        if found != expected {
            return Err(wrong_count(describe(), Side::Outputs, expected, found));
        }
        if let Some(watch) = &self.watch
            && !watch.quiet
        {
            watch.check_results(&self.results, describe, Location::caller())?;
        }
        Ok(())
    }

    /// Adds a call whose results are in `results`, and returns the index of the first.
    #[inline]
    #[track_caller]
    fn record(&mut self, template: u32, operands: &[&Var<Op>]) -> u32 {
        let known = &self.templates[template as usize];
        for (operand, active) in operands.iter().zip(&known.active) {
            if *active {
                self.storage.operands.push(operand.place.index);
            }
        }
        for residual in &known.residuals {
            let value = match residual {
                Residual::Operand(at) => &operands[*at as usize].value,
                Residual::Output(at) => &self.results[*at as usize],
            };
            self.storage.residuals.push(Some(value.clone()));
        }
        if self.storage.keeps_structure {
            let arguments = operands
                .iter()
                .map(|operand| match operand.requires_grad() {
                    true => Argument::Value(operand.index()),
                    false => Argument::Constant(operand.value.clone()),
                });
            self.storage.arguments.extend(arguments);
        }
        let first = self.storage.push_node(template, known.outputs);
        if self.watch.as_ref().is_some_and(|watch| !watch.quiet) {
            self.storage.locate(Location::caller());
        }
        first
    }

    fn take_results(&mut self, first: u32, count: usize) -> Vec<Var<Op>> {
        let life = &self.life;
        let results = self.results.drain(..).take(count).enumerate();
        let results = results.map(|(at, value)| Var {
            value,
            place: match first {
                CONSTANT => Place::NONE,
                first => life.place(first + at as u32),
            },
        });
        results.collect()
    }

    /// The template of an operation with those operands active that have a place.
    #[inline]
    fn template(&mut self, operation: &Op, operands: &[&Var<Op>]) -> Result<u32, EagerError> {
        let is_this = |template: &Template<Op>| {
            let active = operands.iter().map(|operand| operand.requires_grad());
            matches!(&template.callee, Callee::Operation(known) if known == operation)
                && template.active.iter().copied().eq(active)
        };
        let mut recent = self.recent.iter();
        if let Some(age) = recent.position(|&known| is_this(&self.templates[known as usize])) {
            let known = self.recent[age];
            if age > 3 {
                self.recent[..=age].rotate_right(1);
            }
            return Ok(known);
        }
        let known = self.by_operation.get(operation).into_iter().flatten();
        let mut known = known.copied();
        let known = match known.find(|&known| is_this(&self.templates[known as usize])) {
            Some(known) => known,
            None => {
                let active = operands.iter().map(|operand| operand.requires_grad());
                let (name, ctx) = (&self.name, &mut self.ad_ctx);
                let template = Template::of_operation(operation, active.collect(), name, ctx)?;
                let known = self.add_template(template);
                let of_operation = self.by_operation.entry(operation.clone());
                of_operation.or_default().push(known);
                known
            }
        };
        self.recent.truncate(15);
        self.recent.insert(0, known);
        Ok(known)
    }

    fn function_template(
        &mut self,
        function: &Function<Op>,
        operands: &[&Var<Op>],
        recomputes: bool,
    ) -> Result<u32, EagerError> {
        let active: Flags = operands
            .iter()
            .map(|operand| operand.requires_grad())
            .collect();
        let known = self.templates.iter().position(|template| {
            matches!(&template.callee, Callee::Function(call)
                if call.recomputes == recomputes && call.function.is_clone_of(function))
                && template.active == active
        });
        match known {
            Some(known) => Ok(known as u32),
            None => {
                let ctx = &mut self.ad_ctx;
                let template = Template::of_function(function, active, recomputes, ctx)?;
                Ok(self.add_template(template))
            }
        }
    }

    fn add_template(&mut self, template: Template<Op>) -> u32 {
        self.templates.push(Arc::new(template));
        self.templates.len() as u32 - 1
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

/// A value, while a derivative runs.
#[inline]
fn find<'a, T>(
    place: template::Place,
    kept: &'a [T],
    seeds: &'a [Option<T>],
    computed: &'a [T],
) -> &'a T {
    match place {
        template::Place::Residual(at) => &kept[at as usize],
        template::Place::Seed(at) => {
            let seed = seeds[at as usize].as_ref();
            seed.expect("a derivative uses the seeds that it was derived for")
        }
        template::Place::Computed(at) => &computed[at as usize],
    }
}

impl<Op: GraphOperation> Clone for Var<Op> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            place: self.place,
        }
    }
}

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
