//! A flat list of instructions, and how it runs.

use std::fmt::{self, Debug};

use crate::base::{DenseId, to_u32, unwrap_or_panic};
use crate::dense::{DenseGraph, DenseNode};
use crate::error::{CallError, GraphError, describe_operation};
use crate::materialize::MaterializedGraph;
use crate::operands::{LAST, Operands};
use crate::operation::EvalError;
use crate::registers::Registers;
use crate::runtime_error::RuntimeError;
use crate::sub_function::depth_of;
use crate::text::operation_label;
use crate::workspace::Workspace;
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
    /// The first instruction whose functions stand too deep in one another to be evaluated.
    too_deep: Option<usize>,
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
        let inputs = self.inputs().map(|id| id.0);
        let reads = self.nodes().map(|node| ids(node.operands));
        let kept = inputs.clone().chain(ids(self.outputs()));
        let mut registers = Registers::new(self.value_count(), reads, kept);
        inputs.for_each(|input| {
            registers.place(input);
        });
        let mut listed = Vec::new();
        let mut instructions = Vec::with_capacity(self.operation_count());
        for (index, node) in self.nodes().enumerate() {
            instructions.push(Instruction {
                operation: node.operation.clone(),
                slots: Slots::new(&mut registers, index, node, &mut listed),
            });
        }
        listed.shrink_to_fit();
        let output_slots: Vec<usize> = ids(self.outputs())
            .map(|value| registers.register(value) as usize)
            .collect();
        let inputs = self.input_count();
        let is_too_deep =
            |node: DenseNode<'_, Op>| depth_of(node.operation) > CompiledProgram::<Op>::DEPTH_LIMIT;
        CompiledProgram {
            too_deep: self.nodes().position(is_too_deep),
            peak_bytes: peak_bytes(self, &instructions, &listed),
            instructions,
            input_slots: (0..inputs).collect(),
            output_moves: last_occurrences(&output_slots, inputs, registers.count()),
            output_slots,
            n_slots: registers.count(),
            slots: listed,
        }
    }
}

impl Slots {
    /// Those of an operation, which go into the list where there are too many. Results are stored after the
    /// operands have been dropped, so that they may go where these were.
    #[inline]
    fn new<Op: GraphOperation>(
        registers: &mut Registers,
        operation: usize,
        node: DenseNode<'_, Op>,
        listed: &mut Vec<u32>,
    ) -> Self {
        let result = |registers: &mut Registers| {
            let result = registers.define(node.results.start().0);
            result.unwrap_or(UNUSED)
        };
        match (node.operands, node.results.len()) {
            (&[a], 1) => {
                let mut slots = [a.0, 0];
                read(registers, operation, &mut slots[..1]);
                slots[1] = result(registers);
                Self::One(slots)
            }
            (&[a, b], 1) => {
                let mut slots = [a.0, b.0, 0];
                read(registers, operation, &mut slots[..2]);
                slots[2] = result(registers);
                Self::Two(slots)
            }
            (operands, results) => {
                let first = listed.len();
                listed.extend(ids(operands));
                read(registers, operation, &mut listed[first..]);
                let slots = node.results.iter();
                listed.extend(slots.map(|id| registers.define(id.0).unwrap_or(UNUSED)));
                Self::Many {
                    first: to_u32(first),
                    operands: to_u32(operands.len()),
                    results: to_u32(results),
                }
            }
        }
    }

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
    /// How deep functions that operations hold may stand in one another in a program that runs: where an operation
    /// evaluates what it holds by a program of it, each level takes some of the stack. One of 2 MiB bears 16 KiB per level.
    pub const DEPTH_LIMIT: usize = 128;

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
    /// [`GraphError::WrongInputCount`]; [`GraphError::WrongResultCount`] for an operation whose
    /// `eval` does not return what its `output_count` promises; [`CallError::Failed`], in [`GraphError::Call`], for one
    /// whose `try_eval` fails. [`CallError::NestedTooDeep`], before anything runs, for functions that stand more than
    /// [`DEPTH_LIMIT`](Self::DEPTH_LIMIT) deep in one another.
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
    /// Those of [`try_eval`](Self::try_eval).
    pub fn try_eval_in(
        &self,
        workspace: &mut Workspace<Op::Operand>,
        ctx: &mut Op::Context,
        inputs: &[&Op::Operand],
    ) -> Result<Vec<Op::Operand>, GraphError> {
        // They have no names here.
        CallError::check_inputs(self.input_slots.len(), inputs.len(), String::new)?;
        if let Some(instruction) = self.too_deep {
            return Err(self.nested_too_deep(instruction).into());
        }
        workspace.clear();
        let registers = self.n_slots - inputs.len();
        workspace.registers.resize_with(registers, || None);
        let outputs = self.run(workspace, ctx, inputs);
        workspace.clear();
        Ok(outputs?)
    }

    // By itself: inlined into its caller, the loop has too few registers.
    #[inline(never)]
    fn run(
        &self,
        workspace: &mut Workspace<Op::Operand>,
        ctx: &mut Op::Context,
        inputs: &[&Op::Operand],
    ) -> Result<Vec<Op::Operand>, CallError> {
        let Workspace {
            registers, results, ..
        } = workspace;
        let mut failure = None;
        let mut machine = Machine {
            inputs,
            registers,
            results,
            failure: &mut failure,
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
                return Err(self.located(instruction, count, failure));
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
    fn nested_too_deep(&self, instruction: usize) -> CallError {
        let operation = &self.instructions[instruction].operation;
        CallError::NestedTooDeep {
            operation: operation_label(operation),
            instruction,
            depth: depth_of(operation),
            limit: Self::DEPTH_LIMIT,
        }
    }

    #[cold]
    fn located(
        &self,
        at: &Instruction<Op>,
        count: WrongCount,
        failure: Option<EvalError>,
    ) -> CallError {
        let mut instructions = self.instructions.iter();
        let position = instructions.position(|known| std::ptr::eq(known, at));
        let instruction = position.expect("the instruction is one of the program's");
        match failure {
            Some(source) => CallError::Failed {
                operation: operation_label(&at.operation),
                instruction,
                source: RuntimeError::new(source),
            },
            None => CallError::WrongResultCount {
                operation: describe_operation(&at.operation),
                instruction,
                expected: count.expected,
                found: count.found,
            },
        }
    }
}

/// What instructions work on.
struct Machine<'a, 'i, Op: EvaluableGraphOperation> {
    inputs: &'a [&'i Op::Operand],
    registers: &'a mut [Option<Op::Operand>],
    /// Those of the operation that is being run.
    results: &'a mut Vec<Op::Operand>,
    /// Of an operation that says that it failed. Not in what its run returns: that has to stay in registers.
    failure: &'a mut Option<EvalError>,
    ctx: &'a mut Op::Context,
}

/// An operation did not return as many results as it has, or none at all as it failed.
#[derive(Clone, Copy)]
struct WrongCount {
    expected: usize,
    found: usize,
}

/// Notes why an operation failed.
#[cold]
fn failed(failure: &mut Option<EvalError>, error: EvalError) -> WrongCount {
    *failure = Some(error);
    WrongCount {
        expected: 0,
        found: 0,
    }
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
                if let Err(error) = operation.try_eval_into(self.ctx, &operands, self.results) {
                    return Err(failed(self.failure, error));
                }
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
        if let Err(error) = operation.try_eval_into(self.ctx, &operands.all(), self.results) {
            return Err(failed(self.failure, error));
        }
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

/// The slots of operands, in place of the values: each is marked where it stands last, if nothing reads it later.
#[inline]
fn read(registers: &mut Registers, operation: usize, operands: &mut [u32]) {
    for operand in operands.iter_mut().rev() {
        let (slot, is_last) = registers.read(*operand, operation);
        *operand = slot | if is_last { LAST } else { 0 };
    }
}

fn ids(values: &[DenseId]) -> impl Iterator<Item = u32> {
    values.iter().map(|id| id.0)
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
