//! `cargo xtask package`: the packages as they would be published, whether they are whole, and whether they compile.
//!
//! `cargo package` compiles each package by itself, and those below it once more. Here the packages are unpacked into one
//! workspace, so that each is checked once, with dependencies that linting has compiled already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::files;
use crate::shell::{self, Cargo};
use crate::sources::LIBRARIES;

/// What each package has beside its sources, and where that stands in the repository if it is the same for all.
const BESIDE: &[(&str, Option<&str>)] = &[
    ("README.md", None),
    ("LICENSE-APACHE", Some("LICENSE-APACHE")),
    ("LICENSE-MIT", Some("LICENSE-MIT")),
];

pub fn run() -> Result<(), String> {
    let metadata = shell::metadata()?;
    let target = metadata["target_directory"].as_str();
    let target = Path::new(target.ok_or("`cargo metadata` names no target directory")?);
    make()?;
    let folder = target.join("package/unpacked");
    let packages = unpack(&metadata, &target.join("package"), &folder)?;
    let faults = packages.iter().map(|(_, package)| faults_of(package));
    let faults: Vec<Vec<String>> = faults.collect::<Result<_, _>>()?;
    write_workspace(&folder, &packages)?;
    shell::all(faults.into_iter().flatten().map(Err).chain([
        compile(&folder, target, None),
        compile_with_oldest(&metadata, &folder, target),
    ]))
}

/// Writes the `.crate` files.
fn make() -> Result<(), String> {
    // What is not committed is packaged too: whoever publishes uses `cargo publish`, which refuses that.
    let mut arguments = vec![
        "package",
        "--quiet",
        "--offline",
        "--no-verify",
        "--allow-dirty",
        "--exclude-lockfile",
    ];
    arguments.extend(LIBRARIES.iter().flat_map(|library| ["--package", library]));
    Cargo {
        arguments: &arguments,
        environment: &[],
    }
    .run()
}

/// Unpacks the packages into a folder; returns their names and where they are.
fn unpack(
    metadata: &Value,
    packed: &Path,
    folder: &Path,
) -> Result<Vec<(&'static str, PathBuf)>, String> {
    let failed = |error| format!("cannot write {}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    let mut packages = Vec::new();
    for library in LIBRARIES {
        let full_name = format!("{library}-{}", field_of(metadata, library, "version")?);
        let packed = packed.join(format!("{full_name}.crate"));
        let [packed, to] = [&packed, folder].map(|path| path.display().to_string());
        shell::run("tar", &["-xzf", &packed, "-C", &to])?;
        packages.push((*library, folder.join(full_name)));
    }
    Ok(packages)
}

fn field_of<'a>(metadata: &'a Value, package: &str, field: &str) -> Result<&'a str, String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut ours = packages.filter(|found| found["name"] == package && found["source"].is_null());
    let value = ours.next().and_then(|package| package[field].as_str());
    value.ok_or_else(|| format!("`cargo metadata` lacks the {field} of {package}"))
}

/// What an unpacked package lacks, and what it has too much.
fn faults_of(package: &Path) -> Result<Vec<String>, String> {
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    let mut faults = Vec::new();
    for (file, original) in BESIDE {
        let path = package.join(file);
        let Ok(text) = fs::read_to_string(&path) else {
            faults.push(format!("{name} is packaged without {file}"));
            continue;
        };
        if let Some(original) = original
            && text != files::read(&files::root().join(original))?
        {
            faults.push(format!(
                "the {file} of {name} is not that of the repository"
            ));
        }
    }
    for entry in fs::read_dir(package).into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        // Cargo adds the last three.
        let known = [
            "src",
            "Cargo.toml",
            "Cargo.toml.orig",
            ".cargo_vcs_info.json",
        ];
        if !known.contains(&&*found) && BESIDE.iter().all(|(file, _)| *file != found) {
            faults.push(format!(
                "{name} is packaged with {found}, which nobody needs"
            ));
        }
    }
    let manifest = files::read(&package.join("Cargo.toml"))?;
    for line in ["readme = \"README.md\"", "license = ", "description = "] {
        if !manifest.contains(&format!("\n{line}")) {
            faults.push(format!("the manifest of {name} lacks a line `{line}…`"));
        }
    }
    Ok(faults)
}

/// Makes the folder a workspace in which the packages find each other, compiled as the workspace they come from.
fn write_workspace(folder: &Path, packages: &[(&str, PathBuf)]) -> Result<(), String> {
    let mut patches = String::new();
    for (name, package) in packages {
        patches.push_str(&format!(
            "{name} = {{ path = {:?} }}\n",
            package.display().to_string()
        ));
    }
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n[patch.crates-io]\n{patches}\n{}",
        profiles(&files::read(&files::root().join("Cargo.toml"))?)
    );
    let failed = |error| format!("cannot write {}: {error}", folder.display());
    fs::write(folder.join("Cargo.toml"), manifest).map_err(failed)?;
    let lock = files::root().join("Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).map_err(failed)?;
    Ok(())
}

/// The sections of a manifest that say how everything is compiled: with others, it would be compiled anew.
fn profiles(manifest: &str) -> String {
    let mut within = false;
    let lines = manifest.lines().filter(|line| {
        if line.starts_with('[') {
            within = line.starts_with("[profile.dev");
        }
        within
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// Checks all unpacked packages, with the compiler of a toolchain if one is named.
fn compile(folder: &Path, target: &Path, toolchain: Option<&str>) -> Result<(), String> {
    let [manifest, target] =
        [&folder.join("Cargo.toml"), target].map(|path| path.display().to_string());
    let arguments = [
        "check",
        "--offline",
        "--workspace",
        "--all-features",
        "--manifest-path",
        &manifest,
        "--target-dir",
        &target,
    ];
    match toolchain {
        None => Cargo {
            arguments: &arguments,
            environment: &[],
        }
        .run(),
        Some(toolchain) => shell::run(
            "rustup",
            &[&["run", toolchain, "cargo"], &arguments[..]].concat(),
        ),
    }
}

/// Checks with the oldest Rust that the manifests promise, if rustup has it.
fn compile_with_oldest(metadata: &Value, folder: &Path, target: &Path) -> Result<(), String> {
    let oldest = field_of(metadata, "tidu", "rust_version")?;
    let asked = Command::new("rustup")
        .args(["run", oldest, "rustc", "--version"])
        .output();
    if !asked.is_ok_and(|answer| answer.status.success()) {
        println!(
            "skipped: the packages with Rust {oldest}, which is not installed: \
             `rustup toolchain install {oldest} --profile minimal`"
        );
        return Ok(());
    }
    compile(folder, target, Some(oldest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_that_is_not_whole_is_named() {
        let folder = std::env::temp_dir().join(format!("xtask-{}-package", std::process::id()));
        let package = folder.join("k-1.0.0");
        fs::create_dir_all(package.join("src")).expect("can write");
        let write =
            |file: &str, text: &str| fs::write(package.join(file), text).expect("can write");
        let manifest = "[package]\nname = \"k\"\nreadme = \"README.md\"\nlicense = \"MIT\"\ndescription = \"d\"\n";
        write("Cargo.toml", manifest);
        write("README.md", "k");
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let text = files::read(&files::root().join(licence)).expect("it is there");
            write(licence, &text);
        }
        assert_eq!(faults_of(&package), Ok(vec![]));
        write("LICENSE-MIT", "something else");
        write("notes.txt", "");
        write(
            "Cargo.toml",
            "[package]\nlicense = \"MIT\"\ndescription = \"d\"\n",
        );
        fs::remove_file(package.join("README.md")).expect("it is there");
        let faults = faults_of(&package);
        fs::remove_dir_all(&folder).expect("can remove");
        let expected = [
            "k-1.0.0 is packaged without README.md",
            "the LICENSE-MIT of k-1.0.0 is not that of the repository",
            "k-1.0.0 is packaged with notes.txt, which nobody needs",
            "the manifest of k-1.0.0 lacks a line `readme = \"README.md\"…`",
        ];
        assert_eq!(faults, Ok(expected.map(String::from).to_vec()));
    }

    #[test]
    fn everything_is_compiled_as_in_the_workspace() {
        let ours = "[profile.dev]\nopt-level = 1\n\n[profile.dev.package.a]\nopt-level = 3\n";
        let manifest = format!("[workspace]\nx = 1\n{ours}[profile.bench]\ndebug = true\n");
        assert_eq!(profiles(&manifest), ours);
    }

    #[test]
    fn the_oldest_rust_is_that_of_the_manifest() {
        let metadata = json!({"packages": [
            {"name": "tidu", "rust_version": "1.2", "source": "registry"},
            {"name": "tidu", "rust_version": "1.3", "source": null},
        ]});
        assert_eq!(field_of(&metadata, "tidu", "rust_version"), Ok("1.3"));
        assert!(field_of(&metadata, "tidu", "version").is_err());
    }
}
