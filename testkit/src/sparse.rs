//! Programs whose derivatives are sparse, of any size: those that solvers and colourings are measured on.

use tidu_scalar::ScalarKey;

use crate::arithmetic::Arithmetic;
use crate::programs::{Program, Workload};

/// λ of the Bratu problem, below the fold of the square.
const LAMBDA: f64 = 5.0;

/// The weight of the angles in the control problem.
const ALPHA: f64 = 350.0;

/// Chained Rosenbrock: Σᵢ 100(xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)², of `variables`. Its Hessian is tridiagonal.
pub fn rosenbrock(variables: usize) -> Workload {
    let point = (0..variables).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 });
    Workload::new("rosenbrock", numbered(point), Program::Rosenbrock)
}

/// Σᵢ cos (xᵢ·h), of which h is the last of `variables`. Its Hessian is an arrowhead.
pub fn arrowhead(variables: usize) -> Workload {
    let point = (0..variables).map(|i| 0.2 + 0.1 * (i % 7) as f64);
    Workload::new("arrowhead", numbered(point), Program::Arrowhead)
}

/// -Δu = λ·eᵘ on the unit square, u = 0 at its edge: the residuals h²·(-Δu - λ·eᵘ) at `side`² points, by five points
/// each. The Jacobian is the grid.
pub fn bratu(side: usize) -> Workload {
    let program = Program::Bratu { side };
    Workload::new("bratu", numbered(hill(side)), program)
}

/// The energy whose gradient the residuals of [`bratu`] are: Σ ½(u - v)² over neighbours, less h²·λ·Σ eᵘ.
pub fn bratu_energy(side: usize) -> Workload {
    let program = Program::BratuEnergy { side };
    Workload::new("bratu energy", numbered(hill(side)), program)
}

/// The optimal control of a clamped beam (CUTE's CLNLBEAM) in `steps`: inputs are t₀ … tₙ, x₀ … xₙ and u₀ … uₙ; outputs
/// the objective, then the constraints on x, then those on t.
///
/// The least ½h·Σ (uᵢ₊₁² + uᵢ²) + ½αh·Σ (cos tᵢ₊₁ + cos tᵢ), such that xᵢ₊₁ - xᵢ = ½h·(sin tᵢ₊₁ + sin tᵢ) and
/// tᵢ₊₁ - tᵢ = ½h·(uᵢ₊₁ + uᵢ).
pub fn clnlbeam(steps: usize) -> Workload {
    let h = 1.0 / steps as f64;
    let point = (0..3 * (steps + 1)).map(|at| match at / (steps + 1) {
        2 => 0.01,
        _ => 0.05 * ((at % (steps + 1)) as f64 * h).cos(),
    });
    Workload::new("clnlbeam", numbered(point), Program::Clnlbeam { steps })
}

fn numbered(point: impl Iterator<Item = f64>) -> Vec<(ScalarKey, f64)> {
    (0..).map(ScalarKey::fresh).zip(point).collect()
}

/// 2·x(1 - x)·y(1 - y), less something that no symmetry has.
fn hill(side: usize) -> impl Iterator<Item = f64> {
    let h = 1.0 / (side + 1) as f64;
    (0..side * side).map(move |at| {
        let [x, y] = [at % side, at / side].map(|at| (at + 1) as f64 * h);
        2.0 * x * (1.0 - x) * y * (1.0 - y) - 0.1 * x * x
    })
}

fn sum<A: Arithmetic>(a: &mut A, terms: impl IntoIterator<Item = A::Value>) -> Option<A::Value> {
    let mut terms = terms.into_iter();
    let first = terms.next()?;
    Some(terms.fold(first, |so_far, term| a.add(&so_far, &term)))
}

fn sum_or_zero<A: Arithmetic>(a: &mut A, terms: Vec<A::Value>) -> A::Value {
    match sum(a, terms) {
        Some(sum) => sum,
        None => a.constant(0.0),
    }
}

fn square<A: Arithmetic>(a: &mut A, x: &A::Value) -> A::Value {
    a.mul(x, x)
}

fn scaled<A: Arithmetic>(a: &mut A, scale: f64, x: &A::Value) -> A::Value {
    let scale = a.constant(scale);
    a.mul(&scale, x)
}

pub(crate) fn write_rosenbrock<A: Arithmetic>(a: &mut A, x: &[A::Value]) -> Vec<A::Value> {
    let one = a.constant(1.0);
    let mut terms = Vec::with_capacity(2 * x.len());
    for pair in x.windows(2) {
        let curve = square(a, &pair[0]);
        let off = a.sub(&pair[1], &curve);
        let off = square(a, &off);
        terms.push(scaled(a, 100.0, &off));
        let rest = a.sub(&one, &pair[0]);
        terms.push(square(a, &rest));
    }
    vec![sum_or_zero(a, terms)]
}

pub(crate) fn write_arrowhead<A: Arithmetic>(a: &mut A, x: &[A::Value]) -> Vec<A::Value> {
    let Some((hub, leaves)) = x.split_last() else {
        return vec![a.constant(0.0)];
    };
    let mut terms = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        let angle = a.mul(leaf, hub);
        terms.push(a.cos(&angle));
    }
    vec![sum_or_zero(a, terms)]
}

/// h²·λ
fn load(side: usize) -> f64 {
    LAMBDA / ((side + 1) * (side + 1)) as f64
}

pub(crate) fn write_bratu<A: Arithmetic>(a: &mut A, u: &[A::Value], side: usize) -> Vec<A::Value> {
    let at = |row: usize, column: usize| &u[side * row + column];
    let mut residuals = Vec::with_capacity(u.len());
    for row in 0..side {
        for column in 0..side {
            let mut around = Vec::with_capacity(4);
            around.extend(row.checked_sub(1).map(|row| at(row, column)));
            around.extend(column.checked_sub(1).map(|column| at(row, column)));
            around.extend((column + 1 < side).then(|| at(row, column + 1)));
            around.extend((row + 1 < side).then(|| at(row + 1, column)));
            let mut residual = scaled(a, 4.0, at(row, column));
            for neighbour in around {
                residual = a.sub(&residual, neighbour);
            }
            let source = a.exp(at(row, column));
            let source = scaled(a, load(side), &source);
            residuals.push(a.sub(&residual, &source));
        }
    }
    residuals
}

pub(crate) fn write_bratu_energy<A: Arithmetic>(
    a: &mut A,
    u: &[A::Value],
    side: usize,
) -> Vec<A::Value> {
    let mut bends = Vec::with_capacity(2 * u.len());
    let mut sources = Vec::with_capacity(u.len());
    for (at, value) in u.iter().enumerate() {
        let (row, column) = (at / side, at % side);
        // Each pair of neighbours once, of which those beyond the edge are 0.
        let before = [(row > 0).then_some(side), (column > 0).then_some(1)];
        for distance in before {
            let slope = match distance {
                Some(distance) => a.sub(value, &u[at - distance]),
                None => value.clone(),
            };
            bends.push(square(a, &slope));
        }
        for _ in [row, column].iter().filter(|&&last| last + 1 == side) {
            bends.push(square(a, value));
        }
        sources.push(a.exp(value));
    }
    let bends = sum_or_zero(a, bends);
    let bends = scaled(a, 0.5, &bends);
    let sources = sum_or_zero(a, sources);
    let sources = scaled(a, load(side), &sources);
    vec![a.sub(&bends, &sources)]
}

pub(crate) fn write_clnlbeam<A: Arithmetic>(
    a: &mut A,
    inputs: &[A::Value],
    steps: usize,
) -> Vec<A::Value> {
    let half = 0.5 / steps as f64;
    let (t, rest) = inputs.split_at(steps + 1);
    let (x, u) = rest.split_at(steps + 1);
    // What stands at both ends of a step is computed once.
    let squares: Vec<_> = u.iter().map(|u| square(a, u)).collect();
    let cosines: Vec<_> = t.iter().map(|t| a.cos(t)).collect();
    let sines: Vec<_> = t.iter().map(|t| a.sin(t)).collect();
    let mut costs = Vec::with_capacity(2 * steps);
    for step in 0..steps {
        let control = a.add(&squares[step + 1], &squares[step]);
        costs.push(scaled(a, half, &control));
        let angle = a.add(&cosines[step + 1], &cosines[step]);
        costs.push(scaled(a, ALPHA * half, &angle));
    }
    let mut outputs = vec![sum_or_zero(a, costs)];
    for [of, by] in [[x, &sines[..]], [t, u]] {
        for step in 0..steps {
            let change = a.sub(&of[step + 1], &of[step]);
            let slope = a.add(&by[step + 1], &by[step]);
            let slope = scaled(a, half, &slope);
            outputs.push(a.sub(&change, &slope));
        }
    }
    outputs
}
