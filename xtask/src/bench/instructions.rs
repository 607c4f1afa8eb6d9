//! `cargo xtask bench --instructions`: counts of instructions, which no other load on the machine disturbs,
//! against a committed baseline.
//!
//! Callgrind runs the whole benchmark once, in half a minute, and writes one file a stage. A harness would
//! need a runner of its own installed in the same version, and one process a stage.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::profile::{self, Cost};
use super::{Options, machine, table};
use crate::files;
use crate::shell::{self, Cargo};

/// The name of the benchmark that callgrind runs.
pub const TARGET: &str = "instructions";

const BASELINE: &str = "benches/instructions.tsv";

/// What callgrind calls the files that it writes.
const FILE: &str = "counts";

/// What may be more before it is a failure, in parts of the baseline. Hash tables of the standard library
/// are seeded at random, so that counts differ by up to a tenth of a percent from run to run.
const TOLERANCE: f64 = 0.02;

/// What one stage takes.
#[derive(Clone, Debug, PartialEq)]
struct Count {
    workload: String,
    stage: String,
    per_operation: f64,
}

impl Count {
    fn name(&self) -> String {
        format!("{}: {}", self.workload, self.stage)
    }
}

pub fn run(options: &Options) -> Result<(), String> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind is not installed, so no instructions are counted");
        return Ok(());
    }
    let path = files::root().join(BASELINE);
    let counts = count()?;
    if options.profile {
        return print_profiles(&counts, &options.filter);
    }
    if options.save {
        let text = format!("# {}\n{}", machine::rustc(), to_text(&counts));
        let written = std::fs::write(&path, text);
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("wrote {} counts to {BASELINE}", counts.len());
        return Ok(());
    }
    let text = files::read(&path)?;
    let compiler = text.lines().next().unwrap_or_default();
    if compiler != format!("# {}", machine::rustc()) {
        println!(
            "note: the baseline is of another compiler ({})",
            compiler.trim_start_matches("# ")
        );
    }
    compare(&counts, &from_text(&text)?, &options.filter)
}

/// Prints all counts, and fails if there is one that is too large.
fn compare(counts: &[Count], baseline: &[Count], filter: &str) -> Result<(), String> {
    let mut lines = Vec::new();
    let mut faults = Vec::new();
    for count in counts {
        let name = count.name();
        if !name.contains(filter) {
            continue;
        }
        let found = table::number(count.per_operation);
        let before = baseline.iter();
        let mut before = before
            .filter(|before| before.workload == count.workload && before.stage == count.stage);
        let Some(before) = before.next() else {
            lines.push(vec![name.clone(), "none".into(), found, "new".into()]);
            continue;
        };
        let change = count.per_operation / before.per_operation - 1.0;
        let (expected, percent) = (
            table::number(before.per_operation),
            format!("{:+.1}%", 100.0 * change),
        );
        if change > TOLERANCE {
            faults.push(Err(format!(
                "{name} takes {found} instructions per operation, {percent} of the baseline's {expected}"
            )));
        }
        lines.push(vec![name, expected, found, percent]);
    }
    let titles = ["instructions per operation", "baseline", "now", "change"];
    print!("{}", table::markdown(&titles, 1, &lines));
    shell::all(faults)
}

/// The functions that most instructions of a stage are spent in: in themselves, and with what they call.
fn print_profiles(counts: &[Count], filter: &str) -> Result<(), String> {
    for (at, count) in counts.iter().enumerate() {
        if !count.name().contains(filter) {
            continue;
        }
        let mut functions = profile::costs(&files::read(&counted_in(at))?);
        let total: u64 = functions.iter().map(|cost| cost.own).sum();
        let number = table::number(count.per_operation);
        println!("{}: {number} instructions per operation", count.name());
        print_largest(&mut functions, total, "itself", |cost| cost.own);
        print_largest(&mut functions, total, "with calls", |cost| cost.whole);
    }
    Ok(())
}

fn print_largest(functions: &mut [Cost], total: u64, what: &str, of: fn(&Cost) -> u64) {
    const SHOWN: usize = 16;
    functions.sort_by_key(|cost| std::cmp::Reverse(of(cost)));
    // Whatever takes everything only leads to the stage.
    let functions = functions.iter().filter(|cost| 200 * of(cost) < 199 * total);
    for cost in functions.take(SHOWN) {
        let share = 100.0 * of(cost) as f64 / total.max(1) as f64;
        println!("  {share:5.1}% {what}  {}", cost.function);
    }
}

/// Builds the benchmark and runs it under callgrind.
fn count() -> Result<Vec<Count>, String> {
    let program = build()?;
    let directory = directory();
    let failure = |error| format!("cannot write to {}: {error}", directory.display());
    if directory.exists() {
        std::fs::remove_dir_all(&directory).map_err(failure)?;
    }
    std::fs::create_dir_all(&directory).map_err(failure)?;
    let out = directory.join(FILE);
    println!("$ valgrind --tool=callgrind {program}");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .args([
            "--zero-before=*counting_starts*",
            "--dump-before=*counting_ends*",
        ])
        .arg(format!("--callgrind-out-file={}", out.display()))
        // Large blocks stay apart, and do not depend on what lay there before.
        .env("MALLOC_MMAP_THRESHOLD_", "65536")
        .arg(&program)
        .output()
        .map_err(|error| format!("cannot run valgrind: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("valgrind failed: {}\n{said}", output.status));
    }
    let stages = String::from_utf8_lossy(&output.stdout);
    let counts = stages.lines().enumerate();
    counts
        .map(|(at, stage)| counted(stage, &counted_in(at)))
        .collect()
}

fn directory() -> PathBuf {
    files::root().join("target/instructions")
}

/// The file that callgrind writes for a stage, by its position.
fn counted_in(at: usize) -> PathBuf {
    directory().join(format!("{FILE}.{}", at + 1))
}

/// A line that the benchmark printed, with the file that callgrind wrote for it.
fn counted(stage: &str, path: &Path) -> Result<Count, String> {
    let text = files::read(path)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse::<f64>().ok());
    let total = total.ok_or_else(|| format!("{} has no total", path.display()))?;
    let mut count = parse_line(stage)?;
    count.per_operation = total / count.per_operation;
    Ok(count)
}

/// The path of the benchmark, which only cargo knows.
fn build() -> Result<String, String> {
    let cargo = Cargo {
        arguments: &[
            "bench",
            "--package=tidu-benches",
            "--bench",
            TARGET,
            "--no-run",
            "--message-format=json",
        ],
        environment: &[],
    };
    let messages = cargo.output()?;
    let messages = String::from_utf8_lossy(&messages);
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs = messages.filter(|message| message["target"]["name"] == TARGET);
    let mut paths =
        programs.filter_map(|message| message["executable"].as_str().map(str::to_owned));
    paths
        .next()
        .ok_or_else(|| "cargo names no program".to_owned())
}

fn to_text(counts: &[Count]) -> String {
    let mut text = String::new();
    for count in counts {
        let (workload, stage) = (&count.workload, &count.stage);
        let _ = writeln!(text, "{workload}\t{stage}\t{:.1}", count.per_operation);
    }
    text
}

fn from_text(text: &str) -> Result<Vec<Count>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(parse_line).collect()
}

/// Workload, stage and a number.
fn parse_line(line: &str) -> Result<Count, String> {
    let mut fields = line.split('\t');
    let mut field = || {
        fields
            .next()
            .ok_or_else(|| format!("`{line}` lacks a field"))
    };
    let (workload, stage, number) = (field()?.to_owned(), field()?.to_owned(), field()?);
    let per_operation = number.parse();
    let per_operation = per_operation.map_err(|_| format!("`{line}` does not end in a number"))?;
    Ok(Count {
        workload,
        stage,
        per_operation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(number: f64) -> Vec<Count> {
        let count = |stage: &str, per_operation| Count {
            workload: "chain".into(),
            stage: stage.into(),
            per_operation,
        };
        vec![count("build", 100.0), count("all that", number)]
    }

    #[test]
    fn a_baseline_reads_back() {
        let text = format!("# a compiler\n{}", to_text(&counts(7.5)));
        assert_eq!(from_text(&text), Ok(counts(7.5)));
        assert!(from_text("chain\tbuild").is_err());
        assert!(from_text("chain\tbuild\tmany").is_err());
    }

    #[test]
    fn more_instructions_are_a_failure() {
        let compared = |number| compare(&counts(number), &counts(200.0), "");
        assert_eq!(compared(200.0), Ok(()));
        assert_eq!(compared(203.0), Ok(()));
        assert_eq!(compared(100.0), Ok(()));
        let failure = compared(210.0).expect_err("5% more");
        assert!(failure.contains("chain: all that"), "{failure}");
        assert!(failure.contains("+5.0%"), "{failure}");
        assert_eq!(compare(&counts(210.0), &counts(200.0), "build"), Ok(()));
        assert_eq!(compare(&counts(210.0), &[], ""), Ok(()));
    }
}
