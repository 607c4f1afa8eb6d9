//! Putting functions together.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_graph::text::name_list;
use tidu_graph::{DenseGraph, DenseId, Exactness, GraphOperation};

use super::select::positions_of;
use super::{Function, FunctionError, Wrt};
use crate::rules::Primitive;

impl<Op: GraphOperation> Function<Op> {
    /// The composition self ∘ inner: the inner function's outputs, in order, are the inputs of this
    /// one.
    ///
    /// # Errors
    ///
    /// [`FunctionError::WrongArity`].
    pub fn compose(&self, inner: &Self) -> Result<Self, FunctionError> {
        let (outer, inner_outputs) = (self.as_dense(), inner.as_dense().outputs());
        if outer.input_count() != inner_outputs.len() {
            return Err(FunctionError::WrongArity {
                expected: outer.input_count(),
                found: inner_outputs.len(),
            });
        }
        let between = inner_outputs.to_vec();
        let composed = self.applied(inner.as_dense().clone(), &between, inner.input_keys())?;
        composed.typed_like(inner)
    }

    /// The function with an input fixed to what a constant operation yields; the input is gone.
    ///
    /// ```
    /// use tidu_scalar::{ScalarOp, function};
    ///
    /// let power = function(["x", "n"], |[x, n]| x.pow(&n))?;
    /// let cube = power.bind("n", ScalarOp::constant(3.0))?;
    /// assert_eq!(cube.compile().call(&[2.0])?, [8.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`FunctionError::UnknownInput`]; [`FunctionError::Graph`] for an operation that takes operands;
    /// [`FunctionError::MissingInput`] for one that has no result.
    pub fn bind(&self, input: &str, constant: Op) -> Result<Self, FunctionError> {
        let at = positions_of(&[input], self.names())?[0];
        let mut keys = self.input_keys();
        keys.remove(at);
        let mut dense = DenseGraph::new(keys.len());
        let constant = dense.push(constant, &[])?;
        let constant = constant.get(0).ok_or(FunctionError::MissingInput {
            name: input.to_owned(),
        })?;
        let mut arguments: Vec<DenseId> = dense.inputs().collect();
        arguments.insert(at, constant);
        let bound = self.applied(dense, &arguments, keys)?;
        match self.input_types() {
            Some(types) => {
                let others = [&types[..at], &types[at + 1..]].concat();
                Ok(bound.of_types(others)?)
            }
            None => Ok(bound),
        }
    }

    /// The function with these outputs only, in this order; one may be named twice.
    ///
    /// # Errors
    ///
    /// [`FunctionError::UnknownOutput`]; [`FunctionError::AmbiguousOutput`] for a name that several
    /// outputs have.
    pub fn select(&self, outputs: &[&str]) -> Result<Self, FunctionError> {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (position, name) in self.output_names().iter().enumerate() {
            by_name.entry(name).or_default().push(position);
        }
        let found = outputs.iter().map(|&wanted| match by_name.get(wanted) {
            Some(positions) if positions.len() == 1 => Ok(positions[0]),
            Some(_) => Err(FunctionError::AmbiguousOutput {
                name: wanted.to_owned(),
            }),
            None => Err(self.unknown_output(wanted.to_owned())),
        });
        let positions = found.collect::<Result<Vec<_>, _>>()?;
        self.select_at(&positions)
    }

    /// [`select`](Self::select) by position.
    ///
    /// # Errors
    ///
    /// [`FunctionError::UnknownOutput`].
    pub fn select_at(&self, outputs: &[usize]) -> Result<Self, FunctionError> {
        let dense = self.as_dense();
        let mut values = Vec::with_capacity(outputs.len());
        let mut names = Vec::with_capacity(outputs.len());
        for &at in outputs {
            let name = self.output_names().get(at);
            let name = name.ok_or_else(|| self.unknown_output(format!("at position {at}")))?;
            values.push(dense.outputs()[at]);
            names.push(name.clone());
        }
        let chosen = dense.needed_for(&values);
        let chosen = Self::new(chosen, self.input_keys(), names.into());
        chosen.sharing(self.derivatives()).typed_like(self)
    }

    /// This function on values of a graph, as a function of that graph's inputs.
    pub(super) fn applied(
        &self,
        mut dense: DenseGraph<Op>,
        arguments: &[DenseId],
        input_keys: Vec<Op::InputKey>,
    ) -> Result<Self, FunctionError> {
        let outputs = dense.inline(self.as_dense(), arguments);
        dense.set_outputs(outputs);
        let names = Arc::clone(&self.content.output_names);
        Self::settle(dense, input_keys, names, None)
    }

    /// The outputs of this function, then those of another one of the same inputs, called by these names.
    pub(super) fn beside(
        &self,
        other: &Self,
        names: &[String],
        level: Option<Exactness>,
    ) -> Result<Self, FunctionError> {
        let mut dense = self.as_dense().inputs_alone();
        let arguments: Vec<DenseId> = dense.inputs().collect();
        let mut outputs = dense.inline(self.as_dense(), &arguments);
        outputs.extend(dense.inline(other.as_dense(), &arguments));
        dense.set_outputs(outputs);
        let names = [self.output_names(), names].concat();
        let both = Self::settle(dense, self.input_keys(), names, level)?;
        both.typed_like(self)
    }

    fn unknown_output(&self, name: String) -> FunctionError {
        FunctionError::UnknownOutput {
            name,
            known: name_list(self.output_names()),
        }
    }
}

impl<Op: Primitive> Function<Op> {
    /// The function with some of its inputs held fixed to every derivative: the same values, and a
    /// derivative of zero by these inputs. (JAX: `jax.lax.stop_gradient`.)
    ///
    /// # Errors
    ///
    /// Those of `wrt`; [`FunctionError::NoStopGradient`] for an operation set without
    /// [`Primitive::stop_gradient`].
    ///
    /// # Example
    ///
    /// ```
    /// let f = tidu_scalar::function(["x", "y"], |[x, y]| [&x * &y])?;
    /// let held = f.stop_gradient("y")?;
    /// assert_eq!(held.value_and_grad(..)?.compile().call(&[2.0, 3.0])?, [6.0, 3.0, 0.0]);
    /// # Ok::<(), tidu_ad::FunctionError>(())
    /// ```
    pub fn stop_gradient(&self, wrt: impl Into<Wrt>) -> Result<Self, FunctionError> {
        let stopped = wrt.into().positions(self)?;
        let stop = Op::stop_gradient().ok_or(FunctionError::NoStopGradient)?;
        let mut dense = self.as_dense().inputs_alone();
        let mut arguments: Vec<DenseId> = dense.inputs().collect();
        for at in stopped {
            let results = dense.push(stop.clone(), &[arguments[at]])?;
            arguments[at] = results.get(0).ok_or(FunctionError::NoStopGradient)?;
        }
        let stopped = self.applied(dense, &arguments, self.input_keys())?;
        stopped.typed_like(self)
    }
}
