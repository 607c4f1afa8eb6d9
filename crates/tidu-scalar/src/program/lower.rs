//! From a graph to instructions over values.

use std::collections::HashMap;
use std::sync::Arc;

use tidu_graph::DenseGraph;

use super::ProgramError;
use super::fuse::fuse;
use crate::bytecode::{Bytecode, FUNCTION, Functions, Instruction, Opcode, SECOND};
use crate::definition::{Eval, Meaning};
use crate::op::ScalarOp;

/// What stands where there is no operand.
const NOTHING: u32 = 0;

/// Lowers a graph of these inputs and outputs; `None` if a composite stands in it, which must be expanded first.
pub(super) fn lower(
    graph: &DenseGraph<ScalarOp>,
    names: [&Arc<[String]>; 2],
    fused: bool,
) -> Result<Option<Bytecode>, ProgramError> {
    let mut pass = Lowering::new(graph, names)?;
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
    pass.code.outputs = outputs.map(|id| pass.value[id.index()]).collect();
    let mut code = pass.code;
    fuse(&mut code, fused);
    Ok(Some(code))
}

struct Lowering {
    /// By value of the graph, as far as it was read.
    value: Vec<u32>,
    /// By the bits of a constant: its value.
    constant: HashMap<u64, u32>,
    /// By value: the instruction that is its sine or cosine, as far as there are any.
    angle: Vec<u32>,
    code: Bytecode,
}

const NO_INSTRUCTION: u32 = u32::MAX;

impl Lowering {
    fn new(
        graph: &DenseGraph<ScalarOp>,
        [inputs, outputs]: [&Arc<[String]>; 2],
    ) -> Result<Self, ProgramError> {
        // A number that an operation holds may become a value of its own.
        let most = graph.value_count() + graph.operation_count();
        if u32::try_from(most).is_err() {
            return Err(ProgramError::TooLarge { values: most });
        }
        let slots = graph.input_count();
        let mut value = Vec::with_capacity(graph.value_count());
        value.extend(0..slots as u32);
        Ok(Self {
            value,
            constant: HashMap::new(),
            angle: Vec::new(),
            code: Bytecode {
                instructions: Vec::with_capacity(graph.operation_count()),
                constants: Vec::new(),
                outputs: Vec::new(),
                slots,
                functions: Functions::default(),
                input_names: Arc::clone(inputs),
                output_names: Arc::clone(outputs),
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
                let position = self.code.functions.unary.position(definition.name, f);
                self.call(Opcode::CallUnary, operands, position);
            }
            (None, Eval::Numbered(f)) => {
                let number = self.constant(op.number());
                let operands = [number, operands[0], NOTHING, NOTHING];
                let position = self.code.functions.binary.position(definition.name, f);
                self.call(Opcode::CallBinary, operands, position);
            }
            (None, Eval::Binary(f)) => {
                let position = self.code.functions.binary.position(definition.name, f);
                self.call(Opcode::CallBinary, operands, position);
            }
            (None, Eval::NumberedBinary(f)) => {
                let number = self.constant(op.number());
                let operands = [number, operands[0], operands[1], NOTHING];
                let position = self.code.functions.ternary.position(definition.name, f);
                self.call(Opcode::CallTernary, operands, position);
            }
            (None, Eval::Ternary(f)) => {
                let position = self.code.functions.ternary.position(definition.name, f);
                self.call(Opcode::CallTernary, operands, position);
            }
            (None, Eval::Pair(_)) => unreachable!("a pair has an opcode of its own"),
        }
        true
    }

    fn call(&mut self, opcode: Opcode, mut operands: [u32; 4], function: u32) {
        operands[FUNCTION] = function;
        self.define(opcode, operands);
    }

    fn define(&mut self, opcode: Opcode, mut operands: [u32; 4]) {
        let result = self.fresh();
        self.value.push(result);
        if opcode.has_second_result() {
            operands[SECOND] = self.fresh();
            self.value.push(operands[SECOND]);
        }
        self.code.instructions.push(Instruction {
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
        let here = self.code.instructions.len() as u32;
        let result = self.fresh();
        let before = self.angle[angle];
        if before != NO_INSTRUCTION {
            let first = &mut self.code.instructions[before as usize];
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
        self.code.instructions.push(Instruction {
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
        self.code.constants.push((value, number));
        value
    }

    fn fresh(&mut self) -> u32 {
        self.code.slots += 1;
        self.code.slots as u32 - 1
    }
}
