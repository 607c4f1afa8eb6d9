//! What the tests and benchmarks of the workspace share: small stacks, expected panics,
//! random numbers, and the programs that everything is measured on.

mod arithmetic;
mod messages;
mod panic;
mod pipeline;
mod programs;
mod random;
mod reprojection;
mod sparse;
mod stack;

pub use arithmetic::{
    Arithmetic, Building, Calls, Counting, Expressions, Keys, Numbers, Recording,
};
pub use messages::assert_messages;
pub use panic::panic_text;
pub use pipeline::{Pipeline, value_and_gradient_of};
pub use programs::{
    Workload, append_square, apply, bundle_adjustment, chain, output_keys, square, squares, wide,
};
pub use random::{Random, cases};
pub use reprojection::{observations, residual};
pub use sparse::{arrowhead, bratu, bratu_energy, clnlbeam, rosenbrock};
pub use stack::on_small_stack;
