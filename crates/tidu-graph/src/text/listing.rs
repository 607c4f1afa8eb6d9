//! Printing graphs.

use std::fmt::{self, Display};
use std::ops::Range;
use std::sync::Arc;

use super::definitions::Definitions;
use super::name::{input_name, plain_or_quoted_word, type_name};
use crate::base::DenseId;
use crate::dense::DenseGraph;
use crate::graph::{Graph, OperationNode, ValueRef};
use crate::key::ValueKey;
use crate::table::{ValueOrigin, ValueTable};
use crate::{GraphOperation, LocalOperationId, LocalValueId, OperationId, OperationRole, ValueId};

/// A graph, by keys or by positions, ready to be printed, whole or line by line.
///
/// [`Graph`]'s `Display` is `Listing::new("graph", graph)`, that of a [`DenseGraph`] `Listing::of_dense("dense", graph)`.
/// A layer above gives its own header, inputs and outputs. The functions that operations hold are defined before it.
///
/// # Complexity
///
/// Making and printing it are linear in the number of distinct values, those of other graphs and of functions
/// included, with constant stack.
pub struct Listing<'a, Op: GraphOperation> {
    header: &'a str,
    body: Body<'a, Op>,
    /// With what stands after the equals sign, if anything does.
    inputs: Vec<(LocalValueId, Option<String>)>,
    outputs: Vec<ListingOutput>,
    externals: Externals<Op>,
    direct_uses: &'static str,
    /// By operation of a dense graph; empty if it has none.
    roles: Vec<&'a OperationRole>,
    shows_types: bool,
    definitions: Arc<Definitions<Op>>,
}

enum Body<'a, Op: GraphOperation> {
    Keyed(&'a Graph<Op>),
    Dense(&'a DenseGraph<Op>),
}

/// An output line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingOutput {
    /// The value; `None` prints as `zero`.
    pub value: Option<LocalValueId>,
    /// What it is, printed after an arrow.
    pub label: Option<String>,
}

/// The line of one operation, with the columns of its operands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The text, without indentation.
    pub text: String,
    /// By operand: the bytes of `text` that name it.
    pub operands: Vec<Range<usize>>,
}

impl<'a, Op: GraphOperation> Listing<'a, Op> {
    /// Prepares a graph with its own outputs.
    pub fn new(header: &'a str, graph: &'a Graph<Op>) -> Self {
        let externals = Externals::of(graph);
        let of_others = externals.table.operation_ids();
        let of_others = of_others.map(|id| externals.table.operation(id).key().operation());
        let own = graph.operations().iter().map(|node| &node.operation);
        let definitions = Definitions::of(of_others.chain(own));
        let names = graph.inputs().iter().map(|&id| graph.input_key(id));
        let outputs = graph.outputs().iter().copied();
        Self {
            inputs: graph.inputs().iter().map(|&id| (id, None)).collect(),
            externals,
            ..Self::of(header, Body::Keyed(graph), outputs, Arc::new(definitions))
        }
        .with_inputs(names)
    }

    /// Prepares a graph by positions with its own outputs and inputs without names.
    pub fn of_dense(header: &'a str, graph: &'a DenseGraph<Op>) -> Self {
        let definitions = Definitions::of(graph.nodes().map(|node| node.operation));
        Self::with_definitions(header, graph, Arc::new(definitions))
    }

    /// [`of_dense`](Self::of_dense), given what the functions that operations hold are called.
    pub(crate) fn with_definitions(
        header: &'a str,
        graph: &'a DenseGraph<Op>,
        definitions: Arc<Definitions<Op>>,
    ) -> Self {
        let outputs = graph.outputs().iter().map(|id| id.index());
        Self {
            inputs: graph.inputs().map(|id| (id.index(), None)).collect(),
            ..Self::of(header, Body::Dense(graph), outputs, definitions)
        }
    }

    /// Without inputs and values of other graphs.
    fn of(
        header: &'a str,
        body: Body<'a, Op>,
        outputs: impl Iterator<Item = LocalValueId>,
        definitions: Arc<Definitions<Op>>,
    ) -> Self {
        let outputs = outputs.map(|id| ListingOutput {
            value: Some(id),
            label: None,
        });
        Self {
            header,
            body,
            inputs: Vec::new(),
            outputs: outputs.collect(),
            externals: Externals::none(),
            direct_uses: "external",
            roles: Vec::new(),
            shows_types: false,
            definitions,
        }
    }

    /// The functions that operations hold, as they are called here.
    pub(crate) fn definitions(&self) -> &Arc<Definitions<Op>> {
        &self.definitions
    }

    /// Calls the inputs by these keys, in order.
    #[must_use]
    pub fn with_inputs<'k>(mut self, keys: impl IntoIterator<Item = &'k Op::InputKey>) -> Self {
        for ((_, name), key) in self.inputs.iter_mut().zip(keys) {
            *name = Some(input_name::<Op>(key));
        }
        self
    }

    /// Prints the operations of a dense graph in these roles, in order.
    pub(super) fn with_roles(mut self, roles: impl IntoIterator<Item = &'a OperationRole>) -> Self {
        self.roles = roles.into_iter().collect();
        self
    }

    /// Prints these outputs instead of the graph's own.
    #[must_use]
    pub fn with_outputs(mut self, outputs: Vec<ListingOutput>) -> Self {
        self.outputs = outputs;
        self
    }

    /// Marks what the graph's operations use of other graphs as residuals.
    #[must_use]
    pub fn with_residuals(mut self) -> Self {
        self.direct_uses = "residual";
        self
    }

    /// Whether to print each value with its type, where it is defined: `%3: f64[2] = exp %0`. Values of a dense graph
    /// have types, if those of its inputs are known.
    #[must_use]
    pub fn with_types(mut self, shown: bool) -> Self {
        self.shows_types = shown;
        self
    }

    /// The line of an operation.
    ///
    /// # Panics
    ///
    /// For an id that the graph does not have.
    pub fn operation_line(&self, id: LocalOperationId) -> Line {
        match self.body {
            Body::Keyed(graph) => {
                let node = &graph.operations()[id];
                let results = node.outputs.iter().map(|id| self.definition(*id));
                let operands = node.inputs.iter().map(|operand| self.operand(operand));
                let name = self.definitions.operation_name(&node.operation);
                application(results, &name, &node.role, operands)
            }
            Body::Dense(graph) => {
                let node = graph.node(OperationId::new(id));
                let results = node.results.indices().map(|id| self.definition(id));
                let operands = node.operands.iter().map(|id| format!("{id:?}"));
                let role = self.roles.get(id).copied();
                let role = role.unwrap_or(&OperationRole::Primary);
                let name = self.definitions.operation_name(node.operation);
                application(results, &name, role, operands)
            }
        }
    }

    fn operation_count(&self) -> usize {
        match self.body {
            Body::Keyed(graph) => graph.operation_count(),
            Body::Dense(graph) => graph.operation_count(),
        }
    }

    /// Inputs with smaller ids are listed before the operation: those of a dense graph before all. An operation without
    /// results has no id of its own to go by, and stands after what it uses.
    fn inputs_end(&self, operation: LocalOperationId) -> LocalValueId {
        let node = match self.body {
            Body::Keyed(graph) => &graph.operations()[operation],
            Body::Dense(graph) => return graph.input_count(),
        };
        let operands = node.inputs.iter().filter_map(ValueRef::local);
        let first_result = node.outputs.first().copied();
        first_result.unwrap_or_else(|| operands.max().map_or(0, |last| last + 1))
    }

    /// An operand as it is printed, without its activity.
    pub fn operand(&self, operand: &ValueRef<Op>) -> String {
        match operand {
            ValueRef::Local(id) => format!("%{id}"),
            ValueRef::External(key) => self.externals.name(key),
        }
    }

    /// A value of the graph as it stands where it is defined.
    fn definition(&self, id: LocalValueId) -> String {
        let value_type = match self.body {
            Body::Dense(graph) if self.shows_types => graph.type_of(DenseId::new(id)),
            _ => None,
        };
        match value_type {
            Some(value_type) => format!("%{id}: {}", type_name(value_type)),
            None => format!("%{id}"),
        }
    }

    /// What the graph's operations use of other graphs, in order of first use, as printed, with the
    /// first operation that uses it.
    pub fn residuals(&self) -> impl Iterator<Item = (String, LocalOperationId)> + '_ {
        let uses = self.externals.direct.iter();
        uses.map(|(id, user)| (self.externals.name_of(*id), *user))
    }

    /// The first operation that uses a value of another graph itself.
    pub fn first_use(&self, value: &ValueKey<Op>) -> Option<LocalOperationId> {
        let id = self.externals.table.find(value)?;
        let mut uses = self.externals.direct.iter();
        uses.find(|(used, _)| *used == id).map(|(_, user)| *user)
    }

    fn write_externals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.externals.items {
            match *item {
                Item::Input(id) => {
                    writeln!(f, "    {} {}", self.direct_uses, self.externals.name_of(id))?;
                }
                Item::Operation(id) => self.write_definition(f, id)?,
            }
        }
        Ok(())
    }

    fn write_definition(&self, f: &mut fmt::Formatter<'_>, id: OperationId) -> fmt::Result {
        let externals = &self.externals;
        let entry = externals.table.operation(id);
        let slots = entry.key().operation().output_count();
        let named = (0..slots).map(|slot| entry.output(slot));
        let named: Vec<ValueId> = named
            .filter(|id| externals.number[id.index()].is_some())
            .collect();
        let is_direct = |id: &&ValueId| externals.is_direct[id.index()];
        let all_direct = named.iter().all(|id| is_direct(&id));
        let word = if all_direct {
            self.direct_uses
        } else {
            "external"
        };
        let results = (0..slots).map(|slot| externals.slot_name(entry.output(slot)));
        let operands = entry.operands().iter().map(|id| externals.name_of(*id));
        let key = entry.key();
        let line = application(
            results,
            &self.definitions.operation_name(key.operation()),
            key.role(),
            operands,
        );
        writeln!(f, "    {word} {}", line.text)?;
        if !all_direct && self.direct_uses != "external" {
            for id in named.iter().filter(is_direct) {
                writeln!(f, "    {} {}", self.direct_uses, externals.name_of(*id))?;
            }
        }
        Ok(())
    }
}

impl<Op: GraphOperation> Display for Listing<'_, Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_definitions(&self.definitions, f, self.shows_types)?;
        self.write_block(f)
    }
}

impl<Op: GraphOperation> Listing<'_, Op> {
    /// The listing without the definitions before it.
    pub(super) fn write_block(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {{", self.header)?;
        self.write_externals(f)?;
        // Inputs stand where their ids do, among the operations: ids then count upwards.
        let mut inputs = self.inputs.iter().peekable();
        let mut write_inputs_below = |f: &mut fmt::Formatter<'_>, bound: LocalValueId| {
            while let Some((id, name)) = inputs.next_if(|(id, _)| *id < bound) {
                write!(f, "    input {}", self.definition(*id))?;
                match name {
                    Some(name) => writeln!(f, " = {name}")?,
                    None => writeln!(f)?,
                }
            }
            Ok(())
        };
        for id in 0..self.operation_count() {
            write_inputs_below(f, self.inputs_end(id))?;
            writeln!(f, "    {}", self.operation_line(id))?;
        }
        write_inputs_below(f, LocalValueId::MAX)?;
        for output in &self.outputs {
            match output.value {
                Some(id) => write!(f, "    output %{id}")?,
                None => write!(f, "    output zero")?,
            }
            if let Some(label) = &output.label {
                write!(f, " -> {}", plain_or_quoted_word(label))?;
            }
            writeln!(f)?;
        }
        write!(f, "}}")
    }
}

impl<Op: GraphOperation> Display for Graph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Listing::new("graph", self).fmt(f)
    }
}

/// The functions that operations hold, each after those that it holds itself.
pub(super) fn write_definitions<Op: GraphOperation>(
    definitions: &Arc<Definitions<Op>>,
    f: &mut fmt::Formatter<'_>,
    with_types: bool,
) -> fmt::Result {
    for (function, name) in definitions.iter() {
        let header = format!("function {name}");
        let listing = Listing::with_definitions(&header, function.graph(), Arc::clone(definitions));
        listing.with_types(with_types).write_block(f)?;
        writeln!(f)?;
    }
    Ok(())
}

/// An operation applied to operands, as all listings write it.
pub(crate) fn application(
    results: impl Iterator<Item = String>,
    name: &str,
    role: &OperationRole,
    operands: impl ExactSizeIterator<Item = String>,
) -> Line {
    let mut text = results.collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        text.push('_');
    }
    text.push_str(" = ");
    let count = operands.len();
    let mask = role.active_mask();
    let spelled_out = mask.len() != count;
    if *role != OperationRole::Primary {
        if spelled_out {
            let bits = mask.iter().map(|&bit| if bit { '1' } else { '0' });
            let bits: String = bits.collect();
            let bits = if bits.is_empty() { "-" } else { &bits };
            text.push_str(&format!("masked {bits} "));
        } else if !mask.contains(&true) {
            text.push_str("fixed ");
        }
    }
    text.push_str(name);
    let mut spans = Vec::with_capacity(count);
    for (position, operand) in operands.enumerate() {
        text.push_str(if position == 0 { " " } else { ", " });
        let start = text.len();
        if !spelled_out && mask[position] {
            text.push('~');
        }
        text.push_str(&operand);
        spans.push(start..text.len());
    }
    Line {
        text,
        operands: spans,
    }
}

/// The values of other graphs that a graph needs, with what they are made of.
struct Externals<Op: GraphOperation> {
    table: ValueTable<Op>,
    /// What to print, in order.
    items: Vec<Item>,
    /// By value: the number it is printed with, if it is a result that something uses.
    number: Vec<Option<usize>>,
    /// By value: whether an operation of the graph uses it itself.
    is_direct: Vec<bool>,
    /// The values that operations of the graph use themselves, each with its first user.
    direct: Vec<(ValueId, LocalOperationId)>,
}

#[derive(Clone, Copy)]
enum Item {
    Input(ValueId),
    Operation(OperationId),
}

impl<Op: GraphOperation> Externals<Op> {
    fn none() -> Self {
        Self {
            table: ValueTable::new(),
            items: Vec::new(),
            number: Vec::new(),
            is_direct: Vec::new(),
            direct: Vec::new(),
        }
    }

    fn of(graph: &Graph<Op>) -> Self {
        let mut externals = Self::none();
        for (user, node) in graph.operations().iter().enumerate() {
            externals.add_operands(user, node);
        }
        externals.number_used_results();
        externals
    }

    fn add_operands(&mut self, user: LocalOperationId, node: &OperationNode<Op>) {
        for operand in &node.inputs {
            let ValueRef::External(key) = operand else {
                continue;
            };
            let known = self.table.operation_count();
            let id = self
                .table
                .intern(key)
                .expect("a builder admits well-formed operands only");
            let new = self.table.operation_ids_since(known);
            self.items.extend(new.map(Item::Operation));
            self.is_direct.resize(self.table.value_count(), false);
            if !std::mem::replace(&mut self.is_direct[id.index()], true) {
                self.direct.push((id, user));
                if self.table.origin(id) == ValueOrigin::Input {
                    self.items.push(Item::Input(id));
                }
            }
        }
    }

    fn number_used_results(&mut self) {
        let mut used = self.is_direct.clone();
        for operation in self.table.operation_ids() {
            for operand in self.table.operation(operation).operands() {
                used[operand.index()] = true;
            }
        }
        self.number = vec![None; used.len()];
        let mut next = 0;
        for operation in self.table.operation_ids() {
            let entry = self.table.operation(operation);
            for slot in 0..entry.key().operation().output_count() {
                let id = entry.output(slot).index();
                if used[id] {
                    self.number[id] = Some(next);
                    next += 1;
                }
            }
        }
    }

    fn slot_name(&self, id: ValueId) -> String {
        match self.number[id.index()] {
            Some(number) => format!("@{number}"),
            None => "_".to_owned(),
        }
    }

    fn name(&self, key: &ValueKey<Op>) -> String {
        let id = self.table.find(key);
        id.map_or_else(|| "@?".to_owned(), |id| self.name_of(id))
    }

    fn name_of(&self, id: ValueId) -> String {
        match self.table.key(id) {
            ValueKey::Input(key) => format!("@{}", input_name::<Op>(&key)),
            ValueKey::Derived { .. } => self.slot_name(id),
        }
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Line {
    /// A line to stand below this one, with carets under operands.
    pub fn carets(&self, operands: &[usize]) -> String {
        let mut marked = vec![false; self.text.len()];
        for span in operands
            .iter()
            .filter_map(|&operand| self.operands.get(operand))
        {
            marked[span.clone()].fill(true);
        }
        let chars = self.text.char_indices();
        let carets: String = chars
            .map(|(at, _)| if marked[at] { '^' } else { ' ' })
            .collect();
        carets.trim_end().to_owned()
    }
}
