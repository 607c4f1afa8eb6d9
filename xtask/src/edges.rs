//! Which crate may depend on which: the layers of `ARCHITECTURE.md`, as a check.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// By package of the workspace: the packages of the workspace that it may depend on. Dependencies of
/// tests are free.
const ALLOWED_EDGES: &[(&str, &[&str])] = &[
    ("tidu-graph", &[]),
    ("tidu-ad", &["tidu-graph"]),
    ("tidu-eager", &["tidu-graph", "tidu-ad"]),
    ("tidu-scalar", &["tidu-graph", "tidu-ad", "tidu-eager"]),
    (
        "tidu",
        &["tidu-graph", "tidu-ad", "tidu-eager", "tidu-scalar"],
    ),
    ("tidu-benches", &[]),
    ("tidu-examples", &["tidu"]),
    ("tidu-tensor", &["tidu"]),
    (
        "tidu-testkit",
        &["tidu-graph", "tidu-ad", "tidu-eager", "tidu-scalar"],
    ),
    ("xtask", &[]),
];

/// Whoever differentiates depends on these two, so what they pull in stays small and is listed.
const CORE: &[&str] = &["tidu-graph", "tidu-ad"];

const ALLOWED_IN_CORE: &[&str] = &[
    "foldhash",
    "hashbrown",
    "slotmap",
    "smallvec",
    "thiserror",
    // Says which compiler slotmap is built by.
    "version_check",
    // What thiserror's derive is compiled from.
    "thiserror-impl",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// Dependencies between packages of the workspace that go against the layers.
pub fn forbidden_edges(metadata: &Value) -> Result<Vec<String>, String> {
    let packages = members(metadata)?;
    let names: HashSet<&str> = packages.iter().map(|package| package.name).collect();
    let mut faults = Vec::new();
    for package in &packages {
        let Some((_, allowed)) = ALLOWED_EDGES.iter().find(|(name, _)| *name == package.name)
        else {
            faults.push(format!(
                "{} has no line in ALLOWED_EDGES (xtask/src/edges.rs): say what it may depend on",
                package.name
            ));
            continue;
        };
        for dependency in package.dependencies()? {
            if names.contains(dependency) && !allowed.contains(&dependency) {
                faults.push(format!(
                    "{} must not depend on {dependency}: it may depend on {}",
                    package.name,
                    listed(allowed)
                ));
            }
        }
    }
    Ok(faults)
}

/// Packages of other people that the core pulls in and that are not on the list.
pub fn unexpected_packages(metadata: &Value) -> Result<Vec<String>, String> {
    let members = members(metadata)?;
    let names = package_names(metadata)?;
    let mut pending = Vec::new();
    for core in CORE {
        let package = members.iter().find(|package| package.name == *core);
        pending.push(package.ok_or(format!("there is no package {core}"))?.id);
    }
    let members: HashSet<&str> = members.iter().map(|package| package.id).collect();
    let mut seen: HashSet<&str> = pending.iter().copied().collect();
    let mut faults = Vec::new();
    while let Some(user) = pending.pop() {
        for dependency in resolved_dependencies(metadata, user)? {
            let name = names[dependency];
            if !seen.insert(dependency) {
                continue;
            }
            if members.contains(dependency) || ALLOWED_IN_CORE.contains(&name) {
                pending.push(dependency);
            } else {
                faults.push(format!(
                    "{name} is new among the dependencies of {}: {} pulls it in; if it is worth it, \
                     add it to ALLOWED_IN_CORE (xtask/src/edges.rs) and say why in ARCHITECTURE.md",
                    CORE.join(" and "),
                    names[user]
                ));
            }
        }
    }
    Ok(faults)
}

struct Package<'a> {
    name: &'a str,
    id: &'a str,
    value: &'a Value,
}

impl<'a> Package<'a> {
    fn new(value: &'a Value) -> Result<Self, String> {
        Ok(Self {
            name: text(value, "name")?,
            id: text(value, "id")?,
            value,
        })
    }

    /// The names of the packages that it declares to depend on, also for building.
    fn dependencies(&self) -> Result<Vec<&'a str>, String> {
        let dependencies = list(self.value, "dependencies")?.iter();
        dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(dependency, "name"))
            .collect()
    }
}

fn members(metadata: &Value) -> Result<Vec<Package<'_>>, String> {
    let ids = list(metadata, "workspace_members")?;
    let packages = list(metadata, "packages")?.iter();
    packages
        .filter(|package| ids.contains(&package["id"]))
        .map(Package::new)
        .collect()
}

fn package_names(metadata: &Value) -> Result<HashMap<&str, &str>, String> {
    let packages = list(metadata, "packages")?.iter().map(Package::new);
    packages
        .map(|package| package.map(|package| (package.id, package.name)))
        .collect()
}

/// The ids of the packages that one depends on with the features that are switched on.
fn resolved_dependencies<'a>(metadata: &'a Value, id: &str) -> Result<Vec<&'a str>, String> {
    let nodes = list(&metadata["resolve"], "nodes")?;
    let node = nodes.iter().find(|node| node["id"] == id);
    let node = node.ok_or_else(|| format!("`cargo metadata` does not resolve {id}"))?;
    let mut dependencies = Vec::new();
    for dependency in list(node, "deps")? {
        let kinds = list(dependency, "dep_kinds")?;
        if kinds.iter().any(|kind| kind["kind"] != "dev") {
            dependencies.push(text(dependency, "pkg")?);
        }
    }
    Ok(dependencies)
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "no other package of the workspace".into(),
        _ => names.join(", "),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    let text = value[field].as_str();
    text.ok_or_else(|| format!("`cargo metadata` lacks the text `{field}`"))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>, String> {
    let list = value[field].as_array();
    list.ok_or_else(|| format!("`cargo metadata` lacks the list `{field}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `cargo metadata` would say of packages, members of the workspace unless their name
    /// begins with `registry:`, with dependencies given as (user, kind, dependency).
    fn metadata(packages: &[&str], dependencies: &[(&str, Option<&str>, &str)]) -> Value {
        let name = |package: &str| package.trim_start_matches("registry:").to_owned();
        let of = |user: &str, each: &dyn Fn(Option<&str>, &str) -> Value| -> Vec<Value> {
            let own = dependencies.iter().filter(|(by, _, _)| *by == user);
            own.map(|(_, kind, on)| each(*kind, on)).collect()
        };
        let described = packages.iter().map(|id| {
            let declared = of(id, &|kind, on| json!({"name": name(on), "kind": kind}));
            json!({"name": name(id), "id": id, "dependencies": declared})
        });
        let resolved = packages.iter().map(|id| {
            let deps = of(
                id,
                &|kind, on| json!({"pkg": on, "dep_kinds": [{"kind": kind}]}),
            );
            json!({"id": id, "deps": deps})
        });
        let members = packages.iter().filter(|id| !id.starts_with("registry:"));
        json!({
            "packages": described.collect::<Vec<_>>(),
            "workspace_members": members.collect::<Vec<_>>(),
            "resolve": {"nodes": resolved.collect::<Vec<_>>()},
        })
    }

    const LAYERS: &[&str] = &[
        "tidu-graph",
        "tidu-ad",
        "tidu-eager",
        "tidu-scalar",
        "tidu",
        "registry:thiserror",
        "registry:syn",
        "registry:rand",
    ];

    #[test]
    fn edges_along_the_layers_are_allowed() {
        let metadata = metadata(
            LAYERS,
            &[
                ("tidu-ad", None, "tidu-graph"),
                ("tidu-scalar", None, "tidu-eager"),
                ("tidu", None, "tidu-scalar"),
                ("tidu-graph", None, "registry:thiserror"),
            ],
        );
        assert_eq!(forbidden_edges(&metadata), Ok(vec![]));
    }

    #[test]
    fn an_edge_against_the_layers_is_named() {
        let metadata = metadata(LAYERS, &[("tidu-ad", None, "tidu-eager")]);
        assert_eq!(
            forbidden_edges(&metadata),
            Ok(vec![
                "tidu-ad must not depend on tidu-eager: it may depend on tidu-graph".into()
            ])
        );
    }

    #[test]
    fn an_edge_for_building_counts_and_one_for_tests_does_not() {
        let upward = |kind| metadata(LAYERS, &[("tidu-graph", Some(kind), "tidu-scalar")]);
        assert_eq!(
            forbidden_edges(&upward("build")),
            Ok(vec![
                "tidu-graph must not depend on tidu-scalar: \
                 it may depend on no other package of the workspace"
                    .into()
            ])
        );
        assert_eq!(forbidden_edges(&upward("dev")), Ok(vec![]));
    }

    #[test]
    fn a_package_without_a_place_is_named() {
        let faults = forbidden_edges(&metadata(&["tidu-new"], &[])).expect("well-formed");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("tidu-new has no line"), "{faults:?}");
    }

    #[test]
    fn a_new_package_in_the_core_is_named_with_its_user() {
        let metadata = metadata(
            LAYERS,
            &[
                ("tidu-ad", None, "tidu-graph"),
                ("tidu-graph", None, "registry:thiserror"),
                ("registry:thiserror", None, "registry:syn"),
                ("registry:syn", None, "registry:rand"),
            ],
        );
        let faults = unexpected_packages(&metadata).expect("well-formed");
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].starts_with("rand is new") && faults[0].contains("syn pulls it in"),
            "{faults:?}"
        );
    }

    #[test]
    fn packages_for_tests_and_above_the_core_are_free() {
        let metadata = metadata(
            LAYERS,
            &[
                ("tidu-graph", Some("dev"), "registry:rand"),
                ("tidu-eager", None, "registry:rand"),
            ],
        );
        assert_eq!(unexpected_packages(&metadata), Ok(vec![]));
    }

    #[test]
    fn text_that_is_not_metadata_does_not_pass() {
        assert!(forbidden_edges(&json!({})).is_err());
        assert!(unexpected_packages(&json!({})).is_err());
    }
}
