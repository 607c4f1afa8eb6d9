//! Star colouring: any two colours make stars.

use super::graph::Graph;
use super::greedy::{NewEdge, Partial, Rule};
use super::palette::NONE;

/// Neighbours differ, and no path on four vertices has two colours only. So the edges between two colours are stars,
/// and each entry of a matrix is read from the product for the colour of the hub of its star.
///
/// Gebremedhin, Tarafdar, Manne, Pothen 2007, algorithm 4.1; what is
/// done there for each edge around a neighbour is done here for each colour. Σ over edges of the number of
/// colours around their ends, which is at most Σ degree².
pub(super) struct Stars {
    /// By edge: the first edge of its star.
    star_of: Vec<u32>,
    /// By first edge of a star: its hub, if it has more edges.
    hub_of: Vec<u32>,
    /// By vertex: the last one to which all colours around it were forbidden.
    forbidden_to: Vec<u32>,
}

impl Stars {
    pub fn new(graph: &Graph) -> Self {
        let entries = graph.pattern.len();
        Self {
            star_of: vec![NONE; entries],
            hub_of: vec![NONE; entries],
            forbidden_to: vec![NONE; graph.vertices()],
        }
    }

    /// All colours around a neighbour.
    fn forbid_all(&mut self, partial: &mut Partial, vertex: u32, neighbor: u32) {
        let forbidden_to = &mut self.forbidden_to[neighbor as usize];
        if *forbidden_to != vertex {
            *forbidden_to = vertex;
            partial.forbid_around(neighbor, vertex, |_| true);
        }
    }
}

impl Rule for Stars {
    fn forbid(&mut self, partial: &mut Partial, vertex: u32, neighbor: u32, first: u32) {
        if neighbor != first {
            // The vertex will be the hub of a star, of which these are leaves: they have no other edge to its colour.
            self.forbid_all(partial, vertex, first);
            self.forbid_all(partial, vertex, neighbor);
        } else {
            // The neighbour is a leaf of this hub: it has no other edge to the hub's colour.
            partial.forbid_around(neighbor, vertex, |bundle| {
                let hub = self.hub_of[self.star_of[bundle.edge as usize] as usize];
                hub != NONE && hub != neighbor
            });
        }
    }

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

    fn into_trees(self) -> Vec<u32> {
        self.star_of
    }
}
