//! What a workload can be written in, so that each is defined once: numbers, graphs, keys,
//! expressions, tapes, and the variables of other libraries.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_eager::{EagerInput, KeySource, RecordedGraph, Recorder, Tape, Var};
use tidu_graph::{
    EvaluableGraphOperation, GraphBuilder, LocalValueId, OperationKey, OperationRole, ValueKey,
};
use tidu_scalar::{Expr, ScalarKey, ScalarOp};

use crate::programs::apply;

/// The operations that workloads are made of.
pub trait Arithmetic {
    /// What an operation takes and makes.
    type Value: Clone;

    /// A number that is known beforehand.
    fn constant(&mut self, value: f64) -> Self::Value;
    /// -x
    fn neg(&mut self, x: &Self::Value) -> Self::Value;
    /// sin x
    fn sin(&mut self, x: &Self::Value) -> Self::Value;
    /// cos x
    fn cos(&mut self, x: &Self::Value) -> Self::Value;
    /// eˣ
    fn exp(&mut self, x: &Self::Value) -> Self::Value;
    /// √x
    fn sqrt(&mut self, x: &Self::Value) -> Self::Value;
    /// x + y
    fn add(&mut self, x: &Self::Value, y: &Self::Value) -> Self::Value;
    /// x - y
    fn sub(&mut self, x: &Self::Value, y: &Self::Value) -> Self::Value;
    /// x·y
    fn mul(&mut self, x: &Self::Value, y: &Self::Value) -> Self::Value;
    /// x / y
    fn div(&mut self, x: &Self::Value, y: &Self::Value) -> Self::Value;
}

/// Plain numbers: a workload is computed.
pub struct Numbers;

/// Nothing: the operations of a workload are counted, but for constants.
#[derive(Default)]
pub struct Counting {
    /// How many there were.
    pub operations: usize,
}

/// A graph being built.
pub struct Building<'a>(pub &'a mut GraphBuilder<ScalarOp>);

/// Keys that describe the results.
pub struct Keys;

/// Expressions with operators.
pub struct Expressions;

/// A tape being recorded.
pub struct Recording<'a>(pub &'a mut Tape<ScalarOp>);

/// A recorder that is told of one call per operation. A constant is a value without a name of its own.
pub struct Calls(Recorder<Numbered>);

impl Default for Calls {
    fn default() -> Self {
        Self(Recorder::new(Numbered::default()))
    }
}

/// Names that count.
#[derive(Default)]
pub struct Numbered(u64);

impl KeySource<ScalarOp> for Numbered {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}

/// The methods of [`Arithmetic`], all of them by one `$apply(self, operation, operands)`.
macro_rules! by_operation {
    ($apply:expr) => {
        fn constant(&mut self, value: f64) -> Self::Value {
            $apply(self, ScalarOp::constant(value), &[])
        }

        by_operation!(@unary $apply, neg Neg, sin Sin, cos Cos, exp Exp, sqrt Sqrt);
        by_operation!(@binary $apply, add Add, sub Sub, mul Mul, div Div);
    };
    (@unary $apply:expr, $($method:ident $Op:ident),*) => {$(
        fn $method(&mut self, x: &Self::Value) -> Self::Value {
            $apply(self, ScalarOp::$Op, &[x])
        }
    )*};
    (@binary $apply:expr, $($method:ident $Op:ident),*) => {$(
        fn $method(&mut self, x: &Self::Value, y: &Self::Value) -> Self::Value {
            $apply(self, ScalarOp::$Op, &[x, y])
        }
    )*};
}

/// The methods of [`Arithmetic`] for a type with operators and the methods of `f64`.
macro_rules! by_operators {
    () => {
        by_operators!(@unary sin, cos, exp, sqrt);
        by_operators!(@binary add +, sub -, mul *, div /);

        fn neg(&mut self, x: &Self::Value) -> Self::Value {
            -x
        }
    };
    (@unary $($method:ident),*) => {$(
        fn $method(&mut self, x: &Self::Value) -> Self::Value {
            x.$method()
        }
    )*};
    (@binary $($method:ident $operator:tt),*) => {$(
        fn $method(&mut self, x: &Self::Value, y: &Self::Value) -> Self::Value {
            x $operator y
        }
    )*};
}

impl Arithmetic for Numbers {
    type Value = f64;

    fn constant(&mut self, value: f64) -> f64 {
        value
    }

    by_operators!();
}

impl Arithmetic for Expressions {
    type Value = Expr;

    fn constant(&mut self, value: f64) -> Expr {
        Expr::constant(value)
    }

    by_operators!();
}

impl Counting {
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the others keep the operation"
    )]
    fn apply(&mut self, op: ScalarOp, _operands: &[&()]) {
        self.operations += usize::from(!matches!(op, ScalarOp::Constant(_)));
    }
}

impl Arithmetic for Counting {
    type Value = ();

    by_operation!(Self::apply);
}

impl Building<'_> {
    fn apply(&mut self, op: ScalarOp, operands: &[&LocalValueId]) -> LocalValueId {
        match *operands {
            [] => apply(self.0, op, &[])[0],
            [&x] => apply(self.0, op, &[x])[0],
            [&x, &y] => apply(self.0, op, &[x, y])[0],
            _ => unreachable!("workloads have operations of at most two operands"),
        }
    }
}

impl Arithmetic for Building<'_> {
    type Value = LocalValueId;

    by_operation!(Self::apply);
}

impl Arithmetic for Keys {
    type Value = ValueKey<ScalarOp>;

    by_operation!(
        |_: &mut Self, op: ScalarOp, operands: &[&ValueKey<ScalarOp>]| {
            let operands = operands.iter().map(|&operand| operand.clone()).collect();
            ValueKey::Derived {
                operation: OperationKey::new(op, operands, OperationRole::Primary).into(),
                output_slot: 0,
            }
        }
    );
}

impl Arithmetic for Recording<'_> {
    type Value = Var<ScalarOp>;

    fn constant(&mut self, value: f64) -> Self::Value {
        Var::constant(value)
    }

    by_operation!(@unary Self::apply, neg Neg, sin Sin, cos Cos, exp Exp, sqrt Sqrt);
    by_operation!(@binary Self::apply, add Add, sub Sub, mul Mul, div Div);
}

impl Recording<'_> {
    fn apply(&mut self, op: ScalarOp, operands: &[&Var<ScalarOp>]) -> Var<ScalarOp> {
        let result = self.0.apply_one(op, operands);
        result.expect("operands of the same tape, as many as the operation takes")
    }
}

impl Calls {
    /// A value to differentiate by, or a constant.
    pub fn input(&mut self, value: f64, requires_grad: bool) -> EagerInput<ScalarOp> {
        EagerInput {
            key: ValueKey::Input(self.0.key_source_mut().fresh_input_key()),
            trace: None,
            requires_grad,
            data: Arc::new(value),
        }
    }

    fn apply(&mut self, op: ScalarOp, operands: &[&EagerInput<ScalarOp>]) -> EagerInput<ScalarOp> {
        let numbers: Vec<&f64> = operands.iter().map(|operand| &*operand.data).collect();
        let result = Arc::new(op.eval(&mut (), &numbers)[0]);
        let keys = self.0.fresh_input_keys::<ScalarOp>(operands.len());
        let call = RecordedGraph::from_primitive(op, keys);
        // What the rules of an operation use of its result, say of eˣ, must be retained.
        let retained = HashMap::from([(call.output_keys()[0].clone(), Arc::clone(&result))]);
        let operands: Vec<_> = operands.iter().map(|&operand| operand.clone()).collect();
        let results = [Arc::clone(&result)];
        let mut outputs = self.0.record_graph(call, &operands, &results, retained);
        let output = outputs.remove(0);
        EagerInput {
            key: output.key,
            trace: output.trace,
            requires_grad: output.requires_grad,
            data: result,
        }
    }
}

impl Arithmetic for Calls {
    type Value = EagerInput<ScalarOp>;

    fn constant(&mut self, value: f64) -> Self::Value {
        self.input(value, false)
    }

    by_operation!(@unary Self::apply, neg Neg, sin Sin, cos Cos, exp Exp, sqrt Sqrt);
    by_operation!(@binary Self::apply, add Add, sub Sub, mul Mul, div Div);
}
