//! `cargo xtask test`: every test there is, and that no snapshot is pending or left over.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use serde_json::Value;

use crate::report::Report;
use crate::shell::{self, Cargo};
use crate::{files, snapshots};

/// Snapshots are compared, never written, whatever the caller's environment says.
const COMPARE_SNAPSHOTS: &[(&str, &str)] = &[("INSTA_UPDATE", "no"), ("INSTA_FORCE_PASS", "0")];

/// The test programs: `--tests` is all that has tests by its manifest. Benchmarks measure and assert nothing; clippy compiles them, and the examples, whose
/// tests are modules of a test program.
const BUILD: Cargo = Cargo {
    arguments: &[
        "test",
        "--workspace",
        "--all-features",
        "--tests",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ],
    environment: &[],
};

/// The code blocks of docstrings and of the pages of the book. Documentation is no target, so cargo wants a
/// call of its own.
const DOCUMENTATION: Cargo = Cargo {
    arguments: &[
        "test",
        "--workspace",
        "--all-features",
        "--doc",
        "--no-fail-fast",
    ],
    environment: COMPARE_SNAPSHOTS,
};

/// What is compiled otherwise with optimisation: every crate below it once more.
const OPTIMISED: Cargo = Cargo {
    arguments: &[
        "test",
        "--release",
        "--package=tidu-scalar",
        "--all-features",
        "--test=optimised",
    ],
    environment: COMPARE_SNAPSHOTS,
};

/// What is outside of the workspace, with a solver that takes minutes to compile.
const SOLVER: Cargo = Cargo {
    arguments: &[
        "test",
        "--locked",
        "--manifest-path=examples/solver/Cargo.toml",
    ],
    environment: COMPARE_SNAPSHOTS,
};

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// Everything, random functions over a tenth of the cases, large graphs of a tenth of the operations.
    Short,
    /// Everything over all cases, what optimisation changes as it ships, and the solver example: before a change goes in.
    Full,
}

/// Has tests run over all cases.
const ALL_CASES: (&str, &str) = ("TIDU_ALL_CASES", "1");

pub fn run(extent: Extent) -> Result<(), String> {
    let mut report = Report::default();
    let programs = report.timed("build the test programs", |_| BUILD.output());
    let programs = programs.and_then(|messages| test_programs(&messages));
    let ran = programs.and_then(|programs| {
        let ran = programs
            .iter()
            .map(|program| program.run(extent, &mut report));
        shell::all(ran.collect::<Vec<_>>())
    });
    let documentation = report.timed("build and run the documentation", |report| {
        let status = report.watch("", DOCUMENTATION.announced());
        succeeded(&DOCUMENTATION.line(), status)
    });
    let more = match extent {
        Extent::Full => shell::all([
            report.timed("build and run what optimisation changes", |report| {
                let status = report.watch("tidu-scalar, optimised", OPTIMISED.announced());
                succeeded(&OPTIMISED.line(), status)
            }),
            report.timed("build and run the solver example", |report| {
                let mut command = SOLVER.announced();
                command.current_dir(files::root());
                succeeded(&SOLVER.line(), report.watch("tidu-solver", command))
            }),
        ]),
        Extent::Short => {
            report.skip(
                "nine of ten cases of random tests and operations of large graphs, what optimisation changes \
                 as it ships, and the solver example: `cargo xtask test --full` runs them",
            );
            Ok(())
        }
    };
    println!("\n{report}");
    shell::all([ran, documentation, more, snapshots::check(files::root())])
}

/// A test program.
#[derive(Debug, PartialEq)]
struct Program {
    /// The crate that it tests.
    of_crate: String,
    /// The folder of that crate.
    folder: PathBuf,
    path: PathBuf,
}

impl Program {
    fn run(&self, extent: Extent, report: &mut Report) -> Result<(), String> {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.folder);
        command.envs(COMPARE_SNAPSHOTS.iter().copied());
        if extent == Extent::Full {
            command.env(ALL_CASES.0, ALL_CASES.1);
        }
        // What cargo tells a test program.
        command.env("CARGO_MANIFEST_DIR", &self.folder);
        let line = self.path.display().to_string();
        report.timed(&format!("run the tests of {}", self.of_crate), |report| {
            println!("$ {line}");
            succeeded(&line, report.watch(&self.of_crate, command))
        })
    }
}

fn succeeded(line: &str, status: std::io::Result<ExitStatus>) -> Result<(), String> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed: {status}")),
        Err(error) => Err(format!("cannot run `{line}`: {error}")),
    }
}

/// The test programs that cargo says it has built.
fn test_programs(messages: &[u8]) -> Result<Vec<Program>, String> {
    let messages = serde_json::Deserializer::from_slice(messages).into_iter::<Value>();
    let mut programs = Vec::new();
    for message in messages {
        let message = message.map_err(|error| format!("cargo printed no JSON: {error}"))?;
        programs.extend(test_program(&message));
    }
    Ok(programs)
}

fn test_program(message: &Value) -> Option<Program> {
    let path = message["executable"].as_str()?;
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let folder = manifest.parent()?.to_owned();
    // `path+file:///…/crates/tidu-graph#0.3.0`, or `…#name@0.3.0` where the folder is called otherwise.
    let (place, version) = message["package_id"].as_str()?.rsplit_once('#')?;
    let of_crate = match version.split_once('@') {
        Some((name, _)) => name,
        None => place.rsplit('/').next()?,
    };
    message["profile"]["test"].as_bool()?.then(|| Program {
        of_crate: of_crate.to_owned(),
        folder,
        path: path.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_found_among_what_cargo_says() {
        let messages = r##"
            {"reason":"compiler-artifact","package_id":"registry+https://x#insta@1.43.0","executable":null}
            {"reason":"compiler-artifact","package_id":"path+file:///w/crates/tidu-ad#0.3.0",
             "manifest_path":"/w/crates/tidu-ad/Cargo.toml","profile":{"test":true},"executable":"/w/t/all-1"}
            {"reason":"compiler-artifact","package_id":"path+file:///w/examples#tidu-examples@0.3.0",
             "manifest_path":"/w/examples/Cargo.toml","profile":{"test":true},"executable":"/w/t/all-2"}
            {"reason":"compiler-artifact","package_id":"path+file:///w/xtask#0.3.0",
             "manifest_path":"/w/xtask/Cargo.toml","profile":{"test":false},"executable":"/w/t/xtask"}
            {"reason":"build-finished","success":true}"##;
        let found = test_programs(messages.as_bytes()).expect("it is JSON");
        let program = |of_crate: &str, folder: &str, path: &str| Program {
            of_crate: of_crate.into(),
            folder: folder.into(),
            path: path.into(),
        };
        let expected = [
            program("tidu-ad", "/w/crates/tidu-ad", "/w/t/all-1"),
            program("tidu-examples", "/w/examples", "/w/t/all-2"),
        ];
        assert_eq!(found, expected);
    }
}
