//! The scalar set: expressions that become functions, and derived programs on many points.
//!
//! `cargo bench -p tidu-scalar`. Throughput is in primal operations, and in observations.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu_scalar::function;
use tidu_testkit::{Expressions, bundle_adjustment, chain, observations, squares};

fn expressions(c: &mut Criterion) {
    let mut group = c.benchmark_group("scalar/expressions");
    group.sample_size(10);
    for size in [1_000, 100_000] {
        let workload = chain(size);
        group.throughput(Throughput::Elements(workload.operations as u64));
        group.bench_function(BenchmarkId::new("chain", workload.operations), |b| {
            b.iter(|| function(["x", "y"], |x| workload.write(&mut Expressions, &x)));
        });
        let workload = squares(size);
        group.bench_function(BenchmarkId::new("square", workload.operations), |b| {
            b.iter(|| function(["x"], |x| workload.write(&mut Expressions, &x)));
        });
    }
    group.finish();
}

/// Residual and Jacobian of bundle adjustment, one observation after the other.
fn points(c: &mut Criterion) {
    let mut group = c.benchmark_group("scalar/bundle adjustment");
    let workload = bundle_adjustment();
    let program = workload.values_and_jacobian().compile();
    for count in [1, 100, 10_000] {
        let observations = observations(count);
        group.sample_size(10);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("residual and jacobian", count), |b| {
            b.iter(|| {
                for inputs in black_box(&observations) {
                    black_box(program.call(inputs)).expect("as many inputs as it takes");
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, expressions, points);
criterion_main!(benches);
