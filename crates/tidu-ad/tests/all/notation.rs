//! The notation of rules: what is emitted for a formula, and that nothing is for what is zero.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use tidu_ad::rules::{Tangent, Term, Times, Work};
use tidu_ad::{
    ADKey, ADRuleError, DiffPassId, Linearity, Primitive, PrimitiveBuilder, PrimitiveValue,
    TypeError,
};
use tidu_graph::{GraphBuilder, GraphOperation, LocalValueId, OperationRole, ValueKey};
use tidu_scalar::{ScalarKey, ScalarOp};

/// What a formula of x, y (coefficients) and t, u (tangents, of which some are missing) emits.
fn emitted(
    missing: &[&str],
    formula: impl for<'a> Fn(
        [tidu_ad::rules::Fixed<'a, ScalarOp>; 2],
        [Tangent<'a, ScalarOp>; 2],
    ) -> Tangent<'a, ScalarOp>,
) -> String {
    let mut builder = GraphBuilder::new();
    let tangents = ["t", "u"].map(|name| {
        let id = builder.add_input(ScalarKey::from(name));
        (!missing.contains(&name)).then_some(id)
    });
    let keys = ["x", "y"].map(|name| ValueKey::Input(ScalarKey::from(name)));
    let mut ctx = ();
    let result = {
        let work = &Work::new(&mut builder, &mut ctx);
        let [x, y] = [work.primal(&keys[0]), work.primal(&keys[1])];
        formula([x, y], tangents.map(|t| work.tangent(t))).id()
    };
    builder.set_outputs(result.into_iter().collect());
    let text = builder.build().to_string();
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| line.starts_with('%') || line.starts_with("output"));
    lines.collect::<Vec<_>>().join("; ")
}

#[test]
fn formulas_emit_what_they_say() {
    // The quotient rule, and what is left of it where a tangent is missing.
    let quotient = |missing: &[&str]| emitted(missing, |[x, y], [t, u]| (t - y * u) / x);
    assert_eq!(
        quotient(&[]),
        "%2 = mul @y, ~%1; %3 = sub ~%0, ~%2; %4 = div ~%3, @x; output %4"
    );
    assert_eq!(quotient(&["u"]), "%2 = div ~%0, @x; output %2");
    assert_eq!(
        quotient(&["t"]),
        "%2 = mul @y, ~%1; %3 = neg ~%2; %4 = div ~%3, @x; output %4"
    );
    assert_eq!(quotient(&["t", "u"]), "");
    // Numbers, on either side, and of coefficients; none for what is zero.
    let numbers =
        |missing: &[&str]| emitted(missing, |[x, _], [t, u]| 2.0 * t + (1.0 - x / 3.0) * u);
    assert_eq!(
        numbers(&["u"]),
        "%2 = const 2.0; %3 = mul %2, ~%0; %4 = const 3.0; %5 = div @x, %4; %6 = const 1.0; \
         %7 = sub %6, %5; output %3"
            .replace("%2 = const", "%2 = fixed const")
            .replace("%4 = const", "%4 = fixed const")
            .replace("%5 = div", "%5 = fixed div")
            .replace("%6 = const", "%6 = fixed const")
            .replace("%7 = sub", "%7 = fixed sub")
    );
    assert_eq!(emitted(&["t"], |_, [t, _]| -(2.0 * t / 4.0)), "");
}

#[test]
fn a_tangent_is_that_of_an_operation_that_is_linear_as_declared() {
    let by = |op: ScalarOp, missing: &'static [&str]| {
        emitted(missing, move |x, t| {
            t[0].work().by_linearity(&op, op.linearity(), &x, &t)
        })
    };
    assert_eq!(by(ScalarOp::Add, &[]), "%2 = add ~%0, ~%1; output %2");
    assert_eq!(by(ScalarOp::Add, &["t"]), "");
    let both = "%2 = mul ~%0, @y; %3 = mul @x, ~%1; %4 = add ~%2, ~%3; output %4";
    assert_eq!(by(ScalarOp::Mul, &[]), both);
    assert_eq!(by(ScalarOp::Mul, &["t"]), "%2 = mul @x, ~%1; output %2");
    assert_eq!(by(ScalarOp::Div, &["u"]), "%2 = div ~%0, @y; output %2");
    assert_eq!(by(ScalarOp::Exp, &["u"]), "");
    assert_eq!(ScalarOp::Exp.linearity(), Linearity::Never);
}

#[test]
fn terms_of_two_kinds_are_written_alike() {
    let text = emitted(&["u"], |[x, y], [t, u]| {
        let product = x
            .join(ScalarOp::Add, y)
            .then(ScalarOp::Exp)
            .with(ScalarOp::Mul, t);
        product.join(ScalarOp::Sub, t).join(ScalarOp::Sub, u) + product
    });
    assert_eq!(
        text,
        "%2 = fixed add @x, @y; %3 = fixed exp %2; %4 = mul %3, ~%0; %5 = sub ~%4, ~%0; output %4"
    );
}

#[test]
fn a_type_that_nobody_keeps_is_an_error() {
    let mut builder = GraphBuilder::new();
    let x = ValueKey::Input(ScalarKey::from("x"));
    let mut ctx = ();
    let work = &Work::<ScalarOp>::new(&mut builder, &mut ctx);
    for error in [
        work.primal(&x).value_type().unwrap_err(),
        work.zero().value_type().unwrap_err(),
        work.number(1.0).value_type().unwrap_err(),
    ] {
        let ADRuleError::Type { source, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(source, TypeError::Untracked);
    }
}

/// An operation set that forgets both forms of its rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Forgotten;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key;

impl ADKey for Key {
    fn tangent_of(&self, _: DiffPassId) -> Self {
        Key
    }
}

impl GraphOperation for Forgotten {
    type Operand = f64;
    type Context = ();
    type InputKey = Key;

    fn input_count(&self) -> usize {
        1
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl Primitive for Forgotten {
    type ADContext = ();

    fn add() -> Self {
        Forgotten
    }
}

#[test]
#[should_panic(
    expected = "Forgotten has no `jvp_rule`: call `try_jvp_rule`, and write one of the two"
)]
fn a_jvp_rule_in_no_form_is_told() {
    let (mut builder, x) = (GraphBuilder::new(), ValueKey::Input(Key));
    let t = builder.add_input(Key);
    let keys = std::slice::from_ref(&x);
    let _ = Forgotten.try_jvp_rule(&mut builder, keys, keys, &[Some(t)], &mut ());
}

#[test]
#[should_panic(
    expected = "Forgotten has no `transpose_rule`: call `try_linear_transpose_rule`, and write one of the two"
)]
fn a_transpose_rule_in_no_form_is_told() {
    struct Nowhere;

    impl PrimitiveBuilder<Forgotten> for Nowhere {
        fn add_primitive(
            &mut self,
            _: Forgotten,
            _: Vec<PrimitiveValue<Forgotten>>,
            _: OperationRole,
        ) -> Vec<LocalValueId> {
            vec![0]
        }
    }

    let x = PrimitiveValue::External(ValueKey::Input(Key));
    let role = OperationRole::Linearized {
        active_mask: vec![true],
    };
    let _ = Forgotten.try_linear_transpose_rule(&mut Nowhere, &[Some(0)], &[x], &role, &mut ());
}
