//! How much work colourings are, counted where this crate is tested.

/// Counts this many basic steps: neighbours looked at, vertices moved.
#[cfg(not(test))]
#[inline(always)]
pub(super) fn count(_steps: usize) {}

#[cfg(test)]
pub(super) use counter::count;

#[cfg(test)]
pub(super) mod counter {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub fn count(steps: usize) {
        STEPS.with(|counted| counted.set(counted.get() + steps));
    }

    /// The number of basic steps that `work` took.
    pub fn steps_of(work: impl FnOnce()) -> usize {
        let before = STEPS.with(Cell::get);
        work();
        STEPS.with(Cell::get) - before
    }
}
