//! The same elements in another shape, parts of them, and parts put together. Each is linear, and the
//! transpose of one is another.

use std::fmt;

use ndarray::{ArrayD, Axis, IxDyn, Slice as Part, SliceInfoElem, concatenate};
use num_complex::Complex64;
use tidu::rules::MaskFlow;
use tidu::{Linearity, ValueType};

use crate::context::{Args, repeated};
use crate::definition::{Definition, Point};
use crate::notation::{Notation, Tangent};
use crate::op::TensorOp;
use crate::shape::{
    COMPLEX, ShapeError, broadcast, check_axes, check_kind, check_size, number_kind, stretched,
};
use crate::tensor::{Element, Shared, Tensor, for_any};

impl TensorOp {
    /// The same elements, from first to last, in another shape.
    pub fn reshape(dims: impl IntoIterator<Item = usize>) -> Self {
        Self::from(Reshape(dims.into_iter().collect()))
    }

    /// Axis `i` of the result is axis `axes[i]` of the operand.
    pub fn permute(axes: impl IntoIterator<Item = usize>) -> Self {
        Self::from(Permute(axes.into_iter().collect()))
    }

    /// Repeated along axes that are missing in front, or have one element.
    pub fn broadcast_to(dims: &[usize]) -> Self {
        Self::from(BroadcastTo(dims.to_vec()))
    }
}

/// y = the elements of x, from first to last, in another shape
///
/// x̄ = ȳ in the shape of x. Linear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reshape(pub Vec<usize>);

impl Definition for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:?}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let found = x[0].dims().iter().product();
        let mut sizes = self.0.iter();
        let wanted = sizes.try_fold(1_usize, |count, &size| count.checked_mul(size));
        match wanted == Some(found) {
            true => Ok(vec![ValueType::new(x[0].kind(), self.0.clone())]),
            false => Err(ShapeError::Count {
                found,
                dims: self.0.clone(),
            }),
        }
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let dims = self.0.as_slice();
        vec![
            for_any!(x[0].clone(), array => match array.clone().into_shape_with_order(dims) {
                Ok(array) => Element::wrap(array),
                // They do not stand in order.
                Err(_) => match array.to_owned().into_shape_clone(dims) {
                    Ok(array) => x.fresh(array),
                    Err(error) => panic!("{error}"),
                },
            }),
        ]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Joint
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Moved
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        ct.reshape(at.dims(0).iter().copied())
    }
}

/// y = x with its axes in another order
///
/// x̄ = ȳ with its axes in the order of x. Linear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permute(pub Vec<usize>);

impl Definition for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:?}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let rank = x[0].dims().len();
        if self.0.len() != rank || check_axes(&self.0, rank).is_err() {
            let axes = self.0.clone();
            return Err(ShapeError::Order { axes, rank });
        }
        let dims = self.0.iter().map(|&axis| x[0].dims()[axis]);
        Ok(vec![ValueType::new(x[0].kind(), dims)])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let axes = self.0.as_slice();
        vec![for_any!(x[0].clone(), array => Element::wrap(array.permuted_axes(axes)))]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Joint
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Moved
    }

    fn transpose<'a>(&self, _: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        let place_of = |axis| self.0.iter().position(|&other| other == axis);
        ct.permute((0..self.0.len()).filter_map(place_of))
    }
}

/// y = x, repeated along axes that are missing in front, or have one element
///
/// x̄ = Σ ȳ over these axes. Linear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BroadcastTo(pub Vec<usize>);

impl Definition for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:?}", self.0)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let (left, right) = (x[0].dims(), self.0.as_slice());
        match broadcast([left, right]).is_ok_and(|dims| dims == right) {
            true => Ok(vec![ValueType::new(x[0].kind(), self.0.clone())]),
            false => Err(ShapeError::Stretch {
                from: left.to_vec(),
                to: right.to_vec(),
            }),
        }
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        if x[0].dims() == self.0 {
            return vec![x[0].clone()];
        }
        vec![for_any!(x[0].clone(), array => x.fresh(repeated(&array, &self.0)))]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Joint
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Summed
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        let to = &at.types[0];
        match stretched(to.dims(), &self.0).is_empty() {
            true => ct,
            false => ct.gathered_to(&ValueType::new(to.kind(), self.0.clone()), to),
        }
    }
}

/// What is taken of an axis: the elements from `start`, every `step`th, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first element.
    pub start: usize,
    /// How many elements.
    pub count: usize,
    /// From one element to the next.
    pub step: usize,
}

impl Window {
    /// All of an axis.
    pub fn all(count: usize) -> Self {
        Self {
            start: 0,
            count,
            step: 1,
        }
    }

    /// Sees to it that the elements are there; of none, that they could stand there.
    fn check(self, axis: usize, size: usize) -> Result<(), ShapeError> {
        let length = self.count.saturating_sub(1).checked_mul(self.step);
        let last = length.and_then(|length| length.checked_add(self.start));
        let is_inside = match self.count {
            0 => self.start <= size,
            _ => last.is_some_and(|last| last < size),
        };
        match self.step > 0 && is_inside {
            true => Ok(()),
            false => Err(ShapeError::Window {
                axis,
                window: self.to_string(),
                size,
            }),
        }
    }

    /// One beyond the last element.
    fn end(self) -> usize {
        match self.count {
            0 => self.start,
            count => (count - 1)
                .saturating_mul(self.step)
                .saturating_add(self.start)
                .saturating_add(1),
        }
    }

    fn part(self) -> Part {
        // Of a single element, no step is taken, however large.
        let step = if self.count > 1 { self.step } else { 1 };
        let [start, end, step] = [self.start, self.end(), step].map(usize::cast_signed);
        Part::new(start, Some(end), step)
    }
}

/// Like a range in NumPy.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end())?;
        match self.step {
            1 => Ok(()),
            step => write!(f, " by {step}"),
        }
    }
}

/// y = part of x: of each axis what its window shows
///
/// x̄ = ȳ in its place, and 0 elsewhere ([`Pad`]). Linear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice(pub Vec<Window>);

impl Definition for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_windows(&self.0, f)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        check_windows(&self.0, x[0].dims())?;
        let dims = self.0.iter().map(|window| window.count);
        Ok(vec![ValueType::new(x[0].kind(), dims)])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![for_any!(x[0].clone(), array => {
            Element::wrap(array.slice_move(parts(&self.0).as_slice()))
        })]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Joint
    }

    fn selects(&self) -> bool {
        true
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Moved
    }

    fn transpose<'a>(&self, at: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        let (windows, dims) = (self.0.clone(), at.dims(0).to_vec());
        ct.pad(Pad { windows, dims })
    }
}

/// y = 0, of a shape that the operation holds, with x put in at windows
///
/// x̄ = part of ȳ ([`Slice`]). Linear.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pad {
    /// Where the operand goes, by axis.
    pub windows: Vec<Window>,
    /// The shape of the result.
    pub dims: Vec<usize>,
}

impl Definition for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_windows(&self.windows, f)?;
        write!(f, " of {:?}", self.dims)
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        number_kind(x)?;
        check_size(&self.dims)?;
        check_windows(&self.windows, &self.dims)?;
        let counts: Vec<usize> = self.windows.iter().map(|window| window.count).collect();
        match counts == x[0].dims() {
            true => Ok(vec![ValueType::new(x[0].kind(), self.dims.clone())]),
            false => Err(ShapeError::Place {
                found: x[0].dims().to_vec(),
                windows: counts,
            }),
        }
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![match x.kind() {
            COMPLEX => x.fresh(self.put(x.array::<Complex64>(0), Complex64::default())),
            _ => x.fresh(self.put(x.array::<f64>(0), 0.0)),
        }]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Joint
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Moved
    }

    fn transpose<'a>(&self, _: &Point<'a>, _: usize, ct: Tangent<'a>) -> Tangent<'a> {
        ct.slice(Slice(self.windows.clone()))
    }
}

impl Pad {
    fn put<T: Element>(&self, x: &Shared<T>, zero: T) -> ArrayD<T> {
        let mut result = ArrayD::from_elem(IxDyn(&self.dims), zero);
        result.slice_mut(parts(&self.windows).as_slice()).assign(x);
        result
    }
}

/// y = x₀, x₁, … one after another along an axis
///
/// ẏ = ẋ₀, ẋ₁, … with 0 for those that are missing; x̄ = the parts of ȳ. Linear in all operands together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concatenate {
    /// Along which axis.
    pub axis: usize,
    /// How many operands.
    pub count: usize,
}

impl Definition for Concatenate {
    fn name(&self) -> &'static str {
        "concatenate"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} of {}", self.axis, self.count)
    }

    fn arity(&self) -> usize {
        self.count
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let Some(first) = x.first() else {
            return Err(ShapeError::NoOperands);
        };
        let (first, kind, axis) = (first.dims(), first.kind(), self.axis);
        check_axes(&[axis], first.len())?;
        for (operand, x) in x.iter().enumerate() {
            check_kind(operand, x, &[kind], "what operand 0 holds")?;
            let mut found = x.dims().to_vec();
            if found.len() == first.len() {
                found[axis] = first[axis];
            }
            if found != first {
                return Err(ShapeError::Concatenation {
                    operand,
                    found: x.dims().to_vec(),
                    first: first.to_vec(),
                    axis,
                });
            }
        }
        let mut sizes = x.iter().map(|x| x.dims()[axis]);
        let mut dims = first.to_vec();
        dims[axis] = sizes
            .try_fold(0_usize, |sum, size| sum.checked_add(size))
            .unwrap_or(usize::MAX);
        Ok(vec![ValueType::new(x[0].kind(), dims)])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        let axis = Axis(self.axis);
        vec![for_any!(&x[0].clone(), first => {
            let mut arrays = vec![first.view()];
            arrays.extend((1..x.len()).map(|at| x.array(at).view()));
            let joined = concatenate(axis, &arrays).unwrap_or_else(|error| panic!("{error}"));
            x.fresh(joined)
        })]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Joint
    }

    fn jvp<'a>(&self, at: &Point<'a>, dx: &[Tangent<'a>]) -> Vec<Tangent<'a>> {
        if dx.iter().all(|dx| !dx.is_zero()) {
            return vec![at.work.by_linearity(at.op, Linearity::Joint, &at.x, dx)];
        }
        let places = (0..self.count).map(|i| dx[i].pad(self.place(at, i)));
        vec![places.fold(at.work.zero(), |sum, part| sum + part)]
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Moved
    }

    fn transpose<'a>(&self, at: &Point<'a>, i: usize, ct: Tangent<'a>) -> Tangent<'a> {
        ct.slice(Slice(self.place(at, i).windows))
    }
}

impl Concatenate {
    /// Where an operand stands in the result.
    fn place(&self, at: &Point<'_>, i: usize) -> Pad {
        let size = |i: usize| at.dims(i)[self.axis];
        let mut windows: Vec<Window> = at.dims(i).iter().copied().map(Window::all).collect();
        windows[self.axis].start = (0..i).map(size).sum();
        let mut dims = at.dims(i).to_vec();
        dims[self.axis] = (0..self.count).map(size).sum();
        Pad { windows, dims }
    }
}

fn parts(windows: &[Window]) -> Vec<SliceInfoElem> {
    windows.iter().map(|window| window.part().into()).collect()
}

fn check_windows(windows: &[Window], dims: &[usize]) -> Result<(), ShapeError> {
    let (expected, found) = (dims.len(), windows.len());
    if expected != found {
        let what = "window";
        return Err(ShapeError::PerAxis {
            what,
            expected,
            found,
        });
    }
    let mut windows = windows.iter().zip(dims).enumerate();
    windows.try_for_each(|(axis, (window, &size))| window.check(axis, size))
}

fn fmt_windows(windows: &[Window], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let windows: Vec<String> = windows.iter().map(Window::to_string).collect();
    write!(f, " [{}]", windows.join(", "))
}
