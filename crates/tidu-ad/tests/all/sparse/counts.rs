//! Colour counts that are known.

use tidu_ad::sparse::{Coloring, Order, Pattern, Side};
use tidu_testkit::Random;

use super::{
    arrowhead, band, blocks, colorings, grid, orders, pattern, random_pattern, random_symmetric,
    symmetric,
};

/// The counts of all colourings: columns, rows, star and acyclic of both, star, acyclic.
fn counts(pattern: &Pattern, orders: &[Order]) -> Vec<usize> {
    let found = colorings(pattern, orders).into_iter();
    found.map(|(_, coloring)| coloring.group_count()).collect()
}

/// Gebremedhin, Tarafdar, Manne, Pothen 2007: 2⌊ρ/2⌋ + 1 and ⌊ρ/2⌋ + 1. All columns of 2⌊ρ/2⌋ + 1 side by side have a row
/// in common.
#[test]
fn bands() {
    for half in 0..6 {
        let rho = 2 * half;
        for size in [50, 300] {
            let band = band(size, half);
            let (one_way, trees) = (2 * (rho / 2) + 1, rho / 2 + 1);
            let expected = [one_way, one_way, one_way, one_way, one_way, trees];
            for orders in [&[Order::Natural][..], &[Order::SmallestLast], Order::BEST] {
                let found = counts(&band, orders);
                assert_eq!(found[..3], expected[..3], "{half}, {orders:?}");
                assert!(found[3] <= expected[3], "{half}, {orders:?}");
                assert_eq!(found[4..], expected[4..], "{half}, {orders:?}");
            }
        }
    }
}

/// A row of n entries takes n columns, and so it is for rows. Two products for a symmetric one have 2n numbers, of which
/// 2n - 1 are the entries. Without symmetry there are 3n - 2 entries, for which two products are too few.
#[test]
fn arrowheads() {
    for size in [10, 1000] {
        for order in orders() {
            let found = counts(&arrowhead(size), &order);
            assert_eq!(found, [size, size, 3, 3, 2, 2], "{order:?}");
        }
    }
}

/// Without the diagonal, which takes the third product, two are enough: one for the column, one for the row, which symmetry
/// makes equal.
#[test]
fn arrowheads_without_a_shaft() {
    for size in [10, 1000] {
        let entries: Vec<_> = (0..size).flat_map(|k| [(0, k), (k, 0)]).collect();
        let shaftless = pattern(size, size, &entries);
        for order in orders() {
            let found = counts(&shaftless, &order);
            assert_eq!(found, [size, size, 2, 2, 1, 1], "{order:?}");
            let both = Coloring::star_bidirectional(&shaftless, &order).unwrap();
            let sides: Vec<Side> = both.groups().map(|group| group.side).collect();
            assert_eq!(sides, [Side::Columns, Side::Rows]);
        }
    }
}

/// The arrow may point anywhere, and be split over a few rows and columns.
#[test]
fn a_few_dense_rows_and_columns() {
    let size = 200;
    let dense = [17, 90, 91];
    let crossing = dense
        .iter()
        .flat_map(|&at| (0..size).flat_map(move |k| [(at, k), (k, at)]));
    let entries: Vec<_> = crossing.chain((0..size).map(|k| (k, k))).collect();
    let crossed = pattern(size, size, &entries);
    let found = counts(&crossed, Order::BEST);
    assert_eq!(found[..2], [size, size]);
    // Three each way, and one for the diagonal. A product of either way gives one entry of it at a time in each row and
    // column, so there must be one that no dense row or column spoils.
    assert_eq!(found[2..4], [7, 7]);
    assert_eq!(found[4..], [4, 4]);
}

/// 5-point grids. A point and its neighbours have a row in common, so 5 at least for columns; a star colouring of
/// a grid takes 5 (Fertin, Raspaud, Reed 2004), an acyclic one 3 (Fertin, Godard, Raspaud 2003).
#[test]
fn grids() {
    for side in [10, 30] {
        let found = counts(&grid(side), Order::BEST);
        assert!(
            (5..=7).contains(&found[0]) && (5..=7).contains(&found[1]),
            "{found:?}"
        );
        assert!(found[2] <= 7 && found[3] <= 7, "{found:?}");
        assert_eq!(found[4], 5);
        assert!((3..=4).contains(&found[5]), "{found:?}");
    }
}

#[test]
fn what_is_dense_takes_a_product_for_each_column_and_what_falls_apart_for_those_of_a_part() {
    for order in orders() {
        assert_eq!(counts(&blocks(7, 4), &order), [4; 6]);
        assert_eq!(counts(&blocks(1, 9), &order), [9; 6]);
        assert_eq!(counts(&blocks(50, 1), &order), [1; 6]);
    }
    let wide = Pattern::dense(3, 8).unwrap();
    assert_eq!(counts(&wide, Order::BEST), [8, 3, 3, 3]);
    assert_eq!(counts(&wide.transposed(), Order::BEST), [3, 8, 3, 3]);
}

#[test]
fn what_is_empty_takes_nothing() {
    for (rows, columns) in [(0, 0), (0, 5), (5, 0), (4, 4), (3, 7)] {
        let empty = pattern(rows, columns, &[]);
        for (name, coloring) in colorings(&empty, Order::BEST) {
            assert_eq!(coloring.group_count(), 0, "{name}");
            assert!(coloring.recovery().is_empty());
            assert_eq!(coloring.column_colors(), vec![0; columns]);
            assert_eq!(coloring.row_colors(), vec![0; rows]);
            assert_eq!(coloring.groups().count(), 0);
        }
    }
}

/// xᵀ·A·y: neither x nor y needs a product of its own once the other has them.
#[test]
fn a_zero_on_the_diagonal_saves_a_product() {
    let (of_x, of_y) = (4, 9);
    let entries: Vec<_> = (0..of_x)
        .flat_map(|i| (of_x..of_x + of_y).map(move |j| (i, j)))
        .collect();
    let bilinear = symmetric(of_x + of_y, &entries);
    for order in orders() {
        let star = Coloring::star(&bilinear, &order).unwrap();
        assert_eq!(star.group_count(), of_x, "{order:?}");
        assert_eq!(star.column_colors()[of_x..], [0; 9]);
    }
    // One pair, with nothing, one or both of its entries on the diagonal.
    let pair = [(0, 1)];
    assert_eq!(counts(&symmetric(2, &pair), &[])[4..], [1, 1]);
    assert_eq!(counts(&symmetric(2, &[pair[0], (1, 1)]), &[])[4..], [1, 1]);
    assert_eq!(
        counts(&symmetric(2, &[pair[0], (0, 0), (1, 1)]), &[])[4..],
        [2, 2]
    );
}

/// Neither way alone needs fewer products than its longest row or column has entries, and both ways together no more
/// than there are rows, or columns, that are not empty.
#[test]
fn counts_have_bounds() {
    let mut random = Random(21);
    for _ in 0..2000 {
        let pattern = random_pattern(&mut random, 12);
        let longest = |it: &Pattern| (0..it.rows()).map(|row| it.columns_of_row(row).len()).max();
        let transposed = pattern.transposed();
        let found = counts(&pattern, &[]);
        assert!(found[0] >= longest(&pattern).unwrap_or(0));
        assert!(found[1] >= longest(&transposed).unwrap_or(0));
        let nonempty = |it: &Pattern| {
            (0..it.rows())
                .filter(|&row| !it.columns_of_row(row).is_empty())
                .count()
        };
        assert!(found[0] <= nonempty(&transposed) && found[1] <= nonempty(&pattern));
    }
}

#[test]
fn the_best_order_is_the_first_with_the_fewest() {
    let mut random = Random(22);
    for _ in 0..300 {
        let pattern = random_symmetric(&mut random, 14);
        let best = colorings(&pattern, Order::BEST);
        let each: Vec<_> = orders().map(|order| colorings(&pattern, &order)).collect();
        for (kind, (name, best)) in best.iter().enumerate() {
            let of_kind = each.iter().map(|found| &found[kind].1);
            let fewest = of_kind.min_by_key(|found| found.group_count()).unwrap();
            assert_eq!(best, fewest, "{name} of\n{pattern}");
        }
    }
}

#[test]
fn no_order_is_the_natural_one_and_seeds_differ() {
    let grid = grid(12);
    for ((_, none), (_, natural)) in colorings(&grid, &[])
        .iter()
        .zip(colorings(&grid, &[Order::Natural]))
    {
        assert_eq!(*none, natural);
    }
    let from = |seed| Coloring::star(&grid, &[Order::Random(seed)]).unwrap();
    assert_eq!(from(3), from(3));
    assert_ne!(from(3).column_colors(), from(4).column_colors());
}
