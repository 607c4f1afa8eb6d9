//! Running the laws for one case, and telling what failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidu_graph::EvaluableGraphOperation;

use crate::rules::Primitive;

use super::case::{About, Case};
use super::composition::random_composition;
use super::fault::{Checked, Fault, Verdict};
use super::law::{LAWS, Law};
use super::probe::Probe;
use super::random::Random;
use super::report::{Failure, LawReport, Outcome, Row};
use super::setting::Setting;
use super::shrink::shrink;
use super::special::SpecialPoint;
use super::subject::{Subject, single};
use super::{
    closure, declaration, growth, jvp, linearity, purity, second_order, special, transpose, zeros,
};

/// Checks all laws of an operation or a function, each until it fails.
pub(super) fn check_case<Op: Primitive + EvaluableGraphOperation>(
    setting: &Setting<Op>,
    case: &Case<Op>,
    points: usize,
    random: &Random,
    report: &mut LawReport,
) {
    let outcomes = LAWS.map(|law| {
        if case.without.contains(&law) {
            return Outcome::Skipped;
        }
        let mut outcome = Outcome::NotApplicable;
        for trial in trials(setting, case, law, points, random) {
            match trial.run(setting) {
                Ok(Verdict::NotApplicable) => {}
                Ok(Verdict::Holds) => outcome = Outcome::Passed,
                Err(fault) => {
                    report
                        .failures
                        .push(trial.failure(setting, &case.name, *fault));
                    return Outcome::Failed;
                }
            }
        }
        outcome
    });
    report.rows.push(Row {
        name: case.name.clone(),
        outcomes,
    });
}

/// Checks random functions made of the cases' operations.
///
/// Left to the operations themselves are the laws about what single rules emit, and special points.
pub(super) fn check_compositions<Op: Primitive + EvaluableGraphOperation>(
    setting: &Setting<Op>,
    cases: &[Case<Op>],
    (functions, steps): (usize, usize),
    random: &Random,
    report: &mut LawReport,
) {
    let name = "compositions";
    let mut outcomes = [Outcome::NotApplicable; LAWS.len()];
    for index in 0..functions {
        let random = random.fork(index as u64);
        let made = caught(|| random_composition(setting, cases, steps, &mut random.fork(0)));
        // An operation that cannot be evaluated fails as a case.
        let Ok(Some(subject)) = made else {
            continue;
        };
        for (outcome, law) in outcomes.iter_mut().zip(LAWS) {
            let is_left_out = cases.iter().any(|case| case.without.contains(&law));
            if matches!(law, Law::Closure | Law::Growth | Law::SpecialPoints)
                || *outcome == Outcome::Failed
            {
                continue;
            }
            if is_left_out {
                *outcome = Outcome::Skipped;
                continue;
            }
            let trial = Trial {
                law,
                operation: None,
                subject: Ok(subject.clone()),
                point: None,
                random: random.fork(1),
            };
            match trial.run(setting) {
                Ok(Verdict::NotApplicable) => {}
                Ok(Verdict::Holds) => *outcome = Outcome::Passed,
                Err(fault) => {
                    report.failures.push(trial.failure(setting, name, *fault));
                    *outcome = Outcome::Failed;
                }
            }
        }
    }
    report.rows.push(Row {
        name: name.into(),
        outcomes,
    });
}

/// One law at one point.
struct Trial<'a, Op: Primitive + EvaluableGraphOperation> {
    law: Law,
    /// The operation, if the subject is one.
    operation: Option<&'a Op>,
    subject: Result<Subject<Op>, Box<Fault>>,
    point: Option<&'a SpecialPoint<Op::Operand>>,
    random: Random,
}

/// The trials of a law. Those of different laws at a point have the same operands.
fn trials<'a, Op: Primitive + EvaluableGraphOperation>(
    setting: &'a Setting<Op>,
    case: &'a Case<Op>,
    law: Law,
    points: usize,
    random: &'a Random,
) -> Box<dyn Iterator<Item = Trial<'a, Op>> + 'a> {
    let trial = move |values: &dyn Fn() -> Vec<Op::Operand>, point, random: Random| Trial {
        law,
        operation: match &case.about {
            About::Operation(operation) => Some(operation),
            About::Function(_) => None,
        },
        subject: caught(|| subject(setting, case, values())),
        point,
        random,
    };
    if law == Law::SpecialPoints {
        let points = case.special.iter();
        return Box::new(points.map(move |point| {
            trial(
                &|| point.operands.clone(),
                Some(point),
                random.fork(u64::MAX),
            )
        }));
    }
    // What is emitted does not depend on numbers.
    let points = if law == Law::Growth {
        points.min(1)
    } else {
        points
    };
    Box::new((0..points as u64).map(move |index| {
        let draw = || (case.draw)(&mut random.fork(index));
        trial(&draw, None, random.fork(index).fork(law as u64))
    }))
}

fn subject<Op: Primitive + EvaluableGraphOperation>(
    setting: &Setting<Op>,
    case: &Case<Op>,
    values: Vec<Op::Operand>,
) -> Result<Subject<Op>, Box<Fault>> {
    let function = match &case.about {
        About::Operation(operation) => single(operation, &setting.key)?,
        About::Function(function) => function.clone(),
    };
    let inputs = function.as_graph().inputs().len();
    if values.len() != inputs {
        return Err(
            Fault::new("the wrong number of operands is drawn or listed")
                .expected(inputs.to_string())
                .found(values.len().to_string()),
        );
    }
    Ok(Subject {
        function,
        values,
        inactive: case.inactive.clone(),
    })
}

impl<Op: Primitive + EvaluableGraphOperation> Trial<'_, Op> {
    fn run(&self, setting: &Setting<Op>) -> Checked {
        let subject = self.subject.as_ref().map_err(Clone::clone)?;
        caught(|| self.check(setting, subject))
    }

    fn check(&self, setting: &Setting<Op>, subject: &Subject<Op>) -> Checked {
        let probe = &Probe::new(setting, subject);
        let random = &mut self.random.clone();
        match self.law {
            Law::Jvp => jvp::check(probe, random),
            Law::Linearity => linearity::check(probe, random),
            Law::Transpose => transpose::check(probe, random),
            Law::SymbolicZeros => zeros::check(probe, self.operation.is_some(), random),
            Law::SecondOrder => second_order::check(probe, random),
            Law::Purity => purity::check(probe, &Probe::new(setting, subject), self.operation),
            Law::Closure => closure::check(probe, random),
            Law::Growth => growth::check(probe, random),
            Law::Declaration => declaration::check(probe, self.operation, random),
            Law::SpecialPoints => match self.point {
                Some(point) => special::check(probe, point),
                None => Ok(Verdict::NotApplicable),
            },
        }
    }

    /// What to tell of a fault. A function is made as small as it can be first.
    fn failure(&self, setting: &Setting<Op>, name: &str, mut fault: Fault) -> Failure {
        let mut failure = Failure {
            law: self.law,
            name: name.into(),
            message: String::new(),
            expected: String::new(),
            found: String::new(),
            point: Vec::new(),
            directions: Vec::new(),
            primal: String::new(),
            linear: String::new(),
            transposed: String::new(),
        };
        if let Ok(subject) = &self.subject {
            let mut shown = subject.clone();
            if self.operation.is_none() && self.point.is_none() {
                let fails =
                    |subject: &Subject<Op>| caught(|| self.check(setting, subject)).is_err();
                shown = caught(|| Ok(shrink(setting, subject, fails))).unwrap_or(shown);
                if let Err(smallest) = caught(|| self.check(setting, &shown)) {
                    fault = *smallest;
                }
                let of = |subject: &Subject<Op>| subject.function.as_graph().operations().len();
                fault.message.push_str(&format!(
                    " (the smallest part that fails: {} of {} operations)",
                    of(&shown),
                    of(subject)
                ));
            }
            describe(setting, &shown, &mut failure);
        }
        failure.message = fault.message;
        failure.expected = fault.expected;
        failure.found = fault.found;
        failure.directions = fault.directions;
        failure
    }
}

/// Notes point and graphs.
fn describe<Op: Primitive + EvaluableGraphOperation>(
    setting: &Setting<Op>,
    subject: &Subject<Op>,
    failure: &mut Failure,
) {
    let names = subject.function.input_names();
    let values = names.iter().zip(&subject.values);
    failure.point = values
        .map(|(name, value)| format!("{name} = {}", setting.space.show(value)))
        .collect();
    failure.primal = subject.function.to_string();
    let none = |what: &str, fault: Box<Fault>| format!("no {what}: {}", fault.message);
    let probe = caught(|| Ok(Probe::new(setting, subject)));
    let linear = probe.and_then(|probe| {
        let linear = caught(|| probe.linearize())?;
        Ok((probe, linear))
    });
    match linear {
        Err(fault) => failure.linear = none("map of tangents", fault),
        Ok((probe, linear)) => {
            failure.linear = linear.to_string();
            let transposed = caught(|| probe.transpose(&linear));
            failure.transposed = match transposed {
                Ok(transposed) => transposed.to_string(),
                Err(fault) => none("map of cotangents", fault),
            };
        }
    }
}

/// Runs what calls user code; a panic is a fault.
fn caught<T>(body: impl FnOnce() -> Result<T, Box<Fault>>) -> Result<T, Box<Fault>> {
    // What a panic may leave half-done is thrown away with the probe, but for the context of
    // evaluation, which is its author's.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(Fault::new(format!(
            "a rule or an evaluation panicked: {}",
            panic_text(&*panic)
        )))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(not a text)")
}
