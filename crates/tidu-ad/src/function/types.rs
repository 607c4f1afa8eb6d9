//! Functions that know of what types their inputs are, for rules that ask.

use std::sync::Arc;

use tidu_graph::text::name_list;
use tidu_graph::{DenseId, GraphOperation, ValueKey};

use super::{Content, Function, FunctionError};
use crate::rules::{ADKey, ADRuleResult, Primitive, TypeError, ValueType};

impl<Op: Primitive> Function<Op> {
    /// This function for inputs of these types: for operation sets whose rules ask for types, as those of
    /// tensors ask for shapes. Derivatives tell their AD contexts, and know the types of their own inputs;
    /// programs refuse operands of other types.
    ///
    /// # Errors
    ///
    /// [`TypeError::WrongCount`], and whatever is wrong with the types of operands on the way to the outputs.
    pub fn with_types(
        &self,
        types: impl IntoIterator<Item = ValueType>,
    ) -> Result<Self, FunctionError> {
        let typed = self.of_types(types.into_iter().collect())?;
        typed.output_types()?;
        Ok(typed)
    }

    /// This function for inputs of the types of these operands. Nothing changes for operation sets
    /// without types ([`GraphOperation::type_of_operand`]).
    ///
    /// # Errors
    ///
    /// As for [`with_types`](Self::with_types).
    pub fn with_types_of(&self, operands: &[&Op::Operand]) -> Result<Self, FunctionError> {
        let types = operands.iter().map(|operand| Op::type_of_operand(operand));
        match types.collect::<Option<Vec<ValueType>>>() {
            Some(types) => self.with_types(types),
            None => Ok(self.clone()),
        }
    }

    /// The types of the outputs, if those of the inputs are known. (JAX: `jax.eval_shape`.)
    ///
    /// # Errors
    ///
    /// What is wrong with the types of operands on the way.
    pub fn output_types(&self) -> Result<Option<Vec<ValueType>>, FunctionError> {
        let dense = self.as_dense();
        if self.types.is_none() || dense.has_types() {
            return Ok(dense.types_of(dense.outputs().iter().copied()));
        }
        let mut ctx = Op::ADContext::default();
        self.note_types(&mut ctx)?;
        let types = self.output_keys().into_iter();
        let types = types.map(|key| Op::type_of(&key, &mut ctx));
        Ok(types.collect::<ADRuleResult<_>>()?)
    }

    /// Tells a context of what types the inputs are.
    pub(crate) fn note_types(&self, ctx: &mut Op::ADContext) -> ADRuleResult<()> {
        let types = self.input_types().unwrap_or_default();
        for (key, value_type) in self.content.input_keys.iter().zip(types) {
            Op::note_type(&ValueKey::Input(key.clone()), value_type, ctx)?;
        }
        Ok(())
    }

    /// Fails for one of these inputs that is of a type without derivatives, as far as types are known.
    pub(super) fn check_inputs(
        &self,
        wrt: &[usize],
        ctx: &mut Op::ADContext,
    ) -> Result<(), FunctionError> {
        let without = self.inputs_without_derivative(ctx)?;
        let Some((name, value_type, others)) = first_of(wrt, &without, self.names()) else {
            return Ok(());
        };
        Err(FunctionError::InputWithoutDerivative {
            name,
            value_type,
            others,
        })
    }

    /// Fails for an output that is of a type without derivatives, as far as types are known.
    pub(super) fn check_outputs(&self, ctx: &mut Op::ADContext) -> Result<(), FunctionError> {
        let without = self.outputs_without_derivative(ctx)?;
        let all: Vec<usize> = (0..without.len()).collect();
        let Some((name, value_type, others)) = first_of(&all, &without, self.output_names()) else {
            return Ok(());
        };
        Err(FunctionError::OutputWithoutDerivative {
            name,
            value_type,
            others,
        })
    }

    /// By input: its type, if that has no derivatives. Empty where nobody knows types.
    pub(super) fn inputs_without_derivative(
        &self,
        ctx: &mut Op::ADContext,
    ) -> Result<Vec<Option<ValueType>>, FunctionError> {
        if !self.may_have_types() {
            return Ok(Vec::new());
        }
        let dense = self.as_dense();
        if dense.has_types() {
            return Ok(dense
                .inputs()
                .map(|id| self.without_derivative(id))
                .collect());
        }
        self.note_types(ctx)?;
        let keys = self.content.input_keys.iter().cloned();
        let keys = keys.map(ValueKey::<Op>::Input);
        Ok(keys.map(|key| without_derivative(&key, ctx)).collect())
    }

    /// [`inputs_without_derivative`](Self::inputs_without_derivative), of outputs.
    pub(super) fn outputs_without_derivative(
        &self,
        ctx: &mut Op::ADContext,
    ) -> Result<Vec<Option<ValueType>>, FunctionError> {
        if !self.may_have_types() {
            return Ok(Vec::new());
        }
        let dense = self.as_dense();
        if dense.has_types() {
            let outputs = dense.outputs().iter();
            return Ok(outputs.map(|&id| self.without_derivative(id)).collect());
        }
        self.note_types(ctx)?;
        let keys = self.output_keys().into_iter();
        Ok(keys.map(|key| without_derivative(&key, ctx)).collect())
    }

    /// Whether the graph has types, or an AD context may know some.
    fn may_have_types(&self) -> bool {
        self.as_dense().has_types() || Op::rules_look_into_context()
    }

    /// The type of a value, if it is known and has no derivatives.
    fn without_derivative(&self, value: DenseId) -> Option<ValueType> {
        let value_type = self.as_dense().type_of(value)?;
        (!Op::is_differentiable(value_type)).then(|| value_type.clone())
    }

    /// The type of the input or output of this name, if it is known.
    pub(super) fn type_named(&self, name: &str, ctx: &mut Op::ADContext) -> Option<ValueType> {
        let outputs = self.output_names().iter().cloned();
        let mut names = outputs.chain(self.names().iter().cloned());
        let at = names.position(|known| known == name)?;
        let dense = self.as_dense();
        if dense.has_types() {
            let mut values = dense.outputs().iter().copied().chain(dense.inputs());
            return dense.type_of(values.nth(at)?).cloned();
        }
        let inputs = self.content.input_keys.iter().cloned().map(ValueKey::Input);
        let key = self.output_keys().into_iter().chain(inputs).nth(at)?;
        Op::type_of(&key, ctx).ok().flatten()
    }

    /// What rules are told that an output is called: where its type is known, a name that nobody has said anything of.
    pub(super) fn key_for_unit(&self, output: usize) -> ValueKey<Op> {
        match self.content.input_keys.first() {
            Some(first) if self.as_dense().has_types() => ValueKey::Input(first.residual_of(0)),
            _ => {
                let graph = self.as_graph();
                graph.values()[graph.outputs()[output]].key.clone()
            }
        }
    }

    /// With the types of inputs that a context knows, if it knows all.
    pub(crate) fn typed_in(self, ctx: &mut Op::ADContext) -> Result<Self, FunctionError> {
        if self.types.is_some() || !Op::rules_look_into_context() {
            return Ok(self);
        }
        let keys = self.content.input_keys.iter().cloned().map(ValueKey::Input);
        let types = keys.map(|key| Op::type_of(&key, ctx).ok().flatten());
        match types.collect::<Option<Vec<ValueType>>>() {
            Some(types) => Ok(self.of_types(types)?),
            None => Ok(self),
        }
    }
}

/// The type of a value, if it is known and has no derivatives.
fn without_derivative<Op: Primitive>(
    key: &ValueKey<Op>,
    ctx: &mut Op::ADContext,
) -> Option<ValueType> {
    let value_type = Op::type_of(key, ctx).ok().flatten()?;
    (!Op::is_differentiable(&value_type)).then_some(value_type)
}

/// The first of these values that has no derivative, its type, and all that have one.
fn first_of(
    values: &[usize],
    without: &[Option<ValueType>],
    names: &[String],
) -> Option<(String, Box<ValueType>, String)> {
    let mut found = values.iter().filter_map(|&at| {
        let value_type = without.get(at)?.clone()?;
        Some((names[at].clone(), Box::new(value_type)))
    });
    let (name, value_type) = found.next()?;
    let others = names.iter().zip(without);
    let others = others.filter(|(_, without)| without.is_none());
    let others: Vec<String> = others.map(|(name, _)| name.clone()).collect();
    let others = match others.as_slice() {
        [] => String::new(),
        others => name_list(others),
    };
    Some((name, value_type, others))
}

impl<Op: GraphOperation> Function<Op> {
    /// The types of the inputs, if they are known.
    pub fn input_types(&self) -> Option<&[ValueType]> {
        self.types.as_deref()
    }

    /// With the types of a function of the same inputs.
    pub(super) fn typed_like(self, other: &Self) -> Result<Self, FunctionError> {
        match &other.types {
            Some(types) if self.types.is_none() => Ok(self.of_types(types.to_vec())?),
            _ => Ok(self),
        }
    }

    /// With inputs of these types, and with those of all other values, if the operation set infers them.
    pub(crate) fn of_types(&self, types: Vec<ValueType>) -> Result<Self, TypeError> {
        let dense = self.as_dense().clone().with_types(types.iter().cloned())?;
        let content = if dense.has_types() {
            Arc::new(Content {
                dense: Arc::new(dense),
                input_keys: self.input_keys(),
                input_names: self.content.input_names.clone(),
                output_names: Arc::clone(&self.content.output_names),
                graph: self.content.graph.clone(),
                derivatives: self.content.derivatives.clone(),
            })
        } else {
            Arc::clone(&self.content)
        };
        Ok(Self {
            content,
            types: Some(types.into()),
        })
    }
}
