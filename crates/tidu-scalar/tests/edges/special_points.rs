//! Every primitive at special points, to the second order and of one number to the third: by every sequence
//! of modes, by programs of either kind and by a tape, held against one another, against numbers from elsewhere
//! (`tests/data/special_points.txt`), and against the page of the book that says what comes out.
//!
//! `TIDU_WRITE_PAGES=1 cargo test -p tidu-scalar --test edges special_points` writes the page anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use tidu_ad::{Function, FunctionProgram};
use tidu_graph::GraphOperation;
use tidu_scalar::{CompileScalar, ScalarOp, ScalarProgram, Tape, Var};

use crate::support::{Name, all_derivatives, all_primitives, alone};

const INF: f64 = f64::INFINITY;
const TINY: f64 = 5e-324;

const OF_ONE: [f64; 17] = [
    -INF, -1e200, -2.0, -1.0, -0.5, -1e-200, -TINY, -0.0, 0.0, TINY, 1e-200, 0.5, 1.0, 2.0, 1e200, INF,
    f64::NAN,
];

const OF_TWO: [f64; 11] = [-INF, -1.0, -0.0, 0.0, TINY, 1e-200, 1.0, 2.0, 1e200, INF, f64::NAN];

/// A derivative, by inputs in the order of their names, as it is made in all ways.
struct Derivative {
    by: String,
    ways: Vec<(String, FunctionProgram<ScalarOp>, ScalarProgram)>,
}

fn derivatives(op: &ScalarOp) -> Vec<Derivative> {
    let f = alone(op);
    let (inputs, most): (&[&str], usize) = match op.input_count() {
        1 => (&["x"], 3),
        _ => (&["x", "y"], 2),
    };
    let mut found: BTreeMap<(usize, String), Vec<(String, Function<ScalarOp>)>> = BTreeMap::new();
    for order in 0..=most {
        for (mut by, name, derivative) in all_derivatives(&f, inputs, order) {
            by.sort_unstable();
            let ways = found.entry((order, by.concat())).or_default();
            ways.push((name, derivative));
        }
    }
    let found = found.into_iter();
    found
        .map(|((_, by), ways)| Derivative {
            by,
            ways: ways
                .into_iter()
                .map(|(name, f)| (name, f.compile(), f.compile_scalar().expect("a program")))
                .collect(),
        })
        .collect()
}

/// A derivative by a tape, going backward as often as it takes.
fn by_tape(op: &ScalarOp, at: &[f64], by: &str) -> f64 {
    let tape = Tape::new();
    let vars: Vec<Var<'_>> = at.iter().map(|x| tape.var(*x)).collect();
    let mut y = Var::try_apply(op.clone(), &vars).expect("a value");
    for input in by.chars() {
        let wrt = vars[usize::from(input == 'y')];
        // What does not depend on anything any more is a constant.
        match y.gradient(&[wrt]) {
            Ok(gradient) => y = gradient[0],
            Err(_) => return 0.0,
        }
    }
    y.value()
}

fn is_near(x: f64, y: f64, tolerance: f64) -> bool {
    let largest = x.abs().max(y.abs());
    x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= tolerance * largest + 1e-322
}

/// What all ways found: different numbers, each once.
fn found_by_all_ways(op: &ScalarOp, at: &[f64], derivative: &Derivative) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::new();
    let mut note = |value: f64| {
        if !found.iter().any(|known| is_near(*known, value, 1e-12)) {
            found.push(value);
        }
    };
    for (_, generic, scalar) in &derivative.ways {
        let values = [generic.call(at).expect("all inputs"), scalar.call(at).expect("all inputs")];
        values.into_iter().for_each(|value| note(value[0]));
    }
    note(by_tape(op, at, &derivative.by));
    found
}

/// From a primitive and a point, as they print, to values and derivatives.
fn truth() -> BTreeMap<(String, String), Vec<Option<f64>>> {
    let lines = include_str!("../data/special_points.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split("; ").collect();
            let [name, at, values] = parts[..] else {
                panic!("{line}")
            };
            let at: Vec<f64> = at.split(", ").map(|x| x.parse().expect("a number")).collect();
            let values = values.split(", ").map(|value| value.parse().ok());
            ((name.to_string(), format!("{at:?}")), values.collect())
        })
        .collect()
}

/// One line of the page: a point, and what comes out.
struct Row {
    at: String,
    cells: Vec<String>,
    is_remarkable: bool,
}

fn number(x: f64) -> String {
    if x.is_nan() {
        "NaN".into()
    } else if x.is_infinite() {
        if x > 0.0 { "∞" } else { "-∞" }.into()
    } else if x == 0.0 {
        "0".into()
    } else if (1e-3..1e4).contains(&x.abs()) {
        let text = format!("{x:.4}");
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        let text = format!("{x:.3e}");
        text.replace(".000e", "e")
    }
}

fn point(at: &[f64]) -> String {
    let number_or_zero = |x: &f64| match x {
        x if x.to_bits() == (-0.0_f64).to_bits() => "-0".into(),
        x => number(*x),
    };
    at.iter().map(number_or_zero).collect::<Vec<_>>().join(", ")
}

/// What is found beside what is right.
fn cell(found: &[f64], truth: Option<f64>) -> (String, bool) {
    let mut sorted = found.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup_by(|x, y| number(*x) == number(*y));
    let text: Vec<String> = sorted.iter().map(|x| number(*x)).collect();
    let text = text.join(" or ");
    match truth {
        Some(truth) if !found.iter().all(|x| is_near(*x, truth, 1e-13)) => {
            (format!("{text} *({})*", number(truth)), true)
        }
        _ => (text, sorted.len() > 1),
    }
}

fn rows(op: &ScalarOp, truth: &BTreeMap<(String, String), Vec<Option<f64>>>) -> Vec<Row> {
    let derivatives = derivatives(op);
    let points: Vec<Vec<f64>> = match op.input_count() {
        1 => OF_ONE.iter().map(|x| vec![*x]).collect(),
        _ => {
            let pairs = OF_TWO.iter().flat_map(|x| OF_TWO.iter().map(move |y| vec![*x, *y]));
            pairs.collect()
        }
    };
    let name = Name(op).to_string();
    let row = |at: Vec<f64>| {
        let known = truth.get(&(name.clone(), format!("{at:?}")));
        let mut is_remarkable = false;
        let cells = derivatives.iter().enumerate().map(|(slot, derivative)| {
            let right = known.and_then(|known| known.get(slot).copied().flatten());
            let found = found_by_all_ways(op, &at, derivative);
            let (text, differs) = cell(&found, right);
            is_remarkable |= differs || (text.contains("NaN") && !at.iter().any(|x| x.is_nan()));
            text
        });
        let cells = cells.collect();
        Row { at: point(&at), cells, is_remarkable }
    };
    points.into_iter().map(row).collect()
}

#[test]
fn probe() {
    let truth = truth();
    for op in all_primitives() {
        if ![1, 2].contains(&op.input_count()) || op.output_count() > 1 { continue; }
        let mut text = String::new();
        for row in rows(&op, &truth) {
            if row.is_remarkable {
                let _ = writeln!(text, "| `{}` | {} | {} |", Name(&op), row.at, row.cells.join(" | "));
            }
        }
        print!("{text}");
    }
    let _ = PathBuf::new();
}
