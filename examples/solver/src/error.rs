//! What can go wrong.

use std::fmt::{self, Debug, Display};

/// An error of any library that is used, or a solver that gave up. Prints as that, also where `main` returns it.
pub struct Error(String);

impl Error {
    /// An error of the solver.
    pub(crate) fn of_solver(what: impl Display) -> Self {
        Self(format!("the solver: {what}"))
    }

    /// An error of what draws.
    pub(crate) fn of_picture(what: impl Display) -> Self {
        Self(format!("the picture: {what}"))
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
