//! What is recovered from compressed products is the matrix.

use tidu_ad::sparse::{Coloring, Pattern, Side};
use tidu_testkit::Random;

use super::{arrowhead, band, blocks, colorings, grid, orders, random_pattern, random_symmetric};

const CASES: usize = 2000;

/// Whole numbers, of which some are zero: sums of these are exact.
fn random_values(random: &mut Random, pattern: &Pattern) -> Vec<f64> {
    let count = pattern.len();
    (0..count).map(|_| random.below(19) as f64 - 9.0).collect()
}

/// Makes the values of a symmetric matrix symmetric.
fn mirror(pattern: &Pattern, values: &mut [f64]) {
    for (position, (row, column)) in pattern.entries().enumerate() {
        if row > column {
            values[pattern.position_of(column, row).unwrap()] = values[position];
        }
    }
}

/// J·s or Jᵀ·s for each group, by definition.
fn products(pattern: &Pattern, coloring: &Coloring, values: &[f64]) -> Vec<Vec<f64>> {
    let of_group = |side: Side, members: &[u32]| {
        let mut product = match side {
            Side::Columns => vec![0.0; pattern.rows()],
            Side::Rows => vec![0.0; pattern.columns()],
        };
        for ((row, column), value) in pattern.entries().zip(values) {
            let (seeded, read) = match side {
                Side::Columns => (column, row),
                Side::Rows => (row, column),
            };
            if members.contains(&(seeded as u32)) {
                product[read] += value;
            }
        }
        product
    };
    let groups = coloring.groups();
    groups.map(|it| of_group(it.side, it.members)).collect()
}

/// Takes the steps. Each entry is given once, after what it needs.
fn recover(pattern: &Pattern, coloring: &Coloring, products: &[Vec<f64>]) -> Vec<f64> {
    let mut values: Vec<Option<f64>> = vec![None; pattern.len()];
    for step in coloring.recovery().steps() {
        let mut value = products[step.group][step.position];
        for &term in step.terms {
            value -= values[term as usize].expect("terms are known");
        }
        assert_eq!(values[step.entry].replace(value), None);
        if let Some(mirror) = step.mirror {
            assert_eq!(values[mirror].replace(value), None);
        }
    }
    let all = values.into_iter();
    all.map(|value| value.expect("all are recovered")).collect()
}

/// What the plan does not read may be anything.
fn poisoned(coloring: &Coloring, products: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let nan = |product: &Vec<f64>| vec![f64::NAN; product.len()];
    let mut poisoned: Vec<Vec<f64>> = products.iter().map(nan).collect();
    for step in coloring.recovery().steps() {
        poisoned[step.group][step.position] = products[step.group][step.position];
    }
    poisoned
}

/// Whether the recovery of each entry needs this one.
fn needs(pattern: &Pattern, coloring: &Coloring, entry: usize) -> Vec<bool> {
    let mut needs = vec![false; pattern.len()];
    for step in coloring.recovery().steps() {
        let is_entry = step.entry == entry || step.mirror == Some(entry);
        let it_needs = is_entry || step.terms.iter().any(|&term| needs[term as usize]);
        needs[step.entry] = it_needs;
        if let Some(mirror) = step.mirror {
            needs[mirror] = it_needs;
        }
    }
    needs
}

fn check(random: &mut Random, pattern: &Pattern) {
    for order in orders() {
        for (name, coloring) in colorings(pattern, &order) {
            let mut values = random_values(random, pattern);
            let is_mirrored = ["star", "acyclic"].contains(&name);
            if is_mirrored {
                mirror(pattern, &mut values);
            }
            let compressed = products(pattern, &coloring, &values);
            let compressed = poisoned(&coloring, &compressed);
            let recovered = recover(pattern, &coloring, &compressed);
            assert_eq!(recovered, values, "{name}, {order:?}, of\n{pattern}");
            assert_eq!(
                coloring.recovery().is_direct(),
                coloring.recovery().term_count() == 0
            );
            assert!(name.contains("acyclic") || coloring.recovery().is_direct());

            // One entry is not a number: no other that does without it notices.
            if pattern.is_empty() {
                continue;
            }
            let poison = random.below(pattern.len());
            let (row, column) = (pattern.row_of(poison), pattern.column_of(poison));
            let mut with_poison = values.clone();
            with_poison[poison] = f64::NAN;
            if is_mirrored {
                with_poison[pattern.position_of(column, row).unwrap()] = f64::NAN;
            }
            let compressed = products(pattern, &coloring, &with_poison);
            let recovered = recover(pattern, &coloring, &compressed);
            let needs = needs(pattern, &coloring, poison);
            for (position, value) in recovered.into_iter().enumerate() {
                if needs[position] {
                    assert!(value.is_nan());
                } else {
                    assert_eq!(value, values[position], "{name}, {order:?}, of\n{pattern}");
                }
            }
        }
    }
}

#[test]
fn random_matrices_are_recovered_exactly() {
    let mut random = Random(11);
    for _ in 0..CASES {
        let pattern = random_pattern(&mut random, 9);
        check(&mut random, &pattern);
    }
}

#[test]
fn random_symmetric_matrices_are_recovered_exactly() {
    let mut random = Random(12);
    for _ in 0..CASES {
        let pattern = random_symmetric(&mut random, 10);
        check(&mut random, &pattern);
    }
}

#[test]
fn known_matrices_are_recovered_exactly() {
    let mut random = Random(13);
    for pattern in [
        band(40, 1),
        band(40, 3),
        arrowhead(30),
        grid(7),
        blocks(5, 4),
    ] {
        check(&mut random, &pattern);
    }
}

#[test]
fn direct_steps_are_in_the_order_of_the_entries() {
    for (_, coloring) in colorings(&grid(5), &[]) {
        let recovery = coloring.recovery();
        let entries: Vec<usize> = recovery.steps().map(|step| step.entry).collect();
        if recovery.is_direct() {
            assert!(entries.is_sorted());
        }
    }
}

/// Each edge is subtracted once at most.
#[test]
fn substitution_takes_fewer_subtractions_than_entries() {
    let mut random = Random(14);
    for _ in 0..CASES {
        let pattern = random_symmetric(&mut random, 12);
        let coloring = Coloring::acyclic(&pattern, &[]).unwrap();
        assert!(coloring.recovery().term_count() <= coloring.recovery().len());
    }
}
