//! Simplification of flat graphs with an operation set of few operations and bad habits: rules that are
//! wrong, undo each other, or never end; and its cost, counted.

use std::cell::Cell;

use crate::support::{apply, on_small_stack, output_keys, shared};
use tidu_graph::{
    AppliedRewrite, DenseGraph, EvaluableGraphOperation, Exactness, GraphBuilder, GraphError,
    GraphOperation, LocalValueId, OperationRole, Rewrite, Term, Terms, ValueRef, materialize_merge,
    merge, resolve, try_simplify, try_simplify_logged,
};
use tidu_testkit::cases;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Number(i64),
    Add,
    Sub,
    Neg,
    /// (x + 1, x - 1)
    Around,
    /// Each is the other, say their rules.
    This,
    That,
    /// Has a bad habit.
    Bad(Habit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Habit {
    /// Its rule applies an operation to too few operands, too many, none.
    TooFew,
    TooMany,
    NoneAtAll,
    /// And goes on with what it got.
    GoesOn,
    /// Its rule applies an operation without results.
    Resultless,
    /// Its rule applies an operation of more results than there may be.
    Overfull,
    /// Folds to too few constants, to too many, to one that takes an operand.
    FoldsToFew,
    FoldsToMany,
    FoldsToOperation,
    /// Its rule makes two of it, each of which makes two.
    Branches,
    /// Its rule wraps itself in another.
    Wraps,
    /// Has no results, or 257.
    IsResultless,
    IsOverfull,
    /// Takes nothing, and has a rule all the same.
    Source,
    /// Makes new work at every look and then says no.
    LooksOnly,
}

impl GraphOperation for Op {
    type Operand = i64;
    type Context = ();
    type InputKey = u32;

    fn input_count(&self) -> usize {
        match self {
            Op::Number(_) | Op::Bad(Habit::Source) => 0,
            Op::Add | Op::Sub => 2,
            _ => 1,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Op::Around => 2,
            Op::Bad(Habit::IsResultless) => 0,
            Op::Bad(Habit::IsOverfull) => 257,
            _ => 1,
        }
    }

    fn commutes(&self) -> bool {
        *self == Op::Add
    }

    fn fold(&self, operands: &[&Self]) -> Option<Vec<Self>> {
        let number = |op: &Op| match op {
            Op::Number(number) => Some(*number),
            _ => None,
        };
        let numbers: Vec<i64> = operands
            .iter()
            .map(|op| number(op))
            .collect::<Option<_>>()?;
        Some(match (self, numbers.as_slice()) {
            (Op::Add, [a, b]) => vec![Op::Number(a + b)],
            (Op::Around, [x]) => vec![Op::Number(x + 1), Op::Number(x - 1)],
            (Op::Bad(Habit::FoldsToFew), _) => vec![],
            (Op::Bad(Habit::FoldsToMany), _) => vec![Op::Number(1), Op::Number(2)],
            (Op::Bad(Habit::FoldsToOperation), _) => vec![Op::Neg],
            _ => return None,
        })
    }

    fn rewrites(&self) -> &'static [Rewrite<Self>] {
        match self {
            Op::Neg => NEG,
            Op::Sub => SUB,
            Op::This => THIS,
            Op::That => THAT,
            Op::Bad(_) => BAD,
            _ => &[],
        }
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _ctx: &mut (), x: &[&i64]) -> Vec<i64> {
        match self {
            Op::Number(number) => vec![*number],
            Op::Add => vec![x[0].wrapping_add(*x[1])],
            Op::Sub => vec![x[0].wrapping_sub(*x[1])],
            Op::Neg => vec![x[0].wrapping_neg()],
            Op::Around => vec![x[0] + 1, x[0] - 1],
            _ => vec![*x[0]],
        }
    }
}

thread_local! {
    /// How often rules were called.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn call() {
    CALLS.set(CALLS.get() + 1);
}

const NEG: &[Rewrite<Op>] = &[Rewrite::exact("-(-x) = x", |t, _, x| {
    call();
    let [x] = t.operands(x[0], &Op::Neg)?;
    Some(x)
})];

const SUB: &[Rewrite<Op>] = &[
    Rewrite::finite_only("x - x = 0", |t, _, x| {
        call();
        (x[0] == x[1]).then(|| t.apply(Op::Number(0), &[]))
    }),
    Rewrite::real_only("x - y = x + (-y)", |t, _, x| {
        call();
        let negated = t.apply(Op::Neg, &[x[1]]);
        Some(t.apply(Op::Add, &[x[0], negated]))
    }),
];

const THIS: &[Rewrite<Op>] = &[Rewrite::exact("this = that", |t, _, x| {
    call();
    Some(t.apply(Op::That, x))
})];

const THAT: &[Rewrite<Op>] = &[Rewrite::exact("that = this", |t, _, x| {
    call();
    Some(t.apply(Op::This, x))
})];

const BAD: &[Rewrite<Op>] = &[Rewrite::exact("bad", |t, op, x| {
    call();
    let Op::Bad(habit) = op else { return None };
    bad(t, *habit, x)
})];

fn bad(t: &mut Terms<Op>, habit: Habit, x: &[Term]) -> Option<Term> {
    match habit {
        Habit::TooFew => Some(t.apply(Op::Add, x)),
        Habit::TooMany => Some(t.apply(Op::Neg, &[x[0], x[0]])),
        Habit::NoneAtAll => Some(t.apply(Op::Neg, &[])),
        Habit::GoesOn | Habit::Source => {
            let wrong = t.apply(Op::Add, &[]);
            assert!(t.definition(wrong).is_none() && t.constant(wrong).is_none());
            let _ = t.is_unshared(wrong);
            let more = t.apply(Op::Neg, &[wrong]);
            let more = t.apply(Op::Add, &[more, wrong]);
            Some(t.apply(Op::Neg, &[more]))
        }
        Habit::Resultless => Some(t.apply(Op::Bad(Habit::IsResultless), x)),
        Habit::Overfull => Some(t.apply(Op::Bad(Habit::IsOverfull), x)),
        Habit::Branches => {
            let again = Op::Bad(Habit::Branches);
            let left = t.apply(again.clone(), x);
            let next = t.apply(Op::Around, &[left]);
            let right = t.apply(again, &[next]);
            Some(t.apply(Op::Add, &[left, right]))
        }
        Habit::Wraps => {
            let inner = t.apply(Op::Around, x);
            Some(t.apply(Op::Bad(Habit::Wraps), &[inner]))
        }
        Habit::LooksOnly => {
            let looked = t.apply(Op::Around, x);
            let _ = t.apply(Op::Add, &[looked, x[0]]);
            None
        }
        _ => None,
    }
}

/// A flat graph of the inputs 0 and 1, of any roles.
fn flat(
    build: impl Fn(&mut GraphBuilder<Op>, [LocalValueId; 2]) -> Vec<LocalValueId>,
) -> DenseGraph<Op> {
    let mut builder = GraphBuilder::new();
    let inputs = [0, 1].map(|key| builder.add_input(key));
    let outputs = build(&mut builder, inputs);
    builder.set_outputs(outputs);
    let graph = shared(builder.build());
    let keys = output_keys(&graph);
    let flat = materialize_merge(&resolve(vec![graph]), &keys);
    flat.closed_over(&[0, 1]).unwrap()
}

fn run(graph: &DenseGraph<Op>, x: [i64; 2]) -> Vec<i64> {
    graph.compile().eval(&mut (), &x.each_ref())
}

fn one(op: &Op) -> DenseGraph<Op> {
    flat(|b, [x, _]| {
        let operands = vec![x; op.input_count()];
        vec![apply(b, op.clone(), &operands)[0]]
    })
}

#[track_caller]
fn error_of(graph: &DenseGraph<Op>) -> String {
    let error = try_simplify(graph, Exactness::Exact).unwrap_err();
    let logged = try_simplify_logged(graph, &[0, 1], Exactness::Exact).unwrap_err();
    assert_eq!(logged, error);
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1);
    assert!(matches!(error, GraphError::InvalidRewrite { .. }), "{text}");
    text
}

#[test]
fn work_is_merged_whatever_its_role_and_order() {
    let mixed = flat(|b, [x, y]| {
        let mut add = |operands: [usize; 2], role| {
            let operands = operands.map(ValueRef::Local).to_vec();
            b.add_operation(Op::Add, operands, role)[0]
        };
        let linear = |mask: &[bool]| OperationRole::Linearized {
            active_mask: mask.to_vec(),
        };
        let sums = [
            add([x, y], OperationRole::Primary),
            add([y, x], OperationRole::Primary),
            add([x, y], linear(&[true, false])),
            add([y, x], linear(&[true, true])),
        ];
        let difference = |b: &mut GraphBuilder<Op>, x, y| apply(b, Op::Sub, &[x, y])[0];
        let differences = [difference(b, x, y), difference(b, y, x)];
        [&sums[..], &differences].concat()
    });
    assert_eq!(mixed.operation_count(), 6);
    let merged = merge(&mixed);
    assert_eq!(merged.operation_count(), 3);
    assert_eq!(run(&merged, [7, 2]), [9, 9, 9, 9, 5, -5]);
    // No rule of any level has been at work, nor folding.
    let graph = flat(|b, [x, _]| {
        let negated = apply(b, Op::Neg, &[x])[0];
        let one = apply(b, Op::Number(1), &[])[0];
        vec![
            apply(b, Op::Neg, &[negated])[0],
            apply(b, Op::Sub, &[x, x])[0],
            apply(b, Op::Add, &[one, one])[0],
        ]
    });
    assert_eq!(merge(&graph).operation_count(), graph.operation_count());
}

#[test]
fn dead_work_goes_and_inputs_stay() {
    let graph = flat(|b, [x, y]| {
        let difference = apply(b, Op::Sub, &[y, y])[0];
        vec![apply(b, Op::Add, &[x, difference])[0]]
    });
    let simple = try_simplify(&graph, Exactness::FiniteOnly).unwrap();
    assert_eq!((simple.input_count(), simple.operation_count()), (2, 2));
    assert_eq!(run(&simple, [7, 2]), [7]);
}

#[test]
fn levels_permit_what_they_say() {
    let graph = flat(|b, [x, y]| {
        let negated = apply(b, Op::Neg, &[x])[0];
        let x_again = apply(b, Op::Neg, &[negated])[0];
        vec![
            apply(b, Op::Sub, &[x_again, y])[0],
            apply(b, Op::Sub, &[x, x_again])[0],
        ]
    });
    let equations = |level| -> Vec<&str> {
        let (simple, log) = try_simplify_logged(&graph, &[0, 1], level).unwrap();
        assert_eq!(run(&simple, [7, 2]), [5, 0]);
        let simple_again = try_simplify(&graph, level).unwrap();
        let text = |graph: &DenseGraph<Op>| graph.to_graph(&[0, 1]).to_string();
        assert_eq!(text(&simple), text(&simple_again));
        log.iter()
            .map(|step: &AppliedRewrite<Op>| step.equation)
            .collect()
    };
    assert_eq!(equations(Exactness::Exact), ["-(-x) = x"]);
    assert_eq!(equations(Exactness::FiniteOnly), ["-(-x) = x", "x - x = 0"]);
    assert_eq!(
        equations(Exactness::RealOnly),
        ["-(-x) = x", "x - y = x + (-y)", "x - x = 0"]
    );
    let rewrite = format!("{:?}", SUB[1]);
    assert_eq!(rewrite, "RealOnly: x - y = x + (-y)");
}

#[test]
fn several_results_are_folded_at_once() {
    let graph = flat(|b, [x, _]| {
        let seven = apply(b, Op::Number(7), &[])[0];
        let around = apply(b, Op::Around, &[seven]);
        let sum = apply(b, Op::Add, &[around[0], x])[0];
        vec![sum, around[1], around[0]]
    });
    let (simple, log) = try_simplify_logged(&graph, &[0, 1], Exactness::Exact).unwrap();
    assert_eq!(run(&simple, [2, 0]), [10, 6, 8]);
    assert!(simple.nodes().all(|node| *node.operation != Op::Around));
    let folded: Vec<_> = log
        .iter()
        .map(|step| (step.equation, step.exactness))
        .collect();
    assert_eq!(folded, [("folding", Exactness::Exact); 2]);
}

#[test]
fn rules_that_apply_operations_wrongly() {
    let of = |habit| error_of(&one(&Op::Bad(habit)));
    assert_eq!(
        of(Habit::TooFew),
        "a rule of Add is wrong: it was applied to 1 operands by a rule, and takes 2"
    );
    assert_eq!(
        of(Habit::TooMany),
        "a rule of Neg is wrong: it was applied to 2 operands by a rule, and takes 1"
    );
    assert_eq!(
        of(Habit::NoneAtAll),
        "a rule of Neg is wrong: it was applied to 0 operands by a rule, and takes 1"
    );
    // The first error is the one that is told.
    let first = "a rule of Add is wrong: it was applied to 0 operands by a rule, and takes 2";
    assert_eq!(of(Habit::GoesOn), first);
    // Where there is no value yet that could stand for the result.
    assert_eq!(of(Habit::Source), first);
    assert!(of(Habit::Resultless).starts_with("a rule of Bad(IsResultless) is wrong: "));
    let error = try_simplify(one(&Op::Bad(Habit::Overfull)), Exactness::Exact).unwrap_err();
    assert!(
        matches!(error, GraphError::TooManyOutputs { found: 257, .. }),
        "{error}"
    );
    // Nobody asks rules when only merging.
    for habit in [Habit::TooFew, Habit::GoesOn, Habit::Source, Habit::Overfull] {
        assert_eq!(merge(one(&Op::Bad(habit))).operation_count(), 1);
    }
}

#[test]
fn foldings_that_yield_no_constants() {
    let of = |habit| {
        error_of(&flat(|b, _| {
            let one = apply(b, Op::Number(1), &[])[0];
            vec![apply(b, Op::Bad(habit), &[one])[0]]
        }))
    };
    let text = |habit, found: &str| {
        format!(
            "folding of Bad({habit}) is wrong: it must yield 1 operations without operands and with \
             one result each, found {found}"
        )
    };
    assert_eq!(of(Habit::FoldsToFew), text("FoldsToFew", "[]"));
    assert_eq!(
        of(Habit::FoldsToMany),
        text("FoldsToMany", "[Number(1), Number(2)]")
    );
    assert_eq!(
        of(Habit::FoldsToOperation),
        text("FoldsToOperation", "[Neg]")
    );
}

/// `n` of an operation, one after the other.
fn chain(op: &Op, n: usize) -> DenseGraph<Op> {
    flat(|b, [x, _]| vec![(0..n).fold(x, |v, _| apply(b, op.clone(), &[v])[0])])
}

fn calls(body: impl FnOnce()) -> usize {
    CALLS.set(0);
    body();
    CALLS.get()
}

/// Rules that never end by themselves end, after the same number of steps for every operation.
#[test]
fn endless_rules_end() {
    on_small_stack(|| {
        let endless = [
            Op::This,
            Op::Bad(Habit::Wraps),
            Op::Bad(Habit::Branches),
            Op::Bad(Habit::LooksOnly),
        ];
        for op in endless {
            let at = |n: usize| {
                let graph = chain(&op, n);
                let mut operations = 0;
                let calls = calls(|| {
                    let simple = try_simplify(&graph, Exactness::Exact).unwrap();
                    operations = simple.operation_count();
                });
                assert!(calls <= 80 * n, "{op:?}: {calls} calls for {n}");
                assert!(
                    operations <= 200 * n,
                    "{op:?}: {operations} operations of {n}"
                );
                calls
            };
            let (few, many) = (at(50), at(5_000));
            assert!(many <= 110 * few, "{op:?}: {few} calls, then {many}");
            try_simplify_logged(&chain(&op, 50), &[0, 1], Exactness::Exact).unwrap();
        }
    });
}

/// A million operations, merged and simplified on a stack of 2 MiB.
#[test]
fn a_million_operations() {
    on_small_stack(|| {
        let n = cases(1_000_000);
        let graph = chain(&Op::Neg, n);
        assert_eq!(merge(&graph).operation_count(), n);
        let simple = try_simplify(&graph, Exactness::Exact).unwrap();
        assert_eq!(simple.operation_count(), 0);
        assert_eq!(run(&simple, [7, 0]), [7]);
        let odd = flat(|b, [x, y]| {
            let step = |v: LocalValueId, _| apply(b, Op::Sub, &[v, y])[0];
            vec![(0..n).fold(x, step)]
        });
        let (simple, log) = try_simplify_logged(&odd, &[0, 1], Exactness::RealOnly).unwrap();
        assert_eq!(log.len(), n);
        // One negation of y serves all.
        assert_eq!(simple.operation_count(), n + 1);
        assert_eq!(run(&simple, [7, 2]), [7 - 2 * n as i64]);
        let folded = flat(|b, [x, _]| {
            let one = apply(b, Op::Number(1), &[])[0];
            let sum = (0..n).fold(one, |v, _| apply(b, Op::Add, &[v, one])[0]);
            vec![apply(b, Op::Add, &[x, sum])[0]]
        });
        let simple = try_simplify(&folded, Exactness::Exact).unwrap();
        assert_eq!(simple.operation_count(), 2);
        assert_eq!(run(&simple, [7, 0]), [8 + n as i64]);
    });
}

/// As many calls of rules an operation for many operations as for few.
#[test]
fn rules_are_called_a_constant_number_of_times() {
    let at = |n: usize| {
        let graph = flat(|b, [x, y]| {
            let step = |v: LocalValueId, _| {
                let negated = apply(b, Op::Neg, &[v])[0];
                apply(b, Op::Sub, &[y, negated])[0]
            };
            vec![(0..n).fold(x, step)]
        });
        calls(|| {
            try_simplify(&graph, Exactness::RealOnly).unwrap();
        })
    };
    let (few, many) = (at(1_000), at(100_000));
    assert_eq!(many, 100 * few);
}
