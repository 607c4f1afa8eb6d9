//! What the primitives compute, and that constants compare by their bits.

use tidu_graph::{EvaluableGraphOperation, GraphOperation};
use tidu_scalar::ScalarOp;

fn eval(op: &ScalarOp, x: &[f64]) -> Vec<f64> {
    let operands: Vec<&f64> = x.iter().collect();
    op.eval(&mut (), &operands)
}

#[test]
fn each_primitive_computes_what_its_name_says() {
    for (x, y) in [(0.5_f64, 2.0_f64), (3.25, -0.75), (1e-3, 1e3)] {
        let cases = [
            (ScalarOp::Add, vec![x + y]),
            (ScalarOp::Sub, vec![x - y]),
            (ScalarOp::Mul, vec![x * y]),
            (ScalarOp::Div, vec![x / y]),
            (ScalarOp::Neg, vec![-x]),
            (ScalarOp::Exp, vec![x.exp()]),
            (ScalarOp::Ln, vec![x.ln()]),
            (ScalarOp::Sin, vec![x.sin()]),
            (ScalarOp::Cos, vec![x.cos()]),
            (ScalarOp::SinCos, vec![x.sin(), x.cos()]),
            (ScalarOp::constant(y), vec![y]),
            (ScalarOp::Recip, vec![1.0 / x]),
            (ScalarOp::MulAdd, vec![x.mul_add(y, 0.3)]),
            (ScalarOp::Rem, vec![x % y]),
            (ScalarOp::Select, vec![y]),
            (ScalarOp::KeepIf, vec![y]),
            (ScalarOp::StopGradient, vec![x]),
            (ScalarOp::Abs, vec![x.abs()]),
            (ScalarOp::Hypot, vec![x.hypot(y)]),
            (ScalarOp::Direction, vec![y.atan2(x).cos()]),
            (ScalarOp::Pow, vec![x.powf(y)]),
            (ScalarOp::powf(1.5), vec![x * x.sqrt()]),
            (ScalarOp::Powi(4), vec![x * x * x * x]),
            (ScalarOp::Sqrt, vec![x.sqrt()]),
            (ScalarOp::Cbrt, vec![x.cbrt()]),
            (ScalarOp::Exp2, vec![x.exp2()]),
            (ScalarOp::Expm1, vec![x.exp() - 1.0]),
            (ScalarOp::ExpNegSquare, vec![(-x * x).exp()]),
            (ScalarOp::Log2, vec![x.log2()]),
            (ScalarOp::Log10, vec![x.log10()]),
            (ScalarOp::Log1p, vec![x.ln_1p()]),
            (ScalarOp::Logaddexp, vec![y + ((x - y).exp() + 1.0).ln()]),
            (ScalarOp::Sigmoid, vec![1.0 / (1.0 + (-x).exp())]),
            (ScalarOp::SigmoidSub, vec![1.0 / (1.0 + (y - x).exp())]),
            (ScalarOp::Softplus, vec![(1.0 + x.exp()).ln()]),
            (ScalarOp::Tan, vec![x.sin() / x.cos()]),
            (ScalarOp::Atan, vec![x.atan2(1.0)]),
            (ScalarOp::Atan2, vec![x.atan2(y)]),
            (ScalarOp::Sinh, vec![(x.exp() - (-x).exp()) / 2.0]),
            (ScalarOp::Cosh, vec![(x.exp() + (-x).exp()) / 2.0]),
            (ScalarOp::Tanh, vec![x.sinh() / x.cosh()]),
            (ScalarOp::SechSquare, vec![x.cosh().powi(-2)]),
            (ScalarOp::Asinh, vec![(x + x.hypot(1.0)).ln()]),
            (ScalarOp::Erfc, vec![1.0 - erf_series(x)]),
            (ScalarOp::Erf, vec![erf_series(x)]),
        ];
        for (op, expected) in cases {
            let operands = &[x, y, 0.3][..op.input_count()];
            let found = eval(&op, operands);
            for (found, expected) in found.iter().zip(&expected) {
                let error = (found - expected).abs();
                assert!(
                    error < 1e-12 * expected.abs().max(1e-3),
                    "{op:?}: {found}, not {expected}"
                );
            }
            assert_eq!(op.output_count(), expected.len(), "{op:?}");
        }
    }
}

/// erf x by its power series, which serves up to x = 4.
fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[test]
fn known_values() {
    assert_eq!(eval(&ScalarOp::Lgamma, &[3.0]), [2.0_f64.ln()]);
    assert_eq!(eval(&ScalarOp::Digamma, &[1.0]), [-0.577_215_664_901_532_9]);
    assert_eq!(eval(&ScalarOp::Powi(-2), &[4.0]), [0.0625]);
    assert_eq!(eval(&ScalarOp::Select, &[0.0, 1.0, 2.0]), [2.0]);
    assert_eq!(eval(&ScalarOp::Exp, &[0.0]), [1.0]);
    assert_eq!(eval(&ScalarOp::Ln, &[1.0]), [0.0]);
    assert_eq!(eval(&ScalarOp::SinCos, &[0.0]), [0.0, 1.0]);
    assert_eq!(eval(&ScalarOp::Sub, &[1.0, 3.0]), [-2.0]);
    assert_eq!(eval(&ScalarOp::Div, &[1.0, 4.0]), [0.25]);
}

#[test]
fn outside_their_domains_primitives_follow_ieee_754() {
    assert_eq!(eval(&ScalarOp::Ln, &[0.0]), [f64::NEG_INFINITY]);
    assert!(eval(&ScalarOp::Ln, &[-1.0])[0].is_nan());
    assert_eq!(eval(&ScalarOp::Div, &[1.0, 0.0]), [f64::INFINITY]);
    assert!(eval(&ScalarOp::Div, &[0.0, 0.0])[0].is_nan());
    assert_eq!(eval(&ScalarOp::Exp, &[1e3]), [f64::INFINITY]);
}

#[test]
fn constants_compare_by_their_bits() {
    let constant = ScalarOp::constant;
    assert_eq!(constant(1.5), constant(1.5));
    assert_ne!(constant(0.0), constant(-0.0));
    assert_eq!(constant(f64::NAN), constant(f64::NAN));
    assert_ne!(constant(f64::NAN), constant(-f64::NAN));
    assert_ne!(constant(1.0), constant(1.0 + f64::EPSILON));
    let negative_zero = eval(&constant(-0.0), &[]);
    assert!(negative_zero[0] == 0.0 && negative_zero[0].is_sign_negative());
    assert!(eval(&constant(f64::NAN), &[])[0].is_nan());
}

#[test]
fn debug_names_the_primitive() {
    assert_eq!(format!("{:?}", ScalarOp::SinCos), "SinCos");
    assert_eq!(format!("{:?}", ScalarOp::constant(2.0)), "Constant(2.0)");
    assert_eq!(format!("{:?}", ScalarOp::constant(-0.0)), "Constant(-0.0)");
}

#[test]
#[should_panic(expected = "Mul takes 2 operands, found 1")]
fn the_wrong_number_of_operands_panics() {
    eval(&ScalarOp::Mul, &[1.0]);
}
