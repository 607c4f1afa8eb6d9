//! Solves two problems in several sizes, with exact derivatives and without, and draws them.

use std::path::Path;
use std::time::{Duration, Instant};

use tidu_solver::{
    Derivatives, Entries, Error, Outcome, Problem, beam, bratu, figures, solve,
    solve_by_differences,
};

fn main() -> Result<(), Error> {
    for steps in [1_000, 10_000] {
        exact(&format!("beam of {steps} steps"), &beam(steps)?)?;
    }
    for side in [50, 100] {
        exact(
            &format!("Bratu's fold on {side} by {side}"),
            &bratu(side)?.problem,
        )?;
    }
    println!("with exact derivatives, and with differences:");
    for steps in [20, 50, 100] {
        beside(&format!("beam of {steps} steps"), &beam(steps)?)?;
    }
    for side in [8, 16, 24] {
        beside(
            &format!("Bratu's fold on {side} by {side}"),
            &bratu(side)?.problem,
        )?;
    }
    draw(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/pictures")
            .as_path(),
    )
}

/// Solves, and says what it took.
fn exact(name: &str, problem: &Problem) -> Result<(), Error> {
    let (variables, constraints) = (problem.variables.len(), problem.constraints.len());
    println!("{name}: {variables} variables, {constraints} constraints");
    let (derivatives, to_derive) = timed(|| Derivatives::of(problem))?;
    print_entries("Jacobian", &derivatives.jacobian);
    print_entries("Hessian", &derivatives.hessian);
    let (found, to_solve) = timed(|| solve(problem, derivatives))?;
    let Outcome {
        objective,
        iterations,
        ..
    } = found;
    println!(
        "  derived and compiled in {to_derive:.1?}, solved in {to_solve:.1?} by {iterations} iterations: {objective:.10}\n"
    );
    Ok(())
}

fn print_entries(name: &str, entries: &Entries) {
    let constant = entries.pattern.len() - entries.changing.len();
    let receipt = entries.receipt.to_string().replace('\n', "\n  ");
    println!("  {name}, of which {constant} are constant: {receipt}");
}

/// Solves both ways, and puts a line beside the other.
fn beside(name: &str, problem: &Problem) -> Result<(), Error> {
    let (exact, to_solve) = timed(|| solve(problem, Derivatives::of(problem)?))?;
    print_line(name, "exact", &exact, to_solve);
    match timed(|| solve_by_differences(problem)) {
        Ok((found, to_solve)) => print_line("", "differences", &found, to_solve),
        Err(error) => println!("{:<26}{:<12}{error:?}", "", "differences"),
    }
    Ok(())
}

fn print_line(name: &str, way: &str, found: &Outcome, time: Duration) {
    let Outcome {
        objective,
        iterations,
        evaluations,
        ..
    } = found;
    println!(
        "{name:<26}{way:<12}{iterations:>5} iterations {evaluations:>8} evaluations {:>9} {objective:.8}",
        format!("{time:.1?}")
    );
}

fn timed<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<(T, Duration), Error> {
    let start = Instant::now();
    let result = run()?;
    Ok((result, start.elapsed()))
}

fn draw(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder)?;
    for (name, picture) in [
        ("beam_jacobian", figures::beam_jacobian()?),
        ("bratu_hessian", figures::bratu_hessian()?),
        ("beam", figures::beam_solution(120)?),
        ("bratu", figures::bratu_solution(31)?),
    ] {
        std::fs::write(folder.join(name).with_extension("svg"), picture)?;
    }
    println!("drawn: {}", folder.display());
    Ok(())
}
