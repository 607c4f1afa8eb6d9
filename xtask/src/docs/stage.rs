//! The book as mdBook gets it: pages whose links lead about the built book, whatever they link to in the
//! repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::check::{Target, normalized, target_of};
use super::page::Page;
use crate::files;

/// A page of the repository that stands in the book although it is not in its folder.
pub struct Outside {
    pub page: &'static str,
    /// Where it stands in the book.
    place: &'static str,
    title: &'static str,
}

impl Outside {
    const fn new(page: &'static str, place: &'static str, title: &'static str) -> Self {
        Self { page, place, title }
    }
}

/// All of them. (mdBook has ideas of its own about a `README.md`, so the place of one has another name.)
pub const OUTSIDE: &[Outside] = &[
    Outside::new(
        "examples/tensor/README.md",
        "tensor-set.md",
        "The tensor set",
    ),
    Outside::new(
        "examples/solver/README.md",
        "solver-example.md",
        "The solver example",
    ),
    Outside::new("ARCHITECTURE.md", "ARCHITECTURE.md", "Architecture"),
    Outside::new("CONTRIBUTING.md", "CONTRIBUTING.md", "Contributing"),
    Outside::new("CHANGELOG.md", "CHANGELOG.md", "Changelog"),
];

/// Where the book has the files of the repository that are no pages.
const FILES: &str = "files";

/// The files that make up the staged book.
pub struct Stage {
    /// Texts, by path in the stage.
    pub pages: Vec<(PathBuf, String)>,
    /// Files to copy: from the repository, by path there, to a path in the stage.
    pub copies: BTreeSet<(PathBuf, PathBuf)>,
}

/// Puts the book of a repository together.
pub fn stage(root: &Path) -> Result<Stage, String> {
    let mut stage = Stage {
        pages: Vec::new(),
        copies: BTreeSet::new(),
    };
    let outside = OUTSIDE.iter().map(|outside| root.join(outside.page));
    let docs = files::below(&root.join("docs"), |_| true)?;
    for path in docs.into_iter().chain(outside) {
        let from = path.strip_prefix(root).unwrap_or(&path).to_owned();
        let to = place_of(root, &from);
        if path.extension().is_none_or(|extension| extension != "md") {
            stage.copies.insert((from, to));
            continue;
        }
        let mut text = files::read(&path)?;
        if to == Path::new("SUMMARY.md") {
            text.push_str(&summary_of_outside());
        } else {
            text = relink(root, &from, &text, &mut stage.copies)?;
        }
        stage.pages.push((to, text));
    }
    Ok(stage)
}

fn summary_of_outside() -> String {
    let lines = OUTSIDE.iter();
    let lines = lines.map(|Outside { place, title, .. }| format!("- [{title}]({place})\n"));
    format!("\n# The repository\n\n{}", lines.collect::<String>())
}

/// Where a file of the repository stands in the book.
fn place_of(root: &Path, path: &Path) -> PathBuf {
    let is_this = |outside: &&Outside| path == Path::new(outside.page);
    if let Some(outside) = OUTSIDE.iter().find(is_this) {
        return outside.place.into();
    }
    match path.strip_prefix("docs") {
        Ok(page) if page == Path::new("") => "index.html".into(),
        Ok(page) => page.to_owned(),
        // Of a folder, its head is shown.
        Err(_) if root.join(path).is_dir() => Path::new(FILES).join(path).join("Cargo.toml"),
        Err(_) => Path::new(FILES).join(path),
    }
}

/// The text of a page with its links led about the book; what they lead to joins the copies.
fn relink(
    root: &Path,
    page: &Path,
    text: &str,
    copies: &mut BTreeSet<(PathBuf, PathBuf)>,
) -> Result<String, String> {
    let folder = page.parent().unwrap_or(page);
    let here = place_of(root, page);
    let up = "../".repeat(here.components().count() - 1);
    let mut staged = String::new();
    let mut done = 0;
    for link in Page::of(text).links {
        if link.span.is_empty() {
            continue;
        }
        let fault = |fault: &str| format!("{}:{}: {fault}", page.display(), link.line);
        let target = match target_of(&link.target).map_err(|error| fault(&error))? {
            Target::Web | Target::File { path: "", .. } => continue,
            Target::Rustdoc { path, anchor, .. } => format!("{up}../{path}{}", hash(anchor)),
            Target::File { path, anchor } => {
                let to = normalized(&folder.join(path));
                let to = to.ok_or_else(|| fault("leads out of the repository"))?;
                let place = place_of(root, &to);
                if place.starts_with(FILES) {
                    let from = match root.join(&to).is_dir() {
                        true => to.join("Cargo.toml"),
                        false => to,
                    };
                    copies.insert((from, place.clone()));
                }
                format!("{up}{}{}", place.display(), hash(anchor))
            }
        };
        staged.push_str(&text[done..link.span.start]);
        staged.push_str(&target);
        done = link.span.end;
    }
    staged.push_str(&text[done..]);
    Ok(staged)
}

fn hash(anchor: Option<&str>) -> String {
    anchor.map_or(String::new(), |anchor| format!("#{anchor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relinked(page: &str, text: &str) -> (String, Vec<String>) {
        let mut copies = BTreeSet::new();
        let root = files::root();
        let text = relink(root, Path::new(page), text, &mut copies).expect("all links are good");
        let copies = copies.into_iter();
        let copies = copies.map(|(from, to)| format!("{} -> {}", from.display(), to.display()));
        (text, copies.collect())
    }

    #[test]
    fn links_lead_about_the_book() {
        let (text, copies) = relinked(
            "docs/tutorials/a.md",
            "[a](../b.md#c) [d](../../ARCHITECTURE.md) [e](../../xtask/src/main.rs) [f](#g)\n\
             [h](../../target/doc/tidu/struct.F.html#m) [i](https://example.org) [j](k.md)",
        );
        assert_eq!(
            text,
            "[a](../b.md#c) [d](../ARCHITECTURE.md) [e](../files/xtask/src/main.rs) [f](#g)\n\
             [h](../../tidu/struct.F.html#m) [i](https://example.org) [j](../tutorials/k.md)"
        );
        assert_eq!(copies, ["xtask/src/main.rs -> files/xtask/src/main.rs"]);
    }

    #[test]
    fn pages_from_outside_lead_into_the_book() {
        let (text, copies) = relinked("ARCHITECTURE.md", "[a](docs/laws.md) [b](xtask)");
        assert_eq!(text, "[a](laws.md) [b](files/xtask/Cargo.toml)");
        assert_eq!(copies, ["xtask/Cargo.toml -> files/xtask/Cargo.toml"]);
        let (text, _) = relinked("docs/types.md", "[a](../examples/tensor/README.md#memory)");
        assert_eq!(text, "[a](tensor-set.md#memory)");
        let (text, _) = relinked("examples/tensor/README.md", "[a](../../docs/laws.md)");
        assert_eq!(text, "[a](laws.md)");
    }
}
