//! Runnable programs that show tidu at work; see `examples/`.
