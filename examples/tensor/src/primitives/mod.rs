//! The table of all primitives.

pub(crate) mod complex;
pub(crate) mod constants;
pub(crate) mod elementwise;
pub(crate) mod factorizations;
pub(crate) mod indexing;
pub(crate) mod products;
pub(crate) mod reductions;
pub(crate) mod shapes;

use std::sync::Arc;

use tidu::Composite;

use crate::definition::Definition;
use crate::tensor::Literal;

/// What an operation is: one of the set, or a function made of them.
pub(crate) enum Meaning<'a> {
    Defined(&'a dyn Definition),
    Composite(&'a Composite<TensorOp>),
}

/// The primitives, and from each to its definition: those that hold something are their own. What they hold is shared,
/// so that an operation takes two words in a graph, and is copied without an allocation.
macro_rules! table {
    (
        $($(#[doc = $own_doc:literal])* $Own:ident($Held:ty),)*
        ;
        $($(#[doc = $doc:literal])* $Plain:ident => $definition:path,)*
    ) => {
        /// A primitive on [`Tensor`](crate::Tensor)s.
        #[derive(Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum TensorOp {
            $($(#[doc = $own_doc])* $Own(Arc<$Held>),)*
            $($(#[doc = $doc])* $Plain,)*
            /// A function of tensors, with derivative rules of its own.
            Composite(Composite<TensorOp>),
        }

        $(
            impl From<$Held> for TensorOp {
                fn from(primitive: $Held) -> Self {
                    Self::$Own(Arc::new(primitive))
                }
            }
        )*

        impl TensorOp {
            /// Every primitive that holds nothing.
            pub const PLAIN: &'static [TensorOp] = &[$(TensorOp::$Plain),*];

            /// What the operation is.
            pub(crate) fn meaning(&self) -> Meaning<'_> {
                Meaning::Defined(match self {
                    TensorOp::Composite(function) => return Meaning::Composite(function),
                    $(TensorOp::$Own(own) => &**own,)*
                    $(TensorOp::$Plain => &$definition,)*
                })
            }
        }
    };
}

table! {
    /// A tensor, from no operands.
    Constant(Literal),
    /// One number everywhere, from no operands.
    Full(constants::Full),
    /// xᶜ
    Power(elementwise::Power),
    /// Σ x over axes
    Sum(reductions::Axes),
    /// max x over axes
    Max(reductions::Max),
    /// ln Σ eˣ over axes
    LogSumExp(reductions::LogSumExp),
    /// eˣ / Σ eˣ over axes
    Softmax(reductions::Softmax),
    /// ln (eˣ / Σ eˣ) over axes
    LogSoftmax(reductions::LogSoftmax),
    /// Σ x over axes, but for each element itself
    SumOthers(reductions::SumOthers),
    /// Where along an axis the largest element is
    ArgMax(reductions::ArgMax),
    /// The same elements in another shape
    Reshape(shapes::Reshape),
    /// The axes in another order
    Permute(shapes::Permute),
    /// Repeated along axes
    BroadcastTo(shapes::BroadcastTo),
    /// A part
    Slice(shapes::Slice),
    /// A part of what is 0 elsewhere
    Pad(shapes::Pad),
    /// One after another along an axis
    Concatenate(shapes::Concatenate),
    /// The elements at indices along an axis
    Gather(indexing::Gather),
    /// Sums of elements that have one index
    ScatterAdd(indexing::ScatterAdd),
    /// 1 at an index, and 0 elsewhere
    OneHot(indexing::OneHot),
    /// A product summed over labels
    Einsum(products::Einsum),
    /// The cofactors of a matrix, or derivatives of them
    Cofactors(factorizations::determinant::Cofactors),
    /// T⁻¹·B, of a triangular matrix
    TriangularSolve(factorizations::solves::TriangularSolve),
    /// A⁻¹·B
    Solve(factorizations::solves::Solve),
    ;
    /// x, taken for a constant by derivatives
    StopGradient => constants::STOP_GRADIENT,
    /// x + y
    Add => elementwise::ADD,
    /// x - y
    Sub => elementwise::SUB,
    /// x·y
    Mul => elementwise::MUL,
    /// x / y
    Div => elementwise::DIV,
    /// -x
    Neg => elementwise::NEG,
    /// √x
    Sqrt => elementwise::SQRT,
    /// eˣ
    Exp => elementwise::EXP,
    /// ln x
    Ln => elementwise::LN,
    /// ln (1 + x)
    Ln1p => elementwise::LN_1P,
    /// eˣ - 1
    ExpM1 => elementwise::EXP_M1,
    /// sin x
    Sin => elementwise::SIN,
    /// cos x
    Cos => elementwise::COS,
    /// tanh x
    Tanh => elementwise::TANH,
    /// 1 / cosh² x
    SechSquare => elementwise::SECH_SQUARE,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid => elementwise::SIGMOID,
    /// ln (1 + eˣ)
    Softplus => elementwise::SOFTPLUS,
    /// max (x, 0)
    Relu => elementwise::RELU,
    /// |x|
    Abs => elementwise::ABS,
    /// x / |x|; 0 at 0
    Sign => elementwise::SIGN,
    /// The larger of x and y
    Maximum => elementwise::MAXIMUM,
    /// The smaller of x and y
    Minimum => elementwise::MINIMUM,
    /// 1 where x > y, 0 elsewhere
    Greater => elementwise::GREATER,
    /// 1 where x ≥ y, 0 elsewhere
    GreaterEqual => elementwise::GREATER_EQUAL,
    /// 1 where x = y, 0 elsewhere
    Equal => elementwise::EQUAL,
    /// The second operand where the first is not 0, the third elsewhere
    Select => elementwise::SELECT,
    /// The second operand where the first is not 0, 0 elsewhere
    KeepIf => elementwise::KEEP_IF,
    /// The same, for conditions that a rule has of its own
    KeepPart => elementwise::KEEP_PART,
    /// Indices as real numbers
    ToReal => constants::TO_REAL,
    /// The conjugate
    Conj => complex::CONJ,
    /// The real part
    Re => complex::RE,
    /// The imaginary part
    Im => complex::IM,
    /// Real numbers as complex ones
    ToComplex => complex::TO_COMPLEX,
    /// i·x
    ToImaginary => complex::TO_IMAGINARY,
    /// x + i·y, of real numbers
    Complex => complex::COMPLEX,
    /// L of A = L·Lᴴ
    Cholesky => factorizations::cholesky::Cholesky,
    /// Q and R of A = Q·R
    Qr => factorizations::qr::Qr,
    /// w and V of A = V·diag(w)·Vᴴ
    Eigh => factorizations::eigh::Eigh,
    /// U, s and Vᴴ of A = U·diag(s)·Vᴴ
    Svd => factorizations::svd::Svd,
    /// det A
    Determinant => factorizations::determinant::Determinant,
    /// σ and l of det A = σ·eˡ
    LogDeterminant => factorizations::determinant::LogDeterminant,
}
