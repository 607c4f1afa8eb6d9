//! Functions of a hundred thousand operations through every transform, on a stack of 2 MiB; and their
//! cost, counted: calls of rules, comparisons and hashes an operation.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::support::{Calls, Counts, Key, Probe, apply, counted, on_small_stack, output_keys};
use tidu_ad::{Composite, Function, Mode, Primitive, PrimitiveBuilder, Rules, StringKey};
use tidu_graph::{
    EvaluableGraphOperation, Exactness, Graph, GraphBuilder, GraphOperation, LocalValueId,
    OperationRole, ValueKey, ValueRef,
};
use tidu_scalar::{Expr, ScalarKey, ScalarOp};
use tidu_testkit::cases;

fn of<Op: Primitive>(graph: Graph<Op>) -> Function<Op> {
    let inputs = graph.inputs().iter();
    let inputs: Vec<Op::InputKey> = inputs
        .map(|&id| match &graph.values()[id].key {
            ValueKey::Input(key) => key.clone(),
            ValueKey::Derived { .. } => unreachable!("an input is an input"),
        })
        .collect();
    let outputs = output_keys(&graph);
    Function::from_graphs(vec![Arc::new(graph)], &inputs, &outputs).expect("it is closed")
}

/// v = x; `steps` times: v = v + y·sin v.
fn chain(steps: usize) -> Function<ScalarOp> {
    of(tidu_testkit::chain(3 * steps).graph())
}

const X: f64 = 0.3;
const Y: f64 = 1e-6;

/// Three operations each.
fn steps() -> usize {
    cases(33_333)
}

/// Value, ∂ₓ, ∂ᵧ and ∂ₓ² of [`chain`], by the chain rule along it.
fn witness() -> [f64; 4] {
    let mut all = [X, 1.0, 0.0, 0.0];
    for _ in 0..steps() {
        let [v, by_x, by_y, by_xx] = all;
        let slope = 1.0 + Y * v.cos();
        all = [
            v + Y * v.sin(),
            slope * by_x,
            slope * by_y + v.sin(),
            slope * by_xx - Y * v.sin() * by_x * by_x,
        ];
    }
    all
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(error <= 1e-9 * expected.abs(), "{found}, not {expected}");
    }
}

fn call(f: &Function<ScalarOp>, x: &[f64]) -> Vec<f64> {
    f.compile().call(x).expect("it can run")
}

#[test]
fn gradients_of_a_hundred_thousand_operations() {
    on_small_stack(|| {
        let [value, by_x, by_y, by_xx] = witness();
        let f = chain(steps());
        assert_close(&call(&f, &[X, Y]), &[value]);
        assert_close(&call(&f.grad(..).unwrap(), &[X, Y]), &[by_x, by_y]);
        let first = f.grad("x").unwrap();
        assert_close(&call(&first, &[X, Y]), &[by_x]);
        let second = first.grad("x").unwrap();
        assert_close(&call(&second, &[X, Y]), &[by_xx]);
    });
}

#[test]
fn a_hundred_thousand_operations_split_and_transposed() {
    on_small_stack(|| {
        let [value, by_x, by_y, by_xx] = witness();
        let f = chain(steps());
        let split = f.linearize(..).unwrap();
        let mut residuals = call(&split.primal, &[X, Y]);
        assert_close(&residuals[..1], &[value]);
        residuals.remove(0);
        // The sine and the cosine of each step, and y.
        assert_eq!(residuals.len(), 2 * steps() + 1);
        let with = |t: &[f64]| [&residuals[..], t].concat();
        assert_close(
            &call(&split.linear, &with(&[1.0, 2.0])),
            &[by_x + 2.0 * by_y],
        );
        let first = residuals.len();
        let back = split.linear.transpose([first, first + 1]).unwrap();
        assert_close(&call(&back, &with(&[3.0])), &[3.0 * by_x, 3.0 * by_y]);
        let series = f.jvp_to_order(2, "x").unwrap();
        assert_close(
            &call(&series, &[X, Y, 2.0]),
            &[value, 2.0 * by_x, 4.0 * by_xx],
        );
    });
}

#[test]
fn a_hundred_thousand_operations_simplified() {
    on_small_stack(|| {
        let [value, by_x, by_y, _] = witness();
        let f = chain(steps());
        for level in [Exactness::Exact, Exactness::FiniteOnly, Exactness::RealOnly] {
            assert_close(&call(&f.simplify(level).unwrap(), &[X, Y]), &[value]);
        }
        assert!(f.rewrites(Exactness::RealOnly).unwrap().len() <= 4 * steps());
        // As one operation, and as one of a hundred thousand.
        let tangent = f.jvp(..).unwrap().select_at(&[1]).unwrap();
        let one = f.with_rules("chain", Rules::jvp(tangent)).unwrap();
        assert_close(&call(&one.grad(..).unwrap(), &[X, Y]), &[by_x, by_y]);
        let plain = one.expanded().unwrap();
        assert_eq!(plain.as_graph().operations().len(), 3 * steps());
    });
}

/// sin with rules of its own, `n` times, the next one of the last one.
#[test]
fn many_calls_of_one_function() {
    on_small_stack(|| {
        let half = tidu_scalar::function(["x"], |[x]| [0.5 * x]).unwrap();
        let rule = tidu_scalar::function(["x", "t"], |[_, t]| [1.0 * t]).unwrap();
        let half = half
            .with_rules("half", Rules::both(rule.clone(), rule))
            .unwrap();
        let operation = half.as_graph().operations()[0].operation.clone();
        let n = 20_000;
        let mut builder = GraphBuilder::<ScalarOp>::new();
        let x = builder.add_input(ScalarKey::from("x"));
        let last = (0..n).fold(x, |v, _| apply(&mut builder, operation.clone(), &[v])[0]);
        builder.set_outputs(vec![last]);
        let f = of(builder.build());
        // Its rules say that the slope of x / 2 is 1.
        for mode in [Mode::Forward, Mode::Reverse] {
            let gradient = f.within(&mut ()).mode(mode).grad("x").unwrap();
            assert_close(&call(&gradient, &[1.0]), &[1.0]);
        }
        assert_eq!(call(&f, &[1.0]), [0.0]);
    });
}

/// v = x; `n` times alternately v = v·y and v = v + x.
fn products(n: usize) -> Function<Probe> {
    let mut builder = GraphBuilder::new();
    let [x, y] = [0, 1].map(|key| builder.add_input(Key::Input(key)));
    let step = |v, at: usize| match at % 2 {
        0 => apply(&mut builder, Probe::Mul, &[v, y])[0],
        _ => apply(&mut builder, Probe::Add, &[v, x])[0],
    };
    let last = (0..n).fold(x, step);
    builder.set_outputs(vec![last]);
    of(builder.build())
}

/// How often rules are called, for functions of some operations and of forty times as many.
#[test]
fn rules_are_called_in_proportion() {
    let at = |n: usize| -> Vec<Calls> {
        let f = products(n);
        let with = |transform: &dyn Fn(&mut Calls)| {
            let mut calls = Calls::default();
            transform(&mut calls);
            calls
        };
        vec![
            with(&|ctx| drop(f.within(ctx).jvp(..).unwrap())),
            with(&|ctx| drop(f.within(ctx).vjp(..).unwrap())),
            with(&|ctx| drop(f.within(ctx).linearize(..).unwrap())),
            with(&|ctx| drop(f.within(ctx).transpose(0).unwrap())),
            with(&|ctx| drop(f.within(ctx).jvp_to_order(3, ..).unwrap())),
            with(&|ctx| drop(f.within(ctx).missing_rules(.., Mode::Reverse).unwrap())),
        ]
    };
    let (n, least) = (cases(20_000), cases(500));
    let (few, many) = (at(least), at(n));
    // Once an operation, or once an operation of what is transposed.
    assert_eq!((many[0].jvp, many[0].transpose), (n, 0));
    assert_eq!(many[1].jvp, n);
    assert_eq!((many[2].jvp, many[2].transpose), (n, 0));
    assert_eq!((many[3].jvp, many[3].transpose), (0, n));
    assert_eq!(many[5], many[1]);
    for (few, many) in few.iter().zip(&many) {
        assert!(many.jvp <= 42 * few.jvp, "{few:?} {many:?}");
        assert!(many.transpose <= 42 * few.transpose, "{few:?} {many:?}");
    }
}

/// What operations and keys are asked, for functions of some operations and of forty times as many.
#[test]
fn operations_are_compared_in_proportion() {
    let at = |n: usize| -> Vec<Counts> {
        let f = products(n);
        let ctx = &mut Calls::default();
        let mut all = vec![
            counted(|| f.within(ctx).jvp(..).unwrap()).1,
            counted(|| f.within(ctx).vjp(..).unwrap()).1,
            counted(|| f.within(ctx).linearize(..).unwrap()).1,
            counted(|| f.within(ctx).transpose(0).unwrap()).1,
            counted(|| f.within(ctx).jvp_to_order(3, ..).unwrap()).1,
        ];
        all.push(counted(|| f.simplify(Exactness::RealOnly).unwrap()).1);
        all.push(counted(|| f.compile()).1);
        all
    };
    let (few, many) = (at(cases(500)), at(cases(20_000)));
    for (transform, (few, many)) in few.iter().zip(&many).enumerate() {
        for (few, many) in [
            (few.op_comparisons, many.op_comparisons),
            (few.op_hashes, many.op_hashes),
            (few.key_comparisons, many.key_comparisons),
            (few.key_hashes, many.key_hashes),
        ] {
            // Tables collide now and then.
            assert!(
                many <= 52 * few + 4_000,
                "transform {transform}: {few}, then {many}"
            );
        }
    }
}

thread_local! {
    /// How often an operation was hashed or cloned.
    static TOUCHED: Cell<usize> = const { Cell::new(0) };
}

/// Sums, and functions with rules of their own.
#[derive(Debug, PartialEq, Eq)]
enum Sum {
    Add,
    Call(Composite<Sum>),
}

impl Clone for Sum {
    fn clone(&self) -> Self {
        TOUCHED.set(TOUCHED.get() + 1);
        match self {
            Sum::Add => Sum::Add,
            Sum::Call(function) => Sum::Call(function.clone()),
        }
    }
}

impl Hash for Sum {
    fn hash<H: Hasher>(&self, state: &mut H) {
        TOUCHED.set(TOUCHED.get() + 1);
        match self {
            Sum::Add => state.write_u8(0),
            Sum::Call(function) => function.hash(state),
        }
    }
}

impl GraphOperation for Sum {
    type Operand = f64;
    type Context = ();
    type InputKey = StringKey;

    fn input_count(&self) -> usize {
        match self {
            Sum::Add => 2,
            Sum::Call(function) => function.input_count(),
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Sum::Add => 1,
            Sum::Call(function) => function.output_count(),
        }
    }
}

impl EvaluableGraphOperation for Sum {
    fn eval(&self, ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        match self {
            Sum::Add => vec![x[0] + x[1]],
            Sum::Call(function) => function.eval(ctx, x),
        }
    }
}

impl Primitive for Sum {
    type ADContext = ();

    fn add() -> Self {
        Sum::Add
    }

    fn composite(function: Composite<Self>) -> Option<Self> {
        Some(Sum::Call(function))
    }

    fn as_composite(&self) -> Option<&Composite<Self>> {
        match self {
            Sum::Add => None,
            Sum::Call(function) => Some(function),
        }
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        inputs: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        tangents: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        match self {
            Sum::Add => match *tangents {
                [Some(a), Some(b)] => {
                    let operands = [a, b].map(ValueRef::Local).to_vec();
                    let role = OperationRole::Linearized {
                        active_mask: vec![true; 2],
                    };
                    let sum = builder.add_primitive(Sum::Add, operands, role);
                    vec![Some(sum[0])]
                }
                _ => vec![tangents.iter().find_map(|tangent| *tangent)],
            },
            Sum::Call(function) => function
                .try_jvp_rule(builder, inputs, tangents, ctx)
                .expect("a sum is linear"),
        }
    }
}

/// The function of `names` that is an operation on two of them, or on one.
fn of_one(names: &[&str], operation: Sum, operands: &[usize]) -> Function<Sum> {
    let mut builder = GraphBuilder::new();
    let ids: Vec<usize> = names
        .iter()
        .map(|&name| builder.add_input(name.into()))
        .collect();
    let operands: Vec<usize> = operands.iter().map(|&at| ids[at]).collect();
    let outputs = apply(&mut builder, operation, &operands);
    builder.set_outputs(outputs);
    of(builder.build())
}

fn operation_of(function: &Function<Sum>) -> Sum {
    let node = function.as_dense().nodes().next();
    node.expect("it is one operation").operation.clone()
}

/// t ↦ (depth + 2)·t: each level calls the one below, and adds t. `twice` calls it once more, on the same.
fn nested(depth: usize, twice: bool) -> Function<Sum> {
    let rule = || Rules::jvp(of_one(&["t", "dt"], Sum::Add, &[1, 1]));
    let innermost = of_one(&["t"], Sum::Add, &[0, 0]);
    let innermost = innermost.with_rules("level", rule()).unwrap();
    (0..depth).fold(innermost, |inner, _| {
        let mut builder = GraphBuilder::new();
        let t = builder.add_input("t".into());
        let inner = operation_of(&inner);
        let below = apply(&mut builder, inner.clone(), &[t])[0];
        let mut sum = apply(&mut builder, Sum::Add, &[below, t])[0];
        if twice {
            // Another function of the same sum, on what it does not know to be the same.
            let pair = of_one(&["u", "v"], inner, &[0]);
            let again = pair.with_rules(
                "again",
                Rules::jvp(of_one(&["u", "v", "du", "dv"], Sum::Add, &[2, 3])),
            );
            let again = apply(&mut builder, operation_of(&again.unwrap()), &[t, below])[0];
            sum = apply(&mut builder, Sum::Add, &[sum, again])[0];
        }
        builder.set_outputs(vec![sum]);
        of(builder.build()).with_rules("level", rule()).unwrap()
    })
}

/// A rule that is told what depends on a tangent is written out as deep as it calls functions with rules.
#[test]
fn rules_that_call_rules_are_written_out_in_proportion() {
    on_small_stack(|| {
        let at = |depth: usize, twice: bool| {
            let called = operation_of(&nested(depth, twice));
            let jvp = of_one(&["x", "dx"], called, &[1]);
            let double = of_one(&["x"], Sum::Add, &[0, 0]);
            TOUCHED.set(0);
            let f = double.with_rules("double", Rules::jvp(jvp)).unwrap();
            let touched = TOUCHED.get();
            let tangent = f.jvp(..).unwrap().compile().call(&[1.0, 1.0]).unwrap();
            (touched, tangent)
        };
        for (depth, more) in [(100, 1_000), (1_000, 10_000)] {
            let (few, tangent) = at(cases(depth), false);
            assert_eq!(tangent, [2.0, cases(depth) as f64 + 2.0]);
            let (many, tangent) = at(cases(more), false);
            assert_eq!(tangent, [2.0, cases(more) as f64 + 2.0]);
            // Tables grow now and then.
            assert!(many <= 15 * few, "{few}, then {many}");
        }
        // 1, 2, 4, 8 and so on times the innermost one, if nobody saw that calls are the same.
        let (few, tangent) = at(20, true);
        // f(t) = 2·f(t) of the level below + t
        let slope = (0..20).fold(2.0, |slope, _| 2.0 * slope + 1.0);
        assert_eq!(tangent, [2.0, slope]);
        let (many, _) = at(40, true);
        assert!(many <= 3 * few, "{few}, then {many}");
    });
}

/// A rule calls one function for its tangent and another one for its coefficient, which depends on no tangent though it
/// comes from the first one: as a derivative of the rule, the rules of the other one count.
#[test]
fn rules_of_what_depends_on_no_tangent_count() {
    let half = tidu_scalar::function(["x"], |[x]| [0.5 * x]).unwrap();
    // They say that its slope is 1.
    let slope = tidu_scalar::function(["x", "dx"], |[_, dx]| [1.0 * dx]).unwrap();
    let half = half.with_rules("half", Rules::jvp(slope)).unwrap();
    let pair = tidu_scalar::function(["x", "t"], |[x, t]| [x.sin(), 1.0 * t]).unwrap();
    let slopes = tidu_scalar::function(["x", "t", "dx", "dt"], |[x, _, dx, dt]| {
        [x.cos() * dx, 1.0 * dt]
    });
    let pair = pair
        .with_rules("pair", Rules::jvp(slopes.unwrap()))
        .unwrap();
    // g'(x) = half(sin x)
    let rule = tidu_scalar::function(["x", "dx"], |[x, dx]| {
        let pair = Expr::call(&pair, &[x, dx]).unwrap();
        let coefficient = Expr::call(&half, &pair[..1]).unwrap();
        [&coefficient[0] * &pair[1]]
    });
    let g = tidu_scalar::function(["x"], |[x]| [1.0 * x]).unwrap();
    let g = g.with_rules("g", Rules::jvp(rule.unwrap())).unwrap();
    let first = g.grad("x").unwrap();
    assert_close(&call(&first, &[X]), &[0.5 * X.sin()]);
    assert_close(&call(&first.grad("x").unwrap(), &[X]), &[X.cos()]);
}
