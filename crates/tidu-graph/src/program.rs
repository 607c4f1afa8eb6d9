//! A flat list of instructions, and how it runs.

use std::fmt::{self, Debug};
use std::ops::Index;

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
    /// The operand and result slots of one instruction after the other. An operand that is read for the
    /// last time is marked with `LAST`.
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
    first_slot: u32,
    operands: u32,
    results: u32,
}

/// A result that nothing uses goes into no register.
const UNUSED: u32 = u32::MAX;

/// Marks an operand slot that no later instruction reads, where the operand stands for the last time.
const LAST: u32 = 1 << 31;

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
        let mut slots = Vec::with_capacity(self.operand_count() + self.value_count());
        let mut instructions = Vec::with_capacity(self.operation_count());
        for (index, node) in self.nodes().enumerate() {
            let first_slot = slots.len();
            let operands = node.operands.iter();
            slots.extend(operands.map(|value| registers.slot[value.index()]));
            // Released registers are free for the results of the same instruction: results are stored
            // after the operands have been dropped.
            registers.release_last_uses(node.operands, index, &mut slots[first_slot..]);
            slots.extend(node.results.iter().map(|value| registers.allocate(value)));
            instructions.push(Instruction {
                operation: node.operation.clone(),
                first_slot: to_u32(first_slot),
                operands: node.operands.len() as u32,
                results: node.results.len() as u32,
            });
        }
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
    pub fn operand_slots(
        &self,
        instruction: &Instruction<Op>,
    ) -> impl ExactSizeIterator<Item = usize> + '_ {
        let slots = &self.slots[instruction.first_slot as usize..];
        let slots = slots[..instruction.operands as usize].iter();
        slots.map(|&slot| (slot & !LAST) as usize)
    }

    /// The slots that an instruction writes; `None` for a result that nothing uses.
    pub fn result_slots(
        &self,
        instruction: &Instruction<Op>,
    ) -> impl ExactSizeIterator<Item = Option<usize>> + '_ {
        let slots = &self.slots[(instruction.first_slot + instruction.operands) as usize..];
        let slots = slots[..instruction.results as usize].iter();
        slots.map(|&slot| (slot != UNUSED).then_some(slot as usize))
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
    /// One evaluation an instruction. Not more operands are alive at once than the program has slots.
    pub fn try_eval(
        &self,
        ctx: &mut Op::Context,
        inputs: &[&Op::Operand],
    ) -> Result<Vec<Op::Operand>, GraphError> {
        self.try_eval_in(&mut Workspace::new(), ctx, inputs)
    }

    /// [`try_eval`](Self::try_eval) in memory that was used before: nothing is allocated then but what
    /// operations allocate themselves, and the list of outputs.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_eval_in(
        &self,
        workspace: &mut Workspace<Op::Operand>,
        ctx: &mut Op::Context,
        inputs: &[&Op::Operand],
    ) -> Result<Vec<Op::Operand>, GraphError> {
        if inputs.len() != self.input_slots.len() {
            return Err(GraphError::WrongInputCount {
                expected: self.input_slots.len(),
                found: inputs.len(),
            });
        }
        workspace.clear();
        let registers = self.n_slots - inputs.len();
        workspace.registers.resize_with(registers, || None);
        let outputs = self.run(workspace, ctx, inputs);
        workspace.clear();
        outputs
    }

    fn run(
        &self,
        workspace: &mut Workspace<Op::Operand>,
        ctx: &mut Op::Context,
        inputs: &[&Op::Operand],
    ) -> Result<Vec<Op::Operand>, GraphError> {
        let Workspace { registers, results } = workspace;
        let mut slots = &self.slots[..];
        for (position, instruction) in self.instructions.iter().enumerate() {
            let (operand_slots, after) = slots.split_at(instruction.operands as usize);
            let (result_slots, after) = after.split_at(instruction.results as usize);
            slots = after;
            let mut operands = Operands {
                inputs,
                registers,
                slots: operand_slots,
            };
            if let &[slot] = result_slots
                && let Some(result) = instruction.operation.eval_one(ctx, &mut operands)
            {
                release(registers, operand_slots, inputs.len());
                store(registers, slot, inputs.len(), result);
                continue;
            }
            let operation = &instruction.operation;
            match operands.len() {
                1 => operation.eval_into(ctx, &[&operands[0]], results),
                2 => operation.eval_into(ctx, &[&operands[0], &operands[1]], results),
                _ => operation.eval_into(ctx, &operands.all(), results),
            }
            if results.len() != result_slots.len() {
                return Err(GraphError::WrongResultCount {
                    operation: describe_operation(&instruction.operation),
                    instruction: position,
                    expected: result_slots.len(),
                    found: results.len(),
                });
            }
            release(registers, operand_slots, inputs.len());
            for &slot in result_slots.iter().rev() {
                let result = results.pop().expect("they were counted");
                store(registers, slot, inputs.len(), result);
            }
        }
        let outputs = self.output_slots.iter().zip(&self.output_moves);
        let outputs = outputs.map(|(&slot, &moves)| match slot.checked_sub(inputs.len()) {
            None => inputs[slot].clone(),
            Some(register) if moves => taken(registers[register].take()),
            Some(register) => taken(registers[register].clone()),
        });
        Ok(outputs.collect())
    }
}

/// Drops the operands that an instruction was the last to use.
#[inline]
fn release<T>(registers: &mut [Option<T>], slots: &[u32], inputs: usize) {
    // A number in a register that is not read again is in nobody's way.
    if std::mem::needs_drop::<T>() {
        for &slot in slots.iter().filter(|&&slot| slot & LAST != 0) {
            registers[(slot & !LAST) as usize - inputs] = None;
        }
    }
}

#[inline]
fn store<T>(registers: &mut [Option<T>], slot: u32, inputs: usize, result: T) {
    if slot != UNUSED {
        registers[slot as usize - inputs] = Some(result);
    }
}

/// The memory that a program runs in, to be used again.
#[derive(Debug)]
pub struct Workspace<T> {
    /// By slot past those of the inputs.
    registers: Vec<Option<T>>,
    /// Those of the operation that is being run.
    results: Vec<T>,
}

impl<T> Workspace<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            registers: Vec::new(),
            results: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.registers.clear();
        self.results.clear();
    }
}

impl<T> Default for Workspace<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The operands of an operation that a program runs: to be looked at, or taken.
///
/// `operands[0]` is the first one.
#[derive(Debug)]
pub struct Operands<'a, T> {
    inputs: &'a [&'a T],
    registers: &'a mut [Option<T>],
    slots: &'a [u32],
}

impl<T> Operands<'_, T> {
    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "an operation knows its arity")]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// All of them, borrowed.
    pub fn all(&self) -> SmallVec<[&T; 4]> {
        (0..self.len()).map(|at| &self[at]).collect()
    }

    /// An operand by value, if nothing else needs it: its memory may become that of the result. It is
    /// gone then.
    ///
    /// `None` for an input of the program, an output, an operand that a later operation reads, and one
    /// that stands twice among these.
    pub fn take(&mut self, at: usize) -> Option<T> {
        let slot = self.slots[at];
        let stands_here = |other: &&u32| **other & !LAST == slot & !LAST;
        if slot & LAST == 0 || self.slots.iter().filter(stands_here).count() > 1 {
            return None;
        }
        self.registers[(slot & !LAST) as usize - self.inputs.len()].take()
    }
}

impl<T> Index<usize> for Operands<'_, T> {
    type Output = T;

    /// # Panics
    ///
    /// For an operand that there is not, or that was taken.
    #[inline]
    fn index(&self, at: usize) -> &T {
        let slot = (self.slots[at] & !LAST) as usize;
        match self.inputs.get(slot) {
            Some(input) => input,
            None => match &self.registers[slot - self.inputs.len()] {
                Some(operand) => operand,
                None => panic!("operand {at} was taken"),
            },
        }
    }
}

fn taken<T>(register: Option<T>) -> T {
    register.expect("compile reads a register only between its definition and its last use")
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

    /// Marks the slots of operands that are not read after `operation`, each where it stands last.
    fn release_last_uses(&mut self, values: &[DenseId], operation: usize, slots: &mut [u32]) {
        for (value, slot) in values.iter().zip(slots).rev() {
            let last_use = &mut self.last_use[value.index()];
            if *last_use == operation as u32 {
                *last_use = KEPT;
                self.free.push(*slot);
                *slot |= LAST;
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
            let slot = u32::try_from(self.count - 1).ok();
            let slot = slot.filter(|slot| slot & LAST == 0);
            slot.expect("a program has fewer than 2^31 slots")
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
