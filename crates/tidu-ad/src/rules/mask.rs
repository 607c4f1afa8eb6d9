//! What selections do to cotangents: where these are zero for certain.

/// How cotangents are kept from what a selection did not take.
///
/// A cotangent that goes back to what was not taken is zero, whatever the rules behind it say there: 0·∞
/// must not become NaN. So a cotangent may have a **mask**, real numbers of the same shape, 0 where it is
/// zero for certain and positive where it may be anything. Operations that
/// [select](super::Primitive::selects) make masks; a transposition carries them on, and sets to zero what
/// they leave out before it could get anywhere else. What is not below a selection has no mask, and costs
/// nothing.
#[derive(Clone, Debug)]
pub struct Masking<Op> {
    /// (m, x) ↦ x where m is not 0, and 0 elsewhere; linear in x.
    pub keep_if: Op,
    /// (m, n) ↦ a positive number where m or n is one, and 0 elsewhere.
    pub either: Op,
}

/// What an operation lets through, going backward, of the knowledge where a cotangent is zero for certain.
///
/// See [`Primitive::mask_flow`](super::Primitive::mask_flow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskFlow {
    /// Nothing: an element of the operand may depend on any of the results.
    Lost,
    /// All: an element of the operand has an influence on the same element of the results only, and all
    /// are of one shape. So it is with numbers.
    Kept,
    /// What [`mask_rule`](super::Primitive::mask_rule) says; each element of the operand has an influence
    /// on one of the results at most.
    Moved,
    /// What [`mask_rule`](super::Primitive::mask_rule) says; the cotangent of an element of the operand may
    /// be a sum over elements of the results.
    Summed,
}
