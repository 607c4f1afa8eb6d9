//! Cotangent seeds of the wrong number are an error; cut or filled up they would be a wrong gradient.

use std::collections::HashMap;
use std::sync::Arc;

use tidu::eager::{
    BackwardExecutor, EagerError, EagerInput, RecordedGraph, Recorder, try_backward,
};
use tidu::graph::ValueKey;
use tidu::scalar::ScalarOp::{self, Exp, Mul};
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, LinearizedGraph, PrimitiveGraph,
    try_linear_transpose_with_builder,
};

use crate::support::{Interpreter, KeyEvaluator, Names, Problem, Runtime, Sketch, input};

/// (eˣ, y, x·eˣ, x) at (1, 2): four outputs, one of which is not active by x.
fn problem() -> Problem<ScalarOp> {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let e = f.apply(Exp, [x]);
    let xe = f.apply(Mul, [x, e]);
    f.returning([e, y, xe, x]).at(&[1.0, 2.0])
}

fn transpose_with(problem: &Problem<ScalarOp>, seeds: usize) -> ADRuleResult<Vec<Option<f64>>> {
    let linear = problem.linearize();
    let mut keys = KeyEvaluator::new(&problem.point);
    let mut runtime = Interpreter::new(|key: &ValueKey<ScalarOp>| keys.value(key));
    let seeds = runtime.seed(&vec![Some(1.0); seeds]);
    let ids = try_linear_transpose_with_builder(&linear, &mut runtime, &seeds, &mut ())?;
    Ok(runtime.read(&ids))
}

#[track_caller]
fn assert_only(problem: &Problem<ScalarOp>, active: usize) {
    assert!(transpose_with(problem, active).is_ok());
    for found in (0..active + 3).filter(|found| *found != active) {
        let error = transpose_with(problem, found).unwrap_err();
        let expected = active;
        assert_eq!(error, ADRuleError::WrongSeedCount { expected, found });
        assert_eq!(error.rule(), ADRuleKind::Transpose);
        let text =
            format!("the linear graph has {active} active outputs, found {found} cotangent seeds");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn one_seed_an_active_output() {
    assert_only(&problem(), 4);
    assert_only(&problem().wrt(["x"]), 3);
    assert_only(&problem().wrt(["y"]), 1);
}

#[test]
fn no_seed_where_nothing_is_active() {
    assert_only(&problem().wrt([]), 0);
    assert_only(&problem().wrt(["nowhere"]), 0);
}

#[test]
fn one_seed_a_repeated_output() {
    let mut problem = problem().wrt(["x"]);
    problem.outputs = [0, 0, 0].map(|i| problem.outputs[i].clone()).to_vec();
    assert_only(&problem, 3);
}

#[test]
fn one_seed_an_output_of_a_transposed_graph() {
    assert_only(&problem().reverse(&[1.0, 1.0, 1.0, 1.0]).wrt(["x"]), 1);
    assert_only(&problem().forward(&[1.0, 1.0]).wrt(["x"]), 2);
}

#[test]
fn a_wrong_number_leaves_the_builder_untouched() {
    let problem = problem();
    let linear = problem.linearize();
    let mut runtime = Interpreter::<ScalarOp, _>::new(|_: &ValueKey<ScalarOp>| 0.0);
    let seeds = runtime.seed(&[Some(1.0)]);
    let result = try_linear_transpose_with_builder(&linear, &mut runtime, &seeds, &mut ());
    assert!(result.is_err());
    assert_eq!(runtime.values, [1.0]);
}

/// An executor that returns so many cotangents.
struct Returning(usize);

type Values = HashMap<ValueKey<ScalarOp>, Arc<f64>>;

impl BackwardExecutor<ScalarOp> for Returning {
    fn execute_forward(&mut self, graph: PrimitiveGraph<'_, ScalarOp>, data: &Values) -> Values {
        Runtime.execute_forward(graph, data)
    }

    fn run_transposed_linear(
        &mut self,
        _linear: &LinearizedGraph<ScalarOp>,
        _cotangent_out: &[Option<Arc<f64>>],
        _external_data: &Values,
        _ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<Arc<f64>>>> {
        Ok(vec![Some(Arc::new(1.0)); self.0])
    }

    fn add_operands(&mut self, a: &Arc<f64>, b: &Arc<f64>) -> Arc<f64> {
        Arc::new(**a + **b)
    }
}

#[test]
fn an_executor_returns_one_cotangent_an_input() {
    let mut recorder = Recorder::new(Names::default());
    let leaf = |name: &str, requires_grad| EagerInput {
        key: input(name),
        trace: None,
        requires_grad,
        data: Arc::new(3.0),
    };
    for (y_requires_grad, expected) in [(true, 2), (false, 1)] {
        let call = RecordedGraph::from_primitive(Mul, vec!["a".into(), "b".into()]);
        let inputs = [leaf("x", true), leaf("y", y_requires_grad)];
        let z = recorder.record_graph(call, &inputs, &[Arc::new(9.0)], HashMap::new());
        let backward = |returned| {
            let (key, trace) = (&z[0].key, z[0].trace.as_ref());
            try_backward(key, trace, Arc::new(1.0), &mut Returning(returned), &mut ())
        };
        assert!(backward(expected).is_ok());
        for found in [0, expected - 1, expected + 1, 7] {
            if found == expected {
                continue;
            }
            let error = backward(found).unwrap_err();
            let ADRuleError::Runtime { source, .. } = &error else {
                panic!("{error:?}");
            };
            let expected = EagerError::WrongCotangentCount {
                primitive: "Mul".into(),
                expected,
                found,
            };
            assert_eq!(source.downcast_ref(), Some(&expected));
            assert_eq!(error.to_string(), expected.to_string());
        }
    }
}
