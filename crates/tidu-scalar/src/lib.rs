//! The reference primitive set of `tidu`: elementary functions on `f64`.
//!
//! For programs on real numbers, and for authors of primitive sets to read: [`ScalarOp`] shows what
//! a set looks like, each primitive defined in one place by its values and its slopes. It is not for
//! arrays; an operation of this set works on one number.
//!
//! # Example
//!
//! f(x, y) = x·eʸ, written with operators, its gradient, and a second derivative:
//!
//! ```
//! let f = tidu_scalar::function(["x", "y"], |[x, y]| [&x * y.exp()])?;
//! let gradient = f.grad(..)?;
//! assert_eq!(gradient.compile().call(&[2.0, 0.0])?, [1.0, 2.0]);
//! assert_eq!(gradient.to_string(), "function {
//!     input %0 = x
//!     input %1 = y
//!     %2 = exp %1
//!     %3 = mul %0, %2
//!     output %2 -> d.x
//!     output %3 -> d.y
//! }");
//! let second = f.grad("y")?.grad("y")?;
//! assert_eq!(second.compile().call(&[3.0, 0.0])?, [3.0]);
//! # Ok::<(), tidu_ad::FunctionError>(())
//! ```
//!
//! The same with numbers at once, on a tape:
//!
//! ```
//! let tape = tidu_scalar::Tape::new();
//! let [x, y] = tape.vars([2.0, 0.0]);
//! let gradients = (x * y.exp()).backward()?;
//! assert_eq!((gradients[x], gradients[y]), (1.0, 2.0));
//! # Ok::<(), tidu_eager::EagerError>(())
//! ```

#![cfg_attr(
    book,
    doc = "# In the book

[A ten-minute start](../book/start.html), [Scalar primitives](../book/scalar.html), with the accuracy and the
edges of each; [Scalar programs](../book/scalar-programs.html)."
)]
#![warn(clippy::unwrap_used)]

pub mod bytecode;
mod closures;
mod definition;
mod expr;
mod front;
mod key;
mod names;
mod notation;
mod op;
mod primitives;
mod program;
mod rules;
mod simplify;
mod var;

pub use closures::{
    derivative, grad, hessian, hvp, jacobian, jacobian_in, jvp, value_and_grad, value_and_jacobian,
    value_and_jacobian_in,
};
pub use expr::{Expr, IntoOutputs, function, function_of};
pub use front::Value;
pub use key::ScalarKey;
pub use op::{Constant, PowerOrders, ScalarOp};
pub use program::{
    Batch, BatchWorkspace, CompileScalar, ProgramError, ProgramOptions, ScalarProgram, Scan,
    ScanCotangents, ScanInputs, ScanOutputs, ScanPullback, Workspace,
};
pub use var::{Gradients, Tape, Var};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
