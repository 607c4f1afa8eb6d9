//! Rules that are not there, collected instead of failing at the first.

use std::collections::HashSet;
use std::fmt;

use super::{ADRuleError, ADRuleKind, ADRuleResult};
use crate::function::FunctionError;

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

/// The rules that an error lists, which comes from inside the rule of a function.
pub(crate) fn listed(error: &ADRuleError) -> Option<&[MissingRule]> {
    let ADRuleError::Runtime { source, .. } = error else {
        return None;
    };
    match source.downcast_ref()? {
        FunctionError::MissingRules { missing } => Some(missing),
        _ => None,
    }
}

/// Missing rules, each once, in the order in which they were met.
#[derive(Default)]
pub(crate) struct MissingRules {
    list: Vec<MissingRule>,
    seen: HashSet<MissingRule>,
}

impl MissingRules {
    /// Takes note of a rule that is missing, or of all those that the rule of a function lists; any
    /// other error remains one.
    pub fn note(&mut self, error: ADRuleError) -> ADRuleResult<()> {
        let found = match error {
            ADRuleError::Unsupported { op, rule } => vec![MissingRule { op, rule }],
            error => match listed(&error) {
                Some(missing) => missing.to_vec(),
                None => return Err(error),
            },
        };
        for missing in found {
            if self.seen.insert(missing.clone()) {
                self.list.push(missing);
            }
        }
        Ok(())
    }

    pub fn into_list(self) -> Vec<MissingRule> {
        self.list
    }
}
