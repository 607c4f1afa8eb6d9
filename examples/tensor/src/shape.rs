//! Shapes: how they fit together, and what is said when they do not.

use thiserror::Error;
use tidu::ValueType;
use tidu::graph::text::counted;

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
    #[error(
        "operand {operand} holds {found}, and must hold {expected}{}",
        other_elements(found, expected)
    )]
    Kind {
        /// Which operand.
        operand: usize,
        /// What it must hold.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// The wrong number of axes.
    #[error("operand {operand} has {}, and must have {expected}", number_of_axes(*found))]
    Rank {
        /// Which operand.
        operand: usize,
        /// How many it must have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// An axis that there is not.
    #[error("there is no axis {axis}{}", known_axes(*rank))]
    Axis {
        /// The axis asked for: more than a `usize` or an `isize` alone can be.
        axis: i128,
        /// The number of axes.
        rank: usize,
    },
    /// Axes that are not each axis once.
    #[error("{axes:?} is not an order of {}: each axis must stand in it once", number_of_axes(*rank))]
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
    #[error(
        "{found} elements do not fill {dims:?}, which takes {}",
        number_of_elements(dims)
    )]
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
    #[error("at least one operand is needed")]
    NoOperands,
    /// An axis without elements, where one of them is asked for.
    #[error("axis {axis} has no elements to choose from")]
    EmptyAxis {
        /// The axis.
        axis: usize,
    },
    /// Arguments of which there must be one an axis.
    #[error("{} for {}: one for each axis is needed", counted(*found, what), number_of_axes(*expected))]
    PerAxis {
        /// What they are, in the singular.
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
    /// A shape that does not stretch to another one.
    #[error(
        "{from:?} does not stretch to {to:?}: counted from the last, each axis must be as long, or have one \
         element, or be missing in front"
    )]
    Stretch {
        /// The shape.
        from: Vec<usize>,
        /// The other one.
        to: Vec<usize>,
    },
    /// Operands of which there is no product of matrices.
    #[error("{}", no_product(left, right))]
    Product {
        /// The shape of the left one.
        left: Vec<usize>,
        /// That of the right one.
        right: Vec<usize>,
    },
    /// A part of an axis that reaches beyond its end.
    #[error("{window} does not fit axis {axis}, which has {}", counted(*size, "element"))]
    Window {
        /// Which axis.
        axis: usize,
        /// The part.
        window: String,
        /// The size of the axis.
        size: usize,
    },
    /// An operand that differs from the first one elsewhere than along an axis.
    #[error(
        "operand {operand} is {found:?}, and must be like operand 0, which is {first:?}, but for axis {axis}"
    )]
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
    #[error(
        "from axis {axis} on, {found:?} must have the axes of the indices, which are {indices:?}"
    )]
    Indices {
        /// Where they should stand.
        axis: usize,
        /// The shape of the indices.
        indices: Vec<usize>,
        /// That of the elements.
        found: Vec<usize>,
    },
    /// A label of a contraction that stands for two sizes.
    #[error("{label} is {left} in operand 0 and {right} in operand 1")]
    Label {
        /// The label.
        label: char,
        /// Its size in the left operand.
        left: usize,
        /// That in the right one.
        right: usize,
    },
    /// A text that says no contraction.
    #[error("{text:?} is no contraction of two operands, as \"ij,jk->ik\" is: {reason}")]
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
    #[error("the right side must have {} as the matrix has, found {found:?}", counted(*expected, "row"))]
    Rows {
        /// The number of rows of the matrix.
        expected: usize,
        /// The shape of the right side.
        found: Vec<usize>,
    },
}

/// What a method was asked for and no operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse {
    /// The name of the method.
    pub method: &'static str,
    /// What is wrong.
    pub source: ShapeError,
}

impl Misuse {
    /// The same of a vector that was made a column.
    pub(crate) fn of_vector(mut self, length: usize) -> Self {
        if let ShapeError::Rows { found, .. } = &mut self.source {
            *found = vec![length];
        }
        self
    }
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
            let axis = axis as i128;
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
    let axis = axis as i128;
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

/// Sees to it that there is a product of matrices, stacks of matrices and vectors of these shapes.
pub fn check_product(left: &[usize], right: &[usize]) -> Result<(), ShapeError> {
    let summed = summed_axes(left, right);
    let meet = summed.is_some_and(|[at, other]| left[at] == right[other]);
    match meet && broadcast([stack_of(left), stack_of(right)]).is_ok() {
        true => Ok(()),
        false => Err(ShapeError::Product {
            left: left.to_vec(),
            right: right.to_vec(),
        }),
    }
}

/// The axes before those of a matrix.
pub fn stack_of(dims: &[usize]) -> &[usize] {
    &dims[..dims.len().saturating_sub(2)]
}

/// Over which axis of each operand a product of matrices sums; `None` if one of them has none.
fn summed_axes(left: &[usize], right: &[usize]) -> Option<[usize; 2]> {
    let at = left.len().checked_sub(1)?;
    let other = right.len().checked_sub(1)?.saturating_sub(1);
    Some([at, other])
}

/// Why operands have no product, and what the left one takes.
fn no_product(left: &[usize], right: &[usize]) -> String {
    let Some([at, other]) = summed_axes(left, right) else {
        let operand = usize::from(!left.is_empty());
        return format!("operand {operand} is a single number: multiply by `*`");
    };
    let (length, found) = (left[at], right[other]);
    if length == found {
        let stacks = [left, right].map(stack_of);
        return format!(
            "{:?} and {:?}, the axes before those of matrices, do not broadcast: of two sizes that differ, one \
             must be 1",
            stacks[0], stacks[1]
        );
    }
    let transposed = match right.last() {
        Some(&last) if right.len() > 1 && last == length => {
            ", as operand 1 has if transposed (`t`)"
        }
        _ => "",
    };
    let order = if right.len() > 1 {
        "last but one"
    } else {
        "only"
    };
    format!(
        "the last axis of operand 0 is {length}, and the {order} axis of operand 1 is {found}: they must be as \
         long as each other, so {left:?} takes [{length}] or [{length}, n]{transposed}"
    )
}

/// How to come by the elements that are expected.
fn other_elements(found: &str, expected: &str) -> &'static str {
    match (found, expected) {
        (INDEX, "numbers" | "real numbers" | "a real condition") => {
            " (`to_real` makes numbers of indices; `1.0` is a number, and `1` an index)"
        }
        (COMPLEX, "real numbers" | "real numbers or indices" | "a real condition") => {
            " (`re`, `im` and `abs` make real numbers)"
        }
        (REAL, "indices") => {
            " (`Tensor::from([0, 1])` holds indices, `Tensor::from([0.0, 1.0])` numbers)"
        }
        _ => "",
    }
}

/// Which axes there are.
fn known_axes(rank: usize) -> String {
    match rank {
        0 => ": a single number has none".into(),
        1 => " of 1: it is 0, or -1 from the end".into(),
        _ => format!(
            " of {rank}: they are 0 to {}, or -{rank} to -1 from the end",
            rank - 1
        ),
    }
}

fn number_of_axes(count: usize) -> String {
    match count {
        1 => "1 axis".into(),
        _ => format!("{count} axes"),
    }
}

fn number_of_elements(dims: &[usize]) -> String {
    let mut sizes = dims.iter();
    let count = sizes.try_fold(1_usize, |count, &size| count.checked_mul(size));
    count.map_or("more than there can be".into(), |count| count.to_string())
}
