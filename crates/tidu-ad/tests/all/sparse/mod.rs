//! Patterns of sparse matrices, and colourings of them.

mod bad_input;
mod counts;
mod definitions;
mod pattern;
mod recovery;

use tidu_ad::sparse::{Coloring, Order, Pattern};
use tidu_testkit::Random;

/// A pattern with these entries.
pub fn pattern(rows: usize, columns: usize, entries: &[(usize, usize)]) -> Pattern {
    Pattern::from_entries(rows, columns, entries.iter().copied()).unwrap()
}

/// A random pattern, of which one entry in `sparsity` or so is there.
pub fn random_pattern(random: &mut Random, largest: usize) -> Pattern {
    let (rows, columns) = (random.below(largest + 1), random.below(largest + 1));
    let sparsity = 1 + random.below(6);
    let all = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let entries: Vec<_> = all.filter(|_| random.below(sparsity) == 0).collect();
    pattern(rows, columns, &entries)
}

/// A random symmetric pattern; the diagonal is there, or not, or in part.
pub fn random_symmetric(random: &mut Random, largest: usize) -> Pattern {
    let size = random.below(largest + 1);
    let (sparsity, on_diagonal) = (1 + random.below(6), random.below(3));
    let lower = (0..size).flat_map(|row| (0..=row).map(move |column| (row, column)));
    let chosen: Vec<_> = lower
        .filter(|(row, column)| {
            if row == column && on_diagonal < 2 {
                on_diagonal == 0
            } else {
                random.below(sparsity) == 0
            }
        })
        .collect();
    symmetric(size, &chosen)
}

/// These entries and their mirror images.
pub fn symmetric(size: usize, entries: &[(usize, usize)]) -> Pattern {
    let mirrored = entries.iter().map(|&(row, column)| (column, row));
    let all: Vec<_> = entries.iter().copied().chain(mirrored).collect();
    pattern(size, size, &all)
}

/// A band of this many diagonals on each side of the main one.
pub fn band(size: usize, half: usize) -> Pattern {
    let entries = (0..size).flat_map(|row| {
        let columns = row.saturating_sub(half)..(row + half + 1).min(size);
        columns.map(move |column| (row, column))
    });
    Pattern::from_entries(size, size, entries).unwrap()
}

/// The first row, the first column, and the diagonal.
pub fn arrowhead(size: usize) -> Pattern {
    let entries = (0..size).flat_map(|k| [(0, k), (k, 0), (k, k)]);
    Pattern::from_entries(size, size, entries).unwrap()
}

/// Each point of a grid of `side` by `side` with its neighbours: the 5-point stencil.
pub fn grid(side: usize) -> Pattern {
    let at = move |x: usize, y: usize| y * side + x;
    let mut entries = Vec::new();
    for y in 0..side {
        for x in 0..side {
            entries.push((at(x, y), at(x, y)));
            if x > 0 {
                entries.push((at(x, y), at(x - 1, y)));
            }
            if y > 0 {
                entries.push((at(x, y), at(x, y - 1)));
            }
        }
    }
    symmetric(side * side, &entries)
}

/// Dense blocks of this size along the diagonal.
pub fn blocks(count: usize, size: usize) -> Pattern {
    let entries = (0..count).flat_map(|block| {
        let start = block * size;
        (0..size * size).map(move |at| (start + at / size, start + at % size))
    });
    Pattern::from_entries(count * size, count * size, entries).unwrap()
}

/// Every order, alone.
pub fn orders() -> impl Iterator<Item = [Order; 1]> {
    Order::BEST.iter().map(|&order| [order])
}

/// Every colouring that a pattern has, with its name: of any pattern four, of a symmetric one six.
pub fn colorings(pattern: &Pattern, orders: &[Order]) -> Vec<(&'static str, Coloring)> {
    let mut found = vec![
        ("columns", Coloring::of_columns(pattern, orders)),
        ("rows", Coloring::of_rows(pattern, orders)),
        (
            "star, both",
            Coloring::star_bidirectional(pattern, orders).unwrap(),
        ),
        (
            "acyclic, both",
            Coloring::acyclic_bidirectional(pattern, orders).unwrap(),
        ),
    ];
    if pattern.is_symmetric() {
        found.push(("star", Coloring::star(pattern, orders).unwrap()));
        found.push(("acyclic", Coloring::acyclic(pattern, orders).unwrap()));
    }
    found
}
