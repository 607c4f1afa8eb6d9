//! Colourings held to their definitions, by brute force on random patterns.

use tidu_ad::sparse::{Coloring, Pattern, Side};
use tidu_testkit::Random;

use super::{colorings, orders, random_pattern, random_symmetric};

const CASES: usize = 2000;

/// A graph by its matrix of neighbours, and the colour of each vertex. Neutral is a colour like any other.
struct Colored {
    is_edge: Vec<Vec<bool>>,
    colors: Vec<u32>,
}

impl Colored {
    fn symmetric(pattern: &Pattern, coloring: &Coloring) -> Self {
        let colors = coloring.column_colors().to_vec();
        let edges = pattern.entries().filter(|(row, column)| row != column);
        Self::new(colors, edges)
    }

    /// Columns, then rows. No column has the colour of a row, but for the neutral one.
    fn of_columns_and_rows(pattern: &Pattern, coloring: &Coloring) -> Self {
        let colors = [coloring.column_colors(), coloring.row_colors()].concat();
        let behind = pattern.columns();
        let edges = pattern
            .entries()
            .flat_map(|(row, column)| [(behind + row, column), (column, behind + row)]);
        Self::new(colors, edges)
    }

    fn new(colors: Vec<u32>, edges: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut is_edge = vec![vec![false; colors.len()]; colors.len()];
        edges.for_each(|(one, other)| is_edge[one][other] = true);
        Self { is_edge, colors }
    }

    fn neighbors(&self, vertex: usize) -> impl Iterator<Item = usize> {
        (0..self.colors.len()).filter(move |&other| self.is_edge[vertex][other])
    }

    fn is_proper(&self) -> bool {
        (0..self.colors.len()).all(|vertex| {
            let mut neighbors = self.neighbors(vertex);
            neighbors.all(|other| self.colors[vertex] != self.colors[other])
        })
    }

    /// No path v, w, x, y has two colours only.
    fn is_star(&self) -> bool {
        let same = |one: usize, other: usize| self.colors[one] == self.colors[other];
        let makes_path = |v: usize, w: usize| {
            let x = self.neighbors(w).filter(|&x| x != v && same(x, v));
            let mut y = x.flat_map(|x| self.neighbors(x).filter(move |&y| y != w));
            y.any(|y| y != v && same(y, w))
        };
        (0..self.colors.len()).all(|v| !self.neighbors(v).any(|w| makes_path(v, w)))
    }

    /// The edges between any two colours are a forest: taking away leaves takes away all of them.
    fn is_acyclic(&self) -> bool {
        let last = self.colors.iter().copied().max().unwrap_or(0);
        (0..=last).all(|one| (0..one).all(|other| self.is_forest([one, other])))
    }

    fn is_forest(&self, colors: [u32; 2]) -> bool {
        let all = 0..self.colors.len();
        let mut left: Vec<usize> = all.filter(|&v| colors.contains(&self.colors[v])).collect();
        loop {
            let is_inner = |&v: &usize| left.iter().filter(|&&w| self.is_edge[v][w]).count() > 1;
            let inner: Vec<usize> = left.iter().copied().filter(is_inner).collect();
            if inner.len() == left.len() {
                return left.is_empty();
            }
            left = inner;
        }
    }
}

/// No two columns of a group have an entry in one row; all that have entries are in a group.
fn check_distance_two(pattern: &Pattern, colors: &[u32]) {
    for row in 0..pattern.rows() {
        let mut met: Vec<u32> = Vec::new();
        for &column in pattern.columns_of_row(row) {
            let color = colors[column as usize];
            assert_ne!(color, 0, "{pattern}");
            assert!(!met.contains(&color), "row {row} of\n{pattern}\n{colors:?}");
            met.push(color);
        }
    }
}

#[test]
fn columns_of_a_group_have_no_row_in_common_and_rows_no_column() {
    let mut random = Random(1);
    for _ in 0..CASES {
        let pattern = random_pattern(&mut random, 12);
        for order in orders() {
            let columns = Coloring::of_columns(&pattern, &order);
            check_distance_two(&pattern, columns.column_colors());
            let rows = Coloring::of_rows(&pattern, &order);
            check_distance_two(&pattern.transposed(), rows.row_colors());
        }
    }
}

#[test]
fn stars_are_stars() {
    let mut random = Random(2);
    for _ in 0..CASES {
        let pattern = random_symmetric(&mut random, 11);
        for order in orders() {
            let coloring = Coloring::star(&pattern, &order).unwrap();
            let colored = Colored::symmetric(&pattern, &coloring);
            assert!(colored.is_proper(), "{pattern}\n{:?}", colored.colors);
            assert!(colored.is_star(), "{pattern}\n{:?}", colored.colors);
        }
    }
}

#[test]
fn two_colors_make_a_forest() {
    let mut random = Random(3);
    for _ in 0..CASES {
        let pattern = random_symmetric(&mut random, 11);
        for order in orders() {
            let coloring = Coloring::acyclic(&pattern, &order).unwrap();
            let colored = Colored::symmetric(&pattern, &coloring);
            assert!(colored.is_proper(), "{pattern}\n{:?}", colored.colors);
            assert!(colored.is_acyclic(), "{pattern}\n{:?}", colored.colors);
        }
    }
}

#[test]
fn columns_and_rows_together_are_stars_or_a_forest() {
    let mut random = Random(4);
    for _ in 0..CASES {
        let pattern = random_pattern(&mut random, 8);
        for order in orders() {
            let star = Coloring::star_bidirectional(&pattern, &order).unwrap();
            let colored = Colored::of_columns_and_rows(&pattern, &star);
            assert!(
                colored.is_proper() && colored.is_star(),
                "{pattern}\n{:?}",
                colored.colors
            );
            let acyclic = Coloring::acyclic_bidirectional(&pattern, &order).unwrap();
            let colored = Colored::of_columns_and_rows(&pattern, &acyclic);
            assert!(
                colored.is_proper() && colored.is_acyclic(),
                "{pattern}\n{:?}",
                colored.colors
            );
        }
    }
}

#[test]
fn what_has_an_entry_on_the_diagonal_is_in_a_group() {
    let mut random = Random(5);
    for _ in 0..CASES {
        let pattern = random_symmetric(&mut random, 11);
        for (_, coloring) in colorings(&pattern, &[]).split_off(4) {
            let on_diagonal = pattern.entries().filter(|(row, column)| row == column);
            for (row, _) in on_diagonal {
                assert_ne!(coloring.column_colors()[row], 0, "{pattern}");
            }
        }
    }
}

/// Groups say what colours say, none is empty, and from each something is read.
#[test]
fn groups_are_the_colors() {
    let mut random = Random(6);
    for _ in 0..CASES {
        let pattern = match random.below(2) {
            0 => random_pattern(&mut random, 10),
            _ => random_symmetric(&mut random, 10),
        };
        for (name, coloring) in colorings(&pattern, &[]) {
            let mut columns = vec![0; pattern.columns()];
            let mut rows = vec![0; pattern.rows()];
            for (color, group) in (1..).zip(coloring.groups()) {
                assert!(!group.members.is_empty());
                let is_first_kind = (color as usize) <= coloring.column_group_count();
                assert_eq!(group.side == Side::Columns, is_first_kind);
                for &member in group.members {
                    match group.side {
                        Side::Columns => columns[member as usize] = color,
                        Side::Rows => rows[member as usize] = color,
                    }
                }
            }
            assert_eq!(columns, coloring.column_colors(), "{name} of\n{pattern}");
            assert_eq!(rows, coloring.row_colors(), "{name} of\n{pattern}");
            let mut read: Vec<usize> = coloring.recovery().steps().map(|it| it.group).collect();
            read.sort();
            read.dedup();
            let all: Vec<usize> = (0..coloring.group_count()).collect();
            assert_eq!(read, all, "{name} of\n{pattern}");
        }
    }
}
