//! What newcomers are told, word for word.

use tidu::scalar::{CompileScalar, Expr, ScalarKey, ScalarOp, function, function_of};
use tidu::{Function, FunctionError, Rules, ValueType};

type F = Function<ScalarOp>;

#[track_caller]
fn assert_told<T>(found: Result<T, FunctionError>, text: &str) {
    let error = found.map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), text);
}

/// x·eʸ
fn one_output() -> F {
    function(["x", "y"], |[x, y]| x * y.exp()).unwrap()
}

#[test]
fn programs_name_what_they_take() {
    let f = function(["mass", "speed"], |[m, v]| 0.5 * m * v.powi(2)).unwrap();
    let program = f.compile_scalar().unwrap();
    assert_eq!(
        program.call(&[1.0]).unwrap_err().to_string(),
        "the program takes 2 inputs, found 1; its inputs are mass, speed"
    );
    let mut outputs = [0.0; 2];
    let mut workspace = tidu::scalar::Workspace::default();
    let error = program.eval_into(&mut workspace, &[1.0, 2.0], &mut outputs);
    assert_eq!(
        error.unwrap_err().to_string(),
        "the program has 1 output, found room for 2; its outputs are out0"
    );
    let constant = function([], |[]| Some(1.0.into())).unwrap();
    assert_eq!(
        constant
            .compile_scalar()
            .unwrap()
            .call(&[1.0])
            .unwrap_err()
            .to_string(),
        "the program takes 0 inputs, found 1; its inputs are none"
    );
    assert_eq!(
        constant.compile().call(&[1.0]).unwrap_err().to_string(),
        "the function takes 0 inputs, found 1; its inputs are none"
    );
    let one = f.bind("mass", ScalarOp::constant(2.0)).unwrap();
    assert_eq!(
        one.compile().call(&[]).unwrap_err().to_string(),
        "the function takes 1 input, found 0; its inputs are speed"
    );
}

/// Called from a body with too few arguments.
#[test]
fn calls_of_functions_say_what_they_take() {
    let f = one_output();
    let text = "the function takes 2 inputs, found 1; its inputs are x, y";
    assert_told(Expr::call(&f, &[Expr::constant(1.0)]), text);
    let one = function(["v"], |[v]| v.sin()).unwrap();
    assert_told(
        Expr::call(&one, &[]),
        "the function takes 1 input, found 0; its inputs are v",
    );
}

/// Names that would be misread among others are quoted.
#[test]
fn lists_of_names_can_be_told_apart() {
    let f = function_of(["a, b", "c", "two words", ""], |x| x.to_vec()).unwrap();
    assert_told(
        f.jvp("a"),
        r#"the function has no input a; its inputs are "a, b", c, "two words", """#,
    );
}

#[test]
fn second_derivatives_are_called_by_their_names() {
    let two = function(["x"], |[x]| [x.sin(), x.cos()]).unwrap();
    assert_told(
        two.hessian(..),
        "`hessian` needs a function of one output, this one has 2 (out0, out1): `select` one of them first",
    );
    assert_told(
        two.value_and_grad(..),
        "`value_and_grad` needs a function of one output, this one has 2 (out0, out1): `select` one of them first, \
         or use `value_and_jacobian` for the derivatives of all, `vjp` for those of a weighted sum",
    );
    let none = function(["x"], |_| []).unwrap();
    assert_told(
        none.hvp(..),
        "`hvp` needs a function of one output, this one has none",
    );
}

#[test]
fn rules_that_do_not_fit_are_named() {
    let f = one_output();
    let jvp = function(["x", "y", "dx", "dy"], |[x, y, dx, dy]| x * y * dx * dy).unwrap();
    assert_told(
        f.with_rules("decay", Rules::jvp(jvp)),
        "the function is not linear in dx, dy: mul (%6) is not linear in those of its operands that depend on \
         them; it is decay's JVP",
    );
    let jvp = function(["x", "dx"], |[x, dx]| x * dx).unwrap();
    assert_told(
        f.with_rules("decay", Rules::jvp(jvp)),
        "the JVP of decay must take 4 inputs and have 1 output, found 2 and 1",
    );
}

#[test]
fn counts_are_in_good_grammar() {
    let f = one_output();
    let one = ValueType::new("f64", []);
    assert_told(
        f.with_types([one]),
        "the function has 2 inputs, found 1 type",
    );
    assert_told(f.bind("x", ScalarOp::Sin), "Sin takes 1 operand, found 0");
    assert_told(
        F::build([ScalarKey::from("x")], |_, _| vec![7]),
        "graph output 0 is local value %7, but the graph has 1 value",
    );
}

/// Texts that are nearly right.
#[test]
fn texts_are_told_how_it_is_written() {
    let told = |item: &str| {
        let text = format!("function {{\n    input %0 = x\n    {item}\n    output %1\n}}");
        text.parse::<F>().unwrap_err().to_string()
    };
    for (item, expected) in [
        (
            "%1 = const 1,5",
            "line 3, column 17: expected the end of the line, as const 1 takes no operands, found `,5`",
        ),
        (
            "%1 = const",
            "line 3, column 10: expected an operation, found `const` without its number: it is written like \
             `const 1.5`",
        ),
        (
            "%1 = powi 2.5 %0",
            "line 3, column 10: expected an operation, found `powi` with the number `2.5`: it is written like \
             `powi 3`",
        ),
        (
            "%1 = Sin %0",
            "line 3, column 10: expected an operation, found `Sin`: it is written `sin`",
        ),
        (
            "%1 = sin x",
            "line 3, column 14: expected an operand: `%` or `@`, found `x`",
        ),
        (
            "%1 = sine %0",
            "line 3, column 10: expected an operation, found `sine %0`",
        ),
    ] {
        assert_eq!(told(item), expected);
    }
}
