//! Functions being written: whose input is whose.

use std::cell::LazyCell;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tidu_graph::{
    DenseGraph, GraphError, GraphOperation, MaterializedGraph, ValueKey, describe_key,
};

use super::error::check_distinct;
use super::{Function, FunctionError};
use crate::rules::ADKey;

/// The inputs of a function that is being written, for front ends whose expressions are keys.
///
/// A key names an input, and two functions may call their inputs alike. Where the body of one writes the other,
/// an expression of the outer function must not be taken for an input of the inner one: it would be
/// differentiated by, which is known as perturbation confusion. So the inputs have keys of this scope
/// alone until the function is [closed](Self::close), which gives them their names, and refuses inputs of any
/// other scope: of a function that is still being written, as well as of one that is finished.
///
/// # Example
///
/// ```
/// use tidu_ad::FunctionScope;
/// use tidu_scalar::{ScalarKey, ScalarOp};
///
/// let scope = FunctionScope::<ScalarOp>::new(vec![ScalarKey::from("x")]);
/// let other = FunctionScope::<ScalarOp>::new(vec![ScalarKey::from("x")]);
/// let foreign = other.inputs().next().expect("one input");
/// let error = scope.close(vec![(foreign, "y".into())]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "input x of another function is needed but not listed among the inputs: \
///      what comes from outside has to be passed as an input"
/// );
///
/// let own = other.inputs().next().expect("one input");
/// let identity = other.close(vec![(own, "y".into())])?;
/// assert_eq!(identity.input_names(), ["x"]);
/// # Ok::<(), tidu_ad::FunctionError>(())
/// ```
#[derive(Debug)]
pub struct FunctionScope<Op: GraphOperation> {
    /// What the function will call its inputs.
    names: Vec<Op::InputKey>,
    /// What they are called meanwhile.
    own: Vec<Op::InputKey>,
    /// What they are called by expressions of no scope.
    free: Option<Vec<Op::InputKey>>,
}

impl<Op: GraphOperation<InputKey: ADKey>> FunctionScope<Op> {
    /// The scope of a function that will have these inputs.
    pub fn new(names: Vec<Op::InputKey>) -> Self {
        let scope = next_scope();
        Self {
            own: names.iter().map(|name| name.in_scope(scope)).collect(),
            names,
            free: None,
        }
    }

    /// With other keys by which expressions of no scope mean these inputs, in order. Otherwise they mean
    /// them by their names.
    pub fn with_free_names(mut self, keys: Vec<Op::InputKey>) -> Self {
        self.free = Some(keys);
        self
    }

    /// The inputs, in order, for the body.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = ValueKey<Op>> {
        self.own.iter().cloned().map(ValueKey::Input)
    }

    /// The function of these outputs, each with a name.
    ///
    /// # Errors
    ///
    /// [`FunctionError::RepeatedInput`]; [`FunctionError::Graph`] for an input that the outputs need and that is
    /// neither of this scope nor a free one of a name that the function has.
    pub fn close(
        self,
        outputs: Vec<(ValueKey<Op>, String)>,
    ) -> Result<Function<Op>, FunctionError> {
        let (keys, names): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        self.settle(&MaterializedGraph::from_keys(&keys)?, names)
    }

    /// The function of the outputs of a flat graph.
    pub(super) fn settle(
        self,
        flat: &MaterializedGraph<Op>,
        output_names: Vec<String>,
    ) -> Result<Function<Op>, FunctionError> {
        check_distinct::<Op>(&self.names)?;
        let dense = self.close_dense(flat).map_err(|error| self.locate(error))?;
        Function::settle(dense, self.names, output_names, None)
    }

    fn close_dense(&self, flat: &MaterializedGraph<Op>) -> Result<DenseGraph<Op>, GraphError> {
        let own = positions(&self.own);
        let free = LazyCell::new(|| positions(self.free.as_ref().unwrap_or(&self.names)));
        flat.closed_by(self.names.len(), |key| {
            own.get(key).or_else(|| free.get(key)).copied()
        })
    }

    /// An error that says whose an input is, if the function has one of the same name.
    fn locate(&self, error: GraphError) -> GraphError {
        match error {
            GraphError::UnlistedInput { key } if self.has_input_like(&key) => {
                let key = format!("{key} of another function");
                GraphError::UnlistedInput { key }
            }
            error => error,
        }
    }

    /// Whether an input prints as this key, which is another one.
    fn has_input_like(&self, key: &str) -> bool {
        self.inputs().any(|input| describe_key(&input) == key)
    }
}

/// A number that no other scope of the program has: for [`ADKey::in_scope`].
pub(super) fn next_scope() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn positions<Key: Eq + Hash>(keys: &[Key]) -> HashMap<&Key, usize, FixedState> {
    keys.iter().zip(0..).collect()
}
