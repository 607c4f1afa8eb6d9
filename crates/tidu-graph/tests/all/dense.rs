//! Computations by positions, against an interpreter that knows nothing of graphs: what programs
//! compute, clone, and keep alive; what is needed, inlined, named, merged; and what all that costs.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};

use crate::support::{on_small_stack, panic_text};
use tidu_graph::{
    CompiledProgram, DenseGraph, DenseId, EvaluableGraphOperation, Exactness, GraphBuilder,
    GraphError, GraphOperation, Operands, OperationRole, Rewrite, ValueKey, ValueRef, ValueType,
    Workspace, materialize_merge, merge, resolve, try_simplify,
};
use tidu_testkit::{Random, cases};

thread_local! {
    static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    static HASHES: Cell<usize> = const { Cell::new(0) };
    static RULE_CALLS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static CLONES: Cell<usize> = const { Cell::new(0) };
}

fn bump(counter: &'static std::thread::LocalKey<Cell<usize>>) {
    counter.set(counter.get() + 1);
}

#[derive(Clone, Copy)]
enum Op {
    Constant(i64),
    /// k·x
    Times(i64),
    Neg,
    Add,
    Mul,
    Sub,
    /// x ↦ (x + 1, 3·x, 7 - x)
    Three,
    /// Σ (i + 1)·xᵢ
    Weigh(usize),
    /// So many results.
    Wide(usize),
}

impl Op {
    /// What tells operations apart.
    fn code(&self) -> (u8, i64) {
        match *self {
            Op::Constant(k) => (0, k),
            Op::Times(k) => (1, k),
            Op::Neg => (2, 0),
            Op::Add => (3, 0),
            Op::Mul => (4, 0),
            Op::Sub => (5, 0),
            Op::Three => (6, 0),
            Op::Weigh(n) => (7, n as i64),
            Op::Wide(n) => (8, n as i64),
        }
    }

    fn meaning(&self, x: &[i64]) -> Vec<i64> {
        match *self {
            Op::Constant(k) => vec![k],
            Op::Times(k) => vec![x[0].wrapping_mul(k)],
            Op::Neg => vec![x[0].wrapping_neg()],
            Op::Add => vec![x[0].wrapping_add(x[1])],
            Op::Mul => vec![x[0].wrapping_mul(x[1])],
            Op::Sub => vec![x[0].wrapping_sub(x[1])],
            Op::Three => vec![
                x[0].wrapping_add(1),
                x[0].wrapping_mul(3),
                7i64.wrapping_sub(x[0]),
            ],
            Op::Weigh(_) => {
                let terms = x.iter().zip(1..).map(|(x, i)| x.wrapping_mul(i));
                vec![terms.fold(0, i64::wrapping_add)]
            }
            Op::Wide(n) => (0..n as i64).map(|slot| x[0].wrapping_add(slot)).collect(),
        }
    }
}

impl Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.code())
    }
}

impl PartialEq for Op {
    fn eq(&self, other: &Self) -> bool {
        bump(&COMPARISONS);
        self.code() == other.code()
    }
}

impl Eq for Op {}

impl Hash for Op {
    fn hash<H: Hasher>(&self, state: &mut H) {
        bump(&HASHES);
        self.code().hash(state);
    }
}

/// A number that counts how many of its kind are alive, and how often one was cloned.
struct Number(i64);

impl Number {
    fn new(value: i64) -> Self {
        bump(&LIVE);
        PEAK.set(PEAK.get().max(LIVE.get()));
        Self(value)
    }
}

impl Clone for Number {
    fn clone(&self) -> Self {
        bump(&CLONES);
        Self::new(self.0)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
        // Whoever reads it again reads nonsense.
        self.0 = i64::MIN / 3;
    }
}

impl GraphOperation for Op {
    type Operand = Number;
    type Context = ();
    type InputKey = u32;

    fn input_count(&self) -> usize {
        match *self {
            Op::Constant(_) => 0,
            Op::Times(_) | Op::Neg | Op::Three | Op::Wide(_) => 1,
            Op::Add | Op::Mul | Op::Sub => 2,
            Op::Weigh(n) => n,
        }
    }

    fn output_count(&self) -> usize {
        match *self {
            Op::Three => 3,
            Op::Wide(n) => n,
            _ => 1,
        }
    }

    /// Of bytes, as many as [`bytes_of`] says.
    fn infer_types(
        &self,
        _: &[&ValueType],
    ) -> Result<Option<Vec<ValueType>>, Box<dyn Error + Send + Sync>> {
        let sizes = (0..self.output_count()).map(|slot| bytes_of(self, slot));
        Ok(Some(
            sizes.map(|size| ValueType::new("u8", [size])).collect(),
        ))
    }

    fn commutes(&self) -> bool {
        matches!(self, Op::Add | Op::Mul)
    }

    fn rewrites(&self) -> &'static [Rewrite<Self>] {
        match self {
            Op::Add => ADD,
            Op::Neg => NEG,
            _ => &[],
        }
    }
}

fn bytes_of(op: &Op, slot: usize) -> usize {
    1 + (7 * usize::from(op.code().0) + 5 * slot) % 11
}

const ADD: &[Rewrite<Op>] = &[Rewrite::exact("x + 0 = x", |t, _, x| {
    bump(&RULE_CALLS);
    assert!(
        x.iter().any(|&x| t.constant(x).is_some()),
        "no constant among the operands"
    );
    let is_zero = |x| matches!(t.constant(x), Some(Op::Constant(0)));
    match [is_zero(x[0]), is_zero(x[1])] {
        [_, true] => Some(x[0]),
        [true, _] => Some(x[1]),
        _ => None,
    }
})
.for_constants()];

const NEG: &[Rewrite<Op>] = &[
    Rewrite::exact("-(-x) = x", |t, _, x| {
        let [x] = t.operands(x[0], &Op::Neg)?;
        Some(x)
    }),
    Rewrite::exact("-(x - y) = y - x", |t, _, x| {
        let [a, b] = t.operands(x[0], &Op::Sub).filter(|_| t.is_unshared(x[0]))?;
        Some(t.apply(Op::Sub, &[b, a]))
    }),
];

impl EvaluableGraphOperation for Op {
    fn eval(&self, (): &mut (), x: &[&Number]) -> Vec<Number> {
        let x: Vec<i64> = x.iter().map(|x| x.0).collect();
        self.meaning(&x).into_iter().map(Number::new).collect()
    }

    /// Some take the first operand, some the last, some all that they may, some look only.
    fn eval_one(&self, (): &mut (), x: &mut Operands<'_, Number>) -> Option<Number> {
        let numbers: Vec<i64> = (0..x.len()).map(|at| x[at].0).collect();
        let mut taken = match self {
            Op::Add => x.take(0),
            Op::Sub => x.take(1),
            Op::Weigh(_) => {
                let all: Vec<Option<Number>> = (0..x.len()).map(|at| x.take(at)).collect();
                all.into_iter().flatten().next_back()
            }
            Op::Neg | Op::Times(_) => None,
            _ => return None,
        };
        // What stands beside it can be read still.
        match self {
            Op::Add => assert_eq!(x[1].0, numbers[1]),
            Op::Sub => assert_eq!(x[0].0, numbers[0]),
            _ => {}
        }
        let result = self.meaning(&numbers)[0];
        match &mut taken {
            Some(memory) => memory.0 = result,
            None => taken = Some(Number::new(result)),
        }
        taken
    }
}

/// A computation as a list, without any graph.
struct Steps {
    inputs: usize,
    steps: Vec<(Op, Vec<usize>)>,
    outputs: Vec<usize>,
}

impl Steps {
    fn random(random: &mut Random) -> Self {
        let inputs = random.below(4);
        let mut values = inputs;
        let mut steps = Vec::new();
        for _ in 0..random.below(30) {
            let small = random.below(3) as i64;
            let op = match random.below(12) {
                _ if values == 0 => Op::Constant(small),
                0 => Op::Constant(small),
                1 => Op::Times(small),
                2 => Op::Neg,
                3 | 4 => Op::Add,
                5 => Op::Mul,
                6 | 7 => Op::Sub,
                8 => Op::Three,
                9 => Op::Wide(random.below(3)),
                _ => Op::Weigh(random.below(6)),
            };
            // Near values and repeated ones are likely.
            let near = values.min(5);
            let operands = (0..op.input_count()).map(|_| match random.below(3) {
                0 => random.below(values),
                _ => values - 1 - random.below(near),
            });
            steps.push((op, operands.collect()));
            values += op.output_count();
        }
        let outputs = match values {
            0 => Vec::new(),
            _ => (0..random.below(6)).map(|_| random.below(values)).collect(),
        };
        Self {
            inputs,
            steps,
            outputs,
        }
    }

    fn values(&self, x: &[i64]) -> Vec<i64> {
        let mut values = x.to_vec();
        for (op, operands) in &self.steps {
            let operands: Vec<i64> = operands.iter().map(|&at| values[at]).collect();
            values.extend(op.meaning(&operands));
        }
        values
    }

    fn results(&self, x: &[i64]) -> Vec<i64> {
        let values = self.values(x);
        self.outputs.iter().map(|&at| values[at]).collect()
    }

    fn dense(&self) -> DenseGraph<Op> {
        let mut graph = DenseGraph::new(self.inputs);
        let mut ids: Vec<DenseId> = graph.inputs().collect();
        for (op, operands) in &self.steps {
            let operands: Vec<DenseId> = operands.iter().map(|&at| ids[at]).collect();
            ids.extend(graph.push(*op, &operands).unwrap().iter());
        }
        graph.set_outputs(self.outputs.iter().map(|&at| ids[at]).collect());
        graph
    }

    /// By step: the first of its results.
    fn first_results(&self) -> Vec<usize> {
        let counts = self.steps.iter().map(|(op, _)| op.output_count());
        let firsts = counts.scan(self.inputs, |next, count| {
            *next += count;
            Some(*next - count)
        });
        firsts.collect()
    }

    /// The steps that the outputs need, in the order of a walk in depth, by recursion.
    fn needed(&self) -> Vec<usize> {
        fn visit(steps: &Steps, firsts: &[usize], value: usize, found: &mut Vec<usize>) {
            if value < steps.inputs {
                return;
            }
            let producer = (0..firsts.len())
                .find(|&at| {
                    (firsts[at]..firsts[at] + steps.steps[at].0.output_count()).contains(&value)
                })
                .unwrap();
            if found.contains(&producer) {
                return;
            }
            for &operand in &steps.steps[producer].1 {
                visit(steps, firsts, operand, found);
            }
            found.push(producer);
        }
        let (firsts, mut found) = (self.first_results(), Vec::new());
        for &output in &self.outputs {
            visit(self, &firsts, output, &mut found);
        }
        found
    }

    /// How many different operations the outputs need, if equal work is done once.
    fn distinct(&self) -> usize {
        let (firsts, needed) = (self.first_results(), self.needed());
        let mut class: Vec<(usize, usize)> = (0..self.inputs).map(|at| (at, usize::MAX)).collect();
        let mut classes = BTreeMap::new();
        let mut used = BTreeSet::new();
        for (at, (op, operands)) in self.steps.iter().enumerate() {
            assert_eq!(class.len(), firsts[at]);
            let mut operands: Vec<_> = operands.iter().map(|&at| class[at]).collect();
            if matches!(op, Op::Add | Op::Mul) {
                operands.sort_unstable();
            }
            let next = classes.len();
            let this = *classes.entry((op.code(), operands)).or_insert(next);
            class.extend((0..op.output_count()).map(|slot| (slot, this)));
            if needed.contains(&at) {
                used.insert(this);
            }
        }
        used.len()
    }
}

/// What a program returns, what it cloned, and how many numbers were alive at once beside the inputs.
fn run(program: &CompiledProgram<Op>, x: &[i64]) -> (Vec<i64>, usize, usize) {
    run_in(program, &mut Workspace::new(), x)
}

fn run_in(
    program: &CompiledProgram<Op>,
    workspace: &mut Workspace<Number>,
    x: &[i64],
) -> (Vec<i64>, usize, usize) {
    let inputs: Vec<Number> = x.iter().copied().map(Number::new).collect();
    let before = LIVE.get();
    PEAK.set(before);
    CLONES.set(0);
    let borrowed: Vec<&Number> = inputs.iter().collect();
    let results = program.try_eval_in(workspace, &mut (), &borrowed).unwrap();
    let (clones, peak) = (CLONES.get(), PEAK.get() - before);
    assert_eq!(LIVE.get() - before, results.len(), "something stays alive");
    let untouched: Vec<i64> = inputs.iter().map(|x| x.0).collect();
    assert_eq!(untouched, x);
    (results.iter().map(|y| y.0).collect(), clones, peak)
}

fn values(graph: &DenseGraph<Op>, x: &[i64]) -> Vec<i64> {
    run(&graph.compile(), x).0
}

const X: [i64; 4] = [3, -5, 1_000_003, 11];

/// Over many computations of any shape.
fn for_all(seed: u64, check: impl Fn(&Steps, &[i64])) {
    let mut random = Random(seed);
    for _ in 0..600 {
        let steps = Steps::random(&mut random);
        check(&steps, &X[..steps.inputs]);
    }
}

/// For each step: how many values that are no inputs are alive after it, and at most while it runs.
fn alive(steps: &Steps) -> (usize, usize) {
    let firsts = steps.first_results();
    let last_use = |value: usize| -> Option<usize> {
        match steps.outputs.contains(&value) {
            true => Some(usize::MAX),
            false => (0..steps.steps.len()).rfind(|&at| steps.steps[at].1.contains(&value)),
        }
    };
    let mut most = (0, steps.outputs.len());
    for (at, (op, _)) in steps.steps.iter().enumerate() {
        let end = firsts[at] + op.output_count();
        let after = |value: &usize| last_use(*value).is_some_and(|last| last > at);
        let before = |value: &usize| last_use(*value).is_some_and(|last| last >= at);
        let after = (steps.inputs..end).filter(after).count();
        let before = (steps.inputs..firsts[at]).filter(before).count();
        most.0 = most.0.max(after);
        most.1 = most.1.max(before + op.output_count());
    }
    most
}

/// How many bytes of values that are no inputs are alive at most.
fn bytes_alive(steps: &Steps, of_input: usize) -> usize {
    let firsts = steps.first_results();
    let mut bytes = vec![of_input; steps.inputs];
    for (op, _) in &steps.steps {
        bytes.extend((0..op.output_count()).map(|slot| bytes_of(op, slot)));
    }
    let is_needed_from = |value: usize, at: usize| {
        let mut later = steps.steps[at..].iter();
        steps.outputs.contains(&value) || later.any(|(_, operands)| operands.contains(&value))
    };
    let mut most = steps.outputs.iter().map(|&value| bytes[value]).sum();
    for (at, (op, _)) in steps.steps.iter().enumerate() {
        let results = firsts[at]..firsts[at] + op.output_count();
        let held = (steps.inputs..firsts[at]).filter(|&value| is_needed_from(value, at));
        most = usize::max(most, held.chain(results).map(|value| bytes[value]).sum());
    }
    most
}

#[test]
fn the_peak_of_a_program_is_known_before_it_runs() {
    for_all(0x9ea4, |steps, _| {
        let graph = steps.dense();
        assert_eq!(graph.compile().peak_bytes(), None);
        let inputs = vec![ValueType::new("u8", [9]); steps.inputs];
        let typed = graph.with_types(inputs).unwrap();
        assert_eq!(typed.compile().peak_bytes(), Some(bytes_alive(steps, 9)));
    });
    // Of what size a word is, nobody says.
    let graph = DenseGraph::<Op>::new(1).with_types([ValueType::new("word", [])]);
    let mut graph = graph.unwrap();
    graph.set_outputs(vec![graph.input(0)]);
    assert_eq!(graph.compile().peak_bytes(), None);
    let huge = ValueType::new("f64", [usize::MAX, 2]);
    assert_eq!((huge.elements(), huge.bytes()), (None, None));
    let none = ValueType::new("f64", [usize::MAX, 2, 0]);
    assert_eq!((none.elements(), none.bytes()), (Some(0), Some(0)));
    let sizes = ["bool", "i16", "c128", "f32", "f7", "f0", "x64", ""]
        .map(|kind| ValueType::new(kind, []).bytes());
    assert_eq!(
        sizes,
        [Some(1), Some(2), Some(16), Some(4), None, None, None, None]
    );
}

#[test]
fn programs_compute_clone_and_keep_what_they_must() {
    let workspace = std::cell::RefCell::new(Workspace::new());
    for_all(1, |steps, x| {
        let program = steps.dense().compile();
        let (results, clones, peak) = run(&program, x);
        assert_eq!(results, steps.results(x));
        let (registers, at_once) = alive(steps);
        assert_eq!(program.n_slots - steps.inputs, registers);
        assert!(peak <= at_once, "{peak} alive, {at_once} needed");
        let own: BTreeSet<usize> = steps.outputs.iter().copied().collect();
        let own = own.iter().filter(|&&at| at >= steps.inputs).count();
        assert_eq!(clones, steps.outputs.len() - own);
        // In memory in which other programs ran before.
        let again = run_in(&program, &mut workspace.borrow_mut(), x);
        assert_eq!(again, (results, clones, peak));
    });
}

#[test]
fn an_operand_that_stands_twice_is_not_taken_and_then_dropped() {
    let mut graph = DenseGraph::new(1);
    let x = graph.input(0);
    let a = graph.push(Op::Neg, &[x]).unwrap().start();
    let b = graph.push(Op::Times(5), &[x]).unwrap().start();
    let weighed = graph.push(Op::Weigh(5), &[a, b, a, x, b]).unwrap().start();
    let doubled = graph.push(Op::Add, &[weighed, weighed]).unwrap().start();
    let gone = graph.push(Op::Sub, &[doubled, doubled]).unwrap().start();
    graph.set_outputs(vec![doubled, gone, doubled]);
    let program = graph.compile();
    // -3·(1 + 3) + 15·(2 + 5) + 3·4 = 105
    let (results, clones, peak) = run(&program, &[3]);
    assert_eq!(results, [210, 0, 210]);
    assert_eq!((clones, peak), (1, 3));
    assert_eq!(program.n_slots, 3);
}

#[test]
fn what_outputs_need() {
    for_all(2, |steps, x| {
        let graph = steps.dense();
        let needed = graph.needed_for(graph.outputs());
        assert_eq!(values(&needed, x), steps.results(x));
        assert_eq!(needed.input_count(), steps.inputs);
        let order: Vec<_> = needed.nodes().map(|node| node.operation.code()).collect();
        let expected = steps.needed();
        let expected: Vec<_> = expected
            .iter()
            .map(|&at| steps.steps[at].0.code())
            .collect();
        assert_eq!(order, expected);
        let counted: usize = needed.nodes().map(|node| node.results.len()).sum();
        assert_eq!(needed.value_count(), steps.inputs + counted);
        let counted: usize = needed.nodes().map(|node| node.operands.len()).sum();
        assert_eq!(needed.operand_count(), counted);
    });
}

#[test]
fn who_makes_what() {
    for_all(3, |steps, _| {
        let graph = steps.dense();
        let producers = graph.producers();
        assert!(graph.inputs().all(|input| producers.of(input).is_none()));
        for (id, node) in graph.operation_ids().zip(graph.nodes()) {
            assert_eq!(node.results.len(), node.operation.output_count());
            assert_eq!(node.operands.len(), node.operation.input_count());
            assert!(
                node.results
                    .iter()
                    .all(|value| producers.of(value) == Some(id))
            );
        }
    });
}

#[test]
fn computations_within_computations() {
    let mut random = Random(4);
    for _ in 0..600 {
        let (outer, inner) = (Steps::random(&mut random), Steps::random(&mut random));
        let x = &X[..outer.inputs];
        let known = outer.values(x);
        if known.is_empty() && inner.inputs > 0 {
            continue;
        }
        let arguments: Vec<usize> = (0..inner.inputs)
            .map(|_| random.below(known.len()))
            .collect();
        let given: Vec<i64> = arguments.iter().map(|&at| known[at]).collect();
        let expected = [inner.results(&given), inner.results(&given)].concat();

        let mut graph = outer.dense();
        let ids: Vec<DenseId> = graph.inputs().collect();
        let made: Vec<DenseId> = graph.nodes().flat_map(|node| node.results.iter()).collect();
        let ids = [ids, made].concat();
        let arguments: Vec<DenseId> = arguments.iter().map(|&at| ids[at]).collect();
        let first = graph.inline(&inner.dense(), &arguments);
        let second = graph.inline(&inner.dense(), &arguments);
        graph.set_outputs([first, second].concat());
        assert_eq!(values(&graph, x), expected);
        let operations = outer.steps.len() + 2 * inner.steps.len();
        assert_eq!(graph.operation_count(), operations);
        assert!(merge(&graph).operation_count() <= inner.steps.len() + outer.steps.len());
    }
}

#[test]
fn names_and_back() {
    for_all(5, |steps, x| {
        let names: Vec<u32> = (10..).take(steps.inputs).collect();
        let graph = std::sync::Arc::new(steps.dense().to_graph(&names));
        let keys = crate::support::output_keys(&graph);
        let flat = materialize_merge(&resolve(vec![graph]), &keys);
        assert_eq!(flat.operations.len(), flat.as_dense().operation_count());
        assert_eq!(flat.values.len(), flat.as_dense().value_count());
        for (at, value) in flat.values.iter().enumerate().skip(flat.inputs.len()) {
            let (operation, slot) = value.producer.unwrap();
            assert_eq!(flat.operations[operation].outputs[slot], at);
        }
        // In another order, and with one more that nothing needs.
        let mut all = vec![99];
        all.extend(names.iter().rev());
        let closed = flat.closed_over(&all).unwrap();
        let mut given = vec![77];
        given.extend(x.iter().rev());
        assert_eq!(values(&closed, &given), steps.results(x));
        assert_eq!(closed.input_count(), steps.inputs + 1);
        if let Some(ValueKey::Input(needed)) = flat.inputs.first() {
            all.retain(|name| name != needed);
            let error = flat.closed_over(&all).unwrap_err();
            assert!(matches!(error, GraphError::UnlistedInput { .. }), "{error}");
        }
    });
}

#[test]
fn equal_work_is_done_once() {
    for_all(6, |steps, x| {
        let graph = steps.dense();
        let merged = merge(&graph);
        assert_eq!(values(&merged, x), steps.results(x));
        assert_eq!(merged.operation_count(), steps.distinct());
        assert_eq!(merge(&merged).operation_count(), steps.distinct());
        for level in [Exactness::Exact, Exactness::RealOnly] {
            let simple = try_simplify(&graph, level).unwrap();
            assert_eq!(values(&simple, x), steps.results(x));
            assert!(simple.operation_count() <= steps.distinct());
        }
    });
}

/// Around the number of operations that hang from a term, and past it.
#[test]
fn any_number_of_operations_share_an_operand() {
    for count in 0..40 {
        let mut graph = DenseGraph::new(3);
        let [x, y, z] = [0, 1, 2].map(|at| graph.input(at));
        let mut outputs = Vec::new();
        for _ in 0..2 {
            for k in 0..count {
                outputs.push(graph.push(Op::Times(k), &[z]).unwrap().start());
            }
            for [a, b] in [[x, z], [z, x], [y, z], [z, y], [z, z]] {
                outputs.push(graph.push(Op::Mul, &[a, b]).unwrap().start());
                outputs.push(graph.push(Op::Sub, &[a, b]).unwrap().start());
                outputs.push(graph.push(Op::Add, &[a, b]).unwrap().start());
            }
        }
        graph.set_outputs(outputs);
        let merged = merge(&graph);
        // Three pairs in either order for each of those that commute, and five differences.
        assert_eq!(merged.operation_count(), count as usize + 3 + 3 + 5);
        assert_eq!(values(&merged, &X[..3]), values(&graph, &X[..3]));
    }
}

/// Many pairs in both orders, with one operand the youngest of all: they meet in the table, which grows
/// on the way.
#[test]
fn many_commuted_pairs_meet() {
    let (pairs, mut graph) = (5_000, DenseGraph::new(5_000));
    let x: Vec<DenseId> = graph.inputs().collect();
    let youngest = graph.push(Op::Neg, &[x[0]]).unwrap().start();
    let mut outputs = Vec::new();
    for &x in &x {
        outputs.push(graph.push(Op::Mul, &[x, youngest]).unwrap().start());
    }
    for &x in x.iter().rev() {
        outputs.push(graph.push(Op::Mul, &[youngest, x]).unwrap().start());
        outputs.push(graph.push(Op::Sub, &[x, youngest]).unwrap().start());
        outputs.push(graph.push(Op::Sub, &[youngest, x]).unwrap().start());
    }
    graph.set_outputs(outputs);
    assert_eq!(merge(&graph).operation_count(), 1 + 3 * pairs);
}

#[test]
fn rules_for_constants_are_tried_where_there_is_one() {
    let mut graph = DenseGraph::new(2);
    let [x, y] = [0, 1].map(|at| graph.input(at));
    let zero = graph.push(Op::Constant(0), &[]).unwrap().start();
    let two = graph.push(Op::Constant(2), &[]).unwrap().start();
    let mut outputs = Vec::new();
    for [a, b] in [[x, zero], [zero, y], [x, two], [x, y], [y, y], [zero, zero]] {
        outputs.push(graph.push(Op::Add, &[a, b]).unwrap().start());
    }
    graph.set_outputs(outputs);
    RULE_CALLS.set(0);
    let simple = try_simplify(&graph, Exactness::Exact).unwrap();
    assert_eq!(RULE_CALLS.get(), 4);
    assert_eq!(values(&simple, &[7, 9]), [7, 9, 9, 16, 18, 0]);
    // x + 2, x + y, y + y, 2 and 0
    assert_eq!(simple.operation_count(), 5);
}

/// A constant is what takes nothing and yields one result, and what rules make may be one.
#[test]
fn constants_are_seen_through_rewrites() {
    let mut graph = DenseGraph::new(1);
    let x = graph.input(0);
    let zero = graph.push(Op::Constant(0), &[]).unwrap().start();
    let negated = graph.push(Op::Neg, &[zero]).unwrap().start();
    let zero_again = graph.push(Op::Neg, &[negated]).unwrap().start();
    let sum = graph.push(Op::Add, &[zero_again, x]).unwrap().start();
    let empty = graph.push(Op::Weigh(0), &[]).unwrap().start();
    let other = graph.push(Op::Add, &[empty, sum]).unwrap().start();
    graph.set_outputs(vec![sum, other]);
    let simple = try_simplify(&graph, Exactness::Exact).unwrap();
    assert_eq!(simple.outputs()[0], simple.input(0));
    assert_eq!(values(&simple, &[7]), [7, 7]);
    assert_eq!(simple.operation_count(), 2);
}

/// A difference that something else uses is not made a second time, the other way round.
#[test]
fn rules_know_what_is_shared() {
    let simple = |more: fn(&mut DenseGraph<Op>, DenseId, DenseId) -> Vec<DenseId>| {
        let mut graph = DenseGraph::new(2);
        let [x, y] = [0, 1].map(|at| graph.input(at));
        let again = graph.push(Op::Sub, &[x, y]).unwrap().start();
        let difference = graph.push(Op::Sub, &[x, y]).unwrap().start();
        let before = more(&mut graph, difference, again);
        let negated = graph.push(Op::Neg, &[difference]).unwrap().start();
        let outputs = [&before[..], &[negated]].concat();
        graph.set_outputs(outputs);
        let simple = try_simplify(&graph, Exactness::Exact).unwrap();
        assert_eq!(values(&simple, &[7, 9]), values(&graph, &[7, 9]));
        let names: Vec<u8> = simple.nodes().map(|node| node.operation.code().0).collect();
        names
    };
    let [times, neg, sub] = [Op::Times(0), Op::Neg, Op::Sub].map(|op| op.code().0);
    assert_eq!(simple(|_, _, _| vec![]), [sub]);
    assert_eq!(simple(|_, _, other| vec![other]), [sub, neg]);
    assert_eq!(simple(|_, used, _| vec![used]), [sub, neg]);
    let thrice = |graph: &mut DenseGraph<Op>, used, _| {
        vec![graph.push(Op::Times(3), &[used]).unwrap().start()]
    };
    assert_eq!(simple(thrice), [sub, times, neg]);
}

/// What passes ask of operations to merge and to simplify a graph.
fn asked(graph: &DenseGraph<Op>) -> [usize; 2] {
    COMPARISONS.set(0);
    HASHES.set(0);
    merge(graph);
    try_simplify(graph, Exactness::RealOnly).unwrap();
    [COMPARISONS.get(), HASHES.get()]
}

#[track_caller]
fn assert_linear(make: impl Fn(usize) -> DenseGraph<Op>) {
    let (few, many) = (asked(&make(1_000)), asked(&make(100_000)));
    for (few, many) in few.into_iter().zip(many) {
        assert!(many <= 150 * few.max(1_000), "{few}, then {many}");
    }
}

fn finish(mut graph: DenseGraph<Op>, outputs: Vec<DenseId>) -> DenseGraph<Op> {
    graph.set_outputs(outputs);
    graph
}

#[test]
fn the_cost_of_a_value_with_a_hundred_thousand_users() {
    let push = |graph: &mut DenseGraph<Op>, op, operands: &[DenseId]| {
        graph.push(op, operands).unwrap().start()
    };
    // Different operations on one operand.
    assert_linear(|n| {
        let mut graph = DenseGraph::new(1);
        let x = graph.input(0);
        let outputs = (0..n as i64).map(|k| push(&mut graph, Op::Times(k), &[x]));
        let outputs = outputs.collect();
        finish(graph, outputs)
    });
    // Twice each.
    assert_linear(|n| {
        let mut graph = DenseGraph::new(1);
        let x = graph.input(0);
        let outputs = (0..n as i64).map(|k| push(&mut graph, Op::Times(k / 2), &[x]));
        let outputs = outputs.collect();
        finish(graph, outputs)
    });
    // One operation, on the youngest value and any other, in either order.
    assert_linear(|n| {
        let mut graph = DenseGraph::new(n / 2);
        let x: Vec<DenseId> = graph.inputs().collect();
        let youngest = push(&mut graph, Op::Neg, &[x[0]]);
        let pairs = x.iter().flat_map(|&x| [[x, youngest], [youngest, x]]);
        let outputs = pairs.map(|pair| push(&mut graph, Op::Add, &pair)).collect();
        finish(graph, outputs)
    });
    // On nothing.
    assert_linear(|n| {
        let mut graph = DenseGraph::new(1);
        let outputs = (0..n as i64).map(|k| push(&mut graph, Op::Constant(k / 2), &[]));
        let outputs = outputs.collect();
        finish(graph, outputs)
    });
    // All on the oldest and the one before.
    assert_linear(|n| {
        let mut graph = DenseGraph::new(1);
        let x = graph.input(0);
        let last = (0..n).fold(x, |v, _| push(&mut graph, Op::Sub, &[v, x]));
        finish(graph, vec![last])
    });
}

#[test]
fn a_million_operations_by_positions() {
    on_small_stack(|| {
        let n = cases(1_000_000);
        let mut graph = DenseGraph::new(2);
        let [x, y] = [0, 1].map(|at| graph.input(at));
        let mut last = x;
        for _ in 0..n / 2 {
            let dead = graph.push(Op::Three, &[last]).unwrap();
            last = graph.push(Op::Sub, &[dead.start(), y]).unwrap().start();
        }
        graph.set_outputs(vec![last]);
        assert_eq!(graph.operation_count(), n);
        // x + n/2·(1 - y)
        let expected = [2 + (n as i64 / 2) * (1 - 7)];
        assert_eq!(values(&graph, &[2, 7]), expected);
        assert_eq!(graph.needed_for(&[last]).operation_count(), n);
        assert_eq!(graph.needed_for(&[x, y]).operation_count(), 0);
        assert_eq!(merge(&graph).operation_count(), n);
        let mut twice = DenseGraph::new(1);
        let x = twice.input(0);
        let middle = twice.inline(&graph, &[x, x]);
        let end = twice.inline(&graph, &[middle[0], x]);
        twice.set_outputs(end);
        assert_eq!(twice.operation_count(), 2 * n);
        assert_eq!(values(&twice, &[3]), [3 + n as i64 * (1 - 3)]);
        let named = std::sync::Arc::new(graph.to_graph(&[0, 1]));
        let keys = crate::support::output_keys(&named);
        let flat = materialize_merge(&resolve(vec![named]), &keys);
        let closed = flat.closed_over(&[1, 0]).unwrap();
        assert_eq!(values(&closed, &[7, 2]), expected);
    });
}

/// Every value needs the two before it, and an operation all values.
#[test]
fn deep_sharing_and_wide_operations() {
    on_small_stack(|| {
        let mut graph = DenseGraph::new(2);
        let mut all: Vec<DenseId> = graph.inputs().collect();
        for at in 0..100_000 {
            let operands = [all[at], all[at + 1]];
            all.push(graph.push(Op::Add, &operands).unwrap().start());
        }
        let weighed = graph.push(Op::Weigh(all.len()), &all).unwrap().start();
        graph.set_outputs(vec![weighed, weighed]);
        let mut fibonacci = vec![1i64, 1];
        for at in 0..100_000 {
            fibonacci.push(fibonacci[at].wrapping_add(fibonacci[at + 1]));
        }
        let expected = Op::Weigh(0).meaning(&fibonacci)[0];
        assert_eq!(values(&graph, &[1, 1]), [expected; 2]);
        assert_eq!(graph.needed_for(&[weighed]).operation_count(), 100_001);
        assert_eq!(merge(&graph).operation_count(), 100_001);
    });
}

/// Operands of an operation of many are taken where each stands once, and only there.
#[test]
fn many_operands_of_which_some_stand_twice() {
    for n in [4, 8, 9, 40] {
        let mut graph = DenseGraph::new(1);
        let made = (0..n).map(|k| graph.push(Op::Times(k), &[graph.input(0)]).unwrap().start());
        let made: Vec<DenseId> = made.collect();
        // The even ones twice, in two orders.
        let operands: Vec<DenseId> = made
            .iter()
            .chain(made.iter().rev().step_by(2))
            .copied()
            .collect();
        let weighed = graph.push(Op::Weigh(operands.len()), &operands).unwrap();
        graph.set_outputs(vec![weighed.start()]);
        let numbers: Vec<i64> = (0..n)
            .chain((0..n).rev().step_by(2))
            .map(|k| 3 * k)
            .collect();
        assert_eq!(values(&graph, &[3]), Op::Weigh(0).meaning(&numbers));
    }
}

#[test]
fn what_is_pushed_is_checked() {
    let mut graph: DenseGraph<Op> = DenseGraph::new(2);
    let x = graph.input(1);
    let error = graph.push(Op::Add, &[x]).unwrap_err();
    let (expected, found) = (2, 1);
    assert!(
        matches!(error, GraphError::WrongArity { expected: e, found: f, .. } if (e, f) == (expected, found))
    );
    let mut larger: DenseGraph<Op> = DenseGraph::new(3);
    let foreign = larger.input(2);
    let error = graph.push(Op::Sub, &[x, foreign]).unwrap_err();
    assert!(
        matches!(
            error,
            GraphError::UnknownLocal {
                operand: 1,
                id: 2,
                available: 2,
                ..
            }
        ),
        "{error}"
    );
    let error = graph.push(Op::Wide(257), &[x]).unwrap_err();
    assert!(
        matches!(
            error,
            GraphError::TooManyOutputs {
                found: 257,
                limit: 256,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!((graph.operation_count(), graph.value_count()), (0, 2));
    assert_eq!(graph.operand_count(), 0);

    let wide = larger.push(Op::Wide(256), &[foreign]).unwrap();
    assert_eq!(wide.get(255).map(DenseId::index), Some(3 + 255));
    assert_eq!(wide.get(256), None);
    assert_eq!(wide.indices(), 3..259);
    larger.set_outputs(vec![wide.get(255).unwrap(), wide.start()]);
    let names = larger.to_graph(&[0, 1, 2]);
    assert_eq!(names.values().len(), 259);
    assert_eq!(values(&larger, &[0, 0, 5]), [260, 5]);
    let nothing = larger.push(Op::Wide(0), &[foreign]).unwrap();
    assert_eq!((nothing.len(), nothing.get(0)), (0, None));
    assert!(panic_of(|| nothing.start()).contains("no results"));
}

fn panic_of<T>(body: impl FnOnce() -> T + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(body).err().expect("a panic");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap()).into(),
    }
}

#[test]
fn values_of_other_graphs_are_refused() {
    let graph = || DenseGraph::<Op>::new(1);
    let larger: DenseGraph<Op> = DenseGraph::new(3);
    let foreign = larger.input(1);
    let text = panic_text(|| graph().set_outputs(vec![foreign]));
    let error = graph().try_set_outputs(vec![graph().input(0), foreign]);
    let unknown = |position| GraphError::UnknownOutputId {
        position,
        id: 1,
        available: 1,
    };
    assert_eq!(error, Err(unknown(1)));
    assert_eq!(text, unknown(0).to_string());
    let text = panic_text(|| graph().input(1));
    assert!(text.contains("none at position 1"), "{text}");
    let x = larger.input(0);
    let mut negation = graph();
    let y = negation.push(Op::Neg, &[x]).unwrap().start();
    negation.set_outputs(vec![y]);
    let text = panic_of(|| graph().inline(&negation, &[x, x]));
    assert!(text.contains("one argument per input"), "{text}");
    // It would stand for the very result that is made of it.
    let text = panic_of(|| graph().inline(&negation, &[foreign]));
    assert!(
        text.contains("an argument is a value of the graph"),
        "{text}"
    );
    let text = panic_of(|| negation.to_graph(&[0, 1]));
    assert!(text.contains("one name per input"), "{text}");
}

/// The lists of a flat graph are made once, whoever asks first.
#[test]
fn lists_are_made_once() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(0);
    let mut last = x;
    for _ in 0..20_000 {
        let operands = vec![ValueRef::Local(last), ValueRef::Local(x)];
        last = builder.add_operation(Op::Sub, operands, OperationRole::Primary)[0];
    }
    builder.set_outputs(vec![last]);
    let graph = std::sync::Arc::new(builder.build());
    let keys = crate::support::output_keys(&graph);
    let flat = materialize_merge(&resolve(vec![graph]), &keys);
    let unread = flat.clone();
    let addresses = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| flat.operations.as_ptr() as usize))
            .collect();
        let addresses = threads.into_iter().map(|thread| thread.join().unwrap());
        addresses.collect::<BTreeSet<usize>>()
    });
    assert_eq!(addresses.len(), 1);
    for flat in [&unread, &flat, &flat.clone()] {
        assert_eq!(flat.operations.len(), 20_000);
        assert_eq!(flat.values.len(), 20_001);
        assert_eq!(flat.values[0].key, flat.inputs[0]);
        for (at, value) in flat.values.iter().enumerate().skip(1) {
            assert_eq!(value.producer, Some((at - 1, 0)));
            assert_eq!(flat.operations[at - 1].outputs[..], [at]);
            assert_eq!(flat.operations[at - 1].inputs[..], [at - 1, 0]);
        }
        assert!(flat.values[20_000].key == flat.outputs[0]);
    }
}
