//! Sparse derivatives: patterns, entries and receipts, against dual numbers and closed forms.

mod random;
mod receipts;
mod workloads;
