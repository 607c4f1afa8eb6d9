//! Where links lead, and whether there is something.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::html;
use super::page::Page;
use crate::files;

/// The folders in which links lead about.
pub struct Folders {
    /// The repository.
    pub root: PathBuf,
    /// What rustdoc writes, or `None` to believe links that lead there.
    pub rustdoc: Option<PathBuf>,
}

/// What a link means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<'a> {
    /// A page of rustdoc: how many folders up its folder is looked for, a path below that, and an anchor.
    Rustdoc {
        up: usize,
        path: &'a str,
        anchor: Option<&'a str>,
    },
    /// A page of the web.
    Web,
    /// A file, by its path from where the link stands (empty: the page itself), and an anchor.
    File {
        path: &'a str,
        anchor: Option<&'a str>,
    },
}

/// Where rustdoc writes its pages, below the repository.
const RUSTDOC: &str = "target/doc/";

/// Where docs.rs shows the pages of a crate that was published.
const DOCS_RS: &str = "https://docs.rs/";

/// The crates whose pages are ours, and not to be looked for on docs.rs: what it shows is what somebody published.
const CRATES: &[&str] = &["tidu", "tidu-graph", "tidu-ad", "tidu-eager", "tidu-scalar"];

/// What the text of a link means.
pub fn target_of(link: &str) -> Result<Target<'_>, String> {
    if link.trim() != link || link.contains(char::is_whitespace) {
        return Err("has a space in it".into());
    }
    let below = link.trim_start_matches("../");
    if let Some(path) = below.strip_prefix(RUSTDOC) {
        let up = (link.len() - below.len()) / "../".len();
        let (path, anchor) = split_anchor(path);
        return Ok(Target::Rustdoc { up, path, anchor });
    }
    if is_ours_on_docs_rs(link) {
        return Err(format!(
            "is to docs.rs, which shows what was published under that name: lead to `../{RUSTDOC}…`"
        ));
    }
    if let Some((scheme, rest)) = link.split_once("://") {
        let host = rest.split(['/', '#', '?']).next().unwrap_or_default();
        let is_host = host.contains('.') && host.split('.').all(|part| !part.is_empty());
        return match (scheme, is_host) {
            ("https" | "http", true) => Ok(Target::Web),
            ("https" | "http", false) => Err(format!("`{host}` is not the name of a host")),
            _ => Err(format!("the scheme `{scheme}` is not one of the web")),
        };
    }
    if link.is_empty() {
        return Err("leads nowhere".into());
    }
    if link.starts_with('/') {
        return Err("starts at the root of a file system or host".into());
    }
    let (path, anchor) = split_anchor(link);
    if path.contains(':') {
        return Err("is neither a path nor an address of the web".into());
    }
    Ok(Target::File { path, anchor })
}

fn is_ours_on_docs_rs(link: &str) -> bool {
    let name = link.strip_prefix(DOCS_RS);
    let name = name.and_then(|path| path.split(['/', '#']).next());
    name.is_some_and(|name| CRATES.contains(&name))
}

fn split_anchor(link: &str) -> (&str, Option<&str>) {
    match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    }
}

/// A path with `..` taken out; `None` if it leads above its start.
pub fn normalized(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if !parts.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            part => parts.push(part),
        }
    }
    Some(parts)
}

/// Reads each file that links lead to once.
pub struct Checker {
    folders: Folders,
    anchors: HashMap<PathBuf, HashSet<String>>,
}

impl Checker {
    pub fn new(folders: Folders) -> Self {
        Self {
            folders,
            anchors: HashMap::new(),
        }
    }

    /// What is wrong with the links of a page of Markdown.
    pub fn page(&mut self, path: &Path) -> Result<Vec<String>, String> {
        self.page_where(path, |_| Ok(()))
    }

    /// What is wrong with the links of a page that is shown beside a published package, where nothing else of the
    /// repository is.
    pub fn page_of_package(&mut self, path: &Path) -> Result<Vec<String>, String> {
        self.page_where(path, |target| match target {
            Target::Web | Target::File { path: "", .. } => Ok(()),
            Target::File { .. } | Target::Rustdoc { .. } => {
                Err("leads out of the package: name what it leads to".into())
            }
        })
    }

    /// What is wrong with the links of a page some of which are not allowed.
    fn page_where(
        &mut self,
        path: &Path,
        allowed: impl Fn(&Target<'_>) -> Result<(), String>,
    ) -> Result<Vec<String>, String> {
        let page = Page::of(&files::read(path)?);
        let here = self.relative(path);
        let mut faults = Vec::new();
        for (line, label) in &page.undefined {
            let label = format!("the reference [{label}] is defined nowhere");
            faults.push(located(&here, *line, &label));
        }
        for link in &page.links {
            let target = target_of(&link.target);
            let target = target.and_then(|target| allowed(&target).map(|()| target));
            if let Err(fault) = target.and_then(|target| self.link(path, target)) {
                let fault = format!("the link to `{}` {fault}", link.target);
                faults.push(located(&here, link.line, &fault));
            }
        }
        Ok(faults)
    }

    /// What is wrong with the links in the comments of a source. Links to items are left to rustdoc, and
    /// links to the book start from the head of a library.
    pub fn source(&mut self, path: &Path) -> Result<Vec<String>, String> {
        let comments = documentation(&files::read(path)?);
        let here = self.relative(path);
        let mut faults = Vec::new();
        for link in &Page::of(&comments).links {
            let result = match link.target.strip_prefix("../book/") {
                Some(page) => self.link_to_book(page),
                None if is_item(&link.target) => Ok(()),
                None => match target_of(&link.target) {
                    Ok(Target::File { .. } | Target::Rustdoc { .. }) => Err(
                        "is to a file, which is not there on docs.rs: name an item, or a page of the \
                         book as `../book/page.html`"
                            .into(),
                    ),
                    Ok(Target::Web) => Ok(()),
                    Err(fault) => Err(fault),
                },
            };
            if let Err(fault) = result {
                let fault = format!("the link to `{}` {fault}", link.target);
                faults.push(located(&here, link.line, &fault));
            }
        }
        Ok(faults)
    }

    /// What is wrong with the links of a page of HTML that are wanted, all of which lead to files.
    pub fn html(
        &mut self,
        path: &Path,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, String> {
        let text = files::read(path)?;
        let here = self.relative(path);
        let mut faults = Vec::new();
        for name in ["href", "src"] {
            for link in html::attributes(&text, name) {
                let is_outside = link.value.contains("://") || link.value.starts_with("data:");
                if is_outside || link.value.is_empty() || !wanted(&link.value) {
                    continue;
                }
                let (to, anchor) = split_anchor(&link.value);
                // What follows `?` tells browsers one version of a file from another.
                let to = to.split('?').next().unwrap_or(to);
                if let Err(fault) = self.file(path, to, anchor) {
                    let fault = format!("the link to `{}` {fault}", link.value);
                    faults.push(located(&here, link.line, &fault));
                }
            }
        }
        Ok(faults)
    }

    fn link(&mut self, from: &Path, target: Target<'_>) -> Result<(), String> {
        match target {
            Target::Web => Ok(()),
            Target::Rustdoc { up, path, anchor } => {
                let folder = from.parent().unwrap_or(from);
                let folder = folder.strip_prefix(&self.folders.root).unwrap_or(folder);
                if up != folder.components().count() {
                    return Err(format!(
                        "does not lead to {RUSTDOC} of the repository: that is `{}{RUSTDOC}…` from here",
                        "../".repeat(folder.components().count())
                    ));
                }
                match self.folders.rustdoc.clone() {
                    Some(rustdoc) => self.file(&rustdoc.join("index.html"), path, anchor),
                    None => Ok(()),
                }
            }
            Target::File { path, anchor } => self.file(from, path, anchor),
        }
    }

    fn link_to_book(&mut self, page: &str) -> Result<(), String> {
        let (page, anchor) = split_anchor(page);
        let page = page.strip_suffix(".html");
        let page = page.ok_or("does not end in .html, as pages of the book do")?;
        let book = self.folders.root.join("docs/SUMMARY.md");
        match page {
            "index" => Ok(()),
            page => self.file(&book, &format!("{page}.md"), anchor),
        }
    }

    fn file(&mut self, from: &Path, path: &str, anchor: Option<&str>) -> Result<(), String> {
        let path = html::percent_decoded(path);
        let folder = from.parent().unwrap_or(from);
        let to = match path.as_str() {
            "" => from.to_owned(),
            path => normalized(&folder.join(path)).ok_or("leads out of the repository")?,
        };
        let is_inside = |folder: &Path| to.starts_with(folder);
        if !is_inside(&self.folders.root) && !self.folders.rustdoc.as_deref().is_some_and(is_inside)
        {
            return Err("leads out of the repository".into());
        }
        if !to.exists() {
            return Err(format!(
                "leads to {}, which is not there",
                self.relative(&to)
            ));
        }
        let Some(anchor) = anchor else { return Ok(()) };
        let anchor = html::percent_decoded(anchor);
        let page = self.relative(&to);
        match self.anchors(&to)? {
            None => Err(format!("has an anchor, which {page} cannot have")),
            Some(anchors) if anchors.contains(&anchor) => Ok(()),
            Some(_) => Err(format!("leads to `#{anchor}`, which {page} does not have")),
        }
    }

    fn anchors(&mut self, path: &Path) -> Result<Option<&HashSet<String>>, String> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !self.anchors.contains_key(path) {
            let anchors: HashSet<String> = match extension {
                Some("md") => Page::of(&files::read(path)?).anchors.into_iter().collect(),
                Some("html") => {
                    let text = files::read(path)?;
                    let ids = html::attributes(&text, "id").into_iter();
                    ids.map(|id| id.value).collect()
                }
                _ => return Ok(None),
            };
            self.anchors.insert(path.to_owned(), anchors);
        }
        Ok(self.anchors.get(path))
    }

    fn relative(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.folders.root).unwrap_or(path);
        relative.display().to_string()
    }
}

fn located(path: &str, line: usize, fault: &str) -> String {
    format!("{path}:{line}: {fault}")
}

/// Whether a link of a comment names an item, which rustdoc looks up.
fn is_item(link: &str) -> bool {
    !link.contains('/') && !link.contains(".html") && !link.contains(".md")
}

/// The texts that rustdoc reads, comments and attributes, each on the line on which it stands in the source.
fn documentation(source: &str) -> String {
    let mut text = String::new();
    let mut in_attribute = false;
    for line in source.lines() {
        let line = line.trim_start();
        let comment = line
            .strip_prefix("//!")
            .or_else(|| line.strip_prefix("///"));
        let attribute = match line.split_once("doc = \"") {
            Some((_, value)) => Some(value),
            None => in_attribute.then_some(line),
        };
        if let Some(value) = attribute {
            let end = value.rfind('"');
            in_attribute = end.is_none();
            text.push_str(&value[..end.unwrap_or(value.len())]);
        } else if let Some(comment) = comment {
            text.push_str(comment.strip_prefix(' ').unwrap_or(comment));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A repository with one page that is linked to, one source, and the pages of rustdoc.
    struct Repository(PathBuf);

    impl Repository {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
            let repository = Self(root);
            repository.write(
                "docs/there.md",
                "# Some *heading*\n\n## Other\n\n## Other\n",
            );
            repository.write("crates/tidu/src/lib.rs", "");
            repository.write(
                "doc/tidu/struct.F.html",
                "<h1 id=\"method.grad\"></h1><p id=\"impl-From%3CA%3E-for-F\">",
            );
            repository
        }

        fn write(&self, path: &str, text: &str) -> PathBuf {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("can write");
            fs::write(&path, text).expect("can write");
            path
        }

        fn checker(&self) -> Checker {
            Checker::new(Folders {
                root: self.0.clone(),
                rustdoc: Some(self.0.join("doc")),
            })
        }

        fn faults_of_page(&self, text: &str) -> Vec<String> {
            let page = self.write("docs/page.md", text);
            self.checker().page(&page).expect("the page is there")
        }

        fn faults_of_source(&self, text: &str) -> Vec<String> {
            let source = self.write("crates/tidu/src/lib.rs", text);
            self.checker().source(&source).expect("the source is there")
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_that_lead_somewhere() {
        let repository = Repository::new("good");
        let text = "# Here\n[a](there.md) [b](there.md#some-heading) [c](there.md#other-1) [d](#here)\n\
                    [e](../crates/tidu) [f](../crates/tidu/src/lib.rs) [g](https://example.org/x#y)\n\
                    [h](../target/doc/tidu/struct.F.html#method.grad)\n\
                    [i](../target/doc/tidu/struct.F.html#impl-From%3CA%3E-for-F)\n\
                    ![p](../docs/there.md) [k](https://docs.rs/serde/latest/serde/no.html)\n";
        assert_eq!(repository.faults_of_page(text), [""; 0]);
    }

    #[test]
    fn broken_links_of_a_page() {
        let repository = Repository::new("broken");
        let broken = [
            ("[x](gone.md)", "leads to docs/gone.md, which is not there"),
            (
                "![x](gone.svg)",
                "leads to docs/gone.svg, which is not there",
            ),
            (
                "[x](#gone)",
                "leads to `#gone`, which docs/page.md does not have",
            ),
            (
                "[x](there.md#other-2)",
                "leads to `#other-2`, which docs/there.md does not have",
            ),
            (
                "[x](there.md#Other)",
                "leads to `#Other`, which docs/there.md does not have",
            ),
            (
                "[x](../../../../../../../../etc/hosts)",
                "leads out of the repository",
            ),
            ("[x](../../etc)", "leads out of the repository"),
            (
                "[x](/docs/there.md)",
                "starts at the root of a file system or host",
            ),
            (
                "[x](../crates/tidu/src/lib.rs#L1)",
                "has an anchor, which crates/tidu/src/lib.rs cannot have",
            ),
            (
                "[x](https://example)",
                "`example` is not the name of a host",
            ),
            ("[x](https:///x)", "`` is not the name of a host"),
            (
                "[x](ftp://example.org)",
                "the scheme `ftp` is not one of the web",
            ),
            (
                "[x](mailto:someone)",
                "is neither a path nor an address of the web",
            ),
            ("[x](<there .md>)", "has a space in it"),
            ("[x]()", "leads nowhere"),
            (
                "<a href=\"gone.md\">x</a>",
                "leads to docs/gone.md, which is not there",
            ),
            (
                "[x][y]\n\n[y]: gone.md",
                "leads to docs/gone.md, which is not there",
            ),
            ("[x][y]", "the reference [y] is defined nowhere"),
            (
                "[x](https://docs.rs/tidu/latest/tidu/struct.F.html)",
                "which shows what was published under that name: lead to `../target/doc/…`",
            ),
            (
                "[x](target/doc/tidu/struct.F.html)",
                "does not lead to target/doc/ of the repository: that is `../target/doc/…` from here",
            ),
            (
                "[x](../target/doc/tidu/struct.G.html)",
                "leads to doc/tidu/struct.G.html, which is not there",
            ),
            (
                "[x](../target/doc/tidu/struct.F.html#method.hess)",
                "leads to `#method.hess`, which doc/tidu/struct.F.html does not have",
            ),
        ];
        for (link, fault) in broken {
            let faults = repository.faults_of_page(&format!("Text\n\n{link}\n"));
            assert_eq!(faults.len(), 1, "{link}: {faults:?}");
            let line = if link.contains("]: ") { 5 } else { 3 };
            assert!(
                faults[0].starts_with(&format!("docs/page.md:{line}: ")),
                "{faults:?}"
            );
            assert!(faults[0].ends_with(fault), "{faults:?}");
        }
    }

    #[test]
    fn the_page_of_a_package_leads_to_the_web_only() {
        let repository = Repository::new("package");
        let faults = |text: &str| {
            let page = repository.write("crates/tidu/README.md", text);
            let faults = repository.checker().page_of_package(&page);
            faults.expect("the page is there").join("\n")
        };
        assert_eq!(faults("# Here\n[a](https://example.org) [b](#here)\n"), "");
        for link in [
            "src/lib.rs",
            "../../docs/there.md",
            "../../target/doc/tidu/struct.F.html",
        ] {
            let expected = format!(
                "crates/tidu/README.md:1: the link to `{link}` leads out of the package: name what it leads to"
            );
            assert_eq!(faults(&format!("[a]({link})\n")), expected);
        }
    }

    #[test]
    fn links_of_comments() {
        let repository = Repository::new("comments");
        let good = "//! [a](Self::b) [`c`] [d](crate::D) [e](../book/there.html#other)\n\
                    fn f() {} // [not documentation](gone.md)\n\
                    #![cfg_attr(book, doc = \"[The book](../book/index.html)\")]\n";
        assert_eq!(repository.faults_of_source(good), [""; 0]);
        let broken = [
            (
                "../book/gone.html",
                "leads to docs/gone.md, which is not there",
            ),
            (
                "../book/there.html#no",
                "leads to `#no`, which docs/there.md does not have",
            ),
            (
                "../book/there.md",
                "does not end in .html, as pages of the book do",
            ),
            (
                "../docs/there.md",
                "name an item, or a page of the book as `../book/page.html`",
            ),
            (
                "../target/doc/tidu/fn.no.html",
                "name an item, or a page of the book as `../book/page.html`",
            ),
            (
                "https://docs.rs/tidu",
                "which shows what was published under that name: lead to `../target/doc/…`",
            ),
            ("https://example", "`example` is not the name of a host"),
        ];
        for (link, fault) in broken {
            for source in [
                format!("\n/// [x]({link})\nfn f() {{}}\n"),
                format!("\n#![cfg_attr(book, doc = \"[x]({link})\")]\n"),
                format!("#![doc = \"# Head\n[x]({link}).\"\n)]\n// no \"text\n"),
            ] {
                let faults = repository.faults_of_source(&source);
                assert_eq!(faults.len(), 1, "{link}: {faults:?}");
                assert!(
                    faults[0].starts_with("crates/tidu/src/lib.rs:2: "),
                    "{faults:?}"
                );
                assert!(faults[0].ends_with(fault), "{faults:?}");
            }
        }
    }

    #[test]
    fn links_of_html() {
        let repository = Repository::new("html");
        let text = "<a href=\"../tidu/struct.F.html#method.grad\"><a href=\"#top\" id=\"top\">\n\
                    <a href=\"https://example.org\"><a href=\"../tidu/gone.html\">\n\
                    <a href=\"../tidu/struct.F.html#no\"><img src=\"gone.svg\"><a href=\"#no\">";
        let page = repository.write("doc/book/page.html", text);
        let faults = repository.checker().html(&page, |_| true);
        let faults = faults.expect("the page is there").join("\n");
        let expected = "\
doc/book/page.html:2: the link to `../tidu/gone.html` leads to doc/tidu/gone.html, which is not there
doc/book/page.html:3: the link to `../tidu/struct.F.html#no` leads to `#no`, which doc/tidu/struct.F.html does not have
doc/book/page.html:3: the link to `#no` leads to `#no`, which doc/book/page.html does not have
doc/book/page.html:3: the link to `gone.svg` leads to doc/book/gone.svg, which is not there";
        assert_eq!(faults, expected);
    }
}
