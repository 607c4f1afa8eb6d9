//! A function at a point, and its derivatives there, which are functions at points again.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tidu_graph::{EvaluableGraphOperation, Graph, GraphBuilder, LocalValueId, ValueKey, resolve};

use crate::function::{Function, FunctionProgram};
use crate::linearize::{free_pass, linearize_unverified};
use crate::linearized_graph::LinearizedGraph;
use crate::rules::{ADKey, Primitive};
use crate::transpose::{try_linear_transpose, try_linear_transpose_with_builder};
use crate::walk::depends_on;

use super::fault::Fault;
use super::random::Random;
use super::setting::Setting;
use super::space::norm;
use super::subject::Subject;

/// A function at a point. [`forward`](Self::forward) and [`reverse`](Self::reverse) make probes of
/// probes, so that derivatives of any order read as they are written.
pub(super) struct Probe<'a, Op: Primitive + EvaluableGraphOperation> {
    pub setting: &'a Setting<Op>,
    pub function: Function<Op>,
    program: FunctionProgram<Op>,
    /// By input of the function.
    pub values: Vec<Op::Operand>,
    /// Positions among the function's outputs; `None` for a symbolic zero.
    pub outputs: Vec<Option<usize>>,
    /// Positions of the inputs to differentiate by.
    pub wrt: Vec<usize>,
    /// Inputs that are never differentiated by.
    inactive: Vec<usize>,
    /// The number of inputs that the last derivation added: its tangents or cotangents.
    added: usize,
    /// Shared along a chain of derivatives, so that what rules note of one is known of the next.
    ad_context: Rc<RefCell<Op::ADContext>>,
}

/// Operands by their coordinates.
pub(super) type Coordinates = Vec<Vec<f64>>;

/// A map of cotangents, and what it says of each input.
type Transposed<Op> = (Graph<Op>, Vec<Option<LocalValueId>>);

impl<'a, Op: Primitive + EvaluableGraphOperation> Probe<'a, Op> {
    /// A function at a point, in an AD context of its own.
    pub fn new(setting: &'a Setting<Op>, subject: &Subject<Op>) -> Self {
        let context = Rc::new(RefCell::new((setting.ad_context)()));
        let outputs = subject.function.output_names().len();
        Self::within(
            setting,
            subject.function.clone(),
            subject.values.clone(),
            (0..outputs).map(Some).collect(),
            subject.inactive.clone(),
            context,
        )
    }

    fn within(
        setting: &'a Setting<Op>,
        function: Function<Op>,
        values: Vec<Op::Operand>,
        outputs: Vec<Option<usize>>,
        inactive: Vec<usize>,
        ad_context: Rc<RefCell<Op::ADContext>>,
    ) -> Self {
        let mut probe = Self {
            setting,
            program: function.compile(),
            function,
            values,
            outputs,
            wrt: Vec::new(),
            inactive,
            added: 0,
            ad_context,
        };
        probe.wrt = probe.active_inputs();
        probe.note_inputs();
        probe
    }

    fn note_inputs(&self) {
        let keys = self.function.input_keys();
        for (key, value) in keys.into_iter().zip(&self.values) {
            self.note(key, value);
        }
    }

    /// The function with an AD context of its own, unless it is a derivative, which needs what is known
    /// of the function. Two chains of derivatives may give one name to values of different shapes.
    fn restarted(&self) -> Self {
        let mut probe = self.clone();
        if probe.added == 0 {
            probe.ad_context = Rc::new(RefCell::new((self.setting.ad_context)()));
            probe.note_inputs();
        }
        probe
    }

    /// All inputs that can be differentiated by, those included that a derivative has added.
    pub fn active_inputs(&self) -> Vec<usize> {
        let has_tangents = |at: &usize| {
            !self.inactive.contains(at) && self.setting.space.dimension(&self.values[*at]) > 0
        };
        (0..self.values.len()).filter(has_tangents).collect()
    }

    /// The same function, to be differentiated by these inputs.
    pub fn by(&self, wrt: &[usize]) -> Self {
        let mut probe = self.restarted();
        probe.wrt = wrt.to_vec();
        probe
    }

    /// The outputs at a point given by all inputs.
    pub fn run(&self, values: &[Op::Operand]) -> Result<Vec<Option<Op::Operand>>, Box<Fault>> {
        let results = self.setting.run(&self.program, values)?;
        let outputs = self.outputs.iter();
        Ok(outputs
            .map(|output| output.map(|at| results[at].clone()))
            .collect())
    }

    pub fn evaluate(&self) -> Result<Vec<Option<Op::Operand>>, Box<Fault>> {
        self.run(&self.values)
    }

    /// The outputs where they are known to be there.
    pub fn results(&self) -> Result<Vec<Op::Operand>, Box<Fault>> {
        Ok(self.evaluate()?.into_iter().flatten().collect())
    }

    /// The coordinates of the outputs; a symbolic zero has none.
    pub fn coordinates(&self) -> Result<Vec<Option<Vec<f64>>>, Box<Fault>> {
        self.coordinates_at(&self.values)
    }

    pub fn coordinates_at(
        &self,
        values: &[Op::Operand],
    ) -> Result<Vec<Option<Vec<f64>>>, Box<Fault>> {
        let coordinates = |output: &Op::Operand| self.setting.space.coordinates(output);
        let outputs = self.run(values)?;
        Ok(outputs
            .iter()
            .map(|output| output.as_ref().map(coordinates))
            .collect())
    }

    /// The coordinates of the outputs, which must have these dimensions; symbolic zeros as zeros.
    pub fn coordinates_like(&self, like: &Coordinates) -> Result<Coordinates, Box<Fault>> {
        self.coordinates_like_at(&self.values, like)
    }

    /// [`coordinates_like`](Self::coordinates_like) with the last inputs replaced: for another
    /// tangent or cotangent.
    pub fn applied_to(
        &self,
        last: &[Vec<f64>],
        like: &Coordinates,
    ) -> Result<Coordinates, Box<Fault>> {
        let first = self.values.len() - last.len();
        let mut values = self.values.clone();
        for (value, coordinates) in values[first..].iter_mut().zip(last) {
            *value = self.setting.space.operand(value, coordinates);
        }
        self.coordinates_like_at(&values, like)
    }

    fn coordinates_like_at(
        &self,
        values: &[Op::Operand],
        like: &Coordinates,
    ) -> Result<Coordinates, Box<Fault>> {
        let found = self.coordinates_at(values)?;
        if found.len() != like.len() {
            return Err(Fault::new("a derivative has the wrong number of results")
                .expected(like.len().to_string())
                .found(found.len().to_string()));
        }
        let pairs = found.into_iter().zip(like).enumerate();
        let checked = pairs.map(|(position, (found, like))| match found {
            None => Ok(vec![0.0; like.len()]),
            Some(found) if found.len() == like.len() => Ok(found),
            Some(found) => Err(Fault::new(format!(
                "result {position} of a derivative does not have the dimension of what it is a \
                 tangent or cotangent of"
            ))
            .expected(format!("{} coordinates", like.len()))
            .found(format!("{} coordinates", found.len()))),
        });
        checked.collect()
    }

    /// The largest coordinate of all that operations compute: of all inputs, or, in a derivative, of
    /// its tangents or cotangents. Terms of this size may have cancelled, and left rounding of this
    /// size.
    pub fn magnitude(&self) -> Result<f64, Box<Fault>> {
        let graph = self.function.as_graph();
        let first = match self.added {
            0 => 0,
            added => graph.inputs().len() - added,
        };
        let added = graph.inputs()[first..].iter().copied();
        let depends = depends_on(graph.steps(), graph.values().len(), added);
        let values = graph.values().iter().zip(depends);
        let computed = values.filter(|(node, depends)| *depends && node.producer.is_some());
        let keys: Vec<ValueKey<Op>> = computed.map(|(node, _)| node.key.clone()).collect();
        let graphs = vec![Arc::new(graph.clone())];
        let all = Function::from_graphs(graphs, &self.function.input_keys(), &keys)?;
        let values = self.setting.run(&all.compile(), &self.values)?;
        let norms = values
            .iter()
            .map(|value| norm(&self.setting.space.coordinates(value)));
        // A value that is not finite says nothing of the others.
        Ok(norms.filter(|norm| norm.is_finite()).fold(0.0, f64::max))
    }

    /// The coordinates of the inputs to differentiate by.
    pub fn point(&self) -> Coordinates {
        let values = self.wrt.iter().map(|&at| &self.values[at]);
        let values = values.map(|value| self.setting.space.coordinates(value));
        values.collect()
    }

    /// A random tangent for each input to differentiate by.
    pub fn random_tangents(&self, random: &mut Random) -> Coordinates {
        let values = self.wrt.iter().map(|&at| &self.values[at]);
        let tangents = values.map(|value| self.setting.random_like(value, random));
        tangents.collect()
    }

    /// A random cotangent for each output; one without coordinates for a symbolic zero.
    pub fn random_cotangents(&self, random: &mut Random) -> Result<Coordinates, Box<Fault>> {
        let outputs = self.evaluate()?;
        let like = |output: &Option<Op::Operand>| match output {
            Some(output) => self.setting.random_like(output, random),
            None => Vec::new(),
        };
        Ok(outputs.iter().map(like).collect())
    }

    /// The inputs, moved by h·t.
    pub fn moved(&self, h: f64, t: &Coordinates) -> Vec<Op::Operand> {
        let mut values = self.values.clone();
        for (&at, t) in self.wrt.iter().zip(t) {
            values[at] = self.setting.space.step(&values[at], h, t);
        }
        values
    }

    /// The map of tangents, as the rules emit it.
    pub fn linearize(&self) -> Result<LinearizedGraph<Op>, Box<Fault>> {
        let keys = self.function.input_keys();
        let keys: Vec<Op::InputKey> = self.wrt.iter().map(|&at| keys[at].clone()).collect();
        let view = resolve(vec![Arc::new(self.function.as_graph().clone())]);
        let outputs = output_keys(self.function.as_graph());
        let pass = free_pass(&view, &keys, outputs.len())?;
        for (key, &at) in keys.iter().zip(&self.wrt) {
            self.note(key.tangent_of(pass), &self.values[at]);
        }
        let aliases = std::collections::HashMap::new();
        let context = &mut self.ad_context.borrow_mut();
        let (linear, _) = linearize_unverified(&view, &outputs, &keys, pass, context, &aliases)?;
        Ok(linear)
    }

    /// The map of cotangents, as the rules emit it.
    pub fn transpose(
        &self,
        linear: &LinearizedGraph<Op>,
    ) -> Result<LinearizedGraph<Op>, Box<Fault>> {
        let outputs = self.setting.run(&self.program, &self.values)?;
        let tangents = linear.tangent_outputs().iter().zip(&outputs);
        let active: Vec<&Op::Operand> = tangents
            .filter_map(|(tangent, output)| tangent.map(|_| output))
            .collect();
        self.transpose_like(linear, &active)
    }

    /// The transpose of a map whose active outputs are like these.
    pub fn transpose_like(
        &self,
        linear: &LinearizedGraph<Op>,
        active: &[&Op::Operand],
    ) -> Result<LinearizedGraph<Op>, Box<Fault>> {
        let graph = linear.as_graph();
        if let Some(&first) = graph.inputs().first() {
            let first = graph.input_key(first);
            for (output, value) in active.iter().enumerate() {
                self.note(first.cotangent_of(output), value);
            }
        }
        let context = &mut self.ad_context.borrow_mut();
        Ok(try_linear_transpose(linear, context)?)
    }

    /// The map of cotangents with seeds for these outputs only, the others being symbolic zeros. Each
    /// of them must be active.
    pub fn transpose_seeded(&self, outputs: &[usize]) -> Result<Transposed<Op>, Box<Fault>> {
        let linear = self.linearize()?;
        let transposed = self.transpose(&linear)?;
        let mut names = transposed.tangent_inputs().iter().map(|(key, _)| key);
        let mut builder = GraphBuilder::new();
        builder.add_parent(Arc::new(linear.as_graph().clone()));
        let mut seeds = Vec::new();
        for (at, tangent) in linear.tangent_outputs().iter().enumerate() {
            if tangent.is_some() {
                let name = names.next().filter(|_| outputs.contains(&at));
                seeds.push(name.map(|name| builder.add_input(name.clone())));
            }
        }
        let context = &mut self.ad_context.borrow_mut();
        let cotangents = try_linear_transpose_with_builder(&linear, &mut builder, &seeds, context)?;
        builder.set_outputs(cotangents.iter().copied().flatten().collect());
        Ok((builder.build(), cotangents))
    }

    /// Jᵀ·c, by `wrt`; with masks, as from cotangents that are known to be zero where these are, and kept by the
    /// masks that come out.
    pub fn pulled_back(
        &self,
        c: &[Vec<f64>],
        masks: Option<&Coordinates>,
    ) -> Result<Coordinates, Box<Fault>> {
        let types = self.values.iter().map(Op::type_of_operand);
        let typed = match types.collect::<Option<Vec<_>>>() {
            Some(types) => self.function.with_types(types)?,
            None => self.function.clone(),
        };
        let results = self.results()?;
        let like = |coordinates: &[Vec<f64>]| -> Vec<Op::Operand> {
            let pairs = results.iter().zip(coordinates);
            let operands = pairs.map(|(like, at)| self.setting.space.operand(like, at));
            operands.collect()
        };
        let mut inputs = self.values.clone();
        inputs.extend(like(c));
        inputs.extend(masks.map(|masks| like(masks)).unwrap_or_default());
        let mut ctx = (self.setting.ad_context)();
        let is_masked = vec![masks.is_some(); results.len()];
        let vjp = typed.within(&mut ctx).nonzero_vjp(&self.wrt, &is_masked)?;
        let found = self.setting.run(&vjp.function.compile(), &inputs)?;
        let (cotangents, masks) = vjp.places.split_at(self.wrt.len());
        let coordinates = |place: usize| self.setting.space.coordinates(&found[place]);
        let kept = self.wrt.iter().zip(cotangents).zip(masks);
        let kept = kept.map(|((&at, cotangent), mask)| {
            let mut kept = match *cotangent {
                Some(place) => coordinates(place),
                None => vec![0.0; self.setting.space.dimension(&self.values[at])],
            };
            let mask = mask.map(coordinates).unwrap_or_default();
            let left_out = kept.iter_mut().zip(mask).filter(|(_, mask)| *mask == 0.0);
            left_out.for_each(|(kept, _)| *kept = 0.0);
            kept
        });
        Ok(kept.collect())
    }

    /// (x, t) ↦ J(x)·t, to be differentiated by x.
    pub fn forward(&self, t: &[Vec<f64>]) -> Result<Self, Box<Fault>> {
        let chain = self.restarted();
        let linear = chain.linearize()?;
        let tangents = self.wrt.iter().zip(t);
        let tangents = tangents.map(|(&at, t)| self.setting.space.operand(&self.values[at], t));
        let active = active_positions(linear.tangent_outputs());
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|output| output.and_then(|at| active[at]));
        let outputs = outputs.collect();
        chain.derived(linear.as_graph(), tangents.collect(), outputs)
    }

    /// (x, c) ↦ J(x)ᵀ·c, to be differentiated by x.
    pub fn reverse(&self, c: &[Vec<f64>]) -> Result<Self, Box<Fault>> {
        let chain = self.restarted();
        let linear = chain.linearize()?;
        let transposed = chain.transpose(&linear)?;
        let results = self.setting.run(&self.program, &self.values)?;
        let mut seeds = vec![None; results.len()];
        for (output, c) in self.outputs.iter().zip(c) {
            if let Some(at) = *output {
                seeds[at] = Some(self.setting.space.operand(&results[at], c));
            }
        }
        let tangents = linear.tangent_outputs().iter().zip(seeds);
        let active = tangents.filter_map(|(tangent, seed)| tangent.and(seed));
        let outputs = active_positions(transposed.tangent_outputs());
        chain.derived(transposed.as_graph(), active.collect(), outputs)
    }

    /// The function that a map computes, at the same point, with values for the map's own inputs.
    pub fn derived(
        &self,
        map: &Graph<Op>,
        values: Vec<Op::Operand>,
        outputs: Vec<Option<usize>>,
    ) -> Result<Self, Box<Fault>> {
        let mut inputs = self.function.input_keys();
        inputs.extend(
            map.inputs()
                .iter()
                .filter_map(|&id| match &map.values()[id].key {
                    ValueKey::Input(key) => Some(key.clone()),
                    ValueKey::Derived { .. } => None,
                }),
        );
        let graphs = vec![Arc::new(map.clone())];
        let function = Function::from_graphs(graphs, &inputs, &output_keys(map))?;
        let added = values.len();
        let mut derived = Self::within(
            self.setting,
            function,
            self.values.iter().cloned().chain(values).collect(),
            outputs,
            self.inactive.clone(),
            Rc::clone(&self.ad_context),
        );
        derived.wrt.clone_from(&self.wrt);
        derived.added = added;
        Ok(derived)
    }

    /// Another function of the same outputs at a point, by all inputs, in an AD context of its own.
    pub fn replaced(&self, function: Function<Op>, values: Vec<Op::Operand>) -> Self {
        Self::within(
            self.setting,
            function,
            values,
            self.outputs.clone(),
            self.inactive.clone(),
            Rc::new(RefCell::new((self.setting.ad_context)())),
        )
    }

    fn note(&self, key: Op::InputKey, value: &Op::Operand) {
        let context = &mut self.ad_context.borrow_mut();
        (self.setting.note)(context, &ValueKey::Input(key), value);
    }
}

impl<Op: Primitive + EvaluableGraphOperation> Clone for Probe<'_, Op> {
    fn clone(&self) -> Self {
        Self {
            setting: self.setting,
            function: self.function.clone(),
            program: self.program.clone(),
            values: self.values.clone(),
            outputs: self.outputs.clone(),
            wrt: self.wrt.clone(),
            inactive: self.inactive.clone(),
            added: self.added,
            ad_context: Rc::clone(&self.ad_context),
        }
    }
}

pub(super) fn output_keys<Op: Primitive>(graph: &Graph<Op>) -> Vec<ValueKey<Op>> {
    let outputs = graph.outputs().iter();
    outputs.map(|&id| graph.values()[id].key.clone()).collect()
}

/// By output of a linear map: its position among the active ones.
pub(super) fn active_positions(outputs: &[Option<LocalValueId>]) -> Vec<Option<usize>> {
    let mut next = 0..;
    let outputs = outputs.iter();
    outputs
        .map(|output| output.and_then(|_| next.next()))
        .collect()
}
