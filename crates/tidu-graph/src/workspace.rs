//! The memory that programs run in.

/// The memory that a program runs in, to be used again. Any program on operands `T` can run in any workspace,
/// whichever back end made it; one that needs more room than there is makes more, the first time.
#[derive(Clone, Debug)]
pub struct Workspace<T> {
    /// Those that operands come to and go from, by slot past those of the inputs.
    pub(crate) registers: Vec<Option<T>>,
    /// Those of the operation that is being run.
    pub(crate) results: Vec<T>,
    plain: Vec<T>,
}

impl<T> Workspace<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            registers: Vec::new(),
            results: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// This many operands in a row, whatever they are: for back ends whose registers are plain numbers.
    pub fn plain(&mut self, count: usize) -> &mut [T]
    where
        T: Clone + Default,
    {
        if self.plain.len() < count {
            // Not resized: fresh zeros need not be written.
            self.plain = vec![T::default(); count];
        }
        &mut self.plain[..count]
    }

    /// Drops the operands of a run.
    pub(crate) fn clear(&mut self) {
        self.registers.clear();
        self.results.clear();
    }
}

impl<T> Default for Workspace<T> {
    fn default() -> Self {
        Self::new()
    }
}
