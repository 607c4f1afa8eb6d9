//! `cargo xtask test`: every test there is.

use crate::shell::{self, Cargo};

/// Snapshots are compared, never written, whatever the caller's environment says.
const COMPARE_SNAPSHOTS: &[(&str, &str)] = &[("INSTA_UPDATE", "no"), ("INSTA_FORCE_PASS", "0")];

/// All targets but benchmarks, which measure and assert nothing; clippy compiles them. Documentation
/// is no target, so cargo wants a second call.
const CALLS: &[&[&str]] = &[
    &[
        "test",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
        "--no-fail-fast",
    ],
    &["test", "--workspace", "--doc", "--no-fail-fast"],
];

pub fn run() -> Result<(), String> {
    shell::all(CALLS.iter().map(|arguments| {
        let environment = COMPARE_SNAPSHOTS;
        Cargo {
            arguments,
            environment,
        }
        .run()
    }))
}
