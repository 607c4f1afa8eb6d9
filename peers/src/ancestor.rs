//! The suite on the published `tidu` 0.1.0 and `computegraph` 0.1.0.

mod names {
    pub use computegraph::compile::{CompiledProgram, compile};
    pub use computegraph::graph::{Graph, GraphBuilder};
    pub use computegraph::materialize::{MaterializedGraph, materialize_merge};
    pub use computegraph::resolve::resolve;
    pub use computegraph::{
        EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef,
    };
    pub use tidu01::eager::{
        BackwardExecutor, EagerInput, KeySource, RecordedGraph, Recorder, try_backward,
    };
    pub use tidu01::{
        ADKey, ADRuleResult, DiffPassId, LinearizedGraph, Primitive, PrimitiveBuilder,
        PrimitiveGraph, PrimitiveValue, linear_transpose, linearize,
        try_linear_transpose_with_builder,
    };
}

#[path = "suite.rs"]
pub mod suite;
