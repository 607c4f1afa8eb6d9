//! Nonlinear programmes, from a pattern to a solver.
//!
//! [`Problem`] is what is written down: a function whose outputs are an objective and constraints, and bounds. [`Derivatives`]
//! are derived from it and compiled; [`solve`] hands them to an interior-point method as it takes them, and
//! [`solve_by_differences`] gives it values alone.

mod derivatives;
mod differences;
mod error;
mod exact;
pub mod figures;
pub mod matrix;
mod problem;
mod problems;

pub use derivatives::{Derivatives, Entries};
pub use differences::solve_by_differences;
pub use error::Error;
pub use exact::{Outcome, solve};
pub use problem::Problem;
pub use problems::{Bratu, beam, bratu};
