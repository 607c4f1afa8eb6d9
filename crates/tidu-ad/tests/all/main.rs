//! Tests of rules and transforms: one module for each part.

mod bad_input;
mod failing;
mod function_scale;
mod notation;
mod scale;
mod sparse;
mod support;
