//! Why a derivative is zero, and why a value must be saved.

use std::collections::HashMap;
use std::sync::Arc;

use insta::assert_snapshot;
use tidu::graph::{
    GraphBuilder, GraphError, GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef,
    resolve,
};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{
    ADRuleError, LinearizedGraph, Primitive, PrimitiveBuilder, PrimitiveValue, RuleOperand,
    WhySaved, WhyZero, linear_transpose, linearize, why_saved, why_zero,
};

use crate::support::{Problem, Random, Sketch, wild_problem};

/// Operations of one operand that let derivatives through, or do not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Double,
    /// Its JVP rule says that there is no tangent.
    StopGradient(&'static str),
    /// Linear; its transpose rule says that there is no cotangent.
    OneWay(&'static str),
    /// Its JVP rule forgets to mark the tangent active.
    Forgetful,
    /// Its JVP rule emits an operation with the role of a primal one.
    Primal,
    /// Two results; only the first has a tangent.
    Pair,
    /// Has no rules.
    Opaque,
}

impl GraphOperation for Op {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        if *self == Op::Add { 2 } else { 1 }
    }

    fn output_count(&self) -> usize {
        if *self == Op::Pair { 2 } else { 1 }
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        _x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        if *self == Op::Add {
            return vec![builder.emit_sum([dx[0], dx[1]])];
        }
        let t = dx[0].expect("called with a tangent");
        let mut emit = |operand| builder.emit_linear(Op::Double, [operand]);
        match self {
            Op::StopGradient(_) => vec![None],
            Op::Pair => vec![Some(t), None],
            Op::Forgetful => vec![Some(emit(RuleOperand::Fixed(PrimitiveValue::Local(t))))],
            Op::Primal => {
                let operand = vec![PrimitiveValue::Local(t)];
                let results = builder.add_primitive(Op::Double, operand, OperationRole::Primary);
                vec![Some(results[0])]
            }
            linear => vec![Some(
                builder.emit_linear(linear.clone(), [RuleOperand::Active(t)]),
            )],
        }
    }

    fn try_jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> tidu::ADRuleResult<Vec<Option<LocalValueId>>> {
        match self {
            Op::Opaque => Err(ADRuleError::unsupported("Opaque", tidu::ADRuleKind::Jvp)),
            _ => Ok(self.jvp_rule(builder, x, y, dx, ctx)),
        }
    }

    fn transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        _role: &OperationRole,
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        match self {
            Op::Add => vec![ct[0]; x.len()],
            Op::OneWay(_) => vec![None],
            _ => {
                let ct = ct[0].expect("called with a cotangent");
                vec![Some(
                    builder.emit_linear(Op::Double, [RuleOperand::Active(ct)]),
                )]
            }
        }
    }
}

/// Inputs x and y; each step is an operation and its operands, values being numbered from x = 0.
fn why(steps: &[(Op, &[usize])], outputs: &[usize], input: &str) -> WhyZero {
    let mut builder = GraphBuilder::new();
    builder.add_input("x".into());
    builder.add_input("y".into());
    for (op, operands) in steps {
        let operands = operands.iter().map(|&id| ValueRef::Local(id)).collect();
        builder.add_operation(op.clone(), operands, OperationRole::Primary);
    }
    let keys = outputs.iter().map(|&id| builder.global_key(id).clone());
    let keys: Vec<_> = keys.collect();
    let view = resolve(vec![Arc::new(builder.build())]);
    why_zero(&view, &keys, &input.into(), &mut ()).unwrap()
}

#[test]
fn derivatives_that_are_not_zero_are_said_to_be_so() {
    let reason = why(&[(Op::Double, &[0])], &[2], "x");
    assert_eq!(reason, WhyZero::NotZero);
    assert_snapshot!(reason, @"the derivative is not a symbolic zero");
    assert_eq!(why(&[], &[0], "x"), WhyZero::NotZero);
    assert_eq!(why(&[], &[1, 0], "x"), WhyZero::NotZero);
    // Dead on one path only.
    let steps: &[(Op, &[usize])] = &[
        (Op::StopGradient("a"), &[0]),
        (Op::OneWay("b"), &[0]),
        (Op::Double, &[0]),
        (Op::Add, &[2, 3]),
        (Op::Add, &[5, 4]),
    ];
    assert_eq!(why(steps, &[6], "x"), WhyZero::NotZero);
}

#[test]
fn without_a_path_there_is_no_derivative() {
    let reason = why(&[(Op::Double, &[0]), (Op::Double, &[1])], &[3], "x");
    assert_eq!(reason, WhyZero::NoPath);
    assert_snapshot!(reason, @"no path leads from the input to an output");
    assert_eq!(why(&[(Op::Double, &[0])], &[2], "y"), WhyZero::NoPath);
    assert_eq!(why(&[(Op::Double, &[0])], &[2], "z"), WhyZero::NoPath);
    assert_eq!(why(&[(Op::Double, &[0])], &[], "x"), WhyZero::NoPath);
    assert_eq!(why(&[], &[1], "x"), WhyZero::NoPath);
}

/// What stops a derivative beside the path to the outputs is not to blame.
#[test]
fn only_operations_on_the_path_are_to_blame() {
    let steps: &[(Op, &[usize])] = &[
        (Op::StopGradient("beside"), &[0]),
        (Op::Double, &[2]),
        (Op::Double, &[1]),
    ];
    assert_eq!(why(steps, &[4], "x"), WhyZero::NoPath);
    let steps: &[(Op, &[usize])] = &[
        (Op::StopGradient("beside"), &[0]),
        (Op::StopGradient("between"), &[0]),
    ];
    assert_snapshot!(why(steps, &[3], "x"), @r#"the jvp rule of StopGradient("between") returned no tangent"#);
}

#[test]
fn the_first_jvp_rule_without_a_tangent_is_named() {
    let steps: &[(Op, &[usize])] = &[
        (Op::Double, &[0]),
        (Op::StopGradient("first"), &[2]),
        (Op::StopGradient("second"), &[3]),
    ];
    let reason = why(steps, &[4], "x");
    let operation = "StopGradient(\"first\")".to_owned();
    assert_eq!(reason, WhyZero::JvpRule { operation });
    assert_snapshot!(reason, @r#"the jvp rule of StopGradient("first") returned no tangent"#);
    // On two paths: the first in topological order.
    let steps: &[(Op, &[usize])] = &[
        (Op::StopGradient("left"), &[0]),
        (Op::StopGradient("right"), &[0]),
        (Op::Add, &[3, 2]),
    ];
    assert_snapshot!(why(steps, &[4], "x"), @r#"the jvp rule of StopGradient("left") returned no tangent"#);
}

#[test]
fn a_rule_with_a_tangent_for_another_result_is_named() {
    // Values 2 and 3 are the pair.
    assert_snapshot!(why(&[(Op::Pair, &[0])], &[3], "x"), @"the jvp rule of Pair returned no tangent");
    assert_eq!(why(&[(Op::Pair, &[0])], &[2], "x"), WhyZero::NotZero);
}

#[test]
fn the_first_transpose_rule_without_a_cotangent_is_named() {
    let steps: &[(Op, &[usize])] = &[
        (Op::OneWay("near the input"), &[0]),
        (Op::Add, &[1, 2]),
        (Op::OneWay("near the output"), &[3]),
        (Op::Double, &[4]),
    ];
    let reason = why(steps, &[5], "x");
    let WhyZero::TransposeRule {
        operation,
        operand,
        line,
    } = &reason
    else {
        panic!("{reason}");
    };
    // The cotangent comes from the output.
    assert_eq!(operation, "OneWay(\"near the output\")");
    assert_eq!(*operand, 0);
    assert_eq!(line, r#"%2 = "OneWay(\"near the output\")" ~%1"#);
    assert_snapshot!(reason, @r#"the transpose rule of OneWay("near the output") returned no cotangent for operand 0 of `%2 = "OneWay(\"near the output\")" ~%1`"#);
}

/// On two paths, the one that the walk back from the outputs comes to first: the later operation.
#[test]
fn of_two_transpose_rules_the_first_on_the_way_back_is_named() {
    let steps: &[(Op, &[usize])] = &[
        (Op::OneWay("early"), &[0]),
        (Op::OneWay("late"), &[0]),
        (Op::Add, &[2, 3]),
    ];
    let reason = why(steps, &[4], "x");
    let WhyZero::TransposeRule { operation, .. } = &reason else {
        panic!("{reason}");
    };
    assert_eq!(operation, "OneWay(\"late\")");
}

#[test]
fn a_tangent_that_is_not_marked_active_is_named() {
    let steps: &[(Op, &[usize])] = &[(Op::Forgetful, &[0]), (Op::Double, &[2])];
    let reason = why(steps, &[3], "x");
    assert!(matches!(reason, WhyZero::Inactive { .. }), "{reason}");
    assert_snapshot!(reason, @"cannot transpose Double, which makes %1: operand 0, %0, depends on a tangent but is not marked active; emitted by the jvp rule of Forgetful");
    assert_snapshot!(why(&[(Op::Primal, &[0])], &[2], "x"), @"cannot transpose Double, which makes %1: it has the role of a primal operation; emitted by the jvp rule of Primal");
}

#[test]
fn other_errors_are_handed_on() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input("x".into());
    let results =
        builder.add_operation(Op::Opaque, vec![ValueRef::Local(x)], OperationRole::Primary);
    let opaque = builder.global_key(results[0]).clone();
    let view = resolve(vec![Arc::new(builder.build())]);
    let ask = |key| why_zero(&view, &[key], &"x".into(), &mut ()).unwrap_err();
    assert!(matches!(ask(opaque), ADRuleError::Unsupported { .. }));
    let error = ask(ValueKey::Input("unknown".into()));
    let ADRuleError::Graph { source, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(
        source,
        GraphError::UnknownOutput { position: 0, .. }
    ));
}

/// Asking does not disturb passes that the view has already.
#[test]
fn passes_in_use_are_left_alone() {
    let mut builder = GraphBuilder::<Op>::new();
    let x = builder.add_input("x".into());
    for pass in 0..5 {
        builder.add_input(tidu::ADKey::tangent_of(&ScalarKey::from("x"), pass));
    }
    let key = builder.global_key(x).clone();
    let view = resolve(vec![Arc::new(builder.build())]);
    let reason = why_zero(&view, &[key], &"x".into(), &mut ()).unwrap();
    assert_eq!(reason, WhyZero::NotZero);
}

/// The question and the transforms agree about what is zero, for scalar operations, whose rules
/// never stop a derivative.
#[test]
fn the_answer_agrees_with_the_derivative() {
    let mut random = Random(6);
    let mut zeros = 0;
    for _ in 0..200 {
        let mut problem = wild_problem(&mut random);
        problem.wrt.truncate(1);
        let Some(input) = problem.wrt.first().cloned() else {
            continue;
        };
        let transposed = problem.transpose(&problem.linearize());
        let outputs: Vec<_> = problem.outputs.iter().flatten().cloned().collect();
        let reason = why_zero(&problem.view(), &outputs, &input, &mut ()).unwrap();
        match transposed.tangent_outputs()[0] {
            Some(_) => assert_eq!(reason, WhyZero::NotZero),
            None => {
                zeros += 1;
                assert_eq!(reason, WhyZero::NoPath);
            }
        }
    }
    assert!((20..180).contains(&zeros), "{zeros}");
}

// Residuals.

/// exp(x)·sin(x), with the keys of all values
fn exp_times_sine() -> (Problem<ScalarOp>, Vec<ValueKey<ScalarOp>>) {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(ScalarOp::Exp, [x]);
    let s = f.apply(ScalarOp::Sin, [x]);
    let y = f.apply(ScalarOp::Mul, [e, s]);
    let problem = f.returning([y]).at(&[0.5]);
    let keys = problem.roots[0].values().iter();
    let keys = keys.map(|value| value.key.clone()).collect();
    (problem, keys)
}

fn tell(answer: Option<WhySaved>) -> String {
    match answer {
        None => "not saved".to_owned(),
        Some(why) => {
            let asked_by = why.asked_by.unwrap_or_else(|| "nobody knows".into());
            format!(
                "operation {}: {} for {asked_by}",
                why.operation, why.used_by
            )
        }
    }
}

#[test]
fn what_is_saved_is_needed_by_an_operation() {
    let (problem, keys) = exp_times_sine();
    let linear = problem.linearize();
    let transposed = problem.transpose(&linear);
    let mut table = String::new();
    for (title, map) in [("linear", &linear), ("transposed", &transposed)] {
        table += &format!("{map}\n");
        for (key, name) in keys.iter().zip(["x", "eˣ", "sin x", "eˣ·sin x"]) {
            table += &format!("{title} {name}: {}\n", tell(why_saved(map, key)));
        }
    }
    assert_snapshot!(table, @"
    linear {
        residual @0 = exp @x
        residual @x
        residual @1 = sin @x
        input %0 = d1.x
        %1 = mul @0, ~%0
        %2 = fixed cos @x
        %3 = mul %2, ~%0
        %4 = mul ~%1, @1
        %5 = mul @0, ~%3
        %6 = add ~%4, ~%5
        output %6 -> d.out0
    }
    linear x: operation 1: %2 = fixed cos @x for sin
    linear eˣ: operation 0: %1 = mul @0, ~%0 for exp
    linear sin x: operation 3: %4 = mul ~%1, @1 for mul
    linear eˣ·sin x: not saved
    linear {
        residual @0 = exp @x
        residual @1 = sin @x
        residual @2 = fixed cos @x
        input %0 = ct0.d1.x
        %1 = mul @0, ~%0
        %2 = mul @1, ~%0
        %3 = mul @2, ~%1
        %4 = mul @0, ~%2
        %5 = add ~%3, ~%4
        output %5 -> x
    }
    transposed x: not saved
    transposed eˣ: operation 0: %1 = mul @0, ~%0 for mul
    transposed sin x: operation 1: %2 = mul @1, ~%0 for mul
    transposed eˣ·sin x: not saved
    ");
}

#[test]
fn values_of_the_map_itself_are_not_saved() {
    let (problem, _) = exp_times_sine();
    let linear = problem.linearize();
    for value in linear.as_graph().values() {
        assert_eq!(why_saved(&linear, &value.key), None);
    }
    assert_eq!(why_saved(&linear, &ValueKey::Input("z".into())), None);
}

/// The table of a receipt and the questions are about the same values, in the same words.
#[test]
fn every_residual_has_a_reason() {
    let mut random = Random(7);
    for _ in 0..100 {
        let problem = wild_problem(&mut random);
        let linear = problem.linearize();
        for map in [problem.transpose(&linear), linear] {
            let receipt = tidu::Receipt::of(&map);
            let mut residuals = receipt.residuals.iter();
            let mut seen: Vec<&ValueKey<ScalarOp>> = Vec::new();
            for (id, node) in map.as_graph().operations().iter().enumerate() {
                for operand in &node.inputs {
                    let ValueRef::External(key) = operand else {
                        continue;
                    };
                    if seen.contains(&key) {
                        continue;
                    }
                    seen.push(key);
                    let why = why_saved(&map, key).expect("it is used");
                    let residual = residuals.next().expect("it is listed");
                    assert_eq!(why.operation, id);
                    assert_eq!(why.used_by, residual.used_by);
                    assert_eq!(why.asked_by, residual.asked_by);
                }
            }
            assert_eq!(residuals.next(), None);
        }
    }
}

/// A residual stays one when the map is read from text; whose rule asked for it is not in the text.
#[test]
fn maps_from_text_answer_too() {
    let (problem, keys) = exp_times_sine();
    let parsed: LinearizedGraph<ScalarOp> = problem.linearize().to_string().parse().unwrap();
    assert_snapshot!(tell(why_saved(&parsed, &keys[1])), @"operation 0: %1 = mul @0, ~%0 for nobody knows");
}

/// The transforms give a symbolic zero where the question gives a reason.
#[test]
fn what_is_asked_about_is_what_the_transforms_do() {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input("x".into());
    let stop = Op::StopGradient("here");
    let y = builder.add_operation(stop, vec![ValueRef::Local(x)], OperationRole::Primary);
    let key = builder.global_key(y[0]).clone();
    let view = resolve(vec![Arc::new(builder.build())]);
    let linear = linearize(&view, &[key], &["x".into()], 1, &mut (), &HashMap::new());
    assert_eq!(linear.tangent_outputs(), [None]);
    let transposed = linear_transpose(&linear, &mut ());
    assert_eq!(transposed.tangent_outputs(), [None]);
}
