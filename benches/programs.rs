//! Scalar programs: compiling them, and running them at one point and at many.
//!
//! `cargo bench -p tidu-scalar`. Throughput is in primal operations, or in observations for bundle
//! adjustment.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu_scalar::{BatchWorkspace, CompileScalar, Workspace};
use tidu_testkit::{bundle_adjustment, chain, observations, wide};

fn bench_workloads(c: &mut Criterion) {
    for make in [chain, wide] {
        for size in [1_000, 100_000] {
            let workload = make(size);
            let function = workload.function().value_and_grad(..).expect("a gradient");
            let id = BenchmarkId::new(workload.name, size);
            let throughput = Throughput::Elements(workload.operations as u64);
            let point = workload.point();

            let mut group = c.benchmark_group("scalar compile");
            group.throughput(throughput.clone());
            group.bench_function(id.clone(), |b| b.iter(|| function.compile_scalar()));
            group.finish();

            let program = function.compile_scalar().expect("a program");
            let mut outputs = vec![0.0; program.output_names().len()];
            let mut workspace = Workspace::default();
            let mut group = c.benchmark_group("scalar eval");
            group.throughput(throughput.clone());
            group.bench_function(id.clone(), |b| {
                b.iter(|| {
                    let run = program.eval_into(&mut workspace, black_box(&point), &mut outputs);
                    run.expect("as many inputs");
                });
            });
            group.finish();

            let program = function.compile();
            let mut group = c.benchmark_group("generic eval");
            group.throughput(throughput);
            group.bench_function(id, |b| b.iter(|| program.call(black_box(&point))));
            group.finish();
        }
    }
}

fn bench_bundle_adjustment(c: &mut Criterion) {
    const COUNT: usize = 20_000;
    let program = bundle_adjustment().values_and_jacobian().compile_scalar();
    let program = program.expect("a program");
    let observations = observations(COUNT);
    let inputs: Vec<Vec<f64>> = (0..17)
        .map(|input| observations.iter().map(|values| values[input]).collect())
        .collect();
    let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs = vec![0.0; 32 * COUNT];
    let mut group = c.benchmark_group("bundle adjustment");
    group.throughput(Throughput::Elements(COUNT as u64));
    for (name, vector_math) in [("batch", false), ("batch, vector math", true)] {
        let batch = program.batch().vector_math(vector_math);
        let mut workspace = BatchWorkspace::default();
        let mut outputs: Vec<&mut [f64]> = outputs.chunks_exact_mut(COUNT).collect();
        group.bench_function(name, |b| {
            b.iter(|| {
                let run = batch.eval_in(&mut workspace, black_box(&inputs), &mut outputs);
                run.expect("slices of one length");
            });
        });
    }
    let (mut workspace, mut outputs) = (Workspace::default(), [0.0; 32]);
    group.bench_function("one by one", |b| {
        b.iter(|| {
            for observation in &observations {
                let run = program.eval_into(&mut workspace, observation, &mut outputs);
                run.expect("as many inputs");
                black_box(&outputs);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, bench_workloads, bench_bundle_adjustment);
criterion_main!(benches);
