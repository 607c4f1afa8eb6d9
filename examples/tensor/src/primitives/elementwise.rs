//! What is done to each element by itself, after operands have been broadcast.

use std::fmt;

use num_complex::Complex64;
use tidu::rules::{Term, Times};
use tidu::{Linearity, ValueType};

use crate::context::Args;
use crate::definition::Domain::{Comparable, Conditional, Reals, ToReals};
use crate::definition::{Definition, Point, Pointwise, comparison, numbers, reals};
use crate::notation::{Fixed, Notation, Tangent};
use crate::numbers::{self, canonical};
use crate::op::TensorOp;
use crate::shape::{COMPLEX, INDEX, REAL, ShapeError, number_kind};
use crate::tensor::Tensor;

/// y = x₀ + x₁
///
/// ẏ = ẋ₀ + ẋ₁; x̄ = (ȳ, ȳ). Linear in both operands together.
pub(crate) static ADD: Pointwise = Pointwise::new(
    "add",
    2,
    |args| match args.kind() {
        COMPLEX => args.zip_complex(numbers::add),
        _ => args.zip(|a: f64, b: f64| canonical(a + b)),
    },
    |_, _, dx| dx[0] + dx[1],
)
.linear(Linearity::Joint, |_, _, ct| ct)
.commuting();

/// y = x₀ - x₁
///
/// ẏ = ẋ₀ - ẋ₁; x̄ = (ȳ, -ȳ). Linear in both operands together.
pub(crate) static SUB: Pointwise =
    Pointwise::new("sub", 2, numbers!(|a, b| a - b), |_, _, dx| dx[0] - dx[1])
        .linear(Linearity::Joint, |_, i, ct| if i == 0 { ct } else { -ct });

/// y = x₀·x₁
///
/// ẏ = ẋ₀·x₁ + x₀·ẋ₁; x̄₀ = ȳ·conj x₁ or x̄₁ = ȳ·conj x₀. Linear in each operand. A real number times a complex one
/// multiplies both parts, infinite ones too.
pub(crate) static MUL: Pointwise = Pointwise::step("mul", 2, product)
    .linear(Linearity::Each, |x, i, ct| ct * x[1 - i].conj())
    .commuting();

/// y = x₀ / x₁
///
/// ẏ = (ẋ₀ - y·ẋ₁) / x₁; x̄₀ = ȳ / conj x₁. Linear in x₀. Edges: those of IEEE 754 at x₁ = 0.
pub(crate) static DIV: Pointwise =
    Pointwise::new("div", 2, quotient, |x, y, dx| (dx[0] - y * dx[1]) / x[1])
        .linear(Linearity::In(&[&[true, false]]), |x, _, ct| {
            ct / x[1].conj()
        });

/// y = -x
///
/// ẏ = -ẋ; x̄ = -ȳ. Linear.
pub(crate) static NEG: Pointwise =
    Pointwise::step("neg", 1, numbers!(|x| -x)).linear(Linearity::Joint, |_, _, ct| -ct);

/// y = √x
///
/// ẏ = ẋ / (2·y). Edges: slope ∞ at 0; NaN for negative real numbers, the principal root of complex ones.
pub(crate) static SQRT: Pointwise =
    Pointwise::new("sqrt", 1, numbers!(f64::sqrt, numbers::sqrt), |_, y, dx| {
        dx[0] / (2.0 * y)
    });

/// y = eˣ
///
/// ẏ = y·ẋ
pub(crate) static EXP: Pointwise =
    Pointwise::new("exp", 1, numbers!(f64::exp, numbers::exp), |_, y, dx| {
        y * dx[0]
    });

/// y = ln x
///
/// ẏ = ẋ / x. Edges: -∞ at 0, with slope ∞; NaN for negative real numbers, the principal branch for complex
/// ones.
pub(crate) static LN: Pointwise =
    Pointwise::new("ln", 1, numbers!(f64::ln, numbers::ln), |x, _, dx| {
        dx[0] / x[0]
    });

/// y = ln (1 + x), of real numbers, without cancellation near 0
///
/// ẏ = ẋ / (1 + x). Edges: -∞ at -1; NaN below.
pub(crate) static LN_1P: Pointwise =
    Pointwise::new("ln_1p", 1, reals!(|x| x.ln_1p()), |x, _, dx| {
        dx[0] / (1.0 + x[0])
    })
    .on(Reals);

/// y = eˣ - 1, of real numbers, without cancellation near 0
///
/// ẏ = eˣ·ẋ
pub(crate) static EXP_M1: Pointwise =
    Pointwise::new("exp_m1", 1, reals!(|x| x.exp_m1()), |x, _, dx| {
        x[0].then(TensorOp::Exp) * dx[0]
    })
    .on(Reals);

/// y = sin x
///
/// ẏ = cos x·ẋ
pub(crate) static SIN: Pointwise =
    Pointwise::new("sin", 1, numbers!(f64::sin, numbers::sin), |x, _, dx| {
        x[0].then(TensorOp::Cos) * dx[0]
    });

/// y = cos x
///
/// ẏ = -sin x·ẋ
pub(crate) static COS: Pointwise =
    Pointwise::new("cos", 1, numbers!(f64::cos, numbers::cos), |x, _, dx| {
        -(x[0].then(TensorOp::Sin) * dx[0])
    });

/// y = tanh x
///
/// ẏ = ẋ / cosh² x, by [`SECH_SQUARE`]: 1 - y² has no digit left where |x| > 19. Edges: ±1 at ±∞.
pub(crate) static TANH: Pointwise =
    Pointwise::new("tanh", 1, numbers!(f64::tanh, numbers::tanh), |x, _, dx| {
        x[0].then(TensorOp::SechSquare) * dx[0]
    });

/// y = 1 / cosh² x, which underflows only if y does
///
/// ẏ = -2·tanh x·y·ẋ. Edges: 0 at ±∞.
pub(crate) static SECH_SQUARE: Pointwise = Pointwise::new(
    "sech_square",
    1,
    numbers!(numbers::real_sech_square, numbers::sech_square),
    |x, y, dx| -2.0 * (x[0].then(TensorOp::Tanh) * y * dx[0]),
);

/// y = 1 / (1 + e⁻ˣ), of real numbers
///
/// ẏ = ẋ / (4·cosh² x/2), by [`SECH_SQUARE`]: 1 - y has no digit left where x > 37. Edges: 0 at -∞, 1 at ∞, without
/// overflow.
pub(crate) static SIGMOID: Pointwise =
    Pointwise::new("sigmoid", 1, reals!(|x| sigmoid(x)), |x, _, dx| {
        0.25 * (0.5 * x[0]).then(TensorOp::SechSquare) * dx[0]
    })
    .on(Reals);

/// y = ln (1 + eˣ), of real numbers, without overflow
///
/// ẏ = ẋ / (1 + e⁻ˣ), smooth to all orders. Edges: 0 at -∞, ∞ at ∞.
pub(crate) static SOFTPLUS: Pointwise =
    Pointwise::new("softplus", 1, reals!(|x| softplus(x)), |x, _, dx| {
        x[0].then(TensorOp::Sigmoid) * dx[0]
    })
    .on(Reals);

/// y = max (x, 0), of real numbers
///
/// ẏ = ẋ where y ≠ 0, and 0 elsewhere. Edges: at 0 all derivatives are 0, also those of a function in which the
/// corner goes unseen; NaN for NaN.
pub(crate) static RELU: Pointwise = Pointwise::new(
    "relu",
    1,
    reals!(|x| if x <= 0.0 { 0.0 } else { x }),
    |_, y, dx| dx[0].part_where(y),
)
.on(Reals);

/// y = |x|, which is real
///
/// ẏ = Re (conj (sign x)·ẋ). Edges: slope 0 at 0, and no second derivative there: that of a real number is taken to
/// be 0, in every direction and whatever is put in for x, that of a complex one is NaN.
pub(crate) static ABS: Pointwise = Pointwise::new(
    "abs",
    1,
    |args| match args.kind() {
        COMPLEX => args.convert(numbers::abs),
        _ => args.map(f64::abs),
    },
    |x, _, dx| (x[0].then(TensorOp::Sign).conj() * dx[0]).re(),
)
.on(ToReals);

/// y = x / |x|, and 0 for x = 0
///
/// ẏ = i·y·Im (conj y·ẋ) / |x|, which is 0 for real numbers. Edges: at a real 0, where it jumps, the slope is 0 too;
/// no slope at a complex 0 (NaN).
pub(crate) static SIGN: Pointwise = Pointwise::new(
    "sign",
    1,
    |args| match args.kind() {
        COMPLEX => args.map(numbers::sign),
        _ => args.map(|x: f64| if x == 0.0 { 0.0 } else { x.signum() }),
    },
    |x, y, dx| match x[0].is_real() {
        true => x[0].work().zero(),
        false => {
            let turn = (y.conj() * dx[0]).then(TensorOp::Im) / x[0].then(TensorOp::Abs);
            y * turn.then(TensorOp::ToImaginary)
        }
    },
);

/// y = max (x₀, x₁), of real numbers; NaN if one is; 0 of 0 and -0
///
/// ẏ = ẋ of the larger one. Edges: half of each where they are equal, where second derivatives are those of that mean,
/// with nothing for the corner; NaN where one is.
pub(crate) static MAXIMUM: Pointwise =
    Pointwise::new("maximum", 2, reals!(|a, b| larger(a, b)), |x, y, dx| {
        shared(x, y, dx)
    })
    .on(Reals)
    .commuting();

/// y = min (x₀, x₁), of real numbers; NaN if one is; -0 of 0 and -0
///
/// ẏ = ẋ of the smaller one. Edges: those of [`MAXIMUM`].
pub(crate) static MINIMUM: Pointwise =
    Pointwise::new("minimum", 2, reals!(|a, b| -larger(-a, -b)), |x, y, dx| {
        shared(x, y, dx)
    })
    .on(Reals)
    .commuting();

/// y = 1 where x₀ > x₁, and 0 elsewhere, of real numbers or indices
///
/// ẏ = 0
pub(crate) static GREATER: Pointwise =
    Pointwise::step("greater", 2, comparison!(|a, b| a > b)).on(Comparable);

/// y = 1 where x₀ ≥ x₁, and 0 elsewhere, of real numbers or indices
///
/// ẏ = 0
pub(crate) static GREATER_EQUAL: Pointwise =
    Pointwise::step("greater_equal", 2, comparison!(|a, b| a >= b)).on(Comparable);

/// y = 1 where x₀ = x₁, and 0 elsewhere, of real numbers or indices
///
/// ẏ = 0
pub(crate) static EQUAL: Pointwise =
    Pointwise::step("equal", 2, comparison!(|a, b| a == b)).on(Comparable);

/// y = x₁ where x₀ ≠ 0, and x₂ where x₀ = 0
///
/// ẏ = ẋ₁ or ẋ₂; x̄ = (0, ȳ, 0) or (0, 0, ȳ). Linear in x₁ and x₂ together. By [`KEEP_IF`], not by products
/// with 0 and 1: what is not taken, NaN also, reaches neither ẏ nor x̄.
pub(crate) static SELECT: Pointwise = Pointwise::new(
    "select",
    3,
    |args| match args.kind() {
        COMPLEX => args.choose(args.complex(1), args.complex(2)),
        _ if args[1].kind() == INDEX => args.choose(args.indices(1), args.indices(2)),
        _ => args.choose(args.reals(1), args.reals(2)),
    },
    |x, _, dx| match (dx[1].as_operand(), dx[2].as_operand()) {
        (Some(dx), Some(dy)) => {
            let operands = [x[0].into_operand(), dx, dy];
            x[0].work().linear(TensorOp::Select, operands)
        }
        (_, None) => dx[1].where_not_zero(x[0]),
        (None, _) => dx[2].where_not_zero(x[0].equals(0.0)),
    },
)
.linear(Linearity::In(&[&[false, true, true]]), |x, i, ct| match i {
    1 => ct.where_not_zero(x[0]),
    _ => ct.where_not_zero(x[0].equals(0.0)),
})
.selecting()
.on(Conditional);

/// y = x₁ where x₀ ≠ 0, and 0 where x₀ = 0
///
/// ẏ = ẋ₁ or 0; x̄ = (0, ȳ) or (0, 0). Linear in x₁.
pub(crate) static KEEP_IF: Pointwise = Pointwise::step("keep_if", 2, kept)
    .linear(Linearity::In(&[&[false, true]]), |x, _, ct| {
        ct.where_not_zero(x[0])
    })
    .selecting()
    .on(Conditional);

/// y = x₁ where x₀ ≠ 0, and 0 where x₀ = 0: as [`KEEP_IF`], for conditions that a rule has of its own
///
/// ẏ = ẋ₁ or 0; x̄ = (0, ȳ) or (0, 0). Linear in x₁. Cotangents are not told where they are zero: what stands behind
/// the parts of a factorization, or before a relu, is finite, and masks would cost more than the rule.
pub(crate) static KEEP_PART: Pointwise = Pointwise::step("keep_part", 2, kept)
    .linear(Linearity::In(&[&[false, true]]), |x, _, ct| {
        ct.part_where(x[0])
    })
    .on(Conditional);

fn kept(args: &mut Args<'_, '_>) -> Tensor {
    match args[1].kind() {
        COMPLEX => args.keep_if(Complex64::default()),
        INDEX => args.keep_if(0_i64),
        _ => args.keep_if(0.0),
    }
}

/// y = xᶜ, for a real number c
///
/// ẏ = c·xᶜ⁻¹·ẋ. Edges: 1 for c = 0, with slope 0; those of `powf`, NaN for negative real numbers and a c that
/// is no integer; the principal branch for complex numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Power {
    exponent: u64,
}

impl Power {
    /// For an exponent.
    pub fn new(exponent: f64) -> Self {
        Self {
            exponent: exponent.to_bits(),
        }
    }

    fn exponent(self) -> f64 {
        f64::from_bits(self.exponent)
    }
}

impl Definition for Power {
    fn name(&self) -> &'static str {
        "power"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:?}", self.exponent())
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        number_kind(x)?;
        Ok(vec![x[0].clone()])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let c = self.exponent();
        vec![match x.kind() {
            COMPLEX => x.map(|x: Complex64| numbers::power(x, c)),
            _ if c == 2.0 => x.map(|x: f64| x * x),
            _ => x.map(|x: f64| x.powf(c)),
        }]
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let c = self.exponent();
        vec![match c {
            0.0 => at.work.zero(),
            1.0 => dx[0],
            2.0 => 2.0 * at.x[0] * dx[0],
            _ => c * at.x[0].then(TensorOp::from(Self::new(c - 1.0))) * dx[0],
        }]
    }
}

/// The tangent of whichever operand y is; half of each where it is both. What is not taken is dropped, not multiplied
/// by 0.
fn shared<'a>(x: &[Fixed<'a>], y: Fixed<'a>, dx: &[Tangent<'a>]) -> Tangent<'a> {
    let is_taken = [x[0], x[1]].map(|x| x.with(TensorOp::Equal, y));
    let count = is_taken[0] + is_taken[1];
    let part = |i: usize| match dx[i].is_zero() {
        true => dx[i],
        false => {
            let share = is_taken[i] / count;
            (share * dx[i]).part_where(share)
        }
    };
    part(0) + part(1)
}

/// a·b
fn product(args: &mut Args<'_, '_>) -> Tensor {
    let scaled = |x: f64, z: Complex64| Complex64::new(canonical(x * z.re), canonical(x * z.im));
    match [args[0].kind(), args[1].kind()] {
        [COMPLEX, COMPLEX] => args.zip(numbers::mul),
        [REAL, COMPLEX] => args.zip_to(scaled),
        [COMPLEX, REAL] => args.zip_to(|z, x| scaled(x, z)),
        _ => args.zip(|a: f64, b: f64| canonical(a * b)),
    }
}

/// a / b
fn quotient(args: &mut Args<'_, '_>) -> Tensor {
    match [args[0].kind(), args[1].kind()] {
        [COMPLEX, COMPLEX] => args.zip(numbers::div),
        [REAL, COMPLEX] => args.zip_to(|x: f64, z: Complex64| numbers::div(x.into(), z)),
        [COMPLEX, REAL] => args.zip_to(|z: Complex64, x: f64| Complex64::new(z.re / x, z.im / x)),
        _ => args.zip(|a: f64, b: f64| a / b),
    }
}

fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

fn softplus(x: f64) -> f64 {
    let larger = if x <= 0.0 { 0.0 } else { x };
    larger + (-x.abs()).exp().ln_1p()
}

/// NaN if one is, unlike [`f64::max`]; of two zeros 0, if one of them is. The same to the bit if x and y change places.
fn larger(x: f64, y: f64) -> f64 {
    if x > y {
        x
    } else if y > x {
        y
    } else if x == y {
        // They differ at most in the sign of 0.
        f64::from_bits(x.to_bits() & y.to_bits())
    } else {
        f64::NAN
    }
}
