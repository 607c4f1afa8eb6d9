//! `cargo xtask fuzz`: more random functions through every path than the tests send, optimised.

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt};

use crate::shell::Cargo;

const USAGE: &str = "\
Usage: cargo xtask fuzz [COUNT] [--seed SEED]

Sends COUNT random functions (100000 unless given) through every path to a value, a gradient and a
second derivative, and prints the smallest part of the first one on which two paths disagree. The
first function has the seed SEED, the next ones those that follow; unless given, it comes from the
clock.
";

#[derive(Debug, PartialEq)]
struct Options {
    count: u64,
    seed: Option<u64>,
}

pub fn run(arguments: &[OsString]) -> Result<(), String> {
    let Some(options) = parse(arguments).map_err(|error| format!("{error}\n\n{USAGE}"))? else {
        print!("{USAGE}");
        return Ok(());
    };
    let count = options.count.to_string();
    let seed = options.seed.unwrap_or_else(seed_of_the_clock).to_string();
    let cargo = Cargo {
        arguments: &[
            "test",
            "--release",
            "--package=tidu",
            "--all-features",
            "--test=all",
            "differential::all_paths_agree",
        ],
        environment: &[("TIDU_FUZZ_COUNT", &count), ("TIDU_FUZZ_SEED", &seed)],
    };
    cargo.run()
}

/// `None` if help is asked for.
fn parse(arguments: &[OsString]) -> Result<Option<Options>, lexopt::Error> {
    let mut parser = Parser::from_args(arguments);
    let (mut count, mut seed) = (None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("seed") if seed.is_none() => seed = Some(parser.value()?.parse()?),
            Arg::Value(text) if count.is_none() => count = Some(text.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    let count = count.unwrap_or(100_000);
    Ok(Some(Options { count, seed }))
}

/// Another one each time; the line that is printed says which.
fn seed_of_the_clock() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Options>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn count_and_seed_come_in_any_order() {
        let options = |count, seed| Ok(Some(Options { count, seed }));
        assert_eq!(parsed(&[]), options(100_000, None));
        assert_eq!(parsed(&["7"]), options(7, None));
        assert_eq!(parsed(&["7", "--seed", "3"]), options(7, Some(3)));
        assert_eq!(parsed(&["--seed=3", "7"]), options(7, Some(3)));
        assert_eq!(parsed(&["--help"]), Ok(None));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(parsed(&["many"]).is_err());
        assert!(parsed(&["--seed"]).is_err());
        assert!(parsed(&["1", "2"]).is_err());
        assert!(parsed(&["--seed", "1", "--seed", "2"]).is_err());
        assert!(parsed(&["--seed", "-1"]).is_err());
    }
}
