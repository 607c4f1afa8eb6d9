//! Functions of a hundred thousand operations through every transform, on a stack of 2 MiB; and their
//! cost, counted: calls of rules, comparisons and hashes an operation.

use std::sync::Arc;

use crate::support::{Calls, Counts, Key, Probe, apply, counted, on_small_stack, output_keys};
use tidu_ad::{Function, Mode, Primitive, Rules};
use tidu_graph::{Exactness, Graph, GraphBuilder, ValueKey};
use tidu_scalar::{ScalarKey, ScalarOp};
use tidu_testkit::cases;

fn of<Op: Primitive>(graph: Graph<Op>) -> Function<Op> {
    let inputs = graph.inputs().iter();
    let inputs: Vec<Op::InputKey> = inputs
        .map(|&id| match &graph.values()[id].key {
            ValueKey::Input(key) => key.clone(),
            ValueKey::Derived { .. } => unreachable!("an input is an input"),
        })
        .collect();
    let outputs = output_keys(&graph);
    Function::from_graphs(vec![Arc::new(graph)], &inputs, &outputs).expect("it is closed")
}

/// v = x; `steps` times: v = v + y·sin v.
fn chain(steps: usize) -> Function<ScalarOp> {
    of(tidu_testkit::chain(3 * steps).graph())
}

const X: f64 = 0.3;
const Y: f64 = 1e-6;

/// Three operations each.
fn steps() -> usize {
    cases(33_333)
}

/// Value, ∂ₓ, ∂ᵧ and ∂ₓ² of [`chain`], by the chain rule along it.
fn witness() -> [f64; 4] {
    let mut all = [X, 1.0, 0.0, 0.0];
    for _ in 0..steps() {
        let [v, by_x, by_y, by_xx] = all;
        let slope = 1.0 + Y * v.cos();
        all = [
            v + Y * v.sin(),
            slope * by_x,
            slope * by_y + v.sin(),
            slope * by_xx - Y * v.sin() * by_x * by_x,
        ];
    }
    all
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(error <= 1e-9 * expected.abs(), "{found}, not {expected}");
    }
}

fn call(f: &Function<ScalarOp>, x: &[f64]) -> Vec<f64> {
    f.compile().call(x).expect("it can run")
}

#[test]
fn gradients_of_a_hundred_thousand_operations() {
    on_small_stack(|| {
        let [value, by_x, by_y, by_xx] = witness();
        let f = chain(steps());
        assert_close(&call(&f, &[X, Y]), &[value]);
        assert_close(&call(&f.grad(..).unwrap(), &[X, Y]), &[by_x, by_y]);
        let first = f.grad("x").unwrap();
        assert_close(&call(&first, &[X, Y]), &[by_x]);
        let second = first.grad("x").unwrap();
        assert_close(&call(&second, &[X, Y]), &[by_xx]);
    });
}

#[test]
fn a_hundred_thousand_operations_split_and_transposed() {
    on_small_stack(|| {
        let [value, by_x, by_y, by_xx] = witness();
        let f = chain(steps());
        let split = f.linearize(..).unwrap();
        let mut residuals = call(&split.primal, &[X, Y]);
        assert_close(&residuals[..1], &[value]);
        residuals.remove(0);
        // The sine and the cosine of each step, and y.
        assert_eq!(residuals.len(), 2 * steps() + 1);
        let with = |t: &[f64]| [&residuals[..], t].concat();
        assert_close(
            &call(&split.linear, &with(&[1.0, 2.0])),
            &[by_x + 2.0 * by_y],
        );
        let first = residuals.len();
        let back = split.linear.transpose([first, first + 1]).unwrap();
        assert_close(&call(&back, &with(&[3.0])), &[3.0 * by_x, 3.0 * by_y]);
        let series = f.jvp_to_order(2, "x").unwrap();
        assert_close(
            &call(&series, &[X, Y, 2.0]),
            &[value, 2.0 * by_x, 4.0 * by_xx],
        );
    });
}

#[test]
fn a_hundred_thousand_operations_simplified() {
    on_small_stack(|| {
        let [value, by_x, by_y, _] = witness();
        let f = chain(steps());
        for level in [Exactness::Exact, Exactness::FiniteOnly, Exactness::RealOnly] {
            assert_close(&call(&f.simplify(level).unwrap(), &[X, Y]), &[value]);
        }
        assert!(f.rewrites(Exactness::RealOnly).unwrap().len() <= 4 * steps());
        // As one operation, and as one of a hundred thousand.
        let tangent = f.jvp(..).unwrap().select_at(&[1]).unwrap();
        let one = f.with_rules("chain", Rules::jvp(tangent)).unwrap();
        assert_close(&call(&one.grad(..).unwrap(), &[X, Y]), &[by_x, by_y]);
        let plain = one.expanded().unwrap();
        assert_eq!(plain.as_graph().operations().len(), 3 * steps());
    });
}

/// sin with rules of its own, `n` times, the next one of the last one.
#[test]
fn many_calls_of_one_function() {
    on_small_stack(|| {
        let half = tidu_scalar::function(["x"], |[x]| [0.5 * x]).unwrap();
        let rule = tidu_scalar::function(["x", "t"], |[_, t]| [1.0 * t]).unwrap();
        let half = half
            .with_rules("half", Rules::both(rule.clone(), rule))
            .unwrap();
        let operation = half.as_graph().operations()[0].operation.clone();
        let n = 20_000;
        let mut builder = GraphBuilder::<ScalarOp>::new();
        let x = builder.add_input(ScalarKey::from("x"));
        let last = (0..n).fold(x, |v, _| apply(&mut builder, operation.clone(), &[v])[0]);
        builder.set_outputs(vec![last]);
        let f = of(builder.build());
        // Its rules say that the slope of x / 2 is 1.
        for mode in [Mode::Forward, Mode::Reverse] {
            let gradient = f.within(&mut ()).mode(mode).grad("x").unwrap();
            assert_close(&call(&gradient, &[1.0]), &[1.0]);
        }
        assert_eq!(call(&f, &[1.0]), [0.0]);
    });
}

/// v = x; `n` times alternately v = v·y and v = v + x.
fn products(n: usize) -> Function<Probe> {
    let mut builder = GraphBuilder::new();
    let [x, y] = [0, 1].map(|key| builder.add_input(Key::Input(key)));
    let step = |v, at: usize| match at % 2 {
        0 => apply(&mut builder, Probe::Mul, &[v, y])[0],
        _ => apply(&mut builder, Probe::Add, &[v, x])[0],
    };
    let last = (0..n).fold(x, step);
    builder.set_outputs(vec![last]);
    of(builder.build())
}

/// How often rules are called, for functions of some operations and of forty times as many.
#[test]
fn rules_are_called_in_proportion() {
    let at = |n: usize| -> Vec<Calls> {
        let f = products(n);
        let with = |transform: &dyn Fn(&mut Calls)| {
            let mut calls = Calls::default();
            transform(&mut calls);
            calls
        };
        vec![
            with(&|ctx| drop(f.within(ctx).jvp(..).unwrap())),
            with(&|ctx| drop(f.within(ctx).vjp(..).unwrap())),
            with(&|ctx| drop(f.within(ctx).linearize(..).unwrap())),
            with(&|ctx| drop(f.within(ctx).transpose(0).unwrap())),
            with(&|ctx| drop(f.within(ctx).jvp_to_order(3, ..).unwrap())),
            with(&|ctx| drop(f.within(ctx).missing_rules(.., Mode::Reverse).unwrap())),
        ]
    };
    let (n, least) = (cases(20_000), cases(500));
    let (few, many) = (at(least), at(n));
    // Once an operation, or once an operation of what is transposed.
    assert_eq!((many[0].jvp, many[0].transpose), (n, 0));
    assert_eq!(many[1].jvp, n);
    assert_eq!((many[2].jvp, many[2].transpose), (n, 0));
    assert_eq!((many[3].jvp, many[3].transpose), (0, n));
    assert_eq!(many[5], many[1]);
    for (few, many) in few.iter().zip(&many) {
        assert!(many.jvp <= 42 * few.jvp, "{few:?} {many:?}");
        assert!(many.transpose <= 42 * few.transpose, "{few:?} {many:?}");
    }
}

/// What operations and keys are asked, for functions of some operations and of forty times as many.
#[test]
fn operations_are_compared_in_proportion() {
    let at = |n: usize| -> Vec<Counts> {
        let f = products(n);
        let ctx = &mut Calls::default();
        let mut all = vec![
            counted(|| f.within(ctx).jvp(..).unwrap()).1,
            counted(|| f.within(ctx).vjp(..).unwrap()).1,
            counted(|| f.within(ctx).linearize(..).unwrap()).1,
            counted(|| f.within(ctx).transpose(0).unwrap()).1,
            counted(|| f.within(ctx).jvp_to_order(3, ..).unwrap()).1,
        ];
        all.push(counted(|| f.simplify(Exactness::RealOnly).unwrap()).1);
        all.push(counted(|| f.compile()).1);
        all
    };
    let (few, many) = (at(cases(500)), at(cases(20_000)));
    for (transform, (few, many)) in few.iter().zip(&many).enumerate() {
        for (few, many) in [
            (few.op_comparisons, many.op_comparisons),
            (few.op_hashes, many.op_hashes),
            (few.key_comparisons, many.key_comparisons),
            (few.key_hashes, many.key_hashes),
        ] {
            // Tables collide now and then.
            assert!(
                many <= 52 * few + 4_000,
                "transform {transform}: {few}, then {many}"
            );
        }
    }
}
