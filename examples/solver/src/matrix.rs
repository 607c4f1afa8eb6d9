//! Patterns with values, as faer's sparse matrices, and back.

use faer::sparse::{SparseColMat, SymbolicSparseColMat};
use tidu::sparse::{Pattern, SparsityError};

/// The matrix that has these values at the entries of a pattern.
///
/// # Panics
///
/// If there are not as many values as entries.
pub fn to_faer(pattern: &Pattern, values: &[f64]) -> SparseColMat<u32, f64> {
    assert_eq!(values.len(), pattern.len(), "a value per entry");
    let (starts, rows, positions) = pattern.to_csc();
    let by_column = positions.iter().map(|&at| values[at as usize]);
    let symbolic =
        SymbolicSparseColMat::new_checked(pattern.rows(), pattern.columns(), starts, None, rows);
    SparseColMat::new(symbolic, by_column.collect())
}

/// Where a matrix has entries, and their values in the order of the pattern.
///
/// # Errors
///
/// More entries than a pattern can have.
pub fn from_faer(matrix: &SparseColMat<u32, f64>) -> Result<(Pattern, Vec<f64>), SparsityError> {
    let entries = matrix.triplet_iter().map(|it| (it.row, it.col));
    let entries: Vec<(usize, usize)> = entries.collect();
    let pattern = Pattern::from_entries(matrix.nrows(), matrix.ncols(), entries)?;
    // Entries of the matrix are by column, as those of `to_csc` are.
    let (_, _, positions) = pattern.to_csc();
    let mut values = vec![0.0; pattern.len()];
    for (&at, &value) in positions.iter().zip(matrix.val()) {
        values[at as usize] = value;
    }
    Ok((pattern, values))
}
