//! Models written once run as graphs and on tapes, and what does not fit is said where it is written.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod arguments;
mod messages;
mod page;
mod plain;
mod tapes;

use std::error::Error;

use crate::support::assert_near;
use tidu::Function;
use tidu_tensor::{Expr, Tape, Tensor, Value, Var, Window, function, function_of, types};

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
        .map(|at| crate::support::coordinates(&values[at]))
        .to_vec();
    assert!((y.item().unwrap() - loss_of_numbers(&numbers)).abs() < 1e-14);
    for (at, found) in [0, 2, 3, 4].into_iter().zip(&by_graph[1..]) {
        assert_near(gradients.get(&vars[at])?.unwrap(), found, 1e-14);
    }
    for (at, found) in by_graph[1..].iter().enumerate() {
        for (element, slope) in crate::support::coordinates(found).into_iter().enumerate() {
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

/// An expression of another function is refused, whatever it is called and whatever it holds.
#[test]
fn inputs_of_other_functions_are_refused() -> Result<(), Box<dyn Error>> {
    type Made = Result<Function<tidu_tensor::TensorOp>, tidu_tensor::ModelError>;
    let (one, three) = (types::real([1]), types::real([3]));
    let refused = |made: Made| made.unwrap_err().to_string();
    let foreign = "input x of another function is needed but not listed among the inputs: \
                   what comes from outside has to be passed as an input";
    let mut leaked = None;
    let outer = function([("x", one.clone())], |[x]| {
        let inner = function([("x", one.clone())], |[y]| [&x * y]);
        assert_eq!(refused(inner), foreign);
        // Passed in, it is x·d(x·y)/dy, which is x².
        let inner = function([("x", one.clone()), ("z", one.clone())], |[y, z]| {
            [(z * y).sum_all()]
        });
        let slope = inner.unwrap().grad("x").unwrap();
        let slope = Expr::call(&slope, &[x.clone(), x.clone()]).unwrap();
        leaked = Some(x.exp());
        [(&x * &slope[0]).sum_all()]
    })?;
    let gradient = outer.grad("x")?.compile();
    assert_eq!(
        gradient.call(&[Tensor::from([4.0])])?,
        [Tensor::from([8.0])]
    );
    // f64[1] is no f64[3], and this x not that one.
    let leaked = leaked.unwrap();
    for of_type in [&one, &three] {
        let made = function([("x", of_type.clone())], |[_]| [leaked.sum_all()]);
        assert_eq!(refused(made), foreign);
        let made = function_of(&[("x", of_type.clone())], |x| [&x[0] + &leaked]);
        assert_eq!(refused(made), foreign);
    }
    // A free input is taken by name and type.
    let free = Expr::input("x", one.clone()).exp();
    let named = function([("y", three.clone()), ("x", one.clone())], |[y, _]| {
        [(y * &free).sum_all()]
    })?;
    assert_eq!(named.input_names(), ["y", "x"]);
    let slope = named.grad("x")?.compile();
    let slope = slope.call(&[Tensor::from([1.0, 2.0, 4.0]), Tensor::from([0.0])])?;
    assert_eq!(slope, [Tensor::from([7.0])]);
    let made = function([("x", three)], |[y]| [y * &free]);
    assert_eq!(
        refused(made),
        "input x: f64[1] is needed but not listed among the inputs: \
         what comes from outside has to be passed as an input"
    );
    let twice = function([("x", one.clone()), ("x", one)], |[x, y]| [x + y]);
    assert_eq!(refused(twice), "input x is named twice");
    Ok(())
}

/// Indices have no derivatives, and what is more than a number no gradient: errors say which value it is, and
/// what can be done.
#[test]
fn what_has_no_derivative_is_said_of_whom() -> Result<(), Box<dyn Error>> {
    let types = [("x", types::real([3])), ("i", types::index([2]))];
    let f = function(types.clone(), |[x, i]| [x.gather(0, &i).square().sum_all()])?;
    let by_indices = "input i is i64[2], by which there is no derivative: \
                      name other inputs to differentiate by (x)";
    for error in [
        f.grad(..).unwrap_err(),
        f.grad("i").unwrap_err(),
        f.value_and_grad(["x", "i"]).unwrap_err(),
        f.jvp("i").unwrap_err(),
        f.jvp_to_order(2, ..).unwrap_err(),
        f.vjp(..).unwrap_err(),
        f.hvp("i").unwrap_err(),
        f.jacobian("i").unwrap_err(),
        f.hessian(..).unwrap_err(),
        f.transpose("i").unwrap_err(),
    ] {
        assert_eq!(error.to_string(), by_indices);
    }
    let point = [Tensor::from([3.0, 5.0, 7.0]), Tensor::from([2_i64, 2])];
    let gradient = f.grad("x")?.compile().call(&point)?;
    assert_eq!(gradient, [Tensor::from([0.0, 0.0, 28.0])]);

    let sum = function([("i", types[1].1.clone())], |[i]| [i.to_real().sum_all()])?;
    let none =
        "input i is i64[2], by which there is no derivative: name other inputs to differentiate by";
    assert_eq!(sum.grad("i").unwrap_err().to_string(), none);

    // A loss with what is to be known beside it.
    let f = function(types, |[x, i]| {
        let picked = x.gather(0, &i);
        [x.argmax(0), picked.square().sum_all()]
    })?;
    let of_indices = "output out0 is i64, of which there is no derivative: `select` other outputs (out1), \
                      or use `value_and_grad`, which returns such an output beside a gradient";
    for error in [
        f.jvp("x").unwrap_err(),
        f.jvp_to_order(2, "x").unwrap_err(),
        f.jacobian("x").unwrap_err(),
    ] {
        assert_eq!(error.to_string(), of_indices);
    }
    let both = f.value_and_grad("x")?;
    assert_eq!(both.output_names(), ["out0", "out1", "d.x"]);
    let found = both.compile().call(&point)?;
    let slope = Tensor::from([0.0, 0.0, 28.0]);
    let beside = [Tensor::from(2_i64), Tensor::from(98.0), slope.clone()];
    assert_eq!(found, beside);
    assert_eq!(f.grad("x")?.compile().call(&point)?, [slope]);
    let direction = Tensor::from([1.0, 1.0, 1.0]);
    let [x, i] = point.clone();
    let product = f.hvp("x")?.compile().call(&[x, i, direction])?;
    assert_eq!(product, [Tensor::from([0.0, 0.0, 4.0])]);
    let indices = f.select(&["out0"])?.grad("x").unwrap_err().to_string();
    assert!(
        indices.starts_with("output out0 is i64, of which there is no derivative"),
        "{indices}"
    );
    let jvp = f.select(&["out1"])?.jvp("x")?;
    assert_eq!(jvp.output_names(), ["out1", "d.out1"]);

    // Results of many numbers.
    let f = function([("x", types::real([3]))], |[x]| [x.exp()])?;
    let error = f.grad("x").unwrap_err().to_string();
    for said in ["out0 is f64[3]", "sum the output up", "`vjp`"] {
        assert!(error.contains(said), "{error}");
    }
    let f = function([("x", types::complex([3]))], |[x]| [x.exp()])?;
    let error = f.jacobian("x").unwrap_err().to_string();
    for said in ["x: c128[3]", "`jvp`", "`vjp`"] {
        assert!(error.contains(said), "{error}");
    }
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
        "matmul of f64[2, 3] and f64[4, 5]: the last axis of operand 0 is 3, and the last but one axis of operand 1 \
         is 4: they must be as long as each other, so [2, 3] takes [3] or [3, n]"
    );
    assert_text!(
        |x, y, l| x.matmul(&1.0.into()),
        "matmul of f64[2, 3] and f64: operand 1 is a single number: multiply by `*`"
    );
    assert_text!(
        |x, y, l| x.sum([2]),
        "sum of f64[2, 3]: there is no axis 2 of 2: they are 0 to 1, or -2 to -1 from the end"
    );
    assert_text!(
        |x, y, l| x.sum([-3]),
        "sum of f64[2, 3]: there is no axis -3 of 2: they are 0 to 1, or -2 to -1 from the end"
    );
    assert_text!(
        |x, y, l| x.sum([0, -2]),
        "sum of f64[2, 3]: axis 0 is named twice"
    );
    assert_text!(
        |x, y, l| x.reshape([7]),
        "reshape [7] of f64[2, 3]: 6 elements do not fill [7], which takes 7"
    );
    assert_text!(
        |x, y, l| x.permute([0, 0]),
        "permute of f64[2, 3]: [0, 0] is not an order of 2 axes: each axis must stand in it once"
    );
    assert_text!(
        |x, y, l| x.broadcast_to([3, 3]),
        "broadcast_to [3, 3] of f64[2, 3]: [2, 3] does not stretch to [3, 3]: counted from the last, each axis must \
         be as long, or have one element, or be missing in front"
    );
    assert_text!(
        |x, y, l| x.slice(1, 2..4),
        "slice of f64[2, 3]: 2..4 does not fit axis 1, which has 3 elements"
    );
    assert_text!(
        |x, y, l| l.exp(),
        "exp of i64[2]: operand 0 holds i64, and must hold numbers (`to_real` makes numbers of indices; `1.0` is a \
         number, and `1` an index)"
    );
    assert_text!(
        |x, y, l| x.gather(0, &y),
        "gather of f64[2, 3] and f64[4, 5]: operand 1 holds f64, and must hold indices (`Tensor::from([0, 1])` holds \
         indices, `Tensor::from([0.0, 1.0])` numbers)"
    );
    assert_text!(
        |x, y, l| Value::concatenate(&[&x, &y], 0),
        "concatenate of f64[2, 3] and f64[4, 5]: operand 1 is [4, 5], and must be like operand 0, which is [2, 3], \
         but for axis 0"
    );
    assert_text!(
        |x, y, l| x.einsum("ij,jk", &y),
        "einsum of f64[2, 3] and f64[4, 5]: \"ij,jk\" is no contraction of two operands, as \"ij,jk->ik\" is: \
         no `->` in it"
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
        "windows of f64[2, 3]: 1..18446744073709551615 by 18446744073709551615 does not fit axis 0, which has 2 \
         elements"
    );
    assert_text!(
        |x, y, l| x.reshape([usize::MAX, 2]),
        "reshape [18446744073709551615, 2] of f64[2, 3]: 6 elements do not fill [18446744073709551615, 2], which \
         takes more than there can be"
    );
    assert_text!(
        |x, y, l| x.pad([(1, 0)]),
        "pad of f64[2, 3]: 1 pair for 2 axes: one for each axis is needed"
    );
    assert_text!(
        |x, y, l| x.scatter_add(0, &l, 4) + x.scatter_add(1, &l, 4),
        "scatter_add of f64[2, 3] and i64[2]: from axis 1 on, [2, 3] must have the axes of the indices, which are [2]"
    );
    // The first one on the way is reported.
    assert_text!(
        |x, y, l| (l.exp() + x.reshape([7])).exp(),
        "exp of i64[2]: operand 0 holds i64, and must hold numbers (`to_real` makes numbers of indices; `1.0` is a \
         number, and `1` an index)"
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

/// Neither by indices nor of them.
#[test]
fn a_tape_knows_what_has_no_derivative() {
    let tape = Tape::new();
    let (x, i) = (tape.var([1.0, 2.0, 3.0]), tape.var([0_i64, 2]));
    let y = x.gather(0, &i).sum_all() * i.to_real().sum_all();
    let error = y.gradient(&[&x, &i]).unwrap_err().to_string();
    assert_eq!(
        error,
        "`wrt[1]` is of type i64[2], which has no derivatives"
    );
    let gradients = y.backward().unwrap();
    assert_eq!(
        gradients.get(&x).unwrap(),
        Some(&Tensor::from([2.0, 0.0, 2.0]))
    );
    assert_eq!(gradients.get(&i).unwrap(), None);
    let error = x.argmax(0).backward().unwrap_err().to_string();
    assert_eq!(error, "output 0 is of type i64, which has no derivatives");
}
