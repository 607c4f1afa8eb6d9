//! Functions in a simpler form.

use std::sync::Arc;

use tidu_graph::{AppliedRewrite, Exactness, GraphOperation, try_simplify_logged};

use super::{Function, FunctionError};

impl<Op: GraphOperation> Function<Op> {
    /// The function with everything simplified that the rules of the operation set permit at a level
    /// ([`GraphOperation::rewrites`], [`GraphOperation::fold`]).
    ///
    /// Derivatives are simplified already, at [`Exactness::Exact`]
    /// ([`Derive::simplify`](super::Derive::simplify) changes that). What a function is made of stays as
    /// it was written until then, but for equal work, which is done once, and dead work, which goes.
    ///
    /// # Errors
    ///
    /// [`FunctionError::Graph`] for rules that make no sense.
    ///
    /// # Complexity
    ///
    /// Linear in the function.
    ///
    /// # Example
    ///
    /// ```
    /// use tidu_graph::Exactness;
    ///
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [&x * &y + &x * y.exp() * 1.0])?;
    /// assert_eq!(f.as_graph().operations().len(), 6);
    /// let exact = f.simplify(Exactness::Exact)?;
    /// assert_eq!(exact.as_graph().operations().len(), 4);
    /// let factored = f.simplify(Exactness::RealOnly)?;
    /// assert_eq!(factored.as_graph().operations().len(), 3);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn simplify(&self, level: Exactness) -> Result<Self, FunctionError> {
        let names = Arc::clone(&self.content.output_names);
        let simpler = Self::settle(self.as_dense(), self.input_keys(), names, Some(level))?;
        simpler.typed_like(self)
    }

    /// What [`simplify`](Self::simplify) does, step by step: to be read, or replayed on numbers.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn rewrites(&self, level: Exactness) -> Result<Vec<AppliedRewrite<Op>>, FunctionError> {
        let (_, applied) = try_simplify_logged(self.as_dense(), &self.content.input_keys, level)?;
        Ok(applied)
    }
}
