//! Names of inputs that are strings, for operation sets that need no other.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use super::key::{ADKey, DiffPassId};

/// The name of an input: a word or a number, with a mark for each tangent or cotangent taken of it.
///
/// A ready [`ADKey`]: an operation set writes `type InputKey = StringKey`, and has no key type of its own. It
/// is what `tidu-scalar` calls `ScalarKey`.
///
/// Prints as `x`, `#7`, `d1.x` (the tangent of x in pass 1), `ct0.d1.x` and `r0.d1.x` (the cotangent
/// seed of output 0, and residual 0, of the linear map that starts at d1.x). A word that would read as one of
/// the others prints with a `'` before it, so that different keys print differently.
///
/// # Example
///
/// ```
/// use tidu_ad::{ADKey, StringKey};
///
/// let x = StringKey::from("x");
/// assert_eq!(x.tangent_of(1).cotangent_of(0).to_string(), "ct0.d1.x");
/// assert_eq!(StringKey::parse("ct0.d1.x"), x.tangent_of(1).cotangent_of(0));
///
/// // A word, although it reads like a tangent.
/// let word = StringKey::from("d1.x");
/// assert_ne!(word, x.tangent_of(1));
/// assert_eq!(word.to_string(), "'d1.x");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StringKey(Name);

/// Marks stand in one list, not in a chain, so that nothing recurses over them.
#[derive(Clone, PartialEq, Eq)]
enum Name {
    Word(Arc<str>),
    Number(u64),
    Marked(Arc<Marked>),
    Scoped(Arc<Scoped>),
}

/// An input of a function that is being written. It prints and hashes as its name, so that the number of the
/// scope, which comes from a counter, is never seen.
#[derive(PartialEq, Eq)]
struct Scoped {
    /// Never itself scoped.
    name: Name,
    scope: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Marked {
    /// Never itself marked; not scoped either, in a finished function.
    base: Name,
    /// From the innermost to the outermost; never empty.
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Mark {
    Tangent(DiffPassId),
    Cotangent(usize),
    Residual(usize),
}

impl StringKey {
    /// A number for a name, where names come from a counter.
    pub fn fresh(number: u64) -> Self {
        Self(Name::Number(number))
    }

    /// Whether this names a tangent.
    pub fn is_tangent(&self) -> bool {
        matches!(self.last_mark(), Some(Mark::Tangent(_)))
    }

    /// Whether this names a cotangent seed.
    pub fn is_cotangent(&self) -> bool {
        matches!(self.last_mark(), Some(Mark::Cotangent(_)))
    }

    /// The key that prints as `text`: what [`ParseNames::parse_input_name`] of a set with such keys returns.
    ///
    /// [`ParseNames::parse_input_name`]: tidu_graph::text::ParseNames::parse_input_name
    pub fn parse(text: &str) -> Self {
        let mut marks = Vec::new();
        let mut rest = text;
        while let Some((mark, inner)) = split_mark(rest) {
            marks.push(mark);
            rest = inner;
        }
        marks.reverse();
        let base = if let Some(word) = rest.strip_prefix('\'') {
            Name::Word(word.into())
        } else if let Some(number) = split_number(rest) {
            Name::Number(number)
        } else {
            Name::Word(rest.into())
        };
        Self(with_marks(base, marks))
    }

    /// What this is the tangent of; itself if it is no tangent: what [`ParseNames::primal_of`] of a set with such
    /// keys returns.
    ///
    /// [`ParseNames::primal_of`]: tidu_graph::text::ParseNames::primal_of
    pub fn primal(&self) -> Self {
        match &self.0 {
            Name::Marked(marked) if self.is_tangent() => {
                let marks = &marked.marks[..marked.marks.len() - 1];
                Self(with_marks(marked.base.clone(), marks.to_vec()))
            }
            _ => self.clone(),
        }
    }

    fn last_mark(&self) -> Option<Mark> {
        match &self.0 {
            Name::Marked(marked) => marked.marks.last().copied(),
            Name::Word(_) | Name::Number(_) | Name::Scoped(_) => None,
        }
    }

    fn marked(&self, mark: Mark) -> Self {
        let mut marked = match &self.0 {
            Name::Marked(marked) => Marked::clone(marked),
            base => Marked {
                base: base.clone(),
                marks: Vec::with_capacity(1),
            },
        };
        marked.marks.push(mark);
        Self(Name::Marked(Arc::new(marked)))
    }
}

impl ADKey for StringKey {
    fn tangent_of(&self, pass: DiffPassId) -> Self {
        self.marked(Mark::Tangent(pass))
    }

    fn cotangent_of(&self, output: usize) -> Self {
        self.marked(Mark::Cotangent(output))
    }

    fn residual_of(&self, residual: usize) -> Self {
        self.marked(Mark::Residual(residual))
    }

    fn in_scope(&self, scope: u64) -> Self {
        let name = match &self.0 {
            Name::Scoped(scoped) => scoped.name.clone(),
            name => name.clone(),
        };
        Self(Name::Scoped(Arc::new(Scoped { name, scope })))
    }
}

impl From<&str> for StringKey {
    fn from(word: &str) -> Self {
        Self(Name::Word(word.into()))
    }
}

impl From<String> for StringKey {
    fn from(word: String) -> Self {
        Self(Name::Word(word.into()))
    }
}

// Items of iterators over `&[String]` and `&[&str]`, and of keys.

impl From<&String> for StringKey {
    fn from(word: &String) -> Self {
        word.as_str().into()
    }
}

impl From<&&str> for StringKey {
    fn from(word: &&str) -> Self {
        (*word).into()
    }
}

impl From<&Self> for StringKey {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl fmt::Display for StringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = &self.0;
        loop {
            match name {
                Name::Word(word) if is_ambiguous(word) => return write!(f, "'{word}"),
                Name::Word(word) => return f.write_str(word),
                Name::Number(number) => return write!(f, "#{number}"),
                Name::Marked(marked) => {
                    for mark in marked.marks.iter().rev() {
                        write!(f, "{mark}.")?;
                    }
                    name = &marked.base;
                }
                Name::Scoped(scoped) => name = &scoped.name,
            }
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mark::Tangent(pass) => write!(f, "d{pass}"),
            Mark::Cotangent(output) => write!(f, "ct{output}"),
            Mark::Residual(residual) => write!(f, "r{residual}"),
        }
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Name::Word(word) => (0_u8, word).hash(state),
            Name::Number(number) => (1_u8, number).hash(state),
            Name::Marked(marked) => (2_u8, marked).hash(state),
            Name::Scoped(scoped) => scoped.name.hash(state),
        }
    }
}

fn with_marks(base: Name, marks: Vec<Mark>) -> Name {
    if marks.is_empty() {
        base
    } else {
        Name::Marked(Arc::new(Marked { base, marks }))
    }
}

/// Whether a word would be read as something else.
fn is_ambiguous(word: &str) -> bool {
    word.starts_with('\'') || split_mark(word).is_some() || split_number(word).is_some()
}

/// Splits `d1.x`, `ct0.x` and `r0.x`.
fn split_mark(text: &str) -> Option<(Mark, &str)> {
    let (mark, inner) = text.split_once('.')?;
    let digits = mark.find(|c: char| c.is_ascii_digit())?;
    let mark = match mark.split_at(digits) {
        ("d", pass) => Mark::Tangent(canonical_number(pass)?),
        ("ct", output) => Mark::Cotangent(canonical_number(output)?),
        ("r", residual) => Mark::Residual(canonical_number(residual)?),
        _ => return None,
    };
    Some((mark, inner))
}

/// Reads `#7`.
fn split_number(text: &str) -> Option<u64> {
    canonical_number(text.strip_prefix('#')?)
}

/// A number in the one form in which it prints.
fn canonical_number<N: FromStr + ToString>(text: &str) -> Option<N> {
    let number: N = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl fmt::Debug for StringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
