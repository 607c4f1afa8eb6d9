//! The derivatives of a function's operations, each found once however often the operation stands there.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use smallvec::SmallVec;
use tidu_graph::{DenseGraph, DenseNode, Exactness, ImportedTypes, TypeId};

use super::FunctionError;
use crate::cotangents::Seed;
use crate::derivatives::{DerivativeKey, Derivatives, LinearMap, OperationDerivatives};
use crate::operation_derivative::{OperationJvp, OperationNames, OperationVjp};
use crate::rules::Primitive;

/// The derivatives of operations that were met.
pub(super) struct Operations<Op: Primitive> {
    pub derivatives: Derivatives<Op>,
    /// What rules are told that operands are named after.
    root: Op::InputKey,
    map: LinearMap,
    level: Option<Exactness>,
    pub derived: Vec<Derived<Op>>,
    /// By operation, active operands and types, but for those that were derived in place.
    index: HashTable<u32>,
}

pub(super) struct Derived<Op: Primitive> {
    operation: Op,
    active: SmallVec<[bool; 4]>,
    /// Of its operands; empty if they have none.
    types: Types,
    pub derivatives: OperationDerivatives<Op>,
    pub jvp: Option<(Arc<OperationJvp<Op>>, ImportedTypes)>,
    /// Each with what it takes to be known of the cotangents of results.
    pub vjps: Vec<(Vec<Seed>, Arc<OperationVjp<Op>>, ImportedTypes)>,
    /// Where in `vjps` each is, for operations of many results.
    by_seeds: HashMap<Vec<Seed>, usize, FixedState>,
}

type Types = SmallVec<[TypeId; 4]>;

/// At most this many VJPs are looked through one by one, which takes less time than a hash.
const FEW: usize = 4;

impl<Op: Primitive> Derived<Op> {
    /// How many operands are active.
    pub fn active_count(&self) -> usize {
        self.active.iter().filter(|active| **active).count()
    }

    fn find_vjp(&self, seeds: &[Seed]) -> Option<usize> {
        if self.vjps.len() <= FEW {
            self.vjps.iter().position(|(known, ..)| known == seeds)
        } else {
            self.by_seeds.get(seeds).copied()
        }
    }
}

impl<Op: Primitive> Operations<Op> {
    /// None yet: derivatives of a map, as simple as a level permits, which are taken from a cache.
    pub fn new(
        derivatives: Derivatives<Op>,
        root: Op::InputKey,
        map: LinearMap,
        level: Option<Exactness>,
    ) -> Self {
        Self {
            derivatives,
            root,
            map,
            level,
            derived: Vec::new(),
            index: HashTable::new(),
        }
    }

    /// The position of an operation's derivative by those of its operands that are `active`, made if it is not there.
    ///
    /// `function` is the graph that the operation stands in.
    pub fn find(
        &mut self,
        node: DenseNode<'_, Op>,
        active: &[bool],
        function: &DenseGraph<Op>,
        ctx: &mut Op::ADContext,
    ) -> Result<usize, FunctionError> {
        let operation = node.operation;
        let mut types = Types::new();
        if function.has_types() {
            types.extend(node.operands.iter().filter_map(|id| function.type_id(*id)));
        }
        let hash = hash(operation, active, &types);
        let same = |&at: &u32| {
            let known = &self.derived[at as usize];
            known.active[..] == *active && known.types == types && known.operation == *operation
        };
        if let Some(&at) = self.index.find(hash, same) {
            return Ok(at as usize);
        }
        let of_operands = function.types_of(node.operands.iter().copied());
        let of_operands = of_operands.as_deref();
        let key = DerivativeKey::new(operation, active, of_operands, self.map, self.level);
        let derivatives = self.derivatives.of(key, &self.root, ctx)?;
        let at = self.add(node, active, types, derivatives);
        let derived = &self.derived;
        self.index.insert_unique(hash, at as u32, |&at| {
            let known = &derived[at as usize];
            self::hash(&known.operation, &known.active, &known.types)
        });
        Ok(at)
    }

    /// The position of the derivative of an operation whose rule is asked where it stands, with these names: simplified
    /// with all that it becomes part of, and not before.
    pub fn derive_in_place(
        &mut self,
        node: DenseNode<'_, Op>,
        active: &[bool],
        names: OperationNames<Op>,
        ctx: &mut Op::ADContext,
    ) -> Result<usize, FunctionError> {
        let key = DerivativeKey::new(node.operation, active, None, self.map, None);
        let derivatives = OperationDerivatives::in_place(key, names, ctx)?;
        Ok(self.add(node, active, Types::new(), derivatives))
    }

    fn add(
        &mut self,
        node: DenseNode<'_, Op>,
        active: &[bool],
        types: Types,
        derivatives: OperationDerivatives<Op>,
    ) -> usize {
        self.derived.push(Derived {
            operation: node.operation.clone(),
            active: active.into(),
            types,
            derivatives,
            jvp: None,
            vjps: Vec::new(),
            by_seeds: HashMap::default(),
        });
        self.derived.len() - 1
    }

    /// Makes a JVP if it is not there, for `graph`.
    pub fn derive_jvp(
        &mut self,
        at: usize,
        ctx: &mut Op::ADContext,
        graph: &mut DenseGraph<Op>,
    ) -> Result<(), FunctionError> {
        let derived = &mut self.derived[at];
        if derived.jvp.is_none() {
            let jvp = derived.derivatives.jvp(&self.root, ctx)?;
            let types = graph.import_types(jvp.function.as_dense());
            derived.jvp = Some((jvp, types));
        }
        Ok(())
    }

    /// The position of a VJP for what is known of the cotangents of results, made for `graph` if it is not there.
    pub fn vjp(
        &mut self,
        at: usize,
        seeds: &[Seed],
        ctx: &mut Op::ADContext,
        graph: &mut DenseGraph<Op>,
    ) -> Result<usize, FunctionError> {
        let derived = &mut self.derived[at];
        if let Some(found) = derived.find_vjp(seeds) {
            return Ok(found);
        }
        let made = derived.derivatives.vjp(seeds, &self.root, ctx)?;
        let types = graph.import_types(made.function.as_dense());
        let at = derived.vjps.len();
        derived.vjps.push((seeds.to_vec(), made, types));
        derived.by_seeds.insert(seeds.to_vec(), at);
        Ok(at)
    }
}

fn hash<Op: Primitive>(operation: &Op, active: &[bool], types: &[TypeId]) -> u64 {
    let state = FixedState::default();
    // Most sets have none.
    if types.is_empty() {
        state.hash_one((operation, active))
    } else {
        state.hash_one((operation, active, types))
    }
}
