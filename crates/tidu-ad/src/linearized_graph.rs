//! A linear map as a graph.

use std::fmt::{self, Debug, Display};

use tidu_graph::text::{Listing, ListingOutput};
use tidu_graph::{Graph, GraphOperation, LocalValueId};

/// A linear map as a graph: the result of [`linearize`](crate::linearize), from tangents to
/// tangents, or of [`linear_transpose`](crate::linear_transpose), from cotangents to cotangents.
///
/// Its coefficients are values of the primal graph, which it names by key; its parents are the
/// graphs of the view it was derived from.
pub struct LinearizedGraph<Op: GraphOperation> {
    graph: Graph<Op>,
    tangent_inputs: Vec<(Op::InputKey, LocalValueId)>,
    tangent_outputs: Vec<Option<LocalValueId>>,
    labels: OutputLabels<Op>,
}

/// What the outputs of a linear map are.
pub(crate) enum OutputLabels<Op: GraphOperation> {
    /// Tangents of the outputs that were asked for, in order.
    Tangents,
    /// Cotangents of the inputs with these keys.
    Cotangents(Vec<Op::InputKey>),
}

impl<Op: GraphOperation> LinearizedGraph<Op> {
    /// `graph.outputs()` must be the `tangent_outputs` that are there, in order.
    pub(crate) fn new(
        graph: Graph<Op>,
        tangent_inputs: Vec<(Op::InputKey, LocalValueId)>,
        tangent_outputs: Vec<Option<LocalValueId>>,
        labels: OutputLabels<Op>,
    ) -> Self {
        Self {
            graph,
            tangent_inputs,
            tangent_outputs,
            labels,
        }
    }

    /// The graph. Its outputs are the active ones among
    /// [`tangent_outputs`](Self::tangent_outputs), in order.
    pub fn as_graph(&self) -> &Graph<Op> {
        &self.graph
    }

    /// The graph, to be put into a view with others.
    pub fn into_graph(self) -> Graph<Op> {
        self.graph
    }

    /// The inputs of the linear map.
    ///
    /// After `linearize`: one an input to differentiate by, in that order, with its key and the
    /// local id of its tangent. After `linear_transpose`: one an active output, in order, with the
    /// key and the local id of its cotangent seed.
    pub fn tangent_inputs(&self) -> &[(Op::InputKey, LocalValueId)] {
        &self.tangent_inputs
    }

    /// The outputs of the linear map; `None` is a symbolic zero.
    ///
    /// After `linearize`: one a requested output, in that order. After `linear_transpose`: one a
    /// tangent input of the map that was transposed, in that order.
    pub fn tangent_outputs(&self) -> &[Option<LocalValueId>] {
        &self.tangent_outputs
    }

    /// The map ready to be printed, whole or line by line: outputs are labelled with what they are
    /// tangents (`d.out0`) or cotangents of, symbolic zeros stand as `zero`, and what the map uses of
    /// the primal graph as `residual`.
    pub fn listing(&self) -> Listing<'_, Op> {
        let outputs = self.tangent_outputs.iter().enumerate();
        let outputs = outputs.map(|(position, &value)| ListingOutput {
            value,
            label: Some(self.output_label(position)),
        });
        Listing::new("linear", &self.graph)
            .with_outputs(outputs.collect())
            .with_residuals()
    }

    fn output_label(&self, position: usize) -> String {
        match &self.labels {
            OutputLabels::Tangents => format!("d.out{position}"),
            OutputLabels::Cotangents(keys) => input_label::<Op>(&keys[position]),
        }
    }
}

impl<Op: GraphOperation> Display for LinearizedGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.listing(), f)
    }
}

/// An input's name as text, not quoted.
fn input_label<Op: GraphOperation>(key: &Op::InputKey) -> String {
    struct Name<'a, Op: GraphOperation>(&'a Op::InputKey);
    impl<Op: GraphOperation> Display for Name<'_, Op> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            Op::fmt_input_name(self.0, f)
        }
    }
    Name::<Op>(key).to_string()
}

impl<Op: GraphOperation> Debug for LinearizedGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinearizedGraph")
            .field("graph", &self.graph)
            .field("tangent_inputs", &self.tangent_inputs.len())
            .field("tangent_outputs", &self.tangent_outputs.len())
            .finish()
    }
}

/// A graph of primitives that a runtime is asked to execute.
#[derive(Debug)]
pub struct PrimitiveGraph<'a, Op: GraphOperation> {
    graph: &'a Graph<Op>,
}

impl<'a, Op: GraphOperation> PrimitiveGraph<'a, Op> {
    /// Marks a graph as one to be executed.
    pub fn new(graph: &'a Graph<Op>) -> Self {
        Self { graph }
    }

    /// The graph.
    pub fn as_graph(&self) -> &'a Graph<Op> {
        self.graph
    }
}
