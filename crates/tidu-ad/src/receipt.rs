//! What a derivative costs.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use tidu_graph::text::{counted, operation_label, operation_name};
use tidu_graph::{GraphOperation, LocalOperationId, SubFunction, ValueRef, resolve};

use crate::linearized_graph::LinearizedGraph;

/// What a derivative costs: how many operations, of which kinds, how deep, and what must be saved.
///
/// Prints as a small table; the fields are there to be asserted on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The number of operations.
    pub operations: usize,
    /// The number of operations by printed name, in the order of the names.
    pub by_operation: Vec<(String, usize)>,
    /// The number of distinct functions that these operations hold, and those within these.
    pub functions: usize,
    /// The number of operations in these functions, each function counted once.
    pub operations_in_functions: usize,
    /// The number of distinct operations of the graphs that the map was derived from.
    pub primal_operations: usize,
    /// The number of operations on the longest path.
    pub depth: usize,
    /// What the map uses of other graphs, in order of first use.
    pub residuals: Vec<Residual>,
}

/// A value of another graph that a linear map needs, so that it must be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Residual {
    /// Its name in the printed map.
    pub name: String,
    /// The printed line of the first operation that uses it.
    pub used_by: String,
    /// The printed name of the operation whose rule asked for it; `None` in a map that was read from text.
    pub asked_by: Option<String>,
}

impl Receipt {
    /// Adds up what a map costs.
    ///
    /// # Complexity
    ///
    /// Linear in the map, the functions in it, and the graphs that it was derived from.
    pub fn of<Op: GraphOperation>(linear: &LinearizedGraph<Op>) -> Self {
        let graph = linear.as_graph();
        let mut by_operation = BTreeMap::new();
        for node in graph.operations() {
            *by_operation
                .entry(operation_name(&node.operation))
                .or_default() += 1;
        }
        let functions = SubFunction::all_in(graph.operations().iter().map(|node| &node.operation));
        let inside = functions
            .iter()
            .map(|function| function.graph().operation_count());
        let primal = resolve(linear.primal().to_vec());
        let listing = linear.listing();
        let residual = |(name, user): (String, LocalOperationId)| Residual {
            name,
            used_by: listing.operation_line(user).text,
            asked_by: linear
                .emitted_by(user)
                .map(|key| operation_label(key.operation())),
        };
        Self {
            operations: graph.operation_count(),
            by_operation: by_operation.into_iter().collect(),
            operations_in_functions: inside.sum(),
            functions: functions.len(),
            primal_operations: primal.operation_count(),
            depth: depth(linear),
            residuals: listing.residuals().map(residual).collect(),
        }
    }

    /// Operations of the map for each operation of the primal graph. If that has none, infinite, or
    /// not a number if the map has none either.
    pub fn ratio(&self) -> f64 {
        self.operations as f64 / self.primal_operations as f64
    }
}

impl Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operations  {:>6}", self.operations)?;
        if self.primal_operations > 0 {
            let (primal, ratio) = (self.primal_operations, self.ratio());
            write!(f, "  {ratio:.2} for each of {primal} primal operations")?;
        }
        for (name, count) in &self.by_operation {
            write!(f, "\n  {name:<10}{count:>6}")?;
        }
        if self.functions > 0 {
            let inside = counted(self.operations_in_functions, "operation");
            write!(
                f,
                "\nfunctions   {:>6}  {inside} inside, each function counted once",
                self.functions
            )?;
        }
        write!(f, "\ndepth       {:>6}", self.depth)?;
        write!(f, "\nresiduals   {:>6}", self.residuals.len())?;
        for residual in &self.residuals {
            write!(f, "\n  {:<10}        {}", residual.name, residual.used_by)?;
            if let Some(asked_by) = &residual.asked_by {
                write!(f, ", for {asked_by}")?;
            }
        }
        Ok(())
    }
}

fn depth<Op: GraphOperation>(linear: &LinearizedGraph<Op>) -> usize {
    let graph = linear.as_graph();
    let mut below = vec![0; graph.values().len()];
    for node in graph.operations() {
        let operands = node.inputs.iter().filter_map(|input| match input {
            ValueRef::Local(id) => Some(below[*id]),
            ValueRef::External(_) => None,
        });
        let depth = 1 + operands.max().unwrap_or(0);
        node.outputs.iter().for_each(|&id| below[id] = depth);
    }
    below.into_iter().max().unwrap_or(0)
}
