//! What values are: types, as far as an operation set says.

use std::fmt::{self, Debug, Display};
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use thiserror::Error;

use crate::GraphOperation;
use crate::base::TypeId;
use crate::error::{GraphError, counted, describe_operation};
use crate::runtime_error::RuntimeError;

/// What kind of operand a value is, and of what size: `f64[3, 4]`. (JAX: `jax.core.ShapedArray`.)
///
/// ```
/// use tidu_graph::ValueType;
///
/// let matrix = ValueType::new("f64", [3, 4]);
/// assert_eq!(matrix.dims(), [3, 4]);
/// assert_eq!(matrix.bytes(), Some(96));
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

    /// How many elements there are: the product of the sizes. `None` if that is no `usize`.
    pub fn elements(&self) -> Option<usize> {
        let mut sizes = self.dims.iter();
        if self.dims.contains(&0) {
            return Some(0);
        }
        sizes.try_fold(1, |product: usize, size| product.checked_mul(*size))
    }

    /// How many bytes the elements take together. `None` for a kind whose name does not say how many bits an
    /// element has, as `f64`, `i32`, `c128` and `bool` do, and where the number is no `usize`.
    pub fn bytes(&self) -> Option<usize> {
        self.elements()?.checked_mul(bytes_of_element(self.kind)?)
    }
}

/// Of a kind that is a letter and a number of bits, which is a multiple of eight; and of truth values.
fn bytes_of_element(kind: &str) -> Option<usize> {
    if kind == "bool" {
        return Some(1);
    }
    let mut letters = kind.chars();
    let bits: usize = match letters.next() {
        Some('b' | 'c' | 'f' | 'i' | 'u') => letters.as_str().parse().ok()?,
        _ => return None,
    };
    (bits > 0 && bits.is_multiple_of(8)).then_some(bits / 8)
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

/// The types of an operation's results, for operands of these types: what
/// [`GraphOperation::infer_types`] says, checked by count, with an error that names the operation and the types.
/// `None` if the operation set does not say.
///
/// # Errors
///
/// [`TypeError::Operation`], [`TypeError::WrongResultCount`].
pub fn result_types<Op: GraphOperation>(
    operation: &Op,
    operands: &[&ValueType],
) -> Result<Option<Vec<ValueType>>, TypeError> {
    let results = operation.infer_types(operands);
    let results = results.map_err(|source| TypeError::Operation {
        op: describe_operation(operation),
        operands: operands.iter().copied().cloned().collect(),
        source: RuntimeError::new(source),
    })?;
    let Some(results) = results else {
        return Ok(None);
    };
    let (expected, found) = (operation.output_count(), results.len());
    if expected != found {
        return Err(TypeError::WrongResultCount {
            op: describe_operation(operation),
            expected,
            found,
        });
    }
    Ok(Some(results))
}

/// The types of the values of a graph, each kept once: a value costs four bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValueTypes {
    distinct: Vec<ValueType>,
    by_hash: HashTable<TypeId>,
    by_value: Vec<TypeId>,
}

impl ValueTypes {
    /// Those of the first values.
    pub fn of(types: impl IntoIterator<Item = ValueType>) -> Self {
        let mut values = Self::default();
        for value_type in types {
            let id = values.intern(value_type);
            values.push(id);
        }
        values
    }

    /// The same types, of no values.
    pub fn of_none(&self, room: usize) -> Self {
        Self {
            distinct: self.distinct.clone(),
            by_hash: self.by_hash.clone(),
            by_value: Vec::with_capacity(room),
        }
    }

    pub fn get(&self, id: TypeId) -> &ValueType {
        &self.distinct[id.index()]
    }

    /// The type of a value, by its position.
    #[inline]
    pub fn id_of(&self, value: usize) -> TypeId {
        self.by_value[value]
    }

    /// Those of values in a row.
    pub fn ids(&self) -> &[TypeId] {
        &self.by_value
    }

    /// Says of what type the next value is.
    #[inline]
    pub fn push(&mut self, id: TypeId) {
        self.by_value.push(id);
    }

    pub fn intern(&mut self, value_type: ValueType) -> TypeId {
        // A graph has few, and the one that came last comes again.
        if let Some(last) = self.distinct.last()
            && *last == value_type
        {
            return TypeId::new(self.distinct.len() - 1);
        }
        let hash = hash(&value_type);
        let distinct = &mut self.distinct;
        let is_same = |id: &TypeId| distinct[id.index()] == value_type;
        if let Some(known) = self.by_hash.find(hash, is_same) {
            return *known;
        }
        let id = TypeId::new(distinct.len());
        distinct.push(value_type);
        let rehash = |id: &TypeId| self::hash(&distinct[id.index()]);
        self.by_hash.insert_unique(hash, id, rehash);
        id
    }

    /// What the types of other values are here.
    pub fn import(&mut self, other: &Self) -> Vec<TypeId> {
        let types = other.distinct.iter().cloned();
        types.map(|value_type| self.intern(value_type)).collect()
    }

    /// Infers the types of an operation's results from those of its operands, and says of what type the next values
    /// are.
    pub fn infer<Op: GraphOperation>(
        &mut self,
        operation: &Op,
        operands: impl Iterator<Item = usize>,
    ) -> Result<(), TypeError> {
        let operands: SmallVec<[&ValueType; 4]> = operands
            .map(|operand| &self.distinct[self.by_value[operand].index()])
            .collect();
        let Some(results) = result_types(operation, &operands)? else {
            return Err(TypeError::NotInferred {
                op: describe_operation(operation),
            });
        };
        drop(operands);
        for result in results {
            let id = self.intern(result);
            self.push(id);
        }
        Ok(())
    }
}

fn hash(value_type: &ValueType) -> u64 {
    FixedState::default().hash_one(value_type)
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
        /// What the operation set says ([`GraphOperation::infer_types`]).
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
    /// An operation that does not say of what types its results are.
    #[error("{op} does not say of what types its results are: its set needs `infer_types`")]
    NotInferred {
        /// The operation.
        op: String,
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
    Graph(Box<GraphError>),
}

impl TypeError {
    /// Whether nobody said anything, rather than something wrong.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

impl From<GraphError> for TypeError {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Type(error) => *error,
            error => Self::Graph(Box::new(error)),
        }
    }
}

fn list(types: &[ValueType]) -> String {
    if types.is_empty() {
        return "nothing".into();
    }
    let types: Vec<String> = types.iter().map(ValueType::to_string).collect();
    types.join(" and ")
}
