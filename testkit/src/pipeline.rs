//! The way from a graph to a program for values and cotangents through the walks themselves, stage by
//! stage, as code does it that does not use functions.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_ad::{LinearizedGraph, linear_transpose, linearize};
use tidu_graph::{
    CompiledProgram, Graph, MaterializedGraph, ResolvedView, ValueKey, compile, materialize_merge,
    resolve,
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
