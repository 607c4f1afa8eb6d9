//! A kit that checks the rules of an operation set, for the tests of its author.
//!
//! Rules are short and easy to get wrong: a sign, a missing term, a conjugate. What is derived from
//! wrong rules is wrong without an error. Right rules obey laws, each a [`Law`], which can be
//! checked at random points without knowing what the operations are. [`Laws`] checks all laws for
//! all operations, and prints a table; a failure names law, operation and point, what was expected
//! and found, and shows the graphs.
//!
//! # Example
//!
//! ```
//! use tidu_ad::laws::Laws;
//! use tidu_scalar::{ScalarKey, ScalarOp};
//!
//! let report = Laws::on_reals(|position| ScalarKey::fresh(position as u64))
//!     .operations([ScalarOp::Add, ScalarOp::Mul], |random| random.many_between(2, -2.0, 2.0))
//!     .operation(ScalarOp::Ln, |random| vec![random.between(0.1, 3.0)])
//!     .check();
//! report.assert();
//! assert_eq!(report.to_string(), "
//!      jvp  linear  transpose  zeros  second  pure  closed  growth  declared  points
//! add  ok   ok      ok         ok     ok      ok    ok      ok      ok        .
//! mul  ok   ok      ok         ok     ok      ok    ok      ok      ok        .
//! ln   ok   ok      ok         ok     ok      ok    ok      ok      ok        ."[1..]);
//! ```
//!
//! # What an author says
//!
//! | what | how |
//! |---|---|
//! | operands as vectors | [`Space`]; there is one for `f64` ([`Laws::on_reals`]) |
//! | names of inputs | a function from positions to keys |
//! | operations, and points where they are smooth | [`Laws::operation`], [`Laws::operations`]; [`Laws::case`] for more |
//! | operands without derivative | [`Case::inactive`]; none is needed for operands without coordinates |
//! | what must come out at the edges | [`SpecialPoint`] |
//! | where operations are evaluated | [`Laws::in_context`] |
//! | shapes, for rules that look them up | [`Laws::noting`] |
//! | operands of single precision | [`Laws::precision`] |
//! | functions of one's own, random ones | [`Case::function`], [`Laws::compositions`] |
//!
//! Nothing here needs a test framework, and nothing is random from run to run.

mod case;
mod closure;
mod composition;
mod declaration;
mod fault;
mod growth;
mod jvp;
mod law;
mod linearity;
mod masks;
mod patterns;
mod probe;
mod purity;
mod random;
mod report;
mod second_order;
mod setting;
mod shrink;
mod space;
mod special;
mod subject;
mod transpose;
mod trial;
mod zeros;

use std::cell::RefCell;

use tidu_graph::{EvaluableGraphOperation, ValueKey};

pub use case::Case;
pub use law::Law;
pub use random::Random;
pub use report::{Failure, LawReport, Outcome, Row};
pub use space::Space;
pub use special::SpecialPoint;

use crate::rules::Primitive;
use setting::Setting;

/// The laws, and the operations and functions to check them for.
///
/// See the [module](self) for an example.
pub struct Laws<Op: Primitive> {
    setting: Setting<Op>,
    cases: Vec<Case<Op>>,
    points: usize,
    compositions: usize,
    steps: usize,
    seed: u64,
}

impl<Op> Laws<Op>
where
    Op: Primitive + EvaluableGraphOperation<Operand = f64, Context: Default>,
{
    /// For operations on real numbers. `key` names the input at a position; different positions must
    /// have different names.
    pub fn on_reals(key: impl Fn(usize) -> Op::InputKey + 'static) -> Self {
        Self::new(Space::reals(), key)
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Laws<Op> {
    /// For operations on the vectors of a space. `key` names the input at a position; different
    /// positions must have different names.
    pub fn new(space: Space<Op::Operand>, key: impl Fn(usize) -> Op::InputKey + 'static) -> Self
    where
        Op::Context: Default,
    {
        Self::in_context(space, key, Op::Context::default())
    }

    /// [`new`](Self::new), with a context to evaluate operations in: a device, a pool of buffers.
    pub fn in_context(
        space: Space<Op::Operand>,
        key: impl Fn(usize) -> Op::InputKey + 'static,
        context: Op::Context,
    ) -> Self {
        Self {
            setting: Setting {
                space,
                key: Box::new(key),
                context: RefCell::new(context),
                ad_context: Box::new(Op::ADContext::default),
                note: Box::new(note_type::<Op>),
                precision: f64::EPSILON,
                tolerance: tolerance_for(f64::EPSILON),
                order: 3,
            },
            cases: Vec::new(),
            points: 8,
            compositions: 0,
            steps: 0,
            seed: 0,
        }
    }

    /// Checks an operation, at operands that `draw` makes; see [`Case::operation`].
    #[must_use]
    pub fn operation(
        self,
        operation: Op,
        draw: impl Fn(&mut Random) -> Vec<Op::Operand> + 'static,
    ) -> Self {
        self.case(Case::operation(operation, draw))
    }

    /// Checks several operations at operands that are drawn alike.
    #[must_use]
    pub fn operations(
        self,
        operations: impl IntoIterator<Item = Op>,
        draw: impl Fn(&mut Random) -> Vec<Op::Operand> + Clone + 'static,
    ) -> Self {
        let operations = operations.into_iter();
        operations.fold(self, |laws, operation| {
            laws.operation(operation, draw.clone())
        })
    }

    /// Checks an operation or a function of which there is more to say.
    #[must_use]
    pub fn case(mut self, case: Case<Op>) -> Self {
        self.cases.push(case);
        self
    }

    /// Checks random functions, of `steps` of the operations each, too: for rules that go wrong only
    /// where operations meet. They are a row of the table together.
    #[must_use]
    pub fn compositions(mut self, functions: usize, steps: usize) -> Self {
        (self.compositions, self.steps) = (functions, steps);
        self
    }

    /// Makes the AD contexts that rules are given; by default, `Default` does.
    #[must_use]
    pub fn ad_context(mut self, make: impl Fn() -> Op::ADContext + 'static) -> Self {
        self.setting.ad_context = Box::new(make);
        self
    }

    /// Tells an AD context of each input, before rules are asked about it: of operands, tangents and
    /// cotangent seeds, each with a value of its shape. By default, [`Primitive::note_type`] is told its
    /// type.
    #[must_use]
    pub fn noting(
        mut self,
        note: impl Fn(&mut Op::ADContext, &ValueKey<Op>, &Op::Operand) + 'static,
    ) -> Self {
        self.setting.note = Box::new(note);
        self
    }

    /// How many points are tried of each case, 8 unless said otherwise.
    #[must_use]
    pub fn points(mut self, points: usize) -> Self {
        self.points = points;
        self
    }

    /// The unit of rounding ε of what operands are made of: that of `f64` unless said otherwise,
    /// `f32::EPSILON` for operands that hold such. Steps and tolerances follow from it.
    #[must_use]
    pub fn precision(mut self, epsilon: f64) -> Self {
        self.setting.precision = epsilon;
        self.setting.tolerance = tolerance_for(epsilon);
        self
    }

    /// How much numbers may differ that are equal but for rounding, relative to the largest that takes
    /// part in computing them: ε^0.6 unless said otherwise, 4e-10 for `f64`. (Differences are judged
    /// by their own error.)
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.setting.tolerance = tolerance;
        self
    }

    /// To which order [`Law::Closure`] follows what is emitted: 3 unless said otherwise.
    #[must_use]
    pub fn order(mut self, order: usize) -> Self {
        self.setting.order = order;
        self
    }

    /// The seed of all that is random. One seed gives one report.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks everything.
    ///
    /// A rule or an evaluation that fails or panics breaks the law that it was called for; nothing
    /// panics here. (The panic's own message is printed, unless a hook is set.)
    ///
    /// # Complexity
    ///
    /// Per case and point, a few dozen derivatives of one operation, and k·2ᵏ for [`Law::Closure`] to
    /// order k.
    pub fn check(&self) -> LawReport {
        let mut report = LawReport::default();
        let random = Random::new(self.seed);
        for (index, case) in self.cases.iter().enumerate() {
            trial::check_case(
                &self.setting,
                case,
                self.points,
                &random.fork(index as u64),
                &mut report,
            );
        }
        if self.compositions > 0 {
            let size = (self.compositions, self.steps);
            let random = &random.fork(u64::MAX);
            trial::check_compositions(&self.setting, &self.cases, size, random, &mut report);
        }
        report
    }
}

/// Six of ten digits: what is lost to rounding in a few dozen operations is less, what is lost to a
/// mistake is more.
fn tolerance_for(epsilon: f64) -> f64 {
    epsilon.powf(0.6)
}

/// Tells a context the type of an operand, if the operation set has types.
///
/// # Panics
///
/// If the context knows of another.
fn note_type<Op: Primitive>(ctx: &mut Op::ADContext, key: &ValueKey<Op>, value: &Op::Operand) {
    let noted = match Op::type_of_operand(value) {
        Some(value_type) => Op::note_type(key, &value_type, ctx),
        None => Ok(()),
    };
    if let Err(error) = noted {
        panic!("{error}");
    }
}
