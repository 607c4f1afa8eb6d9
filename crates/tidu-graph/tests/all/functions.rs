//! Functions in operations: compared, printed, read, verified, simplified, drawn and dropped, one within another,
//! a million deep and shared exponentially often, on a stack of 2 MiB.

use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use crate::support::{on_small_stack, panic_text};
use tidu_graph::text::{ParseNames, parse_function};
use tidu_graph::{
    CallError, CompiledProgram, DenseGraph, DenseId, EvaluableGraphOperation, Exactness, Graph,
    GraphError, GraphOperation, Picture, Rewrite, SubFunction, ValueType, merge, try_simplify,
};
use tidu_testkit::cases;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Const(i64),
    Add,
    Mul,
    Neg,
    /// f ↦ (x ↦ f(x))
    Call(SubFunction<Op>),
    /// (f, g) ↦ ((b, x) ↦ f(x) if b ≠ 0, g(x) otherwise)
    Cond([SubFunction<Op>; 2]),
    /// A call that cannot be rebuilt.
    Sealed(SubFunction<Op>),
    /// A call that becomes another operation when it is rebuilt.
    Fickle(SubFunction<Op>),
    /// A call that says that it takes two operands.
    Liar(SubFunction<Op>),
}

fn number() -> ValueType {
    ValueType::new("i64", [])
}

fn neg_neg() -> &'static [Rewrite<Op>] {
    const RULES: &[Rewrite<Op>] = &[Rewrite::exact("-(-x) = x", |terms, _, operands| {
        let [inner] = terms.operands(operands[0], &Op::Neg)?;
        Some(inner)
    })];
    RULES
}

impl GraphOperation for Op {
    type Operand = i64;
    type Context = ();
    type InputKey = String;

    fn input_count(&self) -> usize {
        match self {
            Op::Const(_) => 0,
            Op::Neg => 1,
            Op::Add | Op::Mul | Op::Liar(_) => 2,
            Op::Call(f) | Op::Sealed(f) | Op::Fickle(f) => f.arity().0,
            Op::Cond([f, _]) => 1 + f.arity().0,
        }
    }

    fn output_count(&self) -> usize {
        self.functions().first().map_or(1, |f| f.arity().1)
    }

    fn functions(&self) -> &[SubFunction<Self>] {
        match self {
            Op::Call(f) | Op::Sealed(f) | Op::Fickle(f) | Op::Liar(f) => std::slice::from_ref(f),
            Op::Cond(branches) => branches,
            _ => &[],
        }
    }

    fn with_functions(&self, mut functions: Vec<SubFunction<Self>>) -> Option<Self> {
        match self {
            Op::Call(_) => functions.pop().map(Op::Call),
            Op::Cond(_) => functions.try_into().ok().map(Op::Cond),
            Op::Fickle(_) => Some(Op::Neg),
            _ => None,
        }
    }

    fn function_arity(&self, _position: usize) -> (usize, usize) {
        let inputs = self.input_count();
        let inputs = inputs - usize::from(matches!(self, Op::Cond(_)));
        (inputs, self.output_count())
    }

    fn infer_types(
        &self,
        _: &[&ValueType],
    ) -> Result<Option<Vec<ValueType>>, Box<dyn Error + Send + Sync>> {
        Ok(Some(vec![number(); self.output_count()]))
    }

    fn fold(&self, operands: &[&Self]) -> Option<Vec<Self>> {
        match (self, operands) {
            (Op::Add, [Op::Const(a), Op::Const(b)]) => Some(vec![Op::Const(a + b)]),
            (Op::Mul, [Op::Const(a), Op::Const(b)]) => Some(vec![Op::Const(a * b)]),
            _ => None,
        }
    }

    fn rewrites(&self) -> &'static [Rewrite<Self>] {
        match self {
            Op::Neg => neg_neg(),
            _ => &[],
        }
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Const(value) => write!(f, "const {value}"),
            Op::Add => write!(f, "add"),
            Op::Mul => write!(f, "mul"),
            Op::Neg => write!(f, "neg"),
            Op::Call(_) => write!(f, "call"),
            Op::Cond(_) => write!(f, "cond"),
            Op::Sealed(_) => write!(f, "sealed"),
            Op::Fickle(_) => write!(f, "fickle"),
            Op::Liar(_) => write!(f, "liar"),
        }
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, ctx: &mut (), x: &[&i64]) -> Vec<i64> {
        let mut call = |f: &SubFunction<Op>, x: &[&i64]| f.graph().compile().eval(ctx, x);
        match self {
            Op::Const(value) => vec![*value],
            Op::Add => vec![x[0] + x[1]],
            Op::Mul => vec![x[0] * x[1]],
            Op::Neg => vec![-x[0]],
            Op::Cond([f, g]) => call(if *x[0] == 0 { g } else { f }, &x[1..]),
            Op::Call(f) | Op::Sealed(f) | Op::Fickle(f) | Op::Liar(f) => call(f, x),
        }
    }
}

impl ParseNames for Op {
    fn parse_name(text: &str) -> Option<Self> {
        match text {
            "add" => Some(Op::Add),
            "mul" => Some(Op::Mul),
            "neg" => Some(Op::Neg),
            text => text.strip_prefix("const ")?.parse().ok().map(Op::Const),
        }
    }

    fn parse_with_functions(text: &str, mut functions: Vec<SubFunction<Self>>) -> Option<Self> {
        match (text, functions.len()) {
            ("call", 1) => functions.pop().map(Op::Call),
            ("sealed", 1) => functions.pop().map(Op::Sealed),
            ("liar", 1) => functions.pop().map(Op::Liar),
            ("cond", 2) => functions.try_into().ok().map(Op::Cond),
            _ => None,
        }
    }

    fn parse_input_name(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn parse_kind(text: &str) -> Option<&'static str> {
        (text == "i64").then_some("i64")
    }
}

type Dense = DenseGraph<Op>;
type Sub = SubFunction<Op>;

/// A graph of one output.
fn graph(inputs: usize, body: impl FnOnce(&mut Dense, &[DenseId]) -> DenseId) -> Dense {
    let mut graph = Dense::new(inputs);
    let given: Vec<DenseId> = graph.inputs().collect();
    let output = body(&mut graph, &given);
    graph.set_outputs(vec![output]);
    graph
}

fn push(graph: &mut Dense, operation: Op, operands: &[DenseId]) -> DenseId {
    graph.push(operation, operands).unwrap().start()
}

/// x ↦ k·x, after a sum that nothing needs.
fn scale(k: i64) -> Sub {
    let body = graph(1, |g, x| {
        let k = push(g, Op::Const(k), &[]);
        push(g, Op::Add, &[x[0], k]);
        push(g, Op::Mul, &[x[0], k])
    });
    SubFunction::new("scale", body)
}

/// The function that calls another one, at this many levels.
fn nested(depth: usize, innermost: Sub) -> Sub {
    (1..depth).fold(innermost, |inner, _| {
        let body = graph(1, |g, x| push(g, Op::Call(inner), x));
        SubFunction::new("level", body)
    })
}

/// Each level is f(x) - f(-x) of the one below: 2ⁿ⁻¹ calls, if nobody shares.
fn tower(depth: usize, innermost: Sub) -> Sub {
    (1..depth).fold(innermost, |inner, _| {
        let body = graph(1, |g, x| {
            let call = Op::Call(inner);
            let minus = push(g, Op::Neg, x);
            let (a, b) = (push(g, call.clone(), x), push(g, call, &[minus]));
            let minus = push(g, Op::Neg, &[b]);
            push(g, Op::Add, &[a, minus])
        });
        SubFunction::new("floor", body)
    })
}

/// x ↦ f(x)
fn calling(function: &Sub) -> Dense {
    graph(1, |g, x| push(g, Op::Call(function.clone()), x))
}

fn value(graph: &Dense, inputs: &[i64]) -> Vec<i64> {
    let inputs: Vec<&i64> = inputs.iter().collect();
    graph.compile().eval(&mut (), &inputs)
}

fn hash(function: &Sub) -> u64 {
    let state = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
    state.hash_one(function)
}

const MILLION: usize = 1_000_000;

#[test]
fn functions_are_equal_by_content_at_any_depth() {
    on_small_stack(|| {
        for depth in [1, 3, cases(MILLION)] {
            let functions = [nested, tower];
            for function in functions {
                let (a, b) = (function(depth, scale(2)), function(depth, scale(2)));
                assert!(a == b && a == a.clone(), "{depth}");
                assert_eq!(hash(&a), hash(&b));
                assert_eq!(a.depth(), depth);
                assert!(a != function(depth, scale(3)), "{depth}");
                assert!(a != function(depth + 1, scale(2)), "{depth}");
                assert!(format!("{a:?}").len() < 20);
            }
        }
    });
}

#[test]
fn names_tell_no_functions_apart_but_what_they_compute_does() {
    let named = |name: &str| SubFunction::new(name, scale(2).graph().clone());
    assert_eq!(named("a"), named("b"));
    assert_eq!(hash(&named("a")), hash(&named("b")));
    let wider = graph(2, |g, x| {
        let k = push(g, Op::Const(2), &[]);
        push(g, Op::Mul, &[x[0], k])
    });
    assert_ne!(SubFunction::new("scale", wider), scale(2));
    let other_output = graph(1, |_, x| x[0]);
    assert_ne!(
        SubFunction::new("a", other_output.clone()),
        SubFunction::new("a", graph(1, |g, x| push(g, Op::Neg, x)))
    );
    let branches = |f: i64, g: i64| {
        let cond = Op::Cond([scale(f), scale(g)]);
        SubFunction::new("choice", graph(2, |g, x| push(g, cond, x)))
    };
    assert_eq!(branches(1, 2), branches(1, 2));
    assert_ne!(branches(1, 2), branches(2, 1));
}

#[test]
fn within_functions_what_cannot_be_rebuilt_is_equal_to_its_clones_only() {
    let sealed =
        |f: &Sub| SubFunction::new("s", graph(1, |g, x| push(g, Op::Sealed(f.clone()), x)));
    let f = scale(2);
    assert_eq!(sealed(&f), sealed(&f));
    assert_ne!(sealed(&f), sealed(&scale(2)));
}

#[test]
fn each_function_is_listed_once_after_those_that_it_holds() {
    let (f, g) = (scale(2), scale(3));
    let both = SubFunction::new(
        "both",
        graph(2, |graph, x| push(graph, Op::Cond([g, f.clone()]), x)),
    );
    let ops = [Op::Call(f), Op::Neg, Op::Call(both.clone()), Op::Call(both)];
    let all = SubFunction::all_in(&ops);
    assert_eq!(all, [scale(2), scale(3), all[2].clone()]);
    assert_eq!(all[2].name(), "both");

    let floors = SubFunction::all_in(&[Op::Call(tower(100, scale(2)))]);
    assert_eq!(floors.len(), 100);
    assert!(floors.iter().map(SubFunction::depth).eq(1..=100));
}

#[test]
fn a_graph_takes_no_operation_whose_function_is_of_another_arity() {
    let liar = Op::Liar(scale(2));
    let mut graph = Dense::new(2);
    let inputs: Vec<DenseId> = graph.inputs().collect();
    let error = graph.push(liar.clone(), &inputs).unwrap_err();
    assert_eq!(
        error,
        GraphError::WrongFunctionArity {
            operation: "Liar(@scale)".into(),
            function: "scale".into(),
            expected: (2, 1),
            found: (1, 1),
        }
    );
    assert_eq!(
        error.to_string(),
        "Liar(@scale) holds @scale of 1 input and 1 output, and needs a function of 2 inputs and 1 output"
    );
    assert_eq!(graph.operation_count(), 0);

    let two = SubFunction::new("two", super::functions::graph(2, |_, x| x[0]));
    let cond = Op::Cond([scale(2), two]);
    assert!(graph.push(cond, &inputs).is_err());
}

#[test]
fn definitions_stand_before_what_uses_them_and_read_back() {
    let choice = graph(2, |g, x| {
        let chosen = push(g, Op::Cond([tower(2, scale(2)), scale(3)]), x);
        push(g, Op::Call(scale(3)), &[chosen])
    });
    let text = "function @scale {
    input %0
    %1 = const 2
    %2 = add %0, %1
    %3 = mul %0, %1
    output %3
}
function @floor {
    input %0
    %1 = neg %0
    %2 = call @scale %0
    %3 = call @scale %1
    %4 = neg %3
    %5 = add %2, %4
    output %5
}
function @scale_2 {
    input %0
    %1 = const 3
    %2 = add %0, %1
    %3 = mul %0, %1
    output %3
}
dense {
    input %0
    input %1
    %2 = cond @floor, @scale_2 %0, %1
    %3 = call @scale_2 %2
    output %3
}";
    assert_eq!(choice.to_string(), text);
    let read: Dense = text.parse().unwrap();
    assert_eq!(read.to_string(), text);
    assert_eq!(
        SubFunction::new("a", read.clone()),
        SubFunction::new("a", choice)
    );
    // 3·(2·5 - 2·(-5)) and 3·3·5
    assert_eq!(value(&read, &[1, 5]), [60]);
    assert_eq!(value(&read, &[0, 5]), [45]);

    // The same below keys, and what is computed by graphs that are not there.
    let keyed = text.replace("dense", "graph");
    let keyed = keyed.replace(
        "input %0\n    input %1\n    %2 = c",
        "external @0 = call @scale @z\n    external @z\n    input %0 = x\n    input %1 = y\n    %2 = c",
    );
    let keyed = keyed.replace("call @scale_2 %2", "cond @floor, @scale_2 @0, @z");
    let keyed = keyed
        .replace("function @floor", "function @f")
        .replace("@floor", "@f");
    let graph: Graph<Op> = keyed
        .parse()
        .unwrap_or_else(|error| panic!("{error}\n{keyed}"));
    assert_eq!(graph.to_string().replace("@floor", "@f"), keyed);
}

/// What a function names by key has to be a value of its own, wherever it stands.
#[test]
fn operands_of_a_function_may_be_named_by_key() {
    let text = "graph {
        external @0 = neg @x
        %0 = const 3
        input %1 = x
        %2 = neg %1
        %3 = mul %2, @0
        %4 = mul %3, %0
        output %4 -> f
        output %1
    }";
    let read = parse_function::<Op>(text).unwrap();
    // 3·(-5)·(-5)
    assert_eq!(value(&read.graph, &[5]), [75, 5]);
    assert_eq!(read.input_keys, ["x"]);
    assert_eq!(read.output_labels, [Some("f".to_owned()), None]);
    let straight = text.replace("external @0 = neg @x", "").replace("@0", "%2");
    let straight = parse_function::<Op>(&straight).unwrap();
    assert_eq!(value(&straight.graph, &[5]), [75, 5]);
    let foreign = text.replace("neg @x", "neg @y");
    let error = parse_function::<Op>(&foreign).unwrap_err().to_string();
    let expected = "line 1, column 1: expected a closed function, found operand 1 of Mul is output 0 of Neg, which no graph";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn types_within_functions_are_printed_and_read() {
    let negate = graph(1, |g, x| push(g, Op::Neg, x));
    let plain = SubFunction::new("f", negate.clone());
    let typed = SubFunction::new("f", negate.with_types([number()]).unwrap());
    assert_ne!(plain, typed);
    let graph = calling(&typed).with_types([number()]).unwrap();
    let text = "function @f {
    input %0: i64
    %1: i64 = neg %0
    output %1
}
dense {
    input %0: i64
    %1: i64 = call @f %0
    output %1
}";
    assert_eq!(format!("{graph:#}"), text);
    let read: Dense = text.parse().unwrap();
    assert_eq!(
        SubFunction::new("g", read),
        SubFunction::new("g", graph.clone())
    );
    assert_eq!(graph.to_string(), text.replace(": i64", ""));
    let merged = merge(&graph);
    assert_eq!(format!("{merged:#}"), text);
}

#[test]
fn of_functions_that_are_called_alike_no_two_get_one_name() {
    let named = |name: &str, k: i64| SubFunction::new(name, scale(k).graph().clone());
    let functions = [
        ("f", 1),
        ("f", 2),
        ("f_2", 3),
        ("f", 4),
        ("my f", 5),
        ("", 6),
        ("f", 1),
    ];
    let graph = graph(1, |g, x| {
        functions
            .into_iter()
            .fold(x[0], |x, (name, k)| push(g, Op::Call(named(name, k)), &[x]))
    });
    let text = graph.to_string();
    let headers: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("function"))
        .collect();
    assert_eq!(
        headers,
        [
            "function @f {",
            "function @f_3 {",
            "function @f_2 {",
            "function @f_4 {",
            "function @\"my f\" {",
            "function @\"\" {",
        ]
    );
    let read: Dense = text.parse().unwrap();
    assert_eq!(read.to_string(), text);
    assert_eq!(value(&read, &[1]), [720]);
}

#[test]
fn a_program_says_what_its_functions_are() {
    let program = calling(&scale(2)).compile().to_string();
    assert!(
        program.starts_with("function @scale {\n    input %0\n"),
        "{program}"
    );
    assert!(
        program.ends_with("program {\n    input s0\n    s1 = call @scale s0\n    output s1\n}"),
        "{program}"
    );
}

/// The error of a text in which `@f` is x ↦ -x.
fn error_of(text: &str) -> String {
    let f = "function @f {\n    input %0\n    %1 = neg %0\n    output %1\n}\n";
    let text = format!("{f}{text}");
    text.parse::<Dense>().unwrap_err().to_string()
}

#[test]
fn what_is_wrong_with_functions_in_a_text_is_found_where_it_stands() {
    let using = |line: &str| format!("dense {{\n    input %0\n    {line}\n    output %1\n}}");
    let cases = [
        (
            using("%1 = call @g %0"),
            "line 8, column 15: expected a function that was defined before, found `@g %0`",
        ),
        (
            using("%1 = call @f, %0"),
            "line 8, column 19: expected `@` and the name of a function, found `%0`",
        ),
        (
            using("%1 = call @f, @f %0"),
            "line 8, column 10: expected an operation, found `call @f, @f %0`",
        ),
        (
            using("%1 = call @f %0, %0"),
            "line 8, column 10: expected 1 operand, found 2",
        ),
        (
            using("%1 = liar @f %0, %0"),
            "line 8, column 15: expected a well-formed operation, found Liar(@f) holds @f of 1 input and 1 output, \
             and needs a function of 2 inputs and 1 output",
        ),
        (
            using("%1 = call %0"),
            "line 8, column 10: expected an operation, found `call %0`",
        ),
        (
            "function @f {\n}".into(),
            "line 6, column 10: expected a name that no function before has, found `@f {`",
        ),
        (
            "function @g {\n    input %0\n    %1 = call @g %0\n    output %1\n}".into(),
            "line 8, column 15: expected a function that was defined before, found `@g`, which this is a part of",
        ),
        (
            "function @g {\n    input %0 = x\n}".into(),
            "line 7, column 14: expected the end of the line, found `= x`",
        ),
        (
            "function @g".into(),
            "line 6, column 12: expected `{`, found the end of the line",
        ),
        (
            "function @ {".into(),
            "line 6, column 10: expected `@` and the name of a function, found `@ {`",
        ),
        (
            "function @g {".into(),
            "line 7, column 1: expected `}`, found the end of the text",
        ),
        (
            String::new(),
            "line 6, column 1: expected `dense {`, found the end of the text",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(error_of(&text), expected, "{text}");
    }
}

#[test]
fn a_million_functions_within_one_another_are_printed_and_read() {
    on_small_stack(|| {
        for function in [nested, tower] {
            let depth = cases(MILLION);
            let graph = calling(&function(depth, scale(2)));
            let text = graph.to_string();
            assert_eq!(text.matches("function @").count(), depth);
            let read: Dense = text.parse().unwrap();
            assert!(SubFunction::new("f", read) == SubFunction::new("f", graph));
        }
    });
}

#[test]
fn a_clean_graph_of_functions_verifies_clean() {
    on_small_stack(|| {
        for depth in [1, 3, cases(MILLION)] {
            for function in [nested, tower] {
                assert!(calling(&function(depth, scale(2))).verify().is_clean());
            }
        }
    });
}

#[test]
fn what_is_dead_or_constant_within_functions_goes_at_every_depth() {
    on_small_stack(|| {
        for depth in [1, 3, cases(MILLION)] {
            // (2·3)·x, after a sum that nothing needs.
            let six = graph(1, |g, x| {
                let [two, three] = [2, 3].map(|k| push(g, Op::Const(k), &[]));
                let k = push(g, Op::Mul, &[two, three]);
                push(g, Op::Add, &[x[0], k]);
                push(g, Op::Mul, &[x[0], k])
            });
            let expected = graph(1, |g, x| {
                let k = push(g, Op::Const(6), &[]);
                push(g, Op::Mul, &[x[0], k])
            });
            let graph = calling(&nested(depth, SubFunction::new("six", six)));
            let simplified = try_simplify(&graph, Exactness::Exact).unwrap();
            let functions = SubFunction::all_in(simplified.nodes().map(|node| node.operation));
            assert_eq!(functions.len(), depth);
            assert_eq!(functions[0], SubFunction::new("six", expected));
            assert_eq!(functions[0].name(), "six");
            assert_eq!(functions[0].graph().operation_count(), 2);
            if depth < 10 {
                assert_eq!(value(&simplified, &[7]), [42]);
            }
            // Nothing is computed by merging, but what is dead goes.
            let merged = merge(&graph);
            let functions = SubFunction::all_in(merged.nodes().map(|node| node.operation));
            assert_eq!(functions[0].graph().operation_count(), 4);
        }
    });
}

#[test]
fn a_tower_of_two_calls_a_floor_is_simplified_floor_by_floor() {
    on_small_stack(|| {
        for depth in [1, 3, 64, cases(MILLION)] {
            let graph = calling(&tower(depth, scale(2)));
            let simplified = try_simplify(&graph, Exactness::Exact).unwrap();
            let functions = SubFunction::all_in(simplified.nodes().map(|node| node.operation));
            assert_eq!(functions.len(), depth);
            assert_eq!(functions[0].graph().operation_count(), 2);
            if depth < 10 {
                assert_eq!(value(&simplified, &[5]), value(&graph, &[5]));
                assert_eq!(value(&graph, &[5]), [10 << (depth - 1)]);
            }
        }
    });
}

#[test]
fn calls_of_what_is_equal_once_it_is_simplified_are_one() {
    let twice_negated = |name: &str, pairs: usize| {
        let body = graph(1, |g, x| {
            let k = push(g, Op::Const(2), &[]);
            let product = push(g, Op::Mul, &[x[0], k]);
            (0..2 * pairs).fold(product, |x, _| push(g, Op::Neg, &[x]))
        });
        nested(3, SubFunction::new(name, body))
    };
    let sum = graph(1, |g, x| {
        let terms = [0, 1, 5, 0].map(|pairs| push(g, Op::Call(twice_negated("f", pairs)), x));
        terms
            .into_iter()
            .reduce(|a, b| push(g, Op::Add, &[a, b]))
            .unwrap()
    });
    let merged = merge(&sum);
    assert_eq!(merged.operation_count(), 3 + 3);
    let simplified = try_simplify(&sum, Exactness::Exact).unwrap();
    assert_eq!(simplified.operation_count(), 1 + 3);
    for graph in [&sum, &merged, &simplified] {
        assert_eq!(value(graph, &[5]), [40]);
    }
    // A function that is simple already stays the same one.
    let again = merge(&simplified);
    assert_eq!(again.to_string(), simplified.to_string());
}

#[test]
fn a_function_that_is_called_a_thousand_times_is_simplified_once() {
    let f = scale(2);
    let calls = graph(1, |g, x| {
        (0..1000).fold(x[0], |x, _| push(g, Op::Call(f.clone()), &[x]))
    });
    let text = merge(&calls).to_string();
    assert_eq!(text.matches("function @").count(), 1);
    assert_eq!(text.matches("call @scale").count(), 1000);
    assert!(!text.contains("add"));
}

#[test]
fn what_cannot_be_rebuilt_or_becomes_another_operation_stays_as_it_is() {
    for operation in [Op::Sealed(scale(2)), Op::Fickle(scale(2))] {
        let once = graph(1, |g, x| push(g, operation.clone(), x));
        let graph = calling(&nested(3, SubFunction::new("outer", once)));
        let simplified = try_simplify(&graph, Exactness::RealOnly).unwrap();
        assert_eq!(simplified.to_string(), graph.to_string());
        assert_eq!(value(&simplified, &[5]), [10]);
    }
}

/// Operations rebuilt with the function that they are a part of: one level more, and no circle.
#[test]
fn a_function_that_is_put_into_itself_is_used_by_another_one() {
    let outer = nested(2, scale(2));
    let call = outer.graph().nodes().next().unwrap().operation.clone();
    let around = call.with_functions(vec![outer]).unwrap();
    let graph = graph(1, |g, x| push(g, around, x));
    assert_eq!(graph.to_string().matches("function @").count(), 2);
    assert_eq!(value(&merge(&graph), &[5]), [10]);
    let text = "function @f {\n    input %0\n    %1 = call @f %0\n    output %1\n}\ndense {\n}";
    assert!(text.parse::<Dense>().is_err());
}

#[test]
fn the_short_form_panics_with_the_text_of_the_error() {
    let panicking = || {
        let key = tidu_graph::ValueKey::Input(String::from("x"));
        tidu_graph::OperationKey::new(
            Op::Liar(scale(2)),
            vec![key.clone(), key],
            tidu_graph::OperationRole::Primary,
        )
    };
    assert!(panic_text(panicking).starts_with("Liar(@scale) holds @scale of 1 input"));
}

#[test]
fn a_picture_has_each_function_once_and_edges_to_it() {
    let pair = graph(1, |g, x| {
        let call = Op::Call(nested(2, scale(2)));
        let once = push(g, call.clone(), x);
        push(g, call, &[once])
    });
    let dot = Picture::of_dense(&pair).to_dot();
    for title in ["function @scale", "function @level"] {
        assert_eq!(
            dot.matches(&format!("label=\"{title}\"")).count(),
            1,
            "{dot}"
        );
    }
    // Nodes of the graph: input, two calls, output; of @scale: input, constant, sum, product, output; of @level: three.
    assert_eq!(dot.matches("call @level\\n").count(), 2);
    let dotted: Vec<&str> = dot
        .lines()
        .filter(|line| line.contains("dotted"))
        .map(str::trim)
        .collect();
    assert_eq!(
        dotted,
        [
            "n1 -> n11 [style=dotted];",
            "n2 -> n11 [style=dotted];",
            "n10 -> n8 [style=dotted];"
        ]
    );
    let keyed = pair.to_graph(&["x".to_owned()]);
    let edges = |picture: &Picture| picture.to_mermaid().matches("-.->").count();
    assert_eq!(edges(&Picture::of_graph(&keyed)), 3);
    assert_eq!(edges(&Picture::of_program(&pair.compile())), 3);

    // A function without inputs and outputs, which a call of none has.
    let nothing = SubFunction::new("nothing", Dense::new(0));
    let mut calls = Dense::new(0);
    calls.push(Op::Call(nothing), &[]).unwrap();
    let dot = Picture::of_dense(&calls).to_dot();
    assert!(dot.contains("function @nothing"), "{dot}");
    assert!(!dot.contains("dotted"), "{dot}");
    on_small_stack(|| {
        let picture = Picture::of_dense(&calling(&tower(cases(MILLION), scale(2))));
        assert!(picture.to_dot().contains("nodes are not shown"));
    });
}

#[test]
fn what_a_stack_does_not_bear_is_refused_before_anything_runs() {
    on_small_stack(|| {
        const LIMIT: usize = CompiledProgram::<Op>::DEPTH_LIMIT;
        assert_eq!(value(&calling(&nested(LIMIT, scale(2))), &[5]), [10]);
        for depth in [LIMIT + 1, cases(MILLION)] {
            let graph = graph(1, |g, x| {
                let negative = push(g, Op::Neg, x);
                push(g, Op::Call(nested(depth, scale(2))), &[negative])
            });
            let error = graph.compile().try_eval(&mut (), &[&5]).unwrap_err();
            assert_eq!(
                error,
                GraphError::Call(CallError::NestedTooDeep {
                    operation: "call".into(),
                    instruction: 1,
                    depth,
                    limit: LIMIT
                })
            );
            let expected = format!(
                "call (instruction 1) holds functions {depth} deep in one another, and at most 128 can be evaluated"
            );
            assert_eq!(error.to_string(), expected);
        }
    });
}

#[test]
fn a_million_functions_within_one_another_go_through_every_pass() {
    on_small_stack(|| {
        let depth = cases(MILLION);
        let graph = calling(&nested(depth, scale(2)));
        assert!(graph.verify().is_clean());
        let simplified = try_simplify(&graph, Exactness::Exact).unwrap();
        drop(graph);
        let text = simplified.to_string();
        assert_eq!(text.matches("function @").count(), depth);
        assert!(!text.contains("add"));
        let program = simplified.compile();
        drop(simplified);
        assert!(program.try_eval(&mut (), &[&1]).is_err());
    });
}
