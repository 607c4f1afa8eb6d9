//! The solver, with values alone.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pounce_rs::prelude::Nlp;
use tidu::scalar::{CompileScalar, ScalarProgram, Workspace};

use crate::exact::FIRST_BARRIER;
use crate::{Error, Outcome, Problem};

/// Solves with the same method as [`solve`](crate::solve), which has to find out about derivatives by itself: the first ones
/// by differences, in a matrix that is full as it knows no pattern, the second ones from how the first change (L-BFGS).
///
/// To five digits: what differences are off by is too much for more.
pub fn solve_by_differences(problem: &Problem) -> Result<Outcome, Error> {
    let bounds = |bounds: &[[f64; 2]]| -> (Vec<f64>, Vec<f64>) {
        bounds
            .iter()
            .map(|&[least, greatest]| (least, greatest))
            .unzip()
    };
    let (least, greatest) = bounds(&problem.variables);
    let (lower, upper) = bounds(&problem.constraints);
    let values = Values {
        objective: problem.objective()?.compile_scalar()?,
        constraints: problem.constraint_function()?.compile_scalar()?,
        workspace: RefCell::default(),
        evaluations: Rc::default(),
    };
    let evaluations = values.evaluations.clone();
    let found = Nlp::new(values)
        .var_bounds(&least, &greatest)
        .constraint_bounds(&lower, &upper)
        .x0(&problem.start)
        .option_int("print_level", 0)
        .option_num("mu_init", FIRST_BARRIER)
        .option_num("tol", 1e-5)
        .try_solve()
        .map_err(Error::of_solver)?;
    if !found.success {
        return Err(Error::of_solver(found.status.upstream_name()));
    }
    Ok(Outcome {
        x: found.x,
        lambda: found.multipliers,
        objective: found.objective,
        iterations: found.stats.iteration_count as usize,
        evaluations: evaluations.get(),
    })
}

struct Values {
    objective: ScalarProgram,
    constraints: ScalarProgram,
    workspace: RefCell<Workspace>,
    /// Of the constraints.
    evaluations: Rc<Cell<usize>>,
}

impl Values {
    /// The solver takes what is not a number as a reason to step back.
    fn write(&self, program: &ScalarProgram, x: &[f64], into: &mut [f64]) {
        let mut workspace = self.workspace.borrow_mut();
        if program.eval_into(&mut workspace, x, into).is_err() {
            into.fill(f64::NAN);
        }
    }
}

impl pounce_rs::Problem for Values {
    fn objective(&self, x: &[f64]) -> f64 {
        let mut value = [0.0];
        self.write(&self.objective, x, &mut value);
        value[0]
    }

    fn n_constraints(&self) -> usize {
        self.constraints.output_names().len()
    }

    fn constraints(&self, x: &[f64], into: &mut [f64]) {
        self.evaluations.set(self.evaluations.get() + 1);
        self.write(&self.constraints, x, into);
    }
}
