//! An operation set of the tests' own: operands are counted, rules count their calls, and some
//! operations go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidu_ad::{
    ADRuleError, ADRuleKind, ADRuleResult, Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleOperand::Active,
};
use tidu_eager::{KeySource, Tape, Var};
use tidu_graph::{EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey};
use tidu_scalar::ScalarKey;

/// How many operands of a kind there are, and were at most.
#[derive(Debug, Default)]
pub struct Census {
    live: AtomicUsize,
    peak: AtomicUsize,
}

impl Census {
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

/// A number that is counted while it lives.
#[derive(Debug)]
pub struct Counted {
    pub value: f64,
    pub census: Arc<Census>,
}

impl Counted {
    pub fn new(value: f64, census: &Arc<Census>) -> Self {
        let live = census.live.fetch_add(1, Ordering::Relaxed) + 1;
        census.peak.fetch_max(live, Ordering::Relaxed);
        Self {
            value,
            census: Arc::clone(census),
        }
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.value, &self.census)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Own {
    Add,
    Mul,
    Sin,
    Cos,
    Neg,
    /// c·x
    Scale(i64),
    /// (x·y, x + y, 7): the last does not depend on anything.
    Three,
    /// x, with a JVP of ẋ that only `eval` of this many results is asked of
    Returns(usize),
    /// x, whose tangent is computed by [`Returns`](Self::Returns) of this many results
    TangentReturns(usize),
    /// x, without a JVP rule
    NoJvp,
    /// x, with a tangent that cannot be transposed
    NoTranspose,
    /// x, with a JVP rule that returns two tangents
    TwoTangents,
    /// x, with a transpose rule that returns no cotangents
    NoCotangents,
    /// x, if it is positive; panics otherwise
    Panics,
    /// x, whose tangent is computed by [`Panics`](Self::Panics)
    TangentPanics,
    /// x + y, with a JVP rule that fails if only one of them is active
    BothOrNone,
    /// no results
    Sink,
}

/// How often JVP rules and transpose rules were called.
#[derive(Clone, Default)]
pub struct RuleCalls(Arc<[AtomicUsize; 2]>);

impl RuleCalls {
    pub fn get(&self) -> [usize; 2] {
        [0, 1].map(|at: usize| self.0[at].load(Ordering::Relaxed))
    }
}

impl GraphOperation for Own {
    type Operand = Counted;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Self::Add | Self::Mul | Self::Three | Self::BothOrNone => 2,
            _ => 1,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Self::Three => 3,
            Self::Sink => 0,
            _ => 1,
        }
    }
}

impl EvaluableGraphOperation for Own {
    fn eval(&self, (): &mut (), x: &[&Counted]) -> Vec<Counted> {
        let census = &x[0].census;
        let v = x[0].value;
        let one = |value| vec![Counted::new(value, census)];
        match self {
            Self::Add | Self::BothOrNone => one(v + x[1].value),
            Self::Mul => one(v * x[1].value),
            Self::Sin => one(v.sin()),
            Self::Cos => one(v.cos()),
            Self::Neg => one(-v),
            Self::Scale(c) => one(*c as f64 * v),
            Self::Three => {
                let w = x[1].value;
                [v * w, v + w, 7.0]
                    .map(|value| Counted::new(value, census))
                    .into()
            }
            Self::Returns(count) => (0..*count).flat_map(|_| one(v)).collect(),
            Self::Panics => {
                assert!(v > 0.0, "not positive");
                one(v)
            }
            Self::Sink => Vec::new(),
            _ => one(v),
        }
    }
}

type Tangents = Vec<Option<LocalValueId>>;

impl Primitive for Own {
    type ADContext = RuleCalls;

    fn add() -> Self {
        Self::Add
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut RuleCalls,
    ) -> Tangents {
        self.try_jvp_rule(b, x, y, dx, ctx).expect("a rule")
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut RuleCalls,
    ) -> ADRuleResult<Tangents> {
        ctx.0[0].fetch_add(1, Ordering::Relaxed);
        let x = |at: usize| PrimitiveValue::External(x[at].clone());
        let product = |b: &mut _| {
            let terms = [(1, dx[0]), (0, dx[1])].map(|(other, dx)| scale(b, x(other), dx));
            b_sum(b, terms)
        };
        Ok(match self {
            Self::Add => vec![b.emit_sum([dx[0], dx[1]])],
            Self::Mul => vec![product(b)],
            Self::Three => vec![product(b), b.emit_sum([dx[0], dx[1]]), None],
            Self::Sin => {
                let cos = b.emit_fixed(Self::Cos, [x(0)]);
                vec![scale(b, cos, dx[0])]
            }
            Self::Cos => {
                let sin = b.emit_fixed(Self::Sin, [x(0)]);
                let product = scale(b, sin, dx[0]);
                vec![linear(b, &Self::Neg, product)]
            }
            Self::BothOrNone if dx.contains(&None) => {
                return Err(ADRuleError::unsupported("half", ADRuleKind::Jvp));
            }
            Self::BothOrNone => vec![b.emit_sum([dx[0], dx[1]])],
            Self::NoJvp => return Err(ADRuleError::unsupported("no-jvp", ADRuleKind::Jvp)),
            Self::TangentReturns(count) => vec![linear(b, &Self::Returns(*count), dx[0])],
            Self::TangentPanics => vec![linear(b, &Self::Panics, dx[0])],
            Self::TwoTangents => vec![dx[0], dx[0]],
            Self::Sink => vec![],
            _ => vec![linear(b, self, dx[0])],
        })
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut RuleCalls,
    ) -> Tangents {
        self.try_linear_transpose_rule(b, ct, x, role, ctx)
            .expect("a rule")
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut RuleCalls,
    ) -> ADRuleResult<Tangents> {
        ctx.0[1].fetch_add(1, Ordering::Relaxed);
        let OperationRole::Linearized { active_mask } = role else {
            panic!("only linear operations are transposed");
        };
        Ok(match self {
            Self::Add => vec![ct[0], ct[0]],
            Self::Mul if active_mask[0] => vec![scale(b, x[1].clone(), ct[0]), None],
            Self::Mul => vec![None, scale(b, x[0].clone(), ct[0])],
            Self::NoTranspose => {
                let rule = ADRuleKind::Transpose;
                return Err(ADRuleError::unsupported("no-transpose", rule));
            }
            Self::NoCotangents => vec![],
            _ => vec![linear(b, self, ct[0])],
        })
    }
}

fn b_sum(
    b: &mut impl PrimitiveBuilder<Own>,
    terms: [Option<LocalValueId>; 2],
) -> Option<LocalValueId> {
    b.emit_sum(terms)
}

fn linear(
    b: &mut impl PrimitiveBuilder<Own>,
    operation: &Own,
    t: Option<LocalValueId>,
) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(operation.clone(), [Active(t)]))
}

fn scale(
    b: &mut impl PrimitiveBuilder<Own>,
    c: PrimitiveValue<Own>,
    t: Option<LocalValueId>,
) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(Own::Mul, [Active(t), c.into()]))
}

pub type OwnTape = Tape<Own>;
pub type OwnVar = Var<Own>;

struct OwnNames;

impl KeySource<Own> for OwnNames {
    fn fresh_input_key(&mut self) -> ScalarKey {
        ScalarKey::fresh(1)
    }
}

/// A tape, a census for its operands, and the calls of its rules.
pub fn own_tape() -> (OwnTape, Arc<Census>, RuleCalls) {
    let calls = RuleCalls::default();
    let tape = Tape::with_contexts(OwnNames, (), calls.clone());
    (tape, Arc::default(), calls)
}

/// The numbers that gradients are.
pub fn numbers(gradients: &[Option<Counted>]) -> Vec<Option<f64>> {
    let gradients = gradients.iter();
    gradients
        .map(|gradient| gradient.as_ref().map(|gradient| gradient.value))
        .collect()
}
