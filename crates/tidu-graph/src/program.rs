//! A flat list of instructions, and how it runs.

use std::fmt::{self, Debug};

use crate::base::{DenseId, OperationId, Packed, to_u32, unwrap_or_panic};
use crate::dense::{DenseGraph, DenseNode};
use crate::error::{GraphError, describe_operation};
use crate::materialize::MaterializedGraph;
use crate::operands::{LAST, Operands};
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
    /// The operand and result slots of instructions that have no room for them.
    slots: Vec<u32>,
    /// By output: whether the operand can leave its register, because no later output needs it.
    output_moves: Vec<bool>,
    peak_bytes: Option<usize>,
}

/// An operation of a program. Its slots are read with [`CompiledProgram::operand_slots`] and
/// [`CompiledProgram::result_slots`].
#[derive(Clone, Debug)]
pub struct Instruction<Op: GraphOperation> {
    /// What is computed.
    pub operation: Op,
    slots: Slots,
}

/// Where an instruction reads and writes. An operand that is read for the last time is marked with
/// `LAST`.
#[derive(Clone, Copy, Debug)]
enum Slots {
    /// Those of one operand and one result.
    One([u32; 2]),
    /// Those of two operands and one result.
    Two([u32; 3]),
    /// In the program's list.
    Many {
        first: u32,
        operands: u32,
        results: u32,
    },
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
        let mut listed = Vec::new();
        let mut instructions = Vec::with_capacity(self.operation_count());
        for (index, node) in self.nodes().enumerate() {
            instructions.push(Instruction {
                operation: node.operation.clone(),
                slots: registers.slots_of(index, node, &mut listed),
            });
        }
        listed.shrink_to_fit();
        let outputs = self.outputs().iter();
        let output_slots: Vec<usize> = outputs
            .map(|value| registers.slot(*value) as usize)
            .collect();
        let inputs = self.input_count();
        CompiledProgram {
            peak_bytes: peak_bytes(self, &instructions, &listed),
            instructions,
            input_slots: (0..inputs).collect(),
            output_moves: last_occurrences(&output_slots, inputs, registers.count),
            output_slots,
            n_slots: registers.count,
            slots: listed,
        }
    }
}

impl Slots {
    /// Those of the operands, and those of the results.
    fn split<'a>(&'a self, listed: &'a [u32]) -> (&'a [u32], &'a [u32]) {
        match self {
            Self::One(slots) => slots.split_at(1),
            Self::Two(slots) => slots.split_at(2),
            &Self::Many {
                first,
                operands,
                results,
            } => listed[first as usize..][..(operands + results) as usize]
                .split_at(operands as usize),
        }
    }
}

impl<Op: GraphOperation> CompiledProgram<Op> {
    /// How many bytes operands take at most while the program runs, beside its inputs, which are the caller's: before
    /// it runs, by the types of values and by when each is used last. `None` where the graph has no types, or a type
    /// has no [size](crate::ValueType::bytes).
    ///
    /// That is what a run needs, but for what an operation needs while it is evaluated, and less where a result takes
    /// the memory of an operand.
    pub fn peak_bytes(&self) -> Option<usize> {
        self.peak_bytes
    }

    /// The slots that an instruction reads.
    pub fn operand_slots<'a>(
        &'a self,
        instruction: &'a Instruction<Op>,
    ) -> impl ExactSizeIterator<Item = usize> + 'a {
        let (operands, _) = instruction.slots.split(&self.slots);
        operands.iter().map(|&slot| (slot & !LAST) as usize)
    }

    /// The slots that an instruction writes; `None` for a result that nothing uses.
    pub fn result_slots<'a>(
        &'a self,
        instruction: &'a Instruction<Op>,
    ) -> impl ExactSizeIterator<Item = Option<usize>> + 'a {
        let (_, results) = instruction.slots.split(&self.slots);
        let results = results.iter();
        results.map(|&slot| (slot != UNUSED).then_some(slot as usize))
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
    /// One evaluation per instruction. Not more operands are alive at once than the program has slots.
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
        let mut machine = Machine {
            inputs,
            registers,
            results,
            ctx,
        };
        for instruction in &self.instructions {
            let operation = &instruction.operation;
            let done = match &instruction.slots {
                &Slots::One([operand, result]) => machine.run_small(operation, [operand], result),
                &Slots::Two([a, b, result]) => machine.run_small(operation, [a, b], result),
                many @ Slots::Many { .. } => {
                    let (operands, results) = many.split(&self.slots);
                    machine.run(operation, operands, results)
                }
            };
            if let Err(count) = done {
                return Err(self.wrong_results(instruction, count));
            }
        }
        let registers = machine.registers;
        let outputs = self.output_slots.iter().zip(&self.output_moves);
        let outputs = outputs.map(|(&slot, &moves)| match slot.checked_sub(inputs.len()) {
            None => inputs[slot].clone(),
            Some(register) if moves => taken(registers[register].take()),
            Some(register) => taken(registers[register].clone()),
        });
        Ok(outputs.collect())
    }

    #[cold]
    fn wrong_results(&self, instruction: &Instruction<Op>, count: WrongCount) -> GraphError {
        let mut instructions = self.instructions.iter();
        let position = instructions.position(|known| std::ptr::eq(known, instruction));
        GraphError::WrongResultCount {
            operation: describe_operation(&instruction.operation),
            instruction: position.expect("the instruction is one of the program's"),
            expected: count.expected,
            found: count.found,
        }
    }
}

/// What instructions work on.
struct Machine<'a, 'i, Op: EvaluableGraphOperation> {
    inputs: &'a [&'i Op::Operand],
    registers: &'a mut [Option<Op::Operand>],
    /// Those of the operation that is being run.
    results: &'a mut Vec<Op::Operand>,
    ctx: &'a mut Op::Context,
}

/// An operation did not return as many results as it has.
#[derive(Clone, Copy)]
struct WrongCount {
    expected: usize,
    found: usize,
}

impl<Op: EvaluableGraphOperation> Machine<'_, '_, Op> {
    /// Runs an operation of few operands and one result. How many they are is known where this is
    /// compiled, and lets the compiler see through much of what an operation does with its operands: where
    /// it sees all, the vector of a returned result is gone.
    #[inline(always)]
    fn run_small<const N: usize>(
        &mut self,
        operation: &Op,
        slots: [u32; N],
        result: u32,
    ) -> Result<(), WrongCount> {
        let mut operands = Operands::new(self.inputs, self.registers, &slots);
        let value = match operation.eval_one(self.ctx, &mut operands) {
            Some(value) => value,
            None => {
                let operands: [&Op::Operand; N] = std::array::from_fn(|at| &operands[at]);
                operation.eval_into(self.ctx, &operands, self.results);
                self.count_results(1)?;
                self.results.pop().expect("they were counted")
            }
        };
        self.release(&slots);
        self.store(result, value);
        Ok(())
    }

    fn run(
        &mut self,
        operation: &Op,
        slots: &[u32],
        result_slots: &[u32],
    ) -> Result<(), WrongCount> {
        let mut operands = Operands::new(self.inputs, self.registers, slots);
        if let &[result] = result_slots
            && let Some(value) = operation.eval_one(self.ctx, &mut operands)
        {
            self.release(slots);
            self.store(result, value);
            return Ok(());
        }
        operation.eval_into(self.ctx, &operands.all(), self.results);
        self.count_results(result_slots.len())?;
        self.release(slots);
        for &slot in result_slots.iter().rev() {
            let value = self.results.pop().expect("they were counted");
            self.store(slot, value);
        }
        Ok(())
    }

    #[inline]
    fn count_results(&self, expected: usize) -> Result<(), WrongCount> {
        let found = self.results.len();
        if found == expected {
            return Ok(());
        }
        Err(WrongCount { expected, found })
    }

    /// Drops the operands that an instruction was the last to use.
    #[inline]
    fn release(&mut self, slots: &[u32]) {
        // A number in a register that is not read again is in nobody's way.
        if std::mem::needs_drop::<Op::Operand>() {
            for &slot in slots.iter().filter(|&&slot| slot & LAST != 0) {
                self.registers[(slot & !LAST) as usize - self.inputs.len()] = None;
            }
        }
    }

    #[inline]
    fn store(&mut self, slot: u32, value: Op::Operand) {
        if slot != UNUSED {
            self.registers[slot as usize - self.inputs.len()] = Some(value);
        }
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

/// See [`CompiledProgram::peak_bytes`].
fn peak_bytes<Op: GraphOperation>(
    graph: &DenseGraph<Op>,
    instructions: &[Instruction<Op>],
    listed: &[u32],
) -> Option<usize> {
    if !graph.has_types() {
        return None;
    }
    let bytes = |value: DenseId| graph.type_of(value)?.bytes();
    // In the end, an output that is asked for twice is there twice.
    let mut outputs = graph.outputs().iter();
    let mut peak = outputs.try_fold(0_usize, |sum, id| sum.checked_add(bytes(*id)?))?;
    let mut alive = 0_usize;
    for (node, instruction) in graph.nodes().zip(instructions) {
        let (operands, results) = instruction.slots.split(listed);
        let mut made = alive;
        for value in node.results.iter() {
            made = made.checked_add(bytes(value)?)?;
        }
        peak = peak.max(made);
        for (value, slot) in node.operands.iter().zip(operands) {
            if slot & LAST != 0 {
                alive -= bytes(*value)?;
            }
        }
        for (value, slot) in node.results.iter().zip(results) {
            if *slot != UNUSED {
                alive += bytes(value)?;
            }
        }
    }
    Some(peak)
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
    values: Vec<Held>,
    free: Vec<u32>,
    count: usize,
    end: Packed<OperationId>,
}

/// What is known of a value while slots are chosen.
#[derive(Clone, Copy)]
struct Held {
    /// The slot that holds it, or will.
    slot: u32,
    /// The last operation that reads it, if one does. The end of the program, which is past all of them,
    /// reads what is kept: inputs and outputs, and what has been released.
    last_use: Packed<OperationId>,
}

impl Registers {
    fn new<Op: GraphOperation>(graph: &DenseGraph<Op>) -> Self {
        let end = Packed::from(OperationId::new(graph.operation_count()));
        let unread = Held {
            slot: UNUSED,
            last_use: Packed::NONE,
        };
        let mut values = vec![unread; graph.value_count()];
        for (index, node) in graph.nodes().enumerate() {
            for value in node.operands {
                values[value.index()].last_use = OperationId(index as u32).into();
            }
        }
        for (value, slot) in graph.inputs().zip(0..) {
            values[value.index()] = Held {
                slot,
                last_use: end,
            };
        }
        for value in graph.outputs() {
            values[value.index()].last_use = end;
        }
        Self {
            values,
            free: Vec::new(),
            count: graph.input_count(),
            end,
        }
    }

    fn slot(&self, value: DenseId) -> u32 {
        self.values[value.index()].slot
    }

    /// The slots of an operation, which go into the list where there are too many.
    #[inline]
    fn slots_of<Op: GraphOperation>(
        &mut self,
        operation: usize,
        node: DenseNode<'_, Op>,
        listed: &mut Vec<u32>,
    ) -> Slots {
        match (node.operands, node.results.len()) {
            (&[a], 1) => {
                let [a] = self.read(operation, [a]);
                Slots::One([a, self.allocate(node.results.start())])
            }
            (&[a, b], 1) => {
                let [a, b] = self.read(operation, [a, b]);
                Slots::Two([a, b, self.allocate(node.results.start())])
            }
            (_, results) => {
                let first = listed.len();
                listed.extend(node.operands.iter().map(|value| self.slot(*value)));
                self.release_last_uses(node.operands, operation, &mut listed[first..]);
                listed.extend(node.results.iter().map(|value| self.allocate(value)));
                Slots::Many {
                    first: to_u32(first),
                    operands: to_u32(node.operands.len()),
                    results: to_u32(results),
                }
            }
        }
    }

    /// The slots of operands. Released registers are free for the results of the same operation: results
    /// are stored after the operands have been dropped.
    #[inline]
    fn read<const N: usize>(&mut self, operation: usize, values: [DenseId; N]) -> [u32; N] {
        let mut slots = values.map(|value| self.slot(value));
        self.release_last_uses(&values, operation, &mut slots);
        slots
    }

    /// Marks the slots of operands that are not read after `operation`, each where it stands last.
    fn release_last_uses(&mut self, values: &[DenseId], operation: usize, slots: &mut [u32]) {
        for (value, slot) in values.iter().zip(slots).rev() {
            let last_use = &mut self.values[value.index()].last_use;
            if last_use.known().index() == operation {
                *last_use = self.end;
                self.free.push(*slot);
                *slot |= LAST;
            }
        }
    }

    #[inline]
    fn allocate(&mut self, value: DenseId) -> u32 {
        let held = &mut self.values[value.index()];
        if held.last_use.is_none() {
            return UNUSED;
        }
        held.slot = self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            to_u32(self.count - 1)
        });
        held.slot
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
