//! What a tape knows of an operation once it has derived it: what to keep going forward, what to
//! compute going backward.

use smallvec::SmallVec;
use tidu_ad::{OperationVjp, Primitive};
use tidu_graph::{EvaluableGraphOperation, ValueRef, describe_operation};

use super::CONSTANT;
use crate::error::EagerError;

/// An operation with some of its operands active.
#[derive(Clone)]
pub(super) struct Template<Op: Primitive> {
    pub operation: Op,
    /// By operand.
    pub active: Flags,
    pub active_count: u32,
    pub outputs: u32,
    /// What is kept of a call, in order.
    pub residuals: Vec<Residual>,
    /// By which results are seeded, and which cotangents are wanted.
    vjps: Vec<(Flags, Flags, Vjp<Op>)>,
}

/// One flag an operand or result.
pub(super) type Flags = SmallVec<[bool; 4]>;

/// A value that going backward needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Residual {
    Operand(u32),
    Output(u32),
}

/// How cotangents of results become cotangents of active operands: instructions that run one after
/// the other, each appending its results to a list.
#[derive(Clone)]
pub(super) struct Vjp<Op> {
    pub instructions: Vec<Instruction<Op>>,
    /// By active operand: where its cotangent is found; `None` for a symbolic zero.
    pub cotangents: Vec<Option<Place>>,
}

#[derive(Clone)]
pub(super) struct Instruction<Op> {
    pub operation: Op,
    pub operands: SmallVec<[Place; 4]>,
    pub results: u32,
}

/// Where a value is while a VJP runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Among the residuals of the call.
    Residual(u32),
    /// The cotangent of a result.
    Seed(u32),
    /// Among what instructions have computed.
    Computed(u32),
}

impl<Op: Primitive + EvaluableGraphOperation> Template<Op> {
    /// Derives an operation for cotangents of all its results.
    pub fn derive(
        operation: Op,
        active: Flags,
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<Self, EagerError> {
        let outputs = operation.output_count();
        let all_outputs = Flags::from_elem(true, outputs);
        let vjp = derive(&operation, name, &active, &all_outputs, ctx)?;
        let residuals = residuals_of(&vjp, operation.input_count(), outputs);
        let mut template = Self {
            active_count: active.iter().filter(|active| **active).count() as u32,
            outputs: outputs as u32,
            operation,
            active,
            residuals,
            vjps: Vec::new(),
        };
        let wanted = Flags::from_elem(true, template.active_count as usize);
        let vjp = template.lower(&vjp, &all_outputs)?;
        template.vjps.push((all_outputs, wanted, vjp));
        Ok(template)
    }

    /// The VJP for all results seeded and all cotangents wanted.
    pub const WHOLE: usize = 0;

    /// Where to find the VJP for some seeded results and wanted cotangents, if it is there.
    pub fn find(&self, seeded: &[bool], wanted: &[bool]) -> Option<usize> {
        let mut known = self.vjps.iter();
        known.position(|(s, w, _)| s.as_slice() == seeded && w.as_slice() == wanted)
    }

    /// Derives the VJP for some seeded results and wanted cotangents.
    pub fn derive_for(
        &mut self,
        seeded: &[bool],
        wanted: &[bool],
        name: &Op::InputKey,
        ctx: &mut Op::ADContext,
    ) -> Result<usize, EagerError> {
        let mut wanted_of = wanted.iter();
        let active = self.active.iter();
        let active = active.map(|active| *active && wanted_of.next() == Some(&true));
        let active: Flags = active.collect();
        let vjp = derive(&self.operation, name, &active, seeded, ctx)?;
        let vjp = self.lower(&vjp, seeded)?;
        self.vjps.push((seeded.into(), wanted.into(), vjp));
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

    pub fn vjp(&self, at: usize) -> &Vjp<Op> {
        &self.vjps[at].2
    }

    /// Turns a function into instructions.
    fn lower(&self, vjp: &OperationVjp<Op>, seeded: &[bool]) -> Result<Vjp<Op>, EagerError> {
        let graph = vjp.function.as_graph();
        let operands = self.active.len();
        let outputs = self.outputs as usize;
        let seeds: Vec<u32> = (0..self.outputs)
            .filter(|&output| seeded[output as usize])
            .collect();
        let mut places: Vec<Option<Place>> = vec![None; graph.values().len()];
        for (at, &id) in graph.inputs().iter().enumerate() {
            places[id] = match at {
                _ if at < operands => self.residual(Residual::Operand(at as u32)),
                _ if at < operands + outputs => {
                    self.residual(Residual::Output((at - operands) as u32))
                }
                _ => Some(Place::Seed(seeds[at - operands - outputs])),
            };
        }
        let mut computed = 0;
        let mut instructions = Vec::with_capacity(graph.operations().len());
        for node in graph.operations() {
            let operands = node.inputs.iter().map(|operand| match operand {
                ValueRef::Local(id) => places[*id],
                ValueRef::External(_) => None,
            });
            let operands: Option<SmallVec<_>> = operands.collect();
            instructions.push(Instruction {
                operation: node.operation.clone(),
                operands: operands.ok_or_else(|| self.residual_not_kept())?,
                results: node.outputs.len() as u32,
            });
            for &id in &node.outputs {
                places[id] = Some(Place::Computed(computed));
                computed += 1;
            }
        }
        let outputs = graph.outputs();
        let cotangents = vjp.cotangents.iter().zip(&self.active);
        let cotangents = cotangents.filter(|(_, active)| **active);
        let cotangents = cotangents.map(|(output, _)| match output {
            None => Ok(None),
            Some(output) => match places[outputs[*output]] {
                None => Err(self.residual_not_kept()),
                place => Ok(place),
            },
        });
        Ok(Vjp {
            instructions,
            cotangents: cotangents.collect::<Result<_, _>>()?,
        })
    }

    /// What is kept suffices for cotangents of all results. A rule that uses more for fewer has no
    /// place here.
    fn residual_not_kept(&self) -> EagerError {
        EagerError::ResidualNotKept {
            operation: describe_operation(&self.operation),
        }
    }

    fn residual(&self, residual: Residual) -> Option<Place> {
        let place = self.residuals.iter().position(|known| *known == residual);
        place.map(|place| Place::Residual(place as u32))
    }
}

fn derive<Op: Primitive>(
    operation: &Op,
    name: &Op::InputKey,
    active: &[bool],
    seeded: &[bool],
    ctx: &mut Op::ADContext,
) -> Result<OperationVjp<Op>, EagerError> {
    let vjp = OperationVjp::derive(operation, name, active, seeded, ctx);
    vjp.map_err(|source| EagerError::Derive {
        operation: describe_operation(operation),
        source: Box::new(source),
    })
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
