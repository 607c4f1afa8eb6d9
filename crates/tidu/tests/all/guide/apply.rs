// A part of docs/prove-your-own-primitive.md: a function.
use tidu::Function;
use tidu::graph::{GraphBuilder, ValueRef};

fn apply(b: &mut GraphBuilder<Op>, op: Op, operands: &[usize]) -> Vec<usize> {
    let operands = operands.iter().map(|&id| ValueRef::Local(id)).collect();
    b.add_operation(op, operands, tidu::graph::OperationRole::Primary)
}

/// f(x, y) = x·tanh y + sinh x
fn example() -> Function<Op> {
    let f = Function::build(["x", "y"], |b, inputs| {
        let tanh = apply(b, Op::Tanh, &[inputs[1]]);
        let product = apply(b, Op::Mul, &[inputs[0], tanh[0]]);
        let sinh_cosh = apply(b, Op::SinhCosh, &[inputs[0]]);
        apply(b, Op::Add, &[product[0], sinh_cosh[0]])
    });
    f.expect("all inputs are named differently")
}
