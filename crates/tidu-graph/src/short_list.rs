//! An immutable slice that stores up to two items inline.

use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// An immutable slice that stores up to two items inline.
///
/// Most operations have one or two operands and one result, so a graph that kept them in `Vec`s
/// would spend most of its time in the allocator. Everything that works on a slice works here.
#[derive(Clone)]
pub struct ShortList<T>(Items<T>);

/// An enumeration and not a length with a union: where an item has a tag, the list keeps its own there,
/// and two operands take no more room than they do by themselves.
#[derive(Clone)]
enum Items<T> {
    None,
    One([T; 1]),
    Two([T; 2]),
    Many(Box<[T]>),
}

impl<T> Deref for ShortList<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Items::None => &[],
            Items::One(items) => items,
            Items::Two(items) => items,
            Items::Many(items) => items,
        }
    }
}

impl<T: Debug> Debug for ShortList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq> PartialEq for ShortList<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for ShortList<T> {}

/// As a slice.
impl<T: Hash> Hash for ShortList<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T> FromIterator<T> for ShortList<T> {
    #[inline]
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        Self(match (items.next(), items.next(), items.next()) {
            (Some(first), Some(second), Some(third)) => {
                Items::Many([first, second, third].into_iter().chain(items).collect())
            }
            (Some(first), Some(second), None) => Items::Two([first, second]),
            (Some(first), None, _) => Items::One([first]),
            (None, _, _) => Items::None,
        })
    }
}

impl<T> From<Vec<T>> for ShortList<T> {
    fn from(items: Vec<T>) -> Self {
        match items.len() {
            ..=2 => items.into_iter().collect(),
            _ => Self(Items::Many(items.into())),
        }
    }
}

impl<'a, T> IntoIterator for &'a ShortList<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> ShortList<T> {
    /// A list of what becomes of the items of a vector, which is not kept.
    #[inline]
    pub(crate) fn map<S>(items: Vec<S>, mut change: impl FnMut(S) -> T) -> Self {
        let items = match <[S; 1]>::try_from(items) {
            Ok(items) => return Self(Items::One(items.map(change))),
            Err(items) => items,
        };
        match <[S; 2]>::try_from(items) {
            Ok([first, second]) => Self(Items::Two([change(first), change(second)])),
            Err(items) => items.into_iter().map(change).collect(),
        }
    }

    /// Takes the items out, leaving the list empty.
    pub(crate) fn take(&mut self) -> Self {
        Self(std::mem::replace(&mut self.0, Items::None))
    }

    /// Hands the items on, one after the other.
    pub(crate) fn for_each(self, mut use_item: impl FnMut(T)) {
        match self.0 {
            Items::None => {}
            Items::One(items) => items.into_iter().for_each(use_item),
            Items::Two(items) => items.into_iter().for_each(use_item),
            Items::Many(items) => items.into_iter().for_each(&mut use_item),
        }
    }
}
