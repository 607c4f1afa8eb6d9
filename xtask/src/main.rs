//! The developer commands of the workspace: `cargo xtask help` lists them.

mod edges;
mod lint;
mod shell;
mod sources;
mod test;

use std::process::ExitCode;

use lexopt::{Arg, Parser};

const USAGE: &str = "\
Developer commands of the tidu workspace.

Usage: cargo xtask <COMMAND>

Commands:
  test  Run every test: unit, integration, examples, documentation. Rewrites no snapshot.
  lint  Check format, clippy, rustdoc, and which crate may depend on which.
  help  Print this text.
";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Command {
    Test,
    Lint,
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
        Command::Test => test::run(),
        Command::Lint => lint::run(),
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
            "test" => Command::Test,
            "lint" => Command::Lint,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, String> {
        parse(Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_known_by_name() {
        assert_eq!(parsed(&["test"]), Ok(Command::Test));
        assert_eq!(parsed(&["lint"]), Ok(Command::Lint));
        assert_eq!(parsed(&["help"]), Ok(Command::Help));
        assert_eq!(parsed(&["--help"]), Ok(Command::Help));
        assert_eq!(parsed(&["-h"]), Ok(Command::Help));
    }

    #[test]
    fn what_is_not_a_command_is_refused() {
        let refusal = |words: &[&str]| parsed(words).expect_err("this is no command");
        assert_eq!(refusal(&[]), "no command given");
        assert_eq!(refusal(&["tset"]), "unknown command `tset`");
        assert!(refusal(&["test", "lint"]).contains("lint"));
        assert!(refusal(&["--fast"]).contains("fast"));
    }
}
