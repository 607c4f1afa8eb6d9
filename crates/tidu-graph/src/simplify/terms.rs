//! The graph that a simplification makes: equal terms are one term, whatever they were before.

use std::sync::Arc;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{AppliedRewrite, Exactness};
use crate::error::{GraphError, describe_operation};
use crate::key::{OperationKey, ValueKey, hash_one};
use crate::materialize::{MaterializedGraph, MaterializedOperation, MaterializedValue};
use crate::{GraphOperation, OperationRole};

/// A value of a graph that is being simplified. Equal terms compute the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u32);

/// The graph that a simplification makes, as rules see it: what a term is, and a way to make others.
pub struct Terms<Op: GraphOperation> {
    origins: Vec<Origin>,
    /// By term: how many operands and outputs it is of what was made, and of what is still to come.
    uses: Vec<u32>,
    leaves: Vec<ValueKey<Op>>,
    nodes: Vec<Node<Op>>,
    operands: Vec<Term>,
    index: HashTable<u32>,
    /// `None` to merge only.
    level: Option<Exactness>,
    /// What is left for the operation that is being simplified.
    steps: usize,
    log: Option<Vec<Step<Op>>>,
    /// The first thing that a rule did wrong: rules themselves cannot fail.
    error: Option<GraphError>,
}

/// The most steps that are made for one operation, so that rules which undo each other end.
const STEPS: usize = 64;

#[derive(Clone, Copy)]
enum Origin {
    /// An index into `leaves`.
    Leaf(u32),
    Output {
        node: u32,
        slot: u32,
    },
}

struct Node<Op> {
    operation: Op,
    first_operand: u32,
    operand_count: u32,
    first_output: Term,
}

/// An [`AppliedRewrite`] before its keys are made.
struct Step<Op> {
    equation: &'static str,
    exactness: Exactness,
    operation: Op,
    operands: Operands,
    slot: usize,
    after: Term,
}

type Operands = SmallVec<[Term; 4]>;
type Results = SmallVec<[Term; 2]>;

/// For rules.
impl<Op: GraphOperation> Terms<Op> {
    /// The operation that a term is a result of, with its operands and the output slot; `None` for an
    /// input.
    pub fn definition(&self, term: Term) -> Option<(&Op, &[Term], usize)> {
        match self.origins[term.0 as usize] {
            Origin::Leaf(_) => None,
            Origin::Output { node, slot } => {
                let operands = self.operands_of(node);
                Some((
                    &self.nodes[node as usize].operation,
                    operands,
                    slot as usize,
                ))
            }
        }
    }

    /// The operands of a term, if it is the first result of just this operation.
    pub fn operands<const N: usize>(&self, term: Term, operation: &Op) -> Option<[Term; N]> {
        match self.definition(term)? {
            (defined, operands, 0) if defined == operation => operands.try_into().ok(),
            _ => None,
        }
    }

    /// The operation that yields a term from no operands, if there is one.
    pub fn constant(&self, term: Term) -> Option<&Op> {
        match self.definition(term)? {
            (operation, [], 0) if operation.output_count() == 1 => Some(operation),
            _ => None,
        }
    }

    /// Whether nothing but the operation that is being simplified uses a term, as far as is known: it
    /// goes if that operation does without it. For rules that would make work shared by others
    /// twice.
    pub fn is_unshared(&self, term: Term) -> bool {
        self.uses[term.0 as usize] == 0
    }

    /// The first result of an operation, simplified.
    pub fn apply(&mut self, operation: Op, operands: &[Term]) -> Term {
        if operation.input_count() != operands.len() || operation.output_count() == 0 {
            self.fail(&operation, "a rule", || {
                format!(
                    "it was applied to {} operands by a rule, and takes {}",
                    operands.len(),
                    operation.input_count()
                )
            });
            // A term that nobody looks into: the pass ends with the error.
            return self.push_origin(Origin::Leaf(u32::MAX));
        }
        self.steps = self.steps.saturating_sub(1);
        self.reduce(operation, operands)[0]
    }
}

/// For the pass.
impl<Op: GraphOperation> Terms<Op> {
    pub(super) fn new(level: Option<Exactness>) -> Self {
        Self {
            origins: Vec::new(),
            uses: Vec::new(),
            leaves: Vec::new(),
            nodes: Vec::new(),
            operands: Vec::new(),
            index: HashTable::new(),
            level,
            steps: 0,
            log: None,
            error: None,
        }
    }

    pub(super) fn logged(mut self) -> Self {
        self.log = Some(Vec::new());
        self
    }

    /// Puts all of a graph in and takes out what its outputs need now.
    pub(super) fn rebuild(
        &mut self,
        graph: &MaterializedGraph<Op>,
    ) -> Result<MaterializedGraph<Op>, GraphError> {
        let uses = count_uses(graph);
        let mut term_of: Vec<Term> = vec![Term(0); graph.values.len()];
        for (key, &value) in graph.inputs.iter().zip(&graph.input_values) {
            term_of[value] = self.leaf(key.clone());
            self.uses[term_of[value].0 as usize] = uses[value];
        }
        for node in &graph.operations {
            let operands = node.inputs.iter().map(|&value| term_of[value]);
            let operands: Operands = operands.collect();
            operands
                .iter()
                .for_each(|operand| self.uses[operand.0 as usize] -= 1);
            self.steps = STEPS;
            let results = self.reduce(node.operation.clone(), &operands);
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            for (&value, result) in node.outputs.iter().zip(results) {
                term_of[value] = result;
                self.uses[result.0 as usize] += uses[value];
            }
        }
        let outputs: Vec<Term> = graph.output_values.iter().map(|&v| term_of[v]).collect();
        Extraction::new(self).run(&outputs)
    }

    /// What was done, with keys.
    pub(super) fn take_log(&mut self) -> Result<Vec<AppliedRewrite<Op>>, GraphError> {
        let steps = self.log.take().unwrap_or_default();
        let mut keys = Keys::new(self);
        for node in 0..self.nodes.len() {
            keys.make(self, node as u32)?;
        }
        let applied = steps.into_iter().map(|step| {
            let before = keys.describe(self, &step.operation, &step.operands)?;
            Ok(AppliedRewrite {
                equation: step.equation,
                exactness: step.exactness,
                before: ValueKey::Derived {
                    operation: Arc::new(before),
                    output_slot: step.slot as u8,
                },
                after: keys.of(self, step.after),
            })
        });
        applied.collect()
    }

    fn leaf(&mut self, key: ValueKey<Op>) -> Term {
        let leaf = to_u32(self.leaves.len());
        self.leaves.push(key);
        self.push_origin(Origin::Leaf(leaf))
    }

    fn push_origin(&mut self, origin: Origin) -> Term {
        let term = Term(to_u32(self.origins.len()));
        self.origins.push(origin);
        self.uses.push(0);
        term
    }

    /// The results of an operation, in the simplest form that its rules know.
    fn reduce(&mut self, operation: Op, operands: &[Term]) -> Results {
        if let Some(level) = self.level
            && self.steps > 0
        {
            if let Some(folded) = self.fold(&operation, operands) {
                return folded;
            }
            if let Some(term) = self.rewrite(&operation, operands, level) {
                return Results::from_slice(&[term]);
            }
        }
        self.intern(operation, operands)
    }

    fn fold(&mut self, operation: &Op, operands: &[Term]) -> Option<Results> {
        if operands.is_empty() {
            return None;
        }
        let folded = {
            let constants = operands.iter().map(|&operand| self.constant(operand));
            let constants: SmallVec<[&Op; 4]> = constants.collect::<Option<_>>()?;
            operation.fold(&constants)?
        };
        let is_constant = |op: &Op| (op.input_count(), op.output_count()) == (0, 1);
        if folded.len() != operation.output_count() || !folded.iter().all(is_constant) {
            self.fail(operation, "folding", || {
                format!(
                    "it must yield {} operations without operands and with one result each, found {}",
                    operation.output_count(),
                    describe_operation(&folded)
                )
            });
            return None;
        }
        let results = folded.into_iter();
        let results: Results = results
            .map(|constant| self.intern(constant, &[])[0])
            .collect();
        for (slot, &result) in results.iter().enumerate() {
            self.note(
                "folding",
                Exactness::Exact,
                operation,
                operands,
                (slot, result),
            );
        }
        Some(results)
    }

    fn rewrite(&mut self, operation: &Op, operands: &[Term], level: Exactness) -> Option<Term> {
        if operation.output_count() != 1 {
            return None;
        }
        let rules = operation.rewrites().iter();
        for rule in rules.filter(|rule| rule.exactness <= level) {
            if let Some(term) = (rule.apply)(self, operation, operands) {
                self.steps = self.steps.saturating_sub(1);
                self.note(
                    rule.equation,
                    rule.exactness,
                    operation,
                    operands,
                    (0, term),
                );
                return Some(term);
            }
        }
        None
    }

    /// The results of just this operation, which is added if it is new.
    fn intern(&mut self, operation: Op, operands: &[Term]) -> Results {
        let commutes = operands.len() == 2 && operation.commutes();
        let hash = self.hash(&operation, operands, commutes);
        let same = |&node: &u32| {
            let known = self.operands_of(node);
            self.nodes[node as usize].operation == operation
                && (known == operands
                    || (commutes && known == [operands[1], operands[0]].as_slice()))
        };
        if let Some(&node) = self.index.find(hash, same) {
            let results = self.results(node);
            if self.operands_of(node) != operands {
                for (slot, &result) in results.iter().enumerate() {
                    let result = (slot, result);
                    self.note("exchange", Exactness::Exact, &operation, operands, result);
                }
            }
            return results;
        }
        self.push(hash, operation, operands)
    }

    fn push(&mut self, hash: u64, operation: Op, operands: &[Term]) -> Results {
        let node = to_u32(self.nodes.len());
        let first_output = Term(to_u32(self.origins.len()));
        for slot in 0..operation.output_count() as u32 {
            self.push_origin(Origin::Output { node, slot });
        }
        self.nodes.push(Node {
            operation,
            first_operand: to_u32(self.operands.len()),
            operand_count: operands.len() as u32,
            first_output,
        });
        self.operands.extend_from_slice(operands);
        operands
            .iter()
            .for_each(|operand| self.uses[operand.0 as usize] += 1);
        let mut index = std::mem::take(&mut self.index);
        index.insert_unique(hash, node, |&node| {
            let operation = &self.nodes[node as usize].operation;
            let operands = self.operands_of(node);
            self.hash(
                operation,
                operands,
                operands.len() == 2 && operation.commutes(),
            )
        });
        self.index = index;
        self.results(node)
    }

    /// The same for both orders of operands, if the operation commutes.
    fn hash(&self, operation: &Op, operands: &[Term], commutes: bool) -> u64 {
        match operands {
            [a, b] if commutes => hash_one(&(operation, [a.min(b), a.max(b)])),
            _ => hash_one(&(operation, operands)),
        }
    }

    fn results(&self, node: u32) -> Results {
        let node = &self.nodes[node as usize];
        let first = node.first_output.0;
        let count = node.operation.output_count() as u32;
        (first..first + count).map(Term).collect()
    }

    fn operands_of(&self, node: u32) -> &[Term] {
        let node = &self.nodes[node as usize];
        &self.operands[node.first_operand as usize..][..node.operand_count as usize]
    }

    fn note(
        &mut self,
        equation: &'static str,
        exactness: Exactness,
        operation: &Op,
        operands: &[Term],
        (slot, after): (usize, Term),
    ) {
        if let Some(log) = &mut self.log {
            log.push(Step {
                equation,
                exactness,
                operation: operation.clone(),
                operands: operands.into(),
                slot,
                after,
            });
        }
    }

    fn fail(&mut self, operation: &Op, rule: &str, reason: impl FnOnce() -> String) {
        self.error
            .get_or_insert_with(|| GraphError::InvalidRewrite {
                operation: describe_operation(operation),
                rule: rule.into(),
                reason: reason(),
            });
    }
}

/// By value: how many operands and outputs it is.
fn count_uses<Op: GraphOperation>(graph: &MaterializedGraph<Op>) -> Vec<u32> {
    let mut uses = vec![0; graph.values.len()];
    let operands = graph.operations.iter().flat_map(|node| &node.inputs);
    for &value in operands.chain(&graph.output_values) {
        uses[value] += 1;
    }
    uses
}

/// The keys of terms, made once each.
struct Keys<Op: GraphOperation> {
    by_node: Vec<Option<Arc<OperationKey<Op>>>>,
}

impl<Op: GraphOperation> Keys<Op> {
    fn new(terms: &Terms<Op>) -> Self {
        Self {
            by_node: vec![None; terms.nodes.len()],
        }
    }

    /// The key of a term whose node has one.
    fn of(&self, terms: &Terms<Op>, term: Term) -> ValueKey<Op> {
        match terms.origins[term.0 as usize] {
            Origin::Leaf(leaf) => terms.leaves[leaf as usize].clone(),
            Origin::Output { node, slot } => {
                let operation = self.by_node[node as usize].clone();
                ValueKey::Derived {
                    operation: operation.expect("operands are given keys first"),
                    output_slot: slot as u8,
                }
            }
        }
    }

    fn make(&mut self, terms: &Terms<Op>, node: u32) -> Result<Arc<OperationKey<Op>>, GraphError> {
        let operation = &terms.nodes[node as usize].operation;
        let key = Arc::new(self.describe(terms, operation, terms.operands_of(node))?);
        self.by_node[node as usize] = Some(Arc::clone(&key));
        Ok(key)
    }

    fn describe(
        &self,
        terms: &Terms<Op>,
        operation: &Op,
        operands: &[Term],
    ) -> Result<OperationKey<Op>, GraphError> {
        OperationKey::from_list(
            operation.clone(),
            operation.output_count(),
            operands.iter().map(|&term| self.of(terms, term)).collect(),
            OperationRole::Primary,
        )
    }
}

/// Takes out of the terms what outputs need.
struct Extraction<'a, Op: GraphOperation> {
    terms: &'a Terms<Op>,
    keys: Keys<Op>,
    /// By term: its index in the flat graph, once it is there.
    flat_value: Vec<Option<usize>>,
    graph: MaterializedGraph<Op>,
}

impl<'a, Op: GraphOperation> Extraction<'a, Op> {
    fn new(terms: &'a Terms<Op>) -> Self {
        Self {
            terms,
            keys: Keys::new(terms),
            flat_value: vec![None; terms.origins.len()],
            graph: MaterializedGraph {
                values: Vec::new(),
                operations: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                input_values: Vec::new(),
                output_values: Vec::new(),
            },
        }
    }

    /// In the order of a walk in depth, as [`materialize_merge`](crate::materialize_merge) would.
    fn run(mut self, outputs: &[Term]) -> Result<MaterializedGraph<Op>, GraphError> {
        for &output in outputs {
            self.visit(output)?;
            self.graph.output_values.push(self.flat(output));
            self.graph.outputs.push(self.keys.of(self.terms, output));
        }
        Ok(self.graph)
    }

    fn visit(&mut self, target: Term) -> Result<(), GraphError> {
        let mut open: Vec<(u32, usize)> = Vec::new();
        open.extend(self.enter(target));
        while let Some((node, next_operand)) = open.last_mut() {
            match self.terms.operands_of(*node).get(*next_operand) {
                Some(&operand) => {
                    *next_operand += 1;
                    open.extend(self.enter(operand));
                }
                None => {
                    let node = *node;
                    self.push_operation(node)?;
                    open.pop();
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, term: Term) -> Option<(u32, usize)> {
        if self.flat_value[term.0 as usize].is_some() {
            return None;
        }
        match self.terms.origins[term.0 as usize] {
            Origin::Output { node, .. } => Some((node, 0)),
            Origin::Leaf(leaf) => {
                let key = self.terms.leaves[leaf as usize].clone();
                let value = self.push_value(term, key.clone(), None);
                self.graph.input_values.push(value);
                self.graph.inputs.push(key);
                None
            }
        }
    }

    fn push_operation(&mut self, node: u32) -> Result<(), GraphError> {
        let key = self.keys.make(self.terms, node)?;
        let index = self.graph.operations.len();
        let operands = self.terms.operands_of(node).iter();
        let inputs = operands.map(|&operand| self.flat(operand)).collect();
        let results = self.terms.results(node).into_iter().enumerate();
        let outputs = results
            .map(|(slot, term)| {
                let value = self.keys.of(self.terms, term);
                self.push_value(term, value, Some((index, slot)))
            })
            .collect();
        let operation = MaterializedOperation::new(key, inputs, outputs);
        self.graph.operations.push(operation);
        Ok(())
    }

    fn push_value(
        &mut self,
        term: Term,
        key: ValueKey<Op>,
        producer: Option<(usize, usize)>,
    ) -> usize {
        let value = self.graph.values.len();
        self.graph.values.push(MaterializedValue { key, producer });
        self.flat_value[term.0 as usize] = Some(value);
        value
    }

    fn flat(&self, term: Term) -> usize {
        self.flat_value[term.0 as usize].expect("a walk in post-order meets operands first")
    }
}

/// As many terms as do not fit do not fit into memory either.
fn to_u32(index: usize) -> u32 {
    u32::try_from(index).expect("a graph holds fewer than 2^32 terms")
}
