//! The programs, with the tests that stand in them.
#![allow(
    clippy::duplicate_mod,
    reason = "each program has what it shares with others as a module of its own"
)]

#[path = "../../examples/conduction.rs"]
mod conduction;
#[path = "../../examples/newton.rs"]
mod newton;
#[path = "../../examples/vibrations.rs"]
mod vibrations;
#[path = "../../examples/wine.rs"]
mod wine;
#[path = "../../examples/wine_eager.rs"]
mod wine_eager;
