//! The two rules of every primitive, from what its definition says.

use tidu_ad::{
    ADRuleError, ADRuleKind, ADRuleResult, Composite, Linearity, Primitive, PrimitiveBuilder,
    PrimitiveValue,
};
use tidu_graph::{LocalValueId, OperationRole, ValueKey};

use crate::definition::{Meaning, Primal};
use crate::fixed::{Fixed, Tangent, Work};
use crate::op::ScalarOp;

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
        let definition = self.definition();
        definition.map_or(Linearity::Undeclared, |definition| definition.linearity)
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        inputs: &[ValueKey<Self>],
        outputs: &[ValueKey<Self>],
        tangents: &[Tangent],
        ctx: &mut (),
    ) -> Vec<Tangent> {
        match self.try_jvp_rule(b, inputs, outputs, tangents, ctx) {
            Ok(tangents) => tangents,
            Err(error) => panic!("{error}"),
        }
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        inputs: &[ValueKey<Self>],
        outputs: &[ValueKey<Self>],
        tangents: &[Tangent],
        ctx: &mut (),
    ) -> ADRuleResult<Vec<Tangent>> {
        let definition = match self.meaning() {
            Meaning::Defined(definition) => definition,
            Meaning::Composite(function) => {
                return function.try_jvp_rule(b, inputs, tangents, ctx);
            }
        };
        let work = &Work::new(b);
        let primal = Primal {
            work,
            inputs,
            outputs,
        };
        Ok(definition.jvp.tangents(self.number(), primal, tangents))
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Tangent],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> Vec<Tangent> {
        match self.try_linear_transpose_rule(b, cotangents, inputs, role, ctx) {
            Ok(cotangents) => cotangents,
            Err(error) => panic!("{error}"),
        }
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Tangent],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> ADRuleResult<Vec<Tangent>> {
        let definition = match self.meaning() {
            Meaning::Defined(definition) => definition,
            Meaning::Composite(function) => {
                return function.try_linear_transpose_rule(b, cotangents, inputs, ctx);
            }
        };
        let not_linear = || ADRuleError::unsupported(format!("{self:?}"), ADRuleKind::Transpose);
        let (Some(transpose), OperationRole::Linearized { active_mask }) =
            (definition.transpose, role)
        else {
            return Err(not_linear());
        };
        let work = &Work::new(b);
        let inputs: Vec<Fixed<'_>> = inputs.iter().map(|input| work.operand(input)).collect();
        transpose(work, active_mask, &inputs, cotangents[0]).ok_or_else(not_linear)
    }
}
