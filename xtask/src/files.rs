//! Finding and reading files of the workspace.

use std::path::{Path, PathBuf};

/// Folders that hold nothing of the workspace's own.
const SKIPPED: &[&str] = &["target", ".git"];

pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The files below a folder that are wanted, by file name, in the order of their paths.
pub fn below(directory: &Path, wanted: fn(&str) -> bool) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("cannot list {}: {error}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !SKIPPED.contains(&&*name) {
                files.extend(below(&path, wanted)?);
            }
        } else if wanted(&name) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

pub fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}
