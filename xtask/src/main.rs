//! The developer commands of the workspace: `cargo xtask help` lists them.

mod api;
mod bench;
mod circles;
mod deny;
mod diff;
mod docs;
mod draw;
mod edges;
mod files;
mod fuzz;
mod lint;
mod package;
mod report;
mod shell;
mod snapshots;
mod sources;
mod test;

use std::ffi::OsString;
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use snapshots::Action;
use test::Extent;

const USAGE: &str = "\
Developer commands of the tidu workspace.

Usage: cargo xtask <COMMAND>

Commands:
  test       Run every test: unit, integration, examples, documentation; with `--full`, random ones over ten
             times as many cases, what optimisation changes also as it ships, and the solver example. Rewrites
             no snapshot, and fails if one is pending or belongs to no test.
  lint       Check format, clippy, rustdoc, links, licences, public items, which crate may depend on which, and that
             no modules use each other in a circle.
  api        Write the public items of each library to its `api.txt`, which `lint` compares.
  package    Make the packages as they would be published, and check that they are whole and compile, also
             with the oldest Rust that is promised.
  docs       Build the book and the pages of rustdoc, and check that every link leads somewhere.
  draw       Draw a function and its derivatives; `draw --help` lists what and how.
  fuzz       Send random functions through every path and compare, as often as one likes: `fuzz [COUNT]
             [--seed SEED]`.
  bench      Measure: by the clock, by instructions, or beside other libraries; `bench --help`.
  snapshots  Run the tests and show which snapshots would change. With `accept`, `reject` or `review`:
             decide about them, through cargo-insta.
  help       Print this text.
";

#[derive(Debug, PartialEq)]
enum Command {
    Test(Extent),
    Lint,
    Docs,
    Api,
    Package,
    Draw(Vec<OsString>),
    Fuzz(Vec<OsString>),
    Bench(Vec<OsString>),
    Snapshots(Action),
    Help,
}

fn main() -> ExitCode {
    let command = match parse(Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprint!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Test(extent) => test::run(extent),
        Command::Lint => lint::run(),
        Command::Docs => docs::run(),
        Command::Api => api::run(),
        Command::Package => package::run(),
        Command::Draw(arguments) => draw::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Snapshots(action) => snapshots::run(action),
        Command::Help => {
            print!("{USAGE}");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: Parser) -> Result<Command, lexopt::Error> {
    let command = match arguments.next()? {
        None => return Err("no command given".into()),
        Some(Arg::Short('h') | Arg::Long("help")) => Command::Help,
        Some(Arg::Value(word)) => match word.to_string_lossy().as_ref() {
            "test" => Command::Test(parse_extent(&mut arguments)?),
            "lint" => Command::Lint,
            "docs" => Command::Docs,
            "api" => Command::Api,
            "package" => Command::Package,
            "draw" => Command::Draw(arguments.raw_args()?.collect()),
            "fuzz" => Command::Fuzz(arguments.raw_args()?.collect()),
            "bench" => Command::Bench(arguments.raw_args()?.collect()),
            "snapshots" => Command::Snapshots(parse_action(&mut arguments)?),
            "help" => Command::Help,
            unknown => return Err(format!("unknown command `{unknown}`").into()),
        },
        Some(other) => return Err(other.unexpected()),
    };
    match arguments.next()? {
        None => Ok(command),
        Some(extra) => Err(extra.unexpected()),
    }
}

fn parse_extent(arguments: &mut Parser) -> Result<Extent, lexopt::Error> {
    match arguments.next()? {
        None => Ok(Extent::Short),
        Some(Arg::Long("full")) => Ok(Extent::Full),
        Some(other) => Err(other.unexpected()),
    }
}

fn parse_action(arguments: &mut Parser) -> Result<Action, lexopt::Error> {
    match arguments.next()? {
        None => Ok(Action::Show),
        Some(Arg::Value(word)) => match word.to_string_lossy().as_ref() {
            "accept" => Ok(Action::Accept),
            "reject" => Ok(Action::Reject),
            "review" => Ok(Action::Review),
            unknown => Err(format!("`snapshots` does not know `{unknown}`").into()),
        },
        Some(other) => Err(other.unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, String> {
        parse(Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_known_by_name() {
        let test = |extent| Ok(Command::Test(extent));
        assert_eq!(parsed(&["test"]), test(Extent::Short));
        assert_eq!(parsed(&["test", "--full"]), test(Extent::Full));
        assert_eq!(parsed(&["lint"]), Ok(Command::Lint));
        assert_eq!(parsed(&["docs"]), Ok(Command::Docs));
        assert_eq!(parsed(&["api"]), Ok(Command::Api));
        assert_eq!(parsed(&["package"]), Ok(Command::Package));
        assert_eq!(parsed(&["help"]), Ok(Command::Help));
        assert_eq!(parsed(&["--help"]), Ok(Command::Help));
        assert_eq!(parsed(&["-h"]), Ok(Command::Help));
        let snapshots = |action| Ok(Command::Snapshots(action));
        assert_eq!(parsed(&["snapshots"]), snapshots(Action::Show));
        assert_eq!(parsed(&["snapshots", "accept"]), snapshots(Action::Accept));
        assert_eq!(parsed(&["snapshots", "reject"]), snapshots(Action::Reject));
        assert_eq!(parsed(&["snapshots", "review"]), snapshots(Action::Review));
    }

    #[test]
    fn what_follows_draw_fuzz_and_bench_is_handed_on() {
        let arguments = ["chain", "--around", "%3"].map(OsString::from);
        assert_eq!(
            parsed(&["draw", "chain", "--around", "%3"]),
            Ok(Command::Draw(arguments.into()))
        );
        assert_eq!(parsed(&["draw"]), Ok(Command::Draw(vec![])));
        let count = OsString::from("7");
        assert_eq!(parsed(&["fuzz", "7"]), Ok(Command::Fuzz(vec![count])));
        let quick = OsString::from("--quick");
        assert_eq!(
            parsed(&["bench", "--quick"]),
            Ok(Command::Bench(vec![quick]))
        );
    }

    #[test]
    fn what_is_not_a_command_is_refused() {
        let refusal = |words: &[&str]| parsed(words).expect_err("this is no command");
        assert_eq!(refusal(&[]), "no command given");
        assert_eq!(refusal(&["tset"]), "unknown command `tset`");
        assert!(refusal(&["test", "lint"]).contains("lint"));
        assert!(refusal(&["--fast"]).contains("fast"));
        assert_eq!(
            refusal(&["snapshots", "acept"]),
            "`snapshots` does not know `acept`"
        );
        assert!(refusal(&["snapshots", "accept", "all"]).contains("all"));
    }
}
