//! The contract between this library and an operation set: two local rules per operation.
//!
//! | item | what it is |
//! |---|---|
//! | [`Primitive`] | an operation with its JVP rule and its transpose rule |
//! | [`PrimitiveBuilder`] | where a rule puts the operations that it emits |
//! | [`PrimitiveValue`] | what those operations are applied to |
//! | [`ADKey`] | how inputs for tangents and cotangents are named |
//! | [`StringKey`] | a ready key, for sets that need no other |
//! | [`Work`], [`Fixed`], [`Tangent`] | notation: rules as formulas |
//! | [`MaskFlow`], [`Masking`] | what selections do to cotangents |
//! | [`TypeTable`] | an AD context for rules that ask for shapes |
//! | [`ADRuleError`] | what can go wrong, and where |

mod builder;
mod error;
mod key;
mod linearity;
mod mask;
mod missing;
mod notation;
mod primitive;
mod scope;
mod string_key;
mod type_table;

pub use builder::{PrimitiveBuilder, PrimitiveValue, RuleOperand};
pub use error::{ADRuleError, ADRuleKind, ADRuleResult, MissingRule};
pub use key::{ADKey, DiffPassId};
pub use linearity::Linearity;
pub use mask::{MaskFlow, Masking};
pub use notation::{Arithmetic, Fixed, Tangent, Term, Times, Work};
pub use primitive::{Primitive, checked_with_residuals};
pub use string_key::StringKey;
pub use tidu_graph::{RuntimeError, TypeError, ValueType};
pub use type_table::TypeTable;

pub(crate) use key::FIRST_RESERVED_PASS;
pub(crate) use missing::{MissingRules, listed};
pub(crate) use primitive::{note_mask_type, note_same_type};
pub(crate) use scope::{RuleScope, checked_add, emit_sum};
