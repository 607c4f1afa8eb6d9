//! Forward mode: tangents that ride along.

use std::fmt::{self, Debug};
use std::panic::Location;

use tidu_ad::Primitive;
use tidu_ad::rules::checked_with_residuals;
use tidu_graph::text::operation_label;
use tidu_graph::{EvaluableGraphOperation, GraphOperation};

use super::template::Flags;
use super::types::types_of;
use super::{Tape, Var};
use crate::error::{EagerError, cannot_derive};

/// A value with a tangent; without one, the tangent is a symbolic zero. See [`Tape::apply_forward`].
pub struct Dual<Op: GraphOperation> {
    /// The value.
    pub primal: Var<Op>,
    /// The direction in which it moves.
    pub tangent: Option<Var<Op>>,
}

impl<Op: GraphOperation> Dual<Op> {
    /// A value that does not move.
    pub fn constant(primal: Var<Op>) -> Self {
        Self {
            primal,
            tangent: None,
        }
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Tape<Op> {
    /// The results of an operation with their tangents: forward mode. Both are recorded as what they
    /// are, so that one can go backward from a tangent; under [`no_grad`](Self::no_grad) nothing is.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply).
    ///
    /// # Example
    ///
    /// d sin(x)/dx = cos x at 0, and, going backward from it, -sin x:
    ///
    /// ```
    /// # use tidu_eager::{Dual, Tape, Var};
    /// # use tidu_scalar::{ScalarKey, ScalarOp};
    /// let mut tape: Tape<ScalarOp> = Tape::new(|| ScalarKey::fresh(0));
    /// let x = tape.leaf(0.5);
    /// let moving = Dual { primal: x.clone(), tangent: Some(Var::constant(1.0)) };
    /// let sin = tape.apply_forward(ScalarOp::Sin, &[&moving])?.remove(0);
    /// let slope = sin.tangent.unwrap();
    /// assert_eq!(*slope.value(), 0.5_f64.cos());
    /// assert_eq!(tape.backward(&[(&slope, 1.0)], &[&x])?, [Some(-0.5_f64.sin())]);
    /// # Ok::<(), tidu_eager::EagerError>(())
    /// ```
    #[track_caller]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "an operation is made for the call"
    )]
    pub fn apply_forward(
        &mut self,
        operation: Op,
        operands: &[&Dual<Op>],
    ) -> Result<Vec<Dual<Op>>, EagerError> {
        let primals: Vec<&Var<Op>> = operands.iter().map(|dual| &dual.primal).collect();
        let active: Flags = operands.iter().map(|dual| dual.tangent.is_some()).collect();
        if !active.contains(&true) {
            let results = self.apply(operation, &primals)?;
            return Ok(results.into_iter().map(Dual::constant).collect());
        }
        let location = Location::caller();
        let visible = operation.output_count();
        let extended = checked_with_residuals(&operation, &active);
        let extended = extended.map_err(|source| {
            cannot_derive(operation_label(&operation), Some(location), source.into())
        })?;
        let operation = extended.unwrap_or(operation);
        let results = self.apply(operation.clone(), &primals)?;
        let types = types_of::<Op>(primals.iter().map(|var| &var.value));
        let types = types.as_deref();
        let (name, ctx) = (&self.name, &mut self.ad_ctx);
        let jvp = self.derivatives.jvp(&operation, &active, types, name, ctx);
        let jvp = jvp
            .map_err(|source| cannot_derive(operation_label(&operation), Some(location), source))?;
        let given = primals.into_iter().chain(&results);
        let tangents = operands.iter().filter_map(|dual| dual.tangent.as_ref());
        let mut values: Vec<Var<Op>> = given.chain(tangents).cloned().collect();
        let dense = jvp.function.as_dense();
        for node in dense.nodes() {
            let operands = node.operands.iter();
            let operands: Vec<&Var<Op>> = operands.map(|id| &values[id.index()]).collect();
            let results = self.apply(node.operation.clone(), &operands)?;
            values.extend(results);
        }
        let tangents = jvp.tangents.iter();
        let tangents = tangents.map(|at| Some(values[dense.outputs()[(*at)?].index()].clone()));
        let duals = results.into_iter().zip(tangents).take(visible);
        Ok(duals
            .map(|(primal, tangent)| Dual { primal, tangent })
            .collect())
    }
}

impl<Op: GraphOperation> Clone for Dual<Op> {
    fn clone(&self) -> Self {
        Self {
            primal: self.primal.clone(),
            tangent: self.tangent.clone(),
        }
    }
}

impl<Op: GraphOperation<Operand: Debug>> Debug for Dual<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dual")
            .field("primal", &self.primal)
            .field("tangent", &self.tangent)
            .finish()
    }
}
