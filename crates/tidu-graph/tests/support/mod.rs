//! What the tests of this crate share: small programs, a misshapen operation, a small stack, and
//! the text of a panic.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::{Arc, Once};

use tidu_graph::{
    EvaluableGraphOperation, Graph, GraphBuilder, GraphOperation, LocalValueId, OperationRole,
    ValueKey, ValueRef,
};
use tidu_scalar::{ScalarKey, ScalarOp};

/// Adds a primal operation on local values and returns its results.
pub fn apply<Op: GraphOperation>(
    builder: &mut GraphBuilder<Op>,
    op: Op,
    operands: &[LocalValueId],
) -> Vec<LocalValueId> {
    let operands = operands.iter().copied().map(ValueRef::Local).collect();
    builder.add_operation(op, operands, OperationRole::Primary)
}

/// The keys of a graph's outputs.
pub fn output_keys<Op: GraphOperation>(graph: &Graph<Op>) -> Vec<ValueKey<Op>> {
    let outputs = graph.outputs().iter();
    outputs.map(|&id| graph.values()[id].key.clone()).collect()
}

pub fn input(name: &str) -> ValueKey<ScalarOp> {
    ValueKey::Input(ScalarKey::from(name))
}

/// v = x; `steps` times: v = v + y·sin v. Three operations a step.
pub fn chain(steps: usize) -> Graph<ScalarOp> {
    let mut builder = GraphBuilder::new();
    let mut v = builder.add_input("x".into());
    let y = builder.add_input("y".into());
    for _ in 0..steps {
        let sin = apply(&mut builder, ScalarOp::Sin, &[v])[0];
        let product = apply(&mut builder, ScalarOp::Mul, &[y, sin])[0];
        v = apply(&mut builder, ScalarOp::Add, &[v, product])[0];
    }
    builder.set_outputs(vec![v]);
    builder.build()
}

/// What [`chain`] computes.
pub fn chain_value(steps: usize, x: f64, y: f64) -> f64 {
    (0..steps).fold(x, |v, _| v + y * v.sin())
}

/// v = the input `name`; `depth` times: v = v·v. Written out, a tree of 2^depth.
pub fn square(name: &str, depth: usize) -> Graph<ScalarOp> {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(name.into());
    let v = append_square(&mut builder, x, depth);
    builder.set_outputs(vec![v]);
    builder.build()
}

pub fn append_square(
    builder: &mut GraphBuilder<ScalarOp>,
    x: LocalValueId,
    depth: usize,
) -> LocalValueId {
    (0..depth).fold(x, |v, _| apply(builder, ScalarOp::Mul, &[v, v])[0])
}

/// An operation of any shape. It returns `returned` results: the sum of its operands plus the slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    pub name: &'static str,
    pub inputs: usize,
    pub outputs: usize,
    pub returned: usize,
}

impl Block {
    /// A block that returns what it promises.
    pub fn new(name: &'static str, inputs: usize, outputs: usize) -> Self {
        Self {
            name,
            inputs,
            outputs,
            returned: outputs,
        }
    }
}

impl GraphOperation for Block {
    type Operand = f64;
    type Context = ();
    type InputKey = u32;

    fn input_count(&self) -> usize {
        self.inputs
    }

    fn output_count(&self) -> usize {
        self.outputs
    }
}

impl EvaluableGraphOperation for Block {
    fn eval(&self, _ctx: &mut (), inputs: &[&f64]) -> Vec<f64> {
        let sum: f64 = inputs.iter().copied().sum();
        (0..self.returned).map(|slot| sum + slot as f64).collect()
    }
}

/// Runs on a stack of 2 MiB, whatever the test harness uses.
pub fn on_small_stack<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(body);
    match thread.expect("a thread can be started").join() {
        Ok(value) => value,
        Err(panic) => resume_unwind(panic),
    }
}

thread_local! {
    /// Whether this thread expects a panic, and where it then came from.
    static EXPECTED_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The text of the panic that `body` must raise, which must point at a test, not at the library.
pub fn panic_text<T>(body: impl FnOnce() -> T) -> String {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            let ours = EXPECTED_PANIC.with_borrow_mut(|place| {
                let place = place.as_mut()?;
                *place = panic.location()?.file().replace('\\', "/");
                Some(())
            });
            if ours.is_none() {
                others(panic);
            }
        }));
    });
    EXPECTED_PANIC.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(body));
    let place = EXPECTED_PANIC.take().expect("set above");
    let panic = result.err().expect("a panic");
    assert!(place.contains("tests/"), "the panic points at {place}");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(text) => text.downcast::<&str>().expect("a text").to_string(),
    }
}

/// A graph as views take it.
pub fn shared<Op: GraphOperation>(graph: Graph<Op>) -> Arc<Graph<Op>> {
    Arc::new(graph)
}
