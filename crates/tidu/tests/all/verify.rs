//! What the verifier says: of graphs that are wrong, all that is wrong; of those that the library
//! derives, nothing; of rules that emit what is not linear, which operation it is.

use std::cell::Cell;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use insta::assert_snapshot;
use tidu::graph::{
    DenseGraph, Graph, GraphBuilder, GraphOperation, LocalValueId, OperationKey, OperationRole,
    Report, ValueKey, ValueRef, ValueType, resolve, verify,
};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{
    ADRuleError, ADRuleKind, Linearity, LinearizedGraph, Primitive, PrimitiveBuilder,
    PrimitiveValue, RuleOperand, try_linear_transpose, try_linearize, verify_linear,
};

use crate::support::{Random, wild_problem};

fn graph(text: &str) -> Graph<ScalarOp> {
    text.parse().expect("the text is a graph")
}

fn linear(items: &str) -> Report {
    let text = format!("linear {{\n{items}\n}}");
    let map: LinearizedGraph<ScalarOp> = text.parse().expect("the text is a linear map");
    verify_linear(&map)
}

// Structure.

#[test]
fn two_inputs_of_one_name_are_found() {
    let graph = graph(
        "graph {
            input %0 = x
            input %1 = \"two words\"
            input %2 = x
            input %3 = \"two words\"
            input %4 = x
        }",
    );
    assert_snapshot!(verify(&graph), @r#"
    error[duplicate-input]: input %2 has the name of input %0
      |
      |  input %2 = x
      = help: use one input, or give each a name of its own

    error[duplicate-input]: input %3 has the name of input %1
      |
      |  input %3 = "two words"
      = help: use one input, or give each a name of its own

    error[duplicate-input]: input %4 has the name of input %0
      |
      |  input %4 = x
      = help: use one input, or give each a name of its own

    3 findings
    "#);
}

#[test]
fn masks_of_the_wrong_length_are_found() {
    let graph = graph(
        "graph {
            input %0 = x
            %1 = masked 1 mul %0, %0
            %2 = masked 101 mul %0, %1
            %3 = masked - neg %2
            output %3
        }",
    );
    assert_snapshot!(verify(&graph), @"
    error[active-mask]: the active mask has 1 flags for 2 operands
      |
      |  %1 = masked 1 mul %0, %0
      = help: give one flag per operand

    error[active-mask]: the active mask has 3 flags for 2 operands
      |
      |  %2 = masked 101 mul %0, %1
      = help: give one flag per operand

    error[active-mask]: the active mask has 0 flags for 1 operands
      |
      |  %3 = masked - neg %2
      = help: give one flag per operand

    3 findings
    ");
}

#[test]
fn operands_that_nothing_defines_are_found() {
    let parent = graph("graph {\n input %0 = x\n %1 = exp %0\n}");
    let mut builder = GraphBuilder::<ScalarOp>::new();
    builder.add_parent(Arc::new(parent));
    let x = ValueKey::Input(ScalarKey::from("x"));
    let derived = |op, of: &ValueKey<ScalarOp>, slot| ValueKey::Derived {
        operation: Arc::new(OperationKey::new(
            op,
            vec![of.clone()],
            OperationRole::Primary,
        )),
        output_slot: slot,
    };
    let exp = derived(ScalarOp::Exp, &x, 0);
    let y = ValueKey::Input("y".into());
    let mut mul = |a: &ValueKey<ScalarOp>, b: &ValueKey<ScalarOp>| {
        let operands = [a, b].map(|key| ValueRef::External(key.clone()));
        builder.add_operation(ScalarOp::Mul, operands.to_vec(), OperationRole::Primary);
    };
    mul(&x, &exp);
    mul(&x, &y);
    mul(&y, &derived(ScalarOp::SinCos, &exp, 1));
    assert_snapshot!(verify(&builder.build()), @"
    error[dangling-external]: input y is not defined by this graph or a parent of it
      |
      |  %1 = mul @x, @y
      |               ^^
      = help: add the graph that computes it with `add_parent`

    error[dangling-external]: input y is not defined by this graph or a parent of it
      |
      |  %2 = mul @y, @1
      |           ^^
      = help: add the graph that computes it with `add_parent`

    error[dangling-external]: output 1 of SinCos is not defined by this graph or a parent of it
      |
      |  %2 = mul @y, @1
      |               ^^
      = help: add the graph that computes it with `add_parent`

    3 findings
    ");
}

thread_local! {
    /// How many operands and results a [`Fickle`] says that it has.
    static COUNTS: Cell<(usize, usize)> = const { Cell::new((1, 1)) };
    /// And how many results from the moment on that it is asked for their types.
    static LATER: Cell<usize> = const { Cell::new(1) };
}

/// An operation that answers otherwise when it is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fickle;

impl GraphOperation for Fickle {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        COUNTS.get().0
    }

    fn output_count(&self) -> usize {
        COUNTS.get().1
    }

    fn infer_types(
        &self,
        x: &[&ValueType],
    ) -> Result<Option<Vec<ValueType>>, Box<dyn Error + Send + Sync>> {
        COUNTS.set((1, LATER.get()));
        Ok(Some(vec![x[0].clone(); LATER.get()]))
    }
}

#[test]
fn operations_of_other_counts_than_before_are_found() {
    let mut graph = DenseGraph::new(1);
    let x = graph.input(0);
    let y = graph.push(Fickle, &[x]).unwrap().start();
    COUNTS.set((2, 3));
    let z = graph.push(Fickle, &[x, y]).unwrap().start();
    graph.set_outputs(vec![z]);
    assert_snapshot!(graph.verify(), @"
    error[arity]: this operation has 1 operands and 1 results, its type says 2 and 3
      |
      |  %1 = Fickle %0
      = help: `input_count` and `output_count` must not change from call to call

    1 finding
    ");
    COUNTS.set((1, 1));
    assert_snapshot!(graph.verify(), @"
    error[arity]: this operation has 2 operands and 3 results, its type says 1 and 1
      |
      |  %2, %3, %4 = Fickle %0, %1
      = help: `input_count` and `output_count` must not change from call to call

    1 finding
    ");
}

#[test]
fn types_of_more_values_than_there_are_are_found() {
    let mut graph = DenseGraph::of_types([ValueType::new("f64", [])], 0, 0);
    let x = graph.input(0);
    LATER.set(2);
    graph.push(Fickle, &[x]).unwrap();
    COUNTS.set((1, 1));
    assert_snapshot!(graph.verify(), @"
    error[types]: 3 values have types, but there are 2
      |
      |  dense {
      = help: `output_count` must not change from call to call

    1 finding
    ");
}

/// A value may be named by key in the very graph that defines it.
#[test]
fn a_graphs_own_values_do_not_dangle() {
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let x = builder.add_input("x".into());
    let exp = builder.add_operation(
        ScalarOp::Exp,
        vec![ValueRef::Local(x)],
        OperationRole::Primary,
    );
    let exp = ValueRef::External(builder.global_key(exp[0]).clone());
    builder.add_operation(ScalarOp::Neg, vec![exp], OperationRole::Primary);
    let graph = builder.build();
    assert_snapshot!(verify(&graph), @"no findings");
}

#[test]
fn all_findings_are_told_not_only_the_first() {
    let graph = graph(
        "graph {
            external @0 = exp @y
            input %0 = x
            input %1 = x
            %2 = masked 1 mul @0, %0
            %3 = sub @z, @z
            %4 = masked 111 neg %3
            output %4
        }",
    );
    let report = verify(&graph);
    let checks: Vec<_> = report.findings.iter().map(|found| found.check).collect();
    assert_eq!(
        checks,
        [
            "duplicate-input",
            "active-mask",
            "active-mask",
            "dangling-external",
            "dangling-external",
            "dangling-external",
        ]
    );
    assert_snapshot!(report, @"
    error[duplicate-input]: input %1 has the name of input %0
      |
      |  input %1 = x
      = help: use one input, or give each a name of its own

    error[active-mask]: the active mask has 1 flags for 2 operands
      |
      |  %2 = masked 1 mul @0, %0
      = help: give one flag per operand

    error[active-mask]: the active mask has 3 flags for 1 operands
      |
      |  %4 = masked 111 neg %3
      = help: give one flag per operand

    error[dangling-external]: output 0 of Exp is not defined by this graph or a parent of it
      |
      |  %2 = masked 1 mul @0, %0
      |                    ^^
      = help: add the graph that computes it with `add_parent`

    error[dangling-external]: input z is not defined by this graph or a parent of it
      |
      |  %3 = sub @z, @z
      |           ^^
      = help: add the graph that computes it with `add_parent`

    error[dangling-external]: input z is not defined by this graph or a parent of it
      |
      |  %3 = sub @z, @z
      |               ^^
      = help: add the graph that computes it with `add_parent`

    6 findings
    ");
}

// Linearity.

#[test]
fn products_of_tangents_are_found() {
    assert_snapshot!(linear("
        input %0 = d1.x
        input %1 = d1.y
        %2 = mul ~%0, ~%1
        output %2
    "), @"
    error[not-linear]: this operation is not linear in operands 0, 1 together
      |
      |  %2 = mul ~%0, ~%1
      |           ^^^  ^^^
      = help: emit one operation for each operand that it is linear in, and add them up

    1 finding
    ");
}

#[test]
fn operations_that_are_nowhere_linear_are_found() {
    assert_snapshot!(linear("
        input %0 = d1.x
        %1, %2 = sin_cos ~%0
        %3 = div @x, ~%2
        output %1
        output %3
    "), @"
    error[not-linear]: this operation is not linear in operand 0
      |
      |  %1, %2 = sin_cos ~%0
      |                   ^^^
      = help: emit operations that are linear

    error[not-linear]: this operation is not linear in operand 1
      |
      |  %3 = div @x, ~%2
      |               ^^^
      = help: mark a set of operands active in which it is declared linear

    2 findings
    ");
}

#[test]
fn a_sum_with_a_fixed_term_is_found() {
    assert_snapshot!(linear("
        residual @x
        input %0 = d1.x
        %1 = add @x, ~%0
        output %1
    "), @"
    error[not-linear]: this operation is not linear in operand 1
      |
      |  %1 = add @x, ~%0
      |               ^^^
      = help: it is linear in all operands together only: leave out those that are fixed

    1 finding
    ");
}

#[test]
fn tangents_in_inactive_operands_are_found() {
    assert_snapshot!(linear("
        input %0 = d1.x
        input %1 = d1.y
        %2 = mul ~%0, %1
        %3 = fixed neg %2
        output %3
    "), @"
    error[inactive-tangent]: an operand depends on a tangent but is not marked active
      |
      |  %2 = mul ~%0, %1
      |                ^^
      = help: mark it active if the operation is linear in it; use primal values as coefficients

    error[inactive-tangent]: an operand depends on a tangent but is not marked active
      |
      |  %3 = fixed neg %2
      |                 ^^
      = help: mark it active if the operation is linear in it; use primal values as coefficients

    2 findings
    ");
}

#[test]
fn tangents_in_primal_operations_are_found() {
    assert_snapshot!(linear("
        input %0 = d1.x
        %1 = exp @x
        %2 = mul %1, %0
        %3 = div %2, %2
        output %3
    "), @"
    error[primal-role]: this operation depends on a tangent but has the role of a primal operation
      |
      |  %2 = mul %1, %0
      |               ^^
      = help: emit it as `Linearized`, with the operands that it is linear in marked active

    error[primal-role]: this operation depends on a tangent but has the role of a primal operation
      |
      |  %3 = div %2, %2
      |           ^^  ^^
      = help: emit it as `Linearized`, with the operands that it is linear in marked active

    2 findings
    ");
}

#[test]
fn active_operands_that_are_no_tangents_are_found() {
    assert_snapshot!(linear("
        residual @0 = exp @x
        input %0 = d1.x
        %1 = const 1.0
        %2 = add ~%0, ~@0
        %3 = add ~%1, ~@x
        %4 = add ~%2, ~%3
        output %4
    "), @"
    error[affine]: an active operand does not depend on a tangent
      |
      |  %2 = add ~%0, ~@0
      |                ^^^
      = help: mark it inactive if it is a coefficient; leave it out if it is a zero tangent

    error[affine]: an active operand does not depend on a tangent
      |
      |  %3 = add ~%1, ~@x
      |           ^^^  ^^^
      = help: mark it inactive if it is a coefficient; leave it out if it is a zero tangent

    error[affine]: an active operand does not depend on a tangent
      |
      |  %4 = add ~%2, ~%3
      |                ^^^
      = help: mark it inactive if it is a coefficient; leave it out if it is a zero tangent

    3 findings
    ");
}

#[test]
fn outputs_that_are_no_tangents_are_found() {
    assert_snapshot!(linear("
        input %0 = d1.x
        %1 = fixed const 1.0
        %2 = neg ~%0
        output %2
        output zero
        output %1
        output %1
    "), @"
    error[affine]: output 2 does not depend on a tangent
      |
      |  output %1
      = help: return `None` for a tangent that is zero

    error[affine]: output 3 does not depend on a tangent
      |
      |  output %1
      = help: return `None` for a tangent that is zero

    2 findings
    ");
}

#[test]
fn all_faults_of_a_linear_map_are_told() {
    assert_snapshot!(linear("
        external @0 = exp @梯度
        residual @1 = neg @0
        input %0 = d1.x
        input %1 = d1.x
        %2 = mul ~%0, ~%1
        %3 = add ~%2, @1
        %4 = masked 1 mul %3, %3
        %5 = exp %4
        %6 = add ~@1, ~@\"two words\"
        output %6
    "), @r#"
    error[duplicate-input]: input %1 has the name of input %0
      |
      |  input %1 = d1.x
      = help: use one input, or give each a name of its own

    error[active-mask]: the active mask has 1 flags for 2 operands
      |
      |  %4 = masked 1 mul %3, %3
      = help: give one flag per operand

    error[not-linear]: this operation is not linear in operands 0, 1 together
      |
      |  %2 = mul ~%0, ~%1
      |           ^^^  ^^^
      = help: emit one operation for each operand that it is linear in, and add them up

    error[not-linear]: this operation is not linear in operand 0
      |
      |  %3 = add ~%2, @1
      |           ^^^
      = help: it is linear in all operands together only: leave out those that are fixed

    error[inactive-tangent]: an operand depends on a tangent but is not marked active
      |
      |  %4 = masked 1 mul %3, %3
      |                        ^^
      = help: mark it active if the operation is linear in it; use primal values as coefficients

    error[primal-role]: this operation depends on a tangent but has the role of a primal operation
      |
      |  %5 = exp %4
      |           ^^
      = help: emit it as `Linearized`, with the operands that it is linear in marked active

    error[affine]: an active operand does not depend on a tangent
      |
      |  %6 = add ~@1, ~@"two words"
      |           ^^^  ^^^^^^^^^^^^^
      = help: mark it inactive if it is a coefficient; leave it out if it is a zero tangent

    error[affine]: output 0 does not depend on a tangent
      |
      |  output %6
      = help: return `None` for a tangent that is zero

    8 findings
    "#);
}

/// A graph in which names are wide and take more bytes than characters: carets stand by character.
#[test]
fn carets_stand_under_operands() {
    let report = linear("residual @梯度\n input %0 = d1.x\n %1 = sub @梯度, ~%0\n output %1");
    let line = report.findings[0].to_string();
    let [.., text, carets, _] = line.lines().collect::<Vec<_>>()[..] else {
        panic!("{line}");
    };
    let under: String = (text.chars().zip(carets.chars()))
        .filter_map(|(c, caret)| (caret == '^').then_some(c))
        .collect();
    assert_eq!(under, "~%0");
}

#[test]
fn findings_can_be_read_by_programs() {
    let report = linear("input %0 = d1.x\n %1 = neg ~%0\n %2 = mul ~%0, ~%1\n output %2");
    let [finding] = &report.findings[..] else {
        panic!("{report}");
    };
    assert_eq!(finding.check, "not-linear");
    assert_eq!(finding.operation, Some(1));
    assert_eq!(finding.operands, [0, 1]);
    assert_eq!(finding.line.text, "%2 = mul ~%0, ~%1");
    assert!(!report.is_clean());
}

// What is right.

#[test]
fn random_graphs_and_their_derivatives_are_clean() {
    let mut random = Random(5);
    for _ in 0..300 {
        let first = wild_problem(&mut random);
        let t = vec![0.0; first.wrt.len()];
        let c = vec![0.0; first.outputs.len()];
        for problem in [first.forward(&t), first.reverse(&c), first] {
            let linear = problem.linearize();
            let transposed = problem.transpose(&linear);
            let twice = problem.transpose(&transposed);
            for map in [linear, transposed, twice] {
                assert_clean(&verify_linear(&map));
                assert_clean(&verify(map.as_graph()));
                let parsed: LinearizedGraph<ScalarOp> = map.to_string().parse().unwrap();
                assert_clean(&verify_linear(&parsed));
            }
            // Roots that are not each other's parents only make sense together.
            let mut all = GraphBuilder::<ScalarOp>::new();
            problem
                .roots
                .iter()
                .for_each(|root| all.add_parent(Arc::clone(root)));
            for key in problem.outputs.iter().flatten() {
                let operand = vec![ValueRef::External(key.clone())];
                all.add_operation(ScalarOp::Neg, operand, OperationRole::Primary);
            }
            assert_clean(&verify(&all.build()));
        }
    }
}

#[track_caller]
fn assert_clean(report: &Report) {
    assert_eq!(report.to_string(), "no findings");
}

// Rules that emit what is not linear.

/// An operation of one operand whose rules do as they are told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Rogue {
    Add,
    Mul,
    Exp,
    /// Its JVP rule is wrong.
    Jvp(Fault),
    /// Linear; its transpose rule is wrong.
    Transpose(Fault),
    /// Nothing is declared of it.
    Undeclared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    /// t·t
    Square,
    /// eᵗ
    Exponential,
    /// t + x
    Shift,
    /// x·t, t not being marked active
    Inactive,
    /// x·t with the role of a primal operation
    Primal,
    /// e⁰
    Constant,
    /// An operation that says nothing of itself
    Undeclared,
}

impl GraphOperation for Rogue {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Rogue::Add | Rogue::Mul => 2,
            Rogue::Exp | Rogue::Jvp(_) | Rogue::Transpose(_) | Rogue::Undeclared => 1,
        }
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl Fault {
    /// Emits a map of t that is not linear, or not said to be, at x.
    fn emit(
        self,
        builder: &mut impl PrimitiveBuilder<Rogue>,
        t: LocalValueId,
        x: PrimitiveValue<Rogue>,
    ) -> LocalValueId {
        use RuleOperand::{Active, Fixed};
        let t_as_coefficient = PrimitiveValue::Local(t);
        match self {
            Fault::Square => builder.emit_linear(Rogue::Mul, [Active(t), Active(t)]),
            Fault::Exponential => builder.emit_linear(Rogue::Exp, [Active(t)]),
            Fault::Shift => builder.emit_linear(Rogue::Add, [Active(t), Fixed(x)]),
            Fault::Inactive => builder.emit_linear(Rogue::Mul, [Fixed(x), Fixed(t_as_coefficient)]),
            Fault::Primal => {
                let operands = vec![x, t_as_coefficient];
                builder.add_primitive(Rogue::Mul, operands, OperationRole::Primary)[0]
            }
            Fault::Constant => builder.emit_linear(Rogue::Exp, [Fixed(x)]),
            Fault::Undeclared => builder.emit_linear(Rogue::Undeclared, [Active(t)]),
        }
    }
}

impl Primitive for Rogue {
    type ADContext = ();

    fn add() -> Self {
        Rogue::Add
    }

    fn linearity(&self) -> Linearity {
        match self {
            Rogue::Add | Rogue::Transpose(_) => Linearity::Joint,
            Rogue::Mul => Linearity::Each,
            Rogue::Exp | Rogue::Jvp(_) => Linearity::Never,
            Rogue::Undeclared => Linearity::Undeclared,
        }
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let t = dx[0].expect("called with a tangent");
        let x = PrimitiveValue::External(x[0].clone());
        vec![Some(match self {
            Rogue::Jvp(fault) => fault.emit(builder, t, x),
            linear => builder.emit_linear(linear.clone(), [RuleOperand::Active(t)]),
        })]
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
            Rogue::Transpose(fault) => {
                let ct = ct[0].expect("called with a cotangent");
                vec![Some(fault.emit(builder, ct, x[0].clone()))]
            }
            _ => vec![ct[0]; x.len()],
        }
    }
}

fn linearized(op: Rogue) -> Result<LinearizedGraph<Rogue>, ADRuleError> {
    let mut builder = GraphBuilder::new();
    let x = ValueRef::Local(builder.add_input("x".into()));
    let y = builder.add_operation(op, vec![x], OperationRole::Primary);
    let key = builder.global_key(y[0]).clone();
    let view = resolve(vec![Arc::new(builder.build())]);
    try_linearize(&view, &[key], &["x".into()], 1, &mut (), &HashMap::new())
}

const FAULTS: [Fault; 6] = [
    Fault::Square,
    Fault::Exponential,
    Fault::Shift,
    Fault::Inactive,
    Fault::Primal,
    Fault::Constant,
];

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds verify on demand")]
fn jvp_rules_that_are_not_linear_are_named() {
    let mut texts = String::new();
    for fault in FAULTS {
        let error = linearized(Rogue::Jvp(fault)).unwrap_err();
        assert!(matches!(error, ADRuleError::Unverified { .. }), "{error}");
        assert_eq!(error.rule(), ADRuleKind::Jvp);
        texts += &format!("{error}\n\n");
    }
    assert_snapshot!(texts, @"
    the derived graph is not linear:
    error[not-linear]: this operation is not linear in operands 0, 1 together
      |
      |  %1 = Mul ~%0, ~%0
      |           ^^^  ^^^
      = note: emitted by the jvp rule of Jvp(Square)
      = help: emit one operation for each operand that it is linear in, and add them up

    1 finding

    the derived graph is not linear:
    error[not-linear]: this operation is not linear in operand 0
      |
      |  %1 = Exp ~%0
      |           ^^^
      = note: emitted by the jvp rule of Jvp(Exponential)
      = help: emit operations that are linear

    1 finding

    the derived graph is not linear:
    error[not-linear]: this operation is not linear in operand 0
      |
      |  %1 = Add ~%0, @x
      |           ^^^
      = note: emitted by the jvp rule of Jvp(Shift)
      = help: it is linear in all operands together only: leave out those that are fixed

    1 finding

    the derived graph is not linear:
    error[inactive-tangent]: an operand depends on a tangent but is not marked active
      |
      |  %1 = fixed Mul @x, %0
      |                     ^^
      = note: emitted by the jvp rule of Jvp(Inactive)
      = help: mark it active if the operation is linear in it; use primal values as coefficients

    1 finding

    the derived graph is not linear:
    error[primal-role]: this operation depends on a tangent but has the role of a primal operation
      |
      |  %1 = Mul @x, %0
      |               ^^
      = note: emitted by the jvp rule of Jvp(Primal)
      = help: emit it as `Linearized`, with the operands that it is linear in marked active

    1 finding

    the derived graph is not linear:
    error[affine]: output 0 does not depend on a tangent
      |
      |  output %1
      = note: emitted by the jvp rule of Jvp(Constant)
      = help: return `None` for a tangent that is zero

    1 finding
    ");
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "release builds verify on demand")]
fn transpose_rules_that_are_not_linear_are_named() {
    let mut texts = String::new();
    for fault in FAULTS {
        let linear = linearized(Rogue::Transpose(fault)).unwrap();
        let error = try_linear_transpose(&linear, &mut ()).unwrap_err();
        assert!(matches!(error, ADRuleError::Unverified { .. }), "{error}");
        assert_eq!(error.rule(), ADRuleKind::Transpose);
        texts += &format!("{error}\n\n");
    }
    assert_snapshot!(texts, @"
    the derived graph is not linear:
    error[not-linear]: this operation is not linear in operands 0, 1 together
      |
      |  %1 = Mul ~%0, ~%0
      |           ^^^  ^^^
      = note: emitted by the transpose rule of Transpose(Square)
      = help: emit one operation for each operand that it is linear in, and add them up

    1 finding

    the derived graph is not linear:
    error[not-linear]: this operation is not linear in operand 0
      |
      |  %1 = Exp ~%0
      |           ^^^
      = note: emitted by the transpose rule of Transpose(Exponential)
      = help: emit operations that are linear

    1 finding

    the derived graph is not linear:
    error[not-linear]: this operation is not linear in operand 0
      |
      |  %1 = Add ~%0, @d1.x
      |           ^^^
      = note: emitted by the transpose rule of Transpose(Shift)
      = help: it is linear in all operands together only: leave out those that are fixed

    1 finding

    the derived graph is not linear:
    error[inactive-tangent]: an operand depends on a tangent but is not marked active
      |
      |  %1 = fixed Mul @d1.x, %0
      |                        ^^
      = note: emitted by the transpose rule of Transpose(Inactive)
      = help: mark it active if the operation is linear in it; use primal values as coefficients

    1 finding

    the derived graph is not linear:
    error[primal-role]: this operation depends on a tangent but has the role of a primal operation
      |
      |  %1 = Mul @d1.x, %0
      |                  ^^
      = note: emitted by the transpose rule of Transpose(Primal)
      = help: emit it as `Linearized`, with the operands that it is linear in marked active

    1 finding

    the derived graph is not linear:
    error[affine]: output 0 does not depend on a tangent
      |
      |  output %1
      = note: emitted by the transpose rule of Transpose(Constant)
      = help: return `None` for a tangent that is zero

    1 finding
    ");
}

/// Release builds do not look, but can be asked to.
#[test]
#[cfg(not(debug_assertions))]
fn rules_that_are_not_linear_are_found_on_demand() {
    for fault in FAULTS {
        let linear = linearized(Rogue::Jvp(fault)).unwrap();
        assert_eq!(verify_linear(&linear).findings.len(), 1);
    }
}

#[test]
fn operations_that_declare_nothing_are_believed() {
    for op in [Rogue::Undeclared, Rogue::Jvp(Fault::Undeclared)] {
        let linear = linearized(op).unwrap();
        assert_clean(&verify_linear(&linear));
    }
}
