//! How operations and inputs are named in print, and read back.

use tidu_graph::text::ParseNames;

use crate::key::ScalarKey;
use crate::op::ScalarOp;

/// Every operation without a number in it, with its name.
const NAMES: [(ScalarOp, &str); 11] = [
    (ScalarOp::Add, "add"),
    (ScalarOp::Sub, "sub"),
    (ScalarOp::Mul, "mul"),
    (ScalarOp::Div, "div"),
    (ScalarOp::Neg, "neg"),
    (ScalarOp::Exp, "exp"),
    (ScalarOp::Ln, "ln"),
    (ScalarOp::Sin, "sin"),
    (ScalarOp::Cos, "cos"),
    (ScalarOp::SinCos, "sin_cos"),
    (ScalarOp::StopGradient, "stop_gradient"),
];

/// The name of an operation without a number in it.
pub(crate) fn plain_name(op: &ScalarOp) -> Option<&'static str> {
    let found = NAMES.iter().find(|(named, _)| named == op);
    found.map(|(_, name)| *name)
}

impl ParseNames for ScalarOp {
    fn parse_name(text: &str) -> Option<Self> {
        if let Some(number) = text.strip_prefix("const ") {
            return parse_number(number).map(ScalarOp::constant);
        }
        let found = NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(op, _)| op.clone())
    }

    fn parse_input_name(text: &str) -> Option<ScalarKey> {
        ScalarKey::parse(text)
    }

    fn primal_of(key: &ScalarKey) -> ScalarKey {
        key.primal()
    }
}

/// A number as `f64`'s `Debug` prints it, which is exact; a NaN by its bits.
fn parse_number(text: &str) -> Option<f64> {
    match text.strip_prefix("NaN.") {
        Some(bits) => {
            let number = u64::from_str_radix(bits, 16).ok().map(f64::from_bits);
            number.filter(|number| number.is_nan())
        }
        None => text.parse().ok(),
    }
}
