//! Tests of the tensor set: one module for each part.

mod factorizations;
mod front;
mod in_place;
mod laws;
mod logistic;
mod programs;
mod semantics;
mod support;
