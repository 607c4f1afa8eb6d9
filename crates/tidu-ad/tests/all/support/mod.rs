//! What the tests of this crate share: one operation set that can misbehave and that counts.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tidu_ad::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, DiffPassId, Primitive, PrimitiveBuilder,
    PrimitiveValue,
    RuleOperand::{Active, Fixed},
};
use tidu_graph::{GraphOperation, LocalValueId, OperationRole, ValueKey};

pub use tidu_testkit::{apply, on_small_stack, output_keys, panic_text};

/// An operation that does as it should, unless it has a fault.
#[derive(Clone, Debug)]
pub enum Probe {
    Add,
    Mul,
    Sin,
    Cos,
    /// x ↦ (x, x); its tangents are those of x themselves.
    Fork,
    /// x ↦ x, with a fault in one of its rules.
    Faulty(Fault),
    /// An operation of any shape, to be emitted by a faulty rule.
    Block {
        inputs: usize,
        outputs: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The rule returns this many values instead of one.
    JvpReturns(usize),
    TransposeReturns(usize),
    /// The rule returns an id that it neither was given nor made.
    JvpReturnsForeignId,
    TransposeReturnsForeignId,
    /// The rule emits an operation on such an id.
    JvpUsesForeignId,
    TransposeUsesForeignId,
    /// The rule emits an operation with one operand too few.
    JvpEmitsWrongArity,
    TransposeEmitsWrongArity,
    /// The rule emits an operation with one flag too many in its mask.
    JvpEmitsWrongMask,
    TransposeEmitsWrongMask,
    /// The rule emits an operation with 257 results.
    JvpEmitsTooManyOutputs,
    TransposeEmitsTooManyOutputs,
    /// The rule refers to a result that an operation does not have.
    JvpUsesUnknownSlot,
    /// The JVP emits an operation whose operand is a tangent, without saying so.
    JvpHidesActivity,
    /// The JVP emits an operation with the role of a primal one.
    JvpEmitsPrimary,
    /// There is no rule.
    NoJvp,
    NoTranspose,
    /// The rule fails with an error of its own.
    JvpFails,
    TransposeFails,
}

/// How often rules were called: the context of this operation set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    pub jvp: usize,
    pub transpose: usize,
}

/// What equality and hashing of operations and keys cost, on this thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub op_comparisons: usize,
    pub op_hashes: usize,
    pub key_comparisons: usize,
    pub key_hashes: usize,
}

thread_local! {
    static COUNTS: Cell<Counts> = Cell::default();
    /// Whether the key type names tangents and seeds as it should.
    static NAMING: Cell<Naming> = const { Cell::new(Naming::Sound) };
    /// Whether `Primitive::add` is an addition.
    static ADD_IS_UNARY: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Naming {
    Sound,
    IgnoresPass,
    IgnoresInput,
    IgnoresOutput,
    /// A seed has the name of its tangent input.
    SeedIsTangent,
}

/// Names keys in another way, on this thread.
pub fn set_naming(naming: Naming) {
    NAMING.set(naming);
}

/// Makes `Primitive::add` an operation of one operand, on this thread.
pub fn break_add() {
    ADD_IS_UNARY.set(true);
}

/// What `body` makes operations and keys compare and hash.
pub fn counted<T>(body: impl FnOnce() -> T) -> (T, Counts) {
    COUNTS.take();
    let result = body();
    (result, COUNTS.take())
}

fn count(change: impl FnOnce(&mut Counts)) {
    let mut counts = COUNTS.get();
    change(&mut counts);
    COUNTS.set(counts);
}

impl PartialEq for Probe {
    fn eq(&self, other: &Self) -> bool {
        count(|counts| counts.op_comparisons += 1);
        match (self, other) {
            (Probe::Faulty(a), Probe::Faulty(b)) => a == b,
            (
                Probe::Block { inputs, outputs },
                Probe::Block {
                    inputs: other_inputs,
                    outputs: other_outputs,
                },
            ) => (inputs, outputs) == (other_inputs, other_outputs),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Probe {}

impl Hash for Probe {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count(|counts| counts.op_hashes += 1);
        std::mem::discriminant(self).hash(state);
    }
}

/// A number with the passes of its tangents, or a seed.
#[derive(Clone, Debug, Eq)]
pub enum Key {
    Input(usize),
    Tangent(Arc<Key>, DiffPassId),
    Seed(Arc<Key>, usize),
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        count(|counts| counts.key_comparisons += 1);
        match (self, other) {
            (Key::Input(a), Key::Input(b)) => a == b,
            (Key::Tangent(a, i), Key::Tangent(b, j)) => i == j && a == b,
            (Key::Seed(a, i), Key::Seed(b, j)) => i == j && a == b,
            _ => false,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count(|counts| counts.key_hashes += 1);
        match self {
            Key::Input(number) => number.hash(state),
            Key::Tangent(of, pass) => (1, of, pass).hash(state),
            Key::Seed(of, output) => (2, of, output).hash(state),
        }
    }
}

impl ADKey for Key {
    fn tangent_of(&self, pass: DiffPassId) -> Self {
        match NAMING.get() {
            Naming::IgnoresPass => Key::Tangent(Arc::new(self.clone()), 0),
            Naming::IgnoresInput => Key::Tangent(Arc::new(Key::Input(0)), pass),
            _ => Key::Tangent(Arc::new(self.clone()), pass),
        }
    }

    fn cotangent_of(&self, output: usize) -> Self {
        match NAMING.get() {
            Naming::IgnoresOutput => Key::Seed(Arc::new(self.clone()), 0),
            Naming::SeedIsTangent => self.clone(),
            _ => Key::Seed(Arc::new(self.clone()), output),
        }
    }
}

impl GraphOperation for Probe {
    type Operand = f64;
    type Context = ();
    type InputKey = Key;

    fn input_count(&self) -> usize {
        match self {
            Probe::Add | Probe::Mul => 2,
            Probe::Sin | Probe::Cos | Probe::Fork | Probe::Faulty(_) => 1,
            Probe::Block { inputs, .. } => *inputs,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Probe::Fork => 2,
            Probe::Block { outputs, .. } => *outputs,
            _ => 1,
        }
    }
}

/// No builder numbers its values so high.
pub const FOREIGN: LocalValueId = 1 << 40;

/// A cause that a rule or a runtime may have.
#[derive(Debug, thiserror::Error)]
#[error("the {0} rule ran out of luck")]
pub struct OutOfLuck(pub &'static str);

type Tangents = Vec<Option<LocalValueId>>;

impl Primitive for Probe {
    type ADContext = Calls;

    fn add() -> Self {
        match ADD_IS_UNARY.get() {
            true => Probe::Sin,
            false => Probe::Add,
        }
    }

    fn jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        primal_inputs: &[ValueKey<Self>],
        primal_outputs: &[ValueKey<Self>],
        tangent_inputs: &[Option<LocalValueId>],
        ctx: &mut Calls,
    ) -> Tangents {
        match self.try_jvp_rule(builder, primal_inputs, primal_outputs, tangent_inputs, ctx) {
            Ok(tangents) => tangents,
            Err(error) => panic!("{error}"),
        }
    }

    fn try_jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        primal_inputs: &[ValueKey<Self>],
        _primal_outputs: &[ValueKey<Self>],
        tangent_inputs: &[Option<LocalValueId>],
        ctx: &mut Calls,
    ) -> ADRuleResult<Tangents> {
        ctx.jvp += 1;
        let x = |i: usize| PrimitiveValue::External(primal_inputs[i].clone());
        let dx = tangent_inputs;
        let mut scale = |t: Option<LocalValueId>, by: PrimitiveValue<Self>| {
            t.map(|t| builder.emit_linear(Probe::Mul, [Active(t), Fixed(by)]))
        };
        match self {
            Probe::Add => Ok(vec![builder.emit_sum([dx[0], dx[1]])]),
            Probe::Mul => {
                let terms = [scale(dx[0], x(1)), scale(dx[1], x(0))];
                Ok(vec![builder.emit_sum(terms)])
            }
            Probe::Sin => {
                let slope = builder.emit_fixed(Probe::Cos, [x(0)]);
                Ok(vec![dx[0].map(|dx| {
                    builder.emit_linear(Probe::Mul, [Active(dx), Fixed(slope)])
                })])
            }
            Probe::Cos => Err(ADRuleError::unsupported("Cos", ADRuleKind::Jvp)),
            Probe::Fork => Ok(vec![dx[0], dx[0]]),
            Probe::Block { outputs, .. } => Ok(vec![dx[0]; *outputs]),
            Probe::Faulty(fault) => self.faulty_jvp(*fault, builder, primal_inputs, dx[0]),
        }
    }

    fn transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangent_outputs: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut Calls,
    ) -> Tangents {
        let result = self.try_linear_transpose_rule(builder, cotangent_outputs, inputs, role, ctx);
        match result {
            Ok(cotangents) => cotangents,
            Err(error) => panic!("{error}"),
        }
    }

    fn try_linear_transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangent_outputs: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        _role: &OperationRole,
        ctx: &mut Calls,
    ) -> ADRuleResult<Tangents> {
        ctx.transpose += 1;
        let ct = cotangent_outputs[0];
        match self {
            Probe::Add => Ok(vec![ct, ct]),
            Probe::Mul => {
                let by = Fixed(inputs[1].clone());
                let product = |ct| builder.emit_linear(Probe::Mul, [Active(ct), by]);
                Ok(vec![ct.map(product), None])
            }
            Probe::Faulty(fault) => self.faulty_transpose(*fault, builder, ct),
            Probe::Sin | Probe::Cos | Probe::Fork | Probe::Block { .. } => Err(
                ADRuleError::unsupported(format!("{self:?}"), ADRuleKind::Transpose),
            ),
        }
    }
}

impl Probe {
    fn faulty_jvp(
        &self,
        fault: Fault,
        builder: &mut impl PrimitiveBuilder<Self>,
        x: &[ValueKey<Self>],
        dx: Option<LocalValueId>,
    ) -> ADRuleResult<Tangents> {
        let Some(dx) = dx else {
            return Ok(vec![None]);
        };
        let mut emit = |op, operands, role| {
            let ids = builder.add_primitive(op, operands, role);
            Ok(vec![ids.first().copied()])
        };
        let local = PrimitiveValue::Local;
        let linear = |active_mask: &[bool]| OperationRole::Linearized {
            active_mask: active_mask.to_vec(),
        };
        match fault {
            Fault::JvpReturns(values) => Ok(vec![Some(dx); values]),
            Fault::JvpReturnsForeignId => Ok(vec![Some(FOREIGN)]),
            Fault::JvpUsesForeignId => emit(
                Probe::Add,
                vec![local(dx), local(FOREIGN)],
                linear(&[true, true]),
            ),
            Fault::JvpEmitsWrongArity => emit(Probe::Add, vec![local(dx)], linear(&[true])),
            Fault::JvpEmitsWrongMask => emit(
                Probe::Add,
                vec![local(dx), local(dx)],
                linear(&[true, true, true]),
            ),
            Fault::JvpEmitsTooManyOutputs => {
                let block = Probe::Block {
                    inputs: 1,
                    outputs: 257,
                };
                emit(block, vec![local(dx)], linear(&[true]))
            }
            Fault::JvpUsesUnknownSlot => {
                let ValueKey::Derived { operation, .. } = &x[0] else {
                    unreachable!("applied to a derived value only");
                };
                let missing = PrimitiveValue::External(ValueKey::Derived {
                    operation: Arc::clone(operation),
                    output_slot: 9,
                });
                emit(Probe::Mul, vec![local(dx), missing], linear(&[true, false]))
            }
            Fault::JvpHidesActivity => emit(
                Probe::Mul,
                vec![local(dx), local(dx)],
                linear(&[true, false]),
            ),
            Fault::JvpEmitsPrimary => emit(
                Probe::Add,
                vec![local(dx), local(dx)],
                OperationRole::Primary,
            ),
            Fault::NoJvp => Err(ADRuleError::unsupported("faulty", ADRuleKind::Jvp)),
            Fault::JvpFails => Err(ADRuleError::runtime(OutOfLuck("jvp"), ADRuleKind::Jvp)),
            // The fault lies in the transpose rule: the operation is its own linear map.
            _ => emit(self.clone(), vec![local(dx)], linear(&[true])),
        }
    }

    fn faulty_transpose(
        &self,
        fault: Fault,
        builder: &mut impl PrimitiveBuilder<Self>,
        ct: Option<LocalValueId>,
    ) -> ADRuleResult<Tangents> {
        let Some(ct) = ct else {
            return Ok(vec![None]);
        };
        let mut emit = |op, operands, flags| {
            let role = OperationRole::Linearized {
                active_mask: vec![true; flags],
            };
            let ids = builder.add_primitive(op, operands, role);
            Ok(vec![ids.first().copied()])
        };
        let local = PrimitiveValue::Local;
        match fault {
            Fault::TransposeReturns(values) => Ok(vec![Some(ct); values]),
            Fault::TransposeReturnsForeignId => Ok(vec![Some(FOREIGN)]),
            Fault::TransposeUsesForeignId => emit(Probe::Add, vec![local(FOREIGN), local(ct)], 2),
            Fault::TransposeEmitsWrongArity => emit(Probe::Add, vec![local(ct); 3], 3),
            Fault::TransposeEmitsWrongMask => emit(Probe::Add, vec![local(ct); 2], 1),
            Fault::TransposeEmitsTooManyOutputs => {
                let block = Probe::Block {
                    inputs: 1,
                    outputs: 257,
                };
                emit(block, vec![local(ct)], 1)
            }
            Fault::NoTranspose => Err(ADRuleError::unsupported("faulty", ADRuleKind::Transpose)),
            Fault::TransposeFails => Err(ADRuleError::runtime(
                OutOfLuck("transpose"),
                ADRuleKind::Transpose,
            )),
            _ => Ok(vec![Some(ct)]),
        }
    }
}
