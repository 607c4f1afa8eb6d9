//! Operations that cannot be evaluated: which one, where, and why.

use std::error::Error;
use std::fmt;

use crate::support::panic_text;
use tidu_graph::{
    CallError, DenseGraph, EvalError, EvaluableGraphOperation, GraphError, GraphOperation,
    Operands, RuntimeError, Workspace,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    /// 1 / x, in programs without a list
    Inverse,
    /// 1 / x and -1 / x, of which it appends one before it looks at the other
    Inverses,
    /// x + y + z
    Sum,
    /// Says in words that it has no memory.
    Allocate,
    /// Of no results: fails for 0.
    Check,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Singular {
    pivot: f64,
}

impl fmt::Display for Singular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pivot {} is zero", self.pivot)
    }
}

impl Error for Singular {}

impl GraphOperation for Op {
    type Operand = f64;
    type Context = ();
    type InputKey = &'static str;

    fn input_count(&self) -> usize {
        if *self == Op::Sum { 3 } else { 1 }
    }

    fn output_count(&self) -> usize {
        match self {
            Op::Inverses => 2,
            Op::Check => 0,
            _ => 1,
        }
    }
}

fn inverse(pivot: f64) -> Result<f64, EvalError> {
    if pivot == 0.0 {
        return Err(Singular { pivot }.into());
    }
    Ok(1.0 / pivot)
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        self.try_eval(ctx, x).expect("programs do not call this")
    }

    fn try_eval(&self, (): &mut (), x: &[&f64]) -> Result<Vec<f64>, EvalError> {
        match self {
            Op::Inverse => Ok(vec![inverse(*x[0])?]),
            Op::Inverses => Ok(vec![inverse(*x[0])?, -inverse(*x[0])?]),
            Op::Sum => Ok(vec![x.iter().copied().sum()]),
            Op::Allocate => Err("no memory".into()),
            Op::Check => inverse(*x[0]).map(|_| vec![]),
        }
    }

    fn try_eval_into(
        &self,
        ctx: &mut (),
        x: &[&f64],
        results: &mut Vec<f64>,
    ) -> Result<(), EvalError> {
        if *self == Op::Inverses {
            results.push(x[0].recip());
            results.push(-inverse(*x[0])?);
        } else {
            results.extend(self.try_eval(ctx, x)?);
        }
        Ok(())
    }

    fn eval_one(&self, (): &mut (), x: &mut Operands<'_, f64>) -> Option<f64> {
        match self {
            Op::Inverse => inverse(x[0]).ok(),
            _ => None,
        }
    }
}

/// x, then each operation on what came before; the last results are the outputs.
fn graph(operations: &[Op]) -> DenseGraph<Op> {
    let mut graph = DenseGraph::new(1);
    let mut last = graph.input(0);
    for operation in operations {
        let operands = vec![last; operation.input_count()];
        let results = graph.push(operation.clone(), &operands).unwrap();
        last = results.iter().last().unwrap_or(last);
    }
    graph.set_outputs(vec![last]);
    graph
}

fn failed(operation: &str, instruction: usize, source: impl Into<EvalError>) -> GraphError {
    GraphError::Call(CallError::Failed {
        operation: operation.into(),
        instruction,
        source: RuntimeError::new(source),
    })
}

/// By each of the ways in which a program runs an operation.
#[test]
fn a_program_says_which_operation_failed_where_and_why() {
    for operation in [Op::Inverse, Op::Inverses] {
        let name = format!("{operation:?}");
        let program = graph(&[Op::Sum, operation, Op::Sum]).compile();
        let sign = if name == "Inverse" { 1.0 } else { -1.0 };
        assert_eq!(program.try_eval(&mut (), &[&0.5]), Ok(vec![sign * 2.0]));

        let error = program.try_eval(&mut (), &[&0.0]).unwrap_err();
        assert_eq!(error, failed(&name, 1, Singular { pivot: 0.0 }));
        let text = format!("{name} (instruction 1) failed: pivot 0 is zero");
        assert_eq!(error.to_string(), text);
        assert_eq!(panic_text(|| program.eval(&mut (), &[&0.0])), text);

        let source = error.source().expect("there is a cause");
        assert_eq!(source.to_string(), "pivot 0 is zero");
        let source: &RuntimeError = source.downcast_ref().expect("an error of the set's own");
        assert_eq!(source.downcast_ref(), Some(&Singular { pivot: 0.0 }));
    }
    let check = graph(&[Op::Check]).compile();
    assert_eq!(check.try_eval(&mut (), &[&2.0]), Ok(vec![2.0]));
    let error = check.try_eval(&mut (), &[&0.0]);
    assert_eq!(error, Err(failed("Check", 0, Singular { pivot: 0.0 })));
    let error = graph(&[Op::Allocate]).compile().try_eval(&mut (), &[&1.0]);
    assert_eq!(error, Err(failed("Allocate", 0, "no memory")));
}

/// Nothing of a run that failed is left in the workspace, nor is what was appended before an operation failed.
#[test]
fn after_a_failure_all_is_as_before() {
    let program = graph(&[Op::Sum, Op::Inverses]).compile();
    let mut workspace = Workspace::new();
    for _ in 0..2 {
        let mut run = |x: f64| program.try_eval_in(&mut workspace, &mut (), &[&x]);
        assert!(run(0.0).is_err());
        assert_eq!(run(0.5), Ok(vec![-2.0 / 3.0]));
    }
    let mut results = Vec::new();
    Op::Inverses.eval_into(&mut (), &[&0.0], &mut results);
    assert_eq!(results, []);
    Op::Inverses.eval_into(&mut (), &[&4.0], &mut results);
    assert_eq!(results, [0.25, -0.25]);
}

/// Counts, which are compared in one place for all back ends.
#[test]
fn wrong_numbers_of_inputs_and_outputs_are_told() {
    let names = || "x, y".to_owned();
    let unasked = || -> String { unreachable!("nothing is wrong") };
    assert_eq!(CallError::check_inputs(2, 2, unasked), Ok(()));
    assert_eq!(CallError::check_outputs(2, 2, unasked), Ok(()));
    let inputs = CallError::check_inputs(2, 1, names).unwrap_err();
    let text = "the program takes 2 inputs, found 1; its inputs are x, y";
    assert_eq!(inputs.to_string(), text);
    let outputs = CallError::check_outputs(1, 3, names).unwrap_err();
    let text = "the program has 1 output, found room for 3; its outputs are x, y";
    assert_eq!(outputs.to_string(), text);
    assert_eq!(GraphError::from(outputs).to_string(), text);
    let (expected, found) = (2, 1);
    let known = GraphError::WrongInputCount { expected, found };
    assert_eq!(GraphError::from(inputs), known);
}
