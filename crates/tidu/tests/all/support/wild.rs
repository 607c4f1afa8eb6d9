//! Random functions of any shape and with any names, for what does not depend on values.

use tidu::graph::{GraphOperation, ValueKey, materialize_merge};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{ADKey, Function};

use super::problem::Problem;
use super::sketch::{Layout, Sketch};
use tidu_testkit::Random;

/// Names that a printer or a parser might get wrong.
pub const AWKWARD_NAMES: [&str; 34] = [
    "",
    "x",
    "two words",
    " blanks around ",
    "\"quoted\"",
    "back\\slash",
    "new\nline",
    "\r\n\t",
    "nul\0 and bell\u{7}",
    "梯度",
    "naïve café",
    "e\u{301}",
    "\u{2028}\u{a0}\u{feff}",
    "🦀",
    "_",
    "#7",
    "#07",
    "'x",
    "d1.x",
    "d01.x",
    "ct0.d1.x",
    "d1.",
    "ct.x",
    "7",
    "-",
    "%0",
    "@0",
    "~x",
    "zero",
    "a -> b",
    "a, b",
    "// no comment",
    "}",
    "d.out0",
];

/// Numbers that a printer or a parser might get wrong.
pub const AWKWARD_NUMBERS: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -2.5,
    0.1,
    f64::NAN,
    -f64::NAN,
    f64::from_bits(0x7ff0_0000_0000_0001),
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN_POSITIVE,
    f64::from_bits(1),
    -1e-310,
];

/// A function that can be linearized, though its values need not be numbers anywhere, over one graph
/// or several, to be differentiated by some of its inputs. All values are 0.
pub fn wild_problem(random: &mut Random) -> Problem<ScalarOp> {
    let f = wild_sketch(random);
    let parents = random.below(2) == 0;
    let mut graph_of: Vec<usize> = f.steps.iter().map(|_| random.below(3)).collect();
    if parents {
        graph_of.sort_unstable();
    }
    let layout = Layout {
        graph_of,
        parents,
        repeat_inputs: random.below(2) == 0,
        by_key: random.below(4) == 0,
    };
    let mut problem = f.laid_out(&layout, &vec![0.0; f.inputs.len()]);
    problem.wrt.retain(|_| random.below(4) > 0);
    problem
}

/// A [`wild_problem`] as a function of what it needs, and its first derivatives, as far as there are inputs to derive by.
pub fn wild_functions(random: &mut Random) -> Vec<Function<ScalarOp>> {
    let problem = wild_problem(random);
    let outputs: Vec<_> = problem.outputs.iter().flatten().cloned().collect();
    let flat = materialize_merge(&problem.view(), &outputs);
    let inputs = flat.inputs.iter().filter_map(|key| match key {
        ValueKey::Input(key) => Some(key.clone()),
        ValueKey::Derived { .. } => None,
    });
    let inputs: Vec<ScalarKey> = inputs.collect();
    let f = Function::from_graphs(problem.roots, &inputs, &outputs).expect("a closed function");
    let derived = [f.jvp(..), f.vjp(..)].into_iter().flatten();
    derived.chain([f.clone()]).collect()
}

fn wild_sketch(random: &mut Random) -> Sketch<ScalarOp> {
    let (mut f, _) = Sketch::new([]);
    while f.inputs.len() < 4 {
        let key = wild_key(random);
        if !f.inputs.contains(&key) {
            f.inputs.push(key);
        }
    }
    f.values = f.inputs.len();
    for _ in 0..random.below(24) {
        let op = wild_op(random);
        let operands = (0..op.input_count())
            .map(|_| random.below(f.values))
            .collect();
        f.push(op, operands);
    }
    f.outputs = (0..random.below(6))
        .map(|_| random.below(f.values))
        .collect();
    f
}

/// Any key but one that a first linearization would give out itself.
fn wild_key(random: &mut Random) -> ScalarKey {
    let word = ScalarKey::from(AWKWARD_NAMES[random.below(AWKWARD_NAMES.len())]);
    match random.below(6) {
        0 => ScalarKey::fresh(random.below(10) as u64),
        1 => word.tangent_of(77),
        2 => word.tangent_of(78).cotangent_of(random.below(3)),
        _ => word,
    }
}

fn wild_op(random: &mut Random) -> ScalarOp {
    match random.below(12) {
        0 => ScalarOp::constant(AWKWARD_NUMBERS[random.below(AWKWARD_NUMBERS.len())]),
        1 => ScalarOp::Add,
        2 => ScalarOp::Sub,
        3 => ScalarOp::Mul,
        4 => ScalarOp::Div,
        5 => ScalarOp::Neg,
        6 => ScalarOp::Exp,
        7 => ScalarOp::Ln,
        8 => ScalarOp::Sin,
        9 => ScalarOp::Cos,
        _ => ScalarOp::SinCos,
    }
}
