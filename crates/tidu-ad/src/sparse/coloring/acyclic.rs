//! Acyclic colouring: any two colours make trees.

use super::graph::Graph;
use super::greedy::{NewEdge, Partial, Rule};
use super::palette::NONE;
use super::work;

/// Neighbours differ, and no cycle has two colours only. So the edges between two colours are trees, and their entries
/// follow from each other, from the leaves inwards.
///
/// Gebremedhin, Tarafdar, Manne, Pothen 2007, algorithm 3.1; what is
/// done there for each edge around a neighbour is done here for each colour. Σ over edges of the number of
/// colours around their ends, which is at most Σ degree², times the inverse of Ackermann's function.
pub(super) struct Trees {
    /// By edge: one that is nearer to that which stands for its tree, or itself.
    parents: Vec<u32>,
    sizes: Vec<u32>,
    /// By edge that stands for a tree: the last vertex that met it, and in which neighbour first.
    first_visit: Vec<(u32, u32)>,
}

impl Trees {
    pub fn new(graph: &Graph) -> Self {
        let entries = graph.pattern.len();
        Self {
            parents: (0..entries as u32).collect(),
            sizes: vec![1; entries],
            first_visit: vec![(NONE, NONE); entries],
        }
    }

    fn find(&mut self, edge: u32) -> u32 {
        let mut edge = edge as usize;
        while self.parents[edge] as usize != edge {
            work::count(1);
            self.parents[edge] = self.parents[self.parents[edge] as usize];
            edge = self.parents[edge] as usize;
        }
        edge as u32
    }

    fn unite(&mut self, one: u32, other: u32) {
        let (one, other) = (self.find(one), self.find(other));
        if one == other {
            return;
        }
        let is_larger = self.sizes[one as usize] >= self.sizes[other as usize];
        let (root, child) = if is_larger {
            (one, other)
        } else {
            (other, one)
        };
        self.parents[child as usize] = root;
        self.sizes[root as usize] += self.sizes[child as usize];
    }
}

impl Rule for Trees {
    fn forbid(&mut self, partial: &mut Partial, vertex: u32, neighbor: u32, _: u32) {
        // With the colour of a tree that it meets in two neighbours, the vertex would close a cycle.
        partial.forbid_around(neighbor, vertex, |bundle| {
            let tree = self.find(bundle.edge);
            let visit = &mut self.first_visit[tree as usize];
            if visit.0 != vertex {
                *visit = (vertex, neighbor);
            }
            visit.1 != neighbor
        });
    }

    fn join(&mut self, _: u32, new: &NewEdge) {
        for other in [new.beside, new.beyond].into_iter().flatten() {
            self.unite(new.edge, other);
        }
    }

    fn into_trees(mut self) -> Vec<u32> {
        let edges = 0..self.parents.len() as u32;
        edges.map(|edge| self.find(edge)).collect()
    }
}
