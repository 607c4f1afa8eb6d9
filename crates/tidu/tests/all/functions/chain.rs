//! Transforms of random functions, one after the other, against the same chain read as what each
//! transform means over nested dual numbers.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use tidu::Function;
use tidu::scalar::ScalarOp;

use crate::support::tame::{Coefficients, Dual4, lift, split, tame_function};
use crate::support::{Layout, Number, Random, Sketch, assert_close};

/// A transform, by positions of inputs or outputs.
#[derive(Clone, Debug, PartialEq)]
enum Transform {
    Jvp(Vec<usize>),
    Vjp(Vec<usize>),
    Grad(Vec<usize>),
    ValueAndGrad(Vec<usize>),
    Hvp(Vec<usize>),
    Jacobian(Vec<usize>),
    Hessian(Vec<usize>),
    Select(Vec<usize>),
}

use Transform::{Grad, Hessian, Hvp, Jacobian, Jvp, Select, ValueAndGrad, Vjp};

impl Transform {
    fn apply(&self, f: &Function<ScalarOp>) -> Function<ScalarOp> {
        let derived = match self {
            Jvp(wrt) => f.jvp(&wrt[..]),
            Vjp(wrt) => f.vjp(&wrt[..]),
            Grad(wrt) => f.grad(&wrt[..]),
            ValueAndGrad(wrt) => f.value_and_grad(&wrt[..]),
            Hvp(wrt) => f.hvp(&wrt[..]),
            Jacobian(wrt) => f.jacobian(&wrt[..]),
            Hessian(wrt) => f.hessian(&wrt[..]),
            Select(outputs) => f.select_at(outputs),
        };
        derived.unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    /// Inputs and outputs after it.
    fn shape(&self, (inputs, outputs): (usize, usize)) -> (usize, usize) {
        match self {
            Jvp(wrt) => (inputs + wrt.len(), 2 * outputs),
            Vjp(wrt) => (inputs + outputs, outputs + wrt.len()),
            Grad(wrt) => (inputs, wrt.len()),
            ValueAndGrad(wrt) => (inputs, 1 + wrt.len()),
            Hvp(wrt) => (inputs + wrt.len(), wrt.len()),
            Jacobian(wrt) => (inputs, outputs * wrt.len()),
            Hessian(wrt) => (inputs, wrt.len() * wrt.len()),
            Select(chosen) => (inputs, chosen.len()),
        }
    }

    /// How many derivatives it takes.
    fn order(&self) -> usize {
        match self {
            Jvp(_) | Vjp(_) | Grad(_) | ValueAndGrad(_) | Jacobian(_) => 1,
            Hvp(_) | Hessian(_) => 2,
            Select(_) => 0,
        }
    }
}

fn apply_all(f: &Function<ScalarOp>, chain: &[Transform]) -> Function<ScalarOp> {
    chain.iter().fold(f.clone(), |f, step| step.apply(&f))
}

/// What the chain means at x: each transform takes a dual unit of its own, from `unit` on.
fn meaning(f: &Sketch<ScalarOp>, chain: &[Transform], x: &[Dual4], unit: usize) -> Vec<Dual4> {
    let Some((last, inner)) = chain.split_last() else {
        return f.over(x);
    };
    let shape = (f.inputs.len(), f.outputs.len());
    let (inputs, outputs) = inner.iter().fold(shape, |shape, step| step.shape(shape));
    let (x, extra) = x.split_at(inputs);
    // The values at x, and the derivative in the direction of `t` for the inputs `wrt`.
    let forward = |wrt: &[usize], t: &[Dual4]| -> (Vec<Dual4>, Vec<Dual4>) {
        let mut moved = x.to_vec();
        for (&at, &t) in wrt.iter().zip(t) {
            moved[at] = lift(moved[at], t, unit);
        }
        let results = meaning(f, inner, &moved, unit + 1);
        results.into_iter().map(|y| split(y, unit)).unzip()
    };
    let one = Dual4::constant(1.0);
    let columns = |wrt: &[usize]| -> Vec<Vec<Dual4>> {
        wrt.iter().map(|&at| forward(&[at], &[one]).1).collect()
    };
    let values = || meaning(f, inner, x, unit + 1);
    match last {
        Select(chosen) => {
            let all = meaning(f, inner, x, unit);
            chosen.iter().map(|&at| all[at]).collect()
        }
        Jvp(wrt) => {
            let (values, tangents) = forward(wrt, extra);
            [values, tangents].concat()
        }
        Vjp(wrt) => {
            assert_eq!(extra.len(), outputs);
            let cotangent = |column: &Vec<Dual4>| {
                let terms = column.iter().zip(extra).map(|(d, c)| d.mul(*c));
                terms.fold(Dual4::constant(0.0), Number::add)
            };
            let cotangents = columns(wrt).iter().map(cotangent).collect();
            [values(), cotangents].concat()
        }
        Grad(wrt) => columns(wrt).concat(),
        ValueAndGrad(wrt) => [values(), columns(wrt).concat()].concat(),
        Jacobian(wrt) => transposed(&columns(wrt), outputs),
        // By what they are made of, the gradient being the inner one.
        Hvp(wrt) => {
            let chain = [inner, &[Grad(wrt.clone())]].concat();
            let all = meaning(
                f,
                &[chain, vec![Jvp(wrt.clone())]].concat(),
                &[x, extra].concat(),
                unit,
            );
            all[wrt.len()..].to_vec()
        }
        Hessian(wrt) => {
            let chain = [inner, &[Grad(wrt.clone()), Jacobian(wrt.clone())]].concat();
            meaning(f, &chain, x, unit)
        }
    }
}

fn transposed(columns: &[Vec<Dual4>], rows: usize) -> Vec<Dual4> {
    let row = |i: usize| columns.iter().map(move |column| column[i]);
    (0..rows).flat_map(row).collect()
}

#[track_caller]
fn check(case: &Case, chain: &[Transform]) -> (Function<ScalarOp>, Vec<f64>, Vec<f64>) {
    let derived = apply_all(&case.function(), chain);
    let shape = (case.f.inputs.len(), case.f.outputs.len());
    let shape = chain.iter().fold(shape, |shape, step| step.shape(shape));
    assert_eq!(derived.input_names().len(), shape.0);
    assert_eq!(derived.output_names().len(), shape.1);

    let mut random = Random(case.seed);
    let mut x = case.x.clone();
    x.resize_with(shape.0, || random.unit());
    let found = derived.compile().call(&x).unwrap();
    let numbers: Vec<Dual4> = x.iter().map(|&x| Dual4::constant(x)).collect();
    let expected = meaning(&case.f, chain, &numbers, 0);
    let expected: Vec<f64> = expected.iter().map(|y| y.read()[0]).collect();
    assert_close(&found, &expected);
    (derived, x, found)
}

#[derive(Clone, Debug)]
struct Case {
    f: Sketch<ScalarOp>,
    x: Vec<f64>,
    layout: Layout,
    /// Decides on transforms, and on tangents and cotangents.
    seed: u64,
}

impl Case {
    fn function(&self) -> Function<ScalarOp> {
        let (graphs, keys) = self.f.graphs(&self.layout);
        let outputs: Vec<_> = self.f.outputs.iter().map(|&id| keys[id].clone()).collect();
        Function::from_graphs(graphs, &self.f.inputs, &outputs).unwrap()
    }

    fn scalar(&self) -> Self {
        let mut case = self.clone();
        case.f.outputs.truncate(1);
        case
    }

    /// Some of the inputs, in any order.
    fn wrt(&self, random: &mut Random) -> Vec<usize> {
        some_of(self.x.len(), 4, random)
    }
}

/// Some numbers below `count`, at least one, each once, in any order.
fn some_of(count: usize, most: usize, random: &mut Random) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        all.swap(at, random.below(at + 1));
    }
    all.truncate(1 + random.below(count.min(most)));
    all
}

/// A chain of transforms of this total order, which keeps few outputs at a time.
fn random_chain(case: &Case, order: usize, random: &mut Random) -> Vec<Transform> {
    let mut shape = (case.f.inputs.len(), case.f.outputs.len());
    let mut chain = Vec::new();
    let push = |step: Transform, shape: &mut (usize, usize), chain: &mut Vec<Transform>| {
        *shape = step.shape(*shape);
        chain.push(step);
    };
    loop {
        let left = order - chain.iter().map(Transform::order).sum::<usize>();
        if left == 0 {
            return chain;
        }
        let wrt = some_of(shape.0, 3, random);
        let kind = random.below(if left > 1 { 7 } else { 5 });
        if kind > 2 {
            push(Select(vec![random.below(shape.1)]), &mut shape, &mut chain);
        } else if shape.1 > 3 {
            // May name an output twice.
            let chosen = (0..3).map(|_| random.below(shape.1)).collect();
            push(Select(chosen), &mut shape, &mut chain);
        }
        let step = match kind {
            0 => Jvp(wrt),
            1 => Vjp(wrt),
            2 => Jacobian(wrt),
            3 => Grad(wrt),
            4 => ValueAndGrad(wrt),
            5 => Hvp(wrt),
            _ => Hessian(wrt),
        };
        push(step, &mut shape, &mut chain);
    }
}

prop_compose! {
    fn cases(inputs: usize, outputs: usize)(
        x in vec(-1.5..1.5, inputs),
        choices in vec((0..11_usize, any::<u16>(), any::<u16>()), 1..16),
        outputs in vec(any::<u16>(), outputs),
        graph_of in vec(0..3_usize, 16),
        repeat_inputs in any::<bool>(),
        seed in any::<u64>(),
    ) -> Case {
        let f = tame_function(&x, &choices, &outputs);
        let layout = Layout { graph_of, parents: false, repeat_inputs, by_key: false };
        Case { f, x, layout, seed }
    }
}

/// The same cases in every run.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x6675_6e63),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn every_transform_means_what_it_says(case in cases(4, 3)) {
        let wrt = case.wrt(&mut Random(case.seed));
        check(&case, &[]);
        check(&case, &[Jvp(wrt.clone())]);
        check(&case, &[Vjp(wrt.clone())]);
        let scalar = case.scalar();
        check(&scalar, &[Grad(wrt.clone())]);
        check(&scalar, &[ValueAndGrad(wrt.clone())]);
        check(&scalar, &[Hvp(wrt)]);
    }

    #[test]
    fn jacobians_by_columns(case in cases(2, 4)) {
        check(&case, &[Jacobian(case.wrt(&mut Random(case.seed)))]);
    }

    #[test]
    fn jacobians_by_rows(case in cases(5, 2)) {
        check(&case, &[Jacobian(vec![3, 0, 4, 1, 2])]);
    }

    #[test]
    fn hessians_are_symmetric(case in cases(3, 1)) {
        let (_, _, hessian) = check(&case, &[Hessian(vec![2, 0, 1])]);
        let transposed: Vec<f64> = (0..9).map(|at| hessian[at % 3 * 3 + at / 3]).collect();
        assert_close(&hessian, &transposed);
    }

    #[test]
    fn two_deep(case in cases(3, 2)) {
        let random = &mut Random(case.seed);
        let mut wrt = || case.wrt(random);
        check(&case, &[Vjp(wrt()), Jvp(wrt())]);
        check(&case, &[Jvp(wrt()), Vjp(wrt())]);
        check(&case, &[Vjp(wrt()), Vjp(wrt())]);
        check(&case, &[Jvp(wrt()), Jvp(wrt())]);
        let scalar = case.scalar();
        check(&scalar, &[Grad(wrt()), Select(vec![0]), Grad(wrt())]);
        check(&scalar, &[Grad(wrt()), Vjp(wrt())]);
        check(&scalar, &[Grad(wrt()), Jacobian(wrt())]);
    }

    /// Of derivatives that their own inputs are derived by: tangents and seeds are inputs like any
    /// other.
    #[test]
    fn three_deep(case in cases(3, 2)) {
        let random = &mut Random(case.seed);
        for _ in 0..2 {
            let chain = random_chain(&case, 3, random);
            check(&case, &chain);
        }
    }

    #[test]
    fn text_and_bits_come_back(case in cases(3, 2)) {
        let chain = random_chain(&case, 2, &mut Random(case.seed));
        let (f, x, values) = check(&case, &chain);
        let text = f.to_string();
        let read: Function<ScalarOp> = text.parse().unwrap();
        prop_assert_eq!(read.to_string(), &text[..]);
        prop_assert_eq!(read.input_keys(), f.input_keys());
        prop_assert_eq!(read.output_names(), f.output_names());
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&read.compile().call(&x).unwrap()), bits(&values));
        // Derived once more, the two are still the same.
        prop_assert_eq!(read.jvp(..).unwrap().to_string(), f.jvp(..).unwrap().to_string());
        prop_assert_eq!(apply_all(&case.function(), &chain).to_string(), text);
    }

    /// (g ∘ f)' by the transforms of g ∘ f, against dual numbers through one and then the other.
    #[test]
    fn compositions_differentiate(inner in cases(3, 2), outer in cases(2, 2)) {
        let composed = outer.function().compose(&inner.function()).unwrap();
        let mut random = Random(inner.seed);
        let t: Vec<f64> = (0..3).map(|_| random.unit()).collect();
        let lifted = inner.x.iter().zip(&t).map(|(&x, &t)| {
            lift(Dual4::constant(x), Dual4::constant(t), 0)
        });
        let between = inner.f.over(&lifted.collect::<Vec<_>>());
        let expected = outer.f.over(&between);
        let coefficients = |at: usize| expected.iter().map(move |y| y.read()[at]);
        let expected: Vec<f64> = coefficients(0).chain(coefficients(1)).collect();
        // The outer function is tame where it was made, not here.
        prop_assume!(expected.iter().all(|y| y.abs() < 1e3));
        let found = composed.jvp(..).unwrap().compile().call(&[inner.x, t].concat()).unwrap();
        assert_close(&found, &expected);
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn four_deep(case in cases(2, 2)) {
        let chain = random_chain(&case, 4, &mut Random(case.seed));
        check(&case, &chain);
    }

    #[test]
    fn four_deep_in_one_mode(case in cases(2, 1)) {
        check(&case, &[Jvp(vec![0]), Jvp(vec![1, 0]), Jvp(vec![0, 2]), Jvp(vec![1])]);
        check(&case, &[
            Vjp(vec![0]), Select(vec![1]), Vjp(vec![1, 2]), Select(vec![2, 1]),
            Vjp(vec![0, 2]), Select(vec![3]), Vjp(vec![1, 0]),
        ]);
        let one = |at| [Grad(vec![at, 0]), Select(vec![0])];
        check(&case, &[one(1), one(1), one(0), one(1)].concat().into_iter().map(dedup).collect::<Vec<_>>());
    }
}

/// An input may be named once only.
fn dedup(step: Transform) -> Transform {
    match step {
        Grad(wrt) if wrt == [0, 0] => Grad(vec![0]),
        step => step,
    }
}

/// Properties of cases that never come up hold in vain.
#[test]
fn the_cases_are_diverse() {
    let mut runner = TestRunner::new(config(200));
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let case = cases(3, 2).new_tree(&mut runner).unwrap().current();
        let chain = random_chain(&case, 3, &mut Random(case.seed));
        seen.extend(chain.iter().map(|step| {
            let name = format!("{step:?}");
            name.split('(').next().unwrap_or_default().to_owned()
        }));
        let wrt = chain.iter().filter_map(|step| match step {
            Jvp(wrt) | Vjp(wrt) | Grad(wrt) => Some(wrt),
            _ => None,
        });
        for wrt in wrt {
            if wrt.iter().any(|&at| at >= case.x.len()) {
                seen.insert("by a tangent or seed".into());
            }
            if !wrt.is_sorted() {
                seen.insert("not in order".into());
            }
        }
        let f = case.function();
        let operations = f.as_graph().operations().len();
        if f.as_graph().outputs().iter().any(|&id| id < case.x.len()) {
            seen.insert("an output that is an input".into());
        }
        if case.f.outputs[0] == case.f.outputs[1] {
            seen.insert("a repeated output".into());
        }
        if operations > 6 {
            seen.insert("long".into());
        }
        let used: HashSet<usize> = case
            .f
            .steps
            .iter()
            .flat_map(|s| s.operands.clone())
            .collect();
        if (0..3).any(|input| !used.contains(&input)) {
            seen.insert("an unused input".into());
        }
        let zeros = f.to_string() != f.jvp(0).unwrap().to_string()
            && f.jvp(0).unwrap().to_string().contains("const 0.0\n");
        if zeros {
            seen.insert("a zero".into());
        }
    }
    assert_eq!(seen.len(), 8 + 7, "the cases show only {seen:?}");
}
