//! What is written down.

use tidu::Function;
use tidu::scalar::ScalarOp;

/// Minimise f(x) where lower ≤ g(x) ≤ upper, within bounds on x.
pub struct Problem {
    /// Inputs are x; the first output is f, the others are g.
    pub function: Function<ScalarOp>,
    /// The least and the greatest value of each variable.
    pub variables: Vec<[f64; 2]>,
    /// The least and the greatest value of each constraint.
    pub constraints: Vec<[f64; 2]>,
    /// Where to begin.
    pub start: Vec<f64>,
}

impl Problem {
    /// f alone.
    pub(crate) fn objective(&self) -> Result<Function<ScalarOp>, tidu::FunctionError> {
        self.function.select_at(&[0])
    }

    /// g alone.
    pub(crate) fn constraint_function(&self) -> Result<Function<ScalarOp>, tidu::FunctionError> {
        let outputs: Vec<usize> = (1..=self.constraints.len()).collect();
        self.function.select_at(&outputs)
    }
}
