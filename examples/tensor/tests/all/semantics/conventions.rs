//! What is said of operands that change places, of axes, of nothing, and of stacks.

use num_complex::Complex64;
use tidu::graph::{EvaluableGraphOperation, GraphOperation};
use tidu_tensor::{Context, Expr, Tensor, TensorOp, Value, Var, function, types};

use super::{INF, assert_is, of};

/// Every operation that says so gives the same bits if its operands change places: zeros of either sign, infinities,
/// and NaN of several payloads included.
#[test]
fn operands_change_places_to_the_bit() {
    let bits = [
        0x7ff8_0000_0000_0001,
        0xfff8_0000_0000_0002,
        0x7ff0_0000_0000_0003,
    ];
    let nans = bits.map(f64::from_bits);
    let numbers = [
        0.0, -0.0, 1.0, -1.5, 5e-324, -5e-324, 1.7e308, -1.7e308, INF, -INF,
    ];
    let numbers: Vec<f64> = numbers.into_iter().chain(nans).collect();
    let complex = numbers.iter().flat_map(|&re| {
        let parts = [0.0, -0.0, 2.0, INF, nans[1]];
        parts.map(|im| Complex64::new(re, im))
    });
    let complex: Vec<Tensor> = complex.map(Tensor::from).collect();
    let real: Vec<Tensor> = numbers.iter().map(|&x| x.into()).collect();
    let eval = |op: &TensorOp, x: &Tensor, y: &Tensor| {
        let found = op.eval(&mut Context::default(), &[x, y]).remove(0);
        let coordinates = crate::support::coordinates(&found).into_iter();
        coordinates.map(f64::to_bits).collect::<Vec<_>>()
    };
    let mut held = Vec::new();
    for op in TensorOp::PLAIN.iter().filter(|op| op.commutes()) {
        let all: Vec<&Tensor> = real.iter().chain(&complex).collect();
        let fits = |x: &Tensor| op.infer_types(&[&x.value_type(); 2]).is_ok();
        let all: Vec<&Tensor> = all.into_iter().filter(|x| fits(x)).collect();
        for x in &all {
            for y in &all {
                assert_eq!(eval(op, x, y), eval(op, y, x), "{op:?} of {x} and {y}");
            }
        }
        held.push(format!("{op:?}"));
    }
    assert_eq!(held, ["add", "mul", "maximum", "minimum"]);
    // By graph, where equal operations are merged, and on a tape.
    let f = function(
        [("x", types::real([])), ("y", types::real([]))],
        |[x, y]| {
            [
                1.0 / x.maximum(&y),
                1.0 / y.maximum(&x),
                1.0 / x.minimum(&y),
                1.0 / y.minimum(&x),
            ]
        },
    );
    let found = f
        .unwrap()
        .compile()
        .call(&[0.0.into(), (-0.0).into()])
        .unwrap();
    assert_eq!(found, [INF, INF, -INF, -INF].map(Tensor::from));
    let (x, y) = (of(0.0), of(-0.0));
    assert_is(&(1.0 / x.maximum(&y)), INF);
    assert_is(&(1.0 / y.maximum(&x)), INF);
    assert_is(&(1.0 / x.minimum(&y)), -INF);
    assert_is(&(1.0 / y.minimum(&x)), -INF);
}

#[test]
fn negative_axes_count_from_the_end() {
    let x = || of([[1.0, 2.0], [3.0, 4.0]]);
    assert_is(
        &Var::concatenate(&[&x(), &x()], -1),
        [[1.0, 2.0, 1.0, 2.0], [3.0, 4.0, 3.0, 4.0]],
    );
    assert_eq!(x().expand(-1).dims(), [2, 2, 1]);
    assert_eq!(x().expand(-3).dims(), [1, 2, 2]);
    assert_eq!(x().expand(2).dims(), [2, 2, 1]);
    assert_is(&x().permute([-1, 0]), [[1.0, 3.0], [2.0, 4.0]]);
    let sums = x().scatter_add(-1, &of([1_i64, 1]), 3);
    assert_is(&sums, [[0.0, 3.0, 0.0], [0.0, 7.0, 0.0]]);
    let of_pairs = of([[1.0, 2.0], [3.0, 4.0]]).scatter_add(-1, &of([[0_i64, 1], [0, 0]]), 2);
    assert_is(&of_pairs, [8.0, 2.0]);
    assert_is(&x().gather(-1, &of(0_i64)), [1.0, 3.0]);
    assert_is(&x().slice(-2, 1..2), [[3.0, 4.0]]);
}

/// As `matmul` of NumPy.
#[test]
fn stacks_are_stretched() {
    let numbers = |dims: &[usize]| {
        let count: usize = dims.iter().product();
        Tensor::new(dims.to_vec(), (0..count).map(|at| at as f64).collect()).unwrap()
    };
    let found = of(numbers(&[2, 1, 1, 2])).matmul(&of(numbers(&[3, 2, 1])));
    // [0, 1] and [2, 3] by [0, 1], [2, 3] and [4, 5]
    let expected = Tensor::new([2, 3, 1, 1], vec![1.0, 3.0, 5.0, 3.0, 13.0, 23.0]).unwrap();
    assert_is(&found, expected);
    let found = of(numbers(&[1, 1, 2])).matmul(&of(numbers(&[2, 2, 1])));
    assert_is(&found, Tensor::new([2, 1, 1], vec![1.0, 3.0]).unwrap());
    // The slope sums over what was stretched.
    let left = numbers(&[1, 1, 2]);
    let by_left = super::slope(left, |x| x.matmul(&of(numbers(&[2, 2, 1]))));
    assert_eq!(by_left, Tensor::new([1, 1, 2], vec![2.0, 4.0]).unwrap());
    let f = function(
        [("x", types::real([2, 3, 3])), ("y", types::real([4, 3, 3]))],
        |[x, y]| [x.matmul(&y)],
    );
    let text = f.unwrap_err().to_string();
    assert!(
        text.ends_with(
            "matmul of f64[2, 3, 3] and f64[4, 3, 3]: [2] and [4], the axes before those of matrices, do not \
             broadcast: of two sizes that differ, one must be 1"
        ),
        "{text}"
    );
    let deep = [2_usize; 12];
    assert_eq!(
        of(numbers(&deep)).matmul(&of(numbers(&[2, 2]))).dims(),
        deep
    );
}

#[test]
fn nothing_is_summed_and_chosen() {
    let none = || of(Tensor::full(&[2, 0], 1.0));
    assert_is(&none().sum([1]), [0.0, 0.0]);
    assert_is(&none().max([1]), [-INF, -INF]);
    assert_is(&none().min([1]), [INF, INF]);
    assert_is(&none().logsumexp([1]), [-INF, -INF]);
    assert!(
        crate::support::coordinates(none().mean([1]).value())
            .iter()
            .all(|x| x.is_nan())
    );
    let error = Var::try_apply(tidu_tensor::ArgMax(1).into(), &[&none()])
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("argmax 1 of f64[2, 0]: axis 1 has no elements to choose from"),
        "{error}"
    );
    assert_eq!(none().argmax(0).dims(), [0]);
    for x in [
        none().softmax([1]),
        none().log_softmax([1]),
        none().softmax([0, 1]),
    ] {
        assert_eq!(x.dims(), [2, 0]);
    }
    assert_eq!(
        Expr::from(Tensor::full(&[0], 1.0))
            .argmax(0)
            .error()
            .unwrap()
            .to_string()
            .split(": ")
            .last()
            .unwrap(),
        "axis 0 has no elements to choose from"
    );
}

/// Constants are the same operation if their bits are, in whatever memory and order these stand.
#[test]
fn constants_are_what_their_bits_are() {
    use std::collections::HashSet;
    let constant = |x: Tensor| TensorOp::constant(x);
    let rows = [[1.0, 2.0], [3.0, 4.0]];
    let transposed = of([[1.0, 3.0], [2.0, 4.0]]).t().value().clone();
    let same = [Tensor::from(rows), Tensor::from(rows), transposed].map(constant);
    let others = [
        Tensor::from([1.0, 2.0, 3.0, 4.0]),
        Tensor::from([[1.0, 3.0], [2.0, 4.0]]),
        Tensor::from([[1_i64, 2], [3, 4]]),
        Tensor::from([[Complex64::ONE; 2]; 2]),
        0.0.into(),
        (-0.0).into(),
        f64::NAN.into(),
    ];
    let others = others.map(constant);
    let all: HashSet<&TensorOp> = same.iter().chain(&others).collect();
    assert_eq!(all.len(), 1 + others.len());
    assert_eq!(same[0], same[2]);
    assert_eq!(constant(f64::NAN.into()), constant(f64::NAN.into()));
    assert_ne!(constant(0.0.into()), constant((-0.0).into()));
    assert_eq!(format!("{:?}", same[0]), format!("{:?}", same[2]));
}
