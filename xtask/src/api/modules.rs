//! The modules of a crate as they are written, and what a path in one of them names.

use std::path::{Path, PathBuf};

use syn::{Attribute, Item, ItemUse, UseTree, Visibility};

use crate::files;

/// The root of a crate among its modules.
pub const ROOT: usize = 0;

pub struct Module {
    parent: usize,
    name: String,
    pub items: Vec<Item>,
    pub children: Vec<usize>,
}

/// All modules of a crate but those of tests.
pub struct Modules(pub Vec<Module>);

/// What a name stands for: an item by its module and its place in there, or a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    Item(usize, usize),
    Module(usize),
}

/// A name that a `use` brings in: the path that it names, and what it is called here (`*` for all).
pub struct Import {
    pub path: Vec<String>,
    pub alias: String,
}

impl Modules {
    /// Reads a crate from its root.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut modules = Self(Vec::new());
        let folder = root.parent().unwrap_or(root).to_owned();
        let file = parsed(root)?;
        let mut pending = vec![(ROOT, String::new(), file, folder)];
        while let Some((parent, name, items, folder)) = pending.pop() {
            let id = modules.0.len();
            if id != ROOT {
                modules.0[parent].children.push(id);
            }
            for item in &items {
                let Item::Mod(module) = item else { continue };
                if is_for_tests(&module.attrs) {
                    continue;
                }
                let name = module.ident.to_string();
                let below = folder.join(&name);
                let items = match &module.content {
                    Some((_, items)) => items.clone(),
                    None => parsed(&file_of(&below))?,
                };
                pending.push((id, name, items, below));
            }
            let children = Vec::new();
            modules.0.push(Module {
                parent,
                name,
                items,
                children,
            });
        }
        Ok(modules)
    }

    /// The path of a module in its crate; `lib` for the root.
    pub fn path(&self, module: usize) -> String {
        let mut names = Vec::new();
        let mut at = module;
        while at != ROOT {
            names.push(self.0[at].name.as_str());
            at = self.0[at].parent;
        }
        match names.is_empty() {
            true => "lib".into(),
            false => names.into_iter().rev().collect::<Vec<_>>().join("::"),
        }
    }

    /// What a path stands for, seen from a module; nothing if it leads out of the crate.
    pub fn named(&self, from: usize, path: &[String]) -> Vec<Named> {
        let Some((first, rest)) = path.split_first() else {
            return vec![Named::Module(from)];
        };
        match first.as_str() {
            "crate" => self.named(ROOT, rest),
            "self" => self.named(from, rest),
            "super" => self.named(self.0[from].parent, rest),
            name => {
                let found = self.declared(from, name);
                if rest.is_empty() {
                    return found;
                }
                let modules = found.into_iter().filter_map(|named| match named {
                    Named::Module(id) => Some(id),
                    Named::Item(..) => None,
                });
                modules.flat_map(|id| self.named(id, rest)).collect()
            }
        }
    }

    /// What has a name in a module, be it defined or brought in.
    fn declared(&self, module: usize, name: &str) -> Vec<Named> {
        let mut found: Vec<Named> = Vec::new();
        let here = &self.0[module];
        let children = here.children.iter().copied();
        found.extend(
            children
                .filter(|&id| self.0[id].name == name)
                .map(Named::Module),
        );
        for (at, item) in here.items.iter().enumerate() {
            if name_of(item).as_deref() == Some(name) && !matches!(item, Item::Mod(_)) {
                found.push(Named::Item(module, at));
            }
        }
        if !found.is_empty() {
            return found;
        }
        for item in &here.items {
            let Item::Use(item) = item else { continue };
            for import in imports(item) {
                // A path to another crate of the same name as what it brings in would lead back here.
                if import.alias == name && import.path.first().is_none_or(|first| first != name) {
                    found.extend(self.named(module, &import.path));
                }
            }
        }
        found
    }
}

/// The names that a `use` brings in.
pub fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    let mut pending = vec![(Vec::new(), &item.tree)];
    while let Some((mut path, tree)) = pending.pop() {
        let (name, alias) = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                pending.push((path, &tree.tree));
                continue;
            }
            UseTree::Group(group) => {
                pending.extend(group.items.iter().map(|tree| (path.clone(), tree)));
                continue;
            }
            UseTree::Glob(_) => (None, "*".to_owned()),
            UseTree::Name(tree) if tree.ident == "self" => {
                (None, path.last().cloned().unwrap_or_default())
            }
            UseTree::Name(tree) => (Some(&tree.ident), tree.ident.to_string()),
            UseTree::Rename(tree) => (Some(&tree.ident), tree.rename.to_string()),
        };
        path.extend(name.map(ToString::to_string));
        found.push(Import { path, alias });
    }
    found
}

/// The name that an item defines.
pub fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Mod(item) => &item.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

pub fn is_public(item: &Item) -> bool {
    let visibility = match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Mod(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        Item::Union(item) => &item.vis,
        Item::Use(item) => &item.vis,
        _ => return false,
    };
    matches!(visibility, Visibility::Public(_))
}

/// `cfg(test)` and `cfg(doctest)`, with whatever else.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = super::print::text(&attribute.meta);
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
        words[0] == "cfg" && (words.contains(&"test") || words.contains(&"doctest"))
    })
}

fn file_of(below: &Path) -> PathBuf {
    let file = below.with_extension("rs");
    match file.exists() {
        true => file,
        false => below.join("mod.rs"),
    }
}

fn parsed(path: &Path) -> Result<Vec<Item>, String> {
    let file = syn::parse_file(&files::read(path)?);
    let file = file.map_err(|error| format!("cannot parse {}: {error}", path.display()))?;
    Ok(file.items)
}
