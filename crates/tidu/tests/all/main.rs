//! Tests of everything together: one module for each part.

mod complex;
mod differential;
mod facade;
mod functions;
mod guide;
mod known_faults;
#[cfg(feature = "laws")]
mod laws;
mod messages;
mod pictures;
mod properties;
mod receipts;
mod snapshots;
mod support;
mod text;
mod typed;
mod vector;
mod verify;
mod why;
