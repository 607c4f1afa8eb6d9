//! Which inputs to differentiate by.

use std::any::Any;
use std::fmt::Debug;
use std::ops::{Range, RangeFull, RangeInclusive};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tidu_graph::GraphOperation;
use tidu_graph::text::{input_label, name_list};

use super::{Function, FunctionError};
use crate::rules::{ADKey, StringKey};

/// Which inputs to differentiate by, in order: all of them, or some by name, by position or by key.
///
/// Made from `..`, `"x"`, `["x", "y"]`, `0`, `[0, 2]`, `3..7` and the like, of arrays, slices, vectors, and of a
/// key of the operation set, or several. A name is what the key of an input prints as.
///
/// ```
/// use tidu_scalar::ScalarKey;
///
/// let f = tidu_scalar::function(["a", "x", "y"], |[a, x, y]| a * x * y)?;
/// assert_eq!(f.grad(1..3)?.output_names(), ["d.x", "d.y"]);
/// assert_eq!(f.grad(vec![2, 0])?.output_names(), ["d.y", "d.a"]);
/// assert_eq!(f.grad(ScalarKey::from("x"))?.output_names(), ["d.x"]);
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
    /// By key.
    Keyed(WrtKeys),
}

/// Keys of some operation set, in order.
#[derive(Clone, Debug)]
pub struct WrtKeys(Arc<dyn Keys>);

/// A list of keys whose type is not known.
trait Keys: Any + Debug + Send + Sync {
    fn equals(&self, other: &dyn Keys) -> bool;

    /// As they print without an operation set.
    fn labels(&self) -> Vec<String>;
}

impl<Key: ADKey> Keys for Vec<Key> {
    fn equals(&self, other: &dyn Keys) -> bool {
        (other as &dyn Any).downcast_ref() == Some(self)
    }

    fn labels(&self) -> Vec<String> {
        self.iter().map(|key| format!("{key:?}")).collect()
    }
}

impl PartialEq for WrtKeys {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

impl Eq for WrtKeys {}

impl WrtKeys {
    fn positions<Op: GraphOperation>(
        &self,
        function: &Function<Op>,
    ) -> Result<Vec<usize>, FunctionError> {
        let names = || function.names();
        let Some(wanted) = (&*self.0 as &dyn Any).downcast_ref::<Vec<Op::InputKey>>() else {
            let labels = self.0.labels();
            let first = labels.first().map_or("", String::as_str);
            let name = format!("{first}, which is a key of another type than those of its inputs");
            return Err(unknown_input(name, names()));
        };
        let inputs = function.content.input_keys.iter();
        let known: HashMap<&Op::InputKey, usize, FixedState> = inputs.zip(0..).collect();
        let found = wanted.iter().map(|key| match known.get(key) {
            Some(position) => Ok(*position),
            None => Err(unknown_input(input_label::<Op>(key), names())),
        });
        found.collect()
    }
}

impl Wrt {
    /// The positions meant, among the inputs of a function.
    ///
    /// # Errors
    ///
    /// [`FunctionError::UnknownInput`], [`FunctionError::RepeatedInput`]; [`FunctionError::NoInputs`] where none
    /// is meant.
    pub fn positions<Op: GraphOperation>(
        &self,
        function: &Function<Op>,
    ) -> Result<Vec<usize>, FunctionError> {
        // To print all names takes longer than all else here.
        let names = || function.names();
        let inputs = function.as_dense().input_count();
        let positions = match self {
            Wrt::All => (0..inputs).collect(),
            Wrt::Named(wanted) => positions_of(wanted, names())?,
            Wrt::At(positions) => {
                if let Some(unknown) = positions.iter().find(|at| **at >= inputs) {
                    return Err(unknown_input(format!("at position {unknown}"), names()));
                }
                positions.clone()
            }
            Wrt::Keyed(keys) => keys.positions(function)?,
        };
        if positions.is_empty() {
            return Err(FunctionError::NoInputs);
        }
        let mut taken = vec![false; inputs];
        for &position in &positions {
            if std::mem::replace(&mut taken[position], true) {
                return Err(FunctionError::RepeatedInput {
                    name: names()[position].clone(),
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
    let by_name = names.iter().map(String::as_str).zip(0..);
    let by_name: HashMap<&str, usize, FixedState> = by_name.collect();
    let wanted = wanted.iter().map(AsRef::as_ref);
    let found = wanted.map(|name| match by_name.get(name) {
        Some(position) => Ok(*position),
        None => Err(unknown_input(name.to_owned(), names)),
    });
    found.collect()
}

fn unknown_input(name: String, names: &[String]) -> FunctionError {
    // A word that reads like a tangent prints with a mark, by which alone it is found.
    let quoted = format!("'{name}");
    let hint = if names.contains(&quoted) {
        format!(
            " (the word {name} is written {quoted}: {name} would name an input of a derivative)"
        )
    } else {
        String::new()
    };
    FunctionError::UnknownInput {
        name,
        known: name_list(names) + &hint,
    }
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

impl From<String> for Wrt {
    fn from(name: String) -> Self {
        Wrt::Named(vec![name])
    }
}

impl From<&String> for Wrt {
    fn from(name: &String) -> Self {
        name.as_str().into()
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

impl From<Vec<&str>> for Wrt {
    fn from(names: Vec<&str>) -> Self {
        names.as_slice().into()
    }
}

impl From<Vec<String>> for Wrt {
    fn from(names: Vec<String>) -> Self {
        Wrt::Named(names)
    }
}

impl From<&Vec<String>> for Wrt {
    fn from(names: &Vec<String>) -> Self {
        names.as_slice().into()
    }
}

impl From<&[String]> for Wrt {
    fn from(names: &[String]) -> Self {
        Wrt::Named(names.to_vec())
    }
}

impl<const N: usize> From<[String; N]> for Wrt {
    fn from(names: [String; N]) -> Self {
        Wrt::Named(names.into())
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

impl From<RangeInclusive<usize>> for Wrt {
    fn from(positions: RangeInclusive<usize>) -> Self {
        Wrt::At(positions.collect())
    }
}

impl<Key: ADKey> From<Key> for Wrt {
    fn from(key: Key) -> Self {
        vec![key].into()
    }
}

// Of any key it would overlap with the one above: somebody could make a reference a key.
impl From<&StringKey> for Wrt {
    fn from(key: &StringKey) -> Self {
        key.clone().into()
    }
}

impl<Key: ADKey> From<Vec<Key>> for Wrt {
    fn from(keys: Vec<Key>) -> Self {
        Wrt::Keyed(WrtKeys(Arc::new(keys)))
    }
}

impl<Key: ADKey> From<&Vec<Key>> for Wrt {
    fn from(keys: &Vec<Key>) -> Self {
        keys.clone().into()
    }
}

impl<Key: ADKey> From<&[Key]> for Wrt {
    fn from(keys: &[Key]) -> Self {
        keys.to_vec().into()
    }
}

impl<Key: ADKey, const N: usize> From<[Key; N]> for Wrt {
    fn from(keys: [Key; N]) -> Self {
        Vec::from(keys).into()
    }
}
