//! Rules that are not there, collected instead of failing at the first.

use std::collections::HashSet;

use super::{ADRuleError, ADRuleResult, MissingRule};
use crate::function::FunctionError;

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
