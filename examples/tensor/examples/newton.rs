//! Second order: logistic regression by Newton's method, which needs the Hessian only times vectors, and has it
//! as one program. Where gradient descent creeps, a handful of steps is enough.

#[path = "common/wines.rs"]
mod wines;

use std::error::Error;

use tidu::{FunctionError, FunctionProgram};
use tidu_tensor::model::cross_entropy;
use tidu_tensor::{Context, Tensor, TensorOp, Value, function, types};

use wines::{CLASSES, MEASUREMENTS, Wines};

/// The loss of weights, those of the constant 1 among them, all of them held back by a square.
fn loss<V: Value>(wines: &V, classes: &V, weights: &V) -> V {
    cross_entropy(&wines.matmul(weights), classes) + weights.square().sum_all() * 1e-3
}

/// What is asked for at some weights.
struct Problem {
    data: [Tensor; 2],
    slope: FunctionProgram<TensorOp>,
    curvature: FunctionProgram<TensorOp>,
}

impl Problem {
    fn new(wines: &Wines) -> Result<Self, Box<dyn Error>> {
        let [measurements, classes] = wines.train.all();
        let count = wines.train.len();
        let one = Tensor::full(&[count, 1], 1.0);
        let data = [Tensor::concatenate(&[&measurements, &one], 1), classes];
        let inputs = [
            ("wines", types::real([count, MEASUREMENTS + 1])),
            ("classes", types::index([count])),
            ("weights", types::real([MEASUREMENTS + 1, CLASSES])),
        ];
        let loss = function(inputs, |[x, y, w]| [loss(&x, &y, &w)])?;
        Ok(Self {
            data,
            slope: loss.grad("weights")?.compile(),
            curvature: loss.hvp("weights")?.compile(),
        })
    }

    fn gradient(&self, weights: &Tensor) -> Result<Tensor, FunctionError> {
        self.call(&self.slope, &[weights])
    }

    fn hessian_times(&self, weights: &Tensor, v: &Tensor) -> Result<Tensor, FunctionError> {
        self.call(&self.curvature, &[weights, v])
    }

    fn call(
        &self,
        program: &FunctionProgram<TensorOp>,
        at: &[&Tensor],
    ) -> Result<Tensor, FunctionError> {
        let inputs: Vec<&Tensor> = self.data.iter().chain(at.iter().copied()).collect();
        let mut results = program.call_in(&mut Context::default(), &inputs)?;
        Ok(results.swap_remove(0))
    }
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).sum_all().item().unwrap_or(f64::NAN)
}

fn norm(a: &Tensor) -> f64 {
    dot(a, a).sqrt()
}

/// Solves A·x = b for a symmetric positive A, by conjugate gradients, until the residual is this much smaller
/// than b. Returns x, and how often A was applied.
fn conjugate_gradients(
    b: &Tensor,
    tolerance: f64,
    mut a_times: impl FnMut(&Tensor) -> Result<Tensor, FunctionError>,
) -> Result<(Tensor, usize), FunctionError> {
    let mut x = b * 0.0;
    let (mut residual, mut direction) = (b.clone(), b.clone());
    let mut applied = 0;
    while norm(&residual) > tolerance * norm(b) {
        let image = a_times(&direction)?;
        applied += 1;
        let before = dot(&residual, &residual);
        let length = before / dot(&direction, &image);
        x += &direction * length;
        residual -= image * length;
        let turn = dot(&residual, &residual) / before;
        direction = &residual + direction * turn;
    }
    Ok((x, applied))
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let problem = Problem::new(&Wines::load())?;
    let start = Tensor::full(&[MEASUREMENTS + 1, CLASSES], 0.0);

    println!("Newton's method\nstep   |gradient|   products with the Hessian");
    let mut weights = start.clone();
    let (mut steps, mut passes) = (0, 1);
    let mut gradient = problem.gradient(&weights)?;
    while norm(&gradient) > 1e-8 {
        // The closer, the more exactly: then the number of right digits doubles in each step.
        let tolerance = norm(&gradient).min(0.1);
        let at = &weights;
        let (change, products) =
            conjugate_gradients(&gradient, tolerance, |v| problem.hessian_times(at, v))?;
        println!("{steps:>4} {:>12.1e} {products:>10}", norm(&gradient));
        weights -= change;
        gradient = problem.gradient(&weights)?;
        (steps, passes) = (steps + 1, passes + products + 1);
        assert!(steps < 10, "Newton's method converges");
    }
    println!("{steps:>4} {:>12.1e}", norm(&gradient));

    println!("\ngradient descent\nstep   |gradient|");
    let mut slow = start;
    for step in 0..=passes {
        let gradient = problem.gradient(&slow)?;
        if step % 20 == 0 || step == passes {
            println!("{step:>4} {:>12.1e}", norm(&gradient));
        }
        assert!(
            norm(&gradient) > 1e-4,
            "as many passes over the data do not suffice"
        );
        slow -= gradient;
    }
    Ok(())
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
