//! What selections do to cotangents: where these are zero for certain.

/// How it is known, going backward, that a cotangent is zero where a selection did not take a value.
///
/// A cotangent that a selection sends to what it did not take is zero, whatever the rules behind it say
/// there: 0·∞ must not become NaN. So a cotangent may have a **mask**, a value of the same shape that is
/// 1 where the cotangent may be anything, and 0 where it is zero for certain. Masks come from operations
/// that choose ([`MaskFlow::Chosen`]); a transposition carries them on, and keeps cotangents by them
/// before they leave the region of a selection. What is not below a selection has no mask and costs nothing.
#[derive(Clone, Debug)]
pub struct Masking<Op> {
    /// (m, x) ↦ x where m is not 0, and 0 elsewhere; linear in x.
    pub keep_if: Op,
    /// (m, n) ↦ 1 where m or n is 1, and 0 elsewhere.
    pub either: Op,
}

/// What an operation lets through, going backward, of the knowledge where a cotangent is zero for certain.
///
/// See [`Primitive::mask_flow`](super::Primitive::mask_flow).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskFlow {
    /// Nothing: any element of the operand may depend on any of the result.
    Lost,
    /// All: an element of the operand has an influence on the same element of the results only, which are
    /// of the same shape. So it is with numbers.
    Kept,
    /// All, in another shape: [`mask_rule`](super::Primitive::mask_rule) says how.
    Mapped,
    /// More than arrived: the operation itself leaves elements out, or the whole operand, as
    /// [`mask_rule`](super::Primitive::mask_rule) says. Of one result.
    Chosen,
}
