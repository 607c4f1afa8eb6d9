//! Functions, their derivatives at every level and in both modes, and what reads back from text.

use tidu::graph::Exactness::{self, Exact, FiniteOnly, RealOnly};
use tidu::{Derive, FunctionError, Mode};

use tidu::scalar::ScalarOp;

use super::case::Case;
use super::compare::{Judge, close, same_bits, same_numbers};
use super::paths::F;
use crate::support::Bounded;

pub fn check(case: &Case, judge: &Judge, value: &[f64]) -> Result<(), String> {
    let f = case.function();
    values(&f, case, judge, value)?;
    gradients(&f, case, judge)?;
    other_first_derivatives(&f, case, judge, value)?;
    second_derivatives(&f, case, judge)?;
    text(&f, case)?;
    threads(&f, case)
}

fn values(f: &F, case: &Case, judge: &Judge, value: &[f64]) -> Result<(), String> {
    same_bits("function: value", &call(f, &case.x)?, value)?;
    let at = |level| told(f.simplify(level)).and_then(|f| call(&f, &case.x));
    levels("function: value", at, value, &judge.value)
}

/// Within a mode, what simplification at `Exact` leaves has the bits of what there was.
fn gradients(f: &F, case: &Case, judge: &Judge) -> Result<(), String> {
    for mode in [Mode::Forward, Mode::Reverse] {
        let path = format!("function: grad, {mode:?}");
        let derive = |derive: Derive<'_, ScalarOp>| {
            let gradient = told(derive.mode(mode).grad(..))?;
            call(&gradient, &case.x)
        };
        let plain = derive(f.within(&mut ()).unsimplified())?;
        close(&path, &plain, &judge.gradient)?;
        let at = |level| derive(f.within(&mut ()).simplify(level));
        levels(&path, at, &plain, &judge.gradient)?;
    }
    Ok(())
}

fn other_first_derivatives(f: &F, case: &Case, judge: &Judge, value: &[f64]) -> Result<(), String> {
    let inputs = case.x.len();
    let both = call(&told(f.value_and_grad(..))?, &case.x)?;
    same_bits("value_and_grad: value", &both[..1], value)?;
    close("value_and_grad", &both[1..], &judge.gradient)?;

    let with_seed = [&case.x[..], &[1.0]].concat();
    let vjp = call(&told(f.vjp(..))?, &with_seed)?;
    same_bits("vjp: value", &vjp[..1], value)?;
    close("vjp", &vjp[1..], &judge.gradient)?;

    let jvp = told(f.jvp(..))?;
    let jvp = jvp.compile();
    let mut columns = Vec::new();
    for i in 0..inputs {
        let mut x = case.x.clone();
        x.extend((0..inputs).map(|at| f64::from(u8::from(at == i))));
        let results = told(jvp.call(&x))?;
        same_bits("jvp: value", &results[..1], value)?;
        columns.push(results[1]);
    }
    close("jvp", &columns, &judge.gradient)?;

    let jacobian = call(&told(f.jacobian(..))?, &case.x)?;
    close("jacobian", &jacobian, &judge.gradient)?;
    in_place(f, case, judge)?;
    linearized(f, case, judge, value)
}

/// The way of operation sets whose rules have a context.
fn in_place(f: &F, case: &Case, judge: &Judge) -> Result<(), String> {
    let inputs = case.x.len();
    for mode in [Mode::Forward, Mode::Reverse] {
        let gradient = told(f.within(&mut ()).in_place().mode(mode).grad(..))?;
        let path = format!("in place: grad, {mode:?}");
        close(&path, &call(&gradient, &case.x)?, &judge.gradient)?;
    }
    let vjp = told(f.within(&mut ()).in_place().vjp(..))?;
    let vjp = call(&vjp, &[&case.x[..], &[1.0]].concat())?;
    close("in place: vjp", &vjp[1..], &judge.gradient)?;
    let jvp = told(f.within(&mut ()).in_place().jvp(..))?.compile();
    let mut columns = Vec::new();
    for i in 0..inputs {
        let tangents = (0..inputs).map(|at| f64::from(u8::from(at == i)));
        let operands: Vec<f64> = case.x.iter().copied().chain(tangents).collect();
        columns.push(told(jvp.call(&operands))?[1]);
    }
    close("in place: jvp", &columns, &judge.gradient)
}

/// The primal and the linear part, forward and transposed.
fn linearized(f: &F, case: &Case, judge: &Judge, value: &[f64]) -> Result<(), String> {
    let split = told(f.linearize(..))?;
    let primal = call(&split.primal, &case.x)?;
    let (found, residuals) = primal.split_at(1);
    same_bits("linearize: value", found, value)?;
    let linear = split.linear.compile();
    let mut columns = Vec::new();
    for i in 0..case.x.len() {
        let tangents = (0..case.x.len()).map(|at| f64::from(u8::from(at == i)));
        let operands: Vec<f64> = residuals.iter().copied().chain(tangents).collect();
        columns.extend(told(linear.call(&operands))?);
    }
    close("linearize", &columns, &judge.gradient)?;
    let tangents: Vec<usize> = (residuals.len()..residuals.len() + case.x.len()).collect();
    let transposed = told(split.linear.transpose(&tangents[..]))?;
    let gradient = call(&transposed, &[residuals, &[1.0]].concat())?;
    close("linearize, transposed", &gradient, &judge.gradient)
}

fn second_derivatives(f: &F, case: &Case, judge: &Judge) -> Result<(), String> {
    let x_v = case.point_and_direction();
    let plain = told(f.within(&mut ()).unsimplified().hvp(..))?;
    close("hvp, unsimplified", &call(&plain, &x_v)?, &judge.hvp)?;
    for level in [Exact, FiniteOnly, RealOnly] {
        let hvp = told(f.within(&mut ()).simplify(level).hvp(..))?;
        close(&format!("hvp, {level:?}"), &call(&hvp, &x_v)?, &judge.hvp)?;
    }
    let hvp = told(f.within(&mut ()).in_place().hvp(..))?;
    close("hvp, in place", &call(&hvp, &x_v)?, &judge.hvp)?;
    let hessian = call(&told(f.hessian(..))?, &case.x)?;
    let rows = hessian.chunks(case.x.len());
    let product = rows.map(|row| row.iter().zip(&case.v).map(|(h, v)| h * v).sum());
    close("hessian", &product.collect::<Vec<f64>>(), &judge.hvp)?;

    let reverse = told(f.within(&mut ()).mode(Mode::Reverse).grad(..))?;
    let twice = call(&told(reverse.vjp(..))?, &x_v)?;
    close("vjp of grad", &twice[case.x.len()..], &judge.hvp)?;
    let inputs: Vec<usize> = (0..case.x.len()).collect();
    let gradient = call(&told(directional(f)?.grad(&inputs[..]))?, &x_v)?;
    close("grad of jvp", &gradient, &judge.hvp)
}

/// (x, v) ↦ ∂ᵥf(x)
pub fn directional(f: &F) -> Result<F, String> {
    let jvp = told(f.jvp(..))?;
    let name = jvp.output_names()[1].clone();
    told(jvp.select(&[&name]))
}

/// What is printed reads back as the same function, whose derivatives have the same bits.
fn text(f: &F, case: &Case) -> Result<(), String> {
    let read = reads_back(f)?;
    let x_v = case.point_and_direction();
    same_bits("text: value", &call(&read, &case.x)?, &call(f, &case.x)?)?;
    let (gradient, hvp) = (told(f.grad(..))?, told(f.hvp(..))?);
    let expected = call(&gradient, &case.x)?;
    let found = call(&told(read.grad(..))?, &case.x)?;
    same_bits("text: grad of what was read", &found, &expected)?;
    let found = call(&reads_back(&gradient)?, &case.x)?;
    same_bits("text: grad, read", &found, &expected)?;
    let expected = call(&hvp, &x_v)?;
    let found = call(&told(read.hvp(..))?, &x_v)?;
    same_bits("text: hvp of what was read", &found, &expected)?;
    same_bits(
        "text: hvp, read",
        &call(&reads_back(&hvp)?, &x_v)?,
        &expected,
    )
}

fn reads_back(f: &F) -> Result<F, String> {
    let text = f.to_string();
    let read: F = text.parse().map_err(|error| format!("{error}\n{text}"))?;
    match read.to_string() == text {
        true => Ok(read),
        false => Err(format!("text: {text}\nreads back as {read}")),
    }
}

/// Two threads that share a function derive the same from it.
fn threads(f: &F, case: &Case) -> Result<(), String> {
    let x_v = case.point_and_direction();
    let run = || -> Result<(String, Vec<f64>), String> {
        let hvp = told(f.hvp(..))?;
        Ok((hvp.to_string(), call(&hvp, &x_v)?))
    };
    let (here, there) = std::thread::scope(|scope| {
        let there = scope.spawn(run);
        (run(), there.join())
    });
    let (here, there) = (here?, there.map_err(|_| "hvp panics in a thread")??);
    same_bits("threads: hvp", &there.1, &here.1)?;
    match there.0 == here.0 {
        true => Ok(()),
        false => Err(format!("threads: {}\nand\n{}", here.0, there.0)),
    }
}

/// What the levels promise, for a function whose numbers are all finite.
fn levels(
    path: &str,
    at: impl Fn(Exactness) -> Result<Vec<f64>, String>,
    plain: &[f64],
    judge: &[Bounded],
) -> Result<(), String> {
    same_bits(&format!("{path}, Exact"), &at(Exact)?, plain)?;
    same_numbers(&format!("{path}, FiniteOnly"), &at(FiniteOnly)?, plain)?;
    close(&format!("{path}, RealOnly"), &at(RealOnly)?, judge)
}

pub fn call(f: &F, x: &[f64]) -> Result<Vec<f64>, String> {
    told(f.compile().call(x))
}

pub fn told<T>(result: Result<T, FunctionError>) -> Result<T, String> {
    result.map_err(|error| format!("an error: {error}"))
}
