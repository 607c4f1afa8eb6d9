//! From graphs that refer to one another by key, as rules make them, to one closed computation.

use hashbrown::HashMap;

use crate::GraphOperation;
use crate::base::DenseId;
use crate::dense::DenseGraph;
use crate::error::{GraphError, describe_operation};
use crate::graph::{Graph, StepOperand};
use crate::key::{FixedState, ValueKey, describe_key};

/// What a value is in the closed graph, or why it cannot be there: a position among the causes.
type Place = Result<DenseId, usize>;

/// The walk over the graphs.
struct Closing<'a, Op: GraphOperation> {
    closed: DenseGraph<Op>,
    places: HashMap<&'a ValueKey<Op>, Place, FixedState>,
    /// Causes count only where an output needs what they are about.
    causes: Vec<GraphError>,
}

impl<Op: GraphOperation> DenseGraph<Op> {
    /// What `graphs` compute, as a graph of this many inputs. `given` says at which position the value of a key is an
    /// input; it may be any value, also one that is computed elsewhere. A graph may refer to those before it. Nobody
    /// looks at parents.
    ///
    /// What no output needs is still there.
    ///
    /// # Errors
    ///
    /// [`GraphError::UnlistedInput`] and [`GraphError::UndefinedValue`] for an input, or a computed value, that the
    /// outputs need and that is neither given nor computed by the graphs; [`GraphError::UnknownOutput`].
    ///
    /// # Panics
    ///
    /// For a position that there is not.
    ///
    /// # Complexity
    ///
    /// Linear in the graphs, with constant stack.
    pub fn of_fragments<'a>(
        inputs: usize,
        given: impl IntoIterator<Item = (&'a ValueKey<Op>, usize)>,
        graphs: &[&'a Graph<Op>],
        outputs: &[ValueKey<Op>],
    ) -> Result<Self, GraphError> {
        let operations = graphs.iter().map(|graph| graph.operation_count()).sum();
        let closed = Self::with_capacity(inputs, operations, 2 * operations);
        let given = given.into_iter();
        let mut closing = Closing {
            places: given.map(|(key, at)| (key, Ok(closed.input(at)))).collect(),
            closed,
            causes: Vec::new(),
        };
        for graph in graphs {
            closing.add(graph);
        }
        closing.finish(outputs)
    }
}

impl<'a, Op: GraphOperation> Closing<'a, Op> {
    fn add(&mut self, graph: &'a Graph<Op>) {
        let values = graph.values();
        let mut here: Vec<Place> = Vec::with_capacity(values.len());
        let mut operands = Vec::new();
        while let Some(value) = values.get(here.len()) {
            let Some((operation, _)) = value.producer else {
                here.push(self.find(&value.key));
                continue;
            };
            let step = graph.step(operation);
            operands.clear();
            let mut cause = None;
            for (at, operand) in step.operands().enumerate() {
                let place = match operand {
                    StepOperand::Local(id) => here[id],
                    StepOperand::External(key) => self.operand(step.key.operation(), at, key),
                };
                match place {
                    Ok(id) => operands.push(id),
                    Err(at) => cause = cause.or(Some(at)),
                }
            }
            let (operation, results) = (step.key.operation(), step.results());
            match cause {
                Some(cause) => here.extend(results.clone().map(|_| Err(cause))),
                None => {
                    let operands = operands.iter().copied();
                    let made =
                        self.closed
                            .push_unchecked(operation.clone(), operands, results.len());
                    here.extend(made.iter().map(Ok));
                }
            }
            for id in results {
                self.places.entry(&values[id].key).or_insert(here[id]);
            }
        }
    }

    /// The place of an input of a graph.
    fn find(&mut self, key: &'a ValueKey<Op>) -> Place {
        let known = self.places.get(key).copied();
        known.unwrap_or_else(|| {
            self.cause(GraphError::UnlistedInput {
                key: describe_key(key),
            })
        })
    }

    /// The place of an operand that is named by key.
    fn operand(&mut self, operation: &Op, operand: usize, key: &'a ValueKey<Op>) -> Place {
        match self.places.get(key) {
            Some(known) => *known,
            None if key.maker().is_none() => self.find(key),
            None => self.cause(GraphError::UndefinedValue {
                operation: describe_operation(operation),
                operand,
                key: describe_key(key),
            }),
        }
    }

    fn cause(&mut self, cause: GraphError) -> Place {
        self.causes.push(cause);
        Err(self.causes.len() - 1)
    }

    fn finish(mut self, outputs: &[ValueKey<Op>]) -> Result<DenseGraph<Op>, GraphError> {
        let found = outputs.iter().enumerate().map(|(position, output)| {
            let place = self.places.get(output);
            let place = place.ok_or_else(|| GraphError::UnknownOutput {
                position,
                key: describe_key(output),
            })?;
            place.map_err(|cause| self.causes[cause].clone())
        });
        let found = found.collect::<Result<Vec<_>, GraphError>>()?;
        self.closed.set_outputs(found);
        Ok(self.closed)
    }
}
