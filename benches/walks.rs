//! The way from a graph to a program for value and gradient, stage by stage: linearize, transpose,
//! and what flattens the three graphs.
//!
//! `cargo bench -p tidu-ad --bench walks`. Throughput is in primal operations.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu_testkit::{
    Pipeline, Workload, bundle_adjustment, chain, squares, value_and_gradient_of, wide,
};

fn walks(c: &mut Criterion) {
    for size in [1_000, 100_000] {
        for workload in [chain(size), wide(size), squares(size)] {
            bench_workload(c, &workload);
        }
    }
    bench_workload(c, &bundle_adjustment());
}

fn bench_workload(c: &mut Criterion, workload: &Workload) {
    let mut group = c.benchmark_group(format!("walks/{}", workload.name));
    group.sample_size(10);
    group.throughput(Throughput::Elements(workload.operations as u64));
    let id = |stage: &str| BenchmarkId::new(stage, workload.operations);
    let stages = Pipeline::of(workload);
    group.bench_function(id("linearize"), |b| b.iter(|| stages.linearize()));
    group.bench_function(id("transpose"), |b| b.iter(|| stages.transpose()));
    group.bench_function(id("resolve all"), |b| b.iter(|| stages.resolve_all()));
    group.bench_function(id("materialize all"), |b| b.iter(|| stages.materialize()));
    group.bench_function(id("compile"), |b| b.iter(|| stages.compile()));
    group.bench_function(id("whole pipeline"), |b| {
        b.iter(|| value_and_gradient_of(workload));
    });
    let point = stages.program_inputs();
    let inputs: Vec<&f64> = point.iter().collect();
    group.bench_function(id("eval"), |b| {
        b.iter(|| stages.program.eval(&mut (), black_box(&inputs)));
    });
    group.finish();
}

criterion_group!(benches, walks);
criterion_main!(benches);
