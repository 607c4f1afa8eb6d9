//! Workloads: the same numbers however they are written, and derivatives that are right.

use std::sync::Arc;

use tidu_eager::{EvalExecutor, KeySource, Tape, Var, try_backward};
use tidu_scalar::{ScalarKey, ScalarOp};
use tidu_testkit::{
    Arithmetic, Calls, Expressions, Numbers, Pipeline, Workload, arrowhead, bratu, bratu_energy,
    bundle_adjustment, chain, clnlbeam, observations, residual, rosenbrock, squares, wide,
};

fn all() -> Vec<Workload> {
    let mut all = vec![chain(99), wide(35), squares(9), bundle_adjustment()];
    for size in [0, 1, 2, 5] {
        all.extend([
            rosenbrock(size),
            arrowhead(size),
            bratu(size),
            bratu_energy(size),
        ]);
    }
    all.extend([clnlbeam(1), clnlbeam(6)]);
    all
}

#[test]
fn operations_are_counted() {
    let counts = [chain(100), wide(33), squares(9), bundle_adjustment()];
    let counts = counts.map(|workload| workload.operations);
    // Bundle adjustment: 3 differences; the rotation 5 + 1 + 2 + 3 + 1 + 5 + 1 + 3·8; 2 quotients;
    // the distortion 8; and 5 for each residual.
    assert_eq!(counts, [99, 30, 9, 3 + 42 + 2 + 8 + 10]);
    for workload in all() {
        let graph = workload.graph();
        let operations = graph.operations();
        let counted = operations
            .iter()
            .filter(|node| !matches!(node.operation, ScalarOp::Constant(_)));
        assert_eq!(counted.count(), workload.operations, "{}", workload.name);
    }
}

#[test]
fn chain_wide_and_square_compute_what_they_say() {
    let (mut v, y) = (0.3_f64, 1e-6);
    for _ in 0..33 {
        v += y * v.sin();
    }
    let workload = chain(99);
    assert_eq!(workload.values(&workload.point()), [v]);

    let x: [f64; 8] = [0.01, 0.11, 0.21, 0.31, 0.41, 0.51, 0.61, 0.01];
    let terms = (0..8).map(|i| (-x[i] * x[i]).exp() * x[(i + 1) % 8]);
    let sum = terms.fold(0.0, |sum, term| sum + term);
    let workload = wide(40);
    let found = workload.values(&workload.point())[0];
    assert!((found - sum).abs() < 1e-14, "{found} for {sum}");

    assert_eq!(squares(5).values(&[1.5]), [1.5_f64.powi(32)]);
}

#[test]
fn bundle_adjustment_is_the_reprojection_error() {
    for inputs in observations(50) {
        let found = bundle_adjustment().values(&inputs);
        for (found, expected) in found.iter().zip(residual(&inputs)) {
            // The measured pixel is subtracted from one that is hundreds large.
            assert!(
                (found - expected).abs() < 1e-10,
                "{found} instead of {expected}"
            );
        }
    }
}

fn assert_all_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
    }
}

#[test]
fn sparse_workloads_compute_what_they_say() {
    let x = [0.5, -1.5, 2.0];
    let banana = |a: f64, b: f64| 100.0 * (b - a * a).powi(2) + (1.0 - a).powi(2);
    let sum = banana(x[0], x[1]) + banana(x[1], x[2]);
    assert_all_near(&rosenbrock(3).values(&x), &[sum]);
    let sum = (x[0] * x[2]).cos() + (x[1] * x[2]).cos();
    assert_all_near(&arrowhead(3).values(&x), &[sum]);

    // [a b; c d], with zeros around: h = 1/3.
    let u = [0.1, -0.4, 0.3, 0.7_f64];
    let load = 5.0 / 9.0;
    let residual = |at: usize, [p, q]: [usize; 2]| 4.0 * u[at] - u[p] - u[q] - load * u[at].exp();
    let residuals = [(0, [1, 2]), (1, [0, 3]), (2, [0, 3]), (3, [1, 2])];
    let residuals = residuals.map(|(at, around)| residual(at, around));
    assert_all_near(&bratu(2).values(&u), &residuals);
    let energy = bratu_energy(2);
    let inner =
        [(0, 1), (0, 2), (1, 3), (2, 3)].map(|(p, q): (usize, usize)| (u[p] - u[q]).powi(2));
    let edge: f64 = u.iter().map(|u| 2.0 * u * u).sum();
    let bends = 0.5 * (inner.iter().sum::<f64>() + edge);
    let sources: f64 = u.iter().map(|u| u.exp()).sum();
    assert_all_near(&energy.values(&u), &[bends - load * sources]);

    // t, x and u of one step.
    let [t, x, u] = [[0.1, 0.3], [0.2, 0.5], [-0.6, 0.4_f64]];
    let found = clnlbeam(1).values(&[t, x, u].concat());
    let objective = 0.5 * (u[1] * u[1] + u[0] * u[0]) + 0.5 * 350.0 * (t[1].cos() + t[0].cos());
    let on_x = x[1] - x[0] - 0.5 * (t[1].sin() + t[0].sin());
    let on_t = t[1] - t[0] - 0.5 * (u[1] + u[0]);
    assert_all_near(&found, &[objective, on_x, on_t]);
}

/// At every size: the residuals are the gradient of the energy.
#[test]
fn the_energy_of_bratu_leads_to_its_residuals() {
    for side in [1, 2, 3, 6] {
        let point = bratu(side).point();
        let gradient = jacobian_by_duals(&bratu_energy(side), &point);
        assert_all_near(&gradient[0], &bratu(side).values(&point));
    }
}

#[test]
fn every_way_of_writing_computes_the_same() {
    for workload in all() {
        let point = workload.point();
        let expected = workload.values(&point);
        let name = workload.name;
        for function in [workload.function(), workload.function_of_keys()] {
            assert_eq!(
                function.compile().call(&point),
                Ok(expected.clone()),
                "{name}"
            );
        }
        let mut tape = Tape::new(Names(0));
        let (parameters, outputs) = workload.record(&mut tape);
        let outputs: Vec<f64> = outputs.iter().map(|output| *output.value()).collect();
        assert_eq!(outputs, expected, "{name}");
        assert_eq!(parameters.len(), workload.parameters, "{name}");
    }
    let workload = chain(99);
    let expression = tidu_scalar::function(["x", "y"], |inputs| {
        workload.write(&mut Expressions, &inputs)
    });
    let found = expression.unwrap().compile().call(&[0.3, 1e-6]);
    assert_eq!(found, Ok(workload.values(&[0.3, 1e-6])));
}

#[test]
fn gradients_are_those_of_dual_numbers() {
    for workload in [chain(99), wide(35), squares(9)] {
        let point = workload.point();
        let expected: Vec<f64> = jacobian_by_duals(&workload, &point).concat();
        let gradient = workload.function().grad(..).unwrap().compile();
        assert_close(&gradient.call(&point).unwrap(), &expected, workload.name);

        let pipeline = Pipeline::of(&workload);
        let found = pipeline.program.eval(&mut (), &pipeline_inputs(&pipeline));
        assert_close(&found[..1], &workload.values(&point), workload.name);
        assert_close(&found[1..], &expected, workload.name);

        let mut tape = Tape::new(Names(0));
        let (parameters, outputs) = workload.record(&mut tape);
        let wrt: Vec<&Var<ScalarOp>> = parameters.iter().collect();
        let found = tape.backward(&[(&outputs[0], 1.0)], &wrt).unwrap();
        let found: Vec<f64> = found
            .into_iter()
            .map(|gradient| gradient.unwrap())
            .collect();
        assert_close(&found, &expected, workload.name);

        let mut calls = Calls::default();
        let inputs: Vec<_> = point.iter().map(|&x| calls.input(x, true)).collect();
        let output = &workload.write(&mut calls, &inputs)[0];
        let (seed, mut executor) = (Arc::new(1.0), EvalExecutor::default());
        let trace = output.trace.as_ref();
        let found = try_backward(&output.key, trace, seed, &mut executor, &mut ()).unwrap();
        let found: Vec<f64> = inputs.iter().map(|input| *found[&input.key]).collect();
        assert_close(&found, &expected, workload.name);
    }
}

#[test]
fn the_jacobian_of_bundle_adjustment_is_that_of_dual_numbers_and_of_differences() {
    let workload = bundle_adjustment();
    let program = workload.values_and_jacobian().compile();
    for inputs in observations(20) {
        let found = program.call(&inputs).unwrap();
        assert_eq!(found.len(), 32);
        assert_close(&found[..2], &residual(&inputs), "residual");
        let found = &found[2..];
        let expected = jacobian_by_duals(&workload, &inputs);
        assert_close(found, &expected.concat(), "dual numbers");
        for (parameter, step) in inputs.iter().enumerate().take(15) {
            let step = 1e-5 * step.abs().max(1.0);
            let shifted = |by: f64| {
                let mut inputs = inputs;
                inputs[parameter] += by;
                residual(&inputs)
            };
            let (above, below) = (shifted(step), shifted(-step));
            for row in 0..2 {
                let slope = (above[row] - below[row]) / (2.0 * step);
                let found = found[15 * row + parameter];
                // What the difference cuts off and what it rounds, both of residuals near 1000.
                let tolerance = 1e-5 * slope.abs().max(10.0);
                assert!((found - slope).abs() < tolerance, "{found} for {slope}");
            }
        }
    }
}

fn pipeline_inputs(pipeline: &Pipeline) -> Vec<&'static f64> {
    let inputs = pipeline.program_inputs().into_iter();
    inputs.map(|value| &*Box::leak(Box::new(value))).collect()
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / expected.abs().max(1e-3);
        assert!(error < 1e-10, "{what}: {found} instead of {expected}");
    }
}

/// By output, by parameter.
fn jacobian_by_duals(workload: &Workload, point: &[f64]) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<Dual>> = (0..workload.parameters)
        .map(|parameter| {
            let inputs = point.iter().enumerate();
            let inputs: Vec<Dual> = inputs
                .map(|(at, &value)| Dual(value, f64::from(u8::from(at == parameter))))
                .collect();
            workload.write(&mut Duals, &inputs)
        })
        .collect();
    let rows = 0..columns[0].len();
    rows.map(|row| columns.iter().map(|column| column[row].1).collect())
        .collect()
}

/// A value and one directional derivative, by hand.
#[derive(Clone, Copy)]
struct Dual(f64, f64);

struct Duals;

impl Arithmetic for Duals {
    type Value = Dual;

    fn constant(&mut self, value: f64) -> Dual {
        Dual(value, 0.0)
    }

    fn neg(&mut self, x: &Dual) -> Dual {
        Dual(-x.0, -x.1)
    }

    fn sin(&mut self, x: &Dual) -> Dual {
        Dual(x.0.sin(), x.1 * x.0.cos())
    }

    fn cos(&mut self, x: &Dual) -> Dual {
        Dual(x.0.cos(), -x.1 * x.0.sin())
    }

    fn exp(&mut self, x: &Dual) -> Dual {
        Dual(x.0.exp(), x.1 * x.0.exp())
    }

    fn sqrt(&mut self, x: &Dual) -> Dual {
        Dual(x.0.sqrt(), x.1 / (2.0 * x.0.sqrt()))
    }

    fn add(&mut self, x: &Dual, y: &Dual) -> Dual {
        Dual(x.0 + y.0, x.1 + y.1)
    }

    fn sub(&mut self, x: &Dual, y: &Dual) -> Dual {
        Dual(x.0 - y.0, x.1 - y.1)
    }

    fn mul(&mut self, x: &Dual, y: &Dual) -> Dual {
        Dual(x.0 * y.0, x.1 * y.0 + x.0 * y.1)
    }

    fn div(&mut self, x: &Dual, y: &Dual) -> Dual {
        Dual(x.0 / y.0, (x.1 * y.0 - x.0 * y.1) / (y.0 * y.0))
    }
}

#[test]
fn plain_numbers_are_numbers() {
    let mut a = Numbers;
    assert_eq!(a.neg(&2.0), -2.0);
    assert_eq!(a.sqrt(&4.0), 2.0);
    assert_eq!(a.cos(&0.0), 1.0);
    assert_eq!(a.sub(&3.0, &1.0), 2.0);
    assert_eq!(a.div(&3.0, &2.0), 1.5);
}

struct Names(u64);

impl KeySource<ScalarOp> for Names {
    fn fresh_input_key(&mut self) -> ScalarKey {
        self.0 += 1;
        ScalarKey::fresh(self.0)
    }
}
