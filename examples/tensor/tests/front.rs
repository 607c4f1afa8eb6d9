//! Models written once run as graphs and on tapes, and what does not fit is said where it is written.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "front/arguments.rs"]
mod arguments;
mod support;

use std::error::Error;

use support::assert_near;
use tidu_tensor::{Tape, Tensor, Value, Var, Window, function, types};

/// The mean cross entropy of a network of two layers.
fn loss<V: Value>([x, labels, w1, b1, w2]: [&V; 5]) -> V {
    let hidden = (x.matmul(w1) + b1).tanh();
    let logits = hidden.matmul(w2);
    let picked = logits.log_softmax([-1]) * labels.one_hot(2);
    -picked.sum([-1]).mean_all()
}

fn inputs() -> [Tensor; 5] {
    [
        Tensor::from([[0.1, -0.2, 0.3], [0.5, 0.4, -0.6]]),
        Tensor::from([1_i64, 0]),
        Tensor::from([[0.2, -0.1], [0.4, 0.3], [-0.5, 0.6]]),
        Tensor::from([0.05, -0.05]),
        Tensor::from([[1.0, -1.0], [0.5, 0.25]]),
    ]
}

/// The same in plain numbers.
fn loss_of_numbers(x: &[Vec<f64>]) -> f64 {
    let labels = [1, 0];
    let rows = (0..2).map(|row| {
        let hidden: Vec<f64> = (0..2)
            .map(|j| {
                (0..3)
                    .map(|i| x[0][3 * row + i] * x[1][2 * i + j])
                    .sum::<f64>()
                    + x[2][j]
            })
            .map(f64::tanh)
            .collect();
        let logits: Vec<f64> = (0..2)
            .map(|k| (0..2).map(|j| hidden[j] * x[3][2 * j + k]).sum())
            .collect();
        let total: f64 = logits.iter().map(|x| x.exp()).sum();
        total.ln() - logits[labels[row]]
    });
    rows.sum::<f64>() / 2.0
}

#[test]
fn a_model_is_the_same_on_both_front_ends() -> Result<(), Box<dyn Error>> {
    let values = inputs();
    let types = values.each_ref().map(Tensor::value_type);
    let names = ["x", "labels", "w1", "b1", "w2"];
    let mut named = names.into_iter().zip(types);
    let named = [(); 5].map(|()| named.next().unwrap());
    let f = function(named, |x| [loss(x.each_ref())])?;
    let wrt = ["x", "w1", "b1", "w2"];
    let by_graph = f.value_and_grad(wrt)?.compile().call(&values)?;

    let tape = Tape::new();
    let vars: [Var<'_>; 5] = values.clone().map(|value| match value {
        Tensor::Index(_) => value.into(),
        _ => tape.var(value),
    });
    let y = loss(vars.each_ref());
    assert_eq!(y.value(), &by_graph[0]);
    let gradients = y.backward()?;

    let numbers: Vec<Vec<f64>> = [0, 2, 3, 4]
        .map(|at| support::coordinates(&values[at]))
        .to_vec();
    assert!((y.item().unwrap() - loss_of_numbers(&numbers)).abs() < 1e-14);
    for (at, found) in [0, 2, 3, 4].into_iter().zip(&by_graph[1..]) {
        assert_near(gradients.get(&vars[at])?.unwrap(), found, 1e-14);
    }
    for (at, found) in by_graph[1..].iter().enumerate() {
        for (element, slope) in support::coordinates(found).into_iter().enumerate() {
            let moved = |h: f64| {
                let mut numbers = numbers.clone();
                numbers[at][element] += h;
                loss_of_numbers(&numbers)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((difference - slope).abs() < 1e-9, "{difference} {slope}");
        }
    }
    Ok(())
}

#[test]
fn derivatives_of_derivatives_agree() -> Result<(), Box<dyn Error>> {
    // f(x) = Σ (x·A·x)² / 2, whose Hessian times v is Σᵢ of (∇sᵢ·v)·∇sᵢ + sᵢ·∇²sᵢ·v.
    fn f<V: Value>(x: &V, a: &V) -> V {
        (x.matmul(a) * x).square().sum_all() * 0.5
    }
    let (x, a, v) = ([0.3, -0.7], [[1.0, 0.5], [-0.25, 2.0]], [1.0, 3.0]);
    let inputs = [("x", types::real([2])), ("a", types::real([2, 2]))];
    let function = function(inputs, |[x, a]| [f(&x, &a)])?;
    let hvp = function.hvp("x")?.compile();
    let found = &hvp.call(&[x.into(), a.into(), v.into()])?[0];

    let gradient = |x: [f64; 2]| {
        // s_j = x_j·Σ_i x_i·a_ij
        let sums = [0, 1].map(|j| x[0] * a[0][j] + x[1] * a[1][j]);
        [0, 1].map(|k: usize| {
            let terms = [0, 1].map(|j: usize| {
                let s = x[j] * sums[j];
                s * (x[j] * a[k][j] + if j == k { sums[j] } else { 0.0 })
            });
            terms[0] + terms[1]
        })
    };
    let moved = |h: f64| gradient([x[0] + h * v[0], x[1] + h * v[1]]);
    let (up, down) = (moved(1e-5), moved(-1e-5));
    let expected = [0, 1].map(|k| (up[k] - down[k]) / 2e-5);
    assert_near(found, &expected.into(), 1e-8);

    let tape = Tape::new();
    let (x, a) = (tape.var(x), Tensor::from(a).into());
    let slope = f(&x, &a).gradient(&[&x])?.remove(0);
    let along = (slope * Var::from(Tensor::from(v))).sum_all();
    assert_near(along.backward()?.get(&x)?.unwrap(), found, 1e-13);
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_said_where_they_are_written() {
    let text = |error: tidu_tensor::ModelError| {
        let text = error.to_string();
        let (place, text) = text.split_once(": ").unwrap();
        assert!(place.contains("front.rs:"), "{place}");
        text.to_string()
    };
    let inputs = || {
        [
            ("x", types::real([2, 3])),
            ("y", types::real([4, 5])),
            ("labels", types::index([2])),
        ]
    };
    macro_rules! assert_text {
        (|$x:ident, $y:ident, $labels:ident| $body:expr, $expected:literal) => {
            let found = function(inputs(), |[$x, $y, $labels]| {
                let _ = (&$x, &$y, &$labels);
                [$body]
            });
            assert_eq!(text(found.unwrap_err()), $expected);
        };
    }
    assert_text!(
        |x, y, l| x + y,
        "add of f64[2, 3] and f64[4, 5]: [2, 3] and [4, 5] do not broadcast: of two sizes that differ, one must be 1"
    );
    assert_text!(
        |x, y, l| x.matmul(&y),
        "einsum ij,jk->ik of f64[2, 3] and f64[4, 5]: j is 3 in one operand and 4 in another place"
    );
    assert_text!(
        |x, y, l| x.matmul(&1.0.into()),
        "einsum ij,jk->ik of f64[2, 3] and f64: operand 1 has 0 axes, and must have 2"
    );
    assert_text!(
        |x, y, l| x.sum([2]),
        "there is no axis 2 in a tensor of 2 axes"
    );
    assert_text!(
        |x, y, l| x.sum([-3]),
        "there is no axis -3 in a tensor of 2 axes"
    );
    assert_text!(
        |x, y, l| x.sum([0, -2]),
        "sum [0, 0] of f64[2, 3]: axis 0 is named twice"
    );
    assert_text!(
        |x, y, l| x.reshape([7]),
        "reshape [7] of f64[2, 3]: 6 elements do not fill [7]"
    );
    assert_text!(
        |x, y, l| x.permute([0, 0]),
        "permute [0, 0] of f64[2, 3]: [0, 0] is not an order of 2 axes"
    );
    assert_text!(
        |x, y, l| x.broadcast_to([3, 3]),
        "broadcast_to [3, 3] of f64[2, 3]: [2, 3] and [3, 3] do not broadcast: of two sizes that differ, one must be 1"
    );
    assert_text!(
        |x, y, l| x.slice(1, 2..4),
        "slice [0..2, 2..4] of f64[2, 3]: 2..4 leaves an axis of 3"
    );
    assert_text!(
        |x, y, l| l.exp(),
        "exp of i64[2]: operand 0 holds i64, and must hold numbers"
    );
    assert_text!(
        |x, y, l| x.gather(0, &y),
        "gather 0 of f64[2, 3] and f64[4, 5]: operand 1 holds f64, and must hold indices"
    );
    assert_text!(
        |x, y, l| Value::concatenate(&[&x, &y], 0),
        "concatenate 0 of 2 of f64[2, 3] and f64[4, 5]: operand 1 is [4, 5], and must be like [2, 3] but for axis 0"
    );
    assert_text!(
        |x, y, l| x.einsum("ij,jk", &y),
        "\"ij,jk\" is no contraction of two operands: no `->` in it"
    );
    assert_text!(
        |x, y, l| x.windows([
            Window {
                start: 1,
                count: 2,
                step: usize::MAX
            },
            Window::all(3)
        ]),
        "slice [1..18446744073709551615 by 18446744073709551615, 0..3] of f64[2, 3]: \
         1..18446744073709551615 by 18446744073709551615 leaves an axis of 2"
    );
    assert_text!(
        |x, y, l| x.reshape([usize::MAX, 2]),
        "reshape [18446744073709551615, 2] of f64[2, 3]: 6 elements do not fill [18446744073709551615, 2]"
    );
    assert_text!(
        |x, y, l| x.pad([(1, 0)]),
        "1 pairs for 2 axes: one an axis is needed"
    );
    assert_text!(
        |x, y, l| x.scatter_add(0, &l, 4) + x.scatter_add(1, &l, 4),
        "scatter_add 1 of 4 of f64[2, 3] and i64[2]: [2, 3] does not have the axes [2] of the indices from axis 1 on"
    );
    // The first one on the way is reported.
    assert_text!(
        |x, y, l| (l.exp() + x.reshape([7])).exp(),
        "exp of i64[2]: operand 0 holds i64, and must hold numbers"
    );
}

#[test]
fn a_tape_says_what_does_not_fit() {
    let tape = Tape::new();
    let (x, y) = (tape.var([1.0, 2.0]), tape.var([1.0, 2.0, 3.0]));
    let error = Var::try_apply(tidu_tensor::TensorOp::Add, &[&x, &y]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("add of f64[2] and f64[3]: [2] and [3] do not broadcast"),
        "{text}"
    );
    let constants = [
        Var::from(Tensor::from([1.0, 2.0])),
        Tensor::from([1.0, 2.0, 3.0]).into(),
    ];
    let error = Var::try_apply(tidu_tensor::TensorOp::Add, &[&constants[0], &constants[1]]);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("[2] and [3] do not broadcast"), "{text}");
    // It goes on.
    assert_eq!((x * 2.0).value(), &Tensor::from([2.0, 4.0]));
}
