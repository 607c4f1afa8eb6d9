//! What a run of tests found: shown line by line while it goes on, and counted for the end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// What has run so far.
#[derive(Debug, Default)]
pub struct Report {
    parts: Vec<(String, Duration)>,
    by_crate: BTreeMap<String, Counts>,
    /// Parts that did not run; tests that did not run, with their crates and, where they say so, why.
    skipped: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    /// Notes how long a part takes.
    pub fn timed<T>(&mut self, part: &str, run: impl FnOnce(&mut Self) -> T) -> T {
        println!("\n== {part}");
        let start = Instant::now();
        let result = run(self);
        self.parts.push((part.to_owned(), start.elapsed()));
        result
    }

    /// Runs tests of a crate, shows what they print, and counts them. Where cargo says that it goes on to
    /// the documentation of another crate, the tests are that crate's from there on.
    pub fn watch(&mut self, of_crate: &str, mut command: Command) -> io::Result<ExitStatus> {
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // It holds the writing ends of the pipe, without which reading would never end.
        drop(command);
        let mut of_crate = of_crate.to_owned();
        for line in BufReader::new(reader).lines() {
            let line = line?;
            println!("{line}");
            if let Some(next) = line.trim().strip_prefix("Doc-tests ") {
                of_crate = next.replace('_', "-");
            }
            self.count(&of_crate, &line);
        }
        child.wait()
    }

    /// Notes a part that does not run, and what would run it.
    pub fn skip(&mut self, part: &str) {
        self.skipped.push(part.to_owned());
    }

    fn count(&mut self, of_crate: &str, line: &str) {
        if let Some((name, why)) = skipped(line) {
            let why = if why.is_empty() {
                "it does not say why"
            } else {
                why
            };
            self.skipped.push(format!("{of_crate}: {name}: {why}"));
        }
        if let Some(found) = counts(line) {
            let so_far = self.by_crate.entry(of_crate.to_owned()).or_default();
            so_far.passed += found.passed;
            so_far.failed += found.failed;
            so_far.skipped += found.skipped;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, time) in &self.parts {
            writeln!(f, "{:>7.1} s  {part}", time.as_secs_f64())?;
        }
        writeln!(f, "\n {:>7} {:>7} {:>7}", "passed", "failed", "skipped")?;
        let mut total = Counts::default();
        for (name, counts) in &self.by_crate {
            line(f, name, *counts)?;
            total.passed += counts.passed;
            total.failed += counts.failed;
            total.skipped += counts.skipped;
        }
        line(f, "all", total)?;
        for skipped in &self.skipped {
            writeln!(f, "skipped: {skipped}")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, counts: Counts) -> fmt::Result {
    let Counts {
        passed,
        failed,
        skipped,
    } = counts;
    writeln!(f, " {passed:>7} {failed:>7} {skipped:>7}  {name}")
}

/// The counts in a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
fn counts(line: &str) -> Option<Counts> {
    let (_, found) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let mut parts = found.split("; ");
        let count = parts.find_map(|part| part.strip_suffix(word));
        count.and_then(|count| count.trim().parse().ok())
    };
    Some(Counts {
        passed: count("passed")?,
        failed: count("failed")?,
        skipped: count("ignored")?,
    })
}

/// The test that a line such as `test name ... ignored, why` says was skipped, and why.
fn skipped(line: &str) -> Option<(&str, &str)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let why = outcome.strip_prefix("ignored")?;
    Some((name, why.trim_start_matches(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_by_crate() {
        let mut report = Report::default();
        let lines = [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.02s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s",
            "test result: what a test prints",
        ];
        for line in lines {
            report.count("a", line);
        }
        let expected = Counts {
            passed: 4,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(report.by_crate["a"], expected);
    }

    #[test]
    fn what_is_skipped_says_why() {
        let mut report = Report::default();
        report.count("a", "test x::y ... ignored, takes an hour");
        report.count("a", "test src/lib.rs - (line 3) ... ignored");
        report.count("a", "test z ... ok");
        let expected = [
            "a: x::y: takes an hour",
            "a: src/lib.rs - (line 3): it does not say why",
        ];
        assert_eq!(report.skipped, expected);
    }

    #[test]
    fn the_documentation_of_crates_is_told_apart() {
        let mut report = Report::default();
        let mut command = Command::new("printf");
        let result = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured";
        command.arg(format!(
            "   Doc-tests a_b\n{result}\n   Doc-tests c\n{result}\n{result}\n"
        ));
        let status = report.watch("", command).expect("it prints");
        assert!(status.success());
        let counted = report.by_crate.iter();
        let counted: Vec<_> = counted
            .map(|(name, counts)| (&name[..], counts.passed))
            .collect();
        assert_eq!(counted, [("a-b", 1), ("c", 2)]);
    }
}
