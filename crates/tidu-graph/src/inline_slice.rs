//! An immutable slice that stores up to two items inline.

use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// An immutable slice that stores up to two items inline.
///
/// Most operations have one or two operands and one result, so a graph that kept them in `Vec`s
/// would spend most of its time in the allocator. Everything that works on a slice works here.
#[derive(Clone)]
pub struct InlineSlice<T>(Items<T>);

/// An enumeration and not a length with a union: where an item has a tag, the slice keeps its own there,
/// and two operands take no more room than they do by themselves.
#[derive(Clone)]
enum Items<T> {
    None,
    One([T; 1]),
    Two([T; 2]),
    Many(Box<[T]>),
}

impl<T> Deref for InlineSlice<T> {
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

impl<T: Debug> Debug for InlineSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq> PartialEq for InlineSlice<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for InlineSlice<T> {}

/// As a slice.
impl<T: Hash> Hash for InlineSlice<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T> FromIterator<T> for InlineSlice<T> {
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

impl<T> From<Vec<T>> for InlineSlice<T> {
    fn from(items: Vec<T>) -> Self {
        match items.len() {
            ..=2 => items.into_iter().collect(),
            _ => Self(Items::Many(items.into())),
        }
    }
}

impl<'a, T> IntoIterator for &'a InlineSlice<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> InlineSlice<T> {
    /// A slice of what becomes of the items of a vector, which is not kept.
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

    /// Takes the items out, leaving none.
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
