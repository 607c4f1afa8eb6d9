//! A symmetric pattern as a graph, and what is known of it while its vertices are coloured.

use std::borrow::Cow;

use crate::sparse::error::SparsityError;
use crate::sparse::pattern::Pattern;

use super::order::Order;
use super::palette::{NONE, Palette};
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

    pub fn arranged(&self, order: Order) -> Vec<u32> {
        order.arrange(self.vertices(), |vertex, found| {
            found.extend(self.neighbors(vertex).map(|(neighbor, _)| neighbor));
        })
    }
}

/// What is known of a graph of which some vertices are coloured. Of the edges between coloured vertices, those that
/// lead from one vertex to neighbours of one colour always belong together, and so one of them is kept: the first.
pub(super) struct Partial<'a> {
    pub graph: &'a Graph<'a>,
    pub palette: Palette,
    /// By vertex: the last of the entries that are kept of its row.
    last_kept: Vec<u32>,
    /// By entry: the one that was kept before it, in the same row.
    kept_before: Vec<u32>,
    /// By colour: where the vertex that is being coloured met it first.
    met: Vec<Meeting>,
}

/// A vertex that met a neighbour.
#[derive(Clone, Copy)]
pub(super) struct Meeting {
    pub vertex: u32,
    pub neighbor: u32,
    pub edge: u32,
}

impl Meeting {
    pub const NONE: Self = Self {
        vertex: NONE,
        neighbor: NONE,
        edge: NONE,
    };
}

/// An edge that is kept: the entry in the row of the vertex at which it is kept, and the colour at its other end.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    entry: u32,
    pub color: u32,
    pub edge: u32,
}

/// An edge from the vertex that is being coloured to one that is coloured, and the first such edges that lead to the same
/// colours, if it is not itself the first.
pub(super) struct NewEdge {
    pub edge: u32,
    pub neighbor: u32,
    /// From the same vertex, to another neighbour of the same colour.
    pub beside: Option<u32>,
    /// From the same neighbour, to another vertex of the same colour.
    pub beyond: Option<u32>,
}

impl<'a> Partial<'a> {
    pub fn new(graph: &'a Graph<'a>) -> Self {
        Self {
            palette: Palette::new(graph.vertices(), graph.kinds()),
            last_kept: vec![NONE; graph.vertices()],
            kept_before: vec![NONE; graph.pattern.len()],
            met: Vec::new(),
            graph,
        }
    }

    /// The first of the edges that are kept around a vertex, one to each colour.
    pub fn first_kept(&self, vertex: u32) -> Option<Kept> {
        self.kept_at(self.last_kept[vertex as usize])
    }

    /// The edge after this one.
    pub fn next_kept(&self, kept: Kept) -> Option<Kept> {
        self.kept_at(self.kept_before[kept.entry as usize])
    }

    /// Where the vertex that is being coloured met this colour first, if it did before; here, if not.
    pub fn meet(&mut self, color: u32, here: Meeting) -> Option<Meeting> {
        let met = &mut self.met[color as usize];
        if met.vertex == here.vertex {
            return Some(*met);
        }
        *met = here;
        None
    }

    /// Colours a vertex that has met its neighbours, and hands over each edge to a coloured one.
    pub fn give_color(&mut self, vertex: u32, mut join: impl FnMut(NewEdge)) {
        let graph = self.graph;
        self.palette.give(vertex, graph.kind_of(vertex));
        self.met.resize(self.palette.len(), Meeting::NONE);
        let own_color = self.palette.color_of(vertex);
        for (neighbor, entry) in graph.neighbors(vertex) {
            let Some(color) = self.palette.color_of(neighbor) else {
                continue;
            };
            let first = self.first_kept(neighbor);
            let mut kept = std::iter::successors(first, |kept| self.next_kept(*kept));
            let beyond = kept.find(|kept| Some(kept.color) == own_color);
            let beyond = beyond.map(|kept| kept.edge);
            let met = self.met[color as usize];
            let beside = (met.neighbor != neighbor).then_some(met.edge);
            if beside.is_none() {
                self.keep(vertex, entry);
            }
            if beyond.is_none() {
                self.keep(neighbor, graph.mirrors[entry as usize]);
            }
            join(NewEdge {
                edge: graph.edge_of(entry),
                neighbor,
                beside,
                beyond,
            });
        }
    }

    fn kept_at(&self, entry: u32) -> Option<Kept> {
        if entry == NONE {
            return None;
        }
        work::count(1);
        let color = self.palette.color_of(self.graph.head_of(entry));
        Some(Kept {
            entry,
            color: color.expect("edges are kept once both ends are coloured"),
            edge: self.graph.edge_of(entry),
        })
    }

    fn keep(&mut self, vertex: u32, entry: u32) {
        let last = &mut self.last_kept[vertex as usize];
        self.kept_before[entry as usize] = *last;
        *last = entry;
    }
}

/// A colouring of the vertices of a graph, in which the edges between any two colours are trees.
pub(super) struct ColoredTrees {
    /// By vertex.
    pub colors: Vec<u32>,
    /// By edge: one edge for all of its tree.
    pub trees: Vec<u32>,
}
