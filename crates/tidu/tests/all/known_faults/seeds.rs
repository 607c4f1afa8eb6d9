//! Seeds and the results of rules enter one accumulator; no seed is lost, none is another's.

use std::collections::HashSet;
use std::f64::consts::E;

use tidu::scalar::ScalarOp::{self, Add, Exp, Mul, Neg, SinCos, Sub};

use crate::support::{Sketch, assert_all_ways, assert_close, assert_exactly, assert_hvp_all_ways};

/// f = (x + c, x + d): the tangent of both is ẋ.
#[test]
fn two_outputs_of_one_tangent() {
    let (mut f, [x, c, d]) = Sketch::new(["x", "c", "d"]);
    let y = f.apply(Add, [x, c]);
    let z = f.apply(Add, [x, d]);
    let f = f.returning([y, z]);
    let by_x = f.at(&[3.0, 1.0, 2.0]).wrt(["x"]);
    assert_exactly(&by_x.vjp(&[10.0, 1.0]), &[11.0]);
    assert_exactly(&by_x.vjp_by_builder(&[Some(10.0), Some(1.0)]), &[11.0]);
    assert_all_ways(&f, &[3.0, 1.0, 2.0], &[10.0, 1.0], &[11.0, 10.0, 1.0]);
}

#[test]
fn two_outputs_of_one_tangent_by_constants() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let c = f.apply(ScalarOp::constant(2.0), []);
    let d = f.apply(ScalarOp::constant(5.0), []);
    let y = f.apply(Add, [x, c]);
    let z = f.apply(Sub, [x, d]);
    assert_all_ways(&f.returning([y, z]), &[3.0], &[10.0, 1.0], &[11.0]);
}

#[test]
fn an_output_listed_twice() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(Exp, [x]);
    assert_all_ways(
        &f.clone().returning([e, e]),
        &[1.0],
        &[10.0, 1.0],
        &[11.0 * E],
    );
    let once_more = f.apply(Exp, [x]);
    let f = f.returning([e, once_more, e]);
    assert_all_ways(&f, &[1.0], &[10.0, 1.0, -4.0], &[7.0 * E]);
}

#[test]
fn an_output_that_is_an_input() {
    let (mut f, [x, y]) = Sketch::<ScalarOp>::new(["x", "y"]);
    assert_all_ways(
        &f.clone().returning([x, y]),
        &[3.0, 4.0],
        &[5.0, 7.0],
        &[5.0, 7.0],
    );
    let crossed = f.clone().returning([y, x, x]);
    assert_all_ways(&crossed, &[3.0, 4.0], &[5.0, 10.0, 1.0], &[11.0, 5.0]);
    let xy = f.apply(Mul, [x, y]);
    let f = f.returning([x, xy, x, xy]);
    let expected = [1.0 + 100.0 + 4.0 * 1010.0, 3.0 * 1010.0];
    assert_all_ways(&f, &[3.0, 4.0], &[1.0, 10.0, 100.0, 1000.0], &expected);
}

/// A seed for a value that the linear map also uses further on.
#[test]
fn an_output_on_the_way_to_another() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let a = f.apply(Neg, [x]);
    let b = f.apply(Exp, [a]);
    let c = f.apply(Mul, [b, a]);
    let f = f.returning([a, b, c, x]);
    let b = (-0.5_f64).exp();
    let expected = -2.0 - 3.0 * b - 5.0 * (b + -0.5 * b) + 7.0;
    assert_all_ways(&f, &[0.5], &[2.0, 3.0, 5.0, 7.0], &[expected]);
}

#[test]
fn both_outputs_of_one_operation() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let s = f.apply(SinCos, [x]);
    let f = f.returning([s, s + 1, s]);
    let (sin, cos) = 0.7_f64.sin_cos();
    assert_all_ways(&f, &[0.7], &[10.0, 3.0, 1.0], &[11.0 * cos - 3.0 * sin]);
}

#[test]
fn seeds_that_are_symbolic_zeros() {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let a = f.apply(Exp, [x]);
    let b = f.apply(Mul, [y, y]);
    let problem = f.returning([a, b, a]).at(&[0.0, 3.0]);
    let vjp = |c: [Option<f64>; 3]| problem.vjp_by_builder(&c);
    assert_eq!(vjp([Some(10.0), None, Some(1.0)]), [Some(11.0), None]);
    assert_eq!(vjp([None, None, Some(1.0)]), [Some(1.0), None]);
    assert_eq!(vjp([None, Some(2.0), None]), [None, Some(12.0)]);
    assert_eq!(vjp([None, None, None]), [None, None]);
}

/// The Hessian of x²·y at (2, 3) is [[6, 4], [4, 0]].
#[test]
fn seeds_of_two_transpositions() {
    let f = x_squared_y();
    assert_all_ways(&f, &[2.0, 3.0], &[1.0], &[12.0, 4.0]);
    assert_hvp_all_ways(&f, &[2.0, 3.0], &[1.0], &[5.0, 7.0], &[58.0, 20.0]);
    assert_hvp_all_ways(&f, &[2.0, 3.0], &[-0.5], &[5.0, 7.0], &[-29.0, -10.0]);
}

/// ∂³(x²·y)[u, v] = (2·(u₀·v₁ + u₁·v₀), 2·u₀·v₀)
#[test]
fn seeds_of_three_transpositions() {
    let gradient = x_squared_y().at(&[2.0, 3.0]).reverse(&[1.0]);
    let hessian_u = gradient.reverse(&[5.0, 7.0]);
    let third = hessian_u.reverse(&[11.0, 13.0]);
    assert_exactly(&third.evaluate(), &[284.0, 110.0]);
    // All that was computed on the way is still what it was.
    assert_exactly(&hessian_u.evaluate(), &[58.0, 20.0]);
    assert_exactly(&gradient.evaluate(), &[12.0, 4.0]);
}

/// Outputs (x²·y, x·y, x): Σ cₖ·Hₖ at (2, 3) with c = (2, 10, 100) is [[12, 18], [18, 0]].
#[test]
fn seeds_of_two_transpositions_of_several_outputs() {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let xy = f.apply(Mul, [x, y]);
    let xxy = f.apply(Mul, [x, xy]);
    let f = f.returning([xxy, xy, x]);
    let c = [2.0, 10.0, 100.0];
    assert_hvp_all_ways(&f, &[2.0, 3.0], &c, &[5.0, 7.0], &[186.0, 90.0]);
}

/// By one input only, then by the other one.
#[test]
fn transpositions_by_different_inputs() {
    let problem = x_squared_y().at(&[2.0, 3.0]);
    let by_x = problem.clone().wrt(["x"]).reverse(&[1.0]);
    assert_exactly(&by_x.clone().wrt(["y"]).reverse(&[5.0]).evaluate(), &[20.0]);
    assert_exactly(&by_x.clone().wrt(["x"]).reverse(&[5.0]).evaluate(), &[30.0]);
    let both = by_x.wrt(["y", "x"]).reverse(&[5.0]);
    assert_exactly(&both.evaluate(), &[20.0, 30.0]);
}

#[test]
fn no_two_seeds_have_one_name() {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let xy = f.apply(Mul, [x, y]);
    let xxy = f.apply(Mul, [x, xy]);
    let third = f
        .returning([xxy, xy, x])
        .at(&[2.0, 3.0])
        .reverse(&[1.0, 2.0, 3.0])
        .reverse(&[4.0, 5.0])
        .reverse(&[6.0, 7.0]);
    let inputs = third.roots.iter().flat_map(|graph| {
        let keys = graph.inputs().iter().map(|&id| &graph.values()[id].key);
        keys.cloned().collect::<Vec<_>>()
    });
    let (mut seen, mut count) = (HashSet::new(), 0);
    for key in inputs {
        count += 1;
        assert!(seen.insert(key.clone()), "{key:?} is given twice");
    }
    // x, y; then tangents of both and seeds of the outputs, three times.
    assert_eq!(count, 2 + (2 + 3) + (2 + 2) + (2 + 2));
}

/// Going backward meets a call of two outputs from two sides.
#[test]
fn eager_seeds_of_one_call_are_added() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let s = f.apply(SinCos, [x]);
    let product = f.apply(Mul, [s, s + 1]);
    let again = f.apply(Mul, [product, s]);
    let f = f.returning([again]);
    for x in [0.3_f64, 1.2] {
        let (s, c) = x.sin_cos();
        assert_close(&f.value_at(&[x]), &[s * s * c]);
        assert_all_ways(&f, &[x], &[1.0], &[2.0 * s * c * c - s * s * s]);
    }
}

fn x_squared_y() -> Sketch<ScalarOp> {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let xx = f.apply(Mul, [x, x]);
    let xxy = f.apply(Mul, [xx, y]);
    f.returning([xxy])
}
