//! Everything is reachable from the facade, and what is immutable crosses threads.

use std::sync::Arc;

#[allow(unused_imports, reason = "that the names exist is the test")]
mod reachable {
    use tidu::eager::{
        BackwardExecutor, EagerError, EagerInput, EagerOutput, KeySource, RecordedGraph, Recorder,
        Side, Trace, try_backward,
    };
    use tidu::graph::{
        CompiledProgram, EvaluableGraphOperation, Graph, GraphBuilder, GraphError, GraphOperation,
        Instruction, LocalOperationId, LocalValueId, MaterializedGraph, OperationKey,
        OperationNode, OperationRole, ResolvedView, ValueDef, ValueKey, ValueKeyId,
        ValueKeyInterner, ValueNode, ValueRef, compile, materialize_merge, resolve,
        try_materialize_merge,
    };
    use tidu::rules::{
        ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, Primitive, PrimitiveBuilder,
        PrimitiveValue, RuleOperand, RuntimeError,
    };
    use tidu::scalar::{Constant, ScalarKey, ScalarOp};
    use tidu::{
        LinearizedGraph, PrimitiveGraph, linear_transpose, linearize, try_linear_transpose,
        try_linear_transpose_with_builder, try_linearize,
    };

    /// The rule contract stands at the root, too.
    mod at_the_root {
        use tidu::{
            ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, Primitive, PrimitiveBuilder,
            PrimitiveValue, RuleOperand, RuntimeError,
        };
    }
}

use tidu::graph::{
    Graph, GraphBuilder, OperationRole, ValueRef, compile, materialize_merge, resolve,
};
use tidu::scalar::{ScalarKey, ScalarOp};

/// The same item under both names, not a second one.
#[test]
fn root_and_rules_are_one() {
    let error: tidu::ADRuleError =
        tidu::rules::ADRuleError::unsupported("Floor", tidu::ADRuleKind::Jvp);
    assert_eq!(error.to_string(), "unsupported jvp AD rule for Floor");
    assert_eq!(error.rule().as_str(), "jvp");
    assert_eq!(tidu::rules::ADRuleKind::Transpose.as_str(), "transpose");
}

#[test]
fn immutable_things_cross_threads() {
    fn assert_send_and_sync<T: Send + Sync>() {}
    assert_send_and_sync::<Graph<ScalarOp>>();
    assert_send_and_sync::<tidu::graph::ResolvedView<ScalarOp>>();
    assert_send_and_sync::<tidu::graph::MaterializedGraph<ScalarOp>>();
    assert_send_and_sync::<tidu::graph::CompiledProgram<ScalarOp>>();
    assert_send_and_sync::<tidu::graph::ValueKey<ScalarOp>>();
    assert_send_and_sync::<tidu::graph::OperationKey<ScalarOp>>();
    assert_send_and_sync::<tidu::graph::ValueKeyInterner<ScalarOp>>();
    assert_send_and_sync::<tidu::graph::GraphError>();
    assert_send_and_sync::<tidu::LinearizedGraph<ScalarOp>>();
    assert_send_and_sync::<tidu::ADRuleError>();
    assert_send_and_sync::<tidu::eager::Trace<ScalarOp>>();
    assert_send_and_sync::<tidu::eager::RecordedGraph<ScalarOp>>();
    assert_send_and_sync::<tidu::eager::EagerInput<ScalarOp>>();
    assert_send_and_sync::<tidu::eager::EagerError>();
}

/// x·x, run by many threads at once.
#[test]
fn one_program_runs_on_many_threads() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::from("x"));
    let square = vec![ValueRef::Local(x), ValueRef::Local(x)];
    let y = builder.add_operation(ScalarOp::Mul, square, OperationRole::Primary)[0];
    let key = builder.global_key(y).clone();
    builder.set_outputs(vec![y]);
    let view = resolve(vec![Arc::new(builder.build())]);
    let program = compile(&materialize_merge(&view, &[key]));
    std::thread::scope(|scope| {
        for i in 0..8 {
            let program = &program;
            scope.spawn(move || {
                for j in 0..100 {
                    let x = f64::from(100 * i + j);
                    assert_eq!(program.eval(&mut (), &[&x]), [x * x]);
                }
            });
        }
    });
}
