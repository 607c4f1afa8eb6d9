//! What all checks of an operation set share: how operands are seen, where they are evaluated.

use std::cell::RefCell;

use tidu_graph::{EvaluableGraphOperation, GraphOperation, ValueKey};

use crate::function::FunctionProgram;
use crate::rules::Primitive;

use super::fault::Fault;
use super::random::Random;
use super::space::Space;

type Note<Op> =
    Box<dyn Fn(&mut <Op as Primitive>::ADContext, &ValueKey<Op>, &<Op as GraphOperation>::Operand)>;

pub(super) struct Setting<Op: Primitive> {
    pub space: Space<Op::Operand>,
    /// The key of the input at a position.
    pub key: Box<dyn Fn(usize) -> Op::InputKey>,
    pub context: RefCell<Op::Context>,
    pub ad_context: Box<dyn Fn() -> Op::ADContext>,
    /// Tells an AD context of an input with a value like this one.
    pub note: Note<Op>,
    /// The unit of rounding of what operands are made of.
    pub precision: f64,
    /// Relative, for what is equal but for rounding.
    pub tolerance: f64,
    /// To which order emitted operations are followed.
    pub order: usize,
}

impl<Op: Primitive + EvaluableGraphOperation> Setting<Op> {
    pub fn run(
        &self,
        program: &FunctionProgram<Op>,
        values: &[Op::Operand],
    ) -> Result<Vec<Op::Operand>, Box<Fault>> {
        let inputs: Vec<&Op::Operand> = values.iter().collect();
        Ok(program.call_in(&mut self.context.borrow_mut(), &inputs)?)
    }

    /// Random coordinates of a tangent or cotangent of an operand, none of them near zero, where a
    /// term could hide.
    pub fn random_like(&self, like: &Op::Operand, random: &mut Random) -> Vec<f64> {
        let magnitudes = random.many_between(self.space.dimension(like), 0.25, 1.0);
        let sign = |magnitude: f64| match random.below(2) {
            0 => magnitude,
            _ => -magnitude,
        };
        magnitudes.into_iter().map(sign).collect()
    }

    /// Whether two vectors are equal but for rounding, where sums of the given magnitude may have
    /// been rounded on the way.
    pub fn near(&self, a: &[f64], b: &[f64], magnitude: f64) -> bool {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| {
                let scale = magnitude.max(a.abs()).max(b.abs());
                // Equal infinities have no difference; written so that a NaN is near nothing.
                a == b || (a - b).abs() <= self.tolerance * scale
            })
    }

    /// The same for several operands, each with the norm of its own pair as magnitude besides.
    pub fn all_near(&self, a: &[Vec<f64>], b: &[Vec<f64>], magnitude: f64) -> bool {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| {
                let own = super::space::norm(a).max(super::space::norm(b));
                self.near(a, b, magnitude.max(own))
            })
    }
}
