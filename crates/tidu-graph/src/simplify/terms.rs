//! The graph that a simplification makes: equal terms are one term, whatever they were before.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{AppliedRewrite, Exactness};
use crate::GraphOperation;
use crate::dense::{
    DenseGraph, DenseId, DenseRange, Extraction, Producers, counted_outputs, primary_key,
};
use crate::error::{GraphError, describe_operation};
use crate::key::ValueKey;

/// A value of a graph that is being simplified. Equal terms compute the same.
pub type Term = DenseId;

/// The graph that a simplification makes, as rules see it: what a term is, and a way to make others.
pub struct Terms<Op: GraphOperation> {
    graph: DenseGraph<Op>,
    producers: Producers,
    /// By term: how many operands and outputs it is of what was made, and of what is still to come.
    uses: Vec<u32>,
    /// Operations of `graph`, by what they are applied to what.
    index: HashTable<u32>,
    /// `None` to merge only.
    level: Option<Exactness>,
    /// What is left for the operation that is being simplified.
    steps: usize,
    /// The least exact rule that had a part in the rewrite that is being made: what a rule makes is
    /// simplified in turn.
    loosest: Exactness,
    log: Option<Vec<Step<Op>>>,
    /// The first thing that a rule did wrong: rules themselves cannot fail.
    error: Option<GraphError>,
}

/// The most steps that are made for one operation, so that rules which undo each other end.
const STEPS: usize = 64;

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
    #[inline]
    pub fn definition(&self, term: Term) -> Option<(&Op, &[Term], usize)> {
        let node = self.graph.node(self.producers.of(term)?);
        let slot = term.index() - node.results.indices().start;
        Some((node.operation, node.operands, slot))
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
        self.uses[term.index()] == 0
    }

    /// The first result of an operation, simplified.
    #[allow(clippy::needless_pass_by_value, reason = "rules read better")]
    pub fn apply(&mut self, operation: Op, operands: &[Term]) -> Term {
        if operation.input_count() != operands.len() || operation.output_count() == 0 {
            self.fail(&operation, "a rule", || {
                format!(
                    "it was applied to {} operands by a rule, and takes {}",
                    operands.len(),
                    operation.input_count()
                )
            });
            return self.hole();
        }
        if let Err(error) = counted_outputs(&operation) {
            self.error.get_or_insert(error);
            return self.hole();
        }
        self.steps = self.steps.saturating_sub(1);
        self.reduce(&operation, operands)[0]
    }
}

/// For the pass.
impl<Op: GraphOperation> Terms<Op> {
    /// Nothing but inputs, with room for so many operations and operands.
    pub(super) fn new(
        inputs: usize,
        operations: usize,
        operands: usize,
        level: Option<Exactness>,
    ) -> Self {
        Self {
            graph: DenseGraph::with_capacity(inputs, operations, operands),
            producers: Producers::of_inputs(inputs),
            uses: vec![0; inputs],
            index: HashTable::with_capacity(operations),
            level,
            steps: 0,
            loosest: Exactness::Exact,
            log: None,
            error: None,
        }
    }

    /// As a pass over `graph` begins.
    pub(super) fn of(graph: &DenseGraph<Op>, level: Option<Exactness>) -> Self {
        let (operations, operands) = (graph.operation_count(), graph.operand_count());
        Self::new(graph.input_count(), operations, operands, level)
    }

    pub(super) fn logged(mut self) -> Self {
        self.log = Some(Vec::new());
        self
    }

    /// Puts all of a graph in and takes out what its outputs need now.
    pub(super) fn rebuild(&mut self, graph: &DenseGraph<Op>) -> Result<DenseGraph<Op>, GraphError> {
        let uses = count_uses(graph);
        let mut term_of: Vec<Term> = Vec::with_capacity(graph.value_count());
        term_of.extend(self.graph.inputs());
        self.uses.copy_from_slice(&uses[..graph.input_count()]);
        let mut operands = Operands::new();
        for node in graph.nodes() {
            operands.clear();
            operands.extend(node.operands.iter().map(|value| term_of[value.index()]));
            for operand in &operands {
                self.uses[operand.index()] -= 1;
            }
            self.steps = STEPS;
            let results = self.reduce(node.operation, &operands);
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            for (value, result) in node.results.indices().zip(results) {
                term_of.push(result);
                self.uses[result.index()] += uses[value];
            }
        }
        drop(uses);
        let outputs = graph.outputs().iter();
        let outputs: Vec<Term> = outputs.map(|value| term_of[value.index()]).collect();
        drop(term_of);
        Ok(Extraction::new(&self.graph, &self.producers).run(&outputs))
    }

    /// What was done, with keys.
    pub(super) fn take_log(&mut self, inputs: &[Op::InputKey]) -> Vec<AppliedRewrite<Op>> {
        let steps = self.log.take().unwrap_or_default();
        let graph = self.graph.to_graph(inputs);
        let key_of = |term: Term| graph.values()[term.index()].key.clone();
        let applied = steps.into_iter().map(|step| {
            let operands = step.operands.iter().map(|&operand| key_of(operand));
            AppliedRewrite {
                equation: step.equation,
                exactness: step.exactness,
                before: ValueKey::Derived {
                    operation: Arc::new(primary_key(&step.operation, operands.collect())),
                    output_slot: step.slot as u8,
                },
                after: key_of(step.after),
            }
        });
        applied.collect()
    }

    /// A term that nobody looks into: the pass ends with an error.
    fn hole(&mut self) -> Term {
        let hole = self.graph.push_results(1);
        self.add_values(None, hole);
        hole.start()
    }

    fn add_values(&mut self, producer: Option<usize>, values: DenseRange) {
        self.producers.push(producer, values);
        self.uses.resize(self.graph.value_count(), 0);
    }

    /// The results of an operation, in the simplest form that its rules know.
    fn reduce(&mut self, operation: &Op, operands: &[Term]) -> Results {
        if let Some(level) = self.level
            && self.steps > 0
        {
            if let Some(folded) = self.fold(operation, operands) {
                return folded;
            }
            if let Some(term) = self.rewrite(operation, operands, level) {
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
            .map(|constant| self.intern(&constant, &[])[0])
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
        let outer = self.loosest;
        for rule in rules.filter(|rule| rule.exactness <= level) {
            self.loosest = rule.exactness;
            if let Some(term) = (rule.apply)(self, operation, operands) {
                self.steps = self.steps.saturating_sub(1);
                let exactness = self.loosest;
                self.note(rule.equation, exactness, operation, operands, (0, term));
                self.loosest = outer.max(exactness);
                return Some(term);
            }
        }
        self.loosest = outer;
        None
    }

    /// The results of just this operation, which is added if it is new.
    fn intern(&mut self, operation: &Op, operands: &[Term]) -> Results {
        let commutes = operands.len() == 2 && operation.commutes();
        let hash = hash(operation, operands, commutes);
        let same = |&node: &u32| {
            let known = self.graph.node(node as usize);
            (known.operands == operands
                || (commutes && known.operands == [operands[1], operands[0]].as_slice()))
                && known.operation == operation
        };
        let Some(&node) = self.index.find(hash, same) else {
            return self.push(hash, operation, operands);
        };
        let known = self.graph.node(node as usize);
        let (results, exchanged) = (known.results.iter().collect(), known.operands != operands);
        if exchanged {
            self.note_exchange(operation, operands, &results);
        }
        results
    }

    fn push(&mut self, hash_value: u64, operation: &Op, operands: &[Term]) -> Results {
        let node = self.graph.operation_count();
        let count = operation.output_count();
        let results = self
            .graph
            .push_unchecked(operation.clone(), operands, count);
        self.add_values(Some(node), results);
        for operand in operands {
            self.uses[operand.index()] += 1;
        }
        let graph = &self.graph;
        self.index.insert_unique(hash_value, node as u32, |&node| {
            let node = graph.node(node as usize);
            let commutes = node.operands.len() == 2 && node.operation.commutes();
            hash(node.operation, node.operands, commutes)
        });
        results.iter().collect()
    }

    fn note_exchange(&mut self, operation: &Op, operands: &[Term], results: &Results) {
        for (slot, &result) in results.iter().enumerate() {
            let result = (slot, result);
            self.note("exchange", Exactness::Exact, operation, operands, result);
        }
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

/// The same for both orders of operands, if the operation commutes.
fn hash<Op: GraphOperation>(operation: &Op, operands: &[Term], commutes: bool) -> u64 {
    // The bits of a hash are all that a table needs; they decide nothing else.
    let state = foldhash::fast::FixedState::default();
    match operands {
        [a, b] if commutes => state.hash_one((operation, a.min(b), a.max(b))),
        _ => state.hash_one((operation, operands)),
    }
}

/// By value: how many operands and outputs it is.
fn count_uses<Op: GraphOperation>(graph: &DenseGraph<Op>) -> Vec<u32> {
    let mut uses = vec![0; graph.value_count()];
    let operands = graph.nodes().flat_map(|node| node.operands);
    for value in operands.chain(graph.outputs()) {
        uses[value.index()] += 1;
    }
    uses
}
