//! Sparse derivatives: patterns found, entries derived and evaluated.
//!
//! `cargo bench -p tidu-benches --bench sparse`. Throughput is in variables.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu_ad::SparseDerivative;
use tidu_scalar::{CompileScalar, ScalarOp, Workspace};
use tidu_testkit::{Workload, arrowhead, bratu, bratu_energy, clnlbeam, rosenbrock};

fn sparse(c: &mut Criterion) {
    for size in [1_000, 100_000_usize] {
        let side = size.isqrt();
        for workload in [rosenbrock(size), arrowhead(size), bratu_energy(side)] {
            bench_objective(c, &workload);
        }
        for workload in [bratu(side), clnlbeam(size / 3)] {
            bench_constraints(c, &workload);
        }
    }
}

fn bench_objective(c: &mut Criterion, workload: &Workload) {
    let f = workload.function();
    bench_stages(c, workload, "hessian_sparsity", || f.hessian_sparsity(..));
    let derive = || f.sparse_hessian(..);
    bench_stages(c, workload, "sparse_hessian", derive);
    let derivative = derive().expect("the set has all rules");
    bench_eval(c, workload, "sparse_hessian", &derivative, &[]);
}

fn bench_constraints(c: &mut Criterion, workload: &Workload) {
    let f = workload.function();
    bench_stages(c, workload, "sparsity", || f.sparsity(..));
    let (first, second) = (|| f.sparse_jacobian(..), || f.lagrangian_hessian(..));
    bench_stages(c, workload, "sparse_jacobian", first);
    bench_stages(c, workload, "lagrangian_hessian", second);
    let derivative = first().expect("the set has all rules");
    bench_eval(c, workload, "sparse_jacobian", &derivative, &[]);
    let derivative = second().expect("the set has all rules");
    let factors = vec![0.5; f.output_names().len()];
    bench_eval(c, workload, "lagrangian_hessian", &derivative, &factors);
}

fn bench_stages<T>(
    c: &mut Criterion,
    workload: &Workload,
    stage: &str,
    mut derive: impl FnMut() -> T,
) {
    let mut group = c.benchmark_group(format!("sparse/{}", workload.name));
    group.sample_size(10);
    group.throughput(Throughput::Elements(workload.inputs.len() as u64));
    let id = BenchmarkId::new(stage, workload.inputs.len());
    group.bench_function(id, |b| b.iter(&mut derive));
    group.finish();
}

fn bench_eval(
    c: &mut Criterion,
    workload: &Workload,
    of: &str,
    derivative: &SparseDerivative<ScalarOp>,
    factors: &[f64],
) {
    let program = derivative.function.compile_scalar();
    let program = program.expect("every operation can be lowered");
    let mut workspace = Workspace::default();
    let inputs = [workload.point(), factors.to_vec()].concat();
    let mut entries = vec![0.0; derivative.pattern.len()];
    bench_stages(c, workload, &format!("{of}, evaluated"), || {
        program.eval_into(&mut workspace, black_box(&inputs), &mut entries)
    });
}

criterion_group!(benches, sparse);
criterion_main!(benches);
