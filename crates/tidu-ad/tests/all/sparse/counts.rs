//! Colour counts that are known.

use tidu_ad::sparse::{Coloring, Order, Pattern};

use super::{arrowhead, band, blocks, colorings, grid, orders, pattern, symmetric};

#[test]
fn explore() {
    for (what, p) in [
        ("grid 10", grid(10)), ("grid 30", grid(30)), ("arrow 10", arrowhead(10)), ("arrow 1000", arrowhead(1000)),
        ("band 1", band(100, 1)), ("band 2", band(100, 2)), ("band 3", band(100, 3)), ("band 5", band(100, 5)), ("blocks", blocks(5, 4)),
        ("dense", Pattern::dense(9, 9).unwrap()),
    ] {
        println!("{what}");
        for order in orders() {
            let counts: Vec<_> = colorings(&p, &order).into_iter().map(|(name, c)| (name, c.group_count())).collect();
            println!("  {:?} {counts:?}", order[0]);
        }
    }
}
