//! What of a crate can be named from outside, one line each.

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::{
    Attribute, Fields, GenericArgument, GenericParam, Generics, ImplItem, Item, ItemImpl,
    ItemMacro, PathArguments, TraitItem, Type, Visibility,
};

use super::modules::{Modules, Named, ROOT, imports, is_public, name_of};
use super::print::text;

/// Attributes that a user of an item notices.
const NOTICED: &[&str] = &[
    "cfg",
    "deprecated",
    "derive",
    "must_use",
    "non_exhaustive",
    "repr",
];

type Lines = BTreeSet<(String, String)>;

/// The public items of a crate, by path.
pub fn lines(modules: &Modules, name: &str) -> Lines {
    let mut lines = Lines::new();
    let paths = public_paths(modules, name, &mut lines);
    for (named, path) in &paths {
        if let Named::Item(module, at) = *named {
            add_item(&modules.0[module].items[at], path, &mut lines);
        }
    }
    for (id, module) in modules.0.iter().enumerate() {
        for item in &module.items {
            match item {
                Item::Impl(item) => add_impl(modules, id, item, &paths, &mut lines),
                Item::Macro(item) => add_macro(item, name, &mut lines),
                _ => {}
            }
        }
    }
    lines
}

/// The shortest path of each item that has one; re-exports of other crates, and longer paths, become lines.
fn public_paths(modules: &Modules, name: &str, lines: &mut Lines) -> HashMap<Named, String> {
    let mut found: Vec<(Named, String)> = Vec::new();
    let mut pending = vec![(ROOT, name.to_owned())];
    let mut seen = BTreeSet::new();
    while let Some((id, path)) = pending.pop() {
        if !seen.insert((id, path.clone())) {
            continue;
        }
        let mut note = |named, path: String| match named {
            Named::Module(id) => pending.push((id, path)),
            item @ Named::Item(..) => found.push((item, path)),
        };
        for (at, item) in modules.0[id]
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| is_public(item))
        {
            if let Item::Use(item) = item {
                for import in imports(item) {
                    let to = match import.alias.as_str() {
                        "*" => path.clone(),
                        alias => format!("{path}::{alias}"),
                    };
                    let named = modules.named(id, &import.path);
                    if named.is_empty() {
                        let text =
                            format!("{}pub use {}", noticed(&item.attrs), import.path.join("::"));
                        lines.insert((to.clone(), text));
                    }
                    named.into_iter().for_each(|named| note(named, to.clone()));
                }
                continue;
            }
            let Some(name) = name_of(item) else { continue };
            let to = format!("{path}::{name}");
            if let Item::Mod(item) = item {
                lines.insert((
                    to.clone(),
                    format!("{}pub mod {name}", noticed(&item.attrs)),
                ));
                let child = modules.named(id, &[name]);
                child.into_iter().for_each(|named| note(named, to.clone()));
            } else {
                note(Named::Item(id, at), to);
            }
        }
    }
    found.sort_by_key(|(_, path)| (path.matches("::").count(), path.clone()));
    let mut paths: HashMap<Named, String> = HashMap::new();
    for (named, path) in found {
        let shortest = paths.entry(named).or_insert_with(|| path.clone());
        if *shortest != path {
            lines.insert((path, format!("pub use {shortest}")));
        }
    }
    paths
}

/// An item, and what can be named in it.
fn add_item(item: &Item, path: &str, lines: &mut Lines) {
    let mut add = |attributes: &[Attribute], text: String| {
        lines.insert((path.to_owned(), noticed(attributes) + &text));
    };
    match item {
        Item::Const(item) => add(
            &item.attrs,
            format!("pub const {}: {}", item.ident, text(&item.ty)),
        ),
        Item::Static(item) => add(
            &item.attrs,
            format!("pub static {}: {}", item.ident, text(&item.ty)),
        ),
        Item::Fn(item) => add(&item.attrs, format!("pub {}", text(&item.sig))),
        Item::Type(item) => {
            let head = head("pub type", Some(&item.ident), "", &item.generics);
            add(&item.attrs, format!("{head} = {}", text(&item.ty)));
        }
        Item::Struct(item) => {
            let all_public = item
                .fields
                .iter()
                .all(|field| matches!(field.vis, Visibility::Public(_)));
            let fields = match (&item.fields, all_public) {
                (Fields::Unit, _) => "",
                (Fields::Unnamed(_), true) => "(_)",
                (Fields::Unnamed(_), false) => "(..)",
                (Fields::Named(_), true) => " {}",
                (Fields::Named(_), false) => " { .. }",
            };
            add(
                &item.attrs,
                head("pub struct", Some(&item.ident), "", &item.generics) + fields,
            );
            for (at, field) in item.fields.iter().enumerate() {
                if matches!(field.vis, Visibility::Public(_)) {
                    let name = field
                        .ident
                        .as_ref()
                        .map_or(at.to_string(), ToString::to_string);
                    lines.insert((
                        format!("{path}::{name}"),
                        format!("pub {name}: {}", text(&field.ty)),
                    ));
                }
            }
        }
        Item::Enum(item) => {
            add(
                &item.attrs,
                head("pub enum", Some(&item.ident), "", &item.generics),
            );
            for variant in &item.variants {
                let mut bare = variant.clone();
                bare.attrs.clear();
                bare.fields.iter_mut().for_each(|field| field.attrs.clear());
                lines.insert((
                    format!("{path}::{}", bare.ident),
                    noticed(&variant.attrs) + &text(&bare),
                ));
            }
        }
        Item::Trait(item) => {
            let above = match item.supertraits.is_empty() {
                true => String::new(),
                false => format!(": {}", text(&item.supertraits)),
            };
            add(
                &item.attrs,
                head("pub trait", Some(&item.ident), &above, &item.generics),
            );
            for item in &item.items {
                let (name, text) = match item {
                    TraitItem::Fn(item) => match item.default {
                        Some(_) => (&item.sig.ident, format!("{} {{ .. }}", text(&item.sig))),
                        None => (&item.sig.ident, text(&item.sig)),
                    },
                    TraitItem::Type(item) => {
                        let mut bare = item.clone();
                        bare.attrs.clear();
                        (&item.ident, text(&bare).trim_end_matches(';').to_owned())
                    }
                    TraitItem::Const(item) => (
                        &item.ident,
                        format!("const {}: {}", item.ident, text(&item.ty)),
                    ),
                    _ => continue,
                };
                lines.insert((format!("{path}::{name}"), text));
            }
        }
        _ => {}
    }
}

/// What an `impl` adds to a public item: the type, or else the trait, or what the trait is of.
fn add_impl(
    modules: &Modules,
    from: usize,
    item: &ItemImpl,
    paths: &HashMap<Named, String>,
    lines: &mut Lines,
) {
    let path_of = |path: &syn::Path| -> Option<Option<&String>> {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        let is_parameter = |parameter: &GenericParam| match parameter {
            GenericParam::Type(parameter) => names == [parameter.ident.to_string()],
            _ => false,
        };
        if item.generics.params.iter().any(is_parameter) {
            return None;
        }
        // Something of this crate has a place, and a public path or none.
        let named = modules.named(from, &names);
        let named = named
            .iter()
            .filter(|named| matches!(named, Named::Item(..)));
        named.map(|named| paths.get(named)).reduce(Option::or)
    };
    let path_of_type = |ty: &Type| match peeled(ty) {
        Type::Path(ty) => path_of(&ty.path),
        _ => None,
    };
    let of = head(
        "impl",
        None,
        "",
        &Generics {
            where_clause: None,
            ..item.generics.clone()
        },
    );
    let bounds = item.generics.where_clause.as_ref();
    let bounds = bounds.map_or(String::new(), |bounds| format!(" {}", text(bounds)));
    let own = path_of_type(&item.self_ty);
    let Some((implemented, _)) = &item.trait_ else {
        let Some(Some(path)) = own else { return };
        let of = match item.generics.params.is_empty() {
            true => String::new(),
            false => format!(", of {of} {}{bounds}", text(&item.self_ty)),
        };
        for item in &item.items {
            let (visibility, name, text) = match item {
                ImplItem::Fn(item) => (
                    &item.vis,
                    &item.sig.ident,
                    noticed(&item.attrs) + "pub " + &text(&item.sig),
                ),
                ImplItem::Const(item) => (
                    &item.vis,
                    &item.ident,
                    format!("pub const {}: {}", item.ident, text(&item.ty)),
                ),
                _ => continue,
            };
            if matches!(visibility, Visibility::Public(_)) {
                lines.insert((format!("{path}::{name}"), text + &of));
            }
        }
        return;
    };
    let of_trait = path_of(implemented);
    if matches!(own, Some(None)) || matches!(of_trait, Some(None)) {
        return;
    }
    let arguments = implemented
        .segments
        .last()
        .map(|segment| &segment.arguments);
    let arguments = match arguments {
        Some(PathArguments::AngleBracketed(arguments)) => arguments.args.iter().collect(),
        _ => Vec::new(),
    };
    let of_arguments = arguments.into_iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => path_of_type(ty).flatten(),
        _ => None,
    });
    let Some(path) = own.flatten().or(of_trait.flatten()).or(of_arguments) else {
        return;
    };
    let types = item.items.iter().filter_map(|item| match item {
        ImplItem::Type(item) => Some(format!("type {} = {};", item.ident, text(&item.ty))),
        _ => None,
    });
    let types: Vec<String> = types.collect();
    let types = match types.is_empty() {
        true => String::new(),
        false => format!(" {{ {} }}", types.join(" ")),
    };
    let text = format!(
        "{of} {} for {}{bounds}{types}",
        text(implemented),
        text(&item.self_ty)
    );
    lines.insert((path.clone(), noticed(&item.attrs) + &text));
}

/// The call of a macro, or the heads of functions and `impl`s in its definition.
fn add_macro(item: &ItemMacro, name: &str, lines: &mut Lines) {
    let called = text(&item.mac.path);
    let Some(defined) = &item.ident else {
        let call = format!("{called}!({})", text(&item.mac.tokens));
        // A table is not made clearer by standing here.
        if call.len() < 120 {
            lines.insert((format!("{name}::{called}!"), call));
        }
        return;
    };
    let mut pending = vec![item.mac.tokens.clone()];
    while let Some(tokens) = pending.pop() {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => pending.push(group.stream()),
                TokenTree::Ident(word) => {
                    let next = tokens.get(at + 1).map(ToString::to_string);
                    let is_head =
                        word == "impl" || word == "pub" && next.is_some_and(|next| next == "fn");
                    let body = |token: &TokenTree| match token {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        _ => false,
                    };
                    let length = tokens[at..].iter().position(body);
                    // An `impl` among the arguments of a function is none of these.
                    if let (true, Some(length)) = (is_head, length) {
                        let head: TokenStream = tokens[at..at + length].iter().cloned().collect();
                        lines.insert((format!("{name}::{defined}!"), text(&head)));
                    }
                }
                _ => {}
            }
        }
    }
}

/// `pub struct Name<T> where …`, with something between the parameters and the bounds.
fn head(keyword: &str, name: Option<&Ident>, between: &str, generics: &Generics) -> String {
    let name = name.map_or(String::new(), |name| format!(" {name}"));
    let parameters = match generics.params.is_empty() {
        true => String::new(),
        false => format!("<{}>", text(&generics.params)),
    };
    let bounds = generics.where_clause.as_ref();
    let bounds = bounds.map_or(String::new(), |bounds| format!(" {}", text(bounds)));
    format!("{keyword}{name}{parameters}{between}{bounds}")
}

fn noticed(attributes: &[Attribute]) -> String {
    let noticed = attributes.iter().filter(|attribute| {
        let path = attribute.path();
        NOTICED.iter().any(|name| path.is_ident(name))
    });
    noticed
        .map(|attribute| format!("{} ", text(attribute)))
        .collect()
}

fn peeled(mut ty: &Type) -> &Type {
    while let Type::Reference(reference) = ty {
        ty = &reference.elem;
    }
    ty
}
