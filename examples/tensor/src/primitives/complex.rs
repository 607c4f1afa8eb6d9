//! Complex numbers and their parts. None of this is linear over the complex numbers, all of it is over the
//! real ones.

use num_complex::Complex64;
use tidu::Linearity;
use tidu::rules::Term;

use crate::definition::{Domain, Pointwise};
use crate::notation::Notation;
use crate::op::TensorOp;
use crate::shape;

/// y = conj x
///
/// ẏ = conj ẋ; x̄ = conj ȳ. Linear.
pub(crate) static CONJ: Pointwise = Pointwise::step("conj", 1, |args| match args.kind() {
    shape::COMPLEX => args.map(|z: Complex64| z.conj()),
    _ => args.map(|x: f64| x),
})
.linear(Linearity::Joint, |_, _, ct| ct.conj());

/// y = Re x
///
/// ẏ = Re ẋ; x̄ = ȳ + 0·i. Linear.
pub(crate) static RE: Pointwise = Pointwise::step("re", 1, |args| match args.kind() {
    shape::COMPLEX => args.convert(|z: Complex64| z.re),
    _ => args.map(|x: f64| x),
})
.linear(Linearity::Joint, |x, _, ct| match x[0].is_real() {
    true => ct,
    false => ct.then(TensorOp::ToComplex),
})
.on(Domain::ToReals);

/// y = Im x
///
/// ẏ = Im ẋ; x̄ = i·ȳ, and nothing for real numbers. Linear.
pub(crate) static IM: Pointwise = Pointwise::step("im", 1, |args| match args.kind() {
    shape::COMPLEX => args.convert(|z: Complex64| z.im),
    _ => args.map(|_: f64| 0.0),
})
.linear(Linearity::Joint, |x, _, ct| match x[0].is_real() {
    true => ct.work().zero(),
    false => ct.then(TensorOp::ToImaginary),
})
.on(Domain::ToReals);

/// y = x + 0·i
///
/// ẏ = ẋ + 0·i; x̄ = Re ȳ. Linear.
pub(crate) static TO_COMPLEX: Pointwise =
    Pointwise::step("to_complex", 1, |args| match args.kind() {
        shape::COMPLEX => args.map(|z: Complex64| z),
        _ => args.convert(|x: f64| Complex64::from(x)),
    })
    .linear(Linearity::Joint, |x, _, ct| match x[0].is_real() {
        true => ct.re(),
        false => ct,
    })
    .on(Domain::ToComplex);

/// y = i·x, of which nothing is multiplied by 0
///
/// ẏ = i·ẋ; x̄ = Im ȳ of real numbers, -i·ȳ of complex ones. Linear.
pub(crate) static TO_IMAGINARY: Pointwise =
    Pointwise::step("to_imaginary", 1, |args| match args.kind() {
        shape::COMPLEX => args.map(|z: Complex64| Complex64::new(-z.im, z.re)),
        _ => args.convert(|x: f64| Complex64::new(0.0, x)),
    })
    .linear(Linearity::Joint, |x, _, ct| match x[0].is_real() {
        true => ct.then(TensorOp::Im),
        false => -ct.then(TensorOp::ToImaginary),
    })
    .on(Domain::ToComplex);

/// y = x₀ + i·x₁, of real numbers
///
/// ẏ = ẋ₀ + i·ẋ₁; x̄ = (Re ȳ, Im ȳ). Linear in both operands together.
pub(crate) static COMPLEX: Pointwise = Pointwise::new(
    "complex",
    2,
    |args| args.zip_to(|re: f64, im: f64| Complex64::new(re, im)),
    |_, _, dx| match (dx[0].is_zero(), dx[1].is_zero()) {
        (false, false) => dx[0].join(TensorOp::Complex, dx[1]),
        (false, true) => dx[0].then(TensorOp::ToComplex),
        _ => dx[1].then(TensorOp::ToImaginary),
    },
)
.linear(Linearity::Joint, |_, i, ct| match i {
    0 => ct.re(),
    _ => ct.then(TensorOp::Im),
})
.on(Domain::Parts);
