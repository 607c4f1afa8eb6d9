//! A tape: runs operations as it records them, and goes backward through what it recorded.

mod backward;
mod engine;
mod life;
mod storage;
mod template;

use std::fmt::{self, Debug};
use std::sync::Arc;

use tidu_ad::Primitive;
use tidu_graph::{EvaluableGraphOperation, GraphOperation, describe_operation};

pub use life::Mark;

use self::life::Life;
use self::storage::Storage;
use self::template::{Flags, Residual, Template};
use crate::error::EagerError;
use crate::recorder::KeySource;

/// Runs operations as it records them, and goes backward through what it recorded.
///
/// For each operation with a set of active operands, the tape derives the VJP from the rules once and
/// keeps it as a few instructions. Of a call it then keeps the residuals that the VJP names, and
/// nothing else: none of a sum, the result of an exponential.
///
/// A [`Var`] is a value with a place on the tape, if it has one: constants, results of constants, and
/// all that is computed under [`no_grad`](Self::no_grad) have none and record nothing.
///
/// Operands are cloned when they become residuals, so they should be cheap to clone.
///
/// # Example
///
/// ```
/// # use tidu_eager::KeySource;
/// use tidu_eager::Tape;
/// use tidu_scalar::{ScalarKey, ScalarOp};
///
/// # struct Names(u64);
/// # impl KeySource<ScalarOp> for Names {
/// #     fn fresh_input_key(&mut self) -> ScalarKey {
/// #         self.0 += 1;
/// #         ScalarKey::fresh(self.0)
/// #     }
/// # }
/// let mut tape: Tape<ScalarOp> = Tape::new(Names(0));
/// let x = tape.leaf(2.0);
/// let y = tape.leaf(0.0);
/// let exp_y = tape.apply_one(ScalarOp::Exp, &[&y])?;
/// let f = tape.apply_one(ScalarOp::Mul, &[&x, &exp_y])?;
/// assert_eq!(*f.value(), 2.0);
/// assert_eq!(tape.backward(&[(&f, 1.0)], &[&x, &y])?, [Some(1.0), Some(2.0)]);
/// # Ok::<(), tidu_eager::EagerError>(())
/// ```
pub struct Tape<Op: Primitive + EvaluableGraphOperation> {
    life: Life,
    storage: Storage<Op>,
    templates: Vec<Arc<Template<Op>>>,
    /// The templates that were used last, the latest first.
    recent: Vec<u32>,
    /// What inputs of derived functions are named after.
    name: Op::InputKey,
    paused: bool,
    ctx: Op::Context,
    ad_ctx: Op::ADContext,
    /// Where operations put their results.
    results: Vec<Op::Operand>,
}

/// A value, and its place on a tape if it has one.
pub struct Var<Op: GraphOperation> {
    value: Op::Operand,
    place: Place,
}

/// Where on which tape a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// An index among the tape's values; [`CONSTANT`] for none.
    index: u32,
    tape: u32,
    epoch: u32,
}

const CONSTANT: u32 = u32::MAX;

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// An empty tape, with contexts of its own.
    pub fn new(keys: impl KeySource<Op>) -> Self
    where
        Op::Context: Default,
    {
        Self::with_contexts(keys, Op::Context::default(), Op::ADContext::default())
    }

    /// An empty tape that evaluates operations in `ctx` and gives rules `ad_ctx`.
    pub fn with_contexts(
        mut keys: impl KeySource<Op>,
        ctx: Op::Context,
        ad_ctx: Op::ADContext,
    ) -> Self {
        Self {
            life: Life::new(),
            storage: Storage::new(),
            templates: Vec::new(),
            recent: Vec::new(),
            name: keys.fresh_input_key(),
            paused: false,
            ctx,
            ad_ctx,
            results: Vec::new(),
        }
    }

    /// A value to differentiate by.
    pub fn leaf(&mut self, value: Op::Operand) -> Var<Op> {
        let index = self.storage.push_leaf();
        Var {
            value,
            place: self.life.place(index),
        }
    }

    /// The results of an operation.
    ///
    /// # Errors
    ///
    /// [`EagerError::WrongValueCount`] for the wrong number of operands, or of results from `eval`;
    /// [`EagerError::ForeignVar`] and [`EagerError::StaleVar`] for an operand of another tape, or one
    /// whose place is gone; [`EagerError::Derive`] for an operation whose rules fail. Nothing is then
    /// recorded, and the tape goes on.
    pub fn apply(
        &mut self,
        operation: Op,
        operands: &[&Var<Op>],
    ) -> Result<Vec<Var<Op>>, EagerError> {
        let first = self.run(&operation, operands)?;
        let places = (first..).map(|index| match first {
            CONSTANT => Place::NONE,
            _ => self.life.place(index),
        });
        let results = self.results.drain(..).zip(places);
        Ok(results.map(|(value, place)| Var { value, place }).collect())
    }

    /// The result of an operation that has one.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply); [`EagerError::WrongValueCount`] for an operation that does not have
    /// one result.
    pub fn apply_one(
        &mut self,
        operation: Op,
        operands: &[&Var<Op>],
    ) -> Result<Var<Op>, EagerError> {
        if operation.output_count() != 1 {
            return Err(EagerError::WrongValueCount {
                primitive: describe_operation(&operation),
                side: crate::Side::Outputs,
                expected: 1,
                found: operation.output_count(),
            });
        }
        let index = self.run(&operation, operands)?;
        let value = self
            .results
            .pop()
            .expect("the number of results was checked");
        let place = match index {
            CONSTANT => Place::NONE,
            index => self.life.place(index),
        };
        Ok(Var { value, place })
    }

    /// Runs `body` without recording: what it computes are constants.
    pub fn no_grad<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        let paused = std::mem::replace(&mut self.paused, true);
        let result = body(self);
        self.paused = paused;
        result
    }

    /// Computes the results of an operation into `results` and returns the index of the first, or
    /// [`CONSTANT`].
    fn run(&mut self, operation: &Op, operands: &[&Var<Op>]) -> Result<u32, EagerError> {
        let expected = operation.input_count();
        if operands.len() != expected {
            return Err(wrong_count(
                operation,
                crate::Side::Inputs,
                expected,
                operands.len(),
            ));
        }
        let mut any_active = false;
        for (position, operand) in operands.iter().enumerate() {
            if operand.place.index != CONSTANT {
                any_active = true;
                if let Err(error) = self.life.check(operand.place) {
                    return Err(error.of(format!(
                        "operand {position} of {}",
                        describe_operation(operation)
                    )));
                }
            }
        }
        let template = match any_active && !self.paused {
            true => Some(self.template(operation, operands)?),
            false => None,
        };
        self.results.clear();
        match *operands {
            [x] => operation.eval_into(&mut self.ctx, &[&x.value], &mut self.results),
            [x, y] => {
                operation.eval_into(&mut self.ctx, &[&x.value, &y.value], &mut self.results);
            }
            _ => {
                let values: Vec<&Op::Operand> = operands.iter().map(|var| &var.value).collect();
                operation.eval_into(&mut self.ctx, &values, &mut self.results);
            }
        }
        let expected = operation.output_count();
        if self.results.len() != expected {
            let found = self.results.len();
            return Err(wrong_count(
                operation,
                crate::Side::Outputs,
                expected,
                found,
            ));
        }
        let Some(template) = template else {
            return Ok(CONSTANT);
        };
        let known = &self.templates[template as usize];
        for (operand, active) in operands.iter().zip(&known.active) {
            if *active {
                self.storage.operands.push(operand.place.index);
            }
        }
        for residual in &known.residuals {
            let value = match residual {
                Residual::Operand(at) => &operands[*at as usize].value,
                Residual::Output(at) => &self.results[*at as usize],
            };
            self.storage.residuals.push(Some(value.clone()));
        }
        Ok(self.storage.push_node(template, known.outputs))
    }

    /// The template of an operation with those operands active that have a place.
    fn template(&mut self, operation: &Op, operands: &[&Var<Op>]) -> Result<u32, EagerError> {
        let is_this = |template: &Template<Op>| {
            let active = operands
                .iter()
                .map(|operand| operand.place.index != CONSTANT);
            template.operation == *operation && template.active.iter().copied().eq(active)
        };
        for (age, &known) in self.recent.iter().enumerate() {
            if is_this(&self.templates[known as usize]) {
                if age > 3 {
                    self.recent[..=age].rotate_right(1);
                }
                return Ok(known);
            }
        }
        let known = self.templates.iter().position(|template| is_this(template));
        let known = match known {
            Some(known) => known as u32,
            None => {
                let active: Flags = operands
                    .iter()
                    .map(|operand| operand.place.index != CONSTANT)
                    .collect();
                let template =
                    Template::derive(operation.clone(), active, &self.name, &mut self.ad_ctx)?;
                self.templates.push(Arc::new(template));
                self.templates.len() as u32 - 1
            }
        };
        self.recent.truncate(15);
        self.recent.insert(0, known);
        Ok(known)
    }
}

impl<Op: GraphOperation> Var<Op> {
    /// A value that no gradient flows to.
    pub fn constant(value: Op::Operand) -> Self {
        Self {
            value,
            place: Place::NONE,
        }
    }

    /// The value.
    pub fn value(&self) -> &Op::Operand {
        &self.value
    }

    /// Whether a gradient can flow to the value.
    pub fn requires_grad(&self) -> bool {
        self.place.index != CONSTANT
    }

    fn index(&self) -> u32 {
        self.place.index
    }

    /// The same value as a constant.
    pub fn detach(&self) -> Self {
        Self::constant(self.value.clone())
    }
}

impl Place {
    const NONE: Self = Self {
        index: CONSTANT,
        tape: 0,
        epoch: 0,
    };
}

fn wrong_count(
    operation: &impl Debug,
    side: crate::Side,
    expected: usize,
    found: usize,
) -> EagerError {
    EagerError::WrongValueCount {
        primitive: describe_operation(operation),
        side,
        expected,
        found,
    }
}

impl<Op: GraphOperation> Clone for Var<Op> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            place: self.place,
        }
    }
}

impl<Op: GraphOperation<Operand: Debug>> Debug for Var<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Var")
            .field("value", &self.value)
            .field("requires_grad", &self.requires_grad())
            .finish()
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Debug for Tape<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("calls", &self.storage.nodes.len())
            .field("residuals", &self.storage.residuals.len())
            .finish_non_exhaustive()
    }
}
