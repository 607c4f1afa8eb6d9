//! Functions to run, made at random.

use tidu_ad::Function;
use tidu_graph::{GraphBuilder, GraphOperation, LocalValueId, OperationRole, ValueRef};
use tidu_scalar::{ScalarKey, ScalarOp};

use super::random::Random;

/// A function of so many inputs, of operations drawn from these, all of whose last values are outputs.
pub fn random_function(
    random: &mut Random,
    inputs: usize,
    operations: usize,
    from: &[ScalarOp],
) -> Function<ScalarOp> {
    let names: Vec<String> = (0..inputs).map(|at| format!("x{at}")).collect();
    let build = |builder: &mut GraphBuilder<ScalarOp>, inputs: &[LocalValueId]| {
        let mut values = inputs.to_vec();
        for _ in 0..operations {
            let op = &from[random.bits() as usize % from.len()];
            let operands = (0..op.input_count()).map(|_| {
                // Mostly what was made last, so that values are used once.
                let back = match random.bits() % 4 {
                    0 => values.len(),
                    _ => values.len().min(4),
                };
                let at = values.len() - 1 - random.bits() as usize % back;
                ValueRef::Local(values[at])
            });
            let operands = operands.collect();
            values.extend(builder.add_operation(op.clone(), operands, OperationRole::Primary));
        }
        values.split_off(values.len() - 4)
    };
    Function::build(
        names.iter().map(|name| ScalarKey::from(name.as_str())),
        build,
    )
    .expect("a function")
}
