//! Functions and their transforms.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod chain;
mod counts;
mod custom_rules;
mod errors;
mod front;
mod held;
mod jacobians;
mod keys;
mod linearize;
mod messages;
mod missing_rules;
mod modes;
mod orders;
mod residuals;
mod selection;
mod series;
mod shapes;
mod simplify;
mod sparse;
mod values;
mod ways;
