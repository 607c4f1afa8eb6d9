//! What a check returns, before it is known whose check it is.

use crate::function::FunctionError;
use crate::rules::ADRuleError;

use super::space::show_all;

/// The outcome of a check: whether it applied, or how it failed.
pub(super) type Checked = Result<Verdict, Box<Fault>>;

/// What holds, if nothing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// There is nothing for the law to say, as of transposes where no operand has tangents.
    NotApplicable,
}

/// How a check failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fault {
    pub message: String,
    pub expected: String,
    pub found: String,
    /// Tangents and cotangents that took part, as lines.
    pub directions: Vec<String>,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            message: message.into(),
            ..Self::default()
        })
    }

    pub fn expected(mut self: Box<Self>, expected: impl Into<String>) -> Box<Self> {
        self.expected = expected.into();
        self
    }

    pub fn found(mut self: Box<Self>, found: impl Into<String>) -> Box<Self> {
        self.found = found.into();
        self
    }

    /// Adds the tangents or cotangents called `name`.
    pub fn along(mut self: Box<Self>, name: &str, operands: &[Vec<f64>]) -> Box<Self> {
        self.directions
            .push(format!("{name} = {}", show_all(operands)));
        self
    }

    /// Says where in a derivation it happened.
    pub fn within(mut self: Box<Self>, place: &str) -> Box<Self> {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl From<ADRuleError> for Box<Fault> {
    fn from(error: ADRuleError) -> Self {
        Fault::new(error.to_string())
    }
}

impl From<FunctionError> for Box<Fault> {
    fn from(error: FunctionError) -> Self {
        Fault::new(error.to_string())
    }
}
