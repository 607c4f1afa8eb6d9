//! Recording on a tape, and going backward through it.
//!
//! `cargo bench -p tidu-benches --bench tape`. Throughput is in primal operations. Each iteration records on
//! the memory of the one before, as a training loop would. `tape` applies operations by name, `variables`
//! does the same with operators on `scalar::Var`; its gradients are by everything. `loops` is the example
//! `double_pendulum`, from nothing to a gradient; throughput is in steps.
//!
//! Where the time goes, in instructions an operation (callgrind, 3 000 operations): chain 830, of which
//! recording takes 375 and going backward 455; wide 790, 370 and 420. Recording costs nearly the same
//! whatever the operation: 390 for a sine, of which 70 are the sine itself, 310 for a sum. The rest is looking
//! at the places of operands, finding what is known of the operation, appending to the lists, and handing
//! the result out. Going backward, evaluating the instructions of VJPs and adding cotangents up takes about
//! a third; the rest is fetching residuals and seeds and stepping from call to
//! call. Nothing is allocated for an operation. From 10⁶ operations on, memory traffic adds a tenth: about
//! 30 bytes an operation recorded, and 17 of cotangents.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu::eager::{EagerError, KeySource, Tape, Var};
use tidu::scalar::{self, ScalarKey, ScalarOp};

#[allow(dead_code, reason = "what only the example does")]
#[path = "../examples/double_pendulum.rs"]
mod double_pendulum;

type Scalars = Tape<ScalarOp>;
/// Records a program of about so many operations; returns inputs and output.
type Program = fn(&mut Scalars, usize) -> Result<(Vec<Var<ScalarOp>>, Var<ScalarOp>), EagerError>;

struct Names(u64);

impl KeySource<ScalarOp> for Names {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}

/// v = x; n/3 times v = v + y·sin v
fn chain(
    tape: &mut Scalars,
    operations: usize,
) -> Result<(Vec<Var<ScalarOp>>, Var<ScalarOp>), EagerError> {
    let (x, y) = (tape.leaf(0.3), tape.leaf(1e-6));
    let mut v = x;
    for _ in 0..operations / 3 {
        let sin = tape.apply_one(ScalarOp::Sin, &[&v])?;
        let product = tape.apply_one(ScalarOp::Mul, &[&y, &sin])?;
        v = tape.apply_one(ScalarOp::Add, &[&v, &product])?;
    }
    Ok((vec![x, y], v))
}

/// s = 0; for each i of n/5: s = s + exp(-(xᵢ·xᵢ))·xᵢ₊₁
fn wide(
    tape: &mut Scalars,
    operations: usize,
) -> Result<(Vec<Var<ScalarOp>>, Var<ScalarOp>), EagerError> {
    let count = operations / 5;
    let point = (0..count).map(|i| 0.01 + 0.1 * (i % 7) as f64);
    let x: Vec<Var<ScalarOp>> = point.map(|x| tape.leaf(x)).collect();
    let mut s = Var::constant(0.0);
    for i in 0..count {
        let square = tape.apply_one(ScalarOp::Mul, &[&x[i], &x[i]])?;
        let negated = tape.apply_one(ScalarOp::Neg, &[&square])?;
        let exp = tape.apply_one(ScalarOp::Exp, &[&negated])?;
        let product = tape.apply_one(ScalarOp::Mul, &[&exp, &x[(i + 1) % count]])?;
        s = tape.apply_one(ScalarOp::Add, &[&s, &product])?;
    }
    Ok((x, s))
}

fn tape(criterion: &mut Criterion) {
    let programs: [(&str, Program); 2] = [("chain", chain), ("wide", wide)];
    for (name, program) in programs {
        let mut group = criterion.benchmark_group(format!("tape/{name}"));
        for operations in [1_000, 10_000, 100_000, 1_000_000] {
            group.throughput(Throughput::Elements(operations as u64));
            group.sample_size(if operations > 10_000 { 10 } else { 50 });
            let mut tape = Tape::new(Names(0));
            group.bench_function(BenchmarkId::new("record", operations), |bencher| {
                bencher.iter(|| {
                    tape.clear();
                    black_box(program(&mut tape, operations)).is_ok()
                });
            });
            group.bench_function(
                BenchmarkId::new("record and backward", operations),
                |bencher| {
                    bencher.iter(|| {
                        tape.clear();
                        let (inputs, output) = program(&mut tape, operations)?;
                        let wrt: Vec<&Var<ScalarOp>> = inputs.iter().collect();
                        tape.backward(&[(&output, 1.0)], black_box(&wrt))
                    });
                },
            );
        }
        group.finish();
    }
}

/// `chain` with operators.
fn chain_of_variables(
    tape: &scalar::Tape,
    operations: usize,
) -> (Vec<scalar::Var<'_>>, scalar::Var<'_>) {
    let [x, y] = tape.vars([0.3, 1e-6]);
    let mut v = x;
    for _ in 0..operations / 3 {
        v += y * v.sin();
    }
    (vec![x, y], v)
}

/// `wide` with operators.
fn wide_variables(
    tape: &scalar::Tape,
    operations: usize,
) -> (Vec<scalar::Var<'_>>, scalar::Var<'_>) {
    let count = operations / 5;
    let point = (0..count).map(|i| 0.01 + 0.1 * (i % 7) as f64);
    let x: Vec<scalar::Var<'_>> = point.map(|x| tape.var(x)).collect();
    let mut s = scalar::Var::constant(0.0);
    for i in 0..count {
        s += (-(x[i] * x[i])).exp() * x[(i + 1) % count];
    }
    (x, s)
}

type OnVariables = for<'t> fn(&'t scalar::Tape, usize) -> (Vec<scalar::Var<'t>>, scalar::Var<'t>);

fn variables(criterion: &mut Criterion) {
    let programs: [(&str, OnVariables); 2] =
        [("chain", chain_of_variables), ("wide", wide_variables)];
    for (name, program) in programs {
        let mut group = criterion.benchmark_group(format!("variables/{name}"));
        for operations in [1_000, 10_000, 100_000, 1_000_000] {
            group.throughput(Throughput::Elements(operations as u64));
            group.sample_size(if operations > 10_000 { 10 } else { 50 });
            let mut tape = scalar::Tape::new();
            group.bench_function(
                BenchmarkId::new("record and backward", operations),
                |bencher| {
                    bencher.iter(|| {
                        tape.clear();
                        let (inputs, output) = program(&tape, operations);
                        output.backward()?.wrt(black_box(&inputs))
                    });
                },
            );
        }
        group.finish();
    }
}

/// A time loop: its values alone, and their gradient in each of the ways that the example shows.
fn loops(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loops/double pendulum");
    group.throughput(Throughput::Elements(double_pendulum::STEPS as u64));
    group.sample_size(20);
    group.bench_function("values alone", |bencher| {
        let (start, gravity) = (double_pendulum::START, double_pendulum::GRAVITY);
        bencher.iter(|| double_pendulum::end(black_box(start), black_box(gravity)));
    });
    for (name, way) in double_pendulum::WAYS {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(way()).is_ok()));
    }
    group.finish();
}

criterion_group!(benches, tape, variables, loops);
criterion_main!(benches);
