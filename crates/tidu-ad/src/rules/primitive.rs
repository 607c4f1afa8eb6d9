//! An operation with its two rules.

use std::fmt::Debug;

use tidu_graph::{GraphOperation, LocalValueId, OperationRole, ValueKey, describe_operation};

use super::{
    ADKey, ADRuleError, ADRuleKind, ADRuleResult, Linearity, MaskFlow, Masking, PrimitiveBuilder,
    PrimitiveValue, ValueType,
};
use crate::function::Composite;

/// An operation with its two local rules. Everything else is derived from them.
///
/// For an operation y = f(x₁, …, xₙ), the **JVP rule** emits the linear map
/// (ẋ₁, …, ẋₙ) ↦ Σᵢ ∂f/∂xᵢ · ẋᵢ. For an operation that such a map is made of, the **transpose
/// rule** emits its adjoint. (JAX: `ad.primitive_jvps` and `ad.primitive_transposes`.)
///
/// A rule must be a function of its arguments alone, and must emit operations that are linear in
/// exactly those operands that it marks active.
///
/// # Example
///
/// Multiplication. The JVP is ẋ·y + x·ẏ; each product is linear in one operand, and its transpose
/// is the product with the other one:
///
/// ```
/// use tidu_ad::{Primitive, PrimitiveBuilder, PrimitiveValue, RuleOperand, StringKey};
/// use tidu_graph::{GraphOperation, LocalValueId, OperationRole, ValueKey};
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// enum Op {
///     Add,
///     Mul,
/// }
///
/// # impl GraphOperation for Op {
/// #     type Operand = f64;
/// #     type Context = ();
/// #     type InputKey = StringKey;
/// #     fn input_count(&self) -> usize { 2 }
/// #     fn output_count(&self) -> usize { 1 }
/// # }
/// impl Primitive for Op {
///     type ADContext = ();
///
///     fn add() -> Self {
///         Op::Add
///     }
///
///     fn jvp_rule(
///         &self,
///         builder: &mut impl PrimitiveBuilder<Self>,
///         primal_inputs: &[ValueKey<Self>],
///         _primal_outputs: &[ValueKey<Self>],
///         tangent_inputs: &[Option<LocalValueId>],
///         _ctx: &mut (),
///     ) -> Vec<Option<LocalValueId>> {
///         let [dx, dy] = [tangent_inputs[0], tangent_inputs[1]];
///         match self {
///             Op::Add => vec![builder.emit_sum([dx, dy])],
///             Op::Mul => {
///                 let [x, y] = [primal_inputs[0].clone(), primal_inputs[1].clone()];
///                 let by_x = dx.map(|dx| {
///                     builder.emit_linear(Op::Mul, [RuleOperand::Active(dx), y.into()])
///                 });
///                 let by_y = dy.map(|dy| {
///                     builder.emit_linear(Op::Mul, [x.into(), RuleOperand::Active(dy)])
///                 });
///                 vec![builder.emit_sum([by_x, by_y])]
///             }
///         }
///     }
///
///     fn transpose_rule(
///         &self,
///         builder: &mut impl PrimitiveBuilder<Self>,
///         cotangent_outputs: &[Option<LocalValueId>],
///         inputs: &[PrimitiveValue<Self>],
///         role: &OperationRole,
///         _ctx: &mut (),
///     ) -> Vec<Option<LocalValueId>> {
///         let Some(ct) = cotangent_outputs[0] else {
///             return vec![None, None];
///         };
///         match (self, role) {
///             (Op::Add, _) => vec![Some(ct), Some(ct)],
///             (Op::Mul, OperationRole::Linearized { active_mask }) => {
///                 let mut by_other = |active: bool, other: &PrimitiveValue<Self>| {
///                     let other = RuleOperand::Fixed(other.clone());
///                     active.then(|| builder.emit_linear(Op::Mul, [RuleOperand::Active(ct), other]))
///                 };
///                 vec![
///                     by_other(active_mask[0], &inputs[1]),
///                     by_other(active_mask[1], &inputs[0]),
///                 ]
///             }
///             (Op::Mul, OperationRole::Primary) => vec![None, None],
///         }
///     }
/// }
/// ```
pub trait Primitive: GraphOperation<InputKey: ADKey> {
    /// What rules may use and change: shapes, types, counters.
    type ADContext: Default;

    /// The operation that adds two operands, itself linear in both. Cotangents that meet are added
    /// with it.
    fn add() -> Self;

    /// Emits the number one, if `like` is a single number: the seed of a gradient. (For complex numbers
    /// that are real, as a loss is, 1 will do: see the conventions of
    /// [`transpose_rule`](Self::transpose_rule).)
    ///
    /// The default, `None`, says that the operation set does not know. Functions then keep the seed
    /// an input.
    fn one_like(
        _builder: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        _ctx: &mut Self::ADContext,
    ) -> Option<LocalValueId> {
        None
    }

    /// Emits the one basis vector of the vector space that `like` lives in, if that space has one real
    /// dimension, as the real numbers have: the seed of a Jacobian, in either mode.
    ///
    /// The default, `None`, says that it has not, or that the operation set does not know. Derivatives
    /// of real numbers by real numbers are cheaper in forward mode, which this makes possible.
    fn basis_like(
        _builder: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        _ctx: &mut Self::ADContext,
    ) -> Option<LocalValueId> {
        None
    }

    /// Emits a basis vector of the vector space that `like` lives in, where values have axes: 1 at the real element of
    /// this number, counted from first to last, and 0 elsewhere. Seeds of a Jacobian, in either mode.
    ///
    /// The default, `None`, says that the operation set does not know; Jacobians are then of single numbers only
    /// ([`basis_like`](Self::basis_like)).
    fn basis_at(
        _builder: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        _element: usize,
        _ctx: &mut Self::ADContext,
    ) -> Option<LocalValueId> {
        None
    }

    /// Emits values of one type side by side along a new axis, which comes before that of number `axis`, then in the
    /// shape of `to` with elements in the same order: how a Jacobian is put together. (NumPy: `stack`, `reshape`.)
    /// There may be no parts, if `to` has no elements.
    ///
    /// The default, `None`, says that the operation set does not know.
    fn stack(
        _builder: &mut impl PrimitiveBuilder<Self>,
        _parts: &[ValueKey<Self>],
        _axis: usize,
        _to: &ValueType,
        _ctx: &mut Self::ADContext,
    ) -> Option<LocalValueId> {
        None
    }

    /// Emits the zero of the vector space that `like` lives in: what a symbolic zero is when a value
    /// is needed.
    ///
    /// The default, `None`, says that the operation set does not know.
    fn zero_like(
        _builder: &mut impl PrimitiveBuilder<Self>,
        _like: &ValueKey<Self>,
        _ctx: &mut Self::ADContext,
    ) -> Option<LocalValueId> {
        None
    }

    /// The type of a value, as far as the context knows, for operation sets whose rules ask for types:
    /// with a [`TypeTable`](super::TypeTable), `Ok(Some(ctx.of(key)?.clone()))`.
    ///
    /// # Errors
    ///
    /// Where it should be known and is not.
    fn type_of(
        _key: &ValueKey<Self>,
        _ctx: &mut Self::ADContext,
    ) -> ADRuleResult<Option<ValueType>> {
        Ok(None)
    }

    /// Tells the context of what type a new input is: a tangent is of that of its primal, a cotangent
    /// seed of that of its output. With a [`TypeTable`](super::TypeTable),
    /// `Ok(ctx.note(key, value_type)?)`.
    ///
    /// # Errors
    ///
    /// Where another is known already.
    fn note_type(
        _key: &ValueKey<Self>,
        _value_type: &ValueType,
        _ctx: &mut Self::ADContext,
    ) -> ADRuleResult<()> {
        Ok(())
    }

    /// The operation that returns its operand and whose derivative is zero.
    ///
    /// The default, `None`, says that there is none. Functions need it for
    /// [`stop_gradient`](crate::Function::stop_gradient).
    fn stop_gradient() -> Option<Self> {
        None
    }

    /// The operation that a function is, if the operation set can hold functions.
    ///
    /// The default, `None`, says that it cannot. It can with a variant for [`Composite`], to which every
    /// method of its traits hands over; functions can then have derivative rules of their own
    /// ([`Function::with_rules`](crate::Function::with_rules)). Passes look into them if the set hands over
    /// [`functions`](GraphOperation::functions), too.
    fn composite(_function: Composite<Self>) -> Option<Self> {
        None
    }

    /// The function that this operation is, if it is one.
    fn as_composite(&self) -> Option<&Composite<Self>> {
        None
    }

    /// In which of its operands the operation is linear.
    ///
    /// What is declared here is checked by [`verify_linear`](crate::verify_linear); the default
    /// declares nothing.
    fn linearity(&self) -> Linearity {
        Linearity::Undeclared
    }

    /// The operations that keep cotangents from what a selection did not take.
    ///
    /// The default, `None`, says that there are none: then 0·∞ is NaN there, as everywhere.
    fn masking() -> Option<Masking<Self>> {
        None
    }

    /// Whether this operation leaves elements of operands out, or whole operands, so that their cotangents
    /// are zero for certain, and [`mask_rule`](Self::mask_rule) says where.
    fn selects(&self) -> bool {
        false
    }

    /// What this operation lets through of masks, from the cotangents of its results to that of an operand.
    /// It is asked of the linear operations that derivatives consist of. The default says: nothing.
    ///
    /// `inputs` names every operand, for rules that ask for types.
    ///
    /// # Errors
    ///
    /// As for [`try_jvp_rule`](Self::try_jvp_rule).
    fn mask_flow(
        &self,
        _inputs: &[PrimitiveValue<Self>],
        _operand: usize,
        _ctx: &mut Self::ADContext,
    ) -> ADRuleResult<MaskFlow> {
        Ok(MaskFlow::Lost)
    }

    /// Emits the mask of an operand's cotangent ([`Masking`]).
    ///
    /// `mask` is that of the result's cotangent; there may be none if the operation
    /// [selects](Self::selects). `inputs` names every operand, of which the rule may use those that are not
    /// active. It is called where [`mask_flow`](Self::mask_flow) says [`MaskFlow::Moved`] or
    /// [`MaskFlow::Summed`].
    ///
    /// # Errors
    ///
    /// As for [`try_jvp_rule`](Self::try_jvp_rule). The default is one: no rule, no such flow.
    fn mask_rule(
        &self,
        _builder: &mut impl PrimitiveBuilder<Self>,
        _mask: Option<&PrimitiveValue<Self>>,
        _inputs: &[PrimitiveValue<Self>],
        _operand: usize,
        _ctx: &mut Self::ADContext,
    ) -> ADRuleResult<PrimitiveValue<Self>> {
        Err(ADRuleError::unsupported(
            format!("the mask of {}", describe_operation(self)),
            ADRuleKind::Transpose,
        ))
    }

    /// The type of the mask of a value of some type, for operation sets whose rules ask for types.
    fn mask_type(value_type: &ValueType) -> ValueType {
        value_type.clone()
    }

    /// Emits the linear map of tangents of this operation at a point.
    ///
    /// `primal_inputs` and `primal_outputs` name the operation's operands and results, to be used
    /// as [`PrimitiveValue::External`] operands. `tangent_inputs` holds one tangent an operand,
    /// `None` for a symbolic zero; at least one of them is there. The result is one tangent an
    /// output, `None` for a symbolic zero; each is one of `tangent_inputs` or made by `builder`.
    ///
    /// Work that depends on primal values alone (say 1 - y²) may be emitted too, with an active mask
    /// that is all `false`.
    ///
    /// # Panics
    ///
    /// The default, for operation sets that have [`try_jvp_rule`](Self::try_jvp_rule) instead.
    fn jvp_rule(
        &self,
        _builder: &mut impl PrimitiveBuilder<Self>,
        _primal_inputs: &[ValueKey<Self>],
        _primal_outputs: &[ValueKey<Self>],
        _tangent_inputs: &[Option<LocalValueId>],
        _ctx: &mut Self::ADContext,
    ) -> Vec<Option<LocalValueId>> {
        panic!("{}", neither(self, "jvp_rule", "try_jvp_rule"))
    }

    /// The fallible form of [`jvp_rule`](Self::jvp_rule), which the library calls. An operation set
    /// writes one of the two.
    ///
    /// # Errors
    ///
    /// What the rule sees fit: [`ADRuleError::unsupported`](super::ADRuleError::unsupported) where
    /// there is no derivative, [`ADRuleError::runtime`](super::ADRuleError::runtime) to carry an
    /// error of its own.
    fn try_jvp_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        primal_inputs: &[ValueKey<Self>],
        primal_outputs: &[ValueKey<Self>],
        tangent_inputs: &[Option<LocalValueId>],
        ctx: &mut Self::ADContext,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        Ok(self.jvp_rule(builder, primal_inputs, primal_outputs, tangent_inputs, ctx))
    }

    /// Emits the adjoint of this operation, as a linear map of its active operands.
    ///
    /// `cotangent_outputs` holds one cotangent an output, `None` for a symbolic zero; at least one
    /// of them is there. `inputs` names every operand as [`PrimitiveValue::External`]; of the
    /// inactive ones the rule may use the value, of active ones what does not depend on the value (a
    /// shape): a transpose is the same wherever the map is applied. `role` says which are active. The result is one
    /// cotangent an operand, `None` for a symbolic zero; what it says of inactive operands is
    /// ignored.
    ///
    /// With respect to the inner product ⟨a, b⟩ = Re(conj(a)·b), summed over components: for
    /// complex operands, the product with w transposes to the product with conj(w).
    ///
    /// # Panics
    ///
    /// The default, for operation sets that have
    /// [`try_linear_transpose_rule`](Self::try_linear_transpose_rule) instead.
    fn transpose_rule(
        &self,
        _builder: &mut impl PrimitiveBuilder<Self>,
        _cotangent_outputs: &[Option<LocalValueId>],
        _inputs: &[PrimitiveValue<Self>],
        _role: &OperationRole,
        _ctx: &mut Self::ADContext,
    ) -> Vec<Option<LocalValueId>> {
        panic!(
            "{}",
            neither(self, "transpose_rule", "try_linear_transpose_rule")
        )
    }

    /// The fallible form of [`transpose_rule`](Self::transpose_rule), which the library calls. An
    /// operation set writes one of the two.
    ///
    /// # Errors
    ///
    /// As for [`try_jvp_rule`](Self::try_jvp_rule).
    fn try_linear_transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangent_outputs: &[Option<LocalValueId>],
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut Self::ADContext,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        Ok(self.transpose_rule(builder, cotangent_outputs, inputs, role, ctx))
    }

    /// The transpose where cotangents are known to be zero wherever `mask` is, and are: it must not let
    /// coefficients that stand there into a sum, as they may be infinite. It is called instead of
    /// [`try_linear_transpose_rule`](Self::try_linear_transpose_rule) where [`mask_flow`](Self::mask_flow)
    /// says [`MaskFlow::Summed`] of an active operand; the default is that rule, which will do where there
    /// are no coefficients.
    ///
    /// # Errors
    ///
    /// As for [`try_jvp_rule`](Self::try_jvp_rule).
    fn try_masked_transpose_rule(
        &self,
        builder: &mut impl PrimitiveBuilder<Self>,
        cotangent_outputs: &[Option<LocalValueId>],
        _mask: &PrimitiveValue<Self>,
        inputs: &[PrimitiveValue<Self>],
        role: &OperationRole,
        ctx: &mut Self::ADContext,
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        self.try_linear_transpose_rule(builder, cotangent_outputs, inputs, role, ctx)
    }

    /// The operation that does what this one does and returns more: the same results, and after them residuals, which
    /// derivatives by operands that are `active` use instead of computing them again. A factorization of a matrix, the
    /// last Jacobian of a solver, the states of a loop. It takes the same operands.
    ///
    /// Where a derivative is made of a function, and on a tape, it stands in the place of this operation, and its rules
    /// are asked: of the keys or operands that a rule is given for results, the last are the residuals. It is an operation
    /// like others, also for derivatives of the derivative, so its JVP has tangents for residuals, too. Results that
    /// nobody uses cost nothing but their computation.
    ///
    /// An operation that has none if all its operands are active has none at all.
    ///
    /// The default, `None`, says that operands and results are all that a derivative needs: residuals are then what
    /// the JVP rule computes from these. Within [`linearize`](crate::linearize), which leaves the graph as it is, nothing
    /// stands in for anything. (JAX: the residuals of `jax.custom_vjp`, and linearization rules of primitives.)
    fn with_residuals(&self, _active: &[bool]) -> Option<Self> {
        None
    }

    /// Whether rules may look into their [context](Self::ADContext), so that what they emit depends on more than the
    /// operation, which operands are active, and the types of these where the operation set
    /// [infers](GraphOperation::infer_types) them. Then they are called wherever an operation stands; otherwise once,
    /// for all that are alike, in whichever function or tape.
    ///
    /// The default says so of a context of more than zero bytes. A set whose context takes part in nothing that rules
    /// emit, as one that counts, may say otherwise.
    fn rules_look_into_context() -> bool {
        size_of::<Self::ADContext>() > 0
    }

    /// Whether values of a type live in a vector space, so that there are derivatives of them and by them, as
    /// there are none of indices.
    ///
    /// Functions of known types are not differentiated by anything else, and say so. The default says that all
    /// types are of that kind.
    fn is_differentiable(_value_type: &ValueType) -> bool {
        true
    }
}

/// What [`Primitive::with_residuals`] says, if it takes the same operands and returns no less.
///
/// # Errors
///
/// [`ADRuleError::WrongResiduals`] otherwise.
pub fn checked_with_residuals<Op: Primitive>(
    operation: &Op,
    active: &[bool],
) -> ADRuleResult<Option<Op>> {
    let Some(extended) = operation.with_residuals(active) else {
        return Ok(None);
    };
    let counts = |operation: &Op| (operation.input_count(), operation.output_count());
    let (expected, found) = (counts(operation), counts(&extended));
    if expected.0 == found.0 && expected.1 <= found.1 {
        return Ok(Some(extended));
    }
    Err(ADRuleError::WrongResiduals {
        op: describe_operation(operation),
        extended: describe_operation(&extended),
        expected,
        found,
    })
}

/// Tells the context that a value is of the type of another, if it knows that. Rules that ask for a type
/// that is not known will say so.
pub(crate) fn note_same_type<Op: Primitive>(
    key: &ValueKey<Op>,
    like: &ValueKey<Op>,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<()> {
    note_type_like(key, like, ValueType::clone, ctx)
}

/// Tells the context that a value is of the type of the masks of another, if it knows that.
pub(crate) fn note_mask_type<Op: Primitive>(
    key: &ValueKey<Op>,
    of: &ValueKey<Op>,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<()> {
    note_type_like(key, of, Op::mask_type, ctx)
}

fn note_type_like<Op: Primitive>(
    key: &ValueKey<Op>,
    like: &ValueKey<Op>,
    to: impl FnOnce(&ValueType) -> ValueType,
    ctx: &mut Op::ADContext,
) -> ADRuleResult<()> {
    match Op::type_of(like, ctx) {
        Ok(Some(value_type)) => Op::note_type(key, &to(&value_type), ctx),
        Ok(None) => Ok(()),
        Err(ADRuleError::Type { source, .. }) if source.is_unknown() => Ok(()),
        Err(error) => Err(error),
    }
}

/// What is said where an operation set does not have the form of a rule that was called.
fn neither(op: &impl Debug, rule: &str, fallible: &str) -> String {
    let op = describe_operation(op);
    format!("{op} has no `{rule}`: call `{fallible}`, and write one of the two")
}
