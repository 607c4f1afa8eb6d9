//! What a tape knows of an operation once it has derived it: what to keep going forward, what to
//! compute going backward.

use std::sync::Arc;

use smallvec::SmallVec;
use tidu_ad::{Function, FunctionError, FunctionProgram, OperationVjp, Primitive, Wrt};
use tidu_graph::{EvaluableGraphOperation, Graph, ValueRef, describe_operation};

use super::CONSTANT;
use crate::error::EagerError;

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
    vjps: Vec<Variant<Op>>,
}

#[derive(Clone)]
pub(super) enum Callee<Op: Primitive> {
    Operation(Op),
    Function(Arc<Call<Op>>),
}

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

/// One flag an operand or result.
pub(super) type Flags = SmallVec<[bool; 4]>;

/// A value that going backward needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Residual {
    Operand(u32),
    Output(u32),
}

/// A VJP for some results that are seeded, and some active operands whose cotangents are wanted.
#[derive(Clone)]
struct Variant<Op> {
    seeded: Flags,
    wanted: Flags,
    vjp: Program<Op>,
}

/// A derivative of one call: instructions that run one after the other, each appending its results to
/// a list.
#[derive(Clone)]
pub(super) struct Program<Op> {
    pub instructions: Vec<Instruction<Op>>,
    /// Where the results are found; `None` for a symbolic zero. Of a VJP: one an active operand.
    pub outputs: Vec<Option<Place>>,
}

#[derive(Clone)]
pub(super) struct Instruction<Op> {
    pub operation: Op,
    pub operands: SmallVec<[Place; 4]>,
    pub results: u32,
}

/// Where a value is while a derivative runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Among the residuals of the call.
    Residual(u32),
    /// The cotangent of a result, or the tangent of an operand.
    Seed(u32),
    /// Among what instructions have computed.
    Computed(u32),
}

/// What an input of a derived function is.
#[derive(Clone, Copy)]
enum Source {
    Residual(Residual),
    Seed(u32),
}

impl<Op: Primitive + EvaluableGraphOperation> Template<Op> {
    /// The VJP for all visible results seeded, no others, and all cotangents wanted.
    pub const WHOLE: usize = 0;

    /// Derives an operation.
    pub fn of_operation(
        operation: &Op,
        active: Flags,
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<Self, EagerError> {
        let outputs = operation.output_count();
        let mut template = Self::new(
            Callee::Operation(operation.clone()),
            active,
            outputs,
            outputs,
        );
        let seeded = Flags::from_elem(true, outputs);
        let vjp = OperationVjp::derive(operation, name, &template.active, &seeded, ctx);
        let vjp = vjp.map_err(|source| template.cannot_derive(source))?;
        template.residuals = residuals_of(&vjp, operation.input_count(), outputs);
        let lowered = template.lower_operation(&vjp, &seeded)?;
        template.remember(seeded, lowered);
        Ok(template)
    }

    /// Derives a function. If it `recomputes`, its operands are all that is kept of a call.
    pub fn of_function(
        function: &Function<Op>,
        active: Flags,
        recomputes: bool,
        ctx: &mut Op::ADContext,
    ) -> Result<Self, EagerError> {
        let cannot_derive = |source| cannot_derive("the function", source);
        let visible = function.output_names().len();
        let operands = (0..active.len() as u32).map(Residual::Operand);
        let mut residuals: Vec<Residual> = operands.collect();
        let wrt = positions(&active);
        let (extended, linear) = match recomputes {
            true => (function.clone(), None),
            false => {
                let split = function
                    .within(ctx)
                    .linearize(wrt.clone())
                    .map_err(cannot_derive)?;
                (split.primal, Some(split.linear))
            }
        };
        let outputs = extended.output_names().len();
        residuals.extend((visible as u32..outputs as u32).map(Residual::Output));
        let call = Call {
            function: function.clone(),
            recomputes,
            program: extended.compile(),
            extended,
        };
        let callee = Callee::Function(Arc::new(call));
        let mut template = Self::new(callee, active, outputs, visible);
        template.residuals = residuals;
        let mut seeded = Flags::from_elem(true, visible);
        seeded.resize(outputs, false);
        let wanted = Flags::from_elem(true, template.active_count as usize);
        let vjp = match linear {
            None => template.vjp_of_function(&seeded, &wanted, ctx)?,
            Some(linear) => {
                let hidden = outputs - visible;
                let tangents = (hidden..hidden + template.active_count as usize).collect();
                let transposed = linear.within(ctx).transpose(Wrt::At(tangents));
                let transposed = transposed.map_err(cannot_derive)?;
                let residuals = (visible..outputs).map(|at| Residual::Output(at as u32));
                let seeds = (0..visible as u32).map(Source::Seed);
                let sources = residuals.map(Source::Residual).chain(seeds);
                template.lower(&transposed, sources, (0..wanted.len()).map(Some))?
            }
        };
        template.remember(seeded, vjp);
        Ok(template)
    }

    /// Where to find the VJP for some seeded results and wanted cotangents, if it is there.
    pub fn find(&self, seeded: &[bool], wanted: &[bool]) -> Option<usize> {
        let mut known = self.vjps.iter();
        known.position(|known| *known.seeded == *seeded && *known.wanted == *wanted)
    }

    /// Derives the VJP for some seeded results and wanted cotangents.
    pub fn derive_for(
        &mut self,
        seeded: &[bool],
        wanted: &[bool],
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<usize, EagerError> {
        let vjp = match &self.callee {
            Callee::Function(_) => self.vjp_of_function(seeded, wanted, ctx)?,
            Callee::Operation(operation) => {
                let mut wanted = wanted.iter();
                let active = self.active.iter();
                let active = active.map(|active| *active && wanted.next() == Some(&true));
                let active: Flags = active.collect();
                let vjp = OperationVjp::derive(operation, name, &active, seeded, ctx);
                let vjp = vjp.map_err(|source| self.cannot_derive(source))?;
                self.lower_operation(&vjp, seeded)?
            }
        };
        self.vjps.push(Variant {
            seeded: seeded.into(),
            wanted: wanted.into(),
            vjp,
        });
        Ok(self.vjps.len() - 1)
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

    /// As errors name it.
    pub fn describe(&self) -> String {
        match &self.callee {
            Callee::Operation(operation) => describe_operation(operation),
            Callee::Function(call) => {
                format!("a function of {}", call.function.input_names().join(", "))
            }
        }
    }

    fn new(callee: Callee<Op>, active: Flags, outputs: usize, visible: usize) -> Self {
        Self {
            callee,
            active_count: active.iter().filter(|active| **active).count() as u32,
            active,
            outputs: outputs as u32,
            visible: visible as u32,
            residuals: Vec::new(),
            vjps: Vec::new(),
        }
    }

    fn remember(&mut self, seeded: Flags, vjp: Program<Op>) {
        self.vjps.push(Variant {
            seeded,
            wanted: Flags::from_elem(true, self.active_count as usize),
            vjp,
        });
    }

    /// The VJP of a function from its operands alone.
    fn vjp_of_function(
        &self,
        seeded: &[bool],
        wanted: &[bool],
        ctx: &mut Op::ADContext,
    ) -> Result<Program<Op>, EagerError> {
        let Callee::Function(call) = &self.callee else {
            unreachable!("asked of functions only");
        };
        let seeds: Vec<usize> = (0..seeded.len()).filter(|&at| seeded[at]).collect();
        let active = (0..self.active.len()).filter(|&at| self.active[at]);
        let chosen = active.zip(wanted).filter(|(_, wanted)| **wanted);
        let wrt: Vec<usize> = chosen.map(|(at, _)| at).collect();
        let count = wrt.len();
        let derived = call.extended.select_at(&seeds).and_then(|function| {
            let vjp = function.within(ctx).vjp(Wrt::At(wrt))?;
            vjp.select_at(&(seeds.len()..seeds.len() + count).collect::<Vec<_>>())
        });
        let derived = derived.map_err(|source| self.cannot_derive(source))?;
        let operands = (0..self.active.len() as u32).map(Residual::Operand);
        let seeds = seeds.into_iter().map(|at| Source::Seed(at as u32));
        let mut next = 0..count;
        let cotangents = wanted
            .iter()
            .map(|wanted| wanted.then(|| next.next()).flatten());
        self.lower(
            &derived,
            operands.map(Source::Residual).chain(seeds),
            cotangents,
        )
    }

    fn lower_operation(
        &self,
        vjp: &OperationVjp<Op>,
        seeded: &[bool],
    ) -> Result<Program<Op>, EagerError> {
        let operands = (0..self.active.len() as u32).map(Residual::Operand);
        let outputs = (0..self.outputs).map(Residual::Output);
        let seeds = (0..self.outputs).filter(|&output| seeded[output as usize]);
        let sources = operands.chain(outputs).map(Source::Residual);
        let cotangents = vjp.cotangents.iter().zip(&self.active);
        let cotangents = cotangents.filter(|(_, active)| **active);
        self.lower(
            &vjp.function,
            sources.chain(seeds.map(Source::Seed)),
            cotangents.map(|(output, _)| *output),
        )
    }

    /// Turns a function of `sources` into instructions. `cotangents` says, by active operand, which of
    /// its outputs is the cotangent.
    fn lower(
        &self,
        function: &Function<Op>,
        sources: impl Iterator<Item = Source>,
        cotangents: impl Iterator<Item = Option<usize>>,
    ) -> Result<Program<Op>, EagerError> {
        let places = sources.map(|source| match source {
            Source::Seed(at) => Some(Place::Seed(at)),
            Source::Residual(residual) => self.place_of_residual(residual),
        });
        // An input without a place is one that is not kept, because nothing was to use it.
        lower(function, places, cotangents).ok_or_else(|| EagerError::ResidualNotKept {
            operation: self.describe(),
        })
    }

    fn place_of_residual(&self, residual: Residual) -> Option<Place> {
        let place = self.residuals.iter().position(|known| *known == residual);
        place.map(|place| Place::Residual(place as u32))
    }

    fn cannot_derive(&self, source: FunctionError) -> EagerError {
        cannot_derive(&self.describe(), source)
    }
}

/// Turns a function whose inputs are in these places into instructions; `outputs` says which of its
/// outputs are meant. `None` if it uses an input that is in no place.
pub(super) fn lower<Op: Primitive>(
    function: &Function<Op>,
    inputs: impl Iterator<Item = Option<Place>>,
    outputs: impl Iterator<Item = Option<usize>>,
) -> Option<Program<Op>> {
    let graph = function.as_graph();
    let mut places: Vec<Option<Place>> = vec![None; graph.values().len()];
    for (&id, place) in graph.inputs().iter().zip(inputs) {
        places[id] = place;
    }
    let mut computed = 0;
    let mut instructions = Vec::with_capacity(graph.operations().len());
    for node in graph.operations() {
        let operands = node.inputs.iter().map(|operand| match operand {
            ValueRef::Local(id) => places[*id],
            ValueRef::External(_) => None,
        });
        instructions.push(Instruction {
            operation: node.operation.clone(),
            operands: operands.collect::<Option<_>>()?,
            results: node.outputs.len() as u32,
        });
        for &id in &node.outputs {
            places[id] = Some(Place::Computed(computed));
            computed += 1;
        }
    }
    let outputs = outputs.map(|output| match output {
        None => Some(None),
        Some(output) => places[graph.outputs()[output]].map(Some),
    });
    Some(Program {
        instructions,
        outputs: outputs.collect::<Option<_>>()?,
    })
}

fn cannot_derive(operation: &str, source: FunctionError) -> EagerError {
    EagerError::Derive {
        operation: operation.into(),
        source: Box::new(source),
    }
}

fn positions(flags: &[bool]) -> Wrt {
    Wrt::At((0..flags.len()).filter(|&at| flags[at]).collect())
}

/// Everything that operations of the VJP, or its outputs, use of operands and results.
fn residuals_of<Op: Primitive>(
    vjp: &OperationVjp<Op>,
    operands: usize,
    outputs: usize,
) -> Vec<Residual> {
    let graph = vjp.function.as_graph();
    let mut used = vec![false; graph.values().len()];
    for operand in graph.operations().iter().flat_map(|node| &node.inputs) {
        if let ValueRef::Local(id) = operand {
            used[*id] = true;
        }
    }
    graph.outputs().iter().for_each(|&id| used[id] = true);
    let inputs = graph.inputs()[..operands + outputs].iter().enumerate();
    let used = inputs.filter(|(_, id)| used[**id]);
    let residuals = used.map(|(at, _)| match at.checked_sub(operands) {
        None => Residual::Operand(at as u32),
        Some(output) => Residual::Output(output as u32),
    });
    residuals.collect()
}
