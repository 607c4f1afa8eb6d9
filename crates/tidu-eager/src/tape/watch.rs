//! Looking in: values that are not what they should be.

use std::panic::Location;

use tidu_ad::Primitive;
use tidu_graph::{EvaluableGraphOperation, GraphOperation};

use super::Tape;
use crate::error::EagerError;

/// Says what is wrong with a value, if anything is.
type Judge<Op> = Box<dyn Fn(&<Op as GraphOperation>::Operand) -> Option<String> + Send>;

/// What a tape stops at.
pub(super) struct Watch<Op: Primitive> {
    judge: Judge<Op>,
    /// While going backward records, it is the pass that looks: it knows what for.
    pub quiet: bool,
}

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// Stops at the first operation, forward or backward, that makes a value with which something is
    /// wrong: `judge` says what. The error names the operation, where it was applied, and, going
    /// backward, what it is the derivative of.
    ///
    /// Costs a call for each value, and eight bytes for each call from here on.
    ///
    /// ```
    /// # use tidu_eager::{EagerError, Tape};
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// tape.watch(|x| (!x.is_finite()).then(|| x.to_string()));
    /// let x = tape.leaf(-1.0);
    /// let error = tape.apply_one(ScalarOp::Ln, &[&x]).unwrap_err();
    /// assert!(matches!(error, EagerError::Anomaly { location: Some(_), .. }));
    /// ```
    pub fn watch(&mut self, judge: impl Fn(&Op::Operand) -> Option<String> + Send + 'static) {
        self.watch = Some(Watch {
            judge: Box::new(judge),
            quiet: false,
        });
    }

    /// Ends [`watch`](Self::watch).
    pub fn unwatch(&mut self) {
        self.watch = None;
    }

    /// Whether results of operations are looked at, and where they are applied is noted.
    pub(super) fn set_quiet(&mut self, quiet: bool) {
        if let Some(watch) = &mut self.watch {
            watch.quiet = quiet;
        }
    }

    /// Why nothing can be differentiated through a recorded gradient.
    pub(super) fn replaced_gradient(&self, value: u32) -> EagerError {
        let found = self.replaced.binary_search_by_key(&value, |(at, _)| *at);
        let found = found.expect("every replaced gradient is listed");
        EagerError::ReplacedGradient {
            location: self.replaced[found].1,
        }
    }
}

impl<Op: Primitive> Watch<Op> {
    /// Fails for a value that something is wrong with: `what` of `operation`.
    pub fn check(
        &self,
        value: &Op::Operand,
        what: impl FnOnce() -> String,
        operation: impl FnOnce() -> String,
        location: Option<&'static Location<'static>>,
    ) -> Result<(), EagerError> {
        match (self.judge)(value) {
            None => Ok(()),
            Some(value) => Err(EagerError::Anomaly {
                what: what(),
                operation: operation(),
                location,
                value,
            }),
        }
    }
}
