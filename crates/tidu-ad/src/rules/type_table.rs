//! The types of values by their keys, as rules ask for them.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;
use tidu_graph::text::input_label;
use tidu_graph::{
    GraphOperation, OperationKey, TypeError, ValueKey, ValueKeyId, ValueKeyInterner, ValueType,
    describe_operation, result_types,
};

/// The types of values: noted of inputs, inferred of the rest. An AD context for operation sets whose
/// rules ask for shapes.
///
/// # Example
///
/// What an operation set with such a context says of itself, besides its rules:
///
/// ```
/// use tidu_ad::{TypeTable, ValueType};
/// # use std::error::Error;
/// # use tidu_graph::{GraphOperation, OperationKey, OperationRole, ValueKey};
/// # #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// # enum Op { Transpose }
/// impl GraphOperation for Op {
/// #     type Operand = Vec<f64>;
/// #     type Context = ();
/// #     type InputKey = &'static str;
/// #     fn input_count(&self) -> usize { 1 }
/// #     fn output_count(&self) -> usize { 1 }
///     // …
///     fn infer_types(
///         &self,
///         operands: &[&ValueType],
///     ) -> Result<Option<Vec<ValueType>>, Box<dyn Error + Send + Sync>> {
///         match self {
///             Op::Transpose => {
///                 let dims = operands[0].dims().iter().rev();
///                 Ok(Some(vec![ValueType::new("f64", dims.copied())]))
///             }
///         }
///     }
/// }
///
/// let mut types = TypeTable::<Op>::default();
/// let x = ValueKey::Input("x");
/// types.note(&x, &ValueType::new("f64", [3, 4]))?;
/// # let operation = OperationKey::new(Op::Transpose, vec![x], OperationRole::Primary).into();
/// # let transposed = ValueKey::Derived { operation, output_slot: 0 };
/// assert_eq!(types.of(&transposed)?.dims(), [4, 3]);
/// # Ok::<(), tidu_ad::TypeError>(())
/// ```
pub struct TypeTable<Op: GraphOperation> {
    keys: ValueKeyInterner<Op>,
    known: HashMap<ValueKeyId, ValueType>,
}

impl<Op: GraphOperation> TypeTable<Op> {
    /// Says of what type a value is.
    ///
    /// # Errors
    ///
    /// [`TypeError::Conflict`] if it is known to be of another; for a value that is computed, if this
    /// can be inferred.
    pub fn note(&mut self, key: &ValueKey<Op>, value_type: &ValueType) -> Result<(), TypeError> {
        match self.of(key) {
            Ok(known) if known == value_type => Ok(()),
            Ok(known) => Err(TypeError::Conflict {
                value: describe(key),
                known: Box::new(known.clone()),
                found: Box::new(value_type.clone()),
            }),
            Err(error) if error.is_unknown() => {
                let id = self.keys.try_intern(key)?;
                self.known.insert(id, value_type.clone());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The type of a value.
    ///
    /// # Errors
    ///
    /// [`TypeError::Unknown`] for a value that goes back to an input of which nobody said anything;
    /// [`TypeError::Operation`], [`TypeError::WrongResultCount`] for an operation that it goes back to.
    ///
    /// # Complexity
    ///
    /// Linear in the distinct values that it goes back to and that have not been asked for before, with
    /// constant stack.
    pub fn of(&mut self, key: &ValueKey<Op>) -> Result<&ValueType, TypeError> {
        let wanted = self.keys.try_intern(key)?;
        let mut open = vec![key.clone()];
        while let Some(key) = open.last() {
            if self.known.contains_key(&self.keys.try_intern(key)?) {
                open.pop();
                continue;
            }
            let operation = match key {
                ValueKey::Derived { operation, .. } => Arc::clone(operation),
                ValueKey::Input(input) => {
                    return Err(TypeError::Unknown {
                        input: input_label::<Op>(input),
                    });
                }
            };
            let before = open.len();
            for operand in operation.inputs() {
                if !self.known.contains_key(&self.keys.try_intern(operand)?) {
                    open.push(operand.clone());
                }
            }
            if open.len() == before {
                self.infer(&operation)?;
            }
        }
        Ok(&self.known[&wanted])
    }

    /// Infers the types of an operation's results, of whose operands the types are known.
    fn infer(&mut self, operation: &Arc<OperationKey<Op>>) -> Result<(), TypeError> {
        let mut operands: SmallVec<[ValueKeyId; 4]> = SmallVec::new();
        for operand in operation.inputs() {
            operands.push(self.keys.try_intern(operand)?);
        }
        let operands = operands.iter().map(|id| &self.known[id]);
        let operands: SmallVec<[&ValueType; 4]> = operands.collect();
        let results = result_types(operation.operation(), &operands)?;
        let results = results.ok_or_else(|| TypeError::NotInferred {
            op: describe_operation(operation.operation()),
        })?;
        drop(operands);
        for (slot, result) in results.into_iter().enumerate() {
            let key = ValueKey::Derived {
                operation: Arc::clone(operation),
                output_slot: slot as u8,
            };
            let id = self.keys.try_intern(&key)?;
            self.known.insert(id, result);
        }
        Ok(())
    }
}

/// Knows nothing.
impl<Op: GraphOperation> Default for TypeTable<Op> {
    fn default() -> Self {
        Self {
            keys: ValueKeyInterner::new(),
            known: HashMap::new(),
        }
    }
}

fn describe<Op: GraphOperation>(key: &ValueKey<Op>) -> String {
    match key {
        ValueKey::Input(input) => format!("input {}", input_label::<Op>(input)),
        derived => tidu_graph::describe_key(derived),
    }
}
