//! Sums and maxima over axes, and what is made of them without overflow.

use std::fmt;

use ndarray::LinalgScalar;
use ndarray::{Array2, ArrayD, ArrayView1, ArrayViewD, Axis};
use num_complex::Complex64;
use tidu::rules::MaskFlow;
use tidu::rules::{Term, Times};
use tidu::{Linearity, ValueType};

use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Fixed, Notation, Tangent};
use crate::op::TensorOp;
use crate::shape::{
    COMPLEX, INDEX, REAL, ShapeError, check_axes, check_kind, number_kind, without,
};
use crate::tensor::{Element, Shared, Tensor};

/// y = Σ x over axes
///
/// ẏ = Σ ẋ; x̄ = ȳ, repeated. Linear. Edges: 0 for no elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Axes {
    /// Which axes.
    pub axes: Vec<usize>,
    /// Whether they remain, with one element.
    pub keep: bool,
}

impl Axes {
    /// Axes that are left out of the result.
    pub fn dropped(axes: &[usize]) -> Self {
        let axes = axes.to_vec();
        Self { axes, keep: false }
    }

    /// Axes that keep one element.
    pub fn kept(axes: &[usize]) -> Self {
        let axes = axes.to_vec();
        Self { axes, keep: true }
    }

    /// The type of the result.
    fn reduced(&self, x: &ValueType) -> Result<Vec<ValueType>, ShapeError> {
        check_axes(&self.axes, x.dims().len())?;
        let dims = without(x.dims(), &self.axes, self.keep);
        Ok(vec![ValueType::new(x.kind(), dims)])
    }

    /// The result, from what each line of elements along the axes is reduced to.
    fn reduce<T: Element>(&self, x: &Shared<T>, f: impl Fn(ArrayView1<'_, T>) -> T) -> ArrayD<T> {
        let dims = without(x.shape(), &self.axes, self.keep);
        let lines = self.lines(x);
        let results = lines.outer_iter().map(f).collect();
        // One result a line, and as many lines as the result has elements.
        ArrayD::from_shape_vec(dims, results).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The tensor with each line of elements along the axes written over.
    fn each_line<T: Element>(&self, x: &Shared<T>, f: impl Fn(&mut [T])) -> ArrayD<T> {
        let lines = self.lines(x);
        let (count, length) = lines.dim();
        let mut elements: Vec<T> = lines.iter().copied().collect();
        elements.chunks_exact_mut(length.max(1)).for_each(f);
        let lines = Array2::from_shape_vec((count, length), elements);
        let lines = lines.unwrap_or_else(|error| panic!("{error}"));
        let order = self.order(x.ndim());
        let dims: Vec<usize> = order.iter().map(|&at| x.shape()[at]).collect();
        let places: Vec<usize> = (0..x.ndim())
            .filter_map(|at| order.iter().position(|&other| other == at))
            .collect();
        let lines = lines.into_shape_with_order(dims);
        let lines = lines.unwrap_or_else(|error| panic!("{error}"));
        lines.permuted_axes(places)
    }

    /// All axes, those that are reduced last.
    fn order(&self, rank: usize) -> Vec<usize> {
        let rest = (0..rank).filter(|at| !self.axes.contains(at));
        rest.chain(self.axes.iter().copied()).collect()
    }

    /// A row for each element of the result, with what it is reduced from.
    fn lines<T: Element>(&self, x: &Shared<T>) -> Array2<T> {
        let order = self.order(x.ndim());
        let length: usize = self.axes.iter().map(|&at| x.shape()[at]).product();
        let count: usize = without(x.shape(), &self.axes, false).iter().product();
        let ordered = x.view().permuted_axes(order);
        let lines = ordered.to_shape((count, length));
        lines.unwrap_or_else(|error| panic!("{error}")).to_owned()
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = if self.keep { " kept" } else { "" };
        write!(f, " {:?}{kept}", self.axes)
    }
}

impl Definition for Axes {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        number_kind(x)?;
        self.reduced(x[0])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![match x.kind() {
            COMPLEX => x.fresh(self.sum(x.array::<Complex64>(0))),
            _ => x.fresh(self.sum(x.array::<f64>(0))),
        }]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Joint
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Moved
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        ct.repeat_over(self, at.dims(0))
    }
}

impl Axes {
    /// Axis by axis, which runs through memory in order.
    fn sum<T: Element + LinalgScalar>(&self, x: &Shared<T>) -> ArrayD<T> {
        let mut axes = self.axes.clone();
        axes.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum: Option<ArrayD<T>> = None;
        for axis in axes {
            let from = sum.as_ref().map_or(x.view(), |sum| sum.view());
            let mut next = sum_axis(&from, axis);
            if self.keep {
                next.insert_axis_inplace(Axis(axis));
            }
            sum = Some(next);
        }
        sum.unwrap_or_else(|| x.to_owned())
    }
}

/// Σ x over an axis; where elements stand in rows, without an index of all axes.
fn sum_axis<T: Element + LinalgScalar>(x: &ArrayViewD<'_, T>, axis: usize) -> ArrayD<T> {
    let (count, block) = (x.shape()[axis], x.shape()[axis + 1..].iter().product());
    let elements = match x.as_slice() {
        Some(elements) if !elements.is_empty() => elements.chunks_exact(count * block),
        _ => return x.sum_axis(Axis(axis)),
    };
    let sums = match block {
        1 => elements.map(|line| ArrayView1::from(line).sum()).collect(),
        _ => {
            let mut sums = vec![T::zero(); x.len() / count];
            for (sums, blocks) in sums.chunks_exact_mut(block).zip(elements) {
                for block in blocks.chunks_exact(block) {
                    sums.iter_mut()
                        .zip(block)
                        .for_each(|(sum, &x)| *sum = *sum + x);
                }
            }
            sums
        }
    };
    let dims = without(x.shape(), &[axis], false);
    ArrayD::from_shape_vec(dims, sums).unwrap_or_else(|error| panic!("{error}"))
}

/// y = max x over axes, of real numbers; NaN if one is
///
/// ẏ = Σ m·ẋ over the n largest elements, with m = 1 / n. Edges: so ties share, and second derivatives there are those
/// of the mean, with nothing for the corner; -∞ for no elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Max(pub Axes);

impl Definition for Max {
    fn name(&self) -> &'static str {
        "max"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        reduced_real(&self.0, x)
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![x.fresh(self.0.reduce(x.array(0), |line| largest(&line)))]
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let y = kept(at.y[0], &self.0, at.dims(0));
        let is_largest = at.x[0].with(TensorOp::Equal, y);
        let share = is_largest / is_largest.sum_kept(&self.0.axes);
        // Not multiplied by 0: what is not taken may be infinite.
        let shares = (share * dx[0]).part_where(share);
        vec![shares.then(TensorOp::from(self.0.clone()))]
    }
}

/// y = ln Σ eˣ over axes, of real numbers, without overflow
///
/// ẏ = Σ softmax x·ẋ. Edges: -∞ for -∞ everywhere, without a slope (NaN), and for no elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogSumExp(pub Axes);

impl Definition for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        reduced_real(&self.0, x)
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![x.fresh(self.0.reduce(x.array(0), |line| {
            let largest = largest(&line);
            match largest.is_finite() {
                true => largest + ln_of_sum(line.iter().copied(), largest),
                false => largest,
            }
        }))]
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let softmax = at.x[0].then(TensorOp::from(Softmax(self.0.axes.clone())));
        vec![(softmax * dx[0]).then(TensorOp::from(self.0.clone()))]
    }
}

/// y = eˣ / Σ eˣ over axes, of real numbers, without overflow
///
/// ẏᵢ = yᵢ·Σⱼ yⱼ·(ẋᵢ - ẋⱼ), as yᵢ·((1 - yᵢ)·ẋᵢ - Σ_{j ≠ i} yⱼ·ẋⱼ), where 1 - yᵢ, of which no digit may be left, is
/// what the others sum up to ([`SumOthers`]). Edges: NaN for -∞ everywhere, and for an ∞.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Softmax(pub Vec<usize>);

impl Definition for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:?}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        reduced_real(&Axes::kept(&self.0), x)?;
        Ok(vec![x[0].clone()])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let axes = Axes::kept(&self.0);
        let top = axes.reduce(x.array(0), |line| largest(&line));
        let powers = (&x.array::<f64>(0).view() - &top).mapv_into(f64::exp);
        let total = axes.sum(&powers.view().to_shared());
        vec![x.fresh(powers / total)]
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        vec![at.y[0] * less_mean(at.y[0], dx[0], &self.0)]
    }
}

/// y = ln (eˣ / Σ eˣ) over axes, of real numbers, without overflow, and with all digits where it is near 0
///
/// ẏᵢ = Σⱼ pⱼ·(ẋᵢ - ẋⱼ), with p = softmax x; written as that of [`Softmax`]. Edges: those of [`Softmax`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogSoftmax(pub Vec<usize>);

impl Definition for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:?}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        reduced_real(&Axes::kept(&self.0), x)?;
        Ok(vec![x[0].clone()])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let y = Axes::kept(&self.0).each_line(x.array(0), |line: &mut [f64]| {
            let top = largest(&ArrayView1::from(&*line));
            let rest = ln_of_sum(line.iter().copied(), top);
            line.iter_mut().for_each(|x| *x = (*x - top) - rest);
        });
        vec![x.fresh(y)]
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        let softmax = at.x[0].then(Softmax(self.0.clone()).into());
        vec![less_mean(softmax, dx[0], &self.0)]
    }
}

/// yᵢ = Σ_{j ≠ i} xⱼ over axes: Σ x - xᵢ, but not as a difference, which would cancel
///
/// ẏ = the same of ẋ; x̄ = the same of ȳ. Linear. Edges: 0 where there is no other element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SumOthers(pub Vec<usize>);

impl Definition for SumOthers {
    fn name(&self) -> &'static str {
        "sum_others"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:?}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        number_kind(x)?;
        check_axes(&self.0, x[0].dims().len())?;
        Ok(vec![x[0].clone()])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let axes = Axes::kept(&self.0);
        vec![match x.kind() {
            COMPLEX => x.fresh(axes.each_line(x.array::<Complex64>(0), sum_others)),
            _ => x.fresh(axes.each_line(x.array::<f64>(0), sum_others)),
        }]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Joint
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Summed
    }

    /// All of the axes, where anything of them may be other than zero.
    fn mask<'a>(&self, at: &Point<'a>, _: usize, mask: Tangent<'a>) -> Tangent<'a> {
        mask.sum_kept(&self.0).broadcast_to(at.dims(0))
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        ct.then(at.op.clone())
    }
}

/// y = the index along an axis of the largest element, the first of equal ones, of real numbers; that of a NaN,
/// if there is one
///
/// ẏ = 0. An axis without elements has no such index: it does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArgMax(pub usize);

impl Definition for ArgMax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let reduced = reduced_real(&Axes::dropped(&[self.0]), x)?;
        if x[0].dims()[self.0] == 0 {
            return Err(ShapeError::EmptyAxis { axis: self.0 });
        }
        let index = reduced
            .iter()
            .map(|y| ValueType::new(INDEX, y.dims().to_vec()));
        Ok(index.collect())
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let indices = x.array::<f64>(0).map_axis(Axis(self.0), |line| {
            let places = line.iter().enumerate();
            let first = places.reduce(|best, next| {
                let exceeds = next.1 > best.1 || (next.1.is_nan() && !best.1.is_nan());
                if exceeds { next } else { best }
            });
            first.map_or(0, |(at, _)| at as i64)
        });
        vec![x.fresh(indices)]
    }

    fn jvp<'a>(&self, at: &Point<'a>, _: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        vec![at.work.zero()]
    }
}

/// The type of a reduction of real numbers.
fn reduced_real(axes: &Axes, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
    check_kind(0, x[0], &[REAL], "real numbers")?;
    axes.reduced(x[0])
}

/// What was reduced of a tensor of shape `dims`, with one element along the axes.
fn kept<'a>(y: Fixed<'a>, axes: &Axes, dims: &[usize]) -> Fixed<'a> {
    match axes.keep {
        true => y,
        false => y.reshape(without(dims, &axes.axes, true)),
    }
}

/// ẋᵢ - Σⱼ pⱼ·ẋⱼ, where the p sum up to 1.
fn less_mean<'a>(p: Fixed<'a>, dx: Tangent<'a>, axes: &[usize]) -> Tangent<'a> {
    let others = TensorOp::from(SumOthers(axes.to_vec()));
    p.then(others.clone()) * dx - (p * dx).then(others)
}

/// Each element becomes the sum of the others.
fn sum_others<T: Element + LinalgScalar>(line: &mut [T]) {
    let mut before = T::zero();
    let mut sums = Vec::with_capacity(line.len());
    for &x in line.iter() {
        sums.push(before);
        before = before + x;
    }
    let mut after = T::zero();
    for (x, before) in line.iter_mut().zip(sums).rev() {
        let next = after + *x;
        *x = before + after;
        after = next;
    }
}

/// ln Σ exp (x - top), where `top` is the largest x: its own term is 1, which would hide small ones.
fn ln_of_sum(line: impl Iterator<Item = f64>, top: f64) -> f64 {
    let mut has_top = false;
    let others = line.filter(|&x| {
        let is_first_top = x == top && !has_top;
        has_top |= is_first_top;
        !is_first_top
    });
    others.map(|x| (x - top).exp()).sum::<f64>().ln_1p()
}

fn largest(line: &ArrayView1<'_, f64>) -> f64 {
    let larger = |x: f64, &y: &f64| if x > y || x.is_nan() { x } else { y };
    line.iter().fold(f64::NEG_INFINITY, larger)
}
