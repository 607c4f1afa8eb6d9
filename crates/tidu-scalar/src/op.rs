//! The primitives as values.

use std::fmt;

use tidu_ad::Composite;
use tidu_graph::{
    EvalError, EvaluableGraphOperation, GraphOperation, Operands, Rewrite, SubFunction,
};

use crate::definition::{Definition, Eval, Meaning};
use crate::key::ScalarKey;
use crate::simplify;

/// A primitive on `f64`.
///
/// Domains, values at the edges, slopes, and how accurate all of it was measured to be stand in a table
/// in the book, `docs/scalar.md`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScalarOp {
    /// A constant, an operation without operands.
    Constant(Constant),
    /// x + y
    Add,
    /// x - y
    Sub,
    /// x·y
    Mul,
    /// x / y
    Div,
    /// -x
    Neg,
    /// 1 / x
    Recip,
    /// x·y + z, rounded once
    MulAdd,
    /// x rem y, with the sign of x
    Rem,
    /// The second operand where the first is not 0, the third elsewhere
    Select,
    /// The second operand where the first is not 0, 0 elsewhere
    KeepIf,
    /// x, taken for a constant by derivatives
    StopGradient,
    /// 1 if x < y, else 0
    Lt,
    /// 1 if x ≤ y, else 0
    Le,
    /// 1 if x > y, else 0
    Gt,
    /// 1 if x ≥ y, else 0
    Ge,
    /// 1 if x = y, else 0
    Eq,
    /// 1 if x ≠ y, else 0
    Ne,
    /// The smaller of x and y; NaN if one is
    Min,
    /// The larger of x and y; NaN if one is
    Max,
    /// |x|
    Abs,
    /// -1, 0 or 1; ±0 at ±0
    Sign,
    /// The largest integer up to x
    Floor,
    /// The smallest integer from x on
    Ceil,
    /// The integer nearest to x, of two the one farther from 0
    Round,
    /// The integer nearest to x, of two the even one
    RoundTiesEven,
    /// The integer next to x on the side of 0
    Trunc,
    /// √x
    Sqrt,
    /// ∛x
    Cbrt,
    /// √(x² + y²)
    Hypot,
    /// x / √(x² + y²); 0 at the origin
    Direction,
    /// xⁿ, for the integer n that the operation holds
    Powi(i32),
    /// xᶜ, for the number c that the operation holds
    Powf(Constant),
    /// x to the power of y
    Pow,
    /// A partial derivative of x to the power of y
    PowPartial(PowerOrders),
    /// eˣ
    Exp,
    /// 2ˣ
    Exp2,
    /// eˣ - 1
    Expm1,
    /// exp(-x²)
    ExpNegSquare,
    /// ln x; -∞ at 0, NaN below
    Ln,
    /// log₂ x
    Log2,
    /// log₁₀ x
    Log10,
    /// ln (1 + x)
    Log1p,
    /// ln (eˣ + eʸ)
    Logaddexp,
    /// σ(x) = 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// σ(x - y)
    SigmoidSub,
    /// ln (1 + eˣ)
    Softplus,
    /// sin x, x in radians
    Sin,
    /// cos x, x in radians
    Cos,
    /// (sin x, cos x), x in radians
    SinCos,
    /// tan x, x in radians
    Tan,
    /// arcsin x
    Asin,
    /// arccos x
    Acos,
    /// arctan x
    Atan,
    /// The angle of the point (y, x): the ordinate comes first
    Atan2,
    /// sinh x
    Sinh,
    /// cosh x
    Cosh,
    /// tanh x
    Tanh,
    /// 1 / cosh² x
    SechSquare,
    /// arsinh x
    Asinh,
    /// arcosh x
    Acosh,
    /// artanh x
    Atanh,
    /// erf x
    Erf,
    /// 1 - erf x
    Erfc,
    /// ln |Γ(x)|
    Lgamma,
    /// ψ(x), the derivative of ln |Γ(x)|
    Digamma,
    /// The n-th derivative of ψ(x), for the n that the operation holds
    Polygamma(u32),
    /// A function of scalars, with derivative rules of its own.
    Composite(Composite<ScalarOp>),
}

impl ScalarOp {
    /// The operation that yields `value`.
    pub const fn constant(value: f64) -> Self {
        Self::Constant(Constant(value.to_bits()))
    }

    /// The operation that raises to the power of `exponent`.
    pub const fn powf(exponent: f64) -> Self {
        Self::Powf(Constant(exponent.to_bits()))
    }

    /// The operation that yields ∂ⁿ/∂xⁿ ∂ᵐ/∂yᵐ of x to the power of y, for n and m up to 65535.
    pub const fn pow_partial(n: u16, m: u16) -> Self {
        Self::PowPartial(PowerOrders { n, m })
    }

    /// What is said about the primitive; `None` for a function.
    #[inline]
    pub(crate) fn definition(&self) -> Option<&'static Definition> {
        match self.meaning() {
            Meaning::Defined(definition) => Some(definition),
            Meaning::Composite(_) => None,
        }
    }

    /// The number that the operation holds; 0 if it holds none.
    #[inline]
    pub(crate) fn number(&self) -> f64 {
        match self {
            Self::Constant(number) | Self::Powf(number) => number.value(),
            Self::Powi(number) => f64::from(*number),
            Self::Polygamma(number) => f64::from(*number),
            Self::PowPartial(orders) => orders.number(),
            _ => 0.0,
        }
    }
}

/// A number that compares by its bits, so that 0 and -0 are two constants and NaN is one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Constant(u64);

impl Constant {
    /// The number.
    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// The number as `f64` prints it, which reads back exactly; a NaN with its bits.
impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            nan if nan.is_nan() => write!(f, "NaN.{:016x}", self.0),
            number => write!(f, "{number:?}"),
        }
    }
}

/// How often x to the power of y is differentiated by x, and how often by y.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PowerOrders {
    pub(crate) n: u16,
    pub(crate) m: u16,
}

const MOST_ORDERS: f64 = 65536.0;

impl PowerOrders {
    /// By x.
    pub const fn by_base(self) -> u16 {
        self.n
    }

    /// By y.
    pub const fn by_exponent(self) -> u16 {
        self.m
    }

    /// Both as one number.
    pub(crate) fn number(self) -> f64 {
        f64::from(self.n) * MOST_ORDERS + f64::from(self.m)
    }

    /// From one number.
    pub(crate) fn from_number(number: f64) -> Self {
        Self {
            n: (number / MOST_ORDERS) as u16,
            m: (number % MOST_ORDERS) as u16,
        }
    }
}

impl GraphOperation for ScalarOp {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    #[inline]
    fn input_count(&self) -> usize {
        match self.meaning() {
            Meaning::Defined(definition) => definition.eval.shape().0,
            Meaning::Composite(function) => function.input_count(),
        }
    }

    #[inline]
    fn output_count(&self) -> usize {
        match self.meaning() {
            Meaning::Defined(definition) => definition.eval.shape().1,
            Meaning::Composite(function) => function.output_count(),
        }
    }

    #[inline]
    fn functions(&self) -> &[SubFunction<Self>] {
        match self {
            Self::Composite(function) => function.functions(),
            _ => &[],
        }
    }

    fn commutes(&self) -> bool {
        let definition = self.definition();
        definition.is_some_and(|definition| definition.commutes)
    }

    fn fold(&self, operands: &[&Self]) -> Option<Vec<Self>> {
        simplify::fold(self, operands)
    }

    fn rewrites(&self) -> &'static [Rewrite<Self>] {
        self.definition()
            .map_or(&[], |definition| definition.rewrites)
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.meaning() {
            Meaning::Defined(definition) => definition.name,
            Meaning::Composite(function) => return write!(f, "{function}"),
        };
        match self {
            Self::Constant(number) | Self::Powf(number) => write!(f, "{name} {number:?}"),
            Self::Powi(number) => write!(f, "{name} {number}"),
            Self::Polygamma(number) => write!(f, "{name} {number}"),
            Self::PowPartial(PowerOrders { n, m }) => write!(f, "{name} {n} {m}"),
            _ => f.write_str(name),
        }
    }

    fn fmt_input_name(key: &ScalarKey, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(key, f)
    }
}

impl EvaluableGraphOperation for ScalarOp {
    /// No results where a function fails.
    fn eval(&self, ctx: &mut (), inputs: &[&f64]) -> Vec<f64> {
        let mut results = Vec::with_capacity(self.output_count());
        self.eval_into(ctx, inputs, &mut results);
        results
    }

    fn constant_of(value: &f64) -> Option<Self> {
        Some(Self::constant(*value))
    }

    // Once for each number of operands, which the compiler then knows.
    #[inline(always)]
    fn eval_one(&self, _: &mut (), x: &mut Operands<'_, f64>) -> Option<f64> {
        Some(match self {
            Self::Add => x[0] + x[1],
            Self::Sub => x[0] - x[1],
            Self::Mul => x[0] * x[1],
            Self::Div => x[0] / x[1],
            Self::Neg => -x[0],
            Self::Sin => x[0].sin(),
            Self::Cos => x[0].cos(),
            Self::Exp => x[0].exp(),
            _ => match (self.definition()?.eval, x.len()) {
                (Eval::Constant, 0) => self.number(),
                (Eval::Unary(f), 1) => f(x[0]),
                (Eval::Numbered(f), 1) => f(self.number(), x[0]),
                (Eval::Binary(f), 2) => f(x[0], x[1]),
                (Eval::Ternary(f), 3) => f(x[0], x[1], x[2]),
                _ => return None,
            },
        })
    }

    /// Only functions fail.
    #[inline]
    fn try_eval_into(
        &self,
        ctx: &mut (),
        inputs: &[&f64],
        out: &mut Vec<f64>,
    ) -> Result<(), EvalError> {
        // Most of a derivative; each takes less time than its definition takes to find.
        match (self, inputs) {
            (Self::Add, [x, y]) => out.push(**x + **y),
            (Self::Mul, [x, y]) => out.push(**x * **y),
            (Self::Sub, [x, y]) => out.push(**x - **y),
            (Self::Div, [x, y]) => out.push(**x / **y),
            (Self::Neg, [x]) => out.push(-**x),
            _ => return self.eval_as_defined(ctx, inputs, out),
        }
        Ok(())
    }
}

impl ScalarOp {
    /// Not inlined where the operations above are.
    #[inline(never)]
    fn eval_as_defined(
        &self,
        ctx: &mut (),
        inputs: &[&f64],
        out: &mut Vec<f64>,
    ) -> Result<(), EvalError> {
        let is_known = match self.meaning() {
            Meaning::Defined(definition) => definition.eval.call(self, inputs, out),
            Meaning::Composite(function) => {
                out.extend(function.try_eval(ctx, inputs)?);
                return Ok(());
            }
        };
        assert!(
            is_known,
            "{self:?} takes {} operands, found {}",
            self.input_count(),
            inputs.len()
        );
        Ok(())
    }
}
