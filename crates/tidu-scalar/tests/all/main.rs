//! Tests of the scalar primitives: one module for each part.

mod accuracy;
mod batches;
mod bytecode;
mod closure;
mod edges;
mod expr;
mod keys;
mod names;
mod ops;
mod programs;
mod rules;
mod support;
mod var;
mod vector_math;
