//! Whatever is wrong with a transform or a call is a typed error that says what would be right.

use tidu::graph::{
    DenseGraph, EvaluableGraphOperation, GraphBuilder, GraphError, GraphOperation, LocalValueId,
    OperationRole, ValueKey, ValueRef,
};
use tidu::scalar::{ScalarKey, ScalarOp, function};
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Derivatives, MissingRule, Primitive, PrimitiveBuilder,
    PrimitiveValue, RuleOperand,
};
use tidu::{Function, FunctionError, Wrt};

type F = Function<ScalarOp>;

/// f(x, y) = x·eʸ
fn x_exp_y() -> F {
    let text = "function {
        input %0 = x
        input %1 = y
        %2 = exp %1
        %3 = mul %0, %2
        output %3 -> f
    }";
    text.parse().unwrap()
}

/// Every transform that is told what to differentiate by.
fn transforms(f: &F, wrt: impl Into<Wrt>) -> Vec<FunctionError> {
    let wrt: Wrt = wrt.into();
    let wrt = || wrt.clone();
    [
        f.jvp(wrt()),
        f.vjp(wrt()),
        f.grad(wrt()),
        f.value_and_grad(wrt()),
        f.hvp(wrt()),
        f.jacobian(wrt()),
        f.hessian(wrt()),
    ]
    .map(Result::unwrap_err)
    .to_vec()
}

#[track_caller]
fn assert_all(errors: &[FunctionError], expected: &FunctionError, text: &str) {
    for error in errors {
        assert_eq!(error, expected);
        assert_eq!(error.to_string(), text);
    }
}

fn unknown_input(name: &str) -> FunctionError {
    FunctionError::UnknownInput {
        name: name.into(),
        known: "x, y".into(),
    }
}

fn repeated(name: &str) -> FunctionError {
    FunctionError::RepeatedInput { name: name.into() }
}

#[test]
fn inputs_to_differentiate_by_are_checked() {
    let f = x_exp_y();
    let text = "the function has no input z; its inputs are x, y";
    assert_all(&transforms(&f, ["x", "z"]), &unknown_input("z"), text);
    let text = "the function has no input at position 2; its inputs are x, y";
    assert_all(
        &transforms(&f, [0, 2]),
        &unknown_input("at position 2"),
        text,
    );
    let text = "input x is named twice";
    assert_all(&transforms(&f, ["x", "y", "x"]), &repeated("x"), text);
    assert_all(&transforms(&f, [0, 0]), &repeated("x"), text);
    let text = "nothing to differentiate by: name at least one input, or `..` for all";
    let none: &[&str] = &[];
    assert_all(&transforms(&f, none), &FunctionError::NoInputs, text);
    let none: &[usize] = &[];
    assert_all(&transforms(&f, none), &FunctionError::NoInputs, text);
    let closed = f.bind("x", ScalarOp::constant(1.0)).unwrap();
    let closed = closed.bind("y", ScalarOp::constant(1.0)).unwrap();
    assert_all(&transforms(&closed, ..), &FunctionError::NoInputs, text);
}

#[test]
fn long_lists_of_names_are_cut() {
    let names = (0..20).map(|n| format!("x{n}"));
    let f = F::build(names, |_, x| x.to_vec()).unwrap();
    let text = f.jvp("q").unwrap_err().to_string();
    assert!(text.ends_with("x10, x11 and 8 more"), "{text}");
    let text = f.select(&["q"]).unwrap_err().to_string();
    assert!(text.ends_with("out10, out11 and 8 more"), "{text}");
}

#[test]
fn a_gradient_needs_one_output() {
    let two = x_exp_y().grad(..).unwrap();
    let of_all = |transform: &str| {
        format!(
            ", or use `{transform}` for the derivatives of all, `vjp` for those of a weighted sum"
        )
    };
    for (transform, derived, besides) in [
        ("grad", two.grad("x"), of_all("jacobian")),
        (
            "value_and_grad",
            two.value_and_grad("x"),
            of_all("value_and_jacobian"),
        ),
        ("hvp", two.hvp("x"), String::new()),
        ("hessian", two.hessian("x"), String::new()),
    ] {
        let error = derived.unwrap_err();
        let (outputs, known) = (2, "d.x, d.y".into());
        let expected = FunctionError::NotScalar {
            transform,
            outputs,
            known,
        };
        assert_eq!(error, expected);
        assert_eq!(
            error.to_string(),
            format!(
                "`{transform}` needs a function of one output, this one has 2 (d.x, d.y): `select` one of them \
                 first{besides}"
            )
        );
    }
    // What the message says to do.
    let second = two.select(&["d.x"]).unwrap().grad("y").unwrap();
    assert_eq!(second.compile().call(&[3.0, 0.0]).unwrap(), [1.0]);
    let none = two.select(&[]).unwrap().grad("x").unwrap_err();
    assert_eq!(
        none.to_string(),
        "`grad` needs a function of one output, this one has none"
    );
}

#[test]
fn compositions_and_selections_are_checked() {
    let f = x_exp_y();
    let error = f.compose(&f).unwrap_err();
    let (expected, found) = (2, 1);
    assert_eq!(error, FunctionError::WrongArity { expected, found });
    assert_eq!(
        error.to_string(),
        "the outer function takes 2 inputs, the inner one has 1 output"
    );
    let unknown = |name: &str| FunctionError::UnknownOutput {
        name: name.into(),
        known: "f".into(),
    };
    let error = f.select(&["f", "g"]).unwrap_err();
    assert_eq!(error, unknown("g"));
    assert_eq!(
        error.to_string(),
        "the function has no output g; its outputs are f"
    );
    assert_eq!(f.select_at(&[0, 1]).unwrap_err(), unknown("at position 1"));

    let one = ScalarOp::constant(1.0);
    assert_eq!(f.bind("z", one).unwrap_err(), unknown_input("z"));
    let error = f.bind("x", ScalarOp::Neg).unwrap_err();
    assert_eq!(
        error,
        FunctionError::Graph(GraphError::WrongArity {
            operation: "Neg".into(),
            expected: 1,
            found: 0
        })
    );
}

#[test]
fn calls_are_checked() {
    let program = x_exp_y().compile();
    for inputs in [&[][..], &[1.0], &[1.0; 3]] {
        let found = inputs.len();
        let known = "x, y".into();
        let error = FunctionError::WrongInputCount {
            expected: 2,
            found,
            known,
        };
        let text = format!("the function takes 2 inputs, found {found}; its inputs are x, y");
        assert_eq!(error.to_string(), text);
        assert_eq!(program.call(inputs).unwrap_err(), error);
        let inputs: Vec<&f64> = inputs.iter().collect();
        assert_eq!(program.call_in(&mut (), &inputs).unwrap_err(), error);
    }
    let call = |inputs: &[(&str, f64)]| program.call_named(inputs).unwrap_err();
    assert_eq!(call(&[("x", 1.0), ("z", 1.0)]), unknown_input("z"));
    assert_eq!(call(&[("x", 1.0), ("y", 1.0), ("x", 1.0)]), repeated("x"));
    let missing = call(&[("x", 1.0)]);
    assert_eq!(missing, FunctionError::MissingInput { name: "y".into() });
    assert_eq!(missing.to_string(), "input y is given no value");
    // Inputs that no output needs are asked for all the same.
    let slope = x_exp_y().grad("x").unwrap().compile();
    let missing = slope.call_named(&[("y", 1.0)]).unwrap_err();
    assert_eq!(missing, FunctionError::MissingInput { name: "x".into() });
}

#[test]
fn what_a_function_is_made_of_is_checked() {
    let error = F::build(["x", "y", "x"], |_, x| x.to_vec()).unwrap_err();
    assert_eq!(error, repeated("x"));
    let unknown = F::build(["x"], |_, _| vec![7]).unwrap_err();
    assert!(
        matches!(
            unknown,
            FunctionError::Graph(GraphError::UnknownOutputId { id: 7, .. })
        ),
        "{unknown}"
    );
    let hidden = F::build(["x"], |b, _| vec![b.add_input("y".into())]).unwrap_err();
    assert!(
        matches!(
            hidden,
            FunctionError::Graph(GraphError::UnlistedInput { .. })
        ),
        "{hidden}"
    );
    let elsewhere = F::build(["x"], |b, x| {
        let y = ValueRef::External(ValueKey::Input("y".into()));
        let operands = vec![ValueRef::Local(x[0]), y];
        b.add_operation(ScalarOp::Mul, operands, OperationRole::Primary)
    });
    let elsewhere = elsewhere.unwrap_err();
    assert!(
        matches!(
            elsewhere,
            FunctionError::Graph(GraphError::UndefinedValue { .. })
        ),
        "{elsewhere}"
    );
    let nowhere = F::from_graphs(Vec::new(), &[], &[ValueKey::Input("x".into())]).unwrap_err();
    assert!(
        matches!(
            nowhere,
            FunctionError::Graph(GraphError::UnknownOutput { .. })
        ),
        "{nowhere}"
    );
}

#[test]
fn graphs_by_positions_need_a_name_for_each_end() {
    let graph = || {
        let text = "dense {\ninput %0\ninput %1\n%2 = mul %0, %1\noutput %2\noutput %0\n}";
        text.parse::<DenseGraph<ScalarOp>>().unwrap()
    };
    let make = |inputs: &[&str], outputs: &[&str]| {
        let inputs = inputs.iter().map(|&name| name.into()).collect();
        let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
        F::from_dense(graph(), inputs, outputs)
    };
    let f = make(&["x", "y"], &["f", "f"]).unwrap();
    assert_eq!(f.output_names(), ["f", "f"]);
    assert_eq!(f.compile().call(&[2.0, 3.0]).unwrap(), [6.0, 2.0]);
    // The names of outputs may be alike, those of inputs may not.
    let refused = |inputs, outputs| make(inputs, outputs).unwrap_err();
    assert_eq!(refused(&["x", "x"], &["f", "g"]), repeated("x"));
    for (error, what, found, text) in [
        (
            refused(&["x"], &["f", "g"]),
            "input",
            1,
            "the graph has 2 inputs, found 1 name",
        ),
        (
            refused(&["x", "y", "z"], &["f", "g"]),
            "input",
            3,
            "the graph has 2 inputs, found 3 names",
        ),
        (
            refused(&["x", "y"], &[]),
            "output",
            0,
            "the graph has 2 outputs, found 0 names",
        ),
        (
            refused(&["x", "y"], &["f"; 3]),
            "output",
            3,
            "the graph has 2 outputs, found 3 names",
        ),
    ] {
        assert_eq!(error.to_string(), text);
        let FunctionError::WrongNameCount {
            what: of,
            expected: 2,
            found: number,
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((of, number), (what, found));
    }
}

/// What stands twice in the graph stands once in the function, and what nothing needs is gone.
#[test]
fn functions_of_graphs_by_positions_have_no_needless_work() {
    let text = "dense {
        input %0
        %1 = exp %0
        %2 = exp %0
        %3 = sin %0
        %4 = mul %1, %2
        output %4
    }";
    let f = F::from_dense(text.parse().unwrap(), vec!["x".into()], vec!["f".into()]).unwrap();
    assert_eq!(f.as_dense().operation_count(), 2);
    // e²ˣ has the derivative 2·e²ˣ.
    let slope = f.grad("x").unwrap().compile().call(&[0.5]).unwrap()[0];
    assert!((slope - 2.0 * 1.0_f64.exp()).abs() < 1e-14, "{slope}");
}

#[test]
fn texts_must_be_closed() {
    let read = |items: &[&str]| {
        let text = format!("function {{\n{}\n}}", items.join("\n"));
        text.parse::<F>().unwrap_err().to_string()
    };
    let unclosed = read(&[
        "external @y",
        "input %0 = x",
        "%1 = mul %0, @y",
        "output %1",
    ]);
    let start = "line 1, column 1: expected a closed function, found operand 1 of Mul is input y";
    assert!(unclosed.starts_with(start), "{unclosed}");
    assert_eq!(
        read(&["input %0 = x", "input %1 = x", "output %1"]),
        "line 1, column 1: expected a closed function, found input x is named twice"
    );
    assert_eq!(
        read(&["input %0 = x", "output %0 -> f", "output zero -> g"]),
        "line 4, column 8: expected a local value, found `zero`"
    );
    let other = "linear {\n}".parse::<F>().unwrap_err().to_string();
    assert_eq!(
        other,
        "line 1, column 1: expected `function {` or `graph {`, found `linear {`"
    );
}

/// An operation set that supplies units and zeros as its context says, and lacks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Bare {
    Add,
    Mul,
    /// Linear in its operand, says its JVP; it has no transpose.
    Half,
    /// Has no derivative.
    Floor,
    Number(u8),
    /// Does nothing.
    Nothing,
}

#[derive(Clone, Copy, Default)]
enum Supply {
    #[default]
    Missing,
    Number(u8),
    /// An id that nobody made.
    Foreign,
}

#[derive(Default)]
struct Context {
    one: Supply,
    basis: Supply,
    zero: Supply,
    rules: usize,
}

impl Supply {
    fn emit(self, b: &mut impl PrimitiveBuilder<Bare>) -> Option<LocalValueId> {
        match self {
            Supply::Missing => None,
            Supply::Number(n) => {
                Some(b.add_primitive(Bare::Number(n), Vec::new(), OperationRole::Primary)[0])
            }
            Supply::Foreign => Some(1000),
        }
    }
}

impl GraphOperation for Bare {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Bare::Add | Bare::Mul => 2,
            Bare::Half | Bare::Floor => 1,
            Bare::Number(_) | Bare::Nothing => 0,
        }
    }

    fn output_count(&self) -> usize {
        usize::from(*self != Bare::Nothing)
    }
}

impl EvaluableGraphOperation for Bare {
    fn eval(&self, _ctx: &mut (), x: &[&f64]) -> Vec<f64> {
        match self {
            Bare::Add => vec![x[0] + x[1]],
            Bare::Mul => vec![x[0] * x[1]],
            Bare::Half => vec![x[0] / 2.0],
            Bare::Floor => vec![x[0].floor()],
            Bare::Number(n) => vec![f64::from(*n)],
            Bare::Nothing => vec![],
        }
    }
}

impl Primitive for Bare {
    type ADContext = Context;

    fn add() -> Self {
        Bare::Add
    }

    fn one_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        ctx: &mut Context,
    ) -> Option<LocalValueId> {
        ctx.one.emit(b)
    }

    fn basis_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        ctx: &mut Context,
    ) -> Option<LocalValueId> {
        ctx.basis.emit(b)
    }

    fn zero_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        ctx: &mut Context,
    ) -> Option<LocalValueId> {
        ctx.zero.emit(b)
    }

    fn jvp_rule(
        &self,
        _b: &mut impl PrimitiveBuilder<Self>,
        _x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        _dx: &[Option<LocalValueId>],
        _ctx: &mut Context,
    ) -> Vec<Option<LocalValueId>> {
        unreachable!("the fallible form is called")
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        _y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut Context,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        ctx.rules += 1;
        let active = RuleOperand::Active;
        match self {
            Bare::Add => Ok(vec![b.emit_sum([dx[0], dx[1]])]),
            Bare::Mul => {
                let [x, y] = [x[0].clone(), x[1].clone()];
                let by_x = dx[0].map(|dx| b.emit_linear(Bare::Mul, [active(dx), y.into()]));
                let by_y = dx[1].map(|dy| b.emit_linear(Bare::Mul, [x.into(), active(dy)]));
                Ok(vec![b.emit_sum([by_x, by_y])])
            }
            Bare::Half => Ok(vec![
                dx[0].map(|dx| b.emit_linear(Bare::Half, [active(dx)])),
            ]),
            _ => Err(ADRuleError::unsupported(
                format!("{self:?}"),
                ADRuleKind::Jvp,
            )),
        }
    }

    fn transpose_rule(
        &self,
        _b: &mut impl PrimitiveBuilder<Self>,
        _ct: &[Option<LocalValueId>],
        _x: &[PrimitiveValue<Self>],
        _role: &OperationRole,
        _ctx: &mut Context,
    ) -> Vec<Option<LocalValueId>> {
        unreachable!("the fallible form is called")
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut Context,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        ctx.rules += 1;
        let first = matches!(role, OperationRole::Linearized { active_mask } if active_mask[0]);
        let mut by = |x: &PrimitiveValue<Self>| {
            ct[0].map(|ct| b.emit_linear(Bare::Mul, [x.clone().into(), RuleOperand::Active(ct)]))
        };
        match self {
            Bare::Add => Ok(vec![ct[0], ct[0]]),
            Bare::Mul if first => Ok(vec![by(&x[1]), None]),
            Bare::Mul => Ok(vec![None, by(&x[0])]),
            _ => Err(ADRuleError::unsupported(
                format!("{self:?}"),
                ADRuleKind::Transpose,
            )),
        }
    }
}

/// y = op(x·x), where z is not needed.
fn bare(op: Bare) -> Function<Bare> {
    let build = |b: &mut GraphBuilder<Bare>, x: &[LocalValueId]| {
        let square = vec![ValueRef::Local(x[0]); 2];
        let square = b.add_operation(Bare::Mul, square, OperationRole::Primary)[0];
        let operands = vec![ValueRef::Local(square); op.input_count()];
        b.add_operation(op, operands, OperationRole::Primary)
    };
    Function::build(["x", "z"], build).unwrap()
}

/// A set that has a one, but no basis: as for complex numbers.
fn one() -> Context {
    Context {
        one: Supply::Number(1),
        ..Context::default()
    }
}

/// A set of real numbers, but for its zero.
fn basis() -> Context {
    Context {
        basis: Supply::Number(1),
        ..one()
    }
}

#[test]
fn without_a_unit_there_are_jvp_and_vjp() {
    let f = bare(Bare::Add);
    for derived in [
        f.grad("x"),
        f.value_and_grad("x"),
        f.hvp("x"),
        f.hessian("x"),
    ] {
        let error = derived.unwrap_err();
        assert_eq!(
            error,
            FunctionError::NoUnit {
                value: "out0".into()
            }
        );
        let text = error.to_string();
        for advice in ["out0", "`vjp`", "`jvp`"] {
            assert!(text.contains(advice), "{text}");
        }
    }
    let no_basis = |value: &str| FunctionError::NoBasis {
        value: value.into(),
    };
    assert_eq!(f.jacobian("x").unwrap_err(), no_basis("x"));
    assert_eq!(f.jacobian(..).unwrap_err(), no_basis("out0"));
    let text = no_basis("x").to_string();
    for advice in ["x", "`vjp`", "`jvp`", "`Primitive::basis_like`"] {
        assert!(text.contains(advice), "{text}");
    }
    // A one is a seed for the gradient of a loss, and no basis.
    assert_eq!(
        f.within(&mut one()).jacobian("x").unwrap_err(),
        no_basis("x")
    );
    let gradient = f.within(&mut one()).grad("x").unwrap();
    assert_eq!(gradient.compile().call(&[3.0, 0.0]).unwrap(), [12.0]);
    // y = 2x²: at 3, y = 18 and dy/dx = 12.
    let jvp = f.jvp("x").unwrap().compile().call(&[3.0, 0.0, 10.0]);
    assert_eq!(jvp.unwrap(), [18.0, 120.0]);
    let vjp = f.vjp("x").unwrap().compile().call(&[3.0, 0.0, 10.0]);
    assert_eq!(vjp.unwrap(), [18.0, 120.0]);
}

#[test]
fn without_a_zero_derivatives_along_no_path_are_refused() {
    let f = bare(Bare::Add);
    let no_zero = |value: &str| FunctionError::NoZero {
        value: value.into(),
    };
    let error = f.jvp("z").unwrap_err();
    assert_eq!(error, no_zero("d.out0"));
    assert_eq!(
        error.to_string(),
        "the derivative d.out0 is zero, and the operation set has no zero to return: `select` other outputs, or \
         differentiate by other inputs (an operation set supplies zeros by `Primitive::zero_like`)"
    );
    assert_eq!(f.vjp(..).unwrap_err(), no_zero("ct.z"));
    let within = |wrt: &[&str]| f.within(&mut one()).grad(wrt);
    assert_eq!(within(&["x", "z"]).unwrap_err(), no_zero("d.z"));
    let gradient = within(&["x"]).unwrap().compile().call(&[3.0, 0.0]);
    assert_eq!(gradient.unwrap(), [12.0]);
    assert_eq!(
        f.within(&mut basis()).jacobian("z").unwrap_err(),
        no_zero("d.out0")
    );
}

/// The caller's context goes to every rule, unit and zero, through all passes of a transform.
#[test]
fn the_context_is_threaded() {
    let f = bare(Bare::Add);
    let mut ctx = Context {
        zero: Supply::Number(0),
        ..basis()
    };
    let hessian = f.within(&mut ctx).hessian(..).unwrap();
    let found = hessian.compile().call(&[3.0, 0.0]).unwrap();
    assert_eq!(found, [4.0, 0.0, 0.0, 0.0]);
    assert!(ctx.rules > 4, "{} rules were given it", ctx.rules);
}

#[track_caller]
fn assert_foreign(derived: Result<Function<Bare>, FunctionError>) {
    let error = derived.unwrap_err();
    assert!(
        matches!(
            error,
            FunctionError::Rule(ADRuleError::UnknownRuleValue { id: 1000, .. })
        ),
        "{error}"
    );
}

#[test]
fn units_and_zeros_that_nobody_made_are_refused() {
    let f = bare(Bare::Add);
    let mut ctx = Context {
        one: Supply::Foreign,
        basis: Supply::Foreign,
        zero: Supply::Foreign,
        rules: 0,
    };
    for derived in [
        f.within(&mut ctx).grad("x"),
        f.within(&mut ctx).jacobian("x"),
        f.within(&mut ctx).jacobian(..),
        f.within(&mut ctx).jvp("z"),
        f.within(&mut ctx).vjp("z"),
    ] {
        assert_foreign(derived);
    }
    // Where the seed is the derivative, and no rule stands between.
    let identity = Function::<Bare>::build(["x"], |_, x| x.to_vec()).unwrap();
    assert_foreign(identity.within(&mut ctx).grad("x"));
    assert_foreign(identity.within(&mut ctx).jacobian("x"));
}

#[test]
fn operations_without_a_rule_are_named() {
    let missing = |op: &str, rule| FunctionError::MissingRules {
        missing: vec![MissingRule {
            op: op.into(),
            rule,
        }],
    };
    let f = bare(Bare::Floor);
    let expected = missing("Floor", ADRuleKind::Jvp);
    let mut ctx = one();
    for derived in [
        f.within(&mut ctx).jvp("x"),
        f.within(&mut ctx).vjp("x"),
        f.within(&mut ctx).grad("x"),
        f.within(&mut ctx).jacobian(..),
        f.within(&mut ctx).hvp("x"),
        f.within(&mut ctx).jvp_to_order(2, "x"),
        f.within(&mut ctx).linearize("x").map(|split| split.linear),
    ] {
        assert_eq!(derived.unwrap_err(), expected);
    }
    assert_eq!(
        expected.to_string(),
        "the derivative needs rules that are not there: jvp of Floor"
    );
    // No tangent, no rule.
    let mut ctx = Context {
        zero: Supply::Number(0),
        ..one()
    };
    assert!(f.within(&mut ctx).jvp("z").is_ok());

    let f = bare(Bare::Half);
    let expected = missing("Half", ADRuleKind::Transpose);
    assert_eq!(f.vjp("x").unwrap_err(), expected);
    assert_eq!(f.within(&mut one()).grad("x").unwrap_err(), expected);
    let jvp = f.jvp("x").unwrap().compile().call(&[3.0, 0.0, 1.0]);
    assert_eq!(jvp.unwrap(), [4.5, 3.0]);
}

#[test]
fn an_input_is_bound_to_a_value() {
    let f = bare(Bare::Add);
    let bound = f.bind("x", Bare::Number(3)).unwrap();
    assert_eq!(bound.compile().call(&[0.0]).unwrap(), [18.0]);
    let error = f.bind("x", Bare::Nothing).unwrap_err();
    assert_eq!(error, FunctionError::MissingInput { name: "x".into() });
}

#[test]
fn a_name_that_two_outputs_have() {
    let f: Function<ScalarOp> = "function {\n input %0 = x\n %1 = sin %0\n output %1 -> f\n}"
        .parse()
        .unwrap();
    let twice = f.jvp("x").unwrap().select_at(&[1, 0, 1]).unwrap();
    let error = twice.select(&["d.f"]).unwrap_err();
    assert_eq!(error, FunctionError::AmbiguousOutput { name: "d.f".into() });
    assert_eq!(
        error.to_string(),
        "the function has several outputs d.f: select them by position"
    );
    assert!(twice.select(&["f"]).is_ok());
}

#[test]
fn flags_are_one_each() {
    let f = function(["x", "y"], |[x, y]| [&x * &y, x]).unwrap();
    let refused = |wrt: &[usize], masked: &[bool]| {
        let vjp = f.within(&mut ()).nonzero_vjp(wrt, masked);
        vjp.unwrap_err().to_string()
    };
    assert!(refused(&[5], &[false; 2]).contains("at position 5"));
    assert!(refused(&[0, 0], &[false; 2]).contains("x"));
    assert_eq!(
        refused(&[0], &[]),
        "one flag per output is needed, 2 in all, found 0"
    );
    assert!(refused(&[0], &[false, true, true]).contains("found 3"));
    let derivatives = Derivatives::default();
    let x = ScalarKey::from("x");
    for active in [&[][..], &[true], &[true; 3]] {
        let jvp = derivatives.jvp(&ScalarOp::Mul, active, None, &x, &mut ());
        let error = jvp.unwrap_err();
        let expected = FunctionError::WrongFlagCount {
            what: "operand",
            expected: 2,
            found: active.len(),
        };
        assert_eq!(error, expected);
    }
    assert_eq!(derivatives.counts().entries, 0);
}
