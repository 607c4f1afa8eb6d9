//! What a snapshot of a derivative holds, and the mathematics that must agree before it may.

use tidu::graph::{ValueKey, verify};
use tidu::scalar::ScalarOp;
use tidu::verify_linear;

use super::operand::{assert_close, inner, or_zero};
use super::problem::Problem;
use tidu_testkit::Random;

/// The primal, the linear and the transposed graph of a problem whose outputs its last root
/// computes, as one text, cause before effect. For derivatives of derivatives, the primal is itself
/// a linear or transposed graph.
///
/// The text only comes out if the map agrees with a finite difference of the primal and the
/// transposition with the map, so that a wrong graph cannot be blessed. The problem's point should
/// be tame: third derivatives of the order of 1.
#[track_caller]
pub fn reviewed(problem: &Problem<ScalarOp>) -> String {
    let linear = problem.linearize();
    let transposed = problem.transpose(&linear);
    let t = directions(problem.wrt.len(), 1);
    let c = directions(problem.outputs.len(), 2);
    let tangents = problem.jvp(&t);
    assert_near_difference(&or_zero(&tangents), &central_difference(problem, &t));
    let (forward, reverse) = (inner(&tangents, &c), inner(&problem.vjp(&c), &t));
    assert_close(&[forward], &[reverse]);
    for root in &problem.roots {
        assert!(verify(root).is_clean(), "{}", verify(root));
    }
    for map in [&linear, &transposed] {
        assert!(verify_linear(map).is_clean(), "{}", verify_linear(map));
    }
    let primal = problem.roots.last().expect("a problem has a graph");
    format!("{primal}\n{linear}\n{transposed}")
}

/// Unequal numbers, none of them near 0.
fn directions(count: usize, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    let direction = |i| (1.0 + 0.5 * random.unit()) * if i % 2 == 0 { 1.0 } else { -1.0 };
    (0..count).map(direction).collect()
}

/// (f(x + h·t) - f(x - h·t)) / 2h
fn central_difference(problem: &Problem<ScalarOp>, t: &[f64]) -> Vec<f64> {
    /// Truncation, h²·f‴/6, and rounding, 2⁻⁵³·f/h, are then both about 1e-11.
    const STEP: f64 = 1e-5;
    let shifted = |step: f64| {
        let mut shifted = problem.clone();
        for (key, t) in problem.wrt.iter().zip(t) {
            let x = shifted.point.get_mut(&ValueKey::Input(key.clone()));
            *x.expect("an input has a value") += step * t;
        }
        or_zero(&shifted.evaluate())
    };
    let (after, before) = (shifted(STEP), shifted(-STEP));
    let pairs = after.iter().zip(&before);
    pairs.map(|(a, b)| (a - b) / (2.0 * STEP)).collect()
}

#[track_caller]
fn assert_near_difference(tangents: &[f64], difference: &[f64]) {
    assert_eq!(tangents.len(), difference.len());
    for (tangent, difference) in tangents.iter().zip(difference) {
        let near = (tangent - difference).abs() <= 1e-8 * tangent.abs().max(1.0);
        assert!(near, "tangent {tangent}, finite difference {difference}");
    }
}
