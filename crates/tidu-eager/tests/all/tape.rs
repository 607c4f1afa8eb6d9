//! The tape: right gradients of any order, segments, life, and what is said when something is wrong.
//! Numbers are compared with closed forms, and with dual numbers that these tests bring themselves.

mod checkpoints;
mod errors;
mod everything;
mod failing;
mod forward;
mod functions;
mod gradients;
mod hidden;
mod hooks;
mod life;
mod modes;
mod orders;
mod own;
mod program;
mod replaced;
mod rules;
mod scale;
mod threads;
mod watched;

use crate::support::Names;
use tidu_eager::{Tape, Var};
use tidu_scalar::ScalarOp;

type Scalars = Tape<ScalarOp>;
type Scalar = Var<ScalarOp>;

fn scalars() -> Scalars {
    Tape::new(Names::default())
}

/// What a scalar operation of one result yields.
#[track_caller]
fn one(tape: &mut Scalars, operation: ScalarOp, operands: &[&Scalar]) -> Scalar {
    tape.apply_one(operation, operands)
        .expect("nothing is wrong")
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= 1e-10 * (1.0 + expected.abs()),
        "{found}, not {expected}"
    );
}

#[track_caller]
fn assert_all_near(found: &[Option<f64>], expected: &[Option<f64>]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        match (found, expected) {
            (Some(found), Some(expected)) => assert_near(*found, *expected),
            (found, expected) => assert_eq!(found, expected),
        }
    }
}
