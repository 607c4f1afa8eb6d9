//! How inputs for tangents and cotangents are named.

use std::fmt::Debug;
use std::hash::Hash;

/// Tells the tangents of one differentiation from those of another.
///
/// Give each [`linearize`](crate::linearize) a value of its own. Values from 2⁶³ up are reserved for
/// cotangent seeds, residuals and inputs of functions that are being written.
pub type DiffPassId = u64;

/// The first pass id that [`ADKey::cotangent_of`] uses for itself.
pub(crate) const FIRST_RESERVED_PASS: DiffPassId = 1 << 63;

/// The first pass id that [`ADKey::residual_of`] uses for itself.
const FIRST_RESIDUAL_PASS: DiffPassId = 3 << 62;

/// The first pass id that [`ADKey::in_scope`] uses for itself.
const FIRST_SCOPE_PASS: DiffPassId = 7 << 61;

/// An input key that can name the tangent of an input.
///
/// [`StringKey`](crate::StringKey) is one, for operation sets that need no key type of their own.
///
/// # Example
///
/// ```
/// use tidu_ad::{ADKey, DiffPassId};
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// enum Key {
///     User(String),
///     Tangent { of: Box<Key>, pass: DiffPassId },
/// }
///
/// impl ADKey for Key {
///     fn tangent_of(&self, pass: DiffPassId) -> Self {
///         Key::Tangent { of: Box::new(self.clone()), pass }
///     }
/// }
///
/// let x = Key::User("x".into());
/// assert_ne!(x.tangent_of(1), x.tangent_of(2));
/// assert_ne!(x.cotangent_of(0), x.cotangent_of(1));
/// ```
pub trait ADKey: Clone + Debug + Hash + Eq + Send + Sync + 'static {
    /// The name of this input's tangent in a pass.
    ///
    /// Must be injective: different inputs or different passes give different names, and none of
    /// them is a name in use for something else.
    fn tangent_of(&self, pass: DiffPassId) -> Self;

    /// The name of the cotangent seed of a linear map's output, where `self` is the first tangent
    /// input of that map. It carries the pass, so two transpositions never share a seed.
    ///
    /// The default uses reserved pass ids. A key type with a variant of its own for cotangents can
    /// return that instead, and reads better in print.
    fn cotangent_of(&self, output: usize) -> Self {
        self.tangent_of(FIRST_RESERVED_PASS + output as u64)
    }

    /// The name of a residual of a linear map, where `self` is the first tangent input of that map.
    ///
    /// The default uses reserved pass ids, as that of [`cotangent_of`](Self::cotangent_of) does.
    fn residual_of(&self, residual: usize) -> Self {
        self.tangent_of(FIRST_RESIDUAL_PASS + residual as u64)
    }

    /// This input while the body of its function is being written ([`FunctionScope`](crate::FunctionScope)):
    /// another one than the input of this name of another function. `scope` tells the functions of a program
    /// apart. No finished function has such a key.
    ///
    /// Must be injective, as [`tangent_of`](Self::tangent_of) must. Numbers of scopes come from a counter of
    /// the whole program, so a key should neither print nor hash them: then what is printed of an unfinished
    /// function is the same in every run. The default, which uses reserved pass ids, leaves that to
    /// `tangent_of`.
    fn in_scope(&self, scope: u64) -> Self {
        self.tangent_of(FIRST_SCOPE_PASS + scope)
    }
}
