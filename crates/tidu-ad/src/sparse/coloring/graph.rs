//! A symmetric pattern as a graph.

use std::borrow::Cow;

use crate::sparse::error::SparsityError;
use crate::sparse::pattern::Pattern;

use super::work;

/// A symmetric pattern as a graph: vertices are its indices, and each pair of entries (v, w), (w, v) off the diagonal is
/// an edge. Entries are called by their positions in the pattern, and an edge by the first of its two entries.
pub(super) struct Graph<'a> {
    pub pattern: Cow<'a, Pattern>,
    /// By entry (v, w): the entry (w, v).
    pub mirrors: Vec<u32>,
    /// By edge, and by entry of the diagonal: the entry that it stands for in the matrix that is coloured.
    pub entries: Vec<u32>,
    /// The first vertex of the second kind, of which are the rows if columns and rows are vertices.
    second_kind: usize,
}

impl<'a> Graph<'a> {
    /// Vertices are the columns of a symmetric matrix.
    ///
    /// # Errors
    ///
    /// The pattern is not symmetric.
    pub fn of_symmetric(pattern: &'a Pattern) -> Result<Self, SparsityError> {
        let mirrors = pattern.mirrors()?;
        Ok(Self {
            // An edge is called by its entry above the diagonal, and stands for that below.
            entries: mirrors.clone(),
            mirrors,
            second_kind: pattern.columns(),
            pattern: Cow::Borrowed(pattern),
        })
    }

    /// Vertices are the columns of a matrix J, then its rows: the graph of \[0 Jᵀ; J 0\].
    ///
    /// # Errors
    ///
    /// The pattern is too large.
    pub fn of_columns_and_rows(pattern: &Pattern) -> Result<Self, SparsityError> {
        let augmented = pattern.augmented()?;
        Ok(Self {
            // An edge is called by its entry in Jᵀ, whose rows come first.
            entries: pattern.to_csc().2,
            mirrors: augmented.mirrors()?,
            second_kind: pattern.columns(),
            pattern: Cow::Owned(augmented),
        })
    }

    pub fn vertices(&self) -> usize {
        self.pattern.rows()
    }

    pub fn kinds(&self) -> u32 {
        if self.second_kind < self.vertices() {
            2
        } else {
            1
        }
    }

    pub fn kind_of(&self, vertex: u32) -> u32 {
        u32::from(vertex as usize >= self.second_kind)
    }

    /// A vertex as the column or row that it is.
    pub fn index_of(&self, vertex: u32) -> u32 {
        match self.kind_of(vertex) {
            0 => vertex,
            _ => vertex - self.second_kind as u32,
        }
    }

    /// The neighbours of a vertex, each with the entry of the edge in the row of the vertex.
    pub fn neighbors(&self, vertex: u32) -> impl Iterator<Item = (u32, u32)> {
        let neighbors = self.pattern.columns_of_row(vertex as usize);
        work::count(neighbors.len());
        let start = self.pattern.row_starts()[vertex as usize];
        let with_entries = neighbors.iter().copied().zip(start..);
        with_entries.filter(move |&(neighbor, _)| neighbor != vertex)
    }

    pub fn edge_of(&self, entry: u32) -> u32 {
        entry.min(self.mirrors[entry as usize])
    }

    /// The other end of the edge of this entry, seen from the vertex in whose row it is.
    pub fn head_of(&self, entry: u32) -> u32 {
        self.pattern.column_indices()[entry as usize]
    }

    /// The vertices of an edge.
    pub fn ends_of(&self, edge: u32) -> [u32; 2] {
        [
            self.pattern.row_indices()[edge as usize],
            self.head_of(edge),
        ]
    }
}
