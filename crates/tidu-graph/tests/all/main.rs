//! Tests of graphs: one module for each part.

mod bad_input;
mod counting;
mod dense;
mod failing;
mod functions;
mod graph;
mod in_place;
mod key;
mod program;
mod scale;
mod simplify;
mod support;
mod view;
