//! Licences, sources and bans of every package of `Cargo.lock`, by cargo-deny where it is installed.

use std::process::Command;

use crate::shell::Cargo;

/// The part that needs no network; `cargo deny check` also asks for advisories.
const CHECK: Cargo = Cargo {
    arguments: &["deny", "--offline", "check", "licenses", "sources", "bans"],
    environment: &[],
};

pub fn run() -> Result<(), String> {
    if Command::new("cargo-deny")
        .arg("--version")
        .output()
        .is_err()
    {
        println!(
            "skipped: licences and sources of dependencies (deny.toml), since cargo-deny is not installed"
        );
        return Ok(());
    }
    CHECK.run()
}
