//! The parts that the code of a page of the book is put together from are those that the page shows.

/// The page says each part once, and includes it, hidden, where it is needed again.
#[test]
fn the_guide_shows_what_its_code_includes() {
    let page = include_str!("../../../../docs/prove-your-own-primitive.md");
    let parts = [
        include_str!("guide/op.rs"),
        include_str!("guide/graph.rs"),
        include_str!("guide/slope.rs"),
        include_str!("guide/rules.rs"),
        include_str!("guide/apply.rs"),
    ];
    for part in parts {
        let (_why_it_exists, part) = part.split_once('\n').expect("a comment comes first");
        assert!(page.contains(part), "the page does not show\n{part}");
    }
}
