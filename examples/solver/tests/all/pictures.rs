//! The pictures of the book are those that are drawn today.

use std::path::Path;

use tidu_solver::{Error, figures};

#[test]
fn patterns_of_the_book_are_up_to_date() -> Result<(), Error> {
    let figures = [
        ("beam_jacobian", figures::beam_jacobian()?),
        ("bratu_hessian", figures::bratu_hessian()?),
    ];
    for (name, drawn) in figures {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/figures");
        let path = path.join(name).with_extension("svg");
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == drawn,
            "{} is out of date: `cargo run` draws it",
            path.display()
        );
    }
    Ok(())
}

/// What the chapter says of them.
#[test]
fn four_products_are_enough_for_the_beam_and_two_for_the_fold() -> Result<(), Error> {
    assert!(figures::beam_jacobian()?.contains("20 by 33, 80 nonzeros; 4 groups of columns"));
    assert!(figures::bratu_hessian()?.contains("26 by 26, 75 nonzeros; 2 groups of columns"));
    Ok(())
}

/// Pictures of solutions depend on last digits, and are not compared.
#[test]
fn solutions_are_drawn() -> Result<(), Error> {
    for picture in [figures::beam_solution(20)?, figures::bratu_solution(5)?] {
        assert!(
            picture.starts_with("<svg") && picture.contains("</svg>"),
            "{picture}"
        );
    }
    Ok(())
}
