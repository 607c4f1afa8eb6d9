//! Shapes: how they fit together, and what is said when they do not.

use thiserror::Error;
use tidu::ValueType;

/// Real numbers.
pub const REAL: &str = "f64";
/// Complex numbers.
pub const COMPLEX: &str = "c128";
/// Integers.
pub const INDEX: &str = "i64";

/// What is wrong with the types of operands. The operation and the types are shown before it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Shapes of which neither stretches to the other.
    #[error("{left:?} and {right:?} do not broadcast: of two sizes that differ, one must be 1")]
    Broadcast {
        /// One shape.
        left: Vec<usize>,
        /// The other.
        right: Vec<usize>,
    },
    /// Elements that the operation is not defined for.
    #[error("operand {operand} holds {found}, and must hold {expected}")]
    Kind {
        /// Which operand.
        operand: usize,
        /// What it must hold.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// The wrong number of axes.
    #[error("operand {operand} has {found} axes, and must have {expected}")]
    Rank {
        /// Which operand.
        operand: usize,
        /// How many it must have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// An axis that there is not.
    #[error("there is no axis {axis} in a tensor of {rank} axes")]
    Axis {
        /// The axis asked for.
        axis: isize,
        /// The number of axes.
        rank: usize,
    },
    /// Axes that are not each axis once.
    #[error("{axes:?} is not an order of {rank} axes")]
    Order {
        /// The axes.
        axes: Vec<usize>,
        /// The number of axes.
        rank: usize,
    },
    /// An axis that is named twice.
    #[error("axis {axis} is named twice")]
    RepeatedAxis {
        /// The axis.
        axis: usize,
    },
    /// A number of elements that does not fill a shape.
    #[error("{found} elements do not fill {dims:?}")]
    Count {
        /// How many elements there are.
        found: usize,
        /// The shape.
        dims: Vec<usize>,
    },
    /// A number of elements that no memory can hold.
    #[error("{dims:?} are too many elements to hold")]
    Size {
        /// The shape.
        dims: Vec<usize>,
    },
    /// The wrong number of operands.
    #[error("{expected} operands are needed, found {found}")]
    Operands {
        /// How many the operation takes.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Nothing to put together.
    #[error("nothing to put together: at least one operand is needed")]
    NoOperands,
    /// An axis without elements, where one of them is asked for.
    #[error("axis {axis} has no elements to choose from")]
    EmptyAxis {
        /// The axis.
        axis: usize,
    },
    /// Arguments of which there must be one an axis.
    #[error("{found} {what} for {expected} axes: one an axis is needed")]
    PerAxis {
        /// What they are.
        what: &'static str,
        /// The number of axes.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// An operand that must have the shape of the first one.
    #[error("operand {operand} is {found:?}, and must be {expected:?} like operand 0")]
    Unlike {
        /// Which operand.
        operand: usize,
        /// The shape of the first one.
        expected: Vec<usize>,
        /// Its shape.
        found: Vec<usize>,
    },
    /// Elements that do not fill the place that they are put in.
    #[error("{found:?} does not fill windows of {windows:?}")]
    Place {
        /// The shape of the elements.
        found: Vec<usize>,
        /// What the windows show, by axis.
        windows: Vec<usize>,
    },
    /// A part of an axis that reaches beyond its end.
    #[error("{window} leaves an axis of {size}")]
    Window {
        /// The part.
        window: String,
        /// The size of the axis.
        size: usize,
    },
    /// An operand that differs from the first one elsewhere than along an axis.
    #[error("operand {operand} is {found:?}, and must be like {first:?} but for axis {axis}")]
    Concatenation {
        /// Which operand.
        operand: usize,
        /// Its shape.
        found: Vec<usize>,
        /// That of the first one.
        first: Vec<usize>,
        /// The axis.
        axis: usize,
    },
    /// Elements that do not stand where their indices do.
    #[error("{found:?} does not have the axes {indices:?} of the indices from axis {axis} on")]
    Indices {
        /// Where they should stand.
        axis: usize,
        /// The shape of the indices.
        indices: Vec<usize>,
        /// That of the elements.
        found: Vec<usize>,
    },
    /// A label of a contraction that stands for two sizes.
    #[error("{label} is {left} in one operand and {right} in another place")]
    Label {
        /// The label.
        label: char,
        /// One size.
        left: usize,
        /// The other.
        right: usize,
    },
    /// A text that says no contraction.
    #[error("{text:?} is no contraction of two operands: {reason}")]
    Contraction {
        /// The text.
        text: String,
        /// Why.
        reason: &'static str,
    },
    /// A matrix that is not square.
    #[error("a square matrix is needed, found {found:?}")]
    Square {
        /// Its shape.
        found: Vec<usize>,
    },
    /// A matrix that has more columns than rows.
    #[error("a matrix of at least as many rows as columns is needed, found {found:?}")]
    Tall {
        /// Its shape.
        found: Vec<usize>,
    },
    /// A right side that does not have as many rows as the matrix.
    #[error("the right side must have the {expected} rows of the matrix, found {found:?}")]
    Rows {
        /// The number of rows of the matrix.
        expected: usize,
        /// The shape of the right side.
        found: Vec<usize>,
    },
}

/// The shape that several shapes stretch to: aligned at the last axis, of each axis the size that is not 1.
pub fn broadcast<'a>(
    shapes: impl IntoIterator<Item = &'a [usize]>,
) -> Result<Vec<usize>, ShapeError> {
    shapes.into_iter().try_fold(Vec::new(), |all, next| {
        let rank = all.len().max(next.len());
        let size = |dims: &[usize], at: usize| {
            (at + dims.len()).checked_sub(rank).map_or(1, |at| dims[at])
        };
        let axes = (0..rank).map(|at| match (size(&all, at), size(next, at)) {
            (1, size) | (size, 1) => Ok(size),
            (left, right) if left == right => Ok(left),
            _ => Err(ShapeError::Broadcast {
                left: all.clone(),
                right: next.to_vec(),
            }),
        });
        axes.collect()
    })
}

/// The axes along which `dims` is stretched to become `to`, as axes of `to`.
pub fn stretched(dims: &[usize], to: &[usize]) -> Vec<usize> {
    let missing = to.len() - dims.len();
    let is_stretched = |&at: &usize| at < missing || dims[at - missing] != to[at];
    (0..to.len()).filter(is_stretched).collect()
}

/// The shape with axes left out, or kept with one element.
pub fn without(dims: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let sizes = dims.iter().enumerate();
    let sizes = sizes.filter_map(|(at, &size)| match axes.contains(&at) {
        true => keep.then_some(1),
        false => Some(size),
    });
    sizes.collect()
}

/// Sees to it that axes exist, each named once.
pub fn check_axes(axes: &[usize], rank: usize) -> Result<(), ShapeError> {
    for (at, &axis) in axes.iter().enumerate() {
        if axis >= rank {
            let axis = axis.cast_signed();
            return Err(ShapeError::Axis { axis, rank });
        }
        if axes[..at].contains(&axis) {
            return Err(ShapeError::RepeatedAxis { axis });
        }
    }
    Ok(())
}

/// Sees to it that there is memory for so many elements on this machine, and for their number a `usize`.
pub fn check_size(dims: &[usize]) -> Result<(), ShapeError> {
    const LARGEST: usize = isize::MAX.cast_unsigned() / size_of::<num_complex::Complex64>();
    // An array without elements has to have steps from one to the next all the same.
    let mut sizes = dims.iter().filter(|&&size| size > 0);
    let count = sizes.try_fold(1_usize, |count, &size| count.checked_mul(size));
    match count.is_some_and(|count| count <= LARGEST) {
        true => Ok(()),
        false => Err(ShapeError::Size {
            dims: dims.to_vec(),
        }),
    }
}

/// The axis that a number means: counted from 0, or, below 0, from the end.
pub fn counted_axis(axis: isize, rank: usize) -> Result<usize, ShapeError> {
    let from_end = if axis < 0 { rank } else { 0 };
    let counted = axis.checked_add_unsigned(from_end);
    let counted = counted.and_then(|axis| usize::try_from(axis).ok());
    let counted = counted.filter(|&axis| axis < rank);
    counted.ok_or(ShapeError::Axis { axis, rank })
}

/// Complex if one is, real otherwise; an error for other kinds.
pub fn number_kind(x: &[&ValueType]) -> Result<&'static str, ShapeError> {
    for (operand, x) in x.iter().enumerate() {
        check_kind(operand, x, &[REAL, COMPLEX], "numbers")?;
    }
    let is_complex = x.iter().any(|x| x.kind() == COMPLEX);
    Ok(if is_complex { COMPLEX } else { REAL })
}

/// Sees to it that an operand is of one of these kinds.
pub fn check_kind(
    operand: usize,
    x: &ValueType,
    kinds: &[&str],
    expected: &'static str,
) -> Result<(), ShapeError> {
    match kinds.contains(&x.kind()) {
        true => Ok(()),
        false => Err(ShapeError::Kind {
            operand,
            expected,
            found: x.kind(),
        }),
    }
}
