//! What the tests and benchmarks of the workspace share: small stacks, expected panics,
//! random numbers, and the programs that everything is measured on.

mod panic;
mod programs;
mod random;
mod stack;

pub use panic::panic_text;
pub use programs::{Workload, append_square, apply, chain, output_keys, square, wide};
pub use random::Random;
pub use stack::on_small_stack;
