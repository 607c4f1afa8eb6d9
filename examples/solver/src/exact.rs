//! The solver, with exact derivatives.

use std::cell::RefCell;
use std::rc::Rc;

use pounce_rs::prelude::*;
use tidu::sparse::Pattern;

use crate::{Derivatives, Error, Problem};

/// How strongly bounds repel at first: little, as where we begin is not far from where we go.
pub(crate) const FIRST_BARRIER: f64 = 1e-3;

/// What a solver found.
pub struct Outcome {
    /// The variables.
    pub x: Vec<f64>,
    /// The multipliers of the constraints.
    pub lambda: Vec<f64>,
    /// f(x).
    pub objective: f64,
    /// How many iterations it took.
    pub iterations: usize,
    /// How often the constraints were evaluated, be it for differences.
    pub evaluations: usize,
}

/// Solves with an interior-point method, to nine digits.
pub fn solve(problem: &Problem, derivatives: Derivatives) -> Result<Outcome, Error> {
    let mut solver = IpoptApplication::new();
    solver
        .initialize()
        .map_err(|error| Error::of_solver(error.message))?;
    let options = solver.options_mut();
    let set = [
        options.set_integer_value("print_level", 0, true, true),
        options.set_numeric_value("tol", 1e-9, true, true),
        options.set_numeric_value("mu_init", FIRST_BARRIER, true, true),
    ];
    for option in set {
        option.map_err(|error| Error::of_solver(error.message))?;
    }
    let model = Rc::new(RefCell::new(Model {
        bounds: (problem.variables.clone(), problem.constraints.clone()),
        start: problem.start.clone(),
        derivatives,
        found: None,
        error: None,
    }));
    let status = solver.optimize_tnlp(model.clone());
    if let Some(error) = model.borrow_mut().error.take() {
        return Err(error);
    }
    let statistics = solver.statistics();
    let found = model.borrow_mut().found.take();
    match (status, found) {
        (ApplicationReturnStatus::SolveSucceeded, Some((x, lambda, objective))) => Ok(Outcome {
            x,
            lambda,
            objective,
            iterations: statistics.iteration_count as usize,
            evaluations: statistics.num_constr_evals as usize,
        }),
        _ => Err(Error::of_solver(status.upstream_name())),
    }
}

/// A problem as the solver takes it.
struct Model {
    bounds: (Vec<[f64; 2]>, Vec<[f64; 2]>),
    start: Vec<f64>,
    derivatives: Derivatives,
    found: Option<(Vec<f64>, Vec<f64>, f64)>,
    /// What went wrong, as the solver only asks whether something did.
    error: Option<Error>,
}

impl Model {
    fn keep<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.error = Some(error)).ok()
    }
}

impl TNLP for Model {
    fn get_nlp_info(&mut self) -> Option<NlpInfo> {
        let index = |count: usize| Index::try_from(count).ok();
        Some(NlpInfo {
            n: index(self.bounds.0.len())?,
            m: index(self.bounds.1.len())?,
            nnz_jac_g: index(self.derivatives.jacobian.pattern.len())?,
            nnz_h_lag: index(self.derivatives.hessian.pattern.len())?,
            index_style: IndexStyle::C,
        })
    }

    fn get_bounds_info(&mut self, into: BoundsInfo<'_>) -> bool {
        let (variables, constraints) = &self.bounds;
        for (at, &[least, greatest]) in variables.iter().enumerate() {
            (into.x_l[at], into.x_u[at]) = (least, greatest);
        }
        for (at, &[least, greatest]) in constraints.iter().enumerate() {
            (into.g_l[at], into.g_u[at]) = (least, greatest);
        }
        true
    }

    fn get_starting_point(&mut self, into: StartingPoint<'_>) -> bool {
        into.x.copy_from_slice(&self.start);
        true
    }

    fn eval_f(&mut self, x: &[f64], _: bool) -> Option<f64> {
        let value = self.derivatives.objective(x);
        self.keep(value)
    }

    fn eval_grad_f(&mut self, x: &[f64], _: bool, into: &mut [f64]) -> bool {
        let result = self.derivatives.gradient(x, into);
        self.keep(result).is_some()
    }

    fn eval_g(&mut self, x: &[f64], _: bool, into: &mut [f64]) -> bool {
        let result = self.derivatives.constraints(x, into);
        self.keep(result).is_some()
    }

    fn eval_jac_g(&mut self, x: Option<&[f64]>, _: bool, mode: SparsityRequest<'_>) -> bool {
        match (mode, x) {
            (SparsityRequest::Structure { irow, jcol }, _) => {
                write_indices(&self.derivatives.jacobian.pattern, irow, jcol)
            }
            (SparsityRequest::Values { values }, Some(x)) => {
                let entries = self.derivatives.jacobian(x);
                let result = entries.map(|entries| values.copy_from_slice(entries));
                self.keep(result).is_some()
            }
            (SparsityRequest::Values { .. }, None) => false,
        }
    }

    fn eval_h(
        &mut self,
        x: Option<&[f64]>,
        _: bool,
        sigma: f64,
        lambda: Option<&[f64]>,
        _: bool,
        mode: SparsityRequest<'_>,
    ) -> bool {
        match (mode, x.zip(lambda)) {
            (SparsityRequest::Structure { irow, jcol }, _) => {
                write_indices(&self.derivatives.hessian.pattern, irow, jcol)
            }
            (SparsityRequest::Values { values }, Some((x, lambda))) => {
                let entries = self.derivatives.hessian(x, sigma, lambda);
                let result = entries.map(|entries| values.copy_from_slice(entries));
                self.keep(result).is_some()
            }
            (SparsityRequest::Values { .. }, None) => false,
        }
    }

    fn finalize_solution(&mut self, found: Solution<'_>, _: &IpoptData, _: &IpoptCq) {
        self.found = Some((found.x.to_vec(), found.lambda.to_vec(), found.obj_value));
    }
}

/// The solver counts with signs.
fn write_indices(pattern: &Pattern, rows: &mut [Index], columns: &mut [Index]) -> bool {
    let write = |from: &[u32], into: &mut [Index]| {
        for (into, &from) in into.iter_mut().zip(from) {
            *into = from as Index;
        }
    };
    write(pattern.row_indices(), rows);
    write(pattern.column_indices(), columns);
    true
}
