//! From a graph to instructions over values.

use std::collections::HashMap;

use tidu_graph::DenseGraph;

use super::ProgramError;
use super::fuse::fuse;
use super::instruction::{
    FUNCTION, Functions, Instruction, Lowered, Opcode, SECOND, TERNARY_FUNCTION,
};
use crate::definition::{Eval, Meaning};
use crate::op::ScalarOp;

/// What stands where there is no operand.
const NOTHING: u32 = 0;

/// Lowers a graph; `None` if a composite stands in it, which must be expanded first.
pub(super) fn lower(
    graph: &DenseGraph<ScalarOp>,
    fused: bool,
) -> Result<Option<Lowered>, ProgramError> {
    let mut pass = Lowering::new(graph)?;
    for node in graph.nodes() {
        let mut operands = [NOTHING; 4];
        for (operand, id) in operands.iter_mut().zip(node.operands) {
            *operand = pass.value[id.index()];
        }
        if !pass.operation(node.operation, operands) {
            return Ok(None);
        }
    }
    let outputs = graph.outputs().iter();
    pass.lowered.outputs = outputs.map(|id| pass.value[id.index()]).collect();
    let mut lowered = pass.lowered;
    fuse(&mut lowered, fused);
    Ok(Some(lowered))
}

struct Lowering {
    /// By value of the graph, as far as it was read.
    value: Vec<u32>,
    /// By the bits of a constant: its value.
    constant: HashMap<u64, u32>,
    /// By value: the instruction that is its sine or cosine, as far as there are any.
    angle: Vec<u32>,
    lowered: Lowered,
}

const NO_INSTRUCTION: u32 = u32::MAX;

impl Lowering {
    fn new(graph: &DenseGraph<ScalarOp>) -> Result<Self, ProgramError> {
        // A number that an operation holds may become a value of its own.
        let most = graph.value_count() + graph.operation_count();
        if u32::try_from(most).is_err() {
            return Err(ProgramError::TooLarge { values: most });
        }
        let inputs = graph.input_count();
        let mut value = Vec::with_capacity(graph.value_count());
        value.extend(0..inputs as u32);
        Ok(Self {
            value,
            constant: HashMap::new(),
            angle: Vec::new(),
            lowered: Lowered {
                instructions: Vec::with_capacity(graph.operation_count()),
                inputs,
                constants: Vec::new(),
                outputs: Vec::new(),
                values: inputs,
                functions: Functions::default(),
                scratch: [Vec::new(), Vec::new()],
            },
        })
    }

    /// `false` for a composite.
    fn operation(&mut self, op: &ScalarOp, operands: [u32; 4]) -> bool {
        let Meaning::Defined(definition) = op.meaning() else {
            return false;
        };
        match (definition.opcode, definition.eval) {
            (Some(Opcode::Copy), _) => self.value.push(operands[0]),
            (Some(opcode @ (Opcode::Sin | Opcode::Cos)), _) => {
                let value = self.angle(opcode, operands);
                self.value.push(value);
            }
            (Some(opcode), _) => self.define(opcode, operands),
            (None, Eval::Constant) => {
                let value = self.constant(op.number());
                self.value.push(value);
            }
            (None, Eval::Unary(f)) => {
                let position = self.lowered.functions.unary.position(definition.name, f);
                self.call(Opcode::CallUnary, operands, FUNCTION, position);
            }
            (None, Eval::Numbered(f)) => {
                let number = self.constant(op.number());
                let operands = [number, operands[0], NOTHING, NOTHING];
                let position = self.lowered.functions.binary.position(definition.name, f);
                self.call(Opcode::CallBinary, operands, FUNCTION, position);
            }
            (None, Eval::Binary(f)) => {
                let position = self.lowered.functions.binary.position(definition.name, f);
                self.call(Opcode::CallBinary, operands, FUNCTION, position);
            }
            (None, Eval::NumberedBinary(f)) => {
                let number = self.constant(op.number());
                let operands = [number, operands[0], operands[1], NOTHING];
                let position = self.lowered.functions.ternary.position(definition.name, f);
                let at = TERNARY_FUNCTION;
                self.call(Opcode::CallTernary, operands, at, position);
            }
            (None, Eval::Ternary(f)) => {
                let position = self.lowered.functions.ternary.position(definition.name, f);
                let at = TERNARY_FUNCTION;
                self.call(Opcode::CallTernary, operands, at, position);
            }
            (None, Eval::Pair(f)) => {
                let position = self.lowered.functions.pair.position(definition.name, f);
                self.call(Opcode::CallPair, operands, FUNCTION, position);
            }
        }
        true
    }

    fn call(&mut self, opcode: Opcode, mut operands: [u32; 4], at: usize, function: u32) {
        operands[at] = function;
        self.define(opcode, operands);
    }

    fn define(&mut self, opcode: Opcode, mut operands: [u32; 4]) {
        let result = self.fresh();
        self.value.push(result);
        if opcode.has_second_result() {
            operands[SECOND] = self.fresh();
            self.value.push(operands[SECOND]);
        }
        self.lowered.instructions.push(Instruction {
            opcode,
            operands,
            result,
        });
    }

    /// The sine or cosine of an angle. The second one of an angle makes one instruction of both,
    /// where the first one stands.
    fn angle(&mut self, opcode: Opcode, operands: [u32; 4]) -> u32 {
        let angle = operands[0] as usize;
        if self.angle.len() <= angle {
            self.angle
                .resize(self.value.len().max(angle + 1), NO_INSTRUCTION);
        }
        let here = self.lowered.instructions.len() as u32;
        let result = self.fresh();
        let before = self.angle[angle];
        if before != NO_INSTRUCTION {
            let first = &mut self.lowered.instructions[before as usize];
            if first.opcode != opcode && first.opcode != Opcode::SinCos {
                let other = first.result;
                let (sin, cos) = match opcode {
                    Opcode::Sin => (result, other),
                    _ => (other, result),
                };
                first.opcode = Opcode::SinCos;
                first.result = sin;
                first.operands[SECOND] = cos;
                return result;
            }
        }
        self.angle[angle] = here;
        self.lowered.instructions.push(Instruction {
            opcode,
            operands,
            result,
        });
        result
    }

    fn constant(&mut self, number: f64) -> u32 {
        if let Some(&value) = self.constant.get(&number.to_bits()) {
            return value;
        }
        let value = self.fresh();
        self.constant.insert(number.to_bits(), value);
        self.lowered.constants.push((value, number));
        value
    }

    fn fresh(&mut self) -> u32 {
        self.lowered.values += 1;
        self.lowered.values as u32 - 1
    }
}
