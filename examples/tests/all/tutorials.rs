//! Keeps the documentation honest: code in tutorials is code of the examples, and what they are said to
//! print is what they print.

use std::cell::RefCell;
use std::error::Error;
use std::path::{Path, PathBuf};

thread_local! {
    /// What the examples below have printed in this thread.
    static PRINTED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Stands in for the macro of the standard library in the modules that follow it.
macro_rules! println {
    ($($words:tt)*) => {{
        let line = format!($($words)*);
        $crate::tutorials::PRINTED.with_borrow_mut(|text| *text = format!("{text}{line}\n"));
    }};
}

#[path = "../../eager_reverse_mode.rs"]
mod eager_reverse_mode;
#[path = "../../primitive_linearization.rs"]
mod primitive_linearization;

/// A page of `docs/tutorials` and the example that it walks through.
struct Tutorial {
    page: &'static str,
    example: &'static str,
    main: fn() -> Result<(), Box<dyn Error>>,
}

const TUTORIALS: &[Tutorial] = &[
    Tutorial {
        page: "eager-reverse-mode.md",
        example: "eager_reverse_mode.rs",
        main: eager_reverse_mode::main,
    },
    Tutorial {
        page: "primitive-linearization.md",
        example: "primitive_linearization.rs",
        main: primitive_linearization::main,
    },
];

#[test]
fn every_tutorial_is_checked() {
    for page in markdown_files(&root().join("docs/tutorials")) {
        let name = page.file_name().expect("a page is a file");
        let known = TUTORIALS.iter().any(|tutorial| tutorial.page == name);
        assert!(known, "{} has no line in TUTORIALS", page.display());
    }
}

#[test]
fn tutorials_quote_their_examples() {
    for Tutorial { page, example, .. } in TUTORIALS {
        let code = read(&root().join("examples").join(example));
        let text = read(&root().join("docs/tutorials").join(page));
        let blocks = blocks(&text, "rust");
        assert!(blocks.len() > 5, "{page} has {} blocks", blocks.len());
        if let Some(fault) = first_fault(&blocks, &code, normalised) {
            panic!("docs/tutorials/{page} does not quote examples/{example}: {fault}");
        }
    }
}

#[test]
fn tutorials_show_what_their_examples_print() {
    for Tutorial {
        page,
        example,
        main,
    } in TUTORIALS
    {
        PRINTED.take();
        main().expect("the example runs");
        let printed = PRINTED.take();
        let text = read(&root().join("docs/tutorials").join(page));
        let blocks = blocks(&text, "text,output");
        assert!(!blocks.is_empty(), "{page} shows no output");
        if let Some(fault) = first_fault(&blocks, &printed, as_printed) {
            panic!("docs/tutorials/{page} does not show what examples/{example} prints: {fault}");
        }
    }
}

#[test]
fn the_grammar_in_the_book_is_that_of_the_library() {
    let page = read(&root().join("docs/text-form.md"));
    let source = read(&root().join("crates/tidu-graph/src/text/mod.rs"));
    let source = source.lines().filter_map(|line| line.strip_prefix("//!"));
    let source = source.collect::<Vec<_>>().join("\n");
    let grammar = &blocks(&page, "text")[0];
    assert!(
        grammar.code[0].starts_with("listing"),
        "the grammar comes first"
    );
    let fault = first_fault(std::slice::from_ref(grammar), &source, normalised);
    assert_eq!(fault, None);
}

/// The listings are asserted on by the code of the page, which is compiled elsewhere.
#[test]
fn the_columns_in_the_book_are_its_listings_side_by_side() {
    let page = read(&root().join("docs/text-form.md"));
    let columns = listings(&blocks(&page, "rust")[0]);
    assert_eq!(columns.len(), 3);
    let rows = columns.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |column: usize, row: usize| columns[column].get(row).copied().unwrap_or("");
    let width = |column: &Vec<&str>| column.iter().map(|line| line.len()).max().unwrap_or(0) + 4;
    let [first, second] = [width(&columns[0]), width(&columns[1])];
    let side_by_side = (0..rows).map(|row| {
        let [a, b, c] = [cell(0, row), cell(1, row), cell(2, row)];
        format!("{a:first$}{b:second$}{c}").trim_end().to_owned()
    });
    let side_by_side: Vec<String> = side_by_side.collect();
    let shown = &blocks(&page, "text")[1].code;
    assert!(
        shown[..] == side_by_side[..],
        "it should be\n{}",
        side_by_side.join("\n")
    );
}

/// The page of the laws asserts it.
#[test]
fn the_table_of_laws_in_the_readme_is_that_of_the_book() {
    let readme = read(&root().join("README.md"));
    let page = read(&root().join("docs/laws.md"));
    let table = blocks(&readme, "text");
    assert_eq!(table.len(), 1, "the README shows one table of the kit");
    for line in &table[0].code {
        assert!(page.contains(line), "docs/laws.md has no line `{line}`");
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

/// A block of code in a page.
struct Block<'a> {
    /// The number of its first line in the page, from 1.
    line: usize,
    code: Vec<&'a str>,
}

/// The blocks whose fence begins with `fence`, whatever it says besides.
fn blocks<'a>(page: &'a str, fence: &str) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.trim().strip_prefix("```") else {
            continue;
        };
        let code = lines.by_ref().map(|(_, line)| line);
        let code = code.take_while(|line| line.trim() != "```").collect();
        if language.starts_with(fence) {
            let line = number + 2;
            blocks.push(Block { line, code });
        }
    }
    blocks
}

/// The lines that count, with their positions.
type Lines = Vec<(usize, String)>;

/// Says of the first block that is no contiguous part of `example` where it differs, going by what
/// `lines_of` makes of either.
fn first_fault(
    blocks: &[Block<'_>],
    example: &str,
    lines_of: fn(&[&str]) -> Lines,
) -> Option<String> {
    let example = lines_of(&example.lines().collect::<Vec<_>>());
    let example: Vec<String> = example.into_iter().map(|(_, line)| line).collect();
    for (number, block) in blocks.iter().enumerate() {
        let quoted = lines_of(&block.code);
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

/// The graphs in a block of code, without what stands around them.
fn listings<'a>(block: &Block<'a>) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut lines = block.code.iter();
    while let Some(line) = lines.next() {
        let Some(start) = ["\"graph {", "\"linear {"]
            .iter()
            .find_map(|header| line.find(header))
        else {
            continue;
        };
        let mut listing = vec![&line[start + 1..]];
        listing.extend(lines.by_ref().take_while(|line| !line.starts_with('}')));
        listing.push("}");
        found.push(listing);
    }
    found
}

/// Lines that are not blank, with any run of white space as one space.
fn normalised(lines: &[&str]) -> Lines {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = lines.iter().map(|line| words(line)).enumerate();
    lines.filter(|(_, line)| !line.is_empty()).collect()
}

/// All lines, as they are.
fn as_printed(lines: &[&str]) -> Lines {
    let lines = lines.iter().map(|line| (*line).to_owned());
    lines.enumerate().collect()
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
    let fault = |page: &str| first_fault(&blocks(page, "rust"), example, normalised);

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
fn output_is_compared_to_the_blank() {
    let fault =
        |page: &str| first_fault(&blocks(page, "text,output"), "a {\n    b\n}\n", as_printed);

    assert_eq!(fault("```text,output\n    b\n}\n```\n"), None);
    assert_eq!(fault("```text\nc\n```\n"), None);
    let moved = fault("```text,output\na {\n  b\n}\n```\n").expect("blanks are missing");
    assert!(moved.contains("line 3"), "{moved}");
}
