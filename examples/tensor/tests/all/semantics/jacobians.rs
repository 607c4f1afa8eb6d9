//! All of a derivative by a tensor: as of JAX's `jacfwd`, `jacrev` and `hessian`, the axes of the output come first.

use tidu::{Function, FunctionError, Mode};
use tidu_tensor::{Tensor, TensorOp, Value, function, types};

type F = Function<TensorOp>;

fn call(f: &F, x: &[Tensor]) -> Vec<Tensor> {
    f.compile().call(x).unwrap()
}

fn by(f: &F, mode: Mode) -> Result<F, FunctionError> {
    f.within(&mut Default::default()).mode(mode).jacobian(..)
}

/// x ↦ (x₀·x₁, sin x₁ for each of two columns): of f64[2] and f64[2, 2].
fn mixed() -> F {
    let inputs = [("x", types::real([2, 3])), ("s", types::real([]))];
    let f = function(inputs, |[x, s]| {
        [
            (x.slice(0, 0..1) * x.slice(0, 1..2)).sum([0]),
            x.slice(1, 0..2).sin() * &s,
            &s * &s,
        ]
    });
    f.unwrap()
}

#[test]
fn axes_of_outputs_come_before_those_of_inputs() {
    let f = mixed();
    let numbers = [0.3, -0.5, 0.7, 1.1, 1.3, -1.7];
    let x = Tensor::from(numbers).reshape([2, 3]);
    let point = [x, Tensor::from(2.0)];
    for mode in [Mode::Forward, Mode::Reverse] {
        let jacobian = by(&f, mode).unwrap();
        let names = ["out0.x", "out0.s", "out1.x", "out1.s", "out2.x", "out2.s"];
        assert_eq!(
            jacobian.output_names(),
            names.map(|name| format!("d.{name}"))
        );
        let found = call(&jacobian, &point);
        let dims: Vec<&[usize]> = found.iter().map(Tensor::dims).collect();
        let expected: [&[usize]; 6] = [&[3, 2, 3], &[3], &[2, 2, 2, 3], &[2, 2], &[2, 3], &[]];
        assert_eq!(dims, expected, "{mode:?}");
        // ∂(x₀ₐ·x₁ₐ)/∂x
        let of_product = found[0].elements::<f64>().unwrap();
        for a in 0..3 {
            for (row, other) in [(0, 1), (1, 0)] {
                for column in 0..3 {
                    let slope = of_product[a * 6 + row * 3 + column];
                    let expected = if a == column {
                        numbers[other * 3 + a]
                    } else {
                        0.0
                    };
                    assert_eq!(slope, expected, "{mode:?}: {a}, {row}, {column}");
                }
            }
        }
        // ∂(s·sin xᵢⱼ)/∂xₖₗ, and by s
        let (of_sine, by_s) = (found[2].elements::<f64>().unwrap(), &found[3]);
        for i in 0..2 {
            for j in 0..2 {
                let x = numbers[i * 3 + j];
                for at in 0..6 {
                    let expected = if at == i * 3 + j { 2.0 * x.cos() } else { 0.0 };
                    let slope = of_sine[(i * 2 + j) * 6 + at];
                    assert!((slope - expected).abs() < 1e-15, "{mode:?}: {i}, {j}, {at}");
                }
                let slope = by_s.elements::<f64>().unwrap()[i * 2 + j];
                assert!((slope - x.sin()).abs() < 1e-15);
            }
        }
        assert_eq!(found[4], Tensor::from([0.0; 6]).reshape([2, 3]));
        assert_eq!(found[5], Tensor::from(4.0));
    }
}

#[test]
fn hessians_are_of_the_input_twice() {
    // x³·y, at (1, 5)
    let f = function([("x", types::real([2]))], |[x]| {
        [x.slice(0, 0..1).power(3.0).matmul(&x.slice(0, 1..2))]
    });
    let f = f.unwrap();
    let point = [Tensor::from([1.0, 5.0])];
    let hessian = call(&f.hessian("x").unwrap(), &point).remove(0);
    assert_eq!(hessian, Tensor::from([30.0, 3.0, 3.0, 0.0]).reshape([2, 2]));
    // Forward mode has the gradient, too.
    let mut types = Default::default();
    let gradient = f.within(&mut types).mode(Mode::Forward).grad("x").unwrap();
    assert_eq!(call(&gradient, &point), [Tensor::from([15.0, 1.0])]);
    // Value and Jacobian of the gradient, as Newton's method needs them.
    let both = f.grad("x").unwrap().value_and_jacobian("x").unwrap();
    let both = call(&both, &point);
    assert_eq!(both, [Tensor::from([15.0, 1.0]), hessian]);
}

#[test]
fn jacobians_of_nothing_are_empty() {
    let f = function([("x", types::real([0, 2]))], |[x]| [x.sin(), x.sum([0])]);
    for mode in [Mode::Forward, Mode::Reverse] {
        let jacobian = by(f.as_ref().unwrap(), mode).unwrap();
        let found = call(&jacobian, &[Tensor::from([0.0; 0]).reshape([0, 2])]);
        assert_eq!(found[0].dims(), [0, 2, 0, 2]);
        assert_eq!(found[1].dims(), [2, 0, 2]);
    }
}

/// Complex numbers have two real directions, of which a single basis vector is none.
#[test]
fn jacobians_by_complex_numbers_are_refused() {
    let f = function([("x", types::complex([2]))], |[x]| [&x * &x]).unwrap();
    let error = f.jacobian("x").unwrap_err();
    assert!(matches!(error, FunctionError::NoBasis { .. }), "{error}");
    assert!(error.to_string().contains("x: c128[2]"), "{error}");
}

/// Patterns are between whole values; entries are of numbers.
#[test]
fn sparse_derivatives_of_arrays_are_patterns() {
    let f = mixed();
    let entries: Vec<_> = f.sparsity(..).unwrap().entries().collect();
    assert_eq!(entries, [(0, 0), (1, 0), (1, 1), (2, 1)]);
    let second: Vec<_> = f.hessian_sparsity(..).unwrap().entries().collect();
    assert_eq!(second, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    let linear = f.linear_parts("s").unwrap();
    assert_eq!(linear.inputs, [false]);
    for error in [
        f.sparse_jacobian("x").unwrap_err(),
        f.sparse_jacobian("s").unwrap_err(),
        f.lagrangian_hessian("x").unwrap_err(),
    ] {
        assert!(
            matches!(error, FunctionError::SparseArray { .. }),
            "{error}"
        );
    }
}

/// Σᵢ sin (s·xᵢ) + t², by the numbers s and t, with an array between them.
#[test]
fn sparse_derivatives_of_numbers_through_arrays() {
    let inputs = [
        ("x", types::real([3])),
        ("s", types::real([])),
        ("t", types::real([])),
    ];
    let f = function(inputs, |[x, s, t]| [(x * &s).sin().sum([0]) + &t * &t]).unwrap();
    let hessian = f.sparse_hessian(["s", "t"]).unwrap();
    let entries: Vec<_> = hessian.pattern.entries().collect();
    assert_eq!(entries, [(0, 0), (1, 1)]);
    assert_eq!(hessian.constant, [false, true]);
    let x = [0.3, -0.5, 0.7_f64];
    let point = [Tensor::from(x), Tensor::from(2.0), Tensor::from(5.0)];
    let found = call(&hessian.function, &point);
    let found = found
        .iter()
        .map(|entry| entry.elements::<f64>().unwrap()[0]);
    let expected: f64 = x.iter().map(|x| -x * x * (2.0 * x).sin()).sum();
    for (found, expected) in found.zip([expected, 2.0]) {
        assert!((found - expected).abs() < 1e-14, "{found} for {expected}");
    }
}
