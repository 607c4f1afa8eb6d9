//! Which inputs and outputs the transforms have, in which order and by which names, and what small
//! functions look like.

use std::collections::HashSet;

use insta::assert_snapshot;
use tidu::graph::{GraphBuilder, LocalValueId, OperationRole, ValueKey, ValueRef};
use tidu::scalar::{ScalarKey, ScalarOp, function};
use tidu::{Function, FunctionProgram, Wrt};

type F = Function<ScalarOp>;

fn parse(text: &str) -> F {
    text.parse().unwrap()
}

/// f(x, y) = x·eʸ
fn x_exp_y() -> F {
    parse(
        "function {
            input %0 = x
            input %1 = y
            %2 = exp %1
            %3 = mul %0, %2
            output %3 -> f
        }",
    )
}

/// (u, v, w) = (x·y, sin x, y), besides an input that nothing needs.
fn several() -> F {
    parse(
        "function {
            input %0 = x
            input %1 = unused
            input %2 = y
            %3 = mul %0, %2
            %4 = sin %0
            output %3 -> u
            output %4 -> v
            output %2 -> w
        }",
    )
}

/// The names of inputs and outputs as one line.
fn signature(f: &F) -> String {
    format!(
        "{} -> {}",
        f.input_names().join(" "),
        f.output_names().join(" ")
    )
}

fn call(f: &F, x: &[f64]) -> Vec<f64> {
    f.compile().call(x).unwrap()
}

fn op(builder: &mut GraphBuilder<ScalarOp>, op: ScalarOp, x: &[LocalValueId]) -> LocalValueId {
    let operands = x.iter().map(|&id| ValueRef::Local(id)).collect();
    builder.add_operation(op, operands, OperationRole::Primary)[0]
}

#[track_caller]
fn assert_reads_back(f: &F) {
    let text = f.to_string();
    let read = parse(&text);
    assert_eq!(read.to_string(), text);
    assert_eq!(read.input_keys(), f.input_keys());
    assert_eq!(read.output_names(), f.output_names());
    let keys = |f: &F| {
        let values = f.as_graph().values().iter();
        values.map(|value| value.key.clone()).collect::<Vec<_>>()
    };
    assert!(keys(&read) == keys(f), "other values than those of\n{text}");
}

/// Everything derived from a function of one output.
fn derived(f: &F) -> Vec<F> {
    [
        f.jvp(..),
        f.vjp(..),
        f.grad(..),
        f.value_and_grad(..),
        f.hvp(..),
        f.jacobian(..),
        f.hessian(..),
        f.grad(0).and_then(|f| f.vjp(..)),
        f.vjp(0).and_then(|f| f.vjp(0)),
        f.jvp(0).and_then(|f| f.jvp(0)),
    ]
    .map(Result::unwrap)
    .to_vec()
}

#[test]
fn gradient_is_printed() {
    assert_snapshot!(x_exp_y().grad(..).unwrap(), @"
    function {
        input %0 = x
        input %1 = y
        %2 = exp %1
        %3 = mul %0, %2
        output %2 -> d.x
        output %3 -> d.y
    }
    ");
}

#[test]
fn jvp_is_printed() {
    assert_snapshot!(x_exp_y().jvp(..).unwrap(), @"
    function {
        input %0 = x
        input %1 = y
        input %2 = d0.x
        input %3 = d0.y
        %4 = exp %1
        %5 = mul %0, %4
        %6 = mul %2, %4
        %7 = mul %4, %3
        %8 = mul %0, %7
        %9 = add %6, %8
        output %5 -> f
        output %9 -> d.f
    }
    ");
}

#[test]
fn vjp_is_printed() {
    assert_snapshot!(x_exp_y().vjp(..).unwrap(), @"
    function {
        input %0 = x
        input %1 = y
        input %2 = ct0.d0.x
        %3 = exp %1
        %4 = mul %0, %3
        %5 = mul %3, %2
        %6 = mul %0, %2
        %7 = mul %3, %6
        output %4 -> f
        output %5 -> ct.x
        output %7 -> ct.y
    }
    ");
}

#[test]
fn hessian_is_printed() {
    assert_snapshot!(x_exp_y().hessian(..).unwrap(), @"
    function {
        input %0 = x
        input %1 = y
        %2 = const 0.0
        %3 = exp %1
        %4 = mul %0, %3
        output %2 -> d.d.x.x
        output %3 -> d.d.x.y
        output %3 -> d.d.y.x
        output %4 -> d.d.y.y
    }
    ");
}

/// By hand, at (2, 0): f = 2, ∂ₓf = 1, ∂ᵧf = 2, ∂ₓₓf = 0, ∂ₓᵧf = 1, ∂ᵧᵧf = 2.
#[test]
fn derivatives_of_x_exp_y() {
    let f = x_exp_y();
    let at = |f: Result<F, _>, extra: &[f64]| call(&f.unwrap(), &[&[2.0, 0.0], extra].concat());
    assert_eq!(call(&f, &[2.0, 0.0]), [2.0]);
    assert_eq!(at(f.jvp(..), &[10.0, 100.0]), [2.0, 210.0]);
    assert_eq!(at(f.jvp(["y"]), &[100.0]), [2.0, 200.0]);
    assert_eq!(at(f.jvp(["y", "x"]), &[100.0, 10.0]), [2.0, 210.0]);
    assert_eq!(at(f.vjp(..), &[10.0]), [2.0, 10.0, 20.0]);
    assert_eq!(at(f.vjp(["y", "x"]), &[10.0]), [2.0, 20.0, 10.0]);
    assert_eq!(at(f.grad([1, 0]), &[]), [2.0, 1.0]);
    assert_eq!(at(f.value_and_grad("y"), &[]), [2.0, 2.0]);
    assert_eq!(at(f.hvp(..), &[10.0, 100.0]), [100.0, 210.0]);
    assert_eq!(at(f.hvp(["y", "x"]), &[100.0, 10.0]), [210.0, 100.0]);
    assert_eq!(at(f.jacobian(["y", "x"]), &[]), [2.0, 1.0]);
    assert_eq!(at(f.hessian(..), &[]), [0.0, 1.0, 1.0, 2.0]);
    assert_eq!(at(f.hessian(["y", "x"]), &[]), [2.0, 1.0, 1.0, 0.0]);
}

#[test]
fn inputs_and_outputs_are_those_documented() {
    let f = x_exp_y();
    let of = |f: Result<F, _>| signature(&f.unwrap());
    assert_eq!(signature(&f), "x y -> f");
    assert_eq!(of(f.jvp("y")), "x y d0.y -> f d.f");
    assert_eq!(of(f.jvp(["y", "x"])), "x y d0.y d0.x -> f d.f");
    assert_eq!(of(f.vjp(["y", "x"])), "x y ct0.d0.y -> f ct.y ct.x");
    assert_eq!(of(f.grad(["y", "x"])), "x y -> d.y d.x");
    assert_eq!(of(f.value_and_grad(["y"])), "x y -> f d.y");
    assert_eq!(of(f.hvp(["y", "x"])), "x y d0.y d0.x -> d.d.y d.d.x");
    assert_eq!(of(f.jacobian(["y", "x"])), "x y -> d.f.y d.f.x");
    assert_eq!(of(f.hessian(["y"])), "x y -> d.d.y.y");

    let g = several();
    assert_eq!(of(g.jvp("y")), "x unused y d0.y -> u v w d.u d.v d.w");
    let seeds = "ct0.d0.y ct1.d0.y ct2.d0.y";
    assert_eq!(
        of(g.vjp(["y", "unused"])),
        format!("x unused y {seeds} -> u v w ct.y ct.unused")
    );
    assert_eq!(
        of(g.jacobian(["y", "x"])),
        "x unused y -> d.u.y d.u.x d.v.y d.v.x d.w.y d.w.x"
    );
}

/// Inputs that a second derivative brings are told from those of the first.
#[test]
fn inputs_of_higher_derivatives_are_distinct() {
    let f = x_exp_y();
    let mut jvp = f.clone();
    let mut vjp = f.clone();
    for _ in 0..3 {
        jvp = jvp.jvp("x").unwrap();
        vjp = vjp.vjp("x").unwrap().select_at(&[1]).unwrap();
    }
    assert_eq!(jvp.input_names(), ["x", "y", "d0.x", "d1.x", "d2.x"]);
    assert_eq!(
        vjp.input_names(),
        ["x", "y", "ct0.d0.x", "ct0.d1.x", "ct0.d2.x"]
    );
    // A name that looks like a tangent's belongs to whoever has it first.
    let named = F::build(["x", "d0.x"], |b, x| vec![op(b, ScalarOp::Mul, x)]).unwrap();
    assert_eq!(named.jvp(..).unwrap().input_names().len(), 4);
    let tangent = tidu::ADKey::tangent_of(&ScalarKey::from("x"), 0);
    let keyed = F::build(["x".into(), tangent], |b, x| vec![op(b, ScalarOp::Mul, x)]).unwrap();
    let derived = keyed.jvp("x").unwrap();
    assert_eq!(derived.input_names(), ["x", "d0.x", "d1.x"]);
    assert_eq!(call(&derived, &[2.0, 3.0, 5.0]), [6.0, 15.0]);
}

#[test]
fn unused_inputs_stay_inputs() {
    let f = several();
    assert_eq!(call(&f, &[2.0, f64::NAN, 3.0]), [6.0, 2.0_f64.sin(), 3.0]);
    for g in derived(&f.select(&["v"]).unwrap()) {
        assert_eq!(&g.input_names()[..3], ["x", "unused", "y"]);
    }
    // The program below takes what is needed only.
    let program = f.select(&["v"]).unwrap().compile();
    assert_eq!(program.input_names(), ["x", "unused", "y"]);
    assert_eq!(program.as_program().instructions.len(), 1);
    assert_eq!(
        program.call(&[2.0, f64::NAN, f64::NAN]).unwrap(),
        [2.0_f64.sin()]
    );
}

#[test]
fn derivatives_along_no_path_are_zero() {
    let f = several();
    let v = f.select(&["v"]).unwrap();
    let x = [2.0, 7.0, 3.0];
    let cos = 2.0_f64.cos();
    assert_eq!(
        call(&v.grad(["y", "x", "unused"]).unwrap(), &x),
        [0.0, cos, 0.0]
    );
    assert_eq!(call(&v.hessian(["unused", "y"]).unwrap(), &x), [0.0; 4]);
    assert_eq!(
        call(&f.jvp("unused").unwrap(), &[2.0, 7.0, 3.0, 5.0])[3..],
        [0.0; 3]
    );
    // Through both ways to a Jacobian.
    assert_eq!(
        call(&f.jacobian(["y", "x"]).unwrap(), &x),
        [2.0, 3.0, 0.0, cos, 1.0, 0.0]
    );
    let rows = f.select(&["v", "w"]).unwrap().jacobian(..).unwrap();
    assert_eq!(call(&rows, &x), [cos, 0.0, 0.0, 0.0, 0.0, 1.0]);
    // A seed that leads nowhere is an input all the same.
    let vjp = f.vjp("y").unwrap();
    assert_eq!(
        call(&vjp, &[2.0, 7.0, 3.0, 10.0, f64::NAN, 1.0])[3..],
        [21.0]
    );
    // Of a constant.
    let one = F::build(["x"], |b, _| vec![op(b, ScalarOp::constant(1.0), &[])]).unwrap();
    assert_eq!(call(&one.grad("x").unwrap(), &[3.0]), [0.0]);
}

#[test]
fn outputs_may_be_inputs_and_stand_twice() {
    let f = F::build(["x", "y"], |b, x| {
        let xy = op(b, ScalarOp::Mul, x);
        vec![x[1], xy, x[1], xy, x[0]]
    })
    .unwrap();
    assert_eq!(f.output_names(), ["out0", "out1", "out2", "out3", "out4"]);
    assert_eq!(call(&f, &[2.0, 3.0]), [3.0, 6.0, 3.0, 6.0, 2.0]);
    let jvp = call(&f.jvp(..).unwrap(), &[2.0, 3.0, 10.0, 100.0]);
    assert_eq!(jvp[5..], [100.0, 230.0, 100.0, 230.0, 10.0]);
    // x̄ = 3·(c₁ + c₃) + c₄, ȳ = c₀ + c₂ + 2·(c₁ + c₃)
    let seeds = [1.0, 10.0, 100.0, 1000.0, 10000.0];
    let vjp = call(&f.vjp(..).unwrap(), &[&[2.0, 3.0][..], &seeds].concat());
    assert_eq!(vjp[5..], [13030.0, 2121.0]);
    assert_eq!(
        call(&f.jacobian(..).unwrap(), &[2.0, 3.0]),
        [0.0, 1.0, 3.0, 2.0, 0.0, 1.0, 3.0, 2.0, 1.0, 0.0]
    );
    let identity = f.select(&["out4"]).unwrap();
    assert_eq!(call(&identity.grad("x").unwrap(), &[2.0, 3.0]), [1.0]);
    assert_eq!(call(&identity.hvp("x").unwrap(), &[2.0, 3.0, 5.0]), [0.0]);
}

#[test]
fn outputs_are_selected_in_any_order() {
    let f = several();
    let chosen = f.select(&["w", "u", "w"]).unwrap();
    assert_eq!(signature(&chosen), "x unused y -> w u w");
    assert_eq!(call(&chosen, &[2.0, 0.0, 3.0]), [3.0, 6.0, 3.0]);
    // What nothing needs any more is gone.
    assert_eq!(chosen.as_graph().operations().len(), 1);
    assert_eq!(
        f.select_at(&[2, 0, 2]).unwrap().to_string(),
        chosen.to_string()
    );
    let none = f.select(&[]).unwrap();
    assert_eq!(call(&none, &[1.0, 2.0, 3.0]), []);
    assert_eq!(call(&none.vjp("x").unwrap(), &[1.0, 2.0, 3.0]), [0.0]);
    assert_eq!(call(&none.jacobian("x").unwrap(), &[1.0, 2.0, 3.0]), []);
}

/// The inputs of the outer function are gone, whatever they were called.
#[test]
fn composition_takes_outputs_for_inputs() {
    // outer(y, x) = y - x on inner(x, y) = (x·y, x)
    let outer = F::build(["y", "x"], |b, v| vec![op(b, ScalarOp::Sub, v)]).unwrap();
    let inner = F::build(["x", "y"], |b, v| vec![op(b, ScalarOp::Mul, v), v[0]]).unwrap();
    let composed = outer.compose(&inner).unwrap();
    assert_eq!(signature(&composed), "x y -> out0");
    assert_eq!(call(&composed, &[5.0, 3.0]), [10.0]);
    assert_eq!(call(&composed.grad(..).unwrap(), &[5.0, 3.0]), [2.0, 5.0]);

    let double = F::build(["x"], |b, v| vec![op(b, ScalarOp::Add, &[v[0], v[0]])]).unwrap();
    let eightfold = double.compose(&double.compose(&double).unwrap()).unwrap();
    assert_eq!(call(&eightfold, &[1.5]), [12.0]);
    assert_eq!(call(&eightfold.grad("x").unwrap(), &[1.5]), [8.0]);

    // A derivative after a derivative: d.f of jvp, whose tangent input has another key than its own.
    let square = F::build(["x"], |b, v| vec![op(b, ScalarOp::Mul, &[v[0], v[0]])]).unwrap();
    let jvp = square.jvp("x").unwrap();
    let twice = jvp.compose(&jvp).unwrap();
    assert_eq!(signature(&twice), "x d0.x -> out0 d.out0");
    assert_eq!(call(&twice, &[3.0, 1.0]), [81.0, 4.0 * 27.0]);

    // Outputs that are inputs all the way.
    let identity = F::build(["x"], |_, v| v.to_vec()).unwrap();
    assert_eq!(
        signature(&identity.compose(&identity).unwrap()),
        "x -> out0"
    );
    assert_eq!(call(&identity.compose(&square).unwrap(), &[3.0]), [9.0]);
}

#[test]
fn an_input_can_be_fixed() {
    let f = x_exp_y();
    let at_zero = f.bind("y", ScalarOp::constant(0.0)).unwrap();
    assert_eq!(signature(&at_zero), "x -> f");
    assert_eq!(call(&at_zero, &[3.0]), [3.0]);
    assert_eq!(call(&at_zero.grad(..).unwrap(), &[3.0]), [1.0]);
    // First the derivative, then the point.
    let slope = f.grad("y").unwrap().bind("y", ScalarOp::constant(0.0));
    assert_eq!(call(&slope.unwrap(), &[3.0]), [3.0]);
    let constant = at_zero.bind("x", ScalarOp::constant(7.0)).unwrap();
    assert_eq!(signature(&constant), " -> f");
    assert_eq!(call(&constant, &[]), [7.0]);
    // An input that nothing needs, and one that is the output.
    let g = several().bind("unused", ScalarOp::constant(1.0)).unwrap();
    assert_eq!(signature(&g), "x y -> u v w");
    let g = g.bind("y", ScalarOp::constant(4.0)).unwrap();
    assert_eq!(call(&g, &[2.0]), [8.0, 2.0_f64.sin(), 4.0]);
}

#[test]
fn calls_by_position_and_by_name_agree() {
    let program = several().compile();
    assert_eq!(program.output_names(), ["u", "v", "w"]);
    let expected = [6.0, 2.0_f64.sin(), 3.0];
    assert_eq!(program.call(&[2.0, 7.0, 3.0]).unwrap(), expected);
    assert_eq!(
        program.call_in(&mut (), &[&2.0, &7.0, &3.0]).unwrap(),
        expected
    );
    let named = program.call_named(&[("y", 3.0), ("x", 2.0), ("unused", 7.0)]);
    assert_eq!(named.unwrap(), expected);
    // Inputs that a transform brought have names, too.
    let jvp = x_exp_y().jvp("y").unwrap().compile();
    let named = jvp.call_named(&[("d0.y", 10.0), ("y", 0.0), ("x", 3.0)]);
    assert_eq!(named.unwrap(), [3.0, 30.0]);
}

#[test]
fn wrt_has_short_forms() {
    let f = x_exp_y();
    let text = f.grad(..).unwrap().to_string();
    let names: &[&str] = &["x", "y"];
    let positions: &[usize] = &[0, 1];
    for wrt in [
        Wrt::All,
        Wrt::from(["x", "y"]),
        names.into(),
        [0, 1].into(),
        positions.into(),
        Wrt::Named(vec!["x".into(), "y".into()]),
        Wrt::At(vec![0, 1]),
    ] {
        assert_eq!(f.grad(wrt).unwrap().to_string(), text);
    }
    assert_eq!(
        f.grad("y").unwrap().to_string(),
        f.grad(1).unwrap().to_string()
    );
}

#[test]
fn functions_and_programs_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<F>();
    shared::<FunctionProgram<ScalarOp>>();

    let f = x_exp_y();
    let program = f.grad(..).unwrap().compile();
    std::thread::scope(|scope| {
        for x in 0..4 {
            let (f, program) = (&f, &program);
            scope.spawn(move || {
                let x = f64::from(x);
                assert_eq!(program.call(&[x, 0.0]).unwrap(), [1.0, x]);
                assert_eq!(call(&f.grad("y").unwrap(), &[x, 0.0]), [x]);
            });
        }
    });
}

#[test]
fn a_clone_is_the_same_function() {
    for f in derived(&x_exp_y()) {
        let clone = f.clone();
        assert!(std::ptr::eq(
            clone.as_graph().operations().as_ptr(),
            f.as_graph().operations().as_ptr()
        ));
        assert_eq!(clone.to_string(), f.to_string());
        assert_eq!(format!("{clone:?}"), format!("{f:?}"));
    }
    assert_eq!(
        format!("{:?}", x_exp_y()),
        "Function { inputs: 2, outputs: 1, operations: 2 }"
    );
}

#[test]
fn every_derived_function_reads_back() {
    let all = several();
    assert_reads_back(&all);
    assert_reads_back(&all.jacobian(..).unwrap());
    assert_reads_back(&all.vjp("unused").unwrap());
    assert_reads_back(&all.select(&[]).unwrap());
    for f in [x_exp_y(), all.select(&["v"]).unwrap()] {
        for g in derived(&f) {
            assert_reads_back(&g);
            assert_reads_back(&g.jvp(..).unwrap());
            assert_reads_back(&g.vjp(..).unwrap());
        }
    }
    assert_reads_back(&x_exp_y().compose(&x_exp_y().grad(..).unwrap()).unwrap());
    let bound = x_exp_y().jvp("x").unwrap();
    assert_reads_back(&bound.bind("d0.x", ScalarOp::constant(-0.0)).unwrap());
}

/// Names that would be misread in print are quoted, in what is made of them, too.
#[test]
fn strange_names_read_back() {
    let names = [
        "a b",
        "output",
        "%0",
        "d0.x",
        "#1",
        "'x",
        "x\ny",
        "é \"→\" \\",
    ];
    let f = F::build(names, |b, x| {
        let product = |x: LocalValueId, y: &LocalValueId| op(b, ScalarOp::Mul, &[x, *y]);
        let product = x[1..].iter().fold(x[0], product);
        vec![product]
    });
    let f = f.unwrap();
    for g in [f.jvp(..), f.vjp(..), f.hvp([6, 7]), f.hessian([0, 1])] {
        let g = g.unwrap();
        assert_reads_back(&g);
        let names = g.input_names();
        let inputs: Vec<_> = names.iter().map(|name| (&name[..], 1.0)).collect();
        let program = g.compile();
        assert_eq!(
            program.call_named(&inputs).unwrap(),
            program.call(&vec![1.0; inputs.len()]).unwrap()
        );
    }
}

/// A graph listing is a function, too: its outputs have no names, and what is not needed goes.
#[test]
fn graphs_are_read_as_functions() {
    let f =
        parse("graph {\n input %0 = x\n input %1 = y\n %2 = exp %1\n %3 = neg %0\n output %3\n}");
    assert_snapshot!(f, @"
    function {
        input %0 = x
        input %1 = y
        %2 = neg %0
        output %2 -> out0
    }
    ");
}

/// Values of several graphs, of which some are parents only; what is computed twice becomes one.
#[test]
fn functions_are_made_of_graphs() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input("x".into());
    let sine = op(&mut builder, ScalarOp::Sin, &[x]);
    let sine_key = builder.global_key(sine).clone();
    let parent = std::sync::Arc::new(builder.build());

    let mut builder = GraphBuilder::new();
    builder.add_parent(parent);
    let x = builder.add_input("x".into());
    let again = op(&mut builder, ScalarOp::Sin, &[x]);
    let operands = vec![ValueRef::Local(again), ValueRef::External(sine_key.clone())];
    let square = builder.add_operation(ScalarOp::Mul, operands, OperationRole::Primary)[0];
    let square = builder.global_key(square).clone();
    let inputs = ["y".into(), "x".into()];
    let outputs = [square, sine_key, ValueKey::Input("y".into())];
    let graph = std::sync::Arc::new(builder.build());
    // An output that is an input must stand in some graph.
    assert!(F::from_graphs(vec![graph.clone()], &inputs, &outputs).is_err());
    let f = F::from_graphs(vec![graph], &inputs, &outputs[..2]).unwrap();
    assert_eq!(signature(&f), "y x -> out0 out1");
    assert_eq!(f.as_graph().operations().len(), 2);
    assert!(f.as_graph().parents().is_empty());
    let sin = 0.5_f64.sin();
    assert_eq!(call(&f, &[f64::NAN, 0.5]), [sin * sin, sin]);
}

/// Derivatives of derivatives are found by name, whatever was derived before.
#[test]
fn no_two_outputs_have_the_same_name() {
    let f = function(["x"], |[x]| [x.powi(4)]).unwrap();
    // In the directions 1, 10 and 100, at 2, where the derivatives are 16, 32, 48 and 48.
    let second = f.jvp("x").unwrap().jvp("x").unwrap();
    let names = ["out0", "d.out0", "d_2.out0", "d_2.d.out0"];
    assert_eq!(second.output_names(), names);
    for (name, expected) in names.iter().zip([16.0, 32.0, 320.0, 480.0]) {
        let selected = second.select(&[name]).unwrap();
        let found = selected.compile().call(&[2.0, 1.0, 10.0]).unwrap();
        assert_eq!(found, [expected], "{name}");
    }
    let third = second.jvp("x").unwrap();
    let d_3 = ["d_3.out0", "d_3.d.out0", "d_3.d_2.out0", "d_3.d_2.d.out0"];
    assert_eq!(third.output_names()[4..], d_3);
    let found = third.select(&["d_3.d_2.d.out0"]).unwrap().compile();
    assert_eq!(found.call(&[2.0, 1.0, 10.0, 100.0]).unwrap(), [48_000.0]);

    let series = f.jvp("x").unwrap().jvp_to_order(2, "x").unwrap();
    let expected = [
        "out0",
        "d.out0",
        "d_2.out0",
        "d_2.d.out0",
        "d2_2.out0",
        "d2_2.d.out0",
    ];
    assert_eq!(series.output_names(), expected);
    let back = f.vjp("x").unwrap().vjp("x").unwrap();
    assert_eq!(back.output_names(), ["out0", "ct.x", "ct_2.x"]);
    let split = f.linearize("x").unwrap().primal.linearize("x").unwrap();
    assert_eq!(split.linear.output_names(), ["d.out0", "d.r0"]);
    assert_eq!(split.primal.output_names()[..3], ["out0", "r0", "r_2.0"]);
    let named: F = "function {\n input %0 = x\n %1 = sin %0\n output %1 -> d.x\n}"
        .parse()
        .unwrap();
    let both = named.value_and_grad("x").unwrap();
    assert_eq!(both.output_names(), ["d.x", "d_2.x"]);
    assert_eq!(named.grad("x").unwrap().output_names(), ["d.x"]);
    // They read back.
    for f in [&third, &series, &back, &split.primal, &both] {
        let read: F = f.to_string().parse().unwrap();
        assert_eq!(read.to_string(), f.to_string());
        let names: HashSet<&String> = f.output_names().iter().collect();
        assert_eq!(names.len(), f.output_names().len());
    }
}
