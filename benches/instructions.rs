//! Each stage once on workloads of a fixed size, for `cargo xtask bench --instructions`, which runs this
//! under callgrind and compares the counts with those of `instructions.tsv`.
//!
//! Run by itself, it prints the stages in their order, with the operations of each workload.

use std::hint::black_box;
use std::sync::Arc;

use tidu::eager::{EvalExecutor, KeySource, Tape, Var, try_backward};
use tidu::graph::Exactness;
use tidu::scalar::{CompileScalar, ScalarKey, ScalarOp, Workspace};
use tidu_testkit::{Calls, Pipeline, Workload, bundle_adjustment, chain, squares, wide};

fn main() {
    for workload in [chain(3_000), wide(3_000), squares(3_000)] {
        pipeline(&workload);
        functions(&workload);
        gradient(&workload);
        tape(&workload);
    }
    let workload = bundle_adjustment();
    pipeline(&workload);
    functions(&workload);
    jacobian(&workload);
    tape(&workload);
    // Last, since their tables are seeded at random: how the memory looks after them differs from run
    // to run, and with it what an allocation costs.
    for workload in [chain(3_000), wide(3_000), squares(3_000)] {
        calls(&workload);
    }
}

/// What is counted is what happens between these two, which callgrind knows by name. They differ, or
/// the compiler would make one function of them.
#[inline(never)]
fn counting_starts() {
    black_box("starts");
}

#[inline(never)]
fn counting_ends() {
    black_box("ends");
}

/// Runs the stage once, so that what is done only once has been done, and once to be counted. The first
/// result stays alive: what lies free after it is gone would differ from run to run.
fn stage<T>(name: &str, workload: &Workload, mut body: impl FnMut() -> T) {
    println!("{}\t{name}\t{}", workload.name, workload.operations);
    let first = black_box(body());
    counting_starts();
    let second = black_box(body());
    counting_ends();
    drop((first, second));
}

fn pipeline(workload: &Workload) {
    let stages = Pipeline::of(workload);
    let point = stages.program_inputs();
    let inputs: Vec<&f64> = point.iter().collect();
    stage("build", workload, || workload.graph());
    stage("resolve", workload, || stages.resolve());
    stage("linearize", workload, || stages.linearize());
    stage("transpose", workload, || stages.transpose());
    stage("rules alone", workload, || stages.rules_alone());
    stage("resolve all", workload, || stages.resolve_all());
    stage("materialize all", workload, || stages.materialize());
    stage("compile", workload, || stages.compile());
    stage("eval", workload, || stages.program.eval(&mut (), &inputs));
}

fn functions(workload: &Workload) {
    let function = workload.function();
    let wrt = &*workload.wrt_positions();
    stage("function: build", workload, || workload.function());
    stage("function: from keys", workload, || {
        workload.function_of_keys()
    });
    stage("function: jvp", workload, || function.jvp(wrt));
    stage("function: vjp", workload, || function.vjp(wrt));
    let vjp = function.vjp(wrt).expect("the set has all rules");
    stage("function: simplify vjp", workload, || {
        vjp.simplify(Exactness::RealOnly)
    });
}

fn gradient(workload: &Workload) {
    let function = workload.function();
    stage("function: value_and_grad", workload, || {
        function.value_and_grad(..)
    });
    let gradient = function.value_and_grad(..).expect("the set has all rules");
    stage("function: compile", workload, || gradient.compile());
    let (program, point) = (gradient.compile(), workload.point());
    stage("function: call", workload, || program.call(&point));
    stage("scalar: compile", workload, || gradient.compile_scalar());
    let program = gradient
        .compile_scalar()
        .expect("it fits into the registers");
    let (mut workspace, mut outputs) = (
        Workspace::default(),
        vec![0.0; program.output_names().len()],
    );
    stage("scalar: call", workload, || {
        program.eval_into(&mut workspace, &point, &mut outputs)
    });
}

fn jacobian(workload: &Workload) {
    let function = workload.function();
    let wrt = &*workload.wrt_positions();
    stage("function: jacobian", workload, || function.jacobian(wrt));
    let both = workload.values_and_jacobian();
    let (program, point) = (both.compile(), workload.point());
    stage("function: call with jacobian", workload, || {
        program.call(&point)
    });
}

fn tape(workload: &Workload) {
    let mut tape = Tape::new(Names(0));
    stage("tape: record and backward", workload, || {
        tape.clear();
        let (inputs, outputs) = workload.record(&mut tape);
        let wrt: Vec<&Var<ScalarOp>> = inputs.iter().collect();
        tape.backward(&[(&outputs[0], 1.0)], &wrt)
    });
}

fn calls(workload: &Workload) {
    stage("calls: record", workload, || {
        workload.record_calls(&mut Calls::default())
    });
    let outputs = workload.record_calls(&mut Calls::default());
    let (output, mut executor) = (&outputs[0], EvalExecutor::default());
    stage("calls: backward", workload, || {
        let (trace, seed) = (output.trace.as_ref(), Arc::new(1.0));
        try_backward(&output.key, trace, seed, &mut executor, &mut ())
    });
}

struct Names(u64);

impl KeySource<ScalarOp> for Names {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}
