//! The suite on this library, and what only this library has.

use std::hint::black_box;

use tidu::eager::{KeySource, Tape, Var};
use tidu::scalar::{ScalarKey, ScalarOp};
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

/// Value and gradient by the fastest program there is for real numbers.
///
/// To be replaced by the program that is made for scalars.
pub fn evaluate_scalar(workload: &Workload) -> Measurement {
    evaluate(workload)
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

/// Residual and Jacobian of so many observations.
pub fn jacobian(count: usize) -> Measurement {
    let workload = bundle_adjustment();
    let program = workload.values_and_jacobian().compile();
    let observations = observations(count);
    measure(count, 1, || {
        for inputs in black_box(&observations) {
            black_box(program.call(inputs)).expect("as many inputs as it takes");
        }
    })
}

struct Names(u64);

impl KeySource<ScalarOp> for Names {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}
