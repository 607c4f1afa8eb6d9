//! Names of operations and inputs in print: plain where they can be read back, quoted otherwise.

use std::fmt::{self, Display};

use crate::GraphOperation;
use crate::error::describe_operation;
use crate::value_type::ValueType;

/// The first word of an application may not be one of these.
pub(super) const KEYWORDS: [&str; 2] = ["fixed", "masked"];

/// The printed name of an operation, quoted if need be.
pub fn operation_name<Op: GraphOperation>(operation: &Op) -> String {
    let text = NameOf(|f: &mut fmt::Formatter<'_>| operation.fmt_name(f)).to_string();
    if is_plain_name(&text) {
        text
    } else {
        quoted(&text)
    }
}

/// The printed name of an input, quoted if need be.
pub fn input_name<Op: GraphOperation>(key: &Op::InputKey) -> String {
    plain_or_quoted_word(&input_label::<Op>(key))
}

/// The printed form of a type, its kind quoted if need be.
pub(crate) fn type_name(value_type: &ValueType) -> String {
    let kind = plain_or_quoted_word(value_type.kind());
    match value_type.dims() {
        [] => kind,
        dims => format!("{kind}{dims:?}"),
    }
}

/// The name of an operation as messages give it: not quoted, on one line, cut where it gets long.
pub fn operation_label<Op: GraphOperation>(operation: &Op) -> String {
    let name = NameOf(|f: &mut fmt::Formatter<'_>| operation.fmt_name(f));
    describe_operation(&format_args!("{name}"))
}

/// The name of an input, not quoted.
pub fn input_label<Op: GraphOperation>(key: &Op::InputKey) -> String {
    NameOf(|f: &mut fmt::Formatter<'_>| Op::fmt_input_name(key, f)).to_string()
}

/// Names for a message, quoted where they would be misread, and cut where there are many; `none` for none.
///
/// ```
/// use tidu_graph::text::name_list;
///
/// let names: Vec<String> = (0..14).map(|i| format!("x{i}")).collect();
/// assert_eq!(name_list(&names[..3]), "x0, x1, x2");
/// assert!(name_list(&names).ends_with("x10, x11 and 2 more"));
/// assert_eq!(name_list(&["a, b".into(), "c".into()]), r#""a, b", c"#);
/// ```
pub fn name_list(names: &[String]) -> String {
    /// Enough to see a misspelling by.
    const SHOWN: usize = 12;
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown = names.iter().take(SHOWN);
    let shown: Vec<String> = shown.map(|name| plain_or_quoted_word(name)).collect();
    let mut text = shown.join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// Enough of a text to recognise it by in a message.
pub fn shortened(text: &str) -> String {
    const SHOWN: usize = 24;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn plain_or_quoted_word(text: &str) -> String {
    let starts_plain = text
        .chars()
        .next()
        .is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '#'));
    if starts_plain && text.chars().all(is_word_char) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// What a word may hold without being quoted.
pub(super) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '#' | '+' | '-')
}

/// Words with single blanks between them, the first of which starts like a name.
fn is_plain_name(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or_default();
    first.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !KEYWORDS.contains(&first)
        && text
            .split(' ')
            .all(|word| !word.is_empty() && word.chars().all(is_word_char))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // What would not be seen, or not be told from something else.
            c if c != '\'' && c.escape_debug().len() > 1 => quoted.extend(c.escape_unicode()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

struct NameOf<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> Display for NameOf<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}
