//! Derivatives of high order stay small.

use tidu_graph::EvaluableGraphOperation;

use crate::function::Function;
use crate::rules::Primitive;

use super::fault::{Checked, Fault, Verdict};
use super::probe::Probe;
use super::random::Random;

/// The order at which operations are counted first. Below, small terms hide how they multiply.
const ORDER: usize = 6;

/// By how much the number of operations may multiply where the order doubles: that of a polynomial of
/// degree 5. (All partial derivatives of a function of two numbers, with what they are multiplied by, grow
/// somewhat slower.) What doubles with every order multiplies by 64.
const MOST: usize = 32;

/// Derives along a curve, whose own derivatives are inputs, again and again:
///
/// d/dt f(x) = J(x)·x', d²/dt² f(x) = (J(x)·x')'·x' + J(x)·x'', …
///
/// A straight line would do for most operations, but not for those that are linear in each operand, whose
/// derivatives along it end before their number can be seen.
///
/// # Complexity
///
/// That of the derivatives; those of a set that breaks the law are given up where they are too many.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Checked {
    if probe.wrt.is_empty() {
        return Ok(Verdict::NotApplicable);
    }
    let mut derived = probe.clone();
    let mut counts = Vec::new();
    for order in 1..=2 * ORDER {
        // A rule that is not there is the matter of another law.
        let Ok(next) = along_curve(&derived, probe, random) else {
            return Ok(Verdict::NotApplicable);
        };
        derived = next;
        if derived.outputs.iter().all(Option::is_none) {
            return Ok(Verdict::Holds);
        }
        counts.push(derived.function.as_graph().operations().len());
        let limit = counts.get(ORDER - 1).map(|count| MOST * (*count).max(1));
        if let Some(limit) = limit.filter(|limit| counts[order - 1] > *limit) {
            let message = "the derivatives of high order multiply, by operations of";
            return Err(Fault::new(format!("{message} orders 1 to {order}"))
                .expected(format!(
                    "at most {limit} at order {order}, {MOST} times what order {ORDER} takes"
                ))
                .found(format!("{counts:?}")));
        }
    }
    Ok(Verdict::Holds)
}

/// d/dt of a function of x and k derivatives of it by t, as a function of k + 1 derivatives.
fn along_curve<'a, Op: Primitive + EvaluableGraphOperation>(
    derived: &Probe<'a, Op>,
    probe: &Probe<'_, Op>,
    random: &mut Random,
) -> Result<Probe<'a, Op>, Box<Fault>> {
    let next = derived.forward(&derived.random_tangents(random))?;
    let (first, before) = (probe.values.len(), derived.values.len());
    let mut keys = next.function.input_keys();
    // The tangents come by order, lowest first: all but the last are inputs already.
    let highest = keys.split_off(keys.len() - probe.wrt.len());
    keys.truncate(before);
    keys.extend(highest);
    let curve = Function::build(keys, |_, inputs| {
        let tangents = &inputs[first..];
        [inputs.get(..before).unwrap_or_default(), tangents].concat()
    })?;
    let mut values = next.values.clone();
    let highest = values.split_off(values.len() - probe.wrt.len());
    values.truncate(before);
    values.extend(highest);
    Ok(next.replaced(next.function.compose(&curve)?, values))
}
