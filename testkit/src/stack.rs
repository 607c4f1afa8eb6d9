//! Tests of constant stack.

use std::panic::resume_unwind;

/// Runs on a stack of 2 MiB, whatever the test harness uses.
pub fn on_small_stack<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(body);
    match thread.expect("a thread can be started").join() {
        Ok(value) => value,
        Err(panic) => resume_unwind(panic),
    }
}
