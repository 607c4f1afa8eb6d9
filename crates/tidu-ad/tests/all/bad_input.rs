//! Whatever a caller or a rule gets wrong is a typed error that names primitive, rule and place, and
//! the short form says the same.

use std::collections::HashMap;
use std::sync::Arc;

use crate::support::{
    Calls, FOREIGN, Fault, Key, Naming, OutOfLuck, Probe, apply, break_add, output_keys,
    panic_text, set_naming,
};
use tidu_ad::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, LinearizedGraph, PrimitiveBuilder,
    PrimitiveValue, linear_transpose, linearize, try_linear_transpose,
    try_linear_transpose_with_builder, try_linearize,
};
use tidu_graph::{
    GraphBuilder, GraphError, LocalValueId, OperationRole, ResolvedView, ValueKey, ValueRef,
    materialize_merge, resolve,
};

use ADRuleKind::{Jvp, Transpose};

type Value = ValueKey<Probe>;
type Aliases = HashMap<Key, Value>;

fn input(number: usize) -> Value {
    ValueKey::Input(Key::Input(number))
}

/// What to differentiate, and how.
struct Case {
    view: ResolvedView<Probe>,
    outputs: Vec<Value>,
    wrt: Vec<Key>,
    pass: DiffPassId,
    aliases: Aliases,
}

impl Case {
    /// The outputs that `build` makes of inputs 0, 1 and 2, by inputs 0 and 1, in pass 1.
    fn new(
        build: impl FnOnce(&mut GraphBuilder<Probe>, [LocalValueId; 3]) -> Vec<LocalValueId>,
    ) -> Self {
        let mut builder = GraphBuilder::new();
        let inputs = [0, 1, 2].map(|number| builder.add_input(Key::Input(number)));
        let outputs = build(&mut builder, inputs);
        builder.set_outputs(outputs);
        let graph = builder.build();
        Self {
            outputs: output_keys(&graph),
            view: resolve(vec![Arc::new(graph)]),
            wrt: vec![Key::Input(0), Key::Input(1)],
            pass: 1,
            aliases: HashMap::new(),
        }
    }

    /// x₁·op(sin x₀)
    fn of(op: Probe) -> Self {
        Self::new(|b, [x, y, _]| {
            let sin = apply(b, Probe::Sin, &[x])[0];
            let op = apply(b, op, &[sin])[0];
            apply(b, Probe::Mul, &[y, op])
        })
    }

    fn linearize(&self) -> ADRuleResult<LinearizedGraph<Probe>> {
        let Self {
            view,
            outputs,
            wrt,
            pass,
            aliases,
        } = self;
        try_linearize(view, outputs, wrt, *pass, &mut Calls::default(), aliases)
    }

    /// Asserts that linearization fails so, and that the short form says the same.
    fn check_linearize(&self, error: &ADRuleError, text: &str) {
        let result = self.linearize();
        assert_eq!(&result.expect_err("linearization must fail"), error);
        assert_eq!(error.to_string(), text);
        assert_eq!(error.rule(), Jvp);
        let Self {
            view,
            outputs,
            wrt,
            pass,
            aliases,
        } = self;
        let panic =
            panic_text(|| linearize(view, outputs, wrt, *pass, &mut Calls::default(), aliases));
        assert_eq!(panic, text);
    }

    /// Asserts that transposition fails so, and that the other two forms say the same.
    fn check_transpose(&self, error: &ADRuleError, text: &str) {
        let linear = self.linearize().expect("linearization is sound");
        let result = try_linear_transpose(&linear, &mut Calls::default());
        assert_eq!(&result.expect_err("transposition must fail"), error);
        assert_eq!(error.to_string(), text);
        assert_eq!(error.rule(), Transpose);
        let panic = panic_text(|| linear_transpose(&linear, &mut Calls::default()));
        assert_eq!(panic, text);
    }
}

fn faulty(fault: Fault) -> String {
    format!("Faulty({fault:?})")
}

#[test]
fn a_sound_case_passes() {
    let case = Case::of(Probe::Sin);
    let linear = case.linearize().expect("nothing is wrong");
    assert!(try_linear_transpose(&linear, &mut Calls::default()).is_ok());
}

#[test]
fn wrong_number_of_values_from_a_jvp_rule() {
    for found in [0, 2, 5] {
        let fault = Fault::JvpReturns(found);
        Case::of(Probe::Faulty(fault)).check_linearize(
            &ADRuleError::WrongRuleResultCount {
                op: faulty(fault),
                rule: Jvp,
                expected: 1,
                found,
            },
            &format!(
                "the jvp rule of Faulty(JvpReturns({found})) must return 1 values, found {found}"
            ),
        );
    }
}

#[test]
fn wrong_number_of_values_from_a_transpose_rule() {
    for found in [0, 2, 5] {
        let fault = Fault::TransposeReturns(found);
        Case::of(Probe::Faulty(fault)).check_transpose(
            &ADRuleError::WrongRuleResultCount {
                op: faulty(fault),
                rule: Transpose,
                expected: 1,
                found,
            },
            &format!(
                "the transpose rule of Faulty(TransposeReturns({found})) \
                 must return 1 values, found {found}"
            ),
        );
    }
}

#[test]
fn an_id_that_a_rule_did_not_make() {
    let cases = [
        (Fault::JvpReturnsForeignId, Jvp, "result 0"),
        (Fault::JvpUsesForeignId, Jvp, "operand 1 of Add"),
        (Fault::TransposeReturnsForeignId, Transpose, "result 0"),
        (Fault::TransposeUsesForeignId, Transpose, "operand 0 of Add"),
    ];
    for (fault, rule, place) in cases {
        let error = ADRuleError::UnknownRuleValue {
            op: faulty(fault),
            rule,
            place: place.into(),
            id: FOREIGN,
        };
        let text = format!(
            "the {rule} rule of Faulty({fault:?}) uses local value %1099511627776 as {place}, \
             but was neither given nor made it"
        );
        let case = Case::of(Probe::Faulty(fault));
        match rule {
            Jvp => case.check_linearize(&error, &text),
            _ => case.check_transpose(&error, &text),
        }
    }
}

#[test]
fn an_operation_that_cannot_stand_in_a_graph() {
    let block = "Block { inputs: 1, outputs: 257 }";
    let cases = [
        (
            Fault::JvpEmitsWrongArity,
            GraphError::WrongArity {
                operation: "Add".into(),
                expected: 2,
                found: 1,
            },
            "Add takes 2 operands, found 1".to_string(),
        ),
        (
            Fault::TransposeEmitsWrongArity,
            GraphError::WrongArity {
                operation: "Add".into(),
                expected: 2,
                found: 3,
            },
            "Add takes 2 operands, found 3".into(),
        ),
        (
            Fault::JvpEmitsTooManyOutputs,
            GraphError::TooManyOutputs {
                operation: block.into(),
                found: 257,
                limit: 256,
            },
            format!("{block} has 257 outputs, the limit is 256"),
        ),
        (
            Fault::TransposeEmitsTooManyOutputs,
            GraphError::TooManyOutputs {
                operation: block.into(),
                found: 257,
                limit: 256,
            },
            format!("{block} has 257 outputs, the limit is 256"),
        ),
        (
            Fault::JvpUsesUnknownSlot,
            GraphError::UnknownOutputSlot {
                operation: "Sin".into(),
                slot: 9,
                outputs: 1,
            },
            "Sin has 1 output, there is no output slot 9".into(),
        ),
    ];
    for (fault, source, text) in cases {
        let rule = match format!("{fault:?}").contains("Jvp") {
            true => Jvp,
            false => Transpose,
        };
        let error = ADRuleError::InvalidEmission {
            op: faulty(fault),
            rule,
            source,
        };
        let text = format!("the {rule} rule of Faulty({fault:?}) emits a wrong operation: {text}");
        let case = Case::of(Probe::Faulty(fault));
        match rule {
            Jvp => case.check_linearize(&error, &text),
            _ => case.check_transpose(&error, &text),
        }
    }
}

#[test]
fn an_active_mask_of_the_wrong_length() {
    for (fault, rule, found) in [
        (Fault::JvpEmitsWrongMask, Jvp, 3),
        (Fault::TransposeEmitsWrongMask, Transpose, 1),
    ] {
        let error = ADRuleError::WrongActiveMask {
            op: faulty(fault),
            rule,
            emitted: "Add".into(),
            expected: 2,
            found,
        };
        let text = format!(
            "the {rule} rule of Faulty({fault:?}) emits Add \
             with an active mask of {found} flags, expected 2"
        );
        let case = Case::of(Probe::Faulty(fault));
        match rule {
            Jvp => case.check_linearize(&error, &text),
            _ => case.check_transpose(&error, &text),
        }
    }
}

#[test]
fn a_tangent_in_an_operand_that_is_not_marked_active() {
    // ẋ₀, ẋ₁, the cosine, its product with ẋ₀, and then the faulty product %4 of that with itself.
    Case::of(Probe::Faulty(Fault::JvpHidesActivity)).check_transpose(
        &ADRuleError::NotLinear {
            op: "Mul".into(),
            value: 4,
            reason: "operand 1, %3, depends on a tangent but is not marked active".into(),
        },
        "cannot transpose Mul, which makes %4: \
         operand 1, %3, depends on a tangent but is not marked active",
    );
}

#[test]
fn a_primal_operation_on_a_tangent() {
    Case::of(Probe::Faulty(Fault::JvpEmitsPrimary)).check_transpose(
        &ADRuleError::NotLinear {
            op: "Add".into(),
            value: 4,
            reason: "it has the role of a primal operation".into(),
        },
        "cannot transpose Add, which makes %4: it has the role of a primal operation",
    );
}

#[test]
fn a_missing_rule() {
    Case::of(Probe::Faulty(Fault::NoJvp)).check_linearize(
        &ADRuleError::unsupported("faulty", Jvp),
        "unsupported jvp AD rule for faulty",
    );
    Case::of(Probe::Faulty(Fault::NoTranspose)).check_transpose(
        &ADRuleError::unsupported("faulty", Transpose),
        "unsupported transpose AD rule for faulty",
    );
}

#[test]
fn an_error_of_a_rule_s_own() {
    let jvp = Case::of(Probe::Faulty(Fault::JvpFails));
    jvp.check_linearize(
        &ADRuleError::runtime(OutOfLuck("jvp"), Jvp),
        "the jvp rule ran out of luck",
    );
    let Err(ADRuleError::Runtime { source, .. }) = jvp.linearize() else {
        panic!("the rule's own error is carried through");
    };
    assert_eq!(
        source.downcast_ref().map(|OutOfLuck(rule)| *rule),
        Some("jvp")
    );
    assert!(source.downcast_ref::<GraphError>().is_none());
    Case::of(Probe::Faulty(Fault::TransposeFails)).check_transpose(
        &ADRuleError::runtime(OutOfLuck("transpose"), Transpose),
        "the transpose rule ran out of luck",
    );
}

#[test]
fn an_addition_that_is_none() {
    // The cotangent of sin x₀ comes from both products, so there is something to add.
    let case = Case::new(|b, [x, y, z]| {
        let sin = apply(b, Probe::Sin, &[x])[0];
        vec![
            apply(b, Probe::Mul, &[sin, y])[0],
            apply(b, Probe::Mul, &[sin, z])[0],
        ]
    });
    let linear = case.linearize().expect("linearization is sound");
    break_add();
    let error = ADRuleError::InvalidAdd {
        op: "Sin".into(),
        inputs: 1,
        outputs: 1,
    };
    let result = try_linear_transpose(&linear, &mut Calls::default());
    assert_eq!(result.expect_err("a sine adds nothing"), error);
    let text = "`Primitive::add` must be an operation of 2 operands and 1 result, \
                but Sin has 1 and 1";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.rule(), Transpose);
    let panic = panic_text(|| linear_transpose(&linear, &mut Calls::default()));
    assert_eq!(panic, text);
}

#[test]
fn an_unknown_output() {
    let mut case = Case::of(Probe::Sin);
    case.outputs.push(input(7));
    case.check_linearize(
        &ADRuleError::Graph {
            rule: Jvp,
            source: GraphError::UnknownOutput {
                position: 1,
                key: "input Input(7)".into(),
            },
        },
        "requested output 1, input Input(7), is not defined by any graph of the view: \
         pass the graph that computes it to `resolve`",
    );
}

#[test]
fn an_external_operand_that_nothing_defines() {
    let case = Case::new(|b, [x, y, _]| {
        let operands = vec![ValueRef::Local(x), ValueRef::External(input(7))];
        let product = b.add_operation(Probe::Mul, operands, OperationRole::Primary)[0];
        apply(b, Probe::Add, &[y, product])
    });
    case.check_linearize(
        &ADRuleError::Graph {
            rule: Jvp,
            source: GraphError::UndefinedValue {
                operation: "Mul".into(),
                operand: 1,
                key: "input Input(7)".into(),
            },
        },
        "operand 1 of Mul is input Input(7), which no graph of the view defines: \
         pass the graph that computes it to `resolve`, or add it as a parent",
    );
}

#[test]
fn an_external_result_that_nothing_defines() {
    let elsewhere = Case::of(Probe::Sin).outputs.remove(0);
    // Also where no tangent reaches: a wrong zero is a wrong number.
    for wrt in [vec![Key::Input(0)], vec![Key::Input(2)], vec![]] {
        let mut case = Case::new(|b, [x, ..]| {
            let operands = vec![ValueRef::External(elsewhere.clone()), ValueRef::Local(x)];
            b.add_operation(Probe::Add, operands, OperationRole::Primary)
        });
        case.wrt = wrt;
        case.check_linearize(
            &ADRuleError::Graph {
                rule: Jvp,
                source: GraphError::UndefinedValue {
                    operation: "Add".into(),
                    operand: 0,
                    key: "output 0 of Mul".into(),
                },
            },
            "operand 0 of Add is output 0 of Mul, which no graph of the view defines: \
             pass the graph that computes it to `resolve`, or add it as a parent",
        );
    }
}

#[test]
fn an_input_listed_twice() {
    let mut case = Case::of(Probe::Sin);
    case.wrt = vec![Key::Input(1), Key::Input(0), Key::Input(1)];
    case.check_linearize(
        &ADRuleError::RepeatedInput {
            position: 2,
            key: "Input(1)".into(),
        },
        "input Input(1) is listed twice among those to differentiate by, again at position 2",
    );
}

/// The tangents of `first`, as a function to differentiate once more.
fn second_order(first: &Case) -> Case {
    let linear = Arc::new(
        first
            .linearize()
            .expect("the first pass is sound")
            .into_graph(),
    );
    let outputs = output_keys(&linear);
    Case {
        view: resolve(vec![linear]),
        outputs,
        wrt: first.wrt.clone(),
        pass: first.pass,
        aliases: HashMap::new(),
    }
}

/// sin would need the derivative of cos, which a probe does not have.
fn product() -> Case {
    Case::new(|b, [x, y, _]| apply(b, Probe::Mul, &[x, y]))
}

#[test]
fn a_pass_that_is_in_use() {
    let mut again = second_order(&product());
    again.check_linearize(
        &ADRuleError::PassReused {
            pass: 1,
            key: "Tangent(Input(0), 1)".into(),
        },
        "pass 1 is in use: the graph has an input Tangent(Input(0), 1) already; \
         give each linearization a pass id of its own",
    );
    again.pass = 2;
    assert!(again.linearize().is_ok());

    // Also through the seeds of a transposition: reverse over reverse.
    let first = product();
    let linear = first.linearize().expect("sound");
    let transposed = linear_transpose(&linear, &mut Calls::default());
    let transposed = Arc::new(transposed.into_graph());
    let outputs = output_keys(&transposed);
    let mut again = Case {
        view: resolve(vec![transposed, Arc::new(linear.into_graph())]),
        outputs,
        ..first
    };
    assert!(matches!(
        again.linearize(),
        Err(ADRuleError::PassReused { pass: 1, .. })
    ));
    again.pass = 2;
    assert!(again.linearize().is_ok());
}

#[test]
fn a_pass_whose_seed_is_in_use() {
    // A graph with the transposed map alone: no tangent of pass 1 is left in it, but a seed is.
    let first = product();
    let linear = first.linearize().expect("sound");
    let transposed = linear_transpose(&linear, &mut Calls::default()).into_graph();
    let mut builder = GraphBuilder::new();
    for &id in transposed.inputs() {
        let ValueKey::Input(key) = &transposed.values()[id].key else {
            unreachable!("an input is an input");
        };
        builder.add_input(key.clone());
    }
    let x = builder.add_input(Key::Input(0));
    let outputs = apply(&mut builder, Probe::Mul, &[0, x]);
    builder.set_outputs(outputs);
    let graph = builder.build();
    let again = Case {
        outputs: output_keys(&graph),
        view: resolve(vec![Arc::new(graph)]),
        ..first
    };
    again.check_linearize(
        &ADRuleError::PassReused {
            pass: 1,
            key: "Seed(Tangent(Input(0), 1), 0)".into(),
        },
        "pass 1 is in use: the graph has an input Seed(Tangent(Input(0), 1), 0) already; \
         give each linearization a pass id of its own",
    );
}

#[test]
fn a_reserved_pass() {
    for pass in [1 << 63, u64::MAX] {
        let mut case = Case::of(Probe::Sin);
        case.pass = pass;
        case.check_linearize(
            &ADRuleError::ReservedPass { pass },
            &format!("pass {pass} is reserved for cotangent seeds: use values below 2^63"),
        );
        case.pass = (1 << 63) - 1;
        assert!(case.linearize().is_ok());
    }
}

#[test]
fn a_key_type_that_ignores_the_pass() {
    set_naming(Naming::IgnoresPass);
    let mut again = second_order(&product());
    again.pass = 2;
    let result = again.linearize();
    assert_eq!(
        result.expect_err("the tangents have the same names"),
        ADRuleError::PassReused {
            pass: 2,
            key: "Tangent(Input(0), 0)".into(),
        }
    );
}

#[test]
fn a_key_type_that_ignores_the_input() {
    set_naming(Naming::IgnoresInput);
    Case::of(Probe::Sin).check_linearize(
        &ADRuleError::NameCollision {
            rule: Jvp,
            key: "Tangent(Input(0), 1)".into(),
        },
        "the key type gives the name Tangent(Input(0), 1) to two different jvp inputs: \
         `tangent_of` and `cotangent_of` must be injective",
    );
}

#[test]
fn a_key_type_that_ignores_the_output() {
    set_naming(Naming::IgnoresOutput);
    let case = Case::new(|_, [x, y, _]| vec![x, y]);
    case.check_transpose(
        &ADRuleError::NameCollision {
            rule: Transpose,
            key: "Seed(Tangent(Input(0), 1), 0)".into(),
        },
        "the key type gives the name Seed(Tangent(Input(0), 1), 0) to two different transpose inputs: \
         `tangent_of` and `cotangent_of` must be injective",
    );
}

#[test]
fn a_key_type_that_names_a_seed_like_its_tangent() {
    set_naming(Naming::SeedIsTangent);
    Case::of(Probe::Sin).check_transpose(
        &ADRuleError::NameCollision {
            rule: Transpose,
            key: "Tangent(Input(0), 1)".into(),
        },
        "the key type gives the name Tangent(Input(0), 1) to two different transpose inputs: \
         `tangent_of` and `cotangent_of` must be injective",
    );
}

#[test]
fn an_unknown_alias_target() {
    let mut case = Case::of(Probe::Sin);
    case.wrt = vec![Key::Input(0)];
    case.aliases = Aliases::from([(Key::Input(1), input(7))]);
    case.check_linearize(
        &ADRuleError::UnknownAliasTarget {
            input: "Input(1)".into(),
            target: "input Input(7)".into(),
        },
        "input Input(1) is an alias of input Input(7), which no graph of the view defines",
    );
    case.aliases = Aliases::from([(Key::Input(1), Case::of(Probe::Cos).outputs.remove(0))]);
    case.check_linearize(
        &ADRuleError::UnknownAliasTarget {
            input: "Input(1)".into(),
            target: "output 0 of Mul".into(),
        },
        "input Input(1) is an alias of output 0 of Mul, which no graph of the view defines",
    );
    // An alias that no output needs is not looked at.
    case.aliases = Aliases::from([(Key::Input(2), input(7))]);
    assert!(case.linearize().is_ok());
}

#[test]
fn an_alias_cycle() {
    let error = |number: usize| ADRuleError::AliasCycle {
        input: format!("Input({number})"),
    };
    let text =
        |number: usize| format!("input Input({number}) is an alias of a value that depends on it");
    let mut case = Case::of(Probe::Sin);
    case.wrt = vec![Key::Input(0)];
    // Of itself, through another input, and through what is computed from it.
    case.aliases = Aliases::from([(Key::Input(1), input(1))]);
    case.check_linearize(&error(1), &text(1));
    case.aliases = Aliases::from([(Key::Input(1), input(2)), (Key::Input(2), input(1))]);
    case.check_linearize(&error(1), &text(1));
    case.aliases = Aliases::from([(Key::Input(1), case.outputs[0].clone())]);
    case.check_linearize(&error(1), &text(1));
}

#[test]
fn an_alias_that_could_be_a_cycle_but_is_none() {
    let mut case = Case::of(Probe::Sin);
    // An input to differentiate by keeps its own tangent.
    case.aliases = Aliases::from([(Key::Input(0), case.outputs[0].clone())]);
    assert!(case.linearize().is_ok());
    // Input 1 is input 2 is input 0.
    case.wrt = vec![Key::Input(0)];
    case.aliases = Aliases::from([(Key::Input(1), input(2)), (Key::Input(2), input(0))]);
    let linear = case.linearize().expect("there is no cycle");
    assert!(linear.tangent_outputs()[0].is_some());
}

/// Numbers values, and forgets or invents one.
struct WrongBuilder {
    values: usize,
    too_many: bool,
}

impl PrimitiveBuilder<Probe> for WrongBuilder {
    fn add_primitive(
        &mut self,
        _op: Probe,
        _inputs: Vec<PrimitiveValue<Probe>>,
        _role: OperationRole,
    ) -> Vec<LocalValueId> {
        self.values += 2;
        match self.too_many {
            true => vec![self.values - 2, self.values - 1],
            false => vec![],
        }
    }
}

#[test]
fn a_builder_that_returns_the_wrong_number_of_ids() {
    let linear = Case::of(Probe::Sin).linearize().expect("sound");
    for too_many in [false, true] {
        let mut builder = WrongBuilder {
            values: 1,
            too_many,
        };
        let result = try_linear_transpose_with_builder(
            &linear,
            &mut builder,
            &[Some(0)],
            &mut Calls::default(),
        );
        let found = if too_many { 2 } else { 0 };
        let error = result.expect_err("one id is missing or too much");
        assert_eq!(
            error,
            ADRuleError::WrongBuilderResultCount {
                op: "Mul".into(),
                rule: Transpose,
                expected: 1,
                found,
            }
        );
        assert_eq!(
            error.to_string(),
            format!(
                "the builder must return 1 ids for an operation that the transpose rule of Mul \
                 emits, found {found}"
            )
        );
    }
}

#[test]
fn the_wrong_number_of_seeds() {
    let case = Case::new(|b, [x, y, z]| {
        // The middle one is no active output, so it takes no seed.
        let of_z = apply(b, Probe::Sin, &[z])[0];
        vec![
            apply(b, Probe::Sin, &[x])[0],
            of_z,
            apply(b, Probe::Sin, &[y])[0],
        ]
    });
    let linear = case.linearize().expect("sound");
    assert_eq!(linear.as_graph().outputs().len(), 2);
    for found in [0, 1, 3] {
        let mut builder = GraphBuilder::<Probe>::new();
        let seed = builder.add_input(Key::Input(9));
        let mut calls = Calls::default();
        let seeds = vec![Some(seed); found];
        let result = try_linear_transpose_with_builder(&linear, &mut builder, &seeds, &mut calls);
        let error = result.expect_err("two seeds are needed");
        assert_eq!(error, ADRuleError::WrongSeedCount { expected: 2, found });
        assert_eq!(
            error.to_string(),
            format!("the linear graph has 2 active outputs, found {found} cotangent seeds")
        );
        assert_eq!(error.rule(), Transpose);
        assert_eq!((calls.transpose, builder.operations().len()), (0, 0));
    }
}

#[test]
fn inputs_that_no_output_depends_on_are_no_error() {
    let mut case = Case::of(Probe::Sin);
    // Input 2 stands in the graph but is not used; input 7 stands in no graph.
    case.wrt = vec![Key::Input(2), Key::Input(0), Key::Input(7)];
    let linear = case.linearize().expect("an unused input is no error");
    let names: Vec<_> = linear.tangent_inputs().iter().map(|(key, _)| key).collect();
    assert_eq!(names, case.wrt.iter().collect::<Vec<_>>());
    assert!(linear.tangent_outputs()[0].is_some());
    let transposed = linear_transpose(&linear, &mut Calls::default());
    let zeros: Vec<_> = transposed
        .tangent_outputs()
        .iter()
        .map(Option::is_none)
        .collect();
    assert_eq!(zeros, [true, false, true]);
    assert_eq!(transposed.as_graph().outputs().len(), 1);

    // Nothing at all depends on them.
    case.wrt = vec![Key::Input(2), Key::Input(7)];
    let linear = case.linearize().expect("an unused input is no error");
    assert_eq!(linear.tangent_outputs(), [None]);
    assert!(linear.as_graph().outputs().is_empty());
    let transposed = linear_transpose(&linear, &mut Calls::default());
    assert_eq!(transposed.tangent_outputs(), [None, None]);
    assert!(transposed.tangent_inputs().is_empty());

    // Nobody asks.
    case.wrt = vec![];
    let linear = case.linearize().expect("no input is no error");
    assert_eq!(linear.tangent_outputs(), [None]);
    assert_eq!(
        linear_transpose(&linear, &mut Calls::default()).tangent_outputs(),
        []
    );
}

#[test]
fn every_variant_names_its_rule() {
    let op = || "op".to_string();
    let source = || GraphError::WrongInputCount {
        expected: 1,
        found: 2,
    };
    for rule in [Jvp, Transpose] {
        let with_rule = [
            ADRuleError::Unsupported { op: op(), rule },
            ADRuleError::unsupported("op", rule),
            ADRuleError::WrongRuleResultCount {
                op: op(),
                rule,
                expected: 1,
                found: 2,
            },
            ADRuleError::UnknownRuleValue {
                op: op(),
                rule,
                place: op(),
                id: 1,
            },
            ADRuleError::WrongActiveMask {
                op: op(),
                rule,
                emitted: op(),
                expected: 1,
                found: 2,
            },
            ADRuleError::InvalidEmission {
                op: op(),
                rule,
                source: source(),
            },
            ADRuleError::WrongBuilderResultCount {
                op: op(),
                rule,
                expected: 1,
                found: 2,
            },
            ADRuleError::Graph {
                rule,
                source: source(),
            },
            ADRuleError::NameCollision { rule, key: op() },
            ADRuleError::runtime(OutOfLuck("any"), rule),
        ];
        for error in with_rule {
            assert_eq!(error.rule(), rule, "{error}");
        }
    }
    for error in [
        ADRuleError::RepeatedInput {
            position: 1,
            key: op(),
        },
        ADRuleError::PassReused { pass: 1, key: op() },
        ADRuleError::ReservedPass { pass: 1 },
        ADRuleError::UnknownAliasTarget {
            input: op(),
            target: op(),
        },
        ADRuleError::AliasCycle { input: op() },
    ] {
        assert_eq!(error.rule(), Jvp, "{error}");
    }
    for error in [
        ADRuleError::InvalidAdd {
            op: op(),
            inputs: 1,
            outputs: 1,
        },
        ADRuleError::WrongSeedCount {
            expected: 1,
            found: 2,
        },
        ADRuleError::NotLinear {
            op: op(),
            value: 1,
            reason: op(),
        },
    ] {
        assert_eq!(error.rule(), Transpose, "{error}");
    }
    assert_eq!(
        [Jvp, Transpose].map(ADRuleKind::as_str),
        ["jvp", "transpose"]
    );
}

#[test]
fn errors_compare_by_what_they_say() {
    let error = || ADRuleError::runtime(OutOfLuck("jvp"), Jvp);
    assert_eq!(error(), error());
    assert_eq!(error(), error().clone());
    assert_ne!(error(), ADRuleError::runtime(OutOfLuck("jvp"), Transpose));
    assert_ne!(error(), ADRuleError::runtime(OutOfLuck("transpose"), Jvp));
}

#[test]
fn texts_stay_short_on_a_deep_graph() {
    let mut builder = GraphBuilder::new();
    let mut key = Key::Input(0);
    (1..200).for_each(|pass| key = key.tangent_of(pass));
    let mut v = builder.add_input(key.clone());
    for _ in 0..64 {
        v = apply(&mut builder, Probe::Mul, &[v, v])[0];
    }
    let deep = builder.global_key(v).clone();
    let mut user = GraphBuilder::new();
    let operand = ValueRef::External(deep.clone());
    let outputs = user.add_operation(Probe::Sin, vec![operand], OperationRole::Primary);
    user.set_outputs(outputs);
    let user = user.build();
    let output = output_keys(&user).remove(0);
    let view = resolve(vec![Arc::new(user)]);
    let whole = resolve(vec![Arc::new(builder.build())]);
    let differentiate = |view, outputs: &[Value], wrt: &[Key], aliases| {
        try_linearize(view, outputs, wrt, 1, &mut Calls::default(), &aliases)
            .expect_err("something is wrong")
            .to_string()
    };
    let none = Aliases::new;
    let wrt = [key.clone(), key.clone()];
    let cycle = Aliases::from([(key, deep.clone())]);
    for text in [
        differentiate(&view, &[output], &[], none()),
        differentiate(&view, std::slice::from_ref(&deep), &[], none()),
        differentiate(&whole, std::slice::from_ref(&deep), &wrt, none()),
        differentiate(&whole, &[deep], &[], cycle),
    ] {
        assert!(text.chars().count() < 400, "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn a_rule_is_not_called_for_symbolic_zeros() {
    // The fault is there, but no tangent reaches it.
    let mut case = Case::of(Probe::Faulty(Fault::JvpReturns(0)));
    case.wrt = vec![Key::Input(1)];
    let linear = case.linearize().expect("the faulty rule is not called");
    assert!(linear.tangent_outputs()[0].is_some());
    materialize_merge(&case.view, &case.outputs);
}
