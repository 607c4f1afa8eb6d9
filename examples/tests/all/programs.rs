//! The programs that no tutorial walks through, with the tests that stand in them.

#[path = "../../double_pendulum.rs"]
mod double_pendulum;
#[path = "../../gradient_two_inputs.rs"]
mod gradient_two_inputs;
#[path = "../../kepler.rs"]
mod kepler;
#[path = "../../variables.rs"]
mod variables;
