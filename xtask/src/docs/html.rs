//! What a link checker needs to know of HTML: where attributes are and what they say.

/// A value of an attribute, with the line on which it stands.
#[derive(Debug, PartialEq)]
pub struct Attribute {
    pub line: usize,
    pub value: String,
}

/// The values of an attribute in all tags, with entities and `%` sequences resolved.
pub fn attributes(html: &str, name: &str) -> Vec<Attribute> {
    let start = format!("{name}=\"");
    let mut found = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for (at, _) in html.match_indices(&start) {
        let after = &html[at + start.len()..];
        // Not the end of a longer name.
        let is_whole = html[..at].ends_with(|c: char| c.is_ascii_whitespace());
        let Some(length) = after.find('"').filter(|_| is_whole) else {
            continue;
        };
        line += html[counted..at].matches('\n').count();
        counted = at;
        found.push(Attribute {
            line,
            value: percent_decoded(&unescaped(&after[..length])),
        });
    }
    found
}

fn unescaped(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&amp;", "&"),
    ];
    let replace = |text: String, (from, to): (&str, &str)| text.replace(from, to);
    pairs.into_iter().fold(text.to_owned(), replace)
}

/// The text with `%41` for `A` resolved, where that gives UTF-8; otherwise as it is.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_by_whole_names() {
        let html = "<a\nhref=\"x.html#a%3Cb\" data-href=\"no\"><i id=\"a&lt;b\">\n<a href=\"y\">";
        let at = |line, value: &str| Attribute {
            line,
            value: value.into(),
        };
        assert_eq!(attributes(html, "href"), [at(2, "x.html#a<b"), at(3, "y")]);
        assert_eq!(attributes(html, "id"), [at(2, "a<b")]);
    }

    #[test]
    fn what_is_no_sequence_stays() {
        assert_eq!(percent_decoded("%C3%A9 100% %zz"), "é 100% %zz");
        assert_eq!(percent_decoded("%FF"), "%FF");
    }
}
