//! What the solver finds is what is published; what it is given is what mathematics says.

mod derivatives;
mod matrix;
mod pictures;
mod solutions;
