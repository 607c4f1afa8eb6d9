//! Forward and reverse mode, as asked for, and gradients that are stopped in both.

use tidu::scalar::{Expr, ScalarOp, function};
use tidu::{Function, FunctionError, Mode};

use super::linearize::recombined;
use crate::support::tame::tame_function;
use crate::support::{Layout, Random, assert_close};

type F = Function<ScalarOp>;

const MODES: [Mode; 2] = [Mode::Forward, Mode::Reverse];

fn call(f: &F, x: &[f64]) -> Vec<f64> {
    f.compile().call(x).unwrap()
}

/// Gradients, Jacobians and Hessians of random functions, against (nested) dual numbers.
#[test]
fn both_modes_agree_with_dual_numbers() {
    let random = &mut Random(0x6d_6f64_6573);
    let basis = |at: usize| [0, 1, 2].map(|i| f64::from(u8::from(i == at)));
    for _ in 0..120 {
        let x: Vec<f64> = (0..3).map(|_| 1.5 * random.unit()).collect();
        let mut choice = || random.bits() as u16;
        let choices: Vec<_> = (0..14)
            .map(|_| (usize::from(choice()), choice(), choice()))
            .collect();
        let outputs: Vec<u16> = (0..2).map(|_| choice()).collect();
        let sketch = tame_function(&x, &choices, &outputs);
        let (graphs, keys) = sketch.graphs(&Layout::single());
        let outputs: Vec<_> = sketch.outputs.iter().map(|&id| keys[id].clone()).collect();
        let f = F::from_graphs(graphs, &sketch.inputs, &outputs).unwrap();
        let rows = [[1.0, 0.0], [0.0, 1.0]].map(|c| sketch.dual_vjp(&x, &c));
        let wrt = [2, 0];
        for mode in MODES.map(Some).into_iter().chain([None]) {
            let ctx = &mut [(), ()];
            let [one, two] = ctx;
            let with = |f: &F, ctx: &mut ()| -> Vec<F> {
                let mut derived = Vec::new();
                for transform in 0..4 {
                    let derive = f.within(ctx);
                    let derive = match mode {
                        Some(mode) => derive.mode(mode),
                        None => derive,
                    };
                    let scalar = f.output_names().len() == 1;
                    derived.extend(match transform {
                        0 => Some(derive.jacobian(wrt).unwrap()),
                        1 if scalar => Some(derive.grad(wrt).unwrap()),
                        2 if scalar => Some(derive.value_and_grad(0).unwrap()),
                        3 if scalar => Some(derive.hessian(wrt).unwrap()),
                        _ => None,
                    });
                }
                derived
            };
            let expected: Vec<f64> = rows.iter().flat_map(|row| wrt.map(|at| row[at])).collect();
            assert_close(&call(&with(&f, one)[0], &x), &expected);
            for (at, row) in rows.iter().enumerate() {
                let derived = with(&f.select_at(&[at]).unwrap(), two);
                let values: Vec<Vec<f64>> = derived.iter().map(|d| call(d, &x)).collect();
                assert_close(&values[0], &wrt.map(|at| row[at]));
                assert_close(&values[1], &wrt.map(|at| row[at]));
                assert_close(&values[2], &[sketch.value_at(&x)[at], row[0]]);
                let second =
                    |i: usize, j: usize| sketch.dual_second(&x, &basis(wrt[i]), &basis(wrt[j]))[at];
                assert_close(
                    &values[3],
                    &[second(0, 0), second(0, 1), second(1, 0), second(1, 1)],
                );
            }
        }
    }
}

/// What a gradient is made of says which way it went: for x·sin(x)·y by x alone, forward.
#[test]
fn a_single_input_goes_forward() {
    let f = function(["x", "y"], |[x, y]| [x.exp() * &x * y]).unwrap();
    let way = |mode| f.within(&mut ()).mode(mode).grad("x").unwrap().to_string();
    let default = f.grad("x").unwrap().to_string();
    assert_eq!(default, way(Mode::Forward));
    assert_ne!(default, way(Mode::Reverse));
    let way = |mode| f.within(&mut ()).mode(mode).grad(..).unwrap().to_string();
    assert_eq!(f.grad(..).unwrap().to_string(), way(Mode::Reverse));
    // Several outputs are no matter of mode.
    let two = f.grad(..).unwrap();
    for mode in MODES {
        let error = two.within(&mut ()).mode(mode).grad("x").unwrap_err();
        assert!(matches!(error, FunctionError::NotScalar { outputs: 2, .. }));
    }
}

/// Held inputs and held values: the values stay, the derivatives by them are zero, in every mode and
/// order, inside and outside of compositions.
#[test]
fn stopped_gradients() -> Result<(), FunctionError> {
    let (x, y) = (0.7_f64, -1.2_f64);
    // f = sin(x)·eʸ, y held: ∂ₓf = cos x·eʸ, ∂ᵧf = 0.
    let f = function(["x", "y"], |[x, y]| [x.sin() * y.exp()])?;
    let held = f.stop_gradient("y")?;
    let by_expression = function(["x", "y"], |[x, y]| [x.sin() * y.exp().stop_gradient()])?;
    let product = function(["p", "q"], |[p, q]| [p * q])?;
    let inner = function(["x", "y"], |[x, y]| [x.sin(), y.stop_gradient().exp()])?;
    let composed = product.compose(&inner)?;
    let outside = product
        .stop_gradient(1)?
        .compose(&function(["x", "y"], |[x, y]| [x.sin(), y.exp()])?)?;
    let (sin, cos, e) = (x.sin(), x.cos(), y.exp());
    for f in [held, by_expression, composed, outside] {
        assert_eq!(f.input_names(), ["x", "y"]);
        assert_close(&call(&f, &[x, y]), &[sin * e]);
        for mode in MODES {
            let derive = || -> F { f.within(&mut ()).mode(mode).grad(..).unwrap() };
            assert_close(&call(&derive(), &[x, y]), &[cos * e, 0.0]);
            let by_y = f.within(&mut ()).mode(mode).grad("y")?;
            assert_eq!(call(&by_y, &[x, y]), [0.0]);
            let hessian = f.within(&mut ()).mode(mode).hessian(..)?;
            assert_close(&call(&hessian, &[x, y]), &[-sin * e, 0.0, 0.0, 0.0]);
            let jacobian = f.within(&mut ()).mode(mode).jacobian(["y", "x"])?;
            assert_close(&call(&jacobian, &[x, y]), &[0.0, cos * e]);
        }
        assert_close(
            &call(&f.jvp(..)?, &[x, y, 2.0, 5.0]),
            &[sin * e, 2.0 * cos * e],
        );
        assert_close(
            &call(&f.vjp(..)?, &[x, y, 2.0]),
            &[sin * e, 2.0 * cos * e, 0.0],
        );
        let along = call(&f.jvp_to_order(3, ..)?, &[x, y, 2.0, 5.0]);
        assert_close(
            &along,
            &[sin * e, 2.0 * cos * e, -4.0 * sin * e, -8.0 * cos * e],
        );
        let split = f.linearize(..)?;
        let found = call(&recombined(&split, false), &[x, y, 2.0, 5.0]);
        assert_close(&found, &[sin * e, 2.0 * cos * e]);
        let found = call(&recombined(&split, true), &[x, y, 2.0]);
        assert_close(&found, &[sin * e, 2.0 * cos * e, 0.0]);
        let third = f.grad("x")?.grad("x")?.grad("x")?;
        assert_close(&call(&third, &[x, y]), &[-cos * e]);
        assert_eq!(call(&f.grad("x")?.grad("y")?, &[x, y]), [0.0]);
        // Text keeps it.
        let read: F = f.to_string().parse().unwrap();
        assert_eq!(call(&read.grad("y")?, &[x, y]), [0.0]);
    }
    Ok(())
}

/// Held in one place and not in another: x·stop(x) has the derivative stop(x), whose derivative is 0.
#[test]
fn held_in_one_place_only() -> Result<(), FunctionError> {
    let f = function(["x"], |[x]| {
        [&x * x.stop_gradient() + Expr::constant(2.0).stop_gradient()]
    })?;
    assert_eq!(call(&f, &[3.0]), [11.0]);
    for mode in MODES {
        let first = f.within(&mut ()).mode(mode).grad("x")?;
        assert_eq!(call(&first, &[3.0]), [3.0]);
        let second = first.within(&mut ()).mode(mode).grad("x")?;
        assert_eq!(call(&second, &[3.0]), [0.0]);
    }
    for wrong in [
        f.stop_gradient("y"),
        f.stop_gradient([0, 0]),
        f.stop_gradient([0; 0]),
    ] {
        assert!(wrong.is_err());
    }
    Ok(())
}
