//! What is declared to keep every bit does, on numbers that are chosen to lose some: commuting operands,
//! linearity, exact rules of simplification, instructions of programs. A NaN is any NaN: which one comes
//! out of arithmetic is not defined, and no primitive tells one from another.

use tidu_ad::{Linearity, Primitive};
use tidu_graph::{EvaluableGraphOperation, Exactness, GraphOperation};
use tidu_scalar::{CompileScalar, Expr, ScalarOp, function};

use super::{assert_same, same};
use crate::support::{Name, all_primitives, alone};

fn numbers() -> Vec<f64> {
    let positive = [
        0.0,
        f64::from_bits(1),
        1e-310,
        f64::MIN_POSITIVE,
        1e-200,
        0.3,
        1.0,
        1.0 + f64::EPSILON,
        2.0,
        2.5,
        3.0,
        1e200,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
        // Other NaNs, one of them signalling.
        f64::from_bits(0x7ff8_0000_0000_1234),
        f64::from_bits(0x7ff0_0000_0000_0001),
    ];
    positive.into_iter().flat_map(|x| [x, -x]).collect()
}

fn pairs() -> impl Iterator<Item = [f64; 2]> {
    let numbers = numbers();
    let pairs = numbers.clone().into_iter();
    pairs.flat_map(move |x| numbers.clone().into_iter().map(move |y| [x, y]))
}

fn eval(op: &ScalarOp, x: &[f64]) -> Vec<f64> {
    op.eval(&mut (), &x.iter().collect::<Vec<_>>())
}

#[test]
fn operands_that_commute_may_be_exchanged() {
    let commuting = all_primitives().into_iter().filter(ScalarOp::commutes);
    let mut names = Vec::new();
    for op in commuting {
        for [x, y] in pairs() {
            let what = format!("{} of {x:e}, {y:e} exchanged", Name(&op));
            assert_same(&eval(&op, &[y, x]), &eval(&op, &[x, y]), &what);
        }
        names.push(Name(&op).to_string());
    }
    let expected = ["add", "mul", "eq", "ne", "min", "max", "hypot", "logaddexp"];
    assert_eq!(names, expected);
}

/// Operands that may stand for `op(x)`, those of a mask multiplied by a power of two: L(a·t) = a·L(t), but for
/// the sign of a zero and where digits are lost to the ends of the range.
#[test]
fn operations_scale_where_they_are_linear() {
    let is_far_from_ends =
        |x: f64| x == 0.0 || !x.is_finite() || (1e-250..1e250).contains(&x.abs());
    for op in all_primitives() {
        let masks: Vec<Vec<bool>> = match op.linearity() {
            Linearity::Joint => vec![vec![true; op.input_count()]],
            Linearity::Each => (0..2).map(|at| vec![at == 0, at == 1]).collect(),
            Linearity::In(masks) => masks.iter().map(|mask| mask.to_vec()).collect(),
            _ => continue,
        };
        for mask in masks {
            for [x, y] in pairs() {
                let operands = [x, y, 0.75];
                let operands = &operands[..op.input_count()];
                for a in [-1.0, 2.0, -0.5] {
                    let scaled: Vec<f64> = operands
                        .iter()
                        .zip(&mask)
                        .map(|(x, active)| if *active { a * x } else { *x })
                        .collect();
                    let (found, expected) = (eval(&op, &scaled)[0], a * eval(&op, operands)[0]);
                    let all = operands.iter().chain([&found, &expected]);
                    if all.into_iter().all(|x| is_far_from_ends(*x)) {
                        assert!(
                            same(found + 0.0, expected + 0.0),
                            "{} in {mask:?} at {operands:?}, scaled by {a}: {found}, not {expected}",
                            Name(&op)
                        );
                    }
                }
            }
        }
    }
}

type Build = fn(Expr, Expr) -> Expr;

/// What each exact rule is for.
const EXACT: &[(&str, Build)] = &[
    ("x + (-0) = x", |x, _| x + -0.0),
    ("x + (-y) = x - y", |x, y| x + -y),
    ("x - (+0) = x", |x, _| x - 0.0),
    ("(-0) - x = -x", |x, _| -0.0 - x),
    ("x - (-y) = x + y", |x, y| x - -y),
    ("-(-x) = x", |x, _| -(-x)),
    ("-(c·x) = (-c)·x", |x, _| -(2.5 * x)),
    ("x·1 = x", |x, _| x * 1.0),
    ("x·(-1) = -x", |x, _| x * -1.0),
    ("(-x)·c = x·(-c)", |x, _| -x * 2.5),
    ("(-x)·y = -(x·y)", |x, y| -x * y),
    ("x / 1 = x", |x, _| x / 1.0),
    ("x / (-1) = -x", |x, _| x / -1.0),
    ("x / c = x·(1 / c), for a power of two", |x, _| x / 8.0),
    ("(-x) / y = -(x / y)", |x, y| -x / y),
    ("x / (-y) = -(x / y)", |x, y| x / -y),
];

#[test]
fn exact_rules_keep_every_bit() {
    let mut untried: Vec<&str> = all_primitives()
        .iter()
        .flat_map(ScalarOp::rewrites)
        .filter(|rule| rule.exactness == Exactness::Exact)
        .map(|rule| rule.equation)
        .collect();
    for (equation, build) in EXACT {
        let f = function(["x", "y"], |[x, y]| [build(x, y)]).expect("a function");
        let simple = f.simplify(Exactness::Exact).expect("a simpler function");
        assert_ne!(f.to_string(), simple.to_string(), "{equation}");
        let [before, after] = [f, simple].map(|f| f.compile());
        for at in pairs() {
            let [before, after] = [&before, &after].map(|f| f.call(&at).expect("two inputs"));
            assert_same(&after, &before, &format!("{equation} at {at:?}"));
        }
        untried.retain(|untried| untried != equation);
    }
    assert!(untried.is_empty(), "{untried:?}");
}

/// By a program of either kind, by batches of 1, 9 and 65 points, and folded while a function is simplified.
#[test]
fn programs_compute_what_operations_do_to_the_bit() {
    for op in all_primitives() {
        let f = alone(&op);
        let (generic, scalar) = (f.compile(), f.compile_scalar().expect("a program"));
        let points: Vec<Vec<f64>> = pairs()
            .map(|[x, y]| [x, y, 0.75][..op.input_count()].to_vec())
            .collect();
        let expected: Vec<Vec<f64>> = points.iter().map(|x| eval(&op, x)).collect();
        for (x, expected) in points.iter().zip(&expected) {
            let what = format!("{} at {x:?}", Name(&op));
            assert_same(&generic.call(x).expect("all inputs"), expected, &what);
            assert_same(&scalar.call(x).expect("all inputs"), expected, &what);
            let constants: Vec<ScalarOp> = x.iter().copied().map(ScalarOp::constant).collect();
            if let Some(folded) = op.fold(&constants.iter().collect::<Vec<_>>()) {
                let folded: Vec<f64> = folded.iter().map(constant).collect();
                assert_same(&folded, expected, &what);
            }
        }
        for size in [1, 9, 65] {
            for (points, expected) in points.chunks(size).zip(expected.chunks(size)) {
                let by_input: Vec<Vec<f64>> = (0..op.input_count())
                    .map(|input| points.iter().map(|x| x[input]).collect())
                    .collect();
                let inputs: Vec<&[f64]> = by_input.iter().map(Vec::as_slice).collect();
                let mut results = vec![vec![7.0; points.len()]; op.output_count()];
                let mut slices: Vec<&mut [f64]> = results.iter_mut().map(Vec::as_mut).collect();
                scalar.batch().eval(&inputs, &mut slices).expect("a batch");
                for (slot, found) in results.iter().enumerate() {
                    let expected: Vec<f64> = expected.iter().map(|all| all[slot]).collect();
                    assert_same(found, &expected, &format!("{} at {points:?}", Name(&op)));
                }
            }
        }
    }
}

fn constant(op: &ScalarOp) -> f64 {
    match op {
        ScalarOp::Constant(number) => number.value(),
        other => panic!("{} is no constant", Name(other)),
    }
}
