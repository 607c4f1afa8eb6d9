//! What a solver asks for, derived and compiled.

use tidu::scalar::{CompileScalar, ScalarOp, ScalarProgram, Workspace};
use tidu::sparse::Pattern;
use tidu::{SparseDerivative, SparseReceipt};

use crate::{Error, Problem};

/// A problem made ready: f, ∇f, g, and the entries of the Jacobian of g and of the Hessian of the Lagrangian.
pub struct Derivatives {
    workspace: Workspace,
    objective: ScalarProgram,
    gradient: ScalarProgram,
    constraints: ScalarProgram,
    /// Rows are constraints, columns are variables.
    pub jacobian: Entries,
    /// The lower triangle of σ·∇²f + Σ λᵢ·∇²gᵢ.
    pub hessian: Entries,
    /// x, σ, λ.
    inputs: Vec<f64>,
}

/// The entries of a sparse matrix, at one point after another.
pub struct Entries {
    /// Where they are.
    pub pattern: Pattern,
    /// How they were come by.
    pub receipt: SparseReceipt,
    /// The positions of those that are not constant.
    pub changing: Vec<usize>,
    /// Those that are not constant.
    program: ScalarProgram,
    changed: Vec<f64>,
    /// All of them, as they were last.
    values: Vec<f64>,
}

impl Derivatives {
    /// Derives and compiles.
    pub fn of(problem: &Problem) -> Result<Self, Error> {
        let objective = problem.objective()?;
        let constraints = problem.constraint_function()?;
        let jacobian = constraints.sparse_jacobian(..)?;
        let hessian = problem.function.lagrangian_hessian(..)?;
        Ok(Self {
            workspace: Workspace::default(),
            gradient: objective.grad(..)?.compile_scalar()?,
            objective: objective.compile_scalar()?,
            constraints: constraints.compile_scalar()?,
            jacobian: Entries::of(&jacobian)?,
            hessian: Entries::of(&hessian)?,
            inputs: Vec::new(),
        })
    }

    /// f(x).
    pub fn objective(&mut self, x: &[f64]) -> Result<f64, Error> {
        let mut value = [0.0];
        self.objective
            .eval_into(&mut self.workspace, x, &mut value)?;
        Ok(value[0])
    }

    /// ∇f(x).
    pub fn gradient(&mut self, x: &[f64], into: &mut [f64]) -> Result<(), Error> {
        Ok(self.gradient.eval_into(&mut self.workspace, x, into)?)
    }

    /// g(x).
    pub fn constraints(&mut self, x: &[f64], into: &mut [f64]) -> Result<(), Error> {
        Ok(self.constraints.eval_into(&mut self.workspace, x, into)?)
    }

    /// The entries of the Jacobian at x.
    pub fn jacobian(&mut self, x: &[f64]) -> Result<&[f64], Error> {
        self.jacobian.at(&mut self.workspace, x)
    }

    /// The entries of the Hessian of σ·f + λ·g at x.
    pub fn hessian(&mut self, x: &[f64], sigma: f64, lambda: &[f64]) -> Result<&[f64], Error> {
        self.inputs.clear();
        for part in [x, &[sigma], lambda] {
            self.inputs.extend_from_slice(part);
        }
        self.hessian.at(&mut self.workspace, &self.inputs)
    }
}

impl Entries {
    fn of(derivative: &SparseDerivative<ScalarOp>) -> Result<Self, Error> {
        let (rest, changing) = derivative.without_constants()?;
        let program = rest.compile_scalar()?;
        let mut constant = derivative.constant.iter();
        let constant: Vec<usize> = (0..)
            .zip(&mut constant)
            .filter(|(_, is)| **is)
            .map(|(at, _)| at)
            .collect();
        // What is constant may be evaluated anywhere.
        let anywhere = vec![0.0; derivative.function.input_names().len()];
        let found = derivative
            .function
            .select_at(&constant)?
            .compile_scalar()?
            .call(&anywhere)?;
        let mut values = vec![0.0; derivative.pattern.len()];
        for (at, value) in constant.into_iter().zip(found) {
            values[at] = value;
        }
        Ok(Self {
            pattern: derivative.pattern.clone(),
            receipt: derivative.receipt.clone(),
            changed: vec![0.0; changing.len()],
            changing,
            program,
            values,
        })
    }

    fn at(&mut self, workspace: &mut Workspace, inputs: &[f64]) -> Result<&[f64], Error> {
        self.program
            .eval_into(workspace, inputs, &mut self.changed)?;
        for (&at, &value) in self.changing.iter().zip(&self.changed) {
            self.values[at] = value;
        }
        Ok(&self.values)
    }
}
