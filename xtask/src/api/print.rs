//! Pieces of Rust on one line, spaced as rustfmt would.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// A piece of syntax as text.
pub fn text(syntax: &impl ToTokens) -> String {
    let mut words = Vec::new();
    flatten(syntax.to_token_stream(), &mut words);
    drop_comma(&mut words);
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        if at > 0 && is_spaced(&words[..at], word) {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// Names, literals, brackets, and operators of more than one character that are one word.
fn flatten(tokens: TokenStream, words: &mut Vec<String>) {
    let mut joint = false;
    for token in tokens {
        let was_joint = std::mem::take(&mut joint);
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                let mut bracket = |text: &str| {
                    if !text.is_empty() {
                        words.push(text.to_owned());
                    }
                };
                bracket(open);
                flatten(group.stream(), words);
                drop_comma(words);
                if !close.is_empty() {
                    words.push(close.to_owned());
                }
            }
            TokenTree::Punct(punct) => {
                let char = punct.as_char();
                joint = punct.spacing() == Spacing::Joint;
                match words.last_mut() {
                    Some(last) if was_joint && is_one_word(last, char) => last.push(char),
                    _ => words.push(char.to_string()),
                }
            }
            TokenTree::Ident(name) if words.last().is_some_and(|last| last == "'") => {
                words.pop();
                words.push(format!("'{name}"));
            }
            other => words.push(other.to_string()),
        }
    }
}

/// A comma after the last one is a matter of lines.
fn drop_comma(words: &mut Vec<String>) {
    if words.last().is_some_and(|last| last == ",") {
        words.pop();
    }
}

fn is_one_word(last: &str, next: char) -> bool {
    let longer = format!("{last}{next}");
    ["->", "=>", "::", "..", "..=", "..."].contains(&longer.as_str())
}

/// Whether there is a space before a word.
fn is_spaced(before: &[String], word: &str) -> bool {
    let last = before[before.len() - 1].as_str();
    let after_name = is_name(last) && !KEYWORDS.contains(&last);
    match (last, word) {
        ("(" | "[" | "&" | "<" | "::" | "#" | "?" | "!" | "*" | ".." | "$", _) => false,
        (_, "," | ";" | ":" | ")" | "]" | ">" | "." | "!" | "..") => false,
        (_, "::") => !after_name && last != ">",
        ("->" | ":" | "=" | "+" | ",", "<") => true,
        (_, "<") => false,
        (_, "(") => !after_name && last != ">" && last != "fn",
        _ => true,
    }
}

/// Words after which a bracket begins something of its own.
const KEYWORDS: &[&str] = &[
    "as", "dyn", "for", "impl", "in", "mut", "pub", "where", "const",
];

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_spaced_as_they_are_written() {
        for source in [
            "pub fn f<'a, T: ?Sized + Into<Vec<u8>>, const N: usize>(&'a mut self, x: &[T; N]) -> Option<&'a T>",
            "impl<Op: Primitive> From<(Op, u8)> for Function<Op> where Op::Key: Fn(&str) -> u8 + Send",
            "pub fn f(self, wrt: impl Into<Wrt>) -> Result<<T as Add>::Output, Box<dyn Error>>",
            "pub fn f(x: impl for<'a> FnMut(&'a Op, fn(u8) -> u8) -> [f64; 2], _: *const u8)",
            "type Item = (usize, &'static str);",
            "pub const X: [f64; 2];",
        ] {
            let tokens: TokenStream = source.parse().expect("this is Rust");
            assert_eq!(text(&tokens), source);
        }
    }

    #[test]
    fn lines_do_not_matter() {
        let tokens: TokenStream =
            "pub fn f(\n    x: u8,\n    y: u8,\n) -> S {\n    z,\n}\nwhere\n    A: B,\n"
                .parse()
                .expect("this is Rust");
        assert_eq!(
            text(&tokens),
            "pub fn f(x: u8, y: u8) -> S { z } where A: B"
        );
    }
}
