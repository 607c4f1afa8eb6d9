//! `cargo xtask bench`: how fast everything is, by the clock, by instructions, and beside other libraries.

mod instructions;
mod machine;
mod peers;
mod profile;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};
use serde_json::Value;

use crate::shell::Cargo;

const USAGE: &str = "\
Usage: cargo xtask bench [FILTER] [--quick]
       cargo xtask bench --instructions [FILTER] [--save | --profile]
       cargo xtask bench --peers [FILTER] [--quick] [--python PATH | --install-python] [--markdown FILE]

Without a mode: every criterion benchmark of the workspace whose name contains FILTER. --quick measures
each only until it is roughly known.

--instructions counts the instructions of each stage under callgrind and fails where one takes more
than 2% more of them than benches/instructions.tsv says. --save rewrites that file; --profile
prints the functions that the instructions are spent in.

--peers builds the workspace in peers/ and measures this library beside others on the same workloads,
turn by turn. FILTER picks rows, --quick takes small sizes only, --markdown also writes the table to a
file. --python names the interpreter that has CasADi, JAX and PyTorch, or some of them (python3 unless
given); --install-python makes an environment that has them, in peers/target/python.
";

#[derive(Debug, Default, PartialEq)]
struct Options {
    filter: String,
    mode: Mode,
    quick: bool,
    save: bool,
    profile: bool,
    python: Option<PathBuf>,
    install_python: bool,
    markdown: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mode {
    #[default]
    Criterion,
    Instructions,
    Peers,
}

pub fn run(arguments: &[OsString]) -> Result<(), String> {
    let Some(options) = parse(arguments).map_err(|error| format!("{error}\n\n{USAGE}"))? else {
        print!("{USAGE}");
        return Ok(());
    };
    match options.mode {
        Mode::Criterion => criterion(&options),
        Mode::Instructions => instructions::run(&options),
        Mode::Peers => peers::run(&options),
    }
}

/// `None` if help is asked for.
fn parse(arguments: &[OsString]) -> Result<Option<Options>, lexopt::Error> {
    let mut parser = Parser::from_args(arguments);
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("peers") if options.mode == Mode::Criterion => options.mode = Mode::Peers,
            Arg::Long("instructions") if options.mode == Mode::Criterion => {
                options.mode = Mode::Instructions;
            }
            Arg::Long("quick") => options.quick = true,
            Arg::Long("save") => options.save = true,
            Arg::Long("profile") => options.profile = true,
            Arg::Long("python") => options.python = Some(parser.value()?.into()),
            Arg::Long("install-python") => options.install_python = true,
            Arg::Long("markdown") => options.markdown = Some(parser.value()?.into()),
            Arg::Value(text) if options.filter.is_empty() => options.filter = text.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    match misplaced(&options) {
        None => Ok(Some(options)),
        Some(option) => Err(format!("{option} has no meaning here").into()),
    }
}

/// An option that belongs to another mode, or goes against another one.
fn misplaced(options: &Options) -> Option<&'static str> {
    let of_peers = options.mode == Mode::Peers;
    let faults = [
        (
            options.profile && (options.mode != Mode::Instructions || options.save),
            "--profile",
        ),
        (options.save && options.mode != Mode::Instructions, "--save"),
        (
            options.quick && options.mode == Mode::Instructions,
            "--quick",
        ),
        (options.python.is_some() && !of_peers, "--python"),
        (
            options.install_python && (!of_peers || options.python.is_some()),
            "--install-python",
        ),
        (options.markdown.is_some() && !of_peers, "--markdown"),
    ];
    let fault = faults.into_iter().find(|(is_fault, _)| *is_fault);
    fault.map(|(_, option)| option)
}

/// Targets are named one by one: without, cargo would hand criterion's options to test harnesses too.
fn criterion(options: &Options) -> Result<(), String> {
    let metadata = Cargo {
        arguments: &["metadata", "--format-version", "1", "--no-deps"],
        environment: &[],
    };
    let metadata: Value = serde_json::from_slice(&metadata.output()?)
        .map_err(|error| format!("`cargo metadata` printed something else than JSON: {error}"))?;
    let targets = bench_targets(&metadata);
    let mut arguments = vec!["bench", "--workspace"];
    for target in &targets {
        arguments.extend(["--bench", target]);
    }
    arguments.push("--");
    arguments.extend(options.quick.then_some("--quick"));
    // Long enough for ten samples of what takes a second; criterion takes more time where it must.
    arguments.extend(
        (!options.quick)
            .then_some(["--warm-up-time=0.5", "--measurement-time=2"])
            .into_iter()
            .flatten(),
    );
    arguments.extend(Some(&*options.filter).filter(|filter| !filter.is_empty()));
    Cargo {
        arguments: &arguments,
        environment: &[],
    }
    .run()
}

/// The benchmarks that criterion runs.
fn bench_targets(metadata: &Value) -> Vec<&str> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let is_bench = |target: &&Value| {
        target["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.contains(&"bench".into()))
    };
    let names = targets
        .filter(is_bench)
        .filter_map(|target| target["name"].as_str());
    names.filter(|name| *name != instructions::TARGET).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Options>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn modes_and_their_options_are_known() {
        let options = |options| Ok(Some(options));
        assert_eq!(parsed(&[]), options(Options::default()));
        assert_eq!(
            parsed(&["chain", "--quick"]),
            options(Options {
                filter: "chain".into(),
                quick: true,
                ..Options::default()
            })
        );
        assert_eq!(
            parsed(&["--instructions", "--save"]),
            options(Options {
                mode: Mode::Instructions,
                save: true,
                ..Options::default()
            })
        );
        assert_eq!(
            parsed(&["--peers", "--python", "p", "--markdown=m"]),
            options(Options {
                mode: Mode::Peers,
                python: Some("p".into()),
                markdown: Some("m".into()),
                ..Options::default()
            })
        );
        assert_eq!(parsed(&["--peers", "--help"]), Ok(None));
    }

    #[test]
    fn options_of_another_mode_are_refused() {
        for words in [
            &["--save"][..],
            &["--peers", "--save"],
            &["--python", "p"],
            &["--install-python"],
            &["--peers", "--install-python", "--python", "p"],
            &["--instructions", "--quick"],
            &["--profile"],
            &["--instructions", "--save", "--profile"],
            &["--instructions", "--markdown", "m"],
            &["--peers", "--instructions"],
            &["one", "two"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn benchmarks_are_found_but_for_the_counted_one() {
        let target = |name: &str, kind: &str| serde_json::json!({"name": name, "kind": [kind]});
        let targets = [
            target("a", "lib"),
            target("b", "bench"),
            target(instructions::TARGET, "bench"),
        ];
        let metadata = serde_json::json!({"packages": [{"targets": targets}]});
        assert_eq!(bench_targets(&metadata), ["b"]);
    }
}
