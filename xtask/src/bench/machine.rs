//! On what a table was measured.

use std::process::Command;

/// Processor, cores, compiler and day, in one line.
pub fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let parts = [processor(), format!("{cores} cores"), rustc(), day()];
    parts.join(", ")
}

/// The compiler, as it names itself.
pub fn rustc() -> String {
    printed("rustc", &["--version"])
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    // Virtual machines often give a name that says little; the numbers say which it is.
    match (field("cpu family"), field("model\t")) {
        (Some(family), Some(number)) => format!("{model} (family {family}, model {number})"),
        _ => model,
    }
}

fn day() -> String {
    printed("date", &["-u", "+%Y-%m-%d"])
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| format!("unknown {program}"))
}
