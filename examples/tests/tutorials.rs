//! Keeps the documentation honest: code in tutorials is code of the examples, and links lead
//! somewhere.

use std::path::{Path, PathBuf};

/// By page of `docs/tutorials`: the example that it walks through.
const TUTORIALS: &[(&str, &str)] = &[
    ("eager-reverse-mode.md", "eager_reverse_mode.rs"),
    ("primitive-linearization.md", "primitive_linearization.rs"),
];

#[test]
fn tutorials_quote_their_examples() {
    for page in markdown_files(&root().join("docs/tutorials")) {
        let name = page.file_name().expect("a page is a file");
        let example = TUTORIALS.iter().find(|(page, _)| *page == name);
        let (page_name, example) = example.expect("every tutorial has a line in TUTORIALS");
        let code = read(&root().join("examples").join(example));
        let page = read(&page);
        let blocks = rust_blocks(&page);
        assert!(blocks.len() > 5, "{page_name} has {} blocks", blocks.len());
        if let Some(fault) = first_fault(&blocks, &code) {
            panic!("docs/tutorials/{page_name} does not quote examples/{example}: {fault}");
        }
    }
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = read(&root().join("docs/SUMMARY.md"));
    let mut pages = markdown_files(&root().join("docs"));
    pages.retain(|page| !page.ends_with("SUMMARY.md"));
    for page in pages {
        let page = page.strip_prefix(root().join("docs")).expect("it is below");
        let link = format!("({})", page.display());
        assert!(summary.contains(&link), "docs/SUMMARY.md lacks {link}");
    }
}

#[test]
fn links_between_files_lead_somewhere() {
    let mut pages = markdown_files(&root().join("docs"));
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        pages.push(root().join(page));
    }
    for page in pages {
        for target in local_links(&read(&page)) {
            let path = page.parent().expect("a file is in a folder").join(&target);
            assert!(path.exists(), "{}: {target} leads nowhere", page.display());
        }
    }
}

/// A block of code in a page.
struct Block<'a> {
    /// The number of its first line in the page, from 1.
    line: usize,
    code: Vec<&'a str>,
}

/// The blocks whose fence says `rust`, whatever it says besides.
fn rust_blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.trim().strip_prefix("```") else {
            continue;
        };
        let code = lines.by_ref().map(|(_, line)| line);
        let code = code.take_while(|line| line.trim() != "```").collect();
        if language.starts_with("rust") {
            let line = number + 2;
            blocks.push(Block { line, code });
        }
    }
    blocks
}

/// Says of the first block that is no contiguous part of `example` where it differs.
fn first_fault(blocks: &[Block<'_>], example: &str) -> Option<String> {
    let example: Vec<String> = normalised(example.lines()).map(|(_, line)| line).collect();
    for (number, block) in blocks.iter().enumerate() {
        let quoted: Vec<(usize, String)> = normalised(block.code.iter().copied()).collect();
        let (start, equal) = best_match(&quoted, &example);
        if equal < quoted.len() {
            let (offset, line) = &quoted[equal];
            let there = match (equal, example.get(start + equal)) {
                (0, _) => "has no such line",
                (_, Some(line)) => line,
                (_, None) => "ends here",
            };
            return Some(format!(
                "block {} differs in line {} of the page\n    page:    {line}\n    example: {there}",
                number + 1,
                block.line + offset,
            ));
        }
    }
    None
}

/// Where the longest beginning of `quoted` stands in `example`, and how many lines of it agree.
fn best_match(quoted: &[(usize, String)], example: &[String]) -> (usize, usize) {
    let agreeing = |start: usize| {
        let pairs = quoted.iter().zip(&example[start..]);
        pairs.take_while(|((_, a), b)| a == *b).count()
    };
    let candidates = (0..example.len()).map(|start| (start, agreeing(start)));
    // The first of the best: `max_by_key` would take the last.
    candidates
        .rev()
        .max_by_key(|(_, equal)| *equal)
        .unwrap_or((0, 0))
}

/// Lines that are not blank, with their positions, and with any run of white space as one space.
fn normalised<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = (usize, String)> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = lines.enumerate().map(move |(i, line)| (i, words(line)));
    lines.filter(|(_, line)| !line.is_empty())
}

/// The targets of links that are neither addresses nor places in the same page.
fn local_links(page: &str) -> Vec<String> {
    let targets = page.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let files = targets.filter_map(|target| target.split('#').next());
    let local = files.filter(|file| !file.is_empty() && !file.contains("://"));
    local.map(str::to_owned).collect()
}

fn markdown_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            files.extend(markdown_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn root() -> &'static Path {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"));
    examples.parent().expect("`examples` is in the workspace")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_check_sees_what_differs() {
    let example = "fn a() {\n    one();\n    two();\n}\n";
    let fault = |page: &str| first_fault(&rust_blocks(page), example);

    assert_eq!(fault("```rust\none();\n\n  two();\n```\n"), None);
    assert_eq!(fault("```text\nthree();\n```\n"), None);
    let skipped = fault("# A\n\n```rust\nfn a() {\n    two();\n```\n").expect("a line is missing");
    assert!(skipped.contains("block 1 differs in line 5"), "{skipped}");
    assert!(
        skipped.contains("page:    two();\n    example: one();"),
        "{skipped}"
    );
    let changed = fault("```rust\none();\n```\n\n```rust,ignore\ntoo();\n```\n");
    let changed = changed.expect("it is misspelt");
    assert!(changed.contains("block 2 differs in line 6"), "{changed}");
    assert!(changed.contains("example: has no such line"), "{changed}");
    let beyond = fault("```rust\n}\nfn b() {}\n```\n").expect("the file is shorter");
    assert!(beyond.contains("example: ends here"), "{beyond}");
}

#[test]
fn links_are_found() {
    let page = "[a](b.md) and [c](https://d.org/e), [f](#g), [h](../i.md#j)";
    assert_eq!(local_links(page), ["b.md", "../i.md"]);
}
