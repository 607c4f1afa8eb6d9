//! An immutable slice that stores up to two items inline.

use std::fmt::{self, Debug};
use std::ops::Deref;

use smallvec::SmallVec;

/// An immutable slice that stores up to two items inline.
///
/// Most operations have one or two operands and one result, so a graph that kept them in `Vec`s
/// would spend most of its time in the allocator. Everything that works on a slice works here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ShortList<T>(SmallVec<[T; 2]>);

impl<T> Deref for ShortList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Debug> Debug for ShortList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> FromIterator<T> for ShortList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T> From<Vec<T>> for ShortList<T> {
    fn from(items: Vec<T>) -> Self {
        Self(SmallVec::from_vec(items))
    }
}

impl<'a, T> IntoIterator for &'a ShortList<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T> ShortList<T> {
    /// Takes the items out, leaving the list empty.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.0).into_iter()
    }
}
