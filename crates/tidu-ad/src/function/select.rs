//! Which inputs to differentiate by.

use std::collections::HashMap;
use std::ops::{Range, RangeFull};

use super::FunctionError;

/// Which inputs to differentiate by, in order: all of them, or some by name or by position.
///
/// Made from `..`, `"x"`, `["x", "y"]`, `0`, `[0, 2]`, `3..7` and the like.
///
/// ```
/// let f = tidu_scalar::function(["a", "x", "y"], |[a, x, y]| [a * x * y])?;
/// assert_eq!(f.grad(1..3)?.output_names(), ["d.x", "d.y"]);
/// assert_eq!(f.grad(vec![2, 0])?.output_names(), ["d.y", "d.a"]);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrt {
    /// All, in the order of the function.
    All,
    /// By name.
    Named(Vec<String>),
    /// By position.
    At(Vec<usize>),
}

impl Wrt {
    /// The positions meant, among inputs of these names.
    pub(super) fn positions(&self, names: &[String]) -> Result<Vec<usize>, FunctionError> {
        let positions = match self {
            Wrt::All => (0..names.len()).collect(),
            Wrt::Named(wanted) => positions_of(wanted, names)?,
            Wrt::At(positions) => {
                if let Some(unknown) = positions.iter().find(|at| **at >= names.len()) {
                    return Err(unknown_input(format!("at position {unknown}"), names));
                }
                positions.clone()
            }
        };
        if positions.is_empty() {
            return Err(FunctionError::NoInputs);
        }
        let mut taken = vec![false; names.len()];
        for &position in &positions {
            if std::mem::replace(&mut taken[position], true) {
                return Err(FunctionError::RepeatedInput {
                    name: names[position].clone(),
                });
            }
        }
        Ok(positions)
    }
}

/// The positions of inputs by name.
pub(super) fn positions_of(
    wanted: &[impl AsRef<str>],
    names: &[String],
) -> Result<Vec<usize>, FunctionError> {
    let by_name: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let wanted = wanted.iter().map(AsRef::as_ref);
    let found = wanted.map(|name| match by_name.get(name) {
        Some(position) => Ok(*position),
        None => Err(unknown_input(name.to_owned(), names)),
    });
    found.collect()
}

fn unknown_input(name: String, names: &[String]) -> FunctionError {
    FunctionError::UnknownInput {
        name,
        known: list(names),
    }
}

/// Names for an error, cut where there are many.
pub(super) fn list(names: &[String]) -> String {
    /// Enough to see a misspelling by.
    const SHOWN: usize = 12;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

impl From<RangeFull> for Wrt {
    fn from(_: RangeFull) -> Self {
        Wrt::All
    }
}

impl From<&str> for Wrt {
    fn from(name: &str) -> Self {
        Wrt::Named(vec![name.to_owned()])
    }
}

impl From<&[&str]> for Wrt {
    fn from(names: &[&str]) -> Self {
        Wrt::Named(names.iter().map(|name| (*name).to_owned()).collect())
    }
}

impl<const N: usize> From<[&str; N]> for Wrt {
    fn from(names: [&str; N]) -> Self {
        names.as_slice().into()
    }
}

impl From<usize> for Wrt {
    fn from(position: usize) -> Self {
        Wrt::At(vec![position])
    }
}

impl From<&[usize]> for Wrt {
    fn from(positions: &[usize]) -> Self {
        Wrt::At(positions.to_vec())
    }
}

impl<const N: usize> From<[usize; N]> for Wrt {
    fn from(positions: [usize; N]) -> Self {
        Wrt::At(positions.to_vec())
    }
}

impl From<Vec<usize>> for Wrt {
    fn from(positions: Vec<usize>) -> Self {
        Wrt::At(positions)
    }
}

impl From<Range<usize>> for Wrt {
    fn from(positions: Range<usize>) -> Self {
        Wrt::At(positions.collect())
    }
}

impl From<Vec<String>> for Wrt {
    fn from(names: Vec<String>) -> Self {
        Wrt::Named(names)
    }
}
