//! Tests of what panics say, and where.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread expects a panic, and where it then came from.
    static EXPECTED_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The text of the panic that `body` must raise, which must point at a test, not at the library.
pub fn panic_text<T>(body: impl FnOnce() -> T) -> String {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            let ours = EXPECTED_PANIC.with_borrow_mut(|place| {
                let place = place.as_mut()?;
                *place = panic.location()?.file().replace('\\', "/");
                Some(())
            });
            if ours.is_none() {
                others(panic);
            }
        }));
    });
    EXPECTED_PANIC.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(body));
    let place = EXPECTED_PANIC.take().expect("set above");
    let panic = result.err().expect("a panic");
    assert!(place.contains("tests/"), "the panic points at {place}");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(text) => text.downcast::<&str>().expect("a text").to_string(),
    }
}
