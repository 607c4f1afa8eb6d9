//! Vector operands with an AD context that carries shapes: rules of reductions and broadcasts consult
//! it, because the operations do not say how long their operands are.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[cfg(feature = "laws")]
mod laws;

use std::collections::HashMap;

use tidu::graph::{
    EvaluableGraphOperation, GraphOperation, LocalValueId, OperationKey, OperationRole, ValueKey,
};
use tidu::scalar::ScalarKey;
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleOperand::{Active, Fixed},
    try_linear_transpose,
};

use crate::support::{Problem, Random, Sketch, TestOp, assert_close, eager_gradient, inner, input};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    /// Element by element.
    Add,
    /// Element by element.
    Mul,
    /// The sum of all elements, a vector of one.
    Sum,
    /// A vector of one, n times.
    Broadcast { n: usize },
    /// The sum of products, a vector of one.
    Dot,
}

use Op::{Add, Broadcast, Dot, Mul, Sum};

impl GraphOperation for Op {
    type Operand = Vec<f64>;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Add | Mul | Dot => 2,
            Sum | Broadcast { .. } => 1,
        }
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _ctx: &mut (), x: &[&Vec<f64>]) -> Vec<Vec<f64>> {
        let pairs = || {
            assert_eq!(x[0].len(), x[1].len(), "{self:?}");
            x[0].iter().zip(x[1])
        };
        vec![match self {
            Add => pairs().map(|(a, b)| a + b).collect(),
            Mul => pairs().map(|(a, b)| a * b).collect(),
            Sum => vec![x[0].iter().sum()],
            Broadcast { n } => {
                assert_eq!(x[0].len(), 1);
                vec![x[0][0]; *n]
            }
            Dot => vec![pairs().map(|(a, b)| a * b).sum()],
        }]
    }
}

/// The lengths of values: of inputs as they become known, of the rest as it is asked for.
#[derive(Default)]
struct Shapes {
    of: HashMap<ValueKey<Op>, usize>,
}

/// A rule needs the length of a value that goes back to this input.
#[derive(Clone, Debug, PartialEq)]
struct MissingShape {
    input: ScalarKey,
}

impl std::fmt::Display for MissingShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nobody said how long {} is", self.input)
    }
}

impl std::error::Error for MissingShape {}

impl Shapes {
    fn length(&mut self, key: &ValueKey<Op>) -> Result<usize, MissingShape> {
        if let Some(&length) = self.of.get(key) {
            return Ok(length);
        }
        let length = match key {
            ValueKey::Input(input) => Err(MissingShape {
                input: input.clone(),
            })?,
            ValueKey::Derived { operation, .. } => self.length_of_result(operation)?,
        };
        self.of.insert(key.clone(), length);
        Ok(length)
    }

    fn length_of_result(&mut self, operation: &OperationKey<Op>) -> Result<usize, MissingShape> {
        match operation.operation() {
            Add | Mul => self.length(&operation.inputs()[0]),
            Broadcast { n } => Ok(*n),
            Sum | Dot => Ok(1),
        }
    }

    /// The length of an operand that is not local to the rule.
    fn of_operand(
        &mut self,
        operand: &PrimitiveValue<Op>,
        rule: ADRuleKind,
    ) -> ADRuleResult<usize> {
        match operand {
            PrimitiveValue::External(key) => self
                .length(key)
                .map_err(|error| ADRuleError::runtime(error, rule)),
            PrimitiveValue::Local(id) => panic!("rules are given operands by key, not %{id}"),
        }
    }
}

/// Two operands of one product differ in length.
#[derive(Clone, Debug, PartialEq)]
struct LengthMismatch(usize, usize);

impl std::fmt::Display for LengthMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "lengths {} and {} differ", self.0, self.1)
    }
}

impl std::error::Error for LengthMismatch {}

impl Primitive for Op {
    type ADContext = Shapes;

    fn add() -> Self {
        Add
    }

    /// All operations are linear or bilinear. Products look whether their operands fit.
    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        shapes: &mut Shapes,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let x: Vec<_> = x.iter().cloned().map(PrimitiveValue::External).collect();
        Ok(vec![match self {
            Add => b.emit_sum([dx[0], dx[1]]),
            Mul | Dot => {
                let lengths = (
                    shapes.of_operand(&x[0], ADRuleKind::Jvp)?,
                    shapes.of_operand(&x[1], ADRuleKind::Jvp)?,
                );
                if lengths.0 != lengths.1 {
                    let mismatch = LengthMismatch(lengths.0, lengths.1);
                    return Err(ADRuleError::runtime(mismatch, ADRuleKind::Jvp));
                }
                let [x0, x1] = [x[0].clone(), x[1].clone()].map(Fixed);
                let left = dx[0].map(|dx| b.emit_linear(self.clone(), [Active(dx), x1]));
                let right = dx[1].map(|dx| b.emit_linear(self.clone(), [x0, Active(dx)]));
                b.emit_sum([left, right])
            }
            linear @ (Sum | Broadcast { .. }) => {
                dx[0].map(|dx| b.emit_linear(linear.clone(), [Active(dx)]))
            }
        }])
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        shapes: &mut Shapes,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let OperationRole::Linearized { active_mask } = role else {
            return Err(ADRuleError::unsupported(
                format!("{self:?}"),
                ADRuleKind::Transpose,
            ));
        };
        let active = active_mask.iter().position(|active| *active).unwrap();
        let mut ct = ct[0].expect("a rule is called for a cotangent");
        if let Sum | Dot = self {
            let n = shapes.of_operand(&x[active], ADRuleKind::Transpose)?;
            ct = b.emit_linear(Broadcast { n }, [Active(ct)]);
        }
        Ok(match self {
            Add => vec![Some(ct), Some(ct)],
            Sum => vec![Some(ct)],
            Broadcast { .. } => vec![Some(b.emit_linear(Sum, [Active(ct)]))],
            Mul | Dot => {
                let other = Fixed(x[1 - active].clone());
                let mut cotangents = vec![None, None];
                cotangents[active] = Some(b.emit_linear(Mul, [Active(ct), other]));
                cotangents
            }
        })
    }
}

impl TestOp for Op {
    fn register(shapes: &mut Shapes, key: &ValueKey<Self>, value: &Vec<f64>) {
        shapes.of.insert(key.clone(), value.len());
    }
}

/// Random vectors of the lengths of these.
fn vectors_like(random: &mut Random, like: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut vector = |like: &Vec<f64>| like.iter().map(|_| random.unit()).collect();
    like.iter().map(&mut vector).collect()
}

/// A function of vectors of 3, 4 and 1 elements, with three outputs of any length.
fn random_function(random: &mut Random) -> (Sketch<Op>, Vec<Vec<f64>>) {
    let (mut f, _) = Sketch::new(["a", "b", "c"]);
    let x = vectors_like(random, &[vec![0.0; 3], vec![0.0; 4], vec![0.0]]);
    let mut values = x.clone();
    for _ in 0..3 + random.below(10) {
        let a = random.below(values.len());
        let n = values[a].len();
        let partners: Vec<usize> = (0..values.len())
            .filter(|&b| values[b].len() == n)
            .collect();
        let b = partners[random.below(partners.len())];
        let tame = [a, b]
            .iter()
            .all(|&id| values[id].iter().all(|x| x.abs() < 2.0));
        let (op, operands) = match random.below(5) {
            0 if tame => (Add, vec![a, b]),
            1 if tame => (Mul, vec![a, b]),
            2 if tame => (Dot, vec![a, b]),
            3 if n == 1 => (
                Broadcast {
                    n: 2 + random.below(3),
                },
                vec![a],
            ),
            _ => (Sum, vec![a]),
        };
        let results = op.run(&operands.iter().map(|&id| &values[id]).collect::<Vec<_>>());
        f.push(op, operands);
        values.extend(results);
    }
    let last = values.len() - 1;
    f.outputs = vec![last, random.below(values.len()), last - random.below(3)];
    (f, x)
}

fn for_random_functions(mut check: impl FnMut(&Sketch<Op>, &[Vec<f64>], &mut Random)) {
    let mut random = Random(0xbead);
    for _ in 0..200 {
        let (f, x) = random_function(&mut random);
        check(&f, &x, &mut random);
    }
}

/// (f(x + h·t) - f(x - h·t)) / 2h
fn difference(
    f: impl Fn(&[Vec<f64>]) -> Vec<Vec<f64>>,
    x: &[Vec<f64>],
    t: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let h = 1e-5;
    let along = |x: &[f64], t: &[f64], h: f64| -> Vec<f64> {
        x.iter().zip(t).map(|(x, t)| x + h * t).collect()
    };
    let step = |h: f64| {
        f(&x.iter()
            .zip(t)
            .map(|(x, t)| along(x, t, h))
            .collect::<Vec<_>>())
    };
    let (up, down) = (step(h), step(-h));
    let quotient = |(up, down): (&f64, &f64)| (up - down) / (2.0 * h);
    let quotients =
        |(up, down): (&Vec<f64>, &Vec<f64>)| up.iter().zip(down).map(quotient).collect();
    up.iter().zip(&down).map(quotients).collect()
}

/// The vectors, a symbolic zero counting as zeros.
fn or_zero(found: Vec<Option<Vec<f64>>>, like: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let pairs = found.into_iter().zip(like);
    pairs
        .map(|(found, like)| found.unwrap_or_else(|| vec![0.0; like.len()]))
        .collect()
}

#[track_caller]
fn assert_near(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(
        found.iter().map(Vec::len).collect::<Vec<_>>(),
        expected.iter().map(Vec::len).collect::<Vec<_>>()
    );
    let (found, expected) = (found.concat(), expected.concat());
    let scale = found
        .iter()
        .chain(&expected)
        .fold(1.0, |scale: f64, x| scale.max(x.abs()));
    for (a, b) in found.iter().zip(&expected) {
        let near = (a - b).abs() <= tolerance * scale;
        assert!(near, "found {found:?}, expected {expected:?}");
    }
}

#[test]
fn forward_mode_is_the_derivative() {
    for_random_functions(|f, x, random| {
        let t = vectors_like(random, x);
        let y = f.value_at(x);
        let found = or_zero(f.at(x).jvp(&t), &y);
        assert_near(&found, &difference(|x| f.value_at(x), x, &t), 1e-7);
    });
}

#[test]
fn the_dot_products_agree() {
    let agree = |problem: &Problem<Op>, t: &[Vec<f64>], c: &[Vec<f64>]| {
        let left = inner(&problem.jvp(t), c);
        let right = inner(&problem.vjp(c), t);
        assert_close(&[left], &[right]);
    };
    for_random_functions(|f, x, random| {
        let y = f.value_at(x);
        let [t, u] = [vectors_like(random, x), vectors_like(random, x)];
        let [c, d] = [vectors_like(random, &y), vectors_like(random, &y)];
        agree(&f.at(x), &t, &c);
        agree(&f.at(x).forward(&t), &u, &c);
        agree(&f.at(x).reverse(&c), &t, &u);
        agree(&f.at(x), &u, &d);
    });
}

#[test]
fn all_ways_agree() {
    for_random_functions(|f, x, random| {
        let y = f.value_at(x);
        let (t, c) = (vectors_like(random, x), vectors_like(random, &y));
        let vjp = f.at(x).vjp(&c);
        let seeds: Vec<_> = c.iter().cloned().map(Some).collect();
        assert_eq!(f.at(x).vjp_by_builder(&seeds), vjp);
        let twice = or_zero(f.at(x).jvp_transposed_twice(&t), &y);
        assert_near(&twice, &or_zero(f.at(x).jvp(&t), &y), 1e-9);

        for chunk in [1, 2, f.steps.len()] {
            let mut sum: Vec<Vec<f64>> = x.iter().map(|x| vec![0.0; x.len()]).collect();
            for (&output, c) in f.outputs.iter().zip(&c) {
                let f = f.clone().returning([output]);
                let shapes = &mut Shapes::default();
                let part = eager_gradient(&f, x, &[0, 1, 2], c, chunk, shapes).unwrap();
                let part = or_zero(part, x).into_iter().flatten();
                sum.iter_mut()
                    .flatten()
                    .zip(part)
                    .for_each(|(sum, part)| *sum += part);
            }
            assert_near(&sum, &or_zero(vjp.clone(), x), 1e-9);
        }
    });
}

#[test]
fn second_derivatives_agree() {
    for_random_functions(|f, x, random| {
        let (t, c) = (
            vectors_like(random, x),
            vectors_like(random, &f.value_at(x)),
        );
        let expected = difference(|x| or_zero(f.at(x).vjp(&c), x), x, &t);
        let hvp = or_zero(f.at(x).reverse(&c).forward(&t).evaluate(), x);
        assert_near(&hvp, &expected, 1e-6);
        assert_near(
            &or_zero(f.at(x).reverse(&c).reverse(&t).evaluate(), x),
            &hvp,
            1e-9,
        );
        assert_near(
            &or_zero(f.at(x).forward(&t).reverse(&c).evaluate(), x),
            &hvp,
            1e-9,
        );
    });
}

/// L = ⟨r, r⟩ with r = x∘w + s·1, where s = Σ x: a residual with a reduction and a broadcast in it.
fn loss() -> Sketch<Op> {
    let (mut f, [x, w]) = Sketch::new(["x", "w"]);
    let xw = f.apply(Mul, [x, w]);
    let s = f.apply(Sum, [x]);
    let s = f.apply(Broadcast { n: 4 }, [s]);
    let r = f.apply(Add, [xw, s]);
    let l = f.apply(Dot, [r, r]);
    f.returning([l])
}

/// L̇ = 2·⟨r, ẋ∘w + x∘ẇ + Σẋ·1⟩, so x̄ = 2·(r∘w + (Σ r)·1) and w̄ = 2·r∘x.
#[test]
fn the_gradient_of_a_loss() {
    let (x, w) = (vec![0.5, -1.0, 0.25, 2.0], vec![1.0, 0.75, -0.5, 0.125]);
    let s: f64 = x.iter().sum();
    let r: Vec<f64> = x.iter().zip(&w).map(|(x, w)| x * w + s).collect();
    let sum: f64 = r.iter().sum();
    let by_x = r.iter().zip(&w).map(|(r, w)| 2.0 * (r * w + sum)).collect();
    let by_w = r.iter().zip(&x).map(|(r, x)| 2.0 * r * x).collect();
    let expected = [by_x, by_w];
    let point = [x, w];

    let seed = vec![1.0];
    let problem = loss().at(&point);
    let found = problem.vjp(std::slice::from_ref(&seed));
    assert_near(&or_zero(found, &point), &expected, 1e-12);
    let found = problem.vjp_by_builder(&[Some(seed.clone())]);
    assert_near(&or_zero(found, &point), &expected, 1e-12);
    for chunk in [1, 5] {
        let shapes = &mut Shapes::default();
        let found = eager_gradient(&loss(), &point, &[0, 1], &seed, chunk, shapes).unwrap();
        assert_near(&or_zero(found, &point), &expected, 1e-12);
    }
    // And by differences, an entry at a time.
    for (which, i) in [(0, 0), (0, 3), (1, 1), (1, 2)] {
        let mut t = [vec![0.0; 4], vec![0.0; 4]];
        t[which][i] = 1.0;
        let slope = difference(|x| loss().value_at(x), &point, &t);
        assert_near(&slope, &[vec![expected[which][i]]], 1e-7);
    }
}

/// One operation, two lengths: what a sum is transposed to is the context's to say.
#[test]
fn the_length_comes_from_the_context() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let s = f.apply(Sum, [x]);
    let f = f.returning([s]);
    for n in [1, 2, 5] {
        let problem = f.at(&[vec![0.0; n]]);
        assert_eq!(problem.vjp(&[vec![3.0]]), [Some(vec![3.0; n])]);
    }
}

/// A rule's own error, found again as what it was.
#[track_caller]
fn assert_carried<E: std::error::Error + PartialEq + 'static>(
    error: &ADRuleError,
    rule: ADRuleKind,
    expected: &E,
) {
    assert_eq!(error.rule(), rule);
    assert_eq!(error.to_string(), expected.to_string());
    match error {
        ADRuleError::Runtime { source, .. } => assert_eq!(source.downcast_ref(), Some(expected)),
        other => panic!("{other:?}"),
    }
}

fn missing(input: impl Into<ScalarKey>) -> MissingShape {
    MissingShape {
        input: input.into(),
    }
}

#[test]
fn a_missing_shape_comes_through_linearization() {
    let point = [vec![1.0; 4], vec![1.0; 4]];
    for (forgotten, name) in [("x", "x"), ("w", "w")] {
        let problem = loss().at(&point);
        problem.context.borrow_mut().of.remove(&input(forgotten));
        let error = problem.try_linearize(1).unwrap_err();
        assert_carried(&error, ADRuleKind::Jvp, &missing(name));
    }
}

#[test]
fn a_missing_shape_comes_through_transposition() {
    let (mut f, [x]) = Sketch::new(["x"]);
    let s = f.apply(Sum, [x]);
    let problem = f.returning([s]).at(&[vec![1.0; 4]]);
    let linear = problem.linearize();
    let error = try_linear_transpose(&linear, &mut Shapes::default()).unwrap_err();
    let (tangent, _) = &linear.tangent_inputs()[0];
    let tangent = tidu::ADKey::tangent_of(tangent, 1);
    assert_carried(&error, ADRuleKind::Transpose, &missing(tangent.clone()));

    let seed = || vec![1.0];
    let mut runtime = crate::support::Interpreter::<Op, _>::new(|_: &ValueKey<Op>| seed());
    let seeds = runtime.seed(&[Some(seed())]);
    let shapes = &mut Shapes::default();
    let error =
        tidu::try_linear_transpose_with_builder(&linear, &mut runtime, &seeds, shapes).unwrap_err();
    assert_carried(&error, ADRuleKind::Transpose, &missing(tangent));
}

#[test]
fn a_missing_shape_comes_through_going_backward() {
    use std::sync::Arc;
    use tidu::eager::{EagerInput, RecordedGraph, Recorder, try_backward};

    let mut recorder = Recorder::new(crate::support::Names::default());
    let keys = recorder.fresh_input_keys::<Op>(2);
    let first = keys[0].clone();
    let leaf = EagerInput::<Op> {
        key: input("x"),
        trace: None,
        requires_grad: true,
        data: Arc::new(vec![1.0, 2.0]),
    };
    let call = RecordedGraph::from_primitive(Dot, keys);
    let inputs = [leaf.clone(), leaf];
    let y = recorder.record_graph(call, &inputs, &[Arc::new(vec![5.0])], HashMap::new());
    let (key, trace) = (&y[0].key, y[0].trace.as_ref());
    let seed = Arc::new(vec![1.0]);
    let shapes = &mut Shapes::default();
    let error = try_backward(key, trace, seed, &mut crate::support::Runtime, shapes).unwrap_err();
    assert_carried(&error, ADRuleKind::Jvp, &missing(first));
}

#[test]
fn a_mismatch_comes_through() {
    let (mut f, [a, b]) = Sketch::new(["a", "b"]);
    let ab = f.apply(Dot, [a, b]);
    let problem = f.returning([ab]).at(&[vec![1.0; 2], vec![1.0; 3]]);
    let error = problem.try_linearize(1).unwrap_err();
    assert_carried(&error, ADRuleKind::Jvp, &LengthMismatch(2, 3));
}
