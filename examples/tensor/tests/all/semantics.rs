//! Values and slopes that are agreed: shapes as in NumPy, edges as each definition says, complex gradients in
//! closed form.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod complex;
mod conventions;
mod jacobians;
mod selection;
mod slopes;

use crate::support::assert_near;
use num_complex::Complex64;
use tidu_tensor::{Expr, Tape, Tensor, Value, Var, Window, function, types};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

fn of(value: impl Into<Tensor>) -> Var<'static> {
    Var::from(value.into())
}

/// Equal, NaN too.
#[track_caller]
fn assert_is(found: &Var<'_>, expected: impl Into<Tensor>) {
    let expected = expected.into();
    assert_eq!(found.value_type(), expected.value_type());
    let bits = |tensor: &Tensor| {
        let numbers = crate::support::coordinates(tensor).into_iter();
        // 0 and -0 are equal, any NaN is as good as another.
        let numbers = numbers.map(|x| if x.is_nan() { NAN } else { x + 0.0 });
        numbers.map(f64::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(bits(found.value()), bits(&expected), "{found:?}");
    let indices = |tensor: &Tensor| tensor.elements::<i64>();
    assert_eq!(indices(found.value()), indices(&expected));
}

/// The slope of Σ f at x.
fn slope(x: impl Into<Tensor>, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) -> Tensor {
    let tape = Tape::new();
    let x = tape.var(x);
    let gradients = f(x.clone()).sum_all().backward().unwrap();
    gradients.get(&x).unwrap().unwrap().clone()
}

#[track_caller]
fn assert_slope(
    x: impl Into<Tensor>,
    f: impl for<'t> Fn(Var<'t>) -> Var<'t>,
    expected: impl Into<Tensor>,
) {
    assert_is(&slope(x, f).into(), expected);
}

#[test]
fn shapes_are_those_of_numpy() {
    let x = || of([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_is(
        &(x() + of([10.0, 20.0, 30.0])),
        [[11.0, 22.0, 33.0], [14.0, 25.0, 36.0]],
    );
    assert_is(
        &(of([1.0, 2.0]).expand(1) * of([1.0, 10.0])),
        [[1.0, 10.0], [2.0, 20.0]],
    );
    assert_is(&x().sum([0]), [5.0, 7.0, 9.0]);
    assert_is(&x().sum_kept([-1]), [[6.0], [15.0]]);
    assert_is(&x().mean([1]), [2.0, 5.0]);
    assert_is(&x().mean_kept([0]), [[2.5, 3.5, 4.5]]);
    assert_is(&x().max([1, 0]), 6.0);
    assert_is(&x().min([-1]), [1.0, 4.0]);
    assert_is(&x().argmax(1), [2_i64, 2]);
    assert_is(&of([3.0, 7.0, 7.0]).argmax(0), 1_i64);
    assert_is(&of([3.0, NAN, 7.0]).argmax(0), 1_i64);
    assert_is(&x().t(), [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
    assert_is(&x().reshape([3, 2]), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    assert_is(&x().t().reshape([6]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_is(&x().slice(1, 1..3), [[2.0, 3.0], [5.0, 6.0]]);
    let every_other = Window {
        start: 0,
        count: 2,
        step: 2,
    };
    assert_is(
        &x().windows([Window::all(2), every_other]),
        [[1.0, 3.0], [4.0, 6.0]],
    );
    assert_is(&of([1.0, 2.0]).pad([(1, 2)]), [0.0, 1.0, 2.0, 0.0, 0.0]);
    assert_is(
        &Var::concatenate(&[&of([1.0]), &of([2.0, 3.0])], 0),
        [1.0, 2.0, 3.0],
    );
    assert_is(&x().gather(1, &of([2_i64, 0])), [[3.0, 1.0], [6.0, 4.0]]);
    assert_is(&x().gather(0, &of(-1_i64)), [4.0, 5.0, 6.0]);
    let sums = of([1.0, 2.0, 3.0]).scatter_add(0, &of([1_i64, 0, 1]), 3);
    assert_is(&sums, [2.0, 4.0, 0.0]);
    assert_is(
        &of([1_i64, 0]).one_hot(3),
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
    );
    assert_is(&of([1_i64, 2]).to_real(), [1.0, 2.0]);
    assert_is(&of([1_i64, 2]).equal(&of([1_i64, 3])), [1.0, 0.0]);
    assert_is(
        &of([1.0, 0.0]).select(&of([5.0, 5.0]), &of(7.0)),
        [5.0, 7.0],
    );
    assert_is(&Var::full([2], 3.0), [3.0, 3.0]);
}

#[test]
fn products_are_those_of_numpy() {
    let a = || of([[1.0, 2.0], [3.0, 4.0]]);
    assert_is(
        &a().matmul(&of([[0.0, 1.0], [1.0, 0.0]])),
        [[2.0, 1.0], [4.0, 3.0]],
    );
    assert_is(&a().matmul(&of([1.0, 10.0])), [21.0, 43.0]);
    assert_is(&of([1.0, 10.0]).matmul(&a()), [31.0, 42.0]);
    assert_is(&of([1.0, 2.0]).matmul(&of([3.0, 4.0])), 11.0);
    assert_is(
        &of([1.0, 2.0]).einsum("i,j->ji", &of([3.0, 4.0])),
        [[3.0, 6.0], [4.0, 8.0]],
    );
    let stack = Tensor::new([2, 2, 2], (1..9).map(f64::from).collect()).unwrap();
    let found = of(stack.clone()).matmul(&a());
    let expected = [7.0, 10.0, 15.0, 22.0, 23.0, 34.0, 31.0, 46.0];
    assert_is(&found, Tensor::new([2, 2, 2], expected.to_vec()).unwrap());
    let found = of(stack.clone()).matmul(&of(stack));
    let expected = [7.0, 10.0, 15.0, 22.0, 67.0, 78.0, 91.0, 106.0];
    assert_is(&found, Tensor::new([2, 2, 2], expected.to_vec()).unwrap());
    // Matrices that are stored by columns, and parts of matrices.
    assert_is(&a().t().matmul(&a().t()), [[7.0, 15.0], [10.0, 22.0]]);
    assert_is(
        &a().slice(1, 1..2).matmul(&a().slice(0, 0..1)),
        [[2.0, 4.0], [4.0, 8.0]],
    );
}

#[test]
fn nothing_overflows_on_the_way() {
    assert_is(&of([1000.0, 1000.0]).softmax([0]), [0.5, 0.5]);
    let x = of([-1e4, -1e4]).logsumexp([0]);
    assert_is(&x, -1e4 + 2.0_f64.ln());
    assert_is(&of([0.0, -INF]).softmax([0]), [1.0, 0.0]);
    assert_is(&of([-INF, -INF]).logsumexp([0]), -INF);
    assert_is(&of([0.0, 800.0]).log_softmax([0]), [-800.0, 0.0]);
    assert_is(&of([-800.0, 800.0]).sigmoid(), [0.0, 1.0]);
    assert_is(&of([-800.0, 800.0]).softplus(), [0.0, 800.0]);
}

#[test]
fn edges_are_as_the_definitions_say() {
    // Ties share.
    assert_slope([2.0, 5.0, 5.0], |x| x.max([0]), [0.0, 0.5, 0.5]);
    assert_slope([1.0], |x| x.maximum(&of([1.0])), [0.5]);
    assert_slope([1.0], |x| x.minimum(&of([1.0])), [0.5]);
    assert_slope([1.0], |x| x.maximum(&x), [1.0]);
    // NaN is not lost.
    assert_is(&of([1.0, NAN]).max([0]), NAN);
    assert_is(&of([NAN, 1.0]).maximum(&of([0.0, NAN])), [NAN, NAN]);
    assert_is(&of([NAN, 1.0]).minimum(&of([0.0, NAN])), [NAN, NAN]);
    assert_is(&of([NAN, -1.0]).relu(), [NAN, 0.0]);
    // Corners.
    assert_slope([0.0, -1.0, 1.0], |x| x.relu(), [0.0, 0.0, 1.0]);
    assert_slope([0.0, -1.0, 1.0], |x| x.abs(), [0.0, -1.0, 1.0]);
    let zero = Complex64::default();
    assert_slope([zero], |z| z.abs(), [zero]);
    assert_slope([0.0], |x| x.sqrt(), [INF]);
    assert_slope([0.0], |x| x.ln(), [INF]);
    assert_slope([0.0, -2.0], |x| x.power(0.0) + &x, [1.0, 1.0]);
    assert_slope([0.0, -2.0], |x| x.power(1.0), [1.0, 1.0]);
    assert_slope([0.0, -2.0], |x| x.power(2.0), [0.0, -4.0]);
    assert_slope([0.0, -2.0], |x| x.power(3.0), [0.0, 12.0]);
    // What is not taken has no influence.
    assert_slope(
        [-1.0, 4.0],
        |x| x.greater(&of(0.0)).select(&x.ln(), &of(0.0)),
        [0.0, 0.25],
    );
    // Nothing, summed.
    assert_is(&of(Tensor::full(&[0, 2], 1.0)).sum([0]), [0.0, 0.0]);
    assert_is(&of(Tensor::full(&[0], 1.0)).max([0]), -INF);
    // Outside.
    assert_is(
        &of([1.0, 2.0]).gather(0, &of([2_i64, -3, -2])),
        [NAN, NAN, 1.0],
    );
    assert_slope([1.0, 2.0], |x| x.gather(0, &of([1_i64, 1, 5])), [0.0, 2.0]);
    assert_is(
        &of([1.0, 2.0]).scatter_add(0, &of([5_i64, 0]), 2),
        [2.0, 0.0],
    );
    assert_is(&of([5_i64, 0]).one_hot(2), [[0.0, 0.0], [1.0, 0.0]]);
    // Stopped.
    assert_slope([3.0], |x| x.stop_gradient() * x, [3.0]);
}

/// 2·∂L/∂conj z, for a real loss L.
#[test]
fn gradients_by_complex_numbers_are_those_of_the_convention() {
    let z = [Complex64::new(0.5, -0.75), Complex64::new(-1.0, 0.25)];
    let near = |f: for<'t> fn(Var<'t>) -> Var<'t>, expected: fn(Complex64) -> Complex64| {
        assert_near(&slope(z, f), &z.map(expected).into(), 1e-13);
    };
    // |z²|², |z|, Re z, Im z, |eᶻ|² and arg z
    near(|z| z.square().abs().square(), |z| 4.0 * z * z * z.conj());
    near(|z| z.abs(), |z| z / z.norm());
    near(|z| z.re(), |_| Complex64::ONE);
    near(|z| z.im(), |_| Complex64::I);
    near(
        |z| (z.exp() * z.exp().conj()).re(),
        |z| (2.0 * (2.0 * z.re).exp()).into(),
    );
    near(|z| z.ln().im(), |z| Complex64::I / z.conj());
    // Real numbers that meet complex ones: Σ |x·z|² by x is 2·x·|z|².
    let x = [2.0, -3.0];
    let by_x = slope(x, |x| (x * of(z)).abs().square());
    let expected = [0, 1].map(|at| 2.0 * x[at] * z[at].norm_sqr());
    assert_near(&by_x, &expected.into(), 1e-13);
    // And a single one that meets many.
    let by_x = slope(2.0, |x| (x * of(z)).abs().square());
    assert_near(
        &by_x,
        &(4.0 * (z[0].norm_sqr() + z[1].norm_sqr())).into(),
        1e-13,
    );
}

/// The product of complex matrices, against its parts.
#[test]
fn complex_products_are_those_of_their_parts() {
    let (a, b) = ([[1.0, -2.0], [0.5, 3.0]], [[0.25, 1.0], [-1.5, 2.0]]);
    let [a, b] = [of(a), of(b)];
    let z = a.complex(&b);
    let found = z.matmul(&z);
    assert_near(
        found.re().value(),
        (a.matmul(&a) - b.matmul(&b)).value(),
        1e-15,
    );
    assert_near(
        found.im().value(),
        (a.matmul(&b) + b.matmul(&a)).value(),
        1e-15,
    );
}

#[test]
fn functions_say_of_what_types_they_are() {
    let f = function(
        [("x", types::real([2, 3])), ("z", types::complex([3]))],
        |[x, z]| [x.clone() * &z, x.sum_all(), z.abs()],
    );
    let f = f.unwrap();
    let expected = [types::complex([2, 3]), types::real([]), types::real([3])];
    assert_eq!(f.output_types().unwrap(), Some(expected.to_vec()));
    let error = f
        .compile()
        .call(&[of([1.0]).value().clone(), of([1.0]).value().clone()]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "input x is f64[2, 3], found f64[1]"
    );
    let repeated = function(
        [("x", types::real([])), ("x", types::real([]))],
        |[x, y]| [x + y],
    );
    assert!(
        repeated
            .unwrap_err()
            .to_string()
            .contains("input x is named twice")
    );
}

/// Backward, a tape uses the VJP that was given, linear or not, whether or not there is a JVP beside it.
#[test]
fn a_tape_goes_backward_by_the_vjp() {
    let vector = || types::real([2]);
    let identity = function([("x", vector())], |[x]| [x]).unwrap();
    let two = |name: &'static str| [("x", vector()), (name, vector())];
    let [low, high] = [-1.0, 1.0].map(|bound| Expr::from(Tensor::from([bound; 2])));
    let clip = function(two("ct"), |[_, ct]| [ct.maximum(&low).minimum(&high)]).unwrap();
    let jvp = function(two("dx"), |[_, dx]| [dx]).unwrap();
    let rules = [tidu::Rules::vjp(clip.clone()), tidu::Rules::both(jvp, clip)];
    for rules in rules {
        let clipped = identity.with_rules("clip", rules).unwrap();
        let inside = function([("x", vector())], |[x]| {
            let x = Expr::call(&clipped, &[x]).unwrap();
            [(&x[0] * &x[0]).sum([0])]
        });
        let tape = Tape::new();
        let x = tape.var([50.0, 0.125]);
        let alone = tape.apply_function(&clipped, &[&x]).unwrap().remove(0);
        let inside = tape
            .apply_function(&inside.unwrap(), &[&x])
            .unwrap()
            .remove(0);
        for y in [alone.square().sum([0]), inside] {
            let found = y.backward().unwrap();
            assert_eq!(found.get(&x).unwrap(), Some(&Tensor::from([1.0, 0.25])));
        }
    }
}

/// Past the last order of a polynomial there are zeros.
#[test]
fn orders_do_not_end() {
    let tape = Tape::new();
    let x = tape.var(3.0);
    let mut y = x.square();
    for expected in [6.0, 2.0, 0.0, 0.0] {
        y = y.gradient(&[&x]).unwrap().remove(0);
        assert_eq!(y.item(), Some(expected));
    }
    assert!(x.detach().gradient(&[&x]).is_err());
}

/// A function with a rule of its own is called like any operation.
#[test]
fn functions_can_have_rules_of_their_own() {
    let vector = || types::real([3]);
    let exp_sum = function([("x", vector())], |[x]| [x.exp().sum([0])]).unwrap();
    // Twice the derivative, to see whose it is.
    let inputs = [("x", vector()), ("ct", types::real([]))];
    let vjp = function(inputs, |[x, ct]| [x.exp() * ct * 2.0]).unwrap();
    let named = exp_sum
        .with_rules("exp_sum", tidu::Rules::vjp(vjp))
        .unwrap();
    let f = function([("x", vector())], |[x]| {
        Expr::call(&named, &[x.sin()]).unwrap()
    });
    let x = [0.1, 0.2, 0.3];
    let found = f
        .unwrap()
        .grad("x")
        .unwrap()
        .compile()
        .call(&[x.into()])
        .unwrap();
    let expected = x.map(|x: f64| 2.0 * x.sin().exp() * x.cos());
    assert_near(&found[0], &expected.into(), 1e-14);
}
