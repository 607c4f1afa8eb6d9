//! `cargo xtask lint`: format, clippy, rustdoc, links, and the shape of the workspace.

use serde_json::Value;

use crate::shell::{self, Cargo};
use crate::{api, circles, deny, docs, edges, files, sources};

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

pub fn run() -> Result<(), String> {
    shell::all([
        FORMAT.run(),
        CLIPPY.run(),
        CLIPPY_PLAIN.run(),
        shell::metadata().and_then(|metadata| {
            let pages = docs::write_and_check_pages(&metadata);
            shell::all([pages, check_shape(&metadata)])
        }),
        deny::run(),
    ])
}

/// What the compiler does not check: who depends on whom, among crates and inside them, and what must not stand where.
fn check_shape(metadata: &Value) -> Result<(), String> {
    let root = files::root();
    let mut faults = edges::forbidden_edges(metadata)?;
    faults.extend(edges::unexpected_packages(metadata)?);
    faults.extend(circles::faults(root)?);
    faults.extend(sources::code_in_facade(root)?);
    faults.extend(sources::missing_lints(root)?);
    faults.extend(api::changes(root)?);
    shell::all(faults.into_iter().map(Err))
}
