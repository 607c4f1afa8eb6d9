//! Hooks: who is told of gradients as they are found, and may put others in their place.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::Location;

use slotmap::{Key, SlotMap, new_key_type};
use smallvec::SmallVec;
use tidu_ad::Primitive;
use tidu_graph::EvaluableGraphOperation;

use super::segment::Inside;
use super::{Place, Tape, Var};
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

new_key_type! { pub(super) struct HookKey; }

/// A hook of a tape, to be [removed](Tape::remove_hook) again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookId {
    key: HookKey,
    /// Which tape it is of.
    tape: Place,
}

/// The hooks of a tape.
pub(super) struct Hooks<Op: Primitive + EvaluableGraphOperation> {
    by_key: SlotMap<HookKey, Hooked<Op>>,
    /// By index of a value, in the order in which they were added.
    by_value: BTreeMap<u32, SmallVec<[HookKey; 1]>>,
}

/// What is told of the gradient by a value.
struct Hooked<Op: Primitive + EvaluableGraphOperation> {
    /// The index of the value.
    value: u32,
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

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
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
    ) -> Result<HookId, EagerError> {
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
    ) -> Result<HookId, EagerError> {
        self.add_hook(var, Hook::OfVariables(Box::new(hook)))
    }

    /// Takes a hook away, and says whether it was there: it is not if it was removed before, if the tape has forgotten
    /// its variable, or if it is one of another tape.
    ///
    /// # Example
    ///
    /// ```
    /// # use tidu_eager::Tape;
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// let x = tape.leaf(3.0);
    /// let y = tape.apply_one(ScalarOp::Mul, &[&x, &x])?;
    /// let clip = tape.hook(&x, |gradient| Some(gradient.min(1.0)))?;
    /// assert_eq!(tape.backward_keeping(&[(&y, 1.0)], &[&x])?, [Some(1.0)]);
    /// assert!(tape.remove_hook(clip));
    /// assert_eq!(tape.backward_keeping(&[(&y, 1.0)], &[&x])?, [Some(6.0)]);
    /// assert!(!tape.remove_hook(clip));
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    pub fn remove_hook(&mut self, hook: HookId) -> bool {
        self.places.is_own_constant(hook.tape) && self.hooks.remove(hook.key)
    }

    /// Whether a variable of the tape has a hook.
    pub fn has_hooks(&self) -> bool {
        !self.hooks.is_empty()
    }

    #[track_caller]
    fn add_hook(&mut self, var: &Var<Op>, hook: Hook<Op>) -> Result<HookId, EagerError> {
        let id = |key| HookId {
            key,
            tape: self.places.constant(),
        };
        // A segment that runs for the first time records nothing: its variables are constants until it runs
        // again.
        let (first, again) = match self.inside {
            Some(Inside::Segment { first, again }) => (first, again),
            _ => (false, false),
        };
        if first && !var.requires_grad() {
            return Ok(id(HookKey::null()));
        }
        self.check(var, || "the variable to hook".into())?;
        let value = var.index();
        // One from outside was hooked the first time.
        if again && value < self.storage.first_value {
            return Ok(id(HookKey::null()));
        }
        let key = self.hooks.add(Hooked {
            value,
            location: Location::caller(),
            hook: Some(hook),
        });
        Ok(id(key))
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Hooks<Op> {
    pub fn new() -> Self {
        Self {
            by_key: SlotMap::with_key(),
            by_value: BTreeMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Those of a value, in the order in which they were added.
    pub fn of(&self, value: u32) -> SmallVec<[HookKey; 1]> {
        self.by_value.get(&value).cloned().unwrap_or_default()
    }

    /// A hook, until it is given back, and where it was added; `None` if it is gone.
    pub fn take(&mut self, key: HookKey) -> Option<(Hook<Op>, &'static Location<'static>)> {
        let hooked = self.by_key.get_mut(key)?;
        Some((hooked.hook.take()?, hooked.location))
    }

    /// Gives a hook back, unless it has been removed meanwhile.
    pub fn give_back(&mut self, key: HookKey, hook: Hook<Op>) {
        if let Some(hooked) = self.by_key.get_mut(key) {
            hooked.hook = Some(hook);
        }
    }

    /// Forgets those of values from `first` on.
    pub fn forget(&mut self, first: u32) {
        for (_, keys) in self.by_value.split_off(&first) {
            for key in keys {
                self.by_key.remove(key);
            }
        }
    }

    fn add(&mut self, hooked: Hooked<Op>) -> HookKey {
        let value = hooked.value;
        let key = self.by_key.insert(hooked);
        self.by_value.entry(value).or_default().push(key);
        key
    }

    fn remove(&mut self, key: HookKey) -> bool {
        let Some(Hooked { value, .. }) = self.by_key.remove(key) else {
            return false;
        };
        if let Entry::Occupied(mut of_value) = self.by_value.entry(value) {
            of_value.get_mut().retain(|known| *known != key);
            if of_value.get().is_empty() {
                of_value.remove();
            }
        }
        true
    }
}
