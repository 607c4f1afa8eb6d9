//! What a linear function needs not compute again.

use crate::rules::ValueType;

/// Which of the values on which derivatives depend are saved for the linear function, where those that are not have
/// to be computed again. (JAX: the policies of `jax.checkpoint`.)
///
/// # Example
///
/// ```
/// use tidu_ad::Saving;
/// use tidu_scalar::ScalarOp;
///
/// let f = tidu_scalar::function(["x"], |[x]| [x.exp().sin()])?;
/// let saved = |saving| -> Result<usize, tidu_ad::FunctionError> {
///     let split = f.within(&mut ()).saving(saving).linearize("x")?;
///     Ok(split.residuals.len())
/// };
/// // exp(x) and cos(exp(x)); x; exp(x)
/// assert_eq!(saved(Saving::Everything)?, 2);
/// assert_eq!(saved(Saving::Inputs)?, 1);
/// assert_eq!(saved(Saving::If(&|op, _| *op == ScalarOp::Exp))?, 1);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
#[non_exhaustive]
pub enum Saving<'a, Op> {
    /// All that the linear function needs: nothing is computed twice. (JAX: `everything_saveable`.)
    Everything,
    /// Nothing but inputs: what depends on them is computed again. (JAX: `nothing_saveable`.)
    Inputs,
    /// Inputs, and results of operations of which this holds. It is told their types, if these are known.
    If(&'a dyn Fn(&Op, Option<&ValueType>) -> bool),
}

impl<Op> Copy for Saving<'_, Op> {}

impl<Op> Clone for Saving<'_, Op> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Op> Saving<'_, Op> {
    pub(super) fn saves(&self, operation: &Op, value_type: Option<&ValueType>) -> bool {
        match self {
            Self::Everything => true,
            Self::Inputs => false,
            Self::If(holds) => holds(operation, value_type),
        }
    }
}
