//! Partial distance-2 colouring: vertices that share a line differ.

use crate::sparse::lists::Lists;

use super::order::Order;
use super::palette::{NONE, Palette};
use super::work;

/// Colours the vertices of a bipartite graph, so that those on one line differ: the columns of a matrix by its rows, or its rows
/// by its columns. `lines` are those of each vertex, `vertices` those of each line. A vertex without lines conflicts with none,
/// has nothing to recover, and is not coloured. `None` if there are `too_many` colours.
///
/// Gebremedhin, Manne, Pothen 2005, algorithm 3.2. Σ degree² over the lines.
pub(super) fn color(
    lines: &Lists,
    vertices: &Lists,
    order: Order,
    too_many: usize,
) -> Option<Vec<u32>> {
    let mut last_met = vec![NONE; lines.len()];
    let order = order.arrange(lines.len(), |vertex, found| {
        for &line in lines.get(vertex as usize) {
            for &other in vertices.get(line as usize) {
                work::count(1);
                if other != vertex && last_met[other as usize] != vertex {
                    last_met[other as usize] = vertex;
                    found.push(other);
                }
            }
        }
        // The next pass over the vertices is to meet them anew.
        found
            .iter()
            .for_each(|&other| last_met[other as usize] = NONE);
    });
    let mut palette = Palette::new(lines.len(), 1);
    for vertex in order {
        let lines = lines.get(vertex as usize);
        for &line in lines {
            for &other in vertices.get(line as usize) {
                work::count(1);
                if let Some(color) = palette.color_of(other) {
                    palette.forbid(color, vertex);
                }
            }
        }
        if !lines.is_empty() {
            palette.give(vertex, 0);
        }
        if palette.len() >= too_many {
            return None;
        }
    }
    Some(palette.into_colors())
}
