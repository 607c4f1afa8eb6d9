//! Values and Jacobians at once, against closed forms.

use tidu::graph::Exactness;
use tidu::scalar::{CompileScalar, Expr, ScalarOp, function, function_of};
use tidu::{Function, FunctionError, Mode};

use crate::support::Random;

type F = Function<ScalarOp>;

/// Outputs i = 1, …, m of inputs j = 1, …, n: Σⱼ sin (i·xⱼ), but that the last one depends on nothing, and the one
/// before it stands twice.
fn waves(m: usize, n: usize) -> F {
    let names: Vec<String> = (1..=n).map(|j| format!("x{j}")).collect();
    let f = function_of(&names, |x| {
        let wave = |i: usize| -> Expr { x.iter().map(|x| (i as f64 * x).sin()).sum() };
        let waves = (1..=m).map(wave);
        let mut outputs: Vec<Expr> = waves.collect();
        outputs.push(outputs[m - 1].clone());
        outputs.push(Expr::constant(2.5));
        outputs
    });
    f.unwrap()
}

fn expected(m: usize, columns: &[usize], x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let rows: Vec<usize> = (1..=m).chain([m]).collect();
    let values = rows
        .iter()
        .map(|&i| x.iter().map(|x| (i as f64 * x).sin()).sum());
    let values: Vec<f64> = values.chain([2.5]).collect();
    let entries = rows.iter().flat_map(|&i| {
        let row = columns.iter();
        row.map(move |&j| i as f64 * (i as f64 * x[j]).cos())
    });
    let entries = entries.chain(vec![0.0; columns.len()]);
    (values, entries.collect())
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-13, "{found} for {expected}");
    }
}

#[test]
fn values_and_entries_are_those_of_the_closed_form() -> Result<(), FunctionError> {
    let mut random = Random(5);
    for (m, n) in [(1, 1), (1, 6), (2, 5), (5, 2), (6, 1), (3, 3)] {
        let f = waves(m, n);
        let x: Vec<f64> = (0..n).map(|_| 2.0 * random.unit()).collect();
        let all: Vec<usize> = (0..n).collect();
        let last_and_first = if n > 1 { vec![n - 1, 0] } else { vec![0] };
        for columns in [all, last_and_first] {
            let both = [
                f.value_and_jacobian(columns.clone())?,
                f.within(&mut ())
                    .mode(Mode::Forward)
                    .value_and_jacobian(columns.clone())?,
                f.within(&mut ())
                    .mode(Mode::Reverse)
                    .value_and_jacobian(columns.clone())?,
                f.within(&mut ())
                    .in_place()
                    .value_and_jacobian(columns.clone())?,
                f.within(&mut ())
                    .in_place()
                    .mode(Mode::Reverse)
                    .value_and_jacobian(columns.clone())?,
                f.within(&mut ())
                    .unsimplified()
                    .value_and_jacobian(columns.clone())?,
                f.within(&mut ())
                    .simplify(Exactness::RealOnly)
                    .value_and_jacobian(columns.clone())?,
            ];
            let (values, entries) = expected(m, &columns, &x);
            for both in both {
                let found = both.compile().call(&x)?;
                assert_near(&found[..m + 2], &values);
                assert_near(&found[m + 2..], &entries);
                // The values are those of the function, to the bit.
                assert_eq!(found[..m + 2], f.compile().call(&x)?);
                assert_eq!(both.input_names(), f.input_names());
                let names = f.output_names().iter().cloned();
                let jacobian = f.jacobian(columns.clone())?;
                let names: Vec<String> = names.chain(jacobian.output_names().to_vec()).collect();
                assert_eq!(both.output_names(), names);
            }
        }
    }
    Ok(())
}

/// Bytecode of it gives the same bits.
#[test]
fn programs_of_both() -> Result<(), Box<dyn std::error::Error>> {
    let both = waves(3, 2).value_and_jacobian(..)?;
    let x = [0.3, -1.1];
    let generic = both.compile().call(&x)?;
    assert_eq!(both.compile_scalar()?.call(&x)?, generic);
    Ok(())
}

#[test]
fn the_work_is_shared() -> Result<(), FunctionError> {
    let f = function(["x", "y"], |[x, y]| {
        let e = (x * &y).exp();
        [e.clone(), e * y]
    })?;
    let both = f.value_and_jacobian(..)?.to_string();
    assert_eq!(both.matches(" = exp").count(), 1, "{both}");
    Ok(())
}

/// The new names stand apart from those that there are.
#[test]
fn no_name_stands_twice() -> Result<(), FunctionError> {
    let f = function(["x"], |[x]| x.sin())?;
    let first = f.value_and_jacobian("x")?;
    assert_eq!(first.output_names(), ["out0", "d.out0.x"]);
    let second = first.value_and_jacobian("x")?;
    assert_eq!(
        second.output_names(),
        ["out0", "d.out0.x", "d_2.out0.x", "d_2.d.out0.x.x"]
    );
    assert_eq!(
        second.compile().call(&[0.5])?,
        [0.5_f64.sin(), 0.5_f64.cos(), 0.5_f64.cos(), -0.5_f64.sin()]
    );
    Ok(())
}

/// One step of Gauss–Newton from (x, y) for residuals that are linear finds the least squares at once.
#[test]
fn gauss_newton_from_one_call() -> Result<(), FunctionError> {
    let residuals = function(["a", "b"], |[a, b]| {
        let points = [(0.0, 1.0), (1.0, 3.0), (2.0, 4.0), (3.0, 4.0)];
        points.map(|(t, y)| &a + &b * t - y)
    })?;
    let both = residuals.value_and_jacobian(..)?.compile();
    let found = both.call(&[10.0, -7.0])?;
    let (r, j) = found.split_at(4);
    let dot = |a: usize, b: usize| (0..4).map(|i| j[2 * i + a] * j[2 * i + b]).sum::<f64>();
    let load = |a: usize| (0..4).map(|i| j[2 * i + a] * r[i]).sum::<f64>();
    let determinant = dot(0, 0) * dot(1, 1) - dot(0, 1) * dot(0, 1);
    let a = 10.0 - (dot(1, 1) * load(0) - dot(0, 1) * load(1)) / determinant;
    let b = -7.0 - (dot(0, 0) * load(1) - dot(0, 1) * load(0)) / determinant;
    // Normal equations by hand: n = 4, Σt = 6, Σt² = 14, Σy = 12, Σty = 23.
    assert_near(&[a, b], &[1.5, 1.0]);
    Ok(())
}
