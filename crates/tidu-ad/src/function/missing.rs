//! Which rules a derivative needs that are not there.

use super::FunctionError;
use crate::rules::{ADRuleError, MissingRule, listed};

/// The two ways through a chain of derivatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// From the inputs to the outputs, by JVP rules: one input after the other.
    Forward,
    /// From the outputs to the inputs, by transpose rules of what JVP rules emit: one output after the
    /// other.
    Reverse,
}

/// An error of a derivative; where a rule is missing, one that lists all that are, as `survey` finds them for a mode.
///
/// Without a mode, the derivative is one that a rule of a function makes. If it fails for want of a
/// rule inside a rule again, what is listed there has to do: to look once more at each level would
/// take time exponential in their number.
pub(super) fn explain(
    error: ADRuleError,
    mode: Option<Mode>,
    survey: impl FnOnce(Mode) -> Result<Vec<MissingRule>, FunctionError>,
) -> FunctionError {
    let mode = match (listed(&error), mode) {
        (None, _) if !matches!(error, ADRuleError::Unsupported { .. }) => return error.into(),
        (None, mode) => mode.unwrap_or(Mode::Forward),
        (Some(_), Some(mode)) => mode,
        (Some(missing), None) => {
            let missing = missing.to_vec();
            return FunctionError::MissingRules { missing };
        }
    };
    match survey(mode) {
        Ok(missing) if !missing.is_empty() => FunctionError::MissingRules { missing },
        _ => error.into(),
    }
}
