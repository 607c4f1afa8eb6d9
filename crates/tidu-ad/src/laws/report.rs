//! What was found: a table, and everything there is to know of each failure.

use std::fmt::{self, Display};

use super::law::{LAWS, Law};

/// What became of a law for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It held wherever it was tried.
    Passed,
    /// It failed; [`LawReport::failures`] says where.
    Failed,
    /// It has nothing to say here: of transposes where there is no tangent, of special points where
    /// none are listed.
    NotApplicable,
    /// The author left it out.
    Skipped,
}

/// The laws for one operation or function.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// By position in [`Law::ALL`].
    pub(super) outcomes: [Outcome; LAWS.len()],
}

impl Row {
    /// What became of a law.
    pub fn outcome(&self, law: Law) -> Outcome {
        let position = LAWS.iter().position(|other| *other == law);
        position.map_or(Outcome::Skipped, |at| self.outcomes[at])
    }
}

/// A law that does not hold.
///
/// Prints all it has, one thing a line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The law.
    pub law: Law,
    /// The operation or function, by its name in the table.
    pub name: String,
    /// What is wrong.
    pub message: String,
    /// What should have come out; empty where the message says all.
    pub expected: String,
    /// What came out.
    pub found: String,
    /// The operands, by name.
    pub point: Vec<String>,
    /// The tangents and cotangents that took part.
    pub directions: Vec<String>,
    /// The function that fails, as text: that of the operation, or, of a larger one, the smallest
    /// part of it that fails by the same law.
    pub primal: String,
    /// Its map of tangents, or why there is none.
    pub linear: String,
    /// Its map of cotangents, or why there is none.
    pub transposed: String,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} breaks the law `{}`", self.name, self.law)?;
        writeln!(f, "  {}", indent(&self.message))?;
        for line in self.point.iter().chain(&self.directions) {
            writeln!(f, "  at {line}")?;
        }
        for (what, text) in [("expected", &self.expected), ("found", &self.found)] {
            if !text.is_empty() {
                writeln!(f, "  {what} {}", indent(text))?;
            }
        }
        let graphs = [&self.primal, &self.linear, &self.transposed];
        let graphs: Vec<String> = graphs.iter().map(|text| indent(text)).collect();
        write!(f, "  {}", graphs.join("\n  "))
    }
}

fn indent(text: &str) -> String {
    text.replace('\n', "\n  ")
}

/// What [`Laws::check`](super::Laws::check) found.
///
/// Prints as a table of operations by laws (`ok`, `FAIL`, `.` where a law has nothing to say, `-`
/// where it was left out), followed by the failures.
#[derive(Clone, Debug, Default)]
#[must_use = "a report that nobody looks at proves nothing: `assert` it"]
pub struct LawReport {
    pub(super) rows: Vec<Row>,
    pub(super) failures: Vec<Failure>,
}

impl LawReport {
    /// Whether no law failed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// One a case, in order, and one for compositions if there are any.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The failures, at most one for each law and case.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// The laws that the case of this name breaks.
    pub fn broken_by(&self, name: &str) -> Vec<Law> {
        let of_it = self.failures.iter().filter(|failure| failure.name == name);
        of_it.map(|failure| failure.law).collect()
    }

    /// Fails a test if a law failed.
    ///
    /// # Panics
    ///
    /// With the report, if there are failures.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.passed(), "{self}");
    }
}

impl LawReport {
    /// As wide as the law's name, or as the widest mark below it.
    fn column_width(&self, law: usize) -> usize {
        let marks = self.rows.iter().map(|row| mark(row.outcomes[law]).len());
        marks.fold(LAWS[law].as_str().len(), usize::max)
    }
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Failed => "FAIL",
        Outcome::NotApplicable => ".",
        Outcome::Skipped => "-",
    }
}

impl Display for LawReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|row| row.name.chars().count());
        let width = names.max().unwrap_or(0);
        let columns: Vec<usize> = (0..LAWS.len()).map(|at| self.column_width(at)).collect();
        let mut heading = format!("{:width$}", "");
        for (law, column) in LAWS.iter().zip(&columns) {
            heading.push_str(&format!("  {:column$}", law.as_str()));
        }
        f.write_str(heading.trim_end())?;
        for row in &self.rows {
            let mut line = format!("{:width$}", row.name);
            for (outcome, column) in row.outcomes.iter().zip(&columns) {
                line.push_str(&format!("  {:column$}", mark(*outcome)));
            }
            write!(f, "\n{}", line.trim_end())?;
        }
        for failure in &self.failures {
            write!(f, "\n\n{failure}")?;
        }
        Ok(())
    }
}
