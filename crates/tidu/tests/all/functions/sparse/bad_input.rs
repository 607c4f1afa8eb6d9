//! What is odd or wrong: functions of nothing, names that are not there, rules that are missing.

use tidu::scalar::{Expr, ScalarOp, function};
use tidu::sparse::Pattern;
use tidu::{Function, FunctionError, Rules, SparseDerivative, Wrt};

type F = Function<ScalarOp>;
type D = SparseDerivative<ScalarOp>;

fn call(derivative: &D, x: &[f64]) -> Vec<f64> {
    derivative.function.compile().call(x).unwrap()
}

fn entries(pattern: &Pattern) -> Vec<(usize, usize)> {
    pattern.entries().collect()
}

#[test]
fn a_function_of_no_outputs() {
    let f = function(["x"], |[_]| [] as [Expr; 0]).unwrap();
    let jacobian = f.sparse_jacobian(..).unwrap();
    assert_eq!(
        (jacobian.pattern.rows(), jacobian.pattern.columns()),
        (0, 1)
    );
    assert!(!jacobian.receipt.is_dense);
    assert_eq!(call(&jacobian, &[1.0]), [0.0; 0]);
    let hessian = f.lagrangian_hessian(..).unwrap();
    assert_eq!((hessian.pattern.rows(), hessian.pattern.len()), (1, 0));
    assert_eq!(call(&hessian, &[1.0]), [0.0; 0]);
    assert!(f.linear_parts(..).unwrap().inputs[0]);
    insta::assert_snapshot!(f.sparse_hessian(..).unwrap_err(), @"`grad` needs a function of one output, this one has none");
}

#[test]
fn outputs_that_depend_on_nothing_and_inputs_that_nothing_uses() {
    let f = function(["x", "unused", "y"], |[x, _, y]| {
        [x.sin(), Expr::constant(2.0), y.floor()]
    });
    let f = f.unwrap();
    let jacobian = f.sparse_jacobian(..).unwrap();
    assert_eq!(entries(&jacobian.pattern), [(0, 0)]);
    assert_eq!(call(&jacobian, &[0.0, 1.0, 1.0]), [1.0]);
    for alone in ["unused", "y"] {
        assert!(f.sparse_jacobian(alone).unwrap().pattern.is_empty());
        assert!(f.lagrangian_hessian(alone).unwrap().pattern.is_empty());
    }
    let linear = f.linear_parts(..).unwrap();
    assert_eq!(linear.inputs, [false, true, true]);
    assert_eq!(linear.outputs, [false, true, true]);
}

#[test]
fn outputs_that_are_inputs_and_outputs_that_stand_twice() {
    let f = function(["x", "y"], |[x, y]| {
        let product = &x * &y;
        [x.clone(), product.clone(), x, product]
    });
    let f = f.unwrap();
    let jacobian = f.sparse_jacobian(["y", "x"]).unwrap();
    assert_eq!(
        entries(&jacobian.pattern),
        [(0, 1), (1, 0), (1, 1), (2, 1), (3, 0), (3, 1)]
    );
    assert_eq!(jacobian.constant, [true, false, false, true, false, false]);
    assert_eq!(call(&jacobian, &[3.0, 5.0]), [1.0, 3.0, 5.0, 1.0, 3.0, 5.0]);
    // Of 1, 2, 4 and 8 times the outputs: 2 and 8 of x·y.
    let hessian = f.lagrangian_hessian(["y", "x"]).unwrap();
    assert_eq!(entries(&hessian.pattern), [(1, 0)]);
    assert_eq!(call(&hessian, &[3.0, 5.0, 1.0, 2.0, 4.0, 8.0]), [10.0]);
}

#[test]
fn a_dense_function_says_so() {
    let f = function(["x", "y"], |[x, y]| [&x * &y, (x + y).sin()]).unwrap();
    let jacobian = f.sparse_jacobian(..).unwrap();
    insta::assert_snapshot!(jacobian.receipt, @r"
    4 entries, 0 of them zero, by 2 products: rows; dense
      rows             3 operations
      columns          4 operations
    ");
    let dense = f.jacobian(..).unwrap();
    assert_eq!(jacobian.function.to_string(), dense.to_string());
    assert!(f.lagrangian_hessian(..).unwrap().receipt.is_dense);
}

type Attempt = fn(&F, Wrt) -> Option<FunctionError>;

const ALL: [Attempt; 6] = [
    |f, wrt| f.sparsity(wrt).err(),
    |f, wrt| f.hessian_sparsity(wrt).err(),
    |f, wrt| f.sparse_jacobian(wrt).err(),
    |f, wrt| f.sparse_hessian(wrt).err(),
    |f, wrt| f.lagrangian_hessian(wrt).err(),
    |f, wrt| f.linear_parts(wrt).err(),
];

#[test]
fn names_that_do_not_fit() {
    let f = function(["x", "y"], |[x, y]| x * y).unwrap();
    for attempt in ALL {
        let said = |wrt: Wrt| attempt(&f, wrt).unwrap().to_string();
        assert_eq!(said(["x", "x"].into()), "input x is named twice");
        assert_eq!(
            said("z".into()),
            "the function has no input z; its inputs are x, y"
        );
        assert_eq!(
            said([7].into()),
            "the function has no input at position 7; its inputs are x, y"
        );
        assert_eq!(
            said(Wrt::from([] as [usize; 0])),
            "nothing to differentiate by: name at least one input, or `..` for all"
        );
    }
    let two = function(["x"], |[x]| [x.sin(), x.cos()]).unwrap();
    insta::assert_snapshot!(two.sparse_hessian(..).unwrap_err(), @"`grad` needs a function of one output, this one has 2 (out0, out1): `select` one of them first, or use `jacobian` for the derivatives of all, `vjp` for those of a weighted sum");
    let jacobian = f.sparse_jacobian(..).unwrap();
    assert!(jacobian.depends_on("z").is_err());
}

/// A pattern that somebody wrote down, of a tridiagonal matrix, without its corner.
#[test]
fn a_pattern_by_hand_that_misses_an_entry() {
    let f = function(["x", "y", "z"], |[x, y, z]| [&x * &y, &x * &y * &z, y * z]).unwrap();
    let found = f.sparsity(..).unwrap();
    let by_hand = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)];
    let by_hand = Pattern::from_entries(3, 3, by_hand).unwrap();
    assert_eq!(found.missing_from(&by_hand), Some((1, 2)));
    assert_eq!(by_hand.missing_from(&found), None);
}

/// A rule that calls u·v constant in v, which it is not, so that the second derivatives are not symmetric: it spoils no
/// other entry.
#[test]
fn a_rule_that_ignores_an_input_spoils_no_other_entry() {
    let product = function(["u", "v"], |[u, v]| [u * v]).unwrap();
    let jvp = function(["u", "v", "du", "dv"], |[_, v, du, _]| [v * du]).unwrap();
    let half = product.with_rules("half", Rules::jvp(jvp)).unwrap();
    let names: Vec<String> = (0..30).map(|at| format!("x{at}")).collect();
    let f = tidu::scalar::function_of(&names, |x| {
        let far = (0..60).fold(x[0].clone(), |far, _| far.sin());
        let odd = Expr::call(&half, &[x[1].clone(), x[2].clone()])
            .unwrap()
            .remove(0);
        x[1..].iter().fold(odd, |sum, x| sum + (x * &far).cos())
    });
    let f = f.unwrap();
    let hessian = f.sparse_hessian(..).unwrap();
    let x: Vec<f64> = (0..30).map(|at| 0.3 + 0.01 * f64::from(at)).collect();
    let dense = f.hessian(..).unwrap().compile().call(&x).unwrap();
    for ((row, column), value) in hessian.pattern.entries().zip(call(&hessian, &x)) {
        let [entry, mirrored] = [dense[30 * row + column], dense[30 * column + row]];
        let near = |entry: f64| (value - entry).abs() < 1e-12;
        assert!(
            near(entry) || near(mirrored),
            "({row}, {column}): {value} for {entry}"
        );
    }
    assert!(hessian.pattern.position_of(2, 1).is_some());
}

/// A VJP that clips, which is not linear in its cotangent, so that there is only one direction.
#[test]
fn a_rule_of_one_direction() {
    let identity = function(["x"], |[x]| [x]).unwrap();
    let clip = function(["x", "c"], |[_, c]| [c.max(-1.0).min(1.0)]).unwrap();
    let clipped = identity.with_rules("clipped", Rules::vjp(clip)).unwrap();
    let f = function(["x", "y"], |[x, y]| {
        let y = Expr::call(&clipped, &[y]).unwrap().remove(0);
        [3.0 * y, x.sin()]
    });
    let f = f.unwrap();
    let jacobian = f.sparse_jacobian(..).unwrap();
    assert_eq!(entries(&jacobian.pattern), [(0, 1), (1, 0)]);
    assert_eq!(call(&jacobian, &[0.0, 2.0]), [1.0, 1.0]);
    let forward = f
        .within(&mut ())
        .mode(tidu::Mode::Forward)
        .sparse_jacobian(..);
    insta::assert_snapshot!(forward.unwrap_err(), @"the function is not linear in c: max (%3) is not linear in those of its operands that depend on them; it is clipped's VJP, which forward mode has to transpose");
}

/// What is taken for a constant is one in all derivatives: in x·stop(y), y is linear, and so is x.
#[test]
fn what_is_stopped_is_constant() {
    let f = function(["x", "y"], |[x, y]| x * y.stop_gradient()).unwrap();
    let pattern = f.sparsity(..).unwrap();
    assert_eq!(entries(&pattern), [(0, 0)]);
    assert!(f.hessian_sparsity(..).unwrap().is_empty());
    assert_eq!(f.linear_parts(..).unwrap().inputs, [true, true]);
    let stopped = f.stop_gradient("x").unwrap();
    assert!(stopped.sparsity(..).unwrap().is_empty());
}
