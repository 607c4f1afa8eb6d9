//! An operation in its role. Roles repeat, so operations share them.

use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::Arc;

use crate::OperationRole;

/// An operation and the role in which it is applied.
///
/// Reads like a structure that also has the field `role`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationSpec<Op> {
    /// What is computed.
    pub operation: Op,
    role: SharedRole,
}

/// The part that an operation plays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// See [`OperationRole`].
    pub role: OperationRole,
}

impl<Op> OperationSpec<Op> {
    pub(crate) fn new(operation: Op, role: SharedRole) -> Self {
        Self { operation, role }
    }
}

impl<Op> Deref for OperationSpec<Op> {
    type Target = Part;

    fn deref(&self) -> &Part {
        self.role.part()
    }
}

/// A role that many operations have; `None` is that of primal ones, and of no others. Two that are shared with
/// one another are equal at first sight.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SharedRole(Option<Arc<Part>>);

impl SharedRole {
    pub const PRIMARY: Self = Self(None);

    pub fn new(role: OperationRole) -> Self {
        match role {
            OperationRole::Primary => Self::PRIMARY,
            role => Self(Some(Arc::new(Part { role }))),
        }
    }

    fn part(&self) -> &Part {
        const PRIMARY: &Part = &Part {
            role: OperationRole::Primary,
        };
        self.0.as_deref().unwrap_or(PRIMARY)
    }
}

impl Deref for SharedRole {
    type Target = OperationRole;

    fn deref(&self) -> &OperationRole {
        &self.part().role
    }
}

impl Debug for SharedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The roles that a builder has met last, so that operations added to it share them.
#[derive(Default)]
pub(crate) struct Roles {
    known: Vec<SharedRole>,
}

/// At most this many roles are remembered: rules mark few sets of operands active.
const REMEMBERED: usize = 8;

impl Roles {
    /// The role, shared with operations that were added before.
    pub fn share(&mut self, role: OperationRole) -> SharedRole {
        if role == OperationRole::Primary {
            return SharedRole::PRIMARY;
        }
        if let Some(known) = self.known.iter().find(|known| ***known == role) {
            return known.clone();
        }
        let new = SharedRole::new(role);
        if self.known.len() == REMEMBERED {
            self.known.remove(0);
        }
        self.known.push(new.clone());
        new
    }
}
