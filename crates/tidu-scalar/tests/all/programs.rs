//! Scalar programs compute what generic programs do, to the bit; and what they are made of.

#[path = "programs/scan.rs"]
mod scan;

use crate::support::functions::random_function;
use crate::support::random::Random;
use crate::support::{all_primitives, alone};
use tidu_ad::{Function, Rules};
use tidu_graph::{CallError, ValueKey, compile, materialize_merge, resolve};
use tidu_scalar::{
    CompileScalar, Expr, ProgramError, ProgramOptions, ScalarOp, ScalarProgram, Workspace, function,
};
use tidu_testkit::{bundle_adjustment, observations, residual};

const INF: f64 = f64::INFINITY;
const EDGES: [f64; 22] = [
    0.0,
    -0.0,
    INF,
    -INF,
    f64::NAN,
    5e-324,
    -5e-324,
    1e-310,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.5,
    -3.5,
    710.0,
    -746.0,
    1e-8,
    1e22,
    0.3,
];

fn scalar(f: &Function<ScalarOp>) -> ScalarProgram {
    f.compile_scalar().expect("a program")
}

fn same(x: f64, y: f64) -> bool {
    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
}

#[track_caller]
fn assert_same(found: &[f64], expected: &[f64], what: &dyn Fn() -> String) {
    let all = found.iter().zip(expected).all(|(f, e)| same(*f, *e));
    assert!(
        all && found.len() == expected.len(),
        "{}: {found:?}, not {expected:?}",
        what()
    );
}

/// A function computes the same by a scalar program and by a generic one.
#[track_caller]
fn check(f: &Function<ScalarOp>, points: &[Vec<f64>]) {
    let (generic, program) = (f.compile(), scalar(f));
    let mut workspace = Workspace::default();
    let mut outputs = vec![0.0; f.output_names().len()];
    for point in points {
        let expected = generic.call(point).expect("as many inputs");
        let what = || format!("{f}\n{program}\nat {point:?}");
        assert_same(
            &program.call(point).expect("as many inputs"),
            &expected,
            &what,
        );
        let run = program.eval_into(&mut workspace, point, &mut outputs);
        run.expect("as many inputs");
        assert_same(&outputs, &expected, &what);
    }
}

/// All tuples of edges, or as many at random.
fn edge_points(random: &mut Random, inputs: usize) -> Vec<Vec<f64>> {
    if inputs == 1 {
        return EDGES.map(|x| vec![x]).to_vec();
    }
    let edge = |random: &mut Random| EDGES[random.bits() as usize % EDGES.len()];
    let mut point = |_| (0..inputs).map(|_| edge(random)).collect();
    (0..700).map(&mut point).collect()
}

#[test]
fn every_primitive_is_the_same_at_edges() {
    let mut random = Random::new(2);
    for op in all_primitives() {
        let f = alone(&op);
        let points = edge_points(&mut random, f.input_names().len());
        check(&f, &points);
    }
}

#[test]
fn derivatives_of_every_primitive_are_the_same_at_edges() {
    let mut random = Random::new(3);
    for op in all_primitives() {
        let f = alone(&op);
        if f.input_names().is_empty() {
            continue;
        }
        let vjp = f.vjp(..).expect("a VJP");
        let points = edge_points(&mut random, vjp.input_names().len());
        check(&vjp, &points[..points.len().min(60)]);
    }
}

#[test]
fn random_functions_are_the_same() {
    let mut random = Random::new(4);
    let all = all_primitives();
    for operations in [4, 20, 60, 300] {
        for _ in 0..20 {
            let f = random_function(&mut random, 3, operations, &all);
            let mut points = edge_points(&mut random, 3);
            points.truncate(20);
            points.extend((0..10).map(|_| (0..3).map(|_| random.signed(1e-3, 1e3)).collect()));
            check(&f, &points);
        }
    }
}

/// Sums, differences and products only, of which most are fused.
#[test]
fn random_arithmetic_is_the_same() {
    use ScalarOp::*;
    let mut random = Random::new(5);
    for _ in 0..200 {
        let f = random_function(&mut random, 4, 30, &[Add, Sub, Mul, Mul, Neg, Sin, Cos]);
        let points: Vec<Vec<f64>> = (0..5)
            .map(|_| (0..4).map(|_| random.signed(1e-2, 10.0)).collect())
            .collect();
        check(&f, &points);
    }
}

/// One program with few registers, one with more, and one with more than short indices can name.
#[test]
fn programs_of_all_sizes_are_the_same() {
    for size in [100, 3_000, 70_000] {
        let f = Function::<ScalarOp>::build(["x", "y"], |builder, inputs| {
            let mut add = |op, operands: &[usize]| {
                let operands = operands.iter().map(|&id| tidu_graph::ValueRef::Local(id));
                let role = tidu_graph::OperationRole::Primary;
                builder.add_operation(op, operands.collect(), role)[0]
            };
            let mut values = vec![inputs[0]];
            for _ in 0..size {
                let last = values[values.len() - 1];
                let sin = add(ScalarOp::Sin, &[last]);
                values.push(add(ScalarOp::Add, &[sin, inputs[1]]));
            }
            let mut sum = inputs[1];
            while let Some(value) = values.pop() {
                sum = add(ScalarOp::Div, &[value, sum]);
            }
            vec![sum]
        });
        let f = f.expect("a function");
        check(&f, &[vec![0.3, 1.1], vec![-2.0, 1.3]]);
        assert!(scalar(&f).register_count() > size);
    }
}

/// Against the formula in plain numbers, written in another way, and its differences.
#[test]
fn bundle_adjustment_is_the_same_and_agrees_with_differences() {
    let f = bundle_adjustment().values_and_jacobian();
    let points = observations(50);
    check(
        &f,
        &points
            .iter()
            .map(|point| point.to_vec())
            .collect::<Vec<_>>(),
    );
    let program = scalar(&f);
    for point in &points {
        let found = program.call(point).expect("as many inputs");
        let exact = residual(point);
        for output in 0..2 {
            let error = (found[output] - exact[output]).abs();
            assert!(error < 1e-10 * (1.0 + exact[output].abs()), "{error}");
        }
        for input in 0..15 {
            let step = 1e-6 * point[input].abs().max(1.0);
            let at = |sign: f64| {
                let mut moved = *point;
                moved[input] += sign * step;
                residual(&moved)
            };
            let (above, below) = (at(1.0), at(-1.0));
            for output in 0..2 {
                let difference = (above[output] - below[output]) / (2.0 * step);
                let slope = found[2 + 15 * output + input];
                let scale = 1e-6 * (1.0 + slope.abs() + above[output].abs());
                assert!(
                    (slope - difference).abs() < scale,
                    "{input}: {slope}, {difference}"
                );
            }
        }
    }
}

#[test]
fn two_operations_in_one_instruction_round_twice() {
    type Form = fn([Expr; 4]) -> Expr;
    let forms: [(&str, Form); 15] = [
        ("= (r0 + r1) + r2", |[a, b, c, _]| (a + b) + c),
        ("= (r0 - r1) + r2", |[a, b, c, _]| (a - b) + c),
        ("= (r0 * r1) + r2", |[a, b, c, _]| a * b + c),
        ("= (r0 * r1) + r2", |[a, b, c, _]| c + a * b),
        ("= (r0 + r1) - r2", |[a, b, c, _]| (a + b) - c),
        ("= (r0 - r1) - r2", |[a, b, c, _]| (a - b) - c),
        ("= (r0 * r1) - r2", |[a, b, c, _]| a * b - c),
        ("= r2 - (r0 + r1)", |[a, b, c, _]| c - (a + b)),
        ("= r2 - (r0 - r1)", |[a, b, c, _]| c - (a - b)),
        ("= r2 - (r0 * r1)", |[a, b, c, _]| c - a * b),
        ("= (r0 + r1) * r2", |[a, b, c, _]| (a + b) * c),
        ("= (r0 - r1) * r2", |[a, b, c, _]| c * (a - b)),
        ("= (r0 * r1) * r2", |[a, b, c, _]| a * b * c),
        ("= (r0 * r1) + (r2 * r3)", |[a, b, c, d]| a * b + c * d),
        ("= (r0 * r1) - (r2 * r3)", |[a, b, c, d]| a * b - c * d),
    ];
    let mut random = Random::new(7);
    for (text, form) in forms {
        let f = function(["a", "b", "c", "d"], |inputs| [form(inputs)]).expect("a function");
        let program = scalar(&f);
        assert_eq!(program.instruction_count(), 1, "{program}");
        assert!(program.to_string().contains(text), "{program}");
        let points = (0..50).map(|_| (0..4).map(|_| random.signed(0.1, 10.0)).collect());
        let points: Vec<Vec<f64>> = points.collect();
        check(&f, &points);
    }
    let negated = function(["a", "b"], |[a, b]| [-(a * b)]).expect("a function");
    assert!(scalar(&negated).to_string().contains("= -(r0 * r1)"));
    check(&negated, &[vec![0.3, 0.7], vec![0.0, 1.0]]);
}

/// What is used twice stays a value of its own.
#[test]
fn shared_products_are_computed_once() {
    let f = function(["a", "b", "c"], |[a, b, c]| {
        let product = a * b;
        [&product + &c, &product - &c]
    });
    let program = scalar(&f.expect("a function"));
    assert_eq!(program.instruction_count(), 3, "{program}");
    let square = function(["a", "b"], |[a, b]| {
        let sum = a + b;
        [&sum * &sum]
    });
    let program = scalar(&square.expect("a function"));
    assert_eq!(program.instruction_count(), 2, "{program}");
    assert_eq!(program.call(&[1.0, 2.0]), Ok(vec![9.0]));
}

/// (1 + 2⁻³⁰)·(1 + 2⁻³⁰) = 1 + 2⁻²⁹ + 2⁻⁶⁰, of which two roundings leave no 2⁻⁶⁰.
#[test]
fn products_are_rounded_once_only_if_asked() {
    let (x, tiny) = (1.0 + 0.5_f64.powi(30), 0.5_f64.powi(60));
    let y = 1.0 + 0.5_f64.powi(29);
    type Form = fn([Expr; 3]) -> Expr;
    let forms: [(Form, [f64; 3], f64); 5] = [
        (|[a, b, c]| a * b + c, [x, x, -y], tiny),
        (|[a, b, c]| a * b - c, [x, x, y], tiny),
        (|[a, b, c]| c - a * b, [x, x, y], -tiny),
        // Of two products the first one is exact, the second one rounded, and exact here too.
        (|[a, b, c]| &a * &b + 2.0 * c, [x, x, -0.5 * y], tiny),
        (|[a, b, c]| &a * &b - 2.0 * c, [x, x, 0.5 * y], tiny),
    ];
    for (form, point, exact) in forms {
        let f = function(["a", "b", "c"], |inputs| [form(inputs)]).expect("a function");
        assert_eq!(scalar(&f).call(&point), Ok(vec![0.0]));
        let options = ProgramOptions::default().fused(true);
        let fused = f.compile_scalar_with(options).expect("a program");
        assert_eq!(fused.call(&point), Ok(vec![exact]), "{fused}");
        assert_eq!(fused.instruction_count(), 1, "{fused}");
    }
}

#[test]
fn sine_and_cosine_of_one_angle_are_one_instruction() {
    let both: [fn(&Expr) -> [Expr; 2]; 2] = [|x| [x.sin(), x.cos()], |x| [x.cos(), x.sin()]];
    for both in both {
        let f = function(["x"], |[x]| both(&x)).expect("a function");
        assert_eq!(scalar(&f).instruction_count(), 1);
        let points: Vec<Vec<f64>> = (0..2000)
            .map(|i| vec![f64::from(i) * 0.37 - 300.0])
            .collect();
        check(&f, &points);
        check(&f, &EDGES.map(|x| vec![x]));
    }
    let gradient = function(["x"], |[x]| [x.sin().sin()]).expect("a function");
    let gradient = gradient.value_and_grad(..).expect("a gradient");
    let program = scalar(&gradient);
    assert_eq!(
        program.to_string().matches("sin_cos").count(),
        2,
        "{program}"
    );
    check(&gradient, &EDGES.map(|x| vec![x]));
}

#[test]
fn composites_are_expanded() {
    let square = function(["x"], |[x]| [&x * &x]).expect("a function");
    let jvp = function(["x", "dx"], |[x, dx]| [3.0 * x * dx]).expect("a function");
    let square = square
        .with_rules("square", Rules::jvp(jvp))
        .expect("a composite");
    let nested = Function::from_keys(
        &["x".into()],
        vec![(
            square
                .apply(
                    &square
                        .apply(&[ValueKey::Input("x".into())])
                        .expect("a value"),
                )
                .expect("a value")
                .remove(0),
            "f".into(),
        )],
    );
    let nested = nested.expect("a function");
    let jvp = function(["x", "dx"], |[x, dx]| [x * dx]).expect("a function");
    let nested = nested
        .with_rules("fourth power", Rules::jvp(jvp))
        .expect("a composite");
    check(&nested, &EDGES.map(|x| vec![x]));
    assert_eq!(scalar(&nested).call(&[3.0]), Ok(vec![81.0]));
    let gradient = square.grad("x").expect("a gradient");
    assert_eq!(scalar(&gradient).call(&[2.0]), Ok(vec![6.0]));

    let view = resolve(vec![nested.as_graph().clone().into()]);
    let key = nested.as_graph().values()[nested.as_graph().outputs()[0]]
        .key
        .clone();
    let flat = materialize_merge(&view, &[key]);
    let program = flat.compile_scalar().expect("a program");
    assert_eq!(program.call(&[3.0]), Ok(vec![81.0]));
}

#[test]
fn flat_graphs_are_compiled_too() {
    let f = bundle_adjustment().values_and_jacobian();
    let keys = f.as_graph().outputs().iter();
    let keys: Vec<_> = keys
        .map(|&id| f.as_graph().values()[id].key.clone())
        .collect();
    let flat = materialize_merge(&resolve(vec![f.as_graph().clone().into()]), &keys);
    let program = flat.compile_scalar().expect("a program");
    let generic = compile(&flat);
    let point = observations(1)[0];
    // The inputs of a flat graph are in the order in which they are needed.
    let names = f.input_names();
    let inputs: Vec<f64> = program
        .input_names()
        .iter()
        .map(|name| {
            point[names
                .iter()
                .position(|known| known == name)
                .expect("an input")]
        })
        .collect();
    let references: Vec<&f64> = inputs.iter().collect();
    assert_eq!(
        program.call(&inputs),
        Ok(generic.eval(&mut (), &references))
    );
    assert_eq!(program.call(&inputs), scalar(&f).call(&point));
}

#[test]
fn outputs_may_be_inputs_constants_and_the_same() {
    let f = function(["x", "y"], |[x, y]| {
        let sum = &x + &y;
        [
            sum.clone(),
            x,
            Expr::constant(2.5),
            sum.clone(),
            sum,
            Expr::constant(2.5),
        ]
    });
    let f = f.expect("a function");
    assert_eq!(
        scalar(&f).call(&[1.0, 2.0]),
        Ok(vec![3.0, 1.0, 2.5, 3.0, 3.0, 2.5])
    );

    let nothing = function(["x"], |[_]| Vec::new()).expect("a function");
    assert_eq!(scalar(&nothing).call(&[1.0]), Ok(Vec::new()));
    let zeros = [0.0, -0.0];
    let constants = function([], |[]| zeros.map(Expr::constant)).expect("a function");
    let found = scalar(&constants).call(&[]).expect("no inputs");
    assert_same(&found, &zeros, &|| constants.to_string());
    let unused = function(["x", "y", "z"], |[_, y, _]| [y.exp()]).expect("a function");
    assert_eq!(scalar(&unused).call(&[9.0, 0.0, 9.0]), Ok(vec![1.0]));
    let stopped = function(["x"], |[x]| [x.stop_gradient(), x]).expect("a function");
    assert_eq!(scalar(&stopped).call(&[7.0]), Ok(vec![7.0, 7.0]));
    assert_eq!(scalar(&stopped).instruction_count(), 0);
}

#[test]
fn wrong_counts_are_errors() {
    let program = scalar(&function(["x", "y"], |[x, y]| [&x + &y, x * y]).expect("a function"));
    let error = program.call(&[1.0]).expect_err("an input is missing");
    assert_eq!(
        error.to_string(),
        "the program takes 2 inputs, found 1; its inputs are x, y"
    );
    let mut workspace = Workspace::default();
    let error = program.eval_into(&mut workspace, &[1.0; 3], &mut [0.0; 2]);
    assert_eq!(
        error,
        Err(ProgramError::WrongInputCount {
            expected: 2,
            found: 3,
            known: "x, y".into()
        })
    );
    let error = program.eval_into(&mut workspace, &[1.0; 2], &mut [0.0; 3]);
    assert_eq!(
        error,
        Err(ProgramError::WrongOutputCount {
            expected: 2,
            found: 3,
            known: "out0, out1".into()
        })
    );
    // As one error of all programs says it.
    let names = || "x, y".to_owned();
    let counts = [
        CallError::check_inputs(2, 3, names),
        CallError::check_outputs(2, 3, names),
    ];
    for error in counts.map(|checked| checked.expect_err("3 are not 2")) {
        assert_eq!(
            ProgramError::from(error.clone()).to_string(),
            error.to_string()
        );
    }
}

/// Nothing of one run is seen by another: of a program of the other kind neither, nor of many points.
#[test]
fn any_program_runs_in_any_workspace() {
    let mut random = Random::new(9);
    let all = all_primitives();
    let sizes = [300, 5, 2_000, 20, 300];
    let functions = sizes.map(|size| random_function(&mut random, 3, size, &all));
    let mut workspace = Workspace::default();
    for f in functions.iter().chain(functions.iter().rev()) {
        let (program, generic) = (scalar(f), f.compile());
        let point = [0.3, -1.2, 2.0];
        let expected = generic.call(&point).expect("as many inputs");
        let what = || f.to_string();
        let mut found = vec![0.0; 4];
        let run = program.eval_into(&mut workspace, &point, &mut found);
        run.expect("as many inputs");
        assert_same(&found, &expected, &what);

        let references: Vec<&f64> = point.iter().collect();
        let generic = generic.as_program();
        let found = generic.try_eval_in(&mut workspace, &mut (), &references);
        assert_same(&found.expect("as many inputs"), &expected, &what);

        let mut found = [[0.0]; 4];
        let inputs = point.each_ref().map(std::slice::from_ref);
        let mut outputs = found.each_mut().map(|output| &mut output[..]);
        let batch = program.batch();
        let run = batch.eval_in(&mut workspace, &inputs, &mut outputs);
        run.expect("as many inputs");
        assert_same(found.as_flattened(), &expected, &what);
    }
}

#[test]
fn threads_share_a_program() {
    let program = scalar(&bundle_adjustment().values_and_jacobian());
    let points = observations(4);
    let alone: Vec<_> = points.iter().map(|point| program.call(point)).collect();
    std::thread::scope(|scope| {
        let program = &program;
        let handles: Vec<_> = points
            .iter()
            .map(|point| scope.spawn(move || (0..100).map(|_| program.call(point)).collect()))
            .collect();
        for (handle, alone) in handles.into_iter().zip(&alone) {
            let found: Vec<_> = handle.join().expect("no panic");
            assert!(found.iter().all(|found| found == alone));
        }
    });
}

#[test]
fn compiling_needs_little_stack() {
    let program = std::thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let mut x = Expr::input("x");
        for _ in 0..100_000 {
            x = x.exp();
        }
        let f = function(["x"], |_| [x]).expect("a function");
        let program = scalar(&f);
        (program.instruction_count(), program.register_count())
    });
    let found = program.expect("a thread").join().expect("no overflow");
    assert_eq!(found, (100_000, 1));
}

/// In one instruction of two results, of which nothing reads one.
#[test]
fn what_nothing_reads_is_written_where_nothing_is() {
    let f = Function::<ScalarOp>::build(["x", "y"], |builder, inputs| {
        let mut add = |op, operands: &[usize]| {
            let operands = operands.iter().map(|&id| tidu_graph::ValueRef::Local(id));
            builder.add_operation(op, operands.collect(), tidu_graph::OperationRole::Primary)
        };
        let (first, second) = (
            add(ScalarOp::SinCos, &inputs[..1]),
            add(ScalarOp::SinCos, &inputs[1..]),
        );
        add(ScalarOp::Add, &[first[0], second[1]])
    });
    let f = f.expect("a function");
    check(&f, &[vec![0.3, -1.2], vec![7.0, 0.1]]);
    assert_eq!(scalar(&f).register_count(), 3, "{}", scalar(&f));
}

#[test]
fn programs_print() {
    let f = function(["x", "y"], |[x, y]| {
        [&x * y.exp() + 2.5, x.sin() * x.cos(), y.powf(0.5).tanh()]
    });
    assert_eq!(
        scalar(&f.expect("a function")).to_string(),
        "program {
    input r0 = x
    input r1 = y
    const r2 = 2.5
    const r3 = 0.5
    r4 = exp r1
    r2 = (r0 * r4) + r2
    r0, r4 = sin_cos r0
    r4 = mul r0, r4
    r1 = powf r3, r1
    r1 = tanh r1
    output r2 -> out0
    output r4 -> out1
    output r1 -> out2
}"
    );
}
