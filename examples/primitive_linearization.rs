//! Linearize and transpose, with primitives of one's own: f(x) = x² at x = 3, its JVP for the
//! tangent 1.5 (9), and its VJP for the cotangent 2 (12).
//!
//! The tutorial *Linearizing your own primitives* walks through this file.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tidu::graph::{
    EvaluableGraphOperation, Graph, GraphBuilder, GraphOperation, LocalValueId, OperationRole,
    ValueKey, ValueRef, compile, resolve, try_materialize_merge,
};
use tidu::rules::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, Primitive, PrimitiveBuilder,
    PrimitiveValue,
};
use tidu::{RuleOperand, try_linear_transpose, try_linearize};

/// f(x) = x² at x = 3.
fn run() -> Result<(), Box<dyn Error>> {
    // The function is a graph. Nothing is computed yet.
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::user("x"));
    let f = builder.add_operation(
        ScalarOp::Mul,
        vec![ValueRef::Local(x), ValueRef::Local(x)],
        OperationRole::Primary,
    )[0];
    let f_key = builder.global_key(f).clone();
    builder.set_outputs(vec![f]);
    let primal = Arc::new(builder.build());
    println!("{primal}");

    // Linearizing asks each operation for its JVP rule. The result is the map ẋ ↦ x·ẋ + ẋ·x, which
    // names x by key: its coefficients stay in the primal graph. The pass id, 1, becomes part of
    // the tangent's name, so that the tangents of a second derivative would be other inputs.
    let view = resolve(vec![primal]);
    let wrt = [ScalarKey::user("x")];
    let linear = try_linearize(&view, &[f_key], &wrt, 1, &mut (), &HashMap::new())?;
    println!("{linear}");

    // Transposing walks that map backward and asks each of its operations for its transpose rule.
    // Only linear operations are met here, which is why no rule for the transpose of `Exp` exists.
    let transposed = try_linear_transpose(&linear, &mut ())?;
    println!("{transposed}");
    let tangent = linear.tangent_inputs()[0].0.tangent_of(1);
    let seed = transposed.tangent_inputs()[0].0.clone();

    // Both maps refer to values of the function, and bring it along as a parent.
    let jvp = linear.into_graph();
    let vjp = transposed.into_graph();
    let x = (ScalarKey::user("x"), 3.0);

    let df = evaluate(&jvp, &[x.clone(), (tangent, 1.5)])?;
    println!("JVP of x² at 3 for the tangent 1.5: {df:?}");
    assert_eq!(df, [9.0]);

    let dx = evaluate(&vjp, &[x, (seed, 2.0)])?;
    println!("VJP of x² at 3 for the cotangent 2: {dx:?}");
    assert_eq!(dx, [12.0]);

    // One number binds the two: ⟨2, J·1.5⟩ = ⟨Jᵀ·2, 1.5⟩.
    assert_eq!(2.0 * df[0], dx[0] * 1.5);
    Ok(())
}

/// f(x) = exp(-x) at x = 0.5, for a rule that uses the result of its operation.
fn run_exponential() -> Result<(), Box<dyn Error>> {
    let mut builder = GraphBuilder::new();
    let x = builder.add_input(ScalarKey::user("x"));
    let minus_x = builder.add_operation(
        ScalarOp::Neg,
        vec![ValueRef::Local(x)],
        OperationRole::Primary,
    )[0];
    let f = builder.add_operation(
        ScalarOp::Exp,
        vec![ValueRef::Local(minus_x)],
        OperationRole::Primary,
    )[0];
    let f_key = builder.global_key(f).clone();
    builder.set_outputs(vec![f]);
    let primal = Arc::new(builder.build());

    let view = resolve(vec![primal]);
    let wrt = [ScalarKey::user("x")];
    let linear = try_linearize(&view, &[f_key], &wrt, 1, &mut (), &HashMap::new())?;
    let transposed = try_linear_transpose(&linear, &mut ())?;
    let seed = transposed.tangent_inputs()[0].0.clone();

    // The coefficient exp(-x) is computed by the primal graph, as part of the same program.
    let vjp = transposed.into_graph();
    let dx = evaluate(&vjp, &[(ScalarKey::user("x"), 0.5), (seed, 1.0)])?;
    println!("derivative of exp(-x) at 0.5: {dx:?}");
    assert_eq!(dx, [-(-0.5_f64).exp()]);
    Ok(())
}

/// Public for the test that compares what is printed with what the tutorial shows.
pub fn main() -> Result<(), Box<dyn Error>> {
    run()?;
    run_exponential()
}

// The operation set: what there is, and what it computes.

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ScalarOp {
    Add,
    Mul,
    Neg,
    Exp,
}

impl GraphOperation for ScalarOp {
    type Operand = f64;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            ScalarOp::Add | ScalarOp::Mul => 2,
            ScalarOp::Neg | ScalarOp::Exp => 1,
        }
    }

    fn output_count(&self) -> usize {
        1
    }

    // How graphs are printed. There is a default, which is `Debug`.
    fn fmt_input_name(key: &ScalarKey, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match key {
            ScalarKey::User(name) => f.write_str(name),
            ScalarKey::Tangent { of, pass } => {
                write!(f, "d{pass}.")?;
                Self::fmt_input_name(of, f)
            }
            ScalarKey::Cotangent { of, output } => {
                write!(f, "ct{output}.")?;
                Self::fmt_input_name(of, f)
            }
        }
    }
}

impl EvaluableGraphOperation for ScalarOp {
    fn eval(&self, _ctx: &mut (), inputs: &[&f64]) -> Vec<f64> {
        vec![match self {
            ScalarOp::Add => inputs[0] + inputs[1],
            ScalarOp::Mul => inputs[0] * inputs[1],
            ScalarOp::Neg => -inputs[0],
            ScalarOp::Exp => inputs[0].exp(),
        }]
    }
}

/// The name of an input. Tangents and cotangent seeds are inputs too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ScalarKey {
    User(String),
    Tangent {
        of: Box<ScalarKey>,
        pass: DiffPassId,
    },
    Cotangent {
        of: Box<ScalarKey>,
        output: usize,
    },
}

impl ScalarKey {
    fn user(name: &str) -> Self {
        ScalarKey::User(name.into())
    }
}

impl ADKey for ScalarKey {
    fn tangent_of(&self, pass: DiffPassId) -> Self {
        let of = Box::new(self.clone());
        ScalarKey::Tangent { of, pass }
    }

    // There is a default, which makes seeds of tangents; a variant of their own reads better.
    fn cotangent_of(&self, output: usize) -> Self {
        let of = Box::new(self.clone());
        ScalarKey::Cotangent { of, output }
    }
}

// The two rules of each operation. Everything else is derived from them.

impl Primitive for ScalarOp {
    type ADContext = ();

    fn add() -> Self {
        ScalarOp::Add
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        primal_inputs: &[ValueKey<Self>],
        primal_outputs: &[ValueKey<Self>],
        tangent_inputs: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let tangent = match self {
            ScalarOp::Add => builder.emit_sum([tangent_inputs[0], tangent_inputs[1]]),
            ScalarOp::Mul => {
                let [x, y] = [primal_inputs[0].clone(), primal_inputs[1].clone()];
                let dx_y = tangent_inputs[0].map(|dx| {
                    builder.emit_linear(ScalarOp::Mul, [RuleOperand::Active(dx), y.into()])
                });
                let x_dy = tangent_inputs[1].map(|dy| {
                    builder.emit_linear(ScalarOp::Mul, [x.into(), RuleOperand::Active(dy)])
                });
                builder.emit_sum([dx_y, x_dy])
            }
            ScalarOp::Neg => tangent_inputs[0]
                .map(|dx| builder.emit_linear(ScalarOp::Neg, [RuleOperand::Active(dx)])),
            ScalarOp::Exp => tangent_inputs[0].map(|dx| {
                let y = primal_outputs[0].clone();
                builder.emit_linear(ScalarOp::Mul, [RuleOperand::Active(dx), y.into()])
            }),
        };
        vec![tangent]
    }

    fn transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangent_outputs: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        match self.try_linear_transpose_rule(builder, cotangent_outputs, inputs, role, ctx) {
            Ok(cotangents) => cotangents,
            Err(error) => panic!("{error}"),
        }
    }

    // The library calls this form, so that what has no rule is an error and not a panic.
    fn try_linear_transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangent_outputs: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        _ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let active: &[bool] = match role {
            OperationRole::Primary => &[],
            OperationRole::Linearized { active_mask } => active_mask,
        };
        let Some(ct) = cotangent_outputs[0] else {
            return Ok(vec![None; self.input_count()]);
        };
        let mut times = |factor: &PrimitiveValue<Self>| {
            let operands = [RuleOperand::Active(ct), factor.clone().into()];
            Some(builder.emit_linear(ScalarOp::Mul, operands))
        };
        match (self, active) {
            (ScalarOp::Add, [true, true]) => Ok(vec![Some(ct), Some(ct)]),
            (ScalarOp::Mul, [true, false]) => Ok(vec![times(&inputs[1]), None]),
            (ScalarOp::Mul, [false, true]) => Ok(vec![None, times(&inputs[0])]),
            (ScalarOp::Neg, [true]) => {
                let negated = builder.emit_linear(ScalarOp::Neg, [RuleOperand::Active(ct)]);
                Ok(vec![Some(negated)])
            }
            _ => Err(ADRuleError::unsupported(
                format!("{self:?}"),
                ADRuleKind::Transpose,
            )),
        }
    }
}

// Helpers of this program.

/// Runs what the outputs of a graph need, for inputs given by name.
fn evaluate(
    graph: &Graph<ScalarOp>,
    data: &[(ScalarKey, f64)],
) -> Result<Vec<f64>, Box<dyn Error>> {
    let outputs: Vec<ValueKey<ScalarOp>> = graph
        .outputs()
        .iter()
        .map(|&id| graph.values()[id].key.clone())
        .collect();
    let view = resolve(vec![Arc::new(graph.clone())]);
    let flat = try_materialize_merge(&view, &outputs)?;
    let data: HashMap<ValueKey<ScalarOp>, f64> = data
        .iter()
        .map(|(key, value)| (ValueKey::Input(key.clone()), *value))
        .collect();
    let inputs: Option<Vec<&f64>> = flat.inputs.iter().map(|key| data.get(key)).collect();
    let inputs = inputs.ok_or("an input has no value")?;
    Ok(compile(&flat).try_eval(&mut (), &inputs)?)
}

#[test]
fn rules_obey_the_laws() {
    tidu::laws::Laws::on_reals(|position| ScalarKey::User(format!("x{position}")))
        .operations([ScalarOp::Add, ScalarOp::Mul], |random| {
            random.many_between(2, -2.0, 2.0)
        })
        .operations([ScalarOp::Neg, ScalarOp::Exp], |random| {
            random.many_between(1, -2.0, 2.0)
        })
        .compositions(20, 6)
        .check()
        .assert();
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
