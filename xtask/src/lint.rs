//! `cargo xtask lint`: format, clippy, rustdoc, and the shape of the workspace.

use std::path::Path;

use serde_json::Value;

use crate::shell::{self, Cargo};
use crate::{edges, sources};

const FORMAT: Cargo = Cargo {
    arguments: &["fmt", "--all", "--check"],
    environment: &[],
};

const CLIPPY: Cargo = Cargo {
    arguments: &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ],
    environment: &[],
};

/// The facade and what is below it as most people compile them, without features that tests ask for.
const CLIPPY_PLAIN: Cargo = Cargo {
    arguments: &["clippy", "-p", "tidu", "--lib", "--", "-D", "warnings"],
    environment: &[],
};

const RUSTDOC: Cargo = Cargo {
    arguments: &["doc", "--workspace", "--all-features", "--no-deps"],
    environment: &[("RUSTDOCFLAGS", "-D warnings")],
};

const METADATA: Cargo = Cargo {
    arguments: &["metadata", "--format-version", "1"],
    environment: &[],
};

pub fn run() -> Result<(), String> {
    shell::all([
        FORMAT.run(),
        CLIPPY.run(),
        CLIPPY_PLAIN.run(),
        RUSTDOC.run(),
        check_shape(),
    ])
}

/// What the compiler does not check: who depends on whom, and what must not stand where.
fn check_shape() -> Result<(), String> {
    let metadata: Value = serde_json::from_slice(&METADATA.output()?)
        .map_err(|error| format!("`cargo metadata` printed something else than JSON: {error}"))?;
    let root = metadata["workspace_root"].as_str();
    let root = Path::new(root.ok_or("`cargo metadata` names no workspace root")?);
    let mut faults = edges::forbidden_edges(&metadata)?;
    faults.extend(edges::unexpected_packages(&metadata)?);
    faults.extend(sources::code_in_facade(root)?);
    faults.extend(sources::missing_lints(root)?);
    shell::all(faults.into_iter().map(Err))
}
