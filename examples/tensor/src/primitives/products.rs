//! Products that are summed: of matrices, of stacks of matrices, of anything by labels.

use std::fmt;

use ndarray::{Array2, ArrayD, Axis, CowArray, Ix3, LinalgScalar};
use num_complex::Complex64;
use tidu::rules::MaskFlow;
use tidu::{Linearity, ValueType};

use crate::context::Args;
use crate::definition::{Definition, Point};
use crate::notation::{Fixed, Notation, Tangent};
use crate::shape::{COMPLEX, ShapeError, number_kind};
use crate::tensor::{Element, Shared, Tensor};

/// `y[out] = Σ x₀[left]·x₁[right]` over the labels that the result does not have
///
/// Each label of an operand stands in the other one or in the result. Transposed, labels change places:
/// `x̄₀[left] = Σ ȳ[out]·conj x₁[right]` or `x̄₁[right] = Σ conj x₀[left]·ȳ[out]`. Linear in each operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Einsum {
    left: Labels,
    right: Labels,
    out: Labels,
}

/// One label an axis.
type Labels = Vec<char>;

impl Einsum {
    /// Reads `ij,jk->ik`.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Contraction`] with a reason.
    pub fn parse(text: &str) -> Result<Self, ShapeError> {
        let wrong = |reason| ShapeError::Contraction {
            text: text.into(),
            reason,
        };
        let labels = |part: &str| -> Labels { part.trim().chars().collect() };
        let (operands, out) = text.split_once("->").ok_or(wrong("no `->` in it"))?;
        let (left, right) = operands.split_once(',').ok_or(wrong("no `,` in it"))?;
        let [left, right, out] = [labels(left), labels(right), labels(out)];
        let all = || left.iter().chain(&right).chain(&out);
        if !all().all(|label| label.is_alphabetic()) {
            return Err(wrong("labels are letters"));
        }
        let repeats =
            |labels: &Labels| (1..labels.len()).any(|at| labels[..at].contains(&labels[at]));
        if [&left, &right, &out].into_iter().any(repeats) {
            return Err(wrong("a label stands twice in one place"));
        }
        if all().any(|label| all().filter(|other| *other == label).count() < 2) {
            return Err(wrong("a label stands in one place only"));
        }
        Ok(Self { left, right, out })
    }

    /// The product of two matrices.
    pub(crate) fn matrices() -> Self {
        Self::of("ij", "jk", "ik")
    }

    /// The product of matrices, stacks of matrices and vectors, of these numbers of axes, as of NumPy's
    /// `matmul`. Operands that have none are not of the types that the product of two matrices takes.
    pub fn matmul(left: usize, right: usize) -> Self {
        const STACK: &str = "abcdefghlmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let of = |stack: usize, [left, right, out]: [&str; 3], are_stacks: [bool; 2]| {
            let stack = STACK.get(..stack)?;
            let front = |is_stack| if is_stack { stack } else { "" };
            let [left, right] = [(left, are_stacks[0]), (right, are_stacks[1])]
                .map(|(labels, is_stack)| [front(is_stack), labels].concat());
            Some(Self::of(&left, &right, &[stack, out].concat()))
        };
        let product = match (left, right) {
            (1, 1) => of(0, ["j", "j", ""], [false, false]),
            (2.., 1) => of(left - 2, ["ij", "j", "i"], [true, false]),
            (1, 2..) => of(right - 2, ["j", "jk", "k"], [false, true]),
            (2.., 2) => of(left - 2, ["ij", "jk", "ik"], [true, false]),
            (2, 2..) => of(right - 2, ["ij", "jk", "ik"], [false, true]),
            (2.., 2..) if left == right => of(left - 2, ["ij", "jk", "ik"], [true, true]),
            _ => None,
        };
        product.unwrap_or_else(Self::matrices)
    }

    fn of(left: &str, right: &str, out: &str) -> Self {
        let [left, right, out] = [left, right, out].map(|part| part.chars().collect());
        Self { left, right, out }
    }

    /// The size that each label stands for.
    fn sizes(&self, left: &[usize], right: &[usize]) -> Result<Vec<(char, usize)>, ShapeError> {
        let mut sizes: Vec<(char, usize)> = Vec::new();
        let axes = self.left.iter().zip(left);
        for (&label, &size) in axes.chain(self.right.iter().zip(right)) {
            match sizes.iter().find(|(other, _)| *other == label) {
                None => sizes.push((label, size)),
                Some(&(_, known)) if known == size => {}
                Some(&(_, left)) => {
                    let right = size;
                    return Err(ShapeError::Label { label, left, right });
                }
            }
        }
        Ok(sizes)
    }

    /// Products of matrices, one for each element of the stack: labels that are in both operands and the
    /// result; those in one operand and the result are rows and columns.
    fn contract<T: Element + LinalgScalar>(&self, x: &Shared<T>, y: &Shared<T>) -> ArrayD<T> {
        let (left, right, out) = (&self.left, &self.right, &self.out);
        let those = |from: &Labels, is_right: bool, is_out: bool| -> Labels {
            let other = if is_right { right } else { left };
            let labels = from.iter().copied();
            let fits = |label: &char| other.contains(label) && (out.contains(label) == is_out);
            labels.filter(fits).collect()
        };
        let stack = those(left, true, true);
        let summed = those(left, true, false);
        let rows: Labels = left
            .iter()
            .copied()
            .filter(|label| !right.contains(label))
            .collect();
        let columns: Labels = right
            .iter()
            .copied()
            .filter(|label| !left.contains(label))
            .collect();
        let x_blocks = blocks(x, left, [&stack, &rows, &summed]);
        let y_blocks = blocks(y, right, [&stack, &summed, &columns]);
        let pairs = x_blocks.outer_iter().zip(y_blocks.outer_iter());
        let products: Vec<Array2<T>> = pairs.map(|(x, y)| x.dot(&y)).collect();
        let size = |label: &char| {
            let of = |labels: &Labels, dims: &[usize]| {
                labels
                    .iter()
                    .position(|other| other == label)
                    .map(|at| dims[at])
            };
            of(left, x.shape())
                .or_else(|| of(right, y.shape()))
                .unwrap_or(1)
        };
        let made: Labels = [stack, rows, columns].concat();
        let dims: Vec<usize> = made.iter().map(size).collect();
        let order = out
            .iter()
            .filter_map(|label| made.iter().position(|other| other == label));
        let result = joined(products, dims);
        result.permuted_axes(order.collect::<Vec<_>>())
    }
}

impl Definition for Einsum {
    fn name(&self) -> &'static str {
        "einsum"
    }

    fn fmt_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, right, out] = [&self.left, &self.right, &self.out].map(String::from_iter);
        write!(f, " {left},{right}->{out}")
    }

    fn arity(&self) -> usize {
        2
    }

    fn types(&self, x: &[&ValueType]) -> Result<Vec<ValueType>, ShapeError> {
        let kind = number_kind(x)?;
        for (operand, labels) in [&self.left, &self.right].into_iter().enumerate() {
            let (expected, found) = (labels.len(), x[operand].dims().len());
            if expected != found {
                return Err(ShapeError::Rank {
                    operand,
                    expected,
                    found,
                });
            }
        }
        let sizes = self.sizes(x[0].dims(), x[1].dims())?;
        let size_of = |label: &char| sizes.iter().find(|(other, _)| other == label);
        let dims = self.out.iter().filter_map(size_of).map(|(_, size)| *size);
        Ok(vec![ValueType::new(kind, dims)])
    }

    fn eval(&self, x: &mut Args<'_, '_>) -> Vec<Tensor> {
        vec![match x.kind() {
            COMPLEX => x.fresh(self.contract::<Complex64>(&x.complex(0), &x.complex(1))),
            _ => x.fresh(self.contract::<f64>(x.array(0), x.array(1))),
        }]
    }

    fn linearity(&self) -> Linearity {
        Linearity::Each
    }

    fn mask_flow(&self, _: &[ValueType], _: usize) -> MaskFlow {
        MaskFlow::Summed
    }

    fn mask<'a>(&self, at: &Point<'a>, i: usize, mask: Tangent<'a>) -> Tangent<'a> {
        self.reach(at, i, mask)
    }

    /// With 0 for those elements of the other operand that meet zeros only.
    fn masked_transpose<'a>(
        &self,
        at: &Point<'a>,
        i: usize,
        ct: Tangent<'a>,
        mask: Fixed<'a>,
    ) -> Tangent<'a> {
        let reach = self.reach(at, 1 - i, mask);
        self.transpose_by(at, i, ct, at.x[1 - i].where_not_zero(reach))
    }

    fn transpose<'a>(&self, at: &Point<'a>, i: usize, ct: Tangent<'a>) -> Tangent<'a> {
        self.transpose_by(at, i, ct, at.x[1 - i])
    }
}

impl Einsum {
    /// The transpose, by this as the other operand.
    fn transpose_by<'a>(
        &self,
        at: &Point<'a>,
        i: usize,
        ct: Tangent<'a>,
        other: Fixed<'a>,
    ) -> Tangent<'a> {
        let Self { left, right, out } = self.clone();
        let (left, right, out) = match i {
            0 => (out, right, left),
            _ => (left, out, right),
        };
        let exchanged = Self { left, right, out };
        let other = other.conj();
        let ct = match i {
            0 => ct.einsum(exchanged, other),
            _ => other.einsum(exchanged, ct),
        };
        match at.is_complex(i) {
            true => ct,
            false => ct.re(),
        }
    }

    /// Which elements of an operand meet those of the result where a mask is not zero: its sum over the labels
    /// that the operand does not have, repeated along those that only the operand has.
    fn reach<'a, T: Notation<'a>>(&self, at: &Point<'a>, i: usize, mask: T) -> T {
        let labels = if i == 0 { &self.left } else { &self.right };
        let is_here = |place: &usize| labels.contains(&self.out[*place]);
        let (kept, summed): (Vec<usize>, Vec<usize>) = (0..self.out.len()).partition(is_here);
        let rank_of = |label: &char| kept.iter().position(|&place| self.out[place] == *label);
        let order = labels.iter().filter_map(rank_of);
        let sizes = labels.iter().zip(at.dims(i));
        let sizes = sizes.map(|(label, &size)| rank_of(label).map_or(1, |_| size));
        let ordered = mask.sum(&summed).permute(order);
        ordered.reshape(sizes).broadcast_to(at.dims(i))
    }
}

/// The elements as a stack of matrices: axes in the order of three groups of labels, each group as one axis.
/// They are copied only if they do not stand in that order.
fn blocks<'x, T: Element>(
    x: &'x Shared<T>,
    labels: &Labels,
    groups: [&Labels; 3],
) -> CowArray<'x, T, Ix3> {
    let place_of = |label: &char| labels.iter().position(|other| other == label);
    let order: Vec<usize> = groups.into_iter().flatten().filter_map(place_of).collect();
    let size = |group: &Labels| {
        let places = group.iter().filter_map(place_of);
        places.map(|at| x.shape()[at]).product::<usize>()
    };
    let shape = (size(groups[0]), size(groups[1]), size(groups[2]));
    let mut ordered = x.view().permuted_axes(order);
    if groups.iter().all(|group| group.len() <= 1) {
        for (at, _) in groups
            .iter()
            .enumerate()
            .filter(|(_, group)| group.is_empty())
        {
            ordered.insert_axis_inplace(Axis(at));
        }
        let stack = ordered.into_dimensionality();
        return stack.unwrap_or_else(|error| panic!("{error}")).into();
    }
    match ordered.is_standard_layout() {
        true => {
            let stack = ordered.into_shape_with_order(shape);
            stack.unwrap_or_else(|error| panic!("{error}")).into()
        }
        false => {
            let stack = ordered.to_owned().into_shape_clone(shape);
            stack.unwrap_or_else(|error| panic!("{error}")).into()
        }
    }
}

/// A stack of matrices in the shape that the labels have.
fn joined<T: Element>(mut stack: Vec<Array2<T>>, dims: Vec<usize>) -> ArrayD<T> {
    let result = match (stack.len(), dims.len()) {
        (1, 2) => stack.remove(0).into_dyn().into_shape_clone(dims),
        _ => {
            let elements = stack.iter().flatten().copied().collect();
            ArrayD::from_shape_vec(dims, elements)
        }
    };
    result.unwrap_or_else(|error| panic!("{error}"))
}
