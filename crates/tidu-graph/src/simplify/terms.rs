//! Rules, and the graph that a simplification makes of them: equal terms are one term, whatever they were
//! before.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::hash::BuildHasher;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::GraphOperation;
use crate::base::{DenseId, OperationId, Packed, TypeId};
use crate::dense::{DenseGraph, DenseRange, extract};
use crate::error::{GraphError, describe_operation};
use crate::key::{OperationKey, ValueKey};
use crate::operation::count_outputs;
use crate::operation_index::{OperationIndex, Place};

/// How faithful a rewrite is to what was written, from the most to the least. Also how much of that a
/// caller of [`try_simplify`](crate::try_simplify) puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exactness {
    /// The same bits for all operands, infinities and signed zeros included; a NaN remains a NaN, be
    /// it another one. For instance x·1 = x.
    Exact,
    /// The same number as long as every number on either side is finite; a zero may change its sign.
    /// For instance x·0 = 0.
    FiniteOnly,
    /// The same over the real numbers; rounding may differ, and a domain may grow. For instance
    /// x·y + x·z = x·(y + z).
    RealOnly,
}

/// A rule of an operation set: what an operation may be replaced by.
///
/// See [`GraphOperation::rewrites`].
#[derive(Clone)]
pub struct Rewrite<Op: GraphOperation> {
    /// The equation, as a reader would write it: `x·1 = x`.
    pub equation: &'static str,
    /// How far it holds.
    pub exactness: Exactness,
    /// Whether it only concerns operations that have a constant among their operands: it is not tried on
    /// others.
    pub needs_constant: bool,
    apply: Apply<Op>,
}

/// What a rule does: given the operation and its operands, the term that may stand for its result.
pub type Apply<Op> = fn(&mut Terms<Op>, &Op, &[Term]) -> Option<Term>;

/// A rewrite that was made: `before` and `after` are to be equal, as far as `exactness` says.
#[derive(Clone, Debug, PartialEq)]
pub struct AppliedRewrite<Op: GraphOperation> {
    /// The equation of the rule; `folding` and `exchange` for what needs none.
    pub equation: &'static str,
    /// How far `before` and `after` are equal: as far as the rule holds, or less where what it makes
    /// was simplified in turn by rules that are less exact.
    pub exactness: Exactness,
    /// What stood there, its operands being simplified already.
    pub before: ValueKey<Op>,
    /// What stands there now.
    pub after: ValueKey<Op>,
}

impl<Op: GraphOperation> Rewrite<Op> {
    /// A rule that keeps every bit.
    pub const fn exact(equation: &'static str, apply: Apply<Op>) -> Self {
        Self::new(equation, Exactness::Exact, apply)
    }

    /// A rule for finite numbers.
    pub const fn finite_only(equation: &'static str, apply: Apply<Op>) -> Self {
        Self::new(equation, Exactness::FiniteOnly, apply)
    }

    /// A rule for real numbers.
    pub const fn real_only(equation: &'static str, apply: Apply<Op>) -> Self {
        Self::new(equation, Exactness::RealOnly, apply)
    }

    const fn new(equation: &'static str, exactness: Exactness, apply: Apply<Op>) -> Self {
        Self {
            equation,
            exactness,
            needs_constant: false,
            apply,
        }
    }

    /// The same rule, for operations that have a constant among their operands only: to find that out
    /// takes less time than to try it.
    pub const fn for_constants(mut self) -> Self {
        self.needs_constant = true;
        self
    }
}

/// A value of a graph that is being simplified. Equal terms compute the same.
pub type Term = DenseId;

/// The graph that a simplification makes, as rules see it: what a term is, and a way to make others.
pub struct Terms<Op: GraphOperation> {
    graph: DenseGraph<Op>,
    values: Vec<Value>,
    index: OperationIndex,
    /// `None` to merge only.
    level: Option<Exactness>,
    /// What is left for the operation that is being simplified.
    steps: usize,
    /// The least exact rule that had a part in the rewrite that is being made: what a rule makes is
    /// simplified in turn.
    loosest: Exactness,
    log: Option<Vec<Step<Op>>>,
    /// The results of the operation that is being simplified, as the graph numbers them that is put in; empty
    /// within a rule.
    given: DenseRange,
    /// The types of the values of that graph, if it has any.
    types: Vec<TypeId>,
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

/// What is known of a term.
#[derive(Clone, Copy)]
struct Value {
    /// The operation that makes it, unless it is an input.
    producer: Packed<OperationId>,
    /// How many operands and outputs it is of what was made, and of what is still to come.
    uses: u32,
    /// The last operation in its list. See [`OperationIndex`].
    last: Packed<OperationId>,
    is_constant: bool,
}

impl Value {
    fn new(producer: Packed<OperationId>, is_constant: bool) -> Self {
        Self {
            producer,
            uses: 0,
            last: Packed::NONE,
            is_constant,
        }
    }
}

/// What stands for the results of an operation.
enum Results {
    Range(DenseRange),
    /// Constants, of an operation of several results.
    Folded(SmallVec<[Term; 2]>),
}

/// For rules.
impl<Op: GraphOperation> Terms<Op> {
    /// The operation that a term is a result of, with its operands and the output slot; `None` for an
    /// input.
    #[inline]
    pub fn definition(&self, term: Term) -> Option<(&Op, &[Term], usize)> {
        let producer = self.values[term.index()].producer.get()?;
        let node = self.graph.node(producer);
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
        if !self.is_constant(term) {
            return None;
        }
        self.definition(term).map(|(operation, _, _)| operation)
    }

    /// Whether nothing but the operation that is being simplified uses a term, as far as is known: it
    /// goes if that operation does without it. For rules that would make work shared by others
    /// twice.
    pub fn is_unshared(&self, term: Term) -> bool {
        self.values[term.index()].uses == 0
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
        if let Err(error) = count_outputs(&operation) {
            self.error.get_or_insert(error);
            return self.hole();
        }
        self.steps = self.steps.saturating_sub(1);
        let outer = std::mem::replace(&mut self.given, DenseRange::EMPTY);
        let results = self.reduce(&operation, operands);
        self.given = outer;
        results.get(0)
    }
}

/// For the pass.
impl<Op: GraphOperation> Terms<Op> {
    /// As a pass over `graph` begins.
    pub(super) fn of(graph: &DenseGraph<Op>, level: Option<Exactness>) -> Self {
        let (operations, operands) = (graph.operation_count(), graph.operand_count());
        let room = DenseGraph::with_capacity(0, operations, operands);
        let inputs = graph.input_count();
        let mut values = Vec::with_capacity(inputs + operations);
        values.resize(inputs, Value::new(Packed::NONE, false));
        Self {
            graph: graph.of_inputs_like(graph.inputs(), room),
            values,
            index: OperationIndex::with_capacity(operations),
            level,
            steps: 0,
            loosest: Exactness::Exact,
            log: None,
            given: DenseRange::EMPTY,
            types: Vec::new(),
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
        graph: Cow<'_, DenseGraph<Op>>,
    ) -> Result<DenseGraph<Op>, GraphError> {
        let outputs = self.put_all(&graph)?;
        let (operations, operands) = (self.graph.operation_count(), self.graph.operand_count());
        let room = match graph {
            Cow::Owned(graph) => graph,
            Cow::Borrowed(_) => DenseGraph::with_capacity(0, operations, operands),
        };
        let values = &self.values;
        let producer = |term: Term| values[term.index()].producer.get();
        let extracted = extract(&self.graph, self.graph.inputs(), &outputs, producer, room);
        Ok(extracted.expect("every input is given"))
    }

    /// Puts all of a graph in and says which terms its outputs are.
    fn put_all(&mut self, graph: &DenseGraph<Op>) -> Result<Vec<Term>, GraphError> {
        let uses = count_uses(graph);
        self.types = graph.all_type_ids().to_vec();
        let mut term_of: Vec<Term> = Vec::with_capacity(graph.value_count());
        term_of.extend(self.graph.inputs());
        for (value, uses) in self.values.iter_mut().zip(&uses) {
            value.uses = *uses;
        }
        let mut operands: Vec<Term> = Vec::new();
        for node in graph.nodes() {
            operands.clear();
            for value in node.operands {
                let operand = term_of[value.index()];
                self.values[operand.index()].uses -= 1;
                operands.push(operand);
            }
            self.steps = STEPS;
            self.given = node.results;
            let results = self.reduce(node.operation, &operands);
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            for (slot, value) in node.results.indices().enumerate() {
                let result = results.get(slot);
                term_of.push(result);
                self.values[result.index()].uses += uses[value];
            }
            if !self.types.is_empty() {
                self.check_types(node.operation, node.results, &term_of)?;
            }
        }
        let outputs = graph.outputs().iter();
        Ok(outputs.map(|value| term_of[value.index()]).collect())
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
                before: ValueKey::result(
                    &Arc::new(OperationKey::primary(
                        &step.operation,
                        operands.collect(),
                        None,
                    )),
                    step.slot,
                ),
                after: key_of(step.after),
            }
        });
        applied.collect()
    }

    /// A term that nobody looks into: the pass ends with an error.
    fn hole(&mut self) -> Term {
        let hole = self.graph.push_results(1);
        self.graph.note_types([TypeId(0)]);
        self.add_values(Packed::NONE, hole, false);
        hole.start()
    }

    fn add_values(&mut self, producer: Packed<OperationId>, values: DenseRange, is_constant: bool) {
        let value = Value::new(producer, is_constant);
        self.values.resize(values.indices().end, value);
    }

    fn is_constant(&self, term: Term) -> bool {
        self.values[term.index()].is_constant
    }

    /// The results of an operation, in the simplest form that its rules know.
    fn reduce(&mut self, operation: &Op, operands: &[Term]) -> Results {
        if let Some(level) = self.level
            && self.steps > 0
        {
            let constants = operands
                .iter()
                .filter(|&&operand| self.is_constant(operand));
            let constants = constants.count();
            if constants > 0
                && constants == operands.len()
                && let Some(folded) = self.fold(operation, operands)
            {
                return folded;
            }
            let some_constant = constants > 0;
            if let Some(term) = self.rewrite(operation, operands, level, some_constant) {
                return Results::Range(DenseRange::of(term));
            }
        }
        self.intern(operation, operands)
    }

    fn fold(&mut self, operation: &Op, operands: &[Term]) -> Option<Results> {
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
        let outer = std::mem::replace(&mut self.given, DenseRange::EMPTY);
        let results = folded.iter();
        let results: SmallVec<[Term; 2]> = results
            .map(|constant| self.intern(constant, &[]).get(0))
            .collect();
        self.given = outer;
        for (slot, &result) in results.iter().enumerate() {
            let result = (slot, result);
            self.note("folding", Exactness::Exact, operation, operands, result);
        }
        Some(Results::Folded(results))
    }

    fn rewrite(
        &mut self,
        operation: &Op,
        operands: &[Term],
        level: Exactness,
        some_constant: bool,
    ) -> Option<Term> {
        let rules = operation.rewrites();
        if rules.is_empty() || operation.output_count() != 1 {
            return None;
        }
        let concerns = |rule: &&Rewrite<Op>| {
            rule.exactness <= level && (some_constant || !rule.needs_constant)
        };
        let outer = self.loosest;
        for rule in rules.iter().filter(concerns) {
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
        match self.find(operation, operands, commutes) {
            Ok(known) => {
                let known = self.graph.node(known);
                let (results, exchanged) = (known.results, known.operands != operands);
                if exchanged && self.log.is_some() {
                    for (slot, result) in results.iter().enumerate() {
                        let result = (slot, result);
                        self.note("exchange", Exactness::Exact, operation, operands, result);
                    }
                }
                Results::Range(results)
            }
            Err(place) => {
                let node = OperationId::new(self.graph.operation_count());
                let count = operation.output_count();
                if self.graph.has_types() {
                    self.note_types(operation, operands, count);
                }
                let results =
                    self.graph
                        .push_unchecked(operation.clone(), operands.iter().copied(), count);
                let is_constant = operands.is_empty() && count == 1;
                self.add_values(node.into(), results, is_constant);
                for operand in operands {
                    self.values[operand.index()].uses += 1;
                }
                let youngest = operands.iter().max();
                let last = youngest.map(|youngest| &mut self.values[youngest.index()].last);
                self.index.put(node, place, last);
                Results::Range(results)
            }
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

    /// Notes the types of an operation's results: those that are given for them, or what is inferred.
    #[inline(never)]
    fn note_types(&mut self, operation: &Op, operands: &[Term], count: usize) {
        if self.given.len() == count {
            let given = self.types[self.given.indices()].iter();
            self.graph.note_types(given.copied());
        } else if let Err(error) = self.graph.infer(operation, operands) {
            self.error.get_or_insert(error);
            self.graph.note_types((0..count).map(|_| TypeId(0)));
        }
    }

    /// Fails where what stands for a result of an operation is of another type.
    #[inline(never)]
    fn check_types(
        &self,
        operation: &Op,
        results: DenseRange,
        term_of: &[Term],
    ) -> Result<(), GraphError> {
        let wrong = results.indices().find(|&value| {
            let found = self.graph.type_id(term_of[value]);
            found != Some(self.types[value])
        });
        let Some(value) = wrong else {
            return Ok(());
        };
        let expected = self.graph.type_named(self.types[value]);
        let found = self.graph.type_of(term_of[value]);
        Err(GraphError::InvalidRewrite {
            operation: describe_operation(operation),
            rule: "a rule".into(),
            reason: match (expected, found) {
                (Some(expected), Some(found)) => format!("it is {expected}, and became {found}"),
                _ => "it lost its type".into(),
            },
        })
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

impl Results {
    fn get(&self, slot: usize) -> Term {
        match self {
            Results::Range(range) => range.get(slot).expect("there is one term per result"),
            Results::Folded(terms) => terms[slot],
        }
    }
}

/// For finding what is equal.
impl<Op: GraphOperation> Terms<Op> {
    /// The operation that applies this to that, or where to put it.
    fn find(
        &self,
        operation: &Op,
        operands: &[Term],
        commutes: bool,
    ) -> Result<OperationId, Place> {
        let is_same = |node: OperationId| {
            let known = self.graph.node(node);
            (known.operands == operands
                || (commutes && known.operands == [operands[1], operands[0]].as_slice()))
                && known.operation == operation
        };
        let youngest = operands.iter().max();
        let last = youngest.map(|youngest| self.values[youngest.index()].last);
        let hash = || hash(operation, operands, commutes);
        self.index.find(last, is_same, hash)
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

impl<Op: GraphOperation> Copy for Rewrite<Op> {}

impl<Op: GraphOperation> Debug for Rewrite<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.exactness, self.equation)
    }
}
