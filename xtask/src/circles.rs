//! Which modules of a library use each other in a circle, when each should use those below it only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, Visibility};

use crate::api::modules::{Modules, Named, imports};
use crate::sources::LIBRARIES;

/// A use of one module by another that is known to close a circle: the library, the user (`a::*` is any file
/// of the folder `a`), and what it uses.
type Known = (&'static str, &'static str, &'static str);

const KNOWN: &[Known] = &[
    // An operation says by which rules it may be replaced, and rules work on terms of operations.
    ("tidu-graph", "operation", "simplify::terms"),
    // An operation says which functions it holds, which are graphs of operations.
    ("tidu-graph", "operation", "sub_function"),
    // A primitive puts what its rules emit into a builder, which adds with the addition of the primitives; and one of
    // them may be a function.
    ("tidu-ad", "rules::builder", "rules::primitive"),
    ("tidu-ad", "rules::primitive", "function::composite"),
    // The methods of a function, or of a tape, are in files by what they do, which use one another.
    ("tidu-ad", "function::*", "function"),
    ("tidu-eager", "tape::*", "tape"),
    // Functions are derived by the derivatives of operations, which are functions.
    ("tidu-ad", "operation_derivative", "function"),
    // Operations and the table of their definitions.
    ("tidu-scalar", "op", "definition"),
    ("tidu-scalar", "op", "simplify"),
];

/// By module: the modules that it uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// Circles of the modules of each library, but for those that are known.
pub fn faults(root: &Path) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for library in LIBRARIES {
        let source = root.join("crates").join(library).join("src/lib.rs");
        let known = KNOWN.iter().filter(|(of, ..)| of == library);
        let known: Vec<(&str, &str)> = known.map(|(_, user, used)| (*user, *used)).collect();
        let found = faults_of(uses(&Modules::read(&source)?), &known);
        faults.extend(found.iter().map(|fault| format!("{library}: {fault}")));
    }
    Ok(faults)
}

fn faults_of(mut uses: Uses, known: &[(&str, &str)]) -> Vec<String> {
    let closing = on_circles(&uses);
    let stale = known.iter().filter(|known| {
        let mut closing = closing.iter();
        !closing.any(|(user, used)| is_known(user, used, known))
    });
    let stale = stale.map(|(user, used)| {
        format!("{user} uses {used} in no circle: take it out of KNOWN (xtask/src/circles.rs)")
    });
    for (user, used) in &mut uses {
        used.retain(|used| !known.iter().any(|known| is_known(user, used, known)));
    }
    let circles = on_circles(&uses).into_iter().map(|(user, used)| {
        format!("{user} uses {used} in a circle: move what it uses to a module below both")
    });
    stale.chain(circles).collect()
}

fn is_known(user: &str, used: &str, (known_user, known_used): &(&str, &str)) -> bool {
    let is_user = match known_user.strip_suffix('*') {
        Some(folder) => user.starts_with(folder),
        None => user == *known_user,
    };
    is_user && used == *known_used
}

/// The uses from which one comes back to where one was.
fn on_circles(uses: &Uses) -> Vec<(String, String)> {
    let pairs = uses.iter();
    let pairs = pairs.flat_map(|(user, used)| used.iter().map(move |used| (user, used)));
    let circular = pairs.filter(|(user, used)| leads_to(uses, used, user));
    circular
        .map(|(user, used)| (user.clone(), used.clone()))
        .collect()
}

fn leads_to(uses: &Uses, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut pending = vec![from];
    while let Some(module) = pending.pop() {
        if module == to {
            return true;
        }
        let used = uses.get(module).into_iter().flatten();
        pending.extend(used.map(String::as_str).filter(|used| seen.insert(*used)));
    }
    false
}

/// Who uses whom. A re-export is a use if the module itself has a use for the name.
fn uses(modules: &Modules) -> Uses {
    let mut uses = Uses::new();
    for (id, module) in modules.0.iter().enumerate() {
        let (imported, items): (Vec<_>, Vec<_>) = module
            .items
            .iter()
            .filter(|item| !matches!(item, Item::Mod(_)))
            .partition(|item| matches!(item, Item::Use(_)));
        let mut paths = Vec::new();
        for item in items {
            collect_paths(item.to_token_stream(), &mut paths);
        }
        let firsts: BTreeSet<String> = paths.iter().map(|path| path[0].clone()).collect();
        for item in imported {
            let Item::Use(item) = item else { continue };
            let is_private = matches!(item.vis, Visibility::Inherited);
            let needed = imports(item).into_iter();
            let needed = needed.filter(|import| is_private || firsts.contains(&import.alias));
            paths.extend(needed.map(|import| import.path));
        }
        let used = paths.iter().flat_map(|path| modules_of(modules, id, path));
        let used = used.filter(|used| *used != id);
        let used: BTreeSet<String> = used.map(|used| modules.path(used)).collect();
        uses.insert(modules.path(id), used);
    }
    uses
}

/// The modules that define what a path names: its longest part that names something in this crate.
fn modules_of(modules: &Modules, from: usize, path: &[String]) -> Vec<usize> {
    let is_path = path.len() > 1;
    let parts = (2..=path.len()).rev().map(|length| &path[..length]);
    let found = parts.map(|part| modules.named(from, part));
    let found = found.filter(|_| is_path).find(|found| !found.is_empty());
    let found = found.unwrap_or_default().into_iter();
    found
        .map(|named| match named {
            Named::Item(module, _) | Named::Module(module) => module,
        })
        .collect()
}

/// The paths that stand in a source, single names among them.
fn collect_paths(tokens: TokenStream, paths: &mut Vec<Vec<String>>) {
    let mut pending = vec![tokens];
    while let Some(tokens) = pending.pop() {
        // How many colons stand behind the last name.
        let mut colons = 0;
        let mut open = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    match paths.last_mut() {
                        Some(path) if open && colons == 2 => path.push(name.to_string()),
                        _ => paths.push(vec![name.to_string()]),
                    }
                    (open, colons) = (true, 0);
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    pending.push(group.stream());
                    open = false;
                }
                _ => open = false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn modules_of_the_libraries_use_those_below_them() {
        let faults = faults(files::root()).expect("the sources can be read");
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    fn uses_of(pairs: &[(&str, &str)]) -> Uses {
        let mut uses = Uses::new();
        for (user, used) in pairs {
            let all = uses.entry((*user).to_owned()).or_default();
            all.insert((*used).to_owned());
        }
        uses
    }

    #[test]
    fn what_only_leads_to_a_circle_is_no_part_of_it() {
        let uses = uses_of(&[
            ("top", "a"),
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "base"),
        ]);
        let circle = [("a", "b"), ("b", "c"), ("c", "a")];
        let circle = circle.map(|(user, used)| (user.to_owned(), used.to_owned()));
        assert_eq!(on_circles(&uses), circle);
    }

    #[test]
    fn a_circle_is_a_fault_unless_it_is_known() {
        let uses = || uses_of(&[("tape", "tape::a"), ("tape::a", "tape")]);
        assert_eq!(faults_of(uses(), &[]).len(), 2);
        assert_eq!(faults_of(uses(), &[("tape::a", "tape")]), [""; 0]);
        assert_eq!(faults_of(uses(), &[("tape::*", "tape")]), [""; 0]);
    }

    #[test]
    fn a_circle_that_is_gone_is_known_no_longer() {
        let faults = faults_of(uses_of(&[("a", "b")]), &[("a", "b")]);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("a uses b in no circle"), "{faults:?}");
    }

    #[test]
    fn paths_are_read_wherever_they_stand() {
        let mut paths = Vec::new();
        let source = "fn f(a: crate::x::Y<super::Z>) { call!(y::g(b)) }";
        collect_paths(source.parse().expect("well-formed"), &mut paths);
        let paths: Vec<String> = paths.iter().map(|path| path.join("::")).collect();
        for path in ["crate::x::Y", "super::Z", "y::g", "b"] {
            assert!(paths.iter().any(|found| found == path), "{path}: {paths:?}");
        }
    }
}
