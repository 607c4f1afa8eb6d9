//! Many points at once give what one point at a time does, to the bit, however they are put together.

use crate::support::functions::random_function;
use crate::support::random::Random;
use crate::support::{all_primitives, alone};
use tidu_ad::Function;
use tidu_scalar::{
    Batch, BatchWorkspace, CompileScalar, Expr, ProgramError, ProgramOptions, ScalarOp,
    ScalarProgram, function,
};
use tidu_testkit::bundle_adjustment;

fn scalar(f: &Function<ScalarOp>) -> ScalarProgram {
    f.compile_scalar().expect("a program")
}

fn fused(f: &Function<ScalarOp>) -> ScalarProgram {
    let options = ProgramOptions::default().fused(true);
    f.compile_scalar_with(options).expect("a program")
}

/// Points as rows, turned into a slice for each input.
fn by_input(points: &[Vec<f64>], inputs: usize) -> Vec<Vec<f64>> {
    (0..inputs)
        .map(|input| points.iter().map(|point| point[input]).collect())
        .collect()
}

/// What a batch computes, for each output.
fn run(batch: &Batch<'_>, inputs: &[Vec<f64>], points: usize, outputs: usize) -> Vec<Vec<f64>> {
    let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
    let mut values = vec![vec![7.0; points]; outputs];
    let mut slices: Vec<&mut [f64]> = values.iter_mut().map(Vec::as_mut_slice).collect();
    batch.eval(&inputs, &mut slices).expect("a batch");
    values
}

fn same(x: f64, y: f64) -> bool {
    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
}

#[track_caller]
fn assert_same(found: &[Vec<f64>], expected: &[Vec<f64>], what: &dyn Fn() -> String) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        for (point, (f, e)) in found.iter().zip(expected).enumerate() {
            assert!(same(*f, *e), "point {point}: {f}, not {e}, in {}", what());
        }
    }
}

/// A batch is the same as point by point, with vectors of any width, fused or not.
#[track_caller]
fn check(f: &Function<ScalarOp>, points: &[Vec<f64>]) {
    check_program(&scalar(f), points);
    check_program(&fused(f), points);
}

#[track_caller]
fn check_program(program: &ScalarProgram, points: &[Vec<f64>]) {
    let inputs = by_input(points, program.input_names().len());
    let rows: Vec<Vec<f64>> = points
        .iter()
        .map(|point| program.call(point).expect("as many inputs"))
        .collect();
    let outputs = program.output_names().len();
    let expected = by_input(&rows, outputs);
    for bits in [128, 256, 512] {
        let batch = program.batch().vector_bits(bits);
        let found = run(&batch, &inputs, points.len(), outputs);
        assert_same(&found, &expected, &|| format!("{bits} bits of {program}"));
    }
}

const EDGES: [f64; 16] = [
    0.0,
    -0.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    5e-324,
    -1e-310,
    f64::MAX,
    f64::MIN,
    1.0,
    -1.0,
    0.5,
    2.5,
    -3.5,
    710.0,
    0.3,
];

fn edge_points(random: &mut Random, inputs: usize, count: usize) -> Vec<Vec<f64>> {
    let edge = |random: &mut Random| EDGES[random.bits() as usize % EDGES.len()];
    let mut point = |_| (0..inputs).map(|_| edge(random)).collect();
    (0..count).map(&mut point).collect()
}

#[test]
fn every_primitive_is_the_same_at_edges() {
    let mut random = Random::new(1);
    for op in all_primitives() {
        let f = alone(&op);
        let inputs = f.input_names().len();
        check(&f, &edge_points(&mut random, inputs, 200));
        if inputs > 0 {
            let vjp = f.vjp(..).expect("a VJP");
            let points = edge_points(&mut random, vjp.input_names().len(), 67);
            check(&vjp, &points);
        }
    }
}

#[test]
fn random_functions_are_the_same() {
    let mut random = Random::new(2);
    let all = all_primitives();
    for operations in [5, 40, 150] {
        for _ in 0..10 {
            let f = random_function(&mut random, 3, operations, &all);
            let points: Vec<Vec<f64>> = (0..70)
                .map(|_| (0..3).map(|_| random.signed(1e-2, 1e2)).collect())
                .collect();
            check(&f, &points);
        }
    }
}

/// Also with so many registers that blocks are short, and more than short indices can name.
#[test]
fn numbers_of_points_and_registers_of_all_sizes_are_the_same() {
    for size in [3, 200, 20_000, 70_000] {
        let f = sum_of_sines(size);
        let counts: &[usize] = match size {
            20_000.. => &[1, 9],
            _ => &[0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 300],
        };
        for &count in counts {
            let points: Vec<Vec<f64>> = (0..count)
                .map(|i| vec![0.1 * i as f64, 1.0 + 0.01 * i as f64])
                .collect();
            check(&f, &points);
        }
    }
}

/// All sines are alive at once.
fn sum_of_sines(size: usize) -> Function<ScalarOp> {
    function(["x", "y"], |[x, y]| {
        let mut values = vec![x];
        for _ in 0..size {
            values.push((values[values.len() - 1].sin() + &y) * 0.7);
        }
        [values.into_iter().rev().fold(y, |sum, value| value / sum)]
    })
    .expect("a function")
}

fn reprojection_and_jacobian() -> Function<ScalarOp> {
    bundle_adjustment().values_and_jacobian()
}

fn observations(count: usize) -> Vec<Vec<f64>> {
    let observations = tidu_testkit::observations(count).into_iter();
    observations.map(|values| values.to_vec()).collect()
}

#[test]
fn bundle_adjustment_is_the_same() {
    check(&reprojection_and_jacobian(), &observations(203));
}

/// Also with sin and cos of several points at once, which only a point's own numbers may change.
#[test]
fn neighbours_change_nothing() {
    let program = scalar(&reprojection_and_jacobian());
    let points = observations(150);
    let inputs = by_input(&points, 17);
    for vector_math in [false, true] {
        let batch = program.batch().vector_math(vector_math);
        let all = run(&batch, &inputs, 150, 32);
        for first in [1, 5, 64, 100] {
            let tail: Vec<Vec<f64>> = inputs.iter().map(|input| input[first..].to_vec()).collect();
            let found = run(&batch, &tail, 150 - first, 32);
            let expected: Vec<Vec<f64>> = all.iter().map(|row| row[first..].to_vec()).collect();
            assert_same(&found, &expected, &|| format!("from {first}"));
        }
        for bits in [128, 256] {
            let found = run(&batch.vector_bits(bits), &inputs, 150, 32);
            assert_same(&found, &all, &|| format!("{bits} bits"));
        }
    }
}

#[cfg(feature = "rayon")]
#[test]
fn threads_change_nothing() {
    let program = scalar(&reprojection_and_jacobian());
    let points = observations(1000);
    for count in [0, 1, 63, 64, 65, 700, 1000] {
        let inputs = by_input(&points[..count], 17);
        let alone = run(&program.batch(), &inputs, count, 32);
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().expect("a pool");
            let found = pool.install(|| run(&program.batch().parallel(true), &inputs, count, 32));
            assert_same(&found, &alone, &|| format!("{count} on {threads} threads"));
        }
    }
}

#[test]
fn outputs_may_be_inputs_constants_and_the_same() {
    let f = function(["x", "y"], |[x, y]| {
        let sum = &x + &y;
        [sum.clone(), x, Expr::constant(2.5), sum]
    });
    let program = scalar(&f.expect("a function"));
    let (mut a, mut b, mut c, mut d) = ([0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]);
    let inputs: [&[f64]; 2] = [&[1.0, 2.0], &[3.0, 4.0]];
    let run = program.eval_batch(&inputs, &mut [&mut a, &mut b, &mut c, &mut d]);
    assert_eq!(run, Ok(()));
    assert_eq!(
        [a, b, c, d],
        [[4.0, 6.0], [1.0, 2.0], [2.5, 2.5], [4.0, 6.0]]
    );
}

#[test]
fn there_may_be_no_inputs_no_outputs_and_no_points() {
    let constant = scalar(&function([], |[]| [Expr::constant(2.5)]).expect("a function"));
    let mut found = [0.0; 11];
    assert_eq!(constant.eval_batch(&[], &mut [&mut found]), Ok(()));
    assert_eq!(found, [2.5; 11]);
    let nothing = scalar(&function(["x"], |[_]| Vec::new()).expect("a function"));
    assert_eq!(nothing.eval_batch(&[&[1.0, 2.0]], &mut []), Ok(()));
    let exp = scalar(&function(["x"], |[x]| [x.exp()]).expect("a function"));
    assert_eq!(exp.eval_batch(&[&[]], &mut [&mut []]), Ok(()));
    let neither = scalar(&function([], |[]| Vec::new()).expect("a function"));
    assert_eq!(neither.eval_batch(&[], &mut []), Ok(()));
}

#[test]
fn wrong_counts_and_lengths_are_errors() {
    let f = function(["x", "y"], |[x, y]| [&x + &y, x * y]).expect("a function");
    let program = scalar(&f);
    let (mut u, mut v, mut w) = ([0.0; 2], [0.0; 2], [0.0; 3]);
    let two: &[f64] = &[1.0; 2];
    let three: &[f64] = &[1.0; 3];
    let error = program.eval_batch(&[two], &mut [&mut u, &mut v]);
    let (expected, found) = (2, 1);
    assert_eq!(
        error,
        Err(ProgramError::WrongInputCount {
            expected,
            found,
            known: "x, y".into()
        })
    );
    let error = program.eval_batch(&[two, two], &mut [&mut u]);
    assert_eq!(
        error,
        Err(ProgramError::WrongOutputCount {
            expected,
            found,
            known: "out0, out1".into()
        })
    );
    let error = program.eval_batch(&[two, three], &mut [&mut u, &mut v]);
    let text = |error: Result<(), ProgramError>| error.expect_err("unequal lengths").to_string();
    assert_eq!(text(error), "y has 3 points, expected 2, as x has");
    let error = program.eval_batch(&[two, two], &mut [&mut u, &mut w]);
    assert_eq!(text(error), "out1 has 3 points, expected 2, as x has");
}

#[test]
fn any_program_runs_in_any_workspace() {
    let mut workspace = BatchWorkspace::default();
    let x: Vec<f64> = (0..70).map(|i| 0.1 * f64::from(i)).collect();
    for size in [3, 1_000, 40, 200, 3] {
        let program = scalar(&sum_of_sines(size));
        let mut found = vec![0.0; 70];
        let batch = program.batch();
        let run = batch.eval_in(&mut workspace, &[&x, &x], &mut [&mut found]);
        assert_eq!(run, Ok(()));
        for (x, found) in x.iter().zip(&found) {
            assert!(same(
                *found,
                program.call(&[*x, *x]).expect("two inputs")[0]
            ));
        }
    }
}
