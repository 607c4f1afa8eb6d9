//! Every primitive obeys the laws, on real and on complex numbers, and however its operands are broadcast.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use crate::support::{Kind, Kind::Real, case, case_between, laws, tensor};
use tidu::laws::{Case, Law, Laws, Random};
use tidu_tensor::TensorOp::{self, *};
use tidu_tensor::{
    ArgMax, Axes, Concatenate, Einsum, Gather, LogSoftmax, LogSumExp, Max, OneHot, Pad, Power,
    ScatterAdd, Slice, Softmax, SumOthers, Tensor, Window,
};

fn all(cases: impl IntoIterator<Item = Case<TensorOp>>) {
    let laws: Laws<TensorOp> = cases
        .into_iter()
        .fold(laws().points(3).order(2), Laws::case);
    laws.check().assert();
}

/// With one tangent missing, the rules of these have something else to emit than part of what they emit for all:
/// what stretches a tangent, puts it in its place among zeros, or drops it where the other one is taken.
fn with_own_zeros(case: Case<TensorOp>) -> Case<TensorOp> {
    case.without(Law::SymbolicZeros)
}

const KINDS: [Kind; 2] = [Real, Kind::Complex];

/// Every pairing of real and complex operands.
fn pairs() -> impl Iterator<Item = [Kind; 2]> {
    KINDS
        .into_iter()
        .flat_map(|left| KINDS.map(|right| [left, right]))
}

#[test]
fn elementwise_of_one_operand() {
    let both = [
        Neg,
        Exp,
        Sin,
        Cos,
        Tanh,
        SechSquare,
        Abs,
        Sign,
        Conj,
        Re,
        Im,
        ToComplex,
        ToImaginary,
    ];
    let both = both
        .into_iter()
        .flat_map(|op| KINDS.map(|kind| (op.clone(), kind)));
    all(both.map(|(op, kind)| case_between(op, &[(kind, &[2])], 0.3, 1.2)));
    let negative = [Abs, Sign, Relu, Sigmoid, Softplus, ExpM1];
    all(negative.map(|op| case_between(op, &[(Real, &[2])], -1.2, -0.3)));
    let positive = [Sqrt, Ln, Ln1p, Relu, Sigmoid, Softplus];
    all(positive.map(|op| case_between(op, &[(Real, &[2, 2])], 0.3, 2.0)));
    all([Sqrt, Ln].map(|op| case_between(op, &[(Kind::Complex, &[2])], 0.3, 2.0)));
    all([
        case(ToReal, &[(Real, &[2])]),
        case(StopGradient, &[(Real, &[2])])
            .without(Law::Jvp)
            .without(Law::SecondOrder),
    ]);
    let exponents = [0.0, 1.0, 2.0, 3.0, -1.0, 0.5, 2.5];
    let powers = exponents.map(Power::new);
    all(KINDS
        .into_iter()
        .flat_map(|kind| powers.map(|op| case_between(op, &[(kind, &[2])], 0.4, 1.5))));
}

/// Same shapes, a missing axis, a single element on either side, and both sides stretched.
const PAIRS: [[&[usize]; 2]; 5] = [
    [&[2, 2], &[2, 2]],
    [&[2, 3], &[3]],
    [&[], &[2]],
    [&[2, 1], &[1]],
    [&[2, 1], &[3]],
];

#[test]
fn elementwise_of_two_operands() {
    for [left, right] in PAIRS {
        for kinds in pairs() {
            let operands = [(kinds[0], left), (kinds[1], right)];
            all([Add, Sub].map(|op| with_own_zeros(case(op, &operands))));
            all([case(Mul, &operands)]);
            all([case_between(Div, &operands, 0.5, 1.5)]);
        }
        let operands = [(Real, left), (Real, right)];
        all([with_own_zeros(case(Complex, &operands))]);
        all([Maximum, Minimum, Greater, GreaterEqual, Equal].map(|op| case(op, &operands)));
    }
}

#[test]
fn choices() {
    let condition = |random: &mut Random, dims: &[usize]| {
        let flags = (0..dims.iter().product()).map(|_| random.below(2) as f64);
        Tensor::new(dims.to_vec(), flags.collect()).unwrap()
    };
    let shapes: [[&'static [usize]; 3]; 4] = [
        [&[3], &[3], &[3]],
        [&[2, 1], &[3], &[]],
        [&[], &[2], &[2, 1]],
        [&[3], &[1], &[1]],
    ];
    for [c, x, y] in shapes {
        for kinds in pairs() {
            let select = Case::operation(Select, move |random| {
                let operands = [(kinds[0], x), (kinds[1], y)];
                let operands = operands.map(|(kind, dims)| tensor(random, kind, dims, -1.0, 1.0));
                [vec![condition(random, c)], operands.to_vec()].concat()
            });
            let kept = [KeepIf, KeepPart].map(|op| {
                let case = Case::operation(op, move |random| {
                    vec![condition(random, c), tensor(random, kinds[0], x, -1.0, 1.0)]
                });
                case.inactive([0])
            });
            all([with_own_zeros(select.inactive([0]))]
                .into_iter()
                .chain(kept));
        }
    }
}

#[test]
fn reductions() {
    let axes: [&[usize]; 5] = [&[], &[0], &[1], &[1, 0], &[0, 2]];
    for axes in axes {
        for axes in [Axes::dropped(axes), Axes::kept(axes)] {
            let sums = KINDS.map(|kind| case(axes.clone(), &[(kind, &[2, 3, 2])]));
            let of_reals = [
                TensorOp::from(Max(axes.clone())),
                LogSumExp(axes.clone()).into(),
                TensorOp::from(Softmax(axes.axes.clone())),
                LogSoftmax(axes.axes.clone()).into(),
            ];
            let others =
                KINDS.map(|kind| case(SumOthers(axes.axes.clone()), &[(kind, &[2, 3, 2])]));
            all(others);
            all(sums
                .into_iter()
                .chain(of_reals.map(|op| case(op, &[(Real, &[2, 3, 2])]))));
        }
    }
    all([case(ArgMax(1), &[(Real, &[2, 3])])]);
}

#[test]
fn products() {
    let products: [(&str, &[usize], &[usize]); 9] = [
        ("ij,jk->ik", &[2, 3], &[3, 2]),
        ("ij,kj->ki", &[2, 3], &[2, 3]),
        ("ij,j->i", &[2, 3], &[3]),
        ("i,i->", &[3], &[3]),
        ("i,j->ij", &[2], &[3]),
        ("bij,bjk->bik", &[2, 1, 3], &[2, 3, 2]),
        ("bij,jk->bik", &[2, 2, 2], &[2, 2]),
        ("bi,bi->b", &[2, 3], &[2, 3]),
        ("aibj,jcb->cbai", &[1, 2, 2, 2], &[2, 2, 2]),
    ];
    for (labels, left, right) in products {
        let op = Einsum::parse(labels).unwrap();
        for kinds in pairs() {
            all([case(op.clone(), &[(kinds[0], left), (kinds[1], right)])]);
        }
    }
}

#[test]
fn shapes() {
    let window = |start, count, step| Window { start, count, step };
    let pad = Pad {
        windows: vec![window(1, 2, 2), window(0, 3, 1)],
        dims: vec![5, 4],
    };
    let concatenate = |axis, count| Concatenate { axis, count };
    for kind in KINDS {
        all([
            case(TensorOp::reshape([3, 2]), &[(kind, &[2, 3])]),
            case(TensorOp::reshape([6]), &[(kind, &[2, 3])]),
            case(TensorOp::permute([2, 0, 1]), &[(kind, &[2, 3, 1])]),
            case(TensorOp::broadcast_to(&[2, 3]), &[(kind, &[3])]),
            case(TensorOp::broadcast_to(&[2, 3]), &[(kind, &[2, 1])]),
            case(TensorOp::broadcast_to(&[2, 2, 3]), &[(kind, &[1, 3])]),
            case(TensorOp::broadcast_to(&[2, 3]), &[(kind, &[])]),
            case(TensorOp::broadcast_to(&[2, 3]), &[(kind, &[2, 3])]),
            case(
                Slice(vec![window(1, 1, 1), window(0, 2, 2)]),
                &[(kind, &[2, 4])],
            ),
            case(pad.clone(), &[(kind, &[2, 3])]),
            with_own_zeros(case(
                concatenate(0, 3),
                &[(kind, &[1, 2]), (kind, &[2, 2]), (kind, &[1, 2])],
            )),
            with_own_zeros(case(concatenate(1, 2), &[(kind, &[2, 1]), (kind, &[2, 3])])),
        ]);
    }
}

#[test]
fn indices() {
    for kind in KINDS {
        let at = move |op: TensorOp, dims: &'static [usize], indices: Tensor| {
            Case::operation(op, move |random| {
                vec![tensor(random, kind, dims, -1.0, 1.0), indices.clone()]
            })
        };
        let gather = |axis, or_zero| TensorOp::from(Gather { axis, or_zero });
        let scatter = |axis, size| TensorOp::from(ScatterAdd { axis, size });
        let outside = Tensor::from([2_i64, -1, 7, 2, -9]);
        all([
            at(gather(0, false), &[3, 2], Tensor::from([2_i64, 0, 2, -1])),
            at(
                gather(1, false),
                &[2, 3],
                Tensor::from([[1_i64, 1], [0, -3]]),
            ),
            at(gather(1, false), &[2, 3], Tensor::from(2_i64)),
            at(gather(0, true), &[3, 2], outside.clone()),
            at(scatter(0, 3), &[4, 2], Tensor::from([2_i64, 0, 2, -1])),
            at(
                scatter(1, 3),
                &[2, 2, 2],
                Tensor::from([[1_i64, 1], [0, -3]]),
            ),
            at(scatter(0, 3), &[5], outside),
            at(scatter(0, 2), &[2], Tensor::from(1_i64)),
        ]);
    }
    let one_hot = TensorOp::from(OneHot(3));
    all([Case::operation(one_hot, |_| vec![Tensor::from([2_i64, 0])])]);
}

/// Random functions of operations on matrices, rows of them, and single numbers.
#[test]
fn compositions() {
    let matrix: &[usize] = &[2, 2];
    let operations = [
        case(Add, &[(Real, matrix), (Real, matrix)]),
        case(Mul, &[(Real, matrix), (Real, &[2, 1])]),
        case(
            Einsum::parse("ij,kj->ki").unwrap(),
            &[(Real, matrix), (Real, matrix)],
        ),
        case(Tanh, &[(Real, matrix)]),
        case(Softmax(vec![1]), &[(Real, matrix)]),
        case(LogSumExp(Axes::kept(&[1])), &[(Real, matrix)]),
        case(Axes::dropped(&[1, 0]), &[(Real, matrix)]),
        case(TensorOp::permute([1, 0]), &[(Real, matrix)]),
        case(TensorOp::broadcast_to(matrix), &[(Real, &[])]),
        case(Sin, &[(Real, &[])]),
    ];
    let laws = laws().points(1).order(2).compositions(60, 6);
    operations
        .into_iter()
        .fold(laws, Laws::case)
        .check()
        .assert();
}
