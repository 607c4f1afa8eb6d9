//! Functions to run: at random, and bundle adjustment.

use tidu_ad::Function;
use tidu_graph::{GraphBuilder, GraphOperation, LocalValueId, OperationRole, ValueRef};
use tidu_scalar::{Expr, ScalarKey, ScalarOp, function};

use super::random::Random;

/// A function of so many inputs, of operations drawn from these, all of whose last values are outputs.
pub fn random_function(
    random: &mut Random,
    inputs: usize,
    operations: usize,
    from: &[ScalarOp],
) -> Function<ScalarOp> {
    let names: Vec<String> = (0..inputs).map(|at| format!("x{at}")).collect();
    let build = |builder: &mut GraphBuilder<ScalarOp>, inputs: &[LocalValueId]| {
        let mut values = inputs.to_vec();
        for _ in 0..operations {
            let op = &from[random.bits() as usize % from.len()];
            let operands = (0..op.input_count()).map(|_| {
                // Mostly what was made last, so that values are used once.
                let back = match random.bits() % 4 {
                    0 => values.len(),
                    _ => values.len().min(4),
                };
                let at = values.len() - 1 - random.bits() as usize % back;
                ValueRef::Local(values[at])
            });
            let operands = operands.collect();
            values.extend(builder.add_operation(op.clone(), operands, OperationRole::Primary));
        }
        values.split_off(values.len() - 4)
    };
    Function::build(
        names.iter().map(|name| ScalarKey::from(name.as_str())),
        build,
    )
    .expect("a function")
}

/// What an observation depends on: 11 numbers of a camera, 3 of a point, a weight, and 2 measured.
pub const OBSERVATION: [&str; 17] = [
    "r0", "r1", "r2", "c0", "c1", "c2", "f", "u0", "v0", "k1", "k2", "x0", "x1", "x2", "w", "m0",
    "m1",
];

/// The reprojection error of bundle adjustment, as of ADBench: a point in the frame of a camera, which
/// is turned by Rodrigues' formula, projected, distorted, and compared with what was measured.
pub fn reprojection() -> Function<ScalarOp> {
    function(OBSERVATION, |inputs| {
        let [
            r0,
            r1,
            r2,
            c0,
            c1,
            c2,
            f,
            u0,
            v0,
            k1,
            k2,
            x0,
            x1,
            x2,
            w,
            m0,
            m1,
        ] = inputs;
        let x = [x0 - c0, x1 - c1, x2 - c2];
        let angle = dot(
            &[r0.clone(), r1.clone(), r2.clone()],
            &[r0.clone(), r1.clone(), r2.clone()],
        );
        let angle = angle.sqrt();
        let inverse = angle.recip();
        let axis = [r0, r1, r2].map(|r| r * &inverse);
        let (sin, cos) = (angle.sin(), angle.cos());
        let across = cross(&axis, &x);
        let along = dot(&axis, &x) * (1.0 - &cos);
        let [p, q, depth] = [0, 1, 2].map(|i| &x[i] * &cos + &across[i] * &sin + &axis[i] * &along);
        let (p, q) = (p / &depth, q / &depth);
        let square = &p * &p + &q * &q;
        let distortion = 1.0 + k1 * &square + k2 * (&square * &square);
        let (u, v) = (p * &distortion * &f + u0, q * &distortion * &f + v0);
        [&w * (u - m0), &w * (v - m1)]
    })
    .expect("a function")
}

/// The reprojection error and its Jacobian by all but what was measured: 2 + 2·15 outputs.
pub fn reprojection_and_jacobian() -> Function<ScalarOp> {
    let error = reprojection();
    let jacobian = error.jacobian(&OBSERVATION[..15]).expect("a Jacobian");
    let graphs = [&error, &jacobian].map(|f| f.as_graph().clone().into());
    let outputs = [&error, &jacobian].map(|f| {
        let graph = f.as_graph();
        let keys = graph.outputs().iter();
        let keys: Vec<_> = keys.map(|&id| graph.values()[id].key.clone()).collect();
        keys
    });
    Function::from_graphs(graphs.to_vec(), &error.input_keys(), &outputs.concat())
        .expect("a function")
}

/// Numbers such as cameras and points have.
pub fn observation(random: &mut Random) -> [f64; 17] {
    let mut at = |low, high| random.between(low, high);
    [
        at(0.05, 0.3),
        at(-0.3, 0.3),
        at(-0.3, 0.3),
        at(-0.5, 0.5),
        at(-0.5, 0.5),
        at(-4.0, -2.0),
        at(400.0, 900.0),
        at(-5.0, 5.0),
        at(-5.0, 5.0),
        at(-0.2, 0.2),
        at(-0.05, 0.05),
        at(-1.0, 1.0),
        at(-1.0, 1.0),
        at(-1.0, 1.0),
        at(0.5, 1.5),
        at(-300.0, 300.0),
        at(-300.0, 300.0),
    ]
}

fn dot(x: &[Expr; 3], y: &[Expr; 3]) -> Expr {
    &x[0] * &y[0] + &x[1] * &y[1] + &x[2] * &y[2]
}

fn cross(x: &[Expr; 3], y: &[Expr; 3]) -> [Expr; 3] {
    [[1, 2], [2, 0], [0, 1]].map(|[i, j]| &x[i] * &y[j] - &x[j] * &y[i])
}
