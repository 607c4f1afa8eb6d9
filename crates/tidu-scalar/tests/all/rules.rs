//! The two rules of each primitive, against closed forms, finite differences, and each other.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::random::Random;

use tidu_ad::{
    ADKey, ADRuleError, ADRuleKind, LinearizedGraph, Primitive, Wrt, linear_transpose, linearize,
    try_linear_transpose,
};
use tidu_graph::{
    EvaluableGraphOperation, Graph, GraphBuilder, GraphOperation, OperationRole, ValueKey,
    ValueRef, compile, materialize_merge, resolve,
};
use tidu_scalar::{ScalarKey, ScalarOp, function};

type Values = HashMap<ValueKey<ScalarOp>, f64>;

/// A primitive with its Jacobian, one row an output.
struct Case {
    op: ScalarOp,
    jacobian: fn(&[f64]) -> Vec<Vec<f64>>,
}

fn cases() -> Vec<Case> {
    let case = |op, jacobian| Case { op, jacobian };
    vec![
        case(ScalarOp::Add, |_| vec![vec![1.0, 1.0]]),
        case(ScalarOp::Sub, |_| vec![vec![1.0, -1.0]]),
        case(ScalarOp::Mul, |x| vec![vec![x[1], x[0]]]),
        case(ScalarOp::Div, |x| {
            vec![vec![x[1].recip(), -x[0] / x[1].powi(2)]]
        }),
        case(ScalarOp::Neg, |_| vec![vec![-1.0]]),
        case(ScalarOp::Exp, |x| vec![vec![x[0].exp()]]),
        case(ScalarOp::Ln, |x| vec![vec![x[0].recip()]]),
        case(ScalarOp::Sin, |x| vec![vec![x[0].cos()]]),
        case(ScalarOp::Cos, |x| vec![vec![-x[0].sin()]]),
        case(ScalarOp::SinCos, |x| {
            vec![vec![x[0].cos()], vec![-x[0].sin()]]
        }),
        case(ScalarOp::constant(3.0), |_| vec![vec![]]),
        case(ScalarOp::Recip, |x| vec![vec![-x[0].powi(-2)]]),
        case(ScalarOp::KeepIf, |_| vec![vec![0.0, 1.0]]),
        case(ScalarOp::Tanh, |x| vec![vec![x[0].cosh().powi(-2)]]),
        case(ScalarOp::Powi(4), |x| vec![vec![4.0 * x[0].powi(3)]]),
        case(ScalarOp::Rem, |x| vec![vec![1.0, -(x[0] / x[1]).trunc()]]),
        case(ScalarOp::Max, |x| {
            let first = f64::from(u8::from(x[0] > x[1]));
            vec![vec![first, 1.0 - first]]
        }),
    ]
}

/// Points in the domain of every primitive.
const POINTS: [[f64; 2]; 4] = [[0.3, 0.7], [1.9, -2.4], [1e-2, 11.0], [5.5, 0.2]];

fn names(count: usize) -> Vec<ScalarKey> {
    let names = ["x", "y"].into_iter().map(ScalarKey::from);
    names.take(count).collect()
}

fn keys(graph: &Graph<ScalarOp>, ids: &[usize]) -> Vec<ValueKey<ScalarOp>> {
    ids.iter()
        .map(|&id| graph.values()[id].key.clone())
        .collect()
}

/// A primitive alone in a graph.
fn alone(op: &ScalarOp) -> Arc<Graph<ScalarOp>> {
    let mut builder = GraphBuilder::new();
    let operands = names(op.input_count())
        .into_iter()
        .map(|name| ValueRef::Local(builder.add_input(name)))
        .collect();
    let outputs = builder.add_operation(op.clone(), operands, OperationRole::Primary);
    builder.set_outputs(outputs);
    Arc::new(builder.build())
}

fn linear_map(primal: &Arc<Graph<ScalarOp>>, wrt: &[ScalarKey]) -> LinearizedGraph<ScalarOp> {
    let outputs = keys(primal, primal.outputs());
    let view = resolve(vec![Arc::clone(primal)]);
    linearize(&view, &outputs, wrt, 1, &mut (), &HashMap::new())
}

/// The values of a linear map's outputs; a symbolic zero is zero.
fn eval(
    map: &LinearizedGraph<ScalarOp>,
    others: &[&LinearizedGraph<ScalarOp>],
    values: &Values,
) -> Vec<f64> {
    // A transposed map refers to values of the map it came from: they are computed again here.
    let graph = map.as_graph();
    let outputs = keys(graph, graph.outputs());
    let mut roots = graph.parents().to_vec();
    roots.extend([map].iter().chain(others).map(|map| copy(map.as_graph())));
    let flat = materialize_merge(&resolve(roots), &outputs);
    let inputs: Vec<&f64> = flat.inputs.iter().map(|key| &values[key]).collect();
    let mut results = compile(&flat).eval(&mut (), &inputs).into_iter();
    map.tangent_outputs()
        .iter()
        .map(|output| output.map_or(0.0, |_| results.next().expect("one an active output")))
        .collect()
}

/// A graph of the same content that can be shared.
fn copy(graph: &Graph<ScalarOp>) -> Arc<Graph<ScalarOp>> {
    let mut builder = GraphBuilder::new();
    for &id in graph.inputs() {
        if let ValueKey::Input(key) = &graph.values()[id].key {
            assert_eq!(builder.add_input(key.clone()), id);
        }
    }
    for node in graph.operations() {
        builder.add_operation(
            node.operation.clone(),
            node.inputs.to_vec(),
            node.role.clone(),
        );
    }
    Arc::new(builder.build())
}

fn point(x: &[f64]) -> Values {
    let names = names(x.len()).into_iter().map(ValueKey::Input);
    names.zip(x.iter().copied()).collect()
}

fn tangents(x: &[f64]) -> impl Iterator<Item = (ValueKey<ScalarOp>, f64)> + '_ {
    let names = names(x.len()).into_iter();
    let names = names.map(|name| ValueKey::Input(name.tangent_of(1)));
    names.zip(x.iter().copied())
}

#[track_caller]
fn assert_close(found: f64, expected: f64, what: &dyn std::fmt::Debug) {
    let error = (found - expected).abs();
    assert!(
        error <= 1e-14 * expected.abs().max(1e-3),
        "{what:?}: {found}, not {expected}"
    );
}

#[test]
fn jvp_rules_give_the_jacobian() {
    for Case { op, jacobian } in cases() {
        let primal = alone(&op);
        let linear = linear_map(&primal, &names(op.input_count()));
        for x in POINTS.map(|x| x[..op.input_count()].to_vec()) {
            let direction = &[0.6, -1.7][..x.len()];
            let mut values = point(&x);
            values.extend(tangents(direction));
            let found = eval(&linear, &[], &values);
            for (found, row) in found.iter().zip(jacobian(&x)) {
                let expected: f64 = row.iter().zip(direction).map(|(j, dx)| j * dx).sum();
                assert_close(*found, expected, &op);
            }
        }
    }
}

#[test]
fn jvp_rules_give_what_finite_differences_give() {
    for Case { op, .. } in cases() {
        let linear = linear_map(&alone(&op), &names(op.input_count()));
        let at = |x: &[f64]| op.eval(&mut (), &x.iter().collect::<Vec<_>>());
        for x in POINTS.map(|x| x[..op.input_count()].to_vec()) {
            let direction = &[1.3, 0.4][..x.len()];
            let mut values = point(&x);
            values.extend(tangents(direction));
            let step = 1e-6 * x.iter().fold(1.0, |least: f64, x| least.min(x.abs()));
            let shifted = |by: f64| {
                let x: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + by * d).collect();
                at(&x)
            };
            let (above, below) = (shifted(step), shifted(-step));
            for (slot, found) in eval(&linear, &[], &values).into_iter().enumerate() {
                let expected = (above[slot] - below[slot]) / (2.0 * step);
                let scale = expected.abs().max(at(&x)[slot].abs()).max(1.0);
                let error = (found - expected).abs();
                assert!(
                    error <= 1e-6 * scale,
                    "{op:?} at {x:?}: {found}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn transpose_rules_give_the_transposed_jacobian() {
    for Case { op, jacobian } in cases() {
        let linear = linear_map(&alone(&op), &names(op.input_count()));
        let transposed = linear_transpose(&linear, &mut ());
        let weights = [0.9, -2.3];
        for x in POINTS.map(|x| x[..op.input_count()].to_vec()) {
            let mut values = point(&x);
            // The transpose reads cosines and sines of the linear map, which read no tangent.
            let seeds = transposed.tangent_inputs().iter().zip(weights);
            values.extend(seeds.map(|((key, _), weight)| (ValueKey::Input(key.clone()), weight)));
            let found = eval(&transposed, &[&linear], &values);
            for (i, found) in found.into_iter().enumerate() {
                let rows = jacobian(&x);
                let expected = rows.iter().zip(weights).map(|(row, w)| row[i] * w).sum();
                assert_close(found, expected, &op);
            }
        }
    }
}

#[test]
fn an_inactive_operand_costs_nothing_and_gets_nothing() {
    // Linear operations by x alone and by y alone: ẋ, ẏ; ẋ, -ẏ; ẋ·y, x·ẏ; ẋ/y, -(ẏ·z)/y.
    for (op, costs) in [
        (ScalarOp::Add, [0, 0]),
        (ScalarOp::Sub, [0, 1]),
        (ScalarOp::Mul, [1, 1]),
        (ScalarOp::Div, [1, 3]),
    ] {
        for active in [0, 1] {
            let wrt = names(2).remove(active);
            let linear = linear_map(&alone(&op), std::slice::from_ref(&wrt));
            let x = [0.8, -1.6];
            let mut values = point(&x);
            values.insert(ValueKey::Input(wrt.tangent_of(1)), 1.0);
            let jacobian = cases()
                .into_iter()
                .find(|case| case.op == op)
                .map(|case| (case.jacobian)(&x))
                .expect("a case for each primitive");
            assert_close(eval(&linear, &[], &values)[0], jacobian[0][active], &op);
            let transposed = linear_transpose(&linear, &mut ());
            let seed = transposed.tangent_inputs()[0].0.clone();
            values.insert(ValueKey::Input(seed), 1.0);
            let cotangents = eval(&transposed, &[&linear], &values);
            assert_close(cotangents[0], jacobian[0][active], &op);
            let operations = linear.as_graph().operations().len();
            assert_eq!(operations, costs[active], "{op:?} by operand {active}");
        }
    }
}

#[test]
fn a_constant_has_no_tangent() {
    let linear = linear_map(&alone(&ScalarOp::constant(2.0)), &names(2));
    assert_eq!(linear.tangent_outputs(), [None]);
    assert!(linear.as_graph().operations().is_empty());
}

#[test]
fn what_is_not_linear_cannot_be_transposed() {
    // Applied to cotangents directly, as a wrong rule of another set might have emitted them.
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let ct = builder.add_input("ct".into());
    let x = || ValueRef::External(ValueKey::Input("x".into()));
    for (op, mask) in [
        (ScalarOp::Exp, vec![true]),
        (ScalarOp::Mul, vec![true, true]),
        (ScalarOp::Div, vec![false, true]),
        (ScalarOp::SinCos, vec![true]),
    ] {
        let operands = vec![x(); op.input_count()];
        let cotangents = vec![Some(ct); op.output_count()];
        let role = OperationRole::Linearized { active_mask: mask };
        let result =
            op.try_linear_transpose_rule(&mut builder, &cotangents, &operands, &role, &mut ());
        let expected = ADRuleError::unsupported(format!("{op:?}"), ADRuleKind::Transpose);
        assert_eq!(result, Err(expected));
    }
    let operands = [x(), x()];
    let result = ScalarOp::Add.try_linear_transpose_rule(
        &mut builder,
        &[Some(ct)],
        &operands,
        &OperationRole::Primary,
        &mut (),
    );
    assert!(result.is_err());
    assert!(builder.operations().is_empty());
}

#[test]
fn sound_maps_can_all_be_transposed() {
    for Case { op, .. } in cases() {
        let linear = linear_map(&alone(&op), &names(op.input_count()));
        assert!(try_linear_transpose(&linear, &mut ()).is_ok(), "{op:?}");
    }
}

/// A point in the domain of a primitive, away from its steps.
fn inner_point(op: &ScalarOp, random: &mut Random) -> Vec<f64> {
    let operands = 0..op.input_count();
    operands
        .map(|_| match op {
            ScalarOp::Acosh => random.between(1.2, 4.0),
            _ => random.between(0.1, 0.45) * if random.bits() & 1 == 0 { 1.0 } else { 2.0 },
        })
        .collect()
}

/// By every set of inputs: J·ẋ is what differences say, ⟨c, J·ẋ⟩ = ⟨Jᵀ·c, ẋ⟩, and an input left out is
/// one with the tangent 0.
#[test]
fn all_primitives_agree_with_differences_and_with_their_transposes() {
    let mut random = Random::new(0xd1f_f00d);
    for op in crate::support::all_primitives() {
        // Its derivative is not that of its values, which is what it is for.
        if op == ScalarOp::StopGradient {
            continue;
        }
        let f = crate::support::alone(&op);
        let inputs = op.input_count();
        for pattern in 1_usize..1 << inputs {
            let active: Vec<usize> = (0..inputs).filter(|i| pattern >> i & 1 == 1).collect();
            let jvp = f.jvp(Wrt::At(active.clone())).expect("a JVP").compile();
            let vjp = f.vjp(Wrt::At(active.clone())).expect("a VJP").compile();
            for _ in 0..8 {
                let x = inner_point(&op, &mut random);
                let dx: Vec<f64> = active.iter().map(|_| random.between(-1.0, 1.0)).collect();
                let found = jvp.call(&[&x[..], &dx].concat()).expect("tangents");
                let tangents = &found[op.output_count()..];
                let at = |step: f64| {
                    let mut x = x.clone();
                    active
                        .iter()
                        .zip(&dx)
                        .for_each(|(&i, dx)| x[i] += step * dx);
                    op.eval(&mut (), &x.iter().collect::<Vec<_>>())
                };
                let step = 1e-5;
                let (above, below) = (at(step), at(-step));
                for (slot, tangent) in tangents.iter().enumerate() {
                    let expected = (above[slot] - below[slot]) / (2.0 * step);
                    let error = (tangent - expected).abs();
                    let scale = 1.0 + expected.abs() + above[slot].abs();
                    assert!(
                        error < 1e-6 * scale,
                        "{op:?} by {active:?} at {x:?}: {tangent}, not {expected}"
                    );
                }
                let c: Vec<f64> = tangents.iter().map(|_| random.between(-1.0, 1.0)).collect();
                let found = vjp.call(&[&x[..], &c].concat()).expect("seeds");
                let cotangents = &found[op.output_count()..];
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let (left, right) = (dot(&c, tangents), dot(cotangents, &dx));
                let scale = 1e-300 + dot(cotangents, cotangents).sqrt() + left.abs();
                assert!(
                    (left - right).abs() < 1e-13 * scale,
                    "{op:?} by {active:?} at {x:?}: {left} and {right}"
                );
            }
        }
    }
}

/// The numbers that a transpose rule makes of a cotangent, at these operands.
fn transposed(op: &ScalarOp, mask: &[bool], x: &[f64], cotangent: f64) -> Vec<f64> {
    let mut builder = GraphBuilder::new();
    let ct = builder.add_input("ct".into());
    let operands = ["x", "y", "z"].map(|name| ValueKey::Input(ScalarKey::from(name)));
    let values: Values = operands.iter().cloned().zip(x.iter().copied()).collect();
    let inputs: Vec<_> = operands[..x.len()]
        .iter()
        .cloned()
        .map(ValueRef::External)
        .collect();
    let role = OperationRole::Linearized {
        active_mask: mask.to_vec(),
    };
    let results = op
        .try_linear_transpose_rule(&mut builder, &[Some(ct)], &inputs, &role, &mut ())
        .unwrap_or_else(|error| panic!("{op:?} in {mask:?}: {error}"));
    let mut root = GraphBuilder::new();
    operands.iter().for_each(|key| match key {
        ValueKey::Input(key) => {
            root.add_input(key.clone());
        }
        ValueKey::Derived { .. } => unreachable!("all of them are inputs"),
    });
    builder.add_parent(Arc::new(root.build()));
    let keys: Vec<_> = results
        .iter()
        .map(|id| id.map(|id| builder.global_key(id).clone()))
        .collect();
    let view = resolve(vec![Arc::new(builder.build())]);
    let flat = materialize_merge(&view, &keys.iter().flatten().cloned().collect::<Vec<_>>());
    let given: Vec<&f64> = flat
        .inputs
        .iter()
        .map(|key| values.get(key).unwrap_or(&cotangent))
        .collect();
    let mut numbers = compile(&flat).eval(&mut (), &given).into_iter();
    let number = |key: Option<_>| key.map_or(0.0, |_| numbers.next().expect("one a result"));
    keys.into_iter().map(number).collect()
}

/// For every set of operands in which an operation says that it is linear: L(0) = 0, L(at + u) =
/// a·L(t) + L(u), and ⟨c, L·t⟩ = ⟨Lᵀ·c, t⟩.
#[test]
fn operations_are_linear_where_they_say_so_and_have_a_transpose_there() {
    let mut random = Random::new(0x11_7ea2);
    let mut masks = 0;
    for op in crate::support::all_primitives() {
        let inputs = op.input_count();
        for pattern in 1_usize..1 << inputs {
            let mask: Vec<bool> = (0..inputs).map(|i| pattern >> i & 1 == 1).collect();
            if !op.linearity().permits(&mask) {
                continue;
            }
            masks += 1;
            for zero_first in [false, true] {
                let mut numbers =
                    || -> Vec<f64> { mask.iter().map(|_| random.between(0.5, 2.0)).collect() };
                let (mut x, t, u) = (numbers(), numbers(), numbers());
                if zero_first {
                    x[0] = 0.0;
                }
                let apply = |t: &dyn Fn(usize) -> f64| {
                    let operands: Vec<f64> = (0..inputs)
                        .map(|i| if mask[i] { t(i) } else { x[i] })
                        .collect();
                    op.eval(&mut (), &operands.iter().collect::<Vec<_>>())[0]
                };
                assert_eq!(apply(&|_| 0.0), 0.0, "{op:?} in {mask:?}");
                let a = -1.75;
                let of_sum = apply(&|i| a * t[i] + u[i]);
                let sum = a * apply(&|i| t[i]) + apply(&|i| u[i]);
                assert!((of_sum - sum).abs() < 1e-12, "{op:?} in {mask:?}");
                let c = 0.625;
                let cotangents = transposed(&op, &mask, &x, c);
                let dot: f64 = cotangents.iter().zip(&t).map(|(c, t)| c * t).sum();
                let error = dot - c * apply(&|i| t[i]);
                assert!(error.abs() < 1e-12, "{op:?} in {mask:?}: {cotangents:?}");
                let idle = cotangents
                    .iter()
                    .zip(&mask)
                    .all(|(c, active)| *active || *c == 0.0);
                assert!(idle, "{op:?} in {mask:?}: {cotangents:?}");
            }
        }
    }
    // One each of add, sub, neg, div, select and keep_if, two each of mul and mul_add.
    assert_eq!(masks, 10);
}

/// What doubles with every order takes 256 times as many operations at order 16 as at order 8; a cubic, 8
/// times as many.
#[test]
fn high_derivatives_of_products_that_are_added_share_their_terms() {
    let tan = function(["x"], |[x]| [x.tan()]).expect("a function");
    let fused = function(["x"], |[x]| [x.exp().mul_add(x.sin(), &x)]).expect("a function");
    for f in [tan, fused] {
        let series = |order| f.jvp_to_order(order, "x").expect("a series");
        let [eighth, last] = [8, 16].map(|order| series(order).as_graph().operations().len());
        assert!(last < 12 * eighth, "{eighth} and {last} operations of {f}");
        let mut gradient = f.clone();
        let counts = (0..16).map(|_| {
            gradient = gradient.grad("x").expect("a gradient");
            gradient.as_graph().operations().len()
        });
        let counts: Vec<usize> = counts.collect();
        assert!(counts[15] < 12 * counts[7], "{counts:?} operations of {f}");
    }
    // tan' = 1 + tan², so by recurrence the derivatives of tan at 0: 1, 2, 16, 272 of odd orders.
    let tan = function(["x"], |[x]| [x.tan()]).expect("a function");
    let series = tan.jvp_to_order(7, "x").expect("a series").compile();
    let expected = [0.0, 1.0, 0.0, 2.0, 0.0, 16.0, 0.0, 272.0];
    assert_eq!(series.call(&[0.0, 1.0]).expect("two inputs"), expected);
}
