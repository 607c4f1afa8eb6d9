//! Where a matrix may be nonzero.

use std::fmt::{self, Debug, Display, Write};

use tidu_graph::text::counted;

use super::error::SparsityError;
use super::lists::Lists;

/// Where a matrix may be nonzero: its *structural* nonzeros, sorted by row, then by column.
///
/// The position of an entry in this order is its number: position k is that of the value that belongs to row
/// `row_indices()[k]` and column `column_indices()[k]`. Positions, sizes and single indices are `usize`; slices of
/// indices are of `u32`, as sparse solvers take them.
///
/// | form | slices |
/// |---|---|
/// | coordinates | [`row_indices`](Self::row_indices), [`column_indices`](Self::column_indices) |
/// | by rows (CSR) | [`row_starts`](Self::row_starts), [`column_indices`](Self::column_indices) |
/// | by columns (CSC) | [`to_csc`](Self::to_csc) |
///
/// Prints as a plot of characters, or as one line if it is large; `{:#}` lists the entries.
///
/// # Complexity
///
/// Eight bytes for an entry and four for a row. Methods are linear in rows, columns and entries, but for those that
/// look at one row or one entry.
///
/// # Example
///
/// ```
/// use tidu_ad::sparse::Pattern;
///
/// // The Jacobian of (x₀·x₁, x₁ + x₂, sin x₂).
/// let entries = [(0, 0), (0, 1), (1, 2), (1, 1), (2, 2)];
/// let pattern = Pattern::from_entries(3, 3, entries)?;
/// assert_eq!(pattern.row_indices(), [0, 0, 1, 1, 2]);
/// assert_eq!(pattern.column_indices(), [0, 1, 1, 2, 2]);
/// assert_eq!(pattern.row_starts(), [0, 2, 4, 5]);
/// assert_eq!(pattern.position_of(1, 2), Some(3));
/// assert_eq!(pattern.to_string(), "\
/// 3 by 3, 5 nonzeros
/// **.
/// .**
/// ..*");
///
/// // A pattern that somebody wrote down, which lacks an entry.
/// let diagonal = Pattern::from_entries(3, 3, (0..3).map(|k| (k, k)))?;
/// assert_eq!(pattern.missing_from(&diagonal), Some((0, 1)));
/// # Ok::<(), tidu_ad::sparse::SparsityError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    columns: usize,
    /// The columns of each row.
    by_row: Lists,
    row_indices: Vec<u32>,
}

/// The largest pattern that prints as a plot: how many rows and columns it has.
const LARGEST_PLOT: (usize, usize) = (40, 80);

impl Pattern {
    /// A pattern with these entries, each a row and a column, in any order; repeats are one entry.
    ///
    /// The iterator is cloned to count the entries first, so that too many take no memory.
    ///
    /// # Errors
    ///
    /// More than `u32::MAX` rows, columns or entries, repeats counted; an entry outside of the pattern.
    ///
    /// # Complexity
    ///
    /// Linear: two counting sorts.
    pub fn from_entries<I>(rows: usize, columns: usize, entries: I) -> Result<Self, SparsityError>
    where
        I: IntoIterator<Item = (usize, usize)>,
        I::IntoIter: Clone,
    {
        check_size("rows", rows)?;
        check_size("columns", columns)?;
        let entries = entries.into_iter();
        let count = check_count(rows, columns, count_of(entries.clone()))?;
        let mut row_indices = Vec::with_capacity(count);
        let mut column_indices = Vec::with_capacity(count);
        for (row, column) in entries {
            if row >= rows || column >= columns {
                return Err(SparsityError::OutOfRange {
                    row,
                    column,
                    rows,
                    columns,
                });
            }
            // Nobody promises that a clone yields as many as its original.
            check_count(rows, columns, row_indices.len() + 1)?;
            row_indices.push(row as u32);
            column_indices.push(column as u32);
        }
        Ok(Self::sorted(rows, columns, &row_indices, &column_indices))
    }

    /// The pattern of rows whose columns are listed in ascending order.
    pub(crate) fn of_rows(columns: usize, mut by_row: Lists) -> Self {
        by_row.items.shrink_to_fit();
        let row_indices = indices_of_lists(&by_row);
        Self {
            columns,
            by_row,
            row_indices,
        }
    }

    /// The pattern without zeros.
    ///
    /// # Errors
    ///
    /// Those of [`from_entries`](Self::from_entries), found by a product.
    pub fn dense(rows: usize, columns: usize) -> Result<Self, SparsityError> {
        check_count(rows, columns, rows.saturating_mul(columns))?;
        let entries = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Self::from_entries(rows, columns, entries)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.by_row.len()
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.row_indices.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.row_indices.is_empty()
    }

    /// The row of each entry, ascending.
    pub fn row_indices(&self) -> &[u32] {
        &self.row_indices
    }

    /// The column of each entry, ascending within a row.
    pub fn column_indices(&self) -> &[u32] {
        &self.by_row.items
    }

    /// The position of the first entry of each row, and at last the number of entries: entries of row i are those from
    /// `row_starts()[i]` to `row_starts()[i + 1]`.
    pub fn row_starts(&self) -> &[u32] {
        &self.by_row.starts
    }

    /// The columns of the entries of a row, ascending.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn columns_of_row(&self, row: usize) -> &[u32] {
        self.by_row.get(row)
    }

    /// The row of the entry at a position.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    pub fn row_of(&self, position: usize) -> usize {
        self.row_indices[position] as usize
    }

    /// The column of the entry at a position.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    pub fn column_of(&self, position: usize) -> usize {
        self.by_row.items[position] as usize
    }

    /// Row and column of each entry, in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + Clone + '_ {
        (0..self.len()).map(|position| (self.row_of(position), self.column_of(position)))
    }

    /// The position of an entry, if it is one.
    ///
    /// # Complexity
    ///
    /// Logarithmic in the entries of the row.
    pub fn position_of(&self, row: usize, column: usize) -> Option<usize> {
        if row >= self.rows() {
            return None;
        }
        let column = u32::try_from(column).ok()?;
        let found = self.columns_of_row(row).binary_search(&column).ok()?;
        Some(self.by_row.range(row).start + found)
    }

    /// The form by columns: where each column starts, the rows of its entries, ascending, and the position of each of
    /// these entries here. So `positions` permutes values from this order to that by columns.
    ///
    /// ```
    /// use tidu_ad::sparse::Pattern;
    ///
    /// let pattern = Pattern::from_entries(2, 2, [(0, 0), (0, 1), (1, 0)])?;
    /// let (starts, rows, positions) = pattern.to_csc();
    /// assert_eq!(starts, [0, 2, 3]);
    /// assert_eq!(rows, [0, 1, 0]);
    /// assert_eq!(positions, [0, 2, 1]);
    /// # Ok::<(), tidu_ad::sparse::SparsityError>(())
    /// ```
    pub fn to_csc(&self) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let Lists { starts, items } = self.positions_by_column();
        (starts, self.rows_at(&items), items)
    }

    /// The pattern of the transpose.
    pub fn transposed(&self) -> Self {
        let positions = self.positions_by_column();
        let columns = (0..).zip(positions.iter());
        let row_indices =
            columns.flat_map(|(column, list)| std::iter::repeat_n(column, list.len()));
        Self {
            columns: self.rows(),
            row_indices: row_indices.collect(),
            by_row: Lists {
                items: self.rows_at(&positions.items),
                starts: positions.starts,
            },
        }
    }

    /// The entries on and below the diagonal: row ≥ column.
    pub fn lower_triangle(&self) -> Self {
        let kept = self.entries().filter(|(row, column)| row >= column);
        let (rows, columns): (Vec<u32>, Vec<u32>) = kept
            .map(|(row, column)| (row as u32, column as u32))
            .unzip();
        Self::sorted(self.rows(), self.columns, &rows, &columns)
    }

    /// Whether the matrix is square, and with each entry (i, j) there is an entry (j, i).
    pub fn is_symmetric(&self) -> bool {
        self.mirrors().is_ok()
    }

    /// The first entry that `other` lacks, as row and column. Where `other` was written by hand and this was derived,
    /// it is what was forgotten.
    pub fn missing_from(&self, other: &Self) -> Option<(usize, usize)> {
        let mut of_other = other.entries().peekable();
        self.entries().find(|entry| {
            while of_other.next_if(|it| it < entry).is_some() {}
            of_other.next_if_eq(entry).is_none()
        })
    }

    /// The columns of each row.
    pub(super) fn by_row(&self) -> &Lists {
        &self.by_row
    }

    /// The rows of each column.
    pub(super) fn by_column(&self) -> Lists {
        let Lists { starts, items } = self.positions_by_column();
        Lists {
            items: self.rows_at(&items),
            starts,
        }
    }

    /// For each entry (i, j) of a symmetric pattern, the position of (j, i).
    ///
    /// # Errors
    ///
    /// The pattern is not symmetric.
    pub(super) fn mirrors(&self) -> Result<Vec<u32>, SparsityError> {
        let (rows, columns) = (self.rows(), self.columns);
        if rows != columns {
            return Err(SparsityError::NotSquare { rows, columns });
        }
        let positions = self.positions_by_column();
        let by_column = self.rows_at(&positions.items);
        if positions.starts == self.by_row.starts && by_column == self.by_row.items {
            return Ok(positions.items);
        }
        let first = self.missing_from(&self.transposed());
        let (row, column) = first.expect("as many entries, and not the same");
        Err(SparsityError::NotSymmetric { row, column })
    }

    /// The symmetric pattern of \[0 Jᵀ; J 0\], J being this: first come the columns of J, then its rows. Its first half
    /// of entries are those of J by columns, its second half those by rows.
    ///
    /// # Errors
    ///
    /// It is too large.
    pub(super) fn augmented(&self) -> Result<Self, SparsityError> {
        let count = self.len();
        let size = check_size("rows and columns", self.rows() + self.columns)?;
        check_count(size, size, 2 * count)?;
        let Lists {
            mut starts,
            mut items,
        } = self.by_column();
        let behind = self.columns as u32;
        items.iter_mut().for_each(|row| *row += behind);
        items.extend_from_slice(self.column_indices());
        let rest = &self.row_starts()[1..];
        starts.extend(rest.iter().map(|start| start + count as u32));
        let by_row = Lists { starts, items };
        let row_indices = indices_of_lists(&by_row);
        Ok(Self {
            columns: size,
            by_row,
            row_indices,
        })
    }

    /// Entries in any order, sorted, without repeats.
    fn sorted(rows: usize, columns: usize, row_indices: &[u32], column_indices: &[u32]) -> Self {
        let by_column = Lists::by_key(column_indices, columns).items;
        let row_of = |&position: &u32| row_indices[position as usize];
        let keys: Vec<u32> = by_column.iter().map(row_of).collect();
        let mut by_row = Lists::with_capacity(rows);
        by_row.items.reserve_exact(keys.len());
        for row in Lists::by_key(&keys, rows).iter() {
            let start = by_row.items.len();
            for &position in row {
                let column = column_indices[by_column[position as usize] as usize];
                if by_row.items[start..].last() != Some(&column) {
                    by_row.items.push(column);
                }
            }
            by_row.end_list();
        }
        Self::of_rows(columns, by_row)
    }

    fn positions_by_column(&self) -> Lists {
        Lists::by_key(&self.by_row.items, self.columns)
    }

    fn rows_at(&self, positions: &[u32]) -> Vec<u32> {
        let row_of = |&position: &u32| self.row_indices[position as usize];
        positions.iter().map(row_of).collect()
    }

    fn is_small(&self) -> bool {
        self.rows() <= LARGEST_PLOT.0 && self.columns <= LARGEST_PLOT.1
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, columns) = (self.rows(), self.columns);
        write!(f, "{rows} by {columns}, {}", counted(self.len(), "nonzero"))?;
        if f.alternate() {
            for (row, column) in self.entries() {
                write!(f, "\n({row}, {column})")?;
            }
        } else if self.is_small() && columns > 0 {
            for row in self.by_row.iter() {
                plot_row(f, columns, row)?;
            }
        }
        Ok(())
    }
}

/// A line: what [`Display`] begins with.
impl Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, columns) = (self.rows(), self.columns);
        let nonzeros = counted(self.len(), "nonzero");
        write!(f, "Pattern({rows} by {columns}, {nonzeros})")
    }
}

fn plot_row(f: &mut fmt::Formatter<'_>, columns: usize, entries: &[u32]) -> fmt::Result {
    let mut line = vec!['.'; columns];
    for &column in entries {
        line[column as usize] = '*';
    }
    f.write_char('\n')?;
    line.into_iter().try_for_each(|mark| f.write_char(mark))
}

/// By item, which list it is in.
fn indices_of_lists(lists: &Lists) -> Vec<u32> {
    let mut indices = Vec::with_capacity(lists.items.len());
    for (index, list) in (0..).zip(lists.iter()) {
        indices.extend(std::iter::repeat_n(index, list.len()));
    }
    indices
}

/// How many items there are, or more than a pattern can have. An iterator that knows is asked first.
fn count_of(entries: impl Iterator) -> usize {
    let known = entries.size_hint().0;
    if known > u32::MAX as usize {
        return known;
    }
    entries.take((u32::MAX as usize).saturating_add(1)).count()
}

fn check_count(rows: usize, columns: usize, count: usize) -> Result<usize, SparsityError> {
    let limit = u32::MAX as usize;
    if count > limit {
        return Err(SparsityError::TooManyEntries {
            rows,
            columns,
            limit,
        });
    }
    Ok(count)
}

fn check_size(what: &'static str, found: usize) -> Result<usize, SparsityError> {
    if found > u32::MAX as usize {
        return Err(SparsityError::TooLarge { what, found });
    }
    Ok(found)
}
