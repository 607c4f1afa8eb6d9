//! Linear operations that are structurally equal are still two: a cotangent that belongs to a
//! structure, not to an occurrence, would be handed on twice.

use std::f64::consts::E;

use tidu::scalar::ScalarOp::{Add, Cos, Exp, Mul, Sin, SinCos};

use crate::support::{Layout, Sketch, assert_all_ways, assert_exactly, assert_hvp_all_ways};

/// f(x) = eˣ + x·eˣ: the tangent of eˣ and the first term of that of x·eˣ are both ẋ·eˣ.
fn exp_plus_x_exp() -> Sketch<tidu::scalar::ScalarOp> {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(Exp, [x]);
    let xe = f.apply(Mul, [x, e]);
    let y = f.apply(Add, [e, xe]);
    f.returning([y])
}

#[test]
fn exp_plus_x_times_exp() {
    let f = exp_plus_x_exp();
    assert_all_ways(&f, &[1.0], &[1.0], &[8.154_845_485_377_136]);
    for x in [-1.5, 0.0, 0.3, 2.0] {
        assert_all_ways(&f, &[x], &[-3.0], &[-3.0 * (2.0 + x) * x.exp()]);
    }
}

#[test]
fn exp_plus_x_times_exp_built_twice() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(Exp, [x]);
    let same_e = f.apply(Exp, [x]);
    let xe = f.apply(Mul, [x, same_e]);
    let y = f.apply(Add, [e, xe]);
    assert_all_ways(&f.returning([y]), &[1.0], &[1.0], &[3.0 * E]);
}

#[test]
fn exp_plus_x_times_exp_over_three_graphs() {
    let layout = Layout {
        graph_of: vec![0, 1, 2],
        parents: true,
        ..Layout::single()
    };
    for repeat_inputs in [false, true] {
        let layout = Layout {
            repeat_inputs,
            ..layout.clone()
        };
        let problem = exp_plus_x_exp().laid_out(&layout, &[1.0]);
        assert_exactly(&problem.vjp(&[1.0]), &[3.0 * E]);
        assert_exactly(&problem.vjp_by_builder(&[Some(1.0)]), &[3.0 * E]);
    }
}

/// eˣ + x·eˣ + eˣ·x holds ẋ·eˣ three times.
#[test]
fn three_occurrences() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(Exp, [x]);
    let xe = f.apply(Mul, [x, e]);
    let ex = f.apply(Mul, [e, x]);
    let sum = f.apply(Add, [e, xe]);
    let y = f.apply(Add, [sum, ex]);
    assert_all_ways(&f.returning([y]), &[1.0], &[1.0], &[5.0 * E]);
}

/// u = eˣ, w = eᵘ: the tangent of w and the first term of that of u·w are both u̇·w, where u̇ = ẋ·u is
/// itself one of two in x·u.
#[test]
fn nested_occurrences() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let u = f.apply(Exp, [x]);
    let w = f.apply(Exp, [u]);
    let uw = f.apply(Mul, [u, w]);
    let xu = f.apply(Mul, [x, u]);
    let sum = f.apply(Add, [w, uw]);
    let sum = f.apply(Add, [sum, xu]);
    let y = f.apply(Add, [sum, u]);
    let f = f.returning([y]);
    for x in [-0.5_f64, 0.0, 0.25] {
        let (u, w) = (x.exp(), x.exp().exp());
        let expected = u * w + (u * w + u * u * w) + (u + x * u) + u;
        assert_all_ways(&f, &[x], &[1.0], &[expected]);
    }
}

/// Squaring k times: each level holds twice the same product, of operands that each stand for two
/// more.
#[test]
fn repeated_squares() {
    for (levels, power) in [(1, 2), (2, 4), (5, 32)] {
        let (mut f, [x]) = Sketch::new(["x"]);
        let y = (0..levels).fold(x, |y, _| f.apply(Mul, [y, y]));
        let slope = |x: f64| f64::from(power) * x.powi(power - 1);
        let f = f.returning([y]);
        for x in [1.125_f64, -0.75] {
            assert_all_ways(&f, &[x], &[1.0], &[slope(x)]);
        }
    }
}

/// (s, c) = (sin x, cos x), f = x·c + s: ṡ and a term of the product are both c·ẋ.
#[test]
fn an_operation_of_two_outputs() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let s = f.apply(SinCos, [x]);
    let c = s + 1;
    let xc = f.apply(Mul, [x, c]);
    let xs = f.apply(Mul, [x, s]);
    let first = f.apply(Add, [xc, s]);
    let second = f.apply(Add, [xs, c]);
    let f = f.returning([first, second]);
    for x in [0.0_f64, 0.7, -2.0] {
        let (s, c) = x.sin_cos();
        let expected = 3.0 * (2.0 * c - x * s) - 2.0 * (x * c);
        assert_all_ways(&f, &[x], &[3.0, -2.0], &[expected]);
    }
}

/// The coefficient itself is work of the linear graph, and stands there twice.
#[test]
fn coefficients_that_the_rules_emit() {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let s = f.apply(Sin, [x]);
    let same_s = f.apply(Sin, [x]);
    let c = f.apply(Cos, [x]);
    let product = f.apply(Mul, [s, same_s]);
    let other = f.apply(Mul, [c, y]);
    let sum = f.apply(Add, [product, other]);
    let f = f.returning([sum]);
    let (x, y) = (0.6_f64, 1.5);
    let expected = [2.0 * x.sin() * x.cos() - x.sin() * y, x.cos()];
    assert_all_ways(&f, &[x, y], &[1.0], &expected);
}

/// Occurrences in different outputs: (eˣ, x·eˣ, eˣ·y), of two inputs.
#[test]
fn occurrences_in_several_outputs() {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let e = f.apply(Exp, [x]);
    let xe = f.apply(Mul, [x, e]);
    let ey = f.apply(Mul, [e, y]);
    let f = f.returning([e, xe, ey]);
    let expected = [2.0 * E + 3.0 * 2.0 * E + 5.0 * 4.0 * E, 5.0 * E];
    assert_all_ways(&f, &[1.0, 4.0], &[2.0, 3.0, 5.0], &expected);
}

/// f″ = (3 + x)·eˣ, f‴ = (4 + x)·eˣ.
#[test]
fn higher_orders() {
    let f = exp_plus_x_exp();
    assert_hvp_all_ways(&f, &[1.0], &[1.0], &[2.0], &[8.0 * E]);
    let problem = f.at(&[1.0]);
    let third = [
        problem.reverse(&[1.0]).reverse(&[2.0]).reverse(&[3.0]),
        problem.reverse(&[1.0]).forward(&[2.0]).reverse(&[3.0]),
        problem.forward(&[1.0]).forward(&[2.0]).reverse(&[3.0]),
        problem.forward(&[1.0]).reverse(&[2.0]).forward(&[3.0]),
    ];
    for third in third {
        assert_exactly(&third.evaluate(), &[6.0 * 5.0 * E]);
    }
}
