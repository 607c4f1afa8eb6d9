//! The two rules of every primitive, from what its definition says.

use tidu_ad::rules::{MaskFlow, Masking};
use tidu_ad::{
    ADRuleError, ADRuleKind, ADRuleResult, Composite, Linearity, Primitive, PrimitiveBuilder,
    PrimitiveValue,
};
use tidu_graph::{LocalValueId, OperationRole, ValueKey};

use crate::definition::{Meaning, Primal};
use crate::notation::{Coefficient, Notation, Times, Work};
use crate::op::ScalarOp;

/// No primitive has more: those of a rule stand on the stack.
const MOST_OPERANDS: usize = 3;

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

    fn masking() -> Option<Masking<Self>> {
        Some(Masking {
            keep_if: Self::KeepIf,
            either: Self::Max,
        })
    }

    fn selects(&self) -> bool {
        matches!(self, Self::Select | Self::KeepIf)
    }

    /// Numbers have one element: a cotangent that is zero for certain stays so.
    fn mask_flow(
        &self,
        _inputs: &[PrimitiveValue<Self>],
        _operand: usize,
        _ctx: &mut (),
    ) -> ADRuleResult<MaskFlow> {
        Ok(if self.selects() {
            MaskFlow::Moved
        } else {
            MaskFlow::Kept
        })
    }

    fn mask_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        mask: Option<&PrimitiveValue<Self>>,
        inputs: &[PrimitiveValue<Self>],
        operand: usize,
        ctx: &mut (),
    ) -> ADRuleResult<PrimitiveValue<Self>> {
        let work = &Work::new(b, ctx);
        let condition = work.operand(&inputs[0]);
        let taken = match operand {
            1 => condition.with(Self::Ne, work.number(0.0)),
            _ => condition.is(0.0),
        };
        let taken = match mask {
            Some(mask) => work.operand(mask).keep_if(taken),
            None => taken,
        };
        Ok(taken.into_value())
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
        tangents: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
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
        tangents: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let definition = match self.meaning() {
            Meaning::Defined(definition) => definition,
            Meaning::Composite(function) => {
                return function.try_jvp_rule(b, inputs, tangents, ctx);
            }
        };
        let work = &Work::new(b, ctx);
        let primal = Primal {
            work,
            inputs,
            outputs,
        };
        let mut dx = [work.zero(); MOST_OPERANDS];
        for (dx, id) in dx.iter_mut().zip(tangents) {
            *dx = work.tangent(*id);
        }
        Ok(definition.jvp.tangents(self.number(), primal, &dx))
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        match self.try_linear_transpose_rule(b, cotangents, inputs, role, ctx) {
            Ok(cotangents) => cotangents,
            Err(error) => panic!("{error}"),
        }
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut (),
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let definition = match self.meaning() {
            Meaning::Defined(definition) => definition,
            Meaning::Composite(function) => {
                return function.try_linear_transpose_rule(b, cotangents, inputs, ctx);
            }
        };
        let (Some(transpose), OperationRole::Linearized { active_mask }, [first, ..]) =
            (definition.transpose, role, inputs)
        else {
            return Err(self.not_linear());
        };
        if !definition.linearity.permits(active_mask) {
            return Err(self.not_linear());
        }
        let work = &Work::new(b, ctx);
        let mut x = [work.operand(first); MOST_OPERANDS];
        for (x, input) in x.iter_mut().zip(inputs) {
            *x = work.operand(input);
        }
        let ct = work.tangent(cotangents[0]);
        let mut found = vec![None; inputs.len()];
        for (i, _) in active_mask
            .iter()
            .enumerate()
            .filter(|(_, active)| **active)
        {
            found[i] = transpose(&x, i, ct).id();
        }
        Ok(found)
    }
}

impl ScalarOp {
    fn not_linear(&self) -> ADRuleError {
        ADRuleError::unsupported(format!("{self:?}"), ADRuleKind::Transpose)
    }
}
