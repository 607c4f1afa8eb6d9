//! The methods of expressions apply the operations that they are called after.

use tidu_scalar::{Expr, function};

type Unary = fn(&Expr) -> Expr;
type Binary = fn(&Expr, &Expr) -> Expr;

/// The operations of a function of x, y and z, as they print, without constants.
fn operations(body: impl FnOnce(&Expr, &Expr, &Expr) -> Expr) -> Vec<String> {
    let f = function(["x", "y", "z"], |[x, y, z]| [body(&x, &y, &z)]).expect("a function");
    let text = f.to_string();
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    let lines = lines.map(|(_, operation)| operation.to_string());
    lines.filter(|operation| operation.contains('%')).collect()
}

#[test]
fn methods_without_arguments() {
    let cases: [(&str, Unary); 39] = [
        ("recip", Expr::recip),
        ("abs", Expr::abs),
        ("sign", Expr::sign),
        ("floor", Expr::floor),
        ("ceil", Expr::ceil),
        ("round", Expr::round),
        ("round_ties_even", Expr::round_ties_even),
        ("trunc", Expr::trunc),
        ("sqrt", Expr::sqrt),
        ("cbrt", Expr::cbrt),
        ("exp", Expr::exp),
        ("exp2", Expr::exp2),
        ("expm1", Expr::exp_m1),
        ("exp_neg_square", Expr::exp_neg_square),
        ("ln", Expr::ln),
        ("log2", Expr::log2),
        ("log10", Expr::log10),
        ("log1p", Expr::ln_1p),
        ("sigmoid", Expr::sigmoid),
        ("softplus", Expr::softplus),
        ("sin", Expr::sin),
        ("cos", Expr::cos),
        ("tan", Expr::tan),
        ("asin", Expr::asin),
        ("acos", Expr::acos),
        ("atan", Expr::atan),
        ("sinh", Expr::sinh),
        ("cosh", Expr::cosh),
        ("tanh", Expr::tanh),
        ("sech_square", Expr::sech_square),
        ("asinh", Expr::asinh),
        ("acosh", Expr::acosh),
        ("atanh", Expr::atanh),
        ("erf", Expr::erf),
        ("erfc", Expr::erfc),
        ("lgamma", Expr::lgamma),
        ("digamma", Expr::digamma),
        ("stop_gradient", Expr::stop_gradient),
        ("neg", |x| -x),
    ];
    for (name, method) in cases {
        assert_eq!(operations(|x, _, _| method(x)), [format!("{name} %0")]);
    }
}

#[test]
fn methods_of_two() {
    let cases: [(&str, Binary); 20] = [
        ("add", |x, y| x + y),
        ("sub", |x, y| x - y),
        ("mul", |x, y| x * y),
        ("div", |x, y| x / y),
        ("rem", |x, y| x % y),
        ("min", |x, y| x.min(y)),
        ("max", |x, y| x.max(y)),
        ("hypot", |x, y| x.hypot(y)),
        ("direction", |x, y| x.direction(y)),
        ("pow", |x, y| x.pow(y)),
        ("atan2", |x, y| x.atan2(y)),
        ("logaddexp", |x, y| x.logaddexp(y)),
        ("sigmoid_sub", |x, y| x.sigmoid_sub(y)),
        ("lt", |x, y| x.less(y)),
        ("le", |x, y| x.less_equal(y)),
        ("gt", |x, y| x.greater(y)),
        ("ge", |x, y| x.greater_equal(y)),
        ("eq", |x, y| x.equal(y)),
        ("ne", |x, y| x.not_equal(y)),
        ("keep_if", |x, y| y.keep_if(x)),
    ];
    for (name, method) in cases {
        assert_eq!(
            operations(|x, y, _| method(x, y)),
            [format!("{name} %0, %1")]
        );
    }
}

#[test]
fn methods_with_numbers_and_of_three() {
    assert_eq!(operations(|x, _, _| x.powi(-3)), ["powi -3 %0"]);
    assert_eq!(operations(|x, _, _| x.powf(2.5)), ["powf 2.5 %0"]);
    assert_eq!(operations(|x, _, _| x.polygamma(2)), ["polygamma 2 %0"]);
    assert_eq!(
        operations(|x, y, z| x.mul_add(y, z)),
        ["mul_add %0, %1, %2"]
    );
    assert_eq!(operations(|x, y, z| x.select(y, z)), ["select %0, %1, %2"]);
    let sin_cos = operations(|x, _, _| {
        let (sin, cos) = x.sin_cos();
        sin - cos
    });
    assert_eq!(sin_cos, ["sin_cos %0", "sub %3, %4"]);
}

#[test]
fn numbers_are_operands_too() {
    let relu = function(["x"], |[x]| [x.max(0.0)]).expect("a function");
    let slope = relu.grad("x").expect("a gradient").compile();
    for (x, expected) in [(-2.0, 0.0), (0.0, 0.5), (3.0, 1.0)] {
        assert_eq!(slope.call(&[x]).expect("one input"), [expected]);
    }
}
