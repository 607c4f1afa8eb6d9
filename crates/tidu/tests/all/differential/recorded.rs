//! What is recorded while it is computed: calls with graphs, and tapes.

use std::collections::HashMap;

use tidu::ADRuleError;
use tidu::eager::{EagerError, EvalExecutor, Tape, Var};
use tidu::graph::ValueRef;
use tidu::scalar::ScalarOp;

use super::case::Case;
use super::compare::{Judge, close, same_bits};
use super::derived::{directional, told};
use super::paths::F;
use crate::support::{Names, Sketch, eager_gradient, eager_gradient_by, or_zero};

type T = Tape<ScalarOp>;
type V = Var<ScalarOp>;

pub fn check(case: &Case, judge: &Judge, value: &[f64]) -> Result<(), String> {
    let f = case.function();
    recorded_graphs(&f, case, judge)?;
    tapes(&f, case, judge, value)
}

/// Calls of one step, of a few, and of all.
fn recorded_graphs(f: &F, case: &Case, judge: &Judge) -> Result<(), String> {
    let wrt: Vec<usize> = (0..case.x.len()).collect();
    for chunk in [1, 3, usize::MAX / 2] {
        let path = format!("recorded, {chunk} at a time");
        let gradient = backward(&case.f, &case.x, &wrt, chunk)?;
        close(&path, &gradient, &judge.gradient)?;
        let other = eager_gradient(&case.f, &case.x, &wrt, &1.0, chunk, &mut ());
        let other = or_zero(&other.map_err(|error| error.to_string())?);
        same_bits(&format!("{path}, another executor"), &other, &gradient)?;
    }
    let directional = sketch_of(&directional(f)?);
    let hvp = backward(&directional, &case.point_and_direction(), &wrt, 1)?;
    close("recorded: jvp", &hvp, &judge.hvp)
}

fn backward(
    f: &Sketch<ScalarOp>,
    x: &[f64],
    wrt: &[usize],
    chunk: usize,
) -> Result<Vec<f64>, String> {
    let mut executor = EvalExecutor::default();
    let found = eager_gradient_by(f, x, wrt, &1.0, chunk, &mut (), &mut executor);
    let found = found.map_err(|error: ADRuleError| format!("an error: {error}"))?;
    Ok(or_zero(&found))
}

/// The steps of a function.
fn sketch_of(f: &F) -> Sketch<ScalarOp> {
    let graph = f.as_graph();
    let mut sketch = Sketch {
        inputs: f.input_keys(),
        steps: Vec::new(),
        outputs: Vec::new(),
        values: graph.inputs().len(),
    };
    let numbered = graph.inputs().iter().enumerate();
    let mut id_of: HashMap<usize, usize> = numbered.map(|(at, &id)| (id, at)).collect();
    for node in graph.operations() {
        let operands = node.inputs.iter().map(|operand| match operand {
            ValueRef::Local(id) => id_of[id],
            ValueRef::External(key) => panic!("{key:?} is outside of a function"),
        });
        let operands = operands.collect();
        let first = sketch.push(node.operation.clone(), operands);
        id_of.extend(node.outputs.iter().copied().zip(first..));
    }
    sketch.outputs = graph.outputs().iter().map(|id| id_of[id]).collect();
    sketch
}

/// A tape's way to f(x).
type Way<'a> = &'a dyn Fn(&mut T, &[V]) -> Result<V, EagerError>;

fn tapes(f: &F, case: &Case, judge: &Judge, value: &[f64]) -> Result<(), String> {
    let steps = |tape: &mut T, x: &[V]| run(&case.f, tape, x);
    let segment = |tape: &mut T, x: &[V]| {
        let f = case.f.clone();
        let x: Vec<&V> = x.iter().collect();
        let y = tape.checkpoint(&x, move |tape, x| Ok(vec![run(&f, tape, x)?]))?;
        Ok(y[0])
    };
    let whole = |tape: &mut T, x: &[V]| {
        let x: Vec<&V> = x.iter().collect();
        Ok(tape.apply_function(f, &x)?.swap_remove(0))
    };
    let recomputed = |tape: &mut T, x: &[V]| {
        let x: Vec<&V> = x.iter().collect();
        Ok(tape.checkpoint_function(f, &x)?.swap_remove(0))
    };
    let steps = OnTape::check("tape", case, judge, value, &steps)?;
    let segment = OnTape::check("tape: checkpoint", case, judge, value, &segment)?;
    segment.same_bits("tape: checkpoint", &steps)?;
    // These two go back by programs that are simplified on different ways.
    OnTape::check("tape: function", case, judge, value, &whole)?;
    OnTape::check(
        "tape: checkpointed function",
        case,
        judge,
        value,
        &recomputed,
    )?;
    backward_from_gradient(f, case, judge)
}

/// The gradient as a call, and back through it.
fn backward_from_gradient(f: &F, case: &Case, judge: &Judge) -> Result<(), String> {
    let gradient = told(f.grad(..))?;
    let mut tape = T::new(Names(1000));
    let x: Vec<V> = case.x.iter().map(|&x| tape.leaf(x)).collect();
    let x: Vec<&V> = x.iter().collect();
    let hvp = tape.apply_function(&gradient, &x).and_then(|gradient| {
        let seeds = gradient.iter().zip(case.v.iter().copied());
        back(&mut tape, seeds, &x)
    });
    let hvp = hvp.map_err(|error| format!("an error: {error}"))?;
    close("tape: grad as a function", &or_zero(&hvp), &judge.hvp)
}

/// Backward from those that are not constant.
fn back<'a>(
    tape: &mut T,
    seeds: impl Iterator<Item = (&'a V, f64)>,
    x: &[&V],
) -> Result<Vec<Option<f64>>, EagerError> {
    let seeds: Vec<_> = seeds.filter(|(y, _)| y.requires_grad()).collect();
    match seeds.is_empty() {
        true => Ok(vec![None; x.len()]),
        false => tape.backward(&seeds, x),
    }
}

/// The steps of a sketch, one after the other.
fn run(f: &Sketch<ScalarOp>, tape: &mut T, x: &[V]) -> Result<V, EagerError> {
    let mut values = x.to_vec();
    for step in &f.steps {
        let operands: Vec<&V> = step.operands.iter().map(|&id| &values[id]).collect();
        let results = tape.apply(step.op.clone(), &operands)?;
        values.extend(results);
    }
    Ok(values[f.outputs[0]])
}

/// What going backward on a tape finds.
struct OnTape {
    gradient: Vec<f64>,
    /// The gradient that was recorded, to go backward from it.
    recorded: Vec<f64>,
    /// How the recorded gradient moves: forward over backward.
    moved: Vec<f64>,
    hvp: Vec<f64>,
}

impl OnTape {
    fn check(
        path: &str,
        case: &Case,
        judge: &Judge,
        value: &[f64],
        way: Way<'_>,
    ) -> Result<Self, String> {
        let failed = |error| format!("{path}: an error: {error}");
        let mut tape = T::new(Names(1000));
        let x: Vec<V> = case.x.iter().map(|&x| tape.leaf(x)).collect();
        let y = way(&mut tape, &x).map_err(failed)?;
        same_bits(&format!("{path}: value"), &[*y.value()], value)?;
        let found = Self::go(&mut tape, &y, &x, &case.v).map_err(failed)?;
        close(path, &found.gradient, &judge.gradient)?;
        close(
            &format!("{path}, recorded"),
            &found.recorded,
            &judge.gradient,
        )?;
        close(&format!("{path}, forward"), &found.moved, &judge.hvp)?;
        close(&format!("{path}, twice"), &found.hvp, &judge.hvp)?;
        Ok(found)
    }

    /// No gradient flows to a constant, which a tape refuses to go back from.
    fn go(tape: &mut T, y: &V, x: &[V], v: &[f64]) -> Result<Self, EagerError> {
        let x: Vec<&V> = x.iter().collect();
        let (mut gradient, mut recorded) = (vec![None; x.len()], vec![None; x.len()]);
        if y.requires_grad() {
            gradient = tape.backward_keeping(&[(y, 1.0)], &x)?;
            recorded = tape.backward_recorded(&[(y, V::constant(1.0))], &x)?;
        }
        let moving: Vec<_> = x.iter().copied().zip(v.iter().copied()).collect();
        let moved = recorded.iter().map(|d| match d {
            Some(d) => Ok(tape.tangents(&moving, &[d])?.remove(0)),
            None => Ok(None),
        });
        let moved: Vec<_> = moved.collect::<Result<_, EagerError>>()?;
        let derivatives = recorded.iter().zip(v);
        let seeds = derivatives.filter_map(|(d, &v)| d.as_ref().map(|d| (d, v)));
        let hvp = back(tape, seeds, &x)?;
        let recorded = recorded.iter();
        let recorded = recorded.map(|d| d.as_ref().map(|d| *d.value()));
        Ok(Self {
            gradient: or_zero(&gradient),
            recorded: or_zero(&recorded.collect::<Vec<_>>()),
            moved: or_zero(&moved),
            hvp: or_zero(&hvp),
        })
    }

    fn same_bits(&self, path: &str, other: &Self) -> Result<(), String> {
        same_bits(path, &self.gradient, &other.gradient)?;
        same_bits(
            &format!("{path}, recorded"),
            &self.recorded,
            &other.recorded,
        )?;
        same_bits(&format!("{path}, forward"), &self.moved, &other.moved)?;
        same_bits(&format!("{path}, twice"), &self.hvp, &other.hvp)
    }
}
