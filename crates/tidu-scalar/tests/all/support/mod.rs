//! What the tests of the primitives share: a primitive alone in a function, numbers at random, and
//! numbers of many digits.
#![allow(dead_code, reason = "each test uses a part")]

pub mod exact;
pub mod functions;
pub mod random;

use std::fmt;

use tidu_ad::{Function, Mode};
use tidu_graph::GraphOperation;
use tidu_scalar::ScalarOp;

/// Names of operands.
pub const NAMES: [&str; 3] = ["x", "y", "z"];

/// A primitive as it prints.
pub struct Name<'a>(pub &'a ScalarOp);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_name(f)
    }
}

/// The function that applies a primitive, read from text.
pub fn alone(op: &ScalarOp) -> Function<ScalarOp> {
    let (operands, results) = (op.input_count(), op.output_count());
    let mut text = String::from("function {\n");
    for (i, name) in NAMES.iter().take(operands).enumerate() {
        text += &format!("    input %{i} = {name}\n");
    }
    let join = |ids: std::ops::Range<usize>| {
        let ids: Vec<String> = ids.map(|id| format!("%{id}")).collect();
        ids.join(", ")
    };
    let outputs = operands..operands + results;
    let (left, right) = (join(outputs.clone()), join(0..operands));
    text += format!("    {left} = {} {right}", Name(op)).trim_end();
    text += "\n";
    for (slot, id) in outputs.enumerate() {
        text += &format!("    output %{id} -> out{slot}\n");
    }
    text += "}";
    text.parse()
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// Every primitive; those that hold a number with several numbers.
pub fn all_primitives() -> Vec<ScalarOp> {
    let powi = [-3, -1, 0, 1, 2, 3, 5].map(ScalarOp::Powi);
    let powf = [-1.5, -0.3, 0.0, 0.3, 0.5, 1.0, 2.0, 3.7].map(ScalarOp::powf);
    let polygamma = [0, 1, 2].map(ScalarOp::Polygamma);
    let partial = [(1, 0), (0, 1), (2, 1), (3, 0)].map(|(n, m)| ScalarOp::pow_partial(n, m));
    let mut all = ScalarOp::PLAIN.to_vec();
    all.push(ScalarOp::constant(2.5));
    all.extend(powi.into_iter().chain(powf).chain(polygamma).chain(partial));
    all
}

/// One output of a function.
pub fn output(f: &Function<ScalarOp>, slot: usize) -> Function<ScalarOp> {
    f.select_at(&[slot]).expect("an output")
}

/// f', by a tangent 1, forward.
pub fn forward(f: &Function<ScalarOp>) -> Function<ScalarOp> {
    derived(f, Mode::Forward, "x")
}

/// f', by a cotangent 1, going backward.
pub fn backward(f: &Function<ScalarOp>) -> Function<ScalarOp> {
    derived(f, Mode::Reverse, "x")
}

pub const MODES: [Mode; 2] = [Mode::Forward, Mode::Reverse];

/// The derivative of a function of one result by one of its inputs.
pub fn derived(f: &Function<ScalarOp>, mode: Mode, by: &str) -> Function<ScalarOp> {
    let derived = match mode {
        Mode::Forward => f.jvp(by).expect("a JVP"),
        _ => f.vjp(by).expect("a VJP"),
    };
    // What comes of 1.
    let unit = derived.input_names()[f.input_names().len()].to_string();
    let one = ScalarOp::constant(1.0);
    output(&derived.bind(unit.as_str(), one).expect("an input"), 1)
}

/// All derivatives of an order by some of the inputs, one after the other, each in either mode: by which
/// inputs, and what it is.
pub fn all_derivatives(
    f: &Function<ScalarOp>,
    by: &[&'static str],
    order: usize,
) -> Vec<(Vec<&'static str>, String, Function<ScalarOp>)> {
    let mut all = vec![(Vec::new(), String::new(), f.clone())];
    for _ in 0..order {
        let mut next = Vec::new();
        for (inputs, name, f) in &all {
            for (mode, by) in MODES
                .into_iter()
                .flat_map(|mode| by.iter().map(move |by| (mode, by)))
            {
                let inputs = inputs.iter().copied().chain([*by]).collect();
                let name = format!("{mode:?} by {by}, {name}");
                next.push((inputs, name, derived(f, mode, by)));
            }
        }
        all = next;
    }
    all
}
