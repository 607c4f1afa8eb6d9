//! An input that is an alias has the tangent of what it stands for; an alias that stands for nothing,
//! or for itself, is an error.

use std::sync::Arc;

use tidu::scalar::ScalarOp::{self, Add, Exp, Mul, Neg, Sin, SinCos};
use tidu::{ADRuleError, ADRuleKind};

use crate::support::{KeyEvaluator, Layout, Problem, Sketch, assert_exactly, input};

type Key = tidu::graph::ValueKey<ScalarOp>;

impl Problem<ScalarOp> {
    /// The same function, where an input stands for another value.
    fn with_alias(mut self, name: &str, target: Key) -> Self {
        self.aliases.insert(name.into(), target);
        self
    }

    /// The same function, where an input stands for another value, and has its number.
    fn with_alias_bound(mut self, name: &str, target: &Key) -> Self {
        let value = KeyEvaluator::new(&self.point).value(target);
        self.point.insert(input(name), value);
        self.with_alias(name, target.clone())
    }

    /// The same function, together with another.
    fn beside(mut self, other: &Self) -> Self {
        self.roots.extend(other.roots.iter().map(Arc::clone));
        self.point.extend(other.point.clone());
        self
    }

    fn output(&self) -> Key {
        self.outputs[0].clone().unwrap()
    }

    #[track_caller]
    fn alias_error(&self) -> ADRuleError {
        let error = self.try_linearize(1).unwrap_err();
        assert_eq!(error.rule(), ADRuleKind::Jvp);
        error
    }
}

/// eˣ at 1/2
fn inner_function() -> Problem<ScalarOp> {
    let (mut f, [x]) = Sketch::new(["x"]);
    let e = f.apply(Exp, [x]);
    f.returning([e]).at(&[0.5])
}

/// a·a·y, at a y of 3
fn outer_function(a: &str) -> Problem<ScalarOp> {
    let (mut g, [a, y]) = Sketch::new([a, "y"]);
    let aa = g.apply(Mul, [a, a]);
    let aay = g.apply(Mul, [aa, y]);
    g.returning([aay]).at(&[0.0, 3.0])
}

/// g(eˣ, y) = e²ˣ·y, the joint being an alias.
#[test]
fn an_alias_of_a_value_of_another_graph() {
    let e = inner_function();
    let joined = outer_function("a")
        .beside(&e)
        .with_alias_bound("a", &e.output());
    let e2x = 1.0_f64.exp();
    assert_exactly(&joined.evaluate(), &[3.0 * e2x]);
    let joined = joined.wrt(["y", "x"]);
    assert_exactly(&joined.jvp(&[5.0, 7.0]), &[5.0 * e2x + 7.0 * 6.0 * e2x]);
    assert_exactly(&joined.vjp(&[2.0]), &[2.0 * e2x, 12.0 * e2x]);
    assert_exactly(
        &joined.vjp_by_builder(&[Some(2.0)]),
        &[2.0 * e2x, 12.0 * e2x],
    );
    assert_exactly(
        &joined.forward(&[0.0, 1.0]).forward(&[0.0, 1.0]).evaluate(),
        &[12.0 * e2x],
    );
    assert_exactly(
        &joined.reverse(&[1.0]).reverse(&[0.0, 1.0]).evaluate(),
        &[2.0 * e2x, 12.0 * e2x],
    );
    assert_exactly(
        &joined.reverse(&[1.0]).forward(&[0.0, 1.0]).evaluate(),
        &[2.0 * e2x, 12.0 * e2x],
    );
}

/// The second result of an operation, found through a key.
#[test]
fn an_alias_of_a_second_output() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let sin = f.apply(SinCos, [x]);
    let f = f.returning([sin + 1]).at(&[0.5]);
    let joined = outer_function("a")
        .beside(&f)
        .with_alias_bound("a", &f.output())
        .wrt(["x"]);
    let expected = 3.0 * 2.0 * 0.5_f64.cos() * -0.5_f64.sin();
    assert_exactly(&joined.vjp(&[1.0]), &[expected]);
    assert_exactly(&joined.jvp(&[1.0]), &[expected]);
}

/// c stands for b, b for a, a for eˣ.
#[test]
fn chains_of_aliases() {
    let e = inner_function();
    let (mut names, [a, b]) = Sketch::<ScalarOp>::new(["a", "b"]);
    let unused = names.apply(Add, [a, b]);
    let names = names.returning([unused]).at(&[0.0, 0.0]);
    let joined = outer_function("c")
        .beside(&names)
        .beside(&e)
        .with_alias_bound("a", &e.output())
        .with_alias_bound("b", &input("a"))
        .with_alias_bound("c", &input("b"))
        .wrt(["x"]);
    let expected = 6.0 * 1.0_f64.exp();
    assert_exactly(&joined.jvp(&[1.0]), &[expected]);
    assert_exactly(&joined.vjp(&[1.0]), &[expected]);
}

/// Values computed from an alias, and an alias of a value computed from an alias.
#[test]
fn aliases_through_operations() {
    let e = inner_function();
    let (mut middle, [a]) = Sketch::new(["a"]);
    let sin = middle.apply(Sin, [a]);
    let middle = middle.returning([sin]).at(&[0.0]);
    let joined = outer_function("b")
        .beside(&middle)
        .beside(&e)
        .with_alias_bound("a", &e.output())
        .with_alias_bound("b", &middle.output())
        .wrt(["x"]);
    let a = 0.5_f64.exp();
    let expected = 6.0 * a.sin() * a.cos() * a;
    assert_exactly(&joined.vjp(&[1.0]), &[expected]);
    assert_exactly(&joined.jvp(&[1.0]), &[expected]);
}

/// a stands for x, which one differentiates by: in the view, and where no graph has it.
#[test]
fn an_alias_of_an_input_to_differentiate_by() {
    for x_is_there in [true, false] {
        let e = inner_function();
        let mut joined = outer_function("a");
        if x_is_there {
            joined = joined.beside(&e);
        }
        joined.point.insert(input("x"), 0.5);
        let joined = joined.with_alias_bound("a", &input("x")).wrt(["x", "y"]);
        assert_exactly(&joined.jvp(&[1.0, 10.0]), &[3.0 + 2.5]);
        assert_exactly(&joined.vjp(&[1.0]), &[3.0, 0.25]);
    }
}

/// Two aliases of one value, and an alias among the outputs.
#[test]
fn two_aliases_of_one_value() {
    let e = inner_function();
    let (mut g, [a, b]) = Sketch::new(["a", "b"]);
    let ab = g.apply(Mul, [a, b]);
    let joined = g
        .returning([ab, a, b])
        .at(&[0.0, 0.0])
        .beside(&e)
        .with_alias_bound("a", &e.output())
        .with_alias_bound("b", &e.output())
        .wrt(["x"]);
    let e2x = 1.0_f64.exp();
    let ex = 0.5_f64.exp();
    assert_exactly(&joined.jvp(&[1.0]), &[2.0 * e2x, ex, ex]);
    assert_exactly(&joined.vjp(&[1.0, 10.0, 100.0]), &[2.0 * e2x + 110.0 * ex]);
}

#[test]
fn an_alias_of_a_constant_is_a_symbolic_zero() {
    let (mut f, [_x]) = Sketch::new(["x"]);
    let two = f.apply(ScalarOp::constant(2.0), []);
    let f = f.returning([two]).at(&[0.5]);
    let joined = outer_function("a")
        .beside(&f)
        .with_alias_bound("a", &f.output())
        .wrt(["x"]);
    assert_eq!(joined.jvp(&[1.0]), [None]);
    assert_eq!(joined.vjp(&[1.0]), [None]);
}

/// Differentiating by the alias itself cuts it loose.
#[test]
fn an_input_to_differentiate_by_keeps_its_own_tangent() {
    let e = inner_function();
    let joined = outer_function("a")
        .beside(&e)
        .with_alias_bound("a", &e.output())
        .wrt(["a", "x"]);
    assert_eq!(joined.vjp(&[1.0])[1], None);
    assert_exactly(&joined.vjp(&[1.0])[..1], &[6.0 * 0.5_f64.exp()]);
}

#[test]
fn aliases_that_nothing_needs_are_not_looked_at() {
    let e = inner_function();
    let f = e.clone().beside(&outer_function("a"));
    let f = f
        .with_alias("a", input("a"))
        .with_alias("y", input("nowhere"));
    let f = f.with_alias("not an input of any graph", input("nowhere"));
    assert_exactly(&f.jvp(&[1.0]), &[0.5_f64.exp()]);
}

#[track_caller]
fn assert_cycle(problem: &Problem<ScalarOp>, on_the_cycle: &[&str]) {
    let error = problem.alias_error();
    let ADRuleError::AliasCycle { input } = &error else {
        panic!("{error:?}");
    };
    assert!(on_the_cycle.contains(&input.as_str()), "{input}");
    let text = format!("input {input} is an alias of a value that depends on it");
    assert_eq!(error.to_string(), text);
}

#[test]
fn an_alias_of_itself() {
    assert_cycle(
        &outer_function("a").with_alias("a", input("a")).wrt(["y"]),
        &["a"],
    );
}

#[test]
fn an_alias_of_what_is_computed_from_it() {
    let g = outer_function("a");
    let output = g.output();
    assert_cycle(
        &g.clone().with_alias("a", output.clone()).wrt(["y"]),
        &["a"],
    );
    assert_cycle(&g.with_alias("y", output).wrt(["a"]), &["y"]);
}

#[test]
fn aliases_of_each_other() {
    let g = outer_function("a").wrt([]);
    assert_cycle(
        &g.with_alias("a", input("y")).with_alias("y", input("a")),
        &["a", "y"],
    );
}

/// a stands for -b, b for -a, in two graphs.
#[test]
fn aliases_of_each_other_through_operations() {
    let negation = |name: &str| {
        let (mut f, [x]) = Sketch::new([name]);
        let y = f.apply(Neg, [x]);
        f.returning([y]).at(&[1.0])
    };
    let (of_a, of_b) = (negation("a"), negation("b"));
    let joined = of_a
        .clone()
        .beside(&of_b)
        .with_alias("a", of_b.output())
        .with_alias("b", of_a.output())
        .wrt(["x"]);
    assert_cycle(&joined, &["a", "b"]);
}

/// Differentiating by an input of the cycle opens it.
#[test]
fn a_cycle_that_is_cut() {
    let g = outer_function("a");
    let output = g.output();
    let g = g.wrt(["a", "y"]).with_alias("a", output);
    assert!(g.try_linearize(1).is_ok());
}

#[test]
fn an_alias_of_an_unknown_value() {
    let (mut f, [x]) = Sketch::new(["elsewhere"]);
    let sin = f.apply(SinCos, [x]);
    let (_, keys) = f.graphs(&Layout::single());
    let cases = [
        (input("nowhere"), "input nowhere"),
        (keys[sin + 1].clone(), "output 1 of SinCos"),
    ];
    for (target, name) in cases {
        let error = outer_function("a")
            .wrt(["y"])
            .with_alias("a", target)
            .alias_error();
        let expected = ADRuleError::UnknownAliasTarget {
            input: "a".into(),
            target: name.into(),
        };
        assert_eq!(error, expected);
        let text = format!("input a is an alias of {name}, which no graph of the view defines");
        assert_eq!(error.to_string(), text);
    }
}
