//! Reading graphs back from text.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use hashbrown::HashMap;
use thiserror::Error;

use super::name::{KEYWORDS, is_word_char, shortened, type_name};
use crate::base::DenseId;
use crate::builder::GraphBuilder;
use crate::dense::DenseGraph;
use crate::error::{TypeError, counted};
use crate::graph::{Graph, ValueRef};
use crate::inference::ValueTypes;
use crate::key::{FixedState, OperationKey, ValueKey};
use crate::operation::check_functions;
use crate::sub_function::SubFunction;
use crate::value_type::ValueType;
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
    let mut read = Parser::read(text, headers, GraphBuilder::new())?;
    let values = read.outputs.iter().filter_map(|output| output.value);
    read.target.set_outputs(values.collect());
    let graph = read.target.build();
    let input_types = read.types.map(|types| {
        let inputs = graph.inputs().iter();
        let inputs = inputs.map(|&id| types.get(types.id_of(id)).clone());
        inputs.collect()
    });
    Ok(ParsedListing {
        header: read.header,
        graph,
        outputs: read.outputs,
        input_types,
    })
}

/// Reads a `dense` listing. If inputs have types, all values have, as after [`with_types`](Self::with_types).
impl<Op: ParseNames> FromStr for DenseGraph<Op> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(Parser::read(text, &[DENSE], Self::new(0))?.graph())
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

fn parse_header(mut line: Cursor<'_>, headers: &[&str]) -> Result<String, ParseError> {
    let start = line;
    let word = line.word();
    if !headers.contains(&word) {
        let mut error = start.expected(&expected_header(headers));
        error.found.push_str(other_reader(word, headers));
        return Err(error);
    }
    line.skip_blanks();
    if !line.eat("{") {
        return Err(line.expected("`{`"));
    }
    line.expect_end()?;
    Ok(word.to_owned())
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
    line.skip_blanks();
    if !line.eat("{") {
        return Err(line.expected("`{`"));
    }
    line.expect_end()?;
    Ok(Some((name, at)))
}

/// The lines of a text that say something.
fn lines(text: &str) -> impl Iterator<Item = Cursor<'_>> {
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
    /// What may begin an item.
    const ITEMS: &'static str;
    /// What an operand may be.
    const OPERAND: &'static str;
    /// Whether values have keys: there are values of other graphs then, and outputs say what they are.
    const HAS_KEYS: bool;

    fn value_count(&self) -> usize;

    /// Reads what stands behind the value of an input, and adds it.
    fn read_input(&mut self, line: &mut Cursor<'_>) -> Result<(), ParseError>;

    /// Adds an operation of a checked number of operands.
    fn add(&mut self, application: Application<'_, Op>) -> Result<(), ParseError>;

    /// Infers the types of all values so far, unless there are inputs among them, or they use other graphs.
    fn infer_all(&self, types: &mut ValueTypes) -> Result<bool, TypeError>;
}

impl<Op: ParseNames> Target<Op> for GraphBuilder<Op> {
    const ITEMS: &'static str = "`input`, `external`, `residual`, an operation, `output` or `}`";
    const OPERAND: &'static str = "an operand: `%` or `@`";
    const HAS_KEYS: bool = true;

    fn value_count(&self) -> usize {
        self.values().len()
    }

    fn read_input(&mut self, line: &mut Cursor<'_>) -> Result<(), ParseError> {
        line.expect_equals()?;
        let key = parse_key::<Op>(line)?;
        line.expect_end()?;
        self.add_input(key);
        Ok(())
    }

    fn add(&mut self, application: Application<'_, Op>) -> Result<(), ParseError> {
        let operands = application.operands.into_iter().map(|(operand, _)| operand);
        self.try_add_operation(application.operation, operands.collect(), application.role)
            .map_err(|error| application.name_at.wrong(&error))?;
        Ok(())
    }

    fn infer_all(&self, types: &mut ValueTypes) -> Result<bool, TypeError> {
        let operations = self.operations();
        let mut operands = operations.iter().flat_map(|node| node.inputs.iter());
        let has_external = operands.any(|operand| matches!(operand, ValueRef::External(_)));
        if has_external || !self.inputs().is_empty() {
            return Ok(false);
        }
        for node in operations {
            infer(types, &node.operation, node.inputs.iter())?;
        }
        Ok(true)
    }
}

impl<Op: ParseNames> Target<Op> for DenseGraph<Op> {
    const ITEMS: &'static str = "`input`, an operation, `output` or `}`";
    const OPERAND: &'static str = "an operand: `%`";
    const HAS_KEYS: bool = false;

    fn value_count(&self) -> usize {
        self.value_count()
    }

    fn read_input(&mut self, line: &mut Cursor<'_>) -> Result<(), ParseError> {
        if self.operation_count() > 0 {
            return Err(line
                .at_start()
                .expected("an operation, as inputs come first"));
        }
        line.expect_end()?;
        self.add_input();
        Ok(())
    }

    fn add(&mut self, application: Application<'_, Op>) -> Result<(), ParseError> {
        let at = application.name_at;
        if application.role != OperationRole::Primary {
            return Err(at.expected("no mark, as operations of a dense graph have no roles"));
        }
        let operands = application
            .operands
            .iter()
            .filter_map(|(operand, _)| match operand {
                ValueRef::Local(id) => Some(DenseId::new(*id)),
                ValueRef::External(_) => None,
            });
        let operands: Vec<DenseId> = operands.collect();
        self.push(application.operation, &operands)
            .map_err(|error| at.wrong(&error))?;
        Ok(())
    }

    fn infer_all(&self, types: &mut ValueTypes) -> Result<bool, TypeError> {
        if self.input_count() > 0 {
            return Ok(false);
        }
        for node in self.nodes() {
            types.infer(node.operation, node.operands.iter().map(|id| id.index()))?;
        }
        Ok(true)
    }
}

struct Parser<Op: ParseNames, T> {
    header: String,
    target: T,
    /// By number.
    externals: Vec<ValueKey<Op>>,
    functions: Functions<Op>,
    outputs: Vec<ParsedOutput>,
    may_have_types: bool,
    /// Those of all values, from the first type on that was read.
    types: Option<ValueTypes>,
}

/// The functions that were defined so far.
struct Functions<Op: ParseNames> {
    by_name: HashMap<String, SubFunction<Op>, FixedState>,
    /// The name of the one that is being defined.
    open: Option<String>,
}

impl<Op: ParseNames, T: Target<Op>> Parser<Op, T> {
    fn new(header: String, target: T, functions: Functions<Op>) -> Self {
        Self {
            may_have_types: header == FUNCTION || header == DENSE,
            header,
            target,
            externals: Vec::new(),
            functions,
            outputs: Vec::new(),
            types: None,
        }
    }

    fn read(text: &str, headers: &[&str], target: T) -> Result<Self, ParseError> {
        let mut lines = lines(text);
        let mut functions = Functions::default();
        loop {
            let line = lines.next();
            let line = line.ok_or_else(|| missing(text, &expected_header(headers)))?;
            let Some((name, at)) = definition_name(line)? else {
                let header = parse_header(line, headers)?;
                let mut listing = Self::new(header, target, functions);
                listing.parse_items(text, &mut lines)?;
                return match lines.next() {
                    None => Ok(listing),
                    Some(after) => Err(after.expected("the end of the text")),
                };
            };
            if functions.by_name.contains_key(&name) {
                return Err(at.expected("a name that no function before has"));
            }
            functions.open = Some(name);
            let body = Parser::new(FUNCTION.to_owned(), DenseGraph::new(0), functions);
            functions = body.define(text, &mut lines)?;
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
            "external" | "residual" if T::HAS_KEYS => self.parse_external(line),
            "_" => self.parse_operation(start),
            "" if start.rest().starts_with('%') => self.parse_operation(start),
            _ => Err(start.expected(T::ITEMS)),
        }
    }

    fn parse_input(&mut self, mut line: Cursor<'_>) -> Result<(), ParseError> {
        line.skip_blanks();
        self.expect_next_local(&mut line, 0)?;
        let written = self.parse_type(&mut line)?;
        if let Some(types) = &mut self.types {
            let (value_type, _) =
                written.ok_or_else(|| line.expected("`:` and a type, as other values have one"))?;
            let id = types.intern(value_type);
            types.push(id);
        }
        self.target.read_input(&mut line)
    }

    fn parse_output(&mut self, mut line: Cursor<'_>) -> Result<(), ParseError> {
        line.skip_blanks();
        let place = line;
        let value = if T::HAS_KEYS && line.eat("zero") {
            None
        } else {
            Some(self.parse_local(&mut line)?)
        };
        line.skip_blanks();
        let label = if T::HAS_KEYS && line.eat("->") {
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
        let slots = parse_slots(&mut line)?;
        if let [Some((_, at))] = slots[..]
            && line.rest().is_empty()
        {
            let mut line = at;
            self.parse_external_value(&mut line)?;
            return line.expect_end();
        }
        for (next, (number, at)) in (self.externals.len()..).zip(slots.iter().flatten()) {
            if *number != next {
                return Err(at.expected(&format!("`@{next}`")));
            }
        }
        line.expect_equals()?;
        let application = self.parse_application(&mut line)?;
        line.expect_end()?;
        let operation = application.operation;
        let count = operation.output_count();
        if slots.len() != count {
            return Err(start.wrong_count(count, "name", slots.len()));
        }
        let inputs = application
            .operands
            .into_iter()
            .map(|operand| match operand {
                (ValueRef::External(key), _) => Ok(key),
                (ValueRef::Local(_), at) => Err(at.expected("a value of another graph")),
            });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let key = OperationKey::try_new(operation, inputs, application.role)
            .map_err(|error| application.name_at.wrong(&error))?;
        let key = Arc::new(key);
        for (slot, _) in slots.iter().enumerate().filter(|(_, name)| name.is_some()) {
            self.externals.push(ValueKey::Derived {
                operation: Arc::clone(&key),
                output_slot: slot as u8,
            });
        }
        Ok(())
    }

    fn parse_operation(&mut self, mut line: Cursor<'_>) -> Result<(), ParseError> {
        let start = line;
        // By result: its type, as far as it is written.
        let mut results = Vec::new();
        if !line.eat("_") {
            loop {
                self.expect_next_local(&mut line, results.len())?;
                results.push(self.parse_type(&mut line)?);
                line.skip_blanks();
                if !line.eat(",") {
                    break;
                }
                line.skip_blanks();
            }
        }
        line.expect_equals()?;
        let application = self.parse_application(&mut line)?;
        line.expect_end()?;
        let count = application.operation.output_count();
        if results.len() != count {
            return Err(start.wrong_count(count, "result", results.len()));
        }
        self.infer_types(&application, &results)?;
        self.target.add(application)
    }

    /// Infers the types of the results of what is about to be added, if values have types, and holds those that are
    /// written to them.
    fn infer_types(
        &mut self,
        application: &Application<'_, Op>,
        written: &[Option<WrittenType<'_>>],
    ) -> Result<(), ParseError> {
        let Some(types) = &mut self.types else {
            return Ok(());
        };
        let operands = application.operands.iter().map(|(operand, _)| operand);
        infer(types, &application.operation, operands)
            .map_err(|error| application.name_at.wrong(&error))?;
        let first = self.target.value_count();
        for (id, written) in (first..).zip(written) {
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
        let prefix = self.parse_prefix(line)?;
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
        let role = match prefix {
            Prefix::Fixed | Prefix::Masked(_) if mask.contains(&true) => {
                return Err(name_at.expected("no `~` after `fixed` or `masked`"));
            }
            Prefix::Masked(active_mask) => OperationRole::Linearized { active_mask },
            Prefix::Fixed => OperationRole::Linearized { active_mask: mask },
            Prefix::None if mask.contains(&true) => OperationRole::Linearized { active_mask: mask },
            Prefix::None => OperationRole::Primary,
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
        let no_operation = || no_operation::<Op>(name_at, name, T::OPERAND);
        line.skip_blanks();
        let known = &self.functions;
        let may_hold = !T::HAS_KEYS || !known.by_name.is_empty();
        if !may_hold || !line.rest().starts_with('@') {
            return Err(no_operation());
        }
        let at = *line;
        let mut functions = vec![known.parse(line)?];
        line.skip_blanks();
        while line.eat(",") {
            line.skip_blanks();
            functions.push(known.parse(line)?);
            line.skip_blanks();
        }
        let operation = Op::parse_with_functions(name, functions).ok_or_else(no_operation)?;
        check_functions(&operation).map_err(|error| at.wrong(&error))?;
        Ok(operation)
    }

    fn parse_prefix(&self, line: &mut Cursor<'_>) -> Result<Prefix, ParseError> {
        let start = *line;
        let word = line.word();
        if !KEYWORDS.contains(&word) {
            *line = start;
            return Ok(Prefix::None);
        }
        line.skip_blanks();
        if word == "fixed" {
            return Ok(Prefix::Fixed);
        }
        let at = *line;
        let bits = line.word();
        line.skip_blanks();
        match bits {
            "-" => Ok(Prefix::Masked(Vec::new())),
            bits if !bits.is_empty() && bits.chars().all(|c| matches!(c, '0' | '1')) => {
                Ok(Prefix::Masked(bits.chars().map(|c| c == '1').collect()))
            }
            _ => Err(at.expected("an active mask such as `101` or `-`")),
        }
    }

    fn parse_operand(&self, line: &mut Cursor<'_>) -> Result<ValueRef<Op>, ParseError> {
        if T::HAS_KEYS && line.rest().starts_with('@') {
            if self.types.is_some() {
                return Err(line.expected("an operand with a type: `%`"));
            }
            self.parse_external_value(line).map(ValueRef::External)
        } else if line.rest().starts_with('%') {
            self.parse_local(line).map(ValueRef::Local)
        } else {
            Err(line.expected(T::OPERAND))
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
        let known = self.target.value_count();
        let id = if line.eat("%") { line.number() } else { None };
        id.filter(|id| *id < known)
            .ok_or_else(|| start.expected("a local value that was defined before"))
    }

    fn expect_next_local(
        &self,
        line: &mut Cursor<'_>,
        already_defined: usize,
    ) -> Result<(), ParseError> {
        let start = *line;
        let next = self.target.value_count() + already_defined;
        let id = if line.eat("%") { line.number() } else { None };
        if id == Some(next) {
            Ok(())
        } else {
            Err(start.expected(&format!("`%{next}`")))
        }
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

    /// Values have types from here on. Those before are inferred, unless there are inputs among them, or they use other
    /// graphs.
    fn start_types(&mut self, at: Cursor<'_>) -> Result<(), ParseError> {
        if self.types.is_some() {
            return Ok(());
        }
        let mut types = ValueTypes::default();
        let inferred = self.target.infer_all(&mut types);
        let inferred = inferred.map_err(|error| at.error("no type", error.to_string()))?;
        if !inferred {
            return Err(at.expected("no type, as values before have none"));
        }
        self.types = Some(types);
        Ok(())
    }
}

impl<Op: ParseNames> Parser<Op, DenseGraph<Op>> {
    /// Reads what is left of the function that is open, and adds it.
    fn define<'t>(
        mut self,
        text: &str,
        lines: &mut impl Iterator<Item = Cursor<'t>>,
    ) -> Result<Functions<Op>, ParseError> {
        self.parse_items(text, lines)?;
        let mut functions = std::mem::take(&mut self.functions);
        if let Some(name) = functions.open.take() {
            let function = SubFunction::new(name.clone(), self.graph());
            functions.by_name.insert(name, function);
        }
        Ok(functions)
    }

    fn graph(mut self) -> DenseGraph<Op> {
        let outputs = self.outputs.iter().filter_map(|output| output.value);
        let outputs = outputs.map(DenseId::new).collect();
        self.target.set_outputs(outputs);
        self.target.of_values(self.types)
    }
}

impl<Op: ParseNames> Default for Functions<Op> {
    fn default() -> Self {
        Self {
            by_name: HashMap::default(),
            open: None,
        }
    }
}

impl<Op: ParseNames> Functions<Op> {
    /// The function that is named here.
    fn parse(&self, line: &mut Cursor<'_>) -> Result<SubFunction<Op>, ParseError> {
        const DEFINED: &str = "a function that was defined before";
        let start = *line;
        let name = line.function_name()?;
        let known = self.by_name.get(&name).cloned();
        known.ok_or_else(|| match &self.open {
            Some(open) if *open == name => {
                start.error(DEFINED, format!("`@{name}`, which this is a part of"))
            }
            _ => start.expected(DEFINED),
        })
    }
}

fn parse_key<Op: ParseNames>(line: &mut Cursor<'_>) -> Result<Op::InputKey, ParseError> {
    let start = *line;
    let key = line.text()?.and_then(|text| Op::parse_input_name(&text));
    key.ok_or_else(|| start.expected("the name of an input"))
}

/// Notes the types of an operation's results. All operands are values of the listing.
fn infer<'a, Op: GraphOperation>(
    types: &mut ValueTypes,
    operation: &Op,
    operands: impl Iterator<Item = &'a ValueRef<Op>>,
) -> Result<(), TypeError> {
    let operands = operands.filter_map(|operand| match operand {
        ValueRef::Local(id) => Some(*id),
        ValueRef::External(_) => None,
    });
    types.infer(operation, operands)
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

/// The names of an external operation's results: `@N`, or `_` for one that nothing uses.
fn parse_slots<'t>(line: &mut Cursor<'t>) -> Result<Vec<Option<(usize, Cursor<'t>)>>, ParseError> {
    let mut slots = Vec::new();
    loop {
        let at = *line;
        if line.eat("_") {
            slots.push(None);
        } else {
            let number = if line.eat("@") { line.number() } else { None };
            let number = number.ok_or_else(|| at.expected("`@` and a number or name, or `_`"))?;
            slots.push(Some((number, at)));
        }
        line.skip_blanks();
        if !line.eat(",") {
            return Ok(slots);
        }
        line.skip_blanks();
    }
}

struct Application<'t, Op: GraphOperation> {
    operation: Op,
    name_at: Cursor<'t>,
    operands: Vec<(ValueRef<Op>, Cursor<'t>)>,
    role: OperationRole,
}

/// A type, and where it stands.
type WrittenType<'t> = (ValueType, Cursor<'t>);

enum Prefix {
    None,
    Fixed,
    Masked(Vec<bool>),
}

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
        let rest = self.rest();
        let end = rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number(&mut self) -> Option<usize> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let number = rest[..end].parse().ok()?;
        self.at += end;
        Some(number)
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
        let mut dims = Vec::new();
        self.skip_blanks();
        if !self.eat("[") {
            return Ok(dims);
        }
        loop {
            self.skip_blanks();
            let size = self.number();
            dims.push(size.ok_or_else(|| self.expected("the size of an axis"))?);
            self.skip_blanks();
            if self.eat("]") {
                return Ok(dims);
            }
            if !self.eat(",") {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    /// Words up to the first operand, or a string.
    fn name(&mut self) -> Result<String, ParseError> {
        if self.rest().starts_with('"') {
            return self.string();
        }
        let start = *self;
        let mut name = self.word().to_owned();
        loop {
            let before = *self;
            self.skip_blanks();
            let word = self.word();
            if word.is_empty() {
                *self = before;
                break;
            }
            name.push(' ');
            name.push_str(word);
        }
        if name.is_empty() {
            return Err(start.expected("an operation"));
        }
        Ok(name)
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

    fn expect_equals(&mut self) -> Result<(), ParseError> {
        self.skip_blanks();
        if !self.eat("=") {
            return Err(self.expected("`=`"));
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
