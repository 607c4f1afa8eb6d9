//! What a selection does not take has no influence on derivatives in any mode, be it a NaN or infinite.

use std::collections::HashMap;
use std::sync::Arc;

use tidu::eager::{
    EagerError, EagerInput, EvalExecutor, RecordedGraph, Recorder, Tape, Var, try_backward,
};
use tidu::graph::{ValueKey, compile, materialize_merge, resolve};
use tidu::scalar::{Expr, ScalarKey, ScalarOp, function};
use tidu::{Function, Mode, linear_transpose, linearize};

use crate::support::Random;

type F = Function<ScalarOp>;

/// A function that is smooth where it is looked at, though its parts are not, with its gradient there.
struct Case {
    name: &'static str,
    function: F,
    at: Vec<f64>,
    gradient: Vec<f64>,
}

fn case<const N: usize>(
    name: &'static str,
    body: impl FnOnce([Expr; N]) -> Expr,
    at: [f64; N],
    gradient: [f64; N],
) -> Case {
    let names = ["x", "y", "z"];
    let names: [&str; N] = std::array::from_fn(|i| names[i]);
    Case {
        name,
        function: function(names, |x| [body(x)]).unwrap(),
        at: at.into(),
        gradient: gradient.into(),
    }
}

fn cases() -> Vec<Case> {
    vec![
        case(
            "a root of a negative number",
            |[x]| x.greater(0.0).select(x.sqrt(), 0.0),
            [-3.0],
            [0.0],
        ),
        case(
            "a quotient by zero",
            |[x, y]| y.greater(1.0).select(&x / &y, 0.0),
            [1.0, 0.0],
            [0.0, 0.0],
        ),
        case(
            "an exponential that overflows",
            |[x, y]| x.exp().keep_if(y.less(0.0)),
            [800.0, 1.0],
            [0.0, 0.0],
        ),
        case(
            "the last of three branches",
            |[x]| {
                let inner = x.greater(-1.0).select(&x * &x, x.recip());
                x.greater(1.0).select(x.ln(), inner)
            },
            [0.0],
            [0.0],
        ),
        case(
            "a selection inside what is not taken",
            |[x, y]| {
                let inner = y.greater(0.0).select(x.ln(), x.sqrt() * &y);
                x.greater(0.5).select(inner.exp() * 3.0, &x * &y)
            },
            [0.0, 7.0],
            [7.0, 0.0],
        ),
        case(
            "a value that both branches use",
            |[x, y]| {
                let root = (&x * &y).sqrt();
                let a = &root * root.recip();
                x.greater(0.0).select(&a + &root, &y * &y) + &x
            },
            [0.0, 3.0],
            [1.0, 6.0],
        ),
        case(
            "a value that is also used outside",
            |[x, y]| {
                let shared = &x * &y;
                let chosen = shared.greater(1.0).select(shared.ln().recip(), 2.0);
                &shared * &chosen + &shared
            },
            [0.0, 3.0],
            [9.0, 0.0],
        ),
        case(
            "two conditions on one value",
            |[x, y]| {
                let bad = x.recip();
                let a = bad.sin().keep_if(y.greater(0.0));
                let b = bad.cos().keep_if(y.greater(10.0));
                a + b + x
            },
            [0.0, -1.0],
            [1.0, 0.0],
        ),
        case(
            "a condition that is a NaN takes the first",
            |[x, y]| x.ln().select(&y * &y, x.sqrt() / &x),
            [-1.0, 4.0],
            [0.0, 8.0],
        ),
        case(
            "what a power does not take",
            |[x, y]| x.pow(&y) + x.pow(0.0) + x.pow(1.0),
            [0.0, 2.0],
            [1.0, 0.0],
        ),
    ]
}

fn close(found: &[f64], expected: &[f64]) -> bool {
    let close = |x: f64, y: f64| (x - y).abs() <= 1e-12 * (1.0 + y.abs());
    found.len() == expected.len() && found.iter().zip(expected).all(|(&x, &y)| close(x, y))
}

fn gradient(f: &F, mode: Mode) -> F {
    f.within(&mut ()).mode(mode).grad(..).unwrap()
}

/// The cotangents of the inputs, for 1 at the only output.
fn vjp(f: &F, x: &[f64]) -> Vec<f64> {
    let seeded = [x, &[1.0]].concat();
    f.vjp(..).unwrap().compile().call(&seeded).unwrap()[1..].to_vec()
}

/// The same, by the linear map and its transpose.
fn transposed(f: &F, x: &[f64]) -> Vec<f64> {
    let split = f.linearize(..).unwrap();
    let residuals = split.primal.compile().call(x).unwrap();
    let residuals = &residuals[1..];
    let inputs: Vec<usize> = (0..x.len()).map(|at| residuals.len() + at).collect();
    let transpose = split.linear.transpose(inputs).unwrap();
    let seeded = [residuals, &[1.0]].concat();
    transpose.compile().call(&seeded).unwrap()
}

/// The same, by graphs and keys.
fn by_graphs(f: &F, x: &[f64]) -> Vec<f64> {
    let graph = Arc::new(f.as_graph().clone());
    let output = graph.values()[graph.outputs()[0]].key.clone();
    let wrt = f.input_keys();
    let view = resolve(vec![graph.clone()]);
    let linear = linearize(&view, &[output], &wrt, 1, &mut (), &HashMap::new());
    let transposed = linear_transpose(&linear, &mut ());
    let cotangents = transposed.tangent_outputs().to_vec();
    let backward = transposed.into_graph();
    let key = |id: usize| backward.values()[id].key.clone();
    let seed = key(backward.inputs()[0]);
    let outputs: Vec<ValueKey<ScalarOp>> = cotangents.iter().flatten().map(|&id| key(id)).collect();
    let graphs = vec![
        graph,
        Arc::new(linear.into_graph()),
        Arc::new(backward.clone()),
    ];
    let flat = materialize_merge(&resolve(graphs), &outputs);
    let value = |input: &ValueKey<ScalarOp>| {
        let position = wrt
            .iter()
            .position(|key| *input == ValueKey::Input(key.clone()));
        match position {
            Some(at) => x[at],
            None if *input == seed => 1.0,
            None => panic!("{input:?} is no input"),
        }
    };
    let values: Vec<f64> = flat.inputs.iter().map(value).collect();
    let values: Vec<&f64> = values.iter().collect();
    let mut found = compile(&flat).eval(&mut (), &values).into_iter();
    let mut next = |id: &Option<usize>| id.map_or(0.0, |_| found.next().unwrap());
    cotangents.iter().map(&mut next).collect()
}

/// The same, recorded as one call.
fn recorded(f: &F, x: &[f64]) -> Vec<f64> {
    let graph = Arc::new(f.as_graph().clone());
    let key = |id: usize| graph.values()[id].key.clone();
    let outputs = vec![key(graph.outputs()[0])];
    let mut names = 0;
    let mut recorder = Recorder::new(|| {
        names += 1;
        ScalarKey::fresh(names)
    });
    let inputs = f.input_keys().into_iter().zip(x);
    let inputs = inputs.map(|(key, &x)| EagerInput {
        key: ValueKey::Input(key),
        trace: None,
        requires_grad: true,
        data: Arc::new(x),
    });
    let inputs: Vec<EagerInput<ScalarOp>> = inputs.collect();
    // All that a call computes is kept of it: the derivative takes what it needs.
    let everything = (0..graph.values().len()).map(key);
    let names = everything.clone().map(|key| (key, String::new()));
    let values = F::from_keys(&f.input_keys(), names.collect()).unwrap();
    let values = values.compile().call(x).unwrap().into_iter().map(Arc::new);
    let kept = everything.zip(values).collect();
    let value = Arc::new(f.compile().call(x).unwrap()[0]);
    let call = RecordedGraph::new(Arc::clone(&graph), f.input_keys(), outputs);
    let y = recorder
        .record_graph(call, &inputs, &[value], kept)
        .remove(0);
    let (seed, executor) = (Arc::new(1.0), &mut EvalExecutor::default());
    let found = try_backward(&y.key, y.trace.as_ref(), seed, executor, &mut ()).unwrap();
    let gradient = |input: &EagerInput<ScalarOp>| found.get(&input.key).map_or(0.0, |x| **x);
    inputs.iter().map(gradient).collect()
}

type T = Tape<ScalarOp>;
type V = Var<ScalarOp>;
type Run = fn(&mut T, &F, &[&V]) -> Result<Vec<V>, EagerError>;

fn tape() -> T {
    Tape::new(|| ScalarKey::fresh(0))
}

/// The ways to run a function on a tape.
const ON_TAPE: [(&str, Run); 4] = [
    ("tape", operations_of),
    ("call", |tape, f, x| tape.apply_function(f, x)),
    ("checkpoint", |tape, f, x| tape.checkpoint_function(f, x)),
    ("segment", |tape, f, x| {
        let f = f.clone();
        tape.checkpoint(x, move |tape, x| {
            let x: Vec<&V> = x.iter().collect();
            operations_of(tape, &f, &x)
        })
    }),
];

/// One operation of a function after the other.
fn operations_of(tape: &mut T, f: &F, x: &[&V]) -> Result<Vec<V>, EagerError> {
    let mut values: Vec<V> = x.iter().copied().cloned().collect();
    for node in f.as_dense().nodes() {
        let operands: Vec<&V> = node.operands.iter().map(|id| &values[id.index()]).collect();
        let results = tape.apply(node.operation.clone(), &operands)?;
        values.extend(results);
    }
    let outputs = f.as_dense().outputs().iter();
    Ok(outputs.map(|id| values[id.index()]).collect())
}

/// Σ aᵢ·∂ᵢf by recording the gradient, and its gradient; a is not uniform.
fn second_on_tape(f: &F, x: &[f64], run: Run) -> Vec<f64> {
    let mut tape = tape();
    let leaves: Vec<V> = x.iter().map(|&x| tape.leaf(x)).collect();
    let leaves: Vec<&V> = leaves.iter().collect();
    let y = run(&mut tape, f, &leaves).unwrap().remove(0);
    let one = Var::constant(1.0);
    let slopes = tape.backward_recorded(&[(&y, one)], &leaves).unwrap();
    let seeded: Vec<(&V, f64)> = slopes
        .iter()
        .enumerate()
        .filter_map(|(at, slope)| Some((slope.as_ref()?, weight(at))))
        .collect();
    let found = tape.backward(&seeded, &leaves).unwrap();
    found
        .into_iter()
        .map(|found| found.unwrap_or(0.0))
        .collect()
}

fn weight(at: usize) -> f64 {
    1.0 + 2.0 * at as f64
}

#[test]
fn tapes_are_right_too() {
    for case in cases() {
        let (f, x, name) = (&case.function, &case.at[..], case.name);
        let rows = gradient(f, Mode::Forward).jacobian(..).unwrap();
        let rows = rows.compile().call(x).unwrap();
        let second: Vec<f64> = (0..x.len())
            .map(|j| {
                (0..x.len())
                    .map(|i| weight(i) * rows[i * x.len() + j])
                    .sum()
            })
            .collect();
        for (way, run) in ON_TAPE {
            let mut tape = tape();
            let leaves: Vec<V> = x.iter().map(|&x| tape.leaf(x)).collect();
            let leaves: Vec<&V> = leaves.iter().collect();
            let y = run(&mut tape, f, &leaves).unwrap().remove(0);
            let found = tape.backward(&[(&y, 1.0)], &leaves).unwrap();
            let found: Vec<f64> = found
                .into_iter()
                .map(|found| found.unwrap_or(0.0))
                .collect();
            assert!(close(&found, &case.gradient), "{name}, {way}: {found:?}");
            let found = second_on_tape(f, x, run);
            assert!(
                close(&found, &second),
                "{name}, {way}: {found:?} for {second:?}"
            );
        }
    }
}

/// What a function that was applied as one does not give to the outside.
#[test]
fn a_call_that_is_not_taken() {
    let quotient = function(["x", "y"], |[x, y]| [&x / &y, x.ln()]).unwrap();
    for (way, run) in ON_TAPE {
        let mut tape = tape();
        let (x, y) = (tape.leaf(-1.0), tape.leaf(0.0));
        let results = run(&mut tape, &quotient, &[&x, &y]).unwrap();
        let condition = tape.apply_one(ScalarOp::Gt, &[&y, &x]).unwrap();
        let chosen = [&results[0], &results[1]].map(|result| {
            let operands = [&condition, &x, result];
            tape.apply_one(ScalarOp::Select, &operands).unwrap()
        });
        let outputs = [(&chosen[0], 1.0), (&chosen[1], 2.0)];
        let found = tape.backward(&outputs, &[&x, &y]).unwrap();
        assert_eq!(found[0], Some(3.0), "{way}");
        assert_eq!(found[1].unwrap_or(0.0), 0.0, "{way}");
    }
}

#[test]
fn gradients_are_right_in_every_mode() {
    for case in cases() {
        let (f, x) = (&case.function, &case.at[..]);
        let ways = [
            (
                "forward",
                gradient(f, Mode::Forward).compile().call(x).unwrap(),
            ),
            (
                "reverse",
                gradient(f, Mode::Reverse).compile().call(x).unwrap(),
            ),
            ("vjp", vjp(f, x)),
            ("transpose", transposed(f, x)),
            ("graphs", by_graphs(f, x)),
            ("recorded", recorded(f, x)),
        ];
        for (way, found) in ways {
            let name = case.name;
            assert!(close(&found, &case.gradient), "{name}, {way}: {found:?}");
        }
    }
}

/// Of gradients in one mode, all derivatives in each mode; those of the first gradients, which go forward
/// twice, are right by the rules alone.
#[test]
fn second_derivatives_agree_in_every_mode() {
    let modes = [Mode::Forward, Mode::Reverse];
    for case in cases() {
        let hessian = |inner: Mode, outer: Mode| {
            let gradient = gradient(&case.function, inner);
            let jacobian = gradient.within(&mut ()).mode(outer).jacobian(..).unwrap();
            jacobian.compile().call(&case.at).unwrap()
        };
        let expected = hessian(Mode::Forward, Mode::Forward);
        let name = case.name;
        assert!(
            expected.iter().all(|x| x.is_finite()),
            "{name}: {expected:?}"
        );
        for inner in modes {
            for outer in modes {
                let found = hessian(inner, outer);
                assert!(
                    close(&found, &expected),
                    "{name}, {inner:?}, then {outer:?}: {found:?} for {expected:?}"
                );
            }
        }
    }
}

/// What is taken is not made zero: 0·∞ is no number there.
#[test]
fn a_branch_that_is_taken_stays_what_it_is() {
    let f = function(["x"], |[x]| {
        [x.greater_equal(0.0).select(x.sqrt() * x.sqrt(), 1.0)]
    });
    let f = f.unwrap();
    for mode in [Mode::Forward, Mode::Reverse] {
        let found = gradient(&f, mode).compile().call(&[0.0]).unwrap();
        assert!(found[0].is_nan(), "{mode:?}: {found:?}");
    }
}

/// Where nothing is selected, nothing is added.
#[test]
fn only_what_is_below_a_selection_is_kept() {
    let f = function(["x", "y"], |[x, y]| {
        let chosen = y.greater(0.0).select(x.sin(), &y);
        [(chosen * x.exp()).tanh()]
    });
    let text = f.unwrap().grad(..).unwrap().to_string();
    // One for each branch; one where the sine's cotangent leaves the branch.
    assert_eq!(text.matches("keep_if").count(), 3, "{text}");
}

/// Random functions with branches, at points where many of their parts are infinite or NaN.
#[test]
fn random_selections_agree_in_both_modes() {
    let random = &mut Random(0x6d61_736b);
    let (mut finite, mut bad) = (0, 0);
    for _ in 0..600 {
        let mut pick = |count: usize| random.bits() as usize % count;
        let points = [-2.0, -1.0, 0.0, 0.5, 1.0, 3.0];
        let at: Vec<f64> = (0..3).map(|_| points[pick(points.len())]).collect();
        let f = function(["x", "y", "z"], |inputs| {
            let mut values: Vec<Expr> = inputs.into();
            for _ in 0..12 {
                let [a, b, c, d] = [(); 4].map(|()| values[pick(values.len())].clone());
                values.push(match pick(9) {
                    0 => a + b,
                    1 => a * b,
                    2 => a.sqrt(),
                    3 => a.ln(),
                    4 => a / b,
                    5 => a.sin(),
                    _ => a.greater(b).select(c, d),
                });
            }
            values.pop()
        });
        let f = f.unwrap();
        let forward = gradient(&f, Mode::Forward).compile().call(&at).unwrap();
        let on_tape = ON_TAPE.map(|(_, run)| {
            let mut tape = tape();
            let leaves: Vec<V> = at.iter().map(|&x| tape.leaf(x)).collect();
            let leaves: Vec<&V> = leaves.iter().collect();
            let y = run(&mut tape, &f, &leaves).unwrap().remove(0);
            match tape.backward(&[(&y, 1.0)], &leaves) {
                Ok(found) => found
                    .into_iter()
                    .map(|found| found.unwrap_or(0.0))
                    .collect(),
                // A constant.
                Err(_) => vec![0.0; 3],
            }
        });
        let reverse = [
            gradient(&f, Mode::Reverse).compile().call(&at).unwrap(),
            vjp(&f, &at),
            transposed(&f, &at),
            by_graphs(&f, &at),
        ];
        for found in reverse.into_iter().chain(on_tape) {
            for (&x, &y) in found.iter().zip(&forward) {
                if y.is_finite() {
                    finite += 1;
                    assert!(
                        close(&[x], &[y]),
                        "{found:?} for {forward:?} at {at:?} of {f}"
                    );
                } else {
                    bad += 1;
                }
            }
        }
    }
    assert!(finite > 2000 && bad > 200, "{finite} finite, {bad} not");
}

/// A gradient that was recorded on one side of a condition is a function on both.
#[test]
fn a_recorded_gradient_selects_anew() {
    let choices = [
        |tape: &mut T, c: &V, x: &V, y: &V| tape.apply_one(ScalarOp::Select, &[c, x, y]),
        |tape: &mut T, c: &V, x: &V, _: &V| tape.apply_one(ScalarOp::KeepIf, &[c, x]),
    ];
    for (choice, other) in choices.into_iter().zip([2.0, 0.0]) {
        for recorded_at in [-1.0, 1.0] {
            let mut tape = tape();
            tape.keep_structure().unwrap();
            let x = tape.leaf(recorded_at);
            let c = tape
                .apply_one(ScalarOp::Gt, &[&x, &Var::constant(0.0)])
                .unwrap();
            let root = tape.apply_one(ScalarOp::Sqrt, &[&x]).unwrap();
            let double = tape.apply_one(ScalarOp::Add, &[&x, &x]).unwrap();
            let y = choice(&mut tape, &c, &root, &double).unwrap();
            let one = Var::constant(1.0);
            let slope = tape
                .backward_recorded(&[(&y, one)], &[&x])
                .unwrap()
                .remove(0);
            let slope = slope.unwrap();
            let f = tape.to_function(&[("x".into(), &x)], &[&slope]).unwrap();
            for (x, expected) in [(4.0, 0.25), (-4.0, other)] {
                let found = f.compile().call(&[x]).unwrap();
                assert_eq!(found, [expected], "recorded at {recorded_at}");
            }
        }
    }
}

/// What a function does not hand on of a cotangent is zero for certain outside of it, too.
#[test]
fn calls_hand_masks_and_zeros_on() {
    let select = function(["c", "a", "b"], |[c, a, b]| [c.select(&a, &b)]).unwrap();
    let floor = function(["c", "a", "b"], |[_, a, b]| [&b + a.floor()]).unwrap();
    let stop = function(["c", "a", "b"], |[_, a, b]| [&b + a.stop_gradient()]).unwrap();
    for (f, at) in [(select, -1.0), (floor, 0.0), (stop, 0.0)] {
        for (way, run) in ON_TAPE {
            let mut tape = tape();
            let x = tape.leaf(at);
            let c = tape
                .apply_one(ScalarOp::Gt, &[&x, &Var::constant(0.0)])
                .unwrap();
            let root = tape.apply_one(ScalarOp::Sqrt, &[&x]).unwrap();
            let double = tape.apply_one(ScalarOp::Add, &[&x, &x]).unwrap();
            let y = run(&mut tape, &f, &[&c, &root, &double]).unwrap().remove(0);
            let all = tape.backward_all(&[(&y, 1.0)]).unwrap();
            assert_eq!(all.get(&x).unwrap(), Some(&2.0), "{way}");
            let found = tape.backward(&[(&y, 1.0)], &[&x]).unwrap();
            assert_eq!(found, [Some(2.0)], "{way}");
        }
    }
}

/// A tape does not stop at what is zero for certain.
#[test]
fn watching_sees_what_is_kept() {
    let f = function(["x"], |[x]| [x.greater(0.0).select(x.sqrt(), &x)]).unwrap();
    for (way, run) in ON_TAPE {
        let mut tape = tape();
        tape.watch(|x: &f64| (!x.is_finite()).then(|| x.to_string()));
        let x = tape.leaf(0.0);
        let y = run(&mut tape, &f, &[&x]).unwrap().remove(0);
        let found = tape.backward(&[(&y, 1.0)], &[&x]).unwrap();
        assert_eq!(found, [Some(1.0)], "{way}");
    }
}
