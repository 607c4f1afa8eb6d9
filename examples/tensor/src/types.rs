//! Short names for types.

use tidu::ValueType;

use crate::shape;

/// `f64` and these sizes.
pub fn real(dims: impl IntoIterator<Item = usize>) -> ValueType {
    ValueType::new(shape::REAL, dims)
}

/// `c128` and these sizes.
pub fn complex(dims: impl IntoIterator<Item = usize>) -> ValueType {
    ValueType::new(shape::COMPLEX, dims)
}

/// `i64` and these sizes.
pub fn index(dims: impl IntoIterator<Item = usize>) -> ValueType {
    ValueType::new(shape::INDEX, dims)
}
