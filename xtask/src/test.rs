//! `cargo xtask test`: every test there is, and that no snapshot is pending or left over.

use crate::shell::{self, Cargo};
use crate::{files, snapshots};

/// Snapshots are compared, never written, whatever the caller's environment says.
const COMPARE_SNAPSHOTS: &[(&str, &str)] = &[("INSTA_UPDATE", "no"), ("INSTA_FORCE_PASS", "0")];

/// All targets but benchmarks, which measure and assert nothing; clippy compiles them. Documentation
/// is no target, so cargo wants a second call.
const CALLS: &[&[&str]] = &[
    &[
        "test",
        "--workspace",
        "--all-features",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
        "--no-fail-fast",
    ],
    &[
        "test",
        "--workspace",
        "--all-features",
        "--doc",
        "--no-fail-fast",
    ],
    // The loops of batches become vectors only with optimisation: what ships is tested as it ships.
    &[
        "test",
        "--release",
        "--package",
        "tidu-scalar",
        "--all-features",
        "--test",
        "programs",
        "--test",
        "batches",
        "--test",
        "vector_math",
        "--no-fail-fast",
    ],
];

pub fn run() -> Result<(), String> {
    let calls = CALLS.iter().map(|arguments| {
        let environment = COMPARE_SNAPSHOTS;
        Cargo {
            arguments,
            environment,
        }
        .run()
    });
    let snapshots = std::iter::once_with(|| snapshots::check(files::root()));
    shell::all(calls.chain(snapshots))
}
