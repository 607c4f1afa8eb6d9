//! `cargo xtask bench --peers`: this library and others, turn by turn, each measurement in a process of
//! its own, and one table of ratios.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Options, machine, table};
use crate::files;
use crate::shell::Cargo;

/// One comparison: this library and its peers at one stage.
struct Row {
    stage: &'static str,
    /// Given to the programs that measure.
    workloads: &'static [&'static str],
    sizes: &'static [usize],
    /// Each with the largest size that it is asked for.
    peers: &'static [(&'static str, usize)],
}

const PROGRAMS: &[&str] = &["chain", "wide"];

/// What is compared. `docs/performance.md` says what the stages are.
const ROWS: &[Row] = &[
    Row {
        stage: "pipeline",
        workloads: PROGRAMS,
        sizes: &[1_000, 100_000, 1_000_000],
        peers: &[("tidu-0.1", 1_000_000)],
    },
    Row {
        stage: "derive",
        workloads: PROGRAMS,
        sizes: &[1_000, 100_000, 1_000_000],
        peers: &[("tidu-0.1", 100_000), ("jax", 1_000)],
    },
    Row {
        stage: "derive-scalar",
        workloads: PROGRAMS,
        sizes: &[1_000, 100_000, 1_000_000],
        peers: &[("casadi", 1_000_000)],
    },
    Row {
        stage: "evaluate-returned",
        workloads: PROGRAMS,
        sizes: &[1_000, 100_000],
        peers: &[("tidu-0.1", 100_000)],
    },
    Row {
        stage: "evaluate",
        workloads: PROGRAMS,
        sizes: &[1_000, 100_000],
        peers: &[("tidu-0.1", 100_000)],
    },
    Row {
        stage: "evaluate-scalar",
        workloads: PROGRAMS,
        sizes: &[1_000, 100_000],
        peers: &[("casadi", 100_000), ("echidna", 100_000), ("jax", 1_000)],
    },
    Row {
        stage: "recorder",
        workloads: PROGRAMS,
        sizes: &[1_000, 10_000, 100_000],
        peers: &[("tidu-0.1", 100_000)],
    },
    Row {
        stage: "tape",
        workloads: PROGRAMS,
        sizes: &[1_000, 10_000, 1_000_000],
        peers: &[("echidna", 1_000_000), ("torch", 10_000)],
    },
    Row {
        stage: "jacobian",
        workloads: &["ba"],
        sizes: &[10_000],
        peers: &[("casadi", 10_000), ("echidna", 10_000), ("jax", 10_000)],
    },
    Row {
        stage: "sparse-derive",
        workloads: &["rosenbrock"],
        sizes: &[1_000, 100_000, 1_000_000],
        peers: &[("casadi", 100_000)],
    },
    Row {
        stage: "sparse-derive",
        workloads: &["arrowhead", "clnlbeam"],
        sizes: &[1_000, 10_000],
        peers: &[("casadi", 10_000)],
    },
    Row {
        stage: "sparse-derive",
        workloads: &["bratu"],
        sizes: &[30, 300],
        peers: &[("casadi", 300)],
    },
    Row {
        stage: "sparse-evaluate",
        workloads: &["rosenbrock"],
        sizes: &[1_000, 100_000],
        peers: &[("casadi", 100_000)],
    },
    Row {
        stage: "sparse-evaluate",
        workloads: &["arrowhead", "clnlbeam"],
        sizes: &[1_000, 10_000],
        peers: &[("casadi", 10_000)],
    },
    Row {
        stage: "sparse-evaluate",
        workloads: &["bratu"],
        sizes: &[30, 300],
        peers: &[("casadi", 300)],
    },
    Row {
        stage: "train",
        workloads: &["network"],
        sizes: &[32, 1_024],
        peers: &[("candle", 1_024), ("torch", 1_024)],
    },
    Row {
        stage: "train-eager",
        workloads: &["network"],
        sizes: &[32, 1_024],
        peers: &[("candle", 1_024), ("torch", 1_024)],
    },
];

const OURS: &str = "tidu";

/// The libraries that the Python program measures.
const IN_PYTHON: &[&str] = &["casadi", "jax", "torch"];

/// Below this many operations, a process grows by pages that have nothing to do with them.
const MEMORY_FROM: usize = 10_000;

pub fn run(options: &Options) -> Result<(), String> {
    build()?;
    let programs = Programs::find(options)?;
    let mut lines = Vec::new();
    for row in ROWS {
        for &workload in row.workloads {
            for &size in row
                .sizes
                .iter()
                .filter(|&&size| !options.quick || size <= 1_024 || workload == "ba")
            {
                let name = format!("{} {workload} {size}", row.stage);
                if name.contains(&options.filter) {
                    eprintln!("{name}");
                    lines.extend(programs.compare(row, workload, size, options.quick)?);
                }
            }
        }
    }
    let titles = [
        "stage",
        "workload",
        "size",
        "peer",
        "tidu ns",
        "peer ns",
        "peer / tidu",
        "tidu B",
        "peer B",
    ];
    let table = table::markdown(&titles, 4, &lines);
    let text = format!("{}.\n\n{table}", programs.description());
    println!("{text}");
    match &options.markdown {
        None => Ok(()),
        Some(path) => std::fs::write(path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display())),
    }
}

fn build() -> Result<(), String> {
    let manifest = format!(
        "--manifest-path={}",
        directory().join("Cargo.toml").display()
    );
    Cargo {
        arguments: &["build", "--release", &manifest],
        environment: &[],
    }
    .run()
}

fn directory() -> PathBuf {
    files::root().join("peers")
}

/// What measures.
struct Programs {
    rust: PathBuf,
    python: PathBuf,
    /// Of the libraries that the interpreter has.
    versions: HashMap<&'static str, String>,
}

#[derive(Clone, Copy)]
struct Measurement {
    nanoseconds: f64,
    bytes: f64,
}

impl Programs {
    fn find(options: &Options) -> Result<Self, String> {
        let python = match (&options.python, options.install_python) {
            (Some(path), _) => path.clone(),
            (None, true) => install_python()?,
            (None, false) => "python3".into(),
        };
        let mut programs = Self {
            rust: directory().join("target/release/measure"),
            python,
            versions: HashMap::new(),
        };
        for &library in IN_PYTHON {
            match programs.output(library, &[]) {
                Ok(version) => {
                    programs.versions.insert(library, version.trim().to_owned());
                }
                Err(_) => eprintln!("note: {} has no {library}", programs.python.display()),
            }
        }
        Ok(programs)
    }

    /// A line for each peer that is there.
    fn compare(
        &self,
        row: &Row,
        workload: &str,
        size: usize,
        quick: bool,
    ) -> Result<Vec<Vec<String>>, String> {
        let peers = row.peers.iter().filter(|(_, largest)| size <= *largest);
        let peers = peers.map(|(peer, _)| *peer);
        let peers =
            peers.filter(|peer| !IN_PYTHON.contains(peer) || self.versions.contains_key(peer));
        let libraries: Vec<&str> = std::iter::once(OURS).chain(peers).collect();
        let mut runs = vec![Vec::new(); libraries.len()];
        for _ in 0..turns(size, quick) {
            for (library, runs) in libraries.iter().zip(&mut runs) {
                runs.push(self.measure(library, row.stage, workload, size)?);
            }
        }
        let medians: Vec<Measurement> = runs.iter().map(|runs| median(runs)).collect();
        let ours = medians[0];
        let peers = libraries.iter().zip(&medians).skip(1);
        let lines =
            peers.map(|(peer, theirs)| line(row.stage, workload, size, peer, ours, *theirs));
        Ok(lines.collect())
    }

    fn measure(
        &self,
        library: &str,
        stage: &str,
        workload: &str,
        size: usize,
    ) -> Result<Measurement, String> {
        let text = self.output(library, &[stage, workload, &size.to_string()])?;
        let mut numbers = text.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(nanoseconds)), Some(Ok(bytes))) => Ok(Measurement { nanoseconds, bytes }),
            _ => Err(format!(
                "{library} {stage} {workload} {size} printed `{text}`"
            )),
        }
    }

    fn output(&self, library: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = match IN_PYTHON.contains(&library) {
            true => {
                let mut command = Command::new(&self.python);
                command.arg(directory().join("python/measure.py"));
                command
            }
            false => Command::new(&self.rust),
        };
        // One thread, as for everybody else; what Python has is told in its program.
        command.env("RAYON_NUM_THREADS", "1");
        let output = command.arg(library).args(arguments).output();
        let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("{command:?} failed: {}\n{said}", output.status)),
        }
    }

    /// What was measured, and where.
    fn description(&self) -> String {
        let mut peers = locked_versions();
        let libraries = IN_PYTHON.iter();
        peers.extend(libraries.filter_map(|&library| {
            let version = self.versions.get(library)?;
            Some(format!("{library} {version}"))
        }));
        format!("{}; {}", machine::description(), peers.join(", "))
    }
}

/// How often each library has its turn: what takes long is not disturbed as much.
fn turns(size: usize, quick: bool) -> usize {
    match size {
        _ if quick => 1,
        0..=10_000 => 5,
        10_001..=100_000 => 3,
        _ => 1,
    }
}

fn median(runs: &[Measurement]) -> Measurement {
    let middle = |value: fn(&Measurement) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Measurement {
        nanoseconds: middle(|run| run.nanoseconds),
        bytes: middle(|run| run.bytes),
    }
}

fn line(
    stage: &str,
    workload: &str,
    size: usize,
    peer: &str,
    ours: Measurement,
    theirs: Measurement,
) -> Vec<String> {
    let bytes = |measurement: Measurement| match size < MEMORY_FROM {
        true => String::new(),
        false => format!("{:.0}", measurement.bytes),
    };
    vec![
        stage.to_owned(),
        workload.to_owned(),
        size.to_string(),
        peer.to_owned(),
        table::number(ours.nanoseconds),
        table::number(theirs.nanoseconds),
        table::number(theirs.nanoseconds / ours.nanoseconds),
        bytes(ours),
        bytes(theirs),
    ]
}

/// An environment of its own with the libraries in it.
fn install_python() -> Result<PathBuf, String> {
    let environment = directory().join("target/python");
    let python = environment.join("bin/python");
    if !python.exists() {
        checked(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        )?;
    }
    let packages = ["numpy", "casadi", "jax", "torch"];
    checked(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(packages),
    )?;
    Ok(python)
}

fn checked(command: &mut Command) -> Result<(), String> {
    println!("$ {command:?}");
    let status = command.status();
    match status.map_err(|error| format!("cannot run {command:?}: {error}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("{command:?} failed: {status}")),
    }
}

/// The peers in Rust, as locked.
fn locked_versions() -> Vec<String> {
    let lock = files::read(Path::new(&directory().join("Cargo.lock"))).unwrap_or_default();
    let mut name = "";
    let mut versions = Vec::new();
    for line in lock.lines() {
        if let Some(text) = line.strip_prefix("name = ") {
            name = text.trim_matches('"');
        } else if let Some(version) = line.strip_prefix("version = ") {
            let version = version.trim_matches('"');
            let is_ancestor = name == "tidu" && version == "0.1.0";
            if is_ancestor || ["candle-core", "computegraph", "echidna"].contains(&name) {
                versions.push(format!("{name} {version}"));
            }
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(nanoseconds: f64, bytes: f64) -> Measurement {
        Measurement { nanoseconds, bytes }
    }

    #[test]
    fn a_ratio_above_one_is_in_our_favour() {
        let [ours, theirs] = [measurement(20.0, 8.0), measurement(50.0, 16.0)];
        let found = line("tape", "chain", 100_000, "peer", ours, theirs);
        let expected = [
            "tape", "chain", "100000", "peer", "20.0", "50.0", "2.50", "8", "16",
        ];
        assert_eq!(found, expected);
        assert_eq!(line("tape", "chain", 1_000, "peer", ours, theirs)[7], "");
    }

    #[test]
    fn medians_are_taken_of_time_and_memory_apart() {
        let runs = [(3.0, 1.0), (1.0, 2.0), (2.0, 9.0)];
        let runs = runs.map(|(nanoseconds, bytes)| measurement(nanoseconds, bytes));
        let middle = median(&runs);
        assert_eq!((middle.nanoseconds, middle.bytes), (2.0, 2.0));
    }

    #[test]
    fn the_lock_file_names_the_ancestor() {
        let versions = locked_versions();
        assert!(versions.contains(&"tidu 0.1.0".to_owned()), "{versions:?}");
        assert!(
            versions.contains(&"computegraph 0.1.0".to_owned()),
            "{versions:?}"
        );
    }
}
