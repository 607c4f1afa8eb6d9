//! `cargo xtask api`: the public items of each library as text, so that a change of them is seen in a diff.

pub mod modules;
mod print;
mod surface;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::files;
use crate::sources::LIBRARIES;
use modules::Modules;

const HEAD: &str = "\
# The public items, one a line, sorted by path; written by `cargo xtask api`, and compared by `cargo xtask lint`.
# An item of several paths stands at its shortest. Types are written as in the source. What a macro makes is not
# expanded: `crate::name!` has the calls of the macro, and the heads of what its definition has.
";

/// Writes the public items of all libraries.
pub fn run() -> Result<(), String> {
    for library in LIBRARIES {
        let path = path_of(files::root(), library);
        let written = std::fs::write(&path, text_of(files::root(), library)?);
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// How the public items differ from what was last written of them.
pub fn changes(root: &Path) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for library in LIBRARIES {
        let path = path_of(root, library);
        let written = files::read(&path).unwrap_or_default();
        let changes = changed_lines(&written, &text_of(root, library)?);
        if !changes.is_empty() {
            faults.push(format!(
                "the public items of {library} are not those of crates/{library}/api.txt; if that is meant, \
                 `cargo xtask api` writes them anew:\n{changes}"
            ));
        }
    }
    Ok(faults)
}

fn path_of(root: &Path, library: &str) -> PathBuf {
    root.join("crates").join(library).join("api.txt")
}

fn text_of(root: &Path, library: &str) -> Result<String, String> {
    let source = root.join("crates").join(library).join("src/lib.rs");
    let lines = surface::lines(&Modules::read(&source)?, &library.replace('-', "_"));
    let lines = lines
        .into_iter()
        .map(|(path, text)| format!("{path}: {text}\n"));
    Ok(HEAD.to_owned() + &lines.collect::<String>())
}

/// Lines that are only in one of two texts, in which no line comes twice.
fn changed_lines(old: &str, new: &str) -> String {
    let [old, new]: [BTreeSet<&str>; 2] = [old, new].map(|text| text.lines().collect());
    let mut changes: Vec<(&str, char)> = Vec::new();
    changes.extend(old.difference(&new).map(|line| (*line, '-')));
    changes.extend(new.difference(&old).map(|line| (*line, '+')));
    changes.sort_by_key(|&(line, mark)| (line.split(' ').next(), mark == '+', line));
    let changes = changes.into_iter();
    changes
        .map(|(line, mark)| format!("  {mark} {line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn changed_lines_stand_together() {
        let changes = changed_lines("a: 1\nb: 1\nc: 1\n", "a: 1\nb: 2\nd: 1\n");
        assert_eq!(changes, "  - b: 1\n  + b: 2\n  - c: 1\n  + d: 1\n");
        assert_eq!(changed_lines("a\n", "a\n"), "");
    }

    #[test]
    fn all_libraries_are_read() {
        for library in LIBRARIES {
            let text = text_of(files::root(), library).expect("the library can be parsed");
            assert!(text.lines().count() > HEAD.lines().count(), "{library}");
            let again = text_of(files::root(), library);
            assert_eq!(again.as_ref(), Ok(&text), "{library}");
        }
    }

    #[test]
    fn public_items_stand_where_users_find_them() {
        let folder = std::env::temp_dir().join(format!("xtask-{}-api", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("can write");
            fs::write(path, text).expect("can write");
        };
        write(
            "lib.rs",
            "mod a;\n/// Text.\n#[cfg(feature = \"m\")]\npub mod m;\nmod n { pub trait Hidden {} pub struct Lost; }\n\
             pub use a::{S, T as U, f}; pub use other::{Thing, sub::Other as Another};\n\
             #[cfg(test)] mod tests { pub fn no() {} }\n\
             macro_rules! make { ($T:ty) => { impl $T { pub fn made(&self) -> $T { *self } } } }\n\
             make!(S); impl n::Hidden for S<u8> {}\n",
        );
        write(
            "a.rs",
            "mod deep; use crate::m::E; pub use deep::f;\n\
             #[derive(Clone, Debug)] #[non_exhaustive] pub struct S<X: Copy> { pub x: X, y: u8 }\n\
             impl<X: Copy> S<X> { pub const fn new(x: X) -> Self { S { x, y: 0 } } fn own(&self) {} }\n\
             impl<X: Copy> From<E> for S<X> { fn from(_: E) -> Self { loop {} } }\n\
             impl std::ops::Add<S<u8>> for f64 { type Output = f64; fn add(self, _: S<u8>) -> f64 { self } }\n\
             pub trait T: Sized { type K; fn need(&self); fn have(&self) -> u8 { 0 } }\n\
             impl<X: Copy> T for Vec<X> { type K = X; fn need(&self) {} }\n",
        );
        write("a/deep.rs", "pub fn f(\n    x: u8,\n) {}\n");
        write(
            "m.rs",
            "pub enum E { A, B { x: u8 }, C(u8) }\npub use crate::a::f;\n",
        );
        let modules = Modules::read(&folder.join("lib.rs")).expect("this is a crate");
        let lines = surface::lines(&modules, "k").into_iter();
        let text: String = lines
            .map(|(path, text)| format!("{path}: {text}\n"))
            .collect();
        fs::remove_dir_all(&folder).expect("can remove");
        let expected = "\
k::Another: pub use other::sub::Other
k::S: #[derive(Clone, Debug)] #[non_exhaustive] pub struct S<X: Copy> { .. }
k::S: impl std::ops::Add<S<u8>> for f64 { type Output = f64; }
k::S: impl<X: Copy> From<E> for S<X>
k::S::new: pub const fn new(x: X) -> Self, of impl<X: Copy> S<X>
k::S::x: pub x: X
k::Thing: pub use other::Thing
k::U: impl<X: Copy> T for Vec<X> { type K = X; }
k::U: pub trait T: Sized
k::U::K: type K
k::U::have: fn have(&self) -> u8 { .. }
k::U::need: fn need(&self)
k::f: pub fn f(x: u8)
k::m: #[cfg(feature = \"m\")] pub mod m
k::m::E: pub enum E
k::m::E::A: A
k::m::E::B: B { x: u8 }
k::m::E::C: C(u8)
k::m::f: pub use k::f
k::make!: impl $T
k::make!: make!(S)
k::make!: pub fn made(&self) -> $T
";
        assert_eq!(text, expected);
    }
}
