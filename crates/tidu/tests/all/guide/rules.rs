// A part of docs/prove-your-own-primitive.md: the two rules.
use tidu::graph::{LocalValueId, OperationRole, ValueKey};
use tidu::{Linearity, Primitive, PrimitiveBuilder, PrimitiveValue, RuleOperand};

/// Tangents or cotangents; `None` is a zero that nobody computes.
type Tangents = Vec<Option<LocalValueId>>;

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn linearity(&self) -> Linearity {
        match self {
            Op::Add => Linearity::Joint,
            Op::Mul => Linearity::Each,
            Op::Const(_) | Op::Tanh | Op::SinhCosh => Linearity::Never,
        }
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> Tangents {
        let x = |i: usize| PrimitiveValue::External(x[i].clone());
        let y = |i: usize| PrimitiveValue::External(y[i].clone());
        match self {
            Op::Const(_) => vec![None],
            Op::Add => vec![b.emit_sum([dx[0], dx[1]])],
            Op::Mul => {
                let by_left = times(b, x(1), dx[0]);
                let by_right = times(b, x(0), dx[1]);
                vec![b.emit_sum([by_left, by_right])]
            }
            Op::Tanh => {
                let slope = slope_of_tanh(b, y(0));
                vec![times(b, slope, dx[0])]
            }
            Op::SinhCosh => vec![times(b, y(1), dx[0]), times(b, y(0), dx[0])],
        }
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        _ctx: &mut (),
    ) -> Tangents {
        let OperationRole::Linearized { active_mask } = role else {
            unreachable!("only operations of linear maps are transposed");
        };
        match (self, active_mask.as_slice()) {
            (Op::Add, _) => vec![ct[0], ct[0]],
            (Op::Mul, [true, false]) => vec![times(b, x[1].clone(), ct[0]), None],
            (Op::Mul, [false, true]) => vec![None, times(b, x[0].clone(), ct[0])],
            _ => unreachable!("no rule emits {self:?} as linear in {active_mask:?}"),
        }
    }

    fn one_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        _ctx: &mut (),
    ) -> Option<LocalValueId> {
        Some(b.add_primitive(number(1.0), vec![], OperationRole::Primary)[0])
    }

    fn basis_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        ctx: &mut (),
    ) -> Option<LocalValueId> {
        Self::one_like(b, like, ctx)
    }

    fn zero_like(
        b: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        _ctx: &mut (),
    ) -> Option<LocalValueId> {
        Some(b.add_primitive(number(0.0), vec![], OperationRole::Primary)[0])
    }
}

/// c·t, for a coefficient c and a tangent or cotangent t.
fn times(
    b: &mut impl PrimitiveBuilder<Op>,
    c: PrimitiveValue<Op>,
    t: Option<LocalValueId>,
) -> Option<LocalValueId> {
    t.map(|t| b.emit_linear(Op::Mul, [c.into(), RuleOperand::Active(t)]))
}
