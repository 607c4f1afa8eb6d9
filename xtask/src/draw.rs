//! `cargo xtask draw`: the example of that name, which has the options.

use std::ffi::OsString;

use crate::shell::Cargo;

pub fn run(arguments: &[OsString]) -> Result<(), String> {
    let example = [
        "run",
        "--quiet",
        "--package",
        "tidu-examples",
        "--example",
        "draw",
        "--",
    ];
    let mut words: Vec<&str> = example.to_vec();
    for argument in arguments {
        let word = argument.to_str();
        words.push(word.ok_or_else(|| format!("{} is not Unicode", argument.display()))?);
    }
    let call = Cargo {
        arguments: &words,
        environment: &[],
    };
    call.run()
}
