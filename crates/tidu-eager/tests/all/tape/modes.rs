//! Functions with rules of their own: backward by the VJP, forward by the JVP. Rules are marked by factors, so
//! that a number tells by which of them it was found.

use tidu_ad::{Function, Rules};
use tidu_eager::{Dual, EagerError};
use tidu_scalar::{Expr, ScalarOp, function};

use super::{Scalar, Scalars, assert_near, one, scalars};

type F = Function<ScalarOp>;

type Call = fn(&mut Scalars, &F, &[&Scalar]) -> Result<Vec<Scalar>, EagerError>;

const BOTH: [Call; 2] = [Scalars::apply_function, Scalars::checkpoint_function];

/// (x, t) ↦ factor·cos x·t
fn slope(factor: f64) -> F {
    function(["x", "t"], |[x, t]| [factor * x.cos() * t]).expect("a function")
}

/// sin x, ten times as steep forward and a hundred times backward
fn marked() -> F {
    let sin = function(["x"], |[x]| [x.sin()]).expect("a function");
    let rules = Rules::both(slope(10.0), slope(100.0));
    sin.with_rules("marked", rules).expect("rules")
}

/// x, backward by (x, ȳ) ↦ min(max(ȳ, -1), 1), which is not linear
fn clip(forward_too: bool) -> F {
    let identity = function(["x"], |[x]| [x]).expect("a function");
    let vjp = function(["x", "ct"], |[_, ct]| [ct.max(-1.0).min(1.0)]).expect("a function");
    let jvp = function(["x", "t"], |[_, t]| [t]).expect("a function");
    let rules = if forward_too {
        Rules::both(jvp, vjp)
    } else {
        Rules::vjp(vjp)
    };
    identity.with_rules("clip", rules).expect("rules")
}

/// f(x)·y and y, with f inside
fn around(f: &F) -> F {
    function(["x", "y"], |[x, y]| {
        let inside = Expr::call(f, &[x]).expect("one input");
        [&inside[0] * &y, y]
    })
    .expect("a function")
}

/// The gradient by every way there is to go backward.
#[track_caller]
fn gradients(tape: &mut Scalars, y: &Scalar, x: &Scalar) -> Vec<f64> {
    let kept = tape.backward_keeping(&[(y, 1.0)], &[x]).expect("fine")[0];
    let all = tape.backward_all(&[(y, 1.0)]).expect("fine");
    let all = all.get(x).expect("a variable").copied();
    let recorded = tape.backward_recorded(&[(y, Scalar::constant(1.0))], &[x]);
    let recorded = recorded
        .expect("fine")
        .remove(0)
        .map(|found| *found.value());
    let last = tape.backward(&[(y, 1.0)], &[x]).expect("fine")[0];
    let found = [kept, all, recorded, last];
    found.map(|found| found.expect("a path")).to_vec()
}

#[test]
fn backward_by_the_vjp_and_forward_by_the_jvp() {
    let c = 0.5_f64.cos();
    for call in BOTH {
        let mut tape = scalars();
        let x = tape.leaf(0.5);
        let y = call(&mut tape, &marked(), &[&x]).expect("fine").remove(0);
        assert_near(*y.value(), 0.5_f64.sin());
        let forward = tape.tangents(&[(&x, 2.0)], &[&y]).expect("fine");
        assert_near(forward[0].expect("a path"), 20.0 * c);
        for found in gradients(&mut tape, &y, &x) {
            assert_near(found, 100.0 * c);
        }
    }
}

#[test]
fn inside_an_applied_function() {
    let c = 0.5_f64.cos();
    for call in BOTH {
        let mut tape = scalars();
        let (x, y) = (tape.leaf(0.5), tape.leaf(3.0));
        let results = call(&mut tape, &around(&marked()), &[&x, &y]).expect("fine");
        let end = one(&mut tape, ScalarOp::Mul, &[&results[0], &results[1]]);
        let forward = tape.tangents(&[(&x, 1.0)], &[&end]).expect("fine");
        assert_near(forward[0].expect("a path"), 10.0 * c * 9.0);
        for found in gradients(&mut tape, &end, &x) {
            assert_near(found, 100.0 * c * 9.0);
        }
    }
}

#[test]
fn derivatives_of_a_gradient_that_was_recorded() {
    // The gradient is 100·cos x·y, an ordinary function from then on: -100·sin x·y by either mode.
    let (s, c) = 0.5_f64.sin_cos();
    for call in BOTH {
        let mut tape = scalars();
        let (x, y) = (tape.leaf(0.5), tape.leaf(3.0));
        let results = call(&mut tape, &around(&marked()), &[&x, &y]).expect("fine");
        let seed = Scalar::constant(1.0);
        let first = tape.backward_recorded(&[(&results[0], seed)], &[&x]);
        let first = first.expect("fine").remove(0).expect("a path");
        let moving = [(&x, 2.0), (&y, -1.0)];
        let forward = tape.tangents(&moving, &[&first]).expect("fine");
        assert_near(forward[0].expect("a path"), -600.0 * s - 100.0 * c);
        let back = tape.backward(&[(&first, 1.0)], &[&x, &y]).expect("fine");
        assert_near(back[0].expect("a path"), -300.0 * s);
        assert_near(back[1].expect("a path"), 100.0 * c);
    }
}

#[test]
fn a_vjp_that_is_not_linear() {
    // z² behind the clip, at 50: 100 is clipped to 1.
    for (call, forward_too) in BOTH
        .into_iter()
        .flat_map(|call| [(call, false), (call, true)])
    {
        let clip = clip(forward_too);
        for f in [clip.clone(), around(&clip)] {
            let mut tape = scalars();
            let (x, y) = (tape.leaf(50.0), Scalar::constant(1.0));
            let operands = &[&x, &y][..f.input_names().len()];
            let z = call(&mut tape, &f, operands).expect("fine").remove(0);
            let end = one(&mut tape, ScalarOp::Mul, &[&z, &z]);
            let forward = tape.tangents(&[(&x, 1.0)], &[&end]);
            if forward_too {
                assert_near(forward.expect("fine")[0].expect("a path"), 100.0);
            } else {
                let error = forward.unwrap_err().to_string();
                assert!(error.contains("forward mode has to transpose"), "{error}");
            }
            for found in gradients(&mut tape, &end, &x) {
                assert_near(found, 1.0);
            }
        }
    }
}

#[test]
fn one_operation_at_a_time() {
    let c = 0.5_f64.cos();
    let marked = marked();
    let operation = marked.as_graph().operations()[0].operation.clone();
    let mut tape = scalars();
    let x = tape.leaf(0.5);
    let moving = Dual {
        primal: x,
        tangent: Some(Scalar::constant(1.0)),
    };
    let dual = tape
        .apply_forward(operation, &[&moving])
        .expect("fine")
        .remove(0);
    assert_near(*dual.tangent.expect("it moves").value(), 10.0 * c);
    for found in gradients(&mut tape, &dual.primal, &x) {
        assert_near(found, 100.0 * c);
    }
}

#[test]
fn two_results_of_which_one_is_seeded() {
    // (x, y) ↦ (x·y, x), backward by factors 100 and 1000, forward by 1
    let f = function(["x", "y"], |[x, y]| [&x * &y, x]).expect("a function");
    let jvp = f
        .jvp(..)
        .expect("rules")
        .select_at(&[2, 3])
        .expect("outputs");
    let vjp = function(["x", "y", "p", "q"], |[x, y, p, q]| {
        [&p * &y * 100.0 + q * 1000.0, 100.0 * p * x]
    });
    let rules = Rules::both(jvp, vjp.expect("a function"));
    let f = f.with_rules("two", rules).expect("rules");
    for call in BOTH {
        let mut tape = scalars();
        let (x, y) = (tape.leaf(2.0), tape.leaf(5.0));
        let results = call(&mut tape, &f, &[&x, &y]).expect("fine");
        let mut by_both = |pairs: &[(&Scalar, f64)]| {
            let found = tape.backward_keeping(pairs, &[&x, &y]).expect("fine");
            [found[0].unwrap_or(0.0), found[1].unwrap_or(0.0)]
        };
        assert_eq!(by_both(&[(&results[0], 1.0)]), [500.0, 200.0]);
        assert_eq!(by_both(&[(&results[1], 1.0)]), [1000.0, 0.0]);
        let both = [(&results[0], 1.0), (&results[1], -1.0)];
        assert_eq!(by_both(&both), [-500.0, 200.0]);
        let found = tape.tangents(&[(&x, 1.0)], &[&results[0], &results[1]]);
        assert_eq!(found.expect("fine"), [Some(5.0), Some(1.0)]);
    }
}
