//! Functions with names made at run time, what a body may return, and integers beside expressions.

use std::iter::once;

use tidu::scalar::{Expr, ScalarKey, ScalarOp, Tape, Var, function, function_of};
use tidu::{Function, FunctionError};

type F = Function<ScalarOp>;

fn at(f: &F, point: &[f64]) -> Vec<f64> {
    f.compile().call(point).unwrap()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("x{i}")).collect()
}

/// Σ i·xᵢ, whose gradient is (0, 1, …, n - 1).
fn weighted(x: &[Expr]) -> Expr {
    x.iter().zip(0..).map(|(x, i)| i * x).sum()
}

#[test]
fn as_many_inputs_as_there_are_names() -> Result<(), FunctionError> {
    for count in [0, 1, 2, 1000] {
        let f = function_of(names(count), weighted)?;
        assert_eq!(f.input_names(), names(count));
        let sum = (0..count).map(|i| i as f64).sum::<f64>();
        assert_eq!(at(&f, &vec![1.0; count]), [sum]);
        if count > 0 {
            let expected: Vec<f64> = (0..count).map(|i| i as f64).collect();
            assert_eq!(at(&f.grad(..)?, &vec![0.5; count]), expected);
        } else {
            assert_eq!(f.grad(..).unwrap_err(), FunctionError::NoInputs);
        }
    }
    Ok(())
}

#[test]
fn names_come_in_many_forms() -> Result<(), FunctionError> {
    let owned = names(3);
    let words: Vec<&str> = owned.iter().map(String::as_str).collect();
    let keys: Vec<ScalarKey> = owned.iter().map(ScalarKey::from).collect();
    let all: [F; 10] = [
        function_of(&owned, weighted)?,
        function_of(owned.clone(), weighted)?,
        function_of(owned.as_slice(), weighted)?,
        function_of(owned.iter(), weighted)?,
        function_of((0..3).map(|i| format!("x{i}")), weighted)?,
        function_of(words.clone(), weighted)?,
        function_of(words.as_slice(), weighted)?,
        function_of(["x0", "x1", "x2"], weighted)?,
        function_of(&keys, weighted)?,
        function_of(keys, weighted)?,
    ];
    for f in all {
        assert_eq!(f.input_names(), owned);
        assert_eq!(at(&f, &[1.0, 10.0, 100.0]), [210.0]);
    }
    Ok(())
}

#[test]
fn a_repeated_name_is_refused() {
    let mut twice = names(1000);
    twice[700] = "x3".into();
    let error = function_of(&twice, weighted).unwrap_err();
    assert_eq!(error, FunctionError::RepeatedInput { name: "x3".into() });
    let both = [ScalarKey::fresh(7), ScalarKey::fresh(7)];
    let error = function_of(both, weighted).unwrap_err();
    assert_eq!(error, FunctionError::RepeatedInput { name: "#7".into() });
}

/// An expression of another function is refused here too.
#[test]
fn functions_of_lists_are_closed() {
    let outer = function_of(names(2), |outer| {
        let inner = function_of(names(1), |inner| &inner[0] * &outer[0]);
        assert_eq!(
            inner.unwrap_err().to_string(),
            "input x0 of another function is needed but not listed among the inputs: what comes from outside has \
             to be passed as an input"
        );
        outer.to_vec()
    });
    assert_eq!(outer.unwrap().output_names(), ["out0", "out1"]);
}

#[test]
fn a_body_returns_one_or_many() -> Result<(), FunctionError> {
    assert_eq!(
        at(&function(["x", "y"], |[x, y]| x * y)?, &[2.0, 3.0]),
        [6.0]
    );
    let many: [F; 6] = [
        function(["x", "y"], |[x, y]| [&x + &y, x * y])?,
        function(["x", "y"], |[x, y]| vec![&x + &y, x * y])?,
        function(["x", "y"], |[x, y]| once(&x + &y).chain(once(x * y)))?,
        function(["x", "y"], |x| [x.iter().sum(), x.iter().product::<Expr>()])?,
        function(["x", "y"], |[x, y]| {
            [1.0, 0.0].map(|c| c * (&x + &y) + (1.0 - c) * &x * &y)
        })?,
        function_of(["x", "y"], |x| [&x[0] + &x[1], &x[0] * &x[1]])?,
    ];
    for f in many {
        assert_eq!(f.output_names(), ["out0", "out1"]);
        assert_eq!(at(&f, &[2.0, 3.0]), [5.0, 6.0]);
    }
    let none = function(["x"], |_| [])?;
    assert_eq!(none.output_names(), [""; 0]);
    let none = function(["x"], |_| None)?;
    assert_eq!(none.output_names(), [""; 0]);
    let constant = function([], |[]| Expr::constant(2.0))?;
    assert_eq!(at(&constant, &[]), [2.0]);
    // What comes out of a call goes on as it is.
    let square = function(["v"], |[v]| v.powi(2))?;
    let called = function(["x"], |[x]| Expr::call(&square, &[x + 1]).unwrap())?;
    assert_eq!(at(&called, &[2.0]), [9.0]);
    Ok(())
}

/// Each of these is what stands beside it with a `f64` in place of the integer, for expressions and variables.
#[test]
fn integers_beside_expressions_and_variables() -> Result<(), FunctionError> {
    type Expression = fn(&Expr) -> Expr;
    type Variable = for<'t> fn(Var<'t>) -> Var<'t>;
    type Number = fn(f64) -> f64;
    let cases: [(Expression, Variable, Number); 12] = [
        (|x| 2 * x, |x| 2 * x, |x| 2.0 * x),
        (|x| 2 * x.clone(), |x| 2 * &x, |x| 2.0 * x),
        (|x| x * 2, |x| x * 2, |x| x * 2.0),
        (|x| 7 - x, |x| 7 - x, |x| 7.0 - x),
        (|x| x - 7, |x| x - 7, |x| x - 7.0),
        (|x| 7 / x, |x| 7 / x, |x| 7.0 / x),
        (|x| x.clone() / 7, |x| x / 7, |x| x / 7.0),
        (|x| 7 + x, |x| 7 + x, |x| 7.0 + x),
        (|x| 7 % x, |x| 7 % x, |x| 7.0 % x),
        (
            |x| x.max(0).pow(2),
            |x| x.max(0).pow(2),
            |x| x.max(0.0).powf(2.0),
        ),
        (
            |x| x.greater(3).select(1, -1),
            |x| x.greater(3).select(1, -1),
            |x| if x > 3.0 { 1.0 } else { -1.0 },
        ),
        (
            |x| {
                let mut y = x.clone();
                y += 1;
                y *= 3;
                y
            },
            |x| {
                let mut y = x;
                y += 1;
                y *= 3;
                y
            },
            |x| (x + 1.0) * 3.0,
        ),
    ];
    let tape = Tape::new();
    for (expression, variable, number) in cases {
        for x in [2.5, -4.0, 5.0] {
            let f = function(["x"], |[x]| expression(&x))?;
            assert_eq!(at(&f, &[x]), [number(x)]);
            assert_eq!(variable(tape.var(x)).value(), number(x));
        }
    }
    // Floats are still floats, and what comes out is known at once.
    let f = function(["x"], |[x]| (2.0 * &x + (3 * x).sin()).exp())?;
    assert_eq!(at(&f, &[0.0]), [1.0]);
    Ok(())
}
