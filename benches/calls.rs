//! Recording calls, and going backward over the trace with the ready-made executor.
//!
//! `cargo bench -p tidu-eager`. Throughput is in primal operations. The tape has a benchmark of its own,
//! in the `tidu` crate.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu_eager::{EvalExecutor, try_backward};
use tidu_testkit::{Calls, Workload, bundle_adjustment, chain, squares, wide};

fn calls(c: &mut Criterion) {
    for size in [1_000, 10_000] {
        for workload in [chain(size), wide(size), squares(size)] {
            bench_workload(c, &workload);
        }
    }
    bench_workload(c, &bundle_adjustment());
}

fn bench_workload(c: &mut Criterion, workload: &Workload) {
    let mut group = c.benchmark_group(format!("calls/{}", workload.name));
    group.sample_size(10);
    group.throughput(Throughput::Elements(workload.operations as u64));
    let id = |stage: &str| BenchmarkId::new(stage, workload.operations);
    group.bench_function(id("record"), |b| {
        b.iter(|| workload.record_calls(&mut Calls::default()));
    });
    group.bench_function(id("record and backward"), |b| {
        b.iter(|| {
            let outputs = workload.record_calls(&mut Calls::default());
            let (output, seed) = (&outputs[0], Arc::new(1.0));
            let mut executor = EvalExecutor::default();
            let trace = output.trace.as_ref();
            try_backward(&output.key, trace, black_box(seed), &mut executor, &mut ())
        });
    });
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
