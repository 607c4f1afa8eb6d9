//! A linear map as a graph.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;
use std::sync::Arc;

use tidu_graph::text::{
    Listing, ListingOutput, ParseError, ParseNames, ParsedOutput, input_label, parse,
};
use tidu_graph::{
    Graph, GraphBuilder, GraphOperation, LocalOperationId, LocalValueId, OperationKey, Picture,
};

use crate::rules::ADRuleKind;

/// A linear map as a graph: the result of [`linearize`](crate::linearize), from tangents to
/// tangents, or of [`linear_transpose`](crate::linear_transpose), from cotangents to cotangents.
///
/// Its coefficients are values of the primal graph, which it names by key. Its parents are the graphs
/// it was derived from, so that resolving it resolves all that it needs. Cheap to clone but for the
/// lists of its inputs and outputs.
pub struct LinearizedGraph<Op: GraphOperation> {
    graph: Graph<Op>,
    /// The graphs of the view that the map was derived from, through however many transpositions.
    primal: Vec<Arc<Graph<Op>>>,
    tangent_inputs: Vec<(Op::InputKey, LocalValueId)>,
    tangent_outputs: Vec<Option<LocalValueId>>,
    labels: OutputLabels<Op>,
    emissions: Emissions<Op>,
}

/// Whose rule emitted what: runs of operations of a linear graph, each with the operation that was
/// linearized or transposed.
#[derive(Clone)]
pub(crate) struct Emissions<Op: GraphOperation> {
    /// The first operation of each run, ascending.
    runs: Vec<(LocalOperationId, Arc<OperationKey<Op>>)>,
}

/// What the outputs of a linear map are.
#[derive(Clone)]
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
        primal: Vec<Arc<Graph<Op>>>,
        tangent_inputs: Vec<(Op::InputKey, LocalValueId)>,
        tangent_outputs: Vec<Option<LocalValueId>>,
        labels: OutputLabels<Op>,
        emissions: Emissions<Op>,
    ) -> Self {
        Self {
            graph,
            primal,
            tangent_inputs,
            tangent_outputs,
            labels,
            emissions,
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

    /// The graphs of the view that the map was derived from, through however many transpositions.
    pub fn primal(&self) -> &[Arc<Graph<Op>>] {
        &self.primal
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

    /// The operation whose rule emitted an operation of this graph: one of the primal graph after
    /// `linearize`, one of the transposed map after `linear_transpose`. `None` for an addition of
    /// cotangent seeds, and in a graph that was read from text.
    pub fn emitted_by(&self, operation: LocalOperationId) -> Option<&OperationKey<Op>> {
        let runs = &self.emissions.runs;
        let after = runs.partition_point(|(first, _)| *first <= operation);
        runs[..after].last().map(|(_, key)| &**key)
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

    /// The map as a picture, joined to the graphs that it was derived from.
    pub fn picture(&self) -> Picture {
        Picture::with_parents(&self.graph)
    }

    /// The kind of rule that emitted the operations of this graph.
    pub(crate) fn rule(&self) -> ADRuleKind {
        match self.labels {
            OutputLabels::Tangents => ADRuleKind::Jvp,
            OutputLabels::Cotangents(_) => ADRuleKind::Transpose,
        }
    }

    fn output_label(&self, position: usize) -> String {
        match &self.labels {
            OutputLabels::Tangents => format!("d.out{position}"),
            OutputLabels::Cotangents(keys) => input_label::<Op>(&keys[position]),
        }
    }
}

impl<Op: GraphOperation> Emissions<Op> {
    /// What is added to `builder` from here on is emitted by the rule of `key`.
    pub(crate) fn begin(&mut self, builder: &GraphBuilder<Op>, key: &Arc<OperationKey<Op>>) {
        let first = builder.operation_count();
        if self.runs.last().is_some_and(|(last, _)| *last == first) {
            self.runs.pop();
        }
        self.runs.push((first, Arc::clone(key)));
    }
}

impl<Op: GraphOperation> Default for Emissions<Op> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<Op: GraphOperation> Display for LinearizedGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.listing(), f)
    }
}

/// Reads a `linear` listing. Its parents are not in the text, so the graph has none.
impl<Op: ParseNames> FromStr for LinearizedGraph<Op> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let listing = parse::<Op>(text, &["linear"])?;
        let inputs = listing.graph.inputs().iter();
        let inputs = inputs.map(|&id| (Op::primal_of(listing.graph.input_key(id)), id));
        Ok(Self {
            tangent_inputs: inputs.collect(),
            tangent_outputs: listing.outputs.iter().map(|output| output.value).collect(),
            labels: parse_labels::<Op>(&listing.outputs)?,
            emissions: Emissions::default(),
            primal: Vec::new(),
            graph: listing.graph,
        })
    }
}

fn parse_labels<Op: ParseNames>(outputs: &[ParsedOutput]) -> Result<OutputLabels<Op>, ParseError> {
    let numbered = outputs.iter().enumerate();
    let is_tangent = |(position, output): (usize, &ParsedOutput)| match &output.label {
        None => true,
        Some(label) => *label == format!("d.out{position}"),
    };
    if numbered.clone().all(is_tangent) {
        return Ok(OutputLabels::Tangents);
    }
    let keys = outputs.iter().map(|output| {
        let key = output.label.as_deref().and_then(Op::parse_input_name);
        let expected = "the name of an input after `->`";
        key.ok_or_else(|| ParseError::new(output.line, output.column, expected, "no such name"))
    });
    keys.collect::<Result<_, _>>().map(OutputLabels::Cotangents)
}

impl<Op: GraphOperation> Clone for LinearizedGraph<Op> {
    fn clone(&self) -> Self {
        Self {
            graph: self.graph.clone(),
            primal: self.primal.clone(),
            tangent_inputs: self.tangent_inputs.clone(),
            tangent_outputs: self.tangent_outputs.clone(),
            labels: self.labels.clone(),
            emissions: self.emissions.clone(),
        }
    }
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
