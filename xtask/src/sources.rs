//! What must not stand in some files: code in the facade, and a library without the lints.

use std::path::Path;

use crate::files::{self, read};

/// A word that begins an item which is more than a re-export.
const ITEMS: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "impl",
    "macro_rules",
];

/// The packages that are published.
pub const LIBRARIES: &[&str] = &["tidu-graph", "tidu-ad", "tidu-eager", "tidu-scalar", "tidu"];

/// Items of the facade, which is to re-export and to explain.
pub fn code_in_facade(root: &Path) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for path in files::below(&root.join("crates/tidu/src"), |name| name.ends_with(".rs"))? {
        for (line, word) in items(&read(&path)?) {
            faults.push(format!(
                "{}:{line}: `{word}` in the facade, which holds re-exports and documentation only",
                path.display()
            ));
        }
    }
    Ok(faults)
}

/// Libraries in which the lints of the workspace, and with them `unsafe_code = "forbid"`, are off.
pub fn missing_lints(root: &Path) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    let workspace = read(&root.join("Cargo.toml"))?;
    if !has_setting(
        &workspace,
        "[workspace.lints.rust]",
        r#"unsafe_code = "forbid""#,
    ) {
        faults.push("the workspace must forbid `unsafe_code` in its lints".into());
    }
    for library in LIBRARIES {
        let manifest = read(&root.join("crates").join(library).join("Cargo.toml"))?;
        if !has_setting(&manifest, "[lints]", "workspace = true") {
            faults.push(format!("{library} must take its lints from the workspace"));
        }
    }
    Ok(faults)
}

/// The items of a source, with their line numbers. Comments do not count.
fn items(source: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_comment = false;
    for (number, line) in source.lines().enumerate() {
        for code in code_of(line, &mut in_comment) {
            let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            let item = words.filter(|word| ITEMS.contains(word));
            found.extend(item.map(|word| (number + 1, word)));
        }
    }
    found
}

/// The pieces of a line that are no comment.
fn code_of<'a>(mut line: &'a str, in_comment: &mut bool) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    loop {
        if *in_comment {
            let Some((_, rest)) = line.split_once("*/") else {
                return pieces;
            };
            *in_comment = false;
            line = rest;
        }
        let code_end = line.find("//").unwrap_or(line.len());
        match line.find("/*").filter(|&start| start < code_end) {
            Some(start) => {
                pieces.push(&line[..start]);
                *in_comment = true;
                line = &line[start + 2..];
            }
            None => {
                pieces.push(&line[..code_end]);
                return pieces;
            }
        }
    }
}

/// Whether a section of a manifest has a line.
fn has_setting(manifest: &str, section: &str, setting: &str) -> bool {
    let lines = manifest.lines().map(str::trim);
    let in_section = lines.skip_while(|line| *line != section).skip(1);
    let mut in_section = in_section.take_while(|line| !line.starts_with('['));
    in_section.any(|line| line == setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_and_reexports_are_no_items() {
        let source = "//! Has a fn main in it.\n/* impl\n struct */ pub use a::{b, c as d};\n\
                      #[cfg(doctest)]\nmod readme {} // enum";
        assert_eq!(items(source), []);
    }

    #[test]
    fn items_are_found_where_they_stand() {
        let source =
            "pub use a;\n/* x */ pub(crate) fn f() {}\nimpl<T> X for T {}\nmacro_rules! m {}";
        assert_eq!(items(source), [(2, "fn"), (3, "impl"), (4, "macro_rules")]);
    }

    #[test]
    fn a_setting_counts_in_its_section_only() {
        let manifest =
            "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\nx = 1\n";
        assert!(has_setting(manifest, "[lints]", "workspace = true"));
        assert!(!has_setting(manifest, "[package]", "workspace = true"));
        assert!(!has_setting(
            "[lints]\n\n[a]\nworkspace = true",
            "[lints]",
            "workspace = true"
        ));
    }
}
