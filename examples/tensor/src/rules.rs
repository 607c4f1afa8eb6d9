//! The two rules of every primitive, from what its definition says.

use tidu::graph::{LocalValueId, OperationRole, ValueKey};
use tidu::rules::{MaskFlow, Masking, Term};
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Composite, Linearity, Primitive, PrimitiveBuilder,
    PrimitiveValue, RuleOperand, TypeError, TypeTable, ValueType,
};

use crate::definition::{Definition, Point};
use crate::notation::{Fixed, Notation, Tangent, Work};
use crate::op::TensorOp;
use crate::primitives::Meaning;
use crate::primitives::constants::Full;
use crate::primitives::shapes::{Concatenate, Pad, Reshape, Window};
use crate::shape::{INDEX, REAL};

impl Primitive for TensorOp {
    type ADContext = TypeTable<Self>;

    fn add() -> Self {
        Self::Add
    }

    fn one_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        types: &mut TypeTable<Self>,
    ) -> Option<LocalValueId> {
        let single = types.of(like).ok().filter(|like| like.dims().is_empty())?;
        let one = Self::from(Full::new(single, 1.0)?);
        Some(b.emit_linear(one, []))
    }

    fn basis_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        types: &mut TypeTable<Self>,
    ) -> Option<LocalValueId> {
        types.of(like).ok().filter(|like| like.kind() == REAL)?;
        Self::one_like(b, like, types)
    }

    fn basis_at(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        element: usize,
        types: &mut TypeTable<Self>,
    ) -> Option<LocalValueId> {
        let like = types.of(like).ok().filter(|like| like.kind() == REAL)?;
        let dims = like.dims().to_vec();
        let single = ValueType::new(REAL, dims.iter().map(|_| 1));
        let one = b.emit_linear(Self::from(Full::new(&single, 1.0)?), []);
        let windows = windows_at(&dims, element);
        let pad = Self::from(Pad { windows, dims });
        Some(b.emit_linear(pad, [RuleOperand::Active(one)]))
    }

    fn stack(
        b: &mut impl PrimitiveBuilder<Self>,
        parts: &[ValueKey<Self>],
        axis: usize,
        to: &ValueType,
        types: &mut TypeTable<Self>,
    ) -> Option<LocalValueId> {
        let Some(first) = parts.first() else {
            return Some(b.emit_linear(Self::from(Full::new(to, 0.0)?), []));
        };
        let mut dims = types.of(first).ok()?.dims().to_vec();
        dims.insert(axis, 1);
        let parts = parts.iter().map(|part| {
            let part = RuleOperand::Fixed(PrimitiveValue::External(part.clone()));
            let widened = b.emit_linear(Self::from(Reshape(dims.clone())), [part]);
            PrimitiveValue::Local(widened)
        });
        let parts: Vec<PrimitiveValue<Self>> = parts.collect();
        let count = parts.len();
        let role = OperationRole::Linearized {
            active_mask: vec![false; count],
        };
        let joined = Self::from(Concatenate { axis, count });
        let joined = b.add_primitive(joined, parts, role)[0];
        let reshape = Self::from(Reshape(to.dims().to_vec()));
        let joined = RuleOperand::Fixed(PrimitiveValue::Local(joined));
        Some(b.emit_linear(reshape, [joined]))
    }

    fn zero_like(
        b: &mut impl PrimitiveBuilder<Self>,
        like: &ValueKey<Self>,
        types: &mut TypeTable<Self>,
    ) -> Option<LocalValueId> {
        let zero = Self::from(Full::new(types.of(like).ok()?, 0.0)?);
        Some(b.emit_linear(zero, []))
    }

    fn type_of(
        key: &ValueKey<Self>,
        types: &mut TypeTable<Self>,
    ) -> ADRuleResult<Option<ValueType>> {
        Ok(Some(types.of(key)?.clone()))
    }

    fn note_type(
        key: &ValueKey<Self>,
        value_type: &ValueType,
        types: &mut TypeTable<Self>,
    ) -> ADRuleResult<()> {
        Ok(types.note(key, value_type)?)
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
            either: Self::Maximum,
        })
    }

    fn selects(&self) -> bool {
        match self.meaning() {
            Meaning::Defined(definition) => definition.selects(),
            Meaning::Composite(_) => false,
        }
    }

    fn mask_flow(
        &self,
        inputs: &[PrimitiveValue<Self>],
        operand: usize,
        types: &mut TypeTable<Self>,
    ) -> ADRuleResult<MaskFlow> {
        let Meaning::Defined(definition) = self.meaning() else {
            return Ok(MaskFlow::Lost);
        };
        let known = inputs.iter().map(|input| match input {
            PrimitiveValue::External(key) => Ok(types.of(key)?.clone()),
            PrimitiveValue::Local(_) => Err(TypeError::Untracked.into()),
        });
        let known: Vec<ValueType> = known.collect::<ADRuleResult<_>>()?;
        Ok(definition.mask_flow(&known, operand))
    }

    fn mask_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        mask: Option<&PrimitiveValue<Self>>,
        inputs: &[PrimitiveValue<Self>],
        operand: usize,
        types: &mut TypeTable<Self>,
    ) -> ADRuleResult<PrimitiveValue<Self>> {
        let untracked = || ADRuleError::from(TypeError::Untracked);
        let Meaning::Defined(definition) = self.meaning() else {
            return Err(ADRuleError::unsupported(
                format!("{self:?}"),
                ADRuleKind::Transpose,
            ));
        };
        let work = &Work::new(b, types);
        let x = inputs.iter().map(|input| work.operand(input)).collect();
        let at = point(self, work, x, Vec::new())?;
        let result = result_types(definition, &at.types).into_iter().next();
        let from = Self::mask_type(&result.ok_or_else(untracked)?);
        let ones = Full::new(&from, 1.0)
            .map(Self::from)
            .ok_or_else(untracked)?;
        let mask = match mask {
            Some(PrimitiveValue::Local(id)) => work.tangent(Some(*id)),
            Some(PrimitiveValue::External(_)) => return Err(untracked()),
            None => work.linear(ones, []),
        };
        let found = definition.mask(&at, operand, mask);
        let to = Self::mask_type(&at.types[operand]);
        let found = if definition.broadcasts() {
            found.gathered_to(&from, &to)
        } else {
            found
        };
        let id = found.id().ok_or_else(untracked)?;
        Ok(PrimitiveValue::Local(id))
    }

    fn mask_type(value_type: &ValueType) -> ValueType {
        ValueType::new(REAL, value_type.dims().iter().copied())
    }

    fn is_differentiable(value_type: &ValueType) -> bool {
        value_type.kind() != INDEX
    }

    fn linearity(&self) -> Linearity {
        match self.meaning() {
            Meaning::Defined(definition) => definition.linearity(),
            Meaning::Composite(_) => Linearity::Undeclared,
        }
    }

    fn try_jvp_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        inputs: &[ValueKey<Self>],
        outputs: &[ValueKey<Self>],
        tangents: &[Option<LocalValueId>],
        types: &mut TypeTable<Self>,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let definition = match self.meaning() {
            Meaning::Defined(definition) => definition,
            Meaning::Composite(function) => {
                return function.try_jvp_rule(b, inputs, tangents, types);
            }
        };
        let work = &Work::new(b, types);
        let [x, y] =
            [inputs, outputs].map(|keys| keys.iter().map(|key| work.primal(key)).collect());
        let at = point(self, work, x, y)?;
        // Indices do not move, whatever a tape takes them for.
        let dx = tangents
            .iter()
            .zip(&at.types)
            .map(|(&id, known)| work.tangent(id.filter(|_| Self::is_differentiable(known))));
        let dx: Vec<Tangent<'_>> = dx.collect();
        if dx.iter().all(|dx| dx.is_zero()) {
            return Ok(vec![None; outputs.len()]);
        }
        let dy = definition.jvp(&at, &dx);
        if !definition.broadcasts() {
            return Ok(dy.into_iter().map(Tangent::id).collect());
        }
        let stretched = dy.into_iter().zip(result_types(definition, &at.types));
        let stretched = stretched.map(|(dy, to)| match dy.is_zero() {
            true => None,
            false => dy.stretched_to(&to).id(),
        });
        Ok(stretched.collect())
    }

    fn try_linear_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        types: &mut TypeTable<Self>,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        self.transposed(b, cotangents, None, inputs, role, types)
    }

    fn try_masked_transpose_rule(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Option<LocalValueId>],
        mask: &PrimitiveValue<Self>,
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        types: &mut TypeTable<Self>,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        self.transposed(b, cotangents, Some(mask), inputs, role, types)
    }
}

impl TensorOp {
    fn transposed(
        &self,
        b: &mut impl PrimitiveBuilder<Self>,
        cotangents: &[Option<LocalValueId>],
        mask: Option<&PrimitiveValue<Self>>,
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        types: &mut TypeTable<Self>,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        let definition = match self.meaning() {
            Meaning::Defined(definition) => definition,
            Meaning::Composite(function) => {
                return function.try_linear_transpose_rule(b, cotangents, inputs, types);
            }
        };
        let active = match role {
            OperationRole::Linearized { active_mask }
                if definition.results() == 1 && definition.linearity().permits(active_mask) =>
            {
                active_mask
            }
            _ => {
                return Err(ADRuleError::unsupported(
                    format!("{self:?}"),
                    ADRuleKind::Transpose,
                ));
            }
        };
        let work = &Work::new(b, types);
        let x = inputs.iter().map(|input| work.operand(input)).collect();
        let at = point(self, work, x, Vec::new())?;
        let from = match definition.broadcasts() {
            true => result_types(definition, &at.types).into_iter().next(),
            false => None,
        };
        let ct = work.tangent(cotangents[0]);
        let operands = at.types.iter().zip(active).enumerate();
        let cotangents = operands.map(|(i, (to, active))| {
            let ct = active.then(|| match mask {
                None => definition.transpose(&at, i, ct),
                Some(mask) => definition.masked_transpose(&at, i, ct, work.operand(mask)),
            });
            let ct = ct.filter(|ct| !ct.is_zero())?;
            match &from {
                Some(from) => ct.gathered_to(from, to).id(),
                None => ct.id(),
            }
        });
        Ok(cotangents.collect())
    }
}

/// What rules know.
fn point<'a>(
    op: &'a TensorOp,
    work: &'a Work<'a>,
    x: Vec<Fixed<'a>>,
    y: Vec<Fixed<'a>>,
) -> ADRuleResult<Point<'a>> {
    let types = x.iter().map(|x| x.value_type());
    let types = types.collect::<ADRuleResult<_>>()?;
    Ok(Point {
        work,
        op,
        x,
        y,
        types,
    })
}

/// Types of operands that are known to fit: the operation is there.
fn result_types(definition: &dyn Definition, operands: &[ValueType]) -> Vec<ValueType> {
    let operands: Vec<&ValueType> = operands.iter().collect();
    definition.types(&operands).unwrap_or_default()
}

/// Where an element stands that has this number, counted from first to last.
fn windows_at(dims: &[usize], element: usize) -> Vec<Window> {
    let mut rest = element;
    let mut windows: Vec<Window> = dims
        .iter()
        .rev()
        .map(|&size| {
            let start = rest % size;
            rest /= size;
            Window {
                start,
                count: 1,
                step: 1,
            }
        })
        .collect();
    windows.reverse();
    windows
}
