//! Star colouring: any two colours make stars.

use super::graph::{ColoredTrees, Graph, Meeting, NewEdge, Partial};
use super::order::Order;
use super::palette::NONE;

/// Colours a graph so that neighbours differ and no path on four vertices has two colours only. So the edges between
/// two colours are stars, and each entry of a matrix is read from the product for the colour of the hub of its star.
///
/// Gebremedhin, Tarafdar, Manne, Pothen 2007, section 4, algorithm 4.1 with the routines of section 4.2. For
/// each vertex, one edge to each colour around it is kept and looked at in place of all: all that the algorithm asks of an edge
/// is the same for those that lead from one vertex to one colour.
///
/// Σ over edges of the number of colours around their ends, which is at most Σ degree².
pub(super) fn color(graph: &Graph, order: Order) -> ColoredTrees {
    let entries = graph.pattern.len();
    let mut stars = Stars {
        partial: Partial::new(graph),
        treated_for: vec![NONE; graph.vertices()],
        members: Members {
            star_of: vec![NONE; entries],
            hub_of: vec![NONE; entries],
        },
    };
    for vertex in graph.arranged(order) {
        stars.forbid(vertex);
        let members = &mut stars.members;
        let join = |edge| members.join(vertex, &edge);
        stars.partial.give_color(vertex, join);
    }
    ColoredTrees {
        colors: stars.partial.palette.into_colors(),
        trees: stars.members.star_of,
    }
}

struct Stars<'a> {
    partial: Partial<'a>,
    /// By vertex: the last one for which its neighbours' colours were all forbidden.
    treated_for: Vec<u32>,
    members: Members,
}

struct Members {
    /// By edge: the first edge of its star.
    star_of: Vec<u32>,
    /// By first edge of a star: its hub, if it has more edges.
    hub_of: Vec<u32>,
}

impl Stars<'_> {
    /// Forbids a vertex whatever colour would make a path on four vertices of two colours.
    fn forbid(&mut self, vertex: u32) {
        let graph = self.partial.graph;
        for (neighbor, entry) in graph.neighbors(vertex) {
            let Some(color) = self.partial.palette.color_of(neighbor) else {
                continue;
            };
            self.partial.palette.forbid(color, vertex);
            let here = Meeting {
                vertex,
                neighbor,
                edge: graph.edge_of(entry),
            };
            match self.partial.meet(color, here) {
                // The vertex will be the hub of a star, and must not be a leaf of others of the same colours.
                Some(first) => {
                    self.forbid_around(first.neighbor, vertex);
                    self.forbid_around(neighbor, vertex);
                }
                None => self.forbid_hubs(neighbor, vertex),
            }
        }
    }

    /// Forbids a vertex the colours around a neighbour.
    fn forbid_around(&mut self, neighbor: u32, vertex: u32) {
        let treated_for = &mut self.treated_for[neighbor as usize];
        if *treated_for != vertex {
            *treated_for = vertex;
            self.forbid_where(neighbor, vertex, |_, _| true);
        }
    }

    /// Forbids a vertex the colours of those hubs whose leaf a neighbour is: as a leaf, that can have no leaf of its own.
    fn forbid_hubs(&mut self, neighbor: u32, vertex: u32) {
        self.forbid_where(neighbor, vertex, |members, edge| {
            let hub = members.hub_of[members.star_of[edge as usize] as usize];
            hub != NONE && hub != neighbor
        });
    }

    fn forbid_where(
        &mut self,
        neighbor: u32,
        vertex: u32,
        does: impl Fn(&Members, u32) -> bool,
    ) {
        let mut next = self.partial.first_kept(neighbor);
        while let Some(kept) = next {
            if does(&self.members, kept.edge) {
                self.partial.palette.forbid(kept.color, vertex);
            }
            next = self.partial.next_kept(kept);
        }
    }
}

impl Members {
    fn join(&mut self, vertex: u32, new: &NewEdge) {
        let star_of = |edge: u32| self.star_of[edge as usize];
        let (star, hub) = match (new.beyond, new.beside) {
            (Some(edge), _) => (star_of(edge), new.neighbor),
            (None, Some(edge)) => (star_of(edge), vertex),
            (None, None) => (new.edge, NONE),
        };
        self.star_of[new.edge as usize] = star;
        self.hub_of[star as usize] = hub;
    }
}
