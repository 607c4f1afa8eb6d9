//! What newcomers are told: which method, of what, what is wrong, and what to do.

use tidu_tensor::{Expr, ModelError, Tensor, TriangularSolve, Value, Var, function, types};
use tidu_testkit::panic_text;

/// Without the place, which must be in this file.
#[track_caller]
fn text(error: &str) -> String {
    let (place, text) = error.split_once(": ").unwrap();
    assert!(place.contains("messages.rs:"), "{place}");
    text.to_string()
}

fn values() -> [Tensor; 7] {
    [
        Tensor::from([[2.0, 1.0], [1.0, 3.0]]),
        Tensor::from([1.0, 2.0, 3.0]),
        Tensor::full(&[2, 3], 0.5),
        Tensor::full(&[4, 2, 3], 0.5),
        Tensor::from(1.0),
        Tensor::from([1_i64, 0]),
        Tensor::from([num_complex::Complex64::I; 2]),
    ]
}

/// The same text of a function that is made, of variables on a tape, and of plain tensors.
macro_rules! assert_says {
    (|$($name:ident),*| $body:expr, $expected:literal) => {{
        fn body<V: Value>(values: &[V; 7]) -> V {
            let [$($name),*] = values;
            $(let _ = $name;)*
            $body
        }
        let [a, b, c, d, e, f, g] = values().each_ref().map(Tensor::value_type);
        let inputs =
            [("m", a), ("v", b), ("w", c), ("s", d), ("x", e), ("i", f), ("z", g)];
        let error = function(inputs, |values| [body(&values)]).unwrap_err();
        assert!(
            matches!(error, ModelError::Argument { .. } | ModelError::Shape { .. }),
            "{error:?}"
        );
        assert_eq!(text(&error.to_string()), $expected);
        let found = panic_text(|| body(&values()));
        assert_eq!(text(&found), $expected);
        let tape = tidu_tensor::Tape::new();
        let found = panic_text(|| body(&tape.vars(values())));
        assert_eq!(text(&found), $expected);
    }};
}

#[test]
fn products_speak_of_products() {
    assert_says!(
        |m, v, w, s, x, i, z| m.matmul(v),
        "matmul of f64[2, 2] and f64[3]: the last axis of operand 0 is 2, and the only axis of operand 1 is 3: they \
         must be as long as each other, so [2, 2] takes [2] or [2, n]"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.matmul(w),
        "matmul of f64[2, 3] and f64[2, 3]: the last axis of operand 0 is 3, and the last but one axis of operand 1 \
         is 2: they must be as long as each other, so [2, 3] takes [3] or [3, n], as operand 1 has if transposed (`t`)"
    );
    assert_says!(
        |m, v, w, s, x, i, z| x.matmul(m),
        "matmul of f64 and f64[2, 2]: operand 0 is a single number: multiply by `*`"
    );
    assert_says!(
        |m, v, w, s, x, i, z| m.matmul(x),
        "matmul of f64[2, 2] and f64: operand 1 is a single number: multiply by `*`"
    );
    assert_says!(
        |m, v, w, s, x, i, z| s.matmul(&s.t().slice(0, 0..3)),
        "matmul of f64[4, 2, 3] and f64[3, 3, 2]: [4] and [3], the axes before those of matrices, do not broadcast: \
         of two sizes that differ, one must be 1"
    );
    assert_says!(
        |m, v, w, s, x, i, z| m.matmul(i),
        "matmul of f64[2, 2] and i64[2]: operand 1 holds i64, and must hold numbers (`to_real` makes numbers of \
         indices; `1.0` is a number, and `1` an index)"
    );
    assert_says!(
        |m, v, w, s, x, i, z| m.einsum("ij,jk->ik", v),
        "einsum ij,jk->ik of f64[2, 2] and f64[3]: operand 1 has 1 axis, and must have 2"
    );
    assert_says!(
        |m, v, w, s, x, i, z| m.einsum("ij,j->i", v),
        "einsum ij,j->i of f64[2, 2] and f64[3]: j is 2 in operand 0 and 3 in operand 1"
    );
    assert_says!(
        |m, v, w, s, x, i, z| m.einsum("ij->ji", v),
        "einsum of f64[2, 2] and f64[3]: \"ij->ji\" is no contraction of two operands, as \"ij,jk->ik\" is: \
         no `,` in it"
    );
    assert_says!(
        |m, v, w, s, x, i, z| m.einsum("ii,i->i", v),
        "einsum of f64[2, 2] and f64[3]: \"ii,i->i\" is no contraction of two operands, as \"ij,jk->ik\" is: \
         a label stands twice in one place"
    );
}

#[test]
fn equations_speak_of_equations() {
    assert_says!(
        |m, v, w, s, x, i, z| m.solve(v),
        "solve of f64[2, 2] and f64[3]: the right side must have 2 rows as the matrix has, found [3]"
    );
    assert_says!(
        |m, v, w, s, x, i, z| m.triangular_solve(TriangularSolve::lower(), &w.t()),
        "triangular_solve of f64[2, 2] and f64[3, 2]: the right side must have 2 rows as the matrix has, found [3, 2]"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.solve(v),
        "solve of f64[2, 3] and f64[3]: a square matrix is needed, found [2, 3]"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.inverse(),
        "inverse of f64[2, 3]: a square matrix is needed, found [2, 3]"
    );
    assert_says!(
        |m, v, w, s, x, i, z| v.inverse(),
        "inverse of f64[3]: operand 0 has 1 axis, and must have 2"
    );
    assert_says!(
        |m, v, w, s, x, i, z| s.cholesky(),
        "cholesky of f64[4, 2, 3]: operand 0 has 3 axes, and must have 2"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.qr().0,
        "qr of f64[2, 3]: a matrix of at least as many rows as columns is needed, found [2, 3]"
    );
}

#[test]
fn axes_are_named_with_the_method_that_was_asked_for_them() {
    assert_says!(
        |m, v, w, s, x, i, z| w.sum([2]),
        "sum of f64[2, 3]: there is no axis 2 of 2: they are 0 to 1, or -2 to -1 from the end"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.mean([-3]),
        "mean of f64[2, 3]: there is no axis -3 of 2: they are 0 to 1, or -2 to -1 from the end"
    );
    assert_says!(
        |m, v, w, s, x, i, z| v.max([1]),
        "max of f64[3]: there is no axis 1 of 1: it is 0, or -1 from the end"
    );
    assert_says!(
        |m, v, w, s, x, i, z| x.log_softmax([-1]),
        "log_softmax of f64: there is no axis -1: a single number has none"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.mean_kept([0, -2]),
        "mean_kept of f64[2, 3]: axis 0 is named twice"
    );
    assert_says!(
        |m, v, w, s, x, i, z| z.min([0]),
        "min of c128[2]: operand 0 holds c128, and must hold real numbers (`re`, `im` and `abs` make real numbers)"
    );
    assert_says!(
        |m, v, w, s, x, i, z| i.mean_all(),
        "mean_all of i64[2]: operand 0 holds i64, and must hold numbers (`to_real` makes numbers of indices; `1.0` \
         is a number, and `1` an index)"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.slice(0, 0..0).argmax(0),
        "argmax of f64[0, 3]: axis 0 has no elements to choose from"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.expand(3),
        "expand of f64[2, 3]: there is no axis 3 of 3: they are 0 to 2, or -3 to -1 from the end"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.expand(isize::MIN),
        "expand of f64[2, 3]: there is no axis -9223372036854775808 of 3: they are 0 to 2, or -3 to -1 from the end"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.permute([0, 0]),
        "permute of f64[2, 3]: [0, 0] is not an order of 2 axes: each axis must stand in it once"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.permute([0]),
        "permute of f64[2, 3]: [0] is not an order of 2 axes: each axis must stand in it once"
    );
    // Of an operation itself, axes are a `usize`, which no message may turn over.
    let error = Tensor::try_apply(tidu_tensor::ArgMax(usize::MAX).into(), &[&1.0.into()]);
    assert_eq!(
        text(&error.unwrap_err().to_string()),
        "argmax 18446744073709551615 of f64: there is no axis 18446744073709551615: a single number has none"
    );
}

#[test]
fn shapes_are_said_with_what_fits() {
    assert_says!(
        |m, v, w, s, x, i, z| w.reshape([4]),
        "reshape [4] of f64[2, 3]: 6 elements do not fill [4], which takes 4"
    );
    assert_says!(
        |m, v, w, s, x, i, z| v.broadcast_to([3, 2]),
        "broadcast_to [3, 2] of f64[3]: [3] does not stretch to [3, 2]: counted from the last, each axis must be as \
         long, or have one element, or be missing in front"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.broadcast_to([3]),
        "broadcast_to [3] of f64[2, 3]: [2, 3] does not stretch to [3]: counted from the last, each axis must be as \
         long, or have one element, or be missing in front"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.slice(1, 2..4),
        "slice of f64[2, 3]: 2..4 does not fit axis 1, which has 3 elements"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.pad([(1, 1)]),
        "pad of f64[2, 3]: 1 pair for 2 axes: one for each axis is needed"
    );
    assert_says!(
        |m, v, w, s, x, i, z| V::concatenate(&[w, m], 0),
        "concatenate of f64[2, 3] and f64[2, 2]: operand 1 is [2, 2], and must be like operand 0, which is [2, 3], \
         but for axis 0"
    );
    assert_says!(
        |m, v, w, s, x, i, z| V::concatenate(&[x, x], 0),
        "concatenate of f64 and f64: there is no axis 0: a single number has none"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.gather(0, v),
        "gather of f64[2, 3] and f64[3]: operand 1 holds f64, and must hold indices (`Tensor::from([0, 1])` holds \
         indices, `Tensor::from([0.0, 1.0])` numbers)"
    );
    assert_says!(
        |m, v, w, s, x, i, z| v.one_hot(3),
        "one_hot 3 of f64[3]: operand 0 holds f64, and must hold indices (`Tensor::from([0, 1])` holds indices, \
         `Tensor::from([0.0, 1.0])` numbers)"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.scatter_add(1, i, 4),
        "scatter_add of f64[2, 3] and i64[2]: from axis 1 on, [2, 3] must have the axes of the indices, which are [2]"
    );
    assert_says!(
        |m, v, w, s, x, i, z| i.select(v, v),
        "select of i64[2] and f64[3] and f64[3]: operand 0 holds i64, and must hold a real condition (`to_real` makes \
         numbers of indices; `1.0` is a number, and `1` an index)"
    );
    assert_says!(
        |m, v, w, s, x, i, z| i.square(),
        "square of i64[2]: operand 0 holds i64, and must hold numbers (`to_real` makes numbers of indices; `1.0` is \
         a number, and `1` an index)"
    );
    assert_says!(
        |m, v, w, s, x, i, z| w.clone() * m,
        "mul of f64[2, 3] and f64[2, 2]: [2, 3] and [2, 2] do not broadcast: of two sizes that differ, one must be 1"
    );
    assert_says!(
        |m, v, w, s, x, i, z| V::full([usize::MAX, 2], 1.0),
        "full of nothing: [18446744073709551615, 2] are too many elements to hold"
    );
    assert_eq!(
        panic_text(|| Tensor::full(&[usize::MAX, 2], 1.0)),
        "[18446744073709551615, 2] are too many elements to hold"
    );
    assert_eq!(
        Tensor::new([2, 3], vec![1.0; 5]).unwrap_err().to_string(),
        "5 elements do not fill [2, 3], which takes 6"
    );
}

#[test]
fn a_gradient_of_many_numbers_says_what_to_do() {
    let f = function([("x", types::real([3]))], |[x]| [x.exp()]).unwrap();
    let expected = "output out0 is f64[3], and a gradient is of a single number: sum the output up, or use `vjp`, \
                    which takes a weight for each of its numbers, or `jvp`";
    for error in [
        f.grad("x").unwrap_err(),
        f.value_and_grad("x").unwrap_err(),
        f.hvp("x").unwrap_err(),
        f.hessian("x").unwrap_err(),
    ] {
        assert_eq!(error.to_string(), expected);
    }
    // What it says to do is so.
    let x = Tensor::from([0.0, 1.0, 2.0]);
    let weights = Tensor::from([1.0, 0.0, 3.0]);
    let found = f
        .vjp("x")
        .unwrap()
        .compile()
        .call(&[x.clone(), weights.clone()])
        .unwrap();
    assert_eq!(found[1], x.exp() * weights);
    let sum = function([("x", types::real([3]))], |[x]| [x.exp().sum_all()]).unwrap();
    assert_eq!(
        sum.grad("x")
            .unwrap()
            .compile()
            .call(std::slice::from_ref(&x))
            .unwrap(),
        [x.exp()]
    );
}

/// The body of a function returns an expression or several.
#[test]
fn a_function_of_one_output_needs_no_list() {
    let inputs = || [("x", types::real([3]))];
    let one = function(inputs(), |[x]| x.exp()).unwrap();
    let listed = [
        function(inputs(), |[x]| [x.exp()]),
        function(inputs(), |[x]| vec![x.exp()]),
    ];
    for listed in listed {
        assert_eq!(listed.unwrap().to_string(), one.to_string());
    }
    let two = function(inputs(), |[x]| [x.exp(), x]).unwrap();
    assert_eq!(two.output_names(), ["out0", "out1"]);
    assert_eq!(one.output_names(), ["out0"]);
}

/// The first that is wrong is told, whatever is made of it.
#[test]
fn the_first_error_stays() {
    let inputs = [("x", types::real([2, 3]))];
    let f = function(inputs, |[x]| {
        let wrong: Expr = x.sum([5]);
        [wrong.matmul(&x).reshape([7]).mean([3]).inverse().solve(&x) + Expr::concatenate(&[], 1)]
    });
    assert_eq!(
        text(&f.unwrap_err().to_string()),
        "sum of f64[2, 3]: there is no axis 5 of 2: they are 0 to 1, or -2 to -1 from the end"
    );
    let none = panic_text(|| Var::concatenate(&[], 0));
    assert_eq!(
        text(&none),
        "concatenate of nothing: at least one operand is needed"
    );
}
