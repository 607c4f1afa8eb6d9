//! The way from a graph to a program for values and cotangents through the walks themselves, stage by
//! stage, as code does it that does not use functions.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_ad::{
    LinearizedGraph, Primitive, PrimitiveBuilder, PrimitiveValue, linear_transpose, linearize,
};
use tidu_graph::{
    CompiledProgram, Graph, GraphOperation, LocalValueId, MaterializedGraph, OperationRole,
    ResolvedView, ValueKey, compile, materialize_merge, resolve,
};
use tidu_scalar::ScalarOp;

use crate::programs::{Workload, output_keys};

/// What each stage makes, to be handed to the next one. Each stage can be run again.
pub struct Pipeline {
    workload: Workload,
    /// The primal graph.
    pub graph: Arc<Graph<ScalarOp>>,
    /// The primal graph, resolved.
    pub view: ResolvedView<ScalarOp>,
    /// The graph of the JVP.
    pub linear: Arc<LinearizedGraph<ScalarOp>>,
    /// The graph of the VJP.
    pub transposed: Arc<LinearizedGraph<ScalarOp>>,
    /// All three, resolved.
    pub all: ResolvedView<ScalarOp>,
    /// The outputs and their cotangents, flattened.
    pub flat: MaterializedGraph<ScalarOp>,
    /// The flat graph as a program.
    pub program: CompiledProgram<ScalarOp>,
}

/// All of it, from nothing: build, resolve, linearize, transpose, resolve, materialize, compile.
pub fn value_and_gradient_of(workload: &Workload) -> CompiledProgram<ScalarOp> {
    Pipeline::of(workload).program
}

impl Pipeline {
    /// Runs every stage.
    pub fn of(workload: &Workload) -> Self {
        let graph = Arc::new(workload.graph());
        let view = resolve(vec![Arc::clone(&graph)]);
        let linear = Arc::new(linear_of(&view, &graph, workload));
        let transposed = Arc::new(linear_transpose(&linear, &mut ()));
        let all = resolve(roots(&graph, &linear, &transposed));
        let flat = materialize_merge(&all, &outputs(&graph, &transposed));
        let program = compile(&flat);
        Self {
            workload: workload.clone(),
            graph,
            view,
            linear,
            transposed,
            all,
            flat,
            program,
        }
    }

    /// The first view, again.
    pub fn resolve(&self) -> ResolvedView<ScalarOp> {
        resolve(vec![Arc::clone(&self.graph)])
    }

    /// The JVP, again.
    pub fn linearize(&self) -> LinearizedGraph<ScalarOp> {
        linear_of(&self.view, &self.graph, &self.workload)
    }

    /// The VJP, again.
    pub fn transpose(&self) -> LinearizedGraph<ScalarOp> {
        linear_transpose(&self.linear, &mut ())
    }

    /// The view of all three graphs, again.
    pub fn resolve_all(&self) -> ResolvedView<ScalarOp> {
        resolve(roots(&self.graph, &self.linear, &self.transposed))
    }

    /// The flat graph, again.
    pub fn materialize(&self) -> MaterializedGraph<ScalarOp> {
        materialize_merge(&self.all, &outputs(&self.graph, &self.transposed))
    }

    /// The program, again.
    pub fn compile(&self) -> CompiledProgram<ScalarOp> {
        compile(&self.flat)
    }

    /// Every rule that the two walks call, once, on a builder that keeps nothing: what the signatures of
    /// rules cost by themselves, the vectors that they take and return above all. Returns the number
    /// of operations that are emitted.
    pub fn rules_alone(&self) -> usize {
        let mut mute = Mute::default();
        for node in self.graph.operations() {
            let key = node.key();
            let results = node.outputs.iter();
            let results = results.map(|&id| self.graph.values()[id].key.clone());
            let results: Vec<ValueKey<ScalarOp>> = results.collect();
            let tangents = vec![Some(0); node.inputs.len()];
            if !tangents.is_empty() {
                key.operation()
                    .jvp_rule(&mut mute, key.inputs(), &results, &tangents, &mut ());
            }
        }
        for node in self.linear.as_graph().operations() {
            let OperationRole::Linearized { active_mask } = &node.role else {
                continue;
            };
            if active_mask.contains(&true) {
                let operands = node.key().inputs().iter().cloned();
                let operands: Vec<_> = operands.map(PrimitiveValue::External).collect();
                let cotangents = vec![Some(0); node.outputs.len()];
                let operation = &node.operation;
                operation.transpose_rule(&mut mute, &cotangents, &operands, &node.role, &mut ());
            }
        }
        mute.emitted
    }

    /// What the program takes at the point of the workload: what is no input of it is a seed.
    pub fn program_inputs(&self) -> Vec<f64> {
        let inputs = self.workload.inputs.iter();
        let values: HashMap<ValueKey<ScalarOp>, f64> = inputs
            .map(|(key, value)| (ValueKey::Input(key.clone()), *value))
            .collect();
        let inputs = self.flat.inputs.iter();
        let inputs = inputs.map(|key| values.get(key).copied().unwrap_or(1.0));
        inputs.collect()
    }
}

/// A builder that numbers results and keeps nothing.
#[derive(Default)]
struct Mute {
    emitted: usize,
    next: LocalValueId,
}

impl PrimitiveBuilder<ScalarOp> for Mute {
    fn add_primitive(
        &mut self,
        op: ScalarOp,
        _: Vec<PrimitiveValue<ScalarOp>>,
        _: OperationRole,
    ) -> Vec<LocalValueId> {
        let first = self.next;
        self.emitted += 1;
        self.next += op.output_count();
        (first..self.next).collect()
    }
}

fn linear_of(
    view: &ResolvedView<ScalarOp>,
    graph: &Graph<ScalarOp>,
    workload: &Workload,
) -> LinearizedGraph<ScalarOp> {
    let (outputs, wrt) = (output_keys(graph), workload.wrt());
    linearize(view, &outputs, &wrt, 1, &mut (), &HashMap::new())
}

/// Cloning a graph is cloning a handle.
fn roots(
    graph: &Arc<Graph<ScalarOp>>,
    linear: &LinearizedGraph<ScalarOp>,
    transposed: &LinearizedGraph<ScalarOp>,
) -> Vec<Arc<Graph<ScalarOp>>> {
    let linear = Arc::new(linear.as_graph().clone());
    let transposed = Arc::new(transposed.as_graph().clone());
    vec![Arc::clone(graph), linear, transposed]
}

fn outputs(
    graph: &Graph<ScalarOp>,
    transposed: &LinearizedGraph<ScalarOp>,
) -> Vec<ValueKey<ScalarOp>> {
    let cotangents = transposed.tangent_outputs().iter().flatten();
    let values = transposed.as_graph().values();
    let cotangents = cotangents.map(|&id| values[id].key.clone());
    output_keys(graph).into_iter().chain(cotangents).collect()
}
