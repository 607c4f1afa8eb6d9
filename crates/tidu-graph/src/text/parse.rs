//! Reading graphs back from text.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;
use thiserror::Error;

use super::name::{KEYWORDS, is_word_char, shortened, type_name};
use crate::base::DenseId;
use crate::builder::GraphBuilder;
use crate::dense::DenseGraph;
use crate::error::{GraphError, TypeError, counted};
use crate::graph::{Graph, ValueRef};
use crate::inference::ValueTypes;
use crate::key::{FixedState, OperationKey, ValueKey};
use crate::materialize::try_materialize_merge;
use crate::operation::check_functions;
use crate::sub_function::SubFunction;
use crate::value_type::ValueType;
use crate::view::resolve;
use crate::{GraphOperation, LocalValueId, OperationRole};

/// An operation set that can read the names it prints.
pub trait ParseNames: GraphOperation {
    /// The operation that prints as `text` (see [`GraphOperation::fmt_name`]), or `None`.
    fn parse_name(text: &str) -> Option<Self>;

    /// The operation that prints as `text` and [holds](GraphOperation::functions) these functions, or `None`. Asked for a
    /// name that [`parse_name`](Self::parse_name) does not know, if functions stand behind it.
    fn parse_with_functions(_text: &str, _functions: Vec<SubFunction<Self>>) -> Option<Self> {
        None
    }

    /// The input that prints as `text` (see [`GraphOperation::fmt_input_name`]), or `None`.
    fn parse_input_name(text: &str) -> Option<Self::InputKey>;

    /// The kind of values that prints as `text` (see [`ValueType::kind`]), or `None`: with it, the types of values are
    /// read. The default knows no kind.
    fn parse_kind(_text: &str) -> Option<&'static str> {
        None
    }

    /// Why no operation can be read from `text` although one may print so, for an error to say; `None` by
    /// default, and for what is no operation at all.
    fn explain_name(_text: &str) -> Option<String> {
        None
    }

    /// The input of which `key` names a tangent, as far as names tell; `key` itself by default.
    ///
    /// The text of a linear map names its tangent inputs only, so this is what a transposition of a
    /// map that was read from text calls its outputs by.
    fn primal_of(key: &Self::InputKey) -> Self::InputKey {
        key.clone()
    }
}

/// Where a text is not a listing, and what should stand there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
#[non_exhaustive]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl ParseError {
    /// An error of a reader that is built on [`parse`].
    pub fn new(
        line: usize,
        column: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            line,
            column,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// What a listing says.
#[derive(Debug)]
pub struct ParsedListing<Op: GraphOperation> {
    /// The word before the brace.
    pub header: String,
    /// The graph. Its outputs are the values of `outputs` that are there, in order.
    pub graph: Graph<Op>,
    /// The output lines.
    pub outputs: Vec<ParsedOutput>,
    /// The types of the graph's inputs, if values have types.
    pub input_types: Option<Vec<ValueType>>,
}

/// An output line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedOutput {
    /// The value; `None` for `zero`.
    pub value: Option<LocalValueId>,
    /// What stands after the arrow.
    pub label: Option<String>,
    /// Where the output stands: the line, counted from 1.
    pub line: usize,
    /// Where the output stands: the column in characters, counted from 1.
    pub column: usize,
}

impl ParsedOutput {
    /// An error of a reader that cannot have this output: what should stand in its place, and what does.
    pub fn expected(&self, expected: &str, found: &str) -> ParseError {
        ParseError::new(self.line, self.column, expected, found)
    }
}

/// Reads a listing whose header is one of `headers`.
///
/// # Errors
///
/// A [`ParseError`] for the first place where `text` is not a listing.
///
/// # Complexity
///
/// Linear in the text.
pub fn parse<Op: ParseNames>(
    text: &str,
    headers: &[&str],
) -> Result<ParsedListing<Op>, ParseError> {
    let mut read = Parser::<Op, GraphBuilder<Op>>::read(text, headers)?;
    let values = read.outputs.iter().filter_map(|output| output.value);
    read.target.set_outputs(values.collect());
    Ok(ParsedListing {
        header: read.header,
        graph: read.target.build(),
        outputs: read.outputs,
        input_types: read.has_types.then_some(read.input_types),
    })
}

/// What the listing of a function says.
#[derive(Debug)]
#[non_exhaustive]
pub struct ParsedFunction<Op: GraphOperation> {
    /// What it computes; of a listing with types, each value has one.
    pub graph: DenseGraph<Op>,
    /// The names of the inputs, of which two may be the same.
    pub input_keys: Vec<Op::InputKey>,
    /// By output: what stands after the arrow.
    pub output_labels: Vec<Option<String>>,
}

/// Reads a `function` or `graph` listing as a closed computation by positions, without roles.
///
/// # Errors
///
/// A [`ParseError`] for the first place where `text` is not such a listing, for an output that is `zero`, and for what the
/// outputs need of other graphs.
///
/// # Complexity
///
/// Linear in the text.
pub fn parse_function<Op: ParseNames>(text: &str) -> Result<ParsedFunction<Op>, ParseError> {
    const HEADERS: &[&str] = &[FUNCTION, "graph"];
    let read = Parser::<Op, Positions<Op>>::read(text, HEADERS)?;
    if let Some(zero) = read.outputs.iter().find(|output| output.value.is_none()) {
        return Err(zero.expected("a local value", "`zero`"));
    }
    let labels = read.outputs.iter().map(|output| output.label.clone());
    Ok(ParsedFunction {
        output_labels: labels.collect(),
        input_keys: read.target.keys.clone(),
        graph: if read.target.names_by_key {
            closed_by_keys(&parse(text, HEADERS)?.graph).map_err(not_closed)?
        } else {
            read.graph()?
        },
    })
}

/// What a graph computes that names some of its operands by key: they have to be its own values.
fn closed_by_keys<Op: GraphOperation>(graph: &Graph<Op>) -> Result<DenseGraph<Op>, GraphError> {
    let outputs = graph.outputs().iter();
    let outputs: Vec<_> = outputs.map(|&id| graph.values()[id].key.clone()).collect();
    let inputs = graph.inputs().iter();
    let inputs: Vec<_> = inputs.map(|&id| graph.input_key(id).clone()).collect();
    let view = resolve(vec![Arc::new(graph.clone())]);
    try_materialize_merge(&view, &outputs)?.closed_over(&inputs)
}

fn not_closed(error: impl Display) -> ParseError {
    ParseError::new(1, 1, "a closed function", error.to_string())
}

/// Reads a `dense` listing. If inputs have types, all values have, as after [`with_types`](Self::with_types).
impl<Op: ParseNames> FromStr for DenseGraph<Op> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Parser::<Op, Positions<Op>>::read(text, &[DENSE])?.graph()
    }
}

impl<Op: ParseNames> FromStr for Graph<Op> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let listing = parse(text, &["graph"])?;
        let mut outputs = listing.outputs.iter();
        match outputs.find(|output| output.value.is_none()) {
            None => Ok(listing.graph),
            Some(zero) => {
                let expected = "a local value, as only linear maps have symbolic zeros";
                Err(zero.expected(expected, "`zero`"))
            }
        }
    }
}

fn parse_header<'t>(mut line: Cursor<'t>, headers: &[&str]) -> Result<&'t str, ParseError> {
    let start = line;
    let word = line.word();
    if !headers.contains(&word) {
        let mut error = start.expected(&expected_header(headers));
        error.found.push_str(other_reader(word, headers));
        return Err(error);
    }
    line.expect("{")?;
    line.expect_end()?;
    Ok(word)
}

/// What to do with a text under another header, if that leads from a dense graph to one of the others or back.
fn other_reader(header: &str, expected: &[&str]) -> &'static str {
    match (header, expected == [DENSE]) {
        (DENSE, _) => {
            ": read a `DenseGraph`, and name its inputs by `to_graph` or `Function::from_dense`"
        }
        ("function" | "graph", true) => ": read a `Function`, and take its `as_dense`",
        ("linear", true) => {
            ": read a `LinearizedGraph`, which refers to other graphs, so that it is no dense graph by itself"
        }
        ("flat" | "recorded", true) => ": `text::parse` reads it as a `Graph`",
        ("program", true) => ", which is not read back: print the graph that it was compiled from",
        _ => "",
    }
}

/// If a line begins the definition of a function, its name, and where that stands.
fn definition_name(mut line: Cursor<'_>) -> Result<Option<(String, Cursor<'_>)>, ParseError> {
    if line.word() != FUNCTION {
        return Ok(None);
    }
    line.skip_blanks();
    let at = line;
    if !line.rest().starts_with('@') {
        return Ok(None);
    }
    let name = line.function_name()?;
    line.expect("{")?;
    line.expect_end()?;
    Ok(Some((name, at)))
}

/// The lines of a text that say something.
fn lines(text: &str) -> impl Iterator<Item = Cursor<'_>> + Clone {
    text.lines().enumerate().filter_map(|(index, text)| {
        let mut cursor = Cursor::new(index + 1, text);
        cursor.skip_blanks();
        let skipped = cursor.rest().is_empty() || cursor.rest().starts_with("//");
        (!skipped).then_some(cursor)
    })
}

/// The error that a text ends too early.
fn missing(text: &str, expected: &str) -> ParseError {
    let after = text.lines().count() + 1;
    ParseError::new(after, 1, expected, "the end of the text")
}

fn expected_header(headers: &[&str]) -> String {
    format!("`{} {{`", headers.join(" {` or `"))
}

const UNKNOWN_KIND: &str =
    "a kind of values that the operation set reads (`ParseNames::parse_kind`)";

const DENSE: &str = "dense";

const FUNCTION: &str = "function";

/// What a listing is read into.
trait Target<Op: ParseNames> {
    /// To be given this many inputs.
    fn of_inputs(count: usize) -> Self;

    /// Adds an input of this name, if inputs have names.
    fn add_input(&mut self, key: Option<Op::InputKey>);

    /// Adds an operation of a checked number of operands.
    fn add(&mut self, application: Application<'_, Op>) -> Result<(), GraphError>;
}

impl<Op: ParseNames> Target<Op> for GraphBuilder<Op> {
    fn of_inputs(_: usize) -> Self {
        Self::new()
    }

    fn add_input(&mut self, key: Option<Op::InputKey>) {
        if let Some(key) = key {
            Self::add_input(self, key);
        }
    }

    fn add(&mut self, application: Application<'_, Op>) -> Result<(), GraphError> {
        let operands = application.operands.into_iter().map(|(operand, _)| operand);
        self.try_add_operation(application.operation, operands.collect(), application.role)
            .map(drop)
    }
}

/// A graph by positions, as it is read.
struct Positions<Op: GraphOperation> {
    graph: DenseGraph<Op>,
    /// How many of its inputs have been read: they may stand among operations.
    inputs: usize,
    /// The names of these, if inputs have names.
    keys: Vec<Op::InputKey>,
    /// By value of the listing: what it is in the graph.
    here: Vec<DenseId>,
    /// Whether an operation names an operand by key. It is left out, and what follows is of no use.
    names_by_key: bool,
}

impl<Op: ParseNames> Target<Op> for Positions<Op> {
    fn of_inputs(count: usize) -> Self {
        Self {
            graph: DenseGraph::new(count),
            inputs: 0,
            keys: Vec::new(),
            here: Vec::new(),
            names_by_key: false,
        }
    }

    fn add_input(&mut self, key: Option<Op::InputKey>) {
        self.keys.extend(key);
        self.here.push(self.graph.input(self.inputs));
        self.inputs += 1;
    }

    fn add(&mut self, application: Application<'_, Op>) -> Result<(), GraphError> {
        let operands = application.operands.iter();
        let here = |(operand, _): &(ValueRef<Op>, _)| self.here.get(operand.local()?).copied();
        match operands
            .map(here)
            .collect::<Option<SmallVec<[DenseId; 4]>>>()
        {
            Some(operands) => {
                let results = self.graph.push(application.operation, &operands)?;
                self.here.extend(results.iter());
            }
            None => self.names_by_key = true,
        }
        Ok(())
    }
}

struct Parser<Op: ParseNames, T> {
    header: String,
    target: T,
    /// Whether values have keys: inputs have names then, outputs say what they are, operations have roles, and there
    /// are values of other graphs.
    has_keys: bool,
    /// How many values there are so far.
    values: usize,
    has_operations: bool,
    /// By number.
    externals: Vec<ValueKey<Op>>,
    functions: Functions<Op>,
    /// The name of the function that is being defined, if one is.
    defined: Option<String>,
    outputs: Vec<ParsedOutput>,
    may_have_types: bool,
    /// Whether a type was read.
    has_types: bool,
    /// Those of all values so far, or why they have none: that of an operation cannot be inferred, or that of an input
    /// or of what another graph computes was not said.
    types: Result<ValueTypes, Option<TypeError>>,
    input_types: Vec<ValueType>,
}

/// The functions that were defined so far, by name.
type Functions<Op> = HashMap<String, SubFunction<Op>, FixedState>;

impl<Op: ParseNames, T: Target<Op>> Parser<Op, T> {
    /// To read the items that follow.
    fn new<'t>(
        header: &str,
        defined: Option<String>,
        functions: Functions<Op>,
        lines: &(impl Iterator<Item = Cursor<'t>> + Clone),
    ) -> Self {
        let items = lines
            .clone()
            .take_while(|line| !line.rest().starts_with('}'));
        let words = items.map(|mut line| line.word());
        let may_have_types = header == FUNCTION || header == DENSE;
        Self {
            header: header.to_owned(),
            target: T::of_inputs(words.filter(|word| *word == "input").count()),
            has_keys: defined.is_none() && header != DENSE,
            values: 0,
            has_operations: false,
            externals: Vec::new(),
            functions,
            defined,
            outputs: Vec::new(),
            may_have_types,
            has_types: false,
            types: may_have_types.then(ValueTypes::default).ok_or(None),
            input_types: Vec::new(),
        }
    }

    fn read(text: &str, headers: &[&str]) -> Result<Self, ParseError> {
        let mut lines = lines(text);
        let mut functions = Functions::default();
        loop {
            let line = lines.next();
            let line = line.ok_or_else(|| missing(text, &expected_header(headers)))?;
            let Some((name, at)) = definition_name(line)? else {
                let header = parse_header(line, headers)?;
                let mut listing = Self::new(header, None, functions, &lines);
                listing.parse_items(text, &mut lines)?;
                return match lines.next() {
                    None => Ok(listing),
                    Some(after) => Err(after.expected("the end of the text")),
                };
            };
            if functions.contains_key(&name) {
                return Err(at.expected("a name that no function before has"));
            }
            let known = std::mem::take(&mut functions);
            let mut body =
                Parser::<Op, Positions<Op>>::new(FUNCTION, Some(name.clone()), known, &lines);
            body.parse_items(text, &mut lines)?;
            functions = std::mem::take(&mut body.functions);
            functions.insert(name.clone(), SubFunction::new(name, body.graph()?));
        }
    }

    /// Reads items up to the brace that closes them.
    fn parse_items<'t>(
        &mut self,
        text: &str,
        lines: &mut impl Iterator<Item = Cursor<'t>>,
    ) -> Result<(), ParseError> {
        for mut line in lines {
            if line.eat("}") {
                return line.expect_end();
            }
            self.parse_item(line)?;
        }
        Err(missing(text, "`}`"))
    }

    fn parse_item(&mut self, mut line: Cursor<'_>) -> Result<(), ParseError> {
        let start = line;
        match line.word() {
            "input" => self.parse_input(line),
            "output" => self.parse_output(line),
            "external" | "residual" if self.has_keys => self.parse_external(line),
            "_" => self.parse_operation(start),
            "" if start.rest().starts_with('%') => self.parse_operation(start),
            _ => Err(start.expected(if self.has_keys {
                "`input`, `external`, `residual`, an operation, `output` or `}`"
            } else {
                "`input`, an operation, `output` or `}`"
            })),
        }
    }

    fn parse_input(&mut self, mut line: Cursor<'_>) -> Result<(), ParseError> {
        line.skip_blanks();
        self.expect_local(&mut line, self.values)?;
        let written = self.parse_type(&mut line)?;
        if self.has_types && written.is_none() {
            return Err(line.expected("`:` and a type, as other values have one"));
        }
        if !self.has_keys && self.has_operations {
            let start = line.at_start();
            return Err(start.expected("an operation, as inputs come first"));
        }
        let key = self.has_keys.then(|| {
            line.expect("=")?;
            parse_key::<Op>(&mut line)
        });
        let key = key.transpose()?;
        line.expect_end()?;
        match (&mut self.types, written) {
            (Ok(types), Some((value_type, _))) => {
                types.add(value_type.clone());
                self.input_types.push(value_type);
            }
            _ => self.types = Err(None),
        }
        self.values += 1;
        self.target.add_input(key);
        Ok(())
    }

    fn parse_output(&mut self, mut line: Cursor<'_>) -> Result<(), ParseError> {
        line.skip_blanks();
        let place = line;
        let value = if self.has_keys && line.eat("zero") {
            None
        } else {
            Some(self.parse_local(&mut line)?)
        };
        line.skip_blanks();
        let label = if self.has_keys && line.eat("->") {
            line.skip_blanks();
            let start = line;
            let label = line.text()?;
            Some(label.ok_or_else(|| start.expected("what the output is"))?)
        } else {
            None
        };
        line.expect_end()?;
        self.outputs.push(ParsedOutput {
            value,
            label,
            line: place.line,
            column: place.column(),
        });
        Ok(())
    }

    fn parse_external(&mut self, mut line: Cursor<'_>) -> Result<(), ParseError> {
        line.skip_blanks();
        if let Some(names_a_value) = line.rest().strip_prefix('@')
            && !names_a_value.starts_with(|c: char| c.is_ascii_digit())
        {
            self.parse_external_value(&mut line)?;
            return line.expect_end();
        }
        let start = line;
        let slots = line.separated(parse_slot)?;
        if let [Some((_, at))] = slots[..]
            && line.rest().is_empty()
        {
            return self.parse_external_value(&mut { at }).map(drop);
        }
        for (next, (number, at)) in (self.externals.len()..).zip(slots.iter().flatten()) {
            if *number != next {
                return Err(at.expected(&format!("`@{next}`")));
            }
        }
        line.expect("=")?;
        let application = self.parse_application(&mut line)?;
        line.expect_end()?;
        let operation = application.operation;
        let count = operation.output_count();
        if slots.len() != count {
            return Err(start.wrong_count(count, "name", slots.len()));
        }
        let inputs = application.operands.into_iter();
        let inputs = inputs.map(|operand| match operand {
            (ValueRef::External(key), _) => Ok(key),
            (ValueRef::Local(_), at) => Err(at.expected("a value of another graph")),
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let key = OperationKey::try_new(operation, inputs, application.role)
            .map_err(|error| application.name_at.wrong(&error))?;
        let key = Arc::new(key);
        for (slot, _) in slots.iter().enumerate().filter(|(_, name)| name.is_some()) {
            self.externals.push(ValueKey::result(&key, slot));
        }
        Ok(())
    }

    fn parse_operation(&mut self, mut line: Cursor<'_>) -> Result<(), ParseError> {
        let start = line;
        // By result: its type, as far as it is written.
        let results = if line.eat("_") {
            Vec::new()
        } else {
            let mut next = self.values;
            line.separated(|line| {
                self.expect_local(line, next)?;
                next += 1;
                self.parse_type(line)
            })?
        };
        line.expect("=")?;
        let application = self.parse_application(&mut line)?;
        line.expect_end()?;
        let count = application.operation.output_count();
        if results.len() != count {
            return Err(start.wrong_count(count, "result", results.len()));
        }
        self.infer_types(&application, &results)?;
        self.values += results.len();
        self.has_operations = true;
        let at = application.name_at;
        if !self.has_keys && application.role != OperationRole::Primary {
            return Err(at.expected("no mark, as operations of a dense graph have no roles"));
        }
        let added = self.target.add(application);
        added.map_err(|error| at.wrong(&error))
    }

    /// Infers the types of the results of what is about to be added, if values have types, and holds those that are
    /// written to them.
    fn infer_types(
        &mut self,
        application: &Application<'_, Op>,
        written: &[Option<WrittenType<'_>>],
    ) -> Result<(), ParseError> {
        let Ok(types) = &mut self.types else {
            return Ok(());
        };
        let operands = application.operands.iter();
        let operands = operands.map(|(operand, _)| operand.local());
        let inferred = match operands.collect::<Option<SmallVec<[usize; 4]>>>() {
            Some(ids) => types
                .infer(&application.operation, ids.into_iter())
                .map_err(Some),
            None => Err(None),
        };
        match inferred {
            Ok(()) => {}
            Err(Some(error)) if self.has_types => return Err(application.name_at.wrong(&error)),
            Err(reason) => {
                self.types = Err(reason);
                return Ok(());
            }
        }
        for (id, written) in (self.values..).zip(written) {
            let inferred = types.get(types.id_of(id));
            if let Some((found, at)) = written
                && found != inferred
            {
                let inferred = type_name(inferred);
                let expected = format!("`{inferred}`, as follows from the operands");
                return Err(at.error(&expected, format!("`{}`", type_name(found))));
            }
        }
        Ok(())
    }

    fn parse_application<'t>(
        &self,
        line: &mut Cursor<'t>,
    ) -> Result<Application<'t, Op>, ParseError> {
        line.skip_blanks();
        let prefix = parse_prefix(line)?;
        let name_at = *line;
        let name = line.name()?;
        let operation = match Op::parse_name(&name) {
            Some(operation) => operation,
            None => self.parse_with_functions(line, name_at, &name)?,
        };
        let mut operands = Vec::new();
        let mut mask = Vec::new();
        line.skip_blanks();
        if operation.input_count() == 0 && !line.rest().is_empty() {
            let expected = format!("the end of the line, as {name} takes no operands");
            return Err(line.expected(&expected));
        }
        while !line.rest().is_empty() {
            if !operands.is_empty() {
                if !line.eat(",") {
                    return Err(line.expected("`,` or the end of the line"));
                }
                line.skip_blanks();
            }
            let at = *line;
            mask.push(line.eat("~"));
            operands.push((self.parse_operand(line)?, at));
            line.skip_blanks();
        }
        let count = operation.input_count();
        if operands.len() != count {
            return Err(name_at.wrong_count(count, "operand", operands.len()));
        }
        let is_linear = mask.contains(&true);
        let role = match prefix {
            Some(_) if is_linear => {
                return Err(name_at.expected("no `~` after `fixed` or `masked`"));
            }
            Some(given) => OperationRole::Linearized {
                active_mask: given.unwrap_or(mask),
            },
            None if is_linear => OperationRole::Linearized { active_mask: mask },
            None => OperationRole::Primary,
        };
        Ok(Application {
            operation,
            name_at,
            operands,
            role,
        })
    }

    /// The operation of this name that holds the functions that are listed here.
    fn parse_with_functions(
        &self,
        line: &mut Cursor<'_>,
        name_at: Cursor<'_>,
        name: &str,
    ) -> Result<Op, ParseError> {
        let no_operation = || no_operation::<Op>(name_at, name, self.an_operand());
        line.skip_blanks();
        let may_hold = !self.has_keys || !self.functions.is_empty();
        if !may_hold || !line.rest().starts_with('@') {
            return Err(no_operation());
        }
        let at = *line;
        let functions = line.separated(|line| self.parse_function(line))?;
        let operation = Op::parse_with_functions(name, functions).ok_or_else(no_operation)?;
        check_functions(&operation).map_err(|error| at.wrong(&error))?;
        Ok(operation)
    }

    /// The function that is named here.
    fn parse_function(&self, line: &mut Cursor<'_>) -> Result<SubFunction<Op>, ParseError> {
        const KNOWN: &str = "a function that was defined before";
        let start = *line;
        let name = line.function_name()?;
        let known = self.functions.get(&name).cloned();
        known.ok_or_else(|| match &self.defined {
            Some(defined) if *defined == name => {
                start.error(KNOWN, format!("`@{name}`, which this is a part of"))
            }
            _ => start.expected(KNOWN),
        })
    }

    fn parse_operand(&self, line: &mut Cursor<'_>) -> Result<ValueRef<Op>, ParseError> {
        if self.has_keys && line.rest().starts_with('@') {
            if self.has_types {
                return Err(line.expected("an operand with a type: `%`"));
            }
            self.parse_external_value(line).map(ValueRef::External)
        } else if line.rest().starts_with('%') {
            self.parse_local(line).map(ValueRef::Local)
        } else {
            Err(line.expected(self.an_operand()))
        }
    }

    /// What an operand may be.
    fn an_operand(&self) -> &'static str {
        if self.has_keys {
            "an operand: `%` or `@`"
        } else {
            "an operand: `%`"
        }
    }

    fn parse_external_value(&self, line: &mut Cursor<'_>) -> Result<ValueKey<Op>, ParseError> {
        let start = *line;
        line.eat("@");
        if !line.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return parse_key::<Op>(line).map(ValueKey::Input);
        }
        let number = line.number();
        let key = number.and_then(|number| self.externals.get(number).cloned());
        key.ok_or_else(|| start.expected("a value that was defined before"))
    }

    fn parse_local(&self, line: &mut Cursor<'_>) -> Result<LocalValueId, ParseError> {
        let start = *line;
        let id = line.eat("%").then(|| line.number()).flatten();
        id.filter(|id| *id < self.values)
            .ok_or_else(|| start.expected("a local value that was defined before"))
    }

    fn expect_local(&self, line: &mut Cursor<'_>, id: usize) -> Result<(), ParseError> {
        let start = *line;
        if line.eat("%") && line.number() == Some(id) {
            return Ok(());
        }
        Err(start.expected(&format!("`%{id}`")))
    }

    /// The type of a value that is being defined, if one stands here.
    fn parse_type<'t>(
        &mut self,
        line: &mut Cursor<'t>,
    ) -> Result<Option<WrittenType<'t>>, ParseError> {
        line.skip_blanks();
        let colon = *line;
        if !self.may_have_types || !line.eat(":") {
            return Ok(None);
        }
        self.start_types(colon)?;
        line.skip_blanks();
        let start = *line;
        let kind = line.text()?.ok_or_else(|| start.expected("a type"))?;
        let kind = Op::parse_kind(&kind).ok_or_else(|| start.expected(UNKNOWN_KIND))?;
        let dims = line.dims()?;
        Ok(Some((ValueType::new(kind, dims), start)))
    }

    /// Values have types from here on, as have those before.
    fn start_types(&mut self, at: Cursor<'_>) -> Result<(), ParseError> {
        match &self.types {
            Ok(_) => self.has_types = true,
            Err(None) => return Err(at.expected("no type, as values before have none")),
            Err(Some(error)) => return Err(at.error("no type", error.to_string())),
        }
        Ok(())
    }
}

impl<Op: ParseNames> Parser<Op, Positions<Op>> {
    fn graph(self) -> Result<DenseGraph<Op>, ParseError> {
        let Positions {
            mut graph, here, ..
        } = self.target;
        let outputs = self.outputs.iter().filter_map(|output| output.value);
        graph.set_outputs(outputs.map(|id| here[id]).collect());
        if self.has_types {
            return graph.with_types(self.input_types).map_err(not_closed);
        }
        Ok(graph)
    }
}

fn parse_key<Op: ParseNames>(line: &mut Cursor<'_>) -> Result<Op::InputKey, ParseError> {
    let start = *line;
    let key = line.text()?.and_then(|text| Op::parse_input_name(&text));
    key.ok_or_else(|| start.expected("the name of an input"))
}

/// What is wrong where a name is none of an operation.
fn no_operation<Op: ParseNames>(at: Cursor<'_>, name: &str, an_operand: &str) -> ParseError {
    if let Some(reason) = Op::explain_name(name) {
        return at.error("an operation", reason);
    }
    /// More words than names have.
    const WORDS: usize = 4;
    // An operand without its mark reads as a word of the name.
    let words = name.match_indices(' ').take(WORDS).map(|(end, _)| end);
    let operations = words.filter(|&end| {
        let operation = Op::parse_name(&name[..end]);
        operation.is_some_and(|operation| operation.input_count() > 0)
    });
    if let Some(end) = operations.last()
        && at.rest().starts_with(name)
    {
        let mut operand = at;
        operand.eat(&name[..=end]);
        return operand.expected(an_operand);
    }
    at.expected("an operation")
}

/// The name of an external operation's result: `@N`, or `_` for one that nothing uses.
fn parse_slot<'t>(line: &mut Cursor<'t>) -> Result<Option<(usize, Cursor<'t>)>, ParseError> {
    let at = *line;
    if line.eat("_") {
        return Ok(None);
    }
    let number = line.eat("@").then(|| line.number()).flatten();
    let number = number.ok_or_else(|| at.expected("`@` and a number or name, or `_`"))?;
    Ok(Some((number, at)))
}

/// What says that an operation is linear, before its name: `fixed` has no mask, `masked` has one.
fn parse_prefix(line: &mut Cursor<'_>) -> Result<Option<Option<Vec<bool>>>, ParseError> {
    let start = *line;
    let word = line.word();
    if !KEYWORDS.contains(&word) {
        *line = start;
        return Ok(None);
    }
    line.skip_blanks();
    if word == "fixed" {
        return Ok(Some(None));
    }
    let at = *line;
    let bits = line.word();
    line.skip_blanks();
    let is_mask = !bits.is_empty() && bits.chars().all(|c| matches!(c, '0' | '1'));
    if !is_mask && bits != "-" {
        return Err(at.expected("an active mask such as `101` or `-`"));
    }
    let bits = bits.chars().filter(|_| is_mask);
    Ok(Some(Some(bits.map(|c| c == '1').collect())))
}

struct Application<'t, Op: GraphOperation> {
    operation: Op,
    name_at: Cursor<'t>,
    operands: Vec<(ValueRef<Op>, Cursor<'t>)>,
    role: OperationRole,
}

/// A type, and where it stands.
type WrittenType<'t> = (ValueType, Cursor<'t>);

/// A place in a line.
#[derive(Clone, Copy)]
struct Cursor<'t> {
    line: usize,
    text: &'t str,
    /// In bytes.
    at: usize,
}

impl<'t> Cursor<'t> {
    fn new(line: usize, text: &'t str) -> Self {
        Self {
            line,
            text: text.trim_end(),
            at: 0,
        }
    }

    /// Where the item of the line begins.
    fn at_start(&self) -> Self {
        let mut start = Self { at: 0, ..*self };
        start.skip_blanks();
        start
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// The word at this place, which may be empty.
    fn word(&mut self) -> &'t str {
        self.run_of(is_word_char)
    }

    fn number(&mut self) -> Option<usize> {
        let start = *self;
        let number = self.run_of(|c| c.is_ascii_digit()).parse();
        number.inspect_err(|_| *self = start).ok()
    }

    fn run_of(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Items with commas between them, one at least.
    fn separated<I>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<I, ParseError>,
    ) -> Result<Vec<I>, ParseError> {
        let mut items = Vec::new();
        loop {
            items.push(item(self)?);
            self.skip_blanks();
            if !self.eat(",") {
                return Ok(items);
            }
            self.skip_blanks();
        }
    }

    /// `@` and the name of a function.
    fn function_name(&mut self) -> Result<String, ParseError> {
        let start = *self;
        let name = if self.eat("@") { self.text()? } else { None };
        name.ok_or_else(|| start.expected("`@` and the name of a function"))
    }

    /// A word or a string, if one stands here. A string may be empty, a word is not.
    fn text(&mut self) -> Result<Option<String>, ParseError> {
        if self.rest().starts_with('"') {
            return self.string().map(Some);
        }
        let word = self.word();
        Ok((!word.is_empty()).then(|| word.to_owned()))
    }

    /// The sizes of the axes of a type, none if no bracket stands here.
    fn dims(&mut self) -> Result<Vec<usize>, ParseError> {
        self.skip_blanks();
        if !self.eat("[") {
            return Ok(Vec::new());
        }
        self.skip_blanks();
        let dims = self.separated(|line| {
            let size = line.number();
            size.ok_or_else(|| line.expected("the size of an axis"))
        })?;
        if !self.eat("]") {
            return Err(self.expected("`,` or `]`"));
        }
        Ok(dims)
    }

    /// Words up to the first operand, or a string.
    fn name(&mut self) -> Result<String, ParseError> {
        if self.rest().starts_with('"') {
            return self.string();
        }
        let start = *self;
        let mut words = Vec::new();
        loop {
            let before = *self;
            self.skip_blanks();
            let word = self.word();
            if word.is_empty() {
                *self = before;
                break;
            }
            words.push(word);
        }
        if words.is_empty() {
            return Err(start.expected("an operation"));
        }
        Ok(words.join(" "))
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let mut text = String::new();
        self.eat("\"");
        loop {
            let at = *self;
            let Some(c) = self.next_char() else {
                return Err(at.expected("`\"`"));
            };
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escape(at)?),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self, at: Self) -> Result<char, ParseError> {
        let wrong = || at.expected("an escape: `\\\"`, `\\\\`, `\\n`, `\\r`, `\\t` or `\\u{..}`");
        match self.next_char().ok_or_else(wrong)? {
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            c @ ('"' | '\\') => Ok(c),
            'u' if self.eat("{") => {
                let rest = self.rest();
                let end = rest.find('}').ok_or_else(wrong)?;
                let code = u32::from_str_radix(&rest[..end], 16).map_err(|_| wrong())?;
                self.at += end + 1;
                char::from_u32(code).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        self.skip_blanks();
        if !self.eat(token) {
            return Err(self.expected(&format!("`{token}`")));
        }
        self.skip_blanks();
        Ok(())
    }

    fn expect_end(&mut self) -> Result<(), ParseError> {
        self.skip_blanks();
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.expected("the end of the line"))
        }
    }

    /// The error that something else should stand here.
    fn expected(&self, expected: &str) -> ParseError {
        let rest = self.rest();
        let found = if rest.is_empty() {
            "the end of the line".to_owned()
        } else {
            format!("`{}`", shortened(rest))
        };
        self.error(expected, found)
    }

    /// The error that an application cannot stand here, for a reason.
    fn wrong(&self, reason: &impl Display) -> ParseError {
        self.error("a well-formed operation", reason.to_string())
    }

    /// The error that an operation has too few or too many of something.
    fn wrong_count(&self, expected: usize, what: &str, found: usize) -> ParseError {
        self.error(&counted(expected, what), found.to_string())
    }

    fn error(&self, expected: &str, found: String) -> ParseError {
        ParseError::new(self.line, self.column(), expected, found)
    }

    fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }
}
