//! Vectors of several lengths, which operations do not know: rules ask a table of types.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::error::Error;
use std::fmt::Write;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use insta::assert_snapshot;
use tidu::eager::{Dual, EagerError, Tape, Var};
use tidu::graph::text::ParseNames;
use tidu::graph::{
    EvaluableGraphOperation, Exactness, GraphBuilder, GraphOperation, LocalValueId, OperationRole,
    ValueKey, ValueRef,
};
use tidu::scalar::ScalarKey;
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Composite, Function, FunctionError, Primitive,
    PrimitiveBuilder, PrimitiveValue, RuleOperand::Active, RuleOperand::Fixed, Rules, TypeError,
    TypeTable, ValueType,
};
use tidu_testkit::{cases, on_small_stack};

use crate::support::{Names, Random, TestOp};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Mul,
    Exp,
    /// The sum of all elements, a vector of one.
    Sum,
    /// A vector of one, n times.
    Spread(usize),
    /// A constant: n times a number of halves.
    Fill {
        n: usize,
        halves: i64,
    },
    Call(Composite<Op>),
}

/// What the set does wrong for the time being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Two types for the one result of `Exp`.
    TooMany,
    /// A type for the result of `Exp` that it is not of.
    TooLong,
    /// No types for the results of `Spread`, which stands in derivatives of `Sum`.
    Silent,
    /// The tangent of `Exp` is a single number.
    ShortTangent,
    /// The cotangent of what was spread is as long as the result.
    LongCotangent,
}

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static JVP_CALLS: Cell<usize> = const { Cell::new(0) };
    /// The hashes of the names of tangents that rules were given.
    static TANGENTS: RefCell<HashSet<u64>> = RefCell::default();
}

fn with_fault<T>(fault: Fault, run: impl FnOnce() -> T) -> T {
    FAULT.set(Some(fault));
    let result = run();
    FAULT.set(None);
    result
}

use Op::{Add, Exp, Fill, Mul, Spread, Sum};

impl GraphOperation for Op {
    type Operand = Vec<f64>;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Add | Mul => 2,
            Exp | Sum | Spread(_) => 1,
            Fill { .. } => 0,
            Op::Call(function) => function.input_count(),
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Op::Call(function) => function.output_count(),
            _ => 1,
        }
    }

    fn infer_types(
        &self,
        x: &[&ValueType],
    ) -> Result<Option<Vec<ValueType>>, Box<dyn Error + Send + Sync>> {
        if let Some(other) = x.iter().find(|x| x.dims().len() != 1) {
            Err(format!("{other} is no vector"))?;
        }
        let length = |at: usize| x[at].dims()[0];
        match (self, FAULT.get()) {
            (Exp, Some(Fault::TooMany)) => return Ok(Some(vec![x[0].clone(); 2])),
            (Spread(_), Some(Fault::Silent)) => return Ok(None),
            (Exp, Some(Fault::TooLong)) => return Ok(Some(vec![vector(length(0) + 1)])),
            _ => {}
        }
        Ok(Some(vec![match self {
            Add | Mul if length(0) != length(1) => Err(Mismatch(length(0), length(1)))?,
            Add | Mul | Exp => x[0].clone(),
            Sum => vector(1),
            Spread(n) | Fill { n, .. } => vector(*n),
            Op::Call(function) => return Ok(Some(function.infer_types(x)?)),
        }]))
    }

    fn type_of_operand(operand: &Vec<f64>) -> Option<ValueType> {
        Some(vector(operand.len()))
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, ctx: &mut (), x: &[&Vec<f64>]) -> Vec<Vec<f64>> {
        let zip = |f: fn(f64, f64) -> f64| {
            assert_eq!(x[0].len(), x[1].len(), "{self:?}");
            let pairs = x[0].iter().zip(x[1]);
            pairs.map(|(a, b)| f(*a, *b)).collect()
        };
        vec![match self {
            Add => zip(|a, b| a + b),
            Mul => zip(|a, b| a * b),
            Exp => x[0].iter().map(|x| x.exp()).collect(),
            Sum => vec![x[0].iter().sum()],
            Spread(n) => vec![x[0][0]; *n],
            Fill { n, halves } => vec![*halves as f64 / 2.0; *n],
            Op::Call(function) => return function.eval(ctx, x),
        }]
    }
}

fn vector(n: usize) -> ValueType {
    ValueType::new("f64", [n])
}

/// Two vectors that should be of one length.
#[derive(Clone, Debug, PartialEq)]
struct Mismatch(usize, usize);

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "lengths {} and {} differ", self.0, self.1)
    }
}

impl Error for Mismatch {}

impl Op {
    /// The derivative of the operation by an operand, applied to a tangent of it.
    fn slope(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        operand: usize,
        dx: LocalValueId,
    ) -> LocalValueId {
        let fixed = |key: &ValueKey<Self>| Fixed(PrimitiveValue::External(key.clone()));
        JVP_CALLS.set(JVP_CALLS.get() + 1);
        let name = b
            .key_of(dx)
            .map(|key| BuildHasherDefault::<DefaultHasher>::default().hash_one(key));
        TANGENTS.with_borrow_mut(|tangents| tangents.extend(name));
        match self {
            Exp if FAULT.get() == Some(Fault::ShortTangent) => b.emit_linear(Sum, [Active(dx)]),
            Add => dx,
            Mul => b.emit_linear(Mul, [Active(dx), fixed(&x[1 - operand])]),
            Exp => b.emit_linear(Mul, [Active(dx), fixed(&y[0])]),
            linear => b.emit_linear(linear.clone(), [Active(dx)]),
        }
    }
}

impl Primitive for Op {
    type ADContext = TypeTable<Op>;

    fn add() -> Self {
        Add
    }

    fn one_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        types: &mut TypeTable<Op>,
    ) -> Option<LocalValueId> {
        let single = *types.of(like).ok()? == vector(1);
        single.then(|| b.emit_linear(Fill { n: 1, halves: 2 }, []))
    }

    fn zero_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        types: &mut TypeTable<Op>,
    ) -> Option<LocalValueId> {
        let n = types.of(like).ok()?.dims()[0];
        Some(b.emit_linear(Fill { n, halves: 0 }, []))
    }

    fn composite(function: Composite<Self>) -> Option<Self> {
        Some(Op::Call(function))
    }

    fn as_composite(&self) -> Option<&Composite<Self>> {
        match self {
            Op::Call(function) => Some(function),
            _ => None,
        }
    }

    fn type_of(key: &ValueKey<Self>, types: &mut TypeTable<Op>) -> ADRuleResult<Option<ValueType>> {
        Ok(Some(types.of(key)?.clone()))
    }

    fn note_type(
        key: &ValueKey<Self>,
        value_type: &ValueType,
        types: &mut TypeTable<Op>,
    ) -> ADRuleResult<()> {
        Ok(types.note(key, value_type)?)
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        types: &mut TypeTable<Op>,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        if let Op::Call(function) = self {
            return function.try_jvp_rule(b, x, dx, types);
        }
        let terms = dx.iter().enumerate();
        let terms = terms.map(|(at, dx)| dx.map(|dx| self.slope(b, x, y, at, dx)));
        let terms: Vec<_> = terms.collect();
        Ok(vec![b.emit_sum(terms)])
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        types: &mut TypeTable<Op>,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        if let Op::Call(function) = self {
            return function.try_linear_transpose_rule(b, ct, x, types);
        }
        let OperationRole::Linearized { active_mask } = role else {
            let op = format!("{self:?}");
            return Err(ADRuleError::unsupported(op, ADRuleKind::Transpose));
        };
        let ct = ct[0].unwrap();
        Ok(match self {
            Add => vec![Some(ct), Some(ct)],
            Mul => {
                let active = active_mask.iter().position(|active| *active).unwrap();
                let other = Fixed(x[1 - active].clone());
                let product = b.emit_linear(Mul, [Active(ct), other]);
                (0..2).map(|at| (at == active).then_some(product)).collect()
            }
            Sum => {
                let PrimitiveValue::External(key) = &x[0] else {
                    panic!("rules are given operands by key");
                };
                let n = types.of(key)?.dims()[0];
                vec![Some(b.emit_linear(Spread(n), [Active(ct)]))]
            }
            Spread(_) if FAULT.get() == Some(Fault::LongCotangent) => vec![Some(ct)],
            Spread(_) => vec![Some(b.emit_linear(Sum, [Active(ct)]))],
            Exp | Fill { .. } | Op::Call(_) => {
                let op = format!("{self:?}");
                return Err(ADRuleError::unsupported(op, ADRuleKind::Transpose));
            }
        })
    }
}

/// Names are `Debug` forms.
impl ParseNames for Op {
    fn parse_name(text: &str) -> Option<Self> {
        let words = text.split(|c: char| !c.is_ascii_digit() && c != '-');
        let numbers: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
        let op = match numbers[..] {
            [n] => Spread(n.try_into().ok()?),
            [n, halves] => Fill {
                n: n.try_into().ok()?,
                halves,
            },
            _ => {
                return [Add, Mul, Exp, Sum]
                    .into_iter()
                    .find(|op| op.is_named(text));
            }
        };
        op.is_named(text).then_some(op)
    }

    fn parse_input_name(text: &str) -> Option<ScalarKey> {
        Some(ScalarKey::parse(text))
    }

    fn parse_kind(text: &str) -> Option<&'static str> {
        (text == "f64").then_some("f64")
    }
}

impl Op {
    fn is_named(&self, text: &str) -> bool {
        format!("{self:?}") == text
    }
}

impl TestOp for Op {}

type F = Function<Op>;

fn build(
    inputs: &[&str],
    body: impl FnOnce(&mut dyn FnMut(Op, &[usize]) -> usize, &[usize]) -> Vec<usize>,
) -> F {
    Function::build(
        inputs.iter().copied(),
        |builder: &mut GraphBuilder<Op>, x| {
            let mut apply = |op, operands: &[usize]| {
                let operands = operands.iter().map(|&id| ValueRef::Local(id)).collect();
                builder.add_operation(op, operands, OperationRole::Primary)[0]
            };
            body(&mut apply, x)
        },
    )
    .unwrap()
}

/// f(x, w) = Σ exp(x∘w) · Σ x, for vectors of any length.
fn product_of_sums() -> F {
    build(&["x", "w"], |apply, input| {
        let xw = apply(Mul, &[input[0], input[1]]);
        let exp = apply(Exp, &[xw]);
        let (a, b) = (apply(Sum, &[exp]), apply(Sum, &[input[0]]));
        vec![apply(Mul, &[a, b])]
    })
}

/// ∂f/∂xᵢ = wᵢ·eᵢ·Σx + Σe and ∂f/∂wᵢ = xᵢ·eᵢ·Σx, where eᵢ = exp(xᵢ·wᵢ).
fn gradient_of_product(x: &[f64], w: &[f64]) -> [Vec<f64>; 2] {
    let e: Vec<f64> = x.iter().zip(w).map(|(x, w)| (x * w).exp()).collect();
    let (sum_e, sum_x): (f64, f64) = (e.iter().sum(), x.iter().sum());
    let by_x = w.iter().zip(&e).map(|(w, e)| w * e * sum_x + sum_e);
    let by_w = x.iter().zip(&e).map(|(x, e)| x * e * sum_x);
    [by_x.collect(), by_w.collect()]
}

fn points() -> impl Iterator<Item = [Vec<f64>; 2]> {
    let mut random = Random(7);
    [1, 2, 5].into_iter().map(move |n| {
        let mut vector = || (0..n).map(|_| random.unit() - 0.5).collect();
        [vector(), vector()]
    })
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let tolerance = 1e-7 * (1.0 + expected.abs());
        assert!((found - expected).abs() < tolerance, "{found} {expected}");
    }
}

fn call(f: &F, x: &[&Vec<f64>]) -> Vec<Vec<f64>> {
    f.compile().call_in(&mut (), x).unwrap()
}

/// (g(x + h·v) - g(x - h·v)) / 2h
fn slope_along(g: impl Fn(&[f64]) -> Vec<f64>, x: &[f64], v: &[f64]) -> Vec<f64> {
    let h = 1e-5;
    let at = |h: f64| g(&x.iter().zip(v).map(|(x, v)| x + h * v).collect::<Vec<_>>());
    let (up, down) = (at(h), at(-h));
    let slopes = up
        .iter()
        .zip(&down)
        .map(|(up, down)| (up - down) / (2.0 * h));
    slopes.collect()
}

#[test]
fn derivatives_know_the_types_of_their_inputs() -> Result<(), FunctionError> {
    for [x, w] in points() {
        let n = x.len();
        let f = product_of_sums().with_types_of(&[&x, &w])?;
        assert_eq!(f.output_types()?, Some(vec![vector(1)]));
        let expected = gradient_of_product(&x, &w);

        let gradient = f.grad(..)?;
        assert_eq!(gradient.output_types()?, Some(vec![vector(n), vector(n)]));
        let found = call(&gradient, &[&x, &w]);
        assert_near(&found.concat(), &expected.concat());

        let vjp = f.vjp(..)?;
        assert_eq!(
            vjp.input_types(),
            Some(&[vector(n), vector(n), vector(1)][..])
        );
        let found = call(&vjp, &[&x, &w, &vec![3.0]]);
        let tripled: Vec<f64> = expected.concat().iter().map(|d| 3.0 * d).collect();
        assert_near(&found[1..].concat(), &tripled);

        let split = f.linearize("x")?;
        let transposed = split
            .linear
            .transpose(vec![split.linear.input_names().len() - 1])?;
        let mut residuals = call(&split.primal, &[&x, &w]);
        residuals.remove(0);
        residuals.push(vec![1.0]);
        let found = call(&transposed, &residuals.iter().collect::<Vec<_>>());
        assert_near(&found[0], &expected[0]);

        let v: Vec<f64> = (0..n).map(|at| 1.0 + at as f64).collect();
        let by_x = |x: &[f64]| gradient_of_product(x, &w)[0].clone();
        let expected = slope_along(by_x, &x, &v);
        let forward_over_reverse = call(&f.hvp("x")?, &[&x, &w, &v]);
        assert_near(&forward_over_reverse[0], &expected);
        let reverse_over_reverse = f.grad("x")?.vjp("x")?;
        let found = call(&reverse_over_reverse, &[&x, &w, &v]);
        assert_near(&found[1], &expected);
        let reverse_over_forward = f.jvp("x")?.select_at(&[1])?.grad("x")?;
        assert_near(&call(&reverse_over_forward, &[&x, &w, &v])[0], &expected);
    }
    Ok(())
}

/// An input that the output does not depend on has a gradient of zeros, as many as it has elements.
#[test]
fn zeros_are_as_long_as_what_they_stand_for() -> Result<(), FunctionError> {
    let f = build(&["x", "y"], |apply, input| vec![apply(Sum, &[input[0]])]);
    let gradient = f.with_types([vector(2), vector(3)])?.grad(..)?;
    let found = call(&gradient, &[&vec![5.0; 2], &vec![5.0; 3]]);
    assert_eq!(found, [vec![1.0; 2], vec![0.0; 3]]);
    Ok(())
}

#[test]
fn functions_keep_types_through_what_arranges_them() -> Result<(), FunctionError> {
    let f = product_of_sums().with_types([vector(3), vector(3)])?;
    assert_eq!(f.select_at(&[0, 0])?.output_types()?.unwrap().len(), 2);
    let bound = f.bind("x", Fill { n: 3, halves: 1 })?;
    assert_eq!(bound.input_types(), Some(&[vector(3)][..]));
    let inner = build(&["s"], |apply, s| {
        let x = apply(Spread(3), &[s[0]]);
        vec![x, x]
    });
    let composed = f.compose(&inner.with_types([vector(1)])?)?;
    // s ↦ 9·s·exp(s²), at 1
    let slope = call(&composed.grad("s")?, &[&vec![1.0]]);
    assert_near(&slope[0], &[9.0 * 3.0 * 1.0_f64.exp()]);
    Ok(())
}

/// The same tape, operations and functions with vectors of several lengths, none of which may be taken
/// for another.
#[test]
fn a_tape_derives_operations_by_types() -> Result<(), EagerError> {
    let f = product_of_sums();
    let mut tape: Tape<Op> = Tape::new(Names::default());
    for [x, w] in points().chain(points()) {
        let expected = gradient_of_product(&x, &w);
        let (n, leaves) = (x.len(), [tape.leaf(x.clone()), tape.leaf(w.clone())]);
        let by_function = tape
            .apply_function(&f, &[&leaves[0], &leaves[1]])?
            .remove(0);
        let recomputed = tape
            .checkpoint_function(&f, &[&leaves[0], &leaves[1]])?
            .remove(0);
        let mut apply = |op, x: &[&Var<Op>]| tape.apply_one(op, x);
        let exp = apply(Mul, &[&leaves[0], &leaves[1]])?;
        let exp = apply(Exp, &[&exp])?;
        let sums = [apply(Sum, &[&exp])?, apply(Sum, &[&leaves[0]])?];
        let by_operations = apply(Mul, &[&sums[0], &sums[1]])?;
        for y in [by_function, recomputed, by_operations] {
            let wrt = [&leaves[0], &leaves[1]];
            let found = tape.backward_keeping(&[(&y, vec![1.0])], &wrt)?;
            for (found, expected) in found.into_iter().zip(&expected) {
                assert_near(&found.unwrap(), expected);
            }
            // The gradient's own gradient, against a difference.
            let gradient = tape.backward_recorded(&[(&y, Var::constant(vec![1.0]))], &wrt)?;
            let v: Vec<f64> = (0..n).map(|at| 1.0 + at as f64).collect();
            let by_x = gradient[0].clone().unwrap();
            let second = tape.backward_keeping(&[(&by_x, v.clone())], &wrt[..1])?;
            let slope = slope_along(|x| gradient_of_product(x, &w)[0].clone(), &x, &v);
            assert_near(second[0].as_ref().unwrap(), &slope);
            // Forward, it is the same: second derivatives commute.
            let moved = tape.tangents(&[(&leaves[0], v)], &[&by_x])?;
            assert_near(moved[0].as_ref().unwrap(), &slope);
        }
        let moving = Dual {
            primal: leaves[0].clone(),
            tangent: Some(Var::constant(vec![2.0; n])),
        };
        let sum = tape.apply_forward(Sum, &[&moving])?.remove(0);
        assert_eq!(sum.tangent.unwrap().value(), &[2.0 * n as f64]);
    }
    Ok(())
}

/// ln Σ eˣ by a rule of its own, which needs the length: its derivative is eˣ / Σ eˣ.
#[test]
fn a_function_with_rules_of_its_own_has_types() -> Result<(), FunctionError> {
    let exp_sum = build(&["x"], |apply, x| {
        let exp = apply(Exp, &[x[0]]);
        vec![apply(Sum, &[exp])]
    });
    let jvp = build(&["x", "dx"], |apply, x| {
        let exp = apply(Exp, &[x[0]]);
        let product = apply(Mul, &[exp, x[1]]);
        vec![apply(Sum, &[product])]
    });
    let vjp = build(&["x", "ct"], |apply, x| {
        let exp = apply(Exp, &[x[0]]);
        let ct = apply(Spread(3), &[x[1]]);
        vec![apply(Mul, &[exp, ct])]
    });
    let x = vec![0.5, -1.0, 2.0];
    let exp: Vec<f64> = x.iter().map(|x: &f64| x.exp()).collect();
    let f = exp_sum.with_types([vector(3)])?;
    for rules in [
        Rules::jvp(jvp.clone()),
        Rules::vjp(vjp.clone()),
        Rules::both(jvp, vjp),
    ] {
        let f = f.with_rules("exp_sum", rules)?;
        // Called on something that has the name of the function's own input, and another type.
        let outer = f.compose(&build(&["x"], |apply, x| vec![apply(Spread(3), &[x[0]])]))?;
        let outer = outer.with_types([vector(1)])?;
        assert_near(&call(&f.grad("x")?, &[&x])[0], &exp);
        assert_near(&call(&f.hvp("x")?, &[&x, &vec![1.0; 3]])[0], &exp);
        let slope = call(&outer.grad("x")?, &[&vec![0.25]]);
        assert_near(&slope[0], &[3.0 * 0.25_f64.exp()]);
        let slope = call(&outer.jvp("x")?, &[&vec![0.25], &vec![1.0]]);
        assert_near(&slope[1], &[3.0 * 0.25_f64.exp()]);
        let error = f.with_types([vector(4)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Call(call exp_sum) of f64[4]: input x of call exp_sum is f64[3], and cannot be f64[4] too: \
             give each function an AD context of its own"
        );
    }
    Ok(())
}

/// Σ eˣ, twice as steep backward as forward: on a tape, alone and inside of a function, with vectors of several
/// lengths.
#[test]
fn a_tape_goes_backward_by_the_vjp_and_forward_by_the_jvp() -> Result<(), EagerError> {
    let exp_sum = build(&["x"], |apply, x| {
        let exp = apply(Exp, &[x[0]]);
        vec![apply(Sum, &[exp])]
    });
    let jvp = build(&["x", "dx"], |apply, x| {
        let exp = apply(Exp, &[x[0]]);
        let product = apply(Mul, &[exp, x[1]]);
        vec![apply(Sum, &[product])]
    });
    let mut tape: Tape<Op> = Tape::new(Names::default());
    for x in [vec![0.5, -1.0, 2.0], vec![1.0], vec![0.0; 5]] {
        let n = x.len();
        let vjp = build(&["x", "ct"], |apply, x| {
            let exp = apply(Exp, &[x[0]]);
            let ct = apply(Spread(n), &[x[1]]);
            let slope = apply(Mul, &[exp, ct]);
            vec![apply(Add, &[slope, slope])]
        });
        let f = exp_sum.with_types([vector(n)]).unwrap();
        let f = f.with_rules("exp_sum", Rules::both(jvp.clone(), vjp));
        let f = f.unwrap();
        let inside = f.compose(&build(&["x"], |apply, x| vec![apply(Add, &[x[0], x[0]])]));
        let inside = inside.unwrap();
        let leaf = tape.leaf(x.clone());
        for (f, factor) in [(&f, 1.0), (&inside, 2.0)] {
            let slopes = |mode: f64, order: i32| -> Vec<f64> {
                let slopes = x.iter().map(|x| (factor * x).exp());
                slopes.map(|e| mode * e * factor.powi(order)).collect()
            };
            for y in [
                tape.apply_function(f, &[&leaf])?.remove(0),
                tape.checkpoint_function(f, &[&leaf])?.remove(0),
            ] {
                let found = tape.backward_keeping(&[(&y, vec![1.0])], &[&leaf])?;
                assert_near(found[0].as_ref().unwrap(), &slopes(2.0, 1));
                let found = tape.tangents(&[(&leaf, vec![1.0; n])], &[&y])?;
                let expected = slopes(1.0, 1).iter().sum();
                assert_near(found[0].as_ref().unwrap(), &[expected]);
                // What was recorded is 2·eˣ, an ordinary function.
                let seed = Var::constant(vec![1.0]);
                let slope = tape.backward_recorded(&[(&y, seed)], &[&leaf])?.remove(0);
                let slope = slope.unwrap();
                let found = tape.tangents(&[(&leaf, vec![1.0; n])], &[&slope])?;
                assert_near(found[0].as_ref().unwrap(), &slopes(2.0, 2));
                let found = tape.backward_keeping(&[(&slope, vec![1.0; n])], &[&leaf])?;
                assert_near(found[0].as_ref().unwrap(), &slopes(2.0, 2));
            }
        }
    }
    Ok(())
}

#[test]
fn derivatives_read_back_with_their_types() -> Result<(), FunctionError> {
    for [x, w] in points() {
        let f = product_of_sums().with_types_of(&[&x, &w])?;
        let split = f.linearize("x")?;
        let derived = [
            f.grad(..)?,
            f.vjp(..)?,
            f.jvp("x")?,
            f.hvp("x")?,
            f.grad("x")?.vjp("x")?,
            split.primal,
            split.linear,
        ];
        for f in [f].into_iter().chain(derived) {
            let text = format!("{f:#}");
            let read: F = text
                .parse()
                .unwrap_or_else(|error| panic!("{error} in\n{text}"));
            assert_eq!(format!("{read:#}"), text);
            assert_eq!(read.to_string(), f.to_string());
            assert_eq!(read.input_types(), f.input_types(), "{text}");
            assert_eq!(read.output_types()?, f.output_types()?, "{text}");
        }
        // What was read is differentiated by its types.
        let read: F = format!("{:#}", product_of_sums().with_types_of(&[&x, &w])?)
            .parse()
            .unwrap();
        let found = call(&read.grad(..)?, &[&x, &w]).concat();
        assert_near(&found, &gradient_of_product(&x, &w).concat());
        let other = vec![1.0; x.len() + 1];
        let error = read.compile().call(&[other.clone(), other]).unwrap_err();
        assert!(error.to_string().starts_with("input x is f64["), "{error}");
    }
    Ok(())
}

#[test]
fn types_stand_where_values_are_defined() -> Result<(), FunctionError> {
    let f = product_of_sums().with_types([vector(3), vector(3)])?;
    let gradient = f.grad("w")?;
    assert_snapshot!(format!("{f}\n{f:#}\n{gradient:#}"), @r#"
    function {
        input %0 = x
        input %1 = w
        %2 = Mul %0, %1
        %3 = Exp %2
        %4 = Sum %3
        %5 = Sum %0
        %6 = Mul %4, %5
        output %6 -> out0
    }
    function {
        input %0: f64[3] = x
        input %1: f64[3] = w
        %2: f64[3] = Mul %0, %1
        %3: f64[3] = Exp %2
        %4: f64[1] = Sum %3
        %5: f64[1] = Sum %0
        %6: f64[1] = Mul %4, %5
        output %6 -> out0
    }
    function {
        input %0: f64[3] = x
        input %1: f64[3] = w
        %2: f64[1] = "Fill { n: 1, halves: 2 }"
        %3: f64[1] = Sum %0
        %4: f64[1] = Mul %2, %3
        %5: f64[3] = "Spread(3)" %4
        %6: f64[3] = Mul %0, %1
        %7: f64[3] = Exp %6
        %8: f64[3] = Mul %5, %7
        %9: f64[3] = Mul %8, %0
        output %9 -> d.w
    }
    "#);
    Ok(())
}

/// What the reader says of a text: the line that it is about, a caret at the column, the message.
fn complaint(text: &str) -> String {
    let error = text.parse::<F>().unwrap_err();
    let line = text.lines().nth(error.line - 1).unwrap_or_default();
    let caret = " ".repeat(error.column - 1);
    format!("{line}\n{caret}^ {error}\n")
}

#[test]
fn wrong_types_in_a_text_are_told() {
    let items = [
        "input %1: f32[3] = y",
        "input %1: = y",
        "input %1: f64[ = y",
        "input %1: f64[] = y",
        "input %1: f64[3 = y",
        "input %1: f64[3,] = y",
        "input %1: f64[3]] = y",
        "input %1: f64[-3] = y",
        "input %1: f64[99999999999999999999] = y",
        "input %1: \"f64 = y",
        "input %1: f64[3]",
        "input %1 = y",
        "%1: f64[4] = Exp %0",
        "%1: f64 = Exp %0",
        "%1: f32[3] = Exp %0",
        "%1: f64[3], %2: f64[3] = Exp %0",
        "%1: f64[3] = Mul %0, @y",
        "%1 = \"Spread(2)\" %0\n%2 = Mul %0, %1",
        "output %0: f64[3]",
        "external @0 = Exp %0",
        "external @0 = Exp @y",
    ];
    let in_typed =
        items.map(|item| complaint(&format!("function {{\ninput %0: f64[3] = x\n{item}\n}}")));
    assert_snapshot!(in_typed.concat(), @r#"
    input %1: f32[3] = y
              ^ line 3, column 11: expected a kind of values that the operation set reads (`ParseNames::parse_kind`), found `f32[3] = y`
    input %1: = y
              ^ line 3, column 11: expected a type, found `= y`
    input %1: f64[ = y
                   ^ line 3, column 16: expected the size of an axis, found `= y`
    input %1: f64[] = y
                  ^ line 3, column 15: expected the size of an axis, found `] = y`
    input %1: f64[3 = y
                    ^ line 3, column 17: expected `,` or `]`, found `= y`
    input %1: f64[3,] = y
                    ^ line 3, column 17: expected the size of an axis, found `] = y`
    input %1: f64[3]] = y
                    ^ line 3, column 17: expected `=`, found `] = y`
    input %1: f64[-3] = y
                  ^ line 3, column 15: expected the size of an axis, found `-3] = y`
    input %1: f64[99999999999999999999] = y
                  ^ line 3, column 15: expected the size of an axis, found `99999999999999999999] = …`
    input %1: "f64 = y
                      ^ line 3, column 19: expected `"`, found the end of the line
    input %1: f64[3]
                    ^ line 3, column 17: expected `=`, found the end of the line
    input %1 = y
             ^ line 3, column 10: expected `:` and a type, as other values have one, found `= y`
    %1: f64[4] = Exp %0
        ^ line 3, column 5: expected `f64[3]`, as follows from the operands, found `f64[4]`
    %1: f64 = Exp %0
        ^ line 3, column 5: expected `f64[3]`, as follows from the operands, found `f64`
    %1: f32[3] = Exp %0
        ^ line 3, column 5: expected a kind of values that the operation set reads (`ParseNames::parse_kind`), found `f32[3] = Exp %0`
    %1: f64[3], %2: f64[3] = Exp %0
    ^ line 3, column 1: expected 1 result, found 2
    %1: f64[3] = Mul %0, @y
                         ^ line 3, column 22: expected an operand with a type: `%`, found `@y`
    %2 = Mul %0, %1
         ^ line 4, column 6: expected a well-formed operation, found Mul of f64[3] and f64[2]: lengths 3 and 2 differ
    output %0: f64[3]
             ^ line 3, column 10: expected the end of the line, found `: f64[3]`
    external @0 = Exp %0
                      ^ line 3, column 19: expected a value of another graph, found `%0`
    external @0 = Exp @y
                      ^ line 3, column 19: expected an operand with a type: `%`, found `@y`
    "#);
    // Where values have no types.
    let items = ["input %1: f64[3] = y", "%1: f64[3] = Exp %0"];
    let in_plain = items.map(|item| complaint(&format!("function {{\ninput %0 = x\n{item}\n}}")));
    assert_snapshot!(in_plain.concat(), @"
    input %1: f64[3] = y
            ^ line 3, column 9: expected no type, as values before have none, found `: f64[3] = y`
    %1: f64[3] = Exp %0
      ^ line 3, column 3: expected no type, as values before have none, found `: f64[3] = Exp %0`
    ");
}

/// What the set says now is held to what it said when the graph was made.
#[test]
fn types_of_a_graph_are_verified() {
    let f = product_of_sums();
    let typed = f.with_types([vector(3), vector(3)]).unwrap();
    for f in [&f, &typed, &typed.grad(..).unwrap()] {
        assert_eq!(f.as_dense().verify().to_string(), "no findings");
    }
    let derived = typed.grad("x").unwrap();
    let found = [
        with_fault(Fault::TooLong, || typed.as_dense().verify()),
        with_fault(Fault::TooMany, || typed.as_dense().verify()),
        with_fault(Fault::Silent, || derived.as_dense().verify()),
        // Without types, there is nothing to hold.
        with_fault(Fault::TooLong, || f.as_dense().verify()),
    ];
    assert_snapshot!(found.map(|report| report.to_string()).join("\n---\n"), @r#"
    error[types]: %3 is f64[3], but f64[4] follows from the operands
      |
      |  %3: f64[3] = Exp %2
      = help: `infer_types` must not change from call to call

    1 finding
    ---
    error[types]: Exp has 1 results, but types were inferred for 2
      |
      |  %3: f64[3] = Exp %2
      |                   ^^
      = help: `infer_types` must not change from call to call

    1 finding
    ---
    error[types]: Spread(3) does not say of what types its results are: its set needs `infer_types`
      |
      |  %7: f64[3] = "Spread(3)" %6
      |                           ^^
      = help: `infer_types` must not change from call to call

    error[types]: Spread(3) does not say of what types its results are: its set needs `infer_types`
      |
      |  %10: f64[3] = "Spread(3)" %9
      |                            ^^
      = help: `infer_types` must not change from call to call

    2 findings
    ---
    no findings
    "#);
}

/// A function has the types of the graph that it is made of.
#[test]
fn functions_of_graphs_by_positions_have_their_types() {
    let made = product_of_sums();
    let typed = made.with_types([vector(2), vector(2)]).unwrap();
    let again = |f: &F| {
        let names = f.output_names().to_vec();
        F::from_dense(f.as_dense().clone(), f.input_keys(), names).unwrap()
    };
    assert_eq!(again(&made).input_types(), None);
    let again = again(&typed);
    assert_eq!(again.input_types(), typed.input_types());
    assert_eq!(format!("{again:#}"), format!("{typed:#}"));
    let (x, w) = (vec![0.5, -1.0], vec![2.0, 0.25]);
    let gradient = again.grad(..).unwrap();
    let gradient = gradient.compile().call(&[x.clone(), w.clone()]).unwrap();
    for (found, expected) in gradient.iter().zip(gradient_of_product(&x, &w)) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}

/// Whatever is done to a text, reading it ends with a function that reads back, or a place in the text.
#[test]
fn damaged_types_are_read_or_refused() {
    let mut random = Random(4);
    let f = product_of_sums()
        .with_types([vector(3), vector(3)])
        .unwrap();
    let text = format!("{:#}", f.grad(..).unwrap());
    let types: Vec<usize> = text.match_indices(": ").map(|(at, _)| at).collect();
    let mut read = 0;
    for _ in 0..2000 {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..1 + random.below(2) {
            let near = types[random.below(types.len())] + random.below(9);
            let at = near.min(chars.len() - 1);
            let from = random.below(chars.len());
            match random.below(3) {
                0 => drop(chars.remove(at)),
                1 => chars[at] = chars[from],
                _ => chars.insert(at, chars[from]),
            }
        }
        let damaged: String = chars.into_iter().collect();
        match damaged.parse::<F>() {
            Ok(f) => {
                read += 1;
                let text = format!("{f:#}");
                let again: F = text.parse().unwrap();
                assert_eq!(format!("{again:#}"), text);
                assert_eq!(again.input_types(), f.input_types());
            }
            Err(error) => {
                let line = damaged.lines().nth(error.line - 1).unwrap_or_default();
                assert!(
                    error.column <= line.chars().count() + 1,
                    "{error} in\n{damaged}"
                );
            }
        }
    }
    assert!(read > 0);
}

#[test]
fn many_typed_values_print_and_read_back() {
    on_small_stack(|| {
        let operations = cases(250_000);
        let mut text = "function {\n    input %0: f64[2] = x\n".to_owned();
        let mut before = 0;
        for id in 1..=operations {
            writeln!(text, "    %{id}: f64[2] = Mul %{}, %{before}", id - 1).unwrap();
            before = id - 1;
        }
        write!(text, "    output %{operations} -> out0\n}}").unwrap();
        let read: F = text.parse().unwrap();
        assert_eq!(read.as_dense().operation_count(), operations);
        assert!(format!("{read:#}") == text);
    });
}

#[test]
fn a_picture_shows_types_if_it_is_asked_to() -> Result<(), FunctionError> {
    let f = build(&["x"], |apply, x| {
        let exp = apply(Exp, &[x[0]]);
        vec![apply(Sum, &[exp])]
    });
    let plain = f.picture();
    let typed = f.with_types([vector(3)])?.picture();
    assert_eq!(typed.to_dot(), plain.to_dot());
    assert_eq!(typed.to_mermaid(), plain.to_mermaid());
    assert_eq!(plain.clone().with_types().to_dot(), plain.to_dot());
    assert_snapshot!(typed.clone().with_types().to_mermaid(), @r#"
    flowchart TB
        subgraph c0["function"]
            n0(["x<br>f64[3]"])
            style n0 fill:#ffffff,color:#000000
            n1["Exp<br>%1<br>f64[3]"]
            style n1 fill:#dbe9f6,color:#000000
            n2["Sum<br>%2<br>f64[1]"]
            style n2 fill:#dbe9f6,color:#000000
            n3(("%2"))
            style n3 fill:#ffffff,color:#000000
        end
        n0 --> n1
        n1 --> n2
        n2 --> n3
    "#);
    let part = typed.clone().with_types().around(&["Exp"], 1);
    assert_eq!(
        part.to_dot(),
        typed.around(&["Exp"], 1).with_types().to_dot()
    );
    assert_snapshot!(part.to_dot(), @r##"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        label="cut to a neighbourhood: 1 node is not shown";
        subgraph cluster_0 {
            label="function";
            n0 [label="x\nf64[3]", shape=ellipse, fillcolor="#ffffff"];
            n1 [label="Exp\n%1\nf64[3]", shape=box, fillcolor="#dbe9f6"];
            n2 [label="Sum\n%2\nf64[1]", shape=box, fillcolor="#dbe9f6"];
        }
        n0 -> n1 [style=solid];
        n1 -> n2 [style=solid];
    }
    "##);
    Ok(())
}

#[test]
fn what_is_wrong_with_types_is_said() -> Result<(), FunctionError> {
    let f = product_of_sums();
    assert_eq!(
        f.grad(..).unwrap_err().to_string(),
        "the type of input x is not known: note it in the AD context, or give the function the \
         types of its inputs (`Function::with_types`)"
    );
    let error = f.with_types([vector(3)]).unwrap_err();
    assert_eq!(error.to_string(), "the function has 2 inputs, found 1 type");

    let error = f.with_types([vector(3), vector(4)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Mul of f64[3] and f64[4]: lengths 3 and 4 differ"
    );
    let FunctionError::Type(TypeError::Operation { source, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(source.downcast_ref(), Some(&Mismatch(3, 4)));

    let program = f.with_types([vector(3), vector(3)])?.compile();
    let error = program.call(&[vec![1.0; 3], vec![1.0; 2]]).unwrap_err();
    assert_eq!(error.to_string(), "input w is f64[3], found f64[2]");

    let mut ctx = TypeTable::default();
    let [short, long] = [3, 4].map(|n| f.with_types([vector(n), vector(n)]));
    short?.within(&mut ctx).grad(..)?;
    let error = long?.within(&mut ctx).grad(..).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input x is f64[3], and cannot be f64[4] too: give each function an AD context of its own"
    );
    Ok(())
}

/// A tape says so too, and can be used afterwards.
#[test]
fn a_tape_says_what_is_wrong_with_types() {
    let mut tape: Tape<Op> = Tape::new(Names::default());
    let (x, y) = (tape.leaf(vec![1.0; 3]), tape.leaf(vec![1.0; 4]));
    let error = tape.apply_one(Mul, &[&x, &y]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("Mul of f64[3] and f64[4]: lengths 3 and 4 differ"),
        "{text}"
    );
    let y = tape.apply_one(Sum, &[&x]).unwrap();
    let found = tape.backward(&[(&y, vec![1.0])], &[&x]).unwrap();
    assert_eq!(found, [Some(vec![1.0; 3])]);
}

/// Types are inferred with constant stack, each value once: two chains that are built apart and are equal
/// would otherwise be compared again and again.
#[test]
fn types_of_long_chains() {
    on_small_stack(|| {
        let length = cases(100_000);
        let chain = || {
            build(&["x"], |apply, x| {
                let chain = (0..length).fold(x[0], |value, _| apply(Mul, &[value, value]));
                vec![apply(Sum, &[chain])]
            })
        };
        let mut types = TypeTable::default();
        types
            .note(&ValueKey::Input("x".into()), &vector(2))
            .unwrap();
        for f in [chain(), chain()] {
            let graph = f.as_graph();
            for id in [graph.values().len() - 1, length / 2, length] {
                let key = &graph.values()[id].key;
                let last = id == graph.values().len() - 1;
                assert_eq!(types.of(key), Ok(&vector(if last { 1 } else { 2 })));
            }
        }
        let f = chain().with_types([vector(2)]).unwrap();
        assert_eq!(call(&f.grad("x").unwrap(), &[&vec![1.0, 0.0]])[0][1], 0.0);
    });
}

#[cfg(feature = "laws")]
#[test]
fn the_set_obeys_the_laws() {
    laws().check().assert();
}

#[cfg(feature = "laws")]
#[test]
fn types_that_are_inferred_wrongly_break_the_declaration_law() {
    use tidu::laws::Law;

    let message = |fault| {
        let report = with_fault(fault, || laws().check());
        let mut failures = report.failures().iter();
        let failure =
            failures.find(|failure| (&*failure.name, failure.law) == ("Exp", Law::Declaration));
        let failure = failure.unwrap_or_else(|| panic!("{report}"));
        format!(
            "{}: {} for {}",
            failure.message, failure.found, failure.expected
        )
    };
    assert_eq!(
        message(Fault::TooMany),
        "operands have results, but no types are inferred: Exp has 1 results, but types were inferred for 2 for the \
         types of the results"
    );
    let wrong = message(Fault::TooLong);
    assert!(
        wrong.starts_with("result 0 is not of the type that is inferred: f64["),
        "{wrong}"
    );
}

#[cfg(feature = "laws")]
fn laws() -> tidu::laws::Laws<Op> {
    use tidu::laws::{Laws, Space};

    let draw = |count: usize| {
        move |random: &mut tidu::laws::Random| {
            let length = 1 + random.below(3);
            let vector = |_| random.many_between(length, -2.0, 2.0);
            (0..count).map(vector).collect()
        }
    };
    Laws::new(Space::real_vectors(), |at| ScalarKey::fresh(at as u64))
        .operations([Add, Mul], draw(2))
        .operations([Exp, Sum], draw(1))
        .operation(Spread(3), |random| vec![random.many_between(1, -2.0, 2.0)])
        .compositions(40, 6)
}

#[test]
fn every_value_has_a_type() -> Result<(), FunctionError> {
    let f = product_of_sums().with_types([vector(3), vector(3)])?;
    let gradient = f.value_and_grad(..)?;
    for function in [
        &f,
        &gradient,
        &f.jvp("x")?,
        &f.vjp(..)?,
        &gradient.simplify(Exactness::Exact)?,
    ] {
        let dense = function.as_dense();
        let inputs = dense.types_of(dense.inputs()).unwrap();
        // What evaluation finds, one value after the other.
        let operands = inputs.iter().map(|known| vec![0.5; known.dims()[0]]);
        let mut values: Vec<Vec<f64>> = operands.collect();
        for node in dense.nodes() {
            let operands: Vec<_> = node.operands.iter().map(|id| &values[id.index()]).collect();
            let results = node.operation.eval(&mut (), &operands);
            for (id, result) in node.results.iter().zip(&results) {
                assert_eq!(dense.type_of(id), Some(&vector(result.len())));
            }
            values.extend(results);
        }
    }
    // Nobody said of what types these are.
    assert!(!product_of_sums().as_dense().has_types());
    Ok(())
}

#[test]
fn rules_are_asked_once_for_operands_of_one_type() -> Result<(), FunctionError> {
    let f = build(&["x", "w"], |apply, x| {
        let mut ends = x.to_vec();
        for _ in 0..100 {
            ends = ends.iter().map(|&end| apply(Exp, &[end])).collect();
        }
        let sums: Vec<usize> = ends.iter().map(|&end| apply(Sum, &[end])).collect();
        vec![apply(Add, &[sums[0], sums[1]])]
    });
    let calls = |lengths: [usize; 2]| {
        let typed = f.with_types(lengths.map(vector))?;
        JVP_CALLS.set(0);
        typed.grad(..)?;
        Ok::<usize, FunctionError>(JVP_CALLS.get())
    };
    // Exp and Sum of one type, and the two terms of Add.
    assert_eq!(calls([3, 3])?, 2 + 2);
    assert_eq!(calls([3, 4])?, 2 * 2 + 2);

    // A context that knows the types of all inputs is as good; one that does not know one is asked everywhere.
    let mut ctx = TypeTable::default();
    let [x, w] = [0, 1].map(|at| ValueKey::Input(f.input_keys()[at].clone()));
    ctx.note(&x, &vector(3))?;
    JVP_CALLS.set(0);
    f.within(&mut ctx).missing_rules(.., tidu::Mode::Forward)?;
    assert!(JVP_CALLS.get() > 100);
    ctx.note(&w, &vector(4))?;
    JVP_CALLS.set(0);
    let gradient = f.within(&mut ctx).grad(..)?;
    assert_eq!(JVP_CALLS.get(), 2 * 2 + 2);
    let typed = f.with_types([3, 4].map(vector))?.grad(..)?;
    assert_eq!(gradient.to_string(), typed.to_string());
    Ok(())
}

/// Where rules emit what has no types, the derivative has none but those of its inputs; what is made by types is made by
/// those of the function.
#[test]
fn rules_that_emit_what_has_no_types() -> Result<(), FunctionError> {
    let f = build(&["x", "v", "w"], |apply, x| vec![apply(Sum, &[x[0]])]);
    let lengths = [3, 4, 5];
    let typed = f.with_types(lengths.map(vector))?;
    let gradient = with_fault(Fault::Silent, || typed.grad(..))?;
    assert!(!gradient.as_dense().has_types());
    assert_eq!(gradient.input_types(), Some(&lengths.map(vector)[..]));
    let x = lengths.map(|length| vec![0.5; length]);
    let found = gradient.compile().call(&x)?;
    assert_eq!(found, [vec![1.0; 3], vec![0.0; 4], vec![0.0; 5]]);
    Ok(())
}

/// A gradient without types is derived as such, though the function has some: rules are asked where operations stand,
/// and a zero is as long as what it stands for.
#[test]
fn second_derivatives_of_what_has_lost_its_types() -> Result<(), FunctionError> {
    let f = build(&["x", "w"], |apply, x| {
        let exp = apply(Exp, &x[..1]);
        vec![apply(Sum, &[exp])]
    });
    let typed = f.with_types([vector(3), vector(2)])?;
    let (x, v) = ([0.1, 0.2, 0.3], [1.0, -2.0, 0.5]);
    let point = [x.to_vec(), vec![0.5; 2], v.to_vec(), vec![1.0; 2]];
    with_fault(Fault::Silent, || {
        assert!(!typed.grad(..)?.as_dense().has_types());
        let product = typed.hvp(..)?.compile().call(&point)?;
        for ((found, x), v) in product[0].iter().zip(x).zip(v) {
            assert!((found - x.exp() * v).abs() < 1e-15, "{product:?}");
        }
        assert_eq!(product[1], [0.0; 2]);
        Ok(())
    })
}

#[test]
fn a_derivative_of_another_type_than_its_value_is_refused() -> Result<(), FunctionError> {
    let f = build(&["x"], |apply, x| {
        let spread = apply(Spread(3), x);
        vec![apply(Exp, &[spread])]
    });
    let typed = f.with_types([vector(1)])?;
    let error = |fault, derive: &dyn Fn() -> Result<F, FunctionError>| {
        with_fault(fault, derive).unwrap_err().to_string()
    };
    let tangent = "the jvp rule of Exp made f64[1], where result 0 is f64[3]";
    assert_eq!(error(Fault::ShortTangent, &|| typed.jvp("x")), tangent);
    let cotangent = "the transpose rule of Spread(3) made f64[3], where operand 0 is f64[1]";
    assert_eq!(error(Fault::LongCotangent, &|| typed.vjp("x")), cotangent);
    // So it is on a tape.
    let by_tape = with_fault(Fault::LongCotangent, || {
        let mut tape: Tape<Op> = Tape::new(Names::default());
        let x = tape.leaf(vec![1.0]);
        tape.apply_one(Spread(3), &[&x])
    });
    assert!(by_tape.unwrap_err().to_string().contains(cotangent));
    Ok(())
}

/// Rules that are asked at each place, with a table of types that grows all the way: were the names at two places alike
/// to a hash, whatever keeps them would be searched through from the first to the last.
#[test]
fn long_chains_in_place() {
    on_small_stack(|| {
        let steps = cases(20_000);
        let f = build(&["x"], |apply, x| {
            (0..steps).fold(x.to_vec(), |last, _| vec![apply(Exp, &last)])
        });
        let typed = f.with_types([vector(2)]).unwrap();
        TANGENTS.take();
        let in_place = typed.within(&mut TypeTable::default()).in_place().vjp(..);
        assert_eq!(TANGENTS.take().len(), steps);
        let vjp = typed.vjp(..).unwrap();
        assert!(in_place.unwrap().to_string() == vjp.to_string());
    });
}
