//! Results are written over operands that nothing else needs, and over nothing else. Counted are results with
//! memory of their own, and results in memory of an operand.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use crate::support::assert_near;
use tidu::Function;
use tidu_tensor::{Context, Expr, Tape, Tensor, TensorOp, Value, function, types};

fn of_one(body: impl Fn(Expr) -> Expr) -> Function<TensorOp> {
    function([("x", types::real([2, 3]))], |[x]| [body(x)]).unwrap()
}

fn x() -> Tensor {
    Tensor::from([[0.1, 0.2, 0.3], [-0.4, 0.5, -0.6]])
}

/// The result, and (allocations, reused). The operands are as before.
fn run(f: &Function<TensorOp>, inputs: &[&Tensor]) -> (Vec<Tensor>, (usize, usize)) {
    let copies: Vec<Tensor> = inputs.iter().map(|x| crate::support::copy(x)).collect();
    let mut context = Context::default();
    let results = f.compile().call_in(&mut context, inputs).unwrap();
    assert!(
        inputs.iter().copied().eq(&copies),
        "an input was written over"
    );
    (results, (context.allocations, context.reused))
}

#[test]
fn a_chain_takes_one_buffer() {
    let f = of_one(|x| (0..10).fold(x, |x, _| x.sin()));
    let (results, counts) = run(&f, &[&x()]);
    assert_eq!(counts, (1, 9));
    let sin = |x: f64| (0..10).fold(x, |x, _| x.sin());
    let expected: Vec<f64> = crate::support::coordinates(&x())
        .into_iter()
        .map(sin)
        .collect();
    assert_eq!(crate::support::coordinates(&results[0]), expected);
}

#[test]
fn operators_take_either_operand() {
    // Of two that end, the left one.
    let (results, counts) = run(&of_one(|x| x.sin() - x.cos()), &[&x()]);
    assert_eq!(counts, (2, 1));
    let of = |f: fn(f64) -> f64| {
        crate::support::coordinates(&x())
            .into_iter()
            .map(f)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        crate::support::coordinates(&results[0]),
        of(|x| x.sin() - x.cos())
    );
    // An input stays, on either side; numbers and smaller operands are not written to.
    assert_eq!(run(&of_one(|x| x.sin() - &x), &[&x()]).1, (1, 1));
    let (results, counts) = run(&of_one(|x| &x - x.sin()), &[&x()]);
    assert_eq!(counts, (1, 1));
    assert_eq!(
        crate::support::coordinates(&results[0]),
        of(|x| x - x.sin())
    );
    assert_eq!(run(&of_one(|x| 1.0 - x.sin()), &[&x()]).1, (1, 1));
    let (results, counts) = run(&of_one(|x| x.sum([0]).exp() - x), &[&x()]);
    assert_eq!(counts, (2, 1));
    assert_eq!(results[0].dims(), [2, 3]);
}

#[test]
fn what_is_needed_later_stays() {
    let (results, counts) = run(
        &of_one(|x| {
            let sin = x.sin();
            sin.exp() * sin
        }),
        &[&x()],
    );
    assert_eq!(counts, (2, 1));
    let expected = crate::support::coordinates(&x())
        .into_iter()
        .map(|x| x.sin().exp() * x.sin());
    assert_eq!(
        crate::support::coordinates(&results[0]),
        expected.collect::<Vec<_>>()
    );
    // An output, and an operand that stands twice.
    let both = function([("x", types::real([2, 3]))], |[x]| [x.sin(), x.sin().exp()]).unwrap();
    assert_eq!(run(&both, &[&x()]).1, (2, 0));
    assert_eq!(run(&of_one(|x| x.sin() * x.sin()), &[&x()]).1, (2, 0));
}

/// What shares its elements with something that is needed is not written over, although nothing reads it later.
#[test]
fn shared_elements_stay() {
    let (results, counts) = run(&of_one(|x| x.reshape([3, 2]).exp()), &[&x()]);
    assert_eq!(counts, (1, 0));
    assert_eq!(results[0].dims(), [3, 2]);
    let (_, counts) = run(
        &of_one(|x| {
            let sin = x.sin();
            sin.t().exp().t() + sin
        }),
        &[&x()],
    );
    assert_eq!(counts, (2, 1));
    // Once the other one is gone, it is alone again.
    assert_eq!(
        run(&of_one(|x| x.sin().reshape([6]).exp()), &[&x()]).1,
        (1, 1)
    );
    // A constant is part of the function.
    let f = of_one(|x| Expr::from(Tensor::from([1.0, 2.0])).exp().sum_all() + x);
    let first = run(&f, &[&x()]);
    assert_eq!(first, run(&f, &[&x()]));
}

/// f(x) = Σ tanh(x·w): a gradient, whose buffers are few.
#[test]
fn a_gradient_reuses_what_it_can() {
    let inputs = [("x", types::real([2, 3])), ("w", types::real([3, 2]))];
    let f = function(inputs, |[x, w]| [x.matmul(&w).tanh().sum_all()]).unwrap();
    let w = Tensor::from([[1.0, -1.0], [0.5, 2.0], [0.25, 0.75]]);
    let (results, counts) = run(&f.grad(["x", "w"]).unwrap(), &[&x(), &w]);
    // Memory of their own have the seed, the seed repeated, x·w and two products; 1 / cosh² and the product of that
    // with the seed are written over operands.
    assert_eq!(counts, (5, 2));
    let slope = |at: usize, h: f64| {
        let mut moved = crate::support::coordinates(&x());
        moved[at] += h;
        let moved = Tensor::new([2, 3], moved).unwrap();
        f.compile().call(&[moved, w.clone()]).unwrap()[0]
            .item()
            .unwrap()
    };
    let expected = (0..6).map(|at| (slope(at, 1e-5) - slope(at, -1e-5)) / 2e-5);
    assert_near(
        &results[0],
        &Tensor::new([2, 3], expected.collect()).unwrap(),
        1e-9,
    );
}

/// A tape hands its values to variables, which others may hold: its operations write over nothing. A function that
/// it applies is a program, and does.
#[test]
fn a_function_on_a_tape_reuses() {
    let f = of_one(|x| x.square().exp().sin());
    let counts = |context: Context| (context.allocations, context.reused);
    let tape = Tape::new();
    let x = tape.var(x());
    let y = x.square().exp().sin();
    assert_eq!(tape.with(|tape| counts(*tape.context())), (3, 0));
    let constant = x.detach();
    tape.with(|tape| *tape.context_mut() = Context::default());
    let by_function = tape.apply_function(&f, &[&constant]).unwrap();
    assert_eq!(by_function[0].value(), y.value());
    assert_eq!(tape.with(|tape| counts(*tape.context())), (1, 2));
}
