//! Operations that cannot be evaluated: the tape says which, where and why, and is as it was before.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

use thiserror::Error;
use tidu_ad::rules::{MaskFlow, Masking, Term, Times, Work};
use tidu_ad::{ADRuleResult, Function, Linearity, Primitive, PrimitiveBuilder, PrimitiveValue};
use tidu_eager::{
    EagerError, EagerInput, EagerOutput, EvalExecutor, RecordedGraph, Recorder, Tape, Var,
    try_backward,
};
use tidu_graph::{
    EvalError, EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey,
    ValueRef,
};
use tidu_scalar::ScalarKey;

use crate::support::Values;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    /// x + y, up to 100
    Add,
    Mul,
    /// x, if it is not negative
    Check,
    /// y where x is not 0, and 0 elsewhere; not of 13
    KeepIf,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("{0} is out of range")]
struct OutOfRange(f64);

impl GraphOperation for Op {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        if *self == Op::Check { 1 } else { 2 }
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        self.try_eval(ctx, x).expect("a tape does not call this")
    }

    fn try_eval(&self, (): &mut (), x: &[&f64]) -> Result<Vec<f64>, EvalError> {
        let (value, is_good) = match self {
            Op::Add => (x[0] + x[1], x[0] + x[1] <= 100.0),
            Op::Mul => (x[0] * x[1], true),
            Op::Check => (*x[0], *x[0] >= 0.0),
            Op::KeepIf if *x[0] == 0.0 => (0.0, true),
            Op::KeepIf => (*x[1], *x[1] != 13.0),
            Op::Max => (x[0].max(*x[1]), true),
        };
        if is_good {
            Ok(vec![value])
        } else {
            Err(OutOfRange(value).into())
        }
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn linearity(&self) -> Linearity {
        match self {
            Op::Add | Op::Check => Linearity::Joint,
            Op::Mul => Linearity::In(&[&[true, false], &[false, true]]),
            Op::KeepIf => Linearity::In(&[&[false, true]]),
            Op::Max => Linearity::Never,
        }
    }

    fn masking() -> Option<Masking<Self>> {
        Some(Masking {
            keep_if: Op::KeepIf,
            either: Op::Max,
        })
    }

    fn selects(&self) -> bool {
        *self == Op::KeepIf
    }

    fn mask_flow(
        &self,
        _: &[PrimitiveValue<Self>],
        _: usize,
        _: &mut (),
    ) -> ADRuleResult<MaskFlow> {
        Ok(if self.selects() {
            MaskFlow::Moved
        } else {
            MaskFlow::Kept
        })
    }

    fn mask_rule(
        &self,
        _: &mut impl PrimitiveBuilder<Self>,
        _: Option<&PrimitiveValue<Self>>,
        inputs: &[PrimitiveValue<Self>],
        _: usize,
        _: &mut (),
    ) -> ADRuleResult<PrimitiveValue<Self>> {
        Ok(inputs[0].clone())
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        inputs: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        tangents: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        if *self == Op::Add {
            return vec![b.emit_sum([tangents[0], tangents[1]])];
        }
        let work = &Work::new(b, ctx);
        let x: Vec<_> = inputs.iter().map(|key| work.primal(key)).collect();
        let dx: Vec<_> = tangents.iter().map(|&id| work.tangent(id)).collect();
        vec![work.by_linearity(self, self.linearity(), &x, &dx).id()]
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let OperationRole::Linearized { active_mask } = role else {
            panic!("only linear operations are transposed");
        };
        let work = &Work::new(b, ctx);
        let ct = work.tangent(cotangents[0]);
        match self {
            Op::Add => vec![ct.id(), ct.id()],
            Op::Mul if active_mask[0] => {
                vec![work.operand(&inputs[1]).with(Op::Mul, ct).id(), None]
            }
            Op::Mul | Op::KeepIf => {
                let operation = self.clone();
                vec![None, work.operand(&inputs[0]).with(operation, ct).id()]
            }
            Op::Check => vec![ct.then(Op::Check).id()],
            Op::Max => vec![None, None],
        }
    }
}

type OpTape = Tape<Op>;

fn tape() -> OpTape {
    Tape::new(|| ScalarKey::fresh(0))
}

/// What a failure is to say.
#[derive(Clone, Copy)]
struct Expected {
    operation: &'static str,
    derivative_of: Option<&'static str>,
    line: Option<u32>,
    value: f64,
}

#[track_caller]
fn assert_failed<T>(found: Result<T, EagerError>, expected: Expected) {
    let Err(error) = found else {
        panic!("it was evaluated");
    };
    let text = error.to_string();
    let cause = std::error::Error::source(&error).expect("a cause");
    assert!(cause.to_string().contains("is out of range"), "{cause}");
    let EagerError::Failed {
        operation,
        derivative_of,
        location,
        source,
    } = &error
    else {
        panic!("{text}");
    };
    assert_eq!(operation, expected.operation, "{text}");
    assert_eq!(derivative_of.as_deref(), expected.derivative_of, "{text}");
    assert_eq!(location.map(Location::line), expected.line, "{text}");
    assert!(
        location.is_none_or(|at| at.file().ends_with("failing.rs")),
        "{text}"
    );
    if operation.starts_with("a function") {
        assert!(
            text.contains(&OutOfRange(expected.value).to_string()),
            "{text}"
        );
    } else {
        assert_eq!(
            source.downcast_ref(),
            Some(&OutOfRange(expected.value)),
            "{text}"
        );
    }
}

/// Runs what fails, and looks whether the tape is what it was before.
#[track_caller]
fn fails<T>(
    tape: &mut OpTape,
    expected: Expected,
    run: impl FnOnce(&mut OpTape) -> Result<T, EagerError>,
) {
    let before = format!("{tape:?}");
    let found = run(tape);
    assert_failed(found, expected);
    assert_eq!(format!("{tape:?}"), before);
    let (x, y) = (tape.leaf(3.0), tape.leaf(5.0));
    let product = tape.apply_one(Op::Mul, &[&x, &y]).expect("fine");
    let found = tape.backward(&[(&product, 2.0)], &[&x, &y]);
    assert_eq!(found, Ok(vec![Some(10.0), Some(6.0)]));
}

#[test]
fn going_forward() {
    let mut tape = tape();
    let x = tape.leaf(-1.0);
    let applied = |line| Expected {
        operation: "Check",
        derivative_of: None,
        line: Some(line),
        value: -1.0,
    };
    let line = line!() + 2;
    fails(&mut tape, applied(line), |tape| {
        tape.apply_one(Op::Check, &[&x])
    });
    let line = line!() + 2;
    fails(&mut tape, applied(line), |tape| {
        tape.apply(Op::Check, &[&x.detach()])
    });
    let line = line!() + 2;
    fails(&mut tape, applied(line), |tape| {
        tape.no_grad(|tape| tape.apply(Op::Check, &[&x]))
    });
    let line = line!() + 2;
    fails(&mut tape, applied(line), |tape| {
        tape.checkpoint(&[&x], |tape, x| tape.apply(Op::Check, &[&x[0]]))
    });
    let error = tape.apply_one(Op::Check, &[&x]).expect_err("negative");
    let text = error.to_string();
    assert!(
        text.starts_with("Check, applied at crates/tidu-eager/tests/"),
        "{text}"
    );
    assert!(text.ends_with(", failed: -1 is out of range"), "{text}");
}

#[test]
fn functions() {
    let function = Function::build(["x"], |b, x| {
        let operands = vec![ValueRef::Local(x[0])];
        b.add_operation(Op::Check, operands, OperationRole::Primary)
    });
    let function = function.expect("a function");
    let mut tape = tape();
    let x = tape.leaf(-1.0);
    let applied = |line| Expected {
        operation: "a function of x",
        derivative_of: None,
        line: Some(line),
        value: -1.0,
    };
    for operand in [x, x.detach()] {
        let line = line!() + 2;
        fails(&mut tape, applied(line), |tape| {
            tape.apply_function(&function, &[&operand])
        });
    }
    // What is wrong inside on the way back is a part of its derivative.
    tape.watch(|_| None);
    let x = tape.leaf(1.0);
    let line = line!() + 2;
    let y = tape
        .apply_function(&function, &[&x])
        .expect("fine")
        .remove(0);
    let expected = Expected {
        operation: "Check",
        derivative_of: Some("a function of x"),
        line: Some(line),
        value: -2.0,
    };
    fails(&mut tape, expected, |tape| {
        tape.backward_keeping(&[(&y, -2.0)], &[&x])
    });
}

#[test]
fn an_operation_of_a_derivative() {
    for watched in [false, true] {
        let mut tape = tape();
        if watched {
            tape.watch(|_| None);
        }
        let x = tape.leaf(1.0);
        let (_, first) = (tape.apply_one(Op::Check, &[&x]), line!());
        let (y, line) = (tape.apply_one(Op::Check, &[&x]), line!());
        let y = y.expect("fine");
        // Where exactly is known only of a tape that is watched; where first, of every one.
        let expected = || Expected {
            operation: "Check",
            derivative_of: Some("Check"),
            line: Some(if watched { line } else { first }),
            value: -2.0,
        };
        fails(&mut tape, expected(), |tape| {
            tape.backward_keeping(&[(&y, -2.0)], &[&x])
        });
        fails(&mut tape, expected(), |tape| {
            tape.backward_all(&[(&y, -2.0)])
        });
        // Forward, the first one is met first.
        let met_first = Expected {
            line: Some(first),
            ..expected()
        };
        fails(&mut tape, met_first, |tape| {
            tape.tangents(&[(&x, -2.0)], &[&y])
        });
        let seed = tape.leaf(-2.0);
        for seed in [Var::constant(-2.0), seed] {
            fails(&mut tape, expected(), |tape| {
                tape.backward_recorded(&[(&y, seed)], &[&x])
            });
        }
        assert_eq!(tape.backward(&[(&y, 2.0)], &[&x]), Ok(vec![Some(2.0)]));
    }
}

#[test]
fn sums() {
    let mut tape = tape();
    let x = tape.leaf(1.0);
    let (y, line) = (tape.apply_one(Op::Mul, &[&x, &x]), line!());
    let y = y.expect("fine");
    let of_product = || Expected {
        operation: "Add",
        derivative_of: Some("Mul"),
        line: Some(line),
        value: 120.0,
    };
    fails(&mut tape, of_product(), |tape| {
        tape.backward_keeping(&[(&y, 60.0)], &[&x])
    });
    fails(&mut tape, of_product(), |tape| {
        tape.backward_recorded(&[(&y, Var::constant(60.0))], &[&x])
    });
    fails(&mut tape, of_product(), |tape| {
        tape.tangents(&[(&x, 60.0)], &[&y])
    });
    // What is given twice is added, too.
    let given = |line| Expected {
        operation: "Add",
        derivative_of: None,
        line,
        value: 120.0,
    };
    fails(&mut tape, given(None), |tape| {
        tape.backward_keeping(&[(&y, 60.0), (&y, 60.0)], &[&x])
    });
    fails(&mut tape, given(None), |tape| {
        tape.tangents(&[(&x, 60.0), (&x, 60.0)], &[&y])
    });
    let seed = || Var::constant(60.0);
    let line = line!() + 2;
    fails(&mut tape, given(Some(line)), |tape| {
        tape.backward_recorded(&[(&y, seed()), (&y, seed())], &[&x])
    });
    assert_eq!(tape.backward(&[(&y, 2.0)], &[&x]), Ok(vec![Some(4.0)]));
}

#[test]
fn a_segment_that_runs_again() {
    let mut tape = tape();
    let x = tape.leaf(1.0);
    let line = line!() + 2;
    let y = tape.checkpoint(&[&x], |tape, x| {
        let y = tape.apply_one(Op::Check, &[&x[0]])?;
        tape.apply(Op::Mul, &[&y, &y])
    });
    let y = y.expect("fine").remove(0);
    let expected = || Expected {
        operation: "Check",
        derivative_of: Some("Check"),
        line: Some(line),
        value: -20.0,
    };
    fails(&mut tape, expected(), |tape| {
        tape.backward_keeping(&[(&y, -10.0)], &[&x])
    });
    fails(
        &mut tape,
        Expected {
            value: -10.0,
            ..expected()
        },
        |tape| tape.tangents(&[(&x, -10.0)], &[&y]),
    );
    assert_eq!(tape.backward(&[(&y, 2.0)], &[&x]), Ok(vec![Some(4.0)]));
}

/// Whether a mask holds for what a hook returned is a question to an operation, too.
#[test]
fn the_mask_of_what_a_hook_returns() {
    let mut tape = tape();
    let (x, mask) = (tape.leaf(2.0), Var::constant(1.0));
    let double = tape.apply_one(Op::Add, &[&x, &x]).expect("fine");
    let y = tape.apply_one(Op::KeepIf, &[&mask, &double]).expect("fine");
    let line = line!() + 1;
    let hook = tape.hook(&double, |_| Some(13.0)).expect("a variable");
    let expected = Expected {
        operation: "KeepIf",
        derivative_of: None,
        line: Some(line),
        value: 13.0,
    };
    fails(&mut tape, expected, |tape| {
        tape.backward_keeping(&[(&y, 1.0)], &[&x])
    });
    assert!(tape.remove_hook(hook));
    assert_eq!(tape.backward(&[(&y, 1.0)], &[&x]), Ok(vec![Some(2.0)]));
}

/// An executor returns why it could not transpose, and where it can return nothing, says so.
#[test]
fn the_ready_executor() {
    let mut names = 0;
    let mut recorder = Recorder::new(|| {
        names += 1;
        ScalarKey::fresh(names)
    });
    let x = EagerInput {
        key: ValueKey::Input(ScalarKey::from("x")),
        trace: None,
        requires_grad: true,
        data: Arc::new(1.0),
    };
    let mut record = |operation: Op| {
        let count = operation.input_count();
        let keys = recorder.fresh_input_keys::<Op>(count);
        let graph = RecordedGraph::from_primitive(operation, keys);
        let operands = vec![x.clone(); count];
        recorder
            .record_graph(graph, &operands, &[Arc::new(1.0)], HashMap::new())
            .remove(0)
    };
    let back = |y: &EagerOutput<Op>, seed: f64| -> ADRuleResult<Values<Op>> {
        let mut executor = EvalExecutor::default();
        try_backward(
            &y.key,
            y.trace.as_ref(),
            Arc::new(seed),
            &mut executor,
            &mut (),
        )
    };
    let checked = record(Op::Check);
    let error = back(&checked, -2.0).expect_err("negative").to_string();
    assert!(
        error.contains("Check (instruction 0) failed: -2 is out of range"),
        "{error}"
    );
    let product = record(Op::Mul);
    assert_eq!(*back(&product, 50.0).expect("fine")[&x.key], 100.0);
    let found = catch_unwind(AssertUnwindSafe(|| back(&product, 60.0)));
    let panic = found.expect_err("a sum of cotangents is not a result");
    let text = panic.downcast_ref::<String>().expect("a text");
    assert!(
        text.contains("Add (instruction 0) failed: 120 is out of range"),
        "{text}"
    );
}
