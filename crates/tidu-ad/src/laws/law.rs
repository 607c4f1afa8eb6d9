//! The laws that rules obey.

use std::fmt;

/// By position, wherever there is one thing a law.
pub(super) const LAWS: [Law; 10] = [
    Law::Jvp,
    Law::Linearity,
    Law::Transpose,
    Law::SymbolicZeros,
    Law::SecondOrder,
    Law::Purity,
    Law::Closure,
    Law::Growth,
    Law::Declaration,
    Law::SpecialPoints,
];

/// A law that the rules of an operation, or the derivatives of a function, obey.
///
/// Throughout, f is the operation at a point x, J its Jacobian there, t and u are tangents, c is a
/// cotangent, and ⟨a, b⟩ is the inner product of [`Space`](super::Space).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Law {
    /// J·t is the derivative of f along t: it equals the central difference, and the remainder
    /// ‖f(x + h·t) - f(x) - h·J·t‖ shrinks like h², until rounding is all that is left of it.
    Jvp,
    /// The emitted map is linear: J·0 = 0, J·(a·t) = a·J·t, J·(t + u) = J·t + J·u.
    Linearity,
    /// ⟨c, J·t⟩ = ⟨Jᵀ·c, t⟩, and the transpose of the transpose is J.
    Transpose,
    /// A missing tangent or cotangent gives what a zero gives, and no work is emitted for it.
    SymbolicZeros,
    /// The second derivative is the derivative of the first and symmetric, and forward over forward,
    /// forward over reverse, reverse over forward and reverse over reverse agree on it.
    SecondOrder,
    /// The same call twice emits the same graph, and the same evaluation twice yields the same bits, by
    /// whichever method of [`EvaluableGraphOperation`](tidu_graph::EvaluableGraphOperation).
    Purity,
    /// Everything that is emitted, and what is emitted for that, to a given order, has the rules
    /// that it needs, evaluates, and yields values of the right dimensions.
    Closure,
    /// Where the order of a derivative doubles, the number of its operations multiplies as that of a
    /// polynomial does, by at most 32: along a curve, from order 6 to order 12.
    Growth,
    /// What [`Primitive::linearity`](crate::Primitive::linearity) and
    /// [`Primitive::mask_flow`](crate::Primitive::mask_flow) declare is true in numbers, and roles and
    /// active masks of what is emitted are right ([`verify_linear`](crate::verify_linear)).
    Declaration,
    /// Values and derivatives at points that the author lists.
    SpecialPoints,
}

impl Law {
    /// All laws, in the order in which they are checked and tabulated.
    pub const ALL: &[Law] = &LAWS;

    /// The name in a table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Law::Jvp => "jvp",
            Law::Linearity => "linear",
            Law::Transpose => "transpose",
            Law::SymbolicZeros => "zeros",
            Law::SecondOrder => "second",
            Law::Purity => "pure",
            Law::Closure => "closed",
            Law::Growth => "growth",
            Law::Declaration => "declared",
            Law::SpecialPoints => "points",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
