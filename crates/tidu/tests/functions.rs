//! Functions and their transforms.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

mod functions {
    mod chain;
    mod counts;
    mod custom_rules;
    mod errors;
    mod linearize;
    mod orders;
    mod shapes;
    mod simplify;
}
