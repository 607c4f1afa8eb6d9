//! The kit that checks rules: right rules pass, wrong ones are caught by the law that they break.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "laws/broken.rs"]
mod broken;
#[path = "laws/masks.rs"]
mod masks;
#[path = "laws/mixed.rs"]
mod mixed;
#[path = "laws/sets.rs"]
mod sets;
#[path = "laws/single.rs"]
mod single;
