//! What rules are written with: coefficients that read like formulas, and linear maps of tangents.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

use tidu_ad::{
    PrimitiveBuilder, PrimitiveValue,
    RuleOperand::{self, Active},
};
use tidu_graph::{LocalValueId, OperationRole, ValueKey};

use crate::op::ScalarOp;

/// A tangent or a cotangent; `None` is zero.
pub(crate) type Tangent = Option<LocalValueId>;

/// Where the rule of one operation puts what it emits.
pub(crate) struct Work<'a> {
    /// Borrowed for the length of a call, so that two coefficients may be operands of one operator.
    builder: RefCell<&'a mut dyn PrimitiveBuilder<ScalarOp>>,
}

/// A coefficient: a value that depends on primal values only. Its operators emit operations that no
/// tangent enters.
#[derive(Clone, Copy)]
pub(crate) struct Fixed<'a> {
    work: &'a Work<'a>,
    value: FixedValue<'a>,
}

#[derive(Clone, Copy)]
enum FixedValue<'a> {
    External(&'a ValueKey<ScalarOp>),
    Local(LocalValueId),
}

/// The derivative of an operation by one operand: which linear map takes ẋ to ẏ.
pub(crate) enum Slope<'a> {
    /// ẏ = 0
    Zero,
    /// ẏ = ẋ
    Same,
    /// ẏ = c·ẋ
    Times(Fixed<'a>),
    /// ẏ = -(c·ẋ)
    MinusTimes(Fixed<'a>),
    /// ẏ = ẋ / d
    Over(Fixed<'a>),
    /// ẏ = -(ẋ / d)
    MinusOver(Fixed<'a>),
}

impl<'a> Work<'a> {
    pub fn new(builder: &'a mut dyn PrimitiveBuilder<ScalarOp>) -> Self {
        Self {
            builder: RefCell::new(builder),
        }
    }

    /// A value of the primal graph.
    pub fn primal(&'a self, key: &'a ValueKey<ScalarOp>) -> Fixed<'a> {
        Fixed {
            work: self,
            value: FixedValue::External(key),
        }
    }

    /// An operand of a linear operation, to be used as a coefficient.
    pub fn operand(&'a self, value: &'a PrimitiveValue<ScalarOp>) -> Fixed<'a> {
        match value {
            PrimitiveValue::External(key) => self.primal(key),
            PrimitiveValue::Local(id) => self.local(*id),
        }
    }

    /// c·t
    pub fn times(&self, c: Fixed<'_>, t: Tangent) -> Tangent {
        t.map(|t| self.linear(ScalarOp::Mul, [c.as_operand(), Active(t)]))
    }

    /// t / d
    pub fn over(&self, t: Tangent, d: Fixed<'_>) -> Tangent {
        t.map(|t| self.linear(ScalarOp::Div, [Active(t), d.as_operand()]))
    }

    /// -t
    pub fn negate(&self, t: Tangent) -> Tangent {
        t.map(|t| self.linear(ScalarOp::Neg, [Active(t)]))
    }

    /// t + u
    pub fn sum(&self, t: Tangent, u: Tangent) -> Tangent {
        match (t, u) {
            (Some(t), Some(u)) => Some(self.linear(ScalarOp::Add, [Active(t), Active(u)])),
            (t, u) => t.or(u),
        }
    }

    /// t - u
    pub fn difference(&self, t: Tangent, u: Tangent) -> Tangent {
        match (t, u) {
            (Some(t), Some(u)) => Some(self.linear(ScalarOp::Sub, [Active(t), Active(u)])),
            (t, None) => t,
            (None, u) => self.negate(u),
        }
    }

    /// t where c is not 0, and 0 elsewhere.
    pub fn keep_if(&self, c: Fixed<'_>, t: Tangent) -> Tangent {
        t.map(|t| self.linear(ScalarOp::KeepIf, [c.as_operand(), Active(t)]))
    }

    /// An operation of one result that is linear in its active operands.
    pub fn linear<const N: usize>(
        &self,
        op: ScalarOp,
        operands: [RuleOperand<ScalarOp>; N],
    ) -> LocalValueId {
        let (inputs, active_mask) = operands.into_iter().map(with_activity).unzip();
        let role = OperationRole::Linearized { active_mask };
        self.builder.borrow_mut().add_primitive(op, inputs, role)[0]
    }

    fn fixed<const N: usize>(&'a self, op: ScalarOp, operands: [Fixed<'a>; N]) -> Fixed<'a> {
        self.local(self.linear(op, operands.map(Fixed::as_operand)))
    }

    fn local(&'a self, id: LocalValueId) -> Fixed<'a> {
        Fixed {
            work: self,
            value: FixedValue::Local(id),
        }
    }
}

impl<'a> Fixed<'a> {
    pub fn as_operand(self) -> RuleOperand<ScalarOp> {
        RuleOperand::Fixed(match self.value {
            FixedValue::External(key) => PrimitiveValue::External(key.clone()),
            FixedValue::Local(id) => PrimitiveValue::Local(id),
        })
    }

    /// An operation of one operand.
    pub fn then(self, op: ScalarOp) -> Self {
        self.work.fixed(op, [self])
    }

    /// An operation of two operands.
    pub fn with(self, op: ScalarOp, other: Self) -> Self {
        self.work.fixed(op, [self, other])
    }

    /// c
    pub fn number(self, c: f64) -> Self {
        self.work.fixed(ScalarOp::constant(c), [])
    }

    /// x·y + c, rounded once
    pub fn mul_add(self, y: Self, c: f64) -> Self {
        let c = self.number(c);
        self.work.fixed(ScalarOp::MulAdd, [self, y, c])
    }

    /// a where this is not 0, and b elsewhere
    pub fn select(self, a: Self, b: Self) -> Self {
        self.work.fixed(ScalarOp::Select, [self, a, b])
    }

    /// 1 where this equals c, and 0 elsewhere
    pub fn is(self, c: f64) -> Self {
        self.with(ScalarOp::Eq, self.number(c))
    }
}

impl Slope<'_> {
    /// ẏ
    pub fn apply(self, work: &Work<'_>, t: Tangent) -> Tangent {
        match self {
            Slope::Zero => None,
            Slope::Same => t,
            Slope::Times(c) => work.times(c, t),
            Slope::MinusTimes(c) => work.negate(work.times(c, t)),
            Slope::Over(d) => work.over(t, d),
            Slope::MinusOver(d) => work.negate(work.over(t, d)),
        }
    }
}

impl Neg for Fixed<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self.then(ScalarOp::Neg)
    }
}

fn with_activity(operand: RuleOperand<ScalarOp>) -> (PrimitiveValue<ScalarOp>, bool) {
    match operand {
        Active(id) => (PrimitiveValue::Local(id), true),
        RuleOperand::Fixed(value) => (value, false),
    }
}

/// An operator on two coefficients, and on a number and a coefficient.
macro_rules! operator {
    ($Trait:ident, $method:ident) => {
        impl $Trait for Fixed<'_> {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                self.with(ScalarOp::$Trait, other)
            }
        }

        impl<'a> $Trait<Fixed<'a>> for f64 {
            type Output = Fixed<'a>;

            fn $method(self, other: Fixed<'a>) -> Fixed<'a> {
                other.number(self).$method(other)
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);
