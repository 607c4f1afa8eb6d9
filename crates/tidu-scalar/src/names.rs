//! How operations and inputs are named in print, and read back.

use tidu_ad::Composite;
use tidu_graph::text::{ParseNames, operation_name, shortened};

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
        Composite::<Self>::explain_name(text).or_else(|| explain(text))
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

/// What a text that is nearly the name of an operation should be.
fn explain(text: &str) -> Option<String> {
    let (name, number) = text.split_once(' ').unwrap_or((text, ""));
    let lower = name.to_lowercase();
    if let Some(example) = numbered(&lower) {
        let example = operation_name(&example);
        let holds = match number {
            "" => "without its number".to_owned(),
            number => format!("with the number `{}`", shortened(number)),
        };
        return Some(format!("`{name}` {holds}: it is written like `{example}`"));
    }
    if name == lower || !number.is_empty() {
        return None;
    }
    let known = ScalarOp::parse_name(&lower)?;
    Some(format!(
        "`{name}`: it is written `{}`",
        operation_name(&known)
    ))
}

/// An operation of this name, which holds numbers: some that show how it is written.
fn numbered(name: &str) -> Option<ScalarOp> {
    let examples = [
        ScalarOp::constant(1.5),
        ScalarOp::powf(0.5),
        ScalarOp::Powi(3),
        ScalarOp::Polygamma(1),
        ScalarOp::pow_partial(1, 0),
    ];
    examples.into_iter().find(|op| op.is_named(name))
}

/// An operation that holds a number.
fn parse_numbered(name: &str, number: &str) -> Option<ScalarOp> {
    match numbered(name)? {
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
