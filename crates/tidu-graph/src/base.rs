//! The ground floor: ids and their limits, the kinds of graphs, and how short forms fail.

use std::fmt::{self, Debug, Display};

/// The largest number of results of an operation: a key numbers output slots with a byte.
pub const MAX_OUTPUTS: usize = 256;

/// What a graph is for, and so how a picture fills its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphKind {
    /// A primal computation.
    Primal,
    /// A linear map of tangents.
    Linear,
    /// A transposed map, of cotangents.
    Transposed,
}

impl GraphKind {
    /// The kind in a word: `primal`, `linear` or `transposed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            GraphKind::Primal => "primal",
            GraphKind::Linear => "linear",
            GraphKind::Transposed => "transposed",
        }
    }
}

/// The position of a value in a [`DenseGraph`](crate::DenseGraph).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DenseId(pub(crate) u32);

/// A dense id of a distinct value of a [`ResolvedView`](crate::ResolvedView), below its
/// [`value_count`](crate::ResolvedView::value_count).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) u32);

/// A dense id of a distinct operation of a [`ResolvedView`](crate::ResolvedView), below its
/// [`operation_count`](crate::ResolvedView::operation_count); and of an operation of a
/// [`DenseGraph`](crate::DenseGraph).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub(crate) u32);

/// The number of a type among the distinct ones of a [`DenseGraph`](crate::DenseGraph): two values of a graph are of
/// one type if, and only if, their type ids are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub(crate) u32);

/// What all ids can do.
macro_rules! ids {
    ($($Id:ident),*) => {$(
        impl $Id {
            #[inline]
            pub(crate) fn new(index: usize) -> Self {
                Self(to_u32(index))
            }

            /// The id as an index, to keep what is known by id in a vector.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl Id for $Id {
            const RESERVED: Self = Self(u32::MAX);
        }
    )*};
}
ids!(DenseId, ValueId, OperationId, TypeId);

/// As in print: `%3`.
impl Debug for DenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// An id with a number that none has.
pub(crate) trait Id: Copy + PartialEq {
    const RESERVED: Self;
}

/// An id or none, in the room of an id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<I>(I);

impl<I: Id> Packed<I> {
    pub const NONE: Self = Self(I::RESERVED);

    #[inline]
    pub fn get(self) -> Option<I> {
        (!self.is_none()).then_some(self.0)
    }

    #[inline]
    pub fn is_none(self) -> bool {
        self.0 == I::RESERVED
    }

    /// The id, where there must be one. If there is none, it is out of the bounds of every list.
    #[inline]
    pub fn known(self) -> I {
        debug_assert!(!self.is_none(), "there is an id");
        self.0
    }
}

impl<I> From<I> for Packed<I> {
    #[inline]
    fn from(id: I) -> Self {
        Self(id)
    }
}

/// The first number that is too large to count values, operations or operands with: what is below fits an
/// id, whose highest bit is free for a mark.
pub(crate) const LIMIT: u32 = 1 << 31;

/// A position, to be kept in 32 bits. Memory runs out before the numbers do.
#[inline]
pub(crate) fn to_u32(index: usize) -> u32 {
    assert!(
        index < LIMIT as usize,
        "a graph holds fewer than 2^31 values, operations and operands"
    );
    index as u32
}

/// The short form of every fallible call: the same text, at the caller's place.
#[track_caller]
pub(crate) fn unwrap_or_panic<T>(result: Result<T, impl Display>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_told_from_none_in_the_room_of_an_id() {
        let last = DenseId::new(LIMIT as usize - 1);
        assert_eq!(Packed::from(last).get(), Some(last));
        assert_eq!(Packed::<DenseId>::NONE.get(), None);
        assert_eq!(size_of::<Packed<DenseId>>(), size_of::<DenseId>());
    }

    #[test]
    #[should_panic(expected = "a graph holds fewer than 2^31 values")]
    fn past_the_limit_there_is_no_id() {
        DenseId::new(LIMIT as usize);
    }
}
