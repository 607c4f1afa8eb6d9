//! Functions with derivative rules of their own: which rule is used where, and that it is used right.

use std::collections::HashSet;
use std::sync::Arc;

use tidu::graph::{CompiledProgram, Exactness, OperationRole, ValueKey, resolve};
use tidu::scalar::{Expr, ScalarKey, ScalarOp, function};
use tidu::{Composite, Derivatives, Function, FunctionError, Mode, Rules, Wrt};
use tidu_testkit::{cases, on_small_stack, output_keys};

use super::linearize::recombined;
use crate::support::tame::{Coefficients, Dual4, lift};
use crate::support::{Number, Sketch, assert_close, assert_exactly, eager_gradient};

type F = Function<ScalarOp>;

fn call(f: &F, x: &[f64]) -> Vec<f64> {
    f.compile().call(x).unwrap()
}

/// g(u, v) = (u·v + sin u, eᵘ·v²)
fn plain() -> F {
    let g = function(["u", "v"], |[u, v]| [&u * &v + u.sin(), u.exp() * &v * &v]);
    g.unwrap()
}

/// ġ₀ = (v + cos u)·u̇ + u·v̇, ġ₁ = eᵘ·v·(v·u̇ + 2·v̇), by hand
fn jvp() -> F {
    let jvp = function(["u", "v", "du", "dv"], |[u, v, du, dv]| {
        let first = (&v + u.cos()) * &du + &u * &dv;
        [first, u.exp() * &v * (&v * du + 2.0 * dv)]
    });
    jvp.unwrap()
}

/// ū = (v + cos u)·c + eᵘ·v²·d, v̄ = u·c + 2·eᵘ·v·d, by hand
fn vjp() -> F {
    let vjp = function(["u", "v", "c", "d"], |[u, v, c, d]| {
        let slope = u.exp() * &v;
        let by_u = (&v + u.cos()) * &c + &slope * v * &d;
        [by_u, u * c + 2.0 * slope * d]
    });
    vjp.unwrap()
}

/// g in every form, all of which have the same derivatives.
pub(super) fn forms() -> [(&'static str, F); 4] {
    let own = |rules| plain().with_rules("g", rules).unwrap();
    [
        ("derived", plain()),
        ("jvp", own(Rules::jvp(jvp()))),
        ("vjp", own(Rules::vjp(vjp()))),
        ("both", own(Rules::both(jvp(), vjp()))),
    ]
}

/// f(x, y) of two outputs, in which g stands three times, once with an output that is not used, once
/// with an argument that is a constant: (p, q) = g(sin x, y); f = (p·g₁(y, x·y) + q, x·g₀(2, y)).
pub(super) fn calls(g: &F) -> F {
    let call = |u: Expr, v: Expr| {
        let results = Expr::call(g, &[u, v]).unwrap();
        <[Expr; 2]>::try_from(results).unwrap()
    };
    let f = function(["x", "y"], |[x, y]| {
        let [p, q] = call(x.sin(), y.clone());
        let [_, second] = call(y.clone(), &x * &y);
        let [first, _] = call(Expr::constant(2.0), y);
        [p * second + q, x * first]
    });
    f.unwrap()
}

/// The same over any numbers, written on its own.
fn meaning<N: Number>(x: N, y: N) -> [N; 2] {
    let g = |u: N, v: N| [u.mul(v).add(u.sin()), u.exp().mul(v).mul(v)];
    let [p, q] = g(x.sin(), y);
    let [_, second] = g(y, x.mul(y));
    let [first, _] = g(N::constant(2.0), y);
    [p.mul(second).add(q), x.mul(first)]
}

/// ∂ⁿf in n directions, by nested dual numbers.
pub(super) fn derivative(at: [f64; 2], directions: &[[f64; 2]]) -> Vec<f64> {
    let mut x = at.map(Dual4::constant);
    for (unit, t) in directions.iter().enumerate() {
        x = [0, 1].map(|i| lift(x[i], Dual4::constant(t[i]), unit));
    }
    let all = (1 << directions.len()) - 1;
    meaning(x[0], x[1]).iter().map(|y| y.read()[all]).collect()
}

pub(super) const AT: [f64; 2] = [0.7, -0.6];
const X: [f64; 2] = [1.0, 0.0];
const Y: [f64; 2] = [0.0, 1.0];

/// By each transform, at each level.
#[test]
fn right_rules_give_the_derivatives() {
    for (form, g) in forms() {
        for f in [calls(&g), nested(&g)] {
            assert_close(&call(&f, &AT), &derivative(AT, &[]));
            first_order(form, &f);
            second_order(&f);
            third_order(&f);
        }
    }
}

/// The calls as one operation, whose rules hold operations with rules of their own.
pub(super) fn nested(g: &F) -> F {
    let f = calls(g);
    let tangents = f.jvp(..).unwrap().select_at(&[2, 3]).unwrap();
    let cotangents = f.vjp(..).unwrap().select_at(&[2, 3]).unwrap();
    f.with_rules("f", Rules::both(tangents, cotangents))
        .unwrap()
}

fn first_order(form: &str, f: &F) {
    let [t, c] = [[0.4, -1.3], [0.9, 0.2]];
    let with = |extra: &[f64]| [&AT[..], extra].concat();
    let (value, tangent) = (derivative(AT, &[]), derivative(AT, &[t]));
    let both = [&value[..], &tangent].concat();
    let (by_x, by_y) = (derivative(AT, &[X]), derivative(AT, &[Y]));
    let cotangents = [
        by_x[0] * c[0] + by_x[1] * c[1],
        by_y[0] * c[0] + by_y[1] * c[1],
    ];
    let jacobian = [by_x[0], by_y[0], by_x[1], by_y[1]];

    let levels = [Exactness::Exact, Exactness::FiniteOnly, Exactness::RealOnly];
    for level in levels.map(Some).into_iter().chain([None]) {
        let ctx = &mut ();
        let mut derive = f.within(ctx);
        derive = match level {
            Some(level) => derive.simplify(level),
            None => derive.unsimplified(),
        };
        let jvp = derive.jvp(..).unwrap();
        assert_close(&call(&jvp, &with(&t)), &both);
        assert!(!jvp.to_string().contains("tangent of"), "{form}\n{jvp}");
    }
    let vjp = f.vjp(..).unwrap();
    assert_close(&call(&vjp, &with(&c))[2..], &cotangents);
    assert!(!vjp.to_string().contains("tangent of"), "{form}\n{vjp}");
    // By one input only, the other being held; of one output only, the other not being there.
    let jvp_y = f.jvp("y").unwrap();
    assert_close(
        &call(&jvp_y, &with(&[3.0]))[2..],
        &by_y.clone().map(|d| 3.0 * d),
    );
    for (row, wrt) in [(0, "x"), (0, "y"), (1, "x"), (1, "y")] {
        let f = f.select_at(&[row]).unwrap();
        let expected = if wrt == "x" { &by_x } else { &by_y };
        for derived in [
            f.grad(wrt),
            f.within(&mut ()).mode(Mode::Forward).grad(wrt),
            f.within(&mut ()).mode(Mode::Reverse).grad(wrt),
            f.jacobian(wrt),
        ] {
            assert_close(&call(&derived.unwrap(), &AT), &expected[row..=row]);
        }
        assert_close(&call(&f.grad(..).unwrap(), &AT), &jacobian[2 * row..][..2]);
    }
    for way in [Mode::Forward, Mode::Reverse] {
        let derived = f.within(&mut ()).mode(way).jacobian(..).unwrap();
        assert_close(&call(&derived, &AT), &jacobian);
        let derived = f.within(&mut ()).mode(way).jacobian(["y", "x"]).unwrap();
        assert_close(&call(&derived, &AT), &[by_y[0], by_x[0], by_y[1], by_x[1]]);
    }
    let split = f.linearize(..).unwrap();
    assert_close(&call(&recombined(&split, false), &with(&t)), &both);
    assert_close(
        &call(&recombined(&split, true), &with(&c))[2..],
        &cotangents,
    );
}

trait MapAll {
    fn map(self, f: impl Fn(f64) -> f64) -> Vec<f64>;
}

impl MapAll for Vec<f64> {
    fn map(self, f: impl Fn(f64) -> f64) -> Vec<f64> {
        self.into_iter().map(f).collect()
    }
}

fn second_order(f: &F) {
    let v = [0.5, -0.8];
    let hessian = [[X, X], [X, Y], [Y, X], [Y, Y]].map(|d| derivative(AT, &d));
    for row in 0..2 {
        let f = f.select_at(&[row]).unwrap();
        let expected: Vec<f64> = hessian.iter().map(|h| h[row]).collect();
        assert_close(&call(&f.hessian(..).unwrap(), &AT), &expected);
        for way in [Mode::Forward, Mode::Reverse] {
            let derived = f.within(&mut ()).mode(way).hessian(..).unwrap();
            assert_close(&call(&derived, &AT), &expected);
        }
        let product = [X, Y].map(|e| derivative(AT, &[e, v])[row]);
        let found = call(&f.hvp(..).unwrap(), &[&AT[..], &v].concat());
        assert_close(&found, &product);
        // Reverse over forward, and reverse over reverse.
        let along = f.jvp(..).unwrap().select_at(&[1]).unwrap();
        let found = call(&along.grad([0, 1]).unwrap(), &[&AT[..], &v].concat());
        assert_close(&found, &product);
        let back = f.vjp(..).unwrap().select_at(&[1, 2]).unwrap();
        let twice = back.vjp([0, 1]).unwrap();
        let found = call(&twice, &[&AT[..], &[1.0], &v].concat());
        assert_close(&found[2..], &product);
    }
}

fn third_order(f: &F) {
    let v = [0.5, -0.8];
    let series = f.jvp_to_order(3, ..).unwrap();
    let orders = [vec![], vec![v], vec![v, v], vec![v, v, v]];
    let expected: Vec<f64> = orders.iter().flat_map(|d| derivative(AT, d)).collect();
    assert_close(&call(&series, &[&AT[..], &v].concat()), &expected);

    let expected = derivative(AT, &[X, Y, Y]);
    for (row, &expected) in expected.iter().enumerate() {
        let f = f.select_at(&[row]).unwrap();
        for order in [["x", "y", "y"], ["y", "x", "y"], ["y", "y", "x"]] {
            for way in 0..8 {
                let derived = order.iter().enumerate().fold(f.clone(), |f, (at, wrt)| {
                    let way = [Mode::Forward, Mode::Reverse][way >> at & 1];
                    f.within(&mut ()).mode(way).grad(*wrt).unwrap()
                });
                assert_close(&call(&derived, &AT), &[expected]);
            }
            let derived = order.iter().fold(f.clone(), |f, &wrt| {
                let split = f.linearize(wrt).unwrap();
                let back = recombined(&split, true).select_at(&[1]).unwrap();
                let seed = back.input_names().pop().unwrap();
                back.bind(&seed, ScalarOp::constant(1.0)).unwrap()
            });
            assert_close(&call(&derived, &AT), &[expected]);
        }
    }
}

/// What is evaluated is the function itself, and inlined it is the plain one.
#[test]
fn expanded_functions_are_plain() {
    let expected = calls(&plain()).to_string();
    for (_, g) in forms() {
        assert_eq!(calls(&g).expanded().unwrap().to_string(), expected);
        assert_eq!(nested(&g).expanded().unwrap().to_string(), expected);
        let simple = calls(&g).simplify(Exactness::RealOnly).unwrap();
        assert_close(&call(&simple, &AT), &derivative(AT, &[]));
    }
}

fn sin_with(rules: Rules<ScalarOp>) -> F {
    let sin = function(["x"], |[x]| [x.sin()]).unwrap();
    sin.with_rules("odd_sin", rules).unwrap()
}

/// k·cos x·ẋ: for sin, both its JVP and its VJP, but for the factor.
fn scaled_slope(k: f64) -> F {
    function(["x", "t"], |[x, t]| [k * x.cos() * t]).unwrap()
}

/// A wrong factor shows whose rule was used.
#[test]
fn one_rule_serves_both_modes() {
    for rules in [Rules::jvp(scaled_slope(2.0)), Rules::vjp(scaled_slope(2.0))] {
        let f = sin_with(rules);
        let slope = 2.0 * 0.3_f64.cos();
        for way in [Mode::Forward, Mode::Reverse] {
            let derive = || f.within(&mut ()).mode(way).grad("x").unwrap();
            assert_close(&call(&derive(), &[0.3]), &[slope]);
            let second = derive().within(&mut ()).mode(way).grad("x").unwrap();
            assert_close(&call(&second, &[0.3]), &[-2.0 * 0.3_f64.sin()]);
        }
        assert_close(&call(&f.grad("x").unwrap(), &[0.3]), &[slope]);
        assert_close(
            &call(&f.jvp("x").unwrap(), &[0.3, 5.0])[1..],
            &[5.0 * slope],
        );
        assert_close(
            &call(&f.vjp("x").unwrap(), &[0.3, 5.0])[1..],
            &[5.0 * slope],
        );
    }
}

#[test]
fn with_both_rules_each_mode_uses_its_own() {
    let f = sin_with(Rules::both(scaled_slope(3.0), scaled_slope(2.0)));
    let (sin, cos) = 0.3_f64.sin_cos();
    let at = |f: Result<F, FunctionError>, extra: &[f64]| -> Vec<f64> {
        call(&f.unwrap(), &[&[0.3], extra].concat())
    };
    let way = |f: &F, way| f.within(&mut ()).mode(way).grad("x");
    assert_close(&at(f.jvp("x"), &[1.0]), &[sin, 3.0 * cos]);
    assert_close(&at(f.vjp("x"), &[1.0]), &[sin, 2.0 * cos]);
    assert_close(&at(f.grad("x"), &[]), &[2.0 * cos]);
    assert_close(&at(f.value_and_grad("x"), &[]), &[sin, 2.0 * cos]);
    assert_close(&at(way(&f, Mode::Forward), &[]), &[3.0 * cos]);
    assert_close(&at(way(&f, Mode::Reverse), &[]), &[2.0 * cos]);
    let jacobian = |way| f.within(&mut ()).mode(way).jacobian("x");
    assert_close(&at(jacobian(Mode::Forward), &[]), &[3.0 * cos]);
    assert_close(&at(jacobian(Mode::Reverse), &[]), &[2.0 * cos]);
    // Forward over reverse; forward over forward.
    assert_close(&at(f.hvp("x"), &[1.0]), &[-2.0 * sin]);
    assert_close(
        &at(f.jvp_to_order(2, "x"), &[1.0]),
        &[sin, 3.0 * cos, -3.0 * sin],
    );
    // What was split going forward stays that.
    let split = f.linearize("x").unwrap();
    assert_close(
        &at(Ok(recombined(&split, false)), &[1.0]),
        &[sin, 3.0 * cos],
    );
    assert_close(&at(Ok(recombined(&split, true)), &[1.0]), &[sin, 3.0 * cos]);
    // Inside something larger, and next to what is derived.
    let outer = function(["x"], |[x]| {
        let inner = Expr::call(&f, &[2.0 * &x]).unwrap().remove(0);
        [inner * 5.0 + x.sin()]
    });
    let outer = outer.unwrap();
    let with = |k: f64| 10.0 * k * 0.6_f64.cos() + cos;
    assert_close(&at(outer.grad("x"), &[]), &[with(2.0)]);
    assert_close(&at(way(&outer, Mode::Forward), &[]), &[with(3.0)]);
    assert_close(&at(outer.expanded().unwrap().grad("x"), &[]), &[with(1.0)]);
}

/// x with the cotangent c / (1 + c²): not linear, so it cannot go forward.
fn clipped() -> F {
    let vjp = function(["x", "c"], |[_, c]| [&c / (1.0 + &c * &c)]).unwrap();
    let identity = function(["x"], |[x]| [x]).unwrap();
    identity.with_rules("clip", Rules::vjp(vjp)).unwrap()
}

#[test]
fn a_vjp_need_not_be_linear() {
    let clip = clipped();
    let f = function(["x"], |[x]| {
        let clipped = Expr::call(&clip, std::slice::from_ref(&x))
            .unwrap()
            .remove(0);
        [&clipped * &clipped]
    });
    let f = f.unwrap();
    // The cotangent is c = 2x.
    let clip = |c: f64| c / (1.0 + c * c);
    let slope = |x: f64| clip(2.0 * x);
    // The value of `clip` stands in the gradient, so the second cotangent is clipped as well.
    let second = |x: f64| clip(2.0 * (1.0 - 4.0 * x * x) / (1.0 + 4.0 * x * x).powi(2));
    for x in [0.0, 0.3, -2.0] {
        for gradient in [
            f.grad("x"),
            f.grad(..),
            f.within(&mut ()).mode(Mode::Reverse).jacobian("x"),
            f.value_and_grad("x").and_then(|f| f.select_at(&[1])),
        ] {
            assert_close(&call(&gradient.unwrap(), &[x]), &[slope(x)]);
        }
        assert_close(&call(&f.vjp("x").unwrap(), &[x, 1.0]), &[x * x, slope(x)]);
        let double = f.grad("x").unwrap().grad("x").unwrap();
        assert_close(&call(&double, &[x]), &[second(x)]);
        let hessian = f.within(&mut ()).mode(Mode::Reverse).hessian("x");
        assert_close(&call(&hessian.unwrap(), &[x]), &[second(x)]);
    }
    for forward in [
        f.jvp("x"),
        f.jvp_to_order(2, "x"),
        f.jacobian("x"),
        f.hessian("x"),
        f.hvp("x"),
        f.linearize("x").map(|split| split.linear),
        f.within(&mut ()).mode(Mode::Forward).grad("x"),
        f.within(&mut ()).unsimplified().jvp("x"),
        f.within(&mut ()).simplify(Exactness::RealOnly).jvp("x"),
    ] {
        let error = forward.unwrap_err();
        assert!(matches!(error, FunctionError::NotLinear { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("not linear in c"), "{text}");
        let whose = "it is clip's VJP, which forward mode has to transpose";
        assert!(text.ends_with(whose), "{text}");
    }
    // The value is what it was.
    assert_eq!(call(&f, &[3.0]), [9.0]);
}

/// Through views, linear maps, flat graphs and programs; through a builder that computes; eagerly.
#[test]
fn the_other_ways_to_a_derivative() {
    let [t, c] = [[0.4, -1.3], [0.9, 0.2]];
    let (by_x, by_y) = (derivative(AT, &[X]), derivative(AT, &[Y]));
    let tangents = [0, 1].map(|row| by_x[row] * t[0] + by_y[row] * t[1]);
    let cotangents = [&by_x, &by_y].map(|by| by[0] * c[0] + by[1] * c[1]);
    for (form, g) in forms().into_iter().skip(1) {
        let f = of_function(&calls(&g));
        let problem = f.at(&AT);
        assert_exactly(&problem.evaluate(), &derivative(AT, &[]));
        assert_exactly(&problem.jvp(&t), &tangents);
        assert_exactly(&problem.vjp(&c), &cotangents);
        assert_exactly(&problem.vjp_by_builder(&c.map(Some)), &cotangents);
        assert_exactly(
            &problem.vjp_by_builder(&[Some(2.0), None]),
            &[2.0 * by_x[0], 2.0 * by_y[0]],
        );
        for chunk in [1, 2, 3, 100] {
            let loss = f.weighted(&c);
            let found = eager_gradient(&loss, &AT, &[0, 1], &1.0, chunk, &mut ());
            assert_exactly(&found.unwrap(), &cotangents);
            let found = eager_gradient(&loss, &AT, &[1], &1.0, chunk, &mut ());
            assert_exactly(&found.unwrap(), &cotangents[1..]);
        }
        // Twice, in every pair of modes.
        let v = [0.5, -0.8];
        let second = [X, Y].map(|e| {
            let d = derivative(AT, &[e, v]);
            d[0] * c[0] + d[1] * c[1]
        });
        assert_exactly(&problem.forward(&v).reverse(&c).evaluate(), &second);
        assert_exactly(&problem.reverse(&c).forward(&v).evaluate(), &second);
        assert_exactly(&problem.reverse(&c).reverse(&v).evaluate(), &second);
        let forward = problem.forward(&v).forward(&X).evaluate();
        assert_exactly(&forward, &derivative(AT, &[v, X]));
        assert_ne!(form, "derived");
    }
}

/// A function as a list of steps, to go these ways.
fn of_function(f: &F) -> Sketch<ScalarOp> {
    let graph = f.as_graph();
    let mut sketch = Sketch {
        inputs: f.input_keys(),
        steps: Vec::new(),
        outputs: graph.outputs().to_vec(),
        values: graph.inputs().len(),
    };
    for node in graph.operations() {
        let operands = node.inputs.iter().map(|operand| match operand {
            tidu::graph::ValueRef::Local(id) => *id,
            tidu::graph::ValueRef::External(_) => unreachable!("a function is closed"),
        });
        sketch.push(node.operation.clone(), operands.collect());
    }
    sketch
}

/// Going backward uses the VJP, whichever way it goes.
#[test]
fn going_backward_uses_the_vjp() {
    let f = of_function(&sin_with(Rules::both(scaled_slope(3.0), scaled_slope(2.0))));
    let (at, cos) = ([0.3], 0.3_f64.cos());
    assert_exactly(&f.at(&at).jvp(&[1.0]), &[3.0 * cos]);
    assert_exactly(&f.at(&at).vjp(&[1.0]), &[2.0 * cos]);
    assert_exactly(&f.at(&at).vjp_by_builder(&[Some(1.0)]), &[2.0 * cos]);
    let found = eager_gradient(&f, &at, &[0], &1.0, 1, &mut ());
    assert_exactly(&found.unwrap(), &[2.0 * cos]);

    let f = of_function(&clipped());
    assert_exactly(&f.at(&at).vjp_by_builder(&[Some(2.0)]), &[0.4]);
    let found = eager_gradient(&f, &at, &[0], &2.0, 1, &mut ());
    assert_exactly(&found.unwrap(), &[0.4]);
}

#[test]
fn rules_are_checked() {
    let sin = function(["x"], |[x]| [x.sin()]).unwrap();
    let two = plain();
    let refused = |f: &F, rules| f.with_rules("name", rules).unwrap_err();
    let arity = |rule, expected, found| FunctionError::WrongRuleArity {
        name: "name".into(),
        rule,
        expected,
        found,
    };
    let error = refused(&sin, Rules::jvp(sin.clone()));
    assert_eq!(error, arity("JVP", (2, 1), (1, 1)));
    assert_eq!(
        error.to_string(),
        "the JVP of name must take 2 inputs and have 1 output, found 1 and 1"
    );
    assert_eq!(
        refused(&sin, Rules::vjp(sin.clone())),
        arity("VJP", (2, 1), (1, 1))
    );
    assert_eq!(
        refused(&sin, Rules::jvp(jvp())),
        arity("JVP", (2, 1), (4, 2))
    );
    let both = Rules::both(jvp(), scaled_slope(1.0));
    assert_eq!(refused(&two, both), arity("VJP", (4, 2), (2, 1)));
    let both = Rules::both(scaled_slope(1.0), vjp());
    assert_eq!(refused(&two, both), arity("JVP", (4, 2), (2, 1)));

    // Each of these is a slip that would otherwise give a wrong derivative without a word.
    type Body = fn(Expr, Expr) -> Expr;
    let slips: [(&str, Body); 6] = [
        ("forgets the tangent", |x, _| x.cos()),
        ("adds what is not tangent", |x, t| x.cos() * t + x),
        ("squares the tangent", |x, t| x.cos() * &t * t),
        ("divides by the tangent", |x, t| x.cos() / t),
        ("stops the tangent", |x, t| x.cos() * t.stop_gradient()),
        ("is a constant", |_, _| Expr::constant(1.0)),
    ];
    for (what, body) in slips {
        let rule = function(["x", "t"], |[x, t]| [body(x, t)]).unwrap();
        let error = refused(&sin, Rules::jvp(rule));
        assert!(
            matches!(error, FunctionError::NotLinear { .. }),
            "{what}: {error}"
        );
        assert!(error.to_string().contains("not linear in t: "), "{error}");
    }
    // A VJP need not be linear, but it must not ignore its seed.
    for body in [|x: Expr, _: Expr| x.cos(), |_, _| Expr::constant(1.0)] {
        let rule = function(["x", "t"], |[x, t]| [body(x, t)]).unwrap();
        let error = refused(&sin, Rules::vjp(rule));
        let text = error.to_string();
        assert!(matches!(error, FunctionError::NotLinear { .. }), "{text}");
        assert!(text.contains("out0 does not depend"), "{text}");
    }
    // One that is affine goes backward as it is, and not forward.
    let rule = function(["x", "t"], |[x, t]| [x.cos() * t + 1.0]).unwrap();
    let f = sin.with_rules("affine", Rules::vjp(rule)).unwrap();
    assert_eq!(call(&f.grad("x").unwrap(), &[0.0]), [2.0]);
    let error = f.jvp("x").unwrap_err();
    assert!(matches!(error, FunctionError::NotLinear { .. }), "{error}");
    // Zeros are fine, of either sign.
    let step = function(["x"], |[x]| [x.stop_gradient()]).unwrap();
    for zero in [0.0, -0.0] {
        let rule = function(["x", "t"], |[_, _]| [Expr::constant(zero)]).unwrap();
        for rules in [
            Rules::jvp(rule.clone()),
            Rules::vjp(rule.clone()),
            Rules::both(rule.clone(), rule.clone()),
        ] {
            let f = step.with_rules("step", rules).unwrap();
            assert_eq!(call(&f.grad("x").unwrap(), &[2.0]), [0.0]);
            assert_eq!(call(&f.jvp("x").unwrap(), &[2.0, 1.0]), [2.0, 0.0]);
            assert_eq!(call(&f.vjp("x").unwrap(), &[2.0, 1.0]), [2.0, 0.0]);
            assert_eq!(
                call(&f.grad("x").unwrap().grad("x").unwrap(), &[2.0]),
                [0.0]
            );
        }
    }
}

#[test]
fn a_rule_may_ignore_some_inputs() {
    // u·v, of which the rules say that it is constant in v.
    let product = function(["u", "v"], |[u, v]| [u * v]).unwrap();
    let jvp = function(["u", "v", "du", "dv"], |[_, v, du, _]| [v * du]).unwrap();
    let vjp = function(["u", "v", "c"], |[_, v, c]| [v * c, Expr::constant(0.0)]).unwrap();
    for rules in [
        Rules::jvp(jvp.clone()),
        Rules::vjp(vjp.clone()),
        Rules::both(jvp, vjp),
    ] {
        let f = product.with_rules("half", rules).unwrap();
        for way in [Mode::Forward, Mode::Reverse] {
            let grad = |wrt: Wrt| f.within(&mut ()).mode(way).grad(wrt).unwrap();
            assert_eq!(call(&grad((..).into()), &[2.0, 3.0]), [3.0, 0.0]);
            assert_eq!(call(&grad("v".into()), &[2.0, 3.0]), [0.0]);
            assert_eq!(call(&grad("u".into()), &[2.0, 3.0]), [3.0]);
        }
        assert_eq!(call(&f.jvp("v").unwrap(), &[2.0, 3.0, 9.0]), [6.0, 0.0]);
        assert_eq!(call(&f.vjp("v").unwrap(), &[2.0, 3.0, 9.0]), [6.0, 0.0]);
    }
}

/// Of a function without inputs, or without outputs, or with more than fit an operation.
#[test]
fn functions_of_odd_shapes() {
    let three = function([], |[]| [Expr::constant(3.0)]).unwrap();
    let zero = function([], |[]| [Expr::constant(0.0)]).unwrap();
    let constant = three.with_rules("three", Rules::jvp(zero)).unwrap();
    assert_eq!(call(&constant, &[]), [3.0]);
    let f = function(["x"], |[x]| {
        [x * Expr::call(&constant, &[]).unwrap().remove(0)]
    });
    assert_eq!(call(&f.unwrap().grad("x").unwrap(), &[2.0]), [3.0]);

    let none = function(["x"], |[_]| []).unwrap();
    let rule = function(["x", "dx"], |[_, _]| []).unwrap();
    let nothing = none.with_rules("nothing", Rules::jvp(rule)).unwrap();
    assert_eq!(call(&nothing, &[2.0]), [0.0; 0]);
    assert_eq!(call(&nothing.jvp("x").unwrap(), &[2.0, 1.0]), [0.0; 0]);

    let many = function(["x"], |[x]| vec![x; 300]).unwrap();
    let rule = function(["x", "dx"], |[_, dx]| vec![dx; 300]).unwrap();
    let error = many.with_rules("many", Rules::jvp(rule)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Composite(call many) has 300 outputs, the limit is 256"
    );
}

/// Sixty-four deep, evaluated and derived on a small stack; one more is refused.
/// x ↦ x + depth, one call within another, with rules that say that the slope is 2.
fn deep(depth: usize) -> F {
    let double = || function(["x", "t"], |[_, t]| [2.0 * t]).unwrap();
    let mut f = function(["x"], |[x]| [x]).unwrap();
    for level in 1..=depth {
        let body = function(["x"], |[x]| Expr::call(&f, &[x + 1.0]).unwrap()).unwrap();
        let rules = match level % 3 {
            0 => Rules::jvp(double()),
            1 => Rules::vjp(double()),
            // Its JVP is that of what it holds.
            _ => Rules::jvp(body.jvp("x").unwrap().select_at(&[1]).unwrap()),
        };
        f = body.with_rules("deep", rules).unwrap();
    }
    f
}

#[test]
fn as_deep_as_a_stack_bears_functions_with_rules_are_evaluated() {
    on_small_stack(|| {
        let limit = CompiledProgram::<ScalarOp>::DEPTH_LIMIT;
        let f = deep(limit);
        let value = 0.5 + limit as f64;
        assert_eq!(call(&f, &[0.5]), [value]);
        assert_eq!(call(&f.grad("x").unwrap(), &[0.5]), [2.0]);
        assert_eq!(call(&f.jvp("x").unwrap(), &[0.5, 3.0]), [value, 6.0]);
        let plain = f.expanded().unwrap();
        assert_eq!(plain.as_graph().operations().len(), limit + 1);
        assert_eq!(call(&plain.grad("x").unwrap(), &[0.5]), [1.0]);
    });
}

#[test]
fn deeper_ones_are_refused_before_they_run_and_all_else_is_done() {
    on_small_stack(|| {
        let depth = cases(20_000);
        let f = deep(depth);
        let error = f.compile().call(&[0.5]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "call deep (instruction 0) holds functions {depth} deep in one another, and at most 128 can be evaluated"
            )
        );
        // By its rules, the gradient does not go down.
        assert_eq!(call(&f.grad("x").unwrap(), &[0.5]), [2.0]);
        assert_eq!(f.to_string().matches("function @deep").count(), depth);
        let plain = f.expanded().unwrap();
        drop(f);
        assert_eq!(call(&plain, &[0.5]), [0.5 + depth as f64]);
    });
}

/// Rules deep inside one another, each of which needs the one below to be derived.
#[test]
fn rules_derived_through_rules() {
    on_small_stack(|| {
        let mut f = function(["x"], |[x]| [x]).unwrap();
        for _ in 0..40 {
            // x ↦ f(x)·1.01, whose JVP is written with f's own.
            let body = function(
                ["x"],
                |[x]| [1.01 * Expr::call(&f, &[x]).unwrap().remove(0)],
            );
            let body = body.unwrap();
            let vjp = body.vjp("x").unwrap().select_at(&[1]).unwrap();
            f = body.with_rules("level", Rules::vjp(vjp)).unwrap();
        }
        let expected = 1.01_f64.powi(40);
        assert_close(&call(&f.grad("x").unwrap(), &[2.0]), &[expected]);
        assert_close(&call(&f.jvp("x").unwrap(), &[2.0, 1.0])[1..], &[expected]);
        assert_eq!(
            call(&f.grad("x").unwrap().grad("x").unwrap(), &[2.0]),
            [0.0]
        );
    });
}

fn composite_of(f: &F) -> Composite<ScalarOp> {
    match &f.as_graph().operations()[0].operation {
        ScalarOp::Composite(composite) => composite.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_functions_of_one_name_are_two() {
    let named = |k: f64| {
        let f = function(["x"], |[x]| [k * x]).unwrap();
        let rule = function(["x", "t"], |[_, t]| [k * t]).unwrap();
        f.with_rules("same", Rules::both(rule.clone(), rule))
            .unwrap()
    };
    let (two, three) = (named(2.0), named(3.0));
    let [a, b] = [&two, &three].map(composite_of);
    assert_eq!(a, a.clone());
    assert_ne!(a, b);
    assert_eq!(HashSet::from([a.clone(), b.clone(), a.clone()]).len(), 2);
    // Not even two that are made alike are the same.
    assert_ne!(a, composite_of(&named(2.0)));
    let f = function(["x"], |[x]| {
        let call = |f: &F, x: &Expr| Expr::call(f, std::slice::from_ref(x)).unwrap().remove(0);
        [
            call(&two, &x) + call(&three, &x),
            call(&two, &x) * call(&two, &x),
            call(&two, &(2.0 * &x)),
        ]
    });
    let f = f.unwrap();
    let calls = f.to_string().matches("call same").count();
    assert_eq!(calls, 3, "{f}");
    assert_eq!(call(&f, &[1.0]), [5.0, 4.0, 4.0]);
    for way in [Mode::Forward, Mode::Reverse] {
        let jacobian = f.within(&mut ()).mode(way).jacobian("x").unwrap();
        assert_eq!(call(&jacobian, &[1.0]), [5.0, 8.0, 4.0]);
    }
}

#[test]
fn how_they_print_and_travel() {
    fn travels<T: Send + Sync + Clone + 'static>(_: &T) {}
    let g = plain().with_rules("g", Rules::both(jvp(), vjp())).unwrap();
    travels(&g);
    travels(&composite_of(&g));
    travels(&g.compile());
    travels(&Rules::jvp(jvp()));
    assert_eq!(composite_of(&g).name(), "g");
    assert_eq!(composite_of(&g).to_string(), "call g");
    assert_eq!(format!("{:?}", composite_of(&g)), "call g");
    assert_eq!(
        g.to_string(),
        "function @g {
    input %0
    input %1
    %2 = mul %0, %1
    %3 = sin %0
    %4 = add %2, %3
    %5 = exp %0
    %6 = mul %5, %1
    %7 = mul %6, %1
    output %4
    output %7
}
function {
    input %0 = u
    input %1 = v
    %2, %3 = call g @g %0, %1
    output %2 -> out0
    output %3 -> out1
}"
    );
    // The linear map has the tangent as one operation, until it is transposed.
    let graph = Arc::new(g.as_graph().clone());
    let view = resolve(vec![Arc::clone(&graph)]);
    let wrt: Vec<ScalarKey> = vec!["v".into()];
    let linear = tidu::linearize(
        &view,
        &output_keys(&graph),
        &wrt,
        1,
        &mut (),
        &Default::default(),
    );
    let text = linear.to_string();
    assert!(text.contains("tangent of g @u, @v, ~%0"), "{text}");
    let transposed = tidu::linear_transpose(&linear, &mut ()).to_string();
    assert!(!transposed.contains("tangent of"), "{transposed}");
    // On one line, whatever the name.
    for name in ["", "two words", "new\nline", "\"quoted\"", "梯度"] {
        let f = plain().with_rules(name, Rules::jvp(jvp())).unwrap();
        let text = f.to_string();
        assert_eq!(text.lines().count(), 12 + 7, "{text}");
    }
    // On many threads at once.
    let program = g.grad_of_first();
    let threads: Vec<_> = (0..4)
        .map(|k| {
            let program = program.clone();
            std::thread::spawn(move || program.call(&[f64::from(k), 2.0]).unwrap())
        })
        .collect();
    for (k, thread) in threads.into_iter().enumerate() {
        let u = k as f64;
        assert_close(&thread.join().unwrap(), &[2.0 + u.cos(), u]);
    }
}

trait Gradient {
    fn grad_of_first(&self) -> tidu::FunctionProgram<ScalarOp>;
}

impl Gradient for F {
    fn grad_of_first(&self) -> tidu::FunctionProgram<ScalarOp> {
        self.select_at(&[0]).unwrap().grad(..).unwrap().compile()
    }
}

/// A function that holds a tangent, made from a linear map, is linear in its tangents, jointly, and
/// in nothing else.
#[test]
fn tangents_are_linear_in_their_tangents() {
    let g = plain().with_rules("g", Rules::vjp(vjp())).unwrap();
    let graph = Arc::new(g.as_graph().clone());
    let view = resolve(vec![Arc::clone(&graph)]);
    let wrt: Vec<ScalarKey> = vec!["u".into(), "v".into()];
    let linear = tidu::linearize(
        &view,
        &output_keys(&graph),
        &wrt,
        1,
        &mut (),
        &Default::default(),
    );
    let keys: Vec<ValueKey<ScalarOp>> = output_keys(linear.as_graph());
    let inputs = ["u", "v", "d1.u", "d1.v"].map(|name| {
        let text = format!("function {{\n input %0 = {name}\n}}");
        text.parse::<F>().unwrap().input_keys().remove(0)
    });
    let map = F::from_graphs(vec![graph, Arc::new(linear.into_graph())], &inputs, &keys).unwrap();
    assert!(map.to_string().contains("tangent of g"));
    let (u, v) = (0.4_f64, -0.7_f64);
    let (e, t, c) = (u.exp(), [0.3, -1.1], [0.8, 0.6]);
    let j = [[v + u.cos(), u], [e * v * v, 2.0 * e * v]];
    let tangents = j.map(|row| row[0] * t[0] + row[1] * t[1]);
    assert_close(&call(&map, &[u, v, t[0], t[1]]), &tangents);
    let back = map.transpose([2, 3]).unwrap();
    let cotangents = [0, 1].map(|at| j[0][at] * c[0] + j[1][at] * c[1]);
    assert_close(&call(&back, &[u, v, c[0], c[1]]), &cotangents);
    for wrt in [&[0][..], &[0, 1], &[2], &[0, 1, 2, 3], &[1, 2, 3]] {
        let error = map.transpose(wrt).unwrap_err();
        assert!(matches!(error, FunctionError::NotLinear { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("tangent of g"), "{text}");
    }
    // By u: the derivative of the tangent.
    let second = map.jvp(0).unwrap();
    let found = call(&second, &[u, v, t[0], t[1], 1.0]);
    let expected = [
        -u.sin() * t[0] + t[1],
        e * v * v * t[0] + 2.0 * e * v * t[1],
    ];
    assert_close(&found[2..], &expected);
    // Roles do not matter to what a tangent is.
    let roles = map.as_graph().operations().iter();
    assert!(
        roles
            .map(|node| &node.role)
            .all(|role| *role == OperationRole::Primary)
    );
}

/// A function by whose rules one sees whether they were used: 2·t, of which the rules say 5·t and 7·t.
fn marked(rules: &str) -> F {
    let double = function(["t"], |[t]| [2.0 * t]).unwrap();
    let slope = |k: f64| function(["t", "d"], |[_, d]| [k * d]).unwrap();
    let rules = match rules {
        "jvp" => Rules::jvp(slope(5.0)),
        "vjp" => Rules::vjp(slope(7.0)),
        _ => Rules::both(slope(5.0), slope(7.0)),
    };
    double.with_rules("double", rules).unwrap()
}

fn called(f: &F, x: Expr) -> Expr {
    Expr::call(f, &[x]).unwrap().remove(0)
}

/// A rule is the map that it computes: what it calls for that has rules, too, does not make it another one. The
/// tangent of sin is 2·cos x·ẋ here, whatever the rules of 2·t say, in each mode.
#[test]
fn rules_that_call_functions_with_rules() {
    let (sin, cos) = 0.3_f64.sin_cos();
    for inner in ["jvp", "vjp", "both"].map(marked) {
        let rule = function(["x", "t"], |[x, t]| [x.cos() * called(&inner, t)]).unwrap();
        for rules in [
            Rules::jvp(rule.clone()),
            Rules::vjp(rule.clone()),
            Rules::both(rule.clone(), rule.clone()),
        ] {
            let f = sin_with(rules);
            assert_close(&call(&f.jvp("x").unwrap(), &[0.3, 3.0]), &[sin, 6.0 * cos]);
            assert_close(&call(&f.vjp("x").unwrap(), &[0.3, 3.0]), &[sin, 6.0 * cos]);
            for way in [Mode::Forward, Mode::Reverse] {
                let slope = f.within(&mut ()).mode(way).grad("x").unwrap();
                assert_close(&call(&slope, &[0.3]), &[2.0 * cos]);
            }
            let sketch = of_function(&f);
            assert_exactly(&sketch.at(&[0.3]).jvp(&[3.0]), &[6.0 * cos]);
            assert_exactly(&sketch.at(&[0.3]).vjp(&[3.0]), &[6.0 * cos]);
            let split = f.linearize("x").unwrap();
            assert_close(
                &call(&recombined(&split, false), &[0.3, 3.0]),
                &[sin, 6.0 * cos],
            );
            assert_close(
                &call(&recombined(&split, true), &[0.3, 3.0]),
                &[sin, 6.0 * cos],
            );
        }
        // As a linear map it is what it computes. As a function, it has its rules.
        let map = function(["a", "t"], |[a, t]| [a * called(&inner, t)]).unwrap();
        let transposed = map.transpose("t").unwrap();
        assert_eq!(call(&transposed, &[3.0, 1.0]), [6.0]);
        let by_rules = call(&map.vjp("t").unwrap(), &[3.0, 0.0, 1.0]);
        assert!([15.0, 21.0].contains(&by_rules[1]), "{by_rules:?}");
    }
}

/// What stands in a rule for the point alone keeps its rules: they count for second derivatives.
#[test]
fn rules_that_call_functions_of_the_point() {
    let cos = function(["x"], |[x]| [x.cos()]).unwrap();
    let slope = function(["x", "d"], |[x, d]| [-10.0 * x.sin() * d]).unwrap();
    for rules in [Rules::jvp(slope.clone()), Rules::vjp(slope.clone())] {
        let cos = cos.with_rules("cos", rules).unwrap();
        let rule = function(["x", "t"], |[x, t]| [called(&cos, x) * t]).unwrap();
        for rules in [Rules::jvp(rule.clone()), Rules::vjp(rule.clone())] {
            let slope = sin_with(rules).grad("x").unwrap();
            assert_close(&call(&slope, &[0.3]), &[0.3_f64.cos()]);
            let second = slope.grad("x").unwrap();
            assert_close(&call(&second, &[0.3]), &[-10.0 * 0.3_f64.sin()]);
        }
    }
}

/// One that is not linear in what it is given shows so in the rule that calls it, however deep it stands.
#[test]
fn rules_that_call_functions_that_are_not_linear() {
    let square = function(["t"], |[t]| [&t * &t]).unwrap();
    let two_t = function(["t", "d"], |[t, d]| [2.0 * t * d]).unwrap();
    let square = square.with_rules("square", Rules::vjp(two_t)).unwrap();
    let deeper = function(["t"], |[t]| [called(&square, t)]).unwrap();
    let plain = deeper.jvp("t").unwrap().select_at(&[1]).unwrap();
    let deeper = deeper.with_rules("deeper", Rules::jvp(plain)).unwrap();
    for inner in [square, deeper] {
        let rule = function(["x", "t"], |[x, t]| [x.cos() * called(&inner, t)]).unwrap();
        let sin = function(["x"], |[x]| [x.sin()]).unwrap();
        let error = sin.with_rules("odd_sin", Rules::jvp(rule.clone()));
        let error = error.unwrap_err();
        assert!(matches!(error, FunctionError::NotLinear { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("not linear in t: mul"), "{text}");
        // A VJP may be so, and then goes backward only.
        let f = sin.with_rules("odd_sin", Rules::vjp(rule)).unwrap();
        let cotangents = f.vjp("x").unwrap();
        assert_close(&call(&cotangents, &[0.3, 3.0])[1..], &[9.0 * 0.3_f64.cos()]);
        let text = f.jvp("x").unwrap_err().to_string();
        let whose = "it is odd_sin's VJP, which forward mode has to transpose";
        assert!(text.ends_with(whose), "{text}");
    }
}

/// A name says nothing of rules, so the text of a function that calls others cannot be read.
#[test]
fn calls_do_not_read_back() {
    let f = function(["x"], |[x]| [called(&marked("vjp"), x.sin())]).unwrap();
    let error = f.to_string().parse::<F>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 10, column 10: expected an operation, found double, a function with rules of its own, which prints \
         by its name and cannot be read back: print what it is `expanded` to"
    );
    let graph = Arc::new(f.as_graph().clone());
    let view = resolve(vec![Arc::clone(&graph)]);
    let linear = tidu::linearize(
        &view,
        &output_keys(&graph),
        &["x".into()],
        1,
        &mut (),
        &Default::default(),
    );
    let text = linear.to_string();
    let error = text.parse::<tidu::LinearizedGraph<ScalarOp>>().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("double, a function with rules of its own"),
        "{text}"
    );
    let error = "function {\n input %0 = x\n %1 = recall %0\n}".parse::<F>();
    assert_eq!(
        error.unwrap_err().to_string(),
        "line 3, column 7: expected an operation, found `recall %0`"
    );
    let expanded = f.expanded().unwrap().to_string();
    assert_eq!(expanded.parse::<F>().unwrap().to_string(), expanded);
}

/// A rule that yields zero, in forward mode beside a VJP.
#[test]
fn what_rules_take_for_zero_is_symbolic() {
    let zero = |names| function(names, |_: [Expr; 2]| [Expr::constant(0.0)]).unwrap();
    let step = function(["x"], |[x]| [x.floor()]).unwrap();
    let rules = [
        Rules::both(zero(["x", "d"]), zero(["x", "c"])),
        Rules::vjp(zero(["x", "c"])),
        Rules::jvp(zero(["x", "d"])),
    ];
    for rules in rules {
        let step = step.with_rules("step", rules).unwrap();
        let f = function(["x"], |[x]| {
            // The root of 0 has an infinite slope.
            [Expr::call(&step, std::slice::from_ref(&x)).unwrap()[0].sqrt() + x]
        });
        let f = f.unwrap();
        for mode in [Mode::Forward, Mode::Reverse] {
            let slope = f.within(&mut ()).mode(mode).jacobian("x").unwrap();
            assert_eq!(slope.compile().call(&[0.5]).unwrap(), [1.0], "{mode:?}");
        }
    }
    // Where only one of two rules is zero, each mode keeps to its own.
    let vjp = function(["x", "c"], |[_, c]| [c * 100.0]).unwrap();
    let step = step
        .with_rules("step", Rules::both(zero(["x", "d"]), vjp))
        .unwrap();
    let slope = |mode| step.within(&mut ()).mode(mode).jacobian("x").unwrap();
    assert_eq!(slope(Mode::Forward).compile().call(&[0.5]).unwrap(), [0.0]);
    assert_eq!(
        slope(Mode::Reverse).compile().call(&[0.5]).unwrap(),
        [100.0]
    );
}

/// A cache that keeps an operation whose rules were derived by the same cache goes when its users go.
#[test]
fn a_cache_does_not_hold_itself() {
    let derivatives = Derivatives::default();
    let f = function(["x"], |[x]| [x.sin()]).unwrap();
    let jvp = f.within(&mut ()).sharing(&derivatives).jvp("x");
    let jvp = jvp.and_then(|jvp| jvp.select_at(&[1])).unwrap();
    let own = f.with_rules("own", Rules::jvp(jvp)).unwrap();
    let gradient = own.within(&mut ()).sharing(&derivatives).grad("x").unwrap();
    assert_eq!(call(&gradient, &[0.5]), [0.5_f64.cos()]);
    assert!(derivatives.is_shared());
    drop((f, own, gradient));
    assert!(!derivatives.is_shared());
}
