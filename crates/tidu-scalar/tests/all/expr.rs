//! The methods of expressions apply the operations that they are called after; a function takes nobody else's
//! inputs for its own.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use tidu_ad::{Function, FunctionError};
use tidu_graph::{GraphBuilder, GraphError, OperationRole, ValueKey, ValueRef};
use tidu_scalar::{Expr, ScalarOp, function};

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

#[test]
fn sums_and_products_of_references() {
    let f = function(["x", "y"], |[x, y]| {
        let terms = [x, y, Expr::constant(3.0)];
        [terms.iter().sum(), terms.iter().product::<Expr>()]
    });
    let f = f.expect("a function");
    let slopes = f.jacobian(..).expect("a Jacobian").compile();
    assert_eq!(
        f.compile().call(&[2.0, 5.0]).expect("two inputs"),
        [10.0, 30.0]
    );
    assert_eq!(
        slopes.call(&[2.0, 5.0]).expect("two inputs"),
        [1.0, 1.0, 15.0, 6.0]
    );
    let nothing: [Expr; 0] = [];
    let f = function([], |[]| {
        [nothing.iter().sum(), nothing.iter().product::<Expr>()]
    });
    let f = f.expect("a function");
    assert_eq!(f.compile().call(&[]).expect("no inputs"), [0.0, 1.0]);
}

/// That a function was refused because an input of another one came along.
#[track_caller]
fn assert_foreign<T>(found: Result<T, FunctionError>, expected: &str) {
    match found.map(|_| ()) {
        Err(FunctionError::Graph(GraphError::UnlistedInput { key })) => assert_eq!(key, expected),
        found => panic!("expected an error that says {expected}, found {found:?}"),
    }
}

fn at(f: &Function<ScalarOp>, point: &[f64]) -> Vec<f64> {
    f.compile().call(point).expect("as many numbers as inputs")
}

/// y ↦ x + y with another function's x, whatever the own input is called: what it is at x, nobody knows, and
/// d/dy of it is 1.
#[test]
fn an_input_of_an_outer_function_is_none_of_the_inner_one() {
    for inner_name in ["x", "y"] {
        let expected = match inner_name {
            "x" => "input x of another function",
            _ => "input x",
        };
        let outer = function(["x"], |[x]| {
            assert_foreign(function([inner_name], |[y]| [&x + &y]), expected);
            assert_foreign(function([inner_name], |[y]| [&x * &y]), expected);
            assert_foreign(function([inner_name], |_| [x.clone()]), expected);
            assert_foreign(function([inner_name], |[y]| [y, x.sin()]), expected);
            [x]
        });
        outer.expect("a function");
    }
}

/// What the textbook case has to be written as: the outer variable is passed in. x·d(x·y)/dy is x².
#[test]
fn nested_functions_of_the_same_names_have_the_right_derivatives() {
    for (outer_name, [inner_name, passed]) in [
        ("x", ["x", "z"]),
        ("x", ["y", "x"]),
        ("y", ["x", "y"]),
        ("x", ["y", "z"]),
    ] {
        let f = function([outer_name], |[x]| {
            let inner = function([inner_name, passed], |[y, outer]| [&outer * &y]);
            let slope = inner.expect("a function").grad(0).expect("a gradient");
            let slope = Expr::call(&slope, &[Expr::constant(1.0), x.clone()]);
            [&x * &slope.expect("two arguments")[0]]
        });
        let f = f.expect("a function");
        assert_eq!(at(&f, &[4.0]), [16.0]);
        assert_eq!(at(&f.grad(0).expect("a gradient"), &[4.0]), [8.0]);
        assert_eq!(f.input_names(), [outer_name]);
    }
}

/// f(x) = x·∂³/∂y³ (y³·z²) at y = 1, z = x, where z·∂/∂w (w·z) at w = x makes one of the two z: 6·x³ with three
/// functions inside one another that call everything x.
#[test]
fn three_levels_and_higher_derivatives() {
    let third = |f: Function<ScalarOp>| {
        let f = (0..3).try_fold(f, |f, _| f.grad("x"));
        f.expect("derivatives of a polynomial")
    };
    let f = function(["x"], |[x]| {
        let middle = function(["x", "z"], |[y, z]| {
            let inner = function(["x", "y"], |[w, z]| [&w * &z]).expect("a function");
            let slope = inner.grad("x").expect("a gradient");
            let slope = Expr::call(&slope, &[z.clone(), z.clone()]).expect("two arguments");
            [y.powi(3) * z * &slope[0]]
        });
        let third = third(middle.expect("a function"));
        let third = Expr::call(&third, &[Expr::constant(1.0), x.clone()]);
        [&x * &third.expect("two arguments")[0]]
    });
    let f = f.expect("a function");
    assert_eq!(at(&f, &[2.0]), [48.0]);
    assert_eq!(at(&f.grad("x").expect("a gradient"), &[2.0]), [72.0]);
    assert_eq!(at(&third(f), &[2.0]), [36.0]);
}

#[test]
fn an_outer_input_is_refused_through_two_levels() {
    let f = function(["x"], |[x]| {
        let middle = function(["x"], |[y]| {
            assert_foreign(
                function(["x"], |[z]| [&z * &y]),
                "input x of another function",
            );
            assert_foreign(
                function(["x"], |[z]| [&z * &x]),
                "input x of another function",
            );
            [y.sin()]
        });
        let slope = middle.expect("a function").grad("x").expect("a gradient");
        Expr::call(&slope, &[2.0 * x]).expect("one argument")
    });
    assert_eq!(at(&f.expect("a function"), &[0.5]), [1.0_f64.cos()]);
}

#[test]
fn an_expression_of_a_finished_function_is_refused() {
    let mut leaked = None;
    let finished = function(["x"], |[x]| {
        leaked = Some(x.sin());
        [x]
    });
    finished.expect("a function");
    let leaked = leaked.expect("the body ran");
    assert_foreign(
        function(["x"], |[x]| [x + &leaked]),
        "input x of another function",
    );
    assert_foreign(function(["y"], |[y]| [y + &leaked]), "input x");
    // A body that fails has no function either.
    let mut of_a_failure = None;
    let failed = function(["x", "x"], |[x, _]| {
        of_a_failure = Some(x.clone());
        [x]
    });
    assert!(matches!(failed, Err(FunctionError::RepeatedInput { .. })));
    let of_a_failure = of_a_failure.expect("the body ran");
    assert_foreign(
        function(["x"], |_| [of_a_failure]),
        "input x of another function",
    );
}

/// By position they would be taken for one another, and by name as well.
#[test]
fn inputs_that_change_places_are_not_taken_for_one_another() {
    let mut leaked = None;
    let difference = function(["a", "b"], |[a, b]| {
        leaked = Some(&a - &b);
        [a - b]
    });
    let difference = difference.expect("a function");
    let leaked = leaked.expect("the body ran");
    for names in [["a", "b"], ["b", "a"]] {
        assert!(function(names, |_| [leaked.clone()]).is_err());
        let called = function(names, |inputs| {
            Expr::call(&difference, &inputs).expect("two")
        });
        assert_eq!(at(&called.expect("a function"), &[5.0, 3.0]), [2.0]);
    }
}

#[test]
fn an_expression_of_another_thread_is_refused() {
    let body = || {
        let mut leaked = None;
        let finished = function(["x"], |[x]| {
            leaked = Some(x.exp());
            [x]
        });
        finished.map(|_| leaked)
    };
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(body)).collect();
    for thread in threads {
        let leaked = thread.join().expect("no panic").expect("a function");
        let leaked = leaked.expect("the body ran");
        assert_foreign(
            function(["x"], |[x]| [x * leaked]),
            "input x of another function",
        );
    }
}

/// A free input belongs to the innermost function that has one of its name.
#[test]
fn free_inputs_are_taken_by_name() {
    let cube = Expr::input("x").powi(3);
    let f = function(["y", "x"], |[y, x]| [&cube + x * y]).expect("a function");
    assert_eq!(at(&f.grad("x").expect("a gradient"), &[5.0, 2.0]), [17.0]);
    let nested = function(["x"], |[x]| {
        let inner = function(["x"], |_| [cube.clone()]).expect("a function");
        let slope = inner.grad("x").expect("a gradient");
        let slope = Expr::call(&slope, &[2.0 * x]).expect("one argument");
        [&cube + &slope[0]]
    });
    // x³ + 3·(2x)² at 1, and its slope 3x² + 24x.
    let nested = nested.expect("a function");
    assert_eq!(at(&nested, &[1.0]), [13.0]);
    assert_eq!(at(&nested.grad("x").expect("a gradient"), &[1.0]), [27.0]);
    assert_foreign(function(["y"], |_| [cube]), "input x");
}

/// Inputs of two functions differ, and print and hash alike: what is printed does not depend on how many
/// functions there were.
#[test]
fn inputs_of_two_functions_differ_and_print_alike() {
    let of_a_function = |name| {
        let mut inputs = None;
        let made = function([name], |[x]| {
            inputs = Some([x.clone(), x.sin()]);
            [x]
        });
        made.expect("a function");
        inputs.expect("the body ran")
    };
    let (a, b) = (of_a_function("x"), of_a_function("x"));
    let free = [Expr::input("x"), Expr::input("x").sin()];
    let state = RandomState::new();
    for ((a, b), free) in a.iter().zip(&b).zip(&free) {
        assert!(a == a && a != b && a != free && b != free);
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
        assert_eq!(format!("{a:?}"), format!("{free:?}"));
        assert_eq!(state.hash_one(a), state.hash_one(a.clone()));
        let all: HashSet<&Expr> = [a, b, free, a].into_iter().collect();
        assert_eq!(all.len(), 3);
    }
    let texts = [a, b].map(|[_, sin]| {
        let f = function(["x"], |[x]| [x.sin()]).expect("a function");
        drop(sin);
        f.to_string()
    });
    assert_eq!(texts[0], texts[1]);
}

/// The same for functions that are built as graphs.
#[test]
fn builders_inside_one_another() {
    let outer = Function::<ScalarOp>::build(["x"], |outer, x| {
        let outer_x = outer.global_key(x[0]).clone();
        let inner = Function::<ScalarOp>::build(["x"], |inner, y| {
            let operands = vec![ValueRef::Local(y[0]), ValueRef::External(outer_x)];
            inner.add_operation(ScalarOp::Add, operands, OperationRole::Primary)
        });
        let by_name = Function::<ScalarOp>::build(["x"], |inner: &mut GraphBuilder<_>, y| {
            let named = ValueRef::External(ValueKey::Input("x".into()));
            let operands = vec![ValueRef::Local(y[0]), named];
            inner.add_operation(ScalarOp::Add, operands, OperationRole::Primary)
        });
        for error in [inner, by_name].map(|refused| refused.map(|_| ()).unwrap_err()) {
            assert!(
                matches!(
                    &error,
                    FunctionError::Graph(GraphError::UndefinedValue { .. })
                ),
                "{error}"
            );
        }
        x.to_vec()
    });
    assert_eq!(outer.expect("a function").input_names(), ["x"]);
}
