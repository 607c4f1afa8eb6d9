//! Graphs as text: what they look like, that they read back as they were, and what a text that is
//! not a graph is told.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::str::FromStr;
use std::sync::Arc;

use insta::assert_snapshot;
use tidu::eager::RecordedGraph;
use tidu::graph::text::{Listing, ParseError, ParseNames, parse};
use tidu::graph::{
    DenseGraph, DenseId, Graph, GraphBuilder, GraphOperation, OperationKey, OperationRole,
    ValueKey, ValueRef, ValueType, compile, materialize_merge, resolve,
};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{Function, LinearizedGraph, linear_transpose, linearize};
use tidu_testkit::cases;

use crate::support::{AWKWARD_NAMES, AWKWARD_NUMBERS, Random, wild_functions, wild_problem};

fn graph(text: &str) -> Arc<Graph<ScalarOp>> {
    Arc::new(text.parse().unwrap())
}

const X_EXP_Y: &str = "
    graph {
        input %0 = x
        input %1 = y
        %2 = exp %1
        %3 = mul %0, %2
        output %3
    }";

#[test]
fn primal_linear_and_transposed_graphs_print_one_item_a_line() {
    let primal = graph(X_EXP_Y);
    let f = primal.values()[3].key.clone();
    let view = resolve(vec![primal.clone()]);
    let wrt = [ScalarKey::from("x"), ScalarKey::from("y")];
    let linear = linearize(
        &view,
        std::slice::from_ref(&f),
        &wrt,
        1,
        &mut (),
        &HashMap::new(),
    );
    let transposed = linear_transpose(&linear, &mut ());
    let flat = materialize_merge(&resolve(vec![primal.clone()]), &[f]);
    let program = compile(&flat);
    assert_snapshot!(format!("{primal}\n{linear}\n{transposed}\n{flat}\n{program}"), @"
    graph {
        input %0 = x
        input %1 = y
        %2 = exp %1
        %3 = mul %0, %2
        output %3
    }
    linear {
        residual @0 = exp @y
        residual @x
        input %0 = d1.x
        input %1 = d1.y
        %2 = mul @0, ~%1
        %3 = mul ~%0, @0
        %4 = mul @x, ~%2
        %5 = add ~%3, ~%4
        output %5 -> d.out0
    }
    linear {
        residual @x
        residual @0 = exp @y
        input %0 = ct0.d1.x
        %1 = mul @x, ~%0
        %2 = mul @0, ~%0
        %3 = mul @0, ~%1
        output %2 -> x
        output %3 -> y
    }
    flat {
        input %0 = x
        input %1 = y
        %2 = exp %1
        %3 = mul %0, %2
        output %3
    }
    program {
        input s0
        input s1
        s2 = exp s1
        s2 = mul s0, s2
        output s2
    }
    ");
}

// Reading back.

/// The same values, operations, inputs and outputs; parents are not in a text.
#[track_caller]
fn assert_same_graph<Op: GraphOperation>(found: &Graph<Op>, expected: &Graph<Op>) {
    assert_eq!(found.inputs(), expected.inputs());
    assert_eq!(found.outputs(), expected.outputs());
    assert_eq!(found.values().len(), expected.values().len());
    for (found, expected) in found.values().iter().zip(expected.values()) {
        assert_eq!(found.key, expected.key);
        assert_eq!(found.producer, expected.producer);
    }
    assert_eq!(found.operations().len(), expected.operations().len());
    for (found, expected) in found.operations().iter().zip(expected.operations()) {
        assert_eq!(found.operation, expected.operation);
        assert_eq!(found.role, expected.role);
        assert_eq!(*found.inputs, *expected.inputs);
        assert_eq!(*found.outputs, *expected.outputs);
    }
}

#[track_caller]
fn assert_reads_back<Op: ParseNames>(graph: &Graph<Op>) {
    let text = graph.to_string();
    match text.parse::<Graph<Op>>() {
        Err(error) => panic!("{error} in\n{text}"),
        Ok(parsed) => {
            assert_eq!(parsed.to_string(), text);
            assert_same_graph(&parsed, graph);
        }
    }
}

/// Besides its graph, a linear map read from text has the inputs and outputs, and transposes to the
/// same map.
#[track_caller]
fn assert_map_reads_back(map: &LinearizedGraph<ScalarOp>) {
    let text = map.to_string();
    match text.parse::<LinearizedGraph<ScalarOp>>() {
        Err(error) => panic!("{error} in\n{text}"),
        Ok(parsed) => {
            assert_eq!(parsed.to_string(), text);
            assert_same_graph(parsed.as_graph(), map.as_graph());
            assert_eq!(parsed.tangent_inputs(), map.tangent_inputs());
            assert_eq!(parsed.tangent_outputs(), map.tangent_outputs());
            let transposed = linear_transpose(&parsed, &mut ()).to_string();
            assert_eq!(transposed, linear_transpose(map, &mut ()).to_string());
        }
    }
}

#[test]
fn random_graphs_and_their_derivatives_read_back() {
    let mut random = Random(1);
    let mut residuals_of_two_results = 0;
    for _ in 0..400 {
        let first = wild_problem(&mut random);
        let t = vec![0.0; first.wrt.len()];
        let c = vec![0.0; first.outputs.len()];
        for problem in [first.clone(), first.forward(&t), first.reverse(&c)] {
            problem
                .roots
                .iter()
                .for_each(|root| assert_reads_back(root));
            let linear = problem.linearize();
            let transposed = problem.transpose(&linear);
            for map in [&linear, &transposed] {
                assert_map_reads_back(map);
                assert_reads_back(map.as_graph());
            }
            let text = transposed.to_string();
            residuals_of_two_results += usize::from(text.contains("external @0, @1 = sin_cos"));
        }
    }
    assert!(residuals_of_two_results > 0);
}

#[test]
fn random_flat_graphs_read_back() {
    let mut random = Random(2);
    for _ in 0..200 {
        let first = wild_problem(&mut random);
        let second = first.reverse(&vec![0.0; first.outputs.len()]);
        for problem in [first, second] {
            let outputs: Vec<_> = problem.outputs.iter().flatten().cloned().collect();
            let flat = materialize_merge(&problem.view(), &outputs);
            let text = flat.to_string();
            let parsed = parse::<ScalarOp>(&text, &["flat"]).unwrap();
            assert_eq!(Listing::new("flat", &parsed.graph).to_string(), text);
            let parsed = parsed.graph.operations().iter();
            for (parsed, flat) in parsed.zip(&flat.operations) {
                assert_eq!(parsed.role, flat.role);
            }
        }
    }
}

#[test]
fn recorded_graphs_read_back() {
    let keys = vec!["two words".into(), "'x".into()];
    let recorded = RecordedGraph::from_primitive(ScalarOp::Div, keys);
    let text = recorded.to_string();
    assert_snapshot!(text, @r#"
    recorded {
        input %0 = "two words"
        input %1 = "''x"
        %2 = div %0, %1
        output %2
    }
    "#);
    let parsed = parse::<ScalarOp>(&text, &["recorded"]).unwrap();
    assert_same_graph(&parsed.graph, recorded.as_graph());
}

#[test]
fn awkward_names_and_numbers_read_back() {
    let mut builder = GraphBuilder::<ScalarOp>::new();
    for name in AWKWARD_NAMES {
        builder.add_input(name.into());
    }
    for number in AWKWARD_NUMBERS {
        builder.add_operation(
            ScalarOp::constant(number),
            Vec::new(),
            OperationRole::Primary,
        );
    }
    let graph = builder.build();
    assert_reads_back(&graph);
    assert_snapshot!(graph, @r#"
    graph {
        input %0 = ""
        input %1 = x
        input %2 = "two words"
        input %3 = " blanks around "
        input %4 = "\"quoted\""
        input %5 = "back\\slash"
        input %6 = "new\nline"
        input %7 = "\r\n\t"
        input %8 = "nul\u{0} and bell\u{7}"
        input %9 = 梯度
        input %10 = "naïve café"
        input %11 = "e\u{301}"
        input %12 = "\u{2028}\u{a0}\u{feff}"
        input %13 = "🦀"
        input %14 = _
        input %15 = "'#7"
        input %16 = #07
        input %17 = "''x"
        input %18 = "'d1.x"
        input %19 = d01.x
        input %20 = "'ct0.d1.x"
        input %21 = "'d1."
        input %22 = ct.x
        input %23 = "7"
        input %24 = "-"
        input %25 = "%0"
        input %26 = "@0"
        input %27 = "~x"
        input %28 = zero
        input %29 = "a -> b"
        input %30 = "a, b"
        input %31 = "// no comment"
        input %32 = "}"
        input %33 = d.out0
        %34 = const 0.0
        %35 = const -0.0
        %36 = const 1.0
        %37 = const -2.5
        %38 = const 0.1
        %39 = const NaN.7ff8000000000000
        %40 = const NaN.fff8000000000000
        %41 = const NaN.7ff0000000000001
        %42 = const inf
        %43 = const -inf
        %44 = const 1.7976931348623157e308
        %45 = const 2.2250738585072014e-308
        %46 = const 5e-324
        %47 = const -1e-310
    }
    "#);
}

#[test]
fn marks_on_names_are_told_from_words() {
    use tidu::ADKey;
    let marked = [
        ScalarKey::from("x").tangent_of(1),
        ScalarKey::from("d1.x"),
        ScalarKey::from("d1.x").tangent_of(2).cotangent_of(3),
        ScalarKey::from("").tangent_of(1),
        ScalarKey::from("d1."),
        ScalarKey::fresh(7).tangent_of(u64::MAX),
        ScalarKey::from("#7"),
        ScalarKey::from("'#7").cotangent_of(0),
    ];
    let mut builder = GraphBuilder::<ScalarOp>::new();
    for key in marked {
        builder.add_input(key);
    }
    let graph = builder.build();
    assert_reads_back(&graph);
    assert_snapshot!(graph, @r#"
    graph {
        input %0 = d1.x
        input %1 = "'d1.x"
        input %2 = "ct3.d2.'d1.x"
        input %3 = d1.
        input %4 = "'d1."
        input %5 = d18446744073709551615.#7
        input %6 = "'#7"
        input %7 = "ct0.''#7"
    }
    "#);
}

#[test]
fn empty_graphs_read_back() {
    let empty = GraphBuilder::<ScalarOp>::new().build();
    assert_reads_back(&empty);
    assert_snapshot!(empty, @"
    graph {
    }
    ");
    assert_map_reads_back(&"linear {\n}".parse().unwrap());
    assert_map_reads_back(&"linear {\n output zero -> x\n}".parse().unwrap());
    assert_map_reads_back(&"linear {\n output zero\n}".parse().unwrap());
}

#[test]
fn labels_of_outputs_read_back() {
    let names = ["two words", "", "d.out0", "'d1.x", "梯度"];
    let wrt: Vec<ScalarKey> = names.iter().map(|&name| name.into()).collect();
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let ids: Vec<_> = wrt
        .iter()
        .map(|key| builder.add_input(key.clone()))
        .collect();
    let keys: Vec<_> = ids
        .iter()
        .map(|&id| builder.global_key(id).clone())
        .collect();
    let view = resolve(vec![Arc::new(builder.build())]);
    let linear = linearize(&view, &keys[..3], &wrt, 1, &mut (), &HashMap::new());
    let transposed = linear_transpose(&linear, &mut ());
    assert_map_reads_back(&linear);
    assert_map_reads_back(&transposed);
    assert_snapshot!(transposed, @r#"
    linear {
        input %0 = "ct0.d1.two words"
        input %1 = "ct1.d1.two words"
        input %2 = "ct2.d1.two words"
        output %0 -> "two words"
        output %1 -> ""
        output %2 -> d.out0
        output zero -> "''d1.x"
        output zero -> 梯度
    }
    "#);
}

#[test]
fn externals_are_defined_once_and_say_which_results_are_used() {
    let text = "graph {
    external @0, _ = sin_cos @y
    external _, @1 = sin_cos @0
    external @x
    external @2, @3 = sin_cos @x
    input %0 = z
    %1 = mul @1, @x
    %2 = mul @2, @3
    %3 = mul %1, @1
    output %3
}";
    assert_eq!(graph(text).to_string(), text);
    assert_reads_back(&graph(text));
}

#[test]
fn comments_and_blank_lines_are_skipped() {
    let text = "
        // f(x) = -x

        graph {
            // the only input
            input %0 = x\t

            %1 = neg %0
        \r
            //output %0
            output %1
        }
        // the end
    ";
    assert_snapshot!(graph(text), @"
    graph {
        input %0 = x
        %1 = neg %0
        output %1
    }
    ");
}

#[test]
fn blanks_are_free_between_tokens() {
    let text =
        "graph{\ninput  %0=x\n%1 , %2=sin_cos   %0\n%3=masked 011 mul %1 ,%2\noutput   %3\n}";
    let parsed = graph(text);
    assert_reads_back(&parsed);
    assert_snapshot!(parsed, @"
    graph {
        input %0 = x
        %1, %2 = sin_cos %0
        %3 = masked 011 mul %1, %2
        output %3
    }
    ");
}

// Operation sets without mnemonics, or with awkward ones.

/// Prints by its derived `Debug`, as most sets of operations do at first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Plain {
    Reshape {
        shape: [usize; 2],
        note: &'static str,
    },
    Join,
    Print,
    Source,
    Barrier,
    Split(usize),
}

const PLAIN: [Plain; 7] = [
    Plain::Reshape {
        shape: [2, 3],
        note: "a \"b\"\n",
    },
    Plain::Join,
    Plain::Print,
    Plain::Source,
    Plain::Barrier,
    Plain::Split(2),
    Plain::Split(256),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    id: u32,
}

impl GraphOperation for Plain {
    type Operand = ();
    type Context = ();
    type InputKey = Slot;

    fn input_count(&self) -> usize {
        match self {
            Plain::Source | Plain::Barrier => 0,
            Plain::Reshape { .. } | Plain::Print | Plain::Split(_) => 1,
            Plain::Join => 3,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Plain::Print | Plain::Barrier => 0,
            Plain::Reshape { .. } | Plain::Source | Plain::Join => 1,
            Plain::Split(results) => *results,
        }
    }

    /// A split makes vectors of no element, of one, and so on.
    fn infer_types(
        &self,
        x: &[&ValueType],
    ) -> Result<Option<Vec<ValueType>>, Box<dyn Error + Send + Sync>> {
        Ok(Some(match self {
            Plain::Reshape { shape, .. } if x[0].elements() != Some(shape.iter().product()) => {
                Err("another number of elements")?
            }
            Plain::Reshape { shape, .. } => vec![ValueType::new(x[0].kind(), *shape)],
            Plain::Join => vec![x[0].clone()],
            Plain::Print | Plain::Barrier => vec![],
            Plain::Source => vec![ValueType::new("two words", [])],
            Plain::Split(results) => {
                let vectors = (0..*results).map(|length| ValueType::new(x[0].kind(), [length]));
                vectors.collect()
            }
        }))
    }
}

impl ParseNames for Plain {
    fn parse_name(text: &str) -> Option<Self> {
        PLAIN.into_iter().find(|op| format!("{op:?}") == text)
    }

    fn parse_input_name(text: &str) -> Option<Slot> {
        let mut slots = (0..10).map(|id| Slot { id });
        slots.find(|slot| format!("{slot:?}") == text)
    }

    fn parse_kind(text: &str) -> Option<&'static str> {
        ["f64", "two words"].into_iter().find(|kind| *kind == text)
    }
}

/// An operation of any name, on inputs of any name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named(String);

impl GraphOperation for Named {
    type Operand = ();
    type Context = ();
    type InputKey = String;

    fn input_count(&self) -> usize {
        self.0.len() % 3
    }

    fn output_count(&self) -> usize {
        1
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }

    fn fmt_input_name(key: &String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(key)
    }
}

impl ParseNames for Named {
    fn parse_name(text: &str) -> Option<Self> {
        Some(Named(text.to_owned()))
    }

    fn parse_input_name(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn parse_kind(text: &str) -> Option<&'static str> {
        (text == "f64").then_some("f64")
    }
}

/// A graph of all there is: operations without operands or results, results that nothing uses,
/// inputs between operations, values of another graph, masks that fit and that do not.
fn random_graph<Op: GraphOperation>(
    random: &mut Random,
    ops: &[Op],
    keys: &[Op::InputKey],
    others: &[ValueKey<Op>],
) -> Graph<Op> {
    let mut builder = GraphBuilder::new();
    for _ in 0..random.below(20) {
        let values = builder.values().len();
        if random.below(4) == 0 {
            builder.add_input(keys[random.below(keys.len())].clone());
            continue;
        }
        let op = ops[random.below(ops.len())].clone();
        let operand = |random: &mut Random| match random.below(2) {
            0 if values > 0 => ValueRef::Local(random.below(values)),
            _ if others.is_empty() => {
                ValueRef::External(ValueKey::Input(keys[random.below(keys.len())].clone()))
            }
            _ => ValueRef::External(others[random.below(others.len())].clone()),
        };
        let operands: Vec<_> = (0..op.input_count()).map(|_| operand(random)).collect();
        let role = random_role(random, operands.len());
        builder.add_operation(op, operands, role);
    }
    let values = builder.values().len();
    let outputs = if values == 0 { 0 } else { random.below(4) };
    builder.set_outputs((0..outputs).map(|_| random.below(values)).collect());
    builder.build()
}

fn random_role(random: &mut Random, operands: usize) -> OperationRole {
    let flags = match random.below(6) {
        0 => random.below(4),
        1..4 => operands,
        _ => return OperationRole::Primary,
    };
    let active_mask = (0..flags).map(|_| random.below(3) == 0).collect();
    OperationRole::Linearized { active_mask }
}

/// Graphs that use values of one another.
fn check_random_graphs<Op: ParseNames>(ops: &[Op], keys: &[Op::InputKey]) {
    let mut random = Random(3);
    for _ in 0..200 {
        let mut others: Vec<ValueKey<Op>> = Vec::new();
        for _ in 0..3 {
            let graph = random_graph(&mut random, ops, keys, &others);
            assert_reads_back(&graph);
            others.extend(graph.values().iter().map(|value| value.key.clone()));
        }
    }
}

#[test]
fn operations_without_mnemonics_read_back() {
    let keys: Vec<Slot> = (0..10).map(|id| Slot { id }).collect();
    check_random_graphs(&PLAIN, &keys);
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(keys[0].clone());
    let other = ValueRef::External(ValueKey::Input(keys[1].clone()));
    let operands = vec![ValueRef::Local(x), other.clone(), other];
    let reshaped = builder.add_operation(
        PLAIN[0].clone(),
        vec![ValueRef::Local(x)],
        OperationRole::Primary,
    );
    builder.add_operation(Plain::Join, operands, OperationRole::Primary);
    builder.add_operation(Plain::Source, Vec::new(), OperationRole::Primary);
    builder.set_outputs(reshaped);
    let graph = builder.build();
    assert_reads_back(&graph);
    assert_snapshot!(graph, @r#"
    graph {
        external @"Slot { id: 1 }"
        input %0 = "Slot { id: 0 }"
        %1 = "Reshape { shape: [2, 3], note: \"a \\\"b\\\"\\n\" }" %0
        %2 = Join %0, @"Slot { id: 1 }", @"Slot { id: 1 }"
        %3 = Source
        output %1
    }
    "#);
}

#[test]
fn operations_of_any_name_read_back() {
    let mut names: Vec<&str> = AWKWARD_NAMES.to_vec();
    names.extend([
        "fixed",
        "masked",
        "fixed x",
        "masked 1 x",
        "a  b",
        "const 1",
        "input",
        "_ =",
        "const 1,5",
        "a,b",
        "x=y",
        "f(x, y)",
        "[1.0, 2.0]",
    ]);
    let ops: Vec<Named> = names.iter().map(|&name| Named(name.to_owned())).collect();
    let keys: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    check_random_graphs(&ops, &keys);
}

/// Names of inputs and outputs, and those of derivatives, which are made of them.
#[test]
fn functions_of_any_names_read_back() {
    let mut random = Random(3);
    let any = |random: &mut Random| AWKWARD_NAMES[random.below(AWKWARD_NAMES.len())];
    for _ in 0..200 {
        let x = any(&mut random);
        let y = AWKWARD_NAMES.iter().find(|name| **name != x).unwrap();
        let inputs = [ScalarKey::from(x), ScalarKey::from(*y)];
        let [x, y] = inputs
            .each_ref()
            .map(|key| ValueKey::<ScalarOp>::Input(key.clone()));
        let product = OperationKey::new(ScalarOp::Mul, vec![x, y.clone()], OperationRole::Primary);
        let product = ValueKey::Derived {
            operation: Arc::new(product),
            output_slot: 0,
        };
        let names = [0; 2].map(|_| any(&mut random).to_owned());
        let outputs = [product, y].into_iter().zip(names);
        let f = Function::from_keys(&inputs, outputs.collect()).unwrap();
        let derived = [f.value_and_jacobian(..), f.jvp(..), f.vjp(..)];
        for f in [Ok(f)].into_iter().chain(derived) {
            let f = f.unwrap();
            let text = f.to_string();
            let read: Function<ScalarOp> = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(read.input_keys(), f.input_keys(), "{text}");
            assert_eq!(read.output_names(), f.output_names(), "{text}");
        }
    }
}

#[test]
fn operations_without_results_stand_after_what_they_use() {
    let mut builder = GraphBuilder::new();
    let a = builder.add_input(Slot { id: 0 });
    builder.add_operation(Plain::Barrier, Vec::new(), OperationRole::Primary);
    let b = builder.add_input(Slot { id: 1 });
    for id in [b, a] {
        builder.add_operation(
            Plain::Print,
            vec![ValueRef::Local(id)],
            OperationRole::Primary,
        );
    }
    builder.add_input(Slot { id: 2 });
    let graph = builder.build();
    assert_reads_back(&graph);
    assert_snapshot!(graph, @r#"
    graph {
        _ = Barrier
        input %0 = "Slot { id: 0 }"
        input %1 = "Slot { id: 1 }"
        _ = Print %1
        _ = Print %0
        input %2 = "Slot { id: 2 }"
    }
    "#);
}

#[test]
fn masks_that_do_not_fit_are_spelled_out() {
    let masks: [&[bool]; 6] = [
        &[],
        &[true],
        &[true, false, true],
        &[false, false],
        &[true, false],
        &[true, true],
    ];
    let mut builder = GraphBuilder::<ScalarOp>::new();
    let x = ValueRef::Local(builder.add_input("x".into()));
    for mask in masks {
        let active_mask = mask.to_vec();
        builder.add_operation(
            ScalarOp::Mul,
            vec![x.clone(), x.clone()],
            OperationRole::Linearized { active_mask },
        );
    }
    for active_mask in [vec![], vec![false]] {
        builder.add_operation(
            ScalarOp::constant(1.0),
            vec![],
            OperationRole::Linearized { active_mask },
        );
    }
    let graph = builder.build();
    assert_reads_back(&graph);
    assert_snapshot!(graph, @"
    graph {
        input %0 = x
        %1 = masked - mul %0, %0
        %2 = masked 1 mul %0, %0
        %3 = masked 101 mul %0, %0
        %4 = fixed mul %0, %0
        %5 = mul ~%0, %0
        %6 = mul ~%0, ~%0
        %7 = fixed const 1.0
        %8 = masked 0 const 1.0
    }
    ");
}

// Types.

/// Kinds that have to be quoted, several results, results of no operand.
const TYPED: &str = r#"function {
    input %0: f64[2, 3] = "Slot { id: 0 }"
    input %1: "two words" = "Slot { id: 1 }"
    %2: f64[0], %3: f64[1] = "Split(2)" %0
    %4: "two words" = Source
    %5: "two words" = Join %1, %4, %0
    output %3 -> out0
    output %5 -> out1
    output %0 -> out2
}"#;

#[test]
fn functions_with_types_read_back() {
    let f: Function<Plain> = TYPED.parse().unwrap();
    assert_eq!(format!("{f:#}"), TYPED);
    let types = [
        ValueType::new("f64", [2, 3]),
        ValueType::new("two words", []),
    ];
    assert_eq!(f.input_types(), Some(&types[..]));
    let outputs = f.as_dense().outputs().iter().copied();
    let outputs = f.as_dense().types_of(outputs).unwrap();
    assert_eq!(outputs[0], ValueType::new("f64", [1]));
    assert_eq!(outputs[1..], [types[1].clone(), types[0].clone()]);

    // Without them, nothing else changes.
    let plain = f.to_string();
    assert_snapshot!(plain, @r#"
    function {
        input %0 = "Slot { id: 0 }"
        input %1 = "Slot { id: 1 }"
        %2, %3 = "Split(2)" %0
        %4 = Source
        %5 = Join %1, %4, %0
        output %3 -> out0
        output %5 -> out1
        output %0 -> out2
    }
    "#);
    let untyped: Function<Plain> = plain.parse().unwrap();
    assert_eq!(untyped.input_types(), None);
    assert_eq!(format!("{untyped:#}"), plain);
    assert!(f.picture().with_types().to_dot().contains("f64[0], f64[1]"));
}

/// Results may stand without their types, and before the inputs, and blanks where one likes.
#[test]
fn types_of_inputs_are_enough() {
    let text = r#"function {
        %0 = Source
        %1 = Join %0, %0, %0
        input %2 :f64 [ 2,3 ] = "Slot { id: 0 }"
        %3, %4 : f64[1] = "Split(2)" %2
        output %1
        output %4
    }"#;
    let f: Function<Plain> = text.parse().unwrap();
    assert_snapshot!(format!("{f:#}"), @r#"
    function {
        input %0: f64[2, 3] = "Slot { id: 0 }"
        %1: "two words" = Source
        %2: "two words" = Join %1, %1, %1
        %3: f64[0], %4: f64[1] = "Split(2)" %0
        output %2 -> out0
        output %4 -> out1
    }
    "#);
    let constant: Function<Plain> =
        "function {\n%0 = Source\n%1: \"two words\" = Join %0, %0, %0\noutput %1\n}"
            .parse()
            .unwrap();
    assert_eq!(constant.input_types(), Some(&[][..]));
    let again: Function<Plain> = format!("{constant:#}").parse().unwrap();
    assert_eq!(again.input_types(), Some(&[][..]));
}

/// A set whose kinds nobody reads, one that does not infer types, and what is no function.
#[test]
fn types_are_read_of_functions_of_sets_with_types_only() {
    fn refusal<Op: ParseNames>(text: &str) -> String {
        text.parse::<Function<Op>>().unwrap_err().to_string()
    }
    let text = "function {\ninput %0: f64[3] = x\n%1 = exp %0\noutput %1\n}";
    let refusals = [
        refusal::<ScalarOp>(text),
        refusal::<Named>(&text.replace("exp", "name")),
        refusal::<Named>(&text.replace("function", "graph")),
        refusal::<Named>("function {\n%0 = abc\n%1: f64 = abc\noutput %0\n}"),
        refusal::<Named>("function {\n%0 = name @x\n%1: f64 = abc\noutput %0\n}"),
    ];
    assert_snapshot!(refusals.join("\n"), @r#"
    line 2, column 11: expected a kind of values that the operation set reads (`ParseNames::parse_kind`), found `f64[3] = x`
    line 3, column 6: expected a well-formed operation, found Named("name") does not say of what types its results are: its set needs `infer_types`
    line 2, column 9: expected `=`, found `: f64[3] = x`
    line 3, column 3: expected no type, found Named("abc") does not say of what types its results are: its set needs `infer_types`
    line 3, column 3: expected no type, as values before have none, found `: f64 = abc`
    "#);
}

// Graphs by positions.

#[track_caller]
fn assert_same_dense<Op: GraphOperation>(found: &DenseGraph<Op>, expected: &DenseGraph<Op>) {
    assert_eq!(found.input_count(), expected.input_count());
    assert_eq!(found.outputs(), expected.outputs());
    assert_eq!(found.value_count(), expected.value_count());
    assert_eq!(found.operation_count(), expected.operation_count());
    for (found, expected) in found.nodes().zip(expected.nodes()) {
        assert_eq!(found.operation, expected.operation);
        assert_eq!(found.operands, expected.operands);
        assert_eq!(found.results, expected.results);
    }
}

/// As text with types, if there are any, and without.
#[track_caller]
fn assert_dense_reads_back<Op: ParseNames>(graph: &DenseGraph<Op>) {
    assert_eq!(graph.verify().to_string(), "no findings");
    let types = |graph: &DenseGraph<Op>| {
        let results = graph.nodes().flat_map(|node| node.results.iter());
        graph.types_of(graph.inputs().chain(results).collect::<Vec<_>>())
    };
    let (typed, plain) = (format!("{graph:#}"), graph.to_string());
    for (text, types_of_text) in [(&typed, types(graph)), (&plain, None)] {
        match text.parse::<DenseGraph<Op>>() {
            Err(error) => panic!("{error} in\n{text}"),
            Ok(parsed) => {
                assert_same_dense(&parsed, graph);
                assert_eq!(parsed.to_string(), plain);
                // Of an empty text, nobody can tell whether its values have types.
                if graph.value_count() > 0 {
                    assert_eq!(types(&parsed), types_of_text);
                }
            }
        }
    }
}

/// A graph of all there is, of values of random types or of none. An operation that does not fit its operands is left
/// out.
fn random_dense(random: &mut Random, typed: bool) -> DenseGraph<Plain> {
    let types = [
        ValueType::new("f64", [2, 3]),
        ValueType::new("f64", []),
        ValueType::new("two words", [6]),
    ];
    let inputs = random.below(4);
    let mut graph = match typed {
        true => {
            let types = (0..inputs).map(|_| types[random.below(types.len())].clone());
            DenseGraph::of_types(types.collect::<Vec<_>>(), 0, 0)
        }
        false => DenseGraph::new(inputs),
    };
    let mut values: Vec<DenseId> = graph.inputs().collect();
    for _ in 0..random.below(15) {
        let op = PLAIN[random.below(PLAIN.len() - 1)].clone();
        if values.is_empty() && op.input_count() > 0 {
            continue;
        }
        let operands = (0..op.input_count()).map(|_| values[random.below(values.len())]);
        let operands: Vec<DenseId> = operands.collect();
        if let Ok(results) = graph.push(op, &operands) {
            values.extend(results.iter());
        }
    }
    if !values.is_empty() {
        let outputs = (0..random.below(4)).map(|_| values[random.below(values.len())]);
        graph.set_outputs(outputs.collect());
    }
    graph
}

#[test]
fn random_graphs_by_positions_read_back() {
    let mut random = Random(5);
    let mut reshaped = 0;
    for _ in 0..300 {
        for typed in [false, true] {
            let graph = random_dense(&mut random, typed);
            assert_eq!(graph.has_types(), typed);
            assert_dense_reads_back(&graph);
            reshaped += usize::from(format!("{graph:#}").contains("two words\"[2, 3] = "));
        }
    }
    assert!(reshaped > 0);
}

/// One text, whether a graph is kept by keys or by positions.
#[test]
fn functions_print_as_their_graphs_do() {
    let mut random = Random(6);
    for _ in 0..100 {
        for f in wild_functions(&mut random) {
            let graph = Listing::new("dense", f.as_graph()).to_string();
            let graph = graph
                .lines()
                .map(|line| match line.trim_start().starts_with("input") {
                    true => line.split(" = ").next().unwrap(),
                    false => line,
                });
            assert_eq!(
                f.as_dense().to_string(),
                graph.collect::<Vec<_>>().join("\n")
            );
            assert_dense_reads_back(f.as_dense());
        }
    }
}

#[test]
fn graphs_by_positions_print_one_item_a_line() {
    let mut graph = DenseGraph::of_types(
        [
            ValueType::new("f64", [2, 3]),
            ValueType::new("two words", []),
        ],
        0,
        0,
    );
    let [x, y] = [graph.input(0), graph.input(1)];
    graph.push(Plain::Print, &[x]).unwrap();
    let halves = graph.push(Plain::Split(2), &[x]).unwrap();
    let source = graph.push(Plain::Source, &[]).unwrap().start();
    let joined = graph.push(Plain::Join, &[y, source, x]).unwrap().start();
    graph.set_outputs(vec![halves.get(1).unwrap(), joined, x]);
    assert_snapshot!(format!("{graph}\n{graph:#}"), @r#"
    dense {
        input %0
        input %1
        _ = Print %0
        %2, %3 = "Split(2)" %0
        %4 = Source
        %5 = Join %1, %4, %0
        output %3
        output %5
        output %0
    }
    dense {
        input %0: f64[2, 3]
        input %1: "two words"
        _ = Print %0
        %2: f64[0], %3: f64[1] = "Split(2)" %0
        %4: "two words" = Source
        %5: "two words" = Join %1, %4, %0
        output %3
        output %5
        output %0
    }
    "#);
    assert_dense_reads_back(&graph);
    let empty = DenseGraph::<Plain>::new(0);
    assert_eq!(empty.to_string(), "dense {\n}");
    assert_dense_reads_back(&empty);
    // Types may begin where they like, as long as no input has none.
    let text = "dense {\n%0 = Source\n%1: \"two words\" = Join %0, %0, %0\noutput %1\n}";
    let constant: DenseGraph<Plain> = text.parse().unwrap();
    assert_eq!(
        constant.type_of(constant.outputs()[0]),
        Some(&ValueType::new("two words", []))
    );
    assert_dense_reads_back(&constant);
}

#[test]
fn wrong_graphs_by_positions_are_told() {
    fn complaints<Op: ParseNames>(first: &str, items: &[&str]) -> String {
        let complaint = |item: &&str| {
            let text = format!("dense {{\n{first}\n{item}\n}}");
            complaint_of::<DenseGraph<Op>>(&text)
        };
        items.iter().map(complaint).collect()
    }
    let items = [
        "input %1 = y",
        "input %2",
        "input",
        "%1 = exp %0\ninput %2",
        "external @x",
        "residual @0 = exp @x",
        "%1 = exp @x",
        "%1 = exp x",
        "%1 = exp %1",
        "%0 = exp %0",
        "%1 = exp %0\n%1 = sin %0",
        "%1 = mul %0",
        "%1 = sin_cos %0",
        "%1 = frobnicate %0",
        "%1 = neg ~%0",
        "%1 = fixed neg %0",
        "%1 = masked - neg %0",
        "%1: f64 = neg %0",
        "output %1",
        "output zero",
        "output %0 -> f",
    ];
    assert_snapshot!(complaints::<ScalarOp>("input %0", &items), @"
    input %1 = y
             ^ line 3, column 10: expected the end of the line, found `= y`
    input %2
          ^ line 3, column 7: expected `%1`, found `%2`
    input
         ^ line 3, column 6: expected `%1`, found the end of the line
    input %2
    ^ line 4, column 1: expected an operation, as inputs come first, found `input %2`
    external @x
    ^ line 3, column 1: expected `input`, an operation, `output` or `}`, found `external @x`
    residual @0 = exp @x
    ^ line 3, column 1: expected `input`, an operation, `output` or `}`, found `residual @0 = exp @x`
    %1 = exp @x
             ^ line 3, column 10: expected an operand: `%`, found `@x`
    %1 = exp x
             ^ line 3, column 10: expected an operand: `%`, found `x`
    %1 = exp %1
             ^ line 3, column 10: expected a local value that was defined before, found `%1`
    %0 = exp %0
    ^ line 3, column 1: expected `%1`, found `%0 = exp %0`
    %1 = sin %0
    ^ line 4, column 1: expected `%2`, found `%1 = sin %0`
    %1 = mul %0
         ^ line 3, column 6: expected 2 operands, found 1
    %1 = sin_cos %0
    ^ line 3, column 1: expected 2 results, found 1
    %1 = frobnicate %0
         ^ line 3, column 6: expected an operation, found `frobnicate %0`
    %1 = neg ~%0
         ^ line 3, column 6: expected no mark, as operations of a dense graph have no roles, found `neg ~%0`
    %1 = fixed neg %0
               ^ line 3, column 12: expected no mark, as operations of a dense graph have no roles, found `neg %0`
    %1 = masked - neg %0
                  ^ line 3, column 15: expected no mark, as operations of a dense graph have no roles, found `neg %0`
    %1: f64 = neg %0
      ^ line 3, column 3: expected no type, as values before have none, found `: f64 = neg %0`
    output %1
           ^ line 3, column 8: expected a local value that was defined before, found `%1`
    output zero
           ^ line 3, column 8: expected a local value that was defined before, found `zero`
    output %0 -> f
              ^ line 3, column 11: expected the end of the line, found `-> f`
    ");
    let items = [
        "input %1",
        "input %1: f32",
        "input %1: f64[3",
        "%1: f64[3] = Source",
        "%1: f64[2] = \"Split(2)\" %0",
        r#"%1 = "Reshape { shape: [2, 3], note: \"a \\\"b\\\"\\n\" }" %0"#,
        "output %0: f64[5]",
    ];
    assert_snapshot!(complaints::<Plain>("input %0: f64[5]", &items), @r#"
    input %1
            ^ line 3, column 9: expected `:` and a type, as other values have one, found the end of the line
    input %1: f32
              ^ line 3, column 11: expected a kind of values that the operation set reads (`ParseNames::parse_kind`), found `f32`
    input %1: f64[3
                   ^ line 3, column 16: expected `,` or `]`, found the end of the line
    %1: f64[3] = Source
        ^ line 3, column 5: expected `"two words"`, as follows from the operands, found `f64[3]`
    %1: f64[2] = "Split(2)" %0
    ^ line 3, column 1: expected 2 results, found 1
    %1 = "Reshape { shape: [2, 3], note: \"a \\\"b\\\"\\n\" }" %0
         ^ line 3, column 6: expected a well-formed operation, found Reshape { shape: [2, 3], note: "a \"b\"\n" } of f64[5]: another number of elements
    output %0: f64[5]
             ^ line 3, column 10: expected the end of the line, found `: f64[5]`
    "#);
    let untyped = complaints::<Plain>("input %0", &["input %1: f64", "%1: f64[3] = Source"]);
    assert_snapshot!(untyped, @"
    input %1: f64
            ^ line 3, column 9: expected no type, as values before have none, found `: f64`
    %1: f64[3] = Source
      ^ line 3, column 3: expected no type, as values before have none, found `: f64[3] = Source`
    ");
}

/// A text of another header is told how one comes to what is wanted.
#[test]
fn other_headers_are_told_where_to_go() {
    let headers = [
        "graph", "function", "linear", "flat", "recorded", "program", "dens",
    ];
    let told =
        headers.map(|header| complaint_of::<DenseGraph<ScalarOp>>(&format!("{header} {{\n}}")));
    assert_snapshot!(told.concat(), @"
    graph {
    ^ line 1, column 1: expected `dense {`, found `graph {`: read a `Function`, and take its `as_dense`
    function {
    ^ line 1, column 1: expected `dense {`, found `function {`: read a `Function`, and take its `as_dense`
    linear {
    ^ line 1, column 1: expected `dense {`, found `linear {`: read a `LinearizedGraph`, which refers to other graphs, so that it is no dense graph by itself
    flat {
    ^ line 1, column 1: expected `dense {`, found `flat {`: `text::parse` reads it as a `Graph`
    recorded {
    ^ line 1, column 1: expected `dense {`, found `recorded {`: `text::parse` reads it as a `Graph`
    program {
    ^ line 1, column 1: expected `dense {`, found `program {`, which is not read back: print the graph that it was compiled from
    dens {
    ^ line 1, column 1: expected `dense {`, found `dens {`
    ");
    let text = "dense {\n}";
    let told = [
        complaint_of::<Graph<ScalarOp>>(text),
        complaint_of::<Function<ScalarOp>>(text),
        complaint_of::<LinearizedGraph<ScalarOp>>(text),
    ];
    assert_snapshot!(told.concat(), @"
    dense {
    ^ line 1, column 1: expected `graph {`, found `dense {`: read a `DenseGraph`, and name its inputs by `to_graph` or `Function::from_dense`
    dense {
    ^ line 1, column 1: expected `function {` or `graph {`, found `dense {`: read a `DenseGraph`, and name its inputs by `to_graph` or `Function::from_dense`
    dense {
    ^ line 1, column 1: expected `linear {`, found `dense {`: read a `DenseGraph`, and name its inputs by `to_graph` or `Function::from_dense`
    ");
}

#[test]
fn a_million_operations_by_positions_print_and_read_back() {
    on_a_small_stack(|| {
        let operations = cases(1_000_000);
        let mut graph = DenseGraph::<ScalarOp>::new(2);
        let mut last = [graph.input(0), graph.input(1)];
        for _ in 0..operations {
            last = [last[1], graph.push(ScalarOp::Add, &last).unwrap().start()];
        }
        graph.set_outputs(vec![last[1]]);
        let mut text = "dense {\n    input %0\n    input %1\n".to_owned();
        for id in 0..operations {
            writeln!(text, "    %{} = add %{id}, %{}", id + 2, id + 1).unwrap();
        }
        write!(text, "    output %{}\n}}", operations + 1).unwrap();
        let mut expect = Expect(&text);
        write!(expect, "{graph}").unwrap();
        assert_eq!(expect.0, "");
        let parsed: DenseGraph<ScalarOp> = text.parse().unwrap();
        assert_same_dense(&parsed, &graph);
        assert!(parsed.verify().is_clean());
    });
}

// Texts that are no graphs.

/// What the reader says of a text: the line that it is about, a caret at the column, the message.
fn complaint(text: &str) -> String {
    complaint_of::<Graph<ScalarOp>>(text)
}

fn complaint_of<T: FromStr<Err = ParseError>>(text: &str) -> String {
    let error = match text.parse::<T>() {
        Ok(_) => panic!("{text}"),
        Err(error) => error,
    };
    let line = text.lines().nth(error.line - 1).unwrap_or_default();
    let caret = " ".repeat(error.column - 1);
    format!("{line}\n{caret}^ {error}\n")
}

/// What the reader says of one wrong item, the third line of a graph.
fn complaints(items: &[&str]) -> String {
    let complaint = |item: &&str| {
        let text = format!("graph {{\ninput %0 = x\n{item}\noutput %0\n}}");
        let complaint = complaint(&text);
        assert!(complaint.contains("line 3,"), "{complaint}");
        complaint
    };
    items.iter().map(complaint).collect()
}

#[test]
fn wrong_frames_are_told() {
    let texts = [
        "",
        "\n\n",
        "// nothing\n",
        "grap {\n}",
        "linear {\n}",
        "graph\n}",
        "graph { input %0 = x }",
        "graph {",
        "graph {\n    input %0 = x\n",
        "graph {\n} }",
        "graph {\n}\n\n  graph {\n}",
    ];
    assert_snapshot!(texts.map(complaint).concat(), @"

    ^ line 1, column 1: expected `graph {`, found the end of the text

    ^ line 3, column 1: expected `graph {`, found the end of the text

    ^ line 2, column 1: expected `graph {`, found the end of the text
    grap {
    ^ line 1, column 1: expected `graph {`, found `grap {`
    linear {
    ^ line 1, column 1: expected `graph {`, found `linear {`
    graph
         ^ line 1, column 6: expected `{`, found the end of the line
    graph { input %0 = x }
            ^ line 1, column 9: expected the end of the line, found `input %0 = x }`

    ^ line 2, column 1: expected `}`, found the end of the text

    ^ line 3, column 1: expected `}`, found the end of the text
    } }
      ^ line 2, column 3: expected the end of the line, found `}`
      graph {
      ^ line 4, column 3: expected the end of the text, found `graph {`
    ");
}

#[test]
fn wrong_items_are_told() {
    assert_snapshot!(complaints(&["residuals @x", "    = exp %0", "exp %0", "{", "inputs %1 = y"]), @"
    residuals @x
    ^ line 3, column 1: expected `input`, `external`, `residual`, an operation, `output` or `}`, found `residuals @x`
        = exp %0
        ^ line 3, column 5: expected `input`, `external`, `residual`, an operation, `output` or `}`, found `= exp %0`
    exp %0
    ^ line 3, column 1: expected `input`, `external`, `residual`, an operation, `output` or `}`, found `exp %0`
    {
    ^ line 3, column 1: expected `input`, `external`, `residual`, an operation, `output` or `}`, found `{`
    inputs %1 = y
    ^ line 3, column 1: expected `input`, `external`, `residual`, an operation, `output` or `}`, found `inputs %1 = y`
    ");
}

#[test]
fn wrong_inputs_are_told() {
    let items = [
        "input",
        "input y",
        "input @y",
        "input %2 = y",
        "input %0 = y",
        "input %1 y",
        "input %1 =",
        "input %1 = = y",
        "input %1 = y z",
        "input %1 = y, %2 = z",
    ];
    assert_snapshot!(complaints(&items), @"
    input
         ^ line 3, column 6: expected `%1`, found the end of the line
    input y
          ^ line 3, column 7: expected `%1`, found `y`
    input @y
          ^ line 3, column 7: expected `%1`, found `@y`
    input %2 = y
          ^ line 3, column 7: expected `%1`, found `%2 = y`
    input %0 = y
          ^ line 3, column 7: expected `%1`, found `%0 = y`
    input %1 y
             ^ line 3, column 10: expected `=`, found `y`
    input %1 =
              ^ line 3, column 11: expected the name of an input, found the end of the line
    input %1 = = y
               ^ line 3, column 12: expected the name of an input, found `= y`
    input %1 = y z
                 ^ line 3, column 14: expected the end of the line, found `z`
    input %1 = y, %2 = z
                ^ line 3, column 13: expected the end of the line, found `, %2 = z`
    ");
}

#[test]
fn wrong_strings_are_told() {
    let items = [
        r#"input %1 = "y"#,
        r#"input %1 = "y\"#,
        r#"input %1 = "y\q""#,
        r#"input %1 = "y\u""#,
        r#"input %1 = "y\u{""#,
        r#"input %1 = "y\u{}""#,
        r#"input %1 = "y\u{xyz}""#,
        r#"input %1 = "y\u{110000}""#,
        r#"input %1 = "y" z"#,
        r#"input %1 = "梯度"\"#,
    ];
    assert_snapshot!(complaints(&items), @r#"
    input %1 = "y
                 ^ line 3, column 14: expected `"`, found the end of the line
    input %1 = "y\
                 ^ line 3, column 14: expected an escape: `\"`, `\\`, `\n`, `\r`, `\t` or `\u{..}`, found `\`
    input %1 = "y\q"
                 ^ line 3, column 14: expected an escape: `\"`, `\\`, `\n`, `\r`, `\t` or `\u{..}`, found `\q"`
    input %1 = "y\u"
                 ^ line 3, column 14: expected an escape: `\"`, `\\`, `\n`, `\r`, `\t` or `\u{..}`, found `\u"`
    input %1 = "y\u{"
                 ^ line 3, column 14: expected an escape: `\"`, `\\`, `\n`, `\r`, `\t` or `\u{..}`, found `\u{"`
    input %1 = "y\u{}"
                 ^ line 3, column 14: expected an escape: `\"`, `\\`, `\n`, `\r`, `\t` or `\u{..}`, found `\u{}"`
    input %1 = "y\u{xyz}"
                 ^ line 3, column 14: expected an escape: `\"`, `\\`, `\n`, `\r`, `\t` or `\u{..}`, found `\u{xyz}"`
    input %1 = "y\u{110000}"
                 ^ line 3, column 14: expected an escape: `\"`, `\\`, `\n`, `\r`, `\t` or `\u{..}`, found `\u{110000}"`
    input %1 = "y" z
                   ^ line 3, column 16: expected the end of the line, found `z`
    input %1 = "梯度"\
                   ^ line 3, column 16: expected the end of the line, found `\`
    "#);
}

#[test]
fn wrong_outputs_are_told() {
    let items = [
        "output",
        "output x",
        "output %",
        "output %1",
        "output @0",
        "output %0 x",
        "output %0 ->",
        "output %0 -> = x",
        "output %0 -> x y",
        "output %0, %0",
        "output zero",
        "output zero %0",
    ];
    assert_snapshot!(complaints(&items), @"
    output
          ^ line 3, column 7: expected a local value that was defined before, found the end of the line
    output x
           ^ line 3, column 8: expected a local value that was defined before, found `x`
    output %
           ^ line 3, column 8: expected a local value that was defined before, found `%`
    output %1
           ^ line 3, column 8: expected a local value that was defined before, found `%1`
    output @0
           ^ line 3, column 8: expected a local value that was defined before, found `@0`
    output %0 x
              ^ line 3, column 11: expected the end of the line, found `x`
    output %0 ->
                ^ line 3, column 13: expected what the output is, found the end of the line
    output %0 -> = x
                 ^ line 3, column 14: expected what the output is, found `= x`
    output %0 -> x y
                   ^ line 3, column 16: expected the end of the line, found `y`
    output %0, %0
             ^ line 3, column 10: expected the end of the line, found `, %0`
    output zero
           ^ line 3, column 8: expected a local value, as only linear maps have symbolic zeros, found `zero`
    output zero %0
                ^ line 3, column 13: expected the end of the line, found `%0`
    ");
}

#[test]
fn wrong_externals_are_told() {
    let items = [
        "external",
        "external y",
        "external @",
        "external @0",
        "external @y z",
        "external @y = exp @x",
        "external @1 = exp @x",
        "external @0 exp @x",
        "external @0 =",
        "external @0 = exp %0",
        "external @0 = exp @0",
        "external @0 = exp @x, @y",
        "external @0, @1 = exp @x",
        "external _ = sin_cos @x",
        "external @0, @0 = sin_cos @x",
        "external @0, = sin_cos @x",
    ];
    assert_snapshot!(complaints(&items), @"
    external
            ^ line 3, column 9: expected `@` and a number or name, or `_`, found the end of the line
    external y
             ^ line 3, column 10: expected `@` and a number or name, or `_`, found `y`
    external @
              ^ line 3, column 11: expected the name of an input, found the end of the line
    external @0
             ^ line 3, column 10: expected a value that was defined before, found `@0`
    external @y z
                ^ line 3, column 13: expected the end of the line, found `z`
    external @y = exp @x
                ^ line 3, column 13: expected the end of the line, found `= exp @x`
    external @1 = exp @x
             ^ line 3, column 10: expected `@0`, found `@1 = exp @x`
    external @0 exp @x
                ^ line 3, column 13: expected `=`, found `exp @x`
    external @0 =
                 ^ line 3, column 14: expected an operation, found the end of the line
    external @0 = exp %0
                      ^ line 3, column 19: expected a value of another graph, found `%0`
    external @0 = exp @0
                      ^ line 3, column 19: expected a value that was defined before, found `@0`
    external @0 = exp @x, @y
                  ^ line 3, column 15: expected 1 operand, found 2
    external @0, @1 = exp @x
             ^ line 3, column 10: expected 1 name, found 2
    external _ = sin_cos @x
             ^ line 3, column 10: expected 2 names, found 1
    external @0, @0 = sin_cos @x
                 ^ line 3, column 14: expected `@1`, found `@0 = sin_cos @x`
    external @0, = sin_cos @x
                 ^ line 3, column 14: expected `@` and a number or name, or `_`, found `= sin_cos @x`
    ");
}

#[test]
fn wrong_operations_are_told() {
    let items = [
        "%1",
        "%1 exp %0",
        "%1 =",
        "%1 = %0",
        "%1 = frobnicate %0",
        "%1 = \"exp\" \"exp\"",
        "%2 = exp %0",
        "%1, = sin_cos %0",
        "%1, %3 = sin_cos %0",
        "%1 = sin_cos %0",
        "%1, %2 = exp %0",
        "_ = exp %0",
        "_, _ = sin_cos %0",
        "%1 = const one",
        "%1 = const NaN.3ff0000000000000",
        "%1 = exp",
        "%1 = mul %0",
        "%1 = exp %0, %0",
    ];
    assert_snapshot!(complaints(&items), @r#"
    %1
      ^ line 3, column 3: expected `=`, found the end of the line
    %1 exp %0
       ^ line 3, column 4: expected `=`, found `exp %0`
    %1 =
        ^ line 3, column 5: expected an operation, found the end of the line
    %1 = %0
         ^ line 3, column 6: expected an operation, found `%0`
    %1 = frobnicate %0
         ^ line 3, column 6: expected an operation, found `frobnicate %0`
    %1 = "exp" "exp"
               ^ line 3, column 12: expected an operand: `%` or `@`, found `"exp"`
    %2 = exp %0
    ^ line 3, column 1: expected `%1`, found `%2 = exp %0`
    %1, = sin_cos %0
        ^ line 3, column 5: expected `%2`, found `= sin_cos %0`
    %1, %3 = sin_cos %0
        ^ line 3, column 5: expected `%2`, found `%3 = sin_cos %0`
    %1 = sin_cos %0
    ^ line 3, column 1: expected 2 results, found 1
    %1, %2 = exp %0
    ^ line 3, column 1: expected 1 result, found 2
    _ = exp %0
    ^ line 3, column 1: expected 1 result, found 0
    _, _ = sin_cos %0
     ^ line 3, column 2: expected `=`, found `, _ = sin_cos %0`
    %1 = const one
         ^ line 3, column 6: expected an operation, found `const` with the number `one`: it is written like `const 1.5`
    %1 = const NaN.3ff0000000000000
         ^ line 3, column 6: expected an operation, found `const` with the number `NaN.3ff0000000000000`: it is written like `const 1.5`
    %1 = exp
         ^ line 3, column 6: expected 1 operand, found 0
    %1 = mul %0
         ^ line 3, column 6: expected 2 operands, found 1
    %1 = exp %0, %0
         ^ line 3, column 6: expected 1 operand, found 2
    "#);
}

#[test]
fn wrong_operands_are_told() {
    let items = [
        "%1 = exp 0",
        "%1 = exp %1",
        "%1 = exp %",
        "%1 = exp %99999999999999999999",
        "%1 = exp @",
        "%1 = exp @0",
        "%1 = exp @99999999999999999999",
        "%1 = exp ~",
        "%1 = exp ~~%0",
        "%1 = exp = %0",
        "%1 = mul %0 %0",
        "%1 = mul %0,",
        "%1 = mul %0, , %0",
        "%1 = mul , %0",
    ];
    assert_snapshot!(complaints(&items), @"
    %1 = exp 0
             ^ line 3, column 10: expected an operand: `%` or `@`, found `0`
    %1 = exp %1
             ^ line 3, column 10: expected a local value that was defined before, found `%1`
    %1 = exp %
             ^ line 3, column 10: expected a local value that was defined before, found `%`
    %1 = exp %99999999999999999999
             ^ line 3, column 10: expected a local value that was defined before, found `%99999999999999999999`
    %1 = exp @
              ^ line 3, column 11: expected the name of an input, found the end of the line
    %1 = exp @0
             ^ line 3, column 10: expected a value that was defined before, found `@0`
    %1 = exp @99999999999999999999
             ^ line 3, column 10: expected a value that was defined before, found `@99999999999999999999`
    %1 = exp ~
              ^ line 3, column 11: expected an operand: `%` or `@`, found the end of the line
    %1 = exp ~~%0
              ^ line 3, column 11: expected an operand: `%` or `@`, found `~%0`
    %1 = exp = %0
             ^ line 3, column 10: expected an operand: `%` or `@`, found `= %0`
    %1 = mul %0 %0
                ^ line 3, column 13: expected `,` or the end of the line, found `%0`
    %1 = mul %0,
                ^ line 3, column 13: expected an operand: `%` or `@`, found the end of the line
    %1 = mul %0, , %0
                 ^ line 3, column 14: expected an operand: `%` or `@`, found `, %0`
    %1 = mul , %0
             ^ line 3, column 10: expected an operand: `%` or `@`, found `, %0`
    ");
}

#[test]
fn wrong_masks_are_told() {
    let items = [
        "%1 = fixed",
        "%1 = fixed neg ~%0",
        "%1 = masked",
        "%1 = masked neg %0",
        "%1 = masked 12 neg %0",
        "%1 = masked 10 neg ~%0",
        "%1 = masked - masked - neg %0",
    ];
    assert_snapshot!(complaints(&items), @"
    %1 = fixed
              ^ line 3, column 11: expected an operation, found the end of the line
    %1 = fixed neg ~%0
               ^ line 3, column 12: expected no `~` after `fixed` or `masked`, found `neg ~%0`
    %1 = masked
               ^ line 3, column 12: expected an active mask such as `101` or `-`, found the end of the line
    %1 = masked neg %0
                ^ line 3, column 13: expected an active mask such as `101` or `-`, found `neg %0`
    %1 = masked 12 neg %0
                ^ line 3, column 13: expected an active mask such as `101` or `-`, found `12 neg %0`
    %1 = masked 10 neg ~%0
                   ^ line 3, column 16: expected no `~` after `fixed` or `masked`, found `neg ~%0`
    %1 = masked - masked - neg %0
                  ^ line 3, column 15: expected an operation, found `masked - neg %0`
    ");
}

#[test]
fn wrong_linear_maps_are_told() {
    let texts = [
        "graph {\n}",
        "linear {\n    input %0 = d1.x\n    output %0 -> x\n    output %0\n}",
        "linear {\n    input %0 = d1.x\n    output %0 ->\n}",
    ];
    let complaint = |text: &str| match text.parse::<LinearizedGraph<ScalarOp>>() {
        Ok(_) => panic!("{text}"),
        Err(error) => format!("{error}\n"),
    };
    assert_snapshot!(texts.map(complaint).concat(), @"
    line 1, column 1: expected `linear {`, found `graph {`
    line 4, column 12: expected the name of an input after `->`, found no such name
    line 3, column 17: expected what the output is, found the end of the line
    ");
}

/// Whatever is done to a text, reading it ends with a graph that reads back, or a place in the text.
#[test]
fn damaged_texts_are_read_or_refused() {
    let mut random = Random(4);
    for _ in 0..100 {
        let problem = wild_problem(&mut random);
        let text = problem.linearize().as_graph().to_string();
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..1 + random.below(3) {
            let (at, from) = (random.below(chars.len()), random.below(chars.len()));
            match random.below(3) {
                0 => drop(chars.remove(at)),
                1 => chars[at] = chars[from],
                _ => chars.insert(at, chars[from]),
            }
        }
        let damaged: String = chars.into_iter().collect();
        match damaged.parse::<Graph<ScalarOp>>() {
            Ok(graph) => assert_reads_back(&graph),
            Err(error) => {
                let line = damaged.lines().nth(error.line - 1).unwrap_or_default();
                assert!(
                    error.column <= line.chars().count() + 1,
                    "{error} in\n{damaged}"
                );
            }
        }
    }
}

// Size.

/// Takes a text in, and fails at the first place where it is not the expected one.
struct Expect<'a>(&'a str);

impl Write for Expect<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Runs on the stack of an ordinary thread, of which a pass may use a constant part.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    thread.spawn(test).unwrap().join().unwrap();
}

/// xₙ₊₁ = xₙ + xₙ₋₁: as a tree, it would have more than 10^200000 nodes.
fn fibonacci(operations: usize) -> Graph<ScalarOp> {
    let mut builder = GraphBuilder::new();
    builder.add_input("a".into());
    builder.add_input("b".into());
    for id in 0..operations {
        let operands = vec![ValueRef::Local(id), ValueRef::Local(id + 1)];
        builder.add_operation(ScalarOp::Add, operands, OperationRole::Primary);
    }
    builder.set_outputs(vec![operations + 1]);
    builder.build()
}

#[test]
fn a_million_operations_print_and_read_back() {
    on_a_small_stack(|| {
        let operations = cases(1_000_000);
        let mut text = "graph {\n    input %0 = a\n    input %1 = b\n".to_owned();
        for id in 0..operations {
            writeln!(text, "    %{} = add %{id}, %{}", id + 2, id + 1).unwrap();
        }
        write!(text, "    output %{}\n}}", operations + 1).unwrap();
        let mut expect = Expect(&text);
        write!(expect, "{}", fibonacci(operations)).unwrap();
        assert_eq!(expect.0, "");
        let parsed: Graph<ScalarOp> = text.parse().unwrap();
        assert_eq!(parsed.operations().len(), operations);
        assert_eq!(parsed.outputs(), [operations + 1]);
    });
}

#[test]
fn a_deep_chain_of_residuals_prints_and_reads_back() {
    on_a_small_stack(|| {
        let depth = cases(100_000);
        let mut builder = GraphBuilder::<ScalarOp>::new();
        let mut last = builder.add_input("x".into());
        for _ in 0..depth {
            let operands = vec![ValueRef::Local(last)];
            let results = builder.add_operation(ScalarOp::SinCos, operands, OperationRole::Primary);
            last = results[0];
        }
        let key = builder.global_key(last).clone();
        let view = resolve(vec![Arc::new(builder.build())]);
        let linear = linearize(&view, &[key], &["x".into()], 1, &mut (), &HashMap::new());
        let transposed = linear_transpose(&linear, &mut ());
        for map in [linear, transposed] {
            let text = map.to_string();
            assert!(text.lines().count() < 5 * depth);
            let parsed: LinearizedGraph<ScalarOp> = text.parse().unwrap();
            let mut expect = Expect(&text);
            write!(expect, "{parsed}").unwrap();
            assert_eq!(expect.0, "");
        }
    });
}
