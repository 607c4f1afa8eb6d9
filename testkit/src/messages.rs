//! Pages of messages, held to what is printed.

/// Asserts that the rows of a page and the messages that were printed are the same, one to one.
///
/// A row is one of a table below a heading `## section` that `is_checked` accepts, and its first cell is a
/// message as code, in which `…` stands for anything.
///
/// # Panics
///
/// With every message that has not exactly one row, and every row that has not exactly one message.
#[track_caller]
pub fn assert_messages(page: &str, is_checked: impl Fn(&str) -> bool, printed: &[String]) {
    let rows = rows(page, is_checked);
    let mut wrong = Vec::new();
    for text in printed {
        let count = rows.iter().filter(|row| fits(row, text)).count();
        if count != 1 {
            wrong.push(format!("printed, and in {count} rows: {text}"));
        }
    }
    for row in &rows {
        let count = printed.iter().filter(|text| fits(row, text)).count();
        if count != 1 {
            wrong.push(format!("a row, and printed {count} times: {row}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The first cells of the tables in some sections, without their heads.
fn rows(page: &str, is_checked: impl Fn(&str) -> bool) -> Vec<String> {
    let mut checked = false;
    let mut rows = Vec::new();
    let mut in_body = false;
    for line in page.lines() {
        if let Some(section) = line.strip_prefix("## ") {
            checked = is_checked(section);
        }
        if !line.starts_with('|') {
            in_body = false;
        } else if line.starts_with("|---") {
            in_body = true;
        } else if in_body && checked {
            rows.push(code(&first_cell(line)));
        }
    }
    rows
}

/// What stands between the first two bars that are not escaped.
fn first_cell(line: &str) -> String {
    let mut cell = String::new();
    let mut characters = line[1..].chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '|' => break,
            '\\' if characters.peek() == Some(&'|') => cell.extend(characters.next()),
            other => cell.push(other),
        }
    }
    cell.trim().to_owned()
}

/// What a span of code holds, whose fence is of one backtick or of several.
fn code(cell: &str) -> String {
    let text = cell.trim_start_matches('`');
    let fence = &cell[..cell.len() - text.len()];
    let text = text
        .strip_suffix(fence)
        .filter(|text| !fence.is_empty() && !text.is_empty());
    let text = text.unwrap_or_else(|| panic!("not a message as code: {cell}"));
    // Spaces that keep backticks of the text from those of the fence.
    let within = text
        .strip_prefix(' ')
        .and_then(|text| text.strip_suffix(' '));
    within.unwrap_or(text).to_owned()
}

/// Whether a text is what a row says, where `…` stands for anything.
fn fits(row: &str, text: &str) -> bool {
    let Some((start, rest)) = row.split_once('…') else {
        return row == text;
    };
    let (middle, end) = rest.rsplit_once('…').unwrap_or(("", rest));
    let Some(mut text) = text
        .strip_prefix(start)
        .and_then(|text| text.strip_suffix(end))
    else {
        return false;
    };
    middle.split('…').all(|piece| {
        let found = text.split_once(piece);
        text = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}
