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

#[test]
fn explore_random() {
    use tidu_testkit::Random;
    let mut random = Random(77);
    let mut sums = std::collections::BTreeMap::new();
    for kind in 0..6 {
        for _ in 0..20 {
            let n = 60;
            let mut entries = Vec::new();
            let per_row = 1 + random.below(4);
            for row in 0..n { for _ in 0..per_row { entries.push((row, random.below(n))); } }
            if kind % 3 == 1 { for _ in 0..3 { let (r, c) = (random.below(n), random.below(n)); for k in 0..n { if random.below(3) > 0 {entries.push((r, k));} if random.below(3) > 0 { entries.push((k, c)); } } } }
            if kind % 3 == 2 { for k in 0..n { entries.push((k, k)); } let r = random.below(n); for k in 0..n { entries.push((r, k)); entries.push((k, r)); } }
            let p = if kind >= 3 { let e: Vec<_> = entries.into_iter().filter(|(r, c)| r != c).collect(); symmetric(n, &e) } else { pattern(n, n, &entries) };
            for order in orders().map(|o| o.to_vec()).chain([Order::BEST.to_vec()]) {
                for (name, c) in colorings(&p, &order) {
                    *sums.entry((kind, name, format!("{order:?}"))).or_insert(0) += c.group_count();
                }
            }
        }
    }
    for (key, sum) in sums { println!("{key:?} {}", sum as f64 / 20.0); }
}
