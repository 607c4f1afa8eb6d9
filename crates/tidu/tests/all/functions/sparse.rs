//! Sparse derivatives: patterns, entries and receipts, against dual numbers and closed forms.

mod bad_input;
mod growth;
mod large;
mod random;
mod receipts;
mod workloads;
