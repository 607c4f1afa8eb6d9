//! tidu beside other libraries: each measurement is one run of the program `measure`.

#![allow(
    clippy::duplicate_mod,
    reason = "the suite is compiled once for each of two libraries"
)]

pub mod ancestor;
pub mod candle;
pub mod clock;
pub mod float;
pub mod network;
pub mod ours;
pub mod tensors;
