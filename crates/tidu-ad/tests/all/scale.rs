//! A million operations and trees of 2^64 through linearization and transposition, on a stack of
//! 2 MiB; and linearity, counted: rule calls, comparisons and hashes an operation.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{Calls, Counts, Key, Probe, apply, counted, on_small_stack, output_keys};
use tidu_ad::{
    LinearizedGraph, Primitive, linear_transpose, linearize, try_linear_transpose_with_builder,
};
use tidu_graph::{
    Graph, GraphBuilder, OperationRole, ValueKey, compile, materialize_merge, resolve,
};
use tidu_scalar::{ScalarKey, ScalarOp};
use tidu_testkit::cases;

/// A primal graph with its linear map and the transpose of that.
struct Derived<Op: Primitive> {
    primal: Arc<Graph<Op>>,
    linear: LinearizedGraph<Op>,
    transposed: LinearizedGraph<Op>,
}

/// Differentiates the outputs of a graph by all of its inputs.
fn derive<Op: Primitive>(primal: Graph<Op>, ctx: &mut Op::ADContext) -> Derived<Op> {
    let primal = Arc::new(primal);
    let inputs = primal.inputs().iter();
    let wrt: Vec<Op::InputKey> = inputs
        .map(|&id| match &primal.values()[id].key {
            ValueKey::Input(key) => key.clone(),
            ValueKey::Derived { .. } => unreachable!("an input is an input"),
        })
        .collect();
    let view = resolve(vec![Arc::clone(&primal)]);
    let linear = linearize(&view, &output_keys(&primal), &wrt, 1, ctx, &HashMap::new());
    let transposed = linear_transpose(&linear, ctx);
    Derived {
        primal,
        linear,
        transposed,
    }
}

/// The value of a graph of one output, and its gradient, at `x`.
fn value_and_gradient(primal: Graph<ScalarOp>, x: &[f64]) -> (f64, Vec<f64>) {
    let Derived {
        primal,
        linear,
        transposed,
    } = derive(primal, &mut ());
    let point: HashMap<ValueKey<ScalarOp>, f64> = primal
        .inputs()
        .iter()
        .map(|&id| primal.values()[id].key.clone())
        .zip(x.iter().copied())
        .collect();
    let mut outputs = output_keys(&primal);
    outputs.extend(output_keys(transposed.as_graph()));
    assert!(transposed.tangent_outputs().iter().all(Option::is_some));

    let view = resolve(vec![
        primal,
        Arc::new(linear.into_graph()),
        Arc::new(transposed.into_graph()),
    ]);
    let flat = materialize_merge(&view, &outputs);
    // What is not an input of the primal graph is the seed.
    let inputs: Vec<&f64> = flat
        .inputs
        .iter()
        .map(|key| point.get(key).unwrap_or(&1.0))
        .collect();
    let mut values = compile(&flat).eval(&mut (), &inputs);
    let gradient = values.split_off(1);
    (values[0], gradient)
}

/// The value of [`chain`] with its derivatives by x and y, by the chain rule along it.
fn chain_derivatives(steps: usize, x: f64, y: f64) -> [f64; 3] {
    (0..steps).fold([x, 1.0, 0.0], |[v, by_x, by_y], _| {
        let slope = 1.0 + y * v.cos();
        [v + y * v.sin(), slope * by_x, slope * by_y + v.sin()]
    })
}

fn chain(steps: usize) -> Graph<ScalarOp> {
    tidu_testkit::chain(3 * steps).graph()
}

fn wide(terms: usize) -> Graph<ScalarOp> {
    tidu_testkit::wide(5 * terms).graph()
}

fn square(depth: usize) -> Graph<ScalarOp> {
    tidu_testkit::square("x", depth)
}

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= tolerance * expected.abs(),
        "{found}, not {expected}"
    );
}

fn assert_short(text: &str) {
    assert!(text.chars().count() < 300, "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_million_operations_in_a_chain() {
    on_small_stack(|| {
        let (steps, x, y) = (cases(333_333), 0.3, 1e-6);
        let (value, gradient) = value_and_gradient(chain(steps), &[x, y]);
        let [expected, by_x, by_y] = chain_derivatives(steps, x, y);
        assert_eq!(value, expected);
        assert_close(gradient[0], by_x, 1e-9);
        assert_close(gradient[1], by_y, 1e-9);
    });
}

#[test]
fn a_hundred_thousand_operations_side_by_side() {
    on_small_stack(|| {
        let terms = 20_000;
        let x: Vec<f64> = (0..terms).map(|i| 0.01 + 0.1 * (i % 7) as f64).collect();
        let (value, gradient) = value_and_gradient(wide(terms), &x);
        let next = |i: usize| x[(i + 1) % terms];
        let bell = |i: usize| (-(x[i] * x[i])).exp();
        assert_eq!(
            value,
            (0..terms).fold(0.0, |sum, i| sum + bell(i) * next(i))
        );
        for i in 0..terms {
            let expected = bell((i + terms - 1) % terms) - 2.0 * x[i] * bell(i) * next(i);
            assert!((gradient[i] - expected).abs() < 1e-14);
        }
    });
}

#[test]
fn long_linear_graphs_print_compare_and_drop_in_any_order() {
    on_small_stack(|| {
        let steps = cases(60_000);
        let first = derive(chain(steps), &mut ());
        assert_short(&format!("{:?} {:?}", first.linear, first.transposed));
        let keys = [first.linear.as_graph(), first.transposed.as_graph()].map(output_keys);
        keys.iter()
            .for_each(|keys| assert_short(&format!("{keys:?}")));
        let again = derive(chain(steps), &mut ());
        assert!(keys[0] == output_keys(again.linear.as_graph()));
        assert!(keys[1] == output_keys(again.transposed.as_graph()));
        let other = derive(chain(steps - 1), &mut ());
        assert!(keys[1] != output_keys(other.transposed.as_graph()));

        drop(first.primal);
        drop(first.linear);
        drop(first.transposed);
        drop(keys);
        drop(again.transposed);
        drop(again.linear);
        drop(again.primal);
        drop((other.linear, other.transposed, other.primal));
    });
}

#[test]
fn the_gradient_of_a_tree_of_two_to_the_64() {
    on_small_stack(|| {
        // x^(2^64) at 1: the derivative is 2^64.
        let (value, gradient) = value_and_gradient(square(64), &[1.0]);
        assert_eq!((value, gradient), (1.0, vec![2.0_f64.powi(64)]));
        let derived = derive(square(64), &mut ());
        assert!(derived.linear.as_graph().operations().len() <= 3 * 64);
        assert!(derived.transposed.as_graph().operations().len() <= 3 * 64);
        let again = derive(square(64), &mut ());
        let key = |derived: &Derived<_>| output_keys(derived.transposed.as_graph());
        assert!(key(&derived) == key(&again));
        assert_short(&format!("{:?}", key(&derived)));
    });
}

#[test]
fn a_long_chain_of_aliases() {
    on_small_stack(|| {
        // Input i + 1 of a graph of one operation each is the result of the one before.
        let count = 100_000;
        let mut builder = GraphBuilder::new();
        let mut aliases = HashMap::new();
        let mut last = builder.add_input(ScalarKey::fresh(0));
        for i in 1..=count {
            let result = apply(&mut builder, ScalarOp::Neg, &[last])[0];
            aliases.insert(ScalarKey::fresh(i), builder.global_key(result).clone());
            last = builder.add_input(ScalarKey::fresh(i));
        }
        builder.set_outputs(vec![last]);
        let graph = Arc::new(builder.build());
        let outputs = output_keys(&graph);
        let view = resolve(vec![graph]);
        let linear = linearize(
            &view,
            &outputs,
            &[ScalarKey::fresh(0)],
            1,
            &mut (),
            &aliases,
        );
        assert_eq!(linear.as_graph().operations().len(), count as usize);
        assert!(linear.tangent_outputs()[0].is_some());
    });
}

/// v = v + y·sin v, of `operations` operations in all.
fn probe_chain(operations: usize) -> Graph<Probe> {
    let mut builder = GraphBuilder::new();
    let mut v = builder.add_input(Key::Input(0));
    let y = builder.add_input(Key::Input(1));
    for _ in 0..operations.div_ceil(3) {
        let sin = apply(&mut builder, Probe::Sin, &[v])[0];
        let product = apply(&mut builder, Probe::Mul, &[y, sin])[0];
        v = apply(&mut builder, Probe::Add, &[v, product])[0];
    }
    builder.set_outputs(vec![v]);
    builder.build()
}

/// Σ xᵢ·xᵢ₋₁·sin xᵢ, one input for four operations.
fn probe_wide(operations: usize) -> Graph<Probe> {
    let mut builder = GraphBuilder::new();
    let mut sum = builder.add_input(Key::Input(0));
    let mut last = sum;
    for i in 0..operations.div_ceil(4) {
        let x = builder.add_input(Key::Input(i + 1));
        let sin = apply(&mut builder, Probe::Sin, &[x])[0];
        let product = apply(&mut builder, Probe::Mul, &[x, last])[0];
        let term = apply(&mut builder, Probe::Mul, &[product, sin])[0];
        sum = apply(&mut builder, Probe::Add, &[sum, term])[0];
        last = x;
    }
    builder.set_outputs(vec![sum]);
    builder.build()
}

/// What a pass does an operation must be the same for a thousand as for a hundred thousand, and
/// below the bounds.
fn check_flat(pass: &str, bounds: [f64; 4], measure: impl Fn(Graph<Probe>) -> Counts) {
    let programs = [
        ("chain", probe_chain as fn(usize) -> Graph<Probe>),
        ("wide", probe_wide),
    ];
    for (program, make) in programs {
        // Powers of two: a hash table that grows hashes its inputs again, at each doubling.
        let most = cases(1 << 17).next_power_of_two();
        let rates = [1 << 10, 1 << 13, most].map(|n| {
            let counts = measure(make(n));
            let Counts {
                op_comparisons,
                op_hashes,
                key_comparisons,
                key_hashes,
            } = counts;
            [op_comparisons, op_hashes, key_comparisons, key_hashes]
                .map(|count| count as f64 / n as f64)
        });
        for rate in &rates {
            for i in 0..4 {
                let found = format!("{pass} of {program}: {rates:?}, bounds {bounds:?}");
                assert!(rate[i] <= bounds[i], "{found}");
                assert!(
                    (rate[i] - rates[0][i]).abs() <= 0.1 * rates[0][i] + 0.05,
                    "{found}"
                );
            }
        }
    }
}

#[test]
fn linearize_hashes_what_it_emits_and_compares_nothing() {
    // Comparisons, hashes of operations; comparisons, hashes of keys. A tangent's name costs the
    // hashes of its parts; the wide program has an input for every fourth operation.
    check_flat("linearize", [0.01, 3.0, 2.0, 6.0], |graph| {
        let outputs = output_keys(&graph);
        let wrt: Vec<Key> = (0..graph.inputs().len()).map(Key::Input).collect();
        let view = resolve(vec![Arc::new(graph)]);
        let (aliases, mut calls) = (HashMap::new(), Calls::default());
        let linear = || linearize(&view, &outputs, &wrt, 1, &mut calls, &aliases);
        counted(linear).1
    });
}

#[test]
fn transpose_hashes_what_it_emits_and_compares_nothing() {
    check_flat("transpose", [0.01, 3.0, 0.5, 3.0], |graph| {
        let linear = derive(graph, &mut Calls::default()).linear;
        counted(|| linear_transpose(&linear, &mut Calls::default())).1
    });
}

#[test]
fn resolving_all_three_graphs_compares_no_structure() {
    check_flat("resolve of all three", [0.5, 0.0, 4.0, 8.0], |graph| {
        let derived = derive(graph, &mut Calls::default());
        let roots = vec![
            derived.primal,
            Arc::new(derived.linear.into_graph()),
            Arc::new(derived.transposed.into_graph()),
        ];
        counted(|| resolve(roots)).1
    });
}

#[test]
fn each_rule_is_called_once_an_operation() {
    for n in [999, 99_999] {
        let mut calls = Calls::default();
        let derived = derive(probe_chain(n), &mut calls);
        assert_eq!(calls.jvp, n);
        // The cosine that is the slope of a sine takes no part in transposition.
        let linear = derived.linear.as_graph().operations();
        let cosines = linear.iter().filter(|node| node.operation == Probe::Cos);
        assert_eq!(calls.transpose, linear.len() - cosines.count());
    }
}

#[test]
fn an_operation_reached_twice_is_linearized_once() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(Key::Input(0));
    let first = apply(&mut builder, Probe::Sin, &[x])[0];
    let second = apply(&mut builder, Probe::Sin, &[x])[0];
    let sum = apply(&mut builder, Probe::Add, &[first, second])[0];
    let outputs = vec![sum, first, second, sum, x];
    builder.set_outputs(outputs);
    let mut calls = Calls::default();
    let derived = derive(builder.build(), &mut calls);
    assert_eq!(calls.jvp, 2);
    let tangents = derived.linear.tangent_outputs();
    assert_eq!((tangents[0], tangents[1]), (tangents[3], tangents[2]));
    assert!(tangents.iter().all(Option::is_some));
}

#[test]
fn linearize_leaves_alone_what_no_output_needs_and_what_no_tangent_enters() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(Key::Input(0));
    let y = builder.add_input(Key::Input(1));
    let needed = apply(&mut builder, Probe::Sin, &[x])[0];
    apply(&mut builder, Probe::Sin, &[needed]);
    let without_tangent = apply(&mut builder, Probe::Sin, &[y])[0];
    let product = apply(&mut builder, Probe::Mul, &[needed, without_tangent])[0];
    builder.set_outputs(vec![product]);
    let graph = builder.build();
    let outputs = output_keys(&graph);
    let mut calls = Calls::default();
    let view = resolve(vec![Arc::new(graph)]);
    linearize(
        &view,
        &outputs,
        &[Key::Input(0)],
        1,
        &mut calls,
        &HashMap::new(),
    );
    assert_eq!(calls.jvp, 2);
}

/// The linear map of (x·y, y·z, x + z) by x, y and z.
fn three_outputs() -> LinearizedGraph<Probe> {
    let mut builder = GraphBuilder::new();
    let [x, y, z] = [0, 1, 2].map(|number| builder.add_input(Key::Input(number)));
    let outputs = vec![
        apply(&mut builder, Probe::Mul, &[x, y])[0],
        apply(&mut builder, Probe::Mul, &[y, z])[0],
        apply(&mut builder, Probe::Add, &[x, z])[0],
    ];
    builder.set_outputs(outputs);
    derive(builder.build(), &mut Calls::default()).linear
}

#[test]
fn transpose_visits_only_what_lies_between_a_tangent_and_a_seed() {
    // By seeds: how many operations of the linear map lie behind them, and which cotangents are
    // zero. Each product's tangent is a sum of two products.
    for (seeded, visited, active) in [
        ([false, false, false], 0, [false, false, false]),
        ([true, false, false], 3, [true, true, false]),
        ([false, true, false], 3, [false, true, true]),
        ([false, false, true], 1, [true, false, true]),
        ([true, false, true], 4, [true, true, true]),
        ([true, true, true], 7, [true, true, true]),
    ] {
        let mut builder = GraphBuilder::new();
        let seeds = [0, 1, 2].map(|output: usize| {
            let seed = builder.add_input(Key::Input(100 + output));
            seeded[output].then_some(seed)
        });
        let mut calls = Calls::default();
        let cotangents =
            try_linear_transpose_with_builder(&three_outputs(), &mut builder, &seeds, &mut calls)
                .expect("nothing is wrong");
        assert_eq!(calls.transpose, visited, "{seeded:?}");
        let found: Vec<bool> = cotangents.iter().map(Option::is_some).collect();
        assert_eq!(found, active, "{seeded:?}");
    }
}

/// The operations of a graph, one a line.
fn listing(graph: &Graph<Probe>) -> Vec<String> {
    let operations = graph.operations().iter();
    operations
        .map(|node| {
            format!(
                "{:?}",
                (&node.outputs, &node.operation, &node.inputs, &node.role)
            )
        })
        .collect()
}

#[test]
fn the_same_program_gives_the_same_graphs() {
    let make = || derive(probe_wide(400), &mut Calls::default());
    let first = make();
    for _ in 0..5 {
        let again = make();
        assert_eq!(
            listing(again.linear.as_graph()),
            listing(first.linear.as_graph())
        );
        assert_eq!(
            listing(again.transposed.as_graph()),
            listing(first.transposed.as_graph())
        );
    }
}

#[test]
fn cotangents_are_added_in_the_order_in_which_they_arise() {
    // x enters three sums; operations are visited from the last to the first, and the seeds come
    // before all of them.
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(Key::Input(0));
    let [a, b, c] = [1, 2, 3].map(|number| {
        let other = builder.add_input(Key::Input(number));
        apply(&mut builder, Probe::Add, &[x, other])[0]
    });
    builder.set_outputs(vec![a, b, x, c, x]);
    let transposed = derive(builder.build(), &mut Calls::default()).transposed;
    let graph = transposed.as_graph();
    // The seeds are %0 to %4; %2 and %4 are those of x itself.
    let sums: Vec<_> = graph
        .operations()
        .iter()
        .map(|node| {
            assert_eq!(node.operation, Probe::Add);
            let active_mask = vec![true, true];
            assert_eq!(node.role, OperationRole::Linearized { active_mask });
            format!("{:?} = {:?}", node.outputs[0], node.inputs)
        })
        .collect();
    assert_eq!(
        sums,
        [
            "5 = [Local(2), Local(4)]",
            "6 = [Local(5), Local(3)]",
            "7 = [Local(6), Local(1)]",
            "8 = [Local(7), Local(0)]",
        ]
    );
    assert_eq!(
        transposed.tangent_outputs(),
        [Some(8), Some(0), Some(1), Some(3)]
    );
}
