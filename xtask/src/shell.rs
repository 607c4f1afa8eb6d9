//! Running other programs, visibly, and saying at the end what failed.

use std::process::{Command, Stdio};

use serde_json::Value;

/// One call of cargo.
pub struct Cargo<'a> {
    pub arguments: &'a [&'a str],
    pub environment: &'a [(&'a str, &'a str)],
}

impl Cargo<'_> {
    /// Prints the command line, runs it, and fails if it fails.
    pub fn run(&self) -> Result<(), String> {
        let status = self.announced().status();
        let status = status.map_err(|error| format!("cannot run `{}`: {error}", self.line()))?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("`{}` failed: {status}", self.line())),
        }
    }

    /// What it prints, for a call whose output is read and not shown; its errors are shown.
    pub fn output(&self) -> Result<Vec<u8>, String> {
        let output = self.announced().stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("cannot run `{}`: {error}", self.line()))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(format!("`{}` failed: {}", self.line(), output.status)),
        }
    }

    /// The call, whose line has been printed.
    pub fn announced(&self) -> Command {
        println!("$ {}", self.line());
        // Cargo says here which cargo it is, so that a `+toolchain` is kept.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(self.arguments);
        command.envs(self.environment.iter().copied());
        command
    }

    /// The call as one would type it.
    pub fn line(&self) -> String {
        let environment = self.environment.iter();
        let environment = environment.map(|(name, value)| match value.contains(' ') {
            true => format!("{name}=\"{value}\""),
            false => format!("{name}={value}"),
        });
        let words = environment.chain(["cargo".to_owned()]);
        let words = words.chain(self.arguments.iter().map(|&word| word.to_owned()));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Prints the command line of another program, runs it, and fails if it fails.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let line = format!("{program} {}", arguments.join(" "));
    println!("$ {line}");
    let status = Command::new(program).args(arguments).status();
    let status = status.map_err(|error| format!("cannot run `{line}`: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("`{line}` failed: {status}")),
    }
}

/// What cargo knows of the workspace.
pub fn metadata() -> Result<Value, String> {
    let metadata = Cargo {
        arguments: &["metadata", "--format-version", "1"],
        environment: &[],
    };
    serde_json::from_slice(&metadata.output()?)
        .map_err(|error| format!("`cargo metadata` printed something else than JSON: {error}"))
}

/// One failure of all that there are: a later step may fail for a reason of its own, which is worth
/// knowing at the same time.
pub fn all(results: impl IntoIterator<Item = Result<(), String>>) -> Result<(), String> {
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\nerror: ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let cargo = Cargo {
            arguments: &["doc", "--no-deps"],
            environment: &[("RUSTDOCFLAGS", "-D warnings"), ("A", "no")],
        };
        assert_eq!(
            cargo.line(),
            r#"RUSTDOCFLAGS="-D warnings" A=no cargo doc --no-deps"#
        );
    }

    #[test]
    fn all_failures_are_reported() {
        let results = [Err("one".into()), Ok(()), Err("two".into())];
        assert_eq!(all(results), Err("one\nerror: two".into()));
        assert_eq!(all([Ok(()), Ok(())]), Ok(()));
    }

    #[test]
    fn a_failing_command_is_a_failure() {
        let unknown = Cargo {
            arguments: &["--no-such-option"],
            environment: &[],
        };
        let failure = unknown.output().expect_err("cargo has no such option");
        assert!(
            failure.contains("`cargo --no-such-option` failed"),
            "{failure}"
        );
    }
}
