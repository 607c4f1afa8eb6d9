//! Sizes of what is made grow with the sizes of problems, and no faster.

use tidu::scalar::{Expr, ScalarOp, function_of};
use tidu::{Function, SparseDerivative, Way};
use tidu_testkit::{Workload, bratu, bratu_energy, clnlbeam, rosenbrock};

/// Everything about a derivative that has a size, by input of the function.
fn sizes(derivative: &SparseDerivative<ScalarOp>, inputs: usize) -> Vec<f64> {
    let receipt = &derivative.receipt;
    let cheapest = receipt.costs.iter().map(|(_, cost)| *cost).min();
    let sizes = [
        derivative.pattern.len(),
        derivative.function.as_dense().operation_count(),
        cheapest.unwrap() as usize,
    ];
    sizes.map(|size| size as f64 / inputs as f64).to_vec()
}

fn largest() -> usize {
    match std::env::var("TIDU_ALL_CASES").as_deref() {
        Ok("1") => 100_000,
        _ => 30_000,
    }
}

#[track_caller]
fn assert_flat(
    problem: fn(usize) -> Workload,
    derive: fn(&Function<ScalarOp>) -> SparseDerivative<ScalarOp>,
) {
    let of = |variables: usize| {
        let workload = problem(variables);
        let derivative = derive(&workload.function());
        sizes(&derivative, workload.inputs.len())
    };
    let (few, many) = (of(1000), of(largest()));
    for (few, many) in few.iter().zip(&many) {
        assert!(*few > 0.5, "nothing is counted");
        assert!(many < &(1.1 * few), "{few} for each input, then {many}");
    }
}

fn side(variables: usize) -> usize {
    variables.isqrt()
}

#[test]
fn work_grows_with_the_variables() {
    assert_flat(rosenbrock, |f| f.sparse_hessian(..).unwrap());
    assert_flat(|n| bratu(side(n)), |f| f.sparse_jacobian(..).unwrap());
    assert_flat(|n| bratu_energy(side(n)), |f| f.sparse_hessian(..).unwrap());
    assert_flat(|n| clnlbeam(n / 3), |f| f.sparse_jacobian(..).unwrap());
    assert_flat(|n| clnlbeam(n / 3), |f| f.lagrangian_hessian(..).unwrap());
}

/// A long chain on two inputs, which no step forgets.
#[test]
fn a_long_chain() {
    let length = 100_000;
    let f = function_of(["x", "y"], |x| {
        (0..length).fold(x[0].clone(), |value, _| (value * &x[1]).sin())
    });
    let f = f.unwrap();
    let jacobian = f.sparse_jacobian(..).unwrap();
    assert_eq!(jacobian.pattern.len(), 2);
    assert_eq!(jacobian.receipt.way, Way::Rows);
    let hessian = f.hessian_sparsity(..).unwrap();
    assert_eq!(hessian.len(), 4);
}

/// A row of many entries, each reached by a long way from the sum, and of one operation.
#[test]
fn a_long_sum() {
    let n = 100_000;
    let names: Vec<String> = (0..n).map(|at| format!("x{at}")).collect();
    let f = function_of(&names, |x| x.iter().map(Expr::sin).sum::<Expr>()).unwrap();
    let gradient = f.sparse_jacobian(..).unwrap();
    assert_eq!(gradient.pattern.len(), n);
    assert!(gradient.receipt.is_dense);
    assert_eq!(gradient.receipt.way, Way::Rows);
    let hessian = f.sparse_hessian(..).unwrap();
    assert_eq!(hessian.pattern.len(), n);
    assert!(hessian.pattern.entries().all(|(row, column)| row == column));
    let x = vec![0.5; n];
    let values = hessian.function.compile().call(&x).unwrap();
    assert!(values.iter().all(|value| *value == -0.5_f64.sin()));
}
