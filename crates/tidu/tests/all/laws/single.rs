//! Operands of single precision.

use tidu::graph::{EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey};
use tidu::laws::{Law, Laws, Space};
use tidu::scalar::ScalarKey;
use tidu::{
    Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleOperand::{Active, Fixed},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Mul,
    Exp,
    /// eˣ, whose rule is off by a part in fifty: J·t = eˣ·x·t near x = 1
    Inexact,
}

impl GraphOperation for Op {
    type Operand = f32;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        match self {
            Op::Add | Op::Mul => 2,
            Op::Exp | Op::Inexact => 1,
        }
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _ctx: &mut (), x: &[&f32]) -> Vec<f32> {
        vec![match self {
            Op::Add => x[0] + x[1],
            Op::Mul => x[0] * x[1],
            Op::Exp | Op::Inexact => x[0].exp(),
        }]
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        y: &[ValueKey<Self>],
        dx: &[Option<LocalValueId>],
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let fixed = |key: &ValueKey<Self>| Fixed(PrimitiveValue::External(key.clone()));
        let mut scale = |c: &ValueKey<Self>, t: Option<LocalValueId>| {
            t.map(|t| b.emit_linear(Op::Mul, [fixed(c), Active(t)]))
        };
        let terms = match self {
            Op::Add => [dx[0], dx[1]],
            Op::Mul => [scale(&x[1], dx[0]), scale(&x[0], dx[1])],
            Op::Exp => [scale(&y[0], dx[0]), None],
            Op::Inexact => {
                let scaled = scale(&y[0], dx[0]);
                [scale(&x[0], scaled), None]
            }
        };
        vec![b.emit_sum(terms)]
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        ct: &[Option<LocalValueId>],
        x: &[PrimitiveValue<Self>],
        role: &OperationRole,
        _ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        let OperationRole::Linearized { active_mask } = role else {
            panic!("{self:?} is not part of a linear map");
        };
        let ct = ct[0].unwrap();
        match self {
            Op::Add => vec![Some(ct); 2],
            Op::Mul => {
                let active = usize::from(active_mask[1]);
                let other = Fixed(x[1 - active].clone());
                let mut cotangents = vec![None; 2];
                cotangents[active] = Some(b.emit_linear(Op::Mul, [other, Active(ct)]));
                cotangents
            }
            Op::Exp | Op::Inexact => panic!("{self:?} is not linear"),
        }
    }
}

fn laws() -> Laws<Op> {
    let space = Space::new(
        |x: &f32| vec![f64::from(*x)],
        |_, coordinates| coordinates[0] as f32,
    );
    let laws = Laws::new(space, |position| ScalarKey::fresh(position as u64));
    laws.precision(f64::from(f32::EPSILON))
}

#[test]
fn single_precision_is_told() {
    let laws = laws()
        .operations([Op::Add, Op::Mul], |random| {
            let numbers = random.many_between(2, -2.0, 2.0).into_iter();
            numbers.map(|x| x as f32).collect()
        })
        .operation(Op::Exp, |random| vec![random.between(-1.0, 1.0) as f32]);
    laws.compositions(60, 6).check().assert();
}

#[test]
fn a_small_mistake_is_seen_in_single_precision() {
    let report = laws().operation(Op::Inexact, |_| vec![1.02]).check();
    assert!(report.broken_by("Inexact").contains(&Law::Jvp), "{report}");
}
