//! First-order gradients: of random programs, from any outputs, by any values.

use tidu_ad::{Function, Wrt};
use tidu_scalar::{ScalarOp, function};

use super::program::{Program, Random, choose};
use super::{Scalar, assert_all_near, assert_near, one, scalars};

#[test]
fn random_programs_agree_with_dual_numbers() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let calls = 1 + random.below(30);
        let program = Program::random(&mut random, 3, calls);
        // Outputs may repeat, be inputs of others, or be leaves; so may what to differentiate by.
        let outputs = choose(&mut random, &program, 1 + seed as usize % 4);
        let wrt = choose(&mut random, &program, 4);
        let seeds: Vec<f64> = outputs.iter().map(|_| random.unit()).collect();

        let mut tape = scalars();
        let vars = program.record(&mut tape);
        let pairs: Vec<(&Scalar, f64)> = outputs
            .iter()
            .map(|&at| &vars[at])
            .zip(seeds.clone())
            .collect();
        let by: Vec<&Scalar> = wrt.iter().map(|&at| &vars[at]).collect();
        let kept = tape.backward_keeping(&pairs, &by).expect("keeps");
        let found = tape.backward(&pairs, &by).expect("nothing is wrong");
        assert_eq!(kept, found);

        let expected: Vec<Option<f64>> = wrt
            .iter()
            .map(|&at| {
                let depends = program.dependents(at);
                if !outputs.iter().any(|&output| depends[output]) {
                    return None;
                }
                let values = program.run(Some(at), None);
                let terms = outputs.iter().zip(&seeds);
                Some(terms.map(|(&output, seed)| seed * values[output].a).sum())
            })
            .collect();
        assert_all_near(&found, &expected);
        for (var, value) in vars.iter().zip(program.run(None, None)) {
            assert_near(*var.value(), value.v);
        }
    }
}

#[test]
fn random_programs_agree_with_functions() {
    for seed in 1000..1060 {
        let mut random = Random(seed);
        let program = Program::random(&mut random, 3, 20);
        let outputs = choose(&mut random, &program, 3);
        let seeds: Vec<f64> = outputs.iter().map(|_| random.unit()).collect();
        let f: Function<ScalarOp> = function(["x", "y", "z"], |leaves| {
            let values = program.expressions(&leaves);
            let chosen: Vec<_> = outputs.iter().map(|&at| values[at].clone()).collect();
            chosen
        })
        .expect("a function");
        let vjp = f.vjp(Wrt::All).expect("rules").compile();
        let arguments: Vec<f64> = program.leaves.iter().chain(&seeds).copied().collect();
        let expected = vjp.call(&arguments).expect("runs");

        let mut tape = scalars();
        let vars = program.record(&mut tape);
        let pairs: Vec<_> = outputs.iter().map(|&at| &vars[at]).zip(seeds).collect();
        let by: Vec<&Scalar> = vars[..3].iter().collect();
        let found = tape.backward(&pairs, &by).expect("nothing is wrong");
        for (found, expected) in found.iter().zip(&expected[3..]) {
            assert_near(found.unwrap_or(0.0), *expected);
        }
    }
}

#[test]
fn one_result_of_two_or_both() {
    let x = 0.6_f64;
    for (by_sin, by_cos) in [
        (Some(2.0), None),
        (None, Some(-3.0)),
        (Some(2.0), Some(-3.0)),
    ] {
        let mut tape = scalars();
        let leaf = tape.leaf(x);
        let results = tape.apply(ScalarOp::SinCos, &[&leaf]).expect("results");
        let seeds = [(&results[0], by_sin), (&results[1], by_cos)];
        let pairs: Vec<_> = seeds
            .iter()
            .filter_map(|(var, seed)| Some((*var, (*seed)?)))
            .collect();
        let found = tape.backward(&pairs, &[&leaf]).expect("nothing is wrong");
        let expected = by_sin.unwrap_or(0.0) * x.cos() - by_cos.unwrap_or(0.0) * x.sin();
        assert_all_near(&found, &[Some(expected)]);
    }
}

#[test]
fn an_output_that_is_a_leaf_or_an_operand_of_another() {
    let mut tape = scalars();
    let (x, y) = (tape.leaf(3.0), tape.leaf(5.0));
    let product = one(&mut tape, ScalarOp::Mul, &[&x, &y]);
    let square = one(&mut tape, ScalarOp::Mul, &[&product, &product]);
    // 2x + 7xy + 11xy + (xy)²
    let outputs = [(&x, 2.0), (&product, 7.0), (&square, 1.0), (&product, 11.0)];
    let found = tape.backward(&outputs, &[&y, &x, &product, &x, &square]);
    let by_product = 18.0 + 30.0;
    assert_eq!(
        found.expect("nothing is wrong"),
        [
            Some(3.0 * by_product),
            Some(2.0 + 5.0 * by_product),
            Some(by_product),
            Some(2.0 + 5.0 * by_product),
            Some(1.0)
        ]
    );
}

#[test]
fn nothing_where_no_path_is() {
    let mut tape = scalars();
    let (x, y, z) = (tape.leaf(1.0), tape.leaf(2.0), tape.leaf(3.0));
    let a = one(&mut tape, ScalarOp::Sin, &[&x]);
    let later = one(&mut tape, ScalarOp::Mul, &[&a, &y]);
    let stopped = one(&mut tape, ScalarOp::StopGradient, &[&z]);
    let sum = one(&mut tape, ScalarOp::Add, &[&a, &stopped]);
    let found = tape.backward(&[(&sum, 1.0)], &[&y, &z, &later, &x]);
    let found = found.expect("nothing is wrong");
    assert_all_near(&found, &[None, None, None, Some(1.0_f64.cos())]);
    assert_eq!(tape.backward(&[], &[&x]).expect("nothing is wrong"), [None]);
    assert_eq!(
        tape.backward(&[(&x, 1.0)], &[]).expect("nothing is wrong"),
        []
    );
}

#[test]
fn constants_take_part_but_are_not_recorded() {
    let mut tape = scalars();
    let c = Scalar::constant(4.0);
    let d = one(&mut tape, ScalarOp::Exp, &[&c]);
    let number = one(&mut tape, ScalarOp::constant(0.5), &[]);
    assert!(!d.requires_grad() && !number.requires_grad());
    assert!(format!("{tape:?}").contains("calls: 0"), "{tape:?}");
    let x = tape.leaf(2.0);
    let y = one(&mut tape, ScalarOp::Div, &[&x, &d]);
    let z = one(&mut tape, ScalarOp::Mul, &[&number, &y]);
    let found = tape
        .backward(&[(&z, 1.0)], &[&x])
        .expect("nothing is wrong");
    assert_all_near(&found, &[Some(0.5 / 4.0_f64.exp())]);
}

#[test]
fn sums_of_cotangents_keep_one_order() {
    // Uses of x are added from the last to the first: ((c₂ + c₁) + c₀), which rounding can tell.
    let terms = [1e16, 1.0, -1e16];
    let mut tape = scalars();
    let x = tape.leaf(1.0);
    let uses = terms.map(|c| one(&mut tape, ScalarOp::Mul, &[&Scalar::constant(c), &x]));
    let pairs: Vec<_> = uses.iter().map(|var| (var, 1.0)).collect();
    let found = tape.backward(&pairs, &[&x]).expect("nothing is wrong");
    assert_eq!(found, [Some((-1e16 + 1.0) + 1e16)]);
}
