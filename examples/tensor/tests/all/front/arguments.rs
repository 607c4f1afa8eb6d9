//! Arguments of all kinds are an error that says so, or give a result of the type that was announced: nothing panics.

use tidu_tensor::{
    ArgMax, Axes, BroadcastTo, Cofactors, Concatenate, Einsum, Expr, Gather, LogSoftmax, LogSumExp,
    Max, OneHot, Pad, Permute, Power, Reshape, ScatterAdd, Slice, Softmax, Solve, SumOthers,
    Tensor, TensorOp, TriangularSolve, Value, Var, Window, function, types,
};

const SIZES: [usize; 8] = [
    0,
    1,
    2,
    3,
    1 << 62,
    isize::MAX as usize,
    usize::MAX - 1,
    usize::MAX,
];
const AXES: [isize; 9] = [0, 1, 2, 3, -1, -2, -3, isize::MIN, isize::MAX];

fn operands() -> Vec<Tensor> {
    let numbers = |count: usize| (0..count).map(|at| at as f64 - 1.5).collect::<Vec<_>>();
    let real = |dims: &[usize]| Tensor::new(dims.to_vec(), numbers(dims.iter().product())).unwrap();
    vec![
        real(&[2, 3]),
        real(&[]),
        real(&[3]),
        real(&[2, 2]),
        real(&[0]),
        real(&[0, 2]),
        real(&[2, 0, 3]),
        Tensor::from([num_complex::Complex64::I; 2]),
        Tensor::from([1_i64, -7]),
        Tensor::from([i64::MIN, i64::MAX]),
        Tensor::from(0_i64),
        Tensor::full(&[0], 0_i64),
    ]
}

/// Every operation that holds something, with all kinds of it.
fn operations() -> Vec<TensorOp> {
    let mut all: Vec<TensorOp> = TensorOp::PLAIN.to_vec();
    let lists: Vec<Vec<usize>> = SIZES
        .iter()
        .flat_map(|&a| SIZES.map(|b| vec![a, b]))
        .chain(SIZES.map(|a| vec![a]))
        .chain([
            vec![],
            vec![0, 1, 2],
            vec![2, 0, 1],
            vec![0, usize::MAX, usize::MAX],
        ])
        .collect();
    for list in &lists {
        all.extend([
            TensorOp::from(Reshape(list.clone())),
            Permute(list.clone()).into(),
            BroadcastTo(list.clone()).into(),
            Axes::dropped(list).into(),
            Axes::kept(list).into(),
            Max(Axes::dropped(list)).into(),
            LogSumExp(Axes::kept(list)).into(),
            Softmax(list.clone()).into(),
            LogSoftmax(list.clone()).into(),
            SumOthers(list.clone()).into(),
        ]);
    }
    let windows = SIZES.iter().flat_map(|&start| {
        SIZES
            .into_iter()
            .flat_map(move |count| SIZES.map(move |step| Window { start, count, step }))
    });
    for window in windows {
        let two = vec![window, Window::all(3)];
        all.extend([Slice(vec![window]), Slice(two.clone())].map(TensorOp::from));
        for dims in [
            vec![3, 3],
            vec![7],
            vec![usize::MAX, 3],
            vec![0, usize::MAX],
        ] {
            let windows = two.clone();
            all.push(Pad { windows, dims }.into());
        }
    }
    for axis in SIZES {
        all.push(ArgMax(axis).into());
        all.push(OneHot(axis).into());
        for count in 0..4 {
            all.push(Concatenate { axis, count }.into());
        }
        for size in SIZES {
            all.push(ScatterAdd { axis, size }.into());
        }
        all.extend([false, true].map(|or_zero| Gather { axis, or_zero }.into()));
    }
    for exponent in [0.0, f64::NAN, f64::INFINITY, -1e300, 1e9, 2_147_483_648.0] {
        all.push(Power::new(exponent).into());
    }
    for labels in ["i,i->", "ij,jk->ik", "i,j->ij", ",->", "ij,ij->ji"] {
        all.push(Einsum::parse(labels).unwrap().into());
    }
    for ranks in [
        [0, 0],
        [1, 1],
        [2, 1],
        [3, 3],
        [60, 2],
        [usize::MAX, usize::MAX],
        [2, usize::MAX],
    ] {
        all.push(Einsum::matmul(ranks[0], ranks[1]).into());
    }
    all.extend([false, true].map(|adjoint| Solve { adjoint }.into()));
    all.extend([TriangularSolve::lower().into(), Cofactors::new().into()]);
    all
}

#[test]
fn no_operation_panics() {
    let operands: Vec<Var<'static>> = operands().into_iter().map(Var::from).collect();
    let mut results = 0;
    for op in operations() {
        let mut given: Vec<Vec<&Var<'static>>> = vec![vec![]];
        given.extend(operands.iter().map(|x| vec![x]));
        given.extend(
            operands
                .iter()
                .flat_map(|x| operands.iter().map(move |y| vec![x, y])),
        );
        given.extend(operands.iter().map(|x| vec![x; 3]));
        for operands in given {
            if let Ok(found) = Var::try_apply(op.clone(), &operands) {
                results += found.len();
            }
        }
    }
    assert!(results > 1000, "{results}");
}

/// Makes a function of a result, and calls it: a result is of the type that was said.
fn attempt(body: impl FnOnce(&Expr, &Expr) -> Expr) -> Option<String> {
    let inputs = [("x", types::real([2, 3])), ("i", types::index([2]))];
    match function(inputs, |[x, i]| [body(&x, &i)]) {
        Err(error) => Some(error.to_string()),
        Ok(f) => {
            let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
            let announced = f.output_types().unwrap().unwrap();
            let found = f.compile().call(&[x, Tensor::from([1_i64, 0])]).unwrap();
            assert_eq!(found[0].value_type(), announced[0]);
            None
        }
    }
}

#[test]
fn no_method_panics() {
    for axis in AXES {
        let refused = attempt(|x, _| x.sum([axis])).is_some();
        assert_eq!(refused, !(-2..2).contains(&axis));
        for method in [
            Expr::sum::<1>,
            Expr::sum_kept,
            Expr::mean,
            Expr::mean_kept,
            Expr::max,
            Expr::min,
            Expr::logsumexp,
            Expr::softmax,
            Expr::log_softmax,
        ] {
            assert_eq!(attempt(|x, _| method(x, [axis])).is_some(), refused);
            assert!(attempt(|x, _| method(&x.sum_all(), [axis])).is_some());
        }
        assert_eq!(attempt(|x, _| x.argmax(axis)).is_some(), refused);
        assert_eq!(attempt(|x, i| x.gather(axis, i)).is_some(), refused);
        assert_eq!(
            attempt(|x, _| x.expand(axis)).is_some(),
            !(-3..3).contains(&axis)
        );
        assert_eq!(
            attempt(|x, _| Expr::concatenate(&[x, x], axis)).is_some(),
            refused
        );
        assert!(attempt(|_, _| Expr::concatenate(&[], axis)).is_some());
        attempt(|x, _| x.permute([axis, 0]));
        for size in SIZES {
            attempt(|x, i| x.scatter_add(axis, i, size));
            attempt(|x, _| x.slice(axis, size..3));
            attempt(|x, _| x.slice(axis, 1..size));
            attempt(|x, _| x.slice(axis, size..size));
        }
    }
    for a in SIZES {
        attempt(|_, i| i.one_hot(a));
        attempt(|x, _| x.pad([(a, 1)]));
        for b in SIZES {
            attempt(|x, _| x.pad([(a, b), (1, 1)]));
            attempt(|x, _| x.pad([(0, 0), (a, b), (0, 0)]));
            attempt(|x, _| x.reshape([a, b]));
            attempt(|x, _| x.broadcast_to([a, b, 2, 3]));
            attempt(|x, _| x.slice(0, 0..0).broadcast_to([a, 0, b, 3]));
            attempt(|_, _| Expr::full([a, b], 1.0));
            attempt(|x, _| Expr::full([a, b], 1.0) + x);
            attempt(|x, _| {
                x.windows([
                    Window {
                        start: a,
                        count: b,
                        step: a,
                    },
                    Window::all(b),
                ])
            });
        }
    }
    for labels in [
        "",
        "->",
        ",",
        "ij",
        "ij->i",
        "ij,jk",
        "ij,jk->ik->",
        "ii,ij->j",
        "ij,j->",
        "i1,1j->ij",
        "ij,jk->kk",
        "é,é->",
        "ij,kl->ijkl",
        "ij,ij->",
    ] {
        attempt(|x, _| x.einsum(labels, x));
    }
    // Inputs that no tensor can be: nothing is made of them, and no method stumbles.
    for dims in [
        [usize::MAX, 2],
        [usize::MAX, 0],
        [1 << 62, 1 << 62],
        [3, usize::MAX],
    ] {
        let methods: [fn(&Expr) -> Expr; 14] = [
            |x| x.mean_all(),
            |x| x.mean([0, 1]),
            |x| x.sum_all(),
            |x| x.inverse(),
            |x| x.determinant(),
            |x| x.reshape([6]),
            |x| x.expand(1),
            |x| x.pad([(1, 1), (usize::MAX, 1)]),
            |x| x.t().matmul(x),
            |x| x.softmax([0, 1]),
            |x| Expr::concatenate(&[x, x], 0),
            |x| x.svd().1,
            |x| x.log_softmax([0]),
            |x| x.slice(0, 0..0),
        ];
        for method in methods {
            let error = function([("x", types::real(dims))], |[x]| [method(&x)]).unwrap_err();
            assert!(error.to_string().contains("arguments.rs"), "{error}");
        }
    }
}

#[test]
fn surplus_and_missing_arguments_are_said() {
    let text = |body: fn(&Expr, &Expr) -> Expr| {
        attempt(body)
            .unwrap()
            .split_once(": ")
            .unwrap()
            .1
            .to_string()
    };
    assert_eq!(
        text(|x, _| x.pad([(1, 1)])),
        "pad of f64[2, 3]: 1 pair for 2 axes: one for each axis is needed"
    );
    assert_eq!(
        text(|x, _| x.sum([0]).pad([(1, 1), (2, 2)])),
        "pad of f64[3]: 2 pairs for 1 axis: one for each axis is needed"
    );
    assert_eq!(
        text(|x, _| x.expand(10)),
        "expand of f64[2, 3]: there is no axis 10 of 3: they are 0 to 2, or -3 to -1 from the end"
    );
    assert_eq!(
        text(|x, _| x.windows([Window::all(2)])),
        "windows of f64[2, 3]: 1 window for 2 axes: one for each axis is needed"
    );
    assert_eq!(
        text(|x, _| x.slice(0, 7..7)),
        "slice of f64[2, 3]: 7..7 does not fit axis 0, which has 2 elements"
    );
    assert_eq!(attempt(|x, _| x.slice(0, 2..2)), None);
    assert_eq!(
        text(|_, _| Expr::concatenate(&[], 0)),
        "concatenate of nothing: at least one operand is needed"
    );
    assert_eq!(
        text(|x, _| x.pad([(usize::MAX, 2), (0, 0)])),
        "pad of f64[2, 3]: [18446744073709551615, 3] are too many elements to hold"
    );
    assert_eq!(
        text(|x, _| x.slice(0, 0..0).reshape([0, usize::MAX])),
        "reshape [0, 18446744073709551615] of f64[0, 3]: [0, 18446744073709551615] are too many elements to hold"
    );
    assert_eq!(
        text(|_, _| Expr::full([usize::MAX, 2], 1.0)),
        "full of nothing: [18446744073709551615, 2] are too many elements to hold"
    );
    let error = Var::try_apply(TensorOp::Add, &[&1.0.into()]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("add of f64: 2 operands are needed, found 1"),
        "{error}"
    );
}

/// Nothing is made for what does not fit.
#[test]
fn only_square_matrices_have_an_inverse() {
    for dims in [[1 << 20, 0], [100_000, 1], [2, 3]] {
        let f = function([("x", types::real(dims))], |[x]| [x.inverse()]);
        let error = f.unwrap_err().to_string();
        assert!(error.contains("a square matrix is needed"), "{error}");
    }
}
