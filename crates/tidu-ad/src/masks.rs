//! Where cotangents are zero for certain: the masks of one transposition.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tidu_graph::{GraphError, LocalValueId, OperationKey, OperationRole, ValueKey};

use crate::cotangents::{CotangentMask, CotangentSum, MaskedCotangent, keep, meet};
use crate::rules::{
    ADRuleError, ADRuleKind, ADRuleResult, MaskFlow, Masking, Primitive, PrimitiveBuilder,
    PrimitiveValue, RuleOperand, RuleScope, emit_sum,
};

/// A cotangent of a transposition, and where it may be other than zero.
pub(crate) type Cotangent = MaskedCotangent<LocalValueId, MaskId>;

/// Where a cotangent of a transposition may be other than zero.
pub(crate) type Mask = CotangentMask<MaskId>;

/// A mask of a transposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MaskId(u32);

/// The masks that go through an operation.
pub(crate) struct Passed<Op: Primitive> {
    /// By operand: the mask of its cotangent.
    pub of_operands: Vec<Option<Mask>>,
    /// That of its results' cotangents, if the rule adds elements of these up.
    pub of_results: Option<PrimitiveValue<Op>>,
}

/// The masks of one transposition. Most are never needed as values, so they are made when they are.
pub(crate) struct Masks<Op: Primitive> {
    masking: Option<Masking<Op>>,
    nodes: Vec<Node<Op>>,
    unions: HashMap<[MaskId; 2], MaskId, FixedState>,
}

struct Node<Op: Primitive> {
    origin: Origin<Op>,
    made: Option<PrimitiveValue<Op>>,
}

#[derive(Clone)]
enum Origin<Op: Primitive> {
    Given,
    /// What an operation makes of a mask, or of none, for one of its operands.
    Rule {
        operation: Arc<OperationKey<Op>>,
        operand: usize,
        of: Option<MaskId>,
    },
    Either([MaskId; 2]),
}

impl<Op: Primitive> Masks<Op> {
    pub fn new() -> Self {
        Self {
            masking: Op::masking(),
            nodes: Vec::new(),
            unions: HashMap::default(),
        }
    }

    /// A mask that the caller has.
    pub fn given(&mut self, value: LocalValueId) -> MaskId {
        self.add(Origin::Given, Some(PrimitiveValue::Local(value)))
    }

    /// Whether an operation makes masks of its own.
    pub fn come_from(&self, operation: &Op) -> bool {
        self.masking.is_some() && operation.selects()
    }

    /// The masks that go through an operation. The cotangents of its results are made such that they may be
    /// handed to its rule.
    pub fn pass(
        &mut self,
        operation: &Arc<OperationKey<Op>>,
        active: &[bool],
        cotangents: &mut [Option<Cotangent>],
        builder: &mut impl PrimitiveBuilder<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Passed<Op>> {
        let op = operation.operation();
        let inputs = operands(operation);
        let mut flows = Vec::with_capacity(active.len());
        for (operand, &active) in active.iter().enumerate() {
            flows.push(if active {
                op.mask_flow(&inputs, operand, ctx)?
            } else {
                MaskFlow::Kept
            });
        }
        let mut arriving = meet(cotangents, &mut self.sum(builder, ctx))?;
        let sums = flows.contains(&MaskFlow::Summed);
        if sums || flows.contains(&MaskFlow::Lost) {
            for cotangent in cotangents.iter_mut().flatten() {
                *cotangent = self.kept(*cotangent, builder, ctx)?;
            }
            arriving = arriving.map(|mask| Mask {
                is_kept: true,
                ..mask
            });
        }
        // A coefficient may be a NaN; what an operation selects by is none.
        let keeps = op.selects() || !active.contains(&false);
        let is_kept = keeps && arriving.is_none_or(|mask| mask.is_kept);
        let arriving = arriving.map(|mask| mask.mask);
        let mut masks = Vec::with_capacity(flows.len());
        for (operand, flow) in flows.into_iter().enumerate() {
            let id = match (flow, arriving) {
                _ if !active[operand] => None,
                (MaskFlow::Lost, _) => None,
                (MaskFlow::Kept, arriving) => arriving,
                (MaskFlow::Moved | MaskFlow::Summed, Some(mask)) if !op.selects() => {
                    Some(self.mapped(operation, operand, mask, builder, ctx)?)
                }
                (MaskFlow::Moved | MaskFlow::Summed, of) if op.selects() => {
                    let operation = Arc::clone(operation);
                    let origin = Origin::Rule {
                        operation,
                        operand,
                        of,
                    };
                    Some(self.add(origin, None))
                }
                (MaskFlow::Moved | MaskFlow::Summed, _) => None,
            };
            masks.push(id.map(|mask| Mask { mask, is_kept }));
        }
        let of_results = if sums { arriving } else { None };
        let of_results = of_results.map(|mask| self.value(mask, builder, ctx));
        Ok(Passed {
            of_operands: masks,
            of_results: of_results.transpose()?,
        })
    }

    /// What cotangents are added in, with these masks.
    pub fn sum<'a, B: PrimitiveBuilder<Op>>(
        &'a mut self,
        builder: &'a mut B,
        ctx: &'a mut Op::ADContext,
    ) -> EmittedSum<'a, Op, B> {
        EmittedSum {
            masks: self,
            builder,
            ctx,
        }
    }

    /// A cotangent that is zero where its mask says so.
    pub fn kept(
        &mut self,
        mut cotangent: Cotangent,
        builder: &mut impl PrimitiveBuilder<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<Cotangent> {
        keep(&mut cotangent, &mut self.sum(builder, ctx))?;
        Ok(cotangent)
    }

    /// The value of a mask.
    pub fn value(
        &mut self,
        mask: MaskId,
        builder: &mut impl PrimitiveBuilder<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<PrimitiveValue<Op>> {
        let mut stack = vec![mask];
        while let Some(&next) = stack.last() {
            if self.made(next).is_none() {
                let origin = self.nodes[next.0 as usize].origin.clone();
                let before = stack.len();
                stack.extend(
                    origin
                        .sources()
                        .filter(|&source| self.made(source).is_none()),
                );
                if stack.len() > before {
                    continue;
                }
                let value = self.make(origin, builder, ctx)?;
                self.nodes[next.0 as usize].made = Some(value);
            }
            stack.pop();
        }
        let made = self.made(mask).cloned();
        Ok(made.expect("it was made just now, after all that it is made of"))
    }

    fn either(&mut self, [x, y]: [MaskId; 2]) -> MaskId {
        if x == y {
            return x;
        }
        let pair = [x.min(y), x.max(y)];
        match self.unions.get(&pair) {
            Some(&known) => known,
            None => {
                let union = self.add(Origin::Either(pair), None);
                self.unions.insert(pair, union);
                union
            }
        }
    }

    /// A mask in another shape; the same, if that is what the rule returns.
    fn mapped(
        &mut self,
        operation: &Arc<OperationKey<Op>>,
        operand: usize,
        mask: MaskId,
        builder: &mut impl PrimitiveBuilder<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<MaskId> {
        let from = self.value(mask, builder, ctx)?;
        let origin = Origin::Rule {
            operation: Arc::clone(operation),
            operand,
            of: Some(mask),
        };
        let to = self.make(origin.clone(), builder, ctx)?;
        if from == to {
            return Ok(mask);
        }
        Ok(self.add(origin, Some(to)))
    }

    /// A mask whose sources have been made.
    fn make(
        &self,
        origin: Origin<Op>,
        builder: &mut impl PrimitiveBuilder<Op>,
        ctx: &mut Op::ADContext,
    ) -> ADRuleResult<PrimitiveValue<Op>> {
        let source = |mask: MaskId| self.made(mask).expect("sources are made before");
        match origin {
            Origin::Given => unreachable!("what was given is there"),
            Origin::Either(masks) => {
                let masking = self.masking.as_ref();
                let either = &masking
                    .expect("without operations there are no masks")
                    .either;
                let terms = masks.map(|mask| RuleOperand::Fixed(source(mask).clone()));
                emit(either, terms, builder).map(PrimitiveValue::Local)
            }
            Origin::Rule {
                operation,
                operand,
                of,
            } => {
                let mask = of.map(source);
                let op = operation.operation();
                let inputs = operands(&operation);
                let given = [mask.and_then(local)];
                let mut unmarked = Unmarked(builder);
                let mut scope = RuleScope::new(&mut unmarked, op, ADRuleKind::Transpose, &given);
                let made = op.mask_rule(&mut scope, mask, &inputs, operand, ctx);
                let made = made.map_err(|error| error.during(ADRuleKind::Transpose))?;
                scope.finish(1, vec![local(&made)])?;
                Ok(made)
            }
        }
    }

    fn made(&self, mask: MaskId) -> Option<&PrimitiveValue<Op>> {
        self.nodes[mask.0 as usize].made.as_ref()
    }

    fn add(&mut self, origin: Origin<Op>, made: Option<PrimitiveValue<Op>>) -> MaskId {
        // Memory runs out before `u32` does.
        let id = MaskId(self.nodes.len() as u32);
        self.nodes.push(Node { origin, made });
        id
    }
}

/// Adds cotangents in a builder.
pub(crate) struct EmittedSum<'a, Op: Primitive, B> {
    masks: &'a mut Masks<Op>,
    builder: &'a mut B,
    ctx: &'a mut Op::ADContext,
}

impl<Op: Primitive, B: PrimitiveBuilder<Op>> CotangentSum for EmittedSum<'_, Op, B> {
    type Value = LocalValueId;
    type Mask = MaskId;
    type Error = ADRuleError;

    fn add(&mut self, [x, y]: [&LocalValueId; 2]) -> ADRuleResult<LocalValueId> {
        emit_sum(self.builder, [*x, *y])
    }

    fn keep(&mut self, value: &LocalValueId, mask: &MaskId) -> ADRuleResult<LocalValueId> {
        let Some(masking) = &self.masks.masking else {
            return Ok(*value);
        };
        let keep_if = masking.keep_if.clone();
        let mask = self.masks.value(*mask, self.builder, self.ctx)?;
        let operands = [RuleOperand::Fixed(mask), RuleOperand::Active(*value)];
        emit(&keep_if, operands, self.builder)
    }

    fn either(&mut self, masks: [&MaskId; 2]) -> ADRuleResult<MaskId> {
        Ok(self.masks.either(masks.map(|mask| *mask)))
    }
}

impl<Op: Primitive> Origin<Op> {
    fn sources(&self) -> impl Iterator<Item = MaskId> + use<Op> {
        let sources = match self {
            Self::Given => [None, None],
            Self::Rule { of, .. } => [*of, None],
            Self::Either(masks) => masks.map(Some),
        };
        sources.into_iter().flatten()
    }
}

/// Takes what the rule of a mask emits for work on coefficients, also where it is written like the transpose
/// of a tangent.
struct Unmarked<'a, B>(&'a mut B);

impl<Op: Primitive, B: PrimitiveBuilder<Op>> PrimitiveBuilder<Op> for Unmarked<'_, B> {
    fn add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        _role: OperationRole,
    ) -> Vec<LocalValueId> {
        let active_mask = vec![false; inputs.len()];
        let role = OperationRole::Linearized { active_mask };
        self.0.add_primitive(op, inputs, role)
    }

    fn try_add_primitive(
        &mut self,
        op: Op,
        inputs: Vec<PrimitiveValue<Op>>,
        _role: OperationRole,
    ) -> Result<Vec<LocalValueId>, GraphError> {
        let active_mask = vec![false; inputs.len()];
        let role = OperationRole::Linearized { active_mask };
        self.0.try_add_primitive(op, inputs, role)
    }

    fn key_of(&self, id: LocalValueId) -> Option<ValueKey<Op>> {
        self.0.key_of(id)
    }
}

/// The operands of an operation, as rules are given them.
fn operands<Op: Primitive>(operation: &OperationKey<Op>) -> Vec<PrimitiveValue<Op>> {
    let inputs = operation.inputs().iter().cloned();
    inputs.map(PrimitiveValue::External).collect()
}

/// Emits an operation of the set's own choice, checked as those of rules are.
fn emit<Op: Primitive, const N: usize>(
    op: &Op,
    operands: [RuleOperand<Op>; N],
    builder: &mut impl PrimitiveBuilder<Op>,
) -> ADRuleResult<LocalValueId> {
    let (inputs, role): (Vec<_>, OperationRole) = RuleOperand::split(operands);
    let given: Vec<Option<LocalValueId>> = inputs.iter().map(local).collect();
    let mut scope = RuleScope::new(builder, op, ADRuleKind::Transpose, &given);
    let results = scope.try_emit(op.clone(), inputs, role)?;
    results
        .first()
        .copied()
        .ok_or_else(|| ADRuleError::unsupported(format!("{op:?}"), ADRuleKind::Transpose))
}

fn local<Op: Primitive>(value: &PrimitiveValue<Op>) -> Option<LocalValueId> {
    match value {
        PrimitiveValue::Local(id) => Some(*id),
        PrimitiveValue::External(_) => None,
    }
}
