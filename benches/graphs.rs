//! Graphs without derivatives: build, resolve, materialize, compile, eval.
//!
//! `cargo bench -p tidu-graph`. Throughput is in primal operations.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu_graph::{compile, materialize_merge, resolve};
use tidu_testkit::{Workload, bundle_adjustment, chain, output_keys, squares, wide};

fn graphs(c: &mut Criterion) {
    for size in [1_000, 100_000] {
        for workload in [chain(size), wide(size), squares(size)] {
            bench_workload(c, &workload);
        }
    }
    bench_workload(c, &bundle_adjustment());
}

fn bench_workload(c: &mut Criterion, workload: &Workload) {
    let mut group = c.benchmark_group(format!("graph/{}", workload.name));
    group.sample_size(10);
    group.throughput(Throughput::Elements(workload.operations as u64));
    let id = |stage: &str| BenchmarkId::new(stage, workload.operations);
    let graph = Arc::new(workload.graph());
    let roots = || vec![Arc::clone(&graph)];
    let outputs = output_keys(&graph);
    let view = resolve(roots());
    let flat = materialize_merge(&view, &outputs);
    let program = compile(&flat);
    let point = workload.point();
    let inputs: Vec<&f64> = point.iter().collect();
    group.bench_function(id("build"), |b| b.iter(|| workload.graph()));
    group.bench_function(id("resolve"), |b| b.iter(|| resolve(roots())));
    group.bench_function(id("materialize"), |b| {
        b.iter(|| materialize_merge(&view, &outputs));
    });
    group.bench_function(id("compile"), |b| b.iter(|| compile(&flat)));
    group.bench_function(id("eval"), |b| {
        b.iter(|| program.eval(&mut (), black_box(&inputs)));
    });
    group.finish();
}

criterion_group!(benches, graphs);
criterion_main!(benches);
