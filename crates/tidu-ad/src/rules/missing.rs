//! Rules that are not there, collected instead of failing at the first.

use std::collections::HashSet;
use std::fmt;

use super::{ADRuleError, ADRuleKind, ADRuleResult};

/// A rule that a derivative needs and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MissingRule {
    /// The primitive, as its author names it.
    pub op: String,
    /// Which of its rules.
    pub rule: ADRuleKind,
}

impl fmt::Display for MissingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.rule, self.op)
    }
}

/// Missing rules, each once, in the order in which they were met.
#[derive(Default)]
pub(crate) struct MissingRules {
    list: Vec<MissingRule>,
    seen: HashSet<MissingRule>,
}

impl MissingRules {
    /// Takes note of a rule that is missing; any other error remains one.
    pub fn note(&mut self, error: ADRuleError) -> ADRuleResult<()> {
        let ADRuleError::Unsupported { op, rule } = error else {
            return Err(error);
        };
        let missing = MissingRule { op, rule };
        if self.seen.insert(missing.clone()) {
            self.list.push(missing);
        }
        Ok(())
    }

    pub fn into_list(self) -> Vec<MissingRule> {
        self.list
    }
}
