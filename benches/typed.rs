//! What types cost a derivative: a chain of tensors beside the same chain of numbers.
//!
//! `cargo bench -p tidu-benches --bench typed`. Throughput is in primal operations.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu_tensor::{Value, function, types};
use tidu_testkit::chain;

fn typed(c: &mut Criterion) {
    for operations in [1_000, 10_000, 30_000] {
        let numbers = chain(operations).function();
        let matrix = types::real([4, 4]);
        let inputs = [("x", matrix.clone()), ("y", matrix)];
        // The same steps, v ↦ v + y·sin v, to a number.
        let tensors = function(inputs, |[x, y]| {
            let end = (0..operations / 3).fold(x, |v, _| &v + &y * v.sin());
            end.sum([0, 1])
        });
        let tensors = tensors.expect("the shapes fit");

        let mut group = c.benchmark_group("typed/value_and_grad");
        group.sample_size(10);
        group.throughput(Throughput::Elements(operations as u64));
        let id = |set: &str| BenchmarkId::new(set, operations);
        group.bench_function(id("numbers"), |b| b.iter(|| numbers.value_and_grad(..)));
        group.bench_function(id("tensors"), |b| b.iter(|| tensors.value_and_grad(..)));
        group.finish();
    }
}

criterion_group!(benches, typed);
criterion_main!(benches);
