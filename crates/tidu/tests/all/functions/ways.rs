//! The two ways to a derivative, by operations derived once and by rules called in place, against dual
//! numbers: over an operation set with every oddity that rules may have.

use std::cell::Cell;

use tidu::eager::Tape;
use tidu::graph::{
    EvaluableGraphOperation, Exactness, GraphOperation, LocalValueId, OperationRole, Rewrite,
    ValueKey, ValueRef,
};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Derivatives, Derive, Function, FunctionError, Linearity,
    Mode, Primitive, PrimitiveBuilder, PrimitiveValue, RuleOperand,
};
use tidu_testkit::{Random, cases, on_small_stack};

use super::custom_rules::{AT, calls, derivative, forms, nested};
use crate::support::tame::{Coefficients, tame_function};
use crate::support::{Dual, Layout, Sketch, TestOp, assert_close};

thread_local! {
    /// Which of one, basis and zero the set supplies.
    static SUPPLIES: Cell<[bool; 3]> = const { Cell::new([true; 3]) };
    static JVP_CALLS: Cell<usize> = const { Cell::new(0) };
    static TRANSPOSE_CALLS: Cell<usize> = const { Cell::new(0) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Odd {
    /// A quarter of it.
    Number(i8),
    Add,
    Mul,
    Neg,
    /// ⌊x⌋, which has no tangent.
    Floor,
    /// (y, x): its tangents are those of its operands.
    Swap,
    /// x·⌊y⌋: no tangent if y alone has one.
    Stairs,
    /// (3·x, x², 3·x): two results of one tangent.
    Twins,
    /// (x·y, ⌊x⌋ + ⌊y⌋, x - y): the second has no tangent.
    Three,
    /// (x + y, x - y), linear: in the derivative of what follows, too.
    Turn,
    /// (⌊w⌋·sum, sum, w·x) for sum = x + y + z: a derivative of several results out of one operation.
    Spread,
    /// x + y, with rules that are wrong somehow.
    Bad(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    NoJvp,
    NoTranspose,
    JvpFails,
    TransposeFails,
    TooManyTangents,
    NoTangents,
    TooManyCotangents,
    NoCotangents,
    ForeignTangent,
    ForeignCotangent,
    TooFewOperands,
    WrongMask,
    /// Emits a product of tangents.
    Square,
    /// Emits a product of the tangent with itself, and says that it is linear in one of them only.
    Hidden,
    /// Uses a value that no graph has.
    Elsewhere,
}

const FAULTS: [Fault; 15] = [
    Fault::NoJvp,
    Fault::NoTranspose,
    Fault::JvpFails,
    Fault::TransposeFails,
    Fault::TooManyTangents,
    Fault::NoTangents,
    Fault::TooManyCotangents,
    Fault::NoCotangents,
    Fault::ForeignTangent,
    Fault::ForeignCotangent,
    Fault::TooFewOperands,
    Fault::WrongMask,
    Fault::Square,
    Fault::Hidden,
    Fault::Elsewhere,
];

const MUL: &[Rewrite<Odd>] = &[
    Rewrite::exact("x·1 = x", |t, _, x| {
        let other = |x, y| (t.constant(x) == Some(&Odd::Number(4))).then_some(y);
        other(x[0], x[1]).or_else(|| other(x[1], x[0]))
    })
    .for_constants(),
    Rewrite::finite_only("x·0 = 0", |t, _, x| {
        let zero = |x| t.constant(x) == Some(&Odd::Number(0));
        x.iter().copied().find(|&x| zero(x))
    })
    .for_constants(),
];

const NEG: &[Rewrite<Odd>] = &[Rewrite::exact("-(-x) = x", |t, _, x| {
    let [x] = t.operands(x[0], &Odd::Neg)?;
    Some(x)
})];

/// What an operation is, over any numbers.
fn meaning<N: Coefficients>(op: Odd, x: &[N]) -> Vec<N> {
    let floor = |x: N| N::constant(x.read()[0].floor());
    let number = |x: i8| N::constant(f64::from(x) / 4.0);
    match op {
        Odd::Number(k) => vec![number(k)],
        Odd::Add | Odd::Bad(_) => vec![x[0].add(x[1])],
        Odd::Mul => vec![x[0].mul(x[1])],
        Odd::Neg => vec![x[0].neg()],
        Odd::Floor => vec![floor(x[0])],
        Odd::Swap => vec![x[1], x[0]],
        Odd::Stairs => vec![x[0].mul(floor(x[1]))],
        Odd::Twins => {
            let triple = x[0].mul(number(12));
            vec![triple, x[0].mul(x[0]), triple]
        }
        Odd::Three => vec![
            x[0].mul(x[1]),
            floor(x[0]).add(floor(x[1])),
            x[0].add(x[1].neg()),
        ],
        Odd::Turn => vec![x[0].add(x[1]), x[0].add(x[1].neg())],
        Odd::Spread => {
            let sum = x[0].add(x[1]).add(x[2]);
            vec![floor(x[3]).mul(sum), sum, x[3].mul(x[0])]
        }
    }
}

impl GraphOperation for Odd {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Odd::Number(_) => 0,
            Odd::Neg | Odd::Floor | Odd::Twins => 1,
            Odd::Spread => 4,
            _ => 2,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Odd::Swap | Odd::Turn => 2,
            Odd::Three | Odd::Twins | Odd::Spread => 3,
            _ => 1,
        }
    }

    fn commutes(&self) -> bool {
        matches!(self, Odd::Add | Odd::Mul)
    }

    fn rewrites(&self) -> &'static [Rewrite<Self>] {
        match self {
            Odd::Mul => MUL,
            Odd::Neg => NEG,
            _ => &[],
        }
    }
}

impl EvaluableGraphOperation for Odd {
    fn eval(&self, (): &mut (), x: &[&f64]) -> Vec<f64> {
        let x: Vec<f64> = x.iter().copied().copied().collect();
        meaning(*self, &x)
    }
}

impl TestOp for Odd {}

fn supply(which: usize, number: i8, b: &mut impl PrimitiveBuilder<Odd>) -> Option<LocalValueId> {
    let supplied = SUPPLIES.get()[which];
    supplied.then(|| b.add_primitive(Odd::Number(number), vec![], OperationRole::Primary)[0])
}

type Ids = Vec<Option<LocalValueId>>;

impl Primitive for Odd {
    type ADContext = ();

    fn add() -> Self {
        Odd::Add
    }

    fn one_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _: &ValueKey<Self>,
        (): &mut (),
    ) -> Option<LocalValueId> {
        supply(0, 4, b)
    }

    fn basis_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _: &ValueKey<Self>,
        (): &mut (),
    ) -> Option<LocalValueId> {
        supply(1, 4, b)
    }

    fn zero_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _: &ValueKey<Self>,
        (): &mut (),
    ) -> Option<LocalValueId> {
        supply(2, 0, b)
    }

    fn linearity(&self) -> Linearity {
        match self {
            Odd::Add | Odd::Neg | Odd::Turn | Odd::Swap => Linearity::Joint,
            Odd::Mul => Linearity::Each,
            _ => Linearity::Undeclared,
        }
    }

    fn jvp_rule(
        &self,
        _: &mut impl PrimitiveBuilder<Self>,
        _: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        _: &[Option<LocalValueId>],
        (): &mut (),
    ) -> Ids {
        unreachable!("the fallible form is called")
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        (): &mut (),
    ) -> ADRuleResult<Ids> {
        JVP_CALLS.set(JVP_CALLS.get() + 1);
        let fixed = |at: usize| PrimitiveValue::External(x[at].clone());
        Ok(match self {
            Odd::Number(_) => unreachable!("no operand has a tangent"),
            Odd::Add => vec![b.emit_sum([dx[0], dx[1]])],
            Odd::Neg => vec![negated(b, dx[0])],
            Odd::Mul => {
                let by = [times(b, dx[0], fixed(1)), times(b, dx[1], fixed(0))];
                vec![b.emit_sum(by)]
            }
            Odd::Floor => vec![None],
            Odd::Swap => vec![dx[1], dx[0]],
            Odd::Stairs => {
                let step = b.emit_fixed(Odd::Floor, [fixed(1)]);
                vec![times(b, dx[0], step)]
            }
            Odd::Twins => {
                let three = b.emit_fixed(Odd::Number(12), []);
                let two = b.emit_fixed(Odd::Number(8), []);
                let slope = b.emit_fixed(Odd::Mul, [fixed(0), two]);
                let triple = times(b, dx[0], three);
                vec![triple, times(b, dx[0], slope), triple]
            }
            Odd::Three => {
                let by = [times(b, dx[0], fixed(1)), times(b, dx[1], fixed(0))];
                let product = b.emit_sum(by);
                let minus = negated(b, dx[1]);
                vec![product, None, b.emit_sum([dx[0], minus])]
            }
            Odd::Turn => turned(b, dx),
            Odd::Spread => {
                let step = b.emit_fixed(Odd::Floor, [fixed(3)]);
                let sum = b.emit_sum([dx[0], dx[1], dx[2]]);
                let by = [times(b, dx[3], fixed(0)), times(b, dx[0], fixed(3))];
                vec![times(b, sum, step), sum, b.emit_sum(by)]
            }
            Odd::Bad(fault) => bad_jvp(*fault, b, dx)?,
        })
    }

    fn transpose_rule(
        &self,
        _: &mut impl PrimitiveBuilder<Self>,
        _: &[Option<LocalValueId>],
        _: &[PrimitiveValue<Self>],
        _: &OperationRole,
        (): &mut (),
    ) -> Ids {
        unreachable!("the fallible form is called")
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        (): &mut (),
    ) -> ADRuleResult<Ids> {
        TRANSPOSE_CALLS.set(TRANSPOSE_CALLS.get() + 1);
        let OperationRole::Linearized { active_mask } = role else {
            unreachable!("only linear operations are transposed");
        };
        Ok(match self {
            Odd::Add => vec![ct[0], ct[0]],
            Odd::Neg => vec![negated(b, ct[0])],
            Odd::Mul if active_mask[0] => vec![times(b, ct[0], x[1].clone()), None],
            Odd::Mul => vec![None, times(b, ct[0], x[0].clone())],
            Odd::Turn => turned(b, ct),
            Odd::Bad(fault) => bad_transpose(*fault, ct)?,
            other => unreachable!("no rule emits {other:?}"),
        })
    }
}

fn negated(b: &mut impl PrimitiveBuilder<Odd>, t: Option<LocalValueId>) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(Odd::Neg, [RuleOperand::Active(t)]))
}

fn times(
    b: &mut impl PrimitiveBuilder<Odd>,
    t: Option<LocalValueId>,
    factor: PrimitiveValue<Odd>,
) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(Odd::Mul, [RuleOperand::Active(t), factor.into()]))
}

/// (a + b, a - b), which is its own transpose.
fn turned(b: &mut impl PrimitiveBuilder<Odd>, t: &[Option<LocalValueId>]) -> Ids {
    match *t {
        [Some(first), Some(second)] => {
            let operands = [first, second].map(PrimitiveValue::Local).to_vec();
            let active_mask = vec![true, true];
            let role = OperationRole::Linearized { active_mask };
            let both = b.add_primitive(Odd::Turn, operands, role);
            both.into_iter().map(Some).collect()
        }
        [first, None] => vec![first, first],
        [None, second] => vec![second, negated(b, second)],
        _ => unreachable!("it takes two"),
    }
}

fn bad_jvp(
    fault: Fault,
    b: &mut impl PrimitiveBuilder<Odd>,
    dx: &[Option<LocalValueId>],
) -> ADRuleResult<Ids> {
    let some = dx.iter().flatten().copied().next().expect("one is there");
    let add = |b: &mut _, op| {
        let operands = [some, some].map(RuleOperand::Active);
        PrimitiveBuilder::emit_linear(b, op, operands)
    };
    Ok(match fault {
        Fault::NoJvp => return Err(ADRuleError::unsupported("Bad", ADRuleKind::Jvp)),
        Fault::JvpFails => return Err(ADRuleError::runtime(std::fmt::Error, ADRuleKind::Jvp)),
        Fault::TooManyTangents => vec![Some(some), None],
        Fault::NoTangents => vec![],
        Fault::ForeignTangent => vec![Some(1000)],
        Fault::TooFewOperands => vec![Some(b.emit_linear(Odd::Add, [RuleOperand::Active(some)]))],
        Fault::WrongMask => {
            let operands = [some, some].map(PrimitiveValue::Local).to_vec();
            let active_mask = vec![true];
            let role = OperationRole::Linearized { active_mask };
            vec![Some(b.add_primitive(Odd::Add, operands, role)[0])]
        }
        Fault::Square => vec![Some(add(b, Odd::Mul))],
        Fault::Hidden => {
            let hidden = RuleOperand::Fixed(PrimitiveValue::Local(some));
            vec![Some(
                b.emit_linear(Odd::Mul, [RuleOperand::Active(some), hidden]),
            )]
        }
        Fault::Elsewhere => {
            let key = ValueKey::Input("nowhere".into());
            vec![times(b, Some(some), PrimitiveValue::External(key))]
        }
        _ => vec![Some(add(b, Odd::Bad(fault)))],
    })
}

fn bad_transpose(fault: Fault, ct: &[Option<LocalValueId>]) -> ADRuleResult<Ids> {
    Ok(match fault {
        Fault::NoTranspose => return Err(ADRuleError::unsupported("Bad", ADRuleKind::Transpose)),
        Fault::TransposeFails => {
            return Err(ADRuleError::runtime(std::fmt::Error, ADRuleKind::Transpose));
        }
        Fault::TooManyCotangents => vec![ct[0]; 3],
        Fault::NoCotangents => vec![],
        Fault::ForeignCotangent => vec![Some(1000), None],
        _ => unreachable!("its JVP fails"),
    })
}

/// The outputs of a sketch, over any numbers.
pub(super) fn over<N: Coefficients>(f: &Sketch<Odd>, x: &[N]) -> Vec<N> {
    let mut values = x.to_vec();
    for step in &f.steps {
        let operands: Vec<N> = step.operands.iter().map(|&at| values[at]).collect();
        values.extend(meaning(step.op, &operands));
    }
    f.outputs.iter().map(|&at| values[at]).collect()
}

/// A function of a few inputs all of whose values at x are moderate, and of any number of outputs,
/// some of which may be inputs, or stand twice.
pub(super) fn random_function(random: &mut Random) -> (Sketch<Odd>, Vec<f64>) {
    let inputs = 1 + random.below(4);
    let x: Vec<f64> = (0..inputs).map(|_| 2.0 * random.unit()).collect();
    let names = ["a", "b", "c", "d"];
    let mut f = Sketch::<Odd>::new([]).0;
    f.inputs = names[..inputs]
        .iter()
        .copied()
        .map(ScalarKey::from)
        .collect();
    f.values = inputs;
    let mut values = x.clone();
    for _ in 0..random.below(14) {
        let op = [
            Odd::Number(random.below(9) as i8 - 4),
            Odd::Add,
            Odd::Mul,
            Odd::Mul,
            Odd::Neg,
            Odd::Floor,
            Odd::Swap,
            Odd::Stairs,
            Odd::Twins,
            Odd::Three,
            Odd::Turn,
            Odd::Spread,
        ][random.below(12)];
        let operands = (0..op.input_count()).map(|_| match random.below(3) {
            0 => random.below(values.len()),
            _ => values.len() - 1 - random.below(values.len().min(4)),
        });
        let operands: Vec<usize> = operands.collect();
        let given: Vec<f64> = operands.iter().map(|&at| values[at]).collect();
        let results = meaning(op, &given);
        if results.iter().all(|y| y.abs() < 8.0) {
            f.push(op, operands);
            values.extend(results);
        }
    }
    let outputs = (0..1 + random.below(4)).map(|_| match random.below(3) {
        0 => random.below(values.len()),
        _ => values.len() - 1 - random.below(values.len().min(4)),
    });
    let f = f.clone().returning(outputs.collect::<Vec<_>>());
    (f, x)
}

pub(super) fn function_of<Op: TestOp>(f: &Sketch<Op>) -> Function<Op> {
    let (graphs, keys) = f.graphs(&Layout::single());
    let outputs: Vec<_> = f.outputs.iter().map(|&at| keys[at].clone()).collect();
    Function::from_graphs(graphs, &f.inputs, &outputs).unwrap()
}

const LEVELS: [Option<Exactness>; 4] = [
    None,
    Some(Exactness::Exact),
    Some(Exactness::FiniteOnly),
    Some(Exactness::RealOnly),
];

const MODES: [Option<Mode>; 3] = [None, Some(Mode::Forward), Some(Mode::Reverse)];

/// The choices that there are: the way, the level, the mode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choices {
    pub in_place: bool,
    pub level: Option<Exactness>,
    pub mode: Option<Mode>,
}

impl Choices {
    pub fn all() -> impl Iterator<Item = Self> {
        let ways = [false, true].into_iter();
        let levels = ways.flat_map(|way| LEVELS.map(|level| (way, level)));
        levels.flat_map(|(in_place, level)| {
            MODES.map(|mode| Self {
                in_place,
                level,
                mode,
            })
        })
    }

    pub fn derive<'a, Op: Primitive<ADContext = ()>>(
        self,
        f: &'a Function<Op>,
        ctx: &'a mut (),
    ) -> Derive<'a, Op> {
        let mut derive = f.within(ctx);
        derive = match self.level {
            Some(level) => derive.simplify(level),
            None => derive.unsimplified(),
        };
        if self.in_place {
            derive = derive.in_place();
        }
        match self.mode {
            Some(mode) => derive.mode(mode),
            None => derive,
        }
    }
}

pub(super) fn call<Op: TestOp<Operand = f64>>(f: &Function<Op>, x: &[f64]) -> Vec<f64> {
    f.compile().call(x).unwrap()
}

/// Derivatives by dual numbers: of outputs, by all inputs.
pub(super) struct Witness {
    pub value: Vec<f64>,
    /// By output, then by input.
    pub jacobian: Vec<Vec<f64>>,
    /// By output: by rows.
    pub hessian: Vec<Vec<Vec<f64>>>,
}

fn basis(len: usize, at: usize) -> Vec<f64> {
    (0..len).map(|i| f64::from(u8::from(i == at))).collect()
}

pub(super) fn witness(
    x: &[f64],
    over: impl Fn(&[Dual<Dual<f64>>]) -> Vec<Dual<Dual<f64>>>,
) -> Witness {
    let n = x.len();
    let along = |i: usize, j: usize| {
        let (t, u) = (basis(n, i), basis(n, j));
        let lift = |at: usize| Dual {
            value: Dual {
                value: x[at],
                tangent: t[at],
            },
            tangent: Dual {
                value: u[at],
                tangent: 0.0,
            },
        };
        over(&(0..n).map(lift).collect::<Vec<_>>())
    };
    let pairs: Vec<Vec<_>> = (0..n)
        .map(|i| (0..n).map(|j| along(i, j)).collect())
        .collect();
    let rows = 0..pairs[0][0].len();
    let value = pairs[0][0].iter().map(|y: &Dual<Dual<f64>>| y.value.value);
    Witness {
        value: value.collect(),
        jacobian: rows
            .clone()
            .map(|row| (0..n).map(|i| pairs[i][0][row].value.tangent).collect())
            .collect(),
        hessian: rows
            .map(|row| {
                let entry = |i: usize, j: usize| pairs[i][j][row].tangent.tangent;
                (0..n)
                    .map(|i| (0..n).map(|j| entry(i, j)).collect())
                    .collect()
            })
            .collect(),
    }
}

/// Some of so many inputs, in any order.
pub(super) fn some_of(random: &mut Random, inputs: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..inputs).collect();
    for at in (1..inputs).rev() {
        all.swap(at, random.below(at + 1));
    }
    all.truncate(1 + random.below(inputs));
    all
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Every transform by `wrt`, with all choices, against the witness.
fn check<Op>(f: &Function<Op>, x: &[f64], wrt: &[usize], witness: &Witness, random: &mut Random)
where
    Op: TestOp<Operand = f64> + Primitive<ADContext = ()>,
{
    let rows = witness.value.len();
    let numbers = |random: &mut Random, n: usize| (0..n).map(|_| random.unit()).collect();
    let (t, c): (Vec<f64>, Vec<f64>) = (numbers(random, wrt.len()), numbers(random, rows));
    let picked = |row: &[f64]| -> Vec<f64> { wrt.iter().map(|&at| row[at]).collect() };
    let jacobian: Vec<Vec<f64>> = witness.jacobian.iter().map(|row| picked(row)).collect();
    let jvp: Vec<f64> = jacobian.iter().map(|row| dot(row, &t)).collect();
    let column = |at: usize| -> Vec<f64> { jacobian.iter().map(|row| row[at]).collect() };
    let vjp: Vec<f64> = (0..wrt.len()).map(|at| dot(&column(at), &c)).collect();
    let chosen = random.below(rows);
    let hessian = &witness.hessian[chosen];
    let hessian: Vec<Vec<f64>> = wrt.iter().map(|&at| picked(&hessian[at])).collect();
    let hvp: Vec<f64> = hessian.iter().map(|row| dot(row, &t)).collect();
    let one = f.select_at(&[chosen]).unwrap();

    let mut names: Option<Vec<_>> = None;
    for choices in Choices::all() {
        let ctx = &mut ();
        let mut found = Vec::new();
        let mut is = |derived: Result<Function<Op>, FunctionError>, more: &[f64], y: &[f64]| {
            let derived = derived.unwrap_or_else(|error| panic!("{choices:?}: {error}\nof\n{f}"));
            let results = call(&derived, &[x, more].concat());
            let scale = y.iter().fold(1.0, |most: f64, y| most.max(y.abs()));
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * scale;
            let same = results.len() == y.len() && results.iter().zip(y).all(close);
            assert!(
                same,
                "{choices:?} by {wrt:?}: {results:?}, not {y:?}\nof\n{f}\nis\n{derived}"
            );
            found.push((derived.input_names(), derived.output_names().to_vec()));
        };
        let value = &witness.value;
        is(
            choices.derive(f, ctx).jvp(wrt),
            &t,
            &[&value[..], &jvp].concat(),
        );
        is(
            choices.derive(f, ctx).vjp(wrt),
            &c,
            &[&value[..], &vjp].concat(),
        );
        is(
            choices.derive(f, ctx).jacobian(wrt),
            &[],
            &jacobian.concat(),
        );
        let gradient = &jacobian[chosen];
        is(choices.derive(&one, ctx).grad(wrt), &[], gradient);
        let both = [&value[chosen..=chosen], gradient].concat();
        is(choices.derive(&one, ctx).value_and_grad(wrt), &[], &both);
        is(
            choices.derive(&one, ctx).hessian(wrt),
            &[],
            &hessian.concat(),
        );
        is(choices.derive(&one, ctx).hvp(wrt), &t, &hvp);
        match &names {
            None => names = Some(found),
            Some(names) => assert_eq!(&found, names),
        }
    }
}

#[test]
fn both_ways_over_odd_operations() {
    let mut random = Random(0x0dd);
    for _ in 0..cases(250) {
        let (f, x) = random_function(&mut random);
        let witness = witness(&x, |x| over(&f, x));
        let wrt = some_of(&mut random, x.len());
        check(&function_of(&f), &x, &wrt, &witness, &mut random);
    }
}

#[test]
fn both_ways_over_scalars() {
    let mut random = Random(0x5ca1);
    for _ in 0..60 {
        let inputs = 1 + random.below(4);
        let x: Vec<f64> = (0..inputs).map(|_| 1.5 * random.unit()).collect();
        let mut number = |limit: usize| random.below(limit);
        let choices: Vec<_> = (0..10)
            .map(|at| {
                (
                    number(11),
                    number(inputs + at) as u16,
                    number(inputs + at) as u16,
                )
            })
            .collect();
        let outputs: Vec<u16> = (0..1 + number(4)).map(|_| number(12) as u16).collect();
        let f = tame_function(&x, &choices, &outputs);
        let witness = witness(&x, |x| f.over(x));
        let wrt = some_of(&mut random, x.len());
        check(&function_of(&f), &x, &wrt, &witness, &mut random);
    }
}

/// Functions with rules of their own, by nested dual numbers.
#[test]
fn both_ways_over_functions_with_rules_of_their_own() {
    let mut random = Random(0xc0de);
    let [x, y] = [[1.0, 0.0], [0.0, 1.0]];
    let (by_x, by_y) = (derivative(AT, &[x]), derivative(AT, &[y]));
    let second = [[x, x], [x, y], [y, x], [y, y]].map(|pair| derivative(AT, &pair));
    let witness = Witness {
        value: derivative(AT, &[]),
        jacobian: (0..2).map(|row| vec![by_x[row], by_y[row]]).collect(),
        hessian: (0..2)
            .map(|row| {
                let entries: Vec<f64> = second.iter().map(|entry| entry[row]).collect();
                entries.chunks(2).map(<[f64]>::to_vec).collect()
            })
            .collect(),
    };
    for (_, g) in forms() {
        for f in [calls(&g), nested(&g)] {
            for wrt in [&[0][..], &[1], &[0, 1], &[1, 0]] {
                check(&f, &AT, wrt, &witness, &mut random);
            }
        }
    }
}

/// What every transform says, by both ways: the names of what there is, or an error.
fn said(f: &Function<Odd>, wrt: &[usize]) -> Vec<[Result<Vec<String>, FunctionError>; 2]> {
    let mut all = Vec::new();
    for (mode, level) in MODES
        .into_iter()
        .flat_map(|mode| LEVELS.map(|level| (mode, level)))
    {
        let both = |transform: fn(Derive<'_, Odd>, &[usize]) -> Result<_, _>| {
            [false, true].map(|in_place| {
                let ctx = &mut ();
                let choices = Choices {
                    in_place,
                    level,
                    mode,
                };
                let derived = transform(choices.derive(f, ctx), wrt);
                derived.map(|derived: Function<Odd>| derived.output_names().to_vec())
            })
        };
        all.extend([
            both(|derive, wrt| derive.jvp(wrt)),
            both(|derive, wrt| derive.vjp(wrt)),
            both(|derive, wrt| derive.grad(wrt)),
            both(|derive, wrt| derive.value_and_grad(wrt)),
            both(|derive, wrt| derive.jacobian(wrt)),
            both(|derive, wrt| derive.hessian(wrt)),
            both(|derive, wrt| derive.hvp(wrt)),
        ]);
    }
    all
}

/// Without a one, a basis or a zero, both ways miss the same: so the same derivatives are symbolic zeros.
#[test]
fn both_ways_miss_the_same_numbers() {
    let mut random = Random(0x2e80);
    let mut kinds = [0; 4];
    for _ in 0..cases(60) {
        let (f, x) = random_function(&mut random);
        let f = function_of(&f);
        let wrt = some_of(&mut random, x.len());
        for supplies in [
            [true, true, false],
            [false, true, true],
            [true, false, true],
            [false; 3],
        ] {
            SUPPLIES.set(supplies);
            for [default, in_place] in said(&f, &wrt) {
                kinds[match &default {
                    Ok(_) => 0,
                    Err(FunctionError::NoZero { .. }) => 1,
                    Err(FunctionError::NoUnit { .. }) => 2,
                    Err(_) => 3,
                }] += 1;
                assert_eq!(default, in_place, "{supplies:?} by {wrt:?} of\n{f}");
            }
        }
        SUPPLIES.set([true; 3]);
    }
    let least = cases(100);
    assert!(kinds.iter().all(|&count| count > least), "{kinds:?}");
}

/// (x, y) ↦ (x·y, bad(x·y, x), y), and bad alone of it.
fn with_fault(fault: Fault) -> [Function<Odd>; 2] {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let product = f.apply(Odd::Mul, [x, y]);
    let bad = f.apply(Odd::Bad(fault), [product, x]);
    let sum = f.apply(Odd::Add, [bad, y]);
    let of = |outputs: &[usize]| function_of(&f.clone().returning(outputs));
    [of(&[product, sum, y]), of(&[sum])]
}

/// As text, without the numbers of local values: what is found in a graph of one operation has others.
fn without_ids(said: &Result<Vec<String>, FunctionError>) -> String {
    let text = match said {
        Ok(names) => names.join(" "),
        Err(error) => error.to_string(),
    };
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "%" + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

#[test]
fn both_ways_say_the_same_of_rules_that_are_wrong() {
    for fault in FAULTS {
        for f in with_fault(fault) {
            for wrt in [&[0][..], &[1], &[1, 0]] {
                let mut failed = 0;
                for [default, in_place] in said(&f, wrt) {
                    let [told, told_in_place] = [&default, &in_place].map(without_ids);
                    assert_eq!(told, told_in_place, "{fault:?} by {wrt:?}");
                    let unverified = |error: &FunctionError| {
                        matches!(error, FunctionError::Rule(ADRuleError::Unverified { .. }))
                    };
                    if !default.as_ref().is_err_and(unverified) {
                        assert_eq!(default, in_place, "{fault:?} by {wrt:?}");
                    }
                    failed += usize::from(matches!(
                        default,
                        Err(FunctionError::Rule(_)
                            | FunctionError::MissingRules { .. }
                            | FunctionError::Graph(_))
                    ));
                }
                assert!(failed > 0, "{fault:?}: no transform fails by {wrt:?}");
            }
        }
    }
}

/// What follows a value without a tangent is not differentiated, nor what no seed reaches.
#[test]
fn rules_that_are_not_needed_may_be_wrong() {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let step = f.apply(Odd::Floor, [x]);
    let both = f.apply(Odd::Three, [x, x]);
    let dead = f.apply(Odd::Bad(Fault::NoJvp), [step, both + 1]);
    let unused = f.apply(Odd::Bad(Fault::JvpFails), [y, dead]);
    let stairs = f.apply(Odd::Stairs, [y, x]);
    let also_dead = f.apply(Odd::Bad(Fault::NoTangents), [stairs, unused]);
    let f = function_of(&f.returning([both, dead, also_dead]));
    for choices in Choices::all() {
        let ctx = &mut ();
        let jacobian = choices.derive(&f, ctx).jacobian("x").unwrap();
        assert_eq!(call(&jacobian, &[1.5, 2.0]), [3.0, 0.0, 0.0]);
        let jvp = choices.derive(&f, ctx).jvp("x").unwrap();
        assert_eq!(call(&jvp, &[1.5, 2.0, 10.0])[3..], [30.0, 0.0, 0.0]);
        let vjp = choices.derive(&f, ctx).vjp("x").unwrap();
        assert_eq!(call(&vjp, &[1.5, 2.0, 10.0, 5.0, 5.0])[3..], [30.0]);
    }
}

/// By the default way, a rule is called once for all operations that are alike; in place, for each.
#[test]
fn how_often_rules_are_called() {
    let calls = |steps: usize, in_place: bool| {
        let (mut f, [x, y]) = Sketch::new(["x", "y"]);
        let last = (0..steps).fold(x, |v, _| {
            let both = f.apply(Odd::Turn, [v, y]);
            let product = f.apply(Odd::Mul, [both, both + 1]);
            f.apply(Odd::Stairs, [product, x])
        });
        let f = function_of(&f.returning([last]));
        let (level, mode) = (None, Some(Mode::Reverse));
        let choices = Choices {
            in_place,
            level,
            mode,
        };
        JVP_CALLS.set(0);
        TRANSPOSE_CALLS.set(0);
        choices.derive(&f, &mut ()).grad([0]).unwrap();
        (JVP_CALLS.get(), TRANSPOSE_CALLS.get())
    };
    // Turn by its first operand, Mul by both, Stairs by both. (Its product and the sum of two products.)
    assert_eq!(calls(10, false), (3, 4));
    assert_eq!(calls(1_000, false), (3, 4));
    assert_eq!(calls(10, true), (30, 40));
}

/// (x·y, ⌊x⌋ + ⌊y⌋, x - y) of (x + y, x - y), turned so often.
fn whirl(steps: usize) -> Function<Odd> {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let (x, y) = (0..steps).fold((x, y), |(x, y), _| {
        let turned = f.apply(Odd::Turn, [x, y]);
        (turned, turned + 1)
    });
    let three = f.apply(Odd::Three, [x, y]);
    let product = f.apply(Odd::Mul, [three, three + 2]);
    function_of(&f.returning([product]))
}

fn calls_of<R>(derive: impl FnOnce() -> R) -> (usize, R) {
    JVP_CALLS.set(0);
    TRANSPOSE_CALLS.set(0);
    let result = derive();
    (JVP_CALLS.get() + TRANSPOSE_CALLS.get(), result)
}

#[test]
fn a_second_derivation_calls_no_rule() {
    let f = whirl(3);
    let (calls, first) = calls_of(|| f.grad(..).unwrap());
    assert!(calls > 0);
    let again = |f: &Function<Odd>| calls_of(|| f.grad(..).unwrap());
    let (calls, second) = again(&f.clone());
    assert_eq!(calls, 0);
    assert_eq!(first.to_string(), second.to_string());
    assert_eq!(again(&f.select_at(&[0]).unwrap()).0, 0);
    // A function that is made anew has its own, unless it is told to share; a tape too.
    assert!(again(&whirl(3)).0 > 0);
    let derivatives = Derivatives::default();
    let (f, longer) = (whirl(3), whirl(30));
    let shared = |f: &Function<Odd>| f.within(&mut ()).sharing(&derivatives).grad(..).unwrap();
    let (calls, _) = calls_of(|| shared(&f));
    assert!(calls > 0);
    let (calls, gradient) = calls_of(|| shared(&longer));
    assert_eq!(calls, 0);
    // Derivatives hand it on: of a gradient, what is the same in it need not be derived again.
    let before = derivatives.counts();
    gradient.grad(0).unwrap_err();
    gradient.jvp(..).unwrap();
    let after = derivatives.counts();
    assert!(after.hits > before.hits);
    assert_eq!(after.evictions, 0);
    let (calls, ()) = calls_of(|| {
        let mut tape: Tape<Odd> = Tape::new(|| ScalarKey::from("t")).sharing(&derivatives);
        let (x, y) = (tape.leaf(2.0), tape.leaf(3.0));
        let turned = tape.apply(Odd::Turn, &[&x, &y]).unwrap();
        let product = tape.apply_one(Odd::Mul, &[&turned[0], &turned[1]]).unwrap();
        // x² - y²
        let gradients = tape.backward(&[(&product, 1.0)], &[&x, &y]).unwrap();
        assert_eq!(gradients, [Some(4.0), Some(-6.0)]);
    });
    assert_eq!(calls, 0);
}

/// What had to make room is derived anew, and nothing is ever taken for something else.
#[test]
fn derivatives_that_make_room() {
    for capacity in [0, 1, 2, 3, 100] {
        let derivatives = Derivatives::with_capacity(capacity);
        let (f, x) = (whirl(5), [0.3, 0.7]);
        let expected = call(&f.value_and_grad(..).unwrap(), &x);
        for _ in 0..3 {
            let derive = |mode| {
                let ctx = &mut ();
                let shared = f.within(ctx).sharing(&derivatives).mode(mode);
                shared.value_and_jacobian(..).unwrap()
            };
            for mode in [Mode::Forward, Mode::Reverse] {
                assert_close(&call(&derive(mode), &x), &expected);
            }
        }
        let counts = derivatives.counts();
        assert_eq!(counts.capacity, capacity.max(1));
        assert!(counts.entries <= counts.capacity, "{counts:?}");
        assert_eq!(counts.evictions > 0, capacity < 100, "{counts:?}");
        assert_eq!(counts.hits > 0, capacity == 100, "{counts:?}");
        derivatives.clear();
        assert_eq!(derivatives.counts().entries, 0);
    }
}

/// An operation set of linear operations whose addition takes so many operands, or makes so many
/// results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sum<const INPUTS: usize, const OUTPUTS: usize> {
    Add,
    Times(u8),
}

impl<const I: usize, const O: usize> GraphOperation for Sum<I, O> {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Sum::Add => I,
            Sum::Times(_) => 1,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Sum::Add => O,
            Sum::Times(_) => 1,
        }
    }
}

impl<const I: usize, const O: usize> Primitive for Sum<I, O> {
    type ADContext = ();

    fn add() -> Self {
        Sum::Add
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        _: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        (): &mut (),
    ) -> Ids {
        vec![dx[0].map(|dx| b.emit_linear(*self, [RuleOperand::Active(dx)]))]
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        _: &[PrimitiveValue<Self>],
        _: &OperationRole,
        (): &mut (),
    ) -> Ids {
        vec![ct[0].map(|ct| b.emit_linear(*self, [RuleOperand::Active(ct)]))]
    }
}

fn vjp_by_both_ways<const I: usize, const O: usize>() -> [Result<usize, FunctionError>; 2] {
    let f = Function::<Sum<I, O>>::build(["x"], |b, x| {
        let times = |k| (Sum::Times(k), vec![ValueRef::Local(x[0])]);
        let products = [2, 3].map(times).into_iter();
        let role = OperationRole::Primary;
        let products = products.map(|(op, x)| b.add_operation(op, x, role.clone())[0]);
        products.collect()
    });
    let f = f.unwrap();
    let operations = |f: Function<_>| f.as_dense().operation_count();
    [
        f.vjp(..).map(operations),
        f.within(&mut ()).in_place().vjp(..).map(operations),
    ]
}

#[test]
fn an_addition_that_is_none() {
    assert_eq!(vjp_by_both_ways::<2, 1>(), [Ok(5), Ok(5)]);
    let invalid = |inputs, outputs| {
        let op = "Add".into();
        let invalid = ADRuleError::InvalidAdd {
            op,
            inputs,
            outputs,
        };
        [Err(invalid.clone().into()), Err(invalid.into())]
    };
    assert_eq!(vjp_by_both_ways::<1, 1>(), invalid(1, 1));
    assert_eq!(vjp_by_both_ways::<3, 1>(), invalid(3, 1));
    assert_eq!(vjp_by_both_ways::<2, 2>(), invalid(2, 2));
    assert_eq!(vjp_by_both_ways::<2, 0>(), invalid(2, 0));
}

/// Σₖ xᵏ for k = 1, …, n, term by term.
fn powers(n: i32) -> Function<ScalarOp> {
    let f = Function::build(["x"], |b, x| {
        let mut apply = |op, operands: &[LocalValueId]| {
            let operands = operands.iter().copied().map(ValueRef::Local).collect();
            b.add_operation(op, operands, OperationRole::Primary)[0]
        };
        let terms: Vec<_> = (2..=n).map(|k| apply(ScalarOp::Powi(k), x)).collect();
        let sum = |sum, term| apply(ScalarOp::Add, &[sum, term]);
        vec![terms.into_iter().fold(x[0], sum)]
    });
    f.unwrap()
}

/// A hundred thousand different operations on one operand, whose cotangents are as many.
#[test]
fn a_hundred_thousand_powers_of_one_number() {
    on_small_stack(|| {
        let n = cases(100_000) as i32;
        let f = powers(n);
        assert_eq!(f.as_dense().operation_count(), 2 * n as usize - 2);
        // Σ k·xᵏ⁻¹ at 1, and at 1/2, where the rest is too small to be seen: 1 / (1 - x)².
        let sum = f64::from(n) * f64::from(n + 1) / 2.0;
        for mode in [Mode::Forward, Mode::Reverse] {
            let slope = f.within(&mut ()).mode(mode).grad("x").unwrap();
            assert_eq!(call(&slope, &[1.0]), [sum]);
            assert_close(&call(&slope, &[0.5]), &[4.0]);
        }
        let slope = powers(5_000).within(&mut ()).in_place().grad("x").unwrap();
        assert_eq!(call(&slope, &[1.0]), [5_000.0 * 5_001.0 / 2.0]);
    });
}

/// v = x; so many times v = v + y·sin v.
#[test]
fn a_million_operations_by_both_ways() {
    on_small_stack(|| {
        for (operations, in_place) in [(cases(1_000_000), false), (cases(150_000), true)] {
            let workload = tidu_testkit::chain(operations);
            let f = workload.function();
            let x: Dual<f64> = Dual {
                value: 0.3,
                tangent: 1.0,
            };
            let y = 1e-6;
            let v = (0..operations / 3).fold(x, |v, _| Dual {
                value: v.value + y * v.value.sin(),
                tangent: v.tangent + y * v.value.cos() * v.tangent,
            });
            for mode in [Mode::Forward, Mode::Reverse] {
                let (level, mode) = (Some(Exactness::Exact), Some(mode));
                let choices = Choices {
                    in_place,
                    level,
                    mode,
                };
                let slope = choices.derive(&f, &mut ()).value_and_grad([0]).unwrap();
                assert_close(&call(&slope, &[0.3, y]), &[v.value, v.tangent]);
            }
        }
    });
}

/// An operation of three results, seeded in every way there is, each way twice.
#[test]
fn every_way_of_seeding_has_a_vjp_of_its_own() -> Result<(), FunctionError> {
    let patterns: Vec<usize> = (1..8).chain(1..8).collect();
    let names: Vec<String> = (0..patterns.len()).map(|at| format!("x{at}")).collect();
    let f = Function::<Odd>::build(names.iter().map(String::as_str), |builder, x| {
        let mut apply = |op, operands: &[usize]| {
            let operands = operands.iter().map(|&id| ValueRef::Local(id)).collect();
            builder.add_operation(op, operands, OperationRole::Primary)
        };
        let mut terms = Vec::new();
        for (&x, pattern) in x.iter().zip(&patterns) {
            let results = apply(Odd::Twins, &[x]);
            terms.extend(
                (0..3)
                    .filter(|slot| pattern >> slot & 1 == 1)
                    .map(|slot| results[slot]),
            );
        }
        let sum = terms
            .into_iter()
            .reduce(|sum, term| apply(Odd::Add, &[sum, term])[0]);
        vec![sum.unwrap()]
    })?;
    let point: Vec<f64> = (0..patterns.len()).map(|at| 0.5 + at as f64).collect();
    let slopes = patterns.iter().zip(&point).map(|(pattern, x)| {
        let of_results = [3.0, 2.0 * x, 3.0];
        let seeded = (0..3).filter(|slot| pattern >> slot & 1 == 1);
        seeded.map(|slot| of_results[slot]).sum()
    });
    let expected: Vec<f64> = slopes.collect();
    for gradient in [
        f.grad(..)?,
        f.within(&mut ()).in_place().grad(..)?,
        f.within(&mut ()).unsimplified().grad(..)?,
    ] {
        assert_eq!(gradient.compile().call(&point)?, expected);
    }
    Ok(())
}
