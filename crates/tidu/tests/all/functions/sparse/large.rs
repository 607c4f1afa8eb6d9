//! Patterns of values that depend on many inputs, which are found by blocks of bits.

use tidu::scalar::{Expr, ScalarOp, function_of};
use tidu::sparse::{Pattern, SparsityError};
use tidu::{Function, FunctionError};
use tidu_testkit::{Random, cases};

type F = Function<ScalarOp>;

fn of_inputs<Outputs: tidu::scalar::IntoOutputs>(
    inputs: usize,
    body: impl FnOnce(&[Expr]) -> Outputs,
) -> F {
    let names: Vec<String> = (0..inputs).map(|at| format!("x{at}")).collect();
    function_of(&names, body).unwrap()
}

/// Sums, sines and products of a few hundred inputs, most of them of many.
fn random_function(random: &mut Random, inputs: usize, operations: usize) -> F {
    of_inputs(inputs, |x| {
        let mut values = x.to_vec();
        // Runs of sums: each sum goes on or begins anew.
        for run in x.chunks(1 + random.below(200)) {
            let mut sum = run[0].clone();
            for x in &run[1..] {
                sum += x;
                values.push(sum.clone());
            }
        }
        for _ in 0..operations {
            let one = &values[random.below(values.len())];
            let other = &values[values.len() - 1 - random.below(values.len().min(300))];
            let value = match random.below(4) {
                0 => one + other,
                1 | 2 => one.sin(),
                _ => one * other,
            };
            values.push(value);
        }
        let outputs = (0..inputs).map(|_| values[random.below(values.len())].clone());
        outputs.collect::<Vec<_>>()
    })
}

fn poisoned(f: &F, cotangents: usize, rows: std::ops::Range<usize>, columns: &[usize]) -> Pattern {
    let program = f.compile();
    let inputs = f.input_names().len();
    let mut entries = Vec::new();
    let mut x = vec![0.5; inputs];
    x[inputs - cotangents..].fill(1.5);
    for (column, &input) in columns.iter().enumerate() {
        let good = std::mem::replace(&mut x[input], f64::NAN);
        let found = program.call(&x).unwrap();
        let found = &found[rows.clone()];
        entries.extend(
            (0..found.len())
                .filter(|&row| found[row].is_nan())
                .map(|row| (row, column)),
        );
        x[input] = good;
    }
    Pattern::from_entries(rows.len(), columns.len(), entries).unwrap()
}

/// Where every operation depends on all its operands, and its derivative on all that it is not linear in, the patterns
/// are where a NaN goes, neither more nor less.
#[test]
fn patterns_are_where_poison_goes() {
    let mut random = Random(0xb10c);
    for case in 0..cases(60) {
        let inputs = [40, 300, 520][case % 3];
        let f = random_function(&mut random, inputs, [30, 200, 600][case % 3]);
        let columns: Vec<usize> = (0..inputs).rev().filter(|at| at % 7 > 0).collect();
        let found = f.sparsity(&*columns).unwrap();
        let outputs = f.output_names().len();
        assert!(found == poisoned(&f, 0, 0..outputs, &columns), "{f}");
        let second = f.hessian_sparsity(&*columns).unwrap();
        let vjp = f.vjp(&*columns).unwrap();
        let rows = outputs..outputs + columns.len();
        let expected = poisoned(&vjp, outputs, rows, &columns);
        assert!(
            second == expected,
            "{:?}",
            (
                second.missing_from(&expected),
                expected.missing_from(&second)
            )
        );
    }
}

/// Σₖ sin sₖ of the partial sums of two runs of inputs: two dense blocks, though the pairs that meet are a hundred times
/// as many as entries.
#[test]
fn pairs_that_meet_often_are_one_entry() {
    let half = 300;
    let f = of_inputs(2 * half, |x| {
        let mut waves = Vec::new();
        for run in x.chunks(half) {
            let mut sum = run[0].clone();
            for x in &run[1..] {
                sum += x;
                waves.push(sum.sin());
            }
        }
        waves.into_iter().sum::<Expr>()
    });
    let pattern = f.hessian_sparsity(..).unwrap();
    let block = move |at: usize| half * (at / half)..half * (at / half + 1);
    let entries = (0..2 * half).flat_map(|row| block(row).map(move |column| (row, column)));
    assert!(pattern == Pattern::from_entries(2 * half, 2 * half, entries).unwrap());
}

#[track_caller]
fn assert_too_many(found: Result<Pattern, FunctionError>, rows: usize, columns: usize) {
    let error = found.unwrap_err();
    let limit = u32::MAX as usize;
    let expected = SparsityError::TooManyEntries {
        rows,
        columns,
        limit,
    };
    assert_eq!(error, FunctionError::Sparsity(expected));
}

/// Refused before any memory is taken for the entries, which would be forty thousand million bytes and more.
#[test]
fn too_many_entries_are_refused() {
    let n = 100_000;
    let sum = |x: &[Expr]| x.iter().cloned().sum::<Expr>();
    let one = of_inputs(n, |x| sum(x).sin());
    assert_too_many(one.hessian_sparsity(..), n, n);
    let error = one.sparse_hessian(..).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a pattern of 100000 by 100000 has more than 4294967295 entries"
    );
    // A gradient of many entries is no matter.
    assert_eq!(one.sparsity(..).unwrap().len(), n);

    // Each row is long, and there are many. It takes long to count them unoptimised.
    if cases(10) < 10 {
        return;
    }
    let rows = 43_000;
    let many = of_inputs(n, |x| {
        let sum = sum(x);
        (0..rows)
            .map(move |at| &sum * at as f64)
            .collect::<Vec<_>>()
    });
    assert_too_many(many.sparsity(..), rows, n);
}
