//! Acyclic colouring: any two colours make trees.

use super::graph::{ColoredTrees, Graph, Meeting, NewEdge, Partial};
use super::order::Order;
use super::work;

/// Colours a graph so that neighbours differ and no cycle has two colours only. So the edges between two colours are trees,
/// and their entries follow from each other, from the leaves inwards.
///
/// Gebremedhin, Tarafdar, Manne, Pothen 2007, section 3, algorithm 3.1 with the routines of section 3.2. As in
/// [`star`](super::star), one edge to each colour around a vertex is looked at in place of all.
///
/// Σ over edges of the number of colours around their ends, times the inverse of Ackermann's function.
pub(super) fn color(graph: &Graph, order: Order) -> ColoredTrees {
    let entries = graph.pattern.len();
    let mut trees = Trees {
        partial: Partial::new(graph),
        first_visit: vec![Meeting::NONE; entries],
        forest: Forest {
            parents: (0..entries as u32).collect(),
            sizes: vec![1; entries],
        },
    };
    for vertex in graph.arranged(order) {
        trees.forbid(vertex);
        let forest = &mut trees.forest;
        let join = |edge| forest.join(&edge);
        trees.partial.give_color(vertex, join);
    }
    let mut forest = trees.forest;
    ColoredTrees {
        colors: trees.partial.palette.into_colors(),
        trees: (0..entries as u32).map(|edge| forest.find(edge)).collect(),
    }
}

struct Trees<'a> {
    partial: Partial<'a>,
    /// By the edge that stands for a tree: where the vertex that is being coloured met it first.
    first_visit: Vec<Meeting>,
    forest: Forest,
}

/// Disjoint sets of edges.
struct Forest {
    parents: Vec<u32>,
    sizes: Vec<u32>,
}

impl Trees<'_> {
    /// Forbids a vertex whatever colour would make a cycle of two colours.
    fn forbid(&mut self, vertex: u32) {
        let graph = self.partial.graph;
        for (neighbor, entry) in graph.neighbors(vertex) {
            if let Some(color) = self.partial.palette.color_of(neighbor) {
                self.partial.palette.forbid(color, vertex);
                let edge = graph.edge_of(entry);
                let here = Meeting {
                    vertex,
                    neighbor,
                    edge,
                };
                self.partial.meet(color, here);
            }
        }
        for (neighbor, _) in graph.neighbors(vertex) {
            if self.partial.palette.color_of(neighbor).is_some() {
                self.forbid_cycles(neighbor, vertex);
            }
        }
    }

    /// Forbids a vertex the colours of trees that it has met through another neighbour.
    fn forbid_cycles(&mut self, neighbor: u32, vertex: u32) {
        let mut next = self.partial.first_kept(neighbor);
        while let Some(kept) = next {
            if !self.partial.palette.is_forbidden(kept.color, vertex) {
                let tree = self.forest.find(kept.edge);
                let first = &mut self.first_visit[tree as usize];
                if first.vertex != vertex {
                    *first = Meeting {
                        vertex,
                        neighbor,
                        edge: kept.edge,
                    };
                } else if first.neighbor != neighbor {
                    self.partial.palette.forbid(kept.color, vertex);
                }
            }
            next = self.partial.next_kept(kept);
        }
    }
}

impl Forest {
    fn join(&mut self, new: &NewEdge) {
        for other in [new.beside, new.beyond].into_iter().flatten() {
            self.unite(new.edge, other);
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
        let (root, child) = if is_larger { (one, other) } else { (other, one) };
        self.parents[child as usize] = root;
        self.sizes[root as usize] += self.sizes[child as usize];
    }
}
