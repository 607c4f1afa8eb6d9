//! What the tests of the facade share: functions written as sketches, the three ways to a
//! derivative, and numbers to hold them against.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

mod bounded;
mod check;
mod dual;
mod eager;
mod interpreter;
mod operand;
mod problem;
mod review;
mod sketch;
pub mod tame;
mod wild;

pub use bounded::Bounded;
pub use check::{assert_all_ways, assert_hvp_all_ways};
pub use dual::{Dual, Number};
pub use eager::{Names, Runtime, eager_gradient, eager_gradient_by};
pub use interpreter::{Interpreter, KeyEvaluator};
pub use operand::{Operand, assert_close, assert_exactly, inner, or_zero};
pub use problem::{Problem, keys, linear_listing};
pub use review::reviewed;
pub use sketch::{Layout, Sketch, Step};
pub use tidu_testkit::Random;
pub use wild::{AWKWARD_NAMES, AWKWARD_NUMBERS, wild_functions, wild_problem};

use std::collections::HashMap;

use tidu::graph::{EvaluableGraphOperation, GraphOperation, ValueKey};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{ADKey, Primitive};

/// Values of inputs, by key.
pub type Point<Op> = HashMap<ValueKey<Op>, <Op as GraphOperation>::Operand>;

/// A key type that the helpers can make keys of.
pub trait TestKey: ADKey {
    fn named(name: &str) -> Self;
    fn numbered(number: u64) -> Self;
}

impl TestKey for ScalarKey {
    fn named(name: &str) -> Self {
        name.into()
    }

    fn numbered(number: u64) -> Self {
        ScalarKey::fresh(number)
    }
}

/// An operation set that the helpers can run.
pub trait TestOp:
    Primitive<InputKey: TestKey> + EvaluableGraphOperation<Context: Default, Operand: Operand>
{
    /// Tells the AD context of an input that is now known by its value.
    fn register(_ctx: &mut Self::ADContext, _key: &ValueKey<Self>, _value: &Self::Operand) {}

    /// Runs the operation.
    fn run(&self, operands: &[&Self::Operand]) -> Vec<Self::Operand> {
        self.eval(&mut Self::Context::default(), operands)
    }
}

impl TestOp for ScalarOp {}

/// The key of a named input.
pub fn input<Op: TestOp>(name: &str) -> ValueKey<Op> {
    ValueKey::Input(Op::InputKey::named(name))
}
