//! Which vertices may stay neutral.

use super::graph::Graph;
use super::order::Buckets;

/// Vertices that can do without a colour, as a product for the other end of each of their edges is enough: those outside of a
/// vertex cover. It is made of whatever has an entry on the diagonal, and then, as long as an edge is left, of a vertex with
/// the largest number of edges that are left. So a dense row is in it, and a dense column, and few others
/// of the columns and rows that they cross.
///
/// That the coloured vertices of a bicolouring are a vertex cover is from Gebremedhin, Manne, Pothen 2005. Linear.
pub(super) fn neutral(graph: &Graph) -> Vec<bool> {
    let vertices = 0..graph.vertices() as u32;
    let degree_of = |vertex| graph.neighbors(vertex).count() as u32;
    let degrees: Vec<u32> = vertices.map(degree_of).collect();
    let largest = degrees.iter().copied().max().unwrap_or(0);
    let mut is_neutral = vec![true; graph.vertices()];
    let mut left = Buckets::new(degrees.iter().map(|it| largest - it).collect(), largest);
    while let Some((vertex, below_largest)) = left.take_lowest() {
        if below_largest == largest {
            break;
        }
        is_neutral[vertex as usize] = false;
        for (neighbor, _) in graph.neighbors(vertex) {
            left.change(neighbor, 1);
        }
    }
    for (entry, &mirror) in (0..).zip(&graph.mirrors) {
        if entry == mirror {
            is_neutral[graph.head_of(entry) as usize] = false;
        }
    }
    is_neutral
}
