//! Graphs as pictures: Graphviz DOT and Mermaid.

use std::collections::VecDeque;
use std::fmt::{self, Write};

use hashbrown::HashMap;

use crate::base::{GraphKind, OperationId, ValueId};
use crate::dense::{DenseGraph, DenseRange};
use crate::graph::{Graph, ValueRef, with_parents};
use crate::key::{FixedState, OperationKey, ValueKey, describe_key};
use crate::materialize::MaterializedGraph;
use crate::program::CompiledProgram;
use crate::table::ValueTable;
use crate::text::{Definitions, Listing, input_name, operation_name, type_name};
use crate::{GraphOperation, OperationRole};

/// A graph, or several, ready to be drawn.
///
/// One node per operation, input and output; edges follow the values, bold where an operand is
/// active. What a graph uses of others stands in a rank of its own, and is joined to its definition
/// by a dashed edge where that is drawn too. Each function that operations hold is a cluster of its own, drawn once, to
/// which a dotted edge leads from each of them.
///
/// # Example
///
/// ```
/// # use tidu_graph::{GraphBuilder, GraphOperation, OperationRole, Picture, ValueRef};
/// # #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// # struct Neg;
/// # impl GraphOperation for Neg {
/// #     type Operand = f64;
/// #     type Context = ();
/// #     type InputKey = &'static str;
/// #     fn input_count(&self) -> usize { 1 }
/// #     fn output_count(&self) -> usize { 1 }
/// # }
/// let mut builder = GraphBuilder::new();
/// let x = builder.add_input("x");
/// let y = builder.add_operation(Neg, vec![ValueRef::Local(x)], OperationRole::Primary);
/// builder.set_outputs(y);
/// let dot = Picture::of_graph(&builder.build()).to_dot();
/// assert!(dot.contains("Neg"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Picture {
    clusters: Vec<Cluster>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// How many nodes were left out.
    hidden: usize,
    shows_types: bool,
}

#[derive(Clone, Debug)]
struct Cluster {
    title: String,
    kind: GraphKind,
}

#[derive(Clone, Debug)]
struct Node {
    cluster: usize,
    kind: NodeKind,
    label: String,
    /// Of what it makes, if they are known.
    types: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeKind {
    Input,
    Operation,
    Residual,
    Output,
}

#[derive(Clone, Debug)]
struct Edge {
    from: usize,
    to: usize,
    label: String,
    style: EdgeStyle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EdgeStyle {
    Plain,
    /// Into an active operand.
    Active,
    /// From a definition to where another graph uses it.
    Residual,
    /// From an operation to a function that it holds.
    Function,
}

impl Picture {
    /// More nodes than this are not drawn: no layout is readable beyond. See
    /// [`around`](Self::around) for how to choose.
    pub const NODE_LIMIT: usize = 200;

    /// One graph.
    pub fn of_graph<Op: GraphOperation>(graph: &Graph<Op>) -> Self {
        Self::of_graphs(&[("graph", GraphKind::Primal, graph)])
    }

    /// Several graphs, each a cluster with a title, joined where one uses values of another.
    ///
    /// # Complexity
    ///
    /// Linear in the graphs.
    pub fn of_graphs<Op: GraphOperation>(graphs: &[(&str, GraphKind, &Graph<Op>)]) -> Self {
        let operations = graphs.iter().flat_map(|(_, _, graph)| graph.operations());
        let definitions = Definitions::of(operations.map(|node| &node.operation));
        let mut scene = Scene::new(&definitions);
        for (title, kind, graph) in graphs {
            scene.add_graph(title, *kind, graph);
        }
        scene.join_residuals();
        scene.drawing.finish()
    }

    /// A graph by positions. If its values have types, [`with_types`](Self::with_types) shows them.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn of_dense<Op: GraphOperation>(graph: &DenseGraph<Op>) -> Self {
        let labels = graph.inputs().map(|id| format!("{id:?}"));
        Self::of_dense_named("dense", graph, labels)
    }

    /// [`of_dense`](Self::of_dense), with a title and the names of the inputs.
    ///
    /// # Panics
    ///
    /// If there is not one name per input.
    pub fn of_dense_named<Op: GraphOperation>(
        title: &str,
        graph: &DenseGraph<Op>,
        input_names: impl IntoIterator<Item = String>,
    ) -> Self {
        let definitions = Definitions::of(graph.nodes().map(|node| node.operation));
        let mut drawing = Drawing::new(&definitions);
        let cluster = drawing.add_cluster(title, GraphKind::Primal);
        drawing.add_dense(graph, input_names, cluster, |_| (cluster, &[]));
        drawing.finish()
    }

    /// A graph with all its parents, each a cluster called by its kind.
    ///
    /// # Complexity
    ///
    /// Linear in the graphs.
    pub fn with_parents<Op: GraphOperation>(graph: &Graph<Op>) -> Self {
        let graphs = with_parents([graph]).into_iter();
        let graphs = graphs.map(|graph| (graph.kind().as_str(), graph.kind(), graph));
        Self::of_graphs(&graphs.collect::<Vec<_>>())
    }

    /// A flat graph; linearized operations are filled as such.
    pub fn of_flat<Op: GraphOperation>(graph: &MaterializedGraph<Op>) -> Self {
        let dense = graph.as_dense();
        let definitions = Definitions::of(dense.nodes().map(|node| node.operation));
        let mut drawing = Drawing::new(&definitions);
        let primal = drawing.add_cluster("primal", GraphKind::Primal);
        let linear = drawing.add_cluster("linearized", GraphKind::Linear);
        let roles: Vec<&OperationRole> = graph.roles().collect();
        let names = graph.inputs.iter().map(key_label);
        let place = |operation: OperationId| match roles[operation.index()] {
            OperationRole::Primary => (primal, &[][..]),
            role => (linear, role.active_mask()),
        };
        drawing.add_dense(dense, names, primal, place);
        drawing.finish()
    }

    /// A program; edges follow what its slots hold.
    pub fn of_program<Op: GraphOperation>(program: &CompiledProgram<Op>) -> Self {
        let operations = program.instructions.iter().map(|at| &at.operation);
        let definitions = Definitions::of(operations);
        let mut drawing = Drawing::new(&definitions);
        let cluster = drawing.add_cluster("program", GraphKind::Primal);
        let mut held_by = vec![(0, 0); program.n_slots];
        for &slot in &program.input_slots {
            let id = drawing.add_node(cluster, NodeKind::Input, format!("s{slot}"));
            held_by[slot] = (id, 0);
        }
        for instruction in &program.instructions {
            let results: Vec<Option<usize>> = program.result_slots(instruction).collect();
            let names = results.iter().flatten().map(|slot| format!("s{slot}"));
            let id = drawing.add_operation(cluster, &instruction.operation, names);
            for slot in program.operand_slots(instruction) {
                drawing.add_edge(held_by[slot], id, EdgeStyle::Plain);
            }
            for (result, slot) in results.into_iter().enumerate() {
                if let Some(slot) = slot {
                    held_by[slot] = (id, result);
                }
            }
        }
        for &slot in &program.output_slots {
            drawing.add_output(cluster, format!("s{slot}"), held_by[slot]);
        }
        drawing.finish()
    }

    /// Writes under each input and operation the types of what it makes, as far as they are known.
    #[must_use]
    pub fn with_types(self) -> Self {
        Self {
            shows_types: true,
            ..self
        }
    }

    /// Keeps what lies within `radius` edges of the nodes whose label holds one of `names` (`mul`,
    /// `%12`, `x`), and says how much is left out.
    #[must_use]
    pub fn around(&self, names: &[&str], radius: usize) -> Self {
        let chosen = |node: &Node| {
            let mut words = node.label.split([' ', ',', '\n']);
            names.contains(&node.label.as_str()) || words.any(|word| names.contains(&word))
        };
        let nodes = self.nodes.iter().enumerate();
        let start = nodes.filter(|(_, node)| chosen(node)).map(|(id, _)| id);
        self.neighbourhood(start.collect(), radius, usize::MAX)
    }

    /// The picture in the language of Graphviz; `dot -Tsvg` draws it.
    pub fn to_dot(&self) -> String {
        self.write(Self::write_dot)
    }

    /// The picture as a Mermaid flow chart.
    pub fn to_mermaid(&self) -> String {
        self.write(Self::write_mermaid)
    }

    fn write(&self, writer: impl FnOnce(&Self, &mut String) -> fmt::Result) -> String {
        let mut text = String::new();
        writer(&self.limited(), &mut text).expect("writing to a string does not fail");
        text
    }

    fn write_dot(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "digraph {{")?;
        writeln!(text, "    rankdir=TB; labelloc=t; labeljust=l;")?;
        writeln!(text, "    node [fontname=\"monospace\", style=filled];")?;
        writeln!(text, "    edge [fontname=\"monospace\"];")?;
        if let Some(note) = self.hidden_note() {
            writeln!(text, "    label={};", dot_string(&note))?;
        }
        for (index, cluster) in self.clusters.iter().enumerate() {
            writeln!(text, "    subgraph cluster_{index} {{")?;
            writeln!(text, "        label={};", dot_string(&cluster.title))?;
            for (id, node) in self.nodes_of(index) {
                writeln!(
                    text,
                    "        n{id} [label={}, shape={}, fillcolor=\"{}\"];",
                    dot_string(&self.label_of(node)),
                    dot_shape(node.kind),
                    fill(node.kind, cluster.kind)
                )?;
            }
            self.write_residual_rank(text, index)?;
            writeln!(text, "    }}")?;
        }
        for edge in &self.edges {
            let style = match edge.style {
                EdgeStyle::Plain => "style=solid",
                EdgeStyle::Active => "style=bold, penwidth=2.5",
                EdgeStyle::Residual => "style=dashed, color=gray50",
                EdgeStyle::Function => "style=dotted",
            };
            let (from, to) = (edge.from, edge.to);
            write!(text, "    n{from} -> n{to} [{style}")?;
            if !edge.label.is_empty() {
                write!(text, ", label={}", dot_string(&edge.label))?;
            }
            writeln!(text, "];")?;
        }
        writeln!(text, "}}")
    }

    /// Residuals side by side, and above everything else in their cluster.
    fn write_residual_rank(&self, text: &mut String, cluster: usize) -> fmt::Result {
        let nodes = || self.nodes_of(cluster);
        let residuals = nodes().filter(|(_, node)| node.kind == NodeKind::Residual);
        let residuals: Vec<String> = residuals.map(|(id, _)| format!("n{id}")).collect();
        let Some(first) = residuals.first() else {
            return Ok(());
        };
        writeln!(text, "        {{ rank=same; {}; }}", residuals.join("; "))?;
        // Whatever else would float to the top.
        let mut has_operand = vec![false; self.nodes.len()];
        for edge in &self.edges {
            has_operand[edge.to] = true;
        }
        for (id, node) in nodes().filter(|(id, _)| !has_operand[*id]) {
            if node.kind != NodeKind::Residual {
                writeln!(text, "        {first} -> n{id} [style=invis];")?;
            }
        }
        Ok(())
    }

    fn write_mermaid(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "flowchart TB")?;
        for (index, cluster) in self.clusters.iter().enumerate() {
            writeln!(
                text,
                "    subgraph c{index}[{}]",
                mermaid_string(&cluster.title)
            )?;
            for (id, node) in self.nodes_of(index) {
                let (open, close) = mermaid_shape(node.kind);
                writeln!(
                    text,
                    "        n{id}{open}{}{close}",
                    mermaid_string(&self.label_of(node))
                )?;
                // The fills are light, so the words are dark on a dark page too.
                let fill = fill(node.kind, cluster.kind);
                writeln!(text, "        style n{id} fill:{fill},color:#000000")?;
            }
            writeln!(text, "    end")?;
        }
        for edge in &self.edges {
            let arrow = match edge.style {
                EdgeStyle::Plain => "-->",
                EdgeStyle::Active => "==>",
                EdgeStyle::Residual | EdgeStyle::Function => "-.->",
            };
            let label = match edge.label.as_str() {
                "" => String::new(),
                label => format!("|{}|", mermaid_string(label)),
            };
            writeln!(text, "    n{} {arrow}{label} n{}", edge.from, edge.to)?;
        }
        match self.hidden_note() {
            Some(note) => writeln!(text, "    hidden[{}]", mermaid_string(&note)),
            None => Ok(()),
        }
    }

    fn hidden_note(&self) -> Option<String> {
        let what = match self.hidden {
            0 => return None,
            1 => "1 node is".to_owned(),
            hidden => format!("{hidden} nodes are"),
        };
        Some(format!("cut to a neighbourhood: {what} not shown"))
    }

    fn label_of(&self, node: &Node) -> String {
        if self.shows_types && !node.types.is_empty() {
            format!("{}\n{}", node.label, node.types)
        } else {
            node.label.clone()
        }
    }

    fn nodes_of(&self, cluster: usize) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(move |(_, node)| node.cluster == cluster)
    }

    /// The picture itself, or what is nearest to its outputs if it is too large.
    fn limited(&self) -> Self {
        if self.nodes.len() <= Self::NODE_LIMIT {
            return self.clone();
        }
        let ends = self.nodes.iter().enumerate();
        let outputs = ends.filter(|(_, node)| node.kind == NodeKind::Output);
        let mut start: VecDeque<usize> = outputs.map(|(id, _)| id).collect();
        if start.is_empty() {
            start.push_back(self.nodes.len() - 1);
        }
        self.neighbourhood(start, usize::MAX, Self::NODE_LIMIT)
    }

    /// The nodes within `radius` edges of the start, the nearest `limit` of them.
    fn neighbourhood(&self, start: VecDeque<usize>, radius: usize, limit: usize) -> Self {
        let neighbours = self.neighbours();
        let mut distance = vec![None; self.nodes.len()];
        let mut queue: VecDeque<usize> = start.into_iter().take(limit).collect();
        queue.iter().for_each(|&id| distance[id] = Some(0));
        let mut kept = queue.len();
        while let Some(id) = queue.pop_front() {
            let further = distance[id].map(|distance| distance + 1);
            if further > Some(radius) {
                continue;
            }
            for &next in &neighbours[id] {
                if distance[next].is_none() && kept < limit {
                    distance[next] = further;
                    kept += 1;
                    queue.push_back(next);
                }
            }
        }
        self.restricted(|id| distance[id].is_some())
    }

    fn neighbours(&self) -> Vec<Vec<usize>> {
        let mut neighbours = vec![Vec::new(); self.nodes.len()];
        for edge in &self.edges {
            neighbours[edge.from].push(edge.to);
            neighbours[edge.to].push(edge.from);
        }
        neighbours
    }

    fn restricted(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut new_id = vec![None; self.nodes.len()];
        let mut nodes = Vec::new();
        for (id, node) in self.nodes.iter().enumerate().filter(|(id, _)| keep(*id)) {
            new_id[id] = Some(nodes.len());
            nodes.push(node.clone());
        }
        let edges = self.edges.iter().filter_map(|edge| {
            Some(Edge {
                from: new_id[edge.from]?,
                to: new_id[edge.to]?,
                ..edge.clone()
            })
        });
        Self {
            clusters: self.clusters.clone(),
            edges: edges.collect(),
            hidden: self.hidden + self.nodes.len() - nodes.len(),
            nodes,
            shows_types: self.shows_types,
        }
    }
}

impl EdgeStyle {
    fn into_operand(mask: &[bool], operand: usize) -> Self {
        if mask.get(operand) == Some(&true) {
            Self::Active
        } else {
            Self::Plain
        }
    }
}

/// A picture in the making.
struct Drawing<'a, Op: GraphOperation> {
    picture: Picture,
    definitions: &'a Definitions<Op>,
    /// A node that stands for an operation, and the position among the definitions of a function that it holds.
    uses: Vec<(usize, usize)>,
}

impl<'a, Op: GraphOperation> Drawing<'a, Op> {
    fn new(definitions: &'a Definitions<Op>) -> Self {
        Self {
            picture: Picture::default(),
            definitions,
            uses: Vec::new(),
        }
    }

    fn add_cluster(&mut self, title: &str, kind: GraphKind) -> usize {
        // Neither language has a way to write control characters; names come with them escaped.
        let title = title.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
        self.picture.clusters.push(Cluster { title, kind });
        self.picture.clusters.len() - 1
    }

    fn add_node(&mut self, cluster: usize, kind: NodeKind, label: String) -> usize {
        self.picture.nodes.push(Node {
            cluster,
            kind,
            label,
            types: String::new(),
        });
        self.picture.nodes.len() - 1
    }

    /// An edge from a result to its use; the slot is named if it is not the first.
    fn add_edge(&mut self, (from, slot): (usize, usize), to: usize, style: EdgeStyle) {
        let label = match slot {
            0 => String::new(),
            slot => format!(".{slot}"),
        };
        self.picture.edges.push(Edge {
            from,
            to,
            label,
            style,
        });
    }

    fn add_output(&mut self, cluster: usize, label: String, from: (usize, usize)) {
        let id = self.add_node(cluster, NodeKind::Output, label);
        self.add_edge(from, id, EdgeStyle::Plain);
    }

    fn add_operation(
        &mut self,
        cluster: usize,
        operation: &Op,
        results: impl Iterator<Item = String>,
    ) -> usize {
        let results = results.collect::<Vec<_>>().join(", ");
        let label = format!("{}\n{results}", self.definitions.operation_name(operation));
        let id = self.add_node(cluster, NodeKind::Operation, label);
        let functions = operation.functions().iter();
        let positions = functions.filter_map(|function| self.definitions.position(function));
        self.uses.extend(positions.map(|function| (id, function)));
        id
    }

    /// Adds a graph by positions, inputs and outputs to a cluster; `place` says of each operation to which, and
    /// which of its operands are active.
    fn add_dense<'m>(
        &mut self,
        graph: &DenseGraph<Op>,
        input_names: impl IntoIterator<Item = String>,
        own_cluster: usize,
        place: impl Fn(OperationId) -> (usize, &'m [bool]),
    ) {
        let type_names = |values: DenseRange| {
            let types = values.iter().filter_map(|value| graph.type_of(value));
            types.map(type_name).collect::<Vec<_>>().join(", ")
        };
        let mut made_by = Vec::with_capacity(graph.value_count());
        for (value, name) in graph.inputs().zip(input_names) {
            let id = self.add_node(own_cluster, NodeKind::Input, name);
            self.picture.nodes[id].types = type_names(DenseRange::of(value));
            made_by.push((id, 0));
        }
        assert_eq!(made_by.len(), graph.input_count(), "one name per input");
        for operation in graph.operation_ids() {
            let node = graph.node(operation);
            let (cluster, mask) = place(operation);
            let names = node.results.iter().map(|id| format!("{id:?}"));
            let id = self.add_operation(cluster, node.operation, names);
            self.picture.nodes[id].types = type_names(node.results);
            for (at, value) in node.operands.iter().enumerate() {
                let style = EdgeStyle::into_operand(mask, at);
                self.add_edge(made_by[value.index()], id, style);
            }
            made_by.extend((0..node.results.len()).map(|slot| (id, slot)));
        }
        for value in graph.outputs() {
            let from = made_by[value.index()];
            self.add_output(own_cluster, format!("{value:?}"), from);
        }
    }

    /// Adds each function, once, as a cluster. Edges lead to its first output from the operations that hold it.
    fn finish(mut self) -> Picture {
        let definitions = self.definitions;
        let mut ends = Vec::new();
        for (function, name) in definitions.iter() {
            let start = self.picture.nodes.len();
            let title = format!("function {name}");
            let cluster = self.add_cluster(&title, GraphKind::Primal);
            let graph = function.graph();
            let names = graph.inputs().map(|id| format!("{id:?}"));
            self.add_dense(graph, names, cluster, |_| (cluster, &[]));
            let (end, outputs) = (self.picture.nodes.len(), graph.outputs().len());
            ends.push((end > start).then(|| (end - outputs).min(end - 1)));
        }
        for (from, function) in std::mem::take(&mut self.uses) {
            if let Some(to) = ends[function] {
                self.add_edge((from, 0), to, EdgeStyle::Function);
            }
        }
        self.picture
    }
}

/// A picture of several graphs in the making: knows which node makes which value.
struct Scene<'a, Op: GraphOperation> {
    drawing: Drawing<'a, Op>,
    table: ValueTable<Op>,
    /// By value of the table: the first node that makes it, and the output slot.
    made_by: Vec<Option<(usize, usize)>>,
    /// Nodes that stand for values of other graphs.
    residuals: Vec<(ValueId, usize)>,
    /// By value of the table: the node that stands for it in the cluster being added.
    stand_in: HashMap<ValueId, usize, FixedState>,
}

impl<'a, Op: GraphOperation> Scene<'a, Op> {
    fn new(definitions: &'a Definitions<Op>) -> Self {
        Self {
            drawing: Drawing::new(definitions),
            table: ValueTable::new(),
            made_by: Vec::new(),
            residuals: Vec::new(),
            stand_in: HashMap::default(),
        }
    }

    fn add_graph(&mut self, title: &str, kind: GraphKind, graph: &Graph<Op>) {
        let cluster = self.drawing.add_cluster(title, kind);
        let listing = Listing::new("graph", graph);
        self.stand_in.clear();
        let mut node_of = vec![(0, 0); graph.values().len()];
        for &id in graph.inputs() {
            let key = &graph.values()[id].key;
            node_of[id] = (
                self.drawing
                    .add_node(cluster, NodeKind::Input, key_label(key)),
                0,
            );
            self.define(key, node_of[id]);
        }
        for operation in graph.operations() {
            let names = operation.outputs.iter().map(|id| format!("%{id}"));
            let node = self
                .drawing
                .add_operation(cluster, &operation.operation, names);
            for (operand, input) in operation.inputs.iter().enumerate() {
                let from = match input {
                    ValueRef::Local(id) => node_of[*id],
                    ValueRef::External(key) => {
                        let label = residual_label(key, listing.operand(input));
                        (self.residual(cluster, key, label), 0)
                    }
                };
                let style = EdgeStyle::into_operand(operation.role.active_mask(), operand);
                self.drawing.add_edge(from, node, style);
            }
            for (slot, &id) in operation.outputs.iter().enumerate() {
                node_of[id] = (node, slot);
                self.define(&graph.values()[id].key, node_of[id]);
            }
        }
        for &id in graph.outputs() {
            self.drawing
                .add_output(cluster, format!("%{id}"), node_of[id]);
        }
    }

    fn id(&mut self, key: &ValueKey<Op>) -> ValueId {
        let id = self.table.intern(key);
        let id = id.expect("a builder admits well-formed operands only");
        self.made_by.resize(self.table.value_count(), None);
        id
    }

    fn define(&mut self, key: &ValueKey<Op>, node: (usize, usize)) {
        let id = self.id(key);
        self.made_by[id.index()].get_or_insert(node);
    }

    /// The node of a cluster that stands for a value of another graph.
    fn residual(&mut self, cluster: usize, key: &ValueKey<Op>, label: String) -> usize {
        let id = self.id(key);
        if let Some(&node) = self.stand_in.get(&id) {
            return node;
        }
        let node = self.drawing.add_node(cluster, NodeKind::Residual, label);
        self.stand_in.insert(id, node);
        self.residuals.push((id, node));
        node
    }

    fn join_residuals(&mut self) {
        for &(id, node) in &self.residuals {
            if let Some(from) = self.made_by[id.index()] {
                self.drawing.add_edge(from, node, EdgeStyle::Residual);
            }
        }
    }
}

fn key_label<Op: GraphOperation>(key: &ValueKey<Op>) -> String {
    match key.maker() {
        None => input_name::<Op>(key.input()),
        Some(_) => describe_key(key),
    }
}

/// The name that the text of the graph has for the value, below what makes it.
fn residual_label<Op: GraphOperation>(key: &ValueKey<Op>, name: String) -> String {
    let maker = |key: &OperationKey<Op>| operation_name(key.operation());
    match key.maker() {
        None => name,
        Some((key, 0)) => format!("{}\n{name}", maker(key)),
        Some((key, slot)) => format!("{} .{slot}\n{name}", maker(key)),
    }
}

fn dot_shape(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Input => "ellipse",
        NodeKind::Operation => "box",
        NodeKind::Residual => "note",
        NodeKind::Output => "ellipse, peripheries=2",
    }
}

fn mermaid_shape(kind: NodeKind) -> (&'static str, &'static str) {
    match kind {
        NodeKind::Input => ("([", "])"),
        NodeKind::Operation => ("[", "]"),
        NodeKind::Residual => ("[/", "/]"),
        NodeKind::Output => ("((", "))"),
    }
}

fn fill(node: NodeKind, graph: GraphKind) -> &'static str {
    match (node, graph) {
        (NodeKind::Input | NodeKind::Output, _) => "#ffffff",
        (NodeKind::Residual, _) => "#eeeeee",
        (NodeKind::Operation, GraphKind::Primal) => "#dbe9f6",
        (NodeKind::Operation, GraphKind::Linear) => "#d9f0d3",
        (NodeKind::Operation, GraphKind::Transposed) => "#fde0c5",
    }
}

/// A string as Graphviz quotes it, which reads character entities wherever there is text.
fn dot_string(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace('\n', "\\n").replace('&', "&amp;");
    format!("\"{text}\"")
}

/// A string as Mermaid quotes it: anything that could be markup becomes a character code.
fn mermaid_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '\n' => quoted.push_str("<br>"),
            // Two of them may start a directive, even between quotes.
            '%' if quoted.ends_with('%') => quoted.push_str("#37;"),
            '"' | '#' | '<' | '>' | '&' | ';' | '\\' | '`' => {
                quoted.push_str(&format!("#{};", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
