//! Rules that are broken on purpose, one fault each, and the law that says so.

use std::sync::atomic::{AtomicU64, Ordering};

use tidu::graph::{
    EvaluableGraphOperation, GraphOperation, LocalValueId, Operands, OperationRole, ValueKey,
};
use tidu::laws::{Case, Law, LawReport, Laws, Random, SpecialPoint};
use tidu::scalar::ScalarKey;
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Linearity, Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleOperand::{self, Active, Fixed},
};

/// Operations that are right, and at the end those that are not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    /// By its bits.
    Constant(u64),
    Add,
    Sub,
    Mul,
    Neg,
    Exp,
    Sin,
    Cos,
    /// (x, x)
    Both,
    Broken(Fault),
}

/// An operation, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Fault {
    /// cos x: J·t = sin x · t
    WrongSign,
    /// x·y: J·t = y·t₀
    MissingTerm,
    /// x·y: the wrong factor of each product is marked active
    WrongMask,
    /// x·y: the products are not marked linear
    PrimalRole,
    /// x·y + z: J·t is a chain of two of itself, which doubles with every order
    Chained,
    /// x - y: J·t = t₁ - t₀
    SwappedTangents,
    /// x - y: Jᵀ·c = (-c, c)
    SwappedCotangents,
    /// -x: J·t = 1 - t
    Affine,
    /// -x: J·t = -t·t
    Quadratic,
    /// -x: J·t = -|t|, homogeneous for positive factors only
    Absolute,
    /// x·y: J·t is [`Fault::CubicMean`] of t, which is homogeneous
    Cubic,
    /// ∛(x³ + y³)
    CubicMean,
    /// 3·x, rounded down to a multiple of 1: linear in nothing, declared to be
    FalselyLinear,
    /// x·y: declared linear in both together
    FalselyJoint,
    /// x + y: declared linear in each alone
    FalselyEach,
    /// ∛(x³ + y³): declared linear in both together
    FalselyAdditive,
    /// -x: declared linear in nothing
    DeclaredNever,
    /// (x, x): Jᵀ·c = c₀
    ForgottenFanOut,
    /// -x: transposes to [`Fault::WrongBack`]
    WrongTwice,
    /// -x: Jᵀ·c = c
    WrongBack,
    /// x + y: with one tangent only, Jᵀ·c = -c
    WrongAlone,
    /// x + y: with one tangent only, a copy of it
    CopyAlone,
    /// x
    Copy,
    /// -x: J·t = k·t with k = -1 under another name each time
    ImpureRule,
    /// -x: J·t = k·t with k = [`Fault::Hidden`], another one each time
    ImpureHidden,
    /// -1, all printed alike
    Hidden(u64),
    /// -x: the transpose rule does as [`Fault::ImpureRule`]
    ImpureTranspose,
    /// The constant that [`Fault::ImpureRule`] names
    Named(u64),
    /// -x, and sometimes the next number
    ImpureEval,
    /// sin x: J·t = k·t with k = [`Fault::Opaque`]
    OpaqueSlope,
    /// cos x, without rules
    Opaque,
    /// -x: J·t is itself, without a transpose
    NoTranspose,
    /// eˣ, with rules down to order n
    Derivable(usize),
    /// x·y: a missing tangent is a zero to multiply
    WorkForNone,
    /// x·y: a missing tangent makes a missing result
    NothingForNone,
    /// x·y: cos x is emitted, and not used
    DeadWork,
    /// (x, x): a missing cotangent makes a missing result
    NothingForMissingCotangent,
    /// (x, x): a missing cotangent is a zero to add
    WorkForMissingCotangent,
    /// sin x: J·t = k·t with k = [`Fault::WrongSign`]
    WrongSecond,
    /// x·y: J·t has a coefficient x that passes for a constant
    CutSecond,
    /// x·y: Jᵀ·c has such coefficients
    CutTranspose,
    /// x, with the derivative 0
    Cut,
    /// |x|: J·t = t at 0
    Abs,
    /// ⌊x⌋: J·t = t
    Floor,
    /// x at 1, and not a number elsewhere: J·t = t
    Island,
    /// -x: the JVP rule panics
    Panicking,
    /// -x: the JVP rule returns nothing
    WrongCount,
    /// eˣ: wrong where x comes from a negation
    WrongAfterNeg,
    /// -x: rounded otherwise by `eval_into`
    OtherInto,
    /// -x: rounded otherwise by `eval_one`
    OtherOne,
}

use Fault::{
    Abs, Absolute, Affine, Chained, Copy, CopyAlone, Cubic, CubicMean, Cut, CutSecond,
    CutTranspose, DeadWork, DeclaredNever, Derivable, FalselyAdditive, FalselyEach, FalselyJoint,
    FalselyLinear, Floor, ForgottenFanOut, Hidden, ImpureEval, ImpureHidden, ImpureRule,
    ImpureTranspose, Island, MissingTerm, Named, NoTranspose, NothingForMissingCotangent,
    NothingForNone, Opaque, OpaqueSlope, OtherInto, OtherOne, Panicking, PrimalRole, Quadratic,
    SwappedCotangents, SwappedTangents, WorkForMissingCotangent, WorkForNone, WrongAfterNeg,
    WrongAlone, WrongBack, WrongCount, WrongMask, WrongSecond, WrongSign, WrongTwice,
};
use Op::{Add, Both, Broken, Constant, Cos, Exp, Mul, Neg, Sin, Sub};

/// Makes what is impure differ from call to call.
static CALLS: AtomicU64 = AtomicU64::new(0);

fn call() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed)
}

impl GraphOperation for Op {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Constant(_) | Broken(Named(_) | Hidden(_)) => 0,
            Add | Sub | Mul => 2,
            Broken(Chained) => 3,
            Broken(
                MissingTerm | WrongAlone | CopyAlone | FalselyAdditive | WrongMask | PrimalRole
                | SwappedTangents | SwappedCotangents | FalselyJoint | FalselyEach | Cubic
                | CubicMean | WorkForNone | NothingForNone | DeadWork | CutSecond | CutTranspose,
            ) => 2,
            _ => 1,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Both
            | Broken(ForgottenFanOut | WorkForMissingCotangent | NothingForMissingCotangent) => 2,
            _ => 1,
        }
    }

    fn fmt_name(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken(Hidden(_)) => f.write_str("Hidden"),
            shown => write!(f, "{shown:?}"),
        }
    }

    fn fmt_input_name(key: &ScalarKey, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(key, f)
    }
}

impl EvaluableGraphOperation for Op {
    fn eval_into(&self, ctx: &mut (), x: &[&f64], results: &mut Vec<f64>) {
        match self {
            Broken(OtherInto) => results.push((-x[0]).next_up()),
            _ => results.extend(self.eval(ctx, x)),
        }
    }

    fn eval_one(&self, _ctx: &mut (), x: &mut Operands<'_, f64>) -> Option<f64> {
        (*self == Broken(OtherOne)).then(|| (-x[0]).next_up())
    }

    fn eval(&self, _ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        vec![match self {
            Constant(bits) => f64::from_bits(*bits),
            Both
            | Broken(ForgottenFanOut | WorkForMissingCotangent | NothingForMissingCotangent) => {
                return vec![*x[0]; 2];
            }
            Add | Broken(FalselyEach | WrongAlone | CopyAlone) => x[0] + x[1],
            Sub | Broken(SwappedTangents | SwappedCotangents) => x[0] - x[1],
            Exp | Broken(Derivable(_) | WrongAfterNeg) => x[0].exp(),
            Sin | Broken(OpaqueSlope | WrongSecond) => x[0].sin(),
            Cos | Broken(WrongSign | Opaque) => x[0].cos(),
            Broken(Named(_) | Hidden(_)) => -1.0,
            Broken(Cut | Copy) => *x[0],
            Broken(CubicMean | FalselyAdditive) => (x[0].powi(3) + x[1].powi(3)).cbrt(),
            Broken(Abs) => x[0].abs(),
            Broken(Floor) => x[0].floor(),
            Broken(Island) if *x[0] == 1.0 => 1.0,
            Broken(Island) => f64::NAN,
            Broken(FalselyLinear) => (3.0 * x[0]).floor(),
            Broken(OtherInto | OtherOne) => -x[0],
            Broken(Chained) => x[0] * x[1] + x[2],
            Broken(ImpureEval) => f64::from_bits((-x[0]).to_bits() + call() % 2),
            _ if self.input_count() == 2 => x[0] * x[1],
            _ => -x[0],
        }]
    }
}

type Tangents = Vec<Option<LocalValueId>>;

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Add
    }

    fn linearity(&self) -> Linearity {
        match self {
            Broken(FalselyLinear | FalselyJoint | FalselyAdditive) => Linearity::Joint,
            Broken(DeclaredNever) => Linearity::Never,
            Broken(FalselyEach) => Linearity::Each,
            _ => Linearity::Undeclared,
        }
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> Tangents {
        self.try_jvp_rule(b, x, y, dx, ctx).unwrap()
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> ADRuleResult<Tangents> {
        let key = |key: &ValueKey<Self>| PrimitiveValue::External(key.clone());
        let of_x = |b: &mut _, op: Op| PrimitiveBuilder::emit_fixed(b, op, [key(&x[0])]);
        Ok(vec![match self {
            Constant(_) => None,
            Add | Broken(FalselyEach) => b.emit_sum([dx[0], dx[1]]),
            Sub | Broken(SwappedCotangents) => {
                let emitted = self.clone();
                difference(b, emitted, dx[0], dx[1])
            }
            Neg
            | Broken(
                ImpureTranspose | NoTranspose | WrongTwice | WrongBack | Copy | DeclaredNever,
            ) => linear(b, self.clone(), dx[0]),
            Both
            | Broken(ForgottenFanOut | WorkForMissingCotangent | NothingForMissingCotangent) => {
                let role = OperationRole::Linearized {
                    active_mask: vec![true],
                };
                let dx = PrimitiveValue::Local(dx[0].unwrap());
                let both = b.add_primitive(self.clone(), vec![dx], role);
                return Ok(vec![Some(both[0]), Some(both[1])]);
            }
            Mul | Broken(FalselyJoint) => product(b, &Mul, x, dx),
            Broken(CutTranspose) => product(b, self, x, dx),
            Exp => scale(b, key(&y[0]), dx[0]),
            Sin => {
                let slope = of_x(b, Cos);
                scale(b, slope, dx[0])
            }
            Cos => {
                let slope = of_x(b, Sin);
                let scaled = scale(b, slope, dx[0]);
                linear(b, Neg, scaled)
            }
            Broken(WrongSign) => {
                let slope = of_x(b, Sin);
                scale(b, slope, dx[0])
            }
            Broken(MissingTerm) => scale(b, key(&x[1]), dx[0]),
            Broken(WrongMask) => {
                let mut by = |at: usize| {
                    let operands = vec![PrimitiveValue::Local(dx[at]?), key(&x[1 - at])];
                    let role = OperationRole::Linearized {
                        active_mask: vec![false, true],
                    };
                    Some(b.add_primitive(Mul, operands, role)[0])
                };
                let terms = [by(0), by(1)];
                b.emit_sum(terms)
            }
            Broken(PrimalRole) => {
                let mut by = |at: usize| {
                    let operands = vec![PrimitiveValue::Local(dx[at]?), key(&x[1 - at])];
                    Some(b.add_primitive(Mul, operands, OperationRole::Primary)[0])
                };
                let terms = [by(0), by(1)];
                b.emit_sum(terms)
            }
            Broken(Chained) => {
                let mut chain = |c: usize, t: Option<_>, s: Option<_>| match (t, s) {
                    (Some(t), Some(s)) => {
                        let operands = [Fixed(key(&x[c])), Active(t), Active(s)];
                        Some(b.emit_linear(self.clone(), operands))
                    }
                    (t, s) => scale(b, key(&x[c]), t).or(s),
                };
                let by_x0 = chain(1, dx[0], dx[2]);
                chain(0, dx[1], by_x0)
            }
            Broken(SwappedTangents) => difference(b, Sub, dx[1], dx[0]),
            Broken(Affine) => {
                let one = b.emit_fixed(Constant(1.0_f64.to_bits()), []);
                let negated = linear(b, Neg, dx[0]);
                negated.map(|negated| b.emit_linear(Add, [Active(negated), Fixed(one)]))
            }
            Broken(Quadratic) => {
                let square = dx[0].map(|dx| b.emit_linear(Mul, [Active(dx), Active(dx)]));
                linear(b, Neg, square)
            }
            Broken(Absolute) => {
                let magnitude = linear(b, Broken(Abs), dx[0]);
                linear(b, Neg, magnitude)
            }
            Broken(Cubic) => match (dx[0], dx[1]) {
                (Some(t), Some(u)) => {
                    Some(b.emit_linear(Broken(CubicMean), [Active(t), Active(u)]))
                }
                (t, u) => t.or(u),
            },
            Broken(ImpureRule) => {
                let slope = b.emit_fixed(Broken(Named(call())), []);
                scale(b, slope, dx[0])
            }
            Broken(ImpureHidden) => {
                let slope = b.emit_fixed(Broken(Hidden(call())), []);
                scale(b, slope, dx[0])
            }
            Broken(WrongAlone) => match (dx[0], dx[1]) {
                (Some(_), Some(_)) => b.emit_sum([dx[0], dx[1]]),
                (t, u) => {
                    let negated = linear(b, Neg, t.or(u));
                    linear(b, Broken(WrongBack), negated)
                }
            },
            Broken(CopyAlone) => match (dx[0], dx[1]) {
                (Some(_), Some(_)) => b.emit_sum([dx[0], dx[1]]),
                (t, u) => linear(b, Broken(Copy), t.or(u)),
            },
            Broken(ImpureEval | OtherInto | OtherOne) => linear(b, Neg, dx[0]),
            Broken(OpaqueSlope) => {
                let slope = of_x(b, Broken(Opaque));
                scale(b, slope, dx[0])
            }
            Broken(Derivable(order)) if *order > 0 => {
                let slope = of_x(b, Broken(Derivable(order - 1)));
                scale(b, slope, dx[0])
            }
            Broken(WorkForNone) => {
                let dx = [0, 1].map(|at| Some(dx[at].unwrap_or_else(|| zero(b))));
                product(b, &Mul, x, &dx)
            }
            Broken(NothingForNone) => match (dx[0], dx[1]) {
                (Some(_), Some(_)) => product(b, &Mul, x, dx),
                _ => None,
            },
            Broken(DeadWork) => {
                of_x(b, Cos);
                product(b, &Mul, x, dx)
            }
            Broken(WrongSecond) => {
                let slope = of_x(b, Broken(WrongSign));
                scale(b, slope, dx[0])
            }
            Broken(CutSecond) => {
                let by_x = scale(b, key(&x[1]), dx[0]);
                let by_y = dx[1].and_then(|dy| {
                    let cut = of_x(b, Broken(Cut));
                    scale(b, cut, Some(dy))
                });
                b.emit_sum([by_x, by_y])
            }
            Broken(Abs | Floor | Island) => dx[0],
            Broken(FalselyLinear | FalselyAdditive | Cut | CubicMean | Named(_) | Hidden(_)) => {
                None
            }
            Broken(Panicking) => panic!("this rule was never written"),
            Broken(WrongCount) => return Ok(vec![]),
            Broken(WrongAfterNeg) => {
                let scaled = scale(b, key(&y[0]), dx[0]);
                match comes_from_neg(&x[0]) {
                    true => linear(b, Neg, scaled),
                    false => scaled,
                }
            }
            Broken(Opaque | Derivable(_)) => {
                let name = format!("{self:?}");
                return Err(ADRuleError::unsupported(name, ADRuleKind::Jvp));
            }
        }])
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> Tangents {
        self.try_linear_transpose_rule(b, ct, x, role, ctx).unwrap()
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        _ctx: &mut (),
    ) -> ADRuleResult<Tangents> {
        let OperationRole::Linearized { active_mask } = role else {
            panic!("{self:?} is not part of a linear map");
        };
        Ok(match (self, &active_mask[..]) {
            (Add, _) => vec![ct[0], ct[0]],
            (Sub, _) => vec![ct[0], linear(b, Neg, ct[0])],
            (Broken(SwappedCotangents), _) => vec![linear(b, Neg, ct[0]), ct[0]],
            (Mul, [true, false]) => vec![scale(b, x[1].clone(), ct[0]), None],
            (Mul, [false, true]) => vec![None, scale(b, x[0].clone(), ct[0])],
            (Broken(Chained), [true, false, _]) => {
                vec![scale(b, x[1].clone(), ct[0]), None, ct[0]]
            }
            (Broken(Chained), _) => vec![None, scale(b, x[0].clone(), ct[0]), ct[0]],
            (Neg | Broken(DeclaredNever), _) => vec![linear(b, Neg, ct[0])],
            (Broken(WrongTwice), _) => vec![linear(b, Broken(WrongBack), ct[0])],
            (Broken(WrongBack | Copy), _) => vec![ct[0]],
            (Both, _) => vec![b.emit_sum([ct[0], ct[1]])],
            (Broken(ForgottenFanOut), _) => vec![ct[0]],
            (Broken(NothingForMissingCotangent), _) => match (ct[0], ct[1]) {
                (Some(_), Some(_)) => vec![b.emit_sum([ct[0], ct[1]])],
                _ => vec![None],
            },
            (Broken(CutTranspose), _) => {
                let active = active_mask.iter().position(|active| *active).unwrap();
                let cut = b.emit_fixed(Broken(Cut), [x[1 - active].clone()]);
                let mut cotangents = vec![None, None];
                cotangents[active] = scale(b, cut, ct[0]);
                cotangents
            }
            (Broken(WorkForMissingCotangent), _) => {
                let terms = [0, 1].map(|at| Some(ct[at].unwrap_or_else(|| zero(b))));
                vec![b.emit_sum(terms)]
            }
            (Broken(ImpureTranspose), _) => {
                let slope = b.emit_fixed(Broken(Named(call())), []);
                vec![scale(b, slope, ct[0])]
            }
            _ => {
                let name = format!("{self:?}");
                return Err(ADRuleError::unsupported(name, ADRuleKind::Transpose));
            }
        })
    }
}

/// Whether a negation is the value, or its first operand, or the first operand of that, and so on.
fn comes_from_neg(mut key: &ValueKey<Op>) -> bool {
    while let ValueKey::Derived { operation, .. } = key {
        match (operation.operation(), operation.inputs()) {
            (Neg, _) => return true,
            (_, [first, ..]) => key = first,
            (_, []) => return false,
        }
    }
    false
}

fn zero(b: &mut impl PrimitiveBuilder<Op>) -> LocalValueId {
    b.add_primitive(Constant(0), vec![], OperationRole::Primary)[0]
}

fn scale(
    b: &mut impl PrimitiveBuilder<Op>,
    c: PrimitiveValue<Op>,
    t: Option<LocalValueId>,
) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(Mul, [RuleOperand::from(c), Active(t)]))
}

fn linear(
    b: &mut impl PrimitiveBuilder<Op>,
    op: Op,
    t: Option<LocalValueId>,
) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(op, [Active(t)]))
}

fn difference(
    b: &mut impl PrimitiveBuilder<Op>,
    op: Op,
    t: Option<LocalValueId>,
    u: Option<LocalValueId>,
) -> Option<LocalValueId> {
    match (t, u) {
        (Some(t), Some(u)) => Some(b.emit_linear(op, [Active(t), Active(u)])),
        (t, None) => t,
        (None, u) => linear(b, Neg, u),
    }
}

/// The two terms of the derivative of a product, by an operation that multiplies.
fn product(
    b: &mut impl PrimitiveBuilder<Op>,
    op: &Op,
    x: &[ValueKey<Op>],
    dx: &[Option<LocalValueId>],
) -> Option<LocalValueId> {
    let [x, y] = [&x[0], &x[1]].map(|key| Fixed(PrimitiveValue::External(key.clone())));
    let by_x = dx[0].map(|dx| b.emit_linear(op.clone(), [Active(dx), y]));
    let by_y = dx[1].map(|dy| b.emit_linear(op.clone(), [x, Active(dy)]));
    b.emit_sum([by_x, by_y])
}

fn laws() -> Laws<Op> {
    Laws::on_reals(|position| ScalarKey::fresh(position as u64))
}

fn draw(operation: &Op) -> impl Fn(&mut Random) -> Vec<f64> + Clone + use<> {
    let count = operation.input_count();
    move |random| random.many_between(count, 0.3, 1.9)
}

fn check(operation: Op) -> LawReport {
    let draw = draw(&operation);
    laws().operation(operation, draw).check()
}

/// The laws that an operation breaks are these, and no others.
#[track_caller]
fn assert_breaks(fault: Fault, laws: &[Law]) {
    let report = check(Broken(fault));
    let name = report.rows()[0].name.clone();
    assert_eq!(report.broken_by(&name), laws, "{report}");
}

/// The laws that an operation breaks are these among others: those that need what is missing.
#[track_caller]
fn assert_breaks_at_least(fault: Fault, laws: &[Law]) {
    let report = check(Broken(fault));
    let broken = report.broken_by(&report.rows()[0].name);
    assert!(laws.iter().all(|law| broken.contains(law)), "{report}");
}

#[test]
fn what_is_not_broken_passes() {
    for operation in [Add, Sub, Mul, Neg, Exp, Sin, Cos, Both] {
        check(operation).assert();
    }
}

#[test]
fn a_wrong_sign_breaks_the_jvp_law() {
    assert_breaks(WrongSign, &[Law::Jvp]);
}

#[test]
fn marks_stand_below_the_names_of_their_laws() {
    let text = check(Broken(WrongSign)).to_string();
    let (heading, row) = text.split_once('\n').unwrap();
    let row = row.lines().next().unwrap();
    for (name, at) in heading
        .split_whitespace()
        .map(|name| (name, heading.find(name).unwrap()))
    {
        let mark = row[at..].split(' ').next().unwrap();
        assert!(
            ["ok", "FAIL", ".", "-"].contains(&mark),
            "{name}: {mark}\n{text}"
        );
        assert!(row[..at].ends_with("  "), "{name}\n{text}");
    }
}

#[test]
fn a_missing_term_breaks_the_jvp_law() {
    assert_breaks(MissingTerm, &[Law::Jvp, Law::SecondOrder]);
}

#[test]
fn a_wrong_mask_breaks_the_declaration_law() {
    assert_breaks_at_least(WrongMask, &[Law::Declaration, Law::Transpose]);
}

#[test]
fn a_wrong_role_breaks_the_declaration_law() {
    assert_breaks_at_least(PrimalRole, &[Law::Declaration, Law::Transpose]);
}

#[test]
fn swapped_tangents_break_the_jvp_law() {
    assert_breaks_at_least(SwappedTangents, &[Law::Jvp]);
}

#[test]
fn swapped_cotangents_break_the_transpose_law() {
    assert_breaks_at_least(SwappedCotangents, &[Law::Transpose]);
}

#[test]
fn an_affine_map_breaks_the_linearity_law() {
    assert_breaks_at_least(Affine, &[Law::Linearity]);
    let report = check(Broken(Affine));
    let of_it = |failure: &&tidu::laws::Failure| failure.law == Law::Linearity;
    let failure = report.failures().iter().find(of_it).unwrap();
    assert_eq!(failure.message, "J·0 is not zero");
    assert_eq!((&*failure.expected, &*failure.found), ("0.0", "1.0"));
}

#[test]
fn maps_that_are_not_linear_break_the_linearity_law() {
    for (fault, complaint) in [
        (Quadratic, "J·(a·t) is not a·J·t"),
        (Absolute, "J·(a·t) is not a·J·t"),
        (Cubic, "J·(t + u) is not J·t + J·u"),
    ] {
        let report = check(Broken(fault));
        let of_it = |failure: &&tidu::laws::Failure| failure.law == Law::Linearity;
        let failure = report.failures().iter().find(of_it).unwrap();
        assert!(failure.message.starts_with(complaint), "{failure}");
    }
}

#[test]
fn a_forgotten_fan_out_breaks_the_transpose_law() {
    assert_breaks(ForgottenFanOut, &[Law::Transpose]);
}

#[test]
fn a_transpose_that_has_a_wrong_transpose_breaks_the_transpose_law() {
    assert_eq!(
        message(WrongTwice, Law::Transpose),
        "the transpose of the transpose is not J"
    );
}

#[test]
fn impurity_breaks_the_purity_law() {
    assert_breaks(ImpureRule, &[Law::Purity]);
    assert_breaks(ImpureHidden, &[Law::Purity]);
    assert_breaks(ImpureTranspose, &[Law::Purity]);
    assert_breaks(ImpureEval, &[Law::Purity]);
    assert_breaks(OtherInto, &[Law::Purity]);
    assert_breaks(OtherOne, &[Law::Purity]);
}

#[test]
fn a_missing_rule_breaks_the_closure_law() {
    assert_breaks_at_least(OpaqueSlope, &[Law::Closure]);
    assert_breaks_at_least(NoTranspose, &[Law::Transpose, Law::Closure]);
}

/// Which of the orders is the last that there is, is found out.
#[test]
fn closure_is_followed_to_the_order_that_is_asked_for() {
    assert_breaks(Derivable(2), &[Law::Closure]);
    assert_breaks(Derivable(3), &[]);
    let deeper = laws()
        .operation(Broken(Derivable(3)), |random| {
            random.many_between(1, 0.3, 1.9)
        })
        .order(4)
        .check();
    assert_eq!(deeper.broken_by("Broken(Derivable(3))"), [Law::Closure]);
    assert!(
        deeper.failures()[0]
            .message
            .ends_with("unsupported jvp AD rule for Broken(Derivable(0))"),
        "{deeper}"
    );
}

/// The numbers are right.
#[test]
fn derivatives_that_multiply_break_the_law_of_growth() {
    let message = message(Chained, Law::Growth);
    let start = "the derivatives of high order multiply, by operations of orders 1 to ";
    assert!(message.starts_with(start), "{message}");
}

#[test]
fn false_declarations_break_the_declaration_law() {
    for (fault, complaint) in [
        (FalselyJoint, "f(a·t) is not a·f(t)"),
        (FalselyAdditive, "f(t + u) is not f(t) + f(u)"),
        (FalselyEach, "not zero at zero"),
    ] {
        let report = check(Broken(fault));
        let of_it = |failure: &&tidu::laws::Failure| failure.law == Law::Declaration;
        let failure = report.failures().iter().find(of_it).unwrap();
        let start = "the operation is declared linear in operands [";
        assert!(failure.message.starts_with(start), "{failure}");
        assert!(failure.message.contains(complaint), "{failure}");
    }
    assert_breaks(FalselyJoint, &[Law::Declaration]);
    assert_breaks(FalselyEach, &[Law::Declaration]);
    assert_breaks_at_least(FalselyLinear, &[Law::Declaration]);
}

/// What is emitted must be declared, even where the numbers are right.
#[test]
fn what_is_emitted_undeclared_breaks_the_declaration_law() {
    assert_eq!(
        message(DeclaredNever, Law::Declaration),
        "the map of tangents is not well-formed"
    );
}

/// The message of the only law that an operation breaks.
#[track_caller]
fn message(fault: Fault, law: Law) -> String {
    let report = check(Broken(fault));
    let name = report.rows()[0].name.clone();
    assert_eq!(report.broken_by(&name), [law], "{report}");
    report.failures()[0].message.clone()
}

#[test]
fn needless_work_breaks_the_law_of_zeros() {
    for (fault, complaint) in [
        (CopyAlone, "work is emitted for what is missing"),
        (WorkForNone, "work is emitted for what is missing"),
        (
            WorkForMissingCotangent,
            "work is emitted for what is missing",
        ),
        (
            DeadWork,
            "with nothing missing: 1 operations are emitted whose results are not used",
        ),
    ] {
        let message = message(fault, Law::SymbolicZeros);
        assert!(message.ends_with(complaint), "{message}");
    }
}

#[test]
fn wrong_numbers_for_none_break_the_law_of_zeros() {
    assert_eq!(
        message(NothingForNone, Law::SymbolicZeros),
        "with tangents of inputs [0] only: J·t is not what zeros would give"
    );
    assert_eq!(
        message(NothingForMissingCotangent, Law::SymbolicZeros),
        "with cotangents of outputs [0] only: Jᵀ·c is not what zeros would give"
    );
    assert_eq!(
        message(WrongAlone, Law::SymbolicZeros),
        "with tangents of inputs [0] only: Jᵀ·c is not what zeros would give"
    );
}

#[test]
fn a_wrong_second_derivative_breaks_the_law_of_second_order() {
    for fault in [WrongSecond, CutSecond] {
        let message = message(fault, Law::SecondOrder);
        assert!(message.contains("is a wrong derivative"), "{message}");
    }
    let message = message(CutTranspose, Law::SecondOrder);
    assert!(message.ends_with("by forward over reverse"), "{message}");
}

#[test]
fn a_wrong_special_point_breaks_its_law() {
    let abs = |expected: f64| {
        let point = SpecialPoint::at([0.0])
            .value([0.0])
            .jvp([3.0], [3.0 * expected])
            .jvp([f64::NAN], [f64::NAN])
            .jvp([f64::INFINITY], [f64::INFINITY]);
        let case = Case::operation(Broken(Abs), draw(&Neg)).special(point);
        laws().case(case).check()
    };
    abs(1.0).assert();
    assert_eq!(abs(0.0).broken_by("Broken(Abs)"), [Law::SpecialPoints]);
    assert_eq!(abs(f64::NAN).broken_by("Broken(Abs)"), [Law::SpecialPoints]);
}

/// The second derivative is -1 at a regular point; it is to be so in all ways.
#[test]
fn a_wrong_second_derivative_at_a_special_point_breaks_its_law() {
    let cos = |operation: Op, expected: f64| {
        let point = SpecialPoint::at([0.0]).second([2.0], [3.0], [6.0 * expected]);
        let name = format!("{operation:?}");
        let case = Case::operation(operation, draw(&Neg)).special(point);
        laws().case(case).check().broken_by(&name)
    };
    assert_eq!(cos(Cos, -1.0), []);
    assert_eq!(cos(Cos, 1.0), [Law::SpecialPoints]);
    // One that only reverse mode has wrong.
    let product = |operation: Op| {
        let point = SpecialPoint::at([2.0, 3.0]).second([1.0, 0.0], [0.0, 1.0], [1.0]);
        let name = format!("{operation:?}");
        let case = Case::operation(operation, draw(&Mul)).special(point);
        laws()
            .case(case.without(Law::SecondOrder))
            .check()
            .broken_by(&name)
    };
    assert_eq!(product(Mul), []);
    assert_eq!(product(Broken(CutTranspose)), [Law::SpecialPoints]);
}

#[test]
fn a_law_can_be_left_out() {
    let case = Case::operation(Broken(WrongSign), draw(&Neg)).without(Law::Jvp);
    laws().case(case).check().assert();
}

/// A wrong derivative is told from a function that has none.
#[test]
fn the_verdict_goes_by_the_slope() {
    let message = |fault| {
        let report = check(Broken(fault));
        let failure = report.failures()[0].clone();
        assert_eq!(failure.law, Law::Jvp);
        failure.message
    };
    let wrong = message(WrongSign);
    assert!(wrong.contains("is a wrong derivative"), "{wrong}");
    let jump = Case::operation(Broken(Floor), |_| vec![2.0]);
    let report = laws().case(jump).check();
    let message = &report.failures()[0].message;
    assert!(message.contains("has no derivative here"), "{message}");
}

/// Where no step can be taken, nothing is proved.
#[test]
fn a_point_without_room_breaks_the_jvp_law() {
    let report = laws().operation(Broken(Island), |_| vec![1.0]).check();
    let failure = &report.failures()[0];
    assert_eq!(failure.law, Law::Jvp);
    let complaint = "the function is not finite a small step from this point";
    assert!(failure.message.starts_with(complaint), "{report}");
}

/// What a rule does by panicking, or returning nonsense, is a failure like others.
#[test]
fn panics_and_errors_are_told() {
    let first = |fault| check(Broken(fault)).failures()[0].message.clone();
    assert_eq!(
        first(Panicking),
        "a rule or an evaluation panicked: this rule was never written"
    );
    assert_eq!(
        first(WrongCount),
        "the jvp rule of Broken(WrongCount) must return 1 values, found 0"
    );
    let wrong = laws().operation(Mul, |random| random.many_between(3, 0.0, 1.0));
    let report = wrong.check();
    assert_eq!(
        report.failures()[0].message,
        "the wrong number of operands is drawn or listed"
    );
    let outside = laws().operation(Exp, |_| vec![f64::INFINITY]).check();
    assert!(outside.failures()[0].message.contains("not finite"));
}

/// A failure says everything, and prints it.
#[test]
fn a_failure_shows_point_numbers_and_graphs() {
    let report = laws()
        .operation(Broken(MissingTerm), |_| vec![2.0, 3.0])
        .check();
    let failure = &report.failures()[0];
    assert_eq!(
        (failure.law, &*failure.name),
        (Law::Jvp, "Broken(MissingTerm)")
    );
    assert_eq!(failure.point, ["#0 = 2.0", "#1 = 3.0"]);
    assert!(failure.directions[0].starts_with("t = "));
    let number = |text: &str| text.split(' ').next().unwrap().parse::<f64>().unwrap();
    let t: Vec<f64> = failure.directions[0][4..].split(", ").map(number).collect();
    assert_eq!(number(&failure.found), 3.0 * t[0]);
    assert!((number(&failure.expected) - 3.0 * t[0] - 2.0 * t[1]).abs() < 1e-9);
    assert_eq!(
        failure.primal,
        "function {\n    input %0 = #0\n    input %1 = #1\n    \
         %2 = \"Broken(MissingTerm)\" %0, %1\n    output %2 -> out0\n}"
    );
    assert!(failure.linear.contains("%2 = Mul @#1, ~%0"), "{failure}");
    assert!(
        failure.transposed.contains("output zero -> #1"),
        "{failure}"
    );
    let printed = report.to_string();
    for part in [
        &failure.message,
        "at #0 = 2.0",
        "expected ",
        "found ",
        "linear {",
    ] {
        assert!(printed.contains(part), "{printed}");
    }
}

/// An operation that goes wrong only after another one is found in random functions, and shown with
/// that one alone.
#[test]
fn compositions_shrink_to_the_smallest_that_fails() {
    let report = laws()
        .operations([Add, Mul], |random| random.many_between(2, -1.5, 1.5))
        .operations([Neg, Sin, Broken(WrongAfterNeg)], |random| {
            random.many_between(1, -1.5, 1.5)
        })
        .compositions(40, 10)
        .check();
    assert!(report.broken_by("Broken(WrongAfterNeg)").is_empty());
    assert!(
        report.broken_by("compositions").contains(&Law::Jvp),
        "{report}"
    );
    let of_jvp = |failure: &&tidu::laws::Failure| failure.law == Law::Jvp;
    let failure = report.failures().iter().find(of_jvp).unwrap();
    let lines: Vec<&str> = failure.primal.lines().map(str::trim).collect();
    assert_eq!(lines.len(), 6, "{failure}");
    assert!(lines[2].starts_with("%1 = Neg %0"), "{failure}");
    assert!(lines[3].contains("WrongAfterNeg"), "{failure}");
    assert!(lines[4].starts_with("output %2"), "{failure}");
    assert_eq!(failure.point.len(), 1);
}

/// The same for a function of the author's own.
#[test]
fn a_function_shrinks_too() {
    let function = tidu::Function::<Op>::build(["x", "y"], |b, inputs| {
        let mut apply = |op: Op, operands: &[usize]| {
            let operands = operands.iter().copied().map(tidu::graph::ValueRef::Local);
            b.add_operation(op, operands.collect(), OperationRole::Primary)[0]
        };
        let product = apply(Mul, &[inputs[0], inputs[1]]);
        let cos = apply(Broken(WrongSign), &[product]);
        let sum = apply(Add, &[cos, inputs[1]]);
        vec![apply(Sin, &[sum]), product]
    })
    .unwrap();
    let case = Case::function("f", function, |random| random.many_between(2, 0.3, 1.2));
    let report = laws().case(case).check();
    let broken = report.broken_by("f");
    assert_eq!(broken, [Law::Jvp, Law::SecondOrder], "{report}");
    let failure = &report.failures()[0];
    assert!(failure.message.contains("1 of 4 operations"), "{failure}");
    assert!(failure.primal.contains("WrongSign"), "{failure}");
}

/// Every way to make a function smaller is needed here: to end earlier, to make an input of what comes
/// first, to let an operand stand for what is between.
#[test]
fn a_part_in_the_middle_is_found() {
    let function = tidu::Function::<Op>::build(["x"], |b, inputs| {
        let mut apply = |op: Op, operand: usize| {
            let operand = vec![tidu::graph::ValueRef::Local(operand)];
            b.add_operation(op, operand, OperationRole::Primary)
        };
        let before = apply(Both, inputs[0])[1];
        let negated = apply(Neg, before)[0];
        let between = apply(Sin, negated)[0];
        let wrong = apply(Broken(WrongAfterNeg), between)[0];
        apply(Both, wrong)
    })
    .unwrap();
    let case = Case::function("f", function, |random| random.many_between(1, 0.3, 1.2));
    let report = laws().case(case).check();
    let failure = &report.failures()[0];
    assert_eq!(failure.law, Law::Jvp);
    let lines: Vec<&str> = failure.primal.lines().map(str::trim).collect();
    let [_, _, "%1 = Neg %0", wrong, "output %2 -> out0", "}"] = lines[..] else {
        panic!("{failure}");
    };
    assert_eq!(wrong, "%2 = \"Broken(WrongAfterNeg)\" %1");
}

#[test]
fn one_seed_gives_one_report() {
    let report = |seed| {
        let laws = laws().operations([Mul, Broken(MissingTerm)], draw(&Mul));
        laws.seed(seed).compositions(5, 5).check().to_string()
    };
    assert_eq!(report(7), report(7));
    assert_ne!(report(7), report(8));
}
