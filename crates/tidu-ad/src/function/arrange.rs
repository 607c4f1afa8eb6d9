//! Putting functions together.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_graph::{GraphBuilder, GraphOperation, OperationRole, ValueRef};

use super::call::keys_of;
use super::select::{list, positions_of};
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
        if self.graph.inputs().len() != inner.graph.outputs().len() {
            return Err(FunctionError::WrongArity {
                expected: self.graph.inputs().len(),
                found: inner.graph.outputs().len(),
            });
        }
        let mut builder = GraphBuilder::new();
        let keys = inner.input_keys();
        let inputs = keys.iter().cloned();
        let inputs: Vec<ValueRef<Op>> = inputs
            .map(|key| ValueRef::Local(builder.add_input(key)))
            .collect();
        let between = builder.try_inline(&inner.graph, &inputs)?;
        self.apply_in(builder, &between, &keys)
    }

    /// The function with an input fixed to what a constant operation yields; the input is gone.
    ///
    /// # Errors
    ///
    /// [`FunctionError::UnknownInput`]; [`FunctionError::Graph`] for an operation that takes operands;
    /// [`FunctionError::MissingInput`] for one that has no result.
    pub fn bind(&self, input: &str, constant: Op) -> Result<Self, FunctionError> {
        let at = positions_of(&[input], &self.input_names())?[0];
        let mut builder = GraphBuilder::new();
        let mut keys = self.input_keys();
        keys.remove(at);
        let inputs = keys.iter().cloned();
        let mut arguments: Vec<ValueRef<Op>> = inputs
            .map(|key| ValueRef::Local(builder.add_input(key)))
            .collect();
        let results = builder.try_add_operation(constant, Vec::new(), OperationRole::Primary)?;
        let constant = results
            .first()
            .copied()
            .ok_or(FunctionError::MissingInput {
                name: input.to_owned(),
            })?;
        arguments.insert(at, ValueRef::Local(constant));
        self.apply_in(builder, &arguments, &keys)
    }

    /// The function with these outputs only, in this order; one may be named twice.
    ///
    /// # Errors
    ///
    /// [`FunctionError::UnknownOutput`]; [`FunctionError::AmbiguousOutput`] for a name that several
    /// outputs have, as after two forward derivatives.
    pub fn select(&self, outputs: &[&str]) -> Result<Self, FunctionError> {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (position, name) in self.output_names.iter().enumerate() {
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
        let keys = self.output_keys();
        let chosen = outputs.iter().map(|&at| {
            let name = self.output_names.get(at);
            let name = name.ok_or_else(|| self.unknown_output(format!("at position {at}")))?;
            Ok((keys[at].clone(), name.clone()))
        });
        let chosen = chosen.collect::<Result<_, FunctionError>>()?;
        Self::close(
            vec![Arc::new(self.graph.clone())],
            &self.input_keys(),
            chosen,
            None,
        )
    }

    /// This function's graph on `arguments` that `builder` holds, closed over `inputs`.
    pub(super) fn apply_in(
        &self,
        mut builder: GraphBuilder<Op>,
        arguments: &[ValueRef<Op>],
        inputs: &[Op::InputKey],
    ) -> Result<Self, FunctionError> {
        let results = builder.try_inline(&self.graph, arguments)?;
        let results = keys_of(&builder, results);
        let outputs = results.into_iter().zip(self.output_names.iter().cloned());
        let outputs = outputs.collect();
        Self::close(vec![Arc::new(builder.build())], inputs, outputs, None)
    }

    fn unknown_output(&self, name: String) -> FunctionError {
        FunctionError::UnknownOutput {
            name,
            known: list(&self.output_names),
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
        let stopped = wrt.into().positions(&self.input_names())?;
        let stop = Op::stop_gradient().ok_or(FunctionError::NoStopGradient)?;
        let mut builder = GraphBuilder::new();
        let keys = self.input_keys();
        let arguments = keys.iter().map(|key| builder.add_input(key.clone()));
        let mut arguments: Vec<ValueRef<Op>> = arguments.map(ValueRef::Local).collect();
        for at in stopped {
            let operand = vec![arguments[at].clone()];
            let results =
                builder.try_add_operation(stop.clone(), operand, OperationRole::Primary)?;
            let result = results.first().ok_or(FunctionError::NoStopGradient)?;
            arguments[at] = ValueRef::Local(*result);
        }
        self.apply_in(builder, &arguments, &keys)
    }
}
