//! Every primitive at special points, to the second order and of one number to the third: by every sequence
//! of modes, by programs of either kind and by a tape, held against one another, against numbers from elsewhere
//! (`tests/data/special_points.txt`), and against the page of the book that says what comes out.
//!
//! `TIDU_WRITE_PAGES=1 cargo test -p tidu-scalar edges::special_points` writes the page anew.

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
    -INF,
    -1e200,
    -2.0,
    -1.0,
    -0.5,
    -1e-200,
    -TINY,
    -0.0,
    0.0,
    TINY,
    1e-200,
    0.5,
    1.0,
    2.0,
    1e200,
    INF,
    f64::NAN,
];

const OF_TWO: [f64; 11] = [
    -INF,
    -1.0,
    -0.0,
    0.0,
    TINY,
    1e-200,
    1.0,
    2.0,
    1e200,
    INF,
    f64::NAN,
];

/// A derivative, by inputs in the order of their names, as it is made in all ways.
struct Derivative {
    by: String,
    ways: Vec<(FunctionProgram<ScalarOp>, ScalarProgram)>,
}

fn derivatives(op: &ScalarOp) -> Vec<Derivative> {
    let f = alone(op);
    let (inputs, most): (&[&str], usize) = match op.input_count() {
        1 => (&["x"], 3),
        _ => (&["x", "y"], 2),
    };
    let mut found: BTreeMap<(usize, String), Vec<_>> = BTreeMap::new();
    for order in 0..=most {
        for (mut by, _, derivative) in all_derivatives(&f, inputs, order) {
            by.sort_unstable();
            let ways = found.entry((order, by.concat())).or_default();
            ways.push(derivative);
        }
    }
    let found = found.into_iter();
    found
        .map(|((_, by), ways)| Derivative {
            by,
            ways: ways
                .into_iter()
                .map(|f: Function<ScalarOp>| (f.compile(), f.compile_scalar().expect("a program")))
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

/// Within a relative error, noise of this size, or a few of the smallest doubles.
fn is_near(x: f64, y: f64, tolerance: f64, noise: f64) -> bool {
    let room = tolerance * x.abs().max(y.abs()) + noise + 1e-322;
    x == y
        || (x.is_nan() && y.is_nan())
        || (x.is_finite() && y.is_finite() && (x - y).abs() <= room)
}

/// What all ways found: different numbers, each once.
fn found_by_all_ways(op: &ScalarOp, at: &[f64], derivative: &Derivative, noise: f64) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::new();
    let mut note = |value: f64| {
        if !found
            .iter()
            .any(|known| is_near(*known, value, 1e-12, noise))
        {
            found.push(value);
        }
    };
    for (generic, scalar) in &derivative.ways {
        let values = [
            generic.call(at).expect("all inputs"),
            scalar.call(at).expect("all inputs"),
        ];
        values.into_iter().for_each(|value| note(value[0]));
    }
    note(by_tape(op, at, &derivative.by));
    found
}

/// From a primitive and a point, as they print, to values and derivatives.
type Truth = BTreeMap<(String, String), Vec<Option<f64>>>;

fn truth() -> Truth {
    let lines = include_str!("../../data/special_points.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split("; ").collect();
            let [name, at, values] = parts[..] else {
                panic!("{line}")
            };
            let at: Vec<f64> = at
                .split(", ")
                .map(|x| x.parse().expect("a number"))
                .collect();
            let values = values.split(", ").map(|value| value.parse().ok());
            ((name.to_string(), format!("{at:?}")), values.collect())
        })
        .collect()
}

/// One line of the page: points, and what comes out.
struct Row {
    at: Vec<String>,
    cells: Vec<String>,
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
        format!("{x:.0e}")
    }
}

fn point(at: &[f64]) -> String {
    let number = |x: &f64| match x.to_bits() == (-0.0_f64).to_bits() {
        true => "-0".into(),
        false => number(*x),
    };
    let numbers: Vec<String> = at.iter().map(number).collect();
    match numbers.len() {
        1 => numbers.concat(),
        _ => format!("({})", numbers.join(", ")),
    }
}

/// What is found, and beside it what is right, if that is another number.
fn cell(found: &[f64], right: Option<f64>) -> String {
    let mut sorted: Vec<f64> = found.iter().map(|x| x + 0.0).collect();
    sorted.sort_by(|x, y| x.is_nan().cmp(&y.is_nan()).then(x.total_cmp(y)));
    let mut text: Vec<String> = sorted.iter().map(|x| number(*x)).collect();
    text.dedup();
    let text = text.join(" or ");
    match right {
        Some(right) => format!("{text} *({})*", number(right)),
        None => text,
    }
}

/// Numbers that are not right, without a NaN or an infinity that would say so.
#[derive(Default)]
struct Silent(Vec<String>);

fn points(op: &ScalarOp) -> Vec<Vec<f64>> {
    match op.input_count() {
        1 => OF_ONE.iter().map(|x| vec![*x]).collect(),
        _ => {
            let pairs = OF_TWO.iter();
            let pairs = pairs.flat_map(|x| OF_TWO.iter().map(move |y| vec![*x, *y]));
            pairs.collect()
        }
    }
}

/// What the page says of a primitive: its edges, and whatever is not as it is elsewhere.
fn rows(op: &ScalarOp, truth: &Truth, silent: &mut Silent) -> Vec<Row> {
    let derivatives = derivatives(op);
    let name = Name(op).to_string();
    let mut rows: Vec<Row> = Vec::new();
    for at in points(op) {
        let known = truth.get(&(name.clone(), format!("{at:?}")));
        let has_nan = at.iter().any(|x| x.is_nan());
        let mut is_remarkable = false;
        // Sums of terms of this size may have cancelled.
        let mut size = 0.0_f64;
        let mut cells = Vec::new();
        for (slot, derivative) in derivatives.iter().enumerate() {
            let right = known.and_then(|known| known.get(slot).copied().flatten());
            let noise = if derivative.by.len() > 1 {
                1e-15 * size
            } else {
                0.0
            };
            let found = found_by_all_ways(op, &at, derivative, noise);
            let is_right = |x: &f64| right.is_none_or(|right| is_near(*x, right, 1e-13, noise));
            let wrong = right.filter(|_| !found.iter().all(is_right));
            if let Some(right) = wrong.filter(|right| right.is_finite())
                && found.iter().any(|x| x.is_finite() && !is_right(x))
            {
                let by = &derivative.by;
                silent.0.push(format!(
                    "{name} by {by:?} at {at:?}: {found:?}, not {right}"
                ));
            }
            let says_nan = !has_nan && found.iter().any(|x| x.is_nan());
            is_remarkable |= wrong.is_some() || found.len() > 1 || says_nan;
            size = found
                .iter()
                .filter(|x| x.is_finite())
                .fold(size, |size, x| size.max(x.abs()));
            cells.push(cell(&found, wrong));
        }
        let is_outside = cells.iter().all(|cell| cell == "NaN");
        if (is_remarkable && !is_outside) || at.iter().all(|x| EDGES.contains(x)) {
            match rows.iter_mut().find(|row| row.cells == cells) {
                Some(row) => row.at.push(point(&at)),
                None => rows.push(Row {
                    at: vec![point(&at)],
                    cells,
                }),
            }
        }
    }
    rows
}

/// Points that the page says something of in any case.
const EDGES: [f64; 4] = [-INF, 0.0, 1.0, INF];

const HEAD: &str = "\
# Special points

What comes out at the edges of each [scalar primitive](scalar.md), of values and derivatives: at 0, 1 and ±∞; and
wherever a derivative is NaN for operands that are none, is not the limit or the true number, or depends on the way
it is made. Everywhere else, of all points that were tried, all ways agree, and on the right number.

- Ways: every sequence of forward and reverse mode, by programs of either kind and by a tape. Where they differ, \
the numbers that come out are joined by *or*.
- In brackets stands what is right, where something else comes out: the derivative there, or its limit from inside of
the domain, by mpmath, in arithmetic with exponents without bound.
- Points of one operand: ±∞, ±1e200, ±2, ±1, ±1/2, ±1e-200, ±5e-324, ±0, NaN. Of two operands: all pairs of ±∞, -1, ±0,
5e-324, 1e-200, 1, 2, 1e200, NaN. Where everything is NaN, outside of domains, there is no line unless it is an edge.
- At kinks and steps there is no right number; [a convention](scalar.md#kinks) says what comes out.

The page is written, and held to what comes out, by a test of `tidu-scalar`
(`TIDU_WRITE_PAGES=1 cargo test -p tidu-scalar edges::special_points`).
";

fn page(silent: &mut Silent) -> String {
    let truth = truth();
    let mut page = String::from(HEAD);
    let heads: [(usize, &str, &str); 2] = [
        (
            1,
            "One operand",
            "| | at | value | f' | f'' | f''' |\n|---|---|---|---|---|---|\n",
        ),
        (
            2,
            "Two operands",
            "| | at (x, y) | value | ∂x | ∂y | ∂x∂x | ∂x∂y | ∂y∂y |\n|---|---|---|---|---|---|---|---|\n",
        ),
    ];
    for (operands, title, head) in heads {
        let _ = write!(page, "\n## {title}\n\n{head}");
        let all = all_primitives().into_iter();
        let all = all.filter(|op| (op.input_count(), op.output_count()) == (operands, 1));
        for op in all.filter(|op| !is_left_out(op)) {
            for row in rows(&op, &truth, silent) {
                let (at, cells) = (row.at.join(", "), row.cells.join(" | "));
                let _ = writeln!(page, "| `{}` | {at} | {cells} |", Name(&op));
            }
        }
    }
    page
}

/// Comparisons, roundings, and what is linear, which have no edges of their own; and slopes of `pow`, which are
/// seen there.
fn is_left_out(op: &ScalarOp) -> bool {
    use ScalarOp::*;
    let steps = [
        Lt,
        Le,
        Gt,
        Ge,
        Eq,
        Ne,
        Sign,
        Floor,
        Ceil,
        Round,
        RoundTiesEven,
        Trunc,
    ];
    let linear = [Add, Sub, Neg, KeepIf, StopGradient];
    steps.contains(op) || linear.contains(op) || matches!(op, PowPartial(_))
}

#[test]
fn the_page_of_special_points_says_what_comes_out() {
    let mut silent = Silent::default();
    let page = page(&mut silent);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/special-points.md");
    if std::env::var_os("TIDU_WRITE_PAGES").is_some() {
        std::fs::write(&path, &page).expect("a page that can be written");
    }
    let written = std::fs::read_to_string(&path).expect("a page");
    for (line, (written, found)) in written.lines().zip(page.lines()).enumerate() {
        assert_eq!(
            written,
            found,
            "line {} of docs/special-points.md",
            line + 1
        );
    }
    assert_eq!(written, page, "docs/special-points.md");
    // Where something is wrong, a NaN or an infinity says so.
    assert!(silent.0.is_empty(), "{:#?}", silent.0);
}

/// A family whose numbers have no row each: all ways find one.
#[test]
fn partial_derivatives_of_powers_are_one_number_everywhere() {
    for (n, m) in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (3, 1)] {
        let op = ScalarOp::pow_partial(n, m);
        for derivative in derivatives(&op) {
            for at in points(&op) {
                let found = found_by_all_ways(&op, &at, &derivative, 0.0);
                assert_eq!(
                    found.len(),
                    1,
                    "{} by {} at {at:?}: {found:?}",
                    Name(&op),
                    derivative.by
                );
            }
        }
    }
}
