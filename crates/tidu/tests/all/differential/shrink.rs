//! The smallest case that still fails, by leaving out a step at a time.

use std::cmp::Ordering;

use tidu::scalar::ScalarOp;

use super::case::Case;
use crate::support::Sketch;

/// `fails` holds of the result, if it does of the case.
pub fn shrink(case: &Case, fails: &dyn Fn(&Case) -> bool) -> Case {
    let mut small = with(case, case.f.clone());
    loop {
        let smaller = smaller(&small).find(fails);
        match smaller {
            Some(smaller) => small = smaller,
            None => return small,
        }
    }
}

/// The case without an input that it does not need, or without one of its steps, with an earlier value
/// in its place, an operand at best.
fn smaller(case: &Case) -> impl Iterator<Item = Case> {
    let inputs = 0..case.f.inputs.len();
    let fewer_inputs = inputs
        .clone()
        .filter_map(|input| without_input(case, input));
    let steps = (0..case.f.steps.len()).rev();
    let fewer_steps = steps.flat_map(move |at| {
        let operands = case.f.steps[at].operands.iter().copied();
        let stand_ins = operands.chain(inputs.clone());
        stand_ins.map(move |stand_in| with(case, without(&case.f, at, stand_in)))
    });
    fewer_inputs.chain(fewer_steps)
}

fn without_input(case: &Case, input: usize) -> Option<Case> {
    let mut smaller = with(case, case.f.clone());
    let f = &mut smaller.f;
    let steps = f.steps.iter_mut();
    let operands = steps.flat_map(|step| step.operands.iter_mut().chain([&mut step.first_result]));
    for id in operands.chain(&mut f.outputs) {
        match (*id).cmp(&input) {
            Ordering::Less => {}
            Ordering::Equal => return None,
            Ordering::Greater => *id -= 1,
        }
    }
    f.values -= 1;
    f.inputs.remove(input);
    smaller.x.remove(input);
    smaller.v.remove(input);
    (!smaller.x.is_empty()).then_some(smaller)
}

fn without(f: &Sketch<ScalarOp>, removed: usize, stand_in: usize) -> Sketch<ScalarOp> {
    let mut smaller = Sketch {
        inputs: f.inputs.clone(),
        steps: Vec::new(),
        outputs: Vec::new(),
        values: f.inputs.len(),
    };
    let mut new_id: Vec<usize> = (0..f.inputs.len()).collect();
    let ends = f.steps.iter().skip(1).map(|step| step.first_result);
    let ends = ends.chain([f.values]);
    for (at, (step, end)) in f.steps.iter().zip(ends).enumerate() {
        let results = end - step.first_result;
        if at == removed {
            new_id.extend(std::iter::repeat_n(new_id[stand_in], results));
        } else {
            let operands = step.operands.iter().map(|&id| new_id[id]).collect();
            let first = smaller.push(step.op.clone(), operands);
            new_id.extend(first..first + results);
        }
    }
    smaller.outputs = f.outputs.iter().map(|&id| new_id[id]).collect();
    smaller
}

fn with(case: &Case, f: Sketch<ScalarOp>) -> Case {
    Case {
        seed: case.seed,
        f,
        x: case.x.clone(),
        v: case.v.clone(),
    }
}
