//! What is not taken has no influence, in any mode, be it a NaN or infinite: branches, parts, rows, elements
//! at indices, eigenvectors.
use tidu::{Function, ValueType};
use tidu_tensor::{Expr, Tape, Tensor, TensorOp, Value, function_of, types};

use crate::support::coordinates;

/// A number, of two tensors.
trait Body {
    fn of<V: Value>(&self, x: &V, y: &V) -> V;
}

/// Defines a body.
macro_rules! body {
    ($Name:ident, |$x:ident, $y:ident| $body:expr) => {
        struct $Name;

        impl Body for $Name {
            fn of<V: Value>(&self, $x: &V, $y: &V) -> V {
                $body
            }
        }
    };
}

fn number<V: Value>(value: f64) -> V {
    V::full([], value)
}

body!(Root, |x, y| {
    let kept = x.greater(&number(0.0)).select(&x.sqrt(), &number(0.0));
    (kept * y.clone()).sum_all()
});
body!(Quotient, |x, y| {
    let quotient = x.clone() / y.clone();
    y.greater(&number(1.0))
        .select(&quotient, &number(0.0))
        .sum_all()
});
body!(Kept, |x, y| x.exp().keep_if(&y.less_than(0.0)).sum_all());
body!(Part, |x, y| (x.clone() / y.clone())
    .slice(0, 1..2)
    .sum_all());
body!(Rows, |x, y| {
    // Of the first row, both logarithms are those of 0.
    let table = x.reshape([2, 2]).ln() * y.reshape([2, 2]);
    table.slice(0, 1..2).logsumexp([1]).sum_all()
});
body!(Stretched, |x, y| {
    let table = x.expand(0) / y.expand(1);
    table.slice(0, 1..3).slice(1, 0..2).sum_all()
});
body!(Product, |x, y| {
    let roots = x.sqrt().reshape([2, 2]);
    let product = roots.matmul(&y.reshape([2, 2]));
    product.slice(0, 1..2).sum_all()
});
body!(Twice, |x, y| {
    let quotient = x.clone() / y.clone();
    let first = quotient.slice(0, 1..2).sum_all();
    let other = quotient.square().slice(0, 2..3).sum_all();
    first + other + x.clone().square().sum_all()
});
body!(Joined, |x, y| {
    let quotient = x.clone() / y.clone();
    let joined = V::concatenate(&[&quotient, x], 0);
    joined.slice(0, 1..6).sum_all()
});

/// The comparison that the trait does not have.
trait Less: Value {
    fn less_than(&self, bound: f64) -> Self {
        number::<Self>(bound).greater(self)
    }
}

impl<V: Value> Less for V {}

fn written(body: &impl Body, x: &Tensor, y: &Tensor) -> Function<TensorOp> {
    let inputs: [(&str, ValueType); 2] = [("x", x.value_type()), ("y", y.value_type())];
    function_of(&inputs, |inputs| [body.of::<Expr>(&inputs[0], &inputs[1])]).unwrap()
}

fn zeros_like(x: &Tensor) -> Tensor {
    Tensor::full(x.dims(), 0.0)
}

fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    let near = |x: f64, y: f64| (x - y).abs() <= 1e-12 * (1.0 + y.abs());
    let near =
        found.len() == expected.len() && found.iter().zip(expected).all(|(&x, &y)| near(x, y));
    assert!(near, "{what}: {found:?} for {expected:?}");
}

/// Values and slopes by every way; `expected` by x, then by y, and forward mode as a witness of its own.
fn check(body: &impl Body, x: &[f64], y: &[f64], expected: [&[f64]; 2]) {
    let [x, y] = [x, y].map(|numbers| Tensor::new(vec![numbers.len()], numbers.to_vec()).unwrap());
    let f = written(body, &x, &y);
    let name = f.to_string();
    let [by_x, by_y] = expected;

    let found = f
        .grad(..)
        .unwrap()
        .compile()
        .call(&[x.clone(), y.clone()])
        .unwrap();
    assert_near(
        &coordinates(&found[0]),
        by_x,
        &format!("graph, by x: {name}"),
    );
    assert_near(
        &coordinates(&found[1]),
        by_y,
        &format!("graph, by y: {name}"),
    );

    let jvp = f.jvp(..).unwrap().compile();
    for (input, slopes) in expected.iter().enumerate() {
        for (at, slope) in slopes.iter().enumerate() {
            let mut tangents = [zeros_like(&x), zeros_like(&y)];
            let mut basis = vec![0.0; slopes.len()];
            basis[at] = 1.0;
            tangents[input] = Tensor::new(vec![slopes.len()], basis).unwrap();
            let [dx, dy] = tangents;
            let found = jvp.call(&[x.clone(), y.clone(), dx, dy]).unwrap();
            assert_near(
                &coordinates(&found[1]),
                &[*slope],
                &format!("forward: {name}"),
            );
        }
    }

    let tape = Tape::new();
    let [x, y] = [tape.var(x), tape.var(y)];
    let gradients = body.of(&x, &y).backward().unwrap();
    let found = [&x, &y].map(|input| match gradients.get(input).unwrap() {
        Some(gradient) => coordinates(gradient),
        None => vec![0.0; input.dims().iter().product()],
    });
    assert_near(&found[0], by_x, &format!("tape, by x: {name}"));
    assert_near(&found[1], by_y, &format!("tape, by y: {name}"));
}

#[test]
fn branches_that_are_not_taken() {
    check(&Root, &[-3.0, 4.0], &[1.0, 2.0], [&[0.0, 0.5], &[0.0, 2.0]]);
    check(
        &Quotient,
        &[1.0, 6.0],
        &[0.0, 2.0],
        [&[0.0, 0.5], &[0.0, -1.5]],
    );
    check(
        &Kept,
        &[800.0, 0.0],
        &[1.0, -1.0],
        [&[0.0, 1.0], &[0.0, 0.0]],
    );
}

#[test]
fn parts_that_are_not_taken() {
    check(
        &Part,
        &[1.0, 3.0],
        &[0.0, 2.0],
        [&[0.0, 0.5], &[0.0, -0.75]],
    );
    let [x, y] = [[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 3.0, 3.0]];
    check(&Rows, &x, &y, [&[0.0, 0.0, 1.5, 1.5], &[0.0; 4]]);
    check(
        &Stretched,
        &[1.0, 2.0, f64::INFINITY],
        &[0.0, 2.0, 4.0],
        [&[0.75, 0.75, 0.0], &[0.0, -0.75, -0.1875]],
    );
    check(
        &Product,
        &[0.0, 0.0, 1.0, 4.0],
        &[1.0, 2.0, 3.0, 4.0],
        [&[0.0, 0.0, 1.5, 1.75], &[1.0, 1.0, 2.0, 2.0]],
    );
    check(
        &Twice,
        &[1.0, 2.0, 3.0],
        &[0.0, 2.0, 1.0],
        [&[2.0, 4.5, 12.0], &[0.0, -0.5, -18.0]],
    );
    check(
        &Joined,
        &[1.0, 2.0, 3.0],
        &[0.0, 2.0, 1.0],
        [&[1.0, 1.5, 2.0], &[0.0, -0.5, -3.0]],
    );
}

#[test]
fn elements_at_other_indices() {
    let inputs = [("x", types::real([3])), ("i", types::index([2]))];
    let f = function_of(&inputs, |inputs| {
        [inputs[0].ln().sqrt().gather(0, &inputs[1]).sum_all()]
    });
    let gradient = f.unwrap().grad("x").unwrap().compile();
    let x = Tensor::from([1.0, 1.0_f64.exp(), 0.0]);
    let found = gradient.call(&[x, Tensor::from([1_i64, 1])]).unwrap();
    assert_near(
        &coordinates(&found[0]),
        &[0.0, (-1.0_f64).exp(), 0.0],
        "gather",
    );
}

/// The vector of 4 is smooth where 4 is a single eigenvalue, whatever the others are.
#[test]
fn an_eigenvector_beside_a_double_eigenvalue() {
    struct Component;
    impl Body for Component {
        fn of<V: Value>(&self, x: &V, y: &V) -> V {
            let matrix = x.reshape([3, 3]) + (x.sum_all() * y.sum_all()) * V::full([3, 3], 0.0);
            let vectors = matrix.eigh().1;
            // Up to its sign: the product of two components.
            let of_4 = vectors.slice(1, 2..3);
            (of_4.slice(0, 0..1) * of_4.slice(0, 1..2)).sum_all()
        }
    }
    let x = [4.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    // v₀·v₁ = x₀₁ / (4 - 1) to first order, of the symmetric part.
    let mut by_x = [0.0; 9];
    (by_x[1], by_x[3]) = (1.0 / 6.0, 1.0 / 6.0);
    check(&Component, &x, &[0.0], [&by_x, &[0.0]]);
}

/// Derivatives of derivatives go through what the first ones were kept by.
#[test]
fn second_derivatives_of_parts() {
    let inputs = [("x", types::real([2])), ("y", types::real([2]))];
    let f = function_of(&inputs, |inputs| {
        let quotient = &inputs[0] / &inputs[1];
        [quotient.square().slice(0, 1..2).sum_all()]
    });
    let gradient = f
        .unwrap()
        .grad(["x", "y"])
        .unwrap()
        .select(&["d.y"])
        .unwrap();
    let sum = gradient.vjp("y").unwrap().compile();
    let arguments = [[1.0, 3.0], [0.0, 2.0], [1.0, 1.0]].map(Tensor::from);
    let found = sum.call(&arguments).unwrap();
    // ∂²(x/y)² / ∂y² = 6·x²/y⁴
    assert_near(
        &coordinates(&found[1]),
        &[0.0, 54.0 / 16.0],
        "second derivative",
    );
}

body!(RowOfSoftmax, |x, y| {
    let rows = x.reshape([2, 2]).softmax([-1]) + x.reshape([2, 2]).log_softmax([-1]);
    rows.slice(0, 0..1).square().sum_all() + y.clone().square().sum_all()
});

/// Of a row that is not taken, the maximum is -∞, and so softmax is NaN.
#[test]
fn rows_of_softmax() {
    let (a, b) = (0.1_f64, 0.5_f64);
    let s = 1.0 / (1.0 + (b - a).exp());
    let [p, q] = [s, 1.0 - s];
    // With u = p + ln p and v = q + ln q: u̇ = p·q + q and v̇ = -p·q - p by the first.
    let (u, v) = (p + p.ln(), q + q.ln());
    let slope = 2.0 * u * (p * q + q) - 2.0 * v * (p * q + p);
    let infinite = [a, b, f64::NEG_INFINITY, f64::NEG_INFINITY];
    check(
        &RowOfSoftmax,
        &infinite,
        &[1.0],
        [&[slope, -slope, 0.0, 0.0], &[2.0]],
    );
}

/// Calls know of indices what operations know.
#[test]
fn calls_and_jacobians_of_functions_of_indices() {
    let inputs = [("x", types::real([3])), ("i", types::index([2]))];
    let f = function_of(&inputs, |inputs| {
        [inputs[0].gather(0, &inputs[1]).square().sum_all()]
    });
    let f = f.unwrap();
    let tape = Tape::new();
    let (x, i) = (tape.var([1.0, 2.0, 3.0]), tape.var([0_i64, 2]));
    let y = tape.apply_function(&f, &[&x, &i]).unwrap().remove(0);
    let gradients = y.backward().unwrap();
    assert_eq!(
        gradients.get(&x).unwrap(),
        Some(&Tensor::from([2.0, 0.0, 6.0]))
    );
    assert_eq!(gradients.get(&i).unwrap(), None);

    let error = f.jacobian("i").unwrap_err().to_string();
    assert!(
        error.starts_with("input i is i64[2], by which there is no derivative"),
        "{error}"
    );
    let inputs = [("x", types::real([3]))];
    let f = function_of(&inputs, |x| [x[0].square().sum_all(), x[0].argmax(0)]).unwrap();
    let error = f.jacobian("x").unwrap_err().to_string();
    assert!(
        error.starts_with("output out1 is i64, of which there is no derivative"),
        "{error}"
    );
}
