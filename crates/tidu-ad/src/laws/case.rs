//! What an author says of one operation, or of one function.

use tidu_graph::GraphOperation;
use tidu_graph::text::operation_label;

use crate::function::Function;

use super::law::Law;
use super::random::Random;
use super::special::SpecialPoint;

pub(super) type Draw<T> = Box<dyn Fn(&mut Random) -> Vec<T>>;

/// An operation or a function to check: where, and what else is known of it.
///
/// # Example
///
/// ```
/// use tidu_ad::laws::{Case, Law, SpecialPoint};
/// use tidu_scalar::ScalarOp;
///
/// let case = Case::operation(ScalarOp::Ln, |random| vec![random.between(0.1, 3.0)])
///     .special(SpecialPoint::at([1.0]).value([0.0]).jvp([2.0], [2.0]))
///     .without(Law::SecondOrder);
/// # let _ = case;
/// ```
pub struct Case<Op: GraphOperation> {
    pub(super) name: String,
    pub(super) about: About<Op>,
    pub(super) draw: Draw<Op::Operand>,
    pub(super) inactive: Vec<usize>,
    pub(super) special: Vec<SpecialPoint<Op::Operand>>,
    pub(super) without: Vec<Law>,
}

pub(super) enum About<Op: GraphOperation> {
    Operation(Op),
    Function(Function<Op>),
}

impl<Op: GraphOperation> Case<Op> {
    /// An operation. `draw` makes operands at which it is smooth, one for each, with whatever shapes
    /// go together; a small step from them must stay inside the domain.
    pub fn operation(
        operation: Op,
        draw: impl Fn(&mut Random) -> Vec<Op::Operand> + 'static,
    ) -> Self {
        let name = operation_label(&operation);
        Self::new(name, About::Operation(operation), Box::new(draw))
    }

    /// A function, under a name for the table. `draw` makes its inputs.
    ///
    /// One that breaks a law is reported by the smallest part of it that does.
    pub fn function(
        name: impl Into<String>,
        function: Function<Op>,
        draw: impl Fn(&mut Random) -> Vec<Op::Operand> + 'static,
    ) -> Self {
        Self::new(name.into(), About::Function(function), Box::new(draw))
    }

    fn new(name: String, about: About<Op>, draw: Draw<Op::Operand>) -> Self {
        Self {
            name,
            about,
            draw,
            inactive: Vec::new(),
            special: Vec::new(),
            without: Vec::new(),
        }
    }

    /// Calls it by this name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Says that operands at these positions have no derivative, though they have coordinates: they
    /// are never active.
    #[must_use]
    pub fn inactive(mut self, operands: impl IntoIterator<Item = usize>) -> Self {
        self.inactive.extend(operands);
        self
    }

    /// Adds a point at which values or derivatives are known.
    #[must_use]
    pub fn special(mut self, point: SpecialPoint<Op::Operand>) -> Self {
        self.special.push(point);
        self
    }

    /// Does not check a law. The table shows it.
    #[must_use]
    pub fn without(mut self, law: Law) -> Self {
        self.without.push(law);
        self
    }
}
