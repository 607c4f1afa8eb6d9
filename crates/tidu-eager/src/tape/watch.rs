//! Looking in: gradients as they are found, and values that are not what they should be.

use std::panic::Location;

use tidu_ad::Primitive;
use tidu_graph::EvaluableGraphOperation;

use super::segment::Inside;
use super::{Tape, Var};
use crate::error::EagerError;

/// What a tape keeps of a hook until it is called: it must be fit for any thread, and hold on to nothing that may be
/// gone by then. Whatever can be, is.
#[diagnostic::on_unimplemented(
    message = "this hook is called on the way back, and cannot hold on to what it captures",
    label = "captures a variable with operators (`scalar::Var`), a `Tape`, an `Rc` or a `&Cell`",
    note = "the gradient is what it is given, to compute with by `hook_recorded`; numbers may be captured: write \
            `move |…|`, and `let x = x.value();` before it",
    note = "what it finds goes out by an `Arc<Mutex<…>>` or a channel"
)]
pub trait HeldByTape: Send + 'static {}

// Without this, what is said is which part of what is captured is not `Send`.
#[diagnostic::do_not_recommend]
impl<T: Send + 'static> HeldByTape for T {}

/// What is told of the gradient by a value.
pub(super) struct Hooked<Op: Primitive + EvaluableGraphOperation> {
    /// The index of the value.
    pub value: u32,
    /// Where it was added.
    location: &'static Location<'static>,
    /// `None` while it runs.
    hook: Option<Hook<Op>>,
}

/// What it returns, if anything, takes the place of what it is told.
pub(super) enum Hook<Op: Primitive + EvaluableGraphOperation> {
    OfOperands(Box<HookOfOperands<Op>>),
    OfVariables(Box<HookOfVariables<Op>>),
}

type HookOfOperands<Op> = dyn FnMut(&Operand<Op>) -> Option<Operand<Op>> + Send;

pub(super) type HookOfVariables<Op> =
    dyn FnMut(&mut Tape<Op>, &Var<Op>) -> Result<Option<Var<Op>>, EagerError> + Send;

type Operand<Op> = <Op as tidu_graph::GraphOperation>::Operand;

/// Says what is wrong with a value, if anything is.
type Judge<Op> = Box<dyn Fn(&Operand<Op>) -> Option<String> + Send>;

/// What a tape stops at.
pub(super) struct Watch<Op: Primitive> {
    judge: Judge<Op>,
    /// While going backward records, it is `check_cotangent` that looks: it knows what for.
    pub quiet: bool,
}

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// Stops at the first operation, forward or backward, that makes a value with which something is
    /// wrong: `judge` says what. The error names the operation, where it was applied, and, going
    /// backward, what it is the derivative of.
    ///
    /// Costs a call for each value, and eight bytes for each call from here on.
    ///
    /// ```
    /// # use tidu_eager::{EagerError, Tape};
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// tape.watch(|x| (!x.is_finite()).then(|| x.to_string()));
    /// let x = tape.leaf(-1.0);
    /// let error = tape.apply_one(ScalarOp::Ln, &[&x]).unwrap_err();
    /// assert!(matches!(error, EagerError::Anomaly { location: Some(_), .. }));
    /// ```
    pub fn watch(&mut self, judge: impl Fn(&Op::Operand) -> Option<String> + Send + 'static) {
        self.watch = Some(Watch {
            judge: Box::new(judge),
            quiet: false,
        });
    }

    /// Ends [`watch`](Self::watch).
    pub fn unwatch(&mut self) {
        self.watch = None;
    }

    /// Has `hook` called with the gradient by a variable whenever going backward has found it; what it
    /// returns, if anything, takes its place. Hooks of one variable are called in the order in which they
    /// were added, in every pass backward: also in one through the gradients that an earlier one recorded.
    ///
    /// How a gradient that takes another's place depends on it, nobody knows. A recorded gradient
    /// ([`backward_recorded`](Self::backward_recorded)) that depends on variables can therefore be replaced
    /// and used, but not be differentiated any further: going backward or forward through it is
    /// [`EagerError::ReplacedGradient`]. One that is replaced by itself, to the last bit, stays what it is,
    /// where operands can be held by operations ([`EvaluableGraphOperation::constant_of`]); so clipping, where
    /// it does not clip, changes no derivative. [`hook_recorded`](Self::hook_recorded) has no such limit.
    ///
    /// In the body of a segment ([`checkpoint`](Self::checkpoint)), hooks on what it computes are added
    /// whenever it runs again on the way back, and hooks on variables from outside once.
    ///
    /// # Errors
    ///
    /// [`EagerError::ConstantVar`], [`EagerError::ForeignVar`], [`EagerError::StaleVar`].
    #[track_caller]
    pub fn hook(
        &mut self,
        var: &Var<Op>,
        hook: impl FnMut(&Op::Operand) -> Option<Op::Operand> + HeldByTape,
    ) -> Result<(), EagerError> {
        self.add_hook(var, Hook::OfOperands(Box::new(hook)))
    }

    /// [`hook`](Self::hook), with the gradient as a variable, and the tape to compute with what takes its
    /// place. Where gradients are recorded, so is that, and it is differentiated like everything else: the
    /// hook is a part of the gradient. (PyTorch: a hook, with `create_graph`.)
    ///
    /// Where they are not, the variable is a constant and nothing is recorded. A hook can neither go
    /// backward nor cut the tape back.
    ///
    /// # Errors
    ///
    /// As for [`hook`](Self::hook).
    ///
    /// # Example
    ///
    /// y² with the gradient by y = x² doubled: 2·2y·2x = 8x³ by x. The hook acts again when one goes back
    /// through that, and so it is 8·x² + 2·16·x² the second time.
    ///
    /// ```
    /// # use tidu_eager::{Tape, Var};
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// let x = tape.leaf(3.0);
    /// let y = tape.apply_one(ScalarOp::Mul, &[&x, &x])?;
    /// tape.hook_recorded(&y, |tape, gradient| {
    ///     tape.apply_one(ScalarOp::Add, &[gradient, gradient]).map(Some)
    /// })?;
    /// let z = tape.apply_one(ScalarOp::Mul, &[&y, &y])?;
    /// let slope = tape.backward_recorded(&[(&z, Var::constant(1.0))], &[&x])?.remove(0).unwrap();
    /// assert_eq!(*slope.value(), 216.0);
    /// assert_eq!(tape.backward(&[(&slope, 1.0)], &[&x])?, [Some(360.0)]);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    #[track_caller]
    pub fn hook_recorded(
        &mut self,
        var: &Var<Op>,
        hook: impl FnMut(&mut Self, &Var<Op>) -> Result<Option<Var<Op>>, EagerError> + HeldByTape,
    ) -> Result<(), EagerError> {
        self.add_hook(var, Hook::OfVariables(Box::new(hook)))
    }

    /// Whether results of operations are looked at, and where they are applied is noted.
    pub(super) fn set_quiet(&mut self, quiet: bool) {
        if let Some(watch) = &mut self.watch {
            watch.quiet = quiet;
        }
    }

    /// Whether a variable of the tape has a hook.
    pub fn has_hooks(&self) -> bool {
        !self.hooks.is_empty()
    }

    #[track_caller]
    fn add_hook(&mut self, var: &Var<Op>, hook: Hook<Op>) -> Result<(), EagerError> {
        // A segment that runs for the first time records nothing: its variables are constants until it runs
        // again.
        let (first, again) = match self.inside {
            Some(Inside::Segment { first, again }) => (first, again),
            _ => (false, false),
        };
        if first && !var.requires_grad() {
            return Ok(());
        }
        self.check(var, || "the variable to hook".into())?;
        let value = var.index();
        // One from outside was hooked the first time.
        if again && value < self.storage.first_value {
            return Ok(());
        }
        let after = self.hooks.partition_point(|hooked| hooked.value <= value);
        let hooked = Hooked {
            value,
            location: Location::caller(),
            hook: Some(hook),
        };
        self.hooks.insert(after, hooked);
        Ok(())
    }

    /// The how many-th hook of a value, until it is given back, and where it was added.
    pub(super) fn take_hook(
        &mut self,
        value: u32,
        rank: usize,
    ) -> Option<(Hook<Op>, &'static Location<'static>)> {
        let hooked = self.hooked(value, rank)?;
        let hook = hooked.hook.take()?;
        Some((hook, hooked.location))
    }

    pub(super) fn give_hook_back(&mut self, value: u32, rank: usize, hook: Hook<Op>) {
        if let Some(hooked) = self.hooked(value, rank) {
            hooked.hook = Some(hook);
        }
    }

    fn hooked(&mut self, value: u32, rank: usize) -> Option<&mut Hooked<Op>> {
        let first = self.hooks.partition_point(|hooked| hooked.value < value);
        let hooked = self.hooks.get_mut(first + rank);
        hooked.filter(|hooked| hooked.value == value)
    }

    /// Why nothing can be differentiated through a recorded gradient.
    pub(super) fn replaced_gradient(&self, value: u32) -> EagerError {
        let found = self.replaced.binary_search_by_key(&value, |(at, _)| *at);
        let found = found.expect("every replaced gradient is listed");
        EagerError::ReplacedGradient {
            location: self.replaced[found].1,
        }
    }
}

impl<Op: Primitive> Watch<Op> {
    /// Fails for a result that something is wrong with.
    pub fn check_results(
        &self,
        results: &[Op::Operand],
        operation: impl Fn() -> String,
        location: &'static Location<'static>,
    ) -> Result<(), EagerError> {
        for (slot, result) in results.iter().enumerate() {
            if let Some(value) = (self.judge)(result) {
                return Err(EagerError::Anomaly {
                    what: format!("result {slot}"),
                    operation: operation(),
                    location: Some(location),
                    value,
                });
            }
        }
        Ok(())
    }

    /// Fails for what `instruction` has computed on the way backward through `operation`.
    pub fn check_cotangent(
        &self,
        computed: &Op::Operand,
        instruction: impl Fn() -> String,
        operation: impl Fn() -> String,
        location: Option<&'static Location<'static>>,
    ) -> Result<(), EagerError> {
        match (self.judge)(computed) {
            None => Ok(()),
            Some(value) => Err(EagerError::Anomaly {
                what: format!("what {} computes in the derivative", instruction()),
                operation: operation(),
                location,
                value,
            }),
        }
    }
}
