//! The operands: arrays of any rank that share their memory.

use std::fmt::{self, Debug, Display};
use std::hash::{Hash, Hasher};

use ndarray::{ArcArray, Array, ArrayD, Dimension, IxDyn};
use num_complex::Complex64;
use tidu::ValueType;

use crate::shape::{COMPLEX, INDEX, REAL, ShapeError, check_size};

/// An array of real numbers, complex numbers or indices. Cloning one shares its elements.
///
/// ```
/// use tidu_tensor::Tensor;
///
/// let x = Tensor::new([2, 3], (0..6).map(f64::from).collect())?;
/// assert_eq!(x.value_type().to_string(), "f64[2, 3]");
/// assert_eq!(Tensor::from(2.5).item(), Some(2.5));
/// assert_eq!(Tensor::from([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), x);
/// assert_eq!(Tensor::from([0, 1]).value_type().to_string(), "i64[2]");
///
/// // Operators and methods compute at once.
/// use tidu_tensor::Value;
///
/// let mut y = 2.0 * x.sum([0]) - 1.0;
/// y -= Tensor::from([5.0, 9.0, 13.0]);
/// assert_eq!(y, Tensor::full(&[3], 0.0));
/// # Ok::<(), tidu_tensor::ShapeError>(())
/// ```
#[derive(Clone, PartialEq)]
pub enum Tensor {
    /// Real numbers.
    Real(Shared<f64>),
    /// Complex numbers.
    Complex(Shared<Complex64>),
    /// Integers, which have no derivative: labels, positions.
    Index(Shared<i64>),
}

/// Elements that tensors share, and copy when one of them is written to.
pub type Shared<T> = ArcArray<T, IxDyn>;

/// What tensors are made of.
pub trait Element: Clone + Copy + PartialEq + 'static {
    /// A tensor of such elements.
    fn wrap(array: Shared<Self>) -> Tensor;

    /// The elements of a tensor, if they are such.
    fn view(tensor: &Tensor) -> Option<&Shared<Self>>;

    /// The elements of a tensor, if they are such.
    fn unwrap(tensor: Tensor) -> Option<Shared<Self>>;
}

macro_rules! elements {
    ($($Element:ty => $Variant:ident),*) => {
        $(
            impl Element for $Element {
                fn wrap(array: Shared<Self>) -> Tensor {
                    Tensor::$Variant(array)
                }

                fn view(tensor: &Tensor) -> Option<&Shared<Self>> {
                    match tensor {
                        Tensor::$Variant(array) => Some(array),
                        _ => None,
                    }
                }

                fn unwrap(tensor: Tensor) -> Option<Shared<Self>> {
                    match tensor {
                        Tensor::$Variant(array) => Some(array),
                        _ => None,
                    }
                }
            }

            impl From<$Element> for Tensor {
                fn from(number: $Element) -> Self {
                    ArrayD::from_elem(IxDyn(&[]), number).into()
                }
            }
        )*
    };
}

elements!(f64 => Real, Complex64 => Complex, i64 => Index);

/// The same expression of the elements, whatever they are.
macro_rules! for_any {
    ($tensor:expr, $array:ident => $result:expr) => {
        match $tensor {
            Tensor::Real($array) => $result,
            Tensor::Complex($array) => $result,
            Tensor::Index($array) => $result,
        }
    };
}

pub(crate) use for_any;

impl Tensor {
    /// The elements in rows: the last axis runs first.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Count`] if there are too few or too many of them.
    pub fn new<T: Element>(
        dims: impl IntoIterator<Item = usize>,
        elements: Vec<T>,
    ) -> Result<Self, ShapeError> {
        let dims: Vec<usize> = dims.into_iter().collect();
        let found = elements.len();
        let array = ArrayD::from_shape_vec(dims.as_slice(), elements);
        let array = array.map_err(|_| ShapeError::Count { found, dims })?;
        Ok(array.into())
    }

    /// One number, everywhere.
    ///
    /// # Panics
    ///
    /// If no memory can hold so many elements. ([`Value::full`](crate::Value::full) says so as an error.)
    #[doc(alias("zeros", "ones"))]
    #[track_caller]
    pub fn full<T: Element>(dims: &[usize], number: T) -> Self {
        if let Err(error) = check_size(dims) {
            panic!("{error}");
        }
        ArrayD::from_elem(IxDyn(dims), number).into()
    }

    /// 0 everywhere, of the same type.
    pub(crate) fn zeros_like(&self) -> Self {
        match self {
            Self::Real(array) => Self::full(array.shape(), 0.0),
            Self::Complex(array) => Self::full(array.shape(), Complex64::ZERO),
            Self::Index(array) => Self::full(array.shape(), 0_i64),
        }
    }

    /// The sizes of the axes.
    #[doc(alias = "shape")]
    pub fn dims(&self) -> &[usize] {
        for_any!(self, array => array.shape())
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        for_any!(self, array => array.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `f64`, `c128` or `i64`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Real(_) => REAL,
            Self::Complex(_) => COMPLEX,
            Self::Index(_) => INDEX,
        }
    }

    /// The kind and the sizes.
    pub fn value_type(&self) -> ValueType {
        ValueType::new(self.kind(), self.dims().iter().copied())
    }

    /// The number, of a tensor of one real number.
    pub fn item(&self) -> Option<f64> {
        match self {
            Self::Real(array) if array.len() == 1 => array.first().copied(),
            _ => None,
        }
    }

    /// The elements, if they are of this kind, from first to last.
    pub fn elements<T: Element>(&self) -> Option<Vec<T>> {
        Some(T::view(self)?.iter().copied().collect())
    }

    /// The elements as an array, if they are of this kind.
    pub fn array<T: Element>(&self) -> Option<&Shared<T>> {
        T::view(self)
    }
}

impl<T: Element, D: Dimension> From<Array<T, D>> for Tensor {
    fn from(array: Array<T, D>) -> Self {
        T::wrap(array.into_dyn().into_shared())
    }
}

impl<T: Element> From<Vec<T>> for Tensor {
    fn from(elements: Vec<T>) -> Self {
        Array::from(elements).into()
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Tensor {
    fn from(elements: [T; N]) -> Self {
        elements.to_vec().into()
    }
}

impl<T: Element, const N: usize, const M: usize> From<[[T; M]; N]> for Tensor {
    fn from(rows: [[T; M]; N]) -> Self {
        Array::from_shape_fn([N, M], |(row, column)| rows[row][column]).into()
    }
}

impl<T: Element, const N: usize, const M: usize, const K: usize> From<[[[T; K]; M]; N]> for Tensor {
    fn from(layers: [[[T; K]; M]; N]) -> Self {
        Array::from_shape_fn([N, M, K], |(layer, row, column)| layers[layer][row][column]).into()
    }
}

/// The type and the elements.
impl Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self}", self.value_type())
    }
}

/// The elements.
impl Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for_any!(self, array => Display::fmt(&array.view(), f))
    }
}

/// A tensor that compares by the bits of its elements, so that it can be part of an operation.
///
/// Operations are hashed whenever they are looked for, so a digest of the elements is made once.
#[derive(Clone)]
pub struct Literal {
    tensor: Tensor,
    digest: u64,
}

impl Literal {
    /// The tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

impl From<Tensor> for Literal {
    fn from(tensor: Tensor) -> Self {
        // FNV-1a, by word.
        let digest = bits(&tensor).fold(0xcbf2_9ce4_8422_2325_u64, |digest, bits| {
            (digest ^ bits).wrapping_mul(0x0100_0000_01b3)
        });
        Self { tensor, digest }
    }
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.tensor.value_type() == other.tensor.value_type()
            && (is_same_memory(&self.tensor, &other.tensor)
                || bits(&self.tensor).eq(bits(&other.tensor)))
    }
}

impl Eq for Literal {}

impl Hash for Literal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tensor.value_type().hash(state);
        self.digest.hash(state);
    }
}

fn bits(tensor: &Tensor) -> Box<dyn Iterator<Item = u64> + '_> {
    match tensor {
        Tensor::Real(array) => Box::new(array.iter().map(|x| x.to_bits())),
        Tensor::Complex(array) => {
            let parts = array.iter().flat_map(|z| [z.re, z.im]);
            Box::new(parts.map(f64::to_bits))
        }
        Tensor::Index(array) => Box::new(array.iter().map(|&at| at.cast_unsigned())),
    }
}

/// Whether two tensors of one type share their elements, in the same order.
fn is_same_memory(x: &Tensor, y: &Tensor) -> bool {
    for_any!(x, x => {
        Element::view(y).is_some_and(|y: &Shared<_>| {
            x.as_ptr() == y.as_ptr() && x.strides() == y.strides()
        })
    })
}

/// A number, or the type of more than one, with a digest that tells tensors apart in print.
impl Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tensor {
            Tensor::Real(array) if array.ndim() == 0 => write!(f, "{:?}", array[[]]),
            Tensor::Complex(array) if array.ndim() == 0 => write!(f, "{}", array[[]]),
            Tensor::Index(array) if array.ndim() == 0 => write!(f, "{}", array[[]]),
            tensor => write!(f, "{} #{:08x}", tensor.value_type(), self.digest >> 32),
        }
    }
}
