//! What a function applied as one call keeps to go back with moves with its operands.

use std::sync::Arc;

use tidu_ad::Function;
use tidu_eager::EagerError;
use tidu_graph::{GraphBuilder, LocalValueId, OperationRole, ValueRef};
use tidu_scalar::{Expr, ScalarKey, ScalarOp, function};

use super::own::{Counted, Own, OwnVar, numbers, own_tape};
use super::program::{Program, Random, choose};
use super::{Scalar, Scalars, assert_near, one, scalars};

type Call = fn(&mut Scalars, &Function<ScalarOp>, &[&Scalar]) -> Result<Vec<Scalar>, EagerError>;

const BOTH: [Call; 2] = [Scalars::apply_function, Scalars::checkpoint_function];

#[track_caller]
fn gradient(tape: &mut Scalars, y: &Scalar, by: &[&Scalar]) -> Vec<Scalar> {
    let found = tape.backward_recorded(&[(y, Scalar::constant(1.0))], by);
    let found = found.expect("fine").into_iter();
    found
        .map(|found| found.unwrap_or(Scalar::constant(0.0)))
        .collect()
}

/// The tangent of a value, 0 for a constant.
#[track_caller]
fn tangent(tape: &mut Scalars, moving: &[(&Scalar, f64)], y: &Scalar) -> f64 {
    if !y.requires_grad() {
        return 0.0;
    }
    let found = tape.tangents(moving, &[y]).expect("fine")[0];
    found.unwrap_or(0.0)
}

#[test]
fn tangents_of_a_recorded_gradient() {
    // x·sin x: 2·cos x - x·sin x, then -3·sin x - x·cos x
    let f = function(["x"], |[x]| [x.sin() * &x]).expect("a function");
    let (s, c) = 0.7_f64.sin_cos();
    for call in BOTH {
        let mut tape = scalars();
        let x = tape.leaf(0.7);
        let y = call(&mut tape, &f, &[&x]).expect("fine").remove(0);
        let first = gradient(&mut tape, &y, &[&x]).remove(0);
        assert_near(tangent(&mut tape, &[(&x, 1.0)], &first), 2.0 * c - 0.7 * s);
        let second = gradient(&mut tape, &first, &[&x]).remove(0);
        assert_near(*second.value(), 2.0 * c - 0.7 * s);
        let third = tangent(&mut tape, &[(&x, 1.0)], &second);
        assert_near(third, -3.0 * s - 0.7 * c);
        let third = gradient(&mut tape, &second, &[&x]).remove(0);
        assert_near(*third.value(), -3.0 * s - 0.7 * c);
        let fourth = tangent(&mut tape, &[(&x, -0.5)], &third);
        assert_near(fourth, -0.5 * (-4.0 * c + 0.7 * s));
        // Nothing of what is visible has changed by that.
        assert_near(tangent(&mut tape, &[(&x, 2.0)], &y), 2.0 * (s + 0.7 * c));
    }
}

/// How a program is put on a tape.
#[derive(Clone, Copy, Debug)]
enum Way {
    Kept,
    Recomputed,
    InSegment,
    TwoSegmentsDeep,
    AfterSegment,
}

const WAYS: [Way; 5] = [
    Way::Kept,
    Way::Recomputed,
    Way::InSegment,
    Way::TwoSegmentsDeep,
    Way::AfterSegment,
];

fn put(tape: &mut Scalars, way: Way, f: &Function<ScalarOp>, x: &[&Scalar]) -> Vec<Scalar> {
    let f = f.clone();
    let inner = move |tape: &mut Scalars, x: &[Scalar]| {
        let x: Vec<&Scalar> = x.iter().collect();
        match way {
            Way::Recomputed => tape.checkpoint_function(&f, &x),
            _ => tape.apply_function(&f, &x),
        }
    };
    let given: Vec<Scalar> = x.iter().map(|x| **x).collect();
    let results = match way {
        Way::Kept | Way::Recomputed => inner(tape, &given),
        Way::InSegment => tape.checkpoint(x, inner),
        Way::TwoSegmentsDeep => {
            let inner = Arc::new(inner);
            tape.checkpoint(x, move |tape, x| {
                let inner = Arc::clone(&inner);
                let x: Vec<&Scalar> = x.iter().collect();
                tape.checkpoint(&x, move |tape, x| inner(tape, x))
            })
        }
        Way::AfterSegment => {
            let same = tape.checkpoint(x, |_, x| Ok(x.to_vec()));
            inner(tape, &same.expect("fine"))
        }
    };
    results.expect("fine")
}

#[test]
fn random_programs_forward_through_their_gradient() {
    for seed in 0..60 {
        let mut random = Random(41_000 + seed);
        let program = Program::random(&mut random, 3, 4 + seed as usize % 16);
        let outputs = choose(&mut random, &program, 2);
        let f: Function<ScalarOp> = function(["x", "y", "z"], |leaves| {
            let values = program.expressions(&leaves);
            let outputs = outputs.iter().map(|&at| values[at].clone());
            outputs.collect::<Vec<Expr>>()
        })
        .expect("a function");
        let direction = [0.6, -1.1, 0.3];
        // F = y₀y₁ + y₀, in dual numbers
        let entry = |i: usize, j: usize| {
            let values = program.run(Some(i), Some(j));
            let (p, q) = (values[outputs[0]], values[outputs[1]]);
            p.ab * q.v + p.a * q.b + p.b * q.a + p.v * q.ab + p.ab
        };
        for way in WAYS {
            let mut tape = scalars();
            let leaves: Vec<Scalar> = program.leaves.iter().map(|&x| tape.leaf(x)).collect();
            let by: Vec<&Scalar> = leaves.iter().collect();
            let results = put(&mut tape, way, &f, &by);
            let end = one(&mut tape, ScalarOp::Mul, &[&results[0], &results[1]]);
            let end = one(&mut tape, ScalarOp::Add, &[&end, &results[0]]);
            let first = gradient(&mut tape, &end, &by);
            let moving: Vec<(&Scalar, f64)> = by.iter().copied().zip(direction).collect();
            for (i, first) in first.iter().enumerate() {
                let expected: f64 = (0..3).map(|j| entry(i, j) * direction[j]).sum();
                assert_near(tangent(&mut tape, &moving, first), expected);
            }
            third_order(&mut tape, &first, &moving);
        }
    }
}

/// The tangent of the recorded gradient of a gradient, and the gradient of its gradient, agree: they are
/// ⟨∇(∂ₓg), v⟩ by two modes.
fn third_order(tape: &mut Scalars, first: &[Scalar], moving: &[(&Scalar, f64)]) {
    let by: Vec<&Scalar> = moving.iter().map(|(x, _)| *x).collect();
    let Some(first) = first.iter().find(|first| first.requires_grad()) else {
        return;
    };
    let second = gradient(tape, first, &by).remove(0);
    let forward = tangent(tape, moving, &second);
    if !second.requires_grad() {
        return;
    }
    let back = tape.backward_keeping(&[(&second, 1.0)], &by).expect("fine");
    let back = back.iter().zip(moving);
    let back = back.map(|(slope, (_, v))| slope.unwrap_or(0.0) * v);
    assert_near(forward, back.sum());
}

#[test]
fn what_was_recorded_is_a_function_with_the_same_derivatives() {
    let f = function(["x", "y"], |[x, y]| [x.sin() * &y, (&x * &y).exp()]).expect("a function");
    let mut tape = scalars();
    tape.keep_structure().expect("nothing is on it");
    let (x, y) = (tape.leaf(0.7), tape.leaf(-0.4));
    let results = tape.apply_function(&f, &[&x, &y]).expect("fine");
    let end = one(&mut tape, ScalarOp::Mul, &[&results[0], &results[1]]);
    let first = gradient(&mut tape, &end, &[&x]).remove(0);
    let inputs = [("x".into(), &x), ("y".into(), &y)];
    let recorded = tape.to_function(&inputs, &[&first]).expect("fine");
    // ∂²/∂x∂y of sin x · y·e^(xy), of which ∂/∂x is (cos x · y + sin x · y²)·e^(xy)
    let (s, c) = 0.7_f64.sin_cos();
    let e = (0.7_f64 * -0.4).exp();
    let first_value = (c * -0.4 + s * 0.16) * e;
    let by_y = (c - 0.8 * s) * e + 0.7 * first_value;
    let slope = recorded.grad("y").expect("rules").compile();
    assert_near(slope.call(&[0.7, -0.4]).expect("runs")[0], by_y);
    assert_near(tangent(&mut tape, &[(&y, 1.0)], &first), by_y);
}

/// (a, b) ↦ 7·a·b, where the rules see no derivative of the 7, in a set that cannot make zeros.
fn seven_times() -> Function<Own> {
    let mut builder = GraphBuilder::new();
    let inputs = ["a", "b"].map(|name| builder.add_input(ScalarKey::from(name)));
    let mut apply = |operation, operands: [LocalValueId; 2]| {
        let operands = operands.map(ValueRef::Local).to_vec();
        builder.add_operation(operation, operands, OperationRole::Primary)
    };
    let three = apply(Own::Three, inputs);
    let product = apply(Own::Mul, [three[2], three[0]])[0];
    let outputs = vec![
        (builder.global_key(product).clone(), "product".to_owned()),
        (builder.global_key(three[2]).clone(), "seven".to_owned()),
    ];
    Function::from_keys(&["a", "b"].map(ScalarKey::from), outputs).expect("a function")
}

#[test]
fn residuals_that_do_not_move_in_a_set_without_zeros() {
    let f = seven_times();
    for recomputes in [false, true] {
        let (mut tape, census, _) = own_tape();
        let leaf = |value| Counted::new(value, &census);
        let (a, b) = (tape.leaf(leaf(3.0)), tape.leaf(leaf(5.0)));
        let results = if recomputes {
            tape.checkpoint_function(&f, &[&a, &b])
        } else {
            tape.apply_function(&f, &[&a, &b])
        };
        let results = results.expect("fine");
        let seed = OwnVar::constant(leaf(1.0));
        let first = tape.backward_recorded(&[(&results[0], seed)], &[&a]);
        let first = first.expect("fine").remove(0).expect("a path");
        assert_eq!(first.value().value, 35.0);
        // 7·b: it moves with b alone.
        let moving = [(&a, leaf(1.0)), (&b, leaf(0.5))];
        let found = tape
            .tangents(&moving, &[&first, &results[0]])
            .expect("fine");
        assert_eq!(numbers(&found), [Some(3.5), Some(35.0 + 10.5)]);
        let found = tape.tangents(&moving[..1], &[&first]).expect("fine");
        assert_eq!(found.len(), 1);
        assert_eq!(numbers(&found)[0].unwrap_or(0.0), 0.0);
        let found = tape.backward_keeping(&[(&first, leaf(1.0))], &[&a, &b]);
        let found = numbers(&found.expect("fine"));
        assert_eq!(found[0].unwrap_or(0.0), 0.0);
        assert_eq!(found[1], Some(7.0));
        // The constant alone, forward and backward.
        let found = tape.tangents(&moving, &[&results[1]]).expect("fine");
        assert_eq!(numbers(&found), [None]);
        let found = tape.backward(&[(&results[1], leaf(1.0))], &[&a, &b]);
        assert_eq!(numbers(&found.expect("fine")), [None, None]);
    }
}
