//! Patterns, their forms, and how they look.

use tidu_ad::sparse::{Coloring, Order, Pattern};
use tidu_testkit::Random;

use super::{band, colorings, pattern, random_pattern, random_symmetric};

const CASES: usize = 1000;

/// All positions of a matrix, row by row.
fn all(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

#[test]
fn entries_are_sorted_and_repeats_are_one() {
    let mut random = Random(31);
    for _ in 0..CASES {
        let (rows, columns) = (1 + random.below(9), 1 + random.below(9));
        let count = random.below(60);
        let mut entries: Vec<_> = (0..count)
            .map(|_| (random.below(rows), random.below(columns)))
            .collect();
        let found = pattern(rows, columns, &entries);
        entries.sort();
        entries.dedup();
        assert_eq!(found.entries().collect::<Vec<_>>(), entries);
        assert_eq!(
            (found.rows(), found.columns(), found.len()),
            (rows, columns, entries.len())
        );
        assert_eq!(found.is_empty(), entries.is_empty());
    }
}

#[test]
fn all_forms_are_of_the_same_entries() {
    let mut random = Random(32);
    for _ in 0..CASES {
        let pattern = random_pattern(&mut random, 9);
        let (rows, columns) = (pattern.rows(), pattern.columns());
        let entries: Vec<_> = pattern.entries().collect();

        for (position, &(row, column)) in entries.iter().enumerate() {
            assert_eq!(pattern.row_indices()[position] as usize, row);
            assert_eq!(pattern.column_indices()[position] as usize, column);
            assert_eq!(
                (pattern.row_of(position), pattern.column_of(position)),
                (row, column)
            );
        }
        for (row, column) in all(rows + 1, columns + 1) {
            let expected = entries.iter().position(|&entry| entry == (row, column));
            assert_eq!(pattern.position_of(row, column), expected);
        }
        assert_eq!(pattern.position_of(0, usize::MAX), None);

        let starts = pattern.row_starts();
        assert_eq!(starts.len(), rows + 1);
        for row in 0..rows {
            let range = starts[row] as usize..starts[row + 1] as usize;
            assert_eq!(
                pattern.columns_of_row(row),
                &pattern.column_indices()[range.clone()]
            );
            assert!(
                range
                    .into_iter()
                    .all(|position| pattern.row_of(position) == row)
            );
        }

        let (starts, row_indices, positions) = pattern.to_csc();
        assert_eq!(starts.len(), columns + 1);
        let mut by_column = entries.clone();
        by_column.sort_by_key(|&(row, column)| (column, row));
        for (position, &(row, column)) in by_column.iter().enumerate() {
            assert!((starts[column]..starts[column + 1]).contains(&(position as u32)));
            assert_eq!(row_indices[position] as usize, row);
            assert_eq!(entries[positions[position] as usize], (row, column));
        }

        let transposed = pattern.transposed();
        let mut mirrored: Vec<_> = entries.iter().map(|&(row, column)| (column, row)).collect();
        mirrored.sort();
        assert_eq!(transposed.entries().collect::<Vec<_>>(), mirrored);
        assert_eq!((transposed.rows(), transposed.columns()), (columns, rows));
        assert_eq!(transposed.transposed(), pattern);

        let lower = pattern.lower_triangle();
        let kept: Vec<_> = entries
            .into_iter()
            .filter(|(row, column)| row >= column)
            .collect();
        assert_eq!(lower.entries().collect::<Vec<_>>(), kept);
        assert_eq!((lower.rows(), lower.columns()), (rows, columns));
    }
}

#[test]
fn symmetry_is_that_of_the_transpose() {
    let mut random = Random(33);
    for _ in 0..CASES {
        let any = random_pattern(&mut random, 4);
        assert_eq!(any.is_symmetric(), any == any.transposed());
        assert!(random_symmetric(&mut random, 8).is_symmetric());
    }
    assert!(pattern(0, 0, &[]).is_symmetric());
    assert!(!pattern(0, 2, &[]).is_symmetric());
}

#[test]
fn what_is_missing_is_the_first_entry_that_the_other_lacks() {
    let mut random = Random(34);
    for _ in 0..CASES {
        let one = random_pattern(&mut random, 5);
        let other = random_pattern(&mut random, 5);
        let lacks = |&(row, column): &(usize, usize)| other.position_of(row, column).is_none();
        assert_eq!(one.missing_from(&other), one.entries().find(lacks));
        assert_eq!(one.missing_from(&one), None);
    }
}

#[test]
fn small_patterns_print_as_plots_and_large_ones_as_a_line() {
    let small = pattern(2, 4, &[(0, 1), (1, 0), (1, 3)]);
    assert_eq!(small.to_string(), "2 by 4, 3 nonzeros\n.*..\n*..*");
    assert_eq!(
        format!("{small:#}"),
        "2 by 4, 3 nonzeros\n(0, 1)\n(1, 0)\n(1, 3)"
    );
    assert_eq!(format!("{small:?}"), "Pattern(2 by 4, 3 nonzeros)");
    assert_eq!(pattern(1, 1, &[(0, 0)]).to_string(), "1 by 1, 1 nonzero\n*");
    assert_eq!(pattern(0, 0, &[]).to_string(), "0 by 0, 0 nonzeros");
    assert_eq!(pattern(3, 0, &[]).to_string(), "3 by 0, 0 nonzeros");
    assert_eq!(band(40, 1).to_string().lines().count(), 41);
    assert_eq!(band(41, 1).to_string(), "41 by 41, 121 nonzeros");
    assert_eq!(format!("{:#}", band(41, 1)).lines().count(), 122);
}

#[test]
fn colorings_print_as_a_line() {
    let found = colorings(&band(9, 1), Order::BEST);
    let lines: Vec<_> = found.iter().map(|(_, it)| it.to_string()).collect();
    assert_eq!(lines[0], "3 groups of columns, direct, natural order");
    assert_eq!(lines[1], "3 groups of rows, direct, natural order");
    assert_eq!(
        lines[5],
        "2 groups of columns, 6 subtractions, natural order"
    );
    assert_eq!(
        format!("{:?}", found[0].1),
        format!("Coloring({})", lines[0])
    );
    let none = Coloring::of_rows(&pattern(2, 2, &[]), &[Order::Random(5)]);
    assert_eq!(
        none.to_string(),
        "0 groups of columns, direct, random order from seed 5"
    );
}

/// The names of the elements of an XML text without comments and the like, if they are nested as they must be and all attributes
/// are quoted.
fn elements(xml: &str) -> Option<Vec<&str>> {
    let mut open = Vec::new();
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        if rest[..start].contains(['>', '&'])
            || (open.is_empty() && !rest[..start].trim().is_empty())
        {
            return None;
        }
        let end = start + rest[start..].find('>')?;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return None;
            }
            continue;
        }
        let name = tag.split([' ', '/']).next()?;
        let attributes = tag[name.len()..].trim_end_matches('/');
        let is_quoted =
            |part: &str| part.is_empty() || (part.starts_with(' ') && part.ends_with('='));
        if !attributes.split('"').step_by(2).all(is_quoted) || tag.contains(['<', '&']) {
            return None;
        }
        found.push(name);
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    (open.is_empty() && rest.trim().is_empty()).then_some(found)
}

#[test]
fn pictures_are_well_formed_and_the_same_each_time() {
    let mut random = Random(35);
    let shapes = [(0, 0), (3, 0), (0, 3), (1, 5000), (70, 70)];
    let shapes = shapes.map(|(rows, columns)| Pattern::dense(rows, columns).unwrap());
    let random = (0..50).map(|_| random_pattern(&mut random, 20));
    for pattern in random.chain(shapes) {
        let plain = pattern.to_svg(None);
        let found = elements(&plain).unwrap_or_else(|| panic!("{plain}"));
        assert_eq!(found[..2], ["svg", "title"]);
        assert!(found[2..].iter().all(|&name| name == "rect"));
        if pattern.len() <= 400 {
            assert_eq!(found.len(), 4 + pattern.len());
        }
        for (_, coloring) in colorings(&pattern, &[]) {
            let colored = pattern.to_svg(Some(&coloring));
            assert_eq!(elements(&colored), Some(found.clone()), "{colored}");
            assert_eq!(colored, pattern.to_svg(Some(&coloring)));
        }
    }
}

/// So the test above can fail.
#[test]
fn what_is_not_well_formed_is_seen() {
    assert_eq!(elements(r#"<a b="c"><d/></a>"#), Some(vec!["a", "d"]));
    for wrong in [
        "<a>",
        "<a></b>",
        "<a b=c/>",
        "<a>&</a>",
        r#"<a b="<"/>"#,
        "<a/>b",
        "a<b/>",
        r#"<a b="c"d="e"/>"#,
    ] {
        assert_eq!(elements(wrong), None, "{wrong}");
    }
}

#[test]
fn large_pictures_are_of_squares_and_say_so() {
    for large in [
        band(257, 1),
        band(100_000, 2),
        Pattern::dense(100, 100).unwrap(),
    ] {
        let svg = large.to_svg(None);
        let marks = elements(&svg).unwrap().len() - 4;
        assert!((64..=4096).contains(&marks), "{marks}");
        let side = large.rows().div_ceil(64);
        let says = format!("a mark stands for all nonzeros in {side} by {side}</title>");
        assert!(svg.contains(&says));
    }
    assert!(!band(256, 1).to_svg(None).contains("stands for"));
}

/// Entries that are read from one product have one colour, others another.
#[test]
fn marks_have_the_color_of_their_group() {
    let pattern = pattern(2, 3, &[(0, 0), (0, 1), (1, 2)]);
    let svg = pattern.to_svg(Some(&Coloring::of_columns(&pattern, &[])));
    let marks: Vec<_> = svg.lines().filter(|line| line.contains("hsl")).collect();
    let fill = |mark: &str| mark.split('"').nth(9).unwrap().to_string();
    assert!(fill(marks[0]) != fill(marks[1]) && fill(marks[0]) == fill(marks[2]));
    assert!(marks[1].starts_with(r#"<rect x="1" y="0" width="1" height="1""#));
    assert!(marks[2].starts_with(r#"<rect x="2" y="1" "#));
}

#[test]
fn a_coloring_of_another_pattern_is_no_harm() {
    let (small, large) = (band(3, 1), band(9, 1));
    for (one, other) in [(&small, &large), (&large, &small)] {
        let svg = one.to_svg(Some(&Coloring::of_columns(other, &[])));
        assert_eq!(elements(&svg).unwrap().len(), 4 + one.len());
    }
}
