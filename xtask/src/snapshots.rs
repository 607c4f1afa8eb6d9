//! `cargo xtask snapshots`: which snapshots would change, and whether they may. Also the check that
//! none are pending and none are left over.

use std::path::Path;

use serde_json::Value;

use crate::shell::{self, Cargo};
use crate::{diff, files};

/// What to do with the snapshots that differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Find them and print them.
    Show,
    Accept,
    Reject,
    Review,
}

const RECORD: Cargo = Cargo {
    arguments: &[
        "test",
        "--quiet",
        "--workspace",
        "--all-features",
        "--tests",
        "--no-fail-fast",
    ],
    environment: &[("INSTA_UPDATE", "new"), ("INSTA_FORCE_PASS", "1")],
};

const VERSION: Cargo = Cargo {
    arguments: &["insta", "--version"],
    environment: &[],
};

pub fn run(action: Action) -> Result<(), String> {
    let word = match action {
        Action::Show => return show(),
        Action::Accept => "accept",
        Action::Reject => "reject",
        Action::Review => "review",
    };
    VERSION.output().map_err(|_| {
        format!(
            "`cargo xtask snapshots {word}` needs cargo-insta: `cargo install cargo-insta --locked`, \
             or see https://insta.rs/docs/cli"
        )
    })?;
    let insta = Cargo {
        arguments: &["insta", word, "--workspace"],
        environment: &[],
    };
    insta.run()
}

/// Faults of the snapshots in a tree: those that wait for a decision, and those that no test uses.
pub fn check(root: &Path) -> Result<(), String> {
    let pending = pending(root)?.into_iter().map(|pending| {
        format!(
            "{} is pending: `cargo xtask snapshots` shows it",
            pending.place
        )
    });
    shell::all(pending.chain(unreferenced(root)?).map(Err))
}

fn show() -> Result<(), String> {
    // What else fails is said at the end; it may be the reason for a difference.
    let recorded = RECORD.run();
    let pending = pending(files::root())?;
    for pending in &pending {
        println!("\n{}", pending.place);
        print!("{}", diff::lines(&pending.old, &pending.new));
    }
    match pending.len() {
        0 => println!("no snapshot is pending"),
        count => println!(
            "\npending: {count}; `cargo xtask snapshots accept`, `reject` or `review` (one by one)"
        ),
    }
    recorded
}

/// A snapshot that differs from what its test found.
#[derive(Debug, PartialEq)]
struct Pending {
    place: String,
    old: String,
    new: String,
}

fn pending(root: &Path) -> Result<Vec<Pending>, String> {
    let mut all = Vec::new();
    for path in files::below(root, |name| name.ends_with(".pending-snap"))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let source = name.trim_start_matches('.');
        let source = path.with_file_name(source.trim_end_matches(".pending-snap"));
        let source = relative(root, &source);
        let records = pending_inline(&source, &files::read(&path)?);
        all.extend(records.map_err(|error| format!("{}: {error}", path.display()))?);
    }
    for path in files::below(root, |name| name.ends_with(".snap.new"))? {
        let accepted = path.with_extension("");
        let old = accepted.exists().then(|| files::read(&accepted));
        all.push(Pending {
            place: relative(root, &accepted),
            old: old.transpose()?.unwrap_or_default(),
            new: files::read(&path)?,
        });
    }
    Ok(all)
}

/// What a `.pending-snap` file says: a record a line, of which those of the last run count. A record
/// without a new snapshot says that the test agrees again.
fn pending_inline(source: &str, text: &str) -> Result<Vec<Pending>, String> {
    let records = text.lines().map(serde_json::from_str::<Value>);
    let records = records.collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| format!("not as insta writes it: {error}"))?;
    let last_run = records.last().map(|record| record["run_id"].clone());
    let content = |snapshot: &Value| snapshot["snapshot"].as_str().unwrap_or_default().to_owned();
    let records = records.iter();
    let live = records.filter(|record| Some(&record["run_id"]) == last_run.as_ref());
    Ok(live
        .filter(|record| !record["new"].is_null())
        .map(|record| Pending {
            place: format!("{source}:{}", record["line"]),
            old: content(&record["old"]),
            new: content(&record["new"]),
        })
        .collect())
}

fn unreferenced(root: &Path) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for path in files::below(root, |name| name.ends_with(".snap"))? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let source = source_of(&files::read(&path)?);
        let used = source.is_some_and(|source| {
            let source = files::read(&root.join(source));
            source.is_ok_and(|source| source.contains(name_of(&stem)))
        });
        if !used {
            let path = relative(root, &path);
            faults.push(format!("{path} belongs to no test: delete it"));
        }
    }
    Ok(faults)
}

/// The test file that a snapshot file names in its header.
fn source_of(snapshot: &str) -> Option<String> {
    let header = snapshot.strip_prefix("---\n")?;
    let mut header = header.lines().take_while(|line| *line != "---");
    let source = header.find_map(|line| line.strip_prefix("source:"))?;
    Some(source.trim().trim_matches('"').to_owned())
}

/// The name of a snapshot or of its test: `c` of `a__b__c-2@d`.
fn name_of(stem: &str) -> &str {
    let name = stem.rsplit("__").next().unwrap_or(stem);
    let name = name.split('@').next().unwrap_or(name);
    match name.rsplit_once('-') {
        Some((name, number)) if number.parse::<usize>().is_ok() => name,
        _ => name,
    }
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn record(run: &str, line: usize, new: Option<&str>) -> String {
        let new = new.map(|new| serde_json::json!({"snapshot": new}));
        let old = serde_json::json!({"snapshot": "old"});
        serde_json::json!({"run_id": run, "line": line, "new": new, "old": old}).to_string() + "\n"
    }

    /// A folder that goes away with the value.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("tidu-xtask-{name}-{}", std::process::id());
            let folder = Self(std::env::temp_dir().join(name));
            for (path, text) in files {
                let path = folder.0.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            folder
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_last_run_counts() {
        let text =
            record("1", 3, Some("gone")) + &record("2", 3, None) + &record("2", 9, Some("new"));
        let pending = pending_inline("a.rs", &text).expect("well-formed");
        let expected = Pending {
            place: "a.rs:9".into(),
            old: "old".into(),
            new: "new".into(),
        };
        assert_eq!(pending, [expected]);
        assert_eq!(pending_inline("a.rs", ""), Ok(vec![]));
        assert!(pending_inline("a.rs", "{").is_err());
    }

    #[test]
    fn pending_snapshots_are_faults() {
        let inline = record("1", 7, Some("new"));
        let folder = Folder::new(
            "pending",
            &[
                ("a/tests/.t.rs.pending-snap", &inline),
                ("a/tests/.u.rs.pending-snap", &record("1", 7, None)),
                ("a/snapshots/b.snap.new", "new"),
                ("target/.x.rs.pending-snap", &inline),
            ],
        );
        assert_eq!(
            check(&folder.0),
            Err(
                "a/tests/t.rs:7 is pending: `cargo xtask snapshots` shows it\n\
                 error: a/snapshots/b.snap is pending: `cargo xtask snapshots` shows it"
                    .into()
            )
        );
    }

    #[test]
    fn snapshots_without_a_test_are_faults() {
        let snapshot = "---\nsource: a/tests/t.rs\nexpression: x\n---\ntext\n";
        let folder = Folder::new(
            "unreferenced",
            &[
                ("a/tests/t.rs", "fn used() {}"),
                ("a/tests/snapshots/t__used.snap", snapshot),
                ("a/tests/snapshots/t__used-2.snap", snapshot),
                ("a/tests/snapshots/t__m__used@case.snap", snapshot),
                ("a/tests/snapshots/t__gone.snap", snapshot),
                (
                    "a/tests/snapshots/u__used.snap",
                    "---\nsource: a/tests/u.rs\n---\n",
                ),
                ("a/tests/snapshots/v__used.snap", "text"),
            ],
        );
        let fault =
            |name: &str| format!("a/tests/snapshots/{name}.snap belongs to no test: delete it");
        let faults = [fault("t__gone"), fault("u__used"), fault("v__used")];
        assert_eq!(check(&folder.0), Err(faults.join("\nerror: ")));
    }

    #[test]
    fn a_tree_without_snapshots_passes() {
        let folder = Folder::new("none", &[("a/b.rs", "")]);
        assert_eq!(check(&folder.0), Ok(()));
    }
}
