//! Missing tangents and cotangents count as zeros, and cost nothing.

use tidu_graph::{EvaluableGraphOperation, Graph, LocalValueId, ValueRef};

use crate::rules::Primitive;
use crate::walk;

use super::fault::{Checked, Fault, Verdict};
use super::patterns::patterns;
use super::probe::{Coordinates, Probe, active_positions};
use super::random::Random;
use super::space::show_all;

/// Checks every pattern of inactive inputs, or a choice of them where there are many, and then every
/// pattern of missing output cotangents.
///
/// Of a single operation, nothing may be emitted whose result is not used, and not more than those
/// operations of the full map through which the tangents pass that are there, additions with nothing
/// left to add not counted.
pub(super) fn check<Op: Primitive + EvaluableGraphOperation>(
    probe: &Probe<'_, Op>,
    is_single: bool,
    random: &mut Random,
) -> Checked {
    if probe.wrt.is_empty() {
        return Ok(Verdict::NotApplicable);
    }
    let full = Full::of(probe, random)?;
    let place = |all: &[usize], set: &[usize], what: &str| match set.len() == all.len() {
        true => String::from("with nothing missing"),
        false => format!("with {what} {set:?} only"),
    };
    for set in patterns(&probe.wrt, random) {
        let place = place(&probe.wrt, &set, "tangents of inputs");
        full.check_inputs(&set, is_single)
            .map_err(|fault| fault.within(&place))?;
    }
    let active = full.active_outputs()?;
    for set in patterns(&active, random) {
        let place = place(&active, &set, "cotangents of outputs");
        full.check_outputs(&set, is_single)
            .map_err(|fault| fault.within(&place))?;
    }
    Ok(Verdict::Holds)
}

/// Both maps with nothing missing, and random directions.
struct Full<'a, 'p, Op: Primitive + EvaluableGraphOperation> {
    probe: &'a Probe<'p, Op>,
    tangent_map: Graph<Op>,
    cotangent_map: Graph<Op>,
    forward: Probe<'p, Op>,
    reverse: Probe<'p, Op>,
    y: Coordinates,
    t: Coordinates,
    c: Coordinates,
}

impl<'a, 'p, Op: Primitive + EvaluableGraphOperation> Full<'a, 'p, Op> {
    fn of(probe: &'a Probe<'p, Op>, random: &mut Random) -> Result<Self, Box<Fault>> {
        let y = probe.coordinates()?;
        let (t, c) = (
            probe.random_tangents(random),
            probe.random_cotangents(random)?,
        );
        let linear = probe.linearize()?;
        Ok(Self {
            tangent_map: linear.as_graph().clone(),
            cotangent_map: probe.transpose(&linear)?.into_graph(),
            forward: probe.forward(&t)?,
            reverse: probe.reverse(&c)?,
            y: y.into_iter().map(Option::unwrap_or_default).collect(),
            probe,
            t,
            c,
        })
    }

    fn active_outputs(&self) -> Result<Vec<usize>, Box<Fault>> {
        let linear = self.probe.linearize()?;
        let outputs = linear.tangent_outputs().iter().enumerate();
        Ok(outputs
            .filter_map(|(at, tangent)| tangent.map(|_| at))
            .collect())
    }

    fn check_inputs(&self, set: &[usize], is_single: bool) -> Result<(), Box<Fault>> {
        let part = self.probe.by(set);
        let is_there = |at: &usize| set.contains(at);
        let tangents = self.probe.wrt.iter().zip(&self.t);
        let (there, padded): (Vec<Option<Vec<f64>>>, Coordinates) = tangents
            .map(|(at, t)| match is_there(at) {
                true => (Some(t.clone()), t.clone()),
                false => (None, vec![0.0; t.len()]),
            })
            .unzip();
        let there: Coordinates = there.into_iter().flatten().collect();

        let expected = self.forward.applied_to(&padded, &self.y)?;
        let found = part.forward(&there)?.coordinates_like(&self.y)?;
        self.compare("J·t", &expected, &found, self.forward.magnitude()?)
            .map_err(|fault| fault.along("t", &padded))?;

        let all = self.reverse.coordinates_like(&self.probe.point())?;
        let all = self.probe.wrt.iter().zip(all);
        let expected = all.filter(|(at, _)| is_there(at)).map(|(_, c)| c);
        let expected: Coordinates = expected.collect();
        let found = part.reverse(&self.c)?.coordinates_like(&part.point())?;
        self.compare("Jᵀ·c", &expected, &found, self.reverse.magnitude()?)
            .map_err(|fault| fault.along("c", &self.c))?;

        if is_single {
            let linear = part.linearize()?;
            let positions = self.probe.wrt.iter().enumerate();
            let inputs = positions.filter(|(_, at)| is_there(at));
            let inputs = inputs.map(|(input, _)| self.tangent_map.inputs()[input]);
            let enough = work_for(&self.tangent_map, &inputs.collect::<Vec<_>>());
            check_work(&linear.to_string(), linear.as_graph(), enough)?;
            let transposed = part.transpose(&linear)?;
            check_work(&transposed.to_string(), transposed.as_graph(), usize::MAX)?;
        }
        Ok(())
    }

    fn check_outputs(&self, set: &[usize], is_single: bool) -> Result<(), Box<Fault>> {
        let cotangents = self.c.iter().enumerate();
        let padded = cotangents.map(|(at, c)| match set.contains(&at) {
            true => c.clone(),
            false => vec![0.0; c.len()],
        });
        let padded: Coordinates = padded.collect();
        let x = self.probe.point();
        let expected = self.probe.reverse(&padded)?.coordinates_like(&x)?;
        let (graph, cotangents) = self.probe.transpose_seeded(set)?;
        let results = self.probe.results()?;
        let seeds = set
            .iter()
            .map(|&at| self.probe.setting.space.operand(&results[at], &self.c[at]));
        let outputs = active_positions(&cotangents);
        let found = self.probe.derived(&graph, seeds.collect(), outputs)?;
        let found = found.coordinates_like(&x)?;
        self.compare("Jᵀ·c", &expected, &found, self.reverse.magnitude()?)
            .map_err(|fault| fault.along("c", &padded))?;
        if is_single {
            let seeds = self.active_outputs()?;
            let positions = seeds.iter().enumerate();
            let inputs = positions.filter(|(_, at)| set.contains(at));
            let inputs = inputs.map(|(seed, _)| self.cotangent_map.inputs()[seed]);
            let enough = work_for(&self.cotangent_map, &inputs.collect::<Vec<_>>());
            check_work(&graph.to_string(), &graph, enough)?;
        }
        Ok(())
    }

    fn compare(
        &self,
        what: &str,
        expected: &Coordinates,
        found: &Coordinates,
        magnitude: f64,
    ) -> Result<(), Box<Fault>> {
        match self.probe.setting.all_near(expected, found, magnitude) {
            true => Ok(()),
            false => Err(Fault::new(format!("{what} is not what zeros would give"))
                .expected(show_all(expected))
                .found(show_all(found))),
        }
    }
}

/// Checks that each operation of a map serves an output, and that there are not more than `enough`.
fn check_work<Op: Primitive>(text: &str, map: &Graph<Op>, enough: usize) -> Result<(), Box<Fault>> {
    let needed = needed(map, |_| true);
    let unused = needed.iter().filter(|needed| !**needed).count();
    if unused > 0 {
        return Err(Fault::new(format!(
            "{unused} operations are emitted whose results are not used"
        ))
        .expected("none")
        .found(text));
    }
    if needed.len() > enough {
        return Err(Fault::new("work is emitted for what is missing")
            .expected(format!("at most {enough} operations"))
            .found(format!("{} operations: {text}", needed.len())));
    }
    Ok(())
}

/// How many operations of a map are left where only these of its inputs are not zero.
fn work_for<Op: Primitive>(map: &Graph<Op>, inputs: &[LocalValueId]) -> usize {
    let on_any = depends_on(map, map.inputs());
    let on_these = depends_on(map, inputs);
    let is_left = |value: LocalValueId| on_these[value] || !on_any[value];
    let needed = needed(map, is_left);
    let add = Op::add();
    let operations = map.operations().iter().zip(needed);
    let is_work = |node: &tidu_graph::OperationNode<Op>| {
        let is_gone = |operand: &ValueRef<Op>| match operand {
            ValueRef::Local(id) => !is_left(*id),
            ValueRef::External(_) => false,
        };
        node.operation != add || !node.inputs.iter().any(is_gone)
    };
    operations
        .filter(|(node, needed)| *needed && is_work(node))
        .count()
}

/// By value: whether it depends on one of these inputs.
fn depends_on<Op: Primitive>(map: &Graph<Op>, inputs: &[LocalValueId]) -> Vec<bool> {
    walk::depends_on(map.steps(), map.values().len(), inputs.iter().copied())
}

/// By operation: whether an output needs it, values that are not left being zero.
fn needed<Op: Primitive>(map: &Graph<Op>, is_left: impl Fn(LocalValueId) -> bool) -> Vec<bool> {
    let mut is_used = vec![false; map.values().len()];
    map.outputs()
        .iter()
        .for_each(|&id| is_used[id] = is_left(id));
    let mut needed = vec![false; map.operations().len()];
    for (id, node) in map.operations().iter().enumerate().rev() {
        needed[id] = node.outputs.iter().any(|&output| is_used[output]);
        for operand in &*node.inputs {
            if let ValueRef::Local(operand) = operand
                && needed[id]
                && is_left(*operand)
            {
                is_used[*operand] = true;
            }
        }
    }
    needed
}
