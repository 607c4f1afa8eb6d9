//! Structural identity: what a value *is*, across graphs.

use std::fmt::{self, Debug};
use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::base::unwrap_or_panic;
use crate::error::{GraphError, describe_operation};
use crate::operation::{check_arity, count_outputs};
use crate::role::SharedRole;
use crate::{GraphOperation, InlineSlice, OperationRole, OperationSpec};

/// Says what a value is, across graphs: an input of some name, or a result of an operation on
/// values that are described the same way.
///
/// Keys compare and hash by structure. Two graphs that compute `x·y` separately agree on the key of
/// the product. A key is a shared, acyclic description, cheap to clone; `==`, `Hash`, `Debug` and
/// `Drop` take constant stack at any depth.
///
/// # Complexity
///
/// `Hash` is O(1). `==` is O(1) for keys that share their description or differ in their
/// fingerprints, and linear in the number of *distinct* nodes otherwise.
#[derive(Clone)]
pub enum ValueKey<Op: GraphOperation> {
    /// A graph input.
    Input(Op::InputKey),
    /// A result of an operation.
    Derived {
        /// The operation with its operands and role.
        operation: Arc<OperationKey<Op>>,
        /// Which of the operation's results.
        output_slot: u8,
    },
}

/// An operation applied to values, in a role: the structural identity of a computation.
pub struct OperationKey<Op: GraphOperation> {
    spec: OperationSpec<Op>,
    inputs: InlineSlice<ValueKey<Op>>,
    fingerprint: u64,
    birthplace: Option<Birthplace>,
}

/// The operation of a graph for which a key was made. No part of what the key says; it serves to find the
/// operation without a search.
#[derive(Clone, Copy)]
pub(crate) struct Birthplace {
    /// The number of the builder, which its graph has too.
    pub graph: NonZeroU32,
    pub operation: u32,
}

impl<Op: GraphOperation> OperationKey<Op> {
    /// Describes `operation` applied to `inputs` in `role`.
    ///
    /// # Panics
    ///
    /// Where [`try_new`](Self::try_new) returns an error, with the same text.
    #[track_caller]
    pub fn new(operation: Op, inputs: Vec<ValueKey<Op>>, role: OperationRole) -> Self {
        unwrap_or_panic(Self::try_new(operation, inputs, role))
    }

    /// Describes `operation` applied to `inputs` in `role`.
    ///
    /// # Errors
    ///
    /// [`GraphError::WrongArity`], [`GraphError::TooManyOutputs`] and
    /// [`GraphError::UnknownOutputSlot`]: every key that exists is well-formed, so no pass needs to
    /// check one again.
    pub fn try_new(
        operation: Op,
        inputs: Vec<ValueKey<Op>>,
        role: OperationRole,
    ) -> Result<Self, GraphError> {
        check_arity(&operation, inputs.len())?;
        count_outputs(&operation)?;
        inputs.iter().try_for_each(ValueKey::check_slot)?;
        let role = SharedRole::new(role);
        Ok(Self::new_unchecked(operation, inputs.into(), role, None))
    }

    /// The key of an operation that was checked already.
    pub(crate) fn new_unchecked(
        operation: Op,
        inputs: InlineSlice<ValueKey<Op>>,
        role: SharedRole,
        birthplace: Option<Birthplace>,
    ) -> Self {
        Self {
            fingerprint: fingerprint(&operation, &inputs, &role),
            spec: OperationSpec::new(operation, role),
            inputs,
            birthplace,
        }
    }

    /// The key of an operation that was checked already, of a computation without roles.
    pub(crate) fn primary(
        operation: &Op,
        operands: InlineSlice<ValueKey<Op>>,
        birthplace: Option<Birthplace>,
    ) -> Self {
        Self::new_unchecked(operation.clone(), operands, SharedRole::PRIMARY, birthplace)
    }

    /// What is computed.
    pub fn operation(&self) -> &Op {
        &self.spec.operation
    }

    /// What it is computed from.
    pub fn inputs(&self) -> &[ValueKey<Op>] {
        &self.inputs
    }

    /// The part it plays.
    pub fn role(&self) -> &OperationRole {
        &self.spec.role
    }

    /// A 64-bit digest of the whole structure, computed once from those of the operands.
    ///
    /// Equal keys have equal fingerprints. The digest uses a fixed seed: it is the same in every
    /// run of one build.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn spec(&self) -> &OperationSpec<Op> {
        &self.spec
    }

    /// Where the key was made, if that was in a graph's builder.
    pub(crate) fn birthplace(&self) -> Option<Birthplace> {
        self.birthplace
    }
}

impl<Op: GraphOperation> ValueKey<Op> {
    /// The name of the input that this is the key of.
    #[inline]
    pub(crate) fn input(&self) -> &Op::InputKey {
        match self {
            ValueKey::Input(key) => key,
            ValueKey::Derived { .. } => unreachable!("an input has an input key"),
        }
    }

    /// A result of an operation.
    #[inline]
    pub(crate) fn result(operation: &Arc<OperationKey<Op>>, slot: usize) -> Self {
        ValueKey::Derived {
            operation: Arc::clone(operation),
            output_slot: slot as u8,
        }
    }

    /// The operation that this is a result of, and which of them; `None` for an input.
    #[inline]
    pub(crate) fn maker(&self) -> Option<(&Arc<OperationKey<Op>>, usize)> {
        match self {
            ValueKey::Input(_) => None,
            ValueKey::Derived {
                operation,
                output_slot,
            } => Some((operation, usize::from(*output_slot))),
        }
    }

    /// Fails for a result that the operation does not have.
    #[inline]
    pub(crate) fn check_slot(&self) -> Result<(), GraphError> {
        match self.maker() {
            Some((key, slot)) if slot >= key.operation().output_count() => {
                Err(GraphError::UnknownOutputSlot {
                    operation: describe_operation(key.operation()),
                    slot,
                    outputs: key.operation().output_count(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// A key as an error names it.
pub fn describe_key<Op: GraphOperation>(key: &ValueKey<Op>) -> String {
    let Some((key, slot)) = key.maker() else {
        return format!("input {}", describe_operation(key.input()));
    };
    let role = match key.role() {
        OperationRole::Primary => "",
        OperationRole::Linearized { .. } => "linearized ",
    };
    format!(
        "output {slot} of {role}{}",
        describe_operation(key.operation())
    )
}

/// The hasher behind fingerprints and interning tables: fixed seed, so that nothing depends on the
/// run.
pub(crate) type FixedState = foldhash::quality::FixedState;

pub(crate) fn hash_one(value: &impl Hash) -> u64 {
    FixedState::default().hash_one(value)
}

fn fingerprint<Op: GraphOperation>(
    operation: &Op,
    inputs: &[ValueKey<Op>],
    role: &OperationRole,
) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    operation.hash(&mut hasher);
    role.hash(&mut hasher);
    inputs.hash(&mut hasher);
    hasher.finish()
}

impl<Op: GraphOperation> PartialEq for ValueKey<Op> {
    fn eq(&self, other: &Self) -> bool {
        match (self.maker(), other.maker()) {
            (None, None) => self.input() == other.input(),
            (Some((a, i)), Some((b, j))) => i == j && (Arc::ptr_eq(a, b) || a == b),
            _ => false,
        }
    }
}

impl<Op: GraphOperation> Eq for ValueKey<Op> {}

impl<Op: GraphOperation> Hash for ValueKey<Op> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.maker() {
            None => {
                state.write_u8(0);
                self.input().hash(state);
            }
            Some((key, slot)) => {
                state.write_u8(1);
                state.write_u64(key.fingerprint);
                state.write_u8(slot as u8);
            }
        }
    }
}

impl<Op: GraphOperation> PartialEq for OperationKey<Op> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || same_structure(self, other)
    }
}

impl<Op: GraphOperation> Eq for OperationKey<Op> {}

impl<Op: GraphOperation> Hash for OperationKey<Op> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint);
    }
}

impl<Op: GraphOperation> Clone for OperationKey<Op> {
    fn clone(&self) -> Self {
        Self {
            spec: self.spec.clone(),
            inputs: self.inputs.clone(),
            fingerprint: self.fingerprint,
            birthplace: None,
        }
    }
}

/// Shallow: the operation, its role, and the heads of its operands.
impl<Op: GraphOperation> Debug for OperationKey<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Operands beyond these are counted, not shown, so that the text stays a line.
        const SHOWN: usize = 4;
        write!(f, "{}(", describe_operation(self.operation()))?;
        for (position, input) in self.inputs.iter().take(SHOWN).enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{input:?}")?;
        }
        if self.inputs.len() > SHOWN {
            write!(f, ", and {} more", self.inputs.len() - SHOWN)?;
        }
        write!(f, ")@{:016x}", self.fingerprint)?;
        match self.role() {
            OperationRole::Primary => Ok(()),
            role => write!(f, " as {}", describe_operation(role)),
        }
    }
}

/// Shallow: an input's name, or the head of the operation with its fingerprint.
impl<Op: GraphOperation> Debug for ValueKey<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((key, slot)) = self.maker() else {
            return write!(f, "Input({:?})", self.input());
        };
        let operation = describe_operation(key.operation());
        write!(f, "{operation}@{:016x}.{slot}", key.fingerprint)
    }
}

/// Takes the description apart with a list of its own, because the drop that the compiler would
/// write recurses as deep as the computation is long.
impl<Op: GraphOperation> Drop for OperationKey<Op> {
    fn drop(&mut self) {
        let mut orphans: Vec<Arc<OperationKey<Op>>> = Vec::new();
        self.abandon_operands(&mut orphans);
        while let Some(orphan) = orphans.pop() {
            if let Some(mut last) = Arc::into_inner(orphan) {
                last.abandon_operands(&mut orphans);
            }
        }
    }
}

impl<Op: GraphOperation> OperationKey<Op> {
    fn abandon_operands(&mut self, orphans: &mut Vec<Arc<Self>>) {
        self.inputs.take().for_each(|operand| {
            if let ValueKey::Derived { operation, .. } = operand {
                orphans.push(operation);
            }
        });
    }
}

/// Compares two descriptions, each pair of nodes once.
///
/// Pairs are merged in a union-find before their operands are looked at, so that at most as many
/// pairs are opened as there are distinct nodes, however the two sides share.
fn same_structure<Op: GraphOperation>(a: &OperationKey<Op>, b: &OperationKey<Op>) -> bool {
    let mut merged = Merged::default();
    let mut pairs = vec![(a, b)];
    while let Some((a, b)) = pairs.pop() {
        let same_head =
            a.fingerprint == b.fingerprint && a.spec == b.spec && a.inputs.len() == b.inputs.len();
        if !same_head {
            return false;
        }
        for (a, b) in a.inputs.iter().zip(&b.inputs) {
            match (a.maker(), b.maker()) {
                (None, None) if a.input() == b.input() => {}
                (Some((a, i)), Some((b, j))) if i == j => {
                    if !Arc::ptr_eq(a, b) && merged.unite(&**a, &**b) {
                        pairs.push((a, b));
                    }
                }
                _ => return false,
            }
        }
    }
    true
}

/// A union-find over addresses. Only membership is asked, so addresses cannot be observed.
#[derive(Default)]
struct Merged {
    index: HashMap<usize, usize, FixedState>,
    leader: Vec<usize>,
}

impl Merged {
    /// Merges the classes of two nodes; false if they were one class already.
    fn unite<T>(&mut self, a: *const T, b: *const T) -> bool {
        let (a, b) = (self.find(a.addr()), self.find(b.addr()));
        self.leader[b] = a;
        a != b
    }

    fn find(&mut self, address: usize) -> usize {
        let fresh = self.leader.len();
        let mut node = *self.index.entry(address).or_insert(fresh);
        if node == fresh {
            self.leader.push(fresh);
        }
        while self.leader[node] != node {
            // Path halving keeps later look-ups short.
            self.leader[node] = self.leader[self.leader[node]];
            node = self.leader[node];
        }
        node
    }
}
