//! The pictures in the book are those that `cargo xtask draw` writes today. The SVG files depend on the
//! version of Graphviz too and are not compared; the text that they are drawn from is.

use std::path::Path;

#[allow(
    dead_code,
    reason = "only the function that makes a picture is of use here"
)]
#[path = "../../draw.rs"]
mod draw;

const DRAWN: &[&str] = &["x_exp_y", "second_order"];

#[test]
fn pictures_of_the_book_are_up_to_date() {
    for case in DRAWN {
        let picture = draw::picture(case).expect("it can be drawn");
        let picture = picture.expect("it is one of the cases");
        let files = [("dot", picture.to_dot()), ("mmd", picture.to_mermaid())];
        for (ending, drawn) in files {
            let path = pictures().join(case).with_extension(ending);
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == drawn,
                "{} is out of date: `cargo xtask draw {case} --out docs/pictures`",
                path.display()
            );
        }
    }
}

#[test]
fn every_picture_of_the_book_is_checked() {
    for entry in pictures().read_dir().expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let known = path
            .file_stem()
            .is_some_and(|stem| DRAWN.iter().any(|case| stem == *case));
        assert!(known, "{} has no line in DRAWN", path.display());
    }
}

#[test]
fn every_case_that_is_offered_can_be_drawn() {
    let cases = draw::USAGE
        .split("Cases:\n")
        .nth(1)
        .expect("they are listed");
    let cases = cases.lines().take_while(|line| !line.is_empty());
    for line in cases {
        let case = line.split_whitespace().next().expect("the line has a name");
        let picture = draw::picture(case).expect("it can be drawn");
        assert!(picture.is_some(), "{case}");
    }
    assert!(
        draw::picture("no_such_case")
            .expect("it is no error")
            .is_none()
    );
}

#[test]
fn a_large_graph_is_cut_and_says_so() {
    let chain = draw::picture("chain").expect("it can be drawn");
    let chain = chain.expect("it is one of the cases");
    let nodes = |dot: &str| dot.matches("shape=").count();
    let near = chain.around(&["%1000"], 1).to_dot();
    assert!(chain.to_dot().contains("nodes are not shown"));
    assert!(near.contains("nodes are not shown"));
    assert!(nodes(&near) < 20 && nodes(&near) < nodes(&chain.to_dot()));
}

#[test]
fn options_are_read() {
    let parsed = |words: &[&str]| {
        let parser = lexopt::Parser::from_args(words);
        draw::parse(parser).map_err(|error| error.to_string())
    };
    let request = parsed(&["chain", "--around", "%3,mul", "--radius=4", "--out", "here"]);
    let request = request
        .expect("it is well-formed")
        .expect("it is no call for help");
    assert_eq!(request.case, "chain");
    assert_eq!(request.around, Some((vec!["%3".into(), "mul".into()], 4)));
    assert_eq!(request.out, Path::new("here"));
    assert_eq!(parsed(&["chain", "--help"]), Ok(None));
    for wrong in [
        &[][..],
        &["a", "b"],
        &["a", "--radius", "1"],
        &["a", "--radius", "x"],
        &["--no"],
    ] {
        assert!(parsed(wrong).is_err(), "{wrong:?}");
    }
}

fn pictures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures")
}
