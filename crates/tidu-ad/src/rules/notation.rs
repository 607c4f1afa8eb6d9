//! What rules can be written with: formulas of coefficients and tangents.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

use tidu_graph::{LocalValueId, ValueKey};

use super::{
    ADRuleResult, Linearity, Primitive, PrimitiveBuilder, PrimitiveValue,
    RuleOperand::{self, Active},
    TypeError, ValueType,
};

/// An operation set whose rules are written as formulas: which operations `-`, `*`, `/` and numbers are.
/// (`+` is [`Primitive::add`].)
pub trait Arithmetic: Primitive {
    /// x - y, linear in both operands together.
    fn sub() -> Self;

    /// x·y, linear in each operand.
    fn mul() -> Self;

    /// x / y, linear in x.
    fn div() -> Self;

    /// -x
    fn neg() -> Self;

    /// A number, from no operands.
    fn number(value: f64) -> Self;
}

/// Where the rule of one operation puts what it emits.
///
/// # Example
///
/// The JVP rule of the quotient y = x₀ / x₁, ẏ = (ẋ₀ - y·ẋ₁) / x₁:
///
/// ```
/// use tidu_ad::{Primitive, PrimitiveBuilder};
/// use tidu_ad::rules::{Arithmetic, Work};
/// use tidu_graph::{LocalValueId, ValueKey};
///
/// fn jvp_of_quotient<Op: Arithmetic>(
///     builder: &mut impl PrimitiveBuilder<Op>,
///     primal_inputs: &[ValueKey<Op>],
///     primal_outputs: &[ValueKey<Op>],
///     tangent_inputs: &[Option<LocalValueId>],
///     ctx: &mut Op::ADContext,
/// ) -> Vec<Option<LocalValueId>> {
///     let work = &Work::new(builder, ctx);
///     let [x1, y] = [work.primal(&primal_inputs[1]), work.primal(&primal_outputs[0])];
///     let [dx0, dx1] = [work.tangent(tangent_inputs[0]), work.tangent(tangent_inputs[1])];
///     vec![((dx0 - y * dx1) / x1).id()]
/// }
/// ```
///
/// A tangent that is missing is zero: terms with it vanish, and nothing is emitted for them.
pub struct Work<'a, Op: Primitive> {
    /// Borrowed for the length of a call, so that two terms may be operands of one operator.
    builder: RefCell<&'a mut dyn PrimitiveBuilder<Op>>,
    context: RefCell<&'a mut Op::ADContext>,
}

/// A coefficient: a value that depends on primal values only. Its operators emit operations that no
/// tangent enters.
pub struct Fixed<'a, Op: Primitive> {
    work: &'a Work<'a, Op>,
    value: FixedValue<'a, Op>,
}

enum FixedValue<'a, Op: Primitive> {
    External(&'a ValueKey<Op>),
    Local(LocalValueId),
}

/// A tangent or a cotangent, or what is computed of such; it may be zero. Its operators emit operations
/// that are linear in it.
pub struct Tangent<'a, Op: Primitive> {
    work: &'a Work<'a, Op>,
    id: Option<LocalValueId>,
}

/// A coefficient or a tangent, for notation of one's own: a method that emits an operation of the set,
/// written once for both.
///
/// ```
/// use tidu_ad::rules::Term;
/// use tidu_scalar::ScalarOp;
///
/// trait Doubled<'a>: Term<'a, ScalarOp> {
///     fn doubled(self) -> Self {
///         self.join(ScalarOp::Add, self)
///     }
/// }
///
/// impl<'a, T: Term<'a, ScalarOp>> Doubled<'a> for T {}
/// ```
pub trait Term<'a, Op: Primitive>: Copy {
    /// Where its rule puts what it emits.
    fn work(self) -> &'a Work<'a, Op>;

    /// As an operand of an emitted operation; `None` for zero.
    fn as_operand(self) -> Option<RuleOperand<Op>>;

    /// The result of an operation on terms of this kind; `None` for zero.
    fn made(work: &'a Work<'a, Op>, id: Option<LocalValueId>) -> Option<Self>;

    /// An operation of one operand, applied to this. Of a tangent, it must be linear.
    fn then(self, op: Op) -> Self {
        let id = self.as_operand().map(|x| self.work().emit(op, [x]));
        Self::made(self.work(), id).unwrap_or(self)
    }

    /// An operation of two operands, applied to this and another. Of tangents, it must be linear in both
    /// together; if one is zero, so is the result.
    fn join(self, op: Op, other: Self) -> Self {
        let (Some(x), Some(y)) = (self.as_operand(), other.as_operand()) else {
            return if self.as_operand().is_none() {
                self
            } else {
                other
            };
        };
        let id = self.work().emit(op, [x, y]);
        Self::made(self.work(), Some(id)).unwrap_or(self)
    }

    /// The type, as far as the context knows.
    ///
    /// # Errors
    ///
    /// Those of [`Primitive::type_of`]; [`TypeError::Untracked`] for zero, for what was emitted into a
    /// builder that keeps no keys, and where the operation set has no types.
    fn value_type(self) -> ADRuleResult<ValueType> {
        let work = self.work();
        let found = match self.as_operand() {
            None => None,
            Some(RuleOperand::Fixed(PrimitiveValue::External(key))) => work.type_of(&key)?,
            Some(Active(id) | RuleOperand::Fixed(PrimitiveValue::Local(id))) => {
                let key = work.builder.borrow().key_of(id);
                key.map_or(Ok(None), |key| work.type_of(&key))?
            }
        };
        Ok(found.ok_or(TypeError::Untracked)?)
    }
}

/// A term that a term of another kind can be multiplied by: two coefficients, or a coefficient and a
/// tangent, in any order. Two tangents cannot.
pub trait Times<'a, Op: Primitive, Other>: Term<'a, Op> {
    /// A tangent if one of the two is.
    type Product: Term<'a, Op>;

    /// An operation of two operands, applied to this and another. If one of the two is a tangent, it must
    /// be linear in that.
    fn with(self, op: Op, other: Other) -> Self::Product;
}

impl<'a, Op: Primitive> Work<'a, Op> {
    /// For a rule that was given these.
    pub fn new(builder: &'a mut dyn PrimitiveBuilder<Op>, ctx: &'a mut Op::ADContext) -> Self {
        Self {
            builder: RefCell::new(builder),
            context: RefCell::new(ctx),
        }
    }

    /// A value of the primal graph.
    pub fn primal(&'a self, key: &'a ValueKey<Op>) -> Fixed<'a, Op> {
        Fixed {
            work: self,
            value: FixedValue::External(key),
        }
    }

    /// An operand of a linear operation, to be used as a coefficient.
    pub fn operand(&'a self, value: &'a PrimitiveValue<Op>) -> Fixed<'a, Op> {
        match value {
            PrimitiveValue::External(key) => self.primal(key),
            PrimitiveValue::Local(id) => self.local(*id),
        }
    }

    /// A tangent or cotangent that the rule was given.
    pub fn tangent(&'a self, id: Option<LocalValueId>) -> Tangent<'a, Op> {
        Tangent { work: self, id }
    }

    /// A tangent that is zero.
    pub fn zero(&'a self) -> Tangent<'a, Op> {
        self.tangent(None)
    }

    /// A number.
    pub fn number(&'a self, value: f64) -> Fixed<'a, Op>
    where
        Op: Arithmetic,
    {
        self.fixed(Op::number(value), [])
    }

    /// An operation of one result on coefficients.
    pub fn fixed<const N: usize>(&'a self, op: Op, operands: [Fixed<'a, Op>; N]) -> Fixed<'a, Op> {
        self.local(self.emit(op, operands.map(Fixed::into_operand)))
    }

    /// The results of an operation on coefficients.
    pub fn fixed_results<const N: usize>(
        &'a self,
        op: Op,
        operands: [Fixed<'a, Op>; N],
    ) -> Vec<Fixed<'a, Op>> {
        let ids = self.emit_all(op, operands.map(Fixed::into_operand));
        ids.into_iter().map(|id| self.local(id)).collect()
    }

    /// An operation of one result that is linear in its active operands, of which none is zero.
    pub fn linear(
        &'a self,
        op: Op,
        operands: impl IntoIterator<Item = RuleOperand<Op>>,
    ) -> Tangent<'a, Op> {
        self.tangent(Some(self.emit(op, operands)))
    }

    /// The tangent of an operation of one result that is linear as declared, by the product rule: the
    /// operation itself, with the tangents in the places of operands.
    ///
    /// | linear | ẏ |
    /// |---|---|
    /// | [`Joint`](Linearity::Joint) | op(ẋ₀, ẋ₁, …); zero unless all tangents are there |
    /// | [`Each`](Linearity::Each) | op(ẋ₀, x₁, …) + op(x₀, ẋ₁, …) + … |
    /// | [`In`](Linearity::In) | likewise, for each set of operands all of whose tangents are there |
    /// | otherwise | zero |
    pub fn by_linearity(
        &'a self,
        op: &Op,
        linearity: Linearity,
        x: &[Fixed<'a, Op>],
        dx: &[Tangent<'a, Op>],
    ) -> Tangent<'a, Op> {
        let term = |is_active: &dyn Fn(usize) -> bool| {
            let operands = (0..x.len()).map(|at| match is_active(at) {
                true => dx[at].as_operand(),
                false => Some(x[at].into_operand()),
            });
            let operands: Option<Vec<_>> = operands.collect();
            operands.map_or(self.zero(), |operands| self.linear(op.clone(), operands))
        };
        match linearity {
            Linearity::Joint => term(&|_| true),
            Linearity::Each => {
                let terms = (0..x.len()).map(|active| term(&|at| at == active));
                terms.fold(self.zero(), Add::add)
            }
            Linearity::In(masks) => {
                let terms = masks.iter().map(|mask| term(&|at| mask[at]));
                terms.fold(self.zero(), Add::add)
            }
            Linearity::Undeclared | Linearity::Never => self.zero(),
        }
    }

    fn type_of(&self, key: &ValueKey<Op>) -> ADRuleResult<Option<ValueType>> {
        Op::type_of(key, &mut self.context.borrow_mut())
    }

    fn emit(&self, op: Op, operands: impl IntoIterator<Item = RuleOperand<Op>>) -> LocalValueId {
        self.emit_all(op, operands)[0]
    }

    fn emit_all(
        &self,
        op: Op,
        operands: impl IntoIterator<Item = RuleOperand<Op>>,
    ) -> Vec<LocalValueId> {
        let (inputs, role) = RuleOperand::split(operands);
        self.builder.borrow_mut().add_primitive(op, inputs, role)
    }

    fn local(&'a self, id: LocalValueId) -> Fixed<'a, Op> {
        Fixed {
            work: self,
            value: FixedValue::Local(id),
        }
    }
}

impl<'a, Op: Primitive> Fixed<'a, Op> {
    /// As an operand of an emitted operation.
    pub fn into_operand(self) -> RuleOperand<Op> {
        RuleOperand::Fixed(self.into_value())
    }

    /// As what [`Primitive::mask_rule`] returns.
    pub fn into_value(self) -> PrimitiveValue<Op> {
        match self.value {
            FixedValue::External(key) => PrimitiveValue::External(key.clone()),
            FixedValue::Local(id) => PrimitiveValue::Local(id),
        }
    }
}

impl<'a, Op: Primitive> Tangent<'a, Op> {
    /// What the rule returns; `None` for zero.
    pub fn id(self) -> Option<LocalValueId> {
        self.id
    }

    /// Whether nothing is to be emitted for it.
    pub fn is_zero(self) -> bool {
        self.id.is_none()
    }
}

impl<'a, Op: Primitive> Term<'a, Op> for Fixed<'a, Op> {
    fn work(self) -> &'a Work<'a, Op> {
        self.work
    }

    fn as_operand(self) -> Option<RuleOperand<Op>> {
        Some(self.into_operand())
    }

    fn made(work: &'a Work<'a, Op>, id: Option<LocalValueId>) -> Option<Self> {
        id.map(|id| work.local(id))
    }
}

impl<'a, Op: Primitive> Term<'a, Op> for Tangent<'a, Op> {
    fn work(self) -> &'a Work<'a, Op> {
        self.work
    }

    fn as_operand(self) -> Option<RuleOperand<Op>> {
        self.id.map(Active)
    }

    fn made(work: &'a Work<'a, Op>, id: Option<LocalValueId>) -> Option<Self> {
        Some(work.tangent(id))
    }
}

impl<'a, Op: Primitive> Times<'a, Op, Fixed<'a, Op>> for Fixed<'a, Op> {
    type Product = Self;

    fn with(self, op: Op, other: Self) -> Self {
        self.work.fixed(op, [self, other])
    }
}

impl<'a, Op: Primitive> Times<'a, Op, Tangent<'a, Op>> for Fixed<'a, Op> {
    type Product = Tangent<'a, Op>;

    fn with(self, op: Op, other: Tangent<'a, Op>) -> Tangent<'a, Op> {
        let id = other
            .id
            .map(|t| self.work.emit(op, [self.into_operand(), Active(t)]));
        self.work.tangent(id)
    }
}

impl<'a, Op: Primitive> Times<'a, Op, Fixed<'a, Op>> for Tangent<'a, Op> {
    type Product = Self;

    fn with(self, op: Op, other: Fixed<'a, Op>) -> Self {
        let id = self
            .id
            .map(|t| self.work.emit(op, [Active(t), other.into_operand()]));
        self.work.tangent(id)
    }
}

impl<Op: Primitive> Clone for Fixed<'_, Op> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Op: Primitive> Copy for Fixed<'_, Op> {}

impl<Op: Primitive> Clone for FixedValue<'_, Op> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Op: Primitive> Copy for FixedValue<'_, Op> {}

impl<Op: Primitive> Clone for Tangent<'_, Op> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Op: Primitive> Copy for Tangent<'_, Op> {}

// The operators.

impl<'a, Op: Primitive> Add for Tangent<'a, Op> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match (self.id, other.id) {
            (Some(_), Some(_)) => self.join(Op::add(), other),
            (Some(_), None) => self,
            (None, _) => other,
        }
    }
}

impl<'a, Op: Arithmetic> Sub for Tangent<'a, Op> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        match (self.id, other.id) {
            (Some(_), Some(_)) => self.join(Op::sub(), other),
            (_, None) => self,
            (None, _) => -other,
        }
    }
}

impl<Op: Arithmetic> Neg for Tangent<'_, Op> {
    type Output = Self;

    fn neg(self) -> Self {
        self.then(Op::neg())
    }
}

impl<Op: Arithmetic> Neg for Fixed<'_, Op> {
    type Output = Self;

    fn neg(self) -> Self {
        self.then(Op::neg())
    }
}

/// An operator on two terms, of which the left is a coefficient.
macro_rules! operator {
    ($Trait:ident, $method:ident, $Left:ident, $Right:ident) => {
        impl<'a, Op: Arithmetic> $Trait<$Right<'a, Op>> for $Left<'a, Op> {
            type Output = <$Left<'a, Op> as Times<'a, Op, $Right<'a, Op>>>::Product;

            fn $method(self, other: $Right<'a, Op>) -> Self::Output {
                self.with(Op::$method(), other)
            }
        }
    };
}

/// An operator on a number and a term.
macro_rules! operator_with_number {
    ($Trait:ident, $method:ident, f64, $Right:ident) => {
        impl<'a, Op: Arithmetic> $Trait<$Right<'a, Op>> for f64 {
            type Output = $Right<'a, Op>;

            fn $method(self, other: $Right<'a, Op>) -> $Right<'a, Op> {
                other.work.number(self).$method(other)
            }
        }
    };
    ($Trait:ident, $method:ident, $Left:ident, f64) => {
        impl<'a, Op: Arithmetic> $Trait<f64> for $Left<'a, Op> {
            type Output = $Left<'a, Op>;

            fn $method(self, other: f64) -> $Left<'a, Op> {
                self.$method(self.work.number(other))
            }
        }
    };
}

operator!(Add, add, Fixed, Fixed);
operator!(Sub, sub, Fixed, Fixed);
operator!(Mul, mul, Fixed, Fixed);
operator!(Div, div, Fixed, Fixed);
operator!(Mul, mul, Fixed, Tangent);
operator!(Mul, mul, Tangent, Fixed);
operator!(Div, div, Tangent, Fixed);
operator_with_number!(Add, add, f64, Fixed);
operator_with_number!(Sub, sub, f64, Fixed);
operator_with_number!(Mul, mul, f64, Fixed);
operator_with_number!(Div, div, f64, Fixed);
operator_with_number!(Add, add, Fixed, f64);
operator_with_number!(Sub, sub, Fixed, f64);
operator_with_number!(Mul, mul, Fixed, f64);
operator_with_number!(Div, div, Fixed, f64);

// A number times zero is zero, without the number.

impl<'a, Op: Arithmetic> Mul<Tangent<'a, Op>> for f64 {
    type Output = Tangent<'a, Op>;

    fn mul(self, other: Tangent<'a, Op>) -> Tangent<'a, Op> {
        match other.is_zero() {
            true => other,
            false => other.work.number(self) * other,
        }
    }
}

impl<'a, Op: Arithmetic> Div<f64> for Tangent<'a, Op> {
    type Output = Self;

    fn div(self, other: f64) -> Self {
        match self.is_zero() {
            true => self,
            false => self / self.work.number(other),
        }
    }
}
