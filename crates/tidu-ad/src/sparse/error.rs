//! What can go wrong with patterns and colourings.

use thiserror::Error;

/// What can go wrong with patterns and colourings.
///
/// # Example
///
/// ```
/// use tidu_ad::sparse::{Coloring, Order, Pattern, SparsityError};
///
/// let triangle = Pattern::from_entries(2, 2, [(0, 0), (1, 0), (1, 1)])?;
/// let error = Coloring::star(&triangle, Order::BEST).unwrap_err();
/// assert_eq!(error, SparsityError::NotSymmetric { row: 1, column: 0 });
/// assert_eq!(error.to_string(), "a symmetric pattern with entry (1, 0) has entry (0, 1) too");
/// # Ok::<(), SparsityError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SparsityError {
    /// More rows or columns than an index can number.
    #[error("a pattern has at most {} {what}, found {found}", u32::MAX)]
    TooLarge {
        /// What there is too much of: `rows`, `columns`, or `rows and columns` where both are numbered together.
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// More entries than a position can number.
    #[error("a pattern of {rows} by {columns} has more than {limit} entries")]
    TooManyEntries {
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        columns: usize,
        /// How many there may be.
        limit: usize,
    },
    /// An entry in a row or a column that is not there.
    #[error("entry ({row}, {column}) is outside of a pattern of {rows} by {columns}")]
    OutOfRange {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        columns: usize,
    },
    /// A pattern that must be symmetric and is not square.
    #[error("a symmetric pattern is square, found {rows} by {columns}")]
    NotSquare {
        /// The number of rows.
        rows: usize,
        /// The number of columns.
        columns: usize,
    },
    /// A pattern that must be symmetric, with an entry whose mirror image is no entry.
    #[error("a symmetric pattern with entry ({row}, {column}) has entry ({column}, {row}) too")]
    NotSymmetric {
        /// The row of the first such entry.
        row: usize,
        /// Its column.
        column: usize,
    },
}
