//! Second order: logistic regression by Newton's method, which needs the Hessian only times vectors, and has it
//! as one program. Where gradient descent creeps, a handful of steps is enough.

#[path = "common/wines.rs"]
mod wines;

use std::error::Error;

use ndarray::ArrayD;
use tidu::FunctionProgram;
use tidu_tensor::model::cross_entropy;
use tidu_tensor::{Context, Tensor, TensorOp, Value, Var, function, types};

use wines::{CLASSES, MEASUREMENTS, Wines};

/// The loss of weights, those of the constant 1 among them, all of them held back by a square.
fn loss<V: Value>(wines: &V, classes: &V, weights: &V) -> V {
    cross_entropy(&wines.matmul(weights), classes) + weights.square().sum_all() * 1e-3
}

type Vector = ArrayD<f64>;

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
        let [measurements, one] = [measurements, Tensor::full(&[count, 1], 1.0)].map(Var::from);
        let with_one = Var::concatenate(&[&measurements, &one], 1);
        let data = [with_one.value().clone(), classes];
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

    fn gradient(&self, weights: &Vector) -> Result<Vector, Box<dyn Error>> {
        self.call(&self.slope, &[weights])
    }

    fn hessian_times(&self, weights: &Vector, v: &Vector) -> Result<Vector, Box<dyn Error>> {
        self.call(&self.curvature, &[weights, v])
    }

    fn call(
        &self,
        program: &FunctionProgram<TensorOp>,
        at: &[&Vector],
    ) -> Result<Vector, Box<dyn Error>> {
        let at: Vec<Tensor> = at.iter().map(|&numbers| numbers.clone().into()).collect();
        let inputs: Vec<&Tensor> = self.data.iter().chain(&at).collect();
        let results = program.call_in(&mut Context::default(), &inputs)?;
        Ok(results[0]
            .array()
            .ok_or("a result of real numbers")?
            .to_owned())
    }
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &Vector) -> f64 {
    dot(a, a).sqrt()
}

/// Solves A·x = b for a symmetric positive A, by conjugate gradients, until the residual is this much smaller
/// than b. Returns x, and how often A was applied.
fn conjugate_gradients(
    b: &Vector,
    tolerance: f64,
    mut a_times: impl FnMut(&Vector) -> Result<Vector, Box<dyn Error>>,
) -> Result<(Vector, usize), Box<dyn Error>> {
    let mut x = b * 0.0;
    let (mut residual, mut direction) = (b.clone(), b.clone());
    let mut applied = 0;
    while norm(&residual) > tolerance * norm(b) {
        let image = a_times(&direction)?;
        applied += 1;
        let before = dot(&residual, &residual);
        let length = before / dot(&direction, &image);
        x.scaled_add(length, &direction);
        residual.scaled_add(-length, &image);
        let turn = dot(&residual, &residual) / before;
        direction = &residual + &(direction * turn);
    }
    Ok((x, applied))
}

/// Public for the test that runs it.
pub fn main() -> Result<(), Box<dyn Error>> {
    let problem = Problem::new(&Wines::load())?;
    let start = Vector::zeros(vec![MEASUREMENTS + 1, CLASSES]);

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
        weights = weights - change;
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
        slow.scaled_add(-1.0, &gradient);
    }
    Ok(())
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
