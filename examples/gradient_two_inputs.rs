//! The gradient of f(x, y) = x·y + x at (2, 3), with the ready-made primitives on `f64`.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use tidu::graph::{
    GraphBuilder, OperationRole, ValueKey, ValueRef, compile, resolve, try_materialize_merge,
};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{try_linear_transpose, try_linearize};

fn run() -> Result<(), Box<dyn Error>> {
    let mut builder = GraphBuilder::new();
    let x = ValueRef::Local(builder.add_input(ScalarKey::from("x")));
    let y = ValueRef::Local(builder.add_input(ScalarKey::from("y")));
    let mut apply = |op, a, b| builder.add_operation(op, vec![a, b], OperationRole::Primary)[0];
    let xy = apply(ScalarOp::Mul, x.clone(), y);
    let f = apply(ScalarOp::Add, ValueRef::Local(xy), x);
    let f_key = builder.global_key(f).clone();
    builder.set_outputs(vec![f]);
    let primal = Arc::new(builder.build());

    // One linearization and one transposition, whatever the number of inputs.
    let view = resolve(vec![primal]);
    let wrt = [ScalarKey::from("x"), ScalarKey::from("y")];
    let outputs = [f_key];
    let linear = try_linearize(&view, &outputs, &wrt, 1, &mut (), &HashMap::new())?;
    let transposed = try_linear_transpose(&linear, &mut ())?;
    let seed = transposed.tangent_inputs()[0].0.clone();

    // The value and the gradient, as one program.
    let gradient = transposed.into_graph();
    let mut outputs = outputs.to_vec();
    outputs.extend(
        gradient
            .outputs()
            .iter()
            .map(|&id| gradient.values()[id].key.clone()),
    );
    // The gradient's parent is the linear map, whose parent is the function.
    let flat = try_materialize_merge(&resolve(vec![Arc::new(gradient)]), &outputs)?;
    let program = compile(&flat);

    let data = HashMap::from([
        (ValueKey::Input(ScalarKey::from("x")), 2.0),
        (ValueKey::Input(ScalarKey::from("y")), 3.0),
        (ValueKey::Input(seed), 1.0),
    ]);
    let inputs: Vec<&f64> = flat.inputs.iter().map(|key| &data[key]).collect();
    let results = program.try_eval(&mut (), &inputs)?;

    println!("f(2, 3) = {}", results[0]);
    println!("∂f/∂x = {}, ∂f/∂y = {}", results[1], results[2]);
    // x·y + x, y + 1 and x at (2, 3).
    assert_eq!(results, [8.0, 4.0, 2.0]);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

#[test]
fn example_runs() -> Result<(), Box<dyn Error>> {
    main()
}
