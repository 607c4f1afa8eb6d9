//! Names of operations: different, and read back as what they name.

use std::collections::HashMap;

use crate::support::{Name, all_primitives};
use tidu_graph::GraphOperation;
use tidu_graph::text::ParseNames;
use tidu_scalar::ScalarOp;

#[test]
fn every_primitive_reads_back() {
    let mut others = all_primitives();
    others.extend([f64::NAN, -f64::NAN, f64::INFINITY, -0.0, 1e-320].map(ScalarOp::powf));
    others.extend([i32::MIN, i32::MAX].map(ScalarOp::Powi));
    others.push(ScalarOp::Polygamma(u32::MAX));
    for op in others {
        let name = Name(&op).to_string();
        assert_eq!(ScalarOp::parse_name(&name), Some(op), "{name}");
    }
}

#[test]
fn names_tell_primitives_apart() {
    let mut named: HashMap<String, ScalarOp> = HashMap::new();
    for op in all_primitives() {
        let name = Name(&op).to_string();
        if let Some(other) = named.insert(name.clone(), op.clone()) {
            assert_eq!(other, op, "two operations are called {name}");
        }
    }
}

#[test]
fn numbers_are_where_they_belong() {
    for text in [
        "exp 2",
        "powi",
        "powi 2.5",
        "powi x",
        "polygamma -1",
        "polygamma",
        "pow_partial",
        "pow_partial 1",
        "pow_partial 1 -1",
        "pow_partial 1 65536",
        "pow_partial 1 2 3",
        "powf",
        "const",
        "sqrt ",
        "powi  2",
        "Exp",
        "",
    ] {
        assert_eq!(ScalarOp::parse_name(text), None, "{text:?}");
    }
    assert_eq!(ScalarOp::parse_name("powi -3"), Some(ScalarOp::Powi(-3)));
    assert_eq!(ScalarOp::parse_name("powf 2.5"), Some(ScalarOp::powf(2.5)));
    assert_eq!(
        ScalarOp::parse_name("polygamma 4"),
        Some(ScalarOp::Polygamma(4))
    );
    assert_eq!(
        ScalarOp::parse_name("pow_partial 2 1"),
        Some(ScalarOp::pow_partial(2, 1))
    );
}

#[test]
fn plain_primitives_are_listed_once() {
    for (i, op) in ScalarOp::PLAIN.iter().enumerate() {
        assert!(!ScalarOp::PLAIN[..i].contains(op), "{op:?}");
        assert!(op.input_count() > 0 && !Name(op).to_string().contains(' '));
    }
}

/// The page of the book is written by hand.
#[test]
fn every_primitive_stands_in_the_table_of_the_book() {
    let page = include_str!("../../../../docs/scalar.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|line| line.split('|').nth(1));
    let named: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| name.split(' ').next().unwrap_or_default())
        .collect();
    for op in all_primitives() {
        let name = Name(&op).to_string();
        let name = name.split(' ').next().unwrap_or_default();
        assert!(named.contains(&name), "{name} is missing in docs/scalar.md");
    }
    let unknown = named.iter().filter(|name| {
        let is_plain = ScalarOp::parse_name(name).is_some();
        let numbered = ["const", "powi", "powf", "pow_partial", "polygamma"];
        !is_plain && !numbered.contains(name)
    });
    assert_eq!(unknown.count(), 0);
}
