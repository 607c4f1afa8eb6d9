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
        ];
        for (op, expected) in cases {
            let operands = &[x, y][..op.input_count()];
            assert_eq!(eval(&op, operands), expected, "{op:?}");
            assert_eq!(op.output_count(), expected.len(), "{op:?}");
        }
    }
}

#[test]
fn known_values() {
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
