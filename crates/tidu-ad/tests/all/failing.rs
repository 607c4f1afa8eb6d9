//! Functions whose operations cannot be evaluated, or return too little: what a call says.

use std::error::Error;
use std::fmt;

use tidu_ad::{
    Composite, Function, FunctionError, Primitive, PrimitiveBuilder, Rules, RuntimeError,
    StringKey, ValueType,
};
use tidu_graph::{
    CallError, CompiledProgram, EvalError, EvaluableGraphOperation, GraphError, GraphOperation,
    LocalValueId, OperationRole, ValueKey, ValueRef,
};
use tidu_testkit::on_small_stack;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    /// √x, of numbers that have one
    Sqrt,
    /// Returns nothing.
    Forget,
    Call(Composite<Op>),
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0} has no square root")]
struct Negative(f64);

impl GraphOperation for Op {
    type Operand = f64;
    type Context = ();
    type InputKey = StringKey;

    fn input_count(&self) -> usize {
        match self {
            Op::Add => 2,
            Op::Sqrt | Op::Forget => 1,
            Op::Call(function) => function.input_count(),
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Op::Call(function) => function.output_count(),
            _ => 1,
        }
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Call(function) => write!(f, "{function}"),
            other => write!(f, "{other:?}"),
        }
    }

    fn infer_types(&self, _: &[&ValueType]) -> Result<Option<Vec<ValueType>>, EvalError> {
        Ok(Some(vec![ValueType::new("f64", []); self.output_count()]))
    }

    fn type_of_operand(x: &f64) -> Option<ValueType> {
        let kind = if x.is_finite() { "f64" } else { "nothing" };
        Some(ValueType::new(kind, []))
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        self.try_eval(ctx, x).unwrap_or_default()
    }

    fn try_eval(&self, ctx: &mut (), x: &[&f64]) -> Result<Vec<f64>, EvalError> {
        match self {
            Op::Add => Ok(vec![x[0] + x[1]]),
            Op::Sqrt if *x[0] < 0.0 => Err(Negative(*x[0]).into()),
            Op::Sqrt => Ok(vec![x[0].sqrt()]),
            Op::Forget => Ok(vec![]),
            Op::Call(function) => function.try_eval(ctx, x),
        }
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn composite(function: Composite<Self>) -> Option<Self> {
        Some(Op::Call(function))
    }

    fn as_composite(&self) -> Option<&Composite<Self>> {
        match self {
            Op::Call(function) => Some(function),
            _ => None,
        }
    }

    fn jvp_rule(
        &self,
        _: &mut impl PrimitiveBuilder<Self>,
        _: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        _: &[Option<LocalValueId>],
        (): &mut (),
    ) -> Vec<Option<LocalValueId>> {
        unreachable!("nothing is differentiated")
    }
}

/// op(x + x)
fn of_double(op: Op) -> Function<Op> {
    let f = Function::build(["x"], |b, x| {
        let mut add = |op, operands: &[LocalValueId]| {
            let operands = operands.iter().copied().map(ValueRef::Local).collect();
            b.add_operation(op, operands, OperationRole::Primary)
        };
        let double = add(Op::Add, &[x[0], x[0]]);
        add(op, &double)
    });
    f.unwrap()
}

/// The innermost cause of an error.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, root)
}

#[test]
fn a_call_of_a_function_says_which_operation_failed_where_and_why() {
    let f = of_double(Op::Sqrt);
    assert_eq!(f.compile().call(&[8.0]), Ok(vec![4.0]));
    let error = f.compile().call(&[-2.0]).unwrap_err();
    let failed = CallError::Failed {
        operation: "Sqrt".into(),
        instruction: 1,
        source: RuntimeError::new(Negative(-4.0)),
    };
    assert_eq!(error, FunctionError::Graph(GraphError::Call(failed)));
    assert_eq!(
        error.to_string(),
        "Sqrt (instruction 1) failed: -4 has no square root"
    );
    let source = root(&error).downcast_ref::<RuntimeError>();
    assert_eq!(source.unwrap().downcast_ref(), Some(&Negative(-4.0)));
}

/// The cause goes through functions with rules of their own.
#[test]
fn a_call_inside_a_call_says_it_too() {
    let tangent = Function::<Op>::build(["x", "dx"], |_, x| vec![x[1]]).unwrap();
    let rules = || Rules::jvp(tangent.clone());
    let inner = of_double(Op::Sqrt).with_rules("inner", rules()).unwrap();
    let outer = inner.with_rules("outer", rules()).unwrap();
    assert_eq!(outer.compile().call(&[8.0]), Ok(vec![4.0]));
    let error = outer.compile().call(&[-2.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "call outer (instruction 0) failed: call inner (instruction 0) failed: \
         Sqrt (instruction 1) failed: -4 has no square root"
    );
    let forgetful = of_double(Op::Forget).with_rules("forgetful", rules());
    let error = forgetful.unwrap().compile().call(&[-2.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "call forgetful (instruction 0) failed: \
         `eval` of Forget (instruction 1) returned 0 results, expected 1"
    );
}

/// The set does not say which functions its operations hold, so that a program cannot know.
#[test]
fn calls_within_calls_deeper_than_a_stack_bears_are_refused() {
    on_small_stack(|| {
        let tangent = Function::<Op>::build(["x", "dx"], |_, x| vec![x[1]]).unwrap();
        let limit = CompiledProgram::<Op>::DEPTH_LIMIT;
        let nested = |depth| {
            (0..depth).fold(of_double(Op::Sqrt), |f, _| {
                f.with_rules("level", Rules::jvp(tangent.clone())).unwrap()
            })
        };
        assert_eq!(nested(limit).compile().call(&[8.0]), Ok(vec![4.0]));
        for depth in [limit + 1, 3000] {
            let error = nested(depth).compile().call(&[8.0]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "call level (instruction 0) failed: level holds functions {depth} deep in one another, \
                     and at most 128 can be evaluated: `expanded` flattens them"
                )
            );
        }
        let expanded = nested(3000).expanded().unwrap();
        assert_eq!(expanded.compile().call(&[8.0]), Ok(vec![4.0]));
    });
}

/// Errors of a call that functions had before there was one for all programs.
#[test]
fn calls_of_functions_have_the_errors_of_functions() {
    let error = of_double(Op::Forget).compile().call(&[1.0]).unwrap_err();
    assert_eq!(
        error,
        FunctionError::Graph(GraphError::WrongResultCount {
            operation: "Forget".into(),
            instruction: 1,
            expected: 1,
            found: 0,
        })
    );
    let error = of_double(Op::Sqrt).compile().call(&[]).unwrap_err();
    assert_eq!(
        error,
        FunctionError::WrongInputCount {
            expected: 1,
            found: 0,
            known: "x".into(),
        }
    );
    let typed = of_double(Op::Sqrt).with_types([ValueType::new("f64", [])]);
    let typed = typed.unwrap().compile();
    let error = typed.call(&[f64::NAN]).unwrap_err();
    assert_eq!(error.to_string(), "input x is f64, found nothing");
    assert!(matches!(error, FunctionError::WrongType { .. }));
    assert_eq!(typed.peak_bytes(), Some(16));
}
