//! What cannot be a pattern, or cannot be coloured so, is an error that says where.

use tidu_ad::sparse::{Coloring, Pattern, SparsityError};

use super::pattern;

const LIMIT: usize = u32::MAX as usize;

fn check<T: std::fmt::Debug>(result: Result<T, SparsityError>, error: &SparsityError, text: &str) {
    let found = result.unwrap_err();
    assert_eq!(&found, error);
    assert_eq!(found.to_string(), text);
}

#[test]
fn entries_are_inside() {
    for (entry, inside) in [((2, 0), (1, 2)), ((0, 3), (0, 0)), ((LIMIT + 1, 0), (1, 1))] {
        let (row, column) = entry;
        check(
            Pattern::from_entries(2, 3, [inside, entry]),
            &SparsityError::OutOfRange {
                row,
                column,
                rows: 2,
                columns: 3,
            },
            &format!("entry ({row}, {column}) is outside of a pattern of 2 by 3"),
        );
    }
}

#[test]
fn sizes_are_numbered() {
    let none = std::iter::empty();
    check(
        Pattern::from_entries(LIMIT + 1, 1, none.clone()),
        &SparsityError::TooLarge {
            what: "rows",
            found: LIMIT + 1,
        },
        "a pattern has at most 4294967295 rows, found 4294967296",
    );
    check(
        Pattern::from_entries(1, usize::MAX, none),
        &SparsityError::TooLarge {
            what: "columns",
            found: usize::MAX,
        },
        "a pattern has at most 4294967295 columns, found 18446744073709551615",
    );
}

/// No list of so many entries is made, which would take 32 GiB: an iterator that says how many it has is believed.
#[test]
fn entries_are_counted_before_they_take_memory() {
    let error = |rows, columns| SparsityError::TooManyEntries {
        rows,
        columns,
        limit: LIMIT,
    };
    check(
        Pattern::from_entries(1, 1, std::iter::repeat_n((0, 0), LIMIT + 1)),
        &error(1, 1),
        "a pattern of 1 by 1 has more than 4294967295 entries",
    );
    check(
        Pattern::dense(1 << 16, 1 << 16),
        &error(1 << 16, 1 << 16),
        "a pattern of 65536 by 65536 has more than 4294967295 entries",
    );
    check(
        Pattern::dense(LIMIT, LIMIT),
        &error(LIMIT, LIMIT),
        "a pattern of 4294967295 by 4294967295 has more than 4294967295 entries",
    );
}

#[test]
fn a_symmetric_coloring_is_of_a_symmetric_pattern() {
    let wide = pattern(3, 4, &[(0, 0)]);
    let not_square = SparsityError::NotSquare {
        rows: 3,
        columns: 4,
    };
    let text = "a symmetric pattern is square, found 3 by 4";
    check(Coloring::star(&wide, &[]), &not_square, text);
    check(Coloring::acyclic(&wide, &[]), &not_square, text);

    let lopsided = pattern(3, 3, &[(0, 1), (1, 0), (1, 2), (2, 2), (2, 0)]);
    let first = SparsityError::NotSymmetric { row: 1, column: 2 };
    let text = "a symmetric pattern with entry (1, 2) has entry (2, 1) too";
    check(Coloring::star(&lopsided, &[]), &first, text);
    check(Coloring::acyclic(&lopsided, &[]), &first, text);
}

/// An iterator whose clone is not what it is: what counts is what it yields.
#[test]
fn a_clone_that_yields_less_is_no_harm() {
    struct Forgetful(usize);
    impl Clone for Forgetful {
        fn clone(&self) -> Self {
            Self(0)
        }
    }
    impl Iterator for Forgetful {
        type Item = (usize, usize);
        fn next(&mut self) -> Option<Self::Item> {
            self.0 = self.0.checked_sub(1)?;
            Some((self.0, self.0))
        }
    }
    let diagonal = Pattern::from_entries(3, 3, Forgetful(3)).unwrap();
    assert_eq!(diagonal, pattern(3, 3, &[(0, 0), (1, 1), (2, 2)]));
}
