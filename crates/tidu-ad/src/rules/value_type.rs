//! What values are: types, as far as rules need to know them.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::sync::Arc;

use smallvec::SmallVec;
use thiserror::Error;
use tidu_graph::text::{counted, input_label};
use tidu_graph::{
    GraphError, GraphOperation, OperationKey, ValueKey, ValueKeyId, ValueKeyInterner,
    describe_operation,
};

use super::RuntimeError;

/// What kind of operand a value is, and of what size: `f64[3, 4]`. (JAX: `jax.core.ShapedArray`.)
///
/// ```
/// use tidu_ad::ValueType;
///
/// let matrix = ValueType::new("f64", [3, 4]);
/// assert_eq!(matrix.dims(), [3, 4]);
/// assert_eq!(matrix.to_string(), "f64[3, 4]");
/// assert_eq!(ValueType::new("f64", []).to_string(), "f64");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ValueType {
    kind: &'static str,
    dims: SmallVec<[usize; 4]>,
}

impl ValueType {
    /// A kind, as the operation set calls it, and the sizes of the axes.
    pub fn new(kind: &'static str, dims: impl IntoIterator<Item = usize>) -> Self {
        Self {
            kind,
            dims: dims.into_iter().collect(),
        }
    }

    /// What the elements are.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The sizes of the axes.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }
}

impl Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        match self.dims() {
            [] => Ok(()),
            dims => write!(f, "{dims:?}"),
        }
    }
}

/// As [`Display`].
impl Debug for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// An operation set that knows of what types results are.
///
/// See [`TypeTable`], which follows a computation with it.
pub trait InferTypes: GraphOperation {
    /// What is wrong with the types of operands: an error type, a boxed error, or a text. It is shown
    /// after the operation and the types that it was given.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// The types of the results, for operands of these types, as many as the operation has.
    ///
    /// # Errors
    ///
    /// Where the operation cannot be applied to such operands.
    fn infer_types(&self, operands: &[&ValueType]) -> Result<Vec<ValueType>, Self::Error>;

    /// [`infer_types`](Self::infer_types), checked by count, with an error that names the operation and the
    /// types.
    ///
    /// # Errors
    ///
    /// [`TypeError::Operation`], [`TypeError::WrongResultCount`].
    fn result_types(&self, operands: &[&ValueType]) -> Result<Vec<ValueType>, TypeError> {
        let results = self.infer_types(operands);
        let results = results.map_err(|source| TypeError::Operation {
            op: describe_operation(self),
            operands: operands.iter().copied().cloned().collect(),
            source: RuntimeError::new(source),
        })?;
        let (expected, found) = (self.output_count(), results.len());
        match expected == found {
            true => Ok(results),
            false => Err(TypeError::WrongResultCount {
                op: describe_operation(self),
                expected,
                found,
            }),
        }
    }
}

/// The types of values: noted of inputs, inferred of the rest. An AD context for operation sets whose
/// rules ask for shapes.
///
/// # Example
///
/// What an operation set with such a context says of itself, besides its rules:
///
/// ```
/// # use std::convert::Infallible;
/// use tidu_ad::{InferTypes, TypeTable, ValueType};
/// # use tidu_graph::{GraphOperation, OperationKey, OperationRole, ValueKey};
/// # #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// # enum Op { Transpose }
/// # impl GraphOperation for Op {
/// #     type Operand = Vec<f64>;
/// #     type Context = ();
/// #     type InputKey = &'static str;
/// #     fn input_count(&self) -> usize { 1 }
/// #     fn output_count(&self) -> usize { 1 }
/// # }
/// impl InferTypes for Op {
///     type Error = Infallible;
///
///     fn infer_types(&self, operands: &[&ValueType]) -> Result<Vec<ValueType>, Infallible> {
///         match self {
///             Op::Transpose => {
///                 let dims = operands[0].dims().iter().rev();
///                 Ok(vec![ValueType::new("f64", dims.copied())])
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

impl<Op: InferTypes> TypeTable<Op> {
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
            Err(TypeError::Unknown { .. }) => {
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
        let results = operation.operation().result_types(&operands)?;
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

/// What can be wrong with types.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TypeError {
    /// An input of which nobody said anything.
    #[error(
        "the type of input {input} is not known: note it in the AD context, or give the function the types of its inputs (`Function::with_types`)"
    )]
    Unknown {
        /// The input.
        input: String,
    },
    /// A value that is said to be of two types.
    #[error(
        "{value} is {known}, and cannot be {found} too: give each function an AD context of its own"
    )]
    Conflict {
        /// The value.
        value: String,
        /// What is known.
        known: Box<ValueType>,
        /// What is said now.
        found: Box<ValueType>,
    },
    /// An operation that cannot be applied to operands of these types.
    #[error("{op} of {}: {source}", list(operands))]
    Operation {
        /// The operation.
        op: String,
        /// The types of its operands.
        operands: Vec<ValueType>,
        /// What the operation set says ([`InferTypes::Error`]).
        source: RuntimeError,
    },
    /// An operation that does not say of each result of what type it is.
    #[error("{op} has {expected} results, but types were inferred for {found}")]
    WrongResultCount {
        /// The operation.
        op: String,
        /// The number of its results.
        expected: usize,
        /// How many types there were.
        found: usize,
    },
    /// A number of types that is not the number of inputs.
    #[error("the function has {}, found {}", counted(*expected, "input"), counted(*found, "type"))]
    WrongCount {
        /// The number of inputs.
        expected: usize,
        /// How many types were given.
        found: usize,
    },
    /// A value of which nobody keeps the type.
    #[error(
        "the type of a value is not known: it is zero, or its builder keeps no keys, or the operation set has no types"
    )]
    Untracked,
    /// A key that is none.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl TypeError {
    /// Whether nobody said anything, rather than something wrong.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

fn list(types: &[ValueType]) -> String {
    let types: Vec<String> = types.iter().map(ValueType::to_string).collect();
    match types.is_empty() {
        true => "nothing".into(),
        false => types.join(" and "),
    }
}
