//! Slopes where they are small, and where parts of a formula have a corner.

use tidu_tensor::{Tape, Tensor, Value, function, types};

use super::{INF, NAN, assert_is, assert_slope, of, slope};

fn function_of_one(
    f: impl Fn(&tidu_tensor::Expr) -> tidu_tensor::Expr,
) -> tidu::Function<tidu_tensor::TensorOp> {
    function([("x", types::real([]))], |[x]| [f(&x)]).unwrap()
}

/// The derivatives of order 0 to 3 in forward mode, in reverse mode, and on a tape.
fn derivatives(f: &impl Fn(&tidu_tensor::Expr) -> tidu_tensor::Expr, x: f64) -> Vec<[f64; 4]> {
    let f = function_of_one(f);
    let mut forward = [0.0; 4];
    let mut reverse = [0.0; 4];
    let (mut by_jvp, mut by_vjp) = (f.clone(), f);
    for order in 0..4 {
        let value = |f: &tidu::Function<tidu_tensor::TensorOp>| {
            f.compile().call(&[x.into()]).unwrap()[0].item().unwrap()
        };
        forward[order] = value(&by_jvp);
        reverse[order] = value(&by_vjp);
        by_jvp = by_jvp.grad("x").unwrap();
        let vjp = by_vjp.vjp("x").unwrap();
        by_vjp = function([("x", types::real([]))], |[x]| {
            let outputs = tidu_tensor::Expr::call(&vjp, &[x, 1.0.into()]).unwrap();
            [outputs.last().unwrap().clone()]
        })
        .unwrap();
    }
    vec![forward, reverse]
}

#[track_caller]
fn assert_derivatives(
    f: impl Fn(&tidu_tensor::Expr) -> tidu_tensor::Expr,
    x: f64,
    expected: [f64; 4],
    tolerance: f64,
) {
    for found in derivatives(&f, x) {
        for (order, (found, expected)) in found.into_iter().zip(expected).enumerate() {
            assert!(
                (found - expected).abs() <= tolerance * expected.abs(),
                "order {order} at {x}: {found}, right {expected}"
            );
        }
    }
}

#[test]
fn softplus_is_smooth() {
    for zero in [0.0, -0.0] {
        assert_derivatives(
            |x| x.softplus(),
            zero,
            [2.0_f64.ln(), 0.5, 0.25, 0.0],
            1e-15,
        );
        assert_slope([zero], |x| x.softplus(), [0.5]);
        let tape = Tape::new();
        let x = tape.var(zero);
        let slope = x.softplus().gradient(&[&x]).unwrap().remove(0);
        let curvature = slope.backward().unwrap();
        assert_eq!(curvature.get(&x).unwrap(), Some(&Tensor::from(0.25)));
    }
    // mpmath
    let expected = [
        [
            1.3132616875182228,
            0.7310585786300049,
            0.19661193324148185,
            -0.09085774767294842,
        ],
        [
            4.248354255291589e-18,
            4.248354255291589e-18,
            4.248354255291589e-18,
            4.248354255291589e-18,
        ],
    ];
    assert_derivatives(|x| x.softplus(), 1.0, expected[0], 1e-14);
    assert_derivatives(|x| x.softplus(), -40.0, expected[1], 1e-14);
    assert_is(
        &of([-800.0, 800.0, INF, -INF, NAN]).softplus(),
        [0.0, 800.0, INF, 0.0, NAN],
    );
}

#[test]
fn small_slopes_keep_their_digits() {
    // 1 / cosh² 20, of second and third order -2·tanh·sech² and 2·sech²·(2·tanh² - sech²): mpmath.
    let tanh = [1.0, TANH_20[0], TANH_20[1], TANH_20[2]];
    assert_derivatives(|x| x.tanh(), 20.0, tanh, 1e-14);
    let sigmoid = [1.0, SIGMOID_40[0], SIGMOID_40[1], SIGMOID_40[2]];
    assert_derivatives(|x| x.sigmoid(), 40.0, sigmoid, 1e-14);
    assert_slope([300.0], |x| x.tanh(), [TANH_300]);
    assert_slope([-700.0], |x| x.sigmoid(), [(-700.0_f64).exp()]);
}

const TANH_20: [f64; 3] = [
    1.6993417021166355e-17,
    -3.398683404233271e-17,
    6.797366808466542e-17,
];
const SIGMOID_40: [f64; 3] = [
    4.248354255291589e-18,
    -4.248354255291589e-18,
    4.248354255291589e-18,
];
const TANH_300: f64 = 1.0601586212017243e-260;

#[test]
fn likelihoods_near_1_keep_their_digits() {
    // ln p, of p = 1 / (1 + e⁻⁴⁰): value -e⁻⁴⁰, slopes e⁻⁴⁰ and -e⁻⁴⁰, to 17 digits.
    let small = (-40.0_f64).exp();
    let near = |found: &Tensor, expected: &[f64]| {
        for (found, expected) in crate::support::coordinates(found).iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(error <= 1e-15 * expected.abs(), "{found}, right {expected}");
        }
    };
    let x = [0.0, -40.0];
    near(of(x).log_softmax([0]).value(), &[-small, -40.0]);
    near(of(x).logsumexp([-1]).value(), &[small]);
    near(
        &slope(x, |x| x.log_softmax([0]).slice(0, 0..1)),
        &[small, -small],
    );
    near(
        &slope(x, |x| x.softmax([0]).slice(0, 0..1)),
        &[small, -small],
    );
    // Forward.
    for (at, expected) in [[1.0, 0.0], [0.0, 1.0]].into_iter().zip([small, -small]) {
        for by_log in [true, false] {
            let f = function([("x", types::real([2]))], |[x]| {
                [if by_log {
                    x.log_softmax([0])
                } else {
                    x.softmax([0])
                }]
            });
            let jvp = f.unwrap().jvp("x").unwrap().compile();
            let found = jvp.call(&[x.into(), at.into()]).unwrap();
            near(found.last().unwrap(), &[expected]);
        }
    }
    // The loss of a model that is nearly certain.
    let loss = tidu_tensor::model::cross_entropy(&of([x]), &of([0_i64]));
    near(loss.value(), &[small]);
    // What other classes have, however many axes there are.
    let wide = of([[0.0, -40.0], [-41.0, -42.0]]);
    let rest: f64 = [-40.0, -41.0, -42.0_f64].map(f64::exp).iter().sum();
    near(
        wide.log_softmax([0, 1])
            .slice(0, 0..1)
            .slice(1, 0..1)
            .value(),
        &[-rest],
    );
    near(
        wide.log_softmax([0]).value(),
        &[
            -(-41.0_f64).exp(),
            -(-2.0_f64).exp().ln_1p(),
            -41.0,
            -2.0 - (-2.0_f64).exp().ln_1p(),
        ],
    );
}

/// At a corner, derivatives are those that the methods state: of all orders, and the same in all modes.
#[test]
fn corners_are_as_the_methods_say() {
    assert_derivatives(|x| x.relu(), 0.0, [0.0; 4], 0.0);
    assert_derivatives(|x| x.abs(), 0.0, [0.0; 4], 0.0);
    assert_derivatives(|x| x.sign(), 0.0, [0.0; 4], 0.0);
    // The corner goes unseen, also where what is composed is smooth: |-x²| = x², max (x, -x)² = x².
    assert_derivatives(|x| (-x.square()).abs(), 0.0, [0.0; 4], 0.0);
    assert_derivatives(|x| x.maximum(&-x).square(), 0.0, [0.0; 4], 0.0);
    // Of equal ones, the mean: (x² + x³) / 2.
    let [two, three] = [2.0, 3.0];
    assert_derivatives(
        |x| x.power(two).maximum(&x.power(three)),
        1.0,
        [1.0, 2.5, 4.0, 3.0],
        1e-15,
    );
    assert_derivatives(
        |x| x.power(two).minimum(&x.power(three)),
        1.0,
        [1.0, 2.5, 4.0, 3.0],
        1e-15,
    );
    assert_derivatives(
        |x| {
            let [a, b] = [x.power(2.0), x.power(3.0)].map(|y| y.reshape([1]));
            tidu_tensor::Expr::concatenate(&[&a, &b], 0).max([0])
        },
        1.0,
        [1.0, 2.5, 4.0, 3.0],
        1e-15,
    );
    // Of a complex 0, the slope of the absolute value is 0, and it has no second derivative.
    let zero = num_complex::Complex64::default();
    let tape = Tape::new();
    let z = tape.var(zero);
    let slope = z.abs().gradient(&[&z]).unwrap().remove(0);
    assert_eq!(slope.value(), &Tensor::from(zero));
    let second = slope.re().sum_all().backward().unwrap();
    let second = second.get(&z).unwrap().unwrap();
    assert!(
        crate::support::coordinates(second)
            .iter()
            .all(|x| x.is_nan())
    );
}

/// What is not taken, or what nothing depends on, is not multiplied by 0.
#[test]
fn zeros_are_not_products() {
    let wild = [INF, 1.0, NAN];
    let tape = Tape::new();
    let (x, z) = (
        tape.var(wild),
        tape.var([num_complex::Complex64::new(INF, NAN)]),
    );
    let y = tape.var([1.0]);
    let found = y.square().sum_all().gradient(&[&x, &z]).unwrap();
    assert_is(&found[0], [0.0; 3]);
    assert_is(&found[1], [num_complex::Complex64::default()]);
    // Im of real numbers: 0, whatever they are, and so is its slope, whatever flows back.
    assert_is(&x.im(), [0.0; 3]);
    let flowing = (x.im() * of(wild) + &x).sum_all().backward().unwrap();
    assert_is(&flowing.get(&x).unwrap().unwrap().clone().into(), [1.0; 3]);
    // i·x, of what is infinite.
    assert_is(&of(0.0).complex(&of(1.0)).im(), 1.0);
    let z = tape.var(num_complex::Complex64::new(0.5, 2.0));
    let flowing = (z.im() * of(INF)).backward().unwrap();
    assert_is(
        &flowing.get(&z).unwrap().unwrap().clone().into(),
        num_complex::Complex64::new(0.0, INF),
    );
    // Real numbers and complex ones.
    let infinite = num_complex::Complex64::new(1.0, INF);
    assert_is(
        &(of(2.0) * of(infinite)),
        num_complex::Complex64::new(2.0, INF),
    );
    assert_is(
        &(of(infinite) / of(2.0)),
        num_complex::Complex64::new(0.5, INF),
    );
    // Maxima.
    assert_slope([1.0, 4.0], |x| (x * of([1.0, INF])).max([0]), [0.0, INF]);
    assert_slope([1.0, 4.0], |x| x.max([0]) * of(INF), [0.0, INF]);
    assert_slope([1.0], |x| x.maximum(&of([2.0])) * of(INF), [0.0]);
    assert_slope([1.0], |x| x.minimum(&of([0.5])) * of(INF), [0.0]);
    assert_slope([NAN], |x| x.maximum(&of([2.0])), [NAN]);
}
