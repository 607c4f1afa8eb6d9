//! Functions: made, differentiated, simplified, compiled, called.
//!
//! `cargo bench -p tidu-ad --bench functions`. Throughput is in primal operations.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use tidu_ad::Function;
use tidu_graph::Exactness;
use tidu_scalar::ScalarOp;
use tidu_testkit::{Workload, bundle_adjustment, chain, squares, wide};

fn functions(c: &mut Criterion) {
    for size in [1_000, 100_000] {
        for workload in [chain(size), wide(size), squares(size)] {
            let function = workload.function();
            let mut group = group_of(c, &workload);
            bench_any(&mut group, &workload, &function);
            bench_scalar(&mut group, &workload, &function);
            group.finish();
        }
    }
    let workload = bundle_adjustment();
    let mut group = group_of(c, &workload);
    bench_any(&mut group, &workload, &workload.function());
    bench_jacobian(&mut group, &workload, &workload.function());
    group.finish();
}

fn group_of<'a>(c: &'a mut Criterion, workload: &Workload) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(format!("functions/{}", workload.name));
    group.sample_size(10);
    group.throughput(Throughput::Elements(workload.operations as u64));
    group
}

/// What any function can do.
fn bench_any(
    group: &mut BenchmarkGroup<'_, WallTime>,
    workload: &Workload,
    function: &Function<ScalarOp>,
) {
    let id = |stage: &str| BenchmarkId::new(stage, workload.operations);
    let wrt = &*workload.wrt_positions();
    group.bench_function(id("build"), |b| b.iter(|| workload.function()));
    group.bench_function(id("from keys"), |b| b.iter(|| workload.function_of_keys()));
    group.bench_function(id("jvp"), |b| b.iter(|| function.jvp(wrt)));
    group.bench_function(id("vjp"), |b| b.iter(|| function.vjp(wrt)));
    group.bench_function(id("compile"), |b| b.iter(|| function.compile()));
    let vjp = function.vjp(wrt).expect("the set has all rules");
    for level in [Exactness::Exact, Exactness::RealOnly] {
        group.bench_function(id(&format!("simplify {level:?} vjp")), |b| {
            b.iter(|| vjp.simplify(level));
        });
    }
}

/// What a function of one output can do.
fn bench_scalar(
    group: &mut BenchmarkGroup<'_, WallTime>,
    workload: &Workload,
    function: &Function<ScalarOp>,
) {
    let id = |stage: &str| BenchmarkId::new(stage, workload.operations);
    group.bench_function(id("value_and_grad"), |b| {
        b.iter(|| function.value_and_grad(..));
    });
    group.bench_function(id("value_and_grad, compiled"), |b| {
        b.iter(|| {
            function
                .value_and_grad(..)
                .map(|gradient| gradient.compile())
        });
    });
    group.bench_function(id("hvp"), |b| b.iter(|| function.hvp(..)));
    let gradient = function.value_and_grad(..).expect("the set has all rules");
    let gradient = gradient.compile();
    let point = workload.point();
    group.bench_function(id("call value_and_grad"), |b| {
        b.iter(|| gradient.call(black_box(&point)));
    });
}

fn bench_jacobian(
    group: &mut BenchmarkGroup<'_, WallTime>,
    workload: &Workload,
    function: &Function<ScalarOp>,
) {
    let id = |stage: &str| BenchmarkId::new(stage, workload.operations);
    let wrt = &*workload.wrt_positions();
    group.bench_function(id("jacobian"), |b| b.iter(|| function.jacobian(wrt)));
    let program = workload.values_and_jacobian().compile();
    let point = workload.point();
    group.bench_function(id("call with jacobian"), |b| {
        b.iter(|| program.call(black_box(&point)));
    });
}

criterion_group!(benches, functions);
criterion_main!(benches);
