//! echidna: a tape by operator overloading, and a bytecode tape that is recorded once.

use std::hint::black_box;
use std::marker::PhantomData;

use num_traits::Float;
use tidu_testkit::{Arithmetic, Workload, bundle_adjustment, observations};

use crate::clock::{Measurement, measure};

/// Recording and going backward, both each time.
pub fn tape(workload: &Workload) -> Measurement {
    let point = workload.point();
    measure(workload.operations, 1, || {
        echidna::grad(
            |x| workload.write(&mut Floats(PhantomData), x)[0],
            black_box(&point),
        )
    })
}

/// Value and gradient by a recorded tape.
pub fn evaluate_scalar(workload: &Workload) -> Measurement {
    let point = workload.point();
    let record = |x: &[_]| workload.write(&mut Floats(PhantomData), x)[0];
    let (mut tape, _) = echidna::record(record, &point);
    let mut adjoints = Vec::new();
    measure(workload.operations, 1, || {
        let gradient = tape.gradient_with_buf(black_box(&point), &mut adjoints);
        (tape.output_value(), gradient)
    })
}

/// The Jacobian of so many observations by a recorded tape, one after the other.
pub fn jacobian(count: usize) -> Measurement {
    let workload = bundle_adjustment();
    let record = |x: &[_]| workload.write(&mut Floats(PhantomData), x);
    let (mut tape, _) = echidna::record_multi(record, &workload.point());
    let observations = observations(count);
    measure(count, 1, || {
        for inputs in black_box(&observations) {
            black_box(tape.jacobian(inputs));
        }
    })
}

/// Any type that calculates like a number.
struct Floats<T>(PhantomData<T>);

macro_rules! methods {
    ($($method:ident),*) => {$(
        fn $method(&mut self, x: &T) -> T {
            Float::$method(*x)
        }
    )*};
}

macro_rules! operators {
    ($($method:ident $operator:tt),*) => {$(
        fn $method(&mut self, x: &T, y: &T) -> T {
            *x $operator *y
        }
    )*};
}

impl<T: Float> Arithmetic for Floats<T> {
    type Value = T;

    methods!(sin, cos, exp, sqrt);
    operators!(add +, sub -, mul *, div /);

    fn constant(&mut self, value: f64) -> T {
        T::from(value).expect("a type that holds numbers")
    }

    fn neg(&mut self, x: &T) -> T {
        -*x
    }
}
