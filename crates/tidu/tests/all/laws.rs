//! The kit that checks rules: right rules pass, wrong ones are caught by the law that they break.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod broken;
mod masks;
mod mixed;
mod sets;
mod single;
