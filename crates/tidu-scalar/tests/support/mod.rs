//! What the tests of the primitives share: a primitive alone in a function, numbers at random, and
//! numbers of many digits.
#![allow(dead_code, reason = "each test uses a part")]

pub mod exact;
pub mod functions;
pub mod random;

use std::fmt;

use tidu_ad::Function;
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
    let mut all = ScalarOp::PLAIN.to_vec();
    all.push(ScalarOp::constant(2.5));
    all.extend(powi.into_iter().chain(powf).chain(polygamma));
    all
}

/// One output of a function.
pub fn output(f: &Function<ScalarOp>, slot: usize) -> Function<ScalarOp> {
    f.select_at(&[slot]).expect("an output")
}

/// f', by a tangent 1, forward.
pub fn forward(f: &Function<ScalarOp>) -> Function<ScalarOp> {
    with_unit(&f.jvp("x").expect("a JVP"))
}

/// f', by a cotangent 1, going backward.
pub fn backward(f: &Function<ScalarOp>) -> Function<ScalarOp> {
    with_unit(&f.vjp("x").expect("a VJP"))
}

/// A JVP or VJP of a function of one number with one result: what comes of 1.
fn with_unit(f: &Function<ScalarOp>) -> Function<ScalarOp> {
    let unit = f.input_names()[1].to_string();
    let one = ScalarOp::constant(1.0);
    output(&f.bind(unit.as_str(), one).expect("an input"), 1)
}
