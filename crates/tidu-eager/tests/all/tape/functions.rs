//! Functions as one call, with residuals kept or computed again.

use tidu_ad::{Function, Wrt};
use tidu_eager::{EagerError, Side};
use tidu_scalar::{Expr, ScalarOp, function};

use super::program::{Program, Random, choose};
use super::{Scalar, Scalars, assert_all_near, assert_near, one, scalars};

/// (x, y, z) ↦ (x·y + sin x, eʸ, y)
fn three() -> Function<ScalarOp> {
    function(["x", "y", "z"], |[x, y, _]| [&x * &y + x.sin(), y.exp(), y]).expect("a function")
}

type Call = fn(&mut Scalars, &Function<ScalarOp>, &[&Scalar]) -> Result<Vec<Scalar>, EagerError>;

const BOTH: [Call; 2] = [Scalars::apply_function, Scalars::checkpoint_function];

#[test]
fn every_choice_of_operands_and_results() {
    let (x, y) = (0.7_f64, 0.3_f64);
    let jacobian = [[y + x.cos(), x, 0.0], [0.0, y.exp(), 0.0], [0.0, 1.0, 0.0]];
    let seeds = [2.0, -3.0, 0.5];
    for call in BOTH {
        let f = three();
        let mut tape = scalars();
        for choice in 1..8_usize {
            let values = [x, y, 9.0].into_iter().enumerate();
            let operands = values.map(|(at, value)| match choice >> at & 1 {
                1 => tape.leaf(value),
                _ => Scalar::constant(value),
            });
            let operands: Vec<Scalar> = operands.collect();
            let given: Vec<&Scalar> = operands.iter().collect();
            let results = call(&mut tape, &f, &given).expect("fine");
            assert_near(*results[0].value(), x * y + x.sin());
            assert_near(*results[1].value(), y.exp());
            let by: Vec<usize> = (0..3).filter(|at| choice >> at & 1 == 1).collect();
            for outputs in 1..8_usize {
                let chosen: Vec<usize> = (0..3).filter(|at| outputs >> at & 1 == 1).collect();
                let pairs: Vec<_> = chosen.iter().map(|&at| (&results[at], seeds[at])).collect();
                for wanted in 0..by.len() {
                    let by = &by[wanted..];
                    let wrt: Vec<&Scalar> = by.iter().map(|&at| &operands[at]).collect();
                    let found = tape.backward_keeping(&pairs, &wrt).expect("fine");
                    for (&input, found) in by.iter().zip(found) {
                        let terms = chosen
                            .iter()
                            .map(|&output| seeds[output] * jacobian[output][input]);
                        assert_near(found.unwrap_or(0.0), terms.sum());
                    }
                }
            }
        }
    }
}

#[test]
fn random_programs_as_one_call_to_second_order() {
    for seed in 0..40 {
        let mut random = Random(700 + seed);
        let program = Program::random(&mut random, 3, 12);
        let outputs = choose(&mut random, &program, 2);
        let f: Function<ScalarOp> = function(["x", "y", "z"], |leaves| {
            let values = program.expressions(&leaves);
            outputs
                .iter()
                .map(|&at| values[at].clone())
                .collect::<Vec<Expr>>()
        })
        .expect("a function");
        for call in BOTH {
            let mut tape = scalars();
            let leaves: Vec<Scalar> = program.leaves.iter().map(|&x| tape.leaf(x)).collect();
            // Through something before and something after.
            let by: Vec<&Scalar> = leaves.iter().collect();
            let results = call(&mut tape, &f, &by).expect("fine");
            let end = one(&mut tape, ScalarOp::Mul, &[&results[0], &results[1]]);
            let end = one(&mut tape, ScalarOp::Add, &[&end, &results[0]]);
            let seed = Scalar::constant(1.0);
            let first = tape.backward_recorded(&[(&end, seed)], &by).expect("fine");
            // F = y₀y₁ + y₀
            let derivatives = |i: usize, j: usize| {
                let values = program.run(Some(i), Some(j));
                let (p, q) = (values[outputs[0]], values[outputs[1]]);
                let by_i = p.a * q.v + p.v * q.a + p.a;
                (by_i, p.ab * q.v + p.a * q.b + p.b * q.a + p.v * q.ab + p.ab)
            };
            for (i, gradient) in first.iter().enumerate() {
                let Some(gradient) = gradient else {
                    assert_near(derivatives(i, i).0, 0.0);
                    continue;
                };
                assert_near(*gradient.value(), derivatives(i, i).0);
                if !gradient.requires_grad() {
                    continue;
                }
                let found = tape
                    .backward_keeping(&[(gradient, 1.0)], &by)
                    .expect("fine");
                for (j, found) in found.iter().enumerate() {
                    assert_near(found.unwrap_or(0.0), derivatives(i, j).1);
                }
            }
        }
    }
}

#[test]
fn the_third_derivative_through_one_call() {
    let f = function(["x"], |[x]| [(&x * &x).sin()]).expect("a function");
    let v = 0.9_f64;
    let (s, c) = ((v * v).sin(), (v * v).cos());
    let third = -12.0 * v * s - 8.0 * v.powi(3) * c;
    for call in BOTH {
        let mut tape = scalars();
        let x = tape.leaf(v);
        let mut y = call(&mut tape, &f, &[&x]).expect("fine").remove(0);
        for _ in 0..3 {
            let found = tape.backward_recorded(&[(&y, Scalar::constant(1.0))], &[&x]);
            y = found.expect("fine").remove(0).expect("a path");
        }
        assert_near(*y.value(), third);
    }
}

#[test]
fn functions_without_results_or_derivatives() {
    for call in BOTH {
        let mut tape = scalars();
        let x = tape.leaf(2.0);
        let none = function(["x"], |[_]| Vec::<Expr>::new()).expect("a function");
        assert!(call(&mut tape, &none, &[&x]).expect("fine").is_empty());
        let flat = function(["x"], |[x]| [Expr::constant(4.0), x.stop_gradient()]);
        let results = call(&mut tape, &flat.expect("a function"), &[&x]).expect("fine");
        let pairs = [(&results[0], 1.0), (&results[1], 1.0)];
        let found = tape.backward(&pairs, &[&x]).expect("fine");
        assert_near(found[0].unwrap_or(0.0), 0.0);
        // On constants, nothing is recorded.
        let c = Scalar::constant(0.3);
        let results = call(&mut tape, &three(), &[&c, &c, &c]).expect("fine");
        assert!(results.iter().all(|result| !result.requires_grad()));
        assert_near(*results[0].value(), 0.09 + 0.3_f64.sin());
    }
}

#[test]
fn results_that_nothing_uses_and_operands_twice() {
    for call in BOTH {
        let mut tape = scalars();
        let x = tape.leaf(0.4);
        let results = call(&mut tape, &three(), &[&x, &x, &x]).expect("fine");
        let found = tape.backward(&[(&results[0], 1.0)], &[&x]).expect("fine");
        assert_all_near(&found, &[Some(0.8 + 0.4_f64.cos())]);
        let error = tape.backward(&[(&results[0], 1.0)], &[&x]).unwrap_err();
        assert!(
            matches!(&error, EagerError::Freed { operation } if operation.contains("x, y, z")),
            "{error}"
        );
    }
}

#[test]
fn the_wrong_number_of_operands() {
    for call in BOTH {
        let mut tape = scalars();
        let x = tape.leaf(0.4);
        let error = call(&mut tape, &three(), &[&x]).unwrap_err();
        let expected = EagerError::WrongValueCount {
            primitive: "a function of x, y, z".into(),
            side: Side::Inputs,
            expected: 3,
            found: 1,
        };
        assert_eq!(error, expected);
        let y = one(&mut tape, ScalarOp::Mul, &[&x, &x]);
        assert_eq!(
            tape.backward(&[(&y, 1.0)], &[&x]).expect("fine"),
            [Some(0.8)]
        );
    }
}

#[test]
fn a_function_agrees_with_its_gradient() {
    let f = three().select_at(&[0]).expect("an output");
    let expected = f
        .grad(Wrt::All)
        .expect("rules")
        .compile()
        .call(&[1.1, 0.2, 5.0]);
    for call in BOTH {
        let mut tape = scalars();
        let [x, y, z] = [1.1, 0.2, 5.0].map(|value| tape.leaf(value));
        let end = call(&mut tape, &f, &[&x, &y, &z]).expect("fine");
        let found = tape
            .backward(&[(&end[0], 1.0)], &[&x, &y, &z])
            .expect("fine");
        for (found, expected) in found.iter().zip(expected.as_ref().expect("runs")) {
            assert_near(found.unwrap_or(0.0), *expected);
        }
    }
}
