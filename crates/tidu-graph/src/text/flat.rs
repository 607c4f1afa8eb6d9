//! Printing what has no other graphs to refer to: graphs by positions, flat graphs, programs.

use std::fmt::{self, Display};
use std::sync::Arc;

use super::definitions::Definitions;
use super::listing::{Listing, application, write_definitions};
use crate::dense::DenseGraph;
use crate::materialize::MaterializedGraph;
use crate::program::CompiledProgram;
use crate::{GraphOperation, OperationRole};

/// In the text form, under the header `dense`, with inputs that have no names; in the alternate form `{:#}`, each value
/// with its type, if types are known.
impl<Op: GraphOperation> Display for DenseGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listing = Listing::of_dense("dense", self);
        Display::fmt(&listing.with_types(f.alternate()), f)
    }
}

/// Values are numbered in the order in which they are listed, so the text reads like a `graph`.
impl<Op: GraphOperation> Display for MaterializedGraph<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listing = Listing::of_dense("flat", self.as_dense())
            .with_inputs(self.inputs.iter().map(|key| key.input()))
            .with_roles(self.roles());
        Display::fmt(&listing, f)
    }
}

impl<Op: GraphOperation> Display for CompiledProgram<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations = self.instructions.iter().map(|at| &at.operation);
        let definitions = Arc::new(Definitions::of(operations));
        write_definitions(&definitions, f, false)?;
        writeln!(f, "program {{")?;
        for slot in &self.input_slots {
            writeln!(f, "    input s{slot}")?;
        }
        for instruction in &self.instructions {
            let name = definitions.operation_name(&instruction.operation);
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
