//! Simplification: every rewrite replayed on numbers, every rule of the scalar set made to fire, and
//! whole functions before and after.

use std::collections::{BTreeMap, BTreeSet};

use tidu::graph::{AppliedRewrite, Exactness, GraphOperation, ValueRef, try_simplify_logged};
use tidu::scalar::{Expr, ScalarKey, ScalarOp, function};
use tidu::{Function, FunctionError};

use crate::support::tame::tame_function;
use crate::support::{AWKWARD_NUMBERS, Random, Sketch, TestOp, assert_close};

type F = Function<ScalarOp>;

const LEVELS: [Exactness; 3] = [Exactness::Exact, Exactness::FiniteOnly, Exactness::RealOnly];

/// Where identities of real numbers fail for floating-point ones.
const HARD_NUMBERS: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    1e-310,
    1e160,
    -1e-160,
    0.1,
];

/// The results of every operation of a function, and its outputs.
fn run(f: &F, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let graph = f.as_graph();
    let mut values = x.to_vec();
    for node in graph.operations() {
        let operands = node.inputs.iter().map(|operand| match operand {
            ValueRef::Local(id) => &values[*id],
            ValueRef::External(_) => panic!("a function is closed"),
        });
        let results = node.operation.run(&operands.collect::<Vec<_>>());
        values.extend(results);
    }
    let outputs = graph.outputs().iter().map(|&id| values[id]).collect();
    (values, outputs)
}

/// Holds what stood before against what stands after at one point, as far as the exactness promises
/// anything there; returns whether it does.
#[track_caller]
fn hold(exactness: Exactness, before: &F, after: &F, x: &[f64], what: &str) -> bool {
    let (all_before, y_before) = run(before, x);
    let (all_after, y_after) = run(after, x);
    assert_eq!(y_before.len(), y_after.len());
    let all = || all_before.iter().chain(&all_after);
    let compared = match exactness {
        Exactness::Exact => true,
        Exactness::FiniteOnly => all().all(|value| value.is_finite()),
        // Not so large or small that rounding gets a lever.
        Exactness::RealOnly => all().all(|v| *v == 0.0 || (1e-3..1e3).contains(&v.abs())),
    };
    let scale = all().fold(1.0_f64, |scale, value| scale.max(value.abs()));
    for (a, b) in y_before.iter().zip(&y_after) {
        let same = match exactness {
            Exactness::Exact => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            Exactness::FiniteOnly => a == b,
            Exactness::RealOnly => (a - b).abs() <= 1e-12 * scale * scale,
        };
        assert!(
            same || !compared,
            "{what}: {a:?} became {b:?} at {x:?}\n{before}\n{after}"
        );
    }
    compared
}

/// One side of a rewrite as a function.
fn side(f: &F, of: &AppliedRewrite<ScalarOp>, after: bool) -> F {
    let key = if after { &of.after } else { &of.before };
    F::from_keys(&f.input_keys(), vec![(key.clone(), "y".into())]).unwrap()
}

/// Replays each step of a simplification, counting by equation the points at which it was compared.
fn replay(f: &F, level: Exactness, random: &mut Random, compared: &mut BTreeMap<String, usize>) {
    let inputs = f.as_graph().inputs().len();
    for step in f.rewrites(level).unwrap() {
        assert!(step.exactness <= level);
        let (before, after) = (side(f, &step, false), side(f, &step, true));
        let count = compared.entry(step.equation.into()).or_default();
        for x in points(inputs, random) {
            let held = hold(step.exactness, &before, &after, &x, step.equation);
            *count += usize::from(held);
        }
    }
}

/// Some hard points and some tame ones.
fn points(inputs: usize, random: &mut Random) -> Vec<Vec<f64>> {
    let mut point = |kind: usize| -> Vec<f64> {
        let mut number = || match (kind, random.below(3)) {
            (0..6, 1..) => HARD_NUMBERS[random.below(HARD_NUMBERS.len())],
            (6, _) => f64::from_bits(random.bits()),
            _ => 2.0 * random.unit(),
        };
        (0..inputs).map(|_| number()).collect()
    };
    (0..12).map(&mut point).collect()
}

/// A function in which rules find something to do: few values, used often, and many constants.
fn rule_prone(random: &mut Random, constants: &[f64]) -> Sketch<ScalarOp> {
    let (mut f, _) = Sketch::new(["x", "y", "z"]);
    for _ in 0..3 + random.below(22) {
        let op = match random.below(16) {
            0 => ScalarOp::constant(constants[random.below(constants.len())]),
            1 => ScalarOp::constant([2.0, 0.5, -4.0, 3.0, -1.0, 0.0, -0.0][random.below(7)]),
            2 | 3 => ScalarOp::Add,
            4 | 5 => ScalarOp::Sub,
            6..=8 => ScalarOp::Mul,
            9 | 10 => ScalarOp::Div,
            11 | 12 => ScalarOp::Neg,
            13 => [ScalarOp::Exp, ScalarOp::Ln][random.below(2)].clone(),
            14 => [ScalarOp::Sin, ScalarOp::Cos][random.below(2)].clone(),
            _ => [ScalarOp::SinCos, ScalarOp::StopGradient][random.below(2)].clone(),
        };
        let mut operand = || match random.below(3) {
            0 => random.below(f.values),
            _ => f.values - 1 - random.below(f.values.min(4)),
        };
        let mut operands: Vec<usize> = (0..op.input_count()).map(|_| operand()).collect();
        if random.below(8) == 0 {
            operands = vec![operands.first().copied().unwrap_or(0); operands.len()];
        }
        f.push(op, operands);
    }
    let outputs: Vec<usize> = (0..1 + random.below(4))
        .map(|_| f.values - 1 - random.below(f.values.min(6)))
        .collect();
    f.returning(outputs)
}

fn of_sketch(f: &Sketch<ScalarOp>) -> F {
    let (graphs, keys) = f.graphs(&crate::support::Layout::single());
    let outputs: Vec<_> = f.outputs.iter().map(|&id| keys[id].clone()).collect();
    F::from_graphs(graphs, &f.inputs, &outputs).unwrap()
}

fn operations(f: &F) -> usize {
    f.as_graph().operations().len()
}

/// Operations but for constants, one of which may be needed with both signs.
fn work(f: &F) -> usize {
    let operations = f.as_graph().operations().iter();
    operations.filter(|node| !node.inputs.is_empty()).count()
}

#[test]
fn levels_are_ordered() {
    assert!(LEVELS.is_sorted());
    assert!(Exactness::Exact < Exactness::FiniteOnly);
    assert!(Exactness::FiniteOnly < Exactness::RealOnly);
}

/// Each step that any simplification of 2000 functions takes.
#[test]
fn every_rewrite_is_replayed() {
    let random = &mut Random(0x7265_706c_6179);
    let mut compared = BTreeMap::new();
    for _ in 0..2000 {
        let f = of_sketch(&rule_prone(random, &AWKWARD_NUMBERS));
        for level in LEVELS {
            replay(&f, level, random, &mut compared);
        }
    }
    let rare: Vec<_> = compared.iter().filter(|(_, count)| **count < 3).collect();
    assert!(rare.is_empty(), "hardly compared: {rare:?}");
}

#[test]
fn derivatives_are_replayed() {
    let random = &mut Random(0x64_6572_6976);
    let mut compared = BTreeMap::new();
    for _ in 0..60 {
        let f = of_sketch(&rule_prone(random, &AWKWARD_NUMBERS))
            .select_at(&[0])
            .unwrap();
        for derived in [f.grad(..), f.jvp("x"), f.vjp(["y", "x"]), f.grad("x")] {
            let raw = derived.unwrap();
            for level in LEVELS {
                replay(&raw, level, random, &mut compared);
            }
        }
    }
}

/// The whole function, at points hard and tame. What stands before and after is finite together, or
/// nothing is promised.
#[test]
fn whole_functions_keep_their_values() {
    let random = &mut Random(0x77_686f_6c65);
    let mut compared = [0; 2];
    for _ in 0..600 {
        let f = of_sketch(&rule_prone(random, &AWKWARD_NUMBERS));
        for (at, level) in LEVELS[..2].iter().enumerate() {
            let simple = f.simplify(*level).unwrap();
            for x in points(3, random) {
                compared[at] += usize::from(hold(*level, &f, &simple, &x, "simplify"));
            }
        }
    }
    assert!(compared.iter().all(|&count| count > 500), "{compared:?}");
}

#[test]
fn tame_functions_keep_their_values_at_every_level() {
    let random = &mut Random(0x7461_6d65);
    for _ in 0..300 {
        let x: Vec<f64> = (0..3).map(|_| 1.5 * random.unit()).collect();
        let mut choice = || random.bits() as u16;
        let choices: Vec<_> = (0..20)
            .map(|_| (usize::from(choice()), choice(), choice()))
            .collect();
        let outputs: Vec<u16> = (0..3).map(|_| choice()).collect();
        let sketch = tame_function(&x, &choices, &outputs);
        let f = of_sketch(&sketch);
        let expected = sketch.value_at(&x);
        let jvp = f.jvp(..).unwrap();
        let t = [0.7, -0.4, 1.1];
        let expected_jvp = [expected.clone(), sketch.dual_jvp(&x, &t)].concat();
        let xt = [&x[..], &t].concat();
        for level in LEVELS {
            let simple = f.simplify(level).unwrap();
            assert_close(&simple.compile().call(&x).unwrap(), &expected);
            let mut derived = vec![jvp.simplify(level).unwrap()];
            derived.push(f.within(&mut ()).simplify(level).jvp(..).unwrap());
            derived.push(simple.jvp(..).unwrap());
            derived.push(f.within(&mut ()).unsimplified().jvp(..).unwrap());
            for derived in derived {
                assert_close(&derived.compile().call(&xt).unwrap(), &expected_jvp);
            }
        }
    }
}

#[test]
fn simplification_is_deterministic_and_settles() {
    let random = &mut Random(0x7365_7474_6c65);
    let mut before_and_after = [(0, 0); 3];
    for _ in 0..400 {
        let sketch = rule_prone(random, &[0.25, -5.0, 1.0]);
        let (f, again) = (of_sketch(&sketch), of_sketch(&sketch));
        for (at, level) in LEVELS.into_iter().enumerate() {
            let once = f.simplify(level).unwrap();
            assert_eq!(once.to_string(), again.simplify(level).unwrap().to_string());
            assert_eq!(once.input_names(), f.input_names());
            assert_eq!(once.output_names(), f.output_names());
            let twice = once.simplify(level).unwrap();
            assert!(
                work(&twice) <= work(&once),
                "{level:?} grows\n{f}\n{once}\n{twice}"
            );
            // A negation that others need too is pulled out of products all the same, each of which may
            // then have one of its own.
            let text = f.to_string();
            let products = text.matches(" mul ").count() + text.matches(" div ").count();
            assert!(
                work(&once) <= work(&f) + products,
                "{level:?} grows\n{f}\n{once}"
            );
            before_and_after[at].0 += work(&f);
            before_and_after[at].1 += work(&once);
        }
    }
    // On the whole, what permits more makes less.
    let after = before_and_after.map(|(_, after)| after);
    assert!(after[2] < after[1] && after[1] < after[0] && after[0] < before_and_after[0].0);
}

/// For each equation a function in which it holds somewhere.
#[allow(
    clippy::eq_op,
    reason = "expressions that are equal are what some rules are for"
)]
fn cases() -> Vec<(&'static str, Exactness, F)> {
    use Exactness::{Exact, FiniteOnly, RealOnly};
    let f = |body: fn([Expr; 3]) -> Expr| function(["x", "y", "z"], |x| [body(x)]).unwrap();
    vec![
        ("x + (-0) = x", Exact, f(|[x, ..]| x + -0.0)),
        ("x + (-y) = x - y", Exact, f(|[x, y, _]| -x + y)),
        ("x + 0 = x", FiniteOnly, f(|[x, ..]| 0.0 + x)),
        (
            "sin²x + cos²x = 1",
            RealOnly,
            f(|[x, ..]| x.cos() * x.cos() + x.sin() * x.sin()),
        ),
        (
            "c·x + d·x = (c + d)·x",
            RealOnly,
            f(|[x, ..]| 2.0 * &x + &x * 5.0),
        ),
        (
            "c + (d + x) = (c + d) + x",
            RealOnly,
            f(|[x, ..]| (x + 2.0) + 3.0),
        ),
        (
            "(c + x) + y = c + (x + y)",
            RealOnly,
            f(|[x, y, _]| y + (x + 2.0)),
        ),
        (
            "x·y + x·z = x·(y + z)",
            RealOnly,
            f(|[x, y, z]| &y * &x + &x * &z),
        ),
        ("x - (+0) = x", Exact, f(|[x, ..]| x - 0.0)),
        ("(-0) - x = -x", Exact, f(|[x, ..]| -0.0 - x)),
        ("x - (-y) = x + y", Exact, f(|[x, y, _]| x - (-y))),
        ("x - 0 = x", FiniteOnly, f(|[x, ..]| x - -0.0)),
        ("0 - x = -x", FiniteOnly, f(|[x, ..]| 0.0 - x)),
        ("x - x = 0", FiniteOnly, f(|[x, ..]| &x - &x)),
        (
            "c·x - d·x = (c - d)·x",
            RealOnly,
            f(|[x, ..]| 2.0 * &x - &x * 5.0),
        ),
        ("x - c = (-c) + x", RealOnly, f(|[x, ..]| x - 3.0)),
        (
            "x·y - x·z = x·(y - z)",
            RealOnly,
            f(|[x, y, z]| &y * &x - &x * &z),
        ),
        ("x·1 = x", Exact, f(|[x, ..]| 1.0 * x)),
        ("x·(-1) = -x", Exact, f(|[x, ..]| x * -1.0)),
        ("(-x)·c = x·(-c)", Exact, f(|[x, ..]| 3.0 * -x)),
        ("(-x)·y = -(x·y)", Exact, f(|[x, y, _]| x * -y)),
        ("x·0 = 0", FiniteOnly, f(|[x, ..]| -0.0 * x)),
        ("c·(d·x) = (c·d)·x", RealOnly, f(|[x, ..]| 2.0 * (x * 3.0))),
        ("(c·x)·y = c·(x·y)", RealOnly, f(|[x, y, _]| y * (2.0 * x))),
        ("(x / y)·y = x", RealOnly, f(|[x, y, _]| &y * (x / &y))),
        ("x / 1 = x", Exact, f(|[x, ..]| x / 1.0)),
        ("x / (-1) = -x", Exact, f(|[x, ..]| x / -1.0)),
        (
            "x / c = x·(1 / c), for a power of two",
            Exact,
            f(|[x, ..]| x / -8.0),
        ),
        ("(-x) / y = -(x / y)", Exact, f(|[x, y, _]| -x / y)),
        ("x / (-y) = -(x / y)", Exact, f(|[x, y, _]| x / -y)),
        ("0 / x = 0", FiniteOnly, f(|[x, ..]| -0.0 / x)),
        ("x / x = 1", FiniteOnly, f(|[x, ..]| &x / &x)),
        ("x / c = (1 / c)·x", RealOnly, f(|[x, ..]| x / 3.0)),
        (
            "(c·x) / y = c·(x / y)",
            RealOnly,
            f(|[x, y, _]| 3.0 * x / y),
        ),
        ("(x·y) / y = x", RealOnly, f(|[x, y, _]| (&y * x) / &y)),
        ("-(-x) = x", Exact, f(|[x, ..]| -(-x))),
        ("-(c·x) = (-c)·x", Exact, f(|[x, ..]| -(x * 3.0))),
        ("-(x - y) = y - x", FiniteOnly, f(|[x, y, _]| -(x - y))),
        ("exp (ln x) = x", RealOnly, f(|[x, ..]| x.ln().exp())),
        ("ln (exp x) = x", RealOnly, f(|[x, ..]| x.exp().ln())),
    ]
}

/// Each rule does something, does it at its level and not below, and does it right.
#[test]
fn every_rule_fires() {
    let random = &mut Random(0x6669_7265);
    for (equation, exactness, f) in cases() {
        for level in LEVELS {
            let steps = f.rewrites(level).unwrap();
            let found = steps.iter().find(|step| step.equation == equation);
            assert_eq!(
                found.is_some(),
                exactness <= level,
                "{equation} at {level:?}"
            );
            let Some(step) = found else { continue };
            assert_eq!(step.exactness, exactness, "{equation}");
            let (before, after) = (side(&f, step, false), side(&f, step, true));
            assert!(operations(&after) <= operations(&before), "{equation}");
            let mut compared = 0;
            for _ in 0..60 {
                for x in points(3, random) {
                    compared += usize::from(hold(exactness, &before, &after, &x, equation));
                }
            }
            assert!(compared > 20, "{equation}: {compared} points");
        }
    }
}

#[test]
fn every_rule_of_the_scalar_set_has_a_case() {
    let ops = [
        ScalarOp::constant(2.0),
        ScalarOp::Add,
        ScalarOp::Sub,
        ScalarOp::Mul,
        ScalarOp::Div,
        ScalarOp::Neg,
        ScalarOp::Exp,
        ScalarOp::Ln,
        ScalarOp::Sin,
        ScalarOp::Cos,
        ScalarOp::SinCos,
        ScalarOp::StopGradient,
    ];
    let rules = ops.iter().flat_map(GraphOperation::rewrites);
    let rules: Vec<_> = rules.map(|rule| (rule.equation, rule.exactness)).collect();
    let named: BTreeSet<_> = rules.iter().copied().collect();
    assert_eq!(named.len(), rules.len(), "two rules of one name");
    let cases: BTreeSet<_> = cases()
        .iter()
        .map(|&(name, level, _)| (name, level))
        .collect();
    assert_eq!(cases, named);
}

/// Real numbers know no overflow, but a constant that a rule makes must not bring one about, nor lose
/// a number to underflow.
#[test]
fn constants_are_not_put_together_out_of_range() {
    let values = |f: &F, x: f64| f.compile().call(&[x]).unwrap()[0];
    let check = |body: fn(Expr) -> Expr, x: f64, expected: f64| {
        let f = function(["x"], |[x]| [body(x)]).unwrap();
        for level in LEVELS {
            let simple = f.simplify(level).unwrap();
            let found = values(&simple, x);
            assert!(
                (found - expected).abs() <= 1e-9 * expected.abs(),
                "{found}, not {expected}\n{f}\n{simple}"
            );
        }
    };
    check(|x| x / 1e-310, 1e-310, 1.0);
    check(|x| 1e-200 * (1e-200 * x), 1e300, 1e-100);
    check(|x| 1e200 * (1e200 * x), 1e-300, 1e100);
    check(|x| 1e308 * &x + 1e308 * x, 1e-300, 2e8);
    check(|x| -1e308 * &x - 1e308 * x, 1e-300, -2e8);
    check(|x| -1e308 + (-1e308 + x), 1.5e308, -5e307);
    check(|x| 1e-300 * (x / 1e300), 1e300, 1e-300);
}

#[test]
fn equal_work_is_done_once() {
    // In either order where that is allowed, and whatever it is written for.
    let f = function(["x", "y"], |[x, y]| {
        [
            &x * &y,
            &y * &x,
            &x - &y,
            &y - &x,
            &y + &x,
            &x + &y,
            &x / &y,
            &y / &x,
        ]
    });
    let f = f.unwrap();
    assert_eq!(operations(&f), 6);
    let values = f.compile().call(&[3.0, 5.0]).unwrap();
    assert_eq!(values, [15.0, 15.0, -2.0, 2.0, 8.0, 8.0, 0.6, 5.0 / 3.0]);
    // Two results of one operation are two values.
    let both = function(["x"], |[x]| {
        let (sin, cos) = x.sin_cos();
        let (again, _) = x.sin_cos();
        [&sin * &cos, cos * again, sin]
    });
    let both = both.unwrap();
    assert_eq!(operations(&both), 2);
}

#[test]
fn constants_are_computed() {
    let folded = |body: fn() -> Expr| {
        let f = function([], |[]| [body()]).unwrap();
        let simple = f.simplify(Exactness::Exact).unwrap();
        assert!(operations(&simple) <= 1, "{simple}");
        let value = simple.compile().call(&[]).unwrap()[0];
        let before = f.compile().call(&[]).unwrap()[0];
        assert!(value.to_bits() == before.to_bits() || (value.is_nan() && before.is_nan()));
        value
    };
    let c = Expr::constant;
    assert_eq!(folded(|| c_mul(2.0, 3.0)), 6.0);
    assert!(folded(|| Expr::constant(0.0) / 0.0).is_nan());
    assert!(folded(|| Expr::constant(f64::NAN) * 0.0).is_nan());
    assert!(folded(|| Expr::constant(-1.0).ln()).is_nan());
    assert_eq!(folded(|| Expr::constant(1.0) / -0.0), f64::NEG_INFINITY);
    assert_eq!(
        folded(|| -Expr::constant(0.0)).to_bits(),
        (-0.0f64).to_bits()
    );
    assert_eq!(folded(|| Expr::constant(2.0).stop_gradient()), 2.0);
    assert_eq!(folded(|| c_mul(1e308, 10.0)), f64::INFINITY);
    assert_eq!(folded(|| c_mul(5e-324, 0.5)).to_bits(), 0);
    // Both results of one operation.
    let f = function(["x"], |[x]| {
        let (sin, cos) = c(0.5).sin_cos();
        [sin * &x, cos * x]
    });
    let simple = f.unwrap().simplify(Exactness::Exact).unwrap();
    assert!(!simple.to_string().contains("sin_cos"), "{simple}");
    assert_eq!(
        simple.compile().call(&[2.0]).unwrap(),
        [2.0 * 0.5_f64.sin(), 2.0 * 0.5_f64.cos()]
    );
}

fn c_mul(a: f64, b: f64) -> Expr {
    Expr::constant(a) * Expr::constant(b)
}

/// A rewrite that shares nothing would otherwise do work again that is needed anyway.
#[test]
fn what_is_shared_stays_shared() {
    let f = function(["x", "y"], |[x, y]| {
        let (scaled, shifted) = (3.0 * &x, 2.0 + &x);
        let (a, b) = (&x * &y, &x * x.sin());
        [
            scaled.clone(),
            scaled * &y,
            shifted.clone(),
            shifted + &y,
            a.clone(),
            b.clone(),
            a + b,
        ]
    });
    let f = f.unwrap();
    for level in LEVELS {
        let simple = f.simplify(level).unwrap();
        assert_eq!(operations(&simple), operations(&f), "{simple}");
    }
}

#[test]
fn the_log_says_what_was_done() {
    let f = function(["x"], |[x]| [(&x * 1.0) / 3.0]).unwrap();
    let names = |level| -> Vec<&str> {
        let steps = f.rewrites(level).unwrap();
        steps.iter().map(|step| step.equation).collect()
    };
    assert_eq!(names(Exactness::Exact), ["x·1 = x"]);
    assert_eq!(names(Exactness::RealOnly), ["x·1 = x", "x / c = (1 / c)·x"]);
    let again = f.rewrites(Exactness::RealOnly).unwrap();
    assert_eq!(again, f.rewrites(Exactness::RealOnly).unwrap());
    // The same without functions.
    let view = tidu::graph::resolve(vec![f.as_graph().clone().into()]);
    let keys = tidu_testkit::output_keys(f.as_graph());
    let flat = tidu::graph::materialize_merge(&view, &keys);
    let keys = f.input_keys();
    let flat = flat.closed_over(&keys).unwrap();
    let (_, log) = try_simplify_logged(&flat, &keys, Exactness::RealOnly).unwrap();
    assert_eq!(log, again);
}

/// It is the derivatives that it is there for, at every level.
#[test]
fn stopped_gradients_stay_stopped() -> Result<(), FunctionError> {
    // x·stop(x) + stop(x) - x: by x, stop(x) - 1.
    let f = function(["x"], |[x]| {
        let stopped = x.stop_gradient();
        [&x * &stopped + &stopped - &x]
    })?;
    for level in LEVELS {
        let simple = f.simplify(level)?;
        assert!(simple.to_string().contains("stop_gradient"), "{simple}");
        assert_eq!(simple.compile().call(&[3.0])?, [9.0]);
        assert_eq!(simple.grad("x")?.compile().call(&[3.0])?, [2.0]);
        let derived = f.within(&mut ()).simplify(level).grad("x")?;
        assert_eq!(derived.compile().call(&[3.0])?, [2.0]);
        let second = derived.within(&mut ()).simplify(level).grad("x")?;
        assert_eq!(second.compile().call(&[3.0])?, [0.0]);
    }
    Ok(())
}

/// An input of a function stays one, whether anything needs it or not.
#[test]
fn inputs_that_are_simplified_away_stay() {
    let f = function(["x", "y"], |[x, y]| [&x * 0.0 + y]).unwrap();
    let simple = f.simplify(Exactness::FiniteOnly).unwrap();
    assert_eq!(operations(&simple), 0);
    assert_eq!(simple.input_keys(), ["x", "y"].map(ScalarKey::from));
    assert_eq!(simple.compile().call(&[2.0, 3.0]).unwrap(), [3.0]);
}
