//! Functions over a set of one's own, whose operations hold functions: a call and a choice.

use std::fmt;

use tidu::graph::text::ParseNames;
use tidu::graph::{
    DenseGraph, EvaluableGraphOperation, Exactness, GraphOperation, LocalValueId, SubFunction,
    ValueKey, ValueType,
};
use tidu::{Function, Primitive, PrimitiveBuilder, StringKey};
use tidu_testkit::{cases, on_small_stack};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Mul,
    Call(SubFunction<Op>),
    /// (f, g) ↦ ((b, x) ↦ f(x) if b ≠ 0, g(x) otherwise)
    Cond([SubFunction<Op>; 2]),
}

impl GraphOperation for Op {
    type Operand = f64;
    type Context = ();
    type InputKey = StringKey;

    fn input_count(&self) -> usize {
        match self {
            Op::Add | Op::Mul => 2,
            Op::Call(f) => f.arity().0,
            Op::Cond([f, _]) => 1 + f.arity().0,
        }
    }

    fn output_count(&self) -> usize {
        self.functions().first().map_or(1, |f| f.arity().1)
    }

    fn functions(&self) -> &[SubFunction<Self>] {
        match self {
            Op::Add | Op::Mul => &[],
            Op::Call(f) => std::slice::from_ref(f),
            Op::Cond(branches) => branches,
        }
    }

    fn with_functions(&self, mut functions: Vec<SubFunction<Self>>) -> Option<Self> {
        match self {
            Op::Add | Op::Mul => None,
            Op::Call(_) => functions.pop().map(Op::Call),
            Op::Cond(_) => functions.try_into().ok().map(Op::Cond),
        }
    }

    fn function_arity(&self, _position: usize) -> (usize, usize) {
        let flag = usize::from(matches!(self, Op::Cond(_)));
        (self.input_count() - flag, self.output_count())
    }

    fn infer_types(
        &self,
        operands: &[&ValueType],
    ) -> Result<Option<Vec<ValueType>>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Some(vec![operands[0].clone(); self.output_count()]))
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Add => "add",
            Op::Mul => "mul",
            Op::Call(_) => "call",
            Op::Cond(_) => "cond",
        })
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        match self {
            Op::Add => vec![x[0] + x[1]],
            Op::Mul => vec![x[0] * x[1]],
            Op::Call(f) => f.graph().compile().eval(ctx, x),
            Op::Cond(branches) => {
                let chosen = &branches[usize::from(*x[0] == 0.0)];
                chosen.graph().compile().eval(ctx, &x[1..])
            }
        }
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn jvp_rule(
        &self,
        _: &mut impl PrimitiveBuilder<Self>,
        _: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        _: &[Option<LocalValueId>],
        (): &mut (),
    ) -> Vec<Option<LocalValueId>> {
        unreachable!("nothing is differentiated")
    }
}

impl ParseNames for Op {
    fn parse_name(text: &str) -> Option<Self> {
        [Op::Add, Op::Mul].into_iter().find(|op| match op {
            Op::Add => text == "add",
            _ => text == "mul",
        })
    }

    fn parse_with_functions(text: &str, mut functions: Vec<SubFunction<Self>>) -> Option<Self> {
        match (text, functions.len()) {
            ("call", 1) => functions.pop().map(Op::Call),
            ("cond", 2) => functions.try_into().ok().map(Op::Cond),
            _ => None,
        }
    }

    fn parse_input_name(text: &str) -> Option<StringKey> {
        Some(StringKey::parse(text))
    }
}

const TEXT: &str = "function @square {
    input %0
    %1 = mul %0, %0
    output %1
}
function @fourth {
    input %0
    %1 = call @square %0
    %2 = call @square %1
    output %2
}
function {
    input %0 = b
    input %1 = x
    %2 = cond @fourth, @square %0, %1
    %3 = call @square %2
    output %3 -> f
}";

#[test]
fn a_function_over_them_reads_back_and_is_evaluated() {
    let f: Function<Op> = TEXT.parse().unwrap();
    assert_eq!(f.to_string(), TEXT);
    let program = f.compile();
    assert_eq!(program.call(&[1.0, 2.0]), Ok(vec![256.0]));
    assert_eq!(program.call(&[0.0, 2.0]), Ok(vec![16.0]));
    assert!(f.as_dense().verify().is_clean());
    assert_eq!(f.expanded().unwrap().to_string(), TEXT);
}

#[test]
fn what_is_dead_or_done_twice_within_them_is_not_there() {
    let wasteful = TEXT.replace(
        "    %2 = call @square %1\n    output %2\n",
        "    %2 = call @square %0\n    %3 = add %1, %2\n    %4 = call @square %2\n    output %4\n",
    );
    let f: Function<Op> = wasteful.parse().unwrap();
    assert_eq!(f.to_string(), TEXT);
    let simplified = f.simplify(Exactness::Exact).unwrap();
    assert_eq!(simplified.to_string(), TEXT);
}

#[test]
fn deep_ones_are_read_and_refused_before_they_run() {
    on_small_stack(|| {
        let depth = cases(100_000);
        let square = "function @f0 {\n input %0\n %1 = mul %0, %0\n output %1\n}\n";
        let mut text = String::from(square);
        for level in 1..depth {
            let below = level - 1;
            text += &format!(
                "function @f{level} {{\n input %0\n %1 = cond @f{below}, @f{below} %0, %0\n output %1\n}}\n"
            );
        }
        text += &format!(
            "function {{\n input %0 = x\n %1 = call @f{} %0\n output %1 -> f\n}}",
            depth - 1
        );
        let f: Function<Op> = text.parse().unwrap();
        assert_eq!(f.to_string().replace("    ", " "), text);
        let error = f.compile().call(&[2.0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "call (instruction 0) holds functions {depth} deep in one another, and at most 128 can be evaluated"
            )
        );
    });
}

#[test]
fn a_body_of_another_arity_is_refused_where_it_stands() {
    let wrong = TEXT.replace("call @square %2", "cond @square, @square %2");
    let error = wrong.parse::<Function<Op>>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 16, column 10: expected 2 operands, found 1"
    );
    let pair = "function @pair {\n input %0\n input %1\n output %0\n}\n";
    let wrong = format!(
        "{pair}{}",
        TEXT.replace("@fourth, @square", "@square, @pair")
    );
    let error = wrong.parse::<Function<Op>>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 20, column 15: expected a well-formed operation, found Cond([@square, @pair]) holds @pair of 2 inputs \
         and 1 output, and needs a function of 1 input and 1 output"
    );
    let graph: DenseGraph<Op> = TEXT
        .replace("function {", "dense {")
        .replace(" -> f", "")
        .replace(" = b", "")
        .replace(" = x", "")
        .parse()
        .unwrap();
    let f = Function::from_dense(graph, vec!["b".into(), "x".into()], vec!["f".into()]);
    assert_eq!(f.unwrap().to_string(), TEXT);
}
