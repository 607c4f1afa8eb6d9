//! An operation set that lacks rules and misuses the library: what is missing is listed, what is wrong
//! is an error.

use tidu::graph::{
    EvaluableGraphOperation, GraphError, GraphOperation, LocalValueId, OperationRole, ValueKey,
};
use tidu::scalar::ScalarKey;
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Composite, Function, FunctionError, MissingRule, Mode,
    Primitive, PrimitiveBuilder, PrimitiveValue, RuleOperand::Active, Rules, Way,
};
use tidu_testkit::apply;

type F = Function<Own>;
type Ids = Vec<Option<LocalValueId>>;

/// An operation set with gaps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Own {
    Add,
    Mul,
    Number(u8),
    /// The zero of the space of its operand.
    ZeroOf,
    /// Has no JVP.
    Opaque(&'static str),
    /// Linear, says its JVP; has no transpose.
    OneWay(&'static str),
    /// Has a JVP that fails for a reason of its own.
    Broken,
    Composite(Composite<Own>),
}

#[derive(Clone, Copy, Debug, Default)]
enum Supply {
    #[default]
    Missing,
    Number(u8),
    /// Made of the value that it is to be like.
    OfValue,
    /// An id that nobody made.
    Foreign,
    /// What an operation with an operand too few would give.
    WrongArity,
}

#[derive(Default)]
struct Context {
    one: Supply,
    basis: Supply,
    zero: Supply,
    /// How often each rule was called.
    jvps: usize,
    transposes: usize,
}

impl Supply {
    fn emit(
        self,
        b: &mut impl PrimitiveBuilder<Own>,
        like: &ValueKey<Own>,
    ) -> Option<LocalValueId> {
        let like = PrimitiveValue::External(like.clone());
        let (op, operands) = match self {
            Supply::Missing => return None,
            Supply::Foreign => return Some(1000),
            Supply::Number(n) => (Own::Number(n), vec![]),
            Supply::OfValue => (Own::ZeroOf, vec![like]),
            Supply::WrongArity => (Own::Add, vec![like]),
        };
        let ids = b.add_primitive(op, operands, OperationRole::Primary);
        Some(ids[0])
    }
}

impl GraphOperation for Own {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Own::Add | Own::Mul => 2,
            Own::Number(_) => 0,
            Own::ZeroOf | Own::Opaque(_) | Own::OneWay(_) | Own::Broken => 1,
            Own::Composite(function) => function.input_count(),
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Own::Composite(function) => function.output_count(),
            _ => 1,
        }
    }
}

impl EvaluableGraphOperation for Own {
    fn eval(&self, ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        match self {
            Own::Add => vec![x[0] + x[1]],
            Own::Mul => vec![x[0] * x[1]],
            Own::Number(n) => vec![f64::from(*n)],
            Own::ZeroOf => vec![0.0],
            Own::Opaque(_) | Own::OneWay(_) | Own::Broken => vec![*x[0]],
            Own::Composite(function) => function.eval(ctx, x),
        }
    }
}

impl Primitive for Own {
    type ADContext = Context;

    fn add() -> Self {
        Own::Add
    }

    fn one_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        ctx: &mut Context,
    ) -> Option<LocalValueId> {
        ctx.one.emit(b, like)
    }

    fn basis_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        ctx: &mut Context,
    ) -> Option<LocalValueId> {
        ctx.basis.emit(b, like)
    }

    fn zero_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        ctx: &mut Context,
    ) -> Option<LocalValueId> {
        ctx.zero.emit(b, like)
    }

    fn composite(function: Composite<Self>) -> Option<Self> {
        match function.name() {
            "refused" => None,
            _ => Some(Own::Composite(function)),
        }
    }

    fn as_composite(&self) -> Option<&Composite<Self>> {
        match self {
            Own::Composite(function) => Some(function),
            _ => None,
        }
    }

    fn jvp_rule(
        &self,
        _b: &mut impl PrimitiveBuilder<Self>,
        _x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        _dx: &[Option<LocalValueId>],
        _ctx: &mut Context,
    ) -> Ids {
        unreachable!("the fallible form is called")
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut Context,
    ) -> ADRuleResult<Ids> {
        ctx.jvps += 1;
        match self {
            Own::Add => Ok(vec![b.emit_sum([dx[0], dx[1]])]),
            Own::Mul => {
                let by = |b: &mut _, dx: Option<LocalValueId>, other: &ValueKey<Self>| {
                    let other = other.clone();
                    let emit = |dx| linear(b, Own::Mul, [Active(dx), other.into()]);
                    dx.map(emit)
                };
                let terms = [by(b, dx[0], &x[1]), by(b, dx[1], &x[0])];
                Ok(vec![b.emit_sum(terms)])
            }
            Own::OneWay(_) => Ok(vec![dx[0].map(|dx| linear(b, self.clone(), [Active(dx)]))]),
            Own::Broken => Err(ADRuleError::runtime(std::fmt::Error, ADRuleKind::Jvp)),
            Own::Composite(function) => function.try_jvp_rule(b, x, dx, ctx),
            Own::Number(_) | Own::ZeroOf => Ok(vec![None]),
            Own::Opaque(name) => Err(ADRuleError::unsupported(*name, ADRuleKind::Jvp)),
        }
    }

    fn transpose_rule(
        &self,
        _b: &mut impl PrimitiveBuilder<Self>,
        _ct: &[Option<LocalValueId>],
        _x: &[PrimitiveValue<Self>],
        _role: &OperationRole,
        _ctx: &mut Context,
    ) -> Ids {
        unreachable!("the fallible form is called")
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut Context,
    ) -> ADRuleResult<Ids> {
        ctx.transposes += 1;
        let first = matches!(role, OperationRole::Linearized { active_mask } if active_mask[0]);
        let mut by = |x: &PrimitiveValue<Self>| {
            ct[0].map(|ct| linear(b, Own::Mul, [x.clone().into(), Active(ct)]))
        };
        match self {
            Own::Add => Ok(vec![ct[0], ct[0]]),
            Own::Mul if first => Ok(vec![by(&x[1]), None]),
            Own::Mul => Ok(vec![None, by(&x[0])]),
            Own::OneWay(name) => Err(ADRuleError::unsupported(*name, ADRuleKind::Transpose)),
            Own::Composite(function) => function.try_linear_transpose_rule(b, ct, x, ctx),
            other => panic!("{other:?} stands in no linear map"),
        }
    }
}

fn linear<const N: usize>(
    b: &mut impl PrimitiveBuilder<Own>,
    op: Own,
    operands: [tidu::RuleOperand<Own>; N],
) -> LocalValueId {
    b.emit_linear(op, operands)
}

/// A set that has all units.
fn full() -> Context {
    Context {
        one: Supply::Number(1),
        basis: Supply::Number(1),
        zero: Supply::Number(0),
        ..Context::default()
    }
}

/// Operations one after the other, from an input x on, beside an input z.
fn chain(ops: &[Own]) -> F {
    let build = |b: &mut tidu::graph::GraphBuilder<Own>, x: &[LocalValueId]| {
        let step = |v: LocalValueId, op: &Own| {
            let operands = vec![v; op.input_count()];
            apply(b, op.clone(), &operands)[0]
        };
        vec![ops.iter().fold(x[0], step)]
    };
    F::build(["x", "z"], build).unwrap()
}

fn missing(rules: &[(&str, ADRuleKind)]) -> Vec<MissingRule> {
    let rules = rules.iter().map(|&(op, rule)| MissingRule {
        op: op.into(),
        rule,
    });
    rules.collect()
}

const JVP: ADRuleKind = ADRuleKind::Jvp;
const TRANSPOSE: ADRuleKind = ADRuleKind::Transpose;

fn gaps() -> F {
    use Own::{Add, Mul, OneWay, Opaque};
    chain(&[
        OneWay("first"),
        Mul,
        Opaque("second"),
        OneWay("third"),
        Add,
        Opaque("fourth"),
        Opaque("second"),
        OneWay("third"),
        OneWay("fifth"),
    ])
}

#[test]
fn all_missing_rules_are_listed_once_in_order() {
    let f = gaps();
    let forward = missing(&[("second", JVP), ("fourth", JVP)]);
    let backward = [
        ("fifth", TRANSPOSE),
        ("third", TRANSPOSE),
        ("first", TRANSPOSE),
    ];
    let reverse = [&forward[..], &missing(&backward)].concat();
    assert_eq!(f.missing_rules("x", Mode::Forward).unwrap(), forward);
    assert_eq!(f.missing_rules("x", Mode::Reverse).unwrap(), reverse);
    assert_eq!(f.missing_rules(.., Mode::Reverse).unwrap(), reverse);
    assert_eq!(f.missing_rules("z", Mode::Reverse).unwrap(), []);
    assert!(matches!(
        f.missing_rules("q", Mode::Forward).unwrap_err(),
        FunctionError::UnknownInput { .. }
    ));

    let ctx = &mut full();
    for derived in [
        f.within(ctx).jvp("x"),
        f.within(ctx).jvp(..),
        f.within(ctx).jvp_to_order(3, "x"),
        f.within(ctx).linearize("x").map(|split| split.linear),
        f.within(ctx).grad("x"),
        f.within(ctx).jacobian("x"),
        f.within(ctx).mode(Mode::Forward).grad("x"),
        f.within(ctx).hessian("x"),
    ] {
        let missing = forward.clone();
        assert_eq!(
            derived.unwrap_err(),
            FunctionError::MissingRules { missing }
        );
    }
    for derived in [
        f.within(ctx).vjp("x"),
        f.within(ctx).grad(..),
        f.within(ctx).value_and_grad(..),
        f.within(ctx).hvp(..),
        f.within(ctx).jacobian(..),
        f.within(ctx).mode(Mode::Reverse).jacobian("x"),
    ] {
        let missing = reverse.clone();
        assert_eq!(
            derived.unwrap_err(),
            FunctionError::MissingRules { missing }
        );
    }
    let error = f.vjp("x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the derivative needs rules that are not there: jvp of second, jvp of fourth, \
         transpose of fifth, transpose of third, transpose of first"
    );
}

#[test]
fn nothing_missing_is_an_empty_list() {
    let f = chain(&[Own::Mul, Own::Add, Own::OneWay("w")]);
    assert_eq!(f.missing_rules("x", Mode::Forward).unwrap(), []);
    assert_eq!(
        f.missing_rules("x", Mode::Reverse).unwrap(),
        missing(&[("w", TRANSPOSE)])
    );
    let f = chain(&[Own::Mul, Own::Add]);
    assert_eq!(f.missing_rules(.., Mode::Reverse).unwrap(), []);
    // At 3: y = 2x² is 18, its derivative 12.
    let gradient = f.within(&mut full()).grad("x").unwrap();
    assert_eq!(gradient.compile().call(&[3.0, 0.0]).unwrap(), [12.0]);
}

#[test]
fn transposes_of_functions_list_them_too() {
    let f = chain(&[Own::OneWay("w"), Own::Add, Own::OneWay("v")]);
    let error = f.within(&mut full()).transpose("x").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("transpose") && text.contains('v'), "{text}");
}

#[test]
fn other_errors_remain_what_they_are() {
    let f = chain(&[Own::Opaque("o"), Own::Broken]);
    for error in [
        f.missing_rules("x", Mode::Forward).unwrap_err(),
        f.missing_rules("x", Mode::Reverse).unwrap_err(),
        chain(&[Own::Broken]).jvp("x").unwrap_err(),
    ] {
        assert!(
            matches!(&error, FunctionError::Rule(ADRuleError::Runtime { source, .. })
                if source.downcast_ref::<std::fmt::Error>().is_some()),
            "{error}"
        );
    }
    // What comes first is reported where not everything can be.
    let error = f.jvp("x").unwrap_err();
    assert!(matches!(
        error,
        FunctionError::Rule(ADRuleError::Unsupported { .. })
    ));
}

#[test]
fn rules_of_what_is_not_active_are_not_called() {
    let f = gaps();
    let mut ctx = full();
    assert!(f.within(&mut ctx).jvp("z").is_ok());
    assert!(f.within(&mut ctx).vjp("z").is_ok());
    assert!(f.within(&mut ctx).grad("z").is_ok());
    assert!(f.within(&mut ctx).missing_rules("z", Mode::Reverse).is_ok());
    assert_eq!((ctx.jvps, ctx.transposes), (0, 0));
    // A list takes each rule once, like a derivative.
    let f = chain(&[Own::Mul, Own::Add, Own::Mul]);
    f.within(&mut ctx)
        .missing_rules("x", Mode::Forward)
        .unwrap();
    assert_eq!((ctx.jvps, ctx.transposes), (3, 0));
}

/// Units that are no use: in every transform that asks for them.
#[test]
fn malformed_units_are_refused() {
    let f = chain(&[Own::Mul]);
    let arity = |error: &FunctionError| {
        matches!(
            error,
            FunctionError::Rule(ADRuleError::InvalidEmission {
                source: GraphError::WrongArity {
                    expected: 2,
                    found: 1,
                    ..
                },
                ..
            })
        )
    };
    let foreign = |error: &FunctionError| {
        matches!(
            error,
            FunctionError::Rule(ADRuleError::UnknownRuleValue { id: 1000, .. })
        )
    };
    type Check<'a> = &'a dyn Fn(&FunctionError) -> bool;
    let checks: [(Supply, Check); 2] = [(Supply::WrongArity, &arity), (Supply::Foreign, &foreign)];
    for (bad, check) in checks {
        let with = |one, basis, zero| Context {
            one,
            basis,
            zero,
            ..Context::default()
        };
        let good = Supply::Number(1);
        let mut zero = with(good, good, bad);
        let mut basis = with(good, bad, good);
        let mut one = with(bad, good, good);
        let mut only_one = with(bad, Supply::Missing, good);
        let errors = [
            f.within(&mut one).grad(..),
            f.within(&mut one).mode(Mode::Reverse).grad("x"),
            f.within(&mut only_one).grad("x"),
            f.within(&mut one).value_and_grad(..),
            f.within(&mut one).hvp(..),
            f.within(&mut basis).mode(Mode::Forward).grad("x"),
            f.within(&mut basis).jacobian("x"),
            f.within(&mut basis).jacobian(..),
            f.within(&mut basis).hessian(..),
            f.within(&mut zero).jvp("z"),
            f.within(&mut zero).vjp("z"),
            f.within(&mut zero).vjp(..),
            f.within(&mut zero).grad("z"),
            f.within(&mut zero).linearize("z").map(|split| split.primal),
            f.within(&mut zero).jvp_to_order(2, "z"),
            f.within(&mut zero).transpose("z"),
        ];
        for (at, derived) in errors.into_iter().enumerate() {
            let error = derived.unwrap_err();
            assert!(check(&error), "{bad:?}, {at}: {error}");
            assert_eq!(error.to_string().lines().count(), 1);
        }
        // Whatever is not asked for does no harm.
        assert!(f.within(&mut zero).grad("x").is_ok());
        assert!(f.within(&mut basis).grad("x").is_ok());
        assert!(f.within(&mut one).jacobian("x").is_ok());
    }
}

/// A set with a one and no basis, as that of complex numbers, goes backward for a gradient.
#[test]
fn without_a_basis_gradients_go_backward() {
    let f = chain(&[Own::Mul]);
    let mut ctx = Context {
        basis: Supply::Missing,
        ..full()
    };
    let gradient = f.within(&mut ctx).grad("x").unwrap();
    assert_eq!(gradient.compile().call(&[3.0, 0.0]).unwrap(), [6.0]);
    assert!(ctx.transposes > 0);
    let mut ctx = full();
    let gradient = f.within(&mut ctx).grad("x").unwrap();
    assert_eq!(gradient.compile().call(&[3.0, 0.0]).unwrap(), [6.0]);
    assert_eq!(ctx.transposes, 0, "forward where that is known to be real");
}

fn of(
    inputs: &[&'static str],
    build: impl Fn(&mut dyn FnMut(Own, &[usize]) -> usize) -> Vec<usize>,
) -> F {
    F::build(inputs.iter().copied(), |b, _| {
        build(&mut |op, operands| apply(b, op, operands)[0])
    })
    .unwrap()
}

/// (x·y, x + y), whose VJP is not linear: x̄ = y·c·c + d·d, ȳ = x·c·c + d·d.
fn squaring() -> F {
    let f = of(&["x", "y"], |op| {
        vec![op(Own::Mul, &[0, 1]), op(Own::Add, &[0, 1])]
    });
    let vjp = of(&["x", "y", "c", "d"], |op| {
        let [cc, dd] = [op(Own::Mul, &[2, 2]), op(Own::Mul, &[3, 3])];
        let [by_x, by_y] = [op(Own::Mul, &[1, cc]), op(Own::Mul, &[0, cc])];
        vec![op(Own::Add, &[by_x, dd]), op(Own::Add, &[by_y, dd])]
    });
    f.with_rules("squaring", Rules::vjp(vjp)).unwrap()
}

/// A cotangent that is not there is made, where the VJP cannot do without: of whichever kind of zero
/// the operation set has.
#[test]
fn zeros_for_outputs_that_are_not_used() {
    let f = squaring().select_at(&[0]).unwrap();
    for zero in [Supply::Number(0), Supply::OfValue] {
        let mut ctx = Context { zero, ..full() };
        let vjp = f.within(&mut ctx).vjp(..).unwrap();
        // At (2, 3) with c = 5: 3·25, 2·25.
        let found = vjp.compile().call(&[2.0, 3.0, 5.0]).unwrap();
        assert_eq!(found, [6.0, 75.0, 50.0]);
        // It holds the function itself, which cannot go forward.
        let error = vjp.within(&mut ctx).jvp(["x"]).unwrap_err();
        assert!(matches!(error, FunctionError::NotLinear { .. }), "{error}");
        assert!(error.to_string().contains("squaring's VJP"), "{error}");
        let twice = vjp.select_at(&[1]).unwrap();
        let twice = twice.within(&mut ctx).grad(["x", "y"]).unwrap();
        let found = twice.compile().call(&[2.0, 3.0, 5.0]).unwrap();
        assert_eq!(found, [0.0, 25.0]);
    }
    let mut ctx = Context {
        zero: Supply::Missing,
        ..full()
    };
    let error = f.within(&mut ctx).vjp(..).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the derivative out1 of squaring is zero, and the operation set has no zero to return: \
         `select` other outputs, or differentiate by other inputs \
         (an operation set supplies zeros by `Primitive::zero_like`)"
    );
}

/// A zero made of the value that it is like needs that value: a transpose has done away with it.
#[test]
fn zeros_of_inputs_that_are_gone() {
    let f = chain(&[Own::OneWay("w")]);
    let mut ctx = Context {
        zero: Supply::OfValue,
        ..full()
    };
    let jvp = f.within(&mut ctx).jvp("z").unwrap();
    assert_eq!(jvp.compile().call(&[2.0, 3.0, 4.0]).unwrap(), [2.0, 0.0]);
    let f = chain(&[Own::Add]);
    let error = f.within(&mut ctx).transpose(..).unwrap_err();
    assert!(
        matches!(
            error,
            FunctionError::Graph(GraphError::UnlistedInput { .. })
        ),
        "{error}"
    );
}

#[test]
fn sets_that_hold_no_functions() {
    let f = chain(&[Own::Mul]);
    let rule = of(&["x", "z", "dx", "dz"], |op| vec![op(Own::Mul, &[0, 2])]);
    let error = f
        .with_rules("refused", Rules::jvp(rule.clone()))
        .unwrap_err();
    assert_eq!(
        error,
        FunctionError::NoComposite {
            name: "refused".into()
        }
    );
    assert_eq!(
        error.to_string(),
        "the operation set cannot hold the function refused as an operation: \
         implement `Primitive::composite`"
    );
    assert!(f.with_rules("held", Rules::jvp(rule)).is_ok());
    // Nor stop a gradient.
    let error = f.stop_gradient("x").unwrap_err();
    assert_eq!(error, FunctionError::NoStopGradient);
}

/// Where nothing declares what it is linear in, a JVP that is not is found when it is used.
#[test]
fn undeclared_jvps_that_are_not_linear() {
    let f = chain(&[Own::Mul]);
    let square = of(&["x", "z", "dx", "dz"], |op| vec![op(Own::Mul, &[2, 2])]);
    let f = f.with_rules("square", Rules::jvp(square)).unwrap();
    for derived in [
        f.within(&mut full()).jvp("x"),
        f.within(&mut full()).grad("x"),
        f.within(&mut full()).vjp(..),
    ] {
        let error = derived.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("is not linear in dx, dz"), "{text}");
        assert!(text.ends_with("it is square's JVP"), "{text}");
    }
}

/// What rules of one's own are made of may lack rules as well.
#[test]
fn missing_rules_inside_functions_with_rules() {
    let f = chain(&[Own::Mul]);
    let jvp = of(&["x", "z", "dx", "dz"], |op| {
        let inner = op(Own::Opaque("inner"), &[2]);
        vec![op(Own::Opaque("outer"), &[inner])]
    });
    let held = f.with_rules("held", Rules::jvp(jvp)).unwrap();
    let expected = missing(&[("inner", JVP), ("outer", JVP)]);
    assert_eq!(held.missing_rules("x", Mode::Forward).unwrap(), expected);
    for derived in [
        held.jvp("x"),
        held.vjp("x"),
        held.within(&mut full()).grad("x"),
    ] {
        let missing = expected.clone();
        assert_eq!(
            derived.unwrap_err(),
            FunctionError::MissingRules { missing }
        );
    }
}

/// Sparse derivatives, too, list all rules that are missing; where only one direction lacks some, they go the other way.
#[test]
fn sparse_derivatives_without_all_rules() {
    let ctx = &mut full();
    let f = gaps();
    let expected = FunctionError::MissingRules {
        missing: f.missing_rules("x", Mode::Reverse).unwrap(),
    };
    for error in [
        f.within(ctx).sparsity("x").err(),
        f.within(ctx).hessian_sparsity("x").err(),
        f.within(ctx).linear_parts("x").err(),
        f.within(ctx).sparse_jacobian("x").err(),
        f.within(ctx).lagrangian_hessian("x").err(),
    ] {
        assert_eq!(error.as_ref(), Some(&expected));
    }

    let f = chain(&[Own::OneWay("first"), Own::Mul]);
    let jacobian = f.within(ctx).sparse_jacobian(..).unwrap();
    assert_eq!(jacobian.receipt.way, Way::Columns);
    assert_eq!(jacobian.function.compile().call(&[3.0, 1.0]), Ok(vec![6.0]));
    let derive = f.within(ctx).mode(Mode::Reverse);
    let missing = missing(&[("first", TRANSPOSE)]);
    assert_eq!(
        derive.sparse_jacobian(..).unwrap_err(),
        FunctionError::MissingRules { missing }
    );
}
