//! A flat list of instructions, and how it runs.

use std::fmt::{self, Debug};

use smallvec::SmallVec;

use crate::builder::unwrap_or_panic;
use crate::dense::{DenseGraph, DenseId, to_u32};
use crate::error::{GraphError, describe_operation};
use crate::materialize::MaterializedGraph;
use crate::{EvaluableGraphOperation, GraphOperation};

/// A program: instructions over numbered slots.
///
/// The first slots are the program's inputs, which stay where the caller has them. The others are
/// registers: an operand is dropped at its last use, and its register used again. Nothing is ever
/// cloned, except an output that is also an input or that was asked for twice.
///
/// A program is immutable; many threads may run it at once.
#[derive(Clone)]
pub struct CompiledProgram<Op: GraphOperation> {
    /// What to do, in order.
    pub instructions: Vec<Instruction<Op>>,
    /// The slots of the inputs, in the order of [`MaterializedGraph::inputs`].
    pub input_slots: Vec<usize>,
    /// The slots of the outputs, in the order of [`MaterializedGraph::outputs`].
    pub output_slots: Vec<usize>,
    /// The number of slots: inputs, and as many registers as are ever in use at once.
    pub n_slots: usize,
    /// All operand, result and release slots, one instruction after the other.
    slots: Vec<u32>,
    /// By output: whether the operand can leave its register, because no later output needs it.
    output_moves: Vec<bool>,
}

/// An operation of a program. Its slots are read with [`CompiledProgram::operand_slots`] and
/// [`CompiledProgram::result_slots`].
#[derive(Clone, Debug)]
pub struct Instruction<Op: GraphOperation> {
    /// What is computed.
    pub operation: Op,
    first_slot: usize,
    operands: u32,
    results: u32,
    releases: u32,
}

/// A result that nothing uses goes into no register.
const UNUSED: u32 = u32::MAX;

/// Turns a flat graph into a program.
///
/// # Complexity
///
/// Linear in the graph.
pub fn compile<Op: GraphOperation>(graph: &MaterializedGraph<Op>) -> CompiledProgram<Op> {
    graph.as_dense().compile()
}

impl<Op: GraphOperation> DenseGraph<Op> {
    /// The program of this graph.
    ///
    /// # Complexity
    ///
    /// Linear in the graph.
    pub fn compile(&self) -> CompiledProgram<Op> {
        let mut registers = Registers::new(self);
        // Each operand is released once, each result written.
        let mut slots = Vec::with_capacity(2 * self.operand_count() + self.value_count());
        let mut instructions = Vec::with_capacity(self.operation_count());
        for (index, node) in self.nodes().enumerate() {
            let first_slot = slots.len();
            let operands = node.operands.iter();
            slots.extend(operands.map(|value| registers.slot[value.index()]));
            let before_releases = slots.len();
            // Released registers are free for the results of the same instruction: results are stored
            // after the operands have been dropped.
            registers.release_last_uses(node.operands, index, &mut slots);
            let releases = slots.len() - before_releases;
            slots.extend(node.results.iter().map(|value| registers.allocate(value)));
            instructions.push(Instruction {
                operation: node.operation.clone(),
                first_slot,
                operands: node.operands.len() as u32,
                releases: releases as u32,
                results: node.results.len() as u32,
            });
        }
        slots.shrink_to_fit();
        let outputs = self.outputs().iter();
        let output_slots: Vec<usize> = outputs
            .map(|value| registers.slot[value.index()] as usize)
            .collect();
        let inputs = self.input_count();
        CompiledProgram {
            instructions,
            input_slots: (0..inputs).collect(),
            output_moves: last_occurrences(&output_slots, inputs, registers.count),
            output_slots,
            n_slots: registers.count,
            slots,
        }
    }
}

impl<Op: GraphOperation> CompiledProgram<Op> {
    /// The slots that an instruction reads.
    pub fn operand_slots(&self, instruction: &Instruction<Op>) -> &[u32] {
        &self.slots[instruction.first_slot..][..instruction.operands as usize]
    }

    /// The slots that an instruction writes; `None` for a result that nothing uses.
    pub fn result_slots(
        &self,
        instruction: &Instruction<Op>,
    ) -> impl ExactSizeIterator<Item = Option<usize>> + '_ {
        let first = instruction.first_slot + (instruction.operands + instruction.releases) as usize;
        let results = &self.slots[first..][..instruction.results as usize];
        results
            .iter()
            .map(|&slot| (slot != UNUSED).then_some(slot as usize))
    }

    /// The registers whose content an instruction uses for the last time.
    fn release_slots(&self, instruction: &Instruction<Op>) -> &[u32] {
        let first = instruction.first_slot + instruction.operands as usize;
        &self.slots[first..][..instruction.releases as usize]
    }
}

impl<Op: EvaluableGraphOperation> CompiledProgram<Op> {
    /// Runs the program.
    ///
    /// # Panics
    ///
    /// Where [`try_eval`](Self::try_eval) returns an error, with the same text.
    #[track_caller]
    pub fn eval(&self, ctx: &mut Op::Context, inputs: &[&Op::Operand]) -> Vec<Op::Operand> {
        unwrap_or_panic(self.try_eval(ctx, inputs))
    }

    /// Runs the program on `inputs`, given in the order of [`MaterializedGraph::inputs`]; the
    /// results are in the order of [`MaterializedGraph::outputs`].
    ///
    /// # Errors
    ///
    /// [`GraphError::WrongInputCount`], and [`GraphError::WrongResultCount`] for an operation whose
    /// `eval` does not return what its `output_count` promises.
    ///
    /// # Complexity
    ///
    /// One `eval` an instruction. Not more operands are alive at once than the program has slots.
    pub fn try_eval(
        &self,
        ctx: &mut Op::Context,
        inputs: &[&Op::Operand],
    ) -> Result<Vec<Op::Operand>, GraphError> {
        if inputs.len() != self.input_slots.len() {
            return Err(GraphError::WrongInputCount {
                expected: self.input_slots.len(),
                found: inputs.len(),
            });
        }
        let mut registers = RegisterFile::new(inputs, self.n_slots);
        let mut results = Vec::new();
        for (position, instruction) in self.instructions.iter().enumerate() {
            {
                let slots = self.operand_slots(instruction);
                let operands: SmallVec<[&Op::Operand; 4]> = slots
                    .iter()
                    .map(|&slot| registers.get(slot as usize))
                    .collect();
                instruction
                    .operation
                    .eval_into(ctx, &operands, &mut results);
            }
            if results.len() != instruction.results as usize {
                return Err(GraphError::WrongResultCount {
                    operation: describe_operation(&instruction.operation),
                    instruction: position,
                    expected: instruction.results as usize,
                    found: results.len(),
                });
            }
            for &slot in self.release_slots(instruction) {
                registers.take(slot as usize);
            }
            for (slot, result) in self.result_slots(instruction).zip(results.drain(..)) {
                if let Some(slot) = slot {
                    registers.put(slot, result);
                }
            }
        }
        let outputs = self.output_slots.iter().zip(&self.output_moves);
        Ok(outputs
            .map(|(&slot, &moves)| match moves {
                true => registers.take(slot),
                false => registers.get(slot).clone(),
            })
            .collect())
    }
}

impl<Op: GraphOperation> Debug for CompiledProgram<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledProgram")
            .field("instructions", &self.instructions.len())
            .field("inputs", &self.input_slots.len())
            .field("outputs", &self.output_slots.len())
            .field("slots", &self.n_slots)
            .finish()
    }
}

/// The operands of a running program: inputs that the caller owns, registers that we do.
struct RegisterFile<'a, T> {
    inputs: &'a [&'a T],
    registers: Vec<Option<T>>,
}

impl<'a, T> RegisterFile<'a, T> {
    fn new(inputs: &'a [&'a T], slots: usize) -> Self {
        Self {
            inputs,
            registers: (inputs.len()..slots).map(|_| None).collect(),
        }
    }

    fn get(&self, slot: usize) -> &T {
        match self.inputs.get(slot) {
            Some(input) => input,
            None => self.registers[slot - self.inputs.len()]
                .as_ref()
                .expect("compile reads a register only between its definition and its last use"),
        }
    }

    fn take(&mut self, slot: usize) -> T {
        self.registers[slot - self.inputs.len()]
            .take()
            .expect("compile releases a register once, after it was written")
    }

    fn put(&mut self, slot: usize, value: T) {
        self.registers[slot - self.inputs.len()] = Some(value);
    }
}

/// Chooses slots so that a register is used again once its value is dead.
struct Registers {
    /// By value: the slot that holds it, or will.
    slot: Vec<u32>,
    /// By value: the last operation that reads it, or `NEVER` for what is not read, or `KEPT`.
    last_use: Vec<u32>,
    free: Vec<u32>,
    count: usize,
}

const NEVER: u32 = u32::MAX;
/// An input or an output of the program, or a value that has been released.
const KEPT: u32 = u32::MAX - 1;

impl Registers {
    fn new<Op: GraphOperation>(graph: &DenseGraph<Op>) -> Self {
        let mut last_use = vec![NEVER; graph.value_count()];
        for (index, node) in graph.nodes().enumerate() {
            for value in node.operands {
                last_use[value.index()] = to_u32(index);
            }
        }
        let mut slot = vec![UNUSED; graph.value_count()];
        for (value, index) in graph.inputs().zip(0..) {
            slot[value.index()] = index;
            last_use[value.index()] = KEPT;
        }
        for value in graph.outputs() {
            last_use[value.index()] = KEPT;
        }
        Self {
            slot,
            last_use,
            free: Vec::new(),
            count: graph.input_count(),
        }
    }

    fn release_last_uses(&mut self, values: &[DenseId], operation: usize, out: &mut Vec<u32>) {
        for value in values.iter().map(|value| value.index()) {
            if self.last_use[value] == operation as u32 {
                self.last_use[value] = KEPT;
                self.free.push(self.slot[value]);
                out.push(self.slot[value]);
            }
        }
    }

    fn allocate(&mut self, value: DenseId) -> u32 {
        let value = value.index();
        if self.last_use[value] == NEVER {
            return UNUSED;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            u32::try_from(self.count - 1).expect("a program has fewer than 2^32 slots")
        });
        self.slot[value] = slot;
        slot
    }
}

/// By output: whether its slot is a register that no later output shares.
fn last_occurrences(output_slots: &[usize], inputs: usize, slots: usize) -> Vec<bool> {
    let mut seen = vec![false; slots];
    let mut last: Vec<bool> = output_slots
        .iter()
        .rev()
        .map(|&slot| slot >= inputs && !std::mem::replace(&mut seen[slot], true))
        .collect();
    last.reverse();
    last
}
