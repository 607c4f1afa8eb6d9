//! Derivatives of operations, each derived once: the one cache, which functions and tapes share.

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use slotmap::{SlotMap, new_key_type};
use smallvec::SmallVec;
use tidu_graph::{Exactness, GraphBuilder, GraphOperation, ValueType};

use crate::cotangents::Seed;
use crate::function::{FunctionError, check_flags};
use crate::operation_derivative::{
    OperationJvp, OperationLinearization, OperationNames, OperationVjp, context_of_operands,
};
use crate::rules::Primitive;
use crate::transpose::Observer;

/// The derivatives of operations, each derived once for operands of the same types: shared by whoever has a clone of
/// this, on any thread.
///
/// A function has one, which it hands on to the functions that are made of it; so has a tape. To share one among more
/// of them, say so: [`Derive::sharing`](crate::Derive::sharing), `Tape::sharing`. What is derived depends on nothing
/// but the operation, on which of its operands are active and on their types, so it makes no difference to any result
/// who came first. A rule that [looks into a context](Primitive::rules_look_into_context) of more than types is asked
/// each time instead.
///
/// At most [`capacity`](DerivativeCounts::capacity) operations are kept; beyond that, one that has not been asked for
/// of late makes room. (JAX keeps such a cache for each transform, for the whole program.)
///
/// # Example
///
/// ```
/// use tidu_ad::Derivatives;
///
/// let f = tidu_scalar::function(["x"], |[x]| [x.sin() * x.cos()])?;
/// let g = tidu_scalar::function(["x"], |[x]| [x.cos() * x.sin()])?;
/// let derivatives = Derivatives::default();
/// f.within(&mut ()).sharing(&derivatives).grad("x")?;
/// let misses = derivatives.counts().misses;
/// assert_eq!(misses, 3);
/// g.within(&mut ()).sharing(&derivatives).grad("x")?;
/// assert_eq!(derivatives.counts().misses, misses);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
pub struct Derivatives<Op: GraphOperation> {
    store: Arc<Mutex<Store<Op>>>,
}

/// What a cache of derivatives holds, and how often it was asked. See [`Derivatives::counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DerivativeCounts {
    /// How many operations are there.
    pub entries: usize,
    /// At most this many will be.
    pub capacity: usize,
    /// How often an operation was there.
    pub hits: u64,
    /// How often it was not.
    pub misses: u64,
    /// How often one had to make room for another.
    pub evictions: u64,
}

/// The linear map of an operation that derivatives are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LinearMap {
    /// The derivative of the operation.
    Derivative,
    /// The operation, which is linear in its active operands.
    Itself,
}

/// What derivatives are known by.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DerivativeKey<Op> {
    /// Of all the rest, so that a hash is computed once.
    hash: u64,
    operation: Op,
    /// By operand.
    active: SmallVec<[bool; 4]>,
    /// By operand, if the operation set infers types.
    types: Option<Box<[ValueType]>>,
    map: LinearMap,
    level: Option<Exactness>,
}

/// Everything that has been derived of an operation, for all who need it.
struct Derived<Op: GraphOperation> {
    live: Box<[bool]>,
    finished: Mutex<Finished<Op>>,
}

struct Finished<Op: GraphOperation> {
    jvp: Option<Arc<OperationJvp<Op>>>,
    vjps: HashMap<SmallVec<[Seed; 2]>, Arc<OperationVjp<Op>>, FixedState>,
}

new_key_type! { struct EntryKey; }

struct Entry<Op: GraphOperation> {
    of: Arc<DerivativeKey<Op>>,
    derived: Arc<Derived<Op>>,
    /// Since it was last considered for eviction.
    is_used: bool,
}

struct Store<Op: GraphOperation> {
    entries: SlotMap<EntryKey, Entry<Op>>,
    index: HashTable<EntryKey>,
    /// The next one to be considered for eviction first.
    queue: VecDeque<EntryKey>,
    counts: DerivativeCounts,
}

/// The derivatives of one operation, as somebody who needs them holds them.
pub(crate) struct OperationDerivatives<Op: Primitive> {
    of: Arc<DerivativeKey<Op>>,
    derived: Arc<Derived<Op>>,
    /// The map itself, if it had to be made: rules have been called for it.
    linearized: Option<Linearized<Op>>,
}

struct Linearized<Op: Primitive> {
    linearization: OperationLinearization<Op>,
    /// What rules are given that ask for types.
    ctx: Option<Op::ADContext>,
}

/// More than programs have that are written by hand.
const CAPACITY: usize = 1024;

impl<Op: GraphOperation> Derivatives<Op> {
    /// An empty cache for at most this many operations, one at least.
    pub fn with_capacity(capacity: usize) -> Self {
        let counts = DerivativeCounts {
            capacity: capacity.max(1),
            ..DerivativeCounts::default()
        };
        let store = Store {
            entries: SlotMap::with_key(),
            index: HashTable::new(),
            queue: VecDeque::new(),
            counts,
        };
        Self {
            store: Arc::new(Mutex::new(store)),
        }
    }

    /// What is there, and how often it was asked for.
    pub fn counts(&self) -> DerivativeCounts {
        let store = lock(&self.store);
        DerivativeCounts {
            entries: store.entries.len(),
            ..store.counts
        }
    }

    /// Whether anybody else has a clone of this: a function, a tape.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.store) > 1
    }

    /// Forgets all that was derived, as if nobody had asked. Counts go on.
    pub fn clear(&self) {
        let mut store = lock(&self.store);
        store.entries.clear();
        store.index.clear();
        store.queue.clear();
    }
}

impl<Op: Primitive> Derivatives<Op> {
    /// Derives the JVP of an operation for tangents of operands that are `active`, as [`OperationJvp::derive`], or finds
    /// it. Operands are of these types, if the operation set has types.
    ///
    /// # Errors
    ///
    /// As there; what is wrong with a type; [`FunctionError::WrongFlagCount`].
    pub fn jvp(
        &self,
        operation: &Op,
        active: &[bool],
        types: Option<&[ValueType]>,
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<Arc<OperationJvp<Op>>, FunctionError> {
        check_operands(operation, active, types)?;
        let level = Some(Exactness::Exact);
        let key = DerivativeKey::new(operation, active, types, LinearMap::Derivative, level);
        self.of(key, name, ctx)?.jvp(name, ctx)
    }

    /// Derives the VJP of an operation, as [`OperationVjp::derive`], or finds it.
    ///
    /// # Errors
    ///
    /// As there; what is wrong with a type; [`FunctionError::WrongFlagCount`].
    pub fn vjp(
        &self,
        operation: &Op,
        active: &[bool],
        seeds: &[Seed],
        types: Option<&[ValueType]>,
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<Arc<OperationVjp<Op>>, FunctionError> {
        check_operands(operation, active, types)?;
        check_flags("result", operation.output_count(), seeds.len())?;
        let level = Some(Exactness::Exact);
        let key = DerivativeKey::new(operation, active, types, LinearMap::Derivative, level);
        self.of(key, name, ctx)?.vjp(seeds, name, ctx)
    }

    /// The derivatives of an operation whose rules see no more than it and types.
    pub(crate) fn of(
        &self,
        key: DerivativeKey<Op>,
        root: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<OperationDerivatives<Op>, FunctionError> {
        let is_alone = key.types.is_none() && Op::rules_look_into_context();
        if !is_alone && let Some(derived) = lock(&self.store).find(&key) {
            return Ok(OperationDerivatives {
                of: Arc::new(key),
                derived,
                linearized: None,
            });
        }
        let linearized = key.linearize(root, ctx)?;
        let mut derivatives = OperationDerivatives::new(key, linearized);
        if !is_alone {
            let OperationDerivatives { of, derived, .. } = &derivatives;
            derivatives.derived = lock(&self.store).insert(of, derived);
        }
        Ok(derivatives)
    }
}

impl<Op: GraphOperation> Store<Op> {
    fn find(&mut self, of: &DerivativeKey<Op>) -> Option<Arc<Derived<Op>>> {
        let Some(key) = self.position(of) else {
            self.counts.misses += 1;
            return None;
        };
        self.counts.hits += 1;
        let entry = &mut self.entries[key];
        entry.is_used = true;
        Some(Arc::clone(&entry.derived))
    }

    /// Keeps what has been derived, unless somebody was faster; then that is returned.
    fn insert(
        &mut self,
        of: &Arc<DerivativeKey<Op>>,
        derived: &Arc<Derived<Op>>,
    ) -> Arc<Derived<Op>> {
        if let Some(key) = self.position(of) {
            return Arc::clone(&self.entries[key].derived);
        }
        while self.entries.len() >= self.counts.capacity {
            self.evict();
        }
        let key = self.entries.insert(Entry {
            of: Arc::clone(of),
            derived: Arc::clone(derived),
            is_used: false,
        });
        self.queue.push_back(key);
        let entries = &self.entries;
        self.index
            .insert_unique(of.hash, key, |key| entries[*key].of.hash);
        Arc::clone(derived)
    }

    fn position(&self, of: &DerivativeKey<Op>) -> Option<EntryKey> {
        let same = |key: &EntryKey| *self.entries[*key].of == *of;
        self.index.find(of.hash, same).copied()
    }

    /// Drops the entry that has been waiting longest since it was last used: the clock algorithm, which takes constant
    /// time in the mean.
    fn evict(&mut self) {
        while let Some(key) = self.queue.pop_front() {
            let entry = &mut self.entries[key];
            if std::mem::take(&mut entry.is_used) {
                self.queue.push_back(key);
                continue;
            }
            if let Ok(place) = self.index.find_entry(entry.of.hash, |known| *known == key) {
                place.remove();
            }
            self.entries.remove(key);
            self.counts.evictions += 1;
            return;
        }
    }
}

impl<Op: GraphOperation> DerivativeKey<Op> {
    pub fn new(
        operation: &Op,
        active: &[bool],
        types: Option<&[ValueType]>,
        map: LinearMap,
        level: Option<Exactness>,
    ) -> Self {
        let all = (operation, active, types, map, level);
        Self {
            hash: FixedState::default().hash_one(all),
            operation: operation.clone(),
            active: active.into(),
            types: types.map(Into::into),
            map,
            level,
        }
    }
}

impl<Op: Primitive> DerivativeKey<Op> {
    /// Calls the rule, which is told of no other operation.
    fn linearize(
        &self,
        root: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<Linearized<Op>, FunctionError> {
        let own = self.types.as_ref();
        let own = own.map(|types| context_of_operands::<Op>(types.iter(), root));
        let mut own = own.transpose()?;
        let names = OperationNames::apart(&self.operation, root);
        let linearization = self.linearize_as(names, own.as_mut().unwrap_or(ctx))?;
        Ok(Linearized {
            linearization,
            ctx: own,
        })
    }

    /// Calls the rule with these names.
    fn linearize_as(
        &self,
        names: OperationNames<Op>,
        ctx: &mut Op::ADContext,
    ) -> Result<OperationLinearization<Op>, FunctionError> {
        let linearize = match self.map {
            LinearMap::Derivative => OperationLinearization::derive,
            LinearMap::Itself => OperationLinearization::itself,
        };
        linearize(&self.operation, names, &self.active, ctx)
    }
}

impl<Op: Primitive> OperationDerivatives<Op> {
    /// Those of an operation where it stands, which nobody else can use.
    pub fn in_place(
        key: DerivativeKey<Op>,
        names: OperationNames<Op>,
        ctx: &mut Op::ADContext,
    ) -> Result<Self, FunctionError> {
        let linearization = key.linearize_as(names, ctx)?;
        let linearized = Linearized {
            linearization,
            ctx: None,
        };
        Ok(Self::new(key, linearized))
    }

    fn new(key: DerivativeKey<Op>, linearized: Linearized<Op>) -> Self {
        let derived = Derived {
            live: linearized.linearization.live().collect(),
            finished: Mutex::new(Finished {
                jvp: None,
                vjps: HashMap::default(),
            }),
        };
        Self {
            of: Arc::new(key),
            derived: Arc::new(derived),
            linearized: Some(linearized),
        }
    }

    /// By result: whether its tangent is anything but a symbolic zero.
    pub fn live(&self) -> &[bool] {
        &self.derived.live
    }

    /// The JVP.
    pub fn jvp(
        &mut self,
        root: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<Arc<OperationJvp<Op>>, FunctionError> {
        if let Some(known) = &lock(&self.derived.finished).jvp {
            return Ok(Arc::clone(known));
        }
        let level = self.of.level;
        let (linearization, _) = self.linearization(root, ctx)?;
        let made = Arc::new(linearization.jvp(level)?);
        lock(&self.derived.finished).jvp = Some(Arc::clone(&made));
        Ok(made)
    }

    /// The VJP for what is known of the cotangents of results.
    pub fn vjp(
        &mut self,
        seeds: &[Seed],
        root: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<Arc<OperationVjp<Op>>, FunctionError> {
        if let Some(known) = lock(&self.derived.finished).vjps.get(seeds) {
            return Ok(Arc::clone(known));
        }
        let level = self.of.level;
        let (linearization, ctx) = self.linearization(root, ctx)?;
        let made = Arc::new(linearization.vjp(seeds, level, ctx)?);
        let mut known = lock(&self.derived.finished);
        known.vjps.insert(seeds.into(), Arc::clone(&made));
        drop(known);
        Ok(made)
    }

    /// By operand: whether it has a cotangent, if these results have one. Rules that are missing are told to the
    /// observer.
    pub fn reached(
        &mut self,
        seeds: &[Seed],
        root: &Op::InputKey,
        ctx: &mut Op::ADContext,
        observer: &mut impl Observer<Op, GraphBuilder<Op>>,
    ) -> Result<Vec<bool>, FunctionError> {
        let (linearization, ctx) = self.linearization(root, ctx)?;
        linearization.reached(seeds, ctx, observer)
    }

    /// The map, with the context that its rules are given.
    fn linearization<'a>(
        &'a mut self,
        root: &Op::InputKey,
        ctx: &'a mut Op::ADContext,
    ) -> Result<(&'a OperationLinearization<Op>, &'a mut Op::ADContext), FunctionError> {
        let linearized = match self.linearized.take() {
            Some(linearized) => linearized,
            None => self.of.linearize(root, ctx)?,
        };
        let linearized = self.linearized.insert(linearized);
        let ctx = linearized.ctx.as_mut().unwrap_or(ctx);
        Ok((&linearized.linearization, ctx))
    }
}

/// Fails for lists that do not say something of each operand.
fn check_operands<Op: GraphOperation>(
    operation: &Op,
    active: &[bool],
    types: Option<&[ValueType]>,
) -> Result<(), FunctionError> {
    let expected = operation.input_count();
    check_flags("operand", expected, active.len())?;
    check_flags("operand", expected, types.map_or(expected, <[_]>::len))
}

/// What a panic has left behind can be used: of what belongs to others, nothing but comparisons of operations runs under
/// a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An empty one, for at most 1024 operations.
impl<Op: GraphOperation> Default for Derivatives<Op> {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl<Op: GraphOperation> Clone for Derivatives<Op> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
        }
    }
}

impl<Op: GraphOperation> Debug for Derivatives<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Derivatives").field(&self.counts()).finish()
    }
}
