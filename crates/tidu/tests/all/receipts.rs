//! What a derivative costs: the numbers and the table.

use insta::assert_snapshot;
use tidu::scalar::{Expr, ScalarOp, function};
use tidu::{LinearizedGraph, Receipt, Rules};

use crate::support::{Problem, Sketch};

/// x·eʸ
fn product_with_exponential() -> Problem<ScalarOp> {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let e = f.apply(ScalarOp::Exp, [y]);
    let product = f.apply(ScalarOp::Mul, [x, e]);
    f.returning([product]).at(&[2.0, 0.0])
}

/// Each residual with the operation of the map that uses it, and the one whose rule asked for it.
fn residuals(receipt: &Receipt) -> Vec<(&str, &str, Option<&str>)> {
    let all = receipt.residuals.iter();
    all.map(|r| (&*r.name, &*r.used_by, r.asked_by.as_deref()))
        .collect()
}

#[test]
fn a_product_with_an_exponential() {
    let problem = product_with_exponential();
    let linear = problem.linearize();
    let receipt = Receipt::of(&linear);
    assert_eq!(receipt.operations, 4);
    assert_eq!(
        receipt.by_operation,
        [("add".to_owned(), 1), ("mul".to_owned(), 3)]
    );
    assert_eq!(receipt.primal_operations, 2);
    assert_eq!(receipt.ratio(), 2.0);
    // ẏ, eʸ·ẏ, x·(eʸ·ẏ), the sum
    assert_eq!(receipt.depth, 3);
    assert_eq!(
        residuals(&receipt),
        [
            ("@0", "%2 = mul @0, ~%1", Some("exp")),
            ("@x", "%4 = mul @x, ~%2", Some("mul")),
        ]
    );
    assert_snapshot!(receipt, @"
    operations       4  2.00 for each of 2 primal operations
      add            1
      mul            3
    depth            3
    residuals        2
      @0                %2 = mul @0, ~%1, for exp
      @x                %4 = mul @x, ~%2, for mul
    ");

    let receipt = Receipt::of(&problem.transpose(&linear));
    assert_eq!(receipt.operations, 3);
    assert_eq!(receipt.primal_operations, 2);
    assert_eq!(receipt.depth, 2);
    assert_eq!(
        residuals(&receipt),
        [
            ("@x", "%1 = mul @x, ~%0", Some("mul")),
            ("@0", "%2 = mul @0, ~%0", Some("mul")),
        ]
    );
    assert_snapshot!(receipt, @"
    operations       3  1.50 for each of 2 primal operations
      mul            3
    depth            2
    residuals        2
      @x                %1 = mul @x, ~%0, for mul
      @0                %2 = mul @0, ~%0, for mul
    ");
}

/// f(x) = x³ by rules, which say that ẏ = sq(x)·ẋ, where sq(x) = x² has rules of its own.
#[test]
fn functions_that_a_map_holds() {
    let square = function(["x"], |[x]| [&x * &x]).unwrap();
    let slope = function(["x", "t"], |[x, t]| [2.0 * x * t]).unwrap();
    let square = square.with_rules("sq", Rules::jvp(slope)).unwrap();
    let cube = function(["x"], |[x]| [&x * &x * &x]).unwrap();
    let slope = function(["x", "t"], |[x, t]| {
        let square = Expr::call(&square, &[x]).unwrap().remove(0);
        [square * t]
    });
    let cube = cube.with_rules("cube", Rules::jvp(slope.unwrap())).unwrap();
    let (mut f, [x]) = Sketch::new(["x"]);
    let cube = cube.as_graph().operations()[0].operation.clone();
    let cube = f.apply(cube, [x]);
    let problem = f.returning([cube]).at(&[3.0]);
    let linear = problem.linearize();
    let receipt = Receipt::of(&linear);
    assert_eq!((receipt.functions, receipt.operations_in_functions), (1, 1));
    assert_snapshot!(receipt, @"
    operations       2  2.00 for each of 1 primal operations
      call sq        1
      mul            1
    functions        1  1 operation inside, each function counted once
    depth            2
    residuals        1
      @x                %1 = fixed call sq @sq @x, for call cube
    ");
}

/// Σᵢ cᵢ·sin(xᵢ·w) / w, for four constants c.
#[test]
fn a_weighted_sum() {
    let (mut f, [a, b, c, d, w]) = Sketch::new(["a", "b", "c", "d", "w"]);
    let mut sum = None;
    for (position, x) in [a, b, c, d].into_iter().enumerate() {
        let xw = f.apply(ScalarOp::Mul, [x, w]);
        let s = f.apply(ScalarOp::Sin, [xw]);
        let weight = f.apply(ScalarOp::constant(position as f64 + 0.5), []);
        let term = f.apply(ScalarOp::Mul, [s, weight]);
        sum = Some(match sum {
            None => term,
            Some(sum) => f.apply(ScalarOp::Add, [sum, term]),
        });
    }
    let mean = f.apply(ScalarOp::Div, [sum.unwrap(), w]);
    let problem = f.returning([mean]).at(&[0.1, 0.2, 0.3, 0.4, 2.0]);
    let linear = problem.linearize();
    let transposed = problem.transpose(&linear);
    for map in [&linear, &transposed] {
        let receipt = Receipt::of(map);
        let counted: usize = receipt.by_operation.iter().map(|(_, count)| count).sum();
        assert_eq!(counted, receipt.operations);
        assert_eq!(receipt.operations, map.as_graph().operations().len());
        // 4 products, 4 sines, 4 constants, 4 weighted terms, 3 sums, 1 quotient
        assert_eq!(receipt.primal_operations, 20);
        // Four x, w, the mean, four constants, and four x·w or, in the transposed map, the cosines
        // that the linear map makes of them.
        assert_eq!(receipt.residuals.len(), 14);
    }
    assert_snapshot!(Receipt::of(&linear), @"
    operations      30  1.50 for each of 20 primal operations
      add            7
      cos            4
      div            1
      mul           17
      sub            1
    depth            9
    residuals       14
      @w                %5 = mul ~%0, @w, for mul
      @a                %6 = mul @a, ~%4, for mul
      @0                %8 = fixed cos @0, for sin
      @1                %10 = mul ~%9, @1, for mul
      @b                %12 = mul @b, ~%4, for mul
      @2                %14 = fixed cos @2, for sin
      @3                %16 = mul ~%15, @3, for mul
      @c                %19 = mul @c, ~%4, for mul
      @4                %21 = fixed cos @4, for sin
      @5                %23 = mul ~%22, @5, for mul
      @d                %26 = mul @d, ~%4, for mul
      @6                %28 = fixed cos @6, for sin
      @7                %30 = mul ~%29, @7, for mul
      @19               %32 = mul @19, ~%4, for div
    ");
    assert_snapshot!(Receipt::of(&transposed), @"
    operations      23  1.15 for each of 20 primal operations
      add            4
      div            1
      mul           17
      neg            1
    depth            8
    residuals       14
      @w                %1 = div ~%0, @w, for div
      @19               %3 = mul @19, ~%2, for mul
      @0                %4 = mul @0, ~%1, for mul
      @20               %5 = mul @20, ~%4, for mul
      @d                %6 = mul @d, ~%5, for mul
      @4                %9 = mul @4, ~%1, for mul
      @21               %10 = mul @21, ~%9, for mul
      @c                %11 = mul @c, ~%10, for mul
      @8                %14 = mul @8, ~%1, for mul
      @22               %15 = mul @22, ~%14, for mul
      @b                %16 = mul @b, ~%15, for mul
      @12               %19 = mul @12, ~%1, for mul
      @23               %20 = mul @23, ~%19, for mul
      @a                %21 = mul @a, ~%20, for mul
    ");
}

/// The number of operations of a gradient is a small multiple of the function's, however large.
#[test]
fn the_ratio_does_not_grow() {
    let ratio = |steps: usize| {
        let (mut f, [x, y]) = Sketch::new(["x", "y"]);
        let mut last = x;
        for _ in 0..steps {
            let product = f.apply(ScalarOp::Mul, [last, y]);
            last = f.apply(ScalarOp::Exp, [product]);
        }
        let problem = f.returning([last]).at(&[0.1, 0.2]);
        let linear = problem.linearize();
        Receipt::of(&problem.transpose(&linear)).ratio()
    };
    // Three products with residuals and the sum at y, for each product and exponential.
    assert!((ratio(1000) - 2.0).abs() < 0.01, "{}", ratio(1000));
}

#[test]
fn what_a_map_from_text_costs() {
    let text = product_with_exponential().linearize().to_string();
    let parsed: LinearizedGraph<ScalarOp> = text.parse().unwrap();
    let receipt = Receipt::of(&parsed);
    // A text does not hold the primal graph, or whose rule emitted what.
    assert_eq!(receipt.primal_operations, 0);
    assert_eq!(receipt.ratio(), f64::INFINITY);
    assert!(receipt.residuals.iter().all(|r| r.asked_by.is_none()));
    assert_snapshot!(receipt, @"
    operations       4
      add            1
      mul            3
    depth            3
    residuals        2
      @0                %2 = mul @0, ~%1
      @x                %4 = mul @x, ~%2
    ");
}

#[test]
fn what_nothing_costs() {
    let (f, [x]) = Sketch::<ScalarOp>::new(["x"]);
    let problem = f.returning([x]).at(&[1.0]);
    let receipt = Receipt::of(&problem.linearize());
    assert_eq!(receipt.operations, 0);
    assert_eq!(receipt.depth, 0);
    assert!(receipt.ratio().is_nan());
    assert_snapshot!(receipt, @"
    operations       0
    depth            0
    residuals        0
    ");
}

#[test]
fn the_second_derivative_is_of_graph_map_and_transposed_map() {
    let problem = product_with_exponential().reverse(&[1.0]);
    let receipt = Receipt::of(&problem.linearize());
    // x·eʸ: 2, its linear map: 4, transposed: 3. Of the latter two, eʸ·ẏ and eʸ·ȳ are different.
    assert_eq!(receipt.primal_operations, 9);
    assert_snapshot!(receipt, @"
    operations       6  0.67 for each of 9 primal operations
      add            1
      mul            5
    depth            3
    residuals        3
      @0                %2 = mul @0, ~%1, for exp
      @ct0.d1.x         %3 = mul ~%2, @ct0.d1.x, for mul
      @1                %5 = mul ~%2, @1, for mul
    ");
}
