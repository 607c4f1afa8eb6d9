//! Problems that people know, of small and middling size: every entry against dual numbers, in every direction.

use tidu::eager::Tape;
use tidu::scalar::{CompileScalar, ScalarKey, ScalarOp};
use tidu::sparse::{Coloring, Order};
use tidu::{Derive, Function, Mode, SparseDerivative};
use tidu_testkit::{
    Arithmetic, Random, Workload, arrowhead, bratu, bratu_energy, clnlbeam, rosenbrock,
};

use crate::support::{Dual, Number};

type F = Function<ScalarOp>;
type Hyper = Dual<Dual<f64>>;

/// A workload over dual numbers of second order.
struct Hypers;

impl Arithmetic for Hypers {
    type Value = Hyper;

    fn constant(&mut self, value: f64) -> Hyper {
        Hyper::constant(value)
    }

    fn neg(&mut self, x: &Hyper) -> Hyper {
        Number::neg(*x)
    }

    fn sin(&mut self, x: &Hyper) -> Hyper {
        Number::sin(*x)
    }

    fn cos(&mut self, x: &Hyper) -> Hyper {
        Number::cos(*x)
    }

    fn exp(&mut self, x: &Hyper) -> Hyper {
        Number::exp(*x)
    }

    fn sqrt(&mut self, _: &Hyper) -> Hyper {
        unreachable!("no sparse workload has a root")
    }

    fn add(&mut self, x: &Hyper, y: &Hyper) -> Hyper {
        Number::add(*x, *y)
    }

    fn sub(&mut self, x: &Hyper, y: &Hyper) -> Hyper {
        Number::add(*x, Number::neg(*y))
    }

    fn mul(&mut self, x: &Hyper, y: &Hyper) -> Hyper {
        Number::mul(*x, *y)
    }

    fn div(&mut self, x: &Hyper, y: &Hyper) -> Hyper {
        Number::mul(*x, Number::recip(*y))
    }
}

/// Of all outputs: the derivative by input i, and the second one by i and j.
fn along(workload: &Workload, x: &[f64], i: usize, j: usize) -> Vec<[f64; 2]> {
    let one = |at: usize, of: usize| f64::from(u8::from(at == of));
    let lift = |(at, &value): (usize, &f64)| Dual {
        value: Dual {
            value,
            tangent: one(at, i),
        },
        tangent: Dual {
            value: one(at, j),
            tangent: 0.0,
        },
    };
    let x: Vec<Hyper> = x.iter().enumerate().map(lift).collect();
    let outputs = workload.write(&mut Hypers, &x).into_iter();
    outputs
        .map(|y| [y.value.tangent, y.tangent.tangent])
        .collect()
}

/// Every entry is as a matrix by columns has it, and what is no entry is zero there.
fn assert_matrix(
    derivative: &SparseDerivative<ScalarOp>,
    values: &[f64],
    columns: &[Vec<f64>],
    is_symmetric: bool,
) {
    let pattern = &derivative.pattern;
    let scale = columns.iter().flatten();
    let scale = scale.fold(1.0, |most: f64, entry| most.max(entry.abs()));
    for (column, entries) in columns.iter().enumerate() {
        for (row, expected) in entries.iter().enumerate() {
            let (row, column) = if is_symmetric {
                (row.max(column), row.min(column))
            } else {
                (row, column)
            };
            let found = pattern
                .position_of(row, column)
                .map_or(0.0, |at| values[at]);
            assert!(
                (found - expected).abs() < 1e-12 * scale,
                "({row}, {column}) is {found}, not {expected}"
            );
        }
    }
}

fn all_small() -> Vec<Workload> {
    let sizes = [1, 2, 3, 7].into_iter();
    let mut all: Vec<Workload> = sizes
        .flat_map(|size| [rosenbrock(size), arrowhead(size), clnlbeam(size)])
        .collect();
    all.extend(
        [1, 2, 4]
            .into_iter()
            .flat_map(|side| [bratu(side), bratu_energy(side)]),
    );
    all
}

fn in_mode<'a>(f: &'a F, ctx: &'a mut (), mode: Option<Mode>) -> Derive<'a, ScalarOp> {
    let derive = f.within(ctx);
    match mode {
        Some(mode) => derive.mode(mode),
        None => derive,
    }
}

#[test]
fn derivatives_are_those_of_dual_numbers() {
    let mut random = Random(0x30b1);
    for workload in all_small() {
        let f = workload.function();
        let rows = f.output_names().len();
        let x = workload.point();
        let x: Vec<f64> = x.iter().map(|x| x + 0.1 * random.unit()).collect();
        let n = x.len();
        let c: Vec<f64> = (0..rows).map(|_| random.unit()).collect();
        let columns = (0..n).map(|j| {
            let entries = along(&workload, &x, j, j).into_iter();
            entries.map(|[first, _]| first).collect()
        });
        let columns: Vec<Vec<f64>> = columns.collect();
        let second = |i: usize, j: usize| -> f64 {
            let terms = along(&workload, &x, i, j).into_iter().zip(&c);
            terms.map(|([_, second], c)| c * second).sum()
        };
        let second = (0..n).map(|j| (0..n).map(|i| second(i, j)).collect());
        let second: Vec<Vec<f64>> = second.collect();
        for mode in [None, Some(Mode::Forward), Some(Mode::Reverse)] {
            let ctx = &mut ();
            let mut calls = Vec::new();
            let jacobian = in_mode(&f, ctx, mode).sparse_jacobian(..).unwrap();
            calls.push((jacobian, x.clone(), &columns, false));
            let lagrangian = in_mode(&f, ctx, mode).lagrangian_hessian(..).unwrap();
            calls.push((lagrangian, [&x[..], &c].concat(), &second, true));
            for (derivative, x, columns, is_symmetric) in calls {
                let function = &derivative.function;
                let values = function.compile().call(&x).unwrap();
                assert_matrix(&derivative, &values, columns, is_symmetric);
                by_all_programs(function, &x, &values);
            }
        }
    }
}

/// Bytecode gives the same bits, for one point and for many.
fn by_all_programs(function: &F, x: &[f64], values: &[f64]) {
    let program = function.compile_scalar().unwrap();
    assert_eq!(program.call(x).unwrap(), values);
    let points = 11;
    let shifted = |x: &f64| (0..points).map(|at| x + 1e-3 * f64::from(at)).collect();
    let inputs: Vec<Vec<f64>> = x.iter().map(shifted).collect();
    let mut outputs = vec![vec![0.0; points as usize]; values.len()];
    let given: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
    let mut taken: Vec<&mut [f64]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    program.eval_batch(&given, &mut taken).unwrap();
    for at in 0..points as usize {
        let point: Vec<f64> = inputs.iter().map(|input| input[at]).collect();
        let found = outputs.iter().map(|output| output[at]);
        assert_eq!(program.call(&point).unwrap(), found.collect::<Vec<f64>>());
    }
}

#[test]
fn patterns_of_known_problems() {
    let hessian = |workload: Workload| workload.function().sparse_hessian(..).unwrap();
    insta::assert_snapshot!(hessian(rosenbrock(6)).pattern, @r"
    6 by 6, 11 nonzeros
    *.....
    **....
    .**...
    ..**..
    ...**.
    ....**
    ");
    insta::assert_snapshot!(hessian(arrowhead(6)).pattern, @r"
    6 by 6, 11 nonzeros
    *.....
    .*....
    ..*...
    ...*..
    ....*.
    ******
    ");
    insta::assert_snapshot!(hessian(bratu_energy(3)).pattern, @r"
    9 by 9, 21 nonzeros
    *........
    **.......
    .**......
    *..*.....
    .*.**....
    ..*.**...
    ...*..*..
    ....*.**.
    .....*.**
    ");
    let beam = clnlbeam(3).function();
    insta::assert_snapshot!(beam.sparsity(..).unwrap(), @r"
    7 by 12, 32 nonzeros
    ****....****
    **..**......
    .**..**.....
    ..**..**....
    **......**..
    .**......**.
    ..**......**
    ");
    insta::assert_snapshot!(beam.hessian_sparsity(..).unwrap(), @r"
    12 by 12, 8 nonzeros
    *...........
    .*..........
    ..*.........
    ...*........
    ............
    ............
    ............
    ............
    ........*...
    .........*..
    ..........*.
    ...........*
    ");
    // The angles and the controls are not linear, and x is.
    let linear = beam.linear_parts(..).unwrap();
    let x = (0..12).map(|at| at / 4 == 1);
    assert_eq!(linear.inputs, x.collect::<Vec<bool>>());
    let outputs = (0..7).map(|at| at > 3);
    assert_eq!(linear.outputs, outputs.collect::<Vec<bool>>());
}

#[test]
fn a_spy_plot_by_star_colouring() {
    let pattern = arrowhead(5).function().hessian_sparsity(..).unwrap();
    let coloring = Coloring::star(&pattern, Order::BEST).unwrap();
    insta::assert_snapshot!(pattern.to_svg(Some(&coloring)), @r##"
    <svg xmlns="http://www.w3.org/2000/svg" width="112" height="112" viewBox="-1 -1 7 7">
    <title>5 by 5, 13 nonzeros; 2 groups of columns, direct, natural order</title>
    <rect x="-1" y="-1" width="7" height="7" fill="#f4f4f0"/>
    <rect x="0" y="0" width="5" height="5" fill="#fff"/>
    <rect x="0" y="0" width="1" height="1" fill="hsl(210,70%,45%)"/>
    <rect x="4" y="0" width="1" height="1" fill="hsl(347,70%,45%)"/>
    <rect x="1" y="1" width="1" height="1" fill="hsl(210,70%,45%)"/>
    <rect x="4" y="1" width="1" height="1" fill="hsl(347,70%,45%)"/>
    <rect x="2" y="2" width="1" height="1" fill="hsl(210,70%,45%)"/>
    <rect x="4" y="2" width="1" height="1" fill="hsl(347,70%,45%)"/>
    <rect x="3" y="3" width="1" height="1" fill="hsl(210,70%,45%)"/>
    <rect x="4" y="3" width="1" height="1" fill="hsl(347,70%,45%)"/>
    <rect x="0" y="4" width="1" height="1" fill="hsl(347,70%,45%)"/>
    <rect x="1" y="4" width="1" height="1" fill="hsl(347,70%,45%)"/>
    <rect x="2" y="4" width="1" height="1" fill="hsl(347,70%,45%)"/>
    <rect x="3" y="4" width="1" height="1" fill="hsl(347,70%,45%)"/>
    <rect x="4" y="4" width="1" height="1" fill="hsl(347,70%,45%)"/>
    </svg>
    "##);
}

/// What was recorded on a tape, as a function.
#[test]
fn from_a_tape() {
    for workload in all_small().iter().filter(|it| it.operations > 0) {
        let mut tape = Tape::new(|| ScalarKey::fresh(0));
        tape.keep_structure().unwrap();
        let (parameters, outputs) = workload.record(&mut tape);
        let inputs: Vec<_> = workload.keys().into_iter().zip(&parameters).collect();
        let outputs: Vec<_> = outputs.iter().collect();
        let taped = tape.to_function(&inputs, &outputs).unwrap();
        let written = workload.function();
        let [taped, written] = [taped, written].map(|f| {
            let jacobian = f.sparse_jacobian(..).unwrap();
            let values = jacobian.function.compile().call(&workload.point()).unwrap();
            (jacobian.pattern, values)
        });
        assert_eq!(taped, written);
    }
}
