//! Gradients of gradients.

use tidu_ad::Wrt;
use tidu_eager::{EagerError, Tape};
use tidu_scalar::{ScalarOp, function};

use super::program::{Program, Random, choose};
use super::{Scalar, Scalars, assert_near, one, scalars};

/// The gradient of one value by another, recorded.
fn derivative(tape: &mut Scalars, of: &Scalar, by: &Scalar) -> Scalar {
    let found = tape.backward_recorded(&[(of, Scalar::constant(1.0))], &[by]);
    found.expect("nothing is wrong").remove(0).expect("a path")
}

#[test]
fn three_derivatives_of_a_closed_form() {
    // f = sin(x³)
    let v = 0.8_f64;
    let mut tape = scalars();
    let x = tape.leaf(v);
    let square = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let cube = one(&mut tape, ScalarOp::Mul, &[&square, &x]);
    let f = one(&mut tape, ScalarOp::Sin, &[&cube]);
    let (s, c) = (v.powi(3).sin(), v.powi(3).cos());
    let first = derivative(&mut tape, &f, &x);
    assert_near(*first.value(), 3.0 * v * v * c);
    let second = derivative(&mut tape, &first, &x);
    assert_near(*second.value(), 6.0 * v * c - 9.0 * v.powi(4) * s);
    let third = derivative(&mut tape, &second, &x);
    let expected = 6.0 * c - 54.0 * v.powi(3) * s - 27.0 * v.powi(6) * c;
    assert_near(*third.value(), expected);

    let function = function(["x"], |[x]| [(&x * &x * &x).sin()]).expect("a function");
    let third_of = (0..3).fold(function, |f, _| f.grad(Wrt::All).expect("rules"));
    assert_near(
        third_of.compile().call(&[v]).expect("runs")[0],
        *third.value(),
    );
    // The same once more, plainly.
    let found = tape
        .backward(&[(&second, 1.0)], &[&x])
        .expect("nothing is wrong");
    assert_near(found[0].expect("a path"), expected);
}

#[test]
fn exp_is_its_own_derivative_four_times() {
    let mut tape = scalars();
    let x = tape.leaf(-0.7);
    let mut y = one(&mut tape, ScalarOp::Exp, &[&x]);
    for _ in 0..4 {
        y = derivative(&mut tape, &y, &x);
        assert_near(*y.value(), (-0.7_f64).exp());
    }
}

/// The recorded gradient, 0 where there is none.
fn next_order(tape: &mut Scalars, y: &Scalar, x: &Scalar) -> Scalar {
    let found = tape.backward_recorded(&[(y, Scalar::constant(1.0))], &[x]);
    let found = found.expect("no order is the last").remove(0);
    found.unwrap_or_else(|| tape.constant(0.0))
}

#[test]
fn polynomials_have_derivatives_of_every_order() {
    // Taylor's coefficients of x³ + 2x at 5, each from the one before by a derivative over k.
    let mut tape = scalars();
    let x = tape.leaf(5.0);
    let square = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let cube = one(&mut tape, ScalarOp::Mul, &[&square, &x]);
    let double = one(&mut tape, ScalarOp::Add, &[&x, &x]);
    let mut y = one(&mut tape, ScalarOp::Add, &[&cube, &double]);
    let mut found = vec![*y.value()];
    for k in 1..=6 {
        let slope = next_order(&mut tape, &y, &x);
        y = one(
            &mut tape,
            ScalarOp::Div,
            &[&slope, &Scalar::constant(f64::from(k))],
        );
        found.push(*y.value());
    }
    assert_eq!(found, [135.0, 77.0, 15.0, 1.0, 0.0, 0.0, 0.0]);
    // A constant of the tape's own may be differentiated in every way, alone and beside others.
    assert!(!y.requires_grad());
    assert_eq!(tape.backward_keeping(&[(&y, 1.0)], &[&x]), Ok(vec![None]));
    assert_eq!(
        tape.tangents(&[(&x, 1.0)], &[&y, &double]),
        Ok(vec![None, Some(2.0)])
    );
    let all = tape
        .backward_all(&[(&y, 1.0), (&double, 3.0)])
        .expect("fine");
    assert_eq!(all.get(&x), Ok(Some(&6.0)));
    assert_eq!(
        tape.backward(&[(&y, 1.0), (&double, 3.0)], &[&x]),
        Ok(vec![Some(6.0)])
    );
    // What was cut off, or is of another tape, is not of that kind.
    let cut = tape.no_grad(|tape| one(tape, ScalarOp::Neg, &[&y]));
    for constant in [y.detach(), cut, scalars().constant(1.0)] {
        let error = tape.backward(&[(&constant, 1.0)], &[&x]).unwrap_err();
        assert!(matches!(error, EagerError::ConstantVar { .. }), "{error}");
    }
}

#[test]
fn random_programs_agree_with_hyper_dual_numbers() {
    for seed in 0..120 {
        let mut random = Random(5000 + seed);
        let calls = 2 + random.below(20);
        let program = Program::random(&mut random, 3, calls);
        let outputs = choose(&mut random, &program, 2);
        let wrt = choose(&mut random, &program, 3);
        let weights: Vec<f64> = wrt.iter().map(|_| random.unit()).collect();

        let mut tape = scalars();
        let vars = program.record(&mut tape);
        let seeds: Vec<Scalar> = outputs.iter().map(|_| tape.leaf(random.unit())).collect();
        let pairs: Vec<_> = outputs
            .iter()
            .map(|&at| &vars[at])
            .zip(seeds.iter().cloned())
            .collect();
        let by: Vec<&Scalar> = wrt.iter().map(|&at| &vars[at]).collect();
        let gradients = tape
            .backward_recorded(&pairs, &by)
            .expect("nothing is wrong");
        let weighted: Vec<_> = gradients
            .iter()
            .zip(&weights)
            .filter_map(|(gradient, weight)| Some((gradient.as_ref()?, *weight)))
            .filter(|(gradient, _)| gradient.requires_grad())
            .collect();
        // The second time by leaves: what a gradient is of a value inside is a matter of how rules
        // write it.
        let by_second: Vec<&Scalar> = vars[..3].iter().chain(&seeds).collect();
        let found = tape
            .backward(&weighted, &by_second)
            .expect("nothing is wrong");

        for (gradient, &i) in gradients.iter().zip(&wrt) {
            let values = program.run(Some(i), None);
            let terms = outputs.iter().zip(&seeds);
            let expected: f64 = terms
                .map(|(&output, seed)| seed.value() * values[output].a)
                .sum();
            assert_near(gradient.as_ref().map_or(0.0, |g| *g.value()), expected);
        }
        for (j, found) in found[..3].iter().enumerate() {
            let mut expected = 0.0;
            for (i, weight) in wrt.iter().zip(&weights) {
                let values = program.run(Some(*i), Some(j));
                for (&output, seed) in outputs.iter().zip(&seeds) {
                    expected += weight * seed.value() * values[output].ab;
                }
            }
            assert_near(found.unwrap_or(0.0), expected);
        }
        for (output, found) in outputs.iter().zip(&found[3..]) {
            let mut expected = 0.0;
            for (i, weight) in wrt.iter().zip(&weights) {
                expected += weight * program.run(Some(*i), None)[*output].a;
            }
            assert_near(found.unwrap_or(0.0), expected);
        }
    }
}

#[test]
fn the_gradient_of_a_linear_map_is_a_constant() {
    let mut tape = scalars();
    let x = tape.leaf(2.0);
    let y = one(&mut tape, ScalarOp::Mul, &[&x, &Scalar::constant(3.0)]);
    let gradient = derivative(&mut tape, &y, &x);
    assert_eq!((*gradient.value(), gradient.requires_grad()), (3.0, false));
    let same = derivative(&mut tape, &x, &x);
    assert_eq!((*same.value(), same.requires_grad()), (1.0, false));
}

#[test]
fn a_seed_that_is_the_variable_itself() {
    // x·(dy/dx) with y = x³ is 3x³, of derivative 9x².
    let mut tape: Scalars = Tape::new(super::Names::default());
    let x = tape.leaf(2.0);
    let square = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
    let cube = one(&mut tape, ScalarOp::Mul, &[&x, &square]);
    let found = tape.backward_recorded(&[(&cube, x)], &[&x]);
    let first = found.expect("nothing is wrong").remove(0).expect("a path");
    assert_eq!(*first.value(), 24.0);
    assert_eq!(
        tape.backward(&[(&first, 1.0)], &[&x]).expect("fine"),
        [Some(36.0)]
    );
}
