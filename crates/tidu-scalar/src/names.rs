//! How operations and inputs are named in print, and read back.

use tidu_ad::Composite;
use tidu_graph::text::ParseNames;

use crate::key::ScalarKey;
use crate::op::ScalarOp;

impl ParseNames for ScalarOp {
    fn parse_name(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some((name, number)) => parse_numbered(name, number),
            None => {
                let mut plain = Self::PLAIN.iter();
                plain.find(|op| op.is_named(text)).cloned()
            }
        }
    }

    fn explain_name(text: &str) -> Option<String> {
        Composite::<Self>::explain_name(text)
    }

    fn parse_input_name(text: &str) -> Option<ScalarKey> {
        Some(ScalarKey::parse(text))
    }

    fn primal_of(key: &ScalarKey) -> ScalarKey {
        key.primal()
    }
}

impl ScalarOp {
    fn is_named(&self, name: &str) -> bool {
        let definition = self.definition();
        definition.is_some_and(|definition| definition.name == name)
    }
}

/// An operation that holds a number.
fn parse_numbered(name: &str, number: &str) -> Option<ScalarOp> {
    let zero = [
        ScalarOp::constant(0.0),
        ScalarOp::powf(0.0),
        ScalarOp::Powi(0),
        ScalarOp::Polygamma(0),
        ScalarOp::pow_partial(0, 0),
    ];
    let named = zero.into_iter().find(|op| op.is_named(name))?;
    match named {
        ScalarOp::Constant(_) => parse_number(number).map(ScalarOp::constant),
        ScalarOp::Powf(_) => parse_number(number).map(ScalarOp::powf),
        ScalarOp::Powi(_) => number.parse().ok().map(ScalarOp::Powi),
        ScalarOp::PowPartial(_) => {
            let (n, m) = number.split_once(' ')?;
            Some(ScalarOp::pow_partial(n.parse().ok()?, m.parse().ok()?))
        }
        _ => number.parse().ok().map(ScalarOp::Polygamma),
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
