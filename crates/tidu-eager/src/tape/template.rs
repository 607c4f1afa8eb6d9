//! What a tape knows of an operation once it has derived it: what to keep going forward, what to
//! compute going backward.

use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;
use tidu_ad::{
    Derivatives, Function, FunctionError, FunctionProgram, OperationVjp, Primitive, ResidualOrigin,
    Seed, Wrt,
};
use tidu_graph::text::operation_label;
use tidu_graph::{DenseGraph, DenseId, EvaluableGraphOperation, Graph};

use super::types::Types;
use super::{CONSTANT, describe_function};
use crate::error::{EagerError, cannot_derive};

/// All templates of a tape.
pub(super) type Templates<Op> = Arc<Vec<Arc<Template<Op>>>>;

/// An operation, or a function, with some of its operands active.
#[derive(Clone)]
pub(super) struct Template<Op: Primitive> {
    pub callee: Callee<Op>,
    /// By operand.
    pub active: Flags,
    pub active_count: u32,
    /// With those that only going backward uses.
    pub outputs: u32,
    /// The results that a caller is given, the first ones.
    pub visible: u32,
    /// What is kept of a call, in order.
    pub residuals: Vec<Residual>,
    /// Those of the operands, if rules ask.
    pub types: Types,
    /// Where it was applied first.
    pub location: &'static Location<'static>,
    vjps: Vec<VjpVariant<Op>>,
    jvps: Vec<JvpVariant<Op>>,
}

#[derive(Clone)]
pub(super) enum Callee<Op: Primitive> {
    Operation(Op),
    Function(Arc<Call<Op>>),
}

/// The call that something is computed in the derivative of, and where it was recorded, if that is known.
pub(super) type Origin<'a, Op> = (&'a Template<Op>, Option<&'static Location<'static>>);

/// A function that is called as one.
pub(super) struct Call<Op: Primitive> {
    /// As it was given.
    pub function: Function<Op>,
    /// Whether going backward computes residuals again.
    pub recomputes: bool,
    /// With residuals among the outputs, unless they are computed again.
    extended: Function<Op>,
    pub program: FunctionProgram<Op>,
}

impl<Op: Primitive> Call<Op> {
    /// The graph of everything that a call computes and that going backward may use.
    pub fn extended(&self) -> &Graph<Op> {
        self.extended.as_graph()
    }
}

/// A flag per operand or result.
pub(super) type Flags = SmallVec<[bool; 4]>;

/// By result, what is known of its cotangent.
pub(super) type Seeds = SmallVec<[Seed; 4]>;

/// A value that going backward needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Residual {
    Operand(u32),
    Output(u32),
}

/// What it takes to derive an operation.
pub(super) struct Deriver<'a, Op: Primitive> {
    pub derivatives: &'a Derivatives<Op>,
    /// What inputs of derived functions are named after.
    pub name: &'a Op::InputKey,
    pub ctx: &'a mut Op::ADContext,
}

/// A VJP for some results that are seeded, and some active operands whose cotangents are wanted.
#[derive(Clone)]
struct VjpVariant<Op> {
    seeds: Seeds,
    wanted: Flags,
    vjp: Program<Op>,
}

/// A JVP for some operands that move.
#[derive(Clone)]
struct JvpVariant<Op> {
    /// By operand.
    moving: Flags,
    reach: Reach,
    jvp: Program<Op>,
}

/// Whose tangents are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Of the results that a caller is given.
    Visible,
    /// Of all results: what a recorded gradient computes of hidden ones moves with them.
    All,
}

/// A derivative of one call: instructions that run one after the other, on a list of values to which each
/// appends its results. The list starts with what was kept of the call; then come the cotangents of
/// seeded results, and the masks of those that have one (of a JVP: the tangents of active operands).
#[derive(Clone)]
pub(super) struct Program<Op> {
    pub instructions: Vec<Instruction<Op>>,
    /// Where in the list the results are found; `None` for a symbolic zero. Of a VJP: one per active
    /// operand.
    pub outputs: Vec<Option<u32>>,
    /// Where the masks are that these have been kept by; empty if none has one.
    pub masks: Vec<Option<u32>>,
}

#[derive(Clone)]
pub(super) struct Instruction<Op> {
    pub operation: Op,
    /// Where in the list they are.
    pub operands: SmallVec<[u32; 4]>,
    pub results: u32,
}

/// What an input of a derived function is.
#[derive(Clone, Copy)]
enum Source {
    Residual(Residual),
    /// A cotangent or a tangent, or the mask of one, by its position among those that are given.
    Seed(usize),
}

impl<Op: Primitive + EvaluableGraphOperation> Template<Op> {
    /// The VJP for all visible results seeded, no others, and all cotangents wanted.
    pub const WHOLE: usize = 0;

    /// Derives an operation, of whose results the first ones are visible.
    pub fn of_operation(
        operation: &Op,
        visible: usize,
        active: Flags,
        types: Types,
        location: &'static Location<'static>,
        mut deriver: Deriver<'_, Op>,
    ) -> Result<Self, EagerError> {
        let outputs = operation.output_count();
        let callee = Callee::Operation(operation.clone());
        let mut template = Self::new(callee, active, outputs, visible, types, location);
        let mut seeds = Seeds::from_elem(Seed::Full, visible);
        seeds.resize(outputs, Seed::Zero);
        let vjp = template.vjp_of_operation(operation, &template.active, &seeds, &mut deriver)?;
        template.residuals = residuals_of(&vjp, operation.input_count(), outputs);
        if template.hides() {
            // Once gradients are recorded, there are cotangents of what is hidden, too.
            let all = Seeds::from_elem(Seed::Full, outputs);
            let vjp = template.vjp_of_operation(operation, &template.active, &all, &mut deriver)?;
            let more = residuals_of(&vjp, operation.input_count(), outputs).into_iter();
            let more = more.filter(|residual| !template.residuals.contains(residual));
            let more: Vec<Residual> = more.collect();
            template.residuals.extend(more);
        }
        let lowered = template.lower_operation(&vjp, &seeds)?;
        template.remember(seeds, lowered);
        Ok(template)
    }

    /// Derives a function. If it `recomputes`, its operands are all that is kept of a call.
    pub fn of_function(
        function: &Function<Op>,
        active: Flags,
        types: Types,
        recomputes: bool,
        location: &'static Location<'static>,
        ctx: &mut Op::ADContext,
    ) -> Result<Self, EagerError> {
        let cannot_derive = |source| cannot_derive("the function".into(), Some(location), source);
        let typed = types.as_ref();
        let typed = typed.map(|types| function.with_types(types.iter().cloned()));
        let typed = typed.transpose().map_err(cannot_derive)?;
        let function = typed.as_ref().unwrap_or(function);
        let mut own = own_context::<Op>(&types);
        let ctx = own.as_mut().unwrap_or(ctx);
        let visible = function.output_names().len();
        let operands = (0..active.len() as u32).map(Residual::Operand);
        let mut residuals: Vec<Residual> = operands.collect();
        let all: Vec<usize> = (0..visible).collect();
        let chosen = positions(&active, |active| *active);
        let (wrt, _) = connected(function.as_dense(), &chosen, &all);
        let split = if recomputes || wrt.is_empty() {
            None
        } else {
            let split = function.within(ctx).pullback(Wrt::At(wrt.clone()));
            Some(split.map_err(cannot_derive)?)
        };
        let (extended, pullback) = match split {
            Some(split) => {
                // What is an operand or a result is there already.
                let origins = split.residuals.iter().enumerate();
                let computed = origins.filter(|(_, origin)| **origin == ResidualOrigin::Computed);
                let computed = computed.map(|(at, _)| visible + at);
                let extended: Vec<usize> = (0..visible).chain(computed).collect();
                let extended = split.primal.select_at(&extended).map_err(cannot_derive)?;
                let mut hidden = (visible as u32..).map(Residual::Output);
                let origins = split.residuals.iter().map(|origin| match *origin {
                    ResidualOrigin::Input(at) => Some(Residual::Operand(at as u32)),
                    ResidualOrigin::Output(at) => Some(Residual::Output(at as u32)),
                    ResidualOrigin::Computed => hidden.next(),
                });
                let origins: Vec<Residual> = origins.flatten().collect();
                let is_result = |origin: &&Residual| matches!(origin, Residual::Output(_));
                residuals.extend(origins.iter().filter(is_result));
                (extended, Some((split.pullback, origins)))
            }
            None => (function.clone(), None),
        };
        let outputs = extended.output_names().len();
        let call = Arc::new(Call {
            function: function.clone(),
            recomputes,
            program: extended.compile(),
            extended,
        });
        let callee = Callee::Function(Arc::clone(&call));
        let mut template = Self::new(callee, active, outputs, visible, types, location);
        template.residuals = residuals;
        let mut whole = Seeds::from_elem(Seed::Full, visible);
        whole.resize(outputs, Seed::Zero);
        let wanted = Flags::from_elem(true, template.active_count as usize);
        let vjp = match pullback {
            None => template.vjp_of_function(&call, &whole, &wanted, ctx)?,
            Some((pullback, origins)) => {
                let seeds = (0..visible).map(Source::Seed);
                let sources = origins.into_iter().map(Source::Residual).chain(seeds);
                let outputs = outputs_by(&chosen, &wrt, &pullback.places);
                let program = template.lower(&pullback.function, sources, visible, outputs)?;
                program.with_masks(chosen.len())
            }
        };
        template.remember(whole, vjp);
        Ok(template)
    }

    /// Whether there are results that a caller is not given.
    pub fn hides(&self) -> bool {
        self.visible < self.outputs
    }

    /// Where to find the VJP for what is known of the results' cotangents, and for wanted ones, if it is
    /// there.
    pub fn find(&self, seeds: &[Seed], wanted: &[bool]) -> Option<usize> {
        let mut known = self.vjps.iter();
        known.position(|known| *known.seeds == *seeds && *known.wanted == *wanted)
    }

    /// Derives the VJP for what is known of the results' cotangents, and for wanted ones.
    pub fn derive_for(
        &mut self,
        seeds: &[Seed],
        wanted: &[bool],
        mut deriver: Deriver<'_, Op>,
    ) -> Result<usize, EagerError> {
        let vjp = match &self.callee {
            Callee::Function(call) => self.vjp_of_function(call, seeds, wanted, deriver.ctx)?,
            Callee::Operation(operation) => {
                let mut wanted = wanted.iter();
                let active = self.active.iter();
                let active = active.map(|active| *active && wanted.next() == Some(&true));
                let active: Flags = active.collect();
                let vjp = self.vjp_of_operation(operation, &active, seeds, &mut deriver)?;
                self.lower_operation(&vjp, seeds)?
            }
        };
        self.vjps.push(VjpVariant {
            seeds: seeds.into(),
            wanted: wanted.into(),
            vjp,
        });
        Ok(self.vjps.len() - 1)
    }

    /// Where to find the JVP for some operands that move, if it is there.
    pub fn find_jvp(&self, moving: &[bool], reach: Reach) -> Option<usize> {
        let mut known = self.jvps.iter();
        known.position(|known| *known.moving == *moving && known.reach == reach)
    }

    /// Derives the JVP for some operands that move: from what is kept of a call, then their tangents. Its
    /// outputs are the tangents of the results that are asked for.
    pub fn derive_jvp(
        &mut self,
        moving: &[bool],
        reach: Reach,
        deriver: Deriver<'_, Op>,
    ) -> Result<usize, EagerError> {
        let jvp = match &self.callee {
            Callee::Operation(operation) => {
                let (types, of) = (self.types.as_deref(), deriver);
                let jvp = of
                    .derivatives
                    .jvp(operation, moving, types, of.name, of.ctx);
                let jvp = jvp.map_err(|source| self.cannot_derive(source))?;
                let tangents = moving.iter().filter(|moving| **moving).count();
                let sources = self.operands().chain(self.results());
                let sources = sources.chain((0..tangents).map(Source::Seed));
                let found = jvp.tangents.iter().copied();
                self.lower(&jvp.function, sources, tangents, found)?
            }
            Callee::Function(call) => self.jvp_of_function(call, moving, reach, deriver.ctx)?,
        };
        self.jvps.push(JvpVariant {
            moving: moving.into(),
            reach,
            jvp,
        });
        Ok(self.jvps.len() - 1)
    }

    pub fn jvp(&self, at: usize) -> &Program<Op> {
        &self.jvps[at].jvp
    }

    /// The index on the tape of an operand of a call, given those of its active operands.
    pub fn place_of(&self, operand: usize, operands: &[u32]) -> u32 {
        if !self.active[operand] {
            return CONSTANT;
        }
        let before = self.active[..operand].iter();
        operands[before.filter(|active| **active).count()]
    }

    pub fn vjp(&self, at: usize) -> &Program<Op> {
        &self.vjps[at].vjp
    }

    /// All operands, as inputs of a derivative.
    fn operands(&self) -> impl Iterator<Item = Source> + use<Op> {
        let operands = 0..self.active.len() as u32;
        operands.map(|at| Source::Residual(Residual::Operand(at)))
    }

    /// All results, as inputs of a derivative.
    fn results(&self) -> impl Iterator<Item = Source> + use<Op> {
        let results = 0..self.outputs;
        results.map(|at| Source::Residual(Residual::Output(at)))
    }

    /// As errors name it.
    pub fn describe(&self) -> String {
        match &self.callee {
            Callee::Operation(operation) => operation_label(operation),
            Callee::Function(call) => describe_function(&call.function),
        }
    }

    fn new(
        callee: Callee<Op>,
        active: Flags,
        outputs: usize,
        visible: usize,
        types: Types,
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            callee,
            active_count: active.iter().filter(|active| **active).count() as u32,
            active,
            outputs: outputs as u32,
            visible: visible as u32,
            residuals: Vec::new(),
            types,
            location,
            vjps: Vec::new(),
            jvps: Vec::new(),
        }
    }

    fn remember(&mut self, seeds: Seeds, vjp: Program<Op>) {
        self.vjps.push(VjpVariant {
            seeds,
            wanted: Flags::from_elem(true, self.active_count as usize),
            vjp,
        });
    }

    fn vjp_of_operation(
        &self,
        operation: &Op,
        active: &[bool],
        seeds: &[Seed],
        deriver: &mut Deriver<'_, Op>,
    ) -> Result<Arc<OperationVjp<Op>>, EagerError> {
        let (types, of) = (self.types.as_deref(), deriver);
        let known = of.derivatives;
        let vjp = known.vjp(operation, active, seeds, types, of.name, of.ctx);
        vjp.map_err(|source| self.cannot_derive(source))
    }

    /// The JVP of a function from its operands, of everything that it computes and that a recorded
    /// gradient may use.
    fn jvp_of_function(
        &self,
        call: &Call<Op>,
        moving: &[bool],
        reach: Reach,
        ctx: &mut Op::ADContext,
    ) -> Result<Program<Op>, EagerError> {
        let results = match reach {
            Reach::Visible => self.visible,
            Reach::All => self.outputs,
        };
        let results: Vec<usize> = (0..results as usize).collect();
        let moving = positions(moving, |moving| *moving);
        let (wrt, outputs) = connected(call.extended.as_dense(), &moving, &results);
        if wrt.is_empty() {
            return Ok(Program::of_zeros(results.len()));
        }
        let mut own = own_context::<Op>(&self.types);
        let ctx = own.as_mut().unwrap_or(ctx);
        let function = call.extended.select_at(&outputs);
        let jvp = function.and_then(|f| f.within(ctx).nonzero_jvp(Wrt::At(wrt.clone())));
        let jvp = jvp.map_err(|source| self.cannot_derive(source))?;
        let tangents = wrt.iter().filter_map(|&at| rank(&moving, at));
        let sources = self.operands().chain(tangents.map(Source::Seed));
        let found = results.iter().map(|&at| jvp.places[rank(&outputs, at)?]);
        self.lower(&jvp.function, sources, moving.len(), found)
    }

    /// The VJP of a function from its operands alone.
    fn vjp_of_function(
        &self,
        call: &Call<Op>,
        seeds: &[Seed],
        wanted: &[bool],
        ctx: &mut Op::ADContext,
    ) -> Result<Program<Op>, EagerError> {
        let seeded = positions(seeds, |seed| seed.is_there());
        let masked = positions(seeds, |seed| seed.is_masked());
        let active = positions(&self.active, |active| *active);
        let wrt = active.iter().zip(wanted).filter(|(_, wanted)| **wanted);
        let wrt: Vec<usize> = wrt.map(|(&at, _)| at).collect();
        // What does not depend on anything has no cotangent, and whatever nothing depends on neither.
        let (wrt, connected) = connected(call.extended.as_dense(), &wrt, &seeded);
        if wrt.is_empty() {
            return Ok(Program::of_zeros(active.len()));
        }
        let mut own = own_context::<Op>(&self.types);
        let ctx = own.as_mut().unwrap_or(ctx);
        let derived = call.extended.select_at(&connected).and_then(|function| {
            let masked = connected.iter().map(|&at| seeds[at].is_masked());
            let masked: Vec<bool> = masked.collect();
            function.within(ctx).nonzero_vjp(&wrt, &masked)
        });
        let derived = derived.map_err(|source| self.cannot_derive(source))?;
        // In the list, the masks come after all cotangents.
        let of_masks = connected.iter().filter_map(|&at| rank(&masked, at));
        let of_masks = of_masks.map(|rank| seeded.len() + rank);
        let places = connected.iter().filter_map(|&at| rank(&seeded, at));
        let places = places.chain(of_masks).map(Source::Seed);
        let outputs = outputs_by(&active, &wrt, &derived.places);
        let given = seeded.len() + masked.len();
        let sources = self.operands().chain(places);
        let program = self.lower(&derived.function, sources, given, outputs)?;
        Ok(program.with_masks(active.len()))
    }

    fn lower_operation(
        &self,
        vjp: &OperationVjp<Op>,
        seeds: &[Seed],
    ) -> Result<Program<Op>, EagerError> {
        let given = seeds.iter().map(|seed| match seed {
            Seed::Zero => 0,
            Seed::Full => 1,
            Seed::Masked { .. } => 2,
        });
        let given = given.sum();
        let sources = self.operands().chain(self.results());
        let active = positions(&self.active, |active| *active);
        let cotangents = active.iter().map(|&at| vjp.cotangents[at]);
        let masks = active
            .iter()
            .map(|&at| vjp.masks[at].map(|mask| mask.output));
        let program = self.lower(
            &vjp.function,
            sources.chain((0..given).map(Source::Seed)),
            given,
            cotangents.chain(masks),
        )?;
        let mut program = program.with_masks(self.active_count as usize);
        let keep_if = Op::masking().map(|masking| masking.keep_if);
        for (rank, at) in active.into_iter().enumerate() {
            let is_kept = vjp.masks[at].is_none_or(|mask| mask.is_kept);
            if let Some(keep_if) = keep_if.as_ref().filter(|_| !is_kept) {
                program.keep(rank, keep_if, self.residuals.len() + given);
            }
        }
        Ok(program)
    }

    /// Turns a function of `sources`, for which this many seeds are given, into instructions. `outputs` says which
    /// of its outputs are meant.
    fn lower(
        &self,
        function: &Function<Op>,
        sources: impl Iterator<Item = Source>,
        seeds: usize,
        outputs: impl Iterator<Item = Option<usize>>,
    ) -> Result<Program<Op>, EagerError> {
        let kept = self.residuals.len();
        let mut operands = vec![None; self.active.len()];
        let mut results = vec![None; self.outputs as usize];
        for (place, residual) in (0..).zip(&self.residuals) {
            match *residual {
                Residual::Operand(at) => operands[at as usize] = Some(place),
                Residual::Output(at) => results[at as usize] = Some(place),
            }
        }
        let places = sources.map(|source| match source {
            Source::Seed(at) => Some((kept + at) as u32),
            Source::Residual(Residual::Operand(at)) => operands[at as usize],
            Source::Residual(Residual::Output(at)) => results[at as usize],
        });
        // An input without a place is one that is not kept, because nothing was to use it.
        let program = lower(
            function.as_dense(),
            &places.collect::<Vec<_>>(),
            kept + seeds,
            outputs,
        );
        program.ok_or_else(|| EagerError::ResidualNotKept {
            operation: self.describe(),
            location: Some(self.location),
        })
    }

    fn cannot_derive(&self, source: FunctionError) -> EagerError {
        cannot_derive(self.describe(), Some(self.location), source)
    }
}

/// Turns a graph whose inputs are in these places of a list that starts with `given` values into
/// instructions; `outputs` says which of its outputs are meant. `None` if it uses an input that is in no
/// place.
fn lower<Op: Primitive>(
    graph: &DenseGraph<Op>,
    inputs: &[Option<u32>],
    given: usize,
    outputs: impl Iterator<Item = Option<usize>>,
) -> Option<Program<Op>> {
    // A graph numbers its inputs, then results as they are computed: so does the list.
    let place = |id: DenseId| match inputs.get(id.index()) {
        Some(input) => *input,
        None => Some((given + id.index() - inputs.len()) as u32),
    };
    let instructions = graph.nodes().map(|node| {
        let operands = node.operands.iter().map(|&id| place(id));
        Some(Instruction {
            operation: node.operation.clone(),
            operands: operands.collect::<Option<_>>()?,
            results: node.results.len() as u32,
        })
    });
    let outputs = outputs.map(|output| match output {
        None => Some(None),
        Some(output) => place(graph.outputs()[output]).map(Some),
    });
    Some(Program {
        instructions: instructions.collect::<Option<_>>()?,
        outputs: outputs.collect::<Option<_>>()?,
        masks: Vec::new(),
    })
}

impl<Op: Clone> Program<Op> {
    /// Of this many symbolic zeros.
    fn of_zeros(count: usize) -> Self {
        Self {
            instructions: Vec::new(),
            outputs: vec![None; count],
            masks: Vec::new(),
        }
    }

    /// The operation that makes a value of the list, which starts with `given` values; what was kept by a mask
    /// was made before that.
    pub fn maker_of(&self, at: u32, given: u32) -> Option<&Op> {
        let maker = |place: u32| {
            let mut next = given;
            self.instructions.iter().find(|made| {
                next += made.results;
                (given..next).contains(&place)
            })
        };
        let made = maker(at)?;
        let is_kept = self
            .masks
            .iter()
            .flatten()
            .any(|mask| made.operands.first() == Some(mask));
        let before = made.operands.get(1).filter(|_| is_kept);
        let before = before.and_then(|&place| maker(place));
        Some(&before.unwrap_or(made).operation)
    }

    /// Takes what comes after the first `outputs` outputs for masks of them.
    fn with_masks(mut self, outputs: usize) -> Self {
        let masks = self.outputs.split_off(outputs);
        if masks.iter().any(Option::is_some) {
            self.masks = masks;
        }
        self
    }

    /// Has an output be zero where its mask says so, of a list that starts with `given` values.
    fn keep(&mut self, output: usize, keep_if: &Op, given: usize) {
        let (Some(cotangent), Some(mask)) = (self.outputs[output], self.masks[output]) else {
            return;
        };
        let made = self.instructions.iter().map(|made| made.results);
        let next = given as u32 + made.sum::<u32>();
        self.instructions.push(Instruction {
            operation: keep_if.clone(),
            operands: SmallVec::from_slice(&[mask, cotangent]),
            results: 1,
        });
        self.outputs[output] = Some(next);
    }
}

/// What rules are given where the types of operands are known: a context that knows nothing else.
fn own_context<Op: Primitive>(types: &Types) -> Option<Op::ADContext> {
    types.as_ref().map(|_| Op::ADContext::default())
}

/// Where in a list something holds.
fn positions<T>(list: &[T], holds: impl Fn(&T) -> bool) -> Vec<usize> {
    (0..list.len()).filter(|&at| holds(&list[at])).collect()
}

/// Where in an ascending list a position stands.
fn rank(positions: &[usize], at: usize) -> Option<usize> {
    positions.binary_search(&at).ok()
}

/// Of a derivative by `wrt`, which lists `places` of cotangents, then of their masks: the same by `active` operands.
fn outputs_by(
    active: &[usize],
    wrt: &[usize],
    places: &[Option<usize>],
) -> impl Iterator<Item = Option<usize>> {
    let (cotangents, masks) = places.split_at(wrt.len());
    let by_active = [cotangents, masks].map(|places| {
        let found = active.iter().map(|&at| places[rank(wrt, at)?]);
        found.collect::<Vec<_>>()
    });
    by_active.into_iter().flatten()
}

/// Those of some inputs that some of the outputs depend on, and those of these outputs that depend on one
/// of the inputs; by position.
fn connected<Op: Primitive>(
    graph: &DenseGraph<Op>,
    inputs: &[usize],
    outputs: &[usize],
) -> (Vec<usize>, Vec<usize>) {
    let mut depends = vec![false; graph.value_count()];
    let mut matters = depends.clone();
    let input = |at: &usize| graph.input(*at).index();
    let output = |at: &usize| graph.outputs()[*at].index();
    inputs.iter().for_each(|at| depends[input(at)] = true);
    outputs.iter().for_each(|at| matters[output(at)] = true);
    for node in graph.nodes() {
        if node.operands.iter().any(|id| depends[id.index()]) {
            depends[node.results.indices()].fill(true);
        }
    }
    for node in graph.nodes().rev() {
        if matters[node.results.indices()].contains(&true) {
            let operands = node.operands.iter();
            operands.for_each(|id| matters[id.index()] = true);
        }
    }
    let inputs = inputs.iter().copied().filter(|at| matters[input(at)]);
    let outputs = outputs.iter().copied().filter(|at| depends[output(at)]);
    (inputs.collect(), outputs.collect())
}

/// Everything that operations of the VJP, or its outputs, use of operands and results.
fn residuals_of<Op: Primitive>(
    vjp: &OperationVjp<Op>,
    operands: usize,
    outputs: usize,
) -> Vec<Residual> {
    let graph = vjp.function.as_dense();
    let mut used = vec![false; graph.value_count()];
    let operated = graph.nodes().flat_map(|node| node.operands);
    let all = operated.chain(graph.outputs());
    all.for_each(|id| used[id.index()] = true);
    let given = (0..operands + outputs).filter(|&at| used[graph.input(at).index()]);
    let residuals = given.map(|at| match at.checked_sub(operands) {
        None => Residual::Operand(at as u32),
        Some(output) => Residual::Output(output as u32),
    });
    residuals.collect()
}
