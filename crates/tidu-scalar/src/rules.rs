//! The primitives' two rules, as a table.

use tidu_ad::{
    ADRuleError, ADRuleKind, ADRuleResult, Composite, Linearity, Primitive, PrimitiveBuilder,
    PrimitiveValue,
    RuleOperand::{self, Active},
};
use tidu_graph::{LocalValueId, OperationRole, ValueKey};

use crate::op::ScalarOp;

type Tangents = Vec<Option<LocalValueId>>;

impl Primitive for ScalarOp {
    type ADContext = ();

    fn add() -> Self {
        Self::Add
    }

    fn one_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        _ctx: &mut (),
    ) -> Option<LocalValueId> {
        Some(b.add_primitive(Self::constant(1.0), Vec::new(), OperationRole::Primary)[0])
    }

    fn zero_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        _ctx: &mut (),
    ) -> Option<LocalValueId> {
        Some(b.add_primitive(Self::constant(0.0), Vec::new(), OperationRole::Primary)[0])
    }

    fn basis_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        ctx: &mut (),
    ) -> Option<LocalValueId> {
        Self::one_like(b, like, ctx)
    }

    fn stop_gradient() -> Option<Self> {
        Some(Self::StopGradient)
    }

    fn composite(function: Composite<Self>) -> Option<Self> {
        Some(Self::Composite(function))
    }

    fn as_composite(&self) -> Option<&Composite<Self>> {
        match self {
            Self::Composite(function) => Some(function),
            _ => None,
        }
    }

    fn linearity(&self) -> Linearity {
        match self {
            Self::Add | Self::Sub | Self::Neg => Linearity::Joint,
            Self::Mul => Linearity::Each,
            Self::Div => Linearity::In(&[&[true, false]]),
            Self::Constant(_)
            | Self::Exp
            | Self::Ln
            | Self::Sin
            | Self::Cos
            | Self::SinCos
            | Self::StopGradient => Linearity::Never,
            Self::Composite(_) => Linearity::Undeclared,
        }
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        primal_inputs: &[ValueKey<Self>],
        primal_outputs: &[ValueKey<Self>],
        tangent_inputs: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> Tangents {
        let tangents =
            self.try_jvp_rule(builder, primal_inputs, primal_outputs, tangent_inputs, ctx);
        match tangents {
            Ok(tangents) => tangents,
            Err(error) => panic!("{error}"),
        }
    }

    /// | y = | ẏ = |
    /// |---|---|
    /// | x₀ + x₁ | ẋ₀ + ẋ₁ |
    /// | x₀ - x₁ | ẋ₀ - ẋ₁ |
    /// | x₀·x₁ | ẋ₀·x₁ + x₀·ẋ₁ |
    /// | x₀ / x₁ | (ẋ₀ - y·ẋ₁) / x₁ |
    /// | -x | -ẋ |
    /// | eˣ | y·ẋ |
    /// | ln x | ẋ / x |
    /// | sin x | cos x · ẋ |
    /// | cos x | -(sin x · ẋ) |
    /// | (s, c) = (sin x, cos x) | (c·ẋ, -(s·ẋ)) |
    /// | stop_gradient x | 0 |
    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        inputs: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> ADRuleResult<Tangents> {
        let x = |i: usize| PrimitiveValue::External(inputs[i].clone());
        let y = |i: usize| PrimitiveValue::External(y[i].clone());
        Ok(match self {
            Self::Constant(_) | Self::StopGradient => vec![None],
            Self::Composite(function) => function.try_jvp_rule(b, inputs, dx, ctx)?,
            Self::Add => vec![b.emit_sum([dx[0], dx[1]])],
            Self::Sub => vec![difference(b, dx[0], dx[1])],
            Self::Mul => {
                let by_x0 = dx[0].map(|dx| b.emit_linear(Self::Mul, [Active(dx), x(1).into()]));
                let by_x1 = scale(b, x(0), dx[1]);
                vec![b.emit_sum([by_x0, by_x1])]
            }
            Self::Div => {
                let by_x1 = scale(b, y(0), dx[1]);
                let numerator = difference(b, dx[0], by_x1);
                vec![numerator.map(|n| b.emit_linear(Self::Div, [Active(n), x(1).into()]))]
            }
            Self::Neg => vec![negate(b, dx[0])],
            Self::Exp => vec![scale(b, y(0), dx[0])],
            Self::Ln => vec![dx[0].map(|dx| b.emit_linear(Self::Div, [Active(dx), x(0).into()]))],
            Self::Sin => {
                let cos = b.emit_fixed(Self::Cos, [x(0)]);
                vec![scale(b, cos, dx[0])]
            }
            Self::Cos => {
                let sin = b.emit_fixed(Self::Sin, [x(0)]);
                let product = scale(b, sin, dx[0]);
                vec![negate(b, product)]
            }
            Self::SinCos => {
                let d_sin = scale(b, y(1), dx[0]);
                let product = scale(b, y(0), dx[0]);
                vec![d_sin, negate(b, product)]
            }
        })
    }

    fn transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangent_outputs: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> Tangents {
        match self.try_linear_transpose_rule(builder, cotangent_outputs, inputs, role, ctx) {
            Ok(cotangents) => cotangents,
            Err(error) => panic!("{error}"),
        }
    }

    /// | y = | active | x̄ = |
    /// |---|---|---|
    /// | x₀ + x₁ | any | ȳ, ȳ |
    /// | x₀ - x₁ | any | ȳ, -ȳ |
    /// | x₀·x₁ | x₀ | x₁·ȳ |
    /// | x₀·x₁ | x₁ | x₀·ȳ |
    /// | x₀ / x₁ | x₀ | ȳ / x₁ |
    /// | -x | x | -ȳ |
    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> ADRuleResult<Tangents> {
        if let Self::Composite(function) = self {
            return function.try_linear_transpose_rule(b, ct, x, ctx);
        }
        let OperationRole::Linearized { active_mask } = role else {
            return Err(self.not_linear());
        };
        match (self, active_mask.as_slice()) {
            (Self::Add, _) => Ok(vec![ct[0], ct[0]]),
            (Self::Sub, _) => Ok(vec![ct[0], negate(b, ct[0])]),
            (Self::Mul, [true, false]) => Ok(vec![scale(b, x[1].clone(), ct[0]), None]),
            (Self::Mul, [false, true]) => Ok(vec![None, scale(b, x[0].clone(), ct[0])]),
            (Self::Div, [true, false]) => {
                let divisor = RuleOperand::Fixed(x[1].clone());
                let by_divisor = |ct| b.emit_linear(Self::Div, [Active(ct), divisor]);
                Ok(vec![ct[0].map(by_divisor), None])
            }
            (Self::Neg, _) => Ok(vec![negate(b, ct[0])]),
            _ => Err(self.not_linear()),
        }
    }
}

impl ScalarOp {
    fn not_linear(&self) -> ADRuleError {
        ADRuleError::unsupported(format!("{self:?}"), ADRuleKind::Transpose)
    }
}

/// c·t, for a coefficient c and a tangent or cotangent t.
fn scale(
    b: &mut impl PrimitiveBuilder<ScalarOp>,
    c: PrimitiveValue<ScalarOp>,
    t: Option<LocalValueId>,
) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(ScalarOp::Mul, [c.into(), Active(t)]))
}

fn negate(
    b: &mut impl PrimitiveBuilder<ScalarOp>,
    t: Option<LocalValueId>,
) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(ScalarOp::Neg, [Active(t)]))
}

fn difference(
    b: &mut impl PrimitiveBuilder<ScalarOp>,
    t: Option<LocalValueId>,
    u: Option<LocalValueId>,
) -> Option<LocalValueId> {
    match (t, u) {
        (Some(t), Some(u)) => Some(b.emit_linear(ScalarOp::Sub, [Active(t), Active(u)])),
        (t, None) => t,
        (None, u) => negate(b, u),
    }
}
