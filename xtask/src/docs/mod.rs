//! `cargo xtask docs`: the pages of rustdoc and the book beside them, every link of which leads somewhere.

mod check;
mod html;
mod page;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files;
use crate::shell::{self, Cargo};
use check::{Checker, Folders};
use page::Page;
use stage::OUTSIDE;

/// The pages of rustdoc. With `book`, they link to the book, which is beside them.
const RUSTDOC: Cargo = Cargo {
    arguments: &["doc", "--workspace", "--all-features", "--no-deps"],
    environment: &[("RUSTDOCFLAGS", "--cfg book -D warnings")],
};

/// Pages of the repository that are not in the book but have links.
const READ_ALONE: &[&str] = &["README.md"];

pub fn run() -> Result<(), String> {
    let metadata = shell::metadata()?;
    write_and_check_pages(&metadata)?;
    let target = target_directory(&metadata)?;
    let book = target.join("doc/book");
    build(&target.join("book"), &book)?;
    fs::write(
        target.join("doc/index.html"),
        "<meta http-equiv=\"refresh\" content=\"0; url=book/index.html\">\n",
    )
    .map_err(|error| format!("cannot write index.html: {error}"))?;
    all(links_of_html(&target, &book)?)?;
    println!("{}", book.join("index.html").display());
    Ok(())
}

/// Writes the pages of rustdoc, and checks the links of all pages and comments.
pub fn write_and_check_pages(metadata: &Value) -> Result<(), String> {
    RUSTDOC.run()?;
    let written = target_directory(metadata)?.join("doc");
    all(links_of_sources(files::root(), Some(written))?)
}

fn target_directory(metadata: &Value) -> Result<PathBuf, String> {
    let target = metadata["target_directory"].as_str();
    let target = target.ok_or("`cargo metadata` names no target directory")?;
    Ok(PathBuf::from(target))
}

fn all(faults: Vec<String>) -> Result<(), String> {
    shell::all(faults.into_iter().map(Err))
}

/// What is wrong with links as they are written; those to rustdoc are followed if its pages are there.
fn links_of_sources(root: &Path, rustdoc: Option<PathBuf>) -> Result<Vec<String>, String> {
    let mut checker = Checker::new(Folders {
        root: root.to_owned(),
        rustdoc,
    });
    let pages = files::below(&root.join("docs"), |name| name.ends_with(".md"))?;
    let mut faults = missing_in_summary(root, &pages)?;
    let outside = OUTSIDE.iter().map(|outside| outside.page);
    let outside = outside.chain(READ_ALONE.iter().copied());
    for page in pages.into_iter().chain(outside.map(|page| root.join(page))) {
        faults.extend(checker.page(&page)?);
    }
    for page in files::below(&root.join("crates"), |name| name.ends_with(".md"))? {
        faults.extend(checker.page_of_package(&page)?);
    }
    for source in files::below(&root.join("crates"), |name| name.ends_with(".rs"))? {
        faults.extend(checker.source(&source)?);
    }
    Ok(faults)
}

/// Pages that no reader of the book would find.
fn missing_in_summary(root: &Path, pages: &[PathBuf]) -> Result<Vec<String>, String> {
    let summary = root.join("docs/SUMMARY.md");
    let listed = Page::of(&files::read(&summary)?).links.into_iter();
    let listed: Vec<PathBuf> = listed
        .map(|link| root.join("docs").join(link.target))
        .collect();
    let missing = pages
        .iter()
        .filter(|page| **page != summary && !listed.contains(page));
    let fault = |page: &PathBuf| {
        let page = page.strip_prefix(root).unwrap_or(page).display();
        format!("{page}: docs/SUMMARY.md does not list this page")
    };
    Ok(missing.map(fault).collect())
}

/// What is wrong with links as they were rendered: all of the book's, and those of rustdoc's pages that
/// lead into the book.
fn links_of_html(target: &Path, book: &Path) -> Result<Vec<String>, String> {
    let documentation = target.join("doc");
    let mut checker = Checker::new(Folders {
        root: documentation.clone(),
        rustdoc: None,
    });
    let mut faults = Vec::new();
    for page in files::below(&documentation, |name| name.ends_with(".html"))? {
        // The page that a host shows for missing ones has links from the host's root.
        if page.ends_with("404.html") {
            continue;
        }
        faults.extend(match page.starts_with(book) {
            true => checker.html(&page, |_| true)?,
            false => checker.html(&page, |link| link.contains("../book/"))?,
        });
    }
    Ok(faults)
}

/// Stages the book in a folder, and renders it into another.
fn build(folder: &Path, output: &Path) -> Result<(), String> {
    let root = files::root();
    let stage = stage::stage(root)?;
    let pages = folder.join("pages");
    if pages.exists() {
        fs::remove_dir_all(&pages).map_err(|error| cannot_write(&pages, &error))?;
    }
    for (path, text) in &stage.pages {
        write(&pages.join(path), text.as_bytes())?;
    }
    for (from, to) in &stage.copies {
        let from = root.join(from);
        let bytes = fs::read(&from);
        let bytes = bytes.map_err(|error| format!("cannot read {}: {error}", from.display()))?;
        write(&pages.join(to), &bytes)?;
    }
    let settings = files::read(&root.join("docs/book.toml"))?;
    let settings = staged_settings(&settings, &output.display().to_string())?;
    write(&folder.join("book.toml"), settings.as_bytes())?;
    render(folder)
}

/// The settings of the book with the pages that are staged, and what they are rendered to.
fn staged_settings(settings: &str, output: &str) -> Result<String, String> {
    let lines = settings.lines().map(|line| match line.split_once(" = ") {
        Some(("src", _)) => "src = \"pages\"".to_owned(),
        Some(("build-dir", _)) => format!("build-dir = {output:?}"),
        _ => line.to_owned(),
    });
    let staged: Vec<String> = lines.collect();
    let replaced = staged
        .iter()
        .zip(settings.lines())
        .filter(|(to, from)| to != from);
    match replaced.count() {
        2 => Ok(staged.join("\n") + "\n"),
        _ => Err("docs/book.toml must have a line `src = …` and a line `build-dir = …`".into()),
    }
}

/// Calls the package that depends on mdBook.
fn render(folder: &Path) -> Result<(), String> {
    let manifest = files::root().join("xtask/book/Cargo.toml");
    let tool = folder.join("tool");
    let words = [&manifest, &tool, &folder.to_owned()].map(|path| path.display().to_string());
    let [manifest, tool, folder] = &words;
    Cargo {
        arguments: &[
            "run",
            "--quiet",
            "--locked",
            "--manifest-path",
            manifest,
            "--target-dir",
            tool,
            "--",
            folder,
        ],
        environment: &[],
    }
    .run()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes));
    written.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_links_of_the_repository_lead_somewhere() {
        assert_eq!(links_of_sources(files::root(), None), Ok(vec![]));
    }

    #[test]
    fn the_book_is_rendered_where_it_is_looked_for() {
        let settings = "[book]\nsrc = \".\"\n[build]\nbuild-dir = \"x\"\n";
        let staged = staged_settings(settings, "/out");
        let expected = "[book]\nsrc = \"pages\"\n[build]\nbuild-dir = \"/out\"\n";
        assert_eq!(staged, Ok(expected.into()));
        assert!(staged_settings("[book]\nsrc = \".\"\n", "/out").is_err());
    }

    #[test]
    fn a_page_that_no_reader_would_find_is_named() {
        let root = files::root();
        let pages =
            ["SUMMARY.md", "functions.md", "lost.md"].map(|page| root.join("docs").join(page));
        let fault = "docs/lost.md: docs/SUMMARY.md does not list this page";
        assert_eq!(missing_in_summary(root, &pages), Ok(vec![fault.into()]));
    }
}
