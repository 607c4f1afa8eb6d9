//! Names of scalar inputs.

use tidu_ad::StringKey;

/// The name of a scalar input: a word or a number, with a mark for each tangent or cotangent taken of it.
///
/// ```
/// use tidu_scalar::ScalarKey;
///
/// assert_eq!(ScalarKey::from("x").to_string(), "x");
/// assert_eq!(ScalarKey::fresh(7).to_string(), "#7");
/// ```
pub type ScalarKey = StringKey;
