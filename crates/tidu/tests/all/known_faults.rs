//! Faults that a library of this kind is prone to, each in several forms.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod aliases;
mod copies;
mod passes;
mod seed_count;
mod seeds;
mod shared_structure;
mod undefined;
