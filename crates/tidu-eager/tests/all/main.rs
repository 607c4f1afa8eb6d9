//! Tests of recording and going backward: one module for each part.

mod again;
mod bad_input;
mod behaviour;
mod executor;
mod scale;
mod shared;
mod support;
mod tape;
