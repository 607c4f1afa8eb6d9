//! f(x) = exp(x²)·sin x to the eighth derivative: what it is, and how many operations it takes.

use tidu::Function;
use tidu::scalar::ScalarOp;

/// Operations of the derivatives of order 1 to 8. Fewer are welcome, more are a regression.
const RECORDED: [usize; 8] = [9, 16, 24, 34, 46, 60, 76, 94];

fn f() -> Function<ScalarOp> {
    let text = "function {
        input %0 = x
        %1 = mul %0, %0
        %2 = exp %1
        %3 = sin %0
        %4 = mul %2, %3
        output %4 -> f
    }";
    text.parse().unwrap()
}

/// Taylor coefficients to order 8.
type Taylor = [f64; 9];

fn mul(a: &Taylor, b: &Taylor) -> Taylor {
    std::array::from_fn(|k| (0..=k).map(|i| a[i] * b[k - i]).sum())
}

/// e' = a'·e, so k·eₖ = Σᵢ i·aᵢ·eₖ₋ᵢ.
fn exp(a: &Taylor) -> Taylor {
    let mut e = [0.0; 9];
    e[0] = a[0].exp();
    for k in 1..9 {
        let terms = (1..=k).map(|i| i as f64 * a[i] * e[k - i]);
        e[k] = terms.sum::<f64>() / k as f64;
    }
    e
}

/// sin(x + h) = sin x + h·cos x - h²/2·sin x - …
fn sin(x: f64) -> Taylor {
    let cycle = [x.sin(), x.cos(), -x.sin(), -x.cos()];
    std::array::from_fn(|k| cycle[k % 4] / factorial(k))
}

fn factorial(k: usize) -> f64 {
    (1..=k).map(|i| i as f64).product()
}

/// f and its derivatives to order 8.
fn reference(x: f64) -> Taylor {
    let mut identity = [0.0; 9];
    identity[..2].copy_from_slice(&[x, 1.0]);
    let product = mul(&exp(&mul(&identity, &identity)), &sin(x));
    std::array::from_fn(|k| product[k] * factorial(k))
}

/// By hand: f' = eˣˣ·(2x·sin x + cos x), f'' = eˣˣ·((4x² + 1)·sin x + 4x·cos x).
#[test]
fn taylor_arithmetic_is_right() {
    let x = 0.7_f64;
    let (sin, cos) = x.sin_cos();
    let e = (x * x).exp();
    let expected = [
        e * sin,
        e * (2.0 * x * sin + cos),
        e * ((4.0 * x * x + 1.0) * sin + 4.0 * x * cos),
    ];
    for (found, expected) in reference(x).iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-14 * expected.abs());
    }
}

#[test]
fn eight_derivatives_of_exp_xx_sin_x() {
    let mut derivative = f();
    let mut counts = Vec::new();
    for order in 1..=8 {
        derivative = derivative.grad("x").unwrap();
        assert_eq!(derivative.input_names(), ["x"]);
        let program = derivative.compile();
        for x in [0.7, -0.3, 1.2] {
            let [found] = program.call(&[x]).unwrap()[..] else {
                panic!("one output");
            };
            let expected = reference(x)[order];
            assert!(
                (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                "order {order} at {x}: {found} against {expected}"
            );
        }
        counts.push(derivative.as_graph().operations().len());
    }
    assert_eq!(counts, RECORDED);
}
