//! Inputs to differentiate by, given as keys, and in all the other ways.

use tidu::graph::GraphOperation;
use tidu::scalar::{Expr, ScalarKey, ScalarOp, function, function_of};
use tidu::{ADKey, DiffPassId, Function, FunctionError, Wrt};

type F = Function<ScalarOp>;

/// Σ i·xᵢ², of three inputs
fn f() -> F {
    let f = function(["a", "x", "y"], |x| -> Expr {
        x.iter().zip(1..).map(|(x, i)| i * x.powi(2)).sum()
    });
    f.unwrap()
}

#[track_caller]
fn assert_by(wrt: impl Into<Wrt>, names: &[&str]) {
    let wrt = wrt.into();
    let gradient = f().grad(wrt.clone()).unwrap();
    let found = gradient.output_names().iter();
    let found: Vec<&str> = found.map(|name| &name[2..]).collect();
    assert_eq!(found, names);
    // 2·i·xᵢ
    let slopes = gradient.compile().call(&[1.0, 10.0, 100.0]).unwrap();
    let expected = names.iter().map(|name| match *name {
        "a" => 2.0,
        "x" => 40.0,
        _ => 600.0,
    });
    assert_eq!(slopes, expected.collect::<Vec<f64>>());
    // All transforms look at it alike.
    assert_eq!(
        f().hvp(wrt.clone())
            .unwrap()
            .compile()
            .call(&[&[0.0; 3][..], &vec![1.0; names.len()]].concat())
            .unwrap()
            .len(),
        names.len()
    );
    assert_eq!(f().vjp(wrt).unwrap().output_names().len(), 1 + names.len());
}

#[test]
fn keys_name_inputs() {
    let [a, x, y] = ["a", "x", "y"].map(ScalarKey::from);
    assert_by(x.clone(), &["x"]);
    assert_by(&x, &["x"]);
    assert_by([y.clone(), a.clone()], &["y", "a"]);
    assert_by(vec![y.clone(), x.clone()], &["y", "x"]);
    let keys = vec![y.clone(), x.clone()];
    assert_by(&keys, &["y", "x"]);
    assert_eq!(keys, [y.clone(), x.clone()]);
    assert_by([a, x, y].as_slice(), &["a", "x", "y"]);
    assert_by(f().input_keys(), &["a", "x", "y"]);
}

#[test]
fn names_and_positions_come_in_many_forms() {
    let names = || vec!["y".to_owned(), "a".to_owned()];
    let (one, both) = ("x".to_owned(), names());
    assert_by("x", &["x"]);
    assert_by("x".to_owned(), &["x"]);
    assert_by(&one, &["x"]);
    assert_by(["y", "a"], &["y", "a"]);
    assert_by(vec!["y", "a"], &["y", "a"]);
    assert_by(names(), &["y", "a"]);
    assert_by(&both, &["y", "a"]);
    assert_eq!((one.as_str(), both), ("x", names()));
    assert_by(names().as_slice(), &["y", "a"]);
    assert_by(["y".to_owned(), "a".to_owned()], &["y", "a"]);
    assert_by(1, &["x"]);
    assert_by([2, 0], &["y", "a"]);
    assert_by(1..3, &["x", "y"]);
    assert_by(1..=2, &["x", "y"]);
    assert_by(.., &["a", "x", "y"]);
}

#[test]
fn keys_that_are_no_inputs_are_refused() {
    let error = f().grad(ScalarKey::from("z")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the function has no input z; its inputs are a, x, y"
    );
    // Another key, although one of the same letters: the tangent of x prints like this word.
    let tangent = ScalarKey::from("x").tangent_of(1);
    let error = f().grad(tangent).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the function has no input d1.x; its inputs are a, x, y"
    );
    let dotted = function_of(["d0.x"], |x| x[0].powi(2)).unwrap();
    assert_eq!(dotted.grad("'d0.x").unwrap().input_names(), ["'d0.x"]);
    assert_eq!(
        dotted.grad("d0.x").unwrap_err().to_string(),
        "the function has no input d0.x; its inputs are \"'d0.x\" (the word d0.x is written 'd0.x: d0.x would name an \
         input of a derivative)"
    );
    let x = ScalarKey::from("x");
    assert_eq!(
        f().grad([x.clone(), x]).unwrap_err(),
        FunctionError::RepeatedInput { name: "x".into() }
    );
    let none: Vec<ScalarKey> = Vec::new();
    assert_eq!(f().grad(none).unwrap_err(), FunctionError::NoInputs);
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Other(u8);

impl ADKey for Other {
    fn tangent_of(&self, pass: DiffPassId) -> Self {
        Other(self.0 ^ pass as u8)
    }
}

#[test]
fn keys_of_another_operation_set_are_refused() {
    let error = f().jvp([Other(3), Other(4)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the function has no input Other(3), which is a key of another type than those of its inputs; its inputs \
         are a, x, y"
    );
}

#[test]
fn keys_are_compared() {
    let x: <ScalarOp as GraphOperation>::InputKey = "x".into();
    assert_eq!(Wrt::from(&x), Wrt::from([x.clone()]));
    assert_ne!(Wrt::from(&x), Wrt::from(ScalarKey::from("y")));
    assert_ne!(Wrt::from(x), Wrt::from(Other(3)));
}
