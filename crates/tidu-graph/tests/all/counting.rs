//! Linearity and liveness, counted instead of timed: comparisons, hashes, copies and questions an
//! operation, and operands alive at once, must not grow with the size of a program.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::ops::Sub;
use std::sync::Arc;

use crate::support::{apply, output_keys, shared};
use tidu_graph::text::{ParseNames, parse_function};
use tidu_graph::{
    DenseGraph, EvaluableGraphOperation, Graph, GraphBuilder, GraphOperation, MaterializedGraph,
    OperationRole, ValueKey, ValueKeyInterner, ValueRef, compile, materialize_merge, merge,
    resolve,
};

/// What the passes asked of operations and input keys.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    op_comparisons: f64,
    op_hashes: f64,
    op_clones: f64,
    /// Calls of `input_count` and `output_count`: a pass that visits an operation asks for them.
    op_questions: f64,
    key_comparisons: f64,
    key_hashes: f64,
}

impl Counts {
    fn each(self) -> [(&'static str, f64); 6] {
        [
            ("op comparisons", self.op_comparisons),
            ("op hashes", self.op_hashes),
            ("op clones", self.op_clones),
            ("op questions", self.op_questions),
            ("key comparisons", self.key_comparisons),
            ("key hashes", self.key_hashes),
        ]
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            op_comparisons: self.op_comparisons - earlier.op_comparisons,
            op_hashes: self.op_hashes - earlier.op_hashes,
            op_clones: self.op_clones - earlier.op_clones,
            op_questions: self.op_questions - earlier.op_questions,
            key_comparisons: self.key_comparisons - earlier.key_comparisons,
            key_hashes: self.key_hashes - earlier.key_hashes,
        }
    }
}

/// Operands of the running program.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Operands {
    live: usize,
    peak: usize,
    clones: usize,
}

thread_local! {
    static COUNTS: Cell<Counts> = Cell::default();
    static OPERANDS: Cell<Operands> = Cell::default();
}

fn count(change: impl FnOnce(&mut Counts)) {
    let mut counts = COUNTS.get();
    change(&mut counts);
    COUNTS.set(counts);
}

#[derive(Debug)]
enum Op {
    Add,
    Mul,
    Sin,
    SinCos,
    Sum(usize),
    Number(usize),
}

impl Clone for Op {
    fn clone(&self) -> Self {
        count(|counts| counts.op_clones += 1.0);
        match self {
            Op::Add => Op::Add,
            Op::Mul => Op::Mul,
            Op::Sin => Op::Sin,
            Op::SinCos => Op::SinCos,
            Op::Sum(terms) => Op::Sum(*terms),
            Op::Number(number) => Op::Number(*number),
        }
    }
}

impl PartialEq for Op {
    fn eq(&self, other: &Self) -> bool {
        count(|counts| counts.op_comparisons += 1.0);
        match (self, other) {
            (Op::Sum(a), Op::Sum(b)) | (Op::Number(a), Op::Number(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Op {}

impl Hash for Op {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count(|counts| counts.op_hashes += 1.0);
        std::mem::discriminant(self).hash(state);
        if let Op::Sum(number) | Op::Number(number) = self {
            number.hash(state);
        }
    }
}

#[derive(Clone, Debug)]
struct Key(usize);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        count(|counts| counts.key_comparisons += 1.0);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count(|counts| counts.key_hashes += 1.0);
        self.0.hash(state);
    }
}

/// A number that counts its copies.
struct Operand(f64);

impl Operand {
    fn new(value: f64) -> Self {
        let mut operands = OPERANDS.get();
        operands.live += 1;
        operands.peak = operands.peak.max(operands.live);
        OPERANDS.set(operands);
        Self(value)
    }
}

impl Clone for Operand {
    fn clone(&self) -> Self {
        let mut operands = OPERANDS.get();
        operands.clones += 1;
        OPERANDS.set(operands);
        Self::new(self.0)
    }
}

impl Drop for Operand {
    fn drop(&mut self) {
        let mut operands = OPERANDS.get();
        operands.live -= 1;
        OPERANDS.set(operands);
    }
}

impl GraphOperation for Op {
    type Operand = Operand;
    /// How many operands are alive when each operation starts.
    type Context = Vec<usize>;
    type InputKey = Key;

    fn input_count(&self) -> usize {
        count(|counts| counts.op_questions += 1.0);
        match self {
            Op::Add | Op::Mul => 2,
            Op::Sin | Op::SinCos => 1,
            Op::Sum(terms) => *terms,
            Op::Number(_) => 0,
        }
    }

    fn output_count(&self) -> usize {
        count(|counts| counts.op_questions += 1.0);
        match self {
            Op::SinCos => 2,
            _ => 1,
        }
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, live: &mut Vec<usize>, inputs: &[&Operand]) -> Vec<Operand> {
        live.push(OPERANDS.get().live);
        let x: Vec<f64> = inputs.iter().map(|operand| operand.0).collect();
        let results = match self {
            Op::Add => vec![x[0] + x[1]],
            Op::Mul => vec![x[0] * x[1]],
            Op::Sin => vec![x[0].sin()],
            Op::SinCos => vec![x[0].sin(), x[0].cos()],
            Op::Sum(_) => vec![x.iter().sum()],
            Op::Number(number) => vec![*number as f64],
        };
        results.into_iter().map(Operand::new).collect()
    }
}

impl ParseNames for Op {
    fn parse_name(text: &str) -> Option<Self> {
        match text {
            "Add" => Some(Op::Add),
            "Mul" => Some(Op::Mul),
            "Sin" => Some(Op::Sin),
            "SinCos" => Some(Op::SinCos),
            text => {
                let terms = text.strip_prefix("Sum(")?.strip_suffix(')')?;
                terms.parse().ok().map(Op::Sum)
            }
        }
    }

    fn parse_input_name(text: &str) -> Option<Key> {
        let number = text.strip_prefix("Key(")?.strip_suffix(')')?;
        number.parse().ok().map(Key)
    }
}

type Program = fn(usize) -> Graph<Op>;

/// v = v + y·sin v, of at least `operations` operations in all.
fn chain(operations: usize) -> Graph<Op> {
    let mut builder = GraphBuilder::new();
    let mut v = builder.add_input(Key(0));
    let y = builder.add_input(Key(1));
    for _ in 0..operations.div_ceil(3) {
        let sin = apply(&mut builder, Op::Sin, &[v])[0];
        let product = apply(&mut builder, Op::Mul, &[y, sin])[0];
        v = apply(&mut builder, Op::Add, &[v, product])[0];
    }
    builder.set_outputs(vec![v]);
    builder.build()
}

/// Σ sin(xᵢ)·cos(xᵢ), one input for three operations.
fn wide(operations: usize) -> Graph<Op> {
    let mut builder = GraphBuilder::new();
    let mut sum = builder.add_input(Key(usize::MAX));
    for i in 0..operations.div_ceil(3) {
        let x = builder.add_input(Key(i));
        let both = apply(&mut builder, Op::SinCos, &[x]);
        let product = apply(&mut builder, Op::Mul, &both)[0];
        sum = apply(&mut builder, Op::Add, &[sum, product])[0];
    }
    builder.set_outputs(vec![sum]);
    builder.build()
}

/// One operation on a third as many inputs and as many results.
fn flat_sum(operations: usize) -> Graph<Op> {
    let terms = operations.div_ceil(3);
    let mut builder = GraphBuilder::new();
    let operands: Vec<usize> = (0..terms)
        .flat_map(|i| {
            let x = builder.add_input(Key(i));
            [x, apply(&mut builder, Op::Sin, &[x])[0]]
        })
        .collect();
    let sum = apply(&mut builder, Op::Sum(2 * terms), &operands);
    builder.set_outputs(sum);
    builder.build()
}

/// Every value of another graph, used again: all operands of `user` come from outside.
fn user_of(owner: &Graph<Op>) -> Graph<Op> {
    let mut builder = GraphBuilder::new();
    for node in owner.values() {
        let operand = ValueRef::External(node.key.clone());
        builder.add_operation(Op::Sin, vec![operand], OperationRole::Primary);
    }
    builder.build()
}

fn all_keys(graph: &Graph<Op>) -> Vec<ValueKey<Op>> {
    let values = graph.values().iter();
    values.map(|node| node.key.clone()).collect()
}

fn counted<T>(body: impl FnOnce() -> T) -> (T, Counts) {
    let before = COUNTS.get();
    let result = body();
    (result, COUNTS.get() - before)
}

/// Asserts that what `measure` counts on a program of n operations is at most `bound` an operation,
/// and the same for every n.
fn check_flat(pass: &str, bound: Counts, measure: impl Fn(Program, usize) -> Counts) {
    for (program, make) in [
        ("chain", chain as Program),
        ("wide", wide),
        ("flat sum", flat_sum),
    ] {
        let mut first = None;
        for n in [1_000, 10_000, 100_000] {
            let rates = measure(make, n)
                .each()
                .map(|(what, all)| (what, all / n as f64));
            let first = *first.get_or_insert(rates);
            for (((what, rate), (_, at_first)), (_, most)) in
                rates.into_iter().zip(first).zip(bound.each())
            {
                let place = format!("{pass} of {program}({n}): {rate} {what} an operation");
                assert!(rate <= most, "{place}, more than {most}");
                let same = (rate - at_first).abs() <= 0.1 * at_first.max(rate) + 0.05;
                assert!(same, "{place}, but {at_first} for a thousand");
            }
        }
    }
}

fn materialized(graph: Graph<Op>) -> MaterializedGraph<Op> {
    let graph = shared(graph);
    let outputs = output_keys(&graph);
    materialize_merge(&resolve(vec![graph]), &outputs)
}

#[test]
fn build_hashes_each_operation_once() {
    let bound = Counts {
        op_hashes: 1.01,
        op_questions: 4.0,
        // One an operand that is an input.
        key_hashes: 1.0,
        ..Counts::default()
    };
    check_flat("build", bound, |make, n| counted(|| make(n)).1);
}

/// Constants have nothing to hang from, so a table holds them; a large one is not hashed when that grows.
/// Inputs may stand among operations, as those of `wide` do.
#[test]
fn the_text_of_a_function_is_read_without_keys() {
    let bound = Counts {
        op_questions: 6.0,
        ..Counts::default()
    };
    check_flat("read", bound, |program, operations| {
        let graph = program(operations);
        let text = graph.to_string();
        let (read, counts) = counted(|| parse_function::<Op>(&text).unwrap());
        let inputs = graph.inputs().iter().map(|&id| graph.input_key(id));
        assert!(read.input_keys.iter().eq(inputs));
        let x = (0..read.input_keys.len()).map(|at| Operand::new(0.1 * at as f64));
        let x: Vec<Operand> = x.collect();
        let x: Vec<&Operand> = x.iter().collect();
        let found = read.graph.compile().eval(&mut Vec::new(), &x);
        assert_eq!(found[0].0, value_of(&graph, &x));
        counts
    });
}

/// The output of a graph, operation by operation.
fn value_of(graph: &Graph<Op>, x: &[&Operand]) -> f64 {
    let mut values = vec![f64::NAN; graph.values().len()];
    for (&id, x) in graph.inputs().iter().zip(x) {
        values[id] = x.0;
    }
    for node in graph.operations() {
        let operands = node.inputs.iter().map(|operand| match operand {
            ValueRef::Local(id) => Operand::new(values[*id]),
            ValueRef::External(_) => unreachable!("it is closed"),
        });
        let operands: Vec<Operand> = operands.collect();
        let operands: Vec<&Operand> = operands.iter().collect();
        let results = node.operation.eval(&mut Vec::new(), &operands);
        for (&id, result) in node.outputs.iter().zip(results) {
            values[id] = result.0;
        }
    }
    values[graph.outputs()[0]]
}

#[test]
fn merging_hashes_each_constant_once() {
    for n in [1, 100, 10_000] {
        let mut graph = DenseGraph::new(0);
        let mut outputs = Vec::new();
        for number in (0..n).chain(0..n) {
            let value = graph.push(Op::Number(number), &[]).expect("no operands");
            outputs.extend(value.iter());
        }
        graph.set_outputs(outputs);
        let (merged, counts) = counted(|| merge(&graph));
        assert_eq!(merged.operation_count(), n);
        assert_eq!(counts.op_hashes, 2.0 * n as f64);
        assert!(counts.op_comparisons <= 1.01 * n as f64, "{counts:?}");
    }
}

#[test]
fn resolve_compares_no_operation_and_hashes_no_structure() {
    let bound = Counts {
        op_questions: 3.0,
        key_comparisons: 0.5,
        key_hashes: 2.0,
        ..Counts::default()
    };
    check_flat("resolve", bound, |make, n| {
        let graph = shared(make(n));
        counted(|| resolve(vec![graph])).1
    });
}

#[test]
fn resolve_compares_the_operations_of_a_twin_once() {
    let bound = Counts {
        op_comparisons: 1.01,
        op_questions: 3.0,
        key_comparisons: 0.5,
        key_hashes: 2.0,
        ..Counts::default()
    };
    check_flat("resolve of twins", bound, |make, n| {
        let twins = vec![shared(make(n)), shared(make(n))];
        counted(|| resolve(twins)).1
    });
}

#[test]
fn resolve_looks_at_foreign_operands_once() {
    // A third of what the user computes, sin v, stands in the program already.
    let bound = Counts {
        op_comparisons: 1.4,
        op_questions: 12.0,
        key_comparisons: 3.0,
        key_hashes: 4.0,
        ..Counts::default()
    };
    check_flat("resolve with a user of a twin", bound, |make, n| {
        let roots = vec![shared(make(n)), shared(user_of(&make(n)))];
        counted(|| resolve(roots)).1
    });
}

#[test]
fn materialize_clones_each_operation_once() {
    let bound = Counts {
        op_clones: 1.01,
        op_questions: 3.0,
        key_comparisons: 0.01,
        key_hashes: 0.01,
        ..Counts::default()
    };
    check_flat("materialize", bound, |make, n| {
        let graph = shared(make(n));
        let outputs = output_keys(&graph);
        let view = resolve(vec![graph]);
        counted(|| materialize_merge(&view, &outputs)).1
    });
}

#[test]
fn compile_clones_each_operation_once() {
    let bound = Counts {
        op_clones: 1.01,
        ..Counts::default()
    };
    check_flat("compile", bound, |make, n| {
        let flat = materialized(make(n));
        counted(|| compile(&flat)).1
    });
}

/// Looking keys up by structure: an operation is compared once, an input looked up from each
/// operand.
const FOREIGN_KEYS: Counts = Counts {
    op_comparisons: 1.01,
    op_hashes: 0.0,
    op_clones: 0.0,
    op_questions: 5.0,
    key_comparisons: 4.0,
    key_hashes: 4.0,
};

#[test]
fn one_foreign_key_is_walked_once() {
    check_flat("find of a twin's output", FOREIGN_KEYS, |make, n| {
        let view = resolve(vec![shared(make(n))]);
        let key = output_keys(&make(n)).remove(0);
        let (found, counts) = counted(|| view.find(&key));
        assert!(found.is_some());
        counts
    });
}

#[test]
fn all_foreign_keys_together_are_walked_once() {
    check_flat("find_all of a twin's values", FOREIGN_KEYS, |make, n| {
        let view = resolve(vec![shared(make(n))]);
        let keys = all_keys(&make(n));
        let (found, counts) = counted(|| view.find_all(&keys));
        assert!(found.iter().all(Option::is_some));
        counts
    });
    let bound = Counts {
        op_clones: 1.01,
        ..FOREIGN_KEYS
    };
    check_flat("materialize of a twin's values", bound, |make, n| {
        let view = resolve(vec![shared(make(n))]);
        let keys = all_keys(&make(n));
        counted(|| materialize_merge(&view, &keys)).1
    });
}

#[test]
fn keys_interned_one_after_the_other_are_walked_once() {
    let mut bound = FOREIGN_KEYS;
    bound.op_questions = 8.0;
    check_flat("intern of a twin's values", bound, |make, n| {
        let mut interner = ValueKeyInterner::new();
        let first: Vec<_> = all_keys(&make(n))
            .into_iter()
            .map(|key| interner.intern(key))
            .collect();
        let twins = all_keys(&make(n));
        let (second, counts) = counted(|| {
            let ids = twins.into_iter().map(|key| interner.intern(key));
            ids.collect::<Vec<_>>()
        });
        assert_eq!(first, second);
        counts
    });
}

#[test]
fn comparing_twins_compares_each_operation_once() {
    let bound = Counts {
        op_comparisons: 1.01,
        key_comparisons: 1.01,
        ..Counts::default()
    };
    check_flat("==", bound, |make, n| {
        let (a, b) = (output_keys(&make(n)), output_keys(&make(n)));
        let (equal, counts) = counted(|| a == b);
        assert!(equal);
        counts
    });
    check_flat("!= of what differs", Counts::default(), |make, n| {
        let (a, b) = (output_keys(&make(n)), output_keys(&make(n + 3)));
        let (equal, counts) = counted(|| a == b);
        assert!(!equal);
        counts
    });
}

/// Runs a program on as many ones as it has inputs, and counts operands.
fn run(graph: Graph<Op>) -> (Vec<f64>, Operands, Vec<usize>) {
    let flat = materialized(graph);
    let program = compile(&flat);
    let inputs: Vec<Operand> = flat.inputs.iter().map(|_| Operand::new(1.0)).collect();
    let inputs: Vec<&Operand> = inputs.iter().collect();
    let start = OPERANDS.get().live;
    OPERANDS.set(Operands {
        live: start,
        peak: start,
        clones: 0,
    });
    let mut live = Vec::new();
    let outputs = program.eval(&mut live, &inputs);
    let Operands {
        live: end,
        peak,
        clones,
    } = OPERANDS.get();
    let operands = Operands {
        live: end - start,
        peak: peak - start,
        clones,
    };
    let values = outputs.iter().map(|operand| operand.0).collect();
    let live = live.iter().map(|before| before - start).collect();
    (values, operands, live)
}

#[test]
fn evaluation_clones_no_operand_and_keeps_none_past_its_last_use() {
    for n in [300, 30_000] {
        let (_, operands, live) = run(chain(n));
        // v waits while the sine, and then its product with y, is there; a result exists a moment
        // before its operands go.
        assert_eq!(
            operands,
            Operands {
                live: 1,
                peak: 3,
                clones: 0
            }
        );
        // Before the first sine only inputs exist; in every later step v, then v and one more.
        assert_eq!(live[..3], [0, 1, 1]);
        assert!(live[3..].chunks(3).all(|step| step == [1, 2, 2]));

        let (_, operands, live) = run(wide(n));
        assert_eq!(
            operands,
            Operands {
                live: 1,
                peak: 4,
                clones: 0
            }
        );
        assert!(live[3..].chunks(3).all(|step| step == [1, 3, 2]));
    }
}

#[test]
fn only_outputs_that_are_inputs_or_repeat_are_cloned() {
    let make = |outputs: fn([usize; 4]) -> Vec<usize>| {
        let mut builder = GraphBuilder::new();
        let x = builder.add_input(Key(0));
        let y = builder.add_input(Key(1));
        let product = apply(&mut builder, Op::Mul, &[x, y])[0];
        let sum = apply(&mut builder, Op::Add, &[product, product])[0];
        builder.set_outputs(outputs([x, y, product, sum]));
        builder.build()
    };
    let clones = |outputs| {
        let (values, operands, _) = run(make(outputs));
        assert_eq!(operands.live, values.len());
        operands.clones
    };
    assert_eq!(clones(|[_, _, product, sum]| vec![sum, product]), 0);
    assert_eq!(clones(|[x, y, _, sum]| vec![x, sum, y]), 2);
    assert_eq!(
        clones(|[_, _, product, sum]| vec![sum, product, sum, sum, product]),
        3
    );
    assert_eq!(clones(|[x, ..]| vec![x, x, x]), 3);
}

#[test]
fn results_that_nothing_uses_are_dropped_at_once() {
    let mut builder = GraphBuilder::new();
    let mut v = builder.add_input(Key(0));
    for _ in 0..100 {
        v = apply(&mut builder, Op::SinCos, &[v])[1];
    }
    builder.set_outputs(vec![v]);
    let (_, operands, live) = run(builder.build());
    assert_eq!((operands.live, operands.clones), (1, 0));
    assert!(live[1..].iter().all(|&before| before == 1));
}

#[test]
fn a_failed_run_leaves_nothing_behind() {
    let flat = materialized(chain(30));
    let program = compile(&flat);
    let x = Operand::new(1.0);
    let before = OPERANDS.get().live;
    assert!(program.try_eval(&mut Vec::new(), &[&x]).is_err());
    assert_eq!(OPERANDS.get().live, before);
}

#[test]
fn graphs_share_descriptions_instead_of_copying_them() {
    let graph = shared(chain(1_000));
    let ((), counts) = counted(|| {
        let keys = all_keys(&graph);
        let view = resolve(vec![Arc::clone(&graph)]);
        drop((view.find_all(&keys), graph.clone(), keys.clone()));
    });
    assert_eq!(counts.op_clones, 0.0);
}
