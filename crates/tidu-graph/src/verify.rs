//! Checking a graph, and saying what is wrong in the manner of a compiler.

use std::fmt::{self, Display};
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::dense::{DenseGraph, DenseNode};
use crate::error::counted;
use crate::graph::{Graph, OperationNode, ValueRef};
use crate::inference::known_result_types;
use crate::key::{FixedState, describe_key};
use crate::operation::check_functions;
use crate::text::{Definitions, Line, Listing, input_name};
use crate::view::resolve;
use crate::{GraphOperation, LocalOperationId, LocalValueId, OperationRole};

/// Checks the structure of a graph and reports everything that is wrong with it.
///
/// | check | what it finds |
/// |---|---|
/// | `topological-order` | an operand that is not defined before it is used |
/// | `arity` | an operation with the wrong number of operands or results |
/// | `function-arity` | an operation that holds a function of the wrong number of inputs or outputs |
/// | `active-mask` | an active mask of the wrong length |
/// | `dangling-external` | an operand that neither the graph nor a parent of it defines |
/// | `duplicate-input` | two inputs of one name |
///
/// A builder admits none of the first three; they are checked all the same.
///
/// The [functions](GraphOperation::functions) that operations hold are checked as [`DenseGraph::verify`] does, each once.
///
/// # Complexity
///
/// Linear in the graph and its parents, and the distinct functions, with constant stack.
pub fn verify<Op: GraphOperation>(graph: &Graph<Op>) -> Report {
    let mut report = verify_structure(graph);
    check_externals(graph, &mut report);
    report.print_lines(|| Listing::new("graph", graph));
    report
}

/// The checks of [`verify`] that need no parents. Lines are yet to be printed
/// ([`Report::print_lines`]).
pub fn verify_structure<Op: GraphOperation>(graph: &Graph<Op>) -> Report {
    let mut report = Report::default();
    check_inputs(graph, &mut report);
    for (id, node) in graph.operations().iter().enumerate() {
        check_node(graph, id, node, &mut report);
    }
    let mut operations = graph.operations().iter();
    if operations.any(|node| !node.operation.functions().is_empty()) {
        verify_functions(Listing::new("graph", graph).definitions(), &mut report);
    }
    report
}

impl<Op: GraphOperation> DenseGraph<Op> {
    /// Checks the graph against what its operations say now, and reports everything that is wrong with it.
    ///
    /// | check | what it finds |
    /// |---|---|
    /// | `topological-order` | an operand that is not defined before it is used |
    /// | `arity` | an operation with the wrong number of operands or results |
    /// | `function-arity` | an operation that holds a function of the wrong number of inputs or outputs |
    /// | `types` | a value of another type than follows from the operands, if values have types |
    /// | `unknown-output` | an output that is no value of the graph |
    ///
    /// So are the [functions](GraphOperation::functions) that operations hold, and those within these, each once.
    ///
    /// [`push`](Self::push) and [`set_outputs`](Self::set_outputs) admit none of these. What they cannot know is an
    /// operation that answers otherwise when it is asked again.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn verify(&self) -> Report {
        let definitions = Definitions::of(self.nodes().map(|node| node.operation));
        let definitions = Arc::new(definitions);
        let mut report = Report::default();
        verify_dense(self, "dense", &definitions, &mut report);
        verify_functions(&definitions, &mut report);
        report
    }
}

/// All functions that operations hold, each once.
fn verify_functions<Op: GraphOperation>(definitions: &Arc<Definitions<Op>>, report: &mut Report) {
    for (function, name) in definitions.iter() {
        let before = report.findings.len();
        let header = format!("function {name}");
        verify_dense(function.graph(), &header, definitions, report);
        for finding in &mut report.findings[before..] {
            finding.function = Some(name.to_owned());
        }
    }
}

/// What can be said of a graph by positions alone, whatever the functions in it hold. Findings have lines.
fn verify_dense<Op: GraphOperation>(
    graph: &DenseGraph<Op>,
    header: &str,
    definitions: &Arc<Definitions<Op>>,
    report: &mut Report,
) {
    let mut found = Report::default();
    let typed = graph.all_type_ids().len();
    let values = graph.value_count();
    let has_types = typed == values;
    if graph.has_types() && !has_types {
        found.push_line(
            TYPES,
            format!("{typed} values have types, but there are {values}"),
            format!("{header} {{"),
            "`output_count` must not change from call to call",
        );
    }
    for (id, node) in graph.nodes().enumerate() {
        let operands = node.operands.iter().map(|value| Some(value.index()));
        let results = node.results.indices();
        let is_sound = check_operation((id, node.operation), operands, results, &mut found);
        if has_types && is_sound {
            check_types(graph, id, node, &mut found);
        }
    }
    for (position, value) in graph.outputs().iter().enumerate() {
        if value.index() >= values {
            found.push_line(
                "unknown-output",
                format!("output {position} is no value of the graph"),
                format!("output {value:?}"),
                "set outputs with `try_set_outputs`",
            );
        }
    }
    found.print_lines(|| {
        Listing::with_definitions(header, graph, Arc::clone(definitions)).with_types(has_types)
    });
    report.findings.append(&mut found.findings);
}

/// What a check found; empty if all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// All findings: those of one check after those of another, each in the order of the graph.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// What is wrong.
    pub message: String,
    /// What the function that it is in is called in print: `@body`; `None` for the graph itself.
    pub function: Option<String>,
    /// The operation that it is about.
    pub operation: Option<LocalOperationId>,
    /// The operands that it is about.
    pub operands: Vec<usize>,
    /// The printed line that it is about.
    pub line: Line,
    /// What else is known of it.
    pub note: Option<String>,
    /// What to do.
    pub help: &'static str,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds a finding about an operation, or operands of it.
    pub fn push(
        &mut self,
        check: &'static str,
        message: String,
        (operation, operands): (LocalOperationId, &[usize]),
        help: &'static str,
    ) {
        self.findings.push(Finding {
            operation: Some(operation),
            operands: operands.to_vec(),
            ..Finding::about(check, message, Line::default(), help)
        });
    }

    /// Adds a finding about a line that is no operation.
    pub fn push_line(
        &mut self,
        check: &'static str,
        message: String,
        text: String,
        help: &'static str,
    ) {
        let operands = Vec::new();
        let line = Line { text, operands };
        self.findings
            .push(Finding::about(check, message, line, help));
    }

    /// Prints the lines of operations that findings are about. The listing is only made if there
    /// are findings: a check that passes costs no printing.
    pub fn print_lines<'a, Op: GraphOperation>(
        &mut self,
        listing: impl FnOnce() -> Listing<'a, Op>,
    ) {
        if self.is_clean() {
            return;
        }
        let listing = listing();
        // Those in functions have their lines already.
        let findings = self.findings.iter_mut();
        for finding in findings.filter(|finding| finding.function.is_none()) {
            if let Some(operation) = finding.operation {
                finding.line = listing.operation_line(operation);
            }
        }
    }
}

impl Finding {
    fn about(check: &'static str, message: String, line: Line, help: &'static str) -> Self {
        Self {
            check,
            message,
            function: None,
            operation: None,
            operands: Vec::new(),
            line,
            note: None,
            help,
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        match self.findings.len() {
            0 => write!(f, "no findings"),
            some => f.write_str(&counted(some, "finding")),
        }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error[{}]: {}", self.check, self.message)?;
        if let Some(function) = &self.function {
            writeln!(f, "  in function {function}")?;
        }
        writeln!(f, "  |")?;
        writeln!(f, "  |  {}", self.line.text)?;
        let carets = self.line.carets(&self.operands);
        if !carets.is_empty() {
            writeln!(f, "  |  {carets}")?;
        }
        if let Some(note) = &self.note {
            writeln!(f, "  = note: {note}")?;
        }
        writeln!(f, "  = help: {}", self.help)
    }
}

const OUT_OF_ORDER: &str = "topological-order";

const TYPES: &str = "types";

fn check_inputs<Op: GraphOperation>(graph: &Graph<Op>, report: &mut Report) {
    let mut first_of: HashMap<&Op::InputKey, LocalValueId, FixedState> = HashMap::default();
    for &id in graph.inputs() {
        let key = graph.input_key(id);
        let first = *first_of.entry(key).or_insert(id);
        if first != id {
            report.push_line(
                "duplicate-input",
                format!("input %{id} has the name of input %{first}"),
                format!("input %{id} = {}", input_name::<Op>(key)),
                "use one input, or give each a name of its own",
            );
        }
    }
}

fn check_node<Op: GraphOperation>(
    graph: &Graph<Op>,
    id: LocalOperationId,
    node: &OperationNode<Op>,
    report: &mut Report,
) {
    let first = node.outputs.first().copied();
    let first = first.unwrap_or(graph.values().len());
    let operands = node.inputs.iter().map(ValueRef::local);
    let results = first..first + node.outputs.len();
    check_operation((id, &node.operation), operands, results, report);
    if let OperationRole::Linearized { active_mask } = &node.role
        && active_mask.len() != node.inputs.len()
    {
        report.push(
            "active-mask",
            format!(
                "the active mask has {} flags for {} operands",
                active_mask.len(),
                node.inputs.len()
            ),
            (id, &[]),
            "give one flag per operand",
        );
    }
}

/// What an operation is checked for in any graph: `operands` are ids, `None` for values of other graphs. Returns whether
/// nothing was found.
fn check_operation<Op: GraphOperation>(
    (id, operation): (LocalOperationId, &Op),
    operands: impl ExactSizeIterator<Item = Option<LocalValueId>>,
    results: Range<LocalValueId>,
    report: &mut Report,
) -> bool {
    let before = report.findings.len();
    let expected = (operation.input_count(), operation.output_count());
    let found = (operands.len(), results.len());
    for (operand, value) in operands.enumerate() {
        if let Some(value) = value.filter(|value| *value >= results.start) {
            report.push(
                OUT_OF_ORDER,
                format!("%{value} is used before it is defined"),
                (id, &[operand]),
                "add operations after everything that they use",
            );
        }
    }
    if expected != found {
        report.push(
            "arity",
            format!(
                "this operation has {} operands and {} results, its type says {} and {}",
                found.0, found.1, expected.0, expected.1
            ),
            (id, &[]),
            "`input_count` and `output_count` must not change from call to call",
        );
    }
    if let Err(error) = check_functions(operation) {
        report.push(
            "function-arity",
            error.to_string(),
            (id, &[]),
            "give it a function of these numbers, or say others in `function_arity`",
        );
    }
    report.findings.len() == before
}

/// Holds the types of an operation's results to what follows from those of its operands.
fn check_types<Op: GraphOperation>(
    graph: &DenseGraph<Op>,
    id: LocalOperationId,
    node: DenseNode<'_, Op>,
    report: &mut Report,
) {
    const HELP: &str = "`infer_types` must not change from call to call";
    let operands = node.operands.iter();
    let operands: Vec<_> = operands.filter_map(|&value| graph.type_of(value)).collect();
    match known_result_types(node.operation, &operands) {
        Ok(inferred) => {
            for (value, inferred) in node.results.iter().zip(inferred) {
                if let Some(known) = graph.type_of(value).filter(|known| **known != inferred) {
                    let message =
                        format!("{value:?} is {known}, but {inferred} follows from the operands");
                    report.push(TYPES, message, (id, &[]), HELP);
                }
            }
        }
        Err(error) => {
            let all: Vec<usize> = (0..node.operands.len()).collect();
            report.push(TYPES, error.to_string(), (id, &all), HELP);
        }
    }
}

fn check_externals<Op: GraphOperation>(graph: &Graph<Op>, report: &mut Report) {
    // A graph may name its own values by key. One that is out of order cannot be resolved.
    let mut findings = report.findings.iter();
    let view = resolve(if findings.any(|found| found.check == OUT_OF_ORDER) {
        graph.parents().to_vec()
    } else {
        vec![Arc::new(graph.clone())]
    });
    let operands = graph
        .operations()
        .iter()
        .enumerate()
        .flat_map(|(id, node)| {
            let operands = node.inputs.iter().enumerate();
            operands.map(move |(at, operand)| (id, at, operand))
        });
    let externals = operands.filter_map(|(id, at, operand)| match operand {
        ValueRef::External(key) => Some(((id, at), key.clone())),
        ValueRef::Local(_) => None,
    });
    let (places, keys): (Vec<_>, Vec<_>) = externals.unzip();
    for (((id, operand), key), found) in places.into_iter().zip(&keys).zip(view.find_all(&keys)) {
        if found.is_none() {
            let key = describe_key(key);
            report.push(
                "dangling-external",
                format!("{key} is not defined by this graph or a parent of it"),
                (id, &[operand]),
                "add the graph that computes it with `add_parent`",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    //! Graphs that no builder would make.

    use super::*;
    use crate::base::DenseId;
    use crate::builder::GraphBuilder;
    use crate::graph::{Content, Steps};
    use crate::key::{OperationKey, ValueKey};
    use crate::operation::toy::Toy;
    use crate::sub_function::SubFunction;

    fn broken(inputs: Vec<ValueRef<Toy>>, outputs: Vec<usize>) -> Graph<Toy> {
        let mut builder = GraphBuilder::new();
        let x = builder.add_input("x");
        builder.add_operation(Toy::Neg, vec![ValueRef::Local(x)], OperationRole::Primary);
        let key = OperationKey::new(Toy::Neg, vec![ValueKey::Input("x")], OperationRole::Primary);
        let operation = OperationNode::new(Arc::new(key), inputs.into(), outputs.into());
        let graph = builder.build();
        let mut content = Content::with_capacity(0, 0, 0);
        content.values = graph.values().to_vec();
        content.steps = Steps::of_nodes(vec![operation]);
        content.inputs = vec![x];
        Graph::new(content)
    }

    #[test]
    fn an_operand_defined_later_is_found() {
        let report = verify(&broken(vec![ValueRef::Local(1)], vec![1]));
        assert_eq!(report.findings.len(), 1);
        assert_eq!(
            report.findings[0].to_string(),
            "error[topological-order]: %1 is used before it is defined\n  |\n  |  %1 = Neg %1\n  \
             |           ^^\n  = help: add operations after everything that they use\n"
        );
    }

    #[test]
    fn what_push_would_refuse_is_found_in_a_dense_graph() {
        let mut graph = DenseGraph::new(1);
        let x = graph.input(0);
        graph.push_unchecked(Toy::Neg, [x, DenseId::new(2)], 1);
        graph.push_unchecked(Toy::Neg, [DenseId::new(2)], 2);
        graph.push_unchecked(Toy::Neg, [x], 0);
        assert_eq!(
            graph.verify().to_string(),
            "\
error[topological-order]: %2 is used before it is defined
  |
  |  %1 = Neg %0, %2
  |               ^^
  = help: add operations after everything that they use

error[arity]: this operation has 2 operands and 1 results, its type says 1 and 1
  |
  |  %1 = Neg %0, %2
  = help: `input_count` and `output_count` must not change from call to call

error[topological-order]: %2 is used before it is defined
  |
  |  %2, %3 = Neg %2
  |               ^^
  = help: add operations after everything that they use

error[arity]: this operation has 1 operands and 2 results, its type says 1 and 1
  |
  |  %2, %3 = Neg %2
  = help: `input_count` and `output_count` must not change from call to call

error[arity]: this operation has 1 operands and 0 results, its type says 1 and 1
  |
  |  _ = Neg %0
  = help: `input_count` and `output_count` must not change from call to call

5 findings"
        );
    }

    #[test]
    fn a_wrong_number_of_operands_is_found() {
        let twice = vec![ValueRef::Local(0), ValueRef::Local(0)];
        let report = verify(&broken(twice, vec![1]));
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].check, "arity");
    }

    #[test]
    fn what_is_wrong_in_a_function_is_found_once_and_says_in_which() {
        let identity = |inputs: usize| {
            let mut graph = DenseGraph::new(inputs);
            graph.set_outputs(vec![graph.input(0)]);
            SubFunction::new("f", graph)
        };
        let mut inner = DenseGraph::new(2);
        let [x, y] = [inner.input(0), inner.input(1)];
        inner.push(Toy::Call(identity(2)), &[x, y]).unwrap();
        inner.push_unchecked(Toy::Call(identity(1)), [x, DenseId::new(9)], 1);
        inner.set_outputs(vec![x]);
        let inner = Toy::Call(SubFunction::new("f", inner));
        let mut outer = DenseGraph::new(2);
        let first = outer.push(inner.clone(), &[x, y]).unwrap().start();
        outer.push(inner, &[first, y]).unwrap();
        assert_eq!(
            outer.verify().to_string(),
            "\
error[topological-order]: %9 is used before it is defined
  in function @f_3
  |
  |  %3 = \"Call(@f)\" @f_2 %0, %9
  |                           ^^
  = help: add operations after everything that they use

error[function-arity]: Call(@f) holds @f of 1 input and 1 output, and needs a function of 2 inputs and 1 output
  in function @f_3
  |
  |  %3 = \"Call(@f)\" @f_2 %0, %9
  = help: give it a function of these numbers, or say others in `function_arity`

2 findings"
        );
        assert_eq!(outer.verify().findings[0].function.as_deref(), Some("@f_3"));

        // The same of a graph with keys.
        let keyed = outer.to_graph(&["x", "y"]);
        assert_eq!(verify(&keyed), outer.verify());
    }
}
