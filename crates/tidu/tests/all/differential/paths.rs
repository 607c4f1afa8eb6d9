//! All paths, each compared with dual numbers and with the paths that it must equal.

use tidu::scalar::ScalarOp;

use super::case::Case;
use super::compare::{Judge, close, same_bits};
use super::{derived, recorded};
use crate::support::or_zero;

pub fn check(case: &Case) -> Result<(), String> {
    let judge = Judge::of(case);
    let value = case.f.value_at(&case.x);
    close("one step after the other", &value, &judge.value)?;
    derived::check(case, &judge, &value)?;
    graphs(case, &judge, &value)?;
    recorded::check(case, &judge, &value)
}

/// Graphs that are linearized, transposed, merged and compiled by the caller.
fn graphs(case: &Case, judge: &Judge, value: &[f64]) -> Result<(), String> {
    let problem = case.f.at(&case.x);
    same_bits("graph: value", &or_zero(&problem.evaluate()), value)?;

    let gradient = or_zero(&problem.vjp(&[1.0]));
    close("graph: vjp", &gradient, &judge.gradient)?;
    let by_builder = or_zero(&problem.vjp_by_builder(&[Some(1.0)]));
    same_bits("graph: vjp by a builder", &by_builder, &gradient)?;
    let (mut by_columns, mut forward_forward) = (Vec::new(), Vec::new());
    let forward = problem.forward(&case.v);
    for i in 0..case.x.len() {
        let mut e = vec![0.0; case.x.len()];
        e[i] = 1.0;
        by_columns.extend(or_zero(&problem.jvp(&e)));
        forward_forward.extend(or_zero(&forward.forward(&e).evaluate()));
    }
    close("graph: jvp", &by_columns, &judge.gradient)?;
    close("graph: forward over forward", &forward_forward, &judge.hvp)?;

    let reverse = problem.reverse(&[1.0]);
    let second = [
        ("graph: reverse over forward", forward.reverse(&[1.0])),
        ("graph: forward over reverse", reverse.forward(&case.v)),
        ("graph: reverse over reverse", reverse.reverse(&case.v)),
    ];
    for (path, problem) in second {
        close(path, &or_zero(&problem.evaluate()), &judge.hvp)?;
    }
    Ok(())
}

/// What all cases are.
pub type F = tidu::Function<ScalarOp>;
