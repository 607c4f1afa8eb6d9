//! The way from a graph to a program for value and gradient, stage by stage.
//!
//! `cargo bench -p tidu`. Throughput is in primal operations.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidu::graph::{
    CompiledProgram, MaterializedGraph, ValueKey, compile, materialize_merge, resolve,
};
use tidu::scalar::ScalarOp;
use tidu::{LinearizedGraph, linear_transpose, linearize};
use tidu_testkit::{Workload, chain, wide};

/// Everything that the stages make, to be handed to the next one.
struct Stages {
    graph: Arc<tidu::graph::Graph<ScalarOp>>,
    output: ValueKey<ScalarOp>,
    linear: LinearizedGraph<ScalarOp>,
    transposed: LinearizedGraph<ScalarOp>,
    flat: MaterializedGraph<ScalarOp>,
    program: CompiledProgram<ScalarOp>,
}

impl Stages {
    fn of(workload: &Workload) -> Self {
        let graph = Arc::new(workload.graph());
        let output = graph.values()[graph.outputs()[0]].key.clone();
        let view = resolve(vec![Arc::clone(&graph)]);
        let linear = linearize_output(&view, &output, workload);
        let transposed = linear_transpose(&linear, &mut ());
        let flat = materialize(&graph, &output, &linear, &transposed);
        let program = compile(&flat);
        Self {
            graph,
            output,
            linear,
            transposed,
            flat,
            program,
        }
    }
}

fn linearize_output(
    view: &tidu::graph::ResolvedView<ScalarOp>,
    output: &ValueKey<ScalarOp>,
    workload: &Workload,
) -> LinearizedGraph<ScalarOp> {
    let outputs = std::slice::from_ref(output);
    linearize(view, outputs, &workload.wrt(), 1, &mut (), &HashMap::new())
}

fn materialize(
    graph: &Arc<tidu::graph::Graph<ScalarOp>>,
    output: &ValueKey<ScalarOp>,
    linear: &LinearizedGraph<ScalarOp>,
    transposed: &LinearizedGraph<ScalarOp>,
) -> MaterializedGraph<ScalarOp> {
    let view = resolve(vec![
        Arc::clone(graph),
        Arc::new(linear.as_graph().clone()),
        Arc::new(transposed.as_graph().clone()),
    ]);
    let cotangents = transposed.tangent_outputs().iter().flatten();
    let cotangents = cotangents.map(|&id| transposed.as_graph().values()[id].key.clone());
    let outputs: Vec<_> = std::iter::once(output.clone()).chain(cotangents).collect();
    materialize_merge(&view, &outputs)
}

fn bench(c: &mut Criterion) {
    for make in [chain, wide] {
        for size in [1_000, 100_000] {
            let workload = make(size);
            let stages = Stages::of(&workload);
            bench_workload(c, &workload, &stages);
        }
    }
}

fn bench_workload(c: &mut Criterion, workload: &Workload, stages: &Stages) {
    let mut group = c.benchmark_group(workload.name);
    group.sample_size(10);
    group.throughput(Throughput::Elements(workload.operations as u64));
    let size = workload.operations;
    let id = |stage: &str| BenchmarkId::new(stage, size);
    let roots = || vec![Arc::clone(&stages.graph)];
    let view = resolve(roots());
    group.bench_function(id("build"), |b| b.iter(|| workload.graph()));
    group.bench_function(id("resolve"), |b| b.iter(|| resolve(roots())));
    group.bench_function(id("linearize"), |b| {
        b.iter(|| linearize_output(&view, &stages.output, workload));
    });
    group.bench_function(id("transpose"), |b| {
        b.iter(|| linear_transpose(&stages.linear, &mut ()));
    });
    group.bench_function(id("resolve all and materialize"), |b| {
        b.iter(|| {
            materialize(
                &stages.graph,
                &stages.output,
                &stages.linear,
                &stages.transposed,
            )
        });
    });
    group.bench_function(id("compile"), |b| b.iter(|| compile(&stages.flat)));
    let values: HashMap<_, f64> = workload
        .inputs
        .iter()
        .map(|(key, value)| (ValueKey::Input(key.clone()), *value))
        .collect();
    // What is no input of the function is the seed.
    let inputs = stages.flat.inputs.iter();
    let inputs: Vec<&f64> = inputs.map(|key| values.get(key).unwrap_or(&1.0)).collect();
    group.bench_function(id("eval"), |b| {
        b.iter(|| stages.program.eval(&mut (), black_box(&inputs)));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
