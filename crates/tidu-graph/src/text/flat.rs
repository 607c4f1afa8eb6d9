//! Printing flat graphs and programs.

use std::fmt::{self, Display};

use super::listing::application;
use super::name::{input_name, operation_name};
use crate::materialize::MaterializedGraph;
use crate::program::CompiledProgram;
use crate::{GraphOperation, OperationRole};

/// Values are numbered in the order in which they are listed, so the text reads like a `graph`.
impl<Op: GraphOperation> Display for MaterializedGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "flat {{")?;
        for (id, key) in self.as_dense().inputs().zip(&self.inputs) {
            writeln!(f, "    input {id:?} = {}", input_name::<Op>(key.input()))?;
        }
        let local = |id: &usize| format!("%{id}");
        for node in &self.operations {
            let name = operation_name(&node.operation);
            let (results, operands) = (node.outputs.iter(), node.inputs.iter());
            let line = application(results.map(local), &name, &node.role, operands.map(local));
            writeln!(f, "    {line}")?;
        }
        for id in self.as_dense().outputs() {
            writeln!(f, "    output {id:?}")?;
        }
        write!(f, "}}")
    }
}

impl<Op: GraphOperation> Display for CompiledProgram<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program {{")?;
        for slot in &self.input_slots {
            writeln!(f, "    input s{slot}")?;
        }
        for instruction in &self.instructions {
            let name = operation_name(&instruction.operation);
            let results = self.result_slots(instruction).map(|slot| match slot {
                Some(slot) => format!("s{slot}"),
                None => "_".to_owned(),
            });
            let operands = self.operand_slots(instruction);
            let operands = operands.map(|slot| format!("s{slot}"));
            let line = application(results, &name, &OperationRole::Primary, operands);
            writeln!(f, "    {line}")?;
        }
        for slot in &self.output_slots {
            writeln!(f, "    output s{slot}")?;
        }
        write!(f, "}}")
    }
}
