//! Masks of cotangents, of which nothing may be left out.

use tidu::graph::{EvaluableGraphOperation, GraphOperation, LocalValueId, OperationRole, ValueKey};
use tidu::laws::{Law, LawReport, Laws, Space};
use tidu::rules::{MaskFlow, Masking, Work};
use tidu::scalar::ScalarKey;
use tidu::{ADRuleResult, Linearity, Primitive, PrimitiveBuilder, PrimitiveValue};

/// Operations on lists of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    /// The second list where the first is not 0.
    KeepIf,
    Max,
    /// A list from its end to its beginning, and what it says of masks.
    Reverse(Says),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Says {
    /// That they are turned round.
    Turned,
    /// That they stay as they are, which is not so.
    Kept,
    /// Nothing.
    Lost,
}

impl GraphOperation for Op {
    type Operand = Vec<f64>;
    type Context = ();
    type InputKey = ScalarKey;

    fn input_count(&self) -> usize {
        if matches!(self, Op::Reverse(_)) { 1 } else { 2 }
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl EvaluableGraphOperation for Op {
    fn eval(&self, _: &mut (), x: &[&Vec<f64>]) -> Vec<Vec<f64>> {
        let zip = |f: fn(f64, f64) -> f64| x[0].iter().zip(x[1]).map(|(&a, &b)| f(a, b)).collect();
        vec![match self {
            Op::Add => zip(|a, b| a + b),
            Op::KeepIf => zip(|a, b| if a == 0.0 { 0.0 } else { b }),
            Op::Max => zip(f64::max),
            Op::Reverse(_) => x[0].iter().rev().copied().collect(),
        }]
    }
}

impl Primitive for Op {
    type ADContext = ();

    fn add() -> Self {
        Op::Add
    }

    fn linearity(&self) -> Linearity {
        match self {
            Op::Add | Op::Reverse(_) => Linearity::Joint,
            Op::KeepIf => Linearity::In(&[&[false, true]]),
            Op::Max => Linearity::Never,
        }
    }

    fn masking() -> Option<Masking<Self>> {
        Some(Masking {
            keep_if: Op::KeepIf,
            either: Op::Max,
        })
    }

    fn selects(&self) -> bool {
        *self == Op::KeepIf
    }

    fn mask_flow(
        &self,
        _: &[PrimitiveValue<Self>],
        _: usize,
        _: &mut (),
    ) -> ADRuleResult<MaskFlow> {
        Ok(match self {
            Op::Add | Op::Reverse(Says::Kept) => MaskFlow::Kept,
            Op::KeepIf | Op::Reverse(Says::Turned) => MaskFlow::Moved,
            Op::Max | Op::Reverse(Says::Lost) => MaskFlow::Lost,
        })
    }

    fn mask_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        mask: Option<&PrimitiveValue<Self>>,
        inputs: &[PrimitiveValue<Self>],
        _: usize,
        ctx: &mut (),
    ) -> ADRuleResult<PrimitiveValue<Self>> {
        let work = &Work::new(b, ctx);
        Ok(match (self, mask) {
            (Op::KeepIf, None) => inputs[0].clone(),
            (Op::KeepIf, Some(mask)) => {
                let operands = [work.operand(mask), work.operand(&inputs[0])];
                work.fixed(Op::KeepIf, operands).into_value()
            }
            (_, Some(mask)) => work.fixed(self.clone(), [work.operand(mask)]).into_value(),
            (_, None) => unreachable!("only what selects is asked without a mask"),
        })
    }

    fn jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        inputs: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        tangents: &[Option<LocalValueId>],
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        if *self == Op::Add {
            return vec![b.emit_sum([tangents[0], tangents[1]])];
        }
        let work = &Work::new(b, ctx);
        let x: Vec<_> = inputs.iter().map(|key| work.primal(key)).collect();
        let dx: Vec<_> = tangents.iter().map(|&id| work.tangent(id)).collect();
        vec![work.by_linearity(self, self.linearity(), &x, &dx).id()]
    }

    fn transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        _: &OperationRole,
        ctx: &mut (),
    ) -> Vec<Option<LocalValueId>> {
        use tidu::rules::{Term, Times};
        let work = &Work::new(b, ctx);
        let ct = work.tangent(cotangents[0]);
        match self {
            Op::Add => vec![ct.id(), ct.id()],
            Op::KeepIf => vec![None, work.operand(&inputs[0]).with(Op::KeepIf, ct).id()],
            Op::Reverse(_) => vec![ct.then(self.clone()).id()],
            Op::Max => vec![None, None],
        }
    }
}

fn report(says: Says) -> LawReport {
    let laws: Laws<Op> = Laws::new(Space::real_vectors(), |at| ScalarKey::fresh(at as u64));
    let laws = laws.operation(Op::Reverse(says), |random| {
        vec![random.many_between(5, -2.0, 2.0)]
    });
    laws.check()
}

#[test]
fn masks_that_are_right_pass() {
    report(Says::Turned).assert();
    report(Says::Lost).assert();
}

#[test]
fn a_mask_that_leaves_out_what_is_there_is_caught() {
    let report = report(Says::Kept);
    assert_eq!(
        report.broken_by(&format!("{:?}", Op::Reverse(Says::Kept))),
        [Law::Declaration]
    );
    let message = &report.failures()[0].message;
    let expected = "a mask leaves out what is there: `mask_flow` and `mask_rule` say too much";
    assert_eq!(message, expected);
}
