//! A page of Markdown as a link checker sees it: links, with where they stand, and anchors.

use std::collections::HashMap;
use std::ops::Range;

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::html;

/// What leads somewhere else.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The line, from one.
    pub line: usize,
    /// Where it leads, as written.
    pub target: String,
    /// Where the target is written, in bytes of the page; empty in HTML.
    pub span: Range<usize>,
}

#[derive(Debug, Default)]
pub struct Page {
    /// Links and pictures, in the order of the text.
    pub links: Vec<Link>,
    /// What a `#` can lead to.
    pub anchors: Vec<String>,
    /// References that are defined nowhere, with their lines.
    pub undefined: Vec<(usize, String)>,
}

impl Page {
    pub fn of(text: &str) -> Self {
        let line_at = |at: usize| 1 + text[..at].matches('\n').count();
        let mut page = Page::default();
        let mut undefined = Vec::new();
        let note = |link: BrokenLink<'_>| -> Option<(CowStr<'_>, CowStr<'_>)> {
            // `[x]` alone is text, as in a[i].
            if link.link_type != LinkType::Shortcut {
                undefined.push((link.span.start, link.reference.to_string()));
            }
            None
        };
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
        let parser = Parser::new_with_broken_link_callback(text, options, Some(note));
        let mut definitions: Vec<(String, Range<usize>)> = Vec::new();
        for (_, definition) in parser.reference_definitions().iter() {
            definitions.push((definition.dest.to_string(), definition.span.clone()));
        }
        let mut headings = Headings::default();
        for (event, range) in parser.into_offset_iter() {
            headings.see(&event);
            match event {
                Event::Start(
                    Tag::Link {
                        link_type: LinkType::Inline | LinkType::Autolink,
                        dest_url,
                        ..
                    }
                    | Tag::Image {
                        link_type: LinkType::Inline,
                        dest_url,
                        ..
                    },
                ) => definitions.push((dest_url.to_string(), range)),
                Event::Html(html) | Event::InlineHtml(html) => {
                    let lines_before = line_at(range.start) - 1;
                    for name in ["href", "src"] {
                        let found = html::attributes(&html, name).into_iter();
                        page.links.extend(found.map(|attribute| Link {
                            line: lines_before + attribute.line,
                            target: attribute.value,
                            span: 0..0,
                        }));
                    }
                    let ids = html::attributes(&html, "id").into_iter();
                    headings.anchors.extend(ids.map(|id| id.value));
                }
                _ => {}
            }
        }
        for (target, range) in definitions {
            // The target stands behind the text of a link, and behind the label of a definition.
            let found = text[range.clone()].rfind(&target);
            let start = found.map_or(range.start, |at| range.start + at);
            page.links.push(Link {
                line: line_at(start),
                span: start..found.map_or(start, |_| start + target.len()),
                target,
            });
        }
        page.links.sort_by_key(|link| (link.line, link.span.start));
        page.anchors = headings.anchors;
        let undefined = undefined.into_iter();
        page.undefined = undefined.map(|(at, label)| (line_at(at), label)).collect();
        page
    }
}

/// Makes anchors of headings, as GitHub and mdBook do.
#[derive(Default)]
struct Headings {
    open: Option<String>,
    seen: HashMap<String, usize>,
    anchors: Vec<String>,
}

impl Headings {
    fn see(&mut self, event: &Event<'_>) {
        match (event, &mut self.open) {
            (Event::Start(Tag::Heading { .. }), _) => self.open = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(text),
            (Event::End(TagEnd::Heading(_)), Some(heading)) => {
                let anchor = anchor_of(heading);
                self.open = None;
                let count = self.seen.entry(anchor.clone()).or_default();
                self.anchors.push(match *count {
                    0 => anchor,
                    count => format!("{anchor}-{count}"),
                });
                *count += 1;
            }
            _ => {}
        }
    }
}

/// Small letters, digits, `-` and `_`; spaces become `-`, and all else is dropped.
fn anchor_of(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        c if c.is_whitespace() => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(text: &str) -> Vec<(usize, String)> {
        let links = Page::of(text).links.into_iter();
        links
            .map(|link| {
                if !link.span.is_empty() {
                    assert_eq!(text[link.span], link.target);
                }
                (link.line, link.target)
            })
            .collect()
    }

    fn owned(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
        let expected = expected.iter();
        expected.map(|(line, to)| (*line, (*to).into())).collect()
    }

    #[test]
    fn links_of_every_kind_are_found_where_they_stand() {
        let text = "# A\n\n[a](a.md \"title\") and\n[b [c](b.md#x)\n![p](p.svg)\n\n| t |\n|---|\n\
                    | [t](t.md) |\n\n[r][ref] <https://x.org>\n\n<a\nhref=\"h.md\">h</a>\n\n\
                    [ref]: r.md\n";
        let expected = [
            (3, "a.md"),
            (4, "b.md#x"),
            (5, "p.svg"),
            (9, "t.md"),
            (11, "https://x.org"),
            (14, "h.md"),
            (16, "r.md"),
        ];
        assert_eq!(links(text), owned(&expected));
    }

    #[test]
    fn code_has_no_links() {
        assert_eq!(links("`[a](b.md)`\n\n```text\n[a](b.md)\n```\n"), []);
    }

    #[test]
    fn a_link_whose_text_is_its_target() {
        assert_eq!(links("[a.md](a.md)"), owned(&[(1, "a.md")]));
        let link = &Page::of("[a.md](a.md)").links[0];
        assert_eq!(link.span, 7..11);
    }

    #[test]
    fn headings_are_anchors() {
        let page = Page::of("# What `f_x` is: 2·x?\n## Again\n## Again\n<i id=\"own\"></i>\n");
        assert_eq!(page.anchors, ["what-f_x-is-2x", "again", "again-1", "own"]);
    }

    #[test]
    fn undefined_references_are_told_from_text() {
        let page = Page::of("x[0] is text,\n[a][b] is not, and [c][] neither\n");
        assert_eq!(page.undefined, [(2, "b".into()), (2, "c".into())]);
    }
}
