//! Receipts: costs are the numbers of operations that are put in.

use tidu::scalar::{ScalarOp, function, function_of};
use tidu::sparse::{Coloring, Order};
use tidu::{Function, Mode, SparseReceipt, Way};
use tidu_testkit::{Random, cases};

type F = Function<ScalarOp>;

/// The operations that depend on one of the last inputs.
fn linear_operations(f: &F, last: usize) -> u64 {
    let dense = f.as_dense();
    let mut depends = vec![false; dense.value_count()];
    depends[dense.input_count() - last..dense.input_count()].fill(true);
    let mut count = 0;
    for node in dense.nodes() {
        if node.operands.iter().any(|id| depends[id.index()]) {
            depends[node.results.indices()].fill(true);
            count += 1;
        }
    }
    count
}

fn by_rows(f: &F, wrt: &[usize]) -> u64 {
    let rows = 0..f.output_names().len();
    let of_row = |row: usize| {
        let row = f.select_at(&[row]).unwrap();
        let vjp = row.within(&mut ()).unsimplified().vjp(wrt).unwrap();
        linear_operations(&vjp, 1)
    };
    rows.map(of_row).sum()
}

fn by_groups(f: &F, groups: &[Vec<usize>]) -> u64 {
    let of_group = |group: &Vec<usize>| {
        let jvp = f.within(&mut ()).unsimplified().jvp(&**group).unwrap();
        linear_operations(&jvp, group.len())
    };
    groups.iter().map(of_group).sum()
}

fn cost_of(receipt: &SparseReceipt, way: Way) -> Option<u64> {
    let costs = receipt.costs.iter();
    costs
        .filter(|(of, _)| *of == way)
        .map(|(_, cost)| *cost)
        .next()
}

/// A function whose derivatives have no two equal operations within a product: a sine comes after each operation.
fn random_function(random: &mut Random) -> F {
    let inputs = 2 + random.below(5);
    let names: Vec<String> = (0..inputs).map(|at| format!("x{at}")).collect();
    let f = function_of(&names, |x| {
        let mut values = x.to_vec();
        for at in 0..random.below(20) {
            let one = random.below(values.len());
            let other = (one + 1 + random.below(values.len() - 1)) % values.len();
            let [one, other] = [&values[one], &values[other]];
            let value = match random.below(3) {
                0 => one + other,
                1 => one * other,
                _ => one.exp() + other,
            };
            // No two operations are alike.
            values.push((value + at as f64).sin());
        }
        let count = 1 + random.below(4);
        let outputs = (0..count).map(|_| values[random.below(values.len())].clone());
        outputs.collect::<Vec<_>>()
    });
    f.unwrap()
}

#[test]
fn costs_are_the_operations_of_dense_products() {
    let mut random = Random(0xc057);
    let mut seen = [0; 3];
    for _ in 0..cases(1000) {
        let f = random_function(&mut random);
        let wrt: Vec<usize> = (0..f.input_names().len()).collect();
        let columns: Vec<Vec<usize>> = wrt.iter().map(|&at| vec![at]).collect();
        let unsimplified = || f.within(&mut ()).unsimplified().sparse_jacobian(..);
        let receipt = unsimplified().unwrap().receipt;
        if let Some(cost) = cost_of(&receipt, Way::Rows) {
            seen[0] += 1;
            assert_eq!(cost, by_rows(&f, &wrt), "{receipt}\n{f}");
        }
        if let Some(cost) = cost_of(&receipt, Way::Columns) {
            seen[1] += 1;
            assert_eq!(cost, by_groups(&f, &columns), "{receipt}\n{f}");
        }
        for (mode, way) in [(Mode::Reverse, Way::Rows), (Mode::Forward, Way::Columns)] {
            let derivative = f.within(&mut ()).mode(mode).sparse_jacobian(..).unwrap();
            assert_eq!(derivative.receipt.way, way);
            seen[2] += 1;
        }
    }
    assert!(seen.iter().all(|times| *times > 100), "{seen:?}");
}

/// Σ cos (xᵢ·u), where u comes by a long chain from a hub: two groups.
fn far_hub(leaves: usize) -> F {
    let names: Vec<String> = (0..=leaves).map(|at| format!("x{at}")).collect();
    let f = function_of(&names, |x| {
        let far = (0..50).fold(x[0].clone(), |value, at| (value + f64::from(at)).sin());
        let term = |at: usize| (&x[at] * (&far + at as f64)).cos();
        let first = term(1);
        (2..=leaves).fold(first, |sum, at| sum + term(at))
    });
    f.unwrap()
}

#[test]
fn the_cost_of_a_star_colouring_is_that_of_its_products() {
    let f = far_hub(20);
    let hessian = f.within(&mut ()).unsimplified().sparse_hessian(..).unwrap();
    let receipt = &hessian.receipt;
    assert_eq!(receipt.way, Way::Star, "{receipt}");
    assert_eq!(receipt.products, 2);
    let gradient = f.within(&mut ()).unsimplified().grad(..).unwrap();
    let pattern = f.hessian_sparsity(..).unwrap();
    let coloring = Coloring::star(&pattern, Order::BEST).unwrap();
    let groups = coloring.groups().map(|group| {
        let members = group.members.iter();
        members.map(|&column| column as usize).collect()
    });
    let groups: Vec<Vec<usize>> = groups.collect();
    assert_eq!(
        cost_of(receipt, Way::Star),
        Some(by_groups(&gradient, &groups))
    );
}

/// A row that is long to go forward to, a column that is long to go back to, and a diagonal.
#[test]
fn some_rows_and_some_columns() {
    let names: Vec<String> = (0..=20).map(|at| format!("x{at}")).collect();
    let f = function_of(&names, |x| {
        let far = (0..50).fold(x[0].clone(), |value, at| (value + f64::from(at)).sin());
        let sum = x[2..].iter().fold(x[1].clone(), |sum, x| sum + x);
        let long = (0..50).fold(sum, |value, at| (value + f64::from(at)).sin());
        let mut outputs = vec![long];
        outputs.extend(x[1..].iter().map(|x| x * &far));
        outputs
    });
    let jacobian = f.unwrap().sparse_jacobian(..).unwrap();
    insta::assert_snapshot!(jacobian.receipt, @r"
    60 entries, 0 of them zero, by 22 products: rows and columns
      rows             1090 operations
      columns          1090 operations
      rows and columns 140 operations
    ");
}

/// What turns out to be zero after all is counted: the slope of |x| is a step, nothing being declared of its second
/// derivative.
#[test]
fn structural_zeros_are_counted() {
    let f = function(["x", "y"], |[x, y]| x.abs() + y.powi(2)).unwrap();
    let hessian = f.sparse_hessian(..).unwrap();
    assert_eq!(hessian.pattern.len(), 2);
    assert_eq!(hessian.receipt.zeros, 1);
    assert_eq!(hessian.constant, [true, true]);
    assert_eq!(
        hessian.function.compile().call(&[-3.0, 5.0]),
        Ok(vec![0.0, 2.0])
    );
    insta::assert_snapshot!(hessian.receipt, @r"
    2 entries, 1 of them zero, by 2 products: rows
      rows             1 operation
      columns          1 operation
    ");
}
