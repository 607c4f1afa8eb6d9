//! The two walks behind every derivative: forward with tangents, and backward with cotangents.
//!
//! Each meets the operations that a tangent or a cotangent reaches, in order, once. What is done there differs, and is a
//! closure: a rule is asked, and emits into a graph; a derivative that is known is put into a graph, or computed with; an
//! executor is called; or it is only noted that there would be something.

use std::convert::Infallible;
use std::ops::Range;

use tidu_graph::{DenseNode, GraphOperation, Step, StepOperand, TableOperation};

/// An operation as a walk sees it: values are known by numbers.
pub trait WalkStep {
    /// What is computed from, in order.
    fn operands(&self) -> impl Iterator<Item = usize>;

    /// What is computed.
    fn results(&self) -> Range<usize>;
}

/// Tangents or cotangents of numbered values, or whether there are any.
pub trait Symbolic {
    /// Whether a value has nothing but a symbolic zero.
    fn is_zero(&self, value: usize) -> bool;
}

/// Goes through steps in the order in which they compute, with the tangents of all values: `jvp` is called where an
/// operand has one, and gives the results theirs. All others keep symbolic zeros.
///
/// # Errors
///
/// The first one that `jvp` returns.
///
/// # Complexity
///
/// Linear in steps and operands.
#[inline]
pub fn push_forward<S: WalkStep, T: Symbolic, E>(
    steps: impl IntoIterator<Item = S>,
    tangents: &mut T,
    mut jvp: impl FnMut(S, &mut T) -> Result<(), E>,
) -> Result<(), E> {
    for step in steps {
        if step.operands().any(|value| !tangents.is_zero(value)) {
            jvp(step, tangents)?;
        }
    }
    Ok(())
}

/// Goes through steps from the last to the first, with the cotangents of all values: `vjp` is called where a result has
/// one, and adds to those of the operands. As everything that uses a value comes after what makes it, a cotangent is
/// complete when its step is met.
///
/// # Errors
///
/// The first one that `vjp` returns.
///
/// # Complexity
///
/// Linear in steps and results.
#[inline]
pub fn pull_back<S: WalkStep, T: Symbolic, E>(
    steps: impl IntoIterator<Item = S, IntoIter: DoubleEndedIterator>,
    cotangents: &mut T,
    mut vjp: impl FnMut(S, &mut T) -> Result<(), E>,
) -> Result<(), E> {
    for step in steps.into_iter().rev() {
        if step.results().any(|value| !cotangents.is_zero(value)) {
            vjp(step, cotangents)?;
        }
    }
    Ok(())
}

/// By value: whether it depends on one of these.
pub(crate) fn depends_on<S: WalkStep>(
    steps: impl IntoIterator<Item = S>,
    values: usize,
    on: impl IntoIterator<Item = usize>,
) -> Vec<bool> {
    let mut depends = vec![false; values];
    on.into_iter().for_each(|value| depends[value] = true);
    let Ok(()) = push_forward(steps, &mut depends, |step, depends| {
        depends[step.results()].fill(true);
        Ok::<(), Infallible>(())
    });
    depends
}

/// By value: whether one of these depends on it.
pub(crate) fn needed_for<S: WalkStep>(
    steps: impl IntoIterator<Item = S, IntoIter: DoubleEndedIterator>,
    values: usize,
    of: impl IntoIterator<Item = usize>,
) -> Vec<bool> {
    let mut needed = vec![false; values];
    of.into_iter().for_each(|value| needed[value] = true);
    let Ok(()) = pull_back(steps, &mut needed, |step, needed| {
        step.operands().for_each(|value| needed[value] = true);
        Ok::<(), Infallible>(())
    });
    needed
}

impl<T> Symbolic for Vec<Option<T>> {
    #[inline]
    fn is_zero(&self, value: usize) -> bool {
        self[value].is_none()
    }
}

/// Whether there are any.
impl Symbolic for Vec<bool> {
    #[inline]
    fn is_zero(&self, value: usize) -> bool {
        !self[value]
    }
}

impl<Op: GraphOperation> WalkStep for DenseNode<'_, Op> {
    #[inline]
    fn operands(&self) -> impl Iterator<Item = usize> {
        self.operands.iter().map(|id| id.index())
    }

    #[inline]
    fn results(&self) -> Range<usize> {
        self.results.indices()
    }
}

impl<Op: GraphOperation> WalkStep for Step<'_, Op> {
    fn operands(&self) -> impl Iterator<Item = usize> {
        Step::operands(self).filter_map(|operand| match operand {
            StepOperand::Local(value) => Some(value),
            StepOperand::External(_) => None,
        })
    }

    #[inline]
    fn results(&self) -> Range<usize> {
        Step::results(self)
    }
}

impl<Op: GraphOperation> WalkStep for TableOperation<'_, Op> {
    fn operands(&self) -> impl Iterator<Item = usize> {
        TableOperation::operands(self).iter().map(|id| id.index())
    }

    fn results(&self) -> Range<usize> {
        let first = self.output(0).index();
        first..first + self.key().operation().output_count()
    }
}

/// With something that is known of it.
impl<S: WalkStep, T> WalkStep for (S, T) {
    #[inline]
    fn operands(&self) -> impl Iterator<Item = usize> {
        self.0.operands()
    }

    #[inline]
    fn results(&self) -> Range<usize> {
        self.0.results()
    }
}
