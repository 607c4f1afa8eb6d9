//! One derivative, all ways to it, against numbers from elsewhere.

use tidu::scalar::ScalarOp;

use super::eager::eager_gradient;
use super::operand::{assert_close, assert_exactly, inner, or_zero};
use super::sketch::Sketch;

/// J(x)ᵀ·c is `expected`: by closed form (which is what `expected` is for), by dual numbers, through
/// the graph path, the builder path, and the eager path with calls of one, of two and of all steps.
/// ⟨c, J·t⟩ = ⟨Jᵀ·c, t⟩ for some t.
#[track_caller]
pub fn assert_all_ways(f: &Sketch<ScalarOp>, x: &[f64], c: &[f64], expected: &[f64]) {
    assert_close(&f.dual_vjp(x, c), expected);
    let problem = f.at(x);
    assert_exactly(&problem.vjp(c), expected);
    let seeds: Vec<_> = c.iter().copied().map(Some).collect();
    assert_exactly(&problem.vjp_by_builder(&seeds), expected);

    let t: Vec<f64> = (0..x.len()).map(|i| 0.75 - 0.5 * i as f64).collect();
    let tangents = problem.jvp(&t);
    assert_close(&or_zero(&tangents), &f.dual_jvp(x, &t));
    assert_exactly(&problem.jvp_transposed_twice(&t), &or_zero(&tangents));
    assert_close(&[inner(&tangents, c)], &[inner(&problem.vjp(c), &t)]);

    let loss = f.weighted(c);
    let wrt: Vec<usize> = (0..x.len()).collect();
    for chunk in [1, 2, loss.steps.len()] {
        let gradient = eager_gradient(&loss, x, &wrt, &1.0, chunk, &mut ());
        assert_exactly(
            &gradient.expect("the steps can be differentiated"),
            expected,
        );
    }
}

/// (Σₖ cₖ·∂²fₖ(x))·v is `expected`: by dual numbers, and by every pair of modes.
#[track_caller]
pub fn assert_hvp_all_ways(
    f: &Sketch<ScalarOp>,
    x: &[f64],
    c: &[f64],
    v: &[f64],
    expected: &[f64],
) {
    assert_close(&f.dual_hvp(x, c, v), expected);
    let problem = f.at(x);
    assert_exactly(&problem.forward(v).reverse(c).evaluate(), expected);
    assert_exactly(&problem.reverse(c).forward(v).evaluate(), expected);
    assert_exactly(&problem.reverse(c).reverse(v).evaluate(), expected);
    for (i, &entry) in expected.iter().enumerate() {
        let mut e = vec![0.0; x.len()];
        e[i] = 1.0;
        let second = problem.forward(v).forward(&e).evaluate();
        assert_close(&[inner(&second, c)], &[entry]);
    }
}
