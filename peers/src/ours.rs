//! The suite on this library, and what only this library has.

use std::hint::black_box;

use tidu::Function;
use tidu::eager::{KeySource, Tape, Var};
use tidu::scalar::{CompileScalar, ScalarKey, ScalarOp, ScalarProgram, Workspace};
use tidu_testkit::{Workload, bundle_adjustment, observations};

use crate::clock::{Measurement, measure};

mod names {
    pub use tidu::eager::{
        BackwardExecutor, EagerInput, KeySource, RecordedGraph, Recorder, try_backward,
    };
    pub use tidu::graph::{
        CompiledProgram, EvaluableGraphOperation, Graph, GraphBuilder, GraphOperation,
        LocalValueId, MaterializedGraph, OperationRole, ValueKey, ValueRef, compile,
        materialize_merge, resolve,
    };
    pub use tidu::{
        ADKey, ADRuleResult, DiffPassId, LinearizedGraph, Primitive, PrimitiveBuilder,
        PrimitiveGraph, PrimitiveValue, linear_transpose, linearize,
        try_linear_transpose_with_builder,
    };
}

#[path = "suite.rs"]
pub mod suite;

/// From a function that exists to a program for its value and gradient.
pub fn derive(workload: &Workload) -> Measurement {
    let function = workload.function();
    measure(workload.operations, 1, || {
        let gradient = function.value_and_grad(..).expect("the set has all rules");
        gradient.compile()
    })
}

/// Value and gradient by the generic program, on a set that evaluates in place.
pub fn evaluate(workload: &Workload) -> Measurement {
    let gradient = workload.function().value_and_grad(..);
    let program = gradient.expect("the set has all rules").compile();
    let point = workload.point();
    measure(workload.operations, 1, || program.call(black_box(&point)))
}

/// From a function that exists to a scalar program for its value and gradient.
pub fn derive_scalar(workload: &Workload) -> Measurement {
    let function = workload.function();
    measure(workload.operations, 1, || scalar_program(&function))
}

/// Value and gradient by the scalar program.
pub fn evaluate_scalar(workload: &Workload) -> Measurement {
    let program = scalar_program(&workload.function());
    let point = workload.point();
    let mut workspace = Workspace::default();
    let mut outputs = vec![0.0; program.output_names().len()];
    measure(workload.operations, 1, || {
        let inputs = black_box(&point);
        program
            .eval_into(&mut workspace, inputs, &mut outputs)
            .expect("as many inputs and outputs as it has");
        black_box(outputs[0])
    })
}

fn scalar_program(function: &Function<ScalarOp>) -> ScalarProgram {
    let gradient = function.value_and_grad(..).expect("the set has all rules");
    let program = gradient.compile_scalar();
    program.expect("it fits into the registers")
}

/// From a function that exists to scalar programs for its Jacobian and the Hessian of its Lagrangian, sparse both.
pub fn sparse_derive(workload: &Workload) -> Measurement {
    let function = workload.function();
    measure(workload.inputs.len(), 1, || sparse_programs(&function))
}

/// The entries of both, by these programs.
pub fn sparse_evaluate(workload: &Workload) -> Measurement {
    let programs = sparse_programs(&workload.function());
    let mut point = workload.point();
    point.resize(programs[1].input_names().len(), 0.5);
    let mut outputs = programs
        .each_ref()
        .map(|program| vec![0.0; program.output_names().len()]);
    let mut workspace = Workspace::default();
    measure(workload.inputs.len(), 1, || {
        for (program, outputs) in programs.iter().zip(&mut outputs) {
            let inputs = black_box(&point[..program.input_names().len()]);
            program
                .eval_into(&mut workspace, inputs, outputs)
                .expect("as many inputs and outputs as it has");
        }
        black_box(outputs[1].first().copied())
    })
}

fn sparse_programs(function: &Function<ScalarOp>) -> [ScalarProgram; 2] {
    let jacobian = function.sparse_jacobian(..);
    let hessian = function.lagrangian_hessian(..);
    [jacobian, hessian].map(|derived| {
        let derived = derived.expect("the set has all rules").function;
        derived
            .compile_scalar()
            .expect("it fits into the registers")
    })
}

/// Recording on a tape that has been used before, and going backward.
pub fn tape(workload: &Workload) -> Measurement {
    let mut tape = Tape::new(Names(0));
    measure(workload.operations, 1, || {
        tape.clear();
        let (inputs, outputs) = workload.record(&mut tape);
        let wrt: Vec<&Var<ScalarOp>> = inputs.iter().collect();
        tape.backward(&[(&outputs[0], 1.0)], &wrt)
            .expect("recorded just now")
    })
}

/// Residual and Jacobian of so many observations, in one batch on one core.
pub fn jacobian(count: usize) -> Measurement {
    let program = bundle_adjustment().values_and_jacobian().compile_scalar();
    let program = program.expect("it fits into the registers");
    let observations = observations(count);
    let inputs = program.input_names().len();
    let columns = (0..inputs).map(|at| observations.iter().map(|row| row[at]).collect());
    let columns: Vec<Vec<f64>> = columns.collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let mut rows = vec![vec![0.0; count]; program.output_names().len()];
    measure(count, 1, || {
        let mut rows: Vec<&mut [f64]> = rows.iter_mut().map(Vec::as_mut_slice).collect();
        program
            .eval_batch(black_box(&columns), &mut rows)
            .expect("columns of one length");
        black_box(rows[0][0])
    })
}

struct Names(u64);

impl KeySource<ScalarOp> for Names {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}
