//! What is compiled otherwise with optimisation, tested as it ships: only then do the loops of batches become
//! vectors. `cargo xtask test` builds this for release.

#[path = "all/batches.rs"]
mod batches;
#[path = "all/programs.rs"]
mod programs;
#[path = "all/support/mod.rs"]
mod support;
#[path = "all/vector_math.rs"]
mod vector_math;
