//! Operations that return residuals: a root, found by iterations, whose slope comes with it.

use std::fmt;

use tidu::eager::{Dual, Tape};
use tidu::graph::{
    EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef,
};
use tidu::rules::{Arithmetic, Work};
use tidu::{
    ADRuleError, Function, FunctionError, Mode, Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleOperand, StringKey,
};

/// How often something was computed that is expensive.
#[derive(Default)]
struct Counts {
    roots: usize,
    slopes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Neg,
    Number(u64),
    /// x ↦ y, where y³ + y = x
    Root(Residuals),
    /// x ↦ (y, 1 / (3y² + 1))
    RootAndSlope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Residuals {
    None,
    Slope,
    /// An operation that returns less than this one.
    TooFew,
    /// An operation of other operands.
    OtherOperands,
    /// An operation whose first result is another one.
    OtherResult,
}

impl GraphOperation for Op {
    type Operand = f64;
    type Context = Counts;
    type InputKey = StringKey;

    fn input_count(&self) -> usize {
        match self {
            Op::Add | Op::Sub | Op::Mul | Op::Div => 2,
            Op::Neg | Op::Root(_) | Op::RootAndSlope => 1,
            Op::Number(_) => 0,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Op::RootAndSlope | Op::Root(Residuals::TooFew) => 2,
            _ => 1,
        }
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Number(bits) => write!(f, "number {}", f64::from_bits(*bits)),
            Op::Root(_) => f.write_str("root"),
            Op::RootAndSlope => f.write_str("root_and_slope"),
            op => f.write_str(&format!("{op:?}").to_lowercase()),
        }
    }
}

/// The root y of y³ + y = x, by Newton's method.
fn root(x: f64) -> f64 {
    let step = |y: f64| y - (y * y * y + y - x) / (3.0 * y * y + 1.0);
    (0..100).fold(x.cbrt(), |y, _| step(y))
}

fn slope(y: f64) -> f64 {
    1.0 / (3.0 * y * y + 1.0)
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, counts: &mut Counts, x: &[&f64]) -> Vec<f64> {
        match self {
            Op::Add => vec![x[0] + x[1]],
            Op::Sub => vec![x[0] - x[1]],
            Op::Mul => vec![x[0] * x[1]],
            Op::Div => {
                counts.slopes += 1;
                vec![x[0] / x[1]]
            }
            Op::Neg => vec![-x[0]],
            Op::Number(bits) => vec![f64::from_bits(*bits)],
            Op::Root(Residuals::TooFew) => vec![root(*x[0]); 2],
            Op::Root(_) => {
                counts.roots += 1;
                vec![root(*x[0])]
            }
            Op::RootAndSlope => {
                counts.roots += 1;
                let y = root(*x[0]);
                vec![y, slope(y)]
            }
        }
    }

    fn constant_of(value: &f64) -> Option<Self> {
        Some(Op::Number(value.to_bits()))
    }
}

impl Arithmetic for Op {
    fn sub() -> Self {
        Op::Sub
    }

    fn mul() -> Self {
        Op::Mul
    }

    fn div() -> Self {
        Op::Div
    }

    fn neg() -> Self {
        Op::Neg
    }

    fn number(value: f64) -> Self {
        Op::Number(value.to_bits())
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn one_like(
        builder: &mut impl PrimitiveBuilder<Self>,
        _: &ValueKey<Self>,
        (): &mut (),
    ) -> Option<LocalValueId> {
        Some(builder.emit_linear(Op::number(1.0), [] as [RuleOperand<Self>; 0]))
    }

    fn basis_like(
        builder: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        ctx: &mut (),
    ) -> Option<LocalValueId> {
        Self::one_like(builder, like, ctx)
    }

    fn with_residuals(&self, active: &[bool]) -> Option<Self> {
        assert!(
            active.contains(&true),
            "asked where it depends on something"
        );
        match self {
            Op::Root(Residuals::Slope) => Some(Op::RootAndSlope),
            Op::Root(Residuals::TooFew) => Some(Op::Neg),
            Op::Root(Residuals::OtherOperands) => Some(Op::Mul),
            Op::Root(Residuals::OtherResult) => Some(Op::Neg),
            _ => None,
        }
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let work = &Work::new(builder, ctx);
        let tangent = |at: usize| work.tangent(dx[at]);
        match self {
            Op::Add => vec![(tangent(0) + tangent(1)).id()],
            Op::Sub => vec![(tangent(0) - tangent(1)).id()],
            Op::Neg => vec![(-tangent(0)).id()],
            Op::Number(_) => vec![None],
            Op::Mul => {
                let [a, b] = [work.primal(&x[0]), work.primal(&x[1])];
                vec![(b * tangent(0) + a * tangent(1)).id()]
            }
            Op::Div => {
                let [b, y] = [work.primal(&x[1]), work.primal(&y[0])];
                vec![((tangent(0) - y * tangent(1)) / b).id()]
            }
            Op::Root(_) => {
                let (y, one, three) = (work.primal(&y[0]), work.number(1.0), work.number(3.0));
                vec![(one / (three * y * y + one) * tangent(0)).id()]
            }
            Op::RootAndSlope => {
                // s = 1 / (3y² + 1), so ṡ = -6y·s²·ẏ
                let [y, s] = [work.primal(&y[0]), work.primal(&y[1])];
                let dy = s * tangent(0);
                vec![dy.id(), (work.number(-6.0) * y * s * s * dy).id()]
            }
        }
    }

    fn transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        _: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        use RuleOperand::{Active, Fixed};
        let OperationRole::Linearized { active_mask } = role else {
            panic!("{self:?} is not part of a linear map");
        };
        let Some(ct) = ct[0] else {
            return vec![None; x.len()];
        };
        match self {
            Op::Add => vec![Some(ct); 2],
            Op::Sub => vec![Some(ct), Some(builder.emit_linear(Op::Neg, [Active(ct)]))],
            Op::Neg => vec![Some(builder.emit_linear(Op::Neg, [Active(ct)]))],
            Op::Mul => {
                let active = usize::from(active_mask[1]);
                let mut found = vec![None; 2];
                let other = Fixed(x[1 - active].clone());
                found[active] = Some(builder.emit_linear(Op::Mul, [other, Active(ct)]));
                found
            }
            Op::Div => {
                let by = Fixed(x[1].clone());
                vec![Some(builder.emit_linear(Op::Div, [Active(ct), by])), None]
            }
            Op::Number(_) => Vec::new(),
            Op::Root(_) | Op::RootAndSlope => panic!("{self:?} is not linear"),
        }
    }
}

/// root(x)·x
fn f(residuals: Residuals) -> Function<Op> {
    let f = Function::build(["x"], |builder, x| {
        let add = |op, operands: &[usize]| (op, operands.to_vec());
        let mut apply = |(op, operands): (Op, Vec<usize>)| {
            let operands = operands.into_iter().map(ValueRef::Local).collect();
            builder.add_operation(op, operands, OperationRole::Primary)[0]
        };
        let root = apply(add(Op::Root(residuals), &[x[0]]));
        vec![apply(add(Op::Mul, &[root, x[0]]))]
    });
    f.unwrap()
}

/// Derivatives of y(x)·x up to the third, by those of y: with u = 3y² + 1, y' = 1/u, y'' = -6y/u³,
/// y''' = (90y² - 6)/u⁵.
fn expected(x: f64) -> [f64; 4] {
    let y = root(x);
    let u = 3.0 * y * y + 1.0;
    let [first, second, third] = [
        1.0 / u,
        -6.0 * y / u.powi(3),
        (90.0 * y * y - 6.0) / u.powi(5),
    ];
    [
        y * x,
        first * x + y,
        second * x + 2.0 * first,
        third * x + 3.0 * second,
    ]
}

fn call(f: &Function<Op>, inputs: &[f64]) -> (Vec<f64>, Counts) {
    let mut counts = Counts::default();
    let inputs: Vec<&f64> = inputs.iter().collect();
    let found = f.compile().call_in(&mut counts, &inputs).unwrap();
    (found, counts)
}

fn assert_near(found: f64, expected: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= 1e-12 * (1.0 + expected.abs()),
        "{found} != {expected}"
    );
}

#[test]
fn derivatives_to_third_order_in_all_modes() {
    let modes = [Mode::Forward, Mode::Reverse];
    for residuals in [Residuals::None, Residuals::Slope] {
        let derive = |f: &Function<Op>, mode| f.within(&mut ()).mode(mode).grad("x").unwrap();
        for [first, second, third] in (0..8).map(|at| [at % 2, at / 2 % 2, at / 4]) {
            let f1 = derive(&f(residuals), modes[first]);
            let f2 = derive(&f1, modes[second]);
            let f3 = derive(&f2, modes[third]);
            for x in [-30.0, -1.0, 0.0, 0.3, 2.0, 1e3] {
                let expected = expected(x);
                for (order, f) in [&f1, &f2, &f3].into_iter().enumerate() {
                    assert_near(call(f, &[x]).0[0], expected[order + 1]);
                }
            }
        }
    }
}

#[test]
fn what_comes_with_a_result_is_not_computed_again() {
    let with = f(Residuals::Slope).value_and_grad("x").unwrap();
    let (found, counts) = call(&with, &[2.0]);
    assert_near(found[0], expected(2.0)[0]);
    assert_near(found[1], expected(2.0)[1]);
    assert_eq!((counts.roots, counts.slopes), (1, 0));
    assert_eq!(
        with.to_string(),
        "function {
    input %0 = x
    %1, %2 = root_and_slope %0
    %3 = mul %1, %0
    %4 = number 1
    %5 = mul %2, %4
    %6 = mul %0, %5
    %7 = mul %1, %4
    %8 = add %6, %7
    output %3 -> out0
    output %8 -> d.x
}"
    );
    let without = f(Residuals::None).value_and_grad("x").unwrap();
    let (_, counts) = call(&without, &[2.0]);
    assert_eq!((counts.roots, counts.slopes), (1, 1));
}

#[test]
fn residuals_are_saved_for_the_linear_function() {
    let split = f(Residuals::Slope).linearize("x").unwrap();
    let (saved, counts) = call(&split.primal, &[2.0]);
    assert_eq!(counts.roots, 1);
    let mut linear_inputs = saved[1..].to_vec();
    linear_inputs.push(1.0);
    let (tangent, counts) = call(&split.linear, &linear_inputs);
    assert_near(tangent[0], expected(2.0)[1]);
    assert_eq!((counts.roots, counts.slopes), (0, 0));
}

#[test]
fn what_does_not_depend_on_the_inputs_stays_as_it_is() {
    let text = "function {
    input %0 = x
    input %1 = y
    %2 = root %1
    %3 = mul %0, %2
    output %3 -> out0
}";
    let f = Function::build(["x", "y"], |builder, xy| {
        let root = Op::Root(Residuals::Slope);
        let root =
            builder.add_operation(root, vec![ValueRef::Local(xy[1])], OperationRole::Primary)[0];
        let operands = vec![ValueRef::Local(xy[0]), ValueRef::Local(root)];
        builder.add_operation(Op::Mul, operands, OperationRole::Primary)
    });
    let f = f.unwrap();
    assert_eq!(f.to_string(), text);
    let gradient = f.grad("x").unwrap();
    assert!(!gradient.to_string().contains("slope"), "{gradient}");
    let gradient = f.grad("y").unwrap();
    assert!(gradient.to_string().contains("slope"), "{gradient}");
}

#[cfg(feature = "laws")]
#[test]
fn an_operation_with_residuals_keeps_the_laws() {
    use tidu::laws::{Laws, Space};

    let space = Space::new(|x: &f64| vec![*x], |_, coordinates| coordinates[0]);
    let laws = Laws::new(space, |at| StringKey::from(format!("x{at}")));
    let root = [Op::Root(Residuals::Slope), Op::RootAndSlope];
    laws.operations(root, |random| vec![random.between(-3.0, 3.0)])
        .check()
        .assert();
}

#[cfg(feature = "laws")]
#[test]
fn an_operation_that_computes_something_else_breaks_a_law() {
    use tidu::laws::{Law, Laws, Space};

    let space = Space::new(|x: &f64| vec![*x], |_, coordinates| coordinates[0]);
    let laws = Laws::new(space, |at| StringKey::from(format!("x{at}")));
    let other = Op::Root(Residuals::OtherResult);
    let report = laws
        .operation(other, |random| vec![random.between(1.0, 3.0)])
        .check();
    assert!(
        report.broken_by("OtherResult").contains(&Law::Declaration)
            || report.broken_by("root").contains(&Law::Declaration),
        "{report}"
    );
    let words = "the operation with residuals has other results";
    assert!(report.to_string().contains(words), "{report}");
}

#[test]
fn an_operation_that_takes_or_returns_something_else_is_refused() {
    let error = f(Residuals::OtherOperands).grad("x").unwrap_err();
    let expected = FunctionError::Rule(ADRuleError::WrongResiduals {
        op: "Root(OtherOperands)".into(),
        extended: "Mul".into(),
        expected: (1, 1),
        found: (2, 1),
    });
    assert_eq!(error, expected);
    assert_eq!(
        error.to_string(),
        "Root(OtherOperands) has 1 operands and 1 results, and Mul, which is to return residuals besides, has 2 and 1"
    );
    let too_few = f(Residuals::TooFew).grad("x").unwrap_err();
    let found = (1, 1);
    assert!(
        matches!(&too_few, FunctionError::Rule(ADRuleError::WrongResiduals { expected: (1, 2), found: f, .. }) if *f == found),
        "{too_few}"
    );
}

fn tape() -> Tape<Op> {
    Tape::new(|| StringKey::from("seed"))
}

#[test]
fn a_tape_keeps_residuals_and_shows_results_only() {
    let mut tape = tape();
    let x = tape.leaf(2.0);
    let results = tape.apply(Op::Root(Residuals::Slope), &[&x]).unwrap();
    assert_eq!(results.len(), 1);
    let y = tape.apply_one(Op::Root(Residuals::Slope), &[&x]).unwrap();
    assert_eq!(y.value(), results[0].value());
    let product = tape.apply_one(Op::Mul, &[&y, &x]).unwrap();
    let gradient = tape.backward_keeping(&[(&product, 1.0)], &[&x]).unwrap();
    assert_near(gradient[0].unwrap(), expected(2.0)[1]);
    assert_eq!(tape.context().slopes, 0);
    let tangent = tape.tangents(&[(&x, 1.0)], &[&product]).unwrap();
    assert_near(tangent[0].unwrap(), expected(2.0)[1]);
    assert_eq!(tape.context().slopes, 0);

    let error = tape.apply_one(Op::Root(Residuals::OtherOperands), &[&x]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("and Mul, which is to return residuals besides, has 2 and 1"),
        "{error}"
    );
}

#[test]
fn derivatives_of_higher_order_on_a_tape() {
    for residuals in [Residuals::None, Residuals::Slope] {
        let mut tape = tape();
        let x = tape.leaf(0.7);
        let y = tape.apply_one(Op::Root(residuals), &[&x]).unwrap();
        let mut last = tape.apply_one(Op::Mul, &[&y, &x]).unwrap();
        for expected in &expected(0.7)[1..] {
            let one = tape.constant(1.0);
            let gradient = tape.backward_recorded(&[(&last, one)], &[&x]).unwrap();
            last = gradient.into_iter().next().flatten().unwrap();
            assert_near(*last.value(), *expected);
        }
        let tangent = tape.tangents(&[(&x, 1.0)], &[&y]).unwrap();
        assert_near(tangent[0].unwrap(), slope(root(0.7)));
    }
}

#[test]
fn tangents_that_ride_along_use_residuals() {
    let mut tape = tape();
    let x = tape.leaf(0.7);
    let moving = Dual {
        primal: x,
        tangent: Some(tape.constant(1.0)),
    };
    let root_of = Op::Root(Residuals::Slope);
    let found = tape.apply_forward(root_of, &[&moving]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(tape.context().slopes, 0);
    let slope_of = found[0].tangent.unwrap();
    assert_near(*slope_of.value(), slope(root(0.7)));
    // And backward from it: y'' = -6y / (3y² + 1)³
    let gradient = tape.backward(&[(&slope_of, 1.0)], &[&x]).unwrap();
    let (y, u) = (root(0.7), 3.0 * root(0.7) * root(0.7) + 1.0);
    assert_near(gradient[0].unwrap(), -6.0 * y / (u * u * u));
}

#[test]
fn what_a_tape_recorded_becomes_a_function_with_residuals() {
    let mut tape = tape();
    tape.keep_structure().unwrap();
    let x = tape.leaf(2.0);
    let y = tape.apply_one(Op::Root(Residuals::Slope), &[&x]).unwrap();
    let f = tape.to_function(&[("x".into(), &x)], &[&y]).unwrap();
    assert_near(call(&f, &[5.0]).0[0], root(5.0));
    let gradient = f.grad(0).unwrap();
    assert_near(call(&gradient, &[5.0]).0[0], slope(root(5.0)));
}

/// Sparse derivatives take what comes with a result, too.
#[test]
fn sparse_derivatives_of_roots() {
    for residuals in [Residuals::None, Residuals::Slope] {
        let f = f(residuals);
        for x in [-30.0, 0.3, 2.0] {
            let jacobian = f.sparse_jacobian(..).unwrap();
            let (found, counts) = call(&jacobian.function, &[x]);
            assert_near(found[0], expected(x)[1]);
            assert_eq!(counts.roots, 1);
            let hessian = f.sparse_hessian(..).unwrap();
            let (found, counts) = call(&hessian.function, &[x]);
            assert_near(found[0], expected(x)[2]);
            assert_eq!(counts.roots, 1);
        }
    }
}
