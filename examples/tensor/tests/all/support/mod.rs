//! What tests of the set share: tensors as vectors, random ones, comparisons.
#![allow(dead_code, reason = "no test uses everything")]

use num_complex::Complex64;
use tidu::laws::{Case, Laws, Random, Space};
use tidu::scalar::ScalarKey;
use tidu_tensor::{Tensor, TensorOp};

/// Tensors by real coordinates: none for indices.
pub fn space() -> Space<Tensor> {
    Space::new(coordinates, |like, coordinates| match like {
        Tensor::Real(_) => Tensor::new(like.dims().to_vec(), coordinates.to_vec()).unwrap(),
        Tensor::Complex(_) => {
            let pairs = coordinates.chunks(2);
            let numbers = pairs.map(|pair| Complex64::new(pair[0], pair[1]));
            Tensor::new(like.dims().to_vec(), numbers.collect()).unwrap()
        }
        Tensor::Index(_) => like.clone(),
    })
}

pub fn coordinates(tensor: &Tensor) -> Vec<f64> {
    match tensor {
        Tensor::Real(array) => array.iter().copied().collect(),
        Tensor::Complex(array) => array.iter().flat_map(|z| [z.re, z.im]).collect(),
        Tensor::Index(_) => Vec::new(),
    }
}

pub fn laws() -> Laws<TensorOp> {
    Laws::new(space(), |at| ScalarKey::fresh(at as u64))
}

/// What operands are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Real,
    Complex,
}

/// Numbers between two bounds; of complex ones, both parts.
pub fn tensor(random: &mut Random, kind: Kind, dims: &[usize], low: f64, high: f64) -> Tensor {
    let count = dims.iter().product();
    let mut numbers = || random.many_between(count, low, high);
    let re = numbers();
    match kind {
        Kind::Real => Tensor::new(dims.to_vec(), re).unwrap(),
        Kind::Complex => {
            let parts = re.into_iter().zip(numbers());
            let numbers = parts.map(|(re, im)| Complex64::new(re, im)).collect();
            Tensor::new(dims.to_vec(), numbers).unwrap()
        }
    }
}

/// A case for an operation on operands of these kinds and shapes.
pub fn case(op: impl Into<TensorOp>, operands: &[(Kind, &[usize])]) -> Case<TensorOp> {
    case_between(op, operands, -1.5, 1.5)
}

pub fn case_between(
    op: impl Into<TensorOp>,
    operands: &[(Kind, &[usize])],
    low: f64,
    high: f64,
) -> Case<TensorOp> {
    let op = op.into();
    let operands: Vec<_> = operands
        .iter()
        .map(|(kind, dims)| (*kind, dims.to_vec()))
        .collect();
    let kinds = operands
        .iter()
        .map(|(kind, dims)| format!("{kind:?}{dims:?}"));
    let name = format!("{op:?} {}", kinds.collect::<Vec<_>>().join(" "));
    let case = Case::operation(op, move |random| {
        let mut draw = |(kind, dims): &(Kind, Vec<usize>)| tensor(random, *kind, dims, low, high);
        operands.iter().map(&mut draw).collect()
    });
    case.named(name)
}

/// The same type, and elements that differ by little.
#[track_caller]
pub fn assert_near(found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.value_type(), expected.value_type());
    let (found, expected) = (coordinates(found), coordinates(expected));
    for (found, expected) in found.iter().zip(&expected) {
        let near = (found - expected).abs() <= tolerance * (1.0 + expected.abs());
        assert!(near, "found {found}, expected {expected}");
    }
}

/// The same elements in memory of their own.
pub fn copy(tensor: &Tensor) -> Tensor {
    match tensor {
        Tensor::Real(array) => array.to_owned().into(),
        Tensor::Complex(array) => array.to_owned().into(),
        Tensor::Index(array) => array.to_owned().into(),
    }
}
