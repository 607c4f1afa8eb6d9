//! Gradients by everything at once, and forward mode over what was recorded.

use tidu_ad::Function;
use tidu_eager::{EagerError, Gradients};
use tidu_graph::{GraphBuilder, OperationRole, ValueRef};
use tidu_scalar::{ScalarKey, ScalarOp, function};

use super::own::{Counted, Own, OwnVar, numbers, own_tape};
use super::program::{Program, Random, choose};
use super::{Scalar, Scalars, assert_near, one, scalars};

#[track_caller]
fn by(gradients: &Gradients<ScalarOp>, var: &Scalar) -> Option<f64> {
    gradients.get(var).expect("a variable").copied()
}

#[test]
fn gradients_by_every_value_of_random_programs() {
    let mut random = Random(71);
    for _ in 0..60 {
        let program = Program::random(&mut random, 3, 25);
        let mut tape = scalars();
        let vars = program.record(&mut tape);
        let outputs = choose(&mut random, &program, 2);
        let seeds = [random.unit() - 0.3, random.unit() + 0.2];
        let pairs: Vec<(&Scalar, f64)> = outputs.iter().map(|&at| &vars[at]).zip(seeds).collect();
        let found = tape.backward_all(&pairs).expect("fine");
        for at in (0..vars.len()).filter(|&at| program.active[at]) {
            // Dual numbers, by this value alone.
            let moved = program.run(Some(at), None);
            let expected = outputs.iter().zip(seeds);
            let expected: f64 = expected.map(|(&out, seed)| seed * moved[out].a).sum();
            let depends = program.dependents(at);
            match by(&found, &vars[at]) {
                Some(found) => assert_near(found, expected),
                None => assert_eq!(expected, 0.0),
            }
            if outputs.iter().all(|&out| !depends[out]) {
                assert_eq!(by(&found, &vars[at]), None);
            }
        }
        // Nothing was freed.
        assert!(tape.backward(&pairs, &[&vars[0]]).is_ok());
    }
}

#[test]
fn tangents_of_random_programs() {
    let mut random = Random(72);
    for _ in 0..60 {
        let program = Program::random(&mut random, 3, 25);
        let mut tape = scalars();
        let vars = program.record(&mut tape);
        // Leaves move, and so does something in between, by itself.
        let moving = [0, 2, choose(&mut random, &program, 1)[0]];
        let tangents = [0.7, -1.1, 0.4];
        let inputs: Vec<(&Scalar, f64)> =
            moving.iter().map(|&at| &vars[at]).zip(tangents).collect();
        let active: Vec<usize> = (0..vars.len()).filter(|&at| program.active[at]).collect();
        let outputs: Vec<&Scalar> = active.iter().map(|&at| &vars[at]).collect();
        let found = tape.tangents(&inputs, &outputs).expect("fine");
        let runs = moving.map(|at| program.run(Some(at), None));
        for (&at, found) in active.iter().zip(found) {
            let expected: f64 = runs
                .iter()
                .zip(tangents)
                .map(|(run, t)| t * run[at].a)
                .sum();
            match found {
                Some(found) => assert_near(found, expected),
                None => assert_eq!(expected, 0.0),
            }
        }
        // ⟨ȳ, J·ẋ⟩ = ⟨Jᵀ·ȳ, ẋ⟩, with all values but constants for y.
        let seeds: Vec<f64> = outputs.iter().map(|_| random.unit() - 0.5).collect();
        let forward = tape.tangents(&inputs, &outputs).expect("fine");
        let forward: f64 = forward
            .iter()
            .zip(&seeds)
            .map(|(t, s)| t.unwrap_or(0.0) * s)
            .sum();
        let pairs: Vec<(&Scalar, f64)> = outputs.iter().copied().zip(seeds).collect();
        let back = tape.backward_all(&pairs).expect("fine");
        let back = inputs
            .iter()
            .map(|(var, t)| by(&back, var).unwrap_or(0.0) * t);
        assert_near(forward, back.sum());
    }
}

#[test]
fn tangents_through_functions_and_segments() {
    let f = function(["a", "b", "c"], |[a, b, _]| [&a * &b, a.sin(), b]).expect("a function");
    for moving in [vec![0], vec![1], vec![0, 1], vec![2], vec![0, 2]] {
        let mut tape = scalars();
        let [a, b, c] = [0.3, 1.7, 2.0].map(|x| tape.leaf(x));
        let leaves = [&a, &b, &c];
        let kept = tape.apply_function(&f, &leaves).expect("fine");
        let again = tape.checkpoint_function(&f, &leaves).expect("fine");
        let segment = tape.checkpoint(&leaves, |tape, x| {
            let product = one(tape, ScalarOp::Mul, &[&x[0], &x[1]]);
            Ok(vec![product, one(tape, ScalarOp::Sin, &[&x[0]]), x[1]])
        });
        let segment = segment.expect("fine");
        let at = |which| if moving.contains(&which) { 1.5 } else { 0.0 };
        let expected = [at(0) * 1.7 + 0.3 * at(1), at(0) * 0.3_f64.cos(), at(1)];
        let inputs: Vec<(&Scalar, f64)> = moving.iter().map(|&at| (leaves[at], 1.5)).collect();
        for results in [&kept, &again, &segment] {
            let outputs: Vec<&Scalar> = results.iter().collect();
            for _ in 0..2 {
                let found = tape.tangents(&inputs, &outputs).expect("fine");
                for (found, expected) in found.iter().zip(expected) {
                    assert_near(found.unwrap_or(0.0), expected);
                }
            }
        }
    }
}

#[test]
fn places_in_gradients() {
    let (mut tape, mut other) = (scalars(), scalars());
    let foreign = other.leaf(1.0);
    let x = tape.leaf(2.0);
    let mark = tape.mark();
    let lost = tape.leaf(5.0);
    tape.rewind(mark).expect("fine");
    let y = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let gradients = tape.backward_all(&[(&y, 1.0)]).expect("fine");
    assert_eq!(by(&gradients, &x), Some(4.0));
    assert!(matches!(
        gradients.get(&lost),
        Err(EagerError::StaleVar { .. })
    ));
    assert!(matches!(
        gradients.get(&foreign),
        Err(EagerError::ForeignVar { .. })
    ));
    let constant = Scalar::constant(1.0);
    assert!(matches!(
        gradients.get(&constant),
        Err(EagerError::ConstantVar { .. })
    ));
    // Made afterwards, before and after the place of y is given out again.
    let later = one(&mut tape, ScalarOp::Neg, &[&y]);
    assert_eq!(by(&gradients, &later), None);
    tape.rewind(mark).expect("fine");
    let replaced = one(&mut tape, ScalarOp::Sin, &[&x]);
    assert_eq!(by(&gradients, &replaced), None);
    assert_eq!(by(&gradients, &x), Some(4.0));

    let wrong = [
        tape.backward_all(&[(&foreign, 1.0)]).map(drop),
        tape.tangents(&[(&foreign, 1.0)], &[]).map(drop),
        tape.tangents(&[], &[&foreign]).map(drop),
    ];
    for wrong in wrong {
        assert!(matches!(wrong, Err(EagerError::ForeignVar { .. })));
    }
    assert!(matches!(
        tape.tangents(&[(&constant, 1.0)], &[&x]),
        Err(EagerError::ConstantVar { .. })
    ));
    let inside = tape.checkpoint(&[&x], |tape, x| {
        tape.tangents(&[(&x[0], 1.0)], &[&x[0]])?;
        Ok(vec![])
    });
    assert!(matches!(inside, Err(EagerError::InSegment { .. })));
    tape.backward(&[(&replaced, 1.0)], &[&x]).expect("fine");
    let freed = tape.tangents(&[(&x, 1.0)], &[&replaced]);
    assert!(matches!(freed, Err(EagerError::Freed { .. })), "{freed:?}");
}

/// (a, b) ↦ (a·a, a + a), which does not use b, in a set that cannot make zeros.
fn half_used() -> Function<Own> {
    let mut builder = GraphBuilder::new();
    let a = builder.add_input(ScalarKey::from("a"));
    builder.add_input(ScalarKey::from("b"));
    let mut apply = |operation| {
        let operands = vec![ValueRef::Local(a); 2];
        builder.add_operation(operation, operands, OperationRole::Primary)[0]
    };
    let outputs = [apply(Own::Mul), apply(Own::Add)];
    let keys = outputs.map(|id| builder.global_key(id).clone());
    let [square, double] = keys.map(|key| (key, "out".to_owned()));
    let inputs = ["a", "b"].map(ScalarKey::from);
    let named = vec![
        (square.0, "square".to_owned()),
        (double.0, "double".to_owned()),
    ];
    Function::from_keys(&inputs, named).expect("a function")
}

#[test]
fn an_active_operand_that_nothing_uses() {
    let f = half_used();
    for recomputes in [false, true] {
        let (mut tape, census, _) = own_tape();
        let leaf = |value| Counted::new(value, &census);
        let (a, b) = (tape.leaf(leaf(3.0)), tape.leaf(leaf(5.0)));
        let results = if recomputes {
            tape.checkpoint_function(&f, &[&a, &b])
        } else {
            tape.apply_function(&f, &[&a, &b])
        };
        let results = results.expect("an operand that nothing uses has no gradient");
        let pairs: Vec<(&OwnVar, Counted)> = results.iter().zip([leaf(10.0), leaf(1.0)]).collect();
        let found = tape.backward_keeping(&pairs, &[&a, &b]).expect("fine");
        assert_eq!(numbers(&found), [Some(62.0), None]);
        let found = tape.backward_keeping(&pairs[1..], &[&b, &a]).expect("fine");
        assert_eq!(numbers(&found), [None, Some(2.0)]);
        let found = tape.backward_keeping(&pairs, &[&b]).expect("fine");
        assert_eq!(numbers(&found), [None]);
        let moving = tape
            .tangents(&[(&b, leaf(1.0))], &[&results[0]])
            .expect("fine");
        assert_eq!(numbers(&moving), [None]);
        let both = [(&a, leaf(0.5)), (&b, leaf(1.0))];
        let moving = tape
            .tangents(&both, &[&results[0], &results[1]])
            .expect("fine");
        assert_eq!(numbers(&moving), [Some(3.0), Some(1.0)]);
    }
}

#[test]
fn segments_of_constants_are_constants() {
    let mut tape = scalars();
    let before = format!("{tape:?}");
    let two = Scalar::constant(2.0);
    let square = |tape: &mut Scalars, x: &[Scalar]| tape.apply(ScalarOp::Mul, &[&x[0], &x[0]]);
    let four = tape.checkpoint(&[&two], square).expect("fine").remove(0);
    assert!(!four.requires_grad());
    assert_eq!((*four.value(), format!("{tape:?}")), (4.0, before));
    // Of constants, but for what the body has captured; also one level further in.
    for depth in 0..2 {
        let x = tape.leaf(3.0);
        let captured = x;
        let scaled =
            move |tape: &mut Scalars, c: &[Scalar]| tape.apply(ScalarOp::Mul, &[&c[0], &captured]);
        let y = match depth {
            0 => tape.checkpoint(&[&two], scaled),
            _ => {
                let scaled = std::sync::Arc::new(scaled);
                tape.checkpoint(&[&two], move |tape, c| {
                    let scaled = std::sync::Arc::clone(&scaled);
                    tape.checkpoint(&[&c[0]], move |tape, c| scaled(tape, c))
                })
            }
        };
        let y = y.expect("fine").remove(0);
        let found = tape.backward(&[(&y, 1.0)], &[&x]).expect("fine");
        assert_eq!(found, [Some(2.0)]);
    }
}

#[test]
fn functions_that_come_and_go_are_forgotten() {
    let mut tape = scalars();
    for at in 0..2000 {
        tape.clear();
        let scale = f64::from(at);
        let f = function(["x"], |[x]| [&x * scale]).expect("a function");
        let x = tape.leaf(3.0);
        let y = tape.apply_function(&f, &[&x]).expect("fine").remove(0);
        let z = one(&mut tape, ScalarOp::Sin, &[&y]);
        let found = tape.backward(&[(&z, 1.0)], &[&x]).expect("fine");
        assert_near(found[0].expect("a path"), scale * (3.0 * scale).cos());
    }
}

#[test]
fn operands_in_memory_do_not_grow_with_passes() {
    let mut tape = scalars();
    let x = tape.leaf(0.3);
    let mut y = x;
    for _ in 0..10_000 {
        let sin = one(&mut tape, ScalarOp::Sin, &[&y]);
        y = one(&mut tape, ScalarOp::Add, &[&y, &sin]);
    }
    let recorded = tape.memory();
    // A sine: its operand; a sum: nothing. Lists may be half as large again, or twice for indices.
    assert!(recorded <= 64 * 20_000, "{recorded}");
    for _ in 0..3 {
        tape.backward_keeping(&[(&y, 1.0)], &[&x]).expect("fine");
    }
    assert!(tape.memory() <= recorded + 17 * 20_000, "{}", tape.memory());
}
