//! Derivatives of random functions, against dual numbers and against each other.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tidu::scalar::ScalarOp;

use crate::support::{
    KeyEvaluator, Layout, Problem, Sketch, assert_close, assert_exactly, eager_gradient, inner,
    linear_listing, or_zero,
};

const INPUTS: usize = 4;

/// A random function of four inputs, at a point, with all that one may choose about it.
#[derive(Clone, Debug)]
struct Case {
    f: Sketch<ScalarOp>,
    x: Vec<f64>,
    /// Numbers to differentiate by, in any order; may be none.
    wrt: Vec<usize>,
    /// By input, for those in `wrt`.
    t: Vec<f64>,
    u: Vec<f64>,
    /// By output.
    c: Vec<f64>,
    /// By output: which seeds are symbolic zeros, where that can be said.
    seeded: Vec<bool>,
    layout: Layout,
    chunk: usize,
}

impl Case {
    fn problem(&self) -> Problem<ScalarOp> {
        self.with_layout(&self.layout)
    }

    fn with_layout(&self, layout: &Layout) -> Problem<ScalarOp> {
        let mut problem = self.f.laid_out(layout, &self.x);
        let key = |&i: &usize| self.f.inputs[i].clone();
        problem.wrt = self.wrt.iter().map(key).collect();
        problem
    }

    /// A direction of the inputs in `wrt`, for all inputs.
    fn spread(&self, t: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; INPUTS];
        for (&i, &t) in self.wrt.iter().zip(t) {
            all[i] = t;
        }
        all
    }

    /// Entries of all inputs, for those in `wrt`.
    fn select<T: Copy>(&self, all: &[T]) -> Vec<T> {
        self.wrt.iter().map(|&i| all[i]).collect()
    }

    /// By value: the inputs that it is computed from, as a set of bits.
    fn ancestry(&self) -> Vec<u32> {
        let mut ancestry: Vec<u32> = (0..INPUTS).map(|i| 1 << i).collect();
        for step in &self.f.steps {
            let union = step.operands.iter().fold(0, |set, &id| set | ancestry[id]);
            ancestry.resize(ancestry.len() + results(&step.op), union);
        }
        ancestry
    }
}

fn results(op: &ScalarOp) -> usize {
    usize::from(*op == ScalarOp::SinCos) + 1
}

prop_compose! {
    fn cases()(
        x in vec(-2.0..2.0, INPUTS),
        choices in vec((0..12_usize, any::<u16>(), any::<u16>()), 1..24),
        outputs in vec(any::<u16>(), 1..6),
        order in Just((0..INPUTS).collect::<Vec<_>>()).prop_shuffle(),
        count in 0..=INPUTS,
        directions in vec((-2.0..2.0, -2.0..2.0), INPUTS),
        weights in vec((-2.0..2.0, any::<bool>()), 6),
        graph_of in vec(0..3_usize, 24),
        (parents, repeat_inputs, by_key) in any::<(bool, bool, bool)>(),
        chunk in 1..7_usize,
    ) -> Case {
        let f = function(&x, &choices, &outputs);
        let mut graph_of = graph_of;
        if parents {
            graph_of.sort_unstable();
        }
        let outputs = f.outputs.len();
        Case {
            wrt: order[..count].to_vec(),
            t: directions[..count].iter().map(|d| d.0).collect(),
            u: directions[..count].iter().map(|d| d.1).collect(),
            c: weights[..outputs].iter().map(|w| w.0).collect(),
            seeded: weights[..outputs].iter().map(|w| w.1).collect(),
            layout: Layout { graph_of, parents, repeat_inputs, by_key },
            f,
            x,
            chunk,
        }
    }
}

/// Turns choices into a function all of whose values at x are tame, so that rounding stays far from
/// what is being tested: where an operation would lead too far, a sine or cosine takes its place.
fn function(x: &[f64], choices: &[(usize, u16, u16)], outputs: &[u16]) -> Sketch<ScalarOp> {
    let (mut f, _) = Sketch::new(["a", "b", "c", "d"]);
    let mut values = x.to_vec();
    for &(kind, a, b) in choices {
        let pick = |choice: u16| usize::from(choice) % values.len();
        let (a, b) = (pick(a), pick(b));
        let (va, vb) = (values[a], values[b]);
        let (op, operands) = match kind {
            0 => (ScalarOp::constant(f64::from(a as u8) / 4.0 - 1.0), vec![]),
            1 if (va + vb).abs() < 4.0 => (ScalarOp::Add, vec![a, b]),
            2 if (va - vb).abs() < 4.0 => (ScalarOp::Sub, vec![a, b]),
            3 | 4 if va.abs() < 2.0 && vb.abs() < 2.0 => (ScalarOp::Mul, vec![a, b]),
            5 if va.abs() < 2.0 => (ScalarOp::Mul, vec![a, a]),
            6 if vb.abs() > 0.5 && va.abs() < 2.0 => (ScalarOp::Div, vec![a, b]),
            7 => (ScalarOp::Neg, vec![a]),
            8 if va < 1.0 => (ScalarOp::Exp, vec![a]),
            9 if va > 0.5 => (ScalarOp::Ln, vec![a]),
            10 => (ScalarOp::Sin, vec![a]),
            11 => (ScalarOp::Cos, vec![b]),
            _ => (ScalarOp::SinCos, vec![a]),
        };
        let operand_values: Vec<&f64> = operands.iter().map(|&id| &values[id]).collect();
        let results = crate::support::TestOp::run(&op, &operand_values);
        f.push(op, operands);
        values.extend(results);
    }
    // Late values are the interesting ones, but any value may be an output, and more than once.
    let output = |&choice: &u16| {
        let distance = usize::from(choice) % (values.len() + 4);
        values.len() - 1 - distance.saturating_sub(4)
    };
    f.outputs = outputs.iter().map(output).collect();
    f
}

/// The same cases in every run.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(0x7469_6475),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn programs_compute_what_the_steps_say(case in cases()) {
        let found = case.problem().evaluate();
        let expected = case.f.over(&case.x);
        assert_exactly(&found, &expected);
        // Not merely close: each operation is done once, on the same operands.
        let bits = |values: Vec<f64>| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(or_zero(&found)), bits(case.f.value_at(&case.x)));
    }

    #[test]
    fn jvp_is_that_of_dual_numbers(case in cases()) {
        let found = case.problem().jvp(&case.t);
        assert_close(&or_zero(&found), &case.f.dual_jvp(&case.x, &case.spread(&case.t)));
    }

    #[test]
    fn vjp_is_that_of_dual_numbers(case in cases()) {
        let found = case.problem().vjp(&case.c);
        let expected = case.select(&case.f.dual_vjp(&case.x, &case.c));
        assert_close(&or_zero(&found), &expected);
    }

    #[test]
    fn vjp_is_the_adjoint_of_jvp(case in cases()) {
        let problem = case.problem();
        let left = inner(&problem.jvp(&case.t), &case.c);
        let right = inner(&problem.vjp(&case.c), &case.t);
        assert_close(&[left], &[right]);
    }

    #[test]
    fn transposing_twice_gives_the_jvp_back(case in cases()) {
        let problem = case.problem();
        let (once, twice) = (problem.jvp(&case.t), problem.jvp_transposed_twice(&case.t));
        let zeros = |values: &[Option<f64>]| values.iter().map(Option::is_none).collect::<Vec<_>>();
        prop_assert_eq!(zeros(&once), zeros(&twice));
        assert_close(&or_zero(&twice), &or_zero(&once));
    }

    #[test]
    fn builder_path_is_graph_path(case in cases()) {
        let problem = case.problem();
        let seeds: Vec<_> = case.c.iter().copied().map(Some).collect();
        // The same operations on the same operands in the same order.
        prop_assert_eq!(problem.vjp_by_builder(&seeds), problem.vjp(&case.c));
    }

    #[test]
    fn builder_path_takes_symbolic_zeros(case in cases()) {
        let masked = case.c.iter().zip(&case.seeded);
        let seeds: Vec<_> = masked.map(|(&c, &seeded)| seeded.then_some(c)).collect();
        let found = case.problem().vjp_by_builder(&seeds);
        let expected = case.f.dual_vjp(&case.x, &or_zero(&seeds));
        assert_close(&or_zero(&found), &case.select(&expected));

        let ancestry = case.ancestry();
        let outputs = case.f.outputs.iter().zip(&case.seeded).filter(|(_, seeded)| **seeded);
        let reached = outputs.fold(0, |set, (&output, _)| set | ancestry[output]);
        for (&i, cotangent) in case.wrt.iter().zip(&found) {
            prop_assert_eq!(cotangent.is_some(), reached & (1 << i) != 0);
        }
    }

    #[test]
    fn eager_path_is_graph_path(case in cases()) {
        let loss = case.f.weighted(&case.c);
        for chunk in [1, case.chunk, loss.steps.len()] {
            let found = eager_gradient(&loss, &case.x, &case.wrt, &1.0, chunk, &mut ());
            let found = found.expect("the steps can be differentiated");
            assert_close(&or_zero(&found), &or_zero(&case.problem().vjp(&case.c)));
        }
    }

    #[test]
    fn second_derivatives_agree_in_all_modes(case in cases()) {
        let problem = case.problem();
        let (t, u, c) = (&case.t, &case.u, &case.c);
        let second = case.f.dual_second(&case.x, &case.spread(t), &case.spread(u));
        assert_close(&or_zero(&problem.forward(t).forward(u).evaluate()), &second);

        let hvp = case.select(&case.f.dual_hvp(&case.x, c, &case.spread(t)));
        assert_close(&or_zero(&problem.reverse(c).forward(t).evaluate()), &hvp);
        assert_close(&or_zero(&problem.forward(t).reverse(c).evaluate()), &hvp);
        assert_close(&or_zero(&problem.reverse(c).reverse(t).evaluate()), &hvp);
    }

    #[test]
    fn second_derivatives_through_the_builder(case in cases()) {
        let hvp = case.select(&case.f.dual_hvp(&case.x, &case.c, &case.spread(&case.t)));
        let forward = case.problem().forward(&case.t);
        let seeds: Vec<_> = case.c.iter().copied().map(Some).collect();
        assert_close(&or_zero(&forward.vjp_by_builder(&seeds)), &hvp);
        let reverse = case.problem().reverse(&case.c);
        let seeds: Vec<_> = case.t.iter().copied().map(Some).collect();
        assert_close(&or_zero(&reverse.vjp_by_builder(&seeds)), &hvp);
    }

    #[test]
    fn symbolic_zeros_stand_where_no_path_leads(case in cases()) {
        let ancestry = case.ancestry();
        let wrt = case.wrt.iter().fold(0, |set, i| set | 1 << i);
        let of_outputs = case.f.outputs.iter().map(|&id| ancestry[id]);
        let all = of_outputs.clone().fold(0, |set, of_output| set | of_output);

        let linear = case.problem().linearize();
        let transposed = case.problem().transpose(&linear);
        let there: Vec<bool> = linear.tangent_outputs().iter().map(Option::is_some).collect();
        prop_assert_eq!(there, of_outputs.map(|set| set & wrt != 0).collect::<Vec<_>>());
        let there: Vec<bool> = transposed.tangent_outputs().iter().map(Option::is_some).collect();
        let reached = case.wrt.iter().map(|i| all & (1 << i) != 0);
        prop_assert_eq!(there, reached.collect::<Vec<_>>());
    }

    #[test]
    fn eager_gradients_stand_where_a_path_leads(case in cases()) {
        let loss = case.f.weighted(&case.c);
        let found = eager_gradient(&loss, &case.x, &case.wrt, &1.0, case.chunk, &mut ()).unwrap();
        let ancestry = case.ancestry();
        let all = case.f.outputs.iter().fold(0, |set, &id| set | ancestry[id]);
        for (&i, cotangent) in case.wrt.iter().zip(&found) {
            prop_assert_eq!(cotangent.is_some(), all & (1 << i) != 0);
        }
    }

    #[test]
    fn the_same_case_gives_the_same_text_and_bits(case in cases()) {
        let run = || {
            let problem = case.problem();
            let linear = problem.linearize();
            let transposed = problem.transpose(&linear);
            let text = [linear_listing(&linear), linear_listing(&transposed)];
            let second = problem.reverse(&case.c).reverse(&case.t);
            let text_of_second = linear_listing(&second.linearize());
            let bits = [problem.evaluate(), problem.jvp(&case.t), second.evaluate()]
                .map(|values| values.iter().map(|v| v.map(f64::to_bits)).collect::<Vec<_>>());
            (text, text_of_second, bits)
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn roots_may_come_in_any_order(case in cases(), shift in 1..3_usize) {
        let layout = Layout { parents: false, ..case.layout.clone() };
        let problem = case.with_layout(&layout);
        let mut turned = problem.clone();
        let count = turned.roots.len();
        turned.roots.rotate_left(shift % count);
        let mut backward = problem.clone();
        backward.roots.reverse();
        backward.roots.push(backward.roots[0].clone());
        for other in [turned, backward] {
            prop_assert_eq!(other.evaluate(), problem.evaluate());
            prop_assert_eq!(
                linear_listing(&other.linearize()),
                linear_listing(&problem.linearize())
            );
            prop_assert_eq!(other.vjp(&case.c), problem.vjp(&case.c));
            let (mut a, b) = (other.reverse(&case.c), problem.reverse(&case.c));
            a.roots.reverse();
            prop_assert_eq!(a.forward(&case.t).evaluate(), b.forward(&case.t).evaluate());
        }
    }

    #[test]
    fn layouts_do_not_matter(case in cases()) {
        let (one, several) = (case.with_layout(&Layout::single()), case.problem());
        prop_assert_eq!(&one.outputs, &several.outputs);
        prop_assert_eq!(one.evaluate(), several.evaluate());
        prop_assert_eq!(linear_listing(&one.linearize()), linear_listing(&several.linearize()));
        prop_assert_eq!(one.vjp(&case.c), several.vjp(&case.c));
    }

    /// Programs against the keys read as expressions, which need neither view nor program.
    #[test]
    fn programs_compute_what_the_keys_say(case in cases()) {
        let second = case.problem().reverse(&case.c).forward(&case.t);
        let mut keys = KeyEvaluator::new(&second.point);
        let expected: Vec<_> =
            second.outputs.iter().map(|key| key.as_ref().map(|key| keys.value(key))).collect();
        prop_assert_eq!(second.evaluate(), expected);
    }
}

/// Dual numbers are the witness of everything here; they have one of their own.
#[test]
fn dual_numbers_are_right() {
    let (mut f, [a, b, _, _]) = Sketch::new(["a", "b", "c", "d"]);
    let ab = f.apply(ScalarOp::Mul, [a, b]);
    let e = f.apply(ScalarOp::Exp, [ab]);
    let s = f.apply(ScalarOp::SinCos, [a]);
    let q = f.apply(ScalarOp::Div, [s, b]);
    let l = f.apply(ScalarOp::Ln, [b]);
    let d = f.apply(ScalarOp::Sub, [l, s + 1]);
    let f = f.returning([e, q, d]);
    let (x, y) = (0.5_f64, 2.0_f64);
    let point = [x, y, 0.0, 0.0];
    let jvp = f.dual_jvp(&point, &[3.0, 5.0, 1.0, 1.0]);
    let exy = (x * y).exp();
    let first = |t: f64, u: f64| {
        [
            exy * (y * t + x * u),
            x.cos() / y * t - x.sin() / (y * y) * u,
            u / y + x.sin() * t,
        ]
    };
    assert_close(&jvp, &first(3.0, 5.0));
    let second = f.dual_second(&point, &[3.0, 5.0, 0.0, 0.0], &[7.0, 11.0, 0.0, 0.0]);
    let by_xy = 3.0 * 11.0 + 5.0 * 7.0;
    let expected = [
        exy * ((y * 3.0 + x * 5.0) * (y * 7.0 + x * 11.0) + by_xy),
        -x.sin() / y * 21.0 - x.cos() / (y * y) * by_xy + 2.0 * x.sin() / y.powi(3) * 55.0,
        -55.0 / (y * y) + x.cos() * 21.0,
    ];
    assert_close(&second, &expected);
}

/// Properties of cases that never come up hold in vain.
#[test]
fn the_cases_are_diverse() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::new(config());
    let mut seen = HashSet::new();
    for _ in 0..400 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let outputs: HashSet<usize> = case.f.outputs.iter().copied().collect();
        let used: HashSet<usize> = case
            .f
            .steps
            .iter()
            .flat_map(|s| s.operands.clone())
            .collect();
        let steps: HashSet<_> = case
            .f
            .steps
            .iter()
            .map(|s| (format!("{:?}", s.op), s.operands.clone()))
            .collect();
        let graphs: HashSet<_> = case.layout.graph_of[..case.f.steps.len()].iter().collect();
        let zeros = case
            .problem()
            .vjp(&case.c)
            .iter()
            .filter(|v| v.is_none())
            .count();
        let features = [
            ("repeated outputs", outputs.len() < case.f.outputs.len()),
            (
                "an output that is an input",
                outputs.iter().any(|&id| id < INPUTS),
            ),
            ("one output", case.f.outputs.len() == 1),
            ("unused inputs", (0..INPUTS).any(|i| !used.contains(&i))),
            ("structurally equal steps", steps.len() < case.f.steps.len()),
            ("one graph", graphs.len() == 1),
            ("two graphs", graphs.len() == 2),
            ("three graphs", graphs.len() == 3),
            ("parents", case.layout.parents && graphs.len() > 1),
            (
                "graphs that refer to each other",
                !case.layout.parents && graphs.len() > 1,
            ),
            ("nothing to differentiate by", case.wrt.is_empty()),
            (
                "all inputs, not in order",
                case.wrt.len() == INPUTS && !case.wrt.is_sorted(),
            ),
            ("symbolic zeros", zeros > 0),
            ("no zeros", zeros == 0 && case.wrt.len() == INPUTS),
        ];
        seen.extend(features.iter().filter(|f| f.1).map(|f| f.0.to_string()));
        seen.extend(case.f.steps.iter().map(|s| match s.op {
            ScalarOp::Constant(_) => "Constant".to_string(),
            ref op => format!("{op:?}"),
        }));
        if seen.len() == features.len() + 11 {
            return;
        }
    }
    panic!("the cases show only {seen:?}");
}
