//! Random functions through every path that leads to a value, a gradient, or a second derivative: all
//! must agree with dual numbers, and those that run the same operations, to the last bit.
//!
//! `TIDU_FUZZ_COUNT` and `TIDU_FUZZ_SEED` choose how many functions and the seed of the first, as
//! `cargo xtask fuzz` does; the next ones have the seeds that follow.

mod case;
mod compare;
mod derived;
mod paths;
mod recorded;
mod shrink;

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidu::scalar::ScalarOp;
use tidu_testkit::cases;

use case::Case;
use compare::Judge;

const COUNT: u64 = 10_000;
const FIRST_SEED: u64 = 0x7469_6475;

#[test]
fn all_paths_agree() {
    let count = from_environment("TIDU_FUZZ_COUNT").unwrap_or_else(|| cases(COUNT as usize) as u64);
    let first = from_environment("TIDU_FUZZ_SEED").unwrap_or(FIRST_SEED);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let first_failure = |thread: u64| {
        let seeds = (thread..count).step_by(threads as usize);
        let seeds = seeds.map(|at| first.wrapping_add(at));
        seeds
            .map(Case::random)
            .find(|case| failure_of(case).is_some())
    };
    let failures: Vec<Case> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || first_failure(thread)))
            .collect();
        let found = workers
            .into_iter()
            .filter_map(|worker| worker.join().unwrap());
        found.collect()
    });
    if let Some(case) = failures
        .iter()
        .min_by_key(|case| case.seed.wrapping_sub(first))
    {
        panic!("{}", report(case));
    }
}

/// What is wrong with a function, if something is. A panic is a fault as any other.
fn failure_of(case: &Case) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| paths::check(case))) {
        Ok(checked) => checked.err(),
        Err(payload) => Some(format!("a panic: {}", text_of(&*payload))),
    }
}

/// Where a failure is, without its numbers.
fn path_of(failure: &str) -> String {
    let ends = [": found", ": an error"];
    let end = ends.iter().filter_map(|end| failure.find(end)).min();
    failure[..end.unwrap_or(failure.len())].to_owned()
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()));
    text.unwrap_or_else(|| "of no text".into())
}

fn report(case: &Case) -> String {
    let path_in = |case: &Case| failure_of(case).as_deref().map(path_of);
    let path = path_in(case);
    let fails = |case: &Case| Judge::of(case).is_sound() && path_in(case) == path;
    let small = shrink::shrink(case, &fails);
    let failure = |case: &Case| failure_of(case).unwrap_or_else(|| "nothing, this time".into());
    format!(
        "seed {seed}: cargo xtask fuzz 1 --seed {seed}\n{}\n{case}\n\nshrunk:\n{}\n{small}",
        failure(case),
        failure(&small),
        seed = case.seed,
    )
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(error) => panic!("{name}={text}: {error}"),
    }
}

/// What never comes up is never compared.
#[test]
fn the_cases_are_diverse() {
    let cases: Vec<Case> = (0..1000).map(|at| Case::random(FIRST_SEED + at)).collect();
    let mut seen = HashSet::new();
    for case in &cases {
        seen.insert(format!("{} inputs", case.x.len()));
        seen.extend(case.f.steps.iter().map(|step| match step.op {
            ScalarOp::Constant(_) => "Constant".to_owned(),
            ref op => format!("{op:?}"),
        }));
    }
    assert_eq!(seen.len(), 3 + 11, "{seen:?}");
    let count = |holds: &dyn Fn(&Judge) -> bool| {
        let judges = cases.iter().map(Judge::of);
        judges.filter(|judge| holds(judge)).count()
    };
    assert_eq!(count(&Judge::is_sound), 1000);
    assert!(count(&|judge| judge.gradient.iter().any(|d| d.value != 0.0)) > 750);
    assert!(count(&|judge| judge.hvp.iter().any(|d| d.value != 0.0)) > 600);
    // A tolerance that forgives everything would be none.
    let sharp = |judge: &Judge| judge.hvp.iter().all(|d| d.error < 1e-12);
    assert!(count(&sharp) > 950);
}

#[test]
fn shrinking_leaves_what_fails() {
    let has_division = |case: &Case| case.f.steps.iter().any(|step| step.op == ScalarOp::Div);
    let cases = (0..500).map(|at| Case::random(FIRST_SEED + at));
    let mut shrunk = 0;
    for case in cases.filter(has_division) {
        let small = shrink::shrink(&case, &has_division);
        assert_eq!(small.f.steps.len(), 1, "{small}");
        assert!(has_division(&small));
        shrunk += 1;
    }
    assert!(shrunk > 50, "only {shrunk} of the cases divide");
}
