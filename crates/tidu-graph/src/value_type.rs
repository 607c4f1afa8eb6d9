//! What values are: types, as far as an operation set says.

use std::fmt::{self, Debug, Display};

use smallvec::SmallVec;

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
